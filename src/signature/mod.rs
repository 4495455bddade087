//! Signatures on documents: judged by role, and made.
//!
//! Detached CAdES ([EN 319 122-1], on CMS, [RFC 5652]) beside any content, B and T. A signature goes one way, and
//! unverified and verified never share a type:
//!
//! `bytes → cms::SignedData → judge (content, signature value, timestamps) → path (a root) → revocation → Judgement →
//! Verdicts by role`
//!
//! - [`verdict`](Verdict): the codes, their rank, and how signatures and parts fold into verdicts.
//! - `asn1`, `cms`, `certificate`, `algorithm`, `pss`: reading, byte-preserving; nothing is encoded anew before hashing.
//! - `path`: RFC 5280 §6, by certval with ring's verification; known paths are kept.
//! - `revocation`: CRLs and OCSP responses, held by the node or embedded, each verified before it counts.
//! - `signer`, `timestamp`: whose a CMS is, and what an RFC 3161 token proves.
//! - `judge`: the checks, in the rank of their reasons. `make`, `attach`: CAdES-B-B signatures, and with a timestamp T.
//! - `stamp`: timestamps of anything else.
//!
//! Pure: no clock, disk or network; trust, revocation data and the time are arguments. Whatever the bytes, judging ends
//! in a verdict.
//!
//! [EN 319 122-1]: https://www.etsi.org/deliver/etsi_en/319100_319199/31912201/
//! [RFC 5652]: https://www.rfc-editor.org/rfc/rfc5652

mod algorithm;
mod asn1;
mod attach;
mod certificate;
mod cms;
mod digest;
#[doc(hidden)]
pub mod fuzzing;
mod judge;
mod judge_pdf;
mod limits;
mod make;
mod path;
mod pdf;
mod pss;
mod revocation;
mod signer;
mod stamp;
mod timestamp;
mod trust;
mod verdict;

pub use attach::{AttachError, add_timestamp, timestamp_imprint, timestamp_request, timestamp_token};
pub use digest::{DigestNeeds, Digests, Hasher};
pub use judge::{digest_needs, judge_detached};
pub use judge_pdf::{had_signatures, is_pdf, judge_pdf, refuse_large_pdf};
pub use limits::MAX_PDF;
pub use make::{SignError, Signer, SigningKey};
pub use pdf::{PdfSignError, PdfSignatureDetails, sign_pdf};
pub use revocation::{AnswerError, CertIdHash, Crl, CrlError, CrlStore, Missed, OcspError, OcspStore, Span};
pub use signer::certificates_of;
pub use stamp::{Stamp, TIMESTAMP_QUERY, TimestampQuery, claimed_time, prove_timestamp};
pub use trust::{Trust, TrustError};
pub use verdict::{CodeError, Judgement, Reason, Role, Verdict, Verdicts};

#[cfg(test)]
mod tests;
