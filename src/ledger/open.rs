//! Opening a log, after a stop or after a crash: the same code.
//!
//! 1. Take the lock: one process per data folder. A folder of a newer form is refused before anything else.
//! 2. Read the end of the journal. What it ends with is what was committed.
//! 3. Open sled. It may be behind (it is caught up), damaged (it is made again), but never ahead: a journal that ends
//!    before what sled or the marker of the last clean stop knows has lost acknowledged events, and is refused, with
//!    every byte of it as it was. Then open the journal: its last segment is rewritten, without a torn tail, and
//!    synced.
//! 4. Open the content store.
//! 5. Apply the blocks that sled misses, as the commit does; check the last checkpoint's signature and root.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::keys::Keys;
use super::overlay::Overlay;
use super::writer::{Staged, Writer, apply_block, apply_event};
use super::{Clock, CommitStats, DirectoryStamp, Inner, Ledger, Random, Snapshot};
use crate::domain::event::{Event, EventKind};
use crate::domain::fold::records;
use crate::domain::limits;
use crate::merkle::{NoteSigner, NoteVerifier, SignedCheckpoint, Tree, leaf_hash};
use crate::store::StoreError;
use crate::store::clean::CleanMarker;
use crate::store::content::ContentStore;
use crate::store::disk::Disk;
use crate::store::format;
use crate::store::index::{Head, Index, Sum};
use crate::store::journal::{End, Journal, Position, Reader};
use crate::time::Timestamp;
use crate::wire::leaf;

/// What a log is opened with.
pub struct LedgerConfig {
    /// Folder of the data.
    pub data: PathBuf,
    /// The storage port.
    pub disk: Arc<dyn Disk>,
    /// Signs checkpoints; its name is the log's origin.
    pub signer: NoteSigner,
    /// The key before, where the log goes over from it: its newest checkpoint may still be of that one.
    pub previous: Option<NoteVerifier>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where the salts of events come from.
    pub random: Arc<dyn Random>,
    /// Cache of sled, in bytes.
    pub cache_bytes: u64,
    /// Bytes of a new journal segment.
    pub journal_segment_bytes: u64,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// Number of events.
    pub size: u64,
    /// Events that sled missed and got from the journal.
    pub caught_up: u64,
    /// Why sled was made again, when it was.
    pub rebuilt: Option<String>,
    /// Bytes of a torn last write, never acknowledged, that were left out.
    pub torn: u64,
}

/// Folders and files of a node's data.
pub(super) struct Layout {
    data: PathBuf,
}

impl Layout {
    pub(super) fn new(data: &Path) -> Self {
        Layout { data: data.to_owned() }
    }

    fn journal(&self) -> PathBuf {
        self.data.join("journal")
    }

    fn sled(&self) -> PathBuf {
        self.data.join("sled")
    }

    fn content(&self) -> PathBuf {
        self.data.join("content")
    }

    fn marker(&self) -> PathBuf {
        self.data.join("clean.json")
    }

    fn keys(&self) -> PathBuf {
        self.data.join("keys.filter")
    }

    fn lock(&self) -> PathBuf {
        self.data.join("LOCK")
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(StoreError::io("opening", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(e)) => Err(StoreError::io("locking", path)(e)),
    }
}

fn read_marker(path: &Path) -> Option<CleanMarker> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

impl Ledger {
    /// Opens or creates the log of a node and starts its writer.
    pub fn open(config: LedgerConfig) -> Result<(Ledger, Opened), StoreError> {
        let layout = Layout::new(&config.data);
        std::fs::create_dir_all(&config.data).map_err(StoreError::io("creating", &config.data))?;
        // 1
        let lock = lock(&layout.lock())?;
        format::open(&config.data)?;
        let (data, cache_bytes) = (config.data.clone(), config.cache_bytes);
        let sled = |end: &End, keys: &Keys| sled_of(&layout, cache_bytes, end, keys);
        let (ledger, writer, opened) = recover(config, sled)?;
        let (stopped_sender, stopped_receiver) = std::sync::mpsc::channel();
        *ledger.inner.stopped.lock().expect("no holder of this lock panics") = Some(stopped_receiver);
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || {
                let failed = writer.failed.clone();
                let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run()));
                if ran.is_err() {
                    // Whatever it was, nothing may go on as if the log could still be written.
                    failed.send_replace(Some(Arc::new(StoreError::Index {
                        path: "ledger".into(),
                        problem: "the writer panicked".into(),
                    })));
                }
                drop(lock);
                drop(stopped_sender);
            })
            .map_err(StoreError::io("starting a thread for", &data))?;
        Ok((ledger, opened))
    }

    /// Opens or creates the log with an index in memory, made again from the whole journal. There is no thread and no
    /// lock: the caller sees to it that nobody else uses the disk, and runs the writer, which is the future. Everything
    /// else is as in [`Ledger::open`].
    pub fn open_in_memory(
        config: LedgerConfig,
    ) -> Result<(Ledger, impl Future<Output = ()> + Send + use<>, Opened), StoreError> {
        let empty = |_: &End, _: &Keys| Ok((Index::in_memory(), None));
        let (ledger, writer, opened) = recover(config, empty)?;
        Ok((ledger, writer.run_as_task(), opened))
    }
}

