//! Whether events name content that a full disk made the store forget. It is asked only after that happened.

use crate::domain::event::EventKind;
use crate::domain::ids::Digest;
use crate::store::content::ContentStore;

/// Whether one of the events names something that is lost.
pub(super) fn names_lost(content: &ContentStore, events: &[EventKind]) -> bool {
    events.iter().any(|event| named(event).any(|digest| content.is_lost(&digest)))
}

/// What an event stands on: content with its signatures, envelope, evidence, and the other side's proof.
fn named(event: &EventKind) -> impl Iterator<Item = Digest> {
    let none: &[Digest] = &[];
    let (envelope, content, evidence, proof) = match event {
        EventKind::Submitted { item, content_digests, judged, .. } => {
            (Some(item.envelope_digest), content_digests.as_slice(), judged.evidence.as_slice(), None)
        }
        EventKind::Received { item, content_digests, judged, origin_proof, .. }
        | EventKind::Refused { item, content_digests, judged, origin_proof, .. } => (
            Some(item.envelope_digest),
            content_digests.as_slice(),
            judged.evidence.as_slice(),
            Some(*origin_proof),
        ),
        EventKind::Settled { receipt_proof, .. } => (None, none, none, Some(*receipt_proof)),
        EventKind::PeriodClosed(closed) => (Some(closed.snapshot), none, none, None),
        EventKind::Released { judged, .. } => (None, none, judged.evidence.as_slice(), None),
        _ => (None, none, none, None),
    };
    content.iter().chain(evidence).copied().chain(envelope).chain(proof)
}
