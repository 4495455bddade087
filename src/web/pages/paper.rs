//! *Paper*: the paper register of an agency: entering, correcting and withdrawing what went on paper, and declaring a
//! month complete. For the agency's own people (dms).
//!
//! Every form names an idempotency key of its own, so that sending it twice enters nothing twice; forms of other sites
//! are refused before they get here (`visitor::own_forms`).

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Form};
use maud::{Markup, html};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::register;
use crate::config::Role;
use crate::directory::Agency;
use crate::domain::reason::{Reason, Rejection};
use crate::rpc::login::token;
use crate::rpc::refuse;
use crate::web::Site;
use crate::web::forms;
use crate::web::frame::{page as framed, refusal};
use crate::web::said;
use crate::web::text::Lang;
use crate::web::visitor::Visitor;
use crate::wire::pb;
use crate::wire::pb::exchange_service_server::ExchangeService as _;
use crate::wire::pb::report_service_server::ReportService as _;

/// Entries of a page.
const LISTED: u32 = 50;

/// Which register, and what of it.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    pub agency: String,
    #[serde(default)]
    pub number: String,
    #[serde(default)]
    pub token: String,
    /// The entry to be corrected.
    #[serde(default)]
    pub corrects: String,
    /// The event of what was just done.
    #[serde(default)]
    pub done: String,
}

/// An entry as the form sends it.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub request_id: String,
    #[serde(default)]
    pub agency: String,
    #[serde(default)]
    pub recipient: String,
    #[serde(default)]
    pub recipient_name: String,
    #[serde(default)]
    pub number: String,
    #[serde(default)]
    pub notation: String,
    #[serde(default)]
    pub issued_on: String,
    #[serde(default)]
    pub type_name: String,
    #[serde(default)]
    pub urgency: String,
    #[serde(default)]
    pub mandatory: String,
    #[serde(default)]
    pub basis: String,
    #[serde(default)]
    pub dispatched_on: String,
    #[serde(default)]
    pub corrects: String,
    #[serde(default)]
    pub withdraw: String,
}

/// A declaration as the form sends it.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(super) struct Declared {
    agency: String,
    month: String,
    #[serde(default)]
    withdraw: String,
}

/// The register.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Query(wanted): Query<Wanted>,
) -> Response {
    visitor.answer(show(&site, &visitor, wanted, None, None).await)
}

/// Enters what the form says.
pub(super) async fn enter(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Form(entry): Form<Entry>,
) -> Response {
    let sent = match request(&visitor, &entry) {
        Ok(request) => site.documents.record_paper(visitor.ask(request)).await,
        Err(rejection) => Err(refuse(rejection)),
    };
    match sent {
        Ok(recorded) => {
            let done = recorded.into_inner().log_index.to_string();
            let query = forms::query(&[("agency", &entry.agency), ("done", &done)]);
            Redirect::to(&format!("/paper?{query}")).into_response()
        }
        // The form again, with what is wrong.
        Err(status) => {
            let wanted = Wanted { agency: entry.agency.clone(), ..Wanted::default() };
            match show(&site, &visitor, wanted, Some(entry), Some(&status)).await {
                Ok(page) => (StatusCode::BAD_REQUEST, page).into_response(),
                Err(status) => visitor.trouble(&status).into_response(),
            }
        }
    }
}

/// Declares a month complete, or takes that back.
pub(super) async fn declare(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Form(declared): Form<Declared>,
) -> Response {
    let request = pb::DeclarePaperRequest {
        agency: declared.agency.clone(),
        month: declared.month,
        withdraw: !declared.withdraw.is_empty(),
        user: visitor.user.clone(),
    };
    match site.reports.declare_paper(visitor.ask(request)).await {
        Ok(recorded) => {
            let done = recorded.into_inner().log_index.to_string();
            let query = forms::query(&[("agency", &declared.agency), ("done", &done)]);
            Redirect::to(&format!("/paper?{query}")).into_response()
        }
        Err(status) => visitor.trouble(&status).into_response(),
    }
}

