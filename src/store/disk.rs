//! The storage port: what journal and content need of a file system. The real one is [`RealDisk`]; tests use
//! [`faulty`], which fails a chosen operation, with or without its effect.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file: written and read at offsets, synced explicitly.
pub trait DiskFile: Send + Sync {
    /// Writes all of `data` at `offset`.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;
    /// Fills `buffer` from `offset`; an end before is an error.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file to `len` bytes.
    fn truncate(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Whether it is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Files by path.
pub trait Disk: Send + Sync {
    /// Creates a file that must not exist.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Puts a file in another's place.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes creations and renames in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Creates a folder and those above it, durably: what is synced in it later must not hang on a name that is not.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Names in a folder, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Bytes that this process may still write to the file system of a folder; `u64::MAX` where nobody knows.
    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// The operating system's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl DiskFile for File {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, data, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(File::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|d| !d.as_os_str().is_empty() && !d.exists()).collect();
        fs::create_dir_all(dir)?;
        for parent in missing.iter().rev().filter_map(|made| made.parent()) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir)?;
        // What is kept for root is not ours.
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// A disk on which the n-th changing operation fails. For tests; it stands here so that tests of every layer use it.
pub mod faulty {
    use std::sync::Mutex;

    use super::{Arc, Disk, DiskFile, Path, PathBuf, RealDisk, io};

    /// How an operation fails.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Fault {
        /// It has no effect.
        Failed,
        /// It has its effect, and says that it failed.
        FailedButPersisted,
        /// Half of a write has its effect.
        Torn,
        /// The disk is full: no effect.
        Full,
    }

    /// What was done, and what shall fail.
    #[derive(Debug, Default)]
    pub struct Plan {
        state: Mutex<State>,
    }

    #[derive(Debug, Default)]
    struct State {
        done: u64,
        fail_at: Option<(u64, Fault)>,
        /// Counts down operations on paths with this part, until one fails.
        fail_in: Option<(&'static str, u64, Fault)>,
        broken: bool,
        full: bool,
        free: Option<u64>,
        trace: Vec<(&'static str, PathBuf)>,
    }

    impl Plan {
        /// Fails the `n`-th changing operation from now, counted from 0; every later one fails as well.
        pub fn fail(&self, n: u64, fault: Fault) {
            let mut state = self.state.lock().expect("no holder of this lock panics");
            state.fail_at = Some((state.done + n, fault));
        }

        /// The same, counting only operations on paths with this part: what goes on beside them does not matter.
        pub fn fail_in(&self, part: &'static str, n: u64, fault: Fault) {
            self.state.lock().expect("no holder of this lock panics").fail_in = Some((part, n, fault));
        }

        /// From now on there is no room, or there is again: writes behind the end of a file fail as [`Fault::Full`].
        pub fn set_full(&self, full: bool) {
            self.state.lock().expect("no holder of this lock panics").full = full;
        }

        fn is_full(&self) -> bool {
            self.state.lock().expect("no holder of this lock panics").full
        }

        /// What the disk says is free; `None`: the truth.
        pub fn set_free(&self, bytes: Option<u64>) {
            self.state.lock().expect("no holder of this lock panics").free = bytes;
        }

        /// Number of changing operations so far.
        pub fn done(&self) -> u64 {
            self.state.lock().expect("no holder of this lock panics").done
        }

        /// What was done, in order.
        pub fn trace(&self) -> Vec<(&'static str, PathBuf)> {
            self.state.lock().expect("no holder of this lock panics").trace.clone()
        }

        fn step(&self, what: &'static str, path: &Path) -> Option<Fault> {
            let mut state = self.state.lock().expect("no holder of this lock panics");
            let n = state.done;
            state.done += 1;
            state.trace.push((what, path.to_owned()));
            if let Some((part, left, fault)) = &mut state.fail_in
                && path.to_string_lossy().contains(*part)
            {
                if let Some(less) = left.checked_sub(1) {
                    *left = less;
                } else {
                    let fault = *fault;
                    state.fail_in = None;
                    state.broken = fault != Fault::Full;
                    return Some(fault);
                }
            }
            match state.fail_at {
                Some((at, fault)) if n == at => {
                    // A full disk stays usable, a broken one does not.
                    state.broken = fault != Fault::Full;
                    Some(fault)
                }
                _ if state.broken => Some(Fault::Failed),
                _ => None,
            }
        }
    }

    /// The real disk under a [`Plan`].
    #[derive(Debug, Clone, Default)]
    pub struct FaultyDisk {
        /// What shall fail.
        pub plan: Arc<Plan>,
    }

    struct FaultyFile {
        plan: Arc<Plan>,
        path: PathBuf,
        inner: Arc<dyn DiskFile>,
    }

    fn error(fault: Fault) -> io::Error {
        match fault {
            Fault::Full => io::Error::new(io::ErrorKind::StorageFull, "injected: no space left"),
            _ => io::Error::other("injected fault"),
        }
    }

    fn change(fault: Option<Fault>, effect: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match fault {
            None => effect(),
            Some(Fault::FailedButPersisted) => effect().and(Err(error(Fault::FailedButPersisted))),
            Some(fault) => Err(error(fault)),
        }
    }

    impl DiskFile for FaultyFile {
        fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
            let fault = self.plan.step("write", &self.path);
            if fault.is_none() && self.plan.is_full() && offset + data.len() as u64 > self.inner.len()? {
                return Err(error(Fault::Full));
            }
            match fault {
                Some(Fault::Torn) => {
                    self.inner.write_at(&data[..data.len() / 2], offset)?;
                    Err(error(Fault::Torn))
                }
                fault => change(fault, || self.inner.write_at(data, offset)),
            }
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            self.inner.read_at(buffer, offset)
        }

        fn sync(&self) -> io::Result<()> {
            change(self.plan.step("sync", &self.path), || self.inner.sync())
        }

        fn len(&self) -> io::Result<u64> {
            self.inner.len()
        }

        fn truncate(&self, len: u64) -> io::Result<()> {
            change(self.plan.step("truncate", &self.path), || self.inner.truncate(len))
        }
    }

    impl FaultyDisk {
        fn wrap(&self, path: &Path, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
            Arc::new(FaultyFile { plan: self.plan.clone(), path: path.to_owned(), inner })
        }
    }

    impl Disk for FaultyDisk {
        fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
            match self.plan.step("create", path) {
                None => Ok(self.wrap(path, RealDisk.create(path)?)),
                Some(Fault::FailedButPersisted) => {
                    RealDisk.create(path)?;
                    Err(error(Fault::FailedButPersisted))
                }
                Some(fault) => Err(error(fault)),
            }
        }

        fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
            Ok(self.wrap(path, RealDisk.open(path)?))
        }

        fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
            RealDisk.open_read(path)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            change(self.plan.step("rename", to), || RealDisk.rename(from, to))
        }

        fn sync_dir(&self, dir: &Path) -> io::Result<()> {
            change(self.plan.step("sync_dir", dir), || RealDisk.sync_dir(dir))
        }

        fn create_dir(&self, dir: &Path) -> io::Result<()> {
            change(self.plan.step("create_dir", dir), || RealDisk.create_dir(dir))
        }

        fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
            RealDisk.list(dir)
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            change(self.plan.step("remove", path), || RealDisk.remove(path))
        }

        fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
            let free = self.plan.state.lock().expect("no holder of this lock panics").free;
            free.map_or_else(|| RealDisk.free_bytes(dir), Ok)
        }
    }
}
