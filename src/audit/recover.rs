//! Making the data folder of a new generation of a log, when the log before it is lost, or could not go on.
//!
//! 1. What is left of the log before is verified: journal and checkpoints, by its key. A damaged copy is refused.
//! 2. Its events are written to a new journal, the same at the same places, under checkpoints of the new log's key. So
//!    the tree has the roots that it had, and everything that folds gave (outbox, inbox, statuses, figures) is there.
//!    Content, directory versions, what is held of other logs and proofs of forks go along.
//! 3. `GenerationOpened` follows, the first event that is the new log's own.
//! 4. The folder is renamed to its place: a node never sees half of it.
//!
//! The copy itself is only read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::beside::Roots;
use super::verify::{Extent, always, keys_of, walk};
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::generation::GenerationOpened;
use crate::merkle::{
    Checkpoint, Hash, NoteSigner, NoteVerifier, SignedCheckpoint, Tree, empty_root, leaf_hash,
};
use crate::store::StoreError;
use crate::store::disk::RealDisk;
use crate::store::format;
use crate::store::journal::{Journal, Position, Reader};
use crate::time::Timestamp;
use crate::wire::leaf;

/// Leaves of one block of the new journal, and about the bytes of them: a sync each.
const BLOCK: (usize, usize) = (4_096, 8 << 20);

/// Why there is no new generation.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something is there already.
    #[error("{path} is not empty: name a new folder in `data`, or move what is there away")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The copy does not verify.
    #[error(
        "the copy of the lost log is damaged: {0}; take another copy, or leave `--from` out to begin without one"
    )]
    Damaged(String),
    /// Another node holds another history than the copy has.
    #[error(
        "node `{peer}` holds a checkpoint of {size} events with root {root}, and the copy has root {here} there: it is \
         of another history than the one that the others have; take another copy, or leave `--from` out"
    )]
    OtherHistory {
        /// Who holds it.
        peer: String,
        /// Its size.
        size: u64,
        /// Its root.
        root: Hash,
        /// The root of the copy at that size.
        here: Hash,
    },
    /// The event cannot be written.
    #[error("the first event of the new generation cannot be written: {0}")]
    Event(#[from] leaf::LeafError),
}

/// What a new generation is made of.
pub struct NewGeneration<'a> {
    /// The data folder to make.
    pub data: &'a Path,
    /// Signs the new log; its name is the log's origin.
    pub signer: &'a NoteSigner,
    /// Origin line of the log before.
    pub lost: &'a str,
    /// What is left of it: a data folder, and the log's key.
    pub copy: Option<(&'a Path, NoteVerifier)>,
    /// Its checkpoints that other nodes hold, verified, with their names.
    pub held: Vec<(String, SignedCheckpoint)>,
    /// The directory version in force, and whether it has expired.
    pub directory: (u64, bool),
    /// Bytes of a journal segment.
    pub segment_bytes: u64,
    /// Now.
    pub now: Timestamp,
    /// Of the event.
    pub salt: [u8; 16],
}

/// Makes it; the first event that is its own is what comes back.
pub fn open_generation(
    new: &NewGeneration<'_>,
    mut progress: impl FnMut(u64),
) -> Result<GenerationOpened, RecoverError> {
    let path = new.data;
    if std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(RecoverError::NotEmpty { path: path.to_owned() });
    }
    // 1
    if let Some((copy, key)) = &new.copy {
        verify_copy(copy, key)?;
    }
    let fresh = path.with_added_extension("recovering");
    if fresh.exists() {
        // Of a recovery that was cut off.
        std::fs::remove_dir_all(&fresh).map_err(StoreError::io("removing", &fresh))?;
    }
    std::fs::create_dir_all(&fresh).map_err(StoreError::io("creating", &fresh))?;
    // 2
    let disk = Arc::new(RealDisk);
    let (mut journal, _) = Journal::open(disk.clone(), &fresh.join("journal"), new.segment_bytes)?;
    let mut kept = Kept::new(new);
    if let Some((copy, _)) = &new.copy {
        let mut reader = Reader::open(disk, &copy.join("journal"), Position::default())?;
        let mut waiting: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        while let Some(block) = reader.next_block()? {
            for bytes_of in block.leaves {
                kept.add(&bytes_of)?;
                bytes += bytes_of.len();
                waiting.push(bytes_of);
            }
            if waiting.len() >= BLOCK.0 || bytes >= BLOCK.1 {
                journal.append(&waiting, &kept.sign())?;
                (bytes, waiting) = (0, Vec::new());
                progress(kept.tree.size());
            }
        }
        if !waiting.is_empty() {
            journal.append(&waiting, &kept.sign())?;
        }
        for (folder, deep) in
            [("content", true), ("directories", false), ("witness", false), ("forks", false)]
        {
            copy_folder(&copy.join(folder), &fresh.join(folder), deep)?;
        }
    }
    // 3
    let opened = kept.opened();
    let event = Event {
        at: new.now.max(kept.last_time),
        salt: new.salt,
        actor: Actor::node(),
        directory_version: new.directory.0,
        directory_expired: new.directory.1,
        kind: EventKind::GenerationOpened(opened.clone()),
    };
    let bytes = leaf::encode(&event)?;
    kept.tree.push(leaf_hash(&bytes));
    journal.append(&[bytes], &kept.sign())?;
    drop(journal);
    // 4
    format::open(&fresh)?;
    sync_dir(&fresh)?;
    std::fs::rename(&fresh, path).map_err(StoreError::io("renaming", path))?;
    sync_dir(path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    Ok(opened)
}

