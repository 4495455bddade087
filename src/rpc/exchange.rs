//! `ExchangeService`: what a document-management system calls. Decode, authorise, call the step, encode.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::guard::stopping;
use super::quota::{Quotas, What, holder};
use super::{caller, fetch, identity, notices, paper, refuse, unreadable};
use crate::config::Role;
use crate::domain::fold::records::{FeedKind, Incoming, IncomingState, Outgoing};
use crate::domain::ids::{AgencyId, DeliveryId, RequestId};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{Status as BusinessStatus, limits};
use crate::exchange::handover::Notification;
use crate::exchange::intake::{Header, PartHeader, Receipt};
use crate::exchange::status::Report;
use crate::exchange::track::Tracked;
use crate::exchange::{Caller, Exchange};
use crate::store::content::RECORD_BYTES;
use crate::wire::pb::exchange_service_server::ExchangeService;
use crate::wire::{pb, words};

/// The service.
pub struct ExchangeApi {
    exchange: Exchange,
    quotas: Quotas,
    stop: watch::Receiver<bool>,
}

impl ExchangeApi {
    /// Over the steps; streams end when `stop` says so.
    pub fn new(exchange: Exchange, quotas: Quotas, stop: watch::Receiver<bool>) -> ExchangeApi {
        ExchangeApi { exchange, quotas, stop }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ExchangeService for ExchangeApi {
    async fn send(&self, request: Request<Streaming<pb::SendRequest>>) -> Answer<pb::SendResponse> {
        let caller = caller(&self.exchange, &request)?;
        let who = holder(identity(&request).ok().as_ref());
        let _document = self.quotas.take(&who, What::Documents, 1).map_err(refuse)?;
        let mut stream = request.into_inner();
        let bad = |what: &str| refuse(Rejection::new(Reason::BadStream, "", what));
        let header = match stream.message().await.map_err(unreadable)?.and_then(|m| m.part) {
            Some(pb::send_request::Part::Header(header)) => header,
            Some(pb::send_request::Part::Data(_)) => {
                return Err(bad("data came before the header: begin with it"));
            }
            None => return Err(bad("the stream ended before the header")),
        };
        let _bytes = self.quotas.take(&who, What::Bytes, in_memory(&header)).map_err(refuse)?;
        let header = read_header(header).map_err(refuse)?;
        let mut upload = self.exchange.begin_send(&caller, header).await.map_err(refuse)?;
        let superseded = upload.superseded();
        tokio::pin!(superseded);
        let mut stop = self.stop.clone();
        loop {
            let message = tokio::select! {
                biased;
                () = &mut superseded => {
                    return Err(bad("another call goes on with this upload"));
                }
                _ = stop.wait_for(|s| *s), if upload.is_large() => {
                    // What came is kept.
                    return Err(refuse(stopping()));
                }
                message = stream.message() => message.map_err(unreadable)?,
            };
            let Some(message) = message else { break };
            match message.part {
                Some(pb::send_request::Part::Data(data)) => {
                    if data.len() > limits::DATA_BYTES {
                        return Err(refuse(Rejection::new(
                            Reason::ContentTooLarge,
                            "data",
                            format!(
                                "{} bytes are more than the {} of one message: send more and smaller ones",
                                data.len(),
                                limits::DATA_BYTES
                            ),
                        )));
                    }
                    upload.write(data).await.map_err(refuse)?;
                }
                _ => return Err(bad("only data may follow the header: one document a stream")),
            }
        }
        let receipt = upload.finish().await.map_err(refuse)?;
        Ok(Response::new(send_response(receipt)))
    }

    type SendManyStream = ReceiverStream<Result<pb::SendManyResponse, Status>>;

    async fn send_many(
        &self,
        request: Request<Streaming<pb::SendManyRequest>>,
    ) -> Answer<Self::SendManyStream> {
        let caller = caller(&self.exchange, &request)?;
        let (quotas, who) = (self.quotas.clone(), holder(identity(&request).ok().as_ref()));
        let mut stream = request.into_inner();
        let (answers, receiver) = mpsc::channel(limits::STREAM_IN_FLIGHT);
        let exchange = self.exchange.clone();
        let mut stop = self.stop.clone();
        tokio::spawn(async move {
            // Who reads no answers is not read from either.
            let places = Arc::new(Semaphore::new(limits::STREAM_IN_FLIGHT));
            // Nor who sends more at once than a part of its share: only several such streams are refused.
            let most = quotas.stream_kib();
            let room = Arc::new(Semaphore::new(most));
            loop {
                let Ok(place) = places.clone().acquire_owned().await else { break };
                let message = tokio::select! {
                    message = stream.message() => Some(message),
                    _ = stop.wait_for(|s| *s) => None,
                };
                let Some(message) = message else {
                    // What came is answered; what did not must not look as if it had.
                    drop(place);
                    let _ = places.acquire_many(limits::STREAM_IN_FLIGHT as u32).await;
                    let _ = answers.send(Err(refuse(stopping()))).await;
                    break;
                };
                let message = match message {
                    Ok(Some(message)) => message,
                    Ok(None) => break,
                    Err(status) => {
                        // An error ends the stream: what came before is answered first.
                        drop(place);
                        let _ = places.acquire_many(limits::STREAM_IN_FLIGHT as u32).await;
                        let _ = answers.send(Err(unreadable(status))).await;
                        break;
                    }
                };
                let kib = message.encoded_len().div_ceil(1024).min(most) as u32;
                let Ok(held) = room.clone().acquire_many_owned(kib).await else { break };
                let (exchange, caller, answers) = (exchange.clone(), caller.clone(), answers.clone());
                let (quotas, who) = (quotas.clone(), who.clone());
                tokio::spawn(async move {
                    let answer = send_one(&exchange, &caller, &quotas, &who, message).await;
                    drop(held);
                    let _ = answers.send(Ok(answer)).await;
                    drop(place);
                });
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn get_upload(&self, request: Request<pb::GetUploadRequest>) -> Answer<pb::GetUploadResponse> {
        let caller = caller(&self.exchange, &request)?;
        let request = request.into_inner();
        let id = RequestId::from_client(&request.request_id).map_err(refuse)?;
        let durable_offset =
            self.exchange.upload_offset(&caller, &request.sender, &id).await.map_err(refuse)?;
        Ok(Response::new(pb::GetUploadResponse { durable_offset }))
    }

    async fn send_status(&self, request: Request<pb::SendStatusRequest>) -> Answer<pb::SendStatusResponse> {
        let caller = caller(&self.exchange, &request)?;
        let r = request.into_inner();
        let report = (|| {
            Ok(Report {
                request_id: RequestId::from_client(&r.request_id)?,
                delivery_id: DeliveryId::from_slice(&r.delivery_id)?,
                status: words::read_status(r.status).ok_or_else(|| {
                    Rejection::new(
                        Reason::WrongStatus,
                        "status",
                        format!("{} is no status: use 2 to 6, 13, 15 or 16", r.status),
                    )
                })?,
                agency: r.agency,
                reason: r.reason,
                office: r.office,
                officer: r.officer,
                user: r.user,
                answers: words::read_optional_id(&r.answers)?,
            })
        })()
        .map_err(refuse)?;
        let done = self.exchange.report_status(&caller, report).await.map_err(refuse)?;
        Ok(Response::new(pb::SendStatusResponse {
            delivery_id: words::id(&done.delivery_id),
            log_index: done.index,
            out_of_order: done.out_of_order,
        }))
    }

    async fn send_notice(&self, request: Request<pb::SendNoticeRequest>) -> Answer<pb::SendNoticeResponse> {
        let caller = caller(&self.exchange, &request)?;
        let notice = notices::read(request.into_inner()).map_err(refuse)?;
        let sent = self.exchange.send_notice(&caller, notice).await.map_err(refuse)?;
        Ok(Response::new(notices::response(sent)))
    }

    type WatchStream = ReceiverStream<Result<pb::WatchResponse, Status>>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Answer<Self::WatchStream> {
        let caller = caller(&self.exchange, &request)?;
        let request = request.into_inner();
        let mut next = read_watch_cursor(&self.exchange, &request.cursor).map_err(refuse)?;
        let agencies = self.watched(&caller, &request.agencies).map_err(refuse)?;
        let (items, receiver) = mpsc::channel(256);
        let exchange = self.exchange.clone();
        let mut stop = self.stop.clone();
        let mut head = exchange.ledger().subscribe();
        tokio::spawn(async move {
            loop {
                head.mark_unchanged();
                let found = match exchange.notifications(&agencies, next, 512) {
                    Ok(found) => found,
                    Err(rejection) => {
                        let _ = items.send(Err(refuse(rejection))).await;
                        return;
                    }
                };
                let nothing = found.is_empty();
                for notification in found {
                    next = notification.index + 1;
                    let item = watch_item(&exchange, &notification);
                    if items.send(item.map_err(refuse)).await.is_err() {
                        return;
                    }
                }
                if !nothing {
                    continue;
                }
                if request.once {
                    return;
                }
                tokio::select! {
                    changed = head.changed() => if changed.is_err() { return },
                    () = async { drop(stop.wait_for(|s| *s).await) } => {
                        let _ = items.send(Err(refuse(stopping()))).await;
                        return;
                    }
                    () = items.closed() => return,
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list_inbox(&self, request: Request<pb::ListInboxRequest>) -> Answer<pb::ListInboxResponse> {
        let caller = caller(&self.exchange, &request)?;
        let request = request.into_inner();
        let (size, from) = read_page(request.page.as_ref()).map_err(refuse)?;
        let (entries, next) = self.exchange.inbox(&caller, &request.agency, from, size).map_err(refuse)?;
        let items = entries
            .into_iter()
            .map(|e| {
                let about = e.record.replaced.or(e.record.facts.target);
                let facts = e.record.facts;
                pb::InboxItem {
                    delivery_id: words::id(&e.id),
                    sender: facts.sender_code,
                    number: facts.key.as_ref().map_or_else(String::new, |k| k.number().to_owned()),
                    notation: facts.key.as_ref().map_or_else(String::new, |k| k.notation().to_owned()),
                    issued_on: facts.issued_on.map_or_else(String::new, |d| d.to_string()),
                    urgency: words::urgency(facts.urgency).into(),
                    verdicts: Some(words::verdicts(e.record.verdicts)),
                    received_at: e.record.received_at.millis(),
                    held: e.record.state == IncomingState::Held,
                    leased: e.leased,
                    kind: words::kind(facts.kind).into(),
                    ended_by: e.record.ended.map_or(0, |end| words::ended_by(end.by).into()),
                    about: about.as_ref().map_or_else(Bytes::new, words::id),
                }
            })
            .collect();
        Ok(Response::new(pb::ListInboxResponse { items, next_token: token(next) }))
    }

    type FetchStream = ReceiverStream<Result<pb::FetchResponse, Status>>;

    async fn fetch(&self, request: Request<pb::FetchRequest>) -> Answer<Self::FetchStream> {
        let caller = caller(&self.exchange, &request)?;
        let request = request.into_inner();
        let delivery = DeliveryId::from_slice(&request.delivery_id).map_err(refuse)?;
        let fetch =
            fetch::open(&self.exchange, caller, request.agency, delivery, &request.user, request.offset);
        Ok(Response::new(fetch.await.map_err(refuse)?))
    }

    async fn acknowledge(&self, request: Request<pb::AcknowledgeRequest>) -> Answer<pb::AcknowledgeResponse> {
        let caller = caller(&self.exchange, &request)?;
        let request = request.into_inner();
        let delivery = DeliveryId::from_slice(&request.delivery_id).map_err(refuse)?;
        let log_index = self
            .exchange
            .acknowledge(&caller, &request.agency, delivery, &request.user)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::AcknowledgeResponse { log_index }))
    }

    async fn release(&self, request: Request<pb::ReleaseRequest>) -> Answer<pb::ReleaseResponse> {
        let caller = caller(&self.exchange, &request)?;
        let request = request.into_inner();
        let delivery = DeliveryId::from_slice(&request.delivery_id).map_err(refuse)?;
        let log_index = self
            .exchange
            .release(&caller, &request.agency, delivery, request.refuse, &request.user)
            .await
            .map_err(refuse)?;
        Ok(Response::new(pb::ReleaseResponse { log_index }))
    }

    async fn track(&self, request: Request<pb::TrackRequest>) -> Answer<pb::TrackResponse> {
        let caller = caller(&self.exchange, &request)?;
        let request = request.into_inner();
        let tracked = (|| match &request.document {
            Some(document) => self.exchange.track_document(&caller, &words::read_document_ref(document)?),
            None => Ok(vec![self.exchange.track(&caller, DeliveryId::from_slice(&request.delivery_id)?)?]),
        })()
        .map_err(refuse)?;
        Ok(Response::new(pb::TrackResponse {
            deliveries: tracked.iter().map(|t| view(&self.exchange, t)).collect(),
        }))
    }

    async fn find_delivery(
        &self,
        request: Request<pb::FindDeliveryRequest>,
    ) -> Answer<pb::FindDeliveryResponse> {
        let caller = caller(&self.exchange, &request)?;
        let id = self.exchange.find_delivery(&caller, &request.into_inner().begins).map_err(refuse)?;
        Ok(Response::new(pb::FindDeliveryResponse { delivery_id: words::id(&id) }))
    }

    async fn record_paper(
        &self,
        request: Request<pb::RecordPaperRequest>,
    ) -> Answer<pb::RecordPaperResponse> {
        let caller = caller(&self.exchange, &request)?;
        let entry = paper::read(request.into_inner()).map_err(refuse)?;
        let (log_index, already_recorded) =
            self.exchange.record_paper(&caller, entry).await.map_err(refuse)?;
        Ok(Response::new(pb::RecordPaperResponse { log_index, already_recorded }))
    }

    async fn list_paper(&self, request: Request<pb::ListPaperRequest>) -> Answer<pb::ListPaperResponse> {
        let caller = caller(&self.exchange, &request)?;
        let listed = paper::list(&self.exchange, &caller, request.into_inner()).await;
        listed.map(Response::new).map_err(refuse)
    }
}

impl ExchangeApi {
    /// The agencies that a caller wants to watch and may.
    fn watched(&self, caller: &Caller, codes: &[String]) -> Result<Vec<AgencyId>, Rejection> {
        let directory = self.exchange.directory();
        if codes.is_empty() {
            let all = caller.agencies(&self.exchange, &directory, Role::Dms);
            if all.is_empty() {
                return Err(Rejection::new(
                    Reason::NotAllowed,
                    "agencies",
                    format!("client `{}` acts for no agency of this node", caller.name()),
                ));
            }
            return Ok(all);
        }
        codes
            .iter()
            .map(|code| {
                self.exchange
                    .own_agency(&directory, caller, Role::Dms, code, "agencies", Reason::UnknownAgency)
                    .map(|a| a.id)
            })
            .collect()
    }
}

async fn send_one(
    exchange: &Exchange,
    caller: &Caller,
    quotas: &Quotas,
    who: &Arc<str>,
    message: pb::SendManyRequest,
) -> pb::SendManyResponse {
    use pb::send_many_response::Outcome;
    let request_id = message.header.as_ref().map_or_else(String::new, |h| h.request_id.clone());
    let sent = async {
        let _document = quotas.take(who, What::Documents, 1)?;
        let _bytes = quotas.take(who, What::Bytes, message.encoded_len())?;
        let header = message.header.ok_or_else(|| Rejection::missing("header"))?;
        if message.data.len() > limits::BULK_BYTES {
            return Err(Rejection::new(
                Reason::ContentTooLarge,
                "data",
                format!(
                    "{} bytes are more than the {} of one bulk message: use Send",
                    message.data.len(),
                    limits::BULK_BYTES
                ),
            ));
        }
        exchange.send(caller, read_header(header)?, message.data).await
    };
    let outcome = match sent.await {
        Ok(receipt) => Outcome::Sent(send_response(receipt)),
        Err(rejection) => {
            quotas.refused(rejection.reason);
            Outcome::Problem(problem(&rejection))
        }
    };
    pb::SendManyResponse { request_id, outcome: Some(outcome) }
}

/// Bytes that a document takes while it comes: its header, one message, and one record on its way to the store.
fn in_memory(header: &pb::SendHeader) -> usize {
    let size: u64 = header.parts.iter().fold(0, |sum, part| sum.saturating_add(part.size));
    header.encoded_len() + size.min(limits::DATA_BYTES as u64 + RECORD_BYTES) as usize
}

fn problem(rejection: &Rejection) -> pb::Problem {
    pb::Problem {
        reason: rejection.reason.code().to_owned(),
        field: rejection.field.clone(),
        message: rejection.message.clone(),
        retry_after_ms: rejection.reason.retry_after_ms(),
    }
}

fn read_header(header: pb::SendHeader) -> Result<Header, Rejection> {
    // Classification first: a state secret is refused before anything else of it is looked at.
    let metadata = header.metadata.ok_or_else(|| Rejection::missing("metadata"))?;
    let metadata = words::read_metadata(&metadata)?;
    let kind = if header.kind == 0 {
        crate::domain::Kind::New
    } else {
        words::read_kind(header.kind).ok_or_else(|| words::unknown("kind", header.kind))?
    };
    crate::domain::document::at_most("parts", header.parts.len(), limits::PARTS)?;
    let parts = header
        .parts
        .into_iter()
        .enumerate()
        .map(|(i, p)| {
            Ok(PartHeader {
                sha256: words::read_digest(&format!("parts[{i}].sha256"), &p.sha256)?,
                role: words::read_part_role(p.role)
                    .ok_or_else(|| words::unknown(&format!("parts[{i}].role"), p.role))?,
                name: p.name,
                media_type: p.media_type,
                size: p.size,
                signatures: p.signatures,
            })
        })
        .collect::<Result<_, Rejection>>()?;
    Ok(Header {
        request_id: RequestId::from_client(&header.request_id)?,
        sender: header.sender,
        recipients: header.recipients,
        kind,
        metadata,
        parts,
        validate_only: header.validate_only,
        user: header.user,
        not_after: words::read_time(header.not_after),
        resume_offset: header.resume_offset,
    })
}

fn send_response(receipt: Receipt) -> pb::SendResponse {
    let results = receipt
        .sent
        .into_iter()
        .map(|sent| match sent.outcome {
            Ok((delivery, log_index, already_sent)) => pb::RecipientResult {
                recipient: sent.recipient,
                delivery_id: words::id(&delivery),
                log_index,
                already_sent,
                problem: None,
            },
            Err(rejection) => pb::RecipientResult {
                recipient: sent.recipient,
                problem: Some(problem(&rejection)),
                ..pb::RecipientResult::default()
            },
        })
        .collect();
    pb::SendResponse { results, verdicts: Some(words::verdicts(receipt.verdicts)) }
}

/// Cursors and page tokens are the next index, marked so that a number typed by hand is told apart.
fn cursor(next: u64) -> String {
    format!("c{next}")
}

fn read_cursor(text: &str) -> Result<u64, Rejection> {
    if text.is_empty() {
        return Ok(0);
    }
    text.strip_prefix('c').and_then(|n| n.parse().ok()).ok_or_else(|| {
        Rejection::new(
            Reason::BadToken,
            "cursor",
            format!(
                "`{}` was not given by this node: leave it empty to begin anew",
                crate::domain::ids::shorten(text)
            ),
        )
    })
}

/// The cursor of a watch lasts longer than the log that it was given in: from the second generation on it says of which.
fn watch_cursor(exchange: &Exchange, next: u64) -> String {
    match exchange.config().generation {
        1 => cursor(next),
        generation => format!("g{generation}{}", cursor(next)),
    }
}

/// Of an earlier generation of the log counts what this one has of it: what came after that is told again.
fn read_watch_cursor(exchange: &Exchange, text: &str) -> Result<u64, Rejection> {
    let config = exchange.config();
    let (generation, next) = match text.strip_prefix('g').and_then(|rest| rest.split_once('c')) {
        Some((generation, next)) => (generation.parse().unwrap_or(u32::MAX), format!("c{next}")),
        None => (1, text.to_owned()),
    };
    let next = read_cursor(&next)?;
    if generation == config.generation || text.is_empty() {
        return Ok(next);
    }
    if generation > config.generation || generation == 0 {
        // In the words for what no node gave.
        return read_cursor(text);
    }
    Ok(next.min(exchange.recovery().kept_of(&config.node.log_origin(generation))))
}

/// A page token.
pub(crate) fn token(next: Option<u64>) -> String {
    next.map_or_else(String::new, cursor)
}

/// Size of a page, and where it begins.
pub(super) fn read_page(page: Option<&pb::Page>) -> Result<(usize, u64), Rejection> {
    let Some(page) = page else { return Ok((100, 0)) };
    let size = if page.size == 0 { 100 } else { page.size.min(limits::PAGE_ENTRIES) };
    Ok((size as usize, read_cursor(&page.token)?))
}

fn watch_item(exchange: &Exchange, n: &Notification) -> Result<pb::WatchResponse, Rejection> {
    use pb::WatchKind;
    let (kind, status) = match n.kind {
        FeedKind::Arrived => (WatchKind::Arrived, None),
        FeedKind::Status(status) => (WatchKind::Status, Some(status)),
        FeedKind::Held => (WatchKind::Held, None),
        FeedKind::Delivered => (WatchKind::Delivered, None),
        FeedKind::Refused => (WatchKind::Refused, None),
        FeedKind::Undelivered => (WatchKind::Undelivered, None),
        FeedKind::Notice(_) => (WatchKind::Notice, None),
    };
    let ledger = exchange.ledger();
    let outgoing: Option<Outgoing> = load(ledger, &keys::outgoing(&n.delivery_id))?;
    let sent = outgoing.filter(|o| o.facts.sender == n.agency);
    let incoming: Option<Incoming> =
        if sent.is_none() { load(ledger, &keys::incoming(&n.delivery_id))? } else { None };
    // Of what is held, what could not be judged.
    let undecided =
        |v: crate::domain::event::RoleVerdicts| v.reason.map_or("held", |r| r.as_str()).to_owned();
    let reason = match (n.kind, &sent, &incoming) {
        (FeedKind::Held, Some(o), _) => o.peer_verdicts.map_or_else(String::new, undecided),
        (FeedKind::Held, None, Some(i)) => undecided(i.verdicts),
        (_, Some(o), _) => o.reason.map_or_else(String::new, |r| r.code().to_owned()),
        _ => String::new(),
    };
    let kind_sent = sent.as_ref().map(|o| o.facts.kind);
    let counterpart = match &n.message {
        Some(message) => message.sender_code.clone(),
        None => sent
            .map(|o| o.facts.recipient_code)
            .or_else(|| incoming.map(|i| i.facts.sender_code))
            .unwrap_or_default(),
    };
    let mut item = pb::WatchResponse {
        cursor: watch_cursor(exchange, n.index + 1),
        kind: kind.into(),
        agency: n.agency.to_string(),
        delivery_id: words::id(&n.delivery_id),
        log_index: n.index,
        at: n.event.at.millis(),
        status: status.map_or(0, |s: BusinessStatus| words::status(s).into()),
        reason,
        counterpart,
        ..pb::WatchResponse::default()
    };
    match (&n.message, kind_sent) {
        (Some(message), _) => notices::tell(&mut item, message),
        (None, Some(kind)) => notices::tell_own(&mut item, kind, &n.delivery_id),
        (None, None) => {}
    }
    Ok(item)
}

use crate::domain::fold::keys;

fn load<T: serde::de::DeserializeOwned>(
    ledger: &crate::ledger::Ledger,
    key: &[u8],
) -> Result<Option<T>, Rejection> {
    crate::domain::fold::load(ledger, key).map_err(|e| crate::ledger::damaged(&e))
}

fn view(exchange: &Exchange, t: &Tracked) -> pb::DeliveryView {
    let facts = t.outgoing.as_ref().map(|o| &o.facts).or_else(|| t.incoming.as_ref().map(|i| &i.facts));
    let key = facts.and_then(|f| f.key.as_ref());
    let mut view = pb::DeliveryView {
        kind: facts.map_or(0, |f| words::kind(f.kind).into()),
        document_digest: facts.and_then(|f| f.document_digest).map_or_else(Bytes::new, |d| words::digest(&d)),
        delivery_id: words::id(&t.id),
        sender: facts.map_or_else(String::new, |f| f.sender_code.clone()),
        recipient: facts.map_or_else(String::new, |f| f.recipient_code.clone()),
        number: key.map_or_else(String::new, |k| k.number().to_owned()),
        notation: key.map_or_else(String::new, |k| k.notation().to_owned()),
        year: key.map_or(0, |k| k.year()),
        attempt: facts.map_or(0, |f| f.attempt),
        ..pb::DeliveryView::default()
    };
    let statuses = |list: &[crate::domain::fold::records::StatusEntry]| {
        list.iter()
            .map(|s| pb::StatusView {
                status: words::status(s.status).into(),
                at: s.at.millis(),
                out_of_order: s.out_of_order,
                log_index: s.index,
            })
            .collect()
    };
    if let Some(i) = &t.incoming {
        view.state = match i.state {
            IncomingState::Received => pb::DeliveryState::Delivered,
            IncomingState::Held => pb::DeliveryState::Held,
            IncomingState::Refused => pb::DeliveryState::Refused,
        }
        .into();
        view.reason = i.reason.map_or_else(String::new, |r| r.code().to_owned());
        view.recipient_verdicts = Some(words::verdicts(i.verdicts));
        view.settled_at = i.received_at.millis();
        view.settled_index = i.index;
        view.ended = i.ended.as_ref().map(notices::ended);
        view.asked = notices::asked(&i.asked);
        view.statuses = statuses(&i.statuses);
        view.peer = i.peer.to_string();
    }
    if let Some(o) = &t.outgoing {
        view.state = words::delivery_state(o.state).into();
        view.reason = o.reason.map_or_else(String::new, |r| r.code().to_owned());
        view.submitted_at = o.submitted_at.millis();
        view.submitted_index = o.submitted_index;
        view.settled_at = words::time(o.settled_at);
        view.settled_index = o.settled_index.unwrap_or_default();
        view.not_after = o.not_after.millis();
        view.sender_verdicts = Some(words::verdicts(o.verdicts));
        view.recipient_verdicts = o.peer_verdicts.map(words::verdicts);
        view.statuses = statuses(&o.statuses);
        view.ended = o.ended.as_ref().map(notices::ended);
        view.asked = notices::asked(&o.asked);
        view.peer = o.peer.to_string();
    }
    view.waiting_for = exchange.waits(t);
    view
}

/// Reads a whole fetch stream; for clients of this crate.
pub async fn collect_fetch(
    mut stream: Streaming<pb::FetchResponse>,
) -> Result<(pb::FetchHeader, Vec<u8>), Status> {
    let mut header = None;
    let mut data = Vec::new();
    while let Some(message) = stream.next().await {
        match message?.part {
            Some(pb::fetch_response::Part::Header(h)) => header = Some(h),
            Some(pb::fetch_response::Part::Data(piece)) => data.extend_from_slice(&piece),
            None => {}
        }
    }
    header.map(|h| (h, data)).ok_or_else(|| Status::internal("the fetch ended before its header"))
}
