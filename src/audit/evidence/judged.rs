//! The document's signatures, judged again: under the given roots, with the seals of the directory version and the
//! revocation data that an event names, at the time of the event, which its log proves. What comes out must be what the
//! event says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};
use std::sync::Arc;

use bytes::Bytes;

use super::container::{Broken, Container, Entry};
use super::messages::{Message, ProvenEvent, version_of};
use super::report::Report;
use super::{file_of_digest, names};
use crate::directory::Directory;
use crate::domain::document::Kind;
use crate::domain::event::{EventKind, Judged, LogRef, RoleVerdicts};
use crate::domain::ids::{AgencyId, Digest};
use crate::domain::limits;
use crate::exchange::existence::judged_at;
use crate::exchange::judge::{START, is_read_whole, judged, prove_from};
use crate::exchange::message::role_verdicts;
use crate::merkle::{Hash, sha256};
use crate::signature::{
    Crl, CrlStore, Digests, Hasher, MAX_PDF, OcspStore, Reason, Trust, Verdict, Verdicts, digest_needs,
    judge_detached, judge_pdf,
};
use crate::time::Timestamp;

/// The revocation data of a container, by digest.
#[derive(Default)]
pub(super) struct Revocation {
    lists: BTreeMap<Digest, Arc<Crl>>,
    responses: BTreeMap<Digest, Arc<[u8]>>,
    files: BTreeMap<Digest, String>,
}

impl Revocation {
    /// Adds a file; the error says why it is none.
    pub fn add(&mut self, path: &str, digest: Digest, bytes: Vec<u8>) -> Result<(), String> {
        if file_of_digest(path) != Some(digest) {
            return Err(format!("its SHA-256 is {digest}, not the one of its name"));
        }
        if path == names::revocation(&digest, true) {
            let list = Crl::read(&bytes).map_err(|e| e.to_string())?;
            self.lists.insert(digest, Arc::new(list));
        } else if path == names::revocation(&digest, false) {
            let response: Arc<[u8]> = bytes.into();
            OcspStore::new([response.clone()]).map_err(|e| e.to_string())?;
            self.responses.insert(digest, response);
        } else {
            return Err("its name is not that of a list or a response".to_owned());
        }
        self.files.insert(digest, path.to_owned());
        Ok(())
    }

    /// Its files by digest.
    pub fn files(&self) -> &BTreeMap<Digest, String> {
        &self.files
    }

    /// A trust with all of it.
    pub fn all(&self, trust: Trust) -> Trust {
        self.with(trust, |_| true)
    }

    fn with(&self, trust: Trust, wanted: impl Fn(&Digest) -> bool) -> Trust {
        let lists = self.lists.iter().filter(|(digest, _)| wanted(digest)).map(|(_, list)| list.clone());
        let responses = self.responses.iter().filter(|(digest, _)| wanted(digest)).map(|(_, r)| r.clone());
        let trust = trust.with_crls(CrlStore::new(lists));
        // Each was read when it was added.
        match OcspStore::new(responses) {
            Ok(responses) => trust.with_ocsp(responses),
            Err(_) => trust,
        }
    }

    fn has(&self, digest: &Digest) -> bool {
        self.lists.contains_key(digest) || self.responses.contains_key(digest)
    }
}

/// What signatures are judged under.
pub(super) struct Judging<'a> {
    pub directories: &'a [Directory],
    pub roots: &'a [Vec<u8>],
    pub revocation: &'a Revocation,
}

/// A part with what is judged of it.
struct AtHand {
    digests: Digests,
    signatures: Vec<Bytes>,
    /// A PDF, which is read whole when it is judged: one at a time.
    whole: Option<Entry>,
}

/// Checks the verdicts of every event about the document.
pub(super) fn check<R: Read + Seek>(
    report: &mut Report,
    container: &mut Container<R>,
    judging: &Judging<'_>,
    exporter: &str,
    events: &[ProvenEvent],
    message: &Message,
) -> Result<(), Broken> {
    // A status is authentic by its sender's log.
    if message.kind() == Kind::Status {
        return Ok(());
    }
    let mut parts: Option<Option<Vec<AtHand>>> = None;
    for found in events.iter().filter(|e| !e.again && e.event.kind.delivery_id() == Some(message.id)) {
        let Some(directory) = version_of(judging.directories, found.event.directory_version) else {
            continue;
        };
        let Some(recorded) = recorded(found, events, directory) else { continue };
        let what = verdicts_text(found, recorded.verdicts);
        let at_hand = match &mut parts {
            Some(known) => known,
            empty => empty.insert(at_hand(container, message)?),
        };
        let Some(parts) = at_hand else {
            let why =
                "what was signed is not in the container, so its signatures cannot be judged again here";
            report.notes(&found.file, what, why);
            for digest in recorded.facts.evidence.iter().filter(|d| !judging.revocation.has(d)) {
                let what = format!("revocation data with SHA-256 {digest}, which its verdicts rest on");
                let why = "it is not in the container: it was inside of what was signed, or was left out";
                report.notes(&found.file, what, why);
            }
            continue;
        };
        let sender = sender_of(events, found);
        let mut case = Case { report: &mut *report, container: &mut *container, judging, exporter, parts };
        case.again(found, directory, &sender, &recorded, what)?;
    }
    Ok(())
}

