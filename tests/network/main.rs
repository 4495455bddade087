//! The network's figures: three nodes state, one collects; what was edited, is missing, or differs is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod edited;
mod long;
mod planted;
mod scenario;

use std::collections::BTreeMap;

use common::check::{invalid, refusal};
use common::client::Client;
use common::{TestNet, eventually, name};
use lienthong::config::Collectors;
use lienthong::domain::event::EventKind;
use lienthong::domain::ratio::Counters;
use lienthong::merkle::sha256;
use lienthong::report::network::NetworkReport;
use lienthong::wire::figures::read_counts;
use lienthong::wire::pb;
use tonic::{Code, Status};

const PERIOD: &str = "2016-08";

/// What a node collects, and the event that records it.
async fn collect(client: &Client, period: &str) -> Result<(NetworkReport, u64, Vec<u8>), Status> {
    let request = pb::ReportNetworkRequest { period: period.into(), user: "tester".into() };
    let mut pieces = client.node.report().report_network(request).await?.into_inner();
    let (mut text, mut index) = (Vec::new(), 0);
    while let Some(piece) = pieces.message().await? {
        if text.is_empty() {
            index = piece.log_index;
        }
        text.extend_from_slice(&piece.data);
    }
    Ok((serde_json::from_slice(&text).unwrap(), index, text))
}

/// The sums of a basis, of those that count anything.
fn totals(report: &NetworkReport, basis: &str) -> BTreeMap<String, Counters> {
    let sums = report.totals[basis].iter().filter(|(_, sum)| sum.counters.deliveries > 0);
    sums.map(|(key, sum)| (key.clone(), sum.counters)).collect()
}

/// What the reports of these nodes add up to.
async fn added(net: &TestNet, nodes: &[&str], basis: pb::FigureBasis) -> BTreeMap<String, Counters> {
    let mut sums: BTreeMap<String, Counters> = BTreeMap::new();
    for node in nodes {
        let request = pb::GetRatiosRequest { basis: basis.into(), ..pb::GetRatiosRequest::default() };
        let admin = net.client(node, "admin").await;
        for row in admin.node.report().get_ratios(request).await.unwrap().into_inner().rows {
            let sum = sums.entry(row.key).or_default();
            *sum = sum.plus(read_counts(row.counts.as_ref()));
        }
    }
    sums.retain(|_, sum| sum.deliveries > 0);
    sums
}

/// Documents to and fro, to several recipients, with paper.
async fn traffic(net: &TestNet) {
    for (node, sender, recipients, number) in [
        ("a", "H01.1", &["H01.2", "H01.22", "G01"][..], "1"),
        ("a", "H01.1.5", &["H01.1"], "2"),
        ("b", "H01.22", &["H01", "H01.22.1"], "3"),
        ("c", "G01", &["H01", "H01.22"], "4"),
    ] {
        let dms = net.dms(node).await;
        for id in dms.deliver(&net.document(sender, recipients, number)).await {
            dms.wait_for(&id, pb::DeliveryState::Delivered).await;
        }
    }
    for (recipient, recipient_name, number) in [("H01.22", "", "1"), ("", "Công ty A", "9")] {
        let paper = pb::RecordPaperRequest {
            request_id: format!("p-{number}"),
            sender: "H01.1".into(),
            recipient: recipient.into(),
            recipient_name: recipient_name.into(),
            number: number.into(),
            notation: "CV-VP".into(),
            issued_on: "2016-08-08".into(),
            type_name: "Công văn".into(),
            urgency: pb::Urgency::Normal.into(),
            ..pb::RecordPaperRequest::default()
        };
        net.dms("a").await.node.exchange().record_paper(paper).await.unwrap();
    }
    let declared =
        pb::DeclarePaperRequest { agency: "H01.1".into(), month: PERIOD.into(), ..Default::default() };
    net.dms("a").await.node.report().declare_paper(declared).await.unwrap();
}

/// Lets `a` collect, and recount as well or not.
fn allow(net: &mut TestNet, node: &str, collect: bool, recount: bool) {
    let only = |yes: bool| yes.then(|| name("a")).into_iter().collect();
    net.configure(node, |config| {
        config.collectors = Collectors { collectors: only(collect), auditors: only(recount) };
    });
}

