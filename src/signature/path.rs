//! Certification paths: from a signer's certificate to a root (RFC 5280 §6).
//!
//! Building is here: a bounded search over the certificates that came with the signature, each step by name.
//! Validating one candidate is certval's (signatures by ring, names and name constraints, basic constraints, key
//! usage, policies, critical extensions; RFC 5937 for what a root's own certificate constrains). Times are compared
//! here and not by certval: it is run with its time check off, so that its result does not depend on the time and
//! can be kept.
//!
//! Known paths are kept by the SHA-256 of the signer's certificate and of every certificate that came with it, in
//! order; the value is the time in which every certificate of the path, the root included, is valid. A kept path
//! answers only for a time inside that; for any other the search runs again. So an answer never differs from what the
//! search gives, and never depends on what was judged before: the same file gets the same verdict at every node.
//! Failures are not kept. Revocation, when it comes, is judged after the path and not kept here.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use certval::{
    CertificationPath, CertificationPathResults, CertificationPathSettings, Error, PDVCertificate,
    PDVTrustAnchorChoice, PathValidationStatus, PkiEnvironment, TimeOfInterest, compare_names,
    enforce_trust_anchor_constraints, get_certificate_from_trust_anchor, validate_path_rfc5280,
};
use der::Encode;
use der::asn1::BitString;
use ring::digest::{Context, SHA256};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::time::Timestamp;

use super::algorithm::{AlgorithmId, PublicKey, Verifier};
use super::asn1::Reader;
use super::certificate::Certificate;
use super::digest::array;
use super::limits::{MAX_CACHED_PATHS, MAX_INTERMEDIATES, MAX_PATHS, MAX_STEPS};
use super::trust::{Trust, TrustError};
use super::verdict::{Fault, Reason};

/// The time in which every certificate of a valid path is valid, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathOk {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl PathOk {
    /// Certificates have whole seconds, and the last is inside (RFC 5280 §4.1.2.5).
    fn covers(&self, at: Timestamp) -> bool {
        (self.not_before.secs()..=self.not_after.secs()).contains(&at.secs())
    }
}

/// A path from the signer's certificate to a root that is valid at this time.
///
/// `sha256` is the certificate's, `extra` are the other certificates of the signature. Fails with `untrusted_issuer`
/// when no path is valid at any time, or with the more specific `weak_algorithm` or `unsupported_algorithm` of an
/// issuer's signature; else with `certificate_not_yet_valid` or `certificate_expired`, of the signer's own certificate
/// first.
pub(crate) fn validate(
    leaf: &Certificate<'_>,
    sha256: &[u8; 32],
    extra: &[&[u8]],
    trust: &Trust,
    at: Timestamp,
) -> Result<PathOk, Fault> {
    let roots = &*trust.roots;
    let mut key = Context::new(&SHA256);
    key.update(sha256);
    extra.iter().for_each(|certificate| key.update(certificate));
    let key: [u8; 32] = array(key);
    let known = roots.known.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
    if let Some(path) = known.filter(|path| path.covers(at)) {
        return Ok(path);
    }
    let found = Search::new(roots, leaf, extra, at)?.run()?;
    let mut known = roots.known.write().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= MAX_CACHED_PATHS {
        // Rare, and a known signer costs one search to learn anew: simpler than any order of eviction.
        known.clear();
    }
    known.insert(key, found);
    Ok(found)
}

/// The trusted roots, ready for use, and the paths known to lead to them.
pub(crate) struct Roots {
    anchors: Vec<Anchor>,
    environment: PkiEnvironment,
    known: RwLock<HashMap<[u8; 32], PathOk>>,
}

/// One root.
struct Anchor {
    der: Vec<u8>,
    choice: PDVTrustAnchorChoice,
    settings: CertificationPathSettings,
}

impl Default for Roots {
    fn default() -> Self {
        let mut environment = PkiEnvironment::new();
        environment.add_verify_signature_message_callback(verify_by_ring);
        Roots { anchors: Vec::new(), environment, known: RwLock::default() }
    }
}

