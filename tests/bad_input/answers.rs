//! Peers that answer with lies. Node c is played, with c's real keys; nothing that it says but an honest receipt may
//! settle a delivery, and nothing that it does may concern the deliveries to others.

use std::sync::{Arc, Mutex};

use lienthong::domain::{EventKind, Reason};
use lienthong::merkle::{Hash, NoteSigner};
use lienthong::rpc::tls::read_pkcs8;
use lienthong::wire::pb;
use lienthong::wire::pb::deliver_response::Outcome;
use tokio::io::AsyncWriteExt as _;

use super::common::client::Client;
use super::common::log::HandLog;
use super::common::peer::{Answer, FakePeer, Receipt};
use super::common::{TestNet, eventually, name};

type Log = Arc<Mutex<HandLog>>;

/// Signs what `say` makes of an offer into a log, and answers with its proof.
fn answer(log: &Log, say: impl Fn(Receipt) -> EventKind + Send + Sync + 'static) -> Answer {
    twisted(log, say, |_| {})
}

/// The same, with the proof changed.
fn twisted(
    log: &Log,
    say: impl Fn(Receipt) -> EventKind + Send + Sync + 'static,
    twist: impl Fn(&mut pb::Proof) + Send + Sync + 'static,
) -> Answer {
    let log = log.clone();
    Arc::new(move |offer| {
        let at = "2016-08-08T09:01:00+07:00".parse().unwrap();
        let mut proof = log.lock().unwrap().prove(at, say(Receipt::of(offer))).to_wire();
        twist(&mut proof);
        Some(Outcome::Receipt(proof))
    })
}

/// Node a, and c as it is played: honest, until it is told otherwise.
struct Stage {
    net: TestNet,
    a: Client,
    log: Log,
    fake: FakePeer,
    sent: u32,
}

impl Stage {
    async fn set() -> Stage {
        let net = TestNet::running(&["a"]).await;
        let a = net.dms("a").await;
        let log = Arc::new(Mutex::new(net.hand_log("c")));
        let fake = FakePeer::start(&net, "c", answer(&log, Receipt::received)).await;
        Stage { net, a, log, fake, sent: 0 }
    }

    /// A document for the ministry on node c.
    async fn send(&mut self) -> bytes::Bytes {
        self.sent += 1;
        let doc = self.net.document("H01.1", &["G01"], &self.sent.to_string());
        self.a.deliver(&doc).await.remove(0)
    }

    /// An honest receipt settles a delivery.
    async fn honest(&mut self) -> bytes::Bytes {
        self.fake.answers(answer(&self.log, Receipt::received));
        let id = self.send().await;
        self.a.wait_for(&id, pb::DeliveryState::Delivered).await;
        id
    }

    /// The lie settles nothing, the queue says why, and after it the delivery comes to its end.
    async fn lie(&mut self, lie: Answer, said: &str) {
        let settled = self.net.events("a", "settled").await.len();
        self.fake.answers(lie);
        let id = self.send().await;
        eventually(&format!("the queue says `{said}`"), || async {
            let queue = self.net.queue("a", "c").await;
            assert_eq!(queue.waiting, 1, "it was settled by a lie: {said}");
            queue.last_error.contains(said).then_some(())
        })
        .await;
        assert_eq!(self.a.track(&id).await.unwrap().state(), pb::DeliveryState::Queued);
        assert_eq!(self.net.events("a", "settled").await.len(), settled);
        self.fake.answers(answer(&self.log, Receipt::received));
        self.a.wait_for(&id, pb::DeliveryState::Delivered).await;
    }
}

