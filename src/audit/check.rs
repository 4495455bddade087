//! Checking a log: everything that [`verify`](fn@super::verify) does, and a recount: all events are applied to an empty
//! state by the same fold that the writer uses, and every record of sled is compared with the outcome.
//!
//! The recount is in memory. The comparison needs a state that stands still: when the log moves on meanwhile, the new
//! events are applied and it is made again, a few times.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::verify::walk;
use super::{Checked, Findings, Place};
use crate::domain::event::Event;
use crate::domain::fold::{self, Records, View, ViewError, keys};
use crate::merkle::NoteVerifier;
use crate::store::StoreError;
use crate::store::content::Location;
use crate::store::disk::Disk;
use crate::store::index::{Index, Sum};
use crate::wire::leaf;

/// Comparisons that are tried while the log moves on.
const TRIES: u32 = 5;

/// Verifies the log and recounts every fold.
pub fn check(
    journal_dir: &Path,
    disk: Arc<dyn Disk>,
    index: &Index,
    key: &NoteVerifier,
    progress: impl FnMut(u64),
) -> Result<Checked, StoreError> {
    let mut recount = Recount::default();
    let mut walked =
        walk(journal_dir, disk, Some(index), key, |at, event| recount.apply(at, event), progress)?;
    let size = walked.events();
    if let Err(error) = compare_settled(index, recount, size, &mut walked.findings) {
        walked.findings.store(&error);
    }
    Ok(walked.checked())
}

fn compare_settled(
    index: &Index,
    mut recount: Recount,
    mut size: u64,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    for _ in 0..TRIES {
        let Some(before) = index.head()? else { return Ok(()) };
        if before.size < size {
            // Reported as being behind; a state of then is not kept.
            return Ok(());
        }
        while size < before.size {
            let page = index.leaves(size, 256)?;
            for (at, bytes) in page.iter().take_while(|(at, _)| *at < before.size) {
                let event = leaf::decode(bytes).map_err(|e| e.to_string());
                if let Err(message) = event.and_then(|e| recount.apply(*at, &e)) {
                    findings.add(Place::Event, *at, message);
                }
                size = at + 1;
            }
            if page.is_empty() {
                // A hole: reported by the walk, and nothing behind it can be recounted.
                return Ok(());
            }
        }
        let mut found = Findings::default();
        let sum = compare(index, &recount, &mut found)?;
        let after = index.head()?;
        if after.as_ref().is_some_and(|h| h.size == before.size && h.sum == before.sum) {
            if sum != Sum(before.sum) {
                found.add(Place::Sum, None, "the sum over sled's records is not the one in its head");
            }
            for finding in found.listed {
                findings.add(finding.place, finding.index, finding.message);
            }
            findings.unlisted += found.unlisted;
            return Ok(());
        }
    }
    findings.add(Place::Fold, None, "the log moved on while its records were compared: check again");
    Ok(())
}

/// Compares every record, both ways, and sums them up.
fn compare(index: &Index, recount: &Recount, findings: &mut Findings) -> Result<Sum, StoreError> {
    let mut sum = Sum::default();
    let mut expected = recount.records.iter().peekable();
    index.for_each(|key, value| {
        if Sum::counts(key) {
            sum.add(key, value);
        }
        match key.first() {
            Some(&keys::FOLD) => {}
            Some(b'c') if key.len() == 33 && postcard::from_bytes::<Location>(value).is_ok() => return,
            Some(b'c') => {
                let key = hex::encode(&key[1..]);
                return findings.add(
                    Place::Content,
                    None,
                    format!("the place of content {key} cannot be read"),
                );
            }
            Some(b'h' | b'l' | b'p' | b't') => return,
            _ => return findings.add(Place::Store, None, format!("an unknown record {}", hex::encode(key))),
        }
        while let Some((missing, record)) = expected.next_if(|(k, _)| k.as_slice() < key) {
            absent(missing, record, findings);
        }
        match expected.next_if(|(k, _)| k.as_slice() == key) {
            Some((_, (Some(right), _))) if right == value => {}
            Some((_, (Some(_), at))) => {
                findings.add(Place::Fold, *at, format!("{} is not what the events give", describe(key)));
            }
            Some((_, (None, at))) => {
                findings.add(
                    Place::Fold,
                    *at,
                    format!("{} is there, but this event removed it", describe(key)),
                );
            }
            None => {
                findings.add(Place::Fold, None, format!("{} is there, but no event gives it", describe(key)))
            }
        }
    })?;
    for (missing, record) in expected {
        absent(missing, record, findings);
    }
    Ok(sum)
}

