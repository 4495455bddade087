//! *Agencies*: one line for each, sorted as is asked, of one level or of all.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use tonic::Status;

use crate::domain::event::Level;
use crate::domain::ids::AgencyId;
use crate::domain::ratio::{Month, Period, Ratio};
use crate::rpc::refuse;
use crate::web::Site;
use crate::web::choice::{Asked, Choice};
use crate::web::figures::{self, MEASURES, Rows, Whose, cell, covered, ratio};
use crate::web::frame::page as framed;
use crate::web::said;
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::web::words;

/// What the table shows beside the period.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(super) struct Shown {
    #[serde(default)]
    sort: String,
    #[serde(default)]
    order: String,
    #[serde(default)]
    level: String,
}

/// A line.
struct Line {
    id: String,
    name: String,
    level: Option<Level>,
    deliveries: u64,
    ratios: Vec<Ratio>,
}

/// The columns with figures: their name in the address, Vietnamese, English.
const COLUMNS: [(&str, &str, &str); 8] = [
    ("deliveries", "Số gửi", "Sent"),
    ("in_province", "Trong tỉnh: hoàn toàn điện tử", "In province: fully electronic"),
    ("internal", "Nội bộ: song song", "Internal: both ways"),
    ("outside", "Ngoài tỉnh: có điện tử", "Outside: any electronic"),
    ("on_time", "Đúng hạn", "On time"),
    ("undelivered", "Không gửi được", "Undelivered"),
    ("pending", "Đang chờ", "Pending"),
    ("coverage", "Sổ giấy đủ", "Registers complete"),
];

const LEVELS: [Level; 5] =
    [Level::Central, Level::Province, Level::Department, Level::District, Level::Commune];

/// The page.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Query(asked): Query<Asked>,
    Query(shown): Query<Shown>,
) -> Response {
    visitor.answer(show(&site, &visitor, &asked, &shown).await)
}

async fn show(site: &Site, visitor: &Visitor, asked: &Asked, shown: &Shown) -> Result<Markup, Status> {
    let lang = visitor.lang;
    let now = Month::of(site.exchange.ledger().now().date());
    let whose = Whose::of(site, visitor)?;
    let choice = asked.read(Some(Period::Month(now))).map_err(refuse)?;
    let (whole, scopes) = tokio::try_join!(
        figures::ask(site, visitor, choice.request(&["sender_registered"])),
        figures::ask(site, visitor, choice.request(&["sender_registered", "scope"])),
    )?;
    let basis = figures::basis(lang, &whole);
    let mut lines = lines(site, &Rows::of(whole.rows), &Rows::of(scopes.rows));
    lines.retain(|line| shown.level.is_empty() || line.level.is_some_and(|l| l.as_str() == shown.level));
    let column = COLUMNS.iter().position(|(name, ..)| *name == shown.sort);
    sort(&mut lines, column, shown.order == "down");
    let body = html! {
        (choice.links(lang, "/agencies", now))
        (whose.note(lang))
        (levels(lang, choice, shown))
        @if lines.is_empty() {
            p { (lang.of(said::THERE_NO_FIGURES)) }
        } @else {
            (table(lang, choice, shown, &lines))
        }
        (basis)
    };
    Ok(framed(visitor, "/agencies", lang.of(said::AGENCIES), &body))
}

fn lines(site: &Site, whole: &Rows, scopes: &Rows) -> Vec<Line> {
    let directory = site.exchange.directory();
    let line = |(values, row): (&Vec<String>, &_)| {
        let id = values.first()?.clone();
        let agency = AgencyId::new(&id).ok().and_then(|id| directory.agency(&id).cloned());
        let measures = MEASURES.iter().map(|m| ratio(scopes.get(&[&id, m.scope]), m.ratio));
        let others = ["on_time", "undelivered", "pending"].map(|name| ratio(Some(row), name));
        let coverage = covered(Some(row)).unwrap_or(Ratio { name: "coverage", n: 0, d: 0 });
        Some(Line {
            name: agency.as_ref().map_or_else(|| id.clone(), |a| a.entry.name.clone()),
            level: agency.map(|a| a.level()),
            deliveries: row.deliveries,
            ratios: measures.chain(others).chain([coverage]).collect(),
            id,
        })
    };
    whole.iter().filter_map(line).collect()
}

