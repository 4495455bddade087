//! The one writer.
//!
//! A commit, in this order:
//! 1. collect what waits (group commit);
//! 2. make content durable, and its directory entries: what the group names was put before;
//! 3. decide each command on the state including the group so far;
//! 4. number its events: index, time (never before the event before), salt; encode each once;
//! 5. extend the tree;
//! 6. sign the checkpoint;
//! 7. append one block to the journal and sync it: **this is the commit**;
//! 8. hand it to the index, which everyone reads, and which brings it to sled;
//! 9. publish the new state and release every waiter.
//!
//! Nobody sees anything of a commit before step 7 is done; refusals wait for it too, since they may rest on what the
//! group holds. A full disk is met at the beginning of step 7 at the latest. Content that finds no room in step 2
//! refuses the commands that name it, and no others; without room for the block, the group is refused with nothing
//! written. Any other failure of 2, 7 or 8 ends the writer, and with it the process: waiters are told that the
//! outcome is unknown.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::lost::names_lost;
use super::overlay::Overlay;
use super::{
    Clock, CommitStats, Committed, DirectoryStamp, Job, LedgerError, Random, Snapshot, folds, storage,
};
use crate::domain::decide::decide;
use crate::domain::event::Event;
use crate::domain::fold::{self, View, records};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{Decision, limits};
use crate::merkle::{Checkpoint, NoteSigner, SignedCheckpoint, Tree, leaf_hash};
use crate::store::StoreError;
use crate::store::content::ContentStore;
use crate::store::index::{self, Head, Index, Sum};
use crate::store::journal::{Journal, Position};
use crate::time::Timestamp;
use crate::wire::leaf;

pub(super) struct Writer {
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) head: watch::Sender<Arc<Snapshot>>,
    pub(super) failed: watch::Sender<Option<Arc<StoreError>>>,
    pub(super) journal: Journal,
    pub(super) index: Index,
    pub(super) content: Arc<ContentStore>,
    pub(super) tree: Tree,
    pub(super) signer: NoteSigner,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stamp: Arc<DirectoryStamp>,
    pub(super) stats: Arc<CommitStats>,
    pub(super) halted: Arc<super::Halt>,
    pub(super) last_time: Timestamp,
    pub(super) random: Arc<dyn Random>,
    /// Drawn and not used yet.
    pub(super) salts: Vec<[u8; 16]>,
    /// Where the next group begins, when a command did not fit into the last.
    pub(super) next: Option<Job>,
    /// Commands in the last group.
    pub(super) last: usize,
}

/// Salts drawn at once.
const SALTS: usize = 64;

/// A command of the group and what it will be answered.
struct Waiting {
    job: Reply,
    outcome: Result<(crate::domain::Answer, u64, Timestamp), LedgerError>,
}

type Reply = tokio::sync::oneshot::Sender<Result<Committed, LedgerError>>;

/// Tells everyone who waits that the outcome is unknown.
fn fail(waiters: impl Iterator<Item = Reply>, error: StoreError) -> StoreError {
    let error = Arc::new(error);
    for waiter in waiters {
        let _ = waiter.send(Err(LedgerError::Failed(error.clone())));
    }
    Arc::try_unwrap(error).unwrap_or_else(|shared| StoreError::Index {
        path: std::path::PathBuf::new(),
        problem: shared.to_string(),
    })
}

impl Writer {
    /// Runs on a thread of its own until all handles are gone or writing fails.
    pub(super) fn run(mut self) {
        while let Some(first) = self.next.take().or_else(|| self.jobs.blocking_recv()) {
            if self.is_busy() {
                std::thread::sleep(limits::GATHER);
            }
            if !self.turn(first) {
                return;
            }
        }
    }

