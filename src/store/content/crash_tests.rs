//! The crash matrix of the content store: every changing operation of a run fails in every way, and the store is opened
//! again. Segments are small, so that records, whole segments with their index, and files of their own are all in it.

use std::sync::Arc;

use super::*;
use crate::store::disk::RealDisk;
use crate::store::disk::faulty::{Fault, FaultyDisk};

/// Two records fill a segment.
const SEGMENT: u64 = 300;

fn data(n: u8) -> Vec<u8> {
    vec![n; 100 + usize::from(n)]
}

/// Puts one after the other, small and large in turn; what was synced is done. Goes on after a full disk, as a node does.
fn script(disk: Arc<dyn Disk>, dir: &Path, done: &mut Vec<u8>) -> Result<(), StoreError> {
    let store = ContentStore::open_with(disk, dir, SEGMENT)?;
    for n in 0..8 {
        let put = || -> Result<(), StoreError> {
            if n % 3 == 2 {
                let mut upload = store.begin()?;
                for piece in data(n).chunks(40) {
                    upload.write(piece)?;
                }
                store.finish(upload, sha256(&data(n)))?;
            } else {
                store.put(&data(n))?;
            }
            store.sync()
        };
        match put() {
            Ok(()) => done.push(n),
            Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is done is there; what is not is either there or not, and never something else.
fn verify(store: &ContentStore, done: &[u8], place: &str) {
    for n in 0..8 {
        let digest = sha256(&data(n));
        match store.get(&digest).unwrap_or_else(|e| panic!("{place}: {e}")) {
            Some(found) => assert_eq!(found, data(n), "{place}"),
            None => assert!(!done.contains(&n), "{place}: {n} is lost"),
        }
    }
}

fn matrix(fault: Fault) {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    script(Arc::new(disk.clone()), dir.path(), &mut Vec::new()).unwrap();
    let operations = disk.plan.done();
    let kinds: std::collections::BTreeSet<_> = disk.plan.trace().iter().map(|(what, _)| *what).collect();
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        ["create", "create_dir", "rename", "sync", "sync_dir", "write"]
    );
    for n in 0..operations {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        disk.plan.fail(n, fault);
        let mut done = Vec::new();
        let ended = script(Arc::new(disk.clone()), dir.path(), &mut done);
        let place = format!("{fault:?} at {n}: {:?}, {ended:?}", disk.plan.trace().get(n as usize));
        if fault == Fault::Full {
            // One is refused at most.
            assert!(ended.is_err() || done.len() >= 7, "{place}");
        } else {
            assert!(ended.is_err(), "{place}");
        }
        let store = ContentStore::open_with(Arc::new(RealDisk), dir.path(), SEGMENT)
            .unwrap_or_else(|e| panic!("{place}: {e}"));
        verify(&store, &done, &place);
        drop(store);
        // Everything is sent again, and found by the next.
        let mut all = Vec::new();
        script(Arc::new(RealDisk), dir.path(), &mut all).unwrap();
        assert_eq!(all.len(), 8);
        verify(&ContentStore::open_with(Arc::new(RealDisk), dir.path(), SEGMENT).unwrap(), &all, &place);
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn after_an_operation_without_effect_what_was_synced_stays() {
    matrix(Fault::Failed);
}

#[test]
fn after_an_operation_that_had_its_effect_what_was_synced_stays() {
    matrix(Fault::FailedButPersisted);
}

#[test]
fn after_a_torn_write_what_was_synced_stays() {
    matrix(Fault::Torn);
}

#[test]
fn after_a_full_disk_what_was_synced_stays() {
    matrix(Fault::Full);
}
