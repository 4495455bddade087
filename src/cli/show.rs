//! How ids, events and times are shown to a person, and as JSON.

use serde_json::{Value, json};

use crate::domain::event::{Actor, Event, EventKind, Item, Judged, LogRef, Parties, RoleVerdicts, Subject};
use crate::domain::ids::DocumentKey;
use crate::merkle::leaf_hash;
use crate::time::Timestamp;

/// Milliseconds as a time in Vietnam; nothing for 0.
pub(super) fn time(ms: i64) -> String {
    if ms == 0 { String::new() } else { Timestamp::from_millis(ms).to_string() }
}

/// Columns with their widest entry, a line each.
pub(super) fn columns(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::new();
        for (cell, width) in cells.zip(&widths) {
            out.push_str(cell);
            out.push_str(&" ".repeat(width.saturating_sub(cell.chars().count()) + 2));
        }
        out.trim_end().to_owned()
    };
    let mut out = vec![line(&mut header.iter().copied())];
    for row in rows {
        out.push(line(&mut row.iter().map(String::as_str)));
    }
    out.join("\n")
}

/// One line about an event.
pub(super) fn event_line(index: u64, event: &Event) -> Vec<String> {
    let (subject, note) = match &event.kind {
        EventKind::Submitted { item, .. } => (item_text(item), String::new()),
        EventKind::Received { item, held, .. } => {
            (item_text(item), if *held { "held".into() } else { String::new() })
        }
        EventKind::Refused { item, reason, .. } => (item_text(item), reason.to_string()),
        EventKind::Settled { outcome, reason, .. } => {
            (String::new(), format!("{outcome}{}", reason.map_or_else(String::new, |r| format!(": {r}"))))
        }
        EventKind::Undelivered { reason, .. } => (String::new(), reason.to_string()),
        EventKind::Rerouted { peer, .. } => (String::new(), format!("to node {peer}")),
        EventKind::PaperEntered(p) => {
            let to = p.parties.recipient.as_ref().map_or(p.recipient_name.as_str(), |r| r.as_str());
            let note = match (p.withdrawn, p.corrects) {
                (true, Some(index)) => format!("withdraws {index}"),
                (true, None) => "withdrawn".to_owned(),
                (false, Some(index)) => format!("corrects {index}"),
                (false, None) => String::new(),
            };
            (format!("{} → {to}: {}", p.parties.sender, p.key), note)
        }
        EventKind::Released { refused, .. } => {
            (String::new(), refused.map_or_else(|| "released".into(), |r| r.to_string()))
        }
        EventKind::Exported { agency, .. } | EventKind::Viewed { agency, .. } => {
            (String::new(), agency.as_ref().map_or_else(String::new, |a| format!("for {a}")))
        }
        EventKind::Started { version, unwitnessed } => {
            let note =
                if *unwitnessed { "no peer could say whether this log is the newest copy" } else { "" };
            (format!("version {version}"), note.to_owned())
        }
        EventKind::PaperDeclared(d) => {
            let note = if d.complete { "complete" } else { "taken back" };
            (format!("{}: paper register of {}", d.agency, d.month), note.into())
        }
        EventKind::PeriodClosed(c) => (format!("period {}", c.period), String::new()),
        EventKind::StatementMade(m) => {
            (format!("statement of {}", m.period), format!("{} sent, {} received", m.sent, m.received))
        }
        EventKind::NetworkReported(r) => {
            let whole = if r.complete { "" } else { "incomplete, " };
            (format!("network {}", r.period), format!("{whole}{} differences", r.differences))
        }
        EventKind::CalendarSet(c) => {
            let (free, worked) = (c.holidays.len(), c.workdays.len());
            (format!("{free} holidays, {worked} workdays at weekends"), String::new())
        }
        EventKind::Stopped { reason } => (reason.clone(), String::new()),
        EventKind::DirectoryAdopted { version, .. } => (format!("version {version}"), String::new()),
        EventKind::Alarm { reason, peer, detail } => (format!("{peer}: {detail}"), reason.clone()),
        EventKind::Purged { rule, .. } => (String::new(), rule.clone()),
        EventKind::HoldPlaced { scope, reason } => (scope.to_string(), reason.clone()),
        EventKind::HoldLifted { hold, scope, reason } => {
            (scope.to_string(), format!("hold {hold}: {reason}"))
        }
        EventKind::ConfigChanged(c) => ("configuration".into(), c.changed.join(", ")),
        EventKind::ClientChanged(c) => (c.name.clone(), c.step.to_string()),
        EventKind::KeyChanged(k) => (format!("{} key", k.purpose), k.new.clone()),
        EventKind::ConnectionsRefused(refused) => {
            let causes = refused.refusals.iter().map(|r| format!("{} {}: {}", r.side, r.cause, r.count));
            ("connections".into(), causes.collect::<Vec<_>>().join(", "))
        }
        EventKind::Extracted(e) => (e.extract.to_string(), e.filter.clone()),
        EventKind::GenerationOpened(o) => {
            (format!("after {}", o.lost), format!("{} of {} events kept", o.kept, o.known))
        }
        EventKind::Recovered(r) => {
            let outcome = match &r.settled {
                EventKind::Settled { outcome, .. } => outcome.to_string(),
                _ => String::new(),
            };
            (r.submitted.item().map_or_else(String::new, item_text), outcome)
        }
        EventKind::SentAgain { peer, lost, .. } => {
            (format!("to node {peer}"), format!("{} is lost", lost.log))
        }
        EventKind::Returned { first, .. } => (String::new(), format!("first received {}", first.at)),
        EventKind::Fetched { .. } | EventKind::HandedOver { .. } | EventKind::Unknown => {
            (String::new(), String::new())
        }
    };
    let id = event.kind.delivery_id().map_or_else(String::new, |id| id.to_string()[..12].to_owned());
    vec![
        index.to_string(),
        event.at.to_string(),
        event.kind.name().to_owned(),
        id,
        who(&event.actor),
        subject,
        note,
    ]
}

