//! Every reader against real files with a few bytes changed: none panics, each ends, and nothing becomes valid.
//!
//! The same numbers every time; `fuzz/` looks further. What it found is kept here as a regression.

use std::path::PathBuf;

use der::pem;

use super::pki::Pki;
use super::timestamps::{authority, token};
use crate::signature::cms::SignedData;
use crate::signature::{Crl, CrlStore, Trust, Verdict, fuzzing};

/// Changes of each seed.
const ROUNDS: usize = 60;

fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.to_str().unwrap().ends_with(ending));
    paths.sort();
    paths.iter().map(|p| std::fs::read(p).unwrap()).collect()
}

fn trust() -> Trust {
    let roots = files("corpus/trust", ".pem").into_iter().map(|p| pem::decode_vec(&p).unwrap().1);
    let roots = roots.filter(|der| Trust::new([der]).is_ok());
    let crls = files("corpus/trust", ".crl").into_iter().map(|der| Crl::read(&der).unwrap().into());
    Trust::new(roots).unwrap().with_crls(CrlStore::new(crls))
}

/// Xorshift: the same numbers every time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }

    /// A few changes: of bits, of bytes that stand for lengths, of pieces left out, doubled or moved.
    fn change(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(24)).min(bytes.len());
            match self.below(7) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x88, 0xff][self.below(9)],
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                4 => bytes.truncate(at.max(1)),
                5 => bytes[at] = [0x02, 0x03, 0x04, 0x30, 0x31, 0x24, 0xa0, 0xa1][self.below(8)],
                _ => bytes[at..end].fill(0),
            }
            if bytes.is_empty() {
                bytes.push(0x30);
            }
        }
        bytes
    }
}

fn each(seeds: &[Vec<u8>], rounds: usize, mut reader: impl FnMut(&[u8])) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for seed in seeds {
        reader(seed);
        for _ in 0..rounds {
            reader(&random.change(seed));
        }
    }
}

#[test]
fn changed_signatures_are_never_valid() {
    let trust = trust();
    each(&files("corpus/documents", ".p7s"), 8 * ROUNDS, |bytes| {
        assert_ne!(fuzzing::cms(bytes, &trust).person, Verdict::Valid);
    });
}

#[test]
fn changed_certificates_lists_and_responses_end_in_an_answer() {
    let trust = trust();
    let certificates = files("pkits/certs", ".crt");
    each(&certificates, ROUNDS / 20, |bytes| fuzzing::certificate(bytes, &trust));
    let few = &certificates[..2];
    each(&files("pkits/crls", ".crl"), ROUNDS / 8, |bytes| fuzzing::crl(bytes, &trust, few));
    let pki = Pki::new();
    let response = super::ocsp::example(&pki);
    let others = [pki.person.der.clone(), pki.seal.der.clone()];
    each(&[response], 20 * ROUNDS, |bytes| fuzzing::ocsp(bytes, &pki.trust, &others));
}

#[test]
fn changed_timestamps_prove_nothing() {
    let pki = Pki::new();
    let tsa = authority(&pki.sub);
    let made = token(&tsa, &[&pki.sub], b"", "20160502000000Z");
    // Only what is not signed may change: certificates that nobody asks, versions, unsigned attributes.
    let true_one = made.build();
    each(&[true_one], 8 * ROUNDS, |bytes| {
        fuzzing::timestamp(bytes, &pki.trust);
    });
    let real: Vec<Vec<u8>> = files("corpus/documents", ".p7s")
        .iter()
        .filter_map(|bytes| {
            let data = SignedData::parse(bytes).ok()?;
            let token = data.signer.unsigned(crate::signature::cms::SIGNATURE_TIMESTAMP);
            token.first().map(|t| t.to_vec())
        })
        .collect();
    assert!(!real.is_empty());
    let trust = trust();
    each(&real, 8 * ROUNDS, |bytes| assert!(!fuzzing::timestamp(bytes, &trust)));
}
