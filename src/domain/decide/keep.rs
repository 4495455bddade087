//! Purge, hold, lift: content goes only when nothing is open about it and nobody holds it.

use super::{Actor, Decision, Declined, EventKind, Place, load, nothing, one};
use super::{Answer, Records};
use crate::domain::fold::keys;
use crate::domain::fold::records::{Incoming, IncomingState, Outgoing};
use crate::domain::hold::{HoldScope, HoldsRecord, held_by, purged};
use crate::domain::ids::{DeliveryId, Digest};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::domain::status::AskState;

/// What shall be purged.
#[derive(Debug, Clone)]
pub struct Purge {
    /// The delivery of a document.
    pub delivery_id: DeliveryId,
    /// The type of the document.
    pub type_name: String,
    /// The rule, in words.
    pub rule: String,
    /// Messages about it.
    pub messages: Vec<DeliveryId>,
    /// Content and envelopes of all of them.
    pub digests: Vec<Digest>,
}

impl Purge {
    /// Events that follow at most.
    pub(super) fn events(&self) -> usize {
        let pieces = |all: usize| all.div_ceil(limits::PURGED_DIGESTS).max(1);
        pieces(self.messages.len()).max(pieces(self.digests.len()))
    }
}

/// Whether nothing is open about a message at this node: it is not on its way, held, unfetched or asked about. What this
/// node does not know is not open.
fn is_closed(view: &(impl Records + ?Sized), id: &DeliveryId) -> Result<bool, Declined> {
    if let Some(out) = load::<Outgoing>(view, &keys::outgoing(id))? {
        let asked = out.asked.iter().any(|a| a.state == AskState::Sent);
        if out.is_open() || asked {
            return Ok(false);
        }
    }
    if let Some(came) = load::<Incoming>(view, &keys::incoming(id))? {
        let waits = came.facts.kind.is_document() && came.handed_over.is_none() && came.ended.is_none();
        let open = match came.state {
            IncomingState::Held => true,
            IncomingState::Received => waits,
            IncomingState::Refused => false,
        };
        if open || came.asked.iter().any(|a| a.state == AskState::Sent) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Purges, or does nothing where that may not be now: the next run tries again.
pub(super) fn purge(view: &(impl Records + ?Sized), purge: Purge) -> Result<Decision, Declined> {
    let id = purge.delivery_id;
    if let Some(known) = purged(view, &id)? {
        return Ok(nothing(Actor::node(), known.index));
    }
    let out = load::<Outgoing>(view, &keys::outgoing(&id))?;
    let came = load::<Incoming>(view, &keys::incoming(&id))?;
    let facts = match (&out, &came) {
        (Some(out), _) => &out.facts,
        (None, Some(came)) => &came.facts,
        (None, None) => return Err(super::unknown(&id).into()),
    };
    let at = out.as_ref().map_or_else(|| came.as_ref().map_or(0, |r| r.index), |r| r.submitted_index);
    let held =
        held_by(view, &id, &facts.sender, &facts.recipient, facts.key.as_ref(), &purge.type_name)?.is_some();
    if held || !facts.kind.is_document() || !is_closed(view, &id)? {
        return Ok(nothing(Actor::node(), at));
    }
    for message in &purge.messages {
        if !is_closed(view, message)? {
            return Ok(nothing(Actor::node(), at));
        }
    }
    let pieces = purge.events();
    let mut messages = purge.messages.chunks(limits::PURGED_DIGESTS);
    let mut digests = purge.digests.chunks(limits::PURGED_DIGESTS);
    let events = (0..pieces)
        .map(|_| EventKind::Purged {
            delivery_id: id,
            messages: messages.next().unwrap_or_default().to_vec(),
            digests: digests.next().unwrap_or_default().to_vec(),
            rule: purge.rule.clone(),
        })
        .collect();
    Ok(Decision { actor: Actor::node(), events, answer: Answer::Recorded(Place::New(0)) })
}

/// Places a hold; the same by the same client with the same reason is one.
pub(super) fn hold(
    view: &(impl Records + ?Sized),
    actor: Actor,
    scope: HoldScope,
    reason: String,
) -> Result<Decision, Declined> {
    if let Some(record) = load::<HoldsRecord>(view, &keys::hold(&scope))? {
        if let Some(known) = record.holds.iter().find(|h| h.client == actor.client && h.reason == reason) {
            return Ok(nothing(actor, known.index));
        }
        if record.holds.len() >= limits::HOLDS {
            let what = format!("{scope} has {} holds, the most: lift one that is over", limits::HOLDS);
            return Err(Rejection::new(Reason::TooMany, "scope", what).into());
        }
    }
    Ok(one(actor, EventKind::HoldPlaced { scope, reason }))
}

/// Lifts a hold.
pub(super) fn lift(
    view: &(impl Records + ?Sized),
    actor: Actor,
    hold: u64,
    scope: HoldScope,
    reason: String,
) -> Result<Decision, Declined> {
    let record: Option<HoldsRecord> = load(view, &keys::hold(&scope))?;
    if !record.is_some_and(|r| r.holds.iter().any(|h| h.index == hold)) {
        return Err(unknown_hold(hold).into());
    }
    Ok(one(actor, EventKind::HoldLifted { hold, scope, reason }))
}

/// A refusal of a hold that is not in force.
pub fn unknown_hold(hold: u64) -> Rejection {
    let what = format!("no hold {hold} is in force: `lienthong hold list` shows those that are");
    Rejection::new(Reason::UnknownHold, "hold", what)
}
