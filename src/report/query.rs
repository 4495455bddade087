//! What a report asks for: side, basis, days, filters, and by what figures stand apart.

use std::collections::HashSet;

use crate::domain::document::Urgency;
use crate::domain::event::{Direction, Level, Scope};
use crate::domain::ids::AgencyId;
use crate::domain::ratio::{Dims, Month, Period, Side};
use crate::time::Date;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Basis {
    /// A document to one recipient.
    #[default]
    Deliveries,
    /// A document, to however many recipients.
    Documents,
}

impl Basis {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Deliveries => "deliveries",
            Basis::Documents => "documents",
        }
    }
}

/// The word for a side.
pub fn side_word(side: Side) -> &'static str {
    match side {
        Side::Outgoing => "outgoing",
        Side::Incoming => "incoming",
    }
}

/// By what figures can stand apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the dimensions of DOMAIN's ratios, by their names")]
pub enum Dimension {
    Scope,
    Direction,
    Sender,
    SenderRegistered,
    SenderLevel,
    Recipient,
    RecipientRegistered,
    RecipientLevel,
    Type,
    Urgency,
    Day,
    Month,
    Quarter,
    Year,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Dimension; 14] = [
        Dimension::Scope,
        Dimension::Direction,
        Dimension::Sender,
        Dimension::SenderRegistered,
        Dimension::SenderLevel,
        Dimension::Recipient,
        Dimension::RecipientRegistered,
        Dimension::RecipientLevel,
        Dimension::Type,
        Dimension::Urgency,
        Dimension::Day,
        Dimension::Month,
        Dimension::Quarter,
        Dimension::Year,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Dimension::Scope => "scope",
            Dimension::Direction => "direction",
            Dimension::Sender => "sender",
            Dimension::SenderRegistered => "sender_registered",
            Dimension::SenderLevel => "sender_level",
            Dimension::Recipient => "recipient",
            Dimension::RecipientRegistered => "recipient_registered",
            Dimension::RecipientLevel => "recipient_level",
            Dimension::Type => "type",
            Dimension::Urgency => "urgency",
            Dimension::Day => "day",
            Dimension::Month => "month",
            Dimension::Quarter => "quarter",
            Dimension::Year => "year",
        }
    }

    /// Whether deliveries of one document may differ in it.
    pub fn is_recipients(self) -> bool {
        matches!(
            self,
            Dimension::Scope
                | Dimension::Direction
                | Dimension::Recipient
                | Dimension::RecipientRegistered
                | Dimension::RecipientLevel
        )
    }

    /// The value that a delivery has, and a number by which values sort.
    pub fn value(self, dims: &Dims) -> Value {
        let id = |id: Option<&AgencyId>| Value(0, id.map_or_else(String::new, AgencyId::to_string));
        let level = |level: Option<Level>| match level {
            None => Value(u8::MAX, String::new()),
            Some(level) => Value(level as u8, level.as_str().to_owned()),
        };
        let month = Month::of(dims.day);
        match self {
            Dimension::Scope => Value(dims.scope as u8, dims.scope.as_str().to_owned()),
            Dimension::Direction => match dims.direction {
                None => Value(u8::MAX, String::new()),
                Some(d) => Value(d as u8, d.as_str().to_owned()),
            },
            Dimension::Sender => id(Some(&dims.sender)),
            Dimension::SenderRegistered => id(Some(&dims.sender_registered)),
            Dimension::SenderLevel => level(Some(dims.sender_level)),
            Dimension::Recipient => id(dims.recipient.as_ref()),
            Dimension::RecipientRegistered => id(dims.recipient_registered.as_ref()),
            Dimension::RecipientLevel => level(dims.recipient_level),
            Dimension::Type => Value(0, dims.type_name.clone()),
            Dimension::Urgency => Value(dims.urgency as u8, dims.urgency.as_str().to_owned()),
            Dimension::Day => Value(0, dims.day.to_string()),
            Dimension::Month => Value(0, month.to_string()),
            Dimension::Quarter => Value(0, Period::quarter_of(month).to_string()),
            Dimension::Year => Value(0, Period::Year(month.year_month().0).to_string()),
        }
    }
}

impl std::str::FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Result<Dimension, String> {
        Dimension::ALL.into_iter().find(|d| d.as_str() == text).ok_or_else(|| {
            let known = Dimension::ALL.map(Dimension::as_str).join(", ");
            format!("`{}` is no dimension: use {known}", crate::domain::ids::shorten(text))
        })
    }
}

/// A value of a dimension as it sorts and as it is shown; the empty text: none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub u8, pub String);

/// What a delivery must be to count; `None`: anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Between whom.
    pub scope: Option<Scope>,
    /// Direction, in the province.
    pub direction: Option<Direction>,
    /// The sender, or its registered agency: an agency's figures have those of its subunits.
    pub sender: Option<AgencyId>,
    /// The recipient, the same.
    pub recipient: Option<AgencyId>,
    /// Level of the sender.
    pub sender_level: Option<Level>,
    /// Level of the recipient.
    pub recipient_level: Option<Level>,
    /// Name of the type, in small letters.
    pub type_name: Option<String>,
    /// Urgency.
    pub urgency: Option<Urgency>,
}

