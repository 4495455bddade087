//! Sums as a table for a person, as JSON and as CSV. A percentage never comes without numerator and denominator; an
//! empty denominator is `n/a` (JSON: null), never 0 %.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Cells;
use crate::domain::ratio::Ratio;

/// `{"in_province": {"deliveries": 500, "fully_electronic": {"n": 400, "d": 500, "percent": 80.0}, …}, …}`
pub fn json(cells: &Cells) -> Value {
    let mut out = Map::new();
    for (key, counters) in cells {
        let mut row = Map::new();
        row.insert("deliveries".into(), json!(counters.deliveries));
        for ratio in counters.ratios() {
            row.insert(
                ratio.name.into(),
                json!({"n": ratio.n, "d": ratio.d, "percent": percent_number(&ratio)}),
            );
        }
        out.insert(key.clone(), Value::Object(row));
    }
    Value::Object(out)
}

fn percent_number(ratio: &Ratio) -> Value {
    // Two decimals are exact in the shortest form that f64 prints.
    ratio.percent().and_then(|p| p.parse::<f64>().ok()).map_or(Value::Null, |p| json!(p))
}

/// `key,deliveries,ratio,n,d,percent`, a line per ratio.
pub fn csv(cells: &Cells) -> String {
    let mut out = String::from("key,deliveries,ratio,n,d,percent\n");
    for (key, counters) in cells {
        for ratio in counters.ratios() {
            let percent = ratio.percent().unwrap_or_else(|| "n/a".into());
            let _ = writeln!(
                out,
                "{key},{},{},{},{},{percent}",
                counters.deliveries, ratio.name, ratio.n, ratio.d
            );
        }
    }
    out
}

/// One table per scope; months below when they are asked for.
pub fn table(cells: &Cells, months: bool) -> String {
    let mut out = String::new();
    let scopes = super::SCOPES.iter().filter_map(|s| cells.get_key_value(*s));
    for (key, counters) in scopes {
        if key.contains('/') && counters.deliveries == 0 {
            continue;
        }
        let _ = writeln!(out, "{}  ({} deliveries)", heading(key), counters.deliveries);
        for ratio in counters.ratios() {
            let _ =
                writeln!(out, "  {:<24}{:>10}   {}", label(ratio.name), percent(&ratio), fraction(&ratio));
        }
        out.push('\n');
    }
    if months {
        let _ = writeln!(
            out,
            "{:<34}{:>11}{:>12}{:>10}{:>10}{:>12}",
            "by month", "deliveries", "fully el.", "dual", "paper", "any el."
        );
        for (key, counters) in cells.iter().filter(|(k, _)| k.contains('@')) {
            let ratios = counters.ratios();
            let show = |name: &str| ratios.iter().find(|r| r.name == name).map_or_else(String::new, percent);
            let _ = writeln!(
                out,
                "{key:<34}{:>11}{:>12}{:>10}{:>10}{:>12}",
                counters.deliveries,
                show("fully_electronic"),
                show("dual"),
                show("paper_only"),
                show("any_electronic")
            );
        }
    }
    out
}

fn percent(ratio: &Ratio) -> String {
    ratio.percent().map_or_else(|| "n/a".into(), |p| format!("{p} %"))
}

fn fraction(ratio: &Ratio) -> String {
    format!("{} / {}", ratio.n, ratio.d)
}

fn heading(key: &str) -> &str {
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

fn label(name: &str) -> String {
    name.replace('_', " ")
}
