//! Reading OCSP responses (RFC 6960 §4.2), as slices of the bytes received; nothing verified.
//!
//! Taken are an OCSPResponse as a responder sends it and a bare BasicOCSPResponse as CAdES keeps it. SHA-1 inside a
//! CertID names a certificate and proves nothing, so it is taken there (RFC 5019 §2.1.1), and nowhere else.

use crate::signature::algorithm::{AlgorithmId, Digest, SHA1, bit_string};
use crate::signature::asn1::{
    Asn1Error, ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, context, dotted,
    time,
};
use crate::signature::certificate::Certificate;
use crate::signature::digest::sha256;
use crate::signature::limits::{MAX_CERTIFICATES, MAX_OCSP_AGE_MS};
use crate::time::Timestamp;

use super::CrlReason;
use super::crl::extension;

/// 1.3.6.1.5.5.7.48.1.1, id-pkix-ocsp-basic.
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// 1.3.6.1.5.5.7.48.1.6, id-pkix-ocsp-archive-cutoff (RFC 6960 §4.4.4).
const ARCHIVE_CUTOFF: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x06];

/// Why bytes are no OCSP response that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OcspError {
    /// Its encoding is bad.
    #[error("not an OCSP response: {0}")]
    Malformed(String),
    /// The responder answers that it does not answer (RFC 6960 §4.2.1).
    #[error("the responder gave no answer: status {0}")]
    NoAnswer(u8),
    /// Another kind of response than the basic one, or a critical extension that is not known.
    #[error("not understood: {0}")]
    NotUnderstood(String),
}

impl From<Asn1Error> for OcspError {
    fn from(e: Asn1Error) -> Self {
        OcspError::Malformed(e.to_string())
    }
}

/// A BasicOCSPResponse.
#[derive(Debug)]
pub(crate) struct Ocsp<'a> {
    pub sha256: [u8; 32],
    pub tbs: &'a [u8],
    pub algorithm: AlgorithmId<'a>,
    pub signature: &'a [u8],
    pub responder: ResponderId<'a>,
    pub answers: Vec<Answer<'a>>,
    pub certificates: Vec<&'a [u8]>,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponderId<'a> {
    /// The subject's name with its header.
    Name(&'a [u8]),
    /// SHA-1 of the public key's bits.
    Key(&'a [u8]),
}

/// A SingleResponse.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    hash: AlgorithmId<'a>,
    issuer_name: &'a [u8],
    issuer_key: &'a [u8],
    pub serial: &'a [u8],
    pub status: Status,
    pub this_update: Timestamp,
    next_update: Option<Timestamp>,
    /// Certificates that expired since then are still known.
    pub archive_cutoff: Option<Timestamp>,
}

/// A CertStatus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Good,
    Revoked { since: Timestamp, reason: Option<CrlReason> },
    Unknown,
}

impl<'a> Ocsp<'a> {
    /// Reads an OCSPResponse, or a BasicOCSPResponse.
    pub fn read(bytes: &'a [u8]) -> Result<Self, OcspError> {
        const WHAT: &str = "an OCSP response";
        let mut file = Reader::new(bytes);
        let mut outer = file.enter(SEQUENCE, WHAT)?;
        file.end("the OCSP response")?;
        // §4.2.1: OCSPResponse.
        let Some(status) = outer.optional(ENUMERATED)? else { return Ocsp::basic(bytes, bytes) };
        match status.value {
            [0] => {}
            [other] => return Err(OcspError::NoAnswer(*other)),
            _ => return Err(Asn1Error::Value("an OCSP response's status").into()),
        }
        let mut wrapped = outer.enter(context(0), WHAT)?.enter(SEQUENCE, WHAT)?;
        let kind = wrapped.expect(OID, WHAT)?.value;
        if kind != BASIC {
            return Err(OcspError::NotUnderstood(format!("response type {}", dotted(kind))));
        }
        Ocsp::basic(bytes, wrapped.expect(OCTET_STRING, WHAT)?.value)
    }

    /// §4.2.1: BasicOCSPResponse and ResponseData.
    fn basic(whole: &[u8], bytes: &'a [u8]) -> Result<Self, OcspError> {
        const WHAT: &str = "a basic OCSP response";
        let mut file = Reader::new(bytes);
        let mut outer = file.enter(SEQUENCE, WHAT)?;
        file.end("the basic OCSP response")?;
        let tbs = outer.expect(SEQUENCE, WHAT)?;
        let algorithm = AlgorithmId::read(&mut outer, "an OCSP response's algorithm")?;
        let signature = bit_string(&mut outer, "an OCSP response's signature")?;
        let mut certificates = Vec::new();
        if let Some(explicit) = outer.optional(context(0))? {
            let mut all = Reader::new(explicit.value).enter(SEQUENCE, "an OCSP response's certificates")?;
            while certificates.len() < MAX_CERTIFICATES
                && let Ok(certificate) = all.any()
            {
                certificates.push(certificate.raw);
            }
        }
        let mut data = Reader::new(tbs.value);
        data.optional(context(0))?;
        let responder = data.any()?;
        let mut inside = Reader::new(responder.value);
        let responder = match responder.tag {
            0xa1 => ResponderId::Name(inside.expect(SEQUENCE, "a responder's name")?.raw),
            0xa2 => ResponderId::Key(inside.expect(OCTET_STRING, "a responder's key")?.value),
            found => return Err(Asn1Error::Unexpected { what: "a responder", found }.into()),
        };
        time(data.expect(GENERALIZED_TIME, "producedAt")?)?;
        let (mut list, mut answers) = (data.enter(SEQUENCE, "answers")?, Vec::new());
        while !list.is_empty() {
            answers.push(Answer::read(list.enter(SEQUENCE, "an answer")?)?);
        }
        if let Some(explicit) = data.optional(context(1))? {
            no_critical(Reader::new(explicit.value), |_, _| Ok(false))?;
        }
        Ok(Ocsp {
            sha256: sha256(whole),
            tbs: tbs.raw,
            algorithm,
            signature,
            responder,
            answers,
            certificates,
        })
    }
}

