//! Listing events, a page at a time, by index whatever is asked for: a delivery by its own records, everything else by
//! the index of terms (`find`), times by halving. Each candidate is then looked at: the index only leaves out. Work per
//! page is bounded: a page may end before it is full, and says where the next begins.

use bytes::Bytes;

use super::find::Finder;
use crate::domain::event::{Event, EventKind};
use crate::domain::fold::records::{Incoming, Outgoing};
use crate::domain::fold::search::{self, Term};
use crate::domain::fold::{self, keys, load};
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::ledger::folds;
use crate::signature::{Role, Verdict};
use crate::store::StoreError;
use crate::store::index::Index;
use crate::time::Timestamp;
use crate::wire::leaf;

/// Work of one page: it ends where this is done, however many events it has by then. A page of neighbours, and one of 100
/// events wherever they are, stay far below.
const WORK: usize = 2_400;
/// Work of looking at an event: of itself, of reading it where its neighbour was not read before, and of looking up what
/// is known of its delivery or whom it concerns.
const LOOK: usize = 1;
const READ: usize = 2;
const LOOK_UP: usize = 2;
/// Events that a page looks at, at most.
const MOST: usize = WORK / LOOK;
/// Events read at once.
const BATCH: usize = 256;

/// Which events: those for which everything holds that is given. The default is all of them, forwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Where to begin (inclusive): the first index, or the last when backwards.
    pub from: Option<u64>,
    /// Newest first.
    pub backwards: bool,
    /// Events of a page; 0 means one.
    pub limit: usize,
    /// Events that concern the agency.
    pub agency: Option<AgencyId>,
    /// Events of messages that this agency sends or receives; with `agency`, those between the two.
    pub counterpart: Option<AgencyId>,
    /// Events of the delivery.
    pub delivery: Option<DeliveryId>,
    /// Events of the kind, by [`EventKind::name`].
    pub kind: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// Events of documents with this number, NFC-normalised.
    pub number: Option<String>,
    /// And this notation, NFC-normalised; without a number it is not looked at.
    pub notation: Option<String>,
    /// And this year; without a number it is not looked at.
    pub year: Option<i32>,
    /// Events that this client caused; `node` for the node itself, a peer's name for what came from there.
    pub client: Option<String>,
    /// Events that this user caused, as the client names it.
    pub user: Option<String>,
    /// Events that give this verdict, on a role or on either.
    pub verdict: Option<(Option<Role>, Verdict)>,
    /// Events that give this reason, by its code.
    pub reason: Option<String>,
}

/// Events with index and bytes, and where the next page begins, if there may be more.
pub type Page = (Vec<(u64, Bytes, Event)>, Option<u64>);

/// A page of the log of `size` events.
pub fn list(index: &Index, size: u64, query: &Query) -> Result<Page, StoreError> {
    let mut leaves = Leaves { index, first: 0, chunk: Vec::new(), reads: 0 };
    let mut found = Vec::new();
    let (first, end) = extent(&mut leaves, size, query)?;
    if first >= end {
        return Ok((found, None));
    }
    let mut candidates = Candidates::new(index, query, first, end)?;
    let about = query.number.is_some() || query.counterpart.is_some();
    let each = LOOK + LOOK_UP * (usize::from(query.agency.is_some()) + usize::from(about));
    let (mut looked_at, reads) = (0, leaves.reads);
    while let Some(batch) = candidates.next()? {
        for i in batch {
            let work = looked_at * each + (leaves.reads - reads) * READ;
            if found.len() >= query.limit.max(1) || work >= WORK {
                // This one is the first of the next page.
                return Ok((found, Some(i)));
            }
            let bytes = leaves.get(i)?;
            let event = decode(i, &bytes)?;
            if matches(index, query, i, &event)? {
                found.push((i, bytes, event));
            }
            looked_at += 1;
        }
    }
    Ok((found, None))
}

