//! A document: metadata and parts, checked once.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::ids::{Digest, DocumentKey, framed, lines_field, one_line, optional_text, text_field};
use super::limits;
use super::reason::{Reason, Rejection};
use crate::time::{Date, Timestamp};

/// Business type of a message (edXML: new 0, revoke 1, update 2, replace 3; and status).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A new document.
    New,
    /// The sender revokes one.
    Revoke,
    /// The sender corrects one.
    Update,
    /// The sender replaces one by another.
    Replace,
    /// The recipient reports.
    Status,
}

impl Kind {
    /// A fixed number for hashing; never changes.
    pub fn number(self) -> u8 {
        match self {
            Kind::New => 0,
            Kind::Revoke => 1,
            Kind::Update => 2,
            Kind::Replace => 3,
            Kind::Status => 10,
        }
    }

    /// Whether it carries a document and counts in the ratios.
    pub fn is_document(self) -> bool {
        matches!(self, Kind::New | Kind::Replace)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::New => "new",
            Kind::Revoke => "revoke",
            Kind::Update => "update",
            Kind::Replace => "replace",
            Kind::Status => "status",
        }
    }
}

/// How quickly a document must travel; the order is the order of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Urgency {
    /// hỏa tốc
    Flash,
    /// thượng khẩn
    VeryUrgent,
    /// khẩn
    Urgent,
    /// thường
    #[default]
    Normal,
}

impl Urgency {
    /// All of them, first to send first.
    pub const ALL: [Urgency; 4] = [Urgency::Flash, Urgency::VeryUrgent, Urgency::Urgent, Urgency::Normal];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Urgency::Flash => "flash",
            Urgency::VeryUrgent => "very_urgent",
            Urgency::Urgent => "urgent",
            Urgency::Normal => "normal",
        }
    }
}

impl std::str::FromStr for Urgency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Urgency::ALL
            .into_iter()
            .find(|u| u.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no urgency: use normal, urgent, very_urgent or flash"))
    }
}

/// Where an electronic document comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Origin {
    /// Made electronically.
    #[default]
    BornDigital,
    /// Scanned from paper.
    Scanned,
}

/// Role of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PartRole {
    /// The document itself.
    Main,
    /// Something attached.
    Attachment,
}

/// Another document by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRef {
    /// Code of its sender.
    pub agency: String,
    /// Its number, notation and year.
    pub key: DocumentKey,
}

/// Metadata of a document, unchecked fields filled from outside; [`Metadata::check`] makes sure of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Number, notation and year of issue.
    pub key: DocumentKey,
    /// Place of issue.
    pub place_of_issue: String,
    /// Day of issue.
    pub issued_on: Date,
    /// Moment of issue, when it is known.
    pub issued_at: Option<Timestamp>,
    /// Code of the type.
    pub type_code: String,
    /// Name of the type.
    pub type_name: String,
    /// Subject.
    pub subject: String,
    /// Summary of the content.
    pub summary: String,
    /// Who signed.
    pub signer_name: String,
    /// Position of who signed.
    pub signer_position: String,
    /// On whose authority.
    pub signer_authority: String,
    /// How quickly it must travel.
    pub urgency: Urgency,
    /// Answer expected by.
    pub due_on: Option<Date>,
    /// Pages.
    pub pages: u32,
    /// Copies.
    pub copies: u32,
    /// Places received.
    pub places_received: Vec<String>,
    /// Born digital or scanned.
    pub origin: Origin,
    /// Documents that this one answers.
    pub response_for: Vec<DocumentRef>,
    /// Document that this one replaces.
    pub replaces: Option<DocumentRef>,
}

impl Metadata {
    /// Its form, and that it is not issued in the future; `now` is this node's time.
    pub fn check(&self, now: Timestamp) -> Result<(), Rejection> {
        self.check_form()?;
        let issued = self.issued_at.unwrap_or(self.issued_on.midnight());
        if issued > now.plus_millis(limits::FUTURE_MS) {
            return Err(Rejection::new(
                Reason::IssuedInFuture,
                if self.issued_at.is_some() { "metadata.issued_at" } else { "metadata.issued_on" },
                format!("the document is issued at {issued}, this node's clock says {now}: correct the date"),
            ));
        }
        Ok(())
    }

    /// A replace message names what it replaces, by another number than its own.
    pub fn check_replaces(&self, kind: Kind) -> Result<(), Rejection> {
        let Some(replaced) = self.replaces.as_ref().filter(|_| kind == Kind::Replace) else {
            return if kind == Kind::Replace { Err(Rejection::missing("metadata.replaces")) } else { Ok(()) };
        };
        if replaced.key == self.key {
            return Err(Rejection::new(
                Reason::Conflict,
                "metadata.replaces",
                format!(
                    "{} cannot replace itself: give the new document a number of its own, or revoke the old one and \
                     send the corrected one under its number",
                    self.key
                ),
            ));
        }
        Ok(())
    }

    /// Lengths, characters, and dates that agree: what holds wherever the document comes from.
    pub fn check_form(&self) -> Result<(), Rejection> {
        lines_field("metadata.subject", &self.subject, limits::SUBJECT_CHARS)?;
        text_field("metadata.type_name", &self.type_name, limits::TYPE_NAME_CHARS)?;
        for (field, text, max) in [
            ("metadata.type_code", &self.type_code, limits::TYPE_CODE_CHARS),
            ("metadata.place_of_issue", &self.place_of_issue, limits::POSITION_CHARS),
            ("metadata.signer_name", &self.signer_name, limits::FULL_NAME_CHARS),
            ("metadata.signer_position", &self.signer_position, limits::POSITION_CHARS),
            ("metadata.signer_authority", &self.signer_authority, limits::POSITION_CHARS),
        ] {
            one_line(field, text, max)?;
        }
        optional_text("metadata.summary", &self.summary, limits::SUMMARY_CHARS)?;
        at_most("metadata.places_received", self.places_received.len(), limits::PLACES)?;
        for place in &self.places_received {
            one_line("metadata.places_received", place, limits::AGENCY_NAME_CHARS)?;
        }
        at_most("metadata.response_for", self.response_for.len(), limits::RESPONSES)?;
        if let Some(at) = self.issued_at
            && at.date() != self.issued_on
        {
            return Err(Rejection::new(
                Reason::InvalidDate,
                "metadata.issued_at",
                format!("{at} is not on {}, the day of issue: make them agree", self.issued_on),
            ));
        }
        Ok(())
    }
}

