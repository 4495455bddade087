//! Evidence of deliveries that did not go the plain way: unsigned, refused, held, revoked, given up.

use lienthong::config::RevocationUnknown;
use lienthong::exchange::trust::read_crls;
use lienthong::wire::pb;

use super::common::{TestNet, eventually};
use super::tools::{beyond, failed, notes, paths, unpack};

fn says(report: &lienthong::audit::evidence::Report, what: &str, how: &str) {
    let found = report.statements.iter().any(|s| s.what.contains(what) && s.how.contains(how));
    assert!(found, "{what}, {how}: {:#?}", report.statements);
}

#[tokio::test]
async fn a_document_that_nobody_signed_is_proven_as_one_for_information() {
    let net = TestNet::running(&["a", "b"]).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1").signed(Vec::new())).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    for node in ["a", "b"] {
        let container = net.exported(node, &id).await;
        let report = net.good(&container);
        says(
            &report,
            "node b found signatures: person absent, agency absent",
            "no signature is beside or inside",
        );
        let files = unpack(&container);
        assert_eq!(paths(&files, "", ".p7s").len(), 0);
        let page = files.iter().find(|(p, _)| p == "index.html").unwrap();
        assert!(String::from_utf8_lossy(&page.1).contains("chỉ có giá trị tham khảo"));
    }
    net.finish().await;
}

/// A network where b has no revocation lists.
async fn without_lists(policy: RevocationUnknown) -> TestNet {
    let mut net = TestNet::new();
    net.configure("b", |config| {
        config.crl_dir = None;
        config.fetch_revocation = false;
        config.revocation_unknown = policy;
    });
    for node in ["a", "b"] {
        net.start(node).await;
    }
    net
}

#[tokio::test]
async fn a_refusal_is_proven_with_its_reason() {
    let net = without_lists(RevocationUnknown::Refuse).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Refused).await;
    let report = net.good(&net.exported("a", &id).await);
    says(&report, "was refused for H01.22: revocation_unknown", "event");
    says(&report, "the other node's answer: refused: revocation_unknown", "event");
    says(&report, "node b found signatures: person indeterminate, agency indeterminate", "the same");
    says(&report, "node a found signatures: person valid, agency valid", "the same");
    // The lists that a judged by are at a: b can only pass on what it says.
    let report = net.good(&net.exported("b", &id).await);
    says(&report, "node b found signatures: person indeterminate", "the same");
    says(&report, "node a found signatures: person valid, agency valid", "its node says so");
    net.finish().await;
}

#[tokio::test]
async fn what_was_held_is_proven_until_it_was_released_or_refused() {
    let mut net = without_lists(RevocationUnknown::Hold).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let mut ids = Vec::new();
    for number in ["1", "2", "3", "4"] {
        let id = a.deliver(&net.document("H01.1", &["H01.22"], number)).await.remove(0);
        a.wait_for(&id, pb::DeliveryState::Held).await;
        ids.push(id);
    }
    let still = net.good(&net.exported("a", &ids[0]).await);
    says(&still, "held until its signatures can be judged", "event");
    says(&still, "the other node's answer: held", "event");
    // By the agency itself, one each way; the others by the lists that come.
    b.release("H01.22", &ids[1], false).await.unwrap();
    b.release("H01.22", &ids[2], true).await.unwrap();
    let (lists, _) = read_crls(&net.path("documents")).unwrap();
    net.node("b").exchange().set_crls(lists);
    let expected = [
        pb::DeliveryState::Delivered,
        pb::DeliveryState::Delivered,
        pb::DeliveryState::Refused,
        pb::DeliveryState::Delivered,
    ];
    eventually("the origin asks again", || async {
        let mut states = Vec::new();
        for id in &ids {
            states.push(a.track(id).await.ok()?.state());
        }
        (states == expected).then_some(())
    })
    .await;
    for (i, id) in ids.iter().enumerate() {
        for node in ["a", "b"] {
            let report = net.good(&net.exported(node, id).await);
            says(&report, "held until its signatures can be judged", "event");
            match i {
                1 => says(&report, "what was held was released (by dms", "event"),
                2 => says(&report, "what was held was refused (by dms", "event"),
                _ => {
                    says(&report, "what was held was released (by node)", "event");
                    says(&report, "node b found signatures: person valid, agency valid", "the same");
                }
            }
            assert!(failed(&report).is_empty());
        }
    }
    net.finish().await;
}

#[tokio::test]
async fn a_revoke_is_part_of_the_evidence_with_its_seal() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    b.acknowledge("H01.22", &id).await.unwrap();
    a.revoke(&net, "H01.1", &id).await;
    a.wait_for_end(&id, pb::EndedBy::Revoked).await;
    b.wait_for_end(&id, pb::EndedBy::Revoked).await;
    for node in ["a", "b"] {
        let container = net.exported(node, &id).await;
        let report = net.good(&container);
        says(&report, "recorded that H01.1 sent a revoke message", "event");
        let files = unpack(&container);
        assert_eq!(paths(&files, "message/", ".p7s").len(), 1);
        assert!(beyond(&report).is_empty(), "{:#?}", beyond(&report));
    }
    net.finish().await;
}

#[tokio::test]
async fn what_has_no_answer_yet_is_said_not_to_be_proven() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    let report = net.good(&net.exported("a", &id).await);
    assert!(notes(&report, "that the document arrived is not proven", "there was none yet"));
    net.finish().await;
}

#[tokio::test]
async fn on_one_node_the_recipients_auditor_has_its_evidence_too() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.2", &["H01.1"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    a.fetch("H01.1", &id).await.unwrap();
    a.acknowledge("H01.1", &id).await.unwrap();
    a.report("H01.1", &id, pb::Status::Accepted, "").await.unwrap();
    eventually("both statuses arrive", || async { (a.statuses(&id).await.len() == 2).then_some(()) }).await;
    for client in ["auditor", "admin"] {
        let said = net.export("a", client, &[&hex::encode(&id)], &format!("{client}.asice")).await;
        assert_eq!(said.code, Some(0), "{}", said.err);
        let report = net.good(&std::fs::read(net.path(&format!("{client}.asice"))).unwrap());
        says(&report, "that document 1/CV-VP (2016) has arrived for H01.1", "event");
        let opened = report.statements.iter().any(|s| s.what.contains("content was given to client dms"));
        assert!(opened, "{client}");
    }
    net.finish().await;
}
