//! What a sender may ask about a document that it sent, when asking again is the same, and what an answer is to.

use super::no_longer;
use crate::domain::fold::records::{Asked, Outgoing};
use crate::domain::ids::{DeliveryId, Digest};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::status::{Ask, AskState, DeliveryState};

/// The same that was asked before and is under way or in effect: asking again is answered with it.
pub fn asked_before<'a>(asked: &'a [Asked], ask: Ask, statement: Option<&Digest>) -> Option<&'a Asked> {
    let mut same = asked.iter().rev().filter(|a| a.ask == ask);
    match ask {
        Ask::Revoke => same.find(|a| a.state.is_open() || a.state == AskState::Agreed),
        Ask::TakeBack => same.find(|a| a.state.is_open()),
        // The newest that stands: an older one may be wanted again.
        Ask::Update => same
            .find(|a| a.state.is_open() || a.state == AskState::Agreed)
            .filter(|a| a.statement.as_ref() == statement),
    }
}

/// Whether the sender may ask this now.
///
/// A revoke may follow the document at any time, also before it arrived. An update and a take-back are for what is with
/// its recipient and in force.
pub fn may_ask(record: &Outgoing, id: &DeliveryId, ask: Ask) -> Result<(), Rejection> {
    if !record.facts.kind.is_document() {
        return Err(Rejection::new(
            Reason::WrongParty,
            "delivery_id",
            format!("{id} is a {} message: it cannot be taken back", record.facts.kind.as_str()),
        ));
    }
    no_longer(record.ended.as_ref(), id)?;
    let not = |what: &str| {
        Err(Rejection::new(Reason::NotDelivered, "delivery_id", format!("delivery {id} {what}")))
    };
    match (record.state, ask) {
        (DeliveryState::Refused, _) => not("was refused at the recipient's node: nothing of it is in force"),
        (DeliveryState::Withdrawn, _) => not("was withdrawn before it arrived: nothing of it is in force"),
        (_, Ask::Revoke) | (DeliveryState::Delivered, _) => {
            match asked_before(&record.asked, Ask::Revoke, None) {
                Some(revoke) if ask != Ask::Revoke => Err(Rejection::new(
                    Reason::Revoked,
                    "delivery_id",
                    format!(
                        "delivery {id} is being revoked by message {}: nothing else can be asked",
                        revoke.notice
                    ),
                )),
                _ => Ok(()),
            }
        }
        (state, _) => not(&format!(
            "is {state}, not with its recipient: wait until it is delivered, or revoke it, which is possible now"
        )),
    }
}

/// What a 15 or 16 answers: what is named, or the only thing that is open; `None` where nothing is.
pub fn answered(asked: &[Asked], named: Option<DeliveryId>) -> Result<Option<DeliveryId>, Rejection> {
    if let Some(id) = named {
        return match asked.iter().any(|a| a.notice == id) {
            true => Ok(Some(id)),
            false => Err(Rejection::new(
                Reason::UnknownDelivery,
                "answers",
                format!("{id} asks nothing about this delivery: Watch and Track name what does"),
            )),
        };
    }
    let mut open = asked.iter().filter(|a| a.state.is_open());
    match (open.next(), open.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => Ok(Some(only.notice)),
        (Some(_), Some(_)) => Err(Rejection::new(
            Reason::MissingField,
            "answers",
            "more than one request is open: name the message that is answered (Watch and Track do)",
        )),
    }
}

/// What a notice answers, while that may still be answered.
pub(super) fn open_ask(asked: &[Asked], answers: Option<DeliveryId>) -> Option<Ask> {
    let answers = answers?;
    // At the sender's node an answer may overtake the receipt of what it answers.
    asked
        .iter()
        .find(|a| a.notice == answers && !matches!(a.state, AskState::Agreed | AskState::Refused))
        .map(|a| a.ask)
}
