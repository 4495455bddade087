//! Accept: the same delivery has the same answer; a document comes into force once; what its sender says about it meets
//! what the log has of it, in the log's order.

use super::asks::open_ask;
use super::{
    Actor, Arrival, Decision, Declined, EventKind, Incoming, IncomingState, Outgoing, Records, ViewError,
};
use super::{fold, is_senders_notice, keys, load, nothing, one};
use crate::domain::document::Kind;
use crate::domain::event::{Item, Judged, NoticeFacts, Subject};
use crate::domain::fold::records::{MessageFacts, WithdrawnRecord};
use crate::domain::ids::{AgencyId, DeliveryId, DocumentKey};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::status::{Ask, Status};

pub(super) fn accept(
    view: &(impl Records + ?Sized),
    actor: Actor,
    mut arrival: Arrival,
) -> Result<Decision, Declined> {
    let id = arrival.item.delivery_id;
    let sender = arrival.item.parties.sender.clone();
    let recipient = arrival.item.parties.recipient.clone().unwrap_or_default();
    if let Some(known) = load::<Incoming>(view, &keys::incoming(&id))? {
        if known.facts.envelope_digest == arrival.item.envelope_digest {
            return Ok(nothing(actor, known.answer));
        }
        // No event: a peer that repeats itself must not fill the log.
        return Err(Rejection::new(
            Reason::Conflict,
            "envelope",
            format!("delivery {id} is known here with envelope {}", known.facts.envelope_digest),
        )
        .into());
    }
    if let Some(reason) = refused_before(view, &arrival.item)? {
        arrival.refused = Some(reason);
    }
    let mut ends = None;
    if arrival.refused.is_none() {
        match &mut arrival.item.subject {
            Subject::Document(d) => {
                let before: Option<DeliveryId> = load(view, &keys::in_force(&sender, &d.key, &recipient))?;
                if before.is_some() {
                    arrival.refused = Some(Reason::AlreadyDelivered);
                } else if let (Some(replaced), false) = (&d.replaces, arrival.held) {
                    ends = held_in_force(view, &sender, replaced, &recipient)?;
                }
            }
            Subject::Notice(n) if is_senders_notice(n.kind, n.status) => {
                arrival.refused = of_sender(view, &sender, &recipient, n)?;
                if arrival.refused.is_none() && n.kind == Kind::Revoke && !arrival.held {
                    ends = release_of_held(view, &sender, &recipient, &n.target)?;
                }
            }
            Subject::Notice(n) => {
                let record: Option<Outgoing> = load(view, &keys::outgoing(&n.target))?;
                let record = record.filter(|r| {
                    r.facts.sender == recipient && r.facts.recipient == sender && r.facts.kind.is_document()
                });
                match (record, n.status) {
                    (Some(record), Some(status)) => {
                        let asked =
                            if status.is_answer() { open_ask(&record.asked, n.answers) } else { None };
                        let late = n.after_end && !status.is_answer();
                        let history = fold::history(&record.statuses);
                        n.out_of_order = late || !Status::is_legal(&history, asked, status);
                    }
                    _ if is_of_sender(view, &sender, &recipient, &n.target)? => {
                        arrival.refused = Some(Reason::WrongParty);
                    }
                    _ => arrival.refused = Some(Reason::UnknownDelivery),
                }
            }
        }
    }
    let Arrival { item, content_digests, verdicts, judged, held, refused, origin, origin_proof, peer, first } =
        arrival;
    let event = match refused {
        Some(reason) => {
            EventKind::Refused { item, content_digests, verdicts, judged, reason, origin, origin_proof, peer }
        }
        None => {
            EventKind::Received { item, content_digests, verdicts, judged, held, origin, origin_proof, peer }
        }
    };
    let returned = first.filter(|_| matches!(event, EventKind::Received { .. }));
    let mut decision = one(actor, event);
    decision.events.extend(returned.map(|first| EventKind::Returned { delivery_id: id, first }));
    decision.events.extend(ends);
    Ok(decision)
}

/// Why a message is refused whatever it carries: it was revoked before it came.
pub fn refused_before(view: &(impl Records + ?Sized), item: &Item) -> Result<Option<Reason>, ViewError> {
    let Subject::Document(d) = &item.subject else { return Ok(None) };
    let withdrawn: Option<WithdrawnRecord> =
        load(view, &keys::withdrawn(&item.delivery_id, &item.parties.sender))?;
    let is_meant = withdrawn.is_some_and(|w| {
        Some(&w.recipient) == item.parties.recipient.as_ref() && w.document_digest == d.document_digest
    });
    Ok(is_meant.then_some(Reason::Withdrawn))
}

