//! Following a delivery from sent to completed, and seeing why it waits.

use super::{Caller, Exchange};
use crate::config::Role;
use crate::domain::DocumentRef;
use crate::domain::fold::records::{AttemptRecord, Incoming, Outgoing};
use crate::domain::fold::{decode, keys, load};
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::reason::{Reason, Rejection};
use crate::ledger::{damaged, storage};

/// What this node knows of a delivery: as its sender's node, as its recipient's, or as both.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// Its id.
    pub id: DeliveryId,
    /// On the sender's side.
    pub outgoing: Option<Outgoing>,
    /// On the recipient's side.
    pub incoming: Option<Incoming>,
}

impl Exchange {
    /// A delivery of the caller's agencies.
    pub fn track(&self, caller: &Caller, id: DeliveryId) -> Result<Tracked, Rejection> {
        let unknown = || {
            Rejection::new(
                Reason::UnknownDelivery,
                "delivery_id",
                format!("no delivery {id} of this client's agencies is known here"),
            )
        };
        let outgoing: Option<Outgoing> =
            load(self.ledger(), &keys::outgoing(&id)).map_err(|e| damaged(&e))?;
        let incoming: Option<Incoming> =
            load(self.ledger(), &keys::incoming(&id)).map_err(|e| damaged(&e))?;
        let outgoing = outgoing.filter(|r| self.may_read(caller, &r.facts.sender));
        let incoming = incoming.filter(|r| self.may_read(caller, &r.facts.recipient));
        if outgoing.is_none() && incoming.is_none() {
            return Err(unknown());
        }
        Ok(Tracked { id, outgoing, incoming })
    }

    /// All deliveries of a document that one of the caller's agencies sent.
    pub fn track_document(&self, caller: &Caller, document: &DocumentRef) -> Result<Vec<Tracked>, Rejection> {
        let directory = self.directory();
        let today = self.ledger().now().date();
        let sender = directory
            .by_code(&document.agency, today)
            .filter(|a| self.may_read(caller, &a.id))
            .ok_or_else(|| {
                Rejection::new(
                    Reason::UnknownAgency,
                    "document.agency",
                    format!(
                        "`{}` is no agency of this client",
                        crate::domain::ids::shorten(&document.agency)
                    ),
                )
            })?;
        let prefix = keys::attempts(&sender.id, &document.key);
        let found = self.ledger().index().scan(&prefix, &prefix, 10_000).map_err(|e| storage(&e))?;
        let mut out = Vec::new();
        for (key, value) in found {
            let attempt: AttemptRecord = decode(&key, &value).map_err(|e| damaged(&e))?;
            for id in attempt.earlier.into_iter().chain([attempt.delivery_id]) {
                out.push(self.track(caller, id)?);
            }
        }
        if out.is_empty() {
            return Err(Rejection::new(
                Reason::UnknownDelivery,
                "document",
                format!("{} was not sent by {} from this node", document.key, sender.id),
            ));
        }
        Ok(out)
    }

    fn may_read(&self, caller: &Caller, agency: &AgencyId) -> bool {
        let today = self.ledger().now().date();
        self.directory().agency(agency).is_some_and(|a| {
            [Role::Dms, Role::Auditor, Role::Operator].into_iter().any(|role| caller.may(a, role, today))
        })
    }
}
