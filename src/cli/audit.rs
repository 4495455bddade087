//! `lienthong audit …`: the log of a running node, or of a stopped node's files (read-only, sled on a copy).

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::remote::Remote;
use super::show::{EVENT_HEADER, columns, event_json, event_line};
use super::{CliError, Format, Outcome, check, events, evidence, forks, out, tiles};
use crate::audit::{Beside, Offline};
use crate::config::Config;
use crate::directory::Directory;
use crate::domain::Rejection;
use crate::exchange::directory::DirectoryHolder;
use crate::exchange::witness::ever::Ever;
use crate::ledger::storage;
use crate::merkle::{NoteVerifier, SignedCheckpoint, Tree, leaf_hash};
use crate::signature::Trust;
use crate::store::index::{Head, Index};
use crate::wire::proof::{Proof, ProofVerifier};
use crate::wire::{leaf, pb};

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lienthong audit list --config node/lienthong.toml --backwards --limit 20\n  \
    lienthong audit check --data ./demo/binh-duong\n  lienthong audit prove 17 --config node/lienthong.toml > proof.json\n  \
    lienthong audit verify proof.json --log-key KEY\n  \
    lienthong audit export --agency H09.1 --number 12 --notation UBND-VX --year 2016 --config node/lienthong.toml\n  \
    lienthong audit verify 0f3a5c.asice --authority KEY --roots ./roots\n  lienthong audit tiles ./log --config node/lienthong.toml"
)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
    #[command(flatten)]
    pub(super) remote: Remote,
    /// A stopped node's folder (the one of its lienthong.toml, or its data), read without changing it.
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) data: Option<PathBuf>,
    /// Verifier key of the log (C2SP), when it cannot be read beside the data.
    #[arg(long, value_name = "KEY", global = true)]
    pub(super) log_key: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table", global = true)]
    pub(super) format: Format,
}

