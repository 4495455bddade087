//! The network's figures as they are kept and handed out: one JSON text, always the same for the same figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::statement::{ByKey, Total, Totals};
use crate::domain::ids::AgencyId;
use crate::domain::ratio::{Counters, Period};
use crate::report::query::{Basis, Query};
use crate::report::{Coverage, Figure, Missing, Report, SCOPES, periods};

/// What `format` says.
pub const FORMAT: &str = "lienthong/network/1";

/// The network's figures of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// [`FORMAT`].
    pub format: String,
    /// yyyy, yyyy-Qn or yyyy-mm.
    pub period: String,
    /// The node that collected.
    pub collector: String,
    /// When, by its clock.
    pub collected_at: String,
    /// Version of its directory, which lists nodes and keys.
    pub directory_version: u64,
    /// Every node of the directory gave a statement that holds. Without that the totals are too small.
    pub complete: bool,
    /// Every node's log was replayed, and gave its statement.
    pub recomputed: bool,
    /// The nodes, by name.
    pub nodes: Vec<NodePart>,
    /// By basis and key; each delivery once, on its sender's side.
    pub totals: BTreeMap<String, BTreeMap<String, Sum>>,
    /// Who did not declare its paper register complete.
    pub coverage: Covered,
    /// What one agency says that it sent to another, and what that says it was sent.
    pub pairs: Vec<Pair>,
    /// How many deliveries differ; all of them.
    pub difference_count: u64,
    /// The first 10,000 of them.
    pub differences: Vec<Difference>,
}

/// What came of one node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodePart {
    /// Its name.
    pub node: String,
    /// `stated`, or the reason code why it has no part in the totals.
    pub outcome: String,
    /// The reason in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// SHA-256 of its statement, in hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub statement: String,
    /// Its log's origin line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log: String,
    /// The event that records the statement.
    #[serde(default)]
    pub index: u64,
    /// The number of events of the log from which it follows.
    #[serde(default)]
    pub size: u64,
    /// The signed checkpoint under which the event is proven.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub checkpoint: String,
    /// Deliveries that its agencies sent.
    #[serde(default)]
    pub sent: u64,
    /// Deliveries that they were sent.
    #[serde(default)]
    pub received: u64,
    /// Its log was replayed, and gave the same statement.
    #[serde(default)]
    pub recomputed: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub not_recomputed: String,
}

/// A sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// The counters.
    #[serde(flatten)]
    pub counters: Counters,
    /// Of these, what is of senders with a complete paper register.
    pub covered: u64,
}

/// How complete the paper registers are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Covered {
    /// Deliveries of agencies that declared their month complete.
    pub covered: u64,
    /// All deliveries.
    pub all: u64,
    /// Agencies that declared every month that they have figures in.
    pub complete: u64,
    /// The others: at most 1,000.
    pub missing: Vec<NotDeclared>,
}

/// An agency without a declaration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotDeclared {
    /// Permanent id of the sender.
    pub agency: String,
    /// Months with figures and without declaration.
    pub months: Vec<String>,
    /// Its deliveries in these.
    pub deliveries: u64,
}

/// Two agencies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Permanent id of the sender.
    pub sender: String,
    /// Permanent id of the recipient.
    pub recipient: String,
    /// Deliveries that the sender says arrived.
    pub sent: u64,
    /// Deliveries that the recipient says it was sent.
    pub received: u64,
    /// Deliveries about which they differ.
    pub differences: u64,
    /// Both statements are there; otherwise nothing was compared.
    pub compared: bool,
}

/// A delivery about which two statements differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// `only_at_sender`, `only_at_recipient`, `other_delivery`, `parties`, `outcome`, `day`, `verdicts` or `twice`.
    pub kind: String,
    /// Id of the delivery.
    pub delivery: String,
    /// Permanent id of the sender.
    pub sender: String,
    /// Permanent id of the recipient.
    pub recipient: String,
    /// Number/notation (year) of the document, where a node told it and the id proves it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub document: String,
    /// As the sender's node has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_sender: Option<Side>,
    /// As the recipient's node has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_recipient: Option<Side>,
}

