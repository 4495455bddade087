//! Evidence of one delivery, whole and on its own: one ASiC-E container (ETSI EN 319 162-1) that [`verify`] checks on a
//! machine that knows the directory authority's key and the document roots, and nothing else.
//!
//! ```text
//! mimetype                              first; nothing in the archive is compressed
//! index.html, evidence.json             what happened, for a person; what this is, for a program
//! document/<name>[.p7s, .2.p7s …]       the parts as they were sent, and the signatures beside them
//! message/<delivery>.envelope           the document's envelope, and those of the messages about it
//! event/<log>-<index>.proof             events of both nodes: leaf, path, checkpoint (`lienthong.v1.Proof`)
//! directory/<version>.note              the signed versions that list the keys, agencies and seals
//! certificate/<sha256>.cer              certificates of those who signed
//! revocation/<sha256>.crl|.ocsp         what their revocation was judged by
//! checkpoint/<name>.note                checkpoints as witnesses cosigned them, where there are any
//! timestamp/<log>-<size>.note|.tst      checkpoints that an authority timestamped, and its tokens (RFC 3161)
//! META-INF/ASiCManifest.xml             SHA-256 of every file above
//! META-INF/signature.p7s                CAdES over the manifest, where the node has a certificate for it
//! ```
//! An event of the exporting node's log is proven under the newest checkpoint and, where one that was timestamped covers
//! it, under the first such one too. A file at any other place is refused: nothing in a container goes unchecked.
//!
//! What proves something stands on its own proofs: the events on the logs' signatures, the document on the signatures
//! in it, both on the directory. The page is made again from them and compared. The manifest's signature says who
//! exported, and that nothing was taken out since; without it, somebody may have left out what no proof misses, and that
//! is said (`complete`).
//!
//! Of a document that the exporting node purged there is no envelope, content or signature, but the event that says so.
//!
//! - [`export`]: from a node's store to files. [`Packer`]: from files to a container.
//! - [`verify`]: from a container to a list of [`Statement`]s, each with how it was checked.

mod collect;
mod complete;
mod container;
mod content;
mod cosigned;
mod export;
mod find;
mod judged;
pub(in crate::audit) mod keys;
mod manifest;
mod messages;
mod names;
mod page;
mod proofs;
mod purged;
mod report;
mod source;
mod stamped;
mod verify;

use crate::domain::ids::{AgencyId, DeliveryId, Digest};
use crate::domain::reason::Rejection;
use crate::merkle::CheckpointError;
use crate::signature::SignError;
use crate::store::StoreError;

pub use container::{Broken, Container, Entry, Packer};
pub use export::{Seal, export};
pub use find::{find, on_behalf_of};
pub use manifest::{Manifest, Reference};
pub use names::{MANIFEST, MEDIA_TYPE, MIMETYPE, SIGNATURE, media_type};
pub use report::{Given, Report, State, Statement};
pub use source::{Audience, Contents, Prove, Source};
pub use verify::verify;

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError<E> {
    /// What is asked for is not there, or not the caller's.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something that was recorded is missing or is not what it was.
    #[error("{what}: run `lienthong audit check`")]
    Damaged {
        /// What.
        what: String,
    },
    /// The newest checkpoint is not the log's.
    #[error("the newest checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The manifest cannot be signed.
    #[error("the manifest cannot be signed: {0}")]
    Sign(#[from] SignError),
    /// The receiver of the files refused one.
    #[error("{0}")]
    Write(E),
}

/// Nothing refuses files where none are written.
pub type CollectError = EvidenceError<std::convert::Infallible>;

impl CollectError {
    /// The same where files are written.
    fn widen<E>(self) -> EvidenceError<E> {
        match self {
            EvidenceError::Rejected(e) => EvidenceError::Rejected(e),
            EvidenceError::Store(e) => EvidenceError::Store(e),
            EvidenceError::Damaged { what } => EvidenceError::Damaged { what },
            EvidenceError::Checkpoint(e) => EvidenceError::Checkpoint(e),
            EvidenceError::Sign(e) => EvidenceError::Sign(e),
            EvidenceError::Write(never) => match never {},
        }
    }
}

fn damaged<E>(what: impl Into<String>) -> EvidenceError<E> {
    EvidenceError::Damaged { what: what.into() }
}

/// What `evidence.json` says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    /// Form of the container: 1.
    format: u32,
    /// The document's delivery.
    delivery_id: String,
    /// The log of the node that exported.
    log: String,
    /// Its size then.
    size: u64,
}

/// Form of containers: what is in them, and every word of the page. Containers of an older form go on being checked.
const FORMAT: u32 = 1;

impl About {
    fn new(id: &DeliveryId, log: &str, size: u64) -> About {
        About { format: FORMAT, delivery_id: id.to_string(), log: log.to_owned(), size }
    }

    fn render(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// Words that both the export and the verification use.
fn file_of_digest(path: &str) -> Option<Digest> {
    path.rsplit('/').next()?.split('.').next()?.parse().ok()
}

/// An agency by id, or its id where the directory has no name for it.
fn agency_name(directory: Option<&crate::directory::Directory>, id: &AgencyId) -> String {
    let listed = directory.and_then(|d| d.agency(id));
    listed.map_or_else(|| id.to_string(), |a| format!("{} ({id})", a.entry.name))
}
