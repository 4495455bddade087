//! `lienthong audit check` and `audit verify`: the whole log of a running node, or of a stopped node's files.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;

use super::audit::{AuditArgs, Stopped};
use super::{CliError, Format, Outcome, note, out};
use crate::audit::{Checked, ContentRead, Finding, Place};
use crate::merkle::{NoteVerifier, SignedCheckpoint};
use crate::rpc::client::NodeClient;
use crate::wire::pb;

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Hashes, signatures, order, journal against sled.
    Log,
    /// And every fold, and the files beside the log.
    Folds,
    /// And all content.
    Content,
}

/// Runs the command.
pub(super) async fn run(args: &AuditArgs, what: What) -> Result<Outcome, CliError> {
    let checked = match &args.data {
        Some(dir) => stopped(&Stopped::open(dir, args.log_key.as_deref())?, what)?,
        None => running(&args.remote.connect("admin").await?, what).await?,
    };
    print(args.format, &checked);
    Ok(if checked.is_clean() { Outcome::Done } else { Outcome::No })
}

/// The files of a stopped node.
pub(super) fn stopped(stopped: &Stopped, what: What) -> Result<Checked, CliError> {
    let key = stopped.key()?;
    let size = stopped.offline.size().map_err(CliError::failed)?;
    let mut progress = Progress::new("events", size, 100_000);
    let checked = match what {
        What::Log => stopped.offline.verify(key, |n| progress.at(n)),
        What::Folds | What::Content => {
            let beside = stopped.beside()?;
            if beside.is_none() {
                note(
                    "lienthong.toml is not beside the data: without the key of the directory's authority, directory \
                     versions, cosigned and timestamped checkpoints and what is held of other logs are not looked at",
                );
            }
            stopped.offline.check_all(key, beside.as_ref(), |n| progress.at(n))
        }
    };
    progress.end();
    let checked = checked.map_err(CliError::failed)?;
    if what < What::Content {
        return Ok(checked);
    }
    let mut progress = Progress::new("MB of content", 0, 1_000);
    let content = stopped.offline.check_content(|bytes| progress.at(bytes / 1_000_000));
    progress.end();
    Ok(checked.with_content(content.map_err(CliError::failed)?))
}

/// What a running node finds; that its root is the signed one is looked at here.
async fn running(client: &NodeClient, what: What) -> Result<Checked, CliError> {
    let request = pb::CheckLogRequest { content: what == What::Content };
    let answer = client.audit().check_log(request).await?.into_inner();
    let head = client.audit().get_checkpoint(pb::GetCheckpointRequest {}).await?.into_inner();
    let mut findings: Vec<Finding> = answer
        .findings
        .into_iter()
        .map(|f| Finding {
            place: f.place.parse().unwrap_or(Place::Store),
            index: f.has_index.then_some(f.index),
            message: f.message,
        })
        .collect();
    let verified = head.verifier_key.parse().map_err(|e| format!("{e}")).and_then(|k: NoteVerifier| {
        SignedCheckpoint::verify(&head.checkpoint, &k).map_err(|e| e.to_string())
    });
    if let Err(message) = verified {
        findings.push(Finding { place: Place::Checkpoint, index: None, message });
    }
    Ok(Checked {
        events: answer.events,
        root: crate::merkle::Hash::from_slice(&answer.root),
        checkpoint: Some(head.checkpoint),
        first: findings.iter().filter_map(|f| f.index).min(),
        findings,
        unlisted: answer.unlisted,
        content: answer.content.map(|c| ContentRead {
            contents: c.contents,
            bytes: c.bytes,
            micros: c.micros,
        }),
    })
}

/// Prints what was found.
pub(super) fn print(format: Format, checked: &Checked) {
    let root = checked.root.map_or_else(|| "-".to_owned(), |r| r.to_string());
    match format {
        Format::Json => {
            let findings: Vec<_> = checked
                .findings
                .iter()
                .map(|f| json!({"place": f.place.to_string(), "index": f.index, "message": f.message}))
                .collect();
            let content = checked.content.map(|c| {
                json!({"contents": c.contents, "bytes": c.bytes, "seconds": c.micros as f64 / 1e6,
                    "mb_per_second": c.megabytes_per_second()})
            });
            out(json!({"events": checked.events, "root": root, "verified": checked.is_clean(),
                "first_wrong": checked.first, "findings": findings, "unlisted": checked.unlisted,
                "content": content}));
        }
        Format::Table => {
            out(format!("{} events, root {root}", checked.events));
            if let Some(c) = &checked.content {
                out(format!(
                    "{} contents of {} MB read, {} MB/s",
                    c.contents,
                    c.bytes / 1_000_000,
                    c.megabytes_per_second()
                ));
            }
            for finding in &checked.findings {
                out(format!("! {finding}"));
            }
            if checked.unlisted > 0 {
                out(format!("! and {} more", checked.unlisted));
            }
            if let Some(first) = checked.first {
                out(format!("the first event that is wrong: {first}"));
            }
            out(if checked.is_clean() { "verified" } else { "NOT VERIFIED" });
        }
    }
}

/// How often a bar is drawn.
const DRAW: Duration = Duration::from_millis(200);
/// Characters of a full bar.
const WIDTH: u64 = 40;

/// How far something is: a bar on a terminal, a line now and then elsewhere; both to stderr.
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    every: u64,
    next: u64,
    drawn: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// Of `total` (0: nobody knows), with a line after `every` where there is no terminal.
    pub(super) fn new(what: &'static str, total: u64, every: u64) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        Progress { what, total, every, next: every, drawn: None, terminal }
    }

    /// So many are done.
    pub(super) fn at(&mut self, n: u64) {
        if !self.terminal {
            if n >= self.next {
                note(format!("{n} {}", self.what));
                self.next = n - n % self.every + self.every;
            }
            return;
        }
        if self.drawn.is_some_and(|at| at.elapsed() < DRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        let full = (n.min(self.total) * WIDTH).checked_div(self.total).map(|full| full as usize);
        let bar = full.map_or_else(String::new, |full| {
            format!("[{}{}] ", "#".repeat(full), "-".repeat(WIDTH as usize - full))
        });
        let mut stderr = std::io::stderr();
        let _ = write!(stderr, "\r{bar}{n} {}\u{1b}[K", self.what).and_then(|()| stderr.flush());
    }

    /// It is over: the bar goes.
    pub(super) fn end(self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
