//! The form in a later revision: what further signatures need, and nothing else.
//!
//! A new signature field stands at the end of the form's /Fields, under a name that no field has, with keys from a
//! short list: no action, no script, no optional content. An empty signature field may be filled. All other fields,
//! and all values that were there, stay.

use std::collections::HashSet;

use super::appearance;
use super::changes::{Comparison, Given, GivenKind, Stop, modified};
use super::error::PdfError;
use super::fields::{Field, Held};
use super::file::State;
use super::object::{Dict, Object, text_string};
use super::{pages, value, widget};
use crate::signature::limits::MAX_PDF_FIELDS;

/// The keys of a signature field (12.7.3.1, 12.7.4.5), alone or in one with its widget (12.5.2, 12.5.6.19).
const FIELD: [&[u8]; 11] = [b"FT", b"T", b"TU", b"TM", b"Ff", b"V", b"DV", b"Lock", b"SV", b"Kids", b"DA"];
const WIDGET: [&[u8]; 15] = [
    b"Type",
    b"Subtype",
    b"Parent",
    b"F",
    b"Rect",
    b"P",
    b"AP",
    b"AS",
    b"MK",
    b"BS",
    b"Border",
    b"C",
    b"NM",
    b"M",
    b"StructParent",
];

/// What earlier signatures say of later ones.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    /// A certification or lock of level 1: nothing but timestamps.
    closed: bool,
    /// Each with the names that it locks.
    fields: Vec<FieldLock>,
}

#[derive(Debug)]
struct FieldLock {
    /// All but those named, instead of those named.
    but: bool,
    names: Vec<String>,
}

impl Locks {
    fn closed_for(&self, name: &str) -> bool {
        let below = |lock: &str| name == lock || name.strip_prefix(lock).is_some_and(|n| n.starts_with('.'));
        self.closed || self.fields.iter().any(|lock| lock.names.iter().any(|n| below(n)) != lock.but)
    }

    /// Why what was given to a field is closed by them.
    pub fn refuse(&self, given: &Given) -> Option<String> {
        let name = &given.name;
        match given.kind {
            GivenKind::Empty if self.closed => {
                Some(format!("the field `{name}` was added to a document that is closed"))
            }
            GivenKind::Signature if self.closed_for(name) => {
                Some(format!("`{name}` was signed in a document that an earlier signature closed"))
            }
            _ => None,
        }
    }
}

/// Compares the forms of two states. `fields` are those of the old one.
pub(crate) fn compare(
    comparison: &mut Comparison,
    old: &Dict,
    new: &Dict,
    fields: &[Field],
) -> Result<(), Stop> {
    let (old, new) = comparison.follow(old.get(b"AcroForm"), new.get(b"AcroForm"))?;
    let (old, new) = match (&old, &new) {
        (Object::Null, Object::Null) => return Ok(()),
        (Object::Null, Object::Dict(new)) => (Dict::EMPTY, new),
        (Object::Dict(old), Object::Dict(new)) => (old.clone(), new),
        _ => return modified("the form was removed"),
    };
    for key in old.changed(new) {
        match key {
            b"Fields" | b"SigFlags" => {}
            b"DA" | b"DR" => {
                defaults(comparison, fields, key)?;
                if let Some(value) = new.get(key) {
                    comparison.follow(old.get(key), Some(value))?;
                    comparison.explain_new(value)?;
                }
            }
            b"NeedAppearances" if new.get(key).is_none_or(|value| *value == Object::Bool(false)) => {}
            _ => return modified(format!("/{} of the form was changed", String::from_utf8_lossy(key))),
        }
    }
    if new.get(b"SigFlags").is_some_and(|flags| flags.size().is_none()) {
        return modified("/SigFlags of the form was changed");
    }

    let (before, after) = comparison.follow(old.get(b"Fields"), new.get(b"Fields"))?;
    let (before, after) = (before.array().unwrap_or_default(), after.array().unwrap_or_default());
    let Some(added) = after.strip_prefix(before) else {
        return modified("fields of the form were removed or put in another order");
    };
    let mut names: HashSet<String> = fields.iter().map(|field| field.name.clone()).collect();
    let mut widgets = HashSet::new();
    for field in added {
        let Some(number) = field.reference().filter(|&number| comparison.is_new(number)) else {
            return modified("something that is not new was put into the form");
        };
        widgets.extend(add(comparison, number, &mut names)?);
    }
    let mut filled = HashSet::new();
    for field in fields {
        let changed = |number: &u32| comparison.changed.contains(number);
        if changed(&field.number) || field.widgets.iter().any(changed) {
            fill(comparison, field)?;
            filled.extend(&field.widgets);
        }
    }
    widget::compare(comparison, &widgets, &filled)
}

