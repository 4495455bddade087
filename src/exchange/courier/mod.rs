//! The courier: what waits in the outbox goes to its peers.
//!
//! One task per peer, so that one peer that is down, slow or hostile changes nothing for the others. What goes next,
//! what waits and how much is under way is decided by [`schedule`], which is pure; a task reads the outbox for it, puts
//! in flight what it says, and tells it how that ended. Each message is loaded from the store when its turn comes and
//! there is room (`limits::PEER_OUT_BYTES`). What has outlived its `not_after` is given up as Undelivered by `upkeep`,
//! wherever it waits. After a crash the outbox, a fold, is all that is needed to go on.
//!
//! - [`schedule`]: the order of a peer's messages; [`breaker`], [`backoff`], [`failure`]: when a peer and a message are
//!   tried again.
//! - `deliver`: one try; `budget`: bytes in flight.
//! - `upkeep`: giving up, and messages whose recipient moved to another node.
//! - `queues`: how it stands, for `status` and `track`.

pub mod backoff;
pub mod breaker;
mod budget;
mod deliver;
pub mod failure;
mod queues;
mod ring;
pub mod schedule;
mod upkeep;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::Exchange;
use super::accept::{Boxed, ContentPieces, ContentSource, Offer, is_inline};
use crate::domain::Kind;
use crate::domain::fold::records::Outgoing;
use crate::domain::fold::{keys, load};
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::reason::{Reason, Rejection};
use crate::store::StoreError;
use crate::wire::proof::Proof;
use failure::Failure;
use queues::Queue;
pub use queues::{BreakerState, QueueState, Queues};
use schedule::{Entry, Found, Outcome, Start, Want};

/// How often a quiet task looks again.
const IDLE: Duration = Duration::from_secs(30);
/// Parts of the outbox that are read before others have their turn.
const READS: usize = 8;

/// The way to a peer.
pub trait PeerLink: Send + Sync {
    /// Delivers one message and returns the peer's proof; an error means that there is none, try again.
    fn deliver(&self, offer: Offer) -> Boxed<'_, Result<Proof, Failure>>;
}

/// The way to agencies of this node: the same steps, no network.
pub struct LocalLink {
    exchange: Exchange,
}

impl LocalLink {
    /// Of this node.
    pub fn new(exchange: Exchange) -> LocalLink {
        LocalLink { exchange }
    }
}

impl PeerLink for LocalLink {
    fn deliver(&self, offer: Offer) -> Boxed<'_, Result<Proof, Failure>> {
        Box::pin(async move {
            let node = self.exchange.node().clone();
            self.exchange.accept(&node, offer, self).await.map_err(|r| Failure::of_answer(r, 0))
        })
    }
}

impl ContentSource for LocalLink {
    fn open(
        &self,
        delivery: DeliveryId,
        part: u32,
        offset: u64,
    ) -> Boxed<'_, Result<Box<dyn ContentPieces>, Rejection>> {
        Box::pin(async move {
            let own = self.exchange.node();
            Ok(Box::new(self.exchange.content_for_peer(own, delivery, part, offset)?) as Box<_>)
        })
    }
}

