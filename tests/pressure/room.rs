//! A disk that gets full, is full, and has room again, under nodes that serve.

use std::sync::Arc;

use lienthong::store::disk::faulty::FaultyDisk;
use lienthong::wire::pb;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::common::check::refusal;
use super::common::{TestNet, eventually};

const GIB: u64 = 1 << 30;

/// Nodes a and b; a's disk says what it is told.
async fn stage() -> (TestNet, FaultyDisk) {
    let mut net = TestNet::new();
    for node in ["a", "b"] {
        net.configure(node, |config| {
            config.reserve_bytes = 2 * GIB;
            config.critical_bytes = GIB;
        });
    }
    let disk = FaultyDisk::default();
    disk.plan.set_free(Some(100 * GIB));
    net.start_on("a", Arc::new(disk.clone())).await;
    let b = FaultyDisk::default();
    b.plan.set_free(Some(100 * GIB));
    net.start_on("b", Arc::new(b)).await;
    (net, disk)
}

/// Sets what is free, and waits until the node has seen it.
async fn free(net: &TestNet, disk: &FaultyDisk, bytes: u64, pressure: &str) {
    disk.plan.set_free(Some(bytes));
    eventually("the node has seen what is free", || async {
        let status = net.status("a").await;
        (status.free_bytes == bytes && status.pressure == pressure).then_some(())
    })
    .await;
}

#[tokio::test]
async fn under_the_reserve_new_documents_are_refused_and_what_is_under_way_completes() {
    let (net, disk) = stage().await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    // Under way in both directions: taken, not yet received by its agency's system.
    let out = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    let back = b.deliver(&net.document("H01.22", &["H01.1"], "1")).await.remove(0);
    a.wait_for(&out, pb::DeliveryState::Delivered).await;
    b.wait_for(&back, pb::DeliveryState::Delivered).await;

    free(&net, &disk, 2 * GIB - 1, "short").await;
    let says = &["bytes free", "nothing was recorded", "try again"];
    let full = refusal(Code::ResourceExhausted, "storage_full", "", says);
    let doc = net.document("H01.1", &["H01.22"], "2");
    let before = net.traces().await;
    let status = a.send(&doc).await.unwrap_err();
    full.check(&status);
    let wait = status.get_error_details().retry_info().unwrap().retry_delay.unwrap();
    assert_eq!(wait.as_secs(), 30);
    let many = a.send_many(vec![doc.bulk()]).await.remove(0);
    let Some(pb::send_many_response::Outcome::Problem(problem)) = many.outcome else { panic!("{many:?}") };
    assert_eq!((problem.reason.as_str(), problem.retry_after_ms), ("storage_full", 30_000));
    // What is only checked needs no room.
    let checked = a.send(&doc.clone().with_header(|h| h.validate_only = true)).await.unwrap();
    assert_eq!(checked.results[0].problem, None);
    assert_eq!(net.traces().await, before);
    // A document that a peer offers waits there, and the peer knows why.
    let offered = b.deliver(&net.document("H01.22", &["H01.1"], "2")).await.remove(0);
    eventually("the peer is told", || async {
        let queue = net.queue("b", "a").await;
        queue.last_error.contains("storage_full").then_some(())
    })
    .await;
    assert_eq!(b.track(&offered).await.unwrap().state(), pb::DeliveryState::Queued);
    // Hand-over, statuses in both directions and the receipts for them go on.
    a.fetch("H01.1", &back).await.unwrap();
    a.acknowledge("H01.1", &back).await.unwrap();
    a.report("H01.1", &back, pb::Status::Accepted, "").await.unwrap();
    b.fetch("H01.22", &out).await.unwrap();
    b.acknowledge("H01.22", &out).await.unwrap();
    eventually("statuses arrive", || async {
        (b.statuses(&back).await.len() == 2 && a.statuses(&out).await.len() == 1).then_some(())
    })
    .await;

    // Room comes back: everything goes on by itself.
    free(&net, &disk, 3 * GIB, "normal").await;
    b.wait_for(&offered, pb::DeliveryState::Delivered).await;
    let sent = a.deliver(&doc).await.remove(0);
    a.wait_for(&sent, pb::DeliveryState::Delivered).await;
    net.finish().await;
}

#[tokio::test]
async fn under_the_critical_threshold_nothing_is_begun_and_receipts_still_come_in() {
    let (mut net, disk) = stage().await;
    let a = net.dms("a").await;
    net.stop("b").await;
    let out = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    free(&net, &disk, GIB - 1, "critical").await;
    let paper = pb::RecordPaperRequest {
        request_id: "paper-1".into(),
        sender: "H01.1".into(),
        recipient: "H01.22".into(),
        number: "9".into(),
        notation: "CV-VP".into(),
        issued_on: net.now().date().to_string(),
        type_name: "công văn".into(),
        dispatched_on: net.now().date().to_string(),
        ..pb::RecordPaperRequest::default()
    };
    let refused = a.node.exchange().record_paper(paper.clone()).await.unwrap_err();
    refusal(Code::ResourceExhausted, "storage_full", "", &["nothing was recorded"]).check(&refused);
    // What was taken before goes out, and its receipt comes in.
    net.start("b").await;
    a.wait_for(&out, pb::DeliveryState::Delivered).await;
    // The notice of its recipient waits there for room.
    let b = net.dms("b").await;
    b.fetch("H01.22", &out).await.unwrap();
    b.acknowledge("H01.22", &out).await.unwrap();
    eventually("the peer is told", || async {
        net.queue("b", "a").await.last_error.contains("storage_full").then_some(())
    })
    .await;
    free(&net, &disk, 100 * GIB, "normal").await;
    a.node.exchange().record_paper(paper).await.unwrap();
    eventually("the status arrives", || async { (a.statuses(&out).await.len() == 1).then_some(()) }).await;
    net.finish().await;
}

