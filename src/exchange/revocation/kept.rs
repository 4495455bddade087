//! What was fetched: in memory for judging, and in `<data>/revocation/`, so that a restart has it.
//!
//! ```text
//! <sha256 of the URL>.crl                    a list in DER
//! <sha256 of URL, space, certificate>.ocsp   an OCSP response in DER (the certificate by its own SHA-256)
//! <the same>.json                            where it came from, and the certificates that it speaks of and is by
//! ```
//! Lists and responses are bounded in bytes, each kind for itself; what was fetched longest ago goes first. Older data
//! never takes the place of newer. It is a cache: nothing is synced, and what cannot be read or does not verify at
//! opening is removed. Deleting the folder of a stopped node loses nothing that cannot be fetched again.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::limits::{LISTS_BYTES, RESPONSES_BYTES};
use super::plan::{Key, Kind, Source};
use crate::exchange::http::Target;
use crate::signature::{AnswerError, Crl, Missed, Span};

/// A list or a response.
#[derive(Debug, Clone)]
pub(super) enum Data {
    List(Arc<Crl>),
    Response(Arc<[u8]>),
}

impl Data {
    /// Reads what a source gave, and whether it is what was asked for.
    pub fn read(source: &Source, bytes: Vec<u8>) -> Result<(Data, Span), AnswerError> {
        match source.kind {
            Kind::List => {
                let list = Crl::read(&bytes)?;
                let span = source.about.check_crl(&list)?;
                Ok((Data::List(Arc::new(list)), span))
            }
            Kind::Response => {
                let span = source.about.check_response(&bytes)?;
                Ok((Data::Response(bytes.into()), span))
            }
        }
    }

    /// Its bytes in DER.
    pub fn der(&self) -> &[u8] {
        match self {
            Data::List(list) => list.der(),
            Data::Response(der) => der,
        }
    }
}

/// The file beside it.
#[derive(Serialize, Deserialize)]
struct Origin {
    url: String,
    certificate: String,
    issuer: String,
}

#[derive(Debug)]
struct Item {
    source: Arc<Source>,
    data: Data,
    span: Span,
    /// Counts up: the smallest was fetched longest ago.
    turn: u64,
}

/// What became of something new.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is kept, and these had to go.
    Kept(Vec<Key>),
    /// It is what was there.
    Same,
    /// What is there is newer.
    Older,
}

/// All that was fetched.
#[derive(Debug)]
pub(super) struct Kept {
    dir: PathBuf,
    items: HashMap<Key, Item>,
    turn: u64,
}

