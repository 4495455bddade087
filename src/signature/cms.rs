//! The structure of a CMS signature (RFC 5652 §3 and §5), as slices of the bytes received; nothing verified.
//!
//! Read: one ContentInfo of type signed-data and nothing after it, with exactly one SignerInfo and signed attributes
//! in DER (order included), none twice. The wrapping may have lengths in more octets than DER's. Certificates are
//! taken as they are; attribute certificates and other formats are passed over; revocation data and unsigned
//! attributes are handed on unread, for an odd one is no fault of the signature. Not here: whether any of it is true
//! ([`super::judge`]).

use crate::time::Timestamp;

use super::algorithm::AlgorithmId;
use super::asn1::{
    Asn1Error, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, context, dotted, set_of_order, time, tlv,
};
use super::limits::{MAX_ATTRIBUTES, MAX_CERTIFICATES};

/// 1.2.840.113549.1: PKCS, under which the identifiers of RFC 5652 and RFC 5035 are.
macro_rules! pkcs {
    ($($arc:literal),*) => { &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, $($arc),*] };
}

pub(crate) const ID_DATA: &[u8] = pkcs!(7, 1);
pub(crate) const ID_SIGNED_DATA: &[u8] = pkcs!(7, 2);
pub(crate) const CONTENT_TYPE: &[u8] = pkcs!(9, 3);
pub(crate) const MESSAGE_DIGEST: &[u8] = pkcs!(9, 4);
pub(crate) const SIGNING_TIME: &[u8] = pkcs!(9, 5);
pub(crate) const SIGNING_CERTIFICATE: &[u8] = pkcs!(9, 16, 2, 12);
/// RFC 3161 appendix A: a timestamp over the signature value.
pub(crate) const SIGNATURE_TIMESTAMP: &[u8] = pkcs!(9, 16, 2, 14);
/// id-ct-TSTInfo (RFC 3161 §2.4.2).
pub(crate) const ID_TST_INFO: &[u8] = pkcs!(9, 16, 1, 4);
/// id-aa-ets-revocationValues (RFC 5126 §6.3.4).
pub(crate) const REVOCATION_VALUES: &[u8] = pkcs!(9, 16, 2, 24);
/// 1.2.840.113583.1.1.8, Adobe's RevocationInfoArchival (ISO 32000-2 §12.8.3.3.2), a signed attribute.
const ADOBE_REVOCATION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x2f, 0x01, 0x01, 0x08];
pub(crate) const SIGNING_CERTIFICATE_V2: &[u8] = pkcs!(9, 16, 2, 47);

/// Why a file is no CMS signature of the kind read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CmsError {
    #[error("bad DER: {0}")]
    Asn1(#[from] Asn1Error),
    #[error("content type {0}, not signed-data")]
    NotSignedData(String),
    #[error("{0} signers where there must be one")]
    Signers(usize),
    #[error("more than {MAX_CERTIFICATES} certificates")]
    Certificates,
    #[error("version {found} of a SignerInfo whose signer identifier takes {expected}")]
    Version { found: String, expected: u8 },
    #[error("no signed attributes")]
    NoSignedAttributes,
    #[error("more than {MAX_ATTRIBUTES} signed attributes")]
    Attributes,
    #[error("signed attributes are not in DER order")]
    Order,
    #[error("signed attribute {0} is given twice")]
    Duplicate(String),
    #[error("signed attribute {0} has not exactly one value")]
    NotSingle(&'static str),
    #[error("signed attribute {0} is missing")]
    MissingAttribute(&'static str),
    #[error("the signer's digest algorithm is not in the list of digest algorithms")]
    DigestNotListed,
}

/// A SignedData (RFC 5652 §5.1).
#[derive(Debug)]
pub(crate) struct SignedData<'a> {
    /// eContentType.
    pub content_type: &'a [u8],
    /// eContent, if it is present.
    pub content: Option<&'a [u8]>,
    /// The certificates as received.
    pub certificates: Vec<&'a [u8]>,
    /// The contents of the field `crls` (RFC 5652 §10.2.1): CRLs, and other revocation data behind a tag [1].
    pub revocation: &'a [u8],
    /// The one signer.
    pub signer: SignerInfo<'a>,
}

/// Which certificate is the signer's (RFC 5652 §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignerId<'a> {
    IssuerAndSerial { issuer: &'a [u8], serial: &'a [u8] },
    KeyId(&'a [u8]),
}

/// A SignerInfo (RFC 5652 §5.3).
#[derive(Debug)]
pub(crate) struct SignerInfo<'a> {
    pub id: SignerId<'a>,
    pub digest: AlgorithmId<'a>,
    pub attributes: Attributes<'a>,
    pub algorithm: AlgorithmId<'a>,
    pub signature: &'a [u8],
    /// The unsigned attributes, one after the other.
    unsigned: &'a [u8],
}

