//! Blocks of the journal, altered and written again with a right SHA-256: verify finds each, with the index.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lienthong::audit::{Checked, Finding, Offline, Place};
use lienthong::domain::event::{Actor, Event, EventKind};
use lienthong::merkle::{Checkpoint, Hash, SignedCheckpoint, Tree, leaf_hash, sha256};
use lienthong::store::disk::RealDisk;
use lienthong::store::index::{Index, chunks};
use lienthong::store::journal::{Block, Journal, Position, Reader};
use lienthong::time::Timestamp;
use lienthong::wire::leaf;

use crate::harness::{START, Sample, check, close, journal, open, runtime, signer, signer_of, try_open};

pub(crate) fn blocks(data: &Path) -> Vec<Block> {
    let mut reader = Reader::open(Arc::new(RealDisk), &journal(data), Position::default()).unwrap();
    std::iter::from_fn(|| reader.next_block().unwrap()).collect()
}

/// The format of store/journal.rs, written down a second time.
fn encode(block: &Block) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend((block.checkpoint.len() as u32).to_be_bytes());
    body.extend(block.checkpoint.as_bytes());
    for leaf in &block.leaves {
        body.extend((leaf.len() as u32).to_be_bytes());
        body.extend(leaf);
    }
    let mut out = b"LTJB".to_vec();
    out.extend((body.len() as u32).to_be_bytes());
    out.extend(block.first.to_be_bytes());
    out.extend((block.leaves.len() as u32).to_be_bytes());
    out.extend(block.epoch.to_be_bytes());
    out.extend(body);
    let digest = sha256(&out);
    out.extend(digest.as_bytes());
    out
}

/// One segment with these blocks instead of the journal.
pub(crate) fn rewrite(data: &Path, blocks: &[Block]) {
    std::fs::remove_dir_all(journal(data)).unwrap();
    std::fs::create_dir(journal(data)).unwrap();
    let bytes: Vec<u8> = blocks.iter().flat_map(encode).collect();
    std::fs::write(journal(data).join("00000001.journal"), bytes).unwrap();
}

fn verify(data: &Path) -> Checked {
    Offline::open(data).unwrap().verify(signer().verifier(), |_| {}).unwrap()
}

/// A log whose journal is one segment, so that writing it again as it is changes nothing.
pub(crate) fn one_segment() -> Sample {
    let sample = Sample::new(1 << 20, false, Sample::commands());
    let dir = sample.copy();
    rewrite(dir.path(), &blocks(dir.path()));
    let checked = check(dir.path());
    assert!(checked.is_clean(), "{:#?}", checked.findings);
    sample
}

fn altered(sample: &Sample, change: impl FnOnce(&mut Vec<Block>)) -> (tempfile::TempDir, Checked) {
    let dir = sample.copy();
    let mut all = blocks(dir.path());
    change(&mut all);
    rewrite(dir.path(), &all);
    let checked = verify(dir.path());
    (dir, checked)
}

fn assert_found(findings: &[Finding], place: Place, index: u64) {
    assert!(
        findings.iter().any(|f| f.place == place && f.index == Some(index)),
        "no finding at {place} {index} in {findings:#?}"
    );
}

/// Lengths stay, so that sled's position in the journal stays right.
pub(crate) fn other_client(bytes: &[u8]) -> Bytes {
    let mut event = leaf::decode(bytes).unwrap();
    event.salt[0] ^= 1;
    leaf::encode(&event).unwrap()
}

#[test]
fn an_altered_event() {
    let sample = one_segment();
    let count = blocks(sample.dir.path()).len();
    for n in 0..count {
        let mut at = 0;
        let (_dir, checked) = altered(&sample, |blocks| {
            let block = &mut blocks[n];
            let i = block.leaves.len() / 2;
            at = block.first + i as u64;
            block.leaves[i] = other_client(&block.leaves[i]);
        });
        // One finding: the tree goes on from the leaf that was signed.
        assert_found(&checked.findings, Place::Leaf, at);
        assert_eq!(checked.findings.len(), 1, "{:#?}", checked.findings);
        assert!(checked.findings[0].message.contains("which sled has"), "{:#?}", checked.findings);
        assert_eq!(checked.root, Some(sample.root));
    }
}

