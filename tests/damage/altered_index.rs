//! Records of sled, altered through its own interface, with the sum in the head made right again: verify or check
//! finds each, with the index of the event.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lienthong::audit::{Finding, Place};
use lienthong::domain::document::Urgency;
use lienthong::domain::fold::{self, keys};
use lienthong::domain::ids::{DeliveryId, NodeName};
use lienthong::ledger::{Ledger, LedgerConfig, SystemClock, SystemRandom};
use lienthong::merkle::{Checkpoint, SignedCheckpoint, TileId};
use lienthong::store::disk::RealDisk;
use lienthong::store::index::{Head, Index, Sum, chunks, leaf_key, tile_key};
use lienthong::wire::leaf;

use crate::harness::{Sample, agency, check, close, open, runtime, signer, signer_of};

pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Changes records, and hides it from the sum.
pub(crate) fn alter(data: &Path, change: impl FnOnce(&Index, &mut Head, &mut Changes)) {
    let index = Index::open(&data.join("sled"), 16 << 20).unwrap();
    let mut head = index.head().unwrap().unwrap();
    let mut changes = Changes::new();
    change(&index, &mut head, &mut changes);
    index.write(changes, &head).unwrap();
    let Sum(sum) = index.sum().unwrap();
    head.sum = sum;
    index.write(Changes::new(), &head).unwrap();
    index.flush().unwrap();
}

fn altered(sample: &Sample, change: impl FnOnce(&Index, &mut Head, &mut Changes)) -> Vec<Finding> {
    let dir = sample.copy();
    alter(dir.path(), change);
    check(dir.path()).findings
}

fn assert_found(findings: &[Finding], place: Place, index: Option<u64>) {
    assert!(
        findings.iter().any(|f| f.place == place && f.index == index),
        "no finding at {place} {index:?} in {findings:#?}"
    );
}

/// The chunk that holds a leaf: its first index and its leaves.
pub(crate) fn chunk_of(index: &Index, at: u64) -> (u64, Vec<bytes::Bytes>) {
    let keys = index.scan_back(b"l", &leaf_key(at), 2).unwrap();
    let first = keys::index_of(&keys[0].0).unwrap();
    let next = index.scan(b"l", &leaf_key(at + 1), 1).unwrap();
    let end =
        next.first().and_then(|(k, _)| keys::index_of(k)).unwrap_or(index.head().unwrap().unwrap().size);
    let leaves = index.leaves(first, (end - first) as usize).unwrap();
    (first, leaves.into_iter().map(|(_, leaf)| leaf).collect())
}

pub(crate) fn put_chunk(changes: &mut Changes, first: u64, leaves: &[bytes::Bytes]) {
    for (key, value) in chunks(first, leaves) {
        changes.insert(key, Some(value));
    }
}

/// The leaf with another user in it.
pub(crate) fn other_user(bytes: &[u8]) -> bytes::Bytes {
    let mut event = leaf::decode(bytes).unwrap();
    event.actor.user.push('x');
    leaf::encode(&event).unwrap()
}

#[test]
fn an_untouched_log_has_no_findings() {
    let sample = Sample::large();
    let checked = check(sample.dir.path());
    assert!(checked.is_clean(), "{:#?}", checked.findings);
    assert_eq!((checked.events, checked.root), (sample.leaves.len() as u64, Some(sample.root)));
    let newest = SignedCheckpoint::verify(&checked.checkpoint.unwrap(), signer().verifier()).unwrap();
    assert_eq!(newest.checkpoint().size, checked.events);
}

#[test]
fn an_altered_leaf() {
    let sample = Sample::large();
    for at in [0, 1, 60, 256, 305] {
        let findings = altered(&sample, |index, _, changes| {
            let (first, mut leaves) = chunk_of(index, at);
            let place = (at - first) as usize;
            leaves[place] = other_user(&leaves[place]);
            put_chunk(changes, first, &leaves);
        });
        assert_found(&findings, Place::Leaf, Some(at));
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert!(findings[0].message.contains("which the journal has"), "{findings:#?}");
    }
}

#[test]
fn a_dropped_leaf() {
    let sample = Sample::large();
    for at in [0, 60, 100, 256, 305] {
        let findings = altered(&sample, |index, _, changes| {
            let (first, mut leaves) = chunk_of(index, at);
            leaves.remove((at - first) as usize);
            changes.insert(leaf_key(first), None);
            put_chunk(changes, first, &leaves);
        });
        assert_found(&findings, Place::Leaf, Some(at));
    }
    let last = sample.leaves.len() as u64 - 1;
    let findings = altered(&sample, |_, _, changes| {
        changes.insert(leaf_key(last), None);
    });
    assert_found(&findings, Place::Leaf, Some(last));
    assert_eq!(findings.len(), 1, "{findings:#?}");
}

