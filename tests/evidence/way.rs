//! A delivery across two nodes, exported from either side.

use std::path::PathBuf;

use bytes::Bytes;
use lienthong::domain::event::EventKind;
use lienthong::wire::pb;
use serde_json::Value;

use super::common::document::part;
use super::common::{TestNet, eventually};
use super::tools::{audit, beyond, failed, notes, paths, run, spill, start, text, unpack};

/// A document of two parts, delivered from a to b, opened, confirmed and answered. Node b signs what it exports.
pub async fn delivered() -> (TestNet, Bytes) {
    let mut net = TestNet::new();
    net.evidence_certificate("b");
    for node in ["a", "b"] {
        net.start(node).await;
    }
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let annex = "phụ lục".as_bytes();
    let doc =
        net.document("H01.1", &["H01.22"], "12").attach("phụ lục.txt", annex, net.signatures("H01.1", annex));
    let id = a.deliver(&doc).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    b.fetch("H01.22", &id).await.unwrap();
    b.acknowledge("H01.22", &id).await.unwrap();
    b.report("H01.22", &id, pb::Status::Accepted, "").await.unwrap();
    eventually("both statuses arrive", || async { (a.statuses(&id).await.len() == 2).then_some(()) }).await;
    let settled = || async { (net.events("b", "settled").await.len() == 2).then_some(()) };
    eventually("both statuses are settled", settled).await;
    (net, id)
}

#[tokio::test]
async fn a_delivery_across_two_nodes_is_proven_offline_from_either_side() {
    let (net, id) = delivered().await;
    let hex = hex::encode(&id);
    // By its id, and by the document's key.
    let said = net.export("a", "admin", &[&hex], "a.asice").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let by_key = [
        "--agency",
        "H01.1",
        "--number",
        "12",
        "--notation",
        "CV-VP",
        "--year",
        "2016",
        "--user",
        "thanh tra",
    ];
    let said = net.export("b", "admin", &by_key, "b.asice").await;
    assert_eq!(said.code, Some(0), "{}", said.err);

    for (node, signed) in [("a", false), ("b", true)] {
        let path = net.path(&format!("{node}.asice"));
        assert_eq!(start(&path, 73)[30..], *b"mimetypeapplication/vnd.etsi.asic-e+zipPK\x03\x04");
        let (code, said) = net.check_file(&path, &[]).await;
        assert_eq!(
            (code, &said["verified"], &said["delivery_id"]),
            (Some(0), &Value::from(true), &Value::from(&*hex))
        );
        let container = std::fs::read(&path).unwrap();
        let report = net.good(&container);
        let says = |what: &str, how: &str| {
            let found = report.statements.iter().any(|s| s.what.contains(what) && s.how.contains(how));
            assert!(found, "{node}: {what}, {how}: {:#?}", report.statements);
        };
        says("directory version 1 of network test", "Ed25519, key test/directory");
        says("node a found signatures: person valid, agency valid", "4 signatures judged again");
        says("node b found signatures: person valid, agency valid", "4 signatures judged again");
        says("node a recorded that H01.1 sent document 12/CV-VP", "root of");
        says(
            "node b recorded that document 12/CV-VP (2016) has arrived for H01.22",
            "directory version 1 lists for node b",
        );
        says("it answers event", "leaf hash compared");
        says("recorded that H01.22 sent status 03", "of `b/log/1`");
        says("it is what was sent", "as its envelope and the events of the logs say");
        // Who opened it is the recipient's affair.
        let opened = report.statements.iter().any(|s| s.what.contains("content was given to client dms"));
        assert_eq!(opened, node == "b");
        let who = if node == "b" { "client admin (thanh tra), auditor of the node" } else { "client admin" };
        says(who, "of `");
        let files = unpack(&container);
        assert_eq!(paths(&files, "document/", "").len(), 6);
        assert_eq!(paths(&files, "message/", ".envelope").len(), 3);
        assert_eq!(paths(&files, "META-INF/", ".p7s").len(), usize::from(signed));
        assert!(beyond(&report).is_empty(), "{:#?}", beyond(&report));
        assert_eq!(
            notes(&report, "nobody signed the manifest", "who made the container is not proven"),
            !signed
        );
        assert!(notes(&report, "not cosigned by anybody: events", "rests on the word of node"));
        assert!(notes(&report, "no authority timestamped: events", "by the clock of node"));
        assert!(notes(&report, "that nothing else happened is not proven", "submitted"));
        says("it says what was verified, and nothing else", "every byte is the same");
        if signed {
            says("Bằng chứng của nút signed the manifest", "not revoked");
        }
    }
    // What is there already is not written over unasked, nor recorded as exported again.
    let before = std::fs::read(net.path("b.asice")).unwrap();
    for what in [&[&*hex][..], &by_key] {
        let said = net.export("b", "admin", what, "b.asice").await;
        assert_eq!(said.code, Some(2), "{}", said.out);
        assert!(
            said.err.contains("b.asice is there already: name another file, or give --force"),
            "{}",
            said.err
        );
    }
    assert_eq!(std::fs::read(net.path("b.asice")).unwrap(), before);
    let exported = net.events("b", "exported").await;
    let [(_, event)] = &exported[..] else { panic!("{exported:?}") };
    assert_eq!((event.actor.client.as_str(), event.actor.user.as_str()), ("admin", "thanh tra"));
    assert!(matches!(event.kind, EventKind::Exported { agency: None, .. }));
    let said = net.export("b", "admin", &[&hex, "--force"], "b.asice").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_ne!(std::fs::read(net.path("b.asice")).unwrap(), before);
    net.finish().await;
}

