//! A journal that ends in the middle of a block: torn when nobody knows the block, damaged when somebody does.

use std::path::Path;
use std::sync::Arc;

use lienthong::store::StoreError;
use lienthong::store::disk::RealDisk;
use lienthong::store::journal::{Position, Reader};

use crate::harness::{Sample, assert_clean, close, files, journal, note, open, runtime, try_open};

/// Where the last block begins and ends in its segment, and its first index.
fn last_block(data: &Path) -> (u64, u64, u64) {
    let mut reader = Reader::open(Arc::new(RealDisk), &journal(data), Position::default()).unwrap();
    let (mut start, mut found) = (Position::default(), None);
    while let Some(block) = reader.next_block().unwrap() {
        let end = reader.position();
        let from = if end.segment == start.segment { start.offset } else { 0 };
        found = Some((from, end.offset, block.first));
        start = end;
    }
    found.unwrap()
}

/// Cuts the last segment at `at`: the file ends there, or zeros follow.
fn cut(data: &Path, at: u64, end: u64, zeros: bool) -> Vec<u8> {
    let path = files(&journal(data)).pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(at as usize);
    if zeros {
        bytes.resize(end as usize + 500, 0);
    }
    std::fs::write(&path, &bytes).unwrap();
    bytes
}

#[test]
fn a_torn_block_is_dropped_when_unknown_and_refused_when_known() {
    let runtime = runtime();
    let sample = Sample::small(true);
    let (start, end, first) = last_block(sample.dir.path());
    let cuts =
        [start, start + 1, start + 27, start + 28, end - 1].into_iter().chain((start..end).step_by(61));
    for (n, at) in cuts.enumerate() {
        // sled and the marker know nothing: the block was never acknowledged.
        let dir = sample.copy();
        let data = dir.path();
        cut(data, at, end, n % 2 == 0);
        std::fs::remove_dir_all(data.join("sled")).unwrap();
        std::fs::remove_file(data.join("clean.json")).unwrap();
        let (ledger, opened) = open(data);
        assert_eq!(opened.size, first, "cut at {at}");
        assert_eq!(opened.torn > 0, at > start, "cut at {at}");
        let leaves = ledger.index().leaves(0, 1_000).unwrap();
        assert!(leaves.iter().map(|(_, leaf)| leaf).eq(&sample.leaves[..first as usize]), "cut at {at}");
        let committed = runtime.block_on(ledger.commit(note("goes on"))).unwrap();
        assert_eq!(committed.recorded(), first);
        close(&runtime, ledger, data, true);
        assert_clean(data);

        // Somebody knows it.
        for (removed, who) in
            [("clean.json", "sled knows"), ("sled", "the marker of the last clean stop knows")]
        {
            let dir = sample.copy();
            let data = dir.path();
            let bytes = cut(data, at, end, n % 2 == 0);
            let removed = data.join(removed);
            if removed.is_dir() { std::fs::remove_dir_all(removed) } else { std::fs::remove_file(removed) }
                .unwrap();
            for _ in 0..2 {
                let Err(error) = try_open(data) else { panic!("a shorter journal was opened, cut at {at}") };
                assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
                assert!(error.to_string().contains(who), "{error}");
            }
            let path = files(&journal(data)).pop().unwrap();
            assert!(std::fs::read(path).unwrap() == bytes, "a refused journal was changed");
        }
    }
}

#[test]
fn a_torn_first_block_of_a_new_segment_is_dropped() {
    let sample = Sample::new(4_400, false, (0..4).map(|n| note(&format!("n{n}"))));
    let segments = files(&journal(sample.dir.path()));
    assert!(segments.len() >= 3);
    let dir = sample.copy();
    let data = dir.path();
    let path = files(&journal(data)).pop().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..100]).unwrap();
    std::fs::remove_dir_all(data.join("sled")).unwrap();
    let (ledger, opened) = open(data);
    assert_eq!(opened.size, 3);
    let runtime = runtime();
    runtime.block_on(ledger.commit(note("goes on"))).unwrap();
    close(&runtime, ledger, data, true);
    assert_clean(data);
}

#[test]
fn starts_in_quick_succession_never_take_a_sled_that_is_still_closing_for_a_damaged_one() {
    let sample = Sample::small(false);
    let dir = sample.copy();
    let data = dir.path();
    let (_, end, _) = last_block(data);
    cut(data, end - 1, end, true);
    for _ in 0..40 {
        // The next start comes while sled ends its work of this one.
        let Err(error) = try_open(data) else { panic!("a shorter journal was opened") };
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
    assert!(!data.join("sled.damaged").exists());
}
