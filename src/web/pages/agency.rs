//! One agency: what it sent and what it was sent, by month, and with whom.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use maud::{Markup, html};
use tonic::Status;

use super::overview::{drawn, every_ratio};
use crate::domain::ids::{self, AgencyId};
use crate::domain::ratio::{Month, Period};
use crate::domain::reason::{Reason, Rejection};
use crate::rpc::refuse;
use crate::web::Site;
use crate::web::choice::{Asked, Choice};
use crate::web::figures::{self, Rows, Whose, cell, covered, ratio};
use crate::web::frame::{facts, grid, page as framed};
use crate::web::said;
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::web::words;
use crate::wire::pb;

/// Months that are drawn, and counterparts that are listed.
const MONTHS: i32 = 12;
const COUNTERPARTS: usize = 50;

/// The page.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    visitor.answer(show(&site, &visitor, &id, &asked).await)
}

async fn show(site: &Site, visitor: &Visitor, id: &str, asked: &Asked) -> Result<Markup, Status> {
    let lang = visitor.lang;
    let directory = site.exchange.directory();
    let found = AgencyId::new(id).ok().and_then(|id| directory.agency(&id).cloned());
    let agency = found.ok_or_else(|| {
        let what = format!("no agency `{}` in the directory", ids::shorten(id));
        refuse(Rejection::new(Reason::UnknownAgency, "id", what))
    })?;
    let whose = Whose::of(site, visitor)?;
    whose.check(visitor, &agency.id)?;
    let today = site.exchange.ledger().now().date();
    let now = Month::of(today);
    let choice = asked.read(Some(Period::Month(now))).map_err(refuse)?;
    let id = agency.id.as_str();
    let of = |request: pb::GetRatiosRequest| pb::GetRatiosRequest { sender: id.to_owned(), ..request };
    let last = choice.period.map_or(now, |p| p.months().1);
    let first = Month::from_number(last.number() + 1 - MONTHS);
    let months = choice.between(&first.to_string(), &last.to_string(), &["month"]);
    let (all, months, to, incoming, from) = tokio::try_join!(
        figures::ask(site, visitor, of(choice.request(&[]))),
        figures::ask(site, visitor, of(months)),
        figures::ask(site, visitor, of(choice.request(&["recipient_registered"]))),
        arrived(site, visitor, id, choice, &[]),
        arrived(site, visitor, id, choice, &["sender_level"]),
    )?;
    let hosted = agency.was_hosted_lately(site.exchange.node(), today)
        || all.rows.iter().chain(&months.rows).chain(&incoming.rows).any(|row| row.deliveries > 0);
    let months = Rows::of(months.rows);
    let basis = figures::basis(lang, &all);
    let codes: Vec<&str> = agency.entry.codes.iter().map(|c| c.code.as_str()).collect();
    let parent = agency.entry.parent.clone().unwrap_or_default();
    let body = html! {
        (facts(&[
            (lang.of(said::CODES), codes.join(", "), None),
            (lang.of(said::LEVEL), words::level(lang, agency.level().as_str()).to_owned(), None),
            (lang.of(said::BELOW),
                if parent.is_empty() { "–".to_owned() } else { figures::agency_name(site, &parent) }, None),
            (lang.of(said::OF_NODE), agency.node(today).map_or_else(|| "–".to_owned(), ToString::to_string), None),
        ]))
        @if hosted {
        (choice.links(lang, &format!("/agencies/{id}"), now))
        h2 { (lang.of(said::WHAT_SENT)) }
        (every_ratio(lang, choice, &Rows::of(all.rows)))
        @let rows: Vec<_> = months.iter().filter_map(|(values, row)| Some((values.first()?, row))).collect();
        (drawn(lang, lang.of(said::WHAT_SENT_BY), &rows))
        h2 { (lang.of(said::WHOM)) }
        (counterparts(site, lang, choice, &whose, to.rows))
        h2 { (lang.of(said::WHAT_WAS_SENT)) }
        (arrivals(lang, &Rows::of(incoming.rows), &Rows::of(from.rows)))
        (basis)
        } @else {
            p.warn { (lang.of(said::FIGURES_ELSEWHERE)) }
        }
    };
    Ok(framed(visitor, "/agencies", &agency.entry.name, &body))
}

