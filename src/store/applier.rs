//! The thread that brings sled up to what was committed, one batch for everything since the last.
//!
//! sled takes several microseconds a record, blocks its readers while it applies a batch, and is not the commit point:
//! so no commit waits for it. A commit goes into the [`Memtable`] that all readers look at first; this thread
//! freezes it every [`INTERVAL`], applies it and drops it. Should sled fall behind by more than [`MOST_BYTES`], commits
//! wait for it.
//!
//! sled does not survive a write that finds no room. So without room for a batch the thread waits until there is, and
//! commits go on in memory; when half of what may be there is, they are refused until then ([`Applier::has_room`]).
//!
//! The thread starts with the first commit and ends, when the last handle of the index is gone, after a last batch. An
//! index without sled has none: everything stays in the memtable.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use sled::IVec;

use super::index::{Head, Sum};
use super::memtable::{Change, Layer, Memtable};

/// How long changes gather. A delivery is sent and receipted within a few tens of milliseconds: what is written in
/// between, and its outbox entry, need not reach sled.
const INTERVAL: Duration = Duration::from_millis(500);

/// Bytes of changes in memory, those on their way to sled counted; some ten thousand documents.
const MOST_BYTES: usize = 64 << 20;

/// Writes a layer to sled; says in a word why it could not.
type Write = dyn Fn(&Layer, &Head) -> Result<(), String> + Send + Sync;

struct Shared {
    table: RwLock<Memtable>,
    control: Mutex<Control>,
    /// The thread has something to do.
    work: Condvar,
    /// A batch is in sled, or none will be.
    done: Condvar,
    /// `None`: there is no sled, and nothing to bring there.
    write: Option<Box<Write>>,
    /// Whether there is room for a batch of so many bytes.
    room: Box<Room>,
}

type Room = dyn Fn(usize) -> bool + Send + Sync;

/// How often room is looked for while there is none.
const LOOK: Duration = Duration::from_millis(500);

/// Told once when sled cannot be written any more.
type OnFailure = dyn Fn(&str) + Send + Sync;

#[derive(Default)]
struct Control {
    sum: Sum,
    /// Commits taken in, and those of them that are in sled.
    committed: u64,
    applied: u64,
    hurry: bool,
    stop: bool,
    /// There is no room for the batch under way.
    held: bool,
    failed: Option<String>,
    on_failure: Option<Box<OnFailure>>,
    thread: Option<JoinHandle<()>>,
}

/// The handle of the thread and of what waits for it.
pub(super) struct Applier {
    shared: Arc<Shared>,
}

impl Applier {
    pub fn new(
        write: impl Fn(&Layer, &Head) -> Result<(), String> + Send + Sync + 'static,
        room: impl Fn(usize) -> bool + Send + Sync + 'static,
    ) -> Applier {
        Applier::with(Some(Box::new(write)), Box::new(room))
    }

    /// One that keeps everything in memory.
    pub fn in_memory() -> Applier {
        let applier = Applier::with(None, Box::new(|_| true));
        applier.shared.write().set_base(0);
        applier
    }

    fn with(write: Option<Box<Write>>, room: Box<Room>) -> Applier {
        Applier {
            shared: Arc::new(Shared {
                table: RwLock::default(),
                control: Mutex::default(),
                work: Condvar::new(),
                done: Condvar::new(),
                write,
                room,
            }),
        }
    }

    /// Whether a commit more can wait for sled.
    pub fn has_room(&self) -> bool {
        !self.shared.lock().held || self.table().bytes() <= MOST_BYTES / 2
    }

