//! What people see of it: commands, status, exported evidence and tiles.

use std::collections::BTreeMap;
use std::process::Command;

use bytes::Bytes;
use lienthong::merkle::{Checkpoint, Note, SignedCheckpoint, verify_cosignature};
use lienthong::wire::pb;
use lienthong::wire::proof::Proof;

use super::common::{TestNet, eventually, name};
use super::liar::{Log, Manner, play};
use super::rewritten::{contact, rewritten, stage};
use super::world::{deliver, holds, running, size};

/// Runs the program; its exit status and what it printed.
fn lienthong(args: &[&str]) -> (i32, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_lienthong")).args(args).output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_is_listed_and_its_proof_is_checked_offline_by_the_authoritys_key_alone() {
    let mut net = stage().await;
    let data = net.config("b").data.display().to_string();
    let mut log = Log::of(&net, "a");
    rewritten(&mut log);
    log.grow(2);
    let (status, said) = lienthong(&["audit", "forks", "--data", &data]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("a/log/1") && said.contains("goes on"), "{said}");
    let _liar = play(&net, "a", log, Manner::Openly).await;
    contact(&mut net).await;
    let file = net.config("b").data.join("forks/a+log+1.json");
    eventually("the proof is written", || async { file.exists().then_some(()) }).await;
    let (status, said) = lienthong(&["audit", "forks", "--data", &data]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("log_forked") && said.contains(&file.display().to_string()), "{said}");
    // It is copied to where nothing else is.
    let alone = tempfile::tempdir().unwrap();
    let copied = alone.path().join("fork.json");
    std::fs::copy(&file, &copied).unwrap();
    let path = copied.display().to_string();
    let authority = net.config("c").authority.to_string();
    let (status, said) = lienthong(&["audit", "verify", &path, "--authority", &authority]);
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("log `a/log/1` of node a has two histories") && said.ends_with("verified\n"),
        "{said}"
    );
    let (status, said) = lienthong(&["audit", "verify", &path]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("--authority KEY is needed"), "{said}");
    let text =
        std::fs::read_to_string(&copied).unwrap().replacen("\"leaf_hash\": \"", "\"leaf_hash\": \"0", 1);
    std::fs::write(&copied, text).unwrap();
    let (status, said) = lienthong(&["audit", "verify", &path, "--authority", &authority]);
    assert_eq!(status, 1, "{said}");
    assert!(said.ends_with("NOT VERIFIED\n"), "{said}");
    net.finish().await;
}

/// The files of a delivery's evidence.
async fn evidence(net: &TestNet, node: &str, id: &bytes::Bytes) -> BTreeMap<String, Vec<u8>> {
    let admin = net.client(node, "admin").await;
    let request = pb::ExportEvidenceRequest { delivery_id: id.clone(), ..Default::default() };
    let mut pieces = admin.node.audit().export_evidence(request).await.unwrap().into_inner();
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        files.entry(piece.path).or_default().extend_from_slice(&piece.data);
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosignatures_are_shown_and_go_into_evidence_and_tiles() {
    let mut net = running(&["a", "b"]).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let of_a = size(&mut net, "a");
    deliver(&net, "2").await;
    holds(&mut net, "b", "a", of_a).await;
    let exchange = net.node("a").exchange().clone();
    let covers = |size: u64| {
        let cosigned = exchange.cosigned();
        cosigned.into_iter().find(|c| c.checkpoint.checkpoint().size >= size)
    };
    eventually("b cosigned the delivery", || async { covers(of_a) }).await;
    let directory = exchange.directory();
    let log_key = directory.node(&name("a")).unwrap().log_keys[0].key.clone();
    let witness = directory.node(&name("b")).unwrap().cosign_keys[0].clone();
    let check = |note: &str| {
        let checkpoint = SignedCheckpoint::verify(note, &log_key).unwrap();
        let lines = Note::parse(note, 1 << 16).unwrap().signatures;
        assert!(lines.iter().any(|l| verify_cosignature(checkpoint.body(), l, &witness).is_ok()), "{note}");
        checkpoint.checkpoint().size
    };
    // In status and beside the newest checkpoint.
    let status = net.status("a").await;
    assert_eq!(status.cosigners.len(), 1);
    assert!(status.cosigners[0].node == "b" && status.cosigners[0].size >= of_a);
    assert!(status.witnessed.iter().any(|w| w.log == "b/log/1" && w.held_size > 0 && w.stopped.is_empty()));
    let admin = net.client("a", "admin").await;
    let shown = admin.node.audit().get_checkpoint(pb::GetCheckpointRequest {}).await.unwrap().into_inner();
    assert!(!shown.cosigned.is_empty());
    for note in &shown.cosigned {
        check(note);
    }
    // In evidence: each event of the delivery has a proof under a checkpoint that b cosigned.
    let files = evidence(&net, "a", &id).await;
    let cosigned: Vec<u64> = files
        .iter()
        .filter(|(path, _)| path.starts_with("checkpoint/"))
        .map(|(_, note)| check(std::str::from_utf8(note).unwrap()))
        .collect();
    assert!(!cosigned.is_empty(), "{:?}", files.keys());
    let submitted = net.events("a", "submitted").await[0].0;
    let proofs: Vec<Proof> = files
        .iter()
        .filter(|(path, _)| path.starts_with("event/a_log_1-"))
        .map(|(_, bytes)| Proof::decode(bytes).unwrap())
        .filter(|proof| proof.index == submitted)
        .collect();
    let under =
        |proof: &Proof| SignedCheckpoint::verify(&proof.checkpoint, &log_key).unwrap().checkpoint().size;
    assert!(proofs.iter().any(|proof| cosigned.contains(&under(proof))), "none under {cosigned:?}");
    // In tiles, when the newest checkpoint is cosigned. The first export is itself an event, going on from it is none.
    let tiles = async |known: Option<&Checkpoint>, cosigned: bool| {
        let request = pb::ExportTilesRequest {
            cosigned,
            known_size: known.map_or(0, |c| c.size),
            known_root: known.map_or_else(Bytes::new, |c| Bytes::copy_from_slice(c.root.as_bytes())),
            ..Default::default()
        };
        let mut pieces = admin.node.audit().export_tiles(request).await.unwrap().into_inner();
        let mut checkpoint = Vec::new();
        while let Some(piece) = pieces.message().await.unwrap() {
            if piece.path == "checkpoint" {
                checkpoint.extend_from_slice(&piece.data);
            }
        }
        String::from_utf8(checkpoint).unwrap()
    };
    let first = tiles(None, false).await;
    let first = SignedCheckpoint::parse_unverified(&first).unwrap().claimed().clone();
    let mut calling = net.calling("a", "b").await;
    let newest = exchange.ledger().snapshot().checkpoint().unwrap().note().to_owned();
    let hello = pb::HelloRequest { node: "a".into(), checkpoint: newest.clone(), ..Default::default() };
    calling.peer.hello(hello).await.unwrap();
    let last = exchange.ledger().snapshot().size();
    eventually("b cosigned the newest", || async { covers(last) }).await;
    let text = tiles(Some(&first), false).await;
    assert!(text.starts_with(&newest) && check(&text) == last, "{text}");
    // Of a log that went on, up to where b cosigned it.
    deliver(&net, "3").await;
    let text = tiles(None, true).await;
    assert!((last..exchange.ledger().snapshot().size()).contains(&check(&text)), "{text}");
    drop(exchange);
    net.finish().await;
}
