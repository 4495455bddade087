//! Verdicts on detached CAdES signatures (RFC 5652 §5.4 and §5.6, EN 319 122-1 §5).
//!
//! The checks run in the rank of their reasons, so that the first that fails gives the reason; those after it that
//! cannot outrank it are left out, and so is their cost. Signed attributes are required, and among them the
//! signer's certificate by its hash (signing-certificate-v2): a signature without them could be one over bytes that
//! look like attributes, or change its certificate unseen.

use crate::time::Timestamp;

use super::algorithm::{AlgorithmId, Digest, Verifier};
use super::asn1::{definite, dotted};
use super::certificate::Certificate;
use super::cms::{EssCertId, ID_DATA, SignedData, SignerId};
use super::digest::{DigestNeeds, Digests, sha256};
use super::path;
use super::trust::Trust;
use super::verdict::{Fault, Judgement, Reason, Role, Verdict, Verdicts};

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
    Verdicts::of(signatures.iter().map(|s| judge_one(s.as_ref(), content, sender, trust, at)).collect())
}

fn judge_one(bytes: &[u8], content: &Digests, sender: &str, trust: &Trust, at: Timestamp) -> Judgement {
    let mut judgement = Judgement {
        role: Role::Person,
        verdict: Verdict::Valid,
        reason: None,
        detail: String::new(),
        signer: String::new(),
        certificate_sha256: None,
        claimed_at: None,
        proven_at: None,
        algorithm: String::new(),
    };
    if let Err(fault) = examine(bytes, content, sender, trust, at, &mut judgement) {
        judgement.verdict = fault.reason.verdict();
        judgement.reason = Some(fault.reason);
        judgement.detail = fault.detail;
    }
    judgement
}

/// The checks in order; what is learnt on the way is kept in `judgement` even when a later check fails.
fn examine(
    bytes: &[u8],
    content: &Digests,
    sender: &str,
    trust: &Trust,
    at: Timestamp,
    judgement: &mut Judgement,
) -> Result<(), Fault> {
    // 1. The structure (RFC 5652 §3, §5.1, §5.3).
    let bytes = definite(bytes).map_err(|e| malformed(format!("bad BER: {e}")))?;
    let data = SignedData::parse(&bytes).map_err(|e| malformed(e.to_string()))?;
    let (signer, attributes) = (&data.signer, &data.signer.attributes);
    judgement.claimed_at = attributes.signing_time;
    judgement.algorithm = dotted(signer.algorithm.oid);

    // 2. Whose it is, so that even a bad signature has its role.
    let (certificate, hash) = find_signer(&data)?;
    judgement.signer = certificate.subject_text();
    judgement.certificate_sha256 = Some(hash);
    let seal_of = trust.seal_of(&hash);
    if seal_of.is_some() {
        judgement.role = Role::Agency;
    }

    // 3. Detached, over data (RFC 5652 §5.2; the attribute must name the same type, §11.1).
    if data.attached {
        return Err(malformed("the content is inside the signature, which must be detached"));
    }
    if data.content_type != ID_DATA {
        return Err(malformed(format!("content type {} where data should be", dotted(data.content_type))));
    }
    if attributes.content_type != data.content_type {
        let found = dotted(attributes.content_type);
        return Err(malformed(format!("attribute content-type {found} differs from the content's type")));
    }

    // 4. The attribute that binds the signer's certificate (RFC 5035 §3, EN 319 122-1 §5.2.2).
    let Some(ess) = &attributes.signing_certificate else {
        return Err(malformed(match attributes.has_old_signing_certificate {
            true => "attribute signing-certificate has SHA-1; signing-certificate-v2 is demanded",
            false => "signed attribute signing-certificate-v2 is missing",
        }));
    };
    let bound = names(ess, &certificate, &hash);
    if let Ok(false) = bound {
        return Err(malformed(
            "attribute signing-certificate-v2 names another certificate than the signer's",
        ));
    }

    // 5. RFC 5652 §5.4: the digest of the content, against the attribute.
    let digest = digest_of(&signer.digest);
    let mut intact = digest.as_ref().map_or(Ok(()), |d| matches(*d, content, attributes.message_digest));

    // 6. RFC 5652 §5.6: the signature over the DER of the signed attributes. That it does not verify means that the
    // attributes are not those signed, or not with this key: the digest inside the signature differs.
    let verifier = Verifier::new(&signer.algorithm, digest.as_ref().ok().copied(), &certificate.key);
    if let Ok(verifier) = &verifier {
        judgement.algorithm.clone_from(&verifier.name);
        if intact.is_ok() && !verifier.verify(&attributes.signed_bytes(), signer.signature) {
            let text = "the signature value does not verify over the signed attributes with the signer's key";
            intact = Err(Fault::new(Reason::DigestMismatch, text));
        }
    }
    let faults = [bound.err(), digest.err(), verifier.err(), intact.err()];
    if let Some(first) = faults.into_iter().flatten().min_by_key(|fault| fault.reason) {
        return Err(first);
    }

    // 7. RFC 5280 §6: a path to a root. Trust and usage outrank times, so a path out of its time waits.
    let extra: Vec<&[u8]> = data.certificates.iter().copied().filter(|c| *c != certificate.raw).collect();
    let path = path::validate(&certificate, &hash, &extra, trust, at);
    let late = match path {
        Err(fault) if fault.reason < Reason::WrongKeyUsage => return Err(fault),
        late => late,
    };

    // 8. The certificate is one for documents.
    certificate.for_documents()?;
    if trust.is_refused(&hash) {
        return Err(Fault::new(
            Reason::WrongKeyUsage,
            "the certificate is listed for another use than documents",
        ));
    }
    late?;

    // 9. A seal is the sender's own.
    match seal_of {
        Some(agency) if agency != sender => {
            Err(Fault::new(Reason::WrongAgency, format!("sealed by agency {agency}, sent by {sender}")))
        }
        _ => Ok(()),
    }
}

