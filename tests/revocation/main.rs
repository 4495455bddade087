//! Revocation data while nodes run: the folder of lists, distribution points and OCSP responders, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod folder;
mod hostile;
mod lists;
mod pki;
mod responders;
mod web;

use std::time::Duration;

use common::{TestNet, eventually};
use lienthong::config::Config;
use lienthong::exchange::Exchange;
use lienthong::signature::{DigestNeeds, Digests, Reason, Verdicts, judge_detached};
use lienthong::time::Timestamp;
use pki::Person;

const CONTENT: &[u8] = b"content";

/// A network whose node a has no list at all and may ask this machine; not started.
fn without_lists() -> TestNet {
    let mut net = TestNet::new();
    std::fs::remove_file(net.path("a/crls/documents-ca.crl")).unwrap();
    net.configure("a", |config| {
        config.crl_reload = Duration::from_millis(20);
        config.allow_private_responders = true;
    });
    net
}

/// The same with node a running.
async fn running() -> TestNet {
    running_with(|_| ()).await
}

async fn running_with(change: impl FnOnce(&mut Config)) -> TestNet {
    let mut net = without_lists();
    net.configure("a", change);
    net.start("a").await;
    net
}

/// What node a says of a signature by this person, which asks about what it misses as node a does.
fn judge(net: &mut TestNet, person: &Person) -> Verdicts {
    judge_at(net.node("a").exchange(), person, Timestamp::MAX)
}

fn judge_at(exchange: &Exchange, person: &Person, at: Timestamp) -> Verdicts {
    let at = at.min(exchange.ledger().now());
    let content = Digests::of(DigestNeeds::SHA256, CONTENT);
    let signature = person.signer.sign_detached(&content.sha256, at).unwrap();
    let trust = exchange.trust(&exchange.directory());
    let verdicts = judge_detached(&[signature], &content, "", &trust, at);
    exchange.missed(&verdicts);
    verdicts
}

/// Waits until node a says this of the person.
async fn becomes(net: &mut TestNet, person: &Person, reason: Option<Reason>) {
    let exchange = net.node("a").exchange().clone();
    eventually(&format!("the verdict {reason:?}"), || async {
        (judge_at(&exchange, person, Timestamp::MAX).reason == reason).then_some(())
    })
    .await;
}

/// Waits for a number of requests.
async fn asked(web: &web::Web, path: &str, times: usize) {
    eventually(&format!("{path} is asked {times} times"), || async {
        (web.asked(path) >= times).then_some(())
    })
    .await;
    assert_eq!(web.asked(path), times, "{path}");
}

/// Waits until other data is in force.
async fn changed(changes: &mut tokio::sync::watch::Receiver<u64>) {
    tokio::time::timeout(Duration::from_secs(30), changes.changed()).await.unwrap().unwrap();
}
