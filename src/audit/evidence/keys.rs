//! Whether a checkpoint counts: by the keys that the directory versions of a container list.
//!
//! - Its log's key is listed, and signs trees of its size. Entries are closed, never deleted, so receipts of years ago
//!   verify after the keys were replaced.
//! - A key that was withdrawn may be in anybody's hands: what it signed counts only where a witness, another node, had
//!   cosigned the same checkpoint before, or an authority had timestamped it.
//!
//! Of each key, the entry in the newest version that lists it is the one that holds.

use std::collections::HashMap;

use crate::directory::{Directory, ListedKey, Node};
use crate::domain::ids::NodeName;
use crate::merkle::{NoteSignature, NoteVerifier, UnverifiedCheckpoint, verify_cosignature};
use crate::time::Timestamp;

/// The keys of all nodes.
#[derive(Default)]
pub(in crate::audit) struct Keys {
    logs: HashMap<String, Vec<(NodeName, ListedKey, u64)>>,
    witnesses: Vec<(NodeName, NoteVerifier)>,
}

/// Why a checkpoint does not count.
pub(super) enum Unfit {
    /// It is not what the key of a log signed.
    Wrong(String),
    /// Its key, which is given, was withdrawn, and nobody is known to have seen it before.
    Withdrawn { key: NoteVerifier, why: String },
}

/// Why a checkpoint counts.
pub(super) struct Counts {
    pub key: NoteVerifier,
    pub node: NodeName,
    /// For a person.
    pub how: String,
    /// An authority timestamped it.
    pub stamped: bool,
}

impl Keys {
    /// From directory versions in any order.
    pub fn of(directories: &[Directory]) -> Keys {
        let mut keys = Keys::default();
        let mut newest_first: Vec<&Directory> = directories.iter().collect();
        newest_first.sort_by_key(|d| std::cmp::Reverse(d.version()));
        for directory in newest_first {
            keys.add(directory.version(), directory.nodes());
        }
        keys
    }

