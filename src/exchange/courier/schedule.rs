//! What goes to a peer next: the order of its messages, what waits and why, and how much is under way.
//!
//! The outbox, a fold, is the whole truth; a schedule holds its head in memory, within bounds. Whoever drives it does,
//! again and again: read what it [`wants`](Schedule::wants) from the outbox and [`take`](Schedule::take) it in, put in
//! flight what it gives to [`start`](Schedule::start), and say how each of these [`ended`](Schedule::ended).
//!
//! Rules
//! - By urgency, flash first, retries included: what is due again takes its place among what was never tried.
//! - Within one urgency the senders take turns, each in the order in which it sent; a sender's share of memory is
//!   bounded, and what is over it stays in the outbox until its turn comes.
//! - Notices about one delivery go one after the other; those that wait for it hold no place in flight.
//! - A message whose revocation is on its way waits until that has arrived.
//! - Large content has places of its own, so that it holds up nothing small.
//! - Not more goes out than the [`Breaker`] allows.
//! - What waits long is dropped from memory when there is too much of it, and read again later.
//!
//! Pure: time is an argument, and nothing is random.

mod outbox;

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::backoff::Moment;
use super::breaker::{Breaker, State};
use super::failure::{Failure, Fault, HELD};
use super::ring::Ring;
use crate::domain::document::Urgency;
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::limits;
use crate::domain::reason::Reason;

/// Messages that wait in memory for a later try.
const DELAYED: usize = 4_096;
/// Tries from which on a message may itself be what the peer cannot bear: it waits for its own time even when the peer
/// is back.
const SUSPECT: u32 = 4;

/// A message of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its delivery.
    pub id: DeliveryId,
    /// Its place in the outbox.
    pub index: u64,
    /// How quickly it must travel.
    pub urgency: Urgency,
    /// Who sends it.
    pub sender: AgencyId,
    /// For a notice: the delivery that it is about.
    pub target: Option<DeliveryId>,
    /// It revokes that delivery.
    pub revokes: bool,
    /// Its content does not travel inside the message.
    pub large: bool,
}

/// A part of the outbox to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Of this urgency.
    pub urgency: Urgency,
    /// From this index on.
    pub from: u64,
    /// At most so many entries.
    pub most: usize,
    /// Only what this sender sent, up to that index.
    only: Option<(AgencyId, u64)>,
}

/// What was read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Each index with its entry, in order; `None` where there is nothing to send any more.
    pub entries: Vec<(u64, Option<Entry>)>,
    /// Nothing more is there below `size`.
    pub ended: bool,
    /// Size of the log by then; nothing beyond it was read.
    pub size: u64,
}

/// A message to put in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Its delivery.
    pub id: DeliveryId,
    /// To be given back with its outcome.
    pub epoch: u32,
}

/// How a message that was in flight ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The peer answered, and nothing is left to do.
    Over,
    /// Nothing was left to do; the peer was not asked.
    Gone,
    /// The peer has it in custody, and is asked again.
    Held,
    /// It is tried again.
    Failed(Failure),
}

/// Where a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Under way.
    InFlight,
    /// It goes when its turn comes.
    Ready,
    /// It waits for that earlier notice about the same delivery.
    Behind(DeliveryId),
    /// It waits until its revocation has arrived.
    Revoked,
    /// It is tried again at that moment.
    Delayed(Moment),
}

/// What is known of a message in memory.
#[derive(Debug, Clone)]
struct Message {
    entry: Entry,
    standing: Standing,
    /// Tries in a row that ended in the same way.
    tries: u32,
    last: Option<Last>,
}

/// How the last try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Last {
    Held,
    Failed(Failure),
}

/// Where one urgency is read.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    /// Everything before was read.
    next: u64,
    /// Size of the log up to which nothing more is there.
    drained: Option<u64>,
    /// Messages in memory that wait to be sent.
    waiting: usize,
}

