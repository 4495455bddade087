//! Bringing a copy back: every file is compared with the list, the log and its content are checked, and only then it is
//! put in its place, at once.

use std::path::{Path, PathBuf};

use super::make::problem;
use super::{BESIDE, BackupError, LIST, List, sync_dir};
use crate::audit::Checked;
use crate::audit::offline::check_without_sled;
use crate::merkle::NoteVerifier;
use crate::store::{StoreError, format};

/// What was brought back.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The list of the copy.
    pub list: List,
    /// What the check found: nothing.
    pub checked: Checked,
}

/// Brings the copy in `from` back to `data`, which is not there or empty. `key` is the log's key, as the directory in the
/// copy, or a person, says. The node's next start makes sled again, and asks its peers whether this is the newest copy.
pub fn restore(
    from: &Path,
    data: &Path,
    key: impl FnOnce(&Path) -> Option<NoteVerifier>,
    mut progress: impl FnMut(&'static str, u64),
) -> Result<Restored, BackupError> {
    refuse_what_is_there(data)?;
    let list = List::read(from)?.ok_or_else(|| BackupError::List {
        path: from.join(LIST),
        problem: "the file is not there: the backup was never completed".to_owned(),
    })?;
    // Before anything is written.
    let mut read = 0;
    let mut problems = Vec::new();
    for entry in &list.files {
        problems.extend(problem(from, entry));
        read += entry.length;
        progress("bytes read", read);
    }
    if !problems.is_empty() {
        return Err(BackupError::Damaged(problems));
    }
    let Some(key) = key(from) else {
        return Err(BackupError::Damaged(vec![
            "the log's key is not known: no directory in the backup lists it; give --log-key".to_owned(),
        ]));
    };
    let fresh = Fresh::new(data)?;
    let mut copied = 0;
    for entry in list.files.iter().filter(|entry| !entry.path.starts_with("config/")) {
        let (old, new) = (from.join(&entry.path), fresh.path.join(&entry.path));
        if let Some(dir) = new.parent() {
            std::fs::create_dir_all(dir).map_err(StoreError::io("creating", dir))?;
        }
        std::fs::copy(&old, &new).map_err(StoreError::io("copying", &old))?;
        let file =
            std::fs::OpenOptions::new().write(true).open(&new).map_err(StoreError::io("opening", &new))?;
        file.set_len(entry.length).map_err(StoreError::io("writing", &new))?;
        file.sync_all().map_err(StoreError::sync(&new))?;
        copied += entry.length;
        progress("bytes copied", copied);
    }
    for folder in ["journal", "content", "content/large"].into_iter().chain(BESIDE) {
        let dir = fresh.path.join(folder);
        std::fs::create_dir_all(&dir).map_err(StoreError::io("creating", &dir))?;
        sync_dir(&dir)?;
    }
    format::check(&fresh.path)?;
    let checked = check_without_sled(&fresh.path, &key, |n| progress("events", n))?;
    let mut problems: Vec<String> = checked.findings.iter().map(ToString::to_string).collect();
    if checked.unlisted > 0 {
        problems.push(format!("and {} more", checked.unlisted));
    }
    if checked.events != list.size || checked.checkpoint.as_deref().unwrap_or_default() != list.checkpoint {
        problems.push(format!(
            "the list names {} events and their checkpoint, the journal has {}",
            list.size, checked.events
        ));
    }
    if !problems.is_empty() {
        return Err(BackupError::Damaged(problems));
    }
    fresh.take(data)?;
    Ok(Restored { list, checked })
}

fn refuse_what_is_there(data: &Path) -> Result<(), BackupError> {
    match std::fs::read_dir(data) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(BackupError::NotEmpty { path: data.to_owned() }),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(StoreError::io("listing", data)(e).into()),
    }
}

/// The folder in which the data is built, beside its place; it goes when that was not to be.
struct Fresh {
    path: PathBuf,
    taken: bool,
}

impl Fresh {
    fn new(data: &Path) -> Result<Fresh, BackupError> {
        let path = data.with_added_extension("restoring");
        if path.exists() {
            // Of a restore that was cut off.
            std::fs::remove_dir_all(&path).map_err(StoreError::io("removing", &path))?;
        }
        std::fs::create_dir_all(&path).map_err(StoreError::io("creating", &path))?;
        Ok(Fresh { path, taken: false })
    }

    /// A node never sees half of it: a part of a log would look like an old copy.
    fn take(mut self, data: &Path) -> Result<(), BackupError> {
        sync_dir(&self.path)?;
        std::fs::rename(&self.path, data).map_err(StoreError::io("renaming", data))?;
        self.taken = true;
        let parent = data.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(sync_dir(parent)?)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.taken {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
