//! Checkpoints with their timestamps, in `<data>/timestamps/`: `<generation>-<size>.note` and `.tst`, the token in DER.
//!
//! A year at one an hour is 8,760 pairs of about 6 KiB; they are proofs, and kept forever. The note is there and synced
//! before its token is; a note alone is none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use crate::merkle::SignedCheckpoint;
use crate::signature::claimed_time;
use crate::time::Timestamp;

/// Bytes of a reply: a token with its authority's certificates has 2 to 8 KiB.
pub const MAX_TOKEN: usize = 64 * 1024;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct StampsError {
    /// The file or folder.
    path: PathBuf,
    /// Why.
    error: io::Error,
}

impl StampsError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> StampsError {
        let path = path.to_owned();
        |error| StampsError { path, error }
    }
}

/// A checkpoint and the token over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// Size of the log there.
    pub size: u64,
    /// The time in the token.
    pub at: Timestamp,
    /// The signed checkpoint; the token is over these bytes.
    pub note: String,
    /// The token, DER.
    pub token: Vec<u8>,
}

impl Stamped {
    /// Reads a token, a file `<generation>-<size>.tst`, and the checkpoint beside it. What both say is not judged but for
    /// the checkpoint's size, which the name gives.
    pub fn read(path: &Path) -> Result<Stamped, StampsError> {
        let bad = |path: &Path, text: String| StampsError {
            path: path.to_owned(),
            error: io::Error::new(io::ErrorKind::InvalidData, text),
        };
        let size = stamped_size(path).ok_or_else(|| bad(path, "its name says no size".into()))?;
        let length = std::fs::metadata(path).map_err(StampsError::at(path))?.len();
        if length > MAX_TOKEN as u64 {
            return Err(bad(path, format!("{length} bytes, a token has at most {MAX_TOKEN}")));
        }
        let token = std::fs::read(path).map_err(StampsError::at(path))?;
        let at = claimed_time(&token).map_err(|e| bad(path, e.to_string()))?;
        let path = path.with_extension("note");
        let note = std::fs::read_to_string(&path).map_err(StampsError::at(&path))?;
        let claims = SignedCheckpoint::parse_unverified(&note).map_err(|e| bad(&path, e.to_string()))?;
        let found = claims.claimed().size;
        if found != size {
            return Err(bad(&path, format!("a checkpoint of {found} events under the name of {size}")));
        }
        Ok(Stamped { size, at, note, token })
    }
}

/// The size of the checkpoint in a file of `timestamps/`, as its name says it.
pub fn stamped_size(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.split_once('-')?.1.parse().ok()
}

/// The tokens in a node's data, of whichever of its logs.
pub fn token_files(data: &Path) -> Result<Vec<PathBuf>, StampsError> {
    let dir = data.join("timestamps");
    let listed = match std::fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(StampsError::at(&dir))?,
    };
    let paths = listed.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<PathBuf>>>().map_err(StampsError::at(&dir))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "tst"));
    paths.sort();
    Ok(paths)
}

/// All of one log.
#[derive(Debug)]
pub struct Stamps {
    dir: PathBuf,
    generation: String,
    /// Time by size.
    known: RwLock<BTreeMap<u64, Timestamp>>,
}

impl Stamps {
    /// None known.
    pub(super) fn empty(data: &Path, origin: &str) -> Stamps {
        let generation = origin.rsplit('/').next().unwrap_or("1").to_owned();
        Stamps { dir: data.join("timestamps"), generation, known: RwLock::default() }
    }

    /// Reads what is in the folder for a log; what cannot be read is told of and passed over. Nothing is written.
    pub fn open(data: &Path, origin: &str) -> Result<Stamps, StampsError> {
        let stamps = Stamps::empty(data, origin);
        let mut known = BTreeMap::new();
        for path in token_files(data)? {
            let Some(size) = stamps.size_of(&path) else { continue };
            match stamps.read(size) {
                Ok(stamped) => {
                    known.insert(size, stamped.at);
                }
                Err(error) => tracing::warn!(%error, "a timestamp that was kept cannot be used"),
            }
        }
        *stamps.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(stamps)
    }

    fn size_of(&self, path: &Path) -> Option<u64> {
        let name = path.file_name()?.to_str()?.strip_suffix(".tst")?;
        let (generation, size) = name.split_once('-')?;
        (generation == self.generation).then(|| size.parse().ok())?
    }

    fn path(&self, size: u64, extension: &str) -> PathBuf {
        self.dir.join(format!("{}-{size:020}.{extension}", self.generation))
    }

    /// The newest: size, and the time in it.
    pub fn newest(&self) -> Option<(u64, Timestamp)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.last_key_value().map(|(size, at)| (*size, *at))
    }

    /// Sizes of all, smallest first.
    pub fn sizes(&self) -> Vec<u64> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// The first that covers an event: the earliest proof of its time.
    pub fn covering(&self, index: u64) -> Result<Option<Stamped>, StampsError> {
        let size = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.range(index.saturating_add(1)..).next().map(|(size, _)| *size)
        };
        size.map(|size| self.read(size)).transpose()
    }

    /// One of [`sizes`](Stamps::sizes).
    pub fn read(&self, size: u64) -> Result<Stamped, StampsError> {
        Stamped::read(&self.path(size, "tst"))
    }

    /// Keeps one more.
    pub(super) fn keep(&self, stamped: Stamped) -> Result<(), StampsError> {
        std::fs::create_dir_all(&self.dir).map_err(StampsError::at(&self.dir))?;
        for (extension, bytes) in [("note", stamped.note.as_bytes()), ("tst", &stamped.token[..])] {
            let path = self.path(stamped.size, extension);
            write(&path, bytes).map_err(StampsError::at(&path))?;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(stamped.size, stamped.at);
        Ok(())
    }
}

/// Writes a file under another name, syncs it, and gives it its own.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("tmp");
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
