//! The ledger: the one writer of the log, its proofs, and its opening.
//!
//! [`Ledger`] is the handle that everyone holds. A command goes to the writer thread (`writer`), which collects what
//! waits, decides each on the state so far, and commits the group; the caller gets its answer after the commit is
//! durable, together with the [`Snapshot`] under which its event can be proven. Readers see sled, which only ever
//! holds what is durable. [`Ledger::open`] (in `open`) and the commit share the code that applies events, so that
//! what is recovered is what was written. [`Ledger::open_in_memory`] is the same without sled and without threads.

mod clock;
mod keys;
mod lost;
mod open;
mod overlay;
mod random;
mod sets;
mod stats;
mod tiles;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::decide::{Answer, Command, Declined, Place};
use crate::domain::fold::{Records, ViewError};
use crate::domain::reason::{Reason, Rejection};
use crate::merkle::{Hash, SignedCheckpoint, Tree};
use crate::store::StoreError;
use crate::store::content::ContentStore;
use crate::store::index::Index;
use crate::time::Timestamp;
use crate::wire::proof::Proof;

pub use clock::{Clock, ManualClock, SystemClock};
pub use keys::{check_key_change, key_changes};
pub use open::{LedgerConfig, Opened, offline_index};
pub use overlay::Overlay;
pub use random::{Random, SystemRandom};
pub use sets::events_of;
pub use stats::{BOUNDS_MS, CommitStats, Commits};

/// A state of the log that is durable: its tree and its signed checkpoint.
#[derive(Clone)]
pub struct Snapshot {
    tree: Tree,
    checkpoint: Option<SignedCheckpoint>,
}

impl Snapshot {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The checkpoint; none while the log is empty.
    pub fn checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.checkpoint.as_ref()
    }
}

/// Why a command did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It was refused.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Something it was prepared on changed: prepare again.
    #[error("the state moved on while this was prepared")]
    Stale,
    /// Writing failed: whether it is recorded is unknown.
    #[error("{0}")]
    Failed(Arc<StoreError>),
}

impl LedgerError {
    /// As a refusal for a caller. A failure says that the outcome is unknown, never that it is a no.
    pub fn into_rejection(self) -> Rejection {
        match self {
            LedgerError::Rejected(rejection) => rejection,
            LedgerError::Stale => Rejection::new(
                Reason::Overloaded,
                "",
                "others send the same document at the same time: send again",
            ),
            LedgerError::Failed(error) => {
                tracing::error!(%error, "the ledger failed");
                Rejection::new(
                    Reason::StorageFailed,
                    "",
                    "writing failed at this node; whether it is recorded is unknown: send the same again",
                )
            }
        }
    }
}

impl From<Declined> for LedgerError {
    fn from(declined: Declined) -> Self {
        match declined {
            Declined::Rejected(r) => LedgerError::Rejected(r),
            Declined::Stale => LedgerError::Stale,
            Declined::View(e) => LedgerError::Rejected(damaged(&e)),
        }
    }
}

/// A refusal because the state cannot be read.
pub fn damaged(error: &ViewError) -> Rejection {
    tracing::error!(%error, "the state cannot be read");
    Rejection::new(
        Reason::Damaged,
        "",
        "this node's store must be checked by its administrator; try again later",
    )
}

/// A refusal because storage cannot be read or written.
pub fn storage(error: &StoreError) -> Rejection {
    match error {
        StoreError::Full { .. } => Rejection::new(
            Reason::StorageFull,
            "",
            "this node's disk is full: nothing was recorded; try again when its operator has made room",
        ),
        error => {
            tracing::error!(%error, "storage failed");
            Rejection::new(Reason::StorageFailed, "", "this node's storage failed: send the same again later")
        }
    }
}

/// A command that took effect, durably.
#[derive(Clone)]
pub struct Committed {
    /// What the command was answered.
    pub answer: Answer,
    /// Index of its first new event.
    pub first: u64,
    /// Time of its events.
    pub at: Timestamp,
    /// The state that includes it.
    pub snapshot: Arc<Snapshot>,
}

impl Committed {
    /// The log index of a place in the answer.
    pub fn index(&self, place: Place) -> u64 {
        match place {
            Place::Existing(index) => index,
            Place::New(offset) => self.first + offset as u64,
        }
    }

