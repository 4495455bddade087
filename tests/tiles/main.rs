//! `audit tiles`: the log as static files, read by another program (`read.py`) that knows the specifications only.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;

use std::path::{Path, PathBuf};
use std::process::Command;

use lienthong::merkle::SignedCheckpoint;
use serde_json::Value;

use common::{TestNet, key, pem};
use harness::{Sample, files, signer, submit_to};

struct Call {
    code: Option<i32>,
    out: String,
    err: String,
}

fn call(program: &Path, args: &[&str]) -> Call {
    let done = Command::new(program).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Call { code: done.status.code(), out: text(&done.stdout), err: text(&done.stderr) }
}

fn tiles(dir: &Path, more: &[&str]) -> Call {
    let args = [&["audit", "tiles", dir.to_str().unwrap(), "--format", "json"], more].concat();
    call(Path::new(env!("CARGO_BIN_EXE_lienthong")), &args)
}

fn offline(dir: &Path, data: &Path) -> Call {
    tiles(dir, &["--data", data.to_str().unwrap(), "--log-key", &signer().verifier().to_string()])
}

/// What the other program says; `None` where there is no Python.
fn read(dir: &Path, log_key: &str) -> Option<Value> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tiles/read.py");
    if Command::new("python3").arg("--version").output().is_err() {
        return None;
    }
    let said = call(&script, &[dir.to_str().unwrap(), "--log-key", log_key]);
    Some(serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{} {}", said.out, said.err)))
}

#[test]
fn another_reader_finds_the_signed_root_in_the_files() {
    let sample = Sample::large();
    let dir = tempfile::tempdir().unwrap();
    let said = offline(dir.path(), sample.dir.path());
    assert_eq!(said.code, Some(0), "{}", said.err);
    let said: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(said["events"], sample.leaves.len());
    assert_eq!(said["root"], sample.root.to_string());
    // One full tile and one full bundle, a partial of each, one tile above, and the checkpoint.
    assert!(sample.leaves.len() > 256 && sample.leaves.len() < 512);
    assert_eq!(files(dir.path()).len(), 6);
    let key = signer().verifier().to_string();
    let Some(found) = read(dir.path(), &key) else { return };
    assert_eq!(found["verified"], true, "{found}");
    assert_eq!(found["size"], sample.leaves.len());
    assert_eq!(found["root"], sample.root.to_string());

    // The reader can say no: a byte changed anywhere, or a file that is missing.
    for path in files(dir.path()) {
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let said = read(dir.path(), &key);
        assert!(said.as_ref().is_some_and(|v| v["verified"] == false), "{}: {said:?}", path.display());
        std::fs::remove_file(&path).unwrap();
        if path.ends_with("checkpoint") {
            continue;
        }
        assert_eq!(read(dir.path(), &key).unwrap()["verified"], false, "{}", path.display());
        std::fs::write(&path, &good).unwrap();
    }
}

#[test]
fn an_export_is_brought_up_to_date_and_never_mixed_with_another_log() {
    let commands = || (0..10).map(|n| submit_to(n, 100));
    let whole = Sample::new(1 << 20, true, commands());
    let early = Sample::new(1 << 20, true, commands().take(6));
    let dir = tempfile::tempdir().unwrap();
    // What a full export has, in two steps, the second of them the newer part only.
    assert_eq!(offline(dir.path(), early.dir.path()).code, Some(0));
    // Another history of the same log: other salts and times, so other leaves.
    let said = offline(dir.path(), whole.dir.path());
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("two histories of one log"), "{}", said.err);
    let old = std::fs::read_to_string(dir.path().join("checkpoint")).unwrap();
    let old = SignedCheckpoint::verify(&old, signer().verifier()).unwrap();
    assert_eq!(old.checkpoint().size, 600);
    // The same one again, and then the folder of an old copy.
    let said = offline(dir.path(), early.dir.path());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(serde_json::from_str::<Value>(&said.out).unwrap()["files"].as_u64().unwrap() < 8);

    let strange = tempfile::tempdir().unwrap();
    std::fs::write(strange.path().join("letter.pdf"), "x").unwrap();
    let said = offline(strange.path(), early.dir.path());
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("holds other files"), "{}", said.err);
}

#[tokio::test]
async fn a_running_node_exports_to_its_auditors_only() {
    let net = TestNet::running(&["a"]).await;
    let dir = net.path("tiles");
    let base = net.client_files("a", "admin");
    let address = net.config("a").listen_clients.to_string();
    let call = |files: PathBuf, dir: PathBuf| {
        let (cert, key) = (pem(&files), key(&files));
        let (ca, address) = (net.path("clients/network-ca.pem"), address.clone());
        tokio::task::spawn_blocking(move || {
            let path = |p: &Path| p.to_str().unwrap().to_owned();
            let (cert, key, ca) = (path(&cert), path(&key), path(&ca));
            tiles(
                &dir,
                &["--node", &address, "--server-name", "a", "--cert", &cert, "--key", &key, "--ca", &ca],
            )
        })
    };
    let said = call(base, dir.clone()).await.unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    let admin = net.client("a", "admin").await;
    let head = admin.node.audit().get_checkpoint(lienthong::wire::pb::GetCheckpointRequest {}).await.unwrap();
    let log_key = head.into_inner().verifier_key;
    if let Some(found) = read(&dir, &log_key) {
        assert_eq!(found["verified"], true, "{found}");
        assert!(found["size"].as_u64().unwrap() >= 2);
    }
    let said = call(net.client_files("a", "dms"), net.path("other")).await.unwrap();
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("has not the node role `auditor`"), "{}", said.err);
    net.finish().await;
}
