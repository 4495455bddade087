//! Judging the signatures of a document's parts, at either node.
//!
//! A part is judged by the signatures beside it, and a PDF by those inside it as well, for which it is read whole,
//! whatever its name says ([`is_pdf`]). One that is too large for that has its signatures beside it. Files are judged on threads of their own, a few at a time: a large or hostile one delays no message.
//! What was used and did not come with the document (revocation lists, OCSP responses) is kept with the content.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{Exchange, message};
use crate::directory::Directory;
use crate::domain::document::Part;
use crate::domain::event::{Judged, RoleVerdicts, SignatureFacts};
use crate::domain::ids::Digest;
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{Envelope, limits};
use crate::ledger::storage;
use crate::merkle::Hash;
use crate::signature::{
    Digests, Hasher, MAX_PDF, Trust, Verdicts, digest_needs, is_pdf, judge_detached, judge_pdf,
    refuse_large_pdf,
};
use crate::store::content::RECORD_BYTES;
use crate::time::Timestamp;

/// A PDF up to this size is judged at once: it takes less than handing it over.
const AT_ONCE: usize = 16 * 1024;
/// First bytes that tell a PDF.
pub(crate) const START: usize = 5;
/// Digests of revocation lists that are known to be kept.
const KEPT: usize = 1_000;

/// What judging needs beside the trust.
pub(crate) struct Judging {
    files: Semaphore,
    /// The same for each sender that has any, so that at most so many of one wait before another's.
    of_senders: Mutex<HashMap<String, Arc<Semaphore>>>,
    kept: Mutex<HashSet<Digest>>,
}

impl Default for Judging {
    fn default() -> Self {
        Judging {
            files: Semaphore::new(limits::JUDGED_AT_ONCE),
            of_senders: Mutex::default(),
            kept: Mutex::default(),
        }
    }
}

impl Judging {
    fn of_sender(&self, sender: &str) -> Arc<Semaphore> {
        let mut all = self.of_senders.lock().unwrap_or_else(PoisonError::into_inner);
        // Who waits holds a second handle.
        all.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        let new = || Arc::new(Semaphore::new(limits::JUDGED_AT_ONCE));
        all.entry(sender.to_owned()).or_insert_with(new).clone()
    }
}

/// The outcome for a document.
pub(super) struct Outcome {
    /// In full, for an answer to a person.
    pub found: Verdicts,
    /// As an event has it.
    pub verdicts: RoleVerdicts,
    /// How it came about.
    pub judged: Judged,
}

impl Outcome {
    /// Judged at a time that was proven otherwise than by the document's own timestamps, when it is before `received`.
    pub fn proven(mut self, at: Timestamp, received: Timestamp) -> Outcome {
        prove_from(&mut self.judged, at, received);
        self
    }
}

/// Signatures without a timestamp of their own are proven from `at` on, where that is before they were received.
pub(crate) fn prove_from(judged: &mut Judged, at: Timestamp, received: Timestamp) {
    if at < received {
        judged.signatures.iter_mut().for_each(|s| s.proven_at = s.proven_at.or(Some(at)));
    }
}

/// A part and what is at hand of it.
pub(super) struct PartAtHand<'a> {
    pub part: &'a Part,
    pub signatures: &'a [Bytes],
    pub digests: &'a Digests,
    /// How to read the content, where it is not in the store: only when its turn has come.
    pub content: Option<Content<'a>>,
}

/// Reads the beginning of a content, at most that many bytes.
pub(super) type Content<'a> = Box<dyn Fn(usize) -> Result<Bytes, Rejection> + Send + Sync + 'a>;

/// The parts of a message whose content is in the store.
pub(super) fn stored_parts<'a>(
    envelope: &'a Envelope,
    signatures: &'a [Vec<Bytes>],
    digests: &'a [Digests],
) -> Vec<PartAtHand<'a>> {
    let parts = envelope.parts().iter().zip(signatures).zip(digests);
    parts
        .map(|((part, signatures), digests)| PartAtHand { part, signatures, digests, content: None })
        .collect()
}

/// Whether a part is read whole for the signatures inside it; `start` is its first bytes.
pub(crate) fn is_read_whole(part: &Part, start: &[u8]) -> bool {
    may_be_read_whole(part) && is_pdf(&part.name, &part.media_type, start)
}

/// Whether a part is not too large for that.
pub(super) fn may_be_read_whole(part: &Part) -> bool {
    part.size <= MAX_PDF as u64
}

/// A PDF that is too large to be read whole needs its signatures beside it.
pub(super) fn check_files(parts: &[Part]) -> Result<(), Rejection> {
    for (i, part) in parts.iter().enumerate().filter(|(_, part)| part.signatures.is_empty()) {
        if is_pdf(&part.name, &part.media_type, b"") && !may_be_read_whole(part) {
            return Err(Rejection::new(
                Reason::ContentTooLarge,
                format!("parts[{i}].size"),
                format!(
                    "a PDF of {} bytes is not read for signatures inside it, at most {MAX_PDF} are: send \
                     detached signatures beside it",
                    part.size
                ),
            ));
        }
    }
    Ok(())
}

