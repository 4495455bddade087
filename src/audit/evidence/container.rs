//! The zip around the files: entries one after the other, nothing compressed, `mimetype` first (EN 319 162-1, 4.4 and A.1).
//!
//! Reading is strict: both lists of entries agree, no name stands twice, and every byte before the central directory
//! belongs to exactly one entry, so that all tools see the same files.

use std::io::{Read, Seek, SeekFrom, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::names::{MEDIA_TYPE, MIMETYPE};

/// Entries of a container that is read: a document has at most 100 parts and 1,700 files beside them; deliveries have
/// a few dozen events.
pub const MAX_ENTRIES: usize = 20_000;

/// Writes a container, file by file.
pub struct Packer<W: Write + Seek> {
    zip: ZipWriter<W>,
}

impl<W: Write + Seek> Packer<W> {
    /// Into a file.
    pub fn new(out: W) -> Packer<W> {
        Packer { zip: ZipWriter::new(out) }
    }

    /// Begins the next file. `size` may be more than four GiB.
    pub fn file(&mut self, path: &str, size: u64) -> std::io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            // The time that counts is in the events.
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644)
            .large_file(size >= u64::from(u32::MAX));
        self.zip.start_file(path, options).map_err(std::io::Error::other)
    }

    /// Appends to the file that was begun.
    pub fn write(&mut self, data: &[u8]) -> std::io::Result<()> {
        self.zip.write_all(data)
    }

    /// Writes the central directory.
    pub fn finish(self) -> std::io::Result<W> {
        self.zip.finish().map_err(std::io::Error::other)
    }
}

/// A file of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// CRC-32 as the archive says.
    crc: u32,
    /// Where they begin.
    start: u64,
}

/// What is wrong with a file of a container, or with the archive where there is no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The file's path; empty: the archive.
    pub file: String,
    /// What.
    pub problem: String,
}

/// A container that is read.
pub struct Container<R> {
    reader: R,
    entries: Vec<Entry>,
}

impl<R: Read + Seek> Container<R> {
    /// Reads the list of files.
    pub fn open(reader: R) -> Result<Container<R>, Broken> {
        let broken = |file: &str, problem: String| Broken { file: file.to_owned(), problem };
        let archive = |e: zip::result::ZipError| broken("", format!("it is no good zip archive: {e}"));
        let mut zip = ZipArchive::new(reader).map_err(archive)?;
        if zip.len() > MAX_ENTRIES {
            return Err(broken(
                "",
                format!("{} entries are more than the {MAX_ENTRIES} that are read", zip.len()),
            ));
        }
        if zip.has_duplicate_names() {
            return Err(broken("", "a name stands twice in it".to_owned()));
        }
        zip.validate_header_consistency().map_err(archive)?;
        if zip.offset() != 0 || !zip.comment().is_empty() {
            return Err(broken("", "there are bytes before or after the archive".to_owned()));
        }
        let mut found = Vec::with_capacity(zip.len());
        for i in 0..zip.len() {
            let file = zip.by_index_raw(i).map_err(archive)?;
            let path = file.name().map_err(archive)?.into_owned();
            if file.compression() != CompressionMethod::Stored || file.encrypted() {
                return Err(broken(
                    &path,
                    "it is compressed or encrypted: files are stored as they are".to_owned(),
                ));
            }
            if file.is_dir() || file.is_symlink() || file.size() != file.compressed_size() {
                return Err(broken(&path, "it is no plain file".to_owned()));
            }
            let start = file.data_start().ok_or_else(|| broken(&path, "it has no place".to_owned()))?;
            let entry = Entry { size: file.size(), crc: file.crc32(), start, path };
            found.push((file.header_start(), entry));
        }
        found.sort_by_key(|(header, _)| *header);
        let mut end = 0;
        for (header, entry) in &found {
            if *header != end {
                return Err(broken(
                    &entry.path,
                    format!("{} bytes before it belong to no file", header.abs_diff(end)),
                ));
            }
            end = entry.start.saturating_add(entry.size);
        }
        if end != zip.central_directory_start() {
            return Err(broken("", "bytes behind the last file belong to no file".to_owned()));
        }
        let entries = found.into_iter().map(|(_, entry)| entry).collect();
        let mut container = Container { reader: zip.into_inner(), entries };
        container.check_end()?;
        container.check_mimetype()?;
        Ok(container)
    }

    /// The archive ends where its last record does.
    fn check_end(&mut self) -> Result<(), Broken> {
        let mut last = [0; 22];
        let read = self.reader.seek(SeekFrom::End(-22)).and_then(|_| self.reader.read_exact(&mut last));
        // The end of the central directory without a comment (APPNOTE 4.3.16).
        if read.is_ok() && last.starts_with(b"PK\x05\x06") && last.ends_with(&[0, 0]) {
            return Ok(());
        }
        Err(Broken { file: String::new(), problem: "there are bytes behind the archive".to_owned() })
    }

