//! The content store: documents, signatures, envelopes and proofs, by SHA-256.
//!
//! ```text
//! content/00000001.content, …   segments of records: "LTCR" | length u32 | SHA-256 | data
//! content/large/<digest>        one file each, for what is larger than a record
//! content/tmp/                  what is still being written
//! ```
//! Records are appended as they come and made durable by one [`ContentStore::sync`] per commit, before the leaf that
//! names them. Where a digest is stands in the index (sled), which can always be made again by reading the segments.
//! Reading checks the digest. A digest grants nothing: access is the exchange's to decide, by delivery.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::appender::Appender;
use super::disk::{Disk, DiskFile};
use super::journal::Position;
use crate::merkle::{Hash, sha256};

const MAGIC: [u8; 4] = *b"LTCR";
const HEADER: u64 = 40;
/// What is larger gets a file of its own.
pub const RECORD_BYTES: u64 = 1 << 20;
/// Bytes after which a new segment begins.
const SEGMENT_BYTES: u64 = 256 << 20;

/// Where a digest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// In a segment, from that byte on.
    Segment {
        /// Number of the segment.
        segment: u64,
        /// First byte of the data.
        offset: u64,
        /// Bytes.
        length: u32,
    },
    /// In a file of its own.
    File {
        /// Bytes.
        length: u64,
    },
}

impl Location {
    /// Bytes of the content.
    pub fn length(&self) -> u64 {
        match self {
            Location::Segment { length, .. } => u64::from(*length),
            Location::File { length } => *length,
        }
    }
}

/// Looks digests up among what is already committed; the index implements it.
pub trait Locations: Send + Sync {
    /// Where a digest is.
    fn location(&self, digest: &Hash) -> Result<Option<Location>, StoreError>;
}

struct Writing {
    segment: u64,
    /// Where the next record begins in the segment.
    end: u64,
    /// The newest records, not in the file yet: they end at `end`.
    buffer: Vec<u8>,
    /// Where the file ends.
    written: u64,
    /// Put, not yet in the index.
    pending: HashMap<Hash, Location>,
    /// Large files whose names are not yet durable.
    dir_dirty: bool,
}

/// Bytes of records that wait for the file: a commit writes them at once. More are written before.
const BUFFER_BYTES: usize = 1 << 20;

/// Bytes of the newest records that are kept in memory: what came in goes out again soon.
const RECENT_BYTES: usize = 16 << 20;

/// The newest records. Their digests were computed when they came, so they need not be again.
#[derive(Default)]
struct Recent {
    records: HashMap<Hash, Bytes>,
    order: std::collections::VecDeque<Hash>,
    bytes: usize,
}

impl Recent {
    fn add(&mut self, digest: Hash, data: &[u8]) {
        if self.records.insert(digest, Bytes::copy_from_slice(data)).is_none() {
            self.order.push_back(digest);
            self.bytes += data.len();
        }
        while self.bytes > RECENT_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.records.remove(&oldest).map_or(0, |d| d.len());
        }
    }
}

/// The store.
pub struct ContentStore {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    locations: Arc<dyn Locations>,
    /// The newest segment. Whoever holds it takes the buffer out, so that records are written in order; it is taken
    /// before `writing`, which is never held while the disk is at work: nobody who puts waits for a sync.
    file: Mutex<Option<Appender>>,
    writing: Mutex<Writing>,
    readers: Mutex<HashMap<u64, Arc<dyn DiskFile>>>,
    recent: Mutex<Recent>,
    next_tmp: std::sync::atomic::AtomicU64,
}

/// What a [`ContentStore::sync`] made durable.
#[derive(Debug, Clone, Default)]
pub struct Synced {
    /// New digests, for the index.
    pub entries: Vec<(Hash, Location)>,
    /// Everything before this place is in the index after these entries.
    pub position: Position,
}

