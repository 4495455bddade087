//! Urgent messages pass large transfers.

use std::time::{Duration, Instant};

use lienthong::wire::pb;

use super::common::TestNet;
use super::proxy::{BACK, Flow};
use super::stage::{MIB, Stage, delivery};

/// Sends flash documents one after the other; the time of each from sending to the verified receipt, shortest first.
pub async fn flash(net: &TestNet, first: u32, count: u32) -> Vec<Duration> {
    let a = net.dms("a").await;
    let mut times = Vec::new();
    for number in first..first + count {
        let doc = net
            .document("H01.1", &["H01.22"], &number.to_string())
            .with(|m| m.urgency = pb::Urgency::Flash.into());
        let began = Instant::now();
        let id = a.deliver(&doc).await.remove(0);
        a.wait_for(&id, pb::DeliveryState::Delivered).await;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times
}

#[tokio::test]
async fn flash_documents_pass_large_transfers_that_stand_still() {
    let stage = Stage::running().await;
    let idle = flash(&stage.net, 100, 10).await[5];
    // More than may be under way at once, none of which gets anywhere.
    stage.peers["a"].flow(BACK, Flow::StallAfter(2 * MIB as u64));
    let docs: Vec<_> = (1..=8).map(|n| stage.document(n, 4 * MIB)).collect();
    let mut ids = Vec::new();
    for doc in &docs {
        ids.push(delivery(stage.send(doc).await.unwrap()));
    }
    let loaded = flash(&stage.net, 200, 20).await;
    // Nothing of it waits: the bound leaves room for a busy machine, not for one transfer.
    let bound = idle * 5 + Duration::from_secs(1);
    assert!(loaded[10] < bound, "{loaded:?} with transfers standing still, {idle:?} without");
    let a = stage.net.dms("a").await;
    for id in &ids {
        assert_eq!(a.track(id).await.unwrap().state(), pb::DeliveryState::Queued);
    }
    stage.peers["a"].flow(BACK, Flow::Open);
    for (id, doc) in ids.iter().zip(&docs) {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
        let (_, data) = stage.net.dms("b").await.fetch("H01.22", id).await.unwrap();
        assert!(data == doc.data);
    }
    stage.net.finish().await;
}
