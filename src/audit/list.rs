//! Listing events, a page at a time. Where an agency or a delivery is asked for, its own index is read instead of the
//! log; where a time is, the first event of that time is searched for. Work per page is bounded: a page may end before
//! it is full, and says where the next begins.

use bytes::Bytes;

use crate::domain::event::{Event, EventKind, NoticeFacts, RoleVerdicts, Subject};
use crate::domain::fold::records::{Incoming, MessageFacts, Outgoing};
use crate::domain::fold::{self, keys, load};
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::ledger::{events_of, folds};
use crate::store::StoreError;
use crate::store::index::Index;
use crate::time::Timestamp;
use crate::wire::leaf;

/// Events looked at for one page.
const LOOKED_AT: usize = 20_000;
/// Events read at once.
const BATCH: usize = 256;

/// Which events. The default is all of them, forwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Where to begin (inclusive): the first index, or the last when backwards.
    pub from: Option<u64>,
    /// Newest first.
    pub backwards: bool,
    /// Events of a page; 0 means one.
    pub limit: usize,
    /// Events that concern the agency.
    pub agency: Option<AgencyId>,
    /// Events of the delivery.
    pub delivery: Option<DeliveryId>,
    /// Events of the kind, by [`EventKind::name`].
    pub kind: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// Events of documents with this number.
    pub number: Option<String>,
    /// Events that give this reason, by its code.
    pub reason: Option<String>,
}

/// Events with index and bytes, and where the next page begins, if there may be more.
pub type Page = (Vec<(u64, Bytes, Event)>, Option<u64>);

/// A page of the log of `size` events.
pub fn list(index: &Index, size: u64, query: &Query) -> Result<Page, StoreError> {
    let mut found = Vec::new();
    let Some(mut at) = start(index, size, query)? else { return Ok((found, None)) };
    let mut looked_at = 0;
    loop {
        let batch = candidates(index, size, query, at)?;
        let whole = batch.len() == BATCH;
        for (i, bytes) in batch {
            let next = if query.backwards { i.checked_sub(1) } else { Some(i + 1).filter(|n| *n < size) };
            let event = decode(i, &bytes)?;
            let past = if query.backwards {
                query.since.is_some_and(|t| event.at < t)
            } else {
                query.until.is_some_and(|t| event.at > t)
            };
            if past {
                return Ok((found, None));
            }
            if matches(index, query, i, &event)? {
                found.push((i, bytes, event));
            }
            looked_at += 1;
            let Some(next) = next else { return Ok((found, None)) };
            if found.len() >= query.limit.max(1) || looked_at >= LOOKED_AT {
                return Ok((found, Some(next)));
            }
            at = next;
        }
        if !whole {
            return Ok((found, None));
        }
    }
}

/// The first index to look at.
fn start(index: &Index, size: u64, query: &Query) -> Result<Option<u64>, StoreError> {
    let Some(last) = size.checked_sub(1) else { return Ok(None) };
    if query.backwards {
        let mut from = query.from.unwrap_or(last).min(last);
        if let Some(until) = query.until {
            let Some(newest) = first_after(index, size, until.plus_millis(1))?.checked_sub(1) else {
                return Ok(None);
            };
            from = from.min(newest);
        }
        return Ok(Some(from));
    }
    let mut from = query.from.unwrap_or(0);
    if let Some(since) = query.since {
        from = from.max(first_after(index, size, since)?);
    }
    Ok(Some(from).filter(|f| *f <= last))
}

