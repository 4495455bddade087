//! The witness at work: what waits of each log is connected with what is held, asked at most once in an interval.
//!
//! 1. The owner is asked for the paths from each checkpoint to the next.
//! 2. They are checked. One that does not lead is asked about once more, in a form that proves to others what this node
//!    found, or leaves it a suspicion.
//! 3. The largest is held: written and synced.
//! 4. It is cosigned, and the cosignature goes to the owner. One that is lost on the way is no harm: the next comes soon.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::Exchange;
use super::super::accept::Boxed;
use super::current_log;
use super::files::Kept;
use super::own::Unwritten;
use super::view::{Broken, broken};
use crate::domain::ids::NodeName;
use crate::domain::limits;
use crate::domain::reason::{Class, Reason, Rejection};
use crate::merkle::{ProofInvalid, SignedCheckpoint, cosign, prefix_root};
use crate::wire::witness::{Ask, Reply};

/// The way to a peer, as a witness needs it.
pub trait WitnessLink: Send + Sync {
    /// Asks one question.
    fn ask(&self, ask: Ask) -> Boxed<'_, Result<Reply, Rejection>>;
    /// Says hello on a connection of its own, and takes in what the peer says of both logs ([`Exchange::greeted`]).
    fn greet(&self) -> Boxed<'_, Result<(), Rejection>>;
}

/// The longest pause after questions that came to nothing, in intervals.
const PAUSE: u32 = 64;
/// How long an owner may answer without showing that its log grew, in intervals: an hour by default.
const OWES: u32 = 360;

/// Runs until the node stops.
pub async fn run(
    exchange: Exchange,
    link: impl Fn(&NodeName) -> Arc<dyn WitnessLink>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits::WITNESS_AT_ONCE));
    let every = exchange.config().witness_every;
    let mut tasks = JoinSet::new();
    let mut written = Instant::now();
    // Alarms that a crash kept out of the log, or that came before it could be written.
    for standing in exchange.witness().standings() {
        exchange.alarm(&standing.log).await;
    }
    loop {
        let (due, mut next) = exchange.due(every);
        for (peer, log) in due {
            let (exchange, link, places) = (exchange.clone(), link(&peer), places.clone());
            tasks.spawn(async move {
                let _place = places.acquire_owned().await;
                look(&exchange, &*link, &peer, &log).await;
                exchange.looked(&log);
            });
        }
        if written.elapsed() >= every {
            written = Instant::now();
            exchange.write_cosigned().await;
        }
        if exchange.witness().own().is_dirty() {
            next = Some(next.map_or(written + every, |at| at.min(written + every)));
        }
        let far = Instant::now() + Duration::from_secs(3_600);
        tokio::select! {
            biased;
            _ = stop.wait_for(|s| *s) => break,
            () = exchange.witness().wake.notified() => {}
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            () = tokio::time::sleep_until(next.unwrap_or(far)) => {}
        }
    }
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    exchange.write_cosigned().await;
}

impl Exchange {
    /// The logs that are to be asked about now, which are marked; and when the next is.
    fn due(&self, every: Duration) -> (Vec<(NodeName, String)>, Option<Instant>) {
        let directory = self.directory();
        let now = Instant::now();
        let (mut due, mut next) = (Vec::new(), None);
        for (name, log) in self.witness().logs().iter_mut() {
            let proven = log.cut.as_ref().is_some_and(|cut| cut.proven);
            let current = directory.node(&log.peer).and_then(current_log).is_some_and(|k| k.name() == name);
            if log.busy || proven || !current || !log.view.waits() {
                continue;
            }
            let pause = every * (1 << log.failures.min(PAUSE.ilog2()));
            let at = log.asked.map_or(now, |asked| asked + pause);
            if at <= now {
                (log.busy, log.asked) = (true, Some(now));
                due.push((log.peer.clone(), name.clone()));
            } else {
                next = Some(next.map_or(at, |next: Instant| next.min(at)));
            }
        }
        (due, next)
    }

    /// A log was asked about, however that ended.
    fn looked(&self, log: &str) {
        if let Some(log) = self.witness().logs().get_mut(log) {
            log.busy = false;
        }
    }

