//! What signatures are judged under: the directory's trust, and the revocation lists of this node.
//!
//! The lists are files in one folder, read as a whole. A file that cannot be used is reported and left out: it must not
//! take the others with it, and what only it covers becomes `revocation_unknown`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::directory::Directory;
use crate::signature::{Crl, CrlError, CrlStore, Trust};

/// Bytes of one revocation list: a national authority's with 500,000 entries stays below.
pub const MAX_CRL_BYTES: u64 = 32 * 1024 * 1024;

/// Why a file is not among the lists.
#[derive(Debug, thiserror::Error)]
pub enum CrlFileError {
    /// It cannot be read.
    #[error("{path} cannot be read: {error}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is too large.
    #[error("{path} has {size} bytes, {MAX_CRL_BYTES} are allowed")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// It is no list that can be used.
    #[error("{path}: {error}")]
    Crl {
        /// The file.
        path: PathBuf,
        /// Why.
        error: CrlError,
    },
}

/// Reads every `*.crl` of a folder, and says which of them cannot be used. Fails when the folder cannot be read.
pub fn read_crls(dir: &Path) -> Result<(CrlStore, Vec<CrlFileError>), CrlFileError> {
    let failed = |path: &Path, error| CrlFileError::Read { path: path.to_owned(), error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| failed(dir, e))? {
        let path = entry.map_err(|e| failed(dir, e))?.path();
        if path.extension().is_some_and(|e| e == "crl") {
            files.push(path);
        }
    }
    files.sort();
    let (mut lists, mut bad) = (Vec::new(), Vec::new());
    for path in files {
        match read_crl(&path) {
            Ok(crl) => lists.push(Arc::new(crl)),
            Err(error) => bad.push(error),
        }
    }
    Ok((CrlStore::new(lists), bad))
}

fn read_crl(path: &Path) -> Result<Crl, CrlFileError> {
    let failed = |error| CrlFileError::Read { path: path.to_owned(), error };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_CRL_BYTES {
        return Err(CrlFileError::TooLarge { path: path.to_owned(), size });
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    Crl::read(&bytes).map_err(|error| CrlFileError::Crl { path: path.to_owned(), error })
}

/// The revocation lists in force, replaced as a whole.
#[derive(Debug, Default)]
pub(crate) struct Crls(RwLock<CrlStore>);

impl Crls {
    pub fn current(&self) -> CrlStore {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn replace(&self, crls: CrlStore) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = crls;
    }
}

impl super::Exchange {
    /// Replaces the revocation lists that signatures are judged by from now on.
    pub fn set_crls(&self, crls: CrlStore) {
        self.inner.crls.replace(crls);
    }

    /// The revocation lists in force.
    pub fn crls(&self) -> CrlStore {
        self.inner.crls.current()
    }

    /// What signatures are judged under now.
    pub fn trust(&self, directory: &Directory) -> Trust {
        directory.trust().clone().with_crls(self.crls())
    }
}