/// Defaults for the appearance of fields change what those show that viewers draw by themselves; of signature fields
/// they draw none. Pages may have others that are not in the form.
fn defaults(comparison: &Comparison, fields: &[Field], key: &[u8]) -> Result<(), Stop> {
    let changed = || modified(format!("/{} of the form was changed", String::from_utf8_lossy(key)));
    if !fields.iter().all(|field| field.signature) {
        return changed();
    }
    let known: HashSet<u32> = fields.iter().flat_map(|field| field.widgets.iter().copied()).collect();
    let old = comparison.old;
    pages::each(old, |page| {
        for annotation in old.get(&page.dict, b"Annots")?.array().unwrap_or_default() {
            if annotation.reference().is_some_and(|number| known.contains(&number)) {
                continue;
            }
            let annotation = old.resolve(annotation)?;
            let kind = annotation.dict().and_then(|dict| Some((dict, dict.get(b"Subtype")?.name()?)));
            match kind {
                None | Some((_, b"Widget")) => return changed(),
                Some((dict, b"FreeText")) if dict.get(b"AP").is_none() => return changed(),
                _ => {}
            }
        }
        Ok(())
    })
}

/// A new signature field; its widgets.
fn add(comparison: &mut Comparison, number: u32, names: &mut HashSet<String>) -> Result<Vec<u32>, Stop> {
    let object = comparison.new.read(number)?;
    let Some(dict) = object.as_ref().and_then(|object| object.plain_dict()) else {
        return modified("something that is no field was put into the form");
    };
    let kind = comparison.new.get(dict, b"FT")?;
    let name = comparison.new.get(dict, b"T")?;
    let (true, Object::Text(name)) = (kind.is_name(b"Sig"), &*name) else {
        return modified(format!("a field that is not for a signature was added as object {number}"));
    };
    let name = text_string(&name.bytes);
    only(dict, &[&FIELD[..], &WIDGET].concat(), &name)?;
    // LibreOffice gives its fields their value as the default one, too.
    if dict.get(b"DV").is_some_and(|default| dict.get(b"V") != Some(default)) {
        return modified(format!("the field `{name}` was added with /DV"));
    }
    if dict.get(b"Parent").is_some() || name.contains('.') || !names.insert(name.clone()) {
        return modified(format!("a second field `{name}` was added"));
    }
    let kind = given(comparison, dict.get(b"V"), &name)?;

    let mut widgets = Vec::new();
    if dict.is(b"Subtype", b"Widget") {
        appearance::check(comparison.new, dict, &name, kind)?;
        widgets.push(number);
    } else if dict.get(b"AP").is_some() || dict.get(b"Rect").is_some() {
        return modified(format!("the field `{name}` has an appearance and is no widget"));
    }
    let kids = comparison.new.get(dict, b"Kids")?.into_owned();
    for kid in kids.array().unwrap_or_default() {
        let Some(kid) = kid.reference().filter(|&kid| comparison.is_new(kid)) else {
            return modified(format!("field `{name}` was added with something that is not new"));
        };
        let object = comparison.new.read(kid)?;
        let Some(dict) = object.as_ref().and_then(|o| o.plain_dict()).filter(|d| d.is(b"Subtype", b"Widget"))
        else {
            return modified(format!("field `{name}` was added with something that is no widget"));
        };
        only(dict, &WIDGET, &name)?;
        appearance::check(comparison.new, dict, &name, kind)?;
        widgets.push(kid);
    }
    comparison.explain(number);
    comparison.explain_new(&Object::Dict(dict.clone()))?;
    Ok(widgets)
}

