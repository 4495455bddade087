//! What was changed after a signature (ISO 32000-1, 12.8.2; shadow, hiding and replacing attacks).
//!
//! A later revision is compared with the one before it object by object, and denied by default: every object that
//! stands elsewhere must be the same, or be explained by one of the rules, each of which begins at the trailer and
//! takes one way down. What is allowed from each revision to the next is so from the signed one to the last: no rule
//! lets anything that shows change, or lie over what shows. Allowed are
//! 1. the trailer's /ID and document information, and the catalog's /Metadata, /Extensions, /Version, /LastModified
//!    and /PieceInfo;
//! 2. validation data: the catalog's /DSS (`validation`);
//! 3. further signature and timestamp fields, the filling of an empty signature field, and what a form needs for
//!    them (`form`), with the entries of their widgets in the /Annots of pages (`widget`).
//!
//! An object may change in a role only if it has no other: what is metadata and a page's content at once stays as it
//! is. An object that is new must be needed by something allowed, and must not be one that the revision before
//! refers to and lacks; one that is removed must be referred to by nothing. How a revision is written counts, too
//! (`layout`).
//!
//! A certification (DocMDP) of level 1 leaves validation data and document timestamps; levels 2 and 3 allow what is
//! allowed without: filling in a form and annotating are not, which is stricter than the standard. A lock of fields
//! (FieldMDP) is held against new signatures by name.

use std::collections::{BTreeSet, HashSet};

use super::error::PdfError;
use super::fields;
use super::file::State;
use super::form;
use super::object::{Dict, Object};
use super::uses::{Uses, changed, same};
use super::validation;
use super::xref::Entry;

/// Why a comparison ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A change that is not allowed.
    Modified(String),
    /// The file cannot be read.
    Malformed(PdfError),
}

impl From<PdfError> for Stop {
    fn from(error: PdfError) -> Stop {
        Stop::Malformed(error)
    }
}

/// That something was changed that may not be.
pub(crate) fn modified<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Modified(what.into()))
}

/// A state and the next one.
pub(crate) struct Comparison<'f, 'c> {
    pub old: &'c State<'f>,
    pub new: &'c State<'f>,
    uses: &'c Uses,
    /// The objects that differ.
    pub changed: BTreeSet<u32>,
    /// Those of them that a rule allows.
    explained: HashSet<u32>,
    /// The new ones whose references were followed.
    followed: HashSet<u32>,
    /// The fields that are new or were filled.
    pub given: Vec<Given>,
}

/// A field that a revision added or filled.
#[derive(Debug)]
pub(crate) struct Given {
    pub name: String,
    pub kind: GivenKind,
}

/// With what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenKind {
    /// Nothing: it waits for its signature.
    Empty,
    /// A document timestamp, which nobody signs.
    Timestamp,
    /// A signature, which is judged.
    Signature,
}

/// What one revision changed.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// What of it is never allowed.
    pub change: Option<String>,
    /// What of it an earlier signature may have closed.
    pub given: Vec<Given>,
    /// The objects that are gone, with their names.
    removed: Vec<(u32, String)>,
}

impl Step {
    /// That what was removed is not missed: `uses` are those of the state after it.
    pub fn missed(&mut self, uses: &Uses) {
        let missed = self.removed.drain(..).find(|(number, _)| uses.of_object(*number) > 0);
        if let (None, Some((_, name))) = (&self.change, missed) {
            self.change = Some(format!("{name} was removed"));
        }
    }
}

/// Compares a state with the next one. `uses` and `fields` are those of the old one.
pub(crate) fn step(
    old: &State,
    new: &State,
    uses: &Uses,
    fields: &[fields::Field],
) -> Result<Step, PdfError> {
    let mut step = Step::default();
    match compare(old, new, uses, fields, &mut step.removed) {
        Ok(given) => step.given = given,
        Err(Stop::Modified(what)) => step.change = Some(what),
        Err(Stop::Malformed(error)) => return Err(error),
    }
    Ok(step)
}

