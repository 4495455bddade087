//! What a clean stop leaves beside sled: digests of its files, so that the next start need not read every record.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::merkle::sha256;

/// Digests of sled's files after a clean stop, so that the next start need not read every record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanMarker {
    /// Number of leaves at the stop.
    pub size: u64,
    /// Digest of each file, by path within the folder.
    pub files: BTreeMap<String, String>,
    /// Digest of the known keys that were kept with it; empty where none were.
    #[serde(default)]
    pub keys: String,
}

impl CleanMarker {
    /// Of the folder as it is, and of the known keys.
    pub fn of(dir: &Path, size: u64, keys: Option<&[u8]>) -> Result<CleanMarker, StoreError> {
        let mut files = BTreeMap::new();
        let mut todo = vec![dir.to_owned()];
        while let Some(at) = todo.pop() {
            for entry in std::fs::read_dir(&at).map_err(StoreError::io("listing", &at))? {
                let path = entry.map_err(StoreError::io("listing", &at))?.path();
                if path.is_dir() {
                    todo.push(path);
                    continue;
                }
                let name = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
                files.insert(name, file_digest(&path)?);
            }
        }
        let keys = keys.map_or_else(String::new, |keys| sha256(keys).to_string());
        Ok(CleanMarker { size, files, keys })
    }
}

fn file_digest(path: &Path) -> Result<String, StoreError> {
    use std::io::Read as _;
    let mut file = std::fs::File::open(path).map_err(StoreError::io("opening", path))?;
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(StoreError::io("reading", path))?;
        if n == 0 {
            return Ok(hex::encode(context.finish()));
        }
        context.update(&buffer[..n]);
    }
}
