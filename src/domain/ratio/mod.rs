//! What a delivery counts as, and the ratios of a sum of deliveries (DOMAIN "Ratios").
//!
//! A [`Row`] is everything that counts of one delivery (document × recipient) on the sender's side, an [`Arrived`] the
//! same on the recipient's. Their `count` is a pure function to [`Counters`]; folds keep sums of counters ([`cell`]) by
//! subtracting what a row counted before a change and adding what it counts after. So sums can always be recounted from
//! rows, and rows from events.

mod calendar;
pub mod cell;
mod counters;
mod period;
mod recorded;

use serde::{Deserialize, Serialize};

use super::document::{Origin, Urgency};
use super::event::{Direction, Level, Parties, Scope};
use super::ids::AgencyId;
use crate::time::{Date, Timestamp};

pub use calendar::Calendar;
pub use counters::{Counters, Ratio, Side};
pub use period::{Month, Period, PeriodError};
pub use recorded::{NetworkReported, PaperDeclared, PeriodClosed, PeriodTotal, StatedNode, StatementMade};

/// How far the electronic delivery of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Electronic {
    /// None was sent.
    #[default]
    None,
    /// Queued.
    Pending,
    /// In the custody of the recipient's node.
    Held,
    /// In the recipient's node.
    Delivered,
    /// Refused by the node or by status 02.
    Refused,
    /// Given up.
    Undelivered,
    /// Taken back before it arrived.
    Withdrawn,
}

/// By what a delivery can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dims {
    /// Day of issue, of an arrival that of arrival.
    pub day: Date,
    /// Between whom.
    pub scope: Scope,
    /// Direction, in the province.
    pub direction: Option<Direction>,
    /// Sender.
    pub sender: AgencyId,
    /// Its registered agency.
    pub sender_registered: AgencyId,
    /// Its level.
    pub sender_level: Level,
    /// Recipient; `None` where it has no code.
    pub recipient: Option<AgencyId>,
    /// Its registered agency.
    pub recipient_registered: Option<AgencyId>,
    /// Its level.
    pub recipient_level: Option<Level>,
    /// Name of the document's type, in small letters: registries write `Công văn` and `công văn`.
    pub type_name: String,
    /// Urgency.
    pub urgency: Urgency,
}

impl Dims {
    /// Of a delivery between two parties.
    pub fn new(parties: &Parties, day: Date, type_name: &str, urgency: Urgency) -> Dims {
        Dims {
            day,
            scope: parties.scope,
            direction: parties.direction,
            sender: parties.sender.clone(),
            sender_registered: parties.sender_registered.clone(),
            sender_level: parties.sender_level,
            recipient: parties.recipient.clone(),
            recipient_registered: parties.recipient_registered.clone(),
            recipient_level: parties.recipient_level,
            type_name: type_name.trim().to_lowercase(),
            urgency,
        }
    }
}

/// What counts of one delivery on its sender's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// By what it can be asked for.
    pub dims: Dims,
    /// Born digital or scanned.
    pub origin: Origin,
    /// Electronic delivery.
    pub electronic: Electronic,
    /// When it was submitted first.
    pub submitted_at: Option<Timestamp>,
    /// Whether that was in time, by the calendar that the node had recorded then.
    pub on_time: bool,
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
    /// While a later attempt is under way: what was delivered before it. It counts again when that is withdrawn.
    pub earlier: Option<Box<Row>>,
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

impl Channel {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Electronic => "electronic",
            Channel::Dual => "dual",
            Channel::Paper => "paper",
            Channel::Undelivered => "undelivered",
            Channel::Pending => "pending",
        }
    }
}

fn one(yes: bool) -> u64 {
    u64::from(yes)
}

fn same_day(arrived: Option<Timestamp>, acknowledged: Option<Timestamp>) -> bool {
    matches!((arrived, acknowledged), (Some(a), Some(b)) if a.date() == b.date())
}

impl Row {
    /// A row of which nothing is known yet but what it is about.
    pub fn new(dims: Dims) -> Row {
        Row {
            dims,
            origin: Origin::BornDigital,
            electronic: Electronic::None,
            submitted_at: None,
            on_time: false,
            signed_here: false,
            signed_there: false,
            arrived_at: None,
            acknowledged_at: None,
            papers: Vec::new(),
            earlier: None,
        }
    }

    /// The channel; `None` when the delivery does not count.
    pub fn channel(&self) -> Option<Channel> {
        match (self.electronic, !self.papers.is_empty()) {
            (Electronic::Pending | Electronic::Held, _) => Some(Channel::Pending),
            (Electronic::Delivered, false) => Some(Channel::Electronic),
            (Electronic::Delivered, true) => Some(Channel::Dual),
            (_, true) => Some(Channel::Paper),
            (Electronic::Refused | Electronic::Undelivered, false) => Some(Channel::Undelivered),
            (Electronic::None | Electronic::Withdrawn, false) => None,
        }
    }

