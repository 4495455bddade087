//! A node that rewrites its log properly, with its own key: new leaves, a new tree, a new signature, a new journal; and one
//! that goes on to say that this is what it always had.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lienthong::audit::Offline;
use lienthong::domain::event::Event;
use lienthong::merkle::{
    Checkpoint, Hash, NoteSigner, SignedCheckpoint, TileId, TileReader, Tree, leaf_hash,
};
use lienthong::node::log_signer;
use lienthong::store::disk::RealDisk;
use lienthong::store::journal::Journal;
use lienthong::wire::pb::deliver_response::Outcome;
use lienthong::wire::witness::{Ask, Reply};
use lienthong::wire::{leaf, pb};

use super::common::TestNet;
use super::common::peer::{FakePeer, Replies};

/// A log that a node's own key signs.
pub struct Log {
    signer: NoteSigner,
    pub leaves: Vec<Bytes>,
}

/// These logs have no full tile.
struct NoTiles;

impl TileReader for NoTiles {
    type Error = Infallible;

    fn tile(&self, _: TileId) -> Result<Option<Arc<[Hash]>>, Infallible> {
        Ok(None)
    }
}

impl Log {
    /// As the files of a node that is stopped have it.
    pub fn of(net: &TestNet, node: &str) -> Log {
        let config = net.config(node);
        let offline = Offline::open(&config.data).unwrap();
        let size = offline.size().unwrap() as usize;
        let leaves = offline.index().unwrap().leaves(0, size).unwrap();
        assert!(leaves.len() == size && size < 256);
        Log { signer: log_signer(config).unwrap(), leaves: leaves.into_iter().map(|(_, l)| l).collect() }
    }

    /// An event becomes another.
    pub fn rewrite(&mut self, index: usize, change: impl FnOnce(&mut Event)) {
        let mut event = leaf::decode(&self.leaves[index]).unwrap();
        change(&mut event);
        let rewritten = leaf::encode(&event).unwrap();
        assert_ne!(rewritten, self.leaves[index]);
        self.leaves[index] = rewritten;
    }

    /// Events are added: the last ones again, at another time.
    pub fn grow(&mut self, by: usize) {
        for _ in 0..by {
            let mut event = leaf::decode(self.leaves.last().unwrap()).unwrap();
            event.salt = [0x55; 16];
            event.at = event.at.plus_millis(1);
            self.leaves.push(leaf::encode(&event).unwrap());
        }
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        for leaf in &self.leaves {
            tree.push(leaf_hash(leaf));
        }
        tree
    }

    /// The root that its first events have.
    pub fn root_at(&self, size: u64) -> String {
        self.tree().root_at(size, &NoTiles).unwrap().to_string()
    }

    /// Its newest checkpoint.
    pub fn checkpoint(&self) -> SignedCheckpoint {
        let tree = self.tree();
        let origin = self.signer.verifier().name().to_owned();
        Checkpoint { origin, size: tree.size(), root: tree.root() }.sign(&self.signer)
    }

    /// Puts it in the place of a stopped node's log: journal, and nothing that remembers the one before.
    pub fn put(&self, data: &Path) {
        for gone in ["journal", "sled"] {
            std::fs::remove_dir_all(data.join(gone)).unwrap();
        }
        for gone in ["clean.json", "keys.filter"] {
            let _ = std::fs::remove_file(data.join(gone));
        }
        let (mut journal, _) = Journal::open(Arc::new(RealDisk), &data.join("journal"), 1 << 20).unwrap();
        journal.reserve(self.leaves.iter().map(|l| l.len() as u64 + 4).sum::<u64>() + 4096).unwrap();
        journal.append(&self.leaves, self.checkpoint().note()).unwrap();
    }

    /// What this log answers to witnesses, truly as far as it goes.
    fn reply(&self, ask: Ask) -> Reply {
        let tree = self.tree();
        match ask {
            Ask::Growth { sizes, .. } => {
                let paths = sizes.windows(2).map(|s| tree.consistency_proof(s[0], s[1], &NoTiles).unwrap());
                Reply::Growth(paths.collect())
            }
            Ask::Prefix { size, of, .. } => {
                let path = tree.inclusion_proof(size - 1, of, &NoTiles).unwrap();
                Reply::Prefix(leaf_hash(&self.leaves[size as usize - 1]), path)
            }
            Ask::Cosigned(_) => Reply::Noted,
            Ask::Lost(_) => panic!("nobody asks a node that lies what it has of a lost log"),
        }
    }
}

/// How a node that lies answers its witnesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As if nothing were wrong.
    Openly,
    /// It shows no leaf.
    WithoutLeaves,
    /// It knows of no such log.
    Denying,
}

/// A node that says that this is its log, on its own port and with its own certificate, and takes nothing.
pub async fn play(net: &TestNet, node: &str, log: Log, manner: Manner) -> FakePeer {
    let mut fake = FakePeer::new(Arc::new(|_| None));
    let checkpoint = log.checkpoint().note().to_owned();
    let replies: Replies = Arc::new(move |ask| {
        let ask = Ask::from_wire(ask).unwrap();
        let no = |reason: &str| Outcome::Retry(pb::Retry { reason: reason.into(), ..pb::Retry::default() });
        match (manner, &ask) {
            (Manner::WithoutLeaves, Ask::Prefix { .. }) => return no("not_allowed"),
            (Manner::Denying, Ask::Growth { .. } | Ask::Prefix { .. }) => return no("unknown_event"),
            (_, Ask::Growth { sizes, .. }) if sizes.iter().any(|s| *s > log.leaves.len() as u64) => {
                return no("unknown_event");
            }
            _ => {}
        }
        Outcome::Reply(log.reply(ask).to_wire())
    });
    fake.replies(replies);
    fake.greets(pb::HelloResponse { checkpoint, ..pb::HelloResponse::default() });
    fake.listen(net, node, net.config(node)).await;
    fake
}
