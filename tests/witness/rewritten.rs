//! A node that rewrites its log with its own key is caught by its peers at the next contact, and what they found proves it
//! to anyone.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use lienthong::domain::event::EventKind;
use lienthong::exchange::witness::Cut;
use lienthong::exchange::witness::fork::{ForkInvalid, ForkProof};
use lienthong::node::NodeError;
use lienthong::store::disk::RealDisk;
use lienthong::wire::pb;

use super::common::log::event;
use super::common::{TestNet, eventually};
use super::liar::{Log, Manner, play};
use super::world::{deliver, held, holds, running, standing};

/// a and b have exchanged, b holds what a signed, and a is stopped.
pub async fn stage() -> TestNet {
    let mut net = running(&["a", "b"]).await;
    for number in 1..5 {
        deliver(&net, &number.to_string()).await;
    }
    let before = held(&mut net, "b", "a");
    deliver(&net, "5").await;
    holds(&mut net, "b", "a", before + 1).await;
    net.stop("a").await;
    net
}

/// An event that is in every log of the stage, and what it would rather say.
pub fn rewritten(log: &mut Log) -> usize {
    let at = log.leaves.iter().position(|l| matches!(event(l), EventKind::Submitted { .. })).unwrap();
    log.rewrite(at, |event| event.actor.user = "nobody".into());
    at
}

/// b has something for a, and finds out.
pub async fn contact(net: &mut TestNet) -> (bytes::Bytes, Cut) {
    let b = net.dms("b").await;
    let id = b.deliver(&net.document("H01.22", &["H01.1"], "900")).await.remove(0);
    (id, found_out(net).await)
}

/// b stops exchange with a, has written what it found, and recorded the alarm.
async fn found_out(net: &mut TestNet) -> Cut {
    let exchange = net.node("b").exchange().clone();
    eventually("b stops exchange with a", || async {
        let standings = exchange.witness().standings();
        let cut = standings.into_iter().find(|s| s.log == "a/log/1").and_then(|s| s.cut);
        cut.filter(|cut| cut.alarmed)
    })
    .await
}

fn proof_file(net: &TestNet) -> PathBuf {
    net.config("b").data.join("forks/a+log+1.json")
}

/// What waits for a says why, and what a offers is not taken.
async fn check_stopped(net: &TestNet, id: &bytes::Bytes, reason: &str) {
    let b = net.dms("b").await;
    eventually("what waits says why", || async {
        let view = b.track(id).await.unwrap();
        assert_eq!(view.state(), pb::DeliveryState::Queued);
        view.waiting_for.contains(reason).then_some(())
    })
    .await;
    let status = net.status("b").await;
    let shown = status.witnessed.into_iter().find(|w| w.log == "a/log/1").unwrap();
    assert_eq!(shown.stopped, reason);
    assert!(!shown.why.is_empty() && shown.since > 0);
}

