//! The leaves of sled in order, with bounded memory, each chunk looked at as it is: [`Index::leaves`] passes over what
//! an audit must see (gaps, overlaps, chunks that are cut off).

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Findings, Place};
use crate::store::StoreError;
use crate::store::index::{Index, leaf_key, leaves_of};

/// Chunks read at once: half a MiB, usually.
const PAGE: usize = 16;

/// Reads leaves from the first on.
pub(super) struct StoreLeaves {
    from: Vec<u8>,
    ready: VecDeque<(u64, Bytes)>,
    end: u64,
    over: bool,
}

impl StoreLeaves {
    pub(super) fn new() -> Self {
        StoreLeaves { from: leaf_key(0), ready: VecDeque::new(), end: 0, over: false }
    }

    /// The next leaf and its index, which is larger than the one before; what cannot be a leaf is a finding.
    pub(super) fn peek(
        &mut self,
        index: &Index,
        findings: &mut Findings,
    ) -> Result<Option<&(u64, Bytes)>, StoreError> {
        while self.ready.is_empty() && !self.over {
            let records = index.scan(b"l", &self.from, PAGE)?;
            self.over = records.len() < PAGE;
            if let Some((last, _)) = records.last() {
                self.from = [last.as_ref(), &[0]].concat();
            }
            for (key, chunk) in &records {
                self.chunk(key, chunk, findings);
            }
        }
        Ok(self.ready.front())
    }

    /// The leaf at `at`, if it is there; called with every index in turn.
    pub(super) fn take(
        &mut self,
        at: u64,
        index: &Index,
        findings: &mut Findings,
    ) -> Result<Option<Bytes>, StoreError> {
        match self.peek(index, findings)? {
            Some((i, _)) if *i == at => Ok(self.ready.pop_front().map(|(_, leaf)| leaf)),
            _ => Ok(None),
        }
    }

    fn chunk(&mut self, key: &[u8], chunk: &[u8], findings: &mut Findings) {
        let Some(first) = key.get(1..).and_then(|k| k.try_into().ok()).map(u64::from_be_bytes) else {
            findings.add(Place::Leaf, None, format!("sled has leaves under the key {}", hex::encode(key)));
            return;
        };
        let Some(leaves) = unpack(chunk) else {
            findings.add(Place::Leaf, first, "the chunk of leaves that begins here is cut off in sled");
            return;
        };
        if first < self.end {
            findings.add(
                Place::Leaf,
                first,
                format!(
                    "a superfluous chunk of {} leaves stands in sled: {} is next",
                    leaves.len(),
                    self.end
                ),
            );
            return;
        }
        let Some(end) = first.checked_add(leaves.len() as u64) else {
            findings.add(Place::Leaf, first, "sled has leaves beyond every index");
            return;
        };
        self.end = end;
        self.ready.extend((first..end).zip(leaves));
    }
}

/// The leaves of a chunk; `None` where it is cut off.
pub(super) fn unpack(chunk: &[u8]) -> Option<Vec<Bytes>> {
    leaves_of(chunk).map(|leaf| leaf.map(Bytes::copy_from_slice)).collect()
}