/// Step 3 of the head of this file: sled as far as it is, and why it was made again, if it was.
fn sled_of(
    layout: &Layout,
    cache_bytes: u64,
    end: &End,
    keys: &Keys,
) -> Result<(Index, Option<String>), StoreError> {
    let marker = read_marker(&layout.marker());
    if let Some(marker) = &marker
        && marker.size > end.size
    {
        return Err(shorter(&layout.journal(), end.size, marker.size, "the marker of the last clean stop"));
    }
    let opened = open_index(layout, marker.as_ref(), cache_bytes, keys)?;
    let _ = std::fs::remove_file(layout.marker());
    Ok(opened)
}

/// Steps 2 to 5 of the head of this file.
fn recover(
    config: LedgerConfig,
    index: impl FnOnce(&End, &Keys) -> Result<(Index, Option<String>), StoreError>,
) -> Result<(Ledger, Writer, Opened), StoreError> {
    let layout = Layout::new(&config.data);
    // 2
    let end = Journal::end(&*config.disk, &layout.journal())?;
    let mut opened = Opened { size: end.size, torn: end.torn, ..Opened::default() };
    let keys = Keys::of(&config, &layout.journal(), &end)?;
    // 3
    let (index, reason) = index(&end, &keys)?;
    opened.rebuilt = reason;
    let mut head = index.head()?;
    if head.as_ref().is_some_and(|h| h.size > end.size) {
        let size = head.map_or(0, |h| h.size);
        return Err(shorter(&layout.journal(), end.size, size, "sled"));
    }
    let (journal, end) = Journal::open(config.disk.clone(), &layout.journal(), config.journal_segment_bytes)?;
    if let Some(rebuilt) = &opened.rebuilt {
        tracing::warn!(reason = %rebuilt, events = end.size, "sled is made again from the journal");
    }
    // 4
    let content = Arc::new(ContentStore::open(config.disk.clone(), &layout.content())?);
    // 5
    if let Some(head) = &head {
        index.start_at(head);
    }
    let mut state = Catching::from_head(&index, head.take(), &keys)?;
    let mut reader = Reader::open(config.disk.clone(), &layout.journal(), state.position)?;
    while let Some(block) = reader.next_block()? {
        state.apply(&index, &block, reader.position(), &keys)?;
        opened.caught_up += block.leaves.len() as u64;
    }
    if state.tree.size() != end.size {
        return Err(shorter(&layout.journal(), state.tree.size(), end.size, "its own last segment"));
    }
    let snapshot = Arc::new(Snapshot { tree: state.tree.clone(), checkpoint: state.checkpoint });
    let (head_sender, head_receiver) = watch::channel(snapshot);
    let (failed_sender, failed_receiver) = watch::channel(None);
    let failing = failed_sender.clone();
    index.on_failure(move |error| {
        tracing::error!(%error, "sled cannot be written, the node stops");
        failing.send_replace(Some(Arc::new(error)));
    });
    let (jobs_sender, jobs_receiver) = mpsc::channel(limits::COMMANDS_WAITING);
    let stamp = Arc::new(DirectoryStamp::default());
    let stats = Arc::new(CommitStats::default());
    let halted = Arc::new(super::Halt::default());
    let origin = config.signer.verifier().name().to_owned();
    let writer = Writer {
        jobs: jobs_receiver,
        head: head_sender,
        failed: failed_sender,
        journal,
        index: index.clone(),
        content: content.clone(),
        tree: state.tree,
        signer: config.signer,
        clock: config.clock.clone(),
        stamp: stamp.clone(),
        stats: stats.clone(),
        halted: halted.clone(),
        last_time: state.last_time,
        random: config.random,
        salts: Vec::new(),
        next: None,
        last: 0,
    };
    let inner = Inner {
        jobs: jobs_sender,
        head: head_receiver,
        index,
        tiles: super::tiles::TileCache::default(),
        content,
        stamp,
        clock: config.clock,
        origin,
        failed: failed_receiver,
        halted,
        stats,
        stopped: std::sync::Mutex::default(),
    };
    Ok((Ledger { inner: Arc::new(inner) }, writer, opened))
}

