//! Between whom an event is and which document it is about: by itself, or by the delivery that it names. The index that
//! events are found by and the reader that checks what was found ask the same function.

use super::records::{Incoming, MessageFacts, Outgoing};
use super::{Records, ViewError, keys, load};
use crate::domain::event::{EventKind, Item, NoticeFacts, Subject};
use crate::domain::ids::{AgencyId, DeliveryId, DocumentKey};

/// Parties and document of an event; nothing where it is about none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Sender of the message.
    pub sender: Option<AgencyId>,
    /// Its recipient; none also where a dispatch on paper names it only.
    pub recipient: Option<AgencyId>,
    /// The document; of a notice, the one that it is about.
    pub document: Option<DocumentKey>,
}

impl About {
    /// Whether the agency is on either side.
    pub fn has_party(&self, agency: &AgencyId) -> bool {
        self.sender.as_ref() == Some(agency) || self.recipient.as_ref() == Some(agency)
    }

    /// Whether the event is between the two; of one agency with itself where they are the same.
    pub fn is_between(&self, one: &AgencyId, other: &AgencyId) -> bool {
        let ends = (self.sender.as_ref(), self.recipient.as_ref());
        ends == (Some(one), Some(other)) || ends == (Some(other), Some(one))
    }
}

/// What an event is about.
pub fn about(view: &(impl Records + ?Sized), kind: &EventKind) -> Result<About, ViewError> {
    if let Some(item) = kind.item() {
        return Ok(About {
            sender: Some(item.parties.sender.clone()),
            recipient: item.parties.recipient.clone(),
            document: document_of(view, item)?,
        });
    }
    if let EventKind::PaperEntered(entry) = kind {
        return Ok(About {
            sender: Some(entry.parties.sender.clone()),
            recipient: entry.parties.recipient.clone(),
            document: Some(entry.key.clone()),
        });
    }
    let Some(facts) = kind.delivery_id().map(|id| facts_of_delivery(view, &id)).transpose()?.flatten() else {
        return Ok(About::default());
    };
    let document = match facts.target {
        Some(target) => facts_of_delivery(view, &target)?.and_then(|facts| facts.key),
        None => facts.key,
    };
    let recipient = Some(facts.recipient).filter(|r| !r.as_str().is_empty());
    Ok(About { sender: Some(facts.sender), recipient, document })
}

fn document_of(view: &(impl Records + ?Sized), item: &Item) -> Result<Option<DocumentKey>, ViewError> {
    match &item.subject {
        Subject::Document(document) => Ok(Some(document.key.clone())),
        Subject::Notice(NoticeFacts { stated: Some(stated), .. }) => Ok(Some(stated.key.clone())),
        Subject::Notice(notice) => Ok(facts_of_delivery(view, &notice.target)?.and_then(|facts| facts.key)),
    }
}

/// What is known of a delivery, on whichever side.
fn facts_of_delivery(
    view: &(impl Records + ?Sized),
    id: &DeliveryId,
) -> Result<Option<MessageFacts>, ViewError> {
    if let Some(record) = load::<Outgoing>(view, &keys::outgoing(id))? {
        return Ok(Some(record.facts));
    }
    Ok(load::<Incoming>(view, &keys::incoming(id))?.map(|record| record.facts))
}
