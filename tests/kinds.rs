//! Revoke, update, replace and take-back on their way across two nodes, through the real API. What meets what, in every
//! order, is tested on the state machines in `tests/crossings`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bytes::Bytes;
use common::check::{invalid, refusal};
use common::client::{Client, revoke};
use common::{TestNet, eventually};
use lienthong::domain::{Body, EventKind};
use lienthong::wire::{envelope, pb};
use tonic::Code;

/// A document from H01.1 on node a to H01.22 on node b, with its receipt.
async fn delivered(net: &TestNet, a: &Client, number: &str) -> Bytes {
    let id = a.deliver(&net.document("H01.1", &["H01.22"], number)).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    id
}

/// An update of a delivery, without its seal.
fn update(net: &TestNet, id: &Bytes, number: &str, subject: &str) -> pb::SendNoticeRequest {
    let mut doc = net.document("H01.1", &["H01.22"], number).with(|m| m.subject = subject.to_owned());
    pb::SendNoticeRequest {
        request_id: format!("update-{}", &hex::encode(subject)[..8]),
        agency: "H01.1".to_owned(),
        kind: pb::Kind::Update.into(),
        delivery_id: id.clone(),
        metadata: Some(doc.metadata().clone()),
        ..pb::SendNoticeRequest::default()
    }
}

fn kinds(items: &[pb::WatchResponse]) -> Vec<(pb::WatchKind, pb::Kind)> {
    items.iter().map(|i| (i.kind(), i.message_kind())).collect()
}

/// Deliveries that count, and those that were delivered electronically.
async fn counted(net: &TestNet) -> (u64, u64) {
    let admin = net.client("a", "admin").await;
    let answer = admin.node.report().get_ratios(pb::GetRatiosRequest::default()).await.unwrap().into_inner();
    let row = answer.rows.iter().find(|r| r.key == "in_province");
    row.map_or((0, 0), |r| (r.deliveries, r.ratios.iter().find(|r| r.name == "fully_electronic").unwrap().n))
}

#[tokio::test]
async fn a_revoked_document_is_out_of_force_and_both_sides_see_by_which_event() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = delivered(&net, &a, "1").await;
    let sent = a.revoke(&net, "H01.1", &id).await;
    assert_eq!(sent.verdicts.unwrap().agency(), pb::Verdict::Valid);
    let here = b.wait_for_end(&id, pb::EndedBy::Revoked).await;
    let there = a.wait_for_end(&id, pb::EndedBy::Revoked).await;
    for view in [&here, &there] {
        let end = view.ended.as_ref().unwrap();
        assert_eq!(end.delivery_id, sent.delivery_id);
    }
    let received: Vec<_> = net.events("b", "received").await;
    let (index, event) = received.last().unwrap();
    assert_eq!(here.ended.unwrap().log_index, *index);
    assert!(matches!(&event.kind, EventKind::Received { verdicts, judged, .. }
        if verdicts.agency == lienthong::signature::Verdict::Valid && judged.signatures.len() == 1));
    let gone = refusal(Code::FailedPrecondition, "revoked", "delivery_id", &["was revoked", "cancel it"]);
    gone.check(&b.fetch("H01.22", &id).await.unwrap_err());
    gone.check(&b.acknowledge("H01.22", &id).await.unwrap_err());
    let told = b.told(&["H01.22"], "").await.unwrap();
    assert_eq!(
        kinds(&told),
        [(pb::WatchKind::Arrived, pb::Kind::Unspecified), (pb::WatchKind::Notice, pb::Kind::Revoke)]
    );
    assert_eq!((told[1].written_reason.as_str(), told[1].counterpart.as_str()), ("Ban hành nhầm", "H01.1"));
    assert_eq!((&told[1].message_id, &told[1].delivery_id), (&sent.delivery_id, &id));
    assert_eq!(b.inbox("H01.22").await.unwrap()[0].ended_by(), pb::EndedBy::Revoked);
    // The recipient answers that it cancelled it.
    b.report("H01.22", &id, pb::Status::TakeBackAgreed, "").await.unwrap();
    assert_eq!(b.inbox("H01.22").await.unwrap(), []);
    let view = a.wait_for_asked(&id, pb::AskState::Agreed).await;
    assert_eq!(view.statuses.iter().map(|s| (s.status, s.out_of_order)).collect::<Vec<_>>(), [(15, false)]);
    let told = a.told(&["H01.1"], "").await.unwrap();
    assert_eq!(
        kinds(&told),
        [
            (pb::WatchKind::Delivered, pb::Kind::Unspecified),
            (pb::WatchKind::Delivered, pb::Kind::Revoke),
            (pb::WatchKind::Status, pb::Kind::Status),
        ]
    );
    // Revoked again, by another request: the same.
    let again = pb::SendNoticeRequest { request_id: "again".into(), ..revoke("H01.1", &id) };
    // (It is out of force: asked for its statement alone, the node says so.)
    gone.check(&a.statement(&again).await.unwrap_err());
    let again = a.notice(&again, vec![net.seal("H01.1", &sent.statement)]).await.unwrap();
    assert!(again.already_sent);
    assert_eq!((again.delivery_id, again.log_index), (sent.delivery_id, sent.log_index));
    // What had been delivered counts; the number is free.
    assert_eq!(counted(&net).await, (1, 1));
    let corrected = net.document_of("H01.1", &["H01.22"], "1", b"corrected".to_vec()).request("corrected");
    let next = a.deliver(&corrected).await.remove(0);
    assert_eq!(a.wait_for(&next, pb::DeliveryState::Delivered).await.attempt, 2);
    assert_eq!(b.fetch("H01.22", &next).await.unwrap().1, b"corrected");
    net.finish().await;
}

