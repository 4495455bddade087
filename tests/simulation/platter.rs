//! A disk in memory that forgets what was not synced.
//!
//! There are two states of everything: what a reader sees (the cache of the system) and what is durable. A write is
//! seen at once and durable after the file's sync; a name is durable after its folder's sync. A process that ends
//! leaves both as they are. A power cut leaves what is durable, and of the rest what chance lets through: of writes,
//! any of their sectors, of names in a folder, a beginning of the changes. A sync that failed has made durable what
//! chance let through, and a later one does not make up for it (as Linux does).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lienthong::store::disk::{Disk, DiskFile};

use crate::dice::Dice;
use crate::life::Life;

const SECTOR: usize = 512;

/// Bytes that end in zeros, which are not kept.
#[derive(Clone, Default)]
struct Bytes {
    data: Vec<u8>,
    len: u64,
}

fn without_zeros(data: &[u8]) -> &[u8] {
    const ZEROS: [u8; 4096] = [0; 4096];
    let zeros: usize =
        data.rchunks(ZEROS.len()).take_while(|c| *c == &ZEROS[..c.len()]).map(<[u8]>::len).sum();
    &data[..data.len() - zeros]
}

impl Bytes {
    fn write(&mut self, write: &Write) {
        let Write { offset, len, data } = write;
        self.len = self.len.max(offset + *len as u64);
        let offset = *offset as usize;
        // Zeros over something are written, zeros beyond everything only count.
        let known = self.data.len().saturating_sub(offset).min(*len);
        if known > data.len() {
            self.data[offset + data.len()..offset + known].fill(0);
        }
        if !data.is_empty() {
            let gap = offset.saturating_sub(self.data.len());
            self.data.extend_from_slice(&vec![0; gap]);
            let over = (self.data.len() - offset).min(data.len());
            self.data[offset..offset + over].copy_from_slice(&data[..over]);
            self.data.extend_from_slice(&data[over..]);
        }
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset + buffer.len() as u64 > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let from = (offset as usize).min(self.data.len());
        let there = (self.data.len() - from).min(buffer.len());
        buffer[..there].copy_from_slice(&self.data[from..from + there]);
        buffer[there..].fill(0);
        Ok(())
    }
}

/// A write: where, how much, and the data without the zeros at its end.
#[derive(Clone)]
struct Write {
    offset: u64,
    len: usize,
    data: Vec<u8>,
}

impl Write {
    fn new(data: &[u8], offset: u64) -> Write {
        Write { offset, len: data.len(), data: without_zeros(data).to_vec() }
    }
}

#[derive(Clone, Default)]
struct Inode {
    seen: Bytes,
    durable: Bytes,
    /// Since the last sync.
    dirty: Vec<Write>,
}

impl Inode {
    /// Makes what chance lets through durable, of what was not.
    fn settle(&mut self, dice: &Dice) {
        let lucky = *dice.pick(&[0, 100, 500, 900, 1000]);
        for write in std::mem::take(&mut self.dirty) {
            // Zeros at the end are one piece: a run of sectors that nobody tells apart.
            let zeros = Write {
                offset: write.offset + write.data.len() as u64,
                len: write.len - write.data.len(),
                data: Vec::new(),
            };
            let sectors = write.data.chunks(SECTOR).enumerate();
            let sectors = sectors.map(|(n, sector)| Write::new(sector, write.offset + (n * SECTOR) as u64));
            for piece in sectors.chain((zeros.len > 0).then_some(zeros)) {
                if dice.chance(lucky) {
                    self.durable.write(&piece);
                }
            }
        }
    }
}

/// A change of a name.
#[derive(Clone)]
enum Change {
    Made(PathBuf, u64),
    Moved(PathBuf, PathBuf, u64),
    Removed(PathBuf),
}

