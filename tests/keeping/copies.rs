//! Copies of a node's data: made under load, brought back, and refused where anything in them is wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lienthong::audit::backup::{BackupError, List, Made, Source, make, restore};
use lienthong::merkle::{NoteSigner, NoteVerifier};
use lienthong::rpc::tls::read_pkcs8;
use lienthong::store::journal::{Position, Reader};
use lienthong::wire::pb;

use crate::common::{TestNet, eventually, name};

fn key_of(net: &TestNet, node: &str) -> NoteVerifier {
    let key = read_pkcs8(&net.config(node).log_key).unwrap();
    NoteSigner::from_pkcs8(&name(node).log_origin(1), &key).unwrap().verifier().clone()
}

/// A copy as the command makes one of a running node.
fn copy(net: &mut TestNet, node: &str, to: &Path) -> Result<Made, BackupError> {
    let key = key_of(net, node);
    let snapshot = net.node(node).exchange().ledger().snapshot();
    let source = Source {
        data: &net.config(node).data,
        key: &key,
        published: snapshot.checkpoint(),
        beside: vec![(net.config(node).certificate.clone(), "tls-certificate.pem".to_owned())],
        keys_left_out: vec!["log.key".to_owned()],
        now: net.now(),
    };
    make(&source, to, |_| {})
}

fn back(net: &TestNet, node: &str, from: &Path, to: &Path) -> Result<u64, BackupError> {
    let key = key_of(net, node);
    restore(from, to, |_| Some(key), |_, _| {}).map(|restored| restored.list.size)
}

fn leaves(data: &Path) -> Vec<bytes::Bytes> {
    let disk = Arc::new(lienthong::store::disk::RealDisk);
    let mut reader = Reader::open(disk, &data.join("journal"), Position::default()).unwrap();
    let mut all = Vec::new();
    while let Some(block) = reader.next_block().unwrap() {
        all.extend(block.leaves);
    }
    all
}

/// All files of a copy that its list names.
fn listed(dir: &Path) -> Vec<PathBuf> {
    List::read(dir).unwrap().unwrap().files.iter().map(|entry| dir.join(&entry.path)).collect()
}

async fn send(net: &TestNet, node: &str, numbers: std::ops::Range<u32>) {
    let client = net.dms(node).await;
    for number in numbers {
        let mut doc = net.document("H01.2", &["H01.1"], &number.to_string());
        if number % 5 == 0 {
            doc = net.document_of("H01.2", &["H01.1"], &number.to_string(), vec![number as u8; 1_200_000]);
        }
        let id = client.deliver(&doc).await.remove(0);
        client.wait_for(&id, pb::DeliveryState::Delivered).await;
    }
}

#[tokio::test]
async fn copies_made_under_load_are_each_whole_and_what_is_new_is_added() {
    let mut net = TestNet::running(&["a"]).await;
    send(&net, "a", 1..6).await;
    let to = net.path("backup");
    let (mut sizes, mut restored) = (Vec::new(), Vec::new());
    let ended = Arc::new(AtomicBool::new(false));
    let loading = {
        let ended = ended.clone();
        let docs: Vec<_> = (100..160).map(|n| net.document("H01.2", &["H01.1"], &n.to_string())).collect();
        let client = net.dms("a").await;
        tokio::spawn(async move {
            for doc in docs {
                client.deliver(&doc).await;
            }
            ended.store(true, Ordering::Release);
        })
    };
    for n in 0..6 {
        let size = net.node("a").exchange().ledger().snapshot().size();
        let made = copy(&mut net, "a", &to).unwrap();
        assert!(made.size >= size, "{made:?}");
        let data = net.path(&format!("restored-{n}"));
        assert_eq!(back(&net, "a", &to, &data).unwrap(), made.size);
        sizes.push(made);
        restored.push(data);
        tokio::task::yield_now().await;
    }
    loading.await.unwrap();
    assert!(ended.load(Ordering::Acquire));
    assert!(sizes.windows(2).all(|w| w[0].size <= w[1].size));
    let last = copy(&mut net, "a", &to).unwrap();
    assert!(last.copied < last.bytes, "only what is new: {last:?}");
    // Until everything is settled there is something new.
    while copy(&mut net, "a", &to).unwrap().copied > 0 {
        tokio::task::yield_now().await;
    }
    // Each is the beginning of the node's log.
    let now = leaves(&net.config("a").data);
    for (made, data) in sizes.iter().zip(&restored) {
        assert_eq!(leaves(data), now[..made.size as usize]);
    }
    net.finish().await;
}

