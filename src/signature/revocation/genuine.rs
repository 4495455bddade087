//! Whether revocation data is by whom it must be: the issuer, or whom the issuer lets speak.

use crate::signature::certificate::Certificate;
use crate::signature::digest::sha256;
use crate::signature::limits::{MAX_CRL_SIGNERS, MAX_STATUS_DEPTH};
use crate::signature::path::{self, Path};
use crate::time::Timestamp;

use super::check::{Rule, Sources};
use super::crl::Crl;
use super::decide::{Standing, decide};
use super::name;
use super::ocsp::Ocsp;

impl Sources<'_> {
    /// Whether a list is signed by the issuer: with the key of the path, or with another that has the issuer's name, may
    /// sign lists, and has a path to the same root (RFC 5280 §6.3.3 (f), (g)).
    pub(super) fn is_genuine(
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
            self.other_signer.set(true);
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
                && self.check(signer, path, at, Rule::AtTime, depth, &mut Vec::new(), &mut None).is_ok()
        })
    }

    /// Whether a response is by the issuer, or by whom the issuer certified for this (RFC 6960 §4.2.2.2).
    pub(super) fn is_answered(
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
                match decide(&facts, &responder, at, Rule::AtTime) {
                    Standing::Good(_) => true,
                    Standing::Revoked(..) => false,
                    Standing::Unknown(_) => {
                        self.miss(&responder, issuer);
                        false
                    }
                }
            };
            if stands {
                return true;
            }
        }
        false
    }
}
