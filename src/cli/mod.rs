//! Commands. Results go to stdout, progress and logs to stderr. Exit 0: done; 1: done, and the answer is no; 2: could
//! not be done.
//!
//! - [`args`]: what can be typed.
//! - [`demo`]: real nodes on loopback replay a scenario.
//! - [`network`], [`pki`]: making a whole local network; [`init`]: making one node.
//! - [`serve`], [`status`], [`send`], [`fetch`], [`dms`], [`track`], [`notices`], [`report`], [`operate`], [`audit`]: running a node; how it
//!   does; what a system does by hand; reports; the log (`events`: its listing).
//! - [`hold`]: legal holds; [`backup`]: copies of a node's data, and the way back; [`recover`]: a lost log's new generation.
//! - [`verify`], [`sign`]: signatures of files, judged and made.
//! - [`load`]: a measured load with its limit beside it.

pub mod args;
pub mod audit;
pub mod backup;
mod check;
pub mod demo;
pub mod dms;
mod events;
mod evidence;
pub mod fetch;
mod forks;
pub mod hold;
pub mod init;
pub mod load;
mod named;
pub mod network;
pub mod notices;
pub mod operate;
pub mod pki;
pub mod recover;
mod register;
pub mod remote;
pub mod report;
mod report_network;
pub mod scenario;
pub mod send;
pub mod serve;
mod show;
pub mod sign;
pub mod status;
mod tiles;
pub mod track;
pub mod verify;
pub mod web_login;

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

/// Why a command could not be done; printed after `error: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CliError(String);

impl CliError {
    /// With what happened and what to do.
    pub fn failed(what: impl Display) -> CliError {
        CliError(what.to_string())
    }

    /// About a file.
    pub fn file(action: &str, path: &Path, error: &dyn Display) -> CliError {
        CliError(format!("{action} {}: {error}", path.display()))
    }
}

impl From<tonic::Status> for CliError {
    fn from(status: tonic::Status) -> CliError {
        CliError(crate::wire::failure::explain(&status))
    }
}

impl From<crate::domain::Rejection> for CliError {
    fn from(rejection: crate::domain::Rejection) -> CliError {
        CliError(rejection.to_string())
    }
}

/// How a command prints its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person.
    Table,
    /// For a program.
    Json,
}

/// How a command ended, when it could be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, and the answer is no.
    No,
}

/// Prints a result.
pub(crate) fn out(text: impl Display) {
    use std::io::Write as _;
    // A reader that has seen enough (`| head`) is no fault.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints progress.
pub(crate) fn note(text: impl Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Logs to stderr: warnings, or what `LIENTHONG_LOG` asks for (`info`, `lienthong=debug`, …); as JSON with
/// `LIENTHONG_LOG_FORMAT=json`. Colours are for terminals.
fn logs() {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::try_from_env("LIENTHONG_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // It logs the subjects of certificates, which are personal data.
    let filter = match "certval=off".parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    if std::env::var("LIENTHONG_LOG_FORMAT").is_ok_and(|f| f == "json") {
        builder.json().init();
    } else {
        builder.init();
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let args = args::Args::parse();
    logs();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note(format!("error: the runtime cannot start: {error}"));
            return ExitCode::from(2);
        }
    };
    match runtime.block_on(args::run(args)) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(error) => {
            note(format!("error: {error}"));
            ExitCode::from(2)
        }
    }
}
