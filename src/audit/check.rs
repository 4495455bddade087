//! Checking a log: everything that [`verify`](fn@super::verify) does, and a recount: all events are applied to an empty
//! state by the same fold that the writer uses, and every record of sled is compared with the outcome.
//!
//! The recount's records are in memory and in a temporary file (`counted`), so that a log may be of any length. A running
//! log moves on while it is compared: what differs is compared again after the new events are applied, until the log
//! stands still for that moment; the sum is judged only when it stood still all along.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::beside::{Beside, Later, Read};
use super::counted::Counted;
use super::differences::differences;
use super::verify::{Extent, always, keys_of, walk};
use super::{Checked, Findings, Place};
use crate::domain::event::Event;
use crate::domain::fold::{self, Records, View, ViewError};
use crate::domain::ratio::Month;
use crate::exchange::Exchange;
use crate::ledger::folds;
use crate::merkle::NoteVerifier;
use crate::store::StoreError;
use crate::store::disk::{Disk, RealDisk};
use crate::store::index::{Index, Sum};
use crate::wire::leaf;

/// Comparisons of what differs that are tried while the log moves on: each is a few reads.
const TRIES: u32 = 100;
/// Records that differ and are looked at again; one event that is gone can make as many as there are.
pub(super) const DIFFERING: usize = 10_000;

/// Verifies the log and recounts every fold. A running log is read up to where it stands at the beginning.
pub fn check(
    journal_dir: &Path,
    disk: Arc<dyn Disk>,
    index: &Index,
    key: &NoteVerifier,
    progress: impl FnMut(u64),
) -> Result<Checked, StoreError> {
    let what = What { extent: Extent::Known, beside: None, later: &|_| None };
    recount(&what, journal_dir, disk, index, key, always(progress)).map(Option::unwrap_or_default)
}

/// The same of a running node, with the files beside its log, for as long as `go_on`, which is told how many events are
/// done, says so; `None` when it was cut short.
pub fn check_running(
    exchange: &Exchange,
    key: &NoteVerifier,
    go_on: impl FnMut(u64) -> bool,
) -> Result<Option<Checked>, StoreError> {
    let (config, ledger) = (exchange.config(), exchange.ledger());
    let beside = Beside::new(&config.data, config, exchange.trust(&exchange.directory()));
    // Others may have cosigned what sled does not have yet.
    let later = |size| ledger.root_at(size, &ledger.snapshot()).ok();
    let what = What { extent: Extent::Known, beside: Some(&beside), later: &later };
    recount(&what, &config.data.join("journal"), Arc::new(RealDisk), ledger.index(), key, go_on)
}

/// What is checked.
pub(super) struct What<'a> {
    pub extent: Extent,
    /// The files beside the log.
    pub beside: Option<&'a Beside>,
    /// Which root the log has at a size beyond the one that it had at the beginning.
    pub later: &'a Later<'a>,
}

