//! *Overview*: the three measures, each for itself, against the periods before and the targets; every ratio of the period;
//! how documents went by month; who is furthest from the target; what the paper registers cover; what will be late.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use tonic::Status;

use crate::config::Targets;
use crate::domain::ratio::{Month, Period, Ratio};
use crate::rpc::refuse;
use crate::web::Site;
use crate::web::chart::{Bar, stacked};
use crate::web::choice::{Asked, Choice, dimension, moved};
use crate::web::figures::{
    self, MEASURES, Measure, RATIOS, Rows, SCOPES, Whose, cell, covered, part_of, percent, ratio,
};
use crate::web::frame::{grid, page as framed};
use crate::web::pages::late;
use crate::web::said;
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::wire::pb;

/// Periods that a measure is shown for, the chosen one included, and months that are drawn.
const PERIODS: i32 = 4;
const MONTHS: i32 = 12;
/// Agencies in the lists of those furthest from a target, and of those without a declaration.
const LISTED: usize = 10;

/// The page.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Query(asked): Query<Asked>,
) -> Response {
    visitor.answer(show(&site, &visitor, &asked).await)
}

async fn show(site: &Site, visitor: &Visitor, asked: &Asked) -> Result<Markup, Status> {
    let lang = visitor.lang;
    let now = Month::of(site.exchange.ledger().now().date());
    let choice = asked.read(Some(Period::Month(now))).map_err(refuse)?;
    let whose = Whose::of(site, visitor)?;
    let targets = site.exchange.config().targets;
    let (every, earlier, months, agencies, late) = tokio::join!(
        figures::ask(site, visitor, choice.request(&[])),
        earlier(site, visitor, choice),
        months(site, visitor, choice, now),
        figures::ask(site, visitor, choice.request(&["sender_registered", "scope"])),
        late::soon(site, visitor),
    );
    let (every, months, agencies) = (every?, Rows::of(months?.rows), Rows::of(agencies?.rows));
    let earlier = earlier?.map(|answer| Rows::of(answer.rows));
    let basis = figures::basis(lang, &every);
    let coverage = every.coverage.clone().unwrap_or_default();
    let all = Rows::of(every.rows);
    let body = html! {
        (choice.links(lang, "/overview", now))
        (whose.note(lang))
        section.cards {
            @for measure in &MEASURES {
                (card(lang, &whose, measure, target(&targets, measure), (choice, now), &all, earlier.as_ref().unwrap_or(&months)))
            }
        }
        (whose.heading(lang, lang.of(said::BY_MONTH)))
        div.figures {
            @for measure in &MEASURES { (by_month(lang, measure.scope, lang.of(measure.between), choice, &months)) }
        }
        (whose.heading(lang, lang.of(said::EVERY_RATIO_PERIOD)))
        (every_ratio(lang, choice, &all))
        (whose.heading(lang, lang.of(said::FURTHEST_FROM_TARGET)))
        @for measure in &MEASURES {
            @if let Some(target) = target(&targets, measure) {
                (furthest(site, lang, measure, target, choice, &agencies))
            } @else {
                p { (lang.of(measure.between)) ": " (lang.of(said::NO_TARGET_SET)) }
            }
        }
        (whose.heading(lang, lang.of(said::PAPER_REGISTERS)))
        (registers(site, lang, &coverage))
        h2 { (lang.of(said::SOON_TOO_LATE)) }
        (late.unwrap_or_else(|| html! { p { (lang.of(said::NODES_QUEUES_FOR)) } }))
        (basis)
    };
    Ok(framed(visitor, "/overview", lang.of(said::OVERVIEW), &body))
}

/// The figures of the chosen period and those before it, by scope, where those of the months do not tell them.
async fn earlier(
    site: &Site,
    visitor: &Visitor,
    choice: Choice,
) -> Result<Option<pb::GetRatiosResponse>, Status> {
    let Some(last @ (Period::Quarter(..) | Period::Year(_))) = choice.period else { return Ok(None) };
    let (from, to) = (moved(last, 1 - PERIODS).to_string(), last.to_string());
    let request = choice.between(&from, &to, &["scope", dimension(last)]);
    figures::ask(site, visitor, request).await.map(Some)
}

