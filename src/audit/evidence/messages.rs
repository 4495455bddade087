//! Whether the events of both nodes agree about each message: what the recipient's node checked when it took it, and the
//! sender's when it settled, is checked again by the same functions.

use super::agency_name;
use super::report::Report;
use crate::directory::Directory;
use crate::domain::document::Kind;
use crate::domain::envelope::{Body, Envelope};
use crate::domain::event::{Event, EventKind, Item, LogRef, Subject};
use crate::domain::ids::{AgencyId, DeliveryId, Digest, NodeName};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::status::DeliveryState;
use crate::exchange::accept::{check_origin, subject};
use crate::exchange::settle::{Answer, Outstanding};
use crate::merkle::SignedCheckpoint;

/// An event whose proof holds.
pub(super) struct ProvenEvent {
    pub file: String,
    pub node: NodeName,
    pub log: String,
    pub index: u64,
    pub leaf_hash: Digest,
    /// The tree that it is proven in.
    pub checkpoint: SignedCheckpoint,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// A further proof of an event that is in the list.
    pub again: bool,
    pub event: Event,
}

/// A message.
pub(super) struct Message {
    /// Its envelope, or the proof that this was purged.
    pub file: String,
    pub id: DeliveryId,
    /// Of its envelope.
    pub digest: Digest,
    pub said: Said,
}

/// Where a message says what it is.
pub(super) enum Said {
    Envelope(Box<Envelope>),
    /// Its envelope was purged: what the event of the sender's node says of it.
    Event {
        item: Box<Item>,
        content: Vec<Digest>,
    },
}

impl Message {
    /// Its envelope; `None` where it was purged.
    pub fn envelope(&self) -> Option<&Envelope> {
        match &self.said {
            Said::Envelope(envelope) => Some(envelope),
            Said::Event { .. } => None,
        }
    }

    pub fn kind(&self) -> Kind {
        match &self.said {
            Said::Envelope(envelope) => envelope.kind,
            Said::Event { item, .. } => item.kind(),
        }
    }

    /// The delivery that it is about: its own, for a document.
    fn about(&self) -> DeliveryId {
        let target = match &self.said {
            Said::Envelope(envelope) => match &envelope.body {
                Body::Document { .. } => None,
                Body::Notice(notice) => Some(notice.target),
            },
            Said::Event { item, .. } => match &item.subject {
                Subject::Document(_) => None,
                Subject::Notice(notice) => Some(notice.target),
            },
        };
        target.unwrap_or(self.id)
    }

    fn sender(&self) -> &AgencyId {
        match &self.said {
            Said::Envelope(envelope) => &envelope.sender,
            Said::Event { item, .. } => &item.parties.sender,
        }
    }

    fn recipient(&self) -> Option<&AgencyId> {
        match &self.said {
            Said::Envelope(envelope) => Some(&envelope.recipient),
            Said::Event { item, .. } => item.parties.recipient.as_ref(),
        }
    }

    /// Digests of its parts and signatures, in order.
    fn content_digests(&self) -> Vec<Digest> {
        match &self.said {
            Said::Envelope(envelope) => envelope.content_digests(),
            Said::Event { content, .. } => content.clone(),
        }
    }
}