    /// What is committed and not in sled yet.
    pub fn table(&self) -> RwLockReadGuard<'_, Memtable> {
        self.shared.read()
    }

    /// Where sled stands; to be said before the first commit.
    pub fn start_at(&self, head: &Head) {
        self.shared.lock().sum = Sum(head.sum);
        self.shared.write().set_base(head.size);
    }

    /// What is called, once, when sled cannot be written any more.
    pub fn on_failure(&self, f: impl Fn(&str) + Send + Sync + 'static) {
        self.shared.lock().on_failure = Some(Box::new(f));
    }

    /// Whether commits can be taken in.
    pub fn healthy(&self) -> Result<(), String> {
        self.shared.lock().failed.clone().map_or(Ok(()), Err)
    }

    /// Takes a commit in: everyone sees all of it from now on.
    pub fn commit(&self, changes: Vec<(IVec, Change)>, head: Head) -> Result<(), String> {
        if self.shared.write.is_none() {
            self.shared.write().merge(changes, head);
            return Ok(());
        }
        let mut control = self.shared.lock();
        while control.failed.is_none() && self.table().bytes() > MOST_BYTES {
            control.hurry = true;
            self.shared.work.notify_one();
            control = self.shared.wait_done(control);
        }
        if control.thread.is_none() && control.failed.is_none() {
            let shared = self.shared.clone();
            match std::thread::Builder::new().name("sled-apply".into()).spawn(move || shared.run_guarded()) {
                Ok(thread) => control.thread = Some(thread),
                Err(error) => control.failed = Some(format!("no thread can be started: {error}")),
            }
        }
        if let Some(problem) = &control.failed {
            return Err(problem.clone());
        }
        self.shared.write().merge(changes, head);
        control.committed += 1;
        self.shared.work.notify_one();
        Ok(())
    }

    /// Takes a record in that is no part of the log, where there is no sled to write it to.
    pub fn put(&self, key: &[u8], value: &[u8]) {
        self.shared.write().put(key, value);
    }

    /// Waits until everything that was committed before is in sled.
    pub fn drain(&self) -> Result<(), String> {
        let mut control = self.shared.lock();
        let target = control.committed;
        while control.applied < target {
            if control.held {
                return Err("there is no room for it: make some, it is brought up to date then".to_owned());
            }
            if let Some(problem) = &control.failed {
                return Err(problem.clone());
            }
            control.hurry = true;
            self.shared.work.notify_one();
            control = self.shared.wait_done(control);
        }
        Ok(())
    }
}

impl Drop for Applier {
    fn drop(&mut self) {
        let thread = {
            let mut control = self.shared.lock();
            control.stop = true;
            self.shared.work.notify_one();
            control.thread.take()
        };
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Memtable> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memtable> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_done<'a>(&self, control: MutexGuard<'a, Control>) -> MutexGuard<'a, Control> {
        self.done.wait(control).unwrap_or_else(PoisonError::into_inner)
    }

    fn run_guarded(&self) {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run()));
        let problem = match ran {
            Ok(Ok(())) => return,
            Ok(Err(problem)) => problem,
            Err(_) => "the thread that writes sled panicked".to_owned(),
        };
        let told = {
            let mut control = self.lock();
            control.failed = Some(problem.clone());
            control.on_failure.take()
        };
        self.done.notify_all();
        if let Some(told) = told {
            told(&problem);
        }
    }

    fn run(&self) -> Result<(), String> {
        loop {
            let (layer, mut sum, target) = {
                let mut control = self.lock();
                while !control.stop && control.applied == control.committed {
                    control = self.work.wait(control).unwrap_or_else(PoisonError::into_inner);
                }
                if !control.stop && !control.hurry {
                    // Commits notify as well; only haste ends the wait.
                    let waited = self.work.wait_timeout_while(control, INTERVAL, |c| !c.stop && !c.hurry);
                    control = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                control.hurry = false;
                let frozen = self.write().freeze();
                // Only a stop comes here with nothing to do.
                let Some(layer) = frozen else { return Ok(()) };
                (layer, control.sum, control.committed)
            };
            if !self.wait_for_room(layer.bytes()) {
                // The next start brings it from the journal.
                return Ok(());
            }
            self.apply(&layer, &mut sum)?;
            let thawed = {
                let mut control = self.lock();
                control.sum = sum;
                control.applied = target;
                self.write().thaw()
            };
            self.done.notify_all();
            // Freeing a layer takes its time: nobody waits for it.
            drop((layer, thawed));
        }
    }

    /// Waits until there is room for a batch; false when the node stops before.
    fn wait_for_room(&self, bytes: usize) -> bool {
        while !(self.room)(bytes) {
            let mut control = self.lock();
            if control.stop {
                return false;
            }
            if !control.held {
                tracing::warn!("there is no room for sled: it waits, the journal goes on");
                control.held = true;
                self.done.notify_all();
            }
            drop(self.work.wait_timeout_while(control, LOOK, |c| !c.stop));
        }
        let mut control = self.lock();
        if std::mem::take(&mut control.held) {
            tracing::info!("there is room for sled again");
        }
        true
    }

    fn apply(&self, layer: &Layer, sum: &mut Sum) -> Result<(), String> {
        for (key, change) in &layer.changes {
            if !Sum::counts(key) {
                continue;
            }
            if let Some(before) = &change.before {
                sum.remove(key, before);
            }
            if let Some(after) = &change.after {
                sum.add(key, after);
            }
        }
        let (Some(head), Some(write)) = (&layer.head, &self.write) else { return Ok(()) };
        write(layer, &Head { sum: sum.0, ..head.clone() })
    }
}
