//! How a revision behind a signed one is written: as every writer does, or it is a change.
//!
//! Viewers do not agree on what to do with a file that breaks a rule of its frame. Some give up its cross-reference
//! sections and search the file for objects, and then show those that no section lists: an old page that lies unused
//! in the signed bytes, or one that was put behind them. So behind a signed revision
//! - every byte belongs to an object that the revision lists, to its cross-reference section, to `startxref` and
//!   `%%EOF`, or is white space; the one comment that writers make stands before `startxref`;
//! - sections are written to the letter (7.5.4 to 7.5.8): entries of 20 bytes, numbers as plain integers, a /Size above
//!   every object number, /Prev the section before, keywords on lines of their own, and number 0 free;
//! - every member of an object stream is listed, there and nowhere else;
//! - nothing that looks like the start of an object, or like a trailer, stands inside a stream or a string.
//!
//! Then a viewer has no reason to search because of such a revision, and finds nothing else when it does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::changes::{Stop, modified};
use super::file::State;
use super::object::Object;
use super::parse::{Parser, is_space};
use super::xref::Entry;
use crate::signature::limits::MAX_PDF_NUMBER;

type Result<T> = std::result::Result<T, Stop>;

/// White space behind the last `%%EOF`: some viewers look for `startxref` in the last 1024 bytes only.
pub(crate) const MAX_TAIL: usize = 512;

/// White space between what a cross-reference names and what stands there: the end of the line before it.
const MAX_EARLY: usize = 2;

/// Length of a comment before `startxref`; it names the writer.
const MAX_COMMENT: usize = 200;

/// The keys of a trailer and of a cross-reference stream (tables 15 and 17).
const TRAILER: [&[u8]; 12] = [
    b"Size",
    b"Prev",
    b"Root",
    b"Info",
    b"ID",
    b"XRefStm",
    b"Type",
    b"W",
    b"Index",
    b"Length",
    b"Filter",
    b"DecodeParms",
];

/// Checks the revision that makes `new` out of `old`, whose last byte is before `from`; gives the end of the new one.
pub(crate) fn revision(old: &State, new: &State, from: usize) -> Result<usize> {
    let file = new.file;
    let section = &file.sections[new.section];
    if section.offset < from || section.streams.iter().any(|&stream| stream < from) {
        return modified("its cross-reference section does not stand behind the signed bytes");
    }
    if let Some(odd) = section.odd {
        return modified(format!("its cross-reference section has {odd}"));
    }
    trailer(old, new)?;
    let objects = objects(old, new, from)?;

    // 1. The objects, and nothing between them.
    let (mut at, mut heads) = (from, HashSet::new());
    for object in objects.values() {
        white(file.bytes, at..object.start)?;
        heads.insert(object.keyword);
        at = object.end;
    }
    // 2. The section behind them; a stream is the last of them.
    let mut keyword = None;
    if section.streams.contains(&section.offset) {
        if at != section.end {
            return modified("an object stands behind its cross-reference section");
        }
    } else {
        let start = at;
        let mut parser = Parser::new(file.bytes, section.offset);
        let _ = parser.blanks();
        white(file.bytes, start..parser.at)?;
        if parser.at > section.offset + MAX_EARLY {
            return modified("`startxref` does not name its cross-reference section");
        }
        keyword = Some(table(file.bytes, parser.at, section.end)?);
    }
    // 3. Its end, and a look at everything.
    let end = tail(file.bytes, section.end, section.offset)?;
    file.budget.work((end - from) / 64)?;
    strays(file.bytes, from..end, &heads, keyword)?;
    Ok(end)
}

fn white(bytes: &[u8], range: Range<usize>) -> Result<()> {
    match bytes.get(range.clone()) {
        None => modified("two of its objects overlap, or one and its cross-reference section"),
        Some(between) if between.iter().all(|&byte| is_space(byte)) => Ok(()),
        Some(_) => modified(format!("bytes that belong to no object were added at byte {}", range.start)),
    }
}

fn trailer(old: &State, new: &State) -> Result<()> {
    let sections = &new.file.sections;
    let (before, dict) = (&sections[new.section - 1], new.trailer());
    let kept = |key: &[u8]| old.trailer().get(key) == dict.get(key);
    if let Some((key, _)) = dict.iter().find(|(key, _)| !TRAILER.contains(key) && !kept(key)) {
        return modified(format!("its trailer has /{}", String::from_utf8_lossy(key)));
    }
    if !Object::Dict(dict.clone()).is_plain() {
        return modified("its trailer has a number or a name that readers take differently");
    }
    if dict.size(b"Prev") != Some(before.offset) {
        return modified("its /Prev is not the cross-reference section before");
    }
    let size = dict.size(b"Size").filter(|&size| size <= MAX_PDF_NUMBER as usize + 1);
    if size.is_none_or(|size| size < new.size() as usize) {
        return modified("its /Size is not above every object number");
    }
    let text = |id: &Object| matches!(id, Object::Text(_));
    match dict.get(b"ID") {
        None => Ok(()),
        Some(Object::Array(ids)) if ids.len() == 2 && ids.iter().all(text) => Ok(()),
        Some(_) if kept(b"ID") => Ok(()),
        Some(_) => modified("its /ID is not two strings"),
    }
}

