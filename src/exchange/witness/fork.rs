//! The proof of a fork: a file that shows by itself, to whoever trusts the directory's authority, that the key of one log
//! signed two histories of it.
//!
//! It holds two checkpoints and the directory version that lists their key. Of the same size they have different roots.
//! Of different sizes, the path of the older tree's last leaf in the newer tree says which root the older tree had in that
//! history, and it is not the one that was signed (`merkle::prefix_root`). Nothing else counts as proof: that a node gave
//! no path, or a wrong one, proves nothing to others, and is no reason for such a file.

use serde::{Deserialize, Serialize};

use crate::directory::{Directory, DirectoryError};
use crate::domain::ids::NodeName;
use crate::merkle::{
    CheckpointError, Hash, NoteVerifier, ParseHashError, ProofInvalid, SignedCheckpoint, prefix_root,
};

/// What the first field of the file says.
pub const FORMAT: &str = "lienthong-fork-proof/1";

/// The file, as JSON. Nothing in it is verified before [`ForkProof::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkProof {
    /// [`FORMAT`].
    pub format: String,
    /// Origin line of the log.
    pub log: String,
    /// Its key, as a C2SP verifier key.
    pub key: String,
    /// The node that found it.
    pub found_by: String,
    /// When, by that node's clock (RFC 3339).
    pub found_at: String,
    /// The checkpoint of fewer leaves, as signed.
    pub older: String,
    /// The other one, as signed.
    pub newer: String,
    /// What connects them, where their sizes differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
    /// The directory version that lists the key.
    pub directory_version: u64,
    /// That version, as signed.
    pub directory: String,
}

/// The older tree's last leaf in the newer tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefix {
    /// Its hash, in hexadecimal.
    pub leaf_hash: String,
    /// From it to the newer root.
    pub path: Vec<String>,
}

/// A fork that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The node whose log it is.
    pub node: NodeName,
    /// The checkpoint of fewer leaves.
    pub older: SignedCheckpoint,
    /// The other one.
    pub newer: SignedCheckpoint,
    /// The root that the older tree has in the newer one's history; for trees of one size the newer root.
    pub root: Hash,
    /// The directory version that lists the key.
    pub directory_version: u64,
}

/// Why a file proves no fork.
#[derive(Debug, thiserror::Error)]
pub enum ForkInvalid {
    /// Not such a file.
    #[error("it cannot be read: {0}")]
    Read(String),
    /// The directory version in it.
    #[error("its directory version: {0}")]
    Directory(#[from] DirectoryError),
    /// The directory does not list the key.
    #[error("directory version {version} lists no key `{key}` of log `{log}` for trees of {size} events")]
    NotListed {
        /// The version.
        version: u64,
        /// The key.
        key: String,
        /// The log.
        log: String,
        /// Leaves of the tree.
        size: u64,
    },
    /// A checkpoint is not the log's.
    #[error("checkpoint `{which}`: {error}")]
    Checkpoint {
        /// Which of the two.
        which: &'static str,
        /// Why.
        error: CheckpointError,
    },
    /// The path does not lead to the newer root.
    #[error("its path: {0}")]
    Path(#[from] ProofInvalid),
    /// A hash that is none.
    #[error("its path: {0}")]
    Hash(#[from] ParseHashError),
    /// The two checkpoints may both be true.
    #[error("its checkpoints of {older} and {newer} events do not contradict each other")]
    Consistent {
        /// Leaves of the older one.
        older: u64,
        /// Of the newer one.
        newer: u64,
    },
}

/// The node that a log's origin line names.
pub fn node_of(log: &str) -> Option<NodeName> {
    NodeName::new(log.rsplit_once("/log/")?.0).ok()
}

impl ForkProof {
    /// Puts a proof together. Whoever does has verified both checkpoints with the key.
    pub fn new(
        (older, newer): (&SignedCheckpoint, &SignedCheckpoint),
        prefix: Option<(&Hash, &[Hash])>,
        key: &NoteVerifier,
        directory: &Directory,
        (found_by, found_at): (&NodeName, crate::time::Timestamp),
    ) -> ForkProof {
        ForkProof {
            format: FORMAT.to_owned(),
            log: older.checkpoint().origin.clone(),
            key: key.to_string(),
            found_by: found_by.to_string(),
            found_at: found_at.to_string(),
            older: older.note().to_owned(),
            newer: newer.note().to_owned(),
            prefix: prefix.map(|(leaf, path)| Prefix {
                leaf_hash: leaf.to_string(),
                path: path.iter().map(ToString::to_string).collect(),
            }),
            directory_version: directory.version(),
            directory: directory.note().to_owned(),
        }
    }

    /// Reads a file.
    pub fn read(text: &str) -> Result<ForkProof, ForkInvalid> {
        let proof: ForkProof = serde_json::from_str(text).map_err(|e| ForkInvalid::Read(e.to_string()))?;
        if proof.format == FORMAT {
            return Ok(proof);
        }
        let shown = crate::domain::ids::shorten(&proof.format);
        Err(ForkInvalid::Read(format!("its format is `{shown}`, this program knows `{FORMAT}`")))
    }

    /// Checks it from first principles; trusted is the authority's key alone.
    pub fn verify(&self, authority: &NoteVerifier) -> Result<Shown, ForkInvalid> {
        // 1. The directory version is the authority's.
        let directory = Directory::verify(&self.directory, authority)?;
        // 2. It lists the key for the log.
        let not_listed = |size: u64| ForkInvalid::NotListed {
            version: directory.version(),
            key: crate::domain::ids::shorten(&self.key),
            log: crate::domain::ids::shorten(&self.log),
            size,
        };
        let node = node_of(&self.log).ok_or_else(|| not_listed(0))?;
        let keys = directory.node(&node).map(|n| n.log_keys.clone()).ok_or_else(|| not_listed(0))?;
        // 3. The key signed both checkpoints.
        let read = |which: &'static str, text: &str| -> Result<SignedCheckpoint, ForkInvalid> {
            let failed = |error| ForkInvalid::Checkpoint { which, error };
            let unverified = SignedCheckpoint::parse_unverified(text).map_err(failed)?;
            let size = unverified.claimed().size;
            let key = keys
                .iter()
                .find(|k| k.key.to_string() == self.key && k.key.name() == self.log && k.covers(size))
                .ok_or_else(|| not_listed(size))?;
            unverified.verify(&key.key).map_err(failed)
        };
        let (older, newer) = (read("older", &self.older)?, read("newer", &self.newer)?);
        // 4. They cannot both be true.
        let (a, b) = (older.checkpoint().clone(), newer.checkpoint().clone());
        let consistent = || ForkInvalid::Consistent { older: a.size, newer: b.size };
        let root = match &self.prefix {
            None if a.size == b.size => b.root,
            None => return Err(consistent()),
            Some(prefix) => {
                let path = prefix.path.iter().map(|h| h.parse()).collect::<Result<Vec<Hash>, _>>()?;
                prefix_root(&prefix.leaf_hash.parse()?, a.size, b.size, &path, &b.root)?
            }
        };
        if root == a.root {
            return Err(consistent());
        }
        Ok(Shown { node, older, newer, root, directory_version: directory.version() })
    }
}
