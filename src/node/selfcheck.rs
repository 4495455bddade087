//! A running node checks itself, by itself: the whole log, every fold and the files beside it, and all content where
//! that is configured.
//!
//! Gently: on a thread of the lowest priority, at a bounded rate, and not at all once the node stops. What comes of it
//! stands in `status`, the metrics and one line of the log; what is wrong is an `Alarm` event as well.

use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::NodeError;
use crate::audit::{self, Checked};
use crate::domain::Command;
use crate::domain::administration::SELF_CHECK;
use crate::domain::event::EventKind;
use crate::exchange::Exchange;
use crate::exchange::checks::LastCheck;
use crate::exchange::retention::next_hour;
use crate::merkle::NoteVerifier;
use crate::store::StoreError;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// Characters of what an alarm says of the first finding.
const DETAIL_CHARS: usize = 300;
/// Findings that are told in the log of the program.
const TOLD: usize = 10;

/// Runs until the node stops.
pub(super) async fn watch(
    exchange: Exchange,
    key: NoteVerifier,
    mut stop: watch::Receiver<bool>,
) -> Result<(), NodeError> {
    let config = exchange.config().check;
    if config.every_hours == 0 {
        return stopped(stop).await;
    }
    let mut due = next_hour(exchange.ledger().now(), config.hour);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return Ok(()),
        }
        let now = exchange.ledger().now();
        if now >= due {
            let hours = i64::try_from(config.every_hours).unwrap_or(24);
            due = now.plus_millis(hours * 3_600_000);
            if hours % 24 == 0 {
                due = next_hour(due.plus_millis(-24 * 3_600_000), config.hour);
            }
            check(&exchange, &key, stop.clone()).await;
        }
    }
}

/// A task that ends early would end the node.
async fn stopped(mut stop: watch::Receiver<bool>) -> Result<(), NodeError> {
    drop(stop.wait_for(|s| *s).await);
    Ok(())
}

/// One check; `None` where another is under way, it was cut short, or nothing can be said.
pub(super) async fn check(
    exchange: &Exchange,
    key: &NoteVerifier,
    stop: watch::Receiver<bool>,
) -> Option<LastCheck> {
    if !exchange.checks().begin() {
        return None;
    }
    let began = Instant::now();
    let result = run(exchange.clone(), key.clone(), stop).await;
    let last = match result {
        Ok(Some(checked)) => {
            let last = LastCheck {
                at: exchange.ledger().now(),
                took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                events: checked.events,
                findings: checked.findings.len() as u64 + checked.unlisted,
                first: checked.first,
                content_bytes: checked.content.map_or(0, |c| c.bytes),
            };
            tell(exchange, &checked, &last).await;
            Some(last)
        }
        Ok(None) => None,
        Err(error) => {
            tracing::error!(%error, "the node could not check itself");
            None
        }
    };
    exchange.checks().end(last);
    last
}

async fn tell(exchange: &Exchange, checked: &Checked, last: &LastCheck) {
    if checked.is_clean() {
        tracing::info!(
            events = last.events,
            took_ms = last.took_ms,
            "the node checked itself: nothing is wrong"
        );
        return;
    }
    for finding in checked.findings.iter().take(TOLD) {
        tracing::error!(%finding, "found wrong when the node checked itself");
    }
    tracing::error!(
        findings = last.findings,
        first = last.first,
        "the node checked itself and something is wrong: stop it and run `lienthong audit check`"
    );
    let first = checked.findings.iter().min_by_key(|f| (f.index.is_none(), f.index));
    let detail = first.map_or_else(String::new, ToString::to_string);
    let detail = format!("{} findings; the first: {detail}", last.findings);
    let kind = EventKind::Alarm {
        reason: SELF_CHECK.to_owned(),
        peer: String::new(),
        detail: detail.chars().take(DETAIL_CHARS).collect(),
    };
    if let Err(error) = exchange.ledger().commit(Command::Note { kind }).await {
        tracing::error!(%error, "the alarm could not be recorded");
    }
}

/// The check itself, on a thread of its own.
async fn run(
    exchange: Exchange,
    key: NoteVerifier,
    stop: watch::Receiver<bool>,
) -> Result<Option<Checked>, StoreError> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("self-check".into())
        .spawn(move || drop(done.send(on_thread(&exchange, &key, &stop))))
        .map_err(StoreError::io("starting a thread for", "the check of the log"))?;
    // A thread that panicked says nothing.
    result.await.unwrap_or(Ok(None))
}

fn on_thread(
    exchange: &Exchange,
    key: &NoteVerifier,
    stop: &watch::Receiver<bool>,
) -> Result<Option<Checked>, StoreError> {
    // Of this thread alone, on Linux; those that it starts have it from it. Where that may not be, the rate must do.
    let _ = rustix::process::nice(19);
    let config = exchange.config().check;
    let pace = Pace::new(config.events_per_second);
    let go_on = |n: u64| {
        pace.at(n);
        !*stop.borrow()
    };
    let Some(checked) = audit::check_running(exchange, key, go_on)? else {
        return Ok(None);
    };
    if !config.content {
        return Ok(Some(checked));
    }
    let pace = Pace::new(config.megabytes_per_second.saturating_mul(1_000_000));
    let content = audit::check_content_of(exchange.ledger(), |bytes| {
        // When the node stops, what is left is read without rest, or not at all: that is found out below.
        if !*stop.borrow() {
            pace.at(bytes);
        }
    })?;
    Ok((!*stop.borrow()).then(|| checked.with_content(content)))
}

/// Keeps something under a rate.
struct Pace {
    per_second: u64,
    began: Instant,
}

impl Pace {
    fn new(per_second: u64) -> Pace {
        Pace { per_second: per_second.max(1), began: Instant::now() }
    }

    /// So many are done: rests when that is too quick.
    fn at(&self, n: u64) {
        let due = Duration::from_secs_f64(n as f64 / self.per_second as f64);
        let early = due.saturating_sub(self.began.elapsed());
        if early > Duration::from_millis(5) {
            std::thread::sleep(early.min(Duration::from_millis(500)));
        }
    }
}
