//! The content store: documents, signatures, envelopes and proofs, by SHA-256.
//!
//! ```text
//! content/00000001.content, …   segments of records ([`record`])
//! content/00000001-1.content     the same, written again without what was purged (`purge`)
//! content/00000001.index, …     where each digest of a full segment is (`sealed`)
//! content/large/<digest>        one file each, for what is larger than a record
//! content/tmp/                  what is still being written
//! content/partial/              what came in part and may go on ([`partial`])
//! ```
//! Records are appended as they come and made durable by one [`ContentStore::sync`] per commit, before the leaf that
//! names them. The places in the newest segment are in memory, and read from it at opening; those in the others are
//! in their index files. Reading checks the digest. A digest grants nothing: access is the exchange's to decide, by
//! delivery.
//!
//! A full disk: the records that wait for the file and do not fit are forgotten, so that they take no room from what
//! others write; their digests are remembered ([`ContentStore::claim`]), and the ledger refuses what names them.
//! Who sends again puts them again.
//!
//! Content that comes again is written again, unless this process wrote it itself into the newest segment: what an
//! earlier process wrote may have been seen in the cache of the system and never have reached the disk.

mod offline;
pub mod partial;
mod purge;
pub mod record;
mod sealed;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;

use super::StoreError;
use super::appender::Appender;
use super::disk::{Disk, DiskFile};
use super::filter::KnownKeys;
use crate::merkle::{Hash, sha256};
pub use offline::{StoppedContent, backup_files};
pub use purge::Removed;
use record::HEADER;
pub use record::RECORD_BYTES;
use sealed::{Places, Sealed};

/// Bytes after which a new segment begins. The newest is read at opening: a tenth of a second.
const SEGMENT_BYTES: u64 = 128 << 20;
/// Records after which it does: their places are in memory.
const SEGMENT_RECORDS: usize = 200_000;

/// Where a digest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

struct Writing {
    /// Number of the newest segment.
    segment: u64,
    /// Its id: the number, and the revision of one that was written again and is the newest after a start.
    file: u64,
    /// Where the next record begins in the segment.
    end: u64,
    /// The newest records, not in the file yet: they end at `end`.
    buffer: Vec<u8>,
    /// The buffer before, to be used again.
    spare: Vec<u8>,
    /// Where the file ends.
    written: u64,
    /// What this process put into the segment, durable or not.
    places: Places,
    /// What was in it at opening.
    before: Places,
    /// Large files whose names are not yet durable.
    dir_dirty: bool,
    /// What was put, found no room and was forgotten.
    lost: HashSet<Hash>,
    /// What may go, unless somebody spares it.
    condemned: HashSet<Hash>,
    /// What went in the last removal: who named it before must put it again.
    removed: HashSet<Hash>,
}

impl Writing {
    fn is_full(&self, segment_bytes: u64) -> bool {
        self.end + HEADER > segment_bytes || self.places.len() + self.before.len() >= SEGMENT_RECORDS
    }
}

/// Segments kept open for reading.
const OPEN_SEGMENTS: usize = 64;

/// Bytes of records that wait for the file: a commit writes them at once. More are written before.
const BUFFER_BYTES: usize = 1 << 20;

/// Bytes of the newest records that are kept in memory: what came in goes out again soon.
const RECENT_BYTES: usize = 16 << 20;

/// Digests of forgotten records that are remembered; more of them wait for room instead.
const LOST_RECORDS: usize = 100_000;

/// The newest records. Their digests were computed when they came, so they need not be again.
#[derive(Default)]
struct Recent {
    records: HashMap<Hash, Bytes>,
    order: std::collections::VecDeque<Hash>,
    bytes: usize,
}

impl Recent {
    fn forget(&mut self, digest: &Hash) {
        if let Some(data) = self.records.remove(digest) {
            self.bytes -= data.len();
            self.order.retain(|d| d != digest);
        }
    }