    /// The log index of the event that records the command.
    pub fn recorded(&self) -> u64 {
        match &self.answer {
            Answer::Recorded(place) => self.index(*place),
            Answer::Sent(sent) => sent.first().map_or(self.first, |(_, place)| self.index(*place)),
        }
    }
}

pub(crate) struct Job {
    command: Command,
    reply: oneshot::Sender<Result<Committed, LedgerError>>,
}

/// What events record of the directory in force.
#[derive(Debug, Default)]
pub struct DirectoryStamp {
    version: AtomicU64,
    valid_until: AtomicI64,
}

impl DirectoryStamp {
    /// Sets what is in force.
    pub fn set(&self, version: u64, valid_until: Timestamp) {
        self.version.store(version, Ordering::Release);
        self.valid_until.store(valid_until.millis(), Ordering::Release);
    }

    fn get(&self, now: Timestamp) -> (u64, bool) {
        let version = self.version.load(Ordering::Acquire);
        (version, version > 0 && now.millis() > self.valid_until.load(Ordering::Acquire))
    }
}

/// Whether the writer may still sign, and why not. Held by the writer for the whole of a commit, so that nothing is signed
/// once it was set.
pub(super) type Halt = std::sync::Mutex<Option<String>>;

/// The handle to the log.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    jobs: mpsc::Sender<Job>,
    head: watch::Receiver<Arc<Snapshot>>,
    index: Index,
    tiles: tiles::TileCache,
    content: Arc<ContentStore>,
    stamp: Arc<DirectoryStamp>,
    clock: Arc<dyn Clock>,
    origin: String,
    failed: watch::Receiver<Option<Arc<StoreError>>>,
    halted: Arc<Halt>,
    stats: Arc<CommitStats>,
    stopped: std::sync::Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

