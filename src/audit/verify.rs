//! Verifying a log: both copies of every leaf, the tree over them, and every checkpoint that was ever signed.
//!
//! For each block of the journal, in this order:
//! 1. its leaves are compared with sled's;
//! 2. the tree is extended, by sled's leaves as well where they differ;
//! 3. the checkpoint says which of the two was signed; the tree goes on from that one, so that one altered leaf is
//!    one finding and not one for every later block;
//! 4. full tiles are compared with those in sled;
//! 5. the events are read: form and time, and what the caller wants of them.
//!
//! Where the journal cannot be read on or ends before sled does, the leaves of sled alone are followed to the
//! checkpoint in its head. Memory is bounded by a few blocks, two journal segments and a page of sled (`blocks`). A log may grow
//! meanwhile: sled is compared up to where its head stood at the beginning.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::beside::{Later, Read, Roots};
use super::blocks::{ReadBlock, each_block};
use super::leaves::{StoreLeaves, unpack};
use super::{Checked, Findings, Place};
use crate::domain::event::Event;
use crate::ledger::{check_key_change, key_changes};
use crate::merkle::{Hash, LogKeys, NoteVerifier, SignedCheckpoint, TILE_WIDTH, TileId, Tree, leaf_hash};
use crate::store::StoreError;
use crate::store::disk::Disk;
use crate::store::index::{Head, Index, leaf_key, tile_bytes, tile_key};
use crate::store::journal::{Position, Reader};
use crate::time::Timestamp;
use crate::wire::leaf;

/// How far a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// To sled's head: what the journal of a running node has beyond it may be a commit under way.
    Known,
    /// To the journal's end.
    Whole,
}

/// Verifies journal and sled against each other and against the log's key. A running log is read up to where it
/// stands at the beginning. `progress` is told how many events are done.
pub fn verify(
    journal_dir: &Path,
    disk: Arc<dyn Disk>,
    index: &Index,
    key: &NoteVerifier,
    progress: impl FnMut(u64),
) -> Result<Checked, StoreError> {
    let keys = keys_of(disk.clone(), journal_dir, key);
    let roots = &mut Roots::default();
    Ok(walk(Extent::Known, journal_dir, disk, Some(index), &keys, roots, |_, _| Ok(()), always(progress))?
        .checked())
}

/// Goes on whatever is told.
pub(super) fn always(mut progress: impl FnMut(u64)) -> impl FnMut(u64) -> bool {
    move |n| {
        progress(n);
        true
    }
}

/// What a walk found, and where sled stood when it began.
pub(super) struct Walked {
    pub(super) findings: Findings,
    events: u64,
    root: Option<Hash>,
    checkpoint: Option<String>,
    /// It was told to end.
    pub(super) cut_short: bool,
}

impl Walked {
    pub(super) fn checked(self) -> Checked {
        let Walked { findings, events, root, checkpoint, .. } = self;
        let Findings { listed, unlisted, first } = findings;
        Checked { events, root, checkpoint, findings: listed, unlisted, first, content: None }
    }

    /// Events read.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// With what the files beside the log came to.
    pub(super) fn with(mut self, mut read: Read, later: &Later<'_>) -> Walked {
        read.finish(self.events, later);
        self.findings.extend(read.findings);
        self
    }
}

