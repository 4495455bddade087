//! What is known of one log of another node: the newest checkpoint that is held, those that came since and wait to be
//! connected with it, and those that were. Pure.
//!
//! Every checkpoint that comes is either known, or new and waits, or contradicts one of the same size. Those that wait are
//! connected all at once: each proven to grow out of the one before, in the order of their sizes, whichever came first.
//! Only then is the largest held.

use std::collections::BTreeMap;

use crate::domain::limits;
use crate::merkle::{Hash, ProofInvalid, SignedCheckpoint, sha256, verify_consistency};

/// One log of another node.
#[derive(Debug, Default)]
pub struct LogView {
    held: Option<SignedCheckpoint>,
    /// Connected with it not long ago, by size.
    connected: BTreeMap<u64, SignedCheckpoint>,
    /// Not connected yet, by size.
    waiting: BTreeMap<u64, SignedCheckpoint>,
}

/// What a checkpoint is to a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It was known.
    Known,
    /// It waits from now on.
    New,
    /// The log signed this one of the same size, too.
    Contradicts(Box<SignedCheckpoint>),
}

/// Checkpoints that do not grow out of each other, as far as the path says that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The one of fewer leaves.
    pub older: SignedCheckpoint,
    /// The one of more.
    pub newer: SignedCheckpoint,
    /// What is wrong with the path between.
    pub why: ProofInvalid,
}

impl LogView {
    /// A view that holds this, or nothing.
    pub fn new(held: Option<SignedCheckpoint>) -> LogView {
        LogView { held, ..LogView::default() }
    }

    /// The newest that is held.
    pub fn held(&self) -> Option<&SignedCheckpoint> {
        self.held.as_ref()
    }

    /// Whether something waits to be connected.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The largest that was ever seen, connected or not.
    pub fn largest(&self) -> Option<&SignedCheckpoint> {
        let waiting = self.waiting.last_key_value().map(|(_, c)| c);
        self.held.iter().chain(waiting).max_by_key(|c| c.checkpoint().size)
    }

    /// A checkpoint that the log's key signed.
    pub fn see(&mut self, signed: &SignedCheckpoint) -> Seen {
        let size = signed.checkpoint().size;
        let same = self.held.iter().find(|held| held.checkpoint().size == size);
        let same = same.or_else(|| self.connected.get(&size)).or_else(|| self.waiting.get(&size));
        match same {
            Some(other) if other.checkpoint().root == signed.checkpoint().root => Seen::Known,
            Some(other) => Seen::Contradicts(Box::new(other.clone())),
            None => {
                if self.waiting.len() >= limits::WITNESS_CHECKPOINTS {
                    let lot = lot(&signed.checkpoint().root, self.waiting.len() - 1);
                    let largest = self.waiting.last_key_value().map_or(0, |(size, _)| *size);
                    // The newest always waits: it is what is held next.
                    let out = self.waiting.keys().copied().filter(|s| *s != largest).nth(lot);
                    if let Some(out) = out {
                        self.waiting.remove(&out);
                    }
                }
                self.waiting.insert(size, signed.clone());
                Seen::New
            }
        }
    }

    /// What is to be connected: what waits, and what is held, by size. One alone needs no proof: nothing is held yet, and
    /// it is taken as it is.
    pub fn chain(&self) -> Vec<SignedCheckpoint> {
        let mut chain: Vec<SignedCheckpoint> = self.waiting.values().cloned().collect();
        if let Some(held) = &self.held {
            let at = chain.partition_point(|c| c.checkpoint().size < held.checkpoint().size);
            chain.insert(at, held.clone());
        }
        chain
    }

    /// A chain was connected: its largest is held from now on. What came meanwhile waits.
    pub fn connect(&mut self, chain: Vec<SignedCheckpoint>) {
        for signed in chain {
            let size = signed.checkpoint().size;
            self.waiting.remove(&size);
            if self.held.as_ref().is_none_or(|held| held.checkpoint().size < size) {
                self.held = Some(signed.clone());
            }
            self.connected.insert(size, signed);
        }
        while self.connected.len() > limits::WITNESS_CHECKPOINTS {
            self.connected.pop_first();
        }
    }

    /// The one before a size among those that were connected: what a smaller log that went another way shows itself by.
    pub fn connected_up_to(&self, size: u64) -> Option<&SignedCheckpoint> {
        self.connected.range(..=size).next_back().map(|(_, signed)| signed)
    }
}

