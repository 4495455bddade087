//! What is given to monitoring systems (docs/monitoring) names metrics that there are, and says them in both languages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file)).unwrap()
}

/// The metrics that a text names, a histogram's parts by its own name.
fn named(text: &str) -> BTreeSet<String> {
    let word = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect()
    };
    let names = text.match_indices("lienthong_").map(|(at, _)| word(&text[at..]));
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

/// Those that docs/OPERATIONS.md explains.
fn explained() -> BTreeSet<String> {
    let rows = read("OPERATIONS.md");
    named(&rows.lines().filter(|line| line.starts_with("| `lienthong_")).collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let text = read("monitoring/grafana.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|p| p["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(title.contains(" / "), "{title} is in one language");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{title}");
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
    }
    let (shown, explained) = (named(&text), explained());
    assert!(shown.len() > 15 && shown.is_subset(&explained), "{:?}", shown.difference(&explained));
}

#[test]
fn the_alert_rules_watch_metrics_that_there_are_and_say_what_is_wrong() {
    let text = read("monitoring/alerts.yml");
    let rules: Vec<&str> = text.split("      - alert: ").skip(1).collect();
    for rule in &rules {
        let name = rule.lines().next().unwrap();
        assert!(rule.contains("\n        expr: "), "{name}");
        let severity = rule.lines().find_map(|l| l.trim().strip_prefix("labels: {severity: ")).unwrap();
        assert!(["page}", "ticket}"].contains(&severity), "{name}: {severity}");
        let summary = rule.lines().find_map(|l| l.trim().strip_prefix("summary: ")).unwrap();
        assert!(summary.contains(". / ") && summary.ends_with(".\""), "{name}: {summary}");
    }
    let (watched, explained) = (named(&text), explained());
    assert!(rules.len() > 10 && watched.is_subset(&explained), "{:?}", watched.difference(&explained));
}
