//! Checkpoints as witnesses cosigned them: that somebody else saw the log as it is here.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use super::container::{Broken, Container};
use super::keys::Keys;
use super::names;
use super::report::Report;
use crate::merkle::{MAX_CHECKPOINT_BYTES, NoteSignature, SignedCheckpoint, UnverifiedCheckpoint};

/// What witnesses cosigned.
#[derive(Default)]
pub(super) struct Cosigned {
    /// Signatures by the text that they are over.
    pub lines: BTreeMap<String, Vec<NoteSignature>>,
    /// Each file with the text in it.
    pub files: Vec<(String, String)>,
}

/// Checks every checkpoint that was cosigned.
pub(super) fn check<R: Read + Seek>(
    report: &mut Report,
    container: &mut Container<R>,
    keys: &Keys,
) -> Result<Cosigned, Broken> {
    let mut found = Cosigned::default();
    for entry in container.under(names::CHECKPOINT) {
        let what = "witnesses cosigned a checkpoint";
        let bytes = container.whole(&entry, MAX_CHECKPOINT_BYTES as u64)?;
        let text = String::from_utf8(bytes).map_err(|e| e.to_string());
        let read = text.and_then(|t| SignedCheckpoint::parse_unverified(&t).map_err(|e| e.to_string()));
        let checkpoint = match read.and_then(|c| keys.signed(&c).map(|()| c)) {
            Ok(checkpoint) => checkpoint,
            Err(why) => {
                report.fails(&entry.path, what, why);
                continue;
            }
        };
        let claimed = checkpoint.claimed();
        if names::checkpoint(&claimed.origin, claimed.size) != entry.path {
            let why = format!("it is `{}` of {} events, not that of its name", claimed.origin, claimed.size);
            report.fails(&entry.path, what, why);
            continue;
        }
        let what = format!("`{}` of {} events was cosigned", claimed.origin, claimed.size);
        if !lines(report, &entry.path, keys, &checkpoint) {
            continue;
        }
        let cosigners = keys.cosigned(&checkpoint);
        if cosigners.is_empty() {
            report.fails(&entry.path, what, "by no other node that the directory lists as a witness");
            continue;
        }
        let by: Vec<String> = cosigners.iter().map(|(node, at)| format!("{node} at {at}")).collect();
        let how = format!("by {}: keys of the directory; the log's own signature is right", by.join(", "));
        report.holds(&entry.path, what, how);
        let note = checkpoint.note();
        found.lines.entry(note.text.clone()).or_default().extend(note.signatures.iter().cloned());
        found.files.push((entry.path, note.text.clone()));
    }
    Ok(found)
}

/// That all signatures of a checkpoint are right whose keys are listed; the others are told of.
pub(super) fn lines(report: &mut Report, file: &str, keys: &Keys, checkpoint: &UnverifiedCheckpoint) -> bool {
    match keys.strangers(checkpoint) {
        Err(why) => {
            report.fails(file, "every signature of its checkpoint is right", why);
            false
        }
        Ok(strangers) => {
            if !strangers.is_empty() {
                let what = "signatures of its checkpoint are by keys that the directory does not list";
                report.notes(file, what, format!("nothing rests on them: {}", strangers.join(", ")));
            }
            true
        }
    }
}
