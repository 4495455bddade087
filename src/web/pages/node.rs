//! *Node*: what it is, how it is, and what will need a hand.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use crate::web::Site;
use crate::web::frame::{facts, page as framed, table};
use crate::web::said;
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
        h2 { (lang.of(said::CERTIFICATES_DIRECTORY)) }
        (ends(lang, &status))
        h2 { (lang.of(said::DISK_MEMORY)) }
        (room(lang, &status))
        h2 { (lang.of(said::CLOCKS_NODES)) }
        (clocks(lang, &status))
    };
    framed(&visitor, "/node", &format!("{} {}", lang.of(said::NODE), status.node), &body).into_response()
}

fn about(lang: Lang, s: &pb::GetStatusResponse) -> Markup {
    let checkpoint = s.checkpoint.lines().nth(2).unwrap_or("-").to_owned();
    let stopping = s.draining.then_some(lang.of(said::STOPPING));
    facts(&[
        (lang.of(said::VERSION), s.version.clone(), stopping),
        (lang.of(said::RUNNING_SINCE), lang.moment(s.started_at), None),
        (lang.of(said::NODES_TIME), lang.moment(s.clock), None),
        (lang.of(said::EVENTS_LOG), lang.number(s.log_size), None),
        (lang.of(said::ROOT_LOG), checkpoint, None),
        (lang.of(said::HELD_DOCUMENTS), lang.number(s.held), None),
    ])
}

fn ends(lang: Lang, s: &pb::GetStatusResponse) -> Markup {
    let soon = |end: i64| match end - s.clock {
        i64::MIN..=0 => Some(lang.of(said::ENDED_2)),
        1..=SOON_MS => Some(lang.of(said::ENDS_SOON)),
        _ => None,
    };
    let until = |end: i64| format!("{} {}", lang.of(said::UNTIL_3), lang.moment(end));
    let version = format!("{}, {}", lang.number(s.directory_version), until(s.directory_valid_until));
    let mut rows = vec![(lang.of(said::DIRECTORY_VERSION_2), version, soon(s.directory_valid_until))];
    for c in &s.certificates {
        rows.push((lang.of(said::NODES_TLS_CERTIFICATE), until(c.not_after), soon(c.not_after)));
    }
    facts(&rows)
}

fn room(lang: Lang, s: &pb::GetStatusResponse) -> Markup {
    let pressure = match s.pressure.as_str() {
        "short" => Some(lang.of(said::SHORT_NO_NEW)),
        "critical" => Some(lang.of(said::CRITICAL_NOTHING_NEW)),
        _ => None,
    };
    facts(&[
        (lang.of(said::FREE_SPACE), lang.size(s.free_bytes), pressure),
        (lang.of(said::NO_NEW_DOCUMENTS), lang.size(s.reserve_bytes), None),
        (lang.of(said::NOTHING_NEW_BELOW), lang.size(s.critical_bytes), None),
        (lang.of(said::CONTENT_DOCUMENTS), lang.size(s.content_bytes), None),
        (lang.of(said::MEMORY), lang.size(s.memory_bytes), None),
        (lang.of(said::CONNECTIONS_CLIENTS), lang.number(s.client_connections.into()), None),
        (lang.of(said::CONNECTIONS_PEERS), lang.number(s.peer_connections.into()), None),
    ])
}

fn clocks(lang: Lang, s: &pb::GetStatusResponse) -> Markup {
    let seconds = |ms: i64| {
        let (sign, ms) = (if ms < 0 { "−" } else { "+" }, ms.unsigned_abs());
        format!("{sign}{}{}{:03} s", ms / 1000, lang.of(said::POINT), ms % 1000)
    };
    let rows: Vec<Vec<String>> = s
        .clocks
        .iter()
        .map(|c| {
            let off = if c.off { lang.of(said::OFF) } else { lang.of(said::GOOD_2) };
            vec![c.peer.clone(), seconds(c.offset_ms), lang.moment(c.at), off.to_owned()]
        })
        .collect();
    let own = s.own_clock_off.then(|| seconds(s.own_clock_offset_ms));
    html! {
        @if let Some(own) = own {
            p.warn { strong { (lang.of(said::MOST_NODES_AGREE)) } " " (own) }
        }
        @if rows.is_empty() {
            p { (lang.of(said::COMPARED_WITH_NO)) }
        } @else {
            (table(
                lang.of(said::DIFFERENCE_FROM_THIS),
                &[
                    (lang.of(said::NODE), false),
                    (lang.of(said::DIFFERENCE), true),
                    (lang.of(said::COMPARED_AT), false),
                    (lang.of(said::STATE_2), false),
                ],
                &rows,
            ))
        }
    }
}
