//! Finding events: every filter and any combination gives what a look at every event gives, in a log of more than two
//! blocks of the index, forwards and backwards, page by page, at any size of the log; an agency's events and no other's;
//! and in logs that were written before there was an index.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use lienthong::audit::{Query, list};
use lienthong::domain::administration::{Extract, Extracted};
use lienthong::domain::decide::Command;
use lienthong::domain::document::Urgency;
use lienthong::domain::event::{Actor, Event, EventKind, Item, LogRef, PaperEntry, RoleVerdicts, Subject};
use lienthong::domain::fold::{keys, records};
use lienthong::domain::ids::{AgencyId, DeliveryId, DocumentKey, RequestId};
use lienthong::domain::{DeliveryState, Reason};
use lienthong::ledger::Ledger;
use lienthong::merkle::sha256;
use lienthong::signature::{self, Role, Verdict};
use lienthong::store::disk::RealDisk;
use lienthong::store::index::Index;
use lienthong::time::Timestamp;
use lienthong::wire::leaf;

use crate::harness::{
    Numbers, START, accept, agency, assert_clean, close, copy, item, note, open, runtime, submit_to,
    try_open_with,
};

/// Two blocks of the index and a part of a third.
const EVENTS: u64 = 2 * 4096 + 300;

fn actor(client: &str, user: &str) -> Actor {
    Actor { client: client.into(), user: user.into() }
}

fn settle(id: DeliveryId, n: u64) -> Command {
    let refused = n.is_multiple_of(7);
    let verdicts = RoleVerdicts {
        person: if n.is_multiple_of(5) { Verdict::Invalid } else { Verdict::Valid },
        agency: Verdict::ALL[(n % 4) as usize],
        reason: n.is_multiple_of(5).then_some(signature::Reason::CertificateRevoked),
    };
    Command::Settle {
        delivery_id: id,
        outcome: if refused { DeliveryState::Refused } else { DeliveryState::Delivered },
        reason: refused.then_some(Reason::Expired),
        receipt: LogRef { log: "b/log/1".into(), index: n, leaf_hash: sha256(b"leaf") },
        receipt_proof: sha256(b"proof"),
        verdicts,
        received_at: Timestamp::from_millis(START),
    }
}

fn paper(n: u64) -> Command {
    let Subject::Document(facts) = item("here", "x", 1).subject else { unreachable!() };
    let mut parties = item("here", &format!("to-{}", n % 9), 1).parties;
    if n.is_multiple_of(3) {
        (parties.recipient, parties.recipient_registered) = (None, None);
    }
    let entry = PaperEntry {
        recipient_name: if parties.recipient.is_none() { "Ông A".into() } else { String::new() },
        parties,
        key: DocumentKey::new(&(n % 13).to_string(), "GIẤY", 2016).unwrap(),
        issued_on: facts.issued_on,
        type_name: "Công văn".into(),
        urgency: Urgency::Normal,
        mandatory: false,
        basis: String::new(),
        dispatched_on: None,
        withdrawn: false,
        corrects: None,
        request_id: RequestId::new(&format!("paper-{n}")).unwrap(),
    };
    Command::Paper { actor: actor("registry", &format!("clerk-{}", n % 5)), entry: Box::new(entry) }
}

