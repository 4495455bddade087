//! The checkpoints of this node's log that others cosigned.

use std::path::{Path, PathBuf};

use super::super::{Findings, Place};
use super::{Beside, Found, Judge};
use crate::exchange::witness::{own_files, own_notes};
use crate::merkle::{Hash, SignedCheckpoint};

/// Their files.
pub(super) fn files(beside: &Beside, findings: &mut Findings) -> Vec<PathBuf> {
    own_files(&beside.data).unwrap_or_else(|error| {
        findings.add(Place::Witness, None, error.to_string());
        Vec::new()
    })
}

/// The notes of one file.
pub(super) fn judge(judge: &Judge<'_>, path: &Path) -> Found {
    let mut found = Found::default();
    match own_notes(path) {
        Err(problem) => found.problems.push(problem),
        Ok(notes) => {
            for (number, note) in (1..).zip(&notes) {
                match one(judge, note, &mut found.problems) {
                    Ok(checkpoint) => found.checkpoints.extend(checkpoint),
                    Err(problem) => found.problems.push(format!("checkpoint {number} in it: {problem}")),
                }
            }
        }
    }
    found
}

/// Size and root of a checkpoint that this log's key signed; none of one that cannot be compared with this log. A
/// cosignature that is none takes nothing from what the log's key signed.
fn one(judge: &Judge<'_>, text: &str, problems: &mut Vec<String>) -> Result<Option<(u64, Hash)>, String> {
    let unverified = SignedCheckpoint::parse_unverified(text).map_err(|e| e.to_string())?;
    let (claimed, note) = (unverified.claimed().clone(), unverified.note().clone());
    let (key, is_own) = judge.key(&unverified, "it")?;
    unverified.verify(&key).map_err(|e| format!("of {} events: {e}", claimed.size))?;
    let mut others = note.signatures.iter().filter(|line| !key.made(line)).peekable();
    if others.peek().is_none() {
        problems.push(format!("the checkpoint of {} events in it has no cosignature", claimed.size));
    }
    for line in others {
        if judge.keys.witness(&note.text, line).is_none() {
            problems.push(format!(
                "the checkpoint of {} events in it has a signature of `{}` that no cosigning key of a kept directory \
                 version made",
                claimed.size, line.name
            ));
        }
    }
    Ok(is_own.then_some((claimed.size, claimed.root)))
}
