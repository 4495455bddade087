//! Nodes that cannot be reached: the directory lists no endpoint for them, so they call, and others answer.
//!
//! ```text
//! unreachable node U                                    node C, with an endpoint
//!   dials, keeps the connection ── Deliver ──────────▶  as ever
//!   keeps a stream open         ── Collect ──────────▶  C delivers to U on it: requests come back as answers
//!   pulls content of C's offers ── Content ──────────▶  as ever
//!   delivers large content      ── ServeContent ─────▶  C asks on it for content of U's offers, U sends the pieces
//! ```
//! U keeps a `Collect` stream to every node that has an endpoint and hosts an agency, and makes it again with back-off
//! when it breaks. Messages that C sends on it have the same semantics as those of `Deliver`: many in flight, answered in
//! any order with the same proofs. What was in flight when it broke stays in C's outbox.
//!
//! A `ServeContent` stream stands by for one request of C and ends with it; then the next stands by. So each transfer
//! has a stream and a flow control of its own. They use a connection of their own, which is there only while U delivers
//! large content to C.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::link::{Link, client, unreachable};
use super::peer::{PeerApi, read_failure, read_retry};
use super::tls::Identity;
use crate::directory::{Directory, Node};
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::limits;
use crate::domain::reason::Rejection;
use crate::exchange::Exchange;
use crate::exchange::accept::{Boxed, ContentPieces};
use crate::exchange::courier::backoff::Backoff;
use crate::wire::pb;

/// The waits before the next call when one failed or ended.
const AGAIN: Backoff = Backoff { first: 200, last: 30_000 };
/// A call that lasted so long was a good one: the next wait is the first again.
const LASTED: Duration = Duration::from_secs(30);
/// Streams of one node that stand by at once.
const STANDING_BY: usize = 2 * limits::LARGE_IN_FLIGHT;

/// Whether a node of a directory must call because nobody can call it.
fn must_call(node: Option<&Node>) -> bool {
    node.is_some_and(|n| n.entry.endpoints.is_empty())
}

/// Nodes that this one must call to collect: those with an endpoint that host agencies.
fn to_call(exchange: &Exchange, directory: &Directory) -> HashSet<NodeName> {
    if !must_call(directory.node(exchange.node())) {
        return HashSet::new();
    }
    let today = exchange.ledger().now().date();
    directory
        .agencies()
        .iter()
        .filter_map(|a| a.node(today))
        .filter(|name| *name != exchange.node())
        .filter(|name| directory.node(name).is_some_and(|n| !n.entry.endpoints.is_empty()))
        .cloned()
        .collect()
}

/// Collects from every node that it must, until the node stops; follows the directory.
pub async fn run(api: PeerApi) {
    let exchange = api.exchange();
    let mut stop = api.stop();
    let mut versions = exchange.directories().subscribe();
    let mut calls = JoinSet::new();
    let mut called: HashMap<NodeName, AbortHandle> = HashMap::new();
    loop {
        versions.borrow_and_update();
        let wanted = to_call(exchange, &exchange.directory());
        called.retain(|node, call| {
            let keep = wanted.contains(node) && !call.is_finished();
            if !keep {
                call.abort();
            }
            keep
        });
        for node in wanted {
            called.entry(node.clone()).or_insert_with(|| calls.spawn(collect(api.clone(), node)));
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|s| *s) => break,
            changed = versions.changed() => if changed.is_err() { break },
        }
    }
    // What is being accepted comes to its end; the streams end by themselves.
    while calls.join_next().await.is_some() {}
}

