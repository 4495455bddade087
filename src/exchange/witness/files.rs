//! What a witness keeps, durably: one small file for each log in `witness/`, the proofs of forks in `forks/`, and what
//! others cosigned in `witness/own/`, a file a day.
//!
//! Files are replaced whole: written beside, synced, renamed, and the folder synced. So each is as it was before or as it
//! is after, and what a cosignature rests on is durable before it is given.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Standing;
use super::fork::node_of;
use crate::domain::reason::Reason;
use crate::merkle::SignedCheckpoint;
use crate::store::StoreError;
use crate::store::disk::{Disk, RealDisk};
use crate::time::Timestamp;

/// What is kept of one log of another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// Origin line.
    pub(super) log: String,
    /// The newest checkpoint that is held.
    pub(super) held: Option<String>,
    /// Exchange with it is stopped.
    pub(super) cut: Option<Cut>,
}

/// Why exchange with a log is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Two histories are proven; otherwise it did not show that there is one.
    pub proven: bool,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// What was found, for a person.
    pub why: String,
    /// The alarm is in the log.
    pub alarmed: bool,
}

impl Cut {
    /// The stable reason of what is refused for it.
    pub fn reason(&self) -> Reason {
        if self.proven { Reason::LogForked } else { Reason::LogSuspect }
    }

    /// Since when.
    pub fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.since_ms)
    }
}

/// The folders.
#[derive(Clone)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    witness: PathBuf,
    own: PathBuf,
    forks: PathBuf,
}

/// The proof of a fork of a log, in a node's data, where there is one.
pub fn fork_file(data: &Path, log: &str) -> PathBuf {
    data.join("forks").join(file_name(log))
}

/// How a stopped node's files say that the logs of other nodes stand.
pub fn kept(data: &Path) -> Result<Vec<Standing>, StoreError> {
    let files = Files::of(Arc::new(RealDisk), data);
    let standing = |kept: Kept| {
        let held = kept.held.as_deref().and_then(|text| SignedCheckpoint::parse_unverified(text).ok());
        let held = held.map_or(0, |held| held.claimed().size);
        Some(Standing { peer: node_of(&kept.log)?, log: kept.log, held, cut: kept.cut })
    };
    Ok(files.logs()?.into_iter().filter_map(standing).collect())
}

/// A log's origin as the name of a file: no name of a key has a plus sign.
pub(super) fn file_name(log: &str) -> String {
    format!("{}.json", log.replace('/', "+"))
}

impl Files {
    /// Of this data; the folders may be missing.
    pub(super) fn of(disk: Arc<dyn Disk>, data: &Path) -> Files {
        let witness = data.join("witness");
        Files { disk, own: witness.join("own"), witness, forks: data.join("forks") }
    }

    /// Makes the folders where they are missing.
    pub(super) fn open(disk: Arc<dyn Disk>, data: &Path) -> Result<Files, StoreError> {
        let files = Files::of(disk, data);
        for dir in [&files.own, &files.forks] {
            files.disk.create_dir(dir).map_err(StoreError::io("creating", dir))?;
        }
        Ok(files)
    }

    /// What is kept of every log. A file that cannot be read is an error: what it said was a promise to others.
    pub(super) fn logs(&self) -> Result<Vec<Kept>, StoreError> {
        let mut kept = Vec::new();
        for (path, text) in self.texts(&self.witness)? {
            let read = serde_json::from_str(&text);
            kept.push(read.map_err(|e| StoreError::Damaged {
                path,
                offset: 0,
                problem: format!("it says which checkpoint of a peer is held, and cannot be read: {e}"),
            })?);
        }
        Ok(kept)
    }

    /// Keeps what is held of a log.
    pub(super) fn keep(&self, kept: &Kept) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(kept).unwrap_or_default();
        self.replace(&self.witness, &file_name(&kept.log), &json)
    }

    /// Keeps the proof of a fork; gives back where.
    pub(super) fn keep_fork(&self, log: &str, json: &[u8]) -> Result<PathBuf, StoreError> {
        let name = file_name(log);
        self.replace(&self.forks, &name, json)?;
        Ok(self.forks.join(name))
    }

    /// Keeps what others cosigned on a day.
    pub(super) fn keep_own(&self, day: &str, notes: &[String]) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(notes).unwrap_or_default();
        self.replace(&self.own, &format!("{day}.json"), &json)
    }

    /// What others cosigned on the newest of these days that there is, and on each before while `more` says so.
    pub(super) fn own(&self, mut more: impl FnMut(Vec<String>) -> bool) -> Result<(), StoreError> {
        for (_, text) in self.texts(&self.own)?.into_iter().rev() {
            // Cosignatures are others' word and come again: one file less is no damage to the log.
            if !more(serde_json::from_str(&text).unwrap_or_default()) {
                break;
            }
        }
        Ok(())
    }

    fn texts(&self, dir: &Path) -> Result<Vec<(PathBuf, String)>, StoreError> {
        let mut texts = Vec::new();
        let names = match self.disk.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(texts),
            listed => listed.map_err(StoreError::io("listing", dir))?,
        };
        for name in names {
            if !name.ends_with(".json") {
                continue;
            }
            let path = dir.join(name);
            let read = || -> io::Result<String> {
                let file = self.disk.open_read(&path)?;
                let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
                file.read_at(&mut bytes, 0)?;
                String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
            };
            let text = read().map_err(StoreError::io("reading", &path))?;
            texts.push((path, text));
        }
        Ok(texts)
    }

    fn replace(&self, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let (path, fresh) = (dir.join(name), dir.join(format!("{name}.tmp")));
        // What a crash left.
        let _ = self.disk.remove(&fresh);
        let write = || -> io::Result<()> {
            let file = self.disk.create(&fresh)?;
            file.write_at(bytes, 0)?;
            file.sync()?;
            self.disk.rename(&fresh, &path)?;
            self.disk.sync_dir(dir)
        };
        write().map_err(StoreError::io("writing", &path))
    }
}
