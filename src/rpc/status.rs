//! What a node says of itself: queues by peer, the oldest that waits, the log, certificates.

use std::collections::BTreeMap;

use crate::domain::document::Urgency;
use crate::domain::fold::keys;
use crate::domain::fold::records::Outgoing;
use crate::domain::ids::{DeliveryId, NodeName};
use crate::exchange::Exchange;
use crate::exchange::courier::{BreakerState, Queues};
use crate::time::Timestamp;
use crate::wire::pb;

/// Waiting messages that are counted one by one; beyond it the number is a lower bound.
const COUNTED: usize = 100_000;

/// Where status is read from.
#[derive(Clone)]
pub struct StatusSource {
    /// Queues by peer.
    pub queues: Queues,
    /// When the node began to run.
    pub started_at: Timestamp,
    /// When its certificate ends.
    pub certificate_end: Option<i64>,
}

impl StatusSource {
    /// The state now.
    pub fn read(&self, exchange: &Exchange) -> pb::GetStatusResponse {
        let ledger = exchange.ledger();
        let snapshot = ledger.snapshot();
        let directory = exchange.directory();
        let now = ledger.now();
        pb::GetStatusResponse {
            node: exchange.node().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at.millis(),
            clock: now.millis(),
            log_size: snapshot.size(),
            checkpoint: snapshot.checkpoint().map_or_else(String::new, |c| c.note().to_owned()),
            directory_version: directory.version(),
            directory_expired: now > directory.valid_until(),
            queues: self.queue_states(exchange),
            content_bytes: folder_bytes(&exchange.config().data.join("content")),
            free_bytes: 0,
            certificates: self
                .certificate_end
                .map(|not_after| pb::CertificateStatus { name: "node".into(), not_after })
                .into_iter()
                .collect(),
        }
    }

    fn queue_states(&self, exchange: &Exchange) -> Vec<pb::QueueStatus> {
        let mut waiting: BTreeMap<NodeName, Waiting> = BTreeMap::new();
        let prefix = keys::outboxes();
        let found = exchange.ledger().index().scan(&prefix, &prefix, COUNTED).unwrap_or_default();
        for (key, value) in found {
            let name = &key[prefix.len()..];
            let Some(end) = name.iter().position(|b| *b == 0) else { continue };
            let Some(node) = std::str::from_utf8(&name[..end]).ok().and_then(|n| NodeName::new(n).ok())
            else {
                continue;
            };
            let Some(urgency) = name.get(end + 1).map(|u| usize::from(*u)).filter(|u| *u < 4) else {
                continue;
            };
            let entry = waiting.entry(node).or_default();
            entry.count[urgency] += 1;
            // Within an urgency the first entry is the oldest, about; one record per urgency is enough.
            if entry.count[urgency] == 1
                && let Ok(id) = DeliveryId::from_slice(&value)
            {
                let record: Option<Outgoing> =
                    crate::domain::fold::load(exchange.ledger(), &keys::outgoing(&id)).unwrap_or(None);
                entry.oldest = entry.oldest.into_iter().chain(record.map(|r| r.submitted_at)).min();
            }
        }
        let states = self.queues.all(exchange.ledger().now());
        let mut names: Vec<NodeName> = states.keys().chain(waiting.keys()).cloned().collect();
        names.sort();
        names.dedup();
        let directory = exchange.directory();
        names
            .into_iter()
            .map(|peer| {
                let state = states.get(&peer).cloned().unwrap_or_default();
                let Waiting { count, oldest } = waiting.remove(&peer).unwrap_or_default();
                let of = |urgency: Urgency| count[urgency as usize];
                pb::QueueStatus {
                    waiting: count.iter().sum(),
                    in_flight: state.in_flight,
                    oldest: oldest.map_or(0, Timestamp::millis),
                    last_error: state.last_error,
                    next_try: state.next_try.map_or(0, Timestamp::millis),
                    breaker: breaker(state.breaker).into(),
                    failures: state.failures,
                    failing_since: state.failing_since.map_or(0, Timestamp::millis),
                    bytes_in_flight: state.bytes_in_flight,
                    delayed: state.delayed,
                    flash: of(Urgency::Flash),
                    very_urgent: of(Urgency::VeryUrgent),
                    urgent: of(Urgency::Urgent),
                    normal: of(Urgency::Normal),
                    calls_in: directory.node(&peer).is_some_and(|n| n.entry.endpoints.is_empty()),
                    peer: peer.to_string(),
                }
            })
            .collect()
    }
}

/// What waits for a peer: how many of each urgency, and when the oldest was submitted.
#[derive(Default)]
struct Waiting {
    count: [u64; 4],
    oldest: Option<Timestamp>,
}

fn breaker(state: BreakerState) -> pb::BreakerState {
    match state {
        BreakerState::Closed => pb::BreakerState::Closed,
        BreakerState::Open => pb::BreakerState::Open,
        BreakerState::HalfOpen => pb::BreakerState::HalfOpen,
    }
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
