//! sled as the persisted form of the log that everything reads, and of all folds. Never the commit point: it is
//! caught up from the journal at opening and made again from it when it is damaged.
//!
//! One tree; keys by their first byte:
//! ```text
//! h                      the head: how far sled is, and the sum over all other records
//! l <index u64>          leaves of one commit from that index on, in chunks
//! t <level> <index u64>  a full tile of the Merkle tree: 256 hashes
//! p <node>               the newest checkpoint seen of a peer (state, not an event)
//! f …                    folds (domain::fold::keys)
//! ```
//! A commit is seen by every reader at once and reaches sled within a fraction of a second, in one batch with the
//! commits around it (`store::applier`); a batch is atomic over a crash. Until then it is in memory, which costs
//! nothing in safety: the journal has it.
//!
//! The head carries a sum of hashes over every record but itself and `p`. After an unclean stop the sum is
//! recomputed, so a store that sled opened without complaint, but with something lost or changed, is found and made
//! again. After a clean stop the digests of sled's files stand in a marker, which is quicker to compare.
//!
//! [`Index::in_memory`] is the same without sled: what it holds is gone with it, and made again from the journal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::applier::Applier;
use super::disk::{Disk as _, RealDisk};
use super::filter::KnownKeys;
use super::journal::Position;
use super::memtable::{Layer, overlay};
use crate::merkle::{Hash, TileId, TileReader, sha256};

/// Bytes of leaves in one record, about. sled rewrites a page of 16 records after every 10 changes to it, so small
/// records mean that little is written again and again (docs/PERFORMANCE.md).
const CHUNK_BYTES: usize = 2 * 1024;

/// How often, every 10 ms, it is looked whether sled has let go of its file.
const CLOSING_TRIES: u32 = 1_000;

/// Free bytes that sled needs for a batch beside four times the batch itself: it writes pages and their fragments.
const ROOM_BYTES: u64 = 16 << 20;

pub use super::memtable::Change;

/// How far sled is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Form of the records.
    pub version: u32,
    /// Number of leaves.
    pub size: u64,
    /// The newest checkpoint.
    pub checkpoint: String,
    /// Time of the newest event, in milliseconds.
    pub last_time: i64,
    /// Where the journal goes on after these leaves.
    pub journal: Position,
    /// Sum over all other records; filled in on the way to sled.
    pub sum: [u64; 4],
}

/// A sum of hashes over records, independent of their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(pub [u64; 4]);

impl Sum {
    fn words(key: &[u8], value: &[u8]) -> [u64; 4] {
        let mut input = Vec::with_capacity(4 + key.len() + value.len());
        input.extend_from_slice(&(key.len() as u32).to_be_bytes());
        input.extend_from_slice(key);
        input.extend_from_slice(value);
        let digest = sha256(&input);
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(digest.as_bytes().chunks_exact(8)) {
            *word = u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
        }
        words
    }

    /// Adds a record.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        for (sum, word) in self.0.iter_mut().zip(Sum::words(key, value)) {
            *sum = sum.wrapping_add(word);
        }
    }

    /// Adds the records of another sum.
    pub fn merge(&mut self, other: Sum) {
        for (sum, word) in self.0.iter_mut().zip(other.0) {
            *sum = sum.wrapping_add(word);
        }
    }

    /// Takes a record out.
    pub fn remove(&mut self, key: &[u8], value: &[u8]) {
        for (sum, word) in self.0.iter_mut().zip(Sum::words(key, value)) {
            *sum = sum.wrapping_sub(word);
        }
    }

    /// Whether a key counts.
    pub fn counts(key: &[u8]) -> bool {
        !matches!(key.first(), Some(b'h' | b'p'))
    }
}

/// The sled store, with what is on its way there.
#[derive(Clone)]
pub struct Index {
    applier: Arc<Applier>,
    keys: Arc<KnownKeys>,
    /// `None`: in memory only.
    db: Option<sled::Db>,
    path: PathBuf,
}

