//! Content on its way out: to a peer that was offered it.

use bytes::Bytes;

use super::places::Place;
use crate::domain::fold::records::Outgoing;
use crate::domain::fold::{keys, load};
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::accept::{Boxed, ContentPieces};
use crate::exchange::stored::Pieces;
use crate::exchange::{Caller, Exchange};
use crate::ledger::{damaged, storage};
use crate::wire;

/// A part that is served to a peer.
pub struct Serving {
    exchange: Exchange,
    delivery: DeliveryId,
    pieces: Pieces,
    _place: Place,
}

impl ContentPieces for Serving {
    fn next(&mut self) -> Boxed<'_, Result<Option<Bytes>, Rejection>> {
        Box::pin(async move {
            let piece = self.pieces.next().await?;
            self.exchange.inner.transfers.places.note_served(self.delivery);
            Ok(piece)
        })
    }
}

impl Exchange {
    /// A part that a peer was offered, from an offset on.
    pub fn content_for_peer(
        &self,
        peer: &NodeName,
        id: DeliveryId,
        part: u32,
        offset: u64,
    ) -> Result<Serving, Rejection> {
        let unknown = || {
            Rejection::new(
                Reason::UnknownDelivery,
                "delivery_id",
                format!("no delivery {id} is for this peer"),
            )
        };
        let record: Outgoing = load(self.ledger(), &keys::outgoing(&id))
            .map_err(|e| damaged(&e))?
            .filter(|r: &Outgoing| r.peer == *peer)
            .ok_or_else(unknown)?;
        let store = self.ledger().content();
        let bytes = store.get(&record.facts.envelope_digest).map_err(|e| storage(&e))?.ok_or_else(unknown)?;
        let envelope = wire::envelope::decode(&bytes)?;
        let part = envelope.parts().get(part as usize).ok_or_else(unknown)?;
        if offset > part.size {
            return Err(Rejection::new(
                Reason::BadOffset,
                "offset",
                format!("{offset} is behind the {} bytes of this part", part.size),
            ));
        }
        let _place = self.inner.transfers.places.serves.try_take(peer.as_str())?;
        let pieces = self.pieces(&part.sha256, part.size, offset)?;
        Ok(Serving { exchange: self.clone(), delivery: id, pieces, _place })
    }

    /// A place for a client that fetches large content.
    pub(crate) fn fetch_place(&self, caller: &Caller) -> Result<Place, Rejection> {
        self.inner.transfers.places.fetches.try_take(caller.name())
    }

    /// Whether content of a delivery was served within that time: its peer is at it.
    pub fn is_being_served(&self, id: &DeliveryId, within: std::time::Duration) -> bool {
        self.inner.transfers.places.was_served(id, within)
    }

    /// Nobody waits for this delivery any more.
    pub fn end_serving(&self, id: &DeliveryId) {
        self.inner.transfers.places.end_served(id);
    }
}