impl Roots {
    pub fn new<R: AsRef<[u8]>>(roots: impl IntoIterator<Item = R>) -> Result<Roots, TrustError> {
        let mut settings = CertificationPathSettings::new();
        settings.set_time_of_interest(TimeOfInterest::disabled());
        settings.set_require_ta_store(false);
        settings.set_enforce_trust_anchor_constraints(true);
        let mut made = Roots::default();
        for der in roots {
            let der = der.as_ref().to_vec();
            let certificate = Certificate::read(&der)?;
            if !certificate.ca {
                return Err(TrustError::NotAuthority { subject: certificate.subject_text() });
            }
            let malformed = |e: &dyn std::fmt::Display| TrustError::Malformed(e.to_string());
            let choice = PDVTrustAnchorChoice::try_from(&der[..]).map_err(|e| malformed(&e))?;
            let settings = enforce_trust_anchor_constraints(&settings, &choice).map_err(|e| malformed(&e))?;
            made.anchors.push(Anchor { der, choice, settings });
        }
        Ok(made)
    }

    pub fn len(&self) -> usize {
        self.anchors.len()
    }
}

/// A certificate in both readings: certval's, strict, and ours.
struct Candidate<'a> {
    strict: PDVCertificate,
    read: Certificate<'a>,
}

impl<'a> Candidate<'a> {
    fn issued_by(&self, issuer: &Candidate<'_>) -> bool {
        compare_names(
            self.strict.decoded().tbs_certificate().issuer(),
            issuer.strict.decoded().tbs_certificate().subject(),
        )
    }
}

/// A depth-first search from the leaf upwards.
struct Search<'a> {
    roots: &'a Roots,
    at: Timestamp,
    leaf: Candidate<'a>,
    pool: Vec<Candidate<'a>>,
    paths: usize,
    steps: usize,
    /// The first valid path that is out of its time, as the fault that it is.
    late: Option<Fault>,
    /// The most specific failure of a path otherwise.
    fault: Option<Fault>,
}

