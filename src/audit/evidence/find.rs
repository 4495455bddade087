//! Which delivery is meant, and whether the audience may have its evidence.

use std::collections::BTreeMap;

use super::CollectError;
use super::source::{Audience, Source};
use crate::directory::Directory;
use crate::domain::document::DocumentRef;
use crate::domain::fold::records::{AttemptRecord, Incoming, Outgoing};
use crate::domain::fold::{self, keys, load};
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::ledger::folds;
use crate::time::Date;

/// The newest attempt of a document to one recipient, as far as the audience may know of it.
pub fn find(
    source: &Source<'_>,
    directory: &Directory,
    today: Date,
    document: &DocumentRef,
    recipient: &str,
) -> Result<DeliveryId, CollectError> {
    let unknown = |field: &'static str, code: &str| {
        let shown = crate::domain::ids::shorten(code);
        Rejection::new(Reason::UnknownAgency, field, format!("no agency `{shown}` in the directory"))
    };
    let by_code = |field, code: &str| directory.by_code(code, today).ok_or_else(|| unknown(field, code));
    let sender = by_code("document.agency", &document.agency)?;
    let recipient = if recipient.is_empty() { None } else { Some(by_code("recipient", recipient)?) };
    let mut found: BTreeMap<AgencyId, DeliveryId> = BTreeMap::new();
    // As the sender's node knows it.
    if source.audience.includes(&sender.id) {
        let prefix = keys::attempts(&sender.id, &document.key);
        for (key, value) in source.index.scan(&prefix, &prefix, limits::RECIPIENTS)? {
            let attempt: AttemptRecord = fold::decode(&key, &value).map_err(folds)?;
            let record: Option<Outgoing> =
                load(source.index, &keys::outgoing(&attempt.delivery_id)).map_err(folds)?;
            if let Some(record) = record {
                found.insert(record.facts.recipient, attempt.delivery_id);
            }
        }
    }
    // As a recipient's node does.
    let prefix = keys::in_force_of(&sender.id, &document.key);
    for (key, value) in source.index.scan(&prefix, &prefix, limits::RECIPIENTS)? {
        let id: DeliveryId = fold::decode(&key, &value).map_err(folds)?;
        let record: Option<Incoming> = load(source.index, &keys::incoming(&id)).map_err(folds)?;
        if let Some(record) = record.filter(|r| source.audience.includes(&r.facts.recipient)) {
            found.entry(record.facts.recipient).or_insert(id);
        }
    }
    if let Some(recipient) = recipient {
        found.retain(|id, _| *id == recipient.id);
    }
    let mut ids = found.iter();
    match (ids.next(), ids.next()) {
        (Some((_, id)), None) => Ok(*id),
        (None, _) => {
            let what = format!("no delivery of {} by {} is known here", document.key, sender.id);
            Err(Rejection::new(Reason::UnknownDelivery, "document", what).into())
        }
        _ => {
            let to: Vec<&str> = found.keys().take(20).map(AgencyId::as_str).collect();
            let what = format!("it went to {} agencies ({}): name the recipient", found.len(), to.join(", "));
            Err(Rejection::new(Reason::MissingField, "recipient", what).into())
        }
    }
}

/// A document's delivery as its node has it, on the sides that the audience may see.
pub(super) struct Known {
    pub outgoing: Option<Outgoing>,
    pub incoming: Option<Incoming>,
}

pub(super) fn known(source: &Source<'_>, id: DeliveryId) -> Result<Known, CollectError> {
    let unknown = || {
        let what = format!("no delivery {id} of this client's agencies is known here");
        Rejection::new(Reason::UnknownDelivery, "delivery_id", what)
    };
    let outgoing: Option<Outgoing> = load(source.index, &keys::outgoing(&id)).map_err(folds)?;
    let incoming: Option<Incoming> = load(source.index, &keys::incoming(&id)).map_err(folds)?;
    let outgoing = outgoing.filter(|r| source.audience.includes(&r.facts.sender));
    let incoming = incoming.filter(|r| source.audience.includes(&r.facts.recipient));
    let facts =
        outgoing.as_ref().map(|r| &r.facts).or(incoming.as_ref().map(|r| &r.facts)).ok_or_else(unknown)?;
    if !facts.kind.is_document() {
        let target = facts.target.unwrap_or_default();
        let what =
            format!("{id} is a message about delivery {target}: its evidence is in that of the delivery");
        return Err(Rejection::new(Reason::WrongParty, "delivery_id", what).into());
    }
    Ok(Known { outgoing, incoming })
}

/// On whose behalf evidence of a delivery is handed out: `None` for the node's auditors. Refused where the audience may
/// not have it, in the words for one that is not there.
pub fn on_behalf_of(source: &Source<'_>, id: DeliveryId) -> Result<Option<AgencyId>, CollectError> {
    let Known { outgoing, incoming } = known(source, id)?;
    if source.audience == Audience::Node {
        return Ok(None);
    }
    let sender = outgoing.map(|r| r.facts.sender);
    Ok(sender.or(incoming.map(|r| r.facts.recipient)))
}
