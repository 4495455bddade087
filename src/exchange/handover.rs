//! Hand-over: the recipient's system is told, fetches under a lease, and acknowledges.
//!
//! What is guaranteed: everything in an inbox stays there until it is acknowledged; what is fetched and not
//! acknowledged is offered again after the lease; acknowledging twice is harmless. A watch repeats every item in log
//! order from any cursor on. Leases live in memory only: after a restart everything not acknowledged is free again.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;

use super::stored::Stored;
use super::traces::Side;
use super::{Caller, Exchange, message};
use crate::config::Role;
use crate::domain::decide::{Command, no_longer};
use crate::domain::envelope::Notice;
use crate::domain::event::{Event, EventKind, RoleVerdicts};
use crate::domain::fold::records::{Asked, FeedKind, Incoming};
use crate::domain::fold::{self, keys, load};
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{Ask, AskState, Envelope, Kind, Status, limits};
use crate::ledger::{LedgerError, damaged, events_of, missing_leaf, storage};
use crate::time::Timestamp;
use crate::wire::leaf;

/// Who holds which delivery until when.
#[derive(Default)]
pub(crate) struct Leases {
    held: Mutex<HashMap<DeliveryId, (String, Timestamp)>>,
}

impl Leases {
    /// Takes or renews a lease.
    fn take(&self, id: DeliveryId, client: &str, now: Timestamp) -> Result<Timestamp, Rejection> {
        let mut held = self.held.lock().expect("no holder of this lock panics");
        if held.len() >= limits::LEASES {
            held.retain(|_, (_, until)| *until > now);
        }
        if held.len() >= limits::LEASES {
            return Err(Rejection::new(
                Reason::Overloaded,
                "",
                format!("{} deliveries are fetched and not acknowledged: acknowledge first", limits::LEASES),
            ));
        }
        if let Some((holder, until)) = held.get(&id)
            && holder != client
            && *until > now
        {
            return Err(Rejection::new(
                Reason::Leased,
                "delivery_id",
                format!("another client of this agency holds it until {until}: try again then"),
            ));
        }
        let until = now.plus_millis(limits::LEASE_MS);
        held.insert(id, (client.to_owned(), until));
        Ok(until)
    }

    /// Lengthens the lease of a client that still reads.
    fn renew(&self, id: &DeliveryId, client: &str, now: Timestamp) {
        let mut held = self.held.lock().expect("no holder of this lock panics");
        if let Some((_, until)) = held.get_mut(id).filter(|(holder, _)| holder == client) {
            *until = now.plus_millis(limits::LEASE_MS);
        }
    }

    fn end(&self, id: &DeliveryId) {
        self.held.lock().expect("no holder of this lock panics").remove(id);
    }

    /// Who has it, and until when.
    pub(super) fn holder(&self, id: &DeliveryId, now: Timestamp) -> Option<(String, Timestamp)> {
        let held = self.held.lock().expect("no holder of this lock panics");
        held.get(id).filter(|(_, until)| *until > now).cloned()
    }

    pub(super) fn is_held(&self, id: &DeliveryId, now: Timestamp) -> bool {
        self.holder(id, now).is_some()
    }
}

/// One entry of an inbox.
#[derive(Debug, Clone)]
pub struct InboxEntry {
    /// Its delivery.
    pub id: DeliveryId,
    /// What is known of it.
    pub record: Incoming,
    /// A client has it under a lease.
    pub leased: bool,
}

/// Something that a system is told.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Its place in the log.
    pub index: u64,
    /// Whom it is for.
    pub agency: AgencyId,
    /// What it is.
    pub kind: FeedKind,
    /// The delivery that it is about.
    pub delivery_id: DeliveryId,
    /// The event itself.
    pub event: Event,
    /// For a notice that arrived: what it says.
    pub message: Option<Envelope>,
}

/// A delivery that was opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The envelope as it arrived.
    pub envelope: Bytes,
    /// What it means.
    pub content: Envelope,
    /// Verdicts of this node.
    pub verdicts: RoleVerdicts,
    /// Detached signatures, in the envelope's order.
    pub signatures: Vec<Bytes>,
    /// Until when nobody else is offered it.
    pub lease_until: Timestamp,
    /// The Fetched event.
    pub index: u64,
    /// Envelopes of the updates that the agency agreed to, the newest last.
    pub updates: Vec<Bytes>,
}