/// What an event records, for a person.
pub(super) fn words(event: &Event) -> String {
    let by = if event.actor.user.is_empty() {
        event.actor.client.clone()
    } else {
        format!("{} ({})", event.actor.client, event.actor.user)
    };
    match &event.kind {
        EventKind::Submitted { item, .. } => {
            format!("that {} sent {} (client {by})", item.parties.sender_code, of(item))
        }
        EventKind::Received { item, held, .. } => {
            let held = if *held { ", held until its signatures can be judged" } else { "" };
            format!("that {} has arrived for {}{held}", of(item), item.parties.recipient_code)
        }
        EventKind::Refused { item, reason, .. } => {
            format!("that {} was refused for {}: {reason}", of(item), item.parties.recipient_code)
        }
        EventKind::Settled { outcome, reason, .. } => {
            let why = reason.map_or_else(String::new, |r| format!(": {r}"));
            format!("the other node's answer: {outcome}{why}")
        }
        EventKind::Undelivered { reason, .. } => format!("that delivery was given up: {reason}"),
        EventKind::Fetched { .. } => format!("that the content was given to client {by}"),
        EventKind::HandedOver { .. } => format!("that client {by} confirmed to have it"),
        EventKind::Released { refused, .. } => match refused {
            None => format!("that what was held was released (by {by})"),
            Some(reason) => format!("that what was held was refused (by {by}): {reason}"),
        },
        EventKind::Recovered(recovered) => match recovered.submitted.item() {
            Some(item) => format!("that the proofs of {} came back, which a lost log had sent", of(item)),
            None => "that proofs of a lost log came back".to_owned(),
        },
        EventKind::SentAgain { peer, .. } => {
            format!("that node {peer} lost it, and that it goes there again")
        }
        EventKind::Returned { first, .. } => {
            format!("that a lost log of this node had received it before, on {}", first.at)
        }
        EventKind::Exported { agency, .. } => {
            let of = agency.as_ref().map_or_else(|| "the node".to_owned(), ToString::to_string);
            format!("that evidence was handed out to client {by}, auditor of {of}")
        }
        EventKind::Viewed { .. } => format!("that client {by} looked at it"),
        EventKind::Purged { rule, .. } => {
            format!("that its content was purged by the rule `{rule}`; events and proofs are kept")
        }
        EventKind::Rerouted { peer, .. } => format!("that the recipient moved to node {peer}: it goes there"),
        EventKind::HoldPlaced { .. } => format!("that client {by} placed a legal hold"),
        EventKind::HoldLifted { .. } => format!("that client {by} lifted a legal hold"),
        other => format!("`{}`", other.name()),
    }
}

fn of(item: &Item) -> String {
    match &item.subject {
        Subject::Document(d) => format!("document {}", d.key),
        Subject::Notice(n) => match n.status {
            Some(status) => format!("status {status}"),
            None => format!("a {} message", n.kind.as_str()),
        },
    }
}

/// The version that an event was recorded under, or the nearest.
pub(super) fn version_of(directories: &[Directory], version: u64) -> Option<&Directory> {
    directories.iter().min_by_key(|d| (d.version().abs_diff(version), std::cmp::Reverse(d.version())))
}

/// Checks every message and every event about it. `exporter` is the log of the node that exported, whose kept proofs must
/// all be here.
pub(super) fn check(
    report: &mut Report,
    directories: &[Directory],
    exporter: &str,
    events: &[ProvenEvent],
    messages: &[Message],
) {
    for event in events {
        let id = event.event.kind.delivery_id();
        if !messages.iter().any(|m| Some(m.id) == id) {
            report.fails(&event.file, "it is about a message of the container", "its envelope is not here");
        }
    }
    times(report, events);
    let main = messages.iter().find(|m| m.kind().is_document()).map(|m| m.id);
    for message in messages {
        if Some(message.about()) != main {
            let why = "it is about another delivery";
            report.fails(&message.file, "the message belongs to the container", why);
            continue;
        }
        let case = Case { directories, exporter, events, message };
        match case.submitted(report) {
            Some(submitted) => case.answers(report, submitted),
            None => report.fails(
                &message.file,
                "the sender's node recorded the message",
                "no proof of that event is here",
            ),
        }
    }
}

/// Event times never go back within a log.
fn times(report: &mut Report, events: &[ProvenEvent]) {
    for event in events {
        let earlier =
            |e: &&ProvenEvent| e.log == event.log && e.index < event.index && e.event.at > event.event.at;
        if let Some(earlier) = events.iter().find(earlier) {
            let why = format!("it is of {}, {} of {}", event.event.at, earlier.file, earlier.event.at);
            report.fails(&event.file, "times of a log never go back", why);
        }
    }
}

struct Case<'a> {
    directories: &'a [Directory],
    exporter: &'a str,
    events: &'a [ProvenEvent],
    message: &'a Message,
}

