//! Reading the content of a stopped node, without changing a file: no folder is made, nothing is removed or sealed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sealed::{Places, Sealed};
use super::{Location, hash_of, large_location, numbers, path_of, scan, sealed_location};
use crate::merkle::Hash;
use crate::store::StoreError;
use crate::store::disk::{Disk, RealDisk};

/// The content of a stopped node.
pub struct StoppedContent {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    sealed: Vec<Sealed>,
    /// Segments without an index: the newest, usually.
    scanned: Vec<(u64, Places)>,
}

impl StoppedContent {
    /// Opens the folder `content` of a node's data.
    pub fn open(dir: &Path) -> Result<StoppedContent, StoreError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let (mut sealed, mut scanned) = (Vec::new(), Vec::new());
        for number in numbers(&*disk, dir)? {
            match Sealed::open(&disk, dir, number)? {
                Some(segment) => sealed.push(segment),
                None => {
                    let mut places = Places::new();
                    scan(&*disk, dir, number, &mut places)?;
                    scanned.push((number, places));
                }
            }
        }
        Ok(StoppedContent { disk, dir: dir.to_owned(), sealed, scanned })
    }

    /// Where a digest is.
    pub fn location(&self, digest: &Hash) -> Result<Option<Location>, StoreError> {
        for (segment, places) in self.scanned.iter().rev() {
            if let Some((offset, length)) = places.get(digest) {
                return Ok(Some(Location::Segment { segment: *segment, offset: *offset, length: *length }));
            }
        }
        match sealed_location(self.sealed.iter(), digest)? {
            Some(found) => Ok(Some(found)),
            None => large_location(&*self.disk, &self.dir, digest),
        }
    }

    /// The hash of a content as it is on the disk, and its bytes; `piece` is told of every piece that was read.
    pub fn hash(&self, digest: &Hash, piece: &mut dyn FnMut(u64)) -> Result<Option<(Hash, u64)>, StoreError> {
        let Some(location) = self.location(digest)? else { return Ok(None) };
        let read = |at, buffer: &mut [u8]| self.read(digest, &location, at, buffer);
        hash_of(location.length(), read, piece).map(Some)
    }

    /// A piece of a content, not checked: the reader hashes as it goes.
    pub fn read(
        &self,
        digest: &Hash,
        location: &Location,
        from: u64,
        buffer: &mut [u8],
    ) -> Result<(), StoreError> {
        let path = path_of(&self.dir, digest, location);
        let at = match location {
            Location::Segment { offset, .. } => offset + from,
            Location::File { .. } => from,
        };
        let file = self.disk.open_read(&path).map_err(StoreError::io("opening", &path))?;
        file.read_at(buffer, at).map_err(StoreError::io("reading", &path))
    }
}

/// The files below a content folder that a copy needs, with how much of each counts: whole records of segments, and large
/// content. The folder may be a running node's: what is appended meanwhile does not count.
pub fn backup_files(dir: &Path) -> Result<Vec<(String, u64)>, StoreError> {
    let disk = RealDisk;
    let mut files = Vec::new();
    for id in super::numbers(&disk, dir)? {
        let path = dir.join(super::name(id));
        files.push((super::name(id), whole_records(&disk, &path)?));
    }
    let large = dir.join("large");
    for name in disk.list(&large).map_err(StoreError::io("listing", &large))? {
        if name.parse::<Hash>().is_ok() {
            let path = large.join(&name);
            let length = std::fs::metadata(&path).map_err(StoreError::io("measuring", &path))?.len();
            files.push((format!("large/{name}"), length));
        }
    }
    Ok(files)
}

/// Where the last whole record of a segment ends; the file's end where something in it is no record.
fn whole_records(disk: &dyn Disk, path: &Path) -> Result<u64, StoreError> {
    let file = disk.open_read(path).map_err(StoreError::io("opening", path))?;
    let length = file.len().map_err(StoreError::io("measuring", path))?;
    let mut at = 0;
    while let Some((_, size)) = super::record::header_at(&*file, path, at, length)? {
        at += super::record::HEADER + u64::from(size);
    }
    // A record that is being written is cut off; anything longer is damage, and is kept as it is.
    Ok(if length - at > super::record::HEADER + super::record::RECORD_BYTES { length } else { at })
}
