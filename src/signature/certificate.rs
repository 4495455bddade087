//! The fields of a certificate that a judge looks at (RFC 5280 §4.1), read from its bytes as received.
//!
//! Only these fields are read: an odd name or an unknown extension does not make a signature malformed. The rules
//! of RFC 5280 §6 are the path's ([`super::path`]); here is only whether the certificate is one for signing
//! documents.

use crate::time::Timestamp;

use super::algorithm::{AlgorithmId, PublicKey, bit_string};
use super::asn1::{
    Asn1Error, BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, Tlv, context, dotted,
    time,
};
use super::limits::MAX_SUBJECT;
use super::verdict::{Fault, Reason};

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29: the standard extensions.
const EXTENSION: &[u8] = &[0x55, 0x1d];

/// keyUsage bits (RFC 5280 §4.2.1.3), counted from the first: digitalSignature and nonRepudiation.
const SIGNING_BITS: u8 = 0b1100_0000;
/// cRLSign.
const CRL_SIGN_BIT: u8 = 0b0000_0010;

/// 1.3.6.1.5.5.7.1.1, id-pe-authorityInfoAccess (RFC 5280 §4.2.2.1).
const AUTHORITY_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
/// 1.3.6.1.5.5.7.48.1.5, id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1).
const OCSP_NO_CHECK: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05];
/// 1.3.6.1.5.5.7.3.8, id-kp-timeStamping.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
/// 1.3.6.1.5.5.7.3.9, id-kp-OCSPSigning.
const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];

/// 1.3.6.1.5.5.7.3: the purposes of RFC 5280 §4.2.1.12.
const PURPOSE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03];
/// anyExtendedKeyUsage.
const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
/// 1.3.6.1.4.1.311.10.3.12, Microsoft's document signing.
const MICROSOFT_DOCUMENTS: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x0a, 0x03, 0x0c];
/// 1.2.840.113583.1.1.5, Adobe's authentic documents.
const ADOBE_DOCUMENTS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x2f, 0x01, 0x01, 0x05];

/// A certificate, read but not verified.
#[derive(Debug, Clone)]
pub(crate) struct Certificate<'a> {
    /// All of it.
    pub raw: &'a [u8],
    /// What the issuer signed, with its header.
    pub tbs: &'a [u8],
    /// The issuer's signature.
    pub signature: &'a [u8],
    /// The contents of the serial number's INTEGER.
    pub serial: &'a [u8],
    /// The issuer's name with its header.
    pub issuer: &'a [u8],
    /// The subject's name with its header.
    pub subject: &'a [u8],
    /// The start of the validity.
    pub not_before: Timestamp,
    /// Its end, the last second inclusive.
    pub not_after: Timestamp,
    /// The subject's public key.
    pub key: PublicKey<'a>,
    /// How the issuer signed it.
    pub signature_algorithm: AlgorithmId<'a>,
    /// The subject key identifier.
    pub key_id: Option<&'a [u8]>,
    /// The first octet of keyUsage.
    key_usage: Option<u8>,
    /// The contents of extKeyUsage: a series of object identifiers.
    purposes: Option<&'a [u8]>,
    /// Whether extKeyUsage is critical.
    purposes_critical: bool,
    /// The cA flag of basicConstraints.
    pub ca: bool,
    /// The value of cRLDistributionPoints (RFC 5280 §4.2.1.13).
    pub crl_points: Option<&'a [u8]>,
    /// The value of authorityInfoAccess (RFC 5280 §4.2.2.1).
    pub access: Option<&'a [u8]>,
    /// Whether an OCSP responder's own revocation need not be asked (RFC 6960 §4.2.2.2.1).
    pub no_check: bool,
}

