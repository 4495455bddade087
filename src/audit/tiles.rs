//! The log as a static directory that anybody's tools read ([C2SP tlog-tiles]): entries in bundles, tiles, and the
//! checkpoint as the last file, so that a directory with a checkpoint is whole.
//!
//! The tiles are computed from the leaves, and nothing is handed out as whole whose root is not the signed one. Files of
//! an export that was made before are not made again: full bundles and tiles never change.
//!
//! [C2SP tlog-tiles]: https://c2sp.org/tlog-tiles

use crate::merkle::{
    Hash, RebuildError, SignedCheckpoint, TILE_WIDTH, TileId, Tree, entries_path, leaf_hash,
};
use crate::store::StoreError;
use crate::store::index::{Index, tile_bytes};

/// The name of the file that comes last.
pub const CHECKPOINT: &str = "checkpoint";

/// Why a log cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TilesError<E> {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored tiles do not make the tree that was exported before.
    #[error(transparent)]
    Tree(#[from] RebuildError<StoreError>),
    /// Leaves are missing.
    #[error("the log has no event {index} of {size}: run `lienthong audit check`")]
    Missing {
        /// The first that is not there.
        index: u64,
        /// Size of the log.
        size: u64,
    },
    /// What is stored is not what was signed.
    #[error(
        "the events have the root {found}, the checkpoint of {size} events says {signed}: run `lienthong audit check`"
    )]
    Root {
        /// Size of the log.
        size: u64,
        /// As computed.
        found: Hash,
        /// As signed.
        signed: Hash,
    },
    /// The earlier export is of another history.
    #[error(
        "the first {size} events have the root {found} here and {known} in the earlier export: these are two histories of \
             one log; keep both and ask the node's administrator"
    )]
    History {
        /// Size of the earlier export.
        size: u64,
        /// The root here.
        found: Hash,
        /// The root there.
        known: Hash,
    },
    /// The earlier export has more.
    #[error(
        "the earlier export has {known} events, the log {size}: it was cut short, or this is an old copy of it"
    )]
    Longer {
        /// Size of the log.
        size: u64,
        /// Size of the export.
        known: u64,
    },
    /// A leaf is longer than a bundle can say.
    #[error("event {index} has {size} bytes, a bundle of entries holds at most 65535 each")]
    LeafTooLong {
        /// Its index.
        index: u64,
        /// Its length.
        size: usize,
    },
    /// The receiver of the files refused one.
    #[error("{0}")]
    Write(E),
}

/// Size and root of an export that was made before.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Events in it.
    pub size: u64,
    /// Their root.
    pub root: Hash,
}

/// Exports the log under `checkpoint`, whose note may have cosignatures beside, file by file: path below the log's prefix, and content of at most 16 MiB. The full
/// tiles and bundles of an earlier export are left out, when this log grew out of that.
pub fn export_tiles<E>(
    index: &Index,
    (checkpoint, note): (&SignedCheckpoint, &str),
    known: Option<Known>,
    mut write: impl FnMut(&str, Vec<u8>) -> Result<(), E>,
) -> Result<(), TilesError<E>> {
    let (size, signed) = (checkpoint.checkpoint().size, checkpoint.checkpoint().root);
    // The earlier root is computed on the way, from the same leaves.
    let known = known.filter(|known| known.size > 0);
    let begin = known.map_or(0, |known| known.size.min(size)) / TILE_WIDTH * TILE_WIDTH;
    let mut tree = Tree::rebuild(begin, index, std::iter::empty())?;
    let compare = |tree: &Tree| match known {
        Some(known) if known.size == tree.size() && known.root != tree.root() => {
            Err(TilesError::History { size: known.size, found: tree.root(), known: known.root })
        }
        _ => Ok(()),
    };
    if let Some(known) = known.filter(|known| known.size > size) {
        return Err(TilesError::Longer { size, known: known.size });
    }
    compare(&tree)?;
    let mut at = begin;
    while at < size {
        let width = TILE_WIDTH.min(size - at);
        let mut bundle = Vec::new();
        for leaf in leaves(index, at, width, size)? {
            let place = tree.size();
            let length = u16::try_from(leaf.len())
                .map_err(|_| TilesError::LeafTooLong { index: place, size: leaf.len() })?;
            tree.push(leaf_hash(&leaf));
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(&leaf);
            compare(&tree)?;
        }
        write(&entries_path(at / TILE_WIDTH, width as u16), bundle).map_err(TilesError::Write)?;
        for (id, hashes) in tree.take_full_tiles() {
            write(&id.path(TILE_WIDTH as u16), tile_bytes(&hashes)).map_err(TilesError::Write)?;
        }
        at += width;
    }
    let found = tree.root();
    if found != signed {
        return Err(TilesError::Root { size, found, signed });
    }
    let mut below = size;
    for level in 0.. {
        let edge = tree.edge(level);
        if !edge.is_empty() {
            let id = TileId { level, index: below / TILE_WIDTH };
            write(&id.path(edge.len() as u16), tile_bytes(edge)).map_err(TilesError::Write)?;
        }
        below /= TILE_WIDTH;
        if below == 0 {
            break;
        }
    }
    write(CHECKPOINT, note.as_bytes().to_vec()).map_err(TilesError::Write)
}

/// The leaves of one bundle, all of them.
fn leaves<E>(index: &Index, from: u64, width: u64, size: u64) -> Result<Vec<bytes::Bytes>, TilesError<E>> {
    let found = index.leaves(from, width as usize)?;
    let whole: Vec<_> =
        found.into_iter().zip(from..).take_while(|((i, _), at)| i == at).map(|((_, leaf), _)| leaf).collect();
    if (whole.len() as u64) < width {
        return Err(TilesError::Missing { index: from + whole.len() as u64, size });
    }
    Ok(whole)
}
