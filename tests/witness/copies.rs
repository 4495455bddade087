//! A node whose data is an old copy: it signs no second history that anybody takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lienthong::domain::decide::Command;
use lienthong::domain::event::EventKind;
use lienthong::ledger::LedgerError;
use lienthong::node::NodeError;
use lienthong::store::disk::RealDisk;
use lienthong::store::journal::Journal;

use super::common::{TestNet, eventually};
use super::world::{deliver, held, holds, quick, running, size};

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// a and b run and have exchanged; a's data of some time ago is in the folder `old`.
async fn stage() -> TestNet {
    let mut net = running(&["a", "b"]).await;
    deliver(&net, "1").await;
    net.stop("a").await;
    copy(&net.config("a").data, &net.path("old"));
    net.start("a").await;
    for number in 2..6 {
        deliver(&net, &number.to_string()).await;
    }
    let before = held(&mut net, "b", "a");
    deliver(&net, "6").await;
    holds(&mut net, "b", "a", before + 1).await;
    net.stop("a").await;
    net
}

fn put_back(net: &TestNet) {
    std::fs::remove_dir_all(&net.config("a").data).unwrap();
    copy(&net.path("old"), &net.config("a").data);
}

/// What a's log signed in its first life and b received of it.
async fn received(net: &TestNet) -> usize {
    net.events("b", "received").await.len()
}

fn old_copy(error: &NodeError) -> String {
    let NodeError::OldCopy(found) = error else { panic!("{error}") };
    assert_eq!(found.log, "a/log/1");
    assert!(found.held_size > found.size, "{found}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_does_not_start_where_a_peer_is_there() {
    let mut net = stage().await;
    put_back(&net);
    let before = std::fs::read_dir(net.config("a").data.join("journal")).unwrap().count();
    let error = net.try_start("a", Arc::new(RealDisk)).await.unwrap_err();
    let said = old_copy(&error);
    for word in ["old copy", "node `b`", "newest copy of the data", "docs/OPERATIONS.md"] {
        assert!(said.contains(word), "{said}");
    }
    // Nothing was signed: neither that it started nor anything else.
    let journal = net.config("a").data.join("journal");
    assert_eq!(std::fs::read_dir(&journal).unwrap().count(), before);
    let events = async |data: &std::path::Path| {
        eventually("the files are let go", || async {
            lienthong::audit::Offline::open(data).ok()?.size().ok()
        })
        .await
    };
    assert_eq!(events(&net.config("a").data).await, events(&net.path("old")).await);
    // And again.
    old_copy(&net.try_start("a", Arc::new(RealDisk)).await.unwrap_err());
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_that_starts_alone_says_so_and_stops_when_a_peer_comes_back() {
    let mut net = stage().await;
    let taken = received(&net).await;
    net.stop("b").await;
    put_back(&net);
    net.start("a").await;
    assert!(net.node("a").exchange().witness().is_unwitnessed());
    let started = net.events("a", "started").await.pop().unwrap().1.kind;
    assert!(matches!(started, EventKind::Started { unwitnessed: true, .. }), "{started:?}");
    // It goes on, and signs another history; nobody is there to take it.
    net.dms("a").await.deliver(&net.document("H01.1", &["H01.22"], "77")).await;
    net.start("b").await;
    let error = net.node("a").failed().await;
    old_copy(&error);
    let ledger = net.node("a").exchange().ledger().clone();
    let last = ledger.snapshot().size();
    let again = Command::Note { kind: EventKind::Stopped { reason: "test".into() } };
    let answer = ledger.commit(again).await;
    assert!(matches!(answer, Err(LedgerError::Failed(_) | LedgerError::Rejected(_))), "it signs on");
    assert_eq!(ledger.snapshot().size(), last);
    drop(ledger);
    assert_eq!(received(&net).await, taken, "b took something of the second history");
    net.kill("a");
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_whose_log_was_lost_altogether_does_not_start_either() {
    let mut net = stage().await;
    std::fs::remove_dir_all(&net.config("a").data).unwrap();
    let error = net.try_start("a", Arc::new(RealDisk)).await.unwrap_err();
    assert!(old_copy(&error).contains("it has 0 events"));
    // Not even its first event was signed.
    let end = Journal::end(&RealDisk, &net.config("a").data.join("journal")).unwrap();
    assert_eq!((end.size, end.checkpoint), (0, None));
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_answer_each_other_and_nobody_waits() {
    let mut net = quick();
    for node in ["a", "b"] {
        net.configure(node, |config| config.start_ask = Duration::from_secs(50));
    }
    net.start("a").await;
    net.start("b").await;
    deliver(&net, "1").await;
    let (a, b) = (size(&mut net, "a"), size(&mut net, "b"));
    deliver(&net, "2").await;
    holds(&mut net, "a", "b", b).await;
    holds(&mut net, "b", "a", a).await;
    net.stop("a").await;
    net.stop("b").await;
    let began = Instant::now();
    net.start_together(&["a", "b"]).await;
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    for node in ["a", "b"] {
        assert!(!net.node(node).exchange().witness().is_unwitnessed(), "{node}");
    }
    net.finish().await;
}
