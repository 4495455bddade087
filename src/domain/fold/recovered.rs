//! The fold of a recovery: at the node that lost its log, what comes back of it; at the others, what they deliver to it
//! again.

use super::records::{Incoming, Outgoing, SaidRecord};
use super::{
    MessageFacts, View, ViewError, arrivals, closed, facts_of, keys, load, parties_of, parties_of_record,
    store, submitted,
};
use crate::domain::administration::KeyPurpose;
use crate::domain::event::{EventKind, NoticeFacts};
use crate::domain::generation::{FirstReceipt, GenerationOpened, GenerationRecord, Recovered};
use crate::domain::ids::{AgencyId, DeliveryId, NodeName};
use crate::domain::status::DeliveryState;
use crate::time::Timestamp;

/// This log goes on where another ended: with a key of its own, which is the first of this generation.
pub(super) fn opened(
    view: &mut (impl View + ?Sized),
    index: u64,
    opened: &GenerationOpened,
) -> Result<(), ViewError> {
    let mut before: Vec<GenerationRecord> = load(view, &keys::generations())?.unwrap_or_default();
    before.push(GenerationRecord { lost: opened.lost.clone(), kept: opened.kept, index });
    store(view, keys::generations(), &before);
    view.delete(&keys::key_in_use(KeyPurpose::Log));
    Ok(())
}

/// A message that the lost log had sent, with its answer. One that was sent anew meanwhile, under the same delivery id,
/// is that message from now on.
pub(super) fn message(
    view: &mut (impl View + ?Sized),
    index: u64,
    at: Timestamp,
    recovered: &Recovered,
    agencies: &mut Vec<AgencyId>,
) -> Result<(), ViewError> {
    let EventKind::Submitted { item, content_digests, .. } = &recovered.submitted else { return Ok(()) };
    parties_of(item, agencies);
    let id = item.delivery_id;
    let lost = (recovered.origin.clone(), recovered.origin_proof);
    match load::<Outgoing>(view, &keys::outgoing(&id))? {
        Some(mut record) => {
            record.facts = facts_of(item);
            record.content_digests.clone_from(content_digests);
            record.lost_origin = Some(lost);
            store(view, keys::outgoing(&id), &record);
        }
        None => submitted(view, index, &recovered.submitted, recovered.submitted_at, Some(lost))?,
    }
    closed(view, index, (&recovered.settled, at), &id, &mut Vec::new())
}

/// The recipient's node lost it: it is in the outbox again. How it stands does not change by that.
pub(super) fn sent_again(
    view: &mut (impl View + ?Sized),
    index: u64,
    id: &DeliveryId,
    peer: &NodeName,
    agencies: &mut Vec<AgencyId>,
) -> Result<(), ViewError> {
    let key = keys::outgoing(id);
    let Some(mut record) = load::<Outgoing>(view, &key)? else { return Ok(()) };
    parties_of_record(&record, agencies);
    view.delete(&keys::outbox(&record.peer, record.facts.urgency, record.queued_index));
    view.put(keys::outbox(peer, record.facts.urgency, index), id.as_bytes().to_vec());
    record.peer = peer.clone();
    record.queued_index = index;
    record.again = Some(index);
    record.events.push(index);
    store(view, key, &record);
    Ok(())
}

/// The answer to what was delivered again. What was delivered once stays so, whatever the second answer is: true where
/// that is all. What was held is held or decided by it.
pub(super) fn is_delivered_again(
    view: &mut (impl View + ?Sized),
    index: u64,
    kind: &EventKind,
    record: &mut Outgoing,
) -> bool {
    let EventKind::Settled { outcome, receipt, receipt_proof, .. } = kind else { return false };
    if record.again.take().is_none() || record.state != DeliveryState::Delivered {
        return false;
    }
    view.delete(&keys::outbox(&record.peer, record.facts.urgency, record.queued_index));
    record.events.push(index);
    if matches!(outcome, DeliveryState::Delivered | DeliveryState::Held) {
        record.receipt = Some(receipt.clone());
        record.receipt_proof = Some(*receipt_proof);
    }
    true
}

/// What came is what a lost log of this node had received.
pub(super) fn returned(
    view: &mut (impl View + ?Sized),
    index: u64,
    id: &DeliveryId,
    first: &FirstReceipt,
    agencies: &mut Vec<AgencyId>,
) -> Result<(), ViewError> {
    let key = keys::incoming(id);
    let Some(mut record) = load::<Incoming>(view, &key)? else { return Ok(()) };
    agencies.extend([record.facts.sender.clone(), record.facts.recipient.clone()]);
    let said = said(view, id, &record.facts.recipient)?;
    if record.facts.kind.is_document() {
        arrivals::returned(view, &record.facts, first.at, said.acknowledged_at)?;
    }
    record.events.push(index);
    store(view, key, &record);
    Ok(())
}

/// A message about a delivery that is not known here yet.
pub(super) fn says(
    view: &mut (impl View + ?Sized),
    facts: &MessageFacts,
    notice: &NoticeFacts,
) -> Result<(), ViewError> {
    let key = keys::said_before(&notice.target, &facts.sender);
    let mut record: SaidRecord = load(view, &key)?.unwrap_or_default();
    record.notices = record.notices.max(notice.message_number);
    if notice.status.is_some_and(|status| status.acknowledges()) && !notice.after_end {
        let at = notice.sent_at;
        record.acknowledged_at = Some(record.acknowledged_at.map_or(at, |before| before.min(at)));
    }
    store(view, key, &record);
    Ok(())
}

/// What an agency said about a delivery before that was known here.
pub(super) fn said(
    view: &(impl View + ?Sized),
    id: &DeliveryId,
    agency: &AgencyId,
) -> Result<SaidRecord, ViewError> {
    Ok(load(view, &keys::said_before(id, agency))?.unwrap_or_default())
}
