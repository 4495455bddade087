//! All records of sled, compared with what a recount gives and added up. One thread reads them; what needs no order
//! (hashes of records, looking up what they should be) is done on others, in batches.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::check::{DIFFERING, Recount};
use super::{Findings, Place};
use crate::domain::fold::{ViewError, keys};
use crate::ledger::folds;
use crate::store::StoreError;
use crate::store::index::{Index, Sum};

/// Bytes of records after which a batch goes to a thread.
const BATCH_BYTES: usize = 256 << 10;
/// Batches that wait.
const WAITING: usize = 4;

/// Records, one after the other.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each record's key and value end.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len()));
    }

    fn records(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        begins
            .zip(&self.ends)
            .map(|(from, (key_end, end))| (&self.bytes[from..*key_end], &self.bytes[*key_end..*end]))
    }
}

/// What a thread found.
#[derive(Default)]
struct Found {
    sum: Sum,
    differing: BTreeSet<Vec<u8>>,
    unknown: Vec<Vec<u8>>,
}

impl Found {
    fn compare(&mut self, batch: &Batch, recount: &Recount) -> Result<(), ViewError> {
        for (key, value) in batch.records() {
            if Sum::counts(key) {
                self.sum.add(key, value);
            }
            match key.first() {
                Some(&keys::FOLD) => {
                    recount.records.see(key);
                    if recount.difference(key, Some(value))?.is_some() && self.differing.len() < DIFFERING {
                        self.differing.insert(key.to_vec());
                    }
                }
                Some(b'h' | b'l' | b'p' | b't') => {}
                _ => self.unknown.push(key.to_vec()),
            }
        }
        Ok(())
    }

    fn all(work: &Mutex<Receiver<Batch>>, recount: &Recount) -> Result<Found, ViewError> {
        let mut found = Found::default();
        loop {
            let batch = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
            // The reader is done.
            let Ok(batch) = batch else { return Ok(found) };
            found.compare(&batch, recount)?;
        }
    }
}

/// The keys of fold records that are not what the events give, and the sum over all records.
pub(super) fn differences(
    index: &Index,
    recount: &Recount,
    threads: usize,
    findings: &mut Findings,
) -> Result<(BTreeSet<Vec<u8>>, Sum), StoreError> {
    let all = std::thread::scope(|scope| {
        let (to, work) = sync_channel(WAITING);
        let work = Arc::new(Mutex::new(work));
        let mut comparing = Vec::new();
        for _ in 0..threads {
            let work = work.clone();
            let thread = std::thread::Builder::new().name("check-folds".into());
            let started = thread.spawn_scoped(scope, move || Found::all(&work, recount));
            comparing.push(started.map_err(StoreError::io("starting a thread for", "the comparison"))?);
        }
        // With the last thread that compares, the other end is gone, and nobody waits for room there.
        drop(work);
        let mut batch = Batch::default();
        let read = index.for_each(|key, value| {
            batch.push(key, value);
            if batch.bytes.len() >= BATCH_BYTES {
                // Where nobody compares any more, one of those who did says why.
                let _ = to.send(std::mem::take(&mut batch));
            }
        });
        let _ = to.send(batch);
        drop(to);
        let mut all = Vec::new();
        for thread in comparing {
            let found = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.push(found.map_err(folds)?);
        }
        read.map(|()| all)
    })?;
    let mut differing = BTreeSet::new();
    let mut sum = Sum::default();
    for found in all {
        sum.merge(found.sum);
        differing.extend(found.differing);
        for key in found.unknown {
            findings.add(Place::Store, None, format!("an unknown record {}", hex::encode(key)));
        }
    }
    differing.extend(recount.records.unseen(DIFFERING).map_err(folds)?);
    Ok((differing, sum))
}
