//! Large content on a disk that gets full: what is under way completes, and its bytes count once.

use std::sync::Arc;

use lienthong::store::disk::faulty::FaultyDisk;
use lienthong::wire::pb;
use tonic::Code;

use super::common::check::refusal;
use super::common::eventually;
use super::proxy::{BACK, Flow, THERE};
use super::stage::{MIB, Stage, delivery, is_broken};

/// Free bytes under which a node takes no new documents here, and under which it begins nothing.
const RESERVE: u64 = 1 << 30;
const CRITICAL: u64 = RESERVE / 2;

/// Both nodes on disks that say what they are told, with plenty of room.
async fn stage() -> (Stage, FaultyDisk, FaultyDisk) {
    let mut stage = Stage::new();
    let disks = (FaultyDisk::default(), FaultyDisk::default());
    for (node, disk) in [("a", &disks.0), ("b", &disks.1)] {
        stage.net.configure(node, |config| {
            (config.reserve_bytes, config.critical_bytes) = (RESERVE, CRITICAL);
        });
        disk.plan.set_free(Some(100 * RESERVE));
        stage.net.start_on(node, Arc::new(disk.clone())).await;
    }
    (stage, disks.0, disks.1)
}

/// Sets what is free, and waits until the node has seen it.
async fn free(stage: &Stage, node: &str, disk: &FaultyDisk, bytes: u64) {
    disk.plan.set_free(Some(bytes));
    eventually("the node has seen what is free", || async {
        (stage.net.status(node).await.free_bytes == bytes).then_some(())
    })
    .await;
}

fn full() -> super::common::check::Refusal {
    refusal(Code::ResourceExhausted, "storage_full", "", &["bytes free", "nothing was recorded"])
}

#[tokio::test]
async fn an_upload_that_broke_off_goes_on_though_new_documents_are_refused() {
    let (mut stage, disk, _b) = stage().await;
    for (number, restart) in [(1, false), (2, true)] {
        free(&stage, "a", &disk, 100 * RESERVE).await;
        let doc = stage.document(number, 12 * MIB);
        stage.clients.flow(THERE, Flow::CutOnceAfter(6 * MIB as u64));
        is_broken(&stage.send(&doc).await.unwrap_err());
        let durable = eventually("some of it is durable", || async {
            Some(stage.durable("dms", &doc).await).filter(|durable| *durable > 0)
        })
        .await;
        if restart {
            stage.net.kill("a");
            stage.net.start_on("a", Arc::new(disk.clone())).await;
        }
        free(&stage, "a", &disk, RESERVE - 1).await;
        full().check(&stage.send(&stage.document(10 + number, 2 * MIB)).await.unwrap_err());
        let id = delivery(stage.send(&doc.from(durable)).await.unwrap());
        stage.arrives(&id, &doc).await;
    }
    stage.net.finish().await;
}

#[tokio::test]
async fn room_for_the_rest_is_kept_for_a_while_and_then_given_to_others() {
    let (stage, disk, _b) = stage().await;
    let doc = stage.document(1, 12 * MIB);
    stage.clients.flow(THERE, Flow::CutOnceAfter(6 * MIB as u64));
    is_broken(&stage.send(&doc).await.unwrap_err());
    let durable = eventually("some of it is durable", || async {
        Some(stage.durable("dms", &doc).await).filter(|durable| *durable > 0)
    })
    .await;
    // What is missing fits, and a document of four MiB beside it does not.
    let left = 12 * MIB as u64 - durable;
    free(&stage, "a", &disk, RESERVE + left + 2 * MIB as u64).await;
    let other = stage.document(2, 4 * MIB);
    full().check(&stage.send(&other).await.unwrap_err());
    let later = lienthong::domain::limits::PLEDGED_MS + 1;
    stage.net.clock.set(stage.net.now().plus_millis(later));
    let sent = delivery(stage.send(&other).await.unwrap());
    stage.net.dms("a").await.wait_for(&sent, pb::DeliveryState::Delivered).await;
    // It goes on all the same, as long as it leaves what is critical.
    free(&stage, "a", &disk, CRITICAL + left - 1).await;
    full().check(&stage.send(&doc.from(durable)).await.unwrap_err());
    free(&stage, "a", &disk, CRITICAL + left).await;
    let id = delivery(stage.send(&doc.from(durable)).await.unwrap());
    stage.arrives(&id, &doc).await;
    stage.net.finish().await;
}

#[tokio::test]
async fn a_pull_counts_with_what_is_missing_and_goes_on_though_the_disk_got_short() {
    let (stage, _a, disk) = stage().await;
    let doc = stage.document(1, 24 * MIB);
    let proxy = &stage.peers["a"];
    proxy.flow(BACK, Flow::StallAfter(14 * MIB as u64));
    let id = delivery(stage.send(&doc).await.unwrap());
    eventually("the pull stands still", || async { (proxy.most(BACK) >= 14 * MIB as u64).then_some(()) })
        .await;
    // Ten MiB are missing, and a little that is not written yet: four more are free for others.
    free(&stage, "b", &disk, RESERVE + 14 * MIB as u64).await;
    let b = stage.net.dms("b").await;
    let beside = stage.net.document_of("H01.22", &["H01.22.1"], "5", super::stage::noise(5, 2 * MIB));
    b.deliver(&beside).await;
    let too_much = stage.net.document_of("H01.22", &["H01.22.1"], "6", super::stage::noise(6, 9 * MIB));
    full().check(&b.send(&too_much).await.unwrap_err());
    // Less than the reserve is free, and the way breaks.
    free(&stage, "b", &disk, RESERVE - 1).await;
    proxy.flow(BACK, Flow::Open);
    let before = proxy.bytes(BACK);
    proxy.cut_all();
    stage.arrives(&id, &doc).await;
    let after = proxy.bytes(BACK) - before;
    assert!(after < 18 * MIB as u64, "{after} bytes came after the break");
    stage.net.finish().await;
}
