//! `lienthong backup` and `lienthong restore`: a copy of a node's data, and the way back.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::check::Progress;
use super::remote::{Person, Remote};
use super::{CliError, Format, Outcome, note, out};
use crate::audit::backup::{self, BackupError, List, Made, Source};
use crate::config::Config;
use crate::exchange::directory::DirectoryHolder;
use crate::ledger::{Clock as _, SystemClock};
use crate::merkle::{NoteVerifier, SignedCheckpoint};
use crate::wire::pb;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lienthong backup /backup/thuan-an --config node/lienthong.toml")]
pub struct BackupArgs {
    /// Where to: an empty folder, or one with an earlier copy of the same node, which gets what is new.
    dir: PathBuf,
    #[command(flatten)]
    remote: Remote,
    /// Copy the private keys as well: whoever has the copy can be this node then.
    #[arg(long)]
    with_keys: bool,
    #[command(flatten)]
    person: Person,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lienthong restore /backup/thuan-an --to node/data")]
pub struct RestoreArgs {
    /// The folder of the copy.
    dir: PathBuf,
    /// The data folder to make: not there, or empty.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Verifier key of the log (C2SP), when no directory in the copy lists it.
    #[arg(long, value_name = "KEY")]
    log_key: Option<NoteVerifier>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// How often a copy is begun again when files were removed under it.
const TRIES: u32 = 5;

/// Makes a copy, of a running node or of a stopped one. A running one records who makes it.
pub async fn backup(args: BackupArgs) -> Result<Outcome, CliError> {
    let file = args.remote.config.clone().ok_or_else(|| {
        CliError::failed("which node? give --config FILE: a backup is made where the node's files are")
    })?;
    let config = Config::read(&file).map_err(CliError::failed)?;
    let key = listed_key(&config, &config.data).ok_or_else(|| {
        CliError::failed("no directory that this node keeps lists its log key: has it ever been started?")
    })?;
    // Before the node records that it was made.
    backup::check_folder(&config.data, &args.dir).map_err(CliError::failed)?;
    let mut tries = 0;
    let mut begun = None;
    let made = loop {
        match once(&args, &file, &config, &key, &mut begun).await {
            Err(Failed::Moved(error)) => {
                tries += 1;
                if tries == TRIES {
                    return Err(CliError::failed(error));
                }
            }
            Err(Failed::Other(error)) => return Err(error),
            Ok(made) => break made,
        }
    };
    if begun.is_none() {
        note("the node does not run: no event says that this copy was made");
    }
    match args.format {
        Format::Json => {
            out(json!({"events": made.size, "files": made.files, "bytes": made.bytes, "copied": made.copied}))
        }
        Format::Table => out(format!(
            "{} events; {} files of {} MB, {} MB of them copied now",
            made.size,
            made.files,
            made.bytes / 1_000_000,
            made.copied / 1_000_000
        )),
    }
    Ok(Outcome::Done)
}

enum Failed {
    /// Content was purged, or a segment written again, under the copy.
    Moved(BackupError),
    Other(CliError),
}

/// Copies once. `begun` is the checkpoint up to which the running node lets it be copied, once it said so.
async fn once(
    args: &BackupArgs,
    file: &Path,
    config: &Config,
    key: &NoteVerifier,
    begun: &mut Option<SignedCheckpoint>,
) -> Result<Made, Failed> {
    let other = Failed::Other;
    // A stopped node must not start meanwhile; a running one says how far its log is.
    let lock_path = config.data.join("LOCK");
    let lock =
        std::fs::File::open(&lock_path).map_err(|e| other(CliError::file("opening", &lock_path, &e)))?;
    let stopped = lock.try_lock_shared().is_ok();
    if !stopped && begun.is_none() {
        let client = args.remote.connect("admin").await.map_err(other)?;
        let request = pb::BeginBackupRequest { user: args.person.user.clone(), keys: args.with_keys };
        let answer = client.audit().begin_backup(request).await;
        let head = answer.map_err(|status| other(status.into()))?.into_inner();
        let checkpoint = SignedCheckpoint::verify(&head.checkpoint, key);
        *begun =
            Some(checkpoint.map_err(|e| other(CliError::failed(format!("the node's checkpoint: {e}"))))?);
    }
    let published = if stopped { None } else { begun.clone() };
    let (beside, keys_left_out) = beside(file, config, args.with_keys);
    let source = Source {
        data: &config.data,
        key,
        published: published.as_ref(),
        beside,
        keys_left_out,
        now: SystemClock.now(),
    };
    let mut progress = Progress::new("MB copied", 0, 1_000);
    let made = backup::make(&source, &args.dir, |bytes| progress.at(bytes / 1_000_000));
    progress.end();
    drop(lock);
    made.map_err(|error| match error {
        BackupError::Moved { .. } => Failed::Moved(error),
        error => other(CliError::failed(error)),
    })
}

/// The configuration and the files that it names, with their names in the copy; and the private keys that stay out.
fn beside(file: &Path, config: &Config, with_keys: bool) -> (Vec<(PathBuf, String)>, Vec<String>) {
    let named = |path: &Path, name: &str| (path.to_owned(), name.to_owned());
    let mut files = vec![
        named(file, "lienthong.toml"),
        named(&config.directory, "directory.note"),
        named(&config.certificate, "tls-certificate.pem"),
        named(&config.network_ca, "tls-network-ca.pem"),
        named(&config.client_ca, "tls-client-ca.pem"),
    ];
    let mut keys = vec![
        ("tls.key", config.key.clone()),
        ("log.key", config.log_key.clone()),
        ("log.cosign_key", config.cosign_key.clone()),
    ];
    if let Some((certificate, key)) = &config.evidence {
        files.push(named(certificate, "evidence-certificate.pem"));
        keys.push(("evidence.key", key.clone()));
    }
    if !with_keys {
        return (files, keys.into_iter().map(|(name, _)| name.to_owned()).collect());
    }
    files.extend(
        keys.into_iter().map(|(name, path)| (path, format!("{}.key", name.replace(['.', '_'], "-")))),
    );
    (files, Vec::new())
}

/// The log key that the newest directory below `data` lists for the node of a configuration.
fn listed_key(config: &Config, data: &Path) -> Option<NoteVerifier> {
    let directory = DirectoryHolder::newest_kept(data, &config.authority)?;
    directory.node(&config.node)?.log_key(&config.node.log_origin(config.generation)).cloned()
}

/// Brings a copy back into an empty folder.
pub fn restore(args: &RestoreArgs) -> Result<Outcome, CliError> {
    let given = args.log_key.clone();
    let key = |from: &Path| {
        given.or_else(|| {
            let config = Config::read(&from.join("config/lienthong.toml")).ok()?;
            listed_key(&config, from)
        })
    };
    let mut progress: Option<(&'static str, Progress)> = None;
    let restored = backup::restore(&args.dir, &args.to, key, |what, n| {
        if progress.as_ref().is_none_or(|(before, _)| *before != what)
            && let Some((_, ended)) = progress.replace((what, Progress::new(what, 0, 1 << 30)))
        {
            ended.end();
        }
        if let Some((_, progress)) = &mut progress {
            progress.at(n);
        }
    });
    if let Some((_, ended)) = progress {
        ended.end();
    }
    let restored = match restored {
        Ok(restored) => restored,
        Err(error @ BackupError::Damaged(_)) => {
            match (&error, args.format) {
                (BackupError::Damaged(problems), Format::Json) => {
                    out(json!({"restored": false, "problems": problems}));
                }
                _ => out(format!("NOT RESTORED: {error}")),
            }
            return Ok(Outcome::No);
        }
        Err(error) => return Err(CliError::failed(error)),
    };
    let List { size, made_at, keys_left_out, log, .. } = &restored.list;
    match args.format {
        Format::Json => out(json!({"restored": true, "log": log, "events": size, "made_at": made_at,
            "root": restored.checked.root.map(|r| r.to_string()), "keys_left_out": keys_left_out})),
        Format::Table => {
            out(format!("`{log}` with {size} events of {made_at} is in {} and verified", args.to.display()));
            if !keys_left_out.is_empty() {
                note(format!("private keys that the backup has not: {}", keys_left_out.join(", ")));
            }
            note("the next start makes sled again; the node asks its peers whether this is its newest copy");
        }
    }
    Ok(Outcome::Done)
}