/// A log of real commands, in an order that mixes what the filters look at.
fn fill(ledger: &Ledger, runtime: &tokio::runtime::Runtime) {
    let all = |commands: Vec<Command>| {
        let tasks: Vec<_> = commands
            .into_iter()
            .map(|command| {
                let ledger = ledger.clone();
                runtime.spawn(async move { ledger.commit(command).await.unwrap() })
            })
            .collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    };
    let mut round = 0_u32;
    while ledger.snapshot().size() < EVENTS {
        let (number, n) = (round + 1, u64::from(round));
        all(vec![submit_to(number, 40), note(&format!("n{round}"))]);
        let ids = (0..40).map(|k| item("here", &format!("to-{k}"), number).delivery_id);
        all(ids.enumerate().map(|(k, id)| settle(id, n + k as u64)).collect());
        let arriving = 10_000 + 2 * round + 1;
        all(vec![accept(arriving, &[]), accept(arriving + 1, &[]), paper(n), paper(n + 1_000_000)]);
        let delivery_id = item("there", "here", arriving).delivery_id;
        let reader = || actor("dms-2", &format!("reader-{}", n % 50));
        all(vec![
            Command::Fetch { actor: reader(), agency: agency("here"), delivery_id },
            Command::HandOver { actor: reader(), agency: agency("here"), delivery_id, arrived: None },
            Command::Export { actor: actor("auditor", "a"), agency: Some(agency("here")), delivery_id },
            Command::Extract {
                actor: actor("auditor", "b"),
                extracted: Extracted {
                    extract: Extract::Events,
                    agency: (n.is_multiple_of(2)).then(|| agency("to-3")),
                    size: 1,
                    filter: "kind=refused".into(),
                },
            },
        ]);
        round += 1;
    }
}

struct Log {
    dir: tempfile::TempDir,
    events: Vec<Event>,
}

static LOG: LazyLock<Log> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let (ledger, _) = try_open_with(dir.path(), Arc::new(RealDisk), 1 << 20).unwrap();
    fill(&ledger, &runtime);
    let leaves = ledger.index().leaves(0, 100_000).unwrap();
    let events = leaves.iter().map(|(_, bytes)| leaf::decode(bytes).unwrap()).collect();
    close(&runtime, ledger, dir.path(), true);
    Log { dir, events }
});

/// sled of a copy of the log.
fn index_of(data: &std::path::Path) -> (tempfile::TempDir, Index) {
    let dir = tempfile::tempdir().unwrap();
    let index = lienthong::ledger::offline_index(data, dir.path()).unwrap();
    (dir, index)
}

/// What the filters look at, worked out from the events alone.
struct Seen {
    event: Event,
    concerned: Vec<AgencyId>,
    parties: Vec<AgencyId>,
    document: Option<DocumentKey>,
    reasons: Vec<String>,
    verdicts: Option<RoleVerdicts>,
}

fn seen(events: &[Event]) -> Vec<Seen> {
    let mut items: BTreeMap<DeliveryId, Item> = BTreeMap::new();
    let both = |item: &Item| {
        let mut parties = vec![item.parties.sender.clone()];
        parties.extend(item.parties.recipient.clone());
        parties
    };
    let key = |item: &Item| match &item.subject {
        Subject::Document(facts) => Some(facts.key.clone()),
        Subject::Notice(_) => None,
    };
    events
        .iter()
        .map(|event| {
            if let Some(item) = event.kind.item() {
                items.insert(item.delivery_id, item.clone());
            }
            let of = event.kind.delivery_id().and_then(|id| items.get(&id));
            let mut parties = of.map(both).unwrap_or_default();
            let mut document = of.and_then(key);
            let concerned = match &event.kind {
                EventKind::Fetched { .. } | EventKind::HandedOver { .. } => parties[1..].to_vec(),
                EventKind::Exported { agency, .. } => agency.iter().cloned().collect(),
                EventKind::Extracted(extracted) => extracted.agency.iter().cloned().collect(),
                EventKind::PaperEntered(entry) => {
                    parties = vec![entry.parties.sender.clone()];
                    parties.extend(entry.parties.recipient.clone());
                    document = Some(entry.key.clone());
                    parties.clone()
                }
                _ => parties.clone(),
            };
            let (mut reasons, verdicts) = match &event.kind {
                EventKind::Submitted { verdicts, .. } | EventKind::Received { verdicts, .. } => {
                    (vec![], Some(*verdicts))
                }
                EventKind::Settled { verdicts, reason, .. } => {
                    (reason.iter().map(|r| r.code().to_owned()).collect(), Some(*verdicts))
                }
                EventKind::Alarm { reason, .. } => (vec![reason.clone()], None),
                _ => (vec![], None),
            };
            reasons.extend(verdicts.and_then(|v| v.reason).map(|r| r.as_str().to_owned()));
            Seen { event: event.clone(), concerned, parties, document, reasons, verdicts }
        })
        .collect()
}

