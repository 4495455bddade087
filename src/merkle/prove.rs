//! Making proofs (RFC 9162, sections 2.1.3.1 and 2.1.4.1) for any size up to the tree's own.
//!
//! Both kinds are first written down as the ranges of leaves whose roots they list. A range splits into
//! perfect subtrees, and each of those is one node of one tile: from memory at the right edge, otherwise
//! recomputed from a stored tile, which is read once per proof.

use std::sync::Arc;

use super::hash::{Hash, empty_root, node_hash, perfect_root};
use super::tile::{TILE_HEIGHT, TILE_WIDTH, TileId, TileReader};
use super::tree::Tree;

/// Why there is no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError<E> {
    /// The tree is not that large yet.
    #[error("the log has {tree} leaves, fewer than {size}")]
    SizeBeyondTree {
        /// The size asked about.
        size: u64,
        /// The tree's own.
        tree: u64,
    },
    /// The leaf lies outside the tree asked about.
    #[error("leaf index {index} is not below the tree size {size}")]
    IndexOutOfRange {
        /// The leaf.
        index: u64,
        /// The size asked about.
        size: u64,
    },
    /// The older size is larger than the newer one.
    #[error("the older size {from} is larger than the newer one, {to}")]
    SizesReversed {
        /// The older size.
        from: u64,
        /// The newer size.
        to: u64,
    },
    /// Every tree extends the empty one, so there is nothing to prove.
    #[error("a consistency proof from an empty tree to one of {to} leaves says nothing; do not ask for it")]
    FromEmpty {
        /// The newer size.
        to: u64,
    },
    /// A full tile is not where it should be.
    #[error("tile {tile} is missing; build the tiles again from the leaves")]
    TileMissing {
        /// The tile.
        tile: TileId,
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

impl Tree {
    /// The proof that leaf `index` is in the tree's first `size` leaves: `PATH(index, D_size)` of
    /// RFC 9162, section 2.1.3.1, leaf end first.
    pub fn inclusion_proof<R: TileReader>(
        &self,
        index: u64,
        size: u64,
        reader: &R,
    ) -> Result<Vec<Hash>, ProofError<R::Error>> {
        let mut nodes = Nodes::upto(self, size, reader)?;
        if index >= size {
            return Err(ProofError::IndexOutOfRange { index, size });
        }
        let (mut begin, mut end) = (0, size);
        let mut siblings = Vec::new();
        while end - begin > 1 {
            let middle = begin + split(end - begin);
            if index < middle {
                siblings.push((middle, end));
                end = middle;
            } else {
                siblings.push((begin, middle));
                begin = middle;
            }
        }
        siblings.into_iter().rev().map(|(begin, end)| nodes.range(begin, end)).collect()
    }

    /// The proof that the first `to` leaves begin with the first `from`: `PROOF(from, D_to)` of RFC 9162,
    /// section 2.1.4.1; empty for equal sizes, refused for `from` 0.
    pub fn consistency_proof<R: TileReader>(
        &self,
        from: u64,
        to: u64,
        reader: &R,
    ) -> Result<Vec<Hash>, ProofError<R::Error>> {
        let mut nodes = Nodes::upto(self, to, reader)?;
        if from > to {
            return Err(ProofError::SizesReversed { from, to });
        }
        if from == 0 {
            return Err(ProofError::FromEmpty { to });
        }
        let (mut begin, mut end) = (0, to);
        let mut parts = Vec::new();
        while end != from {
            let middle = begin + split(end - begin);
            if from <= middle {
                parts.push((middle, end));
                end = middle;
            } else {
                parts.push((begin, middle));
                begin = middle;
            }
        }
        // What ends the older tree needs no hash if it is all of it: the verifier has that root.
        if begin > 0 {
            parts.push((begin, end));
        }
        parts.into_iter().rev().map(|(begin, end)| nodes.range(begin, end)).collect()
    }

    /// The root that the tree had at an earlier size (RFC 9162, section 2.1.1).
    pub fn root_at<R: TileReader>(&self, size: u64, reader: &R) -> Result<Hash, ProofError<R::Error>> {
        Nodes::upto(self, size, reader)?.range(0, size)
    }
}

/// The nodes of a tree, wherever they are.
struct Nodes<'a, R> {
    tree: &'a Tree,
    reader: &'a R,
    /// A proof takes several nodes out of the same few tiles.
    tiles: Vec<(TileId, Arc<[Hash]>)>,
}

impl<'a, R: TileReader> Nodes<'a, R> {
    fn upto(tree: &'a Tree, size: u64, reader: &'a R) -> Result<Self, ProofError<R::Error>> {
        if size > tree.size() {
            return Err(ProofError::SizeBeyondTree { size, tree: tree.size() });
        }
        Ok(Nodes { tree, reader, tiles: Vec::new() })
    }

    /// The root over leaves `begin..end`, where `begin` is a multiple of a power of two that is not
    /// smaller than the range: so are all ranges of RFC 9162's recursions.
    fn range(&mut self, begin: u64, end: u64) -> Result<Hash, ProofError<R::Error>> {
        let mut root = None;
        let mut end = end;
        // The perfect subtrees of a range, smallest and rightmost first, are the set bits of its length.
        while end > begin {
            let height = (end - begin).trailing_zeros();
            end -= 1 << height;
            let node = self.node(height, end >> height)?;
            root = Some(root.map_or(node, |right| node_hash(&node, &right)));
        }
        Ok(root.unwrap_or_else(empty_root))
    }

    /// The root over the `2^height` leaves number `index`.
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, ProofError<R::Error>> {
        let row = height % TILE_HEIGHT;
        let below_tile = TILE_HEIGHT - row;
        let id = TileId { level: (height / TILE_HEIGHT) as u8, index: index >> below_tile };
        let place = (index & ((1 << below_tile) - 1)) as usize;
        if let Some(hash) = self.tree.node_in_memory(id, row, place) {
            return Ok(hash);
        }
        let at_hand = self.reader.inner(id, row, place);
        if let Some(hash) = at_hand.map_err(|error| ProofError::Read { tile: id, error })? {
            return Ok(hash);
        }
        let tile = self.tile(id)?;
        Ok(perfect_root(&tile[place << row..(place + 1) << row]))
    }

    fn tile(&mut self, id: TileId) -> Result<Arc<[Hash]>, ProofError<R::Error>> {
        if let Some((_, tile)) = self.tiles.iter().find(|(known, _)| *known == id) {
            return Ok(tile.clone());
        }
        let tile = self.reader.tile(id).map_err(|error| ProofError::Read { tile: id, error })?;
        let tile = tile.ok_or(ProofError::TileMissing { tile: id })?;
        if tile.len() as u64 != TILE_WIDTH {
            return Err(ProofError::TileWidth { tile: id, width: tile.len() });
        }
        self.tiles.push((id, tile.clone()));
        Ok(tile)
    }
}

/// The largest power of two smaller than `n`, which is at least 2 (RFC 9162's `k`).
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}
