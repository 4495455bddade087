//! What a delivery counts as, and the ratios of a sum of deliveries (DOMAIN "Ratios").
//!
//! A [`Row`] is everything that counts of one delivery (document × recipient). [`Row::count`] is a pure function to
//! [`Counters`]; a fold keeps sums of counters per scope, direction and month by subtracting what a row counted
//! before a change and adding what it counts after. So sums can always be recounted from rows, and rows from events.

use serde::{Deserialize, Serialize};

use super::document::{Origin, Urgency};
use super::event::{Direction, Scope};
use crate::time::{Date, Timestamp};

/// Hours in which an urgent document must be sent.
const URGENT_MS: i64 = 3_600_000;
/// Others: until 12:00 of the next working day.
const NOON_MS: i64 = 12 * 3_600_000;

/// How far the electronic delivery of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Electronic {
    /// None was sent.
    #[default]
    None,
    /// Queued or held.
    Pending,
    /// In the recipient's node.
    Delivered,
    /// Refused by the node or by status 02.
    Refused,
    /// Given up.
    Undelivered,
    /// Taken back before it arrived.
    Withdrawn,
}

/// What counts of one delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Between whom.
    pub scope: Scope,
    /// Direction, in the province.
    pub direction: Option<Direction>,
    /// Day of issue.
    pub issued_on: Date,
    /// Moment of issue.
    pub issued_at: Option<Timestamp>,
    /// Urgency.
    pub urgency: Urgency,
    /// Born digital or scanned.
    pub origin: Origin,
    /// Electronic delivery.
    pub electronic: Electronic,
    /// When it was submitted.
    pub submitted_at: Option<Timestamp>,
    /// Both signatures valid at the sender's node.
    pub signed_here: bool,
    /// Both signatures valid at the recipient's node.
    pub signed_there: bool,
    /// When it arrived at the recipient's node.
    pub arrived_at: Option<Timestamp>,
    /// When 01, 02 or 03 was first reported.
    pub acknowledged_at: Option<Timestamp>,
    /// Its entries in the paper register that stand: the event of each, and whether with a mandatory basis. The last one
    /// counts.
    pub papers: Vec<(u64, bool)>,
}

/// The one channel of a delivery that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// Electronic, no paper.
    Electronic,
    /// Electronic and paper.
    Dual,
    /// Paper only.
    Paper,
    /// Given up, or refused and not on paper.
    Undelivered,
    /// Queued or held.
    Pending,
}

impl Row {
    /// The channel; `None` when the delivery does not count.
    pub fn channel(&self) -> Option<Channel> {
        match (self.electronic, !self.papers.is_empty()) {
            (Electronic::Pending, _) => Some(Channel::Pending),
            (Electronic::Delivered, false) => Some(Channel::Electronic),
            (Electronic::Delivered, true) => Some(Channel::Dual),
            (_, true) => Some(Channel::Paper),
            (Electronic::Refused | Electronic::Undelivered, false) => Some(Channel::Undelivered),
            (Electronic::None | Electronic::Withdrawn, false) => None,
        }
    }

    /// Whether it was sent in time (Decision 28/2018/QĐ-TTg, art. 6.2), from the date and time of issue.
    fn is_on_time(&self) -> bool {
        let Some(sent) = self.submitted_at else { return false };
        let issued = self.issued_at.unwrap_or(self.issued_on.midnight());
        if self.urgency < Urgency::Normal && self.issued_at.is_some() {
            return sent.since(issued) <= URGENT_MS;
        }
        if self.urgency < Urgency::Normal {
            // Without a time of issue, the day itself is all that can be held against the sender.
            return sent.date() <= self.issued_on;
        }
        let mut day = self.issued_on.plus_days(1);
        while day.is_weekend() {
            day = day.plus_days(1);
        }
        sent <= day.midnight().plus_millis(NOON_MS)
    }

    /// What it counts.
    pub fn count(&self) -> Counters {
        let Some(channel) = self.channel() else { return Counters::default() };
        let delivered = matches!(channel, Channel::Electronic | Channel::Dual);
        let sent = self.submitted_at.is_some() && self.electronic != Electronic::Withdrawn;
        let one = |yes: bool| u64::from(yes);
        let same_day = match (self.arrived_at, self.acknowledged_at) {
            (Some(arrived), Some(acknowledged)) => arrived.date() == acknowledged.date(),
            _ => false,
        };
        Counters {
            deliveries: 1,
            electronic: one(channel == Channel::Electronic),
            dual: one(channel == Channel::Dual),
            paper: one(channel == Channel::Paper),
            undelivered: one(channel == Channel::Undelivered),
            pending: one(channel == Channel::Pending),
            effective: one(channel == Channel::Electronic && self.signed_here && self.signed_there),
            signed: one(delivered && self.signed_here),
            scanned: one(delivered && self.origin == Origin::Scanned),
            avoidable: one(
                channel == Channel::Dual && self.papers.last().is_some_and(|(_, mandatory)| !mandatory)
            ),
            sent: one(sent),
            on_time: one(sent && self.is_on_time()),
            acknowledged: one(delivered && same_day),
        }
    }

