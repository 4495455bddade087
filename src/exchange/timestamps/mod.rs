//! Timestamps of this log's checkpoints: an RFC 3161 authority says since when a checkpoint, and with it every event
//! under it, exists. Without one, an event's time is this node's word and its witnesses'.
//!
//! At an interval, when the log has grown, the newest checkpoint (the signed note as the log's key signed it, without
//! cosignatures) is sent to the authority by its digest; the token is judged under the document roots, and kept beside
//! the checkpoint ([`Stamps`]). All of it is in the background: no commit and no answer waits for it, it writes no event,
//! and a log that does not grow asks nothing. When the authority does not answer, it is tried again ever less often, and
//! [`Stamping`] says since when and why: in `status`, in the metrics, and in the log, once.

mod kept;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Exchange;
use super::http::{self, FetchError, Target};
use crate::config::{Config, Timestamps};
use crate::ledger::{Ledger, Snapshot};
use crate::signature::{AttachError, Reason, Stamp, TIMESTAMP_QUERY, TimestampQuery, prove_timestamp};
use crate::time::Timestamp;

pub use kept::{MAX_TOKEN, Stamped, Stamps, StampsError, stamped_size, token_files};

/// Time until the first try after a failure; doubled with each, up to the interval.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// How it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Where an authority is asked; empty: none is configured.
    pub authority: String,
    /// Size of the log at the newest stamped checkpoint, and the time in the stamp.
    pub last: Option<(u64, Timestamp)>,
    /// Since when no timestamp is had, and why; `None`: the last try succeeded.
    pub failing: Option<(Timestamp, String)>,
}

/// The state, and what is kept.
#[derive(Debug)]
pub struct Stamping {
    stamps: Stamps,
    state: Mutex<State>,
}

impl Stamping {
    /// Opens what was kept. A folder that cannot be read stops nothing: it is told, and nothing of it is known.
    pub(crate) fn open(config: &Config, ledger: &Ledger) -> Stamping {
        let (stamps, problem) = match Stamps::open(&config.data, ledger.origin()) {
            Ok(stamps) => (stamps, None),
            Err(error) => {
                tracing::error!(%error, "the timestamps that were kept cannot be read");
                (Stamps::empty(&config.data, ledger.origin()), Some((ledger.now(), error.to_string())))
            }
        };
        let authority = config.timestamps.as_ref().map(|t| t.url.clone()).unwrap_or_default();
        let state = State { authority, last: stamps.newest(), failing: problem };
        Stamping { stamps, state: Mutex::new(state) }
    }

    /// How it goes.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// What is kept.
    pub fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no timestamp.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Token(#[from] AttachError),
    #[error("the timestamp proves nothing: {0}: {1}; its authority must be one under the document roots")]
    Worthless(Reason, String),
    #[error("it cannot be kept: {0}")]
    Keep(#[from] StampsError),
    #[error("{0}")]
    Task(String),
}

/// Asks for timestamps until the node stops; where no authority is configured it only waits for that.
pub async fn run(exchange: Exchange, mut stop: watch::Receiver<bool>) {
    let Some(Timestamps { url, interval }) = exchange.config().timestamps.clone() else {
        // A task that ends before the node stops is taken for one that failed.
        drop(stop.wait_for(|s| *s).await);
        return;
    };
    let mut grown = exchange.ledger().subscribe();
    let mut retry = FIRST_RETRY;
    loop {
        let snapshot = grown.borrow_and_update().clone();
        let stamping = exchange.stamping();
        let last = stamping.state().last;
        let wait = if last.is_some_and(|(size, _)| size >= snapshot.size()) || snapshot.checkpoint().is_none()
        {
            // Nothing new: until there is.
            tokio::select! {
                changed = grown.changed() => if changed.is_err() { return } else { continue },
                () = async { drop(stop.wait_for(|s| *s).await) } => return,
            }
        } else {
            let asked = async {
                match ask(&exchange, &url, &snapshot).await {
                    Ok((size, at)) => {
                        succeeded(stamping, size, at);
                        retry = FIRST_RETRY;
                        interval
                    }
                    Err(error) => {
                        failed(stamping, &url, exchange.ledger().now(), &error);
                        let wait = retry.min(interval);
                        retry = wait * 2;
                        wait
                    }
                }
            };
            tokio::select! {
                wait = asked => wait,
                () = async { drop(stop.wait_for(|s| *s).await) } => return,
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = async { drop(stop.wait_for(|s| *s).await) } => return,
        }
    }
}

fn succeeded(stamping: &Stamping, size: u64, at: Timestamp) {
    let mut state = stamping.lock();
    state.last = Some((size, at));
    if let Some((since, _)) = state.failing.take() {
        tracing::info!(%since, size, %at, "checkpoints are timestamped again");
    } else {
        tracing::debug!(size, %at, "a checkpoint was timestamped");
    }
}

fn failed(stamping: &Stamping, url: &str, now: Timestamp, error: &Failure) {
    let mut state = stamping.lock();
    let text = error.to_string();
    let since = state.failing.as_ref().map_or(now, |(since, _)| *since);
    if state.failing.as_ref().is_none_or(|(_, before)| *before != text) {
        tracing::warn!(%error, url, %since,
            "checkpoints get no timestamps: the node goes on, and tries again");
    }
    state.failing = Some((since, text));
}

async fn ask(exchange: &Exchange, url: &str, snapshot: &Snapshot) -> Result<(u64, Timestamp), Failure> {
    let Some(checkpoint) = snapshot.checkpoint() else {
        return Err(Failure::Task("the log has no checkpoint".into()));
    };
    let (size, note) = (snapshot.size(), checkpoint.note().to_owned());
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| Failure::Task("there is no randomness".into()))?;
    let query = TimestampQuery::of_bytes(note.as_bytes(), random);
    // The operator's own word says where: it may be an address of the agency's own network.
    let request = Some((TIMESTAMP_QUERY, query.to_der()));
    let reply = http::fetch(&Target::parse(url)?, request, MAX_TOKEN, true).await?;
    let token = query.token(&reply)?;
    let exchange = exchange.clone();
    let kept = spawn_blocking(move || {
        let now = exchange.ledger().now();
        // Its clock may be a little ahead of this one.
        let trust = exchange.trust(&exchange.directory());
        let stamp = prove_timestamp(&token, note.as_bytes(), &trust, now.plus_millis(AHEAD_MS))?;
        exchange.missed_of(&stamp.missed);
        if let Some((reason, detail)) = worthless(&stamp) {
            return Err(Failure::Worthless(reason, detail));
        }
        let at = stamp.claimed_at;
        exchange.stamping().stamps.keep(Stamped { size, at, note, token })?;
        Ok((size, at))
    });
    kept.await.map_err(|e| Failure::Task(e.to_string()))?
}

/// How far an authority's clock may be ahead of this node's, in milliseconds.
const AHEAD_MS: i64 = 60_000;

/// What is kept must prove its time, but for revocation data, which may come later.
fn worthless(stamp: &Stamp) -> Option<(Reason, String)> {
    stamp.fault.clone().filter(|(reason, _)| *reason != Reason::RevocationUnknown)
}