/// Reads the whole log, for as long as `go_on` says so; `apply` is given every event in order, and its error is a finding. Without an index only the
/// journal is read. What `roots` wants is compared on the way.
#[expect(clippy::too_many_arguments, reason = "what is read, by which keys, and who is told what")]
pub(super) fn walk(
    extent: Extent,
    journal_dir: &Path,
    disk: Arc<dyn Disk>,
    index: Option<&Index>,
    keys: &LogKeys,
    roots: &mut Roots,
    apply: impl FnMut(u64, &Event) -> Result<(), String>,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Walked, StoreError> {
    let mut findings = Findings::default();
    let (head, end) = match index.map(Index::head).transpose() {
        Ok(head) => {
            let head = head.flatten();
            let known = head.as_ref().map_or(0, |h| h.size);
            (head, if extent == Extent::Known { known } else { u64::MAX })
        }
        Err(error) => {
            findings.store(&error);
            (None, u64::MAX)
        }
    };
    let mut walk = Walk {
        known: head.as_ref().map_or(0, |h| h.size),
        leaves: StoreLeaves::new(),
        tree: Tree::new(),
        unsigned: false,
        last_time: Timestamp::from_millis(i64::MIN),
        epoch: 0,
        checkpoint: None,
        missing: None,
        findings,
        index,
        keys,
        roots,
        apply,
    };
    let mut at_head = None;
    let mut cut_short = false;
    match Reader::open(disk, journal_dir, Position::default()) {
        Ok(reader) => {
            let read = each_block(reader, end, extent, keys, |read| {
                walk.block(&read);
                if read.block.end() == walk.known {
                    at_head = Some((read.block.checkpoint, walk.last_time, read.end));
                }
                cut_short = !go_on(walk.tree.size());
                !cut_short && walk.tree.size() < end
            });
            if let Err(error) = read {
                walk.journal_stops(error)?;
            }
        }
        Err(error) => walk.journal_stops(error)?,
    }
    if cut_short {
        let Walk { findings, tree, checkpoint, .. } = walk;
        return Ok(Walked { findings, events: tree.size(), root: None, checkpoint, cut_short });
    }
    let journal_end = walk.tree.size();
    if journal_end < walk.known {
        walk.store_alone(&head, &mut go_on);
        walk.findings.add(
            Place::Journal,
            journal_end,
            format!(
                "the journal can be read for {journal_end} events, but sled knows {}: acknowledged events are missing",
                walk.known
            ),
        );
    } else if let Some(head) = &head {
        walk.head(head, at_head);
    }
    walk.end_of_store(journal_end);
    let events = walk.tree.size();
    let root = (events > 0 && !walk.unsigned).then(|| walk.tree.root());
    Ok(Walked { findings: walk.findings, events, root, checkpoint: walk.checkpoint, cut_short })
}

struct Walk<'a, F> {
    /// Leaves that sled's head knew at the beginning.
    known: u64,
    leaves: StoreLeaves,
    tree: Tree,
    /// A root was not the signed one: later ones cannot be, and say nothing more.
    unsigned: bool,
    last_time: Timestamp,
    epoch: u64,
    checkpoint: Option<String>,
    /// Leaves that sled misses, first and last.
    missing: Option<(u64, u64)>,
    findings: Findings,
    index: Option<&'a Index>,
    keys: &'a LogKeys,
    /// Roots that others saw.
    roots: &'a mut Roots,
    apply: F,
}

