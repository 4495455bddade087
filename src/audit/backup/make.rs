//! Making a copy, or bringing one up to date.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BESIDE, BackupError, Entry, FORM, LIST, List, Wrapped, each_piece, hash, sync_dir};
use crate::exchange::timestamps::stamped_size;
use crate::exchange::witness::ever::notes_within;
use crate::merkle::{NoteVerifier, SignedCheckpoint};
use crate::store::StoreError;
use crate::store::content::backup_files;
use crate::store::disk::RealDisk;
use crate::store::journal::{Position, Reader};
use crate::time::Timestamp;

/// What is copied.
pub struct Source<'a> {
    /// The node's data.
    pub data: &'a Path,
    /// The log's key.
    pub key: &'a NoteVerifier,
    /// The newest checkpoint that the running node published; `None`: it is stopped, and the journal's end counts.
    pub published: Option<&'a SignedCheckpoint>,
    /// Files beside the data, with their names in the copy (below `config/`).
    pub beside: Vec<(PathBuf, String)>,
    /// Private keys that are left out, by the key of the configuration.
    pub keys_left_out: Vec<String>,
    /// When this is.
    pub now: Timestamp,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Events in the copy.
    pub size: u64,
    /// Files in the copy, and their bytes.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that were copied now.
    pub copied: u64,
}

/// What stands in a copy beside [`BESIDE`], also in one that was only begun.
const OWN: [&str; 7] = ["LOCK", LIST, NEW_LIST, "format", "journal", "content", "config"];
/// The list while it is written.
const NEW_LIST: &str = "backup.json.tmp";

/// A copy goes into an empty folder or one that holds a copy, whole or begun, and never among the data themselves.
pub fn check_folder(data: &Path, to: &Path) -> Result<(), BackupError> {
    // It need not be there yet.
    let there = to.ancestors().find_map(|path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        std::fs::canonicalize(path).ok()
    });
    let data = std::fs::canonicalize(data).map_err(StoreError::io("reading", data))?;
    if there.is_some_and(|there| there.starts_with(data)) {
        return Err(BackupError::Folder {
            path: to.to_owned(),
            problem: "it is in the node's own data".into(),
        });
    }
    if to.join(LIST).exists() || !to.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(to).map_err(StoreError::io("listing", to))? {
        let name = entry.map_err(StoreError::io("listing", to))?.file_name();
        if !OWN.iter().chain(&BESIDE).any(|own| name == *own) {
            let problem = format!("it holds `{}`, which is none of a backup", name.display());
            return Err(BackupError::Folder { path: to.to_owned(), problem });
        }
    }
    Ok(())
}

/// Makes a copy in `to`, or adds to the one that is there. `progress` is told how many bytes were copied.
pub fn make(source: &Source<'_>, to: &Path, progress: impl FnMut(u64)) -> Result<Made, BackupError> {
    check_folder(source.data, to)?;
    std::fs::create_dir_all(to).map_err(StoreError::io("creating", to))?;
    let lock_path = to.join("LOCK");
    let lock = File::create(&lock_path).map_err(StoreError::io("creating", &lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(BackupError::InUse { path: to.to_owned() }),
        Err(std::fs::TryLockError::Error(e)) => return Err(StoreError::io("locking", lock_path)(e).into()),
    }
    let before = List::read(to)?;
    if let Some(before) = before.as_ref().filter(|b| b.log != source.key.name()) {
        return Err(BackupError::OtherLog {
            path: to.to_owned(),
            found: before.log.clone(),
            expected: source.key.name().to_owned(),
        });
    }
    // The log's size first: what it names is on the disk by now.
    let end = end_of_log(source, before.as_ref())?;
    let mut copy = Copy { to, before: before.as_ref(), files: Vec::new(), copied: 0, progress };
    copy.whole(&source.data.join("format"), "format")?;
    for folder in BESIDE {
        for path in sorted(&source.data.join(folder))? {
            let name = format!("{folder}/{}", file_name(&path));
            // What others cosigned or timestamped meanwhile is of a log that goes on after the copy's end: with it, the copy
            // would say of itself that it is an old one.
            match folder {
                "timestamps" if stamped_size(&path).is_some_and(|size| size > end.size) => {}
                "witness/own" => copy.cosigned(&path, &name, (source.key.name(), end.size))?,
                _ => copy.whole(&path, &name)?,
            }
        }
    }
    let journal = source.data.join("journal");
    for number in 1..=end.position.segment {
        let name = format!("{number:08}.journal");
        let path = journal.join(&name);
        let length = if number == end.position.segment { end.position.offset } else { length_of(&path)? };
        copy.growing(&path, &format!("journal/{name}"), length)?;
    }
    for (name, length) in backup_files(&source.data.join("content"))? {
        copy.growing(&source.data.join("content").join(&name), &format!("content/{name}"), length)?;
    }
    for (path, name) in &source.beside {
        copy.whole(path, &format!("config/{name}"))?;
    }
    let Copy { files, copied, .. } = copy;
    let list = List {
        form: FORM,
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: source.now.to_string(),
        log: source.key.name().to_owned(),
        size: end.size,
        checkpoint: end.checkpoint,
        journal: end.position,
        keys_left_out: source.keys_left_out.clone(),
        files,
    };
    write_list(to, &list)?;
    // What belongs to no list any more: content that was purged, segments that were written again.
    for entry in before.iter().flat_map(|before| &before.files).filter(|e| list.entry(&e.path).is_none()) {
        let path = to.join(&entry.path);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(StoreError::io("removing", path)(e).into()),
        }
    }
    let bytes = list.files.iter().map(|entry| entry.length).sum();
    Ok(Made { size: list.size, files: list.files.len() as u64, bytes, copied })
}

