//! Keys of signed notes: who may sign, and signing ([C2SP signed-note]).
//!
//! A key is named by text and identified by four bytes of a hash over name, signature type and public
//! key. Its public half is written `<name>+<key id>+<base64 of type and key>`, the "vkey".
//!
//! Two signature types are known: plain Ed25519 (0x01) and the timestamped Ed25519 cosignature (0x04,
//! [C2SP tlog-cosignature]). Others are refused as keys and ignored as signatures.
//!
//! [C2SP signed-note]: https://c2sp.org/signed-note
//! [C2SP tlog-cosignature]: https://c2sp.org/tlog-cosignature

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::hash::sha256;
use super::note::{NoteSignature, excerpt};

/// How a key signs (C2SP signed-note, "Signature types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x04: Ed25519 over a time and the note's text, by a witness.
    CosignatureV1,
}

impl KeyAlgorithm {
    fn byte(self) -> u8 {
        match self {
            KeyAlgorithm::Ed25519 => 0x01,
            KeyAlgorithm::CosignatureV1 => 0x04,
        }
    }
}

/// The public half of a note key (C2SP signed-note, "Verifier keys").
///
/// [`FromStr`] and [`fmt::Display`] are the vkey text and round-trip exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NoteVerifier {
    name: String,
    algorithm: KeyAlgorithm,
    public_key: [u8; 32],
    key_id: [u8; 4],
}

impl NoteVerifier {
    /// A key that signs note texts, such as a log's or a directory authority's.
    pub fn new_ed25519(name: &str, public_key: &[u8; 32]) -> Result<NoteVerifier, KeyError> {
        NoteVerifier::new(name, KeyAlgorithm::Ed25519, public_key)
    }

    /// A key that cosigns checkpoints.
    pub fn new_cosigner(name: &str, public_key: &[u8; 32]) -> Result<NoteVerifier, KeyError> {
        NoteVerifier::new(name, KeyAlgorithm::CosignatureV1, public_key)
    }

    fn new(name: &str, algorithm: KeyAlgorithm, public_key: &[u8; 32]) -> Result<NoteVerifier, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name { name: excerpt(name) });
        }
        let key_id = key_id(name, algorithm, public_key);
        Ok(NoteVerifier { name: name.to_owned(), algorithm, public_key: *public_key, key_id })
    }

    /// The key's name; a log's key bears the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The four bytes that stand before this key's signatures.
    pub fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    /// How this key signs.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The Ed25519 public key (RFC 8032).
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Whether a signature line claims to be by this key.
    pub fn made(&self, signature: &NoteSignature) -> bool {
        signature.name == self.name && signature.key_id == self.key_id
    }

    /// The bare Ed25519 check (RFC 8032).
    pub(super) fn verify_bytes(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public_key).verify(message, signature).is_ok()
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.algorithm.byte()];
        key.extend_from_slice(&self.public_key);
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.key_id), STANDARD.encode(key))
    }
}

impl FromStr for NoteVerifier {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<NoteVerifier, KeyError> {
        let malformed = || KeyError::Text { text: excerpt(text) };
        // The base64 part may have plus signs of its own.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let bytes = STANDARD.decode(key).map_err(|_| malformed())?;
        let (&byte, key) = bytes.split_first().ok_or_else(malformed)?;
        let algorithm = [KeyAlgorithm::Ed25519, KeyAlgorithm::CosignatureV1]
            .into_iter()
            .find(|algorithm| algorithm.byte() == byte)
            .ok_or(KeyError::UnknownAlgorithm { byte })?;
        let key = key.try_into().map_err(|_| KeyError::PublicKeyLength { length: key.len() })?;
        let verifier = NoteVerifier::new(name, algorithm, key)?;
        let expected = hex::encode(verifier.key_id);
        if id != expected {
            return Err(KeyError::KeyId { expected, found: excerpt(id) });
        }
        Ok(verifier)
    }
}

/// A private note key with its name. It signs for as long as it lives and cannot be printed.
pub struct NoteSigner {
    verifier: NoteVerifier,
    key: Ed25519KeyPair,
}

impl NoteSigner {
    /// A key for note texts, from PKCS#8 with or without the public key (RFC 5958 or RFC 5208).
    pub fn from_pkcs8(name: &str, pkcs8: &[u8]) -> Result<NoteSigner, KeyError> {
        NoteSigner::new(name, KeyAlgorithm::Ed25519, pkcs8)
    }

    /// A key for cosignatures, from the same formats.
    pub fn cosigner_from_pkcs8(name: &str, pkcs8: &[u8]) -> Result<NoteSigner, KeyError> {
        NoteSigner::new(name, KeyAlgorithm::CosignatureV1, pkcs8)
    }

    fn new(name: &str, algorithm: KeyAlgorithm, pkcs8: &[u8]) -> Result<NoteSigner, KeyError> {
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
            .map_err(|rejected| KeyError::Pkcs8 { reason: rejected.to_string() })?;
        let public_key = key.public_key().as_ref();
        let public_key =
            public_key.try_into().map_err(|_| KeyError::PublicKeyLength { length: public_key.len() })?;
        Ok(NoteSigner { verifier: NoteVerifier::new(name, algorithm, public_key)?, key })
    }

