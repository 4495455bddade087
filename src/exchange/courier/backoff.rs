//! How long a try waits: exponential, with jitter and a ceiling.
//!
//! Jitter is a function of a seed and the number of tries, so that many messages that failed at once do not come back
//! at once, and a run can be repeated exactly.

/// A point in time in milliseconds, from an origin that only its user knows; it never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// So many milliseconds later.
    pub fn plus(self, ms: u64) -> Moment {
        Moment(self.0.saturating_add(ms))
    }
}

/// First and longest wait, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub first: u64,
    /// The ceiling.
    pub last: u64,
}

impl Backoff {
    /// The wait after so many tries before this one: doubled with each, less up to a quarter.
    pub fn wait(self, tries: u32, seed: u64) -> u64 {
        let base = self.first.saturating_mul(1 << tries.min(32)).min(self.last);
        base - base * (mix(seed, tries) % 256) / 1024
    }
}

/// Numbers that look random, the same for the same arguments (splitmix64).
fn mix(seed: u64, tries: u32) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(tries) + 1));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_ceiling_less_a_quarter_at_most() {
        let backoff = Backoff { first: 200, last: 60_000 };
        for seed in 0..100 {
            for tries in 0..200 {
                let base = 200_u64.checked_shl(tries).unwrap_or(u64::MAX).min(60_000);
                let base = if tries > 20 { 60_000 } else { base };
                let wait = backoff.wait(tries, seed);
                assert!(wait <= base && wait >= base - base / 4, "{tries}: {wait} of {base}");
            }
        }
    }

    #[test]
    fn the_waits_of_different_messages_differ() {
        let backoff = Backoff { first: 60_000, last: 60_000 };
        let mut waits: Vec<u64> = (0..256).map(|seed| backoff.wait(9, seed)).collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 100, "{} different waits", waits.len());
    }
}
