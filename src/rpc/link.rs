//! The way to another node: one connection and one `Deliver` stream, with many messages in flight.
//!
//! A connection is made when something has to go, after the newest directory; it says hello first, and fetches a newer
//! directory when the other side has one. When the stream breaks, everything in flight on it fails as
//! `peer_unreachable` and stays in the outbox.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

use super::content::{self, ContentLane};
use super::peer::{read_failure, read_retry};
use super::tls::Identity;
use crate::domain::ids::NodeName;
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::Exchange;
use crate::exchange::accept::{Boxed, Offer};
use crate::exchange::courier::PeerLink;
use crate::time::Timestamp;
use crate::wire::pb;
use crate::wire::pb::directory_service_client::DirectoryServiceClient;
use crate::wire::pb::peer_service_client::PeerServiceClient;
use crate::wire::proof::Proof;

/// Time to make a connection, handshake and hello included.
const CONNECT: Duration = Duration::from_secs(10);
/// Time for one message to be answered.
const ANSWER: Duration = Duration::from_secs(120);

/// All ways to peers.
#[derive(Clone)]
pub struct Links {
    exchange: Exchange,
    tls: Arc<rustls::ClientConfig>,
    links: Arc<Mutex<HashMap<NodeName, Arc<Link>>>>,
}

impl Links {
    /// None yet.
    pub fn new(exchange: Exchange, tls: Arc<rustls::ClientConfig>) -> Links {
        Links { exchange, tls, links: Arc::default() }
    }

    /// The way to a node.
    pub fn to(&self, node: &NodeName) -> Arc<Link> {
        let mut links = self.links.lock().expect("no holder of this lock panics");
        links
            .entry(node.clone())
            .or_insert_with(|| {
                Arc::new(Link {
                    exchange: self.exchange.clone(),
                    tls: self.tls.clone(),
                    node: node.clone(),
                    connection: tokio::sync::Mutex::new(None),
                    content: ContentLane::default(),
                })
            })
            .clone()
    }
}

/// The way to one node.
pub struct Link {
    exchange: Exchange,
    tls: Arc<rustls::ClientConfig>,
    node: NodeName,
    connection: tokio::sync::Mutex<Option<Connection>>,
    pub(super) content: ContentLane,
}

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Proof, Rejection>>>>>;

#[derive(Clone)]
struct Connection {
    channel: Channel,
    requests: mpsc::Sender<pb::DeliverRequest>,
    pending: Pending,
    next_id: Arc<AtomicU64>,
}

fn unreachable(node: &NodeName, what: impl std::fmt::Display) -> Rejection {
    Rejection::new(Reason::PeerUnreachable, "", format!("node `{node}`: {what}"))
}

impl Link {
    /// The connection, made when there is none.
    async fn connection(&self) -> Result<Connection, Rejection> {
        let mut connection = self.connection.lock().await;
        // A node that a newer directory no longer lists gets nothing more, on no connection.
        if self.exchange.directory().node(&self.node).is_none() {
            *connection = None;
        } else if let Some(connection) = connection.as_ref().filter(|c| !c.requests.is_closed()) {
            return Ok(connection.clone());
        }
        let fresh = tokio::time::timeout(CONNECT, self.connect()).await.map_err(|_| {
            unreachable(&self.node, format!("no connection within {} s", CONNECT.as_secs()))
        })??;
        *connection = Some(fresh.clone());
        Ok(fresh)
    }