    /// What it counts.
    pub fn count(&self) -> Counters {
        let Some(channel) = self.channel() else { return Counters::default() };
        let delivered = matches!(channel, Channel::Electronic | Channel::Dual);
        let mandatory = self.papers.last().is_some_and(|(_, mandatory)| *mandatory);
        let on_paper = matches!(channel, Channel::Dual | Channel::Paper);
        let sent = self.submitted_at.is_some() && self.electronic != Electronic::Withdrawn;
        Counters {
            deliveries: 1,
            electronic: one(channel == Channel::Electronic),
            dual: one(channel == Channel::Dual),
            paper: one(channel == Channel::Paper),
            undelivered: one(channel == Channel::Undelivered),
            pending: one(channel == Channel::Pending),
            held: one(self.electronic == Electronic::Held),
            effective: one(channel == Channel::Electronic && self.signed_here && self.signed_there),
            signed: one(delivered && self.signed_here),
            scanned: one(delivered && self.origin == Origin::Scanned),
            avoidable: one(channel == Channel::Dual && !mandatory),
            mandatory: one(on_paper && mandatory),
            sent: one(sent),
            on_time: one(sent && self.on_time),
            acknowledged: one(delivered && same_day(self.arrived_at, self.acknowledged_at)),
        }
    }
}

/// What counts of one delivery on its recipient's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// By what it can be asked for; the day is that of arrival.
    pub dims: Dims,
    /// The attempt that counts: the newest.
    pub attempt: u32,
    /// Born digital or scanned.
    pub origin: Origin,
    /// Held, delivered, refused, or withdrawn while it was held.
    pub electronic: Electronic,
    /// Both signatures valid at the recipient's node.
    pub signed: bool,
    /// When it arrived.
    pub arrived_at: Timestamp,
    /// When 01, 02 or 03 was first reported.
    pub acknowledged_at: Option<Timestamp>,
    /// What was delivered before this attempt. It counts again when this one is withdrawn.
    pub earlier: Option<Box<Arrived>>,
}

impl Arrived {
    /// What it counts. Paper is the sender's to know.
    pub fn count(&self) -> Counters {
        if self.electronic == Electronic::Withdrawn {
            return Counters::default();
        }
        let delivered = self.electronic == Electronic::Delivered;
        let held = one(self.electronic == Electronic::Held);
        Counters {
            deliveries: 1,
            electronic: one(delivered),
            undelivered: one(self.electronic == Electronic::Refused),
            pending: held,
            held,
            signed: one(delivered && self.signed),
            scanned: one(delivered && self.origin == Origin::Scanned),
            acknowledged: one(delivered && same_day(Some(self.arrived_at), self.acknowledged_at)),
            ..Counters::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delivery_has_one_channel() {
        use Channel as C;
        use Electronic as E;
        let agency = AgencyId::new("a").unwrap();
        let dims = Dims {
            day: "2016-03-04".parse().unwrap(),
            scope: Scope::InProvince,
            direction: Some(Direction::Up),
            sender: agency.clone(),
            sender_registered: agency,
            sender_level: Level::District,
            recipient: None,
            recipient_registered: None,
            recipient_level: None,
            type_name: String::new(),
            urgency: Urgency::Normal,
        };
        let cases = [
            (E::Delivered, None, Some(C::Electronic)),
            (E::Delivered, Some(true), Some(C::Dual)),
            (E::None, Some(false), Some(C::Paper)),
            (E::None, None, None),
            (E::Pending, None, Some(C::Pending)),
            (E::Held, None, Some(C::Pending)),
            (E::Pending, Some(true), Some(C::Pending)),
            (E::Refused, None, Some(C::Undelivered)),
            (E::Refused, Some(true), Some(C::Paper)),
            (E::Undelivered, None, Some(C::Undelivered)),
            (E::Withdrawn, None, None),
            (E::Withdrawn, Some(false), Some(C::Paper)),
        ];
        for (electronic, paper, channel) in cases {
            let papers = paper.map(|mandatory| (0, mandatory)).into_iter().collect();
            let row = Row { electronic, papers, ..Row::new(dims.clone()) };
            assert_eq!(row.channel(), channel, "{electronic:?} {paper:?}");
            let c = row.count();
            assert_eq!(c.electronic + c.dual + c.paper + c.undelivered + c.pending, c.deliveries);
            assert_eq!(c.deliveries, u64::from(channel.is_some()));
            assert_eq!(c.held, u64::from(electronic == E::Held));
            // With one recipient, a document counts as its delivery.
            assert_eq!(c.as_document(), c);
        }
    }
}
