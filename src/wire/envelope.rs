//! Envelopes as they travel: encoded once at the origin, decoded at both nodes, never re-encoded.

use bytes::Bytes;
use prost::Message as _;

use super::{pb, words};
use crate::domain::envelope::{Body, Envelope, Notice, NoticeDocument};
use crate::domain::ids::{AgencyId, DeliveryId, DocumentKey, shorten};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::time::Timestamp;

/// Format of the envelope.
const VERSION: u32 = 1;

/// The bytes of an envelope.
pub fn encode(envelope: &Envelope) -> Bytes {
    let body = match &envelope.body {
        Body::Document { metadata, parts } => pb::envelope::Body::Document(pb::Document {
            metadata: Some(words::metadata(metadata)),
            parts: parts.iter().map(words::part).collect(),
        }),
        Body::Notice(n) => pb::envelope::Body::Notice(pb::Notice {
            target: words::id(&n.target),
            message_number: n.message_number,
            status: n.status.map_or(0, |s| words::status(s).into()),
            reason: n.reason.clone(),
            office: n.office.clone(),
            officer: n.officer.clone(),
            number: n.document.as_ref().map_or_else(String::new, |d| d.key.number().to_owned()),
            notation: n.document.as_ref().map_or_else(String::new, |d| d.key.notation().to_owned()),
            year: n.document.as_ref().map_or(0, |d| d.key.year()),
            document_digest: n.document.as_ref().map_or_else(Bytes::new, |d| words::digest(&d.digest)),
            metadata: n.metadata.as_deref().map(words::metadata),
            signatures: words::signatures(&n.signatures),
            answers: n.answers.map_or_else(Bytes::new, |id| words::id(&id)),
            after_end: n.after_end,
        }),
    };
    pb::Envelope {
        version: VERSION,
        kind: words::kind(envelope.kind).into(),
        delivery_id: words::id(&envelope.delivery_id),
        sender_code: envelope.sender_code.clone(),
        sender_id: envelope.sender.to_string(),
        recipient_code: envelope.recipient_code.clone(),
        recipient_id: envelope.recipient.to_string(),
        attempt: envelope.attempt,
        directory_version: envelope.directory_version,
        submitted_at: envelope.submitted_at.millis(),
        not_after: envelope.not_after.millis(),
        body: Some(body),
    }
    .encode_to_vec()
    .into()
}

/// Reads an envelope and checks that its fields have their form; see [`Envelope::check`] for what they must fulfil.
pub fn decode(bytes: &[u8]) -> Result<Envelope, Rejection> {
    let odd = |message: String| Rejection::new(Reason::BadEnvelope, "envelope", message);
    if bytes.len() > limits::ENVELOPE_BYTES {
        return Err(odd(format!(
            "{} bytes are more than the {} allowed",
            bytes.len(),
            limits::ENVELOPE_BYTES
        )));
    }
    let e = pb::Envelope::decode(bytes).map_err(|e| odd(format!("it cannot be decoded: {e}")))?;
    if e.version != VERSION {
        return Err(odd(format!("version {} is not {VERSION}: this node may need an upgrade", e.version)));
    }
    let body = match e.body {
        Some(pb::envelope::Body::Document(d)) => {
            let metadata = d.metadata.ok_or_else(|| Rejection::missing("metadata"))?;
            Body::Document {
                metadata: Box::new(words::read_metadata(&metadata)?),
                parts: d.parts.iter().map(words::read_part).collect::<Result<_, _>>()?,
            }
        }
        Some(pb::envelope::Body::Notice(n)) => Body::Notice(read_notice(n)?),
        None => return Err(odd("it carries neither document nor notice".to_owned())),
    };
    let kind = words::read_kind(e.kind).ok_or_else(|| words::unknown("kind", e.kind))?;
    if kind.is_document() != matches!(body, Body::Document { .. }) {
        return Err(odd(format!("a {} message has the body of another kind", kind.as_str())));
    }
    for code in [&e.sender_code, &e.recipient_code] {
        if code.chars().count() > limits::AGENCY_CODE_CHARS {
            return Err(odd(format!("`{}` is longer than any agency code", shorten(code))));
        }
    }
    Ok(Envelope {
        delivery_id: DeliveryId::from_slice(&e.delivery_id)?,
        kind,
        sender_code: e.sender_code,
        sender: AgencyId::new(&e.sender_id)?,
        recipient_code: e.recipient_code,
        recipient: AgencyId::new(&e.recipient_id)?,
        attempt: e.attempt,
        directory_version: e.directory_version,
        submitted_at: Timestamp::from_millis(e.submitted_at),
        not_after: Timestamp::from_millis(e.not_after),
        body,
    })
}

fn read_notice(n: pb::Notice) -> Result<Notice, Rejection> {
    let document = if n.document_digest.is_empty() {
        None
    } else {
        Some(NoticeDocument {
            key: DocumentKey::new(&n.number, &n.notation, n.year)?,
            digest: words::read_digest("document_digest", &n.document_digest)?,
        })
    };
    Ok(Notice {
        target: DeliveryId::from_slice(&n.target)?,
        message_number: n.message_number,
        status: if n.status == 0 {
            None
        } else {
            Some(words::read_status(n.status).ok_or_else(|| words::unknown("status", n.status))?)
        },
        reason: n.reason,
        office: n.office,
        officer: n.officer,
        document,
        metadata: n.metadata.as_ref().map(words::read_metadata).transpose()?.map(Box::new),
        signatures: words::read_signatures("signatures", &n.signatures)?,
        answers: words::read_optional_id(&n.answers)?,
        after_end: n.after_end,
    })
}
