//! What the writer did so far, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the classes of commit times, in milliseconds.
pub const BOUNDS_MS: [u64; 11] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000];

/// Counters of commits, since the process began.
#[derive(Debug, Default)]
pub struct CommitStats {
    commits: AtomicU64,
    events: AtomicU64,
    micros: AtomicU64,
    classes: [AtomicU64; BOUNDS_MS.len()],
}

/// The counters at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Commits {
    /// Commits that are durable.
    pub commits: u64,
    /// Their events.
    pub events: u64,
    /// Time of all of them together, in microseconds.
    pub micros: u64,
    /// Commits that took at most each of [`BOUNDS_MS`], by class, not summed.
    pub classes: [u64; BOUNDS_MS.len()],
}

impl CommitStats {
    /// One commit more.
    pub(super) fn committed(&self, events: usize, took: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let class = BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
        if let Some(class) = class {
            self.classes[class].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As they are now.
    pub fn read(&self) -> Commits {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Commits {
            commits: load(&self.commits),
            events: load(&self.events),
            micros: load(&self.micros),
            classes: std::array::from_fn(|i| load(&self.classes[i])),
        }
    }
}
