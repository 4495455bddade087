//! Status messages: the recipient's system reports how far it is, the sender's asks to take a document back (13), and the
//! recipient's answers what it was asked (15, 16). Each travels to the other node the same way as a document, authentic by
//! this node's log. An out-of-order status is recorded and flagged, not lost.

use super::traces::Side;
use super::{Caller, Exchange, message};
use crate::config::Role;
use crate::directory::Agency;
use crate::domain::decide::{Answer, Command, Place, answered, is_senders_notice, notice_state};
use crate::domain::envelope::Notice;
use crate::domain::event::{EventKind, Subject};
use crate::domain::fold::records::{Incoming, Outgoing};
use crate::domain::fold::{keys, load};
use crate::domain::ids::{AgencyId, DeliveryId, RequestId};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{Kind, Status};
use crate::ledger::{Committed, LedgerError, damaged};
use crate::wire;

/// What a system reports.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of SendStatusRequest in exchange.proto")]
pub struct Report {
    pub request_id: RequestId,
    pub agency: String,
    pub delivery_id: DeliveryId,
    pub status: Status,
    pub reason: String,
    pub office: String,
    pub officer: String,
    pub user: String,
    pub answers: Option<DeliveryId>,
}

/// What became of it.
#[derive(Debug, Clone, Copy)]
pub struct Reported {
    /// Delivery of the status message itself.
    pub delivery_id: DeliveryId,
    /// Where it stands in the log.
    pub index: u64,
    /// It is no legal successor of the status before.
    pub out_of_order: bool,
}

impl Exchange {
    /// Records a status and sends it to the other side.
    pub async fn report_status(&self, caller: &Caller, report: Report) -> Result<Reported, Rejection> {
        let directory = self.directory();
        let agency =
            self.own_agency(&directory, caller, Role::Dms, &report.agency, "agency", Reason::UnknownAgency)?;
        let actor = caller.actor(&report.user)?;
        let mut span = self.span("respond", Side::Server);
        if report.status == Status::Arrived {
            return Err(Rejection::new(
                Reason::WrongStatus,
                "status",
                "01 is reported by Acknowledge, when the system has the delivery",
            ));
        }
        for _ in 0..message::TRIES {
            let (other, other_code) = self.counterpart(&agency, &report)?;
            let other = directory.agency(&other).ok_or_else(|| {
                Rejection::new(Reason::UnknownAgency, "delivery_id", format!("{other} is no longer listed"))
            })?;
            let state = notice_state(self.ledger(), &agency.id, &report.delivery_id)
                .map_err(|e| LedgerError::from(e).into_rejection())?;
            let answers =
                if report.status.is_answer() { answered(&state.asked, report.answers)? } else { None };
            let notice = Notice {
                status: Some(report.status),
                reason: report.reason.clone(),
                office: report.office.clone(),
                officer: report.officer.clone(),
                answers,
                after_end: state.after_end(),
                ..Notice::about(report.delivery_id, state.notices + 1)
            };
            let from = (&agency, report.agency.as_str());
            let now = self.ledger().now();
            let prepared =
                message::notice(self, &directory, from, (other, &other_code), Kind::Status, notice, now)?;
            let command = Command::Submit {
                actor: actor.clone(),
                request_id: report.request_id.clone(),
                deliveries: vec![prepared],
            };
            match span.step("commit", self.ledger().commit(command)).await {
                Err(LedgerError::Stale) => {}
                Err(e) => return Err(e.into_rejection()),
                Ok(committed) => {
                    span.about(&report.delivery_id, None);
                    span.says("status", u64::from(report.status.code()));
                    span.end(None);
                    return self.reported(sent_index(&committed));
                }
            }
        }
        Err(LedgerError::Stale.into_rejection())
    }

    /// What the log says of a notice: decided by the writer, so read back from there.
    pub(super) fn reported(&self, index: u64) -> Result<Reported, Rejection> {
        let leaf = self.ledger().leaf(index)?;
        let event = leaf.and_then(|l| wire::leaf::decode(&l).ok());
        let Some(EventKind::Submitted { item, .. }) = event.map(|e| e.kind) else {
            return Err(Rejection::new(Reason::Damaged, "", "this node's store must be checked"));
        };
        let out_of_order = matches!(&item.subject, Subject::Notice(n) if n.out_of_order);
        Ok(Reported { delivery_id: item.delivery_id, index, out_of_order })
    }

    /// The other party of a delivery, when this agency may send this status about it.
    fn counterpart(&self, agency: &Agency, report: &Report) -> Result<(AgencyId, String), Rejection> {
        let id = &report.delivery_id;
        let incoming: Option<Incoming> = load(self.ledger(), &keys::incoming(id)).map_err(|e| damaged(&e))?;
        let outgoing: Option<Outgoing> = load(self.ledger(), &keys::outgoing(id)).map_err(|e| damaged(&e))?;
        let senders = is_senders_notice(Kind::Status, Some(report.status));
        if let Some(record) = incoming.filter(|r| r.facts.recipient == agency.id) {
            if senders {
                return Err(wrong(report.status, "the sender of the delivery", &agency.id));
            }
            if !record.facts.kind.is_document() {
                return Err(wrong(report.status, "nobody about a status message", &agency.id));
            }
            return Ok((record.facts.sender, record.facts.sender_code));
        }
        if let Some(record) = outgoing.filter(|r| r.facts.sender == agency.id) {
            if !senders {
                return Err(wrong(report.status, "the recipient of the delivery", &agency.id));
            }
            return Ok((record.facts.recipient, record.facts.recipient_code));
        }
        Err(Rejection::new(
            Reason::UnknownDelivery,
            "delivery_id",
            format!("no delivery {id} of {} is known here", agency.id),
        ))
    }
}

/// Where the one message of a command is recorded.
pub(super) fn sent_index(committed: &Committed) -> u64 {
    let place = match &committed.answer {
        Answer::Sent(sent) => sent.first().map(|s| s.1),
        Answer::Recorded(place) => Some(*place),
    };
    committed.index(place.unwrap_or(Place::New(0)))
}

fn wrong(status: Status, who: &str, agency: &AgencyId) -> Rejection {
    Rejection::new(Reason::WrongParty, "status", format!("{status} is given by {who}, not by {agency}"))
}
