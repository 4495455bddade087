//! Everything is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use lienthong::domain::event::EventKind;
use lienthong::wire::pb;

use super::common::{TestNet, eventually, name};
use super::world::{
    acknowledge, deliver, figures, inbox, lose, open_next, recovered, running, settled_again,
};

/// What was delivered before the loss.
pub struct Before {
    /// a to b: the first was acknowledged.
    pub to_b: Vec<Bytes>,
    /// b to a: the first was acknowledged.
    pub to_a: Vec<Bytes>,
    /// b to c, and back.
    pub to_c: Bytes,
    pub from_c: Bytes,
}

/// Documents both ways.
pub async fn exchanged(net: &TestNet) -> Before {
    let mut before = Before { to_b: vec![], to_a: vec![], to_c: Bytes::new(), from_c: Bytes::new() };
    for number in ["1", "2", "3"] {
        before.to_b.push(deliver(net, "a", "H01.1", "H01.22", number).await);
    }
    for number in ["11", "12"] {
        before.to_a.push(deliver(net, "b", "H01.22", "H01.1", number).await);
    }
    before.to_c = deliver(net, "b", "H01.22", "G01", "21").await;
    before.from_c = deliver(net, "c", "G01", "H01.22.1", "31").await;
    acknowledge(net, "b", "H01.22", &before.to_b[0], "a").await;
    acknowledge(net, "a", "H01.1", &before.to_a[0], "b").await;
    before
}

