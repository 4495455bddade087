//! The paper register by hand, and what a report says of the question that it answers.

use super::{RECIPIENT, SENDER, run, send, stage, tracked};

#[test]
fn a_dispatch_on_paper_is_entered_corrected_and_withdrawn() {
    let net = stage(2_500);
    let entry = |more: &[&str]| {
        let always = [
            "paper",
            "--sender",
            SENDER,
            "--number",
            "12",
            "--notation",
            "CV-VP",
            "--issued-on",
            "2016-03-04",
        ];
        run(&net, "tinh", &[&always, more].concat())
    };
    let said = entry(&["--to", RECIPIENT, "--mandatory", "--basis", "Danh mục 2"]).done();
    let index = said.trim().strip_prefix("entered, event ").unwrap().to_owned();
    entry(&["--to", RECIPIENT, "--corrects", &index, "--urgency", "flash"]).done();
    let events = run(&net, "tinh", &["audit", "list", "--kind", "paper_entered"]).done();
    assert!(
        events.contains("12/CV-VP") && events.lines().filter(|l| l.contains("paper_entered")).count() == 2,
        "{events}"
    );
    let report = run(&net, "tinh", &["report"]).done();
    assert!(report.contains("paper only                100.00 %   1 / 1"), "{report}");
    entry(&["--to", RECIPIENT, "--withdraw"]).done();
    let report = run(&net, "tinh", &["report"]).done();
    assert!(report.contains("paper only                     n/a   0 / 0"), "{report}");

    entry(&[]).failed(&["no_recipient"]);
    entry(&["--to", RECIPIENT, "--dispatched-on", "2016-03-03"])
        .failed(&["invalid_date", "before 2016-03-04"]);
    let said = run(&net, "tinh", &["paper", "--sender", SENDER]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("--number") && said.err.contains("--issued-on"), "{}", said.err);
    // Who acts is one line wherever events are listed.
    entry(&["--to", RECIPIENT, "--user", "tt\n9  2026-01-01  viewed  somebody else"]).failed(&[
        "invalid_text",
        "user",
        "on one line",
    ]);
}

#[test]
fn a_report_says_which_question_it_answers() {
    let net = stage(6_500);
    let id = send(&net, "1");
    tracked(&net, "tinh", &id, "delivered, event");
    let report = |args: &[&str]| run(&net, "tinh", &[&["report"], args].concat()).done();
    let all = report(&[]);
    assert!(all.starts_with("What the agencies of this node sent, by log tinh/log/1 of "), "{all}");
    let some = report(&["--type", "Quyết định", "--recipient", RECIPIENT, "--direction", "down"]);
    assert!(some.contains("Only: direction down, recipient H09.21.7, type quyết định\n"), "{some}");
    assert!(!some.contains("Inside agencies") && !some.contains("With agencies outside"), "{some}");
    let csv = report(&["--type", "Công văn", "--format", "csv"]);
    let header = csv.lines().next().unwrap();
    assert!(header.ends_with(",checkpoint,from,to,filter,closed,network"), "{header}");
    assert!(csv.lines().skip(1).all(|line| line.ends_with(",,,type=công văn,,")), "{csv}");
    let json: serde_json::Value =
        serde_json::from_str(&report(&["--type", "công văn", "--format", "json"])).unwrap();
    assert_eq!(json["filter"], serde_json::json!({"type": "công văn"}));
}
