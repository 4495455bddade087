//! Events as the log keeps them: version byte 1, then `lienthong.v1.Event`. Encoded once and kept as written.

use bytes::Bytes;
use prost::Message as _;

use super::{administration, figures, generation, hold, paper, pb, words};
use crate::domain::document::Urgency;
use crate::domain::event::{
    Actor, DocumentFacts, Event, EventKind, Item, Judged, NoticeFacts, Parties, SignatureFacts, Stated,
    Subject,
};
use crate::domain::ids::{AgencyId, DeliveryId, DocumentKey, NodeName, RequestId};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::time::Timestamp;

/// Format of a leaf.
const VERSION: u8 = 1;

/// A leaf that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Over the limit.
    #[error("a leaf of {0} bytes is over the limit of {max}", max = limits::LEAF_BYTES)]
    TooLarge(usize),
    /// Another version.
    #[error("leaf version {0} is not {VERSION}")]
    Version(u8),
    /// Nothing in it.
    #[error("an empty leaf")]
    Empty,
    /// No event.
    #[error("the leaf holds no event: {0}")]
    Format(String),
}

/// The bytes of an event.
pub fn encode(event: &Event) -> Result<Bytes, LeafError> {
    let message = pb::Event {
        at: event.at.millis(),
        salt: Bytes::copy_from_slice(&event.salt),
        client: event.actor.client.clone(),
        user: event.actor.user.clone(),
        directory_version: event.directory_version,
        directory_expired: event.directory_expired,
        kind: kind(&event.kind),
    };
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(VERSION);
    message.encode(&mut bytes).map_err(|e| LeafError::Format(e.to_string()))?;
    if bytes.len() > limits::LEAF_BYTES {
        return Err(LeafError::TooLarge(bytes.len()));
    }
    Ok(bytes.into())
}

/// The event of a leaf.
pub fn decode(leaf: &[u8]) -> Result<Event, LeafError> {
    if leaf.len() > limits::LEAF_BYTES {
        return Err(LeafError::TooLarge(leaf.len()));
    }
    let (version, body) = leaf.split_first().ok_or(LeafError::Empty)?;
    if *version != VERSION {
        return Err(LeafError::Version(*version));
    }
    let e = pb::Event::decode(body).map_err(|e| LeafError::Format(e.to_string()))?;
    let kind = match e.kind {
        None => EventKind::Unknown,
        Some(kind) => read_kind(kind).map_err(|r| LeafError::Format(r.to_string()))?,
    };
    Ok(Event {
        at: Timestamp::from_millis(e.at),
        salt: e.salt.as_ref().try_into().map_err(|_| LeafError::Format("a salt without 16 bytes".into()))?,
        actor: Actor { client: e.client, user: e.user },
        directory_version: e.directory_version,
        directory_expired: e.directory_expired,
        kind,
    })
}

