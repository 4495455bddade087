//! From a client's system to its node: uploads that break and go on.

use std::sync::Arc;

use lienthong::store::disk::faulty::{Fault, FaultyDisk};
use lienthong::wire::pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::common::check::{invalid, refusal};
use super::common::document::Doc;
use super::common::eventually;
use super::proxy::{Flow, THERE};
use super::stage::{MIB, SLACK, Stage, delivery, is_broken};

/// Sends a document and loses the connection on the way; returns what the node has then.
async fn break_off(stage: &Stage, doc: &Doc, after: usize) -> u64 {
    stage.clients.flow(THERE, Flow::CutOnceAfter(after as u64));
    is_broken(&stage.send(doc).await.unwrap_err());
    stage.keeps("a", 2).await;
    eventually("what came is durable", || async {
        let durable = stage.durable("dms", doc).await;
        (durable + SLACK >= after as u64).then_some(durable)
    })
    .await
}

/// Time passes.
fn later(stage: &Stage, seconds: i64) {
    stage.net.clock.set(stage.net.now().plus_millis(seconds * 1_000));
}

#[tokio::test]
async fn an_upload_that_breaks_goes_on_where_the_node_has_it_and_no_byte_before_that_comes_again() {
    let stage = Stage::running().await;
    let doc = stage.document(1, 24 * MIB);
    let before = stage.net.traces().await;
    let durable = break_off(&stage, &doc, 10 * MIB).await;
    assert!(durable < 11 * MIB as u64, "{durable}");
    assert_eq!(stage.net.traces().await, before, "nothing is recorded of half a document");
    let first = stage.clients.bytes(THERE);
    let id = delivery(stage.send(&doc.from(durable)).await.unwrap());
    let second = stage.clients.bytes(THERE) - first;
    let missing = 24 * MIB as u64 - durable;
    assert!(second < missing + 200_000, "{second} bytes came for {missing}");
    assert!(first + second < 24 * MIB as u64 + SLACK, "{first} and {second}");
    stage.arrives(&id, &doc).await;
    // The same call once more is the same delivery.
    assert_eq!(delivery(stage.send(&doc).await.unwrap()), id);
    stage.net.finish().await;
}

#[tokio::test]
async fn an_upload_goes_on_after_its_node_was_killed() {
    let mut stage = Stage::running().await;
    let doc = stage.document(1, 24 * MIB).attach("phụ lục.xml", &[7; 3 * MIB], vec![]);
    let (sender, receiver) = mpsc::channel(1);
    let client = stage.net.dms("a").await;
    let sending =
        tokio::spawn(async move { client.node.exchange().send(ReceiverStream::new(receiver)).await });
    let mut messages = doc.messages().into_iter();
    for message in messages.by_ref().take(1 + 40) {
        sender.send(message).await.unwrap();
    }
    // Ten MiB were sent; eight of them made durable on the way.
    eventually("some of it is durable", || async {
        (stage.durable("dms", &doc).await >= 8 * MIB as u64).then_some(())
    })
    .await;
    stage.net.kill("a");
    is_broken(&sending.await.unwrap().unwrap_err());
    stage.net.start("a").await;
    let durable = stage.durable("dms", &doc).await;
    assert!((8 * MIB as u64..=10 * MIB as u64).contains(&durable), "{durable}");
    let id = delivery(stage.send(&doc.from(durable)).await.unwrap());
    stage.arrives(&id, &doc).await;
    stage.net.finish().await;
}