#[test]
fn swapped_leaves() {
    let sample = Sample::large();
    for (a, b) in [(5, 6), (20, 90), (110, 112)] {
        let findings = altered(&sample, |index, _, changes| {
            let (first, leaves) = chunk_of(index, a);
            let (first_b, leaves_b) = chunk_of(index, b);
            let (mut left, mut right) = (leaves.clone(), leaves_b.clone());
            let (i, j) = ((a - first) as usize, (b - first_b) as usize);
            if first == first_b {
                left.swap(i, j);
                put_chunk(changes, first, &left);
            } else {
                std::mem::swap(&mut left[i], &mut right[j]);
                put_chunk(changes, first, &left);
                put_chunk(changes, first_b, &right);
            }
        });
        assert_found(&findings, Place::Leaf, Some(a));
        assert_found(&findings, Place::Leaf, Some(b));
        assert_eq!(findings.len(), 2, "{findings:#?}");
    }
}

#[test]
fn superfluous_leaves() {
    let sample = Sample::large();
    let size = sample.leaves.len() as u64;
    let leaf = sample.leaves[0].clone();
    // Behind the end, in the middle of a chunk, and with another one's index.
    for at in [size, size + 1000, u64::MAX - 1] {
        let findings = altered(&sample, |_, _, changes| put_chunk(changes, at, std::slice::from_ref(&leaf)));
        assert_found(&findings, Place::Leaf, Some(at.min(size)));
        assert_eq!(findings.len(), 1, "{findings:#?}");
    }
    let mut middle = 0;
    let findings = altered(&sample, |index, _, changes| {
        middle = chunk_of(index, 50).0 + 1;
        put_chunk(changes, middle, std::slice::from_ref(&leaf));
    });
    assert_found(&findings, Place::Leaf, Some(middle));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let findings =
        altered(&sample, |_, _, changes| put_chunk(changes, u64::MAX, &[leaf.clone(), leaf.clone()]));
    assert_found(&findings, Place::Leaf, Some(u64::MAX));
    let findings = altered(&sample, |_, _, changes| {
        changes.insert(b"l\x01\x02".to_vec(), Some(vec![0, 0, 0, 9]));
    });
    assert_found(&findings, Place::Leaf, None);
    let findings = altered(&sample, |_, _, changes| {
        changes.insert(leaf_key(0), Some(vec![0, 0, 0, 9, 1]));
    });
    assert_found(&findings, Place::Leaf, Some(0));
}

#[test]
fn tiles() {
    let sample = Sample::large();
    assert!(sample.leaves.len() > 256);
    let first = tile_key(TileId { level: 0, index: 0 });
    for at in [0, 31, 32 * 200 + 7, 8191] {
        let findings = altered(&sample, |index, _, changes| {
            let mut tile = index.get(&first).unwrap().unwrap().to_vec();
            tile[at] ^= 1;
            changes.insert(first.clone(), Some(tile));
        });
        assert_found(&findings, Place::Tile, Some(0));
        assert_eq!(findings.len(), 1, "{findings:#?}");
    }
    for value in [None, Some(Vec::new()), Some(vec![0; 31])] {
        let findings = altered(&sample, |_, _, changes| {
            changes.insert(first.clone(), value);
        });
        assert_found(&findings, Place::Tile, Some(0));
        assert_eq!(findings.len(), 1, "{findings:#?}");
    }
    for (level, index, begins) in [(0, 1, 256), (1, 0, 0), (0, 9, 9 * 256), (255, u64::MAX, u64::MAX)] {
        let findings = altered(&sample, |_, _, changes| {
            changes.insert(tile_key(TileId { level, index }), Some(vec![7; 8192]));
        });
        assert_found(&findings, Place::Tile, Some(begins));
        assert_eq!(findings.len(), 1, "{findings:#?}");
    }
}

#[test]
fn the_head() {
    let sample = Sample::large();
    let size = sample.leaves.len() as u64;
    let note = |signer: &lienthong::merkle::NoteSigner, size, root| {
        Checkpoint { origin: "a/log/1".into(), size, root }.sign(signer).note().to_owned()
    };
    for checkpoint in [
        note(&signer_of(7), size, sample.root),
        note(&signer(), size - 1, sample.root),
        note(&signer(), size, lienthong::merkle::empty_root()),
        "nothing".to_owned(),
    ] {
        let findings = altered(&sample, |_, head, _| head.checkpoint = checkpoint);
        assert_found(&findings, Place::Checkpoint, Some(size - 1));
        assert_eq!(findings.len(), 1, "{findings:#?}");
    }
    let findings = altered(&sample, |_, head, _| head.last_time += 1);
    assert_found(&findings, Place::Store, Some(size - 1));
    let findings = altered(&sample, |_, head, _| head.journal.offset += 1);
    assert_found(&findings, Place::Store, Some(size - 1));
    // A head that knows more than there is: what it knows is missing.
    let findings = altered(&sample, |_, head, _| head.size += 1);
    assert_found(&findings, Place::Journal, Some(size));
    // One that knows less has leaves too many.
    let findings = altered(&sample, |_, head, _| head.size -= 1);
    assert_found(&findings, Place::Leaf, Some(size - 1));
    // A sum that is wrong by itself.
    let dir = sample.copy();
    let index = Index::open(&dir.path().join("sled"), 16 << 20).unwrap();
    let mut head = index.head().unwrap().unwrap();
    head.sum[3] ^= 1;
    index.write(Changes::new(), &head).unwrap();
    drop(index);
    let findings = check(dir.path()).findings;
    assert_found(&findings, Place::Sum, None);
    assert_eq!(findings.len(), 1, "{findings:#?}");
}

