//! Certification paths: from a signer's certificate to a root (RFC 5280 §6).
//!
//! Building is here: a bounded search over the certificates that came with the signature, each step by name.
//! Validating one candidate is certval's (signatures by ring, names and name constraints, basic constraints, key
//! usage, policies, critical extensions; RFC 5937 for what a root's own certificate constrains). Times are compared
//! here and not by certval: it is run with its time check off, so that its result does not depend on the time and
//! can be kept.
//!
//! The search does not look at the time at all: it gives every valid path, each with its certificates, and
//! [`Path::check_time`] says of each whether it holds at a time. So paths can be kept by the SHA-256 of the signer's
//! certificate and of every certificate that came with it, in order, and an answer never depends on what was judged
//! before: the same file gets the same verdict at every node. Failures are not kept. Revocation is judged after the
//! path, certificate by certificate ([`super::revocation`]), and is not kept here.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

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
use super::limits::{MAX_CACHED_PATHS, MAX_CERTIFICATE_BYTES, MAX_INTERMEDIATES, MAX_PATHS, MAX_STEPS};
use super::trust::{Trust, TrustError};
use super::verdict::{Fault, Reason};

/// A valid path, from the issuer of the signer's certificate up to a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// Certificates in DER; the last is the root's.
    pub issuers: Vec<Arc<[u8]>>,
    /// SHA-256 over the signer's certificate, those that came with it, and the issuers: the same for the same question.
    pub id: [u8; 32],
}

impl Path {
    /// The certificates read; all of them were, when the path was found.
    pub fn read(&self) -> Vec<Certificate<'_>> {
        self.issuers.iter().filter_map(|der| Certificate::read(der).ok()).collect()
    }

    /// The root.
    pub fn root(&self) -> &[u8] {
        self.issuers.last().map_or(&[], |root| root)
    }

    /// RFC 5280 §6.1.3 (a)(2), for every certificate, the root's included, the signer's first. Certificates have whole
    /// seconds, and the last is inside (§4.1.2.5).
    pub fn check_time(&self, leaf: &Certificate<'_>, at: Timestamp) -> Result<(), Fault> {
        let issuers = self.read();
        for certificate in std::iter::once(leaf).chain(&issuers) {
            let (reason, what, bound) = if at.secs() < certificate.not_before.secs() {
                (Reason::CertificateNotYetValid, "is valid only from", certificate.not_before)
            } else if at.secs() > certificate.not_after.secs() {
                (Reason::CertificateExpired, "expired at", certificate.not_after)
            } else {
                continue;
            };
            let subject = certificate.subject_text();
            return Err(Fault::new(
                reason,
                format!("the certificate of `{subject}` {what} {bound}, judged at {at}"),
            ));
        }
        Ok(())
    }
}

/// The valid paths from the signer's certificate to a root, at least one.
///
/// `sha256` is the certificate's, `extra` are the other certificates of the signature. Fails with `untrusted_issuer`
/// when there is none, or with the more specific `weak_algorithm` or `unsupported_algorithm` of an issuer's signature.
pub(crate) fn find(
    leaf: &Certificate<'_>,
    sha256: &[u8; 32],
    extra: &[&[u8]],
    trust: &Trust,
) -> Result<Arc<[Path]>, Fault> {
    let roots = &*trust.roots;
    let mut key = Context::new(&SHA256);
    key.update(sha256);
    extra.iter().for_each(|certificate| key.update(certificate));
    let key: [u8; 32] = array(key);
    if let Some(paths) = roots.known.read().unwrap_or_else(PoisonError::into_inner).paths.get(&key) {
        return Ok(paths.clone());
    }
    let found = Search::new(roots, leaf, extra)?.run()?;
    let mut known = roots.known.write().unwrap_or_else(PoisonError::into_inner);
    if known.paths.len() >= MAX_CACHED_PATHS {
        // Rare, and a known signer costs one search to learn anew: simpler than any order of eviction.
        *known = Known::default();
    }
    let mut share = |der: Arc<[u8]>| match known.certificates.get(&der) {
        Some(same) => same.clone(),
        None => {
            known.certificates.insert(der.clone());
            der
        }
    };
    let found: Arc<[Path]> = found
        .into_iter()
        .map(|path| {
            let issuers: Vec<Arc<[u8]>> = path.issuers.into_iter().map(&mut share).collect();
            let mut id = Context::new(&SHA256);
            id.update(&key);
            issuers.iter().for_each(|der| id.update(der));
            Path { issuers, id: array(id) }
        })
        .collect();
    known.paths.insert(key, found.clone());
    Ok(found)
}

/// The trusted roots, ready for use, and the paths known to lead to them.
pub(crate) struct Roots {
    anchors: Vec<Anchor>,
    environment: PkiEnvironment,
    known: RwLock<Known>,
}

/// The paths known; signers share the certificates of their issuers.
#[derive(Default)]
struct Known {
    paths: HashMap<[u8; 32], Arc<[Path]>>,
    certificates: HashSet<Arc<[u8]>>,
}

/// One root.
struct Anchor {
    der: Arc<[u8]>,
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
            let der: Arc<[u8]> = der.as_ref().into();
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

