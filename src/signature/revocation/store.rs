//! What a node holds: the revocation lists by issuer, and OCSP responses by the certificates they speak of.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ring::digest::{Context, SHA256};

use crate::signature::digest::array;

use super::crl::Crl;
use super::ocsp::{Ocsp, OcspError};

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
        inner.fingerprint = fingerprint(inner.by_issuer.values().flatten().map(|crl| crl.sha256));
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

/// SHA-256 over these digests, in their order.
fn fingerprint(all: impl Iterator<Item = [u8; 32]>) -> [u8; 32] {
    let mut all: Vec<[u8; 32]> = all.collect();
    all.sort_unstable();
    let mut hash = Context::new(&SHA256);
    all.iter().for_each(|one| hash.update(one));
    array(hash)
}

/// OCSP responses, indexed by the serial numbers that they speak of, so that judging a certificate reads only those
/// that may be about it. A value like [`CrlStore`].
#[derive(Clone, Default)]
pub struct OcspStore {
    inner: Arc<Responses>,
}

#[derive(Default)]
struct Responses {
    by_serial: HashMap<Vec<u8>, Vec<Arc<[u8]>>>,
    by_sha256: HashMap<[u8; 32], Arc<[u8]>>,
    fingerprint: [u8; 32],
}

impl OcspStore {
    /// From responses in DER; one given twice is kept once. One that cannot be read is refused: nobody would know why
    /// it does not count.
    pub fn new(responses: impl IntoIterator<Item = Arc<[u8]>>) -> Result<OcspStore, OcspError> {
        let mut inner = Responses::default();
        for der in responses {
            let response = Ocsp::read(&der)?;
            if inner.by_sha256.insert(response.sha256, der.clone()).is_some() {
                continue;
            }
            for answer in &response.answers {
                let mine = inner.by_serial.entry(answer.serial.to_vec()).or_default();
                if mine.last().is_none_or(|last| !Arc::ptr_eq(last, &der)) {
                    mine.push(der.clone());
                }
            }
        }
        inner.fingerprint = fingerprint(inner.by_sha256.keys().copied());
        Ok(OcspStore { inner: Arc::new(inner) })
    }

    /// The responses that speak of a certificate with this serial number, of whichever issuer.
    pub(super) fn about(&self, serial: &[u8]) -> &[Arc<[u8]>] {
        self.inner.by_serial.get(serial).map_or(&[], Vec::as_slice)
    }

    /// The response with this SHA-256, as a judgement names its evidence.
    pub fn find(&self, sha256: &[u8; 32]) -> Option<&Arc<[u8]>> {
        self.inner.by_sha256.get(sha256)
    }

    /// Every response, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<[u8]>> {
        self.inner.by_sha256.values()
    }

    /// The same for the same responses.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.inner.fingerprint
    }

    /// How many responses there are.
    pub fn len(&self) -> usize {
        self.inner.by_sha256.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.inner.by_sha256.is_empty()
    }
}

impl fmt::Debug for OcspStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OcspStore").field("responses", &self.len()).finish()
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
