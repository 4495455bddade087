//! Identifiers, each parsed once. Private fields, fallible constructors, `Display` that round-trips.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::limits;
use super::reason::{Reason, Rejection};
use crate::merkle::{Hash, sha256};

/// A SHA-256 digest of content, envelope or proof.
pub type Digest = Hash;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// An agency's permanent id in the directory; it stays when codes change. 1 to 35 characters.
    AgencyId
}

text_id! {
    /// A node's name: letters, digits, `-` and `.`, 1 to 63 characters.
    NodeName
}

text_id! {
    /// A client's idempotency key: 1 to 64 printable ASCII characters.
    RequestId
}

impl AgencyId {
    /// Checks length and characters; whether it exists is the directory's to say.
    pub fn new(text: &str) -> Result<Self, Rejection> {
        text_field("agency", text, limits::AGENCY_CODE_CHARS)?;
        Ok(AgencyId(text.into()))
    }
}

impl NodeName {
    /// Checks length and characters.
    pub fn new(text: &str) -> Result<Self, Rejection> {
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
            && !text.starts_with(['-', '.']);
        if !fits {
            return Err(Rejection::new(
                Reason::InvalidText,
                "node",
                format!("`{}` is no node name: use 1 to 63 letters, digits, `-` or `.`", shorten(text)),
            ));
        }
        Ok(NodeName(text.into()))
    }

    /// Origin line of this node's log of one generation.
    pub fn log_origin(&self, generation: u32) -> String {
        format!("{}/log/{generation}", self.0)
    }
}

/// Request ids that the node gives itself begin with this; a client's must not.
const AUTOMATIC: &str = "node:";

impl RequestId {
    /// The id of the message that this node sends by itself about a delivery.
    pub fn automatic(id: &DeliveryId) -> Self {
        let hex = id.to_string();
        RequestId(format!("{AUTOMATIC}{}", &hex[..limits::REQUEST_ID_CHARS - AUTOMATIC.len()]).into())
    }

    /// From a client: as [`RequestId::new`], and none of those that the node gives itself.
    pub fn from_client(text: &str) -> Result<Self, Rejection> {
        if text.starts_with(AUTOMATIC) {
            return Err(Rejection::new(
                Reason::InvalidText,
                "request_id",
                format!(
                    "`{}` begins with `{AUTOMATIC}`, which is the node's own: choose another",
                    shorten(text)
                ),
            ));
        }
        RequestId::new(text)
    }

    /// Checks length and characters.
    pub fn new(text: &str) -> Result<Self, Rejection> {
        if text.is_empty() {
            return Err(Rejection::missing("request_id"));
        }
        if text.len() > limits::REQUEST_ID_CHARS || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Rejection::new(
                Reason::InvalidText,
                "request_id",
                format!("`{}` is no request id: use 1 to 64 printable ASCII characters", shorten(text)),
            ));
        }
        Ok(RequestId(text.into()))
    }
}

/// Id of one delivery: a hash that the origin fixes (see [`DeliveryId::of_document`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryId(Hash);

impl Default for DeliveryId {
    /// All zeros: no delivery.
    fn default() -> Self {
        DeliveryId(Hash([0; 32]))
    }
}

impl DeliveryId {
    /// From 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Rejection> {
        Hash::from_slice(bytes).map(DeliveryId).ok_or_else(|| {
            Rejection::new(
                Reason::InvalidText,
                "delivery_id",
                format!("{} bytes are no delivery id: it has 32", bytes.len()),
            )
        })
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Id of the `attempt`-th delivery of a document to a recipient.
    pub fn of_document(sender: &AgencyId, kind: u8, key: &DocumentKey, to: &AgencyId, attempt: u32) -> Self {
        DeliveryId(framed(&[
            b"lienthong/delivery/1",
            sender.0.as_bytes(),
            &[kind],
            key.number.as_bytes(),
            key.notation.as_bytes(),
            &key.year.to_be_bytes(),
            to.0.as_bytes(),
            &attempt.to_be_bytes(),
        ]))
    }

    /// Id of the `number`-th notice that `sender` sends about the delivery `target`.
    pub fn of_notice(sender: &AgencyId, kind: u8, target: &DeliveryId, number: u32, to: &AgencyId) -> Self {
        DeliveryId(framed(&[
            b"lienthong/notice/1",
            sender.0.as_bytes(),
            &[kind],
            target.as_bytes(),
            &number.to_be_bytes(),
            to.0.as_bytes(),
        ]))
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DeliveryId {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        let bytes = hex::decode(text).map_err(|_| {
            Rejection::new(
                Reason::InvalidText,
                "delivery_id",
                format!("`{}` is no delivery id: it is 64 hexadecimal digits", shorten(text)),
            )
        })?;
        DeliveryId::from_slice(&bytes)
    }
}

/// What names a document within its sender: number, notation and year (Decree 30/2020/NĐ-CP, art. 15), in Unicode
/// normalization form C.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocumentKey {
    number: String,
    notation: String,
    year: i32,
}