/// The signed attributes that are looked at.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    /// All of them as received, one after the other.
    raw: &'a [u8],
    /// RFC 5652 §11.1.
    pub content_type: &'a [u8],
    /// RFC 5652 §11.2.
    pub message_digest: &'a [u8],
    /// RFC 5652 §11.3; none when absent or when no time can be read from it, for it is a claim only.
    pub signing_time: Option<Timestamp>,
    /// RFC 5035 §3; none when absent.
    pub signing_certificate: Option<EssCertId<'a>>,
    /// The value of the SHA-1 form of RFC 2634 §5.4; none when absent.
    pub old_signing_certificate: Option<&'a [u8]>,
    /// Adobe's revocation data (ISO 32000-2 §12.8.3.3.2), unread.
    pub adobe_revocation: Option<&'a [u8]>,
}

/// The first ESSCertIDv2, which names the signer's certificate (RFC 5035 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EssCertId<'a> {
    /// None: the default, SHA-256.
    pub algorithm: Option<AlgorithmId<'a>>,
    pub hash: &'a [u8],
    /// The issuer's name with its header, if it is one directory name, and the serial number.
    pub issuer_and_serial: Option<(Option<&'a [u8]>, &'a [u8])>,
}

impl<'a> SignedData<'a> {
    /// Reads a whole file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CmsError> {
        // RFC 5652 §3: ContentInfo, and nothing after it.
        let mut file = Reader::ber(bytes);
        let mut info = file.enter(SEQUENCE, "a ContentInfo")?;
        file.end("the ContentInfo")?;
        let kind = info.expect(OID, "a content type")?.value;
        if kind != ID_SIGNED_DATA {
            return Err(CmsError::NotSignedData(dotted(kind)));
        }
        let mut explicit = info.enter(context(0), "a content")?;
        info.end("the content")?;
        let mut data = explicit.enter(SEQUENCE, "a SignedData")?;
        explicit.end("the SignedData")?;

        // RFC 5652 §5.1. The version follows from what else is there and protects nothing; 1 to 5 exist, and
        // signers in use get it wrong.
        match data.expect(INTEGER, "a version")?.value {
            [1..=5] => {}
            _ => return Err(Asn1Error::Value("a version").into()),
        }
        let mut digests = data.enter(SET, "digest algorithms")?;
        let mut encapsulated = data.enter(SEQUENCE, "an encapsulated content")?;
        let content_type = encapsulated.expect(OID, "an encapsulated content type")?.value;
        let content = match encapsulated.optional(context(0))? {
            Some(explicit) => {
                let mut explicit = Reader::ber(explicit.value);
                let content = explicit.expect(OCTET_STRING, "an encapsulated content")?.value;
                explicit.end("the encapsulated content")?;
                Some(content)
            }
            None => None,
        };
        encapsulated.end("the encapsulated content")?;
        let certificates = match data.optional(context(0))? {
            Some(set) => certificates(Reader::ber(set.value))?,
            None => Vec::new(),
        };
        let revocation = data.optional(context(1))?.map_or(&[][..], |set| set.value);
        let mut signers = data.enter(SET, "signer infos")?;
        data.end("the signer infos")?;
        let signer = signers.any().ok().map(|first| first.raw).ok_or(CmsError::Signers(0))?;
        if !signers.is_empty() {
            let mut count = 1;
            while signers.any().is_ok() {
                count += 1;
            }
            return Err(CmsError::Signers(count));
        }
        let signer = SignerInfo::read(Reader::ber(signer))?;

