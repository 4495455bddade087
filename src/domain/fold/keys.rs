//! The key of every record: a letter for its kind, then its parts. Texts end in a zero byte, numbers are big-endian,
//! so that keys of one kind sort by their parts.

use crate::domain::administration::KeyPurpose;
use crate::domain::document::Urgency;
use crate::domain::hold::HoldScope;
use crate::domain::ids::{AgencyId, DeliveryId, Digest, DocumentKey, NodeName, RequestId, framed};

/// All fold records begin with this byte in the store, apart from the log itself.
pub const FOLD: u8 = b'f';

fn key(letter: u8) -> Vec<u8> {
    let mut key = Vec::with_capacity(80);
    key.extend([FOLD, letter]);
    key
}

fn text(mut key: Vec<u8>, text: &str) -> Vec<u8> {
    key.extend_from_slice(text.as_bytes());
    key.push(0);
    key
}

fn bytes(mut key: Vec<u8>, bytes: &[u8]) -> Vec<u8> {
    key.extend_from_slice(bytes);
    key
}

/// Deliveries that this node sends, by id.
pub fn outgoing(id: &DeliveryId) -> Vec<u8> {
    bytes(key(b'o'), id.as_bytes())
}

/// Deliveries that this node received or refused, by id.
pub fn incoming(id: &DeliveryId) -> Vec<u8> {
    bytes(key(b'i'), id.as_bytes())
}

/// Use of a document key by its sender.
pub fn document(sender: &AgencyId, document: &DocumentKey) -> Vec<u8> {
    bytes(text(key(b'k'), sender.as_str()), document.hash().as_bytes())
}

/// The attempts of a document to all its recipients.
pub fn attempts(sender: &AgencyId, document: &DocumentKey) -> Vec<u8> {
    bytes(text(key(b'a'), sender.as_str()), document.hash().as_bytes())
}

/// The newest attempt of a document to a recipient.
pub fn attempt(sender: &AgencyId, document: &DocumentKey, recipient: &AgencyId) -> Vec<u8> {
    text(attempts(sender, document), recipient.as_str())
}

/// At the recipient's node: the delivery by which a document is in force.
pub fn in_force(sender: &AgencyId, document: &DocumentKey, recipient: &AgencyId) -> Vec<u8> {
    text(in_force_of(sender, document), recipient.as_str())
}

/// Those of a document to any recipient.
pub fn in_force_of(sender: &AgencyId, document: &DocumentKey) -> Vec<u8> {
    bytes(text(key(b'j'), sender.as_str()), document.hash().as_bytes())
}

/// At the recipient's node: a revoke by this sender that came before this delivery. Whether it is the sender's shows when
/// it comes: nobody takes another's place.
pub fn withdrawn(id: &DeliveryId, sender: &AgencyId) -> Vec<u8> {
    text(bytes(key(b'q'), id.as_bytes()), sender.as_str())
}

/// What a request id was used for.
pub fn request(sender: &AgencyId, request: &RequestId) -> Vec<u8> {
    text(text(key(b'r'), sender.as_str()), request.as_str())
}

/// All messages that wait for a peer.
pub fn outbox_of(peer: &NodeName) -> Vec<u8> {
    text(key(b'x'), peer.as_str())
}

/// Those of one urgency, from a log index on.
pub fn outbox(peer: &NodeName, urgency: Urgency, index: u64) -> Vec<u8> {
    let mut key = outbox_of(peer);
    key.push(urgency as u8);
    bytes(key, &index.to_be_bytes())
}

/// Every outbox.
pub fn outboxes() -> Vec<u8> {
    key(b'x')
}

/// Events by which this node took something into custody that is not decided yet, as a set.
pub fn held() -> Vec<u8> {
    key(b'h')
}

/// What waits in an agency's inbox, held or not: the events that brought it, as a set.
pub fn inbox_of(agency: &AgencyId) -> Vec<u8> {
    text(key(b'n'), agency.as_str())
}

/// Events that an agency's system is told of, as a set.
pub fn feed_of(agency: &AgencyId) -> Vec<u8> {
    text(key(b't'), agency.as_str())
}

