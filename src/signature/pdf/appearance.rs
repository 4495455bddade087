//! What the widget of a further signature shows.
//!
//! Of an appearance viewers paint what its /BBox cuts out, moved by /Matrix and drawn into the widget's /Rect (12.5.5).
//! That holds only where those are there and each viewer takes them for the same: without a box some paint the whole
//! page, and a coordinate that a number of 32 bits does not hold is 0 to some. So they are read strictly, and an
//! appearance that is not to be seen has to paint nothing: it is not enough that its widget is hidden or has no area.
//!
//! What shows has somebody who signed it, and whose verdict counts: the field that it belongs to is signed by the same
//! revision. A field that still waits shows nothing, and neither does a document timestamp, which is nobody's
//! signature. For these even the border and the background that viewers may draw by themselves are refused.

use super::changes::{GivenKind, Stop, modified};
use super::file::State;
use super::object::{Dict, Object};
use super::paint::{self, Painted};
use super::widget::{Rect, coordinates, flags, invisible, rectangle};

/// NoZoom and NoRotate (table 165), with which a widget would grow over its surroundings.
const FLOATING: usize = 8 | 16;

/// The shortest side of a box that is scaled to a widget, in points.
const MIN_SIDE: f64 = 0.01;

/// How much it is scaled at most, either way.
const MAX_SCALE: f64 = 10_000.0;

/// The keys of an appearance (8.10.2, tables 5 and 95): no group of optional content, no page of another file.
const KEYS: [&[u8]; 16] = [
    b"Type",
    b"Subtype",
    b"FormType",
    b"BBox",
    b"Matrix",
    b"Resources",
    b"Length",
    b"Filter",
    b"DecodeParms",
    b"Group",
    b"Name",
    b"Metadata",
    b"LastModified",
    b"PieceInfo",
    b"StructParent",
    b"StructParents",
];

/// Fails unless a widget, new or filled, shows no more than what it is given allows, and inside its rectangle.
pub(crate) fn check(state: &State, dict: &Dict, name: &str, kind: GivenKind) -> Result<(), Stop> {
    let Some(rect) = rectangle(dict) else {
        return modified(format!("the widget of `{name}` is without a place, or has a /Rect that is none"));
    };
    match flags(dict) {
        Some(flags) if flags & FLOATING == 0 => {}
        Some(_) => return modified(format!("the widget of `{name}` does not keep its place")),
        None => return modified(format!("the widget of `{name}` has a /F that is no set of flags")),
    }
    let hidden = invisible(dict, rect);
    // A rectangle without area has a border all the same.
    let borderless =
        hidden && (rect[0] == rect[2] && rect[1] == rect[3] || flags(dict).is_some_and(|f| f & 2 != 0));
    if kind != GivenKind::Signature && !borderless && draws_itself(state, dict)? {
        return modified(format!("the widget of `{name}` shows a border or a background and is not signed"));
    }
    let target = (kind == GivenKind::Signature && !hidden).then_some(rect);
    for (appearance, number) in appearances(state, dict, name)? {
        let bad = |what: &str| modified(format!("the appearance of `{name}`, object {number}, {what}"));
        let object = state.read(number)?;
        let Some((form, data)) = object.as_ref().and_then(|object| object.stream()) else {
            return bad("is no form");
        };
        if appearance != state.generation(number) || !form.is(b"Subtype", b"Form") {
            return bad("is no form");
        }
        if let Some((key, _)) = form.iter().find(|(key, _)| !KEYS.contains(key)) {
            return bad(&format!("has /{}", String::from_utf8_lossy(key)));
        }
        let Some(bounds) = form.get(b"BBox").and_then(coordinates) else {
            return bad("has no /BBox of four numbers");
        };
        let matrix = form.get(b"Matrix").map_or(Some(paint::IDENTITY), coordinates);
        let Some(matrix) = matrix else { return bad("has a /Matrix that is none") };
        if target.is_some_and(|rect| fits(bounds, matrix, rect)) {
            continue;
        }
        match paint::nothing(state, form, data) {
            Ok(()) => {}
            Err(Painted::Malformed(error)) => return Err(Stop::Malformed(error)),
            Err(_) if hidden => return bad("paints something where nothing is to be seen"),
            Err(_) if target.is_none() => return bad("shows something that nobody signed"),
            Err(_) => return bad("does not fit its widget"),
        }
    }
    Ok(())
}

/// The appearances of a widget, every state of each: generation and number of each reference.
fn appearances(state: &State, dict: &Dict, name: &str) -> Result<Vec<(u16, u32)>, Stop> {
    let wrong = || modified(format!("the widget of `{name}` has a /AP that is none"));
    let all = state.get(dict, b"AP")?;
    let all = match &*all {
        Object::Null => return Ok(Vec::new()),
        Object::Dict(all) => all,
        _ => return wrong(),
    };
    let mut found = Vec::new();
    for (key, value) in all.iter() {
        if !matches!(key, b"N" | b"R" | b"D") {
            return wrong();
        }
        // A reference leads to a form, or to the states.
        let form = value.reference().map(|number| state.read(number)).transpose()?.flatten();
        match (value, &*state.resolve(value)?) {
            (Object::Reference(number, generation), _) if form.is_some_and(|form| form.data.is_some()) => {
                found.push((*generation, *number));
            }
            (_, Object::Dict(states)) => {
                for (_, value) in states.iter() {
                    let Object::Reference(number, generation) = value else { return wrong() };
                    found.push((*generation, *number));
                }
            }
            _ => return wrong(),
        }
    }
    Ok(found)
}

/// Whether a box that is moved by a matrix and scaled to a rectangle is inside it for every reader.
fn fits(bounds: Rect, matrix: paint::Matrix, rect: Rect) -> bool {
    let [a, b, c, d] = bounds;
    let moved = paint::around(matrix, [a.min(c), b.min(d), a.max(c), b.max(d)]);
    let sides = |r: Rect| [r[2] - r[0], r[3] - r[1]];
    let determinant = matrix[0] * matrix[3] - matrix[1] * matrix[2];
    let scales = sides(rect).into_iter().zip(sides(moved)).map(|(to, from)| to / from);
    determinant.abs() > 1e-6
        && sides(moved).into_iter().chain([(c - a).abs(), (d - b).abs()]).all(|side| side >= MIN_SIDE)
        && { scales }.all(|scale| (1.0 / MAX_SCALE..MAX_SCALE).contains(&scale))
}

/// Whether a widget has what viewers may draw without an appearance.
fn draws_itself(state: &State, dict: &Dict) -> Result<bool, Stop> {
    let zero = |value: Option<&Object>| value.and_then(Object::number) == Some(0.0);
    let border = match &*state.get(dict, b"Border")? {
        Object::Null => false,
        other => !zero(other.array().and_then(|border| border.get(2))),
    };
    let style = match &*state.get(dict, b"BS")? {
        Object::Null => false,
        other => !zero(other.dict().and_then(|style| style.get(b"W"))),
    };
    let more = match &*state.get(dict, b"MK")? {
        Object::Null => false,
        other => other.dict().is_none_or(|more| more.iter().any(|(key, _)| key != b"R")),
    };
    Ok(border || style || more || dict.get(b"C").is_some())
}
