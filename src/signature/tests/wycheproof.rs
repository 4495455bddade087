//! Wycheproof's vectors against [`Verifier`], through the encodings of keys and parameters that certificates have.
//!
//! The rule: nothing invalid is accepted. What is valid and refused is counted with its cause.

use std::collections::BTreeMap;

use wycheproof::{HashFunction, TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::signature::algorithm::{AlgorithmId, Digest, PublicKey, SHA1, SHA256, Verifier};
use crate::signature::asn1::{INTEGER, NULL, OID, Reader, SEQUENCE, context, tlv};

const PKCS1: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];

/// What became of the vectors of one kind.
#[derive(Debug, Default)]
struct Tally {
    accepted: usize,
    /// Valid or acceptable for Wycheproof, refused here, by cause.
    refused: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Tally {
    fn take(
        &mut self,
        what: &str,
        key: &[u8],
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
        result: TestResult,
    ) {
        let outcome = (|| {
            let key = PublicKey::read(&mut Reader::new(key)).map_err(|e| format!("key: {e}"))?;
            let id = AlgorithmId::read(&mut Reader::new(algorithm), "").map_err(|e| e.to_string())?;
            let verifier = Verifier::new(&id, None, &key).map_err(|f| f.detail)?;
            verifier.verify(message, signature).then_some(()).ok_or_else(|| "does not verify".to_owned())
        })();
        match (outcome, result) {
            (Ok(()), TestResult::Invalid) => self.wrong.push(what.to_owned()),
            (Ok(()), _) => self.accepted += 1,
            (Err(_), TestResult::Invalid) => {}
            (Err(why), _) => {
                let causes = ["with MGF1 over", "a salt of", "digest SHA-1", "ECDSA with SHA-512"];
                let cause = causes.into_iter().find(|cause| why.contains(cause)).unwrap_or(&why);
                *self.refused.entry(format!("{result:?}: {cause}")).or_default() += 1;
            }
        }
    }
}

impl Tally {
    #[track_caller]
    fn check(self, accepted: usize, refused: &[(&str, usize)]) {
        assert_eq!(self.wrong, Vec::<String>::new());
        let refused = refused.iter().map(|(cause, n)| ((*cause).to_owned(), *n)).collect();
        assert_eq!((self.accepted, self.refused), (accepted, refused));
    }
}

/// The object identifier of a digest; none: not one of ours, and not built.
fn oid_of(hash: HashFunction) -> Option<&'static [u8]> {
    match hash {
        HashFunction::Sha1 => Some(SHA1),
        HashFunction::Sha2_256 => Some(SHA256),
        HashFunction::Sha2_384 => Some(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2]),
        HashFunction::Sha2_512 => Some(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3]),
        _ => None,
    }
}

fn last_arc(hash: HashFunction, [sha256, sha384, sha512]: [u8; 3]) -> Option<u8> {
    match Digest::of(oid_of(hash)?).ok()? {
        Digest::Sha256 => Some(sha256),
        Digest::Sha384 => Some(sha384),
        Digest::Sha512 => Some(sha512),
    }
}

fn id(oid: &[u8], parameters: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(OID, &[oid]), parameters])
}

#[test]
fn rsa_pkcs1_accepts_nothing_invalid() {
    let mut tally = Tally::default();
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let Some(arc) = last_arc(group.hash, [11, 12, 13]) else { continue };
            let algorithm = id(&[&PKCS1[..], &[arc]].concat(), &[NULL, 0]);
            for t in group.tests {
                tally.take(
                    &format!("{name:?} {}", t.tc_id),
                    &group.der,
                    &algorithm,
                    &t.msg,
                    &t.sig,
                    t.result,
                );
            }
        }
    }
    // MissingNull: a DigestInfo without NULL parameters, "acceptable" and not made by anybody.
    tally.check(89, &[("Acceptable: does not verify", 12)]);
}

#[test]
fn rsa_pss_accepts_nothing_invalid() {
    let mut tally = Tally::default();
    for name in rsa_pss_verify::TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let (Some(hash), Some(mask)) = (oid_of(group.hash), group.mgf_hash.and_then(oid_of)) else {
                continue;
            };
            let hash = id(hash, &[NULL, 0]);
            let mgf = id(&[&PKCS1[..], &[8]].concat(), &id(mask, &[NULL, 0]));
            let salt = tlv(INTEGER, &[&[group.salt_size as u8]]);
            let fields = [tlv(context(0), &[&hash]), tlv(context(1), &[&mgf]), tlv(context(2), &[&salt])];
            let algorithm = id(&[&PKCS1[..], &[10]].concat(), &tlv(SEQUENCE, &[&fields.concat()]));
            for t in group.tests {
                tally.take(
                    &format!("{name:?} {}", t.tc_id),
                    &group.der,
                    &algorithm,
                    &t.msg,
                    &t.sig,
                    t.result,
                );
            }
        }
    }
    // ring verifies no such mask or salt, which is unsupported; SHA-1 is weak.
    let (mask, salt) = ("Valid: with MGF1 over", "Valid: a salt of");
    tally.check(775, &[(mask, 303), (salt, 416), ("Valid: digest SHA-1", 132)]);
}

#[test]
fn ecdsa_accepts_nothing_invalid() {
    let mut tally = Tally::default();
    for name in ecdsa::TestName::all() {
        // P1363 and Bitcoin are other encodings and rules than CMS has.
        let shown = format!("{name:?}");
        if shown.ends_with("P1363")
            || shown.ends_with("Bitcoin")
            || !(shown.contains("Secp256r1") || shown.contains("Secp384r1"))
        {
            continue;
        }
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let Some(arc) = last_arc(group.hash, [2, 3, 4]) else { continue };
            let algorithm = id(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, arc], &[]);
            for t in group.tests {
                tally.take(&format!("{shown} {}", t.tc_id), &group.der, &algorithm, &t.msg, &t.sig, t.result);
            }
        }
    }
    tally.check(530, &[("Valid: ECDSA with SHA-512", 474)]);
}

#[test]
fn ed25519_accepts_nothing_invalid() {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        for t in group.tests {
            let what = format!("Ed25519 {}", t.tc_id);
            tally.take(&what, &group.der, &id(&[0x2b, 0x65, 0x70], &[]), &t.msg, &t.sig, t.result);
        }
    }
    tally.check(88, &[]);
}
