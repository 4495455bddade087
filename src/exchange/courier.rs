//! The courier: what waits in the outbox goes to its peers.
//!
//! One task per peer, so that one peer that is down, slow or hostile changes nothing for the others. A task takes
//! messages from the outbox fold by urgency, then in log order, up to a window in flight; each is loaded from the
//! store when its turn comes, so memory is bounded by the window. What fails for now waits with exponential back-off
//! and jitter; what has outlived its `not_after` is given up as Undelivered. After a crash the outbox, a fold, is all
//! that is needed to go on. Notices about one delivery go one after the other, so that its statuses arrive in the order
//! in which they were given; a notice whose turn has not come waits behind the one before it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Exchange;
use super::accept::{Boxed, ContentPieces, ContentSource, Offer, is_inline};
use super::stored::Stored;
use super::transfer::places::Parked;
use crate::domain::decide::Command;
use crate::domain::document::Urgency;
use crate::domain::fold::records::Outgoing;
use crate::domain::fold::{keys, load};
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{DeliveryState, limits};
use crate::ledger::{LedgerError, damaged};
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::wire::proof::Proof;

/// The first wait after a failure.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// The longest.
const BACKOFF_LAST: Duration = Duration::from_secs(60);
/// First and longest wait before the other node is asked again what became of something that it holds.
const HELD_FIRST: Duration = Duration::from_secs(1);
const HELD_LAST: Duration = Duration::from_secs(600);
/// How often a quiet task looks for messages whose time is over.
const IDLE: Duration = Duration::from_secs(30);

/// The way to a peer.
pub trait PeerLink: Send + Sync {
    /// Delivers one message and returns the peer's proof; an error means that there is none, try again.
    fn deliver(&self, offer: Offer) -> Boxed<'_, Result<Proof, Rejection>>;
}

/// The way to agencies of this node: the same steps, no network.
pub struct LocalLink {
    exchange: Exchange,
}

impl LocalLink {
    /// Of this node.
    pub fn new(exchange: Exchange) -> LocalLink {
        LocalLink { exchange }
    }
}

impl PeerLink for LocalLink {
    fn deliver(&self, offer: Offer) -> Boxed<'_, Result<Proof, Rejection>> {
        Box::pin(async move {
            let node = self.exchange.node().clone();
            self.exchange.accept(&node, offer, self).await
        })
    }
}

impl ContentSource for LocalLink {
    fn open(
        &self,
        delivery: DeliveryId,
        part: u32,
        offset: u64,
    ) -> Boxed<'_, Result<Box<dyn ContentPieces>, Rejection>> {
        Box::pin(async move {
            let own = self.exchange.node();
            Ok(Box::new(self.exchange.content_for_peer(own, delivery, part, offset)?) as Box<_>)
        })
    }
}

/// How a peer's queue stands.
#[derive(Debug, Clone, Default)]
pub struct QueueState {
    /// Messages in flight.
    pub in_flight: u64,
    /// The newest failure, for a person.
    pub last_error: String,
    /// When the next try is, if the task waits for it.
    pub next_try: Option<Timestamp>,
}

/// Queues by peer, for `status`.
#[derive(Clone, Default)]
pub struct Queues {
    states: Arc<Mutex<BTreeMap<NodeName, QueueState>>>,
}

impl Queues {
    /// Of every peer that a task runs for.
    pub fn all(&self) -> BTreeMap<NodeName, QueueState> {
        self.states.lock().expect("no holder of this lock panics").clone()
    }

    fn set(&self, peer: &NodeName, f: impl FnOnce(&mut QueueState)) {
        f(self.states.lock().expect("no holder of this lock panics").entry(peer.clone()).or_default());
    }
}

