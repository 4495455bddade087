//! Where the objects stand (ISO 32000-1, 7.5.4 to 7.5.8): the end of a file, and its cross-reference sections from
//! the newest to the oldest. Tables, streams, and tables with a stream beside them (hybrid files).
//!
//! What is read is what stands there. A file whose sections cannot be followed would have to be repaired, and what
//! a viewer makes of it by repairing is not what was signed.

use super::error::PdfError;
use super::object::{Dict, Object};
use super::parse::{Budget, Parser, is_space};
use super::stream;
use crate::signature::limits::{MAX_PDF_ENTRIES, MAX_PDF_NUMBER, MAX_PDF_REVISIONS};

type Result<T> = std::result::Result<T, PdfError>;

/// Where an object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Entry {
    /// Nowhere: free, or never listed.
    #[default]
    Free,
    /// At a place in the file.
    At { offset: u32, generation: u16 },
    /// In an object stream, as its object of this index.
    In { container: u32, index: u32 },
}

/// One cross-reference section, hybrid streams merged in.
#[derive(Debug)]
pub(crate) struct Section {
    /// What `startxref` or `/Prev` gives.
    pub offset: usize,
    /// Where it ends, trailer included.
    pub end: usize,
    /// In the order in which they apply.
    pub entries: Vec<(u32, Entry)>,
    pub trailer: Dict,
    /// The places of the cross-reference streams, which are objects themselves.
    pub streams: Vec<usize>,
    /// What of a stream some readers pass over and others do not.
    pub odd: Option<&'static str>,
}

