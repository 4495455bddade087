//! Checking a log of any length, and the content that it names. tests/check/run.sh measures a million events.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;
mod long;
mod running;
