//! Recovery: a log that was begun because an earlier generation of it is lost gets back what other nodes have of that.
//!
//! ```text
//! this node, a new generation                                another node
//!   1  what had I sent you?            ── page by page ──▶   its own proofs of what it answered, and the lost log's
//!      checks each, records `Recovered`                      proofs of what had been sent, which it kept
//!   2  send again what you sent me     ── page by page ──▶   records `SentAgain`, its courier delivers, with the
//!                                                            receipt that the lost log had given
//!      checks that receipt, records `Received`, `Returned`   settles with the new receipt; the old one stays as well
//! ```
//! Questions travel among the messages of `Deliver` and `Collect`, like those of witnesses. Each page can be asked again:
//! what came back stands in the log, and comes once. How far it is with each node is state (`Progress`); without it, it
//! begins again.
//!
//! Until 1 is done with a node, nothing is delivered to it: a document that it has already would be sent under the same
//! delivery id in another envelope. Until 2 is done, messages of that node about deliveries that are not known here wait.

mod answer;
mod run;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::Exchange;
use crate::config::Config;
use crate::domain::event::LogRef;
use crate::domain::fold::records::{Incoming, Outgoing};
use crate::domain::fold::{keys, load};
use crate::domain::generation::{GenerationRecord, kept_of};
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::reason::{Reason, Rejection};
use crate::ledger::{Ledger, damaged};

pub use run::run;

/// How far it is with one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Where the next page of 1 begins, in the other node's log.
    pub listed_to: u64,
    /// 1 is done.
    pub listed: bool,
    /// Where the next page of 2 begins.
    pub again_to: u64,
    /// 2 is done.
    pub done: bool,
    /// Messages that came back.
    pub recovered: u64,
    /// Deliveries that the other node sends again.
    pub sent_again: u64,
}

/// What is lost, and how far it is got back.
pub struct Recovery {
    /// Earlier generations with the number of events that this log has of each; empty where nothing is lost.
    lost: Vec<(String, u64)>,
    /// The event with which this log goes on after the one before.
    opened: Option<u64>,
    progress: Mutex<BTreeMap<NodeName, Progress>>,
    wake: Notify,
}

fn state_key(log: &str, peer: &NodeName) -> Vec<u8> {
    format!("p/recovery/{log}/{peer}").into_bytes()
}

impl Recovery {
    /// As the log says.
    pub(super) fn open(config: &Config, ledger: &Ledger) -> Recovery {
        let records: Vec<GenerationRecord> = match load(ledger, &keys::generations()) {
            Ok(records) => records.unwrap_or_default(),
            Err(error) => {
                tracing::error!(%error, "what this log says of those before it cannot be read");
                Vec::new()
            }
        };
        let earlier = (1..config.generation).map(|generation| config.node.log_origin(generation));
        let lost: Vec<_> =
            earlier.filter_map(|log| kept_of(&records, &log).map(|kept| (log, kept))).collect();
        let newest = lost.len().saturating_sub(crate::domain::limits::LOST_LOGS);
        let before = config.generation.checked_sub(1).map(|generation| config.node.log_origin(generation));
        let opened = records.iter().rev().find(|r| Some(&r.lost) == before.as_ref()).map(|r| r.index);
        let lost = lost[newest..].to_vec();
        Recovery { lost, opened, progress: Mutex::default(), wake: Notify::new() }
    }

    fn progress(&self) -> MutexGuard<'_, BTreeMap<NodeName, Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a generation before this log was lost.
    pub fn is_needed(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Whether a log of so many events has nothing of its own but that it goes on after another.
    pub(super) fn is_just_opened(&self, size: u64) -> bool {
        self.opened.is_some_and(|opened| opened + 1 == size)
    }

    /// How far it is with each node that was asked.
    pub fn standings(&self) -> BTreeMap<NodeName, Progress> {
        self.progress().clone()
    }

    fn of(&self, peer: &NodeName) -> Progress {
        self.progress().get(peer).copied().unwrap_or_default()
    }

    /// A node showed that it is there.
    pub(super) fn nudge(&self) {
        self.wake.notify_one();
    }

    /// How many events of an earlier generation this log has; 0 for one that it knows nothing of.
    pub fn kept_of(&self, log: &str) -> u64 {
        self.lost.iter().find(|(lost, _)| lost == log).map_or(0, |(_, kept)| *kept)
    }

    /// Whether what a lost log recorded at a place is lost.
    fn is_lost(&self, place: &LogRef) -> bool {
        self.lost.iter().any(|(log, kept)| *log == place.log && place.index >= *kept)
    }
}

impl Exchange {
    /// What this node gets back of a lost log.
    pub fn recovery(&self) -> &Recovery {
        &self.inner.recovery
    }

    /// How far it is with every other node of the directory; nothing where nothing is lost.
    pub fn recovered_from(&self) -> BTreeMap<NodeName, Progress> {
        if !self.recovery().is_needed() {
            return BTreeMap::new();
        }
        let directory = self.directory();
        let others = directory.nodes().into_iter().map(|node| node.name.clone());
        others
            .filter(|name| name != self.node())
            .map(|name| (name.clone(), self.recovery().of(&name)))
            .collect()
    }

    /// Refuses while it is not known what a node has of the lost log.
    pub(super) fn check_recovered(&self, peer: &NodeName) -> Result<(), Rejection> {
        let recovery = self.recovery();
        if !recovery.is_needed() || peer == self.node() || recovery.of(peer).listed {
            return Ok(());
        }
        let what = format!("node `{peer}` has not said yet what it has of this node's lost log");
        Err(Rejection::new(Reason::Recovering, "", what))
    }

    /// Refuses a node's message about a delivery that may come back.
    pub(super) fn check_returned(&self, peer: &NodeName, target: &DeliveryId) -> Result<(), Rejection> {
        let recovery = self.recovery();
        if !recovery.is_needed() || peer == self.node() || recovery.of(peer).done {
            return Ok(());
        }
        let came: Option<Incoming> = load(self.ledger(), &keys::incoming(target)).map_err(|e| damaged(&e))?;
        let sent: Option<Outgoing> = load(self.ledger(), &keys::outgoing(target)).map_err(|e| damaged(&e))?;
        if came.is_some() || sent.is_some() {
            return Ok(());
        }
        let what = format!("this node lost its log, and delivery {target} may come back: try again later");
        Err(Rejection::new(Reason::Recovering, "envelope", what))
    }
}
