//! One life of a node: from its start until its process ends. All that a node does goes through ports that take a step
//! of its life, so that it can end between any two things that anybody else could notice: what it does afterwards, until
//! its tasks are dropped, has no effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use lienthong::ledger::Clock;
use lienthong::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A life.
pub struct Life {
    /// Which node.
    pub node: usize,
    on: AtomicBool,
    /// Steps that are left.
    fuse: AtomicU64,
    ended: mpsc::UnboundedSender<usize>,
}

impl Life {
    /// One that lasts; who is told when it ends.
    pub fn new(node: usize, ended: mpsc::UnboundedSender<usize>) -> Arc<Life> {
        Arc::new(Life { node, on: AtomicBool::new(true), fuse: AtomicU64::new(u64::MAX), ended })
    }

    /// Takes a step; false when it has ended.
    pub fn step(&self) -> bool {
        if self.is_on() && self.fuse.fetch_sub(1, Ordering::Relaxed) <= 1 {
            self.end();
        }
        self.is_on()
    }

    /// Whether it has not ended.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// It ends after so many steps more, from 1.
    pub fn end_after(&self, steps: u64) {
        self.fuse.fetch_min(steps, Ordering::Relaxed);
    }

    /// It lasts.
    pub fn last(&self) {
        self.fuse.store(u64::MAX, Ordering::Relaxed);
    }

    /// It ends.
    pub fn end(&self) {
        if self.on.swap(false, Ordering::Relaxed) {
            let _ = self.ended.send(self.node);
        }
    }
}

/// A node's clock: the simulation's time, and how far the node is off.
pub struct SimClock {
    start: Timestamp,
    began: Instant,
    off_ms: AtomicI64,
}

impl SimClock {
    /// Right at first.
    pub fn new(start: Timestamp) -> SimClock {
        SimClock { start, began: Instant::now(), off_ms: AtomicI64::new(0) }
    }

    /// Jumps; not added to jumps before.
    pub fn set_off(&self, ms: i64) {
        self.off_ms.store(ms, Ordering::Relaxed);
    }

    /// As it shows.
    pub fn shown(&self) -> Timestamp {
        let elapsed = i64::try_from(self.began.elapsed().as_millis()).unwrap();
        self.start.plus_millis(elapsed + self.off_ms.load(Ordering::Relaxed))
    }
}

/// The clock as a life reads it.
pub struct LifeClock {
    pub clock: Arc<SimClock>,
    pub life: Arc<Life>,
}

impl Clock for LifeClock {
    fn now(&self) -> Timestamp {
        self.life.step();
        self.clock.shown()
    }
}