/// Starts tasks as peers appear in the outbox. `link` makes the way to a peer.
pub async fn run(
    exchange: Exchange,
    queues: Queues,
    link: impl Fn(&NodeName) -> Arc<dyn PeerLink> + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) {
    let mut head = exchange.ledger().subscribe();
    let mut tasks: HashMap<NodeName, Arc<Notify>> = HashMap::new();
    let mut running = JoinSet::new();
    let mut since = 0;
    loop {
        let size = exchange.ledger().snapshot().size();
        let found = peers(&exchange, since);
        let again = found.is_err();
        if let Err(error) = &found {
            tracing::error!(%error, "the outboxes cannot be read");
        } else {
            since = size;
        }
        for peer in found.unwrap_or_default() {
            let wake = tasks.entry(peer.clone()).or_insert_with(|| {
                let wake = Arc::new(Notify::new());
                let task = PeerTask {
                    exchange: exchange.clone(),
                    queues: queues.clone(),
                    link: link(&peer),
                    peer: peer.clone(),
                    wake: wake.clone(),
                    large: Arc::new(Semaphore::new(limits::PEER_LARGE)),
                };
                running.spawn(task.run(stop.clone()));
                wake
            });
            wake.notify_one();
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|s| *s) => break,
            changed = head.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(IDLE), if again => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Peers for which something waits since the log had `size` events.
fn peers(exchange: &Exchange, size: u64) -> Result<Vec<NodeName>, StoreError> {
    let prefix = keys::outboxes();
    let mut from = prefix.clone();
    let mut out = Vec::new();
    loop {
        let found = exchange.ledger().index().scan_new(&prefix, &from, 1, size)?;
        let Some((key, _)) = found.first() else { return Ok(out) };
        let name = &key[prefix.len()..];
        let Some(end) = name.iter().position(|b| *b == 0) else { return Ok(out) };
        if let Some(node) = std::str::from_utf8(&name[..end]).ok().and_then(|n| NodeName::new(n).ok()) {
            out.push(node);
        }
        // The next peer's keys begin after all of this one's.
        from = [&key[..prefix.len() + end], &[1]].concat();
    }
}

struct PeerTask {
    exchange: Exchange,
    queues: Queues,
    link: Arc<dyn PeerLink>,
    peer: NodeName,
    wake: Arc<Notify>,
    /// Places of messages whose content is pulled: small ones pass them.
    large: Arc<Semaphore>,
}

/// A message that is tried.
#[derive(Debug, Clone, Copy)]
struct Message {
    id: DeliveryId,
    /// For a notice: the delivery that it is about.
    target: Option<DeliveryId>,
    /// Failures so far.
    tries: u32,
}

/// Messages under way.
type Work = JoinSet<(Message, Result<End, Rejection>)>;

/// How a try ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing is left to do.
    Over,
    /// The other node has it in custody, and is asked again.
    Held,
    /// It has large content, and waits for its place among such messages.
    Parked(Urgency, u64),
}

/// What the task remembers between turns.
#[derive(Default)]
struct Turn {
    /// Where to go on in the outbox, by urgency: entries only ever come after it.
    next: [u64; 4],
    /// Size of the log up to which nothing more waits, by urgency.
    drained: [u64; 4],
    in_flight: HashSet<DeliveryId>,
    delayed: BTreeMap<(Instant, u64), Message>,
    /// Deliveries about which a notice is under way or delayed, and the notices behind it.
    notices: HashMap<DeliveryId, VecDeque<Message>>,
    /// Number of notices that wait behind another.
    behind: usize,
    /// Messages with large content that wait for a place.
    parked: Parked<Message>,
    sequence: u64,
    /// Failures in a row of the peer itself.
    failures: u32,
}

impl PeerTask {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut turn = Turn::default();
        let mut work = Work::new();
        loop {
            if *stop.borrow() {
                break;
            }
            self.fill(&mut turn, &mut work);
            let next_due = turn.delayed.keys().next().map_or_else(|| Instant::now() + IDLE, |(at, _)| *at);
            self.queues.set(&self.peer, |q| q.in_flight = turn.in_flight.len() as u64);
            // Every turn looks at all of it, whichever woke the task: the order starves none, and a run can be repeated.
            tokio::select! {
                biased;
                _ = stop.wait_for(|s| *s) => break,
                Some(done) = work.join_next(), if !work.is_empty() => {
                    let mut done = Some(done);
                    while let Some(joined) = done {
                        if let Ok((message, outcome)) = joined {
                            self.finished(&mut turn, &mut work, message, outcome);
                        }
                        done = work.try_join_next();
                    }
                }
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(next_due) => {}
            }
        }
        // What is under way may still come to its end; the rest is in the outbox.
        work.abort_all();
    }

    /// Puts messages in flight: what is due again, then what is new, first to send first.
    fn fill(&self, turn: &mut Turn, work: &mut Work) {
        let now = Instant::now();
        // While the peer itself does not answer, a few messages probe it.
        let window = if turn.failures > 0 { 4 } else { limits::PEER_IN_FLIGHT };
        while turn.in_flight.len() < window {
            let Some(entry) = turn.delayed.first_entry().filter(|e| e.key().0 <= now) else { break };
            let message = entry.remove();
            self.start(turn, work, message);
        }
        if turn.failures > 0 && !turn.delayed.is_empty() {
            return;
        }
        // While a commit is applied to sled, a scan may see its later records before its earlier ones, and nobody would
        // come back for those. What is below the published size is all there.
        let size = self.exchange.ledger().snapshot().size();
        for urgency in Urgency::ALL {
            if turn.drained[urgency as usize] == size {
                continue;
            }
            'urgency: while turn.in_flight.len() + turn.behind < window && !turn.parked.is_full() {
                let from = turn.next[urgency as usize];
                let prefix = [keys::outbox_of(&self.peer), vec![urgency as u8]].concat();
                let wanted = window - turn.in_flight.len() - turn.behind;
                let found = self.exchange.ledger().index().scan_new(
                    &prefix,
                    &keys::outbox(&self.peer, urgency, from),
                    wanted,
                    from,
                );
                let found = match found {
                    Ok(found) if !found.is_empty() => found,
                    Ok(_) => {
                        turn.drained[urgency as usize] = size;
                        break;
                    }
                    Err(error) => {
                        tracing::error!(%error, peer = %self.peer, "the outbox cannot be read");
                        break;
                    }
                };
                for (key, value) in found {
                    let Some(index) = keys::index_of(&key) else { continue };
                    if index >= size {
                        break 'urgency;
                    }
                    turn.next[urgency as usize] = index + 1;
                    if let Ok(id) = DeliveryId::from_slice(&value) {
                        self.enter(turn, work, id);
                    }
                }
            }
        }
    }

    /// A message that comes out of the outbox: in flight, or behind an earlier notice about the same delivery.
    fn enter(&self, turn: &mut Turn, work: &mut Work, id: DeliveryId) {
        let record: Option<Outgoing> = match load(self.exchange.ledger(), &keys::outgoing(&id)) {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(%error, delivery = %id, "a message of the outbox cannot be read");
                return;
            }
        };
        let Some(record) = record else { return };
        let message = Message { id, target: record.facts.target, tries: 0 };
        if let Some(target) = message.target {
            if let Some(behind) = turn.notices.get_mut(&target) {
                behind.push_back(message);
                turn.behind += 1;
                return;
            }
            turn.notices.insert(target, VecDeque::new());
        }
        self.start(turn, work, message);
    }

    fn start(&self, turn: &mut Turn, work: &mut Work, message: Message) {
        if turn.in_flight.insert(message.id) {
            let exchange = self.exchange.clone();
            let (link, large) = (self.link.clone(), self.large.clone());
            work.spawn(async move { (message, deliver(&exchange, &*link, &large, message.id).await) });
        }
    }

    fn finished(&self, turn: &mut Turn, work: &mut Work, message: Message, outcome: Result<End, Rejection>) {
        let Message { id, tries, target } = message;
        turn.in_flight.remove(&id);
        match outcome {
            Ok(End::Parked(urgency, index)) => {
                turn.parked.park(urgency, index, message);
                return;
            }
            Ok(End::Held) => {
                turn.failures = 0;
                turn.sequence += 1;
                let wait = HELD_FIRST.saturating_mul(1 << tries.min(16)).min(HELD_LAST);
                let again = Message { tries: tries + 1, ..message };
                turn.delayed.insert((Instant::now() + wait, turn.sequence), again);
            }
            Ok(End::Over) => {
                turn.failures = 0;
                if let Some(target) = target {
                    match turn.notices.get_mut(&target).and_then(VecDeque::pop_front) {
                        Some(next) => {
                            turn.behind -= 1;
                            self.start(turn, work, next);
                        }
                        None => {
                            turn.notices.remove(&target);
                        }
                    }
                }
                self.queues.set(&self.peer, |q| {
                    q.last_error.clear();
                    q.next_try = None;
                });
            }
            Err(rejection) => {
                if rejection.reason == Reason::PeerUnreachable {
                    turn.failures = turn.failures.saturating_add(1);
                }
                let wait = backoff(tries, &id);
                if tries == 0 {
                    tracing::warn!(peer = %self.peer, delivery = %id, reason = %rejection.reason,
                        wait_ms = wait.as_millis() as u64, "delivery failed for now");
                }
                turn.sequence += 1;
                let again = Message { tries: tries + 1, ..message };
                turn.delayed.insert((Instant::now() + wait, turn.sequence), again);
                let at = self.exchange.ledger().now().plus_millis(wait.as_millis() as i64);
                self.queues.set(&self.peer, |q| {
                    q.last_error = rejection.to_string();
                    q.next_try = Some(at);
                });
            }
        }
        for _ in 0..self.large.available_permits() {
            let Some(next) = turn.parked.next() else { break };
            self.start(turn, work, next);
        }
    }
}

