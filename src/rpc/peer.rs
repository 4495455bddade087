//! `PeerService`: what other nodes call. Every message is authorised by the directory in force, so a node that is no
//! longer listed is refused with the next message.

use std::sync::Arc;

use prost::Message as _;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::guard::stopping;
use super::link::Links;
use super::quota::{Quotas, What, holder};
use super::tls::Identity;
use super::{content, identity, refuse, unreadable};
use crate::domain::ids::NodeName;
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::Exchange;
use crate::exchange::accept::Offer;
use crate::exchange::witness::HeldOf;
use crate::report::network::Giving;
use crate::time::Timestamp;
use crate::wire::pb::peer_service_server::PeerService;
use crate::wire::proof::Proof;
use crate::wire::witness::Ask;
use crate::wire::{failure, network, pb, words};

/// The service.
#[derive(Clone)]
pub struct PeerApi {
    exchange: Exchange,
    links: Links,
    quotas: Quotas,
    /// What nodes that collect figures are given.
    giving: Giving,
    /// The node has begun: before, it says hello and nothing else.
    ready: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
}

impl PeerApi {
    /// Over the steps; large content is pulled over `links`. Until `ready`, only hellos are answered: what else comes
    /// waits, because its answer would be signed.
    pub fn new(
        exchange: Exchange,
        links: Links,
        quotas: Quotas,
        giving: Giving,
        ready: watch::Receiver<bool>,
        stop: watch::Receiver<bool>,
    ) -> PeerApi {
        PeerApi { exchange, links, quotas, giving, ready, stop }
    }

    async fn ready(&self) -> Result<(), Status> {
        let (mut ready, mut stop) = (self.ready.clone(), self.stop.clone());
        tokio::select! {
            begun = ready.wait_for(|r| *r) => begun.map(|_| ()).map_err(|_| refuse(stopping())),
            _ = stop.wait_for(|s| *s) => Err(refuse(stopping())),
        }
    }
}

/// The listed node that calls.
fn peer<T>(exchange: &Exchange, request: &Request<T>) -> Result<NodeName, Status> {
    let Identity::Node { network, node } = identity(request)? else {
        return Err(refuse(Rejection::new(
            Reason::UnknownCaller,
            "",
            "the certificate is not that of a node: peers need one of the network's authority",
        )));
    };
    listed(exchange, &network, &node).map_err(refuse)
}

fn listed(exchange: &Exchange, network: &str, node: &str) -> Result<NodeName, Rejection> {
    let name = NodeName::new(node)?;
    let directory = exchange.directory();
    let identity = crate::directory::build::node_identity(network, &name);
    if directory.node(&name).is_some_and(|n| n.entry.tls_identity == identity) {
        return Ok(name);
    }
    Err(Rejection::new(
        Reason::UnknownCaller,
        "",
        format!("node `{name}` is not in directory version {}: have it listed first", directory.version()),
    ))
}

type Answer<T> = Result<Response<T>, Status>;

/// What goes to a node that collects, until it has gone or this node stops.
fn forward(
    mut requests: mpsc::Receiver<pb::DeliverRequest>,
    mut stop: watch::Receiver<bool>,
) -> mpsc::Receiver<Result<pb::DeliverRequest, Status>> {
    let (sender, receiver) = mpsc::channel(limits::PEER_IN_FLIGHT);
    tokio::spawn(async move {
        loop {
            let request = tokio::select! {
                request = requests.recv() => request,
                () = sender.closed() => return,
                _ = stop.wait_for(|s| *s) => return,
            };
            let Some(request) = request else { return };
            if sender.send(Ok(request)).await.is_err() {
                return;
            }
        }
    });
    receiver
}

