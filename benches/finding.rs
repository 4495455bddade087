//! How long a page of a large log takes, for each filter and for combinations, and what the index costs.
//!
//! ```text
//! cargo bench --bench finding -- [EVENTS [DIR]]
//! ```
//! A log of a million real events (or EVENTS) is written through the ledger: journal, sled and all, with a sync for each
//! commit and a thousand commands in flight. It is kept in DIR, and used again when it is there. Then every query is
//! asked right after opening and again, forwards and backwards, for pages of 100 and of 1,000; the slowest is the figure.
//! The `only the oldest` queries match one of the first events and nothing else; the `nothing` queries match none.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lienthong::audit::{Query, list};
use lienthong::domain::decide::{Arrival, Command, Prepared};
use lienthong::domain::event::{
    Actor, DocumentFacts, EventKind, Item, Level, LogRef, Parties, RoleVerdicts, Scope, Subject,
};
use lienthong::domain::fold::{self, Records, View, ViewError, search};
use lienthong::domain::ids::{AgencyId, DeliveryId, DocumentKey, NodeName, RequestId};
use lienthong::domain::{DeliveryState, Kind, Origin, Reason, Urgency};
use lienthong::ledger::{Ledger, LedgerConfig, ManualClock, SystemRandom};
use lienthong::merkle::{Hash, NoteSigner, sha256};
use lienthong::signature::{self, Role, Verdict};
use lienthong::store::disk::RealDisk;
use lienthong::store::index::Index;
use lienthong::time::Timestamp;
use lienthong::wire::leaf;

const START: i64 = 1_470_000_000_000;
/// Agencies on either side.
const AGENCIES: u64 = 256;
/// Events of one round of commands.
const ROUND: u64 = 5;
const IN_FLIGHT: usize = 1_024;

fn agency(n: u64) -> AgencyId {
    AgencyId::new(&format!("H09.{}", n % AGENCIES)).unwrap()
}

fn actor(client: &str, user: String) -> Actor {
    Actor { client: client.into(), user }
}

fn item(from: &AgencyId, to: &AgencyId, number: &str, notation: &str) -> Item {
    let key = DocumentKey::new(number, notation, 2016).unwrap();
    let name = format!("{from} {to} {number} {notation}");
    Item {
        delivery_id: DeliveryId::of_document(from, Kind::New.number(), &key, to, 1),
        envelope_digest: sha256(format!("envelope {name}").as_bytes()),
        attempt: 1,
        parties: Parties {
            sender: from.clone(),
            sender_code: from.to_string(),
            recipient: Some(to.clone()),
            recipient_code: to.to_string(),
            sender_registered: from.clone(),
            recipient_registered: Some(to.clone()),
            sender_level: Level::Department,
            recipient_level: Some(Level::District),
            scope: Scope::InProvince,
            direction: None,
        },
        subject: Subject::Document(DocumentFacts {
            kind: Kind::New,
            key,
            document_digest: sha256(format!("document {name}").as_bytes()),
            type_name: "Công văn".into(),
            urgency: Urgency::Normal,
            issued_on: Timestamp::from_millis(START).date(),
            issued_at: None,
            origin: Origin::BornDigital,
            replaces: None,
        }),
    }
}

fn verdicts(n: u64) -> RoleVerdicts {
    if n.is_multiple_of(50) {
        let reason = Some(signature::Reason::CertificateRevoked);
        RoleVerdicts { person: Verdict::Invalid, agency: Verdict::Valid, reason }
    } else {
        RoleVerdicts { person: Verdict::Valid, agency: Verdict::Valid, reason: None }
    }
}

fn log_ref(n: u64) -> LogRef {
    LogRef { log: "b/log/1".into(), index: n, leaf_hash: sha256(b"leaf") }
}

fn submit(item: Item, n: u64, actor: Actor, verdicts: RoleVerdicts) -> Command {
    Command::Submit {
        actor,
        request_id: RequestId::new(&format!("r-{n}")).unwrap(),
        deliveries: vec![Prepared {
            item,
            content_digests: vec![content(n)],
            content_size: 10_000,
            verdicts,
            judged: Default::default(),
            not_after: Timestamp::from_millis(START + 1_000_000_000_000),
            peer: NodeName::new("b").unwrap(),
        }],
    }
}

