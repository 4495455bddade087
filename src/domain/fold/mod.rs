//! What the log means: [`apply`] takes one event and changes records in a keyed [`View`].
//!
//! The writer applies events to the group that it is building; opening applies what sled misses; `audit check`
//! applies the whole log to an empty view and compares. It is one function, so they cannot disagree. No fold reads
//! an envelope, a clock or the directory: all that it needs is in the event.
//!
//! [`keys`] has the key of every record, [`records`] their content; [`search`] is the index by which events are found.

mod about;
mod administration;
mod arrivals;
mod keep;
pub mod keys;
mod notices;
mod periods;
pub mod records;
mod recovered;
mod rows;
pub mod search;
mod sets;
mod sums;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::event::{Event, EventKind, Item, LogRef, Subject};
use super::ids::{AgencyId, DeliveryId, Digest};
use super::ratio::Electronic;
use super::reason::Reason;
use super::status::{Ask, DeliveryState, Status};
use crate::time::Timestamp;
use records::{
    AttemptRecord, DocumentRecord, Incoming, IncomingState, MessageFacts, Outgoing, RequestRecord,
    StatementRecord, StatusEntry,
};

/// Reading the state failed: the storage, or a record that cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ViewError {
    /// The storage below did not answer.
    #[error("reading the state failed: {0}")]
    Storage(String),
    /// A record does not decode.
    #[error("record {key} of the state is damaged: run `lienthong audit check`")]
    Damaged {
        /// The key in hexadecimal.
        key: String,
    },
}

/// Keyed records, read only: the durable state, or a [`View`].
pub trait Records {
    /// The record at `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError>;
}

/// Keyed records: an overlay of the group being built on what is durable, or an empty map for a recount.
pub trait View: Records {
    /// Writes a record.
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>);
    /// Removes a record.
    fn delete(&mut self, key: &[u8]);
}

/// All of it in memory, in the order of the keys.
impl Records for BTreeMap<Vec<u8>, Vec<u8>> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(BTreeMap::get(self, key).cloned())
    }
}

impl View for BTreeMap<Vec<u8>, Vec<u8>> {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.insert(key, value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.remove(key);
    }
}

/// Reads and decodes a record.
pub fn load<T: DeserializeOwned>(view: &(impl Records + ?Sized), key: &[u8]) -> Result<Option<T>, ViewError> {
    match view.get(key)? {
        None => Ok(None),
        Some(bytes) => decode(key, &bytes).map(Some),
    }
}

/// Decodes a record.
pub fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, ViewError> {
    postcard::from_bytes(bytes).map_err(|_| ViewError::Damaged { key: hex::encode(key) })
}

/// Encodes and writes a record.
fn store<T: Serialize>(view: &mut (impl View + ?Sized), key: Vec<u8>, record: &T) {
    let bytes = postcard::to_extend(record, Vec::with_capacity(512))
        .expect("records hold nothing that postcard cannot write");
    view.put(key, bytes);
}