impl<'a> Certificate<'a> {
    /// Reads one certificate and nothing after it.
    pub fn read(raw: &'a [u8]) -> Result<Self, Asn1Error> {
        const WHAT: &str = "a certificate";
        let mut reader = Reader::new(raw);
        let mut outer = reader.enter(SEQUENCE, WHAT)?;
        reader.end(WHAT)?;
        let whole = outer.expect(SEQUENCE, WHAT)?;
        let mut tbs = Reader::new(whole.value);
        let signature_algorithm = AlgorithmId::read(&mut outer, "a certificate's algorithm")?;
        let signature = bit_string(&mut outer, "a certificate's signature")?;
        outer.end(WHAT)?;

        tbs.optional(context(0))?;
        let serial = tbs.expect(INTEGER, "a serial number")?.value;
        tbs.expect(SEQUENCE, "a certificate's algorithm")?;
        let issuer = tbs.expect(SEQUENCE, "an issuer")?.raw;
        let mut validity = tbs.enter(SEQUENCE, "a validity")?;
        let (not_before, not_after) = (time(validity.any()?)?, time(validity.any()?)?);
        let subject = tbs.expect(SEQUENCE, "a subject")?.raw;
        let key = PublicKey::read(&mut tbs)?;
        let mut certificate = Certificate {
            raw,
            tbs: whole.raw,
            signature,
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            key,
            signature_algorithm,
            key_id: None,
            key_usage: None,
            purposes: None,
            purposes_critical: false,
            ca: false,
            crl_points: None,
            access: None,
            no_check: false,
        };
        while !tbs.is_empty() {
            let field = tbs.any()?;
            if field.tag == context(3) {
                certificate.read_extensions(Reader::new(field.value))?;
            }
        }
        Ok(certificate)
    }

