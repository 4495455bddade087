//! Directory versions: signed by the authority, in one chain, and the ones that the log says were adopted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::evidence::keys::Keys;
use super::super::{Findings, Place};
use super::Beside;
use crate::directory::{Directory, DirectoryError, NodeList};
use crate::domain::event::{Event, EventKind};
use crate::domain::ids::Digest;
use crate::exchange::directory::kept_versions;
use crate::merkle::NoteVerifier;

/// The versions that are kept.
pub(super) struct Versions {
    dir: PathBuf,
    authority: NoteVerifier,
    kept: BTreeMap<u64, Digest>,
    /// Those whose files are no such versions, which was told.
    bad: BTreeSet<u64>,
}

impl Versions {
    /// Reads all, the newest first, and takes the nodes' keys from them.
    ///
    /// The newest is what a node starts with, and is verified as a whole. Of those before only what they say of nodes is
    /// read: a national directory has a hundred thousand agencies, and there may be hundreds of versions.
    pub fn read(beside: &Beside, keys: &mut Keys, findings: &mut Findings) -> Versions {
        let mut versions = Versions {
            dir: beside.data.join("directories"),
            authority: beside.authority.clone(),
            kept: BTreeMap::new(),
            bad: BTreeSet::new(),
        };
        let listed = kept_versions(&beside.data).unwrap_or_else(|error| {
            findings.add(Place::Directory, None, format!("directories: it cannot be listed: {error}"));
            Vec::new()
        });
        // The version after, and the one that it follows.
        let mut after: Option<(u64, Option<Digest>)> = None;
        for (position, (version, path)) in listed.iter().rev().enumerate() {
            let mut wrong = |problem: String| {
                findings.add(Place::Directory, None, format!("{}: {problem}", beside.shown(path)))
            };
            let list = match read(path, &beside.authority, position == 0) {
                Ok(list) => list,
                Err(problem) => {
                    wrong(problem);
                    versions.bad.insert(*version);
                    continue;
                }
            };
            if list.version != *version {
                wrong(format!("it is version {}", list.version));
                versions.bad.insert(*version);
                continue;
            }
            if list.network != beside.network {
                let (found, expected) = (&list.network, &beside.network);
                wrong(format!("it is the directory of network `{found}`, this node belongs to `{expected}`"));
            }
            if let Some((next, Some(previous))) = after
                && next == version + 1
                && previous != list.digest
            {
                wrong(format!(
                    "its SHA-256 is {}, version {next} follows the one with {previous}",
                    list.digest
                ));
            }
            after = Some((*version, list.previous));
            keys.add(*version, list.nodes.values());
            versions.kept.insert(*version, list.digest);
        }
        versions
    }

    /// What the log says of a version.
    pub fn event(&mut self, at: u64, event: &Event, findings: &mut Findings) {
        let EventKind::DirectoryAdopted { version, digest } = &event.kind else { return };
        if self.bad.contains(version) {
            return;
        }
        let file = format!("directories/{version}.note");
        let kept = self.kept.get(version).copied().or_else(|| {
            // A running node may have adopted it since.
            let path = self.dir.join(format!("{version}.note"));
            let list = read(&path, &self.authority, false).ok().filter(|list| list.version == *version)?;
            self.kept.insert(*version, list.digest);
            Some(list.digest)
        });
        let message = match kept {
            Some(kept) if kept == *digest => return,
            Some(kept) => format!(
                "{file}: its SHA-256 is {kept}, and this event says that version {version} was adopted with {digest}"
            ),
            None => format!(
                "{file}: it is missing, and this event says that version {version} was adopted with SHA-256 {digest}"
            ),
        };
        findings.add(Place::Directory, at, message);
    }
}

fn read(path: &Path, authority: &NoteVerifier, whole: bool) -> Result<NodeList, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let says = |error: DirectoryError| error.to_string();
    if whole {
        Directory::verify(&text, authority).map_err(says)?;
    }
    NodeList::verify(&text, authority).map_err(says)
}
