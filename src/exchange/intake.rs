//! Intake: a document-management system sends a document.
//!
//! 1. The header is checked before a byte of content is read: caller, agency, metadata, limits, recipients.
//! 2. Content streams to the store while it is hashed ([`Upload`]); memory stays at one record per call.
//! 3. Signatures are judged by those digests. An invalid one refuses the document here, with its reason.
//! 4. One envelope per recipient goes to the store, and one command to the ledger.
//! 5. The answer names every delivery and its log index; it is given after the commit is durable.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};

use super::judge::{Outcome, PartAtHand, check_files, is_read_whole, may_be_read_whole};
use super::pressure::{Pledge, Wants};
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
use crate::signature::{self, Digests, Hasher, digest_needs};
use crate::store::content;
use crate::time::Timestamp;

/// Bytes of memory that a part gets before its content comes.
const SMALL: u64 = 16 * 1024;

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
    /// The part that is being received, and what came of it.
    at: usize,
    receiving: Option<Receiving>,
    digests: Vec<Digests>,
    /// Content of what is judged by signatures inside it and is not in the store, by part.
    contents: Vec<Option<Bytes>>,
    /// Its room on the disk, while it comes.
    pledge: Option<Pledge>,
}

struct Receiving {
    hasher: Hasher,
    seen: u64,
    small: BytesMut,
    large: Option<content::Upload>,
}