fn absent(key: &[u8], (value, at): &(Option<Vec<u8>>, u64), findings: &mut Findings) {
    if value.is_some() {
        findings.add(Place::Fold, *at, format!("{} is missing", describe(key)));
    }
}

/// The state as the events give it: each record with the newest event that touched it, removed ones as well.
#[derive(Default)]
struct Recount {
    records: BTreeMap<Vec<u8>, (Option<Vec<u8>>, u64)>,
    at: u64,
}

impl Recount {
    fn apply(&mut self, at: u64, event: &Event) -> Result<(), String> {
        self.at = at;
        fold::apply(self, at, event).map_err(|e| e.to_string())
    }
}

impl Records for Recount {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.records.get(key).and_then(|(value, _)| value.clone()))
    }
}

impl View for Recount {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.records.insert(key, (Some(value), self.at));
    }

    fn delete(&mut self, key: &[u8]) {
        if let Some(record) = self.records.get_mut(key) {
            *record = (None, self.at);
        }
    }
}

/// A fold record in words, from its key (`domain::fold::keys`).
fn describe(key: &[u8]) -> String {
    let rest = key.get(2..).unwrap_or_default();
    let name = || String::from_utf8_lossy(rest.split(|b| *b == 0).next().unwrap_or_default()).into_owned();
    match key.get(1) {
        Some(b'o') => format!("outgoing delivery {}", hex::encode(rest)),
        Some(b'i') => format!("incoming delivery {}", hex::encode(rest)),
        Some(b'k') => format!("document number in use by {}", name()),
        Some(b'l') => format!("delivery of a document of {}", name()),
        Some(b'a') => format!("newest attempt of a document of {}", name()),
        Some(b'j') => format!("document in force from {}", name()),
        Some(b'r') => format!("request id of {}", name()),
        Some(b'x') => format!("outbox entry for {}", name()),
        Some(b'n') => format!("inbox entry of {}", name()),
        Some(b't') => format!("feed entry of {}", name()),
        Some(b'e') => format!("event list entry of {}", name()),
        Some(b'v') => format!("event list entry of delivery {}", hex::encode(rest.get(..32).unwrap_or(rest))),
        Some(b'w') => format!("ratio row {}", hex::encode(rest)),
        Some(b'c') => format!("ratio cell {}", String::from_utf8_lossy(rest)),
        _ => format!("unknown record {}", hex::encode(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::Urgency;
    use crate::domain::ids::{AgencyId, DeliveryId, DocumentKey, NodeName, RequestId};
    use crate::merkle::sha256;

    #[test]
    fn every_kind_of_record_has_a_name() {
        let agency = AgencyId::new("vp.tw").unwrap();
        let document = DocumentKey::new("12", "CV", 2016).unwrap();
        let id = DeliveryId::from_slice(&[7; 32]).unwrap();
        let peer = NodeName::new("b").unwrap();
        let known = [
            (keys::outgoing(&id), "outgoing delivery 0707"),
            (keys::incoming(&id), "incoming delivery 0707"),
            (keys::document(&agency, &document), "document number in use by vp.tw"),
            (keys::document_delivery(&agency, &document, &id), "delivery of a document of vp.tw"),
            (keys::attempt(&agency, &document, &agency), "newest attempt of a document of vp.tw"),
            (keys::in_force(&agency, &document, &agency), "document in force from vp.tw"),
            (keys::request(&agency, &RequestId::new("r").unwrap()), "request id of vp.tw"),
            (keys::outbox(&peer, Urgency::Normal, 1), "outbox entry for b"),
            (keys::inbox(&agency, 1), "inbox entry of vp.tw"),
            (keys::feed(&agency, 1), "feed entry of vp.tw"),
            (keys::agency_event(&agency, 1), "event list entry of vp.tw"),
            (keys::delivery_event(&id, 1), "event list entry of delivery 0707"),
            (keys::row(&sha256(b"")), "ratio row e3b0"),
            (keys::cell("internal"), "ratio cell internal"),
        ];
        for (key, text) in known {
            assert!(describe(&key).starts_with(text), "{}", describe(&key));
        }
    }
}
