//! Content that came in part, kept so that a broken transfer goes on where it stopped.
//!
//! ```text
//! content/partial/<name>.head    frames: what it is ([`Head`]), then how far it is ([`Mark`]), the newest last
//! content/partial/<name>.<n>     bytes of the n-th part so far
//! frame: "LTPF" | length u32 | postcard | first 8 bytes of the SHA-256 of that
//! ```
//! A mark is written after the bytes that it counts were synced, and is synced itself: what it says is on the disk,
//! whatever happens. It carries the SHA-256 of its part so far, so that whoever goes on there hashes the bytes again
//! and sees whether they are the same. Bytes behind the newest mark are written over.
//!
//! A part that is whole moves to its place in the store; until the partial is removed, it is found there instead.
//! What this module does not know: who may go on with what, and when it expires.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ContentStore, RECORD_BYTES, Upload};
use crate::merkle::{Hash, sha256};
use crate::store::StoreError;
use crate::store::disk::{Disk, DiskFile};

const MAGIC: &[u8; 4] = b"LTPF";
/// Magic, length and check of a frame.
const FRAME: usize = 4 + 4 + 8;
/// Bytes of a head file: ten thousand marks. Whoever breaks off more often begins anew.
const HEAD_BYTES: u64 = 1 << 20;

/// What a partial is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Whose quota it counts for.
    pub owner: String,
    /// Digest of what was announced: only the same goes on.
    pub fingerprint: Hash,
    /// Bytes of every part.
    pub sizes: Vec<u64>,
}

impl Head {
    /// Bytes of all parts.
    pub fn total(&self) -> u64 {
        self.sizes.iter().fold(0, |n, size| n.saturating_add(*size))
    }
}

/// How far a partial is, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When it was written, in milliseconds since 1970.
    pub at: i64,
    /// The part that is under way; the number of parts when all are there.
    pub part: u32,
    /// Bytes of it.
    pub offset: u64,
    /// SHA-256 of those bytes.
    pub prefix: Hash,
}

impl Mark {
    /// Bytes of all parts up to here.
    pub fn total(&self, sizes: &[u64]) -> u64 {
        sizes.iter().take(self.part as usize).sum::<u64>() + self.offset
    }
}

/// A partial that was there at opening.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name.
    pub name: Hash,
    /// What it is of.
    pub head: Head,
    /// How far it is.
    pub mark: Mark,
}

/// A partial that is written to.
pub struct Partial {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    name: Hash,
    head: Arc<dyn DiskFile>,
    head_end: u64,
    /// The part that was written last, and whether it has bytes that are not synced.
    file: Option<(u32, Arc<dyn DiskFile>, bool)>,
    /// Names were made that are not durable.
    fresh: bool,
}

fn head_path(dir: &Path, name: &Hash) -> PathBuf {
    dir.join(format!("{name}.head"))
}

fn part_path(dir: &Path, name: &Hash, part: u32) -> PathBuf {
    dir.join(format!("{name}.{part}"))
}

fn frame(value: &impl Serialize) -> Vec<u8> {
    let body = postcard::to_stdvec(value).expect("these types can always be encoded");
    let mut out = Vec::with_capacity(FRAME + body.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(&body);
    out.extend_from_slice(&sha256(&body).as_bytes()[..8]);
    out
}

/// The frame at the beginning of `data`, and its length; `None` when it is no whole one.
fn read_frame<T: DeserializeOwned>(data: &[u8]) -> Option<(T, usize)> {
    let length = u32::from_be_bytes(data.get(4..8)?.try_into().ok()?) as usize;
    let body = data.get(8..8usize.checked_add(length)?)?;
    let check = data.get(8 + length..FRAME + length)?;
    if !data.starts_with(MAGIC) || *check != sha256(body).as_bytes()[..8] {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, FRAME + length))
}

