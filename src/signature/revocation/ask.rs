//! Asking: for a certificate of which nothing is known, where its issuer says that revocation data can be had, the bytes
//! to ask with, and whether what comes back is what was asked for. Who sends them is no business of this layer.
//!
//! - CRLs: the URLs of cRLDistributionPoints (RFC 5280 §4.2.1.13).
//! - OCSP: the responders in authorityInfoAccess (RFC 5280 §4.2.2.1), requests as RFC 6960 §4.1 for one certificate and
//!   without a nonce, which many responders do not answer; how old an answer may be is judged by its times. Responders
//!   know CertIDs by SHA-1 (RFC 5019 §2.1.1), newer ones by SHA-256 alone.
//!
//! URLs of HTTP only: what is fetched proves itself by its signature, and to check a TLS certificate of the responder
//! could need the very answer that is asked for (RFC 5280 §8).
//!
//! What comes back is looked at here so that nothing useless is kept; whether it counts is judged at each use, by the
//! rules of the module's head. A list must be signed by the issuer's own key; lists by another key of the issuer are
//! taken from the folder of lists only. Out of scope: LDAP, delta lists by freshestCRL, certificates by caIssuers.

use std::fmt;
use std::sync::Arc;

use crate::signature::algorithm::{AlgorithmId, SHA1, SHA256, Verifier};
use crate::signature::asn1::{Asn1Error, INTEGER, NULL, OCTET_STRING, OID, Reader, SEQUENCE, tlv};
use crate::signature::certificate::Certificate;
use crate::signature::digest::sha256;
use crate::signature::limits::MAX_URLS;
use crate::time::Timestamp;

use super::crl::{Crl, CrlError};
use super::ocsp::{Ocsp, OcspError, Status, sha1};
use super::{name, points};

/// 1.3.6.1.5.5.7.48.1, id-ad-ocsp (RFC 5280 §4.2.2.1).
const OCSP_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];

/// A certificate whose revocation is unknown, with its issuer's, of a path to a trusted root.
#[derive(Clone, PartialEq, Eq)]
pub struct Missed {
    certificate: Arc<[u8]>,
    issuer: Arc<[u8]>,
}

/// Why what came is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is no list that can be used.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// It is no OCSP response that can be used.
    #[error(transparent)]
    Ocsp(#[from] OcspError),
    /// The question itself cannot be read.
    #[error("the certificate or its issuer's cannot be read: {0}")]
    Certificate(String),
    /// The list is another's.
    #[error("the list is by another issuer than the certificate's")]
    OtherIssuer,
    /// Whoever signed it is not the issuer, nor for OCSP whom the issuer delegated.
    #[error("it is not signed by the certificate's issuer")]
    NotSigned,
    /// The responder says nothing of the certificate, or that it does not know it.
    #[error("the responder does not know the certificate")]
    NotKnown,
}

impl From<Asn1Error> for AnswerError {
    fn from(e: Asn1Error) -> Self {
        AnswerError::Certificate(e.to_string())
    }
}

/// How an OCSP request names the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertIdHash {
    /// What every responder knows.
    Sha1,
    /// What new ones demand.
    Sha256,
}

/// The time that a list or response speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it was made.
    pub this_update: Timestamp,
    /// When a newer one is there at the latest.
    pub until: Timestamp,
}

