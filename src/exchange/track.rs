//! Following a delivery from sent to completed, and seeing why it waits.

use super::{Caller, Exchange};
use crate::config::{NodeRole, Role};
use crate::domain::fold::records::{Asked, AttemptRecord, Incoming, IncomingState, Outgoing};
use crate::domain::fold::{decode, keys, load};
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{AskState, DeliveryState, DocumentRef, Kind};
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

/// The newest statuses of a recipient that are looked at for whether they have arrived.
const STATUSES: u32 = 16;

/// What the recipient was asked and did not answer. A revoke needs no consent: its 15 is waited for all the same.
fn open_question(asked: &[Asked]) -> Option<&'static str> {
    asked.iter().find(|a| a.state == AskState::Open).map(|a| a.ask.as_str())
}

/// What a delivery that arrived at another node waits for there, as far as this one knows.
fn waits_there(record: &Outgoing) -> String {
    let to = &record.facts.recipient_code;
    if record.state != DeliveryState::Delivered || !record.facts.kind.is_document() {
        return String::new();
    }
    if let Some(question) = open_question(&record.asked) {
        return format!("{to} to answer the {question} with 15 or 16");
    }
    if record.ended.is_none() && record.statuses.is_empty() {
        return format!("the system of {to} to fetch and acknowledge it");
    }
    String::new()
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

    /// Why a delivery waits, or what about it is waited for, for a person; empty when nothing is.
    pub fn waits(&self, tracked: &Tracked) -> String {
        let now = self.ledger().now();
        let sent = tracked.outgoing.as_ref().map(|record| {
            let why = self.queues().why(&tracked.id, record, now);
            if why.is_empty() { self.own_message_waits(&record.asked) } else { why }
        });
        if let Some(why) = sent.filter(|why| !why.is_empty()) {
            return why;
        }
        match (&tracked.incoming, &tracked.outgoing) {
            (Some(record), _) => self.waits_here(&tracked.id, record),
            (None, Some(record)) => waits_there(record),
            (None, None) => String::new(),
        }
    }

    /// A revoke, update or 13 about a delivery that is on its way.
    fn own_message_waits(&self, asked: &[Asked]) -> String {
        let sent = asked.iter().find(|a| a.state == AskState::Sent);
        sent.map_or_else(String::new, |a| self.message_waits(&a.notice, &format!("its {}", a.ask.as_str())))
    }

    /// Why a message of this node waits; empty when it does not.
    fn message_waits(&self, id: &DeliveryId, what: &str) -> String {
        let record: Option<Outgoing> = load(self.ledger(), &keys::outgoing(id)).unwrap_or(None);
        let why = record.map(|record| self.queues().why(id, &record, self.ledger().now()));
        why.filter(|why| !why.is_empty()).map_or_else(String::new, |why| format!("{what} to arrive: {why}"))
    }

    /// What a delivery for an agency of this node waits for.
    fn waits_here(&self, id: &DeliveryId, record: &Incoming) -> String {
        let to = &record.facts.recipient_code;
        if !record.facts.kind.is_document() && record.state != IncomingState::Held {
            return String::new();
        }
        match record.state {
            IncomingState::Refused => return String::new(),
            IncomingState::Held => {
                let reason = record.verdicts.reason.map_or("held", |r| r.as_str());
                return format!(
                    "held here: {reason}: judged again when there is more revocation data; {to} may release or \
                     refuse it"
                );
            }
            IncomingState::Received => {}
        }
        if let Some(question) = open_question(&record.asked) {
            return format!("{to} to answer the sender's {question} with 15 or 16");
        }
        // The newest statuses that the recipient reported may still be on their way.
        let facts = &record.facts;
        let oldest = record.notices.saturating_sub(STATUSES) + 1;
        for number in oldest..=record.notices {
            let kind = Kind::Status.number();
            let notice = DeliveryId::of_notice(&facts.recipient, kind, id, number, &facts.sender);
            let why = self.message_waits(&notice, "a status");
            if !why.is_empty() {
                return why;
            }
        }
        if record.handed_over.is_some() || record.ended.is_some() {
            return String::new();
        }
        match self.inner.leases.holder(id, self.ledger().now()) {
            Some((client, until)) => {
                format!(
                    "client `{client}` to acknowledge it, which fetched it; offered again from {until} on"
                )
            }
            None => format!("the system of {to} to fetch and acknowledge it"),
        }
    }

    /// A node's auditor reads everything.
    pub(super) fn may_read(&self, caller: &Caller, agency: &AgencyId) -> bool {
        if caller.has(NodeRole::Auditor) {
            return true;
        }
        let today = self.ledger().now().date();
        self.directory().agency(agency).is_some_and(|a| {
            [Role::Dms, Role::Auditor, Role::Operator].into_iter().any(|role| caller.may(a, role, today))
        })
    }
}