impl ContentStore {
    /// Opens the store; what the index misses from `from` on is read from the segments and given to `found`.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        locations: Arc<dyn Locations>,
        from: Position,
        mut found: impl FnMut(Hash, Location),
    ) -> Result<ContentStore, StoreError> {
        for sub in ["large", "tmp"] {
            let path = dir.join(sub);
            disk.create_dir(&path).map_err(StoreError::io("creating", &path))?;
        }
        let tmp = dir.join("tmp");
        for name in disk.list(&tmp).map_err(StoreError::io("listing", &tmp))? {
            let path = tmp.join(name);
            disk.remove(&path).map_err(StoreError::io("removing", &path))?;
        }
        let mut segment = 0;
        let mut end = 0;
        for number in numbers(&*disk, dir)? {
            if number < from.segment {
                segment = number;
                end = u64::MAX;
                continue;
            }
            let start = if number == from.segment { from.offset } else { 0 };
            end = scan(&*disk, &dir.join(name(number)), start, |digest, offset, length| {
                found(digest, Location::Segment { segment: number, offset, length });
            })?;
            segment = number;
        }
        // A sled that is behind may miss any of them, not only the newest.
        let large = dir.join("large");
        for name in disk.list(&large).map_err(StoreError::io("listing", &large))? {
            let path = large.join(&name);
            if let Ok(digest) = name.parse::<Hash>()
                && locations.location(&digest)?.is_none()
            {
                let file = disk.open_read(&path).map_err(StoreError::io("opening", &path))?;
                let length = file.len().map_err(StoreError::io("measuring", &path))?;
                found(digest, Location::File { length });
            }
        }
        let appender = if segment > 0 && end != u64::MAX {
            Some(Appender::resume(&*disk, &dir.join(name(segment)), end)?.without_zeros())
        } else {
            None
        };
        // A segment to come is made with its first record.
        let end = appender.as_ref().map_or(SEGMENT_BYTES, Appender::end);
        Ok(ContentStore {
            disk,
            dir: dir.to_owned(),
            locations,
            file: Mutex::new(appender),
            writing: Mutex::new(Writing {
                segment,
                end,
                written: end,
                buffer: Vec::new(),
                pending: HashMap::new(),
                dir_dirty: false,
            }),
            readers: Mutex::new(HashMap::new()),
            recent: Mutex::default(),
            next_tmp: std::sync::atomic::AtomicU64::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().expect("no holder of this lock panics")
    }

    /// Appends a small record, unless it is there. Durable after the next [`ContentStore::sync`].
    pub fn put(&self, data: &[u8]) -> Result<Hash, StoreError> {
        let digest = sha256(data);
        self.put_hashed(digest, data)?;
        Ok(digest)
    }

    /// The same, with the digest at hand. `data` is at most [`RECORD_BYTES`].
    pub fn put_hashed(&self, digest: Hash, data: &[u8]) -> Result<(), StoreError> {
        loop {
            let mut writing = self.lock();
            if writing.pending.contains_key(&digest) || self.locations.location(&digest)?.is_some() {
                return Ok(());
            }
            if writing.end + HEADER > SEGMENT_BYTES {
                drop(writing);
                self.next_segment()?;
                continue;
            }
            if writing.buffer.len() > BUFFER_BYTES {
                drop(writing);
                self.write_buffer(&mut self.file())?;
                continue;
            }
            writing.buffer.extend_from_slice(&MAGIC);
            writing.buffer.extend_from_slice(&(data.len() as u32).to_be_bytes());
            writing.buffer.extend_from_slice(digest.as_bytes());
            writing.buffer.extend_from_slice(data);
            let (segment, offset) = (writing.segment, writing.end + HEADER);
            writing.end = offset + data.len() as u64;
            writing.pending.insert(digest, Location::Segment { segment, offset, length: data.len() as u32 });
            break;
        }
        self.recent.lock().expect("no holder of this lock panics").add(digest, data);
        Ok(())
    }

    fn file(&self) -> MutexGuard<'_, Option<Appender>> {
        self.file.lock().expect("no holder of this lock panics")
    }

    /// Writes what waits. What could not be written goes on waiting.
    fn write_buffer(&self, file: &mut Option<Appender>) -> Result<(), StoreError> {
        let buffer = std::mem::take(&mut self.lock().buffer);
        let Some(appender) = file.as_mut().filter(|_| !buffer.is_empty()) else { return Ok(()) };
        let written = appender.append(&buffer);
        let mut writing = self.lock();
        match written {
            Ok(at) => {
                writing.written = at + buffer.len() as u64;
                Ok(())
            }
            Err(error) => {
                writing.buffer.splice(..0, buffer);
                Err(error)
            }
        }
    }

    /// Begins a new segment, if the newest is full.
    fn next_segment(&self) -> Result<(), StoreError> {
        let mut file = self.file();
        let segment = {
            let writing = self.lock();
            if writing.end + HEADER <= SEGMENT_BYTES {
                // Another was quicker.
                return Ok(());
            }
            writing.segment
        };
        // Nothing is added to a full one.
        self.write_buffer(&mut file)?;
        if let Some(old) = file.as_mut() {
            old.sync()?;
        }
        let number = segment + 1;
        let path = self.dir.join(name(number));
        // A create that failed half-way left an empty file of that name.
        if numbers(&*self.disk, &self.dir)?.contains(&number) {
            self.disk.remove(&path).map_err(StoreError::io("removing", &path))?;
        }
        *file = Some(Appender::create(&*self.disk, &path)?.without_zeros());
        let mut writing = self.lock();
        (writing.segment, writing.end, writing.written) = (number, 0, 0);
        Ok(())
    }

    /// A place to write large content to, piece by piece.
    pub fn begin(&self) -> Result<Upload, StoreError> {
        let n = self.next_tmp.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = self.dir.join("tmp").join(format!("{n}.part"));
        let file = self.disk.create(&path).map_err(StoreError::io("creating", &path))?;
        Ok(Upload { disk: self.disk.clone(), path, file, length: 0, finished: false })
    }

    /// Takes a finished upload in: synced, and in its place under its digest.
    pub fn finish(&self, mut upload: Upload, digest: Hash) -> Result<(), StoreError> {
        upload.file.sync().map_err(StoreError::io("syncing", &upload.path))?;
        let path = self.large_path(&digest);
        self.disk.rename(&upload.path, &path).map_err(StoreError::io("renaming", &path))?;
        upload.finished = true;
        let mut writing = self.lock();
        writing.dir_dirty = true;
        // What is pending is new to the index: the commit adds it without looking.
        if !writing.pending.contains_key(&digest) && self.locations.location(&digest)?.is_none() {
            writing.pending.insert(digest, Location::File { length: upload.length });
        }
        Ok(())
    }

    /// Makes everything put so far durable and hands over what the index does not know yet.
    pub fn sync(&self) -> Result<Synced, StoreError> {
        let mut file = self.file();
        let (dir_dirty, synced) = {
            let mut writing = self.lock();
            let entries = writing.pending.iter().map(|(d, l)| (*d, *l)).collect();
            let offset = if writing.segment == 0 { 0 } else { writing.end };
            let position = Position { segment: writing.segment, offset };
            (std::mem::take(&mut writing.dir_dirty), Synced { entries, position })
        };
        self.write_buffer(&mut file)?;
        if let Some(appender) = file.as_mut() {
            appender.sync()?;
        }
        if dir_dirty {
            let large = self.dir.join("large");
            self.disk.sync_dir(&large).map_err(StoreError::sync(&large)).inspect_err(|_| {
                self.lock().dir_dirty = true;
            })?;
        }
        Ok(synced)
    }

    /// Forgets what the index has taken over.
    pub fn indexed(&self, entries: &[(Hash, Location)]) {
        let mut writing = self.lock();
        for (digest, _) in entries {
            writing.pending.remove(digest);
        }
    }

    fn large_path(&self, digest: &Hash) -> PathBuf {
        self.dir.join("large").join(digest.to_string())
    }

    /// Where a digest is, durable or not.
    pub fn location(&self, digest: &Hash) -> Result<Option<Location>, StoreError> {
        if let Some(location) = self.lock().pending.get(digest) {
            return Ok(Some(*location));
        }
        self.locations.location(digest)
    }

    /// The whole of a small content, its digest checked. `None` when it is not there.
    pub fn get(&self, digest: &Hash) -> Result<Option<Bytes>, StoreError> {
        if let Some(data) = self.recent.lock().expect("no holder of this lock panics").records.get(digest) {
            return Ok(Some(data.clone()));
        }
        let Some(location) = self.location(digest)? else { return Ok(None) };
        let mut data = vec![0; location.length() as usize];
        self.read(digest, &location, 0, &mut data)?;
        if sha256(&data) != *digest {
            return Err(StoreError::Damaged {
                path: self.path_of(digest, &location),
                offset: match location {
                    Location::Segment { offset, .. } => offset,
                    Location::File { .. } => 0,
                },
                problem: format!("the content is not that of {digest}"),
            });
        }
        Ok(Some(data.into()))
    }

    fn path_of(&self, digest: &Hash, location: &Location) -> PathBuf {
        match location {
            Location::Segment { segment, .. } => self.dir.join(name(*segment)),
            Location::File { .. } => self.large_path(digest),
        }
    }

    /// A piece of a content, not checked: the reader hashes as it goes.
    pub fn read(
        &self,
        digest: &Hash,
        location: &Location,
        from: u64,
        buffer: &mut [u8],
    ) -> Result<(), StoreError> {
        let path = self.path_of(digest, location);
        match location {
            Location::File { .. } => {
                let file = self.disk.open_read(&path).map_err(StoreError::io("opening", &path))?;
                file.read_at(buffer, from).map_err(StoreError::io("reading", &path))
            }
            Location::Segment { segment, offset, length } => {
                let waits = {
                    let writing = self.lock();
                    *segment == writing.segment && offset + u64::from(*length) > writing.written
                };
                if waits {
                    self.write_buffer(&mut self.file())?;
                }
                let file = {
                    let mut readers = self.readers.lock().expect("no holder of this lock panics");
                    match readers.get(segment) {
                        Some(file) => file.clone(),
                        None => {
                            let file =
                                self.disk.open_read(&path).map_err(StoreError::io("opening", &path))?;
                            readers.insert(*segment, file.clone());
                            file
                        }
                    }
                };
                file.read_at(buffer, offset + from).map_err(StoreError::io("reading", &path))
            }
        }
    }
}

