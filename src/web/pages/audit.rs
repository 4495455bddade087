//! *Audit*: the log with filters, the newest first; its checkpoint, who cosigned it, and the last check. One event with
//! its proof.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use tonic::Status;

use crate::domain::event::{Event, EventKind};
use crate::domain::ids::DeliveryId;
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::merkle::leaf_hash;
use crate::rpc::refuse;
use crate::web::Site;
use crate::web::events;
use crate::web::forms;
use crate::web::frame::{facts, grid, page as framed, table};
use crate::web::said;
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::web::words;
use crate::wire::pb;
use crate::wire::pb::audit_service_server::AuditService as _;

/// Events of a page.
const LISTED: u32 = 50;

/// What is looked for.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    agency: String,
    #[serde(default)]
    counterpart: String,
    #[serde(default)]
    number: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    delivery: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    token: String,
}

/// The log.
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
    let found = site.audit.list_events(visitor.ask(request(&wanted)?)).await?.into_inner();
    let head = site.audit.get_checkpoint(visitor.ask(pb::GetCheckpointRequest {})).await?.into_inner();
    let status = site.audit.get_status(visitor.ask(pb::GetStatusRequest {})).await.ok();
    let events: Vec<(u64, Event)> = found.events.iter().map(events::read).collect::<Result<_, _>>()?;
    let body = html! {
        (form(lang, &wanted))
        @if events.is_empty() {
            p { @if found.next_token.is_empty() {
                (lang.of(said::THERE_NO_SUCH))
            } @else {
                (lang.of(said::NONE_THIS_PART))
            } }
        } @else {
            (list(lang, &events))
        }
        @if !found.next_token.is_empty() {
            p { a rel="next" href=(address(&wanted, &found.next_token)) { (lang.of(said::NEXT_PAGE)) " ›" } }
        }
        h2 { (lang.of(said::LOGS_CHECKPOINT)) }
        (checkpoint(lang, &head))
        @if let Some(status) = status.map(tonic::Response::into_inner) {
            h2 { (lang.of(said::COSIGNED_BY_OTHER)) }
            (cosigners(lang, &status))
            h2 { (lang.of(said::NODES_LAST_CHECK)) }
            (checked(lang, &status))
        }
    };
    Ok(framed(visitor, "/audit", lang.of(said::AUDIT), &body))
}

fn request(wanted: &Wanted) -> Result<pb::ListEventsRequest, Status> {
    let w = wanted;
    let verdict = match w.verdict.as_str() {
        "valid" => pb::Verdict::Valid,
        "invalid" => pb::Verdict::Invalid,
        "indeterminate" => pb::Verdict::Indeterminate,
        "absent" => pb::Verdict::Absent,
        _ => pb::Verdict::Unspecified,
    };
    let delivery_id = match w.delivery.trim() {
        "" => bytes::Bytes::new(),
        id => id.parse::<DeliveryId>().map(|id| crate::wire::words::id(&id)).map_err(|_| {
            let shown = crate::domain::ids::shorten(id);
            let what = format!("`{shown}` is no delivery: 64 hexadecimal digits");
            refuse(Rejection::new(Reason::UnknownDelivery, "delivery", what))
        })?,
    };
    Ok(pb::ListEventsRequest {
        backwards: true,
        page: Some(pb::Page { size: LISTED, token: w.token.clone() }),
        kind: w.kind.clone(),
        agency: w.agency.trim().to_owned(),
        counterpart: w.counterpart.trim().to_owned(),
        number: w.number.trim().to_owned(),
        reason: w.reason.trim().to_owned(),
        client: w.client.trim().to_owned(),
        user: w.user.trim().to_owned(),
        verdict: verdict.into(),
        delivery_id,
        since: forms::day_ms("from", &w.from).map_err(refuse)?.map_or(0, |(first, _)| first),
        until: forms::day_ms("to", &w.to).map_err(refuse)?.map_or(0, |(_, last)| last),
        ..pb::ListEventsRequest::default()
    })
}

fn address(wanted: &Wanted, token: &str) -> String {
    let w = wanted;
    let query = forms::query(&[
        ("kind", &w.kind),
        ("agency", &w.agency),
        ("counterpart", &w.counterpart),
        ("number", &w.number),
        ("reason", &w.reason),
        ("client", &w.client),
        ("user", &w.user),
        ("verdict", &w.verdict),
        ("delivery", &w.delivery),
        ("from", &w.from),
        ("to", &w.to),
        ("token", token),
    ]);
    format!("/audit?{query}")
}

fn form(lang: Lang, wanted: &Wanted) -> Markup {
    let mut kinds = vec![("", lang.of(said::ANY))];
    kinds.extend(EventKind::NAMES.iter().map(|name| (*name, words::event(lang, name))));
    let verdicts = [
        ("", lang.of(said::ANY_2)),
        ("valid", lang.of(said::VALID)),
        ("invalid", lang.of(said::INVALID)),
        ("indeterminate", lang.of(said::INDETERMINATE)),
        ("absent", lang.of(said::ABSENT)),
    ];
    html! {
        form.fields method="get" action="/audit" role="search" {
            (forms::choice(lang.of(said::EVENT), "kind", &wanted.kind, &kinds))
            (forms::text(lang.of(said::AGENCY_CODE), "agency", &wanted.agency, limits::AGENCY_CODE_CHARS))
            (forms::text(lang.of(said::OTHER_SIDES_CODE), "counterpart", &wanted.counterpart, limits::AGENCY_CODE_CHARS))
            (forms::text(lang.of(said::DOCUMENT_NUMBER), "number", &wanted.number, limits::NUMBER_CHARS))
            (forms::text(lang.of(said::REASON_CODE), "reason", &wanted.reason, limits::REASON_CODE_CHARS))
            (forms::choice(lang.of(said::SIGNATURES), "verdict", &wanted.verdict, &verdicts))
            (forms::text(lang.of(said::CLIENT), "client", &wanted.client, limits::CLIENT_NAME_CHARS))
            (forms::text(lang.of(said::USER), "user", &wanted.user, limits::USER_CHARS))
            (forms::text(lang.of(said::DELIVERY), "delivery", &wanted.delivery, 64))
            (forms::day(lang.of(said::FROM_2), "from", &wanted.from))
            (forms::day(lang.of(said::UNTIL), "to", &wanted.to))
            div { button.main { (lang.of(said::FILTER)) } }
        }
    }
}

