//! Messages as this node stored them: an envelope and the signatures that it names, and content by the piece.
//!
//! What an event names was durable before it: that it is missing is damage, and said to be.

use bytes::Bytes;

use super::Exchange;
use crate::domain::ids::Digest;
use crate::domain::reason::Rejection;
use crate::domain::{Envelope, limits};
use crate::ledger::{must_be_checked, storage};
use crate::wire;

/// An envelope, without what it names.
pub(super) struct Head {
    /// As it was sent.
    pub bytes: Bytes,
    /// What it means.
    pub envelope: Envelope,
}

/// A stored message.
pub(super) struct Stored {
    /// The envelope as it was sent.
    pub bytes: Bytes,
    /// What it means.
    pub envelope: Envelope,
    /// Detached signatures, by part, or those of a notice.
    pub signatures: Vec<Vec<Bytes>>,
}

impl Exchange {
    /// The message of an envelope.
    pub(super) fn stored(&self, envelope_digest: &Digest) -> Result<Stored, Rejection> {
        let Head { bytes, envelope } = self.stored_head(envelope_digest)?;
        let signatures = self.stored_signatures(&envelope)?;
        Ok(Stored { bytes, envelope, signatures })
    }

    /// An envelope.
    pub(super) fn stored_head(&self, envelope_digest: &Digest) -> Result<Head, Rejection> {
        let bytes = self.stored_content(envelope_digest)?;
        let envelope = wire::envelope::decode(&bytes)?;
        Ok(Head { bytes, envelope })
    }

    /// The detached signatures that an envelope names, by part.
    pub(super) fn stored_signatures(&self, envelope: &Envelope) -> Result<Vec<Vec<Bytes>>, Rejection> {
        envelope
            .signatures()
            .into_iter()
            .map(|named| named.iter().map(|(digest, _)| self.stored_content(digest)).collect())
            .collect()
    }

    /// The whole of a content.
    pub(super) fn stored_content(&self, digest: &Digest) -> Result<Bytes, Rejection> {
        self.ledger().content().get(digest).map_err(|e| storage(&e))?.ok_or_else(|| missing(digest))
    }

    /// A piece of a content from an offset on; empty at its end.
    pub(crate) fn content_piece(&self, digest: &Digest, size: u64, offset: u64) -> Result<Bytes, Rejection> {
        if offset >= size {
            return Ok(Bytes::new());
        }
        let store = self.ledger().content();
        let location = store.location(digest).map_err(|e| storage(&e))?.ok_or_else(|| missing(digest))?;
        let mut buffer = vec![0; (size - offset).min(limits::CHUNK_BYTES as u64) as usize];
        store.read(digest, &location, offset, &mut buffer).map_err(|e| storage(&e))?;
        Ok(buffer.into())
    }
}

fn missing(digest: &Digest) -> Rejection {
    tracing::error!(%digest, "content is missing");
    must_be_checked()
}
