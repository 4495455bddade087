//! Content that goes: removed by digest, from the files that have it.
//!
//! Removing is in three steps, so that nothing that is named meanwhile is ever lost:
//! 1. [`ContentStore::condemn`]: it may go. Whoever puts it again, or names it in an event, spares it by that.
//! 2. The caller waits until every event decided before is in the log, looks who needs what, and spares that
//!    ([`ContentStore::spare`]).
//! 3. [`ContentStore::remove_condemned`]: what nobody spared goes. Who named it before and is decided only now is refused
//!    ([`ContentStore::claim`]) and puts it again.
//!
//! A file of its own is removed. A segment is written again without what goes, under its number and the next revision,
//! and the old one is removed after the new one is durable, with its index; one in which nothing is left only goes. No
//! file changes: who reads the old one finds the new one at the next try. After a crash the newest revision of a segment
//! counts, older ones are removed at opening, and what was to go is there again: the caller removes it once more.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::record::HEADER;
use super::sealed::{Placed, Places, Sealed};
use super::{ContentStore, index_name, large_path, name, numbers};
use crate::merkle::{Hash, sha256};
use crate::store::StoreError;
use crate::store::disk::Disk;

/// A segment's number is the lower part of its id, its revision the upper.
const REVISION: u32 = 40;

/// The number of a segment.
pub(super) fn number_of(id: u64) -> u64 {
    id & ((1 << REVISION) - 1)
}

/// How often a segment was written again.
pub(super) fn revision_of(id: u64) -> u64 {
    id >> REVISION
}

/// The id of a number and revision.
pub(super) fn id_of(number: u64, revision: u64) -> u64 {
    number | revision << REVISION
}

/// What removing came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Contents that nobody spared.
    pub contents: u64,
    /// Bytes that the files have less.
    pub bytes: u64,
    /// Segments that are damaged, so that they were left as they are.
    pub damaged: u64,
}

impl ContentStore {
    /// These may go. What an earlier removal refused is forgotten: it is long ago.
    pub fn condemn(&self, digests: impl IntoIterator<Item = Hash>) {
        let mut writing = self.lock();
        writing.removed.clear();
        writing.condemned = digests.into_iter().collect();
    }

    /// Somebody needs it: it stays.
    pub fn spare(&self, digest: &Hash) {
        self.lock().condemned.remove(digest);
    }

    /// An event is going to name it, which spares it. False when it is not there any more.
    pub fn claim(&self, digest: &Hash) -> bool {
        let mut writing = self.lock();
        writing.condemned.remove(digest);
        !writing.lost.contains(digest) && !writing.removed.contains(digest)
    }

    /// Removes what is still condemned. It takes as long as writing the segments again that have some of it; everything
    /// else goes on.
    pub fn remove_condemned(&self) -> Result<Removed, StoreError> {
        if self.lock().condemned.is_empty() {
            return Ok(Removed::default());
        }
        self.seal_newest_if_condemned()?;
        // Nothing is put in its place between looking and moving away.
        let mut aside = Vec::new();
        let (dead, segments) = {
            let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            let segments = self.sealed.read().unwrap_or_else(PoisonError::into_inner).clone();
            let dead = {
                let mut writing = self.lock();
                let dead = std::mem::take(&mut writing.condemned);
                // Put since the segment began, and not spared: nobody named it.
                writing.places.retain(|digest, _| !dead.contains(digest));
                writing.removed.extend(&dead);
                let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
                dead.iter().for_each(|digest| recent.forget(digest));
                dead
            };
            for digest in &dead {
                if let Some(path) = self.move_aside(digest, aside.len())? {
                    aside.push(path);
                }
            }
            (dead, segments)
        };
        let mut removed = Removed { contents: dead.len() as u64, ..Removed::default() };
        if !aside.is_empty() {
            let large = self.dir.join("large");
            self.disk.sync_dir(&large).map_err(StoreError::sync(&large))?;
        }
        for path in aside {
            let bytes = self.disk.open_read(&path).and_then(|file| file.len()).unwrap_or(0);
            self.disk.remove(&path).map_err(StoreError::io("removing", &path))?;
            removed.bytes += bytes;
        }
        for segment in segments {
            self.clean(&segment, &dead, &mut removed)?;
        }
        Ok(removed)
    }

    /// The newest segment grows: what goes from it goes when it is full, which it is from now on.
    fn seal_newest_if_condemned(&self) -> Result<(), StoreError> {
        let has_some = {
            let writing = self.lock();
            let has = |digest| writing.places.contains_key(digest) || writing.before.contains_key(digest);
            writing.condemned.iter().any(has)
        };
        if has_some { self.next_segment(true) } else { Ok(()) }
    }

