//! The network's figures: collected from the other nodes when an operator asks.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::link::Links;
use super::report::read_period;
use crate::config::NodeRole;
use crate::domain::ids::NodeName;
use crate::domain::ratio::Period;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::accept::Boxed;
use crate::exchange::{Caller, Exchange};
use crate::report::network::collect::Reported;
use crate::report::network::{FiguresLink, Giving, collect};
use crate::wire::network::{Ask, Reply};
use crate::wire::pb;

/// Collects, once at a time.
#[derive(Clone)]
pub struct Collecting {
    links: Links,
    giving: Giving,
    place: Arc<Semaphore>,
}

/// This node states its figures like any other.
struct Own(Giving, NodeName);

impl FiguresLink for Own {
    fn ask(&self, ask: Ask) -> Boxed<'_, Result<Reply, Rejection>> {
        Box::pin(self.0.answer(&self.1, ask))
    }
}

impl Collecting {
    /// Over the ways to the other nodes, and this node's own statements.
    pub fn new(links: Links, giving: Giving) -> Collecting {
        Collecting { links, giving, place: Arc::new(Semaphore::new(1)) }
    }

    /// Collects a period's figures for a caller who may have them, and records the result.
    pub(super) async fn report(
        &self,
        exchange: &Exchange,
        caller: &Caller,
        request: &pb::ReportNetworkRequest,
    ) -> Result<Reported, Rejection> {
        caller.check_node(NodeRole::Operator)?;
        let actor = caller.actor(&request.user)?;
        let period = read_period("period", &request.period, false)?;
        let period = period.ok_or_else(|| Rejection::missing("period"))?;
        if matches!(period, Period::Day(_)) {
            let what = format!("{period} is a day: collect a month, quarter or year");
            return Err(Rejection::new(Reason::InvalidDate, "period", what));
        }
        let Ok(_place) = self.place.try_acquire() else {
            let what = "the network's figures are being collected already: ask again when that is done";
            return Err(Rejection::new(Reason::Overloaded, "", what));
        };
        let own = exchange.node().clone();
        let link = |node: &NodeName| -> Arc<dyn FiguresLink> {
            if *node == own { Arc::new(Own(self.giving.clone(), own.clone())) } else { self.links.to(node) }
        };
        collect(exchange, link, period, actor).await
    }
}
