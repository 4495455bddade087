//! Each kind of change, many times at places drawn by lot: found, and the first event that is wrong is named.

use std::path::Path;

use lienthong::audit::{Checked, Place};
use lienthong::merkle::{Checkpoint, SignedCheckpoint};
use lienthong::store::index::{leaf_key, tile_key};
use lienthong::store::journal::Block;

use crate::altered_index::{Changes, alter, chunk_of, other_user, put_chunk};
use crate::altered_journal::{blocks, one_segment, other_client, rewrite};
use crate::harness::{Numbers, Sample, check, files, journal, signer, signer_of};

/// Places for each kind.
const TIMES: u32 = 12;

/// Something is wrong, the first of it between `from` and `to`.
#[track_caller]
fn assert_first(checked: &Checked, from: u64, to: u64, what: &str) {
    let first = checked.first.unwrap_or_else(|| panic!("{what}: {:#?}", checked.findings));
    assert!((from..=to).contains(&first), "{what}: {first} is not in {from}..={to}: {:#?}", checked.findings);
}

/// Changes a copy of the journal, `TIMES` times. The closure says which event is the first that is wrong.
fn in_the_journal(seed: u64, mut change: impl FnMut(&mut Vec<Block>, usize, &mut Numbers) -> u64) {
    let sample = one_segment();
    let mut numbers = Numbers(seed);
    for n in 0..TIMES {
        let dir = sample.copy();
        let mut all = blocks(dir.path());
        let block = numbers.below(all.len() as u64) as usize;
        let at = change(&mut all, block, &mut numbers);
        let first = all.iter().map(|b| b.first).filter(|first| *first <= at).max().unwrap_or(0);
        rewrite(dir.path(), &all);
        // A checkpoint that does not fit is named by the last event under it.
        assert_first(
            &check(dir.path()),
            first.saturating_sub(1),
            at,
            &format!("{n}: block {block}, event {at}"),
        );
    }
}

#[test]
fn an_event_altered_in_the_journal() {
    in_the_journal(1, |blocks, block, numbers| {
        let i = numbers.below(blocks[block].leaves.len() as u64) as usize;
        blocks[block].leaves[i] = other_client(&blocks[block].leaves[i]);
        blocks[block].first + i as u64
    });
}

#[test]
fn an_event_dropped_from_the_journal() {
    in_the_journal(2, |blocks, block, numbers| {
        let i = numbers.below(blocks[block].leaves.len() as u64) as usize;
        blocks[block].leaves.remove(i);
        blocks[block].first + i as u64
    });
}

#[test]
fn an_event_inserted_into_the_journal() {
    in_the_journal(3, |blocks, block, numbers| {
        let i = numbers.below(blocks[block].leaves.len() as u64) as usize;
        let leaf = other_client(&blocks[block].leaves[i]);
        blocks[block].leaves.insert(i, leaf);
        blocks[block].first + i as u64
    });
}

#[test]
fn events_swapped_in_the_journal() {
    in_the_journal(4, |blocks, block, numbers| {
        // With one of another block, or the next in the same.
        let other = (block + 1 + numbers.below(blocks.len() as u64 - 1) as usize) % blocks.len();
        let (a, b) = (block.min(other), block.max(other));
        let (left, right) = (blocks[a].leaves[0].clone(), blocks[b].leaves[0].clone());
        blocks[a].leaves[0] = right;
        blocks[b].leaves[0] = left;
        blocks[a].first
    });
}

#[test]
fn a_checkpoint_replaced_in_the_journal() {
    in_the_journal(5, |blocks, block, numbers| {
        let other = (block + 1 + numbers.below(blocks.len() as u64 - 1) as usize) % blocks.len();
        let checkpoint = SignedCheckpoint::verify(&blocks[block].checkpoint, signer().verifier()).unwrap();
        let right = checkpoint.checkpoint().clone();
        blocks[block].checkpoint = match numbers.below(3) {
            0 => blocks[other].checkpoint.clone(),
            1 => right.sign(&signer_of(7)).note().to_owned(),
            // By the log's own key, over another tree.
            _ => {
                let root = SignedCheckpoint::verify(&blocks[other].checkpoint, signer().verifier()).unwrap();
                let root = root.checkpoint().root;
                Checkpoint { root, ..right }.sign(&signer()).note().to_owned()
            }
        };
        blocks[block].end() - 1
    });
}

#[test]
fn a_journal_cut_off() {
    let sample = one_segment();
    let mut numbers = Numbers(6);
    for n in 0..TIMES {
        let dir = sample.copy();
        let all = blocks(dir.path());
        let path = &files(&journal(dir.path()))[0];
        let bytes = std::fs::read(path).unwrap();
        let keep = numbers.below(bytes.len() as u64 - 1) as usize;
        std::fs::write(path, &bytes[..keep]).unwrap();
        let left = blocks_left(dir.path(), &all);
        let checked = check(dir.path());
        assert_first(&checked, left, left, &format!("{n}: cut to {keep} bytes"));
        assert!(checked.findings.iter().any(|f| f.place == Place::Journal), "{:#?}", checked.findings);
    }
}

