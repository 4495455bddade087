//! Signed notes: a text, a blank line, signature lines ([C2SP signed-note]).
//!
//! ```text
//! any text, blank lines included, ending in a newline
//!
//! — <key name> <base64 of key id and signature>
//! ```
//!
//! The text ends at the *last* blank line. Reading is strict, so a note has one spelling:
//! [`Note::to_string`](ToString::to_string) gives back the very bytes that were read. What a note says
//! counts only after [`Note::verify`].
//!
//! [C2SP signed-note]: https://c2sp.org/signed-note

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cosignature::verify_cosignature;
use super::note_key::{KeyAlgorithm, NoteVerifier, is_key_name};

/// The most signatures a note may carry: one check each must not add up to an attack, and the
/// specification wants at least 16 accepted.
pub const MAX_SIGNATURES: usize = 100;

/// A note as read; nothing in it is known to be signed before [`Note::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is signed, with its final newline.
    pub text: String,
    /// By whoever claims to have signed, in the note's order.
    pub signatures: Vec<NoteSignature>,
}

/// One signature line (C2SP signed-note, "Signatures").
///
/// [`FromStr`] takes it with or without its newline; [`fmt::Display`] writes it without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub key_id: [u8; 4],
    /// What the key made; its form depends on the signature type.
    pub signature: Vec<u8>,
}

impl Note {
    /// Reads a note of at most `max_bytes` (C2SP signed-note, "Format").
    pub fn parse(note: impl AsRef<[u8]>, max_bytes: usize) -> Result<Note, NoteError> {
        let bytes = note.as_ref();
        if bytes.len() > max_bytes {
            return Err(NoteError::TooLarge { bytes: bytes.len(), limit: max_bytes });
        }
        let note = std::str::from_utf8(bytes)
            .map_err(|error| NoteError::NotUtf8 { valid_up_to: error.valid_up_to() })?;
        if let Some(at) = note.bytes().position(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::ControlCharacter { byte: note.as_bytes()[at], at });
        }
        let split = note.rfind("\n\n").ok_or(NoteError::NoSignatureBlock)?;
        let (text, block) = (&note[..split + 1], &note[split + 2..]);
        let block = block.strip_suffix('\n').ok_or(NoteError::NoSignatureBlock)?;
        let count = block.split('\n').count();
        if count > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures { count });
        }
        let signatures = block
            .split('\n')
            .zip(1..)
            .map(|(line, number)| parse_line(line).ok_or(NoteError::SignatureLine { number }))
            .collect::<Result<_, _>>()?;
        Ok(Note { text: text.to_owned(), signatures })
    }

    /// Checks that the key has signed the text.
    ///
    /// Signatures by other keys are ignored, also such that share only the name or only the id. Every
    /// signature that claims to be this key's must be right, and there must be one.
    pub fn verify(&self, verifier: &NoteVerifier) -> Result<(), NoteError> {
        let mut signed = false;
        for signature in self.signatures.iter().filter(|signature| verifier.made(signature)) {
            match verifier.algorithm() {
                KeyAlgorithm::Ed25519 => {
                    if !verifier.verify_bytes(self.text.as_bytes(), &signature.signature) {
                        return Err(NoteError::bad_signature(verifier));
                    }
                }
                KeyAlgorithm::CosignatureV1 => {
                    verify_cosignature(&self.text, signature, verifier)?;
                }
            }
            signed = true;
        }
        if signed { Ok(()) } else { Err(NoteError::not_signed(verifier)) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.as_slice(), &self.signature].concat();
        write!(f, "\u{2014} {} {}", self.name, STANDARD.encode(bytes))
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<NoteSignature, NoteError> {
        parse_line(line.strip_suffix('\n').unwrap_or(line)).ok_or(NoteError::SignatureLine { number: 1 })
    }
}