/// Verifies and recounts.
pub(super) fn recount(
    what: &What<'_>,
    journal_dir: &Path,
    disk: Arc<dyn Disk>,
    index: &Index,
    key: &NoteVerifier,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Option<Checked>, StoreError> {
    let What { extent, beside, later } = *what;
    let keys = keys_of(disk.clone(), journal_dir, key);
    // Before the log: what others saw of it was there before they did.
    let mut read = match beside {
        None => Read::nothing(),
        Some(beside) => match Read::of(beside, &keys, extent.threads(), &mut go_on) {
            Some(read) => read,
            None => return Ok(None),
        },
    };
    let mut roots = std::mem::take(&mut read.roots);
    let mut recount = Recount::new()?;
    let apply = |at: u64, event: &Event| {
        read.event(at, event);
        recount.apply(at, event)
    };
    let walked = walk(extent, journal_dir, disk, Some(index), &keys, &mut roots, apply, go_on)?;
    if walked.cut_short {
        return Ok(None);
    }
    read.roots = roots;
    let mut walked = walked.with(read, later);
    let size = walked.events();
    if let Some(error) = recount.failed.take() {
        return Err(folds(error));
    }
    let first = walked.findings.first;
    if let Err(error) = compare(index, recount, extent.threads(), size, &mut walked.findings) {
        walked.findings.store(&error);
    }
    // Where the log itself is wrong, folds differ because of that, and name events before it.
    walked.findings.first = first.or(walked.findings.first);
    Ok(Some(walked.checked()))
}

/// Compares everything; what differs is looked at again with the head standing still, because the log may move on.
fn compare(
    index: &Index,
    mut recount: Recount,
    threads: usize,
    mut size: u64,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let Some(before) = index.head()? else { return Ok(()) };
    if before.size < size || !recount.catch_up(index, &mut size, before.size, findings)? {
        // sled is behind, or has a hole: reported by the walk, and nothing to compare with.
        return Ok(());
    }
    let (mut differing, sum) = differences(index, &recount, threads, findings)?;
    for _ in 0..TRIES {
        let Some(head) = index.head()? else { return Ok(()) };
        if !recount.catch_up(index, &mut size, head.size, findings)? {
            return Ok(());
        }
        let mut found = Findings::default();
        let mut rest = BTreeSet::new();
        for key in differing {
            let difference = recount.difference(&key, index.get(&key)?.as_deref()).map_err(folds)?;
            if let Some((at, problem)) = difference {
                found.add(Place::Fold, at, format!("{} {problem}", describe(&key)));
                rest.insert(key);
            }
        }
        let stands_still = index.head()?.is_some_and(|now| now.size == head.size);
        if stands_still || rest.is_empty() {
            for finding in found.listed {
                findings.add(finding.place, finding.index, finding.message);
            }
            findings.unlisted += found.unlisted;
            findings.first = findings.first.into_iter().chain(found.first).min();
            // A sum over records that changed under the reading says nothing.
            if head == before && sum != Sum(head.sum) {
                findings.add(Place::Sum, None, "the sum over sled's records is not the one in its head");
            }
            return Ok(());
        }
        differing = rest;
    }
    findings.add(Place::Fold, None, "the log moved on while its records were compared: check again");
    Ok(())
}

/// The state as the events give it: each record with the newest event that touched it, removed ones as well.
pub(super) struct Recount {
    pub(super) records: Counted,
    at: u64,
    /// The recount's own file cannot be written or read: nothing can be said.
    failed: Option<ViewError>,
}

impl Recount {
    fn new() -> Result<Recount, StoreError> {
        Ok(Recount { records: Counted::new()?, at: 0, failed: None })
    }

    fn apply(&mut self, at: u64, event: &Event) -> Result<(), String> {
        self.at = at;
        fold::apply(self, at, event).map_err(|e| e.to_string())
    }

    /// Applies sled's events from `size` to `end`; false where one is missing.
    fn catch_up(
        &mut self,
        index: &Index,
        size: &mut u64,
        end: u64,
        findings: &mut Findings,
    ) -> Result<bool, StoreError> {
        while *size < end {
            let page = index.leaves(*size, (end - *size).min(256) as usize)?;
            if page.is_empty() {
                return Ok(false);
            }
            for (at, bytes) in page {
                if at != *size {
                    return Ok(false);
                }
                let event = leaf::decode(&bytes).map_err(|e| e.to_string());
                if let Err(message) = event.and_then(|event| self.apply(at, &event)) {
                    findings.add(Place::Event, at, message);
                }
                *size = at + 1;
            }
        }
        Ok(true)
    }

    /// How a record differs from what the events give, and the newest event that touched it.
    pub(super) fn difference(
        &self,
        key: &[u8],
        found: Option<&[u8]>,
    ) -> Result<Option<(Option<u64>, &'static str)>, ViewError> {
        Ok(match (self.records.touched(key), found) {
            (Some((at, true)), Some(found)) => {
                let right = self.records.value(key)?;
                (right.as_deref() != Some(found)).then_some((Some(at), "is not what the events give"))
            }
            (None | Some((_, false)), None) => None,
            (Some((at, true)), None) => Some((Some(at), "is missing")),
            (Some((at, false)), Some(_)) => Some((Some(at), "is there, but this event removed it")),
            (None, Some(_)) => Some((None, "is there, but no event gives it")),
        })
    }

    fn set(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        if let Err(error) = self.records.set(key, value, self.at) {
            self.failed.get_or_insert(error);
        }
    }
}

impl Records for Recount {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        self.records.value(key)
    }
}

impl View for Recount {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.set(&key, Some(value));
    }

    fn delete(&mut self, key: &[u8]) {
        if self.records.touched(key).is_some() {
            self.set(key, None);
        }
    }
}

/// The month at the beginning of a key's rest.
fn month(rest: &[u8]) -> String {
    let number = rest.first_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b) ^ 0x8000_0000);
    Month::from_number(number as i32).to_string()
}

