//! Notices take effect: statuses, and what a sender asks (revoke, update, take-back) with its answer; and how a document
//! leaves force at its recipient.
//!
//! The log of the recipient's node decides what came first. There a document is in force until the first of: a revoke
//! that was received, a replace message that was received, a 15 to a 13 that was given. The sender's node learns of each
//! by a proof or a message that names its place in that log, in any order, and keeps the earliest.

use super::records::{
    Asked, AttemptRecord, Ended, Incoming, IncomingState, MessageFacts, Outgoing, StatedRecord, StatusEntry,
    WithdrawnRecord,
};
use super::{
    View, ViewError, arrivals, feed, is_newest, keys, leave_force, load, recovered, rows, set_live, sets,
    store,
};
use crate::domain::document::Kind;
use crate::domain::event::{LogRef, NoticeFacts, Stated};
use crate::domain::ids::{DeliveryId, Digest, DocumentKey};
use crate::domain::reason::Reason;
use crate::domain::status::{Ask, AskState, DeliveryState, EndedBy, Status};
use crate::time::Timestamp;

/// A notice and where it is recorded.
pub(super) struct Message<'a> {
    pub(super) id: DeliveryId,
    pub(super) envelope: Digest,
    pub(super) facts: &'a MessageFacts,
    pub(super) notice: &'a NoticeFacts,
    pub(super) index: u64,
    pub(super) at: Timestamp,
}

impl Message<'_> {
    fn asked(&self, state: AskState) -> Option<Asked> {
        Some(Asked {
            ask: Ask::of(self.notice.kind, self.notice.status)?,
            notice: self.id,
            envelope: self.envelope,
            statement: self.notice.stated.as_ref().map(|s| s.statement),
            at: self.notice.sent_at,
            index: self.index,
            state,
            answer: None,
        })
    }

    fn status(&self) -> Option<StatusEntry> {
        self.notice.status.map(|status| StatusEntry {
            status,
            at: self.notice.sent_at,
            out_of_order: self.notice.out_of_order,
            after_end: self.notice.after_end,
            index: self.index,
        })
    }
}

/// The state that an answer gives to what it answers.
fn answered(status: Status) -> AskState {
    if status == Status::TakeBackAgreed { AskState::Agreed } else { AskState::Refused }
}

/// Recorded at the node of its sender, who sees it at once.
pub(super) fn submitted(view: &mut (impl View + ?Sized), message: &Message<'_>) -> Result<(), ViewError> {
    let notice = message.notice;
    let incoming_key = keys::incoming(&notice.target);
    if let Some(mut record) = load::<Incoming>(view, &incoming_key)?
        && record.facts.recipient == message.facts.sender
    {
        record.notices = record.notices.max(notice.message_number);
        record.statuses.extend(message.status());
        if let Some(status) = notice.status.filter(|_| !notice.after_end) {
            arrivals::status(view, &record.facts, status, notice.sent_at)?;
        }
        if notice.status == Some(Status::Refused)
            && !notice.after_end
            && let Some(document) = &record.facts.key
        {
            // Refused by the recipient: a corrected document may follow under the same key.
            leave_force(view, &record.facts, document, &notice.target)?;
        }
        if let (Some(status), Some(answers), false) = (notice.status, notice.answers, notice.out_of_order)
            && let Some(asked) = record.asked.iter_mut().find(|a| a.notice == answers && a.state.is_open())
        {
            asked.state = answered(status);
            asked.answer = Some(message.index);
            match (asked.ask, asked.state) {
                (Ask::TakeBack, AskState::Agreed) => {
                    end(view, &mut record, &notice.target, EndedBy::TakenBack, message.id, message)?;
                }
                // The recipient knows: nothing of it waits any more.
                (Ask::Revoke, _) => {
                    sets::remove(view, keys::inbox_of(&record.facts.recipient), record.index)?;
                }
                _ => {}
            }
        }
        store(view, incoming_key, &record);
        return Ok(());
    }
    let outgoing_key = keys::outgoing(&notice.target);
    if let Some(mut record) = load::<Outgoing>(view, &outgoing_key)? {
        record.notices = record.notices.max(notice.message_number);
        record.statuses.extend(message.status());
        record.asked.extend(message.asked(AskState::Sent));
        store(view, outgoing_key, &record);
        return Ok(());
    }
    // Of a lost log messages come back before the delivery that they are about.
    recovered::says(view, message.facts, notice)
}

