//! The paper register: what went on paper, as the sender's registry enters it. A correction is an entry that names the one
//! that it stands in for; a withdrawal names one, or all of a document to a recipient. All are events.

use super::pressure::Wants;
use super::{Caller, Exchange};
use crate::config::Role;
use crate::domain::decide::{Answer, Command, Place};
use crate::domain::document::Urgency;
use crate::domain::event::PaperEntry;
use crate::domain::ids::{self, DocumentKey, RequestId};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::ledger::LedgerError;
use crate::time::Date;

/// An entry as a system sends it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of RecordPaperRequest in exchange.proto")]
pub struct PaperRequest {
    pub request_id: RequestId,
    pub sender: String,
    pub recipient: String,
    pub recipient_name: String,
    pub number: String,
    pub notation: String,
    pub issued_on: Date,
    pub type_name: String,
    pub urgency: Urgency,
    pub mandatory: bool,
    pub basis: String,
    pub dispatched_on: Option<Date>,
    pub withdraw: bool,
    pub corrects: Option<u64>,
    pub user: String,
}

impl Exchange {
    /// Enters a dispatch on paper; returns its log index and whether it was entered before.
    pub async fn record_paper(
        &self,
        caller: &Caller,
        request: PaperRequest,
    ) -> Result<(u64, bool), Rejection> {
        let directory = self.directory();
        let now = self.ledger().now();
        let sender =
            self.own_agency(&directory, caller, Role::Dms, &request.sender, "sender", Reason::UnknownSender)?;
        let _room = self.pressure().admit(Wants::Entry)?;
        let actor = caller.actor(&request.user)?;
        ids::text_field("type_name", &request.type_name, limits::TYPE_NAME_CHARS)?;
        ids::optional_text("basis", &request.basis, limits::REASON_CHARS)?;
        let parties = if request.recipient.is_empty() {
            if request.recipient_name.is_empty() {
                return Err(Rejection::new(
                    Reason::NoRecipient,
                    "recipient",
                    "name the recipient: its code, or its name where it has none",
                ));
            }
            ids::text_field("recipient_name", &request.recipient_name, limits::AGENCY_NAME_CHARS)?;
            directory.parties_outside(&sender, &request.sender)
        } else {
            let recipient = directory.by_code(&request.recipient, now.date()).ok_or_else(|| {
                Rejection::new(
                    Reason::UnknownRecipient,
                    "recipient",
                    format!(
                        "no agency `{}` in directory version {}: give its name in recipient_name instead",
                        ids::shorten(&request.recipient),
                        directory.version()
                    ),
                )
            })?;
            directory.parties(&sender, &request.sender, recipient, &request.recipient)
        };
        for (field, day) in [("issued_on", Some(request.issued_on)), ("dispatched_on", request.dispatched_on)]
        {
            if let Some(day) = day
                && day > now.plus_millis(limits::FUTURE_MS).date()
            {
                return Err(Rejection::new(
                    Reason::IssuedInFuture,
                    field,
                    format!("{day} lies ahead of {now}: correct the date"),
                ));
            }
        }
        if let Some(day) = request.dispatched_on.filter(|day| *day < request.issued_on) {
            let what =
                format!("{day} is before {}, the day of issue: correct one of them", request.issued_on);
            return Err(Rejection::new(Reason::InvalidDate, "dispatched_on", what));
        }
        let entry = PaperEntry {
            parties,
            recipient_name: request.recipient_name,
            key: DocumentKey::new(&request.number, &request.notation, request.issued_on.year())?,
            issued_on: request.issued_on,
            type_name: request.type_name,
            urgency: request.urgency,
            mandatory: request.mandatory,
            basis: request.basis,
            dispatched_on: request.dispatched_on,
            withdrawn: request.withdraw,
            corrects: request.corrects,
            request_id: request.request_id,
        };
        let command = Command::Paper { actor, entry: Box::new(entry) };
        let committed = self.ledger().commit(command).await.map_err(LedgerError::into_rejection)?;
        let existing = matches!(committed.answer, Answer::Recorded(Place::Existing(_)));
        Ok((committed.recorded(), existing))
    }
}
