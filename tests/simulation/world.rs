//! The nodes of one run, their lives, and the checks that never rest.

use std::fmt::Arguments;
use std::future::Future;
use std::hash::{DefaultHasher, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lienthong::domain::decide::Command;
use lienthong::domain::event::EventKind;
use lienthong::domain::{NodeName, Reason, Rejection};
use lienthong::exchange::Exchange;
use lienthong::exchange::courier::{self, LocalLink, PeerLink};
use lienthong::ledger::{Ledger, LedgerConfig};
use lienthong::merkle::Hash;
use lienthong::wire::proof::Proof;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::dice::Dice;
use crate::fixture::{FIXTURE, NODES, log_signer, start};
use crate::life::{Life, LifeClock, SimClock};
use crate::net::{Net, SimLink};
use crate::observer::Observer;
use crate::platter::{End, Faults, Platter};

/// A node, over all of its lives.
pub struct Site {
    pub name: NodeName,
    pub platter: Platter,
    pub clock: Arc<SimClock>,
    pub observer: Mutex<Observer>,
    /// It has the revocation list without which signatures cannot be judged.
    pub has_crl: AtomicBool,
    running: Mutex<Option<Running>>,
}

/// A node that runs.
struct Running {
    life: Arc<Life>,
    exchange: Exchange,
    tasks: JoinSet<()>,
    _stop: watch::Sender<bool>,
}

/// What happened in a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub documents: u64,
    pub acknowledged: u64,
    pub deliveries: u64,
    pub events: u64,
    pub kills: u64,
    pub cuts: u64,
    pub faults: u64,
    pub undelivered: u64,
    pub refused: u64,
    /// Of these, received all the same: the answer never came back.
    pub late: u64,
    pub held: u64,
}

/// One run.
pub struct World {
    pub nodes: Vec<Site>,
    pub net: Net,
    /// Faults go on.
    pub is_rough: AtomicBool,
    pub counts: Mutex<Counts>,
    pub dice: Dice,
    ended: mpsc::UnboundedSender<usize>,
    violation: Mutex<Option<String>>,
    digest: Mutex<DefaultHasher>,
    is_shown: bool,
    began: tokio::time::Instant,
}

impl Counts {
    /// Both together.
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            documents: self.documents + other.documents,
            acknowledged: self.acknowledged + other.acknowledged,
            deliveries: self.deliveries + other.deliveries,
            events: self.events + other.events,
            kills: self.kills + other.kills,
            cuts: self.cuts + other.cuts,
            faults: self.faults + other.faults,
            undelivered: self.undelivered + other.undelivered,
            refused: self.refused + other.refused,
            late: self.late + other.late,
            held: self.held + other.held,
        }
    }
}

impl World {
    /// Of so many nodes, none of which runs.
    pub fn new(seed: u64, nodes: usize, is_shown: bool) -> Arc<World> {
        let dice = Dice::new(seed);
        let (ended, ends) = mpsc::unbounded_channel();
        let site = |i: usize| {
            let name = NodeName::new(NODES[i]).unwrap();
            let signer = log_signer(&name);
            Site {
                platter: Platter::new(dice.fork(100 + i as u64)),
                clock: Arc::new(SimClock::new(start())),
                observer: Mutex::new(Observer::new(NODES[i], signer.verifier())),
                has_crl: AtomicBool::new(true),
                running: Mutex::default(),
                name,
            }
        };
        let world = Arc::new(World {
            nodes: (0..nodes).map(site).collect(),
            net: Net::new(dice.fork(1)),
            is_rough: AtomicBool::new(false),
            counts: Mutex::default(),
            dice: dice.fork(2),
            ended,
            violation: Mutex::default(),
            digest: Mutex::default(),
            is_shown,
            began: tokio::time::Instant::now(),
        });
        tokio::spawn(world.clone().bury(ends));
        world
    }

    /// Something that happened: part of the trace by which two runs are compared.
    pub fn note(&self, what: Arguments<'_>) {
        let line = format!("{:>8} {what}", self.began.elapsed().as_millis());
        if self.is_shown {
            eprintln!("{line}");
        }
        self.digest.lock().unwrap().write(line.as_bytes());
    }

    /// Digest of everything that happened.
    pub fn digest(&self) -> u64 {
        self.digest.lock().unwrap().finish()
    }

    /// Something that must not be.
    pub fn violate(&self, what: String) {
        self.note(format_args!("VIOLATION {what}"));
        self.violation.lock().unwrap().get_or_insert(what);
    }

    /// The first thing that must not have been.
    pub fn violation(&self) -> Option<String> {
        self.violation.lock().unwrap().clone()
    }

