//! The fold of the ratios on the sender's side: one row per delivery; sums follow every change of a row.

use super::records::{MessageFacts, Outgoing, PaperRecord};
use super::sums::{self, Name};
use super::{View, ViewError, keys, load, periods, store};
use crate::domain::event::{DocumentFacts, NoticeFacts, PaperEntry, Parties, RoleVerdicts};
use crate::domain::ids::{AgencyId, Digest, DocumentKey, framed};
use crate::domain::ratio::cell::Family;
use crate::domain::ratio::{Calendar, Dims, Electronic, Row};
use crate::domain::status::Status;
use crate::time::{Date, Timestamp};

/// Changes a row, and with it everything that it counts in.
fn change(
    view: &mut (impl View + ?Sized),
    name: &Name<'_>,
    index: u64,
    new: Option<Row>,
    edit: impl FnOnce(&mut Row),
) -> Result<(), ViewError> {
    let key = name.key();
    let before: Option<Row> = load(view, &key)?;
    let Some(mut row) = before.clone().or(new) else { return Ok(()) };
    edit(&mut row);
    if before.as_ref() == Some(&row) {
        return Ok(());
    }
    let old = before.as_ref().map(|row| (&row.dims, row.count()));
    let after = (&row.dims, row.count());
    if old != Some(after) {
        sums::moved(view, &Family::OUTGOING, old, Some(after))?;
        sums::documents(view, name, old, after)?;
        periods::changed(view, name, index, before.as_ref(), &row)?;
    }
    store(view, key, &row);
    Ok(())
}

/// The row of a message for an agency with a code.
fn named<'a>(sender: &'a AgencyId, document: &'a DocumentKey, recipient: &AgencyId) -> Name<'a> {
    Name { sender, document, recipient: keys::recipient(Some(recipient), "") }
}

fn of_message(facts: &MessageFacts) -> Option<Name<'_>> {
    Some(named(&facts.sender, facts.key.as_ref()?, &facts.recipient))
}

/// A document was submitted: pending, whatever an earlier attempt came to. `after_delivered`: the attempt before this one
/// was delivered.
pub(super) fn submitted(
    view: &mut (impl View + ?Sized),
    parties: &Parties,
    document: &DocumentFacts,
    (index, at): (u64, Timestamp),
    verdicts: RoleVerdicts,
    after_delivered: bool,
) -> Result<(), ViewError> {
    let Some(recipient) = &parties.recipient else { return Ok(()) };
    let name = named(&parties.sender, &document.key, recipient);
    let dims = Dims::new(parties, document.issued_on, &document.type_name, document.urgency);
    let calendar: Calendar = load(view, &keys::calendar())?.unwrap_or_default();
    change(view, &name, index, Some(Row::new(dims.clone())), |row| {
        let sent = row.submitted_at.unwrap_or(at);
        if after_delivered {
            row.earlier = Some(Box::new(Row { earlier: None, ..row.clone() }));
        }
        row.dims = dims;
        row.origin = document.origin;
        row.electronic = Electronic::Pending;
        row.submitted_at = Some(sent);
        row.on_time = calendar.is_on_time(document.issued_on, document.issued_at, document.urgency, sent);
        row.signed_here = verdicts.both_valid();
        row.signed_there = false;
        row.arrived_at = None;
        row.acknowledged_at = None;
    })
}

/// The recipient's node answered, or the time is over.
pub(super) fn settled(
    view: &mut (impl View + ?Sized),
    facts: &MessageFacts,
    index: u64,
    electronic: Electronic,
    arrived_at: Option<Timestamp>,
    signed: bool,
) -> Result<(), ViewError> {
    let Some(name) = of_message(facts) else { return Ok(()) };
    change(view, &name, index, None, |row| {
        row.electronic = electronic;
        row.arrived_at = arrived_at;
        row.signed_there = signed;
    })
}

/// An earlier attempt that was delivered counts again: the one after it was withdrawn before it arrived.
pub(super) fn kept(view: &mut (impl View + ?Sized), record: &Outgoing, index: u64) -> Result<(), ViewError> {
    let Some(name) = of_message(&record.facts) else { return Ok(()) };
    change(view, &name, index, None, |row| {
        if let Some(earlier) = row.earlier.take() {
            *row = Row { papers: std::mem::take(&mut row.papers), ..*earlier };
        }
        row.electronic = Electronic::Delivered;
        row.arrived_at = record.received_at;
        row.signed_here = record.verdicts.both_valid();
        row.signed_there = record.peer_verdicts.is_some_and(RoleVerdicts::both_valid);
        for entry in record.statuses.iter().filter(|s| !s.after_end) {
            reported(row, entry.status, entry.at);
        }
    })
}

