//! What signatures are judged under: the directory's trust, and the revocation lists of this node.
//!
//! The lists are files in one folder, read as a whole. A file that cannot be used is reported and left out: it must not
//! take the others with it, and what only it covers becomes `revocation_unknown`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::revocation::Queue;
use crate::directory::Directory;
use crate::signature::{Crl, CrlError, CrlStore, Missed, OcspStore, Trust, Verdicts};

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

/// The files `*.crl` of a folder, sorted.
pub(crate) fn list_crls(dir: &Path) -> Result<Vec<PathBuf>, CrlFileError> {
    let failed = |path: &Path, error| CrlFileError::Read { path: path.to_owned(), error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| failed(dir, e))? {
        let path = entry.map_err(|e| failed(dir, e))?.path();
        if path.extension().is_some_and(|e| e == "crl") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads every `*.crl` of a folder, and says which of them cannot be used. Fails when the folder cannot be read.
pub fn read_crls(dir: &Path) -> Result<(CrlStore, Vec<CrlFileError>), CrlFileError> {
    let (mut lists, mut bad) = (Vec::new(), Vec::new());
    for path in list_crls(dir)? {
        match read_crl(&path) {
            Ok(crl) => lists.push(Arc::new(crl)),
            Err(error) => bad.push(error),
        }
    }
    Ok((CrlStore::new(lists), bad))
}

pub(crate) fn read_crl(path: &Path) -> Result<Crl, CrlFileError> {
    let failed = |error| CrlFileError::Read { path: path.to_owned(), error };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_CRL_BYTES {
        return Err(CrlFileError::TooLarge { path: path.to_owned(), size });
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    Crl::read(&bytes).map_err(|error| CrlFileError::Crl { path: path.to_owned(), error })
}

/// The revocation data in force, each kind replaced as a whole, and what is missing in it.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    data: RwLock<(CrlStore, OcspStore)>,
    changes: watch::Sender<u64>,
    pub missed: Queue,
}

impl InForce {
    fn current(&self) -> (CrlStore, OcspStore) {
        self.data.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it; those who follow are told when it is other data.
    fn change(&self, change: impl FnOnce(&mut (CrlStore, OcspStore))) {
        let mut data = self.data.write().unwrap_or_else(PoisonError::into_inner);
        let print = |data: &(CrlStore, OcspStore)| (data.0.fingerprint(), data.1.fingerprint());
        let before = print(&data);
        change(&mut data);
        if print(&data) != before {
            self.changes.send_modify(|n| *n += 1);
        }
    }
}

impl super::Exchange {
    /// Replaces the revocation lists that signatures are judged by from now on.
    pub fn set_crls(&self, crls: CrlStore) {
        self.inner.revocation.change(|data| data.0 = crls);
    }

    /// Replaces the OCSP responses likewise.
    pub fn set_responses(&self, responses: OcspStore) {
        self.inner.revocation.change(|data| data.1 = responses);
    }

    /// The revocation lists in force.
    pub fn crls(&self) -> CrlStore {
        self.inner.revocation.current().0
    }

    /// The OCSP responses in force, beside those that come with documents.
    pub fn responses(&self) -> OcspStore {
        self.inner.revocation.current().1
    }

    /// Follows the revocation data: a number that counts up when other data is in force. What was judged
    /// `revocation_unknown` before may be known then.
    pub fn revocation_changed(&self) -> watch::Receiver<u64> {
        self.inner.revocation.changes.subscribe()
    }

    /// Has the certificates asked about whose revocation these verdicts could not tell: in the background, without a
    /// wait here, and each once while it waits. Nothing where the node is configured to ask nobody.
    pub fn missed(&self, verdicts: &Verdicts) {
        self.missed_of(verdicts.missed());
    }

    /// The same of these certificates.
    pub(crate) fn missed_of<'a>(&self, missed: impl IntoIterator<Item = &'a Missed>) {
        if self.config().fetch_revocation {
            missed.into_iter().for_each(|missed| self.inner.revocation.missed.push(missed));
        }
    }

    /// What signatures are judged under now.
    pub fn trust(&self, directory: &Directory) -> Trust {
        let (crls, responses) = self.inner.revocation.current();
        directory.trust().clone().with_crls(crls).with_ocsp(responses)
    }
}
