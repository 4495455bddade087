//! Places for large transfers between nodes, and how far those are that this node serves.
//!
//! A large message waits here while small ones pass: the node that has it offers a few at a time to each peer, the node
//! that takes it pulls a few at a time from each peer and over all, and serves a few at a time to each and over all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::domain::ids::DeliveryId;
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};

/// How long a pull waits for a place among those of all peers before its peer is told to try again.
const WAIT: Duration = Duration::from_secs(60);

/// Deliveries whose serving is remembered before old ones are forgotten, and what is old.
const SERVED: usize = 1_000;
const FORGET: Duration = Duration::from_secs(3_600);

/// Places of one kind, some for each peer and some over all.
pub(crate) struct Lane {
    what: &'static str,
    each: usize,
    all: usize,
    overall: Arc<Semaphore>,
    peers: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place that is taken.
pub(crate) struct Place {
    _own: OwnedSemaphorePermit,
    _overall: OwnedSemaphorePermit,
}

impl Lane {
    fn new(what: &'static str, each: usize, all: usize) -> Lane {
        Lane { what, each, all, overall: Arc::new(Semaphore::new(all)), peers: Mutex::default() }
    }

    fn refused(&self, limit: usize) -> Rejection {
        Rejection::new(
            Reason::Overloaded,
            "",
            format!("{limit} {} are under way, more are not served at once: try again later", self.what),
        )
    }

    fn own(&self, who: &str) -> Result<OwnedSemaphorePermit, Rejection> {
        let own = {
            let mut peers = self.peers.lock().expect("no holder of this lock panics");
            // Whoever has nothing under way needs no entry.
            peers.retain(|_, places| places.available_permits() < self.each || Arc::strong_count(places) > 1);
            peers.entry(who.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.each))).clone()
        };
        own.try_acquire_owned().map_err(|_| self.refused(self.each))
    }

    /// A place at once, or none.
    pub fn try_take(&self, who: &str) -> Result<Place, Rejection> {
        let own = self.own(who)?;
        let overall = self.overall.clone().try_acquire_owned().map_err(|_| self.refused(self.all))?;
        Ok(Place { _own: own, _overall: overall })
    }

    /// A place among those of its own at once, among all in a while.
    pub async fn take(&self, who: &str) -> Result<Place, Rejection> {
        let own = self.own(who)?;
        match tokio::time::timeout(WAIT, self.overall.clone().acquire_owned()).await {
            Ok(Ok(overall)) => Ok(Place { _own: own, _overall: overall }),
            _ => Err(self.refused(self.all)),
        }
    }
}

/// All places.
pub(crate) struct Places {
    /// Content pulled from peers.
    pub pulls: Lane,
    /// Content served to peers.
    pub serves: Lane,
    /// Large content handed to clients.
    pub fetches: Lane,
    served: Mutex<HashMap<DeliveryId, Instant>>,
}

impl Default for Places {
    fn default() -> Self {
        Places {
            pulls: Lane::new("pulls of large content", limits::LARGE_IN_FLIGHT, limits::PULLS),
            serves: Lane::new("streams of large content", 2 * limits::LARGE_IN_FLIGHT, limits::SERVES),
            fetches: Lane::new("fetches of large content", limits::CLIENT_FETCHES, limits::FETCHES),
            served: Mutex::default(),
        }
    }
}

impl Places {
    /// Content of a delivery was served.
    pub fn note_served(&self, id: DeliveryId) {
        let mut served = self.served.lock().expect("no holder of this lock panics");
        if served.len() >= SERVED {
            // Of deliveries that nobody waits for.
            served.retain(|_, at| at.elapsed() < FORGET);
        }
        served.insert(id, Instant::now());
    }

    /// Whether content of a delivery was served lately.
    pub fn was_served(&self, id: &DeliveryId, within: Duration) -> bool {
        let served = self.served.lock().expect("no holder of this lock panics");
        served.get(id).is_some_and(|at| at.elapsed() < within)
    }

    /// The delivery came to an end.
    pub fn end_served(&self, id: &DeliveryId) {
        self.served.lock().expect("no holder of this lock panics").remove(id);
    }
}