/// The client, and the person where the client names one.
fn who(actor: &Actor) -> String {
    match actor.user.as_str() {
        "" => actor.client.clone(),
        user => format!("{}: {user}", actor.client),
    }
}

/// Header of [`event_line`].
pub(super) const EVENT_HEADER: [&str; 7] = ["index", "time", "event", "delivery", "by", "about", "note"];

fn item_text(item: &Item) -> String {
    let parties = &item.parties;
    let to = parties.recipient.as_ref().map_or("", |r| r.as_str());
    let what = match &item.subject {
        Subject::Document(d) => match &d.replaces {
            Some(replaced) => format!("{}, replaces {replaced}", d.key),
            None => d.key.to_string(),
        },
        Subject::Notice(n) => match n.status {
            Some(status) => {
                let flag = if n.out_of_order { " (out of order)" } else { "" };
                format!("status {status}{flag}")
            }
            None => {
                let key = n.stated.as_ref().map_or_else(String::new, |s| format!(" of {}", s.key));
                format!("{}{key}", n.kind.as_str())
            }
        },
    };
    format!("{} → {to}: {what}", parties.sender)
}

/// An event with all its fields.
pub(super) fn event_json(index: u64, leaf: &[u8], event: &Event) -> Value {
    let mut out = json!({
        "index": index,
        "leaf_hash": leaf_hash(leaf).to_string(),
        "at": event.at.to_string(),
        "event": event.kind.name(),
        "client": event.actor.client,
        "user": event.actor.user,
        "directory_version": event.directory_version,
        "directory_expired": event.directory_expired,
    });
    let detail = detail(&event.kind);
    if let (Value::Object(out), Value::Object(detail)) = (&mut out, detail) {
        out.extend(detail);
    }
    out
}

