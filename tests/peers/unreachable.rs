//! Node b has no endpoint: it calls, and collects. Nodes a and c have one.

use super::common::{TestNet, eventually, name};
use super::relay::Relay;
use lienthong::wire::pb;

/// The network with b unreachable, and a reached through a wire that can be cut. Nothing runs yet.
async fn stage() -> (TestNet, Relay) {
    let net = TestNet::new();
    let relay = Relay::to(net.config("a").listen_peers).await;
    net.change_directory(|content| {
        for entry in &mut content.nodes {
            if entry.name == name("b") {
                entry.endpoints.clear();
            }
            if entry.name == name("a") {
                entry.endpoints = vec![relay.address.to_string()];
            }
        }
    });
    (net, relay)
}

async fn running() -> (TestNet, Relay) {
    let (mut net, relay) = stage().await;
    for node in ["a", "b", "c"] {
        net.start(node).await;
    }
    (net, relay)
}

fn bytes(n: usize, seed: u32) -> Vec<u8> {
    (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8).collect()
}

#[tokio::test]
async fn documents_and_statuses_go_both_ways_over_the_connections_that_it_makes() {
    let (net, relay) = running().await;
    let (a, b, c) = (net.dms("a").await, net.dms("b").await, net.dms("c").await);
    let cases = [
        (&a, "H01.1", &b, "H01.22"),
        (&b, "H01.22", &a, "H01.1"),
        (&c, "G01", &b, "H01.22.1"),
        (&b, "H01.22.1", &c, "G01"),
    ];
    for (from, sender, to, recipient) in cases {
        let doc = net.document(sender, &[recipient], "1");
        let id = from.deliver(&doc).await.remove(0);
        from.wait_for(&id, pb::DeliveryState::Delivered).await;
        assert_eq!(to.fetch(recipient, &id).await.unwrap().1, doc.data);
        to.acknowledge(recipient, &id).await.unwrap();
        to.report(recipient, &id, pb::Status::Accepted, "").await.unwrap();
        let way = [pb::Status::Arrived, pb::Status::Accepted].map(|s| s as i32);
        eventually("03 arrives", || async { (from.statuses(&id).await == way).then_some(()) }).await;
    }
    assert!(net.queue("a", "b").await.calls_in);
    assert!(!net.queue("b", "a").await.calls_in);
    // Of each of the others one to ask at its start, and one for everything that came later.
    let made = relay.connections();
    assert!((3..=4).contains(&made), "{made} connections were made to a");
    net.finish().await;
}

#[tokio::test]
async fn large_content_goes_both_ways() {
    let (net, _relay) = running().await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    for (from, sender, to, recipient, seed) in
        [(&a, "H01.1", &b, "H01.22", 1), (&b, "H01.22", &a, "H01.1", 2)]
    {
        let annex = bytes((1 << 20) - 7, seed + 10);
        let doc = net
            .document_of(sender, &[recipient], "1", bytes(2 << 20, seed))
            .attach("phụ lục.bin", &annex, net.signatures(sender, &annex))
            .attach("rỗng.bin", b"", net.signatures(sender, b""));
        let id = from.deliver(&doc).await.remove(0);
        from.wait_for(&id, pb::DeliveryState::Delivered).await;
        let (header, data) = to.fetch(recipient, &id).await.unwrap();
        assert!(data == doc.data, "{} bytes came, {} were sent", data.len(), doc.data.len());
        assert!(header.legally_effective);
    }
    net.finish().await;
}

#[tokio::test]
async fn what_a_cut_leaves_open_arrives_once_when_it_has_called_again() {
    let (net, relay) = running().await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let mut sent = Vec::new();
    for round in 0..3 {
        // In the middle of large content, in both directions.
        relay.cut_after(1 << 20);
        let number = (round + 1).to_string();
        let down = net.document_of("H01.1", &["H01.22"], &number, bytes(2 << 20, round));
        let up = net.document_of("H01.22", &["H01.1"], &number, bytes(2 << 20, 100 + round));
        sent.push((a.deliver(&down).await.remove(0), down, b.deliver(&up).await.remove(0), up));
        eventually("the wire is cut", || async { (relay.cuts() > round).then_some(()) }).await;
    }
    for (down_id, down, up_id, up) in &sent {
        a.wait_for(down_id, pb::DeliveryState::Delivered).await;
        b.wait_for(up_id, pb::DeliveryState::Delivered).await;
        assert!(b.fetch("H01.22", down_id).await.unwrap().1 == down.data);
        assert!(a.fetch("H01.1", up_id).await.unwrap().1 == up.data);
    }
    // Many small ones under way when it is cut.
    let docs: Vec<_> = (10..110).map(|n| net.document("H01.1", &["H01.22"], &n.to_string()).bulk()).collect();
    relay.cut_after(200_000);
    a.send_many(docs).await;
    eventually("all are settled", || async { (net.queue("a", "b").await.waiting == 0).then_some(()) }).await;
    net.finish().await;
}

#[tokio::test]
async fn it_goes_on_after_a_restart_of_either_side() {
    let (mut net, _relay) = running().await;
    let a = net.dms("a").await;
    let before = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&before, pb::DeliveryState::Delivered).await;
    // The node that calls is killed, with something for it on the way.
    net.kill("b");
    let away = a.deliver(&net.document("H01.1", &["H01.22"], "2")).await.remove(0);
    let why = eventually("it is said why it waits", || async {
        let view = a.track(&away).await.unwrap();
        view.waiting_for.contains("no endpoint").then_some(view.waiting_for)
    })
    .await;
    assert!(why.contains("node b"), "{why}");
    net.start("b").await;
    a.wait_for(&away, pb::DeliveryState::Delivered).await;
    // The node that is called is killed, with something from the other on the way.
    net.kill("a");
    let b = net.dms("b").await;
    let up = b.deliver(&net.document("H01.22", &["H01.1"], "1")).await.remove(0);
    net.start("a").await;
    b.wait_for(&up, pb::DeliveryState::Delivered).await;
    let a = net.dms("a").await;
    let down = a.deliver(&net.document("H01.1", &["H01.22"], "3")).await.remove(0);
    a.wait_for(&down, pb::DeliveryState::Delivered).await;
    assert_eq!(b.inbox("H01.22").await.unwrap().len(), 3);
    net.finish().await;
}

#[tokio::test]
async fn it_may_come_first_or_last_and_gets_an_endpoint_later() {
    let (mut net, relay) = stage().await;
    net.start("b").await;
    let b = net.dms("b").await;
    let up = b.deliver(&net.document("H01.22", &["H01.1"], "1")).await.remove(0);
    net.start("a").await;
    b.wait_for(&up, pb::DeliveryState::Delivered).await;
    let a = net.dms("a").await;
    let down = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&down, pb::DeliveryState::Delivered).await;
    // From the next version on it can be reached: a calls it, whatever becomes of the old connection.
    let address = net.config("b").listen_peers.to_string();
    net.change_directory(|content| {
        content.version += 1;
        content.nodes.iter_mut().find(|n| n.name == name("b")).unwrap().endpoints = vec![address];
    });
    let note = std::fs::read_to_string(net.path("a/directory.note")).unwrap();
    for node in ["a", "b"] {
        assert!(net.node(node).exchange().directories().offer(&note).unwrap());
    }
    relay.cut();
    let next = a.deliver(&net.document("H01.1", &["H01.22"], "2")).await.remove(0);
    a.wait_for(&next, pb::DeliveryState::Delivered).await;
    assert!(!net.queue("a", "b").await.calls_in);
    net.finish().await;
}