/// Large content on its way in. Removed when it is not finished.
pub struct Upload {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    length: u64,
    finished: bool,
}

impl Upload {
    /// Appends a piece.
    pub fn write(&mut self, data: &[u8]) -> Result<(), StoreError> {
        self.file.write_at(data, self.length).map_err(StoreError::io("writing", &self.path))?;
        self.length += data.len() as u64;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.finished {
            // Left-overs are removed at the next opening as well.
            let _ = self.disk.remove(&self.path);
        }
    }
}

fn name(number: u64) -> String {
    format!("{number:08}.content")
}

fn numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StoreError> {
    let names = disk.list(dir).map_err(StoreError::io("listing", dir))?;
    Ok(names.iter().filter_map(|n| n.strip_suffix(".content").and_then(|n| n.parse().ok())).collect())
}

/// Reads the records of a segment from `start`; returns where the last good one ends. A bad record with a good one
/// behind it is damage, and passed over: only what no leaf can name is at the end and may be torn.
fn scan(
    disk: &dyn Disk,
    path: &Path,
    start: u64,
    mut found: impl FnMut(Hash, u64, u32),
) -> Result<u64, StoreError> {
    let file = disk.open_read(path).map_err(StoreError::io("opening", path))?;
    let length = file.len().map_err(StoreError::io("measuring", path))?;
    let (mut at, mut end) = (start, start);
    loop {
        if let Some((digest, size)) = record_at(&*file, path, at, length)? {
            found(digest, at + HEADER, size);
            at += HEADER + u64::from(size);
            end = at;
            continue;
        }
        let Some(next) = next_record(&*file, path, at + 1, length)? else { return Ok(end) };
        tracing::error!(path = %path.display(), offset = at, "content is damaged; what follows it is good");
        at = next;
    }
}

