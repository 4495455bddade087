//! The circuit breaker of a peer: how many messages may be under way to it.
//!
//! ```text
//! closed ── 3 failures of the peer in a row ──▶ open until T ── T, or a sign of life ──▶ half-open: one probe
//!   ▲                                            ▲                                          │      │
//!   │                                            └─────────────── it failed: T doubles ─────┘      │
//!   └── the peer answered: the window is small, and doubles with each answer ──────────────────────┘
//! ```
//! Only failures of the peer itself count: it cannot be reached, does not answer, or answers garbage; never what it
//! says of one message. When a connection breaks, everything on it fails at once: an *epoch* makes that one failure.
//!
//! Pure: time is an argument.

use super::backoff::{Backoff, Moment};
use crate::domain::limits;

/// Failures of the peer in a row that open the breaker: a single message that times out is no peer that is down.
const OPENS_AFTER: u32 = 3;
/// How long the breaker stays open, at first and at most.
const OPEN: Backoff = Backoff { first: 200, last: 60_000 };
/// A sign of life shortens the wait at most once in so many milliseconds, so that a peer cannot have itself probed all
/// the time.
const SIGNS_OF_LIFE: u64 = 1_000;

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Messages go out, as many as the window allows.
    #[default]
    Closed,
    /// Nothing goes out before that moment.
    Open {
        /// When the next probe is.
        until: Moment,
    },
    /// One message at a time probes the peer.
    HalfOpen,
}

/// The breaker of one peer.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: State,
    failures: u32,
    failing_since: Option<Moment>,
    window: usize,
    epoch: u32,
    nudged: Option<Moment>,
    seed: u64,
}

