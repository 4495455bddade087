//! Settle: the origin compares the other node's proof with what it has outstanding, and closes the delivery.
//!
//! A proof settles a delivery when every one of these holds: the log is one of a node that hosts the recipient, or did
//! not long ago; the event is Received, Refused or Released; it names this delivery, this envelope, all its
//! //! digests, and this node's own event by log, index and leaf hash (the log may be an earlier generation of it). A valid proof of anything else is
//! `bad_proof`, and the delivery stays open.

use super::{Exchange, accept};
use crate::domain::decide::Command;
use crate::domain::event::{EventKind, LogRef, RoleVerdicts};
use crate::domain::fold::records::Outgoing;
use crate::domain::fold::{keys, load};
use crate::domain::generation::is_earlier;
use crate::domain::ids::{DeliveryId, Digest, NodeName};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::status::DeliveryState;
use crate::ledger::{LedgerError, damaged, storage};
use crate::merkle::{UnverifiedCheckpoint, leaf_hash};
use crate::wire::{self, proof::Proof};

/// What an event at the recipient's node answers.
pub(crate) struct Answer<'a> {
    delivery_id: DeliveryId,
    envelope_digest: &'a Digest,
    digests: &'a Vec<Digest>,
    origin: &'a LogRef,
    pub(crate) verdicts: RoleVerdicts,
    pub(crate) outcome: DeliveryState,
    pub(crate) reason: Option<Reason>,
}

/// What the origin has outstanding.
pub(crate) struct Outstanding<'a> {
    pub(crate) delivery_id: DeliveryId,
    pub(crate) envelope_digest: &'a Digest,
    pub(crate) content_digests: &'a [Digest],
    /// Its own event.
    pub(crate) submitted: &'a LogRef,
}

impl<'a> Answer<'a> {
    /// The answer that an event is, if it is one.
    pub(crate) fn of(event: &'a EventKind) -> Option<Answer<'a>> {
        let (item, digests, origin, verdicts, outcome, reason) = match event {
            EventKind::Received { item, content_digests, verdicts, held, origin, .. } => {
                let outcome = if *held { DeliveryState::Held } else { DeliveryState::Delivered };
                (item, content_digests, origin, *verdicts, outcome, None)
            }
            EventKind::Refused { item, content_digests, verdicts, reason, origin, .. } => {
                (item, content_digests, origin, *verdicts, DeliveryState::Refused, Some(*reason))
            }
            EventKind::Released {
                delivery_id,
                envelope_digest,
                content_digests,
                refused,
                verdicts,
                origin,
                ..
            } => {
                let refused_or_not = refused.map_or(DeliveryState::Delivered, |_| DeliveryState::Refused);
                return Some(Answer {
                    delivery_id: *delivery_id,
                    envelope_digest,
                    digests: content_digests,
                    origin,
                    verdicts: *verdicts,
                    outcome: refused_or_not,
                    reason: *refused,
                });
            }
            _ => return None,
        };
        let (delivery_id, envelope_digest) = (item.delivery_id, &item.envelope_digest);
        Some(Answer { delivery_id, envelope_digest, digests, origin, verdicts, outcome, reason })
    }

    /// That it answers exactly what is outstanding.
    pub(crate) fn check(&self, outstanding: &Outstanding<'_>) -> Result<(), Rejection> {
        let id = outstanding.delivery_id;
        if self.delivery_id != id {
            return Err(bad(format!("it is about delivery {}, not {id}", self.delivery_id)));
        }
        if self.envelope_digest != outstanding.envelope_digest {
            return Err(bad(format!(
                "it names envelope {}, not {}",
                self.envelope_digest, outstanding.envelope_digest
            )));
        }
        // A refusal may come before content was looked at.
        let early = self.outcome == DeliveryState::Refused && self.digests.is_empty();
        if *self.digests != outstanding.content_digests && !early {
            return Err(bad("it names other content".to_owned()));
        }
        if !is_same_event(self.origin, outstanding.submitted) {
            return Err(bad(format!(
                "it answers event {} of `{}`, not {}",
                self.origin.index, self.origin.log, outstanding.submitted.index
            )));
        }
        Ok(())
    }
}

/// Whether another node's word for the place of an event is about this one: also where it met the event in an earlier
/// generation of the log, whose events the one in use was begun with.
fn is_same_event(named: &LogRef, own: &LogRef) -> bool {
    let log = named.log == own.log || is_earlier(&named.log, &own.log);
    log && (named.index, named.leaf_hash) == (own.index, own.leaf_hash)
}

fn bad(what: String) -> Rejection {
    Rejection::new(Reason::BadProof, "receipt", what)
}

impl Exchange {
    /// Settles with a proof that came when its delivery was no longer waited for: it may have been given up. `peer` is
    /// who sent it.
    pub async fn settle_late(&self, peer: &NodeName, proof: &Proof) -> Result<DeliveryState, Rejection> {
        let bad = |what: String| Rejection::new(Reason::BadProof, "receipt", what);
        let event = wire::leaf::decode(&proof.leaf).map_err(|e| bad(e.to_string()))?;
        let id = event
            .kind
            .delivery_id()
            .ok_or_else(|| bad(format!("it proves a `{}` event", event.kind.name())))?;
        let record: Option<Outgoing> = load(self.ledger(), &keys::outgoing(&id)).map_err(|e| damaged(&e))?;
        if record.is_none_or(|r| r.peer != *peer) {
            return Err(bad(format!("no delivery {id} is for this peer")));
        }
        self.settle(id, proof).await
    }