/// Applies the event at `index` to the view.
pub fn apply(view: &mut (impl View + ?Sized), index: u64, event: &Event) -> Result<(), ViewError> {
    let mut agencies: Vec<AgencyId> = Vec::with_capacity(2);
    let mut stands_in_record = true;
    match &event.kind {
        EventKind::Submitted { item, .. } => {
            parties_of(item, &mut agencies);
            submitted(view, index, &event.kind, event.at, None)?;
        }
        EventKind::Received { item, .. } => {
            parties_of(item, &mut agencies);
            received(view, index, event)?;
        }
        EventKind::Refused { item, .. } => {
            parties_of(item, &mut agencies);
            stands_in_record = refused(view, index, event)?;
        }
        EventKind::Settled { delivery_id, .. } | EventKind::Undelivered { delivery_id, .. } => {
            closed(view, index, (&event.kind, event.at), delivery_id, &mut agencies)?;
        }
        EventKind::Rerouted { delivery_id, peer } => {
            if let Some(mut record) = load::<Outgoing>(view, &keys::outgoing(delivery_id))? {
                parties_of_record(&record, &mut agencies);
                view.delete(&keys::outbox(&record.peer, record.facts.urgency, record.queued_index));
                let place = keys::outbox(peer, record.facts.urgency, index);
                view.put(place, delivery_id.as_bytes().to_vec());
                record.peer = peer.clone();
                record.queued_index = index;
                record.events.push(index);
                store(view, keys::outgoing(delivery_id), &record);
            }
        }
        EventKind::Fetched { delivery_id } => {
            // Who opened it is the recipient's own affair. It may be many times: the record does not grow.
            stands_in_record = false;
            if let Some(record) = load::<Incoming>(view, &keys::incoming(delivery_id))? {
                agencies.push(record.facts.recipient);
            }
        }
        EventKind::Exported { delivery_id, agency } | EventKind::Viewed { delivery_id, agency } => {
            // The affair of the agency whose person it was; what the node's auditors take or see is that of each side.
            stands_in_record = false;
            match agency {
                Some(agency) => agencies.push(agency.clone()),
                None => {
                    if let Some(record) = load::<Outgoing>(view, &keys::outgoing(delivery_id))? {
                        agencies.push(record.facts.sender);
                    }
                    if let Some(record) = load::<Incoming>(view, &keys::incoming(delivery_id))? {
                        agencies.push(record.facts.recipient);
                    }
                }
            }
        }
        EventKind::HandedOver { delivery_id } => {
            handed_over(view, index, event, delivery_id, &mut agencies)?;
        }
        EventKind::PaperEntered(entry) => {
            agencies.push(entry.parties.sender.clone());
            agencies.extend(entry.parties.recipient.clone());
            let request = keys::request(&entry.parties.sender, &entry.request_id);
            store(view, request, &RequestRecord { digest: rows::paper_digest(entry), index });
            agencies.extend(rows::paper(view, index, entry)?);
        }
        EventKind::Released { delivery_id, .. } => {
            released(view, index, event, delivery_id, &mut agencies)?;
        }
        EventKind::PaperDeclared(declared) => {
            agencies.push(declared.agency.clone());
            periods::declared(view, index, declared)?;
        }
        EventKind::PeriodClosed(closed) => periods::closed(view, index, event.at, closed)?,
        EventKind::StatementMade(made) => {
            let record = StatementRecord { index, statement: made.statement };
            store(view, keys::statement(made.period), &record);
        }
        EventKind::CalendarSet(calendar) => store(view, keys::calendar(), calendar),
        EventKind::Purged { .. } | EventKind::HoldPlaced { .. } | EventKind::HoldLifted { .. } => {
            stands_in_record = false;
            keep::apply(view, index, event, &mut agencies)?;
        }
        EventKind::ConfigChanged(_) | EventKind::ClientChanged(_) | EventKind::KeyChanged(_) => {
            administration::apply(view, index, &event.kind)?;
        }
        EventKind::GenerationOpened(opened) => recovered::opened(view, index, opened)?,
        EventKind::Recovered(message) => recovered::message(view, index, event.at, message, &mut agencies)?,
        EventKind::SentAgain { delivery_id, peer, .. } => {
            recovered::sent_again(view, index, delivery_id, peer, &mut agencies)?;
        }
        EventKind::Returned { delivery_id, first } => {
            recovered::returned(view, index, delivery_id, first, &mut agencies)?;
        }
        EventKind::Extracted(extracted) => agencies.extend(extracted.agency.clone()),
        EventKind::ConnectionsRefused(_)
        | EventKind::Started { .. }
        | EventKind::Stopped { .. }
        | EventKind::DirectoryAdopted { .. }
        | EventKind::Alarm { .. }
        | EventKind::NetworkReported(_)
        | EventKind::Unknown => {}
    }
    agencies.dedup();
    for agency in &agencies {
        sets::insert(view, keys::agency_events(agency), index)?;
    }
    if let Some(id) = event.kind.delivery_id()
        && !stands_in_record
    {
        view.put(keys::delivery_event(&id, index), Vec::new());
    }
    search::insert(view, index, event, &agencies)
}

fn parties_of(item: &Item, agencies: &mut Vec<AgencyId>) {
    agencies.push(item.parties.sender.clone());
    agencies.extend(item.parties.recipient.clone());
}

fn parties_of_record(record: &Outgoing, agencies: &mut Vec<AgencyId>) {
    agencies.extend([record.facts.sender.clone(), record.facts.recipient.clone()]);
}

