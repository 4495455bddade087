//! Retention: content and envelopes go when their time of keeping is over; events and proofs never do.
//!
//! Once a day:
//! 1. Every document that was recorded long enough ago, by the rule of its type, is purged: an event says which delivery,
//!    which digests, and by which rule. Nothing that is open, unfetched, leased or under a legal hold is (`decide::keep`).
//! 2. The digests of purge events that were not removed yet are condemned. After everything that was being decided is in
//!    the log, all of it is gone through: what another delivery needs, or any proof or evidence, is spared. Then the rest
//!    is removed from the disk (`store::content`, `purge`).
//!
//! A crash between the two, or in the middle of the second, leaves the events; the next run removes what they name. How
//! far that is done is state, not an event.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Exchange;
use crate::domain::decide::{Command, Place, Purge};
use crate::domain::event::{Event, EventKind, Subject};
use crate::domain::fold::records::{Asked, Incoming, Outgoing, StatusEntry};
use crate::domain::fold::{keys, load};
use crate::domain::hold;
use crate::domain::ids::{DeliveryId, Digest};
use crate::domain::reason::Rejection;
use crate::domain::{Answer, limits};
use crate::ledger::{damaged, must_be_checked, storage};
use crate::store::content::Removed;
use crate::time::{Date, Timestamp};
use crate::wire::leaf;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// Events read at once; in between, others have their turn.
const PAGE: u64 = 256;
/// Rest after each page: traffic comes first.
const REST: Duration = Duration::from_millis(2);
/// Digests that are removed at once: their names are in memory.
const AT_ONCE: usize = 200_000;
/// The first event whose purge is not yet known to be done: state.
const DONE: &[u8] = b"p/purged-up-to";

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Deliveries that were purged.
    pub purged: u64,
    /// What left the disk.
    pub removed: Removed,
}

/// The first time after `after` that an hour of the day (Vietnam time) begins.
pub fn next_hour(after: Timestamp, hour: u8) -> Timestamp {
    let today = after.date().midnight().plus_millis(i64::from(hour) * 3_600_000);
    if today > after { today } else { today.plus_millis(24 * 3_600_000) }
}

