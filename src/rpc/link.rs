//! The way to another node: one connection and one `Deliver` stream, with many messages in flight.
//!
//! A connection is made when something has to go, after the newest directory; it says hello first, and fetches a newer
//! directory when the other side has one; while it lasts, it says hello again every minute. When the stream breaks, everything in flight on it fails as
//! `peer_unreachable` and stays in the outbox. To a node that cannot be reached, messages go on the `Collect` stream that
//! it keeps open (`super::collect`), in the same way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use super::collect::{Serving, StandBy};
use super::content::ContentLane;
use super::peer::{read_failure, read_retry};
use super::tls::Identity;
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::Exchange;
use crate::exchange::accept::{Boxed, Offer};
use crate::exchange::courier::PeerLink;
use crate::exchange::courier::failure::Failure;
use crate::exchange::witness::{HeldOf, WitnessLink};
use crate::report::network::FiguresLink;
use crate::time::Timestamp;
use crate::wire::network;
use crate::wire::pb;
use crate::wire::pb::directory_service_client::DirectoryServiceClient;
use crate::wire::pb::peer_service_client::PeerServiceClient;
use crate::wire::proof::Proof;
use crate::wire::witness::{Ask, Reply};

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
                Arc::new_cyclic(|me| Link {
                    me: me.clone(),
                    exchange: self.exchange.clone(),
                    tls: self.tls.clone(),
                    node: node.clone(),
                    slot: tokio::sync::Mutex::default(),
                    standby: StandBy::default(),
                    serving: Mutex::default(),
                    content: ContentLane::default(),
                })
            })
            .clone()
    }
}

/// The way to one node.
pub struct Link {
    pub(super) me: Weak<Link>,
    pub(super) exchange: Exchange,
    tls: Arc<rustls::ClientConfig>,
    pub(super) node: NodeName,
    slot: tokio::sync::Mutex<Slot>,
    /// Streams on which a node that cannot be reached serves its content.
    pub(super) standby: StandBy,
    /// This node serves its content to the other while somebody holds it.
    pub(super) serving: Mutex<Weak<Serving>>,
    pub(super) content: ContentLane,
}

/// The connection, and when the last attempt that failed to make one had begun.
#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    failed: Option<(Instant, Rejection)>,
}

/// What comes back for a message or a question.
enum Answer {
    Proof(Proof),
    Reply(pb::WitnessReply),
    Figures(pb::FiguresReply),
}

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Answer, Failure>>>>>;

#[derive(Clone)]
struct Connection {
    /// `None` where the other node called this one.
    channel: Option<Channel>,
    requests: mpsc::Sender<pb::DeliverRequest>,
    pending: Pending,
    next_id: Arc<AtomicU64>,
    open: Arc<AtomicBool>,
    /// Notified once, when it is no longer open.
    ended: Arc<Notify>,
}

impl Connection {
    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire) && !self.requests.is_closed()
    }
}

pub(super) fn unreachable(node: &NodeName, what: impl std::fmt::Display) -> Rejection {
    Rejection::new(Reason::PeerUnreachable, "", format!("node `{node}`: {what}"))
}

impl Link {
    /// The connection, made when there is none. Of those who wait, one attempts it and all get its answer; an attempt
    /// that had begun before somebody asked does not answer him, because the node may have come up since.
    async fn connection(&self) -> Result<Connection, Rejection> {
        let asked = Instant::now();
        let mut slot = self.slot.lock().await;
        // A node that a newer directory no longer lists gets nothing more, on no connection.
        let directory = self.exchange.directory();
        let Some(entry) = directory.node(&self.node).map(|n| &n.entry) else {
            slot.connection = None;
            return Err(unreachable(&self.node, "it is not in the directory"));
        };
        if let Some(connection) = slot.connection.as_ref().filter(|c| c.is_open()) {
            return Ok(connection.clone());
        }
        if entry.endpoints.is_empty() {
            let what = "the directory lists no endpoint for it, and it has not connected to this node";
            return Err(unreachable(&self.node, what));
        }
        if let Some((_, rejection)) = slot.failed.as_ref().filter(|(at, _)| *at >= asked) {
            return Err(rejection.clone());
        }
        let limit = self.exchange.config().peer_connect;
        let begun = Instant::now();
        let made = tokio::time::timeout(limit, self.connect()).await.unwrap_or_else(|_| {
            Err(unreachable(&self.node, format!("no connection within {} s", limit.as_secs_f32())))
        });
        match made {
            Ok(fresh) => {
                *slot = Slot { connection: Some(fresh.clone()), failed: None };
                Ok(fresh)
            }
            Err(rejection) => {
                slot.failed = Some((begun, rejection.clone()));
                Err(rejection)
            }
        }
    }

