//! Revocation: whether a certificate of a valid path stood at a time (RFC 5280 §6.3, RFC 6960).
//!
//! - [`Crl`], [`CrlStore`]: the revocation lists that a node holds. `ocsp`: responses. `embedded`: what came with a
//!   document. All read, none verified, until `genuine` verifies each by its issuer's key before it counts.
//! - `points`: which certificates a list speaks of. `name`: names as keys. `genuine`: by whom data is.
//! - [`Missed`]: a certificate of which nothing is known, and what to ask of whom. `ask`: how.
//! - `check`: what is known of each certificate of a path. `decide`: what follows.
//!
//! **What counts.** T is the time that a signature is judged at: the proven one, otherwise the time of judging.
//!
//! 1. Data that is signed by the certificate's issuer, by another key of that issuer under the same root, or for OCSP
//!    by whom the issuer delegated; whose scope takes in the certificate; and all of which is understood. Anything
//!    else is as if absent.
//! 2. *Revoked*: any such data, however old, says so with a date at or before T, for good. An entry is never taken back
//!    before its certificate expires (RFC 5280 §3.3), so an old list is as true as a new one. An entry on hold can be
//!    taken back: of what was issued until T the freshest decides, and after T any that puts the hold before T.
//! 3. *Good*: data that covers T does not say so, or dates it after T; lists of some reasons count together. Data
//!    covers T when T is between thisUpdate and nextUpdate, or when it was issued at or after T and not after the
//!    certificate expired, for an issuer may then leave it out, unless the issuer says that it does not.
//! 4. Otherwise *unknown*.

mod ask;
mod check;
mod crl;
mod decide;
pub(crate) mod embedded;
mod genuine;
mod name;
pub(crate) mod ocsp;
mod points;
mod store;

pub use ask::{AnswerError, CertIdHash, Missed, Span};
pub(crate) use check::{Checks, Rule, Sources};
pub use crl::{Crl, CrlError};
pub use ocsp::OcspError;
pub use store::{CrlStore, OcspStore};

use super::asn1::Asn1Error;

/// CRLReason (RFC 5280 §5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CrlReason(u8);

impl CrlReason {
    pub const HOLD: CrlReason = CrlReason(6);
    pub const REMOVED: CrlReason = CrlReason(8);

    /// The contents of the ENUMERATED.
    pub fn read(value: &[u8]) -> Result<CrlReason, Asn1Error> {
        match value {
            [code @ (0..=6 | 8..=10)] => Ok(CrlReason(*code)),
            _ => Err(Asn1Error::Value("a reason of revocation")),
        }
    }

    /// Whether what the key signed before stays good: unspecified, affiliationChanged, superseded,
    /// cessationOfOperation (RFC 3161 §4).
    pub fn leaves_the_past(self) -> bool {
        matches!(self.0, 0 | 3 | 4 | 5)
    }

    pub const fn as_str(self) -> &'static str {
        match self.0 {
            1 => "keyCompromise",
            2 => "cACompromise",
            3 => "affiliationChanged",
            4 => "superseded",
            5 => "cessationOfOperation",
            6 => "certificateHold",
            8 => "removeFromCRL",
            9 => "privilegeWithdrawn",
            10 => "aACompromise",
            _ => "unspecified",
        }
    }
}
