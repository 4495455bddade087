//! The judgement of a path: what is known of each of its certificates, gathered and asked. The rules are the module's
//! head.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use ring::digest::{Context, SHA256};

use crate::signature::algorithm::{AlgorithmId, PublicKey, Verifier};
use crate::signature::certificate::Certificate;
use crate::signature::digest::array;
use crate::signature::limits::{MAX_CACHED_CHECKS, MAX_CACHED_PATHS, MAX_MISSED};
use crate::signature::path::Path;
use crate::signature::trust::Trust;
use crate::signature::verdict::{Fault, Reason};
use crate::time::Timestamp;

use super::ask::Missed;
use super::crl::{Crl, Revoked, at_least};
use super::decide::{Fact, Says, Standing, decide, steady_time};
use super::embedded::Embedded;
use super::ocsp::{Ocsp, Status};
use super::points::{ALL_REASONS, HOLD};
use super::{CrlReason, name};

/// What was found before and need not be found again. Answers never depend on what is kept here.
#[derive(Default)]
pub(crate) struct Checks {
    /// Verifications, by what was signed and the key: a revocation list is verified once.
    verified: RwLock<HashMap<[u8; 32], bool>>,
    /// Paths that stand, by path and the fingerprint of the revocation lists.
    standing: RwLock<HashMap<Question, Steady>>,
}

type Question = ([u8; 32], [u8; 32]);

/// A path all of whose certificates stand at every time from one to another, by the same data.
#[derive(Debug, Clone)]
struct Steady {
    from: Timestamp,
    until: Timestamp,
    data: Vec<[u8; 32]>,
}

impl Checks {
    /// Whether the signature on something with this SHA-256, all its bytes counted, is this key's.
    pub(super) fn verified(
        &self,
        sha256: &[u8; 32],
        (message, algorithm, signature): (&[u8], AlgorithmId<'_>, &[u8]),
        key: &PublicKey<'_>,
    ) -> bool {
        let mut hash = Context::new(&SHA256);
        hash.update(sha256);
        hash.update(key.raw());
        let id: [u8; 32] = array(hash);
        if let Some(&known) = self.verified.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return known;
        }
        let found = Verifier::new(&algorithm, None, key).is_ok_and(|v| v.verify(message, signature));
        let mut all = self.verified.write().unwrap_or_else(PoisonError::into_inner);
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
    pub(super) trust: &'a Trust,
    embedded: &'a [&'a Embedded<'a>],
    /// Whether a list's signer had to be judged, whose own time then matters.
    pub(super) other_signer: Cell<bool>,
    /// Certificates whose revocation was found unknown since they were last taken.
    missed: RefCell<Vec<Missed>>,
}

impl<'a> Sources<'a> {
    /// What is trusted holds, and what came with the document.
    pub fn new(trust: &'a Trust, embedded: &'a [&'a Embedded<'a>]) -> Sources<'a> {
        Sources { trust, embedded, other_signer: Cell::new(false), missed: RefCell::default() }
    }

    /// The certificates, each of a path to a root, whose revocation was found unknown since the last call.
    pub fn take_missed(&self) -> Vec<Missed> {
        self.missed.take()
    }

    /// Notes that nothing at hand says whether a certificate stood.
    pub(super) fn miss(&self, certificate: &Certificate<'_>, issuer: &Certificate<'_>) {
        let mut all = self.missed.borrow_mut();
        if all.len() < MAX_MISSED && all.iter().all(|m| m.certificate() != certificate.raw) {
            all.push(Missed::new(certificate, issuer));
        }
    }

    /// Whether no OCSP response that is held can be about a certificate of the path.
    fn no_response(&self, leaf: &Certificate<'_>, path: &Path) -> bool {
        let held = &self.trust.responses;
        held.is_empty() || std::iter::once(leaf).chain(&path.read()).all(|c| held.about(c.serial).is_empty())
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
        // Where only the lists that are held can speak, the same path and lists give the same answer.
        let alone = self.embedded.iter().all(|e| e.crls.is_empty() && e.responses.is_empty())
            && self.no_response(leaf, path);
        let key = (path.id, self.trust.crls.fingerprint());
        let kept = &self.trust.checks.standing;
        if alone
            && let Some(steady) = kept.read().unwrap_or_else(PoisonError::into_inner).get(&key)
            && (steady.from..=steady.until).contains(&at)
        {
            used.extend(&steady.data);
            return Ok(());
        }
        let (mut steady, mut data) = (Some((Timestamp::from_millis(i64::MIN), Timestamp::MAX)), Vec::new());
        self.other_signer.set(false);
        let found = self.check(leaf, path, at, rule, 0, &mut data, &mut steady);
        let alone = alone && !self.other_signer.get();
        if let (true, Ok(()), Some((from, until))) = (alone, &found, steady) {
            let mut all = kept.write().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MAX_CACHED_PATHS {
                all.clear();
            }
            all.insert(key, Steady { from, until, data: data.clone() });
        }
        used.extend(data);
        found
    }

    /// The same without looking at what is kept. `steady` becomes the time in which the answer is the same, and none
    /// when that is not easily said.
    #[expect(clippy::too_many_arguments, reason = "a question, how deep it is, and three answers")]
    pub(super) fn check(
        &self,
        leaf: &Certificate<'_>,
        path: &Path,
        at: Timestamp,
        rule: Rule,
        depth: usize,
        used: &mut Vec<[u8; 32]>,
        steady: &mut Option<(Timestamp, Timestamp)>,
    ) -> Result<(), Fault> {
        let issuers = path.read();
        let mut unknown = None;
        let certificates = std::iter::once(leaf).chain(&issuers);
        for (certificate, issuer) in certificates.zip(&issuers) {
            let facts = self.facts(certificate, issuer, &issuers, path, at, depth);
            let mine = steady_time(&facts, certificate);
            *steady = steady.zip(mine).map(|(all, mine)| (all.0.max(mine.0), all.1.min(mine.1)));
            match decide(&facts, certificate, at, rule) {
                Standing::Good(data) => used.extend(data),
                Standing::Revoked(revoked, data) => {
                    used.push(data);
                    let subject = certificate.subject_text();
                    let why = revoked.reason.map_or("no reason given", CrlReason::as_str);
                    let text = format!(
                        "the certificate of `{subject}` was revoked at {} ({why}), judged at {at}",
                        revoked.since
                    );
                    return Err(Fault::new(Reason::CertificateRevoked, text));
                }
                Standing::Unknown(why) => {
                    self.miss(certificate, issuer);
                    unknown.get_or_insert_with(|| {
                        let subject = certificate.subject_text();
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
    pub(super) fn facts(
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
        let held = self.trust.responses.about(certificate.serial).iter();
        let held: Vec<Ocsp<'_>> = held.filter_map(|der| Ocsp::read(der).ok()).collect();
        let came = self.embedded.iter().flat_map(|e| &e.responses);
        for response in held.iter().chain(came) {
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
                facts.push(Fact {
                    this_update: answer.this_update,
                    until: answer.until(),
                    expired_from: answer.archive_cutoff,
                    reasons: ALL_REASONS,
                    says,
                    sha256: response.sha256,
                });
            }
        }
        facts
    }
}
