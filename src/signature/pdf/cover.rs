//! Whether the visible widget of a further signature covers what was signed.
//!
//! A seal that shows is usual here: Decree 30/2020/NĐ-CP, annex I, wants the agency's seal to lie over about a third
//! of the person's signature, on its left. So a visible widget is not refused as such. It must lie where the signed
//! revision shows nothing:
//! - no text, line, area that is not white, or image of the page touches its rectangle (`paint`); where the contents
//!   cannot be understood it is refused, and so over a scanned page, which is one image;
//! - no annotation touches it. Of the widget of a signature that is already there, up to a half may be covered: what
//!   counts of a signature is not its picture;
//! - it keeps its place and paints inside its rectangle only (`appearance`).
//!
//! A seal that must lie over text is given before the person signs, or as the appearance of one signature.

use super::changes::{Stop, modified};
use super::file::State;
use super::pages::Page;
use super::paint::{self, Painted};
use super::widget::{Rect, invisible, rectangle};

/// The share of an earlier signature's widget that may be covered.
const SHARE: f64 = 0.5;

/// Fails if the widget `number` covers something of a page as it was signed.
pub(crate) fn check(state: &State, page: &Page, number: u32, rect: Rect) -> Result<(), Stop> {
    let on = format!("of a new signature on the page of object {}", page.number);
    for annotation in state.get(&page.dict, b"Annots")?.array().unwrap_or_default() {
        if annotation.reference() == Some(number) {
            continue;
        }
        let annotation = state.resolve(annotation)?;
        let Some(other) = annotation.dict() else { continue };
        let Some(place) = rectangle(other) else {
            return modified(format!("the widget {on} may cover an annotation without a place"));
        };
        if invisible(other, place) {
            continue;
        }
        let common = area([
            rect[0].max(place[0]),
            rect[1].max(place[1]),
            rect[2].min(place[2]),
            rect[3].min(place[3]),
        ]);
        let signature = other.is(b"FT", b"Sig") && other.get(b"V").is_some();
        if common > if signature { SHARE * area(place) } else { 0.0 } {
            return modified(format!("the widget {on} covers an annotation"));
        }
    }
    match paint::blank(state, page, rect) {
        Ok(()) => Ok(()),
        Err(Painted::By(what)) => modified(format!("the widget {on} covers {what}")),
        Err(Painted::Unknown(what)) => {
            modified(format!("the widget {on} may cover something: there is {what}"))
        }
        Err(Painted::Malformed(error)) => Err(Stop::Malformed(error)),
    }
}

fn area(rect: Rect) -> f64 {
    (rect[2] - rect[0]).max(0.0) * (rect[3] - rect[1]).max(0.0)
}
