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
        ["create", "create_dir", "remove", "rename", "sync", "sync_dir", "write"]
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

/// Two go, one small and one large, from three segments and two files; whatever fails, the others stay, and the next
/// process removes them for good.
fn purge_matrix(fault: Fault) {
    let gone = [1_u8, 5];
    let purge = |store: &ContentStore| {
        store.condemn(gone.map(|n| sha256(&data(n))));
        store.remove_condemned()
    };
    let all: Vec<u8> = (0..8).collect();
    let kept: Vec<u8> = all.iter().copied().filter(|n| !gone.contains(n)).collect();
    for n in 0.. {
        let dir = tempfile::tempdir().unwrap();
        script(Arc::new(RealDisk), dir.path(), &mut Vec::new()).unwrap();
        let disk = FaultyDisk::default();
        let store = ContentStore::open_with(Arc::new(disk.clone()), dir.path(), SEGMENT).unwrap();
        let before = disk.plan.done();
        disk.plan.fail(n, fault);
        let removed = purge(&store);
        let place = format!("{fault:?} at {n}: {:?}, {removed:?}", disk.plan.trace().last());
        verify(&store, &kept, &place);
        let done = disk.plan.done() <= before + n;
        assert!(fault == Fault::Full || done || removed.is_err(), "{place}");
        drop(store);
        let store = ContentStore::open_with(Arc::new(RealDisk), dir.path(), SEGMENT).unwrap();
        verify(&store, &kept, &place);
        purge(&store).unwrap();
        for n in gone {
            assert_eq!(store.get(&sha256(&data(n))).unwrap(), None, "{place}");
        }
        // What goes on goes on, and what comes again is there again.
        store.put(&data(1)).unwrap();
        store.sync().unwrap();
        verify(&store, &[&kept[..], &[1]].concat(), &place);
        drop(store);
        let store = ContentStore::open_with(Arc::new(RealDisk), dir.path(), SEGMENT).unwrap();
        verify(&store, &[&kept[..], &[1]].concat(), &place);
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0, "{place}");
        if done {
            assert!(n > 8, "{n}");
            return;
        }
    }
}

#[test]
fn whatever_fails_while_content_is_removed_what_is_needed_stays() {
    for fault in [Fault::Failed, Fault::FailedButPersisted, Fault::Torn, Fault::Full] {
        purge_matrix(fault);
    }
}

#[test]
fn what_is_put_or_named_again_while_it_is_condemned_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = ContentStore::open_with(Arc::new(RealDisk), dir.path(), SEGMENT).unwrap();
    for n in 0..6 {
        store.put(&data(n)).unwrap();
    }
    store.put_whole(sha256(&[9; 2 << 20]), &[9; 2 << 20]).unwrap();
    store.sync().unwrap();
    let large = sha256(&[9; 2 << 20]);
    store.condemn((0..6).map(|n| sha256(&data(n))).chain([large]));
    store.put(&data(0)).unwrap();
    assert!(store.claim(&sha256(&data(1))));
    store.spare(&sha256(&data(2)));
    store.put_whole(large, &[9; 2 << 20]).unwrap();
    assert_eq!(store.remove_condemned().unwrap().contents, 3);
    verify(&store, &[0, 1, 2], "");
    assert!(store.get(&large).unwrap().is_some());
    for n in 3..6 {
        assert_eq!(store.get(&sha256(&data(n))).unwrap(), None);
        assert!(!store.claim(&sha256(&data(n))), "who named it before must put it again");
    }
    store.put(&data(3)).unwrap();
    assert!(store.claim(&sha256(&data(3))));
    assert!(store.must_claim());
}
