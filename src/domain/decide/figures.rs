//! What is recorded about the figures: closed periods, declarations about paper, the calendar.

use super::{Decision, Declined, nothing, one};
use crate::domain::event::{Actor, EventKind};
use crate::domain::fold::records::{ClosedRecord, DeclaredRecord};
use crate::domain::fold::{Records, keys, load};
use crate::domain::ratio::{Calendar, Month, PaperDeclared, PeriodClosed};

/// Closes a period with its figures, when its months have not changed since these were read: `changes` is how often they
/// had by then.
pub(super) fn close(
    view: &(impl Records + ?Sized),
    actor: Actor,
    closed: PeriodClosed,
    changes: u64,
) -> Result<Decision, Declined> {
    if let Some(known) = load::<ClosedRecord>(view, &keys::closed(closed.period))? {
        return Ok(nothing(actor, known.index));
    }
    let (first, last) = closed.period.months();
    let mut now = 0;
    for month in first.number()..=last.number() {
        now += load::<u64>(view, &keys::changes(Month::from_number(month)))?.unwrap_or_default();
    }
    if now != changes {
        return Err(Declined::Stale);
    }
    Ok(one(actor, EventKind::PeriodClosed(closed)))
}

/// Declares a register complete, or takes that back; what is so already is recorded once.
pub(super) fn declare(
    view: &(impl Records + ?Sized),
    actor: Actor,
    declared: PaperDeclared,
) -> Result<Decision, Declined> {
    let known: Option<DeclaredRecord> = load(view, &keys::declared(declared.month, &declared.agency))?;
    match known {
        Some(known) if known.complete == declared.complete => Ok(nothing(actor, known.index)),
        _ => Ok(one(actor, EventKind::PaperDeclared(declared))),
    }
}

/// Sets the calendar, when it is another than before.
pub(super) fn calendar(view: &(impl Records + ?Sized), calendar: Calendar) -> Result<Decision, Declined> {
    let known: Calendar = load(view, &keys::calendar())?.unwrap_or_default();
    if known == calendar {
        // By which event it was set nobody asks.
        return Ok(nothing(Actor::node(), 0));
    }
    Ok(one(Actor::node(), EventKind::CalendarSet(calendar)))
}
