//! The hand-over, statement by statement as exchange.proto makes them: a real node, real clients.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bytes::Bytes;
use common::check::refusal;
use common::client::Client;
use common::{TestNet, eventually};
use lienthong::wire::pb;
use tonic::Code;

/// A document from H01.2 for H01.1, within node a, and in the inbox.
async fn arrived(net: &TestNet, a: &Client, number: &str) -> Bytes {
    let id = a.deliver(&net.document("H01.2", &["H01.1"], number)).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    id
}

async fn inbox(client: &Client) -> Vec<Bytes> {
    client.inbox("H01.1").await.unwrap().into_iter().map(|i| i.delivery_id).collect()
}

fn leased() -> common::check::Refusal {
    refusal(Code::FailedPrecondition, "leased", "delivery_id", &["try again then"])
}

fn revoked() -> common::check::Refusal {
    refusal(Code::FailedPrecondition, "revoked", "delivery_id", &["was revoked", "no longer in force"])
}

#[tokio::test]
async fn a_document_is_offered_until_it_is_acknowledged_oldest_first() {
    let net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let mut ids = Vec::new();
    for number in ["1", "2", "3"] {
        ids.push(arrived(&net, &a, number).await);
    }
    assert_eq!(inbox(&one).await, ids);
    // Fetched and not acknowledged, it comes again, whole.
    let first = one.fetch("H01.1", &ids[0]).await.unwrap();
    let again = one.fetch("H01.1", &ids[0]).await.unwrap();
    assert_eq!((&first.1, &first.0.envelope), (&again.1, &again.0.envelope));
    assert_eq!(inbox(&one).await, ids);
    one.acknowledge("H01.1", &ids[1]).await.unwrap();
    assert_eq!(inbox(&one).await, [ids[0].clone(), ids[2].clone()]);
    // What was acknowledged can still be opened.
    assert_eq!(one.fetch("H01.1", &ids[1]).await.unwrap().1, net.document("H01.2", &["H01.1"], "2").data);
    net.finish().await;
}

#[tokio::test]
async fn a_watch_has_no_gap_and_repeats_itself_from_any_cursor_also_after_a_restart() {
    let mut net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let first = arrived(&net, &a, "1").await;
    let request = pb::WatchRequest { agencies: vec!["H01.1".into()], ..pb::WatchRequest::default() };
    let mut open = one.node.exchange().watch(request.clone()).await.unwrap().into_inner();
    let mut items = vec![open.message().await.unwrap().unwrap()];
    // While it is open, ten come at once, and one is acknowledged.
    let docs: Vec<_> = (2..12).map(|n| net.document("H01.2", &["H01.1"], &n.to_string()).bulk()).collect();
    assert_eq!(a.send_many(docs).await.len(), 10);
    one.acknowledge("H01.1", &first).await.unwrap();
    while items.len() < 11 {
        items.push(open.message().await.unwrap().unwrap());
    }
    drop(open);
    assert!(items.iter().all(|i| i.kind() == pb::WatchKind::Arrived));
    assert!(items.windows(2).all(|w| w[0].log_index < w[1].log_index), "in the order of the log");
    assert_eq!(one.told(&["H01.1"], "").await.unwrap(), items, "the acknowledged one as well");
    net.kill("a");
    net.start("a").await;
    let one = net.client("a", "one").await;
    for (n, item) in items.iter().enumerate() {
        assert_eq!(one.told(&["H01.1"], &item.cursor).await.unwrap(), items[n + 1..]);
    }
    // For other agencies a cursor is the same place.
    let all = net.dms("a").await.told(&[], &items[4].cursor).await.unwrap();
    assert!(all.iter().all(|i| i.log_index > items[4].log_index));
    assert!(all.iter().any(|i| i.agency == "H01.2"));
    net.finish().await;
}

