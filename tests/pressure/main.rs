//! Pressure, clocks, and stopping: a full disk, a flood, clocks that are off, and a node that is asked to end. Through
//! the real API over real TLS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clocks;
#[path = "../common/mod.rs"]
mod common;
mod draining;
mod flood;
mod process;
mod room;
mod shown;