fn compare(
    old: &State,
    new: &State,
    uses: &Uses,
    fields: &[fields::Field],
    removed: &mut Vec<(u32, String)>,
) -> Result<Vec<Given>, Stop> {
    let mut differing = BTreeSet::new();
    for number in changed(old, new)? {
        // What refers to an object names its generation, too, and finds nothing under another.
        let known = old.entry(number) != Entry::Free && new.entry(number) != Entry::Free;
        if known && old.generation(number) != new.generation(number) {
            return modified(format!("{} was put under another generation", name(old, number)?));
        }
        if same(old, new, number)? {
            continue;
        }
        if new.entry(number) == Entry::Free {
            if new.trailer().get(b"Info").and_then(Object::reference) == Some(number) {
                return modified(format!("{} was removed", name(old, number)?));
            }
            removed.push((number, name(old, number)?));
            continue;
        }
        if old.entry(number) == Entry::Free && uses.of_object(number) > 0 {
            return modified(format!("object {number}, which was referred to and missing, was added"));
        }
        if !new.read(number)?.is_none_or(|object| object.value.is_plain()) {
            return modified(format!("object {number} has a number or a name that readers take differently"));
        }
        differing.insert(number);
    }
    let mut comparison = Comparison {
        old,
        new,
        uses,
        changed: differing,
        explained: HashSet::new(),
        followed: HashSet::new(),
        given: Vec::new(),
    };
    comparison.trailer()?;
    comparison.catalog(fields)?;
    comparison.containers();
    comparison.rest()?;
    Ok(comparison.given)
}

impl Comparison<'_, '_> {
    /// Whether an object was added.
    pub fn is_new(&self, number: u32) -> bool {
        self.changed.contains(&number) && self.old.entry(number) == Entry::Free
    }

    /// Whether all that differs is allowed so far.
    pub fn is_explained(&self) -> bool {
        self.changed.iter().all(|number| self.explained.contains(number))
    }

    /// Allows that this object differs.
    pub fn explain(&mut self, number: u32) {
        self.explained.insert(number);
    }

    /// Allows a value, and with it every new object that it leads to.
    pub fn explain_new(&mut self, value: &Object) -> Result<(), Stop> {
        let mut open = Vec::new();
        value.references(&mut |number| open.push(number));
        while let Some(number) = open.pop() {
            // One that is explained already for what it is may lead to others all the same.
            if self.is_new(number)
                && self.followed.insert(number)
                && let Some(object) = self.new.read(number)?
            {
                self.explained.insert(number);
                object.value.references(&mut |number| open.push(number));
            }
        }
        Ok(())
    }

    /// Follows a value that has one role from the old state and the new one, and allows the object on the way if
    /// it is new, or was this value before and nothing else.
    pub fn follow(&mut self, old: Option<&Object>, new: Option<&Object>) -> Result<(Object, Object), Stop> {
        if let Some(number) = new.and_then(Object::reference) {
            let before = old.and_then(Object::reference) == Some(number) && self.uses.of_object(number) <= 1;
            if self.is_new(number) || before {
                self.explain(number);
            }
        }
        let null = Object::Null;
        let old = self.old.resolve(old.unwrap_or(&null))?.into_owned();
        Ok((old, self.new.resolve(new.unwrap_or(&null))?.into_owned()))
    }

    fn trailer(&mut self) -> Result<(), Stop> {
        let (old, new) = (self.old.trailer(), self.new.trailer());
        if old.get(b"Root") != new.get(b"Root") {
            return modified("another catalog was put in the place of the signed one");
        }
        if old.get(b"Info") == new.get(b"Info") && new.get(b"Info").is_none() {
            return Ok(());
        }
        // The trailer is no object: what it refers to has no use when nothing else refers to it.
        if let Some(number) = new.get(b"Info").and_then(Object::reference) {
            let before = old.get(b"Info") == new.get(b"Info") && self.uses.of_object(number) == 0;
            if before || self.is_new(number) {
                self.explain(number);
            }
        }
        let info = self.new.get(new, b"Info")?.into_owned();
        let plain = |value: &Object| {
            matches!(
                value,
                Object::Text(_) | Object::Name(_) | Object::Integer(_) | Object::Real(_) | Object::Bool(_)
            )
        };
        match &info {
            Object::Null => Ok(()),
            Object::Dict(dict)
                if dict.iter().all(|(_, value)| plain(value) || value.reference().is_some()) =>
            {
                self.explain_new(&info)
            }
            _ => modified("the document information was replaced by something else"),
        }
    }

