//! Who asks for what is not its own gets nothing, and what does not hold is not taken back.

use std::sync::Arc;

use bytes::Bytes;
use lienthong::domain::EventKind;
use lienthong::merkle::NoteSigner;
use lienthong::rpc::tls::read_pkcs8;
use lienthong::wire::pb;
use lienthong::wire::pb::deliver_response::Outcome;

use super::common::log::{HandLog, place};
use super::common::peer::{Calling, FakePeer};
use super::common::{eventually, name};
use super::world::{deliver, list_next, lose, name_next, recovered, running};

/// The reason for which a question is not answered.
async fn turned_away(calling: &mut Calling, logs: &[&str], again: bool) -> String {
    let logs = logs.iter().map(|log| pb::LostLog { log: (*log).to_owned(), kept: 0 }).collect();
    let ask = pb::witness_ask::Ask::Lost(pb::LostAsk { logs, from: 0, again });
    let ask = Some(pb::WitnessAsk { ask: Some(ask) });
    match calling.offer(pb::DeliverRequest { ask, ..pb::DeliverRequest::default() }).await.unwrap() {
        Outcome::Retry(retry) => retry.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_node_itself_is_told_and_only_when_the_directory_lists_a_later_log() {
    let mut net = running().await;
    deliver(&net, "b", "H01.22", "H01.1", "1").await;
    deliver(&net, "a", "H01.1", "H01.22", "2").await;
    net.stop("b").await;
    net.stop("c").await;
    let (mut of_b, mut of_c) = (net.calling("b", "a").await, net.calling("c", "a").await);
    let before = net.traces().await;
    for again in [false, true] {
        // Not while its log goes on, and never by another.
        assert_eq!(turned_away(&mut of_b, &["b/log/1"], again).await, "directory_behind");
        for log in ["b/log/1", "c/log/1", "a/log/1", "c", ""] {
            let said = turned_away(&mut of_c, &[log], again).await;
            assert!(["directory_behind", "bad_proof"].contains(&said.as_str()), "{log}: {said}");
        }
        assert_eq!(turned_away(&mut of_b, &[], again).await, "too_many");
    }
    assert_eq!(net.traces().await, before);
    assert!(net.events("a", "sent_again").await.is_empty());
    drop((of_b, of_c));
    // A node that lost nothing takes no receipt of a lost log.
    net.start("c").await;
    let id = deliver(&net, "c", "G01", "H01.1", "3").await;
    let receipt = {
        let exchange = net.node("a").exchange().clone();
        let (index, _) = net.events("a", "received").await.pop().unwrap();
        exchange.ledger().prove(index, &exchange.ledger().snapshot()).unwrap()
    };
    net.dms("c").await.track(&id).await.unwrap();
    let sent = net.node("c").exchange().clone();
    let (index, submitted) = net.events("c", "submitted").await.pop().unwrap();
    let origin = sent.ledger().prove(index, &sent.ledger().snapshot()).unwrap();
    drop(sent);
    let mut unknown = pb::DeliverRequest {
        envelope: Bytes::from_static(b"no envelope"),
        origin: Some(origin.to_wire()),
        lost_receipt: Some(receipt.to_wire()),
        ..pb::DeliverRequest::default()
    };
    let mut calling = net.calling("c", "a").await;
    let answer = calling.offer(unknown.clone()).await.unwrap();
    assert!(matches!(answer, Outcome::Retry(_)), "{answer:?}");
    // With its own envelope it is known, and gets the same answer, whatever is said beside.
    let digest = submitted.kind.item().unwrap().envelope_digest;
    let exchange = net.node("c").exchange().clone();
    unknown.envelope = exchange.ledger().content().get(&digest).unwrap().unwrap();
    drop(exchange);
    assert!(matches!(calling.offer(unknown).await.unwrap(), Outcome::Receipt(_)));
    assert!(net.events("a", "returned").await.is_empty());
    drop(calling);
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_says_of_a_lost_log_is_taken_only_where_every_proof_holds() {
    let mut net = running().await;
    deliver(&net, "b", "H01.22", "G01", "1").await;
    let submitted = net.events("b", "submitted").await.pop().unwrap().1;
    let received = net.events("c", "received").await.pop().unwrap().1.kind;
    let key = read_pkcs8(&net.config("b").log_key).unwrap();
    let lost = || HandLog::new(NoteSigner::from_pkcs8("b/log/1", &key).unwrap());
    net.kill("b");
    net.kill("c");
    lose(&net, "b").await;
    name_next(&mut net, "b");
    list_next(&net, "b");
    lienthong::cli::recover::recover(net.config("b"), None, net.now()).await.unwrap().unwrap();
    let answering = |log: &mut HandLog, to: lienthong::domain::event::LogRef| {
        let EventKind::Received { item, content_digests, verdicts, judged, held, origin_proof, peer, .. } =
            received.clone()
        else {
            panic!("{received:?}");
        };
        let kind = EventKind::Received {
            item,
            content_digests,
            verdicts,
            judged,
            held,
            origin: to,
            origin_proof,
            peer,
        };
        log.prove(submitted.at, kind)
    };
    let mut of_c = net.hand_log("c");
    let right = lost().prove(submitted.at, submitted.kind.clone());
    // Signed by another key than the lost log's.
    let wrong_key = net.hand_log("b").prove(submitted.at, submitted.kind.clone());
    // Another event of the lost log than a submission.
    let no_submission = lost().prove(submitted.at, received.clone());
    let good = answering(&mut of_c, place(&right));
    let other = {
        let mut elsewhere = place(&right);
        elsewhere.index += 1;
        answering(&mut of_c, elsewhere)
    };
    let own = lost().prove(submitted.at, received.clone());
    let delivery = |origin: &lienthong::wire::proof::Proof, answer: &lienthong::wire::proof::Proof| {
        let (origin, answer) = (Some(origin.to_wire()), Some(answer.to_wire()));
        pb::LostDelivery { envelope: Bytes::new(), origin, answer }
    };
    let wrong_envelope =
        pb::LostDelivery { envelope: Bytes::from_static(b"another"), ..delivery(&right, &good) };
    let deliveries = vec![
        delivery(&wrong_key, &good),
        delivery(&no_submission, &good),
        delivery(&right, &other),
        delivery(&right, &own),
        wrong_envelope,
        delivery(&right, &good),
        delivery(&right, &good),
    ];
    let played = FakePeer::start(&net, "c", Arc::new(|_| None)).await;
    played.replies(Arc::new(move |ask| match ask.ask {
        Some(pb::witness_ask::Ask::Lost(ask)) => {
            let deliveries = if ask.again { Vec::new() } else { deliveries.clone() };
            let page = pb::LostReply { deliveries, next: 7, done: true, sent_again: 0 };
            Outcome::Reply(pb::WitnessReply { reply: Some(pb::witness_reply::Reply::Lost(page)) })
        }
        _ => Outcome::Retry(pb::Retry { reason: "unimplemented".into(), ..Default::default() }),
    }));
    net.start("b").await;
    recovered(&mut net, "b", &["c"]).await;
    let exchange = net.node("b").exchange().clone();
    eventually("the one that holds came back, once", || async {
        let taken = exchange.recovery().standings()[&name("c")].recovered;
        (taken == 1 && net.events("b", "recovered").await.len() == 1).then_some(())
    })
    .await;
    drop((exchange, played));
    for node in ["a", "b"] {
        net.stop(node).await;
    }
}
