//! What a stream holds (ISO 32000-1, 7.4): Flate with or without the PNG predictors, ASCII85 around it, or neither.
//!
//! The other filters are for images and old files; a stream that is needed here and has one is refused by name.

use std::io::Read;

use super::error::PdfError;
use super::object::{Dict, Object};
use super::parse::{Budget, is_space};
use crate::signature::limits::MAX_PDF_STREAM;

/// The bytes of a stream after its filters.
pub(crate) fn decode(dict: &Dict, raw: &[u8], budget: &Budget) -> Result<Vec<u8>, PdfError> {
    const FILTER: PdfError = PdfError::File("a stream with a filter that is not read here");
    if dict.get(b"F").is_some() {
        return Err(PdfError::File("a stream that stands in another file"));
    }
    // Some writers make text of everything.
    if let Some(Object::Array(filters)) = dict.get(b"Filter")
        && let [outer, inner @ ..] = &filters[..]
        && outer.is_name(b"ASCII85Decode")
        && dict.get(b"DecodeParms").is_none()
    {
        let data = ascii85(raw).ok_or(PdfError::File("a stream that is not ASCII85 as it says"))?;
        budget.inflated(data.len())?;
        return decode(&Dict::EMPTY.with(b"Filter", Object::Array(inner.to_vec())), &data, budget);
    }
    let single = |key: &[u8]| match dict.get(key) {
        Some(Object::Array(items)) if items.len() > 1 => Err(FILTER),
        Some(Object::Array(items)) => Ok(items.first()),
        other => Ok(other),
    };
    match single(b"Filter")? {
        None => {
            if raw.len() > MAX_PDF_STREAM {
                return Err(PdfError::Limit { what: "bytes in one stream", limit: MAX_PDF_STREAM });
            }
            budget.inflated(raw.len())?;
            Ok(raw.to_vec())
        }
        Some(filter) if filter.is_name(b"FlateDecode") => {
            let out = inflate(raw, budget)?;
            match single(b"DecodeParms")? {
                None | Some(Object::Null) => Ok(out),
                Some(Object::Dict(parameters)) => predict(parameters, out),
                Some(_) => Err(PdfError::File("a stream with bad filter parameters")),
            }
        }
        Some(_) => Err(FILTER),
    }
}

/// Four bytes for five signs (7.4.3).
fn ascii85(raw: &[u8]) -> Option<Vec<u8>> {
    let end = raw.windows(2).position(|pair| pair == b"~>")?;
    let mut out = Vec::with_capacity(end / 5 * 4 + 4);
    let (mut group, mut length) = (0u64, 0);
    for &byte in raw[..end].iter().filter(|&&byte| !is_space(byte)) {
        match byte {
            b'z' if length == 0 => out.extend([0; 4]),
            b'!'..=b'u' => {
                group = group * 85 + u64::from(byte - b'!');
                length += 1;
                if length == 5 {
                    out.extend(u32::try_from(group).ok()?.to_be_bytes());
                    (group, length) = (0, 0);
                }
            }
            _ => return None,
        }
    }
    if length == 1 {
        return None;
    }
    if length > 0 {
        let group = (length..5).fold(group, |group, _| group * 85 + 84);
        out.extend(&u32::try_from(group).ok()?.to_be_bytes()[..length - 1]);
    }
    Some(out)
}

fn inflate(raw: &[u8], budget: &Budget) -> Result<Vec<u8>, PdfError> {
    let mut out = Vec::new();
    let limited = flate2::read::ZlibDecoder::new(raw).take(MAX_PDF_STREAM as u64 + 1).read_to_end(&mut out);
    if out.len() > MAX_PDF_STREAM {
        return Err(PdfError::Limit { what: "bytes in one stream", limit: MAX_PDF_STREAM });
    }
    // Paid for also when it fails.
    budget.inflated(out.len())?;
    limited.map_err(|_| PdfError::File("a stream that does not decompress"))?;
    Ok(out)
}

/// Undoes the PNG predictors (7.4.4.4; PNG, 9.2).
fn predict(parameters: &Dict, mut data: Vec<u8>) -> Result<Vec<u8>, PdfError> {
    const BAD: PdfError = PdfError::File("a stream with bad filter parameters");
    let value = |key: &[u8], default| match parameters.get(key) {
        None => Ok(default),
        Some(value) => value.size().filter(|&v| v <= 1 << 20).ok_or(BAD),
    };
    match value(b"Predictor", 1)? {
        1 => return Ok(data),
        10..=15 => {}
        _ => return Err(PdfError::File("a stream with a predictor that is not read here")),
    }
    let bits = value(b"Colors", 1)? * value(b"BitsPerComponent", 8)?;
    let width = (bits * value(b"Columns", 1)?).div_ceil(8);
    let pixel = bits.div_ceil(8).max(1);
    if width == 0 || !data.len().is_multiple_of(width + 1) {
        return Err(BAD);
    }
    let rows = data.len() / (width + 1);
    for row in 0..rows {
        let (from, to) = (row * (width + 1), row * width);
        let kind = data[from];
        for i in 0..width {
            let left = if i >= pixel { data[to + i - pixel] } else { 0 };
            let up = if row > 0 { data[to + i - width] } else { 0 };
            let corner = if row > 0 && i >= pixel { data[to + i - width - pixel] } else { 0 };
            let add = match kind {
                0 => 0,
                1 => left,
                2 => up,
                3 => ((u16::from(left) + u16::from(up)) / 2) as u8,
                4 => paeth(left, up, corner),
                _ => return Err(BAD),
            };
            // A row is written before the row that it is read from: never over what is still to be read.
            data[to + i] = data[from + 1 + i].wrapping_add(add);
        }
    }
    data.truncate(rows * width);
    Ok(data)
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(up), i16::from(corner));
    let p = a + b - c;
    let (da, db, dc) = ((p - a).abs(), (p - b).abs(), (p - c).abs());
    if da <= db && da <= dc {
        left
    } else if db <= dc {
        up
    } else {
        corner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii85_and_the_predictors_are_undone() {
        assert_eq!(ascii85(b"87cURD]i,\"Ebo80~>").as_deref(), Some(&b"Hello World!"[..]));
        assert_eq!(ascii85(b"z 87cUR D]~>").as_deref(), Some(&b"\0\0\0\0Hello"[..]));
        for bad in [&b"87cUR"[..], b"uuuuu~>", b"8~>", b"8z~>", b"v~>"] {
            assert_eq!(ascii85(bad), None);
        }
        // One row of each kind, of two pixels of one byte.
        let parameters =
            Dict::EMPTY.with(b"Predictor", Object::Integer(15)).with(b"Columns", Object::Integer(2));
        let rows = [[0, 1, 2], [1, 1, 2], [2, 1, 2], [3, 1, 2], [4, 1, 2]].concat();
        let plain = [[1, 2], [1, 3], [2, 5], [2, 5], [3, 7]].concat();
        assert_eq!(predict(&parameters, rows), Ok(plain));
        assert!(predict(&parameters, vec![5, 0, 0]).is_err());
        assert!(predict(&parameters, vec![0, 0]).is_err());
    }
}
