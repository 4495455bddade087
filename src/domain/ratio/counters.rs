//! Sums of what deliveries count, and the ratios of a sum.

use serde::{Deserialize, Serialize};

/// Sums over deliveries, or over documents. Every field is a number of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "most are named as the ratio that they are the numerator of")]
pub struct Counters {
    /// The denominator N of most ratios.
    pub deliveries: u64,
    pub electronic: u64,
    pub dual: u64,
    pub paper: u64,
    pub undelivered: u64,
    /// Queued or held.
    pub pending: u64,
    /// Of those pending: in the other node's custody.
    pub held: u64,
    pub effective: u64,
    pub signed: u64,
    pub scanned: u64,
    pub avoidable: u64,
    /// In the paper register with a mandatory basis.
    pub mandatory: u64,
    /// Submitted: the denominator of `on_time`.
    pub sent: u64,
    pub on_time: u64,
    pub acknowledged: u64,
}

/// From whose side deliveries are counted. The two are never added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// The sender's, by day of issue.
    #[default]
    Outgoing,
    /// The recipient's, by day of arrival.
    Incoming,
}

impl Counters {
    /// The names of the fields, in the order of [`Counters::values`].
    pub const NAMES: [&'static str; 15] = [
        "deliveries",
        "electronic",
        "dual",
        "paper",
        "undelivered",
        "pending",
        "held",
        "effective",
        "signed",
        "scanned",
        "avoidable",
        "mandatory",
        "sent",
        "on_time",
        "acknowledged",
    ];

    /// Every field.
    pub fn values(&self) -> [u64; 15] {
        [
            self.deliveries,
            self.electronic,
            self.dual,
            self.paper,
            self.undelivered,
            self.pending,
            self.held,
            self.effective,
            self.signed,
            self.scanned,
            self.avoidable,
            self.mandatory,
            self.sent,
            self.on_time,
            self.acknowledged,
        ]
    }

    /// From the values of every field.
    pub fn of(values: [u64; 15]) -> Counters {
        let [
            deliveries,
            electronic,
            dual,
            paper,
            undelivered,
            pending,
            held,
            effective,
            signed,
            scanned,
            avoidable,
            mandatory,
            sent,
            on_time,
            acknowledged,
        ] = values;
        Counters {
            deliveries,
            electronic,
            dual,
            paper,
            undelivered,
            pending,
            held,
            effective,
            signed,
            scanned,
            avoidable,
            mandatory,
            sent,
            on_time,
            acknowledged,
        }
    }

    fn zip(self, other: Counters, f: impl Fn(u64, u64) -> u64) -> Counters {
        let (mut sums, others) = (self.values(), other.values());
        for (sum, other) in sums.iter_mut().zip(others) {
            *sum = f(*sum, other);
        }
        Counters::of(sums)
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Counters) -> Counters {
        self.zip(other, u64::saturating_add)
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Counters) -> Counters {
        self.zip(other, u64::saturating_sub)
    }

    /// What one document counts whose deliveries add up to this. It is pending while one of them is; undelivered when
    /// one did not arrive; else electronic or on paper when all are, and dual when it went both ways, to one recipient
    /// or to several. What is said of it holds when it holds for all its deliveries; one scan makes it scanned.
    #[must_use]
    pub fn as_document(self) -> Counters {
        let all = self.deliveries;
        if all == 0 {
            return Counters::default();
        }
        let one = u64::from;
        let pending = self.pending > 0;
        let undelivered = !pending && self.undelivered > 0;
        let arrived = !pending && !undelivered;
        let electronic = arrived && self.electronic == all;
        let paper = arrived && self.paper == all;
        let dual = arrived && !electronic && !paper;
        let by_wire = self.electronic + self.dual;
        Counters {
            deliveries: 1,
            electronic: one(electronic),
            dual: one(dual),
            paper: one(paper),
            undelivered: one(undelivered),
            pending: one(pending),
            held: one(self.held > 0),
            effective: one(electronic && self.effective == all),
            signed: one((electronic || dual) && self.signed == by_wire),
            scanned: one((electronic || dual) && self.scanned > 0),
            avoidable: one(dual && self.mandatory == 0),
            mandatory: one(self.mandatory > 0),
            sent: one(self.sent > 0),
            on_time: one(self.sent > 0 && self.on_time == self.sent),
            acknowledged: one((electronic || dual) && self.acknowledged == by_wire),
        }
    }

    /// Every ratio, in the order of DOMAIN's table.
    pub fn ratios(&self) -> [Ratio; 12] {
        self.ratios_of(Side::Outgoing)
    }