/// The figures of the months up to the chosen period's last, by scope.
async fn months(
    site: &Site,
    visitor: &Visitor,
    choice: Choice,
    now: Month,
) -> Result<pb::GetRatiosResponse, Status> {
    let last = choice.period.map_or(now, |p| p.months().1);
    let from = Month::from_number(last.number() + 1 - MONTHS).to_string();
    figures::ask(site, visitor, choice.between(&from, &last.to_string(), &["scope", "month"])).await
}

/// The target of a measure, in whole percent.
fn target(targets: &Targets, measure: &Measure) -> Option<u8> {
    match measure.ratio {
        "fully_electronic" => targets.fully_electronic,
        "dual" => targets.dual,
        _ => targets.any_electronic,
    }
}

/// How far a ratio is on the wrong side of its target, in hundredths of a percent; negative when it has reached it.
fn short_of(ratio: &Ratio, measure: &Measure, target: u8) -> Option<i64> {
    let points = ratio.basis_points()? as i64;
    let target = i64::from(target) * 100;
    Some(if measure.more { target - points } else { points - target })
}

fn card(
    lang: Lang,
    whose: &Whose,
    measure: &Measure,
    target: Option<u8>,
    (choice, today): (Choice, Month),
    all: &Rows,
    periods: &Rows,
) -> Markup {
    let now = all.get(&[measure.scope]);
    let of = |period: Period| ratio(periods.get(&[measure.scope, &period.to_string()]), measure.ratio);
    let current = ratio(now, measure.ratio);
    let before = choice.period.map(|p| of(moved(p, -1)));
    let change = before.and_then(|b| Some(current.basis_points()? as i64 - b.basis_points()? as i64));
    let counts = now.and_then(|r| r.counts).unwrap_or_default();
    let under_way = choice.period.is_some_and(|p| p.months().1 >= today);
    html! {
        article {
            (whose.heading(lang, lang.of(measure.between)))
            p.what { (lang.of(measure.what)) }
            p.big { (percent(lang, &current)) }
            p.part { (part_of(lang, &current)) " " (choice.unit(lang)) }
            @if let Some(change) = change {
                p.change {
                    (lang.points(change)) " " (lang.of(said::POINTS_AGAINST_PERIOD))
                    @if under_way { " (" strong { (lang.of(said::PERIOD_NOT_OVER)) } ")" }
                }
            }
            (against(lang, measure, target, &current))
            p.note {
                (lang.of(said::PENDING)) ": " (lang.number(counts.pending)) ", "
                (lang.of(said::THESE_HELD)) ": " (lang.number(counts.held)) ". "
                (lang.of(said::PAPER_REGISTERS_DECLARED)) ": "
                @if let Some(covered) = covered(now) { (cell(lang, &covered)) } @else { "n/a" }
            }
            @if let Some(period) = choice.period {
                @let rows: Vec<Vec<Markup>> = (0..PERIODS).rev().map(|back| {
                    let period = moved(period, -back);
                    let of = if back == 0 { current } else { of(period) };
                    let open = back == 0 && under_way;
                    let name = html! {
                        (lang.period(period))
                        @if open { " (" (lang.of(said::PERIOD_NOT_OVER)) ")" }
                    };
                    vec![name, html! { (percent(lang, &of)) }, html! { (part_of(lang, &of)) }]
                }).collect();
                (grid(
                    &format!("{}: {}", lang.of(measure.between), lang.of(said::LAST_PERIODS)),
                    &[html! { (lang.of(said::PERIOD)) }, html! { "%" }, html! { (lang.of(said::NUMBER_2)) }],
                    &[false, true, true],
                    &rows,
                ))
            }
        }
    }
}

/// What the target is, and whether it is reached.
fn against(lang: Lang, measure: &Measure, target: Option<u8>, current: &Ratio) -> Markup {
    let Some(target) = target else {
        return html! { p.target { (lang.of(said::NO_TARGET_SET_2)) } };
    };
    let sign = if measure.more { "≥" } else { "≤" };
    html! {
        p.target {
            (lang.of(said::TARGET)) " " (sign) " " (target) " %: "
            @match short_of(current, measure, target) {
                None => "n/a",
                Some(short) if short <= 0 => strong.met { (lang.of(said::REACHED)) },
                Some(short) => strong.short {
                    (lang.of(if measure.more { said::NOT_REACHED_SHORT } else { said::NOT_REACHED_OVER })) " "
                    (lang.points(short).trim_start_matches('+')) " " (lang.of(said::POINTS))
                },
            }
        }
    }
}

