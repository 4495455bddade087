//! What a witness keeps, durably: one small file for each log in `witness/`, the proofs of forks in `forks/`, and what
//! others cosigned in `witness/own/`: a file for each day, and `newest.json`.
//!
//! Files are replaced whole: written beside, synced, renamed, and the folder synced. So each is as it was before or as it
//! is after, and what a cosignature rests on is durable before it is given. Only `newest.json` is not synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Standing;
use super::fork::node_of;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::merkle::{MAX_CHECKPOINT_BYTES, Note, NoteSignature, SignedCheckpoint};
use crate::store::StoreError;
use crate::store::disk::{Disk, RealDisk};
use crate::time::Timestamp;

/// What others cosigned at last. It comes after every day in the order of names.
const NEWEST_FILE: &str = "newest.json";

/// What is kept of one log of another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Origin line.
    pub log: String,
    /// The newest checkpoint that is held, as a signed note; nothing says that it is one.
    pub held: Option<String>,
    /// Exchange with it is stopped.
    pub cut: Option<Cut>,
}

impl Kept {
    /// Name of its file, and of the proof of a fork.
    pub fn file_name(&self) -> String {
        file_name(&self.log)
    }
}

/// Why exchange with a log is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Two histories are proven; otherwise it did not show that there is one.
    pub proven: bool,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// What was found, for a person.
    pub why: String,
    /// The alarm is in the log.
    pub alarmed: bool,
}

impl Cut {
    /// The stable reason of what is refused for it.
    pub fn reason(&self) -> Reason {
        if self.proven { Reason::LogForked } else { Reason::LogSuspect }
    }

    /// Since when.
    pub fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.since_ms)
    }
}

/// The folders.
#[derive(Clone)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    witness: PathBuf,
    own: PathBuf,
    forks: PathBuf,
}

/// The proof of a fork of a log, in a node's data, where there is one.
pub fn fork_file(data: &Path, log: &str) -> PathBuf {
    data.join("forks").join(file_name(log))
}

/// How a stopped node's files say that the logs of other nodes stand.
pub fn kept(data: &Path) -> Result<Vec<Standing>, StoreError> {
    let files = Files::of(Arc::new(RealDisk), data);
    let standing = |kept: Kept| {
        let held = kept.held.as_deref().and_then(|text| SignedCheckpoint::parse_unverified(text).ok());
        let held = held.map_or(0, |held| held.claimed().size);
        Some(Standing { peer: node_of(&kept.log)?, log: kept.log, held, cut: kept.cut })
    };
    Ok(files.logs()?.into_iter().filter_map(standing).collect())
}

/// A file that a witness keeps, and what it says, or why that cannot be read.
pub type KeptFile<T> = (PathBuf, Result<T, String>);

/// What a node's data holds of each log of another node, by file.
pub fn held_files(data: &Path) -> Result<Vec<KeptFile<Kept>>, StoreError> {
    let files = Files::of(Arc::new(RealDisk), data);
    Ok(files.names(&files.witness)?.into_iter().map(|path| (path.clone(), files.held(&path))).collect())
}

/// The files of proofs of forks in a node's data.
pub fn fork_files(data: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let files = Files::of(Arc::new(RealDisk), data);
    files.names(&files.forks)
}

/// The text of one of [`fork_files`].
pub fn fork_text(file: &Path) -> Result<String, String> {
    read_text(&RealDisk, file, limits::FORK_PROOF_BYTES)
}

/// The files of what others cosigned in a node's data, the newest checkpoints last.
pub fn own_files(data: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let files = Files::of(Arc::new(RealDisk), data);
    files.names(&files.own)
}

/// The notes in one of [`own_files`].
pub fn own_notes(file: &Path) -> Result<Vec<String>, String> {
    read_notes(&RealDisk, file)
}

/// A log's origin as the name of a file: no name of a key has a plus sign.
pub(super) fn file_name(log: &str) -> String {
    format!("{}.json", log.replace('/', "+"))
}

impl Files {
    /// Of this data; the folders may be missing.
    pub(super) fn of(disk: Arc<dyn Disk>, data: &Path) -> Files {
        let witness = data.join("witness");
        Files { disk, own: witness.join("own"), witness, forks: data.join("forks") }
    }

    /// Makes the folders where they are missing.
    pub(super) fn open(disk: Arc<dyn Disk>, data: &Path) -> Result<Files, StoreError> {
        let files = Files::of(disk, data);
        for dir in [&files.own, &files.forks] {
            files.disk.create_dir(dir).map_err(StoreError::io("creating", dir))?;
        }
        Ok(files)
    }

    /// What is kept of every log. A file that cannot be read is an error: what it said was a promise to others.
    pub(super) fn logs(&self) -> Result<Vec<Kept>, StoreError> {
        let read = |path: PathBuf| {
            self.held(&path).map_err(|problem| StoreError::Damaged {
                problem: format!("it says which checkpoint of a peer is held: {problem}"),
                path,
                offset: 0,
            })
        };
        self.names(&self.witness)?.into_iter().map(read).collect()
    }