/// The value of `startxref` at the end of a file or of a revision, which must end with %%EOF and white space.
pub(crate) fn startxref(bytes: &[u8]) -> Option<usize> {
    fn trim(bytes: &[u8]) -> &[u8] {
        let end = bytes.iter().rposition(|&byte| !is_space(byte)).map_or(0, |at| at + 1);
        &bytes[..end]
    }
    let before = trim(bytes).strip_suffix(b"%%EOF")?;
    let number = trim(before);
    // The number and the keyword stand on lines of their own (7.5.5).
    if number.len() == before.len() {
        return None;
    }
    let digits = number.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = number.split_at(number.len() - digits.min(15));
    let keyword = trim(before);
    if keyword.len() == before.len() || !keyword.ends_with(b"startxref") {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The sections from the oldest to the newest, which stands at `start`.
pub(crate) fn sections(bytes: &[u8], start: usize, budget: &Budget) -> Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    let (mut next, mut entries) = (Some(start), 0);
    while let Some(offset) = next {
        if sections.len() == MAX_PDF_REVISIONS {
            return Err(PdfError::Limit { what: "cross-reference sections", limit: MAX_PDF_REVISIONS });
        }
        if sections.iter().any(|known| known.offset == offset) {
            return Err(PdfError::File("its cross-reference sections go round in a circle"));
        }
        let section = section(bytes, offset, budget, &mut entries)?;
        if section.trailer.get(b"Encrypt").is_some() {
            return Err(PdfError::Encrypted);
        }
        next = match section.trailer.get(b"Prev") {
            None => None,
            Some(prev) => Some(prev.size().ok_or(PdfError::File("a /Prev that is no offset"))?),
        };
        sections.push(section);
    }
    sections.reverse();
    Ok(sections)
}

fn section(bytes: &[u8], offset: usize, budget: &Budget, count: &mut usize) -> Result<Section> {
    let mut parser = Parser::new(bytes, offset);
    if offset >= bytes.len() {
        return Err(PdfError::Syntax { what: "a cross-reference section after the end", at: offset });
    }
    // Some writers name the end of line before it.
    let _ = parser.blanks();
    if !parser.keyword("xref") {
        let mut entries = Vec::new();
        let (trailer, end, odd) = read_stream(bytes, offset, budget, count, &mut entries)?;
        once(&entries)?;
        return Ok(Section { offset, end, entries, trailer, streams: vec![offset], odd });
    }

    let mut table = Vec::new();
    loop {
        parser.skip();
        if parser.keyword("trailer") {
            break;
        }
        let bad = PdfError::Syntax { what: "no subsection of a cross-reference table", at: parser.at };
        let (Some(first), Some(())) = (parser.unsigned(), skip(&mut parser)) else { return Err(bad) };
        let (Some(length), Some(())) = (parser.unsigned(), skip(&mut parser)) else { return Err(bad) };
        for number in first..first.saturating_add(length) {
            let entry = table_entry(&mut parser)?;
            push(&mut table, number, entry, count, budget)?;
        }
    }
    let Object::Dict(trailer) = parser.object()? else {
        return Err(PdfError::Syntax { what: "no trailer dictionary", at: parser.at });
    };
    let end = parser.at;

    // 7.5.8.4: what the table does not list is looked up in the stream, then in the older section.
    let (mut entries, mut streams, mut odd) = (Vec::new(), Vec::new(), None);
    if let Some(hybrid) = trailer.get(b"XRefStm") {
        let at = hybrid.size().ok_or(PdfError::File("an /XRefStm that is no offset"))?;
        odd = read_stream(bytes, at, budget, count, &mut entries)?.2;
        streams.push(at);
    }
    entries.append(&mut table);
    once(&entries)?;
    Ok(Section { offset, end, entries, trailer, streams, odd })
}

/// Of two entries for one object in one section some readers take the first and some the last, and of a table and
/// the stream beside it some the one and some the other: such a file shows different things to different people.
fn once(entries: &[(u32, Entry)]) -> Result<()> {
    if entries.is_sorted_by(|a, b| a.0 < b.0) {
        return Ok(());
    }
    let mut sorted: Vec<&(u32, Entry)> = entries.iter().collect();
    sorted.sort_by_key(|(number, _)| *number);
    match sorted.windows(2).find(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1) {
        Some(pair) => Err(PdfError::Object { number: pair[0].0, what: "one section lists it at two places" }),
        None => Ok(()),
    }
}

fn skip(parser: &mut Parser) -> Option<()> {
    parser.skip();
    Some(())
}

/// `0000000016 00000 n`, with whatever white space after it.
fn table_entry(parser: &mut Parser) -> Result<Entry> {
    let bad = PdfError::Syntax { what: "no entry of a cross-reference table", at: parser.at };
    let (Some(offset), Some(())) = (parser.unsigned(), skip(parser)) else { return Err(bad) };
    let (Some(generation), Some(())) = (parser.unsigned(), skip(parser)) else { return Err(bad) };
    let used = parser.keyword("n");
    if !used && !parser.keyword("f") {
        return Err(bad);
    }
    parser.skip();
    if used { at(offset, generation).ok_or(bad) } else { Ok(Entry::Free) }
}

fn at(offset: u64, generation: u64) -> Option<Entry> {
    Some(Entry::At { offset: offset.try_into().ok()?, generation: generation.try_into().ok()? })
}

fn push(
    entries: &mut Vec<(u32, Entry)>,
    number: u64,
    entry: Entry,
    count: &mut usize,
    budget: &Budget,
) -> Result<()> {
    *count += 1;
    budget.work(1)?;
    if *count > MAX_PDF_ENTRIES {
        return Err(PdfError::Limit { what: "cross-reference entries", limit: MAX_PDF_ENTRIES });
    }
    match u32::try_from(number).ok().filter(|&n| n <= MAX_PDF_NUMBER) {
        // Number 0 heads the list of free entries and is no object.
        Some(0) => Ok(()),
        Some(number) => {
            entries.push((number, entry));
            Ok(())
        }
        None => Err(PdfError::Limit { what: "object numbers", limit: MAX_PDF_NUMBER as usize }),
    }
}

/// A cross-reference stream (7.5.8): its dictionary, which is the trailer, where it ends, and what is odd.
fn read_stream(
    bytes: &[u8],
    offset: usize,
    budget: &Budget,
    count: &mut usize,
    entries: &mut Vec<(u32, Entry)>,
) -> Result<(Dict, usize, Option<&'static str>)> {
    let bad = |what| PdfError::Syntax { what, at: offset };
    let mut parser = Parser::new(bytes, offset);
    let head = parser.head().ok_or(bad("no cross-reference section"))?;
    let mut parser = Parser::new(bytes, offset);
    let object = parser.numbered(head, Object::size)?;
    budget.work(parser.nodes())?;
    let (dict, data) = object.stream().ok_or(bad("no cross-reference section"))?;
    if !dict.is(b"Type", b"XRef") {
        return Err(bad("no cross-reference section"));
    }
    let data = stream::decode(dict, &bytes[data], budget)?;

    let sizes =
        |key: &[u8]| -> Option<Vec<usize>> { dict.get(key)?.array()?.iter().map(Object::size).collect() };
    let widths = sizes(b"W").filter(|w| w.len() >= 3 && w.iter().all(|&width| width <= 8));
    let widths = widths.ok_or(bad("bad widths in a cross-reference stream"))?;
    let size = dict.size(b"Size").ok_or(bad("a cross-reference stream without a size"))?;
    let index = match dict.get(b"Index") {
        None => vec![0, size],
        Some(_) => sizes(b"Index").ok_or(bad("a bad index in a cross-reference stream"))?,
    };
    let row = widths.iter().sum::<usize>();
    if row == 0 || index.len() % 2 != 0 {
        return Err(bad("a bad index in a cross-reference stream"));
    }
    let mut odd = (widths.len() != 3).then_some("another number of widths than three");
    let mut rows = data.chunks_exact(row);
    for pair in index.chunks_exact(2) {
        for number in pair[0]..pair[0].saturating_add(pair[1]) {
            let row = rows.next().ok_or(bad("a cross-reference stream that is too short"))?;
            let mut at_byte = 0;
            let mut fields = [1, 0, 0];
            for (field, &width) in fields.iter_mut().zip(&widths) {
                // A first field of no width is 1, others are 0 (table 17).
                if width > 0 {
                    *field = row[at_byte..at_byte + width].iter().fold(0, |n, &b| n << 8 | u64::from(b));
                }
                at_byte += width;
            }
            let entry = match fields {
                [1, offset, generation] => at(offset, generation),
                [2, container, index] => match (container.try_into(), index.try_into()) {
                    (Ok(container), Ok(index)) => Some(Entry::In { container, index }),
                    _ => None,
                },
                [0, ..] => Some(Entry::Free),
                _ => {
                    odd = Some("an entry of an unknown kind");
                    Some(Entry::Free)
                }
            };
            if number == 0 && entry != Some(Entry::Free) {
                odd = Some("an object with the number 0");
            }
            push(entries, number as u64, entry.ok_or(bad("a bad cross-reference entry"))?, count, budget)?;
        }
    }
    if rows.next().is_some() || !rows.remainder().is_empty() {
        odd = Some("more entries than it says");
    }
    Ok((dict.clone(), parser.at, odd))
}
