//! The share of fully electronic exchange: reading the sums that the folds keep, and printing them.
//!
//! [`query`] says what is asked for, [`engine`] adds it up, [`coverage`] says how complete the paper registers are,
//! [`network`] states, collects and compares the figures of several nodes,
//! [`periods`] closes a period and lists what changed since, `recorded` makes that an event. [`Report`] is what is printed: as a table, as JSON, CSV or
//! a workbook, the same figures everywhere.
//!
//! Without dimensions of its own a report has the keys `in_province`, `internal`, `outside`, `in_province/up` (`/down`,
//! `/horizontal`), and each with `@yyyy-mm`. Figures are from the sender's side; several nodes' are added ([`add`]), each
//! delivery being counted once, by its sender's node.

use std::collections::BTreeMap;

use crate::domain::fold::ViewError;
use crate::domain::ratio::{Counters, Side};
use crate::store::StoreError;
use crate::store::index::Index;

pub mod coverage;
pub mod engine;
pub mod network;
pub mod periods;
pub mod query;
mod recorded;
mod table;
mod workbook;

pub use coverage::{Coverage, Missing};
pub use engine::Figure;
pub use query::{Basis, Dimension, Filter, Query};
pub(crate) use recorded::unreadable;
pub use table::{csv, figures_json, json, table};
pub use workbook::workbook;

/// Sums by key.
pub type Cells = BTreeMap<String, Counters>;

/// Records read at once while scanning.
const PAGE: usize = 1_024;

/// How often figures are read again when they changed meanwhile.
const TRIES: u32 = 5;

/// Why figures cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record.
    #[error(transparent)]
    View(#[from] ViewError),
    /// More than can be stated at once.
    #[error("the period has more than the {most} deliveries of a statement: ask for a shorter one")]
    TooMany {
        /// The limit.
        most: usize,
    },
}

fn damaged(key: &[u8]) -> ReportError {
    ViewError::Damaged { key: hex::encode(key) }.into()
}

/// What is done with a record; false ends the scan.
pub type Each<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool, ReportError> + 'a;