impl<'a> Case<'a> {
    fn events(&self) -> impl Iterator<Item = &'a ProvenEvent> {
        let id = self.message.id;
        self.events.iter().filter(move |e| e.event.kind.delivery_id() == Some(id) && !e.again)
    }

    /// The sender's side: its event names this envelope, and its node hosted it.
    fn submitted(&self, report: &mut Report) -> Option<&'a ProvenEvent> {
        let found = self.events().find(|e| matches!(e.event.kind, EventKind::Submitted { .. }))?;
        let (what, how) = match self.message.envelope() {
            Some(_) => (
                format!(
                    "the event of the sender's node is about exactly this envelope ({})",
                    self.message.file
                ),
                "delivery, parties, document key, metadata and every content digest compared; the delivery id \
                 computed again",
            ),
            None => (
                "the event of the sender's node is about exactly this delivery".to_owned(),
                "the envelope was purged; the delivery id computed again from the event",
            ),
        };
        let checked = match self.message.envelope() {
            Some(envelope) => {
                check_origin(&found.event, envelope, self.message.digest).map_err(|e| e.message)
            }
            None => same_id(found),
        };
        match checked.and_then(|()| self.same_subject(found)) {
            Ok(()) => {
                report.holds(&found.file, what, how);
                self.hosted(report, found, self.message.sender(), "sent");
            }
            Err(why) => report.fails(&found.file, what, why),
        }
        Some(found)
    }

    /// What an event says of the message is what its envelope says, or the event of the sender's node where that was
    /// purged. Whether a status was in order, each node says for itself.
    fn same_subject(&self, found: &ProvenEvent) -> Result<(), String> {
        let Some(item) = found.event.kind.item() else { return Ok(()) };
        let in_order = |mut subject: Subject| {
            if let Subject::Notice(notice) = &mut subject {
                notice.out_of_order = false;
            }
            subject
        };
        let (said, as_sent) = match &self.message.said {
            Said::Envelope(envelope) => {
                let parties = &item.parties;
                let same = parties.sender == envelope.sender
                    && parties.recipient.as_ref() == Some(&envelope.recipient)
                    && (&parties.sender_code, &parties.recipient_code)
                        == (&envelope.sender_code, &envelope.recipient_code)
                    && item.attempt == envelope.attempt;
                (subject(envelope), same)
            }
            Said::Event { item: sent, .. } => {
                let of = |item: &Item| {
                    let p = &item.parties;
                    let codes = (p.sender_code.clone(), p.recipient_code.clone());
                    (p.sender.clone(), p.recipient.clone(), codes, item.attempt)
                };
                (sent.subject.clone(), of(item) == of(sent))
            }
        };
        if in_order(item.subject.clone()) != in_order(said) {
            return Err("it says something else of the message than its envelope".to_owned());
        }
        if as_sent && item.envelope_digest == self.message.digest {
            Ok(())
        } else {
            Err("it names other parties, another attempt or another envelope".to_owned())
        }
    }

    /// The node whose log it is hosted the agency, and the event has the agency's place right.
    fn hosted(&self, report: &mut Report, found: &ProvenEvent, agency: &AgencyId, did: &str) {
        let version = found.event.directory_version;
        let Some(directory) = version_of(self.directories, version) else { return };
        let name = agency_name(Some(directory), agency);
        let what = format!("node {} speaks for {name}, which {did}", found.node);
        let Some(listed) = directory.agency(agency) else {
            report.fails(
                &found.file,
                what,
                format!("it is not in directory version {}", directory.version()),
            );
            return;
        };
        if !listed.was_hosted_lately(&found.node, found.event.at.date()) {
            let why = format!("directory version {} does not list it there on that day", directory.version());
            report.fails(&found.file, what, why);
            return;
        }
        let registered = &directory.registered(listed).id;
        let parties = found.event.kind.item().map(|item| &item.parties);
        let said = parties.map(|p| {
            if *agency == p.sender { Some(&p.sender_registered) } else { p.recipient_registered.as_ref() }
        });
        if said.is_some_and(|said| said != Some(registered)) && directory.version() == version {
            let why = format!(
                "its registered agency is {registered} by directory version {version}, the event says another"
            );
            report.fails(&found.file, what, why);
            return;
        }
        let how = format!("directory version {} lists it there on that day", directory.version());
        report.holds(&found.file, what, how);
    }

    /// The recipient's side: its event answers the sender's; and what the sender's node made of the answer.
    fn answers(&self, report: &mut Report, submitted: &ProvenEvent) {
        let content = self.message.content_digests();
        let place = place(submitted);
        let outstanding = Outstanding {
            delivery_id: self.message.id,
            envelope_digest: &self.message.digest,
            content_digests: &content,
            submitted: &place,
        };
        for found in self.events() {
            let named = found.event.kind.named();
            for digest in named.proof.iter().chain(&named.lost_proof).filter(|_| found.log == self.exporter) {
                let what = "the proof that it names is here as it was kept";
                match self.events.iter().find(|e| e.digest == *digest) {
                    Some(other) => report.holds(&found.file, what, format!("SHA-256 of {}", other.file)),
                    None => report.fails(&found.file, what, format!("no proof has SHA-256 {digest}")),
                }
            }
            if let Some(answer) = Answer::of(&found.event.kind) {
                let what = format!("it answers event {} of `{}`", submitted.index, submitted.log);
                let checked =
                    answer.check(&outstanding).map_err(|e| e.message).and_then(|()| self.same_subject(found));
                match checked {
                    Ok(()) => {
                        let how =
                            "delivery, envelope, every content digest, log, index and leaf hash compared";
                        report.holds(&found.file, what, how);
                        if let Some(recipient) = self.message.recipient() {
                            self.hosted(report, found, recipient, "answered");
                        }
                    }
                    Err(why) => report.fails(&found.file, what, why),
                }
            }
            if let EventKind::Settled { .. } = &found.event.kind {
                self.settled(report, found);
            }
        }
        self.time_of_arrival(report, submitted);
    }

    fn settled(&self, report: &mut Report, found: &ProvenEvent) {
        let EventKind::Settled { outcome, reason, receipt, verdicts, received_at, .. } = &found.event.kind
        else {
            return;
        };
        let what = format!("it records the answer, event {} of `{}`", receipt.index, receipt.log);
        let answered = self.events().find(|e| place(e) == *receipt);
        let Some((answered, answer)) = answered.and_then(|e| Some((e, Answer::of(&e.event.kind)?))) else {
            report.fails(&found.file, what, "no proof of that event is here");
            return;
        };
        // Refused because it was revoked on its way: the sender took it back.
        let withdrawn = *outcome == DeliveryState::Withdrawn
            && (answer.outcome, answer.reason) == (DeliveryState::Refused, Some(Reason::Withdrawn));
        let same = (answer.outcome == *outcome || withdrawn)
            && (answer.reason, answer.verdicts, answered.event.at) == (*reason, *verdicts, *received_at);
        match same {
            true => report.holds(&found.file, what, "outcome, reason, verdicts and time compared"),
            false => {
                report.fails(&found.file, what, "its outcome, reason, verdicts or time is another than there")
            }
        }
    }

    /// Each node has a clock of its own; that they disagree by much is worth knowing.
    fn time_of_arrival(&self, report: &mut Report, submitted: &ProvenEvent) {
        for found in self.events().filter(|e| matches!(e.event.kind, EventKind::Received { .. })) {
            let early = submitted.event.at.millis().saturating_sub(found.event.at.millis());
            if early > limits::FUTURE_MS {
                let why = format!("{early} ms before it was sent by the other node's: the clocks disagreed");
                report.notes(&found.file, "it arrived, by its node's clock,", why);
            }
        }
    }
}

/// That the delivery id of an event is the one that its own fields give.
fn same_id(found: &ProvenEvent) -> Result<(), String> {
    let Some(item) = found.event.kind.item() else { return Err("it names no message".to_owned()) };
    let parties = &item.parties;
    let recipient = parties.recipient.as_ref().ok_or("it names no recipient")?;
    let (sender, kind) = (&parties.sender, item.kind().number());
    let id = match &item.subject {
        Subject::Document(d) => DeliveryId::of_document(sender, kind, &d.key, recipient, item.attempt),
        Subject::Notice(n) => DeliveryId::of_notice(sender, kind, &n.target, n.message_number, recipient),
    };
    match id == item.delivery_id {
        true => Ok(()),
        false => Err(format!("{} is not the delivery id that its fields give", item.delivery_id)),
    }
}

fn place(event: &ProvenEvent) -> LogRef {
    LogRef { log: event.log.clone(), index: event.index, leaf_hash: event.leaf_hash }
}
