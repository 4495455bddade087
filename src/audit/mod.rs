//! The audit: readers of a log that trust neither of its two copies, only the checkpoints.
//!
//! - [`verify`](fn@verify): journal and sled side by side, every leaf, tile and checkpoint.
//! - [`check`](fn@check): the same, and every fold recounted from the events; [`check_running`] and
//!   [`Offline::check_all`] look at the files beside the log as well ([`Beside`]).
//! - [`check_content`]: every content that an event names, read and hashed.
//! - [`list`](fn@list): events by agency, counterpart, delivery, document, kind, actor, verdict, reason and time, a page
//!   at a time.
//! - [`export_tiles`]: the log as a static directory for anybody's tools.
//! - [`Offline`]: a stopped node's files, never changed; [`backup`]: copies of them; [`recover`]: a new generation of a
//!   log from what is left of it.
//!
//! What is wrong becomes a [`Finding`], and the reading goes on where it still makes sense. An error is returned only
//! where nothing can be said: the operating system does not give the journal's bytes. A finding names the place and,
//! where there is one, the index of the event. Nothing here repairs anything: the next start does, or a person.

pub mod backup;
mod beside;
mod blocks;
mod check;
mod content;
mod counted;
mod differences;
pub mod evidence;
mod find;
mod leaves;
mod list;
mod offline;
mod query;
pub mod recover;
mod tiles;
mod verify;

use std::fmt;

use crate::merkle::Hash;
use crate::store::StoreError;

pub use beside::Beside;
pub use check::{check, check_running};
pub use content::{ContentChecked, ContentRead, ContentSource, check_content, check_content_of};
pub use list::{Page, Query, list};
pub use offline::Offline;
pub use query::{known_kind, known_reason};
pub use tiles::{CHECKPOINT, Known, TilesError, export_tiles};
pub use verify::verify;

/// Findings that are listed; the others are counted. One damaged region can make as many as there are events.
const LISTED: usize = 1_000;

/// What part of the log a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The journal as a whole: it cannot be read on, or ends too early.
    Journal,
    /// A block of the journal: its epoch.
    Block,
    /// The bytes of one event, in one of the copies.
    Leaf,
    /// A stored tile of the Merkle tree; the index is that of its first event.
    Tile,
    /// A signed checkpoint; the index is that of the last event under it.
    Checkpoint,
    /// An event: its form, its time, what follows from it.
    Event,
    /// A record derived from the events; the index is that of the newest event that touched it.
    Fold,
    /// The sum over sled's records.
    Sum,
    /// sled as a whole: its head, or it cannot be read.
    Store,
    /// Content that a delivery names; the index is that of the event.
    Content,
    /// A file of what is held of other logs, or of what others cosigned of this one; the index is that of the last event
    /// under the checkpoint that contradicts the log.
    Witness,
    /// A timestamp of a checkpoint; the index is the same.
    Timestamp,
    /// A directory version that is kept; the index is that of the event which names it.
    Directory,
}

impl Place {
    /// Every place.
    pub const ALL: [Place; 13] = [
        Place::Journal,
        Place::Block,
        Place::Leaf,
        Place::Tile,
        Place::Checkpoint,
        Place::Event,
        Place::Fold,
        Place::Sum,
        Place::Store,
        Place::Content,
        Place::Witness,
        Place::Timestamp,
        Place::Directory,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Place::Journal => "journal",
            Place::Block => "block",
            Place::Leaf => "leaf",
            Place::Tile => "tile",
            Place::Checkpoint => "checkpoint",
            Place::Event => "event",
            Place::Fold => "fold",
            Place::Sum => "sum",
            Place::Store => "store",
            Place::Content => "content",
            Place::Witness => "witness",
            Place::Timestamp => "timestamp",
            Place::Directory => "directory",
        }
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(word: &str) -> Result<Place, ()> {
        Place::ALL.into_iter().find(|place| place.as_str() == word).ok_or(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// The event that it is about, where it is about one.
    pub index: Option<u64>,
    /// For a person.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{} {index}: {}", self.place, self.message),
            None => write!(f, "{}: {}", self.place, self.message),
        }
    }
}

/// What a reading of the whole log came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Events read.
    pub events: u64,
    /// Root of the tree over them; none for an empty log, or where no copy has the events that were signed.
    pub root: Option<Hash>,
    /// The newest checkpoint whose signature and root hold.
    pub checkpoint: Option<String>,
    /// Everything that is wrong, at most a thousand entries.
    pub findings: Vec<Finding>,
    /// Findings beyond those listed.
    pub unlisted: u64,
    /// The first event that is wrong: the lowest index that a finding is about, listed or not; of a fold only where the log
    /// itself is right.
    pub first: Option<u64>,
    /// The content that deliveries name, where it was read.
    pub content: Option<ContentRead>,
}

impl Checked {
    /// Takes in what the content was found to be.
    pub fn with_content(mut self, content: ContentChecked) -> Checked {
        let room = LISTED.saturating_sub(self.findings.len());
        self.unlisted += content.unlisted + content.findings.len().saturating_sub(room) as u64;
        self.first = self.first.into_iter().chain(content.first).min();
        self.findings.extend(content.findings.into_iter().take(room));
        self.content = Some(content.read);
        self
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.unlisted == 0
    }
}

/// Findings so far.
#[derive(Debug, Default)]
struct Findings {
    listed: Vec<Finding>,
    unlisted: u64,
    first: Option<u64>,
}

impl Findings {
    fn add(&mut self, place: Place, index: impl Into<Option<u64>>, message: impl Into<String>) {
        let index = index.into();
        self.first = self.first.into_iter().chain(index).min();
        if self.listed.len() < LISTED {
            self.listed.push(Finding { place, index, message: message.into() });
        } else {
            self.unlisted += 1;
        }
    }

    /// Takes in others.
    fn extend(&mut self, others: Findings) {
        self.unlisted += others.unlisted;
        let first = self.first.into_iter().chain(others.first).min();
        for Finding { place, index, message } in others.listed {
            self.add(place, index, message);
        }
        self.first = first;
    }

    /// sled did not answer.
    fn store(&mut self, error: &StoreError) {
        self.add(Place::Store, None, error.to_string());
    }
}