fn request(visitor: &Visitor, entry: &Entry) -> Result<pb::RecordPaperRequest, Rejection> {
    let urgency = match entry.urgency.as_str() {
        "flash" => pb::Urgency::Flash,
        "very_urgent" => pb::Urgency::VeryUrgent,
        "urgent" => pb::Urgency::Urgent,
        _ => pb::Urgency::Normal,
    };
    let corrects = match entry.corrects.as_str() {
        "" => None,
        index => Some(index.parse().map_err(|_| {
            let shown = crate::domain::ids::shorten(index);
            Rejection::new(Reason::UnknownEvent, "corrects", format!("`{shown}` is no entry"))
        })?),
    };
    Ok(pb::RecordPaperRequest {
        request_id: entry.request_id.clone(),
        sender: entry.agency.clone(),
        recipient: entry.recipient.trim().to_owned(),
        recipient_name: entry.recipient_name.trim().to_owned(),
        number: entry.number.trim().to_owned(),
        notation: entry.notation.trim().to_owned(),
        issued_on: entry.issued_on.clone(),
        type_name: entry.type_name.trim().to_owned(),
        urgency: urgency.into(),
        mandatory: !entry.mandatory.is_empty(),
        basis: entry.basis.trim().to_owned(),
        dispatched_on: entry.dispatched_on.clone(),
        withdraw: !entry.withdraw.is_empty(),
        user: visitor.user.clone(),
        corrects,
    })
}

async fn show(
    site: &Site,
    visitor: &Visitor,
    mut wanted: Wanted,
    refused: Option<Entry>,
    trouble: Option<&Status>,
) -> Result<Markup, Status> {
    let lang = visitor.lang;
    let directory = site.exchange.directory();
    let own = visitor.caller.agencies(&site.exchange, &directory, Role::Dms);
    let own: Vec<Agency> = own.iter().filter_map(|id| directory.agency(id).cloned()).collect();
    let Some(first) = own.first() else {
        let what = format!(
            "client `{}` keeps no agency's register: its node's administrator can grant it the role `dms`",
            visitor.caller.name()
        );
        return Err(refuse(Rejection::new(Reason::NotAllowed, "agency", what)));
    };
    if wanted.agency.is_empty() {
        wanted.agency = first.id.to_string();
    }
    let page = pb::Page { size: LISTED, token: wanted.token.clone() };
    let request = pb::ListPaperRequest {
        agency: wanted.agency.clone(),
        number: wanted.number.trim().to_owned(),
        page: Some(page),
    };
    let listed = site.documents.list_paper(visitor.ask(request)).await?.into_inner();
    let correcting = correcting(site, visitor, &wanted).await?;
    let today = site.exchange.ledger().now().date();
    let entry = refused.or(correcting).unwrap_or_else(|| Entry {
        issued_on: today.to_string(),
        dispatched_on: today.to_string(),
        type_name: "công văn".to_owned(),
        ..Entry::default()
    });
    // A form that was refused keeps its key: nothing was entered under it.
    let key =
        if entry.request_id.is_empty() { token().unwrap_or_default() } else { entry.request_id.clone() };
    let entry = Entry { request_id: key, agency: wanted.agency.clone(), ..entry };
    let body = html! {
        (register::which(lang, &own, &wanted))
        @if let Some(status) = trouble { (said(lang, status)) }
        @if let Ok(index) = wanted.done.parse::<u64>() {
            p.good role="status" { (lang.of(said::RECORDED_LOG_AS)) " "
                (lang.number(index)) "." }
        }
        h2 { @if entry.corrects.is_empty() {
            (lang.of(said::ENTER_DISPATCH_ON))
        } @else {
            (lang.of(said::CORRECT_ENTRY))
        } }
        (register::form(lang, &entry))
        h2 { (lang.of(said::ENTRIES)) }
        (register::lines(lang, &wanted, &listed))
        h2 { (lang.of(said::DECLARE_REGISTER_COMPLETE)) }
        (register::declaring(lang, &wanted.agency, today))
    };
    Ok(framed(visitor, "/paper", lang.of(said::PAPER_REGISTER), &body))
}

/// The entry that is to be corrected, as the form shows it.
async fn correcting(site: &Site, visitor: &Visitor, wanted: &Wanted) -> Result<Option<Entry>, Status> {
    let Ok(index) = wanted.corrects.parse::<u64>() else { return Ok(None) };
    let page = pb::Page { size: 1, token: crate::rpc::exchange::token(Some(index)) };
    let request =
        pb::ListPaperRequest { agency: wanted.agency.clone(), page: Some(page), ..Default::default() };
    let listed = site.documents.list_paper(visitor.ask(request)).await?.into_inner();
    let line = listed.lines.into_iter().find(|line| line.log_index == index && line.stands);
    Ok(line
        .and_then(|line| line.entry)
        .map(|entry| Entry { corrects: index.to_string(), ..register::of(entry) }))
}

/// What was wrong with a form.
fn said(lang: Lang, status: &Status) -> Markup {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    html! {
        div.warn role="alert" {
            p { strong { (lang.of(said::NOT_RECORDED)) } " " code { (reason) } }
            (refusal(lang, &reason, status.message()))
        }
    }
}
