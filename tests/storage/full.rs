//! A disk without room: who needs room is refused, everyone else is served, and nothing stays behind.

use std::sync::Arc;

use lienthong::domain::reason::Reason;
use lienthong::ledger::{Committed, LedgerError};
use lienthong::store::disk::faulty::FaultyDisk;

use crate::harness::{Acknowledged, assert_clean, close, note, runtime, submit, try_open, try_open_with};

/// The reason of a refusal.
fn refused(result: Result<Committed, LedgerError>) -> Option<Reason> {
    match result {
        Err(LedgerError::Rejected(rejection)) => Some(rejection.reason),
        _ => None,
    }
}

#[test]
fn content_without_room_refuses_the_command_that_names_it_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let disk = FaultyDisk::default();
    let (ledger, _) = try_open_with(dir.path(), Arc::new(disk.clone()), 1 << 20).unwrap();
    let mut done = Acknowledged::default();
    let first = ledger.content().put(b"first").unwrap();
    let content = vec![(first, b"first".to_vec())];
    done.commit(&runtime, &ledger, submit(1, &[first]), "<r1>", content).unwrap();

    disk.plan.set_full(true);
    let big = vec![7; 300_000];
    let lost = ledger.content().put(&big).unwrap();
    let result = done.commit(&runtime, &ledger, submit(2, &[lost]), "<r2>", Vec::new());
    assert_eq!(refused(result), Some(Reason::StorageFull));
    // What needs no content, or content that is there, goes on: the journal has its room.
    for n in 3..30 {
        done.commit(&runtime, &ledger, note(&format!("n{n}")), &format!("<n{n}>"), Vec::new()).unwrap();
        let content = vec![(first, b"first".to_vec())];
        done.commit(&runtime, &ledger, submit(n, &[first]), &format!("<r{n}>"), content).unwrap();
    }
    // It stays refused, as often as it is tried without its content.
    let result = done.commit(&runtime, &ledger, submit(2, &[lost]), "<r2>", Vec::new());
    assert_eq!(refused(result), Some(Reason::StorageFull));
    assert_eq!(ledger.content().get(&lost).unwrap(), None);

    // Room comes back: the same is taken at once.
    disk.plan.set_full(false);
    done.refused.clear();
    assert_eq!(ledger.content().put(&big).unwrap(), lost);
    done.commit(&runtime, &ledger, submit(2, &[lost]), "<r2>", vec![(lost, big.clone())]).unwrap();
    assert!(!ledger.content().must_claim());
    done.verify(&ledger);
    close(&runtime, ledger, dir.path(), true);
    assert_clean(dir.path());
    let (ledger, _) = try_open(dir.path()).unwrap();
    done.verify(&ledger);
}

#[test]
fn a_journal_without_room_refuses_everything_with_nothing_written_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let disk = FaultyDisk::default();
    // The next block needs the next segment.
    let (ledger, _) = try_open_with(dir.path(), Arc::new(disk.clone()), 4_096).unwrap();
    let mut done = Acknowledged::default();
    done.commit(&runtime, &ledger, note("first"), "<first>", Vec::new()).unwrap();
    disk.plan.set_full(true);
    for n in 0..5 {
        let result = done.commit(&runtime, &ledger, note(&format!("n{n}")), &format!("<n{n}>"), Vec::new());
        assert_eq!(refused(result), Some(Reason::StorageFull));
        assert_eq!(ledger.snapshot().size(), 1);
    }
    disk.plan.set_full(false);
    done.commit(&runtime, &ledger, note("after"), "<after>", Vec::new()).unwrap();
    done.verify(&ledger);
    close(&runtime, ledger, dir.path(), true);
    assert_clean(dir.path());
}