    /// Verifies a proof from the recipient's node and records the outcome.
    pub async fn settle(&self, id: DeliveryId, proof: &Proof) -> Result<DeliveryState, Rejection> {
        let record: Outgoing = load(self.ledger(), &keys::outgoing(&id))
            .map_err(|e| damaged(&e))?
            .ok_or_else(|| bad(format!("no delivery {id} is outstanding")))?;
        let directory = self.directory();
        // The recipient may have moved to another node while the message was on its way to this one.
        let today = self.ledger().now().date();
        let recipient = directory.agency(&record.facts.recipient);
        let hosts = recipient.map_or_else(Vec::new, |a| a.lately_hosted_by(today));
        if hosts.is_empty() {
            return Err(bad(format!("node `{}` does not host {}", record.peer, record.facts.recipient)));
        }
        let key = |signed: &UnverifiedCheckpoint| {
            hosts.iter().find_map(|node| accept::log_key(&directory, node)(signed))
        };
        let verified = self.inner.proofs.verify(proof, key)?;
        self.saw(verified.checkpoint()).await?;
        let answer = Answer::of(&verified.event().kind)
            .ok_or_else(|| bad(format!("it proves a `{}` event", verified.event().kind.name())))?;
        let own_leaf = self
            .ledger()
            .leaf(record.submitted_index)?
            .ok_or_else(|| bad(format!("event {} is missing here", record.submitted_index)))?;
        let own = match &record.lost_origin {
            Some((place, _)) => place.clone(),
            None => LogRef {
                log: self.ledger().origin().to_owned(),
                index: record.submitted_index,
                leaf_hash: leaf_hash(&own_leaf),
            },
        };
        answer.check(&Outstanding {
            delivery_id: id,
            envelope_digest: &record.facts.envelope_digest,
            content_digests: &record.content_digests,
            submitted: &own,
        })?;
        let Answer { outcome, reason, verdicts, .. } = answer;
        let receipt_proof = self.ledger().content().put(&proof.encode()).map_err(|e| storage(&e))?;
        let command = Command::Settle {
            delivery_id: id,
            outcome,
            reason,
            receipt: verified.log_ref(),
            receipt_proof,
            verdicts,
            received_at: verified.event().at,
        };
        self.ledger().commit(command).await.map_err(LedgerError::into_rejection)?;
        Ok(outcome)
    }
}
