//! `lienthong recover`: a log that is lost goes on as a new generation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::check::Progress;
use super::{CliError, Format, Outcome, note, out};
use crate::audit::backup::{self, LIST, List};
use crate::audit::recover::{NewGeneration, open_generation};
use crate::config::Config;
use crate::directory::{Directory, Node};
use crate::domain::generation::GenerationOpened;
use crate::exchange::directory::DirectoryHolder;
use crate::ledger::{Clock as _, Random as _, SystemClock, SystemRandom};
use crate::merkle::{NoteVerifier, SignedCheckpoint};
use crate::node::log_signer;
use crate::rpc::link::connect_tls;
use crate::rpc::tls::NodeTls;
use crate::store::disk::RealDisk;
use crate::store::journal::Journal;
use crate::time::Timestamp;
use crate::wire::pb;
use crate::wire::pb::peer_service_client::PeerServiceClient;

/// Time for one node to say what it holds.
const ASK: Duration = Duration::from_secs(10);

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lienthong recover --config node/lienthong.toml --from /backup/thuan-an\n\n\
    Before: the directory lists the new generation's key, and the configuration names it (log.generation, log.key) and\n\
    a new data folder. After: lienthong serve. docs/OPERATIONS.md, \"A lost log\", has every step."
)]
pub struct RecoverArgs {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// What is left of the lost log: a backup, or its old data folder; it is only read. Without it, the new generation
    /// begins empty.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Runs the command.
pub async fn run(args: &RecoverArgs) -> Result<Outcome, CliError> {
    let config = Config::read(&args.config).map_err(CliError::failed)?;
    let Some(opened) = recover(&config, args.from.as_deref(), SystemClock.now()).await? else {
        let log = config.node.log_origin(config.generation);
        out(format!("log {log} is open already in {}: lienthong serve", config.data.display()));
        return Ok(Outcome::Done);
    };
    let log = config.node.log_origin(config.generation);
    match args.format {
        Format::Json => out(json!({
            "log": log, "lost": opened.lost, "kept": opened.kept, "kept_root": opened.kept_root.to_string(),
            "known": opened.known, "known_root": opened.known_root.to_string(), "told_by": opened.told_by,
        })),
        Format::Table => {
            out(format!("log {log} is open in {}", config.data.display()));
            out(format!("  kept   {} events of {}, root {}", opened.kept, opened.lost, opened.kept_root));
            let told = match opened.told_by.as_str() {
                "" => "no copy was given, and no node that answered holds a checkpoint of it".to_owned(),
                "copy" => "the copy's end; no node that answered holds more".to_owned(),
                peer => format!("node {peer} holds that checkpoint"),
            };
            out(format!("  known  {} events: {told}", opened.known));
            note("next: lienthong serve; the node asks all others for what they have of the lost log");
        }
    }
    Ok(Outcome::Done)
}

/// Opens the new generation of a configuration; `None` where it is open already.
pub async fn recover(
    config: &Config,
    from: Option<&Path>,
    now: Timestamp,
) -> Result<Option<GenerationOpened>, CliError> {
    let signer = log_signer(config).map_err(CliError::failed)?;
    let log = signer.verifier().name().to_owned();
    let Some(before) = config.generation.checked_sub(1).filter(|g| *g > 0) else {
        return Err(CliError::failed(format!(
            "`log.generation` is {}, so there is no log before `{log}`: have the directory's authority list the next \
             generation with a new key, and name both in `log.generation` and `log.key`",
            config.generation
        )));
    };
    if is_open(&config.data, signer.verifier())? {
        return Ok(None);
    }
    let directory = directory(config, from)?;
    let node = listed(config, &directory, signer.verifier())?;
    let lost = config.node.log_origin(before);
    if !node.log_keys.iter().any(|k| k.key.name() == lost) {
        return Err(CliError::failed(format!(
            "directory version {} lists no log `{lost}`, which `{log}` would go on from: it must stay listed, so that \
             old proofs verify",
            directory.version()
        )));
    }
    let held = ask_all(config, &directory, &lost).await?;
    let restored = Restored::of(config, from, &node)?;
    let copy = match (&restored, from) {
        (Some(restored), _) => Some((restored.path.as_path(), restored.key.clone())),
        (None, Some(from)) => Some((from, key_of_copy(from, &node)?)),
        (None, None) => None,
    };
    if let Some((_, key)) = copy.as_ref().filter(|(_, key)| key.name() != lost) {
        return Err(CliError::failed(format!(
            "--from is a copy of log `{}`, and `{log}` goes on from `{lost}`: give a copy of that, or none",
            key.name()
        )));
    }
    let _lock = match from {
        Some(from) => lock(from)?,
        None => None,
    };
    let mut salt = [0; 16];
    SystemRandom::default().fill(&mut salt).map_err(CliError::failed)?;
    let new = NewGeneration {
        data: &config.data,
        signer: &signer,
        lost: &lost,
        copy,
        held,
        directory: (directory.version(), now > directory.valid_until()),
        segment_bytes: config.journal_segment_bytes,
        now,
        salt,
    };
    let mut progress = Progress::new("events", 0, 1_000);
    let opened = open_generation(&new, |n| progress.at(n));
    progress.end();
    opened.map(Some).map_err(CliError::failed)
}

/// Whether the data folder has a log of this key already.
fn is_open(data: &Path, key: &NoteVerifier) -> Result<bool, CliError> {
    let journal = data.join("journal");
    if !journal.is_dir() {
        return Ok(false);
    }
    let end = Journal::end(&RealDisk, &journal).map_err(CliError::failed)?;
    Ok(end.checkpoint.is_some_and(|newest| SignedCheckpoint::verify(&newest, key).is_ok()))
}

/// The newest directory: the configured file, or one that the copy has.
fn directory(config: &Config, from: Option<&Path>) -> Result<Directory, CliError> {
    let path = &config.directory;
    let text = std::fs::read_to_string(path).map_err(|e| CliError::file("reading", path, &e))?;
    let file =
        Directory::verify(&text, &config.authority).map_err(|e| CliError::file("reading", path, &e))?;
    if file.network() != config.network {
        return Err(CliError::failed(format!(
            "{}: it is the directory of network `{}`, this node belongs to `{}`",
            path.display(),
            file.network(),
            config.network
        )));
    }
    let kept = from.and_then(|from| DirectoryHolder::newest_kept(from, &config.authority));
    Ok(kept.filter(|kept| kept.version() > file.version()).unwrap_or(file))
}

/// The node as the directory lists it, with the new generation's key.
fn listed(config: &Config, directory: &Directory, key: &NoteVerifier) -> Result<Node, CliError> {
    let node = directory.node(&config.node).ok_or_else(|| {
        CliError::failed(format!(
            "node `{}` is not in directory version {}: have its authority list it",
            config.node,
            directory.version()
        ))
    })?;
    if node.may_sign(key) {
        return Ok(node.clone());
    }
    let why =
        if node.log_keys.iter().any(|k| k.key.name() == key.name()) { "with another key" } else { "not yet" };
    Err(CliError::failed(format!(
        "directory version {} does not list log `{}` with the key in `log.key` ({why}): have its authority list `{key}` \
         with \"first\": 0, put the new version where `directory.file` points, and try again",
        directory.version(),
        key.name()
    )))
}

/// What other nodes hold of the lost log. One that does not answer is left out, and said.
async fn ask_all(
    config: &Config,
    directory: &Directory,
    lost: &str,
) -> Result<Vec<(String, SignedCheckpoint)>, CliError> {
    let tls = NodeTls::load(config).map_err(CliError::failed)?;
    let own = directory.node(&config.node);
    let mut held = Vec::new();
    for node in directory.nodes() {
        if node.name == config.node || node.entry.endpoints.is_empty() {
            continue;
        }
        let asked = tokio::time::timeout(ASK, ask(config, &tls, node, lost)).await;
        let answer = asked.unwrap_or_else(|_| Err(format!("no answer within {} s", ASK.as_secs())));
        if let Ok(answer) = &answer {
            not_begun(config, own, node, answer)?;
        }
        match answer.map(|answer| answer.held_lost) {
            Ok(text) if text.is_empty() => {}
            Ok(text) => match signed_by(own, &text).filter(|signed| signed.checkpoint().origin == lost) {
                Some(verified) => held.push((node.name.to_string(), verified)),
                None => note(format!("node {}: what it holds of {lost} does not verify", node.name)),
            },
            Err(why) => note(format!("node {} could not be asked: {why}", node.name)),
        }
    }
    Ok(held)
}

/// A checkpoint that a listed key of the node signed.
fn signed_by(own: Option<&Node>, text: &str) -> Option<SignedCheckpoint> {
    let unverified = SignedCheckpoint::parse_unverified(text).ok()?;
    let key = own?.key_of(&unverified)?.clone();
    unverified.verify(&key).ok()
}

/// What a node says to hold of the log that is to be opened: then it was open before, and must not begin again.
fn not_begun(
    config: &Config,
    own: Option<&Node>,
    node: &Node,
    answer: &pb::HelloResponse,
) -> Result<(), CliError> {
    let log = config.node.log_origin(config.generation);
    for text in [&answer.held_checkpoint, &answer.newest_checkpoint] {
        let Some(signed) = signed_by(own, text) else { continue };
        let checkpoint = signed.checkpoint();
        if checkpoint.origin == log {
            return Err(CliError::failed(format!(
                "`{log}` was open before: node {} has a checkpoint of {} events of it that this key signed, and a log that \
                 begins again would be a second history. Put the newest copy of its data in place; if it is lost as well, \
                 have the directory's authority list the generation after it, with another key",
                node.name, checkpoint.size
            )));
        }
    }
    Ok(())
}

async fn ask(config: &Config, tls: &NodeTls, node: &Node, lost: &str) -> Result<pb::HelloResponse, String> {
    let mut last = String::new();
    for endpoint in &node.entry.endpoints {
        let channel = match connect_tls(tls.dial.clone(), endpoint, node.name.as_str()).await {
            Ok((channel, _)) => channel,
            Err(error) => {
                last = format!("{endpoint}: {error}");
                continue;
            }
        };
        let request = pb::HelloRequest {
            node: config.node.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            lost_log: lost.to_owned(),
            ..pb::HelloRequest::default()
        };
        return match PeerServiceClient::new(channel).hello(request).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(format!("{endpoint}: {}", crate::wire::failure::explain(&status))),
        };
    }
    Err(last)
}

