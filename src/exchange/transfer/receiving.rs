//! The content of one message on its way in: hashed as it passes, compared part by part with what was announced.
//!
//! Up to [`content::RECORD_BYTES`] it stays in memory until it is complete. More goes to a [`Partial`] on the disk, so
//! that it can be gone on with: written, hashed and synced on threads of their own, a few at a time, in batches; a call
//! has no more of it in memory than a batch and what its connection buffers. When it ends early, for whatever reason,
//! what came is made durable and kept; what turned out wrong, or met a failing disk, is removed.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedMutexGuard, watch};

use super::{Registry, Wanted};
use crate::domain::ids;
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::Exchange;
use crate::exchange::pressure::Pledge;
use crate::ledger::storage;
use crate::merkle::Hash;
use crate::signature::{Digests, Hasher};
use crate::store::content::partial::{Mark, Partial};
use crate::store::{StoreError, content};

/// Bytes of memory that a part gets before its content comes.
const SMALL: u64 = 16 * 1024;

/// Content on its way in.
pub(crate) struct Receiving {
    exchange: Exchange,
    wanted: Arc<[Wanted]>,
    /// Taken while a thread works on it; gone when that thread ended badly.
    flow: Option<Flow>,
    /// What waits to be written, to a partial only.
    batch: Vec<Bytes>,
    batched: usize,
    cancelled: Option<watch::Receiver<bool>>,
}

/// How far it is.
struct Flow {
    wanted: Arc<[Wanted]>,
    part: usize,
    seen: u64,
    hasher: Hasher,
    digests: Vec<Digests>,
    body: Body,
}

enum Body {
    /// It is only checked.
    Nothing,
    /// Small: every part so far.
    Memory(Vec<BytesMut>),
    /// Large.
    Kept(Box<Kept>),
}

/// A partial with the right to write to it.
pub(super) struct Kept {
    pub exchange: Exchange,
    pub partial: Partial,
    /// Room for what is to come.
    pub room: Option<Arc<Pledge>>,
    pub fate: Fate,
    /// Bytes since the newest mark, and after how many the next is written.
    pub unmarked: u64,
    pub interval: u64,
    pub wanted: Arc<[Wanted]>,
    /// What the newest mark would be now.
    pub position: Position,
    /// Ends this transfer when another goes on with it.
    pub cancelled: watch::Receiver<bool>,
    pub _guard: OwnedMutexGuard<()>,
}

/// What becomes of a partial when nobody writes to it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is kept, to go on.
    Keep,
    /// It is removed.
    Remove,
}

/// A place in the parts' bytes, and the digest of its part up to there.
#[derive(Clone)]
pub(super) struct Position {
    pub part: usize,
    pub seen: u64,
    pub hasher: Hasher,
    pub digests: Vec<Digests>,
}

impl Position {
    /// The beginning.
    pub fn start(wanted: &[Wanted]) -> Position {
        let needs = wanted.first().map_or_else(Default::default, |w| w.needs);
        Position { part: 0, seen: 0, hasher: Hasher::new(needs), digests: Vec::new() }
    }

    fn mark(&self, at: i64) -> Mark {
        let prefix = Hash(self.hasher.sha256_so_far());
        Mark { at, part: self.part as u32, offset: self.seen, prefix }
    }
}

/// Why bytes were not taken.
enum Fault {
    /// They are not what was announced.
    Wrong(Rejection),
    /// The disk.
    Store(StoreError),
}

impl Fault {
    fn into_rejection(self) -> Rejection {
        match self {
            Fault::Wrong(rejection) => rejection,
            Fault::Store(error) => storage(&error),
        }
    }
}

impl Kept {
    fn mark(&mut self) -> Result<(), StoreError> {
        let mark = self.position.mark(self.exchange.ledger().now().millis());
        self.partial.mark(&mark)?;
        self.unmarked = 0;
        let sizes: Vec<u64> = self.wanted.iter().map(|w| w.size).collect();
        self.registry().marked(&self.partial.name(), mark.total(&sizes), mark.at);
        Ok(())
    }

