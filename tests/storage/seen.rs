//! While a sync of the journal stalls, nobody outside the node sees anything of the pending commit either: not the
//! systems (watch, inbox, track, fetch, ratios, status), not the peers (answers to `Deliver`, hello, consistency).

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use lienthong::wire::pb;
use tonic::Code;

use super::common::client::Client;
use super::common::document::Doc;
use super::common::{TestNet, eventually};
use super::visible::Gate;

/// How often everything is looked at while the sync stalls.
const ROUNDS: usize = 10;

/// Everything that can be seen of a node without changing it, as text.
async fn seen(net: &TestNet, node: &str, other: &str) -> Vec<String> {
    let admin = net.client(node, "admin").await;
    let dms = net.dms(node).await;
    let mut all = Vec::new();
    let mut audit = admin.node.audit();
    let checkpoint = audit.get_checkpoint(pb::GetCheckpointRequest {}).await.unwrap().into_inner();
    all.push(checkpoint.checkpoint.clone());
    let size: u64 = checkpoint.checkpoint.lines().nth(1).unwrap().parse().unwrap();
    let status = net.status(node).await;
    assert_eq!((status.log_size, &status.checkpoint), (size, &checkpoint.checkpoint));
    all.push(format!("held {}", status.held));
    all.extend(status.queues.iter().map(|q| format!("{}: {} wait", q.peer, q.waiting)));
    assert!(audit.get_event(pb::GetEventRequest { index: size }).await.is_err());
    assert!(audit.prove_event(pb::ProveEventRequest { index: size }).await.is_err());
    assert_eq!(net.events(node, "").await.len() as u64, size);
    let ratios = admin.node.report().get_ratios(pb::GetRatiosRequest::default()).await.unwrap().into_inner();
    all.push(format!("{:?}", ratios.rows));
    assert_eq!(ratios.checkpoint, checkpoint.checkpoint);
    for agency in net.hosted(node) {
        all.extend(dms.inbox(&agency).await.unwrap().iter().map(|i| format!("{agency}: {i:?}")));
    }
    all.extend(dms.told(&[], "").await.unwrap().iter().map(|i| format!("{i:?}")));
    // What a peer may ask: the newest checkpoint, and no proof of a larger log.
    let mut peer = net.calling(other, node).await.peer;
    let hello = peer.hello(pb::HelloRequest::default()).await.unwrap().into_inner();
    assert_eq!(hello.checkpoint, checkpoint.checkpoint);
    assert!(peer.consistency(pb::ConsistencyRequest { from: 1, to: size + 1 }).await.is_err());
    all
}

/// What a client's open `Watch` brought so far.
async fn watching(client: &Client) -> Arc<Mutex<Vec<pb::WatchResponse>>> {
    let mut items = client.node.exchange().watch(pb::WatchRequest::default()).await.unwrap().into_inner();
    let came = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn({
        let came = came.clone();
        async move {
            while let Ok(Some(item)) = items.message().await {
                came.lock().unwrap().push(item);
            }
        }
    });
    came
}

/// The journal of a node of the network on a gate.
async fn stage(gated: &str) -> (TestNet, Gate) {
    let mut net = TestNet::new();
    let gate = Gate::default();
    for node in ["a", "b"] {
        if node == gated {
            net.start_on(node, Arc::new(gate.clone())).await;
        } else {
            net.start(node).await;
        }
    }
    // One document has gone both ways before: there are folds, and the nodes have connections.
    let dms = net.dms("a").await;
    let id = dms.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    let b = net.dms("b").await;
    b.fetch("H01.22", &id).await.unwrap();
    b.acknowledge("H01.22", &id).await.unwrap();
    eventually("01 is there", || async { (dms.statuses(&id).await == [1]).then_some(()) }).await;
    quiet(&net).await;
    (net, gate)
}

/// Waits until nothing more is going to be committed by itself.
async fn quiet(net: &TestNet) {
    eventually("nothing waits anywhere", || async {
        let (a, b) = (net.queue("a", "b").await, net.queue("b", "a").await);
        (a.waiting == 0 && b.waiting == 0).then_some(())
    })
    .await;
}

/// Waits, off this thread, until the sync is reached.
async fn reached(at_sync: std::sync::mpsc::Receiver<()>) {
    tokio::task::spawn_blocking(move || at_sync.recv().unwrap()).await.unwrap();
}

fn document_of(doc: &Doc) -> pb::TrackRequest {
    let metadata = doc.header.metadata.clone().unwrap();
    let document = pb::DocumentRef {
        agency: doc.header.sender.clone(),
        number: metadata.number,
        notation: metadata.notation,
        year: 2016,
    };
    pb::TrackRequest { delivery_id: Bytes::new(), document: Some(document) }
}