    /// Writes what others cosigned since, if anything.
    async fn write_cosigned(&self) {
        let Unwritten { newest, days } = self.witness().own().take_unwritten();
        if newest.is_none() && days.is_empty() {
            return;
        }
        let exchange = self.clone();
        let _ = tokio::task::spawn_blocking(move || {
            let Some((files, _)) = exchange.witness().kept.get() else { return };
            // Those first that the newest will not be among for long.
            for (day, notes) in days {
                if let Err(error) = files.keep_of_day(&day.to_string(), &notes) {
                    tracing::error!(%error, "what others cosigned could not be written");
                    exchange.witness().own().give_back(day, notes);
                }
            }
            if let Err(error) = newest.map_or(Ok(()), |notes| files.keep_newest(&notes)) {
                tracing::error!(%error, "what others cosigned could not be written");
            }
        })
        .await;
    }
}

/// A question with the time that it may take.
async fn ask(link: &dyn WitnessLink, ask: Ask) -> Result<Reply, Rejection> {
    let late = |_| {
        let what = format!("no answer within {} s", limits::WITNESS_ANSWER.as_secs());
        Err(Rejection::new(Reason::PeerUnreachable, "", what))
    };
    tokio::time::timeout(limits::WITNESS_ANSWER, link.ask(ask)).await.unwrap_or_else(late)
}

/// Asks a log's owner for the paths from each checkpoint of a chain to the next.
async fn growth(
    link: &dyn WitnessLink,
    log: &str,
    chain: &[SignedCheckpoint],
    held: Option<&SignedCheckpoint>,
) -> Result<Reply, Rejection> {
    if chain.len() < 2 {
        return Ok(Reply::Growth(Vec::new()));
    }
    let sizes = chain.iter().map(|c| c.checkpoint().size).collect();
    let held = held.map_or_else(String::new, |held| held.note().to_owned());
    ask(link, Ask::Growth { held, log: log.to_owned(), sizes }).await
}

/// Connects what waits of a log.
async fn look(exchange: &Exchange, link: &dyn WitnessLink, peer: &NodeName, log: &str) {
    let waiting = || {
        let logs = exchange.witness().logs();
        logs.get(log).map(|entry| (entry.view.chain(), entry.view.held().cloned()))
    };
    let Some((mut chain, mut held)) = waiting() else { return };
    // 1
    let mut paths = growth(link, log, &chain, held.as_ref()).await;
    // The connection that carried the question may have brought a newer checkpoint: what the answer does not show of the
    // older ones, it may show of that one. Asked once more, whatever else comes.
    if matches!(&paths, Ok(Reply::Growth(paths)) if !broken(&chain, paths).is_empty())
        && let Some((fresh, still)) = waiting().filter(|(fresh, _)| *fresh != chain)
    {
        paths = growth(link, log, &fresh, still.as_ref()).await;
        (chain, held) = (fresh, still);
    }
    // 2
    let paths = match paths {
        Ok(Reply::Growth(paths)) => paths,
        Ok(_) => return owes(exchange, peer, log, "it answered something else").await,
        Err(rejection) if rejection.reason.class() == Class::NotFound => {
            let newest = chain.last().map_or(0, |c| c.checkpoint().size);
            let why = format!(
                "its key signed a checkpoint of {newest} events, and it has no such log: {rejection}"
            );
            failed(exchange, log);
            if let Some((older, newer)) = smaller(exchange, log) {
                let path = ProofInvalid::SizesReversed { from: newest, to: newer.checkpoint().size };
                return convict(exchange, link, peer, log, &[Broken { older, newer, why: path }]).await;
            }
            return exchange.suspected(log, &why).await;
        }
        Err(rejection) if rejection.reason == Reason::PeerUnreachable => {
            tracing::info!(peer = %peer, reason = %rejection, "the peer's log cannot be witnessed for now");
            return failed(exchange, log);
        }
        Err(rejection) => return owes(exchange, peer, log, &rejection.to_string()).await,
    };
    let broken = broken(&chain, &paths);
    if !broken.is_empty() {
        failed(exchange, log);
        return convict(exchange, link, peer, log, &broken).await;
    }
    // 3
    let Some(newest) = chain.last().cloned() else { return };
    let advanced = held.is_none_or(|held| held.checkpoint().size < newest.checkpoint().size);
    if advanced && !hold(exchange, log, &newest).await {
        return failed(exchange, log);
    }
    let lifted = {
        let mut logs = exchange.witness().logs();
        let Some(entry) = logs.get_mut(log) else { return };
        entry.view.connect(chain);
        (entry.failures, entry.owes_since) = (0, None);
        let lifted = entry.cut.as_ref().is_some_and(|cut| !cut.proven);
        if lifted {
            entry.cut = None;
        }
        lifted
    };
    if lifted {
        tracing::warn!(peer = %peer, log, "the peer showed that its log only grew: exchange goes on");
        exchange.keep(log);
        exchange.queues().reopened();
    }
    // 4
    if advanced {
        give(exchange, link, peer, &newest).await;
    }
}

