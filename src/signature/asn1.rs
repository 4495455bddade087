//! A byte-preserving reader of DER (X.690), and a few lines to write it.
//!
//! Everything read is a slice of what was received: what is hashed, compared or verified is never encoded anew.
//! Lengths are definite and minimal and tags are single bytes, as DER and the structures of RFC 5280 have them;
//! anything else is refused. CMS may be BER (RFC 5652 §1), and for its wrapping there are two exceptions: a reader
//! made by [`Reader::ber`] takes lengths in more octets than needed, and [`definite`] first rewrites what is in
//! indefinite lengths or strings in pieces. Neither touches an element that is definite through and through, so a
//! certificate stays the bytes that were sent; RFC 5652 §5.4 hashes the DER form of the signed attributes whatever
//! form was sent.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::time::Timestamp;

use super::limits::MAX_BER_DEPTH;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The bit of an identifier octet that says that elements are inside.
const CONSTRUCTED: u8 = 0x20;

/// The identifier octet of a constructed context-specific element.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// What is wrong with an encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Asn1Error {
    #[error("it ends too early")]
    Truncated,
    #[error("tag 0x{found:02x} where {what} should be")]
    Unexpected { what: &'static str, found: u8 },
    #[error("nothing where {0} should be")]
    Missing(&'static str),
    #[error("{count} bytes too many after {what}")]
    Trailing { what: &'static str, count: usize },
    #[error("a length that is not DER")]
    Length,
    #[error("a tag number above 30")]
    LongTag,
    #[error("a bad value in {0}")]
    Value(&'static str),
    #[error("it is nested too deeply")]
    Depth,
}

/// One element: its identifier octet, its contents, and all its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tlv<'a> {
    pub tag: u8,
    pub value: &'a [u8],
    pub raw: &'a [u8],
}

/// Reads elements one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8], Form);

/// Whether a length has as many octets as it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Der,
    Ber,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes, Form::Der)
    }

    /// A reader that takes definite lengths in more octets than needed, here and in what it enters.
    pub fn ber(bytes: &'a [u8]) -> Self {
        Reader(bytes, Form::Ber)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left to read.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next element, whatever it is.
    pub fn any(&mut self) -> Result<Tlv<'a>, Asn1Error> {
        let (header, length) = header(self.0, self.1)?;
        let length = length.ok_or(Asn1Error::Length)?;
        let end = header.checked_add(length).ok_or(Asn1Error::Truncated)?;
        let raw = self.0.get(..end).ok_or(Asn1Error::Truncated)?;
        self.0 = &self.0[end..];
        Ok(Tlv { tag: raw[0], value: &raw[header..], raw })
    }

    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8, what: &'static str) -> Result<Tlv<'a>, Asn1Error> {
        match self.0.first() {
            None => Err(Asn1Error::Missing(what)),
            Some(&found) if found != tag => Err(Asn1Error::Unexpected { what, found }),
            Some(_) => self.any(),
        }
    }

    /// The next element if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, Asn1Error> {
        if self.0.first() == Some(&tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// A reader of the contents of the next element.
    pub fn enter(&mut self, tag: u8, what: &'static str) -> Result<Reader<'a>, Asn1Error> {
        Ok(Reader(self.expect(tag, what)?.value, self.1))
    }

    /// That nothing follows.
    pub fn end(&self, what: &'static str) -> Result<(), Asn1Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Asn1Error::Trailing { what, count: self.0.len() }) }
    }
}

/// The length of a header, and that of the contents; none for the indefinite form.
fn header(bytes: &[u8], form: Form) -> Result<(usize, Option<usize>), Asn1Error> {
    let (&tag, &first) = match bytes {
        [tag, first, ..] => (tag, first),
        _ => return Err(Asn1Error::Truncated),
    };
    if tag & 0x1f == 0x1f {
        return Err(Asn1Error::LongTag);
    }
    match first {
        0..=0x7f => Ok((2, Some(usize::from(first)))),
        0x80 => Ok((2, None)),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let octets = bytes.get(2..2 + count).ok_or(Asn1Error::Truncated)?;
            let length = octets.iter().fold(0u64, |n, &b| n << 8 | u64::from(b));
            if form == Form::Der && (octets[0] == 0 || length < 0x80) {
                return Err(Asn1Error::Length);
            }
            Ok((2 + count, Some(usize::try_from(length).map_err(|_| Asn1Error::Length)?)))
        }
        _ => Err(Asn1Error::Length),
    }
}

