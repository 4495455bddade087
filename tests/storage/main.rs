//! Storage and ledger on real files: crashes, torn writes, and what may be seen when.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod crash;
mod forms;
mod full;
#[path = "../harness/mod.rs"]
mod harness;
mod seen;
mod torn;
mod visible;