    fn check_mimetype(&mut self) -> Result<(), Broken> {
        let broken = |problem: String| Broken { file: MIMETYPE.to_owned(), problem };
        let first = self.entries.first().filter(|e| e.path == MIMETYPE).cloned();
        let first = first.ok_or_else(|| broken("it is not the first file".to_owned()))?;
        // The local header has 30 bytes and the name, and no extra field (A.1).
        if first.start != 30 + MIMETYPE.len() as u64 {
            return Err(broken("it has an extra field".to_owned()));
        }
        let found = self.whole(&first, 100)?;
        if found != MEDIA_TYPE.as_bytes() {
            return Err(broken(format!("it is not `{MEDIA_TYPE}`")));
        }
        Ok(())
    }

    /// All files, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// A file by its path.
    pub fn entry(&self, path: &str) -> Option<Entry> {
        self.entries.iter().find(|e| e.path == path).cloned()
    }

    /// The files below a folder, in their order.
    pub fn under(&self, folder: &str) -> Vec<Entry> {
        self.entries.iter().filter(|e| e.path.starts_with(folder)).cloned().collect()
    }

    /// Reads a file piece by piece; whether its CRC-32 in the archive is that of its bytes.
    pub fn read(&mut self, entry: &Entry, mut sink: impl FnMut(&[u8])) -> Result<bool, Broken> {
        let broken = |problem: String| Broken { file: entry.path.clone(), problem };
        let io = |e: std::io::Error| broken(format!("it cannot be read: {e}"));
        self.reader.seek(SeekFrom::Start(entry.start)).map_err(io)?;
        let mut buffer = vec![0; 256 * 1024];
        let mut left = entry.size;
        let mut crc = crc32fast::Hasher::new();
        while left > 0 {
            let n = left.min(buffer.len() as u64) as usize;
            self.reader.read_exact(&mut buffer[..n]).map_err(io)?;
            crc.update(&buffer[..n]);
            sink(&buffer[..n]);
            left -= n as u64;
        }
        Ok(crc.finalize() == entry.crc)
    }

    /// Reads a file whole; it has at most `limit` bytes.
    pub fn whole(&mut self, entry: &Entry, limit: u64) -> Result<Vec<u8>, Broken> {
        if entry.size > limit {
            let problem = format!("{} bytes are more than the {limit} that such a file has", entry.size);
            return Err(Broken { file: entry.path.clone(), problem });
        }
        let mut data = Vec::with_capacity(entry.size as usize);
        self.read(entry, |piece| data.extend_from_slice(piece))?;
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::sha256;

    /// A file most of which is zeros, and kept as such.
    #[derive(Default)]
    struct Sparse {
        pieces: std::collections::BTreeMap<u64, Vec<u8>>,
        at: u64,
        end: u64,
    }

    impl Write for Sparse {
        fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
            if data.len() < 65_536 {
                self.pieces.insert(self.at, data.to_vec());
            } else {
                assert!(data.iter().all(|b| *b == 0), "only zeros come in large pieces");
            }
            self.at += data.len() as u64;
            self.end = self.end.max(self.at);
            Ok(data.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Read for Sparse {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = (self.end - self.at).min(buffer.len() as u64) as usize;
            buffer[..n].fill(0);
            let before = self.at.saturating_sub(65_536);
            for (start, piece) in self.pieces.range(before..self.at + n as u64) {
                for (place, byte) in (*start..).zip(piece) {
                    if let Some(i) = place.checked_sub(self.at).filter(|i| *i < n as u64) {
                        buffer[i as usize] = *byte;
                    }
                }
            }
            self.at += n as u64;
            Ok(n)
        }
    }

    impl Seek for Sparse {
        fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
            self.at = match to {
                SeekFrom::Start(at) => at,
                SeekFrom::End(by) => self.end.saturating_add_signed(by),
                SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            };
            Ok(self.at)
        }
    }

    #[test]
    fn a_part_of_more_than_four_gib_is_packed_and_read_in_bounded_memory() {
        const SIZE: u64 = (4 << 30) + 12_345;
        let zeros = vec![0; 1 << 20];
        let mut packer = Packer::new(Sparse::default());
        packer.file(MIMETYPE, MEDIA_TYPE.len() as u64).unwrap();
        packer.write(MEDIA_TYPE.as_bytes()).unwrap();
        packer.file("document/large.bin", SIZE).unwrap();
        let mut left = SIZE;
        while left > 0 {
            let n = left.min(zeros.len() as u64) as usize;
            packer.write(&zeros[..n]).unwrap();
            left -= n as u64;
        }
        packer.file("index.html", 4).unwrap();
        packer.write(b"page").unwrap();
        let packed = packer.finish().unwrap();
        let kept: usize = packed.pieces.values().map(Vec::len).sum();
        assert!(packed.end > SIZE && kept < 100_000, "{kept} bytes kept of {}", packed.end);
        let mut container = Container::open(packed).unwrap();
        let entries = container.entries().to_vec();
        assert_eq!(entries.iter().map(|e| e.size).collect::<Vec<_>>(), [31, SIZE, 4]);
        let mut read = 0;
        assert_eq!(container.read(&entries[1], |piece| read += piece.len() as u64), Ok(true));
        assert_eq!(read, SIZE);
        let page = container.whole(&entries[2], 100).unwrap();
        assert_eq!(sha256(&page), sha256(b"page"));
        assert!(container.whole(&entries[1], 1 << 20).unwrap_err().problem.contains("more than the 1048576"));
    }
}
