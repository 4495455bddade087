//! Whether events name content that a full disk made the store forget. It is asked only after that happened; what an
//! event does not name itself (signatures) its envelope does.

use crate::domain::event::EventKind;
use crate::domain::ids::Digest;
use crate::store::content::ContentStore;
use crate::wire;

/// Whether one of the events names something that is lost.
pub(super) fn names_lost(content: &ContentStore, events: &[EventKind]) -> bool {
    events.iter().any(|event| named(content, event).iter().any(|digest| content.is_lost(digest)))
}

/// What an event stands on.
fn named(content: &ContentStore, event: &EventKind) -> Vec<Digest> {
    let (item, digests, judged, proof) = match event {
        EventKind::Submitted { item, content_digests, judged, .. } => (item, content_digests, judged, None),
        EventKind::Received { item, content_digests, judged, origin_proof, .. }
        | EventKind::Refused { item, content_digests, judged, origin_proof, .. } => {
            (item, content_digests, judged, Some(*origin_proof))
        }
        EventKind::Settled { receipt_proof, .. } => return vec![*receipt_proof],
        EventKind::Released { judged, .. } => return judged.evidence.clone(),
        _ => return Vec::new(),
    };
    let mut out: Vec<Digest> = digests.iter().chain(&judged.evidence).copied().chain(proof).collect();
    out.push(item.envelope_digest);
    // A refusal before any content was looked at keeps none of it.
    let refused_early = matches!(event, EventKind::Refused { .. }) && digests.is_empty();
    if !refused_early
        && let Ok(Some(bytes)) = content.get(&item.envelope_digest)
        && let Ok(envelope) = wire::envelope::decode(&bytes)
    {
        out.extend(
            envelope.parts().iter().flat_map(|part| part.signatures.iter().map(|(digest, _)| *digest)),
        );
    }
    out
}
