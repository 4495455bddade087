//! The objects of a PDF (ISO 32000-1, 7.3), as values that can be compared.
//!
//! Equal means that every reader sees the same: dictionaries without regard to the order of their keys, numbers by
//! value and kind, for readers differ in where they take a real for an integer, names and strings by what they decode
//! to, streams by dictionary and raw bytes.

use std::ops::Range;
use std::sync::Arc;

use super::error::PdfError;

/// An object. 32 bytes, so that a limit on their number is a limit on memory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Object {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number with a full stop, or one that no reader holds as an integer.
    Real(f64),
    Name(Box<[u8]>),
    Text(Text),
    Array(Vec<Object>),
    Dict(Dict),
    /// An object by number and generation.
    Reference(u32, u16),
}

/// A string, and where its token stands in the bytes it was read from, delimiters included.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub bytes: Arc<[u8]>,
    pub start: u32,
    pub end: u32,
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.bytes == other.bytes
    }
}

/// A dictionary, sorted by key; a key stands once.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Dict(Vec<(Box<[u8]>, Object)>);

impl Dict {
    /// Without entries.
    pub const EMPTY: Dict = Dict(Vec::new());

    /// From entries as read. Readers differ in which of two entries with one key they take, so two are refused.
    /// A null value is the same as no entry (7.3.7).
    pub fn new(mut entries: Vec<(Box<[u8]>, Object)>, at: usize) -> Result<Dict, PdfError> {
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        if entries.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(PdfError::Syntax { what: "a dictionary has one key twice", at });
        }
        entries.retain(|(_, value)| *value != Object::Null);
        Ok(Dict(entries))
    }

    pub fn get(&self, key: &[u8]) -> Option<&Object> {
        let at = self.0.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        Some(&self.0[at].1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Object)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// The same with another value under `key`.
    pub fn with(mut self, key: &[u8], value: Object) -> Dict {
        match self.0.binary_search_by(|(k, _)| (**k).cmp(key)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key.into(), value)),
        }
        self
    }

    /// Whether the value of `key` is the name `name`.
    pub fn is(&self, key: &[u8], name: &[u8]) -> bool {
        self.get(key).is_some_and(|value| value.is_name(name))
    }

    /// An integer that is not negative.
    pub fn size(&self, key: &[u8]) -> Option<usize> {
        self.get(key).and_then(Object::size)
    }

    /// The keys whose values differ, those of only one side included.
    pub fn changed<'d>(&'d self, other: &'d Dict) -> Vec<&'d [u8]> {
        let mine = self.iter().filter(|(key, value)| other.get(key) != Some(value)).map(|(key, _)| key);
        let theirs = other.iter().map(|(key, _)| key).filter(|key| self.get(key).is_none());
        mine.chain(theirs).collect()
    }
}

impl Object {
    pub fn is_name(&self, name: &[u8]) -> bool {
        matches!(self, Object::Name(n) if **n == *name)
    }

    pub fn dict(&self) -> Option<&Dict> {
        if let Object::Dict(dict) = self { Some(dict) } else { None }
    }

    pub fn array(&self) -> Option<&[Object]> {
        if let Object::Array(items) = self { Some(items) } else { None }
    }

    pub fn text(&self) -> Option<&Text> {
        if let Object::Text(text) = self { Some(text) } else { None }
    }

    pub fn name(&self) -> Option<&[u8]> {
        if let Object::Name(name) = self { Some(name) } else { None }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Object::Integer(number) => Some(*number as f64),
            Object::Real(number) => Some(*number),
            _ => None,
        }
    }

    /// The number of the object that this refers to.
    pub fn reference(&self) -> Option<u32> {
        if let Object::Reference(number, _) = self { Some(*number) } else { None }
    }

    /// An integer that is not negative.
    pub fn size(&self) -> Option<usize> {
        if let Object::Integer(number) = self { usize::try_from(*number).ok() } else { None }
    }

    /// Whether every reader takes every number and name inside for what it is: numbers of 32 bits hold them, and no
    /// name has a zero, at which some readers end it.
    pub fn is_plain(&self) -> bool {
        let name = |name: &[u8]| !name.contains(&0);
        match self {
            Object::Integer(number) => i32::try_from(*number).is_ok(),
            Object::Real(number) => number.abs() <= f64::from(i32::MAX),
            Object::Name(own) => name(own),
            Object::Array(items) => items.iter().all(Object::is_plain),
            Object::Dict(dict) => dict.iter().all(|(key, value)| name(key) && value.is_plain()),
            _ => true,
        }
    }

    /// Calls `visit` with every reference inside.
    pub fn references(&self, visit: &mut impl FnMut(u32)) {
        // The depth is that of the parser, which is limited.
        match self {
            Object::Reference(number, _) => visit(*number),
            Object::Array(items) => items.iter().for_each(|item| item.references(visit)),
            Object::Dict(dict) => dict.0.iter().for_each(|(_, value)| value.references(visit)),
            _ => {}
        }
    }
}

/// An object with a number of its own, and for a stream where its raw data stand in the file.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    pub value: Object,
    pub data: Option<Range<usize>>,
    /// How many objects are inside.
    pub nodes: usize,
    /// Whether comments stand in it.
    pub comments: bool,
}

impl Numbered {
    /// The dictionary of a stream, and where its data stand.
    pub fn stream(&self) -> Option<(&Dict, Range<usize>)> {
        Some((self.value.dict()?, self.data.clone()?))
    }

    /// A dictionary that is not a stream's.
    pub fn plain_dict(&self) -> Option<&Dict> {
        if self.data.is_some() { None } else { self.value.dict() }
    }
}

/// A text string (7.9.2.2) for a person to read: UTF-16 with its mark, UTF-8 with its mark, or bytes as Latin-1,
/// which PDFDocEncoding is but for signs that no field name needs.
pub(crate) fn text_string(bytes: &[u8]) -> String {
    match bytes {
        [0xfe, 0xff, rest @ ..] => {
            let units = rest.chunks(2).map(|c| u16::from_be_bytes([c[0], *c.get(1).unwrap_or(&0)]));
            char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect()
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => bytes.iter().map(|&b| b as char).collect(),
    }
}
