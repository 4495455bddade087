//! The journal: append-only segments of blocks. Appending a block and syncing it **is** the commit of its events.
//!
//! ```text
//! folder   00000001.journal, 00000002.journal, …   each begins where the one before ends
//! segment  blocks, one after the other, then zeros written ahead
//! block    "LTJB" | body length u32 | first index u64 | leaves u32 | epoch u64     (28 bytes)
//!          checkpoint length u32 | checkpoint | (leaf length u32 | leaf)*            (the body)
//!          SHA-256 of all of it                                                      (32 bytes)
//! ```
//! Numbers are big-endian. A block is written once, in one piece; at most one is under way, so only the last can be
//! torn. Opening reads the last segment, rewrites it to a new file and syncs that before anything is served from it:
//! what a crashed process read back from the page cache need not have been on disk. A bad block with a good one
//! behind it is corruption and is refused by name; nothing is ever cut off that could have been acknowledged
//! (`ledger::open` compares the end found here with what sled knows).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::appender::Appender;
use super::disk::{Disk, DiskFile};
use super::{StoreError, before_zeros};
use crate::merkle::sha256;

const MAGIC: [u8; 4] = *b"LTJB";
const HEADER: usize = 28;
const TRAILER: usize = 32;
/// Bytes of a block's body: a full commit of the largest leaves.
pub const MAX_BODY: usize = 160 * 1024 * 1024;

/// Some leaves and the checkpoint after the last of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Index of the first leaf.
    pub first: u64,
    /// The leaves.
    pub leaves: Vec<Bytes>,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// Which opening of the log wrote it.
    pub epoch: u64,
}

impl Block {
    /// Number of leaves in the log after this block.
    pub fn end(&self) -> u64 {
        self.first + self.leaves.len() as u64
    }

    fn encode(&self) -> Vec<u8> {
        let body = 4 + self.checkpoint.len() + self.leaves.iter().map(|l| 4 + l.len()).sum::<usize>();
        let mut out = Vec::with_capacity(HEADER + body + TRAILER);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&(body as u32).to_be_bytes());
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(&(self.leaves.len() as u32).to_be_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&(self.checkpoint.len() as u32).to_be_bytes());
        out.extend_from_slice(self.checkpoint.as_bytes());
        for leaf in &self.leaves {
            out.extend_from_slice(&(leaf.len() as u32).to_be_bytes());
            out.extend_from_slice(leaf);
        }
        let digest = sha256(&out);
        out.extend_from_slice(digest.as_bytes());
        out
    }
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(data.get(at..at + 8)?.try_into().ok()?))
}

/// Reads the block at the beginning of `data`; the second value is its length in bytes.
fn parse(data: &Bytes) -> Result<(Block, usize), &'static str> {
    if data.get(..4) != Some(&MAGIC) {
        return Err("no block begins here");
    }
    let body = u32_at(data, 4).ok_or("the header is cut off")? as usize;
    if body > MAX_BODY {
        return Err("the length is out of range");
    }
    let total = HEADER + body + TRAILER;
    let whole = data.get(..total).ok_or("the block is cut off")?;
    let (content, digest) = whole.split_at(HEADER + body);
    if sha256(content).as_bytes() != digest {
        return Err("the block's SHA-256 does not match");
    }
    let first = u64_at(data, 8).ok_or("the header is cut off")?;
    let count = u32_at(data, 16).ok_or("the header is cut off")?;
    let epoch = u64_at(data, 20).ok_or("the header is cut off")?;
    let mut at = HEADER;
    let mut field = || -> Result<Bytes, &'static str> {
        let n = u32_at(content, at).ok_or("a length is cut off")? as usize;
        let end = at + 4 + n;
        if end > content.len() {
            return Err("a field is cut off");
        }
        let field = data.slice(at + 4..end);
        at = end;
        Ok(field)
    };
    let checkpoint = String::from_utf8(field()?.to_vec()).map_err(|_| "the checkpoint is no text")?;
    let leaves = (0..count).map(|_| field()).collect::<Result<Vec<_>, _>>()?;
    if at != content.len() {
        return Err("bytes are left over in the block");
    }
    Ok((Block { first, leaves, checkpoint, epoch }, total))
}

/// Bytes of a segment that are read at once; a block that is longer is read whole.
const WINDOW: usize = 2 << 20;

/// One segment, read from its beginning on, some blocks at a time.
struct Segment {
    path: PathBuf,
    number: u64,
    file: Arc<dyn DiskFile>,
    /// Bytes of the file.
    length: usize,
    /// What was read last, from byte `from` on.
    window: Bytes,
    from: usize,
    at: usize,
}

