//! Differences that are planted in the logs of two nodes are listed with their documents.

use lienthong::domain::decide::{Arrival, Command};
use lienthong::domain::event::{Actor, EventKind, Item, LogRef, RoleVerdicts, Subject};
use lienthong::domain::ids::{DeliveryId, DocumentKey};
use lienthong::domain::{DeliveryState, Kind};
use lienthong::merkle::Hash;
use lienthong::report::Basis;
use lienthong::report::network::print::{List, csv, for_person};
use lienthong::report::network::result::Difference;
use lienthong::signature::Verdict;

use super::{PERIOD, collect, traffic};
use crate::common::{TestNet, name};

const VALID: RoleVerdicts = RoleVerdicts { person: Verdict::Valid, agency: Verdict::Valid, reason: None };
const UNSIGNED: RoleVerdicts = RoleVerdicts { person: Verdict::Absent, agency: Verdict::Valid, reason: None };

fn place(log: &str, index: u64) -> LogRef {
    LogRef { log: log.into(), index, leaf_hash: Hash([index as u8; 32]) }
}

/// The sender's node writes that a delivery arrived.
async fn settle(net: &mut TestNet, node: &str, id: DeliveryId, verdicts: RoleVerdicts) {
    let received_at = net.now();
    let command = Command::Settle {
        delivery_id: id,
        outcome: DeliveryState::Delivered,
        reason: None,
        receipt: place("b/log/1", 900),
        receipt_proof: Hash([9; 32]),
        verdicts,
        received_at,
    };
    net.node(node).exchange().ledger().commit(command).await.unwrap();
}

/// The recipient's node writes that a delivery came.
async fn arrive(net: &mut TestNet, node: &str, item: Item, verdicts: RoleVerdicts) {
    let arrival = Arrival {
        item,
        content_digests: Vec::new(),
        verdicts,
        judged: Default::default(),
        held: false,
        refused: None,
        origin: place("a/log/1", 800),
        origin_proof: Hash([8; 32]),
        peer: name("a"),
        first: None,
    };
    let command = Command::Accept { actor: Actor::node(), arrival: Box::new(arrival) };
    net.node(node).exchange().ledger().commit(command).await.unwrap();
}

/// The item that a node submitted under a number.
async fn submitted(net: &TestNet, node: &str, number: &str) -> Item {
    let events = net.events(node, "submitted").await.into_iter().map(|(_, event)| event.kind);
    let items = events.filter_map(|kind| match kind {
        EventKind::Submitted { item, .. } => Some(item),
        _ => None,
    });
    let found = |item: &Item| matches!(&item.subject, Subject::Document(d) if d.key.number() == number);
    items.into_iter().find(found).unwrap()
}

#[tokio::test]
async fn a_difference_between_two_logs_is_listed_with_its_document() {
    let mut net = TestNet::new();
    net.start_together(&["a", "b", "c"]).await;
    traffic(&net).await;
    // b is away; what a sends it meanwhile, a says arrived.
    net.stop("b").await;
    let dms = net.dms("a").await;
    for number in ["71", "72", "73"] {
        dms.deliver(&net.document("H01.2", &["H01.22"], number)).await;
    }
    let lost = submitted(&net, "a", "71").await;
    let judged = submitted(&net, "a", "72").await;
    let waits = submitted(&net, "a", "73").await;
    settle(&mut net, "a", lost.delivery_id, VALID).await;
    settle(&mut net, "a", judged.delivery_id, UNSIGNED).await;
    // What a no longer sends, it does not offer when it begins anew.
    net.stop("a").await;
    net.start("b").await;
    arrive(&mut net, "b", judged.clone(), VALID).await;
    arrive(&mut net, "b", waits.clone(), VALID).await;
    // b has a document that nobody sent.
    let mut stray = waits.clone();
    let key = DocumentKey::new("74", "CV-VP", 2016).unwrap();
    let (from, to) = (&stray.parties.sender, stray.parties.recipient.as_ref().unwrap());
    stray.delivery_id = DeliveryId::of_document(from, Kind::New.number(), &key, to, 1);
    stray.envelope_digest = Hash([7; 32]);
    let Subject::Document(document) = &mut stray.subject else { panic!("a document") };
    document.key = key;
    arrive(&mut net, "b", stray.clone(), VALID).await;
    net.start("a").await;

    let admin = net.client("a", "admin").await;
    let (report, ..) = collect(&admin, PERIOD).await.unwrap();
    assert!(report.complete && report.recomputed, "{:#?}", report.nodes);
    let mut listed: Vec<_> = report
        .differences
        .iter()
        .map(|d| (d.kind.as_str(), d.document.as_str(), d.sender.as_str(), d.recipient.as_str()))
        .collect();
    listed.sort_by_key(|d| d.1);
    assert_eq!(
        listed,
        [
            ("only_at_sender", "71/CV-VP (2016)", "H01.2", "H01.22"),
            ("verdicts", "72/CV-VP (2016)", "H01.2", "H01.22"),
            ("outcome", "73/CV-VP (2016)", "H01.2", "H01.22"),
            ("only_at_recipient", "74/CV-VP (2016)", "H01.2", "H01.22"),
        ]
    );
    let of = |item: &Item| {
        let id = item.delivery_id.to_string();
        report.differences.iter().find(|d| d.delivery == id).unwrap()
    };
    assert_eq!((of(&lost).at_recipient.clone(), of(&stray).at_sender.clone()), (None, None));
    let sides = of(&judged);
    assert_eq!(sides.at_sender.as_ref().unwrap().told, "absent/valid");
    assert_eq!(sides.at_recipient.as_ref().unwrap().verdicts, "valid/valid");
    let pair = report.pairs.iter().find(|p| p.sender == "H01.2" && p.recipient == "H01.22").unwrap();
    assert_eq!((pair.sent, pair.received, pair.differences), (2, 3, 4));
    assert_eq!(report.difference_count, 4);
    let states = |d: &Difference| (d.at_sender.clone().unwrap().state, d.at_recipient.clone().unwrap().state);
    assert_eq!(states(of(&waits)), ("pending".to_owned(), "delivered".to_owned()));
    // As a person is shown it.
    let shown = for_person(&report, Basis::Deliveries, "", false);
    assert!(shown.contains("H01.2 → H01.22: 71/CV-VP (2016): only at sender"), "{shown}");
    let csv = csv(&report, List::Differences);
    let line = format!(
        "only_at_recipient,74/CV-VP (2016),H01.2,H01.22,,,,,,b,delivered,valid/valid,2016-08-08,2016-08-08,{}",
        stray.delivery_id
    );
    assert!(csv.lines().any(|l| l == line), "{csv}");
    // The logs contradict each other, and name content that nobody has: there is nothing more to check.
    for node in ["a", "b", "c"] {
        net.stop(node).await;
    }
}
