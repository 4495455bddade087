//! What a node has of a delivery: its own events, proven now, the other node's as they were kept, and all that they name.
//!
//! Events about the document come first, then those of the messages about it (statuses, revocations and the like), each
//! a delivery of its own. What is missing because it never came, or because its time of keeping is over, is left out:
//! its digest stays proven.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;

use super::{CollectError, damaged, names};
use crate::audit::{Query, list};
use crate::directory::Directory;
use crate::domain::document::DocumentRef;
use crate::domain::envelope::{Body, Envelope};
use crate::domain::event::{Event, EventKind, Judged};
use crate::domain::fold::records::{AttemptRecord, Incoming, Outgoing, WithdrawnRecord};
use crate::domain::fold::{self, keys, load};
use crate::domain::hold;
use crate::domain::ids::{AgencyId, DeliveryId, Digest};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::timestamps::{Stamped, Stamps};
use crate::exchange::witness::ever::Ever;
use crate::ledger::folds;
use crate::merkle::{Hash, NoteVerifier, sha256};
use crate::signature::{Crl, Trust, certificates_of, prove_timestamp};
use crate::store::StoreError;
use crate::store::content::{ContentStore, StoppedContent};
use crate::store::index::Index;
use crate::time::{Date, Timestamp};
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

/// Where content is read from.
pub trait Contents {
    /// Bytes of a content; `None` where it is not there.
    fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError>;

    /// A piece of it, not checked: the reader hashes as it goes.
    fn read(&self, digest: &Digest, from: u64, buffer: &mut [u8]) -> Result<(), StoreError>;
}

fn missing(digest: &Digest) -> StoreError {
    let problem = format!("content {digest} went away while it was read");
    StoreError::Index { path: "content".into(), problem }
}

impl Contents for ContentStore {
    fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(self.location(digest)?.map(|location| location.length()))
    }

    fn read(&self, digest: &Digest, from: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        let location = self.location(digest)?.ok_or_else(|| missing(digest))?;
        ContentStore::read(self, digest, &location, from, buffer)
    }
}

impl Contents for StoppedContent {
    fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(self.location(digest)?.map(|location| location.length()))
    }

    fn read(&self, digest: &Digest, from: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        let location = self.location(digest)?.ok_or_else(|| missing(digest))?;
        StoppedContent::read(self, digest, &location, from, buffer)
    }
}

/// Whose eyes the evidence is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// An auditor of the node: everything.
    Node,
    /// Auditors of these agencies: what concerns one of them.
    Agencies(Vec<AgencyId>),
}

impl Audience {
    fn includes(&self, agency: &AgencyId) -> bool {
        match self {
            Audience::Node => true,
            Audience::Agencies(agencies) => agencies.contains(agency),
        }
    }
}

/// Proves an event by its index, under the newest checkpoint or under an earlier one: its size and its signed note.
pub type Prove<'a> = dyn Fn(u64, Option<(u64, &str)>) -> Result<Proof, Rejection> + 'a;

/// A node's store, running or not.
pub struct Source<'a> {
    /// The log as everything reads it.
    pub index: &'a Index,
    /// Its origin.
    pub log: &'a str,
    /// Its size.
    pub size: u64,
    /// Proves an event under a checkpoint of that size, or under one that was timestamped or cosigned.
    pub prove: &'a Prove<'a>,
    /// The timestamped checkpoints.
    pub stamps: &'a Stamps,
    /// Checkpoints that other nodes cosigned.
    pub cosigned: &'a Ever,
    /// What timestamps are judged under: with revocation data, which goes along.
    pub trust: &'a Trust,
    /// Content, signatures, envelopes, kept proofs, revocation data.
    pub content: &'a dyn Contents,
    /// The folder of directory versions.
    pub directories: &'a Path,
    /// Who signs them.
    pub authority: &'a NoteVerifier,
    /// For whom.
    pub audience: Audience,
}

/// An event with its proof.
pub(super) struct Proven {
    pub event: Event,
    pub log: String,
    pub index: u64,
    /// The time in the timestamp that covers it.
    pub stamped_at: Option<Timestamp>,
}

