//! The deliveries of a statement, a line each.
//!
//! ```text
//! sent  delivery document sender recipient day scope direction state here there arrived face covered counts
//! came  delivery document sender recipient day state verdicts arrived released
//! ```
//! Tab-separated; `-` where there is nothing. `delivery` is the id, `document` half of the hash that names the document
//! within its sender, both in hexadecimal; agencies are permanent ids, a recipient without a code is `?` and half of a
//! hash of document and name; `day` is that of issue, `arrived` that of arrival (UTC+7): where a delivery was held and
//! decided later (`released` is `r`), the sender's node has the day of the decision. Verdicts are those of person and
//! agency, `here` at the sender's node and `there` at the recipient's. `face` tells apart deliveries of one
//! document about which the sender's register disagrees (day, type, urgency): each face counts as a document. `covered`
//! is `c` where the sender's paper register of the month is declared complete. `counts` has a bit for each counter that
//! the delivery counts in, the first counter the lowest, in hexadecimal.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::domain::event::{Direction, RoleVerdicts, Scope};
use crate::domain::fold::keys::ROW_HASH;
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::ratio::{Counters, Electronic};
use crate::signature::Verdict;
use crate::time::Date;

/// Half of a hash.
pub type Half = [u8; ROW_HASH];

/// The verdicts on the person's and the agency's signature.
pub type Pair = (Verdict, Verdict);

/// The recipient of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum To {
    /// An agency.
    Agency(AgencyId),
    /// Somebody without a code, of this document.
    Named(Half),
}

impl To {
    /// The agency, if it is one.
    pub fn agency(&self) -> Option<&AgencyId> {
        match self {
            To::Agency(id) => Some(id),
            To::Named(_) => None,
        }
    }
}

/// A delivery as its sender's node has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Sender.
    pub sender: AgencyId,
    /// Names the document within it.
    pub document: Half,
    /// Recipient.
    pub to: To,
    /// The electronic delivery, if there is one that counts.
    pub delivery: Option<DeliveryId>,
    /// Day of issue.
    pub day: Date,
    /// Between whom.
    pub scope: Scope,
    /// Direction, in the province.
    pub direction: Option<Direction>,
    /// How far the electronic delivery is.
    pub state: Electronic,
    /// Verdicts at the sender's node.
    pub here: Option<Pair>,
    /// Verdicts at the recipient's node, as that told.
    pub there: Option<Pair>,
    /// Day of arrival, as the recipient's node told.
    pub arrived: Option<Date>,
    /// Which of the document's faces it has.
    pub face: u16,
    /// The sender's paper register of the month is declared complete.
    pub covered: bool,
    /// What it counts: a bit for each counter.
    pub counts: u16,
}

/// A delivery as its recipient's node has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in Sent")]
pub struct Came {
    pub sender: AgencyId,
    pub document: Half,
    pub recipient: AgencyId,
    pub delivery: DeliveryId,
    /// Day of issue.
    pub day: Date,
    /// Held, delivered or refused.
    pub state: Electronic,
    /// Verdicts at the recipient's node.
    pub verdicts: Pair,
    /// Day of arrival.
    pub arrived: Date,
    /// It was held, and decided later.
    pub released: bool,
}

/// The verdicts of a pair of signatures, without their reason.
pub fn pair(verdicts: RoleVerdicts) -> Pair {
    (verdicts.person, verdicts.agency)
}

fn both_valid(pair: Option<Pair>) -> bool {
    pair == Some((Verdict::Valid, Verdict::Valid))
}

/// The word for a state.
pub fn state_word(state: Electronic) -> &'static str {
    match state {
        Electronic::None => "none",
        Electronic::Pending => "pending",
        Electronic::Held => "held",
        Electronic::Delivered => "delivered",
        Electronic::Refused => "refused",
        Electronic::Undelivered => "undelivered",
        Electronic::Withdrawn => "withdrawn",
    }
}