/// What arrived at an agency; counted in deliveries, whatever the basis.
async fn arrived(
    site: &Site,
    visitor: &Visitor,
    id: &str,
    choice: Choice,
    group_by: &[&str],
) -> Result<pb::GetRatiosResponse, Status> {
    let request = Choice { documents: false, ..choice }.request(group_by);
    let side = pb::FigureSide::Incoming.into();
    figures::ask(site, visitor, pb::GetRatiosRequest { recipient: id.to_owned(), side, ..request }).await
}

/// To whom, the most first.
fn counterparts(
    site: &Site,
    lang: Lang,
    choice: Choice,
    whose: &Whose,
    mut rows: Vec<pb::RatioRow>,
) -> Markup {
    rows.sort_by(|a, b| b.deliveries.cmp(&a.deliveries).then_with(|| a.key.cmp(&b.key)));
    let more = rows.len().saturating_sub(COUNTERPARTS);
    let line = |row: &pb::RatioRow| {
        let id = row.values.first().map_or("", String::as_str);
        let name = match id {
            "" => html! { (lang.of(said::RECIPIENTS_WITHOUT_CODE)) },
            id if AgencyId::new(id).is_ok_and(|id| !whose.has(&id)) => {
                html! { (figures::agency_name(site, id)) }
            }
            id => {
                html! { a href=(format!("/agencies/{id}?{}", choice.query())) { (figures::agency_name(site, id)) } }
            }
        };
        let named = ["fully_electronic", "dual", "paper_only", "undelivered", "pending"];
        let mut line = vec![name, html! { (lang.number(row.deliveries)) }];
        line.extend(named.map(|name| cell(lang, &ratio(Some(row), name))));
        line.push(covered(Some(row)).map_or_else(|| html! { "n/a" }, |c| cell(lang, &c)));
        line
    };
    let lines: Vec<Vec<Markup>> = rows.iter().take(COUNTERPARTS).map(line).collect();
    let head = [
        lang.of(said::RECIPIENT),
        lang.of(said::SENT),
        lang.of(said::FULLY_ELECTRONIC),
        lang.of(said::BOTH_WAYS),
        lang.of(said::PAPER_ONLY),
        lang.of(said::UNDELIVERED),
        lang.of(said::PENDING),
        lang.of(said::REGISTERS_COMPLETE),
    ]
    .map(|name| html! { (name) });
    html! {
        @if lines.is_empty() {
            p { (lang.of(said::NOTHING_WAS_SENT)) }
        } @else {
            (grid(
                lang.of(said::MOST_FIRST),
                &head,
                &[false, true, true, true, true, true, true, true],
                &lines,
            ))
            @if more > 0 { p { (lang.of(said::AND)) " " (lang.number(more as u64)) " "
                (lang.of(said::OTHER_RECIPIENTS)) } }
        }
    }
}

/// What arrived, by the sender's level; never added to what was sent.
fn arrivals(lang: Lang, all: &Rows, levels: &Rows) -> Markup {
    let named = ["any_electronic", "signed", "scanned", "acknowledged_same_day"];
    let line = |name: Markup, row: &pb::RatioRow| {
        let mut line = vec![name, html! { (lang.number(row.deliveries)) }];
        line.extend(named.map(|name| cell(lang, &ratio(Some(row), name))));
        line
    };
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    for (scope, vi, en) in [
        ("in_province", "Trong tỉnh", "In the province"),
        ("internal", "Nội bộ", "Internal"),
        ("outside", "Ngoài tỉnh", "Outside"),
    ] {
        rows.extend(all.get(&[scope]).map(|row| line(html! { (lang.pick(vi, en)) }, row)));
    }
    rows.extend(levels.iter().map(|(values, row)| {
        let level = values.first().map_or("", String::as_str);
        line(html! { "– " (lang.of(said::FROM_LEVEL)) " " (words::level(lang, level)) }, row)
    }));
    let head = [
        lang.of(said::FROM),
        lang.of(said::ARRIVED),
        lang.of(said::ANY_ELECTRONIC),
        lang.of(said::SIGNED_BY_BOTH),
        lang.of(said::SCANNED),
        lang.of(said::ACKNOWLEDGED_SAME_DAY),
    ]
    .map(|name| html! { (name) });
    let caption = lang.of(said::RECIPIENTS_SIDE_BY);
    grid(caption, &head, &[false, true, true, true, true, true], &rows)
}