impl PeerApi {
    /// The steps.
    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The ways to peers.
    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// Whether this node stops.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// Takes messages from a node and answers them, many at once, until its stream ends or this node stops; gives back
    /// how the stream failed, if it did.
    pub(super) async fn serve_offers(
        &self,
        name: &NodeName,
        identity: &Identity,
        mut offers: Streaming<pb::DeliverRequest>,
        answers: mpsc::Sender<Result<pb::DeliverResponse, Status>>,
    ) -> Option<Status> {
        let (quotas, who) = (&self.quotas, holder(Some(identity)));
        let mut stop = self.stop.clone();
        // A peer that does not read its answers is not read from either.
        let places = Arc::new(Semaphore::new(limits::PEER_IN_FLIGHT));
        loop {
            let place = places.clone().acquire_owned().await.ok()?;
            let message = tokio::select! {
                message = offers.message() => message,
                () = async { drop(stop.wait_for(|s| *s).await) } => {
                    // What came is answered; what is sent after it goes on the next stream.
                    drop(place);
                    let _ = places.acquire_many(limits::PEER_IN_FLIGHT as u32).await;
                    let _ = answers.send(Err(refuse(stopping()))).await;
                    return None;
                }
            };
            let message = match message {
                Ok(message) => message?,
                Err(status) => {
                    // Nothing more can be read on this stream. What came before is answered first, unless nobody is
                    // there any more; then the other side is told why.
                    drop(place);
                    tokio::select! {
                        _ = places.acquire_many(limits::PEER_IN_FLIGHT as u32) => {}
                        () = answers.closed() => {}
                    }
                    let status = unreadable(status);
                    let _ = answers.send(Err(status.clone())).await;
                    return Some(status);
                }
            };
            // Over its share, over all its streams, it is not read from.
            let document = quotas.wait(&who, What::Documents, 1).await;
            let bytes = quotas.wait(&who, What::Bytes, message.encoded_len()).await;
            let (api, answers) = (self.clone(), answers.clone());
            let (name, identity) = (name.clone(), identity.clone());
            tokio::spawn(async move {
                let answer = accept(&api, &name, &identity, message).await;
                if let Some(pb::deliver_response::Outcome::Retry(retry)) = &answer.outcome {
                    api.quotas.refused(read_retry(retry).reason);
                }
                drop((document, bytes));
                let _ = answers.send(Ok(answer)).await;
                drop(place);
            });
        }
    }
}

pub(super) fn retry(rejection: &Rejection) -> pb::Retry {
    pb::Retry {
        reason: rejection.reason.code().to_owned(),
        message: rejection.message.clone(),
        // A refusal that is no event is tried again in any case.
        retry_after_ms: rejection.reason.retry_after_ms().max(1_000),
    }
}

fn read_offer(request: pb::DeliverRequest) -> Result<(u64, Offer, bool), Rejection> {
    let origin = request.origin.ok_or_else(|| Rejection::missing("origin"))?;
    if request.signatures.len() > limits::SIGNATURES {
        return Err(Rejection::new(
            Reason::TooMany,
            "signatures",
            format!("{} are more than the {} allowed", request.signatures.len(), limits::SIGNATURES),
        ));
    }
    let inline = !request.data.is_empty();
    let offer = Offer {
        envelope: request.envelope,
        origin: Proof::from_wire(origin)?,
        signatures: request.signatures,
        data: Some(request.data),
        directory_version: request.directory_version,
        lost_receipt: request.lost_receipt.map(Proof::from_wire).transpose()?,
    };
    Ok((request.id, offer, inline))
}

#[tonic::async_trait]
impl PeerService for PeerApi {
    type DeliverStream = ReceiverStream<Result<pb::DeliverResponse, Status>>;

