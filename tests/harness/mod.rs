//! A log to do things to: commands made by hand, opening and closing, and [`Acknowledged`]: what must be there
//! afterwards, whatever happened.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lienthong::audit::{Checked, Offline};
use lienthong::domain::decide::{Arrival, Command, Prepared};
use lienthong::domain::event::{
    Actor, DocumentFacts, EventKind, Item, Level, LogRef, Parties, RoleVerdicts, Scope, Subject,
};
use lienthong::domain::ids::{AgencyId, DeliveryId, DocumentKey, NodeName, RequestId};
use lienthong::domain::{Kind, Origin, Urgency};
use lienthong::ledger::{Committed, Ledger, LedgerConfig, LedgerError, ManualClock, Opened, SystemRandom};
use lienthong::merkle::{Hash, NoteSigner, SignedCheckpoint, Tree, leaf_hash, sha256};
use lienthong::store::StoreError;
use lienthong::store::disk::{Disk, RealDisk};
use lienthong::time::Timestamp;

pub const START: i64 = 1_470_000_000_000;
/// One or two commits to a segment: every run crosses segments.
pub const SMALL_SEGMENT: u64 = 5_200;

pub fn signer_of(seed: u8) -> NoteSigner {
    let mut pkcs8 = hex::decode("302e020100300506032b657004220420").unwrap();
    pkcs8.extend([seed; 32]);
    NoteSigner::from_pkcs8("a/log/1", &pkcs8).unwrap()
}

