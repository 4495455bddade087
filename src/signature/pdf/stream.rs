//! What a stream holds (ISO 32000-1, 7.4): Flate with or without the PNG predictors, or nothing around it.
//!
//! The other filters are for images and old files; a stream that is needed here and has one is refused by name.

use std::io::Read;

use super::error::PdfError;
use super::object::{Dict, Object};
use super::parse::Budget;
use crate::signature::limits::MAX_PDF_STREAM;

/// The bytes of a stream after its filters.
pub(crate) fn decode(dict: &Dict, raw: &[u8], budget: &Budget) -> Result<Vec<u8>, PdfError> {
    const FILTER: PdfError = PdfError::File("a stream with a filter that is not read here");
    if dict.get(b"F").is_some() {
        return Err(PdfError::File("a stream that stands in another file"));
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
    if width == 0 || data.len() % (width + 1) != 0 {
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
