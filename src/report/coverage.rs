//! Coverage: which agencies declared their paper register complete. Without that, what went on paper may be missing, and
//! "fully electronic" is overstated.

use std::collections::{BTreeMap, HashSet};

use super::engine::{by_sender, each_cell, each_row};
use super::query::Query;
use super::{ReportError, Source};
use crate::domain::fold::records::DeclaredRecord;
use crate::domain::fold::{decode, keys};
use crate::domain::ids::AgencyId;
use crate::domain::ratio::cell::{Family, Merged};
use crate::domain::ratio::{Counters, Dims, Month, Side};

/// Who declared which month complete.
#[derive(Debug, Clone, Default)]
pub struct Declared(HashSet<(Month, AgencyId)>);

impl Declared {
    /// Those of a query's months.
    pub fn load(source: &(impl Source + ?Sized), query: &Query) -> Result<Declared, ReportError> {
        let mut declared = HashSet::new();
        if query.side == Side::Incoming {
            return Ok(Declared(declared));
        }
        let (first, last) = query.months();
        let (first, last) = (first.map_or(i32::MIN, Month::number), last.map_or(i32::MAX, Month::number));
        let from = keys::declared_in(Month::from_number(first));
        source.scan(&from[..2], &from, &mut |key, value| {
            let (number, rest) = key[2..].split_first_chunk::<4>().ok_or_else(|| super::damaged(key))?;
            let month = Month::from_number((u32::from_be_bytes(*number) ^ 0x8000_0000) as i32);
            if month.number() > last {
                return Ok(false);
            }
            if decode::<DeclaredRecord>(key, value)?.complete {
                let id = rest.split_last().and_then(|(_, id)| std::str::from_utf8(id).ok());
                let id = id.and_then(|id| AgencyId::new(id).ok()).ok_or_else(|| super::damaged(key))?;
                declared.insert((month, id));
            }
            Ok(true)
        })?;
        Ok(Declared(declared))
    }

    /// Whether nobody did, in the months of the query.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the sender of a delivery, or its registered agency, did for its month.
    pub fn covers(&self, dims: &Dims) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let month = Month::of(dims.day);
        [&dims.sender, &dims.sender_registered].into_iter().any(|a| self.0.contains(&(month, a.clone())))
    }
}

/// An agency with figures in months that it did not declare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The agency: the sender itself, with its registered agency where that is another.
    pub agency: AgencyId,
    /// Its months without a declaration.
    pub months: Vec<Month>,
    /// Its deliveries in these.
    pub deliveries: u64,
}

/// How much of a report's figures is covered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Deliveries of agencies that declared their month complete.
    pub covered: u64,
    /// All deliveries.
    pub all: u64,
    /// Who did not declare, by agency.
    pub missing: Vec<Missing>,
    /// How many agencies declared every month that they have figures in.
    pub complete: u64,
}

/// The coverage of what a query asks for.
pub fn coverage(source: &(impl Source + ?Sized), query: &Query) -> Result<Coverage, ReportError> {
    let mut coverage = Coverage::default();
    if query.side == Side::Incoming {
        return Ok(coverage);
    }
    let declared = Declared::load(source, query)?;
    let mut agencies: BTreeMap<AgencyId, BTreeMap<Month, u64>> = BTreeMap::new();
    let mut add = |dims: &Dims, deliveries: u64| {
        coverage.all += deliveries;
        let months = agencies.entry(dims.sender_registered.clone()).or_default();
        if declared.covers(dims) {
            coverage.covered += deliveries;
        } else if deliveries > 0 {
            *months.entry(Month::of(dims.day)).or_default() += deliveries;
        }
    };
    if by_sender(query) {
        let counters = |key: &[u8], value: &[u8]| decode::<Counters>(key, value);
        each_cell(source, query, Family::Sender, Merged::Not, counters, |dims, sum| {
            add(dims, sum.deliveries)
        })?;
    } else {
        each_row(source, query, |_, row| add(&row.dims, row.count().deliveries))?;
    }
    for (agency, months) in agencies {
        if months.is_empty() {
            coverage.complete += 1;
            continue;
        }
        let deliveries = months.values().sum();
        coverage.missing.push(Missing { agency, months: months.into_keys().collect(), deliveries });
    }
    Ok(coverage)
}