fn is(query: &Query, at: u64, seen: &Seen) -> bool {
    let Seen { event, concerned, parties, document, reasons, verdicts } = seen;
    let verdict = |(role, wanted): (Option<Role>, Verdict)| {
        verdicts.is_some_and(|v| match role {
            Some(Role::Person) => v.person == wanted,
            Some(Role::Agency) => v.agency == wanted,
            None => v.person == wanted || v.agency == wanted,
        })
    };
    let counterpart = |other: &AgencyId| match &query.agency {
        None => parties.contains(other),
        Some(own) => {
            parties.len() == 2 && (&parties[0], &parties[1]) == (own, other)
                || parties.len() == 2 && (&parties[0], &parties[1]) == (other, own)
        }
    };
    query.kind.as_deref().is_none_or(|k| event.kind.name() == k)
        && query.agency.as_ref().is_none_or(|a| concerned.contains(a))
        && query.counterpart.as_ref().is_none_or(counterpart)
        && query.delivery.is_none_or(|d| event.kind.delivery_id() == Some(d))
        && query.since.is_none_or(|t| event.at >= t)
        && query.until.is_none_or(|t| event.at <= t)
        && query.number.as_deref().is_none_or(|n| document.as_ref().is_some_and(|d| d.number() == n))
        && query.notation.as_deref().is_none_or(|n| document.as_ref().is_some_and(|d| d.notation() == n))
        && query.year.is_none_or(|y| document.as_ref().is_some_and(|d| d.year() == y))
        && query.client.as_deref().is_none_or(|c| event.actor.client == c)
        && query.user.as_deref().is_none_or(|u| event.actor.user == u)
        && query.verdict.is_none_or(verdict)
        && query.reason.as_ref().is_none_or(|r| reasons.contains(r))
        && query.from.is_none_or(|f| if query.backwards { at <= f } else { at >= f })
}

fn all_pages(index: &Index, size: u64, query: &Query) -> Vec<u64> {
    let mut query = query.clone();
    let mut out: Vec<u64> = Vec::new();
    for _ in 0..20_000 {
        let (page, next) = list(index, size, &query).unwrap();
        assert!(page.len() <= query.limit.max(1));
        out.extend(page.iter().map(|(at, _, _)| *at));
        let Some(next) = next else { return out };
        assert!(out.last().is_none_or(|last| if query.backwards { next < *last } else { next > *last }));
        query.from = Some(next);
    }
    panic!("the pages do not end");
}

fn pick<T: Clone>(numbers: &mut Numbers, of: &[T]) -> Option<T> {
    // Most filters are not given most of the time.
    (numbers.below(4) == 0).then(|| of[numbers.below(of.len() as u64) as usize].clone())
}