/// Head and newest mark, and where the frames end.
fn read_head(file: &dyn DiskFile) -> std::io::Result<Option<(Head, Mark, u64)>> {
    let length = file.len()?;
    if length > HEAD_BYTES {
        return Ok(None);
    }
    let mut data = vec![0; length as usize];
    file.read_at(&mut data, 0)?;
    let Some((head, mut at)) = read_frame::<Head>(&data) else { return Ok(None) };
    let mut newest = None;
    while let Some((mark, length)) = read_frame::<Mark>(&data[at..]) {
        newest = Some(mark);
        at += length;
    }
    let fits = |mark: &Mark| {
        let part = mark.part as usize;
        part <= head.sizes.len() && mark.offset <= head.sizes.get(part).copied().unwrap_or(0)
    };
    Ok(newest.filter(fits).map(|mark| (head, mark, at as u64)))
}

/// What is there at opening; what is no partial is removed.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Found>, StoreError> {
    disk.create_dir(dir).map_err(StoreError::io("creating", dir))?;
    let names = disk.list(dir).map_err(StoreError::io("listing", dir))?;
    let mut found = Vec::new();
    for name in names.iter().filter_map(|n| n.strip_suffix(".head")?.parse::<Hash>().ok()) {
        let path = head_path(dir, &name);
        let file = disk.open_read(&path).map_err(StoreError::io("opening", &path))?;
        if let Some((head, mark, _)) = read_head(&*file).map_err(StoreError::io("reading", &path))? {
            found.push(Found { name, head, mark });
        }
    }
    for name in names {
        let of = name.split('.').next().and_then(|n| n.parse::<Hash>().ok());
        if of.is_none_or(|of| found.iter().all(|f| f.name != of)) {
            let path = dir.join(name);
            disk.remove(&path).map_err(StoreError::io("removing", &path))?;
        }
    }
    Ok(found)
}

impl ContentStore {
    fn partial_dir(&self) -> PathBuf {
        self.dir.join("partial")
    }

    /// What was there at opening; the second call gets nothing.
    pub fn take_partials(&self) -> Vec<Found> {
        std::mem::take(&mut *self.partials.lock().expect("no holder of this lock panics"))
    }

    /// Begins a partial, in the place of one of that name.
    pub fn begin_partial(&self, name: Hash, head: &Head, at: i64) -> Result<Partial, StoreError> {
        self.remove_partial(&name)?;
        let dir = self.partial_dir();
        let path = head_path(&dir, &name);
        let file = self.disk.create(&path).map_err(StoreError::io("creating", &path))?;
        let mut frames = frame(head);
        frames.extend(frame(&Mark { at, part: 0, offset: 0, prefix: sha256(&[]) }));
        let written = file.write_at(&frames, 0).map_err(StoreError::io("writing", &path));
        if let Err(error) = written {
            let _ = self.disk.remove(&path);
            return Err(error);
        }
        Ok(Partial {
            disk: self.disk.clone(),
            dir,
            name,
            head: file,
            head_end: frames.len() as u64,
            file: None,
            fresh: true,
        })
    }

