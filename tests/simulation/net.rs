//! The network between nodes: messages as bytes, that are late, lost, doubled, overtaken, or answered wrongly.
//!
//! [`SimLink`] stands where `rpc::link` stands in a node: it speaks the same messages, and gives up as that does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lienthong::domain::{DeliveryId, Reason, Rejection};
use lienthong::exchange::Exchange;
use lienthong::exchange::accept::{Boxed, ContentPieces, ContentSource, Offer};
use lienthong::exchange::courier::PeerLink;
use lienthong::exchange::courier::failure::Failure;
use lienthong::wire::pb;
use lienthong::wire::pb::deliver_response::Outcome;
use lienthong::wire::proof::Proof;
use prost::Message as _;
use tokio::sync::oneshot;

use crate::dice::Dice;
use crate::life::Life;
use crate::world::World;

/// Time for one message to be answered.
const ANSWER: Duration = Duration::from_secs(15);
/// Answers that are kept to be given for others.
const OLD: usize = 16;

/// How rough it is, each of a thousand messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rough {
    pub lost: u64,
    pub doubled: u64,
    /// Very late: seconds instead of milliseconds.
    pub late: u64,
    /// Answered with the answer to something else, or with garbage.
    pub wrong: u64,
}

/// The network.
pub struct Net {
    dice: Dice,
    rough: Mutex<Rough>,
    /// Ways that are cut, by sender and receiver.
    cut: Mutex<BTreeSet<(usize, usize)>>,
    /// Answers that were given, by who gave them.
    old: Mutex<Vec<(usize, Vec<u8>)>>,
    /// Messages that are on their way.
    under_way: AtomicUsize,
}

impl Net {
    /// All is well at first.
    pub fn new(dice: Dice) -> Net {
        Net {
            dice,
            rough: Mutex::default(),
            cut: Mutex::default(),
            old: Mutex::default(),
            under_way: AtomicUsize::new(0),
        }
    }

    /// Whether nothing is on its way: a message may come long after who sent it gave up.
    pub fn is_quiet(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// It becomes so.
    pub fn set_rough(&self, rough: Rough) {
        *self.rough.lock().unwrap() = rough;
    }

    /// These ways are cut, and no others.
    pub fn set_cut(&self, cut: BTreeSet<(usize, usize)>) {
        *self.cut.lock().unwrap() = cut;
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.lock().unwrap().contains(&(from, to))
    }

    /// A message goes its way; false when it does not arrive.
    async fn travel(&self, from: usize, to: usize) -> bool {
        let rough = *self.rough.lock().unwrap();
        let lost = self.dice.chance(rough.lost) || self.is_cut(from, to);
        let time = if self.dice.chance(rough.late) {
            self.dice.millis(500, 20_000)
        } else {
            self.dice.millis(0, 20)
        };
        tokio::time::sleep(time).await;
        !lost && !self.is_cut(from, to)
    }

    /// What arrives instead of an answer.
    fn spoil(&self, from: usize, answer: Vec<u8>) -> Vec<u8> {
        let rough = *self.rough.lock().unwrap();
        let mut old = self.old.lock().unwrap();
        let others: Vec<Vec<u8>> = old.iter().filter(|(by, _)| *by == from).map(|(_, a)| a.clone()).collect();
        let spoiled = if !self.dice.chance(rough.wrong) {
            None
        } else if others.is_empty() || self.dice.chance(300) {
            let mut garbage = answer.clone();
            let at = self.dice.below(garbage.len() as u64) as usize;
            garbage[at] ^= 1 << self.dice.below(8);
            Some(garbage)
        } else {
            Some(self.dice.pick(&others).clone())
        };
        if old.len() >= OLD {
            old.remove(0);
        }
        old.push((from, answer.clone()));
        spoiled.unwrap_or(answer)
    }
}

fn unreachable(what: &str) -> Rejection {
    Rejection::new(Reason::PeerUnreachable, "", what)
}

fn gone(what: &str) -> Failure {
    Failure::of_peer(unreachable(what))
}

/// The way from a node, in one of its lives, to another.
#[derive(Clone)]
pub struct SimLink {
    pub world: Arc<World>,
    pub life: Arc<Life>,
    pub to: usize,
}

/// Who waits for an answer: the first that comes counts.
type Slot = Arc<Mutex<Option<oneshot::Sender<Vec<u8>>>>>;

impl PeerLink for SimLink {
    fn deliver(&self, offer: Offer) -> Boxed<'_, Result<Proof, Failure>> {
        Box::pin(async move {
            let (from, to, world) = (self.life.node, self.to, &self.world);
            let request = pb::DeliverRequest {
                id: 0,
                envelope: offer.envelope,
                origin: Some(offer.origin.to_wire()),
                signatures: offer.signatures,
                data: offer.data.unwrap_or_default(),
                directory_version: offer.directory_version,
                lost_receipt: offer.lost_receipt.as_ref().map(Proof::to_wire),
                ask: None,
                figures: None,
            };
            let bytes = request.encode_to_vec();
            if !self.life.step() {
                return std::future::pending().await;
            }
            world.shown(from, &offer.origin);
            let (sender, answer) = oneshot::channel();
            let slot: Slot = Arc::new(Mutex::new(Some(sender)));
            let doubled = world.net.dice.chance(world.net.rough.lock().unwrap().doubled);
            for _ in 0..if doubled { 2 } else { 1 } {
                let carried = carry(world.clone(), from, to, bytes.clone(), slot.clone());
                let world = world.clone();
                world.net.under_way.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    carried.await;
                    world.net.under_way.fetch_sub(1, Ordering::Relaxed);
                });
            }
            drop(slot);
            let answer = match tokio::time::timeout(ANSWER, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => return Err(gone("the stream broke")),
                Err(_) => return Err(gone("no answer in time")),
            };
            if !self.life.step() {
                return std::future::pending().await;
            }
            let bad = |what: String| Failure::of_peer(Rejection::new(Reason::BadProof, "", what));
            let answer = pb::DeliverResponse::decode(answer.as_slice()).map_err(|e| bad(e.to_string()))?;
            match answer.outcome {
                Some(Outcome::Receipt(proof)) => Proof::from_wire(proof).map_err(Failure::of_peer),
                Some(Outcome::Retry(retry)) => {
                    let reason = retry.reason.parse().unwrap_or(Reason::Internal);
                    let rejection = Rejection::new(reason, "", retry.message);
                    Err(Failure::of_answer(rejection, u64::from(retry.retry_after_ms)))
                }
                Some(Outcome::Reply(_) | Outcome::Figures(_)) | None => {
                    Err(bad("no answer to a message".to_owned()))
                }
            }
        })
    }
}

