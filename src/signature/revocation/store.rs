//! The revocation lists that a node holds, by issuer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ring::digest::{Context, SHA256};

use crate::signature::digest::array;

use super::crl::Crl;

/// Revocation lists, indexed by issuer. A value: newer lists make a new store, which replaces the old one as a whole.
/// Cheap to clone; lists that stay can be shared between stores.
#[derive(Clone, Default)]
pub struct CrlStore {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    by_issuer: HashMap<Vec<u8>, Vec<Arc<Crl>>>,
    fingerprint: [u8; 32],
    count: usize,
}

impl CrlStore {
    /// From lists read before; one given twice is kept once.
    pub fn new(crls: impl IntoIterator<Item = Arc<Crl>>) -> CrlStore {
        let mut inner = Inner::default();
        for crl in crls {
            let mine: &mut Vec<Arc<Crl>> = inner.by_issuer.entry(crl.issuer.clone()).or_default();
            if mine.iter().all(|other| other.sha256 != crl.sha256) {
                mine.push(crl);
                inner.count += 1;
            }
        }
        let mut all: Vec<[u8; 32]> = inner.by_issuer.values().flatten().map(|crl| crl.sha256).collect();
        all.sort_unstable();
        let mut hash = Context::new(&SHA256);
        all.iter().for_each(|one| hash.update(one));
        inner.fingerprint = array(hash);
        CrlStore { inner: Arc::new(inner) }
    }

    /// The lists of the issuer with this name's key.
    pub(super) fn of_issuer(&self, issuer: &[u8]) -> &[Arc<Crl>] {
        self.inner.by_issuer.get(issuer).map_or(&[], Vec::as_slice)
    }

    /// The list with this SHA-256, as a judgement names its evidence.
    pub fn find(&self, sha256: &[u8; 32]) -> Option<&Arc<Crl>> {
        self.iter().find(|crl| crl.sha256 == *sha256)
    }

    /// Every list, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Crl>> {
        self.inner.by_issuer.values().flatten()
    }

    /// SHA-256 over the digests of all lists, in order: the same for the same lists. What was judged with another one
    /// can be judged again.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.inner.fingerprint
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.inner.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.inner.count == 0
    }
}

impl fmt::Debug for CrlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = hex::encode(self.inner.fingerprint);
        f.debug_struct("CrlStore")
            .field("lists", &self.inner.count)
            .field("fingerprint", &fingerprint)
            .finish()
    }
}
