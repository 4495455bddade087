//! Keeping: what is purged and what is not, legal holds, and copies of a node's data.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;

mod copies;
mod purging;
mod recorded;