/// Where the copy of the log ends.
struct End {
    size: u64,
    checkpoint: String,
    position: Position,
}

/// Reads the journal from where the copy before ended, each block checked, to the commit that is to be the last.
fn end_of_log(source: &Source<'_>, before: Option<&List>) -> Result<End, BackupError> {
    let from = before.map_or(Position::default(), |before| before.journal);
    let mut end = End {
        size: before.map_or(0, |b| b.size),
        checkpoint: before.map_or_else(String::new, |b| b.checkpoint.clone()),
        position: from,
    };
    let wanted = source.published.map(|checkpoint| checkpoint.checkpoint().size);
    let mut reader = Reader::open(Arc::new(RealDisk), &source.data.join("journal"), from)?;
    while wanted.is_none_or(|size| end.size < size) {
        let Some(block) = reader.next_block()? else { break };
        end = End { size: block.end(), checkpoint: block.checkpoint, position: reader.position() };
    }
    if let Some(published) = source.published {
        let same = SignedCheckpoint::verify(&end.checkpoint, source.key)
            .is_ok_and(|c| c.checkpoint() == published.checkpoint());
        if !same {
            return Err(BackupError::NoCheckpoint { size: published.checkpoint().size });
        }
    } else if end.size > 0 && SignedCheckpoint::verify(&end.checkpoint, source.key).is_err() {
        return Err(BackupError::NoCheckpoint { size: end.size });
    }
    Ok(end)
}

struct Copy<'a, P> {
    to: &'a Path,
    before: Option<&'a List>,
    files: Vec<Entry>,
    copied: u64,
    progress: P,
}