#[tokio::test]
async fn a_revoke_goes_before_a_document_that_waits_and_withdraws_it_before_its_content_moves() {
    let mut net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let large = net.document_of("H01.1", &["H01.22"], "1", vec![7; 2 << 20]);
    let ids = [
        a.deliver(&large).await.remove(0),
        a.deliver(&net.document("H01.1", &["H01.22"], "2")).await.remove(0),
    ];
    eventually("the failure is seen", || async {
        (net.queue("a", "b").await.last_error.starts_with("peer_unreachable")).then_some(())
    })
    .await;
    let seal = a.revoke(&net, "H01.1", &ids[0]).await;
    assert!(!seal.already_sent);
    let view = a.track(&ids[0]).await.unwrap();
    assert_eq!((view.state(), view.asked[0].state()), (pb::DeliveryState::Queued, pb::AskState::Sent));
    assert!(view.waiting_for.contains("its revoke to arrive at node b"), "{}", view.waiting_for);
    net.start("b").await;
    let b = net.dms("b").await;
    let view = a.wait_for(&ids[0], pb::DeliveryState::Withdrawn).await;
    assert_eq!((view.reason.as_str(), view.asked[0].state()), ("withdrawn", pb::AskState::Agreed));
    a.wait_for(&ids[1], pb::DeliveryState::Delivered).await;
    assert_eq!(
        b.inbox("H01.22").await.unwrap().iter().map(|i| &i.delivery_id).collect::<Vec<_>>(),
        [&ids[1]]
    );
    // Of what never came to it the recipient is told nothing.
    assert_eq!(b.told(&["H01.22"], "").await.unwrap().len(), 1);
    // In b's log the revoke is first; of the document nothing was taken but its name.
    let events = net.events("b", "").await;
    let place = |wanted: &Bytes| {
        events
            .iter()
            .position(|(_, e)| e.kind.delivery_id().is_some_and(|id| id.as_bytes()[..] == wanted[..]))
    };
    assert!(place(&seal.delivery_id).unwrap() < place(&ids[0]).unwrap());
    let refused = &net.events("b", "refused").await[0].1.kind;
    assert!(matches!(refused, EventKind::Refused { content_digests, .. } if content_digests.is_empty()));
    assert_eq!(std::fs::read_dir(net.config("b").data.join("content/large")).unwrap().count(), 0);
    assert_eq!(counted(&net).await.0, 1);
    net.finish().await;
}

