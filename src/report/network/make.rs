//! The deliveries of a statement, read from the folds of a node, or of a recount.

use std::collections::BTreeSet;

use super::row::{Came, Half, Sent, To, bits, pair};
use super::statement::Statement;
use crate::domain::document::Urgency;
use crate::domain::event::Level;
use crate::domain::fold::records::{AttemptRecord, Incoming, IncomingState, Outgoing};
use crate::domain::fold::{Records, decode, keys, load};
use crate::domain::ids::{AgencyId, DeliveryId, NodeName};
use crate::domain::limits;
use crate::domain::ratio::{Arrived, Electronic, Period, Row};
use crate::domain::reason::Reason;
use crate::domain::status::DeliveryState;
use crate::report::coverage::Declared;
use crate::report::engine::each_row;
use crate::report::{ReportError, Source, damaged, periods};
use crate::time::Date;

/// The statement of a period as the records are now.
pub fn make(
    source: &(impl Source + Records + ?Sized),
    node: &NodeName,
    period: Period,
) -> Result<Statement, ReportError> {
    Ok(Statement::new(node.clone(), period, sent(source, period)?, came(source, period)?))
}

/// What tells deliveries of one document apart as documents (`engine`).
type Face = (Date, String, Urgency, Level, AgencyId);

/// A row with its place among those of its document.
struct Found {
    to: Half,
    row: Row,
}