/// Refuses more than `max` entries.
pub fn at_most(field: &'static str, count: usize, max: usize) -> Result<(), Rejection> {
    if count > max {
        return Err(Rejection::new(
            Reason::TooMany,
            field,
            format!("{count} are more than the {max} allowed"),
        ));
    }
    Ok(())
}

/// One file of a document, by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// File name.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// Digest of the bytes.
    pub sha256: Digest,
    /// Main or attachment.
    pub role: PartRole,
    /// Digest and size of each detached signature.
    pub signatures: Vec<(Digest, u32)>,
}

/// Checks a list of parts: names, one main part at least, sizes within `max_bytes` together.
pub fn check_parts(parts: &[Part], max_bytes: u64) -> Result<(), Rejection> {
    at_most("parts", parts.len(), limits::PARTS)?;
    let mut total = 0u64;
    let mut signatures = 0usize;
    for part in parts {
        text_field("parts.name", &part.name, limits::FILE_NAME_CHARS)?;
        if part.name.contains(['/', '\\']) || part.name == "." || part.name == ".." {
            return Err(Rejection::new(
                Reason::InvalidText,
                "parts.name",
                format!("`{}` is a path: send the file's name only", super::ids::shorten(&part.name)),
            ));
        }
        text_field("parts.media_type", &part.media_type, limits::MEDIA_TYPE_CHARS)?;
        at_most("parts.signatures", part.signatures.len(), limits::SIGNATURES_PER_PART)?;
        signatures += part.signatures.len();
        total = total.saturating_add(part.size);
    }
    at_most("parts.signatures", signatures, limits::SIGNATURES)?;
    if !parts.iter().any(|p| p.role == PartRole::Main) {
        return Err(Rejection::new(
            Reason::NoMainPart,
            "parts",
            format!("none of the {} parts is the main one: mark the document itself", parts.len()),
        ));
    }
    if total > max_bytes {
        return Err(Rejection::new(
            Reason::ContentTooLarge,
            "parts.size",
            format!("{total} bytes are more than the {max_bytes} allowed: send less in one document"),
        ));
    }
    Ok(())
}

/// What "the same document" means: metadata and content digests; never envelope, event or signature bytes.
pub fn document_digest(kind: Kind, metadata: &Metadata, parts: &[Part]) -> Digest {
    let mut fields = vec![b"lienthong/document/1".to_vec(), vec![kind.number()]];
    fields.extend(metadata_fields(metadata));
    list(
        &mut fields,
        parts
            .iter()
            .map(|p| {
                let role = [p.role as u8];
                let size = p.size.to_be_bytes();
                let name = nfc(&p.name);
                framed(&[name.as_bytes(), p.media_type.as_bytes(), &size, p.sha256.as_bytes(), &role])
                    .as_bytes()
                    .to_vec()
            })
            .collect(),
    );
    framed_all(&fields)
}

/// What "the same metadata" means.
pub fn metadata_digest(metadata: &Metadata) -> Digest {
    let mut fields = vec![b"lienthong/metadata/1".to_vec()];
    fields.extend(metadata_fields(metadata));
    framed_all(&fields)
}

fn framed_all(fields: &[Vec<u8>]) -> Digest {
    let slices: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
    framed(&slices)
}

fn nfc(text: &str) -> String {
    text.nfc().collect()
}

fn list(fields: &mut Vec<Vec<u8>>, items: Vec<Vec<u8>>) {
    fields.push((items.len() as u32).to_be_bytes().to_vec());
    fields.extend(items);
}

/// Every field of metadata, in a fixed order.
fn metadata_fields(metadata: &Metadata) -> Vec<Vec<u8>> {
    let mut fields: Vec<Vec<u8>> = vec![
        metadata.key.hash().as_bytes().to_vec(),
        metadata.issued_on.days().to_be_bytes().to_vec(),
        metadata.issued_at.map_or(0, Timestamp::millis).to_be_bytes().to_vec(),
        vec![metadata.urgency as u8, metadata.origin as u8],
        metadata.due_on.map_or(0, Date::days).to_be_bytes().to_vec(),
        metadata.pages.to_be_bytes().to_vec(),
        metadata.copies.to_be_bytes().to_vec(),
    ];
    for text in [
        &metadata.place_of_issue,
        &metadata.type_code,
        &metadata.type_name,
        &metadata.subject,
        &metadata.summary,
        &metadata.signer_name,
        &metadata.signer_position,
        &metadata.signer_authority,
    ] {
        fields.push(nfc(text).into_bytes());
    }
    list(&mut fields, metadata.places_received.iter().map(|p| nfc(p).into_bytes()).collect());
    let reference =
        |r: &DocumentRef| [nfc(&r.agency).as_bytes(), r.key.hash().as_bytes().as_slice()].join(&0u8);
    list(&mut fields, metadata.response_for.iter().map(reference).collect());
    list(&mut fields, metadata.replaces.iter().map(reference).collect());
    fields
}