/// Runs once a day until the node stops.
pub async fn watch(exchange: Exchange, mut stop: watch::Receiver<bool>) {
    let hour = exchange.config().retention.hour;
    let mut due = next_hour(exchange.ledger().now(), hour);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        let now = exchange.ledger().now();
        if now < due {
            continue;
        }
        due = next_hour(now, hour);
        tokio::select! {
            ran = exchange.retain() => if let Err(error) = ran {
                tracing::error!(%error, "content could not be purged: it is tried again tomorrow");
            },
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

impl Exchange {
    /// Purges what is kept no longer, and removes it from the disk.
    pub async fn retain(&self) -> Result<Retained, Rejection> {
        let purged = if self.config().retention.is_on() { self.purge_due().await? } else { 0 };
        let mut removed = Removed::default();
        while let Some(more) = self.remove_purged().await? {
            removed.contents += more.contents;
            removed.bytes += more.bytes;
            removed.damaged += more.damaged;
        }
        if purged > 0 || removed.contents > 0 {
            tracing::info!(
                deliveries = purged,
                contents = removed.contents,
                bytes = removed.bytes,
                "content whose time of keeping is over was purged"
            );
        }
        Ok(Retained { purged, removed })
    }

    /// Whether the content of a message is still kept.
    pub(super) fn not_purged(&self, id: &DeliveryId) -> Result<(), Rejection> {
        match hold::purged(self.ledger(), id).map_err(|e| damaged(&e))? {
            Some(purged) => Err(purged.rejection(id)),
            None => Ok(()),
        }
    }

    /// Goes through the log as far as anything in it may be over.
    async fn purge_due(&self) -> Result<u64, Rejection> {
        let today = self.ledger().now().date();
        let size = self.ledger().snapshot().size();
        let mut purged = 0;
        let mut at = 0;
        while at < size {
            let exchange = self.clone();
            let read = blocking(move || exchange.over(at, size, today)).await?;
            for purge in read.due {
                let id = purge.delivery_id;
                if self.inner.leases.is_held(&id, self.ledger().now()) {
                    continue;
                }
                let command = Command::Purge(Box::new(purge));
                let committed = self.ledger().commit(command).await.map_err(|e| e.into_rejection())?;
                if matches!(committed.answer, Answer::Recorded(Place::New(_))) {
                    purged += 1;
                }
            }
            let Some(next) = read.next else { break };
            at = next;
            tokio::time::sleep(REST).await;
        }
        Ok(purged)
    }

    /// The documents of a page of events that are over, and where the next page begins.
    fn over(&self, at: u64, size: u64, today: Date) -> Result<Due, Rejection> {
        let retention = &self.config().retention;
        let events = self.events(at, size)?;
        let mut next = events.last().map(|(index, _)| index + 1);
        let mut due = Vec::new();
        let mut seen = HashSet::new();
        for (_, event) in events {
            let on = event.at.date();
            if !retention.any_over(on, today) {
                // Later ones are younger.
                next = None;
                break;
            }
            let Some(item) = event.kind.item() else { continue };
            let Subject::Document(document) = &item.subject else { continue };
            let (rule, keep) = retention.rule(&document.type_name);
            let is_over = keep.end(on).is_some_and(|end| end <= today);
            let id = item.delivery_id;
            if !is_over || !seen.insert(id) || self.not_purged(&id).is_err() {
                continue;
            }
            let mut purge = self.named(&id, rule, document.type_name.clone())?;
            let own: Vec<Digest> = event.kind.named().purgeable().collect();
            purge.digests.extend(own);
            purge.digests.sort_unstable_by_key(|digest| *digest.as_bytes());
            purge.digests.dedup();
            due.push(purge);
        }
        Ok(Due { due, next })
    }

    /// A delivery with the messages about it, and what they all name.
    fn named(&self, id: &DeliveryId, rule: String, type_name: String) -> Result<Purge, Rejection> {
        let out: Option<Outgoing> = load(self.ledger(), &keys::outgoing(id)).map_err(|e| damaged(&e))?;
        let came: Option<Incoming> = load(self.ledger(), &keys::incoming(id)).map_err(|e| damaged(&e))?;
        let mut messages = BTreeSet::new();
        let mut about = |statuses: &[StatusEntry], asked: &[Asked]| -> Result<(), Rejection> {
            messages.extend(asked.iter().map(|a| a.notice));
            for status in statuses {
                // A status may stand in the event that hands over: the message is in the one that names it.
                if let Some(item) = self.event(status.index)?.kind.item() {
                    messages.insert(item.delivery_id);
                }
            }
            Ok(())
        };
        if let Some(out) = &out {
            about(&out.statuses, &out.asked)?;
        }
        if let Some(came) = &came {
            about(&came.statuses, &came.asked)?;
        }
        let mut digests = Vec::new();
        for message in std::iter::once(id).chain(&messages) {
            let out: Option<Outgoing> =
                load(self.ledger(), &keys::outgoing(message)).map_err(|e| damaged(&e))?;
            let came: Option<Incoming> =
                load(self.ledger(), &keys::incoming(message)).map_err(|e| damaged(&e))?;
            for (facts, content) in out
                .map(|r| (r.facts, r.content_digests))
                .into_iter()
                .chain(came.map(|r| (r.facts, r.content_digests)))
            {
                digests.push(facts.envelope_digest);
                digests.extend(content);
            }
        }
        Ok(Purge { delivery_id: *id, type_name, rule, messages: messages.into_iter().collect(), digests })
    }

    /// A page of events.
    fn events(&self, at: u64, size: u64) -> Result<Vec<(u64, Event)>, Rejection> {
        let most = (size - at).min(PAGE) as usize;
        let page = self.ledger().index().leaves(at, most).map_err(|e| storage(&e))?;
        if page.is_empty() {
            tracing::error!(index = at, "an event is missing");
            return Err(must_be_checked());
        }
        page.into_iter()
            .map(|(index, bytes)| {
                let event =
                    leaf::decode(&bytes).map_err(|error| crate::ledger::missing_leaf(index, &error))?;
                Ok((index, event))
            })
            .collect()
    }

    /// Removes what purge events name and nobody needs, some of them at a time; none when all is done.
    async fn remove_purged(&self) -> Result<Option<Removed>, Rejection> {
        let exchange = self.clone();
        let Some((condemned, done)) = blocking(move || exchange.not_removed()).await? else {
            return Ok(None);
        };
        let content = self.ledger().content().clone();
        content.condemn(condemned.iter().copied());
        // What was decided before they were condemned is in the log after this.
        self.ledger().commit(Command::Barrier).await.map_err(|e| e.into_rejection())?;
        let size = self.ledger().snapshot().size();
        let mut at = 0;
        while at < size && !condemned.is_empty() {
            let (exchange, names) = (self.clone(), condemned.clone());
            at = blocking(move || exchange.spare_needed(&names, at, size)).await?;
            tokio::time::sleep(REST).await;
        }
        let removed = blocking(move || content.remove_condemned().map_err(|e| storage(&e))).await?;
        if removed.damaged > 0 {
            tracing::error!(
                segments = removed.damaged,
                "content that was purged stands in damaged segments and was left there: restore them from a backup"
            );
        }
        self.ledger().index().put_state(DONE, &done.to_be_bytes()).map_err(|e| storage(&e))?;
        Ok(Some(removed))
    }

    /// The digests of purge events that are not done, and the event after them.
    fn not_removed(&self) -> Result<Option<Condemned>, Rejection> {
        let state = self.ledger().index().get(DONE).map_err(|e| storage(&e))?;
        let done = state.and_then(|bytes| bytes.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes);
        let size = self.ledger().snapshot().size();
        // A log that was restored from a backup may be shorter.
        let mut at = if done > size { 0 } else { done };
        let mut digests = HashSet::new();
        while at < size && digests.len() < AT_ONCE {
            for (index, event) in self.events(at, size)? {
                at = index + 1;
                if let EventKind::Purged { digests: named, .. } = event.kind {
                    digests.extend(named);
                }
            }
        }
        if digests.is_empty() {
            if at > done {
                self.ledger().index().put_state(DONE, &at.to_be_bytes()).map_err(|e| storage(&e))?;
            }
            return Ok(None);
        }
        Ok(Some((Arc::new(digests), at)))
    }

    /// Spares what a page of events needs; where the next page begins.
    fn spare_needed(&self, condemned: &HashSet<Digest>, at: u64, size: u64) -> Result<u64, Rejection> {
        let content = self.ledger().content();
        let mut next = at;
        for (index, event) in self.events(at, size)? {
            next = index + 1;
            let named = event.kind.named();
            for digest in named
                .proof
                .iter()
                .chain(&named.lost_proof)
                .chain(named.evidence)
                .filter(|d| condemned.contains(d))
            {
                content.spare(digest);
            }
            let mut of_message = named.purgeable().filter(|d| condemned.contains(d)).peekable();
            let Some(id) = named.delivery.filter(|_| of_message.peek().is_some()) else { continue };
            if self.not_purged(&id).is_ok() {
                of_message.for_each(|digest| content.spare(&digest));
            }
        }
        Ok(next)
    }

    /// The legal holds in force, the oldest first.
    pub fn holds(&self) -> Result<Vec<(hold::HoldScope, hold::Hold)>, Rejection> {
        let prefix = keys::holds();
        let found =
            self.ledger().index().scan(&prefix, &prefix, limits::HOLDS_LISTED).map_err(|e| storage(&e))?;
        let mut holds = Vec::new();
        for (key, value) in found {
            let record: hold::HoldsRecord =
                crate::domain::fold::decode(&key, &value).map_err(|e| damaged(&e))?;
            holds.extend(record.holds.into_iter().map(|hold| (record.scope.clone(), hold)));
        }
        holds.sort_by_key(|(_, hold)| hold.index);
        Ok(holds)
    }
}

/// Digests that may go, and the event up to which that is all.
type Condemned = (Arc<HashSet<Digest>>, u64);

/// What a page of events has to purge.
struct Due {
    due: Vec<Purge>,
    next: Option<u64>,
}

/// Runs what waits for the disk off the threads that serve calls.
async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, Rejection> + Send + 'static,
) -> Result<T, Rejection> {
    tokio::task::spawn_blocking(f).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a task of retention failed");
        Err(must_be_checked())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_hour_is_later_than_now_and_within_a_day() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2016-08-06T09:00:00+07:00");
        assert_eq!(next_hour(now, 9), at("2016-08-07T09:00:00+07:00"));
        assert_eq!(next_hour(now, 10), at("2016-08-06T10:00:00+07:00"));
        assert_eq!(next_hour(now, 0), at("2016-08-07T00:00:00+07:00"));
    }
}
