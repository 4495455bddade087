//! Submit: one key, one content while anything of it is in force; one event per new delivery.

use super::asks::{asked_before, may_ask, open_ask};
use super::{
    Actor, Answer, Decision, Declined, EventKind, Place, Prepared, is_senders_notice, outgoing, reused,
};
use super::{Incoming, IncomingState, Outgoing, Records, RequestId, ViewError, fold, keys, load, unknown};
use crate::domain::event::{DocumentFacts, NoticeFacts, Subject};
use crate::domain::fold::records::{Asked, AttemptRecord, DocumentRecord, RequestRecord};
use crate::domain::ids::{AgencyId, DeliveryId, DocumentKey};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::domain::status::{Ask, DeliveryState, Status};

/// What decides about one prepared message.
enum New {
    /// It is recorded already.
    Existing(DeliveryId, u64),
    /// It becomes an event.
    Event,
}

pub(super) fn submit(
    view: &(impl Records + ?Sized),
    actor: Actor,
    request_id: RequestId,
    deliveries: Vec<Prepared>,
) -> Result<Decision, Declined> {
    let mut events = Vec::with_capacity(deliveries.len());
    let mut sent = Vec::with_capacity(deliveries.len());
    for mut prepared in deliveries {
        let sender = prepared.item.parties.sender.clone();
        let recipient = prepared.item.parties.recipient.clone().unwrap_or_default();
        let known: Option<RequestRecord> = load(view, &keys::request(&sender, &request_id))?;
        let digest = fold::notice_digest(&prepared.item);
        let new = match &mut prepared.item.subject {
            Subject::Document(d) => {
                if known.is_some_and(|k| k.digest != d.document_digest) {
                    return Err(reused(&request_id).into());
                }
                document(view, &sender, &recipient, d, prepared.item.attempt)?
            }
            Subject::Notice(n) => match known {
                Some(known) if Some(known.digest) != digest => return Err(reused(&request_id).into()),
                // What was given the same answer as an earlier one stands for that one.
                Some(known) => New::Existing(prepared.item.delivery_id, known.index),
                None => notice(view, &sender, n)?,
            },
        };
        if let New::Existing(id, index) = new {
            sent.push((id, Place::Existing(index)));
            continue;
        }
        sent.push((prepared.item.delivery_id, Place::New(events.len())));
        events.push(EventKind::Submitted {
            item: prepared.item,
            request_id: request_id.clone(),
            content_digests: prepared.content_digests,
            verdicts: prepared.verdicts,
            judged: prepared.judged,
            not_after: prepared.not_after,
            peer: prepared.peer,
            content_size: prepared.content_size,
        });
    }
    Ok(Decision { actor, events, answer: Answer::Sent(sent) })
}

fn document(
    view: &(impl Records + ?Sized),
    sender: &AgencyId,
    recipient: &AgencyId,
    d: &DocumentFacts,
    prepared_attempt: u32,
) -> Result<New, Declined> {
    let in_use: Option<DocumentRecord> = load(view, &keys::document(sender, &d.key))?;
    if in_use.is_some_and(|r| r.live > 0 && r.digest != d.document_digest) {
        return Err(Rejection::new(
            Reason::Conflict,
            "metadata.number",
            format!(
                "{} of {sender} is in force with other metadata or content: send an update or a \
                 replacement, or correct the number",
                d.key
            ),
        )
        .into());
    }
    let attempt: Option<AttemptRecord> = load(view, &keys::attempt(sender, &d.key, recipient))?;
    match attempt {
        Some(a) if a.live => {
            let record = outgoing(view, &a.delivery_id)?;
            Ok(New::Existing(a.delivery_id, record.submitted_index))
        }
        other => {
            let expected = other.map_or(1, |a| a.attempt + 1);
            if expected != prepared_attempt {
                return Err(Declined::Stale);
            }
            if let Some(replaced) = &d.replaces
                && replaceable(view, sender, replaced, recipient)?.is_err()
            {
                // It was when this was prepared.
                return Err(Declined::Stale);
            }
            Ok(New::Event)
        }
    }
}