impl Change {
    /// The folder whose sync makes it durable.
    fn dir(&self) -> PathBuf {
        let (Change::Made(path, _) | Change::Moved(_, path, _) | Change::Removed(path)) = self;
        path.parent().unwrap_or(Path::new("")).to_owned()
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Change::Made(path, inode) => drop(names.insert(path, inode)),
            Change::Moved(from, to, inode) => {
                names.remove(&from);
                names.insert(to, inode);
            }
            Change::Removed(path) => drop(names.remove(&path)),
        }
    }
}

#[derive(Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    next: u64,
    dirs: BTreeSet<PathBuf>,
    seen: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    changes: Vec<Change>,
    faults: Faults,
    /// Operations, and those that failed on purpose.
    done: u64,
    failed: u64,
}

/// What goes wrong on a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Of a thousand changing operations, so many fail, with or without effect.
    pub permille: u64,
    /// Files cannot grow.
    pub full: bool,
    /// A sync says that it is done, and did nothing.
    pub lies: bool,
}

/// How a node ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its process ends.
    Killed,
    /// The power is cut.
    Cut,
}

/// What stays when nodes come and go.
#[derive(Clone)]
pub struct Platter {
    state: Arc<Mutex<State>>,
    dice: Dice,
}

impl Platter {
    /// An empty one.
    pub fn new(dice: Dice) -> Platter {
        Platter { state: Arc::default(), dice }
    }

    /// As a process sees it, until its life ends.
    pub fn disk(&self, life: Arc<Life>) -> SimDisk {
        SimDisk { platter: self.clone(), life }
    }

    /// What would be there after a power cut without luck; to be read only.
    pub fn durable(&self) -> DurableDisk {
        DurableDisk(self.state.clone())
    }

    /// From now on this goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().unwrap().faults = faults;
    }

    /// Operations that failed on purpose so far.
    pub fn failed(&self) -> u64 {
        self.state.lock().unwrap().failed
    }

    /// A process ends, or the power is cut; `lucky`: some of what was not synced may be there all the same.
    pub fn end(&self, how: End, lucky: bool) {
        let mut state = self.state.lock().unwrap();
        if how == End::Killed {
            return;
        }
        let mut left: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for change in &state.changes {
            *left.entry(change.dir()).or_default() += 1;
        }
        for count in left.values_mut() {
            *count = if lucky { self.dice.between(0, *count as u64) as usize } else { 0 };
        }
        for change in std::mem::take(&mut state.changes) {
            let count = left.get_mut(&change.dir()).unwrap();
            if *count > 0 {
                *count -= 1;
                change.apply(&mut state.durable);
            }
        }
        let names: BTreeSet<u64> = state.durable.values().copied().collect();
        state.inodes.retain(|inode, _| names.contains(inode));
        for inode in state.inodes.values_mut() {
            if lucky {
                inode.settle(&self.dice);
            }
            inode.dirty.clear();
            inode.seen = inode.durable.clone();
        }
        state.seen = state.durable.clone();
    }
}

fn gone() -> io::Error {
    io::Error::other("this process has ended")
}

fn injected() -> io::Error {
    io::Error::other("injected fault")
}

/// The port, for one life of a node.
#[derive(Clone)]
pub struct SimDisk {
    platter: Platter,
    life: Arc<Life>,
}

/// How an operation goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goes {
    Well,
    /// It fails, and has its effect.
    FailsDone,
    Fails,
}

impl SimDisk {
    fn step<T>(&self, change: impl FnOnce(&mut State, Goes) -> io::Result<T>) -> io::Result<T> {
        if !self.life.step() {
            return Err(gone());
        }
        let mut state = self.platter.state.lock().unwrap();
        state.done += 1;
        let goes = if state.faults.permille > 0 && self.platter.dice.chance(state.faults.permille) {
            state.failed += 1;
            if self.platter.dice.chance(500) { Goes::FailsDone } else { Goes::Fails }
        } else {
            Goes::Well
        };
        change(&mut state, goes)
    }

    fn look<T>(&self, read: impl FnOnce(&State) -> io::Result<T>) -> io::Result<T> {
        if !self.life.is_on() {
            return Err(gone());
        }
        read(&self.platter.state.lock().unwrap())
    }