#[tokio::test]
async fn a_submission_that_is_not_durable_is_told_to_nobody_and_goes_nowhere() {
    let (net, gate) = stage("a").await;
    let dms = net.dms("a").await;
    let doc = net.document("H01.1", &["H01.22"], "2");
    let (before, there) = (seen(&net, "a", "b").await, seen(&net, "b", "a").await);
    let (at_sync, release) = gate.arm();
    let sending = tokio::spawn({
        let (dms, doc) = (dms.clone(), doc.clone());
        async move { dms.deliver(&doc).await.remove(0) }
    });
    reached(at_sync).await;
    for _ in 0..ROUNDS {
        assert_eq!(seen(&net, "a", "b").await, before);
        assert_eq!(seen(&net, "b", "a").await, there);
        let tracked = dms.node.exchange().track(document_of(&doc)).await;
        assert_eq!(tracked.unwrap_err().code(), Code::NotFound);
        assert!(!sending.is_finished(), "answered before it is durable");
    }
    release.send(Ok(())).unwrap();
    let id = sending.await.unwrap();
    assert_eq!(dms.node.exchange().track(document_of(&doc)).await.unwrap().into_inner().deliveries.len(), 1);
    dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    assert_ne!(seen(&net, "a", "b").await, before);
    net.finish().await;
}

#[tokio::test]
async fn an_arrival_that_is_not_durable_is_neither_told_nor_answered() {
    let (net, gate) = stage("b").await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let (came_a, came_b) = (watching(&a).await, watching(&b).await);
    let told = b.told(&[], "").await.unwrap().len();
    eventually("the watch is up to date", || async { (came_b.lock().unwrap().len() == told).then_some(()) })
        .await;
    let before = seen(&net, "b", "a").await;
    let told_a = a.told(&[], "").await.unwrap();
    let (at_sync, release) = gate.arm();
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "2")).await.remove(0);
    reached(at_sync).await;
    let ratios_a = seen(&net, "a", "b").await;
    for _ in 0..ROUNDS {
        assert_eq!(seen(&net, "b", "a").await, before);
        for refused in [b.fetch("H01.22", &id).await.map(|_| ()), b.track(&id).await.map(|_| ())] {
            assert_eq!(refused.unwrap_err().code(), Code::NotFound);
        }
        assert_eq!(b.acknowledge("H01.22", &id).await.unwrap_err().code(), Code::NotFound);
        // The peer has no answer: it waits, and its system is told nothing of a delivery.
        let view = a.track(&id).await.unwrap();
        assert_eq!((view.state(), view.settled_at), (pb::DeliveryState::Queued, 0));
        assert_eq!(a.told(&[], "").await.unwrap(), told_a);
        assert_eq!(seen(&net, "a", "b").await, ratios_a);
    }
    assert_eq!(came_b.lock().unwrap().len(), told);
    assert_eq!(*came_a.lock().unwrap(), told_a);
    release.send(Ok(())).unwrap();
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    for (came, kind) in [(&came_b, pb::WatchKind::Arrived), (&came_a, pb::WatchKind::Delivered)] {
        eventually("it is told now", || async {
            came.lock().unwrap().last().is_some_and(|i| i.kind() == kind && i.delivery_id == id).then_some(())
        })
        .await;
    }
    b.fetch("H01.22", &id).await.unwrap();
    net.finish().await;
}

#[tokio::test]
async fn an_acknowledgement_that_is_not_durable_leaves_the_inbox_and_the_sender_as_they_were() {
    let (net, gate) = stage("b").await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "2")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    b.fetch("H01.22", &id).await.unwrap();
    quiet(&net).await;
    let (before, there) = (seen(&net, "b", "a").await, seen(&net, "a", "b").await);
    let (at_sync, release) = gate.arm();
    let pending = tokio::spawn({
        let (b, id) = (b.clone(), id.clone());
        async move { b.acknowledge("H01.22", &id).await.unwrap() }
    });
    reached(at_sync).await;
    for _ in 0..ROUNDS {
        assert_eq!(seen(&net, "b", "a").await, before);
        assert_eq!(seen(&net, "a", "b").await, there);
        assert!(b.statuses(&id).await.is_empty() && a.statuses(&id).await.is_empty());
        assert_eq!(b.inbox("H01.22").await.unwrap().len(), 1);
        assert!(!pending.is_finished());
    }
    release.send(Ok(())).unwrap();
    pending.await.unwrap();
    assert!(b.inbox("H01.22").await.unwrap().is_empty());
    eventually("01 arrives", || async { (a.statuses(&id).await == [1]).then_some(()) }).await;
    net.finish().await;
}
