//! Enumerations and small messages.

use super::pb;
use crate::domain::document::{DocumentRef, Kind, Metadata, Origin, Part, PartRole, Urgency};
use crate::domain::event::{Direction, Level, LogRef, RoleVerdicts, Scope};
use crate::domain::ids::{DeliveryId, Digest, DocumentKey, shorten};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::status::{Ask, AskState, DeliveryState, EndedBy, Status};
use crate::merkle::Hash;
use crate::signature::{Role, Verdict};
use crate::time::{Date, Timestamp};

macro_rules! enumeration {
    ($to:ident, $read:ident, $domain:ty, $wire:ty, $($variant:ident),* $(,)?) => {
        /// To the wire.
        pub fn $to(value: $domain) -> $wire {
            match value {
                $(<$domain>::$variant => <$wire>::$variant,)*
            }
        }

        /// From the wire; `None` for what is unset or not known.
        pub fn $read(number: i32) -> Option<$domain> {
            match <$wire>::try_from(number).ok()? {
                $(<$wire>::$variant => Some(<$domain>::$variant),)*
                _ => None,
            }
        }
    };
}

enumeration!(kind, read_kind, Kind, pb::Kind, New, Revoke, Update, Replace, Status);
enumeration!(urgency, read_urgency, Urgency, pb::Urgency, Normal, Urgent, VeryUrgent, Flash);
enumeration!(origin, read_origin, Origin, pb::Origin, BornDigital, Scanned);
enumeration!(part_role, read_part_role, PartRole, pb::PartRole, Main, Attachment);
enumeration!(signature_role, read_signature_role, Role, pb::SignatureRole, Person, Agency);
enumeration!(verdict, read_verdict, Verdict, pb::Verdict, Valid, Invalid, Indeterminate, Absent);
enumeration!(
    delivery_state,
    read_delivery_state,
    DeliveryState,
    pb::DeliveryState,
    Queued,
    Delivered,
    Held,
    Refused,
    Undelivered,
    Withdrawn
);
enumeration!(ask, read_ask, Ask, pb::Ask, Revoke, Update, TakeBack);
enumeration!(ask_state, read_ask_state, AskState, pb::AskState, Sent, Open, Agreed, Refused, Void);
enumeration!(ended_by, read_ended_by, EndedBy, pb::EndedBy, Revoked, Replaced, TakenBack);
enumeration!(level, read_level, Level, pb::Level, Central, Province, Department, District, Commune, Subunit);
enumeration!(scope, read_scope, Scope, pb::Scope, Internal, InProvince, Outside);
enumeration!(direction, read_direction, Direction, pb::Direction, Up, Down, Horizontal);
enumeration!(
    status,
    read_status,
    Status,
    pb::Status,
    Arrived,
    Refused,
    Accepted,
    Assigned,
    Processing,
    Completed,
    TakeBackRequested,
    TakeBackAgreed,
    TakeBackRefused
);

/// A refusal of a value of an enumeration.
pub fn unknown(field: &str, number: i32) -> Rejection {
    Rejection::new(Reason::InvalidText, field, format!("{number} is no value that this version knows"))
}

/// A digest of 32 bytes.
pub fn read_digest(field: &str, bytes: &[u8]) -> Result<Digest, Rejection> {
    Hash::from_slice(bytes).ok_or_else(|| {
        Rejection::new(Reason::InvalidText, field, format!("{} bytes are no SHA-256: it has 32", bytes.len()))
    })
}

/// A delivery id, or nothing.
pub fn read_optional_id(bytes: &[u8]) -> Result<Option<DeliveryId>, Rejection> {
    if bytes.is_empty() { Ok(None) } else { DeliveryId::from_slice(bytes).map(Some) }
}

/// Delivery id to bytes.
pub fn id(value: &DeliveryId) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(value.as_bytes())
}

/// Digest to bytes.
pub fn digest(value: &Digest) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(value.as_bytes())
}

/// A list of digests to bytes.
pub fn digests(values: &[Digest]) -> Vec<bytes::Bytes> {
    values.iter().map(digest).collect()
}