/// A delivery at one node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Side {
    /// The node.
    pub node: String,
    /// pending, held, delivered, refused or undelivered.
    pub state: String,
    /// Verdicts of this node on the signatures of person and agency.
    pub verdicts: String,
    /// At the sender: those that the recipient's node told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub told: String,
    /// Day of issue.
    pub day: String,
    /// Day of arrival.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arrived: String,
}

fn sums(cells: &ByKey) -> BTreeMap<String, Sum> {
    let mut sums: BTreeMap<String, Sum> = cells
        .iter()
        .map(|(key, total)| (key.clone(), Sum { counters: total.counters, covered: total.covered }))
        .collect();
    for key in SCOPES {
        let Total { counters, covered } = Total::default();
        sums.entry(key.to_owned()).or_insert(Sum { counters, covered });
    }
    sums
}

/// The sums as they are kept.
pub(super) fn kept(totals: &Totals) -> BTreeMap<String, BTreeMap<String, Sum>> {
    let bases = [Basis::Deliveries, Basis::Documents];
    bases.into_iter().map(|basis| (basis.as_str().to_owned(), sums(totals.of(basis)))).collect()
}

impl NetworkReport {
    /// The text as it is kept.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// The nodes that have no part in it.
    pub fn absent(&self) -> impl Iterator<Item = &NodePart> {
        self.nodes.iter().filter(|node| !node.is_stated())
    }

    /// How far the totals can be relied on, in a line: whose figures are missing, and whose nobody counted again.
    pub fn standing(&self) -> String {
        let names = |parts: &mut dyn Iterator<Item = &NodePart>| {
            parts.map(|node| node.node.as_str()).collect::<Vec<_>>().join(" ")
        };
        let absent = names(&mut self.absent());
        let stated = names(&mut self.nodes.iter().filter(|n| n.is_stated() && !n.recomputed));
        let mut said = Vec::new();
        said.push(if absent.is_empty() {
            "complete".to_owned()
        } else {
            format!("INCOMPLETE: without {absent}")
        });
        if !stated.is_empty() {
            said.push(format!("not recomputed: {stated}"));
        }
        if self.difference_count > 0 {
            said.push(format!("{} differences between nodes", self.difference_count));
        }
        said.join("; ")
    }

    /// The figures of a basis, as every report is printed; `checkpoint` is the collector's that covers them.
    pub fn report(&self, basis: Basis, checkpoint: &str) -> Report {
        let period = self.period.parse::<Period>().ok();
        let query = Query { basis, ..period.map(periods::query).unwrap_or_default() };
        let cells = self.totals.get(basis.as_str());
        let figure = |(key, sum): (&String, &Sum)| Figure {
            values: vec![key.clone()],
            counters: sum.counters,
            covered: Some(sum.covered),
        };
        let missing = self.coverage.missing.iter().filter_map(|m| {
            let months = m.months.iter().filter_map(|month| month.parse().ok()).collect();
            Some(Missing { agency: AgencyId::new(&m.agency).ok()?, months, deliveries: m.deliveries })
        });
        Report {
            query,
            figures: cells.into_iter().flatten().map(figure).collect(),
            coverage: Coverage {
                covered: self.coverage.covered,
                all: self.coverage.all,
                missing: missing.collect(),
                complete: self.coverage.complete,
            },
            checkpoint: checkpoint.to_owned(),
            network: self.standing(),
            exact: true,
            closed: Vec::new(),
        }
    }
}

impl NodePart {
    /// What `outcome` says of a node that has a part in the totals.
    pub const STATED: &'static str = "stated";

    /// Whether it has.
    pub fn is_stated(&self) -> bool {
        self.outcome == NodePart::STATED
    }
}
