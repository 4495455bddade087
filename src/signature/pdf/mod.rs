//! Signatures inside PDF: PAdES (EN 319 142-1, on ISO 32000-1, 12.8), read and made.
//!
//! [`read`] takes a file as it is or refuses it, and says of every signature which bytes it signs, by what CMS, and
//! whether something was changed after it that may not be. Whether the CMS signs those bytes, who signed and whether
//! that counts is for the judge; what a ByteRange covers proves nothing about what a viewer shows, so the two are
//! kept apart.
//!
//! - `error`, `object`, `parse`: the syntax, strictly. `stream`: decompression. `xref`, `file`: where objects stand,
//!   and the states of a file, one after each revision.
//! - `fields`, `value`: the form, and signature dictionaries held against the bytes of the file.
//! - `changes`, `form`, `widget`: what later revisions changed, denied unless listed as allowed. `layout`: how they are
//!   written. `appearance`: what a further signature shows. `cover`, `paint`, `font`: whether it lies over something.
//!   `pages`, `uses`: what they go by.
//! - `validation`: the validation data that came with the file. `make`, `write`: PAdES-B-B
//!   signatures.
//!
//! The reader is our own. A kept library (lopdf 0.47, strict) was measured first: an array of 5 million numbers in
//! 10 MiB took it 630 MiB for one revision of one file, it knows neither the revisions of a file nor where a token
//! stands, and it rounds numbers and merges double keys, which is to repair them. What is read here is read by need,
//! within a budget over the whole file ([`super::limits`]).
//!
//! Out of scope: encrypted files, refused by name; filters other than Flate where a stream must be understood; what
//! a page shows, except for where it is painted.

mod appearance;
mod changes;
mod cover;
mod error;
mod fields;
mod file;
mod font;
mod form;
mod layout;
mod make;
mod object;
mod pages;
mod paint;
mod parse;
mod stream;
mod uses;
mod validation;
mod value;
mod widget;
mod write;
mod xref;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

pub use make::{PdfSignError, PdfSignatureDetails, sign_pdf};

use changes::Stop;
use error::PdfError;
use fields::Field;
use file::{File, State};
use uses::Uses;
use value::Value;

use super::limits::MAX_PDF_SIGNATURES;
use super::verdict::Fault;
use crate::time::Timestamp;

/// What a file says about its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pdf {
    /// In the order in which they were made.
    pub signatures: Vec<PdfSignature>,
    /// What came with the file for checking them.
    pub validation: ValidationData,
}

/// One signature of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PdfSignature {
    /// The fully qualified name of its field.
    pub field: String,
    /// What its /Contents is.
    pub kind: PdfSignatureKind,
    /// The one element of /Contents, without the zeros behind it.
    pub cms: Vec<u8>,
    /// What it signs: the file up to /Contents, and from there to the end of a revision.
    pub ranges: [Range<usize>; 2],
    /// What was changed after it and may not be.
    pub modified: Option<String>,
    /// The time of signing that its dictionary claims.
    pub claimed_at: Option<Timestamp>,
}

/// The /SubFilter of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PdfSignatureKind {
    /// `ETSI.CAdES.detached`.
    CadesDetached,
    /// `adbe.pkcs7.detached`.
    Pkcs7Detached,
    /// `ETSI.RFC3161`, a document timestamp.
    DocTimestamp,
    /// Another, by its name; empty where there is none.
    Other(String),
}

/// The document security store (EN 319 142-1, 5.4.2): each in DER, as found, believed by nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ValidationData {
    /// Certificates.
    pub certs: Vec<Vec<u8>>,
    /// Certificate revocation lists.
    pub crls: Vec<Vec<u8>>,
    /// OCSP responses.
    pub ocsps: Vec<Vec<u8>>,
}

/// The fault of a file that is too large to be read.
pub(crate) fn too_large() -> Fault {
    file::TOO_LARGE.into()
}

/// Reads a PDF and its signatures. A fault is always [`super::Reason::MalformedDocument`].
pub(crate) fn read(bytes: &[u8]) -> Result<Pdf, Fault> {
    Ok(read_file(bytes)?)
}

/// Whether a revision before the last has a signature field with a value, and the last has none.
pub(crate) fn had_signatures(bytes: &[u8]) -> Result<bool, Fault> {
    let file = File::open(bytes)?;
    let mut state = file.state(0);
    let mut had = false;
    loop {
        // A section that stands for no revision, as the first of a linearised file, has no catalog of its own.
        let mut has = false;
        for field in fields::fields(&state).unwrap_or_default().iter().filter(|field| field.signature) {
            has |= value::dictionary(&state, field)?.is_some();
        }
        if state.section + 1 == file.sections.len() {
            return Ok(had && !has);
        }
        had |= has;
        state.advance();
    }
}

