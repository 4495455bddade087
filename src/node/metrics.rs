//! Metrics: the text form of Prometheus (0.0.4) at `/metrics`, over plain HTTP, for a monitoring system of the operator.
//!
//! Off unless `metrics.listen` is configured. What is served holds no secret and no name beyond those of nodes; every
//! metric is described in docs/OPERATIONS.md. The form is a few lines of text, so it is written here.

use std::convert::Infallible;
use std::fmt::{Display, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::domain::document::Urgency;
use crate::exchange::Exchange;
use crate::ledger::BOUNDS_MS;
use crate::rpc::places;
use crate::rpc::quota::What;
use crate::rpc::status::StatusSource;
use crate::wire::pb;

/// Connections at once: a monitoring system has one or two.
const CONNECTIONS: usize = 8;
/// Longest time for a connection.
const CONNECTION: Duration = Duration::from_secs(30);
/// Longest time for the head of a request.
const HEAD: Duration = Duration::from_secs(5);

/// Serves until `stop`.
pub(super) async fn serve(
    listener: TcpListener,
    exchange: Exchange,
    status: StatusSource,
    stop: watch::Receiver<bool>,
) {
    places::serve(listener, CONNECTIONS, CONNECTION, stop, |socket| {
        let (exchange, status) = (exchange.clone(), status.clone());
        let service = service_fn(move |request| answer(request, exchange.clone(), status.clone()));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD);
        let served = http.serve_connection(TokioIo::new(socket), service);
        // How it ends is the caller's affair.
        async { drop(served.await) }
    })
    .await;
}

async fn answer(
    request: Request<Incoming>,
    exchange: Exchange,
    status: StatusSource,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    } else {
        // Outboxes are counted: not on a thread that serves others.
        match tokio::task::spawn_blocking(move || render(&exchange, &status)).await {
            Ok(text) => {
                let form =
                    hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(hyper::header::CONTENT_TYPE, form);
                *response.body_mut() = Full::new(text.into());
            }
            Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
    Ok(response)
}

/// Text that grows by one metric after the other.
#[derive(Default)]
struct Text(String);

impl Text {
    /// Begins a metric; its samples follow.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP lienthong_{name} {help}\n# TYPE lienthong_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("{key}=\"{value}\"")
            })
            .collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "lienthong_{name}{labels} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn seconds(ms: i64) -> String {
    format!("{:.3}", ms as f64 / 1000.0)
}

/// Everything, as it is now.
fn render(exchange: &Exchange, source: &StatusSource) -> String {
    let mut text = Text::default();
    let ledger = exchange.ledger();
    let now = ledger.now().millis();
    let s = source.read(exchange);
    text.metric("build_info", "gauge", "The version that runs; always 1.");
    text.sample("build_info", &[("node", &s.node), ("version", &s.version)], 1);
    let gauge = "gauge";
    text.single("start_time_seconds", gauge, "When the node began to run.", seconds(s.started_at));
    text.single("draining", gauge, "1 while the node stops.", u8::from(s.draining));
    text.single("memory_bytes", gauge, "Resident memory of the process.", s.memory_bytes);
    text.single("log_events", gauge, "Events in the log.", s.log_size);
    commits(&mut text, exchange);
    witnesses(&mut text, &s, now);
    text.single("held", gauge, "Deliveries in custody that wait for a decision.", s.held);
    let end = s.certificates.first().map_or(0, |c| c.not_after);
    text.single("certificate_end_seconds", gauge, "When the node's certificate ends.", seconds(end));
    text.single("directory_version", gauge, "The directory in force.", s.directory_version);
    let end = s.directory_valid_until;
    text.single("directory_end_seconds", gauge, "When the directory in force ends.", seconds(end));

    text.single("disk_free_bytes", gauge, "Free space for the data.", s.free_bytes);
    text.single("disk_reserve_bytes", gauge, "Below it no new documents are taken.", s.reserve_bytes);
    text.single("disk_critical_bytes", gauge, "Below it nothing is begun.", s.critical_bytes);
    let level = exchange.pressure().level() as u8;
    text.single("disk_pressure", gauge, "0 normal, 1 short, 2 critical.", level);

    self_check(&mut text, s.self_check.as_ref());
    queues(&mut text, &s.queues, now);

    if let Some(stamps) = s.timestamps.filter(|t| !t.authority.is_empty()) {
        let name = "timestamp_time_seconds";
        text.single(
            name,
            gauge,
            "The time in the newest timestamp of a checkpoint; 0: none.",
            seconds(stamps.at),
        );
        text.single("timestamp_events", gauge, "Events under it.", stamps.size);
        let failing = if stamps.failing_since == 0 { 0 } else { (now - stamps.failing_since).max(0) };
        let help = "For how long no timestamp is had; 0 when the last try succeeded.";
        text.single("timestamp_failing_seconds", gauge, help, seconds(failing));
    }

    text.metric("clock_offset_seconds", gauge, "A peer's clock minus this node's.");
    for c in &s.clocks {
        text.sample("clock_offset_seconds", &[("peer", &c.peer)], seconds(c.offset_ms));
    }
    text.metric("clock_off", gauge, "1 when a peer's clock is over the tolerance.");
    for c in &s.clocks {
        text.sample("clock_off", &[("peer", &c.peer)], u8::from(c.off));
    }
    let own = u8::from(s.own_clock_off);
    text.single("own_clock_off", gauge, "1 when most peers agree that this node's clock is off.", own);
    listeners(&mut text, source);
    text.0
}

