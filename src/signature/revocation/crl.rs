//! Reading certificate revocation lists (RFC 5280 §5), byte-preserving and once.
//!
//! [`Crl`] owns its bytes; the entries become a table sorted by serial number, so that a list with 100,000 of them is
//! read once and asked by binary search. Read are full lists, delta lists and lists of one distribution point. A list
//! with a critical extension that is not known here, of its own or of an entry, or an indirect one (entries of other
//! issuers) says nothing that can be relied on (§5.2, §5.3) and is refused at reading: it is as if absent.

use std::cmp::Ordering;
use std::ops::Range;

use der::pem;

use crate::signature::algorithm::{AlgorithmId, bit_string};
use crate::signature::asn1::{
    Asn1Error, BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, UTC_TIME,
    context, dotted, time,
};
use crate::signature::digest::sha256;
use crate::time::Timestamp;

use super::points::{Scope, reasons};
use super::{CrlReason, name};

/// 2.5.29: the standard extensions.
const EXTENSION: &[u8] = &[0x55, 0x1d];

/// Bytes of text before a PEM, as `openssl crl -text` writes them, that are looked through.
const MAX_PREAMBLE: usize = 1 << 20;

/// Why a file is no CRL that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// It is no PEM.
    #[error("bad PEM: {0}")]
    Pem(String),
    /// Its encoding is bad.
    #[error("not a revocation list: {0}")]
    Malformed(String),
    /// It says something that is not understood here (RFC 5280 §5.2, §5.3).
    #[error("a critical extension that is not known: {0}")]
    Critical(String),
    /// Its entries are of other issuers (RFC 5280 §5.2.5).
    #[error("an indirect revocation list, which is not supported")]
    Indirect,
    /// It lists attribute certificates (RFC 5280 §5.2.5).
    #[error("a revocation list of attribute certificates")]
    Attributes,
}

impl From<Asn1Error> for CrlError {
    fn from(e: Asn1Error) -> Self {
        CrlError::Malformed(e.to_string())
    }
}

/// A certificate revocation list as received, read and not verified.
#[derive(Debug)]
pub struct Crl {
    der: Vec<u8>,
    pub(super) sha256: [u8; 32],
    tbs: Range<usize>,
    algorithm: Range<usize>,
    signature: Range<usize>,
    /// The issuer's name as a key.
    pub(super) issuer: Vec<u8>,
    pub(super) this_update: Timestamp,
    pub(super) next_update: Option<Timestamp>,
    /// cRLNumber (§5.2.3), without leading zeros.
    pub(super) number: Option<Vec<u8>>,
    /// BaseCRLNumber of a delta list (§5.2.4).
    pub(super) base: Option<Vec<u8>>,
    pub(super) scope: Scope,
    /// expiredCertsOnCRL (X.509 §9.5.2.8): certificates that expired since then are still listed.
    pub(super) expired_from: Option<Timestamp>,
    /// Sorted by serial number.
    entries: Vec<Entry>,
}

/// An entry: where its serial number is, and what it says.
#[derive(Debug, Clone)]
struct Entry {
    serial: (u32, u32),
    entry: Revoked,
}

/// What an entry says of its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revoked {
    /// The earlier of the date of revocation and the invalidityDate (§5.3.2): from when the issuer vouches no more.
    pub since: Timestamp,
    /// The reason code; none when the entry gives none.
    pub reason: Option<CrlReason>,
}

impl Crl {
    /// Reads a list in DER or PEM.
    pub fn read(bytes: &[u8]) -> Result<Crl, CrlError> {
        if bytes.first() == Some(&SEQUENCE) {
            return Crl::from_der(bytes.to_vec());
        }
        if !bytes.windows(10).take(MAX_PREAMBLE).any(|w| w == b"-----BEGIN") {
            return Err(CrlError::Malformed("it is neither DER nor PEM (BEGIN X509 CRL)".to_owned()));
        }
        let (_, der) = pem::decode_vec(bytes).map_err(|e| CrlError::Pem(e.to_string()))?;
        Crl::from_der(der)
    }

