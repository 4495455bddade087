//! Clocks: how far the clocks of other nodes are from this one, and which of them is wrong.
//!
//! Whenever nodes say hello, their times are compared: at each connection, and every minute while it lasts. The node that called knows the round trip, and halves it; the
//! one that was called knows only that the other's time is a little old, which is less certain and used until there is
//! better. A clock counts as off only when the difference is over the tolerance by more than it is uncertain. When at
//! least three nodes, and most of all that are known, agree that they are off by the same, it is this node's own clock.
//! Each crossing of the tolerance is one log line; `status` and the metrics have the newest values.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::ids::NodeName;
use crate::time::Timestamp;

/// How old a time may be that another node said when it called: connecting is given up after that.
const ONE_WAY_MS: i64 = 10_000;
/// How long a measured difference is better than one that was only heard: some comparisons by the minute.
const MEASURED_MS: i64 = 300_000;
/// Nodes that must agree before this node's own clock is blamed.
const WITNESSES: usize = 3;

/// What is known of another node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Its time minus this node's, in milliseconds: positive when it is ahead.
    pub offset_ms: i64,
    /// How much that may be wrong.
    pub uncertain_ms: i64,
    /// When it was compared, by this node's clock.
    pub at: Timestamp,
    /// Whether it is over the tolerance.
    pub off: bool,
    measured: bool,
}

#[derive(Debug, Default)]
struct State {
    peers: BTreeMap<NodeName, Reading>,
    own: Option<i64>,
}

/// The clocks of all nodes that were heard.
#[derive(Debug)]
pub struct Clocks {
    tolerance_ms: i64,
    state: Mutex<State>,
}

impl Clocks {
    /// None heard yet.
    pub fn new(tolerance_ms: i64) -> Clocks {
        Clocks { tolerance_ms, state: Mutex::default() }
    }