fn content(n: u64) -> Hash {
    sha256(&n.to_be_bytes())
}

/// One round: a document goes out and its receipt comes; another comes in, is opened and handed over.
async fn round(ledger: &Ledger, n: u64) {
    let commit = async |command| ledger.commit(command).await.unwrap();
    let number = (n / AGENCIES).to_string();
    let notation = ["UBND-VX", "SNV-VP", "CV", "QĐ-UBND"][(n % 4) as usize];
    let out = item(&agency(n), &agency(n * 7 + 3), &number, notation);
    let delivery_id = out.delivery_id;
    let user = |n: u64| format!("user-{}", n % 8_000);
    commit(submit(out, n, actor("dms", user(n)), verdicts(n))).await;
    let refused = n.is_multiple_of(97);
    commit(Command::Settle {
        delivery_id,
        outcome: if refused { DeliveryState::Refused } else { DeliveryState::Delivered },
        reason: refused.then_some(Reason::Expired),
        receipt: log_ref(n),
        receipt_proof: sha256(b"proof"),
        verdicts: verdicts(n),
        received_at: Timestamp::from_millis(START),
    })
    .await;
    let incoming = item(&agency(n * 3 + 1), &agency(n * 11), &format!("i{number}"), notation);
    let (delivery_id, agency) = (incoming.delivery_id, incoming.parties.recipient.clone().unwrap());
    commit(Command::Accept {
        actor: actor("b", String::new()),
        arrival: Box::new(Arrival {
            first: None,
            item: incoming,
            content_digests: vec![content(n)],
            verdicts: verdicts(n),
            judged: Default::default(),
            held: false,
            refused: None,
            origin: log_ref(n),
            origin_proof: sha256(b"proof"),
            peer: NodeName::new("b").unwrap(),
        }),
    })
    .await;
    let reader = || actor("dms-2", user(n + 1));
    commit(Command::Fetch { actor: reader(), agency: agency.clone(), delivery_id }).await;
    commit(Command::HandOver { actor: reader(), agency, delivery_id, arrived: None }).await;
}

fn open(data: &Path, clock: &Arc<ManualClock>) -> Ledger {
    let mut key = hex::decode("302e020100300506032b657004220420").unwrap();
    key.extend([0x2a; 32]);
    let config = LedgerConfig {
        data: data.to_owned(),
        disk: Arc::new(RealDisk),
        signer: NoteSigner::from_pkcs8("a/log/1", &key).unwrap(),
        previous: None,
        clock: clock.clone(),
        random: Arc::new(SystemRandom::default()),
        cache_bytes: 64 << 20,
        journal_segment_bytes: 64 << 20,
    };
    Ledger::open(config).unwrap().0
}

/// The first events have what no other has.
async fn oldest(ledger: &Ledger) {
    let alone = RoleVerdicts { person: Verdict::Indeterminate, agency: Verdict::Absent, reason: None };
    let (from, to) = (AgencyId::new("OLD.1").unwrap(), AgencyId::new("OLD.2").unwrap());
    let first = submit(item(&from, &to, "OLD", "OLD"), u64::MAX, actor("old", "old".into()), alone);
    ledger.commit(first).await.unwrap();
    let kind = EventKind::Alarm { reason: "old".into(), peer: String::new(), detail: String::new() };
    ledger.commit(Command::Note { kind }).await.unwrap();
}

async fn fill(ledger: &Ledger, clock: &ManualClock, events: u64) {
    oldest(ledger).await;
    let places = Arc::new(tokio::sync::Semaphore::new(IN_FLIGHT));
    let began = Instant::now();
    for n in 0..events / ROUND {
        let place = places.clone().acquire_owned().await.unwrap();
        clock.set(Timestamp::from_millis(START + 1_000 * n as i64));
        let ledger = ledger.clone();
        tokio::spawn(async move {
            round(&ledger, n).await;
            drop(place);
        });
        if n % 20_000 == 0 {
            eprintln!("{} events, {:.0} s", n * ROUND, began.elapsed().as_secs_f64());
        }
    }
    let _ = places.acquire_many(IN_FLIGHT as u32).await.unwrap();
    let size = ledger.snapshot().size();
    println!("{size} events written in {:.0} s", began.elapsed().as_secs_f64());
}

