//! Bad input gets a clear answer, and nothing is lost. Every test goes through the real API over real TLS: the gRPC
//! code, the stable reason, the field and the message of each refusal are checked, and that it left no trace.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod beginnings;
#[path = "../common/mod.rs"]
mod common;
mod connections;
mod cosigned;
mod disk;
mod documents;
mod forged;
mod offers;
mod parties;
mod repeats;
mod statuses;
mod streams;
mod uploads;
