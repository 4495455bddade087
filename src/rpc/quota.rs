//! Shares: what one client or peer has at once, over all its connections, and what all have together.
//!
//! Each listener has its own [`Quotas`]. Who wants more than its [`Share`] is refused (`overloaded`, with a retry time)
//! or, on a stream between nodes, not read from; nobody else notices. Memory for messages has a bound for all together
//! as well ([`limits::ALL_BYTES`]): when that is reached, those are refused who hold more than an equal part of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tonic::Status;

use super::tls::Identity;
use super::turned_away::TurnedAway;
use crate::config::Share;
use crate::domain::administration::RefusalCause;
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::wire::failure;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Connections.
    Connections,
    /// Calls under way.
    Calls,
    /// Documents that are being taken.
    Documents,
    /// Bytes of messages that are being worked on.
    Bytes,
    /// Bytes of messages that are still arriving.
    Arriving,
}

const KINDS: usize = 5;

impl What {
    fn shown(self) -> &'static str {
        match self {
            What::Connections => "connections",
            What::Calls => "calls under way",
            What::Documents => "documents under way",
            What::Bytes => "bytes of messages in work",
            What::Arriving => "bytes of messages arriving",
        }
    }

    fn most(self, share: &Share) -> usize {
        match self {
            What::Connections => share.connections,
            What::Calls => share.streams,
            What::Documents => share.documents,
            What::Bytes | What::Arriving => share.bytes,
        }
    }
}

/// The shares of a listener.
#[derive(Clone)]
pub struct Quotas {
    inner: Arc<Inner>,
}

struct Inner {
    share: Share,
    quiet: Duration,
    all_bytes: usize,
    state: Mutex<State>,
    /// Something was given back.
    released: Notify,
    turned_away: TurnedAway,
}

#[derive(Default)]
struct State {
    /// By who; nobody who holds nothing.
    holders: HashMap<Arc<str>, [usize; KINDS]>,
    totals: [usize; KINDS],
    /// Answers that were refusals, by reason.
    refusals: BTreeMap<&'static str, u64>,
    calls: u64,
}

impl Quotas {
    /// With the share of each, and how long a call that has begun may bring nothing.
    pub fn new(share: Share, quiet: Duration) -> Quotas {
        Quotas::with_total(share, quiet, limits::ALL_BYTES)
    }

    fn with_total(share: Share, quiet: Duration, all_bytes: usize) -> Quotas {
        let inner = Inner {
            share,
            quiet,
            all_bytes,
            state: Mutex::default(),
            released: Notify::new(),
            turned_away: TurnedAway::default(),
        };
        Quotas { inner: Arc::new(inner) }
    }

    /// How long a call that has begun may bring nothing.
    pub(super) fn quiet(&self) -> Duration {
        self.inner.quiet
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `n`, or says why not.
    pub fn take(&self, who: &Arc<str>, what: What, n: usize) -> Result<Taken, Rejection> {
        let mut taken = Taken { of: self.clone(), who: who.clone(), what, n: 0 };
        taken.set(n)?;
        Ok(taken)
    }

    /// Takes `n`, as soon as there is room. More than a whole share is taken alone.
    pub async fn wait(&self, who: &Arc<str>, what: What, n: usize) -> Taken {
        let n = n.min(what.most(&self.inner.share));
        loop {
            let mut released = std::pin::pin!(self.inner.released.notified());
            released.as_mut().enable();
            match self.take(who, what, n) {
                Ok(taken) => return taken,
                Err(_) => released.await,
            }
        }
    }

    /// KiB of messages in work that one bulk stream may have: a quarter of its client's share.
    pub(super) fn stream_kib(&self) -> usize {
        (self.inner.share.bytes / 4 / 1024).max(1)
    }

    /// How much all have.
    pub fn total(&self, what: What) -> usize {
        self.lock().totals[what as usize]
    }

    /// Waits until no call is under way.
    pub async fn idle(&self) {
        loop {
            let mut released = std::pin::pin!(self.inner.released.notified());
            released.as_mut().enable();
            if self.total(What::Calls) == 0 {
                return;
            }
            released.await;
        }
    }

    /// Who was turned away before anything was asked.
    pub fn turned_away(&self) -> &TurnedAway {
        &self.inner.turned_away
    }

    /// Counts an answer that was a refusal.
    pub fn refused(&self, reason: Reason) {
        *self.lock().refusals.entry(reason.code()).or_default() += 1;
    }

    /// The same, read from an answer.
    pub(super) fn answered(&self, status: &Status, identity: Option<&Identity>) {
        if status.code() != tonic::Code::Ok {
            let reason = failure::read_status(status).reason;
            self.refused(reason);
            if reason == Reason::UnknownCaller {
                let origin = identity.map_or_else(String::new, ToString::to_string);
                self.turned_away().count(RefusalCause::UnknownCaller, &origin);
            }
        }
    }

    /// Calls so far, and refusals by reason.
    pub fn counters(&self) -> (u64, BTreeMap<&'static str, u64>) {
        let state = self.lock();
        (state.calls, state.refusals.clone())
    }

    fn change(&self, who: &Arc<str>, what: What, from: usize, to: usize) -> Result<(), Rejection> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let kind = what as usize;
        if to > from {
            let (held, most) = (state.holders.get(who).map_or(0, |h| h[kind]), what.most(&self.inner.share));
            let more = to - from;
            let bytes = matches!(what, What::Bytes | What::Arriving);
            let over_all = bytes && {
                let holders = state.holders.values().filter(|h| h[kind] > 0).count() + usize::from(held == 0);
                state.totals[kind] + more > self.inner.all_bytes
                    && held + more > self.inner.all_bytes / holders
            };
            if held + more > most || over_all {
                return Err(Rejection::new(
                    Reason::Overloaded,
                    "",
                    format!(
                        "`{}` has {held} {} and wants {more} more, at most {most} are its share: let some end first",
                        shown(who),
                        what.shown()
                    ),
                ));
            }
        }
        if what == What::Calls && to > from {
            state.calls += 1;
        }
        let holder = state.holders.entry(who.clone()).or_default();
        holder[kind] = holder[kind] + to - from;
        if *holder == [0; KINDS] {
            state.holders.remove(who);
        }
        state.totals[kind] = state.totals[kind] + to - from;
        drop(guard);
        if to < from {
            self.inner.released.notify_waiters();
        }
        Ok(())
    }
}