impl Index {
    /// Waits until nobody holds the store in `dir`: sled lets go of its file some time after its last handle is gone,
    /// and what looks like damage then is none.
    pub fn wait_closed(dir: &Path) -> Result<(), StoreError> {
        let path = dir.join("db");
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(StoreError::io("opening", path)(e)),
        };
        for _ in 0..CLOSING_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
                Err(std::fs::TryLockError::Error(e)) => return Err(StoreError::io("locking", path)(e)),
            }
        }
        Err(StoreError::InUse { path })
    }

    /// Opens or creates the store in `dir`; a panic of sled becomes an error.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Index, StoreError> {
        let index = guarded(dir, || {
            let config = sled::Config::default()
                .path(dir)
                .cache_capacity(cache_bytes)
                .mode(sled::Mode::HighThroughput)
                .flush_every_ms(Some(10_000));
            config.open()
        })?;
        let keys = Arc::new(KnownKeys::default());
        if guarded(dir, || Ok(index.is_empty()))? {
            keys.set_complete();
        }
        let (db, path, known) = (index.clone(), dir.to_owned(), keys.clone());
        let apply = move |layer: &Layer, head: &Head| {
            let changes = layer.changes.iter().map(|(key, change)| (key.clone(), change.after.clone()));
            known.add(layer.changes.keys().map(|key| key.as_ref()));
            write(&db, &path, changes, head).map_err(|e| e.to_string())
        };
        let place = dir.to_owned();
        let room = move |bytes: usize| {
            // Where nobody can say, it is tried.
            let free = RealDisk.free_bytes(&place).unwrap_or(u64::MAX);
            free >= ROOM_BYTES.saturating_add(4 * bytes as u64)
        };
        let applier = Applier::new(apply, room);
        Ok(Index { applier: Arc::new(applier), keys, db: Some(index), path: dir.to_owned() })
    }

    /// An empty one without sled: no file and no thread.
    pub fn in_memory() -> Index {
        let keys = Arc::new(KnownKeys::default());
        keys.set_complete();
        Index { applier: Arc::new(Applier::in_memory()), keys, db: None, path: "memory".into() }
    }

    /// Does something with sled; nothing where there is none.
    fn guard<T: Default>(
        &self,
        f: impl FnOnce(&sled::Db) -> Result<T, sled::Error>,
    ) -> Result<T, StoreError> {
        self.db.as_ref().map_or_else(|| Ok(T::default()), |db| guarded(&self.path, || f(db)))
    }

    /// How far the store is; `None` when it is empty. Waits until every commit is in sled.
    pub fn head(&self) -> Result<Option<Head>, StoreError> {
        if self.db.is_none() {
            let Some(head) = self.applier.table().head().cloned() else { return Ok(None) };
            return Ok(Some(Head { sum: self.sum()?.0, ..head }));
        }
        self.drain()?;
        match self.guard(|db| db.get(b"h"))? {
            None => Ok(None),
            Some(bytes) => {
                postcard::from_bytes(&bytes).map(Some).map_err(|e| self.problem(format!("head: {e}")))
            }
        }
    }

    fn problem(&self, problem: String) -> StoreError {
        StoreError::Index { path: self.path.clone(), problem }
    }

    fn drain(&self) -> Result<(), StoreError> {
        self.applier.drain().map_err(|problem| self.problem(problem))
    }

    /// A record.
    pub fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        let newest = self.applier.table().get(key);
        match newest {
            Some(newest) => Ok(newest),
            None if self.keys.excludes(key) => Ok(None),
            None => self.guard(|db| db.get(key)),
        }
    }

    /// The keys that may be there; to be kept over a clean stop.
    pub fn keys(&self) -> Arc<KnownKeys> {
        self.keys.clone()
    }

    /// Takes the known keys over from a clean stop, or reads them all.
    pub fn restore_keys(&self, kept: Option<&[u8]>) -> Result<(), StoreError> {
        if kept.is_some_and(|bytes| self.keys.restore(bytes)) {
            return Ok(());
        }
        self.for_each(|key, _| self.keys.add([key]))?;
        self.keys.set_complete();
        Ok(())
    }

    /// Where sled stands before the first commit.
    pub fn start_at(&self, head: &Head) {
        self.applier.start_at(head);
    }

    /// What is called, once, when sled cannot be written any more.
    pub fn on_failure(&self, f: impl Fn(StoreError) + Send + Sync + 'static) {
        let path = self.path.clone();
        self.applier.on_failure(move |problem| {
            f(StoreError::Index { path: path.clone(), problem: problem.to_owned() })
        });
    }

    /// Whether commits can be taken in: to be asked before a commit is made.
    pub fn healthy(&self) -> Result<(), StoreError> {
        self.applier.healthy().map_err(|problem| self.problem(problem))
    }

    /// Whether there is room for a commit more: in memory, while the disk has none for sled.
    pub fn room(&self) -> Result<(), StoreError> {
        if self.applier.has_room() { Ok(()) } else { Err(StoreError::Full { path: self.path.clone() }) }
    }

    /// Takes the changes of one commit in, all at once, with the new head, whose sum is filled in on the way to sled.
    pub fn commit(&self, changes: Vec<(sled::IVec, Change)>, head: Head) -> Result<(), StoreError> {
        self.applier.commit(changes, head).map_err(|problem| self.problem(problem))
    }

    /// Writes changes and head to sled as they are, past the commits: for repair, and to show what an audit finds.
    pub fn write(
        &self,
        changes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
        head: &Head,
    ) -> Result<(), StoreError> {
        self.drain()?;
        let Some(db) = &self.db else {
            return Err(self.problem("it has no files, and nothing to repair".to_owned()));
        };
        let changes = changes.into_iter().map(|(key, value)| {
            self.keys.add([key.as_slice()]);
            (key.into(), value.map(Into::into))
        });
        write(db, &self.path, changes, head)
    }

    /// Writes state that is no part of the log.
    pub fn put_state(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if self.db.is_none() {
            self.applier.put(key, value);
            return Ok(());
        }
        self.keys.add([key]);
        self.guard(|db| db.insert(key, value)).map(|_| ())
    }

    /// Records whose key begins with `prefix`, from `from` on (inclusive), at most `limit`.
    pub fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(sled::IVec, sled::IVec)>, StoreError> {
        let start = if from > prefix { from } else { prefix };
        let newest = self.applier.table().newest(prefix, start, limit);
        let below = self.db.as_ref();
        guarded(&self.path, || {
            let within =
                |r: &sled::Result<(sled::IVec, _)>| r.as_ref().map_or(true, |(k, _)| k.starts_with(prefix));
            let sled = below.into_iter().flat_map(|db| db.range(start..));
            overlay(newest, sled.take_while(within), limit, |a, b| a < b)
        })
    }

    /// The same for records that events made, when only those of events from `first` on are asked for: most often they
    /// are all in memory, and sled need not be looked at. There may be older ones among them.
    pub fn scan_new(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
        first: u64,
    ) -> Result<Vec<(sled::IVec, sled::IVec)>, StoreError> {
        {
            let table = self.applier.table();
            if first >= table.base() {
                let newest = table.newest(prefix, from, limit);
                return Ok(newest.into_iter().filter_map(|(key, value)| Some((key, value?))).collect());
            }
        }
        self.scan(prefix, from, limit)
    }

    /// The same backwards: from `from` down (inclusive).
    pub fn scan_back(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(sled::IVec, sled::IVec)>, StoreError> {
        let newest = self.applier.table().newest_back(prefix, from, limit);
        let below = self.db.as_ref();
        guarded(&self.path, || {
            let within =
                |r: &sled::Result<(sled::IVec, _)>| r.as_ref().map_or(true, |(k, _)| k.starts_with(prefix));
            let sled = below.into_iter().flat_map(|db| db.range(..=from).rev());
            overlay(newest, sled.take_while(within), limit, |a, b| a > b)
        })
    }

    /// Every record of sled in the order of keys; for checking. Waits until every commit is there.
    pub fn for_each(&self, mut f: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        if self.db.is_none() {
            let records = self.applier.table().newest(b"", b"", usize::MAX);
            for (key, value) in &records {
                value.iter().for_each(|value| f(key, value));
            }
            return Ok(());
        }
        self.drain()?;
        self.guard(|db| {
            for record in db.iter() {
                let (key, value) = record?;
                f(&key, &value);
            }
            Ok(())
        })
    }

    /// Recomputes the sum over all records, and learns their keys.
    pub fn sum(&self) -> Result<Sum, StoreError> {
        let mut sum = Sum::default();
        self.for_each(|key, value| {
            self.keys.add([key]);
            if Sum::counts(key) {
                sum.add(key, value);
            }
        })?;
        self.keys.set_complete();
        Ok(sum)
    }

    /// The leaf at an index.
    pub fn leaf(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        // The newest leaves are in memory, all of them from some index on.
        let newest = self.applier.table().last_at(b"l", &leaf_key(index));
        if let Some((key, chunk)) = newest
            && let Some(first) = key.get(1..).and_then(|k| k.try_into().ok()).map(u64::from_be_bytes)
        {
            let mut leaves = self.unpack(&chunk);
            return leaves.nth((index - first) as usize).map(|l| l.map(Bytes::copy_from_slice)).transpose();
        }
        Ok(self.leaves(index, 1)?.pop().filter(|(found, _)| *found == index).map(|(_, leaf)| leaf))
    }

    /// The leaves of the chunk that has an index, with the index of the first of them: whoever reads one leaf after the
    /// other need not look each up. Empty where the log has no such leaf.
    pub fn leaves_around(&self, index: u64) -> Result<(u64, Vec<Bytes>), StoreError> {
        let found = self.scan_back(b"l", &leaf_key(index), 1)?.pop();
        let Some((key, chunk)) = found else { return Ok((index, Vec::new())) };
        let first = key.get(1..).and_then(|k| k.try_into().ok()).map(u64::from_be_bytes);
        let first = first.ok_or_else(|| self.problem("a leaf key is damaged".into()))?;
        let chunk = Bytes::copy_from_slice(&chunk);
        let leaves = self.unpack(&chunk).map(|leaf| leaf.map(|leaf| chunk.slice_ref(leaf)));
        Ok((first, leaves.collect::<Result<_, _>>()?))
    }

    /// Up to `limit` leaves from an index on.
    pub fn leaves(&self, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let start = self.scan_back(b"l", &leaf_key(from), 1)?;
        let Some((key, _)) = start.first() else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        let mut key = key.to_vec();
        while out.len() < limit {
            // Chunks are large: one leaf needs one.
            let chunks = self.scan(b"l", &key, if limit == 1 { 1 } else { 16 })?;
            let Some((last, _)) = chunks.last() else { break };
            let next = [last.as_ref(), &[0]].concat();
            for (chunk_key, value) in &chunks {
                let first = u64::from_be_bytes(
                    chunk_key[1..].try_into().map_err(|_| self.problem("a leaf key is damaged".into()))?,
                );
                for (i, leaf) in self.unpack(value).enumerate() {
                    let (index, leaf) = (first.saturating_add(i as u64), leaf?);
                    if index >= from && out.len() < limit {
                        out.push((index, Bytes::copy_from_slice(leaf)));
                    }
                }
            }
            key = next;
        }
        Ok(out)
    }

    /// The leaves of a chunk, without a copy.
    fn unpack<'a>(&self, chunk: &'a [u8]) -> impl Iterator<Item = Result<&'a [u8], StoreError>> {
        leaves_of(chunk).map(|leaf| leaf.ok_or_else(|| self.problem("a leaf chunk is cut off".into())))
    }

    /// Brings everything to sled and flushes what it still holds in memory; not needed for safety.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.drain()?;
        self.guard(|db| db.flush()).map(|_| ())
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.guard(sled::Db::size_on_disk).unwrap_or(0)
    }
}

