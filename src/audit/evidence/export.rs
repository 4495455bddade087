//! From what was collected to the files of a container, in its order: each is hashed as it goes out, and the manifest and
//! its signature come last.

use super::collect::{Collected, Data, Planned, add_new, collect, revocation_files};
use super::manifest::{Manifest, Reference};
use super::page::Shown;
use super::source::Source;
use super::{About, EvidenceError, damaged, names, page};
use crate::domain::ids::DeliveryId;
use crate::domain::limits;
use crate::merkle::{Hash, sha256};
use crate::signature::{DigestNeeds, Hasher, Signer, Trust, judge_detached};
use crate::time::Timestamp;

/// With what the manifest is signed.
pub struct Seal<'a> {
    /// Key and certificate.
    pub signer: &'a Signer,
    /// The revocation data at hand: what is there about the certificate goes along.
    pub trust: &'a Trust,
    /// When.
    pub at: Timestamp,
}

/// Exports the evidence of a delivery, file by file: path, size of the whole file, and a piece of it. A file without
/// content has one empty piece.
pub fn export<E>(
    source: &Source<'_>,
    id: DeliveryId,
    seal: Option<&Seal<'_>>,
    mut write: impl FnMut(&str, u64, &[u8]) -> Result<(), E>,
) -> Result<(), EvidenceError<E>> {
    let mut collected = collect(source, id).map_err(super::CollectError::widen)?;
    if let Some(seal) = seal {
        add_revocation(&mut collected, seal)?;
    }
    let files: Vec<(String, u64)> = collected.files.iter().map(|f| (f.path.clone(), f.data.size())).collect();
    let page = page::render(&Shown {
        id: collected.id,
        envelope: collected.envelope.as_ref(),
        events: &collected.events,
        newest: collected.newest.as_ref(),
        files: &files,
        log: source.log,
        size: source.size,
    });
    let page = Planned::here(names::PAGE.to_owned(), page);
    let about = About::new(&collected.id, source.log, source.size).render();
    let about = Planned::here(names::ABOUT.to_owned(), about);

    let mimetype = names::MEDIA_TYPE.as_bytes();
    write(names::MIMETYPE, mimetype.len() as u64, mimetype).map_err(EvidenceError::Write)?;
    let mut manifest = Manifest { files: Vec::new(), signed: seal.is_some() };
    for file in [page, about].into_iter().chain(collected.files) {
        let digest = emit(source, &file, &mut write)?;
        manifest.files.push(Reference { path: file.path, media_type: file.media_type, digest });
    }
    let manifest = manifest.render();
    write(names::MANIFEST, manifest.len() as u64, manifest.as_bytes()).map_err(EvidenceError::Write)?;
    if let Some(seal) = seal {
        let signature = seal.signer.sign_detached(sha256(manifest.as_bytes()).as_bytes(), seal.at)?;
        write(names::SIGNATURE, signature.len() as u64, &signature).map_err(EvidenceError::Write)?;
    }
    Ok(())
}

/// Writes one file and tells its digest, which is that under which it was stored.
fn emit<E>(
    source: &Source<'_>,
    file: &Planned,
    write: &mut impl FnMut(&str, u64, &[u8]) -> Result<(), E>,
) -> Result<Hash, EvidenceError<E>> {
    let (stored, size) = match &file.data {
        Data::Here(bytes) => {
            write(&file.path, bytes.len() as u64, bytes).map_err(EvidenceError::Write)?;
            return Ok(sha256(bytes));
        }
        Data::Stored { digest, size } => (digest, *size),
    };
    let mut hasher = Hasher::new(DigestNeeds::SHA256);
    let mut buffer = vec![0; size.min(limits::CHUNK_BYTES as u64) as usize];
    let mut at = 0;
    loop {
        let n = (size - at).min(buffer.len() as u64) as usize;
        source.content.read(stored, at, &mut buffer[..n])?;
        hasher.update(&buffer[..n]);
        write(&file.path, size, &buffer[..n]).map_err(EvidenceError::Write)?;
        at += n as u64;
        if at >= size {
            break;
        }
    }
    let found = Hash(hasher.finish().sha256);
    if found == *stored {
        Ok(found)
    } else {
        Err(damaged(format!("content {stored} is not what was stored")))
    }
}

/// Adds the revocation data about the certificate that will sign, as a signature by it is judged by.
fn add_revocation<E>(collected: &mut Collected, seal: &Seal<'_>) -> Result<(), EvidenceError<E>> {
    let content = sha256(names::MEDIA_TYPE.as_bytes());
    let trial = seal.signer.sign_detached(content.as_bytes(), seal.at)?;
    let digests = crate::signature::Digests { sha256: *content.as_bytes(), sha384: None, sha512: None };
    let found = judge_detached(&[trial], &digests, "", seal.trust, seal.at);
    let evidence: Vec<[u8; 32]> = found.evidence().into_iter().collect();
    add_new(&mut collected.files, revocation_files(seal.trust, &evidence));
    Ok(())
}
