//! Content that is kept no longer goes; what is open, needed or held stays, and every event and proof.

use bytes::Bytes;
use lienthong::config::{Keep, Retention};
use lienthong::domain::event::EventKind;
use lienthong::domain::ids::Digest;
use lienthong::merkle::sha256;
use lienthong::wire::{pb, words};
use tonic::Code;

use crate::common::check::refusal;
use crate::common::client::Client;
use crate::common::{TestNet, eventually};

const DAY_MS: i64 = 24 * 3600 * 1000;
const RULE: &str = "Công văn: 30 days";

/// Nodes a and b; b keeps official letters for 30 days, and everything else for ever.
async fn network() -> TestNet {
    let mut net = TestNet::new();
    net.configure("b", |config| {
        let types = [("Công văn".to_owned(), Keep::Days(30))].into();
        config.retention = Retention { hour: 1, default: Keep::Forever, types };
    });
    for node in ["a", "b"] {
        net.start(node).await;
    }
    net
}

/// Delivered from a to b, opened and confirmed there.
async fn handed_over(net: &TestNet, a: &Client, b: &Client, doc: &crate::common::document::Doc) -> Bytes {
    let id = a.deliver(doc).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    b.fetch("H01.22", &id).await.unwrap();
    b.acknowledge("H01.22", &id).await.unwrap();
    eventually("its status is settled", || async {
        let waiting = net.queue("b", "a").await.waiting;
        (a.statuses(&id).await.len() == 1 && waiting == 0).then_some(())
    })
    .await;
    id
}

fn later(net: &TestNet, days: i64) {
    net.clock.set(net.now().plus_millis(days * DAY_MS));
}

async fn retain(net: &mut TestNet, node: &str) -> lienthong::exchange::retention::Retained {
    let exchange = net.node(node).exchange().clone();
    exchange.retain().await.unwrap()
}

fn has(net: &mut TestNet, node: &str, digest: &Digest) -> bool {
    net.node(node).exchange().ledger().content().get(digest).unwrap().is_some()
}

/// The log and all content that must be there.
async fn all_is_well(net: &TestNet, node: &str) -> pb::CheckLogResponse {
    let admin = net.client(node, "admin").await;
    let checked =
        admin.node.audit().check_log(pb::CheckLogRequest { content: true }).await.unwrap().into_inner();
    assert_eq!(checked.findings, []);
    checked
}

fn purged() -> crate::common::check::Refusal {
    refusal(Code::FailedPrecondition, "purged", "delivery_id", &["2016-09", RULE, "event"])
}

#[tokio::test]
async fn what_is_kept_no_longer_goes_and_its_events_and_proofs_stay() {
    let mut net = network().await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let (old, unfetched) = (net.document("H01.1", &["H01.22"], "1"), net.document("H01.1", &["H01.22"], "2"));
    let large = net.document_of("H01.1", &["H01.22"], "3", vec![7; 2 << 20]);
    let kept = net.document("H01.1", &["H01.22"], "4").with(|m| m.type_name = "Nghị quyết".to_owned());
    let old_id = handed_over(&net, &a, &b, &old).await;
    let large_id = handed_over(&net, &a, &b, &large).await;
    let kept_id = handed_over(&net, &a, &b, &kept).await;
    let unfetched_id = a.deliver(&unfetched).await.remove(0);
    a.wait_for(&unfetched_id, pb::DeliveryState::Delivered).await;
    let before = all_is_well(&net, "b").await.content.unwrap();

    later(&net, 30);
    assert_eq!(retain(&mut net, "b").await, Default::default(), "the thirtieth day is not over");
    later(&net, 1);
    let retained = retain(&mut net, "b").await;
    assert_eq!(retained.purged, 2);
    assert!(retained.removed.bytes > 2 << 20, "{retained:?}");
    for (doc, id) in [(&old, &old_id), (&large, &large_id)] {
        assert!(!has(&mut net, "b", &sha256(&doc.data)));
        purged().check(&b.fetch("H01.22", id).await.unwrap_err());
    }
    for (doc, id) in [(&kept, &kept_id), (&unfetched, &unfetched_id)] {
        assert_eq!(b.fetch("H01.22", id).await.unwrap().1, doc.data);
    }
    // The event names what went; the origin's proof is kept, and all content that must be there is.
    let events = net.events("b", "purged").await;
    assert_eq!(events.len(), 2);
    for (_, event) in &events {
        let EventKind::Purged { delivery_id, digests, messages, rule } = &event.kind else { panic!() };
        assert_eq!((rule.as_str(), messages.len()), (RULE, 1));
        for digest in digests {
            assert!(!has(&mut net, "b", digest), "{digest}");
        }
        let id = words::id(delivery_id);
        let mut proofs = 0;
        for (_, event) in net.events("b", "received").await {
            if event.kind.delivery_id() == Some(*delivery_id) {
                assert!(has(&mut net, "b", &event.kind.named().proof.unwrap()));
                proofs += 1;
            }
        }
        assert_eq!(proofs, 1, "{}", hex::encode(id));
    }
    let after = all_is_well(&net, "b").await.content.unwrap();
    assert!(after.bytes + (2 << 20) < before.bytes && after.contents < before.contents);
    // Its sender has its own rules.
    assert!(has(&mut net, "a", &sha256(&old.data)));
    // What agencies were told can be told again.
    assert!(!b.told(&[], "").await.unwrap().is_empty());
    // Nothing is left to do, and a start finds everything as it was.
    assert_eq!(retain(&mut net, "b").await, Default::default());
    net.kill("b");
    net.start("b").await;
    let b = net.dms("b").await;
    purged().check(&b.fetch("H01.22", &old_id).await.unwrap_err());
    assert_eq!(b.fetch("H01.22", &kept_id).await.unwrap().1, kept.data);
    all_is_well(&net, "b").await;
    // The sender sends it once more: it has the answer that it had.
    assert_eq!(a.deliver(&old).await.remove(0), old_id);
    net.finish().await;
}

