//! The form of a document (ISO 32000-1, 12.7): its fields, walked from the catalog and never searched for.
//!
//! A field is an object of its own and stands in the tree once; its type and its value may come from above. What has
//! no name of its own below a field is one of its widgets.

use super::error::PdfError;
use super::file::State;
use super::object::{Dict, Object, text_string};
use crate::signature::limits::{MAX_PDF_FIELDS, MAX_PDF_TREE_DEPTH};

type Result<T> = std::result::Result<T, PdfError>;

/// A field at the end of its branch.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub number: u32,
    /// Its fully qualified name.
    pub name: String,
    /// Whether it is for a signature.
    pub signature: bool,
    /// Its own value or one from above.
    pub value: Option<Object>,
    pub dict: Dict,
    /// The object numbers of its widgets; its own where field and widget are one.
    pub widgets: Vec<u32>,
}

struct Branch {
    number: u32,
    name: String,
    kind: Option<Object>,
    value: Option<Object>,
    depth: usize,
}

/// The fields at the ends of all branches, in the order of the tree.
pub(crate) fn fields(state: &State) -> Result<Vec<Field>> {
    let (_, catalog) = state.catalog()?;
    let form = state.get(&catalog, b"AcroForm")?;
    let Some(form) = form.dict() else {
        return if *form == Object::Null {
            Ok(Vec::new())
        } else {
            Err(PdfError::File("a form that is none"))
        };
    };
    let roots = references(state, form, b"Fields")?;
    let top = |&number: &u32| Branch { number, name: String::new(), kind: None, value: None, depth: 0 };
    let mut open: Vec<Branch> = roots.iter().rev().map(top).collect();
    let mut seen = std::collections::HashSet::new();
    let mut found = Vec::new();
    while let Some(branch) = open.pop() {
        if seen.len() >= MAX_PDF_FIELDS || open.len() > MAX_PDF_FIELDS {
            return Err(PdfError::Limit { what: "form fields", limit: MAX_PDF_FIELDS });
        }
        if branch.depth >= MAX_PDF_TREE_DEPTH {
            return Err(PdfError::Limit { what: "levels of form fields", limit: MAX_PDF_TREE_DEPTH });
        }
        let number = branch.number;
        if !seen.insert(number) {
            return Err(PdfError::Object { number, what: "a form field stands in the form twice" });
        }
        let object = state.read(number)?;
        let Some(dict) = object.as_ref().and_then(|object| object.plain_dict()) else {
            return Err(PdfError::Object { number, what: "no form field where the form has one" });
        };

        let name =
            match (&*branch.name, dict.get(b"T").map(|name| state.resolve(name)).transpose()?.as_deref()) {
                (above, None) => above.to_owned(),
                ("", Some(Object::Text(own))) => text_string(&own.bytes),
                (above, Some(Object::Text(own))) => format!("{above}.{}", text_string(&own.bytes)),
                _ => return Err(PdfError::Object { number, what: "a form field with a bad name" }),
            };
        // A name is 32 levels of strings that may be long.
        if name.len() > 4096 {
            return Err(PdfError::Limit { what: "bytes in the name of a form field", limit: 4096 });
        }
        let kind = dict.get(b"FT").map(|kind| state.resolve(kind)).transpose()?;
        let kind = kind.map(|kind| kind.into_owned()).or(branch.kind);
        let value = dict.get(b"V").cloned().or(branch.value);

        let kids = references(state, dict, b"Kids")?;
        let mut widgets = Vec::new();
        let mut children = Vec::new();
        for &kid in &kids {
            let child = state.read(kid)?;
            let named = child.as_ref().and_then(|c| c.value.dict()).is_some_and(|d| d.get(b"T").is_some());
            if named { children.push(kid) } else { widgets.push(kid) }
        }
        if !children.is_empty() {
            if !widgets.is_empty() {
                return Err(PdfError::Object { number, what: "fields and widgets under one form field" });
            }
            open.extend(children.iter().rev().map(|&number| Branch {
                number,
                name: name.clone(),
                kind: kind.clone(),
                value: value.clone(),
                depth: branch.depth + 1,
            }));
            continue;
        }
        for &widget in &widgets {
            if !seen.insert(widget) {
                return Err(PdfError::Object { number: widget, what: "a widget stands in the form twice" });
            }
        }
        if dict.is(b"Subtype", b"Widget") {
            widgets.push(number);
        }
        let signature = kind.is_some_and(|kind| kind.is_name(b"Sig"));
        found.push(Field { number, name, signature, value, dict: dict.clone(), widgets });
    }
    Ok(found)
}

/// The object numbers in an array of references; none where there is no array.
pub(crate) fn references(state: &State, dict: &Dict, key: &'static [u8]) -> Result<Vec<u32>> {
    match &*state.get(dict, key)? {
        Object::Null => Ok(Vec::new()),
        Object::Array(items) => items
            .iter()
            .map(|item| item.reference().ok_or(PdfError::File("a tree with something else than references")))
            .collect(),
        _ => Err(PdfError::File("a tree with something else than references")),
    }
}
