//! One document to one recipient: where it stands, the verdicts of both nodes, its way event by event, and what proves
//! it. Looking is recorded before anything is shown.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::audit::evidence::Packer;
use crate::domain::event::RoleVerdicts;
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::rpc::refuse;
use crate::web::Site;
use crate::web::frame::{facts, grid, page as framed};
use crate::web::pages::way;
use crate::web::said;
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::web::words as spoken;
use crate::wire::pb::audit_service_server::AuditService as _;
use crate::wire::pb::exchange_service_server::ExchangeService as _;
use crate::wire::{pb, words};

/// Bytes of evidence that are sent at once.
const PIECE: usize = 256 << 10;

/// The page.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Response {
    visitor.answer(show(&site, &visitor, &id).await)
}

fn read_id(id: &str) -> Result<DeliveryId, Status> {
    id.parse().map_err(|_| {
        let shown = crate::domain::ids::shorten(id);
        refuse(Rejection::new(
            Reason::UnknownDelivery,
            "delivery_id",
            format!("no delivery `{shown}` is known here"),
        ))
    })
}

async fn show(site: &Site, visitor: &Visitor, id: &str) -> Result<Markup, Status> {
    let lang = visitor.lang;
    let id = read_id(id)?;
    let request = pb::TrackRequest { delivery_id: words::id(&id), document: None };
    let tracked = site.documents.track(visitor.ask(request)).await?.into_inner();
    let missing =
        || refuse(Rejection::new(Reason::UnknownDelivery, "delivery_id", format!("no delivery {id}")));
    let view = tracked.deliveries.into_iter().next().ok_or_else(missing)?;
    let on_behalf = on_behalf(site, visitor, &view);
    let recorded = site.exchange.record_view(&visitor.caller, &visitor.user, id, on_behalf.clone());
    recorded.await.map_err(refuse)?;
    let way = way::read(site, visitor, &id, &view, on_behalf.as_ref()).await?;
    let key = format!("{}/{}", view.number, view.notation);
    let title = match (view.number.as_str(), lang) {
        ("", _) => format!("{} {}", lang.of(said::MESSAGE), &id.to_string()[..12]),
        (_, Lang::Vi) => format!("Văn bản {key} ({})", view.year),
        (_, Lang::En) => format!("Document {key} ({})", view.year),
    };
    let body = html! {
        (standing(lang, &id, &view))
        h2 { (lang.of(said::VERDICTS_ON_SIGNATURES)) }
        (verdicts(lang, &view))
        h2 { (lang.of(said::WAY_DOCUMENT)) }
        (way::list(lang, &id, &way))
        h2 { (lang.of(said::EVIDENCE)) }
        p { (lang.of(said::ONE_FILE_ASIC)) }
        form method="post" action=(format!("/documents/{id}/evidence")) {
            button.main { (lang.of(said::DOWNLOAD_EVIDENCE)) }
        }
    };
    Ok(framed(visitor, "/documents", &title, &body))
}

/// The agency on whose behalf the visitor looks: the first side of the delivery that it may act for. `None` for people of
/// the node.
fn on_behalf(site: &Site, visitor: &Visitor, view: &pb::DeliveryView) -> Option<AgencyId> {
    use crate::config::{NodeRole, Role};
    if visitor.caller.has(NodeRole::Auditor) {
        return None;
    }
    let directory = site.exchange.directory();
    let today = site.exchange.ledger().now().date();
    let may = |code: &&String| {
        directory.by_code(code, today).is_some_and(|agency| {
            [Role::Auditor, Role::Operator, Role::Dms]
                .into_iter()
                .any(|r| visitor.caller.may(agency, r, today))
        })
    };
    let code = [&view.sender, &view.recipient].into_iter().find(may)?;
    directory.by_code(code, today).map(|agency| agency.id.clone())
}

fn standing(lang: Lang, id: &DeliveryId, view: &pb::DeliveryView) -> Markup {
    let state = words::read_delivery_state(view.state).map_or("", |s| spoken::state(lang, s));
    let kind = words::read_kind(view.kind).map_or("", |k| spoken::kind(lang, k));
    let reason = if view.reason.is_empty() { String::new() } else { format!(" ({})", view.reason) };
    let ended = view.ended.as_ref().map(|end| {
        let by = spoken::ended_by(lang, end.by());
        format!("{by}, {}", lang.moment(end.at))
    });
    let mut rows = vec![
        (
            lang.of(said::STATE),
            format!("{state}{reason}"),
            way::is_refused(view).then_some(lang.of(said::REFUSED_BY_RECIPIENT)),
        ),
        (lang.of(said::KIND_MESSAGE), kind.to_owned(), None),
        (lang.of(said::FROM_3), view.sender.clone(), None),
        (lang.of(said::TO), view.recipient.clone(), None),
        (lang.of(said::RECORDED_FOR_SENDING), lang.moment(view.submitted_at), None),
        (lang.of(said::ANSWERED_BY_RECIPIENTS), lang.moment(view.settled_at), None),
    ];
    if let Some(status) = way::answer(view) {
        let name = spoken::status(lang, &format!("{:02}", status.status));
        rows.push((lang.of(said::LAST_STATUS), format!("{name}, {}", lang.moment(status.at)), None));
    }
    if let Some(ended) = ended {
        let mark = Some(lang.of(said::NO_LONGER_FORCE));
        rows.push((lang.of(said::FORCE), ended, mark));
    }
    if !view.waiting_for.is_empty() {
        rows.push((lang.of(said::WAITS_FOR), view.waiting_for.clone(), None));
    }
    rows.push((lang.of(said::DELIVERY), id.to_string(), None));
    facts(&rows)
}

