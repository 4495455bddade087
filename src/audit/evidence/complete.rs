//! Whether everything is here that must be, and nothing else; and what is not proven, said in so many words.
//!
//! - A proof is here for one of four reasons: an event names it by digest; it is under the newest checkpoint of the node
//!   that exported; an authority timestamped its checkpoint; another node cosigned it. What stands on none of them
//!   stood on a file that was taken out.
//! - A cosigned or timestamped checkpoint is here because a proof stands on it, a directory version because it is the
//!   newest or an envelope or event names it, revocation data because a verdict rests on it.
//! - What may be absent (cosignatures, timestamps, what the other side recorded, later events, the export's own) cannot be
//!   told from what never was. That it is not here is a statement of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::cosigned;
use super::judged::Revocation;
use super::keys::Keys;
use super::messages::{Message, ProvenEvent};
use super::proofs::{Proofs, ReadProof, Seen};
use super::report::{Given, Report};
use super::{About, names};
use crate::directory::Directory;
use crate::domain::event::EventKind;
use crate::domain::generation::split;
use crate::domain::ids::Digest;
use crate::exchange::settle::Answer;

/// What was found in a container.
pub(super) struct Found<'a> {
    pub about: &'a About,
    pub directories: &'a [Directory],
    pub keys: &'a Keys,
    pub seen: &'a Seen,
    pub proofs: &'a Proofs,
    pub messages: &'a [Message],
    /// The message that is the document.
    pub main: &'a Message,
}