impl Kept {
    /// Opens the folder, which is made when it is not there, and says what is in it.
    pub fn open(dir: PathBuf) -> io::Result<(Kept, Vec<(Source, Span)>)> {
        std::fs::create_dir_all(&dir)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            let (path, modified) = (entry.path(), entry.metadata()?.modified()?);
            if path.extension().is_some_and(|e| e == "json") {
                found.push((modified, path));
            }
        }
        found.sort();
        let mut kept = Kept { dir, items: HashMap::new(), turn: 0 };
        let mut known = Vec::new();
        for (_, path) in found {
            let Some((source, data, span)) = read(&path) else { continue };
            let source = Arc::new(source);
            if let Put::Kept(_) = kept.put(&source, data, span) {
                known.push((Source::clone(&source), span));
            }
        }
        known.retain(|(source, _)| kept.items.contains_key(&source.key()));
        kept.sweep()?;
        Ok((kept, known))
    }

    /// Takes something new, in memory.
    pub fn put(&mut self, source: &Arc<Source>, data: Data, span: Span) -> Put {
        let key = source.key();
        if let Some(old) = self.items.get(&key) {
            if old.data.der() == data.der() {
                return Put::Same;
            }
            if old.span.this_update > span.this_update {
                return Put::Older;
            }
        }
        self.turn += 1;
        self.items.insert(key, Item { source: source.clone(), data, span, turn: self.turn });
        let (kind, limit) = match source.kind {
            Kind::List => (Kind::List, LISTS_BYTES),
            Kind::Response => (Kind::Response, RESPONSES_BYTES),
        };
        let of_kind = || self.items.iter().filter(|(_, item)| item.source.kind == kind);
        let mut bytes: usize = of_kind().map(|(_, item)| item.data.der().len()).sum();
        let mut by_turn: Vec<(u64, usize, Key)> = Vec::new();
        if bytes > limit {
            by_turn = of_kind().map(|(key, item)| (item.turn, item.data.der().len(), *key)).collect();
            by_turn.sort_unstable();
        }
        let mut gone = Vec::new();
        for (_, size, key) in by_turn {
            if bytes <= limit {
                break;
            }
            bytes -= size;
            self.items.remove(&key);
            gone.push(key);
        }
        Put::Kept(gone)
    }

    /// Forgets, in memory.
    pub fn remove(&mut self, key: &Key) -> bool {
        self.items.remove(key).is_some()
    }

    /// The lists.
    pub fn lists(&self) -> impl Iterator<Item = Arc<Crl>> {
        self.items.values().filter_map(|item| match &item.data {
            Data::List(list) => Some(list.clone()),
            Data::Response(_) => None,
        })
    }

    /// The responses.
    pub fn responses(&self) -> impl Iterator<Item = Arc<[u8]>> {
        self.items.values().filter_map(|item| match &item.data {
            Data::List(_) => None,
            Data::Response(der) => Some(der.clone()),
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes files of what is not kept.
    fn sweep(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|s| s.to_str()).and_then(|s| hex::decode(s).ok());
            let Some(key) = stem.and_then(|s| Key::try_from(s).ok()) else { continue };
            if !self.items.contains_key(&key) || path.extension().is_some_and(|e| e == "tmp") {
                std::fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Reads a file and its origin; none when they are not as they were written.
fn read(origin: &Path) -> Option<(Source, Data, Span)> {
    let text = std::fs::read(origin).ok()?;
    let read: Origin = serde_json::from_slice(&text).ok()?;
    let der = |text: &str| STANDARD.decode(text).ok();
    let about = Missed::from_der(&der(&read.certificate)?, &der(&read.issuer)?).ok()?;
    let target = Target::parse(&read.url).ok()?;
    [Kind::List, Kind::Response].into_iter().find_map(|kind| {
        let renewed = about.crl_urls().is_empty();
        let source = Source { kind, target: target.clone(), about: about.clone(), renewed };
        let file = origin.with_extension(extension(kind));
        let named = origin.file_stem().is_some_and(|s| *s == *hex::encode(source.key()));
        let bytes = if named { std::fs::read(file).ok()? } else { return None };
        let (data, span) = Data::read(&source, bytes).ok()?;
        Some((source, data, span))
    })
}

/// Writes what was put. The data is there before its origin is.
pub(super) fn write(dir: &Path, source: &Source, data: &Data) -> io::Result<()> {
    let base = dir.join(hex::encode(source.key()));
    let fresh = base.with_extension("tmp");
    let origin = Origin {
        url: source.target.url().to_owned(),
        certificate: STANDARD.encode(source.about.certificate()),
        issuer: STANDARD.encode(source.about.issuer()),
    };
    let origin = serde_json::to_vec_pretty(&origin)?;
    for (extension, bytes) in [(extension(source.kind), data.der()), ("json", &origin)] {
        std::fs::write(&fresh, bytes)?;
        std::fs::rename(&fresh, base.with_extension(extension))?;
    }
    Ok(())
}

/// Removes the files of what was forgotten.
pub(super) fn erase(dir: &Path, keys: &[Key]) -> io::Result<()> {
    for key in keys {
        for extension in ["json", "crl", "ocsp"] {
            match std::fs::remove_file(dir.join(hex::encode(key)).with_extension(extension)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}

fn extension(kind: Kind) -> &'static str {
    match kind {
        Kind::List => "crl",
        Kind::Response => "ocsp",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{list_from, missed};
    use super::*;

    fn source(url: &str) -> Arc<Source> {
        Arc::new(Source::of(&missed(&[url], &[])).remove(0))
    }

    fn fetched(source: &Source, year: i32) -> (Data, Span) {
        Data::read(source, list_from(year)).unwrap()
    }

    #[test]
    fn what_was_fetched_is_there_after_a_restart_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("revocation");
        let (mut kept, known) = Kept::open(at.clone()).unwrap();
        assert!(known.is_empty());
        let sources = [source("http://a/1.crl"), source("http://a/2.crl"), source("http://a/3.crl")];
        for source in &sources {
            let (data, span) = fetched(source, 2020);
            write(kept.dir(), source, &data).unwrap();
            assert_eq!(kept.put(source, data, span), Put::Kept(vec![]));
        }
        let file = |source: &Source, ending: &str| at.join(hex::encode(source.key())).with_extension(ending);
        // One is damaged, one has lost its origin, somebody left a note.
        let mut bytes = std::fs::read(file(&sources[1], "crl")).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(file(&sources[1], "crl"), bytes).unwrap();
        std::fs::remove_file(file(&sources[2], "json")).unwrap();
        std::fs::write(at.join("README"), "ours").unwrap();
        let (kept, known) = Kept::open(at.clone()).unwrap();
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].0.target.url(), "http://a/1.crl");
        assert_eq!(kept.lists().count(), 1);
        assert_eq!(std::fs::read_dir(&at).unwrap().count(), 3);
        erase(&at, &[sources[0].key()]).unwrap();
        let (_, known) = Kept::open(at).unwrap();
        assert!(known.is_empty());
    }

    #[test]
    fn an_older_list_never_takes_the_place_of_a_newer() {
        let dir = tempfile::tempdir().unwrap();
        let (mut kept, _) = Kept::open(dir.path().to_owned()).unwrap();
        let source = source("http://a/1.crl");
        let (new, span) = fetched(&source, 2021);
        kept.put(&source, new.clone(), span);
        assert_eq!(kept.put(&source, new, span), Put::Same);
        let (old, earlier) = fetched(&source, 2020);
        assert_eq!(kept.put(&source, old, earlier), Put::Older);
        assert_eq!(kept.lists().next().unwrap().this_update(), span.this_update);
    }

    #[test]
    fn of_too_many_bytes_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let (mut kept, _) = Kept::open(dir.path().to_owned()).unwrap();
        let about = missed(&[], &["http://a/"]);
        let span = fetched(&source("http://a/1.crl"), 2020).1;
        let mut keys = Vec::new();
        let response = |n: usize| {
            let target = Target::parse(&format!("http://a/{n}")).unwrap();
            Arc::new(Source { kind: Kind::Response, target, about: about.clone(), renewed: true })
        };
        let size = RESPONSES_BYTES / 4;
        for n in 0..6 {
            let source = response(n);
            keys.push(source.key());
            let gone = kept.put(&source, Data::Response(vec![n as u8; size].into()), span);
            assert_eq!(gone, Put::Kept(if n < 4 { vec![] } else { vec![keys[n - 4]] }));
        }
        assert_eq!(kept.responses().count(), 4);
        assert!(kept.remove(&keys[5]) && !kept.remove(&keys[0]));
    }
}
