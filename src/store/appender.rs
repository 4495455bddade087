//! A file that only grows, with zeros written ahead of it, so that a sync moves data and no metadata and a full disk
//! is met before anything is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoreError;
use super::disk::{Disk, DiskFile};

/// Zeros are written this far ahead.
const AHEAD: u64 = 1 << 20;

/// The writing end of a file.
pub struct Appender {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    end: u64,
    zeroed: u64,
    dirty: bool,
    ahead: bool,
    failed: bool,
}

impl Appender {
    /// Creates a file and makes its name durable.
    pub fn create(disk: &dyn Disk, path: &Path) -> Result<Appender, StoreError> {
        let file = disk.create(path).map_err(StoreError::io("creating", path))?;
        if let Some(dir) = path.parent() {
            disk.sync_dir(dir).map_err(StoreError::io("syncing the folder of", path))?;
        }
        Ok(Appender {
            path: path.to_owned(),
            file,
            end: 0,
            zeroed: 0,
            dirty: false,
            failed: false,
            ahead: true,
        })
    }

    /// Goes on in an existing file at `end`; what lies behind is zeroed before it is used.
    pub fn resume(disk: &dyn Disk, path: &Path, end: u64) -> Result<Appender, StoreError> {
        let file = disk.open(path).map_err(StoreError::io("opening", path))?;
        let length = file.len().map_err(StoreError::io("measuring", path))?;
        let mut at = end;
        while at < length {
            let n = AHEAD.min(length - at);
            file.write_at(&vec![0; n as usize], at).map_err(StoreError::io("clearing the tail of", path))?;
            at += n;
        }
        Ok(Appender {
            path: path.to_owned(),
            file,
            end,
            zeroed: length.max(end),
            dirty: length > end,
            failed: false,
            ahead: true,
        })
    }

    /// Goes on at the end of an existing file. What is in it counts as not yet synced.
    pub fn resume_at_end(disk: &dyn Disk, path: &Path) -> Result<Appender, StoreError> {
        let file = disk.open(path).map_err(StoreError::io("opening", path))?;
        let end = file.len().map_err(StoreError::io("measuring", path))?;
        Ok(Appender {
            path: path.to_owned(),
            file,
            end,
            zeroed: end,
            dirty: true,
            failed: false,
            ahead: true,
        })
    }

    /// Where the next append goes.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same file without zeros ahead: half the writing, for what may fail in the middle of an append.
    pub fn without_zeros(mut self) -> Appender {
        self.ahead = false;
        self
    }

    /// Makes room for `len` bytes. A full disk fails here, with nothing changed that is ever read.
    pub fn reserve(&mut self, len: u64) -> Result<(), StoreError> {
        if !self.ahead {
            return Ok(());
        }
        let needed = self.end + len;
        if needed > self.zeroed {
            let target = needed.div_ceil(AHEAD) * AHEAD;
            let zeros = vec![0; AHEAD as usize];
            while self.zeroed < target {
                let n = AHEAD.min(target - self.zeroed);
                self.file
                    .write_at(&zeros[..n as usize], self.zeroed)
                    .map_err(StoreError::io("preallocating", &self.path))?;
                self.zeroed += n;
                self.dirty = true;
            }
        }
        Ok(())
    }

    /// Appends `data` and returns where it begins. Durable after [`Appender::sync`].
    pub fn append(&mut self, data: &[u8]) -> Result<u64, StoreError> {
        self.reserve(data.len() as u64)?;
        let at = self.end;
        self.file.write_at(data, at).map_err(StoreError::io("writing", &self.path))?;
        self.end += data.len() as u64;
        self.dirty = true;
        Ok(at)
    }

    /// Cuts off what a failed append may have left behind the end. Best effort: it is never read as appended, and
    /// written over by the next.
    pub fn cut(&mut self) {
        if self.file.truncate(self.end).is_ok() {
            self.zeroed = self.zeroed.min(self.end);
        }
    }

    /// Makes everything appended durable. After a failure it fails for ever: a later sync that succeeds says nothing
    /// of what the failed one lost.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::sync(&self.path)(std::io::Error::other("a sync failed before")));
        }
        if self.dirty {
            self.failed = true;
            self.file.sync().map_err(StoreError::sync(&self.path))?;
            (self.failed, self.dirty) = (false, false);
        }
        Ok(())
    }
}
