//! What other nodes cosigned of this node's log: the newest of each witness at hand, and a file for each day.
//!
//! A cosignature counts when the directory lists its key for the node that gave it, and it is over a checkpoint that this
//! node signed and whose root its log has. Any event can be proven under a cosigned checkpoint that came after it; those
//! of times past are kept because they prove a time, and because a key that is withdrawn later takes away what was
//! cosigned after that. So the last of each hour stays, of each witness: an event is covered by one of its own hour, or by
//! the first that came after, and at most an hour is lost to a withdrawal. It goes to its day's file when the first of a
//! later hour comes; the newest are in a file of their own until then.

use std::collections::{BTreeMap, HashMap};

use super::super::Exchange;
use super::ever::{Ever, Keys, counting, read_own};
use crate::domain::ids::NodeName;
use crate::domain::reason::{Reason, Rejection};
use crate::merkle::{MAX_CHECKPOINT_BYTES, Note, NoteSignature, SignedCheckpoint, verify_cosignature};
use crate::time::{Date, Timestamp};

/// Checkpoints of each witness that are at hand.
const NEWEST: usize = 2;
const HOUR_MS: i64 = 3_600_000;
/// Cosignatures that wait for a disk that takes nothing.
const UNWRITTEN: usize = 10_000;

/// A checkpoint of this node's log that others cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// Who cosigned it, when, by its own clock, and the line.
    pub witnesses: BTreeMap<NodeName, (Timestamp, NoteSignature)>,
}

impl Cosigned {
    /// The checkpoint's note with all cosignatures.
    pub fn note(&self) -> String {
        let mut note = self.checkpoint.note().to_owned();
        for (_, line) in self.witnesses.values() {
            note.push_str(&format!("{line}\n"));
        }
        note
    }

    /// The first time that a witness gives.
    pub fn earliest(&self) -> Option<Timestamp> {
        self.witnesses.values().map(|(at, _)| *at).min()
    }

    /// The last.
    pub fn latest(&self) -> Option<Timestamp> {
        self.witnesses.values().map(|(at, _)| *at).max()
    }
}

/// What is at hand.
#[derive(Debug, Default)]
pub(super) struct Own {
    by_size: BTreeMap<u64, Cosigned>,
    /// When the newest of each witness came, by this node's clock: a witness's own could make as many hours as it likes.
    came: HashMap<NodeName, Timestamp>,
    /// The last of their hours, with the day of each, which are not in its file yet.
    settled: Vec<(Date, Note)>,
    /// Came since it was written.
    dirty: bool,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// What is at hand, if it changed.
    pub newest: Option<Vec<String>>,
    /// What is added to the file of a day.
    pub days: BTreeMap<Date, Vec<Note>>,
}

impl Own {
    /// A cosignature came `now`.
    pub(super) fn add(
        &mut self,
        checkpoint: &SignedCheckpoint,
        by: &NodeName,
        at: Timestamp,
        line: NoteSignature,
        now: Timestamp,
    ) {
        let size = checkpoint.checkpoint().size;
        // The first time proves the most.
        let known = self.by_size.get(&size).and_then(|cosigned| cosigned.witnesses.get(by));
        if known.is_some_and(|(known, _)| *known <= at) {
            return;
        }
        self.settle(by, now);
        let entry = self.by_size.entry(size);
        let entry =
            entry.or_insert_with(|| Cosigned { checkpoint: checkpoint.clone(), witnesses: BTreeMap::new() });
        entry.witnesses.insert(by.clone(), (at, line));
        self.dirty = true;
        let mut seen = 0;
        for cosigned in self.by_size.values_mut().rev() {
            if cosigned.witnesses.contains_key(by) {
                seen += 1;
                if seen > NEWEST {
                    cosigned.witnesses.remove(by);
                }
            }
        }
        self.by_size.retain(|_, c| !c.witnesses.is_empty());
    }

    /// One of a witness comes `now`: the newest before it was the last of its hour if that is over.
    fn settle(&mut self, by: &NodeName, now: Timestamp) {
        let hour = |at: Timestamp| at.millis().div_euclid(HOUR_MS);
        let Some(came) = self.came.insert(by.clone(), now).filter(|came| hour(*came) != hour(now)) else {
            return;
        };
        let of_it = |c: &Cosigned| Some((c.checkpoint.note().to_owned(), c.witnesses.get(by)?.1.clone()));
        let last = self.by_size.values().rev().find_map(of_it);
        let note = last.and_then(|(note, line)| {
            let mut note = Note::parse(note, MAX_CHECKPOINT_BYTES).ok()?;
            note.signatures.push(line);
            Some(note)
        });
        self.settled.extend(note.map(|note| (came.date(), note)));
    }