    /// A check; what it says is a violation.
    pub fn require(&self, holds: Result<(), String>) {
        holds.unwrap_or_else(|what| self.violate(what));
    }

    /// Reads on in a node's log.
    pub fn advance(&self, at: usize) {
        let site = &self.nodes[at];
        let mut observer = site.observer.lock().unwrap();
        let held = observer.advance(&site.platter, |leaf| self.leaf(at, leaf));
        let settled = std::mem::take(&mut observer.to_compare);
        let receipts: Vec<_> =
            settled.iter().filter_map(|id| Some((*id, observer.outgoing.get(id)?.clone()))).collect();
        drop(observer);
        self.require(held);
        for (id, sent) in receipts {
            self.compare(at, id, &sent);
        }
    }

    fn leaf(&self, at: usize, leaf: &Hash) {
        self.counts.lock().unwrap().events += 1;
        self.note(format_args!("{} leaf {leaf}", NODES[at]));
    }

    /// A receipt that an origin settled is an event of the recipient's log, which is durable.
    fn compare(&self, at: usize, id: lienthong::domain::DeliveryId, sent: &crate::observer::Outgoing) {
        let Some((receipt, outcome)) = &sent.receipt else { return };
        let Some(peer) = self.nodes.iter().position(|n| n.name.as_str() == sent.peer) else { return };
        if peer != at {
            self.advance(peer);
        }
        let observer = self.nodes[peer].observer.lock().unwrap();
        let found = observer.leaf(receipt.index) == Some(receipt.leaf_hash);
        let known = observer.incoming.get(&id).filter(|known| known.origin == sent.place);
        let agrees =
            known.is_some_and(|known| known.agrees(*outcome) && known.answers.contains(&receipt.index));
        drop(observer);
        if !found || receipt.log != self.nodes[peer].name.log_origin(1) || !agrees {
            let name = NODES[at];
            self.violate(format!(
                "{name} settled {id} as {outcome} by {receipt:?}, which {} did not record",
                sent.peer
            ));
        }
    }

    /// A proof that left a node.
    pub fn shown(&self, at: usize, proof: &Proof) {
        self.advance(at);
        let held = self.nodes[at].observer.lock().unwrap().proves(proof);
        self.require(held);
    }

    /// An event that a client was told of.
    pub fn acknowledged(&self, at: usize, index: u64, leaf: Hash) {
        self.advance(at);
        self.counts.lock().unwrap().acknowledged += 1;
        if self.nodes[at].observer.lock().unwrap().leaf(index) != Some(leaf) {
            self.violate(format!("{} acknowledged event {index}, which is not durable", NODES[at]));
        }
    }

    /// A refusal that left a node: none may say that the node is damaged.
    pub fn refused(&self, at: usize, rejection: &Rejection) {
        self.note(format_args!("{} says {} {}", NODES[at], rejection.reason, rejection.message));
        if matches!(rejection.reason, Reason::Damaged | Reason::Internal) {
            self.violate(format!("{}: {rejection}", NODES[at]));
        }
    }

