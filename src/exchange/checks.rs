//! What a running node found when it checked itself.

use std::sync::{Mutex, PoisonError};

use crate::time::Timestamp;

/// A check that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastCheck {
    /// When it ended.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Events that were checked.
    pub events: u64,
    /// What is wrong.
    pub findings: u64,
    /// The first event that is wrong.
    pub first: Option<u64>,
    /// Bytes of content that were read; 0 where none were.
    pub content_bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    last: Option<LastCheck>,
    runs: bool,
}

/// The newest check, and whether one is under way.
#[derive(Debug, Default)]
pub struct Checks {
    state: Mutex<State>,
}

impl Checks {
    /// One begins; false when one is under way.
    pub fn begin(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).runs, true)
    }

    /// It ended, with a result or cut short.
    pub fn end(&self, result: Option<LastCheck>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.runs = false;
        state.last = result.or(state.last);
    }

    /// The newest result since the start.
    pub fn last(&self) -> Option<LastCheck> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// Whether one is under way.
    pub fn is_running(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).runs
    }
}