    /// What has come needs no room any more.
    pub fn count_room(&self) {
        if let Some(room) = &self.room {
            let Position { part, seen, .. } = &self.position;
            let all = self.wanted.iter().skip(*part).fold(0, |n: u64, w| n.saturating_add(w.size));
            room.set(all.saturating_sub(*seen));
        }
    }

    fn registry(&self) -> &Registry {
        &self.exchange.inner.transfers.registry
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let name = self.partial.name();
        if self.fate == Fate::Keep
            && self.unmarked > 0
            && let Err(error) = self.mark()
        {
            tracing::warn!(%error, "a transfer that broke off cannot be kept");
            self.fate = Fate::Remove;
        }
        if self.fate == Fate::Remove {
            self.registry().forget(&name);
            if let Err(error) = self.exchange.ledger().content().remove_partial(&name) {
                tracing::warn!(%error, "what came of a transfer is removed at the next start");
            }
        }
    }
}

impl Flow {
    fn position(&self) -> Position {
        Position {
            part: self.part,
            seen: self.seen,
            hasher: self.hasher.clone(),
            digests: self.digests.clone(),
        }
    }

    /// Takes bytes; whatever comes of it, `body` knows its fate afterwards.
    fn absorb(&mut self, data: &[u8]) -> Result<(), Fault> {
        let outcome = self.take(data);
        let fault = outcome.is_err();
        if let Body::Kept(kept) = &mut self.body {
            kept.position = Position {
                part: self.part,
                seen: self.seen,
                hasher: self.hasher.clone(),
                digests: Vec::new(),
            };
            kept.count_room();
            if fault {
                kept.fate = Fate::Remove;
            } else if kept.unmarked >= kept.interval
                && let Err(error) = kept.mark()
            {
                kept.fate = Fate::Remove;
                return Err(Fault::Store(error));
            }
        }
        outcome
    }

    fn take(&mut self, mut data: &[u8]) -> Result<(), Fault> {
        while !data.is_empty() {
            let Some(part) = self.wanted.get(self.part) else {
                return Err(Fault::Wrong(Rejection::new(
                    Reason::ContentMismatch,
                    "data",
                    format!("{} bytes came after the last part: send what the header announced", data.len()),
                )));
            };
            let left = part.size - self.seen;
            let (now, later) = data.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(data.len()));
            self.hasher.update(now);
            match &mut self.body {
                Body::Nothing => {}
                Body::Memory(parts) => parts[self.part].extend_from_slice(now),
                Body::Kept(kept) => {
                    kept.partial.write(self.part as u32, self.seen, now).map_err(Fault::Store)?;
                    kept.unmarked += now.len() as u64;
                }
            }
            self.seen += now.len() as u64;
            data = later;
            self.next_part().map_err(Fault::Wrong)?;
        }
        Ok(())
    }

    /// Ends parts that are whole, empty ones at once; stops in the first that is not.
    fn next_part(&mut self) -> Result<(), Rejection> {
        while let Some(part) = self.wanted.get(self.part) {
            if let Body::Memory(parts) = &mut self.body
                && parts.len() <= self.part
            {
                // Memory is taken as content comes, not as it is announced; most content comes at once.
                parts.push(BytesMut::with_capacity(part.size.min(SMALL) as usize));
            }
            if self.seen < part.size {
                return Ok(());
            }
            let next = self.wanted.get(self.part + 1).map_or_else(Default::default, |w| w.needs);
            let digests = std::mem::replace(&mut self.hasher, Hasher::new(next)).finish();
            part.check(self.part, &digests)?;
            self.digests.push(digests);
            self.part += 1;
            self.seen = 0;
        }
        Ok(())
    }
}

