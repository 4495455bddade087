//! The same again, something else under the same name, both at once; and what is only checked.

use lienthong::domain::EventKind;
use lienthong::wire::pb;
use tonic::Code;
use unicode_normalization::UnicodeNormalization as _;

use super::common::check::{invalid, refusal};
use super::common::{TestNet, eventually};

#[tokio::test]
async fn the_same_document_again_gets_the_same_answer_and_no_second_delivery() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let doc = net.document("H01.1", &["H01.22", "H01.2"], "1");
    let first = a.send(&doc).await.unwrap();
    // At once, after delivery, after hand-over; by the same and by another request id; by old codes; signed anew.
    let old = doc.clone().with_header(|h| h.recipients = vec!["000.00.22.H01".into(), "H01.2".into()]);
    let anew = doc.clone().signed(net.signatures("H01.1", &doc.data)).request("anew");
    for (i, same) in [&doc, &doc.clone().request("other"), &old, &anew].into_iter().enumerate() {
        let again = a.send(same).await.unwrap();
        for (again, first) in again.results.iter().zip(&first.results) {
            assert!(again.already_sent);
            assert_eq!((&again.delivery_id, again.log_index), (&first.delivery_id, first.log_index));
        }
        for result in &first.results {
            a.wait_for(&result.delivery_id, pb::DeliveryState::Delivered).await;
        }
        if i == 1 {
            b.acknowledge("H01.22", &first.results[0].delivery_id).await.unwrap();
        }
    }
    // One recipient more: one delivery more.
    let more = doc.clone().with_header(|h| h.recipients.push("H01.21".into()));
    let sent = a.send(&more).await.unwrap();
    assert_eq!(sent.results.iter().map(|r| r.already_sent).collect::<Vec<_>>(), [true, true, false]);
    a.wait_for(&sent.results[2].delivery_id, pb::DeliveryState::Delivered).await;
    // 01 and three documents.
    let documents = |events: Vec<(u64, lienthong::domain::Event)>| {
        events.iter().filter(|(_, e)| e.kind.item().is_some_and(|i| i.kind().is_document())).count()
    };
    assert_eq!(documents(net.events("a", "submitted").await), 3);
    assert_eq!(documents(net.events("b", "received").await), 1);
    net.finish().await;
}

#[tokio::test]
async fn the_same_document_many_times_at_once_is_one_delivery() {
    let net = TestNet::running(&["a", "b"]).await;
    let a = net.dms("a").await;
    let doc = net.document("H01.1", &["H01.22", "H01.2"], "1");
    let other = doc.clone().request("other");
    let (bulk, one, two, three) = tokio::join!(
        a.send_many(vec![doc.bulk(), other.bulk(), doc.bulk(), other.bulk()]),
        a.send(&doc),
        a.send(&doc),
        a.send(&other),
    );
    let mut answers = vec![one.unwrap(), two.unwrap(), three.unwrap()];
    for answer in bulk {
        match answer.outcome {
            Some(pb::send_many_response::Outcome::Sent(sent)) => answers.push(sent),
            other => panic!("{other:?}"),
        }
    }
    for recipient in 0..2 {
        let results: Vec<_> = answers.iter().map(|a| &a.results[recipient]).collect();
        assert!(results.iter().all(|r| r.delivery_id == results[0].delivery_id), "{results:?}");
        assert!(results.iter().all(|r| r.log_index == results[0].log_index), "{results:?}");
        assert_eq!(results.iter().filter(|r| !r.already_sent).count(), 1, "{results:?}");
    }
    assert_eq!(net.events("a", "submitted").await.len(), 2);
    for result in &answers[0].results {
        a.wait_for(&result.delivery_id, pb::DeliveryState::Delivered).await;
    }
    net.finish().await;
}

#[tokio::test]
async fn the_same_key_with_other_content_is_a_conflict() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let doc = net.document("H01.1", &["H01.2"], "1");
    let id = a.deliver(&doc).await.remove(0);
    let said = &["1/CV-VP (2016)", "H01.1", "an update or a replacement"];
    let conflict = refusal(Code::AlreadyExists, "conflict", "metadata.number", said);
    let other = net.document_of("H01.1", &["H01.2"], "1", b"other".to_vec()).request("other");
    let retitled = doc.clone().with(|m| m.subject.push('!')).request("retitled");
    let elsewhere = net.document_of("H01.1", &["H01.21"], "1", b"other".to_vec()).request("elsewhere");
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    for other in [&other, &retitled, &elsewhere] {
        net.refuses(&a, other, &conflict).await;
    }
    // Another year, another notation, another sender: another document.
    let next = doc.clone().with(|m| m.issued_on = "2015-12-31".into()).request("2015");
    let noted = doc.clone().with(|m| m.notation = "QĐ-VP".into()).request("QD");
    for another in [next, noted, net.document("H01.21", &["H01.2"], "1")] {
        assert_ne!(a.deliver(&another).await[0], id);
    }
    net.finish().await;
}

