//! The sums of the ratios follow every change of a row: cells of deliveries, and of documents to several recipients.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{View, ViewError, keys, load, store};
use crate::domain::ids::{AgencyId, DocumentKey};
use crate::domain::ratio::cell::{self, Family, Merged, Several};
use crate::domain::ratio::{Counters, Dims, Row};

/// Which row: a document of a sender to a recipient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) sender: &'a AgencyId,
    pub(super) document: &'a DocumentKey,
    pub(super) recipient: [u8; keys::ROW_HASH],
}

impl Name<'_> {
    pub(super) fn key(&self) -> Vec<u8> {
        keys::row(self.sender, self.document, &self.recipient)
    }
}

/// What a row counts, and by what it can be asked for.
pub(super) type Counted<'a> = (&'a Dims, Counters);

/// What is known of a document's deliveries together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum DocumentSum {
    /// There is one: its row says all.
    One([u8; keys::ROW_HASH]),
    /// Sums, apart by everything but the recipient.
    Several(Vec<(Dims, Counters)>),
}

fn add<T: Default + PartialEq + Serialize + DeserializeOwned>(
    view: &mut (impl View + ?Sized),
    key: Vec<u8>,
    f: impl FnOnce(T) -> T,
) -> Result<(), ViewError> {
    let sum = f(load::<T>(view, &key)?.unwrap_or_default());
    if sum == T::default() {
        view.delete(&key);
    } else {
        store(view, key, &sum);
    }
    Ok(())
}

/// A delivery counts otherwise than before: in the cells of these families.
pub(super) fn moved(
    view: &mut (impl View + ?Sized),
    families: &[Family],
    before: Option<Counted<'_>>,
    after: Option<Counted<'_>>,
) -> Result<(), ViewError> {
    for family in families {
        let key = |(dims, _): Counted<'_>| cell::key(*family, Merged::Not, dims);
        let (old, new) = (before.map(key), after.map(key));
        let out = before.map_or(Counters::default(), |b| b.1);
        let into = after.map_or(Counters::default(), |a| a.1);
        if old == new {
            if let Some(key) = new {
                add::<Counters>(view, key, |c| c.minus(out).plus(into))?;
            }
            continue;
        }
        if let Some(key) = old {
            add::<Counters>(view, key, |c| c.minus(out))?;
        }
        if let Some(key) = new {
            add::<Counters>(view, key, |c| c.plus(into))?;
        }
    }
    Ok(())
}

/// The same in the sums of documents. Of a document with one recipient nothing is kept but which that is.
pub(super) fn documents(
    view: &mut (impl View + ?Sized),
    name: &Name<'_>,
    before: Option<Counted<'_>>,
    after: Counted<'_>,
) -> Result<(), ViewError> {
    let key = keys::document_sum(name.sender, name.document);
    let (mut parts, is_new) = match load::<DocumentSum>(view, &key)? {
        None => {
            store(view, key, &DocumentSum::One(name.recipient));
            return Ok(());
        }
        Some(DocumentSum::One(only)) if only == name.recipient => return Ok(()),
        Some(DocumentSum::One(only)) => {
            let other = keys::row(name.sender, name.document, &only);
            let other: Option<Row> = load(view, &other)?;
            (other.into_iter().map(|row| (merged(&row.dims), row.count())).collect(), true)
        }
        Some(DocumentSum::Several(parts)) => (parts, false),
    };
    let old = if is_new { Vec::new() } else { spread(&parts) };
    if let Some((dims, count)) = before {
        change(&mut parts, dims, |sum| sum.minus(count));
    }
    change(&mut parts, after.0, |sum| sum.plus(after.1));
    parts.retain(|(_, sum)| *sum != Counters::default());
    let mut differences =
        spread(&parts).into_iter().map(|(k, new)| (k, Several::default(), new)).collect::<Vec<_>>();
    for (key, was) in old {
        match differences.iter_mut().find(|(k, ..)| *k == key) {
            Some(difference) => difference.1 = was,
            None => differences.push((key, was, Several::default())),
        }
    }
    for (key, was, is) in differences.into_iter().filter(|(_, was, is)| was != is) {
        add::<Several>(view, key, |sum| sum.minus(was).plus(is))?;
    }
    store(view, key, &DocumentSum::Several(parts));
    Ok(())
}

/// Without the recipient.
fn merged(dims: &Dims) -> Dims {
    Dims { recipient: None, recipient_registered: None, recipient_level: None, ..dims.clone() }
}

fn change(parts: &mut Vec<(Dims, Counters)>, dims: &Dims, f: impl FnOnce(Counters) -> Counters) {
    let dims = merged(dims);
    match parts.iter_mut().find(|(d, _)| *d == dims) {
        Some((_, sum)) => *sum = f(*sum),
        None => parts.push((dims, f(Counters::default()))),
    }
}

/// What a document counts in the cells of documents. Deliveries that disagree about the document itself (its day, type,
/// urgency) count as several documents.
fn spread(parts: &[(Dims, Counters)]) -> Vec<(Vec<u8>, Several)> {
    let mut cells: Vec<(Vec<u8>, Several)> = Vec::new();
    for way in Merged::WAYS {
        let mut sums: Vec<(Dims, Counters)> = Vec::new();
        for (dims, count) in parts {
            let mut dims = dims.clone();
            if way == Merged::All {
                // Any scope will do: it is not in the key.
                dims.scope = crate::domain::event::Scope::Internal;
            }
            if way != Merged::ByDirection {
                dims.direction = None;
            }
            match sums.iter_mut().find(|(d, _)| *d == dims) {
                Some((_, sum)) => *sum = sum.plus(*count),
                None => sums.push((dims, *count)),
            }
        }
        for (dims, sum) in sums {
            let several = Several::of(sum);
            if several == Several::default() {
                continue;
            }
            for family in Family::OF_DOCUMENTS {
                let key = cell::key(family, way, &dims);
                match cells.iter_mut().find(|(k, _)| *k == key) {
                    Some((_, sum)) => *sum = sum.plus(several),
                    None => cells.push((key, several)),
                }
            }
        }
    }
    cells
}