impl<F: FnMut(u64, &Event) -> Result<(), String>> Walk<'_, F> {
    fn block(&mut self, read: &ReadBlock) {
        let block = &read.block;
        if block.epoch < self.epoch {
            let message =
                format!("the block that begins here is of epoch {} after {}", block.epoch, self.epoch);
            self.findings.add(Place::Block, block.first, message);
        }
        self.epoch = self.epoch.max(block.epoch);
        let before = (self.tree.size(), self.tree.root());
        // A checkpoint stands at the end of a block, but for those of a log whose events were taken over.
        let inside = self.roots.due(block.end().saturating_sub(1)).then(|| self.tree.clone());
        // 1 and 2
        let mut differing = Vec::new();
        let mut stored: Vec<Option<Bytes>> = Vec::with_capacity(block.leaves.len());
        let mut other: Option<Tree> = None;
        for ((at, leaf), hash) in (block.first..).zip(&block.leaves).zip(&read.hashes) {
            let theirs = self.stored(at);
            if let Some(theirs) = theirs.as_ref().filter(|t| *t != leaf) {
                differing.push(at);
                other.get_or_insert_with(|| self.tree.clone()).push(leaf_hash(theirs));
            } else if let Some(other) = &mut other {
                other.push(*hash);
            }
            self.tree.push(*hash);
            stored.push(theirs);
        }
        // 3
        let signed = self.signed(&read.signed, block.end());
        let other = other.filter(|other| signed.is_some_and(|root| root == other.root()));
        let by_store = other.is_some();
        let by_journal = signed.is_some_and(|root| root == self.tree.root());
        if let Some(other) = other {
            self.tree = other;
        } else if signed.is_some() && !by_journal && !self.unsigned {
            self.unsigned = true;
            let message = "it signs another root than that of the events in the journal";
            self.findings.add(Place::Checkpoint, block.end().checked_sub(1), message);
        }
        if by_store || by_journal {
            self.checkpoint = Some(block.checkpoint.clone());
        }
        for at in differing {
            let message = match (by_journal, by_store) {
                (true, _) => "sled has another leaf than the one that was signed, which the journal has",
                (_, true) => "the journal has another leaf than the one that was signed, which sled has",
                _ => "journal and sled have different leaves, and neither is shown to be the signed one",
            };
            self.findings.add(Place::Leaf, at, message);
        }
        if let Some(tree) = inside {
            self.roots_inside(tree, read, by_store.then_some(&stored));
        }
        if self.roots.due(block.end()) {
            // Where the events are not those that were signed, what was signed is what others saw, or is not.
            let root = signed.or_else(|| (!self.unsigned).then(|| self.tree.root()));
            self.roots.compare(block.end(), root, &mut self.findings);
        }
        // 4 and 5
        self.tiles();
        for (((at, leaf), event), theirs) in (block.first..).zip(&block.leaves).zip(&read.events).zip(&stored)
        {
            match theirs.as_ref().filter(|theirs| by_store && *theirs != leaf) {
                Some(theirs) => self.event(at, &decode(theirs), before),
                None => self.event(at, event, before),
            }
        }
    }

    /// Compares what is wanted of sizes inside a block, given the tree before it, and sled's leaves where those are the ones
    /// that were signed.
    fn roots_inside(&mut self, mut tree: Tree, read: &ReadBlock, stored: Option<&Vec<Option<Bytes>>>) {
        for (place, hash) in read.hashes.iter().enumerate() {
            let theirs = stored.and_then(|stored| stored.get(place)?.as_ref());
            tree.push(theirs.map_or(*hash, |leaf| leaf_hash(leaf)));
            if tree.size() < read.block.end() && self.roots.due(tree.size()) {
                let root = (!self.unsigned).then(|| tree.root());
                self.roots.compare(tree.size(), root, &mut self.findings);
            }
        }
    }

    /// sled's leaf at `at`; a missing one is remembered.
    fn stored(&mut self, at: u64) -> Option<Bytes> {
        if at >= self.known {
            return None;
        }
        let index = self.index?;
        match self.leaves.take(at, index, &mut self.findings) {
            Ok(Some(leaf)) => Some(leaf),
            Ok(None) => {
                self.missing = match self.missing {
                    Some((from, to)) if to + 1 == at => Some((from, at)),
                    before => {
                        self.report_missing(before);
                        Some((at, at))
                    }
                };
                None
            }
            Err(error) => {
                self.store_fails(&error);
                None
            }
        }
    }

    fn report_missing(&mut self, run: Option<(u64, u64)>) {
        if let Some((from, to)) = run {
            let n = to - from + 1;
            self.findings.add(Place::Leaf, from, format!("{n} leaves from here on are missing in sled"));
        }
    }

    /// sled does not answer: the rest is the journal's alone.
    fn store_fails(&mut self, error: &StoreError) {
        self.findings.store(error);
        self.index = None;
    }

    /// The root that the checkpoint signs for `size` events, if it is this log's.
    fn signed(&mut self, checkpoint: &Result<SignedCheckpoint, String>, size: u64) -> Option<Hash> {
        let at = size.checked_sub(1);
        match checkpoint {
            Ok(signed) if signed.checkpoint().size == size => Some(signed.checkpoint().root),
            Ok(signed) => {
                let message =
                    format!("it is for {} events and stands after {size}", signed.checkpoint().size);
                self.findings.add(Place::Checkpoint, at, message);
                None
            }
            Err(error) => {
                self.findings.add(Place::Checkpoint, at, error.as_str());
                None
            }
        }
    }

    fn tiles(&mut self) {
        for (id, hashes) in self.tree.take_full_tiles() {
            let (first, end) = covered(id);
            let Some(index) = self.index.filter(|_| end <= self.known && !self.unsigned) else { continue };
            match index.get(&tile_key(id)) {
                Ok(Some(bytes)) if *bytes == *tile_bytes(&hashes) => {}
                Ok(Some(_)) => {
                    self.findings.add(
                        Place::Tile,
                        first,
                        format!("tile {id} in sled is not that of the leaves"),
                    );
                }
                Ok(None) => self.findings.add(Place::Tile, first, format!("tile {id} is missing in sled")),
                Err(error) => self.store_fails(&error),
            }
        }
    }

    /// `before`: size and root of the log before the block.
    fn event(&mut self, at: u64, event: &Result<Event, String>, before: (u64, Hash)) {
        let event = match event {
            Ok(event) => event,
            Err(error) => return self.findings.add(Place::Event, at, error.as_str()),
        };
        if event.at < self.last_time {
            let message =
                format!("its time {} is before {}, that of the event before", event.at, self.last_time);
            self.findings.add(Place::Event, at, message);
        }
        self.last_time = self.last_time.max(event.at);
        // A key change begins its block: every checkpoint from then on is of the new key.
        let (size, root) = before;
        if let Err(message) = check_key_change(&event.kind, size, root, self.keys) {
            self.findings.add(Place::Event, at, message);
        }
        if let Err(message) = (self.apply)(at, event) {
            self.findings.add(Place::Event, at, message);
        }
    }

    /// Damage is a finding; anything else means that nothing can be said.
    fn journal_stops(&mut self, error: StoreError) -> Result<(), StoreError> {
        match error {
            StoreError::Damaged { .. } => {
                self.findings.add(Place::Journal, self.tree.size(), format!("reading stopped here: {error}"));
                Ok(())
            }
            other => Err(other),
        }
    }

    /// Follows sled's leaves from where the journal ends to its head.
    fn store_alone(&mut self, head: &Option<Head>, go_on: &mut impl FnMut(u64) -> bool) {
        let Some(head) = head else { return };
        while self.tree.size() < self.known {
            let at = self.tree.size();
            let Some(leaf) = self.stored(at) else {
                // Without this leaf there is no tree over the later ones.
                self.unsigned = true;
                self.missing = self.missing.map(|(from, _)| (from, self.known - 1));
                return;
            };
            let before = (self.tree.size(), self.tree.root());
            self.tree.push(leaf_hash(&leaf));
            if self.roots.due(self.tree.size()) {
                let root = (!self.unsigned).then(|| self.tree.root());
                self.roots.compare(self.tree.size(), root, &mut self.findings);
            }
            self.event(at, &decode(&leaf), before);
            if self.tree.size().is_multiple_of(TILE_WIDTH) {
                self.tiles();
                go_on(self.tree.size());
            }
        }
        let newest = self.keys.verify(&head.checkpoint).map_err(|e| e.to_string());
        match self.signed(&newest, head.size) {
            Some(root) if root == self.tree.root() => self.checkpoint = Some(head.checkpoint.clone()),
            Some(_) if !self.unsigned => {
                self.unsigned = true;
                let message = "sled's head signs another root than that of the events";
                self.findings.add(Place::Checkpoint, head.size.checked_sub(1), message);
            }
            _ => {}
        }
    }

    /// sled's head against the journal at the same size.
    fn head(&mut self, head: &Head, at_head: Option<(String, Timestamp, Position)>) {
        let at = head.size.checked_sub(1);
        let Some((checkpoint, last_time, position)) = at_head else {
            let message =
                format!("sled's head stands after {} events, where no block of the journal ends", head.size);
            return self.findings.add(Place::Store, at, message);
        };
        if head.checkpoint != checkpoint {
            self.findings.add(Place::Checkpoint, at, "sled's head has another checkpoint than the journal");
        }
        if head.last_time != last_time.millis() {
            let time = Timestamp::from_millis(head.last_time);
            let message =
                format!("sled's head says that the newest event is of {time}, it is of {last_time}");
            self.findings.add(Place::Store, at, message);
        }
        if head.journal != position {
            let message =
                format!("sled's head goes on in the journal at {:?}, not {position:?}", head.journal);
            self.findings.add(Place::Store, at, message);
        }
    }

    /// What sled has too much of, and whether it is behind.
    fn end_of_store(&mut self, journal_end: u64) {
        self.report_missing(self.missing);
        let Some(index) = self.index else { return };
        match superfluous(index, &mut self.findings) {
            Err(error) => self.store_fails(&error),
            Ok(size) if size < journal_end => {
                let message = format!(
                    "sled knows {size} of {journal_end} events: the next start brings it up to the journal's end"
                );
                self.findings.add(Place::Store, size, message);
            }
            Ok(_) => {}
        }
    }
}