    fn held(&self, path: &Path) -> Result<Kept, String> {
        let text = read_text(&*self.disk, path, limits::WITNESS_FILE_BYTES)?;
        serde_json::from_str(&text).map_err(unread)
    }

    /// Keeps what is held of a log.
    pub(super) fn keep(&self, kept: &Kept) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(kept).unwrap_or_default();
        self.replace(&self.witness, &file_name(&kept.log), &json, true)
    }

    /// Keeps the proof of a fork; gives back where.
    pub(super) fn keep_fork(&self, log: &str, json: &[u8]) -> Result<PathBuf, StoreError> {
        let name = file_name(log);
        self.replace(&self.forks, &name, json, true)?;
        Ok(self.forks.join(name))
    }

    /// Keeps what was cosigned by each witness at last.
    ///
    /// Not synced: it changes every few seconds, and the log's own syncs would wait behind it. The last of each hour that is
    /// over is in its day's file, which is synced; these come again when the log has grown, which it does with the next
    /// start. A power cut may take them, or leave a file that is passed over then, and replaced.
    pub(super) fn keep_newest(&self, notes: &[String]) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(notes).unwrap_or_default();
        self.replace(&self.own, NEWEST_FILE, &json, false)
    }

    /// Adds what was cosigned on a day to what is kept of it: synced, because nobody gives it again. At most
    /// [`limits::COSIGNATURES_A_DAY`] of each key, of which the last gives way.
    pub(super) fn keep_of_day(&self, day: &str, notes: &[Note]) -> Result<(), StoreError> {
        let name = format!("{day}.json");
        let path = self.own.join(&name);
        let parse = |bytes: Vec<u8>| -> Result<Vec<Note>, String> {
            let texts: Vec<String> = serde_json::from_slice(&bytes).map_err(unread)?;
            texts.iter().map(|text| Note::parse(text, MAX_CHECKPOINT_BYTES).map_err(unread)).collect()
        };
        let mut kept = match read_bytes(&*self.disk, &path, limits::WITNESS_FILE_BYTES).map(parse) {
            Ok(Ok(kept)) => kept,
            Ok(Err(problem)) => {
                // What is in it still is there, for whoever can read it.
                let aside = self.own.join(format!("{name}.damaged"));
                tracing::error!(path = %path.display(), problem, "what others cosigned is put aside");
                self.disk.rename(&path, &aside).map_err(StoreError::io("renaming", &path))?;
                Vec::new()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(StoreError::io("reading", &path)(error)),
        };
        notes.iter().for_each(|note| add_note(&mut kept, note));
        let texts: Vec<String> = kept.iter().map(ToString::to_string).collect();
        let json = serde_json::to_vec_pretty(&texts).unwrap_or_default();
        self.replace(&self.own, &name, &json, true)
    }

    /// What others cosigned at last, then what they did on the newest of the days that there are, and on each before while
    /// `more` says so.
    pub(super) fn own(&self, mut more: impl FnMut(Vec<String>) -> bool) -> Result<(), StoreError> {
        for path in self.names(&self.own)?.into_iter().rev() {
            // Cosignatures are others' word and come again: one file less is no damage to the log.
            let notes = read_notes(&*self.disk, &path).unwrap_or_else(|problem| {
                tracing::error!(path = %path.display(), problem, "what others cosigned is passed over");
                Vec::new()
            });
            if !more(notes) {
                break;
            }
        }
        Ok(())
    }

    /// The files of a folder, by name; none where it is missing.
    fn names(&self, dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let names = match self.disk.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(StoreError::io("listing", dir))?,
        };
        Ok(names.iter().filter(|name| name.ends_with(".json")).map(|name| dir.join(name)).collect())
    }

    fn replace(&self, dir: &Path, name: &str, bytes: &[u8], durable: bool) -> Result<(), StoreError> {
        let (path, fresh) = (dir.join(name), dir.join(format!("{name}.tmp")));
        // What a crash left.
        let _ = self.disk.remove(&fresh);
        let write = || -> io::Result<()> {
            let file = self.disk.create(&fresh)?;
            file.write_at(bytes, 0)?;
            if durable {
                file.sync()?;
            }
            self.disk.rename(&fresh, &path)?;
            if durable { self.disk.sync_dir(dir) } else { Ok(()) }
        };
        write().map_err(StoreError::io("writing", &path))
    }
}

fn read_text(disk: &dyn Disk, path: &Path, limit: u64) -> Result<String, String> {
    String::from_utf8(read_bytes(disk, path, limit).map_err(unread)?).map_err(unread)
}