/// Events in the blocks that are still whole.
fn blocks_left(data: &Path, all: &[Block]) -> u64 {
    let left = blocks(data);
    assert!(left.len() < all.len() && left[..] == all[..left.len()]);
    left.last().map_or(0, Block::end)
}

/// Changes a copy of sled, `TIMES` times, hidden from its sum.
fn in_sled(
    seed: u64,
    mut change: impl FnMut(&lienthong::store::index::Index, &mut Changes, u64, &mut Numbers) -> u64,
) {
    let sample = Sample::large();
    let mut numbers = Numbers(seed);
    for n in 0..TIMES {
        let dir = sample.copy();
        let at = numbers.below(sample.leaves.len() as u64);
        let mut wrong = 0;
        alter(dir.path(), |index, _, changes| wrong = change(index, changes, at, &mut numbers));
        assert_first(&check(dir.path()), wrong, wrong, &format!("{n}: event {at}"));
    }
}

#[test]
fn an_event_altered_in_sled() {
    in_sled(11, |index, changes, at, _| {
        let (first, mut leaves) = chunk_of(index, at);
        let i = (at - first) as usize;
        leaves[i] = other_user(&leaves[i]);
        put_chunk(changes, first, &leaves);
        at
    });
}

#[test]
fn an_event_dropped_from_sled() {
    in_sled(12, |index, changes, at, _| {
        let (first, mut leaves) = chunk_of(index, at);
        leaves.remove((at - first) as usize);
        changes.insert(leaf_key(first), None);
        put_chunk(changes, first, &leaves);
        at
    });
}

#[test]
fn an_event_inserted_into_sled() {
    in_sled(13, |index, changes, at, _| {
        let (first, mut leaves) = chunk_of(index, at);
        let i = (at - first) as usize;
        leaves.insert(i, other_user(&leaves[i]));
        changes.insert(leaf_key(first), None);
        put_chunk(changes, first, &leaves);
        at
    });
}

#[test]
fn events_swapped_in_sled() {
    in_sled(14, |index, changes, at, _| {
        let (first, mut leaves) = chunk_of(index, at);
        let i = (at - first) as usize;
        let j = if i + 1 < leaves.len() { i + 1 } else { i.saturating_sub(1) };
        if i == j {
            leaves[i] = other_user(&leaves[i]);
        }
        leaves.swap(i, j);
        put_chunk(changes, first, &leaves);
        first + i.min(j) as u64
    });
}

#[test]
fn a_tile_of_the_tree_altered_or_gone() {
    in_sled(15, |index, changes, _, numbers| {
        let key = tile_key(lienthong::merkle::TileId { level: 0, index: 0 });
        let mut tile = index.get(&key).unwrap().unwrap().to_vec();
        let value = if numbers.below(3) == 0 {
            None
        } else {
            let byte = numbers.below(tile.len() as u64) as usize;
            tile[byte] ^= 1 << numbers.below(8);
            Some(tile)
        };
        changes.insert(key, value);
        0
    });
}

#[test]
fn a_fold_edited_removed_or_added() {
    let sample = Sample::large();
    let mut numbers = Numbers(16);
    for n in 0..3 * TIMES {
        let dir = sample.copy();
        let (mut of, mut how) = (Vec::new(), 0);
        alter(dir.path(), |index, _, changes| {
            let mut folds = Vec::new();
            index
                .for_each(|key, value| {
                    if key.first() == Some(&b'f') {
                        folds.push((key.to_vec(), value.to_vec()));
                    }
                })
                .unwrap();
            let (mut key, mut value) = folds[numbers.below(folds.len() as u64) as usize].clone();
            how = numbers.below(3);
            match how {
                0 if !value.is_empty() => {
                    let byte = numbers.below(value.len() as u64) as usize;
                    value[byte] ^= 1 << numbers.below(8);
                    changes.insert(key.clone(), Some(value));
                }
                1 => {
                    // One that no event gives.
                    key.push(0x5a);
                    changes.insert(key.clone(), Some(value));
                }
                _ => drop(changes.insert(key.clone(), None)),
            }
            of = key;
        });
        let checked = check(dir.path());
        let folds: Vec<_> = checked.findings.iter().filter(|f| f.place == Place::Fold).collect();
        assert_eq!(
            (folds.len(), checked.findings.len()),
            (1, 1),
            "{n}: {}: {:#?}",
            hex::encode(&of),
            checked.findings
        );
        // An event gave it, but for one that was added.
        assert_eq!(folds[0].index.is_some(), how != 1, "{:?}", folds[0]);
    }
}
