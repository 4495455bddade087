//! How long the pages of a node with a long log take: a measurement, run by hand.
//!
//! ```text
//! LIENTHONG_WEB_EVENTS=1000000 cargo test --locked --test web -- --ignored --nocapture pages_of_a_long_log
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use lienthong::domain::decide::{Arrival, Command, Prepared};
use lienthong::domain::event::{
    Actor, Direction, DocumentFacts, Item, Level, LogRef, NoticeFacts, Parties, RoleVerdicts, Scope, Subject,
};
use lienthong::domain::ids::{AgencyId, DeliveryId, DocumentKey, NodeName, RequestId};
use lienthong::domain::{DeliveryState, Kind, Origin, Status, Urgency};
use lienthong::ledger::{Clock as _, Ledger, LedgerConfig, ManualClock, SystemRandom};
use lienthong::merkle::{NoteSigner, sha256};
use lienthong::rpc::tls::read_pkcs8;
use lienthong::signature::Verdict;
use lienthong::store::disk::RealDisk;
use lienthong::time::{Date, Timestamp};

use crate::common::TestNet;
use crate::{browser, with_pages};

/// Longest time for a page.
const LIMIT: Duration = Duration::from_millis(200);
/// Senders of the log's documents; the first is one of the directory and sends every tenth.
const SENDERS: u32 = 200;
/// Documents under way at once.
const TOGETHER: u32 = 128;

fn id(name: &str) -> AgencyId {
    AgencyId::new(name).unwrap()
}

fn sender(number: u32) -> String {
    if number.is_multiple_of(10) { "H01.1".to_owned() } else { format!("H02.{}", number % SENDERS) }
}

fn recipient(number: u32) -> String {
    if number.is_multiple_of(3) { "H01.22".to_owned() } else { format!("H03.{}", number % 97) }
}

fn parties(from: &str, to: &str, number: u32) -> Parties {
    let scope = [Scope::InProvince, Scope::InProvince, Scope::Internal, Scope::Outside][number as usize % 4];
    Parties {
        sender: id(from),
        sender_code: from.to_owned(),
        recipient: Some(id(to)),
        recipient_code: to.to_owned(),
        sender_registered: id(from),
        recipient_registered: Some(id(to)),
        sender_level: Level::Department,
        recipient_level: Some(Level::District),
        scope,
        direction: (scope == Scope::InProvince).then_some(Direction::Down),
    }
}

fn document(from: &str, to: &str, number: u32, day: Date) -> Item {
    let key = DocumentKey::new(&number.to_string(), "CV", day.year()).unwrap();
    Item {
        delivery_id: DeliveryId::of_document(&id(from), Kind::New.number(), &key, &id(to), 1),
        envelope_digest: sha256(format!("{from} {to} {number}").as_bytes()),
        attempt: 1,
        parties: parties(from, to, number),
        subject: Subject::Document(DocumentFacts {
            kind: Kind::New,
            key,
            document_digest: sha256(&number.to_be_bytes()),
            type_name: ["công văn", "báo cáo", "quyết định"][number as usize % 3].into(),
            urgency: Urgency::Normal,
            issued_on: day,
            issued_at: None,
            origin: Origin::BornDigital,
            replaces: None,
        }),
    }
}

/// Status 01 by the recipient of a document.
fn arrived(from: &str, to: &str, number: u32, target: DeliveryId, at: Timestamp) -> Item {
    Item {
        delivery_id: DeliveryId::of_notice(&id(from), Kind::Status.number(), &target, 1, &id(to)),
        envelope_digest: sha256(target.as_bytes()),
        attempt: 1,
        parties: parties(from, to, number),
        subject: Subject::Notice(NoticeFacts {
            kind: Kind::Status,
            target,
            message_number: 1,
            status: Some(Status::Arrived),
            out_of_order: false,
            sent_at: at,
            stated: None,
            answers: None,
            after_end: false,
        }),
    }
}

const VALID: RoleVerdicts = RoleVerdicts { person: Verdict::Valid, agency: Verdict::Valid, reason: None };

fn prepared(item: Item, at: Timestamp) -> Prepared {
    Prepared {
        item,
        content_digests: Vec::new(),
        content_size: 5,
        verdicts: VALID,
        judged: Default::default(),
        not_after: at.plus_millis(86_400_000),
        peer: NodeName::new("b").unwrap(),
    }
}

fn place(number: u32) -> LogRef {
    LogRef { log: "b/log/1".into(), index: number.into(), leaf_hash: sha256(&number.to_be_bytes()) }
}

/// A document that goes out, is received and acknowledged; one that comes, is opened and handed over: eight events.
fn steps(number: u32, day: Date, at: Timestamp, template: &Arrival) -> Vec<Command> {
    let (ours, theirs) = (sender(number), recipient(number));
    let (out, came) = (document(&ours, &theirs, number, day), document(&theirs, &ours, number, day));
    let actor = |name: &str| Actor { client: name.into(), user: String::new() };
    let settle = |delivery_id| Command::Settle {
        delivery_id,
        outcome: DeliveryState::Delivered,
        reason: None,
        receipt: place(number),
        receipt_proof: sha256(b"proof"),
        verdicts: VALID,
        received_at: at,
    };
    let accept = |item: Item, verdicts| {
        let arrival = Arrival { item, verdicts, held: false, origin: place(number), ..template.clone() };
        Command::Accept { actor: actor("b"), arrival: Box::new(arrival) }
    };
    let answer = arrived(&ours, &theirs, number, came.delivery_id, at);
    let status = arrived(&theirs, &ours, number, out.delivery_id, at);
    let (sent, taken, answered) = (out.delivery_id, came.delivery_id, answer.delivery_id);
    vec![
        Command::Submit {
            actor: actor("dms"),
            request_id: RequestId::new(&format!("r-{number}")).unwrap(),
            deliveries: vec![prepared(out, at)],
        },
        accept(came, VALID),
        settle(sent),
        Command::Fetch { actor: actor("dms"), agency: id(&ours), delivery_id: taken },
        Command::HandOver {
            actor: actor("dms"),
            agency: id(&ours),
            delivery_id: taken,
            arrived: Some(Box::new(prepared(answer, at))),
        },
        accept(status, RoleVerdicts::ABSENT),
        settle(answered),
    ]
}