impl Exchange {
    /// Judges a document of `sender`, the registered agency.
    pub(super) async fn judge(
        &self,
        sender: &str,
        directory: &Directory,
        parts: &[PartAtHand<'_>],
        now: Timestamp,
    ) -> Result<Outcome, Rejection> {
        let trust = self.trust(directory);
        let mut all = Vec::with_capacity(parts.len());
        for part in parts {
            let beside = judge_detached(part.signatures, part.digests, sender, &trust, now);
            let start = self.start(part)?;
            all.push(if is_read_whole(part.part, &start) {
                self.judge_file(part, sender, &trust, now).await?.and_beside(beside)
            } else if part.signatures.is_empty() && is_pdf(&part.part.name, &part.part.media_type, &start) {
                refuse_large_pdf()
            } else {
                beside
            });
        }
        self.outcome(&trust, Verdicts::worst(&all))
    }

    /// Judges the seal of a notice, which is over its statement.
    pub(super) fn judge_statement(
        &self,
        sender: &str,
        directory: &Directory,
        statement: &str,
        signatures: &[Bytes],
        now: Timestamp,
    ) -> Result<Outcome, Rejection> {
        let trust = self.trust(directory);
        let mut hasher = Hasher::new(digest_needs(signatures));
        hasher.update(statement.as_bytes());
        self.outcome(&trust, judge_detached(signatures, &hasher.finish(), sender, &trust, now))
    }

    /// What was found, with what it rests on kept, and what was missing asked for.
    fn outcome(&self, trust: &Trust, found: Verdicts) -> Result<Outcome, Rejection> {
        self.missed(&found);
        let judged = judged(&found);
        self.keep_evidence(trust, &judged)?;
        Ok(Outcome { verdicts: message::role_verdicts(&found), judged, found })
    }

    /// The first bytes of a part; none of one that is only checked and too large to be judged as a file.
    fn start(&self, part: &PartAtHand<'_>) -> Result<Bytes, Rejection> {
        if let Some(content) = &part.content {
            return content(START);
        }
        let store = self.ledger().content();
        let digest = &part.part.sha256;
        if part.part.size <= RECORD_BYTES {
            // It has just come, and is in memory: reading its file would wait for whoever writes that.
            let whole = store.get(digest).map_err(|e| storage(&e))?.unwrap_or_default();
            return Ok(whole.slice(..whole.len().min(START)));
        }
        let Some(location) = store.location(digest).map_err(|e| storage(&e))? else {
            return Ok(Bytes::new());
        };
        let mut start = vec![0; START.min(part.part.size as usize)];
        store.read(digest, &location, 0, &mut start).map_err(|e| storage(&e))?;
        Ok(start.into())
    }

    async fn judge_file(
        &self,
        part: &PartAtHand<'_>,
        sender: &str,
        trust: &Trust,
        now: Timestamp,
    ) -> Result<Verdicts, Rejection> {
        let judging = &self.inner.judging;
        let of_sender = judging.of_sender(sender);
        let _turn = of_sender.acquire().await;
        let places = if part.part.size > limits::JUDGED_ALONE_BYTES { limits::JUDGED_AT_ONCE } else { 1 };
        let _places = judging.files.acquire_many(places as u32).await;
        let content = match &part.content {
            Some(content) => content(MAX_PDF)?,
            None => self.stored_content(&part.part.sha256)?,
        };
        if content.len() <= AT_ONCE {
            return Ok(judge_pdf(&content, sender, trust, now));
        }
        let (sender, trust) = (sender.to_owned(), trust.clone());
        tokio::task::spawn_blocking(move || judge_pdf(&content, &sender, &trust, now)).await.map_err(
            |error| {
                tracing::error!(%error, "judging a file failed");
                Rejection::new(
                    Reason::Internal,
                    "parts",
                    "the file could not be judged: this node's operator must look",
                )
            },
        )
    }

    /// Keeps the revocation lists that were used; what came with the document is in its content.
    fn keep_evidence(&self, trust: &Trust, judged: &Judged) -> Result<(), Rejection> {
        for digest in &judged.evidence {
            let known = |kept: &HashSet<Digest>| kept.contains(digest);
            // A full disk may have taken it again.
            if self.ledger().content().claim(digest)
                && known(&self.inner.judging.kept.lock().unwrap_or_else(PoisonError::into_inner))
            {
                continue;
            }
            let list = trust.crls().find(digest.as_bytes()).map(|list| list.der());
            let data =
                list.or_else(|| trust.responses().find(digest.as_bytes()).map(|response| &response[..]));
            if let Some(data) = data {
                self.ledger().content().put_whole(*digest, data).map_err(|e| storage(&e))?;
            }
            let mut kept = self.inner.judging.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(*digest);
        }
        Ok(())
    }
}

/// How verdicts came about, as an event records it.
pub(crate) fn judged(found: &Verdicts) -> Judged {
    let signatures = found.signatures.iter().take(limits::SIGNATURES).map(|s| SignatureFacts {
        role: s.role,
        verdict: s.verdict,
        reason: s.reason,
        certificate: s.certificate_sha256.map(Hash),
        proven_at: s.proven_at,
    });
    let evidence = found.evidence().into_iter().take(limits::SIGNATURES).map(Hash);
    Judged { signatures: signatures.collect(), evidence: evidence.collect() }
}
