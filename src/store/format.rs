//! The form of a data folder: `data/format`, a short text that says which form the files below it have and which
//! version made it. A program opens the forms that it knows and refuses a newer one by name, before it reads or
//! changes anything else.
//!
//! ```text
//! lienthong data
//! form 1
//! made by 0.1.0
//! ```
//! A folder without the file is of form 1: the first version wrote none. What the form covers: journal, content and
//! directories. sled is not among it: its records have a version of their own, and are made again when it is another.

use std::io::Write as _;
use std::path::Path;

use super::StoreError;

/// The form that this program writes.
pub const FORM: u32 = 1;
/// First line of the file.
const TITLE: &str = "lienthong data";
/// Name of the file.
const NAME: &str = "format";

/// Checks that this program knows the form of a folder, changing nothing; returns the form. A folder that is new or
/// has no file counts as form 1.
pub fn check(data: &Path) -> Result<u32, StoreError> {
    let path = data.join(NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(1),
        Err(e) => return Err(StoreError::io("reading", &path)(e)),
    };
    let unreadable = || StoreError::Damaged {
        path: path.clone(),
        offset: 0,
        problem: format!(
            "it does not say `{TITLE}` and `form N`: restore the file, or remove it if the folder is of form 1"
        ),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| unreadable())?;
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Err(unreadable());
    }
    let form = lines.next().and_then(|line| line.strip_prefix("form ")).and_then(|n| n.parse::<u32>().ok());
    let form = form.filter(|form| *form > 0).ok_or_else(unreadable)?;
    if form > FORM {
        let made_by =
            lines.next().and_then(|line| line.strip_prefix("made by ")).unwrap_or("a newer version");
        return Err(StoreError::Newer { path, form, made_by: made_by.to_owned() });
    }
    Ok(form)
}

/// The same, and writes the file where there is none.
pub fn open(data: &Path) -> Result<u32, StoreError> {
    let form = check(data)?;
    let path = data.join(NAME);
    if path.exists() {
        return Ok(form);
    }
    // Whole or not at all: half a file would be refused at the next start.
    let fresh = data.join("format.tmp");
    let text = format!("{TITLE}\nform {form}\nmade by {}\n", env!("CARGO_PKG_VERSION"));
    let written = std::fs::File::create(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(StoreError::io("writing", &fresh))?;
    std::fs::rename(&fresh, &path).map_err(StoreError::io("renaming", &path))?;
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_and_one_without_the_file_are_of_form_1_and_get_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check(dir.path()).unwrap(), 1);
        assert!(!dir.path().join("format").exists());
        assert_eq!(open(dir.path()).unwrap(), 1);
        let text = std::fs::read_to_string(dir.path().join("format")).unwrap();
        assert_eq!(text, format!("lienthong data\nform 1\nmade by {}\n", env!("CARGO_PKG_VERSION")));
        assert_eq!(open(dir.path()).unwrap(), 1);
    }

    #[test]
    fn a_newer_form_is_refused_with_who_made_it_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("format");
        std::fs::write(&path, "lienthong data\nform 2\nmade by 3.4.5\nand more to come\n").unwrap();
        let error = open(dir.path()).unwrap_err().to_string();
        for part in ["format", "form 2", "3.4.5", "form 1", "a newer version of this program"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_file_that_says_no_form_is_refused_by_name_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("format");
        let zero = b"lienthong data\nform 0\n".as_slice();
        for bytes in [b"".as_slice(), b"something else\nform 1\n", b"lienthong data\n1\n", zero, b"\xff\xfe"]
        {
            std::fs::write(&path, bytes).unwrap();
            let error = open(dir.path()).unwrap_err();
            assert!(matches!(&error, StoreError::Damaged { path: at, .. } if *at == path), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }
}
