//! A node that is asked to stop.

use std::time::Duration;

use lienthong::wire::{failure, pb};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::common::{TestNet, eventually};

fn reason(status: &tonic::Status) -> &'static str {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    failure::read_status(status).reason.code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_says_so_ends_streams_and_lets_calls_end() {
    let mut net = TestNet::running(&["a", "b"]).await;
    let dms = net.dms("a").await;
    let doc = net.document_of("H01.1", &["H01.2"], "1", vec![b'x'; 600_000]);
    let mut messages = doc.messages();
    let last = messages.pop().unwrap();
    // Under way: an upload, a watch, a bulk stream, and somebody who watches whether the node serves.
    let (upload, receiver) = mpsc::channel(8);
    for message in messages {
        upload.send(message).await.unwrap();
    }
    let sending = tokio::spawn({
        let mut exchange = dms.node.exchange();
        async move { exchange.send(ReceiverStream::new(receiver)).await }
    });
    let mut watch = dms.node.exchange().watch(pb::WatchRequest::default()).await.unwrap().into_inner();
    let (bulk, receiver) = mpsc::channel(8);
    bulk.send(net.document("H01.1", &["H01.2"], "2").bulk()).await.unwrap();
    let mut answers =
        dms.node.exchange().send_many(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let taken = answers.message().await.unwrap().unwrap();
    assert!(matches!(taken.outcome, Some(pb::send_many_response::Outcome::Sent(_))), "{taken:?}");
    let mut health = HealthClient::new(dms.node.channel());
    let all = HealthCheckRequest::default();
    let mut serving = health.watch(all.clone()).await.unwrap().into_inner();
    assert_eq!(serving.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    let admin = net.client("a", "admin").await;
    let before = admin.inbox("H01.1").await.unwrap_err();
    assert_eq!(failure::read_status(&before).reason.code(), "not_allowed");
    let stopping = net.begin_stop("a");
    // Told before anything ends.
    assert_eq!(serving.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(reason(&serving.message().await.unwrap_err()), "stopping");
    loop {
        match watch.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if that were all"),
            Err(status) => break assert_eq!(reason(&status), "stopping"),
        }
    }
    assert_eq!(reason(&answers.message().await.unwrap_err()), "stopping");
    // It still answers, also new connections, that it does not serve, and begins nothing.
    let again = net.dms("a").await;
    let answer = HealthClient::new(again.node.channel()).check(all).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::NotServing);
    let refused = again.send(&net.document("H01.1", &["H01.2"], "3")).await.unwrap_err();
    assert_eq!(reason(&refused), "stopping");
    assert!(!stopping.is_finished(), "the upload is under way");
    // What is under way ends, and is acknowledged.
    upload.send(last).await.unwrap();
    drop(upload);
    let sent = sending.await.unwrap().unwrap().into_inner().results.remove(0);
    assert_eq!(sent.problem, None);
    stopping.await.unwrap().unwrap();
    net.start("a").await;
    let dms = net.dms("a").await;
    let repeated = dms.send(&doc).await.unwrap().results.remove(0);
    assert_eq!((repeated.delivery_id, repeated.already_sent), (sent.delivery_id, true));
    let stops = net.events("a", "stopped").await;
    assert_eq!(stops.len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn a_call_that_never_ends_is_cut_off_when_its_time_is_over() {
    let mut net = TestNet::new();
    net.configure("a", |config| config.drain = Duration::from_millis(200));
    net.start("a").await;
    let dms = net.dms("a").await;
    let (upload, receiver) = mpsc::channel(8);
    let doc = net.document_of("H01.1", &["H01.2"], "1", vec![b'x'; 600_000]);
    upload.send(doc.messages().remove(0)).await.unwrap();
    let sending = tokio::spawn({
        let mut exchange = dms.node.exchange();
        async move { exchange.send(ReceiverStream::new(receiver)).await }
    });
    eventually("the call is under way", || async {
        let status = net.status("a").await;
        (status.client_connections > 0).then_some(())
    })
    .await;
    net.stop("a").await;
    let status = sending.await.unwrap().unwrap_err();
    assert!(!matches!(status.code(), Code::Ok | Code::InvalidArgument), "{status:?}");
    drop(upload);
    net.start("a").await;
    let sent = net.dms("a").await.send(&doc).await.unwrap().results.remove(0);
    assert!(!sent.already_sent);
    net.finish().await;
}

#[tokio::test]
async fn nodes_start_in_any_order_and_what_waits_goes_when_the_other_is_there() {
    let mut net = TestNet::running(&["b"]).await;
    let b = net.dms("b").await;
    let id = b.deliver(&net.document("H01.22", &["H01.1", "G01"], "1")).await;
    eventually("it was tried", || async { (!net.queue("b", "a").await.last_error.is_empty()).then_some(()) })
        .await;
    // The receiver's node comes later, another one last.
    net.start("a").await;
    b.wait_for(&id[0], pb::DeliveryState::Delivered).await;
    assert_eq!(b.track(&id[1]).await.unwrap().state(), pb::DeliveryState::Queued);
    net.start("c").await;
    b.wait_for(&id[1], pb::DeliveryState::Delivered).await;
    net.finish().await;
}
