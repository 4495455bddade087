//! What the nodes' logs must say in the end.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use lienthong::cli::scenario::Row;
use lienthong::domain::event::{Event, EventKind, Subject};
use lienthong::domain::{DeliveryId, DeliveryState};
use lienthong::wire::{leaf, pb};

use super::board::{Acknowledged, What};
use super::line::Line;
use super::play::{Play, way};

/// Events of each node, by index.
pub type Logs = BTreeMap<String, Vec<Event>>;

/// A node's whole log, as its administrator lists it.
async fn read(line: &Line) -> Vec<Event> {
    let mut events = Vec::new();
    let mut token = String::new();
    loop {
        let request = pb::ListEventsRequest {
            page: Some(pb::Page { size: 1_000, token: token.clone() }),
            ..pb::ListEventsRequest::default()
        };
        let call = |c: lienthong::rpc::client::NodeClient| {
            let request = request.clone();
            async move { c.audit().list_events(request).await }
        };
        let page = line.call_as_admin("list", call).await.unwrap().into_inner();
        for entry in page.events {
            assert_eq!(entry.index, events.len() as u64, "{}: the list has a gap", line.node());
            events.push(leaf::decode(&entry.leaf).unwrap());
        }
        if page.next_token.is_empty() {
            return events;
        }
        token = page.next_token;
    }
}

/// All logs, when everything that was submitted has its receipt.
pub async fn read_when_quiet(play: &Play, limit: Duration) -> Logs {
    let began = Instant::now();
    loop {
        let mut logs = Logs::new();
        for line in play.lines() {
            logs.insert(line.node().to_owned(), read(line).await);
        }
        let count = |kind: &str| logs.values().flatten().filter(|e| e.kind.name() == kind).count();
        let (submitted, settled) = (count("submitted"), count("settled"));
        if submitted == settled {
            return logs;
        }
        assert!(began.elapsed() < limit, "{settled} of {submitted} messages are settled");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn is(event: &Event, what: &What) -> bool {
    let notice = |target: &DeliveryId, status: i32| {
        matches!(event.kind.item().map(|i| &i.subject), Some(Subject::Notice(n))
            if n.target == *target && n.status.is_some_and(|s| i32::from(s.code()) == status))
    };
    let about = |id: &DeliveryId| event.kind.delivery_id() == Some(*id);
    match (what, &event.kind) {
        (What::Submitted(id), EventKind::Submitted { .. })
        | (What::Fetched(id), EventKind::Fetched { .. })
        | (What::HandedOver(id), EventKind::HandedOver { .. })
        | (What::ToldArrived(id), EventKind::Received { .. })
        | (What::ToldDelivered(id), EventKind::Settled { .. }) => about(id),
        (What::Paper(request), EventKind::PaperEntered(entry)) => entry.request_id.as_str() == request,
        (What::Status { message, target, status }, EventKind::Submitted { .. }) => {
            about(message) && notice(target, *status)
        }
        (What::ToldStatus { target, status }, EventKind::Received { .. }) => notice(target, *status),
        _ => false,
    }
}

/// Everything that a node ever answered is in its log, where it said.
pub fn check_acknowledged(logs: &Logs, acknowledged: &[Acknowledged]) {
    let lost: Vec<String> = acknowledged
        .iter()
        .filter_map(|a| {
            let event = logs[&a.node].get(a.index as usize);
            let found = event.is_some_and(|e| is(e, &a.what));
            (!found).then(|| format!("{a:?}; there: {:?}", event.map(|e| &e.kind)))
        })
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} answers are not in the log:\n{lost:#?}",
        lost.len(),
        acknowledged.len()
    );
    eprintln!("{} acknowledged events are where they were said to be", acknowledged.len());
}

/// What became of a delivery: at which nodes each step is, and how often.
#[derive(Debug, Default)]
struct Steps<'a> {
    submitted: Vec<&'a str>,
    received: Vec<&'a str>,
    handed_over: Vec<&'a str>,
    settled: Vec<&'a str>,
    /// Codes of the statuses, in the order of the log.
    given: Vec<u8>,
    came: Vec<u8>,
}