impl<'a> Answer<'a> {
    fn read(mut answer: Reader<'a>) -> Result<Self, OcspError> {
        const WHAT: &str = "an answer";
        let mut id = answer.enter(SEQUENCE, "a CertID")?;
        let hash = AlgorithmId::read(&mut id, "a CertID")?;
        let issuer_name = id.expect(OCTET_STRING, "a CertID")?.value;
        let issuer_key = id.expect(OCTET_STRING, "a CertID")?.value;
        let serial = id.expect(INTEGER, "a CertID")?.value;
        let status = answer.any()?;
        let status = match status.tag {
            0x80 => Status::Good,
            0xa1 => {
                let mut revoked = Reader::new(status.value);
                let since = time(revoked.expect(GENERALIZED_TIME, "a time of revocation")?)?;
                let reason = match revoked.optional(context(0))? {
                    Some(r) => {
                        Some(CrlReason::read(Reader::new(r.value).expect(ENUMERATED, "a reason")?.value)?)
                    }
                    None => None,
                };
                Status::Revoked { since, reason }
            }
            0x82 => Status::Unknown,
            found => return Err(Asn1Error::Unexpected { what: "a status", found }.into()),
        };
        let this_update = time(answer.expect(GENERALIZED_TIME, "thisUpdate")?)?;
        let next_update = match answer.optional(context(0))? {
            Some(next) => Some(time(Reader::new(next.value).expect(GENERALIZED_TIME, "nextUpdate")?)?),
            None => None,
        };
        let mut archive_cutoff = None;
        if let Some(explicit) = answer.optional(context(1))? {
            no_critical(Reader::new(explicit.value), |oid, mut value| {
                if oid == ARCHIVE_CUTOFF {
                    archive_cutoff = Some(time(value.any()?)?);
                }
                Ok(oid == ARCHIVE_CUTOFF)
            })?;
        }
        answer.end(WHAT)?;
        Ok(Answer { hash, issuer_name, issuer_key, serial, status, this_update, next_update, archive_cutoff })
    }

    /// The last time that it speaks for.
    pub fn until(&self) -> Timestamp {
        self.next_update.unwrap_or(self.this_update.plus_millis(MAX_OCSP_AGE_MS))
    }

    /// Whether it speaks of this certificate of this issuer (RFC 6960 §4.1.1).
    pub fn is_about(&self, certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> bool {
        if self.serial != certificate.serial {
            return false;
        }
        let same = |bytes: &[u8], hash: &[u8]| match self.hash.oid {
            SHA1 => hash == sha1(bytes),
            oid => Digest::of(oid).is_ok_and(|digest| hash == digest.of_bytes(bytes).as_ref()),
        };
        // The hash is over the issuer's name as the certificate has it; some take it from the issuer's own.
        (same(certificate.issuer, self.issuer_name) || same(issuer.subject, self.issuer_name))
            && same(issuer.key.bits(), self.issuer_key)
    }
}

impl ResponderId<'_> {
    /// Whether this certificate's holder is meant (RFC 6960 §4.2.2.3).
    pub fn is(&self, certificate: &Certificate<'_>) -> bool {
        match self {
            ResponderId::Name(name) => *name == certificate.subject,
            ResponderId::Key(hash) => *hash == sha1(certificate.key.bits()),
        }
    }
}

/// SHA-1, as a name only.
pub(super) fn sha1(bytes: &[u8]) -> [u8; 20] {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    digest.as_ref().try_into().expect("SHA-1 has 20 bytes")
}

/// Reads extensions; one that is critical must be known.
fn no_critical<'a>(
    mut field: Reader<'a>,
    mut known: impl FnMut(&'a [u8], Reader<'a>) -> Result<bool, Asn1Error>,
) -> Result<(), OcspError> {
    const WHAT: &str = "an OCSP response's extension";
    let mut all = field.enter(SEQUENCE, WHAT)?;
    while !all.is_empty() {
        let (oid, critical, value) = extension(&mut all, WHAT)?;
        if !known(oid, value)? && critical {
            return Err(OcspError::NotUnderstood(format!("critical extension {}", dotted(oid))));
        }
    }
    Ok(())
}
