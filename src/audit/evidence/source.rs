//! Where evidence is exported from: a node's store, running or not, and for whose eyes.

use std::path::Path;

use crate::domain::ids::{AgencyId, Digest};
use crate::domain::reason::Rejection;
use crate::exchange::timestamps::Stamps;
use crate::exchange::witness::ever::Ever;
use crate::merkle::NoteVerifier;
use crate::signature::Trust;
use crate::store::StoreError;
use crate::store::content::{ContentStore, StoppedContent};
use crate::store::index::Index;
use crate::wire::proof::Proof;

/// Where content is read from.
pub trait Contents {
    /// Bytes of a content; `None` where it is not there.
    fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError>;

    /// A piece of it, not checked: the reader hashes as it goes.
    fn read(&self, digest: &Digest, from: u64, buffer: &mut [u8]) -> Result<(), StoreError>;
}

fn missing(digest: &Digest) -> StoreError {
    let problem = format!("content {digest} went away while it was read");
    StoreError::Index { path: "content".into(), problem }
}

impl Contents for ContentStore {
    fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(self.location(digest)?.map(|location| location.length()))
    }

    fn read(&self, digest: &Digest, from: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        let location = self.location(digest)?.ok_or_else(|| missing(digest))?;
        ContentStore::read(self, digest, &location, from, buffer)
    }
}

impl Contents for StoppedContent {
    fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(self.location(digest)?.map(|location| location.length()))
    }

    fn read(&self, digest: &Digest, from: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        let location = self.location(digest)?.ok_or_else(|| missing(digest))?;
        StoppedContent::read(self, digest, &location, from, buffer)
    }
}

/// Whose eyes the evidence is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// An auditor of the node: everything.
    Node,
    /// Auditors of these agencies: what concerns one of them.
    Agencies(Vec<AgencyId>),
}

impl Audience {
    pub(super) fn includes(&self, agency: &AgencyId) -> bool {
        match self {
            Audience::Node => true,
            Audience::Agencies(agencies) => agencies.contains(agency),
        }
    }
}

/// Proves an event by its index, under the newest checkpoint or under an earlier one: its size and its signed note.
pub type Prove<'a> = dyn Fn(u64, Option<(u64, &str)>) -> Result<Proof, Rejection> + 'a;

/// A node's store, running or not.
pub struct Source<'a> {
    /// The log as everything reads it.
    pub index: &'a Index,
    /// Its origin.
    pub log: &'a str,
    /// Its size.
    pub size: u64,
    /// Proves an event under a checkpoint of that size, or under one that was timestamped or cosigned.
    pub prove: &'a Prove<'a>,
    /// The timestamped checkpoints.
    pub stamps: &'a Stamps,
    /// Checkpoints that other nodes cosigned.
    pub cosigned: &'a Ever,
    /// What timestamps are judged under: with revocation data, which goes along.
    pub trust: &'a Trust,
    /// Content, signatures, envelopes, kept proofs, revocation data.
    pub content: &'a dyn Contents,
    /// The folder of directory versions.
    pub directories: &'a Path,
    /// Who signs them.
    pub authority: &'a NoteVerifier,
    /// For whom.
    pub audience: Audience,
}
