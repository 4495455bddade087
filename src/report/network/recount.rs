//! A statement made again from a log: by who may read it, and trusts no node.
//!
//! The entries are read twice. The first reading says which documents have anything to do with the period; the second
//! applies what concerns these to empty folds. So memory is that of the period, whatever the log's length. What is in the
//! folds then gives the statement by the same code by which the node made it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::make::make;
use super::row::Half;
use super::statement::Statement;
use crate::domain::event::{Event, EventKind, Item, Subject};
use crate::domain::fold::{self, ViewError, keys};
use crate::domain::ids::{AgencyId, DeliveryId, DocumentKey, NodeName, framed};
use crate::domain::ratio::Period;
use crate::report::{Each, ReportError, Source};
use crate::time::Date;

/// Records in memory.
type Map = BTreeMap<Vec<u8>, Vec<u8>>;

impl Source for Map {
    fn scan(&self, prefix: &[u8], from: &[u8], f: &mut Each<'_>) -> Result<(), ReportError> {
        let from = from.max(prefix).to_vec();
        for (key, value) in self.range(from..).take_while(|(key, _)| key.starts_with(prefix)) {
            if !f(key, value)? {
                break;
            }
        }
        Ok(())
    }
}

/// A document within its sender.
fn name(sender: &AgencyId, key: &DocumentKey) -> Half {
    let hash = framed(&[b"lienthong/recount/1", sender.as_str().as_bytes(), key.hash().as_bytes()]);
    keys::half(&hash).try_into().unwrap_or_default()
}

fn document_of(item: &Item) -> Option<(Half, Date)> {
    match &item.subject {
        Subject::Document(d) => Some((name(&item.parties.sender, &d.key), d.issued_on)),
        Subject::Notice(_) => None,
    }
}

/// The first reading.
pub struct Recount {
    period: Period,
    documents: HashSet<Half>,
    /// Every delivery of a document, with the document.
    deliveries: Vec<(DeliveryId, Half)>,
    /// Every paper entry, with its document.
    papers: HashMap<u64, Half>,
}

impl Recount {
    /// Of a period.
    pub fn new(period: Period) -> Recount {
        Recount { period, documents: HashSet::new(), deliveries: Vec::new(), papers: HashMap::new() }
    }

    /// Reads the entry at an index.
    pub fn look(&mut self, index: u64, event: &Event) {
        let found = match &event.kind {
            EventKind::PaperEntered(entry) => {
                let document = name(&entry.parties.sender, &entry.key);
                self.papers.insert(index, document);
                Some((document, entry.issued_on))
            }
            kind => kind.item().and_then(|item| {
                let (document, day) = document_of(item)?;
                self.deliveries.push((item.delivery_id, document));
                Some((document, day))
            }),
        };
        let (first, last) = self.period.days();
        if let Some((document, _)) = found.filter(|(_, day)| (first..=last).contains(day)) {
            self.documents.insert(document);
        }
    }

    /// To the second reading.
    pub fn again(self) -> Again {
        let deliveries =
            self.deliveries.into_iter().filter(|(_, document)| self.documents.contains(document));
        Again {
            period: self.period,
            deliveries: deliveries.map(|(id, _)| id).collect(),
            papers: self
                .papers
                .into_iter()
                .filter(|(_, d)| self.documents.contains(d))
                .map(|(i, _)| i)
                .collect(),
            map: Map::default(),
        }
    }
}

/// The second reading.
pub struct Again {
    period: Period,
    deliveries: HashSet<DeliveryId>,
    papers: HashSet<u64>,
    map: Map,
}

impl Again {
    /// Applies the entry at an index, if it has to do with the period.
    pub fn apply(&mut self, index: u64, event: &Event) -> Result<(), ViewError> {
        if self.concerns(index, event) { fold::apply(&mut self.map, index, event) } else { Ok(()) }
    }

    fn concerns(&mut self, index: u64, event: &Event) -> bool {
        match &event.kind {
            EventKind::PaperEntered(entry) => {
                self.papers.contains(&index) || entry.corrects.is_some_and(|c| self.papers.contains(&c))
            }
            EventKind::CalendarSet(_) | EventKind::PaperDeclared(_) => true,
            // What is handed out, looked at or purged changes no figure.
            EventKind::Fetched { .. }
            | EventKind::Exported { .. }
            | EventKind::Viewed { .. }
            | EventKind::Purged { .. } => false,
            kind => match kind.item().map(|item| (item.delivery_id, &item.subject)) {
                Some((id, Subject::Notice(notice))) => {
                    let concerns = self.deliveries.contains(&notice.target);
                    if concerns {
                        // So does what follows about the notice itself.
                        self.deliveries.insert(id);
                    }
                    concerns
                }
                Some((id, Subject::Document(_))) => self.deliveries.contains(&id),
                None => kind.delivery_id().is_some_and(|id| self.deliveries.contains(&id)),
            },
        }
    }

    /// The statement that the log gives.
    pub fn statement(&self, node: &NodeName) -> Result<Statement, ReportError> {
        make(&self.map, node, self.period)
    }
}
