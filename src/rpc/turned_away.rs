//! Connections and calls that were turned away before they could ask for anything, counted by cause until they are
//! recorded. What an attacker can make of it is bounded: a counter for each cause and a few origins beside it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::administration::{RefusalCause, Refusals, Side};
use crate::domain::limits;

/// The counters of a listener.
#[derive(Debug, Default)]
pub struct TurnedAway {
    counted: Mutex<BTreeMap<RefusalCause, Counted>>,
}

#[derive(Debug, Default)]
struct Counted {
    count: u64,
    origins: Vec<(String, u64)>,
}

impl Counted {
    fn add(&mut self, origin: &str, count: u64) {
        if let Some((_, known)) = self.origins.iter_mut().find(|(known, _)| known == origin) {
            *known += count;
        } else if self.origins.len() < limits::REFUSED_ORIGINS {
            self.origins.push((origin.to_owned(), count));
        }
    }
}

impl TurnedAway {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RefusalCause, Counted>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one, from an address or an identity.
    pub fn count(&self, cause: RefusalCause, origin: &str) {
        let origin: String = origin.chars().take(limits::ORIGIN_CHARS).collect();
        let mut counted = self.lock();
        let counted = counted.entry(cause).or_default();
        counted.count += 1;
        counted.add(&origin, 1);
    }

    /// Takes what was counted, and begins anew.
    pub fn take(&self, side: Side) -> Vec<Refusals> {
        let counted = std::mem::take(&mut *self.lock());
        let refusals = |(cause, Counted { count, origins })| Refusals { side, cause, count, origins };
        counted.into_iter().map(refusals).collect()
    }

    /// Gives back what could not be recorded.
    pub fn give_back(&self, refusals: &[Refusals]) {
        let mut all = self.lock();
        for refused in refusals {
            let counted = all.entry(refused.cause).or_default();
            counted.count += refused.count;
            refused.origins.iter().for_each(|(origin, count)| counted.add(origin, *count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_many_origins_is_counted_in_bounded_memory() {
        let turned_away = TurnedAway::default();
        for i in 0..100_000_u32 {
            turned_away.count(RefusalCause::Handshake, &format!("10.0.{}.{}", i / 256 % 256, i % 256));
        }
        turned_away.count(RefusalCause::UnknownCaller, &"x".repeat(10_000));
        let taken = turned_away.take(Side::Clients);
        let [handshake, unknown] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!((handshake.count, handshake.origins.len()), (100_000, limits::REFUSED_ORIGINS));
        assert_eq!(handshake.origins[0], ("10.0.0.0".to_owned(), 2));
        assert_eq!(unknown.origins[0].0.len(), limits::ORIGIN_CHARS);
        assert_eq!(turned_away.take(Side::Clients), []);
    }

    #[test]
    fn what_is_given_back_is_counted_with_what_came_since() {
        let turned_away = TurnedAway::default();
        turned_away.count(RefusalCause::Timeout, "a");
        let taken = turned_away.take(Side::Peers);
        turned_away.count(RefusalCause::Timeout, "a");
        turned_away.count(RefusalCause::Timeout, "b");
        turned_away.give_back(&taken);
        let [timeout] = &turned_away.take(Side::Peers)[..] else { panic!("one cause") };
        assert_eq!((timeout.count, timeout.origins.as_slice()), (3, &[("a".into(), 2), ("b".into(), 1)][..]));
    }
}
