//! Making a message ready: envelope bytes into the store, and what its event will say.

use super::Exchange;
use crate::config::RevocationUnknown;
use crate::directory::{Agency, Directory};
use crate::domain::decide::Prepared;
use crate::domain::envelope::{Body, Envelope, Notice};
use crate::domain::event::{
    DocumentFacts, Item, Judged, NoticeFacts, Parties, RoleVerdicts, Stated, Subject,
};
use crate::domain::ids::{AgencyId, DeliveryId, Digest, NodeName};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{Kind, Metadata, Part, limits};
use crate::ledger::storage;
use crate::merkle::sha256;
use crate::signature::{Verdict, Verdicts};
use crate::time::Timestamp;
use crate::wire;

/// How often a message is prepared again when others take its attempt or number.
pub(super) const TRIES: usize = 16;

/// What an event says of a document.
pub(super) fn document_facts(kind: Kind, metadata: &Metadata, document_digest: Digest) -> DocumentFacts {
    DocumentFacts {
        kind,
        key: metadata.key.clone(),
        document_digest,
        type_name: metadata.type_name.clone(),
        urgency: metadata.urgency,
        issued_on: metadata.issued_on,
        issued_at: metadata.issued_at,
        origin: metadata.origin,
        replaces: metadata.replaces.as_ref().filter(|_| kind == Kind::Replace).map(|r| r.key.clone()),
    }
}

/// What an event says of a notice.
pub(super) fn notice_facts(
    kind: Kind,
    sender: &AgencyId,
    notice: &Notice,
    sent_at: Timestamp,
) -> NoticeFacts {
    let statement = notice.statement(kind, sender);
    let stated = notice.document.as_ref().zip(statement).map(|(document, statement)| Stated {
        key: document.key.clone(),
        document_digest: document.digest,
        statement: sha256(statement.as_bytes()),
    });
    NoticeFacts {
        kind,
        target: notice.target,
        message_number: notice.message_number,
        status: notice.status,
        out_of_order: false,
        sent_at,
        stated,
        answers: notice.answers,
        after_end: notice.after_end,
    }
}

/// Verdicts as an event records them.
pub(crate) fn role_verdicts(verdicts: &Verdicts) -> RoleVerdicts {
    RoleVerdicts { person: verdicts.person, agency: verdicts.agency, reason: verdicts.reason }
}

/// Why these signatures refuse the document, if they do: an invalid one always, one that cannot be judged where the node
/// is configured so.
pub(super) fn refusal(verdicts: RoleVerdicts, policy: RevocationUnknown) -> Option<Reason> {
    let is_invalid = verdicts.person == Verdict::Invalid || verdicts.agency == Verdict::Invalid;
    let refused = is_invalid || (policy == RevocationUnknown::Refuse && undecided(verdicts));
    refused.then(|| verdicts.reason.map_or(Reason::Internal, Reason::Signature))
}

/// Why these signatures refuse a message that needs the agency's valid seal: as above, and where there is none.
pub(super) fn unsealed(verdicts: RoleVerdicts, policy: RevocationUnknown) -> Option<Reason> {
    refusal(verdicts, policy).or_else(|| {
        let sealed = matches!(verdicts.agency, Verdict::Valid | Verdict::Indeterminate);
        (!sealed).then_some(Reason::SealRequired)
    })
}

/// Why signatures refuse a message of a kind.
pub(super) fn refusal_of(kind: Kind, verdicts: RoleVerdicts, policy: RevocationUnknown) -> Option<Reason> {
    match kind {
        Kind::Revoke | Kind::Update | Kind::Replace => unsealed(verdicts, policy),
        Kind::New | Kind::Status => refusal(verdicts, policy),
    }
}

/// What the judge says of the signature that decided.
pub(super) fn detail(judged: &Verdicts) -> String {
    if let Some(why) = &judged.refused {
        return why.clone();
    }
    judged
        .signatures
        .iter()
        .find(|s| s.reason.is_some() && s.reason == judged.reason)
        .map_or_else(|| "a signature does not hold".to_owned(), |s| s.detail.clone())
}

/// Detached signatures as a client sends them: none is empty or over the limit.
pub(super) fn check_signature_sizes(field: &str, signatures: &[bytes::Bytes]) -> Result<(), Rejection> {
    for signature in signatures {
        if signature.is_empty() || signature.len() > limits::SIGNATURE_BYTES {
            return Err(Rejection::new(
                Reason::TooLong,
                field,
                format!(
                    "a signature of {} bytes is not between 1 and {}",
                    signature.len(),
                    limits::SIGNATURE_BYTES
                ),
            ));
        }
    }
    Ok(())
}

/// Whether a document is held until its signatures can be judged.
pub(super) fn held(verdicts: RoleVerdicts, policy: RevocationUnknown) -> bool {
    policy == RevocationUnknown::Hold && undecided(verdicts)
}