    async fn connect(&self) -> Result<Connection, Rejection> {
        let channel = self.dial().await?;
        self.hello(&channel).await?;
        let (requests, receiver) = mpsc::channel(limits::PEER_IN_FLIGHT);
        let stream =
            client(&channel).deliver(ReceiverStream::new(receiver)).await.map_err(|s| read_failure(&s))?;
        let connection = self.carry(Some(channel.clone()), requests, stream.into_inner());
        self.keep_comparing(channel, &connection);
        Ok(connection)
    }

    /// Compares clocks and directory versions again and again while a connection lasts: a clock may jump, and a
    /// directory come into force, long after it was made.
    fn keep_comparing(&self, channel: Channel, connection: &Connection) {
        let (link, ended) = (self.me.clone(), connection.ended.clone());
        let config = self.exchange.config();
        let (every, limit) = (config.peer_compare, config.peer_connect);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(every) => {}
                    () = ended.notified() => return,
                }
                let Some(link) = link.upgrade() else { return };
                match tokio::time::timeout(limit, link.hello(&channel)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(rejection)) => {
                        tracing::info!(peer = %link.node, reason = %rejection, "clocks cannot be compared for now");
                    }
                    Err(_) => {
                        tracing::info!(peer = %link.node, limit_s = limit.as_secs(), "no answer to a comparison");
                    }
                }
            }
        });
    }

    /// The same once, beside what a connection is there for.
    pub(super) fn compare_on(&self, channel: &Channel) {
        let (link, channel) = (self.me.clone(), channel.clone());
        let limit = self.exchange.config().peer_connect;
        tokio::spawn(async move {
            if let Some(link) = link.upgrade() {
                // What is wrong with the connection shows where it is used.
                let _ = tokio::time::timeout(limit, link.hello(&channel)).await;
            }
        });
    }

    /// A connection over a stream of requests and one of answers, whoever opened them.
    fn carry(
        &self,
        channel: Option<Channel>,
        requests: mpsc::Sender<pb::DeliverRequest>,
        mut answers: Streaming<pb::DeliverResponse>,
    ) -> Connection {
        let connection = Connection {
            channel,
            requests,
            pending: Pending::default(),
            next_id: Arc::new(AtomicU64::new(1)),
            open: Arc::new(AtomicBool::new(true)),
            ended: Arc::default(),
        };
        let (node, waiting) = (self.node.clone(), connection.pending.clone());
        let (open, ended) = (connection.open.clone(), connection.ended.clone());
        let exchange = self.exchange.clone();
        tokio::spawn(async move {
            let why = loop {
                match answers.message().await {
                    Ok(Some(answer)) => {
                        if let Some(late) = answered(&waiting, answer)
                            && let Err(rejection) = exchange.settle_late(&node, &late).await
                        {
                            tracing::info!(peer = %node, reason = %rejection, "a late answer settles nothing");
                        }
                    }
                    Ok(None) => break "it closed the stream".to_owned(),
                    Err(status) => break read_failure(&status).to_string(),
                }
            };
            // From now on nothing new goes this way; what is in flight fails for now.
            open.store(false, Ordering::Release);
            ended.notify_one();
            let rest = std::mem::take(&mut *waiting.lock().expect("no holder of this lock panics"));
            for (_, waiter) in rest {
                let _ = waiter.send(Err(Failure::of_peer(unreachable(&node, &why))));
            }
        });
        connection
    }

    /// The other node called to collect: from now on messages go on its stream. What was in flight on another stays
    /// there, as far as that one lives.
    pub(super) async fn attach(
        &self,
        requests: mpsc::Sender<pb::DeliverRequest>,
        answers: Streaming<pb::DeliverResponse>,
    ) {
        let connection = self.carry(None, requests, answers);
        *self.slot.lock().await = Slot { connection: Some(connection), failed: None };
    }

    /// A channel to the other node, made when there is none.
    pub(super) async fn channel(&self) -> Result<Channel, Rejection> {
        let none = || unreachable(&self.node, "it can be answered, and not called");
        self.connection().await?.channel.ok_or_else(none)
    }

    /// Compares versions again, because the node seems to have a newer directory.
    pub async fn refresh(&self) -> Result<(), Rejection> {
        let channel = self.channel().await?;
        self.hello(&channel).await
    }

    /// A connection, within the time for it.
    pub(super) async fn dial_in_time(&self) -> Result<Channel, Rejection> {
        let limit = self.exchange.config().peer_connect;
        tokio::time::timeout(limit, self.dial()).await.unwrap_or_else(|_| {
            Err(unreachable(&self.node, format!("no connection within {} s", limit.as_secs_f32())))
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
        let HeldOf { held, newest } = self.exchange.held_of(&self.node);
        let own = self.exchange.directory();
        let ledger = self.exchange.ledger();
        let request = pb::HelloRequest {
            node: self.exchange.node().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            directory_version: own.version(),
            directory_digest: crate::wire::words::digest(&own.digest()),
            clock: ledger.now().millis(),
            checkpoint: ledger.snapshot().checkpoint().map_or_else(String::new, |c| c.note().to_owned()),
            held_checkpoint: held,
            newest_checkpoint: newest,
            lost_log: String::new(),
        };
        let asked = ledger.now();
        let answer = client(channel).hello(request).await.map_err(|s| read_failure(&s))?.into_inner();
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
        let ours = HeldOf { held: answer.held_checkpoint, newest: answer.newest_checkpoint };
        self.exchange.greeted(&self.node, &answer.checkpoint, &ours).await;
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

/// Gives an answer to who waits for it; a proof that nobody waits for any more comes back.
fn answered(pending: &Pending, answer: pb::DeliverResponse) -> Option<Proof> {
    use pb::deliver_response::Outcome;
    let waiter = pending.lock().expect("no holder of this lock panics").remove(&answer.id);
    let Some(waiter) = waiter else {
        let Some(Outcome::Receipt(proof)) = answer.outcome else { return None };
        return Proof::from_wire(proof).ok();
    };
    let result = match answer.outcome {
        Some(Outcome::Receipt(proof)) => Proof::from_wire(proof).map(Answer::Proof).map_err(Failure::of_peer),
        Some(Outcome::Reply(reply)) => Ok(Answer::Reply(reply)),
        Some(Outcome::Figures(reply)) => Ok(Answer::Figures(reply)),
        Some(Outcome::Retry(retry)) => {
            Err(Failure::of_answer(read_retry(&retry), u64::from(retry.retry_after_ms)))
        }
        None => Err(Failure::of_peer(Rejection::new(Reason::BadProof, "", "an empty answer"))),
    };
    let _ = waiter.send(result);
    None
}

/// A client of the other node's service, with this project's limits.
pub(super) fn client(channel: &Channel) -> PeerServiceClient<Channel> {
    PeerServiceClient::new(channel.clone())
        .max_decoding_message_size(limits::MESSAGE_BYTES)
        .max_encoding_message_size(limits::MESSAGE_BYTES)
}

impl Link {
    /// One message there and its answer back.
    async fn exchange_one(&self, offer: Offer, large: Option<DeliveryId>) -> Result<Proof, Failure> {
        let connection = self.connection().await.map_err(Failure::of_peer)?;
        // What the peer said of this node's log when it was called may be that nothing of it may go out any more.
        self.exchange.witness().check_own().map_err(Failure::of_this_node)?;
        let request = pb::DeliverRequest {
            // The longest; it gets its own when it goes.
            id: u64::MAX,
            envelope: offer.envelope,
            origin: Some(offer.origin.to_wire()),
            signatures: offer.signatures,
            data: offer.data.unwrap_or_default(),
            directory_version: offer.directory_version,
            lost_receipt: offer.lost_receipt.as_ref().map(Proof::to_wire),
            ask: None,
            figures: None,
        };
        // One that is over the limit would end the stream for all that are on it.
        let size = prost::Message::encoded_len(&request);
        if size > limits::MESSAGE_BYTES {
            let what =
                format!("the message has {size} bytes, at most {} go to a node", limits::MESSAGE_BYTES);
            return Err(Failure::of_this_node(Rejection::new(Reason::ContentTooLarge, "", what)));
        }
        match self.send_one(connection, request, large).await? {
            Answer::Proof(proof) => Ok(proof),
            Answer::Reply(_) | Answer::Figures(_) => {
                Err(Failure::of_peer(Rejection::new(Reason::BadProof, "", "an answer to another question")))
            }
        }
    }

    /// A request on the stream, and what comes back for it.
    async fn send_one(
        &self,
        connection: Connection,
        mut request: pb::DeliverRequest,
        large: Option<DeliveryId>,
    ) -> Result<Answer, Failure> {
        let id = connection.next_id.fetch_add(1, Ordering::Relaxed);
        request.id = id;
        let (sender, mut receiver) = oneshot::channel();
        connection.pending.lock().expect("no holder of this lock panics").insert(id, sender);
        let _forget = Forget(&connection.pending, id);
        let broke = |what| Failure::of_peer(unreachable(&self.node, what));
        let limit = self.exchange.config().peer_answer;
        let silent = || {
            Failure::of_peer(unreachable(&self.node, format!("no answer within {} s", limit.as_secs_f32())))
        };
        // A peer that does not read is as good as one that does not answer.
        match tokio::time::timeout(limit, connection.requests.send(request)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(broke("the stream is closed")),
            Err(_) => return Err(silent()),
        }
        // Large content takes its time, as long as it moves; what came before a break is hashed again first.
        let quiet = if large.is_some() { limit * 5 } else { limit };
        let ended = loop {
            match tokio::time::timeout(quiet, &mut receiver).await {
                Ok(Ok(result)) => break result,
                Ok(Err(_)) => break Err(broke("the stream broke")),
                Err(_) if large.is_some_and(|id| self.exchange.is_being_served(&id, quiet)) => {}
                Err(_) => break Err(silent()),
            }
        };
        if let Some(id) = large {
            self.exchange.end_serving(&id);
        }
        ended
    }
}

/// Takes a waiter out, however the wait for it ends.
struct Forget<'a>(&'a Pending, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.lock().expect("no holder of this lock panics").remove(&self.1);
    }
}

impl PeerLink for Link {
    fn deliver(&self, offer: Offer) -> Boxed<'_, Result<Proof, Failure>> {
        Box::pin(async move {
            if offer.data.is_some() {
                return self.exchange_one(offer, None).await;
            }
            let id =
                crate::wire::envelope::decode(&offer.envelope).map_err(Failure::of_this_node)?.delivery_id;
            let _serving = self.serve_content();
            self.exchange_one(offer, Some(id)).await
        })
    }
}

