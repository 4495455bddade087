//! The growing tree: its size and its right edge (RFC 9162, section 2.1; C2SP tlog-tiles).
//!
//! Kept in memory is, per tile level, the partial tile with the nodes between its hashes and its root,
//! so that the root and a proof for a fresh leaf cost a few hashes, not a few hundred. Invariants:
//!
//! - the partial tile of level `l` has `floor(size / 256^l) mod 256` hashes;
//! - a tile that fills is queued and its root appended to the level above; queued tiles are read from
//!   memory until [`Tree::take_full_tiles`] hands them out, and by the caller's [`TileReader`] afterwards.
//!
//! A copy of a tree costs a few dozen KiB at most: a commit works on one and drops it on failure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::hash::{Hash, empty_root, node_hash, perfect_root};
use super::tile::{TILE_HEIGHT, TILE_WIDTH, TileId, TileReader};

/// An append-only Merkle tree, without its stored part.
#[derive(Clone, Default)]
pub struct Tree {
    size: u64,
    /// One for each tile level in use, lowest first.
    edges: Vec<Rows>,
    full: BTreeMap<TileId, Arc<Rows>>,
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree as it is (RFC 9162, section 2.1.1).
    pub fn root(&self) -> Hash {
        // A row of odd length ends in a node without sibling: the perfect subtrees which make up the
        // tree, smallest first.
        let peaks = self.edges.iter().flat_map(|edge| &edge.0).filter(|row| row.len() % 2 == 1);
        let root = peaks.filter_map(|row| row.last()).fold(None, |right: Option<Hash>, peak| match right {
            None => Some(*peak),
            Some(right) => Some(node_hash(peak, &right)),
        });
        root.unwrap_or_else(empty_root)
    }

    /// Appends a leaf, given as its [leaf hash](super::leaf_hash).
    pub fn push(&mut self, leaf: Hash) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            let edge = self.edge_mut(level);
            let Some(root) = edge.push(hash) else { break };
            let tile = Arc::new(std::mem::take(edge));
            // The tile just filled is the last one before those of the new size.
            let index = entries_at(self.size, level + 1) - 1;
            self.full.insert(TileId { level: level as u8, index }, tile);
            hash = root;
        }
    }

    /// The tiles that filled since the last call, by level and index. From here on the reader given to
    /// proofs must have them.
    pub fn take_full_tiles(&mut self) -> Vec<(TileId, Arc<[Hash]>)> {
        let full = std::mem::take(&mut self.full);
        full.into_iter().map(|(id, rows)| (id, Arc::from(rows.0[0].as_slice()))).collect()
    }

    /// The partial tile of a level; empty where there is none.
    pub fn edge(&self, level: u8) -> &[Hash] {
        self.edges.get(usize::from(level)).map_or(&[], |edge| &edge.0[0])
    }

    /// Makes the tree of `size` leaves again from what is stored.
    ///
    /// `tail_leaves` are the leaf hashes from `size - size % 256` to the end. The partial tiles above
    /// level 0 are the roots of full tiles one level below, which are read; nothing else is. The result
    /// is as good as the tiles: compare its root with a signed checkpoint.
    pub fn rebuild<R: TileReader>(
        size: u64,
        reader: &R,
        tail_leaves: impl Iterator<Item = Hash>,
    ) -> Result<Tree, RebuildError<R::Error>> {
        let mut tree = Tree { size, ..Tree::default() };
        let expected = size % TILE_WIDTH;
        let mut found = 0;
        // One more than needed is enough to see that there are too many.
        for leaf in tail_leaves.take(TILE_WIDTH as usize) {
            if found < expected {
                tree.edge_mut(0).push(leaf);
            }
            found += 1;
        }
        if found != expected {
            return Err(RebuildError::TailLength { size, expected, found });
        }
        for level in 1.. {
            let end = entries_at(size, level);
            if end == 0 {
                break;
            }
            for index in end - end % TILE_WIDTH..end {
                let id = TileId { level: (level - 1) as u8, index };
                let tile = reader.tile(id).map_err(|error| RebuildError::Read { tile: id, error })?;
                let tile = tile.ok_or(RebuildError::TileMissing { tile: id, size })?;
                if tile.len() as u64 != TILE_WIDTH {
                    return Err(RebuildError::TileWidth { tile: id, width: tile.len() });
                }
                tree.edge_mut(level).push(perfect_root(&tile));
            }
        }
        Ok(tree)
    }

    /// A node that is in memory: in a partial tile or in one that waits to be taken. `row` counts levels
    /// of the tree inside the tile.
    pub(super) fn node_in_memory(&self, tile: TileId, row: u32, place: usize) -> Option<Hash> {
        let rows = if tile.index == entries_at(self.size, u32::from(tile.level) + 1) {
            self.edges.get(usize::from(tile.level))?
        } else {
            self.full.get(&tile)?
        };
        rows.0[row as usize].get(place).copied()
    }

    fn edge_mut(&mut self, level: u32) -> &mut Rows {
        let level = level as usize;
        if self.edges.len() <= level {
            self.edges.resize_with(level + 1, Rows::default);
        }
        &mut self.edges[level]
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting: Vec<_> = self.full.keys().collect();
        f.debug_struct("Tree")
            .field("size", &self.size)
            .field("root", &self.root())
            .field("full_tiles", &waiting)
            .finish_non_exhaustive()
    }
}

/// Why a tree could not be made again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError<E> {
    /// The number of leaves after the last full tile does not fit the size.
    #[error("a tree of {size} leaves has {expected} of them after its last full tile, not {found}")]
    TailLength {
        /// The tree's size.
        size: u64,
        /// `size % 256`.
        expected: u64,
        /// How many came, counted up to 256.
        found: u64,
    },
    /// A full tile is not where it should be.
    #[error("tile {tile} of a tree of {size} leaves is missing; build the tiles again from the leaves")]
    TileMissing {
        /// The tile.
        tile: TileId,
        /// The tree's size.
        size: u64,
    },
    /// A stored tile is not full.
    #[error("tile {tile} has {width} hashes, not {TILE_WIDTH}; build the tiles again from the leaves")]
    TileWidth {
        /// The tile.
        tile: TileId,
        /// Its number of hashes.
        width: usize,
    },
    /// The store failed.
    #[error("tile {tile} could not be read")]
    Read {
        /// The tile.
        tile: TileId,
        /// What the store said.
        #[source]
        error: E,
    },
}

/// A tile with its inner nodes: row 0 are its hashes, row `n` the roots of runs of `2^n` of them.
#[derive(Clone, Default)]
struct Rows([Vec<Hash>; TILE_HEIGHT as usize]);

impl Rows {
    /// Appends a hash and every node it completes; the tile's root if that makes it full.
    fn push(&mut self, hash: Hash) -> Option<Hash> {
        let mut hash = hash;
        for row in &mut self.0 {
            row.push(hash);
            match row.as_slice() {
                [.., left, right] if row.len() % 2 == 0 => hash = node_hash(left, right),
                _ => return None,
            }
        }
        Some(hash)
    }
}

/// How many complete hashes a tile level has in all: `floor(size / 256^level)`.
fn entries_at(size: u64, level: u32) -> u64 {
    size.checked_shr(TILE_HEIGHT * level).unwrap_or(0)
}
