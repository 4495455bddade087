//! A report as tables for a person, as JSON and as CSV. A percentage never comes without numerator and denominator; an
//! empty denominator is `n/a` (JSON: null), never 0 %. Basis, pending, held and coverage stand beside every figure.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::query::{Basis, side_word};
use super::{Cells, Coverage, Figure, Report};
use crate::domain::ratio::{Ratio, Side};
use crate::time::Date;

/// `{"in_province": {"deliveries": 500, "fully_electronic": {"n": 400, "d": 500, "percent": 80.0}, …}, …}`
pub fn json(cells: &Cells) -> Value {
    ratios_json(&Report::of(cells))
}

fn ratios_json(report: &Report) -> Value {
    let mut out = Map::new();
    for figure in &report.figures {
        out.insert(figure.values.join("|"), figure_json(report, figure));
    }
    Value::Object(out)
}

fn figure_json(report: &Report, figure: &Figure) -> Value {
    let c = &figure.counters;
    let mut row = Map::new();
    row.insert(report.query.basis.as_str().into(), json!(c.deliveries));
    row.insert("held".into(), json!(c.held));
    for ratio in c.ratios_of(report.query.side) {
        row.insert(ratio.name.into(), ratio_json(&ratio));
    }
    if let Some(coverage) = covered(report, figure) {
        row.insert("coverage".into(), ratio_json(&coverage));
    }
    Value::Object(row)
}

fn ratio_json(ratio: &Ratio) -> Value {
    json!({"n": ratio.n, "d": ratio.d, "percent": percent_number(ratio)})
}

/// Two decimals are exact in the shortest form that f64 prints.
fn percent_number(ratio: &Ratio) -> Value {
    ratio.percent().and_then(|p| p.parse::<f64>().ok()).map_or(Value::Null, |p| json!(p))
}

/// How much of a figure is of agencies with a complete paper register; `None` where that is not known of it.
pub(super) fn covered(report: &Report, figure: &Figure) -> Option<Ratio> {
    let own = figure.covered.filter(|_| report.query.side == Side::Outgoing)?;
    Some(Ratio { name: "coverage", n: own, d: figure.counters.deliveries })
}

