//! Entry points for fuzzing: each reader, and what is done with what it read. Not part of the interface.
//!
//! None of them may panic, and each must end soon, whatever the bytes. What they answer is of no interest, except that
//! nothing may be valid that is not: `fuzz/` and the tests hold them to it.

use crate::time::Timestamp;

use super::algorithm::Digest;
use super::asn1::definite;
use super::certificate::Certificate;
use super::cms::SignedData;
use super::digest::{DigestNeeds, Digests, sha256};
use super::path;
use super::revocation::embedded::Embedded;
use super::revocation::ocsp::Ocsp;
use super::revocation::{Crl, CrlStore, Rule, Sources};
use super::timestamp;
use super::trust::Trust;
use super::verdict::Verdicts;

fn at() -> Timestamp {
    // 2016-08-06T00:00:00Z, as the corpus is judged.
    Timestamp::from_secs(1_470_441_600)
}

/// A detached signature beside an empty content.
pub fn cms(bytes: &[u8], trust: &Trust) -> Verdicts {
    let content = Digests::of(DigestNeeds { sha384: true, sha512: true }, b"");
    let _ = super::timestamp_imprint(bytes);
    let _ = super::add_timestamp(bytes, bytes);
    super::judge_detached(&[bytes], &content, "", trust, at())
}

/// A certificate, as a signer's with a path and as a root.
pub fn certificate(bytes: &[u8], trust: &Trust) {
    let Ok(read) = Certificate::read(bytes) else { return };
    let _ = (read.subject_text(), read.for_documents(), read.for_timestamps(), read.for_ocsp());
    let embedded = Embedded::default();
    let all = [&embedded];
    let sources = Sources::new(trust, &all);
    if let Ok(paths) = path::find(&read, &sha256(bytes), &[], trust) {
        for path in &*paths {
            let _ = path.check_time(&read, at());
            let _ = sources.check_path(&read, path, at(), Rule::AtTime, &mut Vec::new());
        }
    }
    let _ = Trust::new([bytes]);
}

/// A revocation list, asked about the certificates of others.
pub fn crl(bytes: &[u8], trust: &Trust, others: &[Vec<u8>]) {
    let Ok(crl) = Crl::read(bytes) else { return };
    let _ = (crl.entry(&[1]), crl.len(), crl.this_update(), crl.next_update());
    let trust = trust.clone().with_crls(CrlStore::new([crl.into()]));
    others.iter().for_each(|other| certificate(other, &trust));
}

/// An OCSP response, asked the same.
pub fn ocsp(bytes: &[u8], trust: &Trust, others: &[Vec<u8>]) {
    if Ocsp::read(bytes).is_err() {
        return;
    }
    if let Ok(trust) = trust.clone().with_responses(vec![bytes.to_vec()]) {
        others.iter().for_each(|other| certificate(other, &trust));
    }
}

/// A timestamp token over nothing.
pub fn timestamp(bytes: &[u8], trust: &Trust) -> bool {
    let Ok(token) = definite(bytes) else { return false };
    let Ok(data) = SignedData::parse(&token) else { return false };
    let mut embedded = Embedded::default();
    embedded.add_cms(&data);
    let all = [&embedded];
    let sources = Sources::new(trust, &all);
    let stamped = |digest: Digest| Some(digest.of_bytes(b"").as_ref().to_vec());
    timestamp::prove(&token, &data, &stamped, trust, &sources, at()).is_ok()
}

/// A PDF.
pub fn pdf(bytes: &[u8], trust: &Trust) -> Verdicts {
    super::judge_pdf(bytes, "", trust, at())
}
