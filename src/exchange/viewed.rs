//! Who looked at a document on the pages: an event each, except that the same person looking again within an hour is the
//! same view. What was recorded is remembered in memory only: a restart forgets it, and records again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Caller, Exchange};
use crate::domain::decide::Command;
use crate::domain::event::Actor;
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::limits;
use crate::domain::reason::Rejection;
use crate::ledger::LedgerError;
use crate::time::Timestamp;

/// Who looked at what.
type View = (String, String, DeliveryId);

/// The views that were recorded lately.
#[derive(Debug, Default)]
pub struct Views {
    recorded: Mutex<HashMap<View, Timestamp>>,
}

impl Views {
    /// Whether a view is one that was recorded within the hour.
    fn is_recorded(&self, view: &View, now: Timestamp) -> bool {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.get(view).is_some_and(|at| now.since(*at) < limits::VIEW_AGAIN_MS)
    }

    fn remember(&self, view: View, now: Timestamp) {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.len() >= limits::VIEWS {
            recorded.retain(|_, at| now.since(*at) < limits::VIEW_AGAIN_MS);
        }
        if recorded.len() >= limits::VIEWS {
            // The older half: rarely, and not one by one.
            let mut times: Vec<Timestamp> = recorded.values().copied().collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            recorded.retain(|_, at| *at > middle);
        }
        recorded.insert(view, now);
    }
}

impl Exchange {
    /// Records that a person of the caller looks at a delivery, on behalf of an agency or of the node's auditors. It is
    /// durable when this returns.
    pub async fn record_view(
        &self,
        caller: &Caller,
        user: &str,
        delivery_id: DeliveryId,
        agency: Option<AgencyId>,
    ) -> Result<(), Rejection> {
        let actor: Actor = caller.actor(user)?;
        let view = (actor.client.clone(), actor.user.clone(), delivery_id);
        let now = self.ledger().now();
        if self.inner.views.is_recorded(&view, now) {
            return Ok(());
        }
        let command = Command::View { actor, agency, delivery_id };
        self.ledger().commit(command).await.map_err(LedgerError::into_rejection)?;
        self.inner.views.remember(view, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(n: u32) -> View {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        ("client".into(), "user".into(), DeliveryId::from_slice(&id).unwrap())
    }

    #[test]
    fn a_view_is_the_same_for_an_hour_and_only_of_the_same_person_and_delivery() {
        let views = Views::default();
        let at = Timestamp::from_millis;
        views.remember(view(1), at(0));
        assert!(views.is_recorded(&view(1), at(limits::VIEW_AGAIN_MS - 1)));
        assert!(!views.is_recorded(&view(1), at(limits::VIEW_AGAIN_MS)));
        assert!(!views.is_recorded(&view(2), at(0)));
        let (client, _, id) = view(1);
        assert!(!views.is_recorded(&(client, "other".into(), id), at(0)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let views = Views::default();
        for n in 0..2 * limits::VIEWS as u32 {
            views.remember(view(n), Timestamp::from_millis(i64::from(n)));
        }
        let last = 2 * limits::VIEWS as u32 - 1;
        assert!(views.recorded.lock().unwrap().len() <= limits::VIEWS);
        assert!(views.is_recorded(&view(last), Timestamp::from_millis(i64::from(last))));
    }
}