/// A part of the document or something beside it.
pub(super) enum Data {
    Here(Bytes),
    Stored { digest: Digest, size: u64 },
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
    pub envelope: Envelope,
    /// Messages about it, in the order of their events.
    pub messages: Vec<(DeliveryId, Envelope)>,
    /// Of both nodes: this log's in order, then the other's.
    pub events: Vec<Proven>,
    /// The newest directory version that is kept.
    pub newest: Option<Directory>,
    pub files: Vec<Planned>,
}

/// The newest attempt of a document to one recipient, as far as the audience may know of it.
pub fn find(
    source: &Source<'_>,
    directory: &Directory,
    today: Date,
    document: &DocumentRef,
    recipient: &str,
) -> Result<DeliveryId, CollectError> {
    let unknown = |field: &'static str, code: &str| {
        let shown = crate::domain::ids::shorten(code);
        Rejection::new(Reason::UnknownAgency, field, format!("no agency `{shown}` in the directory"))
    };
    let by_code = |field, code: &str| directory.by_code(code, today).ok_or_else(|| unknown(field, code));
    let sender = by_code("document.agency", &document.agency)?;
    let recipient = if recipient.is_empty() { None } else { Some(by_code("recipient", recipient)?) };
    let mut found: BTreeMap<AgencyId, DeliveryId> = BTreeMap::new();
    // As the sender's node knows it.
    if source.audience.includes(&sender.id) {
        let prefix = keys::attempts(&sender.id, &document.key);
        for (key, value) in source.index.scan(&prefix, &prefix, limits::RECIPIENTS)? {
            let attempt: AttemptRecord = fold::decode(&key, &value).map_err(folds)?;
            let record: Option<Outgoing> =
                load(source.index, &keys::outgoing(&attempt.delivery_id)).map_err(folds)?;
            if let Some(record) = record {
                found.insert(record.facts.recipient, attempt.delivery_id);
            }
        }
    }
    // As a recipient's node does.
    let prefix = keys::in_force_of(&sender.id, &document.key);
    for (key, value) in source.index.scan(&prefix, &prefix, limits::RECIPIENTS)? {
        let id: DeliveryId = fold::decode(&key, &value).map_err(folds)?;
        let record: Option<Incoming> = load(source.index, &keys::incoming(&id)).map_err(folds)?;
        if let Some(record) = record.filter(|r| source.audience.includes(&r.facts.recipient)) {
            found.entry(record.facts.recipient).or_insert(id);
        }
    }
    if let Some(recipient) = recipient {
        found.retain(|id, _| *id == recipient.id);
    }
    let mut ids = found.iter();
    match (ids.next(), ids.next()) {
        (Some((_, id)), None) => Ok(*id),
        (None, _) => {
            let what = format!("no delivery of {} by {} is known here", document.key, sender.id);
            Err(Rejection::new(Reason::UnknownDelivery, "document", what).into())
        }
        _ => {
            let to: Vec<&str> = found.keys().take(20).map(AgencyId::as_str).collect();
            let what = format!("it went to {} agencies ({}): name the recipient", found.len(), to.join(", "));
            Err(Rejection::new(Reason::MissingField, "recipient", what).into())
        }
    }
}

/// A document's delivery as its node has it, on the sides that the audience may see.
struct Known {
    outgoing: Option<Outgoing>,
    incoming: Option<Incoming>,
}

fn known(source: &Source<'_>, id: DeliveryId) -> Result<Known, CollectError> {
    let unknown = || {
        let what = format!("no delivery {id} of this client's agencies is known here");
        Rejection::new(Reason::UnknownDelivery, "delivery_id", what)
    };
    let outgoing: Option<Outgoing> = load(source.index, &keys::outgoing(&id)).map_err(folds)?;
    let incoming: Option<Incoming> = load(source.index, &keys::incoming(&id)).map_err(folds)?;
    let outgoing = outgoing.filter(|r| source.audience.includes(&r.facts.sender));
    let incoming = incoming.filter(|r| source.audience.includes(&r.facts.recipient));
    let facts =
        outgoing.as_ref().map(|r| &r.facts).or(incoming.as_ref().map(|r| &r.facts)).ok_or_else(unknown)?;
    if !facts.kind.is_document() {
        let target = facts.target.unwrap_or_default();
        let what =
            format!("{id} is a message about delivery {target}: its evidence is in that of the delivery");
        return Err(Rejection::new(Reason::WrongParty, "delivery_id", what).into());
    }
    if let Some(purged) = hold::purged(source.index, &id).map_err(folds)? {
        return Err(purged.rejection(&id).into());
    }
    Ok(Known { outgoing, incoming })
}

