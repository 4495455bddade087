//! From bytes to objects (ISO 32000-1, 7.2 and 7.3), strictly: what two readers could take in two ways is an error.
//!
//! Work and memory are bounded: nesting, the objects in one object, and, over everything that is read of one file,
//! the [`Budget`].

use std::cell::Cell;

use super::error::PdfError;
use super::object::{Dict, Numbered, Object, Text};
use crate::signature::limits::{MAX_PDF_DEPTH, MAX_PDF_INFLATED, MAX_PDF_NODES, MAX_PDF_WORK};

type Result<T> = std::result::Result<T, PdfError>;

/// What may still be done with one file.
#[derive(Debug)]
pub(crate) struct Budget {
    work: Cell<usize>,
    inflated: Cell<usize>,
}

impl Budget {
    pub fn new() -> Budget {
        Budget { work: Cell::new(MAX_PDF_WORK), inflated: Cell::new(MAX_PDF_INFLATED) }
    }

    /// Pays for `units` of work; one is about the reading of one object.
    pub fn work(&self, units: usize) -> Result<()> {
        let left = self.work.get().checked_sub(units);
        self.work.set(left.ok_or(PdfError::Limit { what: "units of work", limit: MAX_PDF_WORK })?);
        Ok(())
    }

    /// Pays for bytes that came out of a filter.
    pub fn inflated(&self, bytes: usize) -> Result<()> {
        let left = self.inflated.get().checked_sub(bytes);
        let error = PdfError::Limit { what: "bytes after decompression", limit: MAX_PDF_INFLATED };
        self.inflated.set(left.ok_or(error)?);
        Ok(())
    }
}

/// White space of PDF (7.2.2).
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

fn is_regular(byte: u8) -> bool {
    !is_space(byte) && !is_delimiter(byte)
}

/// The value of a hexadecimal digit.
pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// Reads objects from a place in some bytes on.
pub(crate) struct Parser<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    nodes: usize,
    /// Bytes of strings in hexadecimal, which cost less than others.
    digits: usize,
    comments: bool,
}

