//! Witnessing: what nodes hold of each other's logs, what they cosign, and what happens to one that rewrites its own. Real
//! nodes over real TLS; a node that lies is played, with its real keys.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod checked;
#[path = "../common/mod.rs"]
mod common;
mod copies;
mod generation;
mod held;
mod kept;
mod liar;
mod rewritten;
mod shown;
mod world;