    fn catalog(&mut self, fields: &[fields::Field]) -> Result<(), Stop> {
        let (number, old) = self.old.catalog()?;
        let (_, new) = self.new.catalog()?;
        for key in old.changed(&new) {
            match key {
                b"Metadata" | b"Extensions" | b"Version" | b"LastModified" | b"PieceInfo" | b"DSS"
                | b"AcroForm" => {}
                other => {
                    return modified(format!(
                        "/{} of the catalog was changed",
                        String::from_utf8_lossy(other)
                    ));
                }
            }
        }
        self.explain(number);
        self.metadata(&old, &new)?;
        for key in [&b"Extensions"[..], b"Version"] {
            let (_, value) = self.follow(old.get(key), new.get(key))?;
            if !matches!(value, Object::Null | Object::Dict(_) | Object::Name(_)) {
                return modified(format!("/{} of the catalog was changed", String::from_utf8_lossy(key)));
            }
            self.explain_new(&value)?;
        }
        self.dates(&old, &new)?;
        validation::compare(self, old.get(b"DSS"), new.get(b"DSS"))?;
        form::compare(self, &old, &new, fields)
    }

    /// When the document and the private data of tools in it were last changed (14.5), and those data: dictionaries
    /// that no reader shows.
    fn dates(&mut self, old: &Dict, new: &Dict) -> Result<(), Stop> {
        let (_, date) = self.follow(old.get(b"LastModified"), new.get(b"LastModified"))?;
        if !matches!(date, Object::Null | Object::Text(_)) {
            return modified("/LastModified of the catalog was replaced by something else");
        }
        let (_, tools) = self.follow(old.get(b"PieceInfo"), new.get(b"PieceInfo"))?;
        let tools = match &tools {
            Object::Null => return Ok(()),
            Object::Dict(tools) => tools,
            _ => return modified("/PieceInfo of the catalog was replaced by something else"),
        };
        for (_, tool) in tools.iter() {
            let tool = self.new.resolve(tool)?.into_owned();
            let known = |key: &[u8]| matches!(key, b"LastModified" | b"Private");
            if !tool.dict().is_some_and(|tool| tool.iter().all(|(key, _)| known(key))) {
                return modified("/PieceInfo of the catalog was replaced by something else");
            }
        }
        self.explain_new(&Object::Dict(tools.clone()))
    }

    /// A stream of XML, which no page shows.
    fn metadata(&mut self, old: &Dict, new: &Dict) -> Result<(), Stop> {
        let (old, new) = (old.get(b"Metadata"), new.get(b"Metadata"));
        let Some(number) = new.and_then(Object::reference) else {
            return if new.is_none() {
                Ok(())
            } else {
                modified("the metadata were replaced by something else")
            };
        };
        if self.changed.contains(&number) {
            let object = self.new.read(number)?;
            let stream = object.as_ref().and_then(|object| object.stream());
            if !stream.is_some_and(|(dict, _)| dict.is(b"Type", b"Metadata")) {
                return modified("the metadata were replaced by something else");
            }
        }
        self.follow(old, new)?;
        Ok(())
    }

    /// The objects that hold other objects, or say where they are, have no meaning of their own.
    fn containers(&mut self) {
        let mut holders = HashSet::new();
        for section in &self.new.file.sections[self.old.section + 1..=self.new.section] {
            for &(number, entry) in &section.entries {
                match entry {
                    Entry::In { container, .. } => {
                        holders.insert(container);
                    }
                    Entry::At { offset, .. } if section.streams.contains(&(offset as usize)) => {
                        holders.insert(number);
                    }
                    _ => {}
                }
            }
        }
        for number in holders {
            let old_stream = match self.old.entry(number) {
                Entry::At { offset, .. } => self.old.is_cross_reference(offset as usize),
                _ => false,
            };
            if self.is_new(number) || old_stream && self.uses.of_object(number) == 0 {
                self.explain(number);
            }
        }
    }

    /// What no rule allows.
    fn rest(&self) -> Result<(), Stop> {
        match self.changed.iter().find(|number| !self.explained.contains(number)) {
            None => Ok(()),
            Some(&number) if self.is_new(number) => {
                modified(format!("{} was added", name(self.new, number)?))
            }
            Some(&number) => modified(format!("{} was changed", name(self.old, number)?)),
        }
    }
}

/// An object for a person to read.
fn name(state: &State, number: u32) -> Result<String, PdfError> {
    let object = state.read(number)?;
    let dict = object.as_ref().and_then(|object| object.value.dict());
    let kind = dict.and_then(|dict| dict.get(b"Type").or(dict.get(b"FT")).or(dict.get(b"Subtype")));
    Ok(match kind.and_then(Object::name) {
        Some(kind) => format!("object {number} ({})", String::from_utf8_lossy(kind)),
        None => format!("object {number}"),
    })
}
