//! What a node says of itself: queues by peer, what waits the longest, the log, room, clocks, certificates.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::watch;

use super::quota::{Quotas, What};
use crate::domain::fold::records::Outgoing;
use crate::domain::fold::{keys, load};
use crate::domain::ids::{DeliveryId, NodeName};
use crate::exchange::Exchange;
use crate::exchange::courier::{BreakerState, QueueState, Queues};
use crate::exchange::witness::Standing;
use crate::ledger::events_of;
use crate::time::Timestamp;
use crate::wire::{pb, words};

/// Entries that are counted one by one; beyond it the number is a lower bound.
const COUNTED: usize = 100_000;

/// Waiting deliveries of a peer and urgency that are looked at for their time of arrival, those named, and how soon it
/// must end for that.
const LOOKED_AT: usize = 200;
const NAMED: usize = 100;
const SOON_MS: i64 = 24 * 3_600_000;

/// Where status is read from.
#[derive(Clone)]
pub struct StatusSource {
    /// Queues by peer.
    pub queues: Queues,
    /// When the node began to run.
    pub started_at: Timestamp,
    /// When its certificate ends.
    pub certificate_end: Option<i64>,
    /// The shares of the listeners for clients and for peers.
    pub quotas: [Quotas; 2],
    /// Whether the node is stopping.
    pub stop: watch::Receiver<bool>,
}

impl StatusSource {
    /// The state now.
    pub fn read(&self, exchange: &Exchange) -> pb::GetStatusResponse {
        let ledger = exchange.ledger();
        let snapshot = ledger.snapshot();
        let directory = exchange.directory();
        let now = ledger.now();
        let (pressure, clocks) = (exchange.pressure(), exchange.clocks());
        let own_clock = clocks.own_offset_ms();
        let connections = |of: &Quotas| of.total(What::Connections) as u32;
        let (queues, due) = self.queue_states(exchange);
        pb::GetStatusResponse {
            node: exchange.node().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at.millis(),
            clock: now.millis(),
            log_size: snapshot.size(),
            checkpoint: snapshot.checkpoint().map_or_else(String::new, |c| c.note().to_owned()),
            directory_version: directory.version(),
            directory_expired: now > directory.valid_until(),
            queues,
            due,
            content_bytes: folder_bytes(&exchange.config().data.join("content")),
            free_bytes: pressure.free().unwrap_or(0),
            certificates: self
                .certificate_end
                .map(|not_after| pb::CertificateStatus { name: "node".into(), not_after })
                .into_iter()
                .collect(),
            reserve_bytes: pressure.reserve(),
            critical_bytes: pressure.critical(),
            pressure: pressure.level().as_str().to_owned(),
            clocks: clocks
                .readings()
                .into_iter()
                .map(|(peer, r)| pb::ClockStatus {
                    peer: peer.to_string(),
                    offset_ms: r.offset_ms,
                    uncertain_ms: r.uncertain_ms,
                    at: r.at.millis(),
                    off: r.off,
                })
                .collect(),
            clock_tolerance_ms: clocks.tolerance_ms(),
            own_clock_off: own_clock.is_some(),
            own_clock_offset_ms: own_clock.unwrap_or(0),
            directory_valid_until: directory.valid_until().millis(),
            held: held(exchange),
            client_connections: connections(&self.quotas[0]),
            peer_connections: connections(&self.quotas[1]),
            memory_bytes: memory_bytes(),
            draining: *self.stop.borrow(),
            self_check: exchange.checks().last().map(|last| pb::SelfCheckStatus {
                at: last.at.millis(),
                took_ms: last.took_ms,
                events: last.events,
                findings: last.findings,
                first: last.first.unwrap_or_default(),
                has_first: last.first.is_some(),
                content_bytes: last.content_bytes,
            }),
            witnessed: exchange.witness().standings().into_iter().map(witnessed).collect(),
            cosigners: cosigners(exchange),
            unwitnessed_start: exchange.witness().is_unwitnessed(),
            timestamps: Some(timestamps(exchange)),
            recovery: recovery(exchange),
        }
    }

