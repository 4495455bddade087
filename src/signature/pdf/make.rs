//! Making PAdES-B-B signatures (EN 319 142-1 §6.3), for agencies whose own system cannot.
//!
//! A revision is appended and not a byte before it changed: the signature dictionary, an invisible field with its
//! widget on the first page, and the objects that list them, with a cross-reference section of the kind that the
//! file ends with. What was made is read again: every signature in the file must still be good.

use super::error::PdfError;
use super::file::{File, State};
use super::object::{Dict, Object, Text};
use super::write::{Revision, text};
use super::xref::Entry;
use super::{fields, pages, read};
use crate::signature::digest::{DigestNeeds, Hasher};
use crate::signature::make::{SignError, Signer};
use crate::time::Timestamp;

/// Why no signature is put into a PDF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PdfSignError {
    /// The file is not read here.
    #[error("the PDF is not one to sign: {0}")]
    Unreadable(String),
    /// A field has this name.
    #[error("the PDF has a field `{0}` already, choose another name")]
    FieldExists(String),
    /// The name cannot be one of a field.
    #[error("`{0}` is no name of a field: it is empty, long, or has a full stop")]
    FieldName(String),
    /// An earlier signature would not stand any more.
    #[error("the signature in `{field}` allows no further one: {why}")]
    Closed {
        /// The field of the earlier signature.
        field: String,
        /// What it does not allow.
        why: String,
    },
    /// The signature itself failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl From<PdfError> for PdfSignError {
    fn from(error: PdfError) -> PdfSignError {
        PdfSignError::Unreadable(error.to_string())
    }
}

/// What a signature in a PDF says about itself.
#[derive(Debug, Clone, Copy)]
pub struct PdfSignatureDetails<'a> {
    /// The name of its field, which must be new.
    pub field: &'a str,
    /// The time that it claims.
    pub at: Timestamp,
    /// Who signs, for a person to read.
    pub name: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
}

/// Signs a PDF: the same file with one revision more.
pub fn sign_pdf(pdf: &[u8], signer: &Signer, details: &PdfSignatureDetails) -> Result<Vec<u8>, PdfSignError> {
    let name = details.field;
    if name.is_empty() || name.len() > 127 || name.contains('.') {
        return Err(PdfSignError::FieldName(name.chars().take(127).collect()));
    }
    let file = File::open(pdf)?;
    let (mut out, contents) = revision(&file.last(), signer, details)?;

    // The ByteRange was left blank, 60 bytes before /Contents.
    let end = contents + 2 + 2 * signer.pdf_room();
    let range = format!("[0 {contents} {end} {}]", out.len() - end);
    let blank = contents - b"/Contents".len() - BLANK..contents - b"/Contents".len();
    out[blank].copy_from_slice(format!("{range:<BLANK$}").as_bytes());
    let mut hasher = Hasher::new(DigestNeeds::SHA256);
    hasher.update(&out[..contents]);
    hasher.update(&out[end..]);
    let cms = hex::encode(signer.sign_pdf_digest(&hasher.finish().sha256)?);
    out[contents + 1..contents + 1 + cms.len()].copy_from_slice(cms.as_bytes());

    let made = read(&out).map_err(|fault| PdfSignError::Unreadable(fault.detail))?;
    for signature in made.signatures {
        if let Some(why) = signature.modified {
            return Err(PdfSignError::Closed { field: signature.field, why });
        }
    }
    Ok(out)
}

/// The bytes left for a ByteRange: three numbers of ten digits and what stands around them.
const BLANK: usize = 40;

