//! Checkpoints that an authority timestamps (RFC 3161): OpenSSL's, where it is installed, behind HTTP on loopback.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lienthong::audit::{Beside, Offline, Place};
use lienthong::config::Timestamps;
use lienthong::exchange::directory::DirectoryHolder;
use lienthong::exchange::trust::read_crls;
use lienthong::ledger::{Clock as _, SystemClock};
use lienthong::merkle::Checkpoint;
use lienthong::node::log_signer;
use lienthong::signature::{TimestampQuery, Trust, add_timestamp, timestamp_request, timestamp_token};
use lienthong::time::Timestamp;
use lienthong::wire::pb;
use rcgen::{CertificateParams, CustomExtension, Issuer, KeyPair, KeyUsagePurpose};

use super::common::{TestNet, eventually};
use super::keys::with_key;
use super::pki::Authority;
use super::spoilt::spoilt_everywhere;
use super::tools::{failed, fails, file, noted, paths, repack, run, spill, text, unpack};
use super::web::{Answer, Web};

/// A network at the machine's own time, which is that of the authority, with revocation lists of today.
fn today() -> TestNet {
    let net = TestNet::new();
    let now = SystemClock.now();
    net.clock.set(now);
    let day = |days: i32| now.date().plus_days(days).to_string();
    let list = Authority::of(&net).list(&day(-2), &day(5), &[]);
    for node in ["a", "b"] {
        std::fs::write(net.path(&format!("{node}/crls/documents-ca.crl")), &list).unwrap();
    }
    net
}

fn ask(net: &mut TestNet, node: &str, url: &str) {
    let interval = Duration::from_millis(20);
    net.configure(node, |config| config.timestamps = Some(Timestamps { url: url.to_owned(), interval }));
}

/// Certificate and key of an authority for timestamps under the documents' root, and OpenSSL's configuration for it.
fn authority(net: &TestNet) -> PathBuf {
    let dir = net.path("tsa");
    std::fs::create_dir(&dir).unwrap();
    let read = |ending: &str| std::fs::read_to_string(net.path(&format!("authority/documents-ca.{ending}")));
    let key = KeyPair::from_pem(&read("key").unwrap()).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("pem").unwrap(), key).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Dấu thời gian");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(2015, 1, 1), rcgen::date_time_ymd(2040, 1, 1));
    // SEQUENCE { id-kp-timeStamping }, critical (RFC 3161 §2.3).
    let usage = [0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8];
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], usage.to_vec());
    extension.set_criticality(true);
    params.custom_extensions = vec![extension];
    let own = KeyPair::generate().unwrap();
    std::fs::write(dir.join("tsa.pem"), params.signed_by(&own, &issuer).unwrap().pem()).unwrap();
    std::fs::write(dir.join("tsa.key"), own.serialize_pem()).unwrap();
    let config = format!(
        "[tsa]\ndefault_tsa = it\n[it]\nserial = {}\nsigner_digest = sha256\ndefault_policy = 1.3.6.1.4.1.1\n\
         digests = sha256\ness_cert_id_alg = sha256\n",
        dir.join("serial").display()
    );
    std::fs::write(dir.join("ts.cnf"), config).unwrap();
    dir
}