impl Receiving {
    /// Content that stays in memory, or (`only_checked`) nowhere.
    pub(super) fn small(
        exchange: &Exchange,
        wanted: Arc<[Wanted]>,
        only_checked: bool,
    ) -> Result<Receiving, Rejection> {
        let body = if only_checked { Body::Nothing } else { Body::Memory(Vec::new()) };
        Receiving::new(exchange, wanted.clone(), Position::start(&wanted), body, None)
    }

    /// Content that goes to a partial, from where it stands.
    pub(super) fn kept(kept: Kept, exchange: &Exchange) -> Result<Receiving, Rejection> {
        let (wanted, position) = (kept.wanted.clone(), kept.position.clone());
        let cancelled = Some(kept.cancelled.clone());
        Receiving::new(exchange, wanted, position, Body::Kept(Box::new(kept)), cancelled)
    }

    fn new(
        exchange: &Exchange,
        wanted: Arc<[Wanted]>,
        position: Position,
        body: Body,
        cancelled: Option<watch::Receiver<bool>>,
    ) -> Result<Receiving, Rejection> {
        let Position { part, seen, hasher, digests } = position;
        let mut flow = Flow { wanted: wanted.clone(), part, seen, hasher, digests, body };
        flow.next_part()?;
        let exchange = exchange.clone();
        Ok(Receiving { exchange, wanted, flow: Some(flow), batch: Vec::new(), batched: 0, cancelled })
    }

    /// Part and byte of it that come next.
    pub(crate) fn position(&self) -> (usize, u64) {
        self.flow.as_ref().map_or((0, 0), |flow| (flow.part, flow.seen))
    }

    /// Takes the next bytes of the parts, in their order.
    pub(crate) async fn push(&mut self, data: Bytes) -> Result<(), Rejection> {
        match &mut self.flow {
            Some(flow) if !matches!(flow.body, Body::Kept(_)) => {
                flow.absorb(&data).map_err(Fault::into_rejection)
            }
            _ => {
                self.batched += data.len();
                self.batch.push(data);
                if self.batched >= limits::BATCH_BYTES { self.flush().await } else { Ok(()) }
            }
        }
    }

