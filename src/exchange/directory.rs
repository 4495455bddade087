//! Which directory version is in force at this node, and where all versions are kept.
//!
//! Versions are files `directories/<version>.note` in the data folder, kept forever so that old proofs verify. A newer
//! version comes from the configured file at start, or from a peer; it is adopted when the authority's signature holds
//! and its number is higher. The same number with another digest is an alarm.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use tokio::sync::watch;

use crate::directory::{Directory, DirectoryError};
use crate::merkle::{NoteVerifier, sha256};

/// A directory that is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// It is of another network.
    #[error("it is the directory of network `{found}`, this node belongs to `{expected}`")]
    OtherNetwork {
        /// Its network.
        found: String,
        /// This node's.
        expected: String,
    },
    /// The same number with other content.
    #[error(
        "version {version} is known with digest {known}, this one has {found}: the authority must explain"
    )]
    Forked {
        /// The version.
        version: u64,
        /// Digest of the one in force.
        known: String,
        /// Digest of this one.
        found: String,
    },
    /// It follows another version than the one in force.
    #[error(
        "version {version} follows a version with digest {previous}, but the one before it here has {known}: \
         the authority must explain"
    )]
    OtherHistory {
        /// The version.
        version: u64,
        /// Digest of the one in force.
        known: String,
        /// Digest of the one that it names.
        previous: String,
    },
    /// It cannot be read or kept.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// The version in force and those before.
pub struct DirectoryHolder {
    dir: PathBuf,
    network: String,
    authority: NoteVerifier,
    current: RwLock<Directory>,
    changed: watch::Sender<u64>,
    offering: Mutex<()>,
}

impl DirectoryHolder {
    /// Reads the newest of the kept versions and of the configured file.
    pub fn open(
        data: &Path,
        file: &Path,
        network: &str,
        authority: NoteVerifier,
    ) -> Result<DirectoryHolder, AdoptError> {
        let dir = data.join("directories");
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| AdoptError::Io { path, error }
        };
        std::fs::create_dir_all(&dir).map_err(io(&dir))?;
        let newest = kept_versions(data).map_err(io(&dir))?.pop();
        let read = |path: &Path| -> Result<Directory, AdoptError> {
            let text = std::fs::read_to_string(path).map_err(io(path))?;
            Ok(Directory::verify(&text, &authority)?)
        };
        let current = match newest {
            Some((_, path)) => read(&path)?,
            None => read(file)?,
        };
        check_network(&current, network)?;
        let holder = DirectoryHolder {
            dir,
            network: network.to_owned(),
            authority: authority.clone(),
            changed: watch::Sender::new(current.version()),
            offering: Mutex::default(),
            current: RwLock::new(current.clone()),
        };
        holder.keep(&current)?;
        if file.exists() {
            let text = std::fs::read_to_string(file).map_err(io(file))?;
            holder.offer(&text)?;
        }
        Ok(holder)
    }

    /// The newest version that a stopped node's data holds.
    pub fn newest_kept(data: &Path, authority: &NoteVerifier) -> Option<Directory> {
        let (_, path) = kept_versions(data).ok()?.pop()?;
        Directory::verify(&std::fs::read_to_string(path).ok()?, authority).ok()
    }

    /// The version in force.
    pub fn current(&self) -> Directory {
        self.current.read().expect("no holder of this lock panics").clone()
    }

    /// Follows the number of the version in force.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Adopts a newer version; `true` when it came into force.
    pub fn offer(&self, note: &str) -> Result<bool, AdoptError> {
        // One at a time: what is compared must still be in force when it is replaced.
        let _offering = self.offering.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sha256(note.as_bytes());
        let known = self.current();
        if found == known.digest() {
            return Ok(false);
        }
        let offered = Directory::verify(note, &self.authority)?;
        check_network(&offered, &self.network)?;
        if offered.version() == known.version() {
            return Err(AdoptError::Forked {
                version: offered.version(),
                known: known.digest().to_string(),
                found: found.to_string(),
            });
        }
        if offered.version() < known.version() {
            return Ok(false);
        }
        if offered.version() == known.version() + 1
            && offered.previous().is_some_and(|previous| previous != known.digest())
        {
            return Err(AdoptError::OtherHistory {
                version: offered.version(),
                known: known.digest().to_string(),
                previous: offered.previous().map_or_else(String::new, |d| d.to_string()),
            });
        }
        self.keep(&offered)?;
        *self.current.write().expect("no holder of this lock panics") = offered.clone();
        self.changed.send_replace(offered.version());
        Ok(true)
    }

    /// A kept version as it was signed.
    pub fn version(&self, version: u64) -> Option<String> {
        std::fs::read_to_string(self.dir.join(format!("{version}.note"))).ok()
    }

    fn keep(&self, directory: &Directory) -> Result<(), AdoptError> {
        let path = self.dir.join(format!("{}.note", directory.version()));
        if path.exists() {
            return Ok(());
        }
        let io = |error| AdoptError::Io { path: path.clone(), error };
        let fresh = path.with_extension("tmp");
        std::fs::write(&fresh, directory.note()).map_err(io)?;
        std::fs::File::open(&fresh).and_then(|f| f.sync_all()).map_err(io)?;
        std::fs::rename(&fresh, &path).map_err(io)?;
        std::fs::File::open(&self.dir).and_then(|f| f.sync_all()).map_err(io)
    }
}

/// The versions that a node's data holds, as the names of their files say, the newest last. None where there is no folder.
pub fn kept_versions(data: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let entries = match std::fs::read_dir(data.join("directories")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut kept = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".note"));
        if let Some(version) = number.and_then(|n| n.parse().ok()) {
            kept.push((version, path));
        }
    }
    kept.sort();
    Ok(kept)
}

fn check_network(directory: &Directory, network: &str) -> Result<(), AdoptError> {
    if directory.network() == network {
        return Ok(());
    }
    Err(AdoptError::OtherNetwork { found: directory.network().to_owned(), expected: network.to_owned() })
}
