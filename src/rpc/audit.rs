//! `AuditService`: the log, its proofs and its checks. A node's auditor reads everything; an agency's auditor the
//! events of that agency; nobody else anything.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::evidence::Exports;
use super::exchange::{read_page, token};
use super::login::{For, Logins};
use super::status::StatusSource;
use super::{caller, refuse};
use crate::audit::{self, Query, TilesError, export_tiles};
use crate::config::{NodeRole, Role};
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{fold, limits};
use crate::exchange::{Caller, Exchange};
use crate::ledger::{damaged, must_be_checked, storage, unknown_event};
use crate::merkle::NoteVerifier;
use crate::store::disk::RealDisk;
use crate::wire::pb;
use crate::wire::pb::audit_service_server::AuditService;

/// The service.
#[derive(Clone)]
pub struct AuditApi {
    exchange: Exchange,
    key: NoteVerifier,
    status: StatusSource,
    exports: Exports,
    /// Links to the pages, and what stands before their paths.
    web: Option<(Arc<Logins>, String)>,
}

impl AuditApi {
    /// Over the log whose checkpoints `key` verifies.
    pub fn new(exchange: Exchange, key: NoteVerifier, status: StatusSource, exports: Exports) -> AuditApi {
        AuditApi { exchange, key, status, exports, web: None }
    }

    /// The same with pages at this URL.
    pub fn with_web(self, logins: Arc<Logins>, url: String) -> AuditApi {
        AuditApi { web: Some((logins, url)), ..self }
    }

    /// The agency whose events the caller may list; `None`: all events.
    fn scope(&self, caller: &Caller, agency: &str) -> Result<Option<AgencyId>, Rejection> {
        if agency.is_empty() {
            return if caller.has(NodeRole::Auditor) {
                Ok(None)
            } else {
                Err(Rejection::new(
                    Reason::NotAllowed,
                    "agency",
                    format!(
                        "client `{}` is no auditor of this node: name an agency that it audits",
                        caller.name()
                    ),
                ))
            };
        }
        let directory = self.exchange.directory();
        let today = self.exchange.ledger().now().date();
        let found = directory.by_code(agency, today).ok_or_else(|| {
            let shown = crate::domain::ids::shorten(agency);
            Rejection::new(Reason::UnknownAgency, "agency", format!("no agency `{shown}` in the directory"))
        })?;
        if !caller.has(NodeRole::Auditor) {
            caller.check(found, Role::Auditor, "agency", today)?;
        }
        Ok(Some(found.id.clone()))
    }

    /// Checks the log as it stands. A log that grows while it is read would look wrong where it is only new, so the
    /// check is made again, and given up when the node is never quiet for long enough.
    async fn check(&self, tries: usize) -> Result<audit::Checked, Status> {
        let ledger = self.exchange.ledger();
        for _ in 0..tries {
            let before = ledger.snapshot().size();
            let journal = self.exchange.config().data.join("journal");
            let index = ledger.index().clone();
            let key = self.key.clone();
            // Off the threads that serve calls.
            let checked = tokio::task::spawn_blocking(move || {
                audit::check(&journal, Arc::new(RealDisk), &index, &key, |_| {})
            })
            .await
            .map_err(|e| Status::internal(e.to_string()))?
            .map_err(|e| refuse(storage(&e)))?;
            if ledger.snapshot().size() == before {
                return Ok(checked);
            }
        }
        Err(refuse(Rejection::new(
            Reason::Overloaded,
            "",
            "the log grew during every try: check when there is less traffic, or a stopped copy with --data",
        )))
    }

    /// Refuses an event that the caller may not see, in the words for one that is not there.
    fn check_event(&self, caller: &Caller, index: u64) -> Result<(), Rejection> {
        if caller.has(NodeRole::Auditor) {
            return Ok(());
        }
        let directory = self.exchange.directory();
        let store = self.exchange.ledger().index();
        for agency in caller.agencies(&self.exchange, &directory, Role::Auditor) {
            if fold::concerns(store, &agency, index).map_err(|e| damaged(&e))? {
                return Ok(());
            }
        }
        Err(unknown_event(index, self.exchange.ledger().snapshot().size()))
    }
}