/// What an event says of signatures, and when they were judged.
struct Recorded<'a> {
    verdicts: RoleVerdicts,
    facts: &'a Judged,
    /// When the node had the message.
    received: Timestamp,
    /// The times that it may have judged at: a cosignature of the origin's checkpoint proves an earlier one, and a long
    /// content may have come between judging and recording.
    times: Vec<Timestamp>,
}

fn recorded<'a>(
    found: &'a ProvenEvent,
    events: &'a [ProvenEvent],
    directory: &Directory,
) -> Option<Recorded<'a>> {
    let at = found.event.at;
    let arrived = |origin: &LogRef, received: Timestamp| {
        let sent = events.iter().filter(|e| e.log == origin.log && e.index == origin.index);
        let mut times = vec![received];
        for sent in sent {
            times.push(judged_at(directory, &sent.node, &sent.checkpoint, received));
            times.push(sent.event.at);
        }
        times.dedup();
        times
    };
    match &found.event.kind {
        EventKind::Submitted { verdicts, judged, .. } => {
            Some(Recorded { verdicts: *verdicts, facts: judged, received: at, times: vec![at] })
        }
        EventKind::Received { verdicts, judged, origin, .. } => {
            let mut times = arrived(origin, at);
            times.extend(received_before(events, found));
            Some(Recorded { verdicts: *verdicts, facts: judged, received: at, times })
        }
        // A refusal before the content came says nothing of signatures.
        EventKind::Refused { verdicts, judged, origin, content_digests, .. }
            if !content_digests.is_empty() =>
        {
            let times = arrived(origin, at);
            Some(Recorded { verdicts: *verdicts, facts: judged, received: at, times })
        }
        // The agency decided by itself: nothing was judged. The node judges at the time of the arrival.
        EventKind::Released { verdicts, judged, origin, .. } if *judged != Judged::default() => {
            let arrival = events.iter().find(|e| {
                e.log == found.log
                    && e.event.kind.delivery_id() == found.event.kind.delivery_id()
                    && matches!(e.event.kind, EventKind::Received { .. })
            });
            let received = arrival.map_or(at, |e| e.event.at);
            let times = arrived(origin, received);
            Some(Recorded { verdicts: *verdicts, facts: judged, received, times })
        }
        _ => None,
    }
}

/// When a lost log of the node had received it, by the receipt of then, which is here.
fn received_before(events: &[ProvenEvent], found: &ProvenEvent) -> Option<Timestamp> {
    let id = found.event.kind.delivery_id()?;
    let receipt = events.iter().filter(|e| e.log == found.log).find_map(|e| match &e.event.kind {
        EventKind::Returned { delivery_id, first } if *delivery_id == id => Some(&first.receipt),
        _ => None,
    })?;
    let is_receipt = |e: &&ProvenEvent| {
        (&e.log, e.index, e.leaf_hash) == (&receipt.log, receipt.index, receipt.leaf_hash)
            && e.event.kind.delivery_id() == Some(id)
    };
    events.iter().find(is_receipt).map(|e| e.event.at)
}

/// The sender's registered agency: of the event, or of another of its log about the same delivery.
fn sender_of(events: &[ProvenEvent], found: &ProvenEvent) -> AgencyId {
    let id = found.event.kind.delivery_id();
    let about = events.iter().filter(|e| e.event.kind.delivery_id() == id);
    let mut items =
        about.filter_map(|e| Some((e.log != found.log, e.event.kind.item()?))).collect::<Vec<_>>();
    items.sort_by_key(|(elsewhere, _)| *elsewhere);
    let own = found.event.kind.item().or(items.first().map(|(_, item)| *item));
    own.map(|item| item.parties.sender_registered.clone()).unwrap_or_default()
}

struct Case<'a, R> {
    report: &'a mut Report,
    container: &'a mut Container<R>,
    judging: &'a Judging<'a>,
    exporter: &'a str,
    parts: &'a [AtHand],
}

