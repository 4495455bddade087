//! The keys that a log has had: the one in use, and, learnt from statements of both keys at each change, those before it.
//! For each size of the log one of them signs.

use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::key_change::KeyChangeStatement;
use super::note_key::NoteVerifier;

/// The keys of one log.
#[derive(Debug, Clone)]
pub struct LogKeys {
    /// Signs every size after those of the others.
    current: NoteVerifier,
    /// Keys before it, the newest first, each with the last size that it signed.
    before: Vec<(NoteVerifier, u64)>,
}

impl LogKeys {
    /// A log that had no other key, as far as is known.
    pub fn new(current: NoteVerifier) -> LogKeys {
        LogKeys { current, before: Vec::new() }
    }

    /// The key in use.
    pub fn current(&self) -> &NoteVerifier {
        &self.current
    }

    /// Learns the keys before from statements in the order of the log: one counts when the key that it goes over to is
    /// known already, so the newest first. Others are nobody's word, and left out.
    pub fn learn(&mut self, statements: &[KeyChangeStatement]) {
        for statement in statements.iter().rev() {
            let (oldest, until) = match self.before.last() {
                Some((key, last)) => (key, *last),
                None => (&self.current, u64::MAX),
            };
            if statement.new == *oldest && statement.at.size < until {
                self.before.push((statement.old.clone(), statement.at.size));
            }
        }
    }

    /// The key that signs a size.
    pub fn of_size(&self, size: u64) -> &NoteVerifier {
        let before = self.before.iter().rev().find(|(_, last)| size <= *last);
        before.map_or(&self.current, |(key, _)| key)
    }

    /// Whether a text has a signature that claims to be by the key of its size.
    pub fn know(&self, text: &str) -> bool {
        SignedCheckpoint::parse_unverified(text).is_ok_and(|checkpoint| {
            let key = self.of_size(checkpoint.claimed().size);
            checkpoint.note().signatures.iter().any(|signature| key.made(signature))
        })
    }

    /// Checks origin and signature, by the key of the size.
    pub fn verify(&self, text: &str) -> Result<SignedCheckpoint, CheckpointError> {
        let checkpoint = SignedCheckpoint::parse_unverified(text)?;
        let key = self.of_size(checkpoint.claimed().size).clone();
        checkpoint.verify(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Checkpoint, NoteSigner, empty_root};

    fn signer(seed: u8) -> NoteSigner {
        let mut pkcs8 = hex::decode("302e020100300506032b657004220420").unwrap();
        pkcs8.extend([seed; 32]);
        NoteSigner::from_pkcs8("a/log/1", &pkcs8).unwrap()
    }

    fn change(old: &NoteSigner, new: &NoteSigner, size: u64) -> KeyChangeStatement {
        KeyChangeStatement {
            at: Checkpoint { origin: "a/log/1".into(), size, root: empty_root() },
            old: old.verifier().clone(),
            new: new.verifier().clone(),
        }
    }

    fn signed(key: &NoteSigner, size: u64) -> String {
        Checkpoint { origin: "a/log/1".into(), size, root: empty_root() }.sign(key).note().to_owned()
    }

    #[test]
    fn each_size_has_the_key_that_the_changes_say() {
        let (a, b, c, stranger) = (signer(1), signer(2), signer(3), signer(4));
        let mut keys = LogKeys::new(c.verifier().clone());
        assert!(keys.verify(&signed(&a, 5)).is_err() && !keys.know(&signed(&a, 5)));
        // Not by a key that is known: nobody's word.
        let forged = change(&stranger, &stranger, 3);
        keys.learn(&[forged, change(&a, &b, 10), change(&b, &c, 20)]);
        for (size, right) in [(1, &a), (10, &a), (11, &b), (20, &b), (21, &c), (1_000, &c)] {
            for key in [&a, &b, &c, &stranger] {
                let text = signed(key, size);
                let is = key.verifier() == right.verifier();
                assert_eq!((keys.verify(&text).is_ok(), keys.know(&text)), (is, is), "{size}");
            }
        }
    }

    #[test]
    fn changes_that_do_not_follow_each_other_are_not_learnt() {
        let (a, b, c) = (signer(1), signer(2), signer(3));
        let mut keys = LogKeys::new(c.verifier().clone());
        keys.learn(&[change(&a, &b, 30), change(&b, &c, 20)]);
        assert_eq!(keys.of_size(1), b.verifier());
        let mut keys = LogKeys::new(c.verifier().clone());
        keys.learn(&[change(&a, &b, 10)]);
        assert_eq!(keys.of_size(1), c.verifier());
    }
}
