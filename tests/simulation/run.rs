//! One run: a world, its work and its faults, until everything has come to its end; and what must hold then.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lienthong::audit;
use lienthong::domain::{DeliveryState, Kind};

use crate::dice::Dice;
use crate::dms::Systems;
use crate::fixture::{FIXTURE, NODES, log_signer};
use crate::life::Life;
use crate::net::Rough;
use crate::observer::{Came, Incoming, Outgoing};
use crate::platter::{End, Faults};
use crate::world::{Counts, World};

/// Longest time, by the world's clock, until all is settled once there are no more faults.
const SETTLES: Duration = Duration::from_secs(3600);

/// How a run is made.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    /// Disks say that they have synced, and have not.
    pub lying_disks: bool,
    /// Show what happens.
    pub is_shown: bool,
}

impl Plan {
    /// Of a seed.
    pub fn of(seed: u64) -> Plan {
        Plan { seed, lying_disks: false, is_shown: false }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub violation: Option<String>,
    /// Digest of all that happened.
    pub digest: u64,
    pub counts: Counts,
}

/// Runs it.
pub fn run(plan: Plan) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let dice = Dice::new(plan.seed);
        let nodes = *dice.pick(&[3, 3, 3, 4, 4, 5, 6, 7]);
        let world = World::new(plan.seed, nodes, plan.is_shown);
        live(&plan, &world, &dice).await;
        for at in 0..nodes {
            world.end(at, Some(End::Killed));
        }
        Outcome {
            violation: world.violation(),
            digest: world.digest(),
            counts: *world.counts.lock().unwrap(),
        }
    })
}