/// An object of a revision: from its number to behind `endobj`.
struct Placed {
    start: usize,
    end: usize,
    /// Where `obj` stands.
    keyword: usize,
}

/// The objects of a revision by their place, its cross-reference streams among them.
fn objects(old: &State, new: &State, from: usize) -> Result<BTreeMap<usize, Placed>> {
    let (file, section) = (new.file, &new.file.sections[new.section]);
    let mut placed = BTreeMap::new();
    let mut inside: HashMap<u32, HashSet<(u32, u32)>> = HashMap::new();
    let mut streams = Vec::new();
    for &(number, entry) in &section.entries {
        match entry {
            Entry::Free => {}
            // Listed again as it was.
            _ if entry == old.entry(number) => {}
            Entry::In { container, index } => {
                inside.entry(container).or_default().insert((number, index));
            }
            Entry::At { offset, .. } if (offset as usize) < from => {
                return modified(format!("it lists object {number} at a place inside the signed bytes"));
            }
            Entry::At { offset, generation } => {
                let Some((object, Some(end))) = new.read_to_end(number)? else { continue };
                if object.comments {
                    return modified(format!("a comment stands in object {number}"));
                }
                if object.stream().is_some_and(|(dict, _)| dict.is(b"Type", b"ObjStm")) {
                    streams.push(number);
                }
                let (start, keyword) = head(file.bytes, offset as usize, number, generation)?;
                if placed.insert(start, Placed { start, end, keyword }).is_some() {
                    return modified(format!("it lists two objects at the place of object {number}"));
                }
            }
        }
    }
    // A cross-reference stream need not list itself.
    for &stream in &section.streams {
        let mut parser = Parser::new(file.bytes, stream);
        let Some((number, generation)) = parser.head() else {
            return modified("its cross-reference stream is no object");
        };
        let (start, keyword) = head(file.bytes, stream, number, generation)?;
        if placed.contains_key(&start) {
            continue;
        }
        let other = match new.entry(number) {
            Entry::Free => false,
            Entry::At { offset, .. } => !new.is_cross_reference(offset as usize),
            Entry::In { .. } => true,
        };
        if other {
            return modified("its cross-reference stream has the number of another object");
        }
        let mut parser = Parser::new(file.bytes, stream);
        parser.numbered((number, generation), Object::size)?;
        file.budget.work(parser.nodes())?;
        if parser.comments() {
            return modified("a comment stands in its cross-reference stream");
        }
        placed.insert(start, Placed { start, end: parser.at, keyword });
    }
    for number in streams {
        let listed = inside.remove(&number).unwrap_or_default();
        let members = new.members(number)?;
        let all = members.iter().zip(0..).all(|(&member, index)| listed.contains(&(member, index)));
        if !all || members.len() != listed.len() {
            return modified(format!("object stream {number} has an object that is not listed"));
        }
    }
    match inside.keys().next() {
        None => Ok(placed),
        Some(number) => {
            modified(format!("it lists objects in the object stream {number}, which is not its own"))
        }
    }
}

/// `12 0 obj`, to the letter: where it starts, and where the keyword stands.
fn head(bytes: &[u8], at: usize, number: u32, generation: u16) -> Result<(usize, usize)> {
    let expected = format!("{number} {generation} obj");
    let rest = bytes.get(at..).unwrap_or_default();
    let early = rest.iter().take(MAX_EARLY).take_while(|&&byte| is_space(byte)).count();
    if !rest[early..].starts_with(expected.as_bytes()) {
        return modified(format!("object {number} is not where its cross-reference says, to the byte"));
    }
    Ok((at + early, at + early + expected.len() - 3))
}