#[tokio::test]
async fn a_revoke_finds_the_document_through_restarts_and_within_one_node() {
    let mut net = TestNet::running(&["a", "b"]).await;
    let a = net.dms("a").await;
    let ids = a.deliver(&net.document("H01.1", &["H01.22", "H01.2"], "1")).await;
    for id in &ids {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
    }
    net.kill("b");
    // One statement, one seal, two deliveries.
    let statement = a.statement(&revoke("H01.1", &ids[0])).await.unwrap();
    assert_eq!(a.statement(&revoke("H01.1", &ids[1])).await.unwrap(), statement);
    let seal = net.seal("H01.1", &statement);
    for id in &ids {
        a.notice(&revoke("H01.1", id), vec![seal.clone()]).await.unwrap();
    }
    a.wait_for_end(&ids[1], pb::EndedBy::Revoked).await;
    net.kill("a");
    net.start("a").await;
    net.start("b").await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    a.wait_for_end(&ids[0], pb::EndedBy::Revoked).await;
    b.wait_for_end(&ids[0], pb::EndedBy::Revoked).await;
    for (client, agency, id) in [(&b, "H01.22", &ids[0]), (&a, "H01.2", &ids[1])] {
        assert!(client.fetch(agency, id).await.unwrap_err().message().starts_with("revoked"));
        client.report(agency, id, pb::Status::TakeBackAgreed, "").await.unwrap();
        a.wait_for_asked(id, pb::AskState::Agreed).await;
    }
    net.finish().await;
}

#[tokio::test]
async fn a_notice_without_the_agencys_valid_seal_is_not_sent() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = delivered(&net, &a, "1").await;
    let notice = revoke("H01.1", &id);
    let statement = a.statement(&notice).await.unwrap();
    assert!(
        String::from_utf8(statement.clone()).unwrap().starts_with("lienthong/statement/1\nkind revoke\n")
    );
    let before = net.traces().await;
    let precondition =
        |reason: &str, says: &[&str]| refusal(Code::FailedPrecondition, reason, "signatures", says);
    let other =
        a.statement(&pb::SendNoticeRequest { reason: "khác".into(), ..notice.clone() }).await.unwrap();
    let cases = [
        (vec![], precondition("seal_required", &["agency: absent", "statement_only"])),
        (vec![net.person("H01.1", &statement)], precondition("seal_required", &["person: valid"])),
        (vec![net.seal("H01.2", &statement)], precondition("wrong_agency", &["agency: invalid"])),
        (vec![net.seal("H01.1", &other)], precondition("digest_mismatch", &["nothing was sent"])),
        (vec![b"x".to_vec()], precondition("malformed_signature", &[])),
        (vec![vec![]], invalid("too_long", "signatures", &["0 bytes"])),
        (vec![vec![0; 65_537]], invalid("too_long", "signatures", &["65537", "65536"])),
        (vec![statement.clone(); 17], invalid("too_many", "signatures", &["17", "16"])),
    ];
    for (signatures, refused) in cases {
        refused.check(&a.notice(&notice, signatures).await.unwrap_err());
    }
    let unsaid = pb::SendNoticeRequest { reason: " ".into(), ..notice.clone() };
    invalid("missing_field", "reason", &["must say why"]).check(&a.statement(&unsaid).await.unwrap_err());
    // Not the recipient's to revoke, not a stranger's to know.
    let party = pb::SendNoticeRequest { agency: "H01.22".into(), ..notice.clone() };
    refusal(Code::PermissionDenied, "wrong_party", "delivery_id", &["its sender alone"])
        .check(&b.statement(&party).await.unwrap_err());
    let stranger = pb::SendNoticeRequest { agency: "H01.2".into(), ..notice.clone() };
    let unknown = refusal(Code::NotFound, "unknown_delivery", "delivery_id", &["of this agency"]);
    unknown.check(&a.statement(&stranger).await.unwrap_err());
    let nothing = pb::SendNoticeRequest { delivery_id: vec![9; 32].into(), ..notice.clone() };
    unknown.check(&a.statement(&nothing).await.unwrap_err());
    for kind in [pb::Kind::New, pb::Kind::Replace, pb::Kind::Status, pb::Kind::Unspecified] {
        let odd = pb::SendNoticeRequest { kind: kind.into(), ..notice.clone() };
        invalid("invalid_text", "kind", &[]).check(&a.statement(&odd).await.unwrap_err());
    }
    assert_eq!(net.traces().await, before);
    b.fetch("H01.22", &id).await.unwrap();
    // A subunit's seal is its registered agency's.
    let id = a.deliver(&net.document("H01.1.5", &["H01.22"], "2")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let notice = revoke("H01.1.5", &id);
    let statement = a.statement(&notice).await.unwrap();
    a.notice(&notice, vec![net.seal("H01.1", &statement)]).await.unwrap();
    a.wait_for_end(&id, pb::EndedBy::Revoked).await;
    net.finish().await;
}