#[tokio::test]
async fn a_request_id_used_for_something_else_is_refused() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.2"], "1").request("r")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let reused =
        refusal(Code::AlreadyExists, "request_id_reused", "request_id", &["`r`", "an id of its own"]);
    net.refuses(&a, &net.document("H01.1", &["H01.2"], "2").request("r"), &reused).await;
    // Another agency has ids of its own.
    assert_eq!(a.deliver(&net.document("H01.21", &["H01.2"], "2").request("r")).await.len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn two_documents_of_one_key_at_once_are_one_delivery_and_one_conflict() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    for number in 1..=5 {
        let number = number.to_string();
        let one = net.document("H01.1", &["H01.2"], &number);
        let two = net.document_of("H01.1", &["H01.2"], &number, b"other".to_vec());
        let two = two.request(&format!("other-{number}"));
        let (first, second) = tokio::join!(a.send(&one), a.send(&two));
        let refused = match (&first, &second) {
            (Ok(_), Err(status)) | (Err(status), Ok(_)) => status,
            both => panic!("one is taken, one refused: {both:?}"),
        };
        refusal(Code::AlreadyExists, "conflict", "metadata.number", &["/CV-VP (2016)"]).check(refused);
    }
    assert_eq!(net.events("a", "submitted").await.len(), 5);
    net.finish().await;
}

#[tokio::test]
async fn the_same_number_in_another_unicode_form_is_the_same_number() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let doc = net.document("H01.1", &["H01.2"], "1").with(|m| m.notation = "QĐ-Tỉnh ủy".into());
    let id = a.deliver(&doc).await.remove(0);
    let decomposed = |m: &mut pb::Metadata| {
        let notation: String = m.notation.nfd().collect();
        assert_ne!(m.notation, notation);
        m.notation = notation;
        m.subject = m.subject.nfd().collect();
    };
    let same = a.send(&doc.clone().with(decomposed)).await.unwrap();
    assert_eq!((&same.results[0].delivery_id, same.results[0].already_sent), (&id, true));
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let other = net.document_of("H01.1", &["H01.2"], "1", b"other".to_vec()).request("other");
    let other = other.with(|m| m.notation = "QĐ-Tỉnh ủy".into()).with(decomposed);
    let conflict = refusal(Code::AlreadyExists, "conflict", "metadata.number", &["1/QĐ-Tỉnh ủy (2016)"]);
    net.refuses(&a, &other, &conflict).await;
    // Two at once in two forms.
    let (nfc, nfd) = (doc.clone().with(|m| m.number = "2ệ".into()), doc.clone());
    let nfd = nfd.with(|m| m.number = "2ệ".nfd().collect()).request("nfd");
    let nfc = nfc.request("nfc");
    let (one, two) = tokio::join!(a.send(&nfc), a.send(&nfd));
    let (one, two) = (one.unwrap().results.remove(0), two.unwrap().results.remove(0));
    assert_eq!(one.delivery_id, two.delivery_id);
    assert_ne!(one.already_sent, two.already_sent);
    net.finish().await;
}