impl Segment {
    fn open(disk: &dyn Disk, dir: &Path, number: u64) -> Result<Segment, StoreError> {
        let path = dir.join(name(number));
        let file = disk.open_read(&path).map_err(StoreError::io("opening", &path))?;
        let length = file.len().map_err(StoreError::io("measuring", &path))? as usize;
        Ok(Segment { path, number, file, length, window: Bytes::new(), from: 0, at: 0 })
    }

    /// The bytes from `from` to `to`.
    fn bytes(&self, from: usize, to: usize) -> Result<Bytes, StoreError> {
        let mut data = vec![0; to.saturating_sub(from)];
        self.file.read_at(&mut data, from as u64).map_err(StoreError::io("reading", &self.path))?;
        Ok(data.into())
    }

    /// Everything that is not read as a block yet.
    fn rest(&self) -> Result<Bytes, StoreError> {
        self.bytes(self.at, self.length)
    }

    /// At least `n` bytes from here on, fewer at the end.
    fn ahead(&mut self, n: usize) -> Result<Bytes, StoreError> {
        let end = self.length.min(self.at.saturating_add(n));
        if self.at < self.from || end > self.from + self.window.len() {
            self.window = self.bytes(self.at, self.length.min(self.at.saturating_add(n.max(WINDOW))))?;
            self.from = self.at;
        }
        Ok(self.window.slice(self.at - self.from..))
    }

    /// The block here, if a good one is.
    fn block(&mut self) -> Result<Result<(Block, usize), &'static str>, StoreError> {
        let header = self.ahead(HEADER)?;
        let body = if header.starts_with(&MAGIC) { u32_at(&header, 4) } else { None };
        match body.map(|body| body as usize).filter(|body| *body <= MAX_BODY) {
            Some(body) => Ok(parse(&self.ahead(HEADER + body + TRAILER)?)),
            None => Ok(parse(&header)),
        }
    }

    fn damaged(&self, problem: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), offset: self.at as u64, problem: problem.into() }
    }

    /// The next block; `None` at the end: only zeros follow, or, in the last segment, a torn write.
    fn next(&mut self, last: bool, expected: Option<u64>) -> Result<Option<Block>, StoreError> {
        let problem = match self.block()? {
            Ok((block, length)) => {
                if expected.is_some_and(|e| e != block.first) {
                    return Err(self.damaged(format!(
                        "a block of index {} stands where {} is next",
                        block.first,
                        expected.unwrap_or_default()
                    )));
                }
                self.at += length;
                return Ok(Some(block));
            }
            Err(problem) => problem,
        };
        let rest = self.rest()?;
        if before_zeros(&rest) == 0 {
            return Ok(None);
        }
        if !last {
            return Err(self.damaged(problem));
        }
        // Torn, or corrupt? Only the last block can be torn, so nothing good may follow.
        let later = (1..rest.len().saturating_sub(HEADER))
            .find(|i| rest[*i..].starts_with(&MAGIC) && parse(&rest.slice(*i..)).is_ok());
        match later {
            Some(i) => Err(self.damaged(format!("{problem}, and a good block follows {i} bytes later"))),
            None => Ok(None),
        }
    }
}

fn name(number: u64) -> String {
    format!("{number:08}.journal")
}

fn segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StoreError> {
    let names = disk.list(dir).map_err(StoreError::io("listing", dir))?;
    let numbers: Vec<u64> =
        names.iter().filter_map(|n| n.strip_suffix(".journal").and_then(|n| n.parse().ok())).collect();
    for (i, number) in numbers.iter().enumerate() {
        if *number != i as u64 + 1 {
            return Err(StoreError::Damaged {
                path: dir.join(name(i as u64 + 1)),
                offset: 0,
                problem: format!("the segment is missing, {} is there", name(*number)),
            });
        }
    }
    Ok(numbers)
}

/// The segments up to the last in which something was written, and those behind it: made, but no block came. The
/// first counts as used.
fn used_segments(disk: &dyn Disk, dir: &Path) -> Result<(Vec<u64>, Vec<u64>), StoreError> {
    let mut numbers = segments(disk, dir)?;
    let mut empty = Vec::new();
    while numbers.len() > 1
        && let Some(last) = numbers.pop_if(|last| is_empty(disk, &dir.join(name(*last))).unwrap_or(false))
    {
        empty.push(last);
    }
    Ok((numbers, empty))
}

