//! The directory: the signed list of agencies, nodes and keys, the same at every node.
//!
//! A version is one C2SP signed note: its text is the directory as JSON ([`content::Content`]), its signature that of
//! the directory's authority. It is kept and passed on as the bytes that were signed, and a person can read it.
//! [`Directory`] has no other constructor than [`Directory::verify`], so whatever holds one holds a verified one.
//!
//! Entries are closed by date, never deleted; codes are looked up, never judged by a pattern (DOMAIN "Agencies").
//! Where files come from and which version is in force is not decided here: see `exchange::directory`.

pub mod build;
pub mod content;
mod place;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::event::Level;
use crate::domain::ids::{AgencyId, Digest, NodeName};
use crate::merkle::{KeyError, Note, NoteError, NoteVerifier, UnverifiedCheckpoint, sha256};
use crate::signature::{Trust, TrustError};
use crate::time::{Date, Timestamp};
use content::{AgencyEntry, Content, NodeEntry, NodesOnly};

/// Bytes of a signed directory: 123,000 agencies with their seals stay below.
pub const MAX_BYTES: usize = 512 * 1024 * 1024;

/// A directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The signature does not hold, or the file is no signed note.
    #[error("the directory's signature does not hold: {0}")]
    Signature(#[from] NoteError),
    /// The text is not a directory.
    #[error("the directory cannot be read: {0}")]
    Format(String),
    /// It contradicts itself.
    #[error("the directory contradicts itself at {place}: {problem}")]
    Inconsistent {
        /// Where.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// Its certificates cannot be used.
    #[error("a certificate of the directory cannot be used: {0}")]
    Trust(#[from] TrustError),
}

/// An agency of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agency {
    /// Permanent id.
    pub id: AgencyId,
    /// The entry as listed.
    pub entry: Arc<AgencyEntry>,
    /// Index of the parent.
    parent: Option<usize>,
}

impl Agency {
    /// Level of the agency.
    pub fn level(&self) -> Level {
        self.entry.level
    }

    /// Whether it is closed on that day.
    pub fn is_closed(&self, on: Date) -> bool {
        self.entry.closed_on.is_some_and(|closed| on >= closed)
    }

    /// Whether the node hosts it on that day, or did not long ago: messages that it took then may still be under way.
    pub fn was_hosted_lately(&self, node: &NodeName, on: Date) -> bool {
        let grace = (crate::domain::limits::DELIVERY_MAX_MS / 86_400_000) as i32;
        self.entry.hosting.iter().any(|h| {
            h.node == *node
                && h.from.is_none_or(|from| on >= from)
                && h.to.is_none_or(|to| on < to.plus_days(grace))
        })
    }

    /// The nodes of which that is so.
    pub fn lately_hosted_by(&self, on: Date) -> Vec<NodeName> {
        let nodes = self.entry.hosting.iter().map(|h| &h.node);
        nodes.filter(|node| self.was_hosted_lately(node, on)).cloned().collect()
    }

    /// The node that hosts it on that day.
    pub fn node(&self, on: Date) -> Option<&NodeName> {
        self.entry
            .hosting
            .iter()
            .find(|h| h.from.is_none_or(|from| on >= from) && h.to.is_none_or(|to| on < to))
            .map(|h| &h.node)
    }
}

/// A node of the directory.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// The entry as listed.
    pub entry: Arc<NodeEntry>,
    /// Its log keys.
    pub log_keys: Arc<[ListedKey]>,
    /// Its cosigning keys.
    pub cosign_keys: Arc<[NoteVerifier]>,
}

/// The key of a log, and what it may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// The key; its name is the log's origin.
    pub key: NoteVerifier,
    /// The smallest tree that it signs.
    pub first: u64,
    /// The largest; none while it is in use.
    pub last: Option<u64>,
    /// Since when it is no longer trusted.
    pub withdrawn: Option<Timestamp>,
}

impl ListedKey {
    /// Whether a signature of the checkpoint claims to be by this key.
    pub fn made(&self, checkpoint: &UnverifiedCheckpoint) -> bool {
        self.key.name() == checkpoint.claimed().origin
            && checkpoint.note().signatures.iter().any(|s| self.key.made(s))
    }

    /// Whether it signs trees of this size.
    pub fn covers(&self, size: u64) -> bool {
        size >= self.first && self.last.is_none_or(|last| size <= last)
    }
}

impl Node {
    /// The key in use of a log, by the log's origin.
    pub fn log_key(&self, origin: &str) -> Option<&NoteVerifier> {
        let mut in_use = self.log_keys.iter().filter(|k| k.last.is_none() && k.withdrawn.is_none());
        in_use.find(|k| k.key.name() == origin).map(|k| &k.key)
    }

