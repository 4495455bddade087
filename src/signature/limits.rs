//! The limits that keep a hostile signature file cheap. They bound work, not size: the size of a signature file is
//! bounded by whoever reads it from the wire.

/// Certificates read from one CMS. A chain has two to four; some signers add a timestamp authority's.
pub(crate) const MAX_CERTIFICATES: usize = 32;

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
