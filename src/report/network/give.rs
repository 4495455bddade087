//! The giving side: a statement is made of the figures as they are, recorded as an event, and handed out piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::make::make;
use crate::domain::decide::Command;
use crate::domain::document::Kind;
use crate::domain::event::{Actor, Event, EventKind, Subject};
use crate::domain::fold::records::{Incoming, MessageFacts, Outgoing, StatementRecord};
use crate::domain::fold::{keys, load};
use crate::domain::ids::{DeliveryId, Digest, NodeName};
use crate::domain::limits;
use crate::domain::ratio::{Month, Period, StatementMade};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::status::Status;
use crate::exchange::Exchange;
use crate::exchange::pressure::Wants;
use crate::ledger::{LedgerError, damaged, missing_leaf, must_be_checked, storage, unknown_event};
use crate::merkle::sha256;
use crate::report::recorded::keep;
use crate::report::{engine, periods, unreadable};
use crate::wire::leaf;
use crate::wire::network::{Ask, NamedDelivery, Reply};
use crate::wire::proof::Proof;

/// Statements of this node, at most [`limits::STATEMENTS_AT_ONCE`] made at once.
#[derive(Clone)]
pub struct Giving {
    exchange: Exchange,
    places: Arc<Semaphore>,
}

impl Giving {
    /// Of this node.
    pub fn new(exchange: Exchange) -> Giving {
        Giving { exchange, places: Arc::new(Semaphore::new(limits::STATEMENTS_AT_ONCE)) }
    }

    /// Answers a listed node, as far as the configuration allows it.
    pub async fn answer(&self, peer: &NodeName, ask: Ask) -> Result<Reply, Rejection> {
        let allowed = &self.exchange.config().collectors;
        let (may, setting) = match ask {
            Ask::Leaves { .. } => (allowed.may_recount(peer), "figures.auditors"),
            _ => (allowed.may_collect(peer), "figures.collectors"),
        };
        // A node has its own figures in any case.
        if !may && peer != self.exchange.node() {
            let what = format!(
                "node `{peer}` is not in `{setting}` of `{}`: its administrator can add it",
                self.exchange.node()
            );
            return Err(Rejection::new(Reason::NotAllowed, "figures", what));
        }
        match ask {
            Ask::State(period) => {
                let actor = Actor { client: peer.to_string(), user: String::new() };
                let (proof, statement) = self.state(period, actor).await?;
                let data = self.piece(statement, 0).await?;
                Ok(Reply::Stated(Box::new(proof), data))
            }
            Ask::Statement { period, statement, offset } => {
                // A digest grants nothing: only the period's newest statement is handed out.
                if self.record(period)?.is_none_or(|known| known.statement != statement) {
                    let what = "another statement of the period was made meanwhile: begin again";
                    return Err(Rejection::new(Reason::BadToken, "figures.statement", what));
                }
                self.piece(statement, offset).await.map(Reply::Piece)
            }
            Ask::Leaves { from, to } => self.leaves(from, to).await,
            Ask::Documents(ids) => {
                let named = ids.iter().map(|id| self.named(id));
                let named = named.collect::<Result<Vec<_>, _>>()?;
                Ok(Reply::Documents(named.into_iter().flatten().collect()))
            }
        }
    }

    fn record(&self, period: Period) -> Result<Option<StatementRecord>, Rejection> {
        load(self.exchange.ledger(), &keys::statement(period)).map_err(|e| damaged(&e))
    }

    /// The proof of a statement of the figures as they are, and the digest of its text. The last one is given again
    /// where nothing changed.
    async fn state(&self, period: Period, actor: Actor) -> Result<(Proof, Digest), Rejection> {
        let _place = self.places.acquire().await.map_err(|_| must_be_checked())?;
        let _room = self.exchange.pressure().admit(Wants::Entry)?;
        for _ in 0..limits::CLOSE_TRIES {
            let giving = self.clone();
            let made = blocking(move || giving.read(period)).await?;
            let Some((made, text)) = made else { continue };
            let ledger = self.exchange.ledger();
            if let Some(known) = self.record(period)?.filter(|known| known.statement == made.statement) {
                return Ok((ledger.prove(known.index, &ledger.snapshot())?, known.statement));
            }
            let exchange = self.exchange.clone();
            blocking(move || keep(&exchange, &text)).await?;
            let statement = made.statement;
            let command = Command::StateFigures {
                actor: actor.clone(),
                kind: Box::new(EventKind::StatementMade(made)),
            };
            let committed = ledger.commit(command).await.map_err(LedgerError::into_rejection)?;
            return Ok((ledger.prove(committed.recorded(), &committed.snapshot)?, statement));
        }
        let what =
            format!("the figures of {period} changed during every try: collect when there is less traffic");
        Err(Rejection::new(Reason::Overloaded, "figures.period", what))
    }