/// The given key, and those before it by the statements in the journal, where its first checkpoint is of another one.
/// What cannot be read of the journal is found when it is walked through.
pub(super) fn keys_of(disk: Arc<dyn Disk>, journal: &Path, key: &NoteVerifier) -> LogKeys {
    let mut keys = LogKeys::new(key.clone());
    let first = Reader::open(disk.clone(), journal, Position::default()).and_then(|mut r| r.next_block());
    if let Ok(Some(first)) = first
        && !keys.know(&first.checkpoint)
        && let Ok(changes) = key_changes(disk, journal)
    {
        keys.learn(&changes);
    }
    keys
}

fn decode(bytes: &[u8]) -> Result<Event, String> {
    leaf::decode(bytes).map_err(|e| e.to_string())
}

/// Finds leaves and tiles beyond sled's head; the head's size.
fn superfluous(index: &Index, findings: &mut Findings) -> Result<u64, StoreError> {
    // The head is read last: a log that grows meanwhile only moves it on.
    let last = index.scan_back(b"l", &leaf_key(u64::MAX), 1)?.pop();
    let mut tiles = Vec::new();
    let mut from = b"t".to_vec();
    loop {
        let page = index.scan(b"t", &from, 64)?;
        let Some((last, _)) = page.last() else { break };
        from = [last.as_ref(), &[0]].concat();
        tiles.extend(page.iter().map(|(key, _)| key.to_vec()));
    }
    let size = index.head()?.map_or(0, |h| h.size);
    if let Some((key, chunk)) = last
        && let Some(first) = key.get(1..).and_then(|k| k.try_into().ok()).map(u64::from_be_bytes)
    {
        let end = first.saturating_add(unpack(&chunk).map_or(0, |leaves| leaves.len() as u64));
        if end > size {
            let message = format!("sled has superfluous leaves up to {end}, its head stands at {size}");
            findings.add(Place::Leaf, size, message);
        }
    }
    for key in tiles {
        let id = key.get(1).zip(key.get(2..).and_then(|k| k.try_into().ok()).map(u64::from_be_bytes));
        match id.map(|(level, index)| TileId { level: *level, index }) {
            Some(id) if covered(id).1 <= size => {}
            Some(id) => {
                let message = format!("tile {id} in sled is superfluous: the log has {size} events");
                findings.add(Place::Tile, covered(id).0, message);
            }
            None => {
                findings.add(Place::Tile, None, format!("sled has a tile under the key {}", hex::encode(key)))
            }
        }
    }
    Ok(size)
}

/// The first event under a full tile, and the one after the last.
fn covered(id: TileId) -> (u64, u64) {
    let width = TILE_WIDTH.saturating_pow(u32::from(id.level) + 1);
    let first = id.index.saturating_mul(width);
    (first, first.saturating_add(width))
}