    /// The cells that it counts in: scope and direction, each for all time and for the month of issue.
    pub fn cells(&self) -> Vec<String> {
        let scope = self.scope.as_str();
        let month = self.issued_on.month_label();
        let mut keys = vec![scope.to_owned(), format!("{scope}@{month}")];
        if let Some(direction) = self.direction {
            let direction = direction.as_str();
            keys.push(format!("{scope}/{direction}"));
            keys.push(format!("{scope}/{direction}@{month}"));
        }
        keys
    }
}

/// Sums over rows. Every field is a number of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is named as the ratio that it is the numerator of")]
pub struct Counters {
    pub deliveries: u64,
    pub electronic: u64,
    pub dual: u64,
    pub paper: u64,
    pub undelivered: u64,
    pub pending: u64,
    pub effective: u64,
    pub signed: u64,
    pub scanned: u64,
    pub avoidable: u64,
    pub sent: u64,
    pub on_time: u64,
    pub acknowledged: u64,
}

impl Counters {
    fn zip(self, other: Counters, f: impl Fn(u64, u64) -> u64) -> Counters {
        Counters {
            deliveries: f(self.deliveries, other.deliveries),
            electronic: f(self.electronic, other.electronic),
            dual: f(self.dual, other.dual),
            paper: f(self.paper, other.paper),
            undelivered: f(self.undelivered, other.undelivered),
            pending: f(self.pending, other.pending),
            effective: f(self.effective, other.effective),
            signed: f(self.signed, other.signed),
            scanned: f(self.scanned, other.scanned),
            avoidable: f(self.avoidable, other.avoidable),
            sent: f(self.sent, other.sent),
            on_time: f(self.on_time, other.on_time),
            acknowledged: f(self.acknowledged, other.acknowledged),
        }
    }

    /// The sum.
    pub fn plus(self, other: Counters) -> Counters {
        self.zip(other, u64::saturating_add)
    }

    /// The difference.
    pub fn minus(self, other: Counters) -> Counters {
        self.zip(other, u64::saturating_sub)
    }

    /// Every ratio, in the order of DOMAIN's table.
    pub fn ratios(&self) -> [Ratio; 12] {
        let electronic = self.electronic + self.dual;
        let all = self.deliveries;
        let ratio = |name, n, d| Ratio { name, n, d };
        [
            ratio("fully_electronic", self.electronic, all),
            ratio("legally_effective", self.effective, all),
            ratio("dual", self.dual, all),
            ratio("paper_only", self.paper, all),
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

    fn row() -> Row {
        Row {
            scope: Scope::InProvince,
            direction: Some(Direction::Up),
            issued_on: "2016-03-04".parse().unwrap(), // a Friday
            issued_at: None,
            urgency: Urgency::Normal,
            origin: Origin::BornDigital,
            electronic: Electronic::Delivered,
            submitted_at: Some("2016-03-07T12:00:00+07:00".parse().unwrap()),
            signed_here: true,
            signed_there: true,
            arrived_at: Some("2016-03-07T12:00:01+07:00".parse().unwrap()),
            acknowledged_at: Some("2016-03-07T23:59:59+07:00".parse().unwrap()),
            papers: Vec::new(),
        }
    }

    #[test]
    fn each_delivery_has_one_channel() {
        use Channel as C;
        use Electronic as E;
        let cases = [
            (E::Delivered, None, Some(C::Electronic)),
            (E::Delivered, Some(true), Some(C::Dual)),
            (E::None, Some(false), Some(C::Paper)),
            (E::None, None, None),
            (E::Pending, None, Some(C::Pending)),
            (E::Pending, Some(true), Some(C::Pending)),
            (E::Refused, None, Some(C::Undelivered)),
            (E::Refused, Some(true), Some(C::Paper)),
            (E::Undelivered, None, Some(C::Undelivered)),
            (E::Withdrawn, None, None),
            (E::Withdrawn, Some(false), Some(C::Paper)),
        ];
        for (electronic, paper, channel) in cases {
            let papers: Vec<(u64, bool)> = paper.map(|mandatory| (0, mandatory)).into_iter().collect();
            let row = Row { electronic, papers, ..row() };
            assert_eq!(row.channel(), channel, "{electronic:?} {paper:?}");
            let c = row.count();
            assert_eq!(c.electronic + c.dual + c.paper + c.undelivered + c.pending, c.deliveries);
            assert_eq!(c.deliveries, u64::from(channel.is_some()));
        }
    }

    #[test]
    fn a_friday_document_may_be_sent_until_noon_on_monday() {
        assert_eq!(row().count().on_time, 1);
        let late = Row { submitted_at: Some("2016-03-07T12:00:00.001+07:00".parse().unwrap()), ..row() };
        assert_eq!(late.count().on_time, 0);
    }

    #[test]
    fn an_urgent_document_has_one_hour_from_its_time_of_issue() {
        let issued: Timestamp = "2016-03-04T16:30:00+07:00".parse().unwrap();
        let urgent = |sent: i64| Row {
            urgency: Urgency::Urgent,
            issued_at: Some(issued),
            submitted_at: Some(issued.plus_millis(sent)),
            ..row()
        };
        assert_eq!(urgent(3_600_000).count().on_time, 1);
        assert_eq!(urgent(3_600_001).count().on_time, 0);
    }

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
}
