//! Revocation data while the node runs: the configured folder is read again when it changes, and distribution points and
//! OCSP responders are asked about the certificates that a judge could not tell of.
//!
//! ```text
//! judge ──▶ Exchange::missed ──▶ missed ──▶ plan ──▶ http ──▶ kept ─┐
//!                                (queue)   (when)  (fetch) (cache) ├─▶ Exchange::set_crls, set_responses
//! signatures.crl_dir ──▶ folder ───────────────────────────────────┘      └─▶ Exchange::revocation_changed
//! ```
//!
//! All of it is in the background: a document is judged with what is there, and held when that is not enough. Only
//! certificates whose path leads to a trusted root are asked about, so the URLs are those of authorities that the
//! directory trusts; `http` still goes to no private address. What comes is verified before it is kept (`kept`) and
//! again at each use. `plan` says when; `limits` says how much; `http` asks, and is shared.
//!
//! [`Revocation::open`] has the data of the last run and of the folder in force before the first call is served.

mod folder;
mod kept;
mod limits;
mod missed;
mod plan;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};

use self::folder::Folder;
use self::kept::{Data, Kept, Put};
use self::limits::{FUTURE_MS, RESPONSE_BYTES};
pub(crate) use self::missed::Queue;
use self::plan::{Key, Kind, Outcome, Plan, Source};
use super::Exchange;
use super::http::{self, FetchError};
use super::trust::{CrlFileError, MAX_CRL_BYTES};
use crate::signature::{AnswerError, CertIdHash, CrlStore, OcspStore, Span};
use crate::time::Timestamp;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("it is of {0}, which is not yet: is this node's clock right?")]
    Future(Timestamp),
    #[error("what is at hand is newer")]
    Older,
    #[error("reading it failed: {0}")]
    Task(#[from] JoinError),
}

type Brought = Result<(Data, Span), Failure>;

/// A request that ended.
type Ended = (Key, Arc<Source>, Brought);

/// Keeps a node's revocation data current.
pub struct Revocation {
    exchange: Exchange,
    folder: Option<Folder>,
    /// None where nobody is asked.
    kept: Option<Kept>,
    plan: Plan,
}

