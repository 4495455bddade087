//! SHA-256 values and the tree's two ways of making them (RFC 9162, section 2.1.1).
//!
//! A leaf is hashed after a zero byte and an inner node after a one byte, so that no leaf can be passed
//! off as a node or the other way round.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use serde::{Deserialize, Serialize};

/// A SHA-256 value: of a leaf, of a node, of a whole tree or of plain bytes.
///
/// Printed in lowercase hexadecimal, which [`FromStr`] reads back; checkpoints write it in base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Takes a hash from bytes; `None` unless there are exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Hash> {
        bytes.try_into().ok().map(Hash)
    }

    /// Reads padded standard base64 (RFC 4648, section 4); `None` unless it is canonical and 32 bytes long.
    pub fn from_base64(text: &str) -> Option<Hash> {
        Hash::from_slice(&STANDARD.decode(text).ok()?)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Padded standard base64 (RFC 4648, section 4): 44 characters.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Hash, ParseHashError> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Hash(bytes)),
            // The text may be anything of any length: keep enough of it to be recognised.
            Err(_) => Err(ParseHashError { text: text.chars().take(80).collect() }),
        }
    }
}

/// A text that is not a hash in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits, not {text:?}")]
pub struct ParseHashError {
    /// What was given, cut after 80 characters.
    pub text: String,
}

/// SHA-256 of bytes as they are: for content and records, not for the tree.
pub fn sha256(data: &[u8]) -> Hash {
    finish(digest::digest(&digest::SHA256, data))
}

/// The hash of a leaf: `SHA-256(0x00 || leaf)` (RFC 9162, section 2.1.1).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[0x00]);
    context.update(leaf);
    finish(context.finish())
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)` (RFC 9162, section 2.1.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [0x01; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    sha256(&bytes)
}

/// The root of a tree without leaves: SHA-256 of nothing (RFC 9162, section 2.1.1).
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The root of a perfect tree over the given hashes, whose number must be a power of two.
pub(super) fn perfect_root(hashes: &[Hash]) -> Hash {
    debug_assert!(hashes.len().is_power_of_two());
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        let half = row.len() / 2;
        for i in 0..half {
            row[i] = node_hash(&row[2 * i], &row[2 * i + 1]);
        }
        row.truncate(half);
    }
    row[0]
}

fn finish(digest: digest::Digest) -> Hash {
    Hash::from_slice(digest.as_ref()).expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_known_values() {
        let cases = [
            (empty_root(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (leaf_hash(b""), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (leaf_hash(b"L123456"), "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"),
            (sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ];
        for (hash, hex) in cases {
            assert_eq!(hash.to_string(), hex);
            assert_eq!(hex.parse(), Ok(hash));
            assert_eq!(Hash::from_base64(&hash.to_base64()), Some(hash));
        }
        let node = node_hash(&leaf_hash(b"N123"), &leaf_hash(b"N456"));
        assert_eq!(perfect_root(&[leaf_hash(b"N123"), leaf_hash(b"N456")]), node);
        let mut plain = vec![1];
        plain.extend_from_slice(b"N123");
        assert_ne!(sha256(&plain), leaf_hash(b"N123"));
    }

    #[test]
    fn only_32_bytes_are_a_hash() {
        assert!("".parse::<Hash>().is_err());
        assert!("zz".repeat(32).parse::<Hash>().is_err());
        assert!("ab".repeat(33).parse::<Hash>().is_err());
        assert_eq!("é".repeat(500).parse::<Hash>().map_err(|e| e.text.chars().count()), Err(80));
        assert_eq!(Hash::from_slice(&[0; 31]), None);
        assert_eq!(Hash::from_base64("AAAA"), None);
        // One bit of the last digit is not part of the 32 bytes and must be zero.
        assert_eq!(Hash::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB="), None);
    }
}