const STATES: [Electronic; 7] = [
    Electronic::None,
    Electronic::Pending,
    Electronic::Held,
    Electronic::Delivered,
    Electronic::Refused,
    Electronic::Undelivered,
    Electronic::Withdrawn,
];

/// `person/agency`.
pub fn pair_word(pair: Pair) -> String {
    format!("{}/{}", pair.0.as_str(), pair.1.as_str())
}

/// The bits of what one delivery counts.
pub fn bits(counters: &Counters) -> u16 {
    counters.values().iter().enumerate().fold(0, |bits, (i, n)| bits | u16::from(*n > 0) << i)
}

impl Sent {
    /// What it counts.
    pub fn counters(&self) -> Counters {
        let mut values = [0; Counters::NAMES.len()];
        for (i, value) in values.iter_mut().enumerate() {
            *value = u64::from(self.counts >> i & 1);
        }
        Counters::of(values)
    }

    /// What orders the lines of a statement: deliveries of one document are side by side.
    pub fn order(&self) -> (&AgencyId, &Half, &To, Option<DeliveryId>) {
        (&self.sender, &self.document, &self.to, self.delivery)
    }

    /// Why it contradicts itself, if it does.
    pub fn contradiction(&self) -> Option<&'static str> {
        use Electronic as E;
        let c = self.counters();
        let is = |n: u64| n == 1;
        let delivered = is(c.electronic) || is(c.dual);
        let under_way = !matches!(self.state, E::None | E::Withdrawn);
        let channel = match self.state {
            E::Pending | E::Held => is(c.pending),
            E::Delivered => delivered,
            E::Refused | E::Undelivered => is(c.undelivered) || is(c.paper),
            E::None | E::Withdrawn => is(c.paper),
        };
        let here = both_valid(self.here);
        let checks = [
            (self.counts >> Counters::NAMES.len() == 0, "it counts in what is no counter"),
            (is(c.deliveries), "it does not count as one delivery"),
            (c.electronic + c.dual + c.paper + c.undelivered + c.pending == 1, "it has not one channel"),
            (channel, "its channel does not follow from its state"),
            (is(c.held) == (self.state == E::Held), "whether it is held contradicts its state"),
            (is(c.sent) == under_way, "whether it was sent contradicts its state"),
            (self.delivery.is_some() == under_way, "its id contradicts its state"),
            (self.here.is_some() == under_way, "its verdicts contradict its state"),
            (under_way || self.there.is_none() && self.arrived.is_none(), "what was not sent arrived"),
            (!under_way || self.to.agency().is_some(), "what has no recipient was sent"),
            (is(c.signed) == (delivered && here), "whether it is signed contradicts its verdicts"),
            (
                is(c.effective) == (is(c.electronic) && here && both_valid(self.there)),
                "whether it is legally effective contradicts its verdicts",
            ),
            (delivered || !is(c.scanned) && !is(c.acknowledged), "what did not arrive is acknowledged"),
            (is(c.dual) || !is(c.avoidable), "paper that was not used is avoidable"),
            (is(c.dual) || is(c.paper) || !is(c.mandatory), "paper that was not used is mandatory"),
            (!(is(c.avoidable) && is(c.mandatory)), "mandatory paper is avoidable"),
            (under_way || !is(c.on_time), "what was not sent is in time"),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map(|(_, what)| what)
    }

    pub(super) fn write(&self, out: &mut String) {
        let optional = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let to = match &self.to {
            To::Agency(id) => id.to_string(),
            To::Named(half) => format!("?{}", hex::encode(half)),
        };
        let _ = writeln!(
            out,
            "sent\t{}\t{}\t{}\t{to}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:x}",
            optional(self.delivery.map(|id| id.to_string())),
            hex::encode(self.document),
            self.sender,
            self.day,
            self.scope.as_str(),
            self.direction.map_or("-", Direction::as_str),
            state_word(self.state),
            optional(self.here.map(pair_word)),
            optional(self.there.map(pair_word)),
            optional(self.arrived.map(|day| day.to_string())),
            self.face,
            if self.covered { "c" } else { "-" },
            self.counts,
        );
    }
}

