//! Recovery: what comes back of a lost log, and what is delivered to it again.

use super::{
    Actor, Decision, Declined, EventKind, Outgoing, Records, ViewError, keys, load, nothing, one, outgoing,
};
use crate::domain::event::LogRef;
use crate::domain::generation::Recovered;
use crate::domain::hold::purged;
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::status::{DeliveryState, Status};

/// A message comes back once. One that waits here under the same delivery id is it, where it is the same document: its
/// system sent that anew before it was known here again. Anything else under that id stands, and the other node decides.
pub(super) fn recover(view: &(impl Records + ?Sized), recovered: Recovered) -> Result<Decision, Declined> {
    let Some(item) = recovered.submitted.item() else { return Ok(nothing(Actor::node(), 0)) };
    if let Some(known) = load::<Outgoing>(view, &keys::outgoing(&item.delivery_id))? {
        let digest = match &item.subject {
            crate::domain::event::Subject::Document(document) => Some(document.document_digest),
            crate::domain::event::Subject::Notice(_) => None,
        };
        let waits = matches!(known.state, DeliveryState::Queued | DeliveryState::Undelivered);
        let same = digest.is_some() && known.facts.document_digest == digest;
        if !(waits && same && known.lost_origin.is_none()) {
            return Ok(nothing(Actor::node(), known.submitted_index));
        }
    }
    Ok(one(Actor::node(), EventKind::Recovered(Box::new(recovered))))
}

/// Whether a delivery that was answered by `lost` is delivered again, when the log with that event is lost: while it is
/// in force or held, and its content is here. What was revoked, taken back, replaced or refused stays as it is, with
/// what was said about it.
pub fn is_sent_again(
    view: &(impl Records + ?Sized),
    id: &DeliveryId,
    record: &Outgoing,
    lost: &LogRef,
) -> Result<bool, ViewError> {
    let answered = matches!(record.state, DeliveryState::Delivered | DeliveryState::Held);
    if !answered || record.again.is_some() || record.receipt.as_ref() != Some(lost) || is_over(record) {
        return Ok(false);
    }
    if let Some(target) = &record.facts.target {
        // Of its own document, or of the other side's.
        let out: Option<Outgoing> = load(view, &keys::outgoing(target))?;
        let came: Option<super::Incoming> = load(view, &keys::incoming(target))?;
        let of_over = out.as_ref().is_some_and(is_over) || came.as_ref().is_some_and(|r| r.ended.is_some());
        if of_over || purged(view, target)?.is_some() {
            return Ok(false);
        }
    }
    Ok(purged(view, id)?.is_none())
}

/// Whether a document is out of force at its recipient.
fn is_over(record: &Outgoing) -> bool {
    record.ended.is_some() || record.statuses.iter().any(|s| s.status == Status::Refused && !s.after_end)
}

/// It goes to its recipient's node again.
pub(super) fn send_again(
    view: &(impl Records + ?Sized),
    delivery_id: DeliveryId,
    peer: NodeName,
    lost: LogRef,
) -> Result<Decision, Declined> {
    let record = outgoing(view, &delivery_id)?;
    if !is_sent_again(view, &delivery_id, &record, &lost)? {
        return Ok(nothing(Actor::node(), record.submitted_index));
    }
    Ok(one(Actor::node(), EventKind::SentAgain { delivery_id, peer, lost }))
}

/// Whether a receipt answers what was delivered again: one of the lost log does not.
pub(super) fn answers_again(record: &Outgoing, receipt: &LogRef) -> bool {
    let before = record.receipt.as_ref().is_none_or(|before| before.log != receipt.log);
    record.again.is_some() && before
}