impl Exchange {
    /// What waits for an agency, oldest first, from an index on.
    pub fn inbox(
        &self,
        caller: &Caller,
        agency: &str,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<InboxEntry>, Option<u64>), Rejection> {
        let directory = self.directory();
        let agency =
            self.own_agency(&directory, caller, Role::Dms, agency, "agency", Reason::UnknownAgency)?.id;
        let now = self.ledger().now();
        let size = self.ledger().snapshot().size();
        let found = events_of(self.ledger().index(), keys::inbox_of(&agency), from, false, limit + 1)
            .map_err(|e| storage(&e))?;
        let mut entries = Vec::new();
        let mut next = None;
        for index in found.into_iter().filter(|i| *i < size) {
            if entries.len() == limit {
                next = Some(index);
                break;
            }
            let Some(id) = fold::arrived(&self.event(index)?) else { continue };
            if let Some(record) = load(self.ledger(), &keys::incoming(&id)).map_err(|e| damaged(&e))? {
                entries.push(InboxEntry { id, record, leased: self.inner.leases.is_held(&id, now) });
            }
        }
        Ok((entries, next))
    }

    /// What agencies are told after a log index, oldest first, at most about `limit` items.
    pub fn notifications(
        &self,
        agencies: &[AgencyId],
        from: u64,
        limit: usize,
    ) -> Result<Vec<Notification>, Rejection> {
        // Commits that come while this reads may be seen or not; what is below the published size is all there.
        let size = self.ledger().snapshot().size();
        let mut due: Vec<(u64, &AgencyId)> = Vec::new();
        // Beyond the smallest end of a full read, items of that agency may be missing.
        let mut complete_to = u64::MAX;
        for agency in agencies {
            let mut found = events_of(self.ledger().index(), keys::feed_of(agency), from, false, limit)
                .map_err(|e| storage(&e))?;
            found.retain(|i| *i < size);
            if found.len() >= limit {
                complete_to = complete_to.min(found.last().copied().unwrap_or(0));
            }
            due.extend(found.into_iter().map(|index| (index, agency)));
        }
        due.retain(|(index, _)| *index <= complete_to);
        due.sort_by_key(|(index, _)| *index);
        // An event may be for two agencies: it is not cut apart.
        if let Some((last, _)) = due.get(limit.saturating_sub(1)).copied() {
            due.retain(|(index, _)| *index <= last);
        }
        let mut all = Vec::with_capacity(due.len());
        for (index, agency) in due {
            let event = self.event(index)?;
            if let Some((kind, delivery_id)) = fold::told(&event) {
                let mut told =
                    Notification { index, agency: agency.clone(), kind, delivery_id, event, message: None };
                self.read_message(&mut told)?;
                all.push(told);
            }
        }
        Ok(all)
    }

    /// Adds what a notice says that arrived, or was released now.
    fn read_message(&self, told: &mut Notification) -> Result<(), Rejection> {
        let (message, digest) = match &told.event.kind {
            EventKind::Received { item, .. } if !item.kind().is_document() => {
                (item.delivery_id, item.envelope_digest)
            }
            EventKind::Released { delivery_id, envelope_digest, .. } => {
                let record: Option<Incoming> =
                    load(self.ledger(), &keys::incoming(&told.delivery_id)).map_err(|e| damaged(&e))?;
                let facts = record.map(|r| r.facts).filter(|f| !f.kind.is_document());
                let Some((kind, target)) = facts.and_then(|f| Some((f.kind, f.target?))) else {
                    return Ok(());
                };
                (told.kind, told.delivery_id) = (FeedKind::Notice(kind), target);
                (*delivery_id, *envelope_digest)
            }
            _ => return Ok(()),
        };
        // What it said is gone with the document when that was purged.
        if self.not_purged(&message).is_ok() {
            told.message = Some(self.stored(&digest)?.envelope);
        }
        Ok(())
    }

    /// The event at an index of this node's log.
    pub(super) fn event(&self, index: u64) -> Result<Event, Rejection> {
        let bytes = self.ledger().leaf(index)?.ok_or_else(|| missing_leaf(index, &"it is not there"))?;
        leaf::decode(&bytes).map_err(|error| missing_leaf(index, &error))
    }