/// A fold record in words, from its key (`domain::fold::keys`).
fn describe(key: &[u8]) -> String {
    let rest = key.get(2..).unwrap_or_default();
    let name = || String::from_utf8_lossy(rest.split(|b| *b == 0).next().unwrap_or_default()).into_owned();
    match key.get(1) {
        Some(b'o') => format!("outgoing delivery {}", hex::encode(rest)),
        Some(b'i') => format!("incoming delivery {}", hex::encode(rest)),
        Some(b'k') => format!("document number in use by {}", name()),
        Some(b'a') => format!("attempts of a document of {}", name()),
        Some(b'j') => format!("document in force from {}", name()),
        Some(b'q') => format!("revoke before delivery {}", hex::encode(rest.get(..32).unwrap_or(rest))),
        Some(b'r') => format!("request id of {}", name()),
        Some(b'x') => format!("outbox entry for {}", name()),
        Some(b'n') => format!("inbox entry of {}", name()),
        Some(b't') => format!("feed entry of {}", name()),
        Some(b'h') => "list of what is held".to_owned(),
        Some(b'e') => format!("event list entry of {}", name()),
        Some(b'v') => format!("event list entry of delivery {}", hex::encode(rest.get(..32).unwrap_or(rest))),
        Some(b'p') => format!("purge of {}", hex::encode(rest)),
        Some(b'l') => format!("legal hold {}", hex::encode(rest)),
        Some(b's') => "index of what events have".to_owned(),
        Some(b'y') => "entry of the paper register".to_owned(),
        Some(b'm') => "what the node last recorded of itself".to_owned(),
        Some(b'w') => format!("ratio row {}", hex::encode(rest)),
        Some(b'U') => format!("ratio row of an arrival at {}", name()),
        Some(b'D') => format!("ratio sum of a document of {}", name()),
        Some(b'c') => format!("ratio cell {}", hex::encode(rest)),
        Some(b'M') => format!("number of changes of month {}", month(rest)),
        Some(b'B') => format!("closing of month {}", month(rest)),
        Some(b'P') => format!("closed period {}", name()),
        Some(b'Z') => format!("restatement of month {}", month(rest)),
        Some(b'F') => format!("declaration about the paper of month {}", month(rest)),
        Some(b'G') => "calendar of working days".to_owned(),
        _ => format!("unknown record {}", hex::encode(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::Urgency;
    use crate::domain::fold::keys;
    use crate::domain::hold::HoldScope;
    use crate::domain::ids::{AgencyId, DeliveryId, DocumentKey, NodeName, RequestId};
    use crate::domain::ratio::{Period, cell};

    #[test]
    fn every_kind_of_record_has_a_name() {
        let agency = AgencyId::new("vp.tw").unwrap();
        let document = DocumentKey::new("12", "CV", 2016).unwrap();
        let id = DeliveryId::from_slice(&[7; 32]).unwrap();
        let peer = NodeName::new("b").unwrap();
        let month: Month = "2016-03".parse().unwrap();
        let known = [
            (keys::outgoing(&id), "outgoing delivery 0707"),
            (keys::incoming(&id), "incoming delivery 0707"),
            (keys::document(&agency, &document), "document number in use by vp.tw"),
            (keys::attempt(&agency, &document, &agency), "attempts of a document of vp.tw"),
            (keys::in_force(&agency, &document, &agency), "document in force from vp.tw"),
            (keys::withdrawn(&id, &agency), "revoke before delivery 0707"),
            (keys::request(&agency, &RequestId::new("r").unwrap()), "request id of vp.tw"),
            (keys::outbox(&peer, Urgency::Normal, 1), "outbox entry for b"),
            (keys::bitmap(keys::inbox_of(&agency), 1), "inbox entry of vp.tw"),
            (keys::bitmap(keys::feed_of(&agency), 1), "feed entry of vp.tw"),
            (keys::bitmap(keys::agency_events(&agency), 1), "event list entry of vp.tw"),
            (keys::delivery_event(&id, 1), "event list entry of delivery 0707"),
            (keys::bitmap(keys::held(), 1), "list of what is held"),
            (keys::row(&agency, &document, &[7; keys::ROW_HASH]), "ratio row 800007e0"),
            (keys::arrived(&agency, &agency, &document), "ratio row of an arrival at vp.tw"),
            (keys::document_sum(&agency, &document), "ratio sum of a document of vp.tw"),
            (cell::prefix(cell::Family::Day, cell::Merged::Not), "ratio cell 6400"),
            (keys::changes(month), "number of changes of month 2016-03"),
            (keys::closed_month(month), "closing of month 2016-03"),
            (keys::closed(Period::Year(2016)), "closed period 2016"),
            (keys::restated(month, 1, &[7; 40]), "restatement of month 2016-03"),
            (keys::declared(month, &agency), "declaration about the paper of month 2016-03"),
            (keys::calendar(), "calendar of working days"),
            (keys::purged(&id), "purge of 0707"),
            (keys::hold(&HoldScope::Delivery(id)), "legal hold "),
            (keys::paper(1), "entry of the paper register"),
            (keys::client("dms"), "what the node last recorded of itself"),
            (keys::pending(1), "index of what events have"),
            (keys::block(7, 1), "index of what events have"),
        ];
        for (key, text) in known {
            assert!(describe(&key).starts_with(text), "{}", describe(&key));
        }
    }
}