    fn is_root(&self, der: &[u8]) -> bool {
        self.anchors.iter().any(|anchor| *anchor.der == *der)
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
    leaf: Candidate<'a>,
    pool: Vec<Candidate<'a>>,
    paths: usize,
    steps: usize,
    found: Vec<Path>,
    /// The most specific failure of a path otherwise.
    fault: Option<Fault>,
}

impl<'a> Search<'a> {
    fn new(roots: &'a Roots, leaf: &Certificate<'a>, extra: &[&'a [u8]]) -> Result<Self, Fault> {
        if leaf.raw.len() > MAX_CERTIFICATE_BYTES {
            let text = format!("the signer's certificate has more than {MAX_CERTIFICATE_BYTES} bytes");
            return Err(Fault::new(Reason::UntrustedIssuer, text));
        }
        let strict = PDVCertificate::try_from(leaf.raw).map_err(|e| {
            Fault::new(Reason::UntrustedIssuer, format!("the signer's certificate cannot be validated: {e}"))
        })?;
        let leaf = Candidate { strict, read: leaf.clone() };
        // What cannot be read is no issuer, and a root or a certificate given again only makes more of the same paths.
        let mut pool: Vec<Candidate<'a>> = Vec::with_capacity(extra.len());
        for raw in extra {
            let again =
                pool.iter().any(|c| c.read.raw == *raw) || roots.is_root(raw) || leaf.read.raw == *raw;
            let again = again || raw.len() > MAX_CERTIFICATE_BYTES;
            if let (false, Ok(strict), Ok(read)) =
                (again, PDVCertificate::try_from(*raw), Certificate::read(raw))
            {
                pool.push(Candidate { strict, read });
            }
        }
        let found = Vec::new();
        Ok(Search { roots, leaf, pool, paths: MAX_PATHS, steps: MAX_STEPS, found, fault: None })
    }

    fn run(mut self) -> Result<Vec<Path>, Fault> {
        // Out of steps: what was found until then is the answer, the same every time.
        let _ = self.extend(&mut Vec::new());
        if !self.found.is_empty() {
            return Ok(self.found);
        }
        Err(self.fault.unwrap_or_else(|| {
            let issuer = self.leaf.strict.decoded().tbs_certificate().issuer();
            Fault::new(Reason::UntrustedIssuer, format!("no trusted root issued `{issuer}`"))
        }))
    }

    /// Tries every root, then every other certificate, as issuer of the last one in `chain`, which is above the leaf.
    /// None: it used up what one search may cost.
    fn extend(&mut self, chain: &mut Vec<usize>) -> Option<()> {
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
                Ok(found) => self.found.push(found),
                Err(fault) => match &self.fault {
                    Some(other) if other.reason <= fault.reason => {}
                    _ => self.fault = Some(fault),
                },
            }
        }
        if chain.len() == MAX_INTERMEDIATES {
            return Some(());
        }
        for i in 0..self.pool.len() {
            let last = chain.last().map_or(&self.leaf, |&i| &self.pool[i]);
            if chain.contains(&i) || !last.issued_by(&self.pool[i]) {
                continue;
            }
            self.steps = self.steps.checked_sub(1)?;
            chain.push(i);
            let goes_on = self.extend(chain);
            chain.pop();
            goes_on?;
        }
        Some(())
    }

    /// RFC 5280 §6.1 on one candidate.
    fn try_path(&self, anchor: &Anchor, chain: &[usize]) -> Result<Path, Fault> {
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
        let mut verifiers = Vec::with_capacity(upwards.len());
        for pair in upwards.windows(2) {
            let verifier = Verifier::new(&pair[0].signature_algorithm, None, &pair[1].key).map_err(|f| {
                Fault::new(f.reason, format!("the certificate of `{}`: {}", pair[0].subject_text(), f.detail))
            })?;
            verifiers.push((verifier, pair[0]));
        }
        // Signatures from the root down, before anything that costs more: certval compares names and constraints with
        // each other first, and a stranger can write 1,000 of each into a certificate that nobody issued.
        for (verifier, certificate) in verifiers.iter().rev() {
            if !verifier.verify(certificate.tbs, certificate.signature) {
                return Err(untrusted(format!(
                    "the path to root `{}` is not valid: it did not issue the certificate of `{}`, or not this one",
                    root.subject_text(),
                    certificate.subject_text()
                )));
            }
        }
        let intermediates = chain.iter().rev().map(|&i| self.pool[i].strict.clone()).collect();
        let path = CertificationPath::new(anchor.choice.clone(), intermediates, self.leaf.strict.clone());
        let mut results = CertificationPathResults::new();
        validate_path_rfc5280(&self.roots.environment, &anchor.settings, &path, &mut results).map_err(
            |e| untrusted(format!("the path to root `{}` is not valid: {}", root.subject_text(), words(&e))),
        )?;

        let above = chain.iter().map(|&i| Arc::from(self.pool[i].read.raw));
        Ok(Path { issuers: above.chain([anchor.der.clone()]).collect(), id: [0; 32] })
    }
}

/// What certval found, for a person to read.
fn words(error: &Error) -> String {
    use PathValidationStatus as Found;
    let Error::PathValidation(found) = error else { return error.to_string() };
    match found {
        Found::MissingBasicConstraints | Found::InvalidBasicConstraints => {
            "an issuer on it is not a certification authority (basicConstraints)".into()
        }
        Found::InvalidPathLength => "it has more certificates than an authority on it allows \
             (pathLenConstraint), or an issuer on it is not a certification authority"
            .into(),
        Found::InvalidKeyUsage => "an issuer on it may not issue certificates (keyUsage)".into(),
        Found::NullPolicySet => "its certificate policies do not go together".into(),
        Found::NameConstraintsViolation => "a name on it is outside what its authority may issue for".into(),
        Found::UnprocessedCriticalExtension => {
            "a certificate on it has a critical extension that is not known here".into()
        }
        Found::NameChainingFailure => "its names do not follow each other".into(),
        other => other.to_string(),
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
