//! A node that lost its log goes on as a new generation: what others have of it comes back, what it had received is
//! delivered again. Real nodes over real TLS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod evidence;
mod forged;
mod from_copy;
mod lost;
mod refused;
#[allow(dead_code, reason = "what these tests do not take of it, others do")]
#[path = "../evidence/tools.rs"]
mod tools;
mod world;
