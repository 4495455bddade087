//! What can be typed.

use clap::{CommandFactory as _, Parser, Subcommand};

use super::{
    CliError, Outcome, audit, backup, demo, dms, fetch, hold, init, load, notices, operate, recover, report,
    send, serve, sign, status, track, verify, web_login,
};

/// Exchanges signed electronic documents between government agencies.
///
/// Results go to stdout, progress and logs to stderr. Exit status: 0 done; 1 done, and the answer is no; 2 could not
/// be done. LIENTHONG_LOG=info shows what happens; LIENTHONG_LOG_FORMAT=json makes each line JSON.
#[derive(Debug, Parser)]
#[command(name = "lienthong", version, max_term_width = 110)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs real nodes on loopback, replays a scenario end to end, and prints the ratios.
    Demo(demo::DemoArgs),
    /// Makes a node's keys and configuration, or a whole local test network.
    Init(init::InitArgs),
    /// Runs a node.
    Serve(serve::ServeArgs),
    /// Explains a configuration, or what is wrong with it.
    CheckConfig(serve::CheckArgs),
    /// Shows a running node's state: queues by peer, breakers, clocks, room on the disk, log, certificates.
    Status(status::StatusArgs),
    /// Gets a link that signs a person in to the node's pages, once.
    WebLogin(web_login::WebLoginArgs),
    /// Sends a document; with --replaces, in the place of one that was sent.
    Send(send::SendArgs),
    /// Lists what waits for an agency.
    Inbox(dms::InboxArgs),
    /// Fetches a delivery's files and signatures.
    Fetch(fetch::FetchArgs),
    /// Acknowledges a delivery: it leaves the inbox, and its sender gets status 01.
    Ack(dms::AckArgs),
    /// Decides about a delivery that is held: releases it to its agency, or refuses it.
    Release(dms::ReleaseArgs),
    /// Reports a status of a delivery.
    Respond(dms::RespondArgs),
    /// Revokes a document that was sent, with the agency's seal.
    Revoke(notices::RevokeArgs),
    /// Corrects the metadata of a document that was sent, with the agency's seal.
    Update(notices::UpdateArgs),
    /// Asks the recipient to give a document back (status 13).
    TakeBack(notices::TakeBackArgs),
    /// Shows where a delivery, or all deliveries of a document, stand.
    Track(track::TrackArgs),
    /// Follows arrivals, receipts, statuses and failures.
    Watch(dms::WatchArgs),
    /// Enters a dispatch on paper, or a whole register; declares a month's register complete.
    Paper(dms::PaperArgs),
    /// Prints the ratios of a node; closes a period, and lists what changed in it since.
    Report(report::ReportArgs),
    /// Lists, shows, proves, verifies and checks the log.
    Audit(audit::AuditArgs),
    /// Places, lists and lifts legal holds: what is under one is not purged.
    Hold(hold::HoldArgs),
    /// Copies a node's data, running or not, or adds what is new to an earlier copy.
    Backup(backup::BackupArgs),
    /// Brings a copy back into an empty folder and checks it.
    Restore(backup::RestoreArgs),
    /// Opens a new generation of a log that is lost, with what is left of it.
    Recover(recover::RecoverArgs),
    /// Judges the signatures of files: inside a PDF, or beside any file.
    Verify(verify::VerifyArgs),
    /// Signs a file: inside a PDF, or beside any file; for agencies whose system cannot.
    Sign(sign::SignArgs),
    /// Adds a timestamp to a detached signature.
    Timestamp(sign::TimestampArgs),
    /// Shows or signs a directory.
    Directory(operate::DirectoryArgs),
    /// Measures a load with its limit beside it.
    Load(load::LoadArgs),
    /// Prints completions for a shell.
    #[command(after_help = "Example:\n  lienthong completions bash > /etc/bash_completion.d/lienthong")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Runs a command.
pub async fn run(args: Args) -> Result<Outcome, CliError> {
    match args.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Init(args) => init::run(&args),
        Command::Serve(args) => serve::run(&args).await,
        Command::CheckConfig(args) => serve::check(&args),
        Command::Status(args) => status::run(args).await,
        Command::WebLogin(args) => web_login::run(args).await,
        Command::Send(args) => send::send(args).await,
        Command::Inbox(args) => dms::inbox(args).await,
        Command::Fetch(args) => fetch::fetch(args).await,
        Command::Ack(args) => dms::ack(args).await,
        Command::Release(args) => dms::release(args).await,
        Command::Respond(args) => dms::respond(args).await,
        Command::Revoke(args) => notices::revoke(args).await,
        Command::Update(args) => notices::update(args).await,
        Command::TakeBack(args) => notices::take_back(args).await,
        Command::Track(args) => track::run(args).await,
        Command::Watch(args) => dms::watch(args).await,
        Command::Paper(args) => dms::paper(args).await,
        Command::Report(args) => report::report(args).await,
        Command::Audit(args) => audit::run(args).await,
        Command::Hold(args) => hold::run(args).await,
        Command::Backup(args) => backup::backup(args).await,
        Command::Restore(args) => backup::restore(&args),
        Command::Recover(args) => recover::run(&args).await,
        Command::Verify(args) => verify::run(&args),
        Command::Sign(args) => sign::sign(&args),
        Command::Timestamp(args) => sign::timestamp(&args),
        Command::Directory(args) => operate::directory(&args),
        Command::Load(args) => load::run(args).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "lienthong", &mut std::io::stdout());
            Ok(Outcome::Done)
        }
    }
}
