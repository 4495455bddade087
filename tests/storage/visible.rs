//! Nobody sees anything of a commit before it is durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};

use lienthong::audit::{check, verify};
use lienthong::domain::limits;
use lienthong::domain::reason::Reason;
use lienthong::ledger::{Ledger, LedgerError};
use lienthong::merkle::sha256;
use lienthong::store::disk::{Disk, DiskFile, RealDisk};
use lienthong::store::journal::{Position, Reader};

use crate::harness::{
    SMALL_SEGMENT, assert_clean, journal, note, open, signer, submit, submit_to, try_open_with,
};

/// A disk on which a sync of the journal says that it was reached, and waits for what it shall answer.
#[derive(Clone, Default)]
pub struct Gate {
    armed: Arc<Mutex<Option<Armed>>>,
}

struct Armed {
    reached: mpsc::Sender<()>,
    released: mpsc::Receiver<io::Result<()>>,
}

struct GatedFile {
    gate: Gate,
    inner: Arc<dyn DiskFile>,
    journal: bool,
}

impl Gate {
    /// The next sync of the journal says so on the receiver and waits for the sender.
    pub fn arm(&self) -> (mpsc::Receiver<()>, mpsc::Sender<io::Result<()>>) {
        let (reached, at_sync) = mpsc::channel();
        let (release, released) = mpsc::channel();
        *self.armed.lock().unwrap() = Some(Armed { reached, released });
        (at_sync, release)
    }

    fn wrap(&self, path: &Path, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let journal = path.extension().is_some_and(|e| e == "journal");
        Arc::new(GatedFile { gate: self.clone(), inner, journal })
    }
}

impl DiskFile for GatedFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(data, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_at(buffer, offset)
    }
    fn sync(&self) -> io::Result<()> {
        let armed = if self.journal { self.gate.armed.lock().unwrap().take() } else { None };
        if let Some(Armed { reached, released }) = armed {
            reached.send(()).unwrap();
            released.recv().unwrap()?;
        }
        self.inner.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

impl Disk for Gate {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(path, RealDisk.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(path, RealDisk.open(path)?))
    }
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open_read(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
}

/// Every way to look shows the log of one event.
fn assert_shows_one(ledger: &Ledger, data: &Path) {
    let index = ledger.index();
    assert_eq!(ledger.snapshot().size(), 1);
    assert_eq!(ledger.snapshot().checkpoint().unwrap().checkpoint().size, 1);
    assert_eq!(index.head().unwrap().unwrap().size, 1);
    assert!(ledger.leaf(1).unwrap().is_none());
    assert!(ledger.prove(1, &ledger.snapshot()).is_err());
    assert_eq!(index.leaves(0, 10).unwrap().len(), 1);
    assert!(index.scan(b"f", b"f", 10).unwrap().is_empty(), "a fold shows what is not durable");
    let mut records = 0;
    index.for_each(|_, _| records += 1).unwrap();
    assert_eq!(records, 2, "head and one leaf");
    // An audit of the running log sees a whole state as well.
    let checked = check(&journal(data), Arc::new(RealDisk), index, signer().verifier(), |_| {}).unwrap();
    assert!(checked.is_clean(), "{:#?}", checked.findings);
    assert_eq!(checked.events, 1);
}

fn start() -> (tempfile::TempDir, PathBuf, Gate, Ledger, tokio::runtime::Runtime) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_owned();
    let gate = Gate::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (ledger, _) = try_open_with(&data, Arc::new(gate.clone()), SMALL_SEGMENT).unwrap();
    runtime.block_on(ledger.commit(note("first"))).unwrap();
    (dir, data, gate, ledger, runtime)
}

#[test]
fn while_the_journal_is_synced_everyone_sees_the_state_before() {
    let (_dir, data, gate, ledger, runtime) = start();
    let mut changes = ledger.subscribe();
    changes.borrow_and_update();
    let (at_sync, release) = gate.arm();
    let spawn = |command| {
        let ledger = ledger.clone();
        runtime.spawn(async move { ledger.commit(command).await })
    };
    let pending = spawn(submit(1, &[]));
    at_sync.recv().unwrap();
    // A refusal that rests on the pending event waits for it.
    let mut other = submit(1, &[]);
    if let lienthong::domain::Command::Submit { request_id, deliveries, .. } = &mut other {
        *request_id = lienthong::domain::RequestId::new("other").unwrap();
        if let lienthong::domain::event::Subject::Document(d) = &mut deliveries[0].item.subject {
            d.document_digest = sha256(b"another content");
        }
    }
    let conflict = spawn(other);
    for _ in 0..50 {
        assert_shows_one(&ledger, &data);
        assert!(!changes.has_changed().unwrap());
        assert!(!pending.is_finished() && !conflict.is_finished());
        std::thread::yield_now();
    }
    release.send(Ok(())).unwrap();
    let committed = runtime.block_on(pending).unwrap().unwrap();
    assert_eq!((committed.recorded(), committed.snapshot.size()), (1, 2));
    assert_eq!(ledger.index().head().unwrap().unwrap().size, 2);
    assert!(changes.has_changed().unwrap());
    assert!(ledger.prove(1, &committed.snapshot).is_ok());
    match runtime.block_on(conflict).unwrap() {
        Err(LedgerError::Rejected(rejection)) => assert_eq!(rejection.reason, Reason::Conflict),
        other => panic!("{:?}", other.map(|c| c.recorded())),
    }
}

