//! Pages of the listing, put together, are what a look at every event gives.

use lienthong::audit::{Query, list};
use lienthong::domain::event::{Event, EventKind, Item};
use lienthong::domain::ids::{AgencyId, DeliveryId};
use lienthong::ledger::offline_index;
use lienthong::store::index::Index;
use lienthong::time::Timestamp;
use lienthong::wire::leaf;

use crate::harness::{START, Sample, agency, item};

fn all_pages(index: &Index, size: u64, query: &Query) -> Vec<u64> {
    let mut query = query.clone();
    let mut out = Vec::new();
    for _ in 0..1_000 {
        let (page, next) = list(index, size, &query).unwrap();
        assert!(page.len() <= query.limit.max(1));
        for (at, bytes, event) in page {
            assert_eq!(leaf::decode(&bytes).unwrap(), event);
            out.push(at);
        }
        match next {
            Some(next) => query.from = Some(next),
            None => return out,
        }
    }
    panic!("the pages do not end");
}

/// Whom an event concerns, by the messages before it.
fn concerned(events: &[Event], at: u64) -> Vec<AgencyId> {
    let both = |item: &Item| {
        let mut parties = vec![item.parties.sender.clone()];
        parties.extend(item.parties.recipient.clone());
        parties
    };
    let of = |id: &DeliveryId| events.iter().find_map(|e| e.kind.item().filter(|i| i.delivery_id == *id));
    match &events[at as usize].kind {
        EventKind::Submitted { item, .. }
        | EventKind::Received { item, .. }
        | EventKind::Refused { item, .. } => both(item),
        EventKind::Settled { delivery_id, .. }
        | EventKind::Undelivered { delivery_id, .. }
        | EventKind::Rerouted { delivery_id, .. }
        | EventKind::Released { delivery_id, .. } => of(delivery_id).map(both).unwrap_or_default(),
        EventKind::Fetched { delivery_id } | EventKind::HandedOver { delivery_id } => {
            of(delivery_id).and_then(|i| i.parties.recipient.clone()).into_iter().collect()
        }
        EventKind::PaperEntered(entry) => {
            let mut parties = vec![entry.parties.sender.clone()];
            parties.extend(entry.parties.recipient.clone());
            parties
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_filter_gives_what_a_look_at_every_event_gives() {
    let sample = Sample::large();
    let copy = tempfile::tempdir().unwrap();
    let index = offline_index(sample.dir.path(), copy.path()).unwrap();
    let size = sample.leaves.len() as u64;
    let events: Vec<_> = sample.leaves.iter().map(|l| leaf::decode(l).unwrap()).collect();
    let expected = |size: u64, query: &Query| {
        let mut found: Vec<u64> = (0..size)
            .filter(|at| {
                let event = &events[*at as usize];
                query.kind.as_deref().is_none_or(|k| event.kind.name() == k)
                    && query.agency.as_ref().is_none_or(|a| concerned(&events, *at).contains(a))
                    && query.delivery.as_ref().is_none_or(|d| event.kind.delivery_id() == Some(*d))
                    && query.since.is_none_or(|t| event.at >= t)
                    && query.until.is_none_or(|t| event.at <= t)
                    && query.from.is_none_or(|f| if query.backwards { *at <= f } else { *at >= f })
            })
            .collect();
        if query.backwards {
            found.reverse();
        }
        found
    };
    let delivery: DeliveryId = item("here", "to-7", 1).delivery_id;
    let middle = events[size as usize / 2].at;
    let plain = Query::default();
    let queries = [
        plain.clone(),
        Query { kind: Some("submitted".into()), ..plain.clone() },
        Query { kind: Some("alarm".into()), ..plain.clone() },
        Query { agency: Some(agency("here")), ..plain.clone() },
        Query { agency: Some(agency("to-7")), ..plain.clone() },
        Query { agency: Some(agency("nobody")), ..plain.clone() },
        Query { delivery: Some(delivery), ..plain.clone() },
        Query { delivery: Some(delivery), agency: Some(agency("there")), ..plain.clone() },
        Query { since: Some(middle), ..plain.clone() },
        Query { until: Some(middle), ..plain.clone() },
        Query { until: Some(Timestamp::from_millis(START - 1)), ..plain.clone() },
        Query { since: Some(Timestamp::MAX), ..plain.clone() },
        Query { since: Some(middle), until: Some(middle), agency: Some(agency("here")), ..plain.clone() },
    ];
    for query in queries {
        for backwards in [false, true] {
            for (from, limit) in [(None, 1_000), (None, 7), (Some(40), 50), (Some(size + 5), 50)] {
                for size in [0, 100, size] {
                    let query = Query { backwards, from, limit, ..query.clone() };
                    assert_eq!(all_pages(&index, size, &query), expected(size, &query), "{size} {query:?}");
                }
            }
        }
    }
    let by_number = Query { number: Some("5".into()), limit: 30, ..plain.clone() };
    assert_eq!(all_pages(&index, size, &by_number).len(), 100);
    let by_reason = Query { reason: Some("test".into()), limit: 30, ..plain };
    let alarms = events.iter().filter(|e| e.kind.name() == "alarm").count();
    assert_eq!(all_pages(&index, size, &by_reason).len(), alarms);
}
