//! Intake: a document-management system sends a document.
//!
//! 1. The header is checked before a byte of content is read: caller, agency, metadata, limits, recipients.
//! 2. Content is hashed as it streams in ([`Upload`]): what is small in memory, what is large to the disk, where an upload
//!    that broke goes on.
//! 3. Signatures are judged by those digests. An invalid one refuses the document here, with its reason.
//! 4. One envelope per recipient goes to the store, and one command to the ledger.
//! 5. The answer names every delivery and its log index; it is given after the commit is durable.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::judge::{Outcome, PartAtHand, check_files, may_be_read_whole};
use super::pressure::{Pledge, Wants};
use super::traces::{Side, Span};
use super::transfer::{Receiving, Resume, TransferId, Wanted, is_small};
use super::{Caller, Exchange, message};
use crate::config::Role;
use crate::directory::{Agency, Directory};
use crate::domain::decide::{Answer, Command, Place, Prepared, decide, next_attempt, replaceable};
use crate::domain::document::{check_parts, document_digest};
use crate::domain::envelope::{Body, Envelope};
use crate::domain::event::{Actor, Judged, RoleVerdicts, Subject};
use crate::domain::ids::{self, DeliveryId, Digest, RequestId};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{Kind, Metadata, Part, PartRole, limits};
use crate::ledger::{LedgerError, damaged, storage};
use crate::merkle::{Hash, sha256};
use crate::signature::{self, Digests, digest_needs};
use crate::store::content;
use crate::time::Timestamp;

/// What a system asks for, before anything is checked.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of SendHeader in exchange.proto")]
pub struct Header {
    pub request_id: RequestId,
    pub sender: String,
    pub recipients: Vec<String>,
    pub kind: Kind,
    pub metadata: Metadata,
    pub parts: Vec<PartHeader>,
    pub validate_only: bool,
    pub user: String,
    pub not_after: Option<Timestamp>,
    pub resume_offset: u64,
}

/// One file that is going to be sent.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of PartUpload in exchange.proto")]
pub struct PartHeader {
    pub name: String,
    pub media_type: String,
    pub size: u64,
    pub sha256: Digest,
    pub role: PartRole,
    pub signatures: Vec<Bytes>,
}

/// What became of one recipient.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Code as it was asked for.
    pub recipient: String,
    /// Delivery and log index, and whether it was recorded before; or why there is none.
    pub outcome: Result<(DeliveryId, u64, bool), Rejection>,
}

/// The whole answer.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// One per recipient, in the order of the request.
    pub sent: Vec<Sent>,
    /// What this node found about the signatures.
    pub verdicts: RoleVerdicts,
}

/// A header that holds, and content on its way.
pub struct Upload {
    exchange: Exchange,
    directory: Directory,
    actor: Actor,
    header: Header,
    sender: Agency,
    recipients: Vec<Result<Agency, Rejection>>,
    parts: Vec<Part>,
    now: Timestamp,
    content: Receiving,
    is_large: bool,
    span: Span,
    /// Its room on the disk, where it is small.
    _room: Option<Pledge>,
}

impl Exchange {
    /// Checks everything that can be checked before content comes.
    pub async fn begin_send(&self, caller: &Caller, header: Header) -> Result<Upload, Rejection> {
        let mut span = self.span("send", Side::Server);
        let directory = self.directory();
        let now = self.ledger().now();
        let actor = caller.actor(&header.user)?;
        if !header.kind.is_document() {
            return Err(Rejection::new(
                Reason::InvalidText,
                "kind",
                format!(
                    "`{}` is no document: revoke and update go by SendNotice, statuses by SendStatus",
                    header.kind.as_str()
                ),
            ));
        }
        let sender =
            self.own_agency(&directory, caller, Role::Dms, &header.sender, "sender", Reason::UnknownSender)?;
        header.metadata.check(now)?;
        header.metadata.check_replaces(header.kind)?;
        if header.kind == Kind::Replace && !replaces_own(&sender, &header.metadata) {
            return Err(Rejection::new(
                Reason::WrongParty,
                "metadata.replaces.agency",
                format!(
                    "the document that is replaced is not one of {}: its own sender replaces it",
                    sender.id
                ),
            ));
        }
        let parts: Vec<Part> = header.parts.iter().map(PartHeader::part).collect();
        check_signatures(&header.parts)?;
        check_parts(&parts, self.config().max_content_bytes)?;
        check_files(&parts)?;
        if let Some(not_after) = header.not_after {
            let latest = now.plus_millis(limits::DELIVERY_MAX_MS);
            if not_after <= now || not_after > latest {
                return Err(Rejection::new(
                    Reason::InvalidDate,
                    "not_after",
                    format!("{not_after} is not between now ({now}) and {latest}"),
                ));
            }
        }
        let recipients = self.recipients(&directory, &header, &sender, now)?;
        let size = parts.iter().fold(0, |n: u64, p| n.saturating_add(p.size));
        let is_large = !is_small(size);
        // What is only checked is not stored; what is large has its room with its transfer.
        let small = !header.validate_only && !is_large;
        let room = small.then(|| self.pressure().admit(Wants::Document(size))).transpose()?;
        let content = self.receive_upload(caller, &header, &sender, &parts, is_large).await?;
        span.says("sender", header.sender.as_str());
        span.says("kind", header.kind.as_str());
        span.says("bytes", size);
        Ok(Upload {
            exchange: self.clone(),
            directory,
            actor,
            header,
            sender,
            recipients,
            parts,
            now,
            content,
            is_large,
            span,
            _room: room,
        })
    }