fn shorter(journal: &Path, has: u64, knows: u64, who: &str) -> StoreError {
    StoreError::Damaged {
        path: journal.to_owned(),
        offset: 0,
        problem: format!(
            "the journal ends after {has} events, but {who} knows {knows}: acknowledged events are lost"
        ),
    }
}

/// Opens sled; when it is damaged, puts it aside and begins a new one. The text says why.
fn open_index(
    layout: &Layout,
    marker: Option<&CleanMarker>,
    cache_bytes: u64,
    keys: &Keys,
) -> Result<(Index, Option<String>), StoreError> {
    let dir = layout.sled();
    if !dir.exists() {
        let existed = layout.journal().join("00000001.journal").exists();
        return Ok((Index::open(&dir, cache_bytes)?, existed.then(|| "it was missing".to_owned())));
    }
    Index::wait_closed(&dir)?;
    let kept = marker.map_or_else(Vec::new, |_| std::fs::read(layout.keys()).unwrap_or_default());
    match open_existing(&dir, marker, &kept, cache_bytes, keys) {
        Ok(index) => Ok((index, None)),
        Err(error) => {
            let mut n = 1;
            let mut aside = layout.data.join("sled.damaged");
            while aside.exists() {
                n += 1;
                aside = layout.data.join(format!("sled.damaged-{n}"));
            }
            std::fs::rename(&dir, &aside).map_err(StoreError::io("putting aside", &dir))?;
            Ok((Index::open(&dir, cache_bytes)?, Some(error)))
        }
    }
}

/// Opens sled as it is: by its marker after a clean stop, by reading every record otherwise.
fn open_existing(
    dir: &Path,
    marker: Option<&CleanMarker>,
    kept_keys: &[u8],
    cache_bytes: u64,
    keys: &Keys,
) -> Result<Index, String> {
    let mut kept = None;
    if let Some(marker) = marker {
        let now = CleanMarker::of(dir, marker.size, Some(kept_keys)).map_err(|e| e.to_string())?;
        kept = (now.keys == marker.keys).then_some(kept_keys);
        if now.files != marker.files {
            let file = marker.files.iter().find(|(name, digest)| now.files.get(*name) != Some(digest));
            let name = file.map_or("a file that was not there", |(name, _)| name);
            return Err(format!("`{name}` is not as the last clean stop left it"));
        }
    }
    let index = Index::open(dir, cache_bytes).map_err(|e| e.to_string())?;
    match index.head().map_err(|e| e.to_string())? {
        None => {
            let sum = index.sum().map_err(|e| e.to_string())?;
            if sum == Sum::default() { Ok(index) } else { Err("records without a head".to_owned()) }
        }
        Some(head) if head.version != records::VERSION => {
            Err(format!("its records have form {}, this program writes {}", head.version, records::VERSION))
        }
        Some(head) => {
            if marker.is_some() {
                index.restore_keys(kept).map_err(|e| e.to_string())?;
            } else if index.sum().map_err(|e| e.to_string())? != Sum(head.sum) {
                return Err("its records are not those that were written".to_owned());
            }
            // The sum leaves the head out: its checkpoint says whether it fits the records.
            Catching::from_head(&index, Some(head), keys).map_err(|e| e.to_string())?;
            Ok(index)
        }
    }
}

/// The state while blocks are applied.
struct Catching {
    tree: Tree,
    checkpoint: Option<SignedCheckpoint>,
    last_time: Timestamp,
    position: Position,
}

impl Catching {
    fn from_head(index: &Index, head: Option<Head>, keys: &Keys) -> Result<Catching, StoreError> {
        let Some(head) = head else {
            return Ok(Catching {
                tree: Tree::new(),
                checkpoint: None,
                last_time: Timestamp::default(),
                position: Position::default(),
            });
        };
        let problem = |problem: String| StoreError::Index { path: "sled".into(), problem };
        let checkpoint = keys.verify(&head.checkpoint).map_err(|e| problem(format!("checkpoint: {e}")))?;
        let tail_from = head.size - head.size % 256;
        let tail = index.leaves(tail_from, (head.size - tail_from) as usize)?;
        let tree = Tree::rebuild(head.size, index, tail.iter().map(|(_, leaf)| leaf_hash(leaf)))
            .map_err(|e| problem(e.to_string()))?;
        if tree.root() != checkpoint.checkpoint().root || tree.size() != checkpoint.checkpoint().size {
            return Err(problem(format!(
                "the tree of {} events has not the root that the checkpoint of {} signs",
                tree.size(),
                checkpoint.checkpoint().size
            )));
        }
        Ok(Catching {
            tree,
            checkpoint: Some(checkpoint),
            last_time: Timestamp::from_millis(head.last_time),
            position: head.journal,
        })
    }

