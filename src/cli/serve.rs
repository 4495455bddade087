//! `lienthong serve` and `lienthong check-config`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{CliError, Outcome, note, out};
use crate::config::{Collectors, Config, Targets};
use crate::domain::NodeName;
use crate::exchange::directory::DirectoryHolder;
use crate::ledger::SystemClock;
use crate::node::{Listeners, Node, log_signer};
use crate::rpc::evidence::signer;
use crate::rpc::tls::{Credentials, NodeTls};

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lienthong serve --config node/lienthong.toml")]
pub struct ServeArgs {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lienthong check-config node/lienthong.toml")]
pub struct CheckArgs {
    /// The configuration.
    file: PathBuf,
}

/// Runs a node until SIGTERM or Ctrl-C, then drains.
pub async fn run(args: &ServeArgs) -> Result<Outcome, CliError> {
    let config = Config::read(&args.config).map_err(CliError::failed)?;
    let listeners =
        Listeners::bind(config.listen_clients, config.listen_peers).await.map_err(CliError::failed)?;
    let (clients, peers) = listeners.addresses().map_err(CliError::failed)?;
    let name = config.node.clone();
    let data = config.data.display().to_string();
    let mut node = Node::start(config, Arc::new(SystemClock), listeners).await.map_err(CliError::failed)?;
    let opened = node.opened().clone();
    let directory = node.exchange().directory();
    let snapshot = node.exchange().ledger().snapshot();
    note(format!(
        "node {name} of network {} runs, version {}",
        directory.network(),
        env!("CARGO_PKG_VERSION")
    ));
    note(format!("  data       {data}"));
    note(format!("  log        {} events, root {}", snapshot.size(), snapshot.root()));
    if opened.caught_up > 0 {
        note(format!("             {} of them were in the journal only, and were applied", opened.caught_up));
    }
    if let Some(why) = &opened.rebuilt {
        note(format!("             sled was made again from the journal: {why}"));
    }
    if opened.torn > 0 {
        note(format!(
            "             {} bytes of a write that was never acknowledged were left out",
            opened.torn
        ));
    }
    note(format!("  directory  version {}, valid until {}", directory.version(), directory.valid_until()));
    note(format!("  clients    {clients}"));
    note(format!("  peers      {peers}"));
    if let Some(metrics) = node.metrics_address() {
        note(format!("  metrics    http://{metrics}/metrics"));
    }
    if let Some(url) = node.web_url() {
        note(format!("  pages      {url} (sign in: lienthong web-login)"));
    }
    let mut signals = Signals::new()?;
    note("ready");
    let reason = tokio::select! {
        reason = signals.next() => reason,
        error = node.failed() => return Err(CliError::failed(format!("the node cannot go on: {error}"))),
    };
    note(format!("{reason}: no new calls, what is under way ends; a second signal ends at once"));
    tokio::select! {
        stopped = node.stop(reason) => stopped.map_err(CliError::failed)?,
        again = signals.next() => {
            // What was committed is safe in any case; opening finds out the rest, as after a crash.
            note(format!("{again}: ended at once; the next start looks after the rest"));
            std::process::exit(2);
        }
    }
    note("stopped");
    Ok(Outcome::Done)
}

/// What asks the program to end. The handlers stay, so that no signal is missed.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Signals, CliError> {
        let of = |kind| signal(kind).map_err(CliError::failed);
        Ok(Signals { terminate: of(SignalKind::terminate())?, interrupt: of(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Where revocation data comes from, in words.
fn revocation(config: &Config) -> String {
    let folder = config.crl_dir.as_ref().map_or_else(
        || "no folder of lists (`signatures.crl_dir`)".to_owned(),
        |dir| format!("lists in {}, looked at every {} s", dir.display(), config.crl_reload.as_secs()),
    );
    let fetched = match (config.fetch_revocation, config.allow_private_responders) {
        (false, _) => "nobody is asked (`signatures.fetch`)",
        (true, false) => "distribution points and responders at public addresses are asked",
        (true, true) => "distribution points and responders at any address are asked",
    };
    format!("{folder}; {fetched}")
}

/// How long content is kept, in words.
fn keeping(config: &Config) -> String {
    let retention = &config.retention;
    let types: String = retention.types.iter().map(|(name, keep)| format!("; {name}: {keep}")).collect();
    format!("kept {}{types}; what is over goes at {} o'clock (UTC+7)", retention.default, retention.hour)
}

/// How the node checks itself, in words.
fn self_check(config: &Config) -> String {
    let check = &config.check;
    if check.every_hours == 0 {
        return "never (`check.every_hours`)".to_owned();
    }
    let content = if check.content {
        format!(", and all content at {} MB/s at most", check.megabytes_per_second)
    } else {
        String::new()
    };
    format!(
        "every {} hours from {} o'clock (UTC+7) on, {} events/s at most{content}",
        check.every_hours, check.hour, check.events_per_second
    )
}

/// Who timestamps the log's checkpoints, in words.
fn timestamps(config: &Config) -> String {
    config.timestamps.as_ref().map_or_else(
        || "of nobody (`timestamps.url`): times are by this node's clock".to_owned(),
        |t| format!("of {}, every {} min when the log has grown", t.url, t.interval.as_secs() / 60),
    )
}

/// With what exported evidence is signed, in words; fails where it cannot be.
fn evidence(config: &Config) -> Result<String, CliError> {
    let Some((certificate, key)) = &config.evidence else {
        return Ok("not signed (`evidence.certificate`): it does not say who exported it".to_owned());
    };
    signer(config).map_err(|e| CliError::failed(format!("evidence: {e}")))?;
    let credentials = Credentials::read(certificate, key).map_err(CliError::failed)?;
    let until = credentials.not_after().map_or_else(|| "?".into(), super::show::time);
    Ok(format!("signed with {}, valid until {until}", certificate.display()))
}

/// What the three measures are to reach, in words.
fn targets(config: &Config) -> String {
    let Targets { fully_electronic, dual, any_electronic } = config.targets;
    let target =
        |name: &str, bound: &str, percent: Option<u8>| Some(format!("{name} {bound} {} %", percent?));
    let all = [
        target("fully electronic", "at least", fully_electronic),
        target("dual", "at most", dual),
        target("any electronic", "at least", any_electronic),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() { "none (`figures.targets`)".to_owned() } else { all.join(", ") }
}

/// Explains a configuration, or what is wrong with it.
pub fn check(args: &CheckArgs) -> Result<Outcome, CliError> {
    let config = Config::read(&args.file).map_err(CliError::failed)?;
    out(format!("node        {} of network {}", config.node, config.network));
    out(format!("data        {}", config.data.display()));
    out(format!("clients     {} ({} configured)", config.listen_clients, config.clients.len()));
    out(format!("peers       {}", config.listen_peers));
    out(format!("content     at most {} bytes a document", config.max_content_bytes));
    out(format!("delivery    tried for {} hours", config.delivery_ms / 3_600_000));
    out(format!(
        "disk        no new documents under {} MiB free, nothing new under {} MiB",
        config.reserve_bytes >> 20,
        config.critical_bytes >> 20
    ));
    let share = config.client_share;
    out(format!(
        "a client    at most {} connections, {} calls, {} documents and {} MiB of messages at once",
        share.connections,
        share.streams,
        share.documents,
        share.bytes >> 20
    ));
    out(format!("stopping    calls under way have {} s to end", config.drain.as_secs()));
    out(format!("silence     a call that has begun may bring nothing for {} s", config.idle.as_secs()));
    out(format!(
        "clocks      told when more than {} ms off; compared every {} s",
        config.clock_tolerance_ms,
        config.peer_compare.as_secs()
    ));
    let calendar = &config.calendar;
    out(format!(
        "calendar    {} holidays, {} workdays at weekends",
        calendar.holidays.len(),
        calendar.workdays.len()
    ));
    out(format!("targets     {}", targets(&config)));
    let names = |nodes: &BTreeSet<NodeName>| match nodes.is_empty() {
        true => "nobody".to_owned(),
        false => nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", "),
    };
    let Collectors { collectors, auditors } = &config.collectors;
    out(format!("figures     stated to {}; the whole log read by {}", names(collectors), names(auditors)));
    let metrics = config.metrics.map_or("not served".to_owned(), |a| format!("http://{a}/metrics"));
    out(format!("metrics     {metrics}"));
    let traces = config.traces.as_ref();
    let traces =
        traces.map_or("sent nowhere".to_owned(), |t| format!("{} % of deliveries to {}", t.percent, t.otlp));
    out(format!("traces      {traces}"));
    let pages = config.web.as_ref().map_or("none".to_owned(), |web| {
        format!(
            "https on {}{}",
            web.listen,
            web.url.as_ref().map_or_else(String::new, |url| format!(", as {url}"))
        )
    });
    out(format!("pages       {pages}"));
    out(format!("revocation  {}", revocation(&config)));
    out(format!("content is  {}", keeping(&config)));
    out(format!("self-check  {}", self_check(&config)));
    out(format!("timestamps  {}", timestamps(&config)));
    out(format!("evidence    {}", evidence(&config)?));
    let tls = NodeTls::load(&config).map_err(CliError::failed)?;
    let until = tls.not_after.map_or_else(|| "?".into(), super::show::time);
    out(format!("certificate valid until {until}"));
    let signer = log_signer(&config).map_err(CliError::failed)?;
    out(format!("log key     {}", signer.verifier()));
    let text = std::fs::read_to_string(&config.directory)
        .map_err(|e| CliError::file("directory.file:", &config.directory, &e))?;
    let directory = match DirectoryHolder::newest_kept(&config.data, &config.authority) {
        Some(kept) => kept,
        None => crate::directory::Directory::verify(&text, &config.authority).map_err(CliError::failed)?,
    };
    out(format!("directory   version {}, {} agencies", directory.version(), directory.agencies().len()));
    for node in config.collectors.collectors.iter().chain(&config.collectors.auditors) {
        if directory.node(node).is_none() {
            out(format!("! the directory lists no node `{node}`, to which figures are to be stated"));
        }
    }
    match directory.node(&config.node) {
        None => {
            out(format!("! the directory does not list node `{}`: ask its authority", config.node));
            return Ok(Outcome::No);
        }
        Some(node) if !node.may_sign(signer.verifier()) => {
            out("! the directory lists another log key for this node: ask its authority, or correct log.key");
            return Ok(Outcome::No);
        }
        Some(_) => out("ready to serve"),
    }
    Ok(Outcome::Done)
}
