//! Content of a message that a peer offered: pulled from it, from where an earlier pull broke off.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Receiving, Resume, TransferId, Wanted, is_small};
use crate::domain::Envelope;
use crate::domain::ids::{DeliveryId, Digest, NodeName};
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::Exchange;
use crate::exchange::accept::ContentSource;
use crate::signature::{Digests, digest_needs};

/// How long a pull waits for the next piece.
const IDLE: Duration = Duration::from_secs(60);

impl Exchange {
    /// Pulls the content of an envelope into the store. What is returned keeps what came until its message is recorded
    /// ([`Receiving::forget`]).
    pub(in crate::exchange) async fn pull(
        &self,
        peer: &NodeName,
        envelope: &Envelope,
        envelope_digest: Digest,
        signatures: &[Vec<Bytes>],
        source: &dyn ContentSource,
    ) -> Result<(Vec<Digests>, Receiving), Rejection> {
        let _place = self.inner.transfers.places.pulls.take(peer.as_str()).await?;
        let parts = envelope.parts();
        let wanted: Arc<[Wanted]> = parts
            .iter()
            .zip(signatures)
            .map(|(part, signatures)| Wanted {
                size: part.size,
                sha256: part.sha256,
                needs: digest_needs(signatures),
            })
            .collect();
        let delivery = envelope.delivery_id;
        let mut content = if is_small(envelope.content_size()) {
            self.receive_small(wanted, false)?
        } else {
            self.receive(pull_id(peer, &delivery, envelope_digest), wanted, Resume::Newest).await?
        };
        let superseded = content.cancelled();
        tokio::pin!(superseded);
        let (first, offset) = content.position();
        for (i, part) in parts.iter().enumerate().skip(first) {
            if part.size == 0 {
                continue;
            }
            let from = if i == first { offset } else { 0 };
            let mut left = part.size - from;
            let mut pieces = source.open(delivery, i as u32, from).await?;
            while left > 0 {
                let piece = tokio::select! {
                    piece = tokio::time::timeout(IDLE, pieces.next()) => piece,
                    () = &mut superseded => return Err(Rejection::new(
                        Reason::Overloaded,
                        "",
                        "the same delivery was offered again, and is pulled for that offer",
                    )),
                };
                let piece = piece.map_err(|_| stopped(peer, i, "nothing more came within 60 s"))??;
                let piece = piece.ok_or_else(|| stopped(peer, i, "its content ended too early"))?;
                if piece.len() as u64 > left {
                    content.forget();
                    return Err(Rejection::new(
                        Reason::ContentMismatch,
                        format!("parts[{i}]"),
                        format!("more than {} bytes", part.size),
                    ));
                }
                left -= piece.len() as u64;
                content.push(piece).await?;
            }
        }
        let digests = content.complete(|i| parts[i].name.clone()).await?;
        content.store().await?;
        Ok((digests, content))
    }
}

/// The transfer of a delivery that a peer offered.
pub(crate) fn pull_id(peer: &NodeName, delivery: &DeliveryId, envelope: Digest) -> TransferId {
    TransferId::pull(peer.as_str(), &delivery.to_string(), envelope)
}

fn stopped(peer: &NodeName, part: usize, what: &str) -> Rejection {
    Rejection::new(Reason::PeerUnreachable, format!("parts[{part}]"), format!("node `{peer}`: {what}"))
}