/// Whether a signature cannot be judged yet.
fn undecided(verdicts: RoleVerdicts) -> bool {
    verdicts.person == Verdict::Indeterminate || verdicts.agency == Verdict::Indeterminate
}

/// Writes an envelope to the store (durable with the commit that names it) and makes its message ready.
pub(super) fn prepare(
    exchange: &Exchange,
    envelope: &Envelope,
    parties: Parties,
    subject: Subject,
    (verdicts, judged): (RoleVerdicts, Judged),
    peer: NodeName,
    keep: bool,
) -> Result<Prepared, Rejection> {
    let bytes = wire::envelope::encode(envelope);
    if bytes.len() > limits::ENVELOPE_BYTES {
        return Err(Rejection::new(
            Reason::TooLong,
            "metadata",
            format!(
                "the envelope has {} bytes, {} are allowed: shorten the metadata",
                bytes.len(),
                limits::ENVELOPE_BYTES
            ),
        ));
    }
    let envelope_digest =
        if keep { exchange.ledger().content().put(&bytes).map_err(|e| storage(&e))? } else { sha256(&bytes) };
    Ok(Prepared {
        item: Item {
            delivery_id: envelope.delivery_id,
            envelope_digest,
            attempt: envelope.attempt,
            parties,
            subject,
        },
        content_digests: envelope.content_digests(),
        content_size: envelope.content_size(),
        verdicts,
        judged,
        not_after: envelope.not_after,
        peer,
    })
}

/// The node that hosts an agency today.
pub(super) fn host(agency: &Agency, now: Timestamp, field: &str) -> Result<NodeName, Rejection> {
    agency.node(now.date()).cloned().ok_or_else(|| {
        Rejection::new(
            Reason::RecipientWithoutNode,
            field,
            format!("no node hosts {}: send it on paper, or ask it to join", agency.id),
        )
    })
}

/// Makes a notice about a delivery ready; what judging its seal found is the caller's to add.
pub(super) fn notice(
    exchange: &Exchange,
    directory: &Directory,
    from: (&Agency, &str),
    to: (&Agency, &str),
    kind: Kind,
    notice: Notice,
    now: Timestamp,
) -> Result<Prepared, Rejection> {
    notice.check(kind)?;
    let peer = host(to.0, now, "delivery_id")?;
    let number = notice.message_number;
    let id = DeliveryId::of_notice(&from.0.id, kind.number(), &notice.target, number, &to.0.id);
    let facts = notice_facts(kind, &from.0.id, &notice, now);
    let envelope = Envelope {
        delivery_id: id,
        kind,
        sender_code: from.1.to_owned(),
        sender: from.0.id.clone(),
        recipient_code: to.1.to_owned(),
        recipient: to.0.id.clone(),
        attempt: 1,
        directory_version: directory.version(),
        submitted_at: now,
        not_after: now.plus_millis(exchange.config().delivery_ms),
        body: Body::Notice(notice),
    };
    let parties = directory.parties(from.0, from.1, to.0, to.1);
    prepare(
        exchange,
        &envelope,
        parties,
        Subject::Notice(facts),
        (RoleVerdicts::ABSENT, Judged::default()),
        peer,
        true,
    )
}

/// Sizes of parts as announced; used to cut inline content.
pub(super) fn split(parts: &[Part], data: &bytes::Bytes) -> Option<Vec<bytes::Bytes>> {
    let mut at = 0usize;
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        let end = at.checked_add(usize::try_from(part.size).ok()?)?;
        if end > data.len() {
            return None;
        }
        out.push(data.slice(at..end));
        at = end;
    }
    (at == data.len()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_judged_is_held_refused_or_let_through_as_configured() {
        use RevocationUnknown::{Accept, Hold, Refuse};
        let verdicts = |person, reason| RoleVerdicts { person, agency: Verdict::Valid, reason };
        let unknown = crate::signature::Reason::RevocationUnknown;
        let undecided = verdicts(Verdict::Indeterminate, Some(unknown));
        assert_eq!([Hold, Refuse, Accept].map(|p| held(undecided, p)), [true, false, false]);
        let refused = Some(Reason::Signature(unknown));
        assert_eq!([Hold, Refuse, Accept].map(|p| refusal(undecided, p)), [None, refused, None]);
        let revoked = crate::signature::Reason::CertificateRevoked;
        let invalid = verdicts(Verdict::Invalid, Some(revoked));
        assert_eq!(
            [Hold, Refuse, Accept].map(|p| refusal(invalid, p)),
            [Some(Reason::Signature(revoked)); 3]
        );
        let valid = verdicts(Verdict::Valid, None);
        assert!([Hold, Refuse, Accept].iter().all(|p| refusal(valid, *p).is_none() && !held(valid, *p)));
    }
}
