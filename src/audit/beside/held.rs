//! What this node holds of other logs as their witness, and the proofs that logs forked.

use super::super::evidence::keys::Keys;
use super::super::{Findings, Place};
use super::Beside;
use crate::exchange::witness::fork::{ForkProof, node_of};
use crate::exchange::witness::{Kept, fork_file, fork_files, fork_text, held_files};
use crate::merkle::{LogKeys, SignedCheckpoint};

/// Reads all of it.
pub(super) fn read(beside: &Beside, log_keys: &LogKeys, keys: &Keys, findings: &mut Findings) {
    let mut wrong = |problem: String| findings.add(Place::Witness, None, problem);
    match held_files(&beside.data) {
        Err(error) => wrong(error.to_string()),
        Ok(files) => {
            for (path, read) in files {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let problem = match read {
                    Ok(kept) => held(beside, log_keys, keys, &kept, name).err(),
                    Err(problem) => Some(problem),
                };
                if let Some(problem) = problem {
                    wrong(format!("{}: {problem}", beside.shown(&path)));
                }
            }
        }
    }
    match fork_files(&beside.data) {
        Err(error) => wrong(error.to_string()),
        Ok(files) => {
            for path in files {
                let shown = fork_text(&path).and_then(|text| {
                    let proof = ForkProof::read(&text).map_err(|e| e.to_string())?;
                    proof.verify(&beside.authority).map_err(|e| e.to_string())
                });
                if let Err(problem) = shown {
                    wrong(format!("{}: it proves no fork: {problem}", beside.shown(&path)));
                }
            }
        }
    }
}

/// What is held of one log.
fn held(beside: &Beside, log_keys: &LogKeys, keys: &Keys, kept: &Kept, name: &str) -> Result<(), String> {
    let log = &kept.log;
    let node = node_of(log).ok_or_else(|| format!("it names no log of a node: {log:?}"))?;
    if kept.file_name() != name {
        return Err(format!("it is about log `{log}`, and would be named {}", kept.file_name()));
    }
    if Some(&node) == node_of(log_keys.current().name()).as_ref() {
        return Err(format!("log `{log}` is this node's own, of which it is no witness"));
    }
    if kept.cut.as_ref().is_some_and(|cut| cut.proven) && !fork_file(&beside.data, log).exists() {
        return Err(format!(
            "log `{log}` was found to have two histories, and the proof of it is missing: {}",
            beside.shown(&fork_file(&beside.data, log))
        ));
    }
    let Some(text) = &kept.held else { return Ok(()) };
    let checkpoint = SignedCheckpoint::parse_unverified(text).map_err(|e| format!("what is held: {e}"))?;
    let claimed = checkpoint.claimed();
    if claimed.origin != *log {
        return Err(format!("what is held is a checkpoint of log `{}`", claimed.origin));
    }
    let size = claimed.size;
    let key = keys.maker(&checkpoint).cloned().ok_or_else(|| {
        format!(
            "no key that a kept directory version lists signed the checkpoint of {size} events that is held"
        )
    })?;
    checkpoint.verify(&key).map_err(|e| format!("the checkpoint of {size} events that is held: {e}"))?;
    Ok(())
}