fn detail(kind: &EventKind) -> Value {
    match kind {
        EventKind::Submitted {
            item,
            request_id,
            content_digests,
            verdicts,
            judged,
            not_after,
            peer,
            content_size,
        } => {
            json!({
                "item": item_json(item), "request_id": request_id.to_string(), "verdicts": verdicts_json(*verdicts),
                "judged": judged_json(judged), "content_digests": texts(content_digests), "not_after": not_after.to_string(),
                "peer": peer.to_string(), "content_size": content_size,
            })
        }
        EventKind::Received { item, content_digests, verdicts, judged, held, origin, origin_proof, peer } => {
            json!({
                "item": item_json(item), "content_digests": texts(content_digests), "held": held,
                "verdicts": verdicts_json(*verdicts), "judged": judged_json(judged), "origin": log_ref(origin),
                "origin_proof": origin_proof.to_string(), "peer": peer.to_string(),
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
        } => json!({
            "item": item_json(item), "content_digests": texts(content_digests), "reason": reason.code(),
            "verdicts": verdicts_json(*verdicts), "judged": judged_json(judged), "origin": log_ref(origin),
            "origin_proof": origin_proof.to_string(), "peer": peer.to_string(),
        }),
        EventKind::Settled {
            delivery_id,
            outcome,
            reason,
            receipt,
            receipt_proof,
            verdicts,
            received_at,
        } => {
            json!({
                "delivery_id": delivery_id.to_string(), "outcome": outcome.as_str(),
                "reason": reason.map(|r| r.code()), "receipt": log_ref(receipt),
                "receipt_proof": receipt_proof.to_string(), "verdicts": verdicts_json(*verdicts),
                "received_at": received_at.to_string(),
            })
        }
        EventKind::Undelivered { delivery_id, reason } => {
            json!({"delivery_id": delivery_id.to_string(), "reason": reason.code()})
        }
        EventKind::Rerouted { delivery_id, peer } => {
            json!({"delivery_id": delivery_id.to_string(), "peer": peer.as_str()})
        }
        EventKind::Fetched { delivery_id } | EventKind::HandedOver { delivery_id } => {
            json!({"delivery_id": delivery_id.to_string()})
        }
        EventKind::PaperEntered(p) => json!({
            "parties": parties(&p.parties), "recipient_name": p.recipient_name, "number": p.key.number(),
            "notation": p.key.notation(), "issued_on": p.issued_on.to_string(), "type": p.type_name,
            "urgency": p.urgency.as_str(), "mandatory": p.mandatory, "basis": p.basis,
            "dispatched_on": p.dispatched_on.map(|d| d.to_string()), "withdrawn": p.withdrawn, "corrects": p.corrects,
            "request_id": p.request_id.to_string(),
        }),
        EventKind::Released { delivery_id, refused, verdicts, judged, envelope_digest, .. } => json!({
            "delivery_id": delivery_id.to_string(), "refused": refused.map(|r| r.code()),
            "verdicts": verdicts_json(*verdicts), "judged": judged_json(judged),
            "envelope_digest": envelope_digest.to_string(),
        }),
        EventKind::Exported { delivery_id, agency } | EventKind::Viewed { delivery_id, agency } => json!({
            "delivery_id": delivery_id.to_string(), "agency": agency.as_ref().map(|a| a.as_str()),
        }),
        EventKind::PaperDeclared(d) => json!({
            "agency": d.agency.as_str(), "agency_code": d.agency_code, "month": d.month.to_string(),
            "complete": d.complete,
        }),
        EventKind::PeriodClosed(c) => json!({
            "period": c.period.to_string(), "snapshot": c.snapshot.to_string(),
            "snapshot_size": c.snapshot_size,
            "totals": c.totals.iter().map(|t| json!({
                "key": t.key, "deliveries": counts_json(&t.deliveries), "documents": counts_json(&t.documents),
            })).collect::<Vec<_>>(),
        }),
        EventKind::StatementMade(m) => json!({
            "period": m.period.to_string(), "statement": m.statement.to_string(),
            "statement_size": m.statement_size, "size": m.size, "sent": m.sent, "received": m.received,
        }),
        EventKind::NetworkReported(r) => json!({
            "period": r.period.to_string(), "result": r.result.to_string(), "result_size": r.result_size,
            "complete": r.complete, "differences": r.differences,
            "nodes": r.nodes.iter().map(|n| {
                let stated = n.stated.as_ref();
                json!({
                    "node": n.node.as_str(), "reason": stated.err().map(|r| r.code()), "recomputed": n.recomputed,
                    "log": stated.ok().map(|(event, _)| &event.log),
                    "index": stated.ok().map(|(event, _)| event.index),
                    "statement": stated.ok().map(|(_, digest)| digest.to_string()),
                })
            }).collect::<Vec<_>>(),
        }),
        EventKind::CalendarSet(c) => json!({
            "holidays": c.holidays.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "workdays": c.workdays.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        EventKind::Started { version, unwitnessed } => {
            json!({"version": version, "unwitnessed": unwitnessed})
        }
        EventKind::Stopped { reason } => json!({"reason": reason}),
        EventKind::DirectoryAdopted { version, digest } => {
            json!({"version": version, "digest": digest.to_string()})
        }
        EventKind::Alarm { reason, peer, detail } => {
            json!({"reason": reason, "peer": peer, "detail": detail})
        }
        EventKind::Purged { delivery_id, messages, digests, rule } => json!({
            "delivery_id": delivery_id.to_string(), "messages": texts(messages), "digests": texts(digests),
            "rule": rule,
        }),
        EventKind::HoldPlaced { scope, reason } => json!({"scope": scope.to_string(), "reason": reason}),
        EventKind::HoldLifted { hold, scope, reason } => {
            json!({"hold": hold, "scope": scope.to_string(), "reason": reason})
        }
        EventKind::ConfigChanged(_)
        | EventKind::ClientChanged(_)
        | EventKind::KeyChanged(_)
        | EventKind::ConnectionsRefused(_)
        | EventKind::Extracted(_) => administration(kind),
        EventKind::GenerationOpened(o) => json!({
            "lost": o.lost, "kept": o.kept, "kept_root": o.kept_root.to_string(), "known": o.known,
            "known_root": o.known_root.to_string(), "told_by": o.told_by,
        }),
        EventKind::Recovered(r) => json!({
            "submitted": detail(&r.submitted), "submitted_at": r.submitted_at.to_string(),
            "origin": log_ref(&r.origin), "origin_proof": r.origin_proof.to_string(),
            "settled": detail(&r.settled),
        }),
        EventKind::SentAgain { delivery_id, peer, lost } => json!({
            "delivery_id": delivery_id.to_string(), "peer": peer.as_str(), "lost": log_ref(lost),
        }),
        EventKind::Returned { delivery_id, first } => json!({
            "delivery_id": delivery_id.to_string(), "receipt": log_ref(&first.receipt),
            "receipt_proof": first.proof.to_string(), "received_at": first.at.to_string(),
        }),
        EventKind::Unknown => json!({}),
    }
}

/// What a node recorded of itself.
fn administration(kind: &EventKind) -> Value {
    match kind {
        EventKind::ConfigChanged(c) => json!({
            "digest": c.digest.to_string(), "previous": c.previous.map(|d| d.to_string()), "changed": c.changed,
            "settings": c.settings.iter().map(|s| (s.name.clone(), hex::encode(s.value).into()))
                .collect::<serde_json::Map<String, Value>>(),
        }),
        EventKind::ClientChanged(c) => json!({
            "name": c.name, "identity": c.identity, "step": c.step.as_str(), "roles": c.rights.roles,
            "node_roles": c.rights.node_roles, "all_agencies": c.rights.all_agencies, "agencies": c.rights.agencies,
            "agency_count": c.rights.agency_count, "agencies_digest": c.rights.agencies_digest.to_string(),
        }),
        EventKind::KeyChanged(k) => {
            json!({"purpose": k.purpose.as_str(), "old": k.old, "new": k.new, "statement": k.statement})
        }
        EventKind::ConnectionsRefused(refused) => {
            let groups = refused.refusals.iter().map(|r| {
                let origins = r.origins.iter().map(|(o, n)| json!({"origin": o, "count": n}));
                json!({"listener": r.side.as_str(), "cause": r.cause.as_str(), "count": r.count,
                    "origins": origins.collect::<Vec<_>>()})
            });
            json!({"since": refused.since.to_string(), "refusals": groups.collect::<Vec<_>>()})
        }
        EventKind::Extracted(e) => json!({
            "what": e.extract.as_str(), "agency": e.agency.as_ref().map(|a| a.as_str()), "size": e.size,
            "filter": e.filter,
        }),
        _ => json!({}),
    }
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn judged_json(judged: &Judged) -> Value {
    let signatures: Vec<Value> = judged
        .signatures
        .iter()
        .map(|s| {
            json!({"role": s.role.as_str(), "verdict": s.verdict.as_str(), "reason": s.reason.map(|r| r.as_str()),
                "certificate": s.certificate.map(|c| c.to_string()),
                "proven_at": s.proven_at.map(|t| t.to_string())})
        })
        .collect();
    json!({"signatures": signatures, "evidence": texts(&judged.evidence)})
}

fn verdicts_json(v: RoleVerdicts) -> Value {
    json!({"person": v.person.as_str(), "agency": v.agency.as_str(), "reason": v.reason.map(|r| r.as_str())})
}

fn log_ref(r: &LogRef) -> Value {
    json!({"log": r.log, "index": r.index, "leaf_hash": r.leaf_hash.to_string()})
}

fn parties(p: &Parties) -> Value {
    json!({
        "sender": p.sender.as_str(), "sender_code": p.sender_code,
        "recipient": p.recipient.as_ref().map(|r| r.as_str()), "recipient_code": p.recipient_code,
        "sender_registered": p.sender_registered.as_str(),
        "recipient_registered": p.recipient_registered.as_ref().map(|r| r.as_str()),
        "scope": p.scope.as_str(), "direction": p.direction.map(|d| d.as_str()),
    })
}

fn item_json(item: &Item) -> Value {
    let subject = match &item.subject {
        Subject::Document(d) => json!({
            "kind": d.kind.as_str(), "number": d.key.number(), "notation": d.key.notation(), "year": d.key.year(),
            "document_digest": d.document_digest.to_string(), "type": d.type_name, "urgency": d.urgency.as_str(),
            "issued_on": d.issued_on.to_string(), "issued_at": d.issued_at.map(|t| t.to_string()),
            "replaces": d.replaces.as_ref().map(key_json),
        }),
        Subject::Notice(n) => json!({
            "kind": n.kind.as_str(), "target": n.target.to_string(), "message_number": n.message_number,
            "status": n.status.map(|s| s.to_string()), "out_of_order": n.out_of_order,
            "sent_at": n.sent_at.to_string(), "answers": n.answers.map(|id| id.to_string()),
            "after_end": n.after_end,
            "document": n.stated.as_ref().map(|s| key_json(&s.key)),
            "document_digest": n.stated.as_ref().map(|s| s.document_digest.to_string()),
            "statement_digest": n.stated.as_ref().map(|s| s.statement.to_string()),
        }),
    };
    json!({
        "delivery_id": item.delivery_id.to_string(), "envelope_digest": item.envelope_digest.to_string(),
        "attempt": item.attempt, "parties": parties(&item.parties), "subject": subject,
    })
}

fn key_json(key: &DocumentKey) -> Value {
    json!({"number": key.number(), "notation": key.notation(), "year": key.year()})
}

/// Sums by name.
pub(super) fn counts_json(counts: &crate::domain::ratio::Counters) -> Value {
    let named = crate::domain::ratio::Counters::NAMES.into_iter().zip(counts.values());
    Value::Object(named.map(|(name, n)| (name.to_owned(), json!(n))).collect())
}