#[test]
fn the_same_alteration_in_journal_and_sled() {
    let sample = one_segment();
    for n in [0, 4, 9, 17] {
        let (mut at, mut end) = (0, 0);
        let (dir, _) = altered(&sample, |blocks| {
            let block = &mut blocks[n];
            (at, end) = (block.first, block.end());
            block.leaves[0] = other_client(&block.leaves[0]);
        });
        let block = &blocks(dir.path())[n];
        let index = Index::open(&dir.path().join("sled"), 16 << 20).unwrap();
        let changes = chunks(at, &block.leaves).into_iter().map(|(k, v)| (k, Some(v)));
        let mut head = index.head().unwrap().unwrap();
        index.write(changes, &head).unwrap();
        head.sum = index.sum().unwrap().0;
        index.write(std::iter::empty(), &head).unwrap();
        drop(index);
        let checked = verify(dir.path());
        assert_found(&checked.findings, Place::Checkpoint, end - 1);
        assert_eq!(checked.findings.len(), 1, "{:#?}", checked.findings);
        assert_eq!(checked.root, None);
    }
}

#[test]
fn a_dropped_event() {
    let sample = one_segment();
    let all = blocks(sample.dir.path());
    for n in (0..all.len()).filter(|n| all[*n].leaves.len() > 1) {
        let (first, last) = (all[n].first, n + 1 == all.len());
        let (dir, checked) = altered(&sample, |blocks| {
            blocks[n].leaves.remove(1);
        });
        let findings = &checked.findings;
        assert_found(findings, Place::Leaf, first + 1);
        if !last {
            // The next block does not begin where this one ends now: reading stops there.
            assert_found(findings, Place::Journal, all[n].end() - 1);
        }
        assert!(try_open(dir.path()).is_err() || !last);
    }
}

#[test]
fn dropped_and_swapped_blocks() {
    let sample = one_segment();
    let all = blocks(sample.dir.path());
    for n in [0, 3, 11, all.len() - 1] {
        let (dir, checked) = altered(&sample, |blocks| {
            blocks.remove(n);
        });
        assert_found(&checked.findings, Place::Journal, all[n].first);
        assert!(checked.findings.iter().any(|f| f.message.contains("acknowledged events are missing")));
        // sled has the rest, and its head signs it.
        assert_eq!((checked.events, checked.root), (sample.leaves.len() as u64, Some(sample.root)));
        assert!(try_open(dir.path()).is_err());
    }
    for (a, b) in [(0, 1), (4, 9), (15, 17)] {
        let (_dir, checked) = altered(&sample, |blocks| blocks.swap(a, b));
        assert_found(&checked.findings, Place::Journal, all[a].first);
    }
    // A block of another place under this one's index.
    let (_dir, checked) = altered(&sample, |blocks| {
        let (second, fifth) = (blocks[2].clone(), blocks[5].clone());
        (blocks[2].leaves, blocks[2].checkpoint) = (fifth.leaves, fifth.checkpoint);
        (blocks[5].leaves, blocks[5].checkpoint) = (second.leaves, second.checkpoint);
    });
    assert_found(&checked.findings, Place::Leaf, all[2].first);
    assert_found(&checked.findings, Place::Leaf, all[5].first);
    assert_found(&checked.findings, Place::Checkpoint, all[2].end() - 1);
}

#[test]
fn checkpoints() {
    let sample = one_segment();
    let all = blocks(sample.dir.path());
    for n in [0, 6, 17] {
        let at = all[n].end() - 1;
        let own = SignedCheckpoint::verify(&all[n].checkpoint, signer().verifier()).unwrap();
        let claim = own.checkpoint().clone();
        let named = |origin: &str| Checkpoint { origin: origin.into(), ..claim.clone() };
        let wrong_root = Checkpoint { root: sha256(b"another"), ..claim.clone() };
        let mut forged = vec![
            named("a/log/1").sign(&signer_of(9)).note().to_owned(),
            wrong_root.sign(&signer()).note().to_owned(),
            all[n].checkpoint.replace("\n\n", "\n"),
            String::new(),
        ];
        if n > 0 {
            forged.push(all[n - 1].checkpoint.clone());
            forged.push(all[0].checkpoint.clone());
        }
        for checkpoint in forged {
            let (_dir, checked) = altered(&sample, |blocks| blocks[n].checkpoint = checkpoint);
            assert_found(&checked.findings, Place::Checkpoint, at);
        }
    }
}

