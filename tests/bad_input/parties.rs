//! Who sends, who receives, and who may read: nobody sends in another agency's name, nobody reads another's.

use bytes::Bytes;
use lienthong::domain::limits;
use lienthong::wire::pb;
use tonic::{Code, Status};

use super::common::TestNet;
use super::common::check::{invalid, refusal};

#[tokio::test]
async fn an_unknown_recipient_is_named_and_the_others_are_served() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let refused = refusal(Code::NotFound, "unknown_recipient", "recipients[0]", &["`H01.77`", "version 1"]);
    net.refuses_recipient(&a, &net.document("H01.1", &["H01.77"], "1"), 0, &refused).await;
    // A code is looked up, never judged by its pattern or completed.
    for code in ["h01.2", "H01.2 ", "H01.", "", "H01.2\u{200b}"] {
        let refused = refused.saying(&[]);
        net.refuses_recipient(&a, &net.document("H01.1", &[code], "1"), 0, &refused).await;
    }
    let sent = a.send(&net.document("H01.1", &["H01.77", "H01.2", "H01.9"], "2")).await.unwrap();
    refused.check_problem(sent.results[0].problem.as_ref().unwrap());
    assert_eq!(sent.results[1].problem, None);
    a.wait_for(&sent.results[1].delivery_id, pb::DeliveryState::Delivered).await;
    assert_eq!(net.events("a", "submitted").await.len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn a_recipient_that_is_retired_has_no_node_or_is_the_sender_is_refused() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    for (code, reason, grpc, says) in [
        ("H01.21.2", "retired_agency", Code::FailedPrecondition, ["H01.21.2 was closed", "successor"]),
        ("H01.9", "recipient_without_node", Code::FailedPrecondition, ["no node hosts H01.9", "on paper"]),
        ("H01.1", "wrong_party", Code::PermissionDenied, ["H01.1 is the sender", "leave it out"]),
        ("000.00.01.H01", "wrong_party", Code::PermissionDenied, ["H01.1 is the sender", "leave it out"]),
    ] {
        let doc = net.document("H01.1", &[code], "1");
        net.refuses_recipient(&a, &doc, 0, &refusal(grpc, reason, "recipients[0]", &says)).await;
    }
    net.finish().await;
}

#[tokio::test]
async fn no_recipient_or_too_many_refuses_the_document() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let none = net.document("H01.1", &[], "1");
    net.refuses(&a, &none, &invalid("no_recipient", "recipients", &["at least one"])).await;
    let all: Vec<String> = (0..=limits::RECIPIENTS).map(|n| format!("X{n}")).collect();
    let many = net.document("H01.1", &all.iter().map(String::as_str).collect::<Vec<_>>(), "1");
    net.refuses(&a, &many, &invalid("too_many", "recipients", &["1001", "1000 allowed"])).await;
    net.finish().await;
}

#[tokio::test]
async fn the_same_recipient_twice_refuses_the_document_also_by_its_old_code() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    for (list, at, code, id) in [
        (["H01.2", "H01.21", "H01.2"], "recipients[2]", "`H01.2`", "H01.2"),
        (["H01.22", "000.00.22.H01", "H01.2"], "recipients[1]", "`000.00.22.H01`", "is H01.22"),
        // Also where neither would be served.
        (["H01.9", "H01.2", "H01.9"], "recipients[2]", "`H01.9`", "H01.9"),
    ] {
        let doc = net.document("H01.1", &list, "1");
        net.refuses(&a, &doc, &invalid("duplicate_recipient", at, &[code, id, "once"])).await;
    }
    net.finish().await;
}

#[tokio::test]
async fn an_unknown_or_retired_sender_is_refused() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let doc = net.document("H01.1", &["H01.2"], "1");
    let nobody = doc.clone().with_header(|h| h.sender = "H01.77".into());
    let refused = refusal(Code::NotFound, "unknown_sender", "sender", &["`H01.77`", "directory version 1"]);
    net.refuses(&a, &nobody, &refused).await;
    let missing = doc.clone().with_header(|h| h.sender.clear());
    net.refuses(&a, &missing, &invalid("missing_field", "sender", &["required"])).await;
    let closed = net.document("H01.21.2", &["H01.2"], "1");
    let says = &["H01.21.2 was closed on 2016-07-01", "successor"];
    let refused = refusal(Code::FailedPrecondition, "retired_agency", "sender", says);
    net.refuses(&a, &closed, &refused).await;
    net.finish().await;
}

