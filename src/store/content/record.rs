//! Records of a content segment: `"LTCR" | length u32 | SHA-256 | data`, one after the other.

use std::path::Path;

use crate::merkle::{Hash, sha256};
use crate::store::StoreError;
use crate::store::disk::{Disk, DiskFile};

const MAGIC: [u8; 4] = *b"LTCR";
/// Bytes before the data.
pub(super) const HEADER: u64 = 40;
/// What is larger gets a file of its own.
pub const RECORD_BYTES: u64 = 1 << 20;

/// Appends a record to a buffer.
pub(super) fn write(buffer: &mut Vec<u8>, digest: &Hash, data: &[u8]) {
    buffer.extend_from_slice(&MAGIC);
    buffer.extend_from_slice(&(data.len() as u32).to_be_bytes());
    buffer.extend_from_slice(digest.as_bytes());
    buffer.extend_from_slice(data);
}

/// Reads the records of a segment; `found` gets digest, first byte of the data, and its length. Returns where the last
/// good record ends. A bad record with a good one behind it is damage, and passed over: only what no leaf can name is
/// at the end and may be torn.
pub(super) fn scan(
    disk: &dyn Disk,
    path: &Path,
    mut found: impl FnMut(Hash, u64, u32),
) -> Result<u64, StoreError> {
    let file = disk.open_read(path).map_err(StoreError::io("opening", path))?;
    let length = file.len().map_err(StoreError::io("measuring", path))?;
    let (mut at, mut end) = (0, 0);
    loop {
        if let Some((digest, size)) = record_at(&*file, path, at, length)? {
            found(digest, at + HEADER, size);
            at += HEADER + u64::from(size);
            end = at;
            continue;
        }
        let Some(next) = next_record(&*file, path, at + 1, length)? else { return Ok(end) };
        tracing::error!(path = %path.display(), offset = at, "content is damaged; what follows it is good");
        at = next;
    }
}

/// The digest and size of the record at `at`, if a good one is there.
fn record_at(
    file: &dyn DiskFile,
    path: &Path,
    at: u64,
    length: u64,
) -> Result<Option<(Hash, u32)>, StoreError> {
    let Some((digest, size)) = header_at(file, path, at, length)? else { return Ok(None) };
    let mut data = vec![0; size as usize];
    file.read_at(&mut data, at + HEADER).map_err(StoreError::io("reading", path))?;
    Ok((sha256(&data) == digest).then_some((digest, size)))
}

/// What the header at `at` says, if it is one of a record that fits.
pub(super) fn header_at(
    file: &dyn DiskFile,
    path: &Path,
    at: u64,
    length: u64,
) -> Result<Option<(Hash, u32)>, StoreError> {
    if at + HEADER > length {
        return Ok(None);
    }
    let mut header = [0; HEADER as usize];
    file.read_at(&mut header, at).map_err(StoreError::io("reading", path))?;
    let size = u32::from_be_bytes(header[4..8].try_into().expect("four bytes"));
    if header[..4] != MAGIC || u64::from(size) > RECORD_BYTES || at + HEADER + u64::from(size) > length {
        return Ok(None);
    }
    Ok(Hash::from_slice(&header[8..]).map(|digest| (digest, size)))
}

/// Where the next good record begins, from `from` on.
fn next_record(file: &dyn DiskFile, path: &Path, from: u64, length: u64) -> Result<Option<u64>, StoreError> {
    let mut window = vec![0; 1 << 20];
    let mut at = from;
    while at + HEADER <= length {
        let n = (length - at).min(window.len() as u64) as usize;
        let window = &mut window[..n];
        file.read_at(window, at).map_err(StoreError::io("reading", path))?;
        for i in window.windows(MAGIC.len()).enumerate().filter(|(_, w)| *w == MAGIC).map(|(i, _)| i as u64) {
            if record_at(file, path, at + i, length)?.is_some() {
                return Ok(Some(at + i));
            }
        }
        // The mark may lie across two windows.
        at += (n - (MAGIC.len() - 1)) as u64;
    }
    Ok(None)
}