/// A cross-reference table from its keyword to the end of its trailer; gives where `trailer` stands.
fn table(bytes: &[u8], start: usize, end: usize) -> Result<usize> {
    const BAD: &str = "its cross-reference table is not written to the letter";
    let mut line = Line { bytes: &bytes[..end], at: start };
    if !line.word(b"xref") || !line.end() {
        return modified(BAD);
    }
    let mut subsections = 0;
    while !line.word(b"trailer") {
        let (Some(first), true, Some(count), true) =
            (line.number(), line.word(b" "), line.number(), line.end())
        else {
            return modified(BAD);
        };
        if count == 0 && first != 0 {
            return modified(BAD);
        }
        for entry in 0..count {
            let Some(row) = line.bytes[line.at..].first_chunk::<20>() else { return modified(BAD) };
            let digits = |range: Range<usize>| row[range].iter().all(u8::is_ascii_digit);
            let end = matches!(&row[18..], b" \r" | b" \n" | b"\r\n");
            let right = digits(0..10) && row[10] == b' ' && digits(11..16) && row[16] == b' ' && end;
            let used = row[17] == b'n';
            if !right || !used && row[17] != b'f' {
                return modified(BAD);
            }
            if used && first == 0 && entry == 0 {
                return modified("its cross-reference section has an object with the number 0");
            }
            line.at += 20;
        }
        subsections += 1;
    }
    let keyword = line.at - b"trailer".len();
    let mut parser = Parser::new(&bytes[..end], line.at);
    let _ = parser.blanks();
    let whole = bytes[parser.at..].starts_with(b"<<") && parser.object().is_ok() && parser.at == end;
    if !whole || parser.comments() || subsections == 0 {
        return modified(BAD);
    }
    Ok(keyword)
}

/// What follows a section: a comment perhaps, then `startxref`, the number, `%%EOF`. Gives the end.
fn tail(bytes: &[u8], from: usize, start: usize) -> Result<usize> {
    const BAD: &str = "its end is not written to the letter";
    let mut line = Line { bytes, at: from };
    line.white();
    while line.word(b"%") {
        let rest = &bytes[line.at..];
        let length =
            rest.iter().take(MAX_COMMENT).take_while(|&&byte| byte != b'\r' && byte != b'\n').count();
        // Of letters, not of what an object is made of.
        if rest[..length].iter().any(|byte| b"<>[]{}/%".contains(byte)) {
            return modified(BAD);
        }
        line.at += length;
        if !line.end() {
            return modified(BAD);
        }
        line.white();
    }
    let whole = line.word(b"startxref") && line.end() && line.number() == Some(start) && line.end();
    if !whole || !line.word(b"%%EOF") {
        return modified(BAD);
    }
    Ok(line.at)
}

/// Reads lines to the letter.
struct Line<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Line<'_> {
    fn word(&mut self, word: &[u8]) -> bool {
        let found = self.bytes[self.at..].starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Digits, without zeros before them.
    fn number(&mut self) -> Option<usize> {
        let rest = &self.bytes[self.at..];
        let digits = rest.iter().take(11).take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 10 || digits > 1 && rest[0] == b'0' {
            return None;
        }
        self.at += digits;
        std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
    }

    /// The end of a line; some writers put a space before it.
    fn end(&mut self) -> bool {
        let _ = self.word(b" ");
        self.word(b"\r\n") || self.word(b"\n") || self.word(b"\r")
    }

    fn white(&mut self) {
        self.at += self.bytes[self.at..].iter().take_while(|&&byte| is_space(byte)).count();
    }
}

/// Fails where something looks like the start of an object, or like a trailer, and is none.
fn strays(bytes: &[u8], range: Range<usize>, heads: &HashSet<usize>, trailer: Option<usize>) -> Result<()> {
    let region = &bytes[..range.end];
    let mut at = range.start;
    while let Some(found) = region[at..].iter().position(|&byte| byte == b'o' || byte == b't') {
        at += found;
        let rest = &region[at..];
        let stray = if rest.starts_with(b"obj") {
            !heads.contains(&at) && is_headed(&region[range.start..at])
        } else if let Some(rest) = rest.strip_prefix(b"trailer") {
            let space = rest.iter().take_while(|&&byte| is_space(byte)).count();
            rest[space..].starts_with(b"<<") && trailer != Some(at)
        } else {
            false
        };
        if stray {
            return modified(format!("what looks like an object stands inside another at byte {at}"));
        }
        at += 1;
    }
    Ok(())
}

/// Whether bytes end with a number and a generation.
fn is_headed(before: &[u8]) -> bool {
    let cut = |bytes: &[u8], of: fn(u8) -> bool| bytes.iter().rev().take_while(|&&byte| of(byte)).count();
    let mut rest = before;
    for (of, least) in [
        (is_space as fn(u8) -> bool, 0),
        (|byte| byte.is_ascii_digit(), 1),
        (is_space, 1),
        (|byte| byte.is_ascii_digit(), 1),
    ] {
        let length = cut(rest, of);
        if length < least {
            return false;
        }
        rest = &rest[..rest.len() - length];
    }
    true
}
