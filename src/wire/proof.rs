//! Proofs as they travel and are kept.

use bytes::Bytes;
use prost::Message as _;

use super::{leaf, pb, words};
use crate::domain::event::Event;
use crate::domain::reason::{Reason, Rejection};
use crate::merkle::{Hash, NoteVerifier, SignedCheckpoint, leaf_hash, verify_inclusion};

/// A proof whose every step held: the event stands at the index of the log that signed the checkpoint.
#[derive(Debug, Clone)]
pub struct VerifiedProof {
    event: Event,
    index: u64,
    leaf_hash: Hash,
    checkpoint: SignedCheckpoint,
}

impl VerifiedProof {
    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Its index.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Hash of its leaf.
    pub fn leaf_hash(&self) -> Hash {
        self.leaf_hash
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The place as another log's event names it.
    pub fn log_ref(&self) -> crate::domain::event::LogRef {
        crate::domain::event::LogRef {
            log: self.checkpoint.checkpoint().origin.clone(),
            index: self.index,
            leaf_hash: self.leaf_hash,
        }
    }
}

fn bad(message: String) -> Rejection {
    Rejection::new(Reason::BadProof, "proof", message)
}

/// Verifies a proof: the checkpoint's signature by the key that `key_of` gives for the log's origin, then the path
/// from the leaf to its root, then the event.
pub fn verify(
    proof: &pb::Proof,
    key_of: impl Fn(&str) -> Option<NoteVerifier>,
) -> Result<VerifiedProof, Rejection> {
    let unverified = SignedCheckpoint::parse_unverified(&proof.checkpoint).map_err(|e| bad(e.to_string()))?;
    let origin = unverified.claimed().origin.clone();
    let key = key_of(&origin).ok_or_else(|| bad(format!("log `{origin}` is not one of the peer's")))?;
    let checkpoint = unverified.verify(&key).map_err(|e| bad(e.to_string()))?;
    let hash = leaf_hash(&proof.leaf);
    let path = proof
        .path
        .iter()
        .map(|b| Hash::from_slice(b).ok_or_else(|| bad(format!("a path entry of {} bytes", b.len()))))
        .collect::<Result<Vec<_>, _>>()?;
    let head = checkpoint.checkpoint();
    verify_inclusion(&hash, proof.index, head.size, &path, &head.root).map_err(|e| bad(e.to_string()))?;
    let event = leaf::decode(&proof.leaf).map_err(|e| bad(e.to_string()))?;
    Ok(VerifiedProof { event, index: proof.index, leaf_hash: hash, checkpoint })
}

/// A proof as it is kept in the content store.
pub fn encode(proof: &pb::Proof) -> Bytes {
    proof.encode_to_vec().into()
}

/// A proof as it was kept.
pub fn decode(bytes: &[u8]) -> Result<pb::Proof, Rejection> {
    pb::Proof::decode(bytes).map_err(|e| bad(e.to_string()))
}

/// Puts a proof together.
pub fn build(leaf: Bytes, index: u64, path: &[Hash], checkpoint: &str) -> pb::Proof {
    pb::Proof { leaf, index, path: words::digests(path), checkpoint: checkpoint.to_owned() }
}
