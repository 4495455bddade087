//! *Audit*: the log with filters, the newest first; its checkpoint, who cosigned it, and the last check. One event with
//! its proof.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use tonic::Status;

use crate::config::{NodeRole, Role};
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
    match show(&site, &visitor, wanted).await {
        Ok(page) => page.into_response(),
        Err(status) => visitor.trouble(&status).into_response(),
    }
}

async fn show(site: &Site, visitor: &Visitor, mut wanted: Wanted) -> Result<Markup, Status> {
    let lang = visitor.lang;
    if wanted.agency.is_empty() && !visitor.caller.has(NodeRole::Auditor) {
        let directory = site.exchange.directory();
        let own = visitor.caller.agencies(&site.exchange, &directory, Role::Auditor);
        wanted.agency = own.first().map(ToString::to_string).unwrap_or_default();
    }
    let found = site.audit.list_events(visitor.ask(request(&wanted)?)).await?.into_inner();
    let head = site.audit.get_checkpoint(visitor.ask(pb::GetCheckpointRequest {})).await?.into_inner();
    let status = site.audit.get_status(visitor.ask(pb::GetStatusRequest {})).await.ok();
    let events: Vec<(u64, Event)> = found.events.iter().map(events::read).collect::<Result<_, _>>()?;
    let body = html! {
        (form(lang, &wanted))
        @if events.is_empty() {
            p { @if found.next_token.is_empty() {
                (lang.pick("Không có sự kiện nào.", "There are no such events."))
            } @else {
                (lang.pick("Chưa thấy ở phần này của nhật ký; còn các phần trước.", "None in this part of the log; there are earlier parts."))
            } }
        } @else {
            (list(lang, &events))
        }
        @if !found.next_token.is_empty() {
            p { a rel="next" href=(address(&wanted, &found.next_token)) { (lang.pick("Trang sau", "Next page")) " ›" } }
        }
        h2 { (lang.pick("Điểm kiểm của nhật ký", "The log's checkpoint")) }
        (checkpoint(lang, &head))
        @if let Some(status) = status.map(tonic::Response::into_inner) {
            h2 { (lang.pick("Nút khác đồng ký", "Cosigned by other nodes")) }
            (cosigners(lang, &status))
            h2 { (lang.pick("Lần tự kiểm tra gần nhất", "The node's last check of itself")) }
            (checked(lang, &status))
        }
    };
    Ok(framed(visitor, "/audit", lang.pick("Kiểm tra", "Audit"), &body))
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
    let mut kinds = vec![("", lang.pick("mọi loại", "any"))];
    kinds.extend(EventKind::NAMES.iter().map(|name| (*name, words::event(lang, name))));
    let verdicts = [
        ("", lang.pick("bất kỳ", "any")),
        ("valid", lang.pick("hợp lệ", "valid")),
        ("invalid", lang.pick("không hợp lệ", "invalid")),
        ("indeterminate", lang.pick("chưa xác định", "indeterminate")),
        ("absent", lang.pick("không có", "absent")),
    ];
    html! {
        form.fields method="get" action="/audit" role="search" {
            (forms::choice(lang.pick("Sự kiện", "Event"), "kind", &wanted.kind, &kinds))
            (forms::text(lang.pick("Mã cơ quan", "Agency code"), "agency", &wanted.agency, limits::AGENCY_CODE_CHARS))
            (forms::text(lang.pick("Mã bên kia", "The other side's code"), "counterpart", &wanted.counterpart, limits::AGENCY_CODE_CHARS))
            (forms::text(lang.pick("Số văn bản", "Document number"), "number", &wanted.number, limits::NUMBER_CHARS))
            (forms::text(lang.pick("Mã lý do", "Reason code"), "reason", &wanted.reason, limits::REASON_CODE_CHARS))
            (forms::choice(lang.pick("Chữ ký số", "Signatures"), "verdict", &wanted.verdict, &verdicts))
            (forms::text(lang.pick("Hệ thống", "Client"), "client", &wanted.client, limits::CLIENT_NAME_CHARS))
            (forms::text(lang.pick("Người dùng", "User"), "user", &wanted.user, limits::USER_CHARS))
            (forms::text(lang.pick("Mã lượt gửi", "Delivery"), "delivery", &wanted.delivery, 64))
            (forms::day(lang.pick("Từ ngày", "From"), "from", &wanted.from))
            (forms::day(lang.pick("đến ngày", "until"), "to", &wanted.to))
            div { button.main { (lang.pick("Lọc", "Filter")) } }
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
        lang.pick("Thứ tự", "Index"),
        lang.pick("Lúc", "At"),
        lang.pick("Sự kiện", "Event"),
        lang.pick("Nội dung", "About"),
        lang.pick("Bởi", "By"),
        lang.pick("Lượt gửi", "Delivery"),
    ]
    .map(|name| html! { (name) });
    grid(lang.pick("Mới nhất trước", "The newest first"), &head, &[], &rows)
}

fn checkpoint(lang: Lang, head: &pb::GetCheckpointResponse) -> Markup {
    html! {
        pre tabindex="0" aria-label=(lang.pick("Điểm kiểm đã ký", "Signed checkpoint")) { (head.checkpoint) }
        p { (lang.pick("Khóa kiểm tra", "Verifier key")) ": " code { (head.verifier_key) } }
    }
}

fn cosigners(lang: Lang, status: &pb::GetStatusResponse) -> Markup {
    if status.cosigners.is_empty() {
        return html! { p { (lang.pick("Chưa có nút nào đồng ký.", "No other node has cosigned yet.")) } };
    }
    let line = |c: &pb::Cosigner| vec![c.node.clone(), lang.number(c.size), lang.moment(c.at)];
    let rows: Vec<Vec<String>> = status.cosigners.iter().map(line).collect();
    let columns = [
        (lang.pick("Nút", "Node"), false),
        (lang.pick("Đến sự kiện thứ", "Events"), true),
        (lang.pick("Lúc", "At"), false),
    ];
    table(lang.pick("Chữ ký mới nhất của từng nút", "Each node's newest signature"), &columns, &rows)
}

fn checked(lang: Lang, status: &pb::GetStatusResponse) -> Markup {
    let Some(check) = &status.self_check else {
        return html! { p { (lang.pick(
            "Chưa kiểm tra lần nào từ khi nút chạy.",
            "None since the node started.",
        )) } };
    };
    let wrong = (check.findings > 0).then_some(lang.pick("SAI LỆCH", "WRONG"));
    facts(&[
        (lang.pick("Kết thúc lúc", "Ended at"), lang.moment(check.at), None),
        (lang.pick("Số sự kiện đã kiểm", "Events checked"), lang.number(check.events), None),
        (lang.pick("Phát hiện", "Findings"), lang.number(check.findings), wrong),
        (lang.pick("Thời gian", "Took"), lang.span(check.took_ms as i64), None),
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
    let expired = event.directory_expired.then_some(lang.pick("ĐÃ HẾT HẠN", "EXPIRED"));
    let body = html! {
        p { (events::about(lang, &event.kind)) }
        (facts(&[
            (lang.pick("Lúc", "At"), lang.moment(event.at.millis()), None),
            (lang.pick("Bởi", "By"), events::who(&event), None),
            (lang.pick("Loại", "Kind"), event.kind.name().to_owned(), None),
            (lang.pick("Phiên bản danh bạ", "Directory version"), lang.number(event.directory_version), expired),
            (lang.pick("Kích thước", "Size"), lang.size(entry.leaf.len() as u64), None),
            (lang.pick("Mã băm của lá", "Leaf hash"), leaf_hash(&entry.leaf).to_string(), None),
        ]))
        @if let Some(id) = event.kind.delivery_id() {
            p { a href=(format!("/documents/{id}")) { (lang.pick("Đường đi của lượt gửi này", "The way of this delivery")) } }
        }
        h2 { (lang.pick("Bằng chứng có trong nhật ký", "Proof that it is in the log")) }
        p { (lang.pick(
            "Băm lá, rồi băm cùng từng mã dưới đây (RFC 9162), được gốc của điểm kiểm.",
            "The leaf's hash, hashed with each of these (RFC 9162), gives the checkpoint's root.",
        )) }
        pre tabindex="0" aria-label=(lang.pick("Các mã băm của bằng chứng", "Hashes of the proof")) {
            @for hash in &proof.path { (hex::encode(hash)) "\n" }
        }
        pre tabindex="0" aria-label=(lang.pick("Điểm kiểm đã ký", "Signed checkpoint")) { (proof.checkpoint) }
        p {
            @if let Some(before) = index.checked_sub(1) {
                a rel="prev" href=(format!("/audit/{before}")) { "‹ " (lang.number(before)) } " "
            }
            a rel="next" href=(format!("/audit/{}", index + 1)) { (lang.number(index + 1)) " ›" }
        }
    };
    let title = format!(
        "{} {}: {}",
        lang.pick("Sự kiện", "Event"),
        lang.number(index),
        events::title(lang, &event.kind)
    );
    Ok(framed(visitor, "/audit", &title, &body))
}