fn list(lang: Lang, events: &[(u64, Event)]) -> Markup {
    let line = |(index, event): &(u64, Event)| {
        vec![
            html! { a href=(format!("/audit/{index}")) { (lang.number(*index)) } },
            html! { (lang.moment(event.at.millis())) },
            html! { (events::title(lang, &event.kind)) },
            html! { (events::about(lang, &event.kind)) },
            html! { (events::who(event)) },
            html! { @if let Some(id) = event.kind.delivery_id() {
                a href=(format!("/documents/{id}")) { code { (&id.to_string()[..12]) } }
            } },
        ]
    };
    let rows: Vec<Vec<Markup>> = events.iter().map(line).collect();
    let head = [
        lang.of(said::INDEX),
        lang.of(said::AT),
        lang.of(said::EVENT),
        lang.of(said::ABOUT),
        lang.of(said::BY),
        lang.of(said::DELIVERY_2),
    ]
    .map(|name| html! { (name) });
    grid(lang.of(said::NEWEST_FIRST), &head, &[], &rows)
}

fn checkpoint(lang: Lang, head: &pb::GetCheckpointResponse) -> Markup {
    html! {
        pre tabindex="0" aria-label=(lang.of(said::SIGNED_CHECKPOINT)) { (head.checkpoint) }
        p { (lang.of(said::VERIFIER_KEY)) ": " code { (head.verifier_key) } }
    }
}

fn cosigners(lang: Lang, status: &pb::GetStatusResponse) -> Markup {
    if status.cosigners.is_empty() {
        return html! { p { (lang.of(said::NO_OTHER_NODE)) } };
    }
    let line = |c: &pb::Cosigner| vec![c.node.clone(), lang.number(c.size), lang.moment(c.at)];
    let rows: Vec<Vec<String>> = status.cosigners.iter().map(line).collect();
    let columns = [(lang.of(said::NODE), false), (lang.of(said::EVENTS), true), (lang.of(said::AT), false)];
    table(lang.of(said::EACH_NODES_NEWEST), &columns, &rows)
}

fn checked(lang: Lang, status: &pb::GetStatusResponse) -> Markup {
    let Some(check) = &status.self_check else {
        return html! { p { (lang.of(said::NONE_SINCE_NODE)) } };
    };
    let wrong = (check.findings > 0).then_some(lang.of(said::WRONG));
    facts(&[
        (lang.of(said::ENDED_AT), lang.moment(check.at), None),
        (lang.of(said::EVENTS_CHECKED), lang.number(check.events), None),
        (lang.of(said::FINDINGS), lang.number(check.findings), wrong),
        (lang.of(said::TOOK), lang.span(check.took_ms as i64), None),
    ])
}

/// One event.
pub(super) async fn event(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(index): Path<u64>,
) -> Response {
    match one(&site, &visitor, index).await {
        Ok(page) => page.into_response(),
        Err(status) => visitor.trouble(&status).into_response(),
    }
}

async fn one(site: &Site, visitor: &Visitor, index: u64) -> Result<Markup, Status> {
    let lang = visitor.lang;
    let entry = site.audit.get_event(visitor.ask(pb::GetEventRequest { index })).await?.into_inner();
    let proof = site.audit.prove_event(visitor.ask(pb::ProveEventRequest { index })).await?.into_inner();
    let (_, event) = events::read(&entry)?;
    let expired = event.directory_expired.then_some(lang.of(said::EXPIRED));
    let body = html! {
        p { (events::about(lang, &event.kind)) }
        (facts(&[
            (lang.of(said::AT), lang.moment(event.at.millis()), None),
            (lang.of(said::BY), events::who(&event), None),
            (lang.of(said::KIND), event.kind.name().to_owned(), None),
            (lang.of(said::DIRECTORY_VERSION), lang.number(event.directory_version), expired),
            (lang.of(said::SIZE), lang.size(entry.leaf.len() as u64), None),
            (lang.of(said::LEAF_HASH), leaf_hash(&entry.leaf).to_string(), None),
        ]))
        @if let Some(id) = event.kind.delivery_id() {
            p { a href=(format!("/documents/{id}")) { (lang.of(said::WAY_THIS_DELIVERY)) } }
        }
        h2 { (lang.of(said::PROOF_LOG)) }
        p { (lang.of(said::LEAFS_HASH_HASHED)) }
        pre tabindex="0" aria-label=(lang.of(said::HASHES_PROOF)) {
            @for hash in &proof.path { (hex::encode(hash)) "\n" }
        }
        pre tabindex="0" aria-label=(lang.of(said::SIGNED_CHECKPOINT)) { (proof.checkpoint) }
        p {
            @if let Some(before) = index.checked_sub(1) {
                a rel="prev" href=(format!("/audit/{before}")) { "‹ " (lang.number(before)) } " "
            }
            a rel="next" href=(format!("/audit/{}", index + 1)) { (lang.number(index + 1)) " ›" }
        }
    };
    let title =
        format!("{} {}: {}", lang.of(said::EVENT), lang.number(index), events::title(lang, &event.kind));
    Ok(framed(visitor, "/audit", &title, &body))
}
