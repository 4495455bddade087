//! What a judge trusts: the directory's document roots, its agencies' seals and the certificates it refuses, and the
//! revocation data at hand.
//!
//! A [`Trust`] is a value made from one version of the directory; a new version makes a new one. Clones share
//! everything, the known paths and verifications included. These depend on the roots, or on what was verified, alone,
//! so adding a seal or replacing the revocation data keeps them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::asn1::Asn1Error;
use super::certificate::Certificate;
use super::digest::sha256;
use super::path::Roots;
use super::revocation::{Checks, CrlStore, OcspError, OcspStore};

/// Roots, seals and refused certificates. Cheap to clone.
#[derive(Clone)]
pub struct Trust {
    pub(super) roots: Arc<Roots>,
    seals: Arc<HashMap<[u8; 32], Arc<str>>>,
    refused: Arc<HashSet<[u8; 32]>>,
    pub(super) crls: CrlStore,
    pub(super) responses: OcspStore,
    pub(super) checks: Arc<Checks>,
}

/// Why a certificate cannot be trusted as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The bytes are not a certificate in DER.
    #[error("not a certificate: {0}")]
    Malformed(String),
    /// A root must be a certification authority (RFC 5280 §4.2.1.9).
    #[error(
        "root `{subject}` is not a certification authority's certificate; list the issuing authority instead"
    )]
    NotAuthority {
        /// The subject of the certificate.
        subject: String,
    },
    /// What seals documents cannot be refused as their signer.
    #[error(
        "certificate {sha256} is a seal of agency {agency} and listed among those that never sign: strike it from one list"
    )]
    RefusedSeal {
        /// The certificate's SHA-256.
        sha256: String,
        /// The agency.
        agency: String,
    },
    /// A seal belongs to one agency.
    #[error("certificate {sha256} is already the seal of agency {first}; give agency {second} its own")]
    SealOfTwo {
        /// The certificate's SHA-256.
        sha256: String,
        /// The agency that has it.
        first: String,
        /// The agency that it was to be added to.
        second: String,
    },
}

impl From<Asn1Error> for TrustError {
    fn from(e: Asn1Error) -> Self {
        TrustError::Malformed(e.to_string())
    }
}

impl Trust {
    /// Trusts these roots, each a certificate in DER; no seals yet.
    pub fn new<R: AsRef<[u8]>>(roots: impl IntoIterator<Item = R>) -> Result<Trust, TrustError> {
        Ok(Trust { roots: Arc::new(Roots::new(roots)?), ..Trust::empty() })
    }

    /// Trusts nothing: every signature is at best from an untrusted issuer.
    pub fn empty() -> Trust {
        Trust {
            roots: Arc::default(),
            seals: Arc::default(),
            refused: Arc::default(),
            crls: CrlStore::default(),
            responses: OcspStore::default(),
            checks: Arc::default(),
        }
    }

    /// The same with these revocation lists in place of those before. Without the lists of its issuers nothing is
    /// valid: no switch turns revocation off.
    pub fn with_crls(self, crls: CrlStore) -> Trust {
        Trust { crls, ..self }
    }

    /// The same with these OCSP responses, asked of responders, in place of those before. One that cannot be read
    /// is refused.
    pub fn with_responses(self, responses: Vec<Vec<u8>>) -> Result<Trust, OcspError> {
        Ok(self.with_ocsp(OcspStore::new(responses.into_iter().map(Arc::from))?))
    }

    /// The same from a store of them.
    pub fn with_ocsp(self, responses: OcspStore) -> Trust {
        Trust { responses, ..self }
    }

    /// The same seals and refused certificates under other roots, each a certificate in DER.
    pub fn with_roots<R: AsRef<[u8]>>(self, roots: impl IntoIterator<Item = R>) -> Result<Trust, TrustError> {
        Ok(Trust { roots: Arc::new(Roots::new(roots)?), ..self })
    }

    /// The revocation lists.
    pub fn crls(&self) -> &CrlStore {
        &self.crls
    }

    /// The OCSP responses.
    pub fn responses(&self) -> &OcspStore {
        &self.responses
    }

    /// Lists a certificate in DER as a seal of the agency with this permanent id. An agency may have several. A
    /// seal needs a path to a root like any other signer.
    pub fn with_seal(mut self, agency: &str, der: &[u8]) -> Result<Trust, TrustError> {
        Certificate::read(der)?;
        let hash = sha256(der);
        if let Some(first) = self.seals.get(&hash)
            && **first != *agency
        {
            let (first, second) = (first.to_string(), agency.to_owned());
            return Err(TrustError::SealOfTwo { sha256: hex::encode(hash), first, second });
        }
        Arc::make_mut(&mut self.seals).insert(hash, agency.into());
        Ok(self)
    }

    /// Lists a certificate in DER that never signs documents (a node's TLS certificate, a timestamp or OCSP
    /// authority), whatever its extensions allow. Seals are listed before.
    pub fn with_refused(mut self, der: &[u8]) -> Result<Trust, TrustError> {
        Certificate::read(der)?;
        let hash = sha256(der);
        if let Some(agency) = self.seals.get(&hash) {
            return Err(TrustError::RefusedSeal { sha256: hex::encode(hash), agency: agency.to_string() });
        }
        Arc::make_mut(&mut self.refused).insert(hash);
        Ok(self)
    }

    /// The agency whose seal the certificate with this SHA-256 is.
    pub fn seal_of(&self, certificate_sha256: &[u8; 32]) -> Option<&str> {
        self.seals.get(certificate_sha256).map(|agency| &**agency)
    }

    /// Whether the certificate with this SHA-256 is listed as one that never signs documents.
    pub(super) fn is_refused(&self, certificate_sha256: &[u8; 32]) -> bool {
        self.refused.contains(certificate_sha256)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("roots", &self.roots.len())
            .field("seals", &self.seals.len())
            .field("refused", &self.refused.len())
            .field("crls", &self.crls.len())
            .field("responses", &self.responses.len())
            .finish()
    }
}