    /// The statement and its text; `None` when something changed while it was read.
    fn read(&self, period: Period) -> Result<Option<(StatementMade, String)>, Rejection> {
        let ledger = self.exchange.ledger();
        let index = ledger.index();
        let query = periods::query(period);
        let size = ledger.snapshot().size();
        let changes = || engine::changes(index, &query).map_err(|e| unreadable(&e));
        let before = changes()?;
        let statement = make(index, self.exchange.node(), period).map_err(|e| unreadable(&e))?;
        // What was sent is counted by its changes; what came, by the events since.
        if changes()? != before || self.came_since(period, size)? {
            return Ok(None);
        }
        let text = statement.text();
        let made = StatementMade {
            period,
            statement: sha256(text.as_bytes()),
            statement_size: text.len() as u64,
            size,
            sent: statement.sent.len() as u64,
            received: statement.came.len() as u64,
        };
        Ok(Some((made, text)))
    }

    /// Whether an event from an index on may concern the statement of a period.
    fn came_since(&self, period: Period, from: u64) -> Result<bool, Rejection> {
        let ledger = self.exchange.ledger();
        let mut at = from;
        while at < ledger.snapshot().size() {
            let leaves = ledger.index().leaves(at, 256).map_err(|e| storage(&e))?;
            let Some((last, _)) = leaves.last() else { return Ok(false) };
            at = last + 1;
            for (index, bytes) in &leaves {
                let event = leaf::decode(bytes).map_err(|e| missing_leaf(*index, &e))?;
                if may_concern(period, &event) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// A piece of a statement's text; none past its end.
    async fn piece(&self, statement: Digest, offset: u64) -> Result<Bytes, Rejection> {
        let exchange = self.exchange.clone();
        blocking(move || {
            let reader = exchange.ledger().content().reader(&statement).map_err(|e| storage(&e))?;
            let reader = reader.ok_or_else(must_be_checked)?;
            reader.piece(offset, limits::CHUNK_BYTES).map_err(|e| storage(&e))
        })
        .await
    }

    /// As many entries of the log as fit into an answer.
    async fn leaves(&self, from: u64, to: u64) -> Result<Reply, Rejection> {
        let exchange = self.exchange.clone();
        blocking(move || {
            let ledger = exchange.ledger();
            let size = ledger.snapshot().size();
            if to > size {
                return Err(unknown_event(to, size));
            }
            let most = usize::try_from(to - from).unwrap_or(usize::MAX).min(limits::PAGE_ENTRIES as usize);
            let mut leaves = Vec::new();
            let mut bytes = 0;
            for (_, leaf) in ledger.index().leaves(from, most).map_err(|e| storage(&e))? {
                bytes += leaf.len();
                if !leaves.is_empty() && bytes > limits::CHUNK_BYTES {
                    break;
                }
                leaves.push(leaf);
            }
            if leaves.is_empty() {
                return Err(missing_leaf(from, &"it is not there"));
            }
            Ok(Reply::Leaves(leaves))
        })
        .await
    }

    /// The document of a delivery that is known here.
    fn named(&self, id: &DeliveryId) -> Result<Option<NamedDelivery>, Rejection> {
        let ledger = self.exchange.ledger();
        let facts: Option<MessageFacts> = match load::<Outgoing>(ledger, &keys::outgoing(id)) {
            Ok(Some(record)) => Some(record.facts),
            Ok(None) => {
                load::<Incoming>(ledger, &keys::incoming(id)).map_err(|e| damaged(&e))?.map(|r| r.facts)
            }
            Err(error) => return Err(damaged(&error)),
        };
        let named = facts.and_then(|facts| {
            let key = facts.key.filter(|_| matches!(facts.kind, Kind::New | Kind::Replace))?;
            Some(NamedDelivery { delivery: *id, kind: facts.kind, key, attempt: facts.attempt })
        });
        Ok(named)
    }
}

/// Whether an event may change what came, or what is covered, in a period.
fn may_concern(period: Period, event: &Event) -> bool {
    let (first, last) = period.days();
    let of_period = |subject: &Subject, attempt: u32| match subject {
        Subject::Document(d) => attempt > 1 || (first..=last).contains(&d.issued_on),
        // The recipient's 02 takes the delivery back out.
        Subject::Notice(notice) => notice.status == Some(Status::Refused),
    };
    match &event.kind {
        EventKind::Released { .. } => true,
        EventKind::PaperDeclared(declared) => {
            let (first, last): (Month, Month) = period.months();
            (first..=last).contains(&declared.month)
        }
        kind => kind.item().is_some_and(|item| of_period(&item.subject, item.attempt)),
    }
}

/// Off the threads that serve calls.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Rejection> + Send + 'static,
) -> Result<T, Rejection> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading figures broke off");
        Err(Rejection::new(Reason::Internal, "", "this node's administrator must look"))
    })
}