impl Missed {
    pub(super) fn new(certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> Missed {
        Missed { certificate: certificate.raw.into(), issuer: issuer.raw.into() }
    }

    /// From two certificates in DER.
    pub fn from_der(certificate: &[u8], issuer: &[u8]) -> Result<Missed, AnswerError> {
        Ok(Missed::new(&Certificate::read(certificate)?, &Certificate::read(issuer)?))
    }

    /// The certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its issuer's in DER.
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// SHA-256 of the certificate.
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.certificate)
    }

    /// Where its issuer's lists can be had.
    pub fn crl_urls(&self) -> Vec<String> {
        Certificate::read(&self.certificate).map_or_else(|_| Vec::new(), |c| few(points::urls(&c)))
    }

    /// Where its OCSP responders are.
    pub fn ocsp_urls(&self) -> Vec<String> {
        let Ok(certificate) = Certificate::read(&self.certificate) else { return Vec::new() };
        let mut urls = Vec::new();
        let Some(access) = certificate.access else { return urls };
        let Ok(mut all) = Reader::new(access).enter(SEQUENCE, "an authority's access") else { return urls };
        while let Ok(mut description) = all.enter(SEQUENCE, "an access description") {
            if description.expect(OID, "an access method").is_ok_and(|m| m.value == OCSP_ACCESS)
                && let Ok(place) = description.any()
            {
                urls.extend(points::url(place));
            }
        }
        few(urls)
    }

    /// An OCSPRequest (RFC 6960 §4.1.1) for the certificate.
    pub fn ocsp_request(&self, hash: CertIdHash) -> Result<Vec<u8>, AnswerError> {
        let (certificate, issuer) = self.read()?;
        let oid = match hash {
            CertIdHash::Sha1 => SHA1,
            CertIdHash::Sha256 => SHA256,
        };
        let digest = |bytes: &[u8]| match hash {
            CertIdHash::Sha1 => sha1(bytes).to_vec(),
            CertIdHash::Sha256 => sha256(bytes).to_vec(),
        };
        let id = tlv(
            SEQUENCE,
            &[
                &tlv(SEQUENCE, &[&tlv(OID, &[oid]), &[NULL, 0]]),
                &tlv(OCTET_STRING, &[&digest(certificate.issuer)]),
                &tlv(OCTET_STRING, &[&digest(issuer.key.bits())]),
                &tlv(INTEGER, &[certificate.serial]),
            ],
        );
        // OCSPRequest { TBSRequest { requestList { Request { reqCert } } } }
        Ok(tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&id])])])]))
    }

    /// Whether a list that was fetched is the issuer's.
    pub fn check_crl(&self, crl: &Crl) -> Result<Span, AnswerError> {
        let (certificate, issuer) = self.read()?;
        if crl.issuer != name::key(certificate.issuer)? {
            return Err(AnswerError::OtherIssuer);
        }
        if !issuer.signs_crls() || !is_by(crl.signed()?, &issuer) {
            return Err(AnswerError::NotSigned);
        }
        Ok(Span { this_update: crl.this_update, until: crl.next_update.unwrap_or(crl.this_update) })
    }

    /// Whether a response that was fetched answers, by whom it must be (RFC 6960 §3.2, §4.2.2.2).
    pub fn check_response(&self, der: &[u8]) -> Result<Span, AnswerError> {
        let (certificate, issuer) = self.read()?;
        let response = Ocsp::read(der)?;
        let signed = (response.tbs, response.algorithm, response.signature);
        let delegated = |c: &Certificate<'_>| {
            c.issuer == issuer.subject
                && c.for_ocsp()
                && is_by((c.tbs, c.signature_algorithm, c.signature), &issuer)
        };
        let by = |c: &Certificate<'_>| response.responder.is(c) && is_by(signed, c);
        let others = response.certificates.iter().filter_map(|der| Certificate::read(der).ok());
        if !by(&issuer) && !others.into_iter().any(|c| delegated(&c) && by(&c)) {
            return Err(AnswerError::NotSigned);
        }
        let about =
            |a: &&super::ocsp::Answer<'_>| a.status != Status::Unknown && a.is_about(&certificate, &issuer);
        let answer = response.answers.iter().filter(about).max_by_key(|a| a.this_update);
        let answer = answer.ok_or(AnswerError::NotKnown)?;
        Ok(Span { this_update: answer.this_update, until: answer.until() })
    }

    fn read(&self) -> Result<(Certificate<'_>, Certificate<'_>), AnswerError> {
        Ok((Certificate::read(&self.certificate)?, Certificate::read(&self.issuer)?))
    }
}

impl fmt::Debug for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Missed").field(&hex::encode(self.sha256())).finish()
    }
}

fn is_by((message, algorithm, signature): (&[u8], AlgorithmId<'_>, &[u8]), signer: &Certificate<'_>) -> bool {
    Verifier::new(&algorithm, None, &signer.key).is_ok_and(|v| v.verify(message, signature))
}

/// The first of them, each once.
fn few(urls: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for url in urls {
        if out.len() < MAX_URLS && !out.contains(&url) {
            out.push(url);
        }
    }
    out
}