    /// The largest, first those that most cosigned.
    pub(super) fn all(&self) -> Vec<Cosigned> {
        self.by_size.values().rev().cloned().collect()
    }

    /// What is to be written, once.
    pub(super) fn take_unwritten(&mut self) -> Unwritten {
        let mut unwritten = Unwritten::default();
        for (day, note) in std::mem::take(&mut self.settled) {
            unwritten.days.entry(day).or_default().push(note);
        }
        if std::mem::take(&mut self.dirty) {
            unwritten.newest = Some(self.by_size.values().map(Cosigned::note).collect());
        }
        unwritten
    }

    /// What could not be written is tried again with what comes next.
    pub(super) fn give_back(&mut self, day: Date, notes: Vec<Note>) {
        let room = UNWRITTEN.saturating_sub(self.settled.len());
        self.settled.extend(notes.into_iter().take(room).map(|note| (day, note)));
        self.dirty = true;
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// All of it was read from the files, and each came when its witness says, but not later than `now`. Of what was
    /// `written` as the newest and counts no more, as with a key that was withdrawn, the day keeps all.
    pub(super) fn set_read(&mut self, written: &[String], now: Timestamp) {
        self.settled.clear();
        self.came.clear();
        let mut counts: Vec<&NoteSignature> = Vec::new();
        for cosigned in self.by_size.values() {
            let came = cosigned.witnesses.iter().map(|(by, (at, _))| (by.clone(), now.min(*at)));
            self.came.extend(came);
            counts.extend(cosigned.witnesses.values().map(|(_, line)| line));
        }
        let notes = written.iter().filter_map(|text| Note::parse(text, MAX_CHECKPOINT_BYTES).ok());
        for note in notes {
            let of_log = |line: &NoteSignature| note.text.lines().next() == Some(line.name.as_str());
            if note.signatures.iter().any(|line| !of_log(line) && !counts.contains(&line)) {
                self.settled.push((now.date(), note));
            }
        }
        self.dirty = !self.settled.is_empty();
    }
}

pub(super) fn bad(what: impl Into<String>) -> Rejection {
    Rejection::new(Reason::BadProof, "ask.cosigned", what)
}

impl Exchange {
    /// A node gives back a checkpoint of this node's log with its cosignature.
    pub(super) fn take_cosigned(&self, peer: &NodeName, text: &str) -> Result<(), Rejection> {
        let (checkpoint, note) = self.own_checkpoint(text)?;
        if !self.has(&checkpoint)? {
            // Signed with this node's key, and not in its log.
            self.contradicted(peer, checkpoint.checkpoint());
            return Err(bad("this node's log does not have that root"));
        }
        let directory = self.directory();
        let keys = directory.node(peer).map(|n| n.cosign_keys.clone()).unwrap_or_default();
        let found = note.signatures.iter().find_map(|line| {
            let seconds =
                keys.iter().find_map(|key| verify_cosignature(checkpoint.body(), line, key).ok())?;
            let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)?;
            Some((Timestamp::from_millis(millis), line.clone()))
        });
        let (at, line) = found.ok_or_else(|| {
            bad(format!(
                "no cosigning key that directory version {} lists for node `{peer}` made a signature of it",
                directory.version()
            ))
        })?;
        self.witness().own().add(&checkpoint, peer, at, line, self.ledger().now());
        // It is written within an interval.
        self.witness().wake.notify_one();
        self.agreed(checkpoint.checkpoint());
        Ok(())
    }

    /// A checkpoint of this node's log, signed by a key of its own, without what others added; and all that came.
    pub(super) fn own_checkpoint(&self, text: &str) -> Result<(SignedCheckpoint, Note), Rejection> {
        read_own(&self.directory(), self.node(), self.ledger().origin(), text)
    }

    /// Takes in what was kept: the cosignatures that still count.
    pub(super) fn read_cosigned(&self, notes: &[String]) -> Vec<Cosigned> {
        counting(&self.directory(), self.node(), self.ledger().origin(), notes, Keys::Trusted)
    }

    /// All that others ever cosigned of this node's log, as far as it was kept.
    pub fn cosigned_ever(&self) -> Ever {
        let (directory, node) = (self.directory(), self.node().clone());
        Ever::new(&self.config().data, directory, node, self.ledger().origin(), self.cosigned())
    }

    /// Checkpoints of this node's log that others cosigned, the largest first: the newest of each witness.
    pub fn cosigned(&self) -> Vec<Cosigned> {
        self.witness().own().all()
    }
}