impl<'a> Search<'a> {
    fn new(
        roots: &'a Roots,
        leaf: &Certificate<'a>,
        extra: &[&'a [u8]],
        at: Timestamp,
    ) -> Result<Self, Fault> {
        let strict = PDVCertificate::try_from(leaf.raw).map_err(|e| {
            Fault::new(Reason::UntrustedIssuer, format!("the signer's certificate cannot be validated: {e}"))
        })?;
        let leaf = Candidate { strict, read: leaf.clone() };
        // What cannot be read is no issuer.
        let pool = extra.iter().filter_map(|raw| {
            Some(Candidate {
                strict: PDVCertificate::try_from(*raw).ok()?,
                read: Certificate::read(raw).ok()?,
            })
        });
        let pool = pool.collect();
        Ok(Search { roots, at, leaf, pool, paths: MAX_PATHS, steps: MAX_STEPS, late: None, fault: None })
    }

    fn run(mut self) -> Result<PathOk, Fault> {
        if let Some(found) = self.extend(&mut Vec::new()) {
            return Ok(found);
        }
        Err(self.late.or(self.fault).unwrap_or_else(|| {
            let issuer = self.leaf.strict.decoded().tbs_certificate().issuer();
            Fault::new(Reason::UntrustedIssuer, format!("no trusted root issued `{issuer}`"))
        }))
    }

    /// Tries every root, then every other certificate, as issuer of the last one in `chain`, which is above the leaf.
    fn extend(&mut self, chain: &mut Vec<usize>) -> Option<PathOk> {
        let roots = self.roots;
        for anchor in &roots.anchors {
            let last = chain.last().map_or(&self.leaf, |&i| &self.pool[i]);
            let issuer = last.strict.decoded().tbs_certificate().issuer();
            let named = get_certificate_from_trust_anchor(anchor.choice.decoded())
                .is_some_and(|root| compare_names(issuer, root.tbs_certificate().subject()));
            if !named {
                continue;
            }
            self.paths = self.paths.checked_sub(1)?;
            match self.try_path(anchor, chain) {
                Ok(found) => return Some(found),
                Err(fault)
                    if matches!(
                        fault.reason,
                        Reason::CertificateExpired | Reason::CertificateNotYetValid
                    ) =>
                {
                    self.late.get_or_insert(fault);
                }
                Err(fault) => match &self.fault {
                    Some(other) if other.reason <= fault.reason => {}
                    _ => self.fault = Some(fault),
                },
            }
        }
        if chain.len() == MAX_INTERMEDIATES {
            return None;
        }
        for i in 0..self.pool.len() {
            let last = chain.last().map_or(&self.leaf, |&i| &self.pool[i]);
            if chain.contains(&i) || !last.issued_by(&self.pool[i]) {
                continue;
            }
            self.steps = self.steps.checked_sub(1)?;
            chain.push(i);
            let found = self.extend(chain);
            chain.pop();
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// RFC 5280 §6.1 on one candidate.
    fn try_path(&self, anchor: &Anchor, chain: &[usize]) -> Result<PathOk, Fault> {
        let untrusted = |what: String| Fault::new(Reason::UntrustedIssuer, what);
        let root =
            Certificate::read(&anchor.der).map_err(|e| untrusted(format!("the root cannot be read: {e}")))?;
        // From the leaf to the root.
        let upwards: Vec<&Certificate<'_>> = std::iter::once(&self.leaf)
            .chain(chain.iter().map(|&i| &self.pool[i]))
            .map(|c| &c.read)
            .chain([&root])
            .collect();

        // certval says only that a signature does not verify; first, whether its algorithm is one that could.
        for pair in upwards.windows(2) {
            Verifier::new(&pair[0].signature_algorithm, None, &pair[1].key).map_err(|f| {
                Fault::new(f.reason, format!("the certificate of `{}`: {}", pair[0].subject_text(), f.detail))
            })?;
        }
        let intermediates = chain.iter().rev().map(|&i| self.pool[i].strict.clone()).collect();
        let path = CertificationPath::new(anchor.choice.clone(), intermediates, self.leaf.strict.clone());
        let mut results = CertificationPathResults::new();
        validate_path_rfc5280(&self.roots.environment, &anchor.settings, &path, &mut results).map_err(
            |e| untrusted(format!("the path to root `{}` is not valid: {e}", root.subject_text())),
        )?;

        // §6.1.3 (a)(2), for every certificate, the leaf first.
        let mut found = PathOk { not_before: root.not_before, not_after: root.not_after };
        for certificate in &upwards {
            found.not_before = found.not_before.max(certificate.not_before);
            found.not_after = found.not_after.min(certificate.not_after);
            let (reason, what, bound) = if self.at.secs() < certificate.not_before.secs() {
                (Reason::CertificateNotYetValid, "is valid only from", certificate.not_before)
            } else if self.at.secs() > certificate.not_after.secs() {
                (Reason::CertificateExpired, "expired at", certificate.not_after)
            } else {
                continue;
            };
            let subject = certificate.subject_text();
            return Err(Fault::new(
                reason,
                format!("the certificate of `{subject}` {what} {bound}, judged at {}", self.at),
            ));
        }
        Ok(found)
    }
}

/// certval's call for a certificate's signature: the same algorithms as for documents.
fn verify_by_ring(
    _: &PkiEnvironment,
    message: &[u8],
    signature: &BitString,
    algorithm: &AlgorithmIdentifierOwned,
    key: &SubjectPublicKeyInfoOwned,
) -> Result<(), Error> {
    let failed = || Error::PathValidation(PathValidationStatus::SignatureVerificationFailure);
    let (algorithm, key) = (algorithm.to_der()?, key.to_der()?);
    let algorithm = AlgorithmId::read(&mut Reader::new(&algorithm), "an algorithm").map_err(|_| failed())?;
    let key = PublicKey::read(&mut Reader::new(&key)).map_err(|_| failed())?;
    let verifier = Verifier::new(&algorithm, None, &key).map_err(|_| failed())?;
    let signature = signature.as_bytes().ok_or_else(failed)?;
    if verifier.verify(message, signature) { Ok(()) } else { Err(failed()) }
}
