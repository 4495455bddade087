//! The scenarios, replayed by the demo's nodes: the network's figures are those that were counted independently, in every
//! form that the command prints.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::common::program::BINARY;

fn shared(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file)
}

/// A demo that serves on.
struct Demo {
    child: Child,
    dir: tempfile::TempDir,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    /// Replays a scenario.
    fn start(agencies: &str, scenario: &str) -> Demo {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(BINARY)
            .args(["demo", "--keep", "--format", "json", "--agencies"])
            .arg(shared(agencies))
            .arg("--scenario")
            .arg(shared(scenario))
            .arg("--data")
            .arg(dir.path().join("demo"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let demo = Demo { child, dir };
        // Its result ends with the one bracket that stands at the beginning of a line.
        assert!(lines.map(Result::unwrap).any(|line| line == "}"), "the demo ended without a result");
        demo
    }

    /// Collects the network's figures of 2016.
    fn report(&self, node: &str, args: &[&str]) -> Output {
        Command::new(BINARY)
            .args(["report", "network", "--period", "2016", "--config"])
            .arg(self.dir.path().join("demo").join(node).join("lienthong.toml"))
            .args(args)
            .output()
            .unwrap()
    }

    fn printed(&self, node: &str, args: &[&str]) -> String {
        let output = self.report(node, args);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Every numerator and denominator of the expected figures.
fn expected(file: &str) -> Vec<(String, String, u64, u64)> {
    let expected: Value = serde_json::from_slice(&std::fs::read(shared(file)).unwrap()).unwrap();
    let mut all = Vec::new();
    for (key, values) in expected.as_object().unwrap() {
        for (ratio, value) in values.as_object().unwrap().iter().filter(|(_, v)| v.is_object()) {
            all.push((
                key.clone(),
                ratio.clone(),
                value["n"].as_u64().unwrap(),
                value["d"].as_u64().unwrap(),
            ));
        }
    }
    assert!(all.len() > 30, "{}", all.len());
    all
}

fn check(demo: &Demo, collector: &str, nodes: usize, file: &str) {
    let json: Value = serde_json::from_str(&demo.printed(collector, &["--format", "json"])).unwrap();
    let csv = demo.printed(collector, &["--format", "csv"]);
    for (key, ratio, n, d) in expected(file) {
        let found = &json["ratios"][&key][&ratio];
        assert_eq!((found["n"].as_u64(), found["d"].as_u64()), (Some(n), Some(d)), "{key}, {ratio}");
        let line = format!(",{ratio},{n},{d},");
        assert!(csv.lines().any(|l| l.starts_with(&format!("{key},")) && l.contains(&line)), "{key}{line}");
    }
    let network = &json["network"];
    assert_eq!((&network["complete"], &network["recomputed"]), (&Value::Bool(true), &Value::Bool(true)));
    assert_eq!(network["nodes"].as_array().unwrap().len(), nodes);
    assert_eq!(network["difference_count"], 0, "{}", network["differences"]);
    // Every delivery that crossed was compared: what was sent to whom is what came.
    let sum = |field: &str| -> u64 {
        network["pairs"].as_array().unwrap().iter().map(|p| p[field].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("sent"), sum("received"));
    assert!(sum("sent") > 500, "{}", sum("sent"));
    assert!(network["pairs"].as_array().unwrap().iter().all(|p| p["compared"] == true));
    let root = json["checkpoint"].as_str().unwrap();
    assert!(root.starts_with(&format!("{collector}/log/1\n")), "{root}");
}

#[test]
fn the_inspections_scenario_gives_the_networks_three_figures() {
    let demo = Demo::start("agencies.csv", "scenario-2016.csv");
    check(&demo, "binh-duong", 3, "scenario-2016.expected.json");
    let table = demo.printed("binh-duong", &[]);
    for line in [
        "fully electronic             80.00 %",
        "dual                         95.00 %",
        "any electronic               15.00 %",
    ] {
        let (label, percent) = line.split_at(25);
        let shown = |l: &&str| l.trim_start().starts_with(label.trim()) && l.contains(percent.trim());
        assert!(table.lines().any(|l| shown(&l)), "{line}: {table}");
    }
    assert!(table.contains(", recomputed") && table.contains("; 0 differ."), "{table}");
    assert!(!table.contains("INCOMPLETE"), "{table}");
}

#[test]
fn nodes_that_all_send_give_their_own_right_figures_in_every_form() {
    let demo = Demo::start("agencies-spread.csv", "scenario-fanout.csv");
    check(&demo, "mot", 3, "scenario-fanout.expected.json");
    // The workbook has the figures on its first sheet, and the nodes, pairs and differences on others.
    let file = demo.dir.path().join("network.xlsx");
    demo.printed("mot", &["--format", "xlsx", "--output", file.to_str().unwrap()]);
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&file).unwrap()).unwrap();
    let mut part = |name: &str| {
        let mut xml = String::new();
        zip.by_name(name).unwrap().read_to_string(&mut xml).unwrap();
        xml
    };
    let book = part("xl/workbook.xml");
    for name in ["figures", "definitions", "coverage", "nodes", "pairs", "differences"] {
        assert!(book.contains(&format!("name=\"{name}\"")), "{book}");
    }
    let figures = part("xl/worksheets/sheet1.xml");
    let number = |cell: &str| -> u64 {
        let (_, rest) = figures.split_once(&format!("r=\"{cell}\"")).unwrap();
        rest.split_once("<v>").and_then(|(_, v)| v.split_once("</v>")).unwrap().0.parse().unwrap()
    };
    let expected = expected("scenario-fanout.expected.json");
    let keys = demo.printed("mot", &["--format", "csv"]);
    let mut keys: Vec<&str> = keys.lines().skip(1).map(|l| l.split(',').next().unwrap()).collect();
    keys.dedup();
    for (row, key) in (2..).zip(keys) {
        for (ratio, n, d) in [("fully_electronic", 'E', 'F'), ("dual", 'K', 'L'), ("paper_only", 'N', 'O')] {
            if let Some(right) = expected.iter().find(|e| e.0 == key && e.1 == ratio) {
                let found = (number(&format!("{n}{row}")), number(&format!("{d}{row}")));
                assert_eq!(found, (right.2, right.3), "{key}, {ratio}");
            }
        }
    }
    // Another node is not allowed to collect: it says who did not let it, and that the total is without them.
    let output = demo.report("hai", &["--format", "csv", "--list", "nodes"]);
    assert_eq!(output.status.code(), Some(1));
    let nodes = String::from_utf8(output.stdout).unwrap();
    assert_eq!(nodes.matches(",not_allowed,").count(), 2, "{nodes}");
}