    fn apply(
        &mut self,
        index: &Index,
        block: &crate::store::journal::Block,
        journal: Position,
        keys: &Keys,
    ) -> Result<(), StoreError> {
        let damaged = |at: u64, problem: String| StoreError::Damaged {
            path: "journal".into(),
            offset: journal.offset,
            problem: format!("event {at}: {problem}"),
        };
        if block.first != self.tree.size() {
            return Err(damaged(block.first, format!("{} is next", self.tree.size())));
        }
        let mut overlay = Overlay::new(index, self.tree.size());
        for bytes in &block.leaves {
            let at = self.tree.size();
            let event: Event = leaf::decode(bytes).map_err(|e| damaged(at, e.to_string()))?;
            if matches!(event.kind, EventKind::KeyChanged(_)) {
                let (size, root) = (self.tree.size(), self.tree.root());
                keys.check_change(&event.kind, size, root).map_err(|e| damaged(at, e))?;
            }
            self.last_time = self.last_time.max(event.at);
            apply_event(&mut overlay, at, &event)?;
            self.tree.push(leaf_hash(bytes));
        }
        let checkpoint =
            keys.verify(&block.checkpoint).map_err(|e| damaged(block.end(), format!("checkpoint: {e}")))?;
        let claimed = checkpoint.checkpoint();
        if claimed.size != self.tree.size() || claimed.root != self.tree.root() {
            return Err(damaged(block.end(), "the checkpoint is not that of the events before it".into()));
        }
        let staged = Staged {
            first: block.first,
            leaves: &block.leaves,
            checkpoint: &checkpoint,
            last_time: self.last_time,
            journal,
        };
        apply_block(index, overlay, &mut self.tree, &staged)?;
        self.position = journal;
        self.checkpoint = Some(checkpoint);
        Ok(())
    }
}

/// Closes the log in order: the writer ends when the last handle goes, sled is flushed and closed, and the marker says
/// how its files are.
pub(super) async fn close(ledger: Ledger, data: &Path) -> Result<(), StoreError> {
    let layout = Layout::new(data);
    let stopped = ledger.inner.stopped.lock().expect("no holder of this lock panics").take();
    let failed = ledger.inner.failed.borrow().is_some();
    let size = ledger.snapshot().size();
    ledger.index().flush()?;
    let keys = ledger.index().keys();
    // Streams that were told to end may hold on for a moment.
    for _ in 0..300 {
        if Arc::strong_count(&ledger.inner) == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let last = Arc::into_inner(ledger.inner);
    let alone = last.is_some();
    drop(last);
    if !alone || failed {
        // Somebody still holds the log: the next start reads every record instead.
        return Ok(());
    }
    tokio::task::spawn_blocking(move || {
        if let Some(stopped) = stopped {
            // Ends when the writer thread drops its side.
            let _ = stopped.recv();
        }
        Index::wait_closed(&layout.sled())?;
        let keys = keys.to_bytes();
        if let Some(keys) = &keys {
            let path = layout.keys();
            std::fs::write(&path, keys).map_err(StoreError::io("writing", &path))?;
        }
        let marker = CleanMarker::of(&layout.sled(), size, keys.as_deref())?;
        let path = layout.marker();
        let json = serde_json::to_vec_pretty(&marker).unwrap_or_default();
        std::fs::write(&path, json).map_err(StoreError::io("writing", &path))
    })
    .await
    .unwrap_or(Ok(()))
}

/// Bytes of sled's cache for offline commands, which read most things once; what it takes is a few times that.
const OFFLINE_CACHE: u64 = 16 << 20;

/// Opens a copy of a stopped node's sled for offline commands, so that the original is never changed.
pub fn offline_index(data: &Path, copy_to: &Path) -> Result<Index, StoreError> {
    format::check(data)?;
    let from = Layout::new(data).sled();
    Index::wait_closed(&from)?;
    let mut todo = vec![from.clone()];
    while let Some(dir) = todo.pop() {
        let target = copy_to.join(dir.strip_prefix(&from).unwrap_or(Path::new("")));
        std::fs::create_dir_all(&target).map_err(StoreError::io("creating", &target))?;
        for entry in std::fs::read_dir(&dir).map_err(StoreError::io("listing", &dir))? {
            let path = entry.map_err(StoreError::io("listing", &dir))?.path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let to = target.join(path.file_name().unwrap_or_default());
                std::fs::copy(&path, &to).map_err(StoreError::io("copying", &path))?;
            }
        }
    }
    Index::open(copy_to, OFFLINE_CACHE)
}