impl Ledger {
    /// Gives a command to the writer and waits until it is durable or refused.
    pub async fn commit(&self, command: Command) -> Result<Committed, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            let failed = self.inner.failed.borrow().clone();
            failed.map_or_else(
                || {
                    LedgerError::Rejected(Rejection::new(
                        Reason::Stopping,
                        "",
                        "this node is stopping: send again",
                    ))
                },
                LedgerError::Failed,
            )
        };
        self.inner.jobs.send(Job { command, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// The newest durable state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.head.borrow().clone()
    }

    /// Follows the durable state.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.inner.head.clone()
    }

    /// Resolves when the writer has failed; the process must end then.
    pub async fn failure(&self) -> Arc<StoreError> {
        let mut failed = self.inner.failed.clone();
        loop {
            if let Some(error) = failed.borrow().clone() {
                return error;
            }
            if failed.changed().await.is_err() {
                // Closed in order: there is no failure to report.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends the writer: when this returns, nothing is signed any more. Waiters are told that the outcome is unknown.
    pub fn halt(&self, why: &str) {
        let mut halted = self.inner.halted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        halted.get_or_insert_with(|| why.to_owned());
    }

    /// The store that everything reads.
    pub fn index(&self) -> &Index {
        &self.inner.index
    }

    /// The content store.
    pub fn content(&self) -> &Arc<ContentStore> {
        &self.inner.content
    }

    /// Commits so far.
    pub fn commits(&self) -> Commits {
        self.inner.stats.read()
    }

    /// What events record of the directory.
    pub fn stamp(&self) -> &DirectoryStamp {
        &self.inner.stamp
    }

    /// The clock that events are stamped with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// This node's time.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Origin line of the log.
    pub fn origin(&self) -> &str {
        &self.inner.origin
    }

    /// The leaf at an index.
    pub fn leaf(&self, index: u64) -> Result<Option<Bytes>, Rejection> {
        self.inner.index.leaf(index).map_err(|e| storage(&e))
    }

    fn tiles(&self) -> tiles::CachedTiles<'_> {
        tiles::CachedTiles { index: &self.inner.index, cache: &self.inner.tiles }
    }

    /// Proof of the event at an index under a durable state.
    pub fn prove(&self, index: u64, snapshot: &Snapshot) -> Result<Proof, Rejection> {
        let checkpoint = snapshot.checkpoint().ok_or_else(|| unknown_event(index, 0))?;
        self.prove_under(index, snapshot.size(), checkpoint.note(), snapshot)
    }

    /// Proof of the event at an index under an earlier checkpoint of this log, given as its signed note.
    pub fn prove_under(
        &self,
        index: u64,
        size: u64,
        note: &str,
        snapshot: &Snapshot,
    ) -> Result<Proof, Rejection> {
        if index >= size || size > snapshot.size() {
            return Err(unknown_event(index, size.min(snapshot.size())));
        }
        let leaf = self.leaf(index)?.ok_or_else(|| missing_leaf(index, &"it is not there"))?;
        let path = snapshot.tree.inclusion_proof(index, size, &self.tiles()).map_err(|error| {
            tracing::error!(%error, index, size, "a proof cannot be made");
            must_be_checked()
        })?;
        Ok(Proof { leaf, index, path, checkpoint: note.to_owned() })
    }

    /// Proof that the log of `to` leaves begins with the log of `from` leaves.
    pub fn prove_consistency(&self, from: u64, to: u64, snapshot: &Snapshot) -> Result<Vec<Hash>, Rejection> {
        if from > to || to > snapshot.size() {
            return Err(unknown_event(to, snapshot.size()));
        }
        snapshot.tree.consistency_proof(from, to, &self.tiles()).map_err(|error| {
            tracing::error!(%error, from, to, "a consistency proof cannot be made");
            must_be_checked()
        })
    }

    /// The root that the log had at an earlier size.
    pub fn root_at(&self, size: u64, snapshot: &Snapshot) -> Result<Hash, Rejection> {
        if size > snapshot.size() {
            return Err(unknown_event(size, snapshot.size()));
        }
        snapshot.tree.root_at(size, &self.tiles()).map_err(|error| {
            tracing::error!(%error, size, "an earlier root cannot be made");
            must_be_checked()
        })
    }

    /// Where a leaf stands in the log's first `size` leaves: its hash, and its path to the root that they have.
    pub fn prove_place(
        &self,
        index: u64,
        size: u64,
        snapshot: &Snapshot,
    ) -> Result<(Hash, Vec<Hash>), Rejection> {
        if index >= size || size > snapshot.size() {
            return Err(unknown_event(index.max(size.saturating_sub(1)), snapshot.size()));
        }
        let leaf = self.leaf(index)?.ok_or_else(|| missing_leaf(index, &"it is not there"))?;
        let path = snapshot.tree.inclusion_proof(index, size, &self.tiles()).map_err(|error| {
            tracing::error!(%error, index, size, "a path cannot be made");
            must_be_checked()
        })?;
        Ok((crate::merkle::leaf_hash(&leaf), path))
    }

    /// Waits, after the last handle of the writer is gone, until everything is written and sled is closed, and leaves
    /// a marker of sled's files so that the next start is quick.
    pub async fn close(self, data: &std::path::Path) -> Result<(), StoreError> {
        open::close(self, data).await
    }
}

/// A refusal because something that this node recorded is not there or cannot be read; what it is was logged.
pub fn must_be_checked() -> Rejection {
    Rejection::new(Reason::Damaged, "", "this node's store must be checked by its administrator")
}

/// State that cannot be read, as a failure of the storage.
pub fn folds(error: impl std::fmt::Display) -> StoreError {
    StoreError::Index { path: "folds".into(), problem: error.to_string() }
}

/// A refusal because an event that is recorded cannot be read.
pub fn missing_leaf(index: u64, problem: &dyn std::fmt::Display) -> Rejection {
    tracing::error!(index, %problem, "a leaf of the store cannot be read");
    must_be_checked()
}

/// A refusal of an index that is not there.
pub fn unknown_event(index: u64, size: u64) -> Rejection {
    Rejection::new(Reason::UnknownEvent, "index", format!("there is no event {index}: the log has {size}"))
}

impl Records for Ledger {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Records::get(&self.inner.index, key)
    }
}

impl Records for Index {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        match Index::get(self, key) {
            Ok(value) => Ok(value.map(|v| v.to_vec())),
            Err(e) => Err(ViewError::Storage(e.to_string())),
        }
    }
}
