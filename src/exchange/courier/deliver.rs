//! One message on its way: loaded when there is room, given to the peer, its proof settled.

use bytes::BytesMut;

use super::PeerLink;
use super::budget::Budget;
use super::failure::Failure;
use super::schedule::Outcome;
use crate::domain::fold::records::Outgoing;
use crate::domain::fold::{keys, load};
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{DeliveryState, Kind};
use crate::exchange::Exchange;
use crate::exchange::accept::{Offer, is_inline};
use crate::exchange::stored::Head;
use crate::exchange::traces::{Side, Span};
use crate::ledger::damaged;
use crate::wire::proof::Proof;

/// About what the origin's proof and the frame of a message take.
const FRAME_BYTES: u64 = 4_096;

/// One try of one message.
pub(super) async fn deliver(
    exchange: &Exchange,
    link: &dyn PeerLink,
    peer: &NodeName,
    budget: &Budget,
    id: DeliveryId,
) -> Outcome {
    let mut span = exchange.span("deliver", Side::Client);
    match attempt(exchange, link, peer, budget, id, &mut span).await {
        Ok(outcome) => {
            span.end(None);
            outcome
        }
        Err(failure) => {
            span.end(Some(&failure.rejection));
            Outcome::Failed(failure)
        }
    }
}

async fn attempt(
    exchange: &Exchange,
    link: &dyn PeerLink,
    peer: &NodeName,
    budget: &Budget,
    id: DeliveryId,
    span: &mut Span,
) -> Result<Outcome, Failure> {
    let here = Failure::of_this_node;
    let record: Option<Outgoing> =
        load(exchange.ledger(), &keys::outgoing(&id)).map_err(|e| here(damaged(&e)))?;
    // Given up meanwhile, or sent to another node.
    let Some(record) = record.filter(|r| r.is_open() && r.peer == *peer) else { return Ok(Outcome::Gone) };
    span.about(&id, record.facts.target.as_ref());
    span.says("peer", peer.as_str());
    span.says("kind", record.facts.kind.as_str());
    if record.waits_for_revoke() && record.state == DeliveryState::Queued {
        // The revoke goes first: what has not arrived then never comes into force.
        return Err(here(Rejection::new(Reason::Revoked, "", "its revoke goes first")));
    }
    if peer != exchange.node() {
        exchange.check_peer(peer).map_err(here)?;
        exchange.check_recovered(peer).map_err(here)?;
        check_target(exchange, &record).map_err(here)?;
    }
    let head = exchange.stored_head(&record.facts.envelope_digest).map_err(here)?;
    let (head, _room) = match budget.try_take(size(&head)) {
        Some(room) => (head, room),
        None => {
            // Who waits holds no more than it must.
            let bytes = size(&head);
            drop(head);
            let room = budget.take(bytes).await;
            (exchange.stored_head(&record.facts.envelope_digest).map_err(here)?, room)
        }
    };
    let offer = exchange.offer(&record, head).map_err(here)?;
    let proof = span.step("call", link.deliver(offer)).await?;
    // An answer is never given up on, however late: it may be the proof that it arrived.
    let settled = span.step("settle", exchange.settle(id, &proof)).await;
    if let Ok(state) = &settled {
        span.says("state", state.as_str());
    }
    match settled {
        // What was delivered before stays so.
        Ok(DeliveryState::Held) if record.state != DeliveryState::Delivered => Ok(Outcome::Held),
        Ok(_) => Ok(Outcome::Over),
        Err(rejection) if rejection.reason == Reason::BadProof => Err(Failure::of_peer(rejection)),
        Err(rejection) => Err(here(rejection)),
    }
}

/// A message about a document that is delivered again goes after it; a revoke may come before.
fn check_target(exchange: &Exchange, record: &Outgoing) -> Result<(), Rejection> {
    let Some(target) = record.facts.target.filter(|_| record.facts.kind != Kind::Revoke) else {
        return Ok(());
    };
    let document: Option<Outgoing> =
        load(exchange.ledger(), &keys::outgoing(&target)).map_err(|e| damaged(&e))?;
    if document.is_some_and(|d| d.again.is_some() && d.facts.sender == record.facts.sender) {
        let what = format!("delivery {target}, which it is about, goes there again first");
        return Err(Rejection::new(Reason::Recovering, "", what));
    }
    Ok(())
}

/// Bytes that an offer takes in memory, about.
fn size(head: &Head) -> u64 {
    let signatures: u64 =
        head.envelope.signatures().into_iter().flatten().map(|(_, size)| u64::from(*size)).sum();
    let content = head.envelope.content_size();
    let inline = if is_inline(content) { content } else { 0 };
    head.bytes.len() as u64 + signatures + inline + FRAME_BYTES
}

impl Exchange {
    /// Loads a message of the outbox from the store.
    fn offer(&self, record: &Outgoing, head: Head) -> Result<Offer, Rejection> {
        let directory_version = self.directory().version();
        if let Some((_, proof)) = &record.lost_origin {
            // The other node has it, and is asked what became of it; its content was lost here.
            let origin = Proof::decode(&self.stored_content(proof)?)?;
            let signatures = Vec::new();
            return Ok(Offer {
                envelope: head.bytes,
                origin,
                signatures,
                data: None,
                directory_version,
                lost_receipt: None,
            });
        }
        let signatures = self.stored_signatures(&head.envelope)?;
        let origin = self.ledger().prove(record.submitted_index, &self.ledger().snapshot())?;
        let lost_receipt = match record.receipt_proof.filter(|_| record.again.is_some()) {
            Some(proof) => Some(Proof::decode(&self.stored_content(&proof)?)?),
            None => None,
        };
        let data = if is_inline(head.envelope.content_size()) {
            let mut data = BytesMut::with_capacity(head.envelope.content_size() as usize);
            for part in head.envelope.parts() {
                data.extend_from_slice(&self.stored_content(&part.sha256)?);
            }
            Some(data.freeze())
        } else {
            None
        };
        let signatures = signatures.concat();
        Ok(Offer { envelope: head.bytes, origin, signatures, data, directory_version, lost_receipt })
    }
}