/// The file with a signature whose ByteRange and /Contents are blank, and where the latter starts.
fn revision(
    state: &State,
    signer: &Signer,
    details: &PdfSignatureDetails,
) -> Result<(Vec<u8>, usize), PdfSignError> {
    let known = fields::fields(state)?;
    if known.iter().any(|field| field.name == details.field) {
        return Err(PdfSignError::FieldExists(details.field.to_owned()));
    }
    let mut page = None;
    pages::each(state, |found| {
        page.get_or_insert(found);
        Ok::<_, PdfError>(())
    })?;
    let page = page.ok_or(PdfError::File("it has no page"))?;
    let size = state.size().max(state.trailer().size(b"Size").unwrap_or(0) as u32);
    let (value, field, mut next) = (size, size + 1, size + 2);
    let field_reference = Object::Reference(field, 0);
    let mut out = Revision::after(state.file.bytes);

    // 1. The signature dictionary.
    let at = time::OffsetDateTime::from_unix_timestamp(details.at.secs())
        .ok()
        .filter(|at| (0..=9999).contains(&at.year()))
        .ok_or(SignError::Time(details.at))?;
    let day = format!("{:04}{:02}{:02}", at.year(), u8::from(at.month()), at.day());
    let mut body = format!(
        "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/M(D:{day}{:02}{:02}{:02}Z)",
        at.hour(),
        at.minute(),
        at.second()
    );
    for (key, value) in [("Name", details.name), ("Reason", details.reason)] {
        if let Some(value) = value {
            body.push_str(&format!("/{key}{}", text(value)));
        }
    }
    body.push_str("/ByteRange");
    body.push_str(&" ".repeat(BLANK));
    body.push_str("/Contents");
    let contents = body.len();
    body.push_str(&format!("<{}>>>", "0".repeat(2 * signer.pdf_room())));
    let contents = contents + out.put(value, 0, body.as_bytes());

    // 2. The field, one with its widget: printed, locked (flags 4 and 128), without area.
    let body = format!(
        "<</FT/Sig/T{}/Type/Annot/Subtype/Widget/F 132/Rect[0 0 0 0]/P {} {} R/V {value} 0 R>>",
        text(details.field),
        page.number,
        state.generation(page.number)
    );
    out.put(field, 0, body.as_bytes());

    // 3. Its entry on the page and in the form.
    append(state, &mut out, page.number, &page.dict, b"Annots", &field_reference)?;
    let (root, catalog) = state.catalog()?;
    let dict = match state.get(&catalog, b"AcroForm")?.into_owned() {
        Object::Dict(dict) => dict,
        _ => Dict::EMPTY,
    };
    let dict = dict.with(b"SigFlags", Object::Integer(3));
    match catalog.get(b"AcroForm").and_then(Object::reference) {
        Some(number) => append(state, &mut out, number, &dict, b"Fields", &field_reference)?,
        None => {
            append(state, &mut out, next, &dict, b"Fields", &field_reference)?;
            let catalog = catalog.with(b"AcroForm", Object::Reference(next, 0));
            out.put_object(root, state.generation(root), &Object::Dict(catalog));
            next += 1;
        }
    }

    // 4. The cross-reference.
    let section = &state.file.sections[state.section];
    let mut trailer = Dict::EMPTY.with(b"Prev", Object::Integer(section.offset as i64));
    for key in [&b"Root"[..], b"Info"] {
        if let Some(value) = state.trailer().get(key) {
            trailer = trailer.with(key, value.clone());
        }
    }
    if let [first, _] = state.get(state.trailer(), b"ID")?.array().unwrap_or_default() {
        let digest = crate::signature::digest::sha256(&out.bytes);
        let second = Object::Text(Text { bytes: digest[..16].into(), start: 0, end: 0 });
        trailer = trailer.with(b"ID", Object::Array(vec![first.clone(), second]));
    }
    // A stream is an object itself; /Size is one more than the highest number, no more.
    let stream = section.streams.contains(&section.offset).then_some(next);
    out.finish(&trailer, next + u32::from(stream.is_some()), stream);
    Ok((out.bytes, contents))
}

/// Writes a dictionary anew with one item more in the array under `key`; only the array where that is an object.
fn append(
    state: &State,
    out: &mut Revision,
    number: u32,
    dict: &Dict,
    key: &[u8],
    item: &Object,
) -> Result<(), PdfError> {
    let mut items = match state.get(dict, key)?.into_owned() {
        Object::Array(items) => items,
        Object::Null => Vec::new(),
        _ => return Err(PdfError::Object { number, what: "a list that is none" }),
    };
    items.push(item.clone());
    let items = Object::Array(items);
    let apart = dict.get(key).and_then(Object::reference).filter(|&n| state.entry(n) != Entry::Free);
    let dict = match apart {
        Some(array) => {
            out.put_object(array, state.generation(array), &items);
            dict.clone()
        }
        None => dict.clone().with(key, items),
    };
    out.put_object(number, state.generation(number), &Object::Dict(dict));
    Ok(())
}