fn write(
    db: &sled::Db,
    path: &Path,
    changes: impl Iterator<Item = (sled::IVec, Option<sled::IVec>)>,
    head: &Head,
) -> Result<(), StoreError> {
    let mut batch = sled::Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.insert(key, value),
            None => batch.remove(key),
        }
    }
    let head = postcard::to_stdvec(head)
        .map_err(|e| StoreError::Index { path: path.to_owned(), problem: format!("head: {e}") })?;
    batch.insert(b"h", head);
    guarded(path, || db.apply_batch(batch))
}

fn guarded<T>(path: &Path, f: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, StoreError> {
    let problem = |problem: String| StoreError::Index { path: path.to_owned(), problem };
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(problem(e.to_string())),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_else(|| "sled panicked".to_owned());
            Err(problem(text.chars().take(200).collect()))
        }
    }
}

/// Key of a chunk of leaves.
pub fn leaf_key(first: u64) -> Vec<u8> {
    [b"l".as_slice(), &first.to_be_bytes()].concat()
}

/// Key of a tile.
pub fn tile_key(id: TileId) -> Vec<u8> {
    [b"t".as_slice(), &[id.level], &id.index.to_be_bytes()].concat()
}

/// Key of a peer's newest checkpoint.
pub fn peer_key(node: &str) -> Vec<u8> {
    [b"p".as_slice(), node.as_bytes()].concat()
}