impl<R: Read + Seek> Case<'_, R> {
    /// Judges everything again and compares.
    fn again(
        &mut self,
        found: &ProvenEvent,
        directory: &Directory,
        sender: &AgencyId,
        recorded: &Recorded<'_>,
        what: String,
    ) -> Result<(), Broken> {
        let Recorded { verdicts, facts, received, times } = recorded;
        let version = found.event.directory_version;
        let revocation = self.judging.revocation;
        let trust = match directory.trust().clone().with_roots(self.judging.roots) {
            Ok(trust) => revocation.with(trust, |digest| facts.evidence.contains(digest)),
            Err(error) => {
                self.report.fails(&found.file, what, format!("the given roots cannot be used: {error}"));
                return Ok(());
            }
        };
        let same = |v: &Verdicts, at: Timestamp| {
            let mut again = judged(v);
            prove_from(&mut again, at, *received);
            role_verdicts(v) == *verdicts && again.signatures == facts.signatures
        };
        let mut at = *received;
        let mut verdict = self.judge(sender.as_str(), &trust, at)?;
        for time in times.iter().skip(1).filter(|time| **time != *received) {
            if same(&verdict, at) {
                break;
            }
            let earlier = self.judge(sender.as_str(), &trust, *time)?;
            if same(&earlier, *time) || (*time < at && same(&earlier, *received)) {
                (verdict, at) = (earlier, *time);
            }
        }
        let by =
            format!("the given roots and the seals of directory version {}, at {at}", directory.version());
        if same(&verdict, at) || same(&verdict, *received) {
            let n = verdict.signatures.len();
            let data = facts.evidence.iter().filter(|d| revocation.has(d)).count();
            let how = if n == 0 {
                "no signature is beside or inside its files".to_owned()
            } else {
                format!(
                    "{n} signatures judged again under {by}, with {data} revocation lists or responses: the same"
                )
            };
            self.report.holds(&found.file, what, how);
            self.evidence_is_here(found, facts, &verdict);
            return Ok(());
        }
        let again = role_verdicts(&verdict);
        let reason = again.reason.map_or_else(String::new, |r| format!(", {r}"));
        let first = verdict.signatures.iter().find(|s| s.reason.is_some() && s.reason == again.reason);
        let detail = first.map_or_else(String::new, |s| format!(": {}", s.detail));
        let other = format!(
            "judged again under {by}: person {}, agency {}{reason}{detail}",
            again.person, again.agency
        );
        let elsewhere = found.log != self.exporter
            && (directory.version() != version
                || (again.reason == Some(Reason::RevocationUnknown)
                    && facts.evidence.iter().any(|d| !revocation.has(d)))
                // A cosignature proved an earlier time to that node, and the proof with it is there.
                || facts.signatures.iter().any(|s| s.proven_at.is_some_and(|at| at < *received)));
        if elsewhere {
            let why = format!(
                "its node says so; the revocation data or directory version that it used is not here ({other})"
            );
            self.report.notes(&found.file, what, why);
        } else {
            self.report.fails(&found.file, what, other);
            self.evidence_is_here(found, facts, &verdict);
        }
        Ok(())
    }

    /// The revocation data and timestamps that an event names are here, or inside what was signed.
    fn evidence_is_here(&mut self, found: &ProvenEvent, facts: &Judged, verdict: &Verdicts) {
        let inside = verdict.evidence();
        let missing = |d: &&Digest| !self.judging.revocation.has(d) && !inside.contains(d.as_bytes());
        let Some(digest) = facts.evidence.iter().find(missing) else { return };
        let what = format!("revocation data with SHA-256 {digest}, which its verdicts rest on");
        if found.log == self.exporter {
            self.report.fails(&found.file, what, "it is not in the container, nor in what was signed");
        } else {
            let why = "it is not in the container: the other node used it, this one had other data";
            self.report.notes(&found.file, what, why);
        }
    }

    fn judge(&mut self, sender: &str, trust: &Trust, at: Timestamp) -> Result<Verdicts, Broken> {
        let mut all = Vec::with_capacity(self.parts.len());
        for part in self.parts {
            let beside = judge_detached(&part.signatures, &part.digests, sender, trust, at);
            all.push(match &part.whole {
                Some(entry) => {
                    let whole = self.container.whole(entry, MAX_PDF as u64)?;
                    judge_pdf(&whole, sender, trust, at).and_beside(beside)
                }
                None => beside,
            });
        }
        Ok(Verdicts::worst(&all))
    }
}

fn verdicts_text(found: &ProvenEvent, verdicts: RoleVerdicts) -> String {
    let reason = verdicts.reason.map_or_else(String::new, |r| format!(", {r}"));
    format!(
        "node {} found signatures: person {}, agency {}{reason}",
        found.node, verdicts.person, verdicts.agency
    )
}