    async fn connect(&self) -> Result<Connection, Rejection> {
        let channel = self.dial().await?;
        self.hello(&channel).await?;
        let (requests, receiver) = mpsc::channel(limits::PEER_IN_FLIGHT);
        let pending = Pending::default();
        let stream = PeerServiceClient::new(channel.clone())
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES)
            .deliver(ReceiverStream::new(receiver))
            .await
            .map_err(|s| read_failure(&s))?;
        let mut answers = stream.into_inner();
        let (node, waiting) = (self.node.clone(), pending.clone());
        let open = requests.clone();
        tokio::spawn(async move {
            let why = loop {
                match answers.message().await {
                    Ok(Some(answer)) => answered(&waiting, answer),
                    Ok(None) => break "it closed the stream".to_owned(),
                    Err(status) => break read_failure(&status).to_string(),
                }
            };
            // From now on nothing new goes this way; what is in flight fails for now.
            drop(open);
            let rest = std::mem::take(&mut *waiting.lock().expect("no holder of this lock panics"));
            for (_, waiter) in rest {
                let _ = waiter.send(Err(unreachable(&node, &why)));
            }
        });
        Ok(Connection { channel, requests, pending, next_id: Arc::new(AtomicU64::new(1)) })
    }

    /// Compares versions again, because the node seems to have a newer directory.
    pub async fn refresh(&self) -> Result<(), Rejection> {
        let channel = self.connection().await?.channel;
        self.hello(&channel).await
    }

    /// A connection, within the time for it.
    pub(super) async fn dial_in_time(&self) -> Result<Channel, Rejection> {
        tokio::time::timeout(CONNECT, self.dial()).await.unwrap_or_else(|_| {
            Err(unreachable(&self.node, format!("no connection within {} s", CONNECT.as_secs())))
        })
    }

    /// TCP, TLS, and the right name at the other end.
    async fn dial(&self) -> Result<Channel, Rejection> {
        let directory = self.exchange.directory();
        let entry = directory
            .node(&self.node)
            .map(|n| n.entry.clone())
            .ok_or_else(|| unreachable(&self.node, "it is not in the directory"))?;
        let mut last = unreachable(&self.node, "the directory lists no endpoint for it");
        for endpoint in &entry.endpoints {
            let dialled = connect_tls(self.tls.clone(), endpoint, self.node.as_str()).await;
            match dialled {
                Ok((channel, identity)) => {
                    let expected = Identity::Node {
                        network: directory.network().to_owned(),
                        node: self.node.to_string(),
                    };
                    if identity == expected {
                        return Ok(channel);
                    }
                    last = unreachable(&self.node, format!("{endpoint} has the certificate of {identity:?}"));
                }
                Err(error) => last = unreachable(&self.node, format!("{endpoint}: {error}")),
            }
        }
        Err(last)
    }

    /// Compares versions, and fetches a newer directory.
    async fn hello(&self, channel: &Channel) -> Result<(), Rejection> {
        let own = self.exchange.directory();
        let ledger = self.exchange.ledger();
        let request = pb::HelloRequest {
            node: self.exchange.node().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            directory_version: own.version(),
            directory_digest: crate::wire::words::digest(&own.digest()),
            clock: ledger.now().millis(),
            checkpoint: ledger.snapshot().checkpoint().map_or_else(String::new, |c| c.note().to_owned()),
        };
        let asked = ledger.now();
        let answer = PeerServiceClient::new(channel.clone())
            .hello(request)
            .await
            .map_err(|s| read_failure(&s))?
            .into_inner();
        if answer.clock > 0 {
            let theirs = Timestamp::from_millis(answer.clock);
            self.exchange.clocks().measured(&self.node, asked, ledger.now(), theirs);
        }
        if answer.directory_version == own.version()
            && answer.directory_digest != own.digest().as_bytes().as_slice()
        {
            tracing::error!(peer = %self.node, version = own.version(),
                "the peer has another directory of the same version: ask the directory's authority");
        }
        if answer.directory_version > own.version() {
            self.fetch_directory(channel).await?;
        }
        Ok(())
    }

    async fn fetch_directory(&self, channel: &Channel) -> Result<(), Rejection> {
        let mut stream = DirectoryServiceClient::new(channel.clone())
            .get_directory(pb::GetDirectoryRequest { version: 0 })
            .await
            .map_err(|s| read_failure(&s))?
            .into_inner();
        let mut note = Vec::new();
        while let Some(piece) = stream.message().await.map_err(|s| read_failure(&s))? {
            note.extend_from_slice(&piece.data);
            if note.len() > crate::directory::MAX_BYTES {
                return Err(unreachable(&self.node, "its directory is over the limit"));
            }
        }
        let note =
            String::from_utf8(note).map_err(|_| unreachable(&self.node, "its directory is no text"))?;
        match self.exchange.directories().offer(&note) {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::error!(peer = %self.node, %error, "the peer's directory was not taken");
                Ok(())
            }
        }
    }
}

/// Gives an answer to who waits for it; one that nobody waits for is dropped.
fn answered(pending: &Pending, answer: pb::DeliverResponse) {
    use pb::deliver_response::Outcome;
    let waiter = pending.lock().expect("no holder of this lock panics").remove(&answer.id);
    let Some(waiter) = waiter else { return };
    let result = match answer.outcome {
        Some(Outcome::Receipt(proof)) => Proof::from_wire(proof),
        Some(Outcome::Retry(retry)) => Err(read_retry(&retry)),
        None => Err(Rejection::new(Reason::BadProof, "", "an empty answer")),
    };
    let _ = waiter.send(result);
}

impl PeerLink for Link {
    fn deliver(&self, offer: Offer) -> Boxed<'_, Result<Proof, Rejection>> {
        Box::pin(async move {
            let connection = self.connection().await?;
            let id = connection.next_id.fetch_add(1, Ordering::Relaxed);
            let (sender, receiver) = oneshot::channel();
            let pulled = content::pulled(&offer);
            connection.pending.lock().expect("no holder of this lock panics").insert(id, sender);
            let request = pb::DeliverRequest {
                id,
                envelope: offer.envelope,
                origin: Some(offer.origin.to_wire()),
                signatures: offer.signatures,
                data: offer.data.unwrap_or_default(),
            };
            let forget = || {
                connection.pending.lock().expect("no holder of this lock panics").remove(&id);
            };
            if connection.requests.send(request).await.is_err() {
                forget();
                return Err(unreachable(&self.node, "the stream is closed"));
            }
            match content::answer(&self.exchange, pulled, ANSWER, receiver).await {
                Some(Ok(result)) => result,
                Some(Err(_)) => Err(unreachable(&self.node, "the stream broke")),
                None => {
                    forget();
                    Err(unreachable(&self.node, format!("no answer within {} s", ANSWER.as_secs())))
                }
            }
        })
    }
}

/// A channel over TLS 1.3 to `address` (`host:port`), whose certificate must be valid for `name`; and who is there.
pub async fn connect_tls(
    tls: Arc<rustls::ClientConfig>,
    address: &str,
    name: &str,
) -> Result<(Channel, Identity), String> {
    let server_name = rustls::pki_types::ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
    let socket = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    let _ = socket.set_nodelay(true);
    let stream = TlsConnector::from(tls).connect(server_name, socket).await.map_err(|e| e.to_string())?;
    let identity = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(<[_]>::first)
        .map_or(Identity::Unknown, |c| Identity::of_certificate(c));
    // The one connection that the endpoint asks for; it is not made again behind our back.
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = tower::service_fn(move |_| {
        let stream = once.lock().expect("no holder of this lock panics").take();
        async move {
            stream.map(TokioIo::new).ok_or_else(|| {
                std::io::Error::new(std::io::ErrorKind::NotConnected, "the connection was closed")
            })
        }
    });
    let channel = Endpoint::from_static("http://node")
        .http2_keep_alive_interval(Duration::from_secs(15))
        .keep_alive_timeout(Duration::from_secs(15))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .connect_with_connector(connector)
        .await
        .map_err(|e| e.to_string())?;
    Ok((channel, identity))
}
