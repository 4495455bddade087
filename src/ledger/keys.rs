//! The keys that a log's checkpoints are of: the one in use, and those before it, by the statements in the log itself.

use std::path::Path;
use std::sync::Arc;

use super::LedgerConfig;
use crate::domain::administration::{KeyChange, KeyPurpose};
use crate::domain::event::{Event, EventKind};
use crate::merkle::{Hash, KeyChangeStatement, LogKeys, NoteVerifier, SignedCheckpoint};
use crate::store::StoreError;
use crate::store::disk::Disk;
use crate::store::journal::{End, Position, Reader};
use crate::wire::leaf;

/// The keys of the log: the signer's, or while the log goes over to that the one before; and those before it, learnt from
/// the journal where its first checkpoint is not of a key that is known.
pub(super) fn keys_of(config: &LedgerConfig, journal: &Path, end: &End) -> Result<LogKeys, StoreError> {
    let signer = config.signer.verifier();
    let Some(newest) = &end.checkpoint else { return Ok(LogKeys::new(signer.clone())) };
    let by = |key: &&NoteVerifier| SignedCheckpoint::verify(newest, key).is_ok();
    let Some(current) = [Some(signer), config.previous.as_ref()].into_iter().flatten().find(by) else {
        // Another key than the log's must not look like a damaged sled.
        let why = SignedCheckpoint::verify(newest, signer).err().map_or_else(String::new, |e| e.to_string());
        return Err(StoreError::Damaged {
            path: journal.to_owned(),
            offset: 0,
            problem: format!(
                "its newest checkpoint is not one of this log and key: {why}; to change the key, name the one before in \
                 `log.previous_key` for one start"
            ),
        });
    };
    let mut keys = LogKeys::new(current.clone());
    let mut reader = Reader::open(config.disk.clone(), journal, Position::default())?;
    if let Some(first) = reader.next_block()?
        && !keys.know(&first.checkpoint)
    {
        keys.learn(&key_changes(config.disk.clone(), journal)?);
    }
    Ok(keys)
}

/// The statements of the key changes in a journal that hold, in order. Whether each stands where it says is found when
/// the events are read.
pub fn key_changes(disk: Arc<dyn Disk>, journal: &Path) -> Result<Vec<KeyChangeStatement>, StoreError> {
    let mut reader = Reader::open(disk, journal, Position::default())?;
    let mut statements = Vec::new();
    while let Some(block) = reader.next_block()? {
        for bytes in &block.leaves {
            if let Ok(Event { kind: EventKind::KeyChanged(change), .. }) = leaf::decode(bytes) {
                statements.extend(KeyChangeStatement::verify(&change.statement));
            }
        }
    }
    Ok(statements)
}

/// Checks that a key change, if an event is one of the log's, stands where its statement says: the log had that size and
/// root, and goes over to the key that signs from then on.
pub fn check_key_change(event: &EventKind, size: u64, root: Hash, keys: &LogKeys) -> Result<(), String> {
    let EventKind::KeyChanged(KeyChange { purpose: KeyPurpose::Log, old, new, statement }) = event else {
        return Ok(());
    };
    if old.is_empty() && statement.is_empty() {
        // The first key is whose checkpoints the log begins with.
        return Ok(());
    }
    let stated = KeyChangeStatement::verify(statement).map_err(|e| e.to_string())?;
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