impl DocumentKey {
    /// Checks and normalises number and notation.
    pub fn new(number: &str, notation: &str, year: i32) -> Result<Self, Rejection> {
        let number: String = number.nfc().collect();
        let notation: String = notation.nfc().collect();
        text_field("metadata.number", &number, limits::NUMBER_CHARS)?;
        text_field("metadata.notation", &notation, limits::NOTATION_CHARS)?;
        Ok(DocumentKey { number, notation, year })
    }

    /// Number in the agency's register.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Notation.
    pub fn notation(&self) -> &str {
        &self.notation
    }

    /// Year of issue.
    pub fn year(&self) -> i32 {
        self.year
    }

    /// A fixed-size name of the key within its sender, for fold keys.
    pub fn hash(&self) -> Hash {
        framed(&[
            b"lienthong/key/1",
            self.number.as_bytes(),
            self.notation.as_bytes(),
            &self.year.to_be_bytes(),
        ])
    }
}

impl fmt::Display for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.number, self.notation, self.year)
    }
}

/// SHA-256 over fields, each preceded by its length, so that no two lists of fields give the same input.
pub fn framed(fields: &[&[u8]]) -> Hash {
    let mut input = Vec::with_capacity(fields.iter().map(|f| f.len() + 4).sum());
    for field in fields {
        input.extend_from_slice(&(field.len() as u32).to_be_bytes());
        input.extend_from_slice(field);
    }
    sha256(&input)
}

/// Refuses a required name that is empty, too long, or holds control characters, line breaks or outer white space.
pub fn text_field(field: &'static str, text: &str, max: usize) -> Result<(), Rejection> {
    required(field, text)?;
    one_line(field, text, max)
}

/// The same for a required text that may have several lines.
pub fn lines_field(field: &'static str, text: &str, max: usize) -> Result<(), Rejection> {
    required(field, text)?;
    optional_text(field, text, max)
}

fn required(field: &'static str, text: &str) -> Result<(), Rejection> {
    if text.trim().is_empty() {
        return Err(Rejection::missing(field));
    }
    if text.trim() != text {
        return Err(Rejection::new(
            Reason::InvalidText,
            field,
            format!("`{}` begins or ends with white space: send it without", shorten(text)),
        ));
    }
    Ok(())
}

/// Refuses a name, which may be empty, that is too long or is not on one line: what is listed line by line must not be able
/// to make up lines.
pub fn one_line(field: &'static str, text: &str, max: usize) -> Result<(), Rejection> {
    plain(field, text, max, |c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'), " on one line")
}

/// Refuses a text, which may be empty, that is too long or holds control characters; line breaks and tabs are allowed.
pub fn optional_text(field: &'static str, text: &str, max: usize) -> Result<(), Rejection> {
    plain(field, text, max, |c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'), "")
}

fn plain(
    field: &'static str,
    text: &str,
    max: usize,
    refused: impl Fn(char) -> bool,
    what: &str,
) -> Result<(), Rejection> {
    let chars = text.chars().count();
    if chars > max {
        return Err(Rejection::new(
            Reason::TooLong,
            field,
            format!("{chars} characters are more than the {max} allowed: shorten it"),
        ));
    }
    if text.chars().any(refused) {
        return Err(Rejection::new(
            Reason::InvalidText,
            field,
            format!("`{}` holds control characters: send plain text{what}", shorten(text)),
        ));
    }
    Ok(())
}

/// The beginning of a text from outside, for messages.
pub fn shorten(text: &str) -> String {
    let mut out: String =
        text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().count() > 60 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_unicode_form_is_the_same_key() {
        let composed = DocumentKey::new("12", "QĐ-Tỉnh", 2016).unwrap();
        let decomposed = DocumentKey::new("12", &"QĐ-Tỉnh".nfd().collect::<String>(), 2016).unwrap();
        assert_eq!(composed, decomposed);
        assert_eq!(composed.hash(), decomposed.hash());
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        assert_ne!(framed(&[b"ab", b"c"]), framed(&[b"a", b"bc"]));
    }

    #[test]
    fn overlong_and_odd_keys_are_refused_with_their_reason() {
        let reason = |n: &str, s: &str| DocumentKey::new(n, s, 2016).unwrap_err().reason;
        assert_eq!(reason("", "CV"), Reason::MissingField);
        assert_eq!(reason("123456789012", "CV"), Reason::TooLong);
        assert_eq!(reason("1", " CV"), Reason::InvalidText);
        assert_eq!(reason("1", "C\u{0}V"), Reason::InvalidText);
    }
}