    /// How every queue stands, by peer, and what will not arrive in time.
    pub fn queue_states(&self, exchange: &Exchange) -> (Vec<pb::QueueStatus>, Vec<pb::DueDelivery>) {
        let mut waiting = waiting(exchange);
        let states = self.queues.all(exchange.ledger().now());
        let mut names: Vec<NodeName> = states.keys().chain(waiting.keys()).cloned().collect();
        names.sort();
        names.dedup();
        let due = due(exchange, &waiting);
        let queues = names
            .into_iter()
            .map(|peer| {
                let state = states.get(&peer).cloned().unwrap_or_default();
                queue_status(exchange, &peer, state, waiting.remove(&peer).unwrap_or_default())
            })
            .collect();
        (queues, due)
    }
}

/// What waits for a peer: how many by urgency, and the entry that was submitted first.
#[derive(Debug, Default)]
struct Waiting {
    by_urgency: [u64; 4],
    oldest: Option<(u64, DeliveryId)>,
    /// Those that were queued first.
    first: Vec<DeliveryId>,
}

fn waiting(exchange: &Exchange) -> BTreeMap<NodeName, Waiting> {
    let mut waiting: BTreeMap<NodeName, Waiting> = BTreeMap::new();
    let prefix = keys::outboxes();
    let found = exchange.ledger().index().scan(&prefix, &prefix, COUNTED).unwrap_or_default();
    for (key, value) in found {
        let name = &key[prefix.len()..];
        let Some(end) = name.iter().position(|b| *b == 0) else { continue };
        let Some(node) = std::str::from_utf8(&name[..end]).ok().and_then(|n| NodeName::new(n).ok()) else {
            continue;
        };
        let Some(urgency) = name.get(end + 1).map(|u| usize::from(*u)) else { continue };
        let entry = waiting.entry(node).or_default();
        let count = entry.by_urgency.get_mut(urgency).map_or(u64::MAX, |count| {
            *count += 1;
            *count
        });
        if count <= LOOKED_AT as u64 {
            entry.first.extend(DeliveryId::from_slice(&value).ok());
        }
        if let (Some(index), Ok(id)) = (keys::index_of(&key), DeliveryId::from_slice(&value))
            && entry.oldest.is_none_or(|(oldest, _)| index < oldest)
        {
            entry.oldest = Some((index, id));
        }
    }
    waiting
}

/// What will not arrive in time unless it goes soon, the soonest first.
fn due(exchange: &Exchange, waiting: &BTreeMap<NodeName, Waiting>) -> Vec<pb::DueDelivery> {
    let until = exchange.ledger().now().plus_millis(SOON_MS);
    let mut due = Vec::new();
    for (peer, waiting) in waiting {
        for id in &waiting.first {
            let record: Option<Outgoing> = load(exchange.ledger(), &keys::outgoing(id)).unwrap_or(None);
            let Some(record) = record.filter(|r| r.not_after <= until && r.facts.kind.is_document()) else {
                continue;
            };
            due.push(pb::DueDelivery {
                delivery_id: words::id(id),
                peer: peer.to_string(),
                urgency: words::urgency(record.facts.urgency).into(),
                submitted_at: record.submitted_at.millis(),
                not_after: record.not_after.millis(),
                reason: exchange.queues().reason(peer, id).map_or_else(String::new, |r| r.code().to_owned()),
                sender: record.facts.sender_code,
                recipient: record.facts.recipient_code,
            });
        }
    }
    due.sort_by_key(|d| d.not_after);
    due.truncate(NAMED);
    due
}

