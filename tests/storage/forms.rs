//! Data of other versions: opened, or refused by name with every byte as it was.

use std::collections::BTreeMap;
use std::path::Path;

use lienthong::audit::Offline;
use lienthong::domain::fold::records;
use lienthong::store::StoreError;
use lienthong::store::index::Index;

use crate::harness::{Sample, check, files, open, runtime, try_open};

fn contents(dir: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    files(dir).into_iter().map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn data_of_the_first_version_without_a_format_file_opens_and_gets_one() {
    let sample = Sample::small(true);
    let dir = sample.copy();
    std::fs::remove_file(dir.path().join("format")).unwrap();
    let (ledger, opened) = open(dir.path());
    assert_eq!((opened.caught_up, &opened.rebuilt), (0, &None));
    sample.assert_same(&ledger);
    let text = std::fs::read_to_string(dir.path().join("format")).unwrap();
    assert!(text.starts_with("lienthong data\nform 1\n"), "{text}");
}

#[test]
fn data_of_a_newer_form_is_refused_by_name_and_nothing_of_it_changes() {
    let sample = Sample::small(true);
    let dir = sample.copy();
    std::fs::write(dir.path().join("format"), "lienthong data\nform 7\nmade by 9.0.0\n").unwrap();
    let before = contents(dir.path());
    let Err(error) = try_open(dir.path()) else { panic!("it opened") };
    assert!(matches!(error, StoreError::Newer { form: 7, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("made by version 9.0.0") && text.contains("run a newer version"), "{text}");
    let Err(error) = Offline::open(dir.path()) else { panic!("it was read") };
    assert!(matches!(error, StoreError::Newer { form: 7, .. }), "{error}");
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn folds_of_another_version_are_made_again_from_the_journal() {
    let sample = Sample::small(true);
    let dir = sample.copy();
    // As a version with other records would have left it, after a crash.
    std::fs::remove_file(dir.path().join("clean.json")).unwrap();
    let index = Index::open(&dir.path().join("sled"), 8 << 20).unwrap();
    let mut head = index.head().unwrap().unwrap();
    head.version = records::VERSION + 1;
    index.start_at(&head);
    index.commit(Vec::new(), head).unwrap();
    index.flush().unwrap();
    drop(index);
    let (ledger, opened) = open(dir.path());
    let why = opened.rebuilt.clone().unwrap_or_default();
    assert!(why.contains(&format!("form {}", records::VERSION + 1)), "{why}");
    assert_eq!(opened.caught_up, opened.size);
    sample.assert_same(&ledger);
    crate::harness::close(&runtime(), ledger, dir.path(), true);
    assert!(check(dir.path()).is_clean());
}