/// Events that concern an agency, as a set.
pub fn agency_events(agency: &AgencyId) -> Vec<u8> {
    text(key(b'e'), agency.as_str())
}

/// The record of a set of events that has an event: a bitmap with a bit for each index from `index & !63` on, the lowest
/// first. A busy agency has one record for many events.
pub fn bitmap(set: Vec<u8>, index: u64) -> Vec<u8> {
    bytes(set, &(index >> 6).to_be_bytes())
}

/// Events of a delivery that do not stand in its record: who fetched or exported it, and what came again under its id.
pub fn delivery_events(id: &DeliveryId) -> Vec<u8> {
    bytes(key(b'v'), id.as_bytes())
}

/// One of them.
pub fn delivery_event(id: &DeliveryId, index: u64) -> Vec<u8> {
    bytes(delivery_events(id), &index.to_be_bytes())
}

/// A message whose content was purged.
pub fn purged(id: &DeliveryId) -> Vec<u8> {
    bytes(key(b'p'), id.as_bytes())
}

/// Every hold in force.
pub fn holds() -> Vec<u8> {
    key(b'l')
}

/// Those on one thing.
pub fn hold(scope: &HoldScope) -> Vec<u8> {
    let (tag, agency, rest) = match scope {
        HoldScope::Delivery(id) => (b"d", "", id.as_bytes().to_vec()),
        HoldScope::Document { sender, key } => (b"k", sender.as_str(), key.hash().as_bytes().to_vec()),
        HoldScope::Agency { agency, type_name } => (b"a", agency.as_str(), type_name.as_bytes().to_vec()),
    };
    let name = framed(&[b"lienthong/hold/1", tag, agency.as_bytes(), &rest]);
    bytes(holds(), name.as_bytes())
}

/// Terms of events that are not in a block yet (`fold::search`).
pub fn pendings() -> Vec<u8> {
    bytes(key(b's'), &[0])
}

/// Those of the 64 events around an index.
pub fn pending(index: u64) -> Vec<u8> {
    bytes(pendings(), &(index >> 6).to_be_bytes())
}

/// Events by the terms of a bucket, all blocks.
pub fn blocks(bucket: u8) -> Vec<u8> {
    bytes(key(b's'), &[1, bucket])
}

/// Those of the block of 4,096 events around an index.
pub fn block(bucket: u8, index: u64) -> Vec<u8> {
    bytes(blocks(bucket), &(index >> 12).to_be_bytes())
}

/// An entry of the paper register that stands, by the event that made it.
pub fn paper(index: u64) -> Vec<u8> {
    bytes(key(b'y'), &index.to_be_bytes())
}

/// The configuration that was last recorded.
pub fn configuration() -> Vec<u8> {
    bytes(key(b'm'), b"c")
}

/// Every client that was last recorded.
pub fn clients() -> Vec<u8> {
    bytes(key(b'm'), b"l")
}

/// One of them, by its name.
pub fn client(name: &str) -> Vec<u8> {
    bytes(clients(), name.as_bytes())
}

/// The key that was last recorded for a purpose.
pub fn key_in_use(purpose: KeyPurpose) -> Vec<u8> {
    bytes(bytes(key(b'm'), b"k"), purpose.as_str().as_bytes())
}

/// What one delivery counts as.
pub fn row(row: &Digest) -> Vec<u8> {
    bytes(key(b'w'), row.as_bytes())
}

/// Every sum of the ratios.
pub fn cells() -> Vec<u8> {
    key(b'c')
}

/// The sum of one scope, direction and month.
pub fn cell(name: &str) -> Vec<u8> {
    bytes(cells(), name.as_bytes())
}

/// Whether a fold key is that of a record which the event at `first` or a later one makes: it ends in that index.
pub fn is_by_new_event(key: &[u8], first: u64) -> bool {
    matches!(key, [FOLD, b'v' | b'x', ..]) && index_of(key).is_some_and(|i| i >= first)
}

/// The log index (of a bitmap: a 64th of it) at the end of a key.
pub fn index_of(key: &[u8]) -> Option<u64> {
    let tail = key.get(key.len().checked_sub(8)?..)?;
    Some(u64::from_be_bytes(tail.try_into().ok()?))
}
