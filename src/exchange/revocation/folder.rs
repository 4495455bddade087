//! The configured folder of lists, followed while the node runs.
//!
//! It is looked at again and again; a file is read when its size, time or inode is another than when it was read. A file
//! that cannot be used is told of once, until it changes; what it held before stays in force for as long as it is there,
//! so that a file that is just being written takes nothing away. A list goes when its file goes.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::exchange::trust::{CrlFileError, list_crls, read_crl};
use crate::signature::Crl;

/// A file that was written this shortly before it was read is read again: its time may not tell a later change.
const UNSETTLED: Duration = Duration::from_secs(2);

/// The folder, as it was when last looked at.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    files: BTreeMap<PathBuf, File>,
    /// It could not be read the last time.
    away: bool,
}

#[derive(Debug, Default)]
struct File {
    /// None: read it again.
    stamp: Option<Stamp>,
    list: Option<Arc<Crl>>,
    /// What was said of it; empty: nothing is wrong.
    told: String,
}

/// What changes when a file does.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: SystemTime,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Option<Stamp> {
        let modified = metadata.modified().ok()?;
        let settled = modified.elapsed().is_ok_and(|age| age > UNSETTLED);
        settled.then(|| Stamp { size: metadata.len(), modified, inode: metadata.ino() })
    }
}

impl Folder {
    /// A folder that was not looked at yet.
    pub fn new(dir: PathBuf) -> Folder {
        Folder { dir, files: BTreeMap::new(), away: false }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads what changed. Returns what cannot be used and was not told of before; fails when the folder itself cannot
    /// be read, the first time, and keeps what it knows.
    pub fn look(&mut self) -> Result<Vec<CrlFileError>, CrlFileError> {
        let paths = match list_crls(&self.dir) {
            Err(_) if self.away => return Ok(Vec::new()),
            listed => listed,
        };
        self.away = paths.is_err();
        let paths = paths?;
        self.files.retain(|path, _| paths.binary_search(path).is_ok());
        let mut bad = Vec::new();
        for path in paths {
            let file = self.files.entry(path.clone()).or_default();
            // Taken before reading: a change after it is seen the next time.
            let stamp = std::fs::metadata(&path).ok().and_then(|m| Stamp::of(&m));
            if stamp.is_some() && stamp == file.stamp {
                continue;
            }
            file.stamp = stamp;
            match read_crl(&path) {
                // It went since the folder was listed.
                Err(CrlFileError::Read { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let text = error.to_string();
                    if file.told != text {
                        file.told = text;
                        bad.push(error);
                    }
                }
                Ok(list) => {
                    file.told.clear();
                    if file.list.as_ref().is_none_or(|old| old.sha256() != list.sha256()) {
                        file.list = Some(Arc::new(list));
                    }
                }
            }
        }
        Ok(bad)
    }

    /// The lists.
    pub fn lists(&self) -> impl Iterator<Item = &Arc<Crl>> {
        self.files.values().filter_map(|file| file.list.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::list;
    use super::*;

    /// The numbers of entries of the lists, and what is told of.
    fn look(folder: &mut Folder) -> (Vec<usize>, Vec<String>) {
        let bad = folder.look().unwrap();
        (folder.lists().map(|l| l.len()).collect(), bad.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_file_is_read_when_it_comes_or_changes_and_a_bad_one_is_told_of_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut folder = Folder::new(dir.path().to_owned());
        assert_eq!(look(&mut folder), (vec![], vec![]));

        std::fs::write(path("a.crl"), list(1)).unwrap();
        std::fs::write(path("b.crl"), "no list").unwrap();
        std::fs::write(path("notes.txt"), "no list").unwrap();
        let (lists, bad) = look(&mut folder);
        assert_eq!((lists, bad.len()), (vec![1], 1));
        assert!(bad[0].starts_with(&path("b.crl").display().to_string()), "{bad:?}");
        assert_eq!(look(&mut folder), (vec![1], vec![]), "told of once");

        // Half of a new list keeps the old one, and the whole of it replaces it.
        let new = list(2);
        std::fs::write(path("a.crl"), &new[..new.len() / 2]).unwrap();
        let (lists, bad) = look(&mut folder);
        assert_eq!((lists, bad.len()), (vec![1], 1));
        std::fs::write(path("a.crl"), &new).unwrap();
        std::fs::write(path("b.crl"), list(3)).unwrap();
        assert_eq!(look(&mut folder), (vec![2, 3], vec![]));
        std::fs::remove_file(path("a.crl")).unwrap();
        assert_eq!(look(&mut folder), (vec![3], vec![]));

        // Of a folder that cannot be read, what was there stays.
        std::fs::rename(dir.path(), dir.path().with_extension("away")).unwrap();
        assert!(folder.look().is_err());
        assert!(folder.look().unwrap().is_empty(), "told of once");
        assert_eq!(folder.lists().count(), 1);
        std::fs::rename(dir.path().with_extension("away"), dir.path()).unwrap();
        assert_eq!(look(&mut folder), (vec![3], vec![]));
    }

    #[test]
    fn a_file_that_did_not_change_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.crl");
        std::fs::write(&path, list(1)).unwrap();
        let old = SystemTime::now() - Duration::from_secs(60);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        let mut folder = Folder::new(dir.path().to_owned());
        assert_eq!(look(&mut folder).0, [1]);
        let read = folder.lists().next().unwrap().clone();
        assert_eq!(look(&mut folder).0, [1]);
        assert!(Arc::ptr_eq(&read, folder.lists().next().unwrap()));
        // Of the same size and time, by its inode.
        let other = dir.path().join("new");
        std::fs::write(&other, list(2)).unwrap();
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(old).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(look(&mut folder).0, [2]);
    }
}
