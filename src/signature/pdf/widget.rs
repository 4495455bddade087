//! The widgets of new signatures on the pages that were signed.
//!
//! A page may change in one way: widgets of new signature fields stand at the end of its /Annots. A widget that
//! shows nothing (no area, or hidden) may stand anywhere.

use std::collections::HashSet;

use super::changes::{Comparison, Stop, modified};
use super::cover;
use super::object::{Dict, Object};
use super::pages::{self, Page};

/// Compares the pages: `added` are the widgets of new fields, `filled` those of fields that were empty.
pub(crate) fn compare(
    comparison: &mut Comparison,
    added: &HashSet<u32>,
    filled: &HashSet<u32>,
) -> Result<(), Stop> {
    let old = comparison.old;
    if added.is_empty() && filled.is_empty() && comparison.is_explained() {
        return Ok(());
    }
    let mut shown = HashSet::new();
    pages::each(old, |page| {
        let annotations = page.dict.get(b"Annots");
        let moved = |number: u32| comparison.changed.contains(&number);
        let apart = annotations.and_then(Object::reference).is_some_and(moved);
        let mut boxes = Vec::new();
        if moved(page.number) || apart {
            boxes = append(comparison, &page, added, &mut shown)?;
        }
        if !filled.is_empty() {
            let annotations = old.get(&page.dict, b"Annots")?;
            let here = annotations.array().unwrap_or_default().iter().filter_map(Object::reference);
            boxes.extend(here.filter(|number| filled.contains(number)));
        }
        for number in boxes {
            check(comparison, &page, number)?;
        }
        Ok(())
    })
}

/// The widgets that were put onto a page.
fn append(
    comparison: &mut Comparison,
    page: &Page,
    added: &HashSet<u32>,
    shown: &mut HashSet<u32>,
) -> Result<Vec<u32>, Stop> {
    let number = page.number;
    let object = comparison.new.read(number)?;
    let Some(new) = object.as_ref().and_then(|object| object.plain_dict()) else {
        return modified(format!("the page of object {number} was replaced by something else"));
    };
    if let Some(key) = page.dict.changed(new).into_iter().find(|key| *key != b"Annots") {
        let key = String::from_utf8_lossy(key);
        return modified(format!("/{key} of the page of object {number} was changed"));
    }
    comparison.explain(number);
    let (before, after) = comparison.follow(page.dict.get(b"Annots"), new.get(b"Annots"))?;
    let (before, after) = (before.array().unwrap_or_default(), after.array().unwrap_or_default());
    let Some(new) = after.strip_prefix(before) else {
        return modified(format!("annotations of the page of object {number} were removed or moved"));
    };
    let mut widgets = Vec::new();
    for annotation in new {
        match annotation.reference().filter(|widget| added.contains(widget)) {
            Some(widget) if shown.insert(widget) => widgets.push(widget),
            _ => return modified(format!("an annotation was put onto the page of object {number}")),
        }
    }
    Ok(widgets)
}

/// A rectangle in the space of the page: left, bottom, right, top.
pub(crate) type Rect = [f64; 4];

/// A coordinate that every reader takes for what it is.
pub(crate) const MAX_COORDINATE: f64 = 100_000.0;

/// Exactly `N` numbers that every reader takes for what they are.
pub(crate) fn coordinates<const N: usize>(value: &Object) -> Option<[f64; N]> {
    let numbers: Option<Vec<f64>> = value.array()?.iter().map(Object::number).collect();
    let numbers: [f64; N] = numbers?.try_into().ok()?;
    numbers.iter().all(|number| number.abs() <= MAX_COORDINATE).then_some(numbers)
}

/// The /Rect of an annotation, its corners in order.
pub(crate) fn rectangle(dict: &Dict) -> Option<Rect> {
    let [a, b, c, d] = coordinates(dict.get(b"Rect")?)?;
    Some([a.min(c), b.min(d), a.max(c), b.max(d)])
}

/// The /F of an annotation: an integer that has no more than the bits that there are.
pub(crate) fn flags(dict: &Dict) -> Option<usize> {
    dict.get(b"F").map_or(Some(0), Object::size).filter(|&flags| flags < 1 << 16)
}

/// Whether an annotation shows nothing (12.5.3: bit 2 is Hidden).
pub(crate) fn invisible(dict: &Dict, rect: Rect) -> bool {
    flags(dict).is_some_and(|flags| flags & 2 != 0) || rect[0] >= rect[2] || rect[1] >= rect[3]
}

fn check(comparison: &Comparison, page: &Page, number: u32) -> Result<(), Stop> {
    let object = comparison.new.read(number)?;
    let dict = object.as_ref().and_then(|object| object.plain_dict());
    let Some((dict, rect)) = dict.and_then(|dict| Some((dict, rectangle(dict)?))) else {
        return modified(format!("a widget without a place was put onto the page of object {}", page.number));
    };
    if invisible(dict, rect) {
        return Ok(());
    }
    cover::check(comparison.old, page, number, rect)
}
