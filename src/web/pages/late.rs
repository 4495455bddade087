//! What will not arrive in time unless it goes soon: as the node says of its queues.

use maud::{Markup, html};

use crate::web::Site;
use crate::web::frame::grid;
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::web::words;
use crate::wire::pb;
use crate::wire::pb::audit_service_server::AuditService as _;

/// The list; `None` for visitors who may not see the node's queues.
pub(super) async fn soon(site: &Site, visitor: &Visitor) -> Option<Markup> {
    let status = site.audit.get_status(visitor.ask(pb::GetStatusRequest {})).await.ok()?.into_inner();
    Some(list(visitor.lang, &status))
}

/// The same of a state that is known.
pub(super) fn list(lang: Lang, status: &pb::GetStatusResponse) -> Markup {
    if status.due.is_empty() {
        return html! { p { (lang.pick(
            "Không có văn bản nào đang đợi mà hạn gửi kết thúc trong 24 giờ tới.",
            "Nothing that waits to be sent ends within the next 24 hours.",
        )) } };
    }
    let rows: Vec<Vec<Markup>> = status
        .due
        .iter()
        .map(|due| {
            let id = hex::encode(&due.delivery_id);
            let left = due.not_after - status.clock;
            vec![
                html! { a href=(format!("/documents/{id}")) { (due.sender) " → " (due.recipient) } },
                html! { (words::urgency(lang, due.urgency())) },
                html! { (lang.moment(due.submitted_at)) },
                html! { (lang.moment(due.not_after)) },
                html! { @if left > 0 { (lang.span(left)) } @else { strong { (lang.pick("đã hết hạn", "over")) } } },
                html! { (due.peer) },
                html! { code { (due.reason) } },
            ]
        })
        .collect();
    let head = [
        lang.pick("Văn bản", "Document"),
        lang.pick("Độ khẩn", "Urgency"),
        lang.pick("Gửi lúc", "Sent at"),
        lang.pick("Hạn", "Until"),
        lang.pick("Còn", "Left"),
        lang.pick("Nút nhận", "To node"),
        lang.pick("Lý do", "Why"),
    ]
    .map(|name| html! { (name) });
    let caption = lang.pick("Hạn gửi kết thúc trong 24 giờ tới", "Given up within the next 24 hours");
    grid(caption, &head, &[], &rows)
}
