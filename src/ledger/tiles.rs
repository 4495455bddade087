//! Tiles as proofs read them: from sled, the nodes of the most recent ones kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::merkle::{ExpandedTile, Hash, TileId, TileReader};
use crate::store::StoreError;
use crate::store::index::Index;

/// Tiles kept, 16 KiB each.
const TILES: usize = 128;

/// The nodes of recently used tiles. A full tile never changes.
#[derive(Default)]
pub(super) struct TileCache {
    tiles: Mutex<HashMap<TileId, Arc<ExpandedTile>>>,
}

/// Reads tiles through the cache.
pub(super) struct CachedTiles<'a> {
    pub(super) index: &'a Index,
    pub(super) cache: &'a TileCache,
}

impl TileReader for CachedTiles<'_> {
    type Error = StoreError;

    fn tile(&self, id: TileId) -> Result<Option<Arc<[Hash]>>, StoreError> {
        self.index.tile(id)
    }

    fn inner(&self, id: TileId, row: u32, place: usize) -> Result<Option<Hash>, StoreError> {
        let known = self.cache.tiles.lock().expect("no holder of this lock panics").get(&id).cloned();
        if let Some(tile) = known {
            return Ok(tile.node(row, place));
        }
        let Some(hashes) = self.index.tile(id)? else { return Ok(None) };
        let tile = Arc::new(ExpandedTile::new(&hashes));
        let mut tiles = self.cache.tiles.lock().expect("no holder of this lock panics");
        if tiles.len() >= TILES {
            tiles.clear();
        }
        tiles.insert(id, tile.clone());
        Ok(tile.node(row, place))
    }
}
