//! What waits until its time is over, and what comes after that.

use std::sync::Arc;
use std::time::Duration;

use lienthong::wire::pb;
use lienthong::wire::pb::deliver_response::Outcome;

use super::common::peer::{Answer, FakePeer, Receipt};
use super::common::{TestNet, eventually};

#[tokio::test]
async fn everything_that_waits_for_a_peer_that_never_comes_is_given_up_when_its_time_is_over() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let soon = net.now().plus_millis(3_600_000);
    // More than is ever tried; some have longer.
    let docs: Vec<_> = (1..=600)
        .map(|n| {
            let doc = net.document("H01.1", &["H01.22"], &n.to_string());
            doc.with_header(|h| h.not_after = if n % 10 == 0 { 0 } else { soon.millis() }).bulk()
        })
        .collect();
    a.send_many(docs).await;
    eventually("the peer is given up for now", || async {
        (net.queue("a", "b").await.breaker == "open").then_some(())
    })
    .await;
    net.clock.set(soon.plus_millis(1));
    eventually("they are given up", || async { (net.queue("a", "b").await.waiting == 60).then_some(()) })
        .await;
    let told = a.told(&["H01.1"], "").await.unwrap();
    assert_eq!(told.len(), 540);
    assert!(told.iter().all(|i| i.kind() == pb::WatchKind::Undelivered && i.reason == "peer_unreachable"));
    net.clock.set(soon.plus_millis(6 * 24 * 3_600_000));
    eventually("the others, too", || async { (net.queue("a", "b").await.waiting == 0).then_some(()) }).await;
    net.finish().await;
}

#[tokio::test]
async fn a_proof_that_comes_after_the_give_up_overrides_it() {
    let mut net = TestNet::new();
    net.configure("a", |config| config.peer_answer = Duration::from_secs(1));
    net.start("a").await;
    let a = net.dms("a").await;
    let silent: Answer = Arc::new(|_| None);
    let fake = FakePeer::start(&net, "c", silent).await;
    let not_after = net.now().plus_millis(3_600_000);
    let doc = net.document("H01.1", &["G01"], "1").with_header(|h| h.not_after = not_after.millis());
    let id = a.deliver(&doc).await.remove(0);
    eventually("it was not answered", || async {
        net.queue("a", "c").await.last_error.contains("no answer").then_some(())
    })
    .await;
    net.clock.set(not_after.plus_millis(1));
    a.wait_for(&id, pb::DeliveryState::Undelivered).await;
    // A receipt of something else changes nothing; then the true one comes.
    let offer = fake.offers().remove(0);
    let mut log = net.hand_log("c");
    let mut other = Receipt::of(&offer);
    other.content_digests.clear();
    let other = log.prove(net.now(), other.received());
    let receipt = log.prove(net.now(), Receipt::of(&offer).received());
    fake.says(offer.id, Outcome::Receipt(other.to_wire())).await;
    fake.says(offer.id, Outcome::Receipt(receipt.to_wire())).await;
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let told: Vec<_> = a.told(&["H01.1"], "").await.unwrap().iter().map(|i| i.kind()).collect();
    assert_eq!(told, [pb::WatchKind::Undelivered, pb::WatchKind::Delivered]);
    net.finish().await;
}