/// The digest and size of the record at `at`, if a good one is there.
fn record_at(
    file: &dyn DiskFile,
    path: &Path,
    at: u64,
    length: u64,
) -> Result<Option<(Hash, u32)>, StoreError> {
    if at + HEADER > length {
        return Ok(None);
    }
    let mut header = [0; HEADER as usize];
    file.read_at(&mut header, at).map_err(StoreError::io("reading", path))?;
    let size = u32::from_be_bytes(header[4..8].try_into().expect("four bytes"));
    if header[..4] != MAGIC || u64::from(size) > RECORD_BYTES || at + HEADER + u64::from(size) > length {
        return Ok(None);
    }
    let mut data = vec![0; size as usize];
    file.read_at(&mut data, at + HEADER).map_err(StoreError::io("reading", path))?;
    Ok(Hash::from_slice(&header[8..]).filter(|digest| sha256(&data) == *digest).map(|digest| (digest, size)))
}

/// Where the next good record begins, from `from` on.
fn next_record(file: &dyn DiskFile, path: &Path, from: u64, length: u64) -> Result<Option<u64>, StoreError> {
    let mut window = vec![0; 1 << 20];
    let mut at = from;
    while at + HEADER <= length {
        let n = (length - at).min(window.len() as u64) as usize;
        let window = &mut window[..n];
        file.read_at(window, at).map_err(StoreError::io("reading", path))?;
        for i in window.windows(MAGIC.len()).enumerate().filter(|(_, w)| *w == MAGIC).map(|(i, _)| i as u64) {
            if record_at(file, path, at + i, length)?.is_some() {
                return Ok(Some(at + i));
            }
        }
        // The mark may lie across two windows.
        at += (n - (MAGIC.len() - 1)) as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::RealDisk;

    struct Nothing;

    impl Locations for Nothing {
        fn location(&self, _: &Hash) -> Result<Option<Location>, StoreError> {
            Ok(None)
        }
    }

    fn open(dir: &Path, found: &mut Vec<Hash>) -> ContentStore {
        let disk = Arc::new(RealDisk);
        ContentStore::open(disk, dir, Arc::new(Nothing), Position::default(), |d, _| found.push(d)).unwrap()
    }

    #[test]
    fn what_was_put_is_found_again_by_reading_the_segments() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), &mut Vec::new());
        let small = store.put(b"small").unwrap();
        let mut upload = store.begin().unwrap();
        upload.write(b"large").unwrap();
        let large = sha256(b"large");
        store.finish(upload, large).unwrap();
        store.sync().unwrap();
        assert_eq!(store.get(&small).unwrap().unwrap(), "small");
        drop(store);
        let mut found = Vec::new();
        let store = open(dir.path(), &mut found);
        assert!(found.contains(&small) && found.contains(&large));
        store.put(b"more").unwrap();
        store.sync().unwrap();
        let mut found = Vec::new();
        drop(store);
        open(dir.path(), &mut found);
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn an_unfinished_upload_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), &mut Vec::new());
        let mut upload = store.begin().unwrap();
        upload.write(b"half").unwrap();
        drop(upload);
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }
}
