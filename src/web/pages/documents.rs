//! *Documents*: found by direction, agency, number and date, the newest first.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use tonic::Status;

use crate::domain::event::{Event, EventKind, Item, Subject};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::rpc::exchange::token as token_of;
use crate::rpc::refuse;
use crate::signature::Verdict;
use crate::web::Site;
use crate::web::events;
use crate::web::forms;
use crate::web::frame::{grid, page as framed};
use crate::web::said;
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::web::words;
use crate::wire::pb;
use crate::wire::pb::audit_service_server::AuditService as _;

/// Documents of a page, and lists of events that are asked for one at most: statuses lie between documents.
const LISTED: usize = 50;
const TRIES: u32 = 8;
const EVENTS: u32 = 200;

/// What is looked for.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    way: String,
    #[serde(default)]
    agency: String,
    #[serde(default)]
    number: String,
    #[serde(default)]
    notation: String,
    #[serde(default)]
    year: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    token: String,
}

/// The page.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Query(wanted): Query<Wanted>,
) -> Response {
    visitor.answer(show(&site, &visitor, wanted).await)
}

async fn show(site: &Site, visitor: &Visitor, mut wanted: Wanted) -> Result<Markup, Status> {
    let lang = visitor.lang;
    visitor.name_agency(site, &mut wanted.agency);
    let (found, next) = find(site, visitor, &wanted).await?;
    let body = html! {
        (form(lang, &wanted))
        @if found.is_empty() {
            p { (lang.of(said::NO_DOCUMENT_WAS)) }
        } @else {
            (list(lang, &found))
        }
        @if !next.is_empty() {
            p { a rel="next" href=(address(&wanted, &next)) { (lang.of(said::NEXT_PAGE)) " ›" } }
        }
    };
    Ok(framed(visitor, "/documents", lang.of(said::DOCUMENTS), &body))
}

fn address(wanted: &Wanted, token: &str) -> String {
    let w = wanted;
    let query = forms::query(&[
        ("way", &w.way),
        ("agency", &w.agency),
        ("number", &w.number),
        ("notation", &w.notation),
        ("year", &w.year),
        ("from", &w.from),
        ("to", &w.to),
        ("token", token),
    ]);
    format!("/documents?{query}")
}

/// The events that recorded the documents, with where the next page begins.
async fn find(
    site: &Site,
    visitor: &Visitor,
    wanted: &Wanted,
) -> Result<(Vec<(u64, Event)>, String), Status> {
    let year = match wanted.year.as_str() {
        "" => 0,
        text => text.parse().map_err(|_| {
            let shown = crate::domain::ids::shorten(text);
            refuse(Rejection::new(Reason::InvalidDate, "year", format!("`{shown}` is no year")))
        })?,
    };
    let kind = match wanted.way.as_str() {
        "in" => "received",
        "refused" => "refused",
        _ => "submitted",
    };
    let mut found = Vec::new();
    let mut token = wanted.token.clone();
    for _ in 0..TRIES {
        let request = pb::ListEventsRequest {
            backwards: true,
            page: Some(pb::Page { size: EVENTS, token: token.clone() }),
            agency: wanted.agency.trim().to_owned(),
            kind: kind.to_owned(),
            since: forms::day_ms("from", &wanted.from).map_err(refuse)?.map_or(0, |(first, _)| first),
            until: forms::day_ms("to", &wanted.to).map_err(refuse)?.map_or(0, |(_, last)| last),
            number: wanted.number.trim().to_owned(),
            notation: wanted.notation.trim().to_owned(),
            year,
            ..pb::ListEventsRequest::default()
        };
        let page = site.audit.list_events(visitor.ask(request)).await?.into_inner();
        for entry in page.events {
            let (index, event) = events::read(&entry)?;
            if !event.kind.item().is_some_and(|item| matches!(item.subject, Subject::Document(_))) {
                continue;
            }
            if found.len() == LISTED {
                return Ok((found, token_of(Some(index))));
            }
            found.push((index, event));
        }
        token = page.next_token;
        if token.is_empty() {
            break;
        }
    }
    Ok((found, token))
}

fn form(lang: Lang, wanted: &Wanted) -> Markup {
    let ways = [
        ("", lang.of(said::SENT_2)),
        ("in", lang.of(said::RECEIVED)),
        ("refused", lang.of(said::REFUSED_ON_ARRIVAL)),
    ];
    html! {
        form.fields method="get" action="/documents" role="search" {
            (forms::choice(lang.of(said::REGISTER), "way", &wanted.way, &ways))
            (forms::text(lang.of(said::AGENCY_CODE), "agency", &wanted.agency, limits::AGENCY_CODE_CHARS))
            (forms::text(lang.of(said::NUMBER), "number", &wanted.number, limits::NUMBER_CHARS))
            (forms::text(lang.of(said::NOTATION), "notation", &wanted.notation, limits::NOTATION_CHARS))
            (forms::text(lang.of(said::YEAR), "year", &wanted.year, 4))
            (forms::day(lang.of(said::RECORDED_FROM), "from", &wanted.from))
            (forms::day(lang.of(said::UNTIL), "to", &wanted.to))
            div { button.main { (lang.of(said::SEARCH)) } }
        }
    }
}

fn list(lang: Lang, found: &[(u64, Event)]) -> Markup {
    let rows: Vec<Vec<Markup>> = found.iter().filter_map(|(_, event)| row(lang, event)).collect();
    let head = [
        lang.of(said::NUMBER_NOTATION),
        lang.of(said::ISSUED_ON),
        lang.of(said::TYPE),
        lang.of(said::FROM_3),
        lang.of(said::TO),
        lang.of(said::URGENCY),
        lang.of(said::SIGNATURES_PERSON_AGENCY),
        lang.of(said::RECORDED_AT),
    ]
    .map(|name| html! { (name) });
    grid(lang.of(said::NEWEST_FIRST), &head, &[], &rows)
}

fn row(lang: Lang, event: &Event) -> Option<Vec<Markup>> {
    let Item { subject: Subject::Document(document), parties, delivery_id, .. } = event.kind.item()? else {
        return None;
    };
    let verdicts = crate::domain::fold::search::verdicts_of(&event.kind)?;
    let verdict = |v: Verdict| html! { span .short[v != Verdict::Valid] { (words::verdict(lang, v)) } };
    let held = matches!(event.kind, EventKind::Received { held: true, .. });
    Some(vec![
        html! { a href=(format!("/documents/{delivery_id}")) { (document.key) } },
        html! { (lang.day(&document.issued_on.to_string())) },
        html! { (document.type_name) },
        html! { (parties.sender_code) },
        html! { (parties.recipient_code) },
        html! { (words::urgency_of(lang, document.urgency)) },
        html! { (verdict(verdicts.person)) " / " (verdict(verdicts.agency))
        @if held { " · " strong { (lang.of(said::HELD)) } } },
        html! { (lang.moment(event.at.millis())) },
    ])
}
