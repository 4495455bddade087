//! Verdicts on signatures: detached CAdES (RFC 5652 §5.4 and §5.6, EN 319 122-1 §5), and what PDF shares with it.
//!
//! The checks run in the rank of their reasons, so that the first that fails gives the reason; those after it that
//! cannot outrank it are left out, and so is their cost. Signed attributes are required, and among them, in CAdES, the
//! signer's certificate by its hash (signing-certificate-v2): a signature without them could be one over bytes that
//! look like attributes, or change its certificate unseen.
//!
//! Validity and revocation are judged at the earliest time that a trusted timestamp proves the signature to have
//! existed by, otherwise at the time of judging.

use std::borrow::Cow;

use crate::time::Timestamp;

use super::algorithm::{Digest, Verifier};
use super::asn1::{Reader, definite, dotted};
use super::certificate::Certificate;
use super::cms::{EssCertId, ID_DATA, SIGNATURE_TIMESTAMP, SignedData};
use super::digest::{DigestNeeds, Digests};
use super::limits::{MAX_MISSED, MAX_TIMESTAMPS};
use super::path;
use super::revocation::embedded::Embedded;
use super::revocation::{Missed, Rule, Sources};
use super::signer::{self, digest_of, malformed, matches, names, names_by_sha1};
use super::timestamp::{self, Proof};
use super::trust::Trust;
use super::verdict::{Fault, Judgement, Reason, Role, Verdicts};

/// Which digests of a content its detached signatures need, so that it can be hashed once while it streams. A file
/// that is no signature needs none; it is judged malformed later.
pub fn digest_needs(signatures: &[impl AsRef<[u8]>]) -> DigestNeeds {
    let mut needs = DigestNeeds::default();
    for bytes in signatures {
        let Ok(bytes) = definite(bytes.as_ref()) else { continue };
        let Ok(data) = SignedData::parse(&bytes) else { continue };
        match Digest::of(data.signer.digest.oid) {
            Ok(Digest::Sha384) => needs.sha384 = true,
            Ok(Digest::Sha512) => needs.sha512 = true,
            _ => {}
        }
    }
    needs
}

/// Judges the detached signatures beside one content, at one time. `sender` is the permanent id of the registered
/// agency whose listed seals count as the agency's.
pub fn judge_detached(
    signatures: &[impl AsRef<[u8]>],
    content: &Digests,
    sender: &str,
    trust: &Trust,
    at: Timestamp,
) -> Verdicts {
    let case = Case { sender, trust, at, profile: Profile::Cades, shared: &Embedded::default() };
    let none = Beside::default();
    Verdicts::of(signatures.iter().map(|s| case.judge(s.as_ref(), content, &none)).collect())
}

/// What the signed attributes must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// CAdES and PAdES: the signer's certificate is bound by signing-certificate-v2 (EN 319 122-1 §5.2.2).
    Cades,
    /// adbe.pkcs7.detached (ISO 32000-1 §12.8.3.3): it need not be.
    Pkcs7,
}

/// What signatures are judged against.
pub(crate) struct Case<'a> {
    pub sender: &'a str,
    pub trust: &'a Trust,
    pub at: Timestamp,
    pub profile: Profile,
    /// Validation data of the whole document.
    pub shared: &'a Embedded<'a>,
}

/// What a document says of one signature from outside it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    /// What was changed after signing.
    pub modified: Option<String>,
    /// Times that timestamps over the whole document prove.
    pub proofs: Vec<Proof>,
    /// The claimed time when the signature itself claims none.
    pub claimed_at: Option<Timestamp>,
    /// Certificates of timestamps over the whole document whose revocation could not be told.
    pub missed: Vec<Missed>,
}

