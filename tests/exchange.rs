//! The way of a document from system to system, through the real API, over real TLS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;

use common::document::part;
use common::{TestNet, eventually};
use lienthong::domain::Body;
use lienthong::wire::{envelope, pb};

#[tokio::test]
async fn a_document_reaches_every_recipient_on_both_nodes_as_it_was_sent() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let to = ["H01.2", "H01.22", "000.00.00.H01", "H01.22.5"];
    let annex = "phụ lục".as_bytes();
    let doc = net.document("H01.1", &to, "12").attach("phụ lục.txt", annex, net.signatures("H01.1", annex));
    let sent = a.send(&doc).await.unwrap();
    let verdicts = sent.verdicts.unwrap();
    assert_eq!((verdicts.person(), verdicts.agency()), (pb::Verdict::Valid, pb::Verdict::Valid));
    assert_eq!(sent.results.iter().map(|r| r.recipient.as_str()).collect::<Vec<_>>(), to);
    for result in &sent.results {
        assert!(!result.already_sent);
        let id = &result.delivery_id;
        let view = a.wait_for(id, pb::DeliveryState::Delivered).await;
        assert_eq!((view.recipient.as_str(), view.number.as_str()), (result.recipient.as_str(), "12"));
        assert_eq!(view.submitted_index, result.log_index);
        let system = if result.recipient.starts_with("H01.22") { &b } else { &a };
        let waiting = system.inbox(&result.recipient).await.unwrap();
        assert_eq!(waiting.iter().map(|i| &i.delivery_id).collect::<Vec<_>>(), [id]);
        let (header, data) = system.fetch(&result.recipient, id).await.unwrap();
        assert_eq!(data, doc.data);
        assert!(header.legally_effective);
        assert_eq!(
            header.signatures,
            doc.header.parts.iter().flat_map(|p| p.signatures.clone()).collect::<Vec<_>>()
        );
        let opened = envelope::decode(&header.envelope).unwrap();
        assert_eq!((opened.sender.as_str(), opened.sender_code.as_str()), ("H01.1", "H01.1"));
        assert_eq!(opened.recipient_code, result.recipient);
        let Body::Document { metadata, parts } = opened.body else { panic!("a document was sent") };
        assert_eq!(metadata.subject, "Về việc số 12");
        assert_eq!(
            parts.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
            ["công văn.xml", "phụ lục.txt"]
        );
    }
    net.finish().await;
}

#[tokio::test]
async fn an_acknowledgement_repeated_is_harmless_and_sends_one_status_01() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    b.fetch("H01.22", &id).await.unwrap();
    let first = b.acknowledge("H01.22", &id).await.unwrap();
    let (second, third) = tokio::join!(b.acknowledge("H01.22", &id), b.acknowledge("H01.22", &id));
    assert_eq!((second.unwrap(), third.unwrap()), (first, first));
    assert_eq!(b.inbox("H01.22").await.unwrap(), []);
    let arrived = pb::Status::Arrived as i32;
    eventually("01 arrives", || async { (a.statuses(&id).await == [arrived]).then_some(()) }).await;
    assert_eq!(net.events("b", "handed_over").await.len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn statuses_arrive_at_the_sender_in_the_order_in_which_they_were_given() {
    use pb::Status::{Accepted, Arrived, Assigned, Completed, Processing};
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    // One within the node, one across.
    let ids = a.deliver(&net.document("H01.1", &["H01.2", "H01.22"], "1")).await;
    for (id, (system, agency)) in ids.iter().zip([(&a, "H01.2"), (&b, "H01.22")]) {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
        system.acknowledge(agency, id).await.unwrap();
        for status in [Accepted, Assigned, Processing, Completed] {
            let answer = system.report(agency, id, status, "").await.unwrap();
            assert!(!answer.out_of_order, "{status:?}");
        }
    }
    let way = [Arrived, Accepted, Assigned, Processing, Completed].map(|s| s as i32);
    for id in &ids {
        eventually("06 arrives", || async { (a.statuses(id).await.len() >= way.len()).then_some(()) }).await;
        let view = a.track(id).await.unwrap();
        assert_eq!(view.statuses.iter().map(|s| s.status).collect::<Vec<_>>().get(..5), Some(&way[..]));
        assert!(view.statuses.iter().all(|s| !s.out_of_order), "{:?}", view.statuses);
    }
    // Within one node both sides have one record each; the sender is told every status once, in order.
    for id in &ids {
        let told: Vec<i32> = a
            .told(&["H01.1"], "")
            .await
            .unwrap()
            .iter()
            .filter(|i| i.kind() == pb::WatchKind::Status && i.delivery_id == *id)
            .map(|i| i.status)
            .collect();
        assert_eq!(told, way);
    }
    net.finish().await;
}

#[tokio::test]
async fn large_content_is_pulled_and_arrives_byte_for_byte() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let bytes = |n: usize, seed: u32| -> Vec<u8> {
        (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8).collect()
    };
    // One part in a file of its own, one in a record, one that is empty.
    let main = bytes(2 << 20, 1);
    let annex = bytes((1 << 20) - 7, 2);
    let doc = net
        .document_of("H01.1", &["H01.22", "H01.2"], "1", main)
        .attach("phụ lục.bin", &annex, net.signatures("H01.1", &annex))
        .attach("rỗng.bin", b"", net.signatures("H01.1", b""));
    let ids = a.deliver(&doc).await;
    for (id, (system, agency)) in ids.iter().zip([(&b, "H01.22"), (&a, "H01.2")]) {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
        let (header, data) = system.fetch(agency, id).await.unwrap();
        assert!(data == doc.data, "{} bytes came, {} were sent", data.len(), doc.data.len());
        assert!(header.legally_effective);
    }
    net.finish().await;
}