fn read_query(r: &pb::ListEventsRequest, agency: Option<AgencyId>) -> Result<Query, Rejection> {
    let (limit, next) = read_page(r.page.as_ref())?;
    let has_token = r.page.as_ref().is_some_and(|p| !p.token.is_empty());
    let start = (!r.backwards || r.from_index > 0).then_some(r.from_index);
    Ok(Query {
        from: if has_token { Some(next) } else { start },
        backwards: r.backwards,
        limit,
        agency,
        delivery: if r.delivery_id.is_empty() { None } else { Some(DeliveryId::from_slice(&r.delivery_id)?) },
        kind: (!r.kind.is_empty()).then(|| r.kind.clone()),
        since: crate::wire::words::read_time(r.since),
        until: crate::wire::words::read_time(r.until),
        number: (!r.number.is_empty()).then(|| r.number.clone()),
        reason: (!r.reason.is_empty()).then(|| r.reason.clone()),
    })
}

#[tonic::async_trait]
impl AuditService for AuditApi {
    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        let request = request.into_inner();
        let agency = self.scope(&caller, &request.agency).map_err(refuse)?;
        let query = read_query(&request, agency).map_err(refuse)?;
        let ledger = self.exchange.ledger();
        let size = ledger.snapshot().size();
        let (events, next) = audit::list(ledger.index(), size, &query).map_err(|e| refuse(storage(&e)))?;
        let events = events.into_iter().map(|(index, leaf, _)| pb::EventEntry { index, leaf }).collect();
        Ok(Response::new(pb::ListEventsResponse { events, next_token: token(next) }))
    }

    async fn get_event(
        &self,
        request: Request<pb::GetEventRequest>,
    ) -> Result<Response<pb::EventEntry>, Status> {
        let caller = caller(&self.exchange, &request)?;
        let index = request.into_inner().index;
        self.check_event(&caller, index).map_err(refuse)?;
        let ledger = self.exchange.ledger();
        let leaf = ledger
            .leaf(index)
            .map_err(refuse)?
            .ok_or_else(|| refuse(unknown_event(index, ledger.snapshot().size())))?;
        Ok(Response::new(pb::EventEntry { index, leaf }))
    }

    async fn prove_event(
        &self,
        request: Request<pb::ProveEventRequest>,
    ) -> Result<Response<pb::Proof>, Status> {
        let caller = caller(&self.exchange, &request)?;
        let index = request.into_inner().index;
        self.check_event(&caller, index).map_err(refuse)?;
        let ledger = self.exchange.ledger();
        let proof = ledger.prove(index, &ledger.snapshot()).map_err(refuse)?;
        Ok(Response::new(proof.to_wire()))
    }

    async fn get_checkpoint(
        &self,
        request: Request<pb::GetCheckpointRequest>,
    ) -> Result<Response<pb::GetCheckpointResponse>, Status> {
        caller(&self.exchange, &request)?;
        let snapshot = self.exchange.ledger().snapshot();
        Ok(Response::new(pb::GetCheckpointResponse {
            checkpoint: snapshot.checkpoint().map_or_else(String::new, |c| c.note().to_owned()),
            verifier_key: self.key.to_string(),
        }))
    }

    async fn check_log(
        &self,
        request: Request<pb::CheckLogRequest>,
    ) -> Result<Response<pb::CheckLogResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        caller.check_node(NodeRole::Auditor).map_err(refuse)?;
        let checked = self.check(5).await?;
        Ok(Response::new(pb::CheckLogResponse {
            events: checked.events,
            root: checked.root.map_or_else(bytes::Bytes::new, |r| crate::wire::words::digest(&r)),
            findings: checked
                .findings
                .iter()
                .map(|f| pb::Finding {
                    place: f.place.to_string(),
                    index: f.index.unwrap_or_default(),
                    message: f.message.clone(),
                })
                .collect(),
        }))
    }

    async fn create_web_login(
        &self,
        request: Request<pb::CreateWebLoginRequest>,
    ) -> Result<Response<pb::CreateWebLoginResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        let request = request.into_inner();
        let made = || -> Result<pb::CreateWebLoginResponse, Rejection> {
            let (logins, url) = self.web.as_ref().ok_or_else(|| {
                let what = "this node has no pages: its administrator sets `web.listen` in its configuration";
                Rejection::new(Reason::NotAllowed, "", what)
            })?;
            let client = if request.client.is_empty() { caller.name().to_owned() } else { request.client };
            if client != caller.name() {
                caller.check_node(NodeRole::Admin)?;
            }
            if self.exchange.config().client(&client).is_none() {
                let what = format!("no client `{}` is configured", crate::domain::ids::shorten(&client));
                return Err(Rejection::new(Reason::UnknownCaller, "client", what));
            }
            let user = caller.actor(&request.user)?.user;
            let now = self.exchange.ledger().now();
            let (token, until) = logins.make(For { client, user }, now).ok_or_else(must_be_checked)?;
            Ok(pb::CreateWebLoginResponse {
                url: format!("{url}/sign-in/{token}"),
                expires_at: until.millis(),
            })
        };
        made().map(Response::new).map_err(refuse)
    }

    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        if !caller.has(NodeRole::Auditor) {
            caller.check_node(NodeRole::Operator).map_err(refuse)?;
        }
        Ok(Response::new(self.status.read(&self.exchange)))
    }

    type ExportEvidenceStream = ReceiverStream<Result<pb::ExportEvidenceResponse, Status>>;

    async fn export_evidence(
        &self,
        request: Request<pb::ExportEvidenceRequest>,
    ) -> Result<Response<Self::ExportEvidenceStream>, Status> {
        let caller = caller(&self.exchange, &request)?;
        let pieces =
            self.exports.begin(&self.exchange, &caller, request.into_inner()).await.map_err(refuse)?;
        Ok(Response::new(ReceiverStream::new(pieces)))
    }

    type ExportTilesStream = ReceiverStream<Result<pb::ExportTilesResponse, Status>>;

    async fn export_tiles(
        &self,
        request: Request<pb::ExportTilesRequest>,
    ) -> Result<Response<Self::ExportTilesStream>, Status> {
        let caller = caller(&self.exchange, &request)?;
        caller.check_node(NodeRole::Auditor).map_err(refuse)?;
        let request = request.into_inner();
        let known = match request.known_size {
            0 => None,
            size => {
                let root =
                    crate::wire::words::read_digest("known_root", &request.known_root).map_err(refuse)?;
                Some(audit::Known { size, root })
            }
        };
        let ledger = self.exchange.ledger();
        let index = ledger.index().clone();
        let (pieces, receiver) = mpsc::channel(4);
        // An empty log has no checkpoint, and no files.
        if let Some(checkpoint) = ledger.snapshot().checkpoint().cloned() {
            tokio::task::spawn_blocking(move || {
                let ended = export_tiles(&index, &checkpoint, known, |path, data| {
                    for piece in data.chunks(limits::CHUNK_BYTES) {
                        let data = bytes::Bytes::copy_from_slice(piece);
                        let message = pb::ExportTilesResponse { path: path.to_owned(), data };
                        pieces.blocking_send(Ok(message))?;
                    }
                    Ok(())
                });
                match ended {
                    // Who asked has gone.
                    Ok(()) | Err(TilesError::Write(mpsc::error::SendError(_))) => {}
                    Err(error @ (TilesError::History { .. } | TilesError::Longer { .. })) => {
                        let refused = Rejection::new(Reason::BadProof, "known_root", error.to_string());
                        let _ = pieces.blocking_send(Err(refuse(refused)));
                    }
                    Err(error) => {
                        tracing::error!(%error, "the log could not be exported");
                        let _ = pieces.blocking_send(Err(refuse(must_be_checked())));
                    }
                }
            });
        }
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
