//! The recovering node: asks every other node, page by page, until each has said everything.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::Exchange;
use super::super::accept::log_key;
use super::super::courier::backoff::Backoff;
use super::super::settle::{Answer, Outstanding};
use super::super::witness::WitnessLink;
use super::{Progress, state_key};
use crate::domain::decide::Command;
use crate::domain::event::EventKind;
use crate::domain::generation::Recovered;
use crate::domain::ids::NodeName;
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{DeliveryState, limits};
use crate::ledger::{LedgerError, storage};
use crate::merkle::sha256;
use crate::wire::lost::{LostAsk, LostDelivery, LostPage};
use crate::wire::witness::{Ask, Reply};

/// The waits before nodes that did not say everything are asked again.
const AGAIN: Backoff = Backoff { first: 200, last: 30_000 };

/// Asks until every node of the directory has said what it has; then again when the directory changes. Runs until the node
/// stops, also where nothing is lost.
pub async fn run(
    exchange: Exchange,
    link: impl Fn(&NodeName) -> Arc<dyn WitnessLink>,
    mut stop: watch::Receiver<bool>,
) {
    if !exchange.recovery().is_needed() {
        let _ = stop.wait_for(|s| *s).await;
        return;
    }
    exchange.read_progress();
    let mut versions = exchange.directories().subscribe();
    let mut tries = 0;
    loop {
        versions.borrow_and_update();
        let mut asked = JoinSet::new();
        for peer in exchange.not_done() {
            let (exchange, link) = (exchange.clone(), link(&peer));
            asked.spawn(async move {
                let ended = ask_all(&exchange, &*link, &peer).await;
                if let Err(rejection) = ended {
                    tracing::info!(peer = %peer, reason = %rejection, "the peer did not say yet what it has of the lost log");
                }
            });
        }
        let all = async { while asked.join_next().await.is_some() {} };
        tokio::select! {
            biased;
            _ = stop.wait_for(|s| *s) => return,
            () = all => {}
        }
        let rest = exchange.not_done().len();
        let wait = if rest == 0 { u64::from(u32::MAX) } else { AGAIN.wait(tries, rest as u64) };
        tries += 1;
        // A node that says hello and nothing else must not have itself asked all the time.
        let pause = Duration::from_millis(if rest == 0 { 0 } else { wait.min(AGAIN.first) });
        tokio::select! {
            biased;
            _ = stop.wait_for(|s| *s) => return,
            () = tokio::time::sleep(pause) => {}
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|s| *s) => return,
            changed = versions.changed() => if changed.is_err() { return },
            () = exchange.recovery().wake.notified(), if rest > 0 => {}
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
        }
    }
}

/// Everything that one node has.
async fn ask_all(exchange: &Exchange, link: &dyn WitnessLink, peer: &NodeName) -> Result<(), Rejection> {
    let mut progress = exchange.recovery().of(peer);
    while !progress.done {
        let again = progress.listed;
        let from = if again { progress.again_to } else { progress.listed_to };
        let ask = Ask::Lost(LostAsk { logs: exchange.recovery().lost.clone(), from, again });
        let page = match link.ask(ask).await {
            Ok(Reply::Lost(page)) => page,
            Ok(_) => return Err(Rejection::new(Reason::BadProof, "reply", "an answer to another question")),
            // A node of a version that does not know the question has nothing to say.
            Err(rejection) if rejection.reason == Reason::Unimplemented => {
                tracing::error!(peer = %peer, "the peer's version cannot say what it has of the lost log: update it");
                LostPage { next: from, done: true, ..LostPage::default() }
            }
            Err(rejection) => return Err(rejection),
        };
        if page.next < from || (page.next == from && !page.done) {
            return Err(Rejection::new(Reason::BadProof, "reply.lost.next", "its pages do not go on"));
        }
        for delivery in page.deliveries {
            match exchange.take_back(peer, delivery).await {
                Ok(true) => progress.recovered += 1,
                Ok(false) => {}
                Err(rejection) if rejection.reason.is_temporary() => return Err(rejection),
                // One that is wrong must not keep the others back.
                Err(rejection) => {
                    tracing::error!(peer = %peer, reason = %rejection, "something of the lost log does not hold");
                }
            }
        }
        progress.sent_again += u64::from(page.sent_again);
        if again {
            (progress.again_to, progress.done) = (page.next, page.done);
        } else {
            (progress.listed_to, progress.listed) = (page.next, page.done);
        }
        exchange.note_progress(peer, progress);
    }
    tracing::warn!(peer = %peer, recovered = progress.recovered, sent_again = progress.sent_again,
        "the peer said all that it has of the lost log");
    Ok(())
}

