//! The fold of the ratios on the recipient's side: one row per delivery that arrived here, whoever's node sent it.

use super::records::MessageFacts;
use super::sums;
use super::{View, ViewError, keys, load, store};
use crate::domain::event::{DocumentFacts, Item, RoleVerdicts};
use crate::domain::ratio::cell::Family;
use crate::domain::ratio::{Arrived, Dims, Electronic};
use crate::domain::reason::Reason;
use crate::domain::status::Status;
use crate::time::Timestamp;

/// A document came: delivered, held or refused. An attempt takes the place of those before it.
pub(super) fn came(
    view: &mut (impl View + ?Sized),
    item: &Item,
    document: &DocumentFacts,
    at: Timestamp,
    electronic: Electronic,
    verdicts: RoleVerdicts,
) -> Result<(), ViewError> {
    let Some(recipient) = &item.parties.recipient else { return Ok(()) };
    let key = keys::arrived(recipient, &item.parties.sender, &document.key);
    let before: Option<Arrived> = load(view, &key)?;
    if before.as_ref().is_some_and(|b| b.attempt > item.attempt) {
        return Ok(());
    }
    let after = Arrived {
        dims: Dims::new(&item.parties, at.date(), &document.type_name, document.urgency),
        attempt: item.attempt,
        origin: document.origin,
        electronic,
        signed: verdicts.both_valid(),
        arrived_at: at,
        acknowledged_at: None,
        earlier: before.clone().and_then(|b| {
            let delivered = b.electronic == Electronic::Delivered;
            if delivered { Some(Box::new(Arrived { earlier: None, ..b })) } else { b.earlier }
        }),
    };
    put(view, key, before.as_ref(), &after)
}

/// What was held is decided.
pub(super) fn decided(
    view: &mut (impl View + ?Sized),
    facts: &MessageFacts,
    refused: Option<Reason>,
    verdicts: RoleVerdicts,
) -> Result<(), ViewError> {
    change(view, facts, |row| {
        row.signed = verdicts.both_valid();
        row.electronic = match refused {
            None => Electronic::Delivered,
            Some(Reason::Withdrawn) => Electronic::Withdrawn,
            Some(_) => Electronic::Refused,
        };
        if row.electronic == Electronic::Withdrawn
            && let Some(earlier) = row.earlier.take()
        {
            *row = *earlier;
        }
    })
}

/// What came is what a lost log of this node had received: it counts where it counted then.
pub(super) fn returned(
    view: &mut (impl View + ?Sized),
    facts: &MessageFacts,
    at: Timestamp,
    acknowledged_at: Option<Timestamp>,
) -> Result<(), ViewError> {
    change(view, facts, |row| {
        row.dims.day = at.date();
        row.arrived_at = at;
        row.acknowledged_at = acknowledged_at;
    })
}

/// The recipient reported a status.
pub(super) fn status(
    view: &mut (impl View + ?Sized),
    facts: &MessageFacts,
    status: Status,
    at: Timestamp,
) -> Result<(), ViewError> {
    change(view, facts, |row| {
        if status.acknowledges() {
            row.acknowledged_at = Some(row.acknowledged_at.map_or(at, |before| before.min(at)));
        }
        if status == Status::Refused {
            row.electronic = Electronic::Refused;
        }
    })
}

/// Changes the row of a document, when this is the attempt that counts.
fn change(
    view: &mut (impl View + ?Sized),
    facts: &MessageFacts,
    edit: impl FnOnce(&mut Arrived),
) -> Result<(), ViewError> {
    let Some(document) = &facts.key else { return Ok(()) };
    let key = keys::arrived(&facts.recipient, &facts.sender, document);
    let before: Option<Arrived> = load(view, &key)?;
    let Some(before) = before.filter(|b| b.attempt == facts.attempt) else { return Ok(()) };
    let mut after = before.clone();
    edit(&mut after);
    put(view, key, Some(&before), &after)
}

fn put(
    view: &mut (impl View + ?Sized),
    key: Vec<u8>,
    before: Option<&Arrived>,
    after: &Arrived,
) -> Result<(), ViewError> {
    let old = before.map(|row| (&row.dims, row.count()));
    let new = (&after.dims, after.count());
    if old != Some(new) {
        sums::moved(view, &[Family::Arrival], old, Some(new))?;
    }
    if before != Some(after) {
        store(view, key, after);
    }
    Ok(())
}
