//! Revoke and update: the sender of a document says something about it, under its agency's seal.
//!
//! A system asks for the statement, has it sealed, and sends it with the seal. From there the notice takes the way of
//! every message: judged here, recorded, delivered, judged again and recorded at the recipient's node, answered with
//! its proof. What it meets there is decided by that node's log (`domain::decide`).

use bytes::Bytes;

use super::judge::Outcome;
use super::status::sent_index;
use super::{Caller, Exchange, message};
use crate::config::Role;
use crate::directory::Agency;
use crate::domain::decide::{Answer, Command, Place, Side, may_ask, notice_state};
use crate::domain::document::at_most;
use crate::domain::envelope::{Notice, NoticeDocument};
use crate::domain::event::RoleVerdicts;
use crate::domain::fold::records::Outgoing;
use crate::domain::ids::{DeliveryId, RequestId};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{Ask, Kind, Metadata, limits};
use crate::ledger::{LedgerError, storage};
use crate::merkle::sha256;
use crate::signature::Role as SignatureRole;

/// What a system asks for.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of SendNoticeRequest in exchange.proto")]
pub struct NoticeRequest {
    pub request_id: RequestId,
    pub agency: String,
    pub kind: Kind,
    pub delivery_id: DeliveryId,
    pub reason: String,
    pub metadata: Option<Metadata>,
    pub user: String,
    pub signatures: Vec<Bytes>,
    pub statement_only: bool,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct NoticeSent {
    /// Delivery and log index of the notice; none when only the statement was asked for.
    pub recorded: Option<(DeliveryId, u64)>,
    /// What the seal is over.
    pub statement: String,
    /// It was sent before.
    pub already_sent: bool,
    /// What this node found of the signatures.
    pub verdicts: Option<RoleVerdicts>,
}

impl Exchange {
    /// Records a revoke or an update and sends it to the recipient's node.
    pub async fn send_notice(
        &self,
        caller: &Caller,
        request: NoticeRequest,
    ) -> Result<NoticeSent, Rejection> {
        let directory = self.directory();
        let agency =
            self.own_agency(&directory, caller, Role::Dms, &request.agency, "agency", Reason::UnknownAgency)?;
        let actor = caller.actor(&request.user)?;
        let ask = match request.kind {
            Kind::Revoke => Ask::Revoke,
            Kind::Update => Ask::Update,
            kind => {
                return Err(Rejection::new(
                    Reason::InvalidText,
                    "kind",
                    format!("`{}` is no notice: documents go by Send, statuses by SendStatus", kind.as_str()),
                ));
            }
        };
        let now = self.ledger().now();
        if let Some(metadata) = &request.metadata {
            metadata.check(now)?;
        } else if ask == Ask::Update {
            return Err(Rejection::missing("metadata"));
        }
        let (record, _) = self.sent_document(&agency, &request)?;
        let (Some(key), Some(digest)) = (record.facts.key.clone(), record.facts.document_digest) else {
            return Err(Rejection::new(
                Reason::WrongParty,
                "delivery_id",
                format!(
                    "{} is a {} message, not a document",
                    request.delivery_id,
                    record.facts.kind.as_str()
                ),
            ));
        };
        let mut notice = Notice {
            reason: request.reason.clone(),
            document: Some(NoticeDocument { key, digest }),
            metadata: request.metadata.clone().map(Box::new),
            signatures: request.signatures.iter().map(|s| (sha256(s), s.len() as u32)).collect(),
            ..Notice::about(request.delivery_id, 1)
        };
        notice.check(request.kind)?;
        let statement = notice.statement(request.kind, &agency.id).unwrap_or_default();
        if request.statement_only {
            may_ask(&record, &request.delivery_id, ask)?;
            return Ok(NoticeSent { recorded: None, statement, already_sent: false, verdicts: None });
        }
        let outcome = self.sealed(&agency, &request, &statement).await?;
        let other = directory.agency(&record.facts.recipient).ok_or_else(|| {
            let what = format!("{} is no longer listed", record.facts.recipient);
            Rejection::new(Reason::UnknownAgency, "delivery_id", what)
        })?;
        for _ in 0..message::TRIES {
            let (record, notices) = self.sent_document(&agency, &request)?;
            notice.message_number = notices + 1;
            let mut prepared = message::notice(
                self,
                &directory,
                (&agency, request.agency.as_str()),
                (other, &record.facts.recipient_code),
                request.kind,
                notice.clone(),
                self.ledger().now(),
            )?;
            prepared.verdicts = outcome.verdicts;
            prepared.judged = outcome.judged.clone();
            let command = Command::Submit {
                actor: actor.clone(),
                request_id: request.request_id.clone(),
                deliveries: vec![prepared],
            };
            match self.ledger().commit(command).await {
                Err(LedgerError::Stale) => {}
                Err(e) => return Err(e.into_rejection()),
                Ok(committed) => {
                    let index = sent_index(&committed);
                    let already_sent = matches!(&committed.answer, Answer::Sent(s) if matches!(s[..], [(_, Place::Existing(_))]));
                    let recorded = self.reported(index)?;
                    return Ok(NoticeSent {
                        recorded: Some((recorded.delivery_id, index)),
                        statement,
                        already_sent,
                        verdicts: Some(outcome.verdicts),
                    });
                }
            }
        }
        Err(LedgerError::Stale.into_rejection())
    }

    /// The document that the notice is about, when this agency sent it; and how many messages it sent about it.
    fn sent_document(&self, agency: &Agency, request: &NoticeRequest) -> Result<(Outgoing, u32), Rejection> {
        let state = notice_state(self.ledger(), &agency.id, &request.delivery_id)
            .map_err(|e| LedgerError::from(e).into_rejection())?;
        match state.side {
            Side::Sender(record) => Ok((record, state.notices)),
            Side::Recipient(_) => Err(Rejection::new(
                Reason::WrongParty,
                "delivery_id",
                format!(
                    "{} received this document: its sender alone can {} it",
                    agency.id,
                    request.kind.as_str()
                ),
            )),
        }
    }

    /// Judges the seal and keeps it.
    async fn sealed(
        &self,
        agency: &Agency,
        request: &NoticeRequest,
        statement: &str,
    ) -> Result<Outcome, Rejection> {
        let signatures = &request.signatures;
        at_most("signatures", signatures.len(), limits::SIGNATURES_PER_PART)?;
        message::check_signature_sizes("signatures", signatures)?;
        let directory = self.directory();
        let registered = directory.registered(agency).id.clone();
        let now = self.ledger().now();
        let outcome = self.judge_statement(registered.as_str(), &directory, statement, signatures, now)?;
        if let Some(reason) = message::unsealed(outcome.verdicts, self.config().revocation_unknown) {
            let found = &outcome.found;
            let why = match reason {
                Reason::SealRequired => {
                    "the statement needs a valid signature by the agency's seal: ask for it with `statement_only`"
                        .to_owned()
                }
                _ => message::detail(found),
            };
            return Err(Rejection::new(
                reason,
                "signatures",
                format!(
                    "person: {}, agency: {}: {why}; nothing was sent",
                    found.shown(SignatureRole::Person),
                    found.shown(SignatureRole::Agency)
                ),
            ));
        }
        let store = self.ledger().content();
        for signature in signatures {
            store.put(signature).map_err(|e| storage(&e))?;
        }
        Ok(outcome)
    }
}