/// Everything that b lost is back, or there again, and counted once.
pub async fn all_is_back(net: &mut TestNet, before: &Before, of_b: &[(String, u64, u64)]) {
    recovered(net, "b", &["a", "c"]).await;
    for node in ["a", "c"] {
        settled_again(net, node).await;
    }
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    // What b had sent stands as delivered, by the receipts of then; the confirmation came again.
    for id in before.to_a.iter().chain([&before.to_c]) {
        let view = b.track(id).await.unwrap();
        assert_eq!(view.state(), pb::DeliveryState::Delivered);
    }
    eventually("status 01 is there again", || async {
        (b.statuses(&before.to_a[0]).await == [1]).then_some(())
    })
    .await;
    for recovered in net.events("b", "recovered").await {
        let EventKind::Recovered(recovered) = recovered.1.kind else { panic!("{recovered:?}") };
        assert_eq!(recovered.origin.log, "b/log/1");
    }
    // What it had received is in the inboxes again, and is still delivered once where it came from.
    for id in &before.to_b {
        assert_eq!(a.track(id).await.unwrap().state(), pb::DeliveryState::Delivered);
        assert!(inbox(&b, "H01.22").await.contains(id));
    }
    assert!(inbox(&b, "H01.22.1").await.contains(&before.from_c));
    assert_eq!(figures(net, "b").await, of_b);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_lost_comes_back_and_is_counted_once() {
    let mut net = running().await;
    let before = exchanged(&net).await;
    let (of_a, of_b) = (figures(&net, "a").await, figures(&net, "b").await);
    let settled_at = net.dms("a").await.track(&before.to_b[1]).await.unwrap().settled_at;
    net.kill("b");
    lose(&net, "b").await;
    // Long after the time in which it had to be delivered first.
    net.clock.set(net.now().plus_millis(10 * 86_400_000));
    let waiting = net.dms("a").await.deliver(&net.document("H01.1", &["H01.22"], "4")).await.remove(0);
    let opened = open_next(&mut net, "b", None).await;
    assert_eq!((opened.lost.as_str(), opened.kept), ("b/log/1", 0));
    assert!(opened.known > 0 && ["a", "c"].contains(&opened.told_by.as_str()), "{opened:?}");
    net.start("b").await;
    assert!(!net.node("b").exchange().witness().is_unwitnessed());
    net.dms("a").await.wait_for(&waiting, pb::DeliveryState::Delivered).await;
    all_is_back(&mut net, &before, &of_b).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let expected: BTreeSet<Bytes> = before.to_b.iter().cloned().chain([waiting]).collect();
    assert_eq!(inbox(&b, "H01.22").await, expected);
    // a counts each once, as before, and the one that waited.
    let mut with_new = of_a.clone();
    let row = with_new.iter_mut().find(|row| row.0 == "H01.1|H01.22").unwrap();
    (row.1, row.2) = (row.1 + 1, row.2 + 1);
    assert_eq!(figures(&net, "a").await, with_new);
    assert_eq!(a.track(&before.to_b[1]).await.unwrap().settled_at, settled_at);
    // Sent again by its system, it is what it was: the same delivery, and nothing new goes out.
    let submitted = net.events("b", "submitted").await.len();
    let mut doc = net.document("H01.22", &["H01.1"], "11");
    doc.metadata().issued_on = "2016-08-08".into();
    assert_eq!(b.deliver(&doc).await, [before.to_a[0].clone()]);
    assert_eq!(net.events("b", "submitted").await.len(), submitted);
    // The recipient starts anew: it opens what it lost, confirms it again, and reports.
    let (_, content) = b.fetch("H01.22", &before.to_b[0]).await.unwrap();
    assert!(!content.is_empty());
    b.acknowledge("H01.22", &before.to_b[0]).await.unwrap();
    b.report("H01.22", &before.to_b[0], pb::Status::Accepted, "").await.unwrap();
    eventually("its statuses arrive", || async {
        (a.statuses(&before.to_b[0]).await == [1, 1, 3]).then_some(())
    })
    .await;
    // What was received then counts on the day of then.
    let returned = net.events("b", "returned").await;
    assert!(returned.iter().any(|(_, event)| matches!(&event.kind, EventKind::Returned { first, .. }
        if first.receipt.log == "b/log/1" && first.at < event.at)));
    // Both proofs are kept where it came from.
    let id = &before.to_b[1];
    let logs: Vec<String> = net
        .events("a", "settled")
        .await
        .into_iter()
        .filter_map(|(_, event)| match event.kind {
            EventKind::Settled { delivery_id, receipt, .. } if delivery_id.as_bytes()[..] == id[..] => {
                Some(receipt.log)
            }
            _ => None,
        })
        .collect();
    assert_eq!(logs, ["b/log/1", "b/log/2"]);
    // It is over, and every node goes on: also where nothing was lost.
    for node in ["a", "b", "c"] {
        let failed = tokio::time::timeout(Duration::ZERO, net.node(node).failed()).await;
        assert!(failed.is_err(), "node {node}: {failed:?}");
    }
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_is_cut_off_again_and_again_ends_in_the_same() {
    let mut net = running().await;
    let before = exchanged(&net).await;
    let of_b = figures(&net, "b").await;
    net.kill("b");
    lose(&net, "b").await;
    net.kill("c");
    open_next(&mut net, "b", None).await;
    for _ in 0..3 {
        net.start("b").await;
        let exchange = net.node("b").exchange().clone();
        eventually("b began", || async {
            let begun = exchange.recovery().standings().contains_key(&name("a"));
            begun.then_some(())
        })
        .await;
        drop(exchange);
        net.kill("b");
    }
    net.start("b").await;
    // What is for c waits until c has said what it has.
    let early = net.document("H01.22", &["G01"], "21");
    let id = net.dms("b").await.deliver(&early).await.remove(0);
    assert_eq!(id, before.to_c);
    assert_eq!(net.dms("b").await.track(&id).await.unwrap().state(), pb::DeliveryState::Queued);
    net.start("c").await;
    all_is_back(&mut net, &before, &of_b).await;
    let mut seen = BTreeSet::new();
    for (index, event) in net.events("b", "recovered").await {
        assert!(seen.insert(event.kind.delivery_id()), "event {index} came back twice");
    }
    // c has the document once.
    assert_eq!(inbox(&net.dms("c").await, "G01").await.len(), 1);
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_be_called_gets_back_what_it_lost() {
    let mut net = running().await;
    net.stop("b").await;
    net.change_directory(|content| {
        content.version += 1;
        let b = content.nodes.iter_mut().find(|n| n.name == name("b")).unwrap();
        b.endpoints.clear();
    });
    net.start("b").await;
    let before = exchanged(&net).await;
    let of_b = figures(&net, "b").await;
    net.kill("b");
    lose(&net, "b").await;
    open_next(&mut net, "b", None).await;
    // Nobody can fetch the directory from b: the others have it from their own file.
    for node in ["a", "c"] {
        net.stop(node).await;
        net.start(node).await;
    }
    net.start("b").await;
    all_is_back(&mut net, &before, &of_b).await;
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_in_force_does_not_come_again() {
    let mut net = running().await;
    let revoked = deliver(&net, "a", "H01.1", "H01.22", "1").await;
    let refused = deliver(&net, "a", "H01.1", "H01.22", "2").await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    a.revoke(&net, "H01.1", &revoked).await;
    a.wait_for_end(&revoked, pb::EndedBy::Revoked).await;
    acknowledge(&net, "b", "H01.22", &refused, "a").await;
    b.report("H01.22", &refused, pb::Status::Refused, "không thuộc thẩm quyền").await.unwrap();
    eventually("status 02 arrives", || async { a.statuses(&refused).await.contains(&2).then_some(()) }).await;
    // b's own revoke comes back with its document.
    let own = deliver(&net, "b", "H01.22", "H01.1", "11").await;
    b.revoke(&net, "H01.22", &own).await;
    b.wait_for_end(&own, pb::EndedBy::Revoked).await;
    let of_a = figures(&net, "a").await;
    net.kill("b");
    lose(&net, "b").await;
    open_next(&mut net, "b", None).await;
    net.start("b").await;
    recovered(&mut net, "b", &["a", "c"]).await;
    settled_again(&net, "a").await;
    let b = net.dms("b").await;
    assert!(inbox(&b, "H01.22").await.is_empty());
    let view = b.track(&own).await.unwrap();
    assert_eq!(view.ended.map(|e| e.by()), Some(pb::EndedBy::Revoked));
    assert_eq!(figures(&net, "a").await, of_a);
    for node in ["a", "b", "c"] {
        let admin = net.client(node, "admin").await;
        let checked = admin.node.audit().check_log(pb::CheckLogRequest { content: true }).await.unwrap();
        assert_eq!(checked.into_inner().findings, [], "node {node}");
        net.stop(node).await;
    }
}