fn malformed(detail: impl Into<String>) -> Fault {
    Fault::new(Reason::MalformedSignature, detail)
}

/// Whether the content has the digest that was signed.
fn matches(digest: Digest, content: &Digests, signed: &[u8]) -> Result<(), Fault> {
    let found: Option<&[u8]> = match digest {
        Digest::Sha256 => Some(&content.sha256),
        Digest::Sha384 => content.sha384.as_ref().map(|d| &d[..]),
        Digest::Sha512 => content.sha512.as_ref().map(|d| &d[..]),
    };
    match found {
        Some(found) if found == signed => Ok(()),
        Some(found) => {
            let (found, signed) = (hex::encode(found), hex::encode(signed));
            let text = format!("{} of the content is {found}, signed was {signed}", digest.as_str());
            Err(Fault::new(Reason::DigestMismatch, text))
        }
        None => {
            let text = format!("the content was not hashed with {}", digest.as_str());
            Err(Fault::new(Reason::UnsupportedAlgorithm, text))
        }
    }
}

fn digest_of(id: &AlgorithmId<'_>) -> Result<Digest, Fault> {
    let digest = Digest::of(id.oid)?;
    if !id.plain() {
        return Err(malformed(format!("digest {} with parameters", digest.as_str())));
    }
    Ok(digest)
}

/// The certificate that the signer identifier names, and its SHA-256. Should several match, it is the one that the
/// signing-certificate attribute names.
fn find_signer<'a>(data: &SignedData<'a>) -> Result<(Certificate<'a>, [u8; 32]), Fault> {
    let mut first = None;
    for raw in &data.certificates {
        let Ok(certificate) = Certificate::read(raw) else { continue };
        let named = match data.signer.id {
            SignerId::IssuerAndSerial { issuer, serial } => {
                certificate.issuer == issuer && certificate.serial == serial
            }
            SignerId::KeyId(id) => certificate.key_id == Some(id),
        };
        if !named {
            continue;
        }
        let hash = sha256(raw);
        match &data.signer.attributes.signing_certificate {
            Some(ess) if names(ess, &certificate, &hash) != Ok(true) => {
                first.get_or_insert((certificate, hash));
            }
            _ => return Ok((certificate, hash)),
        }
    }
    first.ok_or_else(|| malformed("the signer's certificate is not in the signature"))
}

/// Whether the attribute names this certificate: by its hash, and by issuer and serial number where it has them.
fn names(ess: &EssCertId<'_>, certificate: &Certificate<'_>, hash: &[u8; 32]) -> Result<bool, Fault> {
    let digest = match &ess.algorithm {
        Some(id) => digest_of(id)?,
        None => Digest::Sha256,
    };
    let same = match digest {
        Digest::Sha256 => ess.hash == hash,
        wide => ess.hash == wide.of_bytes(certificate.raw).as_ref(),
    };
    let other = ess.issuer_and_serial.is_some_and(|(issuer, serial)| {
        serial != certificate.serial || issuer.is_some_and(|name| name != certificate.issuer)
    });
    Ok(same && !other)
}