#[tokio::test]
async fn what_is_sent_while_the_other_node_is_down_is_delivered_when_it_comes() {
    let mut net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let ids = a.deliver(&net.document("H01.1", &["H01.22", "H01.2"], "1")).await;
    a.wait_for(&ids[1], pb::DeliveryState::Delivered).await;
    eventually("the failure is seen", || async {
        let queue = net.queue("a", "b").await;
        (queue.last_error.starts_with("peer_unreachable") && queue.waiting == 1).then_some(())
    })
    .await;
    let view = a.track(&ids[0]).await.unwrap();
    assert_eq!(view.state(), pb::DeliveryState::Queued);
    assert!(view.waiting_for.contains("node b"), "{}", view.waiting_for);
    net.start("b").await;
    a.wait_for(&ids[0], pb::DeliveryState::Delivered).await;
    assert_eq!(net.dms("b").await.inbox("H01.22").await.unwrap().len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn a_node_that_was_killed_resumes_from_its_log_alone() {
    let mut net = TestNet::running(&["a"]).await;
    let id = net.dms("a").await.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    net.kill("a");
    net.start("b").await;
    net.start("a").await;
    let a = net.dms("a").await;
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    // The recipient's node is killed with the delivery in its inbox, fetched and not acknowledged.
    net.dms("b").await.fetch("H01.22", &id).await.unwrap();
    net.kill("b");
    net.start("b").await;
    let b = net.dms("b").await;
    assert_eq!(b.inbox("H01.22").await.unwrap().len(), 1);
    b.acknowledge("H01.22", &id).await.unwrap();
    b.report("H01.22", &id, pb::Status::Accepted, "").await.unwrap();
    net.stop("b").await;
    net.start("b").await;
    let way = [pb::Status::Arrived, pb::Status::Accepted].map(|s| s as i32);
    eventually("03 arrives", || async { (a.statuses(&id).await == way).then_some(()) }).await;
    assert!(a.track(&id).await.unwrap().statuses.iter().all(|s| !s.out_of_order));
    // The same document again is the same delivery, after all that.
    let again = a.send(&net.document("H01.1", &["H01.22"], "1")).await.unwrap();
    assert!(again.results[0].already_sent);
    assert_eq!(again.results[0].delivery_id, id);
    net.finish().await;
}

#[tokio::test]
async fn a_document_that_lacks_a_signature_is_for_information() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let (valid, absent) = (pb::Verdict::Valid, pb::Verdict::Absent);
    type Sign = fn(&TestNet, &[u8]) -> Vec<Vec<u8>>;
    let cases: [(&str, Sign, _); 3] = [
        ("1", |n, d| vec![n.person("H01.1", d)], (valid, absent)),
        ("2", |n, d| vec![n.seal("H01.1", d)], (absent, valid)),
        ("3", |_, _| vec![], (absent, absent)),
    ];
    for (number, sign, expected) in cases {
        let doc = net.document("H01.1", &["H01.22"], number);
        let signatures = sign(&net, &doc.data);
        let id = a.deliver(&doc.signed(signatures)).await.remove(0);
        let view = a.wait_for(&id, pb::DeliveryState::Delivered).await;
        for verdicts in [view.sender_verdicts.unwrap(), view.recipient_verdicts.unwrap()] {
            assert_eq!((verdicts.person(), verdicts.agency()), expected);
        }
        assert!(!b.fetch("H01.22", &id).await.unwrap().0.legally_effective);
    }
    // As good as its worst part.
    let annex = b"annex";
    let doc = net.document("H01.1", &["H01.22"], "4");
    let mut attached = doc.clone().attach("a.txt", annex, vec![net.seal("H01.1", annex)]);
    let id = a.deliver(&attached).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    assert!(!b.fetch("H01.22", &id).await.unwrap().0.legally_effective);
    // Signed anew it is the same document: signature bytes are no part of its identity.
    attached.header.parts[1] = part("a.txt", pb::PartRole::Attachment, annex, net.signatures("H01.1", annex));
    let again = a.send(&attached).await.unwrap();
    assert_eq!((&again.results[0].delivery_id, again.results[0].already_sent), (&id, true));
    net.finish().await;
}

#[tokio::test]
async fn a_subunit_signs_with_its_registered_agencys_seal() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = a.deliver(&net.document("H01.1.5", &["H01.22.5"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    assert!(b.fetch("H01.22.5", &id).await.unwrap().0.legally_effective);
    net.finish().await;
}

#[tokio::test]
async fn a_bulk_stream_answers_each_of_200_documents_once_and_all_arrive() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let docs: Vec<_> = (1..=200).map(|n| net.document("H01.1", &["H01.22"], &n.to_string())).collect();
    let answers = a.send_many(docs.iter().map(|d| d.bulk()).collect()).await;
    let answered: BTreeSet<&str> = answers.iter().map(|a| a.request_id.as_str()).collect();
    assert_eq!((answers.len(), answered.len()), (200, 200));
    for answer in &answers {
        let Some(pb::send_many_response::Outcome::Sent(sent)) = &answer.outcome else {
            panic!("{answer:?}");
        };
        assert_eq!(sent.results.len(), 1);
        assert!(sent.results[0].problem.is_none() && !sent.results[0].already_sent);
    }
    eventually("all are settled", || async { (net.queue("a", "b").await.waiting == 0).then_some(()) }).await;
    let mut seen = BTreeSet::new();
    let mut token = String::new();
    loop {
        let page = Some(pb::Page { size: 64, token });
        let request = pb::ListInboxRequest { agency: "H01.22".to_owned(), page };
        let page = b.node.exchange().list_inbox(request).await.unwrap().into_inner();
        for item in page.items {
            assert!(seen.insert(item.number.clone()), "{} is listed twice", item.number);
        }
        token = page.next_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, docs.iter().map(|d| d.header.metadata.as_ref().unwrap().number.clone()).collect());
    net.finish().await;
}

#[tokio::test]
async fn a_watch_repeats_from_an_old_cursor_in_log_order_and_goes_on_with_what_comes() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let first = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&first, pb::DeliveryState::Delivered).await;
    let told = b.told(&["H01.22"], "").await.unwrap();
    assert_eq!(
        told.iter().map(|i| (i.kind(), &i.delivery_id)).collect::<Vec<_>>(),
        [(pb::WatchKind::Arrived, &first)]
    );
    // It was not acknowledged: it comes again from the beginning, and not from the cursor behind it.
    assert_eq!(b.told(&["H01.22"], "").await.unwrap(), told);
    let cursor = told[0].cursor.clone();
    assert_eq!(b.told(&["H01.22"], &cursor).await.unwrap(), []);
    let request = pb::WatchRequest { agencies: vec!["H01.22".into()], cursor, once: false };
    let mut open = b.node.exchange().watch(request).await.unwrap().into_inner();
    let second = a.deliver(&net.document("H01.1", &["H01.22"], "2")).await.remove(0);
    let item = open.message().await.unwrap().unwrap();
    assert_eq!((item.kind(), &item.delivery_id), (pb::WatchKind::Arrived, &second));
    assert_eq!(item.counterpart, "H01.1");
    drop(open);
    let all = b.told(&[], "").await.unwrap();
    assert_eq!(all.iter().map(|i| &i.delivery_id).collect::<Vec<_>>(), [&first, &second]);
    assert!(all.is_sorted_by_key(|i| i.log_index));
    // The sender is told of both receipts.
    a.wait_for(&second, pb::DeliveryState::Delivered).await;
    let kinds: Vec<_> = a.told(&["H01.1"], "").await.unwrap().iter().map(|i| i.kind()).collect();
    assert_eq!(kinds, [pb::WatchKind::Delivered; 2]);
    net.finish().await;
}

