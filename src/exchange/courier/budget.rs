//! Bytes in flight: bounded for each peer and for all together.
//!
//! A message is loaded from the store when there is room for it. Every peer has a little room of its own, so that peers
//! that take messages and never answer cannot use up what the others need.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::limits;

/// What a permit stands for.
const UNIT: u64 = 1_024;

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

fn semaphore(bytes: u64) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(units(bytes) as usize))
}

/// The room that all peers share.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Semaphore>);

impl Default for Shared {
    fn default() -> Shared {
        Shared(semaphore(limits::BYTES_OUT))
    }
}

/// The room of one peer.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    peer: Arc<Semaphore>,
    own: Arc<Semaphore>,
    shared: Shared,
}

/// Room for one message; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    _peer: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Budget {
    /// The room of a peer.
    pub(super) fn new(shared: Shared) -> Budget {
        Budget { peer: semaphore(limits::PEER_OUT_BYTES), own: semaphore(limits::PEER_OUT_OWN_BYTES), shared }
    }

    /// Bytes that are taken.
    pub(super) fn taken(&self) -> u64 {
        limits::PEER_OUT_BYTES.saturating_sub(self.peer.available_permits() as u64 * UNIT)
    }

    /// Room at once, if there is any.
    pub(super) fn try_take(&self, bytes: u64) -> Option<Room> {
        let units = units(bytes.min(limits::PEER_OUT_BYTES));
        let peer = self.peer.clone().try_acquire_many_owned(units).ok()?;
        let of_all = self
            .own
            .clone()
            .try_acquire_many_owned(units)
            .or_else(|_| self.shared.0.clone().try_acquire_many_owned(units))
            .ok()?;
        Some(Room { _peer: peer, _of_all: of_all })
    }

    /// Waits for room.
    pub(super) async fn take(&self, bytes: u64) -> Room {
        const OPEN: &str = "the semaphores of a budget are never closed";
        let units = units(bytes.min(limits::PEER_OUT_BYTES));
        let peer = self.peer.clone().acquire_many_owned(units).await.expect(OPEN);
        let of_all = if u64::from(units) * UNIT > limits::PEER_OUT_OWN_BYTES {
            self.shared.0.clone().acquire_many_owned(units).await
        } else {
            tokio::select! {
                biased;
                room = self.own.clone().acquire_many_owned(units) => room,
                room = self.shared.0.clone().acquire_many_owned(units) => room,
            }
        };
        Room { _peer: peer, _of_all: of_all.expect(OPEN) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: u64 = 64 * 1024;

    #[test]
    fn a_peer_that_gives_nothing_back_leaves_the_others_their_room() {
        let shared = Shared::default();
        let mut taken = Vec::new();
        for _ in 0..100 {
            let bad = Budget::new(shared.clone());
            let before = taken.len();
            while let Some(room) = bad.try_take(SMALL) {
                taken.push(room);
            }
            assert!((taken.len() - before) as u64 * SMALL <= limits::PEER_OUT_BYTES);
            assert!(bad.taken() <= limits::PEER_OUT_BYTES);
        }
        let most = limits::BYTES_OUT + 100 * limits::PEER_OUT_OWN_BYTES;
        assert!(taken.len() as u64 * SMALL <= most);
        let good = Budget::new(shared);
        let rooms: Vec<Room> = std::iter::from_fn(|| good.try_take(SMALL)).collect();
        assert_eq!(rooms.len() as u64, limits::PEER_OUT_OWN_BYTES / SMALL);
        drop(rooms);
        assert_eq!(good.taken(), 0);
    }

    #[tokio::test]
    async fn the_largest_message_finds_room_when_others_are_done() {
        let shared = Shared::default();
        let budget = Budget::new(shared.clone());
        let largest = limits::MESSAGE_BYTES as u64;
        let mut all: Vec<Room> = Vec::new();
        let others: Vec<Budget> = (0..20).map(|_| Budget::new(shared.clone())).collect();
        for other in &others {
            all.extend(std::iter::from_fn(|| other.try_take(SMALL)));
        }
        assert!(budget.try_take(largest).is_none());
        let waiting = budget.take(largest);
        tokio::pin!(waiting);
        assert!(futures_pending(&mut waiting).await);
        drop(all);
        waiting.await;
    }

    async fn futures_pending(future: &mut std::pin::Pin<&mut impl Future<Output = Room>>) -> bool {
        tokio::select! {
            biased;
            _ = future.as_mut() => false,
            () = tokio::task::yield_now() => true,
        }
    }
}