/// A list of digests.
pub fn read_digests(field: &str, values: &[bytes::Bytes]) -> Result<Vec<Digest>, Rejection> {
    values.iter().map(|b| read_digest(field, b)).collect()
}

/// A day.
pub fn read_date(field: &str, text: &str) -> Result<Date, Rejection> {
    if text.is_empty() {
        return Err(Rejection::missing(field));
    }
    text.parse().map_err(|e| Rejection::new(Reason::InvalidDate, field, format!("{e}")))
}

/// A day that may be empty.
pub fn read_optional_date(field: &str, text: &str) -> Result<Option<Date>, Rejection> {
    if text.is_empty() { Ok(None) } else { read_date(field, text).map(Some) }
}

/// A time where 0 means none.
pub fn read_time(ms: i64) -> Option<Timestamp> {
    (ms != 0).then(|| Timestamp::from_millis(ms))
}

/// A time where 0 means none.
pub fn time(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::millis)
}

/// The verdicts of both roles.
pub fn verdicts(value: RoleVerdicts) -> pb::Verdicts {
    pb::Verdicts {
        person: verdict(value.person).into(),
        agency: verdict(value.agency).into(),
        reason: value.reason.map_or_else(String::new, |r| r.as_str().to_owned()),
    }
}

/// The verdicts of both roles.
pub fn read_verdicts(value: Option<&pb::Verdicts>) -> Result<RoleVerdicts, Rejection> {
    let value = value.ok_or_else(|| Rejection::missing("verdicts"))?;
    let role = |n| read_verdict(n).ok_or_else(|| unknown("verdicts", n));
    let reason = read_signature_reason("verdicts.reason", &value.reason)?;
    Ok(RoleVerdicts { person: role(value.person)?, agency: role(value.agency)?, reason })
}

/// Why a signature is not valid; empty where it is.
pub fn read_signature_reason(field: &str, text: &str) -> Result<Option<crate::signature::Reason>, Rejection> {
    if text.is_empty() {
        return Ok(None);
    }
    let odd = |_| Rejection::new(Reason::InvalidText, field, format!("`{}` is no reason", shorten(text)));
    text.parse().map(Some).map_err(odd)
}

/// A place in another log.
pub fn log_ref(value: &LogRef) -> pb::OriginRef {
    pb::OriginRef { log: value.log.clone(), index: value.index, leaf_hash: digest(&value.leaf_hash) }
}

/// A place in another log.
pub fn read_log_ref(value: Option<&pb::OriginRef>) -> Result<LogRef, Rejection> {
    let value = value.ok_or_else(|| Rejection::missing("origin"))?;
    Ok(LogRef {
        log: value.log.clone(),
        index: value.index,
        leaf_hash: read_digest("origin.leaf_hash", &value.leaf_hash)?,
    })
}

/// A reference to another document.
fn document_ref(value: &DocumentRef) -> pb::DocumentRef {
    pb::DocumentRef {
        agency: value.agency.clone(),
        number: value.key.number().to_owned(),
        notation: value.key.notation().to_owned(),
        year: value.key.year(),
    }
}

/// A reference to another document.
pub fn read_document_ref(value: &pb::DocumentRef) -> Result<DocumentRef, Rejection> {
    crate::domain::ids::text_field("agency", &value.agency, crate::domain::limits::AGENCY_CODE_CHARS)?;
    Ok(DocumentRef {
        agency: value.agency.clone(),
        key: DocumentKey::new(&value.number, &value.notation, value.year)?,
    })
}

