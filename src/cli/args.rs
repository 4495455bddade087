//! What can be typed.

use clap::{CommandFactory as _, Parser, Subcommand};

use super::{CliError, Outcome, audit, demo};

/// Exchanges signed electronic documents between government agencies.
#[derive(Debug, Parser)]
#[command(name = "lienthong", version, about, max_term_width = 110)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs real nodes on loopback, replays a scenario end to end, and prints the ratios.
    Demo(demo::DemoArgs),
    /// Lists, shows, proves, verifies and checks the log.
    Audit(audit::AuditArgs),
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
        Command::Audit(args) => audit::run(args).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "lienthong", &mut std::io::stdout());
            Ok(Outcome::Done)
        }
    }
}
