//! What a judge says: one [`Judgement`] for each signature, folded into a [`Verdict`] for each role.
//!
//! The codes and their rank are the domain's own list: an earlier reason is the more specific one, and where several
//! hold the first is given. A code never changes its meaning; docs/reasons/ explains each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

use super::limits::MAX_DETAIL;
use super::revocation::Missed;

/// The outcome for one role of one document, or for one signature (never [`Verdict::Absent`] there).
///
/// The derived order is that of the declaration, for use as a key only; which verdict is worse is decided by
/// [`Verdict::worse`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every check passed.
    Valid,
    /// At least one check failed.
    Invalid,
    /// A check could not be made; the only such case is [`Reason::RevocationUnknown`].
    Indeterminate,
    /// The role has no signature.
    Absent,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 4] = [Verdict::Valid, Verdict::Invalid, Verdict::Indeterminate, Verdict::Absent];

    /// The code, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::Invalid => "invalid",
            Verdict::Indeterminate => "indeterminate",
            Verdict::Absent => "absent",
        }
    }

    /// The worse of two verdicts on the same role in two parts of a document: invalid, then indeterminate, then
    /// absent, then valid. One bad signature spoils a document; a part that nobody signed spoils it less, for
    /// nobody claims anything about it.
    pub const fn worse(self, other: Verdict) -> Verdict {
        if self.badness() >= other.badness() { self } else { other }
    }

    const fn badness(self) -> u8 {
        match self {
            Verdict::Valid => 0,
            Verdict::Absent => 1,
            Verdict::Indeterminate => 2,
            Verdict::Invalid => 3,
        }
    }
}

/// Why a signature is not valid. The order of declaration is the rank: the first is the most specific.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The document's own structure is bad (a file, a ByteRange): the document is refused.
    MalformedDocument,
    /// The CMS structure is bad (RFC 5652, EN 319 122-1): its signature is refused.
    MalformedSignature,
    /// The content, or the signed attributes, are not what was signed (RFC 5652 §5.6).
    DigestMismatch,
    /// Something that shows was added after the signature.
    ModifiedAfterSigning,
    /// A digest or a key below the strength demanded (MD5, SHA-1, RSA under 2048 bits).
    WeakAlgorithm,
    /// An algorithm that this gateway does not verify.
    UnsupportedAlgorithm,
    /// No certification path leads to a trusted root (RFC 5280 §6).
    UntrustedIssuer,
    /// The certificate is not one for signing documents.
    WrongKeyUsage,
    /// A certificate was revoked at the time that counts.
    CertificateRevoked,
    /// The time that counts is before a certificate's validity.
    CertificateNotYetValid,
    /// The time that counts is after a certificate's validity.
    CertificateExpired,
    /// The seal is that of another agency than the sender.
    WrongAgency,
    /// Whether a certificate was revoked cannot be known now; the only indeterminate reason.
    RevocationUnknown,
}

impl Reason {
    /// Every reason, in rank.
    pub const ALL: [Reason; 13] = [
        Reason::MalformedDocument,
        Reason::MalformedSignature,
        Reason::DigestMismatch,
        Reason::ModifiedAfterSigning,
        Reason::WeakAlgorithm,
        Reason::UnsupportedAlgorithm,
        Reason::UntrustedIssuer,
        Reason::WrongKeyUsage,
        Reason::CertificateRevoked,
        Reason::CertificateNotYetValid,
        Reason::CertificateExpired,
        Reason::WrongAgency,
        Reason::RevocationUnknown,
    ];

    /// The stable code, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::MalformedDocument => "malformed_document",
            Reason::MalformedSignature => "malformed_signature",
            Reason::DigestMismatch => "digest_mismatch",
            Reason::ModifiedAfterSigning => "modified_after_signing",
            Reason::WeakAlgorithm => "weak_algorithm",
            Reason::UnsupportedAlgorithm => "unsupported_algorithm",
            Reason::UntrustedIssuer => "untrusted_issuer",
            Reason::WrongKeyUsage => "wrong_key_usage",
            Reason::CertificateRevoked => "certificate_revoked",
            Reason::CertificateNotYetValid => "certificate_not_yet_valid",
            Reason::CertificateExpired => "certificate_expired",
            Reason::WrongAgency => "wrong_agency",
            Reason::RevocationUnknown => "revocation_unknown",
        }
    }

    /// The verdict that a signature with this reason gets.
    pub const fn verdict(self) -> Verdict {
        match self {
            Reason::RevocationUnknown => Verdict::Indeterminate,
            _ => Verdict::Invalid,
        }
    }
}

