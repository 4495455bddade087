//! The crash matrix: every changing operation of a run fails in every way, and the log is opened again.

use std::path::Path;
use std::sync::Arc;

use lienthong::ledger::{Ledger, LedgerError};
use lienthong::merkle::{Hash, sha256};
use lienthong::store::StoreError;
use lienthong::store::disk::faulty::{Fault, FaultyDisk};

use crate::harness::{
    Acknowledged, SMALL_SEGMENT, Sample, accept, assert_clean, close, note, open, runtime, submit,
    try_open_with,
};

/// Puts small content; a failure means that nothing may name it.
fn put(ledger: &Ledger, text: &str) -> Result<(Hash, Vec<u8>), StoreError> {
    let digest = ledger.content().put(text.as_bytes())?;
    Ok((digest, text.as_bytes().to_vec()))
}

/// The same as a file of its own.
fn put_large(ledger: &Ledger, text: &str) -> Result<(Hash, Vec<u8>), StoreError> {
    let mut upload = ledger.content().begin()?;
    upload.write(text.as_bytes())?;
    let digest = sha256(text.as_bytes());
    ledger.content().finish(upload, digest)?;
    Ok((digest, text.as_bytes().to_vec()))
}

/// The scripted run. Goes on after a full disk, as a node does; ends where the ledger failed.
fn script(data: &Path, disk: &FaultyDisk, done: &mut Acknowledged) -> Result<bool, StoreError> {
    let runtime = runtime();
    let (ledger, _) = try_open_with(data, Arc::new(disk.clone()), SMALL_SEGMENT)?;
    for n in 0..6 {
        let text = format!("<n{n}>");
        let result = match n {
            2 | 4 => put(&ledger, &text).map(|c| {
                let command = if n == 2 { submit(n, &[c.0]) } else { accept(n, &[c.0]) };
                done.commit(&runtime, &ledger, command, &format!("<r{n}>"), vec![c])
            }),
            3 => put_large(&ledger, &text)
                .map(|c| done.commit(&runtime, &ledger, submit(n, &[c.0]), &format!("<r{n}>"), vec![c])),
            _ => Ok(done.commit(&runtime, &ledger, note(&format!("n{n}")), &text, Vec::new())),
        };
        match result {
            Ok(Ok(_) | Err(LedgerError::Rejected(_))) | Err(StoreError::Full { .. }) => {}
            Ok(Err(LedgerError::Failed(_))) => return Ok(false),
            Ok(Err(LedgerError::Stale)) => panic!("nothing was prepared on anything"),
            // Content that was not taken: the caller is told, the log goes on.
            Err(_) => {}
        }
        done.verify(&ledger);
    }
    Ok(true)
}

/// Whatever fails, what was acknowledged stays and nothing else is served.
fn matrix(fault: Fault) {
    let disk = FaultyDisk::default();
    let dir = tempfile::tempdir().unwrap();
    let mut done = Acknowledged::default();
    script(dir.path(), &disk, &mut done).unwrap();
    assert_eq!(done.leaves.len(), 6);
    let operations = disk.plan.done();
    assert!(operations > 25, "{:#?}", disk.plan.trace());
    for n in 0..operations {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        disk.plan.fail(n, fault);
        let mut done = Acknowledged::default();
        let place = || format!("{fault:?} at {n}: {:?}", disk.plan.trace().get(n as usize));
        match script(dir.path(), &disk, &mut done) {
            Err(error) => assert!(done.leaves.is_empty(), "{}: {error}", place()),
            // One refusal at most: there was room for everything else.
            Ok(true) if fault == Fault::Full => assert!(done.leaves.len() >= 5, "{}", place()),
            Ok(_) => {}
        }
        after(dir.path(), &mut done, &place);
    }
}

#[test]
fn after_an_operation_without_effect_what_was_acknowledged_stays_and_nothing_else_is_served() {
    matrix(Fault::Failed);
}

#[test]
fn after_an_operation_that_had_its_effect_what_was_acknowledged_stays_and_nothing_else_is_served() {
    matrix(Fault::FailedButPersisted);
}

#[test]
fn after_a_torn_write_what_was_acknowledged_stays_and_nothing_else_is_served() {
    matrix(Fault::Torn);
}

#[test]
fn a_full_disk_refuses_without_a_trace_and_the_log_goes_on() {
    matrix(Fault::Full);
}

#[test]
fn an_opening_that_fails_anywhere_loses_nothing() {
    let sample = Sample::small(false);
    for fault in [Fault::Failed, Fault::FailedButPersisted, Fault::Torn] {
        let mut n = 0;
        loop {
            let dir = sample.copy();
            let disk = FaultyDisk::default();
            disk.plan.fail(n, fault);
            let opened = try_open_with(dir.path(), Arc::new(disk.clone()), 12_000);
            if disk.plan.done() <= n {
                // There were no more operations.
                assert!(n > 8 && opened.is_ok(), "{n}");
                break;
            }
            let place = format!("{fault:?} at {n}: {:?}", disk.plan.trace()[n as usize]);
            assert!(opened.is_err(), "{place}");
            let runtime = runtime();
            let (ledger, opened) = open(dir.path());
            assert_eq!(opened.rebuilt, None, "{place}");
            sample.assert_same(&ledger);
            runtime.block_on(ledger.commit(note("goes on"))).unwrap();
            close(&runtime, ledger, dir.path(), true);
            assert_clean(dir.path());
            n += 1;
        }
    }
}

