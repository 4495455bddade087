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
use crate::directory::Agency;
use crate::domain::administration::Extract;
use crate::domain::ids::AgencyId;
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{fold, limits};
use crate::exchange::witness::own::{Cosigned, newest_cosigned};
use crate::exchange::{Caller, Exchange};
use crate::ledger::{damaged, must_be_checked, storage, unknown_event};
use crate::merkle::NoteVerifier;
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
        let found = self.agency(agency, "agency")?;
        if !caller.has(NodeRole::Auditor) {
            caller.check(&found, Role::Auditor, "agency", self.exchange.ledger().now().date())?;
        }
        Ok(Some(found.id))
    }

    /// The agency of a code.
    fn agency(&self, code: &str, field: &'static str) -> Result<Agency, Rejection> {
        let directory = self.exchange.directory();
        let today = self.exchange.ledger().now().date();
        directory.by_code(code, today).cloned().ok_or_else(|| {
            let shown = crate::domain::ids::shorten(code);
            Rejection::new(Reason::UnknownAgency, field, format!("no agency `{shown}` in the directory"))
        })
    }

    /// The query of a request, for the events that the caller may list.
    fn query(&self, r: &pb::ListEventsRequest, agency: Option<AgencyId>) -> Result<Query, Rejection> {
        let counterpart = match r.counterpart.as_str() {
            "" => None,
            code => Some(self.agency(code, "counterpart")?.id),
        };
        let (limit, next) = read_page(r.page.as_ref())?;
        let from = if has_token(r) { Some(next) } else { r.from_index };
        Ok(Query { from, limit, ..Query::read(r, agency, counterpart)? })
    }

    /// Records that something is taken out of the log, before the first byte of it goes out.
    async fn extract(
        &self,
        caller: &Caller,
        user: &str,
        extract: Extract,
        agency: Option<AgencyId>,
        filter: String,
    ) -> Result<(), Rejection> {
        super::record_extract(&self.exchange, caller.actor(user)?, extract, agency, filter).await
    }

    /// Checks the log as it stands; what comes meanwhile is not looked at.
    async fn check(&self, content: bool) -> Result<audit::Checked, Status> {
        let (exchange, key) = (self.exchange.clone(), self.key.clone());
        // Off the threads that serve calls.
        tokio::task::spawn_blocking(move || {
            let checked = audit::check_running(&exchange, &key, |_| true)?.unwrap_or_default();
            if !content {
                return Ok(checked);
            }
            let content = audit::check_content_of(exchange.ledger(), |_| {})?;
            Ok(checked.with_content(content))
        })
        .await
        .map_err(|e| Status::internal(e.to_string()))?
        .map_err(|e| refuse(storage(&e)))
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
        // How long the log is, is not an agency's affair.
        let what = format!("there is no event {index} that concerns an agency of this client");
        Err(Rejection::new(Reason::UnknownEvent, "index", what))
    }
}

fn has_token(request: &pb::ListEventsRequest) -> bool {
    request.page.as_ref().is_some_and(|page| !page.token.is_empty())
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
        let query = self.query(&request, agency.clone()).map_err(refuse)?;
        if request.export && !has_token(&request) {
            let words = Query::words(&request);
            self.extract(&caller, &request.asking_user, Extract::Events, agency, words)
                .await
                .map_err(refuse)?;
        }
        let ledger = self.exchange.ledger();
        let (index, size) = (ledger.index().clone(), ledger.snapshot().size());
        // Off the threads that serve calls: a page may read some hundred records.
        let (events, next) = tokio::task::spawn_blocking(move || audit::list(&index, size, &query))
            .await
            .map_err(|e| Status::internal(e.to_string()))?
            .map_err(|e| refuse(storage(&e)))?;
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
            cosigned: self.exchange.cosigned().iter().map(Cosigned::note).collect(),
        }))
    }

    async fn check_log(
        &self,
        request: Request<pb::CheckLogRequest>,
    ) -> Result<Response<pb::CheckLogResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        caller.check_node(NodeRole::Auditor).map_err(refuse)?;
        let checked = self.check(request.into_inner().content).await?;
        Ok(Response::new(pb::CheckLogResponse {
            events: checked.events,
            root: checked.root.map_or_else(bytes::Bytes::new, |r| crate::wire::words::digest(&r)),
            findings: checked
                .findings
                .iter()
                .map(|f| pb::Finding {
                    place: f.place.to_string(),
                    index: f.index.unwrap_or_default(),
                    has_index: f.index.is_some(),
                    message: f.message.clone(),
                })
                .collect(),
            unlisted: checked.unlisted,
            content: checked.content.map(|c| pb::ContentRead {
                contents: c.contents,
                bytes: c.bytes,
                micros: c.micros,
            }),
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

    async fn begin_backup(
        &self,
        request: Request<pb::BeginBackupRequest>,
    ) -> Result<Response<pb::BeginBackupResponse>, Status> {
        let caller = caller(&self.exchange, &request)?;
        caller.check_node(NodeRole::Admin).map_err(refuse)?;
        let pb::BeginBackupRequest { user, keys } = request.into_inner();
        let filter = if keys { "keys".to_owned() } else { String::new() };
        self.extract(&caller, &user, Extract::Backup, None, filter).await.map_err(refuse)?;
        let snapshot = self.exchange.ledger().snapshot();
        let checkpoint = snapshot.checkpoint().map_or_else(String::new, |c| c.note().to_owned());
        Ok(Response::new(pb::BeginBackupResponse { checkpoint }))
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
        let of_others = if request.cosigned {
            Some(
                newest_cosigned(ledger.origin(), self.exchange.cosigned().into_iter().next())
                    .map_err(refuse)?,
            )
        } else {
            None
        };
        // Who goes on from an export after which nothing happened takes nothing.
        let size = of_others.as_ref().map_or(ledger.snapshot().size(), |c| c.checkpoint.checkpoint().size);
        if known.is_none_or(|known| known.size != size) {
            let (what, filter) = (Extract::Tiles, String::new());
            self.extract(&caller, &request.user, what, None, filter).await.map_err(refuse)?;
        }
        let index = ledger.index().clone();
        let (pieces, receiver) = mpsc::channel(4);
        let asked = match of_others {
            Some(newest) => Some((newest.note(), newest.checkpoint)),
            // An empty log has no checkpoint, and no files.
            None => ledger.snapshot().checkpoint().cloned().map(|checkpoint| {
                // As others cosigned it, where they did.
                let note = self.exchange.cosigned().into_iter().find(|c| c.checkpoint == checkpoint);
                (note.map_or_else(|| checkpoint.note().to_owned(), |c| c.note()), checkpoint)
            }),
        };
        if let Some((note, checkpoint)) = asked {
            tokio::task::spawn_blocking(move || {
                let ended = export_tiles(&index, (&checkpoint, &note), known, |path, data| {
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