    /// Where the content of an upload goes, and from where on it is expected.
    async fn receive_upload(
        &self,
        caller: &Caller,
        header: &Header,
        sender: &Agency,
        parts: &[Part],
        is_large: bool,
    ) -> Result<Receiving, Rejection> {
        let wanted: Arc<[Wanted]> = parts
            .iter()
            .zip(&header.parts)
            .map(|(part, header)| Wanted {
                size: part.size,
                sha256: part.sha256,
                needs: digest_needs(&header.signatures),
            })
            .collect();
        // What is only checked is not stored; a file that is judged whole is needed all the same.
        let needed = !header.validate_only || parts.iter().any(may_be_read_whole);
        if !is_large || !needed {
            if header.resume_offset > 0 {
                return Err(Rejection::new(
                    Reason::BadOffset,
                    "resume_offset",
                    format!(
                        "{} is not 0: up to {} bytes, and what is only checked, are sent whole",
                        header.resume_offset,
                        content::RECORD_BYTES
                    ),
                ));
            }
            return self.receive_small(wanted, !needed);
        }
        let (client, sender, request) = (caller.name(), sender.id.as_str(), header.request_id.as_str());
        let announced = fingerprint(header, parts);
        let id = if header.validate_only {
            TransferId::check(client, sender, request, announced)
        } else {
            TransferId::upload(client, sender, request, announced)
        };
        self.receive(id, wanted, Resume::At(header.resume_offset)).await
    }

    /// Bytes of a client's upload that are durable: where it may go on. 0 of one that is not there.
    pub async fn upload_offset(
        &self,
        caller: &Caller,
        sender: &str,
        request: &RequestId,
    ) -> Result<u64, Rejection> {
        let directory = self.directory();
        let sender =
            self.own_agency(&directory, caller, Role::Dms, sender, "sender", Reason::UnknownSender)?;
        Ok(self.durable(caller.name(), sender.id.as_str(), request.as_str()).await)
    }

    /// The recipients: faults of the list fail the call, faults of one recipient come back with it.
    fn recipients(
        &self,
        directory: &Directory,
        header: &Header,
        sender: &Agency,
        now: Timestamp,
    ) -> Result<Vec<Result<Agency, Rejection>>, Rejection> {
        if header.recipients.is_empty() {
            return Err(Rejection::new(Reason::NoRecipient, "recipients", "name at least one recipient"));
        }
        crate::domain::document::at_most("recipients", header.recipients.len(), limits::RECIPIENTS)?;
        let mut seen = HashSet::new();
        let mut out = Vec::with_capacity(header.recipients.len());
        for (i, code) in header.recipients.iter().enumerate() {
            let field = format!("recipients[{i}]");
            let shown = ids::shorten(code);
            let Some(agency) = directory.by_code(code, now.date()) else {
                let version = directory.version();
                out.push(Err(Rejection::new(
                    Reason::UnknownRecipient,
                    field,
                    format!(
                        "no agency `{shown}` in directory version {version}: look it up with ListAgencies"
                    ),
                )));
                continue;
            };
            if !seen.insert(agency.id.clone()) {
                return Err(Rejection::new(
                    Reason::DuplicateRecipient,
                    field,
                    format!(
                        "`{shown}` is {} and stands in the list already: name each agency once",
                        agency.id
                    ),
                ));
            }
            out.push(if agency.id == sender.id {
                Err(Rejection::new(
                    Reason::WrongParty,
                    field,
                    format!("{} is the sender itself: leave it out", agency.id),
                ))
            } else if agency.is_closed(now.date()) {
                Err(Rejection::new(
                    Reason::RetiredAgency,
                    field,
                    format!("{} was closed: send to its successor", agency.id),
                ))
            } else {
                message::host(agency, now, &field)
                    .and_then(|_| self.check_replaceable(header, sender, agency))
                    .map(|()| agency.clone())
            });
        }
        Ok(out)
    }

