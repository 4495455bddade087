//! Damaged bytes and altered records: opening and the audit find every one, and never panic.

mod altered_index;
mod altered_journal;
mod bytes;
#[path = "../harness/mod.rs"]
mod harness;
mod listing;