impl Exchange {
    /// Checks everything that can be checked before content comes.
    pub fn begin_send(&self, caller: &Caller, header: Header) -> Result<Upload, Rejection> {
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
        // What is only checked is not stored.
        let wants = Wants::Document(parts.iter().map(|p| p.size).sum());
        let pledge = (!header.validate_only).then(|| self.pressure().admit(wants)).transpose()?;
        let mut upload = Upload {
            exchange: self.clone(),
            directory,
            actor,
            header,
            sender,
            recipients,
            parts,
            now,
            at: 0,
            receiving: None,
            digests: Vec::new(),
            contents: Vec::new(),
            pledge,
        };
        upload.next_part()?;
        Ok(upload)
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
    pub async fn send(&self, caller: &Caller, header: Header, data: &[u8]) -> Result<Receipt, Rejection> {
        let mut upload = self.begin_send(caller, header)?;
        upload.write(data)?;
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

impl Upload {
    /// Begins the next part that is not empty; empty ones are finished at once.
    fn next_part(&mut self) -> Result<(), Rejection> {
        while let Some(part) = self.parts.get(self.at) {
            let needs = digest_needs(&self.header.parts[self.at].signatures);
            // What is only checked is not stored; a file that is judged whole is needed all the same.
            let needed = !self.header.validate_only || may_be_read_whole(part);
            let large = if part.size > content::RECORD_BYTES && needed {
                Some(self.exchange.ledger().content().begin().map_err(|e| storage(&e))?)
            } else {
                None
            };
            // Memory is taken as content comes, not as it is announced; most content comes at once.
            let small = if large.is_some() { 0 } else { part.size.min(SMALL) };
            let small = BytesMut::with_capacity(small as usize);
            self.receiving = Some(Receiving { hasher: Hasher::new(needs), seen: 0, small, large });
            if part.size > 0 {
                return Ok(());
            }
            self.end_part()?;
        }
        Ok(())
    }

    /// Takes the next bytes of the parts, in their order.
    pub fn write(&mut self, mut data: &[u8]) -> Result<(), Rejection> {
        while !data.is_empty() {
            let (Some(part), Some(receiving)) = (self.parts.get(self.at), &mut self.receiving) else {
                return Err(Rejection::new(
                    Reason::ContentMismatch,
                    "data",
                    format!("{} bytes came after the last part: send what the header announced", data.len()),
                ));
            };
            let left = part.size - receiving.seen;
            let (now, later) = data.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(data.len()));
            receiving.hasher.update(now);
            receiving.seen += now.len() as u64;
            if let Some(pledge) = &mut self.pledge {
                pledge.came(now.len() as u64);
            }
            if let Some(large) = &mut receiving.large {
                large.write(now).map_err(|e| storage(&e))?;
            } else if part.size <= content::RECORD_BYTES {
                receiving.small.extend_from_slice(now);
            }
            data = later;
            if receiving.seen == part.size {
                self.end_part()?;
                self.next_part()?;
            }
        }
        Ok(())
    }

    fn end_part(&mut self) -> Result<(), Rejection> {
        let part = &self.parts[self.at];
        let Some(receiving) = self.receiving.take() else { return Ok(()) };
        let digests = receiving.hasher.finish();
        let found = Hash(digests.sha256);
        if found != part.sha256 {
            return Err(Rejection::new(
                Reason::ContentMismatch,
                format!("parts[{}].sha256", self.at),
                format!(
                    "the {} bytes have SHA-256 {found}, the header says {}: send it again",
                    part.size, part.sha256
                ),
            ));
        }
        let mut content = None;
        if self.header.validate_only {
            if may_be_read_whole(part) {
                let whole = match receiving.large {
                    Some(large) => large.read().map_err(|e| storage(&e))?,
                    None => receiving.small.freeze(),
                };
                content = Some(whole).filter(|whole| is_read_whole(part, whole));
            }
        } else {
            let store = self.exchange.ledger().content();
            match receiving.large {
                Some(large) => store.finish(large, found),
                None => store.put_hashed(found, receiving.small.freeze()),
            }
            .map_err(|e| storage(&e))?;
        }
        self.contents.push(content);
        self.digests.push(digests);
        self.at += 1;
        Ok(())
    }

    /// Judges, records and answers. Content that is missing refuses the document.
    pub async fn finish(self) -> Result<Receipt, Rejection> {
        if let Some(part) = self.parts.get(self.at) {
            let seen = self.receiving.as_ref().map_or(0, |r| r.seen);
            return Err(Rejection::new(
                Reason::ContentMismatch,
                format!("parts[{}].size", self.at),
                format!(
                    "only {seen} of {} bytes of `{}` came: send it again",
                    part.size,
                    ids::shorten(&part.name)
                ),
            ));
        }
        let Outcome { found, verdicts, judged } = self.judge().await?;
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
        if !self.header.validate_only {
            let store = self.exchange.ledger().content();
            for signature in self.header.parts.iter().flat_map(|p| &p.signatures) {
                store.put(signature).map_err(|e| storage(&e))?;
            }
        }
        let document = document_digest(self.header.kind, &self.header.metadata, &self.parts);
        for _ in 0..message::TRIES {
            match self.submit(document, verdicts, &judged).await {
                Err(LedgerError::Stale) => {}
                Err(e) => return Err(e.into_rejection()),
                Ok(receipt) => return Ok(receipt),
            }
        }
        Err(LedgerError::Stale.into_rejection())
    }

    async fn judge(&self) -> Result<Outcome, Rejection> {
        let sender = self.directory.registered(&self.sender);
        let parts: Vec<PartAtHand<'_>> = self
            .parts
            .iter()
            .zip(&self.header.parts)
            .zip(&self.digests)
            .zip(&self.contents)
            .map(|(((part, header), digests), content)| PartAtHand {
                part,
                signatures: &header.signatures,
                digests,
                content: content.clone(),
            })
            .collect();
        self.exchange.judge(sender.id.as_str(), &self.directory, &parts, self.now).await
    }

    async fn submit(
        &self,
        document: Digest,
        verdicts: RoleVerdicts,
        judged: &Judged,
    ) -> Result<Receipt, LedgerError> {
        let mut deliveries: Vec<Prepared> = Vec::new();
        for (code, agency) in self.header.recipients.iter().zip(&self.recipients) {
            if let Ok(agency) = agency {
                deliveries.push(self.prepare(agency, code, document, (verdicts, judged.clone()))?);
            }
        }
        let mut sent = Vec::new();
        let mut first_index = 0;
        if !deliveries.is_empty() {
            let command = Command::Submit {
                actor: self.actor.clone(),
                request_id: self.header.request_id.clone(),
                deliveries,
            };
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