impl Revocation {
    /// Reads what the folder holds and what was fetched in earlier runs, and puts it in force. Fails when the folder
    /// cannot be read.
    pub fn open(exchange: Exchange) -> Result<Revocation, CrlFileError> {
        let config = exchange.config();
        let mut folder = config.crl_dir.clone().map(Folder::new);
        if let Some(folder) = &mut folder {
            report(folder.look()?);
        } else {
            tracing::warn!(
                "`signatures.crl_dir` is not configured: a signature is `revocation_unknown` until its certificates' \
                 lists are fetched"
            );
        }
        let (mut plan, mut kept) = (Plan::default(), None);
        if config.fetch_revocation {
            let dir = config.data.join("revocation");
            match Kept::open(dir.clone()) {
                Ok((opened, known)) => {
                    let now = exchange.ledger().now();
                    let kept = kept.insert(opened);
                    for (source, span) in known {
                        if let Some(gone) = plan.know(source, span, now) {
                            kept.remove(&gone);
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, dir = %dir.display(),
                    "the folder of fetched revocation data cannot be used: nobody is asked"),
            }
        }
        let revocation = Revocation { exchange, folder, kept, plan };
        revocation.publish_lists();
        let responses: Vec<_> = revocation.kept.iter().flat_map(Kept::responses).collect();
        revocation.exchange.set_responses(store(responses));
        Ok(revocation)
    }

    /// Follows the folder and asks, until the node stops. What is under way then is dropped.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let exchange = self.exchange.clone();
        let (reload, private) = (exchange.config().crl_reload, exchange.config().allow_private_responders);
        let mut asked: JoinSet<Ended> = JoinSet::new();
        let mut looked = Instant::now();
        loop {
            self.plan_missed().await;
            let now = exchange.ledger().now();
            while let Some((key, source)) = self.plan.next(now) {
                asked.spawn(async move {
                    let brought = ask(&source, now, private).await;
                    (key, source, brought)
                });
            }
            let next = self.plan.wait(now).map_or(reload, |ms| Duration::from_millis(ms.unsigned_abs()));
            let wait = next.min(reload.saturating_sub(looked.elapsed()));
            tokio::select! {
                () = async { drop(stop.wait_for(|s| *s).await) } => return,
                () = exchange.inner.revocation.missed.arrival() => {}
                Some(ended) = asked.join_next() => {
                    let mut all = vec![ended];
                    all.extend(std::iter::from_fn(|| asked.try_join_next()));
                    self.take(all).await;
                }
                () = sleep(wait) => {}
            }
            if looked.elapsed() >= reload {
                self.look().await;
                looked = Instant::now();
            }
        }
    }

    /// Plans to ask about what was missed.
    async fn plan_missed(&mut self) {
        let missed = self.exchange.inner.revocation.missed.take();
        let Some(kept) = &mut self.kept else { return };
        let now = self.exchange.ledger().now();
        let sources = missed.iter().flat_map(Source::of);
        let gone: Vec<Key> = sources.filter_map(|source| self.plan.want(source, now)).collect();
        if gone.iter().filter(|key| kept.remove(key)).count() > 0 {
            erase(kept.dir(), gone).await;
        }
    }

    /// Takes what requests brought, and puts it in force.
    async fn take(&mut self, ended: Vec<Result<Ended, JoinError>>) {
        let now = self.exchange.ledger().now();
        let (mut lists, mut responses) = (false, false);
        for ended in ended {
            let (key, source, brought) = match ended {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::error!(%error, "a request for revocation data broke off");
                    continue;
                }
            };
            let kept = match brought {
                Ok((data, span)) => self.keep(&source, data, span).await.map(|new| (new, span)),
                Err(failure) => Err(failure),
            };
            let outcome = match &kept {
                Ok((_, span)) => Outcome::Fetched(*span),
                // A responder that answers one question with an error may answer the next.
                Err(Failure::Fetch(FetchError::Status(_))) if source.kind == Kind::Response => {
                    Outcome::Useless
                }
                Err(Failure::Fetch(_)) => Outcome::Unreachable,
                Err(_) => Outcome::Useless,
            };
            let wait = self.plan.done(&key, outcome, now);
            let (url, again_in_s) = (source.target.url(), wait.map(|ms| ms / 1000));
            match (kept, source.kind) {
                (Err(error), _) => {
                    tracing::warn!(%error, url, again_in_s, "revocation data could not be fetched");
                }
                (Ok((_, span)), _) if again_in_s.is_some() => {
                    tracing::warn!(until = %span.until, url, again_in_s, "fetched revocation data is out of date");
                }
                (Ok((new, span)), Kind::List) => {
                    tracing::info!(new, until = %span.until, url, "a revocation list was fetched");
                }
                (Ok((new, span)), Kind::Response) => {
                    tracing::debug!(new, until = %span.until, url, "an OCSP response was fetched");
                }
            }
            match source.kind {
                Kind::List => lists = true,
                Kind::Response => responses = true,
            }
        }
        if lists {
            self.publish_lists();
        }
        if responses {
            self.publish_responses().await;
        }
    }

    /// Keeps something new, in memory and on the disk; false: it is what was there.
    async fn keep(&mut self, source: &Arc<Source>, data: Data, span: Span) -> Result<bool, Failure> {
        let Some(kept) = &mut self.kept else { return Ok(false) };
        let gone = match kept.put(source, data.clone(), span) {
            Put::Kept(gone) => gone,
            Put::Same => return Ok(false),
            Put::Older => return Err(Failure::Older),
        };
        gone.iter().for_each(|key| self.plan.forget(key));
        let (dir, source) = (kept.dir().to_owned(), source.clone());
        let written = spawn_blocking(move || {
            kept::write(&dir, &source, &data)?;
            kept::erase(&dir, &gone)
        });
        if let Err(error) = written.await? {
            tracing::warn!(%error, "fetched revocation data is in force, and cannot be kept for the next start");
        }
        Ok(true)
    }

