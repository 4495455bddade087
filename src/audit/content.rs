//! Checking content: every digest that an event names is read and hashed, once.
//!
//! Envelopes, parts, signatures and kept proofs must be there, but for what was purged; of revocation data and timestamps
//! (`evidence`) only what is there is read, since those inside a document are not stored by themselves. What is wrong is
//! named by digest, delivery and event. Memory: 16 bytes for each digest.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::{Finding, Findings, Place};
use crate::domain::event::{Event, EventKind};
use crate::domain::hold;
use crate::domain::ids::{DeliveryId, Digest};
use crate::ledger::Ledger;
use crate::store::StoreError;
use crate::store::content::{ContentStore, StoppedContent};
use crate::wire::leaf;

/// Events read at once from a running node.
const PAGE: u64 = 256;

/// Where content is read from.
pub trait ContentSource {
    /// The hash and the bytes of a content as it is there; `piece` is told of every piece that was read.
    fn hash(&self, digest: &Digest, piece: &mut dyn FnMut(u64)) -> Result<Option<(Digest, u64)>, StoreError>;
}

impl ContentSource for ContentStore {
    fn hash(&self, digest: &Digest, piece: &mut dyn FnMut(u64)) -> Result<Option<(Digest, u64)>, StoreError> {
        ContentStore::hash(self, digest, piece)
    }
}

impl ContentSource for StoppedContent {
    fn hash(&self, digest: &Digest, piece: &mut dyn FnMut(u64)) -> Result<Option<(Digest, u64)>, StoreError> {
        StoppedContent::hash(self, digest, piece)
    }
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContentRead {
    /// Different contents.
    pub contents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long that took, in microseconds.
    pub micros: u64,
}

impl ContentRead {
    /// Megabytes (10⁶ bytes) in a second.
    pub fn megabytes_per_second(&self) -> u64 {
        self.bytes / self.micros.max(1)
    }
}

/// What reading the content came to.
#[derive(Debug, Clone, Default)]
pub struct ContentChecked {
    /// How much was read.
    pub read: ContentRead,
    /// What is missing or altered.
    pub findings: Vec<Finding>,
    /// Findings beyond those listed.
    pub unlisted: u64,
    /// The lowest index that a finding is about.
    pub first: Option<u64>,
}

/// Gives every event of a log to what it is given, in order.
pub type EachEvent<'a> = dyn Fn(&mut dyn FnMut(u64, &Event)) -> Result<(), StoreError> + 'a;

/// Reads all content that events name. The events are gone through twice; `purged` says, of what is missing, whether its
/// delivery was purged since then; `progress` is told how many bytes were read.
pub fn check_content(
    each: &EachEvent<'_>,
    content: &dyn ContentSource,
    purged: &dyn Fn(&DeliveryId) -> bool,
    mut progress: impl FnMut(u64),
) -> Result<ContentChecked, StoreError> {
    let began = Instant::now();
    let mut gone: HashSet<DeliveryId> = HashSet::new();
    each(&mut |_, event| {
        if let EventKind::Purged { delivery_id, messages, .. } = &event.kind {
            gone.insert(*delivery_id);
            gone.extend(messages);
        }
    })?;
    let mut looked = Looked { good: HashSet::new(), bad: HashMap::new(), read: ContentRead::default() };
    let mut findings = Findings::default();
    each(&mut |at, event| {
        let named = event.kind.named();
        let is_gone = named.delivery.is_some_and(|id| gone.contains(&id));
        let needed = named.envelope.into_iter().chain(named.content.iter().copied()).filter(|_| !is_gone);
        for (digest, optional) in needed
            .chain(named.proof)
            .chain(named.lost_proof)
            .map(|d| (d, false))
            .chain(named.evidence.iter().map(|d| (*d, true)))
        {
            let Some(problem) = looked.at(content, &digest, &mut progress) else { continue };
            let is_missing = problem == MISSING;
            if is_missing
                && (optional
                    || named.delivery.is_some_and(|id| {
                        ![named.proof, named.lost_proof].contains(&Some(digest)) && purged(&id)
                    }))
            {
                continue;
            }
            let of = named.delivery.map_or_else(String::new, |id| format!(" of delivery {id}"));
            findings.add(Place::Content, at, format!("content {digest}{of} {problem}"));
        }
    })?;
    looked.read.micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let Findings { listed, unlisted, first } = findings;
    Ok(ContentChecked { read: looked.read, findings: listed, unlisted, first })
}

/// The same of a running node, as far as its log is when this begins. What is purged meanwhile is not missing.
pub fn check_content_of(ledger: &Ledger, progress: impl FnMut(u64)) -> Result<ContentChecked, StoreError> {
    let size = ledger.snapshot().size();
    let each = |each: &mut dyn FnMut(u64, &Event)| {
        let mut at = 0;
        while at < size {
            let page = ledger.index().leaves(at, (size - at).min(PAGE) as usize)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            at = last + 1;
            for (index, bytes) in page {
                if let Ok(event) = leaf::decode(&bytes) {
                    each(index, &event);
                }
            }
        }
        Ok(())
    };
    let purged = |id: &DeliveryId| hold::purged(ledger, id).is_ok_and(|purged| purged.is_some());
    check_content(&each, &**ledger.content(), &purged, progress)
}

const MISSING: &str = "is missing";

/// What was read before.
struct Looked {
    good: HashSet<u128>,
    bad: HashMap<u128, String>,
    read: ContentRead,
}

impl Looked {
    /// What is wrong with a content.
    fn at(
        &mut self,
        content: &dyn ContentSource,
        digest: &Digest,
        progress: &mut impl FnMut(u64),
    ) -> Option<String> {
        let name = u128::from_be_bytes(*digest.as_bytes().first_chunk().expect("32 bytes"));
        if self.good.contains(&name) {
            return None;
        }
        if let Some(problem) = self.bad.get(&name) {
            return Some(problem.clone());
        }
        let before = self.read.bytes;
        let mut read = 0;
        let found = content.hash(digest, &mut |bytes| {
            read += bytes;
            progress(before + read);
        });
        self.read.bytes += read;
        let problem = match found {
            Ok(Some((hash, _))) if hash == *digest => {
                self.good.insert(name);
                self.read.contents += 1;
                return None;
            }
            Ok(Some((_, bytes))) => format!("is altered: its {bytes} bytes have another SHA-256"),
            Ok(None) => MISSING.to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        self.bad.insert(name, problem.clone());
        Some(problem)
    }
}