#[tokio::test]
async fn content_that_another_delivery_needs_stays_until_that_is_over_as_well() {
    let mut net = network().await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let data = b"the same for both".to_vec();
    let first = net.document_of("H01.1", &["H01.22"], "1", data.clone());
    handed_over(&net, &a, &b, &first).await;
    later(&net, 20);
    let second = net.document_of("H01.1", &["H01.22"], "2", data.clone());
    let second_id = handed_over(&net, &a, &b, &second).await;
    later(&net, 20);
    assert_eq!(retain(&mut net, "b").await.purged, 1);
    assert_eq!(b.fetch("H01.22", &second_id).await.unwrap().1, data);
    all_is_well(&net, "b").await;
    later(&net, 20);
    assert_eq!(retain(&mut net, "b").await.purged, 1);
    assert!(!has(&mut net, "b", &sha256(&data)));
    all_is_well(&net, "b").await;
    // It comes again, with another document: it is content like any other.
    let third = net.document_of("H01.1", &["H01.22"], "3", data.clone());
    let third_id = handed_over(&net, &a, &b, &third).await;
    assert_eq!(b.fetch("H01.22", &third_id).await.unwrap().1, data);
    all_is_well(&net, "b").await;
    net.finish().await;
}

#[tokio::test]
async fn nothing_under_a_legal_hold_is_purged() {
    let mut net = network().await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let mut ids = Vec::new();
    for number in ["1", "2", "3", "4"] {
        ids.push(handed_over(&net, &a, &b, &net.document("H01.1", &["H01.22"], number)).await);
    }
    let admin = net.client("b", "admin").await;
    let holds = [
        pb::HoldScope { delivery_id: ids[0].clone(), ..Default::default() },
        pb::HoldScope {
            document: Some(pb::DocumentRef {
                agency: "H01.1".into(),
                number: "2".into(),
                notation: "CV-VP".into(),
                year: 2016,
            }),
            ..Default::default()
        },
    ];
    let mut placed = Vec::new();
    for (n, scope) in holds.into_iter().enumerate() {
        let request = pb::PlaceHoldRequest {
            scope: Some(scope),
            reason: format!("vụ án {n}"),
            user: "thẩm phán".into(),
        };
        let hold = admin.node.retention().place_hold(request.clone()).await.unwrap().into_inner().hold;
        // The same again is the same.
        assert_eq!(admin.node.retention().place_hold(request).await.unwrap().into_inner().hold, hold);
        placed.push(hold);
    }
    let listed = admin.node.retention().list_holds(pb::ListHoldsRequest {}).await.unwrap().into_inner().holds;
    let shown: Vec<_> =
        listed.iter().map(|h| (h.hold, h.client.as_str(), h.user.as_str(), h.reason.as_str())).collect();
    assert_eq!(
        shown,
        [(placed[0], "admin", "thẩm phán", "vụ án 0"), (placed[1], "admin", "thẩm phán", "vụ án 1")]
    );
    later(&net, 40);
    assert_eq!(retain(&mut net, "b").await.purged, 2, "the third and the fourth");
    for id in &ids[..2] {
        b.fetch("H01.22", id).await.unwrap();
    }
    // Who may fetch may not lift; a hold is lifted once.
    let lift = |hold| pb::LiftHoldRequest { hold, reason: "xong".into(), user: String::new() };
    let denied = b.node.retention().lift_hold(lift(placed[0])).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    for hold in &placed {
        admin.node.retention().lift_hold(lift(*hold)).await.unwrap();
        let again = admin.node.retention().lift_hold(lift(*hold)).await.unwrap_err();
        assert_eq!(again.code(), Code::NotFound);
    }
    // They were fetched just now, and are leased for five minutes.
    assert_eq!(retain(&mut net, "b").await.purged, 0);
    later(&net, 1);
    assert_eq!(retain(&mut net, "b").await.purged, 2);
    assert_eq!(net.events("b", "hold_placed").await.len(), 2);
    assert_eq!(net.events("b", "hold_lifted").await.len(), 2);
    all_is_well(&net, "b").await;
    net.finish().await;
}

#[tokio::test]
async fn a_hold_on_an_agency_keeps_what_it_sent_and_received_of_a_type_or_of_any() {
    let mut net = network().await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let one = handed_over(&net, &a, &b, &net.document("H01.1", &["H01.22"], "1")).await;
    let two = handed_over(&net, &a, &b, &net.document("H01.2", &["H01.22"], "2")).await;
    let admin = net.client("b", "admin").await;
    let hold = |agency: &str, type_name: &str| pb::PlaceHoldRequest {
        scope: Some(pb::HoldScope {
            agency: agency.into(),
            type_name: type_name.into(),
            ..Default::default()
        }),
        reason: "thanh tra".into(),
        user: String::new(),
    };
    // Another type does not count.
    admin.node.retention().place_hold(hold("H01.2", "nghị quyết")).await.unwrap();
    admin.node.retention().place_hold(hold("H01.1", "công văn")).await.unwrap();
    let unknown = admin.node.retention().place_hold(hold("H99", "")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    later(&net, 40);
    assert_eq!(retain(&mut net, "b").await.purged, 1);
    b.fetch("H01.22", &one).await.unwrap();
    purged().check(&b.fetch("H01.22", &two).await.unwrap_err());
    net.finish().await;
}
