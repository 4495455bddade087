//! Evidence of a delivery whose content is kept no longer: without it, with the event that says so.

use bytes::Bytes;
use lienthong::audit::evidence::Report;
use lienthong::config::{Keep, Retention};
use lienthong::merkle::sha256;
use lienthong::wire::pb;

use super::common::{TestNet, eventually};
use super::spoilt::spoilt_everywhere;
use super::tools::{Files, audit, beyond, file, notes, paths, repack, text, unpack, with_page};

const DAY_MS: i64 = 24 * 3600 * 1000;
const RULE: &str = "Công văn: 30 days";

/// One document from a to b, opened and confirmed, and one of the same content later; then the first is purged at both.
async fn purged() -> (TestNet, Bytes, Vec<u8>) {
    let mut net = TestNet::new();
    for node in ["a", "b"] {
        net.configure(node, |config| {
            let types = [("Công văn".to_owned(), Keep::Days(30))].into();
            config.retention = Retention { hour: 1, default: Keep::Forever, types };
        });
        net.start(node).await;
    }
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let mut first = None;
    for number in ["1", "2"] {
        let doc = net.document("H01.1", &["H01.22"], number);
        let id = a.deliver(&doc).await.remove(0);
        a.wait_for(&id, pb::DeliveryState::Delivered).await;
        b.fetch("H01.22", &id).await.unwrap();
        b.acknowledge("H01.22", &id).await.unwrap();
        eventually("its status is settled", || async {
            let waiting = net.queue("b", "a").await.waiting;
            (a.statuses(&id).await.len() == 1 && waiting == 0).then_some(())
        })
        .await;
        first.get_or_insert((id, doc.data));
        net.clock.set(net.now().plus_millis(20 * DAY_MS));
    }
    for node in ["a", "b"] {
        let exchange = net.node(node).exchange().clone();
        assert_eq!(exchange.retain().await.unwrap().purged, 1, "{node}");
    }
    let (id, data) = first.unwrap();
    (net, id, data)
}

fn says_so(report: &Report, data: &[u8]) {
    let digest = sha256(data);
    let event = "says so; that it was sent stays proven";
    for what in [
        format!("the content with digest {digest} was purged at 2016-09-17"),
        "the envelope with digest".to_owned(),
        "the envelope of a message about it with digest".to_owned(),
    ] {
        assert!(notes(report, &what, event), "{what}: {:#?}", beyond(report));
    }
    let by_rule = beyond(report).into_iter().filter(|s| s.what.contains("was purged at"));
    assert!(by_rule.into_iter().all(|s| s.what.ends_with(&format!("by the rule `{RULE}`"))));
    assert!(notes(
        report,
        "found signatures: person valid, agency valid",
        "what was signed is not in the container"
    ));
    let holds = |what: &str, how: &str| {
        let found = report.statements.iter().any(|s| s.what.contains(what) && s.how.contains(how));
        assert!(found, "{what}, {how}: {:#?}", report.statements);
    };
    holds("node a recorded that H01.1 sent document 1/CV-VP", "root of");
    holds("node b recorded that document 1/CV-VP (2016) has arrived for H01.22", "root of");
    holds("is about exactly this delivery", "computed again from the event");
    holds("it answers event", "leaf hash compared");
    holds("its content was purged by the rule", "event");
    holds("speaks for", "lists it there on that day");
}

#[tokio::test]
async fn a_purged_delivery_is_proven_without_its_content_from_either_side() {
    let (mut net, id, data) = purged().await;
    for node in ["a", "b"] {
        let container = net.exported(node, &id).await;
        let report = net.good(&container);
        says_so(&report, &data);
        let files = unpack(&container);
        // Not even what is still on the disk, for another document.
        for folder in ["document/", "message/", "certificate/"] {
            assert_eq!(paths(&files, folder, ""), [""; 0], "{folder}");
        }
        let page =
            String::from_utf8(files.iter().find(|(p, _)| p == "index.html").unwrap().1.clone()).unwrap();
        for said in
            ["đã xóa lúc 17/09/2016", RULE, "1/CV-VP", "Công văn", "Nội dung bị xóa khi hết thời hạn lưu"]
        {
            assert!(page.contains(said), "{said}: {page}");
        }
        without_the_event(&net, &files);
        spoilt_everywhere(&net, &files);
    }
    // An agency's auditor has it as well, and so does who reads a stopped node's files.
    let said = net.export("a", "auditor", &[&hex::encode(&id)], "auditor.asice").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    says_so(&net.good(&std::fs::read(net.path("auditor.asice")).unwrap()), &data);
    net.stop("b").await;
    let out = net.path("offline.asice");
    let args = ["export", &hex::encode(&id), "--data", &text(&net.path("b")), "--out", &text(&out)];
    let said = audit(args.map(str::to_owned).to_vec()).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    says_so(&net.good(&std::fs::read(out).unwrap()), &data);
    net.finish().await;
}

/// Who takes content out cannot say that it was purged, and who takes the purge out cannot say nothing.
fn without_the_event(net: &TestNet, files: &Files) {
    let purge =
        net.good(&repack(files)).statements.into_iter().find(|s| s.what.contains("its content was purged"));
    let purge = purge.unwrap().file;
    let mut without = files.clone();
    without.retain(|(path, _)| *path != purge);
    let report = net.verify(&repack(&with_page(net, without)));
    assert!(!report.is_verified());
    let why = "and no event says that it was purged";
    assert!(report.statements.iter().any(|s| s.how.contains(why)), "{:#?}", report.statements);
}

#[tokio::test]
async fn content_of_one_document_is_not_purged_by_the_event_of_another() {
    let (net, id, _) = purged().await;
    let purge = {
        let container = net.exported("a", &id).await;
        let files = unpack(&container);
        let file_of =
            net.good(&container).statements.into_iter().find(|s| s.what.contains("its content was purged"));
        let path = file_of.unwrap().file;
        files.into_iter().find(|(p, _)| *p == path).unwrap()
    };
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "3")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let good = unpack(&net.exported("a", &id).await);
    net.good(&repack(&good));
    for path in paths(&good, "document/", "").into_iter().chain(paths(&good, "message/", "")) {
        let mut files = good.clone();
        files.retain(|(p, _)| *p != path);
        let report = net.verify(&repack(&with_page(&net, files.clone())));
        assert!(!report.is_verified(), "{path}");
        files.insert(files.len() - 1, purge.clone());
        let report = net.verify(&repack(&with_page(&net, files)));
        assert!(!report.is_verified(), "{path}, with the purge of another document");
    }
    let mut files = good;
    file(&mut files, "index.html").clear();
    assert!(!net.verify(&repack(&files)).is_verified());
    net.finish().await;
}