/// Whether a document may be replaced at a recipient: not while it is on its way there, for the two could change places.
pub fn replaceable(
    view: &(impl Records + ?Sized),
    sender: &AgencyId,
    replaced: &DocumentKey,
    recipient: &AgencyId,
) -> Result<Result<(), Rejection>, ViewError> {
    let attempt: Option<AttemptRecord> = load(view, &keys::attempt(sender, replaced, recipient))?;
    let Some(attempt) = attempt else { return Ok(Ok(())) };
    let record: Option<Outgoing> = load(view, &keys::outgoing(&attempt.delivery_id))?;
    Ok(match record.map(|r| r.state) {
        Some(state @ (DeliveryState::Queued | DeliveryState::Held)) => Err(Rejection::new(
            Reason::NotDelivered,
            "metadata.replaces",
            format!(
                "{replaced} is {state}, not with {recipient} (delivery {}): wait until it is delivered, or revoke it \
                 and send the new document",
                attempt.delivery_id
            ),
        )),
        _ => Ok(()),
    })
}

fn notice(view: &(impl Records + ?Sized), sender: &AgencyId, n: &mut NoticeFacts) -> Result<New, Declined> {
    let state = notice_state(view, sender, &n.target)?;
    let ask = Ask::of(n.kind, n.status);
    if let (Some(ask), Side::Sender(record)) = (ask, &state.side) {
        let statement = n.stated.as_ref().map(|s| &s.statement);
        if let Some(same) = asked_before(&state.asked, ask, statement) {
            return Ok(New::Existing(same.notice, same.index));
        }
        may_ask(record, &n.target, ask)?;
    }
    if is_senders_notice(n.kind, n.status) != matches!(state.side, Side::Sender(_)) {
        return Err(Rejection::new(
            Reason::WrongParty,
            "delivery_id",
            format!("{sender} has not this part in delivery {}", n.target),
        )
        .into());
    }
    if state.notices >= limits::NOTICES {
        return Err(Rejection::new(
            Reason::TooMany,
            "delivery_id",
            format!(
                "{} messages about delivery {} are all that one side may send",
                limits::NOTICES,
                n.target
            ),
        )
        .into());
    }
    if state.notices + 1 != n.message_number || n.after_end != state.after_end() {
        return Err(Declined::Stale);
    }
    if let Some(status) = n.status {
        let asked = if status.is_answer() { open_ask(&state.asked, n.answers) } else { None };
        if status.is_answer() && n.answers.is_none() && state.asked.iter().any(|a| a.state.is_open()) {
            return Err(Declined::Stale);
        }
        let late = n.after_end && !status.is_answer();
        n.out_of_order = late || !Status::is_legal(&state.history, asked, status);
    }
    Ok(New::Event)
}

/// A delivery, from the side of one of its agencies.
#[derive(Debug, Clone)]
pub struct NoticeState {
    /// Number of the last message that this side sent about it.
    pub notices: u32,
    /// Statuses so far.
    pub history: Vec<Status>,
    /// What the sender asked.
    pub asked: Vec<Asked>,
    /// Which side.
    pub side: Side,
}

/// A side of a delivery, with its record.
#[derive(Debug, Clone)]
pub enum Side {
    /// The sender's.
    Sender(Outgoing),
    /// The recipient's.
    Recipient(Incoming),
}

impl NoticeState {
    /// What a status that is given now says: that the recipient has the document no longer in force.
    pub fn after_end(&self) -> bool {
        matches!(&self.side, Side::Recipient(record) if record.ended.is_some())
    }
}

/// How a delivery stands for the next message of `agency` about it.
pub fn notice_state(
    view: &(impl Records + ?Sized),
    agency: &AgencyId,
    target: &DeliveryId,
) -> Result<NoticeState, Declined> {
    if let Some(record) = load::<Incoming>(view, &keys::incoming(target))?
        && record.facts.recipient == *agency
        && record.state == IncomingState::Received
    {
        return Ok(NoticeState {
            notices: record.notices,
            history: fold::history(&record.statuses),
            asked: record.asked.clone(),
            side: Side::Recipient(record),
        });
    }
    if let Some(record) = load::<Outgoing>(view, &keys::outgoing(target))?
        && record.facts.sender == *agency
    {
        return Ok(NoticeState {
            notices: record.notices,
            history: fold::history(&record.statuses),
            asked: record.asked.clone(),
            side: Side::Sender(record),
        });
    }
    Err(unknown(target).into())
}