/// Metadata to the wire.
pub fn metadata(m: &Metadata) -> pb::Metadata {
    pb::Metadata {
        number: m.key.number().to_owned(),
        notation: m.key.notation().to_owned(),
        place_of_issue: m.place_of_issue.clone(),
        issued_on: m.issued_on.to_string(),
        issued_at: time(m.issued_at),
        type_code: m.type_code.clone(),
        type_name: m.type_name.clone(),
        subject: m.subject.clone(),
        summary: m.summary.clone(),
        signer_name: m.signer_name.clone(),
        signer_position: m.signer_position.clone(),
        signer_authority: m.signer_authority.clone(),
        urgency: urgency(m.urgency).into(),
        due_on: m.due_on.map_or_else(String::new, |d| d.to_string()),
        pages: m.pages,
        copies: m.copies,
        places_received: m.places_received.clone(),
        origin: origin(m.origin).into(),
        response_for: m.response_for.iter().map(document_ref).collect(),
        replaces: m.replaces.as_ref().map(document_ref),
        classification: String::new(),
    }
}

/// Metadata from the wire; a classified document stops here. An unset urgency is normal, an unset origin born digital.
pub fn read_metadata(m: &pb::Metadata) -> Result<Metadata, Rejection> {
    if !m.classification.trim().is_empty() {
        return Err(Rejection::new(
            Reason::ClassifiedDocument,
            "metadata.classification",
            "state secrets must not be exchanged here (Decision 28/2018/QĐ-TTg, art. 1): use the channel for them",
        ));
    }
    for (field, text) in [("metadata.number", &m.number), ("metadata.notation", &m.notation)] {
        if text.is_empty() {
            return Err(Rejection::missing(field));
        }
    }
    let issued_on = read_date("metadata.issued_on", &m.issued_on)?;
    Ok(Metadata {
        key: DocumentKey::new(&m.number, &m.notation, issued_on.year())?,
        place_of_issue: m.place_of_issue.clone(),
        issued_on,
        issued_at: read_time(m.issued_at),
        type_code: m.type_code.clone(),
        type_name: m.type_name.clone(),
        subject: m.subject.clone(),
        summary: m.summary.clone(),
        signer_name: m.signer_name.clone(),
        signer_position: m.signer_position.clone(),
        signer_authority: m.signer_authority.clone(),
        urgency: or_default(m.urgency, "metadata.urgency", read_urgency)?,
        due_on: read_optional_date("metadata.due_on", &m.due_on)?,
        pages: m.pages,
        copies: m.copies,
        places_received: m.places_received.clone(),
        origin: or_default(m.origin, "metadata.origin", read_origin)?,
        response_for: m.response_for.iter().map(read_document_ref).collect::<Result<_, _>>()?,
        replaces: m.replaces.as_ref().map(read_document_ref).transpose()?,
    })
}

/// A value of an enumeration where 0 means the default.
pub fn or_default<T: Default>(
    number: i32,
    field: &str,
    read: impl Fn(i32) -> Option<T>,
) -> Result<T, Rejection> {
    if number == 0 { Ok(T::default()) } else { read(number).ok_or_else(|| unknown(field, number)) }
}

/// A part to the wire.
pub fn part(p: &Part) -> pb::Part {
    pb::Part {
        name: p.name.clone(),
        media_type: p.media_type.clone(),
        size: p.size,
        sha256: digest(&p.sha256),
        role: part_role(p.role).into(),
        signatures: signatures(&p.signatures),
    }
}

/// Detached signatures by digest.
pub fn signatures(list: &[(Digest, u32)]) -> Vec<pb::SignatureRef> {
    list.iter().map(|(d, size)| pb::SignatureRef { sha256: digest(d), size: *size }).collect()
}

/// Detached signatures by digest.
pub fn read_signatures(field: &str, list: &[pb::SignatureRef]) -> Result<Vec<(Digest, u32)>, Rejection> {
    list.iter().map(|s| Ok((read_digest(field, &s.sha256)?, s.size))).collect()
}

/// A part from the wire.
pub fn read_part(p: &pb::Part) -> Result<Part, Rejection> {
    Ok(Part {
        name: p.name.clone(),
        media_type: p.media_type.clone(),
        size: p.size,
        sha256: read_digest("parts.sha256", &p.sha256)?,
        role: read_part_role(p.role).ok_or_else(|| unknown("parts.role", p.role))?,
        signatures: read_signatures("parts.signatures", &p.signatures)?,
    })
}