#[tokio::test]
async fn each_delivery_counts_once_and_what_was_collected_is_recorded() {
    let mut net = TestNet::new();
    allow(&mut net, "b", false, true);
    allow(&mut net, "c", true, false);
    net.start_together(&["a", "b", "c"]).await;
    traffic(&net).await;
    let admin = net.client("a", "admin").await;
    let (report, index, text) = collect(&admin, PERIOD).await.unwrap();
    assert!(report.complete && !report.recomputed, "{:#?}", report.nodes);
    assert_eq!(report.differences, []);
    let parts: Vec<_> =
        report.nodes.iter().map(|n| (n.node.as_str(), n.outcome.as_str(), n.sent, n.received)).collect();
    assert_eq!(parts, [("a", "stated", 5, 4), ("b", "stated", 2, 3), ("c", "stated", 2, 1)]);
    // Who may read the log counts it again; of the others it says so.
    let recomputed: Vec<_> = report.nodes.iter().map(|n| (n.recomputed, n.not_recomputed.as_str())).collect();
    assert_eq!(recomputed, [(true, ""), (true, ""), (false, "the log may not be read")]);
    // Each delivery once, on its sender's side: as the nodes' own figures add up.
    for (basis, word) in
        [(pb::FigureBasis::Deliveries, "deliveries"), (pb::FigureBasis::Documents, "documents")]
    {
        assert_eq!(totals(&report, word), added(&net, &["a", "b", "c"], basis).await, "{word}");
    }
    assert_eq!(totals(&report, "deliveries")["in_province"].deliveries, 4);
    assert_eq!(totals(&report, "documents")["outside"].deliveries, 3);
    assert_eq!((report.coverage.covered, report.coverage.all), (5, 9));
    let pair = report.pairs.iter().find(|p| p.sender == "G01" && p.recipient == "H01.22").unwrap();
    assert_eq!((pair.sent, pair.received, pair.differences, pair.compared), (1, 1, 0, true));
    // It is an event, whose digest is that of what was handed out; each node's statement is one, too.
    let (at, event) = net.events("a", "network_reported").await.remove(0);
    let EventKind::NetworkReported(reported) = event.kind else { panic!("the result's event") };
    assert_eq!((at, reported.result, reported.complete), (index, sha256(&text), true));
    assert_eq!((event.actor.client.as_str(), event.actor.user.as_str()), ("admin", "tester"));
    for (part, node) in report.nodes.iter().zip(&reported.nodes) {
        let (place, digest) = node.stated.clone().unwrap();
        assert_eq!((place.index, digest.to_string()), (part.index, part.statement.clone()));
        let (at, event) = net.events(&part.node, "statement_made").await.remove(0);
        let EventKind::StatementMade(made) = event.kind else { panic!("the statement's event") };
        assert_eq!((at, made.statement, event.actor.client.as_str()), (part.index, digest, "a"));
    }
    // Collected again, nothing changed: the same statements. After a change, another of that node.
    let (again, ..) = collect(&admin, PERIOD).await.unwrap();
    let places = |r: &NetworkReport| r.nodes.iter().map(|n| n.index).collect::<Vec<_>>();
    assert_eq!(places(&again), places(&report));
    let dms = net.dms("b").await;
    let id = dms.deliver(&net.document("H01.22.1", &["H01.22"], "8")).await.remove(0);
    dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    let (later, ..) = collect(&admin, PERIOD).await.unwrap();
    assert_eq!((later.nodes[0].index, later.nodes[2].index), (again.nodes[0].index, again.nodes[2].index));
    assert!(later.nodes[1].index > again.nodes[1].index && later.nodes[1].recomputed);
    assert_eq!(later.differences, []);
    // Of another period there is nothing, and that is a statement as well.
    let (empty, ..) = collect(&admin, "2015").await.unwrap();
    assert!(empty.complete && totals(&empty, "deliveries").is_empty() && empty.pairs.is_empty());
    net.finish().await;
}

#[tokio::test]
async fn who_is_missing_or_does_not_allow_it_is_named() {
    let mut net = TestNet::new();
    allow(&mut net, "c", false, false);
    net.start_together(&["a", "b", "c"]).await;
    traffic(&net).await;
    net.stop("b").await;
    let admin = net.client("a", "admin").await;
    let (report, ..) = collect(&admin, PERIOD).await.unwrap();
    assert!(!report.complete && !report.recomputed);
    let parts: Vec<_> = report.nodes.iter().map(|n| (n.node.as_str(), n.outcome.as_str())).collect();
    assert_eq!(parts, [("a", "stated"), ("b", "peer_unreachable"), ("c", "not_allowed")]);
    assert!(report.nodes[2].message.contains("node `a` is not in `figures.collectors` of `c`"));
    assert_eq!(totals(&report, "deliveries"), added(&net, &["a"], pb::FigureBasis::Deliveries).await);
    // What only one side stated is not called a difference.
    assert_eq!(report.differences, []);
    let pair = report.pairs.iter().find(|p| p.sender == "H01.1" && p.recipient == "H01.22").unwrap();
    assert_eq!((pair.sent, pair.received, pair.compared), (1, 0, false));
    let (_, event) = net.events("a", "network_reported").await.remove(0);
    let EventKind::NetworkReported(reported) = event.kind else { panic!("the result's event") };
    let reasons: Vec<_> = reported.nodes.iter().map(|n| n.stated.as_ref().err().map(|r| r.code())).collect();
    assert_eq!(reasons, [None, Some("peer_unreachable"), Some("not_allowed")]);
    assert!(net.events("c", "statement_made").await.is_empty());
    // Only operators of the node ask, for whole months and more.
    let error = collect(&net.client("a", "operator").await, PERIOD).await.unwrap_err();
    refusal(Code::PermissionDenied, "not_allowed", "", &["node role `operator`"]).check(&error);
    let error = collect(&admin, "2016-08-08").await.unwrap_err();
    invalid("invalid_date", "period", &["2016-08-08 is a day"]).check(&error);
    let error = collect(&admin, "").await.unwrap_err();
    invalid("missing_field", "period", &[]).check(&error);
    net.finish().await;
}

#[tokio::test]
async fn a_node_that_cannot_be_called_states_its_figures_on_its_own_connection() {
    let mut net = TestNet::new();
    net.change_directory(|content| {
        content.nodes.iter_mut().find(|n| n.name == name("b")).unwrap().endpoints.clear();
    });
    net.start_together(&["a", "b", "c"]).await;
    traffic(&net).await;
    let admin = net.client("a", "admin").await;
    let report = eventually("b states its figures", || async {
        let (report, ..) = collect(&admin, PERIOD).await.unwrap();
        report.complete.then_some(report)
    })
    .await;
    assert!(report.recomputed && report.differences.is_empty(), "{:#?}", report.nodes);
    assert_eq!(
        totals(&report, "deliveries"),
        added(&net, &["a", "b", "c"], pb::FigureBasis::Deliveries).await
    );
    net.finish().await;
}
