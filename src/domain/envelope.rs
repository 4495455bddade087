//! The envelope: what a message says of itself, bound by digest to the events of both nodes.
//!
//! The bytes are encoded once, at the origin, and never re-encoded; the type here is what those bytes mean.

use super::document::{Kind, Metadata, Part};
use super::ids::{AgencyId, DeliveryId, Digest, DocumentKey};
use super::reason::{Reason, Rejection};
use super::statement::statement;
use super::status::Status;
use super::{document, ids, limits};
use crate::time::Timestamp;

/// A message of any kind, on its way from one agency to one other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Id of this delivery.
    pub delivery_id: DeliveryId,
    /// What it is.
    pub kind: Kind,
    /// Sender's code as the sender wrote it.
    pub sender_code: String,
    /// Sender's permanent id.
    pub sender: AgencyId,
    /// Recipient's code as the sender wrote it.
    pub recipient_code: String,
    /// Recipient's permanent id.
    pub recipient: AgencyId,
    /// Attempt, from 1.
    pub attempt: u32,
    /// Directory version that the origin used.
    pub directory_version: u64,
    /// When the origin took it.
    pub submitted_at: Timestamp,
    /// The latest time of arrival.
    pub not_after: Timestamp,
    /// What it carries.
    pub body: Body,
}

/// What an envelope carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most are notices, and there are never many at once")]
pub enum Body {
    /// A document: kinds new and replace.
    Document {
        /// Its metadata.
        metadata: Box<Metadata>,
        /// Its files.
        parts: Vec<Part>,
    },
    /// A message about a delivery: revoke, update and status.
    Notice(Notice),
}

/// A message about a delivery that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The delivery.
    pub target: DeliveryId,
    /// Number among the messages of its sender about this delivery, from 1.
    pub message_number: u32,
    /// For a status message.
    pub status: Option<Status>,
    /// Why.
    pub reason: String,
    /// Office in charge.
    pub office: String,
    /// Person in charge.
    pub officer: String,
    /// For revoke and update: the document.
    pub document: Option<NoticeDocument>,
    /// For update: the metadata that shall be in force.
    pub metadata: Option<Box<Metadata>>,
    /// For revoke and update: digest and size of each detached signature over the statement.
    pub signatures: Vec<(Digest, u32)>,
    /// For 15 and 16: the message that it answers.
    pub answers: Option<DeliveryId>,
    /// For a status by the recipient: the document was no longer in force when it was given.
    pub after_end: bool,
}

/// The document that a revoke or update is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeDocument {
    /// Number, notation, year.
    pub key: DocumentKey,
    /// What "the same document" means.
    pub digest: Digest,
}

impl Envelope {
    /// The parts, none for a notice.
    pub fn parts(&self) -> &[Part] {
        match &self.body {
            Body::Document { parts, .. } => parts,
            Body::Notice(_) => &[],
        }
    }

    /// Digest of every part and of every signature, in order: what a receipt must repeat.
    pub fn content_digests(&self) -> Vec<Digest> {
        match &self.body {
            Body::Document { parts, .. } => parts
                .iter()
                .flat_map(|p| std::iter::once(p.sha256).chain(p.signatures.iter().map(|s| s.0)))
                .collect(),
            Body::Notice(notice) => notice.signatures.iter().map(|s| s.0).collect(),
        }
    }

    /// Digests and sizes of detached signatures: by part, or those of a notice.
    pub fn signatures(&self) -> Vec<&[(Digest, u32)]> {
        match &self.body {
            Body::Document { parts, .. } => parts.iter().map(|p| p.signatures.as_slice()).collect(),
            Body::Notice(notice) => vec![&notice.signatures],
        }
    }

    /// What the seal of a revoke or update is over.
    pub fn statement(&self) -> Option<String> {
        let Body::Notice(notice) = &self.body else { return None };
        notice.statement(self.kind, &self.sender)
    }

    /// Bytes of all parts.
    pub fn content_size(&self) -> u64 {
        self.parts().iter().fold(0, |n, p| n.saturating_add(p.size))
    }

