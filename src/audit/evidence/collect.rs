//! What a node has of a delivery: its own events, proven now, the other node's as they were kept, and all that they name.
//!
//! Events about the document come first, then those of the messages about it (statuses, revocations and the like), each
//! a delivery of its own. What never came here is left out: its digest stays proven. So is what was purged, whether it
//! is still on the disk or not; the event that purged it is among the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;

use super::find::{Known, known};
use super::source::{Audience, Source};
use super::{CollectError, damaged, names};
use crate::audit::{Query, list};
use crate::directory::Directory;
use crate::domain::envelope::{Body, Envelope};
use crate::domain::event::{Event, EventKind, Judged};
use crate::domain::fold::records::{Incoming, WithdrawnRecord};
use crate::domain::fold::{keys, load};
use crate::domain::hold;
use crate::domain::ids::{AgencyId, DeliveryId, Digest};
use crate::domain::limits;
use crate::exchange::timestamps::Stamped;
use crate::ledger::folds;
use crate::merkle::{Hash, sha256};
use crate::signature::{Crl, Trust, certificates_of, prove_timestamp};
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::wire::proof::Proof;
use crate::wire::{self, leaf};

/// Events read at once.
const PAGE: usize = 256;
/// Messages about one delivery that are exported: both sides may send so many.
const MESSAGES: usize = 2 * limits::NOTICES as usize + 1;
/// Bytes of a kept proof: a leaf, a path and a checkpoint with a hundred signatures.
pub(super) const PROOF_BYTES: u64 = 256 * 1024;
/// Bytes of one revocation list or response.
pub(super) const REVOCATION_BYTES: u64 = crate::exchange::trust::MAX_CRL_BYTES;

/// An event with its proof.
pub(super) struct Proven {
    pub event: Event,
    pub log: String,
    pub index: u64,
    /// The time in the timestamp of the smallest tree here that it is proven in.
    pub stamped_at: Option<Timestamp>,
}

/// A part of the document or something beside it.
pub(super) enum Data {
    Here(Bytes),
    Stored { digest: Digest, size: u64 },
}

impl Data {
    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Data::Here(bytes) => bytes.len() as u64,
            Data::Stored { size, .. } => *size,
        }
    }
}

/// A file to be.
pub(super) struct Planned {
    pub path: String,
    pub media_type: String,
    pub data: Data,
}

impl Planned {
    pub fn here(path: String, data: impl Into<Bytes>) -> Planned {
        let media_type = names::media_type(&path).to_owned();
        Planned { path, media_type, data: Data::Here(data.into()) }
    }
}

/// Everything about a delivery.
pub(super) struct Collected {
    pub id: DeliveryId,
    /// `None` where it was purged.
    pub envelope: Option<Envelope>,
    /// Of both nodes: this log's in order, then the other's.
    pub events: Vec<Proven>,
    /// The newest directory version that is kept.
    pub newest: Option<Directory>,
    pub files: Vec<Planned>,
}

