//! Entries of the paper register in a leaf.

use super::{pb, words};
use crate::domain::event::PaperEntry;
use crate::domain::ids::{DocumentKey, RequestId};
use crate::domain::reason::Rejection;

/// To the wire.
pub(super) fn entry_out(entry: &PaperEntry) -> pb::PaperEntered {
    pb::PaperEntered {
        parties: Some(super::leaf::parties_out(&entry.parties)),
        recipient_name: entry.recipient_name.clone(),
        number: entry.key.number().to_owned(),
        notation: entry.key.notation().to_owned(),
        issued_on: entry.issued_on.to_string(),
        type_name: entry.type_name.clone(),
        urgency: words::urgency(entry.urgency).into(),
        mandatory: entry.mandatory,
        basis: entry.basis.clone(),
        dispatched_on: entry.dispatched_on.map_or_else(String::new, |d| d.to_string()),
        withdrawn: entry.withdrawn,
        request_id: entry.request_id.to_string(),
        corrects: entry.corrects,
    }
}

/// From the wire.
pub(super) fn read_entry(p: pb::PaperEntered) -> Result<PaperEntry, Rejection> {
    let issued_on = words::read_date("issued_on", &p.issued_on)?;
    Ok(PaperEntry {
        parties: super::leaf::read_parties(p.parties)?,
        recipient_name: p.recipient_name,
        key: DocumentKey::new(&p.number, &p.notation, issued_on.year())?,
        issued_on,
        type_name: p.type_name,
        urgency: words::read_urgency(p.urgency).ok_or_else(|| words::unknown("urgency", p.urgency))?,
        mandatory: p.mandatory,
        basis: p.basis,
        dispatched_on: words::read_optional_date("dispatched_on", &p.dispatched_on)?,
        withdrawn: p.withdrawn,
        request_id: RequestId::new(&p.request_id)?,
        corrects: p.corrects,
    })
}
