//! Peers that call with lies. Node c is played, with c's real keys and log: what it offers to node a is received,
//! refused with a proof, or answered without an event when it cannot be attributed to c.

use bytes::Bytes;
use lienthong::domain::{Body, DeliveryId, Envelope, EventKind, Kind, NoticeDocument, PartRole, Status};
use lienthong::merkle::sha256;
use lienthong::wire::pb::deliver_response::Outcome;
use lienthong::wire::{envelope, pb};
use tonic::Code;

use super::common::TestNet;
use super::common::check::{invalid, refusal};
use super::common::log::{HandLog, event};
use super::common::peer::Calling;
use super::forged::{Forged, agency};

/// Node a, c's log, and c's connection to a.
async fn stage() -> (TestNet, HandLog, Calling) {
    let net = TestNet::running(&["a"]).await;
    let log = net.hand_log("c");
    let calling = net.calling("c", "a").await;
    (net, log, calling)
}

/// The event of an answer that carries a proof.
fn proven(outcome: &Outcome) -> EventKind {
    match outcome {
        Outcome::Receipt(proof) => event(&proof.leaf),
        Outcome::Retry(retry) => panic!("{}: {}", retry.reason, retry.message),
        other => panic!("an answer to no question: {other:?}"),
    }
}

/// The offer is answered without an event, for this reason, and leaves no trace.
async fn unanswered(net: &TestNet, calling: &mut Calling, offer: pb::DeliverRequest, reason: &str) {
    let before = net.traces().await;
    match calling.offer(offer).await.unwrap() {
        Outcome::Retry(retry) => assert_eq!(retry.reason, reason, "{}", retry.message),
        Outcome::Receipt(proof) => panic!("{reason} was expected: {:?}", event(&proof.leaf)),
        other => panic!("an answer to no question: {other:?}"),
    }
    assert_eq!(net.traces().await, before, "{reason}");
}

/// The offer is refused with a proof, for this reason, and reaches no inbox and no system.
async fn refused(net: &TestNet, calling: &mut Calling, offer: pb::DeliverRequest, reason: &str) {
    let (received, told) =
        (net.events("a", "received").await.len(), net.dms("a").await.told(&[], "").await.unwrap());
    match proven(&calling.offer(offer).await.unwrap()) {
        EventKind::Refused { reason: found, .. } => assert_eq!(found.code(), reason),
        other => panic!("{reason} was expected: {other:?}"),
    }
    assert_eq!(net.events("a", "received").await.len(), received);
    assert_eq!(net.dms("a").await.told(&[], "").await.unwrap(), told);
}

