//! Proofs as they travel and are kept, and their verification.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;
use prost::Message as _;

use super::{leaf, pb, words};
use crate::domain::event::{Event, LogRef};
use crate::domain::reason::{Reason, Rejection};
use crate::merkle::{
    Hash, NoteVerifier, SignedCheckpoint, UnverifiedCheckpoint, leaf_hash, sha256, verify_inclusion,
};

/// Verified checkpoints kept, so that the many proofs of one commit cost one signature check.
const CHECKPOINTS: usize = 512;

/// A proof: event, index, path, checkpoint. Nothing of it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The event exactly as it was written.
    pub leaf: Bytes,
    /// Its index.
    pub index: u64,
    /// From the leaf to the root.
    pub path: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl Proof {
    /// To the wire.
    pub fn to_wire(&self) -> pb::Proof {
        pb::Proof {
            leaf: self.leaf.clone(),
            index: self.index,
            path: words::digests(&self.path),
            checkpoint: self.checkpoint.clone(),
        }
    }

    /// From the wire.
    pub fn from_wire(proof: pb::Proof) -> Result<Proof, Rejection> {
        let path = proof
            .path
            .iter()
            .map(|b| Hash::from_slice(b).ok_or_else(|| bad(format!("a path entry of {} bytes", b.len()))))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Proof { leaf: proof.leaf, index: proof.index, path, checkpoint: proof.checkpoint })
    }

    /// As it is kept in the content store.
    pub fn encode(&self) -> Bytes {
        self.to_wire().encode_to_vec().into()
    }

    /// As it was kept.
    pub fn decode(bytes: &[u8]) -> Result<Proof, Rejection> {
        Proof::from_wire(pb::Proof::decode(bytes).map_err(|e| bad(e.to_string()))?)
    }
}

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
    pub fn log_ref(&self) -> LogRef {
        LogRef {
            log: self.checkpoint.checkpoint().origin.clone(),
            index: self.index,
            leaf_hash: self.leaf_hash,
        }
    }
}

fn bad(message: String) -> Rejection {
    Rejection::new(Reason::BadProof, "proof", message)
}

/// Verifies proofs, and remembers the checkpoints that it has verified.
#[derive(Default)]
pub struct ProofVerifier {
    /// By the SHA-256 of the note, each with the key that verified it.
    known: Mutex<HashMap<Hash, (NoteVerifier, SignedCheckpoint)>>,
}

impl ProofVerifier {
    /// Verifies a proof: the checkpoint's signature by the key that `key_of` gives for it, then the path from the leaf
    /// to its root, then the event.
    pub fn verify(
        &self,
        proof: &Proof,
        key_of: impl Fn(&UnverifiedCheckpoint) -> Option<NoteVerifier>,
    ) -> Result<VerifiedProof, Rejection> {
        let checkpoint = self.checkpoint(&proof.checkpoint, key_of)?;
        let hash = leaf_hash(&proof.leaf);
        let head = checkpoint.checkpoint();
        verify_inclusion(&hash, proof.index, head.size, &proof.path, &head.root)
            .map_err(|e| bad(e.to_string()))?;
        let event = leaf::decode(&proof.leaf).map_err(|e| bad(e.to_string()))?;
        Ok(VerifiedProof { event, index: proof.index, leaf_hash: hash, checkpoint })
    }

    /// Verifies a checkpoint by the key that `key_of` gives for it.
    pub fn checkpoint(
        &self,
        note: &str,
        key_of: impl Fn(&UnverifiedCheckpoint) -> Option<NoteVerifier>,
    ) -> Result<SignedCheckpoint, Rejection> {
        let unverified = SignedCheckpoint::parse_unverified(note).map_err(|e| bad(e.to_string()))?;
        // The key is looked up each time: what a peer may sign can change, what it signed cannot.
        let key = key_of(&unverified).ok_or_else(|| {
            let claimed = unverified.claimed();
            bad(format!(
                "log `{}` is not one of the peer's, or none of its keys signs trees of {} events",
                claimed.origin, claimed.size
            ))
        })?;
        let name = sha256(note.as_bytes());
        if let Some((by, known)) = self.known.lock().expect("no holder of this lock panics").get(&name)
            && *by == key
        {
            return Ok(known.clone());
        }
        let checkpoint = unverified.verify(&key).map_err(|e| bad(e.to_string()))?;
        let mut known = self.known.lock().expect("no holder of this lock panics");
        if known.len() >= CHECKPOINTS {
            known.clear();
        }
        known.insert(name, (key, checkpoint.clone()));
        Ok(checkpoint)
    }
}