    /// Calls a node; `None` when it does not run or ends before it answers.
    pub async fn call<T, F>(
        self: &Arc<Self>,
        at: usize,
        call: impl FnOnce(Exchange, Arc<Life>) -> F + Send + 'static,
    ) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        let (sender, answer) = oneshot::channel();
        self.reap(at);
        {
            let mut running = self.nodes[at].running.lock().unwrap();
            let running = running.as_mut()?;
            let (life, exchange) = (running.life.clone(), running.exchange.clone());
            running.tasks.spawn(async move {
                if life.step() {
                    let answer = call(exchange, life.clone()).await;
                    if life.step() {
                        let _ = sender.send(answer);
                    }
                }
            });
        }
        answer.await.ok()
    }

    /// A node's life, while it runs.
    pub fn life(&self, at: usize) -> Option<Arc<Life>> {
        self.nodes[at].running.lock().unwrap().as_ref().map(|r| r.life.clone()).filter(|l| l.is_on())
    }

    /// Begins a life of a node, which may end while it begins.
    pub fn start(self: &Arc<Self>, at: usize, fuse: Option<u64>) {
        let site = &self.nodes[at];
        let life = Life::new(at, self.ended.clone());
        if let Some(steps) = fuse {
            life.end_after(steps);
        }
        let failed = site.platter.failed();
        let clock = Arc::new(LifeClock { clock: site.clock.clone(), life: life.clone() });
        let opened = Ledger::open_in_memory(LedgerConfig {
            data: PathBuf::new(),
            disk: Arc::new(site.platter.disk(life.clone())),
            signer: log_signer(&site.name),
            previous: None,
            clock,
            random: Arc::new(self.dice.fork(1000 + at as u64)),
            cache_bytes: 0,
            journal_segment_bytes: 12_000,
        });
        let (ledger, writer, opened) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.note(format_args!("{} does not open: {error}", NODES[at]));
                if life.is_on() && site.platter.failed() == failed {
                    self.violate(format!("{} does not open: {error}", NODES[at]));
                }
                life.end();
                return;
            }
        };
        self.note(format_args!("{} opens {opened:?}", NODES[at]));
        if life.is_on() {
            self.advance(at);
            let same = site.observer.lock().unwrap().opened(&ledger.snapshot());
            self.require(same);
        }
        let directory = FIXTURE.directory.current();
        ledger.stamp().set(directory.version(), directory.valid_until());
        let exchange = Exchange::new(FIXTURE.configs[at].clone(), ledger, FIXTURE.directory.clone());
        if site.has_crl.load(Ordering::Relaxed) {
            exchange.set_crls(FIXTURE.crls.clone());
        }
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(writer);
        tasks.spawn({
            let (exchange, life) = (exchange.clone(), life.clone());
            async move {
                exchange.ledger().failure().await;
                life.end();
            }
        });
        let local: Arc<dyn PeerLink> = Arc::new(LocalLink::new(exchange.clone()));
        let (world, of) = (self.clone(), life.clone());
        let link = move |peer: &NodeName| -> Arc<dyn PeerLink> {
            let to = world.nodes.iter().position(|n| n.name == *peer).unwrap();
            if to == at {
                local.clone()
            } else {
                Arc::new(SimLink { world: world.clone(), life: of.clone(), to })
            }
        };
        tasks.spawn(courier::run(exchange.clone(), link, stopped));
        tasks.spawn({
            let exchange = exchange.clone();
            async move {
                let kind = EventKind::Started { version: "simulated".to_owned(), unwitnessed: true };
                let _ = exchange.ledger().commit(Command::Note { kind }).await;
                let _ = exchange.judge_held().await;
            }
        });
        *site.running.lock().unwrap() = Some(Running { life, exchange, tasks, _stop: stop });
    }

    /// Sees to it that what has ended is gone, and comes back.
    async fn bury(self: Arc<Self>, mut ends: mpsc::UnboundedReceiver<usize>) {
        while let Some(at) = ends.recv().await {
            self.end(at, None);
            let wait = if self.is_rough.load(Ordering::Relaxed) {
                self.dice.millis(0, 8_000)
            } else {
                Duration::ZERO
            };
            let world = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                // It may end while it begins, or soon after.
                let rough = world.is_rough.load(Ordering::Relaxed);
                let fuse = (rough && world.dice.chance(200)).then(|| world.dice.between(1, 80));
                world.start(at, fuse);
            });
        }
    }

    /// What a life leaves: by chance, its process or the power has gone; or as is said, and then without luck.
    pub fn end(&self, at: usize, how: Option<End>) {
        let running = self.nodes[at].running.lock().unwrap().take();
        let cut = self.dice.chance(500);
        let how_it_was = how.unwrap_or(if cut { End::Cut } else { End::Killed });
        self.note(format_args!("{} ends, {how_it_was:?}", NODES[at]));
        self.nodes[at].platter.end(how_it_was, how.is_none());
        let mut counts = self.counts.lock().unwrap();
        if how_it_was == End::Cut {
            counts.cuts += 1
        } else {
            counts.kills += 1
        }
        drop(counts);
        drop(running);
    }

    /// Lets go of a node's tasks that have ended; none panics.
    pub fn reap(&self, at: usize) {
        let mut running = self.nodes[at].running.lock().unwrap();
        let Some(running) = running.as_mut() else { return };
        while let Some(ended) = running.tasks.try_join_next() {
            if ended.is_err_and(|e| e.is_panic()) {
                self.violate(format!("a task of {} panicked", NODES[at]));
            }
        }
    }

    /// No faults from now on.
    pub fn calm(&self) {
        self.is_rough.store(false, Ordering::Relaxed);
        self.net.set_rough(Default::default());
        self.net.set_cut(Default::default());
        for (at, site) in self.nodes.iter().enumerate() {
            site.platter.set_faults(Faults::default());
            self.life(at).iter().for_each(|life| life.last());
        }
    }

    /// The exchange of a node that runs.
    pub fn exchange(&self, at: usize) -> Option<Exchange> {
        self.nodes[at].running.lock().unwrap().as_ref().map(|r| r.exchange.clone())
    }
}
