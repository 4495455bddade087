//! How far a string of a page reaches: the widths that fonts declare (ISO 32000-1, 9.2.4, 9.6.2, 9.7.4.3), which are
//! those that viewers move by.

use std::collections::HashMap;

use super::error::PdfError;
use super::file::State;
use super::object::{Dict, Object};

/// The widths of a font's glyphs, in ems.
#[derive(Debug)]
pub(crate) struct Font {
    /// Bytes a code.
    bytes: usize,
    widths: HashMap<u16, f64>,
    /// Of a code that is not listed.
    default: f64,
}

/// Widths that one font may list; there are 65,536 codes.
const MAX_WIDTHS: usize = 65_536;

impl Font {
    /// Reads a font; none for a kind whose reach cannot be told: drawn by procedures, vertical, or coded otherwise.
    pub fn read(state: &State, dict: &Dict) -> Result<Option<Font>, PdfError> {
        match dict.get(b"Subtype").and_then(Object::name) {
            Some(b"Type1" | b"TrueType" | b"MMType1") => {
                let Some(first) = dict.get(b"FirstChar").map_or(Some(0), Object::size) else {
                    return Ok(None);
                };
                let list = state.get(dict, b"Widths")?.into_owned();
                let mut widths = HashMap::new();
                for (i, width) in list.array().unwrap_or_default().iter().take(256).enumerate() {
                    let (Ok(code), Some(width)) = (u16::try_from(first + i), state.resolve(width)?.number())
                    else {
                        return Ok(None);
                    };
                    widths.insert(code, width / 1000.0);
                }
                Ok(Some(Font { bytes: 1, widths, default: 1.0 }))
            }
            Some(b"Type0") if dict.is(b"Encoding", b"Identity-H") => {
                let below = state.get(dict, b"DescendantFonts")?.into_owned();
                let Some([below]) = below.array() else { return Ok(None) };
                let below = state.resolve(below)?.into_owned();
                let Some(below) = below.dict() else { return Ok(None) };
                let default = below.get(b"DW").map_or(Some(1000.0), Object::number);
                let Some(default) = default else { return Ok(None) };
                let widths = cid_widths(state, &*state.get(below, b"W")?)?;
                Ok(widths.map(|widths| Font { bytes: 2, widths, default: default / 1000.0 }))
            }
            _ => Ok(None),
        }
    }

    /// The widths of the codes of a string, and whether each is the one byte 32.
    pub fn codes<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = (f64, bool)> + 't {
        text.chunks(self.bytes).map(|code| {
            let number = code.iter().fold(0, |n, &byte| n << 8 | u16::from(byte));
            (self.widths.get(&number).copied().unwrap_or(self.default), code == [32])
        })
    }
}

/// `[ 1 [500 600] 7 9 250 ]`: a list from a code on, or one width from a code to another.
fn cid_widths(state: &State, list: &Object) -> Result<Option<HashMap<u16, f64>>, PdfError> {
    let mut widths = HashMap::new();
    let mut items = list.array().unwrap_or_default().iter();
    while let Some(first) = items.next() {
        let (Some(first), Some(next)) = (first.size(), items.next()) else { return Ok(None) };
        let next = state.resolve(next)?;
        let mut put = |code: usize, width: &Object| {
            let pair = u16::try_from(code).ok().zip(width.number());
            pair.map(|(code, width)| widths.insert(code, width / 1000.0)).is_some()
        };
        let good = match &*next {
            Object::Array(run) => run.iter().enumerate().all(|(i, width)| put(first + i, width)),
            other => match (other.size(), items.next()) {
                (Some(last), Some(width)) if last < MAX_WIDTHS => {
                    state.file.budget.work(last.saturating_sub(first))?;
                    (first..=last).all(|code| put(code, width))
                }
                _ => false,
            },
        };
        if !good {
            return Ok(None);
        }
    }
    Ok(Some(widths))
}