/// On whose behalf evidence of a delivery is handed out: `None` for the node's auditors. Refused where the audience may
/// not have it, in the words for one that is not there.
pub fn on_behalf_of(source: &Source<'_>, id: DeliveryId) -> Result<Option<AgencyId>, CollectError> {
    let Known { outgoing, incoming } = known(source, id)?;
    if source.audience == Audience::Node {
        return Ok(None);
    }
    let sender = outgoing.map(|r| r.facts.sender);
    Ok(sender.or(incoming.map(|r| r.facts.recipient)))
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
    let mut messages: Vec<(DeliveryId, Envelope)> = Vec::new();
    for index in about.into_iter().take(MESSAGES) {
        let event = event_at(source, index)?;
        if let Some(item) = event.kind.item()
            && messages.iter().all(|(known, _)| *known != item.delivery_id)
        {
            let (id, digest) = (item.delivery_id, item.envelope_digest);
            messages.push((id, gathered.message(id, digest)?));
        }
    }
    if let Some(notice) = withdrawn.map(|w| w.notice).filter(|n| messages.iter().all(|(known, _)| known != n))
        && let Some(record) = load::<Incoming>(source.index, &keys::incoming(&notice)).map_err(folds)?
    {
        messages.push((notice, gathered.message(notice, record.facts.envelope_digest)?));
    }
    gathered.document(&envelope)?;
    let events = gathered.events()?;
    gathered.timestamps()?;
    let newest = gathered.directories()?;
    let files = gathered.files;
    Ok(Collected { id, envelope, messages, events, newest, files })
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
    /// A checkpoint that was timestamped at this time.
    Stamped(Timestamp),
    /// A checkpoint that other nodes cosigned.
    Cosigned,
}

/// A proof's bytes, its event, and what it stands on.
type ProofOf = (Bytes, Event, Under);

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
    /// Envelope and events of one message.
    fn message(&mut self, id: DeliveryId, envelope_digest: Digest) -> Result<Envelope, CollectError> {
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

    /// An event of this log, and the proof that it names of one in the other's.
    fn own(&mut self, index: u64, event: Event) -> Result<(), CollectError> {
        let place = (self.source.log.to_owned(), index);
        if self
            .proofs
            .get(&place)
            .is_some_and(|known| known.iter().any(|(_, _, under)| *under == Under::Newest))
        {
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
        known.push((proof.encode(), event.clone(), Under::Newest));
        if let Some((proof, at)) = stamped {
            known.push((proof.encode(), event.clone(), Under::Stamped(at)));
        }
        if let Some(proof) = cosigned {
            known.push((proof.encode(), event.clone(), Under::Cosigned));
        }
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
        if known.iter().all(|(other, _, _)| *other != bytes) {
            known.push((bytes, event, Under::Kept));
        }
        Ok(())
    }

    /// The proof of an event of this log under the first timestamped checkpoint that covers it, and its time.
    fn stamped(&mut self, index: u64) -> Result<Option<(Proof, Timestamp)>, CollectError> {
        let covering = self.source.stamps.covering(index).map_err(|e| damaged(e.to_string()))?;
        // One that was made after the log was looked at.
        let Some(stamped) = covering.filter(|stamped| stamped.size <= self.source.size) else {
            return Ok(None);
        };
        let proof = (self.source.prove)(index, Some((stamped.size, &stamped.note)))?;
        let at = stamped.at;
        self.stamped.insert(stamped.size, stamped);
        Ok(Some((proof, at)))
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
            .filter_map(|(_, event, _)| judged_of(&event.kind))
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
        for ((log, index), mut known) in std::mem::take(&mut self.proofs) {
            // A proof that an event names by digest is the one that both sides know.
            if known.iter().any(|(_, _, under)| *under == Under::Kept) {
                known.retain(|(_, _, under)| *under != Under::Newest);
                // As they came first: they are the ones that are named.
                known.sort_by_key(|(_, _, under)| *under != Under::Kept);
            }
            let stamped_at = known.iter().find_map(|(_, _, under)| match under {
                Under::Stamped(at) => Some(*at),
                Under::Kept | Under::Newest | Under::Cosigned => None,
            });
            for (again, (bytes, event, _)) in known.into_iter().enumerate() {
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
