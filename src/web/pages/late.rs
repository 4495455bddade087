//! What will not arrive in time unless it goes soon: as the node says of its queues.

use maud::{Markup, html};

use crate::web::Site;
use crate::web::frame::grid;
use crate::web::said;
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
        return html! { p { (lang.of(said::NOTHING_WAITS_BE)) } };
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
                html! { @if left > 0 { (lang.span(left)) } @else { strong { (lang.of(said::OVER)) } } },
                html! { (due.peer) },
                html! { code { (due.reason) } },
            ]
        })
        .collect();
    let head = [
        lang.of(said::DOCUMENT),
        lang.of(said::URGENCY),
        lang.of(said::SENT_AT),
        lang.of(said::UNTIL_2),
        lang.of(said::LEFT),
        lang.of(said::NODE_2),
        lang.of(said::WHY_2),
    ]
    .map(|name| html! { (name) });
    let caption = lang.of(said::GIVEN_UP_WITHIN);
    grid(caption, &head, &[], &rows)
}