#[tokio::test]
async fn a_valid_proof_of_something_else_settles_nothing() {
    let mut stage = Stage::set().await;
    let before = stage.honest().await;
    let log = stage.log.clone();
    // The receipt of the delivery before, once more.
    let offer = stage.fake.offers().remove(0);
    assert_eq!(Receipt::of(&offer).item.delivery_id.as_bytes(), &before[..]);
    let old = answer(&log, move |_| Receipt::of(&offer).received());
    stage.lie(old, &format!("bad_proof: it is about delivery {}", hex::encode(&before))).await;
    let envelope = answer(&log, |mut r| {
        r.item.envelope_digest = Hash([9; 32]);
        r.received()
    });
    stage.lie(envelope, "bad_proof: it names envelope 0909").await;
    let content = answer(&log, |mut r| {
        r.content_digests[0] = Hash([9; 32]);
        r.received()
    });
    stage.lie(content, "bad_proof: it names other content").await;
    let less = answer(&log, |mut r| {
        r.content_digests.pop();
        r.received()
    });
    stage.lie(less, "bad_proof: it names other content").await;
    let index = answer(&log, |mut r| {
        r.origin.index += 1;
        r.received()
    });
    stage.lie(index, "bad_proof: it answers event").await;
    let leaf = answer(&log, |mut r| {
        r.origin.leaf_hash = Hash([9; 32]);
        r.received()
    });
    stage.lie(leaf, "bad_proof: it answers event").await;
    stage.net.finish().await;
}

#[tokio::test]
async fn a_proof_of_another_kind_of_event_or_a_refusal_of_something_else_settles_nothing() {
    let mut stage = Stage::set().await;
    let log = stage.log.clone();
    let fetched = answer(&log, |r| EventKind::Fetched { delivery_id: r.item.delivery_id });
    stage.lie(fetched, "bad_proof: it proves a `fetched` event").await;
    // c's refusal of another envelope is no refusal of this one.
    let refused = answer(&log, |mut r| {
        r.item.envelope_digest = Hash([9; 32]);
        r.refused(Reason::Expired)
    });
    stage.lie(refused, "bad_proof: it names envelope").await;
    let other = answer(&log, |mut r| {
        r.content_digests[0] = Hash([9; 32]);
        r.refused(Reason::Expired)
    });
    stage.lie(other, "bad_proof: it names other content").await;
    // The origin's own proof, given back.
    let echo: Answer = Arc::new(|offer| Some(Outcome::Receipt(offer.origin.clone().unwrap())));
    stage.lie(echo, "bad_proof: log `a/log/1` is not one of the peer's").await;
    // An answer that gives no known reason.
    let retry = pb::Retry { reason: "no_such_reason".into(), message: "x".into(), retry_after_ms: 0 };
    let nonsense: Answer = Arc::new(move |_| Some(Outcome::Retry(retry.clone())));
    stage.lie(nonsense, "internal: x").await;
    stage.net.finish().await;
}

#[tokio::test]
async fn a_proof_by_another_nodes_log_or_key_settles_nothing() {
    let mut stage = Stage::set().await;
    // Node b's log, with b's real key: it receives nothing for node c.
    let of_b = Arc::new(Mutex::new(stage.net.hand_log("b")));
    stage.lie(answer(&of_b, Receipt::received), "bad_proof: log `b/log/1` is not one of the peer's").await;
    // c's log by its name, and b's key.
    let key = read_pkcs8(&stage.net.config("b").log_key).unwrap();
    let signer = NoteSigner::from_pkcs8(&name("c").log_origin(1), &key).unwrap();
    let mixed = Arc::new(Mutex::new(HandLog::new(signer)));
    stage.lie(answer(&mixed, Receipt::received), "bad_proof").await;
    // A generation that is not listed.
    let key = read_pkcs8(&stage.net.config("c").log_key).unwrap();
    let signer = NoteSigner::from_pkcs8(&name("c").log_origin(2), &key).unwrap();
    let next = Arc::new(Mutex::new(HandLog::new(signer)));
    stage.lie(answer(&next, Receipt::received), "bad_proof: log `c/log/2` is not one of the peer's").await;
    stage.net.finish().await;
}

