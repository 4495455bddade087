//! What other nodes ask this one as the owner of its log, and what they tell it.

use super::super::Exchange;
use crate::domain::ids::{NodeName, shorten};
use crate::domain::reason::{Reason, Rejection};
use crate::wire::witness::{Ask, Reply};

impl Exchange {
    /// Answers a question of a listed node.
    pub async fn answer(&self, peer: &NodeName, ask: Ask) -> Result<Reply, Rejection> {
        let ask = match ask {
            Ask::Lost(ask) => return self.answer_lost(peer, ask).await.map(Reply::Lost),
            ask => ask,
        };
        let (exchange, peer) = (self.clone(), peer.clone());
        // Proofs read the store.
        let answered = tokio::task::spawn_blocking(move || exchange.answer_now(&peer, ask));
        answered.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a question of a witness could not be answered");
            Err(Rejection::new(Reason::Internal, "", "this node's operator must look"))
        })
    }

    fn answer_now(&self, peer: &NodeName, ask: Ask) -> Result<Reply, Rejection> {
        match ask {
            Ask::Growth { held, log, sizes } => {
                self.is_own(&log)?;
                if !held.is_empty() {
                    self.is_held(peer, &held);
                }
                let snapshot = self.ledger().snapshot();
                let paths = sizes.windows(2).map(|pair| match pair {
                    [from, to] => self.ledger().prove_consistency(*from, *to, &snapshot),
                    _ => Ok(Vec::new()),
                });
                Ok(Reply::Growth(paths.collect::<Result<_, _>>()?))
            }
            Ask::Prefix { log, size, of } => {
                self.is_own(&log)?;
                let snapshot = self.ledger().snapshot();
                let (leaf, path) = self.ledger().prove_place(size.saturating_sub(1), of, &snapshot)?;
                Ok(Reply::Prefix(leaf, path))
            }
            // Answered before: it also writes.
            Ask::Lost(_) => Err(Rejection::new(Reason::Internal, "ask", "it is answered elsewhere")),
            Ask::Cosigned(note) => {
                self.take_cosigned(peer, &note)?;
                Ok(Reply::Noted)
            }
        }
    }

    /// Only the log that this node writes can be asked about.
    fn is_own(&self, log: &str) -> Result<(), Rejection> {
        if log == self.ledger().origin() {
            return Ok(());
        }
        let what = format!("this node writes `{}`, not `{}`", self.ledger().origin(), shorten(log));
        Err(Rejection::new(Reason::NotHosted, "ask.log", what))
    }
}