    /// Checks what any envelope must fulfil, wherever it comes from: kind and body agree, limits hold, and the
    /// delivery id is the one that its fields give.
    pub fn check(&self, max_bytes: u64) -> Result<(), Rejection> {
        let odd = |field: &'static str, message: String| Rejection::new(Reason::BadEnvelope, field, message);
        let expected = match &self.body {
            Body::Document { metadata, parts } => {
                if !self.kind.is_document() {
                    return Err(odd("kind", format!("{} carries no document", self.kind.as_str())));
                }
                metadata.check_form()?;
                metadata.check_replaces(self.kind)?;
                document::check_parts(parts, max_bytes)?;
                if !(1..=limits::ATTEMPTS).contains(&self.attempt) {
                    return Err(odd(
                        "attempt",
                        format!("{} is not between 1 and {}", self.attempt, limits::ATTEMPTS),
                    ));
                }
                let key = &metadata.key;
                DeliveryId::of_document(&self.sender, self.kind.number(), key, &self.recipient, self.attempt)
            }
            Body::Notice(notice) => {
                if self.kind.is_document() {
                    return Err(odd("kind", format!("{} carries a document", self.kind.as_str())));
                }
                if (self.kind == Kind::Status) != notice.status.is_some() {
                    return Err(odd(
                        "status",
                        format!("{} and status do not go together", self.kind.as_str()),
                    ));
                }
                if !(1..=limits::NOTICES).contains(&notice.message_number) {
                    return Err(odd("message_number", format!("{} is out of range", notice.message_number)));
                }
                notice.check(self.kind)?;
                let number = notice.message_number;
                DeliveryId::of_notice(
                    &self.sender,
                    self.kind.number(),
                    &notice.target,
                    number,
                    &self.recipient,
                )
            }
        };
        if expected != self.delivery_id {
            let id = self.delivery_id;
            return Err(odd("delivery_id", format!("{id} is not the id that the envelope's fields give")));
        }
        Ok(())
    }
}

impl Notice {
    /// A message about a delivery that says nothing yet.
    pub fn about(target: DeliveryId, message_number: u32) -> Notice {
        Notice {
            target,
            message_number,
            status: None,
            reason: String::new(),
            office: String::new(),
            officer: String::new(),
            document: None,
            metadata: None,
            signatures: Vec::new(),
            answers: None,
            after_end: false,
        }
    }

    /// What its seal is over, for a revoke or update.
    pub fn statement(&self, kind: Kind, sender: &AgencyId) -> Option<String> {
        let document = self.document.as_ref()?;
        let metadata = self.metadata.as_deref();
        Some(statement(kind, sender, &document.key, &document.digest, metadata, &self.reason))
    }

    /// Lengths and characters; a reason where one is required; and what goes with the kind.
    pub fn check(&self, kind: Kind) -> Result<(), Rejection> {
        ids::optional_text("reason", &self.reason, limits::REASON_CHARS)?;
        ids::one_line("office", &self.office, limits::AGENCY_NAME_CHARS)?;
        ids::one_line("officer", &self.officer, limits::AGENCY_NAME_CHARS)?;
        let unsaid = self.reason.trim().is_empty();
        if self.status.is_some_and(Status::needs_reason) && unsaid {
            return Err(Rejection::new(
                Reason::MissingField,
                "reason",
                "this status must say why (Decision 28/2018/QĐ-TTg, art. 5.4)",
            ));
        }
        if kind == Kind::Revoke && unsaid {
            return Err(Rejection::new(
                Reason::MissingField,
                "reason",
                "a revoke must say why (Decree 30/2020/NĐ-CP, art. 18)",
            ));
        }
        let odd = |field: &'static str, what: &str| {
            let what = format!("a {} message {what}", kind.as_str());
            Err(Rejection::new(Reason::BadEnvelope, field, what))
        };
        let sealed = matches!(kind, Kind::Revoke | Kind::Update);
        if sealed != self.document.is_some() {
            return odd("document_digest", if sealed { "names a document" } else { "names no document" });
        }
        if !sealed && !self.signatures.is_empty() {
            return odd("signatures", "has no signatures");
        }
        document::at_most("signatures", self.signatures.len(), limits::SIGNATURES_PER_PART)?;
        if (kind == Kind::Update) != self.metadata.is_some() {
            let what = if kind == Kind::Update { "has metadata" } else { "has no metadata" };
            return odd("metadata", what);
        }
        if self.answers.is_some() && !self.status.is_some_and(Status::is_answer) {
            return odd("answers", "answers only with status 15 or 16");
        }
        if let (Some(metadata), Some(document)) = (&self.metadata, &self.document) {
            metadata.check_form()?;
            if metadata.key != document.key {
                return Err(Rejection::new(
                    Reason::Conflict,
                    "metadata.number",
                    format!(
                        "{} is not {}: an update keeps number, notation and year; revoke the document, or replace it",
                        metadata.key, document.key
                    ),
                ));
            }
        }
        Ok(())
    }
}