#[tokio::test]
async fn tools_of_others_read_the_container_its_signatures_and_its_proofs() {
    let (net, id) = delivered().await;
    let container = net.exported("b", &id).await;
    let path = net.path(&format!("b-{}.asice", hex::encode(&id[..4])));
    if let Some(said) = run("unzip", &["-t", &text(&path)]) {
        assert_eq!(said.code, Some(0), "{} {}", said.out, said.err);
    }
    let files = unpack(&container);
    let dir = net.path("unpacked");
    spill(&files, &dir);
    let roots = text(&net.path("documents/root-documents.pem"));
    let signed = [
        ("META-INF/ASiCManifest.xml", "META-INF/signature.p7s"),
        ("document/công văn.xml", "document/công văn.xml.p7s"),
        ("document/công văn.xml", "document/công văn.xml.2.p7s"),
        ("document/phụ lục.txt", "document/phụ lục.txt.p7s"),
    ];
    for (content, signature) in signed {
        let (content, signature) = (text(&dir.join(content)), text(&dir.join(signature)));
        let args = [
            "cms",
            "-verify",
            "-binary",
            "-purpose",
            "any",
            "-inform",
            "DER",
            "-in",
            &signature,
            "-content",
            &content,
            "-CAfile",
            &roots,
            "-attime",
            "1470621600",
            "-out",
            "/dev/null",
        ];
        let Some(said) = run("openssl", &args) else { break };
        assert_eq!(said.code, Some(0), "{signature}: {}", said.err);
        // It can say no.
        std::fs::write(dir.join("other"), "other").unwrap();
        let other = text(&dir.join("other"));
        let args: Vec<&str> =
            args.into_iter().map(|a| if a == content { other.as_str() } else { a }).collect();
        assert_ne!(run("openssl", &args).unwrap().code, Some(0), "{signature}");
    }
    let script = text(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/evidence/proof.py"));
    let mut proven = 0;
    for proof in paths(&files, "event/", ".proof") {
        let node = &proof["event/".len()..][..1];
        let log_key = net.hand_log(node).key().to_string();
        let Some(said) = run("python3", &[&script, &text(&path), &proof, "--log-key", &log_key]) else {
            return;
        };
        let said: Value =
            serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{} {}", said.out, said.err));
        assert_eq!(said["verified"], true, "{proof}: {said}");
        assert_eq!(said["log"], format!("{node}/log/1"));
        let other = net.hand_log(if node == "a" { "b" } else { "a" }).key().to_string();
        let said = run("python3", &[&script, &text(&path), &proof, "--log-key", &other]).unwrap();
        assert_eq!(said.code, Some(1), "{}", said.out);
        proven += 1;
    }
    assert_eq!(proven, 11);
    net.finish().await;
}

#[tokio::test]
async fn a_stopped_nodes_files_give_the_same_evidence() {
    let (mut net, id) = delivered().await;
    let running = unpack(&net.exported("b", &id).await);
    net.stop("b").await;
    let out = net.path("offline.asice");
    let args = ["export", &hex::encode(&id), "--data", &text(&net.path("b")), "--out", &text(&out)];
    let said = audit(args.map(str::to_owned).to_vec()).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("no event says that this was exported"), "{}", said.err);
    let container = std::fs::read(&out).unwrap();
    net.good(&container);
    let offline = unpack(&container);
    // Named by the beginning of its id.
    let short = &hex::encode(&id)[..9];
    let list =
        audit(["list", "--delivery", short, "--data", &text(&net.path("b"))].map(str::to_owned).to_vec())
            .await;
    assert!(list.code == Some(0) && list.out.contains("received"), "{}{}", list.out, list.err);
    let again = text(&net.path("again.asice"));
    let args = ["export", short, "--data", &text(&net.path("b")), "--out", &again];
    let said = audit(args.map(str::to_owned).to_vec()).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(std::fs::read(again).unwrap(), container);
    let same = |prefix: &str| {
        let of = |files: &super::tools::Files| {
            files.iter().filter(|(p, _)| p.starts_with(prefix)).cloned().collect::<Vec<_>>()
        };
        assert!(!of(&running).is_empty());
        assert_eq!(of(&running), of(&offline), "{prefix}");
    };
    ["document/", "message/", "directory/", "certificate/", "revocation/"].into_iter().for_each(same);
    // The log went on; the same events are proven in it.
    assert_eq!(paths(&running, "event/", "").len(), paths(&offline, "event/", "").len());
    net.finish().await;
}

