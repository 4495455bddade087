//! Storage and ledger on real files: crashes, torn writes, and what may be seen when.

mod crash;
#[path = "../harness/mod.rs"]
mod harness;
mod torn;
mod visible;