fn is_empty(disk: &dyn Disk, path: &Path) -> std::io::Result<bool> {
    let file = disk.open_read(path)?;
    let length = file.len()?;
    let mut window = vec![0; 1 << 20];
    // Most are seen to be in use by their first bytes.
    let (mut at, mut n) = (0, length.min(4));
    while at < length {
        let window = &mut window[..n as usize];
        file.read_at(window, at)?;
        if before_zeros(window) > 0 {
            return Ok(false);
        }
        at += n;
        n = (length - at).min(1 << 20);
    }
    Ok(true)
}

/// A place in the journal: where a reader may begin.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize,
)]
pub struct Position {
    /// Number of the segment, from 1; 0 means the beginning.
    pub segment: u64,
    /// Byte in it.
    pub offset: u64,
}

/// The writing end.
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    segment: u64,
    appender: Option<Appender>,
    size: u64,
    epoch: u64,
}

/// How a journal ended when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Number of leaves.
    pub size: u64,
    /// The last block's checkpoint.
    pub checkpoint: Option<String>,
    /// Bytes of a torn last write that were left out.
    pub torn: u64,
}

/// The last segment with a block, read to its last good block.
struct Tail {
    segment: Segment,
    /// Segments behind it in which nothing was ever written.
    empty: Vec<u64>,
    epoch: u64,
    end: End,
}

impl Tail {
    fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Tail>, StoreError> {
        let (numbers, empty) = used_segments(disk, dir)?;
        let Some(last) = numbers.last() else { return Ok(None) };
        let mut segment = Segment::open(disk, dir, *last)?;
        let mut end = End { size: 0, checkpoint: None, torn: 0 };
        // The first segment begins the log.
        let (mut epoch, mut expected) = (0, (*last == 1).then_some(0));
        while let Some(block) = segment.next(true, expected)? {
            expected = Some(block.end());
            end.size = block.end();
            epoch = block.epoch;
            end.checkpoint = Some(block.checkpoint);
        }
        end.torn = before_zeros(&segment.rest()?) as u64;
        if expected.is_none() && *last > 1 {
            // The crash tore the first block of this segment: the one before has the end.
            let mut before = Segment::open(disk, dir, last - 1)?;
            let mut next = None;
            while let Some(block) = before.next(false, next)? {
                next = Some(block.end());
                end.size = block.end();
                epoch = block.epoch;
                end.checkpoint = Some(block.checkpoint);
            }
        }
        Ok(Some(Tail { segment, empty, epoch, end }))
    }
}

