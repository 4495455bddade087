//! Checking a container, from the outside in: archive, manifest and its signature, directory versions, proofs, messages,
//! content, signatures. Nothing is read from anywhere else.
//!
//! A file that is not what the manifest says ends the checking: the rest would only repeat it. Everything else is checked
//! on, so that the list of statements says all that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use super::collect::REVOCATION_BYTES;
use super::complete::Found;
use super::container::{Broken, Container};
use super::judged::{self, Judging};
use super::keys::Keys;
use super::manifest::{self, Manifest};
use super::messages::{self, Message, Said};
use super::page::{self, Shown};
use super::proofs::{self, Proofs, Seen};
use super::purged::Purges;
use super::report::{Given, Report};
use super::{About, FORMAT, content, cosigned, names, stamped};
use crate::directory::{Directory, MAX_BYTES};
use crate::domain::envelope::{Body, Envelope};
use crate::domain::limits;
use crate::merkle::{Hash, sha256};
use crate::signature::{DigestNeeds, Hasher};
use crate::wire;

/// Bytes of the page and of other files that are read whole.
const SMALL_BYTES: u64 = 16 << 20;

/// Checks a container.
pub fn verify<R: Read + Seek>(reader: R, given: &Given<'_>) -> Report {
    let mut report = Report::default();
    match Container::open(reader) {
        Ok(container) => {
            let mut check = Check { container, given, report: &mut report };
            if let Err(broken) = check.run() {
                report.broken(broken);
            }
        }
        Err(broken) => report.broken(broken),
    }
    report
}

struct Check<'a, R> {
    container: Container<R>,
    given: &'a Given<'a>,
    report: &'a mut Report,
}