impl Breaker {
    /// Closed. `seed` spreads the probes of different nodes over time.
    pub fn new(seed: u64) -> Breaker {
        Breaker {
            state: State::Closed,
            failures: 0,
            failing_since: None,
            window: limits::PEER_IN_FLIGHT,
            epoch: 0,
            nudged: None,
            seed,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Failures of the peer in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Since when it fails.
    pub fn failing_since(&self) -> Option<Moment> {
        self.failing_since
    }

    /// What a message that goes out now must give back with its outcome.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// How many messages may be under way.
    pub fn window(&mut self, now: Moment) -> usize {
        if let State::Open { until } = self.state
            && now >= until
        {
            self.state = State::HalfOpen;
        }
        match self.state {
            State::Closed => self.window,
            State::Open { .. } => 0,
            State::HalfOpen => 1,
        }
    }

    /// The peer answered a message, whatever it said. True when it had been given up for a while.
    pub fn answered(&mut self) -> bool {
        let closed = self.state == State::Closed;
        self.window = if closed { (self.window * 2).min(limits::PEER_IN_FLIGHT) } else { 2 };
        self.state = State::Closed;
        self.failures = 0;
        self.failing_since = None;
        if !closed {
            self.epoch = self.epoch.wrapping_add(1);
        }
        !closed
    }

    /// The peer has too much to do, and says so.
    pub fn busy(&mut self) {
        self.window = (self.window / 2).max(1);
    }

    /// The peer failed a message that went out in `epoch`.
    pub fn failed(&mut self, epoch: u32, now: Moment) {
        if epoch != self.epoch {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        if self.state == State::HalfOpen || self.failures >= OPENS_AFTER {
            self.epoch = self.epoch.wrapping_add(1);
            let wait = OPEN.wait(self.failures.saturating_sub(OPENS_AFTER), self.seed);
            self.state = State::Open { until: now.plus(wait) };
        }
    }

    /// The peer showed that it lives, or the way to it changed: it is probed now. True when that changed something.
    pub fn nudge(&mut self, now: Moment) -> bool {
        let recently = self.nudged.is_some_and(|at| now < at.plus(SIGNS_OF_LIFE));
        if !matches!(self.state, State::Open { .. }) || recently {
            return false;
        }
        self.nudged = Some(now);
        self.state = State::HalfOpen;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_000_000);

    fn open() -> Breaker {
        let mut breaker = Breaker::new(7);
        for _ in 0..OPENS_AFTER {
            breaker.failed(breaker.epoch(), NOW);
        }
        breaker
    }

    fn until(breaker: &Breaker) -> Moment {
        let State::Open { until } = breaker.state() else { panic!("{:?}", breaker.state()) };
        until
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let mut breaker = Breaker::new(7);
        for _ in 0..10 {
            breaker.failed(breaker.epoch(), NOW);
            breaker.failed(breaker.epoch(), NOW);
            assert!(!breaker.answered());
        }
        assert_eq!((breaker.state(), breaker.failures()), (State::Closed, 0));
        let mut breaker = open();
        assert_eq!((breaker.window(NOW), breaker.failures()), (0, OPENS_AFTER));
        assert_eq!(breaker.failing_since(), Some(NOW));
    }

    #[test]
    fn everything_that_fails_with_one_connection_counts_once() {
        let mut breaker = Breaker::new(7);
        let epoch = breaker.epoch();
        for _ in 0..512 {
            breaker.failed(epoch, NOW);
        }
        assert_eq!(breaker.failures(), OPENS_AFTER);
        assert!(until(&breaker) <= NOW.plus(OPEN.first));
    }

    #[test]
    fn one_probe_goes_out_when_its_time_has_come_and_the_waits_double_up_to_a_minute() {
        let mut breaker = open();
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..15 {
            let at = until(&breaker);
            waits.push(at.0 - now.0);
            assert_eq!(breaker.window(Moment(at.0 - 1)), 0);
            now = at;
            assert_eq!(breaker.window(now), 1);
            breaker.failed(breaker.epoch(), now);
        }
        assert!(waits.iter().all(|w| *w <= OPEN.last), "{waits:?}");
        assert!(waits[0] <= 200 && waits[5] > waits[3] && waits[3] > waits[1], "{waits:?}");
        assert!(waits[14] > OPEN.last / 2, "{waits:?}");
        assert_eq!(breaker.failing_since(), Some(NOW));
    }

    #[test]
    fn after_an_answer_it_closes_and_the_window_grows_step_by_step() {
        let mut breaker = open();
        let at = until(&breaker);
        assert_eq!(breaker.window(at), 1);
        assert!(breaker.answered());
        assert_eq!((breaker.window(at), breaker.failing_since()), (2, None));
        assert!(!breaker.answered());
        assert_eq!(breaker.window(at), 4);
        for _ in 0..20 {
            breaker.answered();
        }
        assert_eq!(breaker.window(at), limits::PEER_IN_FLIGHT);
        breaker.busy();
        assert_eq!(breaker.window(at), limits::PEER_IN_FLIGHT / 2);
        for _ in 0..20 {
            breaker.busy();
        }
        assert_eq!(breaker.window(at), 1);
    }

    #[test]
    fn what_failed_before_a_probe_answered_does_not_open_it_again() {
        let mut breaker = Breaker::new(7);
        let old = breaker.epoch();
        for _ in 0..OPENS_AFTER {
            breaker.failed(old, NOW);
        }
        breaker.window(until(&breaker));
        breaker.answered();
        for _ in 0..100 {
            breaker.failed(old, NOW);
        }
        assert_eq!((breaker.state(), breaker.failures()), (State::Closed, 0));
    }

    #[test]
    fn a_sign_of_life_brings_the_probe_forward_but_not_all_the_time() {
        let mut breaker = open();
        assert!(breaker.nudge(NOW));
        assert_eq!(breaker.window(NOW), 1);
        breaker.failed(breaker.epoch(), NOW);
        assert!(!breaker.nudge(NOW.plus(SIGNS_OF_LIFE - 1)));
        assert_eq!(breaker.window(NOW), 0);
        assert!(breaker.nudge(NOW.plus(SIGNS_OF_LIFE)));
        assert!(!Breaker::new(7).nudge(NOW), "a closed one needs none");
    }
}