fn queue_status(
    exchange: &Exchange,
    peer: &NodeName,
    state: QueueState,
    waiting: Waiting,
) -> pb::QueueStatus {
    let oldest = waiting.oldest.and_then(|(_, id)| {
        let record: Option<Outgoing> = load(exchange.ledger(), &keys::outgoing(&id)).unwrap_or(None);
        record.map(|record| (id, record.submitted_at))
    });
    pb::QueueStatus {
        peer: peer.to_string(),
        waiting: waiting.by_urgency.iter().sum(),
        in_flight: state.in_flight,
        oldest: oldest.map_or(0, |(_, at)| at.millis()),
        oldest_reason: oldest
            .and_then(|(id, _)| exchange.queues().reason(peer, &id))
            .map_or_else(String::new, |reason| reason.code().to_owned()),
        last_error: state.last_error,
        next_try: state.next_try.map_or(0, Timestamp::millis),
        next_probe: match state.breaker {
            BreakerState::Open => state.next_try.map_or(0, Timestamp::millis),
            BreakerState::Closed | BreakerState::HalfOpen => 0,
        },
        breaker: state.breaker.as_str().to_owned(),
        failures: state.failures,
        failing_since: state.failing_since.map_or(0, Timestamp::millis),
        bytes_in_flight: state.bytes_in_flight,
        delayed: state.delayed,
        calls_in: exchange.directory().node(peer).is_some_and(|n| n.entry.endpoints.is_empty()),
        waiting_by_urgency: waiting.by_urgency.to_vec(),
        oldest_delivery: oldest.map_or_else(Bytes::new, |(id, _)| words::id(&id)),
    }
}

/// What is held of another node's log.
pub fn witnessed(standing: Standing) -> pb::WitnessedLog {
    let Standing { peer, log, held, cut } = standing;
    pb::WitnessedLog {
        peer: peer.to_string(),
        log,
        held_size: held,
        stopped: cut.as_ref().map_or_else(String::new, |cut| cut.reason().code().to_owned()),
        since: cut.as_ref().map_or(0, |cut| cut.since().millis()),
        why: cut.map_or_else(String::new, |cut| cut.why),
    }
}

/// The newest cosignature of each node.
fn cosigners(exchange: &Exchange) -> Vec<pb::Cosigner> {
    let mut newest: BTreeMap<NodeName, pb::Cosigner> = BTreeMap::new();
    for cosigned in exchange.cosigned() {
        for (node, (at, _)) in &cosigned.witnesses {
            newest.entry(node.clone()).or_insert_with(|| pb::Cosigner {
                node: node.to_string(),
                size: cosigned.checkpoint.checkpoint().size,
                at: at.millis(),
            });
        }
    }
    newest.into_values().collect()
}

/// How the timestamps of checkpoints go.
fn timestamps(exchange: &Exchange) -> pb::TimestampStatus {
    let state = exchange.stamping().state();
    let (size, at) = state.last.map_or((0, 0), |(size, at)| (size, at.millis()));
    let (failing_since, last_error) = state.failing.map_or((0, String::new()), |(s, e)| (s.millis(), e));
    pb::TimestampStatus { authority: state.authority, size, at, failing_since, last_error }
}

/// How far each node is that is asked for what it has of a lost log.
fn recovery(exchange: &Exchange) -> Vec<pb::RecoveryStatus> {
    let standings = exchange.recovered_from().into_iter();
    let status = standings.map(|(peer, progress)| pb::RecoveryStatus {
        peer: peer.to_string(),
        listed: progress.listed,
        done: progress.done,
        recovered: progress.recovered,
        sent_again: progress.sent_again,
    });
    status.collect()
}

/// Deliveries that wait for a decision here.
fn held(exchange: &Exchange) -> u64 {
    events_of(exchange.ledger().index(), keys::held(), 0, false, COUNTED)
        .map_or(0, |found| found.len() as u64)
}

/// What this process has in memory, as Linux says it.
pub fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

fn folder_bytes(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => folder_bytes(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}