impl Came {
    /// What orders the lines of a statement.
    pub fn order(&self) -> (&AgencyId, &Half, &AgencyId, DeliveryId) {
        (&self.sender, &self.document, &self.recipient, self.delivery)
    }

    pub(super) fn write(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "came\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            self.delivery,
            hex::encode(self.document),
            self.sender,
            self.recipient,
            self.day,
            state_word(self.state),
            pair_word(self.verdicts),
            self.arrived,
            if self.released { "r" } else { "-" },
        );
    }
}

/// Reads lines; equal ids share their memory.
#[derive(Default)]
pub(super) struct Reader {
    ids: HashSet<AgencyId>,
}

impl Reader {
    fn agency(&mut self, text: &str) -> Option<AgencyId> {
        let id = AgencyId::new(text).ok()?;
        if let Some(known) = self.ids.get(&id) {
            return Some(known.clone());
        }
        self.ids.insert(id.clone());
        Some(id)
    }

    /// A delivery that was sent; `None`: this is no such line.
    pub(super) fn sent(&mut self, line: &str) -> Option<Sent> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [
            "sent",
            delivery,
            document,
            sender,
            to,
            day,
            scope,
            direction,
            state,
            here,
            there,
            arrived,
            face,
            covered,
            counts,
        ] = fields[..]
        else {
            return None;
        };
        let to = match to.strip_prefix('?').and_then(half) {
            Some(named) => To::Named(named),
            None => To::Agency(self.agency(to)?),
        };
        let scopes = [Scope::Internal, Scope::InProvince, Scope::Outside];
        let directions = [Direction::Up, Direction::Down, Direction::Horizontal];
        Some(Sent {
            sender: self.agency(sender)?,
            document: half(document)?,
            to,
            delivery: optional(delivery, |text| text.parse().ok())?,
            day: day.parse().ok()?,
            scope: scopes.into_iter().find(|s| s.as_str() == scope)?,
            direction: optional(direction, |text| directions.into_iter().find(|d| d.as_str() == text))?,
            state: read_state(state)?,
            here: optional(here, read_pair)?,
            there: optional(there, read_pair)?,
            arrived: optional(arrived, |text| text.parse().ok())?,
            face: face.parse().ok()?,
            covered: flag(covered, "c")?,
            counts: u16::from_str_radix(counts, 16).ok()?,
        })
    }

    /// A delivery that came; `None`: this is no such line.
    pub(super) fn came(&mut self, line: &str) -> Option<Came> {
        let fields: Vec<&str> = line.split('\t').collect();
        let ["came", delivery, document, sender, recipient, day, state, verdicts, arrived, released] =
            fields[..]
        else {
            return None;
        };
        let state = read_state(state)
            .filter(|s| matches!(s, Electronic::Held | Electronic::Delivered | Electronic::Refused))?;
        Some(Came {
            sender: self.agency(sender)?,
            document: half(document)?,
            recipient: self.agency(recipient)?,
            delivery: delivery.parse().ok()?,
            day: day.parse().ok()?,
            state,
            verdicts: read_pair(verdicts)?,
            arrived: arrived.parse().ok()?,
            released: flag(released, "r")?,
        })
    }
}

fn flag(text: &str, set: &str) -> Option<bool> {
    (text == set || text == "-").then_some(text == set)
}

fn half(text: &str) -> Option<Half> {
    hex::decode(text).ok()?.try_into().ok()
}

fn optional<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "-" { Some(None) } else { read(text).map(Some) }
}

fn read_state(text: &str) -> Option<Electronic> {
    STATES.into_iter().find(|state| state_word(*state) == text)
}

fn read_pair(text: &str) -> Option<Pair> {
    let (person, agency) = text.split_once('/')?;
    Some((person.parse().ok()?, agency.parse().ok()?))
}