/// What OpenSSL's authority answers.
fn reply(dir: &Path, query: &[u8]) -> Vec<u8> {
    let file = |name: &str| dir.join(name);
    std::fs::write(file("query"), query).unwrap();
    let done = Command::new("openssl")
        .args(["ts", "-reply", "-queryfile"])
        .arg(file("query"))
        .arg("-config")
        .arg(file("ts.cnf"))
        .arg("-signer")
        .arg(file("tsa.pem"))
        .arg("-inkey")
        .arg(file("tsa.key"))
        .arg("-out")
        .arg(file("reply"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    std::fs::read(file("reply")).unwrap()
}

#[tokio::test]
async fn events_are_proven_by_the_time_of_an_authority_which_also_outlasts_a_withdrawn_key() {
    if run("openssl", &["version"]).is_none() {
        eprintln!("skipped: there is no openssl here");
        return;
    }
    let mut net = today();
    let dir = authority(&net);
    let web = Web::serve("127.0.0.1").await;
    let tsa = dir.clone();
    web.put("/tsa", Answer::Reply(Box::new(move |query| reply(&tsa, query))));
    for node in ["a", "b"] {
        ask(&mut net, node, &web.url("/tsa"));
        net.start(node).await;
    }
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let doc = net.document("H01.1", &["H01.22"], "12");
    let id = a.deliver(&doc).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    b.fetch("H01.22", &id).await.unwrap();
    b.acknowledge("H01.22", &id).await.unwrap();
    eventually("the status arrives", || async { (a.statuses(&id).await.len() == 1).then_some(()) }).await;
    let settled = || async { (net.events("b", "settled").await.len() == 1).then_some(()) };
    eventually("the status is settled", settled).await;
    for node in ["a", "b"] {
        let exchange = net.node(node).exchange().clone();
        eventually("the log's last checkpoint is timestamped", || async {
            let size = exchange.ledger().snapshot().size();
            (exchange.stamping().state().last?.0 == size).then_some(())
        })
        .await;
        assert_eq!(exchange.stamping().state().failing, None);
        let status = net.status(node).await;
        let stamps = status.timestamps.unwrap();
        assert_eq!((stamps.size, stamps.failing_since), (status.log_size, 0));
    }
    // A log that does not grow asks nothing: each request brought one of a size of its own.
    let stamps = ["a", "b"].map(|n| net.node(n).exchange().stamping().stamps().sizes().len());
    assert_eq!(web.requests(), stamps.iter().sum::<usize>(), "{stamps:?}");

    let good = unpack(&net.exported("a", &id).await);
    let report = net.good(&repack(&good));
    let stamps = paths(&good, "timestamp/", ".tst");
    assert!(!stamps.is_empty());
    for stamp in &stamps {
        let held = report.statements.iter().any(|s| s.file == *stamp && s.how.contains("RFC 3161"));
        assert!(held, "{:#?}", report.statements);
    }
    let covered = report.statements.iter().filter(|s| s.how.contains("as an authority's timestamp proves"));
    let own = paths(&good, "event/a_log_1", ".2.proof");
    assert!(own.len() >= 3, "{own:?}");
    assert_eq!(covered.count(), own.len());

    // OpenSSL verifies the token over the checkpoint.
    let unpacked = net.path("unpacked");
    spill(&good, &unpacked);
    let stamp = unpacked.join(&stamps[0]);
    let (token, note) = (text(&stamp), text(&stamp.with_extension("note")));
    let root = text(&net.path("documents/root-documents.pem"));
    let args = ["ts", "-verify", "-in", &token, "-token_in", "-data", &note, "-CAfile", &root];
    let said = run("openssl", &args).unwrap();
    assert_eq!(said.code, Some(0), "{} {}", said.out, said.err);

    // The log's key was withdrawn: before its checkpoints were timestamped, or after.
    let report = net.verify_with(&repack(&good), Some(&with_key(&net, "a", net.now().plus_millis(-60_000))));
    fails(&report, &own[0], "nor did an authority timestamp it");
    // What the newest checkpoint alone proves nobody else saw; what was timestamped counts.
    let later = with_key(&net, "a", SystemClock.now().plus_millis(60_000));
    let report = net.verify_with(&repack(&good), Some(&later));
    assert!(report.is_verified(), "{:#?}", failed(&report));
    assert!(noted(&report).iter().any(|s| s.how.contains("was withdrawn at")), "{:#?}", noted(&report));

    // Another token, another checkpoint, one of them alone.
    let note = stamps[0].replace(".tst", ".note");
    let spoil = |change: &dyn Fn(&mut super::tools::Files)| {
        let mut files = good.clone();
        change(&mut files);
        net.verify(&repack(&files))
    };
    let report = spoil(&|files| *file(files, &stamps[0]).last_mut().unwrap() ^= 1);
    fails(&report, &stamps[0], "digest_mismatch");
    let report = spoil(&|files| file(files, &stamps[0]).truncate(100));
    fails(&report, &stamps[0], "the timestamp:");
    let report = spoil(&|files| file(files, &note).extend(b"\xe2\x80\x94 x/y AAAAAAAA\n"));
    fails(&report, &stamps[0], "the timestamp is of something else");
    let report = spoil(&|files| files.retain(|(path, _)| *path != note));
    fails(&report, &stamps[0], "is not in the container");
    let report = spoil(&|files| files.retain(|(path, _)| *path != stamps[0]));
    fails(&report, "timestamp/", "has no timestamp");
    // Without the authority's revocation data it proves nothing, and that is said.
    let report = spoil(&|files| files.retain(|(path, _)| !path.starts_with("revocation/")));
    assert!(noted(&report).iter().any(|s| s.file == stamps[0] && s.how.contains("is intact, but")));

    spoilt_everywhere(&net, &good);

    // Kept over a restart, and for who reads the files.
    let sizes = net.node("a").exchange().stamping().stamps().sizes();
    net.stop("a").await;
    net.start("a").await;
    let again = net.node("a").exchange().stamping().stamps().sizes();
    assert!(again.starts_with(&sizes), "{sizes:?} {again:?}");
    net.finish().await;
}

#[tokio::test]
async fn without_an_answer_the_node_goes_on_and_says_since_when() {
    let mut net = TestNet::new();
    let began = net.now();
    let web = Web::serve("127.0.0.1").await;
    ask(&mut net, "a", &web.url("/tsa"));
    for node in ["a", "b"] {
        net.start(node).await;
    }
    let mut since = Vec::new();
    let mut says = async |says: &'static str| {
        let failing = eventually(says, || async {
            let stamps = net.status("a").await.timestamps.unwrap();
            (stamps.last_error.contains(says) && stamps.size == 0).then_some(stamps.failing_since)
        });
        since.push(Timestamp::from_millis(failing.await));
    };
    says("404").await;
    web.put("/tsa", Answer::Bytes(b"not a reply".to_vec()));
    says("the timestamp:").await;
    // It refuses: status 2, rejection.
    web.put("/tsa", Answer::Bytes(vec![0x30, 5, 0x30, 3, 2, 1, 2]));
    says("the authority refused (status 02)").await;
    assert!(since[0] >= began && since.iter().all(|at| *at == since[0]), "{began} {since:?}");
    web.put("/tsa", Answer::Never);
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "12")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let stamps = net.status("a").await.timestamps.unwrap();
    assert_eq!((stamps.authority, stamps.failing_since), (web.url("/tsa"), since[0].millis()));
    net.finish().await;
}