/// Recorded at the node of its recipient: it reaches the delivery that it is about, and the ratios. `origin` is its
/// place in its sender's log.
pub(super) fn received(
    view: &mut (impl View + ?Sized),
    message: &Message<'_>,
    origin: &LogRef,
) -> Result<(), ViewError> {
    let (notice, facts) = (message.notice, message.facts);
    let outgoing_key = keys::outgoing(&notice.target);
    if let Some(mut record) = load::<Outgoing>(view, &outgoing_key)?
        && record.facts.recipient == facts.sender
    {
        record.statuses.extend(message.status());
        if let Some(status) = notice.status
            && !notice.after_end
            && record.facts.kind.is_document()
            && is_newest(view, &record.facts, &notice.target)?
        {
            rows::status(view, &record.facts, message.index, status, notice.sent_at)?;
            if status == Status::Refused && record.state == DeliveryState::Delivered {
                // The recipient refused: the attempt is closed, so that a corrected document may follow.
                set_live(view, &record.facts, false)?;
            }
        }
        if let (Some(status), Some(answers), false) = (notice.status, notice.answers, notice.out_of_order)
            && let Some(asked) = record.asked.iter_mut().find(|a| a.notice == answers)
        {
            asked.state = answered(status);
            asked.answer = Some(message.index);
            if (asked.ask, asked.state) == (Ask::TakeBack, AskState::Agreed) {
                learn_end(&mut record, ended(EndedBy::TakenBack, message.id, message, origin));
            }
        }
        close_ended(view, &record)?;
        feed(view, &record.facts.sender, message.index)?;
        store(view, outgoing_key, &record);
        return Ok(());
    }
    takes_effect(view, message)
}

/// A message of a document's sender reaches it at its recipient's node: as it is received, or released.
pub(super) fn takes_effect(view: &mut (impl View + ?Sized), message: &Message<'_>) -> Result<(), ViewError> {
    let (notice, facts) = (message.notice, message.facts);
    let key = keys::incoming(&notice.target);
    let Some(mut record) = load::<Incoming>(view, &key)? else {
        if let (Some(Ask::Revoke), Some(stated)) = (Ask::of(notice.kind, notice.status), &notice.stated) {
            let withdrawn = WithdrawnRecord {
                notice: message.id,
                recipient: facts.recipient.clone(),
                document_digest: stated.document_digest,
            };
            store(view, keys::withdrawn(&notice.target, &facts.sender), &withdrawn);
        }
        return Ok(());
    };
    if record.facts.recipient != facts.recipient || record.facts.sender != facts.sender {
        return Ok(());
    }
    // Of what never came to it the recipient is told nothing.
    feed(view, &facts.recipient, message.index)?;
    record.statuses.extend(message.status());
    if record.state == IncomingState::Received && record.facts.kind.is_document() {
        record.asked.extend(message.asked(AskState::Open).filter(|_| !notice.out_of_order));
        if notice.kind == Kind::Revoke {
            end(view, &mut record, &notice.target, EndedBy::Revoked, message.id, message)?;
        }
    }
    store(view, key, &record);
    Ok(())
}

/// A document that arrived takes the one that it replaces out of force; which that was.
pub(super) fn replaces(
    view: &mut (impl View + ?Sized),
    facts: &MessageFacts,
    id: DeliveryId,
    index: u64,
    at: Timestamp,
) -> Result<Option<DeliveryId>, ViewError> {
    let Some(replaced) = &facts.replaces else { return Ok(None) };
    let in_force = keys::in_force(&facts.sender, replaced, &facts.recipient);
    let Some(old) = load::<DeliveryId>(view, &in_force)? else { return Ok(None) };
    let key = keys::incoming(&old);
    let Some(mut record) = load::<Incoming>(view, &key)? else { return Ok(None) };
    if record.state == IncomingState::Received {
        end_at(view, &mut record, &old, EndedBy::Replaced, id, (index, at))?;
        store(view, key, &record);
    }
    Ok(Some(old))
}

/// At the sender's node: a replace message was delivered.
pub(super) fn replaced(
    view: &mut (impl View + ?Sized),
    new: &Outgoing,
    id: DeliveryId,
    index: u64,
    at: Timestamp,
) -> Result<(), ViewError> {
    let (Some(replaced), Some(receipt)) = (&new.facts.replaces, &new.receipt) else { return Ok(()) };
    let attempt = keys::attempt(&new.facts.sender, replaced, &new.facts.recipient);
    let Some(attempt) = load::<AttemptRecord>(view, &attempt)? else { return Ok(()) };
    let key = keys::outgoing(&attempt.delivery_id);
    let Some(mut old) = load::<Outgoing>(view, &key)? else { return Ok(()) };
    let there = (receipt.log.clone(), receipt.index);
    learn_end(&mut old, Ended { by: EndedBy::Replaced, message: id, at, index, there });
    close_ended(view, &old)?;
    store(view, key, &old);
    Ok(())
}

