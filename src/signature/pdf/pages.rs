//! The pages of a state (ISO 32000-1, 7.7.3), with what they inherit.

use std::collections::HashSet;

use super::error::PdfError;
use super::fields::references;
use super::file::State;
use super::object::{Dict, Object};
use crate::signature::limits::{MAX_PDF_PAGES, MAX_PDF_TREE_DEPTH};

/// A page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub number: u32,
    pub dict: Dict,
    /// Its own or the next above.
    pub resources: Option<Object>,
}

/// Calls `visit` with every page, in order.
pub(crate) fn each<E: From<PdfError>>(
    state: &State,
    mut visit: impl FnMut(Page) -> Result<(), E>,
) -> Result<(), E> {
    let (_, catalog) = state.catalog()?;
    let root = catalog.get(b"Pages").and_then(Object::reference).ok_or(PdfError::File("no page tree"))?;
    let mut open = vec![(root, None::<Object>, 0)];
    let mut seen = HashSet::new();
    while let Some((number, above, depth)) = open.pop() {
        if seen.len() >= MAX_PDF_PAGES || open.len() >= MAX_PDF_PAGES {
            return Err(PdfError::Limit { what: "pages", limit: MAX_PDF_PAGES }.into());
        }
        if depth >= MAX_PDF_TREE_DEPTH {
            return Err(PdfError::Limit { what: "levels of pages", limit: MAX_PDF_TREE_DEPTH }.into());
        }
        if !seen.insert(number) {
            return Err(PdfError::Object { number, what: "a page stands in the page tree twice" }.into());
        }
        let object = state.read(number)?;
        let Some(dict) = object.as_ref().and_then(|object| object.plain_dict()) else {
            return Err(PdfError::Object { number, what: "no page where the page tree has one" }.into());
        };
        let resources = dict.get(b"Resources").cloned().or(above);
        if dict.get(b"Kids").is_some() {
            let kids = references(state, dict, b"Kids")?;
            open.extend(kids.iter().rev().map(|&kid| (kid, resources.clone(), depth + 1)));
        } else {
            visit(Page { number, dict: dict.clone(), resources })?;
        }
    }
    Ok(())
}
