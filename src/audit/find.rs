//! Candidates by the index of terms (`domain::fold::search`): events that have every one of some terms, forwards or
//! backwards, a window of blocks at a time. Each may be wrong, none is left out.
//!
//! For each window, one scan for each term, the rarest first; what is left after a term is all that the next is looked
//! up for. The newest events, of a block that is not complete, are in pending records. A block may be completed while it
//! is read: its pending records are read first and its block record after, so that one of the two has every event.

use crate::domain::fold::search::{BLOCK, Bits, Term, block_key, blocks_of, read_block, read_pending};
use crate::domain::fold::{ViewError, keys};
use crate::ledger::folds;
use crate::store::StoreError;
use crate::store::index::Index;

/// Blocks of the first window, and the most of a later one: most pages end early.
const WINDOW: u64 = 2;
const MOST: u64 = 64;

/// Events with all terms, in order.
pub(super) struct Finder<'a> {
    index: &'a Index,
    /// The rarest first.
    terms: Vec<Term>,
    backwards: bool,
    /// Events to look at, those done left out: from the first to before the second.
    from: u64,
    end: u64,
    window: u64,
}

impl<'a> Finder<'a> {
    /// Events from `from` to before `end`.
    pub fn new(index: &'a Index, terms: Vec<Term>, backwards: bool, from: u64, end: u64) -> Finder<'a> {
        Finder { index, terms, backwards, from, end, window: WINDOW }
    }

    /// The next events, in the order asked for; `None` at the end, and nothing where a window has none.
    pub fn next(&mut self) -> Result<Option<Vec<u64>>, StoreError> {
        if self.from >= self.end {
            return Ok(None);
        }
        let (from, end) = if self.backwards {
            let last = (self.end - 1) / BLOCK;
            ((last.saturating_sub(self.window - 1) * BLOCK).max(self.from), self.end)
        } else {
            let first = self.from / BLOCK;
            (self.from, ((first + self.window) * BLOCK).min(self.end))
        };
        self.window = (self.window * 4).min(MOST);
        let mut found = Vec::new();
        for (first, bits) in self.blocks(from / BLOCK, (end - 1) / BLOCK)? {
            found.extend(bits.places().map(|p| first + p).filter(|i| (from..end).contains(i)));
        }
        if self.backwards {
            found.reverse();
            self.end = from;
        } else {
            self.from = end;
        }
        Ok(Some(found))
    }

    /// The blocks from one to another, those without a candidate left out, each with its first event.
    fn blocks(&self, from: u64, to: u64) -> Result<Vec<(u64, Bits)>, StoreError> {
        let pending = self.pending(to)?;
        let mut blocks: Option<Vec<(u64, Bits)>> = None;
        for term in &self.terms {
            let found = match &blocks {
                Some(left) if left.is_empty() => break,
                Some(left) => self.having(*term, left[0].0 / BLOCK, left[left.len() - 1].0 / BLOCK)?,
                None => self.having(*term, from, to)?,
            };
            blocks = Some(match blocks {
                None => found,
                Some(left) => both(left, &found),
            });
        }
        let mut blocks = blocks.unwrap_or_default();
        if !pending.is_empty() {
            match blocks.last_mut() {
                Some((first, bits)) if *first == to * BLOCK => bits.or(&pending),
                _ => blocks.push((to * BLOCK, pending)),
            }
        }
        Ok(blocks)
    }

    /// The blocks that have a term.
    fn having(&self, term: Term, from: u64, to: u64) -> Result<Vec<(u64, Bits)>, StoreError> {
        let most = (to - from + 1) as usize;
        let records = self.index.scan(&blocks_of(term), &block_key(term, from * BLOCK), most)?;
        let mut blocks = Vec::with_capacity(records.len());
        for (key, record) in &records {
            let block = keys::index_of(key).filter(|block| *block <= u64::MAX / BLOCK);
            let block = block.ok_or_else(|| damaged(key))?;
            if block > to {
                break;
            }
            let bits = read_block(record, term).ok_or_else(|| damaged(key))?;
            if !bits.is_empty() {
                blocks.push((block * BLOCK, bits));
            }
        }
        Ok(blocks)
    }

    /// The events of a block that are in pending records and have every term.
    fn pending(&self, block: u64) -> Result<Bits, StoreError> {
        let mut bits = Bits::default();
        let first = block * BLOCK;
        let records = self.index.scan(&keys::pendings(), &keys::pending(first), (BLOCK / 64) as usize)?;
        for (key, record) in &records {
            let at = keys::index_of(key).and_then(|n| n.checked_mul(64)).ok_or_else(|| damaged(key))?;
            if at >= first + BLOCK {
                break;
            }
            for (place, terms) in read_pending(record).ok_or_else(|| damaged(key))? {
                // They are sorted.
                if self.terms.iter().all(|term| terms.binary_search(term).is_ok()) {
                    bits.set((at - first) as u16 + u16::from(place));
                }
            }
        }
        Ok(bits)
    }
}

/// The blocks of both lists, with the events of both; both are in ascending order.
fn both(left: Vec<(u64, Bits)>, right: &[(u64, Bits)]) -> Vec<(u64, Bits)> {
    let mut right = right.iter().peekable();
    let mut out = Vec::new();
    for (first, mut bits) in left {
        while right.next_if(|(other, _)| *other < first).is_some() {}
        if let Some((_, other)) = right.next_if(|(other, _)| *other == first) {
            bits.and(other);
            if !bits.is_empty() {
                out.push((first, bits));
            }
        }
    }
    out
}

fn damaged(key: &[u8]) -> StoreError {
    folds(ViewError::Damaged { key: hex::encode(key) })
}
