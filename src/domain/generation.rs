//! Recovery: a node that lost its log goes on with a new generation of it. event.proto describes the fields.
//!
//! A log's origin line is `<node>/log/<generation>`. The new one begins with the events of the old that are left, as they
//! were, at the same places: the tree of so many events has the root that it had, whatever the origin line. What the old
//! log had beyond that is asked of the other nodes.

use serde::{Deserialize, Serialize};

use super::event::{EventKind, LogRef};
use super::ids::Digest;
use crate::time::Timestamp;

/// This log goes on where another generation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationOpened {
    /// Origin line of the generation before.
    pub lost: String,
    /// How many of its events this log begins with.
    pub kept: u64,
    /// Its root at that size.
    pub kept_root: Digest,
    /// Size of its largest checkpoint that was found and verified; `kept` at least.
    pub known: u64,
    /// The root there.
    pub known_root: Digest,
    /// Where that was found: `copy`, or the name of the node that holds it; empty where there is none.
    pub told_by: String,
}

/// A message that the lost log had sent, by its proof and that of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// As the lost log recorded it: [`EventKind::Submitted`].
    pub submitted: EventKind,
    /// When.
    pub submitted_at: Timestamp,
    /// Its place there.
    pub origin: LogRef,
    /// Digest of the proof of it, as it is kept here.
    pub origin_proof: Digest,
    /// The answer: [`EventKind::Settled`].
    pub settled: EventKind,
}

/// What the lost log had received, by its own receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstReceipt {
    /// Its place there.
    pub receipt: LogRef,
    /// Digest of the proof of it, as it is kept here.
    pub proof: Digest,
    /// When it was received.
    pub at: Timestamp,
}

/// Of a fold: what a `GenerationOpened` says of the log before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// Its origin line.
    pub lost: String,
    /// How many of its events this log begins with.
    pub kept: u64,
    /// The event that says so.
    pub index: u64,
}

/// Node and generation of a log's origin line.
pub fn split(log: &str) -> Option<(&str, u32)> {
    let (node, generation) = log.rsplit_once("/log/")?;
    let number: u32 = generation.parse().ok()?;
    (number > 0 && number.to_string() == generation).then_some((node, number))
}

/// Whether a log is an earlier generation of another.
pub fn is_earlier(log: &str, than: &str) -> bool {
    match (split(log), split(than)) {
        (Some((node, generation)), Some((other, later))) => node == other && generation < later,
        _ => false,
    }
}

/// How many events of an earlier generation a log has, by what its events say of those before it: one that was begun with
/// fewer lost the rest, also of what the log before it had begun with.
pub fn kept_of(records: &[GenerationRecord], log: &str) -> Option<u64> {
    let (node, generation) = split(log)?;
    let later = records.iter().filter(|r| split(&r.lost).is_some_and(|(n, g)| n == node && g >= generation));
    later.map(|r| r.kept).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(lost: &str, kept: u64) -> GenerationRecord {
        GenerationRecord { lost: lost.to_owned(), kept, index: kept }
    }

    #[test]
    fn generations_are_told_apart_by_node_and_number() {
        assert_eq!(split("a/log/12"), Some(("a", 12)));
        for none in ["a/log/", "a/log/0", "a/log/01", "a/log/-1", "a/log/x", "a/12", ""] {
            assert_eq!(split(none), None, "{none}");
        }
        assert!(is_earlier("a/log/1", "a/log/2"));
        for (log, than) in [("a/log/2", "a/log/2"), ("a/log/3", "a/log/2"), ("b/log/1", "a/log/2")] {
            assert!(!is_earlier(log, than), "{log} {than}");
        }
    }

    #[test]
    fn what_is_kept_of_a_generation_is_what_every_later_one_kept() {
        let records = [record("a/log/1", 10), record("a/log/2", 50)];
        assert_eq!(kept_of(&records, "a/log/1"), Some(10));
        assert_eq!(kept_of(&records, "a/log/2"), Some(50));
        assert_eq!(kept_of(&records, "a/log/3"), None);
        assert_eq!(kept_of(&records, "b/log/1"), None);
        // The second was begun with less than the first had.
        let records = [record("a/log/1", 10), record("a/log/2", 4)];
        assert_eq!(kept_of(&records, "a/log/1"), Some(4));
        // Nothing of the event that said so is left.
        assert_eq!(kept_of(&[record("a/log/2", 0)], "a/log/1"), Some(0));
    }
}
