//! How long a report over a million events takes, from cells and from rows, and what the figures cost an event.
//!
//! ```text
//! cargo bench --bench figures -- [EVENTS]
//! ```
//! The events of a year of 256 agencies (or EVENTS of them) are applied to sled as a node applies them, a thousand to a
//! commit: half of the deliveries are sent, half arrive, each with its receipt or hand-over and a status; every tenth
//! document has three recipients. Then another process opens sled and asks every report ten times: the first, and median
//! and slowest of the nine after it. At the end statements for the network's figures are made and read.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use lienthong::domain::event::{
    Actor, Direction, DocumentFacts, Event, EventKind, Item, Judged, Level, LogRef, NoticeFacts, Parties,
    RoleVerdicts, Scope, Subject,
};
use lienthong::domain::fold::{self, Records, View, ViewError, keys};
use lienthong::domain::ids::{AgencyId, DeliveryId, DocumentKey, NodeName, RequestId};
use lienthong::domain::ratio::Side;
use lienthong::domain::{DeliveryState, Kind, Origin, Status, Urgency};
use lienthong::merkle::sha256;
use lienthong::report::network::make::make;
use lienthong::report::network::statement::Statement;
use lienthong::report::{self, Basis, Dimension, Filter, Query, engine};
use lienthong::signature::Verdict;
use lienthong::store::index::{Change, Head, Index};
use lienthong::store::journal::Position;
use lienthong::time::Timestamp;

/// As the program's: glibc's takes seconds to give back what the writing left.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first of January 2016.
const START: i64 = 1_451_581_200_000;
const AGENCIES: u64 = 256;
const COMMIT: u64 = 1_000;
const VALID: RoleVerdicts = RoleVerdicts { person: Verdict::Valid, agency: Verdict::Valid, reason: None };
const TYPES: [&str; 10] = [
    "công văn",
    "báo cáo",
    "tờ trình",
    "quyết định",
    "thông báo",
    "kế hoạch",
    "giấy mời",
    "biên bản",
    "chỉ thị",
    "công điện",
];

/// The state as the writer sees it: sled, and what is not there yet.
struct Overlay<'a> {
    index: &'a Index,
    changes: BTreeMap<Vec<u8>, Change>,
    writes: BTreeMap<&'static str, u64>,
}

/// What a record is about.
fn family(key: &[u8]) -> &'static str {
    match key.get(1) {
        Some(b'w' | b'U') => "rows",
        Some(b'c') => "cells",
        Some(b'D') => "sums of documents",
        Some(b'M') => "numbers of changes",
        _ => "everything else",
    }
}

impl Records for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.after.as_ref().map(|v| v.to_vec())),
            None => Ok(self.index.get(key).unwrap().map(|v| v.to_vec())),
        }
    }
}

impl Overlay<'_> {
    fn set(&mut self, key: Vec<u8>, after: Option<Vec<u8>>) {
        let after = after.map(Into::into);
        if let Some(change) = self.changes.get_mut(&key) {
            change.after = after;
        } else {
            let before = self.index.get(&key).unwrap();
            self.changes.insert(key, Change { before, after });
        }
    }

    fn commit(&mut self, size: u64) {
        let changes = std::mem::take(&mut self.changes).into_iter().filter(|(_, c)| c.before != c.after);
        let changes: Vec<_> = changes.map(|(key, change)| (key.into(), change)).collect();
        for (key, _) in &changes {
            let key: &sled::IVec = key;
            *self.writes.entry(family(key)).or_default() += 1;
        }
        let head = Head {
            version: 0,
            size,
            checkpoint: String::new(),
            last_time: 0,
            journal: Position::default(),
            sum: [0; 4],
        };
        self.index.commit(changes, head).unwrap();
    }
}

impl View for Overlay<'_> {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.set(key, Some(value));
    }

    fn delete(&mut self, key: &[u8]) {
        self.set(key.to_vec(), None);
    }
}

/// The same numbers every time (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % n
    }
}

fn agency(prefix: &str, n: u64) -> AgencyId {
    AgencyId::new(&format!("{prefix}.{n}")).unwrap()
}

fn parties(from: &AgencyId, to: &AgencyId, kind: u64) -> Parties {
    let (scope, direction) = match kind {
        0 => (Scope::Outside, None),
        1 => (Scope::InProvince, Some(Direction::Up)),
        2 => (Scope::InProvince, Some(Direction::Down)),
        _ => (Scope::InProvince, Some(Direction::Horizontal)),
    };
    Parties {
        sender: from.clone(),
        sender_code: from.to_string(),
        recipient: Some(to.clone()),
        recipient_code: to.to_string(),
        sender_registered: from.clone(),
        recipient_registered: Some(to.clone()),
        sender_level: if kind == 1 { Level::Commune } else { Level::District },
        recipient_level: Some(if kind == 2 { Level::Commune } else { Level::Department }),
        scope,
        direction,
    }
}

