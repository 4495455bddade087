//! A full segment and its index: where each digest is, in a file that is written once.
//!
//! ```text
//! "LTCI0001" | entries u64 | filter bytes u64 | SHA-256 of the entries | filter | SHA-256 of all before
//! entry: SHA-256 | first byte u64 | length u32, in the order of the digests
//! ```
//! Numbers are big-endian. The head is checked when it is read, the entries when one is missed that the filter knows:
//! what an entry leads to says itself which digest it has. An index that is missing, or whose head is damaged, is made
//! again from its segment at opening.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::record;
use crate::merkle::{Hash, sha256};
use crate::store::StoreError;
use crate::store::disk::{Disk, DiskFile};
use crate::store::filter::Filter;

const MAGIC: [u8; 8] = *b"LTCI0001";
const HEAD: u64 = 56;
const ENTRY: u64 = 44;
/// A filter of a segment with the smallest records stays far below.
const FILTER_BYTES: u64 = 64 << 20;

/// Places in one segment: first byte of the data, and its length.
pub(super) type Places = HashMap<Hash, (u64, u32)>;

/// A digest and its place.
pub(super) type Placed = (Hash, (u64, u32));

/// A segment that grows no more.
pub(super) struct Sealed {
    /// Its id.
    pub number: u64,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    segment_path: PathBuf,
    head: Head,
    /// The entries were read whole, and are those that were written.
    checked: AtomicBool,
}

struct Head {
    filter: Filter,
    entries: u64,
    /// SHA-256 of the entries.
    sum: Hash,
    /// Where they begin.
    first: u64,
}

impl Sealed {
    /// Writes the index of a segment and opens it.
    pub fn seal(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        number: u64,
        places: &Places,
    ) -> Result<Sealed, StoreError> {
        let path = dir.join(super::index_name(number));
        let mut entries: Vec<_> = places.iter().collect();
        entries.sort_unstable_by_key(|(digest, _)| *digest.as_bytes());
        let mut filter = Filter::sized(places.len());
        let mut body = Vec::with_capacity(entries.len() * ENTRY as usize);
        for (digest, (offset, length)) in entries {
            filter.add(digest.as_bytes());
            body.extend(digest.as_bytes());
            body.extend(offset.to_be_bytes());
            body.extend(length.to_be_bytes());
        }
        let filter = filter.to_bytes();
        let mut bytes = MAGIC.to_vec();
        bytes.extend((places.len() as u64).to_be_bytes());
        bytes.extend((filter.len() as u64).to_be_bytes());
        bytes.extend(sha256(&body).as_bytes());
        bytes.extend(filter);
        let sum = sha256(&bytes);
        bytes.extend(sum.as_bytes());
        bytes.extend(body);
        let new = dir.join("tmp").join(super::index_name(number));
        let _ = disk.remove(&new);
        let file = disk.create(&new).map_err(StoreError::io("creating", &new))?;
        file.write_at(&bytes, 0).map_err(StoreError::io("writing", &new))?;
        file.sync().map_err(StoreError::io("syncing", &new))?;
        disk.rename(&new, &path).map_err(StoreError::io("renaming", &path))?;
        disk.sync_dir(dir).map_err(StoreError::sync(dir))?;
        let damaged = || StoreError::Damaged {
            path: path.clone(),
            offset: 0,
            problem: "what was written is not what is read".into(),
        };
        Sealed::open(disk, dir, number)?.ok_or_else(damaged)
    }