    fn read_extensions(&mut self, mut field: Reader<'a>) -> Result<(), Asn1Error> {
        const WHAT: &str = "an extension";
        let mut extensions = field.enter(SEQUENCE, "extensions")?;
        while !extensions.is_empty() {
            let mut extension = extensions.enter(SEQUENCE, WHAT)?;
            let oid = extension.expect(OID, WHAT)?.value;
            let critical = extension.optional(BOOLEAN)?.is_some_and(|b| b.value != [0]);
            let mut value = Reader::new(extension.expect(OCTET_STRING, WHAT)?.value);
            // An extension read twice would let the issuer and the judge look at different ones.
            let twice = Err(Asn1Error::Value("an extension given twice"));
            match oid.strip_prefix(EXTENSION) {
                Some([14]) => self.key_id = Some(value.expect(OCTET_STRING, "a key identifier")?.value),
                Some([15]) if self.key_usage.is_some() => return twice,
                Some([15]) => {
                    let bits = value.expect(BIT_STRING, "a key usage")?.value;
                    self.key_usage = Some(bits.get(1).copied().unwrap_or(0));
                }
                Some([19]) => {
                    let mut constraints = value.enter(SEQUENCE, "basic constraints")?;
                    self.ca |= constraints.optional(BOOLEAN)?.is_some_and(|b| b.value != [0]);
                }
                Some([37]) if self.purposes.is_some() => return twice,
                Some([37]) => {
                    self.purposes = Some(value.expect(SEQUENCE, "an extended key usage")?.value);
                    self.purposes_critical = critical;
                }
                Some([31]) if self.crl_points.is_some() => return twice,
                Some([31]) => self.crl_points = Some(value.rest()),
                None if oid == OCSP_NO_CHECK => self.no_check = true,
                None if oid == AUTHORITY_ACCESS => self.access = self.access.or(Some(value.rest())),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the certificate is one for signing documents.
    ///
    /// Not a CA's; keyUsage, when present, has digitalSignature or nonRepudiation; extKeyUsage, when present, has a
    /// purpose of persons and documents (e-mail, document signing of RFC 9336, Microsoft or Adobe, or any) and none
    /// of servers, timestamps or OCSP, whose keys sign what others hand them. Client authentication alone is a TLS
    /// certificate, and does no harm beside another purpose.
    pub fn for_documents(&self) -> Result<(), Fault> {
        let wrong = |what: String| Err(Fault::new(Reason::WrongKeyUsage, what));
        if self.ca {
            return wrong("the signer's certificate is a certification authority's".into());
        }
        if let Some(bits) = self.key_usage
            && bits & SIGNING_BITS == 0
        {
            return wrong(format!(
                "keyUsage has neither digitalSignature nor nonRepudiation, only {}",
                key_usages(bits)
            ));
        }
        let Some(purposes) = self.purposes else { return Ok(()) };
        let (mut reader, mut fit, mut others) = (Reader::new(purposes), false, Vec::new());
        while !reader.is_empty() {
            let Ok(purpose) = reader.expect(OID, "a purpose") else {
                return wrong("extKeyUsage cannot be read".into());
            };
            match (purpose.value, purpose.value.strip_prefix(PURPOSE)) {
                (_, Some([1])) => return wrong("extKeyUsage names serverAuth".into()),
                (_, Some([8])) => return wrong("extKeyUsage names timeStamping".into()),
                (_, Some([9])) => return wrong("extKeyUsage names OCSPSigning".into()),
                (_, Some([4 | 36])) | (ANY_PURPOSE | MICROSOFT_DOCUMENTS | ADOBE_DOCUMENTS, _) => fit = true,
                (other, _) => others.push(dotted(other)),
            }
        }
        if fit {
            Ok(())
        } else {
            wrong(format!("extKeyUsage names no signing of documents: {}", others.join(", ")))
        }
    }

    /// Whether the certificate is a timestamp authority's: extKeyUsage is critical and names timeStamping alone
    /// (RFC 3161 §2.3), and its key signs.
    pub fn for_timestamps(&self) -> Result<(), Fault> {
        let wrong = |what: &str| Err(Fault::new(Reason::WrongKeyUsage, what));
        if self.ca {
            return wrong("the timestamp authority's certificate is a certification authority's");
        }
        if self.key_usage.is_some_and(|bits| bits & SIGNING_BITS == 0) {
            return wrong("the timestamp authority's keyUsage has no signing");
        }
        if !self.purposes_critical || self.purposes() != Some(vec![TIME_STAMPING]) {
            return wrong("the timestamp authority's extKeyUsage is not timeStamping alone and critical");
        }
        Ok(())
    }

    /// Whether its issuer lets it answer for the status of certificates (RFC 6960 §4.2.2.2).
    pub fn for_ocsp(&self) -> bool {
        self.key_usage.is_none_or(|bits| bits & SIGNING_BITS != 0)
            && self.purposes().is_some_and(|all| all.contains(&OCSP_SIGNING))
    }

    /// Whether its key may sign CRLs (RFC 5280 §6.3.3 (f)).
    pub fn signs_crls(&self) -> bool {
        self.key_usage.is_none_or(|bits| bits & CRL_SIGN_BIT != 0)
    }

    /// Whether keyUsage is present.
    pub fn has_key_usage(&self) -> bool {
        self.key_usage.is_some()
    }

    /// The object identifiers of extKeyUsage; none when it is absent or cannot be read.
    fn purposes(&self) -> Option<Vec<&'a [u8]>> {
        let (mut reader, mut all) = (Reader::new(self.purposes?), Vec::new());
        while !reader.is_empty() {
            all.push(reader.expect(OID, "a purpose").ok()?.value);
        }
        Some(all)
    }

    /// The last common name of the subject, or else the whole name in the order of RFC 4514.
    pub fn subject_text(&self) -> String {
        let text = common_name(self.subject).ok().flatten().unwrap_or_else(|| {
            use der::Decode;
            x509_cert::name::Name::from_der(self.subject).map_or_else(|_| String::new(), |n| n.to_string())
        });
        text.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT).collect()
    }
}

/// The uses that the first octet of keyUsage names (RFC 5280 §4.2.1.3).
fn key_usages(bits: u8) -> String {
    const NAMES: [&str; 8] = [
        "digitalSignature",
        "nonRepudiation",
        "keyEncipherment",
        "dataEncipherment",
        "keyAgreement",
        "keyCertSign",
        "cRLSign",
        "encipherOnly",
    ];
    let named: Vec<&str> = NAMES
        .into_iter()
        .enumerate()
        .filter(|(i, _)| bits & (0x80 >> i) != 0)
        .map(|(_, name)| name)
        .collect();
    if named.is_empty() { "uses of no name".to_owned() } else { named.join(", ") }
}

fn common_name(subject: &[u8]) -> Result<Option<String>, Asn1Error> {
    let (mut found, mut reader) = (None, Reader::new(subject));
    let mut rdns = reader.enter(SEQUENCE, "a name")?;
    while !rdns.is_empty() {
        let mut rdn = rdns.enter(SET, "a name's part")?;
        while !rdn.is_empty() {
            let mut attribute = rdn.enter(SEQUENCE, "a name's attribute")?;
            if attribute.expect(OID, "a name's attribute")?.value == COMMON_NAME {
                found = string(attribute.any()?).or(found);
            }
        }
    }
    Ok(found)
}

/// A DirectoryString (RFC 5280 §4.1.2.4); TeletexString is read as Latin-1, as in use.
pub(crate) fn string(tlv: Tlv<'_>) -> Option<String> {
    match tlv.tag {
        0x0c | 0x13 | 0x16 => std::str::from_utf8(tlv.value).ok().map(str::to_owned),
        0x14 => Some(tlv.value.iter().map(|&b| char::from(b)).collect()),
        0x1e => {
            let units = tlv.value.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]]));
            String::from_utf16(&units.collect::<Vec<_>>()).ok()
        }
        _ => None,
    }
}