#[tokio::test]
async fn an_update_takes_effect_with_15_and_leaves_the_old_metadata_with_16() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = delivered(&net, &a, "1").await;
    let mut sent = Vec::new();
    for subject in ["một lần", "hai lần"] {
        sent.push(a.sealed(&net, &update(&net, &id, "1", subject)).await.unwrap().delivery_id);
    }
    let told = eventually("both arrive", || async {
        Some(b.told(&["H01.22"], "").await.unwrap()).filter(|t| t.len() == 3)
    })
    .await;
    let subjects: Vec<_> = told[1..].iter().map(|i| i.metadata.as_ref().unwrap().subject.as_str()).collect();
    assert_eq!(subjects, ["một lần", "hai lần"]);
    assert!(b.fetch("H01.22", &id).await.unwrap().0.updates.is_empty(), "nothing is agreed to yet");
    // Two are open: which one is answered must be said.
    let unclear = b.report("H01.22", &id, pb::Status::TakeBackAgreed, "").await.unwrap_err();
    invalid("missing_field", "answers", &["more than one"]).check(&unclear);
    b.answer("H01.22", &id, pb::Status::TakeBackRefused, &sent[0]).await.unwrap();
    let agreed = b.answer("H01.22", &id, pb::Status::TakeBackAgreed, &sent[1]).await.unwrap();
    assert!(!agreed.out_of_order);
    let (header, data) = b.fetch("H01.22", &id).await.unwrap();
    assert_eq!(data, net.document("H01.1", &["H01.22"], "1").data);
    let [in_force] = &header.updates[..] else { panic!("one update is in force") };
    let Body::Notice(notice) = envelope::decode(in_force).unwrap().body else {
        panic!("an update is a notice")
    };
    assert_eq!(notice.metadata.unwrap().subject, "hai lần");
    let view = a.wait_for_asked(&id, pb::AskState::Agreed).await;
    assert_eq!(view.asked[0].state(), pb::AskState::Refused);
    assert_eq!((view.ended, view.statuses.len()), (None, 2));
    // Another number is another document; and so is a state secret.
    let renumbered = update(&net, &id, "2", "số khác");
    refusal(Code::AlreadyExists, "conflict", "metadata.number", &["keeps number"])
        .check(&a.statement(&renumbered).await.unwrap_err());
    let mut secret = update(&net, &id, "1", "mật");
    secret.metadata.as_mut().unwrap().classification = "Mật".into();
    invalid("classified_document", "metadata.classification", &[])
        .check(&a.statement(&secret).await.unwrap_err());
    net.finish().await;
}

