//! The validation data that came with a document: in its CMS, its timestamps, and a PDF's DSS.
//!
//! | where | what |
//! |---|---|
//! | SignedData `crls` (RFC 5652 §10.2.1) | CRLs; OCSP responses as other revocation data (RFC 5940 §2.2) |
//! | unsigned attribute revocation-values (RFC 5126 §6.3.4) | CRLs and basic OCSP responses |
//! | signed attribute RevocationInfoArchival (ISO 32000-2 §12.8.3.3.2) | CRLs and OCSP responses |
//! | DSS (EN 319 142-1 §5.4.2) | streams of certificates, CRLs and OCSP responses |
//!
//! Whoever made the document chose it, so it counts only by its issuers' signatures; what cannot be read is passed over.

use crate::signature::asn1::{OID, Reader, SEQUENCE, context};
use crate::signature::cms::{REVOCATION_VALUES, SignedData};
use crate::signature::limits::{MAX_CERTIFICATES, MAX_EMBEDDED};

use super::crl::Crl;
use super::ocsp::Ocsp;

/// 1.3.6.1.5.5.7.16.2, id-ri-ocsp-response (RFC 5940 §2.2).
const OCSP_RESPONSE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x10, 0x02];

/// Certificates, CRLs and OCSP responses, read and not verified.
#[derive(Debug, Default)]
pub(crate) struct Embedded<'a> {
    pub certificates: Vec<&'a [u8]>,
    pub crls: Vec<Crl>,
    pub responses: Vec<Ocsp<'a>>,
    /// Pieces of revocation data looked at.
    taken: usize,
}

impl<'a> Embedded<'a> {
    /// Adds a certificate for building paths.
    pub fn add_certificate(&mut self, der: &'a [u8]) {
        if self.certificates.len() < 2 * MAX_CERTIFICATES && !self.certificates.contains(&der) {
            self.certificates.push(der);
        }
    }

    /// Adds a CRL.
    pub fn add_crl(&mut self, der: &[u8]) {
        if self.take()
            && let Ok(crl) = Crl::read(der)
            && self.crls.iter().all(|other| other.sha256() != crl.sha256())
        {
            self.crls.push(crl);
        }
    }

    /// Adds an OCSP response, basic or whole.
    pub fn add_response(&mut self, der: &'a [u8]) {
        if self.take()
            && let Ok(response) = Ocsp::read(der)
            && self.responses.iter().all(|other| other.sha256 != response.sha256)
        {
            self.responses.push(response);
        }
    }

    fn take(&mut self) -> bool {
        self.taken += 1;
        self.taken <= MAX_EMBEDDED
    }

    /// Adds everything that a CMS carries.
    pub fn add_cms(&mut self, data: &SignedData<'a>) {
        data.certificates.iter().for_each(|der| self.add_certificate(der));
        let mut choices = Reader::ber(data.revocation);
        while let Ok(choice) = choices.any() {
            match choice.tag {
                SEQUENCE => self.add_crl(choice.raw),
                0xa1 => {
                    let mut other = Reader::ber(choice.value);
                    if other.expect(OID, "a format").is_ok_and(|t| t.value == OCSP_RESPONSE) {
                        self.add_response(other.rest());
                    }
                }
                _ => {}
            }
        }
        for values in data.signer.unsigned(REVOCATION_VALUES) {
            self.add_archive(values);
        }
        if let Some(values) = data.signer.attributes.adobe_revocation {
            self.add_archive(values);
        }
    }

    /// A RevocationValues or a RevocationInfoArchival: they are alike, a sequence of CRLs at [0] and of responses at
    /// [1], which are basic ones in the former.
    fn add_archive(&mut self, values: &'a [u8]) {
        let Ok(mut fields) = Reader::ber(values).enter(SEQUENCE, "revocation values") else { return };
        while let Ok(field) = fields.any() {
            let Ok(mut list) = Reader::ber(field.value).enter(SEQUENCE, "revocation values") else {
                continue;
            };
            while let Ok(item) = list.any() {
                if field.tag == context(0) {
                    self.add_crl(item.raw);
                } else if field.tag == context(1) {
                    self.add_response(item.raw);
                }
            }
        }
    }
}
