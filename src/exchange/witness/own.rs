//! What other nodes cosigned of this node's log: the newest of each witness at hand, and a file for each day.
//!
//! A cosignature counts when the directory lists its key for the node that gave it, and it is over a checkpoint that this
//! node signed and whose root its log has. Any event can be proven under a cosigned checkpoint that came after it; those
//! of days past are kept because they prove a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::super::Exchange;
use super::files::Files;
use crate::directory::Directory;
use crate::domain::ids::NodeName;
use crate::domain::reason::{Reason, Rejection};
use crate::merkle::{Note, NoteSignature, NoteVerifier, SignedCheckpoint, verify_cosignature};
use crate::store::StoreError;
use crate::store::disk::RealDisk;
use crate::time::Timestamp;

/// Checkpoints of each witness that are at hand.
const NEWEST: usize = 2;

/// A checkpoint of this node's log that others cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// Who cosigned it, when, by its own clock, and the line.
    pub witnesses: BTreeMap<NodeName, (Timestamp, NoteSignature)>,
}

impl Cosigned {
    /// The checkpoint's note with all cosignatures.
    pub fn note(&self) -> String {
        let mut note = self.checkpoint.note().to_owned();
        for (_, line) in self.witnesses.values() {
            note.push_str(&format!("{line}\n"));
        }
        note
    }

    /// The first time that a witness gives.
    pub fn earliest(&self) -> Option<Timestamp> {
        self.witnesses.values().map(|(at, _)| *at).min()
    }

    /// The last.
    pub fn latest(&self) -> Option<Timestamp> {
        self.witnesses.values().map(|(at, _)| *at).max()
    }
}

/// What is at hand.
#[derive(Debug, Default)]
pub(super) struct Own {
    by_size: BTreeMap<u64, Cosigned>,
    /// Came since it was written.
    dirty: bool,
}

impl Own {
    pub(super) fn add(
        &mut self,
        checkpoint: &SignedCheckpoint,
        by: &NodeName,
        at: Timestamp,
        line: NoteSignature,
    ) {
        let size = checkpoint.checkpoint().size;
        let entry = self.by_size.entry(size);
        let entry =
            entry.or_insert_with(|| Cosigned { checkpoint: checkpoint.clone(), witnesses: BTreeMap::new() });
        // The first time proves the most.
        if entry.witnesses.get(by).is_some_and(|(known, _)| *known <= at) {
            return;
        }
        entry.witnesses.insert(by.clone(), (at, line));
        self.dirty = true;
        let mut seen = 0;
        for cosigned in self.by_size.values_mut().rev() {
            if cosigned.witnesses.contains_key(by) {
                seen += 1;
                if seen > NEWEST {
                    cosigned.witnesses.remove(by);
                }
            }
        }
        self.by_size.retain(|_, c| !c.witnesses.is_empty());
    }

    /// The largest, first those that most cosigned.
    pub(super) fn all(&self) -> Vec<Cosigned> {
        self.by_size.values().rev().cloned().collect()
    }

    /// What is to be written, once.
    pub(super) fn take_dirty(&mut self) -> Option<Vec<String>> {
        std::mem::take(&mut self.dirty).then(|| self.by_size.values().map(Cosigned::note).collect())
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(super) fn set_clean(&mut self) {
        self.dirty = false;
    }
}

fn bad(what: impl Into<String>) -> Rejection {
    Rejection::new(Reason::BadProof, "ask.cosigned", what)
}

impl Exchange {
    /// A node gives back a checkpoint of this node's log with its cosignature.
    pub(super) fn take_cosigned(&self, peer: &NodeName, text: &str) -> Result<(), Rejection> {
        let (checkpoint, note) = self.own_checkpoint(text)?;
        if !self.has(&checkpoint)? {
            // Signed with this node's key, and not in its log.
            self.contradicted(peer, checkpoint.checkpoint());
            return Err(bad("this node's log does not have that root"));
        }
        let directory = self.directory();
        let keys = directory.node(peer).map(|n| n.cosign_keys.clone()).unwrap_or_default();
        let found = note.signatures.iter().find_map(|line| {
            let seconds =
                keys.iter().find_map(|key| verify_cosignature(checkpoint.body(), line, key).ok())?;
            let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)?;
            Some((Timestamp::from_millis(millis), line.clone()))
        });
        let (at, line) = found.ok_or_else(|| {
            bad(format!(
                "no cosigning key that directory version {} lists for node `{peer}` made a signature of it",
                directory.version()
            ))
        })?;
        self.witness().own().add(&checkpoint, peer, at, line);
        // It is written within an interval.
        self.witness().wake.notify_one();
        self.agreed(checkpoint.checkpoint());
        Ok(())
    }