/// The filling of an empty signature field.
fn fill(comparison: &mut Comparison, field: &Field) -> Result<(), Stop> {
    let name = &field.name;
    let empty = field.value != Held::Above && value::dictionary(comparison.old, field)?.is_none();
    if !field.signature || !empty {
        return modified(format!("the field `{name}` was changed"));
    }
    let own = comparison.new.read(field.number)?;
    let value = own.as_ref().and_then(|own| own.plain_dict()?.get(b"V"));
    let kind = given(comparison, value, name)?;
    if kind == GivenKind::Empty {
        return modified(format!("the field `{name}` was changed and not signed"));
    }
    for number in std::iter::once(field.number).chain(field.widgets.iter().copied()) {
        let (old, new) = (comparison.old.read(number)?, comparison.new.read(number)?);
        let dicts = (old.as_ref().and_then(|o| o.plain_dict()), new.as_ref().and_then(|o| o.plain_dict()));
        let (Some(old), Some(new)) = dicts else {
            return modified(format!("the field `{name}` was replaced by something else"));
        };
        for key in old.changed(new) {
            if !matches!(key, b"V" | b"AP" | b"AS" | b"M" | b"MK") {
                let key = String::from_utf8_lossy(key);
                return modified(format!("/{key} of the field `{name}` was changed"));
            }
        }
        if new.is(b"Subtype", b"Widget") {
            appearance::check(comparison.new, new, name, kind)?;
        } else if new.get(b"AP") != old.get(b"AP") {
            return modified(format!("the field `{name}` has an appearance and is no widget"));
        }
        comparison.explain(number);
        for key in [&b"V"[..], b"AP", b"AS", b"M", b"MK"] {
            if let Some(value) = new.get(key) {
                comparison.follow(old.get(key), Some(value))?;
                comparison.explain_new(value)?;
            }
        }
    }
    Ok(())
}

/// The value of a field that is new or was empty.
fn given(comparison: &mut Comparison, value: Option<&Object>, name: &str) -> Result<GivenKind, Stop> {
    let resolved = value.map(|value| comparison.new.resolve(value)).transpose()?;
    let kind = match resolved.as_deref() {
        None | Some(Object::Null) => GivenKind::Empty,
        Some(Object::Dict(dict)) if dict.get(b"ByteRange").is_some() && dict.get(b"Contents").is_some() => {
            if dict.is(b"SubFilter", b"ETSI.RFC3161") {
                GivenKind::Timestamp
            } else {
                GivenKind::Signature
            }
        }
        Some(_) => return modified(format!("the field `{name}` was given a value that is no signature")),
    };
    if value.and_then(Object::reference).is_some_and(|number| !comparison.is_new(number)) {
        return modified(format!("the field `{name}` was given a value that is not new"));
    }
    comparison.given.push(Given { name: name.to_owned(), kind });
    Ok(kind)
}

fn only(dict: &Dict, keys: &[&[u8]], name: &str) -> Result<(), Stop> {
    match dict.iter().find(|(key, _)| !keys.contains(key)) {
        None => Ok(()),
        Some((key, _)) => {
            modified(format!("the field `{name}` was added with /{}", String::from_utf8_lossy(key)))
        }
    }
}

/// What the signatures of a state forbid (12.8.2.2, 12.8.2.4, and table 233 with the /P of ISO 32000-2).
pub(crate) fn locks(state: &State, fields: &[Field]) -> Result<Locks, PdfError> {
    let mut locks = Locks::default();
    for field in fields.iter().filter(|field| field.signature) {
        let value = value::dictionary(state, field)?;
        let Some(value) = value.as_ref().and_then(|(value, _)| value.dict()) else { continue };
        let own = state.read(field.number)?;
        if let Some(own) = own.as_ref().and_then(|own| own.plain_dict())
            && let Object::Dict(lock) = &*state.get(own, b"Lock")?
        {
            take(state, lock, &mut locks)?;
        }
        for reference in state.get(value, b"Reference")?.array().unwrap_or_default() {
            let reference = state.resolve(reference)?;
            let Some(reference) = reference.dict() else { continue };
            if let Object::Dict(parameters) = &*state.get(reference, b"TransformParams")? {
                take(state, parameters, &mut locks)?;
            } else if reference.is(b"TransformMethod", b"FieldMDP") {
                locks.closed = true;
            }
        }
    }
    Ok(locks)
}

fn take(state: &State, dict: &Dict, locks: &mut Locks) -> Result<(), PdfError> {
    if let Some(level) = dict.get(b"P") {
        locks.closed |= state.resolve(level)?.size().is_none_or(|level| !(2..=3).contains(&level));
    }
    let action = state.get(dict, b"Action")?.into_owned();
    let Some(action) = action.name() else { return Ok(()) };
    let names = state.get(dict, b"Fields")?;
    if names.array().is_some_and(|names| names.len() > MAX_PDF_FIELDS) {
        locks.closed = true;
        return Ok(());
    }
    let mut locked = Vec::new();
    for name in names.array().unwrap_or_default() {
        if let Object::Text(name) = &*state.resolve(name)? {
            locked.push(text_string(&name.bytes));
        }
    }
    locks.fields.push(match action {
        b"Include" => FieldLock { but: false, names: locked },
        b"Exclude" => FieldLock { but: true, names: locked },
        // All, or what is not known: all but none.
        _ => FieldLock { but: true, names: Vec::new() },
    });
    Ok(())
}
