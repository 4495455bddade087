//! Whose signature a CMS is, and whether its digests are the content's: what documents and timestamps share.

use super::algorithm::{AlgorithmId, Digest};
use super::certificate::Certificate;
use super::cms::{EssCertId, SignedData, SignerId};
use super::digest::{Digests, sha256};
use super::verdict::{Fault, Reason};

/// The certificate that the signer identifier names, and its SHA-256. Should several match, it is the one that `ess`,
/// the signing-certificate attribute, names. `others` are certificates that came beside the signature.
pub(crate) fn find<'a>(
    data: &SignedData<'a>,
    ess: Option<&EssCertId<'_>>,
    others: &[&'a [u8]],
) -> Result<(Certificate<'a>, [u8; 32]), Fault> {
    let mut first = None;
    for raw in data.certificates.iter().chain(others) {
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
        match ess {
            Some(ess) if names(ess, &certificate, &hash) != Ok(true) => {
                first.get_or_insert((certificate, hash));
            }
            _ => return Ok((certificate, hash)),
        }
    }
    first.ok_or_else(|| malformed("the signer's certificate is not in the signature"))
}

/// Whether the attribute names this certificate: by its hash, and by issuer and serial number where it has them.
pub(crate) fn names(
    ess: &EssCertId<'_>,
    certificate: &Certificate<'_>,
    hash: &[u8; 32],
) -> Result<bool, Fault> {
    let digest = match &ess.algorithm {
        Some(id) => digest_of(id)?,
        None => Digest::Sha256,
    };
    let same = match digest {
        Digest::Sha256 => ess.hash == hash,
        wide => ess.hash == wide.of_bytes(certificate.raw).as_ref(),
    };
    Ok(same && !names_other(ess, certificate))
}

/// The same for the attribute of RFC 2634 §5.4, whose hash is SHA-1. That is a name here and no proof: the signature
/// is checked with the key of the very certificate that is judged.
pub(crate) fn names_by_sha1(ess: &EssCertId<'_>, certificate: &Certificate<'_>) -> bool {
    let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, certificate.raw);
    ess.algorithm.is_none() && ess.hash == hash.as_ref() && !names_other(ess, certificate)
}

fn names_other(ess: &EssCertId<'_>, certificate: &Certificate<'_>) -> bool {
    ess.issuer_and_serial.is_some_and(|(issuer, serial)| {
        serial != certificate.serial || issuer.is_some_and(|name| name != certificate.issuer)
    })
}

/// The digest of an AlgorithmIdentifier without parameters.
pub(crate) fn digest_of(id: &AlgorithmId<'_>) -> Result<Digest, Fault> {
    let digest = Digest::of(id.oid)?;
    if !id.plain() {
        return Err(malformed(format!("digest {} with parameters", digest.as_str())));
    }
    Ok(digest)
}

/// Whether the content has the digest that was signed.
pub(crate) fn matches(digest: Digest, content: &Digests, signed: &[u8]) -> Result<(), Fault> {
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

pub(crate) fn malformed(detail: impl Into<String>) -> Fault {
    Fault::new(Reason::MalformedSignature, detail)
}

/// The certificates that a detached signature carries, each in DER; none where it cannot be read.
pub fn certificates_of(cms: &[u8]) -> Vec<Vec<u8>> {
    let Ok(cms) = super::asn1::definite(cms) else { return Vec::new() };
    let read = SignedData::parse(&cms).map(|data| data.certificates.iter().map(|der| der.to_vec()).collect());
    read.unwrap_or_default()
}
