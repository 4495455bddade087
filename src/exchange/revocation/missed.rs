//! Certificates whose revocation was missed by a judge, until the node asks: each once, a bounded number.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::limits::MISSED;
use crate::signature::Missed;

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<([u8; 32], Missed)>,
    known: HashSet<[u8; 32]>,
}

impl Queue {
    /// Adds one, unless it waits already; of too many the oldest goes.
    pub fn push(&self, missed: &Missed) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let id = missed.sha256();
        if !waiting.known.insert(id) {
            return;
        }
        waiting.order.push_back((id, missed.clone()));
        if waiting.order.len() > MISSED
            && let Some((oldest, _)) = waiting.order.pop_front()
        {
            waiting.known.remove(&oldest);
        }
        drop(waiting);
        self.came.notify_one();
    }

    /// Takes all.
    pub fn take(&self) -> Vec<Missed> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.known.clear();
        waiting.order.drain(..).map(|(_, missed)| missed).collect()
    }

    /// Resolves when one came since the last time it did.
    pub async fn arrival(&self) {
        self.came.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::missed;
    use super::*;

    #[test]
    fn each_is_kept_once_and_of_too_many_the_oldest_goes() {
        let queue = Queue::default();
        let all: Vec<Missed> = (0..3).map(|_| missed(&[], &[])).collect();
        for one in [&all[0], &all[1], &all[0]] {
            queue.push(one);
        }
        assert_eq!(queue.take(), all[..2]);
        assert!(queue.take().is_empty());
        let mut waiting = queue.waiting.lock().unwrap();
        for n in 0..MISSED {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            waiting.order.push_back((id, all[0].clone()));
            waiting.known.insert(id);
        }
        drop(waiting);
        queue.push(&all[2]);
        let kept = queue.take();
        assert_eq!((kept.len(), kept.last()), (MISSED, Some(&all[2])));
    }
}
