//! Copies of a node's data: made while it runs, brought back into an empty folder.
//!
//! ```text
//! DIR/backup.json     what belongs to the copy: each file with its length and SHA-256, the log's size and checkpoint
//! DIR/journal/ …      the log up to the end of one commit
//! DIR/content/ …      segments and large files; their indexes are made again
//! DIR/directories/ …  every directory version
//! DIR/timestamps/ …   timestamped checkpoints
//! DIR/witness/ …      what is held of other logs, and their cosignatures of this one
//! DIR/forks/ …        proofs of forks
//! DIR/format          the form of the data
//! DIR/config/ …       the configuration and the public files that it names; private keys only when that is asked for
//! ```
//! A copy is consistent because of the order: the log's size is taken first, content is durable before the event that
//! names it, and files only grow. A later copy into the same folder adds what is new. Until its list is durable, the one
//! before stays good: it says of each file how much of it counts. sled is no part of it: a start makes it again.

mod make;
mod restore;

/// Folders of small files beside journal and content, each copied whole.
const BESIDE: [&str; 5] = ["directories", "timestamps", "witness", "witness/own", "forks"];

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use make::{Made, Source, check_folder, make};
pub use restore::{Restored, restore};

use crate::merkle::Hash;
use crate::store::StoreError;
use crate::store::journal::Position;

/// Name of the list.
pub const LIST: &str = "backup.json";
/// Form of the list that this program writes.
const FORM: u32 = 1;
/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// Why a copy cannot be made or brought back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The list is none.
    #[error("{path}: this is no list of a backup: {problem}")]
    List {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The folder is no place for a copy.
    #[error("{path}: no copy is made here: {problem}; name an empty folder, or one with an earlier copy")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The folder has a copy of another log.
    #[error("{path} has a copy of log `{found}`, this is `{expected}`: take another folder")]
    OtherLog {
        /// The folder.
        path: PathBuf,
        /// The log there.
        found: String,
        /// The log here.
        expected: String,
    },
    /// What the copy has is not a beginning of what the node has.
    #[error(
        "{path}: what the backup has is not the beginning of what the node has: one of them was changed or is damaged \
         (`lienthong audit check --content`); nothing was copied over it"
    )]
    Differs {
        /// The node's file.
        path: PathBuf,
    },
    /// A file was removed while it was copied: what it had is elsewhere, or was purged.
    #[error("{path} was removed while it was copied: begin again")]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// The log does not have the checkpoint.
    #[error("the journal has no commit that ends after {size} events with the checkpoint that the node gave")]
    NoCheckpoint {
        /// Its size.
        size: u64,
    },
    /// The copy is damaged.
    #[error("the backup is damaged, nothing was restored:\n{}", .0.join("\n"))]
    Damaged(Vec<String>),
    /// There is something where the data shall be.
    #[error("{path} is not empty: data is restored into an empty folder only")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Another process makes a copy into the folder.
    #[error("{path} is in use: another backup is being made there")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// One file of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Below the folder, with `/`.
    pub path: String,
    /// Bytes that count.
    pub length: u64,
    /// SHA-256 of those, in hexadecimal.
    pub sha256: String,
}

/// What belongs to a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Form of the list.
    pub form: u32,
    /// Version of the program that made it.
    pub made_by: String,
    /// When (RFC 3339).
    pub made_at: String,
    /// Origin line of the log.
    pub log: String,
    /// Events in the copy.
    pub size: u64,
    /// The checkpoint after them; empty for an empty log.
    pub checkpoint: String,
    /// Where the journal ends after them.
    pub journal: Position,
    /// Private keys that the configuration names and that are not in the copy.
    pub keys_left_out: Vec<String>,
    /// The files.
    pub files: Vec<Entry>,
}

impl List {
    /// The list of a folder; `None` where there is none.
    pub fn read(dir: &Path) -> Result<Option<List>, BackupError> {
        let path = dir.join(LIST);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io("reading", path)(e).into()),
        };
        let wrapped: Wrapped = match serde_json::from_slice(&bytes) {
            Ok(wrapped) => wrapped,
            Err(error) => return Err(BackupError::List { path, problem: error.to_string() }),
        };
        let text = serde_json::to_string(&wrapped.list).unwrap_or_default();
        if crate::merkle::sha256(text.as_bytes()).to_string() != wrapped.sha256 {
            return Err(BackupError::List { path, problem: "its own SHA-256 is another".to_owned() });
        }
        let list = wrapped.list;
        let outside = |entry: &&Entry| {
            let path = Path::new(&entry.path);
            !path.components().all(|c| matches!(c, std::path::Component::Normal(_)))
        };
        if list.form != FORM {
            let problem = format!("it has form {}, this program knows {FORM}", list.form);
            return Err(BackupError::List { path, problem });
        }
        if let Some(entry) = list.files.iter().find(outside) {
            return Err(BackupError::List {
                path,
                problem: format!("`{}` leads out of the folder", entry.path),
            });
        }
        Ok(Some(list))
    }

    /// The list of a path.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.files.iter().find(|entry| entry.path == path)
    }
}

/// The list as a file: with its own digest, so that a change of it is found as well.
#[derive(Serialize, Deserialize)]
struct Wrapped {
    sha256: String,
    list: List,
}

/// SHA-256 of the first `length` bytes of a file; `None` where it has fewer.
fn hash(path: &Path, length: u64) -> Result<Option<Hash>, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("opening", path))?;
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let whole = each_piece(&mut file, path, 0, length, |piece| {
        context.update(piece);
        Ok(())
    })?;
    Ok(if whole { Hash::from_slice(context.finish().as_ref()) } else { None })
}

/// Gives the bytes from `from` to `to`; false where the file ends before.
fn each_piece(
    file: &mut File,
    path: &Path,
    from: u64,
    to: u64,
    mut piece: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<bool, StoreError> {
    file.seek(SeekFrom::Start(from)).map_err(StoreError::io("reading", path))?;
    let mut buffer = vec![0; (to.saturating_sub(from)).min(PIECE as u64) as usize];
    let mut at = from;
    while at < to {
        let n = (to - at).min(PIECE as u64) as usize;
        match file.read_exact(&mut buffer[..n]) {
            Ok(()) => piece(&buffer[..n])?,
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(StoreError::io("reading", path)(e)),
        }
        at += n as u64;
    }
    Ok(true)
}

/// Makes the names in a folder durable.
fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::sync(dir))
}