/// Bars of one scope by month, and the table behind them.
pub(super) fn by_month(lang: Lang, scope: &str, between: &str, choice: Choice, months: &Rows) -> Markup {
    let named = months.iter().filter(|(values, _)| values.first().is_some_and(|s| s == scope));
    let rows: Vec<(&String, &pb::RatioRow)> = named.filter_map(|(v, row)| Some((v.get(1)?, row))).collect();
    let title = format!("{between}: {} {}", choice.unit(lang), lang.of(said::BY_MONTH_CHANNEL));
    drawn(lang, &title, &rows)
}

/// Bars of rows that have a month each, and the table behind them.
pub(super) fn drawn(lang: Lang, title: &str, rows: &[(&String, &pb::RatioRow)]) -> Markup {
    let legend = figures::channels(lang);
    let bar =
        |(month, row): &(&String, &pb::RatioRow)| Bar { name: lang.month(month), parts: figures::parts(row) };
    let bars: Vec<Bar> = rows.iter().map(bar).collect();
    let Some(chart) = stacked(title, legend, &bars, |n| lang.number(n)) else {
        return html! { p { (title) ": " (lang.of(said::NO_FIGURES)) } };
    };
    let mut head = vec![html! { (lang.of(said::MONTH)) }];
    head.extend(legend.map(|name| html! { (name) }));
    head.extend([html! { (lang.of(said::ALL)) }, html! { (lang.of(said::REGISTERS_COMPLETE)) }]);
    let line = |(month, row): &(&String, &pb::RatioRow)| {
        let mut line = vec![html! { (lang.month(month)) }];
        line.extend(figures::parts(row).map(|n| {
            let of = Ratio { name: "", n, d: row.deliveries };
            html! { (lang.number(n)) " " span.part { (percent(lang, &of)) } }
        }));
        line.push(html! { (lang.number(row.deliveries)) });
        line.push(covered(Some(row)).map_or_else(|| html! { "n/a" }, |c| cell(lang, &c)));
        line
    };
    let lines: Vec<Vec<Markup>> = rows.iter().map(line).collect();
    html! {
        figure {
            figcaption { (title) }
            (chart)
            details {
                summary { (lang.of(said::TABLE_FIGURES)) }
                (grid(title, &head, &[false, true, true, true, true, true, true, true], &lines))
            }
        }
    }
}

/// Every ratio of every scope.
pub(super) fn every_ratio(lang: Lang, choice: Choice, all: &Rows) -> Markup {
    let mut head = vec![html! { (lang.of(said::RATIO)) }];
    head.extend(SCOPES.map(|(_, vi, en)| html! { (lang.pick(vi, en)) }));
    let count = SCOPES.map(|(key, ..)| {
        let row = all.get(&[key]);
        html! { (lang.number(row.map_or(0, |r| r.deliveries))) }
    });
    let mut rows =
        vec![[vec![html! { (lang.of(said::NUMBER_3)) (choice.unit(lang)) }], count.to_vec()].concat()];
    for (name, vi, en) in RATIOS {
        let mut row = vec![html! { (lang.pick(vi, en)) }];
        row.extend(SCOPES.map(|(key, ..)| cell(lang, &ratio(all.get(&[key]), name))));
        rows.push(row);
    }
    let held = SCOPES.map(|(key, ..)| {
        let counts = all.get(&[key]).and_then(|r| r.counts).unwrap_or_default();
        html! { (lang.number(counts.held)) }
    });
    rows.push([vec![html! { (lang.of(said::HELD_2)) }], held.to_vec()].concat());
    let cover = SCOPES.map(|(key, ..)| {
        covered(all.get(&[key])).map_or_else(|| html! { "n/a" }, |ratio| cell(lang, &ratio))
    });
    rows.push([vec![html! { (lang.of(said::PAPER_REGISTERS_COMPLETE)) }], cover.to_vec()].concat());
    let caption = lang.of(said::SENDERS_SIDE_BY_DAY);
    grid(caption, &head, &[false, true, true, true, true, true, true], &rows)
}