/// Leaves as chunks for the store.
pub fn chunks(first: u64, leaves: &[Bytes]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut out: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for (i, leaf) in leaves.iter().enumerate() {
        if out.last().is_none_or(|(_, chunk)| chunk.len() + leaf.len() > CHUNK_BYTES) {
            out.push((leaf_key(first + i as u64), Vec::new()));
        }
        if let Some((_, chunk)) = out.last_mut() {
            chunk.extend_from_slice(&(leaf.len() as u32).to_be_bytes());
            chunk.extend_from_slice(leaf);
        }
    }
    out
}

/// The leaves of a chunk, each after its length; ends with `None` where it is cut off.
pub fn leaves_of(chunk: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(chunk);
    std::iter::from_fn(move || {
        let data = rest.take().filter(|data| !data.is_empty())?;
        let leaf = data.split_first_chunk::<4>().and_then(|(size, after)| {
            let (leaf, after) = after.split_at_checked(u32::from_be_bytes(*size) as usize)?;
            rest = Some(after);
            Some(leaf)
        });
        Some(leaf)
    })
}

/// A tile as it is stored.
pub fn tile_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|h| *h.as_bytes()).collect()
}

impl TileReader for Index {
    type Error = StoreError;

    fn tile(&self, id: TileId) -> Result<Option<Arc<[Hash]>>, StoreError> {
        let Some(bytes) = self.get(&tile_key(id))? else { return Ok(None) };
        let hashes: Option<Vec<Hash>> = bytes.chunks(32).map(Hash::from_slice).collect();
        match hashes {
            Some(hashes) if hashes.len() == 256 => Ok(Some(hashes.into())),
            _ => Err(self.problem(format!("tile {} is damaged", id.path(256)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn head(size: u64) -> Head {
        Head {
            version: 1,
            size,
            checkpoint: String::new(),
            last_time: 0,
            journal: Position::default(),
            sum: Sum::default().0,
        }
    }

    /// The same numbers every time (splitmix64).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ z >> 31) % n
        }
    }

    fn key(numbers: &mut Numbers) -> Vec<u8> {
        format!("{}{:02}", ["fa", "fb", "l"][numbers.below(3) as usize], numbers.below(40)).into_bytes()
    }

    fn pairs(found: Vec<(sled::IVec, sled::IVec)>) -> Vec<(Vec<u8>, Vec<u8>)> {
        found.into_iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect()
    }

    fn same(index: &Index, model: &Model, numbers: &mut Numbers) {
        for _ in 0..20 {
            let (at, limit) = (key(numbers), numbers.below(8) as usize + 1);
            assert_eq!(index.get(&at).unwrap().map(|v| v.to_vec()), model.get(&at).cloned());
            for prefix in [b"fa".as_slice(), b"fb", b"f", b"l"] {
                let within = |(k, _): &(&Vec<u8>, &Vec<u8>)| k.starts_with(prefix);
                let own = |(k, v): (&Vec<u8>, &Vec<u8>)| (k.clone(), v.clone());
                let forwards = model.range(at.clone().max(prefix.to_vec())..).take_while(within);
                let expected: Vec<_> = forwards.take(limit).map(own).collect();
                assert_eq!(pairs(index.scan(prefix, &at, limit).unwrap()), expected);
                if !at.starts_with(prefix) {
                    continue;
                }
                let backwards = model.range(..=at.clone()).rev().take_while(within);
                let expected: Vec<_> = backwards.take(limit).map(own).collect();
                assert_eq!(pairs(index.scan_back(prefix, &at, limit).unwrap()), expected);
            }
        }
    }

    #[test]
    fn readers_see_every_commit_wherever_its_records_are() {
        let dir = tempfile::tempdir().unwrap();
        let mut numbers = Numbers(7);
        let mut model = Model::new();
        let mut size = 0;
        for round in 0..4 {
            let index = Index::open(dir.path(), 16 << 20).unwrap();
            if let Some(head) = index.head().unwrap() {
                assert_eq!(head.size, size);
                // The sum was kept through all batches, and reading everything teaches the keys.
                assert_eq!(index.sum().unwrap(), Sum(head.sum));
                index.start_at(&head);
            }
            for step in 0..60 {
                let mut changes = BTreeMap::new();
                for _ in 0..numbers.below(12) {
                    let key = key(&mut numbers);
                    let value = (numbers.below(3) > 0).then(|| numbers.below(1000).to_be_bytes().to_vec());
                    let before = model.get(&key).cloned();
                    let change =
                        changes.entry(key).or_insert(Change { before: before.map(Into::into), after: None });
                    change.after = value.map(Into::into);
                }
                for (key, change) in &changes {
                    match &change.after {
                        Some(value) => model.insert(key.clone(), value.to_vec()),
                        None => model.remove(key),
                    };
                }
                size += 1;
                let changes = changes.into_iter().filter(|(_, c)| c.before != c.after);
                index.commit(changes.map(|(k, c)| (k.into(), c)).collect(), head(size)).unwrap();
                same(&index, &model, &mut numbers);
                if (step + round) % 17 == 0 {
                    assert_eq!(index.head().unwrap().unwrap().size, size);
                    same(&index, &model, &mut numbers);
                }
            }
            let mut all = Model::new();
            index.for_each(|k, v| drop(all.insert(k.to_vec(), v.to_vec()))).unwrap();
            all.remove(b"h".as_slice());
            assert_eq!(all, model);
            drop(index);
            Index::wait_closed(dir.path()).unwrap();
        }
    }
}