/// Gathers everything about a delivery of a document.
pub(super) fn collect(source: &Source<'_>, id: DeliveryId) -> Result<Collected, CollectError> {
    let Known { outgoing, incoming } = known(source, id)?;
    let facts = outgoing.as_ref().map(|r| &r.facts).or(incoming.as_ref().map(|r| &r.facts));
    let facts = facts.ok_or_else(|| damaged(format!("delivery {id} has no record")))?;
    let statuses = outgoing.iter().flat_map(|r| &r.statuses).chain(incoming.iter().flat_map(|r| &r.statuses));
    let asked = outgoing.iter().flat_map(|r| &r.asked).chain(incoming.iter().flat_map(|r| &r.asked));
    let about: BTreeSet<u64> = statuses.map(|s| s.index).chain(asked.map(|a| a.index)).collect();
    // A revoke that came before the document.
    let withdrawn: Option<WithdrawnRecord> = match &incoming {
        Some(_) => load(source.index, &keys::withdrawn(&id, &facts.sender)).map_err(folds)?,
        None => None,
    };

    let mut gathered = Gathered {
        source,
        proofs: BTreeMap::new(),
        stamped: BTreeMap::new(),
        files: Vec::new(),
        versions: BTreeSet::new(),
    };
    let envelope = gathered.message(id, facts.envelope_digest)?;
    let mut messages: BTreeSet<DeliveryId> = BTreeSet::new();
    for index in about.into_iter().take(MESSAGES) {
        let event = event_at(source, index)?;
        if let Some(item) = event.kind.item()
            && messages.insert(item.delivery_id)
        {
            gathered.message(item.delivery_id, item.envelope_digest)?;
        }
    }
    if let Some(notice) = withdrawn.map(|w| w.notice).filter(|n| !messages.contains(n))
        && let Some(record) = load::<Incoming>(source.index, &keys::incoming(&notice)).map_err(folds)?
    {
        gathered.message(notice, record.facts.envelope_digest)?;
    }
    if let Some(envelope) = &envelope {
        gathered.document(envelope)?;
    }
    let events = gathered.events()?;
    gathered.timestamps()?;
    let newest = gathered.directories()?;
    let files = gathered.files;
    Ok(Collected { id, envelope, events, newest, files })
}

/// The files of revocation data that a judgement rests on, as far as it is held.
pub(super) fn revocation_files(trust: &Trust, evidence: &[[u8; 32]]) -> Vec<Planned> {
    let file = |digest: &[u8; 32]| {
        let list = trust.crls().find(digest).map(|list| (list.der().to_vec(), true));
        let response = trust.responses().find(digest).map(|response| (response.to_vec(), false));
        let (bytes, is_list) = list.or(response)?;
        Some(Planned::here(names::revocation(&Hash(*digest), is_list), bytes))
    };
    evidence.iter().filter_map(file).collect()
}

/// Adds files that are not there yet.
pub(super) fn add_new(files: &mut Vec<Planned>, more: Vec<Planned>) {
    for file in more {
        if files.iter().all(|known| known.path != file.path) {
            files.push(file);
        }
    }
}

fn event_at(source: &Source<'_>, index: u64) -> Result<Event, CollectError> {
    let bytes = source.index.leaf(index)?.ok_or_else(|| damaged(format!("event {index} is missing")))?;
    leaf::decode(&bytes).map_err(|e| damaged(format!("event {index}: {e}")))
}

/// What a proof stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Under {
    /// An event names it by digest: it was kept as it came, and is the one that both sides know.
    Kept,
    /// The newest checkpoint: it was made now.
    Newest,
    /// A checkpoint that was timestamped.
    Stamped,
    /// A checkpoint that other nodes cosigned.
    Cosigned,
}

/// A proof of an event, and what it stands on.
struct ProofOf {
    bytes: Bytes,
    event: Event,
    /// Of its checkpoint, without signatures.
    tree: String,
    under: Under,
}

impl ProofOf {
    fn new(proof: &Proof, event: Event, under: Under) -> ProofOf {
        ProofOf { bytes: proof.encode(), event, tree: tree_of(&proof.checkpoint).to_owned(), under }
    }
}

/// What the signatures of a checkpoint are over.
fn tree_of(note: &str) -> &str {
    note.split("\n\n").next().unwrap_or_default()
}

struct Gathered<'a> {
    source: &'a Source<'a>,
    /// By log and index: the proof as it was kept, else one that is made now; there may be several that were kept.
    proofs: BTreeMap<(String, u64), Vec<ProofOf>>,
    /// The timestamped checkpoints that proofs stand on, by size.
    stamped: BTreeMap<u64, Stamped>,
    files: Vec<Planned>,
    versions: BTreeSet<u64>,
}

