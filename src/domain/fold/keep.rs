//! The folds of retention: which holds are in force, and what was purged.

use super::records::{Incoming, Outgoing};
use super::{View, ViewError, keys, load, store};
use crate::domain::event::{Event, EventKind};
use crate::domain::hold::{Hold, HoldScope, HoldsRecord, PurgedRecord};
use crate::domain::ids::{AgencyId, DeliveryId};

/// Sender and recipient of a delivery that this node knows.
fn parties(
    view: &(impl View + ?Sized),
    id: &DeliveryId,
    agencies: &mut Vec<AgencyId>,
) -> Result<(), ViewError> {
    let facts = match load::<Outgoing>(view, &keys::outgoing(id))? {
        Some(out) => Some(out.facts),
        None => load::<Incoming>(view, &keys::incoming(id))?.map(|r| r.facts),
    };
    agencies.extend(facts.into_iter().flat_map(|f| [f.sender, f.recipient]));
    Ok(())
}

fn concerned(
    view: &(impl View + ?Sized),
    scope: &HoldScope,
    agencies: &mut Vec<AgencyId>,
) -> Result<(), ViewError> {
    match scope {
        HoldScope::Delivery(id) => parties(view, id, agencies)?,
        HoldScope::Document { sender: agency, .. } | HoldScope::Agency { agency, .. } => {
            agencies.push(agency.clone());
        }
    }
    Ok(())
}

/// A purge, a hold placed or lifted.
pub(super) fn apply(
    view: &mut (impl View + ?Sized),
    index: u64,
    event: &Event,
    agencies: &mut Vec<AgencyId>,
) -> Result<(), ViewError> {
    match &event.kind {
        EventKind::Purged { delivery_id, messages, rule, .. } => {
            parties(view, delivery_id, agencies)?;
            for id in std::iter::once(delivery_id).chain(messages) {
                let key = keys::purged(id);
                // What is too long for one event is told by several: the first stands.
                if load::<PurgedRecord>(view, &key)?.is_none() {
                    store(view, key, &PurgedRecord { index, at: event.at, rule: rule.clone() });
                }
            }
        }
        EventKind::HoldPlaced { scope, reason } => {
            concerned(view, scope, agencies)?;
            let key = keys::hold(scope);
            let record: Option<HoldsRecord> = load(view, &key)?;
            let mut record =
                record.unwrap_or_else(|| HoldsRecord { scope: scope.clone(), holds: Vec::new() });
            record.holds.push(Hold {
                index,
                at: event.at,
                client: event.actor.client.clone(),
                user: event.actor.user.clone(),
                reason: reason.clone(),
            });
            store(view, key, &record);
        }
        EventKind::HoldLifted { hold, scope, .. } => {
            concerned(view, scope, agencies)?;
            let key = keys::hold(scope);
            if let Some(mut record) = load::<HoldsRecord>(view, &key)? {
                record.holds.retain(|h| h.index != *hold);
                if record.holds.is_empty() {
                    view.delete(&key);
                } else {
                    store(view, key, &record);
                }
            }
        }
        _ => {}
    }
    Ok(())
}