async fn live(plan: &Plan, world: &Arc<World>, dice: &Dice) {
    let rough = Chaos::of(dice);
    world.note(format_args!("seed {}: {} nodes, {rough:?}", plan.seed, world.nodes.len()));
    world.is_rough.store(true, Ordering::Relaxed);
    world.net.set_rough(rough.net);
    for (at, site) in world.nodes.iter().enumerate() {
        site.platter.set_faults(Faults { lies: plan.lying_disks, ..Faults::default() });
        site.has_crl.store(dice.chance(700), Ordering::Relaxed);
        world.start(at, None);
    }
    let systems = Systems::new(world.clone(), dice.fork(3));
    for at in 0..world.nodes.len() {
        systems.take_in(at);
    }
    let documents = dice.between(2, 7);
    world.counts.lock().unwrap().documents = documents;
    for number in 1..=documents {
        let doc = systems.document(number);
        systems.send(doc, dice.millis(0, rough.lasts_ms * 2 / 3));
    }
    rough.rage(plan, world, dice).await;
    world.calm();
    world.note(format_args!("calm"));
    for (at, site) in world.nodes.iter().enumerate() {
        site.platter.set_faults(Faults { lies: plan.lying_disks, ..Faults::default() });
        bring_list(world, at).await;
    }
    let calm = tokio::time::Instant::now();
    loop {
        if is_settled(world, &systems) {
            // A system that is told something may do something.
            systems.follow().await;
            if is_settled(world, &systems) {
                break;
            }
        }
        if world.violation().is_some() {
            return;
        }
        if calm.elapsed() > SETTLES {
            world.violate(format!(
                "not settled after {} s: {}",
                SETTLES.as_secs(),
                unsettled(world, &systems)
            ));
            return;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    systems.followed_all().await;
    systems.stop();
    finish(world).await;
}

/// The list comes without which signatures cannot be judged.
async fn bring_list(world: &Arc<World>, at: usize) {
    if world.nodes[at].has_crl.swap(true, Ordering::Relaxed) {
        return;
    }
    world.note(format_args!("{} gets the list", NODES[at]));
    let judged = world.call(at, |exchange, _| async move {
        exchange.set_crls(FIXTURE.crls.clone());
        exchange.judge_held().await
    });
    // One that ends meanwhile has it when it starts again.
    if let Some(Err(rejection)) = judged.await {
        world.refused(at, &rejection);
    }
}

/// The faults of a run.
#[derive(Debug, Clone, Copy)]
struct Chaos {
    lasts_ms: u64,
    net: Rough,
    /// Which of the other faults there are, and how often one comes.
    kinds: [bool; 6],
    pause_ms: u64,
}

impl Chaos {
    fn of(dice: &Dice) -> Chaos {
        let rate = |most: u64| if dice.chance(500) { dice.between(1, most) } else { 0 };
        let net = Rough { lost: rate(300), doubled: rate(200), late: rate(200), wrong: rate(100) };
        let kinds = std::array::from_fn(|_| dice.chance(600));
        Chaos { lasts_ms: dice.between(10_000, 60_000), net, kinds, pause_ms: dice.between(500, 5_000) }
    }

    async fn rage(&self, plan: &Plan, world: &Arc<World>, dice: &Dice) {
        let began = tokio::time::Instant::now();
        while began.elapsed() < Duration::from_millis(self.lasts_ms) && world.violation().is_none() {
            tokio::time::sleep(dice.millis(1, self.pause_ms)).await;
            let at = dice.below(world.nodes.len() as u64) as usize;
            let kind = dice.below(self.kinds.len() as u64) as usize;
            if self.kinds[kind] {
                self.strike(kind, plan, world, dice, at).await;
            }
        }
    }

    async fn strike(&self, kind: usize, plan: &Plan, world: &Arc<World>, dice: &Dice, at: usize) {
        let site = &world.nodes[at];
        match kind {
            0 | 1 => {
                let steps = dice.between(1, *dice.pick(&[20, 200, 2_000]));
                world.note(format_args!("{} shall end after {steps} steps", site.name));
                world.life(at).iter().for_each(|life: &Arc<Life>| life.end_after(steps));
            }
            2 => world.net.set_cut(cut(dice, world.nodes.len())),
            3 => {
                let far = *dice.pick(&[100, 5_000, 600_000, 7_200_000, 6 * 86_400_000_u64]);
                let off = dice.below(far) as i64;
                let off = if dice.chance(500) { -off.min(7_200_000) } else { off };
                world.note(format_args!("the clock of {} is off by {off} ms", site.name));
                site.clock.set_off(off);
            }
            4 => {
                let full = dice.chance(300);
                let permille = if full { 0 } else { dice.between(0, 40) };
                world.note(format_args!("the disk of {} fails {permille}, full: {full}", site.name));
                site.platter.set_faults(Faults { permille, full, lies: plan.lying_disks });
            }
            _ => bring_list(world, at).await,
        }
    }
}

/// Ways that are cut: none, those of one node, or those between two halves, one way or both.
fn cut(dice: &Dice, nodes: usize) -> BTreeSet<(usize, usize)> {
    if dice.chance(300) {
        return BTreeSet::new();
    }
    let here = dice.below((1 << nodes) - 1) + 1;
    let is_here = |at: usize| here >> at & 1 == 1;
    let both = dice.chance(700);
    let all = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
    all.filter(|(from, to)| is_here(*from) && !is_here(*to) || both && !is_here(*from) && is_here(*to))
        .collect()
}

/// Whether everything has come to its end.
fn is_settled(world: &Arc<World>, systems: &Systems) -> bool {
    if systems.are_busy() || (0..world.nodes.len()).any(|at| world.life(at).is_none()) {
        return false;
    }
    (0..world.nodes.len()).for_each(|at| world.advance(at));
    world.nodes.iter().all(|site| {
        let observer = site.observer.lock().unwrap();
        observer.open().next().is_none() && observer.incoming.values().all(|i| !waits(i))
    })
}

fn waits(incoming: &Incoming) -> bool {
    let document = incoming.item.kind().is_document();
    let ended = incoming.given_back || incoming.state == Came::Refused;
    document && !incoming.handed_over && !ended
}

fn unsettled(world: &World, systems: &Systems) -> String {
    let mut what = vec![format!("systems are busy: {}", systems.are_busy())];
    for (at, site) in world.nodes.iter().enumerate() {
        let observer = site.observer.lock().unwrap();
        let open: Vec<_> = observer.open().map(|o| (o.item.delivery_id, o.state, o.peer.clone())).collect();
        let waiting = observer.incoming.values().filter(|i| waits(i)).map(|i| (i.item.delivery_id, i.state));
        what.push(format!("{}: open {open:?}, waiting {:?}", NODES[at], waiting.collect::<Vec<_>>()));
    }
    what.join("; ")
}

/// What must hold at the end: of what is written, of what is kept beside it, and between the nodes; and all of it again
/// after the power was cut everywhere.
async fn finish(world: &Arc<World>) {
    for (at, site) in world.nodes.iter().enumerate() {
        let Some(exchange) = world.exchange(at) else { return };
        let key = log_signer(&site.name);
        let disk = Arc::new(site.platter.durable());
        let checked =
            audit::check(Path::new("journal"), disk, exchange.ledger().index(), key.verifier(), |_| {});
        match checked {
            Ok(checked) if checked.is_clean() => {}
            Ok(checked) => world.violate(format!("the audit of {}: {:?}", site.name, checked.findings)),
            Err(error) => world.violate(format!("the audit of {}: {error}", site.name)),
        }
    }
    between(world);
    for at in 0..world.nodes.len() {
        if let Some(life) = world.life(at) {
            // Whoever is told of it comes too late: it ends here, and without luck.
            life.end();
            world.end(at, Some(End::Cut));
        }
        world.start(at, None);
        content(world, at);
    }
}

/// What origins and recipients say of each other's deliveries.
fn between(world: &World) {
    let mut counts = *world.counts.lock().unwrap();
    for (at, site) in world.nodes.iter().enumerate() {
        let observer = site.observer.lock().unwrap();
        let sent: Vec<Outgoing> = observer.outgoing.values().cloned().collect();
        drop(observer);
        for sent in sent {
            let id = sent.item.delivery_id;
            let peer = world.nodes.iter().find(|n| n.name.as_str() == sent.peer).unwrap();
            let there = peer.observer.lock().unwrap().incoming.get(&id).map(|i| i.state);
            counts.deliveries += 1;
            let agree = match sent.state {
                DeliveryState::Delivered => there == Some(Came::Received),
                DeliveryState::Refused | DeliveryState::Withdrawn => there == Some(Came::Refused),
                // Provisional: nobody knows what became of it.
                DeliveryState::Undelivered => true,
                _ => false,
            };
            counts.refused += u64::from(sent.state == DeliveryState::Refused);
            counts.undelivered += u64::from(sent.state == DeliveryState::Undelivered);
            counts.late +=
                u64::from(sent.state == DeliveryState::Undelivered && there == Some(Came::Received));
            if !agree {
                world.violate(format!("{id} is {} at {}, {there:?} at {}", sent.state, NODES[at], sent.peer));
            }
            if sent.item.kind() == Kind::New {
                statuses(world, at, &sent);
            }
        }
        for (id, came) in &site.observer.lock().unwrap().incoming {
            counts.held += u64::from(came.released);
            let origin = world.nodes.iter().find(|n| came.origin.log == n.name.log_origin(1)).unwrap();
            if std::ptr::eq(origin, site) {
                continue;
            }
            let known =
                origin.observer.lock().unwrap().outgoing.get(id).is_some_and(|o| o.place == came.origin);
            if !known {
                world.violate(format!("{id} came to {} and was never sent", NODES[at]));
            }
        }
    }
    counts.faults = world.nodes.iter().map(|n| n.platter.failed()).sum();
    *world.counts.lock().unwrap() = counts;
}

/// The sender was told the statuses that the recipient gave, in their order; all of them when none was given up.
fn statuses(world: &World, at: usize, sent: &Outgoing) {
    let id = sent.item.delivery_id;
    let peer = world.nodes.iter().find(|n| n.name.as_str() == sent.peer).unwrap();
    let given = peer.observer.lock().unwrap().given.get(&id).cloned().unwrap_or_default();
    let told = world.nodes[at].observer.lock().unwrap().told.get(&id).cloned().unwrap_or_default();
    let mut rest = given.iter();
    if !told.iter().all(|status| rest.any(|g| g == status)) {
        world.violate(format!("{id}: {given:?} was given, {told:?} was told"));
    }
    let about = |o: &&Outgoing| matches!(&o.item.subject, lienthong::domain::event::Subject::Notice(n) if n.target == id);
    let observer = peer.observer.lock().unwrap();
    let all = observer.outgoing.values().filter(about).all(|o| o.state == DeliveryState::Delivered);
    if all && told != given {
        world.violate(format!("{id}: {given:?} was given and delivered, {told:?} was told"));
    }
}

/// Everything that the log names is there, after the power was cut.
fn content(world: &Arc<World>, at: usize) {
    let Some(exchange) = world.exchange(at) else {
        return world.violate(format!("{} does not come back", NODES[at]));
    };
    let ledger = exchange.ledger();
    for index in 0..ledger.snapshot().size() {
        let event = ledger.leaf(index).ok().flatten().map(|leaf| lienthong::wire::leaf::decode(&leaf));
        let Some(Ok(event)) = event else {
            return world.violate(format!("{}: event {index} cannot be read", NODES[at]));
        };
        use lienthong::domain::EventKind::{Received, Refused, Settled, Submitted};
        let named = match event.kind {
            Submitted { item, content_digests, .. } => [vec![item.envelope_digest], content_digests].concat(),
            Received { item, content_digests, origin_proof, .. }
            | Refused { item, content_digests, origin_proof, .. } => {
                [vec![item.envelope_digest, origin_proof], content_digests].concat()
            }
            Settled { receipt_proof, .. } => vec![receipt_proof],
            _ => Vec::new(),
        };
        for digest in named {
            if !matches!(ledger.content().get(&digest), Ok(Some(_))) {
                world.violate(format!("{}, event {index}: content {digest} is not there", NODES[at]));
            }
        }
    }
}