/// What a report asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// From whose side.
    pub side: Side,
    /// What is counted; on the recipient's side deliveries only.
    pub basis: Basis,
    /// First day.
    pub from: Option<Date>,
    /// Last day.
    pub to: Option<Date>,
    /// What counts.
    pub filter: Filter,
    /// Only what these agencies sent, or on the recipient's side received.
    pub own: Option<HashSet<AgencyId>>,
    /// By what figures stand apart, in the order of the columns.
    pub group: Vec<Dimension>,
}

impl Query {
    /// Everything that the figures are told apart by, to filter or to group.
    pub fn needs(&self) -> HashSet<Dimension> {
        let mut needs: HashSet<Dimension> = self.group.iter().copied().collect();
        let f = &self.filter;
        let asked = [
            (f.scope.is_some(), Dimension::Scope),
            (f.direction.is_some(), Dimension::Direction),
            (f.sender.is_some(), Dimension::Sender),
            (f.recipient.is_some(), Dimension::Recipient),
            (f.sender_level.is_some(), Dimension::SenderLevel),
            (f.recipient_level.is_some(), Dimension::RecipientLevel),
            (f.type_name.is_some(), Dimension::Type),
            (f.urgency.is_some(), Dimension::Urgency),
            (self.own.is_some() && self.side == Side::Outgoing, Dimension::Sender),
            (self.own.is_some() && self.side == Side::Incoming, Dimension::Recipient),
            (!self.has_whole_months(), Dimension::Day),
        ];
        needs.extend(asked.into_iter().filter(|(is, _)| *is).map(|(_, dimension)| dimension));
        needs
    }

    /// Its first and last day, by their names, where they are given.
    pub fn days_in_words(&self) -> Vec<(&'static str, String)> {
        let days = [("from", self.from), ("to", self.to)];
        days.into_iter().filter_map(|(name, day)| Some((name, day?.to_string()))).collect()
    }

    /// Its filters, by their names, where they are given.
    pub fn filter_in_words(&self) -> Vec<(&'static str, String)> {
        let f = &self.filter;
        let id = |id: &Option<AgencyId>| id.as_ref().map(AgencyId::to_string);
        let all = [
            ("scope", f.scope.map(|s| s.as_str().to_owned())),
            ("direction", f.direction.map(|d| d.as_str().to_owned())),
            ("sender", id(&f.sender)),
            ("recipient", id(&f.recipient)),
            ("sender_level", f.sender_level.map(|l| l.as_str().to_owned())),
            ("recipient_level", f.recipient_level.map(|l| l.as_str().to_owned())),
            ("type", f.type_name.clone()),
            ("urgency", f.urgency.map(|u| u.as_str().to_owned())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn has_whole_months(&self) -> bool {
        self.from.is_none_or(|day| day == Month::of(day).first_day())
            && self.to.is_none_or(|day| day == Month::of(day).last_day())
    }

    /// Whether a delivery counts, by the dimensions that are known of it.
    pub fn counts(&self, dims: &Dims, known: impl Fn(Dimension) -> bool) -> bool {
        let f = &self.filter;
        let is = |dimension, filter: bool| !known(dimension) || filter;
        let either = |wanted: &Option<AgencyId>, id: Option<&AgencyId>, registered: Option<&AgencyId>| {
            wanted.as_ref().is_none_or(|w| Some(w) == id || Some(w) == registered)
        };
        let own = self.own.as_ref().is_none_or(|own| match self.side {
            Side::Outgoing => is(Dimension::Sender, own.contains(&dims.sender)),
            Side::Incoming => {
                is(Dimension::Recipient, dims.recipient.as_ref().is_some_and(|r| own.contains(r)))
            }
        });
        let sender = either(&f.sender, Some(&dims.sender), Some(&dims.sender_registered));
        let recipient = either(&f.recipient, dims.recipient.as_ref(), dims.recipient_registered.as_ref());
        own && is(Dimension::Scope, f.scope.is_none_or(|s| s == dims.scope))
            && is(Dimension::Direction, f.direction.is_none() || f.direction == dims.direction)
            && is(Dimension::Sender, sender)
            && is(Dimension::Recipient, recipient)
            && is(Dimension::SenderLevel, f.sender_level.is_none_or(|l| l == dims.sender_level))
            && is(
                Dimension::RecipientLevel,
                f.recipient_level.is_none() || f.recipient_level == dims.recipient_level,
            )
            && is(Dimension::Type, f.type_name.as_ref().is_none_or(|t| *t == dims.type_name))
            && is(Dimension::Urgency, f.urgency.is_none_or(|u| u == dims.urgency))
            && is(
                Dimension::Day,
                self.from.is_none_or(|d| dims.day >= d) && self.to.is_none_or(|d| dims.day <= d),
            )
    }

    /// First and last month.
    pub fn months(&self) -> (Option<Month>, Option<Month>) {
        (self.from.map(Month::of), self.to.map(Month::of))
    }
}
