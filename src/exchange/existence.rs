//! Since when a document is proven to exist, before this node had it: its origin committed it, and another node of the
//! directory cosigned that commit's checkpoint (C2SP tlog-cosignature). A document that waited for its recipient is
//! judged at that time, so that a certificate which ended meanwhile does no harm.
//!
//! The origin's own word is no proof of its time, nor is that of a node that is not listed.

use crate::directory::Directory;
use crate::domain::ids::NodeName;
use crate::merkle::{KeyAlgorithm, Note, NoteVerifier, SignedCheckpoint, verify_cosignature};
use crate::time::Timestamp;

/// Bytes of a checkpoint with its cosignatures: each has about 120.
const NOTE_BYTES: usize = 64 * 1024;

/// The earliest time at which a listed node other than `origin` cosigned a checkpoint.
fn cosigned_at(directory: &Directory, origin: &NodeName, checkpoint: &SignedCheckpoint) -> Option<Timestamp> {
    let note = Note::parse(checkpoint.note(), NOTE_BYTES).ok()?;
    let lines = note.signatures.iter().filter(|line| line.name != checkpoint.checkpoint().origin);
    let times = lines.filter_map(|line| {
        let nodes = directory.nodes();
        let mut keys = nodes
            .iter()
            .filter(|node| node.name != *origin)
            .flat_map(|node| &node.entry.cosign_keys)
            .filter(|key| key.starts_with(&line.name))
            .filter_map(|key| key.parse::<NoteVerifier>().ok())
            .filter(|key| key.algorithm() == KeyAlgorithm::CosignatureV1);
        let seconds = keys.find_map(|key| verify_cosignature(checkpoint.body(), line, &key).ok())?;
        Some(Timestamp::from_millis(i64::try_from(seconds).ok()?.checked_mul(1_000)?))
    });
    times.min()
}

/// The time at which a document is judged that came under this checkpoint of its origin and was received at `received`.
/// A witness whose clock is ahead proves nothing.
pub(crate) fn judged_at(
    directory: &Directory,
    origin: &NodeName,
    checkpoint: &SignedCheckpoint,
    received: Timestamp,
) -> Timestamp {
    cosigned_at(directory, origin, checkpoint).filter(|at| *at < received).unwrap_or(received)
}
