//! What is on disk, and how it gets there.
//!
//! - [`disk`]: the storage port: the few operations that everything durable stands on; tests inject faults here.
//! - [`appender`]: a preallocated file that only grows, used by journal and content.
//! - [`mod@format`]: which form a data folder has.
//! - [`journal`]: blocks of log leaves with their checkpoint; appending one is the commit.
//! - [`content`]: documents, signatures, envelopes and proofs by digest.
//! - [`index`]: sled: the log as everything reads it, and all folds; never the commit point. `memtable` has what is
//!   on its way there, `applier` is the thread that brings it, `filter` says
//!   which keys are not there, [`clean`] what a clean stop leaves.
//!
//! What a commit is and in which order these are written is the `ledger`'s to say.

pub mod appender;
mod applier;
pub mod clean;
pub mod content;
pub mod disk;
mod filter;
pub mod format;
pub mod index;
pub mod journal;
mod memtable;

use std::path::PathBuf;

/// Storage that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space is left; nothing was changed.
    #[error("no space is left for {path}: free some, what is recorded is safe")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The operating system failed.
    #[error("{action} {path}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        error: std::io::Error,
    },
    /// What was read is not what was written.
    #[error(
        "{path} is damaged at byte {offset}: {problem}; restore it from a backup, or rebuild it (docs/reasons/damaged.md)"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// sled failed.
    #[error(
        "the sled store {path} cannot be used: {problem}; it is rebuilt from the journal at the next start"
    )]
    Index {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The data is of a form that this program does not know.
    #[error(
        "{path}: the data is of form {form}, made by version {made_by}; this program knows form {} and changed \
         nothing: run a newer version of this program, or restore a backup made by this one",
        format::FORM
    )]
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// The form.
        form: u32,
        /// The version that made it.
        made_by: String,
    },
    /// The log must not be written any more.
    #[error("nothing more is written: {why}")]
    Halted {
        /// Why.
        why: String,
    },
    /// Another process uses the data.
    #[error("{path} is in use by another process: stop it first")]
    InUse {
        /// The lock.
        path: PathBuf,
    },
}

/// How many bytes of `data` come before the zeros at its end. Compared in blocks: the room written ahead of a file is a
/// mebibyte, and is looked at whenever it is opened.
fn before_zeros(data: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let blocks = data.rchunks(ZEROS.len()).take_while(|block| *block == &ZEROS[..block.len()]);
    let rest = &data[..data.len() - blocks.map(<[u8]>::len).sum::<usize>()];
    let last = rest.len().saturating_sub(ZEROS.len());
    rest[last..].iter().rposition(|b| *b != 0).map_or(0, |i| last + i + 1)
}

impl StoreError {
    /// Wraps an error of the operating system; a full disk is told apart.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.into();
        move |error| {
            if matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
                StoreError::Full { path }
            } else {
                StoreError::Io { action, path, error }
            }
        }
    }
    /// Wraps a failed sync: whether what it was to make durable is on disk is unknown, also when the disk is full.
    pub fn sync(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.into();
        move |error| StoreError::Io { action: "syncing", path, error }
    }
}
