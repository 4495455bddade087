//! What events say about the figures.

use super::{Counters, Month, Period};
use crate::domain::ids::{AgencyId, Digest};

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
