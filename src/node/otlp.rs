//! Spans to an OpenTelemetry collector: OTLP over gRPC, in batches, beside everything else.
//!
//! A span that finds the queue full is dropped, and a collector that does not answer is tried again by the exporter and
//! then does without: the exchange waits for neither.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    self, BatchConfigBuilder, BatchSpanProcessor, IdGenerator, RandomIdGenerator, SpanData, SpanEvents,
    SpanLinks, SpanProcessor,
};

use crate::config::Traces;
use crate::domain::ids::{DeliveryId, NodeName};
use crate::exchange::traces::{Finished, Keeper, Side, Step, Value};

/// Spans that wait at most; more are dropped. Each takes about 2 KiB.
const WAITING: usize = 8_192;
/// Spans that go in one request at most.
const BATCH: usize = 512;
/// How long spans wait for others.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a collector may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the last spans may take when the node stops.
const LAST: Duration = Duration::from_secs(2);

/// Why spans cannot be sent anywhere.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The certificate of the authority cannot be read.
    #[error("`traces.ca`: {}: {error}: name the PEM file of the authority that the collector's certificate is from", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
    /// The exporter refuses the address.
    #[error("`traces.otlp`: `{url}`: {error}")]
    Exporter {
        /// The address.
        url: String,
        /// What it says.
        error: opentelemetry_otlp::ExporterBuildError,
    },
}

/// Sends spans, and says once when that begins to fail, and once when it goes on.
#[derive(Debug)]
struct Exporter {
    otlp: SpanExporter,
    failing: AtomicBool,
}

impl trace::SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.otlp.export(batch).await;
        match &sent {
            Ok(()) if self.failing.swap(false, Ordering::Relaxed) => {
                tracing::warn!("the collector takes spans again");
            }
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, spans, "the collector does not take spans: they are lost until it does");
            }
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.otlp.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}

/// The queue to a collector.
pub struct Otlp {
    queue: BatchSpanProcessor,
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
}

impl Otlp {
    /// Connects when the first spans go. Made where tokio runs, which carries the calls.
    pub fn new(traces: &Traces, node: &NodeName) -> Result<Otlp, OtlpError> {
        let mut exporter =
            SpanExporter::builder().with_tonic().with_endpoint(traces.otlp.clone()).with_timeout(ANSWER);
        if let Some(path) = &traces.ca {
            let pem = std::fs::read(path).map_err(|error| OtlpError::Ca { path: path.clone(), error })?;
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            exporter = exporter.with_tls_config(tls);
        }
        let exporter =
            exporter.build().map_err(|error| OtlpError::Exporter { url: traces.otlp.clone(), error })?;
        let exporter = Exporter { otlp: exporter, failing: AtomicBool::new(false) };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(PAUSE);
        let mut queue = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build()).build();
        queue.set_resource(
            &Resource::builder_empty()
                .with_service_name("lienthong")
                .with_attributes([
                    KeyValue::new("service.instance.id", node.to_string()),
                    KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                ])
                .build(),
        );
        let scope =
            InstrumentationScope::builder("lienthong").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Otlp { queue, ids: RandomIdGenerator::default(), scope })
    }

    /// Sends what waits, within two seconds; afterwards nothing more goes.
    pub fn close(&self) {
        if let Err(error) = self.queue.shutdown_with_timeout(LAST) {
            tracing::info!(%error, "the last spans could not be sent");
        }
    }

    /// What every span has; a step needs no more.
    fn base(&self, id: SpanContext, parent: SpanId, step: Step) -> SpanData {
        SpanData {
            span_context: id,
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: step.name.into(),
            start_time: step.began,
            end_time: step.ended,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

impl Keeper for Otlp {
    fn keep(&self, span: Finished) {
        let (trace, first) = ids(&span.delivery);
        let id = if span.first { first } else { self.ids.new_span_id() };
        for step in span.steps {
            self.queue.on_end(self.base(context(trace, self.ids.new_span_id()), id, step));
        }
        let mut attributes = vec![KeyValue::new("lienthong.delivery_id", span.delivery.to_string())];
        attributes.extend(span.attributes.into_iter().map(|(name, value)| {
            let name = format!("lienthong.{name}");
            match value {
                Value::Text(text) => KeyValue::new(name, text),
                Value::Number(number) => KeyValue::new(name, number),
            }
        }));
        attributes.extend(span.failed.map(|reason| KeyValue::new("error.type", reason)));
        let parent = if span.first { SpanId::INVALID } else { first };
        let whole = Step { name: span.name, began: span.began, ended: span.ended };
        self.queue.on_end(SpanData {
            parent_span_is_remote: !span.first,
            span_kind: match span.side {
                Side::Server => SpanKind::Server,
                Side::Client => SpanKind::Client,
            },
            attributes,
            status: span.failed.map_or(Status::Unset, Status::error),
            ..self.base(context(trace, id), parent, whole)
        });
    }
}

fn context(trace: TraceId, span: SpanId) -> SpanContext {
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// The trace of a delivery, and its first span.
fn ids(delivery: &DeliveryId) -> (TraceId, SpanId) {
    let (mut trace, mut first) = ([0; 16], [0; 8]);
    let bytes = delivery.as_bytes();
    trace.copy_from_slice(&bytes[..16]);
    first.copy_from_slice(&bytes[16..24]);
    (TraceId::from_bytes(trace), SpanId::from_bytes(first))
}