/// Why a message of a document's sender about it is refused, if it is.
fn of_sender(
    view: &(impl Records + ?Sized),
    sender: &AgencyId,
    recipient: &AgencyId,
    n: &mut NoticeFacts,
) -> Result<Option<Reason>, ViewError> {
    let ask = Ask::of(n.kind, n.status);
    let record: Option<Incoming> = load(view, &keys::incoming(&n.target))?;
    let record = record.filter(|r| r.facts.recipient == *recipient && r.facts.sender == *sender);
    let Some(record) = record.filter(|r| r.facts.kind.is_document()) else {
        let outgoing: Option<Outgoing> = load(view, &keys::outgoing(&n.target))?;
        let own = outgoing.is_some_and(|r| r.facts.sender == *recipient && r.facts.recipient == *sender);
        return Ok(match ask {
            _ if own => Some(Reason::WrongParty),
            // It overtook the document, which is refused when it comes.
            Some(Ask::Revoke) => None,
            _ => Some(Reason::UnknownDelivery),
        });
    };
    let other = n.stated.as_ref().is_some_and(|s| {
        Some(&s.key) != record.facts.key.as_ref() || Some(s.document_digest) != record.facts.document_digest
    });
    if other {
        return Ok(Some(Reason::Conflict));
    }
    if ask == Some(Ask::Revoke) {
        return Ok(None);
    }
    if record.ended.is_some() {
        return Ok(Some(Reason::Revoked));
    }
    if record.state != IncomingState::Received {
        return Ok(Some(Reason::NotDelivered));
    }
    if let Some(status) = n.status {
        let open = record.asked.iter().any(|a| a.ask == Ask::TakeBack && a.state.is_open());
        n.out_of_order = !Status::is_legal(&[], open.then_some(Ask::TakeBack), status);
    }
    Ok(None)
}

/// Whether `from` sent the delivery to `to`.
fn is_of_sender(
    view: &(impl Records + ?Sized),
    from: &AgencyId,
    to: &AgencyId,
    target: &DeliveryId,
) -> Result<bool, ViewError> {
    let record: Option<Incoming> = load(view, &keys::incoming(target))?;
    Ok(record
        .is_some_and(|r| r.facts.recipient == *to && r.facts.sender == *from && r.facts.kind.is_document()))
}

/// What is held and meets its revoke, or its replacement, never comes into force: a whole answer to its origin.
fn release_of_held(
    view: &(impl Records + ?Sized),
    sender: &AgencyId,
    recipient: &AgencyId,
    id: &DeliveryId,
) -> Result<Option<EventKind>, ViewError> {
    let record: Option<Incoming> = load(view, &keys::incoming(id))?;
    let record = record.filter(|r| r.facts.sender == *sender && r.facts.recipient == *recipient);
    let Some(record) = record.filter(|r| r.state == IncomingState::Held) else { return Ok(None) };
    Ok(Some(EventKind::Released {
        delivery_id: *id,
        envelope_digest: record.facts.envelope_digest,
        content_digests: record.content_digests,
        refused: Some(Reason::Withdrawn),
        verdicts: record.verdicts,
        judged: Judged::default(),
        origin: record.origin,
    }))
}

fn held_in_force(
    view: &(impl Records + ?Sized),
    sender: &AgencyId,
    key: &DocumentKey,
    recipient: &AgencyId,
) -> Result<Option<EventKind>, ViewError> {
    match load::<DeliveryId>(view, &keys::in_force(sender, key, recipient))? {
        Some(id) => release_of_held(view, sender, recipient, &id),
        None => Ok(None),
    }
}

/// What else is decided with the release of a message: a held document that it revokes or replaces.
pub(super) fn ends_held(
    view: &(impl Records + ?Sized),
    facts: &MessageFacts,
) -> Result<Option<EventKind>, ViewError> {
    match (facts.kind, &facts.target, &facts.replaces) {
        (Kind::Revoke, Some(target), _) => release_of_held(view, &facts.sender, &facts.recipient, target),
        (_, _, Some(replaced)) => held_in_force(view, &facts.sender, replaced, &facts.recipient),
        _ => Ok(None),
    }
}

/// Why a held update comes too late to be released.
pub(super) fn late(view: &(impl Records + ?Sized), held: &Incoming) -> Result<Option<Reason>, ViewError> {
    let (Kind::Update, Some(target)) = (held.facts.kind, held.facts.target) else { return Ok(None) };
    let record: Option<Incoming> = load(view, &keys::incoming(&target))?;
    Ok(record
        .is_none_or(|r| r.ended.is_some() || r.state != IncomingState::Received)
        .then_some(Reason::Revoked))
}
