//! What must happen to messages that wait, whether or not they are tried: their time runs out, or their recipient moves
//! to another node.
//!
//! One task for all peers. It sees every message once when it is new, remembers the earliest `not_after`, and goes
//! through the outboxes when that has come, or when the directory changes; otherwise it costs nothing.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::peers;
use super::schedule::Standing;
use crate::domain::DeliveryState;
use crate::domain::decide::Command;
use crate::domain::document::Urgency;
use crate::domain::fold::records::Outgoing;
use crate::domain::fold::{keys, load};
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::Exchange;
use crate::ledger::{damaged, storage};
use crate::time::{Date, Timestamp};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Messages that are looked at before others have their turn.
const PAGE: usize = 256;
/// What was not tried since its time ran out, though its peer answers, is given so long a last try: the peer may have it,
/// and only its proof be lost.
const LAST_TRY_MS: i64 = 60_000;

/// What is known of the outboxes.
struct Upkeep {
    exchange: Exchange,
    /// Everything before was seen.
    seen: u64,
    /// The earliest time that runs out, of what was seen.
    earliest: Option<Timestamp>,
    /// Directory and day for which recipients are where their messages wait; `None` while some may not be.
    placed: Option<(u64, Date)>,
}

/// Runs until the node stops.
pub(super) async fn run(exchange: Exchange, mut stop: watch::Receiver<bool>) {
    let mut upkeep = Upkeep { exchange, seen: 0, earliest: None, placed: None };
    loop {
        if let Err(rejection) = upkeep.turn().await {
            tracing::warn!(reason = %rejection, "the outboxes could not be gone through");
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

impl Upkeep {
    async fn turn(&mut self) -> Result<(), Rejection> {
        let size = self.exchange.ledger().snapshot().size();
        let now = self.exchange.ledger().now();
        let place = (self.exchange.directory().version(), now.date());
        if self.earliest.is_some_and(|at| now > at) || self.placed != Some(place) {
            self.earliest = None;
            self.placed = Some(place);
            self.go_through(0, size).await?;
        } else if size > self.seen {
            self.go_through(self.seen, size).await?;
        }
        self.seen = size;
        Ok(())
    }

    /// Every message that was queued by an event from `from` on, before `size`.
    async fn go_through(&mut self, from: u64, size: u64) -> Result<(), Rejection> {
        for peer in peers(&self.exchange, from).map_err(|e| storage(&e))? {
            for urgency in Urgency::ALL {
                let prefix = [keys::outbox_of(&peer), vec![urgency as u8]].concat();
                let mut next = from;
                loop {
                    let at = keys::outbox(&peer, urgency, next);
                    let index = self.exchange.ledger().index();
                    let found = index.scan_new(&prefix, &at, PAGE, next).map_err(|e| storage(&e))?;
                    let is_last = found.len() < PAGE;
                    let mut commits = JoinSet::new();
                    for (key, value) in found {
                        let Some(index) = keys::index_of(&key).filter(|i| *i < size) else { continue };
                        next = index + 1;
                        let Ok(id) = DeliveryId::from_slice(&value) else { continue };
                        if let Some(command) = self.look_at(&peer, id)? {
                            let ledger = self.exchange.ledger().clone();
                            commits.spawn(async move { ledger.commit(command).await });
                        }
                    }
                    while let Some(committed) = commits.join_next().await {
                        if let Ok(Err(error)) = committed {
                            return Err(error.into_rejection());
                        }
                    }
                    if is_last {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// What must be done about a message, if anything.
    fn look_at(&mut self, peer: &NodeName, id: DeliveryId) -> Result<Option<Command>, Rejection> {
        let ledger = self.exchange.ledger();
        let record: Option<Outgoing> = load(ledger, &keys::outgoing(&id)).map_err(|e| damaged(&e))?;
        // What is held has arrived in time, and stays where it is.
        let Some(record) = record.filter(|r| r.state == DeliveryState::Queued && r.peer == *peer) else {
            return Ok(None);
        };
        let now = ledger.now();
        if now > record.not_after && self.may_give_up(&record, &id, now) {
            let reason = self.why(peer, &id);
            tracing::warn!(delivery = %id, peer = %peer, %reason, "given up: its time is over");
            return Ok(Some(Command::GiveUp { delivery_id: id, reason }));
        }
        self.earliest = Some(self.earliest.map_or(record.not_after, |at| at.min(record.not_after)));
        let Some(other) = self.moved(&record) else { return Ok(None) };
        if self.is_in_flight(peer, &id) {
            // Its answer may be on the way.
            self.placed = None;
            return Ok(None);
        }
        tracing::info!(delivery = %id, from = %peer, to = %other, "its recipient moved to another node");
        Ok(Some(Command::Reroute { delivery_id: id, peer: other }))
    }

    /// Whether nothing is to be hoped for: it is not just being tried, and its peer is away or did not take it.
    fn may_give_up(&self, record: &Outgoing, id: &DeliveryId, now: Timestamp) -> bool {
        let late = now > record.not_after.plus_millis(LAST_TRY_MS);
        let Some(queue) = self.exchange.queues().get(&record.peer) else { return late };
        let schedule = queue.schedule();
        match schedule.standing(id) {
            Some(Standing::InFlight) => false,
            Some(Standing::Delayed(_)) => true,
            _ => late || schedule.breaker().state() != super::breaker::State::Closed,
        }
    }

    fn is_in_flight(&self, peer: &NodeName, id: &DeliveryId) -> bool {
        let queue = self.exchange.queues().get(peer);
        queue.is_some_and(|q| q.schedule().standing(id) == Some(&Standing::InFlight))
    }

    /// Why the last try failed.
    fn why(&self, peer: &NodeName, id: &DeliveryId) -> Reason {
        let queue = self.exchange.queues().get(peer);
        queue.map_or(Reason::PeerUnreachable, |queue| {
            let schedule = queue.schedule();
            let failure = schedule.failure(id).map(|(f, _)| f).or_else(|| schedule.newest_failure());
            failure.map_or(Reason::PeerUnreachable, |f| f.rejection.reason)
        })
    }

    /// The node that hosts the recipient, when it is not the one that the delivery waits for.
    fn moved(&self, record: &Outgoing) -> Option<NodeName> {
        let directory = self.exchange.directory();
        let today = self.exchange.ledger().now().date();
        let node = directory.agency(&record.facts.recipient)?.node(today)?;
        (*node != record.peer).then(|| node.clone())
    }
}