    /// Every ratio of a side. The recipient's side knows neither the sender's paper nor when it sent: what needs these
    /// has no denominator there.
    pub fn ratios_of(&self, side: Side) -> [Ratio; 12] {
        let electronic = self.electronic + self.dual;
        let all = self.deliveries;
        let known = if side == Side::Outgoing { all } else { 0 };
        let ratio = |name, n, d| Ratio { name, n: if d == 0 { 0 } else { n }, d };
        [
            ratio("fully_electronic", self.electronic, known),
            ratio("legally_effective", self.effective, known),
            ratio("dual", self.dual, known),
            ratio("paper_only", self.paper, known),
            ratio("any_electronic", electronic, all),
            ratio("undelivered", self.undelivered, all),
            ratio("pending", self.pending, all),
            ratio("signed", self.signed, electronic),
            ratio("scanned", self.scanned, electronic),
            ratio("avoidable_paper", self.avoidable, self.dual),
            ratio("on_time", self.on_time, self.sent),
            ratio("acknowledged_same_day", self.acknowledged, electronic),
        ]
    }
}

/// A ratio with its numerator and denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// Its stable name.
    pub name: &'static str,
    /// Numerator.
    pub n: u64,
    /// Denominator.
    pub d: u64,
}

impl Ratio {
    /// Hundredths of a percent, half up, by integer arithmetic; `None` for an empty denominator.
    pub fn basis_points(&self) -> Option<u64> {
        (self.d > 0).then(|| {
            let (n, d) = (u128::from(self.n), u128::from(self.d));
            ((n * 20_000 + d) / (2 * d)) as u64
        })
    }

    /// Percentage with two decimals; `None` for an empty denominator.
    pub fn percent(&self) -> Option<String> {
        self.basis_points().map(|bp| format!("{}.{:02}", bp / 100, bp % 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_half_up_and_an_empty_denominator_has_none() {
        let percent = |n, d| Ratio { name: "x", n, d }.percent();
        assert_eq!(percent(49, 60).as_deref(), Some("81.67"));
        assert_eq!(percent(1, 8).as_deref(), Some("12.50"));
        assert_eq!(percent(1, 80_000).as_deref(), Some("0.00"));
        assert_eq!(percent(1, 20_000).as_deref(), Some("0.01"));
        assert_eq!(percent(0, 0), None);
        assert_eq!(percent(5, 5).as_deref(), Some("100.00"));
    }

    #[test]
    fn a_document_is_electronic_only_when_every_delivery_is() {
        let electronic =
            Counters { deliveries: 1, electronic: 1, sent: 1, on_time: 1, ..Counters::default() };
        let paper = Counters { deliveries: 1, paper: 1, ..Counters::default() };
        let mandatory = Counters { mandatory: 1, ..paper };
        let lost = Counters { deliveries: 1, undelivered: 1, sent: 1, ..Counters::default() };
        let held = Counters { deliveries: 1, pending: 1, held: 1, sent: 1, ..Counters::default() };
        let document =
            |all: &[Counters]| all.iter().fold(Counters::default(), |a, b| a.plus(*b)).as_document();
        assert_eq!(document(&[]), Counters::default());
        for alone in [electronic, paper, mandatory, lost, held] {
            assert_eq!(document(&[alone]), alone, "with one recipient the two bases agree");
        }
        assert_eq!(document(&[electronic, electronic]).electronic, 1);
        let both = document(&[electronic, paper]);
        assert_eq!((both.dual, both.electronic, both.paper, both.avoidable, both.on_time), (1, 0, 0, 1, 1));
        assert_eq!(document(&[electronic, mandatory]).avoidable, 0);
        assert_eq!(document(&[electronic, lost]).undelivered, 1);
        let waits = document(&[electronic, lost, held]);
        assert_eq!((waits.pending, waits.held, waits.undelivered, waits.on_time), (1, 1, 0, 0));
    }

    #[test]
    fn the_recipients_side_says_nothing_about_paper() {
        let sum = Counters { deliveries: 2, electronic: 2, signed: 1, ..Counters::default() };
        let shown =
            |side| -> Vec<&str> { sum.ratios_of(side).iter().filter(|r| r.d > 0).map(|r| r.name).collect() };
        assert!(shown(Side::Outgoing).contains(&"fully_electronic"));
        assert_eq!(
            shown(Side::Incoming),
            ["any_electronic", "undelivered", "pending", "signed", "scanned", "acknowledged_same_day"]
        );
    }
}