fn facts_of(item: &Item) -> MessageFacts {
    let mut facts = MessageFacts {
        kind: item.kind(),
        sender: item.parties.sender.clone(),
        sender_code: item.parties.sender_code.clone(),
        recipient: item.parties.recipient.clone().unwrap_or_default(),
        recipient_code: item.parties.recipient_code.clone(),
        envelope_digest: item.envelope_digest,
        attempt: item.attempt,
        key: None,
        document_digest: None,
        urgency: super::document::Urgency::Urgent,
        issued_on: None,
        target: None,
        status: None,
        replaces: None,
    };
    match &item.subject {
        Subject::Document(d) => {
            facts.key = Some(d.key.clone());
            facts.document_digest = Some(d.document_digest);
            facts.urgency = d.urgency;
            facts.issued_on = Some(d.issued_on);
            facts.replaces.clone_from(&d.replaces);
        }
        Subject::Notice(n) => {
            facts.target = Some(n.target);
            facts.status = n.status;
        }
    }
    facts
}

/// An agency's system is told; of what, the event says ([`told`]).
fn feed(view: &mut (impl View + ?Sized), agency: &AgencyId, index: u64) -> Result<(), ViewError> {
    sets::insert(view, keys::feed_of(agency), index)
}

/// Submitted: the delivery is queued for its peer; the document's key is taken; a notice reaches its own side. `lost` is
/// where it was recorded first, when that log is lost: its request id answered nothing here.
fn submitted(
    view: &mut (impl View + ?Sized),
    index: u64,
    kind: &EventKind,
    at: Timestamp,
    lost: Option<(LogRef, Digest)>,
) -> Result<(), ViewError> {
    let EventKind::Submitted {
        item,
        request_id,
        content_digests,
        verdicts,
        not_after,
        peer,
        content_size,
        ..
    } = kind
    else {
        return Ok(());
    };
    let facts = facts_of(item);
    let id = item.delivery_id;
    let request = match &item.subject {
        Subject::Document(d) => d.document_digest,
        Subject::Notice(n) => rows::notice_digest(n, &facts),
    };
    let request_key = keys::request(&facts.sender, request_id);
    if lost.is_none() && load::<RequestRecord>(view, &request_key)?.is_none() {
        store(view, request_key, &RequestRecord { digest: request, index });
    }
    match &item.subject {
        Subject::Document(d) => {
            let document_key = keys::document(&facts.sender, &d.key);
            let live = load::<DocumentRecord>(view, &document_key)?.map_or(0, |r| r.live);
            let record = DocumentRecord { digest: d.document_digest, live: live + 1 };
            store(view, document_key, &record);
            let attempt_key = keys::attempt(&facts.sender, &d.key, &facts.recipient);
            let earlier = load::<AttemptRecord>(view, &attempt_key)?.map_or_else(Vec::new, |before| {
                let mut earlier = before.earlier;
                earlier.push(before.delivery_id);
                earlier
            });
            let after_delivered = match earlier.last() {
                None => false,
                Some(before) => load::<Outgoing>(view, &keys::outgoing(before))?
                    .is_some_and(|record| record.state == DeliveryState::Delivered),
            };
            let attempt = AttemptRecord { attempt: item.attempt, delivery_id: id, live: true, earlier };
            store(view, attempt_key, &attempt);
            rows::submitted(view, &item.parties, d, (index, at), *verdicts, after_delivered)?;
        }
        Subject::Notice(notice) => {
            let envelope = item.envelope_digest;
            notices::submitted(view, &notices::Message { id, envelope, facts: &facts, notice, index, at })?;
        }
    }
    let said = recovered::said(view, &id, &facts.sender)?;
    view.put(keys::outbox(peer, facts.urgency, index), id.as_bytes().to_vec());
    let record = Outgoing {
        facts,
        content_digests: content_digests.clone(),
        peer: peer.clone(),
        submitted_index: index,
        queued_index: index,
        content_size: *content_size,
        events: vec![index],
        submitted_at: at,
        not_after: *not_after,
        state: DeliveryState::Queued,
        reason: None,
        settled_index: None,
        settled_at: None,
        receipt: None,
        receipt_proof: None,
        received_at: None,
        verdicts: *verdicts,
        peer_verdicts: None,
        statuses: Vec::new(),
        notices: said.notices,
        asked: Vec::new(),
        ended: None,
        lost_origin: lost,
        again: None,
    };
    store(view, keys::outgoing(&id), &record);
    Ok(())
}

