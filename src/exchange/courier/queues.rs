//! The queues of all peers as others see them: `status`, `track`, and whoever learns that a peer lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::backoff::Moment;
use super::breaker::State;
use super::budget::{Budget, Shared};
use super::failure::Fault;
use super::schedule::{Schedule, Standing};
use crate::domain::DeliveryState;
use crate::domain::fold::records::Outgoing;
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::reason::Reason;
use crate::merkle::sha256;
use crate::time::Timestamp;

/// One peer's queue.
#[derive(Debug)]
pub(super) struct Queue {
    schedule: Mutex<Schedule>,
    /// Something may have to be done.
    pub(super) wake: Notify,
    /// Bytes in flight.
    pub(super) budget: Budget,
}

impl Queue {
    /// The schedule. A task that panicked while it held it left it whole enough to go on: every change of it is small,
    /// and the outbox is what counts.
    pub(super) fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a peer's circuit breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BreakerState {
    /// Messages go out.
    #[default]
    Closed,
    /// Nothing goes out until the next try.
    Open,
    /// One message probes the peer.
    HalfOpen,
}

impl BreakerState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        }
    }
}

/// How a peer's queue stands.
#[derive(Debug, Clone, Default)]
pub struct QueueState {
    /// Messages in flight.
    pub in_flight: u64,
    /// Their bytes.
    pub bytes_in_flight: u64,
    /// Messages that wait for a later try.
    pub delayed: u64,
    /// The circuit breaker.
    pub breaker: BreakerState,
    /// Failures of the peer itself in a row.
    pub failures: u32,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    /// The newest failure, for a person; empty when what came after it succeeded.
    pub last_error: String,
    /// When the next try is, if the queue waits for it.
    pub next_try: Option<Timestamp>,
}

/// Queues by peer.
#[derive(Debug, Clone)]
pub struct Queues {
    queues: Arc<Mutex<BTreeMap<NodeName, Arc<Queue>>>>,
    shared: Shared,
    began: Instant,
}

impl Default for Queues {
    fn default() -> Queues {
        Queues { queues: Arc::default(), shared: Shared::default(), began: Instant::now() }
    }
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, Arc<Queue>>> {
        self.queues.lock().expect("no holder of this lock panics")
    }

    /// The queue of a peer, if there is one.
    pub(super) fn get(&self, peer: &NodeName) -> Option<Arc<Queue>> {
        self.lock().get(peer).cloned()
    }

    /// The queue of a peer, made when there is none; and whether it was made.
    pub(super) fn open(&self, own: &NodeName, peer: &NodeName) -> (Arc<Queue>, bool) {
        let mut queues = self.lock();
        if let Some(queue) = queues.get(peer) {
            return (queue.clone(), false);
        }
        let name = sha256(format!("{own} {peer}").as_bytes());
        let seed = name.as_bytes().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        let queue = Arc::new(Queue {
            schedule: Mutex::new(Schedule::new(seed)),
            wake: Notify::new(),
            budget: Budget::new(self.shared.clone()),
        });
        queues.insert(peer.clone(), queue.clone());
        (queue, true)
    }

