//! The way of one document to one recipient, in order of time: the events of its delivery where the visitor may read them,
//! the statuses of its recipient, what its sender asked about it later, what took it out of force, and what the paper
//! register has of the same document to the same recipient.

use maud::{Markup, html};
use tonic::{Code, Status};

use crate::domain::event::{Event, EventKind, Parties};
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::web::Site;
use crate::web::events;
use crate::web::said;
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::web::words as spoken;
use crate::wire::pb;
use crate::wire::pb::audit_service_server::AuditService as _;
use crate::wire::pb::exchange_service_server::ExchangeService as _;
use crate::wire::words;

/// Events of the delivery that are shown, and entries of the paper register that are looked at.
const EVENTS: u32 = 300;

/// The way of a delivery.
pub(super) struct Way {
    steps: Vec<Step>,
    /// The visitor may look at the events.
    log: bool,
    /// The log has more events of the delivery than are shown.
    more: bool,
}

/// One step of it.
struct Step {
    at: i64,
    /// The event of this node's log; of steps of the same moment, the earlier one goes first.
    index: u64,
    what: Markup,
    by: String,
}

/// The last status of the recipient that was in order: what it did with the document.
pub(super) fn answer(view: &pb::DeliveryView) -> Option<&pb::StatusView> {
    let by_recipient = |s: &&pb::StatusView| !s.out_of_order && s.status() != pb::Status::TakeBackRequested;
    view.statuses.iter().rev().find(by_recipient)
}

/// Whether the recipient refused it after it had arrived.
pub(super) fn is_refused(view: &pb::DeliveryView) -> bool {
    view.statuses.iter().any(|s| !s.out_of_order && s.status() == pb::Status::Refused)
}

/// The way, as far as the visitor may see it; people of an agency, on its behalf.
pub(super) async fn read(
    site: &Site,
    visitor: &Visitor,
    id: &DeliveryId,
    view: &pb::DeliveryView,
    agency: Option<&AgencyId>,
) -> Result<Way, Status> {
    let lang = visitor.lang;
    let mut way = Way { steps: Vec::new(), log: true, more: false };
    let request = pb::ListEventsRequest { delivery_id: words::id(id), ..pb::ListEventsRequest::default() };
    if let Some((events, more)) = listed(site, visitor, request, agency).await? {
        way.more = more;
        way.steps.extend(events.iter().map(|(index, event)| of_event(lang, *index, event)));
        let parties = events.iter().find_map(|(_, event)| event.kind.item()).map(|item| &item.parties);
        if let Some(parties) = parties.filter(|_| !view.number.is_empty()) {
            let request = pb::ListEventsRequest {
                kind: "paper_entered".to_owned(),
                number: view.number.clone(),
                notation: view.notation.clone(),
                year: view.year,
                ..pb::ListEventsRequest::default()
            };
            let entries = listed(site, visitor, request, agency).await?.unwrap_or_default().0;
            let same = |event: &Event| is_on_paper(event, parties);
            let same = entries.iter().filter(|(_, event)| same(event));
            way.steps.extend(same.map(|(index, event)| of_event(lang, *index, event)));
        }
    } else {
        way.log = false;
        way.steps.extend(milestones(lang, view));
        way.steps.extend(register(site, visitor, view).await);
    }
    way.steps.extend(view.statuses.iter().map(|status| of_status(lang, view, status)));
    way.steps.extend(of_sender(lang, view));
    way.steps.sort_by_key(|step| (step.at, step.index));
    Ok(way)
}

/// Events, and whether there are more; `None` for visitors who are no auditors.
async fn listed(
    site: &Site,
    visitor: &Visitor,
    request: pb::ListEventsRequest,
    agency: Option<&AgencyId>,
) -> Result<Option<(Vec<(u64, Event)>, bool)>, Status> {
    let request = pb::ListEventsRequest {
        page: Some(pb::Page { size: EVENTS, token: String::new() }),
        agency: agency.map_or_else(String::new, ToString::to_string),
        ..request
    };
    let found = match site.audit.list_events(visitor.ask(request)).await {
        Ok(found) => found.into_inner(),
        Err(status) if status.code() == Code::PermissionDenied => return Ok(None),
        Err(status) => return Err(status),
    };
    let events = found.events.iter().map(events::read).collect::<Result<_, _>>()?;
    Ok(Some((events, !found.next_token.is_empty())))
}

fn of_event(lang: Lang, index: u64, event: &Event) -> Step {
    let what = html! { strong { (events::title(lang, &event.kind)) } " " (events::about(lang, &event.kind)) };
    Step { at: event.at.millis(), index, what, by: events::who(event) }
}

/// Whether it is a dispatch on paper between the same two.
fn is_on_paper(event: &Event, parties: &Parties) -> bool {
    matches!(&event.kind, EventKind::PaperEntered(entry)
        if entry.parties.sender == parties.sender && entry.parties.recipient == parties.recipient)
}

