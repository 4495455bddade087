//! Verdicts on the signatures inside a PDF (ISO 32000-2 §12.8, EN 319 142-1).
//!
//! The `pdf` module reads the file and says of each signature which bytes it covers and what was changed after it; a
//! file that it cannot read is refused as a document. Each signature is then judged like a detached one over these
//! bytes. Document timestamps are nobody's signature: they only prove the time of the signatures whose revisions they
//! cover. The document's security store (DSS) and all that any of its signatures carries serve them all.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use crate::time::Timestamp;

use super::algorithm::Digest;
use super::asn1::definite;
use super::cms::SignedData;
use super::digest::{DigestNeeds, Digests, Hasher};
use super::judge::{Beside, Case, Profile};
use super::pdf::{self, PdfSignature, PdfSignatureKind};
use super::revocation::Sources;
use super::revocation::embedded::Embedded;
use super::timestamp::{self, Proof};
use super::trust::Trust;
use super::verdict::{Fault, Judgement, Reason, Verdict, Verdicts};

/// Judges the signatures inside a PDF, at one time. `sender` is the permanent id of the registered agency whose listed
/// seals count as the agency's. A file that is malformed, encrypted or over a limit is refused as a document
/// ([`Verdicts::refused`]).
pub fn judge_pdf(bytes: &[u8], sender: &str, trust: &Trust, at: Timestamp) -> Verdicts {
    let file = match pdf::read(bytes) {
        Ok(file) => file,
        Err(fault) => return Verdicts::refuse(fault),
    };

    // 1. What the document brings along: for every signature, whichever brought it.
    let cms: Vec<Cow<'_, [u8]>> =
        file.signatures.iter().map(|s| definite(&s.cms).unwrap_or(Cow::Borrowed(&s.cms))).collect();
    let read: Vec<Option<SignedData<'_>>> = cms.iter().map(|bytes| SignedData::parse(bytes).ok()).collect();
    let mut shared = Embedded::default();
    file.validation.certs.iter().for_each(|der| shared.add_certificate(der));
    file.validation.crls.iter().for_each(|der| shared.add_crl(der));
    file.validation.ocsps.iter().for_each(|der| shared.add_response(der));
    let stamps = |s: &&PdfSignature| matches!(s.kind, PdfSignatureKind::DocTimestamp);
    read.iter().flatten().for_each(|data| shared.add_cms(data));

    // 2. The document timestamps (EN 319 142-1 §5.4.3), over the bytes that they cover.
    let mut content = Content { bytes, known: HashMap::new() };
    let mut proofs: Vec<(&PdfSignature, Proof)> = Vec::new();
    let mut missed = Vec::new();
    {
        let all = [&shared];
        let sources = Sources::new(trust, &all);
        for ((stamp, data), token) in
            file.signatures.iter().zip(&read).zip(&cms).filter(|((s, _), _)| stamps(s))
        {
            let Some(data) = data else { continue };
            let digests = content.digests(&stamp.ranges, DigestNeeds { sha384: true, sha512: true });
            let stamped = |digest: Digest| match digest {
                Digest::Sha256 => Some(digests.sha256.to_vec()),
                Digest::Sha384 => digests.sha384.map(|d| d.to_vec()),
                Digest::Sha512 => digests.sha512.map(|d| d.to_vec()),
            };
            if let Ok(proof) = timestamp::prove(token, data, &stamped, trust, &sources, at) {
                proofs.push((stamp, proof));
            }
        }
        missed.append(&mut sources.take_missed());
    }

    // 3. The signatures.
    let judge = |signature: &PdfSignature, content: &mut Content<'_>| {
        let beside = Beside {
            modified: signature.modified.clone(),
            proofs: proofs.iter().filter(|(s, _)| covers(s, signature)).map(|(_, p)| p.clone()).collect(),
            claimed_at: signature.claimed_at,
            missed: missed.clone(),
        };
        let profile = match &signature.kind {
            PdfSignatureKind::CadesDetached => Profile::Cades,
            PdfSignatureKind::Pkcs7Detached => Profile::Pkcs7,
            PdfSignatureKind::DocTimestamp => return None,
            PdfSignatureKind::Other(kind) => return Some(unknown_kind(kind, &beside)),
        };
        let case = Case { sender, trust, at, profile, shared: &shared };
        let needs = super::judge::digest_needs(&[&signature.cms]);
        Some(case.judge(&signature.cms, &content.digests(&signature.ranges, needs), &beside))
    };
    Verdicts::of(file.signatures.iter().filter_map(|s| judge(s, &mut content)).collect())
}

/// A sub-filter that is neither of CAdES nor PKCS #7 detached: nothing in it is malformed, it is another algorithm.
/// Those that ISO 32000-1 §12.8.3 defines over SHA-1 are weak whatever is inside.
fn unknown_kind(kind: &str, beside: &Beside) -> Judgement {
    let reason = match (&beside.modified, kind) {
        (Some(_), _) => Reason::ModifiedAfterSigning,
        (None, "adbe.x509.rsa_sha1" | "adbe.pkcs7.sha1") => Reason::WeakAlgorithm,
        (None, _) => Reason::UnsupportedAlgorithm,
    };
    let fault = Fault::new(reason, beside.modified.clone().unwrap_or_else(|| format!("sub-filter {kind}")));
    Judgement {
        verdict: Verdict::Invalid,
        reason: Some(fault.reason),
        detail: fault.detail,
        claimed_at: beside.claimed_at,
        algorithm: kind.chars().filter(|c| !c.is_control()).take(40).collect(),
        ..Judgement::default()
    }
}

/// Whether a timestamp is over all of a signature, its value included.
fn covers(stamp: &PdfSignature, signature: &PdfSignature) -> bool {
    stamp.ranges[0].start == 0
        && stamp.ranges[0].end >= signature.ranges[1].start
        && stamp.ranges[1].end >= signature.ranges[1].end
}

/// The file's bytes, and the digests of what signatures cover, each computed once.
struct Content<'a> {
    bytes: &'a [u8],
    known: HashMap<(usize, usize, usize, bool, bool), Digests>,
}

impl Content<'_> {
    fn digests(&mut self, ranges: &[Range<usize>; 2], needs: DigestNeeds) -> Digests {
        let key = (ranges[0].end, ranges[1].start, ranges[1].end, needs.sha384, needs.sha512);
        let made = self.known.entry(key).or_insert_with(|| {
            let mut hasher = Hasher::new(needs);
            for range in ranges {
                hasher.update(self.bytes.get(range.clone()).unwrap_or_default());
            }
            hasher.finish()
        });
        made.clone()
    }
}
