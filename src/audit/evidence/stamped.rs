//! Timestamped checkpoints: since when what stands under one exists, by the word of an authority under the given roots.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use super::container::{Broken, Container};
use super::judged::Revocation;
use super::keys::Keys;
use super::report::Report;
use super::{cosigned, names};
use crate::domain::ids::Digest;
use crate::exchange::timestamps::MAX_TOKEN;
use crate::merkle::{Hash, MAX_CHECKPOINT_BYTES, SignedCheckpoint};
use crate::signature::{Reason, Trust, prove_timestamp};
use crate::time::Timestamp;

/// What authorities timestamped.
#[derive(Default)]
pub(super) struct Stamped {
    /// The times that are proven, by the text of the checkpoint.
    pub proven: BTreeMap<String, Timestamp>,
    /// Size and time of all, also of those that prove nothing here, by the text of the checkpoint.
    pub claimed: BTreeMap<String, (u64, Timestamp)>,
    /// The tokens.
    pub files: Vec<(String, String)>,
    /// The revocation data that they rest on.
    pub evidence: BTreeSet<Digest>,
}

/// Checks every timestamp. One whose authority's revocation cannot be told proves nothing, and is noted.
pub(super) fn check<R: Read + Seek>(
    report: &mut Report,
    container: &mut Container<R>,
    keys: &Keys,
    roots: &[Vec<u8>],
    revocation: &Revocation,
) -> Result<Stamped, Broken> {
    let mut stamped = Stamped::default();
    let entries = container.under(names::TIMESTAMP);
    if entries.is_empty() {
        return Ok(stamped);
    }
    let what = "an authority timestamped a checkpoint";
    let trust = match Trust::new(roots) {
        Ok(trust) => revocation.all(trust),
        Err(error) => {
            report.fails(names::TIMESTAMP, what, format!("the given roots cannot be used: {error}"));
            return Ok(stamped);
        }
    };
    let mut notes = 0;
    for entry in &entries {
        let Some(note_path) = entry.path.strip_suffix(".tst").map(|stem| format!("{stem}.note")) else {
            notes += 1;
            continue;
        };
        let Some(note_entry) = entries.iter().find(|e| e.path == note_path) else {
            report.fails(
                &entry.path,
                what,
                format!("{note_path}, which it is over, is not in the container"),
            );
            continue;
        };
        let token = container.whole(entry, MAX_TOKEN as u64)?;
        let note = container.whole(note_entry, MAX_CHECKPOINT_BYTES as u64)?;
        let read = std::str::from_utf8(&note).map_err(|e| e.to_string());
        let read = read.and_then(|text| SignedCheckpoint::parse_unverified(text).map_err(|e| e.to_string()));
        let read = read.and_then(|c| keys.signed(&c).map(|()| c));
        let checkpoint = match read {
            Ok(checkpoint) => checkpoint,
            Err(why) => {
                report.fails(&note_path, "it is a checkpoint", why);
                continue;
            }
        };
        let claimed = checkpoint.claimed();
        if names::timestamp(&claimed.origin, claimed.size, "tst") != entry.path {
            let why = format!("it is `{}` of {} events, not that of its name", claimed.origin, claimed.size);
            report.fails(&note_path, "it is a checkpoint", why);
            continue;
        }
        if !cosigned::lines(report, &note_path, keys, &checkpoint) {
            continue;
        }
        let found = match prove_timestamp(&token, &note, &trust, Timestamp::MAX) {
            Ok(found) => found,
            Err(error) => {
                report.fails(&entry.path, what, error.to_string());
                continue;
            }
        };
        let tree = checkpoint.note().text.clone();
        stamped.claimed.insert(tree.clone(), (claimed.size, found.claimed_at));
        stamped.files.push((entry.path.clone(), tree.clone()));
        stamped.evidence.extend(found.evidence.iter().map(|digest| Hash(*digest)));
        let (at, of) = (found.claimed_at, format!("`{}` of {} events", claimed.origin, claimed.size));
        match found.fault {
            None => {
                let how = "RFC 3161, certificate of the authority under the given roots, not revoked";
                report.holds(&entry.path, format!("{of} existed at {at}"), how);
                stamped.proven.insert(tree, at);
            }
            Some((Reason::RevocationUnknown, why)) => {
                let why = format!("the timestamp is intact, but {why}");
                report.notes(&entry.path, format!("{of} existed at {at}"), why);
            }
            Some((reason, why)) => report.fails(&entry.path, what, format!("{reason}: {why}")),
        }
    }
    if 2 * notes != entries.len() {
        report.fails(names::TIMESTAMP, what, "a checkpoint there has no timestamp");
    }
    Ok(stamped)
}