/// Each document went to each recipient once: one delivery, one arrival, one hand-over, one receipt, each status once.
/// Returns how many went from one node to another.
pub fn check_once(logs: &Logs, play: &Play, rows: &[Row]) -> usize {
    let mut steps: HashMap<DeliveryId, Steps<'_>> = HashMap::new();
    let mut by_document: BTreeMap<(String, String, String, i32, String), Vec<DeliveryId>> = BTreeMap::new();
    for (node, events) in logs {
        for (index, event) in events.iter().enumerate() {
            let place = || format!("{node}, {index}: {:?}", event.kind);
            let is_received = matches!(event.kind, EventKind::Received { .. });
            match (&event.kind, event.kind.item().map(|i| (i, &i.subject))) {
                (_, Some((item, Subject::Notice(n)))) if event.kind.name() != "refused" => {
                    assert!(!n.out_of_order, "out of order: {}", place());
                    let step = steps.entry(n.target).or_default();
                    let list = if is_received { &mut step.came } else { &mut step.given };
                    list.push(n.status.unwrap().code());
                    let message = steps.entry(item.delivery_id).or_default();
                    let nodes = if is_received { &mut message.received } else { &mut message.submitted };
                    nodes.push(node);
                }
                (EventKind::Submitted { .. }, Some((item, Subject::Document(d)))) => {
                    assert_eq!(item.attempt, 1, "another attempt: {}", place());
                    let p = &item.parties;
                    let key = (
                        p.sender_code.clone(),
                        d.key.number().to_owned(),
                        d.key.notation().to_owned(),
                        d.key.year(),
                        p.recipient_code.clone(),
                    );
                    by_document.entry(key).or_default().push(item.delivery_id);
                    steps.entry(item.delivery_id).or_default().submitted.push(node);
                }
                (EventKind::Received { held, .. }, Some((item, _))) => {
                    assert!(!held, "held: {}", place());
                    steps.entry(item.delivery_id).or_default().received.push(node);
                }
                (EventKind::HandedOver { delivery_id }, _) => {
                    steps.entry(*delivery_id).or_default().handed_over.push(node);
                }
                (EventKind::Settled { delivery_id, outcome, .. }, _) => {
                    assert_eq!(*outcome, DeliveryState::Delivered, "{}", place());
                    steps.entry(*delivery_id).or_default().settled.push(node);
                }
                (EventKind::Refused { .. } | EventKind::Undelivered { .. } | EventKind::Alarm { .. }, _) => {
                    panic!("not expected: {}", place());
                }
                _ => {}
            }
        }
    }
    let (mut crossing, mut statuses) = (0, 0);
    let mut sent = play.board.sent();
    for row in rows.iter().filter(|r| r.electronic) {
        let (sender, number, notation, year) = row.document();
        let key = (sender, number, notation, year, row.recipient.clone());
        let ids = by_document.remove(&key).unwrap_or_default();
        assert_eq!(ids.len(), 1, "seq {}: deliveries {ids:?}", row.seq);
        assert!(sent.remove(&ids[0]), "seq {}: the sender was told another delivery", row.seq);
        let (from, to) = (play.node_of(&row.sender), play.node_of(&row.recipient));
        crossing += usize::from(from != to);
        let found = steps.remove(&ids[0]).unwrap();
        let wanted: Vec<u8> = [1].into_iter().chain(way(row.urgency).iter().map(|s| *s as u8)).collect();
        assert_eq!(found.submitted, [from], "seq {}: {found:?}", row.seq);
        assert_eq!(found.received, [to], "seq {}: {found:?}", row.seq);
        assert_eq!(found.handed_over, [to], "seq {}: {found:?}", row.seq);
        assert_eq!(found.settled, [from], "seq {}: {found:?}", row.seq);
        assert_eq!(found.given, wanted, "seq {}: {found:?}", row.seq);
        assert_eq!(found.came, wanted, "seq {}: {found:?}", row.seq);
        statuses += wanted.len();
    }
    assert!(by_document.is_empty(), "deliveries that nobody sent: {by_document:?}");
    assert!(sent.is_empty(), "deliveries that are in no log: {sent:?}");
    // What is left are the status messages themselves: each sent once, received once, settled once.
    assert_eq!(steps.len(), statuses);
    for (id, found) in steps {
        let counts = [found.submitted.len(), found.received.len(), found.settled.len()];
        assert_eq!(counts, [1, 1, 1], "status message {id}: {found:?}");
    }
    eprintln!("{crossing} deliveries crossed, {statuses} statuses came back");
    crossing
}