/// The events that come into question by place and time, from the first to before the second.
fn extent(leaves: &mut Leaves<'_>, size: u64, query: &Query) -> Result<(u64, u64), StoreError> {
    let (mut first, mut end) = match (query.from, query.backwards) {
        (Some(from), false) => (from, size),
        (Some(from), true) => (0, size.min(from.saturating_add(1))),
        (None, _) => (0, size),
    };
    if let Some(since) = query.since {
        first = first.max(first_after(leaves, size, since)?);
    }
    if let Some(until) = query.until {
        end = end.min(first_after(leaves, size, until.plus_millis(1))?);
    }
    Ok((first, end))
}

/// The first event not before `time`: event times never go back, so it is found by halving.
fn first_after(leaves: &mut Leaves<'_>, size: u64, time: Timestamp) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let bytes = leaves.get(middle)?;
        if decode(middle, &bytes)?.at < time { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// Leaves one after the other: neighbours are read together.
struct Leaves<'a> {
    index: &'a Index,
    first: u64,
    chunk: Vec<Bytes>,
    reads: usize,
}

impl Leaves<'_> {
    fn get(&mut self, at: u64) -> Result<Bytes, StoreError> {
        let known = |first: u64, chunk: &[Bytes]| {
            at.checked_sub(first).and_then(|place| chunk.get(usize::try_from(place).ok()?)).cloned()
        };
        if let Some(leaf) = known(self.first, &self.chunk) {
            return Ok(leaf);
        }
        self.reads += 1;
        (self.first, self.chunk) = self.index.leaves_around(at)?;
        known(self.first, &self.chunk).ok_or_else(|| StoreError::Index {
            path: "leaves".into(),
            problem: format!("event {at} is missing"),
        })
    }
}

/// Where candidates come from.
enum Candidates<'a> {
    /// All of them.
    All { first: u64, end: u64, backwards: bool },
    /// A delivery's.
    Known(Option<Vec<u64>>),
    /// By the index of terms.
    Found(Finder<'a>),
}

