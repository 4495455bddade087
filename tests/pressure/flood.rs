//! One client that wants everything is refused for itself; another's calls all succeed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lienthong::config::Share;
use lienthong::wire::{failure, pb};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic_types::StatusExt as _;

use super::common::client::Client;
use super::common::{TestNet, eventually};
use super::shown::metrics_of;

/// The normal time limit of a call.
const CALL: Duration = Duration::from_secs(30);
const SHARE: Share = Share { connections: 4, streams: 12, documents: 6, bytes: 8 << 20 };

async fn stage() -> TestNet {
    let mut net = TestNet::new();
    net.configure("a", |config| config.client_share = SHARE);
    net.start("a").await;
    net
}

/// An upload that begins and never goes on.
async fn hang(net: &TestNet, client: &Client, number: usize) -> mpsc::Sender<pb::SendRequest> {
    let doc = net.document_of("H01.1", &["H01.2"], &number.to_string(), vec![b'x'; 300_000]);
    let (sender, receiver) = mpsc::channel(4);
    for message in doc.messages().into_iter().take(2) {
        sender.send(message).await.unwrap();
    }
    let mut exchange = client.node.exchange();
    tokio::spawn(async move { exchange.send(ReceiverStream::new(receiver)).await.map(|_| ()) });
    sender
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_one_client_is_shed_for_that_client_alone() {
    let net = Arc::new(stage().await);
    let stop = Arc::new(AtomicBool::new(false));
    let (refused, other) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut flood = Vec::new();
    // Many streams over several connections, each with big messages, again and again.
    for n in 0..SHARE.connections {
        let client = net.client("a", "one").await;
        for m in 0..16 {
            let (client, stop) = (client.clone(), stop.clone());
            let (refused, other) = (refused.clone(), other.clone());
            let number = (100 * n + m).to_string();
            let doc = net.document_of("H01.1", &["H01.2"], &number, vec![b'f'; 900_000]);
            flood.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    match client.send(&doc).await {
                        Ok(_) => {}
                        Err(status) if failure::read_status(&status).reason.code() == "overloaded" => {
                            assert!(status.get_error_details().retry_info().is_some(), "{status:?}");
                            refused.fetch_add(1, Ordering::Relaxed);
                            // An impolite client: it does not wait as long as it is told to.
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        Err(_) => {
                            other.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            }));
        }
    }
    while refused.load(Ordering::Relaxed) < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Everyone else notices nothing but a busy machine.
    let dms = net.dms("a").await;
    let mut slowest = Duration::ZERO;
    for number in 0..30 {
        let began = Instant::now();
        let doc = net.document("H01.21", &["H01.2"], &format!("9{number}"));
        let sent = tokio::time::timeout(CALL, dms.send(&doc)).await.expect("in time").unwrap();
        assert_eq!(sent.results[0].problem, None);
        let inbox = tokio::time::timeout(CALL, dms.inbox("H01.2")).await.expect("in time");
        inbox.unwrap();
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < CALL / 3, "a send and a look took {slowest:?}");
    let counted = net.status("a").await;
    assert!(counted.client_connections as usize <= SHARE.connections + 2, "{counted:?}");
    stop.store(true, Ordering::Relaxed);
    for task in flood {
        task.await.unwrap();
    }
    assert_eq!(other.load(Ordering::Relaxed), 0, "the flood was refused in other ways");
    Arc::into_inner(net).unwrap().finish().await;
}

#[tokio::test]
async fn documents_and_calls_of_one_client_have_a_bound_over_all_its_connections() {
    let mut net = TestNet::new();
    net.configure("a", |config| {
        config.client_share = SHARE;
        config.metrics = Some("127.0.0.1:0".parse().unwrap());
    });
    net.start("a").await;
    let metrics = net.node("a").metrics_address().unwrap();
    let (first, second) = (net.client("a", "one").await, net.client("a", "one").await);
    let mut hanging = Vec::new();
    for n in 0..SHARE.documents {
        hanging.push(hang(&net, if n % 2 == 0 { &first } else { &second }, n + 1).await);
    }
    let overloaded = |status: &tonic::Status| {
        let rejection = failure::read_status(status);
        assert_eq!(rejection.reason.code(), "overloaded", "{status:?}");
        assert!(
            rejection.message.contains("`one` has") && rejection.message.contains("share"),
            "{rejection}"
        );
        status.get_error_details().retry_info().unwrap().retry_delay.unwrap()
    };
    let doc = net.document("H01.1", &["H01.2"], "77");
    let all = format!("lienthong_documents_under_way{{listener=\"clients\"}} {}\n", SHARE.documents);
    eventually("all of them are under way", || async {
        metrics_of(metrics).await.contains(&all).then_some(())
    })
    .await;
    let status = second.send(&doc).await.unwrap_err();
    assert_eq!(overloaded(&status), Duration::from_secs(1));
    let many = second.send_many(vec![doc.bulk()]).await.remove(0);
    let Some(pb::send_many_response::Outcome::Problem(problem)) = many.outcome else { panic!("{many:?}") };
    assert_eq!((problem.reason.as_str(), problem.retry_after_ms), ("overloaded", 1_000));
    // Calls: those that hang and watches, up to the share.
    let mut watches = Vec::new();
    for _ in SHARE.documents..SHARE.streams {
        watches.push(first.node.exchange().watch(pb::WatchRequest::default()).await.unwrap());
    }
    let status = second.inbox("H01.1").await.unwrap_err();
    overloaded(&status);
    // Another client of the same agencies is not concerned.
    let dms = net.dms("a").await;
    dms.deliver(&net.document("H01.1", &["H01.2"], "78")).await;
    // What ends gives its place back.
    drop((hanging, watches));
    eventually("there is room again", || async { second.send(&doc).await.ok() }).await;
    net.finish().await;
}

#[tokio::test]
async fn connections_of_one_client_have_a_bound_and_others_connect() {
    let net = stage().await;
    let mut open = Vec::new();
    for _ in 0..SHARE.connections {
        let client = net.client("a", "one").await;
        client.inbox("H01.1").await.unwrap();
        open.push(client);
    }
    // One more is closed before it is served.
    if let Ok(client) = net.try_client("a", &net.client_files("a", "one")).await {
        assert!(client.inbox("H01.1").await.is_err());
    }
    net.dms("a").await.inbox("H01.1").await.unwrap();
    open.pop();
    eventually("a place is free", || async {
        let client = net.try_client("a", &net.client_files("a", "one")).await.ok()?;
        client.inbox("H01.1").await.ok()
    })
    .await;
    net.finish().await;
}

#[tokio::test]
async fn bytes_that_arrive_and_are_no_whole_message_are_counted_too() {
    let mut net = TestNet::new();
    let share = Share { bytes: 1 << 20, ..SHARE };
    net.configure("a", |config| config.client_share = share);
    net.start("a").await;
    let client = net.client("a", "one").await;
    // A message of 3 MiB is allowed in itself; this client may have 1 MiB in memory.
    let mut doc = net.document("H01.1", &["H01.2"], "1");
    doc.header.metadata.as_mut().unwrap().summary = "x".repeat(3 << 20);
    let status = client.send(&doc).await.unwrap_err();
    let rejection = failure::read_status(&status);
    assert_eq!(rejection.reason.code(), "overloaded", "{status:?}");
    assert!(rejection.message.contains("arriving"), "{rejection}");
    // Nothing of it is left.
    let doc = net.document("H01.1", &["H01.2"], "2");
    client.deliver(&doc).await;
    net.finish().await;
}
