//! A stopped node's data, read without changing it: the journal as it is, sled as a copy, because opening sled writes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::beside::{Beside, Read, Roots};
use super::check::{What, recount};
use super::content::{ContentChecked, check_content};
use super::verify::{Extent, always, keys_of, walk};
use super::{Checked, Finding, Place};
use crate::domain::event::Event;
use crate::ledger::offline_index;
use crate::merkle::NoteVerifier;
use crate::store::StoreError;
use crate::store::content::StoppedContent;
use crate::store::disk::RealDisk;
use crate::store::index::Index;
use crate::store::journal::{Position, Reader};
use crate::wire::leaf;

/// A stopped node's log.
pub struct Offline {
    journal: PathBuf,
    content: PathBuf,
    index: Result<Index, Finding>,
    /// Holds the copy; goes after the index.
    _copy: TempDir,
    /// Keeps a node from starting on these files meanwhile.
    _lock: Option<File>,
}

impl Offline {
    /// Opens the data of a stopped node. A sled that cannot be opened is a finding, not an error.
    pub fn open(data: &Path) -> Result<Offline, StoreError> {
        let lock = data.join("LOCK");
        let lock = match File::open(&lock) {
            // Shared: any number of readers, but no node.
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Some(file),
                Err(std::fs::TryLockError::WouldBlock) => return Err(StoreError::InUse { path: lock }),
                Err(std::fs::TryLockError::Error(e)) => return Err(StoreError::io("locking", lock)(e)),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(StoreError::io("opening", lock)(e)),
        };
        let journal = data.join("journal");
        if !journal.is_dir() {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(StoreError::io("opening", journal)(missing));
        }
        let copy = TempDir::new().map_err(StoreError::io("creating a folder in", std::env::temp_dir()))?;
        let index = if data.join("sled").is_dir() {
            match offline_index(data, copy.path()) {
                Ok(index) => Ok(index),
                Err(error @ StoreError::Index { .. }) => Err(error.to_string()),
                Err(error) => return Err(error),
            }
        } else {
            Err("sled is missing: the next start makes it again from the journal".to_owned())
        };
        let index = index.map_err(|message| Finding { place: Place::Store, index: None, message });
        Ok(Offline { journal, content: data.join("content"), index, _copy: copy, _lock: lock })
    }

    /// sled's copy, for listing and reports; a finding where it cannot be opened.
    pub fn index(&self) -> Result<&Index, &Finding> {
        self.index.as_ref()
    }

    /// Number of events that sled knows.
    pub fn size(&self) -> Result<u64, StoreError> {
        match &self.index {
            Ok(index) => Ok(index.head()?.map_or(0, |h| h.size)),
            Err(_) => Ok(0),
        }
    }

    /// Reads all content that the events of the journal name.
    pub fn check_content(&self, progress: impl FnMut(u64)) -> Result<ContentChecked, StoreError> {
        let content = StoppedContent::open(&self.content)?;
        let each = |each: &mut dyn FnMut(u64, &Event)| each_event(&self.journal, each);
        check_content(&each, &content, &|_| false, progress)
    }

    /// As [`verify`](fn@super::verify), to the journal's end; of the journal alone where sled cannot be opened.
    pub fn verify(&self, key: &NoteVerifier, progress: impl FnMut(u64)) -> Result<Checked, StoreError> {
        self.walked(self.index.as_ref().ok(), key, None, progress)
    }

    fn walked(
        &self,
        index: Option<&Index>,
        key: &NoteVerifier,
        beside: Option<&Beside>,
        progress: impl FnMut(u64),
    ) -> Result<Checked, StoreError> {
        let disk = Arc::new(RealDisk);
        let keys = keys_of(disk.clone(), &self.journal, key);
        let threads = Extent::Whole.threads();
        let read = beside.and_then(|beside| Read::of(beside, &keys, threads, |_| true));
        let mut read = read.unwrap_or_else(Read::nothing);
        let mut roots = std::mem::take(&mut read.roots);
        let apply = |at: u64, event: &Event| {
            read.event(at, event);
            Ok(())
        };
        let walked =
            walk(Extent::Whole, &self.journal, disk, index, &keys, &mut roots, apply, always(progress))?;
        read.roots = roots;
        let mut checked = walked.with(read, &|_| None).checked();
        if let Err(finding) = &self.index {
            checked.findings.insert(0, finding.clone());
        }
        Ok(checked)
    }

    /// As [`check`](fn@super::check), to the journal's end; of the journal alone where sled cannot be opened.
    pub fn check(&self, key: &NoteVerifier, progress: impl FnMut(u64)) -> Result<Checked, StoreError> {
        self.check_all(key, None, progress)
    }

    /// The same, and the files beside the log where they are given.
    pub fn check_all(
        &self,
        key: &NoteVerifier,
        beside: Option<&Beside>,
        progress: impl FnMut(u64),
    ) -> Result<Checked, StoreError> {
        match &self.index {
            Ok(index) => {
                let (disk, journal) = (Arc::new(RealDisk), &self.journal);
                let what = What { extent: Extent::Whole, beside, later: &|_| None };
                let checked = recount(&what, journal, disk, index, key, always(progress))?;
                Ok(checked.unwrap_or_default())
            }
            Err(_) => self.walked(None, key, beside, progress),
        }
    }
}

/// Checks a folder that has no sled yet: the journal by itself, and all content that it names.
pub(super) fn check_without_sled(
    data: &Path,
    key: &NoteVerifier,
    progress: impl FnMut(u64),
) -> Result<Checked, StoreError> {
    let (journal, disk) = (data.join("journal"), Arc::new(RealDisk));
    let (keys, roots) = (keys_of(disk.clone(), &journal, key), &mut Roots::default());
    let walked = walk(Extent::Whole, &journal, disk, None, &keys, roots, |_, _| Ok(()), always(progress))?;
    let content = StoppedContent::open(&data.join("content"))?;
    let each = |each: &mut dyn FnMut(u64, &Event)| each_event(&journal, each);
    let content = check_content(&each, &content, &|_| false, |_| {})?;
    Ok(walked.checked().with_content(content))
}

/// Every event of a journal that can be read: that one cannot is a finding of the check of the log.
pub(super) fn each_event(journal: &Path, each: &mut dyn FnMut(u64, &Event)) -> Result<(), StoreError> {
    let mut reader = Reader::open(Arc::new(RealDisk), journal, Position::default())?;
    loop {
        let block = match reader.next_block() {
            Ok(Some(block)) => block,
            Ok(None) | Err(StoreError::Damaged { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        for (at, bytes) in (block.first..).zip(&block.leaves) {
            if let Ok(event) = leaf::decode(bytes) {
                each(at, &event);
            }
        }
    }
}
