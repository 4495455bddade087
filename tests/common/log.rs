//! A log that a test writes by hand, with the real key of a node: it can prove what never happened.

use bytes::Bytes;
use lienthong::domain::EventKind;
use lienthong::domain::event::{Actor, Event, LogRef};
use lienthong::merkle::{Checkpoint, Hash, NoteSigner, NoteVerifier, leaf_hash, node_hash};
use lienthong::rpc::tls::read_pkcs8;
use lienthong::time::Timestamp;
use lienthong::wire::{leaf, proof::Proof};

use super::{TestNet, name};

/// The log of a node that is played.
pub struct HandLog {
    signer: NoteSigner,
    leaves: Vec<Hash>,
    /// The events as they were written.
    pub written: Vec<Bytes>,
}

impl TestNet {
    /// An empty log signed by a node's key.
    pub fn hand_log(&self, node: &str) -> HandLog {
        let key = read_pkcs8(&self.config(node).log_key).unwrap();
        HandLog {
            signer: NoteSigner::from_pkcs8(&name(node).log_origin(1), &key).unwrap(),
            leaves: Vec::new(),
            written: Vec::new(),
        }
    }
}

impl HandLog {
    /// An empty log of this key.
    pub fn new(signer: NoteSigner) -> HandLog {
        HandLog { signer, leaves: Vec::new(), written: Vec::new() }
    }

    /// The key that verifies its checkpoints.
    pub fn key(&self) -> NoteVerifier {
        self.signer.verifier().clone()
    }

    /// Appends an event and proves it.
    pub fn prove(&mut self, at: Timestamp, kind: EventKind) -> Proof {
        let salt = [self.leaves.len() as u8; 16];
        let event =
            Event { at, salt, actor: Actor::node(), directory_version: 1, directory_expired: false, kind };
        let leaf = leaf::encode(&event).unwrap();
        self.leaves.push(leaf_hash(&leaf));
        self.written.push(leaf.clone());
        let index = self.leaves.len() - 1;
        let checkpoint = Checkpoint {
            origin: self.signer.verifier().name().to_owned(),
            size: self.leaves.len() as u64,
            root: root(&self.leaves),
        };
        Proof {
            leaf,
            index: index as u64,
            path: path(index, &self.leaves),
            checkpoint: checkpoint.sign(&self.signer).note().to_owned(),
        }
    }
}

/// Where a proven event stands.
pub fn place(proof: &Proof) -> LogRef {
    let log = proof.checkpoint.lines().next().unwrap().to_owned();
    LogRef { log, index: proof.index, leaf_hash: leaf_hash(&proof.leaf) }
}

/// What a proven event says.
pub fn event(leaf: &Bytes) -> EventKind {
    leaf::decode(leaf).unwrap().kind
}

/// RFC 9162, 2.1.1: the largest power of two below the size.
fn split(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

fn root(leaves: &[Hash]) -> Hash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = split(leaves);
    node_hash(&root(left), &root(right))
}

/// RFC 9162, 2.1.3.1.
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = split(leaves);
    let (mut path, sibling) = if index < left.len() {
        (path(index, left), root(right))
    } else {
        (path(index - left.len(), right), root(left))
    };
    path.push(sibling);
    path
}