impl<P: FnMut(u64)> Copy<'_, P> {
    /// A small file that is replaced as a whole, if it is there.
    fn whole(&mut self, from: &Path, name: &str) -> Result<(), BackupError> {
        match read(from)? {
            Some(bytes) => self.put(&bytes, name),
            None => Ok(()),
        }
    }

    /// A file of what others cosigned of a log, as far as that is of its first events.
    fn cosigned(&mut self, from: &Path, name: &str, of: (&str, u64)) -> Result<(), BackupError> {
        let Some(bytes) = read(from)? else { return Ok(()) };
        let within = std::str::from_utf8(&bytes).ok().and_then(|text| notes_within(text, of.0, of.1));
        self.put(within.as_deref().map_or(&bytes[..], str::as_bytes), name)
    }

    fn put(&mut self, bytes: &[u8], name: &str) -> Result<(), BackupError> {
        let sha256 = crate::merkle::sha256(bytes).to_string();
        let entry = Entry { path: name.to_owned(), length: bytes.len() as u64, sha256 };
        if self.before.and_then(|b| b.entry(name)) != Some(&entry) || !self.to.join(name).exists() {
            let (fresh, path) = self.place(name)?;
            let written = private(&fresh, name).and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            });
            written.map_err(StoreError::io("writing", &fresh))?;
            rename(&fresh, &path)?;
            self.done(entry.length);
        }
        self.files.push(entry);
        Ok(())
    }

    /// A file that only grows, up to `length`.
    fn growing(&mut self, from: &Path, name: &str, length: u64) -> Result<(), BackupError> {
        let known = self.before.and_then(|b| b.entry(name));
        let known = known
            .filter(|_| length_of(&self.to.join(name)).is_ok_and(|l| l >= known.map_or(0, |k| k.length)));
        if let Some(known) = known.filter(|known| known.length == length) {
            self.files.push(known.clone());
            return Ok(());
        }
        let moved = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => BackupError::Moved { path: from.to_owned() },
            _ => StoreError::io("opening", from)(e).into(),
        };
        let mut file = File::open(from).map_err(moved)?;
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        let differs = || BackupError::Differs { path: from.to_owned() };
        let start = known.map_or(0, |known| known.length);
        if length < start {
            return Err(differs());
        }
        let mut hash = |piece: &[u8]| {
            context.update(piece);
            Ok(())
        };
        each_piece(&mut file, from, 0, start, &mut hash)?;
        let prefix = hex::encode(context.clone().finish());
        if known.is_some_and(|known| known.sha256 != prefix) {
            return Err(differs());
        }
        let (fresh, path) = self.place(name)?;
        // What is new of a file that is there goes behind what counts until now.
        let to = if known.is_some() { &path } else { &fresh };
        let mut out = if known.is_some() {
            OpenOptions::new().write(true).open(to).map_err(StoreError::io("opening", to))?
        } else {
            File::create(to).map_err(StoreError::io("creating", to))?
        };
        out.set_len(start).map_err(StoreError::io("writing", to))?;
        out.seek(SeekFrom::Start(start)).map_err(StoreError::io("writing", to))?;
        let whole = each_piece(&mut file, from, start, length, |piece| {
            context.update(piece);
            out.write_all(piece).map_err(StoreError::io("writing", to))?;
            self.copied += piece.len() as u64;
            (self.progress)(self.copied);
            Ok(())
        })?;
        if !whole {
            return Err(BackupError::Moved { path: from.to_owned() });
        }
        out.sync_all().map_err(StoreError::sync(to))?;
        if known.is_none() {
            rename(&fresh, &path)?;
        }
        let sha256 = hex::encode(context.finish());
        self.files.push(Entry { path: name.to_owned(), length, sha256 });
        Ok(())
    }

    /// Where a file is written, and where it goes then.
    fn place(&self, name: &str) -> Result<(PathBuf, PathBuf), BackupError> {
        let path = self.to.join(name);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(StoreError::io("creating", dir))?;
        }
        Ok((path.with_added_extension("tmp"), path))
    }

    fn done(&mut self, bytes: u64) {
        self.copied += bytes;
        (self.progress)(self.copied);
    }
}

/// A new file; a private key is nobody else's to read.
fn private(path: &Path, name: &str) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mode = if name.ends_with(".key") { 0o600 } else { 0o644 };
    OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(from, to).map_err(StoreError::io("renaming", to))?;
    to.parent().map_or(Ok(()), sync_dir)
}

fn length_of(path: &Path) -> Result<u64, StoreError> {
    Ok(std::fs::metadata(path).map_err(StoreError::io("measuring", path))?.len())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StoreError::io("reading", path)(e)),
    }
}

/// The files of a folder, if it is there.
fn sorted(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(StoreError::io("listing", dir)(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(StoreError::io("listing", dir))?.path();
        if path.is_file() && path.extension().is_none_or(|e| e != "tmp") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Puts the list in its place: from then on it counts.
fn write_list(to: &Path, list: &List) -> Result<(), BackupError> {
    for folder in ["", "journal", "content", "content/large", "config"].into_iter().chain(BESIDE) {
        let dir = to.join(folder);
        if dir.is_dir() {
            sync_dir(&dir)?;
        }
    }
    let text = serde_json::to_string(list).unwrap_or_default();
    let sha256 = crate::merkle::sha256(text.as_bytes()).to_string();
    let wrapped = Wrapped { sha256, list: list.clone() };
    let (fresh, path) = (to.join(NEW_LIST), to.join(LIST));
    let json = serde_json::to_string_pretty(&wrapped).unwrap_or_default();
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(json.as_bytes())?;
        file.sync_all()
    });
    written.map_err(StoreError::io("writing", &fresh))?;
    rename(&fresh, &path)?;
    // What was written is what is read: a copy that cannot be used must not look like one.
    match List::read(to)? {
        Some(read) if read == *list => Ok(()),
        _ => Err(BackupError::List { path, problem: "it does not read back as it was written".to_owned() }),
    }
}

/// Whether a file of a copy is as its entry says; what is wrong in words.
pub(super) fn problem(to: &Path, entry: &Entry) -> Option<String> {
    let path = to.join(&entry.path);
    match hash(&path, entry.length) {
        Ok(Some(hash)) if hash.to_string() == entry.sha256 => None,
        Ok(Some(_)) => Some(format!("{}: it is altered: its SHA-256 is another", entry.path)),
        Ok(None) => Some(format!("{}: it ends before byte {}", entry.path, entry.length)),
        Err(error) => Some(format!("{}: {error}", entry.path)),
    }
}
