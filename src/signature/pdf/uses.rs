//! Every object of a state read once, and how often each is referred to.
//!
//! Reading them all holds the file to its cross-reference: one that lists what is not there is malformed. The counts
//! say whether an object may change for the role it is known in, which it may only if it has no other.

use std::collections::BTreeSet;

use super::error::PdfError;
use super::file::State;
use super::object::Dict;
use super::xref::Entry;
use crate::signature::limits::MAX_PDF_NUMBER;

/// The references between the objects of one state.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    counts: Vec<u32>,
    /// Where the last byte of any object read so far stands.
    pub end: usize,
}

impl Uses {
    /// Of a whole state.
    pub fn of(state: &State) -> Result<Uses, PdfError> {
        let mut uses = Uses::default();
        for number in state.numbers() {
            uses.count(state, number, true)?;
        }
        Ok(uses)
    }

    /// Takes what is counted from a state to the next one.
    pub fn advance(&mut self, state: &State, next: &State) -> Result<(), PdfError> {
        for number in changed(state, next)? {
            self.count(state, number, false)?;
            self.count(next, number, true)?;
        }
        Ok(())
    }

    fn count(&mut self, state: &State, number: u32, add: bool) -> Result<(), PdfError> {
        let Some((object, end)) = state.read_to_end(number)? else { return Ok(()) };
        self.end = self.end.max(end.unwrap_or(0));
        // A cross-reference stream is a trailer: what it refers to has no use by that.
        if let Entry::At { offset, .. } = state.entry(number)
            && state.is_cross_reference(offset as usize)
        {
            return Ok(());
        }
        let counts = &mut self.counts;
        object.value.references(&mut |target| {
            if target <= MAX_PDF_NUMBER {
                if target as usize >= counts.len() {
                    counts.resize(target as usize + 1, 0);
                }
                let count = &mut counts[target as usize];
                *count = if add { count.saturating_add(1) } else { count.saturating_sub(1) };
            }
        });
        Ok(())
    }

    /// How many references there are to an object, those of trailers left out.
    pub fn of_object(&self, number: u32) -> u32 {
        self.counts.get(number as usize).copied().unwrap_or(0)
    }
}

/// The objects that stand elsewhere in `new`, a later state, than in `old`.
pub(crate) fn changed(old: &State, new: &State) -> Result<BTreeSet<u32>, PdfError> {
    let sections = &old.file.sections[old.section + 1..=new.section];
    old.file.budget.work(sections.iter().map(|section| section.entries.len()).sum::<usize>() / 8)?;
    let listed = sections.iter().flat_map(|section| section.entries.iter().map(|&(number, _)| number));
    Ok(listed.filter(|&number| old.entry(number) != new.entry(number)).collect())
}

/// Whether two dictionaries of streams differ in nothing but how they say the length of the data.
pub(crate) fn same_but_length(a: &Dict, b: &Dict) -> bool {
    a.changed(b).iter().all(|key| *key == b"Length")
}

/// Whether an object is the same in two states.
pub(crate) fn same(old: &State, new: &State, number: u32) -> Result<bool, PdfError> {
    Ok(match (old.read(number)?, new.read(number)?) {
        (None, None) => true,
        (Some(a), Some(b)) => match (a.stream(), b.stream()) {
            (Some((da, ra)), Some((db, rb))) => {
                old.file.budget.work(ra.len() / 64)?;
                same_but_length(da, db) && old.file.bytes[ra] == new.file.bytes[rb]
            }
            (None, None) => a.value == b.value,
            _ => false,
        },
        _ => false,
    })
}
