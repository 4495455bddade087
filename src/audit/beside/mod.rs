//! The files beside journal and sled in a node's data: what it holds of other logs, what others cosigned of its own, its
//! timestamps, and the directory versions that it keeps.
//!
//! 1. The directory versions are verified, the newest first (`directories`): all other keys are from them.
//! 2. What is held of other logs, and the proofs of forks (`held`).
//! 3. The checkpoints that others cosigned and that were timestamped (`own`, `stamped`): their signatures, and the sizes
//!    and roots that they say. Files are read and judged one after the other, on as many threads as the check may use;
//!    of each checkpoint 48 bytes stay ([`Roots`]).
//! 4. While the log is walked through, the root at each of these sizes is compared, and what it says of directory versions
//!    with what is kept.
//!
//! A checkpoint with a good signature and a root that the log does not have says that the log is not the one that others
//! saw: whoever holds the log's key can rewrite journal, sled and checkpoints alike, but not what others signed.

mod directories;
mod held;
mod own;
mod roots;
mod stamped;

use std::path::{Path, PathBuf};

use super::evidence::keys::Keys;
use super::{Findings, Place};
use crate::config::Config;
use crate::domain::event::Event;
use crate::merkle::{Hash, LogKeys, NoteVerifier, UnverifiedCheckpoint};
use crate::parallel;
use crate::signature::Trust;
use directories::Versions;
pub(super) use roots::Roots;

/// Files that are judged before it is asked whether to go on.
const TOGETHER: usize = 64;

/// The files beside a log, and what they are judged by.
pub struct Beside {
    data: PathBuf,
    /// Key of the directory's authority, and name of the network.
    authority: NoteVerifier,
    network: String,
    trust: Trust,
}

impl Beside {
    /// Of a node's data; timestamps are judged under `trust`.
    pub fn new(data: &Path, config: &Config, trust: Trust) -> Beside {
        let (authority, network) = (config.authority.clone(), config.network.clone());
        Beside { data: data.to_owned(), authority, network, trust }
    }

    /// A file or folder as it is named in findings: below the data.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.data).unwrap_or(path).display().to_string()
    }
}

/// What the files say by themselves, and what is to be compared with the log.
pub(super) struct Read {
    pub findings: Findings,
    pub roots: Roots,
    versions: Option<Versions>,
}

impl Read {
    /// Where nothing beside the log is looked at.
    pub fn nothing() -> Read {
        Read { findings: Findings::default(), roots: Roots::default(), versions: None }
    }

    /// Reads and judges every file; `None` when `go_on` says that it is over.
    pub fn of(
        beside: &Beside,
        log_keys: &LogKeys,
        threads: usize,
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Option<Read> {
        let mut findings = Findings::default();
        // 1
        let mut keys = Keys::default();
        let versions = Versions::read(beside, &mut keys, &mut findings);
        // 2
        held::read(beside, log_keys, &keys, &mut findings);
        // 3
        let mut roots = Roots::default();
        let judge = Judge { beside, log_keys, keys: &keys };
        let mut files: Vec<(Place, PathBuf)> = Vec::new();
        files.extend(own::files(beside, &mut findings).into_iter().map(|path| (Place::Witness, path)));
        files.extend(stamped::files(beside, &mut findings).into_iter().map(|path| (Place::Timestamp, path)));
        for some in files.chunks(TOGETHER) {
            if !go_on(0) {
                return None;
            }
            let found = parallel::each(threads, some, |(place, path)| match place {
                Place::Witness => own::judge(&judge, path),
                _ => stamped::judge(&judge, path),
            });
            for ((place, path), found) in some.iter().zip(found) {
                let file = beside.shown(path);
                for problem in found.problems {
                    findings.add(*place, None, format!("{file}: {problem}"));
                }
                roots.add(*place, &file, found.checkpoints);
            }
        }
        roots.sort();
        Some(Read { findings, roots, versions: Some(versions) })
    }

    /// An event of the log.
    pub fn event(&mut self, at: u64, event: &Event) {
        if let Some(versions) = &mut self.versions {
            versions.event(at, event, &mut self.findings);
        }
    }

    /// The log ends after so many events; `later` says which root it has at a size beyond, where it went on meanwhile.
    pub fn finish(&mut self, size: u64, later: &Later<'_>) {
        self.roots.end(size, later, &mut self.findings);
    }
}

/// The root at a size beyond the one that was read; none: the log does not have so many events.
pub(super) type Later<'a> = dyn Fn(u64) -> Option<Hash> + 'a;

/// What files are judged by.
struct Judge<'a> {
    beside: &'a Beside,
    log_keys: &'a LogKeys,
    keys: &'a Keys,
}

impl Judge<'_> {
    /// Origin line of the log.
    fn origin(&self) -> &str {
        self.log_keys.current().name()
    }

    /// Whether a checkpoint is of an earlier or later log of the same node: nothing here can be compared with it.
    fn is_of_other_generation(&self, origin: &str) -> bool {
        let node = |log: &str| log.rsplit_once("/log/").map(|(node, _)| node.to_owned());
        origin != self.origin() && node(origin).is_some() && node(origin) == node(self.origin())
    }

    /// The key by which a checkpoint is verified, and whether it is of this log, so that its root can be compared;
    /// `it` is how a finding calls it.
    fn key(&self, checkpoint: &UnverifiedCheckpoint, it: &str) -> Result<(NoteVerifier, bool), String> {
        let claimed = checkpoint.claimed();
        let origin = &claimed.origin;
        if origin == self.origin() {
            return Ok((self.log_keys.of_size(claimed.size).clone(), true));
        }
        if !self.is_of_other_generation(origin) {
            return Err(format!("{it} is of log `{origin}`, not `{}`", self.origin()));
        }
        let listed = self.keys.maker(checkpoint).cloned();
        let unlisted =
            || format!("no key that a kept directory version lists for log `{origin}` signed {it}");
        listed.map(|key| (key, false)).ok_or_else(unlisted)
    }
}

/// What one file came to.
#[derive(Default)]
struct Found {
    problems: Vec<String>,
    /// What the log's key signed, and another vouched for: size and root.
    checkpoints: Vec<(u64, Hash)>,
}
