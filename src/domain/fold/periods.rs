//! Closed periods and what changed in them since; who declared its paper register complete; the calendar.

use super::records::{ClosedRecord, DeclaredRecord, RestatedRecord};
use super::sums::Name;
use super::{View, ViewError, keys, load, store};
use crate::domain::ratio::{Channel, Counters, Month, PaperDeclared, PeriodClosed, Row};
use crate::time::Timestamp;

/// A row counts otherwise than before: its months have changed, and where one of them is closed this is a restatement.
pub(super) fn changed(
    view: &mut (impl View + ?Sized),
    name: &Name<'_>,
    index: u64,
    before: Option<&Row>,
    after: &Row,
) -> Result<(), ViewError> {
    let new = Month::of(after.dims.day);
    let old = before.map_or(new, |row| Month::of(row.dims.day));
    let was = before.map(|row| (row.count(), row.channel()));
    let is = (after.count(), after.channel());
    if old == new {
        return in_month(view, name, index, new, after, was, Some(is));
    }
    if let Some(row) = before {
        in_month(view, name, index, old, row, was, None)?;
    }
    in_month(view, name, index, new, after, None, Some(is))
}

type Counts = (Counters, Option<Channel>);

fn in_month(
    view: &mut (impl View + ?Sized),
    name: &Name<'_>,
    index: u64,
    month: Month,
    row: &Row,
    before: Option<Counts>,
    after: Option<Counts>,
) -> Result<(), ViewError> {
    let changes = load::<u64>(view, &keys::changes(month))?.unwrap_or_default();
    store(view, keys::changes(month), &(changes + 1));
    if view.get(&keys::closed_month(month))?.is_none() {
        return Ok(());
    }
    let key = keys::restated(month, index, &name.key());
    // One event may change a row twice: what counts is how it was before and how it is after.
    let first: Option<RestatedRecord> = load(view, &key)?;
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let (count_before, channel_before) = first.map_or(before, |r| (r.before, r.channel_before));
    let record = RestatedRecord {
        dims: row.dims.clone(),
        document: name.document.clone(),
        before: count_before,
        channel_before,
        after: after.0,
        channel_after: after.1,
    };
    if record.before == record.after {
        view.delete(&key);
    } else {
        store(view, key, &record);
    }
    Ok(())
}

/// A period was closed: what changes in its months from now on is a restatement.
pub(super) fn closed(
    view: &mut (impl View + ?Sized),
    index: u64,
    at: Timestamp,
    event: &PeriodClosed,
) -> Result<(), ViewError> {
    let key = keys::closed(event.period);
    if view.get(&key)?.is_some() {
        return Ok(());
    }
    store(view, key, &ClosedRecord { index, at, snapshot: event.snapshot });
    let (first, last) = event.period.months();
    for month in first.number()..=last.number() {
        let key = keys::closed_month(Month::from_number(month));
        if view.get(&key)?.is_none() {
            store(view, key, &index);
        }
    }
    Ok(())
}

/// An agency declared its paper register of a month complete, or took that back.
pub(super) fn declared(
    view: &mut (impl View + ?Sized),
    index: u64,
    event: &PaperDeclared,
) -> Result<(), ViewError> {
    let record = DeclaredRecord { index, complete: event.complete };
    store(view, keys::declared(event.month, &event.agency), &record);
    Ok(())
}