/// The first event not before `time`: event times never go back, so it is found by halving.
fn first_after(index: &Index, size: u64, time: Timestamp) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let (found, bytes) = index.leaves(middle, 1)?.pop().ok_or_else(|| hole(middle))?;
        if found != middle {
            return Err(hole(middle));
        }
        if decode(middle, &bytes)?.at < time { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// The next batch of events that may match, in the order of the query.
fn candidates(index: &Index, size: u64, query: &Query, at: u64) -> Result<Vec<(u64, Bytes)>, StoreError> {
    let mut found = match (&query.delivery, &query.agency) {
        (Some(id), _) => of_delivery(index, id, query.backwards, at)?,
        (None, Some(agency)) => events_of(index, keys::agency_events(agency), at, query.backwards, BATCH)?,
        (None, None) => return batch(index, query.backwards, at),
    };
    found.truncate(BATCH);
    // The index may know events that are newer than the caller's state of the log.
    found.retain(|i| *i < size);
    let mut out = Vec::with_capacity(found.len());
    for i in found {
        let (found, bytes) = index.leaves(i, 1)?.pop().ok_or_else(|| hole(i))?;
        if found != i {
            return Err(hole(i));
        }
        out.push((i, bytes));
    }
    Ok(out)
}

/// Whether an index is still to come.
fn ahead(i: u64, backwards: bool, at: u64) -> bool {
    if backwards { i <= at } else { i >= at }
}

/// Events of a delivery: those that its records name, and the others by their own entries; a batch or more, if there
/// are that many.
fn of_delivery(index: &Index, id: &DeliveryId, backwards: bool, at: u64) -> Result<Vec<u64>, StoreError> {
    let outgoing = load::<Outgoing>(index, &keys::outgoing(id)).map_err(folds)?;
    let incoming = load::<Incoming>(index, &keys::incoming(id)).map_err(folds)?;
    let in_records = outgoing.into_iter().flat_map(|r| r.events);
    let in_records = in_records.chain(incoming.into_iter().flat_map(|r| r.events));
    let mut found: Vec<u64> = in_records.filter(|i| ahead(*i, backwards, at)).collect();
    let (prefix, key) = (keys::delivery_events(id), keys::delivery_event(id, at));
    let others =
        if backwards { index.scan_back(&prefix, &key, BATCH)? } else { index.scan(&prefix, &key, BATCH)? };
    found.extend(others.iter().filter_map(|(key, _)| keys::index_of(key)));
    found.sort_unstable();
    found.dedup();
    if backwards {
        found.reverse();
    }
    Ok(found)
}

/// A batch of the whole log.
fn batch(index: &Index, backwards: bool, at: u64) -> Result<Vec<(u64, Bytes)>, StoreError> {
    if !backwards {
        return index.leaves(at, BATCH);
    }
    let from = (at + 1).saturating_sub(BATCH as u64);
    let mut batch = index.leaves(from, (at + 1 - from) as usize)?;
    batch.retain(|(i, _)| *i <= at);
    batch.reverse();
    Ok(batch)
}

fn decode(at: u64, bytes: &[u8]) -> Result<Event, StoreError> {
    leaf::decode(bytes)
        .map_err(|e| StoreError::Index { path: "leaves".into(), problem: format!("event {at}: {e}") })
}

fn hole(at: u64) -> StoreError {
    StoreError::Index { path: "leaves".into(), problem: format!("event {at} is missing") }
}

fn matches(index: &Index, query: &Query, at: u64, event: &Event) -> Result<bool, StoreError> {
    if query.kind.as_deref().is_some_and(|kind| kind != event.kind.name())
        || query.since.is_some_and(|t| event.at < t)
        || query.until.is_some_and(|t| event.at > t)
        || query.reason.as_deref().is_some_and(|code| !gives_reason(&event.kind, code))
    {
        return Ok(false);
    }
    if let (Some(agency), Some(_)) = (&query.agency, &query.delivery)
        && !fold::concerns(index, agency, at).map_err(folds)?
    {
        return Ok(false);
    }
    match &query.number {
        Some(number) => is_of_number(index, &event.kind, number),
        None => Ok(true),
    }
}

/// Whether the event gives the reason: its own, or that of its verdicts.
fn gives_reason(kind: &EventKind, code: &str) -> bool {
    let by_verdict = |verdicts: &RoleVerdicts| verdicts.reason.is_some_and(|r| r.as_str() == code);
    match kind {
        EventKind::Submitted { verdicts, .. } | EventKind::Received { verdicts, .. } => by_verdict(verdicts),
        EventKind::Refused { reason, verdicts, .. } => reason.code() == code || by_verdict(verdicts),
        EventKind::Settled { reason, verdicts, .. } => {
            reason.is_some_and(|r| r.code() == code) || by_verdict(verdicts)
        }
        EventKind::Undelivered { reason, .. } => reason.code() == code,
        EventKind::Released { refused, verdicts, .. } => {
            refused.is_some_and(|r| r.code() == code) || by_verdict(verdicts)
        }
        EventKind::Alarm { reason, .. } | EventKind::Stopped { reason } => reason == code,
        _ => false,
    }
}

/// Whether the event is about a document of this number: by itself, or by the delivery that it names.
fn is_of_number(index: &Index, kind: &EventKind, number: &str) -> Result<bool, StoreError> {
    match kind {
        EventKind::PaperEntered(entry) => return Ok(entry.key.number() == number),
        _ => {
            if let Some(Subject::Document(document)) = kind.item().map(|item| &item.subject) {
                return Ok(document.key.number() == number);
            }
            if let Some(Subject::Notice(NoticeFacts { stated: Some(stated), .. })) =
                kind.item().map(|item| &item.subject)
            {
                return Ok(stated.key.number() == number);
            }
        }
    }
    let target = match kind.item().map(|item| &item.subject) {
        Some(Subject::Notice(notice)) => Some(notice.target),
        _ => kind.delivery_id(),
    };
    let Some(mut facts) = target.map(|id| facts_of(index, &id)).transpose()?.flatten() else {
        return Ok(false);
    };
    if let Some(target) = facts.target {
        // An event about a notice: the number is that of the document behind it.
        match facts_of(index, &target)? {
            Some(document) => facts = document,
            None => return Ok(false),
        }
    }
    Ok(facts.key.is_some_and(|key| key.number() == number))
}

fn facts_of(index: &Index, id: &DeliveryId) -> Result<Option<MessageFacts>, StoreError> {
    if let Some(record) = load::<Outgoing>(index, &keys::outgoing(id)).map_err(folds)? {
        return Ok(Some(record.facts));
    }
    Ok(load::<Incoming>(index, &keys::incoming(id)).map_err(folds)?.map(|r| r.facts))
}