pub(super) fn kind(kind: &EventKind) -> Option<pb::event::Kind> {
    use pb::event::Kind as K;
    Some(match kind {
        EventKind::Submitted {
            item,
            request_id,
            content_digests,
            verdicts,
            judged,
            not_after,
            peer,
            content_size,
        } => K::Submitted(pb::Submitted {
            item: Some(item_out(item)),
            request_id: request_id.to_string(),
            content_digests: words::digests(content_digests),
            verdicts: Some(words::verdicts(*verdicts)),
            not_after: not_after.millis(),
            peer: peer.to_string(),
            content_size: *content_size,
            judged: judged_out(judged),
        }),
        EventKind::Received { item, content_digests, verdicts, judged, held, origin, origin_proof, peer } => {
            K::Received(pb::Received {
                item: Some(item_out(item)),
                content_digests: words::digests(content_digests),
                verdicts: Some(words::verdicts(*verdicts)),
                held: *held,
                origin: Some(words::log_ref(origin)),
                origin_proof: words::digest(origin_proof),
                peer: peer.to_string(),
                judged: judged_out(judged),
            })
        }
        EventKind::Refused {
            item,
            content_digests,
            verdicts,
            judged,
            reason,
            origin,
            origin_proof,
            peer,
        } => K::Refused(pb::Refused {
            item: Some(item_out(item)),
            content_digests: words::digests(content_digests),
            verdicts: Some(words::verdicts(*verdicts)),
            reason: reason.code().to_owned(),
            origin: Some(words::log_ref(origin)),
            origin_proof: words::digest(origin_proof),
            peer: peer.to_string(),
            judged: judged_out(judged),
        }),
        EventKind::Settled {
            delivery_id,
            outcome,
            reason,
            receipt,
            receipt_proof,
            verdicts,
            received_at,
        } => K::Settled(pb::Settled {
            delivery_id: words::id(delivery_id),
            outcome: words::delivery_state(*outcome).into(),
            reason: reason_out(*reason),
            receipt: Some(words::log_ref(receipt)),
            receipt_proof: words::digest(receipt_proof),
            verdicts: Some(words::verdicts(*verdicts)),
            received_at: received_at.millis(),
        }),
        EventKind::Undelivered { delivery_id, reason } => K::Undelivered(pb::Undelivered {
            delivery_id: words::id(delivery_id),
            reason: reason.code().to_owned(),
        }),
        EventKind::Rerouted { delivery_id, peer } => {
            K::Rerouted(pb::Rerouted { delivery_id: words::id(delivery_id), peer: peer.to_string() })
        }
        EventKind::Fetched { delivery_id } => K::Fetched(pb::Fetched { delivery_id: words::id(delivery_id) }),
        EventKind::HandedOver { delivery_id } => {
            K::HandedOver(pb::HandedOver { delivery_id: words::id(delivery_id) })
        }
        EventKind::PaperEntered(entry) => K::PaperEntered(paper::entry_out(entry)),
        EventKind::Released {
            delivery_id,
            envelope_digest,
            content_digests,
            refused,
            verdicts,
            judged,
            origin,
        } => K::Released(pb::Released {
            delivery_id: words::id(delivery_id),
            refused: refused.is_some(),
            reason: reason_out(*refused),
            verdicts: Some(words::verdicts(*verdicts)),
            envelope_digest: words::digest(envelope_digest),
            content_digests: words::digests(content_digests),
            origin: Some(words::log_ref(origin)),
            judged: judged_out(judged),
        }),
        EventKind::Exported { delivery_id, agency } => K::Exported(pb::Exported {
            delivery_id: words::id(delivery_id),
            agency: agency.as_ref().map_or_else(String::new, AgencyId::to_string),
        }),
        EventKind::Viewed { delivery_id, agency } => K::Viewed(pb::Viewed {
            delivery_id: words::id(delivery_id),
            agency: agency.as_ref().map_or_else(String::new, AgencyId::to_string),
        }),
        EventKind::Started { version, unwitnessed } => {
            K::Started(pb::Started { version: version.clone(), unwitnessed: *unwitnessed })
        }
        EventKind::Stopped { reason } => K::Stopped(pb::Stopped { reason: reason.clone() }),
        EventKind::DirectoryAdopted { version, digest } => {
            K::DirectoryAdopted(pb::DirectoryAdopted { version: *version, digest: words::digest(digest) })
        }
        EventKind::Alarm { reason, peer, detail } => {
            K::Alarm(pb::Alarm { reason: reason.clone(), peer: peer.clone(), detail: detail.clone() })
        }
        EventKind::CalendarSet(calendar) => K::CalendarSet(figures::calendar_out(calendar)),
        EventKind::PaperDeclared(declared) => K::PaperDeclared(figures::declared_out(declared)),
        EventKind::PeriodClosed(closed) => K::PeriodClosed(figures::closed_out(closed)),
        EventKind::StatementMade(made) => K::StatementMade(figures::made_out(made)),
        EventKind::NetworkReported(reported) => K::NetworkReported(figures::reported_out(reported)),
        EventKind::Purged { delivery_id, messages, digests, rule } => K::Purged(pb::Purged {
            delivery_id: words::id(delivery_id),
            messages: messages.iter().map(words::id).collect(),
            digests: words::digests(digests),
            rule: rule.clone(),
        }),
        EventKind::HoldPlaced { scope, reason } => {
            K::HoldPlaced(pb::HoldPlaced { scope: Some(hold::scope(scope)), reason: reason.clone() })
        }
        EventKind::HoldLifted { hold, scope, reason } => K::HoldLifted(pb::HoldLifted {
            hold: *hold,
            scope: Some(hold::scope(scope)),
            reason: reason.clone(),
        }),
        EventKind::ConfigChanged(change) => K::ConfigChanged(administration::config_out(change)),
        EventKind::ClientChanged(change) => K::ClientChanged(administration::client_out(change)),
        EventKind::KeyChanged(change) => K::KeyChanged(administration::key_out(change)),
        EventKind::ConnectionsRefused(refused) => K::ConnectionsRefused(administration::refused_out(refused)),
        EventKind::Extracted(extracted) => K::Extracted(administration::extracted_out(extracted)),
        EventKind::GenerationOpened(opened) => K::GenerationOpened(generation::opened_out(opened)),
        EventKind::Recovered(recovered) => K::Recovered(generation::recovered_out(recovered)),
        EventKind::SentAgain { delivery_id, peer, lost } => K::SentAgain(pb::SentAgain {
            delivery_id: words::id(delivery_id),
            peer: peer.to_string(),
            lost: Some(words::log_ref(lost)),
        }),
        EventKind::Returned { delivery_id, first } => {
            K::Returned(generation::returned_out(delivery_id, first))
        }
        EventKind::Unknown => return None,
    })
}