    /// Opens the index of a segment; `None` when there is no good one.
    pub fn open(disk: &Arc<dyn Disk>, dir: &Path, number: u64) -> Result<Option<Sealed>, StoreError> {
        let path = dir.join(super::index_name(number));
        let index = match disk.open_read(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io("opening", &path)(e)),
        };
        let length = index.len().map_err(StoreError::io("measuring", &path))?;
        let Some(head) = read_head(&*index, &path, length)? else { return Ok(None) };
        let segment_path = dir.join(super::name(number));
        // Files are opened when they are needed: there are many segments, and few are asked.
        let checked = AtomicBool::new(false);
        Ok(Some(Sealed { number, disk: disk.clone(), path, segment_path, head, checked }))
    }

    /// Whether a digest may be in the segment.
    pub fn may_have(&self, digest: &Hash) -> bool {
        self.head.filter.may_have(digest.as_bytes())
    }

    /// Every digest in the segment, with its place.
    pub fn entries(&self) -> Result<Vec<Placed>, StoreError> {
        let index = self.disk.open_read(&self.path).map_err(StoreError::io("opening", &self.path))?;
        self.check_entries(&*index)?;
        let mut bytes = vec![0; (self.head.entries * ENTRY) as usize];
        index.read_at(&mut bytes, self.head.first).map_err(StoreError::io("reading", &self.path))?;
        let entry = |entry: &[u8]| {
            let (digest, place) = entry.split_at(32);
            let offset = u64::from_be_bytes(*place.first_chunk()?);
            Some((Hash::from_slice(digest)?, (offset, u32::from_be_bytes(*place.last_chunk()?))))
        };
        Ok(bytes.chunks_exact(ENTRY as usize).filter_map(entry).collect())
    }

    /// Where a digest is in the segment.
    pub fn find(&self, digest: &Hash) -> Result<Option<(u64, u32)>, StoreError> {
        if !self.head.filter.may_have(digest.as_bytes()) {
            return Ok(None);
        }
        let index = self.disk.open_read(&self.path).map_err(StoreError::io("opening", &self.path))?;
        let (mut low, mut high) = (0, self.head.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut entry = [0; ENTRY as usize];
            index
                .read_at(&mut entry, self.head.first + middle * ENTRY)
                .map_err(StoreError::io("reading", &self.path))?;
            match entry[..32].cmp(digest.as_bytes().as_slice()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let offset = u64::from_be_bytes(entry[32..40].try_into().expect("eight bytes"));
                    let length = u32::from_be_bytes(entry[40..].try_into().expect("four bytes"));
                    return self.confirm(digest, offset, length);
                }
            }
        }
        self.check_entries(&*index)?;
        Ok(None)
    }

    /// What the filter knows and the entries do not is rare, and may be a damaged entry: once, all are checked.
    fn check_entries(&self, index: &dyn DiskFile) -> Result<(), StoreError> {
        if self.checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut entries = vec![0; (self.head.entries * ENTRY) as usize];
        index.read_at(&mut entries, self.head.first).map_err(StoreError::io("reading", &self.path))?;
        if sha256(&entries) != self.head.sum {
            return Err(StoreError::Damaged {
                path: self.path.clone(),
                offset: self.head.first,
                problem: "its entries are not those that were written: remove the file, it is made again"
                    .into(),
            });
        }
        self.checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The record must agree with the index.
    fn confirm(&self, digest: &Hash, offset: u64, length: u32) -> Result<Option<(u64, u32)>, StoreError> {
        let path = &self.segment_path;
        let segment = self.disk.open_read(path).map_err(StoreError::io("opening", path))?;
        let bytes = segment.len().map_err(StoreError::io("measuring", path))?;
        let header = match offset.checked_sub(record::HEADER) {
            Some(at) => record::header_at(&*segment, path, at, bytes)?,
            None => None,
        };
        if header == Some((*digest, length)) {
            return Ok(Some((offset, length)));
        }
        Err(StoreError::Damaged {
            path: path.clone(),
            offset,
            problem: format!("the record of {digest} is not there, its index says"),
        })
    }
}

fn read_head(index: &dyn DiskFile, path: &Path, length: u64) -> Result<Option<Head>, StoreError> {
    let read = |from: u64, n: u64| -> Result<Option<Vec<u8>>, StoreError> {
        if from + n > length {
            return Ok(None);
        }
        let mut bytes = vec![0; n as usize];
        index.read_at(&mut bytes, from).map_err(StoreError::io("reading", path))?;
        Ok(Some(bytes))
    };
    let Some(head) = read(0, HEAD)? else { return Ok(None) };
    let number = |at: usize| u64::from_be_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let (entries, filter_bytes) = (number(8), number(16));
    if head[..8] != MAGIC || filter_bytes > FILTER_BYTES || entries > length / ENTRY {
        return Ok(None);
    }
    let first = HEAD + filter_bytes + 32;
    let Some(checked) = read(0, first)? else { return Ok(None) };
    let (checked, sum) = checked.split_at(checked.len() - 32);
    if sha256(checked).as_bytes() != sum || first + entries * ENTRY != length {
        return Ok(None);
    }
    let entries_sum = Hash::from_slice(&checked[24..56]);
    let filter = Filter::from_bytes(&checked[HEAD as usize..]);
    Ok(filter.zip(entries_sum).map(|(filter, sum)| Head { filter, entries, sum, first }))
}