#[tokio::test]
async fn an_offer_again_or_twice_at_once_gets_the_same_receipt() {
    let (net, mut log, mut calling) = stage().await;
    let offer = Forged::good(&net, "1").offer(&net, &mut log);
    let (mut second, mut third) = (net.calling("c", "a").await, net.calling("c", "a").await);
    let (one, two, three) =
        tokio::join!(calling.offer(offer.clone()), second.offer(offer.clone()), third.offer(offer.clone()));
    let again = calling.offer(offer).await.unwrap();
    let leaf = |outcome: &Outcome| match outcome {
        Outcome::Receipt(proof) => (proof.leaf.clone(), proof.index),
        Outcome::Retry(retry) => panic!("{}: {}", retry.reason, retry.message),
        other => panic!("an answer to no question: {other:?}"),
    };
    assert!(matches!(proven(&again), EventKind::Received { held: false, .. }));
    for outcome in [one.unwrap(), two.unwrap(), three.unwrap()] {
        assert_eq!(leaf(&outcome), leaf(&again));
    }
    assert_eq!(net.dms("a").await.inbox("H01.1").await.unwrap().len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn a_node_that_is_not_in_the_directory_may_say_hello_and_nothing_else() {
    let (net, mut log, _) = stage().await;
    let before = net.traces().await;
    let offer = Forged::good(&net, "1").offer(&net, &mut log);
    for uri in ["lienthong-node://test/x", "lienthong-node://other/c", "lienthong-node://other/a"] {
        let files = net.path("unlisted");
        net.certify("network-ca", uri, &["x"], &files);
        let mut calling = net.calling_with(&files, "a").await.unwrap();
        calling.peer.hello(pb::HelloRequest::default()).await.unwrap();
        let unknown = refusal(
            Code::PermissionDenied,
            "unknown_caller",
            "",
            &["is not in directory version 1", "listed"],
        );
        unknown.check(&calling.offer(offer.clone()).await.unwrap_err());
        let content = pb::ContentRequest { delivery_id: vec![1; 32].into(), part: 0, offset: 0 };
        unknown.check(&calling.peer.content(content).await.unwrap_err());
        let consistency = calling.peer.consistency(pb::ConsistencyRequest { from: 0, to: 1 }).await;
        unknown.check(&consistency.unwrap_err());
    }
    // The network's authority, and no node's name.
    for uri in ["lienthong-client://test/a/dms", "https://example.org/c"] {
        let files = net.path("unlisted");
        net.certify("network-ca", uri, &["x"], &files);
        let mut calling = net.calling_with(&files, "a").await.unwrap();
        let unknown = refusal(Code::PermissionDenied, "unknown_caller", "", &[]);
        unknown.check(&calling.offer(offer.clone()).await.unwrap_err());
        unknown.check(&calling.peer.hello(pb::HelloRequest::default()).await.unwrap_err());
    }
    assert_eq!(net.traces().await, before);
    net.finish().await;
}

#[tokio::test]
async fn a_peer_that_speaks_for_an_agency_that_it_does_not_host_is_answered_without_an_event() {
    let (net, mut log, mut calling) = stage().await;
    for (sender, recipient, reason) in [
        ("H01.22", "H01.1", "wrong_peer"),
        ("H01.2", "H01.1", "wrong_peer"),
        ("H01.9", "H01.1", "wrong_peer"),
        ("X9", "H01.1", "unknown_sender"),
        ("G01", "X9", "unknown_recipient"),
    ] {
        let forged = Forged::good(&net, "1").with(|e| {
            e.sender = agency(sender);
            e.recipient = agency(recipient);
        });
        let offer = forged.offer(&net, &mut log);
        unanswered(&net, &mut calling, offer, reason).await;
        // What a newer directory may explain is no refusal either.
        if reason.starts_with("unknown") {
            let offer = forged.with(|e| e.directory_version = 2).offer(&net, &mut log);
            unanswered(&net, &mut calling, offer, "directory_behind").await;
        }
    }
    net.finish().await;
}

#[tokio::test]
async fn an_offer_without_a_proof_of_itself_is_answered_without_an_event() {
    let (net, mut log, mut calling) = stage().await;
    let forged = Forged::good(&net, "1");
    let other = Forged::good(&net, "2").offer(&net, &mut log);
    let offer = forged.offer(&net, &mut log);
    let with = |origin: Option<pb::Proof>| pb::DeliverRequest { origin, ..offer.clone() };
    unanswered(&net, &mut calling, with(None), "missing_field").await;
    unanswered(&net, &mut calling, with(Some(pb::Proof::default())), "bad_proof").await;
    // Valid proofs of something else: another delivery, another kind of event, another's log.
    unanswered(&net, &mut calling, with(other.origin.clone()), "bad_proof").await;
    let fetched = EventKind::Fetched { delivery_id: forged.envelope.delivery_id };
    let fetched = log.prove(net.now(), fetched).to_wire();
    unanswered(&net, &mut calling, with(Some(fetched)), "bad_proof").await;
    let of_b = net.hand_log("b").prove(net.now(), forged.submitted()).to_wire();
    unanswered(&net, &mut calling, with(Some(of_b)), "bad_proof").await;
    let of_a = net.hand_log("a").prove(net.now(), forged.submitted()).to_wire();
    unanswered(&net, &mut calling, with(Some(of_a)), "bad_proof").await;
    // The proof is of another envelope under the same delivery.
    let changed = forged.clone().with(|e| e.not_after = e.not_after.plus_millis(1));
    let envelope = envelope::encode(&changed.envelope);
    unanswered(&net, &mut calling, pb::DeliverRequest { envelope, ..offer.clone() }, "bad_proof").await;
    let garbage = Bytes::from_static(b"\x0a\xff garbage");
    unanswered(&net, &mut calling, pb::DeliverRequest { envelope: garbage, ..offer.clone() }, "bad_envelope")
        .await;
    let huge = Bytes::from(vec![0; 300 << 10]);
    unanswered(&net, &mut calling, pb::DeliverRequest { envelope: huge, ..offer.clone() }, "bad_envelope")
        .await;
    // The offer itself is good.
    assert!(matches!(proven(&calling.offer(offer).await.unwrap()), EventKind::Received { .. }));
    net.finish().await;
}

#[tokio::test]
async fn content_that_is_not_what_the_envelope_names_is_never_taken() {
    let (net, mut log, mut calling) = stage().await;
    let offer = Forged::good(&net, "1").offer(&net, &mut log);
    let mut data = offer.data.to_vec();
    data[0] ^= 1;
    let longer = [&offer.data[..], b"x"].concat();
    let shorter = offer.data.slice(1..);
    for data in [data.into(), longer.into(), shorter] {
        let offer = pb::DeliverRequest { data, ..offer.clone() };
        unanswered(&net, &mut calling, offer, "content_mismatch").await;
    }
    let none = pb::DeliverRequest { signatures: Vec::new(), ..offer.clone() };
    unanswered(&net, &mut calling, none, "content_mismatch").await;
    let swapped =
        pb::DeliverRequest { signatures: offer.signatures.iter().rev().cloned().collect(), ..offer.clone() };
    unanswered(&net, &mut calling, swapped, "content_mismatch").await;
    let many = pb::DeliverRequest { signatures: vec![offer.signatures[0].clone(); 65], ..offer.clone() };
    unanswered(&net, &mut calling, many, "too_many").await;
    // Content that must be pulled, from a node that is not there.
    let pulled = pb::DeliverRequest { data: Bytes::new(), ..offer };
    unanswered(&net, &mut calling, pulled, "peer_unreachable").await;
    net.finish().await;
}

#[tokio::test]
async fn the_recipients_node_judges_for_itself_and_refuses_with_a_proof() {
    let (net, mut log, mut calling) = stage().await;
    type Sign = fn(&TestNet, &[u8]) -> Vec<Vec<u8>>;
    let cases: [(&str, Sign); 3] = [
        ("wrong_agency", |n, d| vec![n.person("G01", d), n.seal("H01.2", d)]),
        ("digest_mismatch", |n, _| n.signatures("G01", b"something else")),
        ("malformed_signature", |_, _| vec![b"no CMS".to_vec()]),
    ];
    for (i, (reason, sign)) in cases.into_iter().enumerate() {
        let mut forged = Forged::good(&net, &i.to_string());
        forged.signatures = sign(&net, &forged.data);
        let signatures: Vec<_> = forged.signatures.iter().map(|s| (sha256(s), s.len() as u32)).collect();
        let forged = forged.with(|e| match &mut e.body {
            Body::Document { parts, .. } => parts[0].signatures = signatures,
            Body::Notice(_) => {}
        });
        let offer = forged.offer(&net, &mut log);
        refused(&net, &mut calling, offer.clone(), reason).await;
        // The same offer, the same answer; and nothing is recorded twice.
        let count = net.events("a", "refused").await.len();
        refused(&net, &mut calling, offer, reason).await;
        assert_eq!(net.events("a", "refused").await.len(), count);
    }
    net.finish().await;
}

/// Another recipient, by id and code.
fn to(envelope: &mut Envelope, code: &str) {
    envelope.recipient = agency(code);
    envelope.recipient_code = code.to_owned();
}

#[tokio::test]
async fn a_code_that_is_another_agencys_is_not_taken() {
    let (net, mut log, mut calling) = stage().await;
    for forged in [
        Forged::good(&net, "1").with(|e| e.sender_code = "H01".into()),
        Forged::good(&net, "2").with(|e| e.recipient_code = "H01.2".into()),
    ] {
        let offer = forged.offer(&net, &mut log);
        unanswered(&net, &mut calling, offer, "bad_envelope").await;
    }
    net.finish().await;
}

#[tokio::test]
async fn a_kind_with_the_body_of_another_is_not_taken() {
    let (net, mut log, mut calling) = stage().await;
    let forged = Forged::good(&net, "1");
    let mut offer = forged.offer(&net, &mut log);
    let mut wire: pb::Envelope = prost::Message::decode(offer.envelope.clone()).unwrap();
    wire.kind = pb::Kind::Status.into();
    offer.envelope = prost::Message::encode_to_vec(&wire).into();
    unanswered(&net, &mut calling, offer, "bad_envelope").await;
    net.finish().await;
}

#[tokio::test]
async fn an_envelope_that_breaks_the_rules_is_refused_with_a_proof() {
    let (net, mut log, mut calling) = stage().await;
    let good = |number: &str| Forged::good(&net, number);
    let mut misnamed = good("1");
    misnamed.envelope.delivery_id = good("77").envelope.delivery_id;
    let late = |e: &mut Envelope| e.not_after = e.submitted_at.plus_millis(-1);
    for (forged, reason) in [
        (misnamed, "bad_envelope"),
        (good("2").with(|e| e.attempt = 0), "bad_envelope"),
        (good("3").with(|e| e.attempt = 1_001), "bad_envelope"),
        (good("4").with(late), "expired"),
        (good("5").with(|e| to(e, "H01.21.2")), "retired_agency"),
        (good("6").with(|e| to(e, "H01.22")), "not_hosted"),
        (good("7").with(|e| to(e, "H01.9")), "not_hosted"),
        (good("8").with_metadata(|m| m.subject = "x".repeat(501)), "too_long"),
        (good("9").with_metadata(|m| m.subject = "a\u{0}b".into()), "invalid_text"),
        (good("10").with_metadata(|m| m.type_name = "x".repeat(101)), "too_long"),
        (good("11").with_metadata(|m| m.places_received = vec!["x".into(); 101]), "too_many"),
        (
            good("12").with(|e| match &mut e.body {
                Body::Document { parts, .. } => parts[0].role = PartRole::Attachment,
                Body::Notice(_) => {}
            }),
            "no_main_part",
        ),
        (
            good("13").with(|e| match &mut e.body {
                Body::Document { parts, .. } => parts[0].size = super::common::MAX_CONTENT + 1,
                Body::Notice(_) => {}
            }),
            "content_too_large",
        ),
    ] {
        let offer = forged.offer(&net, &mut log);
        refused(&net, &mut calling, offer, reason).await;
    }
    // Too large to be recorded at all: no event, and the node goes on.
    let offer = good("14").with_metadata(|m| m.type_name = "x".repeat(70_000)).offer(&net, &mut log);
    unanswered(&net, &mut calling, offer, "too_long").await;
    net.finish().await;
}

#[tokio::test]
async fn a_classified_document_from_a_peer_is_not_taken() {
    let (net, mut log, mut calling) = stage().await;
    let forged = Forged::good(&net, "1");
    let mut offer = forged.offer(&net, &mut log);
    let mut wire: pb::Envelope = prost::Message::decode(offer.envelope.clone()).unwrap();
    let Some(pb::envelope::Body::Document(document)) = &mut wire.body else { panic!() };
    document.metadata.as_mut().unwrap().classification = "mật".to_owned();
    offer.envelope = prost::Message::encode_to_vec(&wire).into();
    unanswered(&net, &mut calling, offer, "classified_document").await;
    net.finish().await;
}

#[tokio::test]
async fn a_second_envelope_for_what_is_delivered_is_refused_and_the_first_stands() {
    let (net, mut log, mut calling) = stage().await;
    let first = Forged::good(&net, "1");
    assert!(matches!(
        proven(&calling.offer(first.offer(&net, &mut log)).await.unwrap()),
        EventKind::Received { .. }
    ));
    // The same delivery with other words; the same document as a second attempt while the first is in force.
    let other = first.clone().with_metadata(|m| m.subject.push('!')).offer(&net, &mut log);
    unanswered(&net, &mut calling, other, "conflict").await;
    let second = first.clone().with(|e| e.attempt = 2).offer(&net, &mut log);
    refused(&net, &mut calling, second, "already_delivered").await;
    let a = net.dms("a").await;
    let waiting = a.inbox("H01.1").await.unwrap();
    assert_eq!(waiting.len(), 1);
    let (header, data) = a.fetch("H01.1", &waiting[0].delivery_id).await.unwrap();
    assert_eq!((&header.envelope, &data), (&envelope::encode(&first.envelope), &first.data));
    net.finish().await;
}

#[tokio::test]
async fn a_status_about_a_delivery_that_is_not_ones_own_is_refused() {
    let (net, mut log, mut calling) = stage().await;
    let a = net.dms("a").await;
    let foreign = a.deliver(&net.document("H01.1", &["H01.2"], "1")).await.remove(0);
    a.wait_for(&foreign, pb::DeliveryState::Delivered).await;
    let id = |bytes: &Bytes| DeliveryId::from_slice(bytes).unwrap();
    // A delivery between others, one that there is not, and a status message of one's own.
    let own = Forged::good(&net, "1");
    calling.offer(own.offer(&net, &mut log)).await.unwrap();
    let system = net.dms("a").await;
    let bytes = Bytes::copy_from_slice(own.envelope.delivery_id.as_bytes());
    system.acknowledge("H01.1", &bytes).await.unwrap();
    let (_, arrived) = net.events("a", "submitted").await.pop().unwrap();
    for (n, (target, status)) in [
        (id(&foreign), Status::Refused),
        (id(&foreign), Status::Completed),
        (id(&foreign), Status::TakeBackRequested),
        (DeliveryId::default(), Status::Accepted),
        (arrived.kind.delivery_id().unwrap(), Status::Accepted),
    ]
    .into_iter()
    .enumerate()
    {
        let forged = Forged::status(&net, target, status).numbered(n as u32 + 1);
        let offer = forged.offer(&net, &mut log);
        refused(&net, &mut calling, offer, "unknown_delivery").await;
    }
    assert_eq!(a.track(&foreign).await.unwrap().statuses, []);
    net.finish().await;
}

#[tokio::test]
async fn a_sender_does_not_report_in_its_recipients_place() {
    let (net, mut log, mut calling) = stage().await;
    let document = Forged::good(&net, "1");
    let target = document.envelope.delivery_id;
    assert!(matches!(
        proven(&calling.offer(document.offer(&net, &mut log)).await.unwrap()),
        EventKind::Received { .. }
    ));
    for (n, status) in [Status::Arrived, Status::Refused, Status::Completed].into_iter().enumerate() {
        let forged = Forged::status(&net, target, status).numbered(n as u32 + 1);
        let offer = forged.offer(&net, &mut log);
        refused(&net, &mut calling, offer, "wrong_party").await;
    }
    let bytes = Bytes::copy_from_slice(target.as_bytes());
    assert_eq!(net.dms("a").await.track(&bytes).await.unwrap().statuses, []);
    net.finish().await;
}

#[tokio::test]
async fn content_is_given_only_to_the_node_that_was_offered_it() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    let local = a.deliver(&net.document("H01.1", &["H01.2"], "2")).await.remove(0);
    let mut calling = net.calling("c", "a").await;
    for id in [id.clone(), local, vec![5; 32].into()] {
        let request = pb::ContentRequest { delivery_id: id.clone(), part: 0, offset: 0 };
        let status = calling.peer.content(request).await.unwrap_err();
        let said = format!("no delivery {} is for this peer", hex::encode(&id));
        refusal(Code::NotFound, "unknown_delivery", "delivery_id", &[&said]).check(&status);
    }
    // Node b may have it, and no part that there is not.
    let mut b = net.calling("b", "a").await;
    let request = pb::ContentRequest { delivery_id: id, part: 0, offset: 10 };
    let mut pieces = b.peer.content(request.clone()).await.unwrap().into_inner();
    let data = pieces.message().await.unwrap().unwrap().data;
    assert_eq!(data, net.document("H01.1", &["H01.22"], "1").data[10..]);
    let ninth = pb::ContentRequest { part: 9, ..request.clone() };
    assert_eq!(b.peer.content(ninth).await.unwrap_err().code(), Code::NotFound);
    let size = net.document("H01.1", &["H01.22"], "1").data.len() as u64;
    let end = pb::ContentRequest { offset: size, ..request.clone() };
    let mut pieces = b.peer.content(end).await.unwrap().into_inner();
    assert_eq!(pieces.message().await.unwrap(), None);
    let past = pb::ContentRequest { offset: size + 1, ..request };
    let says = [&*format!("{} is behind the {size} bytes", size + 1)];
    invalid("bad_offset", "offset", &says).check(&b.peer.content(past).await.unwrap_err());
    net.finish().await;
}

#[tokio::test]
async fn a_revoke_without_a_valid_seal_or_of_anothers_document_changes_nothing() {
    let (net, mut log, mut calling) = stage().await;
    let good = Forged::good(&net, "1");
    let id = good.envelope.delivery_id;
    let offer = good.offer(&net, &mut log);
    assert!(matches!(proven(&calling.offer(offer).await.unwrap()), EventKind::Received { .. }));
    let Body::Document { metadata, parts } = &good.envelope.body else { panic!("a document was made") };
    let digest = lienthong::domain::document::document_digest(Kind::New, metadata, parts);
    let document = NoticeDocument { key: metadata.key.clone(), digest };
    let sealed = Forged::revoke(&net, id, document.clone());
    let with = |number: u32, change: fn(&TestNet, &mut Forged)| {
        let mut forged = sealed.clone().numbered(number);
        change(&net, &mut forged);
        let signatures = forged.signatures.iter().map(|s| (sha256(s), s.len() as u32)).collect();
        forged.with(|e| match &mut e.body {
            Body::Notice(notice) => notice.signatures = signatures,
            Body::Document { .. } => panic!("a revoke is a notice"),
        })
    };
    let cases = [
        (with(2, |_, f| f.signatures.clear()), "seal_required"),
        (
            with(3, |net, f| {
                f.signatures = vec![net.person("G01", f.envelope.statement().unwrap().as_bytes())]
            }),
            "seal_required",
        ),
        (
            with(4, |net, f| {
                f.signatures = vec![net.seal("H01.2", f.envelope.statement().unwrap().as_bytes())]
            }),
            "wrong_agency",
        ),
        (with(5, |net, f| f.signatures = vec![net.seal("G01", b"another statement")]), "digest_mismatch"),
    ];
    for (forged, reason) in cases {
        refused(&net, &mut calling, forged.offer(&net, &mut log), reason).await;
    }
    // Sealed, and of another document than the delivery brought.
    let other = NoticeDocument { digest: sha256(b"another"), ..document.clone() };
    let other = Forged::revoke(&net, id, other).numbered(6);
    refused(&net, &mut calling, other.offer(&net, &mut log), "conflict").await;
    let a = net.dms("a").await;
    let bytes = Bytes::copy_from_slice(id.as_bytes());
    a.fetch("H01.1", &bytes).await.unwrap();
    // Sealed, and of a delivery between others: remembered for one that never comes, and nothing else.
    let others = a.deliver(&net.document("H01.2", &["H01.1"], "1")).await.remove(0);
    a.wait_for(&others, pb::DeliveryState::Delivered).await;
    let target = DeliveryId::from_slice(&others).unwrap();
    let foreign = Forged::revoke(&net, target, document.clone());
    let told = a.told(&["H01.1"], "").await.unwrap();
    let answer = calling.offer(foreign.offer(&net, &mut log)).await.unwrap();
    assert!(matches!(proven(&answer), EventKind::Received { .. }));
    assert_eq!(a.track(&others).await.unwrap().ended, None);
    assert_eq!(a.told(&["H01.1"], "").await.unwrap(), told);
    a.fetch("H01.1", &others).await.unwrap();
    // And the good one does what it says.
    let answer = calling.offer(sealed.offer(&net, &mut log)).await.unwrap();
    assert!(matches!(proven(&answer), EventKind::Received { .. }));
    a.wait_for_end(&bytes, pb::EndedBy::Revoked).await;
    net.finish().await;
}