    fn add(&mut self, digest: Hash, data: Bytes) {
        let bytes = data.len();
        if self.records.insert(digest, data).is_none() {
            self.order.push_back(digest);
            self.bytes += bytes;
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
    /// Full segments, the oldest first.
    sealed: RwLock<Vec<Arc<Sealed>>>,
    /// Digests that may have a file of their own.
    large: KnownKeys,
    /// The newest segment. Whoever holds it takes the buffer out, so that records are written in order; it is taken
    /// before `writing`, which is never held while the disk is at work: nobody who puts waits for a sync.
    file: Mutex<Option<Appender>>,
    writing: Mutex<Writing>,
    readers: Mutex<HashMap<u64, Arc<dyn DiskFile>>>,
    /// Held while large content takes its place; a removal has it alone.
    gate: RwLock<()>,
    segment_bytes: u64,
    recent: Mutex<Recent>,
    next_tmp: std::sync::atomic::AtomicU64,
    /// Transfers that had begun before this process, until somebody takes them.
    partials: Mutex<Vec<partial::Found>>,
}

impl ContentStore {
    /// Opens the store.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<ContentStore, StoreError> {
        ContentStore::open_with(disk, dir, SEGMENT_BYTES)
    }

    fn open_with(disk: Arc<dyn Disk>, dir: &Path, segment_bytes: u64) -> Result<ContentStore, StoreError> {
        for sub in ["large", "tmp"] {
            let path = dir.join(sub);
            disk.create_dir(&path).map_err(StoreError::io("creating", &path))?;
        }
        let tmp = dir.join("tmp");
        for name in disk.list(&tmp).map_err(StoreError::io("listing", &tmp))? {
            let path = tmp.join(name);
            disk.remove(&path).map_err(StoreError::io("removing", &path))?;
        }
        // A process that ended before it synced a folder left names that are seen and not durable: what is put under
        // them from now on must not hang on that.
        for dir in [dir, &dir.join("large")] {
            disk.sync_dir(dir).map_err(StoreError::io("syncing", dir))?;
        }
        let partials = partial::list(&*disk, &dir.join("partial"))?;
        let mut numbers = purge::newest_revisions(&*disk, dir)?;
        let newest = numbers.pop();
        let mut sealed = Vec::with_capacity(numbers.len());
        for number in numbers {
            let known = Sealed::open(&disk, dir, number)?;
            sealed.push(Arc::new(match known {
                Some(known) => known,
                None => {
                    tracing::warn!(segment = number, "the index of a content segment is made again");
                    let mut places = Places::new();
                    scan(&*disk, dir, number, &mut places)?;
                    Sealed::seal(&disk, dir, number, &places)?
                }
            }));
        }
        let mut places = Places::new();
        let appender = match newest {
            None => None,
            Some(number) => {
                let path = dir.join(name(number));
                let end = scan(&*disk, dir, number, &mut places)?;
                let mut appender = Appender::resume_at_end(&*disk, &path)?.without_zeros();
                // What is served must be on the disk, whoever wrote it.
                appender.sync()?;
                if appender.end() > end {
                    // Torn, or damaged: it is not for this program to say, so nothing is written over it.
                    tracing::warn!(path = %path.display(), offset = end, bytes = appender.end() - end,
                        "the end of a content segment is no whole record: it is left as it is");
                    sealed.push(Arc::new(Sealed::seal(&disk, dir, number, &places)?));
                    places.clear();
                    None
                } else {
                    Some(appender)
                }
            }
        };
        let known = KnownKeys::default();
        let large = dir.join("large");
        for name in disk.list(&large).map_err(StoreError::io("listing", &large))? {
            if let Ok(digest) = name.parse::<Hash>() {
                known.add([digest.as_bytes().as_slice()]);
            }
        }
        known.set_complete();
        // A segment to come is made with its first record.
        let end = appender.as_ref().map_or(segment_bytes, Appender::end);
        Ok(ContentStore {
            disk,
            dir: dir.to_owned(),
            sealed: RwLock::new(sealed),
            large: known,
            file: Mutex::new(appender),
            writing: Mutex::new(Writing {
                segment: newest.map_or(0, purge::number_of),
                file: newest.unwrap_or(0),
                end,
                written: end,
                buffer: Vec::new(),
                spare: Vec::new(),
                places: Places::new(),
                before: places,
                dir_dirty: false,
                lost: HashSet::new(),
                condemned: HashSet::new(),
                removed: HashSet::new(),
            }),
            readers: Mutex::new(HashMap::new()),
            gate: RwLock::new(()),
            segment_bytes,
            recent: Mutex::default(),
            next_tmp: std::sync::atomic::AtomicU64::new(0),
            partials: Mutex::new(partials),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().expect("no holder of this lock panics")
    }

    /// Appends a small record, unless it is there. Durable after the next [`ContentStore::sync`].
    pub fn put(&self, data: &[u8]) -> Result<Hash, StoreError> {
        let digest = sha256(data);
        self.put_hashed(digest, Bytes::copy_from_slice(data))?;
        Ok(digest)
    }

    /// Content of any size that is at hand, with its digest.
    pub fn put_whole(&self, digest: Hash, data: &[u8]) -> Result<(), StoreError> {
        if data.len() as u64 <= RECORD_BYTES {
            return self.put_hashed(digest, Bytes::copy_from_slice(data));
        }
        self.spare(&digest);
        if self.location(&digest)?.is_some() {
            return Ok(());
        }
        let mut upload = self.begin()?;
        upload.write(data)?;
        self.finish(upload, digest)
    }

    /// The same, with the digest at hand. `data` is at most [`RECORD_BYTES`]. It is kept for a while as it is: a slice of
    /// something much larger would keep all of that.
    pub fn put_hashed(&self, digest: Hash, data: Bytes) -> Result<(), StoreError> {
        loop {
            let mut writing = self.lock();
            writing.condemned.remove(&digest);
            if writing.places.contains_key(&digest) {
                return Ok(());
            }
            if writing.is_full(self.segment_bytes) {
                drop(writing);
                self.next_segment(false)?;
                continue;
            }
            if writing.buffer.len() > BUFFER_BYTES {
                drop(writing);
                self.write_buffer(&mut self.file())?;
                continue;
            }
            record::write(&mut writing.buffer, &digest, &data);
            let offset = writing.end + HEADER;
            writing.end = offset + data.len() as u64;
            writing.places.insert(digest, (offset, data.len() as u32));
            writing.lost.remove(&digest);
            writing.removed.remove(&digest);
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
        let mut buffer = {
            let mut writing = self.lock();
            let spare = std::mem::take(&mut writing.spare);
            std::mem::replace(&mut writing.buffer, spare)
        };
        let Some(appender) = file.as_mut().filter(|_| !buffer.is_empty()) else { return Ok(()) };
        let written = appender.append(&buffer);
        let mut writing = self.lock();
        match written {
            Ok(at) => {
                writing.written = at + buffer.len() as u64;
                buffer.clear();
                writing.spare = buffer;
                Ok(())
            }
            Err(error) => {
                writing.buffer.splice(..0, buffer);
                Err(error)
            }
        }
    }

    /// After a full disk: forgets the records that wait.
    fn forget_waiting(&self, file: &mut Option<Appender>) {
        let mut writing = self.lock();
        let written = writing.written;
        let lost: Vec<Hash> = writing
            .places
            .iter()
            .filter(|(_, place)| place.0 >= written)
            .map(|(digest, _)| *digest)
            .collect();
        if writing.lost.len() + lost.len() > LOST_RECORDS {
            return;
        }
        writing.buffer.clear();
        writing.end = written;
        let mut recent = self.recent.lock().expect("no holder of this lock panics");
        for digest in &lost {
            writing.places.remove(digest);
            recent.forget(digest);
        }
        tracing::warn!(
            records = lost.len(),
            "content found no room and was given up: who sent it is refused"
        );
        writing.lost.extend(lost);
        if let Some(appender) = file.as_mut() {
            appender.cut();
        }
    }

    /// Whether anything that was put may not be there any more, so that it must be claimed before it is named.
    pub fn must_claim(&self) -> bool {
        let writing = self.lock();
        !(writing.lost.is_empty() && writing.condemned.is_empty() && writing.removed.is_empty())
    }

    /// Begins a new segment, if the newest is full, or if it must be.
    fn next_segment(&self, must: bool) -> Result<(), StoreError> {
        let mut file = self.file();
        let (segment, id) = {
            let writing = self.lock();
            if !must && !writing.is_full(self.segment_bytes) {
                // Another was quicker.
                return Ok(());
            }
            (writing.segment, writing.file)
        };
        // Nothing is added to a full one.
        self.write_buffer(&mut file)?;
        if let Some(old) = file.as_mut() {
            old.sync()?;
            let places = {
                let writing = self.lock();
                let mut places = writing.before.clone();
                places.extend(&writing.places);
                places
            };
            let sealed = Arc::new(Sealed::seal(&self.disk, &self.dir, id, &places)?);
            let mut all = self.sealed.write().unwrap_or_else(PoisonError::into_inner);
            all.retain(|known| known.number != id);
            all.push(sealed);
        }
        let number = segment + 1;
        let path = self.dir.join(name(number));
        // A create that failed half-way left an empty file of that name.
        if numbers(&*self.disk, &self.dir)?.contains(&number) {
            self.disk.remove(&path).map_err(StoreError::io("removing", &path))?;
        }
        *file = Some(Appender::create(&*self.disk, &path)?.without_zeros());
        let mut writing = self.lock();
        (writing.segment, writing.file, writing.end, writing.written) = (number, number, 0, 0);
        writing.places = Places::new();
        writing.before = Places::new();
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
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        self.spare(&digest);
        let path = large_path(&self.dir, &digest);
        self.disk.rename(&upload.path, &path).map_err(StoreError::io("renaming", &path))?;
        upload.finished = true;
        let mut writing = self.lock();
        writing.dir_dirty = true;
        writing.removed.remove(&digest);
        self.large.add([digest.as_bytes().as_slice()]);
        Ok(())
    }

    /// Makes everything put so far durable. When the disk is full, what waits is forgotten, and everything before it is
    /// as durable as it was.
    pub fn sync(&self) -> Result<(), StoreError> {
        let mut file = self.file();
        if let Err(error) = self.write_buffer(&mut file) {
            if matches!(error, StoreError::Full { .. }) {
                self.forget_waiting(&mut file);
            }
            return Err(error);
        }
        if let Some(appender) = file.as_mut() {
            appender.sync()?;
        }
        let dir_dirty = std::mem::take(&mut self.lock().dir_dirty);
        if dir_dirty {
            let large = self.dir.join("large");
            self.disk.sync_dir(&large).map_err(StoreError::sync(&large)).inspect_err(|_| {
                self.lock().dir_dirty = true;
            })?;
        }
        Ok(())
    }

    /// Where a digest is, durable or not.
    pub fn location(&self, digest: &Hash) -> Result<Option<Location>, StoreError> {
        again(|| self.location_now(digest))
    }

    fn location_now(&self, digest: &Hash) -> Result<Option<Location>, StoreError> {
        {
            let writing = self.lock();
            if let Some((offset, length)) = writing.places.get(digest).or_else(|| writing.before.get(digest))
            {
                let (segment, offset, length) = (writing.file, *offset, *length);
                return Ok(Some(Location::Segment { segment, offset, length }));
            }
        }
        if let Some(location) = self.in_sealed(digest)? {
            return Ok(Some(location));
        }
        if self.large.excludes(digest.as_bytes()) {
            return Ok(None);
        }
        large_location(&*self.disk, &self.dir, digest)
    }

    fn in_sealed(&self, digest: &Hash) -> Result<Option<Location>, StoreError> {
        // Files are opened: not under the lock.
        let sealed = self.sealed.read().unwrap_or_else(PoisonError::into_inner).clone();
        sealed_location(sealed.iter().map(|segment| &**segment), digest)
    }

    /// The whole of a small content, its digest checked. `None` when it is not there.
    pub fn get(&self, digest: &Hash) -> Result<Option<Bytes>, StoreError> {
        if let Some(data) = self.recent.lock().expect("no holder of this lock panics").records.get(digest) {
            return Ok(Some(data.clone()));
        }
        again(|| self.get_now(digest))
    }

    fn get_now(&self, digest: &Hash) -> Result<Option<Bytes>, StoreError> {
        let Some(location) = self.location_now(digest)? else { return Ok(None) };
        let mut data = vec![0; location.length() as usize];
        self.read_now(digest, &location, 0, &mut data)?;
        if sha256(&data) != *digest {
            return Err(StoreError::Damaged {
                path: path_of(&self.dir, digest, &location),
                offset: match location {
                    Location::Segment { offset, .. } => offset,
                    Location::File { .. } => 0,
                },
                problem: format!("the content is not that of {digest}"),
            });
        }
        Ok(Some(data.into()))
    }

    /// A piece of a content, not checked: the reader hashes as it goes.
    pub fn read(
        &self,
        digest: &Hash,
        location: &Location,
        from: u64,
        buffer: &mut [u8],
    ) -> Result<(), StoreError> {
        match self.read_now(digest, location, from, buffer) {
            Err(error) if moved(&error) => match self.location(digest)? {
                Some(location) => self.read_now(digest, &location, from, buffer),
                None => Err(error),
            },
            read => read,
        }
    }

    fn read_now(
        &self,
        digest: &Hash,
        location: &Location,
        from: u64,
        buffer: &mut [u8],
    ) -> Result<(), StoreError> {
        let path = path_of(&self.dir, digest, location);
        match location {
            Location::File { .. } => {
                let file = self.disk.open_read(&path).map_err(StoreError::io("opening", &path))?;
                file.read_at(buffer, from).map_err(StoreError::io("reading", &path))
            }
            Location::Segment { segment, offset, length } => {
                {
                    let writing = self.lock();
                    let first = (offset + from).checked_sub(writing.end - writing.buffer.len() as u64);
                    let newest = *segment == writing.file;
                    if let Some(first) = first.filter(|_| newest)
                        && let Some(data) = writing.buffer.get(first as usize..first as usize + buffer.len())
                    {
                        // It waits for the file.
                        buffer.copy_from_slice(data);
                        return Ok(());
                    }
                    if newest && offset + u64::from(*length) > writing.written {
                        drop(writing);
                        // It is being written.
                        drop(self.file());
                    }
                }
                let file = {
                    let mut readers = self.readers.lock().expect("no holder of this lock panics");
                    match readers.get(segment) {
                        Some(file) => file.clone(),
                        None => {
                            let file =
                                self.disk.open_read(&path).map_err(StoreError::io("opening", &path))?;
                            if readers.len() >= OPEN_SEGMENTS {
                                readers.clear();
                            }
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

/// The file of a large content, below the store's folder.
fn large_path(dir: &Path, digest: &Hash) -> PathBuf {
    dir.join("large").join(digest.to_string())
}

/// The file that a content is in.
fn path_of(dir: &Path, digest: &Hash, location: &Location) -> PathBuf {
    match location {
        Location::Segment { segment, .. } => dir.join(name(*segment)),
        Location::File { .. } => large_path(dir, digest),
    }
}

/// Where a digest is among full segments; the newest that has it.
fn sealed_location<'a>(
    sealed: impl DoubleEndedIterator<Item = &'a Sealed>,
    digest: &Hash,
) -> Result<Option<Location>, StoreError> {
    for segment in sealed.rev() {
        if let Some((offset, length)) = segment.find(digest)? {
            return Ok(Some(Location::Segment { segment: segment.number, offset, length }));
        }
    }
    Ok(None)
}

/// Where a digest is when it has a file of its own.
fn large_location(disk: &dyn Disk, dir: &Path, digest: &Hash) -> Result<Option<Location>, StoreError> {
    let path = large_path(dir, digest);
    match disk.open_read(&path) {
        Ok(file) => {
            let length = file.len().map_err(StoreError::io("measuring", &path))?;
            Ok(Some(Location::File { length }))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StoreError::io("opening", &path)(e)),
    }
}

/// The hash of a content as it is there, and its bytes, read piece by piece; `piece` is told of every one.
fn hash_of(
    length: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), StoreError>,
    piece: &mut dyn FnMut(u64),
) -> Result<(Hash, u64), StoreError> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; length.min(RECORD_BYTES) as usize];
    let mut at = 0;
    while at < length {
        let n = (length - at).min(RECORD_BYTES) as usize;
        read(at, &mut buffer[..n])?;
        context.update(&buffer[..n]);
        at += n as u64;
        piece(n as u64);
    }
    let hash = Hash::from_slice(context.finish().as_ref()).expect("SHA-256 has 32 bytes");
    Ok((hash, length))
}

impl ContentStore {
    /// The hash of a content as it is on the disk, and its bytes; `piece` is told of every piece that was read.
    pub fn hash(&self, digest: &Hash, piece: &mut dyn FnMut(u64)) -> Result<Option<(Hash, u64)>, StoreError> {
        let Some(location) = self.location(digest)? else { return Ok(None) };
        let read = |at, buffer: &mut [u8]| self.read(digest, &location, at, buffer);
        hash_of(location.length(), read, piece).map(Some)
    }
}

/// A content that is read piece by piece. Small ones are read at once; large ones keep their file open.
pub enum Reader {
    /// All of it, its digest checked.
    Whole(Bytes),
    /// A file of its own, not checked: the reader hashes as it goes.
    File {
        /// The file.
        file: Arc<dyn DiskFile>,
        /// Where it is.
        path: PathBuf,
        /// Bytes.
        length: u64,
    },
}

impl ContentStore {
    /// Opens a content for reading. `None` when it is not there.
    pub fn reader(&self, digest: &Hash) -> Result<Option<Reader>, StoreError> {
        match self.location(digest)? {
            None => Ok(None),
            Some(Location::Segment { .. }) => Ok(self.get(digest)?.map(Reader::Whole)),
            Some(Location::File { length }) => {
                let path = large_path(&self.dir, digest);
                let file = self.disk.open_read(&path).map_err(StoreError::io("opening", &path))?;
                Ok(Some(Reader::File { file, path, length }))
            }
        }
    }
}

impl Reader {
    /// At most `most` bytes from an offset on; none at the end.
    pub fn piece(&self, offset: u64, most: usize) -> Result<Bytes, StoreError> {
        match self {
            Reader::Whole(data) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
                Ok(data.slice(from..data.len().min(from.saturating_add(most))))
            }
            Reader::File { file, path, length } => {
                let mut buffer = vec![0; length.saturating_sub(offset).min(most as u64) as usize];
                file.read_at(&mut buffer, offset).map_err(StoreError::io("reading", path))?;
                Ok(buffer.into())
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

impl Upload {
    /// What came so far, whole.
    pub fn read(&self) -> Result<Bytes, StoreError> {
        let mut data = vec![0; self.length as usize];
        self.file.read_at(&mut data, 0).map_err(StoreError::io("reading", &self.path))?;
        Ok(data.into())
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

/// Reads the places in a segment; returns where its last good record ends.
fn scan(disk: &dyn Disk, dir: &Path, number: u64, places: &mut Places) -> Result<u64, StoreError> {
    record::scan(disk, &dir.join(name(number)), |digest, offset, length| {
        places.insert(digest, (offset, length));
    })
}

fn name(id: u64) -> String {
    format!("{}.content", stem(id))
}

fn index_name(id: u64) -> String {
    format!("{}.index", stem(id))
}

fn stem(id: u64) -> String {
    match purge::revision_of(id) {
        0 => format!("{id:08}"),
        revision => format!("{:08}-{revision}", purge::number_of(id)),
    }
}

/// The id that a segment's name says.
fn id_of_name(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(".content")?;
    let (number, revision) = match stem.split_once('-') {
        Some((number, revision)) => (number, revision.parse().ok()?),
        None => (stem, 0),
    };
    Some(purge::id_of(number.parse().ok()?, revision))
}

/// Whether a file went because its segment was written again: what it had is elsewhere.
fn moved(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound)
}

/// Reads once more where a segment was written again meanwhile.
fn again<T>(read: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 0..3 {
        match read() {
            Err(error) if moved(&error) => {}
            other => return other,
        }
    }
    read()
}

/// Ids of the segments, in the order of their numbers, and of revisions.
fn numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StoreError> {
    let names = disk.list(dir).map_err(StoreError::io("listing", dir))?;
    let mut ids: Vec<u64> = names.iter().filter_map(|name| id_of_name(name)).collect();
    ids.sort_unstable_by_key(|id| (purge::number_of(*id), purge::revision_of(*id)));
    Ok(ids)
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
