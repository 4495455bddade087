//! The network's figures: each node states its own, one node collects them, checks them, adds each delivery once, and
//! compares what each two agencies say (docs/decisions/0024).
//!
//! - [`row`], [`statement`]: a statement as a text; [`make`]: from the folds; [`give`]: by a running node.
//! - [`recount`]: the same from a log, by who may read it.
//! - [`mod@collect`]: asking every node, and checking what it says; [`reconcile`]: comparing.
//! - [`result`]: what comes out, as it is kept; [`print`](mod@print): as a table, csv and a workbook.

pub mod collect;
pub mod give;
pub mod make;
pub mod print;
pub mod reconcile;
pub mod recount;
pub mod result;
pub mod row;
pub mod statement;
mod workbook;

pub use collect::{FiguresLink, collect};
pub use give::Giving;
pub use result::NetworkReport;
pub use workbook::workbook;
