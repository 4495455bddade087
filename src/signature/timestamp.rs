//! Timestamps (RFC 3161, RFC 5816): whether a token proves that something existed, and since when.
//!
//! A token is a CMS signature by an authority over a TSTInfo, which names the digest of what is stamped and a time. It
//! proves that time if the digest is right and the authority's certificate is one for timestamps, trusted by the same
//! roots as documents, valid and not revoked at that time, and not revoked since for a reason that lets its tokens be
//! forged. A token that proves nothing spoils nothing: the signature is judged as without it.
//!
//! Both ESSCertID (RFC 3161 §2.4.2, by SHA-1) and ESSCertIDv2 (RFC 5816) may name the authority's certificate, which
//! must be at hand.

use crate::time::Timestamp;

use super::algorithm::{AlgorithmId, Digest, Verifier};
use super::asn1::{
    Asn1Error, BOOLEAN, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, dotted, time,
};
use super::cms::{EssCertId, ID_TST_INFO, SignedData};
use super::digest::sha256;
use super::path;
use super::revocation::{Rule, Sources};
use super::signer::{self, digest_of, malformed};
use super::trust::Trust;
use super::verdict::{Fault, Reason};

/// A time that is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// What was stamped existed by then.
    pub at: Timestamp,
    /// SHA-256 of the token and of the revocation data that was used.
    pub evidence: Vec<[u8; 32]>,
}

/// A TSTInfo (RFC 3161 §2.4.2); what is not read here is of no consequence.
#[derive(Debug)]
struct TstInfo<'a> {
    digest: AlgorithmId<'a>,
    imprint: &'a [u8],
    nonce: Option<&'a [u8]>,
    at: Timestamp,
}

impl<'a> TstInfo<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Asn1Error> {
        const WHAT: &str = "a TSTInfo";
        let mut file = Reader::ber(bytes);
        let mut info = file.enter(SEQUENCE, WHAT)?;
        file.end("the TSTInfo")?;
        if info.expect(INTEGER, "a TSTInfo's version")?.value != [1] {
            return Err(Asn1Error::Value("a TSTInfo's version"));
        }
        info.expect(OID, "a TSTInfo's policy")?;
        let mut stamped = info.enter(SEQUENCE, "a message imprint")?;
        let digest = AlgorithmId::read(&mut stamped, "a message imprint")?;
        let imprint = stamped.expect(OCTET_STRING, "a message imprint")?.value;
        stamped.end("the message imprint")?;
        info.expect(INTEGER, "a TSTInfo's serial number")?;
        let at = time(info.expect(GENERALIZED_TIME, "a TSTInfo's time")?)?;
        // accuracy, ordering, nonce, tsa, extensions: an extension that is critical is not known here.
        info.optional(SEQUENCE)?;
        info.optional(BOOLEAN)?;
        let nonce = info.optional(INTEGER)?.map(|nonce| nonce.value);
        info.optional(0xa0)?;
        if let Some(extensions) = info.optional(0xa1)? {
            let mut all = Reader::ber(extensions.value);
            while !all.is_empty() {
                let mut extension = all.enter(SEQUENCE, WHAT)?;
                extension.expect(OID, WHAT)?;
                if extension.optional(BOOLEAN)?.is_some_and(|critical| critical.value != [0]) {
                    return Err(Asn1Error::Value("a critical extension of a TSTInfo"));
                }
            }
        }
        info.end(WHAT)?;
        Ok(TstInfo { digest, imprint, nonce, at })
    }
}

/// What a token says it is of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamped<'a> {
    /// A digest, by whichever algorithm.
    pub imprint: &'a [u8],
    /// What the request had, which only its sender knew.
    pub nonce: Option<&'a [u8]>,
}

fn content<'a>(data: &SignedData<'a>) -> Result<TstInfo<'a>, Asn1Error> {
    TstInfo::read(data.content.ok_or(Asn1Error::Value("a timestamp without its content"))?)
}

/// What a token, read already, is of.
pub(crate) fn stamped<'a>(data: &SignedData<'a>) -> Result<Stamped<'a>, Asn1Error> {
    let info = content(data)?;
    Ok(Stamped { imprint: info.imprint, nonce: info.nonce })
}