fn read_file(bytes: &[u8]) -> Result<Pdf, PdfError> {
    let file = File::open(bytes)?;
    let last = file.last();
    let mut found = Vec::new();
    for field in fields::fields(&last)?.into_iter().filter(|field| field.signature) {
        let Some(value) = value::read(&last, &field)? else { continue };
        if found.len() == MAX_PDF_SIGNATURES {
            return Err(PdfError::Limit { what: "signatures", limit: MAX_PDF_SIGNATURES });
        }
        found.push((field, value));
    }
    found.sort_by_key(|(_, value)| value.ranges[1].end);

    // One value for two fields would count as two signers; two values with one gap would be one value.
    let mut gaps = HashSet::new();
    for (field, value) in &found {
        if !gaps.insert(value.ranges[0].end) {
            let field = field.name.chars().take(80).collect();
            return Err(PdfError::Signature { field, what: "another field has the same signature" });
        }
    }
    let validation = validation::read(&last)?;
    let mut modified = modified(&file, &found, last.section)?;
    let signatures = found.into_iter().map(|(field, value)| PdfSignature {
        modified: modified.remove(&field.number),
        field: field.name,
        kind: value.kind,
        claimed_at: value.claimed_at,
        cms: value.cms,
        ranges: value.ranges,
    });
    Ok(Pdf { signatures: signatures.collect(), validation })
}

/// What was changed after each signature, by the number of its field. Goes through the file from the first signed
/// revision to the end, comparing each with the next, and so reads every object once.
fn modified(file: &File, found: &[(Field, Value)], last: usize) -> Result<HashMap<u32, String>, PdfError> {
    let mut modified = HashMap::new();
    let first = found.iter().filter_map(|(_, value)| value.section).min().unwrap_or(last);
    let mut state = file.state(first);
    let mut uses = Uses::of(&state)?;
    // Those that were signed so far and stand, and where the bytes that are accounted for end.
    let mut standing: Vec<(u32, form::Locks)> = Vec::new();
    let mut end = file.bytes.len();
    loop {
        let fields = fields::fields(&state)?;
        for (field, value) in found.iter().filter(|(_, value)| value.section == Some(state.section)) {
            signed(&state, field, value, &uses, &fields)?;
            end = value.ranges[1].end;
            standing.push((field.number, form::locks(&state, &fields)?));
        }
        if state.section == last {
            break;
        }
        let mut next = state.clone();
        next.advance();
        if standing.is_empty() {
            uses.advance(&state, &next)?;
        } else {
            let mut step = changes::step(&state, &next, &uses, &fields)?;
            uses.advance(&state, &next)?;
            step.missed(&uses);
            let mut why = step.change;
            if why.is_none() {
                match layout::revision(&state, &next, end) {
                    Ok(behind) => end = behind,
                    Err(Stop::Malformed(error)) => return Err(error),
                    Err(Stop::Modified(what)) => why = Some(format!("in what was added after it, {what}")),
                }
            }
            standing.retain(|(number, locks)| {
                let why = why.clone().or_else(|| step.given.iter().find_map(|given| locks.refuse(given)));
                let stands = why.is_none();
                modified.extend(why.map(|why| (*number, why)));
                stands
            });
        }
        state = next;
    }
    let rest = &file.bytes[end..];
    let why = if !rest.iter().all(|&byte| parse::is_space(byte)) {
        Some("bytes were added that are in no revision")
    } else if rest.len() > layout::MAX_TAIL {
        Some("so much white space was added that some viewers do not find the end")
    } else {
        None
    };
    let why = why.map(str::to_owned);
    modified.extend(standing.iter().filter_map(|(number, _)| Some((*number, why.clone()?))));
    for (field, value) in found.iter().filter(|(_, value)| value.section.is_none()) {
        let why = format!("the file was not built on the revision that ends at byte {}", value.ranges[1].end);
        modified.insert(field.number, why);
    }
    Ok(modified)
}

/// That the revision which a signature covers is whole and has the signature in its form: one whose objects, or
/// whose own dictionary, come from bytes after it signs something else than what it is found in.
fn signed(
    state: &State,
    field: &Field,
    value: &Value,
    uses: &Uses,
    fields: &[Field],
) -> Result<(), PdfError> {
    let wrong = |what| PdfError::Signature { field: field.name.chars().take(80).collect(), what };
    let end = value.ranges[1].end;
    let sections = &state.file.sections[..=state.section];
    if uses.end > end
        || sections.iter().any(|section| section.end > end || section.streams.iter().any(|&s| s > end))
    {
        return Err(wrong("the revision that it signs reaches beyond what it signs"));
    }
    let then = fields.iter().find(|then| then.number == field.number);
    let then = then.filter(|then| then.signature && then.name == field.name);
    let then = then.map(|then| value::read(state, then)).transpose()?.flatten();
    if then.is_none_or(|then| then.ranges != value.ranges) {
        return Err(wrong("it is not in the form of the revision that it signs"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
