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

/// Certificates of one signature whose revocation is unknown that are told of. A path and its timestamp's have six.
pub(crate) const MAX_MISSED: usize = 32;

/// Length of a URL in a certificate. Real ones have under 200 bytes.
pub(crate) const MAX_URL: usize = 1024;

/// URLs of one kind taken from one certificate. Real ones have one or two.
pub(crate) const MAX_URLS: usize = 4;

/// How old an OCSP response without nextUpdate may be, in milliseconds. Such a responder claims to have newer answers
/// at any time (RFC 6960 §2.4), so one hour is time to send the document that it came with, and little to hide in.
pub(crate) const MAX_OCSP_AGE_MS: i64 = 3_600_000;
// A PDF must be parsed whole, and is bounded here in every direction: any file up to 10 MiB is judged within one
// second and 128 MiB, or refused by the name of the limit.

/// Bytes of a PDF whose own signatures are read. A scanned letter of a hundred pages has 10 to 20 MiB; a larger file
/// takes a detached signature.
pub const MAX_PDF: usize = 32 << 20;

/// Work on one PDF, in objects read (or eight bytes of them, 32 of strings in hexadecimal, or 64 bytes compared). A
/// letter takes a few thousand; this many take about half a second on a busy core.
pub(crate) const MAX_PDF_WORK: usize = 5_000_000;

/// Objects inside one object of a PDF, at 32 bytes and an allocation each; a comparison holds a few such objects. The
/// longest arrays, of a tagged book's structure, have tens of thousands.
pub(crate) const MAX_PDF_NODES: usize = 150_000;

/// Nesting of the objects of a PDF. Real ones have under ten levels; the stack holds thousands.
pub(crate) const MAX_PDF_DEPTH: usize = 64;

/// Bytes that one stream of a PDF may hold after decompression, where it is read here: cross-references, object
/// streams, page contents. Writers put 100 to 200 objects into an object stream, some 100 KiB.
pub(crate) const MAX_PDF_STREAM: usize = 8 << 20;

/// Bytes after decompression over all of a PDF. Decompressing them takes about a third of a second.
pub(crate) const MAX_PDF_INFLATED: usize = 64 << 20;

/// Bytes of decompressed object streams kept at a time.
pub(crate) const MAX_PDF_CACHE: usize = 16 << 20;

/// Bytes of parsed objects kept at a time, by a generous estimate: the form and the signatures of a file with the most
/// of them have about 2 MiB; one whose signatures bring large revocation lists along has more.
pub(crate) const MAX_PDF_KEPT: usize = 12 << 20;

/// The highest object number of a PDF, for tables are dense; at 20 bytes an entry more would not fit its size.
pub(crate) const MAX_PDF_NUMBER: u32 = 1_000_000;

/// Cross-reference entries over all revisions of a PDF.
pub(crate) const MAX_PDF_ENTRIES: usize = 1_000_000;

/// Cross-reference sections of a PDF: two in a linearised file, then one a revision. A letter with ten signatures,
/// their timestamps and validation data has under forty.
pub(crate) const MAX_PDF_REVISIONS: usize = 64;

/// Form fields of a PDF. A large form has some hundreds.
pub(crate) const MAX_PDF_FIELDS: usize = 10_000;

/// Bytes of the full name of a form field.
pub(crate) const MAX_PDF_NAME: usize = 1024;

/// Nesting of form fields and of page trees. Both have two or three levels.
pub(crate) const MAX_PDF_TREE_DEPTH: usize = 32;

/// Pages of a signed PDF that was added to.
pub(crate) const MAX_PDF_PAGES: usize = 50_000;

/// Signatures in one PDF: each costs a hash over the file before it.
pub(crate) const MAX_PDF_SIGNATURES: usize = 32;

/// Certificates, CRLs and OCSP responses in the validation data of one PDF, each kind counted for itself.
pub(crate) const MAX_PDF_VALIDATION: usize = 256;

/// Bytes of all of them. A CRL of a national authority has up to some MiB.
pub(crate) const MAX_PDF_VALIDATION_BYTES: usize = 16 << 20;