/// The alarms of b.
async fn alarms(net: &TestNet) -> Vec<(String, String)> {
    let alarms = net.events("b", "alarm").await.into_iter();
    alarms
        .map(|(_, e)| match e.kind {
            EventKind::Alarm { reason, peer, .. } => (reason, peer),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The proof that b wrote holds by itself, and no change of it does. The older checkpoint is one of those that b may hold.
fn check_proof(net: &TestNet, older: RangeInclusive<u64>, newer: u64) {
    let text = std::fs::read_to_string(proof_file(net)).unwrap();
    let proof = ForkProof::read(&text).unwrap();
    let authority = &net.config("c").authority;
    let shown = proof.verify(authority).unwrap();
    assert_eq!(shown.node.as_str(), "a");
    assert!(older.contains(&shown.older.checkpoint().size), "{older:?}: {shown:?}");
    assert_eq!(shown.newer.checkpoint().size, newer);
    assert_ne!(shown.root, shown.older.checkpoint().root);
    // Another authority, another directory, another key, another checkpoint, another path: nothing holds.
    let other: lienthong::merkle::NoteVerifier =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    assert!(matches!(proof.verify(&other), Err(ForkInvalid::Directory(_))));
    let honest = ForkProof { newer: proof.older.clone(), prefix: None, ..proof.clone() };
    assert!(matches!(honest.verify(authority), Err(ForkInvalid::Consistent { .. })));
    let altered = [
        ForkProof { log: "b/log/1".into(), ..proof.clone() },
        ForkProof { key: proof.key.replacen("a/log/1", "a/log/2", 1), ..proof.clone() },
        ForkProof { older: proof.older.replacen("a/log/1", "b/log/1", 1), ..proof.clone() },
        ForkProof { newer: proof.newer.replacen('\n', "1\n", 1), ..proof.clone() },
        ForkProof {
            directory: proof.directory.replacen("\"version\": 1", "\"version\": 2", 1),
            ..proof.clone()
        },
    ];
    for (n, altered) in altered.iter().enumerate() {
        assert!(altered.verify(authority).is_err(), "{n}");
    }
    if let Some(prefix) = &proof.prefix {
        let mut altered = proof.clone();
        let mut other = prefix.clone();
        other.path.pop();
        altered.prefix = Some(other);
        assert!(matches!(altered.verify(authority), Err(ForkInvalid::Path(_))));
        altered.prefix = None;
        assert!(matches!(altered.verify(authority), Err(ForkInvalid::Consistent { .. })));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_longer_log_with_one_old_event_rewritten_is_caught_and_proven() {
    let mut net = stage().await;
    let before = held(&mut net, "b", "a");
    let mut log = Log::of(&net, "a");
    let all = log.leaves.len() as u64;
    rewritten(&mut log);
    log.grow(7);
    let size = log.leaves.len() as u64;
    let liar = play(&net, "a", log, Manner::Openly).await;
    let (id, cut) = contact(&mut net).await;
    assert!(cut.proven, "{}", cut.why);
    check_stopped(&net, &id, "log_forked").await;
    assert_eq!(alarms(&net).await, [("log_forked".to_owned(), "a".to_owned())]);
    check_proof(&net, before..=all, size);
    // It is still so after a restart, and is told once.
    net.stop("b").await;
    net.start("b").await;
    assert!(standing(&mut net, "b", "a").unwrap().cut.unwrap().proven);
    check_stopped(&net, &id, "log_forked").await;
    assert_eq!(alarms(&net).await.len(), 1);
    // The true a comes back: what it offers is not taken either, since its key says two things.
    drop(liar);
    net.start("a").await;
    let a = net.dms("a").await;
    let offered = a.deliver(&net.document("H01.1", &["H01.22"], "901")).await.remove(0);
    eventually("what a sends says why it waits", || async {
        a.track(&offered).await.unwrap().waiting_for.contains("log_forked").then_some(())
    })
    .await;
    assert!(
        net.events("b", "received")
            .await
            .iter()
            .all(|(_, e)| { e.kind.delivery_id().unwrap().to_string() != hex::encode(&offered) })
    );
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_of_the_true_log_keeps_nobody_from_the_proof() {
    let mut net = stage().await;
    let mut log = Log::of(&net, "a");
    // b was told of a's last checkpoint and could not ask about it any more.
    let request = pb::HelloRequest {
        node: "a".into(),
        directory_version: 1,
        checkpoint: log.checkpoint().note().to_owned(),
        ..pb::HelloRequest::default()
    };
    net.calling("a", "b").await.peer.hello(request).await.unwrap();
    rewritten(&mut log);
    log.grow(2);
    let _liar = play(&net, "a", log, Manner::Openly).await;
    // It calls a to ask, and only the call tells it what a says now.
    let cut = found_out(&mut net).await;
    assert!(cut.proven, "{}", cut.why);
    assert_eq!(alarms(&net).await, [("log_forked".to_owned(), "a".to_owned())]);
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shorter_log_that_went_another_way_is_caught_by_what_was_held_before() {
    let mut net = stage().await;
    let before = held(&mut net, "b", "a");
    let mut log = Log::of(&net, "a");
    rewritten(&mut log);
    // One less than what b holds: it cannot show how that came out of it.
    log.leaves.truncate(before as usize - 1);
    let _liar = play(&net, "a", log, Manner::Openly).await;
    let (id, cut) = contact(&mut net).await;
    assert!(cut.proven, "{}", cut.why);
    check_stopped(&net, &id, "log_forked").await;
    let proof = ForkProof::read(&std::fs::read_to_string(proof_file(&net)).unwrap()).unwrap();
    let shown = proof.verify(&net.config("c").authority).unwrap();
    assert!(shown.newer.checkpoint().size == before - 1, "{shown:?}");
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_root_of_the_same_size_is_a_proof_at_once() {
    let mut net = stage().await;
    let mut log = Log::of(&net, "a");
    let size = held(&mut net, "b", "a");
    rewritten(&mut log);
    log.leaves.truncate(size as usize);
    let _liar = play(&net, "a", log, Manner::WithoutLeaves).await;
    let (id, cut) = contact(&mut net).await;
    assert!(cut.proven, "{}", cut.why);
    check_stopped(&net, &id, "log_forked").await;
    check_proof(&net, size..=size, size);
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_does_not_show_its_leaves_is_suspected_until_the_other_history_convicts_it() {
    let mut net = stage().await;
    let mut log = Log::of(&net, "a");
    rewritten(&mut log);
    log.grow(3);
    let size = log.leaves.len() as u64;
    // It signs another history and gives nothing that would prove it.
    let liar = play(&net, "a", log, Manner::WithoutLeaves).await;
    let (id, cut) = contact(&mut net).await;
    assert!(!cut.proven);
    assert!(cut.why.contains("did not show") && cut.why.contains("not_allowed"), "{}", cut.why);
    check_stopped(&net, &id, "log_suspect").await;
    assert_eq!(alarms(&net).await, [("log_suspect".to_owned(), "a".to_owned())]);
    assert!(!proof_file(&net).exists(), "what is not proven is no proof");
    drop(liar);
    // The history that is true goes on beyond the one that is not, and shows its leaves.
    net.start("a").await;
    let a = net.dms("a").await;
    for number in 910..920 {
        a.deliver(&net.document("H01.1", &["H01.2"], &number.to_string())).await;
    }
    a.deliver(&net.document("H01.1", &["H01.22"], "920")).await;
    eventually("b has the proof", || async { proof_file(&net).exists().then_some(()) }).await;
    assert!(super::world::size(&mut net, "a") > size);
    let newer = ForkProof::read(&std::fs::read_to_string(proof_file(&net)).unwrap()).unwrap();
    newer.verify(&net.config("c").authority).unwrap();
    eventually("the alarm says so", || async { (alarms(&net).await.len() == 2).then_some(()) }).await;
    assert_eq!(alarms(&net).await[1].0, "log_forked");
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchange_goes_on_when_a_node_that_was_suspected_shows_that_its_log_only_grew() {
    let mut net = stage().await;
    // What it signs is true, and it says that it has no such log.
    let log = Log::of(&net, "a");
    let liar = play(&net, "a", log, Manner::Denying).await;
    let (id, cut) = contact(&mut net).await;
    assert!(!cut.proven && cut.why.contains("unknown_event"), "{}", cut.why);
    check_stopped(&net, &id, "log_suspect").await;
    drop(liar);
    net.start("a").await;
    net.dms("b").await.wait_for(&id, pb::DeliveryState::Delivered).await;
    assert_eq!(standing(&mut net, "b", "a").unwrap().cut, None);
    assert!(!proof_file(&net).exists());
    deliver(&net, "930").await;
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_journal_was_rewritten_does_not_start_among_its_peers() {
    let mut net = stage().await;
    let mut log = Log::of(&net, "a");
    rewritten(&mut log);
    log.grow(1);
    log.put(&net.config("a").data);
    let error = net.try_start("a", Arc::new(RealDisk)).await.unwrap_err();
    assert!(matches!(error, NodeError::OldCopy(_)), "{error}");
    net.finish().await;
}
