//! Changes that the journal has and sled has not yet: the newest state of each record, in memory.
//!
//! A commit is merged into the *active* layer. From time to time that layer is *frozen*, applied to sled as one batch
//! and dropped, while commits go on into a new one. A reader looks into the active layer, then the frozen one, then
//! sled. What changes several times within a layer reaches sled once, and what comes and goes, not at all.
//!
//! Nothing here is a promise of its own: after a crash the journal has it, and opening applies it again.
//!
//! Pure: locking and the thread are [`super::index`]'s.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

use sled::IVec;

use super::index::Head;

/// What an entry takes beside its key and values, about.
const ENTRY_BYTES: usize = 150;

/// A record before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub before: Option<IVec>,
    /// What it is.
    pub after: Option<IVec>,
}

/// The changes of some commits, with the head after the last of them.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub changes: BTreeMap<IVec, Change>,
    pub head: Option<Head>,
    bytes: usize,
}

/// A key and its newest value, `None` where it was removed.
pub(super) type Found = (IVec, Option<IVec>);

impl Layer {
    /// Bytes of its changes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn merge(&mut self, key: IVec, change: Change) {
        match self.changes.entry(key) {
            Entry::Vacant(entry) => {
                let before = change.before.as_ref().map_or(0, |v| v.len());
                let after = change.after.as_ref().map_or(0, |v| v.len());
                self.bytes += ENTRY_BYTES + entry.key().len() + before + after;
                entry.insert(change);
            }
            Entry::Occupied(mut entry) => {
                let old = entry.get().after.as_ref().map_or(0, |v| v.len());
                self.bytes += change.after.as_ref().map_or(0, |v| v.len());
                self.bytes -= old;
                entry.get_mut().after = change.after;
                let known = entry.get();
                if known.before == known.after {
                    let (key, change) = entry.remove_entry();
                    let both = change.before.map_or(0, |v| v.len()) + change.after.map_or(0, |v| v.len());
                    self.bytes -= ENTRY_BYTES + key.len() + both;
                }
            }
        }
    }
}

/// Both layers.
#[derive(Debug)]
pub(super) struct Memtable {
    active: Layer,
    frozen: Option<Arc<Layer>>,
    /// Number of leaves that sled has; the largest number while it is not known.
    base: u64,
}

impl Default for Memtable {
    fn default() -> Self {
        Memtable { active: Layer::default(), frozen: None, base: u64::MAX }
    }
}

impl Memtable {
    /// Takes the changes of a commit in, and how far the log is after it.
    pub fn merge(&mut self, changes: impl IntoIterator<Item = (IVec, Change)>, head: Head) {
        for (key, change) in changes {
            self.active.merge(key, change);
        }
        self.active.head = Some(head);
    }