    /// Moves a file of its own out of the way.
    fn move_aside(&self, digest: &Hash, n: usize) -> Result<Option<std::path::PathBuf>, StoreError> {
        if self.large.excludes(digest.as_bytes()) {
            return Ok(None);
        }
        let (path, to) = (large_path(&self.dir, digest), self.dir.join("tmp").join(format!("{n}.purged")));
        match self.disk.rename(&path, &to) {
            Ok(()) => Ok(Some(to)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::io("renaming", &path)(e)),
        }
    }

    /// Writes a segment again without what goes, if it has some of it.
    fn clean(
        &self,
        segment: &Arc<Sealed>,
        dead: &HashSet<Hash>,
        removed: &mut Removed,
    ) -> Result<(), StoreError> {
        if !dead.iter().any(|digest| segment.may_have(digest)) {
            return Ok(());
        }
        let entries = match segment.entries() {
            Ok(entries) => entries,
            Err(StoreError::Damaged { .. }) => {
                removed.damaged += 1;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if !entries.iter().any(|(digest, _)| dead.contains(digest)) {
            return Ok(());
        }
        let keep: Vec<_> = entries.into_iter().filter(|(digest, _)| !dead.contains(digest)).collect();
        let old = self.dir.join(name(segment.number));
        let before =
            self.disk.open_read(&old).and_then(|f| f.len()).map_err(StoreError::io("measuring", &old))?;
        let (new, bytes) = if keep.is_empty() {
            (None, 0)
        } else {
            match self.write_again(segment.number, keep)? {
                Some((sealed, bytes)) => (Some(Arc::new(sealed)), bytes),
                None => {
                    removed.damaged += 1;
                    return Ok(());
                }
            }
        };
        {
            let mut all = self.sealed.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = all.iter().position(|known| known.number == segment.number) {
                match new {
                    Some(new) => all[at] = new,
                    None => drop(all.remove(at)),
                }
            }
        }
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).remove(&segment.number);
        remove_segment(&*self.disk, &self.dir, segment.number)?;
        removed.bytes += before.saturating_sub(bytes);
        Ok(())
    }

    /// The next revision of a segment with these records; `None` where one of them is damaged: what may still be saved
    /// by hand is not thrown away.
    fn write_again(&self, id: u64, mut keep: Vec<Placed>) -> Result<Option<(Sealed, u64)>, StoreError> {
        let new = id_of(number_of(id), revision_of(id) + 1);
        let (from, tmp) = (self.dir.join(name(id)), self.dir.join("tmp").join(name(new)));
        let old = self.disk.open_read(&from).map_err(StoreError::io("opening", &from))?;
        let _ = self.disk.remove(&tmp);
        let file = self.disk.create(&tmp).map_err(StoreError::io("creating", &tmp))?;
        keep.sort_unstable_by_key(|(_, place)| *place);
        let (mut places, mut end, mut buffer) = (Places::new(), 0, Vec::new());
        for (digest, (offset, length)) in keep {
            let mut data = vec![0; length as usize];
            old.read_at(&mut data, offset).map_err(StoreError::io("reading", &from))?;
            if sha256(&data) != digest {
                tracing::error!(path = %from.display(), offset, %digest,
                    "content is damaged: its segment is left as it is, with what should be purged from it");
                let _ = self.disk.remove(&tmp);
                return Ok(None);
            }
            super::record::write(&mut buffer, &digest, &data);
            places.insert(digest, (end + buffer.len() as u64 - u64::from(length), length));
            if buffer.len() as u64 > super::RECORD_BYTES {
                file.write_at(&buffer, end).map_err(StoreError::io("writing", &tmp))?;
                end += buffer.len() as u64;
                buffer.clear();
            }
        }
        file.write_at(&buffer, end).map_err(StoreError::io("writing", &tmp))?;
        end += buffer.len() as u64;
        debug_assert!(places.values().all(|(offset, _)| *offset >= HEADER));
        file.sync().map_err(StoreError::sync(&tmp))?;
        let path = self.dir.join(name(new));
        self.disk.rename(&tmp, &path).map_err(StoreError::io("renaming", &path))?;
        self.disk.sync_dir(&self.dir).map_err(StoreError::sync(&self.dir))?;
        Ok(Some((Sealed::seal(&self.disk, &self.dir, new, &places)?, end)))
    }
}

/// Removes a segment and its index.
fn remove_segment(disk: &dyn Disk, dir: &Path, id: u64) -> Result<(), StoreError> {
    for path in [dir.join(index_name(id)), dir.join(name(id))] {
        match disk.remove(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(StoreError::io("removing", &path)(e)),
        }
    }
    disk.sync_dir(dir).map_err(StoreError::sync(dir))
}

/// The segments, in order; of those that were written again the newest revision, the others are removed.
pub(super) fn newest_revisions(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StoreError> {
    let mut newest: Vec<u64> = Vec::new();
    for id in numbers(disk, dir)? {
        match newest.last_mut().filter(|last| number_of(**last) == number_of(id)) {
            Some(last) => {
                remove_segment(disk, dir, *last)?;
                *last = id;
            }
            None => newest.push(id),
        }
    }
    Ok(newest)
}