/// Received: the recipient's node has it; a document waits in the inbox, a notice reaches its target.
fn received(view: &mut (impl View + ?Sized), index: u64, event: &Event) -> Result<(), ViewError> {
    let EventKind::Received { item, content_digests, verdicts, held, origin, origin_proof, peer, .. } =
        &event.kind
    else {
        return Ok(());
    };
    let facts = facts_of(item);
    let id = item.delivery_id;
    let (mut stated, mut replaced) = (None, None);
    if *held {
        sets::insert(view, keys::held(), index)?;
    }
    match &item.subject {
        Subject::Document(d) => {
            store(view, keys::in_force(&facts.sender, &d.key, &facts.recipient), &id);
            sets::insert(view, keys::inbox_of(&facts.recipient), index)?;
            if !*held {
                replaced = notices::replaces(view, &facts, id, index, event.at)?;
            }
            feed(view, &facts.recipient, index)?;
            let electronic = if *held { Electronic::Held } else { Electronic::Delivered };
            arrivals::came(view, item, d, event.at, electronic, *verdicts)?;
        }
        Subject::Notice(notice) => {
            stated = notices::stated(notice);
            if *held {
                // It waits where the agency sees it and can decide about it.
                sets::insert(view, keys::inbox_of(&facts.recipient), index)?;
                feed(view, &facts.recipient, index)?;
            } else {
                let envelope = item.envelope_digest;
                let message = notices::Message { id, envelope, facts: &facts, notice, index, at: event.at };
                notices::received(view, &message, origin)?;
            }
        }
    }
    let said = recovered::said(view, &id, &facts.recipient)?;
    let record = Incoming {
        facts,
        content_digests: content_digests.clone(),
        peer: peer.clone(),
        index,
        events: vec![index],
        received_at: event.at,
        answer: index,
        origin: origin.clone(),
        origin_proof: *origin_proof,
        verdicts: *verdicts,
        state: if *held { IncomingState::Held } else { IncomingState::Received },
        reason: None,
        handed_over: None,
        statuses: Vec::new(),
        notices: said.notices,
        asked: Vec::new(),
        ended: None,
        replaced,
        stated,
    };
    store(view, keys::incoming(&id), &record);
    Ok(())
}

/// Refused at this node: kept, so that the same delivery gets the same answer. False where the delivery's record stays
/// as it is.
fn refused(view: &mut (impl View + ?Sized), index: u64, event: &Event) -> Result<bool, ViewError> {
    let EventKind::Refused { item, content_digests, verdicts, reason, origin, origin_proof, peer, .. } =
        &event.kind
    else {
        return Ok(false);
    };
    let key = keys::incoming(&item.delivery_id);
    if load::<Incoming>(view, &key)?.is_some() {
        // Another envelope under a delivery id that is taken: the first one stands.
        return Ok(false);
    }
    if let Subject::Document(d) = &item.subject
        // What was withdrawn before it came never counts; what is there already counts as it is.
        && !matches!(reason, Reason::Withdrawn | Reason::AlreadyDelivered)
    {
        arrivals::came(view, item, d, event.at, Electronic::Refused, *verdicts)?;
    }
    let record = Incoming {
        facts: facts_of(item),
        content_digests: content_digests.clone(),
        peer: peer.clone(),
        index,
        events: vec![index],
        received_at: event.at,
        answer: index,
        origin: origin.clone(),
        origin_proof: *origin_proof,
        verdicts: *verdicts,
        state: IncomingState::Refused,
        reason: Some(*reason),
        handed_over: None,
        statuses: Vec::new(),
        notices: 0,
        asked: Vec::new(),
        ended: None,
        replaced: None,
        stated: None,
    };
    store(view, key, &record);
    Ok(true)
}

/// Whether a delivery is the newest attempt of its document to its recipient: the one that counts.
fn is_newest(view: &(impl View + ?Sized), facts: &MessageFacts, id: &DeliveryId) -> Result<bool, ViewError> {
    let Some(key) = &facts.key else { return Ok(false) };
    let attempt: Option<AttemptRecord> = load(view, &keys::attempt(&facts.sender, key, &facts.recipient))?;
    Ok(attempt.is_none_or(|a| a.delivery_id == *id))
}