/// The queries by name.
fn queries(first: &DeliveryId) -> Vec<(&'static str, Query)> {
    let all = Query::default;
    let text = |text: &str| Some(text.to_owned());
    let old = |id: &str| Some(AgencyId::new(id).unwrap());
    let after = |n: i64| Some(Timestamp::from_millis(START + n));
    vec![
        ("everything", all()),
        ("kind, a fifth", Query { kind: text("submitted"), ..all() }),
        ("kind, only the oldest", Query { kind: text("alarm"), ..all() }),
        ("kind, nothing", Query { kind: text("key_changed"), ..all() }),
        ("agency, one of 256", Query { agency: Some(agency(7)), ..all() }),
        ("agency, only the oldest", Query { agency: old("OLD.1"), ..all() }),
        ("agency, nothing", Query { agency: old("NONE"), ..all() }),
        ("counterpart, one of 256", Query { counterpart: Some(agency(7)), ..all() }),
        ("counterpart, only the oldest", Query { counterpart: old("OLD.2"), ..all() }),
        ("counterpart, nothing", Query { counterpart: old("NONE"), ..all() }),
        ("delivery, only the oldest", Query { delivery: Some(*first), ..all() }),
        ("delivery, nothing", Query { delivery: Some(DeliveryId::from_slice(&[1; 32]).unwrap()), ..all() }),
        ("number, of many agencies", Query { number: text("77"), ..all() }),
        ("number, only the oldest", Query { number: text("OLD"), ..all() }),
        ("number, nothing", Query { number: text("NONE"), ..all() }),
        (
            "number, notation, year",
            Query { number: text("77"), notation: text("CV"), year: Some(2016), ..all() },
        ),
        (
            "number, notation, another year",
            Query { number: text("77"), notation: text("CV"), year: Some(2017), ..all() },
        ),
        ("client, two fifths", Query { client: text("dms-2"), ..all() }),
        ("client, only the oldest", Query { client: text("old"), ..all() }),
        ("client, nothing", Query { client: text("none"), ..all() }),
        ("user, one of 8,000", Query { user: text("user-17"), ..all() }),
        ("user, only the oldest", Query { user: text("old"), ..all() }),
        ("user, nothing", Query { user: text("none"), ..all() }),
        ("verdict, most", Query { verdict: Some((Some(Role::Agency), Verdict::Valid)), ..all() }),
        ("verdict, some", Query { verdict: Some((None, Verdict::Invalid)), ..all() }),
        ("verdict, only the oldest", Query { verdict: Some((Some(Role::Agency), Verdict::Absent)), ..all() }),
        ("verdict, nothing", Query { verdict: Some((Some(Role::Person), Verdict::Absent)), ..all() }),
        ("reason, some", Query { reason: text("expired"), ..all() }),
        ("reason, only the oldest", Query { reason: text("old"), ..all() }),
        ("reason, nothing", Query { reason: text("withdrawn"), ..all() }),
        ("time, the first second", Query { until: after(1), ..all() }),
        ("time, nothing", Query { since: Some(Timestamp::MAX), ..all() }),
        ("time, the middle", Query { since: after(100_000_000), until: after(100_060_000), ..all() }),
        (
            "agency and counterpart",
            Query { agency: Some(agency(7)), counterpart: Some(agency(7 * 7 + 3)), ..all() },
        ),
        (
            "agency and counterpart, nothing",
            Query { agency: Some(agency(7)), counterpart: Some(agency(9)), ..all() },
        ),
        ("agency and kind, nothing", Query { agency: Some(agency(7)), kind: text("alarm"), ..all() }),
        (
            "kind and verdict, frequent each, nothing together",
            Query { kind: text("fetched"), verdict: Some((None, Verdict::Valid)), ..all() },
        ),
        (
            "client and kind, frequent each, nothing together",
            Query { client: text("dms"), kind: text("handed_over"), ..all() },
        ),
        (
            "agency, verdict, reason and time",
            Query {
                agency: Some(agency(100)),
                verdict: Some((Some(Role::Person), Verdict::Invalid)),
                reason: text("certificate_revoked"),
                since: after(50_000_000),
                until: after(150_000_000),
                ..all()
            },
        ),
        (
            "agency, kind, client, user and number",
            Query {
                agency: Some(agency(7)),
                kind: text("submitted"),
                client: text("dms"),
                user: text("user-7"),
                number: text("0"),
                ..all()
            },
        ),
        (
            "everything that the oldest has",
            Query {
                agency: old("OLD.1"),
                counterpart: old("OLD.2"),
                kind: text("submitted"),
                number: text("OLD"),
                notation: text("OLD"),
                client: text("old"),
                user: text("old"),
                verdict: Some((Some(Role::Person), Verdict::Indeterminate)),
                ..all()
            },
        ),
    ]
}