    /// Whether a key is listed to sign what its log writes from now on. There may be several: a new key is listed before
    /// it is used.
    pub fn may_sign(&self, key: &NoteVerifier) -> bool {
        self.log_keys.iter().any(|k| k.key == *key && k.last.is_none() && k.withdrawn.is_none())
    }

    /// The key that a checkpoint must be signed by: of its log, for trees of its size, and not withdrawn; where there are
    /// several, the one that claims it. A generation that was closed stays listed, so old proofs hold.
    pub fn key_of(&self, checkpoint: &UnverifiedCheckpoint) -> Option<&NoteVerifier> {
        let claimed = checkpoint.claimed();
        let counts = |k: &&ListedKey| {
            k.key.name() == claimed.origin && k.withdrawn.is_none() && k.covers(claimed.size)
        };
        let mut counting = self.log_keys.iter().filter(counts);
        let first = counting.clone().next();
        counting.find(|k| k.made(checkpoint)).or(first).map(|k| &k.key)
    }
}

/// A verified directory version.
#[derive(Debug, Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    network: String,
    version: u64,
    previous: Option<Digest>,
    valid_until: Timestamp,
    digest: Digest,
    note: String,
    agencies: Vec<Agency>,
    by_id: HashMap<AgencyId, usize>,
    by_code: HashMap<String, Vec<usize>>,
    nodes: HashMap<NodeName, Node>,
    trust: Trust,
}

impl Directory {
    /// Verifies the authority's signature over the exact bytes, then reads and checks the content.
    pub fn verify(note: &str, authority: &NoteVerifier) -> Result<Directory, DirectoryError> {
        let parsed = Note::parse(note, MAX_BYTES)?;
        parsed.verify(authority)?;
        let content: Content =
            serde_json::from_str(&parsed.text).map_err(|e| DirectoryError::Format(e.to_string()))?;
        Directory::index(content, note)
    }

    fn index(content: Content, note: &str) -> Result<Directory, DirectoryError> {
        check_format(content.format)?;
        let nodes = read_nodes(content.nodes)?;
        let mut by_id = HashMap::with_capacity(content.agencies.len());
        for (i, entry) in content.agencies.iter().enumerate() {
            let id = AgencyId::new(&entry.id).map_err(|e| odd(&entry.id, e.to_string()))?;
            if by_id.insert(id, i).is_some() {
                return Err(odd(&entry.id, "the agency is listed twice".into()));
            }
        }
        let mut agencies = Vec::with_capacity(content.agencies.len());
        let mut by_code: HashMap<String, Vec<usize>> = HashMap::with_capacity(2 * content.agencies.len());
        let mut trust = Trust::new(decode_all(&content.roots).map_err(|e| odd("roots", e))?)?;
        for (i, entry) in content.agencies.into_iter().enumerate() {
            let id = AgencyId::new(&entry.id).map_err(|e| odd(&entry.id, e.to_string()))?;
            let parent = match &entry.parent {
                None => None,
                Some(p) => Some(
                    AgencyId::new(p)
                        .ok()
                        .and_then(|p| by_id.get(&p).copied())
                        .ok_or_else(|| odd(&entry.id, format!("its parent `{p}` is not listed")))?,
                ),
            };
            for hosting in &entry.hosting {
                if !nodes.contains_key(&hosting.node) {
                    return Err(odd(&entry.id, format!("its node `{}` is not listed", hosting.node)));
                }
            }
            for code in &entry.codes {
                by_code.entry(code.code.clone()).or_default().push(i);
            }
            for seal in decode_all(&entry.seals).map_err(|e| odd(&entry.id, e))? {
                trust = trust.with_seal(id.as_str(), &seal)?;
            }
            agencies.push(Agency { id, entry: entry.into(), parent });
        }
        for der in decode_all(&content.refused_signers).map_err(|e| odd("refused_signers", e))? {
            trust = trust.with_refused(&der)?;
        }
        for (i, agency) in agencies.iter().enumerate() {
            let mut seen = HashSet::from([i]);
            let mut at = agency.parent;
            while let Some(p) = at {
                if !seen.insert(p) {
                    return Err(odd(agency.id.as_str(), "it is its own ancestor".into()));
                }
                at = agencies[p].parent;
            }
        }
        Ok(Directory {
            inner: Arc::new(Inner {
                network: content.network,
                version: content.version,
                previous: content.previous,
                valid_until: content.valid_until,
                digest: sha256(note.as_bytes()),
                note: note.to_owned(),
                agencies,
                by_id,
                by_code,
                nodes,
                trust,
            }),
        })
    }

    /// Name of the network.
    pub fn network(&self) -> &str {
        &self.inner.network
    }

    /// Version, counting up.
    pub fn version(&self) -> u64 {
        self.inner.version
    }

    /// Digest of the version before.
    pub fn previous(&self) -> Option<Digest> {
        self.inner.previous
    }