    fn from_der(der: Vec<u8>) -> Result<Crl, CrlError> {
        const WHAT: &str = "a revocation list";
        let place = |part: &[u8]| {
            let start = part.as_ptr() as usize - der.as_ptr() as usize;
            start..start + part.len()
        };
        // RFC 5280 §5.1.1: CertificateList.
        let mut file = Reader::new(&der);
        let mut outer = file.enter(SEQUENCE, WHAT)?;
        file.end("the revocation list")?;
        let tbs = outer.expect(SEQUENCE, WHAT)?;
        let algorithm = outer.expect(SEQUENCE, "a revocation list's algorithm")?.raw;
        let signature = bit_string(&mut outer, "a revocation list's signature")?;
        outer.end(WHAT)?;

        // §5.1.2: TBSCertList. Version 1 has no extensions and is read as well.
        let tbs_raw = tbs.raw;
        let mut tbs = Reader::new(tbs.value);
        if tbs.optional(INTEGER)?.is_some_and(|version| version.value != [1]) {
            return Err(Asn1Error::Value("a revocation list's version").into());
        }
        if tbs.expect(SEQUENCE, "a revocation list's algorithm")?.raw != algorithm {
            return Err(Asn1Error::Value("a revocation list's algorithm").into());
        }
        let issuer_name = tbs.expect(SEQUENCE, "a revocation list's issuer")?.raw;
        let this_update = time(tbs.any()?)?;
        let next_update = match tbs.optional(UTC_TIME)? {
            Some(text) => Some(time(text)?),
            None => tbs.optional(GENERALIZED_TIME)?.map(time).transpose()?,
        };
        let listed = tbs.optional(SEQUENCE)?;
        let extensions = tbs.optional(context(0))?;
        tbs.end(WHAT)?;

        let mut entries = Vec::new();
        if let Some(listed) = listed {
            let mut reader = Reader::new(listed.value);
            while !reader.is_empty() {
                let (serial, entry) = read_entry(reader.enter(SEQUENCE, "an entry")?)?;
                let range = place(serial);
                let fits = |n: usize| u32::try_from(n).map_err(|_| Asn1Error::Length);
                entries.push(Entry { serial: (fits(range.start)?, fits(range.end)?), entry });
            }
        }
        let serial = |e: &Entry| &der[e.serial.0 as usize..e.serial.1 as usize];
        // Of several entries of one certificate the earliest counts, so it stands first.
        entries.sort_unstable_by(|a, b| serial(a).cmp(serial(b)).then(a.entry.since.cmp(&b.entry.since)));

        let (tbs, algorithm, signature) = (place(tbs_raw), place(algorithm), place(signature));
        let mut crl = Crl {
            sha256: sha256(&der),
            tbs,
            algorithm,
            signature,
            issuer: name::key(issuer_name)?,
            this_update,
            next_update,
            number: None,
            base: None,
            scope: Scope::default(),
            expired_from: None,
            entries,
            der: Vec::new(),
        };
        if let Some(extensions) = extensions {
            crl.read_extensions(Reader::new(extensions.value), issuer_name)?;
        }
        crl.der = der;
        Ok(crl)
    }

    /// RFC 5280 §5.2.
    fn read_extensions(&mut self, mut field: Reader<'_>, issuer: &[u8]) -> Result<(), CrlError> {
        const WHAT: &str = "a revocation list's extension";
        let mut extensions = field.enter(SEQUENCE, WHAT)?;
        let mut seen: Vec<&[u8]> = Vec::new();
        while !extensions.is_empty() {
            let (oid, critical, mut value) = extension(&mut extensions, WHAT)?;
            if seen.contains(&oid) {
                return Err(Asn1Error::Value("an extension given twice").into());
            }
            seen.push(oid);
            match oid.strip_prefix(EXTENSION) {
                Some([20]) => self.number = Some(number(value.expect(INTEGER, WHAT)?.value)),
                Some([27]) => self.base = Some(number(value.expect(INTEGER, WHAT)?.value)),
                Some([28]) => self.scope = Scope::read(value, issuer)?,
                Some([60]) => self.expired_from = Some(time(value.any()?)?),
                // The authority's key identifier: the signature is checked with each key there is.
                Some([35]) => {}
                _ if critical => return Err(CrlError::Critical(dotted(oid))),
                _ => {}
            }
        }
        Ok(())
    }