    /// The moment now, as the schedules count.
    pub(super) fn moment(&self) -> Moment {
        Moment(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A moment as the runtime counts.
    pub(super) fn instant(&self, at: Moment) -> Instant {
        self.began + std::time::Duration::from_millis(at.0)
    }

    /// The peer showed that it lives, or the way to it changed: if it had been given up for a while, it is probed now.
    pub fn nudge(&self, peer: &NodeName) {
        if let Some(queue) = self.get(peer) {
            queue.schedule().nudge(self.moment());
            queue.wake.notify_one();
        }
    }

    /// The same for every peer.
    pub fn nudge_all(&self) {
        let peers: Vec<NodeName> = self.lock().keys().cloned().collect();
        for peer in peers {
            self.nudge(&peer);
        }
    }

    /// Exchange with peers goes on, or their logs have a new generation: what waited for that is tried now.
    pub fn reopened(&self) {
        let queues: Vec<_> = self.lock().values().cloned().collect();
        for queue in queues {
            queue.schedule().reopened(self.moment());
            queue.wake.notify_one();
        }
    }

    /// Of every peer that there is a queue for; `now` is the node's time.
    pub fn all(&self, now: Timestamp) -> BTreeMap<NodeName, QueueState> {
        let queues: Vec<_> = self.lock().iter().map(|(peer, queue)| (peer.clone(), queue.clone())).collect();
        queues.into_iter().map(|(peer, queue)| (peer, self.state(&queue, now))).collect()
    }

    fn state(&self, queue: &Queue, now: Timestamp) -> QueueState {
        let schedule = queue.schedule();
        let breaker = schedule.breaker();
        let (state, next_try) = match breaker.state() {
            State::Closed => (BreakerState::Closed, schedule.first_delayed()),
            State::Open { until } => (BreakerState::Open, Some(until)),
            State::HalfOpen => (BreakerState::HalfOpen, schedule.first_delayed()),
        };
        QueueState {
            in_flight: schedule.in_flight() as u64,
            bytes_in_flight: queue.budget.taken(),
            delayed: schedule.delayed() as u64,
            breaker: state,
            failures: breaker.failures(),
            failing_since: breaker.failing_since().map(|at| self.time(at, now)),
            last_error: schedule.newest_failure().map_or_else(String::new, |f| f.rejection.to_string()),
            next_try: next_try.map(|at| self.time(at, now)),
        }
    }

    /// A moment as the node's time.
    fn time(&self, at: Moment, now: Timestamp) -> Timestamp {
        now.plus_millis(at.0 as i64 - self.moment().0 as i64)
    }

    /// Why the last try of a delivery failed; for one that was not tried, why the peer is not.
    pub fn reason(&self, peer: &NodeName, id: &DeliveryId) -> Option<Reason> {
        let queue = self.get(peer)?;
        let schedule = queue.schedule();
        let of_peer = || schedule.newest_failure().filter(|_| schedule.breaker().state() != State::Closed);
        let failure = schedule.failure(id).map(|(failure, _)| failure).or_else(of_peer);
        failure.map(|f| f.rejection.reason)
    }

    /// Why a delivery waits, for a person; empty when it does not wait.
    pub fn why(&self, id: &DeliveryId, record: &Outgoing, now: Timestamp) -> String {
        let peer = &record.peer;
        let queue = self.get(peer);
        let schedule = queue.as_ref().map(|q| q.schedule());
        let until = record.not_after;
        if record.state == DeliveryState::Held {
            let reason = record.peer_verdicts.and_then(|v| v.reason).map_or("held", |r| r.as_str());
            let asked = match schedule.as_ref().and_then(|s| s.standing(id)) {
                Some(Standing::Delayed(at)) => format!("; asked again {}", self.time(*at, now)),
                _ => String::new(),
            };
            return format!("held at node {peer}: {reason}{asked}");
        }
        if record.state != DeliveryState::Queued {
            return String::new();
        }
        if record.waits_for_revoke() {
            return format!("its revoke to arrive at node {peer}");
        }
        let Some(schedule) = schedule else { return format!("its turn to go to node {peer}") };
        let away = || {
            let since = schedule.breaker().failing_since().map(|at| self.time(at, now));
            let error = schedule.newest_failure().map_or("", |f| &f.rejection.message);
            let next = match schedule.breaker().state() {
                State::Open { until } => format!("next try {}", self.time(until, now)),
                _ => "it is being tried".to_owned(),
            };
            let since = since.map_or_else(String::new, |at| format!(" since {at}"));
            format!("node {peer} has not answered{since}: {error}; {next}")
        };
        let is_away = schedule.breaker().state() != State::Closed;
        match schedule.standing(id) {
            Some(Standing::InFlight) => format!("node {peer} is being offered it"),
            Some(Standing::Behind(first)) => {
                format!("behind notice {first} about the same delivery, which node {peer} must have first")
            }
            Some(Standing::Revoked) => format!("its revoke to arrive at node {peer}"),
            Some(Standing::Delayed(at)) => match schedule.failure(id) {
                Some((failure, tries)) => {
                    let at = self.time(*at, now);
                    let rejection = &failure.rejection;
                    match failure.fault {
                        Fault::Peer if is_away => away(),
                        Fault::Peer => {
                            format!("node {peer} failed {tries} times: {rejection}; next try {at}")
                        }
                        Fault::Busy => format!("node {peer} has no room for now: {rejection}; next try {at}"),
                        Fault::Temporary => {
                            format!("node {peer} could not take it yet: {rejection}; next try {at}")
                        }
                        Fault::Here => format!("this node: {rejection}; next try {at}"),
                        Fault::Lasting => format!(
                            "node {peer} does not take it: {rejection}; that may last: tried again {at}, and given \
                             up {until}"
                        ),
                    }
                }
                None => format!("its turn to go to node {peer}"),
            },
            _ if is_away => away(),
            _ => format!("its turn to go to node {peer}"),
        }
    }
}
