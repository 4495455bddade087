//! The checkpoints of this node's log that an authority timestamped.

use std::path::{Path, PathBuf};

use super::super::{Findings, Place};
use super::{Beside, Found, Judge};
use crate::exchange::timestamps::{Stamped, token_files};
use crate::merkle::{Hash, SignedCheckpoint};
use crate::signature::{Reason, prove_timestamp};
use crate::time::Timestamp;

/// The tokens.
pub(super) fn files(beside: &Beside, findings: &mut Findings) -> Vec<PathBuf> {
    token_files(&beside.data).unwrap_or_else(|error| {
        findings.add(Place::Timestamp, None, error.to_string());
        Vec::new()
    })
}

/// A token and its checkpoint.
pub(super) fn judge(judge: &Judge<'_>, path: &Path) -> Found {
    let mut found = Found::default();
    match Stamped::read(path) {
        Err(error) => found.problems.push(error.to_string()),
        Ok(stamped) => {
            match checkpoint(judge, path, &stamped) {
                Ok(checkpoint) => found.checkpoints.extend(checkpoint),
                Err(problem) => found.problems.push(problem),
            }
            found.problems.extend(token(judge, &stamped).err());
        }
    }
    found
}

/// Size and root, if it is of this log.
fn checkpoint(judge: &Judge<'_>, path: &Path, stamped: &Stamped) -> Result<Option<(u64, Hash)>, String> {
    let unverified = SignedCheckpoint::parse_unverified(&stamped.note).map_err(|e| e.to_string())?;
    let claimed = unverified.claimed().clone();
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('-'));
    if name.map(|(generation, _)| generation) != claimed.origin.rsplit('/').next() {
        return Err(format!("its checkpoint is of log `{}`, which its name does not say", claimed.origin));
    }
    let (key, is_own) = judge.key(&unverified, "its checkpoint")?;
    unverified.verify(&key).map_err(|e| format!("its checkpoint of {} events: {e}", claimed.size))?;
    Ok(is_own.then_some((claimed.size, claimed.root)))
}

/// Whether it is a token over this checkpoint, as it came. That its authority is under no root, or lost its standing since,
/// is for whoever judges evidence: the token is still the one that was kept.
fn token(judge: &Judge<'_>, stamped: &Stamped) -> Result<(), String> {
    let stamp = prove_timestamp(&stamped.token, stamped.note.as_bytes(), &judge.beside.trust, Timestamp::MAX);
    let fault = stamp.map_err(|e| format!("the timestamp: {e}"))?.fault;
    let standing = [Reason::UntrustedIssuer, Reason::RevocationUnknown, Reason::CertificateRevoked];
    match fault.filter(|(reason, _)| !standing.contains(reason)) {
        None => Ok(()),
        Some((reason, detail)) => Err(format!("the timestamp proves nothing: {reason}: {detail}")),
    }
}
