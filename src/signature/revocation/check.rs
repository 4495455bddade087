//! The judgement: what is known of a certificate, and what follows for a time. The rules are the module's head.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use ring::digest::{Context, SHA256};

use crate::signature::algorithm::{AlgorithmId, PublicKey, Verifier};
use crate::signature::certificate::Certificate;
use crate::signature::digest::{array, sha256};
use crate::signature::limits::{MAX_CACHED_CHECKS, MAX_CRL_SIGNERS, MAX_OCSP_AGE_MS, MAX_STATUS_DEPTH};
use crate::signature::path::{self, Path};
use crate::signature::trust::Trust;
use crate::signature::verdict::{Fault, Reason};
use crate::time::Timestamp;

use super::crl::{Crl, Revoked, at_least};
use super::embedded::Embedded;
use super::ocsp::{Ocsp, Status};
use super::points::{ALL_REASONS, HOLD};
use super::{CrlReason, name};

/// Verifications that were made, by what was signed and the key: a revocation list is verified once.
#[derive(Default)]
pub(crate) struct Checks(RwLock<HashMap<[u8; 32], bool>>);

impl Checks {
    /// Whether the signature on something with this SHA-256, all its bytes counted, is this key's.
    fn verified(
        &self,
        sha256: &[u8; 32],
        (message, algorithm, signature): (&[u8], AlgorithmId<'_>, &[u8]),
        key: &PublicKey<'_>,
    ) -> bool {
        let mut hash = Context::new(&SHA256);
        hash.update(sha256);
        hash.update(key.raw());
        let id: [u8; 32] = array(hash);
        if let Some(&known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return known;
        }
        let found = Verifier::new(&algorithm, None, key).is_ok_and(|v| v.verify(message, signature));
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_CACHED_CHECKS {
            all.clear();
        }
        all.insert(id, found);
        found
    }
}

/// What a certificate is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It stood at the time.
    AtTime,
    /// It stood at the time, and was not revoked since for a reason that lets what it signed before be forged: a
    /// timestamp authority chooses the time in its signatures (RFC 3161 §4).
    Timestamps,
}

/// Where revocation data is taken from.
pub(crate) struct Sources<'a> {
    trust: &'a Trust,
    embedded: &'a [&'a Embedded<'a>],
    responses: Vec<Ocsp<'a>>,
}

/// What one piece of data says of a certificate.
#[derive(Debug, Clone, Copy)]
struct Fact {
    this_update: Timestamp,
    /// The last time that it speaks for; its own time if it gives none.
    until: Timestamp,
    /// Certificates that expired since then are still in it.
    expired_from: Option<Timestamp>,
    /// The reasons that it knows.
    reasons: u16,
    says: Says,
    sha256: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Good,
    Revoked(Revoked),
    /// A delta list: the hold was taken back.
    Released,
}

/// What follows from all facts.
enum Standing {
    /// With the data that it follows from.
    Good(Vec<[u8; 32]>),
    Revoked(Revoked, [u8; 32]),
    Unknown(String),
}