/// The recipient reported a status: the first of 01, 02, 03 acknowledges; 02 takes the delivery back out.
pub(super) fn status(
    view: &mut (impl View + ?Sized),
    facts: &MessageFacts,
    index: u64,
    status: Status,
    at: Timestamp,
) -> Result<(), ViewError> {
    let Some(name) = of_message(facts) else { return Ok(()) };
    change(view, &name, index, None, |row| reported(row, status, at))
}

fn reported(row: &mut Row, status: Status, at: Timestamp) {
    if status.acknowledges() {
        row.acknowledged_at = Some(row.acknowledged_at.map_or(at, |before| before.min(at)));
    }
    // What was withdrawn before it arrived never counts, whatever its recipient says of it.
    if status == Status::Refused && row.electronic != Electronic::Withdrawn {
        row.electronic = Electronic::Refused;
    }
}

/// The paper register changed: an entry, the correction of one, or a withdrawal. The recipient of an entry that no longer
/// stands is told as well.
pub(super) fn paper(
    view: &mut (impl View + ?Sized),
    index: u64,
    entry: &PaperEntry,
) -> Result<Option<AgencyId>, ViewError> {
    let parties = &entry.parties;
    let recipient = keys::recipient(parties.recipient.as_ref(), &entry.recipient_name);
    let name = Name { sender: &parties.sender, document: &entry.key, recipient };
    let mut before = None;
    if let Some(corrected) = entry.corrects {
        if let Some(record) = load::<PaperRecord>(view, &keys::paper(corrected))? {
            let own = Name { sender: &record.sender, document: &record.document, recipient: record.to };
            without(view, &own, index, |at| at != corrected)?;
            before = record.recipient;
        }
        view.delete(&keys::paper(corrected));
    } else if entry.withdrawn {
        let standing = load::<Row>(view, &name.key())?.map_or_else(Vec::new, |row| row.papers);
        standing.iter().for_each(|(at, _)| view.delete(&keys::paper(*at)));
        without(view, &name, index, |_| false)?;
    }
    if !entry.withdrawn {
        let dims = Dims::new(parties, entry.issued_on, &entry.type_name, entry.urgency);
        change(view, &name, index, Some(Row::new(dims.clone())), |row| {
            row.papers.push((index, entry.mandatory));
            if row.submitted_at.is_none() {
                // What was sent says best what the document is; of one on paper only, its newest entry.
                row.dims = dims.clone();
            }
        })?;
        let (sender, recipient) = (parties.sender.clone(), parties.recipient.clone());
        let record = PaperRecord { document: entry.key.clone(), to: name.recipient, dims, sender, recipient };
        store(view, keys::paper(index), &record);
    }
    Ok(before)
}

/// Leaves only these entries standing in a row; of a document on paper only, the newest of them says what it is.
fn without(
    view: &mut (impl View + ?Sized),
    name: &Name<'_>,
    index: u64,
    stands: impl Fn(u64) -> bool,
) -> Result<(), ViewError> {
    let row = load::<Row>(view, &name.key())?;
    let newest = row.and_then(|row| row.papers.iter().rev().find(|(at, _)| stands(*at)).map(|(at, _)| *at));
    let newest = match newest {
        None => None,
        Some(at) => load::<PaperRecord>(view, &keys::paper(at))?,
    };
    change(view, name, index, None, |row| {
        row.papers.retain(|(at, _)| stands(*at));
        if let (None, Some(entry)) = (row.submitted_at, newest) {
            row.dims = entry.dims;
        }
    })
}

/// What makes two notices the same: everything but when they were sent.
pub(super) fn notice_digest(notice: &NoticeFacts, facts: &MessageFacts) -> Digest {
    framed(&[
        b"lienthong/notice-request/1",
        facts.sender.as_str().as_bytes(),
        notice.target.as_bytes(),
        &[notice.kind.number(), notice.status.map_or(0, Status::code)],
        notice.stated.as_ref().map_or(&[], |s| s.statement.as_bytes().as_slice()),
    ])
}

/// What makes two paper entries the same.
pub fn paper_digest(entry: &PaperEntry) -> Digest {
    framed(&[
        b"lienthong/paper/1",
        entry.parties.sender.as_str().as_bytes(),
        entry.parties.recipient_code.as_bytes(),
        entry.recipient_name.as_bytes(),
        entry.key.hash().as_bytes(),
        &entry.issued_on.days().to_be_bytes(),
        &[u8::from(entry.mandatory), u8::from(entry.withdrawn), entry.urgency as u8],
        entry.basis.as_bytes(),
        entry.type_name.as_bytes(),
        &entry.dispatched_on.map_or(0, Date::days).to_be_bytes(),
        &entry.corrects.map_or_else(Vec::new, |index| index.to_be_bytes().to_vec()),
    ])
}
