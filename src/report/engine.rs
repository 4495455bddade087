//! Adding figures up: from the cells of one family where it has every dimension that is asked for, which takes
//! milliseconds whatever the log's size, and from the rows otherwise, a sender's after the other's, on all cores.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::coverage::Declared;
use super::query::{Basis, Dimension, Query, Value};
use super::{ReportError, Source};
use crate::domain::document::Urgency;
use crate::domain::event::Scope;
use crate::domain::fold::{decode, keys};
use crate::domain::ids::AgencyId;
use crate::domain::ratio::cell::{self, Cell, Family, Merged, Several};
use crate::domain::ratio::{Arrived, Counters, Dims, Month, Row, Side};
use crate::parallel;
use crate::time::Date;

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// The value of each dimension that figures stand apart by.
    pub values: Vec<String>,
    /// The sums.
    pub counters: Counters,
    /// Of these, how many are of senders whose paper register is declared complete for their month; `None` on the
    /// recipient's side.
    pub covered: Option<u64>,
}

/// What is added up, and what is taken off again: several deliveries that are one document.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    more: Counters,
    less: Counters,
    covered_more: u64,
    covered_less: u64,
}

impl Sum {
    fn add(&mut self, counters: Counters, covered: bool) {
        self.more = self.more.plus(counters);
        self.covered_more += if covered { counters.deliveries } else { 0 };
    }

    fn join(&mut self, other: Sum) {
        self.more = self.more.plus(other.more);
        self.less = self.less.plus(other.less);
        self.covered_more += other.covered_more;
        self.covered_less += other.covered_less;
    }

    fn take(&mut self, several: Several, covered: bool) {
        self.less = self.less.plus(several.deliveries);
        self.covered_less += if covered { several.deliveries.deliveries } else { 0 };
        self.add(several.documents, covered);
    }
}

type Group = Vec<Value>;
type Sums = BTreeMap<Group, Sum>;

/// Where figures are added up from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// The cells of a family, and for documents those beside them.
    Cells(Family, Merged),
    /// Every delivery that may count.
    Rows,
}

/// What only the cells of senders tell.
const SENDERS: [Dimension; 2] = [Dimension::Sender, Dimension::SenderRegistered];

/// Whether cells that tell these dimensions, beside those that all tell, know what is needed.
fn known_within(needs: &HashSet<Dimension>, known: &[Dimension]) -> bool {
    use Dimension as D;
    let always = [D::Scope, D::Direction, D::SenderLevel, D::RecipientLevel, D::Month, D::Quarter, D::Year];
    needs.iter().all(|need| always.contains(need) || known.contains(need))
}

/// Whether the cells of senders know the deliveries that a query asks for.
pub(super) fn by_sender(query: &Query) -> bool {
    known_within(&query.needs(), &SENDERS)
}

/// Where the figures of a query come from.
pub fn plan(query: &Query) -> Plan {
    use Dimension as D;
    let needs = query.needs();
    let within = |known: &[Dimension]| known_within(&needs, known);
    let recipient = [D::Recipient, D::RecipientRegistered];
    if query.side == Side::Incoming {
        return if within(&recipient) { Plan::Cells(Family::Arrival, Merged::Not) } else { Plan::Rows };
    }
    let merged = match merged(query, &needs) {
        Some(merged) => merged,
        None => return Plan::Rows,
    };
    // Senders first: only their cells tell what is covered by a declared register.
    if within(&SENDERS) {
        Plan::Cells(Family::Sender, merged)
    } else if within(&[D::Type, D::Urgency]) {
        Plan::Cells(Family::Kind, merged)
    } else if within(&[D::Day]) {
        Plan::Cells(Family::Day, merged)
    } else if within(&recipient) && merged == Merged::Not {
        Plan::Cells(Family::Recipient, merged)
    } else {
        Plan::Rows
    }
}

/// How recipients must be put together, where cells know it.
fn merged(query: &Query, needs: &HashSet<Dimension>) -> Option<Merged> {
    if query.basis == Basis::Deliveries {
        return Some(Merged::Not);
    }
    let mut of_recipients = needs.iter().filter(|need| need.is_recipients());
    if of_recipients.any(|need| !matches!(need, Dimension::Scope | Dimension::Direction)) {
        return None;
    }
    match (needs.contains(&Dimension::Scope), needs.contains(&Dimension::Direction)) {
        (_, true) => {
            // Without direction are two scopes: told apart, or left out by the filter.
            let filtered = query.filter.direction.is_some() || query.filter.scope.is_some();
            (filtered || query.group.contains(&Dimension::Scope)).then_some(Merged::ByDirection)
        }
        (true, false) => Some(Merged::ByScope),
        (false, false) => Some(Merged::All),
    }
}