/// Opens again on the real disk.
fn after(data: &Path, done: &mut Acknowledged, place: &dyn Fn() -> String) {
    let runtime = runtime();
    let (ledger, opened) = crate::harness::try_open(data).unwrap_or_else(|e| panic!("{}: {e}", place()));
    let context = Context(place());
    assert!(opened.rebuilt.is_none() || opened.size == 0 || done.leaves.is_empty(), "{opened:?}");
    done.verify(&ledger);
    done.commit(&runtime, &ledger, note("after"), "<after>", Vec::new()).unwrap();
    let c = put(&ledger, "more").unwrap();
    done.commit(&runtime, &ledger, submit(77, &[c.0]), "<r77>", vec![c]).unwrap();
    done.verify(&ledger);
    close(&runtime, ledger, data, true);
    assert_clean(data);
    std::mem::forget(context);
}

/// Says where, when a check fails below it.
struct Context(String);

impl Drop for Context {
    fn drop(&mut self) {
        eprintln!("the fault: {}", self.0);
    }
}

#[test]
fn a_full_disk_between_segments_and_then_a_torn_block_lose_nothing() {
    // The new segment's file is made and no room is left in it; a smaller commit still fits the segment before.
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let disk = FaultyDisk::default();
    let (ledger, _) = try_open_with(dir.path(), Arc::new(disk.clone()), 8_000).unwrap();
    let mut done = Acknowledged::default();
    done.commit(&runtime, &ledger, note("first"), "<first>", Vec::new()).unwrap();
    let long = "x".repeat(4_000);
    // create, sync of the folder, then the zeros
    disk.plan.fail(2, Fault::Full);
    done.commit(&runtime, &ledger, note(&long), &long, Vec::new()).map(|_| ()).unwrap_err();
    disk.plan.fail(0, Fault::Torn);
    done.commit(&runtime, &ledger, note("torn"), "<torn>", Vec::new()).map(|_| ()).unwrap_err();
    drop(ledger);
    let (ledger, _) = open(dir.path());
    done.verify(&ledger);
    done.commit(&runtime, &ledger, note("after"), "<after>", Vec::new()).unwrap();
    done.verify(&ledger);
    close(&runtime, ledger, dir.path(), true);
    assert_clean(dir.path());
}

#[test]
fn a_sled_that_is_behind_is_caught_up_with_events_and_content() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let runtime = runtime();
    let (ledger, _) = open(data);
    let mut done = Acknowledged::default();
    let c = put(&ledger, "small one").unwrap();
    done.commit(&runtime, &ledger, submit(1, &[c.0]), "<r1>", vec![c]).unwrap();
    close(&runtime, ledger, data, false);
    let old = tempfile::tempdir().unwrap();
    crate::harness::copy(&data.join("sled"), old.path());

    let (ledger, _) = open(data);
    let c = put(&ledger, "small two").unwrap();
    done.commit(&runtime, &ledger, submit(2, &[c.0]), "<r2>", vec![c]).unwrap();
    let c = put_large(&ledger, "large").unwrap();
    done.commit(&runtime, &ledger, accept(4, &[c.0]), "<r4>", vec![c]).unwrap();
    done.commit(&runtime, &ledger, note("last"), "<last>", Vec::new()).unwrap();
    close(&runtime, ledger, data, false);

    // What a power cut leaves of sled: the state of a while ago.
    std::fs::remove_dir_all(data.join("sled")).unwrap();
    crate::harness::copy(old.path(), &data.join("sled"));
    let findings = crate::harness::check(data).findings;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].message.contains("brings it up"), "{findings:#?}");

    let (ledger, opened) = open(data);
    assert_eq!((opened.caught_up, opened.rebuilt), (3, None));
    done.verify(&ledger);
    close(&runtime, ledger, data, true);
    assert_clean(data);

    // And one that is gone is made again.
    std::fs::remove_dir_all(data.join("sled")).unwrap();
    let (ledger, opened) = open(data);
    assert_eq!(opened.caught_up, 4);
    assert!(opened.rebuilt.is_some());
    done.verify(&ledger);
    close(&runtime, ledger, data, true);
    assert_clean(data);
}

#[test]
fn one_bad_content_record_takes_no_other_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let runtime = runtime();
    let (ledger, _) = open(data);
    let mut done = Acknowledged::default();
    for n in 0..5 {
        let c = put(&ledger, &format!("content number {n}")).unwrap();
        done.commit(&runtime, &ledger, submit(n, &[c.0]), "", vec![c]).unwrap();
    }
    close(&runtime, ledger, data, true);
    let segment = data.join("content/00000001.content");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(16).position(|w| w == b"content number 1").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    // sled is made again, and with it the places of all content.
    std::fs::remove_dir_all(data.join("sled")).unwrap();
    let (ledger, _) = open(data);
    let bad = done.content.remove(1);
    done.verify(&ledger);
    assert!(!matches!(ledger.content().get(&bad.0), Ok(Some(_))));
    let c = put(&ledger, "another").unwrap();
    done.commit(&runtime, &ledger, submit(9, &[c.0]), "", vec![c]).unwrap();
    done.verify(&ledger);
    close(&runtime, ledger, data, true);
}