fn reason_out(reason: Option<Reason>) -> String {
    reason.map_or_else(String::new, |r| r.code().to_owned())
}

fn item_out(item: &Item) -> pb::Item {
    let mut out = pb::Item {
        kind: words::kind(item.kind()).into(),
        delivery_id: words::id(&item.delivery_id),
        envelope_digest: words::digest(&item.envelope_digest),
        attempt: item.attempt,
        parties: Some(parties_out(&item.parties)),
        ..pb::Item::default()
    };
    match &item.subject {
        Subject::Document(d) => {
            out.number = d.key.number().to_owned();
            out.notation = d.key.notation().to_owned();
            out.year = d.key.year();
            out.document_digest = words::digest(&d.document_digest);
            out.type_name = d.type_name.clone();
            out.urgency = words::urgency(d.urgency).into();
            out.issued_on = d.issued_on.to_string();
            out.issued_at = words::time(d.issued_at);
            out.origin = words::origin(d.origin).into();
            out.replaces = d.replaces.as_ref().map(|key| pb::DocumentRef {
                agency: String::new(),
                number: key.number().to_owned(),
                notation: key.notation().to_owned(),
                year: key.year(),
            });
        }
        Subject::Notice(n) => {
            out.target = words::id(&n.target);
            out.message_number = n.message_number;
            out.status = n.status.map_or(0, |s| words::status(s).into());
            out.out_of_order = n.out_of_order;
            out.issued_at = n.sent_at.millis();
            out.answers = n.answers.as_ref().map_or_else(Bytes::new, words::id);
            out.after_end = n.after_end;
            if let Some(stated) = &n.stated {
                out.number = stated.key.number().to_owned();
                out.notation = stated.key.notation().to_owned();
                out.year = stated.key.year();
                out.document_digest = words::digest(&stated.document_digest);
                out.statement_digest = words::digest(&stated.statement);
            }
        }
    }
    out
}

pub(super) fn parties_out(p: &Parties) -> pb::Parties {
    let text = |a: &Option<AgencyId>| a.as_ref().map_or_else(String::new, AgencyId::to_string);
    pb::Parties {
        sender_id: p.sender.to_string(),
        sender_code: p.sender_code.clone(),
        recipient_id: text(&p.recipient),
        recipient_code: p.recipient_code.clone(),
        sender_registered: p.sender_registered.to_string(),
        recipient_registered: text(&p.recipient_registered),
        sender_level: words::level(p.sender_level).into(),
        recipient_level: p.recipient_level.map_or(0, |l| words::level(l).into()),
        scope: words::scope(p.scope).into(),
        direction: p.direction.map_or(0, |d| words::direction(d).into()),
    }
}

