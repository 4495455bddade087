//! What a node last recorded of itself: the next start compares with it.

use super::records::{ClientRecord, ConfigRecord, KeyRecord};
use super::{View, ViewError, keys, store};
use crate::domain::administration::ClientStep;
use crate::domain::event::EventKind;

/// Applies an event of the node about itself.
pub(super) fn apply(view: &mut (impl View + ?Sized), index: u64, kind: &EventKind) -> Result<(), ViewError> {
    match kind {
        EventKind::ConfigChanged(change) => {
            let settings = change.settings.iter().map(|s| (s.name.clone(), s.value)).collect();
            store(view, keys::configuration(), &ConfigRecord { digest: change.digest, settings });
        }
        EventKind::ClientChanged(change) if change.step == ClientStep::Removed => {
            view.delete(&keys::client(&change.name));
        }
        EventKind::ClientChanged(change) => {
            let rights = &change.rights;
            let record = ClientRecord {
                identity: change.identity.clone(),
                roles: rights.roles.clone(),
                node_roles: rights.node_roles.clone(),
                all_agencies: rights.all_agencies,
                agencies: rights.agencies.clone(),
                agency_count: rights.agency_count,
                agencies_digest: rights.agencies_digest,
            };
            store(view, keys::client(&change.name), &record);
        }
        EventKind::KeyChanged(change) => {
            let record = KeyRecord { key: change.new.clone(), index };
            store(view, keys::key_in_use(change.purpose), &record);
        }
        _ => {}
    }
    Ok(())
}
