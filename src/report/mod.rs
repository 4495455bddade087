//! The share of fully electronic exchange: reading the sums that the folds keep, and printing them.
//!
//! Keys are `in_province`, `internal`, `outside`, `in_province/up` (`/down`, `/horizontal`), and each with `@yyyy-mm`.
//! Figures are on the basis of deliveries, from the sender's side; several nodes' are added ([`add`]), each delivery
//! being counted once, by its sender's node.

use std::collections::BTreeMap;

use crate::domain::fold::{ViewError, decode, keys};
use crate::domain::ratio::Counters;
use crate::store::StoreError;
use crate::store::index::Index;

mod table;

pub use table::{csv, json, table};

/// Sums by key.
pub type Cells = BTreeMap<String, Counters>;

/// Why figures cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// All sums of a node.
pub fn cells(index: &Index) -> Result<Cells, ReportError> {
    let prefix = keys::cells();
    let mut out = Cells::new();
    for (key, value) in index.scan(&prefix, &prefix, usize::MAX)? {
        let name = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
        out.insert(name, decode(&key, &value)?);
    }
    Ok(out)
}

/// Adds one node's sums to others'.
pub fn add(total: &mut Cells, node: &Cells) {
    for (key, counters) in node {
        let sum = total.entry(key.clone()).or_default();
        *sum = sum.plus(*counters);
    }
}

/// The scopes that a report always shows, also when nothing counts in them.
pub const SCOPES: [&str; 6] =
    ["in_province", "in_province/up", "in_province/down", "in_province/horizontal", "internal", "outside"];

/// Sums within months (`yyyy-mm`, both included; empty: no bound): month cells in the range, and totals made of them.
pub fn within(cells: &Cells, from: &str, to: &str) -> Cells {
    if from.is_empty() && to.is_empty() {
        return with_scopes(cells.clone());
    }
    let mut out = Cells::new();
    for (key, counters) in cells {
        let Some((scope, month)) = key.split_once('@') else { continue };
        if (from.is_empty() || month >= from) && (to.is_empty() || month <= to) {
            let sum = out.entry(scope.to_owned()).or_default();
            *sum = sum.plus(*counters);
            out.insert(key.clone(), *counters);
        }
    }
    with_scopes(out)
}

fn with_scopes(mut cells: Cells) -> Cells {
    for scope in SCOPES {
        cells.entry(scope.to_owned()).or_default();
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_months_gives_their_totals() {
        let one = Counters { deliveries: 1, electronic: 1, ..Counters::default() };
        let mut cells = Cells::new();
        for key in ["outside@2016-01", "outside@2016-02", "outside@2016-03"] {
            cells.insert(key.into(), one);
        }
        cells.insert("outside".into(), one.plus(one).plus(one));
        let range = within(&cells, "2016-02", "2016-03");
        assert_eq!(range["outside"].deliveries, 2);
        assert!(!range.contains_key("outside@2016-01"));
        assert_eq!(range["internal"].deliveries, 0);
    }
}
