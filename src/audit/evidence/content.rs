//! What a message named by digest: parts, and signatures beside them; and the certificates that signed.
//!
//! What the exporting node had, by its own log, must be here. What never came to it is not, and its digest is proven.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use super::container::{Broken, Container, Entry};
use super::messages::{Message, ProvenEvent};
use super::report::Report;
use super::{file_of_digest, names};
use crate::directory::Directory;
use crate::domain::envelope::{Body, Envelope};
use crate::domain::event::EventKind;
use crate::domain::ids::Digest;
use crate::domain::limits;
use crate::merkle::{Hash, sha256};
use crate::signature::{DigestNeeds, Hasher, certificates_of};

/// Whether the exporting node had the content of a message, by what its log says of it.
fn had_content(exporter: &str, events: &[ProvenEvent], message: &Message) -> bool {
    let about = |e: &&ProvenEvent| e.log == exporter && e.event.kind.delivery_id() == Some(message.id);
    events.iter().filter(about).any(|e| match &e.event.kind {
        EventKind::Submitted { .. } | EventKind::Received { .. } => true,
        EventKind::Refused { content_digests, .. } => !content_digests.is_empty(),
        _ => false,
    })
}

/// Checks the files that a message names.
pub(super) fn check<R: Read + Seek>(
    report: &mut Report,
    container: &mut Container<R>,
    exporter: &str,
    events: &[ProvenEvent],
    message: &Message,
) -> Result<(), Broken> {
    let Some(envelope) = message.envelope() else { return Ok(()) };
    let had = had_content(exporter, events, message);
    for (file, digest, size) in named(envelope) {
        let what = "it is what was sent";
        let Some(entry) = container.entry(&file) else {
            if had {
                let why = format!(
                    "it is not in the container: `{exporter}` says that its node had it (SHA-256 {digest}), and no event \
                     that it was purged"
                );
                report.fails(&file, what, why);
            } else {
                let why = "it is not in the container: it never came to the node that exported. Its SHA-256 is proven";
                report.notes(&file, format!("a file with SHA-256 {digest} was sent"), why);
            }
            continue;
        };
        let found = hash(container, &entry)?;
        if found != digest || entry.size != size {
            let why = format!("its SHA-256 is {found}, its envelope says {digest}");
            report.fails(&file, what, why);
        } else {
            let how =
                format!("{size} bytes with SHA-256 {digest}, as its envelope and the events of the logs say");
            report.holds(&file, what, how);
        }
    }
    Ok(())
}

/// The files that an envelope names, with digest and size.
fn named(envelope: &Envelope) -> Vec<(String, Digest, u64)> {
    let mut named: Vec<(String, Digest, u64)> = Vec::new();
    let parts = envelope.parts();
    for (part, files) in parts.iter().zip(names::parts(parts)) {
        named.push((files.content, part.sha256, part.size));
        let signatures = part.signatures.iter().zip(files.signatures);
        named.extend(signatures.map(|((digest, size), file)| (file, *digest, u64::from(*size))));
    }
    if let Body::Notice(notice) = &envelope.body {
        let signatures = notice.signatures.iter().enumerate();
        named.extend(signatures.map(|(at, (digest, size))| {
            (names::notice_signature(&envelope.delivery_id, at), *digest, u64::from(*size))
        }));
    }
    named
}

fn hash<R: Read + Seek>(container: &mut Container<R>, entry: &Entry) -> Result<Digest, Broken> {
    let mut hasher = Hasher::new(DigestNeeds::SHA256);
    container.read(entry, |piece| hasher.update(piece))?;
    Ok(Hash(hasher.finish().sha256))
}

/// Certificates that are there to be looked at: those that signatures beside the document were judged with.
pub(super) fn certificates<R: Read + Seek>(
    report: &mut Report,
    container: &mut Container<R>,
    directories: &[Directory],
    events: &[ProvenEvent],
    main: &Message,
) -> Result<(), Broken> {
    let judged = events.iter().filter_map(|e| super::collect::judged_of(&e.event.kind));
    let used: BTreeSet<Digest> = judged.flat_map(|j| &j.signatures).filter_map(|s| s.certificate).collect();
    for entry in container.under(names::CERTIFICATE) {
        let digest = hash(container, &entry)?;
        if file_of_digest(&entry.path) != Some(digest) || !used.contains(&digest) {
            let why = "no event names a certificate with its SHA-256, or its name is another";
            report.fails(&entry.path, "it is the certificate of a signature", why);
            continue;
        }
        let seal_of = directories
            .iter()
            .rev()
            .find_map(|d| d.trust().seal_of(digest.as_bytes()).map(ToOwned::to_owned));
        let what = seal_of.map_or_else(
            || "the certificate of a person's signature".to_owned(),
            |agency| format!("the certificate of the seal of {agency}"),
        );
        report.holds(&entry.path, what, "its SHA-256 stands in the events, and in the signature");
    }
    let parts = main.envelope().map(Envelope::parts).unwrap_or_default();
    for path in names::parts(parts).into_iter().flat_map(|files| files.signatures) {
        let Some(entry) = container.entry(&path) else { continue };
        for der in certificates_of(&container.whole(&entry, limits::SIGNATURE_BYTES as u64)?) {
            let digest = sha256(&der);
            let file = names::certificate(&digest);
            if used.contains(&digest) && container.entry(&file).is_none() {
                let why = format!("it is not in the container, though {path} was made with it");
                report.fails(&file, "it is the certificate of a signature", why);
            }
        }
    }
    Ok(())
}