/// The copy's journal, by itself: its sled is made again anyway.
fn verify_copy(copy: &Path, key: &NoteVerifier) -> Result<(), RecoverError> {
    format::check(copy)?;
    let (journal, disk) = (copy.join("journal"), Arc::new(RealDisk));
    if !journal.is_dir() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(StoreError::io("opening", journal)(missing).into());
    }
    let (keys, roots) = (keys_of(disk.clone(), &journal, key), &mut Roots::default());
    let walked = walk(Extent::Whole, &journal, disk, None, &keys, roots, |_, _| Ok(()), always(|_| {}))?;
    let checked = walked.checked();
    match checked.findings.first() {
        None => Ok(()),
        Some(first) => Err(RecoverError::Damaged(first.to_string())),
    }
}

/// What the new log begins with.
struct Kept<'a> {
    new: &'a NewGeneration<'a>,
    tree: Tree,
    last_time: Timestamp,
}

impl<'a> Kept<'a> {
    fn new(new: &'a NewGeneration<'a>) -> Kept<'a> {
        Kept { new, tree: Tree::new(), last_time: Timestamp::default() }
    }

    /// The next event of the copy; where somebody holds a checkpoint of that size, it must be the same history.
    fn add(&mut self, bytes: &[u8]) -> Result<(), RecoverError> {
        self.tree.push(leaf_hash(bytes));
        if let Ok(event) = leaf::decode(bytes) {
            self.last_time = self.last_time.max(event.at);
        }
        let size = self.tree.size();
        for (peer, held) in &self.new.held {
            let claimed = held.checkpoint();
            if claimed.size != size {
                continue;
            }
            let here = self.tree.root();
            if here != claimed.root {
                let (peer, root) = (peer.clone(), claimed.root);
                return Err(RecoverError::OtherHistory { peer, size, root, here });
            }
        }
        Ok(())
    }

    fn sign(&mut self) -> String {
        let origin = self.new.signer.verifier().name().to_owned();
        let checkpoint = Checkpoint { origin, size: self.tree.size(), root: self.tree.root() };
        // Full tiles are the index's affair, which a start makes.
        self.tree.take_full_tiles();
        checkpoint.sign(self.new.signer).note().to_owned()
    }

    /// The largest checkpoint that verifies: the copy's end, or what a node holds beyond that.
    fn opened(&self) -> GenerationOpened {
        let kept = self.tree.size();
        let kept_root = if kept == 0 { empty_root() } else { self.tree.root() };
        let told_by = if kept == 0 { String::new() } else { "copy".to_owned() };
        let mut opened = GenerationOpened {
            lost: self.new.lost.to_owned(),
            kept,
            kept_root,
            known: kept,
            known_root: kept_root,
            told_by,
        };
        for (peer, held) in &self.new.held {
            let claimed = held.checkpoint();
            if claimed.size > opened.known {
                (opened.known, opened.known_root) = (claimed.size, claimed.root);
                opened.told_by.clone_from(peer);
            }
        }
        opened
    }
}

/// Copies the files of a folder, and of those below it when it is `deep`, durably. One that is not there is empty.
fn copy_folder(from: &Path, to: &Path, deep: bool) -> Result<(), StoreError> {
    std::fs::create_dir_all(to).map_err(StoreError::io("creating", to))?;
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(StoreError::io("listing", from)(e)),
    };
    for entry in entries {
        let path = entry.map_err(StoreError::io("listing", from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if !path.is_dir() {
            std::fs::copy(&path, &target).map_err(StoreError::io("copying", &path))?;
            let file = std::fs::File::open(&target).map_err(StoreError::io("opening", &target))?;
            file.sync_all().map_err(StoreError::sync(&target))?;
        } else if deep {
            copy_folder(&path, &target, deep)?;
        }
    }
    sync_dir(to)
}

fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    std::fs::File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::sync(dir))
}
