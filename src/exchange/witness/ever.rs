//! What others ever cosigned of a log, read from the files that keep it, for evidence and export.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{own_files, own_notes};
use super::own::{Cosigned, bad};
use crate::directory::Directory;
use crate::domain::ids::NodeName;
use crate::domain::reason::Rejection;
use crate::merkle::{Note, NoteSignature, NoteVerifier, SignedCheckpoint, verify_cosignature};
use crate::time::Timestamp;

/// All that others ever cosigned of a log, as far as it was kept: read when it is first asked for, found by size, and judged
/// only where it is what is looked for. Memory: some 50 bytes for each checkpoint.
pub struct Ever {
    data: PathBuf,
    directory: Directory,
    node: NodeName,
    origin: String,
    at_hand: Vec<Cosigned>,
    kept: OnceCell<Kept>,
}

/// The files, and which of them have notes of a size.
#[derive(Default)]
struct Kept {
    files: Vec<PathBuf>,
    by_size: BTreeMap<u64, Vec<usize>>,
}

impl Ever {
    /// Of a node's data, and what is at hand beside it.
    pub fn new(
        data: &Path,
        directory: Directory,
        node: NodeName,
        origin: &str,
        at_hand: Vec<Cosigned>,
    ) -> Ever {
        let (data, origin) = (data.to_owned(), origin.to_owned());
        Ever { data, directory, node, origin, at_hand, kept: OnceCell::new() }
    }

    /// What cannot be read is told of and passed over.
    fn kept(&self) -> &Kept {
        self.kept.get_or_init(|| {
            let files = own_files(&self.data).unwrap_or_else(|error| {
                tracing::error!(%error, "what others cosigned cannot be read");
                Vec::new()
            });
            let mut by_size: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
            for cosigned in &self.at_hand {
                by_size.entry(cosigned.checkpoint.checkpoint().size).or_default();
            }
            for (number, path) in files.iter().enumerate() {
                let notes = own_notes(path).unwrap_or_else(|problem| {
                    tracing::error!(path = %path.display(), problem, "what others cosigned is passed over");
                    Vec::new()
                });
                for size in notes.iter().filter_map(|note| claimed_size(note, &self.origin)) {
                    let having = by_size.entry(size).or_default();
                    if having.last() != Some(&number) {
                        having.push(number);
                    }
                }
            }
            Kept { files, by_size }
        })
    }

    /// The first that covers an event, of a log of so many.
    pub fn covering(&self, index: u64, size: u64) -> Option<Cosigned> {
        if index >= size {
            return None;
        }
        self.kept().by_size.range(index + 1..=size).find_map(|(size, files)| self.of_size(*size, files))
    }

    /// The largest.
    pub fn newest(&self) -> Option<Cosigned> {
        self.kept().by_size.iter().rev().find_map(|(size, files)| self.of_size(*size, files))
    }

    /// What counts of a size, from all files: the first time of each witness.
    fn of_size(&self, size: u64, files: &[usize]) -> Option<Cosigned> {
        let at_hand = self.at_hand.iter().filter(|c| c.checkpoint.checkpoint().size == size).cloned();
        let notes =
            files.iter().filter_map(|number| own_notes(self.kept().files.get(*number)?).ok()).flatten();
        let notes: Vec<String> =
            notes.filter(|note| claimed_size(note, &self.origin) == Some(size)).collect();
        let kept = counting(&self.directory, &self.node, &self.origin, &notes, Keys::WithdrawnToo);
        at_hand.chain(kept).reduce(|mut all, more| {
            if all.checkpoint.checkpoint() == more.checkpoint.checkpoint() {
                for (by, (at, line)) in more.witnesses {
                    match all.witnesses.get(&by) {
                        Some((known, _)) if *known <= at => {}
                        _ => drop(all.witnesses.insert(by, (at, line))),
                    }
                }
            }
            all
        })
    }
}