    /// Looks at the folder, and forgets what nobody needs.
    async fn look(&mut self) {
        if let Some(mut folder) = self.folder.take() {
            let dir = folder.dir().to_owned();
            let looked = spawn_blocking(move || {
                let found = folder.look();
                (folder, found)
            });
            self.folder = Some(match looked.await {
                Ok((folder, found)) => {
                    match found {
                        Ok(bad) => report(bad),
                        Err(error) => {
                            tracing::warn!(%error, "the folder of revocation lists cannot be read: its lists stay");
                        }
                    }
                    folder
                }
                Err(error) => {
                    tracing::error!(%error, "looking at the folder of revocation lists failed");
                    Folder::new(dir)
                }
            });
            self.publish_lists();
        }
        let old = self.plan.forget_old(self.exchange.ledger().now());
        let Some(kept) = &mut self.kept else { return };
        if old.iter().filter(|key| kept.remove(key)).count() > 0 {
            erase(kept.dir(), old).await;
            self.publish_lists();
            self.publish_responses().await;
        }
    }

    /// Puts the lists of the folder and the fetched ones in force, if they are others than before.
    fn publish_lists(&self) {
        let folder = self.folder.iter().flat_map(Folder::lists).cloned();
        let crls = CrlStore::new(folder.chain(self.kept.iter().flat_map(Kept::lists)));
        if crls.fingerprint() != self.exchange.crls().fingerprint() {
            tracing::info!(lists = crls.len(), "revocation lists are in force");
            self.exchange.set_crls(crls);
        }
    }

    /// The same with the responses.
    async fn publish_responses(&self) {
        let responses: Vec<_> = self.kept.iter().flat_map(Kept::responses).collect();
        match spawn_blocking(move || store(responses)).await {
            Ok(responses) => self.exchange.set_responses(responses),
            Err(error) => tracing::error!(%error, "OCSP responses could not be put in force"),
        }
    }
}

/// A store of responses that were read before they were kept.
fn store(responses: Vec<Arc<[u8]>>) -> OcspStore {
    OcspStore::new(responses).unwrap_or_else(|error| {
        tracing::error!(%error, "an OCSP response that was kept cannot be read");
        OcspStore::default()
    })
}

/// Removes the files of what was forgotten.
async fn erase(dir: &Path, keys: Vec<Key>) {
    let dir = dir.to_owned();
    if let Ok(Err(error)) = spawn_blocking(move || kept::erase(&dir, &keys)).await {
        tracing::warn!(%error, "fetched revocation data that nobody needs cannot be removed");
    }
}

/// Tells of files that cannot be used.
fn report(bad: Vec<CrlFileError>) {
    for error in bad {
        tracing::warn!(%error, "a revocation list cannot be used");
    }
}

/// Asks a source.
async fn ask(source: &Arc<Source>, now: Timestamp, private: bool) -> Brought {
    match source.kind {
        Kind::List => {
            let limit = usize::try_from(MAX_CRL_BYTES).unwrap_or(usize::MAX);
            let bytes = http::fetch(&source.target, None, limit, private).await?;
            read(source, bytes, now).await
        }
        // RFC 6960 appendix A.1. By SHA-1 first, which all responders know; what only knows SHA-256 says that it does
        // not know the certificate, or nothing.
        Kind::Response => match ask_responder(source, CertIdHash::Sha1, now, private).await {
            Err(Failure::Answer(_) | Failure::Fetch(FetchError::Status(_))) => {
                ask_responder(source, CertIdHash::Sha256, now, private).await
            }
            answered => answered,
        },
    }
}

async fn ask_responder(source: &Arc<Source>, hash: CertIdHash, now: Timestamp, private: bool) -> Brought {
    let request = ("application/ocsp-request", source.about.ocsp_request(hash)?);
    let bytes = http::fetch(&source.target, Some(request), RESPONSE_BYTES, private).await?;
    read(source, bytes, now).await
}

/// Reads and verifies what came: for a long list a second of work, which is no task's to hold up.
async fn read(source: &Arc<Source>, bytes: Vec<u8>, now: Timestamp) -> Brought {
    let source = source.clone();
    let (data, span) = spawn_blocking(move || Data::read(&source, bytes)).await??;
    if span.this_update > now.plus_millis(FUTURE_MS) {
        return Err(Failure::Future(span.this_update));
    }
    Ok((data, span))
}
