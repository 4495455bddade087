//! Peers that a test plays: one that nodes call ([`FakePeer`]), and one that calls a node ([`Calling`]).

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use lienthong::config::{Config, Share};
use lienthong::domain::EventKind;
use lienthong::domain::event::Item;
use lienthong::merkle::Hash;
use lienthong::rpc::link::connect_tls;
use lienthong::rpc::quota::Quotas;
use lienthong::rpc::serve;
use lienthong::rpc::tls::{NodeTls, client_tls};
use lienthong::wire::pb;
use lienthong::wire::pb::deliver_response::Outcome;
use lienthong::wire::pb::peer_service_client::PeerServiceClient;
use lienthong::wire::pb::peer_service_server::{PeerService, PeerServiceServer};
use lienthong::wire::proof::Proof;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use super::log::{event, place};
use super::{TestNet, eventually, key, name, pem};

/// How a played peer answers an offer; `None`: not at all.
pub type Answer = Arc<dyn Fn(&pb::DeliverRequest) -> Option<Outcome> + Send + Sync>;

/// How a played peer answers what a witness asks.
pub type Replies = Arc<dyn Fn(pb::WitnessAsk) -> Outcome + Send + Sync>;

/// How a played peer answers what a node asks that collects figures.
pub type Figures = Arc<dyn Fn(pb::FiguresAsk) -> Outcome + Send + Sync>;

/// It is no witness, and has none.
fn no_witness() -> Replies {
    let retry = pb::Retry { reason: "unimplemented".into(), ..Default::default() };
    Arc::new(move |_| Outcome::Retry(retry.clone()))
}

/// A peer that a test plays, on the port of a node of the network.
pub struct FakePeer {
    state: Arc<State>,
    runtime: Option<Runtime>,
    stop: watch::Sender<bool>,
}

impl Drop for FakePeer {
    /// It goes, with every connection, and its port is free.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct State {
    answer: Mutex<Answer>,
    offers: Mutex<Vec<pb::DeliverRequest>>,
    replies: Mutex<Replies>,
    figures: Mutex<Option<Figures>>,
    hello: Mutex<pb::HelloResponse>,
    deaf: AtomicBool,
    /// The newest stream of answers.
    answers: Mutex<Option<mpsc::Sender<Result<pb::DeliverResponse, Status>>>>,
}

impl FakePeer {
    /// Listens where the directory says that `node` is, with that node's certificate.
    pub async fn start(net: &TestNet, node: &str, answer: Answer) -> FakePeer {
        FakePeer::start_as(net, node, net.config(node), answer).await
    }

    /// The same with the certificate of another configuration.
    pub async fn start_as(net: &TestNet, node: &str, of: &Config, answer: Answer) -> FakePeer {
        let mut fake = FakePeer::new(answer);
        fake.listen(net, node, of).await;
        fake
    }

    /// One that does not listen yet: what it says from the first moment on is set before it does.
    pub fn new(answer: Answer) -> FakePeer {
        let state = Arc::new(State {
            answer: Mutex::new(answer),
            offers: Mutex::default(),
            replies: Mutex::new(no_witness()),
            figures: Mutex::default(),
            hello: Mutex::default(),
            deaf: AtomicBool::new(false),
            answers: Mutex::default(),
        });
        FakePeer { state, runtime: None, stop: watch::Sender::new(false) }
    }

    /// Listens where the directory says that `node` is, with the certificate of this configuration.
    pub async fn listen(&mut self, net: &TestNet, node: &str, of: &Config) {
        let address = net.config(node).listen_peers;
        let free = || async { TcpListener::bind(address).await.ok() };
        self.listen_on(eventually("the port is free", free).await.into_std().unwrap(), of);
    }

    /// The same on a port that is held already.
    pub fn listen_on(&mut self, listener: std::net::TcpListener, of: &Config) {
        let tls = NodeTls::load(of).unwrap().peers;
        let stopped = self.stop.subscribe();
        let quotas = Quotas::new(Share::PEER, of.idle);
        let router = serve::builder(&quotas, stopped.clone())
            .add_service(PeerServiceServer::new(Service(self.state.clone())));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _of_this_runtime = runtime.enter();
            TcpListener::from_std(listener).unwrap()
        };
        runtime.spawn(serve::serve(router, quotas, listener, tls, stopped));
        self.runtime = Some(runtime);
    }

    /// From now on it answers so.
    pub fn answers(&self, answer: Answer) {
        *self.state.answer.lock().unwrap() = answer;
    }

    /// From now on it says this when it is greeted; at first it knows no newer directory, and has nothing to say.
    pub fn greets(&self, hello: pb::HelloResponse) {
        *self.state.hello.lock().unwrap() = hello;
    }

    /// From now on it answers witnesses so; at first it does not know how.
    pub fn replies(&self, replies: Replies) {
        *self.state.replies.lock().unwrap() = replies;
    }

    /// From now on it states figures so; at first it does not answer.
    pub fn states(&self, figures: Figures) {
        *self.state.figures.lock().unwrap() = Some(figures);
    }

    /// From the next stream on it reads nothing, or again something.
    pub fn is_deaf(&self, deaf: bool) {
        self.state.deaf.store(deaf, Ordering::SeqCst);
    }

    /// It says something by itself on the newest stream.
    pub async fn says(&self, id: u64, outcome: Outcome) {
        let answers = self.state.answers.lock().unwrap().clone().unwrap();
        answers.send(Ok(pb::DeliverResponse { id, outcome: Some(outcome) })).await.unwrap();
    }

    /// What it was offered so far.
    pub fn offers(&self) -> Vec<pb::DeliverRequest> {
        self.state.offers.lock().unwrap().clone()
    }
}