    /// Takes one record in that is no part of the log.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.active.merge(key.into(), Change { before: None, after: Some(value.into()) });
    }

    /// The newest head that was taken in and is not in sled.
    pub fn head(&self) -> Option<&Head> {
        self.active.head.as_ref()
    }

    /// Bytes in memory, about, of both layers.
    pub fn bytes(&self) -> usize {
        self.active.bytes + self.frozen.as_ref().map_or(0, |layer| layer.bytes)
    }

    /// Freezes what there is, for a batch; `None` when there is nothing.
    pub fn freeze(&mut self) -> Option<Arc<Layer>> {
        if self.frozen.is_none() && self.active.head.is_some() {
            self.frozen = Some(Arc::new(std::mem::take(&mut self.active)));
        }
        self.frozen.clone()
    }

    /// The batch is in sled.
    #[must_use = "freeing it takes time, and is better done without a lock"]
    pub fn thaw(&mut self) -> Option<Arc<Layer>> {
        let layer = self.frozen.take();
        if let Some(head) = layer.as_ref().and_then(|layer| layer.head.as_ref()) {
            self.base = head.size;
        }
        layer
    }

    /// How many leaves sled has: what later events made is here, all of it.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// How many it has at opening.
    pub fn set_base(&mut self, size: u64) {
        self.base = size;
    }

    /// The newest value of a key; the outer `None` where sled must be asked.
    pub fn get(&self, key: &[u8]) -> Option<Option<IVec>> {
        let frozen = || self.frozen.as_ref().and_then(|layer| layer.changes.get(key));
        self.active.changes.get(key).or_else(frozen).map(|change| change.after.clone())
    }

    /// The newest record at or before `key` with its prefix.
    pub fn last_at(&self, prefix: &[u8], key: &[u8]) -> Option<(IVec, IVec)> {
        let found = self.newest_back(prefix, key, 1);
        found.into_iter().find_map(|(key, value)| Some((key, value?)))
    }

    /// Records with a prefix from a key on, in order, with the removed ones, up to `limit` that are there.
    pub fn newest(&self, prefix: &[u8], from: &[u8], limit: usize) -> Vec<Found> {
        let range = (Bound::Included(from), Bound::Unbounded);
        let active = self.active.changes.range::<[u8], _>(range);
        let frozen = self.frozen.iter().flat_map(|layer| layer.changes.range::<[u8], _>(range));
        collect(active, frozen, prefix, limit, |a, b| a < b)
    }

    /// The same backwards, from a key down.
    pub fn newest_back(&self, prefix: &[u8], from: &[u8], limit: usize) -> Vec<Found> {
        let range = (Bound::Unbounded, Bound::Included(from));
        let active = self.active.changes.range::<[u8], _>(range).rev();
        let frozen = self.frozen.iter().flat_map(|layer| layer.changes.range::<[u8], _>(range).rev());
        collect(active, frozen, prefix, limit, |a, b| a > b)
    }
}

/// Merges two ordered ranges, the first of which is the newer.
fn collect<'a>(
    newer: impl Iterator<Item = (&'a IVec, &'a Change)>,
    older: impl Iterator<Item = (&'a IVec, &'a Change)>,
    prefix: &[u8],
    limit: usize,
    comes_first: impl Fn(&IVec, &IVec) -> bool,
) -> Vec<Found> {
    let within = |entry: &(&IVec, &Change)| entry.0.starts_with(prefix);
    let (mut newer, mut older) = (newer.take_while(within).peekable(), older.take_while(within).peekable());
    let mut found = Vec::new();
    let mut there = 0;
    while there < limit {
        let next = match (newer.peek(), older.peek()) {
            (Some((a, _)), Some((b, _))) if comes_first(b, a) => older.next(),
            (Some((a, _)), Some((b, _))) => {
                if a == b {
                    older.next();
                }
                newer.next()
            }
            (Some(_), None) => newer.next(),
            (None, _) => older.next(),
        };
        let Some((key, change)) = next else { break };
        there += usize::from(change.after.is_some());
        found.push((key.clone(), change.after.clone()));
    }
    found
}

/// Puts what the memory knows over what sled has; both in the same order.
pub(super) fn overlay<E>(
    memory: Vec<Found>,
    sled: impl Iterator<Item = Result<(IVec, IVec), E>>,
    limit: usize,
    comes_first: impl Fn(&IVec, &IVec) -> bool,
) -> Result<Vec<(IVec, IVec)>, E> {
    let mut out = Vec::new();
    let (mut memory, mut sled) = (memory.into_iter().peekable(), sled.fuse());
    let mut below = None;
    while out.len() < limit {
        if below.is_none() {
            below = sled.next().transpose()?;
        }
        let older_first = match (memory.peek(), &below) {
            (Some((key, _)), Some((old, _))) => comes_first(old, key),
            (newest, _) => newest.is_none(),
        };
        if older_first {
            let Some(record) = below.take() else { break };
            out.push(record);
        } else if let Some((key, value)) = memory.next() {
            // What the memory knows replaces what sled has, also by nothing.
            below = below.filter(|(old, _)| *old != key);
            out.extend(value.map(|value| (key, value)));
        }
    }
    Ok(out)
}