    /// Until when the authority vouches for it.
    pub fn valid_until(&self) -> Timestamp {
        self.inner.valid_until
    }

    /// SHA-256 of the signed note.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// The signed note, as it was verified.
    pub fn note(&self) -> &str {
        &self.inner.note
    }

    /// Document roots and seals.
    pub fn trust(&self) -> &Trust {
        &self.inner.trust
    }

    /// All agencies, in the list's order.
    pub fn agencies(&self) -> &[Agency] {
        &self.inner.agencies
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self.inner.nodes.values().collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes
    }

    /// A node by name.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.inner.nodes.get(name)
    }

    /// An agency by its permanent id.
    pub fn agency(&self, id: &AgencyId) -> Option<&Agency> {
        self.inner.by_id.get(id).map(|i| &self.inner.agencies[*i])
    }

    /// An agency by a code that is valid on that day: current or old form. A code that was never limited in time
    /// and belongs to one agency only is found on any day.
    pub fn by_code(&self, code: &str, on: Date) -> Option<&Agency> {
        let mut agencies = self.inner.by_code.get(code)?.iter().map(|i| &self.inner.agencies[*i]);
        agencies.find(|a| a.entry.codes.iter().any(|c| c.code == code && c.is_valid(on)))
    }

    /// Whether an agency stands anywhere under this code, on any day.
    pub fn knows_code(&self, code: &str) -> bool {
        self.inner.by_code.contains_key(code)
    }
}

/// The nodes of a version and their keys, without agencies and certificates: all that a version of long ago is asked for
/// when many are read. The signature is verified as [`Directory::verify`] does it.
#[derive(Debug, Clone)]
pub struct NodeList {
    /// Name of the network.
    pub network: String,
    /// Version.
    pub version: u64,
    /// Digest of the version before.
    pub previous: Option<Digest>,
    /// SHA-256 of the signed note.
    pub digest: Digest,
    /// The nodes, by name.
    pub nodes: HashMap<NodeName, Node>,
}

impl NodeList {
    /// Verifies the authority's signature over the exact bytes, then reads what it says of nodes.
    pub fn verify(note: &str, authority: &NoteVerifier) -> Result<NodeList, DirectoryError> {
        let parsed = Note::parse(note, MAX_BYTES)?;
        parsed.verify(authority)?;
        let content: NodesOnly =
            serde_json::from_str(&parsed.text).map_err(|e| DirectoryError::Format(e.to_string()))?;
        check_format(content.format)?;
        let NodesOnly { network, version, previous, nodes, .. } = content;
        Ok(NodeList {
            network,
            version,
            previous,
            digest: sha256(note.as_bytes()),
            nodes: read_nodes(nodes)?,
        })
    }
}

fn odd(place: &str, problem: String) -> DirectoryError {
    DirectoryError::Inconsistent { place: place.to_owned(), problem }
}

fn check_format(format: u32) -> Result<(), DirectoryError> {
    if format == content::FORMAT {
        return Ok(());
    }
    Err(odd("format", format!("{format} is not {}", content::FORMAT)))
}

fn read_nodes(entries: Vec<NodeEntry>) -> Result<HashMap<NodeName, Node>, DirectoryError> {
    let mut nodes = HashMap::new();
    for entry in entries {
        let mut log_keys = Vec::new();
        for key in &entry.log_keys {
            let verifier: NoteVerifier =
                key.key.parse().map_err(|e: KeyError| odd(entry.name.as_str(), e.to_string()))?;
            if !verifier.name().starts_with(&format!("{}/log/", entry.name)) {
                return Err(odd(entry.name.as_str(), format!("`{}` names another's log", verifier.name())));
            }
            log_keys.push(ListedKey {
                key: verifier,
                first: key.first,
                last: key.last,
                withdrawn: key.withdrawn,
            });
        }
        let cosign_keys = entry.cosign_keys.iter().map(|key| key.parse());
        let cosign_keys = cosign_keys
            .collect::<Result<Vec<NoteVerifier>, KeyError>>()
            .map_err(|e| odd(entry.name.as_str(), e.to_string()))?;
        let node = Node {
            name: entry.name.clone(),
            log_keys: log_keys.into(),
            cosign_keys: cosign_keys.into(),
            entry: entry.into(),
        };
        if let Some(twice) = nodes.insert(node.name.clone(), node) {
            return Err(odd(twice.name.as_str(), "the node is listed twice".into()));
        }
    }
    Ok(nodes)
}

fn decode_all(texts: &[String]) -> Result<Vec<Vec<u8>>, String> {
    use base64::Engine as _;
    texts
        .iter()
        .map(|t| base64::engine::general_purpose::STANDARD.decode(t).map_err(|e| format!("no base64: {e}")))
        .collect()
}
