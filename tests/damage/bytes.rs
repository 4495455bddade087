//! Single damaged bytes and zeroed ranges in the files: the log is whole, or something names the damage. It is never
//! shorter, and nothing panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

use lienthong::audit::Offline;
use lienthong::store::StoreError;

use crate::harness::{Numbers, Sample, close, files, runtime, signer, try_open};

/// sled's own panics are caught by the store and reported as errors: their texts need not be seen.
fn quiet_about_sled() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.location().is_some_and(|l| l.file().contains("/sled-")) {
                before(info);
            }
        }));
    });
}

/// What became of one damaged log.
#[derive(Debug, Default)]
struct Outcomes {
    opened: u32,
    rebuilt: u32,
    refused: u32,
    found: u32,
    not_readable: u32,
}

fn damage(bytes: &mut [u8], numbers: &mut Numbers) -> String {
    let at = numbers.below(bytes.len() as u64) as usize;
    if numbers.below(3) > 0 {
        let bit = numbers.below(8);
        bytes[at] ^= 1 << bit;
        format!("bit {bit} of byte {at}")
    } else {
        let end = (at + 1 + numbers.below(300) as usize).min(bytes.len());
        bytes[at..end].fill(0);
        format!("zeros from {at} to {end}")
    }
}

fn try_one(sample: &Sample, data: &Path, outcomes: &mut Outcomes) {
    // The audit first: it changes nothing.
    match Offline::open(data).and_then(|offline| offline.check(signer().verifier(), |_| {})) {
        Ok(checked) if checked.is_clean() => {
            assert_eq!(checked.events, sample.leaves.len() as u64);
            assert_eq!(checked.root, Some(sample.root));
        }
        Ok(checked) => {
            outcomes.found += 1;
            if let Some(root) = checked.root
                && checked.events == sample.leaves.len() as u64
            {
                assert_eq!(root, sample.root, "{:#?}", checked.findings);
            }
        }
        Err(_) => outcomes.not_readable += 1,
    }
    match try_open(data) {
        Ok((ledger, opened)) => {
            outcomes.opened += 1;
            outcomes.rebuilt += u32::from(opened.rebuilt.is_some());
            sample.assert_same(&ledger);
            close(&runtime(), ledger, data, true);
        }
        Err(StoreError::Damaged { .. } | StoreError::Index { .. }) => outcomes.refused += 1,
        Err(other) => panic!("no name for the damage: {other}"),
    }
}

fn damaged(clean: bool, folder: &str, tries: u32, seed: u64) -> Outcomes {
    quiet_about_sled();
    let sample = Sample::small(clean);
    let mut numbers = Numbers(seed);
    let mut outcomes = Outcomes::default();
    for _ in 0..tries {
        let dir = sample.copy();
        let data = dir.path();
        let paths: Vec<PathBuf> = files(&data.join(folder))
            .into_iter()
            .filter(|p| std::fs::metadata(p).unwrap().len() > 0)
            .collect();
        let path = &paths[numbers.below(paths.len() as u64) as usize];
        let before = std::fs::read(path).unwrap();
        let mut bytes = before.clone();
        let what = damage(&mut bytes, &mut numbers);
        std::fs::write(path, &bytes).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| try_one(&sample, data, &mut outcomes)));
        assert!(result.is_ok(), "{what} of {} ({} bytes)", path.display(), bytes.len());
    }
    outcomes
}

#[test]
fn in_the_journal_after_a_clean_stop() {
    let outcomes = damaged(true, "journal", 40, 1);
    assert!(outcomes.found > 20, "{outcomes:?}");
    assert!(outcomes.refused > 0, "{outcomes:?}");
}

#[test]
fn in_the_journal_after_a_crash() {
    let outcomes = damaged(false, "journal", 40, 2);
    assert!(outcomes.found > 20, "{outcomes:?}");
    assert!(outcomes.refused > 0, "{outcomes:?}");
}

#[test]
fn in_sled_after_a_clean_stop() {
    let outcomes = damaged(true, "sled", 40, 3);
    assert_eq!((outcomes.opened, outcomes.refused), (40, 0), "{outcomes:?}");
}

#[test]
fn in_sled_after_a_crash() {
    let outcomes = damaged(false, "sled", 60, 4);
    assert_eq!((outcomes.opened, outcomes.refused), (60, 0), "{outcomes:?}");
}

#[test]
fn files_that_are_gone_or_empty_are_named_or_made_again() {
    quiet_about_sled();
    let sample = Sample::small(false);
    for folder in ["journal", "sled"] {
        for number in 0..files(&sample.dir.path().join(folder)).len() {
            for gone in [false, true] {
                let dir = sample.copy();
                let path = &files(&dir.path().join(folder))[number];
                if gone {
                    std::fs::remove_file(path).unwrap();
                } else {
                    std::fs::write(path, b"").unwrap();
                }
                let mut outcomes = Outcomes::default();
                let result = catch_unwind(AssertUnwindSafe(|| try_one(&sample, dir.path(), &mut outcomes)));
                assert!(result.is_ok(), "{} gone: {gone}", path.display());
            }
        }
    }
}
