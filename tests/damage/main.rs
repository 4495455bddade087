//! Damaged bytes and altered records: opening and the audit find every one, and never panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod altered_index;
mod altered_journal;
mod bytes;
mod finding;
#[path = "../harness/mod.rs"]
mod harness;
mod listing;
mod many;