/// Takes a document out of force at its recipient's node, when this delivery is the one that brought it.
fn leave_force(
    view: &mut (impl View + ?Sized),
    facts: &MessageFacts,
    document: &super::ids::DocumentKey,
    id: &DeliveryId,
) -> Result<(), ViewError> {
    let key = keys::in_force(&facts.sender, document, &facts.recipient);
    if load::<DeliveryId>(view, &key)? == Some(*id) {
        view.delete(&key);
    }
    Ok(())
}

/// Takes an attempt out of force, which frees the document's key from it, or back into force, when a proof overrides a
/// give-up.
fn set_live(view: &mut (impl View + ?Sized), facts: &MessageFacts, live: bool) -> Result<(), ViewError> {
    let Some(key) = &facts.key else { return Ok(()) };
    let attempt_key = keys::attempt(&facts.sender, key, &facts.recipient);
    let Some(mut attempt) = load::<AttemptRecord>(view, &attempt_key)? else { return Ok(()) };
    if attempt.attempt == facts.attempt && attempt.live != live {
        attempt.live = live;
        store(view, attempt_key, &attempt);
        let document_key = keys::document(&facts.sender, key);
        if let Some(mut document) = load::<DocumentRecord>(view, &document_key)? {
            document.live = if live { document.live + 1 } else { document.live.saturating_sub(1) };
            store(view, document_key, &document);
        }
    }
    Ok(())
}

/// Settled or given up: the outbox lets go, the sender's system is told, the row counts anew.
fn closed(
    view: &mut (impl View + ?Sized),
    index: u64,
    (kind, at): (&EventKind, Timestamp),
    id: &DeliveryId,
    agencies: &mut Vec<AgencyId>,
) -> Result<(), ViewError> {
    let key = keys::outgoing(id);
    let Some(mut record) = load::<Outgoing>(view, &key)? else { return Ok(()) };
    parties_of_record(&record, agencies);
    if recovered::is_delivered_again(view, index, kind, &mut record) {
        store(view, key, &record);
        return Ok(());
    }
    let before = record.state;
    let mut arrived = None;
    match kind {
        EventKind::Settled { outcome, reason, receipt, receipt_proof, verdicts, received_at, .. } => {
            record.state = *outcome;
            record.reason = *reason;
            record.receipt = Some(receipt.clone());
            record.receipt_proof = Some(*receipt_proof);
            record.peer_verdicts = Some(*verdicts);
            record.received_at = Some(*received_at);
            arrived = Some(*received_at);
        }
        EventKind::Undelivered { reason, .. } => {
            record.state = DeliveryState::Undelivered;
            record.reason = Some(*reason);
        }
        _ => return Ok(()),
    }
    record.settled_index = Some(index);
    if record.events.last() != Some(&index) {
        record.events.push(index);
    }
    record.settled_at = Some(at);
    // What is held at the other node is asked about again until it is decided there.
    if record.state != DeliveryState::Held {
        view.delete(&keys::outbox(&record.peer, record.facts.urgency, record.queued_index));
    }
    if !record.state.is_live() && before.is_live() {
        set_live(view, &record.facts, false)?;
    } else if record.state.is_live() && !before.is_live() {
        set_live(view, &record.facts, true)?;
    }
    notices::settle_asks(&mut record, index);
    notices::close_ended(view, &record)?;
    if record.facts.kind.is_document() {
        if record.state == DeliveryState::Delivered {
            notices::replaced(view, &record, *id, index, at)?;
        }
        let newest = is_newest(view, &record.facts, id)?;
        // The recipient's 02 may be here before the receipt: it stands.
        let refused_before = record.state == DeliveryState::Delivered
            && record.statuses.iter().any(|s| s.status == Status::Refused && !s.after_end);
        if refused_before {
            set_live(view, &record.facts, false)?;
        }
        let electronic = match record.state {
            _ if refused_before => Electronic::Refused,
            DeliveryState::Queued => Electronic::Pending,
            DeliveryState::Held => Electronic::Held,
            DeliveryState::Delivered => Electronic::Delivered,
            DeliveryState::Refused => Electronic::Refused,
            DeliveryState::Undelivered => Electronic::Undelivered,
            DeliveryState::Withdrawn => Electronic::Withdrawn,
        };
        let signed = record.peer_verdicts.is_some_and(super::event::RoleVerdicts::both_valid);
        let before = match &record.facts.key {
            // What was delivered once, and revoked, keeps its place when a later attempt is withdrawn.
            Some(key) if newest && record.state == DeliveryState::Withdrawn => {
                notices::delivered_before(view, &record.facts, key)?
            }
            _ => None,
        };
        if let Some(before) = before {
            rows::kept(view, &before, index)?;
        } else if newest {
            rows::settled(view, &record.facts, index, electronic, arrived, signed)?;
        }
        feed(view, &record.facts.sender, index)?;
    } else {
        notices::closed(view, &record, *id, index, at)?;
        let asks = Ask::of(record.facts.kind, record.facts.status).is_some();
        if asks || record.state != DeliveryState::Delivered {
            // What was asked, and a status that did not arrive, concerns its sender as well.
            feed(view, &record.facts.sender, index)?;
        }
    }
    store(view, key, &record);
    Ok(())
}

