//! Tiles: the tree's hashes in runs of 256, as stored and served ([C2SP tlog-tiles]).
//!
//! A tile of level 0 holds leaf hashes; a hash in a tile of level `l + 1` is the root of one full tile of
//! level `l`. Levels in between are recomputed. A full tile never changes; the last one of each level is
//! partial until it fills and is kept by the tree, not by the store.
//!
//! [C2SP tlog-tiles]: https://c2sp.org/tlog-tiles

use std::fmt::Write as _;
use std::sync::Arc;

use super::hash::Hash;

/// Hashes in a full tile (C2SP tlog-tiles, "Merkle Tree").
pub const TILE_WIDTH: u64 = 256;

/// Log2 of [`TILE_WIDTH`]: how many levels of the tree one tile spans.
pub(super) const TILE_HEIGHT: u32 = 8;

/// Which tile: its level and its place in that level (C2SP tlog-tiles, "Merkle Tree").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// 0 for tiles of leaf hashes; a log of 2^64 leaves would reach 7.
    pub level: u8,
    /// Counted from 0 at the oldest leaf.
    pub index: u64,
}

impl TileId {
    /// The tile's path below the log's prefix: `tile/<L>/<N>`, with `.p/<W>` for a partial tile.
    ///
    /// `width` is the number of hashes; 256 (or more) is a full tile. A tile of width 0 has no path in the
    /// specification, so callers never ask for one.
    pub fn path(&self, width: u16) -> String {
        path(&format!("tile/{}", self.level), self.index, width)
    }
}

impl std::fmt::Display for TileId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.level, self.index)
    }
}

/// The path of a bundle of entries (C2SP tlog-tiles, "Log entries"), with the widths of [`TileId::path`].
pub fn entries_path(index: u64, width: u16) -> String {
    path("tile/entries", index, width)
}

/// Where full tiles are kept.
pub trait TileReader {
    /// Why a tile could not be read.
    type Error;

    /// Reads one stored tile of [`TILE_WIDTH`] hashes; `None` if it is not there.
    ///
    /// Asked only for full tiles which the tree has handed out by `take_full_tiles`.
    fn tile(&self, id: TileId) -> Result<Option<Arc<[Hash]>>, Self::Error>;

    /// The root over `2^row` hashes of a stored tile, the `place`-th such group, where the reader has it at hand:
    /// most proofs end in few tiles, and recomputing one takes up to 255 hashes. `None`: it is recomputed.
    fn inner(&self, id: TileId, row: u32, place: usize) -> Result<Option<Hash>, Self::Error> {
        let _ = (id, row, place);
        Ok(None)
    }
}

/// A full tile with all nodes above its hashes: what [`TileReader::inner`] is answered from.
#[derive(Debug, Clone)]
pub struct ExpandedTile {
    rows: Vec<Vec<Hash>>,
}

impl ExpandedTile {
    /// Computes the nodes of a tile.
    pub fn new(tile: &[Hash]) -> ExpandedTile {
        let mut rows = vec![tile.to_vec()];
        while let Some(below) = rows.last().filter(|r| r.len() > 1) {
            let above =
                below.chunks_exact(2).map(|pair| super::hash::node_hash(&pair[0], &pair[1])).collect();
            rows.push(above);
        }
        ExpandedTile { rows }
    }

    /// A node of it.
    pub fn node(&self, row: u32, place: usize) -> Option<Hash> {
        self.rows.get(row as usize)?.get(place).copied()
    }
}

/// Index 1234067 is written `x001/x234/067`, so that no name is both a file and a folder.
fn path(prefix: &str, index: u64, width: u16) -> String {
    let mut groups = vec![index % 1000];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(rest % 1000);
        rest /= 1000;
    }
    let mut path = prefix.to_owned();
    for (place, group) in groups.iter().enumerate().rev() {
        let mark = if place > 0 { "x" } else { "" };
        write!(path, "/{mark}{group:03}").expect("writing to a string does not fail");
    }
    if u64::from(width) < TILE_WIDTH {
        write!(path, ".p/{width}").expect("writing to a string does not fail");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |level, index| TileId { level, index };
        assert_eq!(tile(0, 1_234_067).path(256), "tile/0/x001/x234/067");
        assert_eq!(tile(0, 0).path(256), "tile/0/000");
        assert_eq!(tile(1, 1000).path(17), "tile/1/x001/000.p/17");
        assert_eq!(tile(2, 999).path(1), "tile/2/999.p/1");
        assert_eq!(entries_path(273, 112), "tile/entries/273.p/112");
        assert_eq!(entries_path(u64::MAX, 256), "tile/entries/x018/x446/x744/x073/x709/x551/615");
    }
}
