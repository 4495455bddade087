//! Objects as bytes (ISO 32000-1, 7.3), and a revision to append to a file (7.5.6).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::object::{Dict, Object};

/// Writes an object, strings in hexadecimal.
pub(crate) fn object(out: &mut Vec<u8>, value: &Object) {
    match value {
        Object::Null => out.extend_from_slice(b"null"),
        Object::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
        // Never with an exponent, and reads back as the same number.
        Object::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Object::Real(value) => {
            let digits = value.to_string();
            out.extend_from_slice(digits.as_bytes());
            if !digits.contains('.') {
                out.extend_from_slice(b".0");
            }
        }
        Object::Name(value) => name(out, value),
        Object::Text(text) => out.extend_from_slice(format!("<{}>", hex::encode(&text.bytes)).as_bytes()),
        Object::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b' ');
                }
                object(out, item);
            }
            out.push(b']');
        }
        Object::Dict(entries) => dict(out, entries),
        Object::Reference(number, generation) => {
            out.extend_from_slice(format!("{number} {generation} R").as_bytes());
        }
    }
}

fn dict(out: &mut Vec<u8>, entries: &Dict) {
    out.extend_from_slice(b"<<");
    for (key, value) in entries.iter() {
        name(out, key);
        out.push(b' ');
        object(out, value);
    }
    out.extend_from_slice(b">>");
}

fn name(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'/');
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.+*".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("#{byte:02X}").as_bytes());
        }
    }
}

/// A text string in UTF-16 with its mark, in hexadecimal.
pub(crate) fn text(value: &str) -> String {
    let mut out = String::from("<FEFF");
    for unit in value.encode_utf16() {
        let _ = write!(out, "{unit:04X}");
    }
    out.push('>');
    out
}

/// A revision in the making: the file so far, and the objects after it.
pub(crate) struct Revision {
    pub bytes: Vec<u8>,
    places: BTreeMap<u32, (usize, u16)>,
}

impl Revision {
    /// After a file.
    pub fn after(file: &[u8]) -> Revision {
        let mut bytes = file.to_vec();
        if bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        Revision { bytes, places: BTreeMap::new() }
    }

    /// Appends an object; gives the place of its body.
    pub fn put(&mut self, number: u32, generation: u16, body: &[u8]) -> usize {
        self.places.insert(number, (self.bytes.len(), generation));
        self.bytes.extend_from_slice(format!("{number} {generation} obj\n").as_bytes());
        let start = self.bytes.len();
        self.bytes.extend_from_slice(body);
        self.bytes.extend_from_slice(b"\nendobj\n");
        start
    }

    /// Appends a dictionary.
    pub fn put_object(&mut self, number: u32, generation: u16, value: &Object) {
        let mut body = Vec::new();
        object(&mut body, value);
        self.put(number, generation, &body);
    }

    /// Appends the cross-reference section: a stream, as object `stream`, or a table; `trailer` has all but /Size.
    pub fn finish(&mut self, trailer: &Dict, size: u32, stream: Option<u32>) {
        let start = self.bytes.len();
        if let Some(number) = stream {
            self.places.insert(number, (start, 0));
        }
        let mut head = Vec::new();
        dict(&mut head, trailer);
        head.truncate(head.len() - 2);
        head.extend_from_slice(format!("/Size {size}").as_bytes());

        // Runs of numbers that follow each other.
        let mut runs: Vec<(u32, Vec<(usize, u16)>)> = Vec::new();
        for (&number, &place) in &self.places {
            match runs.last_mut() {
                Some((first, run)) if *first as usize + run.len() == number as usize => run.push(place),
                _ => runs.push((number, vec![place])),
            }
        }
        let out = &mut self.bytes;
        if let Some(number) = stream {
            let index: String = runs.iter().map(|(first, run)| format!("{first} {} ", run.len())).collect();
            let rows = runs.iter().flat_map(|(_, run)| run).flat_map(|&(offset, generation)| {
                let offset = (offset as u32).to_be_bytes();
                [&[1], &offset[..], &generation.to_be_bytes()].concat()
            });
            let data: Vec<u8> = rows.collect();
            out.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
            out.extend_from_slice(&head);
            let rest = format!("/Type/XRef/W[1 4 2]/Index[{index}]/Length {}>>\nstream\n", data.len());
            out.extend_from_slice(rest.as_bytes());
            out.extend_from_slice(&data);
            out.extend_from_slice(b"\nendstream\nendobj\n");
        } else {
            out.extend_from_slice(b"xref\n");
            for (first, run) in runs {
                out.extend_from_slice(format!("{first} {}\n", run.len()).as_bytes());
                for (offset, generation) in run {
                    out.extend_from_slice(format!("{offset:010} {generation:05} n \n").as_bytes());
                }
            }
            out.extend_from_slice(b"trailer\n");
            out.extend_from_slice(&head);
            out.extend_from_slice(b">>\n");
        }
        out.extend_from_slice(format!("startxref\n{start}\n%%EOF\n").as_bytes());
    }
}
