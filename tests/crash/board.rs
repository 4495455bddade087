//! What the nodes answered, and what is still missing.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use lienthong::cli::scenario::Row;
use lienthong::domain::DeliveryId;
use tokio::sync::Notify;

use super::play::way;

/// Deliveries that are open before a system sends more, so that all steps are under way during the whole replay.
const OPEN: usize = 160;

/// Something that a node answered, and so must be in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    pub node: String,
    pub index: u64,
    pub what: What,
}

/// What the event at that index must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Submitted(DeliveryId),
    Paper(String),
    Fetched(DeliveryId),
    HandedOver(DeliveryId),
    Status { message: DeliveryId, target: DeliveryId, status: i32 },
    ToldArrived(DeliveryId),
    ToldDelivered(DeliveryId),
    ToldStatus { target: DeliveryId, status: i32 },
}

/// How much there is to do.
pub struct Work {
    pub documents: usize,
    pub papers: usize,
    pub deliveries: usize,
    /// Answers to sends, paper entries, acknowledgements and statuses, all in all.
    pub answers: usize,
}

impl Work {
    pub fn of(rows: &[Row]) -> Work {
        let documents: HashSet<_> = rows.iter().filter(|r| r.electronic).map(Row::document).collect();
        let papers = rows.iter().filter(|r| r.paper).count();
        let electronic: Vec<&Row> = rows.iter().filter(|r| r.electronic).collect();
        let replies: usize = electronic.iter().map(|r| 1 + way(r.urgency).len()).sum();
        let documents = documents.len();
        Work { documents, papers, deliveries: electronic.len(), answers: documents + papers + replies }
    }
}

/// What was answered, and what went wrong.
#[derive(Default)]
pub struct Board {
    state: Mutex<State>,
    changed: Notify,
}

/// See [`Board`].
#[derive(Default)]
pub struct State {
    pub acknowledged: Vec<Acknowledged>,
    pub documents: usize,
    pub papers: usize,
    pub replies: usize,
    pub sent: HashSet<DeliveryId>,
    pub arrived: HashMap<DeliveryId, u64>,
    pub worked_on: HashSet<DeliveryId>,
    pub completed: HashMap<DeliveryId, u64>,
    pub error: Option<String>,
}

impl Board {
    pub fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let result = f(&mut self.state.lock().unwrap());
        self.changed.notify_waiters();
        result
    }

    pub fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.state.lock().unwrap())
    }

    pub fn fail(&self, what: String) {
        self.with(|s| {
            s.error.get_or_insert(what);
        });
    }

    pub fn error(&self) -> Option<String> {
        self.read(|s| s.error.clone())
    }

    /// Answers so far, as [`Work::answers`] counts them.
    pub fn answers(&self) -> usize {
        self.read(|s| s.documents + s.papers + s.replies)
    }

    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.read(|s| s.acknowledged.clone())
    }

    pub fn sent(&self) -> HashSet<DeliveryId> {
        self.read(|s| s.sent.clone())
    }

    /// Until so many answers came.
    pub async fn reach(&self, answers: usize) {
        while self.answers() < answers {
            let _ = tokio::time::timeout(Duration::from_millis(100), self.changed.notified()).await;
        }
    }

    /// Until there is room for more open deliveries.
    pub async fn room(&self) {
        while self.read(|s| s.sent.len().saturating_sub(s.completed.len())) >= OPEN {
            let _ = tokio::time::timeout(Duration::from_millis(100), self.changed.notified()).await;
        }
    }

    /// What has not come yet, in words; nothing: all is finished.
    pub fn missing(&self, work: &Work) -> Vec<String> {
        self.read(|s| {
            let open: Vec<&DeliveryId> = s.sent.iter().filter(|id| !s.completed.contains_key(id)).collect();
            let counts = [
                ("sent documents", s.documents, work.documents),
                ("paper entries", s.papers, work.papers),
                ("deliveries sent", s.sent.len(), work.deliveries),
                ("deliveries that arrived", s.arrived.len(), work.deliveries),
                ("deliveries worked on", s.worked_on.len(), work.deliveries),
                ("deliveries with 06 at their sender's", s.completed.len(), work.deliveries),
            ];
            let mut missing: Vec<String> = counts
                .iter()
                .filter(|(_, found, wanted)| found != wanted)
                .map(|(what, found, wanted)| format!("{what}: {found} of {wanted}"))
                .collect();
            missing.extend(open.iter().take(5).map(|id| format!("no 06 yet for {id}")));
            missing
        })
    }
}
