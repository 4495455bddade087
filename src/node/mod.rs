//! The composition root: build, bind, run, drain. `metrics` serves what a monitoring system asks for, `selfcheck` checks
//! the log once a day; `otlp` sends spans to a collector; `changes` records what is another than at the last start, `refused` the connections that were
//! turned away.
//!
//! [`Listeners::bind`] takes the ports; [`Node::start`] loads keys, opens directory and log, puts the steps together
//! and serves; [`Node::stop`] drains: health says that it does not serve, no new calls begin, streams end with
//! `stopping`, calls under way end within a limit, and what is committed is flushed.

mod changes;
mod metrics;
mod otlp;
mod refused;
mod selfcheck;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use otlp::{Otlp, OtlpError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::config::{Config, Share};
use crate::domain::decide::Command;
use crate::domain::event::EventKind;
use crate::domain::{NodeName, limits};
use crate::exchange::Exchange;
use crate::exchange::checks::LastCheck;
use crate::exchange::courier::{self, LocalLink, PeerLink};
use crate::exchange::directory::{AdoptError, DirectoryHolder};
use crate::exchange::pressure::{free_bytes, watch_disk};
use crate::exchange::recovery;
use crate::exchange::retention;
use crate::exchange::revocation::Revocation;
use crate::exchange::trust::CrlFileError;
use crate::exchange::witness::{self, OldCopy, WitnessLink};
use crate::exchange::{timestamps, transfer};
use crate::ledger::{Clock, Ledger, LedgerConfig, LedgerError, Opened, SystemRandom};
use crate::merkle::{KeyError, NoteSigner, NoteVerifier};
use crate::report::network::Giving;
use crate::rpc::audit::AuditApi;
use crate::rpc::collect;
use crate::rpc::directory::DirectoryApi;
use crate::rpc::evidence::Exports;
use crate::rpc::exchange::ExchangeApi;
use crate::rpc::link::Links;
use crate::rpc::login::Logins;
use crate::rpc::network::Collecting;
use crate::rpc::peer::PeerApi;
use crate::rpc::quota::Quotas;
use crate::rpc::report::ReportApi;
use crate::rpc::retention::RetentionApi;
use crate::rpc::serve;
use crate::rpc::status::StatusSource;
use crate::rpc::tls::{self, NodeTls, TlsError};
use crate::store::StoreError;
use crate::store::disk::{Disk, RealDisk};
use crate::web::{self, Site};
use crate::wire::pb::audit_service_server::AuditServiceServer;
use crate::wire::pb::directory_service_server::DirectoryServiceServer;
use crate::wire::pb::exchange_service_server::ExchangeServiceServer;
use crate::wire::pb::peer_service_server::PeerServiceServer;
use crate::wire::pb::report_service_server::ReportServiceServer;
use crate::wire::pb::retention_service_server::RetentionServiceServer;

/// How long listeners and tasks may take to end when no call is under way any more.
const CLOSE: Duration = Duration::from_secs(5);

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A port cannot be taken.
    #[error("`{key}`: {address} cannot be listened on: {error}")]
    Bind {
        /// Key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// Certificates or keys.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A key of the log.
    #[error("`{key}`: {error}")]
    Key {
        /// Key of the configuration.
        key: &'static str,
        /// Why.
        error: KeyError,
    },
    /// The directory.
    #[error("directory: {0}")]
    Directory(#[from] AdoptError),
    /// The revocation lists.
    #[error("`signatures.crl_dir`: {0}")]
    Crls(#[from] CrlFileError),
    /// The directory and the configuration disagree.
    #[error("{0}")]
    Listing(String),
    /// Storage.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Another node holds what this log does not have.
    #[error(transparent)]
    OldCopy(#[from] OldCopy),
    /// What evidence is signed with.
    #[error("evidence.certificate, evidence.key: {0}")]
    Evidence(String),
    /// Where spans go.
    #[error(transparent)]
    Traces(#[from] OtlpError),
    /// gRPC.
    #[error("gRPC: {0}")]
    Grpc(String),
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(address).await.map_err(|error| NodeError::Bind { key, address, error })
}

/// Ports that were taken.
pub struct Listeners {
    clients: TcpListener,
    peers: TcpListener,
}

impl Listeners {
    /// Binds both; port 0 takes a free one.
    pub async fn bind(clients: SocketAddr, peers: SocketAddr) -> Result<Listeners, NodeError> {
        Ok(Listeners {
            clients: bind("listen.clients", clients).await?,
            peers: bind("listen.peers", peers).await?,
        })
    }

    /// Where clients and peers are listened for.
    pub fn addresses(&self) -> Result<(SocketAddr, SocketAddr), NodeError> {
        let grpc = |e: std::io::Error| NodeError::Grpc(e.to_string());
        Ok((self.clients.local_addr().map_err(grpc)?, self.peers.local_addr().map_err(grpc)?))
    }
}

/// A running node.
pub struct Node {
    exchange: Exchange,
    opened: Opened,
    /// Nothing new begins.
    stop: watch::Sender<bool>,
    /// Listeners close.
    close: watch::Sender<bool>,
    health: HealthReporter,
    quotas: [Quotas; 2],
    key: NoteVerifier,
    metrics: Option<SocketAddr>,
    otlp: Option<Arc<Otlp>>,
    web_url: Option<String>,
    tasks: JoinSet<Result<(), NodeError>>,
}

impl Node {
    /// Builds and runs a node on the machine's file system.
    pub async fn start(
        config: Config,
        clock: Arc<dyn Clock>,
        listeners: Listeners,
    ) -> Result<Node, NodeError> {
        Node::start_on(config, clock, listeners, Arc::new(RealDisk)).await
    }

    /// The same on a given storage port.
    pub async fn start_on(
        config: Config,
        clock: Arc<dyn Clock>,
        listeners: Listeners,
        disk: Arc<dyn Disk>,
    ) -> Result<Node, NodeError> {
        let tls = NodeTls::load(&config)?;
        let metrics = match config.metrics {
            None => None,
            Some(address) => Some(bind("metrics.listen", address).await?),
        };
        let web = match &config.web {
            None => None,
            Some(web) => Some(bind("web.listen", web.listen).await?),
        };
        let signer = log_signer(&config)?;
        let previous = previous_signer(&config)?;
        let key = signer.verifier().clone();
        let directory = Arc::new(DirectoryHolder::open(
            &config.data,
            &config.directory,
            &config.network,
            config.authority.clone(),
        )?);
        check_listing(&config, &directory, &signer)?;
        let exports = Exports::new(&config).map_err(NodeError::Evidence)?;
        let ledger_config = LedgerConfig {
            data: config.data.clone(),
            disk: disk.clone(),
            signer,
            previous: previous.as_ref().map(|p| p.verifier().clone()),
            clock,
            random: Arc::new(SystemRandom::default()),
            cache_bytes: config.cache_bytes,
            journal_segment_bytes: config.journal_segment_bytes,
        };
        let (ledger, opened) = tokio::task::spawn_blocking(|| Ledger::open(ledger_config))
            .await
            .map_err(|e| NodeError::Grpc(e.to_string()))??;
        let otlp = config.traces.as_ref().map(|traces| Otlp::new(traces, &config.node)).transpose()?;
        let otlp = otlp.map(Arc::new);
        let in_force = directory.current();
        ledger.stamp().set(in_force.version(), in_force.valid_until());
        let exchange = Exchange::new(Arc::new(config), ledger, directory);
        if let (Some(otlp), Some(traces)) = (&otlp, &exchange.config().traces) {
            exchange.traces().keep(traces.percent, otlp.clone());
        }
        // Known before the first call.
        if let Some(free) = free_bytes(&*disk, &exchange.config().data) {
            exchange.pressure().measured(free);
        }
        let revocation = tokio::task::spawn_blocking({
            let exchange = exchange.clone();
            || Revocation::open(exchange)
        });
        let revocation = revocation.await.map_err(|e| NodeError::Grpc(e.to_string()))??;
        let cosigner = cosigner(exchange.config())?;
        exchange.open_witness(disk.clone(), cosigner)?;

        let (stop, stopped) = watch::channel(false);
        let (close, closed) = watch::channel(false);
        let client_quotas = Quotas::new(exchange.config().client_share, exchange.config().idle);
        let peer_quotas = Quotas::new(Share::PEER, exchange.config().idle);
        let links = Links::new(exchange.clone(), tls.dial.clone());
        let status = StatusSource {
            queues: exchange.queues().clone(),
            started_at: exchange.ledger().now(),
            certificate_end: tls.not_after,
            quotas: [client_quotas.clone(), peer_quotas.clone()],
            stop: stopped.clone(),
        };
        let (ready, begun) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let grpc = |e: tonic::transport::Error| NodeError::Grpc(e.to_string());
        let message = limits::MESSAGE_BYTES;
        let giving = Giving::new(exchange.clone());
        let peer_api = PeerApi::new(
            exchange.clone(),
            links.clone(),
            peer_quotas.clone(),
            giving.clone(),
            begun,
            stopped.clone(),
        );
        let peers = serve::builder(&peer_quotas, stopped.clone())
            .add_service(
                PeerServiceServer::new(peer_api.clone())
                    .max_decoding_message_size(message)
                    .max_encoding_message_size(message),
            )
            .add_service(DirectoryServiceServer::new(DirectoryApi::new(exchange.clone())));
        let serving = serve::serve(peers, peer_quotas.clone(), listeners.peers, tls.peers, closed.clone());
        tasks.spawn(async move { serving.await.map_err(grpc) });
        // Hellos are answered from here on, so that nodes that start together can ask each other; nothing is signed
        // before they were.
        let link = |peer: &NodeName| -> Arc<dyn WitnessLink> { links.to(peer) };
        let witnessed = witness::ask_at_start(&exchange, link, exchange.config().start_ask).await?;
        // Before anything else is written: what the log goes on with is of the new key.
        let signer = log_signer(exchange.config())?;
        changes::note_log_key(exchange.ledger(), &signer, previous.as_ref()).await?;
        note_start(&exchange, !witnessed).await?;
        ready.send_replace(true);

        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<ExchangeServiceServer<ExchangeApi>>().await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::wire::pb::DESCRIPTORS)
            .build_v1()
            .map_err(|e| NodeError::Grpc(e.to_string()))?;
        let message = limits::MESSAGE_BYTES;
        let reports = ReportApi::new(exchange.clone(), Collecting::new(links.clone(), giving));
        let mut audit = AuditApi::new(exchange.clone(), key.clone(), status.clone(), exports);
        let web_url = web.as_ref().map(|listener| web_url(&exchange, listener)).transpose()?;
        if let (Some(listener), Some(tls), Some(url)) = (web, tls.web.clone(), &web_url) {
            let logins = Arc::<Logins>::default();
            audit = audit.with_web(logins.clone(), url.clone());
            let quotas = [client_quotas.clone(), peer_quotas.clone()];
            let documents = ExchangeApi::new(exchange.clone(), client_quotas.clone(), stopped.clone());
            let site = Site::new(exchange.clone(), audit.clone(), reports.clone(), documents, quotas, logins);
            let serving = web::serve(Arc::new(site), listener, tls, closed.clone());
            tasks.spawn(async move {
                serving.await;
                Ok(())
            });
        }
        let clients = serve::builder(&client_quotas, stopped.clone())
            .add_service(
                ExchangeServiceServer::new(ExchangeApi::new(
                    exchange.clone(),
                    client_quotas.clone(),
                    stopped.clone(),
                ))
                .max_decoding_message_size(message)
                .max_encoding_message_size(message),
            )
            .add_service(AuditServiceServer::new(audit))
            .add_service(ReportServiceServer::new(reports))
            .add_service(RetentionServiceServer::new(RetentionApi::new(exchange.clone())))
            .add_service(DirectoryServiceServer::new(DirectoryApi::new(exchange.clone())))
            .add_service(health_service)
            .add_service(reflection);
        let quotas = [client_quotas.clone(), peer_quotas];
        let serving = serve::serve(clients, client_quotas, listeners.clients, tls.clients, closed.clone());
        tasks.spawn(async move { serving.await.map_err(grpc) });
        tasks.spawn({
            let (links, exchange, stopped) = (links.clone(), exchange.clone(), stopped.clone());
            async move {
                let link = move |peer: &NodeName| -> Arc<dyn WitnessLink> { links.to(peer) };
                witness::run(exchange, link, stopped).await;
                Ok(())
            }
        });
        tasks.spawn({
            let (links, exchange, stopped) = (links.clone(), exchange.clone(), stopped.clone());
            async move {
                let link = move |peer: &NodeName| -> Arc<dyn WitnessLink> { links.to(peer) };
                recovery::run(exchange, link, stopped).await;
                Ok(())
            }
        });
        tasks.spawn(async move {
            collect::run(peer_api).await;
            Ok(())
        });
        tasks.spawn({
            let (exchange, stopped) = (exchange.clone(), stopped.clone());
            async move {
                let local: Arc<dyn PeerLink> = Arc::new(LocalLink::new(exchange.clone()));
                let own = exchange.node().clone();
                let link = move |peer: &NodeName| -> Arc<dyn PeerLink> {
                    if *peer == own { local.clone() } else { links.to(peer) }
                };
                courier::run(exchange, link, stopped).await;
                Ok(())
            }
        });
        tasks.spawn(follow_directory(exchange.clone(), stopped.clone()));
        tasks.spawn({
            let watching = watch_disk(exchange.clone(), disk, stopped.clone());
            async move {
                watching.await;
                Ok(())
            }
        });
        tasks.spawn({
            let expiring = transfer::watch(exchange.clone(), stopped.clone());
            async move {
                expiring.await;
                Ok(())
            }
        });
        tasks.spawn({
            let retaining = retention::watch(exchange.clone(), stopped.clone());
            async move {
                retaining.await;
                Ok(())
            }
        });
        tasks.spawn(selfcheck::watch(exchange.clone(), key.clone(), stopped.clone()));
        let metrics_address = metrics.as_ref().and_then(|m| m.local_addr().ok());
        if let Some(listener) = metrics {
            let serving = metrics::serve(listener, exchange.clone(), status, closed);
            tasks.spawn(async move {
                serving.await;
                Ok(())
            });
        }
        tasks.spawn({
            let recording = refused::record(exchange.clone(), quotas.clone(), stopped.clone());
            async move {
                recording.await;
                Ok(())
            }
        });
        tasks.spawn(judge_held(exchange.clone(), stopped.clone()));
        tasks.spawn({
            let stamping = timestamps::run(exchange.clone(), stopped.clone());
            async move {
                stamping.await;
                Ok(())
            }
        });
        tasks.spawn(async move {
            revocation.run(stopped).await;
            Ok(())
        });
        Ok(Node {
            exchange,
            opened,
            stop,
            close,
            health,
            quotas,
            key,
            metrics: metrics_address,
            otlp,
            web_url,
            tasks,
        })
    }

    /// What opening the log found.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The steps, for what runs in the same process.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Checks the log, every fold and, where that is configured, all content, now; as the node does once a day. `None`
    /// when that is under way already, or cannot be done.
    pub async fn check_now(&self) -> Option<LastCheck> {
        selfcheck::check(&self.exchange, &self.key, self.stop.subscribe()).await
    }

    /// Where metrics are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Where the pages are.
    pub fn web_url(&self) -> Option<&str> {
        self.web_url.as_deref()
    }

    /// Resolves when the node can no longer run: its storage failed, or a listener ended.
    pub async fn failed(&mut self) -> NodeError {
        let ledger = self.exchange.ledger().clone();
        tokio::select! {
            // Said first: a log that was halted fails, too, and less is said of it.
            biased;
            found = self.exchange.witness().contradiction() => NodeError::OldCopy(found),
            error = ledger.failure() => NodeError::Ledger(LedgerError::Failed(error)),
            ended = self.tasks.join_next() => match ended {
                Some(Ok(Err(error))) => error,
                _ => NodeError::Grpc("a task of the node ended".into()),
            },
        }
    }

    /// Drains and stops.
    pub async fn stop(mut self, reason: &str) -> Result<(), NodeError> {
        let began = self.exchange.ledger().now();
        // Said first, so that whoever watches it hears it before anything ends.
        self.health.set_service_status("", ServingStatus::NotServing).await;
        self.health.set_not_serving::<ExchangeServiceServer<ExchangeApi>>().await;
        self.stop.send_replace(true);
        let limit = self.exchange.config().drain;
        let [clients, peers] = &self.quotas;
        let idle = async {
            clients.idle().await;
            peers.idle().await;
        };
        if tokio::time::timeout(limit, idle).await.is_err() {
            tracing::warn!(limit_s = limit.as_secs(), "calls that did not end are cut off");
        }
        self.close.send_replace(true);
        let closed = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(CLOSE, closed).await.is_err() {
            self.tasks.abort_all();
            while self.tasks.join_next().await.is_some() {}
        }
        refused::record_last(&self.exchange, &self.quotas, began).await;
        if let Some(otlp) = self.otlp.take() {
            let _ = tokio::task::spawn_blocking(move || otlp.close()).await;
        }
        // A log that failed cannot say that it stops.
        let stopped = Command::Note { kind: EventKind::Stopped { reason: reason.to_owned() } };
        let noted = self.exchange.ledger().commit(stopped).await;
        let data = self.exchange.config().data.clone();
        let ledger = self.exchange.ledger().clone();
        drop(self.exchange);
        ledger.close(&data).await?;
        noted?;
        Ok(())
    }
}

/// What visitors write before the path of a page.
fn web_url(exchange: &Exchange, listener: &TcpListener) -> Result<String, NodeError> {
    if let Some(url) = exchange.config().web.as_ref().and_then(|web| web.url.clone()) {
        return Ok(url);
    }
    let address = listener.local_addr().map_err(|e| NodeError::Grpc(e.to_string()))?;
    Ok(format!("https://{address}"))
}

/// The signer of a configuration's log.
pub fn log_signer(config: &Config) -> Result<NoteSigner, NodeError> {
    let origin = config.node.log_origin(config.generation);
    NoteSigner::from_pkcs8(&origin, &tls::read_pkcs8(&config.log_key)?)
        .map_err(|error| NodeError::Key { key: "log.key", error })
}

/// What a node cosigns the logs of others with.
pub fn cosigner(config: &Config) -> Result<NoteSigner, NodeError> {
    let name = format!("{}/witness", config.node);
    NoteSigner::cosigner_from_pkcs8(&name, &tls::read_pkcs8(&config.cosign_key)?)
        .map_err(|error| NodeError::Key { key: "log.cosign_key", error })
}

/// The signer of the key before, where the configuration names one.
fn previous_signer(config: &Config) -> Result<Option<NoteSigner>, NodeError> {
    let Some(file) = &config.previous_log_key else { return Ok(None) };
    let origin = config.node.log_origin(config.generation);
    let signer = NoteSigner::from_pkcs8(&origin, &tls::read_pkcs8(file)?)
        .map_err(|error| NodeError::Key { key: "log.previous_key", error })?;
    Ok(Some(signer))
}

/// A node whose log key is not listed would give receipts that nobody can verify.
fn check_listing(config: &Config, directory: &DirectoryHolder, signer: &NoteSigner) -> Result<(), NodeError> {
    let current = directory.current();
    let listed = current.node(&config.node).ok_or_else(|| {
        NodeError::Listing(format!(
            "node `{}` is not in directory version {}: have the directory's authority list it",
            config.node,
            current.version()
        ))
    })?;
    let verifier = signer.verifier();
    if !listed.may_sign(verifier) {
        return Err(NodeError::Listing(format!(
            "the key of log `{}` is not the one in directory version {}: have `{verifier}` listed, or configure the \
             right `log.key`",
            verifier.name(),
            current.version()
        )));
    }
    Ok(())
}

/// Key of the last directory version that was recorded as adopted: state, not an event.
const ADOPTED: &[u8] = b"p/adopted-directory";

async fn note_start(exchange: &Exchange, unwitnessed: bool) -> Result<(), NodeError> {
    note_directory(exchange).await?;
    changes::note_changes(exchange.ledger(), exchange.config()).await?;
    let kind = EventKind::Started { version: env!("CARGO_PKG_VERSION").to_owned(), unwitnessed };
    exchange.ledger().commit(Command::Note { kind }).await?;
    let calendar = exchange.config().calendar.clone();
    exchange.ledger().commit(Command::SetCalendar { calendar }).await?;
    Ok(())
}

async fn note_directory(exchange: &Exchange) -> Result<(), NodeError> {
    let directory = exchange.directory();
    let ledger = exchange.ledger();
    ledger.stamp().set(directory.version(), directory.valid_until());
    let known = ledger.index().get(ADOPTED)?;
    let version = directory.version().to_be_bytes();
    if known.as_deref() != Some(version.as_slice()) {
        let kind = EventKind::DirectoryAdopted { version: directory.version(), digest: directory.digest() };
        ledger.commit(Command::Note { kind }).await?;
        ledger.index().put_state(ADOPTED, &version)?;
        tracing::info!(version = directory.version(), "a directory version is in force");
    }
    if ledger.now() > directory.valid_until() {
        tracing::warn!(version = directory.version(), valid_until = %directory.valid_until(),
            "the directory has expired: have its authority sign a new version; the node works on");
    }
    Ok(())
}

/// Judges what is held again: at the start, and whenever what signatures are judged under changes.
async fn judge_held(exchange: Exchange, mut stop: watch::Receiver<bool>) -> Result<(), NodeError> {
    let mut directory = exchange.directories().subscribe();
    let mut revocation = exchange.revocation_changed();
    loop {
        directory.borrow_and_update();
        revocation.borrow_and_update();
        match exchange.judge_held().await {
            Ok(0) => {}
            Ok(decided) => tracing::info!(decided, "held deliveries were judged again"),
            Err(error) => tracing::warn!(%error, "held deliveries could not be judged again"),
        }
        tokio::select! {
            changed = directory.changed() => if changed.is_err() { return Ok(()) },
            changed = revocation.changed() => if changed.is_err() { return Ok(()) },
            () = async { drop(stop.wait_for(|s| *s).await) } => return Ok(()),
        }
    }
}

/// Records each version that comes into force while the node runs.
async fn follow_directory(exchange: Exchange, mut stop: watch::Receiver<bool>) -> Result<(), NodeError> {
    let mut versions = exchange.directories().subscribe();
    loop {
        tokio::select! {
            changed = versions.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                note_directory(&exchange).await?;
            }
            () = async { drop(stop.wait_for(|s| *s).await) } => return Ok(()),
        }
    }
}