/// A backup, brought back beside the new data folder for as long as it is read.
struct Restored {
    path: PathBuf,
    key: NoteVerifier,
}

impl Restored {
    /// `None` where what is left is no backup.
    fn of(config: &Config, from: Option<&Path>, node: &Node) -> Result<Option<Restored>, CliError> {
        let Some(from) = from.filter(|from| from.join(LIST).exists()) else { return Ok(None) };
        let list = List::read(from).map_err(CliError::failed)?;
        let newest = list.map_or_else(String::new, |list| list.checkpoint);
        let key = listed_key(node, &newest, from)?;
        let path = config.data.with_added_extension("copy");
        if path.exists() {
            // Of a recovery that was cut off.
            std::fs::remove_dir_all(&path).map_err(|e| CliError::file("removing", &path, &e))?;
        }
        let restored = Restored { path, key: key.clone() };
        backup::restore(from, &restored.path, |_| Some(key), |_, _| {}).map_err(CliError::failed)?;
        Ok(Some(restored))
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The key that signed the newest checkpoint of an old data folder.
fn key_of_copy(from: &Path, node: &Node) -> Result<NoteVerifier, CliError> {
    let journal = from.join("journal");
    if !journal.is_dir() {
        return Err(CliError::failed(format!(
            "{}: it is neither a backup (it has no {LIST}) nor a data folder (it has no journal)",
            from.display()
        )));
    }
    let end = Journal::end(&RealDisk, &journal).map_err(|error| {
        let what = "take another copy, or leave --from out to begin without one";
        CliError::failed(format!("the copy of the lost log cannot be read: {error}; {what}"))
    })?;
    listed_key(node, &end.checkpoint.unwrap_or_default(), from)
}

fn listed_key(node: &Node, checkpoint: &str, from: &Path) -> Result<NoteVerifier, CliError> {
    let unverified = SignedCheckpoint::parse_unverified(checkpoint)
        .map_err(|e| CliError::failed(format!("{}: its newest checkpoint: {e}", from.display())))?;
    node.key_of(&unverified).cloned().ok_or_else(|| {
        CliError::failed(format!(
            "{}: it is a copy of log `{}` with {} events, and the directory lists no key of node `{}` for that",
            from.display(),
            unverified.claimed().origin,
            unverified.claimed().size,
            node.name
        ))
    })
}

/// The old data folder must be nobody's while it is read; a backup has no such file.
fn lock(from: &Path) -> Result<Option<std::fs::File>, CliError> {
    let path = from.join("LOCK");
    let Ok(file) = std::fs::File::open(&path) else { return Ok(None) };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(_) => {
            Err(CliError::failed(format!("{}: a node runs on this folder: stop it first", from.display())))
        }
    }
}
