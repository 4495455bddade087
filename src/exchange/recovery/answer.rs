//! What another node asks that lost its log: what it had sent here comes back to it, what it had received from here is
//! sent again.

use tokio::task::JoinSet;

use super::super::Exchange;
use super::super::witness::current_log;
use crate::domain::decide::{Command, is_sent_again};
use crate::domain::event::{Event, EventKind, LogRef};
use crate::domain::fold::records::{Incoming, Outgoing};
use crate::domain::fold::{keys, load};
use crate::domain::generation::is_earlier;
use crate::domain::ids::{DeliveryId, NodeName, shorten};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::ledger::{LedgerError, damaged, missing_leaf, must_be_checked, storage};
use crate::wire::leaf;
use crate::wire::lost::{LostAsk, LostDelivery, LostPage};
use crate::wire::proof::Proof;

/// Events read at once.
const READ: usize = 256;

/// What a page has besides what is answered.
#[derive(Default)]
struct Found {
    page: LostPage,
    bytes: usize,
    again: Vec<Command>,
}

impl Found {
    fn is_full(&self) -> bool {
        self.page.deliveries.len().max(self.again.len()) >= limits::LOST_DELIVERIES
            || self.bytes >= limits::LOST_BYTES
    }
}

impl Exchange {
    /// One page of what this node has of the lost logs of another.
    pub(crate) async fn answer_lost(&self, peer: &NodeName, ask: LostAsk) -> Result<LostPage, Rejection> {
        self.check_lost(peer, &ask)?;
        let (exchange, peer) = (self.clone(), peer.clone());
        let read = tokio::task::spawn_blocking(move || exchange.look_through(&peer, &ask));
        let Found { mut page, again, .. } = read.await.map_err(|error| {
            tracing::error!(%error, "what is kept of a lost log could not be read");
            must_be_checked()
        })??;
        let mut commits = JoinSet::new();
        for command in again {
            let ledger = self.ledger().clone();
            commits.spawn(async move { ledger.commit(command).await });
        }
        while let Some(committed) = commits.join_next().await {
            match committed {
                Ok(Ok(_)) => page.sent_again += 1,
                Ok(Err(error)) => return Err(LedgerError::into_rejection(error)),
                Err(_) => return Err(must_be_checked()),
            }
        }
        Ok(page)
    }

    /// Only logs of the node that asks, and only when the directory lists a later one: who has a lost log's key alone
    /// gets nothing.
    fn check_lost(&self, peer: &NodeName, ask: &LostAsk) -> Result<(), Rejection> {
        let directory = self.directory();
        let current = directory.node(peer).and_then(current_log).map_or("", |key| key.name());
        for (log, _) in &ask.logs {
            if !is_earlier(log, current) {
                let what = format!(
                    "directory version {} lists no log of node `{peer}` after `{}`",
                    directory.version(),
                    shorten(log)
                );
                return Err(Rejection::new(Reason::DirectoryBehind, "ask.lost.logs", what));
            }
        }
        self.check_peer(peer)
    }

    fn look_through(&self, peer: &NodeName, ask: &LostAsk) -> Result<Found, Rejection> {
        let size = self.ledger().snapshot().size();
        let end = size.min(ask.from.saturating_add(limits::LOST_EVENTS));
        let lost =
            |place: &LogRef| ask.logs.iter().any(|(log, kept)| *log == place.log && place.index >= *kept);
        let mut found = Found::default();
        found.page.next = ask.from;
        'pages: while found.page.next < end {
            let most = READ.min((end - found.page.next) as usize);
            let leaves = self.ledger().index().leaves(found.page.next, most).map_err(|e| storage(&e))?;
            if leaves.is_empty() {
                return Err(missing_leaf(found.page.next, &"it is not there"));
            }
            for (index, bytes) in leaves {
                if found.is_full() {
                    break 'pages;
                }
                let event = leaf::decode(&bytes).map_err(|error| missing_leaf(index, &error))?;
                if ask.again {
                    found.again.extend(self.to_send_again(peer, &event, &lost)?);
                } else if let Some(delivery) = self.came_from(peer, index, &event, &lost)? {
                    let proofs = delivery.origin.leaf.len() + delivery.answer.leaf.len();
                    found.bytes += delivery.envelope.len() + proofs + 2_048;
                    found.page.deliveries.push(delivery);
                }
                found.page.next = index + 1;
            }
        }
        found.page.done = found.page.next >= size;
        Ok(found)
    }

    /// What the lost log had sent and this node answered.
    fn came_from(
        &self,
        peer: &NodeName,
        index: u64,
        event: &Event,
        lost: &dyn Fn(&LogRef) -> bool,
    ) -> Result<Option<LostDelivery>, Rejection> {
        let (EventKind::Received { item, origin, .. } | EventKind::Refused { item, origin, .. }) =
            &event.kind
        else {
            return Ok(None);
        };
        if !lost(origin) {
            return Ok(None);
        }
        let key = keys::incoming(&item.delivery_id);
        let record: Option<Incoming> = load(self.ledger(), &key).map_err(|e| damaged(&e))?;
        // What came again under an id that is taken is no delivery of its own.
        let Some(record) = record.filter(|r| r.index == index && r.peer == *peer) else { return Ok(None) };
        let content = self.ledger().content();
        let envelope = content.get(&record.facts.envelope_digest).map_err(|e| storage(&e))?;
        Ok(Some(LostDelivery {
            envelope: envelope.unwrap_or_default(),
            origin: Proof::decode(&self.stored_content(&record.origin_proof)?)?,
            answer: self.ledger().prove(record.answer, &self.ledger().snapshot())?,
        }))
    }

    /// What the lost log had answered and is sent there again.
    fn to_send_again(
        &self,
        peer: &NodeName,
        event: &Event,
        lost: &dyn Fn(&LogRef) -> bool,
    ) -> Result<Option<Command>, Rejection> {
        let EventKind::Settled { delivery_id, receipt, .. } = &event.kind else { return Ok(None) };
        if !lost(receipt) {
            return Ok(None);
        }
        let record: Option<Outgoing> =
            load(self.ledger(), &keys::outgoing(delivery_id)).map_err(|e| damaged(&e))?;
        let Some(record) = record.filter(|r| self.is_hosted_by(r, peer)) else { return Ok(None) };
        let again = is_sent_again(self.ledger(), delivery_id, &record, receipt).map_err(|e| damaged(&e))?;
        let id: DeliveryId = *delivery_id;
        Ok(again.then(|| Command::SendAgain { delivery_id: id, peer: peer.clone(), lost: receipt.clone() }))
    }

    /// Whether a node hosts the recipient now: one that moved since has its inbox elsewhere.
    fn is_hosted_by(&self, record: &Outgoing, peer: &NodeName) -> bool {
        let today = self.ledger().now().date();
        self.directory()
            .agency(&record.facts.recipient)
            .is_some_and(|agency| agency.node(today) == Some(peer))
    }
}
