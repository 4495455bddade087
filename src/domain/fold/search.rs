//! The index by which events are found: which events have which *terms* (a kind, an agency, a number, …).
//!
//! A record for each event and term would cost more than everything else that an event writes. So terms are gathered:
//! ```text
//! s 0 <index / 64>                  pending: for each event its place in the 64, the number of its terms, the terms
//! s 1 <bucket> <index / 4096>       block: of the terms of a bucket, the events among 4,096 that have them
//! ```
//! An event is appended to its pending record. The event that completes a block of 4,096 turns the 64 pending records of
//! the block into one record for each of 64 buckets of terms, and removes them: a record for 64 events, and again one
//! for 64. Looking a term up reads one record of each block, and those of one bucket lie side by side.
//!
//! A block record: the number of terms, u32; for each, in ascending order, the term and where its events end, u32 each,
//! from the beginning of all events; then the events of each: places of two bytes, or, from 256 on, a bitmap of 512
//! bytes. All numbers are big-endian.
//!
//! A term is 32 bits of a hash, so what is found here *may* match: readers look at the event. Who chooses texts whose
//! terms are equal makes searches for them slower, and no answer wrong.

use super::about::{About, about};
use super::{View, ViewError, keys};
use crate::domain::event::{Event, EventKind, RoleVerdicts};
use crate::domain::ids::{AgencyId, DocumentKey};
use crate::domain::reason::Reason;
use crate::signature::{Role, Verdict};

/// Events of a block.
pub const BLOCK: u64 = 4096;
/// Events of a pending record.
pub const PENDING: u64 = 64;
/// Buckets of terms.
const BUCKETS: u32 = 64;
/// Events of one term in one block from which a bitmap is shorter.
const DENSE: usize = 256;
/// Words of a bitmap of a block.
const WORDS: usize = (BLOCK / 64) as usize;

/// Something that an event may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(u32);