#[tokio::test]
async fn an_access_is_recorded_before_a_byte_goes_out() {
    let net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let id = arrived(&net, &a, "1").await;
    let request = pb::FetchRequest { agency: "H01.1".into(), delivery_id: id.clone(), ..Default::default() };
    let mut stream = one.node.exchange().fetch(request).await.unwrap().into_inner();
    let Some(pb::fetch_response::Part::Header(header)) = stream.message().await.unwrap().unwrap().part else {
        panic!("the header comes first");
    };
    drop(stream);
    let fetched = net.events("a", "fetched").await;
    assert_eq!(fetched.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [header.log_index]);
    assert_eq!(fetched[0].1.actor.client, "one");
    net.finish().await;
}

#[tokio::test]
async fn a_lease_keeps_other_clients_off_until_it_is_over() {
    let net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let id = arrived(&net, &a, "1").await;
    let before = net.now().millis();
    let (header, _) = one.fetch("H01.1", &id).await.unwrap();
    assert!((before..=net.now().millis()).contains(&(header.lease_until - 300_000)), "five minutes");
    leased().check(&a.fetch("H01.1", &id).await.unwrap_err());
    assert!(a.inbox("H01.1").await.unwrap()[0].leased);
    // It is the client's, on another connection as well, and it renews it.
    net.clock.set(net.now().plus_millis(299_000));
    net.client("a", "one").await.fetch("H01.1", &id).await.unwrap();
    net.clock.set(net.now().plus_millis(299_000));
    leased().check(&a.fetch("H01.1", &id).await.unwrap_err());
    net.clock.set(net.now().plus_millis(2_000));
    assert!(!a.inbox("H01.1").await.unwrap()[0].leased);
    // Over: it is the other's now.
    a.fetch("H01.1", &id).await.unwrap();
    leased().check(&one.fetch("H01.1", &id).await.unwrap_err());
    net.finish().await;
}