impl AuditArgs {
    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(super) fn data(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    pub(super) fn log_key(&self) -> Option<&str> {
        self.log_key.as_deref()
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Lists events.
    List(Box<events::ListArgs>),
    /// Shows one event with every field.
    Show {
        /// Its index.
        index: u64,
    },
    /// Proves that an event stands in the log: prints leaf, path and checkpoint as JSON.
    Prove {
        /// Its index.
        index: u64,
    },
    /// Writes everything that proves a delivery into one ASiC-E container.
    Export(evidence::ExportArgs),
    /// Verifies a log: hashes, signatures, order, journal against sled; or a proof that `prove` printed, or a container
    /// that `export` wrote, or the proof of a fork, all offline.
    Verify {
        /// A proof, a container or the proof of a fork; none: the log.
        file: Option<PathBuf>,
        #[command(flatten)]
        given: evidence::GivenArgs,
    },
    /// Lists the logs of other nodes as this one holds them, and whether exchange with one is stopped (exit status 1).
    Forks,
    /// Verifies, rebuilds every fold and compares, and judges the files beside the log: what others cosigned and
    /// timestamped of it, what is held of their logs, directory versions; names the first event that is wrong.
    Check {
        /// Reads all content that deliveries name as well, and says how fast.
        #[arg(long)]
        content: bool,
    },
    /// Exports the log as a static directory that other tools read (C2SP tlog-tiles), or brings one up to date.
    Tiles {
        /// Where to.
        dir: PathBuf,
        /// Who takes it, for the log of a running node.
        #[arg(long, value_name = "USER", default_value = "")]
        user: String,
        /// Under the newest checkpoint that another node cosigned, with its cosignatures: up to there, the log's own node
        /// can rewrite nothing without being found out.
        #[arg(long)]
        cosigned: bool,
    },
}

/// Runs the command.
pub async fn run(args: AuditArgs) -> Result<Outcome, CliError> {
    match &args.command {
        AuditCommand::List(list) => events::run(&args, list).await,
        AuditCommand::Show { index } => show(&args, *index).await,
        AuditCommand::Prove { index } => prove(&args, *index).await,
        AuditCommand::Export(export) => {
            let (data, key) = (args.data.as_deref(), args.log_key.as_deref());
            evidence::run(export, data, key, &args.remote, args.format).await
        }
        AuditCommand::Verify { file: Some(file), given } if evidence::is_container(file)? => {
            evidence::check(given, file, args.format)
        }
        AuditCommand::Verify { file: Some(file), given } if forks::is_fork(file)? => {
            forks::check(given.authority.as_deref(), file, args.format)
        }
        AuditCommand::Forks => {
            let data = args.data.as_deref().map(data_of).transpose()?;
            forks::list(data.as_deref(), &args.remote, args.format).await
        }
        AuditCommand::Verify { file: Some(file), .. } => verify_proof(&args, file),
        AuditCommand::Verify { file: None, .. } => check::run(&args, check::What::Log).await,
        AuditCommand::Check { content: false } => check::run(&args, check::What::Folds).await,
        AuditCommand::Check { content: true } => check::run(&args, check::What::Content).await,
        AuditCommand::Tiles { dir, user, cosigned } => {
            let stopped = args.data.as_ref().map(|data| Stopped::open(data, args.log_key.as_deref()));
            let what = tiles::What { dir, user, cosigned: *cosigned };
            tiles::run(what, stopped.transpose()?, &args.remote, args.format).await
        }
    }
}

/// A stopped node's files and, when they are beside it, its configuration.
pub(super) struct Stopped {
    pub(super) offline: Offline,
    /// What was named: the folder of a node, or its data.
    dir: PathBuf,
    /// The folder `data`.
    pub(super) data: PathBuf,
    pub(super) key: Option<NoteVerifier>,
}

/// What a stopped node's files say of its log.
pub(super) struct Listed {
    pub(super) config: Config,
    pub(super) directory: Directory,
    /// Origin line.
    pub(super) log: String,
}

impl Stopped {
    /// `dir` is the folder of a node or its data.
    pub(super) fn open(dir: &Path, key: Option<&str>) -> Result<Stopped, CliError> {
        let config = Stopped::config(dir);
        let data = data_of(dir)?;
        let offline = Offline::open(&data).map_err(CliError::failed)?;
        let key = match key {
            Some(text) => Some(text.parse().map_err(|e| CliError::failed(format!("--log-key: {e}")))?),
            None => config.as_ref().and_then(|c| listed_key(c, &data, &offline)),
        };
        Ok(Stopped { offline, dir: dir.to_owned(), data, key })
    }

    /// The configuration beside a node's folder or its data.
    pub(super) fn config(dir: &Path) -> Option<Config> {
        let beside = [dir.join("lienthong.toml"), dir.join("../lienthong.toml")];
        beside.iter().find(|f| f.exists()).and_then(|f| Config::read(f).ok())
    }

    /// The configuration, the newest directory that is kept, and the log's origin.
    pub(super) fn listed(&self) -> Result<Listed, CliError> {
        let config = Stopped::config(&self.dir).ok_or_else(|| {
            CliError::failed(
                "lienthong.toml is not beside the data: it names the directory's authority and the log",
            )
        })?;
        let directory = DirectoryHolder::newest_kept(&self.data, &config.authority)
            .ok_or_else(|| CliError::failed("no directory version is kept in the data"))?;
        let log = config.node.log_origin(config.generation);
        Ok(Listed { config, directory, log })
    }

    /// The log's checkpoints that other nodes cosigned, as far as they were kept.
    pub(super) fn cosigned(&self, listed: &Listed) -> Ever {
        let Listed { config, directory, log } = listed;
        Ever::new(&self.data, directory.clone(), config.node.clone(), log, Vec::new())
    }

    /// The files beside the log, where the configuration says what they are judged by. Without a directory version that can
    /// be used no authority of timestamps is known; that there is none is found by the check.
    pub(super) fn beside(&self) -> Result<Option<Beside>, CliError> {
        let Some(config) = Stopped::config(&self.dir) else { return Ok(None) };
        let trust = match DirectoryHolder::newest_kept(&self.data, &config.authority) {
            Some(directory) => evidence::trust(&config, &directory)?,
            None => Trust::new(std::iter::empty::<Vec<u8>>()).map_err(CliError::failed)?,
        };
        Ok(Some(Beside::new(&self.data, &config, trust)))
    }

    pub(super) fn key(&self) -> Result<&NoteVerifier, CliError> {
        self.key.as_ref().ok_or_else(|| {
            CliError::failed(
                "the log's key is not known here: give --log-key (`lienthong directory show` prints it)",
            )
        })
    }
}

/// The data of a node, given its folder or the data itself.
fn data_of(dir: &Path) -> Result<PathBuf, CliError> {
    let data = if dir.join("journal").exists() {
        dir.to_owned()
    } else {
        Stopped::config(dir).map_or_else(|| dir.join("data"), |c| c.data)
    };
    if data.join("journal").exists() {
        return Ok(data);
    }
    Err(CliError::failed(format!("{}: no node's data is here (no folder `journal`)", dir.display())))
}

/// The log key that the newest kept directory lists for the node: the one of its newest checkpoint, where several are.
fn listed_key(config: &Config, data: &Path, offline: &Offline) -> Option<NoteVerifier> {
    let directory = crate::exchange::directory::DirectoryHolder::newest_kept(data, &config.authority)?;
    let node = directory.node(&config.node)?;
    let head = offline.index().ok().and_then(|index| index.head().ok().flatten());
    let newest = head.and_then(|head| SignedCheckpoint::parse_unverified(&head.checkpoint).ok());
    let of_newest = newest.as_ref().and_then(|newest| node.key_of(newest));
    of_newest.or_else(|| node.log_key(&config.node.log_origin(config.generation))).cloned()
}

async fn show(args: &AuditArgs, index: u64) -> Result<Outcome, CliError> {
    let bytes = if let Some(dir) = &args.data {
        let stopped = Stopped::open(dir, args.log_key.as_deref())?;
        let store = stopped.offline.index().map_err(CliError::failed)?;
        let size = stopped.offline.size().map_err(CliError::failed)?;
        store
            .leaf(index)
            .map_err(CliError::failed)?
            .filter(|_| index < size)
            .ok_or_else(|| CliError::from(crate::ledger::unknown_event(index, size)))?
    } else {
        let client = args.remote.connect("admin").await?;
        client.audit().get_event(pb::GetEventRequest { index }).await?.into_inner().leaf
    };
    let event = leaf::decode(&bytes).map_err(CliError::failed)?;
    out(serde_json::to_string_pretty(&event_json(index, &bytes, &event)).unwrap_or_default());
    Ok(Outcome::Done)
}

async fn prove(args: &AuditArgs, index: u64) -> Result<Outcome, CliError> {
    let (proof, key) = if let Some(dir) = &args.data {
        let stopped = Stopped::open(dir, args.log_key.as_deref())?;
        let proof = prove_offline(&stopped, index)?;
        (proof, stopped.key.map_or_else(String::new, |k| k.to_string()))
    } else {
        let client = args.remote.connect("admin").await?;
        let proof = client.audit().prove_event(pb::ProveEventRequest { index }).await?.into_inner();
        let head = client.audit().get_checkpoint(pb::GetCheckpointRequest {}).await?.into_inner();
        (Proof::from_wire(proof)?, head.verifier_key)
    };
    let path: Vec<String> = proof.path.iter().map(ToString::to_string).collect();
    let json = json!({
        "index": proof.index, "leaf": hex::encode(&proof.leaf), "leaf_hash": leaf_hash(&proof.leaf).to_string(),
        "path": path, "checkpoint": proof.checkpoint, "log_key": key,
    });
    out(serde_json::to_string_pretty(&json).unwrap_or_default());
    Ok(Outcome::Done)
}

fn prove_offline(stopped: &Stopped, index: u64) -> Result<Proof, CliError> {
    let store = stopped.offline.index().map_err(CliError::failed)?;
    let head = store.head().map_err(CliError::failed)?.ok_or_else(|| CliError::failed("the log is empty"))?;
    Ok(prove_leaf(store, &head, index)?)
}

/// Proof of an event of a stopped node under its newest checkpoint.
pub(super) fn prove_leaf(store: &Index, head: &Head, index: u64) -> Result<Proof, Rejection> {
    prove_leaf_under(store, head, index, (head.size, &head.checkpoint))
}

/// The same under an earlier one: its size and signed note.
pub(super) fn prove_leaf_under(
    store: &Index,
    head: &Head,
    index: u64,
    (size, note): (u64, &str),
) -> Result<Proof, Rejection> {
    let from = head.size - head.size % 256;
    let tail = store.leaves(from, (head.size - from) as usize).map_err(|e| storage(&e))?;
    let damaged = |e: &dyn std::fmt::Display| crate::ledger::missing_leaf(index, e);
    let tree =
        Tree::rebuild(head.size, store, tail.iter().map(|(_, l)| leaf_hash(l))).map_err(|e| damaged(&e))?;
    let leaf = store
        .leaf(index)
        .map_err(|e| storage(&e))?
        .filter(|_| index < size)
        .ok_or_else(|| crate::ledger::unknown_event(index, size))?;
    let path = tree.inclusion_proof(index, size, store).map_err(|e| damaged(&e))?;
    Ok(Proof { leaf, index, path, checkpoint: note.to_owned() })
}

/// A proof as `prove` prints it, checked against a key that the caller trusts.
fn verify_proof(args: &AuditArgs, file: &Path) -> Result<Outcome, CliError> {
    #[derive(serde::Deserialize)]
    struct File {
        index: u64,
        leaf: String,
        path: Vec<String>,
        checkpoint: String,
    }
    let text = std::fs::read_to_string(file).map_err(|e| CliError::file("reading", file, &e))?;
    let parsed: File = serde_json::from_str(&text).map_err(|e| {
        CliError::failed(format!(
            "{}: this is no proof of an event (`audit prove`), no evidence (`audit export`) and no proof of a fork: {e}",
            file.display()
        ))
    })?;
    let key: NoteVerifier = args
        .log_key
        .as_deref()
        .ok_or_else(|| {
            CliError::failed("--log-key KEY is needed: the key in the file proves nothing by itself; take it from the directory")
        })?
        .parse()
        .map_err(|e| CliError::failed(format!("--log-key: {e}")))?;
    let proof = Proof {
        leaf: hex::decode(&parsed.leaf).map_err(|e| CliError::file("leaf of", file, &e))?.into(),
        index: parsed.index,
        path: parsed
            .path
            .iter()
            .map(|h| h.parse())
            .collect::<Result<_, _>>()
            .map_err(|e| CliError::file("path of", file, &e))?,
        checkpoint: parsed.checkpoint,
    };
    match ProofVerifier::default()
        .verify(&proof, |checkpoint| (checkpoint.claimed().origin == key.name()).then(|| key.clone()))
    {
        Ok(verified) => {
            let head = verified.checkpoint().checkpoint();
            match args.format {
                Format::Json => out(json!({"verified": true, "log": head.origin, "size": head.size,
                    "event": event_json(proof.index, &proof.leaf, verified.event())})),
                Format::Table => {
                    out(format!(
                        "verified: event {} stands in `{}` of {} events",
                        proof.index, head.origin, head.size
                    ));
                    out(columns(&EVENT_HEADER, &[event_line(proof.index, verified.event())]));
                }
            }
            Ok(Outcome::Done)
        }
        Err(rejection) => {
            match args.format {
                Format::Json => out(json!({"verified": false, "reason": rejection.to_string()})),
                Format::Table => out(format!("NOT VERIFIED: {rejection}")),
            }
            Ok(Outcome::No)
        }
    }
}
