//! Legal holds and what retention purged: nothing under a hold is purged, whatever its rule says.

use serde::{Deserialize, Serialize};

use super::fold::{Records, ViewError, keys, load};
use super::ids::{AgencyId, DeliveryId, DocumentKey};
use super::reason::{Reason, Rejection};
use crate::time::Timestamp;

/// What a hold is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldScope {
    /// One delivery.
    Delivery(DeliveryId),
    /// Every delivery of a document.
    Document {
        /// Its sender.
        sender: AgencyId,
        /// Number, notation, year.
        key: DocumentKey,
    },
    /// Every document that an agency sent or received.
    Agency {
        /// The agency.
        agency: AgencyId,
        /// Those of this type only; empty: of any.
        type_name: String,
    },
}

impl std::fmt::Display for HoldScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HoldScope::Delivery(id) => write!(f, "delivery {id}"),
            HoldScope::Document { sender, key } => write!(f, "document {key} of {sender}"),
            HoldScope::Agency { agency, type_name } if type_name.is_empty() => {
                write!(f, "every document of {agency}")
            }
            HoldScope::Agency { agency, type_name } => write!(f, "documents `{type_name}` of {agency}"),
        }
    }
}

/// A hold that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its number: the event that placed it.
    pub index: u64,
    /// When.
    pub at: Timestamp,
    /// The client that placed it.
    pub client: String,
    /// The user, as the client names it.
    pub user: String,
    /// Why.
    pub reason: String,
}

/// The holds on one thing, at most [`crate::domain::limits::HOLDS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldsRecord {
    /// On what.
    pub scope: HoldScope,
    /// The oldest first.
    pub holds: Vec<Hold>,
}

/// A message whose content is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgedRecord {
    /// The event.
    pub index: u64,
    /// When.
    pub at: Timestamp,
    /// The rule.
    pub rule: String,
}

impl PurgedRecord {
    /// The refusal of who asks for the content.
    pub fn rejection(&self, id: &DeliveryId) -> Rejection {
        let Self { index, at, rule } = self;
        Rejection::new(
            Reason::Purged,
            "delivery_id",
            format!(
                "the content of delivery {id} was purged on {} by the rule `{rule}` (event {index}): its events and \
                 proofs are kept, ask its other side for the content",
                at.date()
            ),
        )
    }
}

/// Whether the content of a message was purged.
pub fn purged(view: &(impl Records + ?Sized), id: &DeliveryId) -> Result<Option<PurgedRecord>, ViewError> {
    load(view, &keys::purged(id))
}

/// The first hold that a delivery is under.
pub fn held_by(
    view: &(impl Records + ?Sized),
    id: &DeliveryId,
    sender: &AgencyId,
    recipient: &AgencyId,
    key: Option<&DocumentKey>,
    type_name: &str,
) -> Result<Option<Hold>, ViewError> {
    let mut scopes = vec![HoldScope::Delivery(*id)];
    scopes.extend(key.map(|key| HoldScope::Document { sender: sender.clone(), key: key.clone() }));
    for agency in [sender, recipient] {
        for type_name in ["", type_name] {
            scopes.push(HoldScope::Agency { agency: agency.clone(), type_name: type_name.to_owned() });
        }
    }
    for scope in scopes {
        let record: Option<HoldsRecord> = load(view, &keys::hold(&scope))?;
        if let Some(hold) = record.and_then(|r| r.holds.into_iter().next()) {
            return Ok(Some(hold));
        }
    }
    Ok(None)
}