    async fn deliver(&self, request: Request<Streaming<pb::DeliverRequest>>) -> Answer<Self::DeliverStream> {
        let name = peer(&self.exchange, &request)?;
        self.ready().await?;
        let identity = identity(&request)?;
        let stream = request.into_inner();
        let (answers, receiver) = mpsc::channel(limits::PEER_IN_FLIGHT);
        let api = self.clone();
        // Who delivers is there to be delivered to.
        self.exchange.queues().nudge(&name);
        tokio::spawn(async move {
            if let Some(status) = api.serve_offers(&name, &identity, stream, answers).await {
                tracing::info!(peer = %name, reason = %read_failure(&status), "a stream of messages broke off");
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    type CollectStream = ReceiverStream<Result<pb::DeliverRequest, Status>>;

    async fn collect(&self, request: Request<Streaming<pb::DeliverResponse>>) -> Answer<Self::CollectStream> {
        let name = peer(&self.exchange, &request)?;
        self.ready().await?;
        let (requests, receiver) = mpsc::channel(1);
        self.links.to(&name).attach(requests, request.into_inner()).await;
        self.exchange.queues().nudge(&name);
        tracing::info!(peer = %name, "a node that cannot be reached collects");
        Ok(Response::new(ReceiverStream::new(forward(receiver, self.stop.clone()))))
    }

    type ContentStream = ReceiverStream<Result<pb::ContentResponse, Status>>;

    async fn content(&self, request: Request<pb::ContentRequest>) -> Answer<Self::ContentStream> {
        let name = peer(&self.exchange, &request)?;
        content::serve(&self.exchange, &name, request.get_ref()).map(Response::new).map_err(refuse)
    }

    type ServeContentStream = ReceiverStream<Result<pb::ContentRequest, Status>>;

    async fn serve_content(
        &self,
        request: Request<Streaming<pb::ServedContent>>,
    ) -> Answer<Self::ServeContentStream> {
        let name = peer(&self.exchange, &request)?;
        let asked = self.links.to(&name).standby.add(request.into_inner()).ok_or_else(|| {
            let message = "so many streams stand by for content already: open one when one was asked on";
            refuse(Rejection::new(Reason::Overloaded, "", message))
        })?;
        Ok(Response::new(ReceiverStream::new(asked)))
    }

    async fn hello(&self, request: Request<pb::HelloRequest>) -> Answer<pb::HelloResponse> {
        // A certificate of the network's authority is enough: versions are compared before a node is listed, too.
        let Identity::Node { .. } = identity(&request)? else {
            return Err(refuse(Rejection::new(Reason::UnknownCaller, "", "only nodes say hello")));
        };
        let directory = self.exchange.directory();
        let ledger = self.exchange.ledger();
        let mut ours = HeldOf::default();
        let mut held_lost = String::new();
        if let Ok(name) = peer(&self.exchange, &request) {
            if request.get_ref().directory_version > directory.version() {
                refresh(&self.links, &name);
            }
            // As it was before the caller said what it has now.
            ours = self.exchange.held_of(&name);
            let request = request.get_ref();
            held_lost = self.exchange.held_lost(&name, &request.lost_log);
            let theirs =
                HeldOf { held: request.held_checkpoint.clone(), newest: request.newest_checkpoint.clone() };
            self.exchange.greeted(&name, &request.checkpoint, &theirs).await;
            let theirs = request.clock;
            if theirs > 0 {
                self.exchange.clocks().heard(&name, Timestamp::from_millis(theirs), ledger.now());
            }
        }
        let checkpoint = ledger.snapshot().checkpoint().map_or_else(String::new, |c| c.note().to_owned());
        Ok(Response::new(pb::HelloResponse {
            node: self.exchange.node().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            directory_version: directory.version(),
            directory_digest: words::digest(&directory.digest()),
            clock: ledger.now().millis(),
            checkpoint,
            held_checkpoint: ours.held,
            newest_checkpoint: ours.newest,
            held_lost,
        }))
    }

    async fn consistency(&self, request: Request<pb::ConsistencyRequest>) -> Answer<pb::ConsistencyResponse> {
        peer(&self.exchange, &request)?;
        self.ready().await?;
        let request = request.into_inner();
        let ledger = self.exchange.ledger();
        let snapshot = ledger.snapshot();
        let path = ledger.prove_consistency(request.from, request.to, &snapshot).map_err(refuse)?;
        let checkpoint = snapshot.checkpoint().map_or_else(String::new, |c| c.note().to_owned());
        Ok(Response::new(pb::ConsistencyResponse { path: words::digests(&path), checkpoint }))
    }
}

/// Fetches the peer's newer directory, beside what is going on.
fn refresh(links: &Links, name: &NodeName) {
    let link = links.to(name);
    tokio::spawn(async move {
        if let Err(rejection) = link.refresh().await {
            tracing::info!(reason = %rejection, "a peer's newer directory could not be fetched yet");
        }
    });
}

/// One message: authorised, accepted, answered.
async fn accept(
    api: &PeerApi,
    name: &NodeName,
    identity: &Identity,
    message: pb::DeliverRequest,
) -> pb::DeliverResponse {
    use pb::deliver_response::Outcome;
    let id = message.id;
    let (exchange, links) = (&api.exchange, &api.links);
    let answer = async {
        if let Identity::Node { network, node } = identity {
            listed(exchange, network, node)?;
        }
        if let Some(ask) = message.ask {
            let reply = exchange.answer(name, Ask::from_wire(ask)?).await?;
            return Ok(Outcome::Reply(reply.to_wire()));
        }
        if let Some(ask) = message.figures {
            let reply = api.giving.answer(name, network::Ask::from_wire(ask)?).await?;
            return Ok(Outcome::Figures(reply.to_wire()));
        }
        let (_, mut offer, inline) = read_offer(message)?;
        if !inline && crate::wire::envelope::decode(&offer.envelope)?.content_size() > 0 {
            offer.data = None;
        }
        let link = links.to(name);
        exchange.accept(name, offer, &*link).await.map(|proof| Outcome::Receipt(proof.to_wire()))
    };
    let outcome = match answer.await {
        Ok(outcome) => outcome,
        Err(rejection) => {
            if rejection.reason == Reason::DirectoryBehind {
                refresh(links, name);
            }
            tracing::info!(peer = %name, reason = %rejection.reason, field = %rejection.field,
                "a message was answered without an event");
            Outcome::Retry(retry(&rejection))
        }
    };
    pb::DeliverResponse { id, outcome: Some(outcome) }
}

/// The reason of an answer without an event.
pub(super) fn read_retry(retry: &pb::Retry) -> Rejection {
    let reason = retry.reason.parse().unwrap_or(Reason::Internal);
    Rejection::new(reason, "", retry.message.clone())
}

/// The reason of a failed call to a peer.
pub(super) fn read_failure(status: &Status) -> Rejection {
    failure::read_status(status)
}