    /// A checkpoint of this node's log, signed by a key of its own, without what others added; and all that came.
    pub(super) fn own_checkpoint(&self, text: &str) -> Result<(SignedCheckpoint, Note), Rejection> {
        read_own(&self.directory(), self.node(), self.ledger().origin(), text)
    }

    /// Takes in what was kept of a day: the cosignatures that still count.
    pub(super) fn read_cosigned(&self, notes: &[String]) -> Vec<Cosigned> {
        counting(&self.directory(), self.node(), self.ledger().origin(), notes)
    }

    /// All that others ever cosigned of this node's log, as far as it was kept: the newest of each day.
    pub fn cosigned_ever(&self) -> Vec<Cosigned> {
        let mut all = self.cosigned();
        let Some((files, _)) = self.witness().kept.get() else { return all };
        let read = files.own(|notes| {
            all.extend(self.read_cosigned(&notes));
            true
        });
        if let Err(error) = read {
            tracing::error!(%error, "what others cosigned cannot be read");
        }
        all
    }

    /// Checkpoints of this node's log that others cosigned, the largest first: the newest of each witness.
    pub fn cosigned(&self) -> Vec<Cosigned> {
        self.witness().own().all()
    }
}

/// The largest of these, as it is exported; refused where there is none.
pub fn newest_cosigned(log: &str, all: Vec<Cosigned>) -> Result<Cosigned, Rejection> {
    let newest = all.into_iter().max_by_key(|c| c.checkpoint.checkpoint().size);
    newest.ok_or_else(|| {
        let what = format!("no other node cosigned a checkpoint of log `{log}` yet");
        Rejection::new(Reason::NotCosigned, "cosigned", what)
    })
}

/// What others cosigned of a stopped node's log, as far as it was kept.
pub fn kept_cosigned(
    data: &Path,
    directory: &Directory,
    node: &NodeName,
    origin: &str,
) -> Result<Vec<Cosigned>, StoreError> {
    let mut all = Vec::new();
    Files::of(Arc::new(RealDisk), data).own(|notes| {
        all.extend(counting(directory, node, origin, &notes));
        true
    })?;
    Ok(all)
}

/// A checkpoint of a node's log, signed by one of its keys, without what others added; and all that came.
fn read_own(
    directory: &Directory,
    node: &NodeName,
    origin: &str,
    text: &str,
) -> Result<(SignedCheckpoint, Note), Rejection> {
    let unverified = SignedCheckpoint::parse_unverified(text).map_err(|e| bad(e.to_string()))?;
    let note = unverified.note().clone();
    if unverified.claimed().origin != origin {
        return Err(bad(format!("it is of another log than `{origin}`")));
    }
    let listed = directory.node(node).and_then(|n| n.key_of(&unverified).cloned());
    let key = listed.ok_or_else(|| bad("none of this node's keys signs it"))?;
    let own: Vec<NoteSignature> = note.signatures.iter().filter(|l| key.made(l)).cloned().collect();
    let alone = Note { text: note.text.clone(), signatures: own }.to_string();
    let signed = SignedCheckpoint::verify(&alone, &key).map_err(|e| bad(e.to_string()))?;
    Ok((signed, note))
}

/// The checkpoints among these notes that a listed node cosigned.
fn counting(directory: &Directory, node: &NodeName, origin: &str, notes: &[String]) -> Vec<Cosigned> {
    let mut found: Vec<Cosigned> = Vec::new();
    for text in notes {
        let Ok((checkpoint, note)) = read_own(directory, node, origin, text) else { continue };
        let mut witnesses = BTreeMap::new();
        for line in &note.signatures {
            for node in directory.nodes() {
                let by = |key: &NoteVerifier| cosigned_at(&checkpoint, line, key);
                if let Some(at) = node.cosign_keys.iter().find_map(by) {
                    witnesses.insert(node.name.clone(), (at, line.clone()));
                }
            }
        }
        if !witnesses.is_empty() {
            found.push(Cosigned { checkpoint, witnesses });
        }
    }
    found
}

/// When a witness cosigned a checkpoint, by its own clock, if it did.
fn cosigned_at(checkpoint: &SignedCheckpoint, line: &NoteSignature, key: &NoteVerifier) -> Option<Timestamp> {
    let seconds = verify_cosignature(checkpoint.body(), line, key).ok()?;
    Some(Timestamp::from_millis(i64::try_from(seconds).ok()?.checked_mul(1_000)?))
}