#[tokio::test]
async fn an_upload_goes_on_between_its_parts_and_from_before_what_is_durable() {
    let mut stage = Stage::running().await;
    let doc = stage
        .document(1, 3 * MIB)
        .attach("rỗng.xml", b"", vec![])
        .attach("nhỏ.xml", b"small", vec![])
        .attach("lớn.xml", &super::stage::noise(9, 2 * MIB + 77), vec![]);
    for at in [3 * MIB as u64, 3 * MIB as u64 + 2, 3 * MIB as u64 + 5, 1, 4 * MIB as u64] {
        let doc = doc.clone().request(&format!("r{at}")).with(|m| m.number = at.to_string());
        let (sender, receiver) = mpsc::channel(1);
        let client = stage.net.dms("a").await;
        let sending =
            tokio::spawn(async move { client.node.exchange().send(ReceiverStream::new(receiver)).await });
        let header = doc.messages().remove(0);
        sender.send(header).await.unwrap();
        let come = if at == 1 { 4 * MIB } else { at as usize };
        for piece in doc.data[..come].chunks(1 << 20) {
            let part = Some(pb::send_request::Part::Data(piece.to_vec().into()));
            sender.send(pb::SendRequest { part }).await.unwrap();
        }
        // The client ends the stream too early: told, and kept.
        drop(sender);
        let status = sending.await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert_eq!(stage.durable("dms", &doc).await, come as u64);
        if at == 1 {
            stage.net.stop("a").await;
            stage.net.start("a").await;
        }
        let id = delivery(stage.send(&doc.from(at)).await.unwrap());
        stage.arrives(&id, &doc).await;
    }
    stage.net.finish().await;
}

#[tokio::test]
async fn what_goes_on_with_other_content_is_refused_and_nothing_of_it_is_kept() {
    let stage = Stage::running().await;
    let doc = stage.document(1, 12 * MIB);
    let durable = break_off(&stage, &doc, 6 * MIB).await;
    let mut altered = doc.from(durable);
    *altered.data.last_mut().unwrap() ^= 1;
    let before = stage.net.traces().await;
    let mismatch = invalid("content_mismatch", "parts[0].sha256", &["from the beginning"]);
    mismatch.check(&stage.send(&altered).await.unwrap_err());
    assert_eq!(stage.net.traces().await, before);
    stage.keeps("a", 0).await;
    assert_eq!(stage.durable("dms", &doc).await, 0);
    // From the beginning it is taken.
    let id = delivery(stage.send(&doc).await.unwrap());
    stage.arrives(&id, &doc).await;
    stage.net.finish().await;
}

#[tokio::test]
async fn an_upload_goes_on_at_durable_bytes_only_for_its_client_and_with_its_header_only() {
    let stage = Stage::running().await;
    let doc = stage.document(1, 6 * MIB);
    let durable = break_off(&stage, &doc, 3 * MIB).await;
    let beyond = format!("{} is not among the {durable} bytes", durable + 1);
    let bad = invalid("bad_offset", "resume_offset", &[&beyond, "GetUpload"]);
    bad.check(&stage.send(&doc.from(durable + 1)).await.unwrap_err());
    invalid("bad_offset", "resume_offset", &["durable"])
        .check(&stage.send(&doc.from(u64::MAX)).await.unwrap_err());
    // `one` acts for the same agency, and has no such upload.
    assert_eq!(stage.durable("one", &doc).await, 0);
    let one = stage.net.client("a", "one").await;
    let messages = tokio_stream::iter(doc.from(durable).messages_from(durable));
    invalid("bad_offset", "resume_offset", &["the 0 bytes"])
        .check(&one.node.exchange().send(messages).await.unwrap_err());
    // Whoever acts not for the agency learns nothing at all.
    let request = pb::GetUploadRequest { sender: "H01.2".into(), request_id: doc.header.request_id.clone() };
    let status = one.node.exchange().get_upload(request).await.unwrap_err();
    refusal(Code::PermissionDenied, "not_allowed", "sender", &["one"]).check(&status);
    // Under the same id only the same.
    let reused = refusal(Code::AlreadyExists, "request_id_reused", "request_id", &["use another id"]);
    for other in [
        doc.clone().with(|m| m.subject = "Về việc khác".into()),
        doc.clone().with_header(|h| h.recipients.push("H01.22.1".into())),
        doc.clone().attach("khác.xml", b"more", vec![]),
    ] {
        reused.check(&stage.send(&other).await.unwrap_err());
        reused.check(&stage.send(&other.from(durable)).await.unwrap_err());
    }
    // Small documents are sent whole.
    let small = stage.net.document("H01.1", &["H01.22"], "2").from(3);
    invalid("bad_offset", "resume_offset", &["3 is not 0", "1048576"])
        .check(&stage.send(&small).await.unwrap_err());
    // None of that did any harm. Other signatures are no other document.
    let mut again = doc.from(durable);
    again.header.parts[0].signatures =
        stage.net.signatures("H01.1", &doc.data).into_iter().map(Into::into).collect();
    assert_ne!(again.header, doc.from(durable).header);
    let id = delivery(stage.send(&again).await.unwrap());
    stage.arrives(&id, &doc).await;
    stage.net.finish().await;
}

