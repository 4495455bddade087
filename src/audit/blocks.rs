//! The blocks of the journal, read ahead: what needs no other block (the SHA-256 of a block, hashes of its leaves, the
//! signature under its checkpoint, the form of its events) is done on threads of its own, and handed on in order.
//!
//! Most commits of a quiet node hold one event, so that the signatures of its checkpoints are most of the work. Memory is
//! bounded: each thread has a few batches, and who reads slowly slows all of it down.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};

use super::verify::Extent;
use crate::domain::event::Event;
use crate::merkle::{Hash, LogKeys, SignedCheckpoint, leaf_hash};
use crate::store::StoreError;
use crate::store::journal::{Block, Position, Reader};
use crate::wire::leaf;

/// Leaves after which a batch goes to the next thread.
const BATCH_LEAVES: usize = 256;
/// Bytes of leaves after which it does.
const BATCH_BYTES: usize = 1 << 20;
/// Batches that wait for a thread, and behind it.
const WAITING: usize = 2;
/// The most threads: the events themselves are applied by one.
const THREADS: usize = 4;

impl Extent {
    /// Threads for what needs no order.
    pub(super) fn threads(self) -> usize {
        match self {
            // A running node has other work.
            Extent::Known => 1,
            Extent::Whole => std::thread::available_parallelism().map_or(1, usize::from).min(THREADS),
        }
    }
}

/// A block, and what it says by itself.
pub(super) struct ReadBlock {
    /// As it stands in the journal.
    pub block: Block,
    /// Where it ends.
    pub end: Position,
    /// Hash of each leaf.
    pub hashes: Vec<Hash>,
    /// Event of each leaf.
    pub events: Vec<Result<Event, String>>,
    /// Its checkpoint, or why that is none of this log.
    pub signed: Result<SignedCheckpoint, String>,
}

impl ReadBlock {
    fn new(block: Block, end: Position, keys: &LogKeys) -> ReadBlock {
        ReadBlock {
            hashes: block.leaves.iter().map(|l| leaf_hash(l)).collect(),
            events: block.leaves.iter().map(|l| leaf::decode(l).map_err(|e| e.to_string())).collect(),
            signed: keys.verify(&block.checkpoint).map_err(|e| e.to_string()),
            block,
            end,
        }
    }
}

type Batch<T> = Vec<T>;

/// Gives every block to `each` in order, until `end` events are read or the journal ends; `each` says whether it wants
/// more. An error of the journal comes after all blocks before it.
pub(super) fn each_block(
    reader: Reader,
    end: u64,
    extent: Extent,
    keys: &LogKeys,
    mut each: impl FnMut(ReadBlock) -> bool,
) -> Result<(), StoreError> {
    let threads = extent.threads();
    std::thread::scope(|scope| {
        let (mut to, mut from) = (Vec::new(), Vec::new());
        for _ in 0..threads {
            let (sender, receiver) = worker(scope, keys)?;
            to.push(sender);
            from.push(receiver);
        }
        let reading = Builder::new()
            .name("check-read".into())
            .spawn_scoped(scope, move || read(reader, end, &to))
            .map_err(StoreError::io("starting a thread for", "the journal"))?;
        'all: for turn in (0..threads).cycle() {
            // A thread that has nothing more ends the round: the one before it had the last batch.
            let Ok(batch) = from[turn].recv() else { break };
            for block in batch {
                if !each(block) {
                    break 'all;
                }
            }
        }
        drop(from);
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

type Ends = (SyncSender<Batch<(Block, Position)>>, Receiver<Batch<ReadBlock>>);

fn worker<'scope>(scope: &'scope Scope<'scope, '_>, keys: &'scope LogKeys) -> Result<Ends, StoreError> {
    let (to, work) = sync_channel::<Batch<(Block, Position)>>(WAITING);
    let (done, from) = sync_channel(WAITING);
    Builder::new()
        .name("check-block".into())
        .spawn_scoped(scope, move || {
            for batch in work {
                let read = batch.into_iter().map(|(block, end)| ReadBlock::new(block, end, keys));
                if done.send(read.collect()).is_err() {
                    return;
                }
            }
        })
        .map_err(StoreError::io("starting a thread for", "the journal"))?;
    Ok((to, from))
}

/// Reads blocks and deals them out in turn.
fn read(mut reader: Reader, end: u64, to: &[SyncSender<Batch<(Block, Position)>>]) -> Result<(), StoreError> {
    let (mut batch, mut leaves, mut bytes) = (Vec::new(), 0, 0);
    let mut turn = to.iter().cycle();
    let mut deal = |batch| turn.next().is_some_and(|to| to.send(batch).is_ok());
    let mut at = 0;
    while at < end {
        let block = match reader.next_block() {
            Ok(Some(block)) => block,
            ended => {
                deal(batch);
                return ended.map(|_| ());
            }
        };
        at = block.end();
        leaves += block.leaves.len();
        bytes += block.leaves.iter().map(bytes::Bytes::len).sum::<usize>();
        batch.push((block, reader.position()));
        if leaves >= BATCH_LEAVES || bytes >= BATCH_BYTES {
            (leaves, bytes) = (0, 0);
            if !deal(std::mem::take(&mut batch)) {
                return Ok(());
            }
        }
    }
    deal(batch);
    Ok(())
}