#[tokio::test]
async fn a_node_runs_on_what_was_restored_as_on_what_was_copied() {
    let mut net = TestNet::running(&["a"]).await;
    send(&net, "a", 1..8).await;
    let admin = net.client("a", "admin").await;
    let to = net.path("backup");
    eventually("the queue is empty", || async { (net.queue("a", "a").await.waiting == 0).then_some(()) })
        .await;
    let made = copy(&mut net, "a", &to).unwrap();
    let before = admin.node.report().get_ratios(pb::GetRatiosRequest::default()).await.unwrap().into_inner();
    let inbox = net.dms("a").await.inbox("H01.1").await.unwrap();
    assert_eq!(inbox.len(), 7);
    net.stop("a").await;
    let data = net.config("a").data.clone();
    // Where there is something nothing is restored.
    assert!(matches!(back(&net, "a", &to, &data), Err(BackupError::NotEmpty { .. })));
    std::fs::remove_dir_all(&data).unwrap();
    assert_eq!(back(&net, "a", &to, &data).unwrap(), made.size);
    net.start("a").await;
    let admin = net.client("a", "admin").await;
    let after = admin.node.report().get_ratios(pb::GetRatiosRequest::default()).await.unwrap().into_inner();
    assert_eq!(after.rows, before.rows);
    let a = net.dms("a").await;
    assert_eq!(a.inbox("H01.1").await.unwrap(), inbox);
    for item in &inbox {
        a.fetch("H01.1", &item.delivery_id).await.unwrap();
    }
    send(&net, "a", 20..22).await;
    // The copy goes on with the restored node; of a stopped one the journal's end counts.
    assert!(copy(&mut net, "a", &to).unwrap().size > made.size);
    net.finish().await;
}

/// Damages a copy of the copy, and restores it: refused, by the name of the file, with nothing left behind.
#[tokio::test]
async fn damage_in_any_file_of_a_copy_is_named_and_nothing_is_restored() {
    let mut net = TestNet::running(&["a"]).await;
    send(&net, "a", 1..7).await;
    let to = net.path("backup");
    copy(&mut net, "a", &to).unwrap();
    let files = listed(&to);
    let kinds = ["journal/", "content/0", "content/large/", "directories/", "format", "config/"];
    for kind in kinds {
        assert!(
            files.iter().any(|f| f.strip_prefix(&to).unwrap().to_str().unwrap().starts_with(kind)),
            "{kind}"
        );
    }
    let data = net.path("restored");
    for file in &files {
        let right = std::fs::read(file).unwrap();
        let length = List::read(&to).unwrap().unwrap();
        let below = file.strip_prefix(&to).unwrap().to_str().unwrap().to_owned();
        let length = length.entry(&below).unwrap().length as usize;
        let mut flipped = right.clone();
        flipped[length / 2] ^= 1;
        let cut = right[..length - 1].to_vec();
        for wrong in [Some(flipped), Some(cut), None] {
            match &wrong {
                Some(wrong) => std::fs::write(file, wrong).unwrap(),
                None => std::fs::remove_file(file).unwrap(),
            }
            let error = back(&net, "a", &to, &data).unwrap_err();
            let BackupError::Damaged(problems) = &error else { panic!("{error}") };
            assert!(problems.len() == 1 && problems[0].contains(&below), "{problems:?}");
            assert!(!data.exists() && !net.path("restored.restoring").exists());
        }
        std::fs::write(file, right).unwrap();
    }
    // The list itself.
    let list = to.join("backup.json");
    let right = std::fs::read_to_string(&list).unwrap();
    for wrong in [
        right.replacen("\"size\": ", "\"size\": 1", 1),
        right.replacen("journal/0", "journal/1", 1),
        "{}".into(),
    ] {
        assert_ne!(wrong, right);
        std::fs::write(&list, wrong).unwrap();
        assert!(matches!(back(&net, "a", &to, &data), Err(BackupError::List { .. })));
    }
    std::fs::remove_file(&list).unwrap();
    assert!(matches!(back(&net, "a", &to, &data), Err(BackupError::List { .. })));
    std::fs::write(&list, right).unwrap();
    // Another log's key.
    let other = key_of(&net, "b");
    let error = restore(&to, &data, |_| Some(other), |_, _| {}).unwrap_err();
    assert!(matches!(error, BackupError::Damaged(_)), "{error}");
    assert!(back(&net, "a", &to, &data).is_ok());
    net.finish().await;
}

#[tokio::test]
async fn a_copy_is_not_overwritten_with_what_is_not_its_continuation() {
    let mut net = TestNet::running(&["a"]).await;
    send(&net, "a", 1..4).await;
    let to = net.path("backup");
    copy(&mut net, "a", &to).unwrap();
    send(&net, "a", 4..5).await;
    net.stop("a").await;
    // Content that was copied before is altered at the node.
    let segment = net.config("a").data.join("content/00000001.content");
    let right = std::fs::read(&segment).unwrap();
    let mut wrong = right.clone();
    wrong[60] ^= 1;
    std::fs::write(&segment, &wrong).unwrap();
    let key = key_of(&net, "a");
    let stopped = |to: &Path| {
        let data = &net.config("a").data;
        let source = Source {
            data,
            key: &key,
            published: None,
            beside: vec![],
            keys_left_out: vec![],
            now: net.now(),
        };
        make(&source, to, |_| {})
    };
    let error = stopped(&to).unwrap_err();
    assert!(matches!(&error, BackupError::Differs { path } if *path == segment), "{error}");
    // The copy before is as good as it was.
    let data = net.path("restored");
    back(&net, "a", &to, &data).unwrap();
    std::fs::write(&segment, &right).unwrap();
    let made = stopped(&to).unwrap();
    assert_eq!(made.size, leaves(&net.config("a").data).len() as u64);
    // Another node's log does not go into the same folder.
    let other = key_of(&net, "b");
    let source = Source {
        data: &net.config("a").data,
        key: &other,
        published: None,
        beside: vec![],
        keys_left_out: vec![],
        now: net.now(),
    };
    assert!(matches!(make(&source, &to, |_| {}), Err(BackupError::OtherLog { .. })));
}