/// A part of a share, given back when it goes.
pub struct Taken {
    of: Quotas,
    who: Arc<str>,
    what: What,
    n: usize,
}

impl Taken {
    /// Has `n` from now on. More is refused when there is no room, and then nothing changes.
    pub fn set(&mut self, n: usize) -> Result<(), Rejection> {
        if n != self.n {
            self.of.change(&self.who, self.what, self.n, n)?;
            self.n = n;
        }
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = self.set(0);
    }
}

/// Under which name the other end of a connection is counted. All without a name of ours share one.
pub fn holder(identity: Option<&Identity>) -> Arc<str> {
    match identity {
        Some(Identity::Node { node, .. }) => format!("node {node}").into(),
        Some(Identity::Client { node, name, .. }) => format!("client {node} {name}").into(),
        _ => "unknown".into(),
    }
}

/// The name without its kind.
fn shown(who: &str) -> &str {
    who.rsplit(' ').next().unwrap_or(who)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Share = Share { connections: 2, streams: 3, documents: 4, bytes: 100 };

    fn who(name: &str) -> Arc<str> {
        format!("client n {name}").into()
    }

    #[test]
    fn a_share_is_refused_beyond_its_end_and_given_back() {
        let quotas = Quotas::new(SHARE, limits::IDLE);
        let (a, b) = (who("a"), who("b"));
        let held: Vec<Taken> = (0..3).map(|_| quotas.take(&a, What::Calls, 1).unwrap()).collect();
        let refusal = quotas.take(&a, What::Calls, 1).err().unwrap();
        assert_eq!(refusal.reason, Reason::Overloaded);
        assert!(refusal.message.contains("`a` has 3 calls under way"), "{refusal}");
        // Others, and other kinds, are not concerned.
        let _b = quotas.take(&b, What::Calls, 3).unwrap();
        let _c = quotas.take(&a, What::Documents, 4).unwrap();
        drop(held);
        let _d = quotas.take(&a, What::Calls, 3).unwrap();
        assert_eq!((quotas.total(What::Calls), quotas.counters().0), (6, 5));
    }

    #[test]
    fn when_all_have_too_much_those_with_more_than_an_equal_part_are_refused() {
        let quotas = Quotas::with_total(SHARE, limits::IDLE, 150);
        let mut greedy = quotas.take(&who("greedy"), What::Bytes, 100).unwrap();
        let _second = quotas.take(&who("second"), What::Bytes, 50).unwrap();
        assert!(quotas.take(&who("second"), What::Bytes, 30).is_err());
        // A third has its equal part though nothing is left, and no more.
        let _third = quotas.take(&who("third"), What::Bytes, 50).unwrap();
        assert!(quotas.take(&who("third"), What::Bytes, 1).is_err());
        assert!(greedy.set(101).is_err());
        greedy.set(0).unwrap();
        assert!(quotas.take(&who("third"), What::Bytes, 1).is_ok());
    }

    #[tokio::test]
    async fn who_waits_gets_what_is_given_back_and_idle_is_when_no_call_is_left() {
        let quotas = Quotas::new(SHARE, limits::IDLE);
        let a = who("a");
        let held = quotas.take(&a, What::Bytes, 60).unwrap();
        let call = quotas.take(&a, What::Calls, 1).unwrap();
        let waiting = tokio::spawn({
            let (quotas, a) = (quotas.clone(), a.clone());
            // More than there will ever be: the whole share.
            async move { drop(quotas.wait(&a, What::Bytes, 1_000).await) }
        });
        let idle = tokio::spawn({
            let quotas = quotas.clone();
            async move { quotas.idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && !idle.is_finished());
        drop(held);
        waiting.await.unwrap();
        drop(call);
        idle.await.unwrap();
        assert_eq!(quotas.total(What::Bytes), 0);
    }
}
