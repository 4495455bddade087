//! What status and metrics say, and to whom.

use std::collections::BTreeMap;

use lienthong::wire::{failure, pb};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::common::{TestNet, eventually};

#[tokio::test]
async fn status_shows_queues_by_peer_and_the_oldest_delivery_that_waits() {
    let net = TestNet::running(&["a"]).await;
    let dms = net.dms("a").await;
    let first = dms.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    let flash = net.document("H01.1", &["H01.22"], "2").with(|m| m.urgency = pb::Urgency::Flash.into());
    dms.deliver(&flash).await;
    dms.deliver(&net.document("H01.1", &["G01"], "3")).await;
    let queue = eventually("both queues were tried", || async {
        let queues = net.status("a").await.queues;
        let tried = queues.iter().filter(|q| !q.last_error.is_empty()).count();
        (tried == 2).then(|| queues.into_iter().find(|q| q.peer == "b").unwrap())
    })
    .await;
    assert_eq!((queue.waiting, queue.waiting_by_urgency.clone()), (2, vec![1, 0, 0, 1]));
    // The flash message goes first, and the other is the older.
    assert_eq!(queue.oldest_delivery, first);
    assert_eq!(queue.oldest_reason, "peer_unreachable");
    let status = net.status("a").await;
    assert!(status.free_bytes > 0 && status.memory_bytes > 0, "{status:?}");
    assert_eq!(status.pressure, "normal");
    net.finish().await;
}

#[tokio::test]
async fn status_is_for_operators_of_the_node() {
    let net = TestNet::running(&["a"]).await;
    for (client, allowed) in
        [("admin", true), ("dms", true), ("one", false), ("auditor", false), ("operator", false)]
    {
        let client = net.client("a", client).await;
        let answer = client.node.audit().get_status(pb::GetStatusRequest {}).await;
        match answer {
            Ok(_) => assert!(allowed),
            Err(status) => {
                assert!(!allowed, "{status:?}");
                assert_eq!(failure::read_status(&status).reason.code(), "not_allowed");
            }
        }
    }
    net.finish().await;
}

/// All metrics of a node.
pub async fn metrics_of(address: std::net::SocketAddr) -> String {
    get(address, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await
}

/// One request, and the whole answer.
async fn get(address: std::net::SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn metrics_are_served_in_the_text_form_and_each_stands_in_the_operations_guide() {
    let mut net = TestNet::new();
    net.configure("a", |config| config.metrics = Some("127.0.0.1:0".parse().unwrap()));
    net.start("a").await;
    net.start("b").await;
    assert_eq!(net.node("b").metrics_address(), None, "off unless it is configured");
    let address = net.node("a").metrics_address().unwrap();
    let dms = net.dms("a").await;
    let id = dms.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    dms.deliver(&net.document("H01.1", &["G01"], "2")).await;
    dms.inbox("H01.7").await.unwrap_err();

    let answer = metrics_of(address).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/plain; version=0.0.4"), "{head}");
    let mut samples = BTreeMap::new();
    let mut described = BTreeMap::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(described.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
            assert!(samples.insert(sample.to_owned(), value).is_none(), "{sample} twice");
            let name = sample.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let known = described.contains_key(name)
                || family.is_some_and(|f| described.get(f).is_some_and(|kind| kind == "histogram"));
            assert!(known, "{line} has no TYPE before it");
        }
    }
    assert_eq!(samples["lienthong_queue_waiting{peer=\"c\",urgency=\"normal\"}"], 1.0);
    assert!(samples["lienthong_commit_seconds_count"] >= 3.0);
    assert_eq!(
        samples["lienthong_commit_seconds_bucket{le=\"+Inf\"}"],
        samples["lienthong_commit_seconds_count"]
    );
    assert_eq!(samples["lienthong_refusals_total{listener=\"clients\",reason=\"unknown_agency\"}"], 1.0);
    assert!(samples["lienthong_disk_free_bytes"] > 0.0 && samples["lienthong_memory_bytes"] > 0.0);
    assert!(samples.contains_key("lienthong_clock_offset_seconds{peer=\"b\"}"), "{samples:#?}");
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md")).unwrap();
    for name in described.keys() {
        assert!(guide.contains(&format!("`{name}`")), "{name} is not in docs/OPERATIONS.md");
    }
    // Nothing else is there, and nothing can be sent.
    assert!(get(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.contains(" 404 "));
    let post = "POST /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert!(get(address, post).await.contains(" 405 "));
    net.finish().await;
}