/// By a column of figures, or by name. What has nothing to divide by comes last either way.
fn sort(lines: &mut [Line], column: Option<usize>, down: bool) {
    let by_name = |a: &Line, b: &Line| (a.level, &a.name, &a.id).cmp(&(b.level, &b.name, &b.id));
    let way = |order: Ordering| if down { order.reverse() } else { order };
    lines.sort_by(|a, b| match column {
        None => way(by_name(a, b)),
        Some(0) => way(a.deliveries.cmp(&b.deliveries)).then_with(|| by_name(a, b)),
        Some(column) => {
            let points = |line: &Line| line.ratios.get(column - 1).and_then(Ratio::basis_points);
            match (points(a), points(b)) {
                (Some(a), Some(b)) => way(a.cmp(&b)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            }
            .then_with(|| by_name(a, b))
        }
    });
}

fn levels(lang: Lang, choice: Choice, shown: &Shown) -> Markup {
    let to = |level: &str| {
        let level = if level.is_empty() { String::new() } else { format!("&level={level}") };
        format!("/agencies?{}{level}", choice.query())
    };
    let is = |level: &str| (shown.level == level).then_some("true");
    html! {
        nav.choice aria-label=(lang.of(said::LEVEL)) {
            span.group {
                a href=(to("")) aria-current=[is("")] { (lang.of(said::ALL_LEVELS)) }
                @for level in LEVELS.map(Level::as_str) {
                    a href=(to(level)) aria-current=[is(level)] { (words::level(lang, level)) }
                }
            }
        }
    }
}

/// The table. A heading sorts by its column; where it is sorted by that already, the other way round.
fn table(lang: Lang, choice: Choice, shown: &Shown, lines: &[Line]) -> Markup {
    let known = COLUMNS.iter().any(|(name, ..)| *name == shown.sort);
    let sorted = |name: &str| if known { shown.sort == name } else { name == "name" };
    let down = shown.order == "down";
    let heading = |name: &str, title: &str| {
        // Figures are first asked for from the highest down.
        let next = if sorted(name) && !down || !sorted(name) && name != "name" { "down" } else { "up" };
        let level = if shown.level.is_empty() { String::new() } else { format!("&level={}", shown.level) };
        let href = format!("/agencies?{}{level}&sort={name}&order={next}", choice.query());
        let way = if down { " ▼" } else { " ▲" };
        html! { a href=(href) { (title) } @if sorted(name) { span aria-hidden="true" { (way) } } }
    };
    let way = |name: &str| sorted(name).then_some(if down { "descending" } else { "ascending" });
    let caption = lang.of(said::SENDERS_SIDE_BY);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr {
                    th scope="col" aria-sort=[way("name")] { (heading("name", lang.of(said::AGENCY))) }
                    th scope="col" { (lang.of(said::LEVEL)) }
                    @for (name, vi, en) in COLUMNS {
                        th.n scope="col" aria-sort=[way(name)] { (heading(name, lang.pick(vi, en))) }
                    }
                } }
                tbody {
                    @for line in lines {
                        tr {
                            th scope="row" {
                                a href=(format!("/agencies/{}?{}", line.id, choice.query())) { (line.name) }
                                " " code { (line.id) }
                            }
                            td { (line.level.map_or("", |l| words::level(lang, l.as_str()))) }
                            td.n { (lang.number(line.deliveries)) }
                            @for ratio in &line.ratios { td.n { (cell(lang, ratio)) } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, n: u64, d: u64) -> Line {
        let ratio = Ratio { name: "", n, d };
        Line { id: id.into(), name: id.into(), level: None, deliveries: d, ratios: vec![ratio; 7] }
    }

    #[test]
    fn lines_are_sorted_and_what_has_no_ratio_comes_last() {
        let order = |column, down| {
            let mut lines = vec![line("b", 1, 2), line("c", 0, 0), line("a", 1, 1), line("d", 2, 4)];
            sort(&mut lines, column, down);
            lines.iter().map(|l| l.id.as_str()).collect::<String>()
        };
        assert_eq!(order(None, false), "abcd");
        assert_eq!(order(None, true), "dcba");
        assert_eq!(order(Some(0), true), "dbac");
        assert_eq!(order(Some(1), false), "bdac");
        assert_eq!(order(Some(1), true), "abdc");
    }
}
