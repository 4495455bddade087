//! Messages as this node stored them: an envelope and the signatures that it names, and content by the piece.
//!
//! What an event names was durable before it: that it is missing is damage, and said to be.

use std::sync::Arc;

use bytes::Bytes;

use super::Exchange;
use crate::domain::ids::Digest;
use crate::domain::reason::Rejection;
use crate::domain::{Envelope, limits};
use crate::ledger::{must_be_checked, storage};
use crate::store::content;
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

/// A content that is read piece by piece, on threads that may wait for the disk.
pub(crate) struct Pieces {
    exchange: Exchange,
    reader: Arc<content::Reader>,
    next: u64,
    end: u64,
}

impl Exchange {
    /// Opens a content, from an offset on.
    pub(crate) fn pieces(&self, digest: &Digest, size: u64, offset: u64) -> Result<Pieces, Rejection> {
        let reader = self
            .ledger()
            .content()
            .reader(digest)
            .map_err(|e| storage(&e))?
            .ok_or_else(|| missing(digest))?;
        Ok(Pieces { exchange: self.clone(), reader: Arc::new(reader), next: offset, end: size })
    }
}

impl Pieces {
    /// The next piece, at most [`limits::CHUNK_BYTES`]; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Rejection> {
        if self.next >= self.end {
            return Ok(None);
        }
        let most = (self.end - self.next).min(limits::CHUNK_BYTES as u64) as usize;
        let (reader, from) = (self.reader.clone(), self.next);
        let piece = match &*reader {
            content::Reader::Whole(_) => reader.piece(from, most),
            content::Reader::File { .. } => {
                let _place = self.exchange.inner.transfers.readers.acquire().await;
                let read = tokio::task::spawn_blocking(move || reader.piece(from, most));
                read.await.map_err(|error| {
                    tracing::error!(%error, "reading content failed");
                    must_be_checked()
                })?
            }
        };
        let piece = piece.map_err(|e| storage(&e))?;
        if piece.is_empty() {
            tracing::error!("content is shorter than its envelope says");
            return Err(must_be_checked());
        }
        self.next += piece.len() as u64;
        Ok(Some(piece))
    }
}

fn missing(digest: &Digest) -> Rejection {
    tracing::error!(%digest, "content is missing");
    must_be_checked()
}
