//! Keys: of the directory's authority, of document signatures, of logs that were closed or withdrawn since.

use lienthong::audit::evidence::Given;
use lienthong::cli::pki::{Authority, Validity};
use lienthong::directory::build;
use lienthong::directory::content::Content;
use lienthong::merkle::{Note, NoteSigner, SignedCheckpoint, cosign};
use lienthong::rpc::tls::read_pkcs8;
use lienthong::time::Timestamp;
use lienthong::wire::proof::Proof;

use super::common::{NETWORK, TestNet};
use super::spoilt::spoilt_everywhere;
use super::tools::{Files, failed, fails, file, noted, notes, paths, repack, unpack, with_page};
use super::way::delivered;

#[tokio::test]
async fn another_authority_or_other_roots_prove_nothing() {
    let (net, id) = delivered().await;
    let container = net.exported("a", &id).await;
    let other = net.hand_log("a").key();
    let roots = net.roots();
    let report = lienthong::audit::evidence::verify(
        std::io::Cursor::new(&container),
        &Given { authority: &other, roots: &roots, newer: None },
    );
    assert!(!report.is_verified());
    let first = paths(&unpack(&container), "directory/", "").remove(0);
    fails(&report, &first, "not signed by key");

    let stranger = Authority::new("somebody else", Validity::default()).unwrap().der();
    let authority = net.authority();
    let report = lienthong::audit::evidence::verify(
        std::io::Cursor::new(&container),
        &Given { authority: &authority, roots: &[stranger], newer: None },
    );
    assert!(failed(&report).iter().any(|s| s.how.contains("untrusted_issuer")), "{:#?}", failed(&report));
    net.finish().await;
}

/// Another version of the directory, signed by the authority.
fn version(net: &TestNet, number: u64, change: impl FnOnce(&mut Content)) -> String {
    let note = std::fs::read_to_string(net.path("a/directory.note")).unwrap();
    let mut content: Content = serde_json::from_str(&Note::parse(&note, 1 << 20).unwrap().text).unwrap();
    content.version = number;
    content.previous = None;
    change(&mut content);
    let key = read_pkcs8(&net.path("authority/directory.key")).unwrap();
    build::sign(&content, &NoteSigner::from_pkcs8(&format!("{NETWORK}/directory"), &key).unwrap()).unwrap()
}

/// The same with the key of a node's log withdrawn.
pub fn with_key(net: &TestNet, node: &str, withdrawn: Timestamp) -> String {
    version(net, 7, |content| {
        let node = content.nodes.iter_mut().find(|n| n.name.as_str() == node).unwrap();
        node.log_keys[0].withdrawn = Some(withdrawn);
        let mut next = node.log_keys[0].clone();
        let origin = format!("{}/log/2", node.name);
        let key = read_pkcs8(&net.config("b").log_key).unwrap();
        next.key = NoteSigner::from_pkcs8(&origin, &key).unwrap().verifier().to_string();
        (next.first, next.last, next.withdrawn) = (0, None, None);
        node.log_keys.push(next);
    })
}

/// The same with the key of b's log changed.
fn with_b_key(net: &TestNet, first: u64, last: Option<u64>, withdrawn: Option<Timestamp>) -> String {
    version(net, 7, |content| {
        let node = content.nodes.iter_mut().find(|n| n.name.as_str() == "b").unwrap();
        let key = &mut node.log_keys[0];
        (key.first, key.last, key.withdrawn) = (first, last, withdrawn);
        // The next generation is listed beside it.
        let mut next = key.clone();
        next.key = net.hand_log("a").key().to_string().replace("a/log/1", "b/log/2");
        let signer =
            NoteSigner::from_pkcs8("b/log/2", &read_pkcs8(&net.config("a").log_key).unwrap()).unwrap();
        next.key = signer.verifier().to_string();
        (next.first, next.last, next.withdrawn) = (0, None, None);
        node.log_keys.push(next);
    })
}

fn sizes(files: &Files, log: &str) -> Vec<u64> {
    let proofs = files.iter().filter(|(p, _)| p.starts_with(&format!("event/{log}")));
    proofs
        .map(|(_, data)| {
            let proof = Proof::decode(data).unwrap();
            SignedCheckpoint::parse_unverified(&proof.checkpoint).unwrap().claimed().size
        })
        .collect()
}