#[test]
fn an_epoch_that_goes_back() {
    let sample = one_segment();
    let all = blocks(sample.dir.path());
    for n in [0, 5, 16] {
        let (_dir, checked) = altered(&sample, |blocks| blocks[n].epoch += 1);
        assert_found(&checked.findings, Place::Block, all[n + 1].first);
        assert!(checked.findings.iter().all(|f| f.place == Place::Block));
    }
}

/// A journal of these leaves, one a block, signed with the right key.
fn journal_of(leaves: &[Bytes]) -> (tempfile::TempDir, PathBuf, Hash) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_owned();
    let (mut journal, _) = Journal::open(Arc::new(RealDisk), &journal(&data), 1 << 20).unwrap();
    let mut tree = Tree::new();
    for leaf in leaves {
        tree.push(leaf_hash(leaf));
        let checkpoint = Checkpoint { origin: "a/log/1".into(), size: tree.size(), root: tree.root() };
        journal.append(std::slice::from_ref(leaf), checkpoint.sign(&signer()).note()).unwrap();
    }
    (dir, data, tree.root())
}

fn event(at: i64) -> Bytes {
    let kind = EventKind::Stopped { reason: String::new() };
    let at = Timestamp::from_millis(START + at);
    let (actor, salt) = (Actor::node(), [3; 16]);
    leaf::encode(&Event { at, salt, actor, directory_version: 1, directory_expired: false, kind }).unwrap()
}

#[test]
fn a_time_that_goes_back_is_found_although_it_was_signed() {
    let leaves: Vec<Bytes> = [0, 5, 5, 4, 9, 8].into_iter().map(event).collect();
    let (_dir, data, root) = journal_of(&leaves);
    let (ledger, _) = open(&data);
    close(&runtime(), ledger, &data, true);
    let checked = check(&data);
    assert_found(&checked.findings, Place::Event, 3);
    assert_found(&checked.findings, Place::Event, 5);
    assert_eq!((checked.findings.len(), checked.root), (2, Some(root)), "{:#?}", checked.findings);
}

#[test]
fn events_of_an_unknown_kind_verify_and_what_is_no_event_is_found() {
    // Field 500 is of no kind that this program knows.
    let mut unknown = event(1).to_vec();
    let known = leaf::decode(&unknown).unwrap();
    unknown = leaf::encode(&Event { kind: EventKind::Unknown, ..known }).unwrap().to_vec();
    unknown.extend([0xa2, 0x1f, 2, 8, 1]);
    let (_dir, data, root) = journal_of(&[event(0), unknown.into(), event(2)]);
    let (ledger, _) = open(&data);
    assert_eq!(ledger.snapshot().root(), root);
    close(&runtime(), ledger, &data, true);
    let checked = check(&data);
    assert!(checked.is_clean(), "{:#?}", checked.findings);
    assert_eq!((checked.events, checked.root), (3, Some(root)));

    let broken: [&'static [u8]; 4] = [b"", b"\x02", b"\x01\xff\xff", b"\x01"];
    for bad in broken {
        let (_dir, data, root) = journal_of(&[event(0), Bytes::from_static(bad), event(2)]);
        let checked = verify(&data);
        assert_found(&checked.findings, Place::Event, 1);
        // The other finding says that there is no sled.
        assert_eq!((checked.findings.len(), checked.root), (2, Some(root)), "{:#?}", checked.findings);
        assert_eq!(checked.findings[0].place, Place::Store);
        assert!(try_open(&data).is_err());
    }
}