    /// What the list says of a serial number; none: it is not listed.
    pub(crate) fn entry(&self, serial: &[u8]) -> Option<Revoked> {
        let of = |e: &Entry| &self.der[e.serial.0 as usize..e.serial.1 as usize];
        let first = self.entries.partition_point(|e| of(e).cmp(serial) == Ordering::Less);
        self.entries.get(first).filter(|e| of(e) == serial).map(|e| e.entry)
    }

    /// What was signed, how, and the signature.
    pub(super) fn signed(&self) -> Result<(&[u8], AlgorithmId<'_>, &[u8]), Asn1Error> {
        let algorithm =
            AlgorithmId::read(&mut Reader::new(&self.der[self.algorithm.clone()]), "an algorithm")?;
        Ok((&self.der[self.tbs.clone()], algorithm, &self.der[self.signature.clone()]))
    }

    /// The list in DER, as received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the list, as judgements name it.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// When it was issued.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// When a newer one is due.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.next_update
    }

    /// How many certificates it lists.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it lists none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// RFC 5280 §5.1.2.6 and §5.3: serial number, date and reason.
fn read_entry(mut entry: Reader<'_>) -> Result<(&[u8], Revoked), CrlError> {
    const WHAT: &str = "an entry";
    let serial = entry.expect(INTEGER, WHAT)?.value;
    let mut revoked = Revoked { since: time(entry.any()?)?, reason: None };
    if let Some(mut extensions) = entry.optional(SEQUENCE)?.map(|e| Reader::new(e.value)) {
        while !extensions.is_empty() {
            let (oid, critical, mut value) = extension(&mut extensions, WHAT)?;
            match oid.strip_prefix(EXTENSION) {
                Some([21]) => revoked.reason = Some(CrlReason::read(value.expect(ENUMERATED, WHAT)?.value)?),
                Some([24]) => revoked.since = revoked.since.min(time(value.any()?)?),
                Some([29]) => return Err(CrlError::Indirect),
                _ if critical => return Err(CrlError::Critical(dotted(oid))),
                _ => {}
            }
        }
    }
    entry.end(WHAT)?;
    Ok((serial, revoked))
}

/// An Extension (RFC 5280 §4.1): its identifier, whether it is critical, and a reader of its value.
pub(super) fn extension<'a>(
    extensions: &mut Reader<'a>,
    what: &'static str,
) -> Result<(&'a [u8], bool, Reader<'a>), Asn1Error> {
    let mut extension = extensions.enter(SEQUENCE, what)?;
    let oid = extension.expect(OID, what)?.value;
    let critical = extension.optional(BOOLEAN)?.is_some_and(|b| b.value != [0]);
    let value = Reader::new(extension.expect(OCTET_STRING, what)?.value);
    extension.end(what)?;
    Ok((oid, critical, value))
}

/// A CRL number, so that longer is greater and of one length the bytes decide.
fn number(value: &[u8]) -> Vec<u8> {
    let skip = value.iter().take_while(|&&b| b == 0).count();
    value[skip..].to_vec()
}

/// Whether one CRL number is at least another.
pub(super) fn at_least(a: &[u8], b: &[u8]) -> bool {
    (a.len(), a) >= (b.len(), b)
}

/// ReasonFlags (RFC 5280 §4.2.1.13) under an implicit tag: bit n for reason n.
pub(super) fn flags(value: &[u8]) -> Result<u16, Asn1Error> {
    match value {
        [0..=7, bits @ ..] if bits.len() <= 2 => Ok(reasons(bits)),
        _ => Err(Asn1Error::Value("reasons")),
    }
}
