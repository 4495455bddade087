//! Who watches a node's log from outside: reads every durable block once, as soon as anybody rests on it, and says what
//! must not be.
//!
//! What is durable once is durable for ever: the observer's tree over everything that it has read must be the tree of
//! the log whenever the node opens it again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lienthong::domain::decide::is_senders_notice;
use lienthong::domain::event::{Event, EventKind, Item, LogRef, Subject};
use lienthong::domain::ids::{AgencyId, DocumentKey};
use lienthong::domain::{DeliveryId, DeliveryState, Status};
use lienthong::ledger::Snapshot;
use lienthong::merkle::{Hash, NoteVerifier, SignedCheckpoint, Tree, leaf_hash};
use lienthong::store::journal::{Position, Reader};
use lienthong::time::Timestamp;
use lienthong::wire::leaf;
use lienthong::wire::proof::Proof;

use crate::platter::Platter;

/// A document to a recipient: sender, key, recipient.
pub type Triple = (AgencyId, DocumentKey, AgencyId);

/// A message that the node sends.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub item: Item,
    pub peer: String,
    pub place: LogRef,
    pub state: DeliveryState,
    /// The peer's event that closed it, and what it says.
    pub receipt: Option<(LogRef, DeliveryState)>,
}

/// How a message stands that came to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    Received,
    Held,
    Refused,
}

/// A message that came to the node.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub item: Item,
    pub origin: LogRef,
    pub state: Came,
    pub handed_over: bool,
    /// It was released, or refused, after it had been held.
    pub released: bool,
    /// The events that answer its origin.
    pub answers: Vec<u64>,
    /// The recipient agreed to give it back.
    pub given_back: bool,
}

impl Incoming {
    /// Whether an origin may have settled it so: what was held may be decided by now.
    pub fn agrees(&self, outcome: DeliveryState) -> bool {
        match outcome {
            DeliveryState::Delivered => self.state == Came::Received,
            DeliveryState::Refused => self.state == Came::Refused,
            DeliveryState::Held => self.state == Came::Held || self.released,
            _ => false,
        }
    }
}

/// What is known of a node's log.
pub struct Observer {
    name: String,
    origin: String,
    position: Position,
    tree: Tree,
    leaves: Vec<Hash>,
    /// Root at every size that a checkpoint has.
    roots: BTreeMap<u64, Hash>,
    last_time: Timestamp,
    pub outgoing: BTreeMap<DeliveryId, Outgoing>,
    pub incoming: BTreeMap<DeliveryId, Incoming>,
    pub in_force: BTreeMap<Triple, DeliveryId>,
    /// Statuses that the node's agencies gave, and those that came to them, by delivery, in the order of the log.
    pub given: BTreeMap<DeliveryId, Vec<Status>>,
    pub told: BTreeMap<DeliveryId, Vec<Status>>,
    /// Settled, and not yet compared with the peer's log.
    pub to_compare: BTreeSet<DeliveryId>,
}

impl Observer {
    /// Of an empty log.
    pub fn new(name: &str, key: &NoteVerifier) -> Observer {
        let roots = BTreeMap::from([(0, Tree::new().root())]);
        Observer {
            name: name.to_owned(),
            origin: key.name().to_owned(),
            position: Position::default(),
            tree: Tree::new(),
            leaves: Vec::new(),
            roots,
            last_time: Timestamp::from_millis(i64::MIN),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            in_force: BTreeMap::new(),
            given: BTreeMap::new(),
            told: BTreeMap::new(),
            to_compare: BTreeSet::new(),
        }
    }

