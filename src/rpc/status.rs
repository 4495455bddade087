//! What a node says of itself: queues by peer, the oldest that waits, the log, certificates.

use std::collections::BTreeMap;

use crate::domain::fold::keys;
use crate::domain::fold::records::Outgoing;
use crate::domain::ids::{DeliveryId, NodeName};
use crate::exchange::Exchange;
use crate::exchange::courier::Queues;
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
        let mut waiting: BTreeMap<NodeName, (u64, Option<Outgoing>)> = BTreeMap::new();
        let prefix = keys::outboxes();
        let found = exchange.ledger().index().scan(&prefix, &prefix, COUNTED).unwrap_or_default();
        for (key, value) in found {
            let name = &key[prefix.len()..];
            let Some(end) = name.iter().position(|b| *b == 0) else { continue };
            let Some(node) = std::str::from_utf8(&name[..end]).ok().and_then(|n| NodeName::new(n).ok())
            else {
                continue;
            };
            let entry = waiting.entry(node).or_default();
            entry.0 += 1;
            // Within an urgency the first entry is the oldest; one record per urgency is enough.
            if entry.0 == 1
                && let Ok(id) = DeliveryId::from_slice(&value)
            {
                entry.1 = crate::domain::fold::load(exchange.ledger(), &keys::outgoing(&id)).unwrap_or(None);
            }
        }
        let states = self.queues.all();
        let mut names: Vec<NodeName> = states.keys().chain(waiting.keys()).cloned().collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .map(|peer| {
                let state = states.get(&peer).cloned().unwrap_or_default();
                let (count, oldest) = waiting.remove(&peer).unwrap_or_default();
                pb::QueueStatus {
                    peer: peer.to_string(),
                    waiting: count,
                    in_flight: state.in_flight,
                    oldest: oldest.map_or(0, |o| o.submitted_at.millis()),
                    last_error: state.last_error,
                    next_try: state.next_try.map_or(0, Timestamp::millis),
                }
            })
            .collect()
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