/// A file of what others cosigned, with only what is of a log's first events; `None` where that is all of it, or where it
/// cannot be read.
pub fn notes_within(text: &str, origin: &str, size: u64) -> Option<String> {
    let mut notes: Vec<String> = serde_json::from_str(text).ok()?;
    let all = notes.len();
    notes.retain(|note| claimed_size(note, origin).is_none_or(|of| of <= size));
    if notes.len() == all { None } else { serde_json::to_string_pretty(&notes).ok() }
}

/// The size that a note claims, if it claims to be of that log: its second line.
fn claimed_size(note: &str, origin: &str) -> Option<u64> {
    let mut lines = note.lines();
    (lines.next() == Some(origin)).then(|| lines.next()?.parse().ok())?
}

/// A checkpoint of a node's log, signed by one of its keys, without what others added; and all that came.
pub(super) fn read_own(
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
    let signed = alone(&note, &key).ok_or_else(|| bad("its signature by this node's key does not hold"))?;
    Ok((signed, note))
}

/// Which keys of a log count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// Those that are trusted now.
    Trusted,
    /// Also one that was withdrawn, for what others cosigned before.
    WithdrawnToo,
}

/// The checkpoints among these notes that a listed node cosigned.
pub(super) fn counting(
    directory: &Directory,
    node: &NodeName,
    origin: &str,
    notes: &[String],
    keys: Keys,
) -> Vec<Cosigned> {
    let mut found: Vec<Cosigned> = Vec::new();
    for text in notes {
        let (checkpoint, note, withdrawn) = match read_own(directory, node, origin, text) {
            Ok((checkpoint, note)) => (checkpoint, note, None),
            Err(_) if keys == Keys::Trusted => continue,
            Err(_) => match read_withdrawn(directory, node, origin, text) {
                Some((checkpoint, note, at)) => (checkpoint, note, Some(at)),
                None => continue,
            },
        };
        let mut witnesses = BTreeMap::new();
        for line in &note.signatures {
            for node in directory.nodes() {
                let by = |key: &NoteVerifier| cosigned_at(&checkpoint, line, key);
                if let Some(at) = node.cosign_keys.iter().find_map(by)
                    && withdrawn.is_none_or(|withdrawn| at < withdrawn)
                {
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

/// A checkpoint that a key signed which was withdrawn since, and when that was.
fn read_withdrawn(
    directory: &Directory,
    node: &NodeName,
    origin: &str,
    text: &str,
) -> Option<(SignedCheckpoint, Note, Timestamp)> {
    let unverified = SignedCheckpoint::parse_unverified(text).ok()?;
    let (claimed, note) = (unverified.claimed(), unverified.note().clone());
    let listed = directory.node(node)?.log_keys.iter();
    let listed = listed.filter(|k| claimed.origin == origin && k.made(&unverified) && k.covers(claimed.size));
    let (key, withdrawn) = listed.clone().find_map(|k| Some((&k.key, k.withdrawn?)))?;
    Some((alone(&note, key)?, note, withdrawn))
}

/// A checkpoint's note with the signatures of its log's key alone, verified.
fn alone(note: &Note, key: &NoteVerifier) -> Option<SignedCheckpoint> {
    let own: Vec<NoteSignature> = note.signatures.iter().filter(|l| key.made(l)).cloned().collect();
    let alone = Note { text: note.text.clone(), signatures: own }.to_string();
    SignedCheckpoint::verify(&alone, key).ok()
}

/// When a witness cosigned a checkpoint, by its own clock, if it did.
fn cosigned_at(checkpoint: &SignedCheckpoint, line: &NoteSignature, key: &NoteVerifier) -> Option<Timestamp> {
    let seconds = verify_cosignature(checkpoint.body(), line, key).ok()?;
    Some(Timestamp::from_millis(i64::try_from(seconds).ok()?.checked_mul(1_000)?))
}