/// Records in the order of their keys: a node's store, or a map of a test.
pub trait Source: Sync {
    /// Every record under a prefix, from a key on.
    fn scan(&self, prefix: &[u8], from: &[u8], f: &mut Each<'_>) -> Result<(), ReportError>;
}

impl Source for Index {
    fn scan(&self, prefix: &[u8], from: &[u8], f: &mut Each<'_>) -> Result<(), ReportError> {
        let mut from = from.to_vec();
        loop {
            let page = Index::scan(self, prefix, &from, PAGE)?;
            for (key, value) in &page {
                if !f(key, value)? {
                    return Ok(());
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = [last.as_ref(), &[0]].concat(),
                _ => return Ok(()),
            }
        }
    }
}

/// Figures as they are printed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What was asked.
    pub query: Query,
    /// The figures; those without dimensions have their key as the only value.
    pub figures: Vec<Figure>,
    /// How complete the paper registers are.
    pub coverage: Coverage,
    /// The checkpoint that the figures stand on; empty where several nodes' were added.
    pub checkpoint: String,
    /// Nothing changed while they were read, so that they are exactly those of the checkpoint.
    pub exact: bool,
    /// Of several nodes' figures added up: how far they can be relied on; empty for those of one node.
    pub network: String,
    /// Closed periods that the days asked for touch, with the number of later changes.
    pub closed: Vec<(String, u64)>,
}

/// The scopes that a report always shows, also when nothing counts in them.
pub const SCOPES: [&str; 6] =
    ["in_province", "in_province/up", "in_province/down", "in_province/horizontal", "internal", "outside"];

/// The figures of a query, read again while they change; `checkpoint` gives the newest.
pub fn report(
    source: &(impl Source + ?Sized),
    query: &Query,
    mut checkpoint: impl FnMut() -> String,
) -> Result<Report, ReportError> {
    let mut report = Report { query: query.clone(), ..Report::default() };
    for _ in 0..TRIES {
        let before = engine::changes(source, query)?;
        report.checkpoint = checkpoint();
        let closed = periods::touched(source, query)?;
        report.figures =
            if query.group.is_empty() { by_key(source, query)? } else { engine::figures(source, query)? };
        report.coverage = coverage::coverage(source, query)?;
        report.closed = closed;
        // The checkpoint was taken after the first look: what had changed by then is in the figures.
        report.exact = engine::changes(source, query)? == before;
        if report.exact {
            break;
        }
    }
    Ok(report)
}

/// The figures under the keys of a report without dimensions.
fn by_key(source: &(impl Source + ?Sized), query: &Query) -> Result<Vec<Figure>, ReportError> {
    use Dimension::{Direction, Month, Scope};
    let mut figures: BTreeMap<String, Figure> = BTreeMap::new();
    let nothing = |key: String| {
        let covered = (query.side == Side::Outgoing).then_some(0);
        Figure { values: vec![key], counters: Counters::default(), covered }
    };
    for key in SCOPES {
        figures.insert(key.to_owned(), nothing(key.to_owned()));
    }
    let mut add = |scope: &str, direction: Option<&str>, month: Option<&str>, figure: &Figure| {
        let mut key = match direction {
            Some(direction) => format!("{scope}/{direction}"),
            None => scope.to_owned(),
        };
        if let Some(month) = month {
            key = format!("{key}@{month}");
        }
        let sum = figures.entry(key.clone()).or_insert_with(|| nothing(key));
        sum.counters = sum.counters.plus(figure.counters);
        sum.covered = sum.covered.zip(figure.covered).map(|(a, b)| a + b);
    };
    let text = |figure: &Figure, at: usize| figure.values.get(at).cloned().filter(|value| !value.is_empty());
    if query.basis == Basis::Deliveries {
        // Deliveries add up: one look at them gives every key.
        let query = Query { group: vec![Scope, Direction, Month], ..query.clone() };
        for figure in engine::figures(source, &query)? {
            let (direction, month) = (text(&figure, 1), text(&figure, 2));
            let scope = figure.values.first().map_or("", String::as_str);
            for month in [None, month.as_deref()] {
                add(scope, None, month, &figure);
                if direction.is_some() {
                    add(scope, direction.as_deref(), month, &figure);
                }
            }
        }
        return Ok(figures.into_values().collect());
    }
    // Documents do not: one that went up and down counts once in both together.
    for group in [vec![Scope], vec![Scope, Month], vec![Scope, Direction], vec![Scope, Direction, Month]] {
        let by_direction = group.contains(&Direction);
        let query = Query { group, ..query.clone() };
        for figure in engine::figures(source, &query)? {
            let scope = figure.values.first().map_or("", String::as_str);
            let direction = if by_direction { text(&figure, 1) } else { None };
            if by_direction && direction.is_none() {
                continue;
            }
            let month = text(&figure, 1 + usize::from(by_direction));
            add(scope, direction.as_deref(), month.as_deref(), &figure);
        }
    }
    Ok(figures.into_values().collect())
}

impl Report {
    /// A report on sums that were added from several nodes.
    pub fn of(cells: &Cells) -> Report {
        let figure = |(key, counters): (&String, &Counters)| Figure {
            values: vec![key.clone()],
            counters: *counters,
            covered: None,
        };
        Report { figures: cells.iter().map(figure).collect(), exact: true, ..Report::default() }
    }

    /// The sums by key, values of dimensions joined.
    pub fn cells(&self) -> Cells {
        self.figures.iter().map(|f| (f.values.join("|"), f.counters)).collect()
    }
}

/// Adds one node's sums to others'.
pub fn add(total: &mut Cells, node: &Cells) {
    for (key, counters) in node {
        let sum = total.entry(key.clone()).or_default();
        *sum = sum.plus(*counters);
    }
}