#[test]
fn a_head_that_contradicts_the_records_is_made_again_at_the_next_start() {
    let sample = Sample::large();
    let changes: [fn(&mut Head, &mut Changes); 4] = [
        |head, _| head.checkpoint.clear(),
        |head, _| head.size -= 1,
        |head, _| head.size += 1,
        |_, changes| {
            changes.insert(tile_key(TileId { level: 0, index: 0 }), None);
        },
    ];
    for change in changes {
        let dir = sample.copy();
        alter(dir.path(), |_, head, changes| change(head, changes));
        let (ledger, opened) = open(dir.path());
        assert!(opened.rebuilt.is_some());
        sample.assert_same(&ledger);
        close(&runtime(), ledger, dir.path(), true);
        let checked = check(dir.path());
        assert!(checked.is_clean(), "{:#?}", checked.findings);
    }
}

#[test]
fn another_key_than_the_logs_changes_nothing() {
    let sample = Sample::small(true);
    let config = LedgerConfig {
        data: sample.dir.path().to_owned(),
        disk: Arc::new(RealDisk),
        signer: signer_of(7),
        previous: None,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom::default()),
        cache_bytes: 16 << 20,
        journal_segment_bytes: 10_000,
    };
    match Ledger::open(config) {
        Err(error) => assert!(error.to_string().contains("not one of this log and key"), "{error}"),
        Ok(_) => panic!("opened with another key"),
    }
    let (ledger, opened) = open(sample.dir.path());
    assert_eq!((opened.rebuilt, opened.caught_up), (None, 0));
    sample.assert_same(&ledger);
}

#[test]
fn folds() {
    let sample = Sample::large();
    let size = sample.leaves.len() as u64;
    let records = {
        let dir = sample.copy();
        let index = Index::open(&dir.path().join("sled"), 16 << 20).unwrap();
        index.scan(b"f", b"f", 100_000).unwrap()
    };
    // One of each kind, changed and dropped.
    let mut kinds = std::collections::BTreeSet::new();
    for (key, value) in &records {
        if !kinds.insert(key[1]) {
            continue;
        }
        for new in [None, Some([value.as_ref(), &[1]].concat())] {
            let findings = altered(&sample, |_, _, changes| {
                changes.insert(key.to_vec(), new);
            });
            assert_eq!(findings.len(), 1, "{findings:#?}");
            assert_eq!(findings[0].place, Place::Fold);
            assert!(!findings[0].message.contains("unknown"), "{findings:#?}");
            assert!(findings[0].index.is_some_and(|i| i < size), "{findings:#?}");
        }
    }
    assert!(kinds.len() >= 12, "{kinds:?}");
    // The event that touched the set last is named.
    let inbox = keys::inbox_of(&agency("here"));
    let sets: Vec<_> = records.iter().filter(|(k, _)| k.starts_with(&inbox)).collect();
    assert!(!sets.is_empty());
    for (key, value) in sets {
        let last = (keys::index_of(key).unwrap() * 64)
            + u64::from(63 - fold::read_bitmap(value).unwrap().leading_zeros());
        let findings = altered(&sample, |_, _, changes| {
            changes.insert(key.to_vec(), None);
        });
        assert!(findings[0].index.is_some_and(|at| at >= last && at < size), "{last} {findings:#?}");
        assert!(findings[0].message.contains("inbox entry of here is missing"), "{findings:#?}");
    }
    let id = DeliveryId::from_slice(&[9; 32]).unwrap();
    for key in [
        keys::bitmap(keys::inbox_of(&agency("nowhere")), 7),
        keys::outgoing(&id),
        keys::closed_periods(),
        keys::outbox(&NodeName::new("z").unwrap(), Urgency::Flash, 3),
    ] {
        let findings = altered(&sample, |_, _, changes| {
            changes.insert(key, Some(vec![1]));
        });
        assert_found(&findings, Place::Fold, None);
        assert!(findings[0].message.contains("no event gives it"), "{findings:#?}");
    }
    let findings = altered(&sample, |_, _, changes| {
        changes.insert(b"zz".to_vec(), Some(vec![1]));
    });
    assert_found(&findings, Place::Store, None);
}
