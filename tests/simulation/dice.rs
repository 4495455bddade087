//! Chance that repeats itself: everything that a run leaves to chance is drawn here, from its seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lienthong::ledger::Random;

use crate::harness::Numbers;

/// A stream of numbers; clones draw from the same.
#[derive(Clone)]
pub struct Dice(Arc<Mutex<Numbers>>);

impl Dice {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(Arc::new(Mutex::new(Numbers(seed))))
    }

    /// A stream of its own for one purpose, so that what one draws changes nothing for the others.
    pub fn fork(&self, purpose: u64) -> Dice {
        let base = self.0.lock().unwrap().0;
        Dice::new(Numbers(base ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15)).below(u64::MAX))
    }

    /// Below `n`, which is not 0.
    pub fn below(&self, n: u64) -> u64 {
        self.0.lock().unwrap().below(n)
    }

    /// From `low` to `high`, both included.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True so many times in a thousand.
    pub fn chance(&self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// A time between two numbers of milliseconds.
    pub fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// One of these.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        bytes.iter_mut().for_each(|b| *b = self.below(256) as u8);
        Ok(())
    }
}