    /// Events that are durable.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Hash of a durable leaf.
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        self.leaves.get(index as usize).copied()
    }

    /// Root over all that is durable.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Reads on, to the end of what is durable; each new leaf is told.
    pub fn advance(&mut self, platter: &Platter, mut told: impl FnMut(&Hash)) -> Result<(), String> {
        let bad = |what: String| format!("the durable log of {}: {what}", self.name);
        let disk = Arc::new(platter.durable());
        let mut reader =
            Reader::open(disk, Path::new("journal"), self.position).map_err(|e| bad(e.to_string()))?;
        while let Some(block) =
            reader.next_block().map_err(|e| format!("the durable log of {}: {e}", self.name))?
        {
            if block.first != self.tree.size() {
                return Err(format!("{}: block {} follows {}", self.name, block.first, self.tree.size()));
            }
            for bytes in &block.leaves {
                let hash = leaf_hash(bytes);
                told(&hash);
                let index = self.tree.size();
                self.tree.push(hash);
                self.leaves.push(hash);
                self.event(index, hash, bytes).map_err(|e| format!("{}, event {index}: {e}", self.name))?;
            }
            // Signatures are the audit's to check.
            let signed = SignedCheckpoint::parse_unverified(&block.checkpoint).map_err(|e| e.to_string())?;
            let claimed = signed.claimed();
            if (claimed.size, claimed.root) != (self.tree.size(), self.tree.root()) {
                return Err(format!("{}: the checkpoint of {} is another log's", self.name, claimed.size));
            }
            self.roots.insert(claimed.size, claimed.root);
            self.position = reader.position();
        }
        Ok(())
    }

    /// The node has opened its log: it is this one.
    pub fn opened(&self, snapshot: &Snapshot) -> Result<(), String> {
        let (size, root) = (snapshot.size(), snapshot.root());
        if size < self.size() {
            return Err(format!("{} opens {size} events, {} were durable", self.name, self.size()));
        }
        if (size, root) != (self.size(), self.root()) {
            return Err(format!("{} opens another log than the one that was durable", self.name));
        }
        Ok(())
    }

    /// A proof that left the node: under a checkpoint that is durable, of an event that is.
    pub fn proves(&self, proof: &Proof) -> Result<(), String> {
        let unverified = SignedCheckpoint::parse_unverified(&proof.checkpoint).map_err(|e| e.to_string())?;
        let claimed = unverified.claimed();
        if self.roots.get(&claimed.size) != Some(&claimed.root) {
            return Err(format!("{} showed a checkpoint of {} that is not durable", self.name, claimed.size));
        }
        if self.leaf(proof.index) != Some(leaf_hash(&proof.leaf)) {
            return Err(format!("{} proved event {}, which is not durable", self.name, proof.index));
        }
        Ok(())
    }

    fn event(&mut self, index: u64, hash: Hash, bytes: &Bytes) -> Result<(), String> {
        let event: Event = leaf::decode(bytes).map_err(|e| e.to_string())?;
        if event.at < self.last_time {
            return Err(format!("its time {} is before {}", event.at, self.last_time));
        }
        self.last_time = event.at;
        let place = LogRef { log: self.origin.clone(), index, leaf_hash: hash };
        match event.kind {
            EventKind::Submitted { item, peer, .. } => self.submitted(item, peer.to_string(), place),
            EventKind::Received { item, held, origin, .. } => {
                let state = if held { Came::Held } else { Came::Received };
                self.came(index, item, origin, state)
            }
            EventKind::Refused { item, origin, .. } => self.came(index, item, origin, Came::Refused),
            EventKind::Settled { delivery_id, outcome, receipt, .. } => {
                self.to_compare.insert(delivery_id);
                self.becomes(delivery_id, outcome)?.receipt = Some((receipt, outcome));
                Ok(())
            }
            EventKind::Undelivered { delivery_id, .. } => {
                self.becomes(delivery_id, DeliveryState::Undelivered).map(|_| ())
            }
            EventKind::HandedOver { delivery_id } => {
                let came = self.incoming.get_mut(&delivery_id).ok_or("handed over what never came")?;
                if came.state != Came::Received || std::mem::replace(&mut came.handed_over, true) {
                    return Err(format!("{delivery_id} is handed over twice, or not received"));
                }
                Ok(())
            }
            EventKind::Fetched { delivery_id } => {
                let came = self.incoming.get(&delivery_id).ok_or("fetched what never came")?;
                if came.state == Came::Received { Ok(()) } else { Err(format!("{delivery_id} is not open")) }
            }
            EventKind::Released { delivery_id, refused, .. } => {
                let came = self.incoming.get_mut(&delivery_id).ok_or("released what never came")?;
                if came.state != Came::Held {
                    return Err(format!("{delivery_id} is released and was not held"));
                }
                came.state = if refused.is_some() { Came::Refused } else { Came::Received };
                came.released = true;
                came.answers.push(index);
                if refused.is_some()
                    && let Some(triple) = triple(&came.item)
                {
                    self.in_force.remove(&triple);
                }
                Ok(())
            }
            EventKind::Alarm { detail, .. } => Err(format!("an alarm: {detail}")),
            _ => Ok(()),
        }
    }

    fn submitted(&mut self, item: Item, peer: String, place: LogRef) -> Result<(), String> {
        let id = item.delivery_id;
        if let Subject::Notice(n) = &item.subject
            && let Some(status) = n.status
        {
            if !is_senders_notice(n.kind, n.status) {
                self.given.entry(n.target).or_default().push(status);
            }
            if status == Status::TakeBackAgreed
                && let Some(document) = self.incoming.get_mut(&n.target)
            {
                document.given_back = true;
            }
            if status == Status::Refused
                && let Some(document) = self.incoming.get(&n.target)
                && let Some(triple) = triple(&document.item)
            {
                // The recipient takes it out of force, and a corrected one may come.
                self.in_force.remove(&triple);
            }
        }
        if let Some(this) = triple(&item) {
            let open = |o: &&Outgoing| o.state.is_live() && triple(&o.item).as_ref() == Some(&this);
            if let Some(other) = self.outgoing.values().find(open)
                && !self.refused_by_recipient(&other.item.delivery_id)
            {
                return Err(format!("{id} is sent while {} is open", other.item.delivery_id));
            }
        }
        let sent = Outgoing { item, peer, place, state: DeliveryState::Queued, receipt: None };
        match self.outgoing.insert(id, sent) {
            None => Ok(()),
            Some(_) => Err(format!("{id} is submitted twice")),
        }
    }

    fn refused_by_recipient(&self, id: &DeliveryId) -> bool {
        self.told.get(id).is_some_and(|told| told.contains(&Status::Refused))
    }

    fn came(&mut self, index: u64, item: Item, origin: LogRef, state: Came) -> Result<(), String> {
        let id = item.delivery_id;
        if state != Came::Refused {
            if let Some(triple) = triple(&item)
                && let Some(other) = self.in_force.insert(triple, id)
            {
                return Err(format!("{id} is delivered while {other} is in force: delivered twice"));
            }
            if let Subject::Notice(n) = &item.subject
                && let Some(status) = n.status.filter(|status| !status.is_senders())
            {
                self.told.entry(n.target).or_default().push(status);
            }
        }
        let came = Incoming {
            item,
            origin,
            state,
            handed_over: false,
            released: false,
            answers: vec![index],
            given_back: false,
        };
        match self.incoming.insert(id, came) {
            None => Ok(()),
            Some(_) => Err(format!("{id} is received twice")),
        }
    }

    fn becomes(&mut self, id: DeliveryId, state: DeliveryState) -> Result<&mut Outgoing, String> {
        let sent = self.outgoing.get_mut(&id).ok_or_else(|| format!("{id} is settled and was never sent"))?;
        if !sent.state.may_become(state) {
            return Err(format!("{id} is {} and becomes {state}", sent.state));
        }
        sent.state = state;
        Ok(sent)
    }

    /// What is neither delivered, refused, withdrawn nor undelivered.
    pub fn open(&self) -> impl Iterator<Item = &Outgoing> {
        self.outgoing.values().filter(|o| matches!(o.state, DeliveryState::Queued | DeliveryState::Held))
    }
}

/// The document and its recipient, for a document.
pub fn triple(item: &Item) -> Option<Triple> {
    let Subject::Document(d) = &item.subject else { return None };
    Some((item.parties.sender.clone(), d.key.clone(), item.parties.recipient.clone()?))
}
