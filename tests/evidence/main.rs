//! The evidence of a delivery: exported from nodes that run and from their files, checked offline, and spoilt in every way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;

mod changed;
mod kept;
mod keys;
mod kinds;
#[path = "../revocation/pki.rs"]
#[allow(dead_code, reason = "shared with the tests of revocation")]
mod pki;
mod purged;
mod spoilt;
mod stamped;
mod tools;
mod way;
#[path = "../revocation/web.rs"]
#[allow(dead_code, reason = "shared with the tests of revocation")]
mod web;