/// What both nodes found, where each of them is known here.
fn verdicts(lang: Lang, view: &pb::DeliveryView) -> Markup {
    let read = |v: &Option<pb::Verdicts>| v.as_ref().and_then(|v| words::read_verdicts(Some(v)).ok());
    let (sender, recipient) = (read(&view.sender_verdicts), read(&view.recipient_verdicts));
    let cells = |verdicts: RoleVerdicts| {
        [
            html! { (spoken::verdict(lang, verdicts.person)) },
            html! { (spoken::verdict(lang, verdicts.agency)) },
            html! { @if let Some(reason) = verdicts.reason { code { (reason) } } @else { "–" } },
        ]
    };
    let line = |name: &str, verdicts: Option<RoleVerdicts>| {
        let none = || [html! { "–" }, html! { "–" }, html! { "–" }];
        [vec![html! { (name) }], verdicts.map_or_else(none, cells).to_vec()].concat()
    };
    let rows = [line(lang.of(said::SENDERS_NODE), sender), line(lang.of(said::RECIPIENTS_NODE), recipient)];
    let head =
        [lang.of(said::CHECKED_AT), lang.of(said::PERSON), lang.of(said::AGENCY), lang.of(said::REASON)]
            .map(|name| html! { (name) });
    let differ = matches!((sender, recipient), (Some(a), Some(b)) if a != b);
    let effective =
        sender.is_some_and(RoleVerdicts::both_valid) && recipient.is_some_and(RoleVerdicts::both_valid);
    html! {
        (grid(lang.of(said::BY_ROLE_SIGNER), &head, &[], &rows))
        @if differ {
            p.warn { strong { (lang.of(said::TWO_NODES_DIFFER)) } }
        }
        @if effective {
            p.good { (lang.of(said::VALID_SIGNATURES_COMPETENT)) }
        }
    }
}

/// The evidence as one file.
pub(super) async fn evidence(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Response {
    match pack(&site, &visitor, &id).await {
        Ok((id, body)) => {
            let name = format!("attachment; filename=\"{}.asice\"", &id.to_string()[..12]);
            let media = "application/vnd.etsi.asic-e+zip".to_owned();
            ([(header::CONTENT_TYPE, media), (header::CONTENT_DISPOSITION, name)], body).into_response()
        }
        Err(status) => visitor.trouble(&status).into_response(),
    }
}

/// Packs the files in a temporary one, which is gone when it was sent.
async fn pack(site: &Site, visitor: &Visitor, id: &str) -> Result<(DeliveryId, Body), Status> {
    let id = read_id(id)?;
    let request = pb::ExportEvidenceRequest {
        delivery_id: words::id(&id),
        user: visitor.user.clone(),
        ..pb::ExportEvidenceRequest::default()
    };
    let mut pieces = site.audit.export_evidence(visitor.ask(request)).await?.into_inner();
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "evidence cannot be packed");
        refuse(Rejection::new(Reason::Internal, "", "this node's operator must look"))
    };
    let mut packer = Packer::new(tempfile::tempfile().map_err(failed)?);
    let (mut path, mut bytes) = (String::new(), 0_u64);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if piece.path != path {
            bytes = bytes.saturating_add(piece.size);
            if bytes > limits::WEB_EVIDENCE_BYTES {
                let what = format!(
                    "{bytes} bytes of evidence are more than the {} that a page hands out: use `lienthong audit export {id}`",
                    limits::WEB_EVIDENCE_BYTES
                );
                return Err(refuse(Rejection::new(Reason::ContentTooLarge, "", what)));
            }
            path.clone_from(&piece.path);
            packer.file(&path, piece.size).map_err(failed)?;
        }
        packer.write(&piece.data).map_err(failed)?;
    }
    let mut file = packer.finish().map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(2);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece);
            let last = !matches!(read, Ok(n) if n > 0);
            if last && read.is_ok() {
                return;
            }
            // Who asked may have gone.
            if sender.blocking_send(read.map(|_| Bytes::from(piece))).is_err() || last {
                return;
            }
        }
    });
    Ok((id, Body::from_stream(ReceiverStream::new(receiver))))
}
