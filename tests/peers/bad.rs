//! Node c is bad in one way or another; what node a sends to node b, and within a, passes as before.

use std::sync::Arc;
use std::time::Duration;

use lienthong::domain::EventKind;
use lienthong::wire::pb;
use lienthong::wire::pb::deliver_response::Outcome;

use super::common::client::Client;
use super::common::peer::{Answer, FakePeer, Receipt};
use super::common::{TestNet, eventually};

/// Nodes a and b; a loses patience with its peers within a second.
async fn stage() -> (TestNet, Client) {
    let mut net = TestNet::new();
    net.configure("a", |config| {
        config.peer_connect = Duration::from_secs(1);
        config.peer_answer = Duration::from_secs(1);
    });
    net.start("a").await;
    net.start("b").await;
    let a = net.dms("a").await;
    (net, a)
}

/// Sends to the bad node and to the others, again and again, until its breaker is open; the others get theirs.
async fn check(net: &TestNet, a: &Client, size: usize, said: &str) {
    let mut to_bad = Vec::new();
    for round in 0..5 {
        let docs: Vec<_> = (0..10)
            .map(|n| {
                let data = format!("{round}{n}").repeat(size / 2).into_bytes();
                let number = (100 * round + n).to_string();
                net.document_of("H01.1", &["G01", "H01.22", "H01.2"], &number, data).bulk()
            })
            .collect();
        for answer in a.send_many(docs).await {
            let Some(pb::send_many_response::Outcome::Sent(sent)) = answer.outcome else {
                panic!("{answer:?}")
            };
            let ids: Vec<_> = sent.results.into_iter().map(|r| r.delivery_id).collect();
            for id in &ids[1..] {
                a.wait_for(id, pb::DeliveryState::Delivered).await;
            }
            to_bad.push(ids[0].clone());
        }
    }
    let queue = eventually("the breaker is open", || async {
        let queue = net.queue("a", "c").await;
        (queue.breaker == "open").then_some(queue)
    })
    .await;
    assert_eq!(queue.waiting, 50, "{queue:?}");
    assert!(queue.last_error.contains(said), "{queue:?}");
    assert!(queue.failures >= 3 && queue.failing_since > 0, "{queue:?}");
    assert!(queue.next_try > queue.failing_since && queue.next_probe == queue.next_try, "{queue:?}");
    for other in ["a", "b"] {
        let queue = net.queue("a", other).await;
        assert_eq!((queue.breaker.as_str(), queue.last_error.as_str()), ("closed", ""), "{other}");
    }
    // Whoever asks is told.
    for id in [&to_bad[0], &to_bad[49]] {
        let why = eventually("it is said why it waits", || async {
            let view = a.track(id).await.unwrap();
            assert_eq!(view.state(), pb::DeliveryState::Queued);
            // While it is probed there is no next try to name.
            let said = ["has not answered since", "next try"].iter().all(|w| view.waiting_for.contains(w));
            said.then_some(view.waiting_for)
        })
        .await;
        assert!(why.starts_with("node c"), "{why}");
    }
}

/// The true node c comes: everything that waited arrives.
async fn comes(mut net: TestNet, a: &Client) {
    net.start("c").await;
    eventually("all arrive", || async { (net.queue("a", "c").await.waiting == 0).then_some(()) }).await;
    let queue = net.queue("a", "c").await;
    assert_eq!((queue.breaker.as_str(), queue.failures, queue.last_error.as_str()), ("closed", 0, ""));
    drop(a.clone());
    net.finish().await;
}

#[tokio::test]
async fn a_peer_that_accepts_connections_and_says_nothing() {
    let (net, a) = stage().await;
    let address = net.config("c").listen_peers;
    let listener =
        eventually("the port is free", || async { tokio::net::TcpListener::bind(address).await.ok() }).await;
    let hole = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    check(&net, &a, 100, "no connection within 1 s").await;
    hole.abort();
    let _ = hole.await;
    comes(net, &a).await;
}

#[tokio::test]
async fn a_peer_that_never_reads_what_it_is_sent() {
    let (net, a) = stage().await;
    let silent: Answer = Arc::new(|_| None);
    let fake = FakePeer::start(&net, "c", silent).await;
    fake.is_deaf(true);
    check(&net, &a, 200_000, "no answer within 1 s").await;
    assert_eq!(fake.offers(), []);
    drop(fake);
    comes(net, &a).await;
}

#[tokio::test]
async fn a_peer_that_answers_garbage() {
    let (net, a) = stage().await;
    let garbage: Answer = Arc::new(|_| Some(Outcome::Receipt(pb::Proof::default())));
    let fake = FakePeer::start(&net, "c", garbage).await;
    check(&net, &a, 100, "bad_proof").await;
    drop(fake);
    comes(net, &a).await;
}

#[tokio::test]
async fn a_peer_that_answers_with_valid_proofs_of_other_things() {
    let (net, a) = stage().await;
    let log = std::sync::Mutex::new(net.hand_log("c"));
    let at = net.now();
    // Whatever it is offered, it proves that it fetched it.
    let lie: Answer = Arc::new(move |offer| {
        let delivery_id = Receipt::of(offer).item.delivery_id;
        let proof = log.lock().unwrap().prove(at, EventKind::Fetched { delivery_id });
        Some(Outcome::Receipt(proof.to_wire()))
    });
    let fake = FakePeer::start(&net, "c", lie).await;
    check(&net, &a, 100, "bad_proof: it proves a `fetched` event").await;
    assert_eq!(net.events("a", "settled").await.len(), 100);
    // Its key has signed this history now: c itself cannot come with another (tests/witness).
    drop(fake);
    net.finish().await;
}

#[tokio::test]
async fn a_peer_that_refuses_one_message_for_now_is_no_peer_that_fails() {
    let (net, a) = stage().await;
    let log = std::sync::Mutex::new(net.hand_log("c"));
    let at = net.now();
    // Never the first, always the others.
    let answer: Answer = Arc::new(move |offer| {
        let receipt = Receipt::of(offer);
        let lienthong::domain::event::Subject::Document(document) = &receipt.item.subject else {
            return None;
        };
        if document.key.number() == "1" {
            let message = "not from this node".to_owned();
            return Some(Outcome::Retry(pb::Retry {
                reason: "wrong_peer".into(),
                message,
                retry_after_ms: 0,
            }));
        }
        Some(Outcome::Receipt(log.lock().unwrap().prove(at, receipt.received()).to_wire()))
    });
    let _fake = FakePeer::start(&net, "c", answer).await;
    let first = a.deliver(&net.document("H01.1", &["G01"], "1")).await.remove(0);
    let why = eventually("it is said why it waits", || async {
        let why = a.track(&first).await.unwrap().waiting_for;
        why.contains("wrong_peer").then_some(why)
    })
    .await;
    assert!(
        why.starts_with("node c does not take it: wrong_peer: not from this node; that may last"),
        "{why}"
    );
    for number in 2..20 {
        let id = a.deliver(&net.document("H01.1", &["G01"], &number.to_string())).await.remove(0);
        a.wait_for(&id, pb::DeliveryState::Delivered).await;
    }
    let queue = net.queue("a", "c").await;
    assert_eq!((queue.breaker.as_str(), queue.failures, queue.waiting, queue.delayed), ("closed", 0, 1, 1));
    net.finish().await;
}