#[tokio::test]
async fn what_is_only_validated_is_checked_and_leaves_nothing() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let before = net.traces().await;
    let content = net.config("a").data.join("content");
    let stored = || -> u64 {
        let files = std::fs::read_dir(&content).unwrap().flatten();
        files.map(|f| f.metadata().unwrap()).filter(|m| m.is_file()).map(|m| m.len()).sum()
    };
    let bytes = stored();
    let check = |h: &mut pb::SendHeader| h.validate_only = true;
    let good = net.document("H01.1", &["H01.2", "H01.77", "H01.22"], "1").with_header(check);
    let answer = a.send(&good).await.unwrap();
    assert_eq!(answer.verdicts.unwrap().agency(), pb::Verdict::Valid);
    assert_eq!(answer.results[0].problem, None);
    assert_eq!(answer.results[1].problem.as_ref().unwrap().reason, "unknown_recipient");
    assert!(answer.results.iter().all(|r| !r.already_sent && r.log_index == 0));
    let large = net.document_of("H01.1", &["H01.2"], "2", vec![b'x'; (1 << 20) + 1]).with_header(check);
    a.send(&large).await.unwrap();
    for number in ["", "123456789012"] {
        let bad = net.document("H01.1", &["H01.2"], number).with_header(check);
        let reason = if number.is_empty() { "missing_field" } else { "too_long" };
        net.refuses(&a, &bad.request("bad"), &invalid(reason, "metadata.number", &[])).await;
    }
    let mut torn = net.document("H01.1", &["H01.2"], "3").with_header(check);
    torn.data[0] ^= 1;
    net.refuses(&a, &torn, &invalid("content_mismatch", "parts[0].sha256", &[])).await;
    let doc = net.document("H01.1", &["H01.2"], "4").with_header(check);
    let unsealed = doc.clone().signed(vec![net.seal("H01.2", &doc.data)]);
    let refused = refusal(Code::FailedPrecondition, "wrong_agency", "parts.signatures", &[]);
    net.refuses(&a, &unsealed, &refused).await;
    assert_eq!(net.traces().await, before);
    assert_eq!(stored(), bytes);
    assert_eq!(std::fs::read_dir(content.join("large")).unwrap().count(), 0);
    // The number is still free, and so is the request id.
    let other = net.document_of("H01.1", &["H01.2"], "1", b"other".to_vec());
    assert_eq!(a.deliver(&other).await.len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn a_document_that_would_conflict_is_told_so_when_it_is_only_validated() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.2"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let other = net.document_of("H01.1", &["H01.2"], "1", b"other".to_vec()).request("other");
    let conflict = refusal(Code::AlreadyExists, "conflict", "metadata.number", &["1/CV-VP (2016)"]);
    net.refuses(&a, &other.with_header(|h| h.validate_only = true), &conflict).await;
    net.finish().await;
}

#[tokio::test]
async fn a_refusal_by_the_recipient_closes_the_attempt_and_a_corrected_document_opens_the_next() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let first = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&first, pb::DeliveryState::Delivered).await;
    b.acknowledge("H01.22", &first).await.unwrap();
    b.report("H01.22", &first, pb::Status::Refused, "thiếu phụ lục").await.unwrap();
    let refused = pb::Status::Refused as i32;
    eventually("02 arrives", || async { a.statuses(&first).await.contains(&refused).then_some(()) }).await;
    let corrected = net.document_of("H01.1", &["H01.22"], "1", b"corrected".to_vec()).request("corrected");
    let sent = a.send(&corrected).await.unwrap().results.remove(0);
    assert_eq!((sent.already_sent, sent.problem), (false, None));
    assert_ne!(sent.delivery_id, first);
    let view = a.wait_for(&sent.delivery_id, pb::DeliveryState::Delivered).await;
    assert_eq!(view.attempt, 2);
    assert_eq!(b.fetch("H01.22", &sent.delivery_id).await.unwrap().1, b"corrected");
    // Now this one is in force: the first is what conflicts.
    let conflict = a.send(&net.document("H01.1", &["H01.22"], "1").request("late")).await.unwrap_err();
    refusal(Code::AlreadyExists, "conflict", "metadata.number", &["1/CV-VP (2016)"]).check(&conflict);
    net.finish().await;
}

#[tokio::test]
async fn a_give_up_closes_the_attempt_and_says_why() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let not_after = net.now().plus_millis(3_600_000);
    let doc = net.document("H01.1", &["H01.22"], "1").with_header(|h| h.not_after = not_after.millis());
    let id = a.deliver(&doc).await.remove(0);
    eventually("the first try fails", || async {
        (!net.queue("a", "b").await.last_error.is_empty()).then_some(())
    })
    .await;
    net.clock.set(not_after.plus_millis(1));
    let view = a.wait_for(&id, pb::DeliveryState::Undelivered).await;
    assert_eq!(view.reason, "peer_unreachable");
    let told = a.told(&["H01.1"], "").await.unwrap();
    let told: Vec<_> = told.iter().map(|i| (i.kind(), i.reason.as_str())).collect();
    assert_eq!(told, [(pb::WatchKind::Undelivered, "peer_unreachable")]);
    let again = net.document_of("H01.1", &["H01.22"], "1", b"corrected".to_vec()).request("again");
    let next = a.deliver(&again).await.remove(0);
    assert_ne!(next, id);
    assert_eq!(a.track(&next).await.unwrap().attempt, 2);
    let kinds: Vec<_> = net.events("a", "undelivered").await.into_iter().map(|(_, e)| e.kind).collect();
    assert!(matches!(&kinds[..], [EventKind::Undelivered { .. }]), "{kinds:?}");
    net.finish().await;
}