#[tokio::test]
async fn a_second_call_takes_over_from_one_that_seems_under_way() {
    let stage = Stage::running().await;
    let doc = stage.document(1, 6 * MIB);
    let (sender, receiver) = mpsc::channel(1);
    let client = stage.net.dms("a").await;
    let first = tokio::spawn(async move { client.node.exchange().send(ReceiverStream::new(receiver)).await });
    for message in doc.messages().into_iter().take(1 + 10) {
        sender.send(message).await.unwrap();
    }
    stage.keeps("a", 2).await;
    let id = delivery(stage.send(&doc).await.unwrap());
    let status = first.await.unwrap().unwrap_err();
    invalid("bad_stream", "", &["another call goes on with this upload"]).check(&status);
    stage.arrives(&id, &doc).await;
    stage.net.finish().await;
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_expires() {
    let stage = Stage::running().await;
    let doc = stage.document(1, 4 * MIB);
    break_off(&stage, &doc, 2 * MIB).await;
    later(&stage, 24 * 3600 - 60);
    assert!(stage.durable("dms", &doc).await > 0);
    later(&stage, 120);
    assert_eq!(stage.durable("dms", &doc).await, 0);
    stage.keeps("a", 0).await;
    stage.net.finish().await;
}

#[tokio::test]
async fn a_client_keeps_so_many_uploads_and_loses_the_oldest_first() {
    let mut stage = Stage::new();
    stage.net.configure("a", |config| config.partial_bytes = 10 * MIB as u64);
    stage.net.start("a").await;
    let docs: Vec<Doc> = (1..=4).map(|n| stage.document(n, 3 * MIB)).collect();
    let mut under_way = Vec::new();
    for (n, doc) in docs.iter().enumerate() {
        let (sender, receiver) = mpsc::channel(1);
        let client = stage.net.dms("a").await;
        let sending =
            tokio::spawn(async move { client.node.exchange().send(ReceiverStream::new(receiver)).await });
        for message in doc.messages().into_iter().take(1 + 5) {
            let _ = sender.send(message).await;
        }
        if n < 3 {
            // Three times three MiB.
            stage.keeps("a", 2 * (n + 1)).await;
            under_way.push((sender, sending));
        } else {
            let status = sending.await.unwrap().unwrap_err();
            let says = ["3 large transfers of client dms", "10485760 bytes"];
            refusal(Code::ResourceExhausted, "overloaded", "", &says).check(&status);
        }
    }
    // When they are broken off, the oldest makes room.
    for (sender, sending) in under_way {
        later(&stage, 1);
        sending.abort();
        drop(sender);
    }
    let client = stage.net.dms("a").await;
    for (doc, left) in [(&docs[0], true), (&docs[1], true), (&docs[2], true)] {
        eventually("it is durable", || async {
            ((stage.durable("dms", doc).await > 0) == left).then_some(())
        })
        .await;
    }
    assert_eq!(client.deliver(&docs[3]).await.len(), 1);
    let mut left = Vec::new();
    for doc in &docs[..3] {
        left.push(stage.durable("dms", doc).await > 0);
    }
    assert_eq!(left.iter().filter(|l| **l).count(), 2, "{left:?}");
    stage.net.finish().await;
}

#[tokio::test]
async fn what_changed_on_the_disk_is_not_gone_on_with() {
    let mut stage = Stage::running().await;
    let doc = stage.document(1, 6 * MIB);
    let durable = break_off(&stage, &doc, 3 * MIB).await;
    stage.net.stop("a").await;
    let path = stage.net.config("a").data.join("content/partial").join(&stage.kept("a")[0]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[MIB] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    stage.net.start("a").await;
    invalid("bad_offset", "resume_offset", &["begin again from 0"])
        .check(&stage.send(&doc.from(durable)).await.unwrap_err());
    assert_eq!(stage.durable("dms", &doc).await, 0);
    stage.keeps("a", 0).await;
    let id = delivery(stage.send(&doc).await.unwrap());
    stage.arrives(&id, &doc).await;
    stage.net.finish().await;
}

/// Where what arrives is kept until it is whole.
const PARTIAL: &str = "/partial/";

#[tokio::test]
async fn a_disk_that_fills_in_mid_upload_refuses_and_nothing_is_left() {
    let mut stage = Stage::new();
    let disk = FaultyDisk::default();
    stage.net.start_on("a", Arc::new(disk.clone())).await;
    stage.net.start("b").await;
    // What it does for a document, from the first file to the commit.
    let done = disk.plan.done();
    let id = delivery(stage.send(&stage.document(1, 9 * MIB)).await.unwrap());
    stage.arrives(&id, &stage.document(1, 9 * MIB)).await;
    let trace = disk.plan.trace();
    let operations = &trace[done as usize..];
    let partial = |path: &std::path::Path| path.to_string_lossy().contains(PARTIAL);
    let taking = ["create", "write"];
    // What takes room, by its place among the operations on the transfer's own files.
    let own: Vec<&'static str> =
        operations.iter().filter(|(_, path)| partial(path)).map(|(what, _)| *what).collect();
    let tried: Vec<u64> = (0..).zip(&own).filter(|(_, what)| taking.contains(what)).map(|(n, _)| n).collect();
    assert!(tried.len() > 15, "{own:?}");
    let full =
        refusal(Code::ResourceExhausted, "storage_full", "", &["disk is full", "nothing was recorded"]);
    // Head, first mark, the first bytes, some in the middle, the last.
    for n in tried.iter().take(4).chain(&tried[tried.len() - 4..]) {
        let doc = stage.document(2 + *n as u32, 9 * MIB);
        let before = stage.net.traces().await;
        disk.plan.fail_in(PARTIAL, *n, Fault::Full);
        full.check(&stage.send(&doc).await.expect_err(&format!("{} {n}", own[*n as usize])));
        assert_eq!(stage.net.traces().await, before);
        stage.keeps("a", 0).await;
        assert_eq!(stage.durable("dms", &doc).await, 0);
        // Room was made.
        let id = delivery(stage.send(&doc).await.unwrap());
        stage.arrives(&id, &doc).await;
    }
    stage.net.finish().await;
}

#[tokio::test]
async fn a_large_document_that_is_only_checked_or_refused_leaves_nothing() {
    let stage = Stage::running().await;
    let large = || {
        let entries = std::fs::read_dir(stage.net.config("a").data.join("content/large")).unwrap();
        entries.count()
    };
    let checked = stage.document(1, 3 * MIB).with_header(|h| h.validate_only = true);
    assert_eq!(stage.send(&checked).await.unwrap().results[0].problem, None);
    // A PDF is needed to be judged, and is none.
    let mut pdf = checked.clone();
    pdf.header.parts[0].media_type = "application/pdf".into();
    pdf.header.parts[0].signatures.clear();
    assert_eq!(stage.send(&pdf).await.unwrap_err().code(), Code::FailedPrecondition);
    pdf.header.validate_only = false;
    assert_eq!(stage.send(&pdf).await.unwrap_err().code(), Code::FailedPrecondition);
    // Signatures over something else.
    let other = stage.net.signatures("H01.1", b"other");
    let invalid = stage.document(2, 3 * MIB).signed(other);
    assert_eq!(stage.send(&invalid).await.unwrap_err().code(), Code::FailedPrecondition);
    // Another document in force under the same number.
    let doc = stage.document(3, 3 * MIB);
    let id = delivery(stage.send(&doc).await.unwrap());
    stage.arrives(&id, &doc).await;
    let conflict = stage.net.document_of("H01.1", &["H01.22"], "3", vec![1; 3 * MIB]).request("other");
    assert_eq!(stage.send(&conflict).await.unwrap_err().code(), Code::AlreadyExists);
    stage.keeps("a", 0).await;
    assert_eq!(large(), 1, "the one that was delivered");
    stage.net.finish().await;
}