fn read_reason(code: &str) -> Result<Reason, Rejection> {
    code.parse().map_err(|()| {
        Rejection::new(
            Reason::InvalidText,
            "reason",
            format!("`{}` is no reason", crate::domain::ids::shorten(code)),
        )
    })
}

/// Nothing where nothing was judged.
fn judged_out(judged: &Judged) -> Option<pb::Judged> {
    (*judged != Judged::default()).then(|| pb::Judged {
        signatures: judged
            .signatures
            .iter()
            .map(|s| pb::SignatureFacts {
                role: words::signature_role(s.role).into(),
                verdict: words::verdict(s.verdict).into(),
                reason: s.reason.map_or_else(String::new, |r| r.as_str().to_owned()),
                certificate: s.certificate.as_ref().map_or_else(Bytes::new, words::digest),
                proven_at: words::time(s.proven_at),
            })
            .collect(),
        evidence: words::digests(&judged.evidence),
    })
}

fn read_judged(judged: Option<pb::Judged>) -> Result<Judged, Rejection> {
    let Some(judged) = judged else { return Ok(Judged::default()) };
    let field = "judged.signatures";
    let signatures = judged
        .signatures
        .iter()
        .map(|s| {
            Ok(SignatureFacts {
                role: words::read_signature_role(s.role).ok_or_else(|| words::unknown(field, s.role))?,
                verdict: words::read_verdict(s.verdict).ok_or_else(|| words::unknown(field, s.verdict))?,
                reason: words::read_signature_reason(field, &s.reason)?,
                certificate: if s.certificate.is_empty() {
                    None
                } else {
                    Some(words::read_digest(field, &s.certificate)?)
                },
                proven_at: words::read_time(s.proven_at),
            })
        })
        .collect::<Result<_, Rejection>>()?;
    Ok(Judged { signatures, evidence: words::read_digests("judged.evidence", &judged.evidence)? })
}

fn read_optional_reason(code: &str) -> Result<Option<Reason>, Rejection> {
    if code.is_empty() { Ok(None) } else { read_reason(code).map(Some) }
}

