//! `lienthong audit forks`, and `lienthong audit verify FILE` of the proof of a fork: logs of other nodes that exchange is
//! stopped with, and what proves to anyone that one has two histories.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use super::remote::Remote;
use super::show::{columns, time};
use super::{CliError, Format, Outcome, note, out};
use crate::domain::ids::shorten;
use crate::domain::limits;
use crate::exchange::witness::fork::{FORMAT, ForkProof};
use crate::exchange::witness::{Standing, fork_file, kept};
use crate::merkle::{Checkpoint, NoteVerifier};
use crate::rpc::status::witnessed;
use crate::wire::pb;

/// A log of another node.
struct Line {
    of: pb::WitnessedLog,
    file: Option<String>,
}

/// Lists the logs of other nodes as a node holds them: of the running one, or of the files of a stopped one.
pub(super) async fn list(data: Option<&Path>, remote: &Remote, format: Format) -> Result<Outcome, CliError> {
    let lines: Vec<Line> = match data {
        Some(data) => {
            let kept = kept(data).map_err(CliError::failed)?;
            let line = |standing: Standing| {
                let file = fork_file(data, &standing.log);
                let file = file.exists().then(|| file.display().to_string());
                Line { of: witnessed(standing), file }
            };
            kept.into_iter().map(line).collect()
        }
        None => {
            let client = remote.connect("admin").await?;
            let status = client.audit().get_status(pb::GetStatusRequest {}).await?.into_inner();
            status.witnessed.into_iter().map(|of| Line { of, file: None }).collect()
        }
    };
    match format {
        Format::Json => {
            let all: Vec<Value> = lines
                .iter()
                .map(|Line { of, file }| {
                    let held = (of.held_size > 0).then_some(of.held_size);
                    let since = (of.since > 0).then(|| time(of.since));
                    json!({"peer": of.peer, "log": of.log, "held": held, "stopped": of.stopped, "since": since,
                        "why": of.why, "file": file})
                })
                .collect();
            out(serde_json::to_string_pretty(&all).unwrap_or_default());
        }
        Format::Table => {
            let rows: Vec<Vec<String>> = lines
                .iter()
                .map(|Line { of, .. }| {
                    let held = if of.held_size == 0 { "-".to_owned() } else { of.held_size.to_string() };
                    let state = if of.stopped.is_empty() { "goes on" } else { of.stopped.as_str() };
                    vec![of.peer.clone(), of.log.clone(), held, state.to_owned()]
                })
                .collect();
            out(columns(&["peer", "log", "events held", "exchange"], &rows));
            for Line { of, file } in lines.iter().filter(|l| !l.of.stopped.is_empty()) {
                out(format!("! {}, since {}: {}", of.log, time(of.since), of.why));
                if let Some(file) = file {
                    note(format!("check it with: lienthong audit verify {file} --authority KEY"));
                }
            }
        }
    }
    let stopped = lines.iter().any(|l| !l.of.stopped.is_empty());
    Ok(if stopped { Outcome::No } else { Outcome::Done })
}

/// Whether a file is the proof of a fork.
pub(super) fn is_fork(file: &Path) -> Result<bool, CliError> {
    let failed = |e: std::io::Error| CliError::file("reading", file, &e);
    let mut start = Vec::new();
    File::open(file).map_err(failed)?.take(256).read_to_end(&mut start).map_err(failed)?;
    // Of any version: one that is not known is said to be, not taken for something else.
    let name = FORMAT.split('/').next().unwrap_or(FORMAT);
    Ok(String::from_utf8_lossy(&start).contains(name))
}

/// Checks the proof of a fork by the directory authority's key alone.
pub(super) fn check(authority: Option<&str>, file: &Path, format: Format) -> Result<Outcome, CliError> {
    let authority: NoteVerifier = authority
        .ok_or_else(|| {
            CliError::failed(
                "--authority KEY is needed: what the file says of the directory proves nothing by itself",
            )
        })?
        .parse()
        .map_err(|e| CliError::failed(format!("--authority: {e}")))?;
    let failed = |e: std::io::Error| CliError::file("reading", file, &e);
    let opened = File::open(file).map_err(failed)?;
    let bytes = opened.metadata().map_err(failed)?.len();
    if bytes > limits::FORK_PROOF_BYTES {
        let most = limits::FORK_PROOF_BYTES;
        return Err(CliError::file(
            "reading",
            file,
            &format!("its {bytes} bytes are over the limit of {most}"),
        ));
    }
    let mut text = String::new();
    opened.take(bytes).read_to_string(&mut text).map_err(failed)?;
    let shown = ForkProof::read(&text).and_then(|proof| Ok((proof.verify(&authority)?, proof)));
    match shown {
        Ok((shown, proof)) => {
            let (older, newer) = (shown.older.checkpoint(), shown.newer.checkpoint());
            match format {
                Format::Json => out(json!({
                    "verified": true, "log": older.origin, "node": shown.node.as_str(),
                    "directory_version": shown.directory_version, "key": proof.key,
                    "older": {"size": older.size, "root": older.root.to_string()},
                    "newer": {"size": newer.size, "root": newer.root.to_string()},
                    "older_root_in_newer": shown.root.to_string(),
                    "found_by": shorten(&proof.found_by), "found_at": shorten(&proof.found_at),
                })),
                Format::Table => {
                    out(format!("log `{}` of node {} has two histories:", older.origin, shown.node));
                    let signed =
                        |c: &Checkpoint| format!("  its key signed {} events with root {}", c.size, c.root);
                    out(signed(older));
                    out(signed(newer));
                    out(format!("  in the second, the first {} events have root {}", older.size, shown.root));
                    out(format!(
                        "  the key is listed in directory version {}: {}",
                        shown.directory_version, proof.key
                    ));
                    out(format!("  found by {} at {}", shorten(&proof.found_by), shorten(&proof.found_at)));
                    out("verified");
                }
            }
            Ok(Outcome::Done)
        }
        Err(error) => {
            match format {
                Format::Json => out(json!({"verified": false, "problem": error.to_string()})),
                Format::Table => {
                    out(format!("! {error}"));
                    out("NOT VERIFIED");
                }
            }
            Ok(Outcome::No)
        }
    }
}