#[tokio::test]
async fn a_disk_without_room_refuses_the_document_and_goes_on_with_what_needs_none() {
    let (net, disk) = stage().await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let back = b.deliver(&net.document("H01.22", &["H01.1"], "1")).await.remove(0);
    b.wait_for(&back, pb::DeliveryState::Delivered).await;
    // Nobody saw it coming: what is free is said to be enough.
    disk.plan.set_full(true);
    let full = refusal(Code::ResourceExhausted, "storage_full", "", &["nothing was recorded"]);
    for number in ["1", "2", "3"] {
        full.check(&a.send(&net.document("H01.1", &["H01.22"], number)).await.unwrap_err());
    }
    // A fetch is an event without content: the journal has room for it.
    a.fetch("H01.1", &back).await.unwrap();
    disk.plan.set_full(false);
    for number in ["1", "2", "3"] {
        let id = a.deliver(&net.document("H01.1", &["H01.22"], number)).await.remove(0);
        a.wait_for(&id, pb::DeliveryState::Delivered).await;
    }
    net.finish().await;
}

/// The folder of a small file system of its own, mounted by the script.
fn mounted() -> std::path::PathBuf {
    std::env::var("LIENTHONG_SMALL_DISK").expect("run tests/pressure/full-disk.sh").into()
}

/// Writes to the small disk until nothing more fits, not a byte.
fn fill(path: &std::path::Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for piece in [1 << 20, 4096, 1] {
        while file.write_all(&vec![1; piece]).is_ok() {}
    }
}

#[tokio::test]
#[ignore = "needs root and a small tmpfs: tests/pressure/full-disk.sh"]
async fn a_real_disk_that_fills_up_loses_nothing_and_goes_on_when_there_is_room() {
    let disk = mounted();
    let mut net = TestNet::new();
    for node in ["a", "b"] {
        net.configure(node, |config| {
            config.data = disk.join(node);
            config.reserve_bytes = 48 << 20;
            config.critical_bytes = 24 << 20;
            config.journal_segment_bytes = 4 << 20;
        });
    }
    net.start("a").await;
    net.start("b").await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let mut sent = Vec::new();
    let code =
        |status: &tonic::Status| lienthong::wire::failure::read_status(status).reason.code().to_owned();
    // The threshold stops it, and everything that was taken is delivered.
    let mut refusals = 0;
    for n in 1..1_000u32 {
        let data: Vec<u8> =
            (0..900_000u32).map(|i| (i.wrapping_mul(n).wrapping_mul(2_654_435_761) >> 16) as u8).collect();
        let doc = net.document_of("H01.1", &["H01.22"], &n.to_string(), data);
        match a.send(&doc).await {
            Ok(answer) => sent.push((answer.results[0].delivery_id.clone(), doc)),
            Err(status) => {
                assert_eq!(code(&status), "storage_full", "{status:?}");
                refusals += 1;
                if refusals == 3 {
                    break;
                }
            }
        }
    }
    eprintln!("{} documents of 900 kB were taken before the reserve was reached", sent.len());
    assert!(refusals == 3 && sent.len() > 10);
    for (id, _) in &sent[..sent.len() / 2] {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
    }
    // Another program takes the rest.
    let ballast = disk.join("ballast");
    fill(&ballast);
    let (mut done, mut refused, mut unknown) = (0, 0, 0);
    for (id, doc) in sent.iter().cycle().take(3 * sent.len()) {
        for outcome in [b.fetch("H01.22", id).await.map(|_| ()), a.send(doc).await.map(|_| ())] {
            match outcome {
                Ok(()) => done += 1,
                Err(status) if code(&status) == "storage_full" => refused += 1,
                Err(_) => unknown += 1,
            }
        }
    }
    eprintln!("on the full disk: {done} calls done, {refused} refused, {unknown} not answered otherwise");
    // Room again: a larger disk.
    std::fs::remove_file(&ballast).unwrap();
    let larger = std::process::Command::new("mount").args(["-o", "remount,size=600m"]).arg(&disk).status();
    assert!(larger.unwrap().success());
    for node in ["a", "b"] {
        let ended =
            tokio::time::timeout(std::time::Duration::from_millis(100), net.node(node).failed()).await;
        if let Ok(failure) = ended {
            eprintln!("node {node} had ended: {failure}");
            net.kill(node);
            net.start(node).await;
        }
    }
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    eventually("everything is taken again", || async {
        a.send(&net.document("H01.1", &["H01.2"], "2000")).await.ok()
    })
    .await;
    for (id, doc) in &sent {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
        assert_eq!(b.fetch("H01.22", id).await.unwrap().1, doc.data, "what was acknowledged is there");
    }
    net.finish().await;
}
