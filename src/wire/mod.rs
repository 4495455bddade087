//! The only place that names generated code: domain types to bytes and back.
//!
//! - [`leaf`]: an event as the log keeps it, one version byte and then protobuf.
//! - [`envelope`]: an envelope as it travels.
//! - [`figures`]: events about the ratios.
//! - [`hold`]: what a legal hold is on.
//! - [`words`]: enumerations, metadata, parts, verdicts.
//! - [`network`]: what a node that collects figures asks.
//! - [`proof`]: proofs; [`witness`]: what witnesses ask each other; [`lost`]: what a node asks that lost its log.
//! - [`failure`]: reasons and gRPC statuses.
//!
//! `TryFrom`-like functions come in (`read_*`), and refuse what the domain does not allow; the others go out.

mod administration;
pub mod codec;
pub mod envelope;
pub mod failure;
pub mod figures;
mod generation;
pub mod hold;
pub mod leaf;
pub mod lost;
pub mod network;
mod paper;
pub mod proof;
pub mod witness;
pub mod words;

/// Generated from proto/lienthong/v1.
#[allow(missing_docs, clippy::all, reason = "generated; the .proto files carry the documentation")]
pub mod pb {
    tonic::include_proto!("lienthong.v1");

    /// The compiled descriptors, for server reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
