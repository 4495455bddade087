//! The value of a signature field (ISO 32000-1, 12.8.1): the signature dictionary, held against the bytes of the
//! file.
//!
//! Everything of the revision is signed but the string of /Contents: the ByteRange has four numbers, starts at 0,
//! leaves out exactly the token that the parser sees as /Contents, and ends where a revision ends. Other ranges are
//! how signatures are moved, wrapped and forged, and no writer makes them.

use std::ops::Range;

use super::error::PdfError;
use super::fields::Field;
use super::file::State;
use super::object::{Dict, Object};
use super::xref::{self, Entry};
use crate::signature::limits::MAX_BER_DEPTH;
use crate::time::Timestamp;

/// A signature dictionary that agrees with the file.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub dict: Dict,
    pub cms: Vec<u8>,
    pub ranges: [Range<usize>; 2],
    /// The section with which the signed revision ends; none when the file does not build on it.
    pub section: Option<usize>,
}

/// Reads the value of a signature field; none where it has no value yet.
pub(crate) fn read(state: &State, field: &Field) -> Result<Option<Value>, PdfError> {
    let wrong = |what| PdfError::Signature { field: field.name.chars().take(80).collect(), what };
    let Some(value) = &field.value else { return Ok(None) };
    let (dict, holder) = match value {
        Object::Reference(number, _) => match &*state.resolve(value)? {
            Object::Null => return Ok(None),
            Object::Dict(dict) => (dict.clone(), *number),
            _ => return Err(wrong("its value is no signature")),
        },
        Object::Dict(dict) => (dict.clone(), field.number),
        _ => return Err(wrong("its value is no signature")),
    };
    // An object stream is compressed: there is nothing in the file that could be left out.
    if !matches!(state.entry(holder), Entry::At { .. }) {
        return Err(wrong("its value does not stand in the file itself"));
    }

    // 1. Four numbers, the first 0, in bounds, in order.
    let numbers: Option<Vec<usize>> = match dict.get(b"ByteRange") {
        Some(Object::Array(items)) => items.iter().map(Object::size).collect(),
        _ => return Err(wrong("it has no ByteRange")),
    };
    let Some(&[start, length, second, rest]) = numbers.as_deref() else {
        return Err(wrong("its ByteRange is not four numbers"));
    };
    if start != 0 {
        return Err(wrong("its ByteRange does not start at 0"));
    }
    let bytes = state.file.bytes;
    let end = second.checked_add(rest).filter(|&end| end <= bytes.len());
    let end = end.ok_or(wrong("its ByteRange reaches beyond the file"))?;
    if length >= second {
        return Err(wrong("its ByteRange overlaps itself"));
    }

    // 2. The gap is the token of /Contents: in hexadecimal, and nothing around it.
    let Some(Object::Text(contents)) = dict.get(b"Contents") else {
        return Err(wrong("it has no /Contents"));
    };
    if (contents.start as usize, contents.end as usize) != (length, second) {
        return Err(wrong("its ByteRange leaves out something else than /Contents"));
    }
    let digits = match &bytes[length..second] {
        [b'<', digits @ .., b'>'] if digits.len() % 2 == 0 => digits,
        _ => return Err(wrong("its /Contents is not hexadecimal")),
    };
    // The places above are places in the file only if the dictionary stands in it, which this shows again.
    if hex::decode(digits).is_ok_and(|decoded| decoded != *contents.bytes)
        || !digits.iter().all(u8::is_ascii_hexdigit)
    {
        return Err(wrong("its /Contents is not hexadecimal"));
    }

    // 3. One element and zeros.
    let cms = match element(&contents.bytes, MAX_BER_DEPTH) {
        Some(length) => {
            let (cms, padding) = contents.bytes.split_at(length);
            if padding.iter().any(|&byte| byte != 0) {
                return Err(wrong("something follows the signature in its /Contents"));
            }
            cms.to_vec()
        }
        // No element: whoever judges it says so.
        None => contents.bytes.to_vec(),
    };

    // 4. The signed bytes are a whole revision.
    let start = xref::startxref(&bytes[..end]).ok_or(wrong("what it signs does not end with a revision"))?;
    let section = state.file.sections.iter().position(|section| section.offset == start);
    Ok(Some(Value { dict, cms, ranges: [0..length, second..end], section }))
}

/// The length of the BER element at the start, in definite or indefinite form.
fn element(bytes: &[u8], depth: usize) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    let (&[tag, first], mut at) = (bytes.first_chunk()?, 2);
    if tag & 0x1f == 0x1f || tag == 0 {
        return None;
    }
    let length = match first {
        0..=0x7f => usize::from(first),
        0x80 if tag & 0x20 != 0 => {
            while !bytes.get(at..)?.starts_with(&[0, 0]) {
                at += element(&bytes[at..], depth)?;
            }
            return Some(at + 2);
        }
        0x81..=0x84 => {
            let octets = bytes.get(2..2 + usize::from(first & 0x7f))?;
            at += octets.len();
            octets.iter().fold(0, |n, &octet| n << 8 | usize::from(octet))
        }
        _ => return None,
    };
    at.checked_add(length).filter(|&end| end <= bytes.len())
}

/// A date of PDF (7.9.4), `D:YYYYMMDDHHmmSS` with an offset from UTC; from the month on, everything may be missing.
pub(crate) fn date(text: &[u8]) -> Option<Timestamp> {
    let text = text.strip_prefix(b"D:").unwrap_or(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (text, zone) = text.split_at(digits);
    let number = |text: &[u8], at: usize, length: usize, default: u32| -> Option<u32> {
        match text.get(at..at + length) {
            Some(part) => std::str::from_utf8(part).ok()?.parse().ok(),
            None => (text.len() <= at).then_some(default),
        }
    };
    let field = |at, default| number(text, at, 2, default).and_then(|n| u8::try_from(n).ok());
    let month = time::Month::try_from(field(4, 1)?).ok()?;
    let day = time::Date::from_calendar_date(number(text, 0, 4, 0)? as i32, month, field(6, 1)?).ok()?;
    let clock = time::Time::from_hms(field(8, 0)?, field(10, 0)?, field(12, 0)?).ok()?;
    let offset = match zone {
        [] | [b'Z', ..] => 0,
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let minutes = match rest.get(2) {
                Some(b'\'') => number(rest, 3, 2, 0)?,
                _ => 0,
            };
            let seconds = i64::from(number(rest, 0, 2, 0)? * 60 + minutes) * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let seconds = day.with_time(clock).assume_utc().unix_timestamp() - offset;
    (text.len() <= 14).then(|| Timestamp::from_secs(seconds))
}
