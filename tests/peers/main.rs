//! Peers that fail, and peers that cannot be reached: what one of them does changes nothing for the others, and what
//! waits says why it waits. Real nodes over real TLS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad;
#[path = "../common/mod.rs"]
mod common;
mod moved;
mod relay;
mod unreachable;
mod waiting;