impl<'a> Parser<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Parser<'a> {
        Parser { bytes, at, nodes: 0, digits: 0, comments: false }
    }

    /// Whether a comment was passed over.
    pub fn comments(&self) -> bool {
        self.comments
    }

    /// What reading this many bytes cost, in units of work.
    pub fn work(&self, bytes: usize) -> usize {
        self.nodes + bytes.saturating_sub(self.digits) / 8 + self.digits / 32
    }

    /// How many objects were read.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    fn error<T>(&self, what: &'static str) -> Result<T> {
        Err(PdfError::Syntax { what, at: self.at })
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Skips white space and comments.
    pub fn skip(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                self.comments = true;
                while self.peek().is_some_and(|b| b != 10 && b != 13) {
                    self.at += 1;
                }
            } else if is_space(byte) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    /// Takes a keyword, which must end there.
    pub fn keyword(&mut self, word: &'static str) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let whole =
            rest.starts_with(word.as_bytes()) && rest.get(word.len()).is_none_or(|&byte| !is_regular(byte));
        if whole {
            self.at += word.len();
        }
        whole
    }

    /// Takes an unsigned number in decimal digits.
    pub fn unsigned(&mut self) -> Option<u64> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 15 || rest.get(digits).is_some_and(|&byte| is_regular(byte)) {
            return None;
        }
        self.at += digits;
        Some(rest[..digits].iter().fold(0, |n, byte| n * 10 + u64::from(byte - b'0')))
    }

    /// The next object; references too where a file has them.
    pub fn object(&mut self) -> Result<Object> {
        self.nested(MAX_PDF_DEPTH)
    }

    fn nested(&mut self, depth: usize) -> Result<Object> {
        self.nodes += 1;
        if self.nodes > MAX_PDF_NODES {
            return Err(PdfError::Limit { what: "objects inside one object", limit: MAX_PDF_NODES });
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err(PdfError::Limit { what: "levels of nesting", limit: MAX_PDF_DEPTH });
        };
        self.skip();
        let next = self.bytes.get(self.at + 1).copied();
        match self.peek() {
            None => self.error("the bytes end where an object should be"),
            Some(b'/') => self.name().map(Object::Name),
            Some(b'(') => self.literal().map(Object::Text),
            Some(b'<') if next == Some(b'<') => self.dict(depth).map(Object::Dict),
            Some(b'<') => self.hexadecimal().map(Object::Text),
            Some(b'[') => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    self.skip();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                        return Ok(Object::Array(items));
                    }
                    items.push(self.nested(depth)?);
                }
            }
            Some(b'0'..=b'9') => match self.reference() {
                Some(reference) => Ok(reference),
                None => self.number(),
            },
            Some(b'+' | b'-' | b'.') => self.number(),
            Some(_) if self.keyword("true") => Ok(Object::Bool(true)),
            Some(_) if self.keyword("false") => Ok(Object::Bool(false)),
            Some(_) if self.keyword("null") => Ok(Object::Null),
            Some(_) => self.error("no object"),
        }
    }

    /// `12 0 R`, if that is what stands here.
    fn reference(&mut self) -> Option<Object> {
        let start = self.at;
        let reference = self.number_and_generation().filter(|_| self.keyword("R"));
        if reference.is_none() {
            self.at = start;
        }
        reference.map(|(number, generation)| Object::Reference(number, generation))
    }

    /// Two numbers with white space behind each.
    fn number_and_generation(&mut self) -> Option<(u32, u16)> {
        let number = u32::try_from(self.unsigned()?).ok()?;
        self.blanks()?;
        let generation = u16::try_from(self.unsigned()?).ok()?;
        self.blanks()?;
        Some((number, generation))
    }

    /// A little white space; there is never much of it between the parts of one token.
    pub fn blanks(&mut self) -> Option<()> {
        let start = self.at;
        while self.at < start + 16 && self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number(&mut self) -> Result<Object> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(64).take_while(|&&byte| is_regular(byte)).count();
        let token = &rest[..length];
        let digits = token.strip_prefix(b"+").or(token.strip_prefix(b"-")).unwrap_or(token);
        let plain = digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
            && digits.iter().filter(|byte| **byte == b'.').count() <= 1
            && digits.iter().any(u8::is_ascii_digit)
            && length < 64;
        let Some(token) = std::str::from_utf8(token).ok().filter(|_| plain) else {
            return self.error("no number");
        };
        let value = match (token.parse::<i64>(), token.parse::<f64>()) {
            (Ok(value), _) => Object::Integer(value),
            // Minus zero is zero.
            (_, Ok(value)) => Object::Real(value + 0.0),
            _ => return self.error("no number"),
        };
        self.at += length;
        Ok(value)
    }

    fn name(&mut self) -> Result<Box<[u8]>> {
        self.at += 1;
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take_while(|&&byte| is_regular(byte)).count();
        let raw = &rest[..length];
        if !raw.contains(&b'#') {
            self.at += length;
            return Ok(raw.into());
        }
        let mut name = Vec::with_capacity(length);
        let mut i = 0;
        while i < length {
            let mut byte = raw[i];
            if byte == b'#' {
                let digit = |at: usize| raw.get(at).copied().and_then(hex_digit);
                let (Some(high), Some(low)) = (digit(i + 1), digit(i + 2)) else {
                    return self.error("a name with a bad # code");
                };
                byte = high << 4 | low;
                i += 2;
            }
            name.push(byte);
            i += 1;
        }
        self.at += length;
        Ok(name.into())
    }

    fn dict(&mut self, depth: usize) -> Result<Dict> {
        let start = self.at;
        self.at += 2;
        let mut entries = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                Some(b'/') => {
                    let key = self.name()?;
                    entries.push((key, self.nested(depth)?));
                }
                Some(b'>') if self.bytes.get(self.at + 1) == Some(&b'>') => {
                    self.at += 2;
                    return Dict::new(entries, start);
                }
                _ => return self.error("no key of a dictionary"),
            }
        }
    }

    fn text(&self, bytes: Vec<u8>, start: usize) -> Text {
        // Files are far smaller than 4 GiB.
        Text { bytes: bytes.into(), start: start as u32, end: self.at as u32 }
    }

    fn hexadecimal(&mut self) -> Result<Text> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        let mut half = None;
        loop {
            let Some(byte) = self.peek() else { return self.error("a string without an end") };
            self.at += 1;
            match (byte, hex_digit(byte)) {
                (b'>', _) => break,
                (_, Some(digit)) => match half.take() {
                    None => half = Some(digit << 4),
                    Some(high) => bytes.push(high | digit),
                },
                _ if is_space(byte) => {}
                _ => return self.error("no hexadecimal digit in a string"),
            }
        }
        // A missing last digit is zero (7.3.4.3).
        bytes.extend(half);
        self.digits += self.at - start;
        Ok(self.text(bytes, start))
    }

    fn literal(&mut self) -> Result<Text> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        let mut open = 1usize;
        loop {
            let Some(byte) = self.peek() else { return self.error("a string without an end") };
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        return Ok(self.text(bytes, start));
                    }
                }
                b'\\' => {
                    self.escape(&mut bytes);
                    continue;
                }
                // An end of line is a line feed, however it was written.
                b'\r' => {
                    if self.peek() == Some(b'\n') {
                        self.at += 1;
                    }
                    bytes.push(b'\n');
                    continue;
                }
                _ => {}
            }
            bytes.push(byte);
        }
    }

    /// What follows a backslash (7.3.4.2, table 3).
    fn escape(&mut self, bytes: &mut Vec<u8>) {
        let Some(byte) = self.peek() else { return };
        self.at += 1;
        match byte {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'\n' => {}
            b'\r' => {
                if self.peek() == Some(b'\n') {
                    self.at += 1;
                }
            }
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                bytes.push(code as u8);
            }
            other => bytes.push(other),
        }
    }

    /// The number and generation of the object that starts here.
    pub fn head(&mut self) -> Option<(u32, u16)> {
        let _ = self.blanks();
        self.number_and_generation()
    }

    /// `12 0 obj … endobj`. `length` gives the value of a stream's /Length when that is a reference.
    pub fn numbered(
        &mut self,
        expected: (u32, u16),
        length: impl FnOnce(&Object) -> Option<usize>,
    ) -> Result<Numbered> {
        let number = expected.0;
        let wrong = |what| PdfError::Object { number, what };
        // The cross-reference names the object's first byte; some writers name the end of line before it.
        if self.head() != Some(expected) || !self.keyword("obj") {
            return Err(wrong("it is not where the cross-reference says"));
        }
        let value = self.object()?;
        self.skip();
        let mut data = None;
        if let (Object::Dict(dict), true) = (&value, self.keyword("stream")) {
            // 7.3.8.1: not a carriage return alone.
            self.at += match self.bytes.get(self.at..).unwrap_or_default() {
                [b'\r', b'\n', ..] => 2,
                [b'\n', ..] => 1,
                _ => return Err(wrong("no end of line after `stream`")),
            };
            let length = dict.get(b"Length").and_then(length).ok_or(wrong("a stream without a length"))?;
            let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len());
            let range = self.at..end.ok_or(wrong("a stream longer than the file"))?;
            self.at = range.end;
            let _ = self.blanks();
            if !self.keyword("endstream") {
                return Err(wrong("a stream of another length than it says"));
            }
            data = Some(range);
            self.skip();
        }
        if !self.keyword("endobj") {
            return Err(wrong("no `endobj` at its end"));
        }
        Ok(Numbered { value, data, nodes: self.nodes, comments: self.comments })
    }
}
