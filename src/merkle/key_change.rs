//! The statement by which a log goes over from one key to another: a signed note of both keys. The old key says who
//! follows it, the new one that it does; a reader who trusts the new key learns which was the old, and where it ended.
//!
//! The text, a line each:
//! ```text
//! lienthong/key-change/1
//! <origin of the log>
//! <size>
//! <root, base64>
//! <verifier key before>
//! <verifier key from now on>
//! ```
//! Size and root are those before the event that carries the statement: every checkpoint up to that size is of the old
//! key, every one after it of the new. The second line is no number, so the text can never be taken for a checkpoint.

use super::checkpoint::{Checkpoint, CheckpointError};
use super::note::{Note, NoteError};
use super::note_key::{KeyAlgorithm, KeyError, NoteSigner, NoteVerifier, is_key_name};

/// Bytes of a statement as a note: two names of 255 characters and keys and signatures.
pub const MAX_KEY_CHANGE_BYTES: usize = 2 * 1024;

const TITLE: &str = "lienthong/key-change/1";

/// What both keys sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChangeStatement {
    /// The log at the change.
    pub at: Checkpoint,
    /// The key before.
    pub old: NoteVerifier,
    /// The key from now on.
    pub new: NoteVerifier,
}

/// A statement that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyChangeError {
    /// Its text is another.
    #[error("the text of a key change is `{TITLE}`, origin, size, root and two keys, a line each")]
    Text,
    /// The log's state in it cannot be read.
    #[error("the log's state in a key change: {0}")]
    State(#[from] CheckpointError),
    /// A key in it cannot be read.
    #[error("a key in a key change: {0}")]
    Key(#[from] KeyError),
    /// The keys are not two keys of this log.
    #[error("a key change is from one Ed25519 key of log `{origin}` to another")]
    Keys {
        /// The log.
        origin: String,
    },
    /// A signature is missing or wrong.
    #[error("a key change needs the signatures of both keys: {0}")]
    Signature(#[from] NoteError),
}

impl KeyChangeStatement {
    fn text(&self) -> String {
        format!("{TITLE}\n{}{}\n{}\n", self.at.body(), self.old, self.new)
    }

    /// The signed note. The signers must be those of the two keys.
    pub fn sign(&self, old: &NoteSigner, new: &NoteSigner) -> String {
        let text = self.text();
        format!("{text}\n{}{}", old.sign(&text), new.sign(&text))
    }

    /// Reads a note and checks both signatures.
    pub fn verify(note: &str) -> Result<KeyChangeStatement, KeyChangeError> {
        let note = Note::parse(note, MAX_KEY_CHANGE_BYTES)?;
        let body = note.text.strip_prefix(TITLE).and_then(|rest| rest.strip_prefix('\n'));
        let lines: Vec<&str> = body.ok_or(KeyChangeError::Text)?.split_inclusive('\n').collect();
        let [origin, size, root, old, new] = lines[..] else { return Err(KeyChangeError::Text) };
        let at = Checkpoint::parse_body(&[origin, size, root].concat())?;
        let statement = KeyChangeStatement { at, old: old.trim_end().parse()?, new: new.trim_end().parse()? };
        if statement.text() != note.text {
            return Err(KeyChangeError::Text);
        }
        let KeyChangeStatement { at, old, new } = &statement;
        let fits = |key: &NoteVerifier| key.name() == at.origin && key.algorithm() == KeyAlgorithm::Ed25519;
        if !is_key_name(&at.origin) || !fits(old) || !fits(new) || old == new {
            return Err(KeyChangeError::Keys { origin: at.origin.clone() });
        }
        note.verify(old)?;
        note.verify(new)?;
        Ok(statement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::empty_root;

    fn signer(seed: u8, name: &str) -> NoteSigner {
        let mut pkcs8 = hex::decode("302e020100300506032b657004220420").unwrap();
        pkcs8.extend([seed; 32]);
        NoteSigner::from_pkcs8(name, &pkcs8).unwrap()
    }

    fn statement(old: &NoteSigner, new: &NoteSigner) -> KeyChangeStatement {
        KeyChangeStatement {
            at: Checkpoint { origin: "a/log/1".into(), size: 17, root: empty_root() },
            old: old.verifier().clone(),
            new: new.verifier().clone(),
        }
    }

    #[test]
    fn a_statement_of_both_keys_reads_back() {
        let (old, new) = (signer(1, "a/log/1"), signer(2, "a/log/1"));
        let made = statement(&old, &new);
        let note = made.sign(&old, &new);
        assert!(note.len() < MAX_KEY_CHANGE_BYTES);
        assert_eq!(KeyChangeStatement::verify(&note), Ok(made));
    }

    #[test]
    fn what_is_not_signed_by_both_keys_of_the_log_does_not_hold() {
        let (old, new, other) = (signer(1, "a/log/1"), signer(2, "a/log/1"), signer(3, "a/log/1"));
        let made = statement(&old, &new);
        for (one, two) in [(&old, &old), (&new, &new), (&old, &other), (&other, &new)] {
            let error = KeyChangeStatement::verify(&made.sign(one, two)).unwrap_err();
            assert!(matches!(error, KeyChangeError::Signature(_)), "{error}");
        }
        for (one, two) in [(&old, &old), (&old, &signer(4, "b/log/1")), (&signer(5, "b/log/1"), &new)] {
            let error = KeyChangeStatement::verify(&statement(one, two).sign(one, two)).unwrap_err();
            assert!(matches!(error, KeyChangeError::Keys { .. }), "{error}");
        }
        let note = made.sign(&old, &new);
        for at in 0..note.len() {
            let mut changed = note.clone().into_bytes();
            changed[at] ^= 1;
            if let Ok(changed) = String::from_utf8(changed) {
                assert!(KeyChangeStatement::verify(&changed).is_err(), "{changed}");
            }
        }
        let checkpoint = made.at.sign(&old).note().to_owned();
        assert_eq!(KeyChangeStatement::verify(&checkpoint), Err(KeyChangeError::Text));
    }
}