pub(super) fn read_kind(kind: pb::event::Kind) -> Result<EventKind, Rejection> {
    use pb::event::Kind as K;
    let item = |i: Option<pb::Item>| read_item(i.ok_or_else(|| Rejection::missing("item"))?);
    Ok(match kind {
        K::Submitted(s) => EventKind::Submitted {
            item: item(s.item)?,
            request_id: RequestId::new(&s.request_id)?,
            content_digests: words::read_digests("content_digests", &s.content_digests)?,
            verdicts: words::read_verdicts(s.verdicts.as_ref())?,
            not_after: Timestamp::from_millis(s.not_after),
            peer: NodeName::new(&s.peer)?,
            content_size: s.content_size,
            judged: read_judged(s.judged)?,
        },
        K::Received(r) => EventKind::Received {
            item: item(r.item)?,
            content_digests: words::read_digests("content_digests", &r.content_digests)?,
            verdicts: words::read_verdicts(r.verdicts.as_ref())?,
            held: r.held,
            origin: words::read_log_ref(r.origin.as_ref())?,
            origin_proof: words::read_digest("origin_proof", &r.origin_proof)?,
            peer: NodeName::new(&r.peer)?,
            judged: read_judged(r.judged)?,
        },
        K::Refused(r) => EventKind::Refused {
            item: item(r.item)?,
            content_digests: words::read_digests("content_digests", &r.content_digests)?,
            verdicts: words::read_verdicts(r.verdicts.as_ref())?,
            reason: read_reason(&r.reason)?,
            origin: words::read_log_ref(r.origin.as_ref())?,
            origin_proof: words::read_digest("origin_proof", &r.origin_proof)?,
            peer: NodeName::new(&r.peer)?,
            judged: read_judged(r.judged)?,
        },
        K::Settled(s) => EventKind::Settled {
            delivery_id: DeliveryId::from_slice(&s.delivery_id)?,
            outcome: words::read_delivery_state(s.outcome)
                .ok_or_else(|| words::unknown("outcome", s.outcome))?,
            reason: read_optional_reason(&s.reason)?,
            receipt: words::read_log_ref(s.receipt.as_ref())?,
            receipt_proof: words::read_digest("receipt_proof", &s.receipt_proof)?,
            verdicts: words::read_verdicts(s.verdicts.as_ref())?,
            received_at: Timestamp::from_millis(s.received_at),
        },
        K::Undelivered(u) => EventKind::Undelivered {
            delivery_id: DeliveryId::from_slice(&u.delivery_id)?,
            reason: read_reason(&u.reason)?,
        },
        K::Rerouted(r) => EventKind::Rerouted {
            delivery_id: DeliveryId::from_slice(&r.delivery_id)?,
            peer: NodeName::new(&r.peer)?,
        },
        K::Fetched(f) => EventKind::Fetched { delivery_id: DeliveryId::from_slice(&f.delivery_id)? },
        K::HandedOver(h) => EventKind::HandedOver { delivery_id: DeliveryId::from_slice(&h.delivery_id)? },
        K::PaperEntered(p) => EventKind::PaperEntered(paper::read_entry(p)?),
        K::Released(r) => EventKind::Released {
            delivery_id: DeliveryId::from_slice(&r.delivery_id)?,
            envelope_digest: words::read_digest("envelope_digest", &r.envelope_digest)?,
            content_digests: words::read_digests("content_digests", &r.content_digests)?,
            refused: if r.refused { Some(read_reason(&r.reason)?) } else { None },
            verdicts: words::read_verdicts(r.verdicts.as_ref())?,
            origin: words::read_log_ref(r.origin.as_ref())?,
            judged: read_judged(r.judged)?,
        },
        K::Exported(e) => EventKind::Exported {
            delivery_id: DeliveryId::from_slice(&e.delivery_id)?,
            agency: if e.agency.is_empty() { None } else { Some(AgencyId::new(&e.agency)?) },
        },
        K::Viewed(v) => EventKind::Viewed {
            delivery_id: DeliveryId::from_slice(&v.delivery_id)?,
            agency: if v.agency.is_empty() { None } else { Some(AgencyId::new(&v.agency)?) },
        },
        K::CalendarSet(c) => EventKind::CalendarSet(figures::read_calendar(&c)?),
        K::PaperDeclared(d) => EventKind::PaperDeclared(figures::read_declared(d)?),
        K::PeriodClosed(c) => EventKind::PeriodClosed(figures::read_closed(c)?),
        K::StatementMade(m) => EventKind::StatementMade(figures::read_made(&m)?),
        K::NetworkReported(r) => EventKind::NetworkReported(figures::read_reported(&r)?),
        K::Started(s) => EventKind::Started { version: s.version, unwitnessed: s.unwitnessed },
        K::Stopped(s) => EventKind::Stopped { reason: s.reason },
        K::DirectoryAdopted(d) => EventKind::DirectoryAdopted {
            version: d.version,
            digest: words::read_digest("digest", &d.digest)?,
        },
        K::Purged(p) => EventKind::Purged {
            delivery_id: DeliveryId::from_slice(&p.delivery_id)?,
            messages: p.messages.iter().map(|id| DeliveryId::from_slice(id)).collect::<Result<_, _>>()?,
            digests: words::read_digests("digests", &p.digests)?,
            rule: p.rule,
        },
        K::HoldPlaced(h) => EventKind::HoldPlaced { scope: hold::read_scope(h.scope)?, reason: h.reason },
        K::HoldLifted(h) => {
            EventKind::HoldLifted { hold: h.hold, scope: hold::read_scope(h.scope)?, reason: h.reason }
        }
        K::Alarm(a) => EventKind::Alarm { reason: a.reason, peer: a.peer, detail: a.detail },
        K::ConfigChanged(c) => EventKind::ConfigChanged(administration::read_config(c)?),
        K::ClientChanged(c) => EventKind::ClientChanged(administration::read_client(c)?),
        K::KeyChanged(k) => EventKind::KeyChanged(administration::read_key(k)?),
        K::ConnectionsRefused(c) => EventKind::ConnectionsRefused(administration::read_refused(c)?),
        K::Extracted(e) => EventKind::Extracted(administration::read_extracted(e)?),
        K::GenerationOpened(o) => EventKind::GenerationOpened(generation::read_opened(o)?),
        K::Recovered(r) => EventKind::Recovered(Box::new(generation::read_recovered(r)?)),
        K::SentAgain(s) => EventKind::SentAgain {
            delivery_id: DeliveryId::from_slice(&s.delivery_id)?,
            peer: NodeName::new(&s.peer)?,
            lost: words::read_log_ref(s.lost.as_ref())?,
        },
        K::Returned(r) => generation::read_returned(r)?,
    })
}