/// Whose signature it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A person's: every signature that is not made by a listed seal.
    Person,
    /// An agency's, made by a listed seal.
    Agency,
}

impl Role {
    /// The code, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Person => "person",
            Role::Agency => "agency",
        }
    }
}

/// A text that is no code of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}")]
pub struct CodeError {
    text: String,
    kind: &'static str,
}

impl CodeError {
    fn new(text: &str, kind: &'static str) -> Self {
        CodeError { text: text.chars().take(40).collect(), kind }
    }
}

impl FromStr for Verdict {
    type Err = CodeError;

    fn from_str(s: &str) -> Result<Self, CodeError> {
        Verdict::ALL.into_iter().find(|v| v.as_str() == s).ok_or_else(|| CodeError::new(s, "verdict"))
    }
}

impl FromStr for Reason {
    type Err = CodeError;

    fn from_str(s: &str) -> Result<Self, CodeError> {
        Reason::ALL.into_iter().find(|r| r.as_str() == s).ok_or_else(|| CodeError::new(s, "signature reason"))
    }
}

impl FromStr for Role {
    type Err = CodeError;

    fn from_str(s: &str) -> Result<Self, CodeError> {
        [Role::Person, Role::Agency]
            .into_iter()
            .find(|r| r.as_str() == s)
            .ok_or_else(|| CodeError::new(s, "signature role"))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One failed check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub reason: Reason,
    pub detail: String,
}

impl Fault {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Fault {
        let mut detail = detail.into();
        // It quotes what a stranger sent.
        detail.retain(|c| !c.is_control());
        if detail.len() > MAX_DETAIL {
            let end = (0..=MAX_DETAIL).rev().find(|&end| detail.is_char_boundary(end));
            detail.truncate(end.unwrap_or(0));
        }
        Fault { reason, detail }
    }
}

/// What was found about one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whose it is; a person's when its certificate cannot be told.
    pub role: Role,
    /// Valid, invalid or indeterminate.
    pub verdict: Verdict,
    /// Why it is not valid.
    pub reason: Option<Reason>,
    /// The same for a person to read, with the value that offends; empty when valid.
    pub detail: String,
    /// The common name of the certificate's subject, or else its distinguished name; empty when there is none.
    pub signer: String,
    /// SHA-256 of the signer's certificate as received.
    pub certificate_sha256: Option<[u8; 32]>,
    /// The signing-time attribute (RFC 5652 §11.3): the signer's claim and no proof.
    pub claimed_at: Option<Timestamp>,
    /// The earliest time that a trusted timestamp proves the signature to have existed by (RFC 3161); validity and
    /// revocation were judged at it, and if there is none at the time of judging.
    pub proven_at: Option<Timestamp>,
    /// SHA-256 of the timestamps and revocation data that the verdict rests on, sorted.
    pub evidence: Vec<[u8; 32]>,
    /// Certificates, the signer's, a timestamp authority's or those of their issuers, whose revocation could not be
    /// told and could change the verdict or prove a time: for the node to ask.
    pub missed: Vec<Missed>,
    /// For example `ecdsa-p256-sha256` or `rsa-2048-sha256`; an object identifier for what is not supported.
    pub algorithm: String,
}

impl Default for Judgement {
    /// Valid, with nothing known.
    fn default() -> Judgement {
        Judgement {
            role: Role::Person,
            verdict: Verdict::Valid,
            reason: None,
            detail: String::new(),
            signer: String::new(),
            certificate_sha256: None,
            claimed_at: None,
            proven_at: None,
            evidence: Vec::new(),
            missed: Vec::new(),
            algorithm: String::new(),
        }
    }
}

/// The verdicts on one part of a document, or, by [`Verdicts::worst`], on the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdicts {
    /// Of all signatures by persons.
    pub person: Verdict,
    /// Of all signatures by agencies.
    pub agency: Verdict,
    /// The first in rank over all signatures that are not valid.
    pub reason: Option<Reason>,
    /// One for each signature, in the order given.
    pub signatures: Vec<Judgement>,
    /// The document itself is bad, for this reason in words, and no signature of it was judged: it is refused. Both
    /// roles are invalid then, with `malformed_document`, and are shown as `-`.
    pub refused: Option<String>,
}