/// The same element in definite lengths and with its octet strings in one piece; as it is if it was so. Whatever
/// follows the element stays behind it, for the caller to refuse.
pub(crate) fn definite(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Asn1Error> {
    match rewrite(bytes, MAX_BER_DEPTH)? {
        (None, _) => Ok(Cow::Borrowed(bytes)),
        (Some(mut out), used) => {
            out.extend_from_slice(&bytes[used..]);
            Ok(Cow::Owned(out))
        }
    }
}

/// The first element in definite lengths, none if that changes nothing, and the bytes of input that it took. What
/// cannot be read inside a definite length is left alone: it is for its reader to refuse, or to pass over.
fn rewrite(bytes: &[u8], depth: usize) -> Result<(Option<Vec<u8>>, usize), Asn1Error> {
    let depth = depth.checked_sub(1).ok_or(Asn1Error::Depth)?;
    let (head, length) = header(bytes, Form::Ber)?;
    let tag = bytes[0];
    let limit = match length {
        Some(length) => {
            head.checked_add(length).filter(|&end| end <= bytes.len()).ok_or(Asn1Error::Truncated)?
        }
        None if tag & CONSTRUCTED == 0 => return Err(Asn1Error::Length),
        None => bytes.len(),
    };
    if tag & CONSTRUCTED == 0 {
        return Ok((None, limit));
    }
    // Written only from the first change on: nearly everything that comes is in definite lengths.
    let (mut at, mut contents) = (head, length.is_none().then(Vec::new));
    loop {
        if length.is_some() && at == limit {
            break;
        }
        if length.is_none() && bytes[at..limit].starts_with(&[0, 0]) {
            at += 2;
            break;
        }
        match rewrite(&bytes[at..limit], depth) {
            Ok((child, used)) => {
                if child.is_some() && contents.is_none() {
                    contents = Some(bytes[head..at].to_vec());
                }
                if let Some(contents) = &mut contents {
                    contents.extend_from_slice(child.as_deref().unwrap_or(&bytes[at..at + used]));
                }
                at += used;
            }
            Err(_) if length.is_some() => {
                if let Some(contents) = &mut contents {
                    contents.extend_from_slice(&bytes[at..limit]);
                }
                at = limit;
            }
            Err(e) => return Err(e),
        }
    }
    let Some(contents) = contents else { return Ok((None, limit)) };
    if tag == OCTET_STRING | CONSTRUCTED {
        // X.690 §8.7.3: the pieces, one after the other, are the string.
        let (mut pieces, mut whole) = (Reader::ber(&contents), Vec::with_capacity(contents.len()));
        while !pieces.is_empty() {
            whole.extend_from_slice(pieces.expect(OCTET_STRING, "a piece of a string")?.value);
        }
        return Ok((Some(tlv(OCTET_STRING, &[&whole])), at));
    }
    Ok((Some(tlv(tag, &[&contents])), at))
}

/// Encodes an element from the parts of its contents.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|p| p.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let skip = octets.iter().take_while(|&&b| b == 0).count();
        out.push(0x80 | (octets.len() - skip) as u8);
        out.extend_from_slice(&octets[skip..]);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// X.690 §11.6: the order of the elements of a SET OF in DER. No complete element is a prefix of another, so plain
/// comparison is that of the padded octet strings.
pub(crate) fn set_of_order(a: &[u8], b: &[u8]) -> Ordering {
    a.cmp(b)
}

/// An object identifier's arcs with dots.
pub(crate) fn dotted(oid: &[u8]) -> String {
    der::asn1::ObjectIdentifier::from_bytes(oid)
        .map_or_else(|_| "a bad object identifier".into(), |o| o.to_string())
}

/// A UTCTime or GeneralizedTime (RFC 5280 §4.1.2.5), fractions of a second allowed and cut off at milliseconds.
pub(crate) fn time(tlv: Tlv<'_>) -> Result<Timestamp, Asn1Error> {
    const BAD: Asn1Error = Asn1Error::Value("a time");
    let text = tlv.value.strip_suffix(b"Z").ok_or(BAD)?;
    let number = |from: usize, to: usize| {
        text.get(from..to).ok_or(BAD)?.iter().try_fold(0u32, |n, b| match b {
            b'0'..=b'9' => Ok(n * 10 + u32::from(b - b'0')),
            _ => Err(BAD),
        })
    };
    let (year, at) = match tlv.tag {
        UTC_TIME if text.len() == 12 => (number(0, 2).map(|y| if y < 50 { 2000 + y } else { 1900 + y })?, 2),
        GENERALIZED_TIME if text.len() == 14 || text.get(14) == Some(&b'.') => (number(0, 4)?, 4),
        _ => return Err(BAD),
    };
    let field = |i: usize| number(at + 2 * i, at + 2 * i + 2).map(|n| n as u8);
    let month = time::Month::try_from(field(0)?).map_err(|_| BAD)?;
    let date = time::Date::from_calendar_date(year as i32, month, field(1)?).map_err(|_| BAD)?;
    let clock = time::Time::from_hms(field(2)?, field(3)?, field(4)?).map_err(|_| BAD)?;
    let mut millis = 0;
    if tlv.tag == GENERALIZED_TIME && text.len() > 14 {
        let digits = text.len() - 15;
        if !(1..=9).contains(&digits) {
            return Err(BAD);
        }
        millis = i64::from(number(15, text.len())?) * 1000 / 10i64.pow(digits as u32);
    }
    Ok(Timestamp::from_secs(date.with_time(clock).assume_utc().unix_timestamp()).plus_millis(millis))
}

/// The time as RFC 5652 §11.3 writes it: UTCTime for 1950 to 2049, else GeneralizedTime, whole seconds.
pub(crate) fn encode_time(at: Timestamp) -> Option<Vec<u8>> {
    let t = time::OffsetDateTime::from_unix_timestamp(at.secs()).ok()?;
    let (year, rest) = (t.year(), (u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second()));
    let (mo, d, h, mi, s) = rest;
    match year {
        1950..=2049 => {
            let text = format!("{:02}{mo:02}{d:02}{h:02}{mi:02}{s:02}Z", year % 100);
            Some(tlv(UTC_TIME, &[text.as_bytes()]))
        }
        0..=9999 => {
            let text = format!("{year:04}{mo:02}{d:02}{h:02}{mi:02}{s:02}Z");
            Some(tlv(GENERALIZED_TIME, &[text.as_bytes()]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(tag: u8, text: &str) -> Option<i64> {
        time(Tlv { tag, value: text.as_bytes(), raw: &[] }).ok().map(Timestamp::millis)
    }

    #[test]
    fn lengths_are_minimal_and_definite() {
        for bad in
            [&[4, 0x81, 1, 0][..], &[4, 0x82, 0, 0x80], &[0x30, 0x80, 0, 0], &[4, 2, 0], &[4], &[0x1f, 1, 0]]
        {
            assert!(Reader::new(bad).any().is_err(), "{bad:x?}");
        }
        let long = tlv(OCTET_STRING, &[&[7; 300]]);
        assert_eq!(Reader::new(&long).any().unwrap().value, &[7; 300]);
    }

    #[test]
    fn indefinite_lengths_become_definite_and_nothing_else_changes() {
        let ber = [0x30, 0x80, 0xa0, 0x80, 4, 1, 9, 0, 0, 0x31, 3, 2, 1, 5, 0, 0, 0xff];
        let der = [0x30, 10, 0xa0, 3, 4, 1, 9, 0x31, 3, 2, 1, 5, 0xff];
        assert_eq!(&*definite(&ber).unwrap(), &der);
        assert!(definite(&ber[..14]).is_err());
        assert_eq!(definite(&[0x30, 0x80].repeat(100)), Err(Asn1Error::Depth));
    }

    #[test]
    fn times_read_with_and_without_a_fraction() {
        assert_eq!(parse(UTC_TIME, "700101000001Z"), Some(1000));
        assert_eq!(parse(UTC_TIME, "491231235959Z"), Some(2_524_607_999_000));
        assert_eq!(parse(UTC_TIME, "500101000000Z"), Some(-631_152_000_000));
        assert_eq!(parse(GENERALIZED_TIME, "19700101000001.25Z"), Some(1250));
        for bad in
            ["20161301000000Z", "20160230000000Z", "20160101000000", "20160101000000.Z", "2016010100000éZ"]
        {
            assert_eq!(parse(GENERALIZED_TIME, bad), None, "{bad}");
        }
        let at = Timestamp::from_secs(1_470_441_600);
        let wire = encode_time(at).unwrap();
        assert_eq!(time(Reader::new(&wire).any().unwrap()), Ok(at));
        assert_eq!(encode_time(Timestamp::from_secs(2_524_608_000)).unwrap()[0], GENERALIZED_TIME);
    }
}
