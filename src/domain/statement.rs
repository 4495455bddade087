//! The statement that an agency's seal is over when it revokes or updates a document it sent.
//!
//! A notice has no content of its own, so what is sealed is this text. Both nodes make it from the notice, and so can a
//! person who looks at the seal years later. It names the document and no recipient: one seal serves all deliveries.
//!
//! ```text
//! lienthong/statement/1
//! kind revoke
//! sender H09.1
//! number 12
//! notation CV-VP
//! year 2016
//! document 5c9f…                        SHA-256, the digest by which the same document is known
//! metadata 77ab…                        for an update: the digest of the metadata that shall be in force
//! reason Ban hành nhầm thẩm quyền
//! ```
//! UTF-8; each line ends with a line feed; digests are in lower-case hexadecimal; `sender` is the permanent id; number and
//! notation are in Unicode normalization form C, the reason is as it was written. A backslash, line feed, carriage return
//! or tab inside a value is written `\\`, `\n`, `\r`, `\t`, so that no value can look like another line.

use super::document::{Kind, Metadata, metadata_digest};
use super::ids::{AgencyId, Digest, DocumentKey};

/// First line.
const VERSION: &str = "lienthong/statement/1";

/// The statement of a revoke or update.
pub fn statement(
    kind: Kind,
    sender: &AgencyId,
    key: &DocumentKey,
    document: &Digest,
    metadata: Option<&Metadata>,
    reason: &str,
) -> String {
    let mut text = format!("{VERSION}\n");
    let mut line = |name: &str, value: &str| {
        text.push_str(name);
        text.push(' ');
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                c => text.push(c),
            }
        }
        text.push('\n');
    };
    line("kind", kind.as_str());
    line("sender", sender.as_str());
    line("number", key.number());
    line("notation", key.notation());
    line("year", &key.year().to_string());
    line("document", &document.to_string());
    if let Some(metadata) = metadata {
        line("metadata", &metadata_digest(metadata).to_string());
    }
    line("reason", reason);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Reason;
    use crate::merkle::sha256;

    fn made(number: &str, notation: &str, reason: &str) -> String {
        let sender = AgencyId::new("H09.1").unwrap();
        let key = DocumentKey::new(number, notation, 2016).unwrap();
        statement(Kind::Revoke, &sender, &key, &sha256(b"doc"), None, reason)
    }

    #[test]
    fn the_text_is_fixed() {
        let digest = sha256(b"doc");
        let expected = format!(
            "lienthong/statement/1\nkind revoke\nsender H09.1\nnumber 12\nnotation CV-VP\nyear 2016\n\
             document {digest}\nreason sai\\nthẩm quyền \\\\ 1\n"
        );
        assert_eq!(made("12", "CV-VP", "sai\nthẩm quyền \\ 1"), expected);
    }

    #[test]
    fn no_value_looks_like_another_line() {
        let text = made("1", "A", "a\nyear 2017");
        assert_eq!(text.lines().filter(|line| line.starts_with("year ")).collect::<Vec<_>>(), ["year 2016"]);
        assert_eq!(text.lines().last(), Some("reason a\\nyear 2017"));
        for (number, notation) in [("1\nyear 1", "A"), ("1", "A\nyear 2"), ("1", "A\u{2028}year 2")] {
            assert_eq!(DocumentKey::new(number, notation, 2016).unwrap_err().reason, Reason::InvalidText);
        }
    }
}