/// Where the paths of a chain do not lead from one to the next; nowhere: it is connected.
pub fn broken(chain: &[SignedCheckpoint], paths: &[Vec<Hash>]) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (i, pair) in chain.windows(2).enumerate() {
        let [older, newer] = pair else { continue };
        let (from, to) = (older.checkpoint(), newer.checkpoint());
        let path = paths.get(i).map_or(&[][..], Vec::as_slice);
        if let Err(why) = verify_consistency(from.size, &from.root, to.size, &to.root, path) {
            broken.push(Broken { older: older.clone(), newer: newer.clone(), why });
        }
    }
    broken
}

/// Which of several is left out: whoever signs cannot choose it without trying many logs.
fn lot(root: &Hash, among: usize) -> usize {
    let drawn = sha256(root.as_bytes());
    let drawn = drawn.as_bytes().iter().take(8).fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    (drawn % among.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Checkpoint, NoteSigner, Tree, leaf_hash};

    fn signer() -> NoteSigner {
        let mut pkcs8 = hex::decode("302e020100300506032b657004220420").unwrap();
        pkcs8.extend([7; 32]);
        NoteSigner::from_pkcs8("a/log/1", &pkcs8).unwrap()
    }

    /// Checkpoints of a log whose leaves from `fork` on are others.
    fn log(fork: u64) -> impl Fn(u64) -> SignedCheckpoint {
        let signer = signer();
        move |size| {
            let mut tree = Tree::new();
            for n in 0..size {
                tree.push(leaf_hash(&[u8::from(n >= fork), n as u8, (n >> 8) as u8]));
            }
            Checkpoint { origin: "a/log/1".into(), size, root: tree.root() }.sign(&signer)
        }
    }

    #[test]
    fn the_largest_of_a_connected_chain_is_held_and_older_ones_stay_known() {
        let at = log(u64::MAX);
        let mut view = LogView::new(Some(at(5)));
        for size in [9, 3, 7] {
            assert_eq!(view.see(&at(size)), Seen::New);
        }
        assert_eq!(view.see(&at(7)), Seen::Known);
        let chain = view.chain();
        let sizes: Vec<u64> = chain.iter().map(|c| c.checkpoint().size).collect();
        assert_eq!(sizes, [3, 5, 7, 9]);
        assert_eq!(view.see(&at(11)), Seen::New);
        view.connect(chain);
        assert_eq!(view.held().unwrap().checkpoint().size, 9);
        assert!(view.waits(), "11 came meanwhile");
        assert_eq!(view.see(&at(3)), Seen::Known);
    }

    #[test]
    fn another_root_of_the_same_size_contradicts_wherever_it_is_known() {
        let (at, other) = (log(u64::MAX), log(2));
        let mut view = LogView::new(Some(at(5)));
        view.see(&at(8));
        assert_eq!(view.see(&other(8)), Seen::Contradicts(Box::new(at(8))));
        assert_eq!(view.see(&other(5)), Seen::Contradicts(Box::new(at(5))));
        view.connect(vec![at(5), at(8), at(9)]);
        assert_eq!(view.see(&other(8)), Seen::Contradicts(Box::new(at(8))));
    }

    #[test]
    fn a_chain_breaks_where_a_path_does_not_lead() {
        let (at, other) = (log(u64::MAX), log(2));
        let chain = [at(4), other(6)];
        let found = broken(&chain, &[vec![Hash([1; 32])]]).remove(0);
        assert_eq!((found.older, found.newer), (at(4), other(6)));
        assert_eq!(broken(&chain, &[]).len(), 1);
        assert_eq!(broken(&chain[..1], &[]), []);
    }

    #[test]
    fn what_waits_is_bounded_and_the_newest_is_never_left_out() {
        let at = log(u64::MAX);
        let mut view = LogView::new(None);
        let most = limits::WITNESS_CHECKPOINTS as u64;
        for size in 1..=most + 40 {
            view.see(&at(size));
            assert!(view.chain().len() <= limits::WITNESS_CHECKPOINTS);
            assert_eq!(view.largest().unwrap().checkpoint().size, size);
        }
        let kept: Vec<u64> = view.chain().iter().map(|c| c.checkpoint().size).collect();
        assert!(kept.iter().any(|size| *size <= 40), "the lot falls on any: {kept:?}");
    }
}