        // RFC 5652 §5.1 lets a verifier refuse a digest that the list does not announce.
        let mut listed = false;
        while !digests.is_empty() {
            let id = AlgorithmId::read(&mut digests, "a digest algorithm")?;
            listed |= id.oid == signer.digest.oid && id.plain();
        }
        if !listed {
            return Err(CmsError::DigestNotListed);
        }
        Ok(SignedData { content_type, content, certificates, revocation, signer })
    }
}

/// RFC 5652 §10.2.3: the plain certificates of a CertificateSet; the tagged choices are passed over.
fn certificates(mut set: Reader<'_>) -> Result<Vec<&[u8]>, CmsError> {
    let mut found = Vec::with_capacity(4);
    while !set.is_empty() {
        let choice = set.any()?;
        if choice.tag == SEQUENCE {
            if found.len() == MAX_CERTIFICATES {
                return Err(CmsError::Certificates);
            }
            found.push(choice.raw);
        }
    }
    Ok(found)
}

impl<'a> SignerInfo<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, CmsError> {
        let mut info = reader.enter(SEQUENCE, "a SignerInfo")?;
        let version = info.expect(INTEGER, "a SignerInfo's version")?.value;
        let choice = info.any()?;
        let (id, expected) = match choice.tag {
            SEQUENCE => {
                let mut both = Reader::ber(choice.value);
                let issuer = both.expect(SEQUENCE, "a signer's issuer")?.raw;
                let serial = both.expect(INTEGER, "a signer's serial number")?.value;
                both.end("the signer identifier")?;
                (SignerId::IssuerAndSerial { issuer, serial }, 1)
            }
            0x80 => (SignerId::KeyId(choice.value), 3),
            found => return Err(Asn1Error::Unexpected { what: "a signer identifier", found }.into()),
        };
        if version != [expected] {
            return Err(CmsError::Version { found: hex::encode(version), expected });
        }
        let digest = AlgorithmId::read(&mut info, "a digest algorithm")?;
        let attributes = info.optional(context(0))?.ok_or(CmsError::NoSignedAttributes)?;
        let attributes = Attributes::read(attributes.value)?;
        let algorithm = AlgorithmId::read(&mut info, "a signature algorithm")?;
        let signature = info.expect(OCTET_STRING, "a signature value")?.value;
        let unsigned = info.optional(context(1))?.map_or(&[][..], |set| set.value);
        info.end("the SignerInfo")?;
        Ok(SignerInfo { id, digest, attributes, algorithm, signature, unsigned })
    }

    /// The values of the unsigned attributes of one type. They prove nothing by themselves and may be in any order
    /// and number (RFC 5652 §5.3); what cannot be read ends the list.
    pub fn unsigned(&self, kind: &[u8]) -> Vec<&'a [u8]> {
        let (mut found, mut all) = (Vec::new(), Reader::ber(self.unsigned));
        for _ in 0..MAX_ATTRIBUTES {
            let Ok(mut attribute) = all.enter(SEQUENCE, "an unsigned attribute") else { break };
            let mine = attribute.expect(OID, "an attribute's type").is_ok_and(|t| t.value == kind);
            let Ok(mut values) = attribute.enter(SET, "an attribute's values") else { continue };
            while mine
                && found.len() < MAX_ATTRIBUTES
                && let Ok(value) = values.any()
            {
                found.push(value.raw);
            }
        }
        found
    }
}

