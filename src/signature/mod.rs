//! Signatures on documents: judged by role, and made.
//!
//! Detached CAdES ([EN 319 122-1], on CMS, [RFC 5652]) beside any content. A signature goes one way, and unverified
//! and verified never share a type:
//!
//! `bytes → cms::SignedData → judge (content, signature value) → path (a root) → Judgement → Verdicts by role`
//!
//! - [`verdict`](Verdict): the codes, their rank, and how signatures and parts fold into verdicts.
//! - `asn1`, `cms`, `certificate`, `algorithm`: reading, byte-preserving; nothing is encoded anew before hashing.
//! - `path`: RFC 5280 §6, by certval with ring's verification; known paths are kept.
//! - `judge`: the checks, in the rank of their reasons. `make`: CAdES-B-B signatures.
//!
//! Pure: no clock, disk or network; the time is an argument. Whatever the bytes, judging ends in a verdict.
//!
//! Out of scope here and coming next: PAdES inside PDF (its reading of files and ByteRanges, and the changes after
//! signing), revocation by CRL and OCSP, and RFC 3161 timestamps. Until then no signature is revoked or
//! indeterminate, and [`Judgement::proven_at`] is empty: time that counts is the time of judging.
//!
//! [EN 319 122-1]: https://www.etsi.org/deliver/etsi_en/319100_319199/31912201/
//! [RFC 5652]: https://www.rfc-editor.org/rfc/rfc5652

mod algorithm;
mod asn1;
mod certificate;
mod cms;
mod digest;
mod judge;
mod limits;
mod make;
mod path;
mod pdf;
mod trust;
mod verdict;

pub use digest::{DigestNeeds, Digests, Hasher};
pub use judge::{digest_needs, judge_detached};
pub use make::{SignError, Signer, SigningKey};
pub use pdf::{PdfSignError, PdfSignatureDetails, sign_pdf};
pub use trust::{Trust, TrustError};
pub use verdict::{CodeError, Judgement, Reason, Role, Verdict, Verdicts};

#[cfg(test)]
mod tests;
