//! *Exchange*: what waits for whom and why, what will be late, how long the newest took, and what was refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::{late, recent};
use crate::domain::document::Urgency;
use crate::web::Site;
use crate::web::frame::{page as framed, table};
use crate::web::said;
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
    let (times, refused) = tokio::join!(recent::times(&site, &visitor), recent::refused(&site, &visitor));
    let or_not =
        |part: Option<Markup>| part.unwrap_or_else(|| html! { p { (lang.of(said::ONLY_FOR_AUDITORS)) } });
    let body = html! {
        h2 { (lang.of(said::QUEUES_BY_NODE)) }
        (queues(lang, &status))
        h2 { (lang.of(said::SOON_TOO_LATE)) }
        (late::list(lang, &status))
        h2 { (lang.of(said::TIMES)) }
        (or_not(times))
        h2 { (lang.of(said::DOCUMENTS_REFUSED)) }
        (or_not(refused))
        h2 { (lang.of(said::CALLS_REFUSED)) }
        (refusals(lang, &site))
    };
    framed(&visitor, "/exchange", lang.of(said::EXCHANGE), &body).into_response()
}

fn queues(lang: Lang, s: &pb::GetStatusResponse) -> Markup {
    if s.queues.is_empty() {
        return html! { p { (lang.of(said::NOTHING_WAS_SENT_ANY)) } };
    }
    let mut columns = vec![(lang.of(said::NODE), false), (lang.of(said::WAITING), true)];
    columns.extend(Urgency::ALL.iter().map(|u| (words::urgency_of(lang, *u), true)));
    columns.extend([
        (lang.of(said::FLIGHT), true),
        (lang.of(said::OLDEST), false),
        (lang.of(said::WAY), false),
        (lang.of(said::NEXT_TRY), false),
        (lang.of(said::WHY), false),
    ]);
    let rows: Vec<Vec<String>> = s
        .queues
        .iter()
        .map(|q| {
            let mut row = vec![q.peer.clone(), lang.number(q.waiting)];
            let of = |i: usize| q.waiting_by_urgency.get(i).copied().unwrap_or_default();
            row.extend((0..Urgency::ALL.len()).map(|i| lang.number(of(i))));
            let way = match q.breaker.as_str() {
                "open" => lang.of(said::OPEN_NOTHING_SENT),
                "half-open" => lang.of(said::BEING_PROBED),
                _ if q.calls_in => lang.of(said::CALLS_HERE),
                _ => lang.of(said::GOOD),
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
    table(lang.of(said::DOCUMENTS_STATUSES_WAIT), &columns, &rows)
}

fn refusals(lang: Lang, site: &Site) -> Markup {
    let mut counts: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for (i, quotas) in site.quotas.iter().enumerate() {
        for (reason, count) in quotas.counters().1 {
            counts.entry(reason.to_string()).or_default()[i] += count;
        }
    }
    if counts.is_empty() {
        return html! { p { (lang.of(said::NOTHING_WAS_REFUSED)) } };
    }
    let rows: Vec<Vec<String>> = counts
        .into_iter()
        .map(|(reason, [clients, peers])| vec![reason, lang.number(clients), lang.number(peers)])
        .collect();
    let columns =
        [(lang.of(said::REASON), false), (lang.of(said::CLIENTS), true), (lang.of(said::PEERS), true)];
    table(lang.of(said::NUMBER_REFUSALS), &columns, &rows)
}
