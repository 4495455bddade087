//! Figures through the API and the commands: who sees which, declarations, closed periods, imported registers, working
//! days.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::check::{invalid, refusal};
use common::client::Client;
use common::{TestNet, key, pem};
use lienthong::domain::event::EventKind;
use lienthong::domain::ratio::Calendar;
use lienthong::merkle::sha256;
use lienthong::wire::pb;
use tonic::{Code, Status};

/// What is asked, with the month that the network begins in.
fn ask(group_by: &[&str]) -> pb::GetRatiosRequest {
    let group_by = group_by.iter().map(|d| (*d).to_owned()).collect();
    pb::GetRatiosRequest { group_by, ..pb::GetRatiosRequest::default() }
}

async fn ratios(client: &Client, request: pb::GetRatiosRequest) -> Result<pb::GetRatiosResponse, Status> {
    client.node.report().get_ratios(request).await.map(tonic::Response::into_inner)
}

/// Key, number counted, number electronic.
fn lines(answer: &pb::GetRatiosResponse) -> Vec<(&str, u64, u64)> {
    let counts = |row: &pb::RatioRow| row.counts.unwrap_or_default().electronic;
    answer.rows.iter().map(|row| (row.key.as_str(), row.deliveries, counts(row))).collect()
}

fn paper(sender: &str, recipient: &str, number: &str, issued_on: &str) -> pb::RecordPaperRequest {
    pb::RecordPaperRequest {
        request_id: format!("p-{sender}-{number}"),
        sender: sender.into(),
        recipient: recipient.into(),
        number: number.into(),
        notation: "CV-VP".into(),
        issued_on: issued_on.into(),
        type_name: "Công văn".into(),
        urgency: pb::Urgency::Normal.into(),
        ..pb::RecordPaperRequest::default()
    }
}

async fn delivered(net: &TestNet, client: &Client, sender: &str, recipients: &[&str], number: &str) {
    for id in client.deliver(&net.document(sender, recipients, number)).await {
        client.wait_for(&id, pb::DeliveryState::Delivered).await;
    }
}

