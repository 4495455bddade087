//! Disks that are full or fail, under a node that serves.

use std::sync::Arc;

use lienthong::node::NodeError;
use lienthong::store::disk::faulty::{Fault, FaultyDisk};
use lienthong::wire::pb;
use tonic::Code;

use super::common::check::refusal;
use super::common::document::Doc;
use super::common::{TestNet, eventually};

/// Node a on a disk that obeys, with journal segments of this size.
async fn stage(segment: u64) -> (TestNet, FaultyDisk) {
    let mut net = TestNet::new();
    net.configure("a", |config| config.journal_segment_bytes = segment);
    let disk = FaultyDisk::default();
    net.start_on("a", Arc::new(disk.clone())).await;
    (net, disk)
}

/// A segment for everything, and one for each commit.
const SEGMENTS: [u64; 2] = [1 << 20, 4096];

/// A document for an agency of a node that does not run: after it is taken, nothing else is written.
fn document(net: &TestNet, number: &str) -> Doc {
    net.document("H01.1", &["H01.22"], number)
}

/// What the disk does while a document is taken: the same for every one of these.
async fn operations(net: &TestNet, disk: &FaultyDisk) -> Vec<&'static str> {
    let dms = net.dms("a").await;
    // The first one makes files.
    dms.deliver(&document(net, "1")).await;
    let done = disk.plan.done() as usize;
    dms.deliver(&document(net, "2")).await;
    disk.plan.trace()[done..].iter().map(|(what, _)| *what).collect()
}

/// The files of the last operations.
fn last_paths(disk: &FaultyDisk, count: usize) -> Vec<String> {
    let trace = disk.plan.trace();
    trace[trace.len() - count..].iter().map(|(_, path)| path.display().to_string()).collect()
}

/// The write of the journal's block: room was made for it before, so that it may fail, and not for want of room.
fn block(operations: &[&str]) -> u64 {
    operations.iter().rposition(|what| *what == "write").unwrap() as u64
}

#[tokio::test]
async fn a_full_disk_refuses_with_nothing_recorded_and_the_node_goes_on() {
    for segment in SEGMENTS {
        let (mut net, disk) = stage(segment).await;
        let operations = operations(&net, &disk).await;
        let before_block = &operations[..block(&operations) as usize];
        let takes_room = |what: &&str| matches!(*what, "write" | "create");
        let tried: Vec<u64> =
            (0..).zip(before_block).filter(|(_, what)| takes_room(what)).map(|(n, _)| n).collect();
        // Part, signatures and envelope are written at once, and synced, before the journal's block.
        let paths = last_paths(&disk, operations.len());
        let content = paths.iter().position(|p| p.contains(".content")).unwrap();
        assert_eq!(operations[content..content + 2], ["write", "sync"], "{operations:?}");
        assert!(paths[content + 1].contains(".content"), "{paths:?}");
        assert!(paths[content + 2..].iter().all(|p| !p.contains(".content")), "{paths:?}");
        let dms = net.dms("a").await;
        let says = &["disk is full", "nothing was recorded", "try again"];
        let full = refusal(Code::ResourceExhausted, "storage_full", "", says);
        for (i, n) in tried.into_iter().enumerate() {
            let doc = document(&net, &format!("f{i}"));
            let before = net.traces().await;
            disk.plan.fail(n, Fault::Full);
            let status = dms.send(&doc).await.expect_err(&format!("operation {n} of {operations:?}"));
            full.check(&status);
            assert_eq!(net.traces().await, before);
            // Room was made.
            let sent = dms.send(&doc).await.unwrap().results.remove(0);
            assert!(!sent.already_sent);
        }
        net.check().await;
        // What was recorded is all there on the true disk, and what was refused is not.
        let count = net.events("a", "submitted").await.len();
        net.stop("a").await;
        net.start("a").await;
        net.start("b").await;
        assert_eq!(net.events("a", "submitted").await.len(), count);
        eventually("all arrive", || async {
            (net.dms("b").await.inbox("H01.22").await.unwrap().len() == count).then_some(())
        })
        .await;
        net.finish().await;
    }
}

/// The operation fails while a document is taken: the caller cannot know, the node ends, and after a restart on a good
/// disk the same call is one delivery.
async fn fails(fault: Fault, tried: impl Fn(&[&'static str]) -> Vec<u64>) {
    for segment in SEGMENTS {
        let (net, disk) = stage(segment).await;
        let operations = operations(&net, &disk).await;
        drop((net, disk));
        for n in tried(&operations) {
            let (mut net, disk) = stage(segment).await;
            let dms = net.dms("a").await;
            dms.deliver(&document(&net, "1")).await;
            let doc = document(&net, "2");
            disk.plan.fail(n, fault);
            let status = dms.send(&doc).await.expect_err(&format!("operation {n} of {operations:?}"));
            let unknown = refusal(Code::Unavailable, "storage_failed", "", &["unknown", "send the same"]);
            unknown.check(&status);
            let failure = net.node("a").failed().await;
            assert!(matches!(failure, NodeError::Ledger(_)), "{failure}");
            // Until it is gone it gives no answer that says anything else.
            let status = dms.send(&document(&net, "3")).await.unwrap_err();
            unknown.saying(&["send the same"]).check(&status);
            net.kill("a");
            net.start("a").await;
            net.start("b").await;
            let dms = net.dms("a").await;
            let sent = dms.send(&doc).await.unwrap().results.remove(0);
            assert_eq!(sent.problem, None);
            let again = dms.send(&doc).await.unwrap().results.remove(0);
            assert_eq!((&again.delivery_id, again.already_sent), (&sent.delivery_id, true));
            dms.wait_for(&sent.delivery_id, pb::DeliveryState::Delivered).await;
            let submitted = net.events("a", "submitted").await.len();
            assert_eq!(submitted, 2, "{fault:?} of operation {n} of {operations:?}");
            net.finish().await;
        }
    }
}

/// Where the disk is told to make something durable.
fn syncs(operations: &[&str]) -> Vec<u64> {
    (0..).zip(operations).filter(|(_, what)| **what == "sync").map(|(n, _)| n).collect()
}

#[tokio::test]
async fn a_failing_fsync_ends_the_node_and_the_same_call_after_it_is_one_delivery() {
    fails(Fault::Failed, syncs).await;
}

#[tokio::test]
async fn a_fsync_that_fails_but_persisted_ends_the_node_and_the_same_call_after_it_is_one_delivery() {
    fails(Fault::FailedButPersisted, syncs).await;
}

#[tokio::test]
async fn a_torn_block_is_not_acknowledged_and_the_same_call_after_it_is_one_delivery() {
    for fault in [Fault::Torn, Fault::Full, Fault::FailedButPersisted] {
        fails(fault, |operations| vec![block(operations)]).await;
    }
}
