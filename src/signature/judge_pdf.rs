//! Verdicts on the signatures inside a PDF (ISO 32000-2 §12.8, EN 319 142-1).
//!
//! The `pdf` module reads the file and says of each signature which bytes it covers and what was changed after it; a
//! file that it cannot read is refused as a document. Each signature is then judged like a detached one over these
//! bytes. Document timestamps are nobody's signature: they only prove the time of the signatures whose revisions they
//! cover. The document's security store (DSS) and all that any of its signatures carries serve them all.

use std::borrow::Cow;
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
use super::timestamp::{self, Proof, Stamped};
use super::trust::Trust;
use super::verdict::{Fault, Judgement, Reason, Verdict, Verdicts};

/// Whether a content is judged as a PDF: by its first bytes, its name or its media type. One rule for nodes and for
/// `verify`, so that a file has the same verdicts by whatever name it travels.
pub fn is_pdf(name: &str, media_type: &str, start: &[u8]) -> bool {
    start.starts_with(b"%PDF-")
        || media_type.eq_ignore_ascii_case("application/pdf")
        || name.to_ascii_lowercase().ends_with(".pdf")
}

/// The verdicts on a PDF that is too large to be read ([`MAX_PDF`](super::MAX_PDF)) and has no signatures beside it.
pub fn refuse_large_pdf() -> Verdicts {
    Verdicts::refuse(pdf::too_large())
}

/// Whether a PDF without signatures had some in an earlier revision of it: a hint that somebody took them out of its
/// form. They are no signatures of the file as it is.
pub fn had_signatures(bytes: &[u8]) -> bool {
    pdf::had_signatures(bytes).unwrap_or(false)
}

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
    let needs: Vec<DigestNeeds> = file
        .signatures
        .iter()
        .map(|s| match s.kind {
            PdfSignatureKind::DocTimestamp => DigestNeeds { sha384: true, sha512: true },
            _ => super::judge::digest_needs(&[&s.cms]),
        })
        .collect();
    let digests = digests(bytes, &file.signatures, &needs);
    let mut proofs: Vec<(&PdfSignature, Proof)> = Vec::new();
    let mut missed = Vec::new();
    let mut none = Vec::new();
    {
        let all = [&shared];
        let sources = Sources::new(trust, &all);
        let found = file.signatures.iter().zip(&read).zip(&cms).zip(&digests);
        for (((stamp, data), token), digests) in found.filter(|(((s, _), _), _)| stamps(s)) {
            let Some(data) = data else {
                none.push(stamp);
                continue;
            };
            let stamped = |digest: Digest| match digest {
                Digest::Sha256 => Some(digests.sha256.to_vec()),
                Digest::Sha384 => digests.sha384.map(|d| d.to_vec()),
                Digest::Sha512 => digests.sha512.map(|d| d.to_vec()),
            };
            match timestamp::prove(token, data, &stamped, trust, &sources, at) {
                Ok(proof) => proofs.push((stamp, proof)),
                // One by an authority that is not trusted, or not any more, is one all the same.
                Err(_) if !is_of(data, digests) => none.push(stamp),
                Err(_) => {}
            }
        }
        missed.append(&mut sources.take_missed());
    }

    // 3. The signatures.
    let judge = |(signature, digests): (&PdfSignature, &Digests)| {
        let behind = none.iter().find(|stamp| stamp.ranges[0].end >= signature.ranges[1].end);
        let modified = signature.modified.clone();
        let beside = Beside {
            modified: modified.or_else(|| behind.map(|stamp| no_timestamp(&stamp.field))),
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
        Some(case.judge(&signature.cms, digests, &beside))
    };
    Verdicts::of(file.signatures.iter().zip(&digests).filter_map(judge).collect())
}

/// Whether a token is of these digests; what SHA-1 made of the document is not looked at.
fn is_of(token: &SignedData<'_>, digests: &Digests) -> bool {
    const SHA1: usize = 20;
    timestamp::stamped(token).is_ok_and(|Stamped { imprint, .. }| {
        imprint.len() == SHA1
            || imprint == digests.sha256
            || digests.sha384.is_some_and(|digest| imprint == digest)
            || digests.sha512.is_some_and(|digest| imprint == digest)
    })
}

/// A revision is explained by the timestamp that it brings: one that is none, of nothing or of something else, explains
/// nothing.
fn no_timestamp(field: &str) -> String {
    let field: String = field.chars().filter(|c| !c.is_control()).take(80).collect();
    format!("the field `{field}` was added as a document timestamp, and is none of this document")
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

/// The digests of what signatures cover, in their order. All cover the file from its start, each up to its /Contents and
/// from there to the end of a revision: what comes before is hashed once for all of them.
fn digests(bytes: &[u8], signatures: &[PdfSignature], needs: &[DigestNeeds]) -> Vec<Digests> {
    let all = DigestNeeds {
        sha384: needs.iter().any(|needs| needs.sha384),
        sha512: needs.iter().any(|needs| needs.sha512),
    };
    let part = |range: Range<usize>| bytes.get(range).unwrap_or_default();
    let mut order: Vec<usize> = (0..signatures.len()).collect();
    order.sort_by_key(|&i| signatures[i].ranges[0].end);
    let (mut start, mut at) = (Hasher::new(all), 0);
    let mut made: Vec<Option<Digests>> = vec![None; signatures.len()];
    for i in order {
        let [before, after] = signatures[i].ranges.clone();
        start.update(part(at..before.end));
        at = before.end;
        let mut hasher = start.clone();
        hasher.update(part(after));
        made[i] = Some(hasher.finish());
    }
    made.into_iter().flatten().collect()
}
