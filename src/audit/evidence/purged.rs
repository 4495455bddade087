//! Messages whose envelope and content the exporting node purged when their time of keeping was over. What they were, the
//! events still say; that they were purged, and by which rule, is an event of its own, proven like the others.

use std::collections::BTreeSet;

use super::messages::{Message, ProvenEvent, Said};
use super::report::Report;
use crate::domain::event::EventKind;
use crate::domain::ids::{DeliveryId, Digest};

/// What the exporting node purged.
pub(super) struct Purges<'a> {
    events: Vec<&'a ProvenEvent>,
}

impl<'a> Purges<'a> {
    /// By the events of its log, which alone speaks for what it kept.
    pub fn of(exporter: &str, events: &'a [ProvenEvent]) -> Purges<'a> {
        let purged = |e: &&ProvenEvent| matches!(e.event.kind, EventKind::Purged { .. });
        Purges { events: events.iter().filter(|e| e.log == exporter && !e.again).filter(purged).collect() }
    }

    /// The purge of a message: what is too long for one event is told by several, of which the first stands for all.
    fn of_message(&self, id: DeliveryId) -> Option<(&'a ProvenEvent, &'a str, BTreeSet<Digest>)> {
        let main = self.events.iter().find_map(|e| match &e.event.kind {
            EventKind::Purged { delivery_id, messages, .. }
                if *delivery_id == id || messages.contains(&id) =>
            {
                Some(*delivery_id)
            }
            _ => None,
        })?;
        let mut first = None;
        let mut digests = BTreeSet::new();
        for found in &self.events {
            if let EventKind::Purged { delivery_id, digests: named, rule, .. } = &found.event.kind
                && *delivery_id == main
            {
                digests.extend(named);
                first.get_or_insert((*found, rule.as_str()));
            }
        }
        first.map(|(event, rule)| (event, rule, digests))
    }

    /// The messages that events are about whose envelopes were purged.
    pub fn messages(&self, events: &[ProvenEvent], here: &[Message]) -> Vec<Message> {
        let mut found: Vec<Message> = Vec::new();
        for event in events {
            let EventKind::Submitted { item, content_digests, .. } = &event.event.kind else { continue };
            let id = item.delivery_id;
            if here.iter().chain(&found).any(|m| m.id == id) {
                continue;
            }
            let Some((purge, _, digests)) = self.of_message(id) else { continue };
            if digests.contains(&item.envelope_digest) {
                found.push(Message {
                    file: purge.file.clone(),
                    id,
                    digest: item.envelope_digest,
                    said: Said::Event { item: Box::new(item.clone()), content: content_digests.clone() },
                });
            }
        }
        found
    }

    /// Says of everything of a message that is not here when it was purged and by which rule; what no event says so of is
    /// missing.
    pub fn check(&self, report: &mut Report, message: &Message) {
        let (Said::Event { content, .. }, Some((purge, rule, digests))) =
            (&message.said, self.of_message(message.id))
        else {
            return;
        };
        let (at, index, log) = (purge.event.at, purge.index, &purge.log);
        let main = message.kind().is_document();
        let named = std::iter::once(("the envelope", message.digest))
            .chain(content.iter().map(|digest| ("the content", *digest)));
        for (which, digest) in named {
            let of = if main { "" } else { " of a message about it" };
            let what = format!("{which}{of} with digest {digest} was purged at {at} by the rule `{rule}`");
            if digests.contains(&digest) {
                let why = format!(
                    "event {index} of `{log}` says so; that it was sent stays proven, what it said is not here"
                );
                report.notes(&purge.file, what, why);
            } else {
                let why =
                    format!("it is not in the container, and event {index} of `{log}` does not name it");
                report.fails(&purge.file, what, why);
            }
        }
    }
}