#[tokio::test]
async fn receipts_verify_after_the_logs_key_was_closed_but_only_of_trees_that_it_signed() {
    let (net, id) = delivered().await;
    let container = net.exported("a", &id).await;
    let files = unpack(&container);
    let sizes = sizes(&files, "b_log_1");
    let (smallest, largest) = (*sizes.iter().min().unwrap(), *sizes.iter().max().unwrap());
    let held = net.verify_with(&container, Some(&with_b_key(&net, 0, Some(largest), None)));
    assert!(held.is_verified(), "{:#?}", failed(&held));
    let proof = |size: u64| {
        let of = |p: &String| super::tools::paths(&files, p, "").len();
        let paths = paths(&files, "event/b_log_1", "");
        assert!(paths.iter().all(|p| of(p) >= 1));
        let at = sizes.iter().position(|s| *s == size).unwrap();
        paths[at].clone()
    };
    let late = net.verify_with(&container, Some(&with_b_key(&net, 0, Some(largest - 1), None)));
    fails(&late, &proof(largest), &format!("signs from 0 to {}", largest - 1));
    let early = net.verify_with(&container, Some(&with_b_key(&net, smallest + 1, None, None)));
    fails(&early, &proof(smallest), &format!("signs from {} to any size", smallest + 1));
    net.finish().await;
}

#[tokio::test]
async fn what_a_withdrawn_key_signed_counts_where_a_witness_saw_it_before() {
    let (net, id) = delivered().await;
    let good = unpack(&net.exported("a", &id).await);
    let withdrawn = net.now().plus_millis(60_000);
    let newer = with_b_key(&net, 0, None, Some(withdrawn));
    let receipts = paths(&good, "event/b_log_1", "");
    let report = net.verify_with(&repack(&good), Some(&newer));
    fails(&report, &receipts[0], "was withdrawn at");

    // The same checkpoints, as a witness cosigned them.
    let with = |witness: &str, key: &str, at: Timestamp| {
        let signer = NoteSigner::cosigner_from_pkcs8(
            &format!("{witness}/witness"),
            &read_pkcs8(&net.path(key)).unwrap(),
        );
        let signer = signer.unwrap();
        let mut files = good.clone();
        let mut known: Vec<String> = Vec::new();
        for receipt in &receipts {
            let note = Proof::decode(file(&mut files, receipt)).unwrap().checkpoint;
            if known.contains(&note) {
                continue;
            }
            let checkpoint = SignedCheckpoint::verify(&note, &net.hand_log("b").key()).unwrap();
            let line = cosign(&checkpoint, (at.millis() / 1000) as u64, &signer);
            let (at, size) = (files.len() - 1, checkpoint.checkpoint().size);
            files.insert(
                at,
                (format!("checkpoint/b_log_1-{size:010}.note"), format!("{note}{line}").into_bytes()),
            );
            known.push(note);
        }
        files
    };
    let cosigned = |witness: &str, key: &str, at: Timestamp| {
        let files = with_page(&net, with(witness, key, at));
        net.verify_with(&repack(&files), Some(&newer))
    };
    let before = withdrawn.plus_millis(-1_000);
    let held = cosigned("c", "c/cosign.key", before);
    assert!(held.is_verified(), "{:#?}", failed(&held));
    assert!(held.statements.iter().any(|s| s.how.contains("node c had cosigned the checkpoint at")));
    // Too late, by a witness that is not listed, by the log's own node.
    fails(&cosigned("c", "c/cosign.key", withdrawn.plus_millis(1_000)), &receipts[0], "was withdrawn at");
    fails(&cosigned("c", "c/log.key", before), &receipts[0], "was withdrawn at");
    fails(&cosigned("b", "b/cosign.key", before), &receipts[0], "was withdrawn at");
    // What was cosigned is not said to be seen by nobody; without any one file of it, it is, or it fails.
    let good = with_page(&net, with("c", "c/cosign.key", before));
    let report = net.good(&repack(&good));
    assert!(!notes(&report, "not cosigned by anybody", "word of node b"), "{:#?}", noted(&report));
    spoilt_everywhere(&net, &good);
    // And the receipt of a key that nobody withdrew needs no witness.
    assert!(net.verify_with(&repack(&good), Some(&version(&net, 7, |_| {}))).is_verified());
    net.finish().await;
}