impl Journal {
    /// Opens or creates the journal in `dir`. The last segment is read, rewritten and synced.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, segment_bytes: u64) -> Result<(Journal, End), StoreError> {
        disk.create_dir(dir).map_err(StoreError::io("creating", dir))?;
        let mut journal = Journal {
            disk: disk.clone(),
            dir: dir.to_owned(),
            segment_bytes,
            segment: 0,
            appender: None,
            size: 0,
            epoch: 1,
        };
        let Some(tail) = Tail::read(&*disk, dir)? else {
            return Ok((journal, End { size: 0, checkpoint: None, torn: 0 }));
        };
        let Tail { segment, empty, epoch, end } = tail;
        for number in empty {
            let path = dir.join(name(number));
            disk.remove(&path).map_err(StoreError::io("removing", &path))?;
        }
        let fresh = dir.join("rewrite.tmp");
        if disk.list(dir).map_err(StoreError::io("listing", dir))?.iter().any(|n| n == "rewrite.tmp") {
            disk.remove(&fresh).map_err(StoreError::io("removing", &fresh))?;
        }
        let mut copy = Appender::create(&*disk, &fresh)?;
        copy.append(&segment.bytes(0, segment.at)?)?;
        copy.sync()?;
        drop(copy);
        disk.rename(&fresh, &segment.path).map_err(StoreError::io("renaming", &segment.path))?;
        disk.sync_dir(dir).map_err(StoreError::io("syncing", dir))?;
        journal.size = end.size;
        journal.epoch = epoch + 1;
        journal.segment = segment.number;
        journal.appender = Some(Appender::resume(&*disk, &segment.path, segment.at as u64)?);
        Ok((journal, end))
    }

    /// How the journal in `dir` ends, changing nothing: what is known of it elsewhere is compared before opening
    /// leaves a torn tail out.
    pub fn end(disk: &dyn Disk, dir: &Path) -> Result<End, StoreError> {
        disk.create_dir(dir).map_err(StoreError::io("creating", dir))?;
        Ok(Tail::read(disk, dir)?.map_or(End { size: 0, checkpoint: None, torn: 0 }, |tail| tail.end))
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Which opening this is.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Where the next block goes.
    pub fn position(&self) -> Position {
        Position { segment: self.segment, offset: self.appender.as_ref().map_or(0, Appender::end) }
    }

    /// Makes room for a block: a full disk is met here, before anything is written.
    pub fn reserve(&mut self, bytes: u64) -> Result<(), StoreError> {
        let needed = bytes + (HEADER + TRAILER) as u64;
        let full =
            self.appender.as_ref().is_none_or(|a| a.end() > 0 && a.end() + needed > self.segment_bytes);
        if full {
            let number = self.segment + 1;
            let path = self.dir.join(name(number));
            // A create that failed half-way left an empty file of that name.
            if self
                .disk
                .list(&self.dir)
                .map_err(StoreError::io("listing", &self.dir))?
                .contains(&name(number))
            {
                self.disk.remove(&path).map_err(StoreError::io("removing", &path))?;
            }
            let mut appender = Appender::create(&*self.disk, &path)?;
            appender.reserve(needed)?;
            self.appender = Some(appender);
            self.segment = number;
            return Ok(());
        }
        match &mut self.appender {
            Some(appender) => appender.reserve(needed),
            None => Ok(()),
        }
    }

    /// Appends a block and syncs it: **the commit**. After an error nothing is known about the block, and the
    /// journal must not be used again.
    pub fn append(&mut self, leaves: &[Bytes], checkpoint: &str) -> Result<(), StoreError> {
        let block = Block {
            first: self.size,
            leaves: leaves.to_vec(),
            checkpoint: checkpoint.to_owned(),
            epoch: self.epoch,
        };
        let bytes = block.encode();
        if bytes.len() > MAX_BODY {
            // It could never be read again.
            let path = self.dir.join(name(self.segment));
            let error = std::io::Error::other(format!("a block of {} bytes is over the limit", bytes.len()));
            return Err(StoreError::Io { action: "writing", path, error });
        }
        self.reserve(bytes.len() as u64)?;
        let appender = self.appender.as_mut().expect("reserve made a segment");
        // Room was made: a disk that is full now may have taken a part of the block, which is no refusal any more.
        appender.append(&bytes).map_err(|error| match error {
            StoreError::Full { path } => StoreError::sync(path)(std::io::ErrorKind::StorageFull.into()),
            other => other,
        })?;
        appender.sync()?;
        self.size = block.end();
        Ok(())
    }
}

/// Reads all blocks in order, from a position on, checking each.
pub struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    numbers: Vec<u64>,
    next_segment: usize,
    current: Option<Segment>,
    expected: Option<u64>,
}

impl Reader {
    /// Starts at `from`; the default position is the beginning.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, from: Position) -> Result<Reader, StoreError> {
        let numbers = match used_segments(&*disk, dir) {
            Ok((numbers, _)) => numbers,
            Err(StoreError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut reader =
            Reader { disk, dir: dir.to_owned(), numbers, next_segment: 0, current: None, expected: Some(0) };
        if from.segment > 0 {
            reader.expected = None;
            reader.next_segment = from.segment as usize - 1;
            if let Some(number) = reader.numbers.get(reader.next_segment).copied() {
                let mut segment = Segment::open(&*reader.disk, dir, number)?;
                if from.offset as usize > segment.length {
                    return Err(segment.damaged(format!("the file ends before byte {}", from.offset)));
                }
                segment.at = from.offset as usize;
                reader.current = Some(segment);
                reader.next_segment += 1;
            } else if !reader.numbers.is_empty() || from.offset > 0 {
                return Err(StoreError::Damaged {
                    path: dir.join(name(from.segment)),
                    offset: from.offset,
                    problem: "the segment is missing".into(),
                });
            }
        }
        Ok(reader)
    }

    /// The next block; `None` at the end.
    pub fn next_block(&mut self) -> Result<Option<Block>, StoreError> {
        loop {
            if let Some(segment) = &mut self.current {
                let last = self.next_segment == self.numbers.len();
                if let Some(block) = segment.next(last, self.expected)? {
                    self.expected = Some(block.end());
                    return Ok(Some(block));
                }
            }
            let Some(number) = self.numbers.get(self.next_segment).copied() else { return Ok(None) };
            self.current = Some(Segment::open(&*self.disk, &self.dir, number)?);
            self.next_segment += 1;
        }
    }

    /// Where the last block ended.
    pub fn position(&self) -> Position {
        self.current
            .as_ref()
            .map_or(Position::default(), |s| Position { segment: s.number, offset: s.at as u64 })
    }
}