/// The time that a token claims.
pub(crate) fn claimed(data: &SignedData<'_>) -> Result<Timestamp, Asn1Error> {
    Ok(content(data)?.at)
}

/// Judges a token, read already: what it proves of that whose digest `stamped` gives. `judged_at` is the time of
/// judging: a token from later than that proves nothing yet.
pub(crate) fn prove(
    token: &[u8],
    data: &SignedData<'_>,
    stamped: &dyn Fn(Digest) -> Option<Vec<u8>>,
    trust: &Trust,
    sources: &Sources<'_>,
    judged_at: Timestamp,
) -> Result<Proof, Fault> {
    // 1. RFC 3161 §2.4.2: a TSTInfo inside, and signed as one.
    let (info, attributes) = (&data.signer, &data.signer.attributes);
    if data.content_type != ID_TST_INFO || attributes.content_type != ID_TST_INFO {
        let found = dotted(data.content_type);
        return Err(malformed(format!("content type {found} where a timestamp's should be")));
    }
    let content = data.content.ok_or_else(|| malformed("a timestamp without its content"))?;
    let tst = TstInfo::read(content).map_err(|e| malformed(e.to_string()))?;

    // 2. It is of that.
    let digest = digest_of(&tst.digest)?;
    if stamped(digest).as_deref() != Some(tst.imprint) {
        return Err(Fault::new(Reason::DigestMismatch, "the timestamp is of something else"));
    }

    // 3. The authority's certificate, by the attribute that binds it (RFC 5816 §2.2.1).
    let beside = sources.certificates();
    let new = attributes.signing_certificate.as_ref();
    let old = match attributes.old_signing_certificate {
        Some(value) => Some(EssCertId::read(Reader::new(value)).map_err(|e| malformed(e.to_string()))?),
        None => None,
    };
    let (authority, hash) = signer::find(data, new, &beside)?;
    let bound = match (new, &old) {
        (None, None) => return Err(malformed("a timestamp without signing-certificate")),
        (new, old) => {
            new.is_none_or(|ess| signer::names(ess, &authority, &hash) == Ok(true))
                && old.as_ref().is_none_or(|ess| signer::names_by_sha1(ess, &authority))
        }
    };
    if !bound {
        return Err(malformed("the timestamp's signing-certificate names another certificate"));
    }

    // 4. RFC 5652 §5.4, §5.6: the signature over the attributes, and their digest of the TSTInfo.
    let digest = digest_of(&info.digest)?;
    if attributes.message_digest != digest.of_bytes(content).as_ref() {
        return Err(Fault::new(Reason::DigestMismatch, "the timestamp's content was changed"));
    }
    let verifier = Verifier::new(&info.algorithm, Some(digest), &authority.key)?;
    if !verifier.verify(&attributes.signed_bytes(), info.signature) {
        return Err(Fault::new(Reason::DigestMismatch, "the timestamp's signature does not verify"));
    }

    // 5. RFC 3161 §2.3 and appendix B: trusted, for this, and at that time.
    authority.for_timestamps()?;
    if tst.at > judged_at {
        let text = format!("the timestamp is of {}, judged at {judged_at}", tst.at);
        return Err(Fault::new(Reason::CertificateNotYetValid, text));
    }
    let others: Vec<&[u8]> = beside.into_iter().filter(|der| *der != authority.raw).collect();
    let mut fault = None;
    for path in &*path::find(&authority, &hash, &others, trust)? {
        let mut evidence = vec![sha256(token)];
        let found = path
            .check_time(&authority, tst.at)
            .and_then(|()| sources.check_path(&authority, path, tst.at, Rule::Timestamps, &mut evidence));
        match found {
            Ok(()) => return Ok(Proof { at: tst.at, evidence }),
            Err(e) => fault = fault.filter(|f: &Fault| f.reason <= e.reason).or(Some(e)),
        }
    }
    Err(fault.unwrap_or_else(|| Fault::new(Reason::UntrustedIssuer, "no path")))
}