#[tokio::test]
async fn a_proof_that_does_not_hold_settles_nothing() {
    let mut stage = Stage::set().await;
    stage.honest().await;
    let log = stage.log.clone();
    type Twist = fn(&mut pb::Proof);
    let twists: [Twist; 7] = [
        |p| p.leaf = [&p.leaf[..], b"x"].concat().into(),
        |p| p.path = vec![vec![9; 32].into(); p.path.len()],
        |p| p.path = vec![vec![9; 31].into()],
        |p| p.path = vec![vec![9; 32].into(); 10_000],
        |p| p.index = u64::MAX,
        |p| p.checkpoint = p.checkpoint.replacen('\n', "\n9", 1),
        |p| {
            *p =
                pb::Proof { leaf: vec![0xff; 60_000].into(), checkpoint: "\u{1F4A3}".repeat(99), ..p.clone() }
        },
    ];
    for twist in twists {
        stage.lie(twisted(&log, Receipt::received, twist), "bad_proof").await;
    }
    stage.net.finish().await;
}

#[tokio::test]
async fn a_peer_that_never_answers_or_only_lies_changes_nothing_for_the_others() {
    let mut net = TestNet::running(&["a", "b"]).await;
    let a = net.dms("a").await;
    let silent: Answer = Arc::new(|_| None);
    let fake = FakePeer::start(&net, "c", silent).await;
    for (i, answer) in [None, Some(Outcome::Receipt(pb::Proof::default()))].into_iter().enumerate() {
        fake.answers(Arc::new(move |_| answer.clone()));
        let doc = net.document("H01.1", &["G01", "H01.22", "H01.2"], &i.to_string());
        let ids = a.deliver(&doc).await;
        for id in &ids[1..] {
            a.wait_for(id, pb::DeliveryState::Delivered).await;
        }
        assert_eq!(a.track(&ids[0]).await.unwrap().state(), pb::DeliveryState::Queued);
    }
    eventually("both were offered", || async { (fake.offers().len() >= 2).then_some(()) }).await;
    // It goes, and the true c comes: what was in flight is delivered.
    drop(fake);
    net.start("c").await;
    eventually("both arrive", || async {
        (net.dms("c").await.inbox("G01").await.unwrap().len() == 2).then_some(())
    })
    .await;
    net.finish().await;
}

#[tokio::test]
async fn a_peer_that_claims_anothers_name_or_speaks_no_protocol_is_offered_nothing() {
    let mut net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let silent: Answer = Arc::new(|_| None);
    let failure = async |net: &TestNet, said: &str| {
        eventually(&format!("the queue says `{said}`"), || async {
            net.queue("a", "b").await.last_error.contains(said).then_some(())
        })
        .await;
    };
    // At b's address, node c with its own certificate.
    let first = FakePeer::start_as(&net, "b", net.config("c"), silent.clone()).await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    failure(&net, "peer_unreachable").await;
    assert_eq!(first.offers(), []);
    drop(first);
    // Node c with a certificate that is good for b's host name: its URI still names c.
    let mut config = net.config("c").clone();
    let files = net.path("odd");
    net.certify("network-ca", "lienthong-node://test/c", &["b"], &files);
    (config.certificate, config.key) = (super::common::pem(&files), super::common::key(&files));
    let second = FakePeer::start_as(&net, "b", &config, silent).await;
    failure(&net, "has the certificate of").await;
    assert_eq!(second.offers(), []);
    drop(second);
    // Something that is no node at all.
    let address = net.config("b").listen_peers;
    let listener =
        eventually("the port is free", || async { tokio::net::TcpListener::bind(address).await.ok() }).await;
    let (tried, mut tries) = tokio::sync::mpsc::channel(1);
    let noise = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(&[0x5a; 10_000]).await;
            let _ = tried.try_send(());
        }
    });
    tries.recv().await.unwrap();
    failure(&net, "peer_unreachable").await;
    assert_eq!(a.track(&id).await.unwrap().state(), pb::DeliveryState::Queued);
    noise.abort();
    let _ = noise.await;
    net.start("b").await;
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    net.finish().await;
}
