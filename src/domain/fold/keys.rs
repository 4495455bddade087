//! The key of every record: a letter for its kind, then its parts. Texts end in a zero byte, numbers are big-endian,
//! so that keys of one kind sort by their parts.

use crate::domain::administration::KeyPurpose;
use crate::domain::document::Urgency;
use crate::domain::hold::HoldScope;
use crate::domain::ids::{AgencyId, DeliveryId, Digest, DocumentKey, NodeName, RequestId, framed};
use crate::domain::ratio::{Month, Period};

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

/// Deliveries that this node sends, and those that it received or refused, whose ids begin with these bytes.
pub fn beginning(with: &[u8]) -> [Vec<u8>; 2] {
    [bytes(key(b'o'), with), bytes(key(b'i'), with)]
}

/// Every delivery that this node received or refused.
pub fn incomings() -> Vec<u8> {
    key(b'i')
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

/// The same, of a document that is known by its half in the key of a row.
pub fn attempts_of_row(sender: &AgencyId, document: &[u8]) -> Vec<u8> {
    bytes(text(key(b'a'), sender.as_str()), document)
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

/// Events of a delivery that do not stand in its record: who fetched, exported or looked at it, and what came again under its id.
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

fn number(mut key: Vec<u8>, number: i32) -> Vec<u8> {
    // Negative numbers come before the others.
    key.extend_from_slice(&(number as u32 ^ 0x8000_0000).to_be_bytes());
    key
}

/// Bytes of the hashes that name a document and a recipient in the keys of rows.
pub const ROW_HASH: usize = 16;

/// The half of a hash that names a document or a recipient there.
pub fn half(hash: &Digest) -> &[u8] {
    &hash.as_bytes()[..ROW_HASH]
}

/// What the deliveries of an agency's documents of a year count as.
pub fn rows_of(year: i32, sender: &AgencyId) -> Vec<u8> {
    text(rows_of_year(year), sender.as_str())
}

/// Those of all agencies.
pub fn rows_of_year(year: i32) -> Vec<u8> {
    number(rows(), year)
}

/// All of them.
pub fn rows() -> Vec<u8> {
    key(b'w')
}

/// The hash that names a recipient in the key of a row: by its id, or its name where it has none.
pub fn recipient(id: Option<&AgencyId>, name: &str) -> [u8; ROW_HASH] {
    let (tag, to) = id.map_or((b"n", name), |r| (b"i", r.as_str()));
    let hash = framed(&[b"lienthong/row/2", tag, to.as_bytes()]);
    let mut out = [0; ROW_HASH];
    out.copy_from_slice(half(&hash));
    out
}

/// What one delivery counts as. Those of one document are side by side.
pub fn row(sender: &AgencyId, document: &DocumentKey, recipient: &[u8; ROW_HASH]) -> Vec<u8> {
    bytes(bytes(rows_of(document.year(), sender), half(&document.hash())), recipient)
}

/// What all deliveries of a document count together.
pub fn document_sum(sender: &AgencyId, document: &DocumentKey) -> Vec<u8> {
    bytes(text(key(b'D'), sender.as_str()), document.hash().as_bytes())
}

/// What counts of one delivery on its recipient's side.
pub fn arrived(recipient: &AgencyId, sender: &AgencyId, document: &DocumentKey) -> Vec<u8> {
    let hash = framed(&[b"lienthong/arrived/1", sender.as_str().as_bytes(), document.hash().as_bytes()]);
    bytes(arrived_at(recipient), half(&hash))
}

/// What counts of all that arrived at an agency.
pub fn arrived_at(recipient: &AgencyId) -> Vec<u8> {
    text(arrivals(), recipient.as_str())
}

/// The same of all agencies.
pub fn arrivals() -> Vec<u8> {
    key(b'U')
}

/// How many changes the rows of a month have seen.
pub fn changes(month: Month) -> Vec<u8> {
    number(key(b'M'), month.number())
}

/// The event that first closed a period which has this month.
pub fn closed_month(month: Month) -> Vec<u8> {
    number(key(b'B'), month.number())
}

/// Every closed period.
pub fn closed_periods() -> Vec<u8> {
    key(b'P')
}

/// A closed period.
pub fn closed(period: Period) -> Vec<u8> {
    text(closed_periods(), &period.to_string())
}

/// The newest statement of a period's figures.
pub fn statement(period: Period) -> Vec<u8> {
    text(key(b'S'), &period.to_string())
}

/// What changed in a month after it was closed, from an event on.
pub fn restated_from(month: Month, index: u64) -> Vec<u8> {
    bytes(restated_in(month), &index.to_be_bytes())
}

/// All of it.
pub fn restated_in(month: Month) -> Vec<u8> {
    number(key(b'Z'), month.number())
}

/// One change: by an event, of the row with this key.
pub fn restated(month: Month, index: u64, row: &[u8]) -> Vec<u8> {
    let name = &row[row.len().saturating_sub(2 * ROW_HASH)..];
    bytes(restated_from(month, index), name)
}

/// Who declared its paper register of a month complete.
pub fn declared_in(month: Month) -> Vec<u8> {
    number(key(b'F'), month.number())
}

/// Whether an agency did.
pub fn declared(month: Month, agency: &AgencyId) -> Vec<u8> {
    text(declared_in(month), agency.as_str())
}

/// The generations of this log before it that its events tell of.
pub fn generations() -> Vec<u8> {
    bytes(key(b'm'), b"g")
}

/// The messages that an agency sent about a delivery, before the delivery itself was known here again.
pub fn said_before(id: &DeliveryId, agency: &AgencyId) -> Vec<u8> {
    text(bytes(key(b'N'), id.as_bytes()), agency.as_str())
}

/// The calendar of working days.
pub fn calendar() -> Vec<u8> {
    key(b'G')
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
