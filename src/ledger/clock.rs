//! Where time comes from: a port, so that tests and the demo can say what time it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// A source of time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        Timestamp::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
    }
}

/// A clock that is set by hand and goes on from there.
#[derive(Debug)]
pub struct ManualClock {
    base: AtomicI64,
    started: Instant,
}

impl ManualClock {
    /// Starts at `at`.
    pub fn new(at: Timestamp) -> Self {
        ManualClock { base: AtomicI64::new(at.millis()), started: Instant::now() }
    }

    /// Sets the time; it never goes back.
    pub fn set(&self, at: Timestamp) {
        let base = at.millis() - self.elapsed();
        self.base.fetch_max(base, Ordering::AcqRel);
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(0)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.base.load(Ordering::Acquire) + self.elapsed())
    }
}