/// The figures of a query, sorted by their values.
pub fn figures(source: &(impl Source + ?Sized), query: &Query) -> Result<Vec<Figure>, ReportError> {
    let declared = Declared::load(source, query)?;
    let mut sums = Sums::new();
    // What is covered is known by sender: where anything is declared, cells that do not tell senders apart will not do.
    let planned = match plan(query) {
        Plan::Cells(family, _)
            if family != Family::Sender && query.side == Side::Outgoing && !declared.is_empty() =>
        {
            Plan::Rows
        }
        planned => planned,
    };
    match planned {
        Plan::Cells(family, merged) => {
            let counters = |key: &[u8], value: &[u8]| decode::<Counters>(key, value);
            each_cell(source, query, family, Merged::Not, counters, |dims, counters| {
                sums.entry(group(query, dims)).or_default().add(counters, declared.covers(dims));
            })?;
            if merged != Merged::Not {
                let several = |key: &[u8], value: &[u8]| decode::<Several>(key, value);
                each_cell(source, query, family, merged, several, |dims, several| {
                    sums.entry(group(query, dims)).or_default().take(several, declared.covers(dims));
                })?;
            }
        }
        Plan::Rows => {
            let incoming = query.side == Side::Incoming;
            let family = if incoming { Family::Arrival } else { Family::Sender };
            let agencies = Vec::from_iter(agencies(source, query, family)?);
            let parts =
                parallel::each(parallel::cores(), &agencies, |agency| match (incoming, query.basis) {
                    (true, _) => arrivals(source, query, agency),
                    (false, Basis::Deliveries) => deliveries(source, query, &declared, agency),
                    (false, Basis::Documents) => documents(source, query, &declared, agency),
                });
            for part in parts {
                for (group, sum) in part? {
                    sums.entry(group).or_default().join(sum);
                }
            }
        }
    }
    let outgoing = query.side == Side::Outgoing;
    let figure = |(values, sum): (Group, Sum)| Figure {
        values: values.into_iter().map(|value| value.1).collect(),
        counters: sum.more.minus(sum.less),
        covered: outgoing.then(|| sum.covered_more.saturating_sub(sum.covered_less)),
    };
    Ok(sums.into_iter().map(figure).filter(|f| f.counters.deliveries > 0).collect())
}

fn group(query: &Query, dims: &Dims) -> Group {
    query.group.iter().map(|dimension| dimension.value(dims)).collect()
}

/// The dimensions of a cell; what its family does not tell is never asked.
fn dims_of(family: Family, period: i32, cell: Cell) -> Dims {
    Dims {
        day: cell::day(family, period),
        scope: cell.scope.unwrap_or(Scope::Internal),
        direction: cell.direction,
        sender: cell.sender.unwrap_or_default(),
        sender_registered: cell.sender_registered.unwrap_or_default(),
        sender_level: cell.sender_level,
        recipient: cell.recipient,
        recipient_registered: cell.recipient_registered,
        recipient_level: cell.recipient_level,
        type_name: cell.type_name,
        urgency: cell.urgency.unwrap_or(Urgency::Normal),
    }
}

/// The cells of a family that count.
pub(super) fn each_cell<T>(
    source: &(impl Source + ?Sized),
    query: &Query,
    family: Family,
    merged: Merged,
    read: impl Fn(&[u8], &[u8]) -> Result<T, crate::domain::fold::ViewError>,
    mut f: impl FnMut(&Dims, T),
) -> Result<(), ReportError> {
    let from = query.from.map_or(i32::MIN, |day| cell::period(family, day));
    let to = query.to.map_or(i32::MAX, |day| cell::period(family, day));
    // What the family does not tell is not asked here: the plan made sure, or the caller leaves it out on purpose.
    let known = |dimension: Dimension| match dimension {
        Dimension::Sender | Dimension::SenderRegistered => family == Family::Sender,
        Dimension::Recipient | Dimension::RecipientRegistered => {
            matches!(family, Family::Recipient | Family::Arrival)
        }
        Dimension::Type | Dimension::Urgency => family == Family::Kind,
        Dimension::Day => family == Family::Day,
        Dimension::RecipientLevel => merged == Merged::Not,
        Dimension::Scope => merged != Merged::All,
        Dimension::Direction => matches!(merged, Merged::Not | Merged::ByDirection),
        _ => true,
    };
    let prefix = cell::prefix(family, merged);
    source.scan(&prefix, &cell::from(family, merged, from), &mut |key, value| {
        let (period, cell) = cell::read(key).ok_or_else(|| super::damaged(key))?;
        if period > to {
            return Ok(false);
        }
        let dims = dims_of(family, period, cell);
        if query.counts(&dims, known) {
            f(&dims, read(key, value)?);
        }
        Ok(true)
    })
}