    /// The same as a task: it holds up its runtime while the disk is at work.
    pub(super) async fn run_as_task(mut self) {
        loop {
            let first = match self.next.take() {
                Some(first) => first,
                None => match self.jobs.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            if self.is_busy() {
                tokio::time::sleep(limits::GATHER).await;
            }
            if !self.turn(first) {
                return;
            }
        }
    }

    /// Whether many are at it: a commit costs the same for few as for many, so more are waited for.
    fn is_busy(&self) -> bool {
        self.last >= limits::GATHER_FROM
    }

    /// One group, from what waits behind its first command; false when writing failed.
    fn turn(&mut self, first: Job) -> bool {
        let mut events = first.command.most_events();
        let mut group = vec![first];
        while let Ok(job) = self.jobs.try_recv() {
            events += job.command.most_events();
            if events > limits::COMMIT_EVENTS {
                // A block must stay readable: this one begins the next group.
                self.next = Some(job);
                break;
            }
            group.push(job);
        }
        self.last = group.len();
        if let Err(error) = self.commit(group) {
            tracing::error!(%error, "writing failed, the node stops: what was not answered is unknown");
            self.failed.send_replace(Some(Arc::new(error)));
            return false;
        }
        true
    }

    fn commit(&mut self, group: Vec<Job>) -> Result<(), StoreError> {
        let began = Instant::now();
        // Held to the end: whoever halts the log knows that nothing is signed after that.
        let halted = self.halted.clone();
        let halted = halted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(why) = &*halted {
            return Err(fail(
                group.into_iter().map(|job| job.reply),
                StoreError::Halted { why: why.clone() },
            ));
        }
        // 2: content
        match self.content.sync() {
            Ok(()) | Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(fail(group.into_iter().map(|job| job.reply), error)),
        }
        let lost = self.content.must_claim();
        let before = (self.tree.clone(), self.last_time);
        let index = self.index.clone();
        let mut overlay = Overlay::new(&index, self.tree.size());
        let mut leaves: Vec<Bytes> = Vec::new();
        let mut waiting = Vec::with_capacity(group.len());
        let now = self.clock.now();
        for job in group {
            // 3: decide
            let outcome = match decide(job.command, &overlay) {
                Err(declined) => Err(LedgerError::from(declined)),
                Ok(decision) if lost && names_lost(&self.content, &decision.events) => {
                    Err(LedgerError::Rejected(storage(&StoreError::Full { path: "content".into() })))
                }
                Ok(decision) => {
                    let first = self.tree.size();
                    let at = now.max(self.last_time);
                    let answer = decision.answer.clone();
                    // 4 and 5: number, encode, extend the tree
                    match self.number(decision, at, &mut overlay, &mut leaves)? {
                        Ok(()) => Ok((answer, first, at)),
                        Err(rejection) => Err(LedgerError::Rejected(rejection)),
                    }
                }
            };
            waiting.push(Waiting { job: job.reply, outcome });
        }
        if leaves.is_empty() {
            self.release(waiting);
            return Ok(());
        }
        match self.write(overlay, &leaves) {
            Ok(()) => {
                self.stats.committed(leaves.len(), began.elapsed());
                self.release(waiting);
                Ok(())
            }
            Err(error @ StoreError::Full { .. }) => {
                (self.tree, self.last_time) = before;
                for waiter in waiting {
                    let _ = waiter.job.send(Err(LedgerError::Rejected(storage(&error))));
                }
                Ok(())
            }
            Err(error) => Err(fail(waiting.into_iter().map(|waiter| waiter.job), error)),
        }
    }

    /// Takes the events of a decision in, all or none: an event that is too large refuses its command alone.
    fn number(
        &mut self,
        decision: Decision,
        at: Timestamp,
        overlay: &mut Overlay<'_>,
        leaves: &mut Vec<Bytes>,
    ) -> Result<Result<(), Rejection>, StoreError> {
        let (directory_version, directory_expired) = self.stamp.get(at);
        let mut events = Vec::with_capacity(decision.events.len());
        for kind in decision.events {
            let salt = self.salt()?;
            let actor = decision.actor.clone();
            let event = Event { at, salt, actor, directory_version, directory_expired, kind };
            match leaf::encode(&event) {
                // What this node could not read back it must never write: it would not start again.
                Ok(bytes) if leaf::decode(&bytes).as_ref() == Ok(&event) => events.push((event, bytes)),
                Ok(_) => {
                    tracing::error!(
                        kind = event.kind.name(),
                        "an event that does not read back was not written"
                    );
                    let what = "this node cannot record such a message: its administrator must look";
                    return Ok(Err(Rejection::new(Reason::Internal, "", what)));
                }
                Err(error) => return Ok(Err(Rejection::new(Reason::TooLong, "", error.to_string()))),
            }
        }
        for (event, bytes) in events {
            apply_event(overlay, self.tree.size(), &event)?;
            self.tree.push(leaf_hash(&bytes));
            leaves.push(bytes);
            self.last_time = at;
        }
        Ok(Ok(()))
    }

    /// 16 random bytes of their own for an event; drawn for many at once.
    fn salt(&mut self) -> Result<[u8; 16], StoreError> {
        if self.salts.is_empty() {
            self.salts.resize(SALTS, [0; 16]);
            self.random
                .fill(self.salts.as_flattened_mut())
                .map_err(StoreError::io("drawing a salt from", "the system's random source"))?;
        }
        Ok(self.salts.pop().unwrap_or_default())
    }

    fn write(&mut self, overlay: Overlay<'_>, leaves: &[Bytes]) -> Result<(), StoreError> {
        // 6: sign
        let origin = self.signer.verifier().name().to_owned();
        let checkpoint =
            Checkpoint { origin, size: self.tree.size(), root: self.tree.root() }.sign(&self.signer);
        self.index.healthy()?;
        self.index.room()?;
        // 7: the commit
        self.journal.reserve(leaves.iter().map(|l| l.len() as u64 + 4).sum::<u64>() + 4096)?;
        self.journal.append(leaves, checkpoint.note())?;
        // 8: the index
        let first = self.tree.size() - leaves.len() as u64;
        let state = Staged {
            first,
            leaves,
            checkpoint: &checkpoint,
            last_time: self.last_time,
            journal: self.journal.position(),
        };
        apply_block(&self.index, overlay, &mut self.tree, &state)?;
        // 9: publish
        self.head.send_replace(Arc::new(Snapshot { tree: self.tree.clone(), checkpoint: Some(checkpoint) }));
        Ok(())
    }

    fn release(&self, waiting: Vec<Waiting>) {
        let snapshot = self.head.borrow().clone();
        for waiter in waiting {
            let answer = waiter.outcome.map(|(answer, first, at)| Committed {
                answer,
                first,
                at,
                snapshot: snapshot.clone(),
            });
            // Who no longer waits finds the answer by sending the same again.
            let _ = waiter.job.send(answer);
        }
    }
}

/// Applies one event to the folds.
pub(super) fn apply_event(view: &mut impl View, index: u64, event: &Event) -> Result<(), StoreError> {
    fold::apply(view, index, event).map_err(|e| folds(format!("event {index}: {e}")))
}

/// A block that is durable in the journal, on its way to the index.
pub(super) struct Staged<'a> {
    pub(super) first: u64,
    pub(super) leaves: &'a [Bytes],
    pub(super) checkpoint: &'a SignedCheckpoint,
    pub(super) last_time: Timestamp,
    pub(super) journal: Position,
}

/// Brings the index up to a block: leaves, tiles, folds and head at once. Commit and opening both end
/// here.
pub(super) fn apply_block(
    store: &Index,
    mut overlay: Overlay<'_>,
    tree: &mut Tree,
    block: &Staged<'_>,
) -> Result<(), StoreError> {
    for (key, chunk) in index::chunks(block.first, block.leaves) {
        overlay.put_new(key, chunk);
    }
    for (id, hashes) in tree.take_full_tiles() {
        overlay.put_new(index::tile_key(id), index::tile_bytes(&hashes));
    }
    let changes = overlay.finish().map_err(folds)?;
    let head = Head {
        version: records::VERSION,
        size: tree.size(),
        checkpoint: block.checkpoint.note().to_owned(),
        last_time: block.last_time.millis(),
        journal: block.journal,
        sum: Sum::default().0,
    };
    store.commit(changes, head)
}
