//! What an event stands on: the content that was durable before it.

use super::event::{EventKind, Item, Judged};
use super::ids::{DeliveryId, Digest};

/// Digests that an event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named<'a> {
    /// The message whose they are.
    pub delivery: Option<DeliveryId>,
    /// Its envelope.
    pub envelope: Option<Digest>,
    /// Its parts and signatures.
    pub content: &'a [Digest],
    /// Revocation data and timestamps: what came inside a document is not in the store by itself.
    pub evidence: &'a [Digest],
    /// The other side's proof, or figures (of a closed period, stated, of the network): kept for ever.
    pub proof: Option<Digest>,
    /// The proof of what a lost log of this node had recorded: kept for ever.
    pub lost_proof: Option<Digest>,
}

impl Named<'_> {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Digest> {
        self.content
            .iter()
            .chain(self.evidence)
            .copied()
            .chain(self.envelope)
            .chain(self.proof)
            .chain(self.lost_proof)
    }

    /// What retention may purge.
    pub fn purgeable(&self) -> impl Iterator<Item = Digest> {
        self.content.iter().copied().chain(self.envelope)
    }
}

impl EventKind {
    /// What it stands on.
    pub fn named(&self) -> Named<'_> {
        fn message<'a>(
            item: &Item,
            content: &'a [Digest],
            judged: &'a Judged,
            proof: Option<Digest>,
        ) -> Named<'a> {
            Named {
                delivery: Some(item.delivery_id),
                envelope: Some(item.envelope_digest),
                content,
                evidence: &judged.evidence,
                proof,
                lost_proof: None,
            }
        }
        match self {
            EventKind::Submitted { item, content_digests, judged, .. } => {
                message(item, content_digests, judged, None)
            }
            EventKind::Received { item, content_digests, judged, origin_proof, .. }
            | EventKind::Refused { item, content_digests, judged, origin_proof, .. } => {
                message(item, content_digests, judged, Some(*origin_proof))
            }
            EventKind::Settled { delivery_id, receipt_proof, .. } => {
                Named { delivery: Some(*delivery_id), proof: Some(*receipt_proof), ..Named::default() }
            }
            EventKind::Released { delivery_id, judged, .. } => {
                Named { delivery: Some(*delivery_id), evidence: &judged.evidence, ..Named::default() }
            }
            // What the message carried was lost; its proofs came back.
            EventKind::Recovered(recovered) => {
                Named { lost_proof: Some(recovered.origin_proof), ..recovered.settled.named() }
            }
            EventKind::Returned { delivery_id, first } => {
                Named { delivery: Some(*delivery_id), lost_proof: Some(first.proof), ..Named::default() }
            }
            EventKind::PeriodClosed(closed) => Named { proof: Some(closed.snapshot), ..Named::default() },
            EventKind::StatementMade(made) => Named { proof: Some(made.statement), ..Named::default() },
            EventKind::NetworkReported(r) => Named { proof: Some(r.result), ..Named::default() },
            _ => Named::default(),
        }
    }
}