#[tokio::test]
async fn an_agency_sees_the_figures_of_itself_and_its_subunits() {
    let net = TestNet::running(&["a"]).await;
    let dms = net.dms("a").await;
    delivered(&net, &dms, "H01.1", &["H01", "H01.2", "H01.21"], "1").await;
    delivered(&net, &dms, "H01.1.5", &["H01.1"], "2").await;
    delivered(&net, &dms, "H01.2", &["H01.1"], "3").await;
    dms.node.exchange().record_paper(paper("H01.1", "H01.2", "1", "2016-08-08")).await.unwrap();
    let (admin, own) = (net.client("a", "admin").await, net.client("a", "operator").await);
    let all = ratios(&admin, ask(&["sender"])).await.unwrap();
    assert_eq!(lines(&all), [("H01.1", 3, 2), ("H01.1.5", 1, 1), ("H01.2", 1, 1)]);
    assert!(all.exact && all.checkpoint.starts_with("a/log/1\n"), "{}", all.checkpoint);
    let seen = ratios(&own, ask(&["sender"])).await.unwrap();
    assert_eq!(lines(&seen), [("H01.1", 3, 2), ("H01.1.5", 1, 1)]);
    // Another's figures are empty for it, whatever it asks.
    let others = pb::GetRatiosRequest { sender: "H01.2".into(), ..ask(&["sender"]) };
    assert!(ratios(&own, others).await.unwrap().rows.is_empty());
    // A document to three counts once, and went both ways.
    let documents = pb::FigureBasis::Documents.into();
    let answer = ratios(&admin, pb::GetRatiosRequest { basis: documents, ..ask(&["sender"]) }).await.unwrap();
    assert_eq!(lines(&answer), [("H01.1", 1, 0), ("H01.1.5", 1, 1), ("H01.2", 1, 1)]);
    assert_eq!(answer.rows[0].counts.unwrap().dual, 1);
    let answer = ratios(&admin, pb::GetRatiosRequest { basis: documents, ..ask(&[]) }).await.unwrap();
    let find = |key: &str| answer.rows.iter().find(|r| r.key == key).unwrap();
    assert_eq!(find("in_province").deliveries, 2);
    assert_eq!(find("in_province/up@2016-08").counts.unwrap().electronic, 1);
    assert_eq!((find("internal").deliveries, find("outside").deliveries), (1, 0));
    assert!(find("outside").ratios.iter().all(|r| r.d == 0 && r.percent.is_empty()));
    // What an agency was sent, by the day of arrival: its own.
    let incoming = pb::FigureSide::Incoming.into();
    let came = ratios(&own, pb::GetRatiosRequest { side: incoming, ..ask(&["recipient", "sender"]) }).await;
    assert_eq!(lines(&came.unwrap()), [("H01.1|H01.1.5", 1, 1), ("H01.1|H01.2", 1, 1)]);
    // By its old code, in capital letters, by day: the same agency and type.
    let narrow = pb::GetRatiosRequest {
        sender: "000.00.01.H01".into(),
        type_name: "CÔNG VĂN".into(),
        from: "2016-08-08".into(),
        to: "2016-08-08".into(),
        ..ask(&["recipient_level", "direction"])
    };
    let answer = ratios(&admin, narrow).await.unwrap();
    let expected = [
        ("province|up", 1, 1),
        ("department|", 1, 1),
        ("department|horizontal", 1, 0),
        ("district|horizontal", 1, 1),
    ];
    let mut found = lines(&answer);
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    // Who is no operator sees none.
    let error = ratios(&net.client("a", "one").await, ask(&[])).await.unwrap_err();
    refusal(Code::PermissionDenied, "not_allowed", "", &["node role `operator`"]).check(&error);
    net.finish().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_its_field() {
    let net = TestNet::running(&["a"]).await;
    let admin = net.client("a", "admin").await;
    let five = ["scope", "direction", "sender", "type", "urgency"];
    for (request, expected) in [
        (ask(&["colour"]), invalid("invalid_text", "group_by", &["`colour`", "sender_level"])),
        (ask(&["day", "day"]), invalid("invalid_text", "group_by", &["stands twice"])),
        (ask(&five), invalid("too_many", "group_by", &["5", "4"])),
        (
            pb::GetRatiosRequest { from: "2016-Q5".into(), ..ask(&[]) },
            invalid("invalid_date", "from", &["`2016-Q5`", "2016-Q1"]),
        ),
        (
            pb::GetRatiosRequest { from: "2016-08".into(), to: "2016-07".into(), ..ask(&[]) },
            invalid("invalid_date", "from", &["2016-08-01", "2016-07-31"]),
        ),
        (
            pb::GetRatiosRequest { basis: 2, side: 2, ..ask(&[]) },
            invalid("invalid_text", "basis", &["deliveries"]),
        ),
    ] {
        expected.check(&ratios(&admin, request.clone()).await.unwrap_err());
    }
    let unknown = pb::GetRatiosRequest { recipient: "H99".into(), ..ask(&[]) };
    let error = ratios(&admin, unknown).await.unwrap_err();
    assert!(error.message().contains("no agency `H99`"), "{error}");
    net.finish().await;
}

#[tokio::test]
async fn a_closed_period_stays_as_it_was_and_later_changes_are_listed() {
    let mut net = TestNet::running(&["a"]).await;
    let (dms, admin) = (net.dms("a").await, net.client("a", "admin").await);
    dms.node.exchange().record_paper(paper("H01.1", "H01.2", "1", "2016-07-04")).await.unwrap();
    let close = |period: &str| pb::ClosePeriodRequest { period: period.into(), ..Default::default() };
    let error = admin.node.report().close_period(close("2016-08")).await.unwrap_err();
    invalid("invalid_date", "period", &["2016-08", "that is over"]).check(&error);
    let error = dms.node.report().get_snapshot(pb::GetSnapshotRequest { period: "2016-07".into() }).await;
    invalid("invalid_date", "period", &["not closed"]).check(&error.err().unwrap());
    let closed = admin.node.report().close_period(close("2016-07")).await.unwrap().into_inner();
    assert!(!closed.already_closed);
    let again = admin.node.report().close_period(close("2016-07")).await.unwrap().into_inner();
    assert_eq!((again.log_index, again.already_closed), (closed.log_index, true));
    let operator = net.client("a", "operator").await;
    let error = operator.node.report().close_period(close("2016-06")).await.unwrap_err();
    refusal(Code::PermissionDenied, "not_allowed", "", &["operator"]).check(&error);

    // Late paper, and a late delivery of the month.
    let late = dms.node.exchange().record_paper(paper("H01.1", "H01.22", "2", "2016-07-29")).await.unwrap();
    let mut doc = net.document("H01.1", &["H01.2"], "1");
    doc.header.metadata.as_mut().unwrap().issued_on = "2016-07-04".into();
    let id = dms.deliver(&doc).await.remove(0);
    dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    dms.node.exchange().record_paper(paper("H01.2", "H01.21", "9", "2016-07-29")).await.unwrap();
    for restarted in [false, true] {
        if restarted {
            net.kill("a");
            net.start("a").await;
        }
        let admin = net.client("a", "admin").await;
        let list =
            pb::ListRestatementsRequest { period: "2016-07".into(), page_size: 1, ..Default::default() };
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let request = pb::ListRestatementsRequest { page_token: token, ..list.clone() };
            let page = admin.node.report().list_restatements(request).await.unwrap().into_inner();
            found.extend(page.restatements);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let short: Vec<_> = found
            .iter()
            .map(|r| {
                (
                    r.event_kind.as_str(),
                    r.number.as_str(),
                    r.channel_before.as_str(),
                    r.channel_after.as_str(),
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                ("paper_entered", "2", "", "paper"),
                ("submitted", "1", "paper", "pending"),
                ("settled", "1", "pending", "dual"),
                ("paper_entered", "9", "", "paper"),
            ]
        );
        assert_eq!(found[0].log_index, late.get_ref().log_index);
        assert_eq!((found[0].sender.as_str(), found[0].recipient.as_str()), ("H01.1", "H01.22"));
        let now = ratios(&admin, ask(&["month"])).await.unwrap();
        assert_eq!(lines(&now), [("2016-07", 3, 0)]);
        assert_eq!((now.closed[0].period.as_str(), now.closed[0].restatements), ("2016-07", 4));
        // Another agency's changes are not counted for it.
        let own = ratios(&net.client("a", "operator").await, ask(&["month"])).await.unwrap();
        assert_eq!(own.closed[0].restatements, 3);
        // What it was: in the event, and in the text that the event names.
        let (_, event) = net.events("a", "period_closed").await.remove(0);
        let EventKind::PeriodClosed(event) = event.kind else { panic!("the period's event") };
        let total = event.totals.iter().find(|t| t.key == "in_province").unwrap();
        assert_eq!((total.deliveries.deliveries, total.documents.paper), (1, 1));
        let mut pieces = admin
            .node
            .report()
            .get_snapshot(pb::GetSnapshotRequest { period: "2016-07".into() })
            .await
            .unwrap()
            .into_inner();
        let mut text = Vec::new();
        while let Some(piece) = pieces.message().await.unwrap() {
            text.extend_from_slice(&piece.data);
        }
        assert_eq!(sha256(&text).as_bytes().as_slice(), closed.snapshot.as_ref());
        assert_eq!(event.snapshot_size, text.len() as u64);
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains("\t2016-07\tH01.1\tH01.1\tdepartment\tin_province\thorizontal\t1\t0\t0\t1\t"),
            "{text}"
        );
    }
    net.finish().await;
}

#[tokio::test]
async fn coverage_follows_what_the_agencies_declare() {
    let net = TestNet::running(&["a"]).await;
    let (dms, one, admin) =
        (net.dms("a").await, net.client("a", "one").await, net.client("a", "admin").await);
    for (sender, number) in [("H01.1", "1"), ("H01.1.5", "2"), ("H01.2", "3")] {
        dms.node.exchange().record_paper(paper(sender, "H01.21", number, "2016-07-04")).await.unwrap();
    }
    let declare = |agency: &str, month: &str, withdraw| pb::DeclarePaperRequest {
        agency: agency.into(),
        month: month.into(),
        withdraw,
        user: String::new(),
    };
    let coverage = async || {
        let answer = ratios(&admin, ask(&["sender_registered"])).await.unwrap();
        let missing =
            answer.coverage.clone().unwrap().missing.into_iter().map(|m| m.agency).collect::<Vec<_>>();
        (answer.rows.iter().map(|r| r.covered.unwrap()).collect::<Vec<_>>(), missing)
    };
    assert_eq!(coverage().await, (vec![0, 0], vec!["H01.1".to_owned(), "H01.2".to_owned()]));
    // A registered agency speaks for its subunits.
    let first =
        one.node.report().declare_paper(declare("H01.1", "2016-07", false)).await.unwrap().into_inner();
    let again =
        one.node.report().declare_paper(declare("H01.1", "2016-07", false)).await.unwrap().into_inner();
    assert_eq!((again.log_index, again.already_recorded), (first.log_index, true));
    assert_eq!(coverage().await, (vec![2, 0], vec!["H01.2".to_owned()]));
    // Whatever figures stand apart by, and whatever is left out: the same deliveries are covered.
    for dimension in ["type", "urgency", "recipient", "day", "recipient_level", "sender"] {
        let answer = ratios(&admin, ask(&[dimension])).await.unwrap();
        assert_eq!(answer.rows.iter().map(|r| r.covered.unwrap()).sum::<u64>(), 2, "{dimension}");
        assert_eq!(answer.coverage.map(|c| (c.covered, c.all)), Some((2, 3)), "{dimension}");
    }
    let of_day = |day: &str| pb::GetRatiosRequest { from: day.into(), to: day.into(), ..ask(&[]) };
    let then = ratios(&admin, of_day("2016-07-04")).await.unwrap();
    assert_eq!(then.coverage.map(|c| (c.covered, c.all)), Some((2, 3)));
    assert_eq!(then.rows.iter().find(|r| r.key == "in_province").unwrap().covered, Some(2));
    let none = ratios(&admin, of_day("2016-07-05")).await.unwrap();
    assert_eq!(none.coverage.map(|c| (c.covered, c.all, c.missing.len())), Some((0, 0, 0)));
    let others = pb::GetRatiosRequest { type_name: "quyết định".into(), ..ask(&["sender"]) };
    let others = ratios(&admin, others).await.unwrap();
    assert_eq!((others.rows.len(), others.coverage.map(|c| (c.covered, c.all))), (0, Some((0, 0))));
    one.node.report().declare_paper(declare("H01.1", "2016-07", true)).await.unwrap();
    assert_eq!(coverage().await.0, [0, 0]);
    // Another month says nothing about this one, and none that lies ahead can be declared.
    one.node.report().declare_paper(declare("H01.1", "2016-06", false)).await.unwrap();
    assert_eq!(coverage().await.0, [0, 0]);
    let error = one.node.report().declare_paper(declare("H01.1", "2016-09", false)).await.unwrap_err();
    invalid("invalid_date", "month", &["2016-09", "lies ahead"]).check(&error);
    let error = one.node.report().declare_paper(declare("H01.2", "2016-07", false)).await.unwrap_err();
    refusal(Code::PermissionDenied, "not_allowed", "agency", &["`dms`"]).check(&error);
    net.finish().await;
}

fn run(net: &TestNet, args: &[&str]) -> Output {
    let base = net.client_files("a", "dms");
    Command::new(env!("CARGO_BIN_EXE_lienthong"))
        .args(args)
        .args(["--node", &net.config("a").listen_clients.to_string(), "--server-name", "a"])
        .arg("--cert")
        .arg(pem(&base))
        .arg("--key")
        .arg(key(&base))
        .arg("--ca")
        .arg(net.path("clients/network-ca.pem"))
        .output()
        .unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn a_register_is_imported_line_by_line_and_again_without_a_change() {
    let net = TestNet::running(&["a"]).await;
    let file = net.path("register.csv");
    let file_text: &Path = &file;
    let header = "issued_on,sender,recipient,recipient_name,number,notation,type,subject,urgency,channel,paper_reason,basis";
    let good = "2016-08-01,H01.1,H01.2,,1,CV-VP,công văn,bí mật,normal,dual,mandatory,Danh mục 2\n\
                2016-08-01,H01.1,,Công ty A,2,CV-VP,công văn,x,urgent,paper,,\n\
                2016-08-01,H01.1,H01.2,,3,CV-VP,công văn,x,normal,electronic,,\n";
    let wrong = "2016-13-01,H01.1,H01.2,,4,CV-VP,công văn,x,normal,paper,,\n\
                 2016-08-01,H77,H01.2,,5,CV-VP,công văn,x,normal,paper,,\n\
                 2016-08-01,H01.1,H88,,6,CV-VP,công văn,x,normal,paper,,\n\
                 2016-08-01,H01.1,H01.2,,1,CV-VP,công văn,x,normal,dual,,\n\
                 2016-08-01,H01.1,H01.2\n";
    std::fs::write(file_text, format!("{header}\n{good}{wrong}")).unwrap();
    let path = file.to_str().unwrap();
    let checked = run(&net, &["paper", "import", path, "--check"]);
    assert!(printed(&checked).contains("line 5: issued_on `2016-13-01`"), "{}", printed(&checked));
    assert!(net.events("a", "paper_entered").await.is_empty(), "nothing was entered");

    let first = run(&net, &["paper", "import", path]);
    let text = printed(&first);
    assert_eq!(first.status.code(), Some(1), "{text}");
    assert!(text.contains("2 entered, 0 were entered before, 1 are not on paper, 5 are wrong"), "{text}");
    for (line, problem) in [
        (5, "issued_on `2016-13-01`"),
        (6, "no agency `H77`"),
        (7, "no agency `H88`"),
        (8, "was used for something else"),
        (9, "field"),
    ] {
        let found = text.lines().find(|l| l.starts_with(&format!("line {line}: "))).unwrap_or_default();
        assert!(found.contains(problem), "line {line}: {text}");
    }
    let entered = net.events("a", "paper_entered").await;
    assert_eq!(entered.len(), 2);
    let again = printed(&run(&net, &["paper", "import", path]));
    assert!(again.contains("0 entered, 2 were entered before, 1 are not on paper, 5 are wrong"), "{again}");
    // As spreadsheets write it where the comma is the decimal sign.
    std::fs::write(file_text, format!("\u{feff}{header}\n{good}").replace(',', ";")).unwrap();
    let again = printed(&run(&net, &["paper", "import", path]));
    assert!(again.contains("0 entered, 2 were entered before, 1 are not on paper, 0 are wrong"), "{again}");
    assert_eq!(net.events("a", "paper_entered").await.len(), 2);
    std::fs::write(file_text, "sender;number;loại\n").unwrap();
    let said = printed(&run(&net, &["paper", "import", path]));
    assert!(said.contains("no column issued_on, notation, type; its first line names 3 columns: "), "{said}");

    let declared = run(&net, &["paper", "complete", "--agency", "H01.1", "--month", "2016-08"]);
    assert!(printed(&declared).contains("declared complete, event"), "{}", printed(&declared));
    let report = printed(&run(&net, &["report", "--from", "2016-08", "--to", "2016-08"]));
    assert!(report.contains("cover 2 / 2 of these deliveries (100.00 %)"), "{report}");
    let report = printed(&run(&net, &["report", "--group-by", "recipient", "--format", "csv"]));
    assert!(report.contains("H01.2,1,paper_only,1,1,100.00,outgoing,0,0,1,1,a/log/1 "), "{report}");
    net.finish().await;
}

#[tokio::test]
async fn holidays_are_recorded_and_decide_what_is_in_time() {
    let mut net = TestNet::new();
    // Issued on Thursday the 4th: due on Friday noon; with Friday free, on Monday noon. It is Monday, nine o'clock.
    let friday = Calendar { holidays: vec!["2016-08-05".parse().unwrap()], workdays: vec![] };
    let mut in_time = Vec::new();
    for (number, calendar) in [("1", Calendar::default()), ("2", friday.clone()), ("3", friday.clone())] {
        net.configure("a", |config| config.calendar = calendar);
        net.start("a").await;
        let dms = net.dms("a").await;
        let mut doc = net.document("H01.1", &["H01.2"], number);
        doc.header.metadata.as_mut().unwrap().issued_on = "2016-08-04".into();
        let id = dms.deliver(&doc).await.remove(0);
        dms.wait_for(&id, pb::DeliveryState::Delivered).await;
        let answer = ratios(&net.client("a", "admin").await, ask(&["day"])).await.unwrap();
        let counts = answer.rows[0].counts.unwrap();
        in_time.push((counts.on_time, counts.sent));
        // Only a change is recorded.
        let set = net.events("a", "calendar_set").await;
        assert_eq!(set.len(), usize::from(number != "1"));
        assert!(set.iter().all(|(_, e)| e.kind == EventKind::CalendarSet(friday.clone())));
        net.stop("a").await;
    }
    assert_eq!(in_time, [(0, 1), (1, 2), (2, 3)]);
    net.start("a").await;
    net.finish().await;
}