fn self_check(text: &mut Text, last: Option<&pb::SelfCheckStatus>) {
    let Some(last) = last else { return };
    let gauge = "gauge";
    text.single("check_time_seconds", gauge, "When the node last checked itself.", seconds(last.at));
    text.single("check_findings", gauge, "What it found wrong.", last.findings);
    text.single("check_events", gauge, "Events that it checked.", last.events);
}

fn witnesses(text: &mut Text, s: &pb::GetStatusResponse, now: i64) {
    let gauge = "gauge";
    let help = "Other nodes that cosigned this node's log.";
    text.single("witnesses", gauge, help, s.cosigners.len());
    let size = s.cosigners.iter().map(|c| c.size).max().unwrap_or(0);
    text.single("cosigned_events", gauge, "Events under the largest cosigned checkpoint.", size);
    if let Some(at) = s.cosigners.iter().map(|c| c.at).max() {
        let age = seconds((now - at).max(0));
        text.single("cosigned_age_seconds", gauge, "Since the newest cosignature.", age);
    }
    let help = "1 when no peer could say at the start whether this log is the newest copy.";
    text.single("unwitnessed_start", gauge, help, u8::from(s.unwitnessed_start));
    let name = "peer_log_stopped";
    text.metric(name, gauge, "1 while exchange with a log is stopped for a suspicion, 2 for a proven fork.");
    for w in &s.witnessed {
        let value = match w.stopped.as_str() {
            "" => 0,
            "log_forked" => 2,
            _ => 1,
        };
        text.sample(name, &[("peer", &w.peer), ("log", &w.log)], value);
    }
}

fn commits(text: &mut Text, exchange: &Exchange) {
    let commits = exchange.ledger().commits();
    text.single("events_total", "counter", "Events committed since the start.", commits.events);
    let name = "commit_seconds";
    text.metric(name, "histogram", "Time of a commit, from deciding to durable.");
    let mut sum = 0;
    for (bound, count) in BOUNDS_MS.iter().zip(commits.classes) {
        sum += count;
        let bound = (*bound as f64 / 1000.0).to_string();
        text.sample("commit_seconds_bucket", &[("le", &bound)], sum);
    }
    text.sample("commit_seconds_bucket", &[("le", "+Inf")], commits.commits);
    text.sample("commit_seconds_sum", &[], format!("{:.6}", commits.micros as f64 / 1e6));
    text.sample("commit_seconds_count", &[], commits.commits);
}

fn queues(text: &mut Text, queues: &[pb::QueueStatus], now: i64) {
    text.metric("queue_waiting", "gauge", "Messages that wait for a peer, those in flight counted.");
    for q in queues {
        for (urgency, count) in Urgency::ALL.iter().zip(&q.waiting_by_urgency) {
            text.sample("queue_waiting", &[("peer", &q.peer), ("urgency", urgency.as_str())], count);
        }
    }
    let mut of_peer = |name: &str, help: &str, value: &dyn Fn(&pb::QueueStatus) -> String| {
        text.metric(name, "gauge", help);
        for q in queues {
            text.sample(name, &[("peer", &q.peer)], value(q));
        }
    };
    of_peer("queue_in_flight", "Messages on their way to a peer.", &|q| q.in_flight.to_string());
    of_peer("queue_in_flight_bytes", "Their bytes.", &|q| q.bytes_in_flight.to_string());
    of_peer(
        "queue_oldest_seconds",
        "Age of what waits the longest for a peer; 0 when nothing waits.",
        &|q| {
            if q.oldest == 0 { "0".to_owned() } else { seconds((now - q.oldest).max(0)) }
        },
    );
    of_peer("peer_failures", "Failures in a row of a peer.", &|q| q.failures.to_string());
    of_peer("peer_breaker", "0 closed, 1 half-open, 2 open.", &|q| {
        let state = match q.breaker.as_str() {
            "open" => 2,
            "half-open" => 1,
            _ => 0,
        };
        state.to_string()
    });
}

fn listeners(text: &mut Text, source: &StatusSource) {
    let both = ["clients", "peers"].into_iter().zip(&source.quotas);
    for (name, what, help) in [
        ("connections", What::Connections, "Connections open now."),
        ("calls", What::Calls, "Calls under way."),
        ("documents_under_way", What::Documents, "Documents that are being taken."),
        ("message_bytes", What::Bytes, "Bytes of messages in work."),
        ("arriving_bytes", What::Arriving, "Bytes of messages that are arriving."),
    ] {
        text.metric(name, "gauge", help);
        for (listener, quotas) in both.clone() {
            text.sample(name, &[("listener", listener)], quotas.total(what));
        }
    }
    text.metric("calls_total", "counter", "Calls so far.");
    for (listener, quotas) in both.clone() {
        text.sample("calls_total", &[("listener", listener)], quotas.counters().0);
    }
    text.metric("refusals_total", "counter", "Answers that were refusals, by reason (docs/reasons/).");
    for (listener, quotas) in both {
        for (reason, count) in quotas.counters().1 {
            text.sample("refusals_total", &[("listener", listener), ("reason", reason)], count);
        }
    }
}