impl<'a> Sources<'a> {
    /// What is trusted holds, and what came with the document.
    pub fn new(trust: &'a Trust, embedded: &'a [&'a Embedded<'a>]) -> Sources<'a> {
        let responses = trust.responses.iter().filter_map(|der| Ocsp::read(der).ok()).collect();
        Sources { trust, embedded, responses }
    }

    /// The other certificates at hand, for building paths.
    pub fn certificates(&self) -> Vec<&'a [u8]> {
        let mut all: Vec<&[u8]> = Vec::new();
        for der in self.embedded.iter().flat_map(|e| &e.certificates) {
            if !all.contains(der) {
                all.push(der);
            }
        }
        all
    }

    /// Every certificate of the path below the root, the signer's first. `used` gets the digests of the data that the
    /// answer rests on.
    pub fn check_path(
        &self,
        leaf: &Certificate<'_>,
        path: &Path,
        at: Timestamp,
        rule: Rule,
        used: &mut Vec<[u8; 32]>,
    ) -> Result<(), Fault> {
        self.check(leaf, path, at, rule, 0, used)
    }

    fn check(
        &self,
        leaf: &Certificate<'_>,
        path: &Path,
        at: Timestamp,
        rule: Rule,
        depth: usize,
        used: &mut Vec<[u8; 32]>,
    ) -> Result<(), Fault> {
        let issuers = path.read();
        let mut unknown = None;
        let certificates = std::iter::once(leaf).chain(&issuers);
        for (certificate, issuer) in certificates.zip(&issuers) {
            let facts = self.facts(certificate, issuer, &issuers, path, at, depth);
            let subject = certificate.subject_text();
            match decide(&facts, certificate, at, rule) {
                Standing::Good(data) => used.extend(data),
                Standing::Revoked(revoked, data) => {
                    used.push(data);
                    let why = revoked.reason.map_or("no reason given", CrlReason::as_str);
                    let text = format!(
                        "the certificate of `{subject}` was revoked at {} ({why}), judged at {at}",
                        revoked.since
                    );
                    return Err(Fault::new(Reason::CertificateRevoked, text));
                }
                Standing::Unknown(why) => {
                    unknown.get_or_insert_with(|| {
                        let text = format!(
                            "the revocation of `{subject}`, issued by `{}`, at {at}: {why}",
                            issuer.subject_text()
                        );
                        Fault::new(Reason::RevocationUnknown, text)
                    });
                }
            }
        }
        unknown.map_or(Ok(()), Err)
    }

    /// Everything that may be relied on about one certificate.
    fn facts(
        &self,
        certificate: &Certificate<'_>,
        issuer: &Certificate<'_>,
        path_read: &[Certificate<'_>],
        path: &Path,
        at: Timestamp,
        depth: usize,
    ) -> Vec<Fact> {
        let mut facts = Vec::new();
        let Ok(name) = name::key(certificate.issuer) else { return facts };
        let held = self.trust.crls.of_issuer(&name).iter().map(|crl| &**crl);
        let came = self.embedded.iter().flat_map(|e| &e.crls).filter(|crl| crl.issuer == name);
        let lists: Vec<&Crl> = held
            .chain(came)
            .filter(|crl| crl.scope.covers(certificate) != 0)
            .filter(|crl| self.is_genuine(crl, issuer, path_read, path, at, depth))
            .collect();
        for crl in &lists {
            let entry = crl.entry(certificate.serial);
            let mut fact = Fact {
                this_update: crl.this_update,
                until: crl.next_update.unwrap_or(crl.this_update),
                expired_from: crl.expired_from,
                reasons: crl.scope.covers(certificate),
                says: entry.map_or(Says::Good, Says::Revoked),
                sha256: crl.sha256,
            };
            if let Some(base) = &crl.base {
                // RFC 5280 §5.2.4: a delta speaks only of changes to a list at hand, and alone shows nothing good.
                let on = |list: &&Crl| {
                    list.base.is_none() && list.number.as_ref().is_some_and(|n| at_least(n, base))
                };
                match entry {
                    None => continue,
                    Some(e) if e.reason == Some(CrlReason::REMOVED) => {
                        if !lists.iter().any(on) {
                            continue;
                        }
                        (fact.says, fact.reasons) = (Says::Released, HOLD);
                    }
                    Some(_) => fact.reasons &= HOLD,
                }
            }
            facts.push(fact);
        }
        let came = self.embedded.iter().flat_map(|e| &e.responses);
        for response in self.responses.iter().chain(came) {
            for answer in response.answers.iter().filter(|a| a.is_about(certificate, issuer)) {
                let says = match answer.status {
                    Status::Good => Says::Good,
                    Status::Revoked { since, reason } => Says::Revoked(Revoked { since, reason }),
                    // RFC 6960 §2.2: the responder does not know the certificate: no data.
                    Status::Unknown => continue,
                };
                if !self.is_answered(response, answer.this_update, issuer, path, depth) {
                    continue;
                }
                let short = answer.this_update.plus_millis(MAX_OCSP_AGE_MS);
                facts.push(Fact {
                    this_update: answer.this_update,
                    until: answer.next_update.unwrap_or(short),
                    expired_from: answer.archive_cutoff,
                    reasons: ALL_REASONS,
                    says,
                    sha256: response.sha256,
                });
            }
        }
        facts
    }

    /// Whether a list is signed by the issuer: with the key of the path, or with another that has the issuer's name, may
    /// sign lists, and has a path to the same root (RFC 5280 §6.3.3 (f), (g)).
    fn is_genuine(
        &self,
        crl: &Crl,
        issuer: &Certificate<'_>,
        path_read: &[Certificate<'_>],
        path: &Path,
        at: Timestamp,
        depth: usize,
    ) -> bool {
        let Ok(signed) = crl.signed() else { return false };
        let by =
            |c: &Certificate<'_>| c.signs_crls() && self.trust.checks.verified(&crl.sha256, signed, &c.key);
        let named = |c: &Certificate<'_>| name::key(c.subject).is_ok_and(|n| n == crl.issuer);
        if by(issuer) || path_read.iter().any(|c| c.raw != issuer.raw && named(c) && by(c)) {
            return true;
        }
        let others = self.certificates();
        let mut tries = MAX_CRL_SIGNERS;
        for der in &others {
            let Ok(signer) = Certificate::read(der) else { continue };
            // A certificate that is no authority's signs lists only if it is said to.
            if !named(&signer)
                || !(signer.ca || signer.has_key_usage())
                || path_read.iter().any(|c| c.raw == *der)
            {
                continue;
            }
            if tries == 0 || depth == MAX_STATUS_DEPTH {
                return false;
            }
            tries -= 1;
            let when = at.max(crl.this_update);
            if by(&signer) && self.stands(&signer, &others, path.root(), when, depth + 1) {
                return true;
            }
        }
        false
    }

    /// Whether a certificate has a path to this root, valid and not revoked at the time.
    fn stands(
        &self,
        signer: &Certificate<'_>,
        others: &[&[u8]],
        root: &[u8],
        at: Timestamp,
        depth: usize,
    ) -> bool {
        let Ok(paths) = path::find(signer, &sha256(signer.raw), others, self.trust) else { return false };
        paths.iter().filter(|path| path.root() == root).any(|path| {
            path.check_time(signer, at).is_ok()
                && self.check(signer, path, at, Rule::AtTime, depth, &mut Vec::new()).is_ok()
        })
    }

    /// Whether a response is by the issuer, or by whom the issuer certified for this (RFC 6960 §4.2.2.2).
    fn is_answered(
        &self,
        response: &Ocsp<'_>,
        at: Timestamp,
        issuer: &Certificate<'_>,
        path: &Path,
        depth: usize,
    ) -> bool {
        let checks = &self.trust.checks;
        let signed = (response.tbs, response.algorithm, response.signature);
        let by = |c: &Certificate<'_>| {
            response.responder.is(c) && checks.verified(&response.sha256, signed, &c.key)
        };
        if by(issuer) {
            return true;
        }
        let mut tries = MAX_CRL_SIGNERS;
        for der in response.certificates.iter().copied().chain(self.certificates()) {
            let Ok(responder) = Certificate::read(der) else { continue };
            if !response.responder.is(&responder)
                || responder.issuer != issuer.subject
                || !responder.for_ocsp()
                || !(responder.not_before.secs()..=responder.not_after.secs()).contains(&at.secs())
            {
                continue;
            }
            if tries == 0 || depth == MAX_STATUS_DEPTH {
                return false;
            }
            tries -= 1;
            let issued = (responder.tbs, responder.signature_algorithm, responder.signature);
            if !checks.verified(&sha256(der), issued, &issuer.key) || !by(&responder) {
                continue;
            }
            let stands = responder.no_check || {
                // Its path is its issuer's.
                let facts = path.read();
                let facts = self.facts(&responder, issuer, &facts, path, at, depth + 1);
                matches!(decide(&facts, &responder, at, Rule::AtTime), Standing::Good(_))
            };
            if stands {
                return true;
            }
        }
        false
    }
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

/// The rules 2 to 4 of the module's head.
fn decide(facts: &[Fact], certificate: &Certificate<'_>, at: Timestamp, rule: Rule) -> Standing {
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