/// The whole report: what was asked, the checkpoint, the figures by key, the coverage.
pub fn figures_json(report: &Report) -> Value {
    let query = &report.query;
    let coverage = &report.coverage;
    json!({
        "basis": query.basis.as_str(),
        "side": side_word(query.side),
        "from": query.from.map(|d| d.to_string()),
        "to": query.to.map(|d| d.to_string()),
        "filter": query.filter_in_words().into_iter()
            .map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>(),
        "group_by": query.group.iter().map(|d| d.as_str()).collect::<Vec<_>>(),
        "ratios": ratios_json(report),
        "coverage": {
            "n": coverage.covered, "d": coverage.all, "percent": percent_number(&whole(coverage)),
            "complete": coverage.complete,
            "missing": coverage.missing.iter().map(|m| json!({
                "agency": m.agency.as_str(), "deliveries": m.deliveries,
                "months": m.months.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        },
        "closed": report.closed.iter().map(|(period, n)| json!({"period": period, "restatements": n}))
            .collect::<Vec<_>>(),
        "exact": report.exact,
        "checkpoint": report.checkpoint,
    })
}

pub(super) fn whole(coverage: &Coverage) -> Ratio {
    Ratio { name: "coverage", n: coverage.covered, d: coverage.all }
}

/// The names of the first columns of a report's figures.
pub(super) fn columns(report: &Report) -> Vec<&'static str> {
    if report.query.group.is_empty() {
        vec!["key"]
    } else {
        report.query.group.iter().map(|d| d.as_str()).collect()
    }
}

/// A line per figure and ratio: `key` (or the dimensions), the number counted, `ratio`, `n`, `d`, `percent`, and what they
/// stand on: `side`, `pending`, `held`, `coverage_n`, `coverage_d`, `checkpoint` (log, size and root, with blanks between),
/// `from`, `to`, `filter` (what else was asked, `name=value` with blanks between), and `closed`: the closed periods that these
/// days touch, whose figures may have been others then, and `network`: of several nodes' figures, how far they can be relied
/// on. The column of the number counted is named for the basis.
pub fn csv(report: &Report) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    let names = [report.query.basis.as_str(), "ratio", "n", "d", "percent"];
    let rest = [
        "side",
        "pending",
        "held",
        "coverage_n",
        "coverage_d",
        "checkpoint",
        "from",
        "to",
        "filter",
        "closed",
        "network",
    ];
    let columns = columns(report);
    // Writing to memory does not fail.
    let _ = out.write_record(columns.iter().chain(&names).chain(&rest));
    let checkpoint = tree_head(&report.checkpoint);
    let day = |day: Option<Date>| day.map_or_else(String::new, |day| day.to_string());
    let days = [day(report.query.from), day(report.query.to)];
    let asked = [filter(report), closed(report), report.network.clone()].map(|text| harmless(&text));
    for figure in &report.figures {
        let c = &figure.counters;
        let coverage = covered(report, figure);
        let part = |f: fn(&Ratio) -> u64| coverage.as_ref().map_or_else(String::new, |r| f(r).to_string());
        for ratio in c.ratios_of(report.query.side) {
            let percent = ratio.percent().unwrap_or_else(|| "n/a".into());
            let mut line: Vec<String> = figure.values.iter().map(|v| harmless(v)).collect();
            line.extend([c.deliveries.to_string(), ratio.name.to_owned()]);
            line.extend([ratio.n.to_string(), ratio.d.to_string(), percent]);
            line.extend([side_word(report.query.side).to_owned(), c.pending.to_string(), c.held.to_string()]);
            line.extend([part(|r| r.n), part(|r| r.d), checkpoint.clone()]);
            line.extend(days.iter().chain(&asked).cloned());
            let _ = out.write_record(&line);
        }
    }
    String::from_utf8(out.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// What was asked beside days, `name=value` with blanks between.
pub(super) fn filter(report: &Report) -> String {
    let words = report.query.filter_in_words().into_iter();
    words.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// The closed periods that a report touches, each with the number of its restatements.
fn closed(report: &Report) -> String {
    let each = report.closed.iter().map(|(period, n)| format!("{period} ({n} restatements since)"));
    each.collect::<Vec<_>>().join(" ")
}

/// Log, size and root of a checkpoint, on one line.
fn tree_head(checkpoint: &str) -> String {
    checkpoint.lines().take(3).collect::<Vec<_>>().join(" ")
}

/// A text that no spreadsheet takes for a formula.
pub(super) fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

/// For a person: a block per scope, months below when they are asked for; with dimensions, a line per figure.
pub fn table(report: &Report, months: bool) -> String {
    let mut out = String::new();
    question(report, &mut out);
    if report.query.group.is_empty() {
        blocks(report, &mut out);
        if months {
            out.push_str("by month\n");
            lines(report, &mut out, report.figures.iter().filter(|f| f.values[0].contains('@')));
        }
    } else {
        lines(report, &mut out, report.figures.iter());
    }
    footer(report, &mut out);
    out
}

/// Of what the figures are: which log, which days, and what else was asked.
fn question(report: &Report, out: &mut String) {
    let mut lines = report.checkpoint.lines();
    if !report.network.is_empty() {
        let _ = writeln!(out, "Of the network: {}", report.network);
    } else if let (Some(log), Some(size)) = (lines.next(), lines.next()) {
        let way = if report.query.side == Side::Incoming { "received" } else { "sent" };
        let _ = writeln!(out, "What the agencies of this node {way}, by log {log} of {size} events");
    }
    let mut words = report.query.days_in_words();
    words.extend(report.query.filter_in_words());
    if !words.is_empty() {
        let words: Vec<String> =
            words.into_iter().map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
        let _ = writeln!(out, "Only: {}", words.join(", "));
    }
    if !out.is_empty() {
        out.push('\n');
    }
}

/// Whether a report's filter leaves anything under a key.
fn is_asked(report: &Report, key: &str) -> bool {
    let filter = &report.query.filter;
    let (scope, direction) = key.split_once('/').map_or((key, None), |(scope, d)| (scope, Some(d)));
    let scope_fits = filter.scope.is_none_or(|s| s.as_str() == scope);
    let fits = match (filter.direction, direction) {
        (None, _) => true,
        // The whole would be said to be more than it is.
        (Some(_), None) => false,
        (Some(asked), Some(direction)) => asked.as_str() == direction,
    };
    scope_fits && fits
}

fn blocks(report: &Report, out: &mut String) {
    let find = |key: &&str| report.figures.iter().find(|f| f.values.first().is_some_and(|v| v == key));
    for figure in super::SCOPES.iter().filter(|key| is_asked(report, key)).filter_map(find) {
        let c = &figure.counters;
        let key = figure.values[0].as_str();
        if key.contains('/') && c.deliveries == 0 {
            continue;
        }
        let held = if c.held > 0 { format!(", {} of those pending held", c.held) } else { String::new() };
        let _ = writeln!(out, "{}  ({} {}{held})", heading(key), c.deliveries, report.query.basis.as_str());
        let ratios = c.ratios_of(report.query.side);
        for ratio in ratios.iter().chain(covered(report, figure).iter()) {
            let label = ratio.name.replace('_', " ");
            let _ = writeln!(out, "  {label:<24}{:>10}   {} / {}", percent(ratio), ratio.n, ratio.d);
        }
        out.push('\n');
    }
}

/// The ratios that a line has room for.
const SHOWN: [(&str, &str); 6] = [
    ("fully_electronic", "fully electronic"),
    ("dual", "dual"),
    ("paper_only", "paper only"),
    ("any_electronic", "any electronic"),
    ("undelivered", "undelivered"),
    ("on_time", "on time"),
];

fn lines<'a>(report: &Report, out: &mut String, figures: impl Iterator<Item = &'a Figure>) {
    let mut header: Vec<String> = columns(report).into_iter().map(str::to_owned).collect();
    let first = header.len();
    header.push(report.query.basis.as_str().to_owned());
    header.extend(SHOWN.map(|(_, label)| label.to_owned()));
    header.extend(["pending", "held", "coverage"].map(str::to_owned));
    let mut rows = vec![header];
    for figure in figures {
        let c = &figure.counters;
        let ratios = c.ratios_of(report.query.side);
        let show = |r: &Ratio| format!("{}/{} {}", r.n, r.d, percent(r));
        let mut row: Vec<String> =
            figure.values.iter().map(|v| if v.is_empty() { "-".to_owned() } else { v.clone() }).collect();
        row.push(c.deliveries.to_string());
        let named = |name: &str| ratios.iter().find(|r| r.name == name).map_or_else(String::new, show);
        row.extend(SHOWN.map(|(name, _)| named(name)));
        row.extend([c.pending.to_string(), c.held.to_string()]);
        row.push(covered(report, figure).as_ref().map_or_else(|| "n/a".into(), show));
        rows.push(row);
    }
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            // Names to the left, numbers to the right.
            if i < first {
                let _ = write!(line, "{cell}{gap}  ");
            } else {
                let _ = write!(line, "{gap}{cell}  ");
            }
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
}

fn footer(report: &Report, out: &mut String) {
    let coverage = &report.coverage;
    let outgoing = report.query.side == Side::Outgoing;
    if outgoing && coverage.all > 0 {
        let ratio = whole(coverage);
        let _ = writeln!(
            out,
            "Paper registers declared complete cover {} / {} of these deliveries ({}); without them \"fully electronic\" is \
             overstated.",
            ratio.n,
            ratio.d,
            percent(&ratio)
        );
        if !coverage.missing.is_empty() {
            let shown: Vec<String> = coverage
                .missing
                .iter()
                .take(10)
                .map(|m| format!("{} ({} months)", m.agency, m.months.len()))
                .collect();
            let more = coverage.missing.len().saturating_sub(shown.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(out, "Not declared: {}{more}.", shown.join(", "));
        }
    }
    if report.query.basis == Basis::Documents {
        out.push_str("A document counts once, however many recipients it has.\n");
    }
    for (period, restatements) in &report.closed {
        let _ = writeln!(out, "Period {period} is closed; {restatements} restatements since.");
    }
    if !report.exact {
        out.push_str("Figures changed while they were read: they may be newer than the checkpoint.\n");
    }
}

pub(super) fn percent(ratio: &Ratio) -> String {
    ratio.percent().map_or_else(|| "n/a".into(), |p| format!("{p} %"))
}

pub(super) fn heading(key: &str) -> &str {
    match key {
        "in_province" => "Between agencies of the province / giữa các cơ quan trong tỉnh",
        "in_province/up" => "  of these upwards / trong đó gửi lên",
        "in_province/down" => "  of these downwards / trong đó gửi xuống",
        "in_province/horizontal" => "  of these sideways / trong đó ngang cấp",
        "internal" => "Inside agencies / trong nội bộ cơ quan",
        "outside" => "With agencies outside / với cơ quan ngoài tỉnh",
        other => other,
    }
}