#[tokio::test]
async fn an_agencys_auditor_exports_what_concerns_the_agency_and_no_other() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let own = a.deliver(&net.document("H01.1", &["H01.2"], "1")).await.remove(0);
    let others = a.deliver(&net.document("H01", &["H01.2"], "2")).await.remove(0);
    for id in [&own, &others] {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
        a.fetch("H01.2", id).await.unwrap();
    }
    let said = net.export("a", "auditor", &[&hex::encode(&own)], "own.asice").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let report = net.good(&std::fs::read(net.path("own.asice")).unwrap());
    let opened = |report: &lienthong::audit::evidence::Report| {
        report.statements.iter().any(|s| s.what.contains("content was given"))
    };
    assert!(!opened(&report), "who opened it is the recipient's affair");
    assert!(opened(&net.good(&net.exported("a", &own).await)));

    // No word tells whether the other one exists.
    let before = net.events("a", "exported").await.len();
    let said = net.export("a", "auditor", &[&hex::encode(&others)], "others.asice").await;
    let unknown = net.export("a", "auditor", &["00".repeat(32).as_str()], "unknown.asice").await;
    let words = |s: &str| s.replace(&hex::encode(&others), "ID").replace(&"00".repeat(32), "ID");
    assert_eq!((said.code, unknown.code), (Some(2), Some(2)));
    assert_eq!(words(&said.err), words(&unknown.err));
    assert!(said.err.contains("unknown_delivery"), "{}", said.err);
    let said = net.export("a", "one", &[&hex::encode(&own)], "dms.asice").await;
    assert!(said.err.contains("not_allowed"), "{}", said.err);
    assert!(!net.path("others.asice").exists() && !net.path("dms.asice").exists());
    assert_eq!(net.events("a", "exported").await.len(), before);
    let events = net.events("a", "exported").await;
    let of = |event: &lienthong::domain::Event| match &event.kind {
        EventKind::Exported { agency, .. } => agency.as_ref().map(ToString::to_string),
        _ => None,
    };
    assert_eq!(events.iter().map(|(_, e)| of(e)).collect::<Vec<_>>(), [Some("H01.1".to_owned()), None]);
    net.finish().await;
}

#[tokio::test]
async fn parts_keep_their_names_where_these_can_be_files() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let twice = b"hai";
    let doc = net
        .document("H01.1", &["H01.2"], "1")
        .attach("Công Văn.XML", twice, Vec::new())
        .attach("a:b?.txt", b"", Vec::new())
        .attach("công văn.xml.p7s", b"no signature", Vec::new());
    let mut doc = doc;
    doc.header.parts[1] = part("Công Văn.XML", pb::PartRole::Attachment, twice, Vec::new());
    let id = a.deliver(&doc).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let container = net.exported("a", &id).await;
    let report = net.good(&container);
    assert!(failed(&report).is_empty());
    let files = unpack(&container);
    let names = paths(&files, "document/", "");
    for name in [
        "công văn.xml",
        "công văn.xml.p7s",
        "công văn.xml.2.p7s",
        "Công Văn (2).XML",
        "a_b_.txt",
        "công văn.xml (2).p7s",
    ] {
        assert!(names.contains(&format!("document/{name}")), "{name}: {names:?}");
    }
    net.finish().await;
}