    /// The public half.
    pub fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// Signs a note's text: the signature line, ending in a newline, as it stands in a note.
    ///
    /// The line is always of type 0x01. From a cosigner's key it is of no use: that key's own verifier
    /// does not know it. Cosigners use [`cosign`](super::cosign).
    pub fn sign(&self, text: &str) -> String {
        self.line(KeyAlgorithm::Ed25519, &[], text.as_bytes())
    }

    /// A signature line: what precedes the Ed25519 signature in the line, and what is signed.
    pub(super) fn line(&self, algorithm: KeyAlgorithm, prefix: &[u8], message: &[u8]) -> String {
        let signature = [prefix, self.key.sign(message).as_ref()].concat();
        let NoteVerifier { name, public_key, .. } = &self.verifier;
        let key_id = key_id(name, algorithm, public_key);
        format!("{}\n", NoteSignature { name: name.clone(), key_id, signature })
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// Why something is not a usable note key. Never carries a private key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A name that cannot stand in a signature line.
    #[error("key name {name:?} is empty or has spaces, plus signs or control characters")]
    Name {
        /// The name, cut after 80 characters.
        name: String,
    },
    /// Not of the form of a vkey.
    #[error("{text:?} is not a note key; write <name>+<key id>+<base64 of type and public key>")]
    Text {
        /// The text, cut after 80 characters.
        text: String,
    },
    /// A signature type other than the two known here.
    #[error("signature type {byte:#04x} is not supported; use 0x01 (ed25519) or 0x04 (cosignature/v1)")]
    UnknownAlgorithm {
        /// The type byte.
        byte: u8,
    },
    /// Not the length of an Ed25519 public key.
    #[error("an ed25519 public key has 32 bytes, not {length}")]
    PublicKeyLength {
        /// Its length.
        length: usize,
    },
    /// The id in the text is not the one of the name and key beside it.
    #[error("key id {found:?} does not belong to this name and key, whose id is {expected}")]
    KeyId {
        /// What the name and key give.
        expected: String,
        /// What was written, cut after 80 characters.
        found: String,
    },
    /// Not an Ed25519 private key in PKCS#8.
    #[error("not an ed25519 private key in PKCS#8: {reason}")]
    Pkcs8 {
        /// What the cryptographic library said.
        reason: String,
    },
}

/// Not empty, no Unicode spaces, no plus sign (C2SP signed-note, "Format"), and nothing a note may not
/// contain.
pub(super) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}

/// `SHA-256(name || "\n" || type || public key)[:4]` (C2SP signed-note, "Signatures").
fn key_id(name: &str, algorithm: KeyAlgorithm, public_key: &[u8; 32]) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[algorithm.byte()], public_key].concat());
    let [a, b, c, d, ..] = hash.0;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const WITNESS: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
    const PLUS_IN_BASE64: &str = "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6";

    #[test]
    fn keys_of_other_implementations_round_trip() {
        for text in [PETER, WITNESS, PLUS_IN_BASE64] {
            let verifier: NoteVerifier = text.parse().unwrap();
            assert_eq!(verifier.to_string(), text);
            assert_eq!(hex::encode(verifier.key_id()), text.split('+').nth(1).unwrap());
        }
        assert_eq!(PETER.parse::<NoteVerifier>().unwrap().algorithm(), KeyAlgorithm::Ed25519);
        assert_eq!(WITNESS.parse::<NoteVerifier>().unwrap().algorithm(), KeyAlgorithm::CosignatureV1);
    }

    #[test]
    fn every_changed_character_of_a_key_is_refused() {
        for at in 0..PETER.len() {
            let mut text = PETER.as_bytes().to_vec();
            text[at] ^= 1;
            let text = String::from_utf8(text).unwrap();
            assert!(text.parse::<NoteVerifier>().is_err(), "{text}");
        }
        for text in ["", "a", "a+b", "a+b+", "a+00000000+AQ==", &PETER.to_uppercase(), &format!("{PETER}\n")]
        {
            assert!(text.parse::<NoteVerifier>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_that_break_a_line_are_refused() {
        for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{2003}", "a\u{0}b"] {
            assert_eq!(
                NoteVerifier::new_ed25519(name, &[0; 32]),
                Err(KeyError::Name { name: name.to_owned() })
            );
        }
        assert!(NoteVerifier::new_cosigner("bình-dương.example/log/1", &[0; 32]).is_ok());
    }

    #[test]
    fn a_signer_crosses_threads_and_prints_no_secret() {
        fn crosses_threads<T: Send + Sync>(_: &T) {}
        let seed = [7; 32];
        let mut pkcs8 = hex::decode("302e020100300506032b657004220420").unwrap();
        pkcs8.extend_from_slice(&seed);
        let signer = NoteSigner::from_pkcs8("a", &pkcs8).unwrap();
        crosses_threads(&signer);
        let printed = format!("{signer:?}");
        assert!(printed.contains("public_key") && !printed.contains("7, 7, 7") && !printed.contains("0707"));
        assert!(matches!(NoteSigner::from_pkcs8("a", &pkcs8[1..]), Err(KeyError::Pkcs8 { .. })));
        assert!(matches!(NoteSigner::from_pkcs8("a b", &pkcs8), Err(KeyError::Name { .. })));
    }
}