fn sent(source: &(impl Source + Records + ?Sized), period: Period) -> Result<Vec<Sent>, ReportError> {
    let query = periods::query(period);
    let declared = Declared::load(source, &query)?;
    let mut sent = Vec::new();
    let mut own: Vec<u8> = Vec::new();
    let mut document: Vec<Found> = Vec::new();
    let mut failed = None;
    let mut end = |own: &[u8], found: &mut Vec<Found>| -> Result<(), ReportError> {
        of_document(source, &declared, own, std::mem::take(found), &mut sent)?;
        within(sent.len())
    };
    // The rows of one document are side by side.
    each_row(source, &query, |key, row| {
        if failed.is_some() {
            return;
        }
        let (before, to) = key.split_at(key.len().saturating_sub(keys::ROW_HASH));
        if before != own {
            failed = end(&own, &mut document).err();
            own = before.to_vec();
        }
        document.push(Found { to: to.try_into().unwrap_or_default(), row });
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    end(&own, &mut document)?;
    Ok(sent)
}

/// The rows of one document, whose key ends in the half that names it.
fn of_document(
    source: &(impl Source + Records + ?Sized),
    declared: &Declared,
    own: &[u8],
    found: Vec<Found>,
    sent: &mut Vec<Sent>,
) -> Result<(), ReportError> {
    let Some(first) = found.first() else { return Ok(()) };
    let document: Half = own
        .get(own.len().saturating_sub(keys::ROW_HASH)..)
        .and_then(|half| half.try_into().ok())
        .ok_or_else(|| damaged(own))?;
    let face = |row: &Row| -> Face {
        let d = &row.dims;
        (d.day, d.type_name.clone(), d.urgency, d.sender_level, d.sender_registered.clone())
    };
    let faces: BTreeSet<Face> = found.iter().map(|f| face(&f.row)).collect();
    // Attempts by recipient: the key ends in its id and a zero.
    let prefix = keys::attempts_of_row(&first.row.dims.sender, &document);
    let mut attempts: Vec<(Vec<u8>, AttemptRecord)> = Vec::new();
    if found.iter().any(|f| f.row.submitted_at.is_some()) {
        source.scan(&prefix, &prefix, &mut |key, value| {
            attempts.push((
                key.get(prefix.len() + keys::ROW_HASH..).unwrap_or_default().to_vec(),
                decode(key, value)?,
            ));
            Ok(true)
        })?;
    }
    for Found { to, row } in found {
        let d = &row.dims;
        let to = match &d.recipient {
            Some(id) => To::Agency(id.clone()),
            None => {
                let hash = crate::domain::ids::framed(&[b"lienthong/figures-to/1", &document, &to]);
                To::Named(keys::half(&hash).try_into().unwrap_or_default())
            }
        };
        let under_way = !matches!(row.electronic, Electronic::None | Electronic::Withdrawn);
        let record = match to.agency().filter(|_| under_way) {
            None => None,
            Some(id) => {
                let tail = [id.as_str().as_bytes(), &[0]].concat();
                let attempt = attempts.iter().find(|(key, _)| *key == tail).map(|(_, attempt)| attempt);
                Some(standing(source, attempt.ok_or_else(|| damaged(&prefix))?)?)
            }
        };
        let at = faces.iter().position(|f| *f == face(&row)).unwrap_or_default();
        sent.push(Sent {
            sender: d.sender.clone(),
            document,
            to,
            delivery: record.as_ref().map(|(id, _)| *id),
            day: d.day,
            scope: d.scope,
            direction: d.direction,
            state: row.electronic,
            here: record.as_ref().map(|(_, r)| pair(r.verdicts)),
            there: record.as_ref().and_then(|(_, r)| r.peer_verdicts.map(pair)),
            arrived: row.arrived_at.filter(|_| record.is_some()).map(|at| at.date()),
            face: u16::try_from(at).unwrap_or(u16::MAX),
            covered: declared.covers(d),
            counts: bits(&row.count()),
        });
    }
    Ok(())
}

/// The attempt that counts: the newest that was not withdrawn before it arrived.
fn standing(
    source: &(impl Records + ?Sized),
    attempt: &AttemptRecord,
) -> Result<(DeliveryId, Outgoing), ReportError> {
    let mut newest = None;
    for id in std::iter::once(&attempt.delivery_id).chain(attempt.earlier.iter().rev()) {
        let key = keys::outgoing(id);
        let record: Outgoing = load(source, &key)?.ok_or_else(|| damaged(&key))?;
        if record.state != DeliveryState::Withdrawn {
            return Ok((*id, record));
        }
        newest.get_or_insert((*id, record));
    }
    newest.ok_or_else(|| damaged(attempt.delivery_id.as_bytes()))
}

fn came(source: &(impl Source + Records + ?Sized), period: Period) -> Result<Vec<Came>, ReportError> {
    let (from, to) = period.days();
    let mut came = Vec::new();
    let prefix = keys::incomings();
    source.scan(&prefix, &prefix, &mut |key, value| {
        let record: Incoming = decode(key, value)?;
        let facts = record.facts;
        let Some((document, day)) = facts.key.as_ref().zip(facts.issued_on) else { return Ok(true) };
        let refused = record.state == IncomingState::Refused;
        // What was withdrawn before it came counts for nobody; what is there already counts as it is.
        let nothing = refused && matches!(record.reason, Some(Reason::Withdrawn | Reason::AlreadyDelivered));
        if !(from..=to).contains(&day) || nothing || !facts.kind.is_document() {
            return Ok(true);
        }
        let arrived = keys::arrived(&facts.recipient, &facts.sender, document);
        let Some(arrived) = load::<Arrived>(source, &arrived)? else { return Ok(true) };
        if arrived.attempt != facts.attempt || arrived.electronic == Electronic::Withdrawn {
            return Ok(true);
        }
        let id = key.get(prefix.len()..).and_then(|id| DeliveryId::from_slice(id).ok());
        came.push(Came {
            document: keys::half(&document.hash()).try_into().unwrap_or_default(),
            sender: facts.sender,
            recipient: facts.recipient,
            delivery: id.ok_or_else(|| damaged(key))?,
            day,
            state: arrived.electronic,
            verdicts: pair(record.verdicts),
            arrived: arrived.arrived_at.date(),
            released: record.answer != record.index,
        });
        within(came.len())?;
        Ok(true)
    })?;
    Ok(came)
}

/// More would not fit into the memory of the node that collects.
fn within(rows: usize) -> Result<(), ReportError> {
    if rows > limits::STATEMENT_ROWS {
        return Err(ReportError::TooMany { most: limits::STATEMENT_ROWS });
    }
    Ok(())
}