/// At the sender's node: what became of a message that asks something.
pub(super) fn closed(
    view: &mut (impl View + ?Sized),
    notice: &Outgoing,
    id: DeliveryId,
    index: u64,
    at: Timestamp,
) -> Result<(), ViewError> {
    let Some(target) = notice.facts.target else { return Ok(()) };
    let key = keys::outgoing(&target);
    let Some(mut record) = load::<Outgoing>(view, &key)? else { return Ok(()) };
    if record.facts.sender != notice.facts.sender {
        return Ok(());
    }
    let Some(asked) = record.asked.iter_mut().find(|a| a.notice == id) else { return Ok(()) };
    let under_way = matches!(asked.state, AskState::Sent | AskState::Void);
    let mut ends = false;
    match notice.state {
        DeliveryState::Delivered => {
            if under_way {
                (asked.state, asked.answer) = (AskState::Open, None);
            }
            ends = asked.ask == Ask::Revoke;
        }
        DeliveryState::Refused | DeliveryState::Undelivered | DeliveryState::Withdrawn => {
            if under_way {
                (asked.state, asked.answer) = (AskState::Void, Some(index));
            }
            // The recipient's node says that the document is out of force: by what, its own proof may say later.
            ends = notice.state == DeliveryState::Refused && notice.reason == Some(Reason::Revoked);
        }
        DeliveryState::Queued | DeliveryState::Held => {}
    }
    if let (true, Some(receipt)) = (ends, &notice.receipt) {
        let there = (receipt.log.clone(), receipt.index);
        learn_end(&mut record, Ended { by: EndedBy::Revoked, message: id, at, index, there });
    }
    settle_asks(&mut record, index);
    close_ended(view, &record)?;
    store(view, key, &record);
    Ok(())
}

/// A document that never came into force leaves nothing to answer.
pub(super) fn settle_asks(record: &mut Outgoing, index: u64) {
    let state = match record.state {
        DeliveryState::Withdrawn => AskState::Agreed,
        DeliveryState::Refused => AskState::Void,
        _ => return,
    };
    record.ended = None;
    for asked in record.asked.iter_mut().filter(|a| a.ask == Ask::Revoke && a.state.is_open()) {
        (asked.state, asked.answer) = (state, Some(index));
    }
}

/// A delivered document that is out of force frees its number.
pub(super) fn close_ended(view: &mut (impl View + ?Sized), record: &Outgoing) -> Result<(), ViewError> {
    if record.ended.is_some() && record.state == DeliveryState::Delivered {
        set_live(view, &record.facts, false)?;
    }
    Ok(())
}

fn ended(by: EndedBy, id: DeliveryId, message: &Message<'_>, there: &LogRef) -> Ended {
    let there = (there.log.clone(), there.index);
    Ended { by, message: id, at: message.at, index: message.index, there }
}

/// The sender's node learns what took the document out of force; of two things, what the recipient's log has first.
fn learn_end(record: &mut Outgoing, new: Ended) {
    if matches!(record.state, DeliveryState::Refused | DeliveryState::Withdrawn) {
        return;
    }
    let earlier =
        record.ended.as_ref().is_none_or(|old| new.there.0 == old.there.0 && new.there.1 < old.there.1);
    if earlier {
        record.ended = Some(new);
    }
}

fn end(
    view: &mut (impl View + ?Sized),
    record: &mut Incoming,
    target: &DeliveryId,
    by: EndedBy,
    id: DeliveryId,
    message: &Message<'_>,
) -> Result<(), ViewError> {
    end_at(view, record, target, by, id, (message.index, message.at))
}

/// The document leaves force at its recipient's node. What was revoked and never handed over stays in the inbox, marked,
/// until the recipient answers.
fn end_at(
    view: &mut (impl View + ?Sized),
    record: &mut Incoming,
    target: &DeliveryId,
    by: EndedBy,
    message: DeliveryId,
    (index, at): (u64, Timestamp),
) -> Result<(), ViewError> {
    if record.ended.is_some() {
        return Ok(());
    }
    record.ended = Some(Ended { by, message, at, index, there: (String::new(), index) });
    if let Some(document) = record.facts.key.clone() {
        leave_force(view, &record.facts, &document, target)?;
    }
    if by != EndedBy::Revoked {
        sets::remove(view, keys::inbox_of(&record.facts.recipient), record.index)?;
    }
    Ok(())
}

/// What a held revoke or update said, for its release.
pub(super) fn of_record(record: &Incoming) -> Option<NoticeFacts> {
    let stated = record.stated.as_ref()?;
    Some(NoticeFacts {
        kind: record.facts.kind,
        target: record.facts.target?,
        message_number: 0,
        status: record.facts.status,
        out_of_order: false,
        sent_at: stated.sent_at,
        stated: Some(Stated {
            key: stated.key.clone(),
            document_digest: stated.document_digest,
            statement: stated.statement,
        }),
        answers: None,
        after_end: false,
    })
}

/// What a record keeps of a revoke or update.
pub(super) fn stated(notice: &NoticeFacts) -> Option<StatedRecord> {
    let Stated { key, document_digest, statement } = notice.stated.clone()?;
    Some(StatedRecord { key, document_digest, statement, sent_at: notice.sent_at })
}

/// Of a withdrawn attempt's earlier ones, the newest that was delivered: it is what still counts.
pub(super) fn delivered_before(
    view: &(impl View + ?Sized),
    facts: &MessageFacts,
    key: &DocumentKey,
) -> Result<Option<Outgoing>, ViewError> {
    let attempt = keys::attempt(&facts.sender, key, &facts.recipient);
    let Some(attempt) = load::<AttemptRecord>(view, &attempt)? else { return Ok(None) };
    for id in attempt.earlier.iter().rev() {
        if let Some(record) = load::<Outgoing>(view, &keys::outgoing(id))?
            && record.state == DeliveryState::Delivered
        {
            return Ok(Some(record));
        }
    }
    Ok(None)
}
