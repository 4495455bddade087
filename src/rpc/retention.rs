//! `RetentionService`: legal holds. Administrators of the node place and lift them; its auditors see them.

use tonic::{Request, Response, Status};

use super::{caller, refuse};
use crate::config::NodeRole;
use crate::domain::Command;
use crate::domain::event::EventKind;
use crate::domain::hold::HoldScope;
use crate::domain::ids::{self, AgencyId};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::Exchange;
use crate::wire::pb::retention_service_server::RetentionService;
use crate::wire::{hold, leaf, pb};

/// The service.
pub struct RetentionApi {
    exchange: Exchange,
}

impl RetentionApi {
    /// Over the log of this node.
    pub fn new(exchange: Exchange) -> RetentionApi {
        RetentionApi { exchange }
    }

    /// The permanent id of an agency that is given by it, or by a code.
    fn agency(&self, text: &str) -> Result<String, Rejection> {
        let directory = self.exchange.directory();
        if AgencyId::new(text).is_ok_and(|id| directory.agency(&id).is_some()) {
            return Ok(text.to_owned());
        }
        let today = self.exchange.ledger().now().date();
        directory.by_code(text, today).map(|agency| agency.id.to_string()).ok_or_else(|| {
            let shown = ids::shorten(text);
            Rejection::new(Reason::UnknownAgency, "scope", format!("no agency `{shown}` in the directory"))
        })
    }

    fn scope(&self, scope: Option<pb::HoldScope>) -> Result<HoldScope, Rejection> {
        let mut scope = scope.ok_or_else(|| Rejection::missing("scope"))?;
        if !scope.agency.is_empty() {
            scope.agency = self.agency(&scope.agency)?;
        }
        if let Some(document) = &mut scope.document {
            document.agency = self.agency(&document.agency)?;
        }
        hold::read_scope(Some(scope))
    }

    /// What the event that placed a hold says of it.
    fn placed(&self, hold: u64) -> Result<HoldScope, Rejection> {
        let leaf = self.exchange.ledger().leaf(hold)?;
        match leaf.and_then(|bytes| leaf::decode(&bytes).ok()).map(|event| event.kind) {
            Some(EventKind::HoldPlaced { scope, .. }) => Ok(scope),
            _ => Err(crate::domain::decide::unknown_hold(hold)),
        }
    }
}

fn read_reason(text: String) -> Result<String, Rejection> {
    if text.trim().is_empty() {
        return Err(Rejection::missing("reason"));
    }
    ids::optional_text("reason", &text, limits::REASON_CHARS)?;
    Ok(text)
}

#[tonic::async_trait]
impl RetentionService for RetentionApi {
    async fn place_hold(
        &self,
        request: Request<pb::PlaceHoldRequest>,
    ) -> Result<Response<pb::PlaceHoldResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        caller.check_node(NodeRole::Admin).map_err(refuse)?;
        let request = request.into_inner();
        let actor = caller.actor(&request.user).map_err(refuse)?;
        let scope = self.scope(request.scope).map_err(refuse)?;
        let reason = read_reason(request.reason).map_err(refuse)?;
        let command = Command::Hold { actor, scope, reason };
        let placed = self.exchange.ledger().commit(command).await.map_err(|e| refuse(e.into_rejection()))?;
        Ok(Response::new(pb::PlaceHoldResponse { hold: placed.recorded() }))
    }

    async fn lift_hold(
        &self,
        request: Request<pb::LiftHoldRequest>,
    ) -> Result<Response<pb::LiftHoldResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        caller.check_node(NodeRole::Admin).map_err(refuse)?;
        let request = request.into_inner();
        let actor = caller.actor(&request.user).map_err(refuse)?;
        let reason = read_reason(request.reason).map_err(refuse)?;
        let scope = self.placed(request.hold).map_err(refuse)?;
        let command = Command::Lift { actor, hold: request.hold, scope, reason };
        let lifted = self.exchange.ledger().commit(command).await.map_err(|e| refuse(e.into_rejection()))?;
        Ok(Response::new(pb::LiftHoldResponse { log_index: lifted.recorded() }))
    }

    async fn list_holds(
        &self,
        request: Request<pb::ListHoldsRequest>,
    ) -> Result<Response<pb::ListHoldsResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        caller.check_node(NodeRole::Auditor).map_err(refuse)?;
        let holds = self.exchange.holds().map_err(refuse)?;
        let view = |(scope, hold): (HoldScope, crate::domain::hold::Hold)| pb::HoldView {
            hold: hold.index,
            scope: Some(hold::scope(&scope)),
            at: hold.at.millis(),
            client: hold.client,
            user: hold.user,
            reason: hold.reason,
        };
        Ok(Response::new(pb::ListHoldsResponse { holds: holds.into_iter().map(view).collect() }))
    }
}