/// Exponential, with a quarter of jitter that differs by delivery, and a ceiling.
fn backoff(tries: u32, id: &DeliveryId) -> Duration {
    let base = BACKOFF_FIRST.saturating_mul(1 << tries.min(16)).min(BACKOFF_LAST);
    let jitter = u32::from(id.as_bytes()[(tries % 32) as usize]);
    base - base * jitter / 1024
}

/// One message to its end: proof settled, or given up because its time is over.
async fn deliver(
    exchange: &Exchange,
    link: &dyn PeerLink,
    large: &Semaphore,
    id: DeliveryId,
) -> Result<End, Rejection> {
    let record: Option<Outgoing> = load(exchange.ledger(), &keys::outgoing(&id)).map_err(|e| damaged(&e))?;
    let Some(record) = record else { return Ok(End::Over) };
    if !matches!(record.state, DeliveryState::Queued | DeliveryState::Held) {
        return Ok(End::Over);
    }
    let delivered = if record.waits_for_revoke() && record.state == DeliveryState::Queued {
        // The revoke goes first: what has not arrived then never comes into force.
        Err(Rejection::new(Reason::Revoked, "", "its revoke goes first"))
    } else {
        let offer = exchange.offer(&record)?;
        let _place = match (&offer.data, large.try_acquire()) {
            (Some(_), _) => None,
            (None, Ok(place)) => Some(place),
            (None, Err(_)) => return Ok(End::Parked(record.facts.urgency, record.submitted_index)),
        };
        link.deliver(offer).await
    };
    match delivered {
        // An answer is never given up on, however late: it may be the proof that it arrived.
        Ok(proof) => match exchange.settle(id, &proof).await? {
            DeliveryState::Held => Ok(End::Held),
            _ => Ok(End::Over),
        },
        Err(rejection) => {
            // What is held has arrived in time.
            if record.state == DeliveryState::Queued && exchange.ledger().now() > record.not_after {
                let command = Command::GiveUp { delivery_id: id, reason: rejection.reason };
                exchange.ledger().commit(command).await.map_err(LedgerError::into_rejection)?;
                tracing::warn!(delivery = %id, reason = %rejection.reason, "given up: its time is over");
                return Ok(End::Over);
            }
            Err(rejection)
        }
    }
}

impl Exchange {
    /// Loads a message of the outbox from the store.
    fn offer(&self, record: &Outgoing) -> Result<Offer, Rejection> {
        let Stored { bytes, envelope, signatures } = self.stored(&record.facts.envelope_digest)?;
        let origin = self.ledger().prove(record.submitted_index, &self.ledger().snapshot())?;
        let data = if is_inline(envelope.content_size()) {
            let mut data = BytesMut::with_capacity(envelope.content_size() as usize);
            for part in envelope.parts() {
                data.extend_from_slice(&self.stored_content(&part.sha256)?);
            }
            Some(data.freeze())
        } else {
            None
        };
        Ok(Offer { envelope: bytes, origin, signatures: signatures.concat(), data })
    }
}