    /// Writes what waits.
    async fn flush(&mut self) -> Result<(), Rejection> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.batched = 0;
        self.work(move |flow| {
            batch.iter().try_for_each(|data| flow.absorb(data)).map_err(Fault::into_rejection)
        })
        .await
    }

    /// Lets a thread of its own work on it.
    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Flow) -> Result<T, Rejection> + Send + 'static,
    ) -> Result<T, Rejection> {
        let _place = self.exchange.inner.transfers.threads.acquire().await;
        let Some(mut flow) = self.flow.take() else { return Err(broken()) };
        let worked = tokio::task::spawn_blocking(move || {
            let outcome = work(&mut flow);
            (flow, outcome)
        });
        match worked.await {
            Ok((flow, outcome)) => {
                self.flow = Some(flow);
                outcome
            }
            Err(error) => {
                tracing::error!(%error, "taking content in failed");
                Err(broken())
            }
        }
    }

    /// Resolves when another call goes on with this transfer.
    pub(crate) fn cancelled(&self) -> impl Future<Output = ()> + use<> {
        let cancelled = self.cancelled.clone();
        async move {
            match cancelled {
                Some(mut cancelled) => drop(cancelled.wait_for(|c| *c).await),
                None => std::future::pending().await,
            }
        }
    }

    /// Digests of all parts, when everything came.
    pub(crate) async fn complete(
        &mut self,
        names: impl Fn(usize) -> String,
    ) -> Result<Vec<Digests>, Rejection> {
        self.flush().await?;
        let flow = self.flow.as_mut().ok_or_else(broken)?;
        if let Some(part) = self.wanted.get(flow.part) {
            return Err(Rejection::new(
                Reason::ContentMismatch,
                format!("parts[{}].size", flow.part),
                format!(
                    "only {} of {} bytes of `{}` came: send it again",
                    flow.seen,
                    part.size,
                    ids::shorten(&names(flow.part))
                ),
            ));
        }
        Ok(flow.position().digests)
    }

    /// The beginning of a part that came, at most `most` bytes. What was only checked is nowhere: nothing of it can be read,
    /// and nothing of it is judged whole.
    pub(crate) fn part(&self, part: usize, most: usize) -> Result<Bytes, Rejection> {
        let flow = self.flow.as_ref().ok_or_else(broken)?;
        let wanted = self.wanted.get(part).ok_or_else(broken)?;
        let size = usize::try_from(wanted.size).unwrap_or(usize::MAX).min(most);
        match &flow.body {
            Body::Nothing if wanted.size > most as u64 => Ok(Bytes::new()),
            Body::Nothing => Err(broken()),
            Body::Memory(parts) => {
                parts.get(part).map(|p| Bytes::copy_from_slice(&p[..size.min(p.len())])).ok_or_else(broken)
            }
            Body::Kept(_) if size == 0 => Ok(Bytes::new()),
            Body::Kept(kept) => {
                let mut data = vec![0; size];
                match kept.partial.read(part as u32, 0, &mut data).map_err(|e| storage(&e))? {
                    Some(()) => Ok(data.into()),
                    // A process before this one took it in already.
                    None if size <= limits::CHUNK_BYTES => {
                        Ok(self.exchange.content_piece(&wanted.sha256, wanted.size, 0)?.slice(..size))
                    }
                    None => Ok(self.exchange.stored_content(&wanted.sha256)?.slice(..size)),
                }
            }
        }
    }

    /// Gives every part its place in the store; durable with the next commit. What was kept stays until
    /// [`Receiving::forget`].
    pub(crate) async fn store(&mut self) -> Result<(), Rejection> {
        let exchange = self.exchange.clone();
        let small = self.flow.as_ref().is_some_and(|flow| !matches!(flow.body, Body::Kept(_)));
        let adopt = move |flow: &mut Flow| {
            let content = exchange.ledger().content();
            match &mut flow.body {
                Body::Nothing => Ok(()),
                Body::Memory(parts) => {
                    let mut parts = std::mem::take(parts).into_iter().zip(flow.wanted.iter());
                    parts.try_for_each(|(data, wanted)| content.put_hashed(wanted.sha256, data.freeze()))
                }
                Body::Kept(kept) => {
                    let mut all = flow.wanted.iter().zip(0..);
                    // What is counted is durable before its files move.
                    let marked = if kept.unmarked > 0 { kept.mark() } else { Ok(()) };
                    let adopted = marked.and_then(|()| {
                        all.try_for_each(|(w, i)| content.adopt(&mut kept.partial, i, w.size, w.sha256))
                    });
                    if adopted.is_err() {
                        kept.fate = Fate::Remove;
                    }
                    adopted
                }
            }
            .map_err(|e: StoreError| storage(&e))
        };
        match &mut self.flow {
            Some(flow) if small => adopt(flow),
            _ => self.work(adopt).await,
        }
    }

    /// Nothing of it is needed any more: it is recorded, or refused.
    pub(crate) fn forget(&mut self) {
        if let Some(Flow { body: Body::Kept(kept), .. }) = &mut self.flow {
            kept.fate = Fate::Remove;
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        let Some(mut flow) = self.flow.take() else { return };
        if !matches!(flow.body, Body::Kept(_)) {
            return;
        }
        // The disk is at work: not on this thread. What waits is no more than a batch.
        let batch = std::mem::take(&mut self.batch);
        let end = move || {
            if matches!(&flow.body, Body::Kept(kept) if kept.fate == Fate::Keep) {
                let _ = batch.iter().try_for_each(|data| flow.absorb(data));
            }
            drop(flow);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(end)),
            Err(_) => end(),
        }
    }
}

fn broken() -> Rejection {
    Rejection::new(Reason::Internal, "", "content could not be taken in: this node's operator must look")
}

/// Whether content of this size stays in memory while it comes.
pub(crate) fn is_small(size: u64) -> bool {
    size <= content::RECORD_BYTES
}