fn some_query(numbers: &mut Numbers, events: &[Event]) -> Query {
    let texts = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let agencies = ["here", "there", "to-3", "to-17", "nobody"].map(agency);
    let time = |numbers: &mut Numbers| events[numbers.below(events.len() as u64) as usize].at;
    let number = pick(numbers, &texts(&["1", "5", "10001", "10002", "77", "0"]));
    let with_number = number.is_some();
    let mut query = Query {
        agency: pick(numbers, &agencies),
        counterpart: pick(numbers, &agencies),
        kind: pick(
            numbers,
            &texts(&["submitted", "settled", "received", "fetched", "alarm", "extracted", "stopped"]),
        ),
        client: pick(numbers, &texts(&["dms", "dms-2", "node", "b", "registry", "who"])),
        user: pick(numbers, &texts(&["u1", "reader-3", "clerk-2", "nobody"])),
        number,
        verdict: pick(numbers, &Verdict::ALL).map(|v| {
            let role = [None, Some(Role::Person), Some(Role::Agency)][numbers.below(3) as usize];
            (role, v)
        }),
        reason: pick(numbers, &texts(&["expired", "certificate_revoked", "test", "withdrawn"])),
        ..Query::default()
    };
    if with_number {
        query.notation = pick(numbers, &texts(&["CV", "GIẤY", "X"]));
        query.year = pick(numbers, &[2016, 2017]);
    }
    if numbers.below(4) == 0 {
        (query.since, query.until) = (Some(time(numbers)), None);
    }
    if numbers.below(4) == 0 {
        query.until = Some(time(numbers));
    }
    // More than three filters match hardly anything.
    if numbers.below(2) == 0 {
        query.client = None;
        query.user = None;
    }
    if numbers.below(2) == 0 {
        query.verdict = None;
        query.kind = None;
    }
    query
}

#[test]
fn any_combination_of_filters_gives_what_a_look_at_every_event_gives() {
    let (_dir, index) = index_of(LOG.dir.path());
    let seen = seen(&LOG.events);
    let whole = LOG.events.len() as u64;
    assert!(whole > EVENTS);
    let mut numbers = Numbers(1);
    let mut matched = 0;
    for _ in 0..200 {
        let mut query = some_query(&mut numbers, &LOG.events);
        query.backwards = numbers.below(2) == 0;
        query.limit = [1, 7, 100, 1_000][numbers.below(4) as usize];
        query.from = (numbers.below(3) == 0).then(|| numbers.below(whole + 100));
        // Also as of a moment when the last blocks were not complete.
        let size = [whole, whole, 4096, 4097, 8191, 5_000, 100, 1, 0][numbers.below(9) as usize];
        let mut expected: Vec<u64> = (0..size).filter(|at| is(&query, *at, &seen[*at as usize])).collect();
        if query.limit == 1 && expected.len() > 300 {
            query.limit = 50;
        }
        if query.backwards {
            expected.reverse();
        }
        matched += usize::from(!expected.is_empty());
        assert_eq!(all_pages(&index, size, &query), expected, "{size} {query:?}");
    }
    assert!(matched > 50, "{matched} queries matched something");
}

#[test]
fn an_agency_finds_its_own_events_whatever_else_is_asked_for() {
    let (_dir, index) = index_of(LOG.dir.path());
    let seen = seen(&LOG.events);
    let size = LOG.events.len() as u64;
    let own = agency("to-3");
    let of_others: DeliveryId = item("here", "to-5", 1).delivery_id;
    let mine: DeliveryId = item("here", "to-3", 1).delivery_id;
    let base = Query { agency: Some(own.clone()), limit: 1_000, ..Query::default() };
    let queries = [
        base.clone(),
        Query { counterpart: Some(agency("here")), ..base.clone() },
        Query { counterpart: Some(agency("to-5")), ..base.clone() },
        Query { counterpart: Some(own.clone()), ..base.clone() },
        Query { delivery: Some(mine), ..base.clone() },
        Query { delivery: Some(of_others), ..base.clone() },
        Query { kind: Some("fetched".into()), ..base.clone() },
        Query { kind: Some("alarm".into()), ..base.clone() },
        Query { number: Some("1".into()), ..base.clone() },
        Query { number: Some("10001".into()), ..base.clone() },
        Query { client: Some("node".into()), ..base.clone() },
        Query { user: Some("reader-3".into()), ..base.clone() },
        Query { verdict: Some((None, Verdict::Invalid)), ..base.clone() },
        Query { reason: Some("expired".into()), ..base.clone() },
        Query { since: Some(Timestamp::from_millis(START)), ..base.clone() },
    ];
    for query in &queries {
        for (backwards, limit) in [(false, 1), (true, 1), (false, 1_000)] {
            let mut query = Query { backwards, limit, ..query.clone() };
            loop {
                let (page, next) = list(&index, size, &query).unwrap();
                for (at, _, _) in &page {
                    assert!(seen[*at as usize].concerned.contains(&own), "{at} {query:?}");
                }
                // Where the next page begins is an event of its own as well: nothing of others can be counted.
                let Some(next) = next else { break };
                assert!(seen[next as usize].concerned.contains(&own), "{next} {query:?}");
                query.from = Some(next);
            }
        }
    }
    let none = list(&index, size, &Query { delivery: Some(of_others), ..base.clone() }).unwrap();
    let unknown = DeliveryId::from_slice(&[9; 32]).unwrap();
    assert_eq!(none, list(&index, size, &Query { delivery: Some(unknown), ..base }).unwrap());
    assert_eq!(none, (Vec::new(), None));
}