/// The agencies that miss a target by most: by how many deliveries.
fn furthest(
    site: &Site,
    lang: Lang,
    measure: &Measure,
    target: u8,
    choice: Choice,
    agencies: &Rows,
) -> Markup {
    let missing = |ratio: &Ratio| {
        // Hundredths of a delivery, so that nothing is rounded away.
        let (n, d, target) = (ratio.n * 100, ratio.d, u64::from(target));
        if measure.more { (d * target).saturating_sub(n) } else { n.saturating_sub(d * target) }
    };
    let mut list: Vec<(&String, Ratio, u64)> = agencies
        .iter()
        .filter(|(values, _)| values.get(1).is_some_and(|scope| scope == measure.scope))
        .filter_map(|(values, row)| {
            let ratio = ratio(Some(row), measure.ratio);
            Some((values.first()?, ratio, missing(&ratio))).filter(|(.., missing)| *missing > 0)
        })
        .collect();
    list.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(b.0)));
    let name = format!("{}: {}", lang.of(measure.between), lang.of(measure.what));
    if list.is_empty() {
        return html! { p { (name) ": " (lang.of(said::NO_AGENCY_MISSES)) } };
    }
    let rows: Vec<Vec<Markup>> = list
        .iter()
        .take(LISTED)
        .map(|(id, ratio, missing)| {
            let short = short_of(ratio, measure, target).unwrap_or_default();
            vec![
                html! { a href=(format!("/agencies/{id}?{}", choice.query())) { (figures::agency_name(site, id)) } },
                cell(lang, ratio),
                html! { (lang.points(short).trim_start_matches('+')) },
                html! { (lang.number(missing.div_ceil(100))) },
            ]
        })
        .collect();
    let head = [
        html! { (lang.of(said::AGENCY)) },
        html! { (lang.of(said::RATIO)) },
        html! { (lang.of(if measure.more { said::SHORT_BY_POINTS } else { said::OVER_BY_POINTS })) },
        html! { (lang.of(said::AS_NUMBER)) (choice.unit(lang)) },
    ];
    grid(&name, &head, &[false, true, true, true], &rows)
}

/// How much the declared paper registers cover, and who has not declared.
fn registers(site: &Site, lang: Lang, coverage: &pb::FigureCoverage) -> Markup {
    let ratio = Ratio { name: "coverage", n: coverage.covered, d: coverage.all };
    let rows: Vec<Vec<Markup>> = most_missing(coverage)
        .iter()
        .take(LISTED)
        .map(|missing| {
            let months: Vec<String> = missing.months.iter().take(6).map(|m| lang.month(m)).collect();
            let more = missing.months.len().saturating_sub(months.len());
            let more = if more > 0 { format!(" (+{more})") } else { String::new() };
            vec![
                html! { (figures::agency_name(site, &missing.agency)) },
                html! { (lang.number(missing.deliveries)) },
                html! { (months.join(", ")) (more) },
            ]
        })
        .collect();
    let head = [
        html! { (lang.of(said::AGENCY)) },
        html! { (lang.of(said::DELIVERIES)) },
        html! { (lang.of(said::MONTHS_NOT_DECLARED)) },
    ];
    html! {
        p .warn[coverage.covered < coverage.all] {
            (lang.of(said::DELIVERIES_AGENCIES_WITH))
            ": " (cell(lang, &ratio)) ". "
            @if coverage.covered < coverage.all {
                (lang.of(said::WITHOUT_COMPLETE_REGISTERS))
            }
        }
        @if !rows.is_empty() {
            (grid(
                lang.of(said::NOT_DECLARED_MOST),
                &head,
                &[false, true, false],
                &rows,
            ))
            @if coverage.missing.len() > LISTED {
                p { (lang.of(said::AND)) " " (lang.number((coverage.missing.len() - LISTED) as u64)) " "
                    (lang.of(said::OTHER_AGENCIES)) }
            }
        }
    }
}

fn most_missing(coverage: &pb::FigureCoverage) -> Vec<&pb::MissingDeclaration> {
    let mut missing: Vec<_> = coverage.missing.iter().collect();
    missing.sort_by(|a, b| b.deliveries.cmp(&a.deliveries).then_with(|| a.agency.cmp(&b.agency)));
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_missed_from_below_or_from_above() {
        let ratio = |n, d| Ratio { name: "", n, d };
        let [more, less, _] = &MEASURES;
        assert_eq!(short_of(&ratio(400, 500), more, 90), Some(1_000));
        assert_eq!(short_of(&ratio(400, 500), more, 80), Some(0));
        assert_eq!(short_of(&ratio(95, 100), less, 20), Some(7_500));
        assert_eq!(short_of(&ratio(10, 100), less, 20), Some(-1_000));
        assert_eq!(short_of(&ratio(0, 0), more, 90), None);
    }
}