impl<'a> Candidates<'a> {
    fn new(index: &'a Index, query: &Query, first: u64, end: u64) -> Result<Candidates<'a>, StoreError> {
        let backwards = query.backwards;
        if let Some(id) = &query.delivery {
            let mut known = of_delivery(index, id, backwards, first, end)?;
            if let Some(agency) = &query.agency {
                // Where a page ends says something, too: what is another's is no candidate.
                let mut own = Vec::with_capacity(known.len());
                for i in known {
                    if fold::concerns(index, agency, i).map_err(folds)? {
                        own.push(i);
                    }
                }
                known = own;
            }
            return Ok(Candidates::Known(Some(known)));
        }
        let terms = terms(query);
        if terms.is_empty() {
            return Ok(Candidates::All { first, end, backwards });
        }
        Ok(Candidates::Found(Finder::new(index, terms, backwards, first, end)))
    }

    fn next(&mut self) -> Result<Option<Vec<u64>>, StoreError> {
        match self {
            Candidates::All { first, end, .. } if *first >= *end => Ok(None),
            Candidates::All { first, end, backwards: false } => {
                let to = (*first + BATCH as u64).min(*end);
                Ok(Some((std::mem::replace(first, to)..to).collect()))
            }
            Candidates::All { first, end, backwards: true } => {
                let from = end.saturating_sub(BATCH as u64).max(*first);
                Ok(Some((from..std::mem::replace(end, from)).rev().collect()))
            }
            Candidates::Known(events) => Ok(events.take()),
            Candidates::Found(finder) => finder.next(),
        }
    }
}

/// What an event must have, the rarest first.
fn terms(query: &Query) -> Vec<Term> {
    let mut terms = Vec::new();
    match (&query.number, &query.notation) {
        (Some(number), Some(notation)) => terms.push(Term::notation(number, notation)),
        (Some(number), None) => terms.push(Term::number(number)),
        (None, _) => {}
    }
    terms.extend(query.user.as_deref().map(Term::user));
    match (&query.agency, &query.counterpart) {
        (Some(agency), Some(other)) if agency == other => terms.push(Term::to_itself(other)),
        (_, Some(other)) => terms.push(Term::party(other)),
        (_, None) => {}
    }
    terms.extend(query.agency.as_ref().map(Term::agency));
    terms.extend(query.reason.as_deref().map(Term::reason));
    terms.extend(query.client.as_deref().map(Term::client));
    terms.extend(query.kind.as_deref().map(Term::kind));
    terms.extend(query.verdict.map(|(role, verdict)| Term::verdict(role, verdict)));
    terms
}

/// Events of a delivery: those that its records name, and the others by their own entries, more than are looked at for a
/// page.
fn of_delivery(
    index: &Index,
    id: &DeliveryId,
    backwards: bool,
    first: u64,
    end: u64,
) -> Result<Vec<u64>, StoreError> {
    let outgoing = load::<Outgoing>(index, &keys::outgoing(id)).map_err(folds)?;
    let incoming = load::<Incoming>(index, &keys::incoming(id)).map_err(folds)?;
    let in_records = outgoing.into_iter().flat_map(|r| r.events);
    let mut found: Vec<u64> = in_records.chain(incoming.into_iter().flat_map(|r| r.events)).collect();
    let prefix = keys::delivery_events(id);
    let others = if backwards {
        index.scan_back(&prefix, &keys::delivery_event(id, end - 1), MOST + 1)?
    } else {
        index.scan(&prefix, &keys::delivery_event(id, first), MOST + 1)?
    };
    found.extend(others.iter().filter_map(|(key, _)| keys::index_of(key)));
    found.retain(|i| (first..end).contains(i));
    found.sort_unstable();
    found.dedup();
    if backwards {
        found.reverse();
    }
    Ok(found)
}

fn decode(at: u64, bytes: &[u8]) -> Result<Event, StoreError> {
    leaf::decode(bytes)
        .map_err(|e| StoreError::Index { path: "leaves".into(), problem: format!("event {at}: {e}") })
}

fn matches(index: &Index, query: &Query, at: u64, event: &Event) -> Result<bool, StoreError> {
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    Ok(is(&query.kind, event.kind.name())
        && is(&query.client, &event.actor.client)
        && is(&query.user, &event.actor.user)
        && query.since.is_none_or(|t| event.at >= t)
        && query.until.is_none_or(|t| event.at <= t)
        && query.reason.as_deref().is_none_or(|code| search::reasons_of(&event.kind).contains(&code))
        && query.verdict.is_none_or(|(role, verdict)| gives_verdict(&event.kind, role, verdict))
        && match &query.agency {
            Some(agency) => fold::concerns(index, agency, at).map_err(folds)?,
            None => true,
        }
        && is_about(index, query, &event.kind)?)
}

fn gives_verdict(kind: &EventKind, role: Option<Role>, wanted: Verdict) -> bool {
    search::verdicts_of(kind).is_some_and(|verdicts| match role {
        Some(Role::Person) => verdicts.person == wanted,
        Some(Role::Agency) => verdicts.agency == wanted,
        None => verdicts.person == wanted || verdicts.agency == wanted,
    })
}

/// Whether the event is about the document and between the parties that are asked for.
fn is_about(index: &Index, query: &Query, kind: &EventKind) -> Result<bool, StoreError> {
    if query.number.is_none() && query.counterpart.is_none() {
        return Ok(true);
    }
    let about = fold::about(index, kind).map_err(folds)?;
    let of_document = query.number.as_deref().is_none_or(|number| {
        let is = |key| search::is_document(key, number, query.notation.as_deref(), query.year);
        about.document.as_ref().is_some_and(is)
    });
    let between = match (&query.agency, &query.counterpart) {
        (_, None) => true,
        (None, Some(other)) => about.has_party(other),
        (Some(agency), Some(other)) => about.is_between(agency, other),
    };
    Ok(of_document && between)
}