    /// What is still on its way to a recipient cannot be replaced there.
    fn check_replaceable(&self, header: &Header, sender: &Agency, to: &Agency) -> Result<(), Rejection> {
        match &header.metadata.replaces {
            Some(replaced) if header.kind == Kind::Replace => {
                replaceable(self.ledger(), &sender.id, &replaced.key, &to.id).map_err(|e| damaged(&e))?
            }
            _ => Ok(()),
        }
    }

    /// Sends a document whose content is at hand.
    pub async fn send(&self, caller: &Caller, header: Header, data: Bytes) -> Result<Receipt, Rejection> {
        let mut upload = self.begin_send(caller, header).await?;
        upload.write(data).await?;
        upload.finish().await
    }
}

/// Whether a replace message names a document of its own sender.
pub(super) fn replaces_own(sender: &Agency, metadata: &Metadata) -> bool {
    metadata.replaces.as_ref().is_some_and(|r| sender.entry.codes.iter().any(|c| c.code == r.agency))
}

impl PartHeader {
    fn part(&self) -> Part {
        Part {
            name: self.name.clone(),
            media_type: self.media_type.clone(),
            size: self.size,
            sha256: self.sha256,
            role: self.role,
            signatures: self.signatures.iter().map(|s| (sha256(s), s.len() as u32)).collect(),
        }
    }
}

fn check_signatures(parts: &[PartHeader]) -> Result<(), Rejection> {
    for (i, part) in parts.iter().enumerate() {
        message::check_signature_sizes(&format!("parts[{i}].signatures"), &part.signatures)?;
    }
    Ok(())
}