/// The largest, as it is exported; refused where there is none.
pub fn newest_cosigned(log: &str, newest: Option<Cosigned>) -> Result<Cosigned, Rejection> {
    newest.ok_or_else(|| {
        let what = format!("no other node cosigned a checkpoint of log `{log}` yet");
        Rejection::new(Reason::NotCosigned, "cosigned", what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Checkpoint, NoteSigner, cosign, sha256};

    fn seed(seed: u8) -> Vec<u8> {
        let mut pkcs8 = hex::decode("302e020100300506032b657004220420").unwrap();
        pkcs8.extend([seed; 32]);
        pkcs8
    }

    fn at(hour: i64, minute: i64) -> Timestamp {
        let begin: Timestamp = "2016-08-08T00:00:00+07:00".parse().unwrap();
        begin.plus_millis(hour * HOUR_MS + minute * 60_000)
    }

    fn add(own: &mut Own, size: u64, by: &str, now: Timestamp) {
        let log = NoteSigner::from_pkcs8("a/log/1", &seed(1)).unwrap();
        let root = sha256(&size.to_be_bytes());
        let checkpoint = Checkpoint { origin: "a/log/1".into(), size, root }.sign(&log);
        let witness = NoteSigner::cosigner_from_pkcs8(&format!("{by}/witness"), &seed(2)).unwrap();
        let line = cosign(&checkpoint, now.secs() as u64, &witness).parse().unwrap();
        own.add(&checkpoint, &NodeName::new(by).unwrap(), now, line, now);
    }

    /// A day, and the sizes with the names under them.
    type Day = (String, Vec<(u64, Vec<String>)>);

    fn days(own: &mut Own) -> Vec<Day> {
        let of = |note: Note| {
            let size = note.text.lines().nth(1).unwrap().parse().unwrap();
            (size, note.signatures.into_iter().map(|line| line.name).collect())
        };
        let days = own.take_unwritten().days;
        days.into_iter().map(|(day, notes)| (day.to_string(), notes.into_iter().map(of).collect())).collect()
    }

    fn of(day: &str, size: u64, by: &str) -> Day {
        (day.to_owned(), vec![(size, vec!["a/log/1".to_owned(), format!("{by}/witness")])])
    }

    #[test]
    fn the_last_of_each_hour_of_each_witness_is_settled_when_a_later_one_comes() {
        let mut own = Own::default();
        for (size, minute) in [(3, 0), (5, 10), (8, 59)] {
            add(&mut own, size, "b", at(9, minute));
        }
        add(&mut own, 7, "c", at(9, 30));
        assert_eq!(days(&mut own), []);
        add(&mut own, 9, "b", at(10, 0));
        assert_eq!(days(&mut own), [of("2016-08-08", 8, "b")]);
        add(&mut own, 9, "b", at(10, 0));
        add(&mut own, 12, "b", at(10, 20));
        assert_eq!(days(&mut own), []);
        // A day later; and one that is told twice, or later of the same checkpoint, is none.
        add(&mut own, 12, "b", at(24, 0));
        assert_eq!(days(&mut own), []);
        add(&mut own, 20, "c", at(50, 0));
        add(&mut own, 20, "b", at(50, 0));
        let [(day, notes)] = &days(&mut own)[..] else { panic!() };
        assert_eq!((day.as_str(), notes.len()), ("2016-08-08", 2));
    }

    #[test]
    fn a_restart_goes_on_in_the_hour_and_what_counts_no_more_goes_to_the_day() {
        let mut own = Own::default();
        add(&mut own, 3, "b", at(9, 0));
        add(&mut own, 4, "c", at(9, 0));
        let written = own.take_unwritten().newest.unwrap();
        let mut again = Own::default();
        add(&mut again, 3, "b", at(9, 0));
        // Of c nothing counts any more.
        again.set_read(&written, at(9, 30));
        assert!(again.is_dirty());
        assert_eq!(days(&mut again), [of("2016-08-08", 4, "c")]);
        add(&mut again, 5, "b", at(9, 40));
        assert_eq!(days(&mut again), []);
        add(&mut again, 6, "b", at(10, 0));
        assert_eq!(days(&mut again), [of("2016-08-08", 5, "b")]);
        // A witness whose clock is ahead settles nothing into days to come.
        again.set_read(&[], at(8, 0));
        add(&mut again, 9, "b", at(8, 1));
        assert_eq!(days(&mut again), []);
    }

    #[test]
    fn what_the_disk_did_not_take_is_tried_again() {
        let mut own = Own::default();
        add(&mut own, 3, "b", at(9, 0));
        add(&mut own, 4, "b", at(10, 0));
        let mut unwritten = own.take_unwritten();
        let (day, notes) = unwritten.days.pop_first().unwrap();
        own.give_back(day, notes);
        assert!(own.is_dirty());
        assert_eq!(days(&mut own), [of("2016-08-08", 3, "b")]);
    }
}
