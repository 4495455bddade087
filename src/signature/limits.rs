//! The limits that keep a hostile signature file cheap. They bound work, not size: the size of a signature file is
//! bounded by whoever reads it from the wire.

/// Certificates read from one CMS. A chain has two to four; some signers add a timestamp authority's.
pub(crate) const MAX_CERTIFICATES: usize = 32;

/// Bytes of a certificate in a path. Real ones have one to ten thousand; what they list is compared with each other.
pub(crate) const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

/// Signed attributes in one CMS. A CAdES-B signature has four to eight.
pub(crate) const MAX_ATTRIBUTES: usize = 32;

/// Certificates between a signer's and the root's, both left out. The national trees have one or two.
pub(crate) const MAX_INTERMEDIATES: usize = 6;

/// Candidate paths validated for one signer: certificates that share names and keys could otherwise be arranged in
/// more ways than one can try. Each costs a signature verification for each certificate.
pub(crate) const MAX_PATHS: usize = 16;

/// Certificates tried as issuer in one search for paths, dead ends counted.
pub(crate) const MAX_STEPS: usize = 256;

/// Known paths kept. An entry is 48 bytes; a province has a few thousand signers.
pub(crate) const MAX_CACHED_PATHS: usize = 8192;

/// Nesting of a CMS in indefinite lengths. One with every option has under ten levels.
pub(crate) const MAX_BER_DEPTH: usize = 24;

/// Length of a subject's name, in characters.
pub(crate) const MAX_SUBJECT: usize = 200;

/// Length of a detail, in bytes: two SHA-512 in hex and a sentence.
pub(crate) const MAX_DETAIL: usize = 400;

/// Timestamp tokens judged in one signature. One is usual; each costs a signature verification.
pub(crate) const MAX_TIMESTAMPS: usize = 8;

/// CRLs and OCSP responses taken from one document. A B-LT signature has one of each for every issuer of its path and
/// of its timestamp's; a document of many signatures shares them.
pub(crate) const MAX_EMBEDDED: usize = 64;

/// Certificates tried as signer of one CRL: those with the CRL's issuer as subject.
pub(crate) const MAX_CRL_SIGNERS: usize = 4;

/// How deep the status of a CRL's or OCSP response's own signer is asked: the signer's, and that of who signs for it.
pub(crate) const MAX_STATUS_DEPTH: usize = 2;

/// Results of verifications of CRLs, OCSP responses and responders kept. An entry is 40 bytes.
pub(crate) const MAX_CACHED_CHECKS: usize = 16384;

/// How old an OCSP response without nextUpdate may be, in milliseconds. Such a responder claims to have newer answers
/// at any time (RFC 6960 §2.4), so one hour is time to send the document that it came with, and little to hide in.
pub(crate) const MAX_OCSP_AGE_MS: i64 = 3_600_000;