/// A year of a sender; of an agency to which something came, 0.
type YearOf = (i32, AgencyId);

/// The agencies, with the years, of which rows may count: as the cells tell, so that no others are read.
fn agencies(
    source: &(impl Source + ?Sized),
    query: &Query,
    family: Family,
) -> Result<BTreeSet<YearOf>, ReportError> {
    let mut found = BTreeSet::new();
    let nothing = |_: &[u8], _: &[u8]| Ok(());
    each_cell(source, query, family, Merged::Not, nothing, |dims, ()| {
        let year = if family == Family::Arrival { 0 } else { dims.day.year() };
        let agency = match family {
            Family::Arrival => dims.recipient.clone(),
            _ => Some(dims.sender.clone()),
        };
        found.extend(agency.map(|agency| (year, agency)));
    })?;
    Ok(found)
}

/// The deliveries of the sender's side that count.
pub(super) fn each_row(
    source: &(impl Source + ?Sized),
    query: &Query,
    mut f: impl FnMut(&[u8], Row),
) -> Result<(), ReportError> {
    for agency in agencies(source, query, Family::Sender)? {
        rows_of(source, query, &agency, &mut f)?;
    }
    Ok(())
}

fn rows_of(
    source: &(impl Source + ?Sized),
    query: &Query,
    (year, sender): &YearOf,
    mut f: impl FnMut(&[u8], Row),
) -> Result<(), ReportError> {
    let prefix = keys::rows_of(*year, sender);
    source.scan(&prefix, &prefix, &mut |key, value| {
        let row: Row = decode(key, value)?;
        if row.channel().is_some() && query.counts(&row.dims, |_| true) {
            f(key, row);
        }
        Ok(true)
    })
}

fn arrivals(
    source: &(impl Source + ?Sized),
    query: &Query,
    (_, recipient): &YearOf,
) -> Result<Sums, ReportError> {
    let mut sums = Sums::new();
    let prefix = keys::arrived_at(recipient);
    source.scan(&prefix, &prefix, &mut |key, value| {
        let row: Arrived = decode(key, value)?;
        if query.counts(&row.dims, |_| true) {
            sums.entry(group(query, &row.dims)).or_default().add(row.count(), false);
        }
        Ok(true)
    })?;
    Ok(sums)
}

fn deliveries(
    source: &(impl Source + ?Sized),
    query: &Query,
    declared: &Declared,
    agency: &YearOf,
) -> Result<Sums, ReportError> {
    let mut sums = Sums::new();
    rows_of(source, query, agency, |_, row| {
        let covered = declared.covers(&row.dims);
        sums.entry(group(query, &row.dims)).or_default().add(row.count(), covered);
    })?;
    Ok(sums)
}

/// What is the same for all deliveries of one document; where they disagree, they count as several.
type Face = (Date, String, Urgency, crate::domain::event::Level, AgencyId);

/// The rows of one document are side by side.
fn documents(
    source: &(impl Source + ?Sized),
    query: &Query,
    declared: &Declared,
    agency: &YearOf,
) -> Result<Sums, ReportError> {
    let mut sums = Sums::new();
    let mut document: Vec<u8> = Vec::new();
    let mut parts: HashMap<(Face, Group), (Counters, bool)> = HashMap::new();
    let mut flush = |parts: &mut HashMap<(Face, Group), (Counters, bool)>| {
        for ((_, group), (sum, covered)) in parts.drain() {
            sums.entry(group).or_default().add(sum.as_document(), covered);
        }
    };
    rows_of(source, query, agency, |key, row| {
        let own = &key[..key.len().saturating_sub(keys::ROW_HASH)];
        if own != document {
            flush(&mut parts);
            document.clear();
            document.extend_from_slice(own);
        }
        let d = &row.dims;
        let face = (d.day, d.type_name.clone(), d.urgency, d.sender_level, d.sender_registered.clone());
        let part = parts.entry((face, group(query, d))).or_default();
        *part = (part.0.plus(row.count()), declared.covers(d));
    })?;
    flush(&mut parts);
    Ok(sums)
}

/// How often the rows of the months of a query have changed so far: figures that were read between two equal answers
/// are those of one state.
pub fn changes(source: &(impl Source + ?Sized), query: &Query) -> Result<u64, ReportError> {
    let (first, last) = query.months();
    let (first, last) = (first.map_or(i32::MIN, Month::number), last.map_or(i32::MAX, Month::number));
    let mut sum = 0;
    let from = keys::changes(Month::from_number(first));
    source.scan(&from[..2], &from, &mut |key, value| {
        if key > keys::changes(Month::from_number(last)).as_slice() {
            return Ok(false);
        }
        sum += decode::<u64>(key, value)?;
        Ok(true)
    })?;
    Ok(sum)
}