impl<R: Read + Seek> Check<'_, R> {
    fn run(&mut self) -> Result<(), Broken> {
        let Some((manifest, xml)) = self.manifest()? else { return Ok(()) };
        self.digests(&manifest)?;
        if self.report.has_failed() {
            return Ok(());
        }
        let Some(about) = self.about()? else { return Ok(()) };
        let directories = self.directories()?;
        let newest = directories.iter().rposition(|(file, _)| !file.is_empty());
        let newest = newest.map(|at| directories[at].1.clone());
        let directories: Vec<Directory> = directories.into_iter().map(|(_, d)| d).collect();
        let keys = Keys::of(&directories);
        let revocation = self.revocation()?;
        let (report, container, roots) = (&mut *self.report, &mut self.container, self.given.roots);
        let seen = Seen {
            cosigned: cosigned::check(report, container, &keys)?,
            stamped: stamped::check(report, container, &keys, roots, &revocation)?,
        };
        let proofs = proofs::check(report, container, &keys, &seen)?;
        let signer = judged::manifest(report, container, roots, &revocation, (manifest.signed, &xml))?;
        let mut messages = self.messages()?;
        let purges = Purges::of(&about.log, &proofs.events);
        messages.extend(purges.messages(&proofs.events, &messages));
        let Some(main) = self.about_agrees(&about, &proofs.trees, &messages) else { return Ok(()) };
        let main = &messages[main];
        let (report, container) = (&mut *self.report, &mut self.container);
        messages::check(report, &directories, &about.log, &proofs.events, &messages);
        for message in &messages {
            content::check(report, container, &about.log, &proofs.events, message)?;
            purges.check(report, message);
        }
        let judging = Judging { directories: &directories, roots, revocation: &revocation };
        for message in &messages {
            judged::check(report, container, &judging, &about.log, &proofs.events, message)?;
        }
        content::certificates(report, container, &directories, &proofs.events, main)?;
        let (about, seen) = (&about, &seen);
        let found = Found {
            about,
            directories: &directories,
            keys: &keys,
            seen,
            proofs: &proofs,
            messages: &messages,
            main,
        };
        found.check(report);
        found.revocation(report, &revocation, &signer);
        self.places(&manifest, &messages, main);
        self.page(about, newest.as_ref(), &proofs, seen, main)?;
        found.open(self.report, self.given);
        self.report.delivery = Some(main.id);
        Ok(())
    }

    /// The page is the one that the rest of the container gives.
    fn page(
        &mut self,
        about: &About,
        newest: Option<&Directory>,
        proofs: &Proofs,
        seen: &Seen,
        main: &Message,
    ) -> Result<(), Broken> {
        let what = "it says what was verified, and nothing else";
        let events = proofs.shown(&about.log, &seen.stamped);
        let besides = [names::MIMETYPE, names::PAGE, names::ABOUT, names::MANIFEST, names::SIGNATURE];
        let entries = self.container.entries().iter().filter(|e| !besides.contains(&e.path.as_str()));
        let files: Vec<(String, u64)> = entries.map(|e| (e.path.clone(), e.size)).collect();
        let again = page::render(&Shown {
            id: main.id,
            envelope: main.envelope(),
            events: &events,
            newest,
            files: &files,
            log: &about.log,
            size: about.size,
        });
        match self.container.entry(names::PAGE) {
            None => self.report.fails(names::PAGE, what, "it is not in the container"),
            Some(entry)
                if entry.size != again.len() as u64
                    || self.container.whole(&entry, SMALL_BYTES)? != again.as_bytes() =>
            {
                let why = "it is not the page that the other files of the container give: it was changed, or one of them";
                self.report.fails(names::PAGE, what, why);
            }
            Some(_) => {
                let how = "made again from the envelope, the events and the directory that are here: every byte is the same";
                self.report.holds(names::PAGE, what, how);
            }
        }
        self.report.page = Some(again);
        Ok(())
    }

    /// The manifest names every file, and nothing else.
    fn manifest(&mut self) -> Result<Option<(Manifest, Vec<u8>)>, Broken> {
        let Some(entry) = self.container.entry(names::MANIFEST) else {
            self.report.fails(names::MANIFEST, "every file has its digest in the manifest", "it is missing");
            return Ok(None);
        };
        let bytes = self.container.whole(&entry, manifest::MAX_BYTES)?;
        let read = std::str::from_utf8(&bytes).map_err(|e| e.to_string()).and_then(Manifest::parse);
        match read {
            Ok(manifest) => Ok(Some((manifest, bytes))),
            Err(why) => {
                self.report.fails(names::MANIFEST, "every file has its digest in the manifest", why);
                Ok(None)
            }
        }
    }

    fn digests(&mut self, manifest: &Manifest) -> Result<(), Broken> {
        let what = "the file is the one that the manifest names";
        let mut named: BTreeMap<&str, &manifest::Reference> = BTreeMap::new();
        for file in &manifest.files {
            if named.insert(&file.path, file).is_some() {
                self.report.fails(&file.path, what, "the manifest names it twice");
            }
        }
        let mut count = 0u64;
        for entry in self.container.entries().to_vec() {
            if [names::MIMETYPE, names::MANIFEST].contains(&entry.path.as_str())
                || (manifest.signed && entry.path == names::SIGNATURE)
            {
                continue;
            }
            let Some(file) = named.remove(entry.path.as_str()) else {
                self.report.fails(
                    &entry.path,
                    what,
                    format!("{} does not name it: it was added", names::MANIFEST),
                );
                continue;
            };
            let mut hasher = Hasher::new(DigestNeeds::SHA256);
            let crc = self.container.read(&entry, |piece| hasher.update(piece))?;
            let found = Hash(hasher.finish().sha256);
            if found != file.digest {
                let why = format!(
                    "its SHA-256 is {found}, {} says {}: it was changed",
                    names::MANIFEST,
                    file.digest
                );
                self.report.fails(&entry.path, what, why);
            } else if !crc {
                self.report.fails(&entry.path, what, "its CRC-32 in the archive is not that of its bytes");
            }
            count += 1;
        }
        for path in named.keys() {
            self.report.fails(
                path,
                what,
                format!("{} names it, it is not in the container: it was removed", names::MANIFEST),
            );
        }
        if !self.report.has_failed() {
            let how = "SHA-256 of each computed and compared; no file is missing, none is there that it does not name";
            self.report.holds(names::MANIFEST, format!("it names the {count} files of the container"), how);
        }
        Ok(())
    }

    fn about(&mut self) -> Result<Option<About>, Broken> {
        let what = "it says what the container is about";
        let Some(entry) = self.container.entry(names::ABOUT) else {
            self.report.fails(names::ABOUT, what, "it is missing");
            return Ok(None);
        };
        let bytes = self.container.whole(&entry, SMALL_BYTES)?;
        match serde_json::from_slice::<About>(&bytes) {
            Ok(about) if about.format == FORMAT && about.render().as_bytes() != bytes => {
                self.report.fails(names::ABOUT, what, "it is not written as it is exported");
                Ok(None)
            }
            Ok(about) if about.format == FORMAT => Ok(Some(about)),
            Ok(about) => {
                let why = format!(
                    "format {} is not {FORMAT}: a newer version of this program reads it",
                    about.format
                );
                self.report.fails(names::ABOUT, what, why);
                Ok(None)
            }
            Err(error) => {
                self.report.fails(names::ABOUT, what, error.to_string());
                Ok(None)
            }
        }
    }

    /// The message that is the document, when what the container says of itself is what is in it.
    fn about_agrees(
        &mut self,
        about: &About,
        trees: &BTreeSet<(String, u64)>,
        messages: &[Message],
    ) -> Option<usize> {
        let what = "it says what the container is about";
        let main = messages.iter().position(|m| m.id.to_string() == about.delivery_id);
        let Some(main) = main.filter(|main| messages[*main].kind().is_document()) else {
            let why = format!(
                "no envelope of a document with delivery id {} is in the container, and no event says that it was purged",
                about.delivery_id
            );
            self.report.fails(names::ABOUT, what, why);
            return None;
        };
        if !trees.contains(&(about.log.clone(), about.size)) {
            let why = format!("no event is proven in `{}` of {} events", about.log, about.size);
            self.report.fails(names::ABOUT, what, why);
        } else {
            self.report.holds(
                names::ABOUT,
                format!("delivery {}", about.delivery_id),
                "its envelope and events are here",
            );
        }
        Some(main)
    }

    /// The directory versions, each signed by the authority, and each after the one before it.
    fn directories(&mut self) -> Result<Vec<(String, Directory)>, Broken> {
        let what = "the directory's authority signed it";
        let mut found: Vec<(String, Directory)> = Vec::new();
        for entry in self.container.under(names::DIRECTORY) {
            let bytes = self.container.whole(&entry, MAX_BYTES as u64)?;
            let text = String::from_utf8(bytes).map_err(|e| e.to_string());
            match text
                .and_then(|note| Directory::verify(&note, self.given.authority).map_err(|e| e.to_string()))
            {
                Ok(directory) if entry.path == names::directory(directory.version()) => {
                    let how = format!("Ed25519, key {}", self.given.authority);
                    let what = format!(
                        "directory version {} of network {}",
                        directory.version(),
                        directory.network()
                    );
                    self.report.holds(&entry.path, what, how);
                    found.push((entry.path, directory));
                }
                Ok(directory) => {
                    let why = format!("it is version {}, not the one of its name", directory.version());
                    self.report.fails(&entry.path, what, why);
                }
                Err(why) => self.report.fails(&entry.path, what, why),
            }
        }
        if found.is_empty() {
            self.report.fails(names::DIRECTORY, "the directory lists the keys", "no version of it is here");
        }
        if let Some(note) = self.given.newer {
            match Directory::verify(note, self.given.authority) {
                Ok(directory) => found.push((String::new(), directory)),
                Err(error) => {
                    self.report.fails("", "the directory version that was given is good", error.to_string())
                }
            }
        }
        found.sort_by_key(|(_, d)| d.version());
        for pair in found.windows(2) {
            let ((_, before), (file, after)) = (&pair[0], &pair[1]);
            let what = format!("version {} follows version {}", after.version(), before.version());
            if before.network() != after.network() {
                self.report.fails(file, what, "they are of two networks");
            } else if after.version() == before.version() + 1 && after.previous().is_some() {
                match after.previous() == Some(before.digest()) {
                    true => self.report.holds(file, what, "it names the SHA-256 of the one before"),
                    false => self.report.fails(file, what, "it names another SHA-256 of the one before"),
                }
            }
        }
        Ok(found)
    }

    /// The envelopes.
    fn messages(&mut self) -> Result<Vec<Message>, Broken> {
        let mut found = Vec::new();
        for entry in
            self.container.under(names::MESSAGE).into_iter().filter(|e| e.path.ends_with(".envelope"))
        {
            let what = "it is a message's envelope";
            let bytes = self.container.whole(&entry, limits::ENVELOPE_BYTES as u64)?;
            let read = wire::envelope::decode(&bytes).and_then(|e| e.check(u64::MAX).map(|()| e));
            match read {
                Ok(envelope) if entry.path == names::envelope(&envelope.delivery_id) => found.push(Message {
                    file: entry.path,
                    id: envelope.delivery_id,
                    digest: sha256(&bytes),
                    said: Said::Envelope(Box::new(envelope)),
                }),
                Ok(envelope) => {
                    let why =
                        format!("it is that of delivery {}, not the one of its name", envelope.delivery_id);
                    self.report.fails(&entry.path, what, why);
                }
                Err(error) => self.report.fails(&entry.path, what, error.to_string()),
            }
        }
        Ok(found)
    }

    /// Revocation data, each under its own digest.
    fn revocation(&mut self) -> Result<judged::Revocation, Broken> {
        let mut found = judged::Revocation::default();
        for entry in self.container.under(names::REVOCATION) {
            let bytes = self.container.whole(&entry, REVOCATION_BYTES)?;
            let digest = sha256(&bytes);
            if let Err(why) = found.add(&entry.path, digest, bytes) {
                self.report.fails(&entry.path, "it is revocation data", why);
            }
        }
        Ok(found)
    }

    /// Every file is at a place of its kind, with the media type of it.
    fn places(&mut self, manifest: &Manifest, messages: &[Message], main: &Message) {
        let parts = main.envelope().map(Envelope::parts).unwrap_or_default();
        let files = names::parts(parts);
        for file in &manifest.files {
            let path = file.path.as_str();
            let part = files.iter().position(|f| f.content == path);
            let beside = files.iter().any(|f| f.signatures.iter().any(|s| s == path));
            let folders = [
                names::EVENT,
                names::DIRECTORY,
                names::REVOCATION,
                names::CERTIFICATE,
                names::CHECKPOINT,
                names::TIMESTAMP,
            ];
            let known = [names::PAGE, names::ABOUT].contains(&path)
                || part.is_some()
                || beside
                || messages.iter().any(|m| names::envelope(&m.id) == path || of_notice(m, path))
                || folders.iter().any(|folder| path.starts_with(folder));
            let expected = part.map_or(names::media_type(path), |i| parts[i].media_type.as_str());
            if !known {
                self.report.fails(path, "the file has a place in a container of evidence", "it has none");
            } else if file.media_type != expected {
                let why = format!("{} calls it `{}`, it is `{expected}`", names::MANIFEST, file.media_type);
                self.report.fails(path, "the manifest names its media type", why);
            }
        }
    }
}

/// Whether a file is a signature of this notice.
fn of_notice(message: &Message, path: &str) -> bool {
    let Some(Body::Notice(notice)) = message.envelope().map(|e| &e.body) else { return false };
    (0..notice.signatures.len()).any(|at| names::notice_signature(&message.id, at) == path)
}