/// The schedule of one peer.
#[derive(Debug)]
pub struct Schedule {
    breaker: Breaker,
    known: HashMap<DeliveryId, Message>,
    cursors: [Cursor; 4],
    /// Senders over their share, by urgency: from where on theirs is still to be read.
    over: BTreeMap<(Urgency, AgencyId), u64>,
    /// Messages that wait to be sent, by urgency and sender.
    shares: HashMap<(Urgency, AgencyId), usize>,
    ready: [Ring; 4],
    ready_large: [Ring; 4],
    delayed: BTreeMap<(Moment, u64), DeliveryId>,
    sequence: u64,
    /// Deliveries that notices are about, and those notices in order; the first is no longer behind.
    lines: HashMap<DeliveryId, VecDeque<DeliveryId>>,
    /// In flight: small, large, and of these since the breaker last changed.
    small: usize,
    large: usize,
    current: usize,
    /// What was dropped from memory: when to read again, and from where.
    dropped: Option<(Moment, [u64; 4])>,
    newest: Option<Failure>,
}

impl Schedule {
    /// Empty; everything is still to be read. `seed` spreads the probes of different nodes over time.
    pub fn new(seed: u64) -> Schedule {
        Schedule {
            breaker: Breaker::new(seed),
            known: HashMap::new(),
            cursors: Default::default(),
            over: BTreeMap::new(),
            shares: HashMap::new(),
            ready: Default::default(),
            ready_large: Default::default(),
            delayed: BTreeMap::new(),
            sequence: 0,
            lines: HashMap::new(),
            small: 0,
            large: 0,
            current: 0,
            dropped: None,
            newest: None,
        }
    }

    fn line_up(&mut self, id: DeliveryId) {
        let Some(message) = self.known.get_mut(&id) else { return };
        message.standing = Standing::Ready;
        let Entry { urgency, index, large, .. } = message.entry;
        let rings = if large { &mut self.ready_large } else { &mut self.ready };
        rings[urgency as usize].push(&message.entry.sender, index, id);
    }

    /// The next message to put in flight, if one may go.
    pub fn start(&mut self, now: Moment) -> Option<Start> {
        while let Some(first) = self.delayed.first_entry().filter(|e| e.key().0 <= now) {
            let id = first.remove();
            if let Some(entry) = self.known.get(&id).map(|m| m.entry.clone()) {
                self.count(&entry, true);
                self.line_up(id);
            }
        }
        let window = self.breaker.window(now);
        let probing = self.breaker.state() == State::HalfOpen;
        if window == 0 || (probing && self.current > 0) {
            return None;
        }
        let mut next = None;
        if probing {
            next = self.probe();
        } else if self.small < window {
            next = self.pop(false);
        }
        if next.is_none() && !probing && self.large < window.min(limits::LARGE_IN_FLIGHT) {
            next = self.pop(true);
        }
        let id = next?;
        let message = self.known.get_mut(&id)?;
        message.standing = Standing::InFlight;
        let entry = message.entry.clone();
        self.count(&entry, false);
        *if entry.large { &mut self.large } else { &mut self.small } += 1;
        self.current += 1;
        Some(Start { id, epoch: self.breaker.epoch() })
    }

    /// The message that probes the peer: one that failed least often, because another may be what the peer cannot bear.
    fn probe(&mut self) -> Option<DeliveryId> {
        let ready = self.known.values().filter(|m| m.standing == Standing::Ready);
        let free = ready.filter(|m| !self.is_being_revoked(&m.entry.id));
        let probe = free.min_by_key(|m| {
            let tried = m.last.as_ref().map_or(0, |_| m.tries + 1);
            (tried, m.entry.urgency, m.entry.large, m.entry.index)
        })?;
        let Entry { id, index, urgency, large, .. } = probe.entry;
        let rings = if large { &mut self.ready_large } else { &mut self.ready };
        rings[urgency as usize].remove(&probe.entry.sender, index);
        Some(id)
    }

