//! lienthong: an inter-agency e-document exchange gateway.
//!
//! A node keeps one append-only Merkle log; everything that it does is an event in it, and everything else is
//! derived from it or proven by it. The layers, top down; each may use those above it, never those below
//! (`tests/layers.rs` checks this):
//!
//! | layer | what lives there |
//! |---|---|
//! | [`time`], `parallel` | points in time and days, as values; work on several threads |
//! | [`merkle`] | hashes, tiles, proofs, signed notes, checkpoints, cosignatures |
//! | [`signature`] | document signatures, certificate paths, verdicts |
//! | [`domain`] | documents, envelopes, events, folds, decisions, ratios |
//! | [`config`], [`directory`] | raw to valid configuration; the signed list of agencies, nodes and keys |
//! | [`wire`] | the only place that names generated code |
//! | [`store`] | storage port, journal, content, sled |
//! | [`ledger`] | the one writer: decide, commit, prove, open |
//! | [`exchange`] | the way of a document, a file per step |
//! | [`audit`], [`report`] | readers of the log and of the folds |
//! | [`rpc`] | gRPC services, TLS, identity |
//! | [`web`] | pages for operators, auditors and administrators |
//! | [`node`] | the composition root: build, bind, run, drain |
//! | [`cli`] | commands |

mod parallel;
pub mod time;

pub mod merkle;
pub mod signature;

pub mod domain;

pub mod config;
pub mod directory;

pub mod wire;

pub mod store;

pub mod ledger;

pub mod exchange;

pub mod audit;
pub mod report;

pub mod rpc;

pub mod web;

pub mod node;

pub mod cli;