/// A message goes to its node, and its answer back.
async fn carry(world: Arc<World>, from: usize, to: usize, request: Vec<u8>, slot: Slot) {
    if !world.net.travel(from, to).await {
        return;
    }
    let (peer, link) = (world.nodes[from].name.clone(), world.clone());
    let answer = world.call(to, move |exchange, life| async move {
        let back = SimLink { world: link, life, to: from };
        let request = pb::DeliverRequest::decode(request.as_slice()).unwrap();
        accept(&exchange, &peer, &back, request).await
    });
    let Some(answer) = answer.await else { return };
    let answer = match answer {
        Ok(proof) => {
            world.shown(to, &proof);
            Outcome::Receipt(proof.to_wire())
        }
        Err(rejection) => {
            world.refused(to, &rejection);
            let (reason, message) = (rejection.reason.code().to_owned(), rejection.message);
            Outcome::Retry(pb::Retry { reason, message, retry_after_ms: 0 })
        }
    };
    let answer = pb::DeliverResponse { id: 0, outcome: Some(answer) }.encode_to_vec();
    let answer = world.net.spoil(to, answer);
    if world.net.travel(to, from).await
        && let Some(sender) = slot.lock().unwrap().take()
    {
        let _ = sender.send(answer);
    }
}

/// As `rpc::peer` has it.
async fn accept(
    exchange: &Exchange,
    peer: &lienthong::domain::NodeName,
    back: &SimLink,
    request: pb::DeliverRequest,
) -> Result<Proof, Rejection> {
    let inline =
        !request.data.is_empty() || lienthong::wire::envelope::decode(&request.envelope)?.content_size() == 0;
    let offer = Offer {
        envelope: request.envelope,
        origin: Proof::from_wire(request.origin.ok_or_else(|| Rejection::missing("origin"))?)?,
        signatures: request.signatures,
        data: inline.then_some(request.data),
        directory_version: request.directory_version,
        lost_receipt: request.lost_receipt.map(Proof::from_wire).transpose()?,
    };
    exchange.accept(peer, offer, back).await
}

impl ContentSource for SimLink {
    fn open(
        &self,
        delivery: DeliveryId,
        part: u32,
        offset: u64,
    ) -> Boxed<'_, Result<Box<dyn ContentPieces>, Rejection>> {
        let (link, end) = (self.clone(), false);
        Box::pin(async move { Ok(Box::new(SimPieces { link, delivery, part, offset, end }) as Box<_>) })
    }
}

/// A part that is pulled over the simulated network, each piece asked for by its offset.
struct SimPieces {
    link: SimLink,
    delivery: DeliveryId,
    part: u32,
    offset: u64,
    end: bool,
}

impl ContentPieces for SimPieces {
    fn next(&mut self) -> Boxed<'_, Result<Option<Bytes>, Rejection>> {
        Box::pin(async move {
            if self.end {
                return Ok(None);
            }
            let (from, to, world) = (self.link.life.node, self.link.to, &self.link.world);
            if !world.net.travel(from, to).await {
                return Err(unreachable("the stream broke"));
            }
            let name = world.nodes[from].name.clone();
            let (delivery, part, offset) = (self.delivery, self.part, self.offset);
            let piece = world.call(to, move |exchange, _| async move {
                exchange.content_for_peer(&name, delivery, part, offset)?.next().await
            });
            let piece = piece.await.ok_or_else(|| unreachable("the stream broke"))??;
            if !world.net.travel(to, from).await {
                return Err(unreachable("the stream broke"));
            }
            if !self.link.life.step() {
                return std::future::pending().await;
            }
            match &piece {
                Some(piece) => self.offset += piece.len() as u64,
                None => self.end = true,
            }
            Ok(piece)
        })
    }
}
