//! Whether this log is the newest copy of itself: asked at the start, and looked at whenever another node says what it
//! holds of it.
//!
//! Another node holds only what this node's key signed. A checkpoint of more events than this log has, or with another
//! root than this log had at that size, says that this is an old copy, or one that went another way: the ledger is halted
//! at once, and the process ends. What was signed in between may be a second history; nobody who holds the first takes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use super::super::Exchange;
use super::WitnessLink;
use crate::domain::ids::NodeName;
use crate::domain::reason::Rejection;
use crate::merkle::{Checkpoint, Hash, SignedCheckpoint};

/// This log is not the newest copy of itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is an old copy of log `{log}`, or one that went another way: it has {size} events with root {root}, and node \
     `{peer}` holds a checkpoint of {held_size} events with root {held_root} that this log's key signed and that it does not contain; nothing more is \
     signed. Put the newest copy of the data in place; if it is lost, recover it as a new generation \
     (docs/OPERATIONS.md, \"A lost log\")"
)]
pub struct OldCopy {
    /// Origin line of the log.
    pub log: String,
    /// Its size here.
    pub size: u64,
    /// Its root here.
    pub root: Hash,
    /// Who holds more.
    pub peer: NodeName,
    /// Size of what it holds.
    pub held_size: u64,
    /// Root of what it holds.
    pub held_root: Hash,
}

impl Exchange {
    /// A node says that it holds this checkpoint of this node's log. True when it is one and the log has it.
    pub(super) fn is_held(&self, peer: &NodeName, text: &str) -> bool {
        let checkpoint = match self.own_checkpoint(text) {
            Ok((checkpoint, _)) => checkpoint,
            Err(rejection) => {
                tracing::info!(peer = %peer, reason = %rejection, "what the peer says to hold of this log is nothing");
                return false;
            }
        };
        match self.has(&checkpoint) {
            Ok(true) => {
                self.agreed(checkpoint.checkpoint());
                true
            }
            Ok(false) => {
                self.contradicted(peer, checkpoint.checkpoint());
                false
            }
            Err(rejection) => {
                tracing::error!(reason = %rejection, "whether this log has a checkpoint cannot be read");
                false
            }
        }
    }

    /// Whether this log has a checkpoint that its key signed.
    pub(super) fn has(&self, signed: &SignedCheckpoint) -> Result<bool, Rejection> {
        let Checkpoint { size, root, .. } = signed.checkpoint();
        if *self.inner.witness.agreed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
            == Some((*size, *root))
        {
            return Ok(true);
        }
        // Nothing leaves this node before it is in the snapshot, so one read now has all that anybody can hold.
        let snapshot = self.ledger().snapshot();
        Ok(*size <= snapshot.size() && self.ledger().root_at(*size, &snapshot)? == *root)
    }

    /// Another node holds this checkpoint, and the log has it.
    pub(super) fn agreed(&self, checkpoint: &Checkpoint) {
        let mut agreed = self.inner.witness.agreed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if agreed.is_none_or(|(size, _)| size < checkpoint.size) {
            *agreed = Some((checkpoint.size, checkpoint.root));
        }
    }

    /// Nothing is signed from here on.
    pub(super) fn contradicted(&self, peer: &NodeName, held: &Checkpoint) {
        let snapshot = self.ledger().snapshot();
        let found = OldCopy {
            log: self.ledger().origin().to_owned(),
            size: snapshot.size(),
            root: snapshot.root(),
            peer: peer.clone(),
            held_size: held.size,
            held_root: held.root,
        };
        self.ledger().halt(&found.to_string());
        let first = self.inner.witness.contradicted.send_if_modified(|told| {
            let first = told.is_none();
            told.get_or_insert_with(|| found.clone());
            first
        });
        if first {
            tracing::error!(peer = %peer, "{found}");
        }
    }
}

/// Asks every node that can be called, all at once, which checkpoint of this log it holds; gives up on those that did not
/// answer within `limit`. True when one of them could say that this log is the newest copy that it knows of.
pub async fn ask_at_start(
    exchange: &Exchange,
    link: impl Fn(&NodeName) -> Arc<dyn WitnessLink>,
    limit: Duration,
) -> Result<bool, OldCopy> {
    let directory = exchange.directory();
    let mut asked = JoinSet::new();
    for node in directory.nodes() {
        if node.name != *exchange.node() && !node.entry.endpoints.is_empty() {
            let (name, link) = (node.name.clone(), link(&node.name));
            asked.spawn(async move { (name, link.greet().await) });
        }
    }
    let until = tokio::time::Instant::now() + limit;
    let mut answered = 0;
    while let Ok(Some(joined)) = tokio::time::timeout_at(until, asked.join_next()).await {
        match joined {
            Ok((_, Ok(()))) => answered += 1,
            Ok((node, Err(rejection))) => {
                tracing::info!(peer = %node, reason = %rejection, "the peer did not say what it holds of this log");
            }
            Err(_) => {}
        }
    }
    // Those that are still being asked are let go.
    drop(asked);
    let told = exchange.witness().contradicted.borrow().clone();
    if let Some(found) = told {
        return Err(found);
    }
    let agreed =
        exchange.witness().agreed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some();
    // Of a log that is empty, or just begun, there is no newer copy where those who answer hold nothing.
    let size = exchange.ledger().snapshot().size();
    let begins = size == 0 || exchange.recovery().is_just_opened(size);
    let witnessed = agreed || (answered > 0 && begins);
    exchange.witness().unwitnessed.store(!witnessed, Ordering::Relaxed);
    exchange.witness().begun.store(true, Ordering::Release);
    Ok(witnessed)
}