impl Gathered<'_> {
    /// Envelope and events of one message; no envelope where it was purged.
    fn message(&mut self, id: DeliveryId, envelope_digest: Digest) -> Result<Option<Envelope>, CollectError> {
        let purged = hold::purged(self.source.index, &id).map_err(folds)?;
        let envelope = match purged {
            None => Some(self.envelope(id, envelope_digest)?),
            // Since the log was looked at: the event that says so is not in it.
            Some(purged) if purged.index >= self.source.size => return Err(purged.rejection(&id).into()),
            Some(_) => None,
        };
        let agencies: Vec<Option<AgencyId>> = match &self.source.audience {
            Audience::Node => vec![None],
            Audience::Agencies(agencies) => agencies.iter().cloned().map(Some).collect(),
        };
        for agency in agencies {
            let mut query = Query { delivery: Some(id), agency, limit: PAGE, ..Query::default() };
            loop {
                let (page, next) = list(self.source.index, self.source.size, &query)?;
                for (index, _, event) in page {
                    self.own(index, event)?;
                }
                query.from = next;
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(envelope)
    }

    /// The envelope of a message, and what it names that is small.
    fn envelope(&mut self, id: DeliveryId, envelope_digest: Digest) -> Result<Envelope, CollectError> {
        let bytes = self
            .whole(&envelope_digest, limits::ENVELOPE_BYTES as u64)?
            .ok_or_else(|| damaged(format!("envelope {envelope_digest} is missing")))?;
        let envelope = wire::envelope::decode(&bytes)
            .map_err(|e| damaged(format!("envelope {envelope_digest}: {e}")))?;
        self.versions.insert(envelope.directory_version);
        self.files.push(Planned::here(names::envelope(&id), bytes));
        if let Body::Notice(notice) = &envelope.body {
            for (at, (digest, _)) in notice.signatures.iter().enumerate() {
                if let Some(bytes) = self.whole(digest, limits::SIGNATURE_BYTES as u64)? {
                    self.files.push(Planned::here(names::notice_signature(&id, at), bytes));
                }
            }
        }
        Ok(envelope)
    }

    /// An event of this log, and the proof that it names of one in the other's.
    fn own(&mut self, index: u64, event: Event) -> Result<(), CollectError> {
        let place = (self.source.log.to_owned(), index);
        if self.proofs.get(&place).is_some_and(|known| known.iter().any(|p| p.under == Under::Newest)) {
            return Ok(());
        }
        let kept = match &event.kind {
            EventKind::Received { origin_proof, .. } | EventKind::Refused { origin_proof, .. } => {
                vec![*origin_proof]
            }
            EventKind::Settled { receipt_proof, .. } => vec![*receipt_proof],
            // Of a message that a lost log had sent, both proofs came back.
            EventKind::Recovered(recovered) => {
                let named = recovered.settled.named().proof;
                named.into_iter().chain([recovered.origin_proof]).collect()
            }
            EventKind::Returned { first, .. } => vec![first.proof],
            _ => Vec::new(),
        };
        let proof = (self.source.prove)(index, None)?;
        let stamped = self.stamped(index)?;
        let cosigned = self.cosigned(index)?;
        let known = self.proofs.entry(place).or_default();
        known.push(ProofOf::new(&proof, event.clone(), Under::Newest));
        known.extend(stamped.map(|proof| ProofOf::new(&proof, event.clone(), Under::Stamped)));
        known.extend(cosigned.map(|proof| ProofOf::new(&proof, event, Under::Cosigned)));
        for digest in kept {
            self.kept(&digest)?;
        }
        Ok(())
    }

    /// A proof as it was kept.
    fn kept(&mut self, digest: &Digest) -> Result<(), CollectError> {
        let bytes = self
            .whole(digest, PROOF_BYTES)?
            .ok_or_else(|| damaged(format!("the other node's proof {digest} is missing")))?;
        let proof =
            Proof::decode(&bytes).map_err(|e| damaged(format!("the other node's proof {digest}: {e}")))?;
        let event = leaf::decode(&proof.leaf)
            .map_err(|e| damaged(format!("the other node's proof {digest}: {e}")))?;
        let log = proof.checkpoint.lines().next().unwrap_or_default().to_owned();
        let known = self.proofs.entry((log, proof.index)).or_default();
        if known.iter().all(|other| other.bytes != bytes) {
            let tree = tree_of(&proof.checkpoint).to_owned();
            known.push(ProofOf { bytes, event, tree, under: Under::Kept });
        }
        Ok(())
    }

    /// The proof of an event of this log under the first timestamped checkpoint that covers it.
    fn stamped(&mut self, index: u64) -> Result<Option<Proof>, CollectError> {
        let covering = self.source.stamps.covering(index).map_err(|e| damaged(e.to_string()))?;
        // One that was made after the log was looked at.
        let Some(stamped) = covering.filter(|stamped| stamped.size <= self.source.size) else {
            return Ok(None);
        };
        let proof = (self.source.prove)(index, Some((stamped.size, &stamped.note)))?;
        self.stamped.insert(stamped.size, stamped);
        Ok(Some(proof))
    }

    /// The proof of an event of this log under the first checkpoint that others cosigned and that covers it.
    fn cosigned(&mut self, index: u64) -> Result<Option<Proof>, CollectError> {
        let Some(first) = self.source.cosigned.covering(index, self.source.size) else { return Ok(None) };
        let size = first.checkpoint.checkpoint().size;
        let proof = (self.source.prove)(index, Some((size, first.checkpoint.note())))?;
        let path = names::checkpoint(self.source.log, size);
        if self.files.iter().all(|file| file.path != path) {
            self.files.push(Planned::here(path, first.note()));
        }
        Ok(Some(proof))
    }

    /// The timestamps, each with its checkpoint, and the revocation data about their authority.
    fn timestamps(&mut self) -> Result<(), CollectError> {
        for (size, stamped) in std::mem::take(&mut self.stamped) {
            let path = |ending| names::timestamp(self.source.log, size, ending);
            let judged =
                prove_timestamp(&stamped.token, stamped.note.as_bytes(), self.source.trust, Timestamp::MAX)
                    .map_err(|e| damaged(format!("the timestamp of the checkpoint of {size} events: {e}")))?;
            self.files.push(Planned::here(path("note"), stamped.note));
            self.files.push(Planned::here(path("tst"), stamped.token));
            let all = revocation_files(self.source.trust, &judged.evidence);
            add_new(&mut self.files, all);
        }
        Ok(())
    }

    /// The parts and the signatures beside them, with the certificates in these.
    fn document(&mut self, envelope: &Envelope) -> Result<(), CollectError> {
        let named: BTreeSet<Digest> = self
            .proofs
            .values()
            .flatten()
            .filter_map(|proof| judged_of(&proof.event.kind))
            .flat_map(|judged| judged.signatures.iter().filter_map(|s| s.certificate))
            .collect();
        let mut certificates = BTreeMap::new();
        for (part, files) in envelope.parts().iter().zip(names::parts(envelope.parts())) {
            if let Some(size) = self.source.content.size(&part.sha256)? {
                let (media_type, digest) = (part.media_type.clone(), part.sha256);
                self.files.push(Planned {
                    path: files.content,
                    media_type,
                    data: Data::Stored { digest, size },
                });
            }
            for ((digest, _), path) in part.signatures.iter().zip(files.signatures) {
                let Some(bytes) = self.whole(digest, limits::SIGNATURE_BYTES as u64)? else { continue };
                for der in certificates_of(&bytes) {
                    certificates.insert(sha256(&der), der);
                }
                self.files.push(Planned::here(path, bytes));
            }
        }
        certificates.retain(|digest, _| named.contains(digest));
        let files = certificates.into_iter();
        self.files.extend(files.map(|(digest, der)| Planned::here(names::certificate(&digest), der)));
        Ok(())
    }

    /// The proofs, a file each, and the revocation data that their events name.
    fn events(&mut self) -> Result<Vec<Proven>, CollectError> {
        let mut events = Vec::new();
        let mut evidence: BTreeSet<Digest> = BTreeSet::new();
        let stamped: BTreeMap<&str, &Stamped> =
            self.stamped.values().map(|s| (tree_of(&s.note), s)).collect();
        for ((log, index), mut known) in std::mem::take(&mut self.proofs) {
            // A proof that an event names by digest is the one that both sides know.
            if known.iter().any(|p| p.under == Under::Kept) {
                known.retain(|p| p.under != Under::Newest);
                // As they came first: they are the ones that are named.
                known.sort_by_key(|p| p.under != Under::Kept);
            }
            let trees = known.iter().filter_map(|p| stamped.get(p.tree.as_str()));
            let stamped_at = trees.min_by_key(|s| s.size).map(|s| s.at);
            for (again, ProofOf { bytes, event, .. }) in known.into_iter().enumerate() {
                self.versions.insert(event.directory_version);
                evidence.extend(judged_of(&event.kind).iter().flat_map(|judged| &judged.evidence));
                self.files.push(Planned::here(names::event(&log, index, again), bytes));
                if again == 0 {
                    events.push(Proven { event, log: log.clone(), index, stamped_at });
                }
            }
        }
        events.sort_by_key(|e| (e.log != self.source.log, e.index));
        for digest in evidence {
            // What came with the document is in it; what the other node used is there.
            let Some(bytes) = self.whole(&digest, REVOCATION_BYTES)? else { continue };
            let path = names::revocation(&digest, Crl::read(&bytes).is_ok());
            let media_type = names::media_type(&path).to_owned();
            let data = Data::Stored { digest, size: bytes.len() as u64 };
            self.files.push(Planned { path, media_type, data });
        }
        Ok(events)
    }

    /// The directory versions that events and envelopes name, and the newest.
    fn directories(&mut self) -> Result<Option<Directory>, CollectError> {
        let dir = self.source.directories;
        let io = |action, path: &Path| StoreError::io(action, path.to_owned());
        let mut newest = None;
        for entry in std::fs::read_dir(dir).map_err(io("listing", dir))? {
            let name = entry.map_err(io("listing", dir))?.file_name();
            let number =
                name.to_str().and_then(|n| n.strip_suffix(".note")).and_then(|n| n.parse::<u64>().ok());
            newest = newest.max(number);
        }
        self.versions.extend(newest);
        let mut read = None;
        for version in std::mem::take(&mut self.versions) {
            let path = dir.join(format!("{version}.note"));
            // A version that never came here, or came as an older one, is the other node's.
            let note = match std::fs::read_to_string(&path) {
                Ok(note) => note,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(io("reading", &path)(e).into()),
            };
            if Some(version) == newest {
                read = Directory::verify(&note, self.source.authority).ok();
            }
            self.files.push(Planned::here(names::directory(version), note));
        }
        Ok(read)
    }

    /// A small content, checked; `None` where it is not there.
    fn whole(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>, CollectError> {
        let Some(size) = self.source.content.size(digest)? else { return Ok(None) };
        if size > limit {
            return Err(damaged(format!(
                "content {digest} has {size} bytes, more than the {limit} that it can have"
            )));
        }
        let mut data = vec![0; size as usize];
        self.source.content.read(digest, 0, &mut data)?;
        if sha256(&data) != *digest {
            return Err(damaged(format!("content {digest} is not what was stored")));
        }
        Ok(Some(data.into()))
    }
}

/// How the verdicts of an event came about, where it has any.
pub(super) fn judged_of(kind: &EventKind) -> Option<&Judged> {
    match kind {
        EventKind::Submitted { judged, .. }
        | EventKind::Received { judged, .. }
        | EventKind::Refused { judged, .. }
        | EventKind::Released { judged, .. } => Some(judged),
        _ => None,
    }
}
