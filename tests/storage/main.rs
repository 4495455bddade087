//! Storage and ledger on real files: crashes, torn writes, and what may be seen when.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crash;
mod forms;
mod full;
#[path = "../harness/mod.rs"]
mod harness;
mod torn;
mod visible;
