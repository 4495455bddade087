//! `lienthong directory`: what administrators do; and the ways to print.

use std::path::PathBuf;

use clap::Subcommand;

use super::show::columns;
use super::{CliError, Outcome, out};
use crate::directory::Directory;
use crate::merkle::{NoteSigner, NoteVerifier};

/// Table or JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person.
    Table,
    /// For a program.
    Json,
    /// For a spreadsheet.
    Csv,
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lienthong directory show directory.note --authority KEY\n  \
    lienthong directory sign content.json --key authority.key --name demo/directory > directory.note")]
pub struct DirectoryArgs {
    #[command(subcommand)]
    command: DirectoryCommand,
}

#[derive(Debug, Subcommand)]
enum DirectoryCommand {
    /// Verifies a signed directory and shows its nodes and agencies.
    Show {
        /// The signed directory.
        file: PathBuf,
        /// Verifier key of its authority.
        #[arg(long, value_name = "KEY")]
        authority: String,
        /// Show the agencies whose name or code holds this text.
        #[arg(long, value_name = "TEXT")]
        agency: Option<String>,
    },
    /// Signs a directory's content (JSON) as the next version; prints the signed note.
    Sign {
        /// The content: the text of a signed version, edited, with a higher `version`.
        file: PathBuf,
        /// The authority's key (PEM, PKCS#8, Ed25519).
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Name of the authority's key.
        #[arg(long, value_name = "NAME")]
        name: String,
    },
}

/// Reads or signs a directory.
pub fn directory(args: &DirectoryArgs) -> Result<Outcome, CliError> {
    match &args.command {
        DirectoryCommand::Show { file, authority, agency } => show(file, authority, agency.as_deref()),
        DirectoryCommand::Sign { file, key, name } => {
            let text = std::fs::read_to_string(file).map_err(|e| CliError::file("reading", file, &e))?;
            // A signed version may be given as it is: its text ends before the signatures.
            let json = text.split("\n\n\u{2014} ").next().unwrap_or(&text);
            let content = serde_json::from_str(json).map_err(|e| CliError::file("reading", file, &e))?;
            let der = crate::rpc::tls::read_pkcs8(key).map_err(CliError::failed)?;
            let signer = NoteSigner::from_pkcs8(name, &der).map_err(CliError::failed)?;
            let note = crate::directory::build::sign(&content, &signer).map_err(CliError::failed)?;
            Directory::verify(&note, signer.verifier()).map_err(CliError::failed)?;
            out(note.trim_end());
            Ok(Outcome::Done)
        }
    }
}

fn show(file: &PathBuf, authority: &str, agency: Option<&str>) -> Result<Outcome, CliError> {
    let text = std::fs::read_to_string(file).map_err(|e| CliError::file("reading", file, &e))?;
    let key: NoteVerifier = authority.parse().map_err(|e| CliError::failed(format!("--authority: {e}")))?;
    let directory = match Directory::verify(&text, &key) {
        Ok(directory) => directory,
        Err(error) => {
            out(format!("NOT VERIFIED: {error}"));
            return Ok(Outcome::No);
        }
    };
    out(format!(
        "network {}, version {}, {} agencies, valid until {}, digest {}",
        directory.network(),
        directory.version(),
        directory.agencies().len(),
        directory.valid_until(),
        directory.digest()
    ));
    for node in directory.nodes() {
        let endpoints = match &node.entry.endpoints[..] {
            [] => "no endpoint: it calls the others".to_owned(),
            listed => listed.join(", "),
        };
        out(format!("node {}  {endpoints}", node.name));
        for key in node.log_keys.iter() {
            let last = key.last.map_or_else(String::new, |last| format!(" to {last}"));
            let withdrawn = key.withdrawn.map_or_else(String::new, |at| format!(", withdrawn at {at}"));
            out(format!("  log key  {}  trees from {}{last}{withdrawn}", key.key, key.first));
        }
    }
    if let Some(wanted) = agency {
        let wanted = wanted.to_lowercase();
        let rows: Vec<Vec<String>> = directory
            .agencies()
            .iter()
            .filter(|a| {
                a.entry.name.to_lowercase().contains(&wanted)
                    || a.entry.codes.iter().any(|c| c.code.to_lowercase().contains(&wanted))
            })
            .map(|a| {
                let codes: Vec<&str> = a.entry.codes.iter().map(|c| c.code.as_str()).collect();
                let node = a.entry.hosting.last().map_or("-", |h| h.node.as_str());
                vec![
                    a.id.to_string(),
                    codes.join(", "),
                    a.level().as_str().to_owned(),
                    directory.registered(a).id.to_string(),
                    node.to_owned(),
                    a.entry.name.clone(),
                ]
            })
            .collect();
        out(columns(&["id", "codes", "level", "registered", "node", "name"], &rows));
    }
    Ok(Outcome::Done)
}