impl Term {
    fn new(field: u8, texts: &[&str]) -> Term {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(field);
        for text in texts {
            // The byte between keeps neighbours apart: no text has it.
            for byte in text.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        Term((hash ^ hash >> 32) as u32)
    }

    /// Events of a kind, by its name.
    pub fn kind(name: &str) -> Term {
        Term::new(b'k', &[name])
    }

    /// Events that concern an agency.
    pub fn agency(agency: &AgencyId) -> Term {
        Term::new(b'a', &[agency.as_str()])
    }

    /// Events of a message that an agency sends or receives, whether they concern it or only the other side.
    pub fn party(agency: &AgencyId) -> Term {
        Term::new(b'p', &[agency.as_str()])
    }

    /// Events of a message of an agency to itself.
    pub fn to_itself(agency: &AgencyId) -> Term {
        Term::new(b's', &[agency.as_str()])
    }

    /// Events that a client caused.
    pub fn client(name: &str) -> Term {
        Term::new(b'c', &[name])
    }

    /// Events that a user caused.
    pub fn user(user: &str) -> Term {
        Term::new(b'u', &[user])
    }

    /// Events of documents with a number.
    pub fn number(number: &str) -> Term {
        Term::new(b'n', &[number])
    }

    /// Events of documents with a number and a notation.
    pub fn notation(number: &str, notation: &str) -> Term {
        Term::new(b'm', &[number, notation])
    }

    /// Events with a verdict on a role, or on either.
    pub fn verdict(role: Option<Role>, verdict: Verdict) -> Term {
        Term::new(b'v', &[role.map_or("", Role::as_str), verdict.as_str()])
    }

    /// Events that give a reason.
    pub fn reason(code: &str) -> Term {
        Term::new(b'r', &[code])
    }

    fn bucket(self) -> u8 {
        (self.0 % BUCKETS) as u8
    }
}

/// Every term of an event.
fn terms_of(event: &Event, about: &About, agencies: &[AgencyId]) -> Vec<Term> {
    let mut terms = Vec::with_capacity(16);
    terms.push(Term::kind(event.kind.name()));
    terms.extend(agencies.iter().map(Term::agency));
    let parties = about.sender.iter().chain(&about.recipient);
    terms.extend(parties.map(Term::party));
    if let Some(sender) = about.sender.as_ref().filter(|s| about.recipient.as_ref() == Some(s)) {
        terms.push(Term::to_itself(sender));
    }
    terms.push(Term::client(&event.actor.client));
    if !event.actor.user.is_empty() {
        terms.push(Term::user(&event.actor.user));
    }
    if let Some(document) = &about.document {
        terms.push(Term::number(document.number()));
        terms.push(Term::notation(document.number(), document.notation()));
    }
    if let Some(RoleVerdicts { person, agency, .. }) = verdicts_of(&event.kind) {
        terms.push(Term::verdict(Some(Role::Person), person));
        terms.push(Term::verdict(Some(Role::Agency), agency));
        terms.extend([person, agency].map(|verdict| Term::verdict(None, verdict)));
    }
    terms.extend(reasons_of(&event.kind).into_iter().map(Term::reason));
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// The verdicts that an event gives.
pub fn verdicts_of(kind: &EventKind) -> Option<RoleVerdicts> {
    match kind {
        EventKind::Submitted { verdicts, .. }
        | EventKind::Received { verdicts, .. }
        | EventKind::Refused { verdicts, .. }
        | EventKind::Settled { verdicts, .. }
        | EventKind::Released { verdicts, .. } => Some(*verdicts),
        _ => None,
    }
}

/// The reasons that an event gives: its own, and that of its verdicts.
pub fn reasons_of(kind: &EventKind) -> Vec<&str> {
    let mut reasons = Vec::new();
    match kind {
        EventKind::Refused { reason, .. } | EventKind::Undelivered { reason, .. } => {
            reasons.push(reason.code())
        }
        EventKind::Settled { reason, .. } | EventKind::Released { refused: reason, .. } => {
            reasons.extend(reason.map(Reason::code));
        }
        EventKind::Alarm { reason, .. } | EventKind::Stopped { reason } => reasons.push(reason.as_str()),
        EventKind::ConnectionsRefused(refused) => {
            reasons.extend(refused.refusals.iter().map(|r| r.cause.as_str()));
        }
        _ => {}
    }
    let of_verdicts = verdicts_of(kind).and_then(|verdicts| verdicts.reason);
    reasons.extend(of_verdicts.map(crate::signature::Reason::as_str));
    reasons
}

/// Puts an event into the index; the last of a block puts the block together.
pub fn insert(
    view: &mut (impl View + ?Sized),
    index: u64,
    event: &Event,
    agencies: &[AgencyId],
) -> Result<(), ViewError> {
    let about = about(view, &event.kind)?;
    let terms = terms_of(event, &about, agencies);
    let key = keys::pending(index);
    let mut record = view.get(&key)?.unwrap_or_default();
    record.push((index % PENDING) as u8);
    // An event has far fewer.
    record.push(terms.len().min(usize::from(u8::MAX)) as u8);
    record.extend(terms.iter().take(usize::from(u8::MAX)).flat_map(|term| term.0.to_be_bytes()));
    view.put(key, record);
    if index % BLOCK == BLOCK - 1 { complete(view, index - (BLOCK - 1)) } else { Ok(()) }
}

/// The events of a pending record with their terms.
pub fn read_pending(record: &[u8]) -> Option<Vec<(u8, Vec<Term>)>> {
    let (mut rest, mut events) = (record, Vec::new());
    while let [place, count, after @ ..] = rest {
        let (terms, after) = after.split_at_checked(usize::from(*count) * 4)?;
        let (terms, _) = terms.as_chunks::<4>();
        events.push((*place, terms.iter().map(|term| Term(u32::from_be_bytes(*term))).collect()));
        rest = after;
    }
    rest.is_empty().then_some(events)
}

/// Puts the block that begins at `first` together and removes its pending records.
fn complete(view: &mut (impl View + ?Sized), first: u64) -> Result<(), ViewError> {
    let mut found: Vec<(u8, Term, u16)> = Vec::with_capacity(BLOCK as usize * 16);
    for index in (first..first + BLOCK).step_by(PENDING as usize) {
        let key = keys::pending(index);
        let record = view.get(&key)?.unwrap_or_default();
        let events = read_pending(&record).ok_or_else(|| ViewError::Damaged { key: hex::encode(&key) })?;
        for (place, terms) in events {
            let place = (index - first) as u16 + u16::from(place);
            found.extend(terms.into_iter().map(|term| (term.bucket(), term, place)));
        }
        view.delete(&key);
    }
    found.sort_unstable();
    for bucket in found.chunk_by(|a, b| a.0 == b.0) {
        let mut head = Vec::new();
        let mut events = Vec::new();
        let mut count = 0_u32;
        for term in bucket.chunk_by(|a, b| a.1 == b.1) {
            if term.len() < DENSE {
                events.extend(term.iter().flat_map(|(_, _, place)| place.to_be_bytes()));
            } else {
                let mut bits = Bits::default();
                term.iter().for_each(|(_, _, place)| bits.set(*place));
                events.extend(bits.0.iter().flat_map(|word| word.to_be_bytes()));
            }
            count += 1;
            head.extend(term[0].1.0.to_be_bytes());
            head.extend((events.len() as u32).to_be_bytes());
        }
        let record = [&count.to_be_bytes()[..], &head, &events].concat();
        view.put(keys::block(bucket[0].0, first), record);
    }
    Ok(())
}

/// Events of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits([u64; WORDS]);

impl Default for Bits {
    fn default() -> Self {
        Bits([0; WORDS])
    }
}

impl Bits {
    /// Puts an event in, by its place in the block.
    pub fn set(&mut self, place: u16) {
        let place = usize::from(place) % BLOCK as usize;
        self.0[place / 64] |= 1 << (place % 64);
    }

    /// Keeps those that are in the other as well.
    pub fn and(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }

    /// Adds those of the other.
    pub fn or(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The places, in order.
    pub fn places(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        (0..BLOCK).filter(|place| self.0[(place / 64) as usize] >> (place % 64) & 1 == 1)
    }
}

/// The events of a block record that have a term; `None` where the record is damaged.
pub fn read_block(record: &[u8], term: Term) -> Option<Bits> {
    let (count, rest) = record.split_first_chunk::<4>()?;
    let (head, events) = rest.split_at_checked(u32::from_be_bytes(*count) as usize * 8)?;
    let (head, _) = head.as_chunks::<8>();
    let part = |entry: &[u8; 8]| {
        let [a, b, c, d, e, f, g, h] = *entry;
        (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]) as usize)
    };
    let mut bits = Bits::default();
    let Ok(at) = head.binary_search_by_key(&term.0, |entry| part(entry).0) else { return Some(bits) };
    let from = at.checked_sub(1).map_or(0, |before| part(&head[before]).1);
    let places = events.get(from..part(&head[at]).1)?;
    if places.len() == WORDS * 8 {
        let (words, _) = places.as_chunks::<8>();
        bits.0.iter_mut().zip(words).for_each(|(bits, word)| *bits = u64::from_be_bytes(*word));
    } else {
        let (places, _) = places.as_chunks::<2>();
        places.iter().for_each(|place| bits.set(u16::from_be_bytes(*place)));
    }
    Some(bits)
}

/// Key of the block record that has a term, for the block with `index`.
pub fn block_key(term: Term, index: u64) -> Vec<u8> {
    keys::block(term.bucket(), index)
}

/// What the keys of all blocks with a term begin with.
pub fn blocks_of(term: Term) -> Vec<u8> {
    keys::blocks(term.bucket())
}

/// Whether a document is one of this number, notation and year, as far as they are given.
pub fn is_document(key: &DocumentKey, number: &str, notation: Option<&str>, year: Option<i32>) -> bool {
    key.number() == number
        && notation.is_none_or(|notation| key.notation() == notation)
        && year.is_none_or(|year| key.year() == year)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::event::Actor;
    use crate::time::Timestamp;

    type Map = BTreeMap<Vec<u8>, Vec<u8>>;

    fn alarm(reason: &str, user: &str) -> Event {
        Event {
            at: Timestamp::from_millis(0),
            salt: [0; 16],
            actor: Actor { client: "node".into(), user: user.into() },
            directory_version: 1,
            directory_expired: false,
            kind: EventKind::Alarm { reason: reason.into(), peer: String::new(), detail: String::new() },
        }
    }

    #[test]
    fn a_complete_block_has_every_term_of_its_events_and_the_pending_records_are_gone() {
        let mut map = Map::default();
        let reason = |i: u64| format!("r{}", i % 300);
        for i in 0..2 * BLOCK + 100 {
            insert(&mut map, i, &alarm(&reason(i), &i.to_string()), &[]).unwrap();
        }
        let pending = map.keys().filter(|k| k.starts_with(&keys::pendings())).count();
        assert_eq!(pending, 2);
        let longest = map.values().map(Vec::len).max().unwrap();
        assert!(longest < 8 * 1024, "{longest}");
        for block in 0..2 {
            let first = block * BLOCK;
            let events = |term: Term| {
                let record = BTreeMap::get(&map, &block_key(term, first)).map_or(&[0; 4][..], Vec::as_slice);
                read_block(record, term).unwrap().places().map(|p| first + p).collect::<Vec<_>>()
            };
            let all: Vec<u64> = (first..first + BLOCK).collect();
            assert_eq!(events(Term::kind("alarm")), all);
            assert_eq!(events(Term::client("node")), all);
            assert!(events(Term::kind("started")).is_empty());
            assert_eq!(events(Term::user(&(first + 7).to_string())), [first + 7]);
            let of_reason: Vec<u64> = all.iter().copied().filter(|i| i % 300 == 42).collect();
            assert_eq!(events(Term::reason("r42")), of_reason);
        }
    }

    #[test]
    fn a_record_that_is_cut_off_is_damaged_and_never_read_beyond() {
        let mut map = Map::default();
        for i in 0..BLOCK - 1 {
            insert(&mut map, i, &alarm("x", &i.to_string()), &[]).unwrap();
        }
        let pending = map[&keys::pending(0)].clone();
        for end in 1..pending.len() {
            assert!(read_pending(&pending[..end]).is_none_or(|events| events.len() < 64));
        }
        insert(&mut map, BLOCK - 1, &alarm("x", "last"), &[]).unwrap();
        let term = Term::kind("alarm");
        let record = &map[&block_key(term, 0)];
        assert_eq!(read_block(record, term).unwrap().places().count() as u64, BLOCK);
        for end in 0..record.len() {
            // Whatever is left of it, it does not panic, and never claims more events than there were.
            let _ = read_block(&record[..end], term);
        }
        assert_eq!(read_block(&record[..3], term), None);
        assert_eq!(read_block(&record[..8], term), None);
    }

    #[test]
    fn neighbouring_texts_are_different_terms() {
        assert_ne!(Term::notation("1", "2CV"), Term::notation("12", "CV"));
        assert_ne!(Term::number("1"), Term::user("1"));
        let agency = AgencyId::new("H01").unwrap();
        assert_ne!(Term::agency(&agency), Term::party(&agency));
    }
}