/// What makes an upload the same: sender, document and recipients; never the bytes of its signatures.
fn fingerprint(header: &Header, parts: &[Part]) -> Hash {
    let mut bytes = document_digest(header.kind, &header.metadata, parts).as_bytes().to_vec();
    for text in std::iter::once(&header.sender).chain(&header.recipients) {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    sha256(&bytes)
}

impl Upload {
    /// Takes the next bytes of the parts, in their order.
    pub async fn write(&mut self, data: Bytes) -> Result<(), Rejection> {
        self.content.push(data).await
    }

    /// Whether it goes to the disk as it comes, and may be gone on with.
    pub fn is_large(&self) -> bool {
        self.is_large
    }

    /// Resolves when another call goes on with this upload: this one is over.
    pub fn superseded(&self) -> impl Future<Output = ()> + use<> {
        self.content.cancelled()
    }

    /// Judges, records and answers. Content that is missing refuses the document.
    pub async fn finish(mut self) -> Result<Receipt, Rejection> {
        let names = |i: usize| self.parts[i].name.clone();
        let mut span = std::mem::take(&mut self.span);
        let digests = span.step("content", self.content.complete(names)).await?;
        let outcome = self.decide(&digests, &mut span).await;
        // A failing disk leaves open whether it is recorded: the same call finds out, with what came.
        if !matches!(&outcome, Err(rejection) if rejection.reason == Reason::StorageFailed) {
            self.content.forget();
        }
        if let Ok(receipt) = &outcome
            && !self.header.validate_only
        {
            let recorded = receipt.sent.iter().filter_map(|sent| sent.outcome.as_ref().ok());
            span.begins(recorded.filter(|(_, _, before)| !before).map(|(id, ..)| id));
        }
        outcome
    }

    async fn decide(&mut self, digests: &[Digests], span: &mut Span) -> Result<Receipt, Rejection> {
        let Outcome { found, verdicts, judged } = span.step("judge", self.judge(digests)).await?;
        let policy = self.exchange.config().revocation_unknown;
        if let Some(reason) = message::refusal_of(self.header.kind, verdicts, policy) {
            return Err(Rejection::new(
                reason,
                "parts.signatures",
                format!(
                    "person: {}, agency: {}: {}; the document was not taken",
                    found.shown(signature::Role::Person),
                    found.shown(signature::Role::Agency),
                    message::detail(&found)
                ),
            ));
        }
        let document = document_digest(self.header.kind, &self.header.metadata, &self.parts);
        if !self.header.validate_only {
            if self.is_large {
                // What the log refuses as it stands does not fill the disk.
                self.check(document, verdicts, &judged)?;
            }
            self.content.store().await?;
            let store = self.exchange.ledger().content();
            for signature in self.header.parts.iter().flat_map(|p| &p.signatures) {
                store.put(signature).map_err(|e| storage(&e))?;
            }
        }
        for _ in 0..message::TRIES {
            match span.step("commit", self.submit(document, verdicts, &judged)).await {
                Err(LedgerError::Stale) => {}
                Err(e) => return Err(e.into_rejection()),
                Ok(receipt) => return Ok(receipt),
            }
        }
        Err(LedgerError::Stale.into_rejection())
    }

    async fn judge(&self, digests: &[Digests]) -> Result<Outcome, Rejection> {
        let sender = self.directory.registered(&self.sender);
        let parts: Vec<PartAtHand<'_>> = self
            .parts
            .iter()
            .zip(&self.header.parts)
            .zip(digests)
            .enumerate()
            .map(|(i, ((part, header), digests))| PartAtHand {
                part,
                signatures: &header.signatures,
                digests,
                content: Some(Box::new(move |most| self.content.part(i, most))),
            })
            .collect();
        self.exchange.judge(sender.id.as_str(), &self.directory, &parts, self.now).await
    }

    /// Whether the log as it stands takes the document.
    fn check(&self, document: Digest, verdicts: RoleVerdicts, judged: &Judged) -> Result<(), Rejection> {
        let deliveries = self.deliveries(document, verdicts, judged).map_err(LedgerError::into_rejection)?;
        if !deliveries.is_empty() {
            let decided = decide(self.command(deliveries), self.exchange.ledger());
            decided.map_err(|e| LedgerError::from(e).into_rejection())?;
        }
        Ok(())
    }

    fn command(&self, deliveries: Vec<Prepared>) -> Command {
        let (actor, request_id) = (self.actor.clone(), self.header.request_id.clone());
        Command::Submit { actor, request_id, deliveries }
    }

    fn deliveries(
        &self,
        document: Digest,
        verdicts: RoleVerdicts,
        judged: &Judged,
    ) -> Result<Vec<Prepared>, LedgerError> {
        let mut deliveries = Vec::new();
        for (code, agency) in self.header.recipients.iter().zip(&self.recipients) {
            if let Ok(agency) = agency {
                deliveries.push(self.prepare(agency, code, document, (verdicts, judged.clone()))?);
            }
        }
        Ok(deliveries)
    }

    async fn submit(
        &self,
        document: Digest,
        verdicts: RoleVerdicts,
        judged: &Judged,
    ) -> Result<Receipt, LedgerError> {
        let deliveries = self.deliveries(document, verdicts, judged)?;
        let mut sent = Vec::new();
        let mut first_index = 0;
        if !deliveries.is_empty() {
            let command = self.command(deliveries);
            let answer = if self.header.validate_only {
                // Decided like any other, on the state as it is, and not committed.
                decide(command, self.exchange.ledger())?.answer
            } else {
                let committed = self.exchange.ledger().commit(command).await?;
                first_index = committed.first;
                committed.answer
            };
            if let Answer::Sent(list) = answer {
                sent = list;
            }
        }
        let mut sent = sent.into_iter();
        let results = self.header.recipients.iter().zip(&self.recipients).map(|(code, agency)| {
            let outcome = match agency {
                Err(rejection) => Err(rejection.clone()),
                Ok(_) => Ok(match sent.next() {
                    Some((id, Place::Existing(index))) => (id, index, true),
                    Some((id, Place::New(offset))) if !self.header.validate_only => {
                        (id, first_index + offset as u64, false)
                    }
                    // Only checked, nothing recorded.
                    _ => (DeliveryId::default(), 0, false),
                }),
            };
            Sent { recipient: code.clone(), outcome }
        });
        Ok(Receipt { sent: results.collect(), verdicts })
    }

    fn prepare(
        &self,
        agency: &Agency,
        code: &str,
        document: Digest,
        judged: (RoleVerdicts, Judged),
    ) -> Result<Prepared, LedgerError> {
        let metadata = &self.header.metadata;
        let kind = self.header.kind;
        let attempt = next_attempt(self.exchange.ledger(), &self.sender.id, &metadata.key, &agency.id)
            .map_err(|e| damaged(&e))?;
        if attempt > limits::ATTEMPTS {
            return Err(Rejection::new(
                Reason::TooMany,
                "recipients",
                format!("{attempt} attempts to send {} to {} are too many", metadata.key, agency.id),
            )
            .into());
        }
        let id = DeliveryId::of_document(&self.sender.id, kind.number(), &metadata.key, &agency.id, attempt);
        let default = self.now.plus_millis(self.exchange.config().delivery_ms);
        let envelope = Envelope {
            delivery_id: id,
            kind,
            sender_code: self.header.sender.clone(),
            sender: self.sender.id.clone(),
            recipient_code: code.to_owned(),
            recipient: agency.id.clone(),
            attempt,
            directory_version: self.directory.version(),
            submitted_at: self.now,
            not_after: self.header.not_after.unwrap_or(default),
            body: Body::Document { metadata: Box::new(metadata.clone()), parts: self.parts.clone() },
        };
        let parties = self.directory.parties(&self.sender, &self.header.sender, agency, code);
        let subject = Subject::Document(message::document_facts(kind, metadata, document));
        let peer = message::host(agency, self.now, "recipients")?;
        let keep = !self.header.validate_only;
        Ok(message::prepare(&self.exchange, &envelope, parties, subject, judged, peer, keep)?)
    }
}