struct Writer<'a> {
    overlay: Overlay<'a>,
    next: u64,
    now: Timestamp,
}

impl Writer<'_> {
    fn event(&mut self, kind: EventKind) {
        let event = Event {
            at: self.now,
            salt: [0; 16],
            actor: Actor { client: "dms".into(), user: String::new() },
            directory_version: 1,
            directory_expired: false,
            kind,
        };
        fold::apply(&mut self.overlay, self.next, &event).unwrap();
        self.next += 1;
        if self.next.is_multiple_of(COMMIT) {
            self.overlay.commit(self.next);
        }
    }

    fn place(&self) -> LogRef {
        LogRef { log: "there/log/1".into(), index: self.next, leaf_hash: sha256(&self.next.to_be_bytes()) }
    }

    fn submitted(&mut self, item: Item) {
        self.event(EventKind::Submitted {
            request_id: RequestId::new(&format!("r{}", self.next)).unwrap(),
            content_digests: vec![sha256(&self.next.to_be_bytes())],
            verdicts: VALID,
            judged: Judged::default(),
            not_after: self.now.plus_millis(1_000_000_000),
            peer: NodeName::new("there").unwrap(),
            content_size: 10_240,
            item,
        });
    }

    fn received(&mut self, item: Item) {
        self.event(EventKind::Received {
            content_digests: Vec::new(),
            verdicts: VALID,
            judged: Judged::default(),
            held: false,
            origin: self.place(),
            origin_proof: sha256(b"proof"),
            peer: NodeName::new("there").unwrap(),
            item,
        });
    }

    fn status(&self, of: &Item) -> Item {
        let (from, to) = (of.parties.recipient.clone().unwrap(), of.parties.sender.clone());
        let notice = NoticeFacts {
            kind: Kind::Status,
            target: of.delivery_id,
            message_number: 1,
            status: Some(Status::Arrived),
            out_of_order: false,
            sent_at: self.now,
            stated: None,
            answers: None,
            after_end: false,
        };
        let delivery_id = DeliveryId::of_notice(&from, Kind::Status.number(), &of.delivery_id, 1, &to);
        let envelope_digest = sha256(delivery_id.as_bytes());
        let subject = Subject::Notice(notice);
        Item { delivery_id, envelope_digest, attempt: 1, parties: parties(&from, &to, 3), subject }
    }
}

fn write(index: &Index, events: u64) -> (Duration, BTreeMap<&'static str, u64>) {
    let overlay = Overlay { index, changes: BTreeMap::new(), writes: BTreeMap::new() };
    let mut writer = Writer { overlay, next: 0, now: Timestamp::from_millis(START) };
    let mut dice = Dice(1);
    let began = Instant::now();
    let mut number = 0;
    while writer.next < events {
        // A year goes by.
        writer.now =
            Timestamp::from_millis(START + (writer.next as i128 * 31_536_000_000 / events as i128) as i64);
        number += 1;
        let outgoing = number % 2 == 0;
        let recipients = if number % 20 < 2 { 3 } else { 1 };
        let from = agency(if outgoing { "H09" } else { "H29" }, dice.below(AGENCIES));
        let key = DocumentKey::new(&(number % 1_000_000).to_string(), "CV", 2016).unwrap();
        let urgency = Urgency::ALL[if dice.below(10) == 0 { dice.below(4) as usize } else { 3 }];
        let facts = DocumentFacts {
            kind: Kind::New,
            document_digest: key.hash(),
            key,
            type_name: TYPES[dice.below(10) as usize].into(),
            urgency,
            issued_on: writer.now.date(),
            issued_at: None,
            origin: Origin::BornDigital,
            replaces: None,
        };
        let first = dice.below(AGENCIES);
        let kind = dice.below(4);
        let items: Vec<Item> = (0..recipients)
            .map(|n| {
                let to = agency(if outgoing { "H29" } else { "H09" }, first + n);
                let delivery_id = DeliveryId::of_document(&from, 0, &facts.key, &to, 1);
                Item {
                    delivery_id,
                    envelope_digest: sha256(delivery_id.as_bytes()),
                    attempt: 1,
                    parties: parties(&from, &to, (kind + n) % 4),
                    subject: Subject::Document(facts.clone()),
                }
            })
            .collect();
        for item in &items {
            if outgoing { writer.submitted(item.clone()) } else { writer.received(item.clone()) }
        }
        for item in items {
            let status = writer.status(&item);
            if outgoing {
                let (receipt, received_at) = (writer.place(), writer.now);
                writer.event(EventKind::Settled {
                    delivery_id: item.delivery_id,
                    outcome: DeliveryState::Delivered,
                    reason: None,
                    receipt,
                    receipt_proof: sha256(b"receipt"),
                    verdicts: VALID,
                    received_at,
                });
                writer.received(status);
            } else {
                writer.event(EventKind::HandedOver { delivery_id: item.delivery_id });
                writer.submitted(status);
            }
        }
    }
    writer.overlay.commit(writer.next);
    (began.elapsed(), writer.overlay.writes)
}