    /// Opens a partial to go on with it. `None` when it is not there, or cannot be read.
    pub fn open_partial(&self, name: Hash) -> Result<Option<(Partial, Head, Mark)>, StoreError> {
        let dir = self.partial_dir();
        let path = head_path(&dir, &name);
        let file = match self.disk.open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io("opening", &path)(e)),
        };
        let read = read_head(&*file).map_err(StoreError::io("reading", &path))?;
        Ok(read.map(|(head, mark, head_end)| {
            let disk = self.disk.clone();
            (Partial { disk, dir, name, head: file, head_end, file: None, fresh: true }, head, mark)
        }))
    }

    /// Removes a partial, if it is there.
    pub fn remove_partial(&self, name: &Hash) -> Result<(), StoreError> {
        let dir = self.partial_dir();
        // The head first: parts without one are removed at the next opening.
        let head = format!("{name}.head");
        let prefix = format!("{name}.");
        let names = self.disk.list(&dir).map_err(StoreError::io("listing", &dir))?;
        let mut names: Vec<String> = names.into_iter().filter(|n| n.starts_with(&prefix)).collect();
        names.sort_by_key(|n| *n != head);
        let mut outcome = Ok(());
        for name in names {
            let path = dir.join(name);
            // What cannot be removed keeps nothing else from being removed.
            let removed = self.disk.remove(&path).map_err(StoreError::io("removing", &path));
            outcome = outcome.and(removed);
        }
        outcome
    }

    /// Takes a whole part in, with its digest: small ones as records, large ones by giving their file its place.
    /// Durable after the next [`ContentStore::sync`]. The partial is still to be removed.
    pub fn adopt(&self, partial: &mut Partial, part: u32, size: u64, digest: Hash) -> Result<(), StoreError> {
        if size <= RECORD_BYTES {
            let mut data = vec![0; size as usize];
            if size > 0 && partial.read(part, 0, &mut data)?.is_none() {
                // It was taken in before.
                return self.must_have(&digest);
            }
            return self.put_hashed(digest, data.into());
        }
        partial.close();
        let path = part_path(&partial.dir, &partial.name, part);
        let file = match self.disk.open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return self.must_have(&digest),
            Err(e) => return Err(StoreError::io("opening", &path)(e)),
        };
        self.finish(Upload { disk: self.disk.clone(), path, file, length: size, finished: false }, digest)
    }

    fn must_have(&self, digest: &Hash) -> Result<(), StoreError> {
        match self.location(digest)? {
            Some(_) => Ok(()),
            None => Err(StoreError::Damaged {
                path: self.partial_dir(),
                offset: 0,
                problem: format!("content {digest} is neither in a partial transfer nor in the store"),
            }),
        }
    }
}

impl Partial {
    /// Its name.
    pub fn name(&self) -> Hash {
        self.name
    }

    /// Writes bytes of a part.
    pub fn write(&mut self, part: u32, offset: u64, data: &[u8]) -> Result<(), StoreError> {
        let path = part_path(&self.dir, &self.name, part);
        if self.file.as_ref().is_none_or(|(open, _, _)| *open != part) {
            self.sync_file()?;
            let file = match self.disk.open(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    self.fresh = true;
                    self.disk.create(&path).map_err(StoreError::io("creating", &path))?
                }
                opened => opened.map_err(StoreError::io("opening", &path))?,
            };
            self.file = Some((part, file, false));
        }
        let Some((_, file, dirty)) = &mut self.file else { return Ok(()) };
        *dirty = true;
        file.write_at(data, offset).map_err(StoreError::io("writing", &path))
    }

    /// Fills `buffer` from a part; `None` when it has no file.
    pub fn read(&self, part: u32, offset: u64, buffer: &mut [u8]) -> Result<Option<()>, StoreError> {
        let path = part_path(&self.dir, &self.name, part);
        match self.disk.open_read(&path) {
            Ok(file) => file.read_at(buffer, offset).map(Some).map_err(StoreError::io("reading", &path)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::io("opening", &path)(e)),
        }
    }

    fn sync_file(&mut self) -> Result<(), StoreError> {
        if let Some((part, file, dirty)) = &mut self.file
            && *dirty
        {
            let path = part_path(&self.dir, &self.name, *part);
            file.sync().map_err(StoreError::sync(path))?;
            *dirty = false;
        }
        Ok(())
    }

    /// Makes what was written durable, and says how far that is.
    pub fn mark(&mut self, mark: &Mark) -> Result<(), StoreError> {
        self.sync_file()?;
        if self.fresh {
            self.disk.sync_dir(&self.dir).map_err(StoreError::sync(&self.dir))?;
            self.fresh = false;
        }
        let frame = frame(mark);
        if self.head_end + frame.len() as u64 > HEAD_BYTES {
            return Ok(());
        }
        let path = head_path(&self.dir, &self.name);
        self.head.write_at(&frame, self.head_end).map_err(StoreError::io("writing", &path))?;
        self.head.sync().map_err(StoreError::sync(&path))?;
        self.head_end += frame.len() as u64;
        Ok(())
    }

    fn close(&mut self) {
        self.file = None;
    }
}
