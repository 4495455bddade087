//! What deliveries went through, as an OpenTelemetry collector gets it: a real one, real nodes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use common::{TestNet, eventually};
use lienthong::config::Traces;
use lienthong::wire::pb;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// A collector, and what it got: the node that says it, and the span.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for group in request.into_inner().resource_spans {
            let resource = attributes(&group.resource.unwrap().attributes);
            assert_eq!(resource["service.name"], "lienthong");
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let node = &resource["service.instance.id"];
            self.0.lock().unwrap().extend(spans.map(|span| (node.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn listen(&self, address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
        self.listen_by(Server::builder(), address).await
    }

    async fn listen_by(&self, mut server: Server, address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
        let bind = || async { TcpListener::bind(address).await.ok() };
        let listener = eventually("the collector's port is free", bind).await;
        let address = listener.local_addr().unwrap();
        let server = server.add_service(TraceServiceServer::new(self.clone()));
        let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
        (address, tokio::spawn(async move { serving.await.unwrap() }))
    }

    /// The spans of a delivery, when those of these names are there.
    async fn spans(&self, delivery: &[u8], names: &[(&str, &str)]) -> Vec<(String, Span)> {
        eventually(&format!("spans {names:?}"), || async {
            let mut spans = self.0.lock().unwrap().clone();
            spans.retain(|(_, span)| span.trace_id == delivery[..16]);
            let there = |(node, name): &(&str, &str)| spans.iter().any(|(n, s)| n == node && s.name == *name);
            names.iter().all(there).then_some(spans)
        })
        .await
    }
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    list.iter().map(|kv| (kv.key.clone(), text(kv.value.as_ref().unwrap().value.as_ref().unwrap()))).collect()
}

/// a and b, whose spans go to this address.
async fn traced(address: SocketAddr, percent: u8) -> TestNet {
    traced_to(Traces { otlp: format!("http://{address}"), ca: None, percent }).await
}

async fn traced_to(traces: Traces) -> TestNet {
    let mut net = TestNet::new();
    for node in ["a", "b"] {
        net.configure(node, |config| config.traces = Some(traces.clone()));
        net.start(node).await;
    }
    net
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_the_collector_must_have_a_certificate_of_the_configured_authority() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (right, wrong) = (Collector::default(), Collector::default());
    let free = "127.0.0.1:0".parse().unwrap();
    let server = || Server::builder().tls_config(ServerTlsConfig::new().identity(identity.clone())).unwrap();
    let (address, _serving) = right.listen_by(server(), free).await;
    let (unwanted, _serving) = wrong.listen_by(server(), free).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = |name: &str, pem: String| {
        std::fs::write(folder.path().join(name), pem).unwrap();
        Some(folder.path().join(name))
    };
    let (trusted, untrusted) = (ca("right.pem", made.cert.pem()), ca("other.pem", other.cert.pem()));
    for (address, ca) in [(unwanted, untrusted), (address, trusted)] {
        let net = traced_to(Traces { otlp: format!("https://{address}"), ca, percent: 100 }).await;
        let a = net.dms("a").await;
        let id = a.deliver(&net.document("H01.1", &["H01.2"], "1")).await.remove(0);
        a.wait_for(&id, pb::DeliveryState::Delivered).await;
        if address == unwanted {
            net.finish().await;
            assert!(wrong.0.lock().unwrap().is_empty());
        } else {
            right.spans(&id, &[("a", "send"), ("a", "accept")]).await;
            net.finish().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_spans_of_all_nodes_meet_in_the_trace_that_the_delivery_names() {
    let collector = Collector::default();
    let (address, _serving) = collector.listen("127.0.0.1:0".parse().unwrap()).await;
    let net = traced(address, 100).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let doc = net.document("H01.1", &["H01.22"], "8642");
    let id = a.deliver(&doc).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    b.fetch("H01.22", &id).await.unwrap();
    b.acknowledge("H01.22", &id).await.unwrap();
    let names = [
        ("a", "send"),
        ("a", "deliver"),
        ("b", "accept"),
        ("b", "fetch"),
        ("b", "acknowledge"),
        // The status that says so goes back.
        ("b", "deliver"),
        ("a", "accept"),
    ];
    let spans = collector.spans(&id, &names).await;
    let ids: BTreeSet<&[u8]> = spans.iter().map(|(_, span)| &span.span_id[..]).collect();
    assert_eq!(ids.len(), spans.len(), "each has its own id");
    let of = |node: &str, name: &str| &spans.iter().find(|(n, s)| n == node && s.name == name).unwrap().1;
    let first = of("a", "send");
    assert_eq!((&first.span_id[..], &first.parent_span_id[..]), (&id[16..24], &[][..]));
    for (node, name) in &names[1..] {
        assert_eq!(of(node, name).parent_span_id, first.span_id, "{node} {name}");
    }
    // The steps are within what they are steps of.
    for (node, name, steps) in
        [("a", "send", ["content", "judge", "commit"]), ("b", "accept", ["content", "judge", "commit"])]
    {
        let whole = of(node, name);
        let within = |s: &Span| s.parent_span_id == whole.span_id;
        let parts: Vec<&Span> = spans.iter().map(|(_, s)| s).filter(|s| within(s)).collect();
        for step in steps {
            let part =
                parts.iter().find(|s| s.name == step).unwrap_or_else(|| panic!("{node} {name} {step}"));
            assert!(whole.start_time_unix_nano <= part.start_time_unix_nano, "{node} {name} {step}");
            assert!(part.start_time_unix_nano <= part.end_time_unix_nano, "{node} {name} {step}");
            assert!(part.end_time_unix_nano <= whole.end_time_unix_nano, "{node} {name} {step}");
        }
    }
    let accepted = attributes(&of("b", "accept").attributes);
    let text = |key: &str| accepted[&format!("lienthong.{key}")].clone();
    assert_eq!((text("peer"), text("recipient")), ("a".into(), "H01.22".into()));
    assert_eq!((text("kind"), text("state")), ("new".into(), "delivered".into()));
    assert_eq!(text("delivery_id"), hex::encode(&id));
    // Nothing of the document itself.
    let all = format!("{spans:?}");
    let metadata = doc.header.metadata.as_ref().unwrap();
    assert!(!all.contains(&metadata.subject) && !all.contains("8642"), "{all}");
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_try_that_fails_says_its_reason_and_a_collector_that_comes_late_is_waited_for_by_nobody() {
    let collector = Collector::default();
    // Nobody listens there yet.
    let (address, serving) = collector.listen("127.0.0.1:0".parse().unwrap()).await;
    serving.abort();
    let _ = serving.await;
    let mut net = traced(address, 100).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    net.stop("b").await;
    let (_, _serving) = collector.listen(address).await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "2")).await.remove(0);
    let spans = collector.spans(&id, &[("a", "send"), ("a", "deliver")]).await;
    let (_, failed) = spans.iter().find(|(_, span)| span.name == "deliver").unwrap();
    assert_eq!(failed.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(attributes(&failed.attributes)["error.type"], "peer_unreachable");
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_share_all_nodes_keep_the_same_deliveries_and_the_last_spans_go_when_a_node_stops() {
    let collector = Collector::default();
    let (address, _serving) = collector.listen("127.0.0.1:0".parse().unwrap()).await;
    let mut net = traced(address, 40).await;
    let a = net.dms("a").await;
    let docs = (0..40).map(|n| net.document("H01.1", &["H01.22"], &n.to_string()).bulk()).collect();
    let mut ids = Vec::new();
    for answer in a.send_many(docs).await {
        let Some(pb::send_many_response::Outcome::Sent(sent)) = answer.outcome else { panic!("{answer:?}") };
        ids.extend(sent.results.into_iter().map(|r| r.delivery_id));
    }
    for id in &ids {
        a.wait_for(id, pb::DeliveryState::Delivered).await;
    }
    net.stop("a").await;
    net.stop("b").await;
    // Nothing is waited for: what there was went before they stopped.
    let got = collector.0.lock().unwrap().clone();
    let traces = |node: &str, name: &str| -> BTreeSet<Vec<u8>> {
        let spans = got.iter().filter(|(n, span)| n == node && span.name == name);
        spans.map(|(_, span)| span.trace_id.clone()).collect()
    };
    let kept = traces("a", "send");
    assert!(!kept.is_empty() && kept.len() < ids.len(), "{} of {}", kept.len(), ids.len());
    assert_eq!(traces("b", "accept"), kept);
    assert_eq!(traces("a", "deliver"), kept);
    net.finish().await;
}
