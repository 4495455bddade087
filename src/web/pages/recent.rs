//! What the newest messages tell: how long they took, and why some were refused. Of a bounded number, read from the end of
//! the log: there is no fold of times.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::domain::event::EventKind;
use crate::web::Site;
use crate::web::events;
use crate::web::forms;
use crate::web::frame::grid;
use crate::web::pages::way;
use crate::web::said;
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::wire::pb;
use crate::wire::pb::audit_service_server::AuditService as _;
use crate::wire::pb::exchange_service_server::ExchangeService as _;

/// Documents whose times are told, and events that are looked at for them: answers to statuses lie between.
const TIMED: usize = 100;
const SETTLED: u32 = 500;
/// Refusals that are counted.
const REFUSED: u32 = 500;

/// Times in milliseconds, in order.
#[derive(Default)]
struct Times {
    delivered: Vec<i64>,
    acknowledged: Vec<i64>,
    /// Of them, refused with status 02.
    refused: u64,
}

/// Times to deliver and to acknowledge; `None` for visitors who may not read the log.
pub(super) async fn times(site: &Site, visitor: &Visitor) -> Option<Markup> {
    let mut times = Times::default();
    for entry in newest(site, visitor, "settled", SETTLED).await? {
        if times.delivered.len() == TIMED {
            break;
        }
        let Ok((_, event)) = events::read(&entry) else { continue };
        let Some(id) = event.kind.delivery_id() else { continue };
        let request = pb::TrackRequest { delivery_id: crate::wire::words::id(&id), document: None };
        let Ok(tracked) = site.documents.track(visitor.ask(request)).await else { continue };
        let Some(view) = tracked.into_inner().deliveries.into_iter().next() else { continue };
        let document = matches!(view.kind(), pb::Kind::New | pb::Kind::Replace);
        if document && view.state() == pb::DeliveryState::Delivered {
            times.delivered.push(view.settled_at - view.submitted_at);
            times.refused += u64::from(way::is_refused(&view));
            let first = view.statuses.iter().map(|status| status.at).min();
            times.acknowledged.extend(first.map(|at| (at - view.settled_at).max(0)));
        }
    }
    times.delivered.sort_unstable();
    times.acknowledged.sort_unstable();
    Some(shown(visitor.lang, &times))
}

async fn newest(site: &Site, visitor: &Visitor, kind: &str, size: u32) -> Option<Vec<pb::EventEntry>> {
    let request = pb::ListEventsRequest {
        backwards: true,
        kind: kind.to_owned(),
        page: Some(pb::Page { size, token: String::new() }),
        ..pb::ListEventsRequest::default()
    };
    let found = site.audit.list_events(visitor.ask(request)).await.ok()?;
    Some(found.into_inner().events)
}

fn shown(lang: Lang, times: &Times) -> Markup {
    if times.delivered.is_empty() {
        return html! { p { (lang.of(said::NOTHING_DELIVERED)) } };
    }
    let line = |name: &str, times: &[i64]| {
        let at = |percent: usize| {
            let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
            let time = times.get(place).map_or_else(|| "n/a".to_owned(), |ms| lang.duration(*ms));
            html! { (time) }
        };
        vec![html! { (name) }, html! { (lang.number(times.len() as u64)) }, at(50), at(90), at(100)]
    };
    let rows = [
        line(lang.of(said::SENT_TO_PROOF), &times.delivered),
        line(lang.of(said::PROOF_TO_FIRST_STATUS), &times.acknowledged),
    ];
    let head = [
        html! { (lang.of(said::STEP)) },
        html! { (lang.of(said::DOCUMENTS)) },
        html! { (lang.of(said::MEDIAN)) },
        html! { (lang.of(said::NINE_OF_TEN)) },
        html! { (lang.of(said::LONGEST)) },
    ];
    html! {
        (grid(lang.of(said::NEWEST_DOCUMENTS), &head, &[false, true, true, true, true], &rows))
        p { (lang.of(said::BY_RECIPIENTS)) ": " (lang.number(times.refused)) }
    }
}

/// Refusals by this node, by reason; `None` for visitors who may not read the log.
pub(super) async fn refused(site: &Site, visitor: &Visitor) -> Option<Markup> {
    let lang = visitor.lang;
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for entry in newest(site, visitor, "refused", REFUSED).await? {
        if let Ok((_, event)) = events::read(&entry)
            && let EventKind::Refused { reason, .. } = event.kind
        {
            *reasons.entry(reason.code().to_owned()).or_default() += 1;
        }
    }
    if reasons.is_empty() {
        return Some(html! { p { (lang.of(said::NOTHING_REFUSED)) } });
    }
    let line = |(reason, count): (&String, &u64)| {
        let query = forms::query(&[("kind", "refused"), ("reason", reason)]);
        vec![
            html! { a href=(format!("/audit?{query}")) { code { (reason) } } },
            html! { (lang.number(*count)) },
        ]
    };
    let rows: Vec<Vec<Markup>> = reasons.iter().map(line).collect();
    let head = [html! { (lang.of(said::REASON)) }, html! { (lang.of(said::NUMBER_REFUSALS)) }];
    Some(grid(lang.of(said::NEWEST_REFUSALS), &head, &[false, true], &rows))
}
