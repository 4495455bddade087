//! Events of the log as lines for a person.

use maud::{Markup, html};
use tonic::Status;

use super::said;
use super::text::Lang;
use super::words;
use crate::domain::event::{Event, EventKind, Item, RoleVerdicts, Subject};
use crate::domain::fold::search;
use crate::ledger::must_be_checked;
use crate::rpc::refuse;
use crate::signature::Verdict;
use crate::wire::{leaf, pb};

/// What happened, in a few words.
pub(super) fn title(lang: Lang, kind: &EventKind) -> String {
    let name = words::event(lang, kind.name());
    match kind.item().map(|item| &item.subject) {
        Some(Subject::Notice(notice)) => match notice.status {
            Some(status) => format!("{name}: {}", words::status(lang, &status.to_string())),
            None => format!("{name}: {}", words::kind(lang, notice.kind)),
        },
        Some(Subject::Document(_)) | None => name.to_owned(),
    }
}

/// An event as it came from the log.
pub(super) fn read(entry: &pb::EventEntry) -> Result<(u64, Event), Status> {
    let event = leaf::decode(&entry.leaf).map_err(|error| {
        tracing::error!(%error, index = entry.index, "an event cannot be read");
        refuse(must_be_checked())
    })?;
    Ok((entry.index, event))
}

/// Who did it: the client, and the person where the client names one.
pub(super) fn who(event: &Event) -> String {
    match event.actor.user.as_str() {
        "" => event.actor.client.clone(),
        user => format!("{} ({user})", event.actor.client),
    }
}

/// What it is about: parties and document, verdicts, reasons.
pub(super) fn about(lang: Lang, kind: &EventKind) -> Markup {
    html! {
        @if let Some(item) = kind.item() { (parties(item)) " " }
        @match kind {
            EventKind::PaperEntered(p) => {
                (p.key) ": " (p.parties.sender) " → "
                (p.parties.recipient.as_ref().map_or(p.recipient_name.as_str(), |r| r.as_str()))
                @if p.withdrawn { " (" (lang.of(said::WITHDRAWN)) ")" }
                @else if p.corrects.is_some() { " (" (lang.of(said::CORRECTION)) ")" }
            }
            EventKind::Settled { outcome, .. } => { (words::state(lang, *outcome)) }
            EventKind::Received { held: true, .. } => strong { (lang.of(said::HELD)) },
            EventKind::Rerouted { peer, .. } => { "→ " (peer) }
            EventKind::PaperDeclared(d) => {
                (d.agency) ", " (lang.month(&d.month.to_string()))
                @if !d.complete { " (" (lang.of(said::TAKEN_BACK_2)) ")" }
            }
            EventKind::PeriodClosed(c) => { (lang.period(c.period)) }
            EventKind::StatementMade(s) => {
                (lang.period(s.period)) ", " (lang.of(said::SENT_BY_NODE)) " " (lang.number(s.sent)) ", "
                (lang.of(said::SENT_TO_NODE)) " " (lang.number(s.received))
            }
            EventKind::NetworkReported(n) => {
                (lang.period(n.period)) ", " (lang.of(said::DIFFERENCES)) " " (lang.number(n.differences))
                @if !n.complete { ", " strong { (lang.of(said::NOT_ALL_NODES)) } }
            }
            EventKind::SentAgain { peer, .. } => { "→ " (peer) }
            EventKind::Started { version, .. } => { (lang.of(said::VERSION_2)) " " (version) }
            EventKind::DirectoryAdopted { version, .. } => { (lang.of(said::VERSION_2)) " " (version) }
            EventKind::Alarm { peer, detail, .. } => { (peer) " " (detail) }
            EventKind::ConfigChanged(c) => { (c.changed.join(", ")) }
            EventKind::ClientChanged(c) => { (c.name) ": " (c.step) }
            EventKind::KeyChanged(k) => { (k.purpose) }
            EventKind::Extracted(e) => { (e.extract) " " (e.filter) }
            EventKind::HoldPlaced { scope, reason } | EventKind::HoldLifted { scope, reason, .. } => { (scope) ": " (reason) }
            EventKind::Purged { rule, .. } => { (rule) }
            EventKind::Exported { agency: Some(agency), .. } | EventKind::Viewed { agency: Some(agency), .. } => {
                (lang.of(said::FOR)) " " (agency)
            }
            _ => {}
        }
        @if let Some(verdicts) = search::verdicts_of(kind).filter(|v| *v != RoleVerdicts::ABSENT) {
            " " (signatures(lang, verdicts))
        }
        @for reason in search::reasons_of(kind) { " " code { (reason) } }
    }
}

fn parties(item: &Item) -> Markup {
    let to = item.parties.recipient.as_ref().map_or(item.parties.recipient_code.as_str(), |r| r.as_str());
    html! {
        @match &item.subject {
            Subject::Document(document) => { (document.key) ": " }
            Subject::Notice(notice) => @if let Some(stated) = &notice.stated { (stated.key) ": " },
        }
        (item.parties.sender) " → " (to)
    }
}

/// The verdicts of both roles.
pub(super) fn signatures(lang: Lang, verdicts: RoleVerdicts) -> Markup {
    let weak = |verdict| verdict != Verdict::Valid;
    html! {
        (lang.of(said::PERSONS_SIGNATURE)) ": "
        span .short[weak(verdicts.person)] { (words::verdict(lang, verdicts.person)) } "; "
        (lang.of(said::AGENCYS)) ": "
        span .short[weak(verdicts.agency)] { (words::verdict(lang, verdicts.agency)) }
    }
}