impl WitnessLink for Link {
    fn ask(&self, ask: Ask) -> Boxed<'_, Result<Reply, Rejection>> {
        Box::pin(async move {
            let connection = self.connection().await?;
            let request = pb::DeliverRequest { ask: Some(ask.to_wire()), ..pb::DeliverRequest::default() };
            match self.send_one(connection, request, None).await.map_err(|failure| failure.rejection)? {
                Answer::Reply(reply) => Reply::from_wire(reply),
                Answer::Proof(_) | Answer::Figures(_) => Err(no_answer()),
            }
        })
    }

    fn greet(&self) -> Boxed<'_, Result<(), Rejection>> {
        Box::pin(async move {
            let channel = self.dial_in_time().await?;
            self.hello(&channel).await
        })
    }
}

fn no_answer() -> Rejection {
    Rejection::new(Reason::BadProof, "", "what came answers no question")
}

impl FiguresLink for Link {
    fn ask(&self, ask: network::Ask) -> Boxed<'_, Result<network::Reply, Rejection>> {
        Box::pin(async move {
            let connection = self.connection().await?;
            let request =
                pb::DeliverRequest { figures: Some(ask.to_wire()), ..pb::DeliverRequest::default() };
            match self.send_one(connection, request, None).await.map_err(|failure| failure.rejection)? {
                Answer::Figures(reply) => network::Reply::from_wire(reply),
                Answer::Proof(_) | Answer::Reply(_) => Err(no_answer()),
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
