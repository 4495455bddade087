//! *Exchange*: what waits for whom and why, and what was refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use crate::domain::document::Urgency;
use crate::web::Site;
use crate::web::frame::{page as framed, table};
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::web::words;
use crate::wire::pb;
use crate::wire::pb::audit_service_server::AuditService as _;

/// The page.
pub(super) async fn page(State(site): State<Arc<Site>>, Extension(visitor): Extension<Visitor>) -> Response {
    let status = match site.audit.get_status(visitor.ask(pb::GetStatusRequest {})).await {
        Ok(status) => status.into_inner(),
        Err(status) => return visitor.trouble(&status).into_response(),
    };
    let lang = visitor.lang;
    let body = html! {
        h2 { (lang.pick("Hàng đợi theo nút", "Queues by node")) }
        (queues(lang, &status))
        h2 { (lang.pick("Từ chối từ khi chạy, theo lý do", "Refusals since the start, by reason")) }
        (refusals(lang, &site))
    };
    framed(&visitor, "/exchange", lang.pick("Giao nhận", "Exchange"), &body).into_response()
}

fn queues(lang: Lang, s: &pb::GetStatusResponse) -> Markup {
    if s.queues.is_empty() {
        return html! { p { (lang.pick("Chưa gửi cho nút nào.", "Nothing was sent to any node yet.")) } };
    }
    let mut columns = vec![(lang.pick("Nút", "Node"), false), (lang.pick("Đang đợi", "Waiting"), true)];
    columns.extend(Urgency::ALL.iter().map(|u| (words::urgency_of(lang, *u), true)));
    columns.extend([
        (lang.pick("Đang gửi", "In flight"), true),
        (lang.pick("Đợi lâu nhất", "Oldest"), false),
        (lang.pick("Đường truyền", "Way"), false),
        (lang.pick("Thử lại", "Next try"), false),
        (lang.pick("Vì sao", "Why"), false),
    ]);
    let rows: Vec<Vec<String>> = s
        .queues
        .iter()
        .map(|q| {
            let mut row = vec![q.peer.clone(), lang.number(q.waiting)];
            let of = |i: usize| q.waiting_by_urgency.get(i).copied().unwrap_or_default();
            row.extend((0..Urgency::ALL.len()).map(|i| lang.number(of(i))));
            let way = match q.breaker.as_str() {
                "open" => lang.pick("NGẮT", "OPEN: nothing is sent"),
                "half-open" => lang.pick("đang thử", "being probed"),
                _ if q.calls_in => lang.pick("nút kia gọi đến", "it calls here"),
                _ => lang.pick("thông", "good"),
            };
            let next = q.next_probe.max(q.next_try);
            row.extend([
                lang.number(q.in_flight),
                if q.oldest == 0 { "-".to_owned() } else { lang.span(s.clock - q.oldest) },
                way.to_owned(),
                if next > s.clock { lang.span(next - s.clock) } else { "-".to_owned() },
                if q.last_error.is_empty() { q.oldest_reason.clone() } else { q.last_error.clone() },
            ]);
            row
        })
        .collect();
    table(
        lang.pick("Văn bản và trạng thái đang đợi gửi", "Documents and statuses that wait to be sent"),
        &columns,
        &rows,
    )
}

fn refusals(lang: Lang, site: &Site) -> Markup {
    let mut counts: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for (i, quotas) in site.quotas.iter().enumerate() {
        for (reason, count) in quotas.counters().1 {
            counts.entry(reason.to_string()).or_default()[i] += count;
        }
    }
    if counts.is_empty() {
        return html! { p { (lang.pick("Chưa từ chối lần nào.", "Nothing was refused yet.")) } };
    }
    let rows: Vec<Vec<String>> = counts
        .into_iter()
        .map(|(reason, [clients, peers])| vec![reason, lang.number(clients), lang.number(peers)])
        .collect();
    let columns = [
        (lang.pick("Lý do", "Reason"), false),
        (lang.pick("Với hệ thống của cơ quan", "To clients"), true),
        (lang.pick("Với nút khác", "To peers"), true),
    ];
    table(lang.pick("Số lần từ chối", "Number of refusals"), &columns, &rows)
}