impl Case<'_> {
    /// Judges one signature over a content.
    pub fn judge(&self, bytes: &[u8], content: &Digests, beside: &Beside) -> Judgement {
        let mut judgement = Judgement { claimed_at: beside.claimed_at, ..Judgement::default() };
        if let Err(fault) = self.examine(bytes, content, beside, &mut judgement) {
            judgement.verdict = fault.reason.verdict();
            judgement.reason = Some(fault.reason);
            judgement.detail = fault.detail;
        }
        judgement.evidence.sort_unstable();
        judgement.evidence.dedup();
        judgement.missed.truncate(MAX_MISSED);
        judgement
    }

    /// The checks in order; what is learnt on the way is kept in `judgement` even when a later check fails.
    fn examine(
        &self,
        bytes: &[u8],
        content: &Digests,
        beside: &Beside,
        judgement: &mut Judgement,
    ) -> Result<(), Fault> {
        // 1. The structure (RFC 5652 §3, §5.1, §5.3).
        if let Some(form) = other_form(bytes) {
            return Err(malformed(form));
        }
        let bytes = definite(bytes).map_err(|e| malformed(format!("bad BER: {e}")))?;
        let data = SignedData::parse(&bytes).map_err(|e| malformed(e.to_string()))?;
        let (signer, attributes) = (&data.signer, &data.signer.attributes);
        judgement.claimed_at = attributes.signing_time.or(beside.claimed_at);
        judgement.algorithm = dotted(signer.algorithm.oid);

        // 2. Whose it is, so that even a bad signature has its role.
        let ess = attributes.signing_certificate.as_ref();
        let (certificate, hash) = signer::find(&data, ess, &self.shared.certificates)?;
        judgement.signer = certificate.subject_text();
        judgement.certificate_sha256 = Some(hash);
        let seal_of = self.trust.seal_of(&hash);
        if seal_of.is_some() {
            judgement.role = Role::Agency;
        }

        // 3. Detached, over data (RFC 5652 §5.2; the attribute must name the same type, §11.1).
        if data.content.is_some() {
            return Err(malformed("the content is inside the signature, which must be detached"));
        }
        if data.content_type != ID_DATA {
            let found = dotted(data.content_type);
            return Err(malformed(format!("content type {found} where data should be")));
        }
        if attributes.content_type != data.content_type {
            let found = dotted(attributes.content_type);
            return Err(malformed(format!("attribute content-type {found} differs from the content's type")));
        }

        // 4. The attribute that binds the signer's certificate (RFC 5035 §3). Its form of RFC 2634 §5.4 is by SHA-1.
        let old = match attributes.old_signing_certificate {
            Some(value) => Some(EssCertId::read(Reader::new(value)).map_err(|e| malformed(e.to_string()))?),
            None => None,
        };
        let bound = match (ess, &old) {
            (_, Some(old)) if !names_by_sha1(old, &certificate) => Ok(false),
            (Some(ess), _) => names(ess, &certificate, &hash),
            (None, _) if self.profile == Profile::Pkcs7 => Ok(true),
            (None, Some(_)) => {
                let text = "attribute signing-certificate binds the signer's certificate by SHA-1; \
                    signing-certificate-v2 is demanded";
                Err(Fault::new(Reason::WeakAlgorithm, text))
            }
            (None, None) => {
                return Err(malformed(
                    "signed attribute signing-certificate-v2 is missing: CMS, and not yet CAdES",
                ));
            }
        };
        if let Ok(false) = bound {
            return Err(malformed(
                "the signed attribute signing-certificate names another certificate than the signer's",
            ));
        }

        // 5. RFC 5652 §5.4: the digest of the content, against the attribute.
        let digest = digest_of(&signer.digest);
        let mut intact = digest.as_ref().map_or(Ok(()), |d| matches(*d, content, attributes.message_digest));

        // 6. RFC 5652 §5.6: the signature over the DER of the signed attributes. That it does not verify means that
        // the attributes are not those signed, or not with this key: the digest inside the signature differs.
        let verifier = Verifier::new(&signer.algorithm, digest.as_ref().ok().copied(), &certificate.key);
        if let Ok(verifier) = &verifier {
            judgement.algorithm.clone_from(&verifier.name);
            if intact.is_ok() && !verifier.verify(&attributes.signed_bytes(), signer.signature) {
                let text =
                    "the signature value does not verify over the signed attributes with the signer's key";
                intact = Err(Fault::new(Reason::DigestMismatch, text));
            }
        }
        let modified = beside.modified.as_ref().map(|m| Fault::new(Reason::ModifiedAfterSigning, m.as_str()));
        first([bound.err(), digest.err(), verifier.err(), intact.err(), modified])?;

        // 7. RFC 3161 appendix A: the timestamps over the signature value, and all revocation data that came along.
        let tokens: Vec<Cow<'_, [u8]>> = signer
            .unsigned(SIGNATURE_TIMESTAMP)
            .into_iter()
            .take(MAX_TIMESTAMPS)
            .filter_map(|token| definite(token).ok())
            .collect();
        let tokens: Vec<(&[u8], SignedData<'_>)> =
            tokens.iter().filter_map(|token| Some((&**token, SignedData::parse(token).ok()?))).collect();
        let mut own = Embedded::default();
        own.add_cms(&data);
        tokens.iter().for_each(|(_, token)| own.add_cms(token));
        let all = [&own, self.shared];
        let sources = Sources::new(self.trust, &all);
        let stamped = |digest: Digest| Some(digest.of_bytes(signer.signature).as_ref().to_vec());
        let proofs: Vec<Result<Proof, Fault>> = tokens
            .iter()
            .map(|(raw, token)| timestamp::prove(raw, token, &stamped, self.trust, &sources, self.at))
            .collect();
        judgement.missed = sources.take_missed();
        judgement.missed.extend(beside.missed.iter().cloned());
        let proven = proofs.iter().flatten().chain(&beside.proofs).min_by_key(|proof| proof.at);
        if let Some(proof) = proven {
            judgement.proven_at = Some(proof.at);
            judgement.evidence.extend(&proof.evidence);
        }

        // 8. What is left: path, use, revocation, times, agency.
        let at = proven.map_or(self.at, |proof| proof.at);
        let found = self.holder(&certificate, &hash, &sources, at, judgement);
        let wrong_agency = seal_of.filter(|agency| *agency != self.sender).map(|agency| {
            let sender = if self.sender.is_empty() { "an agency that is not named" } else { self.sender };
            Fault::new(Reason::WrongAgency, format!("sealed by agency {agency}, sent by {sender}"))
        });
        first([found.err(), wrong_agency]).map_err(|mut fault| {
            // Why a timestamp did not help is worth saying where the time decided.
            let decided = matches!(
                fault.reason,
                Reason::CertificateRevoked | Reason::CertificateExpired | Reason::RevocationUnknown
            );
            if !decided {
                // Nothing that could be learnt changes it.
                judgement.missed.clear();
            }
            if let (true, None, Some(Err(why))) = (decided, proven, proofs.first()) {
                let text = format!(
                    "{}; its timestamp proves nothing ({}: {})",
                    fault.detail, why.reason, why.detail
                );
                fault = Fault::new(fault.reason, text);
            }
            fault
        })
    }

    /// The signer's certificate: RFC 5280 §6, a path to a root that is valid and not revoked at the time; and that it is
    /// one for documents.
    fn holder(
        &self,
        certificate: &Certificate<'_>,
        hash: &[u8; 32],
        sources: &Sources<'_>,
        at: Timestamp,
        judgement: &mut Judgement,
    ) -> Result<(), Fault> {
        let others: Vec<&[u8]> =
            sources.certificates().into_iter().filter(|der| *der != certificate.raw).collect();
        let paths = path::find(certificate, hash, &others, self.trust)?;
        certificate.for_documents()?;
        if self.trust.is_refused(hash) {
            let text = "the certificate is listed for another use than documents";
            return Err(Fault::new(Reason::WrongKeyUsage, text));
        }
        let mut worst: Option<Fault> = None;
        let (mut rest, mut missed) = (Vec::new(), Vec::new());
        for path in &*paths {
            let mut used = Vec::new();
            let time = path.check_time(certificate, at);
            let stands = sources.check_path(certificate, path, at, Rule::AtTime, &mut used);
            if time.is_ok() {
                missed.append(&mut sources.take_missed());
            } else {
                sources.take_missed();
            }
            let Err(fault) = first([time.err(), stands.err()]) else {
                judgement.evidence.append(&mut used);
                return Ok(());
            };
            if worst.as_ref().is_none_or(|w| fault.reason < w.reason) {
                (worst, rest) = (Some(fault), used);
            }
        }
        judgement.evidence.append(&mut rest);
        judgement.missed.append(&mut missed);
        worst.map_or(Ok(()), Err)
    }
}

/// Other forms that tools write, which are one step away from DER.
fn other_form(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [] => Some("the signature is empty"),
        [b'-', b'-', b'-', b'-', b'-', ..] => Some("the signature is in PEM, it must be in DER"),
        // The start of a long SEQUENCE in base64.
        [b'M', b'I', b'A' | b'I', ..] => Some("the signature is in base64, it must be in DER"),
        [b'M', b'I', b'M', b'E', ..] => Some("the signature is in S/MIME, it must be in DER"),
        _ => None,
    }
}

/// The fault first in rank; of the same rank, the first.
fn first<const N: usize>(faults: [Option<Fault>; N]) -> Result<(), Fault> {
    faults.into_iter().flatten().min_by_key(|fault| fault.reason).map_or(Ok(()), Err)
}
