//! Checkpoints: a log's size and root, signed by the log ([C2SP tlog-checkpoint]).
//!
//! The note's text is three lines, then any number of extension lines, which are read over but stay part
//! of what is signed and cosigned:
//!
//! ```text
//! <origin>
//! <size in decimal>
//! <root in base64>
//! ```
//!
//! The key that signs for a log bears the log's origin as its name.
//!
//! [C2SP tlog-checkpoint]: https://c2sp.org/tlog-checkpoint

use super::hash::Hash;
use super::note::{Note, NoteError, excerpt};
use super::note_key::{NoteSigner, NoteVerifier};

/// The largest checkpoint note that is read: three lines and a hundred signatures fit with room to spare.
pub const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;

/// What a checkpoint says. Says nothing about who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Leaves in the tree.
    pub size: u64,
    /// The tree's root at that size.
    pub root: Hash,
}

impl Checkpoint {
    /// The note text (C2SP tlog-checkpoint, "Note text"), without extension lines.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64())
    }

    /// Reads a note text. Extension lines are accepted and dropped.
    pub fn parse_body(body: &str) -> Result<Checkpoint, CheckpointError> {
        let lines = body.strip_suffix('\n').ok_or(CheckpointError::Incomplete)?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Incomplete);
        };
        if origin.is_empty() || origin.contains(char::is_control) {
            return Err(CheckpointError::Origin { origin: excerpt(origin) });
        }
        // `parse` alone would let "+1" and "007" pass.
        let number = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
        let size = number.ok_or_else(|| CheckpointError::Size { size: excerpt(size) })?;
        let root = Hash::from_base64(root).ok_or_else(|| CheckpointError::Root { root: excerpt(root) })?;
        if lines.any(str::is_empty) {
            return Err(CheckpointError::EmptyExtension);
        }
        Ok(Checkpoint { origin: origin.to_owned(), size, root })
    }

    /// Signs the checkpoint with its log's key.
    ///
    /// # Panics
    ///
    /// If the key is not named after the checkpoint's origin. Both come from one configured log, and
    /// nothing could verify the result.
    pub fn sign(&self, signer: &NoteSigner) -> SignedCheckpoint {
        assert_eq!(self.origin, signer.verifier().name(), "a log's key bears the log's origin");
        let mut note = self.body();
        let body_len = note.len();
        let line = signer.sign(&note);
        note.push('\n');
        note.push_str(&line);
        SignedCheckpoint { checkpoint: self.clone(), note, body_len }
    }
}

/// A checkpoint that carries its log's signature: made by [`Checkpoint::sign`] or checked by
/// [`SignedCheckpoint::verify`], and in no other way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
    body_len: usize,
}

impl SignedCheckpoint {
    /// Reads a checkpoint note without asking who signed it.
    pub fn parse_unverified(text: &str) -> Result<UnverifiedCheckpoint, CheckpointError> {
        let note = Note::parse(text, MAX_CHECKPOINT_BYTES)?;
        let checkpoint = Checkpoint::parse_body(&note.text)?;
        Ok(UnverifiedCheckpoint { checkpoint, note })
    }

    /// Reads a checkpoint note and checks that it is of the log whose key this is.
    pub fn verify(text: &str, verifier: &NoteVerifier) -> Result<SignedCheckpoint, CheckpointError> {
        SignedCheckpoint::parse_unverified(text)?.verify(verifier)
    }

    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The whole note, byte for byte as it was signed or read.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The signed text: the note without its signatures. Cosignatures are over this.
    pub fn body(&self) -> &str {
        &self.note[..self.body_len]
    }
}

/// A checkpoint as somebody sent it: good for finding out which log's key to check it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl UnverifiedCheckpoint {
    /// What it claims.
    pub fn claimed(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, cosignatures included.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Checks origin and signature: the only way from claimed to signed.
    pub fn verify(self, verifier: &NoteVerifier) -> Result<SignedCheckpoint, CheckpointError> {
        if self.checkpoint.origin != verifier.name() {
            return Err(CheckpointError::OtherLog {
                expected: verifier.name().to_owned(),
                found: excerpt(&self.checkpoint.origin),
            });
        }
        self.note.verify(verifier)?;
        let (note, body_len) = (self.note.to_string(), self.note.text.len());
        Ok(SignedCheckpoint { checkpoint: self.checkpoint, note, body_len })
    }
}

/// Why a text is not the checkpoint it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note, or not signed by the log's key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Fewer than three lines, or the last one unfinished.
    #[error("a checkpoint has at least three lines, each ending in a newline")]
    Incomplete,
    /// The first line names no log.
    #[error("checkpoint origin {origin:?} is empty or has control characters")]
    Origin {
        /// The line, cut after 80 characters.
        origin: String,
    },
    /// The second line is not a size.
    #[error("checkpoint size {size:?} is not a decimal number below 2^64 without leading zeros")]
    Size {
        /// The line, cut after 80 characters.
        size: String,
    },
    /// The third line is not a root.
    #[error("checkpoint root {root:?} is not the base64 of 32 bytes")]
    Root {
        /// The line, cut after 80 characters.
        root: String,
    },
    /// A blank line where an extension line may be.
    #[error("a checkpoint has no blank lines in its text")]
    EmptyExtension,
    /// The checkpoint of another log than the key's.
    #[error("a checkpoint of log {found:?} came instead of one of {expected:?}")]
    OtherLog {
        /// The key's name.
        expected: String,
        /// The checkpoint's origin, cut after 80 characters.
        found: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::empty_root;

    const ROOT: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn a_body_reads_back() {
        let checkpoint = Checkpoint { origin: "a b".to_owned(), size: u64::MAX, root: empty_root() };
        assert_eq!(checkpoint.body(), format!("a b\n18446744073709551615\n{ROOT}\n"));
        assert_eq!(Checkpoint::parse_body(&checkpoint.body()), Ok(checkpoint.clone()));
        let extended = checkpoint.body() + "extension\nanother\n";
        assert_eq!(Checkpoint::parse_body(&extended), Ok(checkpoint));
    }

    #[test]
    fn a_body_has_one_spelling() {
        for body in ["", "\n", "a\n1\n", &format!("a\n1\n{ROOT}")] {
            assert_eq!(Checkpoint::parse_body(body), Err(CheckpointError::Incomplete), "{body:?}");
        }
        for size in ["", "01", "00", "+1", "-1", " 1", "1 ", "1_0", "0x1", "18446744073709551616", "१"] {
            let body = format!("a\n{size}\n{ROOT}\n");
            assert_eq!(Checkpoint::parse_body(&body), Err(CheckpointError::Size { size: size.to_owned() }));
        }
        for root in ["", "AAAA", &ROOT[1..], &ROOT[..43], &format!("{ROOT} ")] {
            let body = format!("a\n1\n{root}\n");
            assert_eq!(Checkpoint::parse_body(&body), Err(CheckpointError::Root { root: root.to_owned() }));
        }
        for origin in ["", "a\r"] {
            let body = format!("{origin}\n1\n{ROOT}\n");
            let error = CheckpointError::Origin { origin: origin.to_owned() };
            assert_eq!(Checkpoint::parse_body(&body), Err(error));
        }
        let blank = format!("a\n1\n{ROOT}\n\n");
        assert_eq!(Checkpoint::parse_body(&blank), Err(CheckpointError::EmptyExtension));
    }
}