#[tokio::test]
async fn a_take_back_is_the_recipients_to_agree_to() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = delivered(&net, &a, "1").await;
    b.acknowledge("H01.22", &id).await.unwrap();
    // Only the sender asks, and says why.
    refusal(Code::PermissionDenied, "wrong_party", "status", &["the sender"])
        .check(&b.report("H01.22", &id, pb::Status::TakeBackRequested, "x").await.unwrap_err());
    invalid("missing_field", "reason", &["must say why"])
        .check(&a.report("H01.1", &id, pb::Status::TakeBackRequested, "").await.unwrap_err());
    let first = a.report("H01.1", &id, pb::Status::TakeBackRequested, "gửi nhầm").await.unwrap();
    let told = eventually("13 arrives", || async {
        b.told(&["H01.22"], "").await.unwrap().into_iter().find(|i| i.status == 13)
    })
    .await;
    assert_eq!((told.written_reason.as_str(), &told.message_id), ("gửi nhầm", &first.delivery_id));
    b.answer("H01.22", &id, pb::Status::TakeBackRefused, &told.message_id).await.unwrap();
    a.wait_for_asked(&id, pb::AskState::Refused).await;
    b.fetch("H01.22", &id).await.unwrap();
    // Asked again, it is agreed to.
    let request = pb::SendStatusRequest {
        request_id: "again".into(),
        agency: "H01.1".into(),
        delivery_id: id.clone(),
        status: pb::Status::TakeBackRequested.into(),
        reason: "xin lại".into(),
        ..pb::SendStatusRequest::default()
    };
    let second = a.node.exchange().send_status(request).await.unwrap().into_inner();
    eventually("it is open", || async {
        b.track(&id).await.unwrap().asked.last().filter(|x| x.delivery_id == second.delivery_id).map(|_| ())
    })
    .await;
    let agreed = b.report("H01.22", &id, pb::Status::TakeBackAgreed, "").await.unwrap();
    assert!(!agreed.out_of_order);
    for client in [&a, &b] {
        let view = client.wait_for_end(&id, pb::EndedBy::TakenBack).await;
        assert_eq!(view.ended.unwrap().delivery_id, agreed.delivery_id);
    }
    let gone = refusal(Code::FailedPrecondition, "revoked", "delivery_id", &["was taken back"]);
    gone.check(&b.fetch("H01.22", &id).await.unwrap_err());
    let corrected = net.document_of("H01.1", &["H01.22"], "1", b"corrected".to_vec()).request("corrected");
    let next = a.deliver(&corrected).await.remove(0);
    a.wait_for(&next, pb::DeliveryState::Delivered).await;
    net.finish().await;
}

#[tokio::test]
async fn a_replacement_takes_the_old_document_out_of_force_at_each_recipient_that_it_reaches() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let old = a.deliver(&net.document("H01.1", &["H01.22", "H01.2"], "1")).await;
    for id in &old {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
    }
    let reference = |agency: &str, number: &str| pb::DocumentRef {
        agency: agency.into(),
        number: number.into(),
        notation: "CV-VP".into(),
        year: 2016,
    };
    let replacement = |number: &str, replaces: Option<pb::DocumentRef>| {
        net.document("H01.1", &["H01.22", "H01.22.1"], number)
            .with(|m| m.replaces = replaces)
            .with_header(|h| h.kind = pb::Kind::Replace.into())
    };
    net.refuses(&a, &replacement("2", None), &invalid("missing_field", "metadata.replaces", &[])).await;
    let itself = replacement("1", Some(reference("H01.1", "1")));
    let conflict = refusal(Code::AlreadyExists, "conflict", "metadata.replaces", &["a number of its own"]);
    net.refuses(&a, &itself, &conflict).await;
    let others = replacement("2", Some(reference("H01.2", "1")));
    let party = refusal(Code::PermissionDenied, "wrong_party", "metadata.replaces.agency", &["H01.1"]);
    net.refuses(&a, &others, &party).await;
    let doc = replacement("2", Some(reference("000.00.01.H01", "1")));
    let unsealed = doc.clone().signed(vec![net.person("H01.1", &doc.data)]);
    let seal = refusal(Code::FailedPrecondition, "seal_required", "parts.signatures", &["agency: absent"]);
    net.refuses(&a, &unsealed, &seal).await;
    let new = a.deliver(&doc).await;
    for id in &new {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
    }
    for client in [&a, &b] {
        let view = client.wait_for_end(&old[0], pb::EndedBy::Replaced).await;
        assert_eq!(view.ended.unwrap().delivery_id, new[0]);
    }
    let [item] = &b.inbox("H01.22").await.unwrap()[..] else { panic!("the new one alone waits") };
    assert_eq!((&item.delivery_id, item.kind(), &item.about), (&new[0], pb::Kind::Replace, &old[0]));
    let gone = refusal(Code::FailedPrecondition, "revoked", "delivery_id", &["was replaced"]);
    gone.check(&b.fetch("H01.22", &old[0]).await.unwrap_err());
    assert!(b.fetch("H01.22", &new[0]).await.unwrap().0.legally_effective);
    // Who was not sent the new one keeps the old one.
    assert_eq!(a.track(&old[1]).await.unwrap().ended, None);
    a.fetch("H01.2", &old[1]).await.unwrap();
    assert_eq!(counted(&net).await, (4, 4));
    net.finish().await;
}