#[test]
fn a_sync_that_fails_shows_nothing_and_answers_nobody_with_a_no() {
    let (_dir, data, gate, ledger, runtime) = start();
    let (at_sync, release) = gate.arm();
    let waiting = {
        let ledger = ledger.clone();
        runtime.spawn(async move { ledger.commit(submit(1, &[])).await })
    };
    at_sync.recv().unwrap();
    // A full disk is no refusal either, once the block is written.
    release.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    match runtime.block_on(waiting).unwrap() {
        Err(LedgerError::Failed(_)) => {}
        other => panic!("{:?}", other.map(|c| c.recorded())),
    }
    assert_shows_one(&ledger, &data);
    runtime.block_on(ledger.failure());
    match runtime.block_on(ledger.commit(note("late"))) {
        Err(LedgerError::Failed(_)) => {}
        other => panic!("{:?}", other.map(|c| c.recorded())),
    }
    drop(ledger);
    // The block was written: whole, it counts.
    let (_ledger, opened) = open(&data);
    assert_eq!(opened.size, 2);
}

#[test]
fn a_block_holds_a_bounded_number_of_events_however_many_wait() {
    let (_dir, data, gate, ledger, runtime) = start();
    let (at_sync, release) = gate.arm();
    let spawn = |command| {
        let ledger = ledger.clone();
        runtime.spawn(async move { ledger.commit(command).await })
    };
    let mut waiting = vec![spawn(note("second"))];
    at_sync.recv().unwrap();
    waiting.extend((0..6).map(|n| spawn(submit_to(n, 500))));
    release.send(Ok(())).unwrap();
    for commit in waiting {
        runtime.block_on(commit).unwrap().map(|_| ()).unwrap();
    }
    let mut reader = Reader::open(Arc::new(RealDisk), &journal(&data), Position::default()).unwrap();
    let mut sizes = Vec::new();
    while let Some(block) = reader.next_block().unwrap() {
        sizes.push(block.leaves.len());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 3_002);
    assert!(sizes.iter().all(|n| *n <= limits::COMMIT_EVENTS), "{sizes:?}");
}

#[test]
fn an_event_that_is_too_large_refuses_its_command_alone() {
    let (_dir, data, gate, ledger, runtime) = start();
    let (at_sync, release) = gate.arm();
    let spawn = |command| {
        let ledger = ledger.clone();
        runtime.spawn(async move { ledger.commit(command).await })
    };
    let first = spawn(note("second"));
    at_sync.recv().unwrap();
    let (before, large, after) =
        (spawn(note("before")), spawn(note(&"x".repeat(limits::LEAF_BYTES))), spawn(note("after")));
    release.send(Ok(())).unwrap();
    for good in [first, before, after] {
        runtime.block_on(good).unwrap().map(|_| ()).unwrap();
    }
    match runtime.block_on(large).unwrap() {
        Err(LedgerError::Rejected(rejection)) => assert_eq!(rejection.reason, Reason::TooLong),
        other => panic!("{:?}", other.map(|c| c.recorded())),
    }
    assert_eq!(ledger.snapshot().size(), 4);
    runtime.block_on(ledger.close(&data)).unwrap();
    assert_clean(&data);
}

#[test]
fn an_audit_of_a_log_that_moves_on_finds_nothing() {
    let (_dir, data, _gate, ledger, runtime) = start();
    let writer = {
        let ledger = ledger.clone();
        runtime.spawn(async move {
            for n in 0..80 {
                ledger.commit(submit_to(n, 4)).await.map(|_| ()).unwrap();
            }
        })
    };
    let mut rounds = 0;
    while !writer.is_finished() || rounds < 2 {
        let (dir, disk, signer) = (journal(&data), Arc::new(RealDisk), signer());
        let checked = if rounds % 2 == 0 {
            check(&dir, disk, ledger.index(), signer.verifier(), |_| {})
        } else {
            verify(&dir, disk, ledger.index(), signer.verifier(), |_| {})
        };
        let checked = checked.unwrap();
        assert!(checked.is_clean(), "{:#?}", checked.findings);
        rounds += 1;
    }
    runtime.block_on(writer).unwrap();
}