#[tokio::test]
async fn a_document_is_tracked_by_its_key_with_all_its_deliveries() {
    let net = TestNet::running(&["a", "b"]).await;
    let a = net.dms("a").await;
    let ids: BTreeSet<_> =
        a.deliver(&net.document("H01.1", &["H01.2", "H01.22"], "7")).await.into_iter().collect();
    let document = pb::DocumentRef {
        agency: "000.00.01.H01".to_owned(),
        number: "7".to_owned(),
        notation: "CV-VP".to_owned(),
        year: 2016,
    };
    let request = pb::TrackRequest { document: Some(document), ..pb::TrackRequest::default() };
    let found = a.node.exchange().track(request).await.unwrap().into_inner().deliveries;
    assert_eq!(found.iter().map(|v| v.delivery_id.clone()).collect::<BTreeSet<_>>(), ids);
    for id in &ids {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
    }
    net.finish().await;
}

#[tokio::test]
async fn what_is_held_is_decided_by_its_agency_or_by_revocation_data_and_the_sender_learns_it() {
    let mut net = TestNet::new();
    let list = net.path("b/crls/documents-ca.crl");
    let kept = std::fs::read(&list).unwrap();
    std::fs::remove_file(&list).unwrap();
    net.start("a").await;
    net.start("b").await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let mut ids = Vec::new();
    for number in ["1", "2", "3"] {
        let id = a.deliver(&net.document("H01.1", &["H01.22"], number)).await.remove(0);
        let view = a.wait_for(&id, pb::DeliveryState::Held).await;
        assert_eq!(view.recipient_verdicts.unwrap().person(), pb::Verdict::Indeterminate);
        ids.push(id);
    }
    // Both sides are told; nothing is handed out.
    let held = [pb::WatchKind::Held; 3];
    assert_eq!(a.told(&["H01.1"], "").await.unwrap().iter().map(|i| i.kind()).collect::<Vec<_>>(), held);
    assert_eq!(b.told(&["H01.22"], "").await.unwrap().iter().map(|i| i.kind()).collect::<Vec<_>>(), held);
    assert!(b.inbox("H01.22").await.unwrap().iter().all(|i| i.held));
    for id in &ids {
        assert!(b.fetch("H01.22", id).await.unwrap_err().message().starts_with("held"));
        assert!(b.acknowledge("H01.22", id).await.is_err());
    }
    assert!(a.release("H01.22", &ids[0], false).await.is_err(), "not this node's agency");

    let released = b.release("H01.22", &ids[0], false).await.unwrap();
    assert_eq!(b.release("H01.22", &ids[0], false).await.unwrap(), released);
    let refused = b.release("H01.22", &ids[1], true).await.unwrap();
    assert_eq!(b.release("H01.22", &ids[1], true).await.unwrap(), refused);
    for (id, refuse) in [(&ids[0], true), (&ids[1], false)] {
        let status = b.release("H01.22", id, refuse).await.unwrap_err();
        assert!(status.message().starts_with("not_held"), "{}", status.message());
    }
    let (header, _) = b.fetch("H01.22", &ids[0]).await.unwrap();
    assert!(!header.legally_effective);
    b.acknowledge("H01.22", &ids[0]).await.unwrap();
    assert_eq!(a.wait_for(&ids[0], pb::DeliveryState::Delivered).await.reason, "");
    assert_eq!(a.wait_for(&ids[1], pb::DeliveryState::Refused).await.reason, "revocation_unknown");
    // The number is free again: what the agency refused is sent anew.
    let again = a.deliver(&net.document("H01.1", &["H01.22"], "2")).await.remove(0);
    assert_ne!(again, ids[1]);
    a.wait_for(&again, pb::DeliveryState::Held).await;

    // The list comes: what is still held is judged by it, as at its arrival.
    net.stop("b").await;
    std::fs::write(&list, kept).unwrap();
    net.start("b").await;
    let b = net.dms("b").await;
    for id in [&ids[2], &again] {
        let view = a.wait_for(id, pb::DeliveryState::Delivered).await;
        assert_eq!(view.recipient_verdicts.unwrap().agency(), pb::Verdict::Valid);
        assert!(b.fetch("H01.22", id).await.unwrap().0.legally_effective);
    }
    let events = net.events("b", "released").await;
    assert_eq!(events.len(), 4);
    // Asking again made no events of its own.
    assert_eq!(net.events("a", "settled").await.len(), 8);
    net.finish().await;
}
