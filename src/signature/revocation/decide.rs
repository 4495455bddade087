//! What follows from all that is known of a certificate: the rules 2 to 4 of the module's head, and nothing else.

use crate::signature::certificate::Certificate;
use crate::time::Timestamp;

use super::CrlReason;
use super::check::Rule;
use super::crl::Revoked;
use super::points::{ALL_REASONS, HOLD};

/// What one piece of data says of a certificate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fact {
    pub this_update: Timestamp,
    /// The last time that it speaks for; its own time if it gives none.
    pub until: Timestamp,
    /// Certificates that expired since then are still in it.
    pub expired_from: Option<Timestamp>,
    /// The reasons that it knows.
    pub reasons: u16,
    pub says: Says,
    pub sha256: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Good,
    Revoked(Revoked),
    /// A delta list: the hold was taken back.
    Released,
}

/// What follows from all facts.
pub(super) enum Standing {
    /// With the data that it follows from.
    Good(Vec<[u8; 32]>),
    Revoked(Revoked, [u8; 32]),
    Unknown(String),
}

impl Fact {
    /// Whether what it does not say is not so at the time.
    fn covers(&self, certificate: &Certificate<'_>, at: Timestamp) -> bool {
        let listed = self.this_update <= certificate.not_after
            || self.expired_from.is_some_and(|from| from <= certificate.not_after);
        listed && at <= self.until.max(self.this_update)
    }

    fn hold(&self) -> Option<Revoked> {
        match self.says {
            Says::Revoked(r) if r.reason == Some(CrlReason::HOLD) => Some(r),
            _ => None,
        }
    }

    /// The order of what is fresher; of the same time, a hold taken back is, and then a hold.
    fn freshness(&self) -> (Timestamp, u8) {
        let rank = match self.says {
            Says::Released => 2,
            Says::Revoked(_) => 1,
            Says::Good => 0,
        };
        (self.this_update, rank)
    }
}

/// The time in which [`decide`] gives the same answer from the same data by both rules: when nothing says revoked, and
/// the freshest speaks for all reasons, it is that one's time.
pub(super) fn steady_time(facts: &[Fact], certificate: &Certificate<'_>) -> Option<(Timestamp, Timestamp)> {
    let freshest = facts.iter().max_by_key(|f| f.freshness())?;
    let plain = facts.iter().all(|f| f.says == Says::Good)
        && freshest.reasons & ALL_REASONS == ALL_REASONS
        && freshest.covers(certificate, freshest.this_update)
        && facts.iter().all(|f| f.sha256 == freshest.sha256 || f.this_update < freshest.this_update);
    plain.then_some((freshest.this_update, freshest.until))
}

/// The rules 2 to 4 of the module's head.
pub(super) fn decide(facts: &[Fact], certificate: &Certificate<'_>, at: Timestamp, rule: Rule) -> Standing {
    for fact in facts {
        let Says::Revoked(revoked) = fact.says else { continue };
        let forged = rule == Rule::Timestamps && !revoked.reason.is_some_and(CrlReason::leaves_the_past);
        if fact.hold().is_none() && (revoked.since <= at || forged) {
            return Standing::Revoked(revoked, fact.sha256);
        }
    }
    let knows = |fact: &&Fact| fact.reasons & HOLD != 0;
    let freshest = facts.iter().filter(knows).filter(|f| f.this_update <= at).max_by_key(|f| f.freshness());
    let later = facts.iter().filter(|f| f.this_update > at);
    for fact in freshest.into_iter().chain(later) {
        if let Some(hold) = fact.hold().filter(|hold| hold.since <= at) {
            return Standing::Revoked(hold, fact.sha256);
        }
    }

    let mut covering: Vec<&Fact> =
        facts.iter().filter(|f| f.says != Says::Released && f.covers(certificate, at)).collect();
    covering.sort_by_key(|f| std::cmp::Reverse(f.freshness()));
    let (mut known, mut data) = (0, Vec::new());
    for fact in covering {
        if fact.reasons & !known != 0 {
            known |= fact.reasons;
            data.push(fact.sha256);
        }
        if known & ALL_REASONS == ALL_REASONS {
            return Standing::Good(data);
        }
    }
    Standing::Unknown(match facts.iter().max_by_key(|f| f.this_update) {
        None => "no revocation list or OCSP response that counts is at hand".into(),
        Some(_) if known != 0 => "what is at hand covers only some reasons of revocation".into(),
        Some(newest) => format!(
            "what is at hand does not cover that time; the newest is from {} to {}",
            newest.this_update, newest.until
        ),
    })
}
