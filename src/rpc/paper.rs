//! The paper register, as `ExchangeService` takes and lists it.

use super::exchange::{read_page, token};
use crate::audit;
use crate::config::Role;
use crate::domain::event::{Event, EventKind, PaperEntry};
use crate::domain::fold::keys;
use crate::domain::ids::{self, RequestId};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::paper::PaperRequest;
use crate::exchange::{Caller, Exchange};
use crate::ledger::storage;
use crate::store::StoreError;
use crate::store::index::Index;
use crate::wire::{pb, words};
use unicode_normalization::UnicodeNormalization as _;

/// An entry as a system sends it.
pub(super) fn read(r: pb::RecordPaperRequest) -> Result<PaperRequest, Rejection> {
    Ok(PaperRequest {
        request_id: RequestId::from_client(&r.request_id)?,
        issued_on: words::read_date("issued_on", &r.issued_on)?,
        urgency: words::or_default(r.urgency, "urgency", words::read_urgency)?,
        dispatched_on: words::read_optional_date("dispatched_on", &r.dispatched_on)?,
        sender: r.sender,
        recipient: r.recipient,
        recipient_name: r.recipient_name,
        number: r.number,
        notation: r.notation,
        type_name: r.type_name,
        mandatory: r.mandatory,
        basis: r.basis,
        withdraw: r.withdraw,
        corrects: r.corrects,
        user: r.user,
    })
}

/// A page of an agency's register, the newest first.
pub(super) async fn list(
    exchange: &Exchange,
    caller: &Caller,
    request: pb::ListPaperRequest,
) -> Result<pb::ListPaperResponse, Rejection> {
    let directory = exchange.directory();
    let unknown = Reason::UnknownAgency;
    let own = exchange.own_agency(&directory, caller, Role::Dms, &request.agency, "agency", unknown)?;
    ids::one_line("number", &request.number, limits::NUMBER_CHARS)?;
    let (limit, next) = read_page(request.page.as_ref())?;
    let goes_on = request.page.is_some_and(|page| !page.token.is_empty());
    let query = audit::Query {
        from: goes_on.then_some(next),
        backwards: true,
        limit,
        agency: Some(own.id.clone()),
        kind: Some("paper_entered".into()),
        number: (!request.number.is_empty()).then(|| request.number.nfc().collect()),
        ..audit::Query::default()
    };
    let (index, size) = (exchange.ledger().index().clone(), exchange.ledger().snapshot().size());
    let read = move || {
        let (events, next) = audit::list(&index, size, &query)?;
        let mut lines = Vec::with_capacity(events.len());
        for (at, _, event) in events {
            // What others sent it on paper stands in their registers.
            match &event.kind {
                EventKind::PaperEntered(entry) if entry.parties.sender == own.id => {
                    lines.push(line(&index, at, &event, entry)?);
                }
                _ => {}
            }
        }
        Ok(pb::ListPaperResponse { lines, next_token: token(next) })
    };
    // Off the threads that serve calls.
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.map_err(|error| {
        tracing::error!(%error, "reading the paper register broke off");
        Rejection::new(Reason::Internal, "", "this node's operator must look")
    })?;
    read.map_err(|e: StoreError| storage(&e))
}

fn line(index: &Index, at: u64, event: &Event, entry: &PaperEntry) -> Result<pb::PaperLine, StoreError> {
    Ok(pb::PaperLine {
        log_index: at,
        at: event.at.millis(),
        stands: index.get(&keys::paper(at))?.is_some(),
        client: event.actor.client.clone(),
        entry: Some(pb::RecordPaperRequest {
            request_id: entry.request_id.to_string(),
            sender: entry.parties.sender_code.clone(),
            recipient: entry.parties.recipient_code.clone(),
            recipient_name: entry.recipient_name.clone(),
            number: entry.key.number().to_owned(),
            notation: entry.key.notation().to_owned(),
            issued_on: entry.issued_on.to_string(),
            type_name: entry.type_name.clone(),
            urgency: words::urgency(entry.urgency).into(),
            mandatory: entry.mandatory,
            basis: entry.basis.clone(),
            dispatched_on: entry.dispatched_on.map_or_else(String::new, |d| d.to_string()),
            withdraw: entry.withdrawn,
            user: event.actor.user.clone(),
            corrects: entry.corrects,
        }),
    })
}
