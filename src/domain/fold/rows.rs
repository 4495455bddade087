//! The fold of the ratios: one row per delivery, and sums per cell that follow every change of a row.

use super::records::{MessageFacts, Outgoing, PaperRecord};
use super::{View, ViewError, keys, load, store};
use crate::domain::document::{Origin, Urgency};
use crate::domain::event::{DocumentFacts, NoticeFacts, PaperEntry, Parties, RoleVerdicts};
use crate::domain::ids::{AgencyId, Digest, DocumentKey, framed};
use crate::domain::ratio::{Counters, Electronic, Row};
use crate::domain::status::Status;
use crate::time::{Date, Timestamp};

/// A delivery is known by sender, number, notation, year, and its recipient (an id, or a name where there is none).
fn row_name(sender: &AgencyId, key: &DocumentKey, recipient: Option<&AgencyId>, name: &str) -> Digest {
    let (tag, to) = recipient.map_or((b"n", name), |r| (b"i", r.as_str()));
    framed(&[b"lienthong/row/1", sender.as_str().as_bytes(), key.hash().as_bytes(), tag, to.as_bytes()])
}

/// Changes a row, and with it the cells that it counts in.
fn change(
    view: &mut (impl View + ?Sized),
    name: &Digest,
    new: Option<Row>,
    edit: impl FnOnce(&mut Row),
) -> Result<(), ViewError> {
    let row_key = keys::row(name);
    let before: Option<Row> = load(view, &row_key)?;
    let Some(mut row) = before.clone().or(new) else { return Ok(()) };
    edit(&mut row);
    let after = row.count();
    let old_count = before.as_ref().map_or(Counters::default(), Row::count);
    let old_cells = before.as_ref().map_or_else(Vec::new, Row::cells);
    let cells = row.cells();
    if old_count != after || old_cells != cells {
        for cell in old_cells {
            add(view, &cell, |c| c.minus(old_count))?;
        }
        for cell in cells {
            add(view, &cell, |c| c.plus(after))?;
        }
    }
    store(view, row_key, &row);
    Ok(())
}

fn add(
    view: &mut (impl View + ?Sized),
    cell: &str,
    f: impl FnOnce(Counters) -> Counters,
) -> Result<(), ViewError> {
    let key = keys::cell(cell);
    let sum = f(load::<Counters>(view, &key)?.unwrap_or_default());
    if sum == Counters::default() {
        view.delete(&key);
    } else {
        store(view, key, &sum);
    }
    Ok(())
}

/// A row of which nothing is known yet but what it is about.
fn empty(parties: &Parties, issued_on: Date, urgency: Urgency) -> Row {
    Row {
        scope: parties.scope,
        direction: parties.direction,
        issued_on,
        issued_at: None,
        urgency,
        origin: Origin::BornDigital,
        electronic: Electronic::None,
        submitted_at: None,
        signed_here: false,
        signed_there: false,
        arrived_at: None,
        acknowledged_at: None,
        papers: Vec::new(),
    }
}

/// A document was submitted: pending, whatever an earlier attempt came to.
pub(super) fn submitted(
    view: &mut (impl View + ?Sized),
    parties: &Parties,
    document: &DocumentFacts,
    at: Timestamp,
    verdicts: RoleVerdicts,
) -> Result<(), ViewError> {
    let name = row_name(&parties.sender, &document.key, parties.recipient.as_ref(), "");
    let new = empty(parties, document.issued_on, document.urgency);
    change(view, &name, Some(new), |row| {
        row.issued_on = document.issued_on;
        row.issued_at = document.issued_at;
        row.urgency = document.urgency;
        row.origin = document.origin;
        row.scope = parties.scope;
        row.direction = parties.direction;
        row.electronic = Electronic::Pending;
        row.submitted_at = row.submitted_at.or(Some(at));
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
    electronic: Electronic,
    arrived_at: Option<Timestamp>,
    signed: bool,
) -> Result<(), ViewError> {
    let Some(key) = &facts.key else { return Ok(()) };
    let name = row_name(&facts.sender, key, Some(&facts.recipient), "");
    change(view, &name, None, |row| {
        row.electronic = electronic;
        row.arrived_at = arrived_at;
        row.signed_there = signed;
    })
}

/// An earlier attempt that was delivered counts again: the one after it was withdrawn before it arrived.
pub(super) fn kept(view: &mut (impl View + ?Sized), record: &Outgoing) -> Result<(), ViewError> {
    let there = record.peer_verdicts.is_some_and(RoleVerdicts::both_valid);
    settled(view, &record.facts, Electronic::Delivered, record.received_at, there)?;
    for entry in record.statuses.iter().filter(|s| !s.after_end) {
        status(view, &record.facts, entry.status, entry.at)?;
    }
    let Some(key) = &record.facts.key else { return Ok(()) };
    let name = row_name(&record.facts.sender, key, Some(&record.facts.recipient), "");
    change(view, &name, None, |row| row.signed_here = record.verdicts.both_valid())
}

/// The recipient reported a status: the first of 01, 02, 03 acknowledges; 02 takes the delivery back out.
pub(super) fn status(
    view: &mut (impl View + ?Sized),
    facts: &MessageFacts,
    status: Status,
    at: Timestamp,
) -> Result<(), ViewError> {
    let Some(key) = &facts.key else { return Ok(()) };
    let name = row_name(&facts.sender, key, Some(&facts.recipient), "");
    change(view, &name, None, |row| {
        if matches!(status, Status::Arrived | Status::Refused | Status::Accepted) {
            row.acknowledged_at = Some(row.acknowledged_at.map_or(at, |before| before.min(at)));
        }
        if status == Status::Refused {
            row.electronic = Electronic::Refused;
        }
    })
}

/// The paper register changed: an entry, the correction of one, or a withdrawal. The recipient of an entry that no longer
/// stands is told as well.
pub(super) fn paper(
    view: &mut (impl View + ?Sized),
    index: u64,
    entry: &PaperEntry,
) -> Result<Option<AgencyId>, ViewError> {
    let parties = &entry.parties;
    let name = row_name(&parties.sender, &entry.key, parties.recipient.as_ref(), &entry.recipient_name);
    let mut before = None;
    if let Some(corrected) = entry.corrects {
        if let Some(record) = load::<PaperRecord>(view, &keys::paper(corrected))? {
            before = record.recipient;
            change(view, &record.row, None, |row| row.papers.retain(|(at, _)| *at != corrected))?;
        }
        view.delete(&keys::paper(corrected));
    } else if entry.withdrawn {
        let standing = load::<Row>(view, &keys::row(&name))?.map_or_else(Vec::new, |row| row.papers);
        standing.iter().for_each(|(at, _)| view.delete(&keys::paper(*at)));
        change(view, &name, None, |row| row.papers.clear())?;
    }
    if !entry.withdrawn {
        let new = empty(parties, entry.issued_on, entry.urgency);
        change(view, &name, Some(new), |row| {
            row.papers.push((index, entry.mandatory));
            if row.electronic == Electronic::None {
                // Only the register knows it: a correction may be of its date.
                row.issued_on = entry.issued_on;
                row.urgency = entry.urgency;
            }
        })?;
        let (sender, recipient) = (parties.sender.clone(), parties.recipient.clone());
        store(view, keys::paper(index), &PaperRecord { row: name, sender, recipient });
    }
    Ok(before)
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
