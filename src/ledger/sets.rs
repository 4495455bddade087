//! Reading sets of events (`domain::fold`), forwards and backwards.

use super::{Index, folds};
use crate::domain::fold::{self, ViewError, keys};
use crate::store::StoreError;

/// Events of a set from an index on (inclusive), or from it down; `most` or some more, if there are that many.
pub fn events_of(
    index: &Index,
    set: Vec<u8>,
    from: u64,
    backwards: bool,
    most: usize,
) -> Result<Vec<u64>, StoreError> {
    let damaged = |key: &[u8]| folds(ViewError::Damaged { key: hex::encode(key) });
    let mut found = Vec::new();
    let mut next = Some(from);
    while let Some(at) = next.take().filter(|_| found.len() < most) {
        let key = keys::bitmap(set.clone(), at);
        // A bitmap has at least one event; few have only one.
        let page = (most - found.len()).div_ceil(8);
        let bitmaps = if backwards {
            index.scan_back(&set, &key, page)?
        } else {
            index.scan_new(&set, &key, page, at)?
        };
        for (key, value) in &bitmaps {
            let first = keys::index_of(key).and_then(|n| n.checked_mul(64)).ok_or_else(|| damaged(key))?;
            let bits = fold::read_bitmap(value).ok_or_else(|| damaged(key))?;
            let events = (0..64).filter(|bit| bits >> bit & 1 == 1).map(|bit| first + bit);
            if backwards {
                found.extend(events.rev().filter(|i| *i <= from));
                next = first.checked_sub(1);
            } else {
                found.extend(events.filter(|i| *i >= from));
                next = first.checked_add(64);
            }
        }
    }
    Ok(found)
}