/// Where a process that only writes gets told what: data, key and origin of the log, and the last moment.
const WRITE: &str = "LIENTHONG_WEB_WRITE";

/// Lets a process of its own write the log of node a before it runs, so that what is measured is a node that was started
/// on it, and not one in the memory of who wrote it.
fn write_elsewhere(net: &TestNet) {
    let config = net.config("a");
    let told = [
        config.data.to_str().unwrap(),
        config.log_key.to_str().unwrap(),
        &config.node.log_origin(config.generation),
        &net.clock.now().millis().to_string(),
    ]
    .join("\n");
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "long::pages_of_a_long_log"])
        .env(WRITE, told)
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

/// Writes a log: a year of documents.
async fn write(told: &str, events: u64) {
    let told: Vec<_> = told.lines().collect();
    let [data, key, origin, end] = told[..] else { panic!("{WRITE}: {told:?}") };
    let signer = NoteSigner::from_pkcs8(origin, &read_pkcs8(key.as_ref()).unwrap()).unwrap();
    let end = Timestamp::from_millis(end.parse().unwrap());
    let clock = Arc::new(ManualClock::new(end));
    let opened = Ledger::open(LedgerConfig {
        data: data.into(),
        disk: Arc::new(RealDisk),
        signer,
        previous: None,
        clock: clock.clone(),
        random: Arc::new(SystemRandom::default()),
        cache_bytes: 64 << 20,
        journal_segment_bytes: 64 << 20,
    });
    let (ledger, _) = opened.unwrap();
    let Command::Accept { arrival, .. } = crate::harness::accept(0, &[]) else { unreachable!() };
    let documents = (events / 8) as u32;
    let mut number = 0;
    while number < documents {
        let back = 364 - i64::from(number) * 364 / i64::from(documents);
        let at = Timestamp::from_millis(end.millis() - back * 86_400_000);
        clock.set(at);
        let group: Vec<Vec<Command>> =
            (number..number + TOGETHER).map(|n| steps(n, at.date(), at, &arrival)).collect();
        number += TOGETHER;
        for step in 0..group[0].len() {
            let mut waiting = tokio::task::JoinSet::new();
            for steps in &group {
                let (ledger, command) = (ledger.clone(), steps[step].clone());
                waiting.spawn(async move { ledger.commit(command).await.map(drop) });
            }
            while let Some(committed) = waiting.join_next().await {
                committed.unwrap().unwrap();
            }
        }
    }
    ledger.close(data.as_ref()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: minutes for a million events"]
#[expect(clippy::print_stdout, reason = "the figures are what is wanted")]
async fn pages_of_a_long_log() {
    let events = std::env::var("LIENTHONG_WEB_EVENTS").map_or(1_000_000, |n| n.parse().unwrap());
    if let Ok(told) = std::env::var(WRITE) {
        return write(&told, events).await;
    }
    let mut net = with_pages();
    let began = Instant::now();
    write_elsewhere(&net);
    println!("{events} events written in {:.0} s", began.elapsed().as_secs_f64());
    for node in ["a", "b"] {
        net.start(node).await;
    }
    let mut admin = browser(&mut net, Some("admin"));
    let list = admin.get("/documents").await.unwrap().body;
    let at = list.find("href=\"/documents/").unwrap() + 6;
    let document = list[at..].split('"').next().unwrap().to_owned();
    let paths = [
        "/overview",
        "/overview?period=2016",
        "/overview?period=2016&basis=documents",
        "/overview?period=all",
        "/agencies?period=2016",
        "/agencies?period=all&sort=in_province&order=down",
        "/agencies/H01.1?period=2016-07",
        "/agencies/H01.1?period=2016",
        "/exchange",
        "/documents",
        "/documents?way=in&agency=H01.1",
        "/documents?number=12",
        "/documents?from=2016-01-01&to=2016-01-31",
        &document,
        "/audit",
        "/audit?kind=started",
        "/audit?reason=certificate_revoked",
        "/audit?agency=H01.1&kind=settled",
        "/audit/500",
        "/node",
    ];
    let mut worst = (Duration::ZERO, "");
    for path in paths {
        let mut times = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            let answer = admin.get(path).await.unwrap();
            times.push(began.elapsed());
            assert_eq!(answer.code, 200, "{path}: {}", answer.body);
        }
        let slowest = times.iter().max().copied().unwrap();
        println!(
            "{:>8.1} ms first, {:>8.1} ms slowest  {path}",
            times[0].as_secs_f64() * 1e3,
            slowest.as_secs_f64() * 1e3
        );
        worst = worst.max((slowest, path));
    }
    println!("worst: {:.1} ms ({}), with a TLS handshake each", worst.0.as_secs_f64() * 1e3, worst.1);
    assert!(worst.0 <= LIMIT, "{worst:?}");
    // Not checked further: the receipts in this log are made up.
}