impl Found<'_> {
    /// Checks that all is here that must be.
    pub fn check(&self, report: &mut Report) {
        self.proofs(report);
        self.checkpoints(report);
        self.own_events(report);
        self.versions(report);
    }

    /// Every proof stands on something.
    fn proofs(&self, report: &mut Report) {
        let mut named: BTreeSet<Digest> = BTreeSet::new();
        for proof in &self.proofs.all {
            let by_event = proof.event.kind.named();
            named.extend(by_event.proof.iter().chain(&by_event.lost_proof));
        }
        for proof in &self.proofs.all {
            if named.contains(&proof.digest) {
                continue;
            }
            let size = proof.checkpoint.claimed().size;
            let newest = (&proof.log, size) == (&self.about.log, self.about.size);
            let tree = &proof.checkpoint.note().text;
            let seen =
                self.seen.cosigned.lines.contains_key(tree) || self.seen.stamped.claimed.contains_key(tree);
            if !newest && !seen {
                let why = format!(
                    "its checkpoint of {size} events is not the one that was exported under, no event names the proof, and \
                     neither a cosignature nor a timestamp of that checkpoint is here: a file was taken out"
                );
                report.fails(&proof.file, "the proof has a reason to be here", why);
            } else if !proof.canonical {
                let why = "its bytes are not those that this program writes for what it says";
                report.fails(&proof.file, "the proof is written as it is exported", why);
            } else {
                cosigned::lines(report, &proof.file, self.keys, &proof.checkpoint);
            }
        }
    }

    /// Every checkpoint that others saw has a proof that stands on it.
    fn checkpoints(&self, report: &mut Report) {
        let trees: BTreeSet<&str> =
            self.proofs.all.iter().map(|p| p.checkpoint.note().text.as_str()).collect();
        for (file, tree) in self.seen.cosigned.files.iter().chain(&self.seen.stamped.files) {
            if !trees.contains(tree.as_str()) {
                let why = "no proof here stands on its checkpoint";
                report.fails(file, "the file has a reason to be here", why);
            }
        }
    }

    /// The node that exported had the document, or what became of it.
    fn own_events(&self, report: &mut Report) {
        let own = |e: &&ProvenEvent| {
            e.log == self.about.log && e.event.kind.item().is_some_and(|i| i.delivery_id == self.main.id)
        };
        if !self.proofs.events.iter().any(|e| own(&e)) {
            let why =
                format!("no event of `{}` here says that it sent, received or refused it", self.about.log);
            report.fails(names::ABOUT, "the node that exported had the document", why);
        }
    }

    /// The directory versions that envelopes and events name.
    fn versions(&self, report: &mut Report) {
        let has = |version: u64| self.directories.iter().any(|d| d.version() == version);
        let missing = "it is not in the container";
        let mut told = BTreeSet::new();
        for event in self.proofs.events.iter().filter(|e| !has(e.event.directory_version)) {
            let version = event.event.directory_version;
            let what =
                format!("directory version {version}, which was in force at node {}, is here", event.node);
            if event.log == self.about.log {
                report.fails(&event.file, what, missing);
            } else if told.insert(version) {
                let why = "it never came to the node that exported: keys and agencies are those of the nearest that is";
                report.notes(&event.file, what, why);
            }
        }
        for message in self.messages {
            let version = message.envelope().map(|e| e.directory_version);
            if let Some(version) = version.filter(|version| !has(*version) && told.insert(*version)) {
                let what = format!("directory version {version}, which the envelope names, is here");
                report.notes(&message.file, what, missing);
            }
        }
    }

    /// Revocation data that no verdict here rests on.
    pub fn revocation(&self, report: &mut Report, revocation: &Revocation, signer: &BTreeSet<Digest>) {
        let judged = self.proofs.all.iter().filter_map(|p| super::collect::judged_of(&p.event.kind));
        let mut used: BTreeSet<Digest> = judged.flat_map(|j| &j.evidence).copied().collect();
        used.extend(signer.iter().chain(&self.seen.stamped.evidence));
        for (digest, file) in revocation.files() {
            if !used.contains(digest) {
                report.notes(
                    file,
                    "nothing here rests on the file",
                    "it is covered by no event and no signature",
                );
            }
        }
    }

    /// What is not proven.
    pub fn open(&self, report: &mut Report, given: &Given<'_>) {
        self.answers(report);
        self.unseen(report);
        self.one_side(report);
        let own = |p: &&ReadProof| p.log == self.about.log;
        let exported = |p: &ReadProof| matches!(p.event.kind, EventKind::Exported { .. });
        if !self.proofs.all.iter().filter(own).any(exported) {
            let why = "it was made from the files of a node that did not run, or the event was left out";
            report.notes(names::ABOUT, "no event says that this was exported, by whom and when", why);
        }
        if given.newer.is_none() {
            let newest = self.directories.last().map_or(0, Directory::version);
            let what =
                format!("keys that were withdrawn after directory version {newest} are not known here");
            report.notes(names::DIRECTORY, what, "give a newer version with --directory");
        }
        let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for event in self.proofs.events.iter().filter(|e| !e.again) {
            kinds.entry(&event.log).or_default().push(event.event.kind.name());
        }
        let here: Vec<String> = kinds
            .iter()
            .map(|(log, kinds)| format!("{} of `{log}` ({})", kinds.len(), kinds.join(", ")))
            .collect();
        let why = format!(
            "each event that is here is proven: {}; that there is no other, only the node can say (`audit list --delivery`)",
            here.join("; ")
        );
        report.notes(names::EVENT, "that nothing else happened is not proven", why);
    }

    /// Messages that nobody answered, or whose answer the sender's node did not record.
    fn answers(&self, report: &mut Report) {
        for message in self.messages {
            let about =
                || self.proofs.events.iter().filter(|e| e.event.kind.delivery_id() == Some(message.id));
            let of = match message.kind().is_document() {
                true => "the document".to_owned(),
                false => format!("the {} message", message.kind().as_str()),
            };
            if !about().any(|e| Answer::of(&e.event.kind).is_some()) {
                let why = "no answer of the recipient's node is here: there was none yet, or it was left out";
                report.notes(&message.file, format!("that {of} arrived is not proven"), why);
                continue;
            }
            let own = |e: &&ProvenEvent| e.log == self.about.log;
            let sent = about().filter(own).any(|e| matches!(e.event.kind, EventKind::Submitted { .. }));
            let settled = about().filter(own).any(|e| matches!(e.event.kind, EventKind::Settled { .. }));
            if sent && !settled {
                let why = "its event is not here: it had not come yet, or was left out";
                let what = format!("that the sender's node had the answer to {of} is not proven");
                report.notes(&message.file, what, why);
            }
        }
    }

    /// Events that only the word of their own node stands for.
    fn unseen(&self, report: &mut Report) {
        let mut places: BTreeMap<(&str, u64), (bool, bool)> = BTreeMap::new();
        for proof in &self.proofs.all {
            let tree = &proof.checkpoint.note().text;
            let cosigned = self.seen.cosigned.lines.contains_key(tree)
                || !self.keys.cosigned(&proof.checkpoint).is_empty();
            let place = places.entry((&proof.log, proof.index)).or_default();
            *place = (place.0 || cosigned, place.1 || self.seen.stamped.proven.contains_key(tree));
        }
        let logs: BTreeSet<&str> = places.keys().map(|(log, _)| *log).collect();
        for log in logs {
            let without = |seen: &dyn Fn(&(bool, bool)) -> bool| {
                let of = places.iter().filter(|((other, _), by)| *other == log && !seen(by));
                of.map(|((_, index), _)| index.to_string()).collect::<Vec<_>>().join(", ")
            };
            let node = split(log).map_or(log, |(node, _)| node);
            let unsigned = without(&|(cosigned, _)| *cosigned);
            if !unsigned.is_empty() {
                let what = format!("not cosigned by anybody: events {unsigned} of `{log}`");
                let why = format!(
                    "that they are in the log which others know rests on the word of node {node}, and on proofs that the \
                     other side kept"
                );
                report.notes(names::CHECKPOINT, what, why);
            }
            let unstamped = without(&|(_, stamped)| *stamped);
            if !unstamped.is_empty() {
                let what = format!("no authority timestamped: events {unstamped} of `{log}`");
                report.notes(names::TIMESTAMP, what, format!("their times are by the clock of node {node}"));
            }
        }
    }

    /// Of the log of the other node only what it sent and answered comes here.
    fn one_side(&self, report: &mut Report) {
        let own = split(&self.about.log).map(|(node, _)| node);
        let others: BTreeSet<&str> = self
            .proofs
            .events
            .iter()
            .filter_map(|e| split(&e.log).map(|(node, _)| node))
            .filter(|node| Some(*node) != own)
            .collect();
        for node in others {
            let what = format!("what node {node} recorded beside what it sent and answered is not here");
            let why = format!("it stands in the evidence that node {node} exports");
            report.notes(names::EVENT, what, why);
        }
    }
}