#[tokio::test]
async fn nobody_sends_in_another_agencys_name() {
    let net = TestNet::running(&["a", "b"]).await;
    let one = net.client("a", "one").await;
    let says = &["client `one`", "`dms`", "H01.2", "administrator"];
    let refused = refusal(Code::PermissionDenied, "not_allowed", "sender", says);
    net.refuses(&one, &net.document("H01.2", &["H01.1"], "1"), &refused).await;
    // Not in its own subunit's name either: the configuration names agencies one by one.
    let refused = refused.saying(&["client `one`", "H01.1.5"]);
    net.refuses(&one, &net.document("H01.1.5", &["H01.2"], "1"), &refused).await;
    // An auditor, an operator and an administrator send nothing.
    for client in ["auditor", "operator", "admin"] {
        let caller = net.client("a", client).await;
        let shown = format!("client `{client}`");
        let refused = refusal(Code::PermissionDenied, "not_allowed", "sender", &[&shown]);
        net.refuses(&caller, &net.document("H01.1", &["H01.2"], "1"), &refused).await;
    }
    // A system of all agencies of its node is none of another node's.
    let dms = net.dms("a").await;
    let says = &["H01.22 is hosted by node `b`", "this is `a`", "call its own node"];
    let refused = refusal(Code::FailedPrecondition, "not_hosted", "sender", says);
    net.refuses(&dms, &net.document("H01.22", &["H01.1"], "1"), &refused).await;
    let says = &["H01.9 is hosted by no node"];
    let refused = refusal(Code::FailedPrecondition, "not_hosted", "sender", says);
    net.refuses(&dms, &net.document("H01.9", &["H01.1"], "1"), &refused).await;
    net.finish().await;
}