    /// How far a clock may be off.
    pub fn tolerance_ms(&self) -> i64 {
        self.tolerance_ms
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This node asked at `asked`, had the answer at `answered`, and the other's time was `theirs` in between.
    pub fn measured(&self, peer: &NodeName, asked: Timestamp, answered: Timestamp, theirs: Timestamp) {
        let round_trip = (answered.millis() - asked.millis()).max(0);
        let middle = asked.millis().saturating_add(round_trip / 2);
        self.take(peer, theirs.millis().saturating_sub(middle), round_trip / 2, answered, true);
    }

    /// The other node called, and said that it is `theirs`.
    pub fn heard(&self, peer: &NodeName, theirs: Timestamp, now: Timestamp) {
        // It was that time or later when it arrived: a lag may be the way here, a lead may not.
        let offset = theirs.millis().saturating_sub(now.millis());
        let uncertain = if offset > 0 { 0 } else { ONE_WAY_MS };
        self.take(peer, offset, uncertain, now, false);
    }

    fn take(&self, peer: &NodeName, offset_ms: i64, uncertain_ms: i64, at: Timestamp, measured: bool) {
        let mut state = self.lock();
        let before = state.peers.get(peer).copied();
        if !measured && before.is_some_and(|b| b.measured && at.millis() - b.at.millis() < MEASURED_MS) {
            return;
        }
        let off = offset_ms.saturating_abs().saturating_sub(uncertain_ms) > self.tolerance_ms;
        state.peers.insert(peer.clone(), Reading { offset_ms, uncertain_ms, at, off, measured });
        let was_off = before.is_some_and(|b| b.off);
        if off && !was_off {
            tracing::warn!(peer = %peer, offset_ms, tolerance_ms = self.tolerance_ms,
                "the clock of this peer and that of this node differ: have both set by NTP");
        } else if was_off && !off {
            tracing::info!(peer = %peer, offset_ms, "the clock of this peer is right again");
        }
        let own = own_offset(&state.peers, self.tolerance_ms);
        if let Some(own) = own
            && state.own.is_none()
        {
            tracing::error!(
                offset_ms = own,
                tolerance_ms = self.tolerance_ms,
                "this node's own clock is off: most peers agree; have it set by NTP"
            );
        } else if own.is_none() && state.own.is_some() {
            tracing::info!("this node's own clock is right again");
        }
        state.own = own;
    }

    /// The newest readings.
    pub fn readings(&self) -> BTreeMap<NodeName, Reading> {
        self.lock().peers.clone()
    }

    /// How far this node's own clock is off, when its peers agree that it is: positive when it is ahead.
    pub fn own_offset_ms(&self) -> Option<i64> {
        self.lock().own
    }
}

/// This node's own offset, when enough peers that are off agree about it.
fn own_offset(peers: &BTreeMap<NodeName, Reading>, tolerance_ms: i64) -> Option<i64> {
    let mut off: Vec<&Reading> = peers.values().filter(|r| r.off).collect();
    off.sort_by_key(|r| r.offset_ms);
    let median = off.get(off.len() / 2)?.offset_ms;
    let agree = off
        .iter()
        .filter(|r| r.offset_ms.abs_diff(median) <= (tolerance_ms + r.uncertain_ms).unsigned_abs())
        .count();
    (agree >= WITNESSES && agree * 2 > peers.len()).then_some(-median)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u32) -> NodeName {
        NodeName::new(&format!("n{n}")).unwrap()
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_470_000_000_000 + ms)
    }

    #[test]
    fn half_of_the_round_trip_is_taken_off_and_no_clock_is_blamed_for_a_slow_way() {
        let clocks = Clocks::new(1_000);
        clocks.measured(&node(1), at(0), at(400), at(3_200));
        let reading = clocks.readings()[&node(1)];
        assert_eq!((reading.offset_ms, reading.uncertain_ms, reading.off), (3_000, 200, true));
        // The answer took 5 s: nothing is certain to 2.5 s.
        clocks.measured(&node(1), at(0), at(5_000), at(5_900));
        let reading = clocks.readings()[&node(1)];
        assert_eq!((reading.offset_ms, reading.off), (3_400, false));
        clocks.measured(&node(1), at(0), at(10), at(-1_500));
        assert!(clocks.readings()[&node(1)].off);
    }

    #[test]
    fn what_was_heard_is_a_lead_for_certain_and_a_lag_only_beyond_the_time_to_connect() {
        let clocks = Clocks::new(1_000);
        for (theirs, off) in [(1_500, true), (900, false), (-9_000, false), (-11_500, true)] {
            clocks.heard(&node(1), at(theirs), at(0));
            assert_eq!(clocks.readings()[&node(1)].off, off, "{theirs}");
        }
        clocks.measured(&node(1), at(0), at(2), at(1));
        clocks.heard(&node(1), at(90_000), at(60_000));
        assert!(!clocks.readings()[&node(1)].off, "what was measured is better");
        clocks.heard(&node(1), at(MEASURED_MS + 30_000), at(MEASURED_MS + 3));
        assert!(clocks.readings()[&node(1)].off, "and gets old");
    }

    #[test]
    fn three_peers_and_most_of_all_that_agree_blame_this_nodes_own_clock() {
        let clocks = Clocks::new(1_000);
        let measure = |n: u32, offset: i64| clocks.measured(&node(n), at(0), at(2), at(1 + offset));
        for n in 1..=2 {
            measure(n, -60_000);
            assert_eq!(clocks.own_offset_ms(), None);
        }
        // A third that is off otherwise does not agree.
        measure(3, 60_000);
        assert_eq!(clocks.own_offset_ms(), None);
        measure(3, -60_800);
        assert_eq!(clocks.own_offset_ms(), Some(60_000));
        // As many are right: it is not most.
        for n in 4..=6 {
            measure(n, 0);
        }
        assert_eq!(clocks.own_offset_ms(), None);
    }
}