struct Service(Arc<State>);

#[tonic::async_trait]
impl PeerService for Service {
    type DeliverStream = ReceiverStream<Result<pb::DeliverResponse, Status>>;

    async fn deliver(
        &self,
        request: Request<Streaming<pb::DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let mut offers = request.into_inner();
        let (answers, receiver) = mpsc::channel(64);
        let state = self.0.clone();
        *state.answers.lock().unwrap() = Some(answers.clone());
        tokio::spawn(async move {
            if state.deaf.load(Ordering::SeqCst) {
                answers.closed().await;
                return;
            }
            while let Ok(Some(offer)) = offers.message().await {
                if let Some(ask) = offer.ask {
                    let replies = state.replies.lock().unwrap().clone();
                    let outcome = Some(replies(ask));
                    let _ = answers.send(Ok(pb::DeliverResponse { id: offer.id, outcome })).await;
                    continue;
                }
                if let Some(ask) = offer.figures {
                    let figures = state.figures.lock().unwrap().clone();
                    if let Some(figures) = figures {
                        let outcome = Some(figures(ask));
                        let _ = answers.send(Ok(pb::DeliverResponse { id: offer.id, outcome })).await;
                    }
                    continue;
                }
                state.offers.lock().unwrap().push(offer.clone());
                let answer = state.answer.lock().unwrap().clone();
                if let Some(outcome) = answer(&offer) {
                    let _ =
                        answers.send(Ok(pb::DeliverResponse { id: offer.id, outcome: Some(outcome) })).await;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    type CollectStream = ReceiverStream<Result<pb::DeliverRequest, Status>>;

    async fn collect(
        &self,
        _: Request<Streaming<pb::DeliverResponse>>,
    ) -> Result<Response<Self::CollectStream>, Status> {
        Err(Status::unimplemented("not played"))
    }

    type ContentStream = ReceiverStream<Result<pb::ContentResponse, Status>>;

    async fn content(&self, _: Request<pb::ContentRequest>) -> Result<Response<Self::ContentStream>, Status> {
        Err(Status::unimplemented("not played"))
    }

    type ServeContentStream = ReceiverStream<Result<pb::ContentRequest, Status>>;

    async fn serve_content(
        &self,
        _: Request<Streaming<pb::ServedContent>>,
    ) -> Result<Response<Self::ServeContentStream>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn hello(&self, _: Request<pb::HelloRequest>) -> Result<Response<pb::HelloResponse>, Status> {
        Ok(Response::new(self.0.hello.lock().unwrap().clone()))
    }

    async fn consistency(
        &self,
        _: Request<pb::ConsistencyRequest>,
    ) -> Result<Response<pb::ConsistencyResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }
}

/// What a receipt says; a test changes what shall be wrong.
pub struct Receipt {
    pub item: Item,
    pub content_digests: Vec<Hash>,
    pub origin: lienthong::domain::event::LogRef,
    pub verdicts: lienthong::domain::event::RoleVerdicts,
}

impl Receipt {
    /// The receipt that an honest node gives for an offer.
    pub fn of(offer: &pb::DeliverRequest) -> Receipt {
        let proof = Proof::from_wire(offer.origin.clone().unwrap()).unwrap();
        let EventKind::Submitted { item, content_digests, verdicts, .. } = event(&proof.leaf) else {
            panic!("an offer proves its submission");
        };
        Receipt { item, content_digests, origin: place(&proof), verdicts }
    }

    /// As the event that the node would record.
    pub fn received(self) -> EventKind {
        EventKind::Received {
            item: self.item,
            content_digests: self.content_digests,
            verdicts: self.verdicts,
            judged: Default::default(),
            held: false,
            origin: self.origin,
            origin_proof: Hash([7; 32]),
            peer: name("a"),
        }
    }

    /// As a refusal.
    pub fn refused(self, reason: lienthong::domain::Reason) -> EventKind {
        EventKind::Refused {
            item: self.item,
            content_digests: self.content_digests,
            verdicts: self.verdicts,
            judged: Default::default(),
            reason,
            origin: self.origin,
            origin_proof: Hash([7; 32]),
            peer: name("a"),
        }
    }
}

/// A peer that a test plays, calling a node.
pub struct Calling {
    pub peer: PeerServiceClient<Channel>,
}

impl TestNet {
    /// Calls a node's port for peers with the certificate of another node.
    pub async fn calling(&self, from: &str, to: &str) -> Calling {
        let dir = self.path(from);
        self.calling_with(&dir.join("node"), to).await.unwrap()
    }

    /// Calls a node's port for peers with this certificate.
    pub async fn calling_with(&self, files: &Path, to: &str) -> Result<Calling, String> {
        let tls = client_tls(&pem(files), &key(files), &self.path("clients/network-ca.pem")).unwrap();
        let address = self.config(to).listen_peers.to_string();
        let (channel, _) = connect_tls(tls, &address, to).await?;
        Ok(Calling { peer: PeerServiceClient::new(channel) })
    }
}

impl Calling {
    /// Offers one message and takes the answer.
    pub async fn offer(&mut self, offer: pb::DeliverRequest) -> Result<Outcome, Status> {
        // The stream stays open until the answer is there.
        let (sender, receiver) = mpsc::channel(1);
        sender.send(offer).await.unwrap();
        let mut answers = self.peer.deliver(ReceiverStream::new(receiver)).await?.into_inner();
        let answer = answers.message().await?.ok_or_else(|| Status::cancelled("no answer"))?;
        Ok(answer.outcome.unwrap())
    }
}
