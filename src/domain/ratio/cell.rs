//! The sums that the folds keep: cells of a few families, each with the dimensions that its reports need. What no family
//! has is added up from the rows (`report::plan`).
//!
//! Every delivery counts in one cell of each family of its side. A document to several recipients is counted once by
//! what stands beside these cells: for each way of putting recipients together ([`Merged`]), what such documents count
//! as deliveries, and as documents. Documents with one recipient count the same on both bases and need nothing there.

use serde::{Deserialize, Serialize};

use super::{Counters, Dims, Month};
use crate::domain::document::Urgency;
use crate::domain::event::{Direction, Level, Scope};
use crate::domain::fold::keys::FOLD;
use crate::domain::ids::AgencyId;
use crate::time::Date;

/// Which dimensions a cell has, besides scope, direction and the levels of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// The day.
    Day,
    /// The month, and the sender.
    Sender,
    /// The month, and the recipient.
    Recipient,
    /// The month, type and urgency.
    Kind,
    /// Of arrivals: the month, and the recipient.
    Arrival,
}

impl Family {
    /// Those of the sender's side.
    pub const OUTGOING: [Family; 4] = [Family::Day, Family::Sender, Family::Recipient, Family::Kind];
    /// Those that count documents as well; what arrives at one recipient is one document, one delivery.
    pub const OF_DOCUMENTS: [Family; 3] = [Family::Day, Family::Sender, Family::Kind];

    fn letter(self) -> u8 {
        match self {
            Family::Day => b'd',
            Family::Sender => b's',
            Family::Recipient => b'r',
            Family::Kind => b'k',
            Family::Arrival => b'a',
        }
    }
}

/// What the cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Merged {
    /// Deliveries: [`Counters`].
    Not,
    /// Documents to several recipients, whoever they are: [`Several`].
    All,
    /// The same, the recipients of each scope by themselves.
    ByScope,
    /// The same, those of each scope and direction by themselves.
    ByDirection,
}

impl Merged {
    /// The ways of putting recipients together.
    pub const WAYS: [Merged; 3] = [Merged::All, Merged::ByScope, Merged::ByDirection];
}

/// What documents to several recipients count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Several {
    /// As deliveries.
    pub deliveries: Counters,
    /// As documents.
    pub documents: Counters,
}

impl Several {
    /// Of one document whose deliveries add up to this.
    pub fn of(sum: Counters) -> Several {
        if sum.deliveries <= 1 {
            return Several::default();
        }
        Several { deliveries: sum, documents: sum.as_document() }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Several) -> Several {
        Several {
            deliveries: self.deliveries.plus(other.deliveries),
            documents: self.documents.plus(other.documents),
        }
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Several) -> Several {
        Several {
            deliveries: self.deliveries.minus(other.deliveries),
            documents: self.documents.minus(other.documents),
        }
    }
}

/// What a cell is the sum of; `None` and the empty text where its family does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in Dims")]
pub struct Cell {
    pub sender: Option<AgencyId>,
    pub sender_registered: Option<AgencyId>,
    pub recipient: Option<AgencyId>,
    pub recipient_registered: Option<AgencyId>,
    pub sender_level: Level,
    pub recipient_level: Option<Level>,
    pub scope: Option<Scope>,
    pub direction: Option<Direction>,
    pub type_name: String,
    pub urgency: Option<Urgency>,
}

/// Every cell of a family.
pub fn prefix(family: Family, merged: Merged) -> Vec<u8> {
    vec![FOLD, b'c', family.letter(), merged as u8]
}

/// Those of a day or month on: numbers keep their order as bytes.
pub fn from(family: Family, merged: Merged, period: i32) -> Vec<u8> {
    let mut key = prefix(family, merged);
    key.extend_from_slice(&(period as u32 ^ 0x8000_0000).to_be_bytes());
    key
}

/// The number of a day's period in a family: days since 1970 or months since the year 0.
pub fn period(family: Family, day: Date) -> i32 {
    match family {
        Family::Day => day.days(),
        _ => Month::of(day).number(),
    }
}

/// The cell of a family that a delivery counts in.
pub fn key(family: Family, merged: Merged, dims: &Dims) -> Vec<u8> {
    let (sender, recipient) =
        (family == Family::Sender, family == Family::Recipient || family == Family::Arrival);
    let kind = family == Family::Kind;
    let alone = merged == Merged::Not;
    let cell = Cell {
        sender: sender.then(|| dims.sender.clone()),
        sender_registered: sender.then(|| dims.sender_registered.clone()),
        recipient: dims.recipient.clone().filter(|_| recipient),
        recipient_registered: dims.recipient_registered.clone().filter(|_| recipient),
        sender_level: dims.sender_level,
        recipient_level: dims.recipient_level.filter(|_| alone),
        scope: (merged != Merged::All).then_some(dims.scope),
        direction: dims.direction.filter(|_| alone || merged == Merged::ByDirection),
        type_name: if kind { dims.type_name.clone() } else { String::new() },
        urgency: kind.then_some(dims.urgency),
    };
    let key = from(family, merged, period(family, dims.day));
    postcard::to_extend(&cell, key).expect("cells hold nothing that postcard cannot write")
}

/// A key back: the period's number and the cell.
pub fn read(key: &[u8]) -> Option<(i32, Cell)> {
    let (period, rest) = key.get(4..)?.split_first_chunk::<4>()?;
    let period = (u32::from_be_bytes(*period) ^ 0x8000_0000) as i32;
    Some((period, postcard::from_bytes(rest).ok()?))
}

/// The first day of a family's period.
pub fn day(family: Family, period: i32) -> Date {
    match family {
        Family::Day => Date::from_days(period),
        _ => Month::from_number(period).first_day(),
    }
}