/// What the delivery's record says, for visitors who may not read the log.
fn milestones(lang: Lang, view: &pb::DeliveryView) -> Vec<Step> {
    let step = |at, index, text: &str, by: &str| Step {
        at,
        index,
        what: html! { strong { (text) } },
        by: by.to_owned(),
    };
    let mut steps = Vec::new();
    if view.submitted_at > 0 {
        steps.push(step(
            view.submitted_at,
            view.submitted_index,
            spoken::event(lang, "submitted"),
            &view.sender,
        ));
    }
    if view.settled_at > 0 {
        let state = words::read_delivery_state(view.state).map_or("", |s| spoken::state(lang, s));
        let reason = if view.reason.is_empty() { String::new() } else { format!(" ({})", view.reason) };
        let text = format!("{}: {state}{reason}", lang.of(said::ANSWERED_BY_RECIPIENTS));
        steps.push(step(view.settled_at, view.settled_index, &text, &view.peer));
    }
    steps
}

/// What the paper register has of it, for visitors who keep it. Others are not told.
async fn register(site: &Site, visitor: &Visitor, view: &pb::DeliveryView) -> Vec<Step> {
    if view.number.is_empty() {
        return Vec::new();
    }
    let request = pb::ListPaperRequest {
        agency: view.sender.clone(),
        number: view.number.clone(),
        page: Some(pb::Page { size: EVENTS, token: String::new() }),
    };
    let Ok(listed) = site.documents.list_paper(visitor.ask(request)).await else { return Vec::new() };
    let year = format!("{:04}-", view.year);
    let step = |line: pb::PaperLine| {
        let entry = line.entry.filter(|entry| {
            entry.notation == view.notation
                && entry.recipient == view.recipient
                && entry.issued_on.starts_with(&year)
        })?;
        let what = html! {
            strong { (spoken::event(visitor.lang, "paper_entered")) }
            @if entry.withdraw { " (" (visitor.lang.of(said::WITHDRAWN)) ")" }
            @else if entry.corrects.is_some() { " (" (visitor.lang.of(said::CORRECTION)) ")" }
        };
        Some(Step { at: line.at, index: line.log_index, what, by: view.sender.clone() })
    };
    listed.into_inner().lines.into_iter().filter_map(step).collect()
}

/// A status: of the recipient, or the sender's 13.
fn of_status(lang: Lang, view: &pb::DeliveryView, status: &pb::StatusView) -> Step {
    let own = status.status() == pb::Status::TakeBackRequested;
    let by = if own { &view.sender } else { &view.recipient };
    let name = spoken::status(lang, &format!("{:02}", status.status));
    let what = html! {
        strong .short[status.status() == pb::Status::Refused] { (lang.of(said::STATUS)) " " (name) }
        @if status.out_of_order { " (" (lang.of(said::OUT_ORDER)) ")" }
    };
    Step { at: status.at, index: status.log_index, what, by: by.clone() }
}

/// What its sender asked about it, and what took it out of force.
fn of_sender(lang: Lang, view: &pb::DeliveryView) -> Vec<Step> {
    let listed = |ask: &&pb::AskView| view.statuses.iter().all(|s| s.log_index != ask.log_index);
    let asked = view.asked.iter().filter(listed).map(|ask| {
        let what = html! {
            strong { (spoken::ask(lang, ask.ask())) } ": "
            a href=(format!("/documents/{}", hex::encode(&ask.delivery_id))) {
                (spoken::ask_state(lang, ask.state()))
            }
        };
        Step { at: ask.at, index: ask.log_index, what, by: view.sender.clone() }
    });
    let mut steps: Vec<Step> = asked.collect();
    if let Some(end) = &view.ended {
        let what =
            html! { strong { (lang.of(said::NO_LONGER_FORCE)) } ": " (spoken::ended_by(lang, end.by())) };
        steps.push(Step { at: end.at, index: end.log_index, what, by: view.sender.clone() });
    }
    steps
}

/// As a list.
pub(super) fn list(lang: Lang, id: &DeliveryId, way: &Way) -> Markup {
    html! {
        ol.way {
            @for step in &way.steps {
                li {
                    time { (lang.moment(step.at)) }
                    (step.what) " "
                    span.note {
                        @if !step.by.is_empty() { (lang.of(said::BY_2)) " " (step.by) }
                        @if way.log {
                            @if !step.by.is_empty() { ", " }
                            a href=(format!("/audit/{}", step.index)) {
                                (lang.of(said::EVENT_2)) " " (lang.number(step.index))
                            }
                        }
                    }
                }
            }
        }
        @if way.more {
            p { a href=(format!("/audit?delivery={id}")) { (lang.of(said::MORE_EVENTS)) } }
        }
    }
}