/// The timestamps of a stopped node are judged by the check, each in the place of the one that came.
#[tokio::test]
async fn the_check_judges_every_timestamp_that_is_kept() {
    if run("openssl", &["version"]).is_none() {
        eprintln!("skipped: there is no openssl here");
        return;
    }
    let mut net = today();
    let dir = authority(&net);
    let web = Web::serve("127.0.0.1").await;
    let tsa = dir.clone();
    web.put("/tsa", Answer::Reply(Box::new(move |query| reply(&tsa, query))));
    ask(&mut net, "a", &web.url("/tsa"));
    net.start("a").await;
    let a = net.dms("a").await;
    for number in ["1", "2"] {
        let id = a.deliver(&net.document("H01.1", &["H01.2"], number)).await.remove(0);
        a.wait_for(&id, pb::DeliveryState::Delivered).await;
        let exchange = net.node("a").exchange().clone();
        eventually("the log's last checkpoint is timestamped", || async {
            let size = exchange.ledger().snapshot().size();
            (exchange.stamping().state().last?.0 == size).then_some(())
        })
        .await;
    }
    let sizes = net.node("a").exchange().stamping().stamps().sizes();
    assert!(sizes.len() >= 2);
    assert_eq!(net.node("a").check_now().await.unwrap().findings, 0);
    net.stop("a").await;
    let config = net.config("a").clone();
    let key = log_signer(&config).unwrap().verifier().clone();
    let file = |size: u64, ending: &str| config.data.join(format!("timestamps/1-{size:020}.{ending}"));
    let directory = DirectoryHolder::newest_kept(&config.data, &config.authority).unwrap();
    let crls = read_crls(config.crl_dir.as_ref().unwrap()).unwrap().0;
    let trusted = directory.trust().clone().with_crls(crls);
    let check_under = |trust: Trust| {
        let beside = Beside::new(&config.data, &config, trust);
        let offline = Offline::open(&config.data).unwrap();
        offline.check_all(&key, Some(&beside), |_| {}).unwrap()
    };
    let check = || check_under(trusted.clone());
    assert!(check().is_clean(), "{:#?}", check().findings);
    // As far as the trust goes: of an authority that is under no root, or of which nothing is known, the token is intact.
    for trust in [Trust::new(std::iter::empty::<Vec<u8>>()).unwrap(), directory.trust().clone()] {
        assert!(check_under(trust).is_clean());
    }
    let (one, other) = (sizes[0], sizes[1]);
    let name = format!("timestamps/1-{one:020}.");
    let spoilt = |ending: &str, now: Option<&[u8]>, says: &str| {
        let path = file(one, ending);
        let was = std::fs::read(&path).unwrap();
        match now {
            Some(now) => std::fs::write(&path, now).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let found = check().findings;
        assert!(!found.is_empty(), "{says}");
        for finding in &found {
            assert!(finding.place == Place::Timestamp && finding.message.contains(&name), "{finding}");
        }
        assert!(found.iter().any(|f| f.message.contains(says)), "{says}: {found:#?}");
        std::fs::write(&path, was).unwrap();
    };
    let token = std::fs::read(file(one, "tst")).unwrap();
    let mut altered = token.clone();
    *altered.last_mut().unwrap() ^= 1;
    spoilt("tst", Some(&altered), "the timestamp proves nothing: digest_mismatch");
    spoilt("tst", Some(&token[..100]), ".tst");
    spoilt("tst", Some(b""), ".tst");
    spoilt("tst", Some(&std::fs::read(file(other, "tst")).unwrap()), "the timestamp is of something else");
    let note = std::fs::read_to_string(file(one, "note")).unwrap();
    spoilt("note", None, ".note");
    spoilt("note", Some(b"x"), ".note");
    spoilt("note", Some(&std::fs::read(file(other, "note")).unwrap()), "under the name of");
    // One byte of its log's signature, and of what it says.
    let line = note.lines().last().unwrap();
    let other_line = format!("{}AAAA{}", &line[..line.len() - 8], &line[line.len() - 4..]);
    spoilt("note", Some(note.replace(line, &other_line).as_bytes()), "its checkpoint of ");
    let root = note.lines().nth(2).unwrap();
    let other_root = lienthong::merkle::sha256(b"x").to_base64();
    spoilt("note", Some(note.replace(root, &other_root).as_bytes()), "its checkpoint of ");
    spoilt("note", Some(note.replace("a/log/1", "a/log/2").as_bytes()), "which its name does not say");
    // What the log's key signed, and an authority timestamped, is not in the log.
    let signed =
        Checkpoint { origin: key.name().to_owned(), size: one, root: lienthong::merkle::sha256(b"x") }
            .sign(&log_signer(&config).unwrap());
    let query = TimestampQuery::of_bytes(signed.note().as_bytes(), [7; 8]);
    let stamped = query.token(&reply(&dir, &query.to_der())).unwrap();
    std::fs::write(file(one, "note"), signed.note()).unwrap();
    std::fs::write(file(one, "tst"), &stamped).unwrap();
    let found = check();
    let [finding] = &found.findings[..] else { panic!("{:#?}", found.findings) };
    assert_eq!((finding.place, finding.index, found.first), (Place::Timestamp, Some(one - 1), Some(one - 1)));
    let says =
        format!("the checkpoint of {one} events that was timestamped has root {}", signed.checkpoint().root);
    assert!(finding.message.contains(&says) && finding.message.contains("it was rewritten"), "{finding}");
    let data = config.data.to_str().unwrap();
    let said = run(env!("CARGO_BIN_EXE_lienthong"), &["audit", "check", "--data", data]).unwrap();
    assert_eq!(said.code, Some(1), "{} {}", said.out, said.err);
    assert!(said.out.contains(&format!("! timestamp {}: {name}tst: ", one - 1)), "{}", said.out);
    std::fs::write(file(one, "note"), &note).unwrap();
    std::fs::write(file(one, "tst"), &token).unwrap();
    assert!(check().is_clean());
}

/// What a verdict rests on may be inside the document: it needs no file of its own.
#[tokio::test]
async fn signatures_that_carry_a_timestamp_are_judged_again_by_it() {
    if run("openssl", &["version"]).is_none() {
        eprintln!("skipped: there is no openssl here");
        return;
    }
    let mut net = today();
    let dir = authority(&net);
    for node in ["a", "b"] {
        net.start(node).await;
    }
    let a = net.dms("a").await;
    let doc = net.document("H01.1", &["H01.22"], "1");
    let signatures = net.signatures("H01.1", &doc.data).into_iter().map(|signature| {
        let reply = reply(&dir, &timestamp_request(&signature).unwrap());
        add_timestamp(&signature, &timestamp_token(&reply, &signature).unwrap()).unwrap()
    });
    let doc = doc.signed(signatures.collect());
    let id = a.deliver(&doc).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    for node in ["a", "b"] {
        let report = net.good(&net.exported(node, &id).await);
        assert!(super::tools::beyond(&report).is_empty(), "{:#?}", super::tools::beyond(&report));
    }
    for (_, event) in net.events("b", "received").await {
        let judged = &event.kind.named();
        assert_eq!(judged.evidence.len(), 3, "a list, and a token in each signature");
    }
    net.finish().await;
}