    fn rename_or_remove(&self, change: impl FnOnce(&State) -> io::Result<Change>) -> io::Result<()> {
        self.step(|state, goes| {
            let change = change(state)?;
            if goes != Goes::Fails {
                change.clone().apply(&mut state.seen);
                state.changes.push(change);
            }
            if goes == Goes::Well { Ok(()) } else { Err(injected()) }
        })
    }

    fn file(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.look(|state| find(&state.seen, path))?;
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }
}

fn find(names: &BTreeMap<PathBuf, u64>, path: &Path) -> io::Result<u64> {
    names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn list(names: &BTreeMap<PathBuf, u64>, dir: &Path) -> Vec<String> {
    let below = names.keys().filter(|p| p.parent() == Some(dir));
    below.filter_map(|p| Some(p.file_name()?.to_str()?.to_owned())).collect()
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.step(|state, goes| {
            if state.seen.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let inode = state.next;
            if goes != Goes::Fails {
                state.next += 1;
                state.inodes.insert(inode, Inode::default());
                let change = Change::Made(path.to_owned(), inode);
                change.clone().apply(&mut state.seen);
                state.changes.push(change);
            }
            if goes == Goes::Well { Ok(inode) } else { Err(injected()) }
        })?;
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.file(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename_or_remove(|state| {
            Ok(Change::Moved(from.to_owned(), to.to_owned(), find(&state.seen, from)?))
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(|state, goes| {
            if !state.faults.lies && goes != Goes::Fails {
                let (now, later) =
                    std::mem::take(&mut state.changes).into_iter().partition(|c| c.dir() == dir);
                state.changes = later;
                Vec::into_iter(now).for_each(|change: Change| change.apply(&mut state.durable));
            }
            if goes == Goes::Well { Ok(()) } else { Err(injected()) }
        })
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(|state, goes| {
            if goes != Goes::Fails {
                state.dirs.extend(dir.ancestors().map(Path::to_owned));
            }
            if goes == Goes::Well { Ok(()) } else { Err(injected()) }
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.look(|state| {
            if state.dirs.contains(dir) {
                Ok(list(&state.seen, dir))
            } else {
                Err(io::ErrorKind::NotFound.into())
            }
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.rename_or_remove(|state| find(&state.seen, path).map(|_| Change::Removed(path.to_owned())))
    }
}

struct SimFile {
    disk: SimDisk,
    inode: u64,
}

impl DiskFile for SimFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.disk.step(|state, goes| {
            let full = state.faults.full;
            let inode = state.inodes.get_mut(&self.inode).ok_or_else(gone)?;
            if full && offset + data.len() as u64 > inode.seen.len {
                state.failed += 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            // A failed write may have written a part.
            let data = match goes {
                Goes::Well => data,
                Goes::FailsDone => &data[..data.len() / 2],
                Goes::Fails => return Err(injected()),
            };
            let write = Write::new(data, offset);
            inode.seen.write(&write);
            inode.dirty.push(write);
            if goes == Goes::Well { Ok(()) } else { Err(injected()) }
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.look(|state| state.inodes.get(&self.inode).ok_or_else(gone)?.seen.read(buffer, offset))
    }

    fn sync(&self) -> io::Result<()> {
        let dice = self.disk.platter.dice.clone();
        self.disk.step(|state, goes| {
            let lies = state.faults.lies;
            let inode = state.inodes.get_mut(&self.inode).ok_or_else(gone)?;
            match goes {
                Goes::Well if lies => {}
                Goes::Well => {
                    std::mem::take(&mut inode.dirty).iter().for_each(|write| inode.durable.write(write));
                }
                Goes::Fails | Goes::FailsDone => {
                    inode.settle(&dice);
                    return Err(injected());
                }
            }
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.look(|state| Ok(state.inodes.get(&self.inode).ok_or_else(gone)?.seen.len))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.disk.step(|state, goes| {
            let inode = state.inodes.get_mut(&self.inode).ok_or_else(gone)?;
            if goes != Goes::Fails {
                // Seen at once; what is durable keeps the tail, which is what a log must be able to open anyway.
                inode.seen.data.truncate(len as usize);
                inode.seen.len = len;
            }
            if goes == Goes::Well { Ok(()) } else { Err(injected()) }
        })
    }
}

/// What is durable; the zeros at the end of files are left out.
#[derive(Clone)]
pub struct DurableDisk(Arc<Mutex<State>>);

struct DurableFile(Arc<Mutex<State>>, u64);

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for DurableDisk {
    fn create(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        read_only()
    }

    fn open(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        read_only()
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = find(&self.0.lock().unwrap().durable, path)?;
        Ok(Arc::new(DurableFile(self.0.clone(), inode)))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Ok(list(&self.0.lock().unwrap().durable, dir))
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        read_only()
    }
}

impl DurableFile {
    fn inode<T>(&self, read: impl FnOnce(&Inode) -> io::Result<T>) -> io::Result<T> {
        read(self.0.lock().unwrap().inodes.get(&self.1).ok_or_else(gone)?)
    }
}

impl DiskFile for DurableFile {
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        read_only()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inode(|inode| inode.durable.read(buffer, offset))
    }

    fn sync(&self) -> io::Result<()> {
        read_only()
    }

    fn len(&self) -> io::Result<u64> {
        self.inode(|inode| Ok(without_zeros(&inode.durable.data).len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> (Platter, SimDisk) {
        let platter = Platter::new(Dice::new(1));
        let life = Life::new(0, tokio::sync::mpsc::unbounded_channel().0);
        let disk = platter.disk(life);
        disk.create_dir(Path::new("d")).unwrap();
        (platter, disk)
    }

    fn read(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(Path::new(path)).ok()?;
        let mut data = vec![1; file.len().unwrap() as usize];
        file.read_at(&mut data, 0).unwrap();
        Some(data)
    }

    #[test]
    fn what_was_not_synced_is_seen_and_goes_with_the_power() {
        let (platter, disk) = new();
        let file = disk.create(Path::new("d/a")).unwrap();
        file.write_at(b"synced", 0).unwrap();
        file.sync().unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        file.write_at(b"later", 3).unwrap();
        disk.create(Path::new("d/b")).unwrap().sync().unwrap();
        platter.end(End::Killed, false);
        assert_eq!(read(&disk, "d/a").unwrap(), b"synlater");
        assert_eq!(disk.list(Path::new("d")).unwrap(), ["a", "b"]);
        platter.end(End::Cut, false);
        assert_eq!(read(&disk, "d/a").unwrap(), b"synced");
        assert_eq!(disk.list(Path::new("d")).unwrap(), ["a"]);
    }

    #[test]
    fn a_sync_does_not_make_up_for_one_that_failed() {
        let (platter, disk) = new();
        let file = disk.create(Path::new("d/a")).unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        let mut lost = 0;
        for n in 0..20 {
            file.write_at(b"x", n).unwrap();
            platter.set_faults(Faults { permille: 1000, ..Faults::default() });
            file.sync().unwrap_err();
            platter.set_faults(Faults::default());
            file.sync().unwrap();
            let durable = platter.durable().open_read(Path::new("d/a")).unwrap();
            lost += u64::from(durable.len().unwrap() <= n);
        }
        assert!(lost > 0);
    }

    #[test]
    fn zeros_count_and_are_written_over() {
        let (_, disk) = new();
        let file = disk.create(Path::new("d/a")).unwrap();
        file.write_at(&[0; 10_000], 0).unwrap();
        file.write_at(b"abc", 5_000).unwrap();
        file.write_at(&[0; 2], 5_001).unwrap();
        let mut expected = vec![0; 10_000];
        expected[5_000] = b'a';
        assert_eq!(read(&disk, "d/a").unwrap(), expected);
        assert!(file.read_at(&mut [0; 2], 9_999).is_err());
    }
}
