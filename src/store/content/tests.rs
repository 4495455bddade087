//! The content store over stops, segments and failing disks.

use super::*;
use crate::store::disk::RealDisk;

fn open(dir: &Path) -> ContentStore {
    ContentStore::open(Arc::new(RealDisk), dir).unwrap()
}

#[test]
fn what_was_put_is_found_again_after_opening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let small = store.put(b"small").unwrap();
    let mut upload = store.begin().unwrap();
    upload.write(b"large").unwrap();
    let large = sha256(b"large");
    store.finish(upload, large).unwrap();
    store.sync().unwrap();
    assert_eq!(store.get(&small).unwrap().unwrap(), "small");
    drop(store);
    let store = open(dir.path());
    let more = store.put(b"more").unwrap();
    store.sync().unwrap();
    drop(store);
    let store = open(dir.path());
    for (digest, data) in [(small, "small"), (large, "large"), (more, "more")] {
        assert_eq!(store.get(&digest).unwrap().unwrap(), data);
    }
    assert_eq!(store.get(&sha256(b"other")).unwrap(), None);
}

#[test]
fn full_segments_are_found_by_their_index_also_when_it_must_be_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let block = vec![0; 256 << 10];
    let content = |i: u32| [i.to_be_bytes().as_slice(), &block].concat();
    let digests: Vec<Hash> = (0..1_100).map(|i| store.put(&content(i)).unwrap()).collect();
    store.sync().unwrap();
    let check = |store: &ContentStore| {
        for (i, digest) in digests.iter().enumerate().step_by(50) {
            assert_eq!(store.get(digest).unwrap().unwrap(), content(i as u32));
        }
        assert_eq!(store.get(&sha256(b"other")).unwrap(), None);
    };
    check(&store);
    let segments = numbers(&RealDisk, dir.path()).unwrap();
    assert_eq!(segments, [1, 2, 3]);
    // What this process put into the newest segment is not written again; what it did not, is.
    let put = |store: &ContentStore, i| {
        store.put(&content(i)).unwrap();
        store.lock().buffer.len()
    };
    assert_eq!(put(&store, 1_099), 0);
    assert!(put(&store, 3) > block.len());
    store.sync().unwrap();
    drop(store);
    let again = open(dir.path());
    assert!(put(&again, 1_099) > block.len());
    drop(again);
    check(&open(dir.path()));
    let index = dir.path().join("00000001.index");
    let mut bytes = std::fs::read(&index).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&index, &bytes).unwrap();
    std::fs::remove_file(dir.path().join("00000002.index")).unwrap();
    check(&open(dir.path()));
    assert_ne!(std::fs::read(&index).unwrap(), bytes);
    // An entry that leads elsewhere is damage, and is said to be.
    let mut bytes = std::fs::read(&index).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&index, &bytes).unwrap();
    let largest = digests.iter().take(500).max_by_key(|d| *d.as_bytes()).unwrap();
    assert!(matches!(open(dir.path()).get(largest), Err(StoreError::Damaged { .. })));
}

type Contents = Vec<(Hash, String)>;

/// Puts three records a step, with a sync after each step, over several segments; what was synced.
fn fill(disk: &Arc<dyn Disk>, dir: &Path, steps: u32) -> Result<Contents, Contents> {
    let mut durable = Vec::new();
    let Ok(store) = ContentStore::open_with(disk.clone(), dir, 2_000) else { return Err(durable) };
    for step in 0..steps {
        let mut fresh = Vec::new();
        for n in 0..3 {
            let text = format!("{step} {n} {}", "x".repeat(200));
            match store.put(text.as_bytes()) {
                Ok(digest) => fresh.push((digest, text)),
                Err(StoreError::Full { .. }) => {}
                Err(_) => return Err(durable),
            }
        }
        match store.sync() {
            Ok(()) => durable.append(&mut fresh),
            Err(StoreError::Full { .. }) => {}
            Err(_) => return Err(durable),
        }
    }
    Ok(durable)
}

#[test]
fn whatever_fails_while_segments_are_filled_and_sealed_what_was_synced_is_there() {
    use crate::store::disk::faulty::{Fault, FaultyDisk};
    for fault in [Fault::Full, Fault::Failed, Fault::FailedButPersisted, Fault::Torn] {
        for n in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let faulty = FaultyDisk::default();
            let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
            faulty.plan.fail(n, fault);
            let outcome = fill(&disk, dir.path(), 12);
            let failed = faulty.plan.done() > n;
            let durable = match outcome {
                // A full disk has room again at the next try.
                Ok(durable) | Err(durable) => durable,
            };
            // The next process finds it all, and goes on.
            let real: Arc<dyn Disk> = Arc::new(RealDisk);
            let store = ContentStore::open_with(real.clone(), dir.path(), 2_000).unwrap();
            for (digest, text) in &durable {
                let found = store.get(digest).unwrap().unwrap_or_else(|| panic!("{fault:?} {n}: {text}"));
                assert_eq!(found, text.as_bytes());
            }
            drop(store);
            assert_eq!(fill(&real, dir.path(), 12).unwrap().len(), 36);
            if !failed {
                assert!(n > 40, "segments were switched: {n}");
                break;
            }
        }
    }
}

#[test]
fn an_unfinished_upload_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut upload = store.begin().unwrap();
    upload.write(b"half").unwrap();
    drop(upload);
    assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}