    fn pop(&mut self, large: bool) -> Option<DeliveryId> {
        for urgency in Urgency::ALL {
            loop {
                let rings = if large { &mut self.ready_large } else { &mut self.ready };
                let Some(id) = rings[urgency as usize].pop() else { break };
                if !self.is_being_revoked(&id) {
                    return Some(id);
                }
                if let Some(message) = self.known.get_mut(&id) {
                    message.standing = Standing::Revoked;
                }
            }
        }
        None
    }

    /// Whether a notice that revokes it is known and has not arrived.
    fn is_being_revoked(&self, id: &DeliveryId) -> bool {
        self.lines.get(id).is_some_and(|line| {
            line.iter().any(|notice| self.known.get(notice).is_some_and(|m| m.entry.revokes))
        })
    }

    /// How a message that was started ended. True when the peer is back after a failure.
    pub fn ended(&mut self, started: Start, outcome: Outcome, now: Moment) -> bool {
        let Start { id, epoch } = started;
        let Some(message) = self.known.get_mut(&id).filter(|m| m.standing == Standing::InFlight) else {
            return false;
        };
        let seed = seed(&id);
        let places = if message.entry.large { &mut self.large } else { &mut self.small };
        *places = places.saturating_sub(1);
        if epoch == self.breaker.epoch() {
            self.current = self.current.saturating_sub(1);
        }
        let before = self.breaker.epoch();
        let mut back = false;
        match outcome {
            Outcome::Gone => self.remove(id),
            Outcome::Over => {
                back = self.breaker.answered();
                self.remove(id);
                self.newest = None;
            }
            Outcome::Held => {
                back = self.breaker.answered();
                message.tries = if message.last == Some(Last::Held) { message.tries + 1 } else { 0 };
                let wait = HELD.wait(message.tries, seed);
                message.last = Some(Last::Held);
                self.delay(id, now.plus(wait));
            }
            Outcome::Failed(failure) => {
                match failure.fault {
                    Fault::Peer => self.breaker.failed(epoch, now),
                    Fault::Busy => {
                        back = self.breaker.answered();
                        self.breaker.busy();
                    }
                    Fault::Temporary | Fault::Lasting => back = self.breaker.answered(),
                    Fault::Here => {}
                }
                let same = matches!(&message.last, Some(Last::Failed(f)) if f.fault == failure.fault);
                message.tries = if same { message.tries.saturating_add(1) } else { 0 };
                let wait = failure.wait(message.tries, seed);
                self.newest = Some(failure.clone());
                message.last = Some(Last::Failed(failure));
                self.delay(id, now.plus(wait));
            }
        }
        if self.breaker.epoch() != before {
            self.current = 0;
        }
        if back {
            self.hasten(now, |m, failure| failure.fault == Fault::Peer && m.tries < SUSPECT);
        }
        back
    }

    /// The peer showed that it lives, or the way to it changed: a probe goes now.
    pub fn nudge(&mut self, now: Moment) {
        if !self.breaker.nudge(now) {
            return;
        }
        self.current = 0;
        // The one that failed least often goes first: another may be what the peer cannot bear.
        let of_peer = |m: &&Message| matches!(&m.last, Some(Last::Failed(f)) if f.fault == Fault::Peer);
        let probe = self
            .delayed
            .values()
            .filter_map(|id| self.known.get(id))
            .filter(of_peer)
            .min_by_key(|m| (m.tries, m.entry.urgency, m.entry.index))
            .map(|m| m.entry.id);
        if let Some(probe) = probe {
            self.hasten(now, |m, failure| failure.fault == Fault::Peer && m.entry.id == probe);
        }
    }

    /// Exchange with the peer was stopped, and goes on: what waited for that is due now.
    pub fn reopened(&mut self, now: Moment) {
        self.hasten(now, |_, failure| {
            matches!(failure.rejection.reason, Reason::LogForked | Reason::LogSuspect)
        });
    }