/// Starts tasks as peers appear in the outbox. `link` makes the way to a peer.
pub async fn run(
    exchange: Exchange,
    link: impl Fn(&NodeName) -> Arc<dyn PeerLink> + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) {
    let mut head = exchange.ledger().subscribe();
    let mut directory = exchange.directories().subscribe();
    let queues = exchange.queues().clone();
    let mut running = JoinSet::new();
    running.spawn(upkeep::run(exchange.clone(), stop.clone()));
    let mut since = 0;
    loop {
        let size = exchange.ledger().snapshot().size();
        let found = peers(&exchange, since);
        let again = found.is_err();
        if let Err(error) = &found {
            tracing::error!(%error, "the outboxes cannot be read");
        } else {
            since = size;
        }
        for peer in found.unwrap_or_default() {
            let (queue, is_new) = queues.open(exchange.node(), &peer);
            if is_new {
                let (exchange, link) = (exchange.clone(), link(&peer));
                let task = PeerTask { exchange, link, peer, queue: queue.clone() };
                running.spawn(task.run(stop.clone()));
            }
            queue.wake.notify_one();
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|s| *s) => break,
            changed = head.changed() => if changed.is_err() { break },
            // A peer may have another address now, or a certificate that is listed at last.
            changed = directory.changed() => {
                if changed.is_err() {
                    break;
                }
                queues.nudge_all();
                queues.reopened();
            }
            () = tokio::time::sleep(IDLE), if again => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Peers for which something waits since the log had `size` events.
pub(super) fn peers(exchange: &Exchange, size: u64) -> Result<Vec<NodeName>, StoreError> {
    let prefix = keys::outboxes();
    let mut from = prefix.clone();
    let mut out = Vec::new();
    loop {
        let found = exchange.ledger().index().scan_new(&prefix, &from, 1, size)?;
        let Some((key, _)) = found.first() else { return Ok(out) };
        let name = &key[prefix.len()..];
        let Some(end) = name.iter().position(|b| *b == 0) else { return Ok(out) };
        if let Some(node) = std::str::from_utf8(&name[..end]).ok().and_then(|n| NodeName::new(n).ok()) {
            out.push(node);
        }
        // The next peer's keys begin after all of this one's.
        from = [&key[..prefix.len() + end], &[1]].concat();
    }
}

struct PeerTask {
    exchange: Exchange,
    link: Arc<dyn PeerLink>,
    peer: NodeName,
    queue: Arc<Queue>,
}

/// Messages under way. A task that panics is known by its id, so that its message is tried again.
#[derive(Default)]
struct Work {
    tasks: JoinSet<Outcome>,
    started: HashMap<Id, Start>,
}

impl PeerTask {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut work = Work::default();
        let queues = self.exchange.queues().clone();
        loop {
            if *stop.borrow() {
                break;
            }
            let all_read = self.read(&queues);
            self.start(&queues, &mut work);
            let next_due = self.queue.schedule().next_due();
            let next_due = match next_due {
                _ if !all_read => Instant::now(),
                Some(at) => queues.instant(at),
                None => Instant::now() + IDLE,
            };
            // Every turn looks at all of it, whichever woke the task: the order starves none, and a run can be repeated.
            tokio::select! {
                biased;
                _ = stop.wait_for(|s| *s) => break,
                Some(done) = work.tasks.join_next_with_id(), if !work.tasks.is_empty() => {
                    let mut done = Some(done);
                    while let Some(joined) = done {
                        self.ended(&queues, &mut work, joined);
                        done = work.tasks.try_join_next_with_id();
                    }
                }
                () = self.queue.wake.notified() => {}
                () = tokio::time::sleep_until(next_due) => {}
            }
        }
        // What is under way may still come to its end; the rest is in the outbox.
        work.tasks.abort_all();
    }

    /// Reads what the schedule wants of the outbox; false when there is more, and others have their turn first.
    fn read(&self, queues: &Queues) -> bool {
        // While a commit is applied to sled, a scan may see its later records before its earlier ones, and nobody would
        // come back for those. What is below the published size is all there.
        let size = self.exchange.ledger().snapshot().size();
        for _ in 0..READS {
            let want = self.queue.schedule().wants(queues.moment(), size);
            let Some(want) = want else { return true };
            match self.entries(&want, size) {
                Ok(found) => self.queue.schedule().take(&want, found),
                Err(error) => {
                    tracing::error!(%error, peer = %self.peer, "the outbox cannot be read");
                    return true;
                }
            }
        }
        false
    }

    /// A part of the outbox, below `size`.
    fn entries(&self, want: &Want, size: u64) -> Result<Found, StoreError> {
        let ledger = self.exchange.ledger();
        let prefix = [keys::outbox_of(&self.peer), vec![want.urgency as u8]].concat();
        let from = keys::outbox(&self.peer, want.urgency, want.from);
        let found = ledger.index().scan_new(&prefix, &from, want.most, want.from)?;
        let mut ended = found.len() < want.most;
        let mut entries = Vec::with_capacity(found.len());
        for (key, value) in found {
            let Some(index) = keys::index_of(&key) else { continue };
            if index >= size {
                ended = true;
                break;
            }
            let id = DeliveryId::from_slice(&value);
            let entry = id.ok().and_then(|id| self.entry(want, index, id));
            entries.push((index, entry));
        }
        Ok(Found { entries, ended, size })
    }

    fn entry(&self, want: &Want, index: u64, id: DeliveryId) -> Option<Entry> {
        let record: Option<Outgoing> = match load(self.exchange.ledger(), &keys::outgoing(&id)) {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(%error, delivery = %id, "a message of the outbox cannot be read");
                return None;
            }
        };
        let record = record.filter(|r| r.peer == self.peer)?;
        Some(Entry {
            id,
            index,
            urgency: want.urgency,
            sender: record.facts.sender,
            target: record.facts.target,
            revokes: record.facts.kind == Kind::Revoke,
            large: !is_inline(record.content_size),
        })
    }

    /// Puts in flight what may go now.
    fn start(&self, queues: &Queues, work: &mut Work) {
        let now = queues.moment();
        loop {
            let next = self.queue.schedule().start(now);
            let Some(start) = next else { return };
            let (exchange, link) = (self.exchange.clone(), self.link.clone());
            let (peer, budget) = (self.peer.clone(), self.queue.budget.clone());
            let task = work
                .tasks
                .spawn(async move { deliver::deliver(&exchange, &*link, &peer, &budget, start.id).await });
            work.started.insert(task.id(), start);
        }
    }

    fn ended(&self, queues: &Queues, work: &mut Work, joined: Result<(Id, Outcome), JoinError>) {
        let (task, outcome) = joined.unwrap_or_else(|error| {
            let what = "trying it failed in an unforeseen way: see the node's log";
            let rejection = Rejection::new(Reason::Internal, "", what);
            (error.id(), Outcome::Failed(Failure::of_this_node(rejection)))
        });
        let Some(start) = work.started.remove(&task) else { return };
        let mut schedule = self.queue.schedule();
        let is_first = schedule.failure(&start.id).is_none();
        if let Outcome::Failed(failure) = &outcome
            && is_first
        {
            tracing::warn!(peer = %self.peer, delivery = %start.id, reason = %failure.rejection.reason,
                fault = ?failure.fault, "delivery failed for now");
        }
        let before = schedule.breaker().state();
        if schedule.ended(start, outcome, queues.moment()) {
            tracing::info!(peer = %self.peer, "the peer answers again");
        } else if before == breaker::State::Closed && schedule.breaker().state() != before {
            let error = schedule.newest_failure().map(|f| f.rejection.to_string()).unwrap_or_default();
            tracing::warn!(peer = %self.peer, error, "the peer does not answer: it is probed from now on");
        }
    }
}
