//! Messages of one urgency that may go: the senders take turns, each in its own order. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::domain::ids::{AgencyId, DeliveryId};

/// The turns of the senders.
#[derive(Debug, Default)]
pub(super) struct Ring {
    turns: VecDeque<AgencyId>,
    queues: HashMap<AgencyId, BTreeMap<u64, DeliveryId>>,
}

impl Ring {
    /// A message of a sender, at its place in the sender's order.
    pub(super) fn push(&mut self, sender: &AgencyId, index: u64, id: DeliveryId) {
        if let Some(queue) = self.queues.get_mut(sender) {
            queue.insert(index, id);
        } else {
            self.queues.insert(sender.clone(), BTreeMap::from([(index, id)]));
            self.turns.push_back(sender.clone());
        }
    }

    /// The first message of the sender whose turn it is.
    pub(super) fn pop(&mut self) -> Option<DeliveryId> {
        let sender = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&sender)?;
        let (_, id) = queue.pop_first()?;
        if queue.is_empty() {
            self.queues.remove(&sender);
        } else {
            self.turns.push_back(sender);
        }
        Some(id)
    }

    /// Takes a message out of turn.
    pub(super) fn remove(&mut self, sender: &AgencyId, index: u64) {
        let Some(queue) = self.queues.get_mut(sender) else { return };
        queue.remove(&index);
        if queue.is_empty() {
            self.queues.remove(sender);
            self.turns.retain(|s| s != sender);
        }
    }

    /// Senders that have something.
    pub(super) fn senders(&self) -> usize {
        self.queues.len()
    }
}