impl Verdicts {
    /// Folds the signatures of one part. A role with no signature is absent; one invalid signature makes its role
    /// invalid, as a paper with a forged signature beside a true one is no good paper; else one indeterminate
    /// signature makes it indeterminate.
    pub fn of(signatures: Vec<Judgement>) -> Verdicts {
        let role = |role: Role| {
            let mine = signatures.iter().filter(|s| s.role == role).map(|s| s.verdict);
            mine.reduce(Verdict::worse).unwrap_or(Verdict::Absent)
        };
        let (person, agency) = (role(Role::Person), role(Role::Agency));
        let reason = signatures.iter().filter_map(|s| s.reason).min();
        Verdicts { person, agency, reason, signatures, refused: None }
    }

    /// Of a document that is refused by itself.
    pub(crate) fn refuse(fault: Fault) -> Verdicts {
        Verdicts {
            person: Verdict::Invalid,
            agency: Verdict::Invalid,
            reason: Some(fault.reason),
            signatures: Vec::new(),
            refused: Some(fault.detail),
        }
    }

    /// The verdict of a role in words, `-` where the document is refused.
    pub fn shown(&self, role: Role) -> &'static str {
        match (&self.refused, role) {
            (Some(_), _) => "-",
            (None, Role::Person) => self.person.as_str(),
            (None, Role::Agency) => self.agency.as_str(),
        }
    }

    /// SHA-256 of all timestamps and revocation data that the verdicts rest on, sorted, each once: for the event.
    pub fn evidence(&self) -> Vec<[u8; 32]> {
        let mut all: Vec<[u8; 32]> =
            self.signatures.iter().flat_map(|s| s.evidence.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The certificates whose revocation could not be told.
    pub fn missed(&self) -> impl Iterator<Item = &Missed> {
        self.signatures.iter().flat_map(|s| &s.missed)
    }

    /// With the signatures beside the same file: they count like those inside it. A file that is refused stays so.
    pub fn and_beside(mut self, beside: Verdicts) -> Verdicts {
        if self.refused.is_some() {
            return self;
        }
        self.signatures.extend(beside.signatures);
        Verdicts::of(self.signatures)
    }

    /// Merges the parts of one document: each role is as good as in its worst part (see [`Verdict::worse`]), the
    /// reason is the first in rank over all parts, and the signatures follow in the order of the parts. Hand in the
    /// parts that must be signed. No parts: absent.
    pub fn worst(parts: &[Verdicts]) -> Verdicts {
        let role = |pick: fn(&Verdicts) -> Verdict| {
            parts.iter().map(pick).reduce(Verdict::worse).unwrap_or(Verdict::Absent)
        };
        Verdicts {
            person: role(|p| p.person),
            agency: role(|p| p.agency),
            reason: parts.iter().filter_map(|p| p.reason).min(),
            signatures: parts.iter().flat_map(|p| p.signatures.iter().cloned()).collect(),
            refused: parts.iter().find_map(|p| p.refused.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(person: Verdict, agency: Verdict, reason: Option<Reason>) -> Verdicts {
        Verdicts { person, agency, reason, signatures: Vec::new(), refused: None }
    }

    #[test]
    fn every_code_reads_back_and_the_declaration_is_the_rank() {
        for v in Verdict::ALL {
            assert_eq!(v.as_str().parse(), Ok(v));
            assert_eq!(serde_json_code(&v), v.as_str());
        }
        for r in Reason::ALL {
            assert_eq!(r.as_str().parse(), Ok(r));
            assert_eq!(serde_json_code(&r), r.as_str());
        }
        assert!(Reason::ALL.is_sorted());
        assert!("revoked".parse::<Reason>().is_err());
    }

    fn serde_json_code(value: &impl Serialize) -> String {
        serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn a_document_is_as_good_as_its_worst_part() {
        use Verdict::*;
        let all = Verdicts::worst(&[
            part(Valid, Valid, None),
            part(Absent, Invalid, Some(Reason::CertificateExpired)),
            part(Valid, Indeterminate, Some(Reason::RevocationUnknown)),
        ]);
        assert_eq!((all.person, all.agency, all.reason), (Absent, Invalid, Some(Reason::CertificateExpired)));
        let none = Verdicts::worst(&[]);
        assert_eq!((none.person, none.agency, none.reason), (Absent, Absent, None));
    }
}