/// Em dash, space, name, space, base64 of the key id and at least one more byte.
fn parse_line(line: &str) -> Option<NoteSignature> {
    let (name, base64) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = STANDARD.decode(base64).ok()?;
    let (key_id, signature) = bytes.split_first_chunk()?;
    if !is_key_name(name) || signature.is_empty() {
        return None;
    }
    Some(NoteSignature { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
}

/// Enough of a text of any length to recognise it in an error.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Why a note cannot be read or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than the caller allows.
    #[error("a note of {bytes} bytes is larger than {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The caller's limit.
        limit: usize,
    },
    /// Not text.
    #[error("the note is not UTF-8 after byte {valid_up_to}")]
    NotUtf8 {
        /// Where the text ends.
        valid_up_to: usize,
    },
    /// An ASCII control character other than newline.
    #[error("the note has control character {byte:#04x} at byte {at}")]
    ControlCharacter {
        /// The character.
        byte: u8,
        /// Its place.
        at: usize,
    },
    /// No blank line followed by complete lines.
    #[error("the note does not end in a blank line and signature lines")]
    NoSignatureBlock,
    /// More signatures than [`MAX_SIGNATURES`].
    #[error("the note has {count} signatures, more than {MAX_SIGNATURES}")]
    TooManySignatures {
        /// How many.
        count: usize,
    },
    /// Not a signature line.
    #[error("signature line {number} is not an em dash, a key name and base64")]
    SignatureLine {
        /// Counted from 1 after the blank line.
        number: usize,
    },
    /// The key asked about has not signed.
    #[error("not signed by key {name} ({key_id})")]
    NotSigned {
        /// The key's name.
        name: String,
        /// Its id in hexadecimal.
        key_id: String,
    },
    /// The key's signature is wrong.
    #[error("the signature of key {name} ({key_id}) is wrong")]
    BadSignature {
        /// The key's name.
        name: String,
        /// Its id in hexadecimal.
        key_id: String,
    },
    /// A key for note texts where a cosigner's is needed.
    #[error("key {name} is not a cosigner's")]
    NotCosigner {
        /// The key's name.
        name: String,
    },
    /// A cosignature whose time is beyond 2^63 - 1 seconds.
    #[error("cosignature time {unix_seconds} is out of range")]
    TimeOutOfRange {
        /// The time.
        unix_seconds: u64,
    },
}

impl NoteError {
    pub(super) fn not_signed(verifier: &NoteVerifier) -> NoteError {
        NoteError::NotSigned { name: verifier.name().to_owned(), key_id: hex::encode(verifier.key_id()) }
    }

    pub(super) fn bad_signature(verifier: &NoteVerifier) -> NoteError {
        NoteError::BadSignature { name: verifier.name().to_owned(), key_id: hex::encode(verifier.key_id()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "\u{2014} a AAAAAAA=";

    fn parse(note: &str) -> Result<Note, NoteError> {
        let read = Note::parse(note, 1 << 16);
        if let Ok(read) = &read {
            assert_eq!(read.to_string(), note);
        }
        read
    }

    #[test]
    fn the_text_ends_at_the_last_blank_line() {
        for text in ["a\n", "a\n\nb\n", "\n", "a\n\n", &format!("a\n\n{LINE}\n"), "có dấu, và đủ\n"] {
            assert_eq!(parse(&format!("{text}\n{LINE}\n")).unwrap().text, text);
        }
    }

    #[test]
    fn malformed_notes_are_refused() {
        let line = |number| NoteError::SignatureLine { number };
        let cases = [
            (String::new(), NoteError::NoSignatureBlock),
            (format!("\n{LINE}\n"), NoteError::NoSignatureBlock),
            (format!("a\n{LINE}\n"), NoteError::NoSignatureBlock),
            (format!("a\n\n{LINE}"), NoteError::NoSignatureBlock),
            ("a\n\n".to_owned(), NoteError::NoSignatureBlock),
            (format!("a\n\n{LINE}\nb\n"), line(2)),
            ("a\n\n- a AAAAAAA=\n".to_owned(), line(1)),
            ("a\n\n\u{2014} a AAAAAA==\n".to_owned(), line(1)),
            ("a\n\n\u{2014} a AAAAAAB=\n".to_owned(), line(1)),
            ("a\n\n\u{2014} a AAAAAAA\n".to_owned(), line(1)),
            ("a\n\n\u{2014} a+b AAAAAAA=\n".to_owned(), line(1)),
            ("a\n\n\u{2014}  AAAAAAA=\n".to_owned(), line(1)),
            ("a\n\n\u{2014} a  AAAAAAA=\n".to_owned(), line(1)),
            ("a\n\n\u{2014} a AAAAAAA= \n".to_owned(), line(1)),
            (format!("a\tb\n\n{LINE}\n"), NoteError::ControlCharacter { byte: 9, at: 1 }),
            (format!("a\n\n{LINE}\r\n"), NoteError::ControlCharacter { byte: 13, at: 17 }),
        ];
        for (note, error) in cases {
            assert_eq!(parse(&note), Err(error), "{note:?}");
        }
        assert_eq!(Note::parse(b"a\xff\n", 100), Err(NoteError::NotUtf8 { valid_up_to: 1 }));
    }

    #[test]
    fn size_and_number_of_signatures_are_bounded() {
        let note = |count| format!("a\n\n{}", format!("{LINE}\n").repeat(count));
        assert_eq!(parse(&note(100)).unwrap().signatures.len(), 100);
        assert_eq!(parse(&note(101)), Err(NoteError::TooManySignatures { count: 101 }));
        assert!(Note::parse(note(1), note(1).len()).is_ok());
        assert_eq!(Note::parse(note(1), 16), Err(NoteError::TooLarge { bytes: note(1).len(), limit: 16 }));
    }
}