#[tokio::test]
async fn a_notice_whose_seal_cannot_be_judged_is_held_and_decided_like_a_document() {
    let mut net = TestNet::running(&["a", "b"]).await;
    let a = net.dms("a").await;
    let mut ids = Vec::new();
    for number in ["1", "2", "3"] {
        ids.push(delivered(&net, &a, number).await);
    }
    net.stop("b").await;
    let list = net.path("b/crls/documents-ca.crl");
    let kept = std::fs::read(&list).unwrap();
    std::fs::remove_file(&list).unwrap();
    net.start("b").await;
    let b = net.dms("b").await;
    let mut notices = Vec::new();
    for id in &ids {
        let notice = a.revoke(&net, "H01.1", id).await.delivery_id;
        a.wait_for(&notice, pb::DeliveryState::Held).await;
        notices.push(notice);
    }
    // Custody only: the documents are in force, and the notices wait beside them.
    b.fetch("H01.22", &ids[0]).await.unwrap();
    let waiting = b.inbox("H01.22").await.unwrap();
    let held: Vec<_> =
        waiting.iter().filter(|i| i.held).map(|i| (i.kind(), &i.delivery_id, &i.about)).collect();
    let expected: Vec<_> = notices.iter().zip(&ids).map(|(n, id)| (pb::Kind::Revoke, n, id)).collect();
    assert_eq!(held, expected);
    let told = b.told(&["H01.22"], "").await.unwrap();
    assert_eq!(kinds(&told)[3..], [(pb::WatchKind::Held, pb::Kind::Revoke); 3]);
    b.release("H01.22", &notices[0], false).await.unwrap();
    b.release("H01.22", &notices[1], true).await.unwrap();
    let gone = refusal(Code::FailedPrecondition, "revoked", "delivery_id", &["was revoked"]);
    gone.check(&b.fetch("H01.22", &ids[0]).await.unwrap_err());
    let last = b.told(&["H01.22"], "").await.unwrap().pop().unwrap();
    assert_eq!(
        (last.kind(), last.message_kind(), &last.delivery_id),
        (pb::WatchKind::Notice, pb::Kind::Revoke, &ids[0])
    );
    a.wait_for_end(&ids[0], pb::EndedBy::Revoked).await;
    assert_eq!(a.wait_for(&notices[1], pb::DeliveryState::Refused).await.reason, "revocation_unknown");
    assert_eq!(a.track(&ids[1]).await.unwrap().asked[0].state(), pb::AskState::Void);
    b.acknowledge("H01.22", &ids[1]).await.unwrap();
    // The list comes: the third is judged by it.
    net.stop("b").await;
    std::fs::write(&list, kept).unwrap();
    net.start("b").await;
    a.wait_for_end(&ids[2], pb::EndedBy::Revoked).await;
    net.finish().await;
}

#[tokio::test]
async fn a_client_that_names_a_code_has_nothing_to_do_with_an_agency_that_lost_it() {
    let mut net = TestNet::new();
    // The code of the district was given to the department last year.
    net.change_directory(|content| {
        for agency in &mut content.agencies {
            let (from, to) = match agency.id.as_str() {
                "H01.2" => (Some("2016-01-01".parse().unwrap()), None),
                "H01.21" => (None, Some("2016-01-01".parse().unwrap())),
                _ => continue,
            };
            agency.codes.push(lienthong::directory::content::CodeEntry { code: "X1".into(), from, to });
        }
    });
    net.configure("a", |config| {
        let one = config.clients.iter_mut().find(|c| c.name == "one").unwrap();
        one.agencies = Some(["X1".to_owned()].into());
    });
    net.start("a").await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let ids = a.deliver(&net.document("H01.1", &["H01.2", "H01.21"], "1")).await;
    for id in &ids {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
    }
    assert_eq!(one.inbox("H01.2").await.unwrap().len(), 1);
    refusal(Code::PermissionDenied, "not_allowed", "agency", &["H01.21"])
        .check(&one.inbox("H01.21").await.unwrap_err());
    let told = one.told(&[], "").await.unwrap();
    assert!(told.iter().all(|i| i.agency == "H01.2"), "{told:?}");
    one.track(&ids[0]).await.unwrap();
    refusal(Code::NotFound, "unknown_delivery", "delivery_id", &[])
        .check(&one.track(&ids[1]).await.unwrap_err());
    net.finish().await;
}
