//! What events say about the figures.

use super::{Counters, Month, Period};
use crate::domain::event::LogRef;
use crate::domain::ids::{AgencyId, Digest, NodeName};
use crate::domain::reason::Reason;

/// An agency's word about its paper register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaperDeclared {
    /// Whose register.
    pub agency: AgencyId,
    /// Its code as given.
    pub agency_code: String,
    /// Of documents issued in this month.
    pub month: Month,
    /// It is complete; false: a declaration taken back.
    pub complete: bool,
}

/// A period's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodClosed {
    /// Which.
    pub period: Period,
    /// SHA-256 of all its cells as a text (`report::snapshot`), kept with the content.
    pub snapshot: Digest,
    /// Bytes of that text.
    pub snapshot_size: u64,
    /// The totals by scope, and by scope and direction.
    pub totals: Vec<PeriodTotal>,
}

/// One total of a closed period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodTotal {
    /// `in_province`, `in_province/up` …
    pub key: String,
    /// On the basis of deliveries.
    pub deliveries: Counters,
    /// On the basis of documents.
    pub documents: Counters,
}

/// A node stated its figures of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementMade {
    /// Which.
    pub period: Period,
    /// SHA-256 of the statement's text, kept with the content.
    pub statement: Digest,
    /// Bytes of that text.
    pub statement_size: u64,
    /// The number of events of the log from which it follows.
    pub size: u64,
    /// Deliveries that agencies of the node sent.
    pub sent: u64,
    /// Deliveries that agencies of the node were sent.
    pub received: u64,
}

/// A node collected the network's statements of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkReported {
    /// Which.
    pub period: Period,
    /// SHA-256 of the result's text, kept with the content.
    pub result: Digest,
    /// Bytes of that text.
    pub result_size: u64,
    /// Every node of the directory gave a statement that holds.
    pub complete: bool,
    /// Deliveries about which two statements differ.
    pub differences: u64,
    /// By name, at most `limits::STATED_NODES` of them.
    pub nodes: Vec<StatedNode>,
}

/// What a node gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedNode {
    /// Which.
    pub node: NodeName,
    /// Its event and the digest of its statement, or why there is none that holds.
    pub stated: Result<(LogRef, Digest), Reason>,
    /// Its log was replayed, and gave the same statement.
    pub recomputed: bool,
}
