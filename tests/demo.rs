//! The main job: `lienthong demo` replays a scenario and prints its ratios. Expected figures were counted
//! independently (shared data).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn shared(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file)
}

fn demo(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_lienthong"))
        .args(["demo", "--format", "json"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every value of `expected` is in `got`; more keys are right.
fn assert_within(expected: &Value, got: &Value, at: &str) {
    match expected {
        Value::Object(map) => {
            for (key, value) in map {
                let inner = got.get(key).unwrap_or_else(|| panic!("{at}/{key} is missing"));
                assert_within(value, inner, &format!("{at}/{key}"));
            }
        }
        value => assert_eq!(value, got, "{at}"),
    }
}

fn check(result: &Value, expected: &str, nodes: usize) {
    let expected: Value = serde_json::from_slice(&std::fs::read(shared(expected)).unwrap()).unwrap();
    assert!(expected.as_object().unwrap().len() > 5);
    assert_within(&expected, &result["ratios"], "");
    let listed = result["nodes"].as_array().unwrap();
    assert_eq!(listed.len(), nodes);
    for node in listed {
        assert_eq!(node["verified"], Value::Bool(true), "{node}");
        assert!(node["size"].as_u64().unwrap() > 2, "{node}");
        assert_eq!(node["root"].as_str().unwrap().len(), 64, "{node}");
    }
    assert!(result["delivery_ms"]["p50"].as_u64().unwrap() <= result["delivery_ms"]["p99"].as_u64().unwrap());
}

#[test]
fn the_demo_gives_the_inspections_three_figures_and_every_expected_value() {
    let result = demo(&[]);
    check(&result, "scenario-2016.expected.json", 3);
    assert_eq!(result["ratios"]["in_province"]["fully_electronic"]["percent"], 80.0);
    assert_eq!(result["ratios"]["internal"]["dual"]["percent"], 95.0);
    assert_eq!(result["ratios"]["outside"]["any_electronic"]["percent"], 15.0);
}

/// The numbers of a sheet's cells, by their place.
fn sheet(file: &Path, number: usize) -> HashMap<String, f64> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(file).unwrap()).unwrap();
    let mut xml = String::new();
    zip.by_name(&format!("xl/worksheets/sheet{number}.xml")).unwrap().read_to_string(&mut xml).unwrap();
    let cells = xml.split("<c ").skip(1).filter(|c| !c.contains("t=\"s\""));
    let part = |text: &str, from: &str, to: &str| -> String {
        text.split_once(from)
            .and_then(|(_, rest)| rest.split_once(to))
            .map(|(found, _)| found.to_owned())
            .unwrap()
    };
    cells.map(|c| (part(c, "r=\"", "\""), part(c, "<v>", "</v>").parse().unwrap())).collect()
}

#[test]
fn other_files_give_their_own_right_figures_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let agencies = shared("agencies-spread.csv");
    let scenario = shared("scenario-fanout.csv");
    let result = demo(&[
        "--agencies",
        agencies.to_str().unwrap(),
        "--scenario",
        scenario.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ]);
    check(&result, "scenario-fanout.expected.json", 3);
    let expected = std::fs::read(shared("scenario-fanout.expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    // Each form, added over the nodes, gives the same numerators and denominators.
    let mut sums: HashMap<(String, String), [[u64; 2]; 3]> = HashMap::new();
    let mut add = |key: &str, ratio: &str, form: usize, n: u64, d: u64| {
        let sum = &mut sums.entry((key.to_owned(), ratio.to_owned())).or_default()[form];
        *sum = [sum[0] + n, sum[1] + d];
    };
    for node in result["nodes"].as_array().unwrap() {
        let folder = data.join(node["name"].as_str().unwrap());
        let report = |format: &str| {
            let file = dir.path().join(format!("{}.{format}", node["name"].as_str().unwrap()));
            let output = Command::new(env!("CARGO_BIN_EXE_lienthong"))
                .args(["report", "--format", format, "--data"])
                .arg(&folder)
                .arg("--output")
                .arg(&file)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            file
        };
        let json: Value = serde_json::from_slice(&std::fs::read(report("json")).unwrap()).unwrap();
        let root = json["checkpoint"].as_str().unwrap().lines().nth(2).unwrap().to_owned();
        let ratios = json["ratios"].as_object().unwrap();
        for (key, values) in ratios {
            for (ratio, value) in values.as_object().unwrap().iter().filter(|(_, v)| v.is_object()) {
                add(key, ratio, 0, value["n"].as_u64().unwrap(), value["d"].as_u64().unwrap());
            }
        }
        let mut csv = csv::Reader::from_path(report("csv")).unwrap();
        for line in csv.records().map(Result::unwrap) {
            add(&line[0], &line[2], 1, line[3].parse().unwrap(), line[4].parse().unwrap());
            assert!(line[11].ends_with(&root), "{line:?}");
        }
        let figures = sheet(&report("xlsx"), 1);
        let names =
            ["fully_electronic", "legally_effective", "dual", "paper_only", "any_electronic", "undelivered"];
        for (row, key) in (2..).zip(ratios.keys()) {
            // Key, number counted, pending, held; then numerator, denominator, percentage of each ratio.
            for (name, columns) in
                names.iter().zip([["E", "F"], ["H", "I"], ["K", "L"], ["N", "O"], ["Q", "R"], ["T", "U"]])
            {
                let [n, d] = columns.map(|column| figures[&format!("{column}{row}")] as u64);
                add(key, name, 2, n, d);
            }
        }
    }
    let mut compared = 0;
    for (key, values) in expected.as_object().unwrap() {
        for (ratio, value) in values.as_object().unwrap().iter().filter(|(_, v)| v.is_object()) {
            let right = [value["n"].as_u64().unwrap(), value["d"].as_u64().unwrap()];
            let found = sums[&(key.clone(), ratio.clone())];
            // The workbook's later columns are not read here.
            for (form, found) in found.iter().enumerate().filter(|(form, sum)| *form < 2 || **sum != [0, 0]) {
                assert_eq!(*found, right, "{key}, {ratio}, form {form}");
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_line_and_value() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("scenario.csv");
    let header =
        "seq,issued_on,sender,recipient,number,notation,type,subject,urgency,origin,channel,paper_reason\n";
    for (line, expected) in [
        ("1,2016-01-04,H09,H09.1,1,CV,công văn,x,normal,,pigeon,\n", "line 2: channel `pigeon`"),
        ("1,2016-13-04,H09,H09.1,1,CV,công văn,x,normal,,paper,\n", "issued_on `2016-13-04`"),
        ("1,2016-01-04,H99,H09.1,1,CV,công văn,x,normal,,electronic,\n", "sender `H99`"),
    ] {
        std::fs::write(&file, format!("{header}{line}")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_lienthong"))
            .args(["demo", "--scenario", file.to_str().unwrap()])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn kept_files_can_be_audited_and_reported_on_without_changing_them() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let scenario = dir.path().join("scenario.csv");
    std::fs::write(
        &scenario,
        "seq,issued_on,sender,recipient,number,notation,type,subject,urgency,origin,channel,paper_reason\n\
         1,2016-01-04,H09.1,H09.2,1,CV,công văn,Một,normal,born_digital,electronic,\n\
         2,2016-01-05,H09.1,H29,2,CV,công văn,Hai,flash,scanned,dual,mandatory\n\
         3,2016-01-05,H09.1,H29,3,CV,công văn,Ba,normal,,paper,\n",
    )
    .unwrap();
    let result = demo(&["--scenario", scenario.to_str().unwrap(), "--data", data.to_str().unwrap()]);
    let outside = &result["ratios"]["outside"];
    assert_eq!(outside["dual"]["n"], 1);
    assert_eq!(outside["paper_only"]["n"], 1);
    assert_eq!(outside["avoidable_paper"]["n"], 0);
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lienthong")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for node in result["nodes"].as_array().unwrap() {
        let folder = data.join(node["name"].as_str().unwrap());
        let folder = folder.to_str().unwrap();
        // The stop of the node is one event more than the demo saw.
        let checked: Value =
            serde_json::from_str(&run(&["audit", "check", "--data", folder, "--format", "json"])).unwrap();
        assert_eq!(checked["verified"], true);
        assert_eq!(checked["events"].as_u64().unwrap(), node["size"].as_u64().unwrap() + 1);
        run(&["audit", "verify", "--data", folder]);
        assert!(run(&["audit", "list", "--data", folder]).contains("directory_adopted"));
        assert!(run(&["audit", "show", "1", "--data", folder]).contains("directory_adopted"));
        run(&["report", "--data", folder]);
    }
    let csv = run(&["report", "--data", data.join("binh-duong").to_str().unwrap(), "--format", "csv"]);
    assert!(csv.contains("outside,2,dual,1,2,50.00"), "{csv}");
    assert!(csv.contains("internal,0,dual,0,0,n/a"), "{csv}");
}

#[test]
fn signed_files_go_through_the_nodes_and_get_the_verdicts_of_an_independent_signer() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = dir.path().join("one.csv");
    let rows = std::fs::read_to_string(shared("scenario-2016.csv")).unwrap();
    let mut lines = rows.lines();
    let (head, last) = (lines.next().unwrap(), lines.rfind(|l| l.contains(",electronic,")).unwrap());
    std::fs::write(&scenario, format!("{head}\n{last}\n")).unwrap();
    let corpus = shared("corpus");
    let result = demo(&["--scenario", scenario.to_str().unwrap(), "--documents", corpus.to_str().unwrap()]);
    let documents = result["documents"].as_array().unwrap();
    let mut expected = csv::Reader::from_path(corpus.join("expected.csv")).unwrap();
    let mut seen = 0;
    for row in expected.records().map(Result::unwrap) {
        let found = documents.iter().find(|d| d["file"] == row[0]).unwrap();
        let text = |key: &str| found[key].as_str().unwrap();
        assert_eq!(
            [text("sender"), text("person"), text("agency"), text("reason")],
            [&row[2], &row[3], &row[4], &row[5]],
            "{found}"
        );
        let both = &row[3] == "valid" && &row[4] == "valid";
        let outcome = match (&row[3], &row[4]) {
            _ if both => "delivered",
            ("indeterminate", _) | (_, "indeterminate") => "held",
            ("invalid" | "-", _) | (_, "invalid" | "-") => "refused",
            _ => "delivered for information",
        };
        assert_eq!((text("outcome"), found["legally_effective"].as_bool()), (outcome, Some(both)), "{found}");
        seen += 1;
    }
    assert_eq!((seen, documents.len()), (34, 34));
    for node in result["nodes"].as_array().unwrap() {
        assert_eq!(node["verified"], true, "{node}");
    }
}
