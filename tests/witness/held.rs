//! What is held, cosigned and given back; and that it costs nothing where nothing happens.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use lienthong::exchange::witness::HeldOf;
use lienthong::merkle::{Note, SignedCheckpoint, verify_cosignature};
use lienthong::wire::pb;

use super::common::{TestNet, eventually, name};
use super::world::{cosigned, deliver, held, holds, quick, running, size};

/// Files of what a node holds, with the time of their last change.
fn files(net: &TestNet, node: &str) -> BTreeMap<String, SystemTime> {
    let mut found = BTreeMap::new();
    let mut todo = vec![net.config(node).data.join("witness")];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let changed = path.metadata().unwrap().modified().unwrap();
                found.insert(path.display().to_string(), changed);
            }
        }
    }
    found
}

/// Every cosignature that a node keeps is one of a listed witness over a checkpoint of its own log.
fn check_cosigned(net: &mut TestNet, node: &str, by: &str) {
    let directory = net.node(node).exchange().directory();
    let log = directory.node(&name(node)).unwrap().log_keys[0].key.clone();
    let witness = directory.node(&name(by)).unwrap().cosign_keys[0].clone();
    let found = cosigned(net, node);
    assert!(found.iter().any(|c| c.witnesses.contains_key(&name(by))), "{by} cosigned nothing of {node}");
    for cosigned in found {
        let note = cosigned.note();
        let checkpoint = SignedCheckpoint::verify(&note, &log).unwrap();
        let lines = Note::parse(&note, 1 << 16).unwrap().signatures;
        for witness_of in cosigned.witnesses.keys() {
            assert!(directory.node(witness_of).is_some());
        }
        if cosigned.witnesses.contains_key(&name(by)) {
            let seconds = lines.iter().find_map(|l| verify_cosignature(checkpoint.body(), l, &witness).ok());
            let late = net.now().secs() as u64 - seconds.unwrap();
            assert!(late < 60, "{late} s");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_grew_is_held_and_cosigned_by_both_sides_and_is_still_after_a_restart() {
    let mut net = running(&["a", "b"]).await;
    for number in 1..=4 {
        deliver(&net, &number.to_string()).await;
        let (of_a, of_b) = (held(&mut net, "b", "a"), held(&mut net, "a", "b"));
        // What was shown with the next message at the latest is more than what was held before.
        deliver(&net, &format!("{number}0")).await;
        holds(&mut net, "b", "a", of_a + 1).await;
        holds(&mut net, "a", "b", of_b + 1).await;
    }
    for (node, by) in [("a", "b"), ("b", "a")] {
        let exchange = net.node(node).exchange().clone();
        eventually("the cosignature is given back", || async {
            exchange.cosigned().iter().any(|c| c.witnesses.contains_key(&name(by))).then_some(())
        })
        .await;
        check_cosigned(&mut net, node, by);
    }
    let (of_a, kept) = (held(&mut net, "b", "a"), cosigned(&mut net, "b"));
    net.stop("b").await;
    net.stop("a").await;
    net.start("b").await;
    assert!(held(&mut net, "b", "a") >= of_a);
    assert!(!kept.is_empty() && !cosigned(&mut net, "b").is_empty(), "what was cosigned is read again");
    check_cosigned(&mut net, "b", "a");
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_be_called_is_witnessed_and_witnesses() {
    let mut net = quick();
    net.change_directory(|content| {
        let b = content.nodes.iter_mut().find(|n| n.name == name("b")).unwrap();
        b.endpoints.clear();
    });
    net.start("a").await;
    net.start("b").await;
    deliver(&net, "1").await;
    let (of_a, of_b) = (held(&mut net, "b", "a"), held(&mut net, "a", "b"));
    deliver(&net, "2").await;
    holds(&mut net, "b", "a", of_a + 1).await;
    holds(&mut net, "a", "b", of_b + 1).await;
    for (node, by) in [("a", "b"), ("b", "a")] {
        let exchange = net.node(node).exchange().clone();
        eventually("the cosignature is given back", || async {
            exchange.cosigned().iter().any(|c| c.witnesses.contains_key(&name(by))).then_some(())
        })
        .await;
        check_cosigned(&mut net, node, by);
    }
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_idle_stay_idle_however_often_they_say_hello() {
    let mut net = running(&["a", "b"]).await;
    deliver(&net, "1").await;
    let (mut from_a, mut from_b) = (net.calling("a", "b").await, net.calling("b", "a").await);
    let mut hello = async |net: &mut TestNet| {
        for (from, calling) in [("a", &mut from_a), ("b", &mut from_b)] {
            let exchange = net.node(from).exchange().clone();
            let to = if from == "a" { "b" } else { "a" };
            let checkpoint = exchange.ledger().snapshot().checkpoint().unwrap().note().to_owned();
            let HeldOf { held, newest } = exchange.held_of(&name(to));
            let request = pb::HelloRequest {
                node: from.to_owned(),
                directory_version: 1,
                checkpoint,
                held_checkpoint: held,
                newest_checkpoint: newest,
                ..pb::HelloRequest::default()
            };
            let answer = calling.peer.hello(request).await.unwrap().into_inner();
            let ours = HeldOf { held: answer.held_checkpoint, newest: answer.newest_checkpoint };
            exchange.greeted(&name(to), &answer.checkpoint, &ours).await;
        }
    };
    hello(&mut net).await;
    let (a, b) = (size(&mut net, "a"), size(&mut net, "b"));
    holds(&mut net, "b", "a", a).await;
    holds(&mut net, "a", "b", b).await;
    for node in ["a", "b"] {
        let exchange = net.node(node).exchange().clone();
        let last = size(&mut net, node);
        eventually("the last cosignature is given back", || async {
            exchange.cosigned().iter().any(|c| c.checkpoint.checkpoint().size == last).then_some(())
        })
        .await;
        // It is written within an interval; from then on nothing is.
        let folder = net.config(node).data.join("witness/own");
        eventually("what was cosigned is written", || async { newest(&folder, last).then_some(()) }).await;
    }
    let before = (files(&net, "a"), files(&net, "b"));
    for _ in 0..200 {
        hello(&mut net).await;
    }
    assert_eq!((size(&mut net, "a"), size(&mut net, "b")), (a, b), "the logs grew");
    for (node, before) in [("a", before.0), ("b", before.1)] {
        let after = files(&net, node);
        let written: Vec<_> = after.iter().filter(|(file, at)| before.get(*file) != Some(at)).collect();
        assert!(written.is_empty(), "{written:?} of {before:?}");
    }
    net.finish().await;
}

/// Whether a file of this folder has a checkpoint of this size; one that is still being written is none.
fn newest(folder: &Path, size: u64) -> bool {
    let written = |path: &Path| path.extension().is_some_and(|extension| extension == "json");
    std::fs::read_dir(folder).unwrap().flatten().filter(|entry| written(&entry.path())).any(|entry| {
        let notes: Vec<String> =
            serde_json::from_str(&std::fs::read_to_string(entry.path()).unwrap_or_default())
                .unwrap_or_default();
        notes.iter().any(|note| note.lines().nth(1) == Some(&size.to_string()))
    })
}
