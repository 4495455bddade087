//! From node to node: pulls that break and go on, in both directions.

use std::sync::Arc;

use lienthong::store::disk::faulty::{Fault, FaultyDisk};
use lienthong::wire::pb;

use super::common::eventually;
use super::proxy::{BACK, Flow};
use super::stage::{MIB, SLACK, Stage, delivery, noise};

#[tokio::test]
async fn a_pull_that_breaks_goes_on_where_it_stopped() {
    let stage = Stage::running().await;
    let doc = stage.document(1, 24 * MIB);
    // Node b dials node a for it.
    let proxy = &stage.peers["a"];
    proxy.flow(BACK, Flow::CutOnceAfter(10 * MIB as u64));
    let id = delivery(stage.send(&doc).await.unwrap());
    stage.arrives(&id, &doc).await;
    assert_eq!(proxy.cuts(), 1);
    let bytes = proxy.bytes(BACK);
    assert!(bytes < 24 * MIB as u64 + SLACK, "{bytes} bytes came for 24 MiB");
    stage.net.finish().await;
}

#[tokio::test]
async fn a_pull_that_breaks_in_the_other_direction_goes_on_as_well() {
    let stage = Stage::running().await;
    let doc = stage.net.document_of("H01.22", &["H01.1"], "1", noise(1, 12 * MIB));
    let proxy = &stage.peers["b"];
    proxy.flow(BACK, Flow::CutOnceAfter(5 * MIB as u64));
    let b = stage.net.dms("b").await;
    let id = b.deliver(&doc).await.remove(0);
    b.wait_for(&id, pb::DeliveryState::Delivered).await;
    let (_, data) = stage.net.dms("a").await.fetch("H01.1", &id).await.unwrap();
    assert!(data == doc.data);
    assert_eq!(proxy.cuts(), 1);
    let bytes = proxy.bytes(BACK);
    assert!(bytes < 12 * MIB as u64 + SLACK, "{bytes} bytes came for 12 MiB");
    stage.keeps("a", 0).await;
    stage.net.finish().await;
}

/// Lets a pull stand still in the middle, ends nodes, starts them again, and lets it go on.
async fn restarted(nodes: &[&str], stop: bool) {
    let mut stage = Stage::running().await;
    let doc = stage.document(1, 24 * MIB).attach("phụ lục.xml", &noise(5, 2 * MIB), vec![]);
    stage.peers["a"].flow(BACK, Flow::StallAfter(14 * MIB as u64));
    let id = delivery(stage.send(&doc).await.unwrap());
    eventually("the pull stands still", || async {
        (stage.peers["a"].most(BACK) >= 14 * MIB as u64).then_some(())
    })
    .await;
    stage.keeps("b", 2).await;
    for node in nodes {
        if stop {
            stage.net.stop(node).await;
        } else {
            stage.net.kill(node);
        }
    }
    for proxy in stage.peers.values() {
        proxy.cut_all();
    }
    stage.peers["a"].flow(BACK, Flow::Open);
    let before = stage.peers["a"].bytes(BACK);
    for node in nodes {
        stage.net.start(node).await;
    }
    stage.arrives(&id, &doc).await;
    let after = stage.peers["a"].bytes(BACK) - before;
    // Eight of the fourteen MiB were durable at least.
    assert!(after < 18 * MIB as u64 + SLACK, "{after} bytes came after the restart");
    stage.net.finish().await;
}

#[tokio::test]
async fn a_pull_goes_on_after_the_node_that_pulls_was_killed() {
    restarted(&["b"], false).await;
}

#[tokio::test]
async fn a_pull_goes_on_after_the_node_that_serves_was_killed() {
    restarted(&["a"], false).await;
}

#[tokio::test]
async fn a_pull_goes_on_after_both_nodes_were_stopped() {
    restarted(&["a", "b"], true).await;
}

#[tokio::test]
async fn a_disk_that_fills_in_mid_pull_leaves_nothing_and_the_pull_is_tried_again() {
    let mut stage = Stage::new();
    let disk = FaultyDisk::default();
    stage.net.start("a").await;
    stage.net.start_on("b", Arc::new(disk.clone())).await;
    let first = stage.document(1, 9 * MIB);
    let done = disk.plan.done();
    let id = delivery(stage.send(&first).await.unwrap());
    stage.arrives(&id, &first).await;
    let trace = disk.plan.trace();
    let partial = |path: &std::path::Path| path.to_string_lossy().contains("/partial/");
    let writes: Vec<u64> = (0..)
        .zip(&trace[done as usize..])
        .filter(|(_, (what, path))| partial(path) && *what == "write")
        .map(|(n, _)| n)
        .collect();
    let doc = stage.document(2, 9 * MIB);
    let before = disk.plan.done();
    disk.plan.fail(writes[writes.len() / 2], Fault::Full);
    let id = delivery(stage.send(&doc).await.unwrap());
    // It met the full disk, removed what it had, and began anew when a full disk is tried again: after half a minute.
    stage.arrives(&id, &doc).await;
    let removed = disk.plan.trace()[before as usize..]
        .iter()
        .filter(|(what, path)| *what == "remove" && path.extension().is_some_and(|e| e == "head"))
        .count();
    assert!(removed >= 2, "{removed}");
    stage.net.finish().await;
}

#[tokio::test]
async fn a_large_document_between_agencies_of_one_node_takes_the_same_way() {
    let stage = Stage::running().await;
    let doc = stage.net.document_of("H01.1", &["H01.2", "H01.22"], "1", noise(1, 9 * MIB));
    let a = stage.net.dms("a").await;
    let ids = a.deliver(&doc).await;
    for (id, (node, agency)) in ids.iter().zip([("a", "H01.2"), ("b", "H01.22")]) {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
        let (_, data) = stage.net.dms(node).await.fetch(agency, id).await.unwrap();
        assert!(data == doc.data);
    }
    stage.keeps("a", 0).await;
    stage.net.finish().await;
}