/// The recipient's system has it: out of the inbox.
fn handed_over(
    view: &mut (impl View + ?Sized),
    index: u64,
    event: &Event,
    id: &DeliveryId,
    agencies: &mut Vec<AgencyId>,
) -> Result<(), ViewError> {
    let key = keys::incoming(id);
    let Some(mut record) = load::<Incoming>(view, &key)? else { return Ok(()) };
    agencies.push(record.facts.recipient.clone());
    record.handed_over = Some((index, event.at));
    record.events.push(index);
    sets::remove(view, keys::inbox_of(&record.facts.recipient), record.index)?;
    store(view, key, &record);
    Ok(())
}

/// A held delivery is released to its recipient, or refused.
fn released(
    view: &mut (impl View + ?Sized),
    index: u64,
    event: &Event,
    id: &DeliveryId,
    agencies: &mut Vec<AgencyId>,
) -> Result<(), ViewError> {
    let EventKind::Released { refused, verdicts, .. } = &event.kind else { return Ok(()) };
    let key = keys::incoming(id);
    let Some(mut record) = load::<Incoming>(view, &key)? else { return Ok(()) };
    agencies.extend([record.facts.sender.clone(), record.facts.recipient.clone()]);
    record.verdicts = *verdicts;
    record.reason = *refused;
    record.events.push(index);
    record.answer = index;
    sets::remove(view, keys::held(), record.index)?;
    arrivals::decided(view, &record.facts, *refused, *verdicts)?;
    if refused.is_some() || !record.facts.kind.is_document() {
        sets::remove(view, keys::inbox_of(&record.facts.recipient), record.index)?;
    }
    if refused.is_some() {
        record.state = IncomingState::Refused;
        if let Some(document) = record.facts.key.clone() {
            leave_force(view, &record.facts, &document, id)?;
        }
    } else {
        record.state = IncomingState::Received;
        if let Some(notice) = notices::of_record(&record) {
            let (facts, envelope) = (&record.facts, record.facts.envelope_digest);
            let message = notices::Message { id: *id, envelope, facts, notice: &notice, index, at: event.at };
            notices::takes_effect(view, &message)?;
        } else {
            record.replaced = notices::replaces(view, &record.facts, *id, index, event.at)?;
            feed(view, &record.facts.recipient, index)?;
        }
    }
    store(view, key, &record);
    Ok(())
}

/// Digest by which a notice is recognised when it is sent again under the same request id.
pub fn notice_digest(item: &Item) -> Option<super::ids::Digest> {
    match &item.subject {
        Subject::Document(_) => None,
        Subject::Notice(n) => Some(rows::notice_digest(n, &facts_of(item))),
    }
}

pub use about::{About, about};
pub use rows::paper_digest;
pub use sets::{arrived, concerns, read_bitmap, told};

/// The status history of a delivery on the side of the agency that would send the next status.
pub fn history(statuses: &[StatusEntry]) -> Vec<Status> {
    statuses.iter().filter(|s| !s.out_of_order).map(|s| s.status).collect()
}