fn read_bytes(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open_read(path)?;
    let length = file.len()?;
    if length > limit {
        let what = format!("{length} bytes, {limit} are allowed");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn read_notes(disk: &dyn Disk, path: &Path) -> Result<Vec<String>, String> {
    serde_json::from_str(&read_text(disk, path, limits::WITNESS_FILE_BYTES)?).map_err(unread)
}

fn unread(error: impl std::fmt::Display) -> String {
    format!("it cannot be read: {error}")
}

/// Adds the lines of a note to those of the same text, or the note. A key that has its share in the day gives up its last.
fn add_note(kept: &mut Vec<Note>, note: &Note) {
    for line in &note.signatures {
        let by = |other: &NoteSignature| other.name == line.name && other.key_id == line.key_id;
        if kept.iter().any(|k| k.text == note.text && k.signatures.iter().any(by)) {
            continue;
        }
        // A log's own line stands under each checkpoint, once.
        let of_log = note.text.lines().next() == Some(line.name.as_str());
        let having: Vec<usize> = (0..kept.len()).filter(|at| kept[*at].signatures.iter().any(by)).collect();
        if !of_log
            && having.len() >= limits::COSIGNATURES_A_DAY
            && let Some(last) = having.last()
        {
            kept[*last].signatures.retain(|other| !by(other));
        }
        match kept.iter_mut().find(|k| k.text == note.text) {
            Some(same) => same.signatures.push(line.clone()),
            None => kept.push(Note { text: note.text.clone(), signatures: vec![line.clone()] }),
        }
    }
    // A checkpoint whose last cosignature gave way is none that others cosigned.
    kept.retain(|k| k.signatures.iter().any(|line| k.text.lines().next() != Some(line.name.as_str())));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, key: u8, made: u32) -> NoteSignature {
        NoteSignature { name: name.to_owned(), key_id: [key; 4], signature: made.to_be_bytes().to_vec() }
    }

    fn note(size: u32, by: &[(&str, u8)]) -> Note {
        let mut signatures = vec![line("a/log/1", 0, size)];
        signatures.extend(by.iter().map(|(name, key)| line(name, *key, size)));
        Note { text: format!("a/log/1\n{size}\nroot\n"), signatures }
    }

    #[test]
    fn a_days_file_that_cannot_be_read_is_put_aside_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(Arc::new(RealDisk), dir.path()).unwrap();
        let own = dir.path().join("witness/own");
        let day = own.join("2016-08-08.json");
        files.keep_of_day("2016-08-08", &[note(3, &[("b/witness", 1)])]).unwrap();
        files.keep_of_day("2016-08-08", &[note(4, &[("b/witness", 1)])]).unwrap();
        assert_eq!(own_notes(&day).unwrap().len(), 2);
        std::fs::write(&day, "[\"half").unwrap();
        files.keep_of_day("2016-08-08", &[note(5, &[("b/witness", 1)])]).unwrap();
        assert_eq!(own_notes(&day).unwrap(), [note(5, &[("b/witness", 1)]).to_string()]);
        assert_eq!(std::fs::read_to_string(own.join("2016-08-08.json.damaged")).unwrap(), "[\"half");
        // One that is there and does not open stays as it is, and what was to be added is not taken for written.
        std::fs::remove_file(&day).unwrap();
        std::fs::create_dir(&day).unwrap();
        files.keep_of_day("2016-08-08", &[note(6, &[("b/witness", 1)])]).unwrap_err();
        assert!(day.is_dir());
        files.keep_newest(&[]).unwrap();
        assert_eq!(own_files(dir.path()).unwrap(), [day, own.join("newest.json")]);
    }

    #[test]
    fn a_day_has_a_bounded_share_for_each_key_and_the_last_gives_way() {
        let mut kept = Vec::new();
        let most = u32::try_from(limits::COSIGNATURES_A_DAY).unwrap();
        for size in 1..=most + 5 {
            add_note(&mut kept, &note(size, &[("b/witness", 1)]));
        }
        let of = |kept: &[Note], key: u8| -> Vec<String> {
            let by = kept.iter().filter(|k| k.signatures.iter().any(|s| s.key_id == [key; 4]));
            by.map(|k| k.text.lines().nth(1).unwrap().to_owned()).collect()
        };
        let expected: Vec<String> = (1..most).chain([most + 5]).map(|n| n.to_string()).collect();
        assert_eq!(of(&kept, 1), expected);
        assert_eq!(of(&kept, 0), expected, "no checkpoint is left without a cosignature");
        // Another key of the same name has a share of its own, and lines of one checkpoint come together.
        add_note(&mut kept, &note(1, &[("b/witness", 2), ("c/witness", 1)]));
        add_note(&mut kept, &note(1, &[("b/witness", 1)]));
        assert_eq!(kept.len(), limits::COSIGNATURES_A_DAY);
        let names: Vec<&str> = kept[0].signatures.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["a/log/1", "b/witness", "b/witness", "c/witness"]);
    }
}