/// A log that has fewer events than it signed before, and goes on: the first of its checkpoints that wait, and the one
/// before it that was connected.
fn smaller(exchange: &Exchange, log: &str) -> Option<(SignedCheckpoint, SignedCheckpoint)> {
    let logs = exchange.witness().logs();
    let view = &logs.get(log)?.view;
    let newer = view.chain().into_iter().find(|c| view.held() != Some(c))?;
    let older = view.connected_up_to(newer.checkpoint().size)?.clone();
    Some((older, newer))
}

/// Writes the newest checkpoint of a log, with what else is known of it.
async fn hold(exchange: &Exchange, log: &str, newest: &SignedCheckpoint) -> bool {
    let cut = exchange.witness().logs().get(log).and_then(|l| l.cut.clone());
    let kept = Kept { log: log.to_owned(), held: Some(newest.note().to_owned()), cut };
    let exchange = exchange.clone();
    let written = tokio::task::spawn_blocking(move || {
        let Some((files, _)) = exchange.witness().kept.get() else { return false };
        exchange.write(files, &kept)
    });
    written.await.unwrap_or(false)
}

/// Cosigns what is held, and gives it to the log's owner.
async fn give(exchange: &Exchange, link: &dyn WitnessLink, peer: &NodeName, held: &SignedCheckpoint) {
    let Some((_, cosigner)) = exchange.witness().kept.get() else { return };
    let seconds = u64::try_from(exchange.ledger().now().millis() / 1_000).unwrap_or(0);
    let note = format!("{}{}", held.note(), cosign(held, seconds, cosigner));
    if let Err(rejection) = ask(link, Ask::Cosigned(note)).await {
        tracing::info!(peer = %peer, reason = %rejection, "a cosignature was not taken");
    }
}

/// The question came to nothing: the next comes later each time.
fn failed(exchange: &Exchange, log: &str) {
    if let Some(entry) = exchange.witness().logs().get_mut(log) {
        entry.failures = entry.failures.saturating_add(1);
    }
}

/// The owner answers, and does not show that its log grew. That may pass; when it lasts, exchange stops.
async fn owes(exchange: &Exchange, peer: &NodeName, log: &str, what: &str) {
    tracing::info!(peer = %peer, log, what, "the peer did not show that its log only grew");
    failed(exchange, log);
    let long = {
        let mut logs = exchange.witness().logs();
        let Some(entry) = logs.get_mut(log) else { return };
        let since = *entry.owes_since.get_or_insert_with(Instant::now);
        since.elapsed() >= exchange.config().witness_every * OWES
    };
    if long {
        exchange.suspected(log, &format!("its node does not show that it only grew: {what}")).await;
    }
}

/// Paths do not lead from one checkpoint to the next. The older tree's last leaf in the newer tree shows to anyone which
/// root the older one had in that history; who gives none is not believed, and nothing is proven.
async fn convict(exchange: &Exchange, link: &dyn WitnessLink, peer: &NodeName, log: &str, broken: &[Broken]) {
    let mut why = String::new();
    for Broken { older, newer, why: path } in broken.iter().take(limits::WITNESS_PREFIXES) {
        let (a, b) = (older.checkpoint(), newer.checkpoint());
        let asked = ask(link, Ask::Prefix { log: log.to_owned(), size: a.size, of: b.size }).await;
        let said = match asked {
            Ok(Reply::Prefix(leaf, path)) => match prefix_root(&leaf, a.size, b.size, &path, &b.root) {
                Ok(root) if root != a.root => {
                    return exchange.forked(peer, (older, newer), Some((&leaf, &path))).await;
                }
                Ok(_) => "the path of one leaf does".to_owned(),
                Err(error) => format!("asked for the path of one leaf: {error}"),
            },
            Ok(_) => "asked for the path of one leaf, it answered something else".to_owned(),
            Err(rejection) => format!("asked for the path of one leaf: {rejection}"),
        };
        if why.is_empty() {
            why = format!(
                "it did not show that its {} events begin with the {} that it signed before: {path}; {said}",
                b.size, a.size
            );
        }
    }
    exchange.suspected(log, &why).await;
}