    /// Adds those of a version that is older than all before.
    pub fn add<'n>(&mut self, version: u64, nodes: impl IntoIterator<Item = &'n Node>) {
        for node in nodes {
            for listed in node.log_keys.iter() {
                let known = self.logs.entry(listed.key.name().to_owned()).or_default();
                if known.iter().all(|(_, other, _)| other.key != listed.key) {
                    known.push((node.name.clone(), listed.clone(), version));
                }
            }
            for key in node.cosign_keys.iter() {
                if self.witnesses.iter().all(|(_, other)| other != key) {
                    self.witnesses.push((node.name.clone(), key.clone()));
                }
            }
        }
    }

    /// The listed key that claims to have made a checkpoint, whatever became of it since.
    pub fn maker(&self, checkpoint: &UnverifiedCheckpoint) -> Option<&NoteVerifier> {
        let listed = self.logs.get(&checkpoint.claimed().origin)?;
        listed.iter().map(|(_, listed, _)| listed).find(|l| l.made(checkpoint)).map(|l| &l.key)
    }

    /// The witness that cosigned a checkpoint's text with this line, and when, by its own clock.
    pub fn witness(&self, text: &str, line: &NoteSignature) -> Option<(&NodeName, Timestamp)> {
        self.witnesses.iter().find_map(|(witness, key)| {
            let seconds = verify_cosignature(text, line, key).ok()?;
            Some((witness, time_of(seconds)?))
        })
    }

    /// The key by which a checkpoint counts. `beside` are cosignatures of the same checkpoint that came apart from it;
    /// `stamped` is the time in a timestamp of it that proves it.
    pub(super) fn check(
        &self,
        checkpoint: &UnverifiedCheckpoint,
        beside: &[NoteSignature],
        stamped: Option<Timestamp>,
    ) -> Result<Counts, Unfit> {
        let claimed = checkpoint.claimed();
        let listed = self.logs.get(&claimed.origin).map_or(&[][..], Vec::as_slice);
        let (node, key, version) =
            listed.iter().find(|(_, key, _)| key.made(checkpoint)).ok_or_else(|| {
                let log = &claimed.origin;
                Unfit::Wrong(format!("no key that the directory lists for log `{log}` made its checkpoint"))
            })?;
        if !key.covers(claimed.size) {
            let to = key.last.map_or_else(|| "any size".to_owned(), |last| last.to_string());
            return Err(Unfit::Wrong(format!(
                "its checkpoint is of {} events, the key that made it signs from {} to {to} by directory version {version}",
                claimed.size, key.first
            )));
        }
        let mut how = format!(
            "its path leads to the root of {} events that the log's key signed, which directory version {version} lists \
             for node {node}",
            claimed.size
        );
        if let Some(at) = stamped {
            how.push_str(&format!("; it existed at {at}, as an authority's timestamp proves"));
        }
        if let Some(withdrawn) = key.withdrawn {
            how.push_str(&format!("; the key was withdrawn at {withdrawn}"));
            if let Some((witness, at)) = self.seen_before(node, checkpoint, beside, withdrawn) {
                how.push_str(&format!(", node {witness} had cosigned the checkpoint at {at}"));
            } else if stamped.is_none_or(|at| at >= withdrawn) {
                let why = format!(
                    "the key that made its checkpoint was withdrawn at {withdrawn}, and no witness that the directory \
                     lists cosigned the checkpoint before, nor did an authority timestamp it"
                );
                return Err(Unfit::Withdrawn { key: key.key.clone(), why });
            }
        }
        Ok(Counts { key: key.key.clone(), node: node.clone(), how, stamped: stamped.is_some() })
    }

    /// The witness that saw a checkpoint first, before a time.
    fn seen_before(
        &self,
        node: &NodeName,
        checkpoint: &UnverifiedCheckpoint,
        beside: &[NoteSignature],
        time: Timestamp,
    ) -> Option<(&NodeName, Timestamp)> {
        let lines = checkpoint.note().signatures.iter().chain(beside);
        let cosigned = lines.filter_map(|line| self.witness(&checkpoint.note().text, line));
        cosigned.filter(|(witness, at)| *witness != node && *at < time).min_by_key(|(_, at)| *at)
    }

    /// The witnesses, other nodes than the log's, that cosigned a checkpoint, whenever.
    pub fn cosigned(&self, checkpoint: &UnverifiedCheckpoint) -> Vec<(NodeName, Timestamp)> {
        let own = self.logs.get(&checkpoint.claimed().origin).map_or(&[][..], Vec::as_slice);
        let note = checkpoint.note();
        let seen = note.signatures.iter().filter_map(|line| self.witness(&note.text, line));
        let others = seen.filter(|(witness, _)| own.iter().all(|(node, ..)| node != *witness));
        others.map(|(witness, at)| (witness.clone(), at)).collect()
    }

    /// Checks every signature of a checkpoint that claims to be by a listed key: of its log, or of a witness. Gives the
    /// names in the lines by keys that nobody listed, of which nothing is known.
    pub fn strangers(&self, checkpoint: &UnverifiedCheckpoint) -> Result<Vec<String>, String> {
        let note = checkpoint.note();
        let own = self.logs.get(&checkpoint.claimed().origin).map_or(&[][..], Vec::as_slice);
        let mut strangers = Vec::new();
        for (at, line) in note.signatures.iter().enumerate() {
            if note.signatures[..at].contains(line) {
                return Err(format!("the signature of `{}` stands in it twice", line.name));
            }
            let own = own.iter().map(|(_, listed, _)| &listed.key);
            let known = own.chain(self.witnesses.iter().map(|(_, key)| key)).find(|key| key.made(line));
            match known {
                Some(key) => note.verify(key).map_err(|e| e.to_string())?,
                None => strangers.push(line.name.clone()),
            }
        }
        Ok(strangers)
    }

    /// That the key of its log signed a checkpoint, whether the key counts or was withdrawn.
    pub fn signed(&self, checkpoint: &UnverifiedCheckpoint) -> Result<(), String> {
        let key = match self.check(checkpoint, &[], None) {
            Ok(counts) => counts.key,
            Err(Unfit::Withdrawn { key, .. }) => key,
            Err(Unfit::Wrong(why)) => return Err(why),
        };
        checkpoint.note().verify(&key).map_err(|e| e.to_string())
    }
}

/// Seconds since 1970, when they are a time that can be written.
fn time_of(seconds: u64) -> Option<Timestamp> {
    let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)?;
    Some(Timestamp::from_millis(millis)).filter(|time| *time <= Timestamp::MAX)
}