#[test]
fn the_index_of_a_log_that_was_written_before_there_was_one_is_made_at_opening() {
    let dir = tempfile::tempdir().unwrap();
    copy(LOG.dir.path(), dir.path());
    std::fs::remove_file(dir.path().join("clean.json")).unwrap();
    // As the version before left it: records of form 5, and none of the index.
    let index = Index::open(&dir.path().join("sled"), 16 << 20).unwrap();
    let mut head = index.head().unwrap().unwrap();
    head.version = 5;
    let mut gone = BTreeMap::new();
    index
        .for_each(|key, _| {
            if key.starts_with(b"fs") {
                gone.insert(key.to_vec(), None);
            }
        })
        .unwrap();
    assert!(gone.len() > 100, "{}", gone.len());
    index.write(gone, &head).unwrap();
    head.sum = index.sum().unwrap().0;
    index.write(BTreeMap::new(), &head).unwrap();
    let query = Query { kind: Some("fetched".into()), limit: 1_000, ..Query::default() };
    let size = LOG.events.len() as u64;
    assert_eq!(list(&index, size, &query).unwrap(), (Vec::new(), None));
    index.flush().unwrap();
    drop(index);

    let (ledger, opened) = open(dir.path());
    let why = opened.rebuilt.clone().unwrap_or_default();
    assert!(why.contains(&format!("form 5, this program writes {}", records::VERSION)), "{why}");
    assert_eq!((opened.size, opened.caught_up), (size, size));
    let fetched = (0..size).filter(|at| LOG.events[*at as usize].kind.name() == "fetched");
    assert_eq!(all_pages(ledger.index(), size, &query), fetched.collect::<Vec<_>>());
    close(&runtime(), ledger, dir.path(), true);
    assert_clean(dir.path());
}

#[test]
fn an_altered_record_of_the_index_is_found() {
    let dir = tempfile::tempdir().unwrap();
    copy(LOG.dir.path(), dir.path());
    let index = Index::open(&dir.path().join("sled"), 16 << 20).unwrap();
    let mut head = index.head().unwrap().unwrap();
    let last = index.scan_back(&keys::pendings(), &keys::pending(u64::MAX), 1).unwrap().remove(0);
    let block = index.scan(&keys::blocks(3), &keys::block(3, 0), 1).unwrap().remove(0);
    let mut changed = BTreeMap::new();
    for (key, value) in [last, block] {
        let mut value = value.to_vec();
        *value.last_mut().unwrap() ^= 1;
        changed.insert(key.to_vec(), Some(value));
    }
    index.write(changed, &head).unwrap();
    head.sum = index.sum().unwrap().0;
    index.write(BTreeMap::new(), &head).unwrap();
    index.flush().unwrap();
    drop(index);
    std::fs::remove_file(dir.path().join("clean.json")).unwrap();
    let findings = crate::harness::check(dir.path()).findings;
    let of_index = findings.iter().filter(|f| f.message.starts_with("index of what events have")).count();
    assert_eq!((findings.len(), of_index), (2, 2), "{findings:#?}");
}