    /// Opens a delivery for a system: records the access and grants a lease.
    pub async fn fetch(
        &self,
        caller: &Caller,
        agency: &str,
        id: DeliveryId,
        user: &str,
    ) -> Result<Opened, Rejection> {
        let directory = self.directory();
        let agency =
            self.own_agency(&directory, caller, Role::Dms, agency, "agency", Reason::UnknownAgency)?;
        let actor = caller.actor(user)?;
        let now = self.ledger().now();
        let mut span = self.span("fetch", Side::Server);
        // The record first: a lease must not tell that a delivery exists.
        let record = self.own_incoming(&agency.id, &id)?;
        no_longer(record.ended.as_ref(), &id)?;
        self.not_purged(&id)?;
        let lease_until = self.inner.leases.take(id, caller.name(), now)?;
        let command = Command::Fetch { actor, agency: agency.id.clone(), delivery_id: id };
        let committed = match span.step("commit", self.ledger().commit(command)).await {
            Ok(committed) => committed,
            Err(e) => {
                self.inner.leases.end(&id);
                return Err(e.into_rejection());
            }
        };
        span.about(&id, None);
        span.says("recipient", record.facts.recipient_code.as_str());
        span.end(None);
        let Stored { bytes, envelope, signatures } = self.stored(&record.facts.envelope_digest)?;
        let mut agreed: Vec<&Asked> = record.asked.iter().collect();
        agreed.retain(|a| a.ask == Ask::Update && a.state == AskState::Agreed);
        agreed.sort_by_key(|a| a.answer);
        let updates = agreed.iter().map(|a| self.stored_content(&a.envelope)).collect::<Result<_, _>>()?;
        Ok(Opened {
            updates,
            envelope: bytes,
            content: envelope,
            verdicts: record.verdicts,
            signatures: signatures.concat(),
            lease_until,
            index: committed.recorded(),
        })
    }

    /// A client still reads a delivery that it fetched.
    pub(crate) fn renew_lease(&self, caller: &Caller, id: &DeliveryId) {
        self.inner.leases.renew(id, caller.name(), self.ledger().now());
    }

    pub(super) fn own_incoming(&self, agency: &AgencyId, id: &DeliveryId) -> Result<Incoming, Rejection> {
        load::<Incoming>(self.ledger(), &keys::incoming(id))
            .map_err(|e| damaged(&e))?
            .filter(|r| r.facts.recipient == *agency)
            .ok_or_else(|| {
                Rejection::new(
                    Reason::UnknownDelivery,
                    "delivery_id",
                    format!("no delivery {id} for {agency} is known here"),
                )
            })
    }

    /// The recipient's system confirms that it has the delivery: out of the inbox, and status 01 to the sender.
    pub async fn acknowledge(
        &self,
        caller: &Caller,
        agency: &str,
        id: DeliveryId,
        user: &str,
    ) -> Result<u64, Rejection> {
        let directory = self.directory();
        let code = agency;
        let agency = self.own_agency(&directory, caller, Role::Dms, code, "agency", Reason::UnknownAgency)?;
        let actor = caller.actor(user)?;
        let mut span = self.span("acknowledge", Side::Server);
        for _ in 0..message::TRIES {
            let record = self.own_incoming(&agency.id, &id)?;
            if let Some((index, _)) = record.handed_over {
                self.inner.leases.end(&id);
                return Ok(index);
            }
            let now = self.ledger().now();
            let notice = Notice { status: Some(Status::Arrived), ..Notice::about(id, record.notices + 1) };
            // A sender that no node hosts any more is told nothing; the document is the recipient's all the same.
            let sender = directory.agency(&record.facts.sender).filter(|a| a.node(now.date()).is_some());
            let arrived = match sender {
                None => None,
                Some(sender) => {
                    let to = (sender, record.facts.sender_code.as_str());
                    Some(message::notice(self, &directory, (&agency, code), to, Kind::Status, notice, now)?)
                }
            };
            let command = Command::HandOver {
                actor: actor.clone(),
                agency: agency.id.clone(),
                delivery_id: id,
                arrived: arrived.map(Box::new),
            };
            match span.step("commit", self.ledger().commit(command)).await {
                Err(LedgerError::Stale) => {}
                Err(e) => {
                    let rejection = e.into_rejection();
                    if rejection.reason == Reason::Revoked {
                        // There is nothing left to keep for one client.
                        self.inner.leases.end(&id);
                    }
                    return Err(rejection);
                }
                Ok(committed) => {
                    self.inner.leases.end(&id);
                    span.about(&id, None);
                    span.says("recipient", code);
                    span.end(None);
                    return Ok(committed.recorded());
                }
            }
        }
        Err(LedgerError::Stale.into_rejection())
    }
}