fn ask(index: &Index, size: u64, query: &Query) -> (Duration, usize, bool) {
    let began = Instant::now();
    let (page, next) = list(index, size, query).unwrap();
    (began.elapsed(), page.len(), next.is_some())
}

#[derive(Default)]
struct Map(HashMap<Vec<u8>, Vec<u8>>);

impl Records for Map {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.0.get(key).cloned())
    }
}

impl View for Map {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key, value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.remove(key);
    }
}

/// What the index costs: records and bytes of it in sled, and the time that each event takes in the folds with it, and
/// the part of it that is the index.
fn cost(index: &Index, size: u64) {
    let (mut records, mut bytes, mut all, mut all_bytes) = (0_u64, 0, 0_u64, 0);
    index
        .for_each(|key, value| {
            if key.first() == Some(&fold::keys::FOLD) {
                all += 1;
                all_bytes += key.len() + value.len();
                if key.get(1) == Some(&b's') {
                    records += 1;
                    bytes += key.len() + value.len();
                }
            }
        })
        .unwrap();
    println!(
        "index: {records} of {all} fold records ({:.3} for each event), {:.0} of {:.0} bytes for each event",
        records as f64 / size as f64,
        bytes as f64 / size as f64,
        all_bytes as f64 / size as f64,
    );
    let events: Vec<_> = index
        .leaves(0, 100_000)
        .unwrap()
        .into_iter()
        .map(|(i, bytes)| (i, leaf::decode(&bytes).unwrap()))
        .collect();
    let mut map = Map::default();
    let began = Instant::now();
    for (i, event) in &events {
        fold::apply(&mut map, *i, event).unwrap();
    }
    let folds = began.elapsed();
    map.0.retain(|key, _| key.get(1) != Some(&b's'));
    let began = Instant::now();
    for (i, event) in &events {
        search::insert(&mut map, *i, event, &[]).unwrap();
    }
    let index = began.elapsed();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / events.len() as f64;
    println!("folds in memory: {:.2} µs for each event, {:.2} µs of it the index", each(folds), each(index));
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let events: u64 = args.first().map_or(1_000_000, |a| a.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let dir = args.get(1).map_or_else(|| temporary.path().join("log"), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
    if !dir.join("clean.json").exists() {
        let ledger = open(&dir, &clock);
        runtime.block_on(fill(&ledger, &clock, events));
        runtime.block_on(ledger.close(&dir)).unwrap();
    }
    let ledger = open(&dir, &clock);
    let (index, size) = (ledger.index().clone(), ledger.snapshot().size());
    let first = leaf::decode(&ledger.leaf(0).unwrap().unwrap()).unwrap().kind.delivery_id().unwrap();
    println!("{size} events; milliseconds a page\n{:>9} {:>9}   found", "first", "slowest");
    let mut worst = (Duration::ZERO, String::new());
    for (name, query) in queries(&first) {
        for (backwards, limit) in [(false, 100), (true, 100), (false, 1_000), (true, 1_000)] {
            let query = Query { backwards, limit, ..query.clone() };
            let (opened, found, more) = ask(&index, size, &query);
            let slowest = (0..5).map(|_| ask(&index, size, &query).0).max().unwrap().max(opened);
            let way = if backwards { "backwards" } else { "forwards" };
            let more = if more { "+" } else { "" };
            let (first, most) = (opened.as_secs_f64() * 1e3, slowest.as_secs_f64() * 1e3);
            println!("{first:>9.2} {most:>9.2}   {found}{more}: {name}, {limit} {way}");
            if slowest > worst.0 {
                worst = (slowest, format!("{name}, {limit} {way}"));
            }
        }
    }
    println!("worst: {:.1} ms ({})", worst.0.as_secs_f64() * 1e3, worst.1);
    cost(&index, size);
    drop(index);
    runtime.block_on(ledger.close(&dir)).unwrap();
}
