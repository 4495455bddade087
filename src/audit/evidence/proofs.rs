//! The proofs of events: checkpoint, path, leaf.
//!
//! An event may have several: as both sides know it, under the newest checkpoint, under one that was timestamped. One
//! whose checkpoint does not count, because its key was withdrawn and nobody saw it before, is no harm where another
//! proof of the same event counts; nor is it where the event is only that of the export itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use super::collect::{PROOF_BYTES, Proven};
use super::container::{Broken, Container};
use super::cosigned::Cosigned;
use super::keys::{Counts, Keys, Unfit};
use super::messages::{self, ProvenEvent};
use super::names;
use super::report::Report;
use super::stamped::Stamped;
use crate::domain::event::{Event, EventKind};
use crate::domain::ids::Digest;
use crate::merkle::{SignedCheckpoint, UnverifiedCheckpoint, sha256};
use crate::time::Timestamp;
use crate::wire::proof::{Proof, ProofVerifier, VerifiedProof};

/// What others saw of checkpoints.
pub(super) struct Seen {
    pub cosigned: Cosigned,
    pub stamped: Stamped,
}

/// What is proven.
#[derive(Default)]
pub(super) struct Proofs {
    pub events: Vec<ProvenEvent>,
    /// Every proof that holds, whether its key counts or not, in the container's order.
    pub all: Vec<ReadProof>,
    /// Log and size of every tree that something was proven in.
    pub trees: BTreeSet<(String, u64)>,
}

impl Proofs {
    /// Every event once, as the page shows it: those of the exporting node's log first.
    pub fn shown(&self, exporter: &str, stamped: &Stamped) -> Vec<Proven> {
        type At = Option<(u64, Timestamp)>;
        let mut found: BTreeMap<(bool, u64, &str), (&ReadProof, At)> = BTreeMap::new();
        for proof in &self.all {
            let at = stamped.claimed.get(&proof.checkpoint.note().text).copied();
            let place = (proof.log != exporter, proof.index, proof.log.as_str());
            let known = found.entry(place).or_insert((proof, at));
            known.1 = known.1.into_iter().chain(at).min_by_key(|(size, _)| *size);
        }
        let shown = found.into_values().map(|(proof, stamped)| Proven {
            event: proof.event.clone(),
            log: proof.log.clone(),
            index: proof.index,
            stamped_at: stamped.map(|(_, at)| at),
        });
        shown.collect()
    }
}

/// A proof that holds, at least but for its key.
pub(super) struct ReadProof {
    pub file: String,
    pub event: Event,
    pub log: String,
    pub index: u64,
    /// The tree that it is proven in.
    pub checkpoint: UnverifiedCheckpoint,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// Its bytes are those that this program writes.
    pub canonical: bool,
}

/// A proof that does not count, for its key.
struct Uncounted {
    file: String,
    log: String,
    index: u64,
    is_export: bool,
    why: String,
}

/// Checks every proof.
pub(super) fn check<R: Read + Seek>(
    report: &mut Report,
    container: &mut Container<R>,
    keys: &Keys,
    seen: &Seen,
) -> Result<Proofs, Broken> {
    let what = "an event stands in a log";
    let verifier = ProofVerifier::default();
    let mut proofs = Proofs::default();
    let mut uncounted: Vec<Uncounted> = Vec::new();
    let mut count: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for entry in container.under(names::EVENT) {
        let bytes = container.whole(&entry, PROOF_BYTES)?;
        let read = Proof::decode(&bytes).map_err(|e| e.to_string());
        let read = read.and_then(|proof| Ok((proof.encode() == bytes, one(&proof, keys, seen, &verifier)?)));
        let (canonical, One { verified, checkpoint, counts }) = match read {
            Ok(checked) => checked,
            Err(why) => {
                report.fails(&entry.path, what, why);
                continue;
            }
        };
        let place = verified.log_ref();
        let again = count.entry((place.log.clone(), place.index)).or_default();
        if entry.path != names::event(&place.log, place.index, *again) {
            let why = format!("it proves event {} of `{}`, not the one of its name", place.index, place.log);
            report.fails(&entry.path, what, why);
            continue;
        }
        *again += 1;
        if matches!(verified.event().kind, EventKind::Unknown) {
            report.fails(&entry.path, what, "its kind is of a newer version of this program");
            continue;
        }
        proofs.all.push(ReadProof {
            file: entry.path.clone(),
            event: verified.event().clone(),
            log: place.log.clone(),
            index: place.index,
            checkpoint,
            digest: sha256(&bytes),
            canonical,
        });
        proofs.trees.insert((place.log.clone(), verified.checkpoint().checkpoint().size));
        let counts = match counts {
            Ok(counts) => counts,
            Err(why) => {
                let is_export = matches!(verified.event().kind, EventKind::Exported { .. });
                let (log, index) = (place.log, place.index);
                uncounted.push(Uncounted { file: entry.path, log, index, is_export, why });
                continue;
            }
        };
        let again = proofs.events.iter().any(|e| e.log == place.log && e.index == place.index);
        if !again {
            let event = verified.event();
            let what = format!("{}: node {} recorded {}", event.at, counts.node, messages::words(event));
            let how = format!("event {} of `{}`: {}", place.index, place.log, counts.how);
            report.holds(&entry.path, what, how);
        } else if counts.stamped {
            let what = format!("event {} of `{}` existed at the time of a timestamp", place.index, place.log);
            report.holds(&entry.path, what, counts.how);
        }
        proofs.events.push(ProvenEvent {
            file: entry.path,
            node: counts.node,
            log: place.log,
            index: place.index,
            leaf_hash: place.leaf_hash,
            checkpoint: verified.checkpoint().clone(),
            digest: sha256(&bytes),
            again,
            event: verified.event().clone(),
        });
    }
    for Uncounted { file, log, index, is_export, why } in uncounted {
        if is_export || proofs.events.iter().any(|e| e.log == log && e.index == index) {
            report.notes(&file, format!("event {index} of `{log}` has a proof that does not count"), why);
        } else {
            report.fails(&file, what, why);
        }
    }
    Ok(proofs)
}

/// One proof, and why its checkpoint counts or does not.
struct One {
    verified: VerifiedProof,
    checkpoint: UnverifiedCheckpoint,
    counts: Result<Counts, String>,
}

/// Fails where it is wrong whatever its key.
fn one(proof: &Proof, keys: &Keys, seen: &Seen, verifier: &ProofVerifier) -> Result<One, String> {
    let checkpoint = SignedCheckpoint::parse_unverified(&proof.checkpoint).map_err(|e| e.to_string())?;
    let text = &checkpoint.note().text;
    let beside = seen.cosigned.lines.get(text).map_or(&[][..], Vec::as_slice);
    let (key, counts) = match keys.check(&checkpoint, beside, seen.stamped.proven.get(text).copied()) {
        Ok(counts) => (counts.key.clone(), Ok(counts)),
        Err(Unfit::Wrong(why)) => return Err(why),
        Err(Unfit::Withdrawn { key, why }) => (key, Err(why)),
    };
    let verified = verifier.verify(proof, |_| Some(key.clone())).map_err(|e| e.message)?;
    Ok(One { verified, checkpoint, counts })
}
