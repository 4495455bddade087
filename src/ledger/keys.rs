//! The keys that a log's checkpoints are of: the one in use, and those before it, by the statements in the log itself.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LedgerConfig;
use crate::domain::administration::{KeyChange, KeyPurpose};
use crate::domain::event::{Event, EventKind};
use crate::domain::generation::is_earlier;
use crate::merkle::{Hash, KeyChangeStatement, LogKeys, NoteVerifier, SignedCheckpoint};
use crate::store::StoreError;
use crate::store::disk::Disk;
use crate::store::journal::{End, Position, Reader};
use crate::wire::leaf;

/// The keys of a log that is opened. Those before the one in use are looked for in the journal when something of one of
/// them is met first: hardly ever, since sled has what is that old.
pub(super) struct Keys {
    in_use: LogKeys,
    all: OnceCell<LogKeys>,
    disk: Arc<dyn Disk>,
    journal: PathBuf,
}

impl Keys {
    /// The signer's key is in use; or, while the log goes over to that, the one before: whichever the newest checkpoint
    /// is of.
    pub fn of(config: &LedgerConfig, journal: &Path, end: &End) -> Result<Keys, StoreError> {
        let signer = config.signer.verifier();
        let by = |key: &&NoteVerifier| {
            end.checkpoint.as_ref().is_none_or(|newest| SignedCheckpoint::verify(newest, key).is_ok())
        };
        let Some(in_use) = [Some(signer), config.previous.as_ref()].into_iter().flatten().find(by) else {
            // Another key than the log's must not look like a damaged sled.
            let newest = end.checkpoint.as_deref().unwrap_or_default();
            let why = SignedCheckpoint::verify(newest, signer).err();
            return Err(StoreError::Damaged {
                path: journal.to_owned(),
                offset: 0,
                problem: format!(
                    "its newest checkpoint is not one of this log and key: {}; to change the key, name the one before in \
                     `log.previous_key` for one start",
                    why.map_or_else(String::new, |e| e.to_string())
                ),
            });
        };
        Ok(Keys {
            in_use: LogKeys::new(in_use.clone()),
            all: OnceCell::new(),
            disk: config.disk.clone(),
            journal: journal.to_owned(),
        })
    }

    /// With those before it.
    fn all(&self) -> Result<&LogKeys, StoreError> {
        if let Some(all) = self.all.get() {
            return Ok(all);
        }
        let mut all = self.in_use.clone();
        all.learn(&key_changes(self.disk.clone(), &self.journal)?);
        Ok(self.all.get_or_init(|| all))
    }

    /// Checks origin and signature of a checkpoint.
    pub fn verify(&self, checkpoint: &str) -> Result<SignedCheckpoint, String> {
        let keys = if self.in_use.know(checkpoint) {
            &self.in_use
        } else {
            self.all().map_err(|e| e.to_string())?
        };
        keys.verify(checkpoint).map_err(|e| e.to_string())
    }

    /// As [`check_key_change`].
    pub fn check_change(&self, event: &EventKind, size: u64, root: Hash) -> Result<(), String> {
        if !is_log_change(event) {
            return Ok(());
        }
        check_key_change(event, size, root, self.all().map_err(|e| e.to_string())?)
    }
}

/// The statements of the key changes in a journal that hold, in order. A change begins its block, whose checkpoint is of
/// another key than that of the block before. Whether each stands where it says is found when the events are read.
pub fn key_changes(disk: Arc<dyn Disk>, journal: &Path) -> Result<Vec<KeyChangeStatement>, StoreError> {
    let mut reader = Reader::open(disk, journal, Position::default())?;
    let mut statements = Vec::new();
    let mut before: Option<Vec<[u8; 4]>> = None;
    while let Some(block) = reader.next_block()? {
        let parsed = SignedCheckpoint::parse_unverified(&block.checkpoint);
        let ids = parsed.map_or_else(
            |_| Vec::new(),
            |checkpoint| checkpoint.note().signatures.iter().map(|s| s.key_id).collect::<Vec<_>>(),
        );
        let changed = before.as_ref().is_some_and(|before| *before != ids);
        before = Some(ids);
        let first = block.leaves.first().filter(|_| changed).map(|bytes| leaf::decode(bytes));
        if let Some(Ok(Event { kind: EventKind::KeyChanged(change), .. })) = first {
            statements.extend(KeyChangeStatement::verify(&change.statement));
        }
    }
    Ok(statements)
}

/// Checks that a key change, if an event is one of the log's, stands where its statement says: the log had that size and
/// root, and goes over to the key that signs from then on.
pub fn check_key_change(event: &EventKind, size: u64, root: Hash, keys: &LogKeys) -> Result<(), String> {
    let EventKind::KeyChanged(KeyChange { old, new, statement, .. }) = event else { return Ok(()) };
    if !is_log_change(event) {
        return Ok(());
    }
    let stated = KeyChangeStatement::verify(statement).map_err(|e| e.to_string())?;
    // Of the generation whose events this log was begun with: it says nothing of this one's keys.
    if is_earlier(&stated.at.origin, keys.current().name()) {
        return Ok(());
    }
    if stated.old.to_string() != *old || stated.new.to_string() != *new {
        return Err("the key change names other keys than its statement".to_owned());
    }
    if stated.at.size != size || stated.at.root != root {
        return Err(format!("the key change is stated for another log of {} events", stated.at.size));
    }
    if stated.old != *keys.of_size(size) || stated.new != *keys.of_size(size + 1) {
        return Err("the key change is not between the keys that sign before and after it".to_owned());
    }
    Ok(())
}

/// Whether an event says that the log goes over to another key; the first key is whose checkpoints the log begins with.
fn is_log_change(event: &EventKind) -> bool {
    matches!(event, EventKind::KeyChanged(KeyChange { purpose: KeyPurpose::Log, old, statement, .. })
        if !old.is_empty() || !statement.is_empty())
}
