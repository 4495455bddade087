//! Revoke, update and take-back over the wire: what is asked, what was asked, and what it did.

use bytes::Bytes;

use crate::domain::document::Kind;
use crate::domain::envelope::{Body, Envelope};
use crate::domain::fold::records::{Asked, Ended};
use crate::domain::ids::{DeliveryId, RequestId};
use crate::domain::reason::Rejection;
use crate::exchange::notice::{NoticeRequest, NoticeSent};
use crate::wire::{pb, words};

/// A call of `SendNotice`.
pub(super) fn read(r: pb::SendNoticeRequest) -> Result<NoticeRequest, Rejection> {
    // Classification first: a state secret is refused before anything else of it is looked at.
    let metadata = r.metadata.as_ref().map(words::read_metadata).transpose()?;
    Ok(NoticeRequest {
        // A statement is recorded nowhere: it needs no id.
        request_id: if r.statement_only && r.request_id.is_empty() {
            RequestId::default()
        } else {
            RequestId::from_client(&r.request_id)?
        },
        kind: words::read_kind(r.kind).ok_or_else(|| words::unknown("kind", r.kind))?,
        delivery_id: DeliveryId::from_slice(&r.delivery_id)?,
        agency: r.agency,
        reason: r.reason,
        metadata,
        user: r.user,
        signatures: r.signatures,
        statement_only: r.statement_only,
    })
}

/// Its answer.
pub(super) fn response(sent: NoticeSent) -> pb::SendNoticeResponse {
    pb::SendNoticeResponse {
        delivery_id: sent.recorded.as_ref().map_or_else(Bytes::new, |(delivery, _)| words::id(delivery)),
        log_index: sent.recorded.map_or(0, |(_, index)| index),
        statement: sent.statement.into(),
        already_sent: sent.already_sent,
        verdicts: sent.verdicts.map(words::verdicts),
    }
}

/// What took a document out of force.
pub(super) fn ended(ended: &Ended) -> pb::EndView {
    pb::EndView {
        by: words::ended_by(ended.by).into(),
        delivery_id: words::id(&ended.message),
        at: ended.at.millis(),
        log_index: ended.index,
    }
}

/// What the sender asked.
pub(super) fn asked(list: &[Asked]) -> Vec<pb::AskView> {
    list.iter()
        .map(|a| pb::AskView {
            ask: words::ask(a.ask).into(),
            delivery_id: words::id(&a.notice),
            state: words::ask_state(a.state).into(),
            at: a.at.millis(),
            log_index: a.index,
            answer_index: a.answer.unwrap_or_default(),
        })
        .collect()
}

/// Adds what a notice says to an item of `Watch`.
pub(super) fn tell(item: &mut pb::WatchResponse, envelope: &Envelope) {
    let Body::Notice(notice) = &envelope.body else { return };
    item.message_kind = words::kind(envelope.kind).into();
    item.message_id = words::id(&envelope.delivery_id);
    item.written_reason.clone_from(&notice.reason);
    item.office.clone_from(&notice.office);
    item.officer.clone_from(&notice.officer);
    item.metadata = notice.metadata.as_deref().map(words::metadata);
}

/// The same for what became of one that an agency sent.
pub(super) fn tell_own(item: &mut pb::WatchResponse, kind: Kind, message: &DeliveryId) {
    if !kind.is_document() {
        item.message_kind = words::kind(kind).into();
        item.message_id = words::id(message);
    }
}
