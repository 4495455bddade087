//! The document security store (EN 319 142-1, 5.4.2): read for whoever checks signatures, and allowed to grow.
//!
//! `<< /Certs [..] /CRLs [..] /OCSPs [..] /VRI << /HASH << /Cert [..] /CRL [..] /OCSP [..] /TU (..) /TS .. >> >> >>`,
//! every item a stream in DER. What is read is believed by nobody: it is data for a path, not trust.

use super::ValidationData;
use super::changes::{Comparison, Stop, modified};
use super::error::PdfError;
use super::file::State;
use super::object::{Dict, Object};
use super::stream;
use crate::signature::limits::MAX_PDF_VALIDATION;

/// What the store of the document holds. A stream that cannot be read is left out, as data that nobody sent.
pub(crate) fn read(state: &State) -> Result<ValidationData, PdfError> {
    let (_, catalog) = state.catalog()?;
    let dss = state.get(&catalog, b"DSS")?;
    let Some(dss) = dss.dict() else { return Ok(ValidationData::default()) };
    let all = |key: &[u8]| -> Result<Vec<Vec<u8>>, PdfError> {
        let items = state.get(dss, key)?;
        let items = items.array().unwrap_or_default();
        if items.len() > MAX_PDF_VALIDATION {
            return Err(PdfError::Limit { what: "items of validation data", limit: MAX_PDF_VALIDATION });
        }
        let mut found = Vec::new();
        for number in items.iter().filter_map(Object::reference) {
            let object = state.read(number)?;
            if let Some((dict, data)) = object.as_ref().and_then(|object| object.stream()) {
                match stream::decode(dict, &state.file.bytes[data], &state.file.budget) {
                    Ok(bytes) => found.push(bytes),
                    Err(limit @ PdfError::Limit { .. }) => return Err(limit),
                    Err(_) => {}
                }
            }
        }
        Ok(found)
    };
    Ok(ValidationData { certs: all(b"Certs")?, crls: all(b"CRLs")?, ocsps: all(b"OCSPs")? })
}

/// Allows another store, of streams that are new or that were there.
pub(crate) fn compare(
    comparison: &mut Comparison,
    old: Option<&Object>,
    new: Option<&Object>,
) -> Result<(), Stop> {
    let (old, new) = comparison.follow(old, new)?;
    let Some((old, new)) = dicts(&old, &new)? else { return Ok(()) };
    for (key, value) in new.iter() {
        match key {
            b"Type" => {}
            b"Certs" | b"CRLs" | b"OCSPs" => streams(comparison, old.get(key), Some(value))?,
            b"VRI" => {
                let (old, new) = comparison.follow(old.get(key), Some(value))?;
                let Some((old, new)) = dicts(&old, &new)? else { continue };
                for (hash, entry) in new.iter() {
                    let (old, new) = comparison.follow(old.get(hash), Some(entry))?;
                    if let Some((old, new)) = dicts(&old, &new)? {
                        signature(comparison, old, new)?;
                    }
                }
            }
            _ => return unknown(key),
        }
    }
    Ok(())
}

/// The data for one signature.
fn signature(comparison: &mut Comparison, old: &Dict, new: &Dict) -> Result<(), Stop> {
    for (key, value) in new.iter() {
        match key {
            b"Type" => {}
            b"Cert" | b"CRL" | b"OCSP" => streams(comparison, old.get(key), Some(value))?,
            b"TS" => item(comparison, value)?,
            b"TU" => {
                comparison.follow(old.get(key), Some(value))?;
            }
            _ => return unknown(key),
        }
    }
    Ok(())
}

fn unknown<T>(key: &[u8]) -> Result<T, Stop> {
    modified(format!("/{} was added to the validation data", String::from_utf8_lossy(key)))
}

/// Both as dictionaries, an empty one where the old has none; none where the new has none.
fn dicts<'o>(old: &'o Object, new: &'o Object) -> Result<Option<(&'o Dict, &'o Dict)>, Stop> {
    static EMPTY: Dict = Dict::EMPTY;
    match new {
        Object::Null => Ok(None),
        Object::Dict(new) => Ok(Some((old.dict().unwrap_or(&EMPTY), new))),
        _ => modified("the validation data were replaced by something else"),
    }
}

fn streams(comparison: &mut Comparison, old: Option<&Object>, new: Option<&Object>) -> Result<(), Stop> {
    let (_, new) = comparison.follow(old, new)?;
    match &new {
        Object::Array(items) => items.iter().try_for_each(|value| item(comparison, value)),
        _ => modified("validation data are not in an array"),
    }
}

/// A stream; one that is changed stays unexplained.
fn item(comparison: &mut Comparison, value: &Object) -> Result<(), Stop> {
    let Some(number) = value.reference() else { return modified("validation data are not in a stream") };
    if comparison.is_new(number) {
        let object = comparison.new.read(number)?;
        let Some((dict, _)) = object.as_ref().and_then(|object| object.stream()) else {
            return modified("validation data are not in a stream");
        };
        let dict = Object::Dict(dict.clone());
        comparison.explain(number);
        comparison.explain_new(&dict)?;
    }
    Ok(())
}