    /// What was put off by such a failure is due now.
    fn hasten(&mut self, now: Moment, which: impl Fn(&Message, &Failure) -> bool) {
        let due: Vec<(Moment, u64)> = self
            .delayed
            .iter()
            .filter(|(_, id)| {
                self.known
                    .get(*id)
                    .is_some_and(|m| matches!(&m.last, Some(Last::Failed(failure)) if which(m, failure)))
            })
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            if let Some(id) = self.delayed.remove(&key) {
                self.put_off(id, now);
            }
        }
    }

    fn put_off(&mut self, id: DeliveryId, due: Moment) {
        self.sequence += 1;
        self.delayed.insert((due, self.sequence), id);
        if let Some(message) = self.known.get_mut(&id) {
            message.standing = Standing::Delayed(due);
        }
    }

    fn delay(&mut self, id: DeliveryId, due: Moment) {
        self.put_off(id, due);
        if self.delayed.len() <= DELAYED {
            return;
        }
        // The last to be due goes from memory; a notice stays, because others may be behind it.
        let last = self.delayed.iter().rev().find(|(_, id)| {
            self.known.get(*id).is_some_and(|m| m.entry.target.is_none() && !self.lines.contains_key(*id))
        });
        let Some((key, id)) = last.map(|(key, id)| (*key, *id)) else { return };
        self.delayed.remove(&key);
        if let Some(message) = self.known.remove(&id) {
            let (_, from) = self.dropped.get_or_insert((key.0, [u64::MAX; 4]));
            let from = &mut from[message.entry.urgency as usize];
            *from = (*from).min(message.entry.index);
        }
    }

    /// A message came to its end: the next of its line goes, and what its revocation held up.
    fn remove(&mut self, id: DeliveryId) {
        let Some(target) = self.known.remove(&id).and_then(|m| m.entry.target) else { return };
        let Some(line) = self.lines.get_mut(&target) else { return };
        line.retain(|notice| *notice != id);
        match line.front().copied() {
            None => {
                self.lines.remove(&target);
            }
            Some(first) => {
                for notice in line.iter().skip(1) {
                    if let Some(message) = self.known.get_mut(notice) {
                        message.standing = Standing::Behind(first);
                    }
                }
                if self.known.get(&first).is_some_and(|m| matches!(m.standing, Standing::Behind(_))) {
                    self.line_up(first);
                }
            }
        }
        let held_up = self.known.get(&target).is_some_and(|m| m.standing == Standing::Revoked);
        if held_up && !self.is_being_revoked(&target) {
            self.line_up(target);
        }
    }

    /// When something is due that is not now.
    pub fn next_due(&self) -> Option<Moment> {
        let dropped = self.dropped.map(|(at, _)| at);
        let due = match self.breaker.state() {
            State::Open { until } if !self.known.is_empty() => Some(until),
            State::Open { .. } => None,
            _ => self.delayed.keys().next().map(|(at, _)| *at),
        };
        due.into_iter().chain(dropped).min()
    }

    /// The breaker.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Messages in flight.
    pub fn in_flight(&self) -> usize {
        self.small + self.large
    }

    /// Messages that wait for a later try.
    pub fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// When the first of them is due.
    pub fn first_delayed(&self) -> Option<Moment> {
        self.delayed.keys().next().map(|(at, _)| *at)
    }

    /// The newest failure, until something succeeds.
    pub fn newest_failure(&self) -> Option<&Failure> {
        self.newest.as_ref()
    }

    /// Where a message is; `None` when it is not in memory.
    pub fn standing(&self, id: &DeliveryId) -> Option<&Standing> {
        self.known.get(id).map(|m| &m.standing)
    }

    /// How the last try of a message failed, and how many did so in a row.
    pub fn failure(&self, id: &DeliveryId) -> Option<(&Failure, u32)> {
        match self.known.get(id).map(|m| (&m.last, m.tries)) {
            Some((Some(Last::Failed(failure)), tries)) => Some((failure, tries + 1)),
            _ => None,
        }
    }
}

/// Spreads the tries of different messages.
fn seed(id: &DeliveryId) -> u64 {
    id.as_bytes().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