fn read_urgency(number: i32) -> Result<Urgency, Rejection> {
    words::read_urgency(number).ok_or_else(|| words::unknown("urgency", number))
}

fn read_item(i: pb::Item) -> Result<Item, Rejection> {
    let kind = words::read_kind(i.kind).ok_or_else(|| words::unknown("kind", i.kind))?;
    let subject = if kind.is_document() {
        Subject::Document(DocumentFacts {
            kind,
            key: DocumentKey::new(&i.number, &i.notation, i.year)?,
            document_digest: words::read_digest("document_digest", &i.document_digest)?,
            type_name: i.type_name,
            urgency: read_urgency(i.urgency)?,
            issued_on: words::read_date("issued_on", &i.issued_on)?,
            issued_at: words::read_time(i.issued_at),
            origin: words::read_origin(i.origin).ok_or_else(|| words::unknown("origin", i.origin))?,
            replaces: match i.replaces {
                Some(r) => Some(DocumentKey::new(&r.number, &r.notation, r.year)?),
                None => None,
            },
        })
    } else {
        Subject::Notice(NoticeFacts {
            kind,
            target: DeliveryId::from_slice(&i.target)?,
            message_number: i.message_number,
            status: if i.status == 0 {
                None
            } else {
                Some(words::read_status(i.status).ok_or_else(|| words::unknown("status", i.status))?)
            },
            out_of_order: i.out_of_order,
            sent_at: Timestamp::from_millis(i.issued_at),
            stated: if i.statement_digest.is_empty() {
                None
            } else {
                Some(Stated {
                    key: DocumentKey::new(&i.number, &i.notation, i.year)?,
                    document_digest: words::read_digest("document_digest", &i.document_digest)?,
                    statement: words::read_digest("statement_digest", &i.statement_digest)?,
                })
            },
            answers: words::read_optional_id(&i.answers)?,
            after_end: i.after_end,
        })
    };
    Ok(Item {
        delivery_id: DeliveryId::from_slice(&i.delivery_id)?,
        envelope_digest: words::read_digest("envelope_digest", &i.envelope_digest)?,
        attempt: i.attempt,
        parties: read_parties(i.parties)?,
        subject,
    })
}

pub(super) fn read_parties(p: Option<pb::Parties>) -> Result<Parties, Rejection> {
    let p = p.ok_or_else(|| Rejection::missing("parties"))?;
    let optional = |t: &str| if t.is_empty() { Ok(None) } else { AgencyId::new(t).map(Some) };
    Ok(Parties {
        sender: AgencyId::new(&p.sender_id)?,
        sender_code: p.sender_code,
        recipient: optional(&p.recipient_id)?,
        recipient_code: p.recipient_code,
        sender_registered: AgencyId::new(&p.sender_registered)?,
        recipient_registered: optional(&p.recipient_registered)?,
        sender_level: words::read_level(p.sender_level)
            .ok_or_else(|| words::unknown("sender_level", p.sender_level))?,
        recipient_level: words::read_level(p.recipient_level),
        scope: words::read_scope(p.scope).ok_or_else(|| words::unknown("scope", p.scope))?,
        direction: words::read_direction(p.direction),
    })
}