impl Exchange {
    /// Nodes that have not said everything.
    fn not_done(&self) -> Vec<NodeName> {
        let directory = self.directory();
        let others = directory.nodes().into_iter().map(|node| node.name.clone());
        others.filter(|name| name != self.node() && !self.recovery().of(name).done).collect()
    }

    /// How far it was before a restart. What cannot be read is asked again.
    fn read_progress(&self) {
        for node in self.directory().nodes() {
            let key = state_key(self.ledger().origin(), &node.name);
            let kept = self.ledger().index().get(&key).ok().flatten();
            if let Some(progress) = kept.and_then(|bytes| serde_json::from_slice::<Progress>(&bytes).ok()) {
                self.recovery().progress().insert(node.name.clone(), progress);
            }
        }
    }

    fn note_progress(&self, peer: &NodeName, progress: Progress) {
        let key = state_key(self.ledger().origin(), peer);
        let value = serde_json::to_vec(&progress).unwrap_or_default();
        if let Err(error) = self.ledger().index().put_state(&key, &value) {
            tracing::warn!(%error, "how far the recovery is could not be kept: a restart asks again");
        }
        let before = self.recovery().progress().insert(peer.clone(), progress);
        if progress.listed && !before.is_some_and(|before| before.listed) {
            // What waited for that goes now.
            self.queues().reopened();
        }
    }

    /// One message that the lost log had sent, as a node says: checked like an answer that comes in time, and recorded.
    /// False where it was known.
    async fn take_back(&self, peer: &NodeName, delivery: LostDelivery) -> Result<bool, Rejection> {
        let bad = |what: String| Rejection::new(Reason::BadProof, "reply.lost", what);
        let directory = self.directory();
        let origin = self.inner.proofs.verify(&delivery.origin, log_key(&directory, self.node()))?;
        let place = origin.log_ref();
        if !self.recovery().is_lost(&place) {
            return Err(bad(format!("event {} of `{}` is not lost", place.index, place.log)));
        }
        let EventKind::Submitted { item, content_digests, .. } = &origin.event().kind else {
            return Err(bad(format!(
                "the lost log's event is `{}`, no submission",
                origin.event().kind.name()
            )));
        };
        if !delivery.envelope.is_empty() && sha256(&delivery.envelope) != item.envelope_digest {
            return Err(bad("the envelope is not the one of the lost log".to_owned()));
        }
        let answered = self.inner.proofs.verify(&delivery.answer, log_key(&directory, peer))?;
        let recipient = item.parties.recipient.clone().unwrap_or_default();
        let at = answered.event().at;
        if !directory.agency(&recipient).is_some_and(|agency| agency.was_hosted_lately(peer, at.date())) {
            return Err(bad(format!("node `{peer}` did not host {recipient} when it answered")));
        }
        self.saw(answered.checkpoint()).await?;
        let answer = Answer::of(&answered.event().kind)
            .ok_or_else(|| bad(format!("it proves a `{}` event", answered.event().kind.name())))?;
        answer.check(&Outstanding {
            delivery_id: item.delivery_id,
            envelope_digest: &item.envelope_digest,
            content_digests,
            submitted: &place,
        })?;
        let content = self.ledger().content();
        if !delivery.envelope.is_empty() {
            content.put(&delivery.envelope).map_err(|e| storage(&e))?;
        }
        // Only what its sender revoked is refused so, and the revoke comes back as well.
        let withdrawn = (answer.outcome, answer.reason) == (DeliveryState::Refused, Some(Reason::Withdrawn));
        let settled = EventKind::Settled {
            delivery_id: item.delivery_id,
            outcome: if withdrawn { DeliveryState::Withdrawn } else { answer.outcome },
            reason: answer.reason,
            receipt: answered.log_ref(),
            receipt_proof: content.put(&delivery.answer.encode()).map_err(|e| storage(&e))?,
            verdicts: answer.verdicts,
            received_at: at,
        };
        let recovered = Recovered {
            submitted: origin.event().kind.clone(),
            submitted_at: origin.event().at,
            origin: place,
            origin_proof: content.put(&delivery.origin.encode()).map_err(|e| storage(&e))?,
            settled,
        };
        let before = self.ledger().snapshot().size();
        let committed = self.ledger().commit(Command::Recover(Box::new(recovered))).await;
        let committed = committed.map_err(LedgerError::into_rejection)?;
        Ok(committed.recorded() >= before)
    }
}

const _: () = assert!(limits::LOST_BYTES * 4 < limits::MESSAGE_BYTES, "a page fits in a message");
