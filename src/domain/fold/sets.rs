//! Sets of events by agency, in bitmaps of 64: what concerns it, what its system is told, what waits in its inbox. A set
//! holds indexes only; what there is to know of an event is in the event.

use super::records::FeedKind;
use super::{Records, View, ViewError, keys};
use crate::domain::event::{Event, EventKind, Item, Subject};
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::status::DeliveryState;

fn read(view: &(impl Records + ?Sized), key: &[u8]) -> Result<u64, ViewError> {
    let Some(bytes) = view.get(key)? else { return Ok(0) };
    read_bitmap(&bytes).ok_or_else(|| ViewError::Damaged { key: hex::encode(key) })
}

/// A bitmap of events as it is stored.
pub fn read_bitmap(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// Puts an event into a set.
pub(super) fn insert(view: &mut (impl View + ?Sized), set: Vec<u8>, index: u64) -> Result<(), ViewError> {
    let key = keys::bitmap(set, index);
    let bitmap = read(view, &key)? | 1 << (index & 63);
    view.put(key, bitmap.to_be_bytes().to_vec());
    Ok(())
}

/// Takes an event out of a set.
pub(super) fn remove(view: &mut (impl View + ?Sized), set: Vec<u8>, index: u64) -> Result<(), ViewError> {
    let key = keys::bitmap(set, index);
    let bitmap = read(view, &key)? & !(1 << (index & 63));
    if bitmap == 0 {
        view.delete(&key);
    } else {
        view.put(key, bitmap.to_be_bytes().to_vec());
    }
    Ok(())
}

/// Whether the event at `index` concerns an agency.
pub fn concerns(view: &(impl Records + ?Sized), agency: &AgencyId, index: u64) -> Result<bool, ViewError> {
    let key = keys::bitmap(keys::agency_events(agency), index);
    Ok(read(view, &key)? >> (index & 63) & 1 == 1)
}

/// What an agency's system is told by an event in its feed, and about which delivery: for a notice, the one that it is
/// about.
pub fn told(event: &Event) -> Option<(FeedKind, DeliveryId)> {
    match &event.kind {
        EventKind::Received { item, held, .. } => Some(match &item.subject {
            _ if *held => (FeedKind::Held, item.delivery_id),
            Subject::Document(_) => (FeedKind::Arrived, item.delivery_id),
            Subject::Notice(n) => (n.status.map_or(FeedKind::Notice(n.kind), FeedKind::Status), n.target),
        }),
        settled_kind @ EventKind::Settled { .. } => settled(settled_kind),
        EventKind::Undelivered { delivery_id, .. } => Some((FeedKind::Undelivered, *delivery_id)),
        EventKind::Recovered(recovered) => settled(&recovered.settled),
        EventKind::Released { delivery_id, .. } => Some((FeedKind::Arrived, *delivery_id)),
        _ => None,
    }
}

fn settled(kind: &EventKind) -> Option<(FeedKind, DeliveryId)> {
    let EventKind::Settled { delivery_id, outcome, .. } = kind else { return None };
    Some(match outcome {
        DeliveryState::Delivered => (FeedKind::Delivered, *delivery_id),
        DeliveryState::Held => (FeedKind::Held, *delivery_id),
        _ => (FeedKind::Refused, *delivery_id),
    })
}

/// The delivery that an event brought to an inbox.
pub fn arrived(event: &Event) -> Option<DeliveryId> {
    match &event.kind {
        EventKind::Received { item: Item { delivery_id, .. }, .. } => Some(*delivery_id),
        _ => None,
    }
}
