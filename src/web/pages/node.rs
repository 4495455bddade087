//! *Node*: what it is, how it is, and what will need a hand.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use crate::web::Site;
use crate::web::frame::{facts, page as framed, table};
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::wire::pb;
use crate::wire::pb::audit_service_server::AuditService as _;

/// Thirty days, in milliseconds: what ends sooner is warned of.
const SOON_MS: i64 = 30 * 86_400_000;

/// The page.
pub(super) async fn page(State(site): State<Arc<Site>>, Extension(visitor): Extension<Visitor>) -> Response {
    let status = match site.audit.get_status(visitor.ask(pb::GetStatusRequest {})).await {
        Ok(status) => status.into_inner(),
        Err(status) => return visitor.trouble(&status).into_response(),
    };
    let lang = visitor.lang;
    let body = html! {
        (about(lang, &status))
        h2 { (lang.pick("Chứng thư và danh bạ", "Certificates and directory")) }
        (ends(lang, &status))
        h2 { (lang.pick("Đĩa và bộ nhớ", "Disk and memory")) }
        (room(lang, &status))
        h2 { (lang.pick("Đồng hồ của các nút", "Clocks of the nodes")) }
        (clocks(lang, &status))
    };
    framed(&visitor, "/node", &format!("{} {}", lang.pick("Nút", "Node"), status.node), &body).into_response()
}

fn about(lang: Lang, s: &pb::GetStatusResponse) -> Markup {
    let checkpoint = s.checkpoint.lines().nth(2).unwrap_or("-").to_owned();
    let stopping = s.draining.then_some(lang.pick("ĐANG DỪNG", "STOPPING"));
    facts(&[
        (lang.pick("Phiên bản", "Version"), s.version.clone(), stopping),
        (lang.pick("Chạy từ", "Running since"), lang.moment(s.started_at), None),
        (lang.pick("Giờ của nút", "The node's time"), lang.moment(s.clock), None),
        (lang.pick("Sự kiện trong nhật ký", "Events in the log"), lang.number(s.log_size), None),
        (lang.pick("Gốc của nhật ký", "Root of the log"), checkpoint, None),
        (lang.pick("Văn bản tạm giữ", "Held documents"), lang.number(s.held), None),
    ])
}

fn ends(lang: Lang, s: &pb::GetStatusResponse) -> Markup {
    let soon = |end: i64| match end - s.clock {
        i64::MIN..=0 => Some(lang.pick("ĐÃ HẾT HẠN", "ENDED")),
        1..=SOON_MS => Some(lang.pick("sắp hết hạn", "ends soon")),
        _ => None,
    };
    let until = |end: i64| format!("{} {}", lang.pick("đến", "until"), lang.moment(end));
    let version = format!("{}, {}", lang.number(s.directory_version), until(s.directory_valid_until));
    let mut rows =
        vec![(lang.pick("Danh bạ, phiên bản", "Directory, version"), version, soon(s.directory_valid_until))];
    for c in &s.certificates {
        rows.push((
            lang.pick("Chứng thư TLS của nút", "The node's TLS certificate"),
            until(c.not_after),
            soon(c.not_after),
        ));
    }
    facts(&rows)
}

fn room(lang: Lang, s: &pb::GetStatusResponse) -> Markup {
    let pressure = match s.pressure.as_str() {
        "short" => Some(lang.pick("THIẾU CHỖ: không nhận văn bản mới", "SHORT: no new documents are taken")),
        "critical" => Some(lang.pick("CẠN CHỖ: không bắt đầu việc mới", "CRITICAL: nothing new is begun")),
        _ => None,
    };
    facts(&[
        (lang.pick("Chỗ trống", "Free space"), lang.size(s.free_bytes), pressure),
        (
            lang.pick("Ngừng nhận văn bản mới khi dưới", "No new documents below"),
            lang.size(s.reserve_bytes),
            None,
        ),
        (lang.pick("Ngừng mọi việc mới khi dưới", "Nothing new below"), lang.size(s.critical_bytes), None),
        (lang.pick("Nội dung văn bản", "Content of documents"), lang.size(s.content_bytes), None),
        (lang.pick("Bộ nhớ", "Memory"), lang.size(s.memory_bytes), None),
        (
            lang.pick("Kết nối của hệ thống", "Connections of clients"),
            lang.number(s.client_connections.into()),
            None,
        ),
        (
            lang.pick("Kết nối của nút khác", "Connections of peers"),
            lang.number(s.peer_connections.into()),
            None,
        ),
    ])
}

fn clocks(lang: Lang, s: &pb::GetStatusResponse) -> Markup {
    let seconds = |ms: i64| {
        let (sign, ms) = (if ms < 0 { "−" } else { "+" }, ms.unsigned_abs());
        format!("{sign}{}{}{:03} s", ms / 1000, lang.pick(",", "."), ms % 1000)
    };
    let rows: Vec<Vec<String>> = s
        .clocks
        .iter()
        .map(|c| {
            let off = if c.off { lang.pick("LỆCH", "OFF") } else { lang.pick("tốt", "good") };
            vec![c.peer.clone(), seconds(c.offset_ms), lang.moment(c.at), off.to_owned()]
        })
        .collect();
    let own = s.own_clock_off.then(|| seconds(s.own_clock_offset_ms));
    html! {
        @if let Some(own) = own {
            p.warn { strong { (lang.pick(
                "Phần lớn các nút cho rằng đồng hồ của chính nút này lệch:",
                "Most nodes agree that this node's own clock is off:",
            )) } " " (own) }
        }
        @if rows.is_empty() {
            p { (lang.pick("Chưa so với nút nào.", "Compared with no node yet.")) }
        } @else {
            (table(
                lang.pick("Lệch so với nút này", "Difference from this node"),
                &[
                    (lang.pick("Nút", "Node"), false),
                    (lang.pick("Lệch", "Difference"), true),
                    (lang.pick("So lúc", "Compared at"), false),
                    (lang.pick("Đánh giá", "State"), false),
                ],
                &rows,
            ))
        }
    }
}
