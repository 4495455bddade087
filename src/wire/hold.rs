//! What a legal hold is on, as messages and events have it.

use bytes::Bytes;

use super::{pb, words};
use crate::domain::hold::HoldScope;
use crate::domain::ids::{self, AgencyId, DeliveryId, DocumentKey};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};

/// As a message.
pub fn scope(scope: &HoldScope) -> pb::HoldScope {
    let mut out = pb::HoldScope { delivery_id: Bytes::new(), document: None, ..pb::HoldScope::default() };
    match scope {
        HoldScope::Delivery(id) => out.delivery_id = words::id(id),
        HoldScope::Document { sender, key } => {
            out.document = Some(pb::DocumentRef {
                agency: sender.to_string(),
                number: key.number().to_owned(),
                notation: key.notation().to_owned(),
                year: key.year(),
            });
        }
        HoldScope::Agency { agency, type_name } => {
            out.agency = agency.to_string();
            out.type_name.clone_from(type_name);
        }
    }
    out
}

/// From a message: exactly one thing.
pub fn read_scope(scope: Option<pb::HoldScope>) -> Result<HoldScope, Rejection> {
    let scope = scope.ok_or_else(|| Rejection::missing("scope"))?;
    let named = [!scope.delivery_id.is_empty(), scope.document.is_some(), !scope.agency.is_empty()];
    if named.iter().filter(|named| **named).count() != 1 {
        let what = "name one thing: a delivery, a document or an agency";
        return Err(Rejection::new(Reason::InvalidText, "scope", what));
    }
    if !scope.type_name.is_empty() && scope.agency.is_empty() {
        return Err(Rejection::new(Reason::InvalidText, "scope.type_name", "a type goes with an agency"));
    }
    ids::one_line("scope.type_name", &scope.type_name, limits::TYPE_NAME_CHARS)?;
    Ok(match scope.document {
        Some(document) => HoldScope::Document {
            sender: AgencyId::new(&document.agency)?,
            key: DocumentKey::new(&document.number, &document.notation, document.year)?,
        },
        None if scope.agency.is_empty() => HoldScope::Delivery(DeliveryId::from_slice(&scope.delivery_id)?),
        None => HoldScope::Agency { agency: AgencyId::new(&scope.agency)?, type_name: scope.type_name },
    })
}