impl<'a> Attributes<'a> {
    fn read(raw: &'a [u8]) -> Result<Self, CmsError> {
        let mut set = Reader::new(raw);
        let mut seen: Vec<&[u8]> = Vec::with_capacity(8);
        let mut last: &[u8] = &[];
        let (mut content_type, mut message_digest) = (None, None);
        let (mut signing_time, mut signing_certificate, mut old, mut adobe) = (None, None, None, None);
        while !set.is_empty() {
            // RFC 5652 §5.3: SignedAttributes MUST be DER encoded, so the SET OF is in order.
            let element = set.expect(SEQUENCE, "a signed attribute")?;
            if set_of_order(last, element.raw).is_gt() {
                return Err(CmsError::Order);
            }
            last = element.raw;
            let mut attribute = Reader::new(element.value);
            let kind = attribute.expect(OID, "a signed attribute's type")?.value;
            let values = attribute.enter(SET, "a signed attribute's values")?;
            attribute.end("a signed attribute")?;
            // RFC 5652 §5.3: no two attributes of the same type.
            if seen.contains(&kind) {
                return Err(CmsError::Duplicate(dotted(kind)));
            }
            if seen.len() == MAX_ATTRIBUTES {
                return Err(CmsError::Attributes);
            }
            seen.push(kind);
            match kind {
                CONTENT_TYPE => {
                    let mut one = single(values, "content-type")?;
                    content_type = Some(one.expect(OID, "a content type")?.value);
                }
                MESSAGE_DIGEST => {
                    let mut one = single(values, "message-digest")?;
                    message_digest = Some(one.expect(OCTET_STRING, "a message digest")?.value);
                }
                SIGNING_TIME => {
                    signing_time = single(values, "signing-time")?.any().ok().and_then(|t| time(t).ok());
                }
                SIGNING_CERTIFICATE_V2 => {
                    signing_certificate = Some(EssCertId::read(single(values, "signing-certificate-v2")?)?);
                }
                SIGNING_CERTIFICATE => old = Some(single(values, "signing-certificate")?.rest()),
                ADOBE_REVOCATION => adobe = Some(values.rest()),
                _ => {}
            }
        }
        Ok(Attributes {
            raw,
            content_type: content_type.ok_or(CmsError::MissingAttribute("content-type"))?,
            message_digest: message_digest.ok_or(CmsError::MissingAttribute("message-digest"))?,
            signing_time,
            signing_certificate,
            old_signing_certificate: old,
            adobe_revocation: adobe,
        })
    }

    /// RFC 5652 §5.4: what is signed is the same bytes under the tag of a SET OF in place of the implicit one.
    pub fn signed_bytes(&self) -> Vec<u8> {
        tlv(SET, &[self.raw])
    }
}

/// The reader of an attribute's values, of which there is exactly one.
fn single<'a>(values: Reader<'a>, name: &'static str) -> Result<Reader<'a>, CmsError> {
    let mut rest = values;
    match (rest.any(), rest.is_empty()) {
        (Ok(_), true) => Ok(values),
        _ => Err(CmsError::NotSingle(name)),
    }
}

impl<'a> EssCertId<'a> {
    /// The first of a SigningCertificate or SigningCertificateV2; in the former it has no algorithm, which is SHA-1.
    pub fn read(mut value: Reader<'a>) -> Result<Self, CmsError> {
        const WHAT: &str = "a signing-certificate";
        let mut signing = value.enter(SEQUENCE, WHAT)?;
        let mut ids = signing.enter(SEQUENCE, WHAT)?;
        let mut id = ids.enter(SEQUENCE, WHAT)?;
        let mut ahead = id;
        let algorithm = match ahead.any()?.tag {
            SEQUENCE => Some(AlgorithmId::read(&mut id, WHAT)?),
            _ => None,
        };
        let hash = id.expect(OCTET_STRING, "a certificate's hash")?.value;
        let issuer_and_serial = match id.optional(SEQUENCE)? {
            Some(both) => {
                let mut both = Reader::new(both.value);
                let mut names = both.enter(SEQUENCE, WHAT)?;
                let issuer = match (names.any(), names.is_empty()) {
                    (Ok(name), true) if name.tag == context(4) => Some(name.value),
                    _ => None,
                };
                Some((issuer, both.expect(INTEGER, "a serial number")?.value))
            }
            None => None,
        };
        id.end(WHAT)?;
        Ok(EssCertId { algorithm, hash, issuer_and_serial })
    }
}
