//! Closed periods: their figures as a text that is kept, and what changed in them since.
//!
//! The text has one line for each cell, sorted, so that it can be made again from the log up to the closing event and
//! compared, digest and all.

use std::fmt::Write as _;

use super::query::{Basis, Dimension, Filter, Query};
use super::{ReportError, SCOPES, Source, engine};
use crate::domain::event::{Direction, Scope};
use crate::domain::fold::records::{ClosedRecord, RestatedRecord};
use crate::domain::fold::{decode, keys};
use crate::domain::ratio::{Counters, Month, Period, PeriodTotal};

/// First line of the text.
const FORMAT: &str = "lienthong/period/1";

/// What a period's figures are told apart by in the text.
const TABLES: [&[Dimension]; 3] = [
    &[
        Dimension::Month,
        Dimension::Sender,
        Dimension::SenderRegistered,
        Dimension::SenderLevel,
        Dimension::Scope,
        Dimension::Direction,
    ],
    &[Dimension::Month, Dimension::Type, Dimension::Urgency, Dimension::Scope, Dimension::Direction],
    &[Dimension::Day, Dimension::Scope, Dimension::Direction],
];

/// The query for a period's figures.
pub fn query(period: Period) -> Query {
    let (from, to) = period.days();
    Query { from: Some(from), to: Some(to), ..Query::default() }
}

/// A period's figures as a text: after the first line and the period, for each basis and table the columns and a line
/// per cell, tab-separated.
pub fn snapshot(source: &(impl Source + ?Sized), period: Period) -> Result<String, ReportError> {
    let mut text = format!("{FORMAT}\n{period}\n");
    for basis in [Basis::Deliveries, Basis::Documents] {
        for group in TABLES {
            let columns: Vec<&str> = group.iter().map(|d| d.as_str()).collect();
            let _ = writeln!(
                text,
                "\n{}\t{}\t{}",
                basis.as_str(),
                columns.join("\t"),
                Counters::NAMES.join("\t")
            );
            let query = Query { basis, group: group.to_vec(), ..query(period) };
            for figure in engine::figures(source, &query)? {
                let numbers = figure.counters.values().map(|n| n.to_string());
                let _ = writeln!(text, "\t{}\t{}", figure.values.join("\t"), numbers.join("\t"));
            }
        }
    }
    Ok(text)
}

/// The totals that stand in the event.
pub fn totals(source: &(impl Source + ?Sized), period: Period) -> Result<Vec<PeriodTotal>, ReportError> {
    let mut totals = Vec::new();
    for key in SCOPES {
        let sum = |basis| -> Result<Counters, ReportError> {
            let query = Query { basis, filter: scope_filter(key), ..query(period) };
            Ok(engine::figures(source, &query)?.first().map_or(Counters::default(), |f| f.counters))
        };
        totals.push(PeriodTotal {
            key: key.to_owned(),
            deliveries: sum(Basis::Deliveries)?,
            documents: sum(Basis::Documents)?,
        });
    }
    Ok(totals)
}

fn scope_filter(key: &str) -> Filter {
    let (scope, direction) = key.split_once('/').unwrap_or((key, ""));
    let scopes = [Scope::Internal, Scope::InProvince, Scope::Outside];
    let directions = [Direction::Up, Direction::Down, Direction::Horizontal];
    Filter {
        scope: scopes.into_iter().find(|s| s.as_str() == scope),
        direction: directions.into_iter().find(|d| d.as_str() == direction),
        ..Filter::default()
    }
}

/// A closed period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Which.
    pub period: Period,
    /// Its event, when, and the digest of its figures.
    pub record: ClosedRecord,
}

/// Every closed period, by name.
pub fn closed(source: &(impl Source + ?Sized)) -> Result<Vec<Closed>, ReportError> {
    let mut found = Vec::new();
    let prefix = keys::closed_periods();
    source.scan(&prefix, &prefix, &mut |key, value| {
        let name = key.get(2..).and_then(<[u8]>::split_last).map(|(_, name)| name).unwrap_or_default();
        let period = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
        let period = period.ok_or_else(|| super::damaged(key))?;
        found.push(Closed { period, record: decode(key, value)? });
        Ok(true)
    })?;
    Ok(found)
}

/// A change of a delivery's figures after its period was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restatement {
    /// The month.
    pub month: Month,
    /// The event that caused it.
    pub index: u64,
    /// The delivery, before and after.
    pub record: RestatedRecord,
}

/// What changed in a closed period since, by month and event; from an event on, at most so many.
pub fn restatements(
    source: &(impl Source + ?Sized),
    closed: &Closed,
    from: (Month, u64),
    limit: usize,
) -> Result<Vec<Restatement>, ReportError> {
    let mut found = Vec::new();
    let (first, last) = closed.period.months();
    for number in first.max(from.0).number()..=last.number() {
        let month = Month::from_number(number);
        let after = closed.record.index + 1;
        let start = if month == from.0 { from.1.max(after) } else { after };
        let prefix = keys::restated_in(month);
        source.scan(&prefix, &keys::restated_from(month, start), &mut |key, value| {
            let index = key.get(6..14).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
            let index = index.ok_or_else(|| super::damaged(key))?;
            // An event may restate several deliveries: they stay together.
            let full = found.len() >= limit;
            if full
                && found.last().is_none_or(|last: &Restatement| last.index != index || last.month != month)
            {
                return Ok(false);
            }
            found.push(Restatement { month, index, record: decode(key, value)? });
            Ok(true)
        })?;
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// The closed periods that a query's days touch, each with the number of its restatements.
pub(super) fn touched(
    source: &(impl Source + ?Sized),
    query: &Query,
) -> Result<Vec<(String, u64)>, ReportError> {
    let (first, last) = query.months();
    let mut found = Vec::new();
    for closed in closed(source)? {
        let (begin, end) = closed.period.months();
        if first.is_some_and(|first| end < first) || last.is_some_and(|last| begin > last) {
            continue;
        }
        let mut changes = 0;
        for number in begin.number()..=end.number() {
            let month = Month::from_number(number);
            let prefix = keys::restated_in(month);
            source.scan(
                &prefix,
                &keys::restated_from(month, closed.record.index + 1),
                &mut |key, value| {
                    // Of others' deliveries an agency learns nothing, not even how many changed.
                    let counts = match &query.own {
                        None => true,
                        Some(own) => own.contains(&decode::<RestatedRecord>(key, value)?.dims.sender),
                    };
                    changes += u64::from(counts);
                    Ok(true)
                },
            )?;
        }
        found.push((closed.period.to_string(), changes));
    }
    Ok(found)
}