/// Everything that is judged; `None` where something of it is not in the container.
fn at_hand<R: Read + Seek>(
    container: &mut Container<R>,
    message: &Message,
) -> Result<Option<Vec<AtHand>>, Broken> {
    let Some(envelope) = message.envelope() else { return Ok(None) };
    if let Some(statement) = envelope.statement() {
        let named: usize = envelope.signatures().iter().map(|s| s.len()).sum();
        let paths = (0..named).map(|at| names::notice_signature(&message.id, at));
        let Some(signatures) = signatures(container, paths)? else { return Ok(None) };
        let mut hasher = Hasher::new(digest_needs(&signatures));
        hasher.update(statement.as_bytes());
        return Ok(Some(vec![AtHand { digests: hasher.finish(), signatures, whole: None }]));
    }
    let mut all = Vec::new();
    let parts = envelope.parts();
    for (part, files) in parts.iter().zip(names::parts(parts)) {
        let Some(signatures) = signatures(container, files.signatures)? else { return Ok(None) };
        let Some(entry) = container.entry(&files.content) else { return Ok(None) };
        let mut hasher = Hasher::new(digest_needs(&signatures));
        let mut start = Vec::new();
        container.read(&entry, |piece| {
            start.extend(piece.iter().take(START - start.len().min(START)));
            hasher.update(piece);
        })?;
        let whole = is_read_whole(part, &start).then_some(entry);
        all.push(AtHand { digests: hasher.finish(), signatures, whole });
    }
    Ok(Some(all))
}

/// Signatures by their files; `None` where one is not in the container.
fn signatures<R: Read + Seek>(
    container: &mut Container<R>,
    paths: impl IntoIterator<Item = String>,
) -> Result<Option<Vec<Bytes>>, Broken> {
    let mut all = Vec::new();
    for path in paths {
        let Some(entry) = container.entry(&path) else { return Ok(None) };
        all.push(container.whole(&entry, limits::SIGNATURE_BYTES as u64)?.into());
    }
    Ok(Some(all))
}

/// The CAdES signature over the manifest, by a certificate under the given roots; gives the revocation data that it is
/// judged by.
pub(super) fn manifest<R: Read + Seek>(
    report: &mut Report,
    container: &mut Container<R>,
    roots: &[Vec<u8>],
    revocation: &Revocation,
    (signed, xml): (bool, &[u8]),
) -> Result<BTreeSet<Digest>, Broken> {
    let (file, none) = (names::SIGNATURE, BTreeSet::new());
    if !signed {
        let why = "who made the container is not proven: the node that exported has no certificate for it, or the signature \
             was taken off; what is in it stands on proofs of its own";
        report.notes(names::MANIFEST, "nobody signed the manifest", why);
        return Ok(none);
    }
    let what = "the manifest is signed";
    let Some(entry) = container.entry(file) else {
        report.fails(file, what, "the manifest names it, it is not in the container: it was removed");
        return Ok(none);
    };
    let signature = container.whole(&entry, limits::SIGNATURE_FILE_BYTES)?;
    let trust = match Trust::new(roots) {
        Ok(trust) => revocation.all(trust),
        Err(error) => {
            report.fails(file, what, format!("the given roots cannot be used: {error}"));
            return Ok(none);
        }
    };
    let digests = Digests { sha256: *sha256(xml).as_bytes(), sha384: None, sha512: None };
    // Nothing proves when it was made: it is judged at the time that it claims, and said so.
    let judge = |at| judge_detached(&[&signature], &digests, "", &trust, at);
    let first = judge(Timestamp::from_millis(0));
    let claimed = first.signatures.first().and_then(|s| s.claimed_at);
    let found = claimed.map_or(first, judge);
    let evidence = found.evidence().into_iter().map(Hash).collect();
    let Some(signature) = found.signatures.first() else { return Ok(none) };
    let at = signature.proven_at.or(claimed).map_or_else(|| "no time".to_owned(), |t| t.to_string());
    let signer = &signature.signer;
    match signature.verdict {
        Verdict::Valid => {
            let how =
                format!("CAdES, {}, certificate under the given roots, not revoked", signature.algorithm);
            report.holds(file, format!("{signer} signed the manifest, and claims {at}"), how);
        }
        Verdict::Indeterminate => {
            let why = format!("the signature is intact, but {}", signature.detail);
            report.notes(file, format!("{signer} signed the manifest, and claims {at}"), why);
        }
        _ => {
            let reason = signature.reason.map_or("", |r| r.as_str());
            report.fails(file, what, format!("{reason}: {}", signature.detail));
        }
    }
    Ok(evidence)
}
