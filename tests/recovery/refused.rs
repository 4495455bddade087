//! What is refused, and why.

use std::path::Path;

use lienthong::audit::Offline;
use lienthong::cli::recover::recover;

use super::common::{TestNet, eventually};
use super::world::{copy, deliver, list_next, lose, name_next, open_next, recovered, running, settled_again};

async fn refused(net: &TestNet, from: Option<&Path>, words: &[&str]) {
    let said = recover(net.config("b"), from, net.now()).await.unwrap_err().to_string();
    for word in words {
        assert!(said.contains(word), "`{word}` is not said: {said}");
    }
    assert!(!net.path("b/data-2/journal").exists(), "something was made: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_generation_is_refused_by_name_until_everything_is_right_and_then_opened_once() {
    let mut net = running().await;
    deliver(&net, "a", "H01.1", "H01.22", "1").await;
    net.stop("b").await;
    copy(&net.config("b").data, &net.path("short"));
    net.start("b").await;
    deliver(&net, "a", "H01.1", "H01.22", "2").await;
    let short = Offline::open(&net.path("short")).unwrap().size().unwrap();
    let exchange = net.node("a").exchange().clone();
    eventually("a holds more than the copy has", || async {
        let standings = exchange.witness().standings();
        standings.iter().any(|s| s.log == "b/log/1" && s.held > short).then_some(())
    })
    .await;
    drop(exchange);
    net.stop("b").await;
    copy(&net.config("b").data, &net.path("old"));
    let old = net.path("old");
    refused(&net, Some(&old), &["`log.generation` is 1", "have the directory's authority list"]).await;
    lose(&net, "b").await;
    name_next(&mut net, "b");
    refused(&net, Some(&old), &["does not list log `b/log/2`", "not yet", "b/log/2+", "\"first\": 0"]).await;
    // Another's key is listed.
    let right = net.config("b").log_key.clone();
    let other = net.config("a").log_key.clone();
    net.configure("b", |config| config.log_key = other);
    list_next(&net, "b");
    net.configure("b", |config| config.log_key = right);
    refused(&net, Some(&old), &["does not list log `b/log/2`", "with another key"]).await;
    list_next(&net, "b");
    refused(&net, Some(&net.path("nothing")), &["neither a backup", "nor a data folder"]).await;
    refused(&net, Some(&net.config("a").data), &["a copy of log `a/log/1`", "no key of node `b`"]).await;
    let lock = std::fs::File::create(old.join("LOCK")).unwrap();
    lock.lock().unwrap();
    refused(&net, Some(&old), &["a node runs on this folder: stop it first"]).await;
    drop(lock);
    // One byte of the copy is another.
    let damaged = net.path("damaged");
    copy(&old, &damaged);
    let segment = damaged.join("journal/00000001.journal");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.iter().rposition(|b| *b != 0).unwrap() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    refused(&net, Some(&damaged), &["the copy of the lost log cannot be read", "take another copy"]).await;
    // Something is there.
    std::fs::create_dir_all(net.path("b/data-2")).unwrap();
    std::fs::write(net.path("b/data-2/notes"), "…").unwrap();
    refused(&net, Some(&old), &["is not empty", "name a new folder"]).await;
    std::fs::remove_dir_all(net.path("b/data-2")).unwrap();
    // A shorter copy is taken, and says how much more others know.
    let opened = recover(net.config("b"), Some(&net.path("short")), net.now()).await.unwrap().unwrap();
    assert!(opened.known > opened.kept && opened.told_by != "copy", "{opened:?}");
    // Once: a second time changes nothing.
    assert_eq!(recover(net.config("b"), Some(&old), net.now()).await.unwrap(), None);
    net.start("b").await;
    recovered(&mut net, "b", &["a", "c"]).await;
    settled_again(&net, "a").await;
    // A generation that another node has seen does not begin again, also when its data are gone.
    deliver(&net, "b", "H01.22", "H01.1", "3").await;
    let exchange = net.node("a").exchange().clone();
    eventually("a holds the new log", || async {
        exchange.witness().standings().iter().any(|s| s.log == "b/log/2" && s.held > 0).then_some(())
    })
    .await;
    drop(exchange);
    net.stop("b").await;
    lose(&net, "b").await;
    refused(
        &net,
        Some(&old),
        &["`b/log/2` was open before", "node a has a checkpoint", "the generation after it"],
    )
    .await;
    open_next(&mut net, "b", None).await;
    net.start("b").await;
    recovered(&mut net, "b", &["a", "c"]).await;
    settled_again(&net, "a").await;
    net.finish().await;
}