#[tokio::test]
async fn nobody_sends_a_status_in_another_agencys_name() {
    let net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let id = a.deliver(&net.document("H01.1", &["H01.2"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let before = net.traces().await;
    let status = one.report("H01.2", &id, pb::Status::Accepted, "").await.unwrap_err();
    refusal(Code::PermissionDenied, "not_allowed", "agency", &["client `one`", "H01.2"]).check(&status);
    // The sender does not answer for the recipient, and a third party is told nothing.
    let status = one.report("H01.1", &id, pb::Status::Accepted, "").await.unwrap_err();
    refusal(Code::PermissionDenied, "wrong_party", "status", &["03", "the recipient", "H01.1"])
        .check(&status);
    let status = a.report("H01.21", &id, pb::Status::Accepted, "").await.unwrap_err();
    refusal(Code::NotFound, "unknown_delivery", "delivery_id", &[&hex::encode(&id), "H01.21"]).check(&status);
    let status = one.acknowledge("H01.2", &id).await.unwrap_err();
    refusal(Code::PermissionDenied, "not_allowed", "agency", &["client `one`", "H01.2"]).check(&status);
    let status = one.acknowledge("H01.1", &id).await.unwrap_err();
    refusal(Code::NotFound, "unknown_delivery", "delivery_id", &[&hex::encode(&id)]).check(&status);
    assert_eq!(net.traces().await, before);
    net.finish().await;
}

/// A refusal without what names the delivery, so that two can be compared.
fn words(status: &Status, id: &Bytes) -> (Code, String) {
    (status.code(), status.message().replace(&hex::encode(id), "<id>"))
}

#[tokio::test]
async fn an_unknown_delivery_and_a_foreign_one_are_answered_alike() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let foreign = a.deliver(&net.document("H01.2", &["H01.21", "H01.22"], "1")).await;
    a.wait_for(&foreign[0], pb::DeliveryState::Delivered).await;
    a.wait_for(&foreign[1], pb::DeliveryState::Delivered).await;
    let unknown = Bytes::from(vec![5; 32]);
    for id in &foreign {
        let pairs = [
            (one.fetch("H01.1", id).await.err(), one.fetch("H01.1", &unknown).await.err()),
            (one.acknowledge("H01.1", id).await.err(), one.acknowledge("H01.1", &unknown).await.err()),
            (one.track(id).await.err(), one.track(&unknown).await.err()),
            (
                one.report("H01.1", id, pb::Status::Accepted, "").await.err(),
                one.report("H01.1", &unknown, pb::Status::Accepted, "").await.err(),
            ),
        ];
        for (found, expected) in pairs {
            let (found, expected) = (found.unwrap(), expected.unwrap());
            refusal(Code::NotFound, "unknown_delivery", "delivery_id", &[&hex::encode(id)]).check(&found);
            assert_eq!(words(&found, id), words(&expected, &unknown));
        }
    }
    // Neither was opened by asking.
    assert_eq!(net.events("a", "fetched").await, []);
    let short = one.track(&Bytes::from(vec![5; 31])).await.unwrap_err();
    invalid("invalid_text", "delivery_id", &["31 bytes", "32"]).check(&short);
    net.finish().await;
}

#[tokio::test]
async fn nobody_reads_another_agencys_inbox_or_is_told_of_it() {
    let net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let ids = a.deliver(&net.document("H01.21", &["H01.1", "H01.2"], "1")).await;
    for id in &ids {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
    }
    let denied = |field: &str, says: &[&str]| refusal(Code::PermissionDenied, "not_allowed", field, says);
    denied("agency", &["client `one`", "H01.2"]).check(&one.inbox("H01.2").await.unwrap_err());
    denied("agency", &["client `one`", "H01.2"]).check(&one.fetch("H01.2", &ids[1]).await.unwrap_err());
    denied("agencies", &["client `one`", "H01.2"])
        .check(&one.told(&["H01.1", "H01.2"], "").await.unwrap_err());
    // Without a list it is told of its own agency only.
    let told = one.told(&[], "").await.unwrap();
    assert_eq!(told.iter().map(|i| i.agency.as_str()).collect::<Vec<_>>(), ["H01.1"]);
    assert_eq!(one.inbox("H01.1").await.unwrap().len(), 1);
    for client in ["auditor", "operator", "admin"] {
        let caller = net.client("a", client).await;
        let shown = format!("client `{client}`");
        denied("agency", &[&shown]).check(&caller.inbox("H01.1").await.unwrap_err());
        denied("agency", &[&shown]).check(&caller.fetch("H01.1", &ids[0]).await.unwrap_err());
        denied("agencies", &[&shown]).check(&caller.told(&[], "").await.unwrap_err());
    }
    // Nor by naming another agency's document.
    let document =
        pb::DocumentRef { agency: "H01.21".into(), number: "1".into(), notation: "CV-VP".into(), year: 2016 };
    let request = pb::TrackRequest { document: Some(document), ..pb::TrackRequest::default() };
    let status = one.node.exchange().track(request).await.unwrap_err();
    refusal(Code::NotFound, "unknown_agency", "document.agency", &["`H01.21`"]).check(&status);
    net.finish().await;
}

#[tokio::test]
async fn an_agencys_auditor_sees_that_agencys_events_only() {
    let net = TestNet::running(&["a"]).await;
    let (a, auditor) = (net.dms("a").await, net.client("a", "auditor").await);
    let own = a.deliver(&net.document("H01.1", &["H01.21"], "1")).await.remove(0);
    let foreign = a.deliver(&net.document("H01.2", &["H01.21"], "1")).await.remove(0);
    for id in [&own, &foreign] {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
    }
    let mut audit = auditor.node.audit();
    let list = |agency: &str, delivery: &Bytes| pb::ListEventsRequest {
        agency: agency.to_owned(),
        delivery_id: delivery.clone(),
        ..pb::ListEventsRequest::default()
    };
    let seen = audit.list_events(list("H01.1", &Bytes::new())).await.unwrap().into_inner().events;
    let of_own: Vec<u64> = net
        .events("a", "")
        .await
        .iter()
        .filter(|(_, e)| e.kind.delivery_id().is_some_and(|id| *id.as_bytes() == own[..]))
        .map(|(i, _)| *i)
        .collect();
    assert_eq!(seen.iter().map(|e| e.index).collect::<Vec<_>>(), of_own);
    let filtered = audit.list_events(list("H01.1", &foreign)).await.unwrap().into_inner().events;
    assert_eq!(filtered, []);
    for (agency, said) in [("", "name an agency"), ("H01.2", "H01.2")] {
        let status = audit.list_events(list(agency, &Bytes::new())).await.unwrap_err();
        refusal(Code::PermissionDenied, "not_allowed", "agency", &[said]).check(&status);
    }
    // By index: an event of others is answered like one that is not there.
    let head = net.events("a", "").await.len() as u64;
    for index in 0..head + 2 {
        let request = pb::GetEventRequest { index };
        let event = audit.get_event(request).await;
        let proof = audit.prove_event(pb::ProveEventRequest { index }).await;
        if of_own.contains(&index) {
            assert_eq!(event.unwrap().into_inner().leaf, proof.unwrap().into_inner().leaf);
        } else {
            let said = format!("there is no event {index} that concerns an agency of this client");
            for status in [event.unwrap_err(), proof.unwrap_err()] {
                refusal(Code::NotFound, "unknown_event", "index", &[&said]).check(&status);
                assert!(!status.message().contains("the log has"), "{status}");
            }
        }
    }
    // The state of the node, its check and its ratios are the node's.
    let denied = refusal(Code::PermissionDenied, "not_allowed", "", &["client `auditor`"]);
    denied.check(&audit.get_status(pb::GetStatusRequest {}).await.unwrap_err());
    denied.check(&audit.check_log(pb::CheckLogRequest { content: false }).await.unwrap_err());
    let ratios = auditor.node.report().get_ratios(pb::GetRatiosRequest::default()).await;
    denied.check(&ratios.unwrap_err());
    // A system is no auditor, not even of its own agency.
    let status = net.client("a", "one").await.node.audit().list_events(list("H01.1", &Bytes::new())).await;
    refusal(Code::PermissionDenied, "not_allowed", "agency", &["`auditor`"]).check(&status.unwrap_err());
    net.finish().await;
}

#[tokio::test]
async fn a_cursor_or_page_token_that_the_node_did_not_give_is_refused() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    for cursor in ["7", "cx", "c-1", "c99999999999999999999"] {
        let refused = invalid("bad_token", "cursor", &[cursor, "leave it empty"]);
        refused.check(&a.told(&["H01.1"], cursor).await.unwrap_err());
        let page = Some(pb::Page { size: 10, token: cursor.to_owned() });
        let request = pb::ListInboxRequest { agency: "H01.1".to_owned(), page };
        refused.check(&a.node.exchange().list_inbox(request).await.unwrap_err());
    }
    net.finish().await;
}
