//! The log's mathematics: hashes, tiles, proofs, signed notes, checkpoints and cosignatures.
//!
//! Owned here, byte for byte:
//!
//! - leaf and node hashes, roots, inclusion and consistency proofs as in RFC 9162, section 2.1
//!   (the same tree as RFC 6962's), with SHA-256;
//! - the shape and the paths of tiles ([C2SP tlog-tiles](https://c2sp.org/tlog-tiles)), height 8;
//! - the text of [signed notes](https://c2sp.org/signed-note),
//!   [checkpoints](https://c2sp.org/tlog-checkpoint) and Ed25519
//!   [cosignatures](https://c2sp.org/tlog-cosignature).
//!
//! Everything is a function of its arguments: no clock, disk, network or randomness. Where tiles are
//! kept, when a checkpoint is signed and whose cosignatures count is decided by callers.
//!
//! Two kinds of input meet here. What a peer sent (proofs, notes, sizes, indexes) is hostile: it is
//! bounded, never overflows and never panics. What our own store holds (tiles, leaves) is only checked
//! for its shape; that it is the right content shows when a rebuilt root equals the signed one.

mod checkpoint;
mod cosignature;
mod fork;
mod hash;
mod key_change;
mod log_keys;
mod note;
mod note_key;
mod proof;
mod prove;
mod tile;
mod tree;

#[cfg(test)]
mod tests;

pub use checkpoint::{
    Checkpoint, CheckpointError, MAX_CHECKPOINT_BYTES, SignedCheckpoint, UnverifiedCheckpoint,
};
pub use cosignature::{cosign, verify_cosignature};
pub use fork::prefix_root;
pub use hash::{Hash, ParseHashError, empty_root, leaf_hash, node_hash, sha256};
pub use key_change::{KeyChangeError, KeyChangeStatement, MAX_KEY_CHANGE_BYTES};
pub use log_keys::LogKeys;
pub use note::{MAX_SIGNATURES, Note, NoteError, NoteSignature};
pub use note_key::{KeyAlgorithm, KeyError, NoteSigner, NoteVerifier};
pub use proof::{MAX_PROOF_HASHES, ProofInvalid, verify_consistency, verify_inclusion};
pub use prove::ProofError;
pub use tile::{ExpandedTile, TILE_WIDTH, TileId, TileReader, entries_path};
pub use tree::{RebuildError, Tree};