/// Collects from one node, again and again.
async fn collect(api: PeerApi, node: NodeName) {
    let mut stop = api.stop();
    let name = format!("{} collects from {node}", api.exchange().node());
    let seed = crate::merkle::sha256(name.as_bytes());
    let seed = seed.as_bytes().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    let mut tries = 0;
    loop {
        let began = Instant::now();
        let ended = collect_once(&api, &node).await;
        if *stop.borrow() {
            return;
        }
        if began.elapsed() >= LASTED {
            tries = 0;
        }
        let wait = AGAIN.wait(tries, seed);
        tries += 1;
        match ended {
            Ok(()) => tracing::info!(peer = %node, wait_ms = wait, "the stream to collect on ended"),
            Err(rejection) => {
                tracing::info!(peer = %node, reason = %rejection, wait_ms = wait, "cannot collect for now");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

async fn collect_once(api: &PeerApi, node: &NodeName) -> Result<(), Rejection> {
    let exchange = api.exchange();
    let channel = api.links().to(node).channel().await?;
    let (answers, receiver) = mpsc::channel(limits::PEER_IN_FLIGHT);
    // Only a called node can end a stream with a status; here it ends without.
    let answered = ReceiverStream::new(receiver).filter_map(Result::ok);
    let offers = client(&channel).collect(answered).await.map_err(|s| read_failure(&s))?.into_inner();
    tracing::info!(peer = %node, "collecting");
    // What waits for that node may go now, too.
    exchange.queues().nudge(node);
    let network = exchange.directory().network().to_owned();
    let identity = Identity::Node { network, node: node.to_string() };
    match api.serve_offers(node, &identity, offers, answers).await {
        None => Ok(()),
        Some(status) => Err(read_failure(&status)),
    }
}

/// Streams on which a node that cannot be reached waits to serve content.
pub(super) struct StandBy {
    sender: mpsc::Sender<OnCall>,
    receiver: Mutex<mpsc::Receiver<OnCall>>,
}

/// One of them.
pub(super) struct OnCall {
    /// It stays open until this is dropped.
    ask: mpsc::Sender<Result<pb::ContentRequest, Status>>,
    pieces: Streaming<pb::ServedContent>,
}

impl ContentPieces for OnCall {
    fn next(&mut self) -> Boxed<'_, Result<Option<bytes::Bytes>, Rejection>> {
        Box::pin(async move {
            let Some(piece) = self.pieces.message().await.map_err(|s| read_failure(&s))? else {
                return Ok(None);
            };
            match &piece.failure {
                Some(failure) => Err(read_retry(failure)),
                None => Ok(Some(piece.data)),
            }
        })
    }
}

impl Default for StandBy {
    fn default() -> StandBy {
        let (sender, receiver) = mpsc::channel(STANDING_BY);
        StandBy { sender, receiver: Mutex::new(receiver) }
    }
}

impl StandBy {
    /// A stream that was opened; what comes out at the other end is to be asked on it. `None` where too many stand by.
    pub(super) fn add(
        &self,
        pieces: Streaming<pb::ServedContent>,
    ) -> Option<mpsc::Receiver<Result<pb::ContentRequest, Status>>> {
        let (ask, asked) = mpsc::channel(1);
        self.sender.try_send(OnCall { ask, pieces }).ok().map(|()| asked)
    }
}

/// This node serves its content to another, until nobody holds this any more.
pub(super) struct Serving(AbortHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    /// Whether the other node cannot be called.
    pub(super) fn must_call(&self) -> bool {
        must_call(self.exchange.directory().node(&self.node))
    }

    /// Content of an offer of a node that cannot be called: asked on a stream on which it stands by.
    pub(super) async fn open_on_standby(
        &self,
        request: pb::ContentRequest,
    ) -> Result<Box<dyn ContentPieces>, Rejection> {
        let limit = self.exchange.config().peer_answer;
        let silent = || unreachable(&self.node, format!("no content within {} s", limit.as_secs_f32()));
        let find = async {
            let mut standing_by = self.standby.receiver.lock().await;
            loop {
                let on_call = standing_by.recv().await?;
                // One whose node has gone stands by no more.
                if on_call.ask.send(Ok(request.clone())).await.is_ok() {
                    return Some(on_call);
                }
            }
        };
        let found = tokio::time::timeout(limit, find).await.map_err(|_| silent())?;
        Ok(Box::new(found.ok_or_else(silent)?))
    }

    /// Serves this node's content to the other while the result is held; `None` where the other can call.
    pub(super) fn serve_content(&self) -> Option<Arc<Serving>> {
        if !must_call(self.exchange.directory().node(self.exchange.node())) {
            return None;
        }
        let mut serving = self.serving.lock().expect("no holder of this lock panics");
        if let Some(already) = serving.upgrade() {
            return Some(already);
        }
        let task = tokio::spawn(serve_content(self.me.clone()));
        let fresh = Arc::new(Serving(task.abort_handle()));
        *serving = Arc::downgrade(&fresh);
        Some(fresh)
    }
}

/// Keeps one stream standing by, and serves on those that were asked.
async fn serve_content(link: Weak<Link>) {
    let places = Arc::new(Semaphore::new(STANDING_BY));
    // They end with this task.
    let mut served = JoinSet::new();
    let mut tries = 0;
    let mut channel: Option<Channel> = None;
    loop {
        let Some(link) = link.upgrade() else { return };
        let Ok(place) = places.clone().acquire_owned().await else { return };
        while served.try_join_next().is_some() {}
        let asked = async {
            let open = match &channel {
                Some(channel) => channel.clone(),
                None => {
                    let channel = link.dial_in_time().await?;
                    link.compare_on(&channel);
                    channel
                }
            };
            channel = Some(open.clone());
            let (pieces, receiver) = mpsc::channel(4);
            let stream = client(&open)
                .serve_content(ReceiverStream::new(receiver))
                .await
                .map_err(|s| read_failure(&s))?;
            let mut asks = stream.into_inner();
            let request = asks.message().await.map_err(|s| read_failure(&s))?;
            let request = request.ok_or_else(|| unreachable(&link.node, "it asked for nothing"))?;
            Ok::<_, Rejection>((request, asks, pieces))
        };
        match asked.await {
            Ok((request, asks, pieces)) => {
                tries = 0;
                let link = link.clone();
                served.spawn(async move {
                    serve_one(&link, request, asks, pieces).await;
                    drop(place);
                });
            }
            Err(rejection) => {
                channel = None;
                let wait = AGAIN.wait(tries, u64::from(std::process::id()));
                tries += 1;
                tracing::info!(peer = %link.node, reason = %rejection, wait_ms = wait,
                    "content cannot be served for now");
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
        }
    }
}

/// Sends what was asked for, piece by piece.
async fn serve_one(
    link: &Link,
    request: pb::ContentRequest,
    mut asks: Streaming<pb::ContentRequest>,
    pieces: mpsc::Sender<pb::ServedContent>,
) {
    let content = DeliveryId::from_slice(&request.delivery_id)
        .and_then(|id| link.exchange.content_for_peer(&link.node, id, request.part, request.offset));
    let failed = |rejection: &Rejection| pb::ServedContent {
        data: bytes::Bytes::new(),
        failure: Some(super::peer::retry(rejection)),
    };
    match content {
        Err(rejection) => {
            let _ = pieces.send(failed(&rejection)).await;
        }
        Ok(mut content) => loop {
            let (message, over) = match content.next().await {
                Ok(Some(data)) => (pb::ServedContent { data, failure: None }, false),
                Ok(None) => break,
                Err(rejection) => (failed(&rejection), true),
            };
            if pieces.send(message).await.is_err() {
                return;
            }
            if over {
                break;
            }
        },
    }
    drop(pieces);
    // The other side ends the stream when it has everything; ended here, what is on the way would be lost.
    while let Ok(Some(_)) = asks.message().await {}
}