#[tokio::test]
async fn after_a_restart_there_is_no_lease_and_everything_else_is_as_before() {
    let mut net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let (first, second) = (arrived(&net, &a, "1").await, arrived(&net, &a, "2").await);
    let acknowledged = one.acknowledge("H01.1", &first).await.unwrap();
    one.fetch("H01.1", &second).await.unwrap();
    let told = one.told(&["H01.1"], "").await.unwrap();
    for kill in [true, false] {
        if kill {
            net.kill("a");
        } else {
            net.stop("a").await;
        }
        net.start("a").await;
        let (a, one) = (net.dms("a").await, net.client("a", "one").await);
        assert_eq!(inbox(&one).await, std::slice::from_ref(&second));
        assert_eq!(one.told(&["H01.1"], "").await.unwrap(), told);
        assert_eq!(one.acknowledge("H01.1", &first).await.unwrap(), acknowledged);
        a.fetch("H01.1", &second).await.unwrap();
        leased().check(&one.fetch("H01.1", &second).await.unwrap_err());
    }
    assert_eq!(net.events("a", "handed_over").await.len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn an_acknowledgement_is_durable_once_and_the_same_for_everybody() {
    let net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let id = arrived(&net, &a, "1").await;
    // One fetches, both acknowledge at once: no lease is needed, and it ends with it.
    one.fetch("H01.1", &id).await.unwrap();
    let (first, second) = tokio::join!(a.acknowledge("H01.1", &id), one.acknowledge("H01.1", &id));
    let index = first.unwrap();
    assert_eq!(second.unwrap(), index);
    let events = net.events("a", "handed_over").await;
    assert_eq!(events.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [index]);
    a.fetch("H01.1", &id).await.unwrap();
    assert_eq!((inbox(&a).await, inbox(&one).await), (vec![], vec![]));
    for client in [&a, &one] {
        assert_eq!(client.acknowledge("H01.1", &id).await.unwrap(), index);
    }
    let arrived = pb::Status::Arrived as i32;
    eventually("01 arrives, once", || async { (a.statuses(&id).await == [arrived]).then_some(()) }).await;
    let told = a.told(&["H01.2"], "").await.unwrap();
    assert_eq!(told.iter().filter(|i| i.kind() == pb::WatchKind::Status).count(), 1);
    net.finish().await;
}

#[tokio::test]
async fn two_clients_see_the_same_inbox_and_the_same_items() {
    let net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    for number in ["1", "2"] {
        arrived(&net, &a, number).await;
    }
    assert_eq!(inbox(&a).await, inbox(&one).await);
    let told = one.told(&["H01.1"], "").await.unwrap();
    assert_eq!(a.told(&["H01.1"], "").await.unwrap(), told);
    // Each works on one of the two, and neither meets the other's.
    let ids = inbox(&a).await;
    a.fetch("H01.1", &ids[0]).await.unwrap();
    one.fetch("H01.1", &ids[1]).await.unwrap();
    leased().check(&one.fetch("H01.1", &ids[0]).await.unwrap_err());
    leased().check(&a.fetch("H01.1", &ids[1]).await.unwrap_err());
    net.finish().await;
}

#[tokio::test]
async fn what_is_held_is_listed_and_not_handed_over_until_it_is_released() {
    let mut net = TestNet::new();
    std::fs::remove_file(net.path("a/crls/documents-ca.crl")).unwrap();
    net.start("a").await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let id = a.deliver(&net.document("H01.2", &["H01.1"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Held).await;
    assert!(one.inbox("H01.1").await.unwrap()[0].held);
    let held = refusal(Code::FailedPrecondition, "held", "delivery_id", &["wait, or release it"]);
    held.check(&one.fetch("H01.1", &id).await.unwrap_err());
    held.check(&one.acknowledge("H01.1", &id).await.unwrap_err());
    one.release("H01.1", &id, false).await.unwrap();
    let kinds: Vec<_> = one.told(&["H01.1"], "").await.unwrap().iter().map(|i| i.kind()).collect();
    assert_eq!(kinds, [pb::WatchKind::Held, pb::WatchKind::Arrived]);
    one.fetch("H01.1", &id).await.unwrap();
    one.acknowledge("H01.1", &id).await.unwrap();
    net.finish().await;
}

#[tokio::test]
async fn what_is_revoked_under_a_lease_is_streamed_to_its_end_and_not_acknowledged() {
    let net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let data = vec![b'x'; 3 << 20];
    let id = a.deliver(&net.document_of("H01.2", &["H01.1"], "1", data.clone())).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let request = pb::FetchRequest { agency: "H01.1".into(), delivery_id: id.clone(), ..Default::default() };
    let mut stream = one.node.exchange().fetch(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    let notice = a.revoke(&net, "H01.2", &id).await;
    one.wait_for_end(&id, pb::EndedBy::Revoked).await;
    let mut came = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(pb::fetch_response::Part::Data(piece)) = message.part {
            came.extend_from_slice(&piece);
        }
    }
    assert!(came == data, "{} bytes came", came.len());
    for client in [&one, &a] {
        revoked().check(&client.fetch("H01.1", &id).await.unwrap_err());
        revoked().check(&client.acknowledge("H01.1", &id).await.unwrap_err());
    }
    let [item] = &one.inbox("H01.1").await.unwrap()[..] else { panic!("it stays listed") };
    assert_eq!((item.ended_by(), item.leased), (pb::EndedBy::Revoked, false));
    let told = one.told(&["H01.1"], "").await.unwrap();
    let last = told.last().unwrap();
    assert_eq!((last.kind(), last.message_kind()), (pb::WatchKind::Notice, pb::Kind::Revoke));
    assert_eq!((&last.delivery_id, &last.message_id), (&id, &notice.delivery_id));
    one.report("H01.1", &id, pb::Status::TakeBackAgreed, "").await.unwrap();
    assert_eq!(one.inbox("H01.1").await.unwrap(), []);
    assert_eq!(net.events("a", "handed_over").await.len(), 0);
    net.finish().await;
}

#[tokio::test]
async fn what_was_acknowledged_before_its_revoke_stays_so() {
    let net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let id = arrived(&net, &a, "1").await;
    let index = one.acknowledge("H01.1", &id).await.unwrap();
    a.revoke(&net, "H01.2", &id).await;
    one.wait_for_end(&id, pb::EndedBy::Revoked).await;
    assert_eq!(one.acknowledge("H01.1", &id).await.unwrap(), index);
    revoked().check(&one.fetch("H01.1", &id).await.unwrap_err());
    assert_eq!(one.inbox("H01.1").await.unwrap(), []);
    net.finish().await;
}