pub fn signer() -> NoteSigner {
    signer_of(0x2a)
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub fn journal(data: &Path) -> PathBuf {
    data.join("journal")
}

pub fn try_open_with(data: &Path, disk: Arc<dyn Disk>, segment: u64) -> Result<(Ledger, Opened), StoreError> {
    let began = Instant::now();
    loop {
        let opened = Ledger::open(LedgerConfig {
            data: data.to_owned(),
            disk: disk.clone(),
            signer: signer(),
            previous: None,
            clock: Arc::new(ManualClock::new(Timestamp::from_millis(START))),
            random: Arc::new(SystemRandom::default()),
            cache_bytes: 16 << 20,
            journal_segment_bytes: segment,
        });
        match opened {
            // The writer of the log before is still ending.
            Err(StoreError::InUse { .. }) if began.elapsed() < Duration::from_secs(20) => {
                std::thread::yield_now();
            }
            other => return other,
        }
    }
}

pub fn try_open(data: &Path) -> Result<(Ledger, Opened), StoreError> {
    try_open_with(data, Arc::new(RealDisk), SMALL_SEGMENT)
}

pub fn open(data: &Path) -> (Ledger, Opened) {
    try_open(data).unwrap_or_else(|e| panic!("opening failed: {e}"))
}

/// Closes in order; `clean` leaves the marker of a clean stop, otherwise it is as after a kill.
pub fn close(runtime: &tokio::runtime::Runtime, ledger: Ledger, data: &Path, clean: bool) {
    runtime.block_on(ledger.close(data)).unwrap();
    let marker = data.join("clean.json");
    assert!(marker.exists(), "the log was not closed alone");
    if !clean {
        std::fs::remove_file(marker).unwrap();
    }
}

/// A stopped node's files, checked.
pub fn check(data: &Path) -> Checked {
    Offline::open(data).unwrap().check(signer().verifier(), |_| {}).unwrap()
}

pub fn assert_clean(data: &Path) {
    let checked = check(data);
    assert!(checked.is_clean(), "{:#?}", checked.findings);
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

pub fn agency(name: &str) -> AgencyId {
    AgencyId::new(name).unwrap()
}

fn parties(from: &str, to: &str) -> Parties {
    Parties {
        sender: agency(from),
        sender_code: from.into(),
        recipient: Some(agency(to)),
        recipient_code: to.into(),
        sender_registered: agency(from),
        recipient_registered: Some(agency(to)),
        sender_level: Level::Department,
        recipient_level: Some(Level::Department),
        scope: Scope::InProvince,
        direction: None,
    }
}

pub fn item(from: &str, to: &str, number: u32) -> Item {
    let key = DocumentKey::new(&number.to_string(), "CV", 2016).unwrap();
    Item {
        delivery_id: DeliveryId::of_document(&agency(from), Kind::New.number(), &key, &agency(to), 1),
        envelope_digest: sha256(format!("envelope {from} {to} {number}").as_bytes()),
        attempt: 1,
        parties: parties(from, to),
        subject: Subject::Document(DocumentFacts {
            kind: Kind::New,
            key,
            document_digest: sha256(format!("document {from} {number}").as_bytes()),
            type_name: "Công văn".into(),
            urgency: Urgency::Normal,
            issued_on: Timestamp::from_millis(START).date(),
            issued_at: None,
            origin: Origin::BornDigital,
            replaces: None,
        }),
    }
}

/// A note whose text is found in its leaf.
pub fn note(text: &str) -> Command {
    Command::Note {
        kind: EventKind::Alarm { reason: "test".into(), peer: String::new(), detail: format!("<{text}>") },
    }
}

/// A document from an agency of this node.
pub fn submit(number: u32, content: &[Hash]) -> Command {
    Command::Submit {
        actor: Actor { client: "dms".into(), user: "u1".into() },
        request_id: RequestId::new(&format!("<r{number}>")).unwrap(),
        deliveries: vec![Prepared {
            item: item("here", "there", number),
            content_digests: content.to_vec(),
            content_size: 5,
            verdicts: RoleVerdicts::ABSENT,
            judged: Default::default(),
            not_after: Timestamp::from_millis(START + 1_000_000),
            peer: NodeName::new("b").unwrap(),
        }],
    }
}

/// A document for an agency of this node.
pub fn accept(number: u32, content: &[Hash]) -> Command {
    Command::Accept {
        actor: Actor { client: "b".into(), user: String::new() },
        arrival: Box::new(Arrival {
            first: None,
            item: item("there", "here", number),
            content_digests: content.to_vec(),
            verdicts: RoleVerdicts::ABSENT,
            judged: Default::default(),
            held: number.is_multiple_of(2),
            refused: None,
            origin: LogRef { log: "b/log/1".into(), index: number.into(), leaf_hash: sha256(b"leaf") },
            origin_proof: sha256(b"proof"),
            peer: NodeName::new("b").unwrap(),
        }),
    }
}

/// What was acknowledged: it must be there for ever.
#[derive(Default)]
pub struct Acknowledged {
    pub leaves: Vec<(u64, Bytes)>,
    pub content: Vec<(Hash, Vec<u8>)>,
    /// Texts of commands that were refused: no leaf has them.
    pub refused: Vec<String>,
}

impl Acknowledged {
    /// Commits a command and keeps what it was answered. The content that it names counts with it.
    pub fn commit(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        ledger: &Ledger,
        command: Command,
        text: &str,
        content: Vec<(Hash, Vec<u8>)>,
    ) -> Result<Committed, LedgerError> {
        match runtime.block_on(ledger.commit(command)) {
            Ok(committed) => {
                let index = committed.recorded();
                let leaf = ledger.leaf(index).unwrap().expect("what was answered can be read");
                assert!(committed.snapshot.size() > index);
                self.leaves.push((index, leaf));
                self.content.extend(content);
                Ok(committed)
            }
            Err(error) => {
                if matches!(error, LedgerError::Rejected(_)) {
                    self.refused.push(text.to_owned());
                }
                Err(error)
            }
        }
    }

    /// Everything acknowledged is in the log, nothing refused is, and root and checkpoint hold.
    pub fn verify(&self, ledger: &Ledger) {
        let snapshot = ledger.snapshot();
        let leaves = ledger.index().leaves(0, 100_000).unwrap();
        assert_eq!(leaves.len() as u64, snapshot.size(), "leaves and size");
        let mut tree = Tree::new();
        for (i, (index, leaf)) in leaves.iter().enumerate() {
            assert_eq!(*index, i as u64);
            tree.push(leaf_hash(leaf));
        }
        assert_eq!(tree.root(), snapshot.root());
        if let Some(checkpoint) = snapshot.checkpoint() {
            let read = SignedCheckpoint::verify(checkpoint.note(), signer().verifier()).unwrap();
            assert_eq!((read.checkpoint().size, read.checkpoint().root), (tree.size(), tree.root()));
        } else {
            assert_eq!(tree.size(), 0);
        }
        for (index, leaf) in &self.leaves {
            let found = leaves.get(*index as usize).map(|(_, leaf)| leaf);
            assert_eq!(found, Some(leaf), "acknowledged event {index}");
        }
        for (digest, data) in &self.content {
            let found = ledger.content().get(digest).unwrap();
            assert_eq!(found.as_deref(), Some(data.as_slice()), "acknowledged content");
        }
        for text in &self.refused {
            for (index, leaf) in &leaves {
                assert!(!contains(leaf, text.as_bytes()), "refused `{text}` stands at {index}");
            }
        }
    }
}

pub fn contains(data: &[u8], part: &[u8]) -> bool {
    data.windows(part.len()).any(|w| w == part)
}

/// A document to several agencies: one event each, in one block.
pub fn submit_to(number: u32, recipients: u32) -> Command {
    let Command::Submit { actor, request_id, mut deliveries } = submit(number, &[]) else { unreachable!() };
    let first = deliveries.remove(0);
    let deliveries = (0..recipients)
        .map(|n| Prepared { item: item("here", &format!("to-{n}"), number), ..first.clone() })
        .collect();
    Command::Submit { actor, request_id, deliveries }
}

/// A closed log.
pub struct Sample {
    pub dir: tempfile::TempDir,
    pub leaves: Vec<Bytes>,
    pub root: Hash,
}

impl Sample {
    /// A log of one block for each command; the small files end where what was written ends.
    pub fn new(segment: u64, clean: bool, commands: impl IntoIterator<Item = Command>) -> Sample {
        let dir = tempfile::tempdir().unwrap();
        let runtime = runtime();
        let (ledger, _) = try_open_with(dir.path(), Arc::new(RealDisk), segment).unwrap();
        for (n, command) in commands.into_iter().enumerate() {
            ledger.content().put(format!("content {n}").as_bytes()).unwrap();
            runtime.block_on(ledger.commit(command)).unwrap();
        }
        let leaves = ledger.index().leaves(0, 100_000).unwrap().into_iter().map(|(_, leaf)| leaf).collect();
        let root = ledger.snapshot().root();
        close(&runtime, ledger, dir.path(), clean);
        for folder in ["journal", "content"] {
            for path in files(&dir.path().join(folder)) {
                let bytes = std::fs::read(&path).unwrap();
                let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
                std::fs::write(&path, &bytes[..(end + 64).min(bytes.len())]).unwrap();
            }
        }
        Sample { dir, leaves, root }
    }

    /// Documents, notes, and documents of many recipients: 256 leaves and more, so that there is a full tile.
    pub fn large() -> Sample {
        let commands = (0..12).map(|n| match n {
            1 | 5 | 9 => submit_to(n, 100),
            n if n % 3 == 0 => accept(n, &[]),
            n if n % 3 == 1 => submit(n, &[]),
            _ => note(&format!("n{n}")),
        });
        Sample::new(20_000, false, commands)
    }

    /// Eighteen blocks over a few segments.
    pub fn small(clean: bool) -> Sample {
        Sample::new(12_000, clean, Sample::commands())
    }

    /// Eighteen commands, of one event and of three.
    pub fn commands() -> impl Iterator<Item = Command> {
        (0..18).map(|n| match n % 3 {
            0 => submit_to(n, 3),
            1 => accept(n, &[]),
            _ => note(&format!("n{n}")),
        })
    }

    /// A copy to damage.
    pub fn copy(&self) -> tempfile::TempDir {
        let to = tempfile::tempdir().unwrap();
        copy(self.dir.path(), to.path());
        to
    }

    /// The log in `ledger` is this one, whole.
    pub fn assert_same(&self, ledger: &Ledger) {
        let leaves: Vec<Bytes> =
            ledger.index().leaves(0, 100_000).unwrap().into_iter().map(|(_, leaf)| leaf).collect();
        assert_eq!(leaves, self.leaves);
        assert_eq!(ledger.snapshot().size(), self.leaves.len() as u64);
        assert_eq!(ledger.snapshot().root(), self.root);
    }
}

/// All files below a folder, sorted.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { todo.push(path) } else { out.push(path) }
        }
    }
    out.sort();
    out
}

/// Numbers that are the same in every run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, n: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