fn by(group: &[Dimension]) -> Query {
    Query { group: group.to_vec(), ..Query::default() }
}

/// Writes in this process, reads in one of its own: as a node that was started does.
fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|a| a == "--read") {
        return read(args[at + 1].as_ref());
    }
    let events = args.iter().skip(1).find_map(|a| a.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(dir.path(), 64 << 20).unwrap();
    let (time, writes) = write(&index, events);
    index.flush().unwrap();
    println!("{events} events applied in {:.1} s; records written, by kind:", time.as_secs_f64());
    for (family, n) in writes {
        println!("  {family:<20} {n:>10}  {:.2} an event", n as f64 / events as f64);
    }
    drop(index);
    Index::wait_closed(dir.path()).unwrap();
    let reader = std::env::current_exe().unwrap();
    let status = std::process::Command::new(reader).arg("--read").arg(dir.path()).status().unwrap();
    assert!(status.success());
}

fn read(dir: &Path) {
    use Dimension as D;
    let index = Index::open(dir, 64 << 20).unwrap();
    let documents = |query: Query| Query { basis: Basis::Documents, ..query };
    let incoming = |query: Query| Query { side: Side::Incoming, ..query };
    let sender = Filter { sender: Some(agency("H09", 7)), ..Filter::default() };
    let one_type =
        Filter { type_name: Some(TYPES[1].into()), scope: Some(Scope::InProvince), ..Filter::default() };
    let queries = [
        ("by scope and month, as every report", by(&[])),
        ("the same of documents", documents(by(&[]))),
        ("by sender and month", by(&[D::Sender, D::Month])),
        ("documents by sender, scope, direction", documents(by(&[D::Sender, D::Scope, D::Direction]))),
        ("by both levels, quarter", by(&[D::SenderLevel, D::RecipientLevel, D::Quarter])),
        ("by recipient", by(&[D::Recipient])),
        ("by type, urgency, month", by(&[D::Type, D::Urgency, D::Month])),
        ("one type within the province, by month", Query { filter: one_type, ..by(&[D::Month]) }),
        ("by day", by(&[D::Day])),
        (
            "of one sender, by recipient and type (rows)",
            Query { filter: sender, ..by(&[D::Recipient, D::Type]) },
        ),
        ("what arrived, by recipient", incoming(by(&[D::Recipient]))),
        (
            "by sender and recipient level, of documents (rows)",
            documents(by(&[D::Sender, D::RecipientLevel])),
        ),
        ("by sender and type (rows)", by(&[D::Sender, D::Type])),
        ("what arrived, by type (rows)", incoming(by(&[D::Type]))),
    ];
    println!("\n{:<56}{:>10}{:>10}{:>10}{:>8}", "report", "first", "median", "slowest", "lines");
    for (name, query) in queries {
        let mut times = Vec::new();
        let mut lines = 0;
        for _ in 0..10 {
            let began = Instant::now();
            lines = report::report(&index, &query, String::new).unwrap().figures.len();
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        let first = times.remove(0);
        times.sort_by(f64::total_cmp);
        let (median, slowest) = (times[4], times[8]);
        println!("{name:<56}{first:>7.1} ms{median:>7.1} ms{slowest:>7.1} ms{lines:>8}");
        std::hint::black_box(engine::plan(&query));
    }
    let rows = index.scan(&keys::rows(), &keys::rows(), usize::MAX).unwrap().len();
    println!("\n{rows} rows of the sender's side");
    println!("\n{:<56}{:>10}{:>10}{:>10}{:>12}", "statement", "made", "read", "MiB", "deliveries");
    let node = NodeName::new("a").unwrap();
    for period in ["2016-03", "2016"] {
        let began = Instant::now();
        let text = make(&index, &node, period.parse().unwrap()).unwrap().text();
        let made = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let statement = Statement::read(text.as_bytes()).unwrap();
        let read = began.elapsed().as_secs_f64();
        let (mib, deliveries) =
            (text.len() as f64 / 1_048_576.0, statement.sent.len() + statement.came.len());
        println!("{period:<56}{made:>8.2} s{read:>8.2} s{mib:>10.1}{deliveries:>12}");
    }
}
