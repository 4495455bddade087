//! `lienthong demo`: real nodes on loopback replay a scenario end to end.
//!
//! One node per distinct `node` of the agency list, each with a folder and keys of its own. The agencies' systems are
//! played by `systems`: they send, fetch, acknowledge and answer over gRPC and mutual TLS, like any client. The
//! nodes run on a clock that stands at 09:00 of each row's day, through the same port that tests use. All rows of a
//! day are finished, statuses included, before the next day begins.

mod documents;
mod outcome;
mod pages;
mod systems;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::network::{self, ExtraTrust, Network, Plan};
use super::scenario::{self, Row};
use super::{CliError, Format, Outcome, note};
use crate::directory::build::{AgencyLine, read_agencies};
use crate::domain::NodeName;
use crate::ledger::{Clock, ManualClock};
use crate::node::{Listeners, Node};
use crate::time::{Date, Timestamp};
use systems::Systems;

/// The scenario and the agencies that ship with the program.
const AGENCIES: &str = include_str!("../../../data/agencies.csv");
const SCENARIO: &str = include_str!("../../../data/scenario-2016.csv");
/// Name of the demo's network.
const NETWORK: &str = "demo";
/// Hour of the day, Vietnam time, at which each day's rows begin.
const MORNING_MS: i64 = 9 * 3_600_000;
/// Days after the scenario's last on which files are sent.
const DAYS_AFTER: i64 = 5;
/// How often a log that grew is asked to show that it only grew.
const WITNESS_EVERY: Duration = Duration::from_secs(1);

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lienthong demo --data ./demo --keep\n  lienthong demo --format json")]
pub struct DemoArgs {
    /// Agency list (csv: code,legacy_code,name,level,parent,node) instead of the one that ships.
    #[arg(long, value_name = "FILE")]
    agencies: Option<PathBuf>,
    /// Scenario (csv) instead of the one that ships.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Keep the files here: a folder per node, client certificates under clients/.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Send the signed files of this folder through the nodes as well: documents/, trust/ with root-*.pem, *.crl and
    /// `seal-<code>.pem`, and expected.csv with columns file and sender.
    #[arg(long, value_name = "DIR")]
    documents: Option<PathBuf>,
    /// A node that others cannot call: it calls them, and collects. Repeatable.
    #[arg(long, value_name = "NODE")]
    unreachable: Vec<String>,
    /// Serve on after the replay until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// How to print the result.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Show the months, too (table).
    #[arg(long)]
    months: bool,
}

fn open(path: &Path) -> Result<std::fs::File, CliError> {
    std::fs::File::open(path).map_err(|e| CliError::file("opening", path, &e))
}

/// Runs the command.
pub async fn run(args: DemoArgs) -> Result<Outcome, CliError> {
    let agencies = match &args.agencies {
        Some(path) => read_agencies(open(path)?),
        None => read_agencies(AGENCIES.as_bytes()),
    }
    .map_err(CliError::failed)?;
    let rows = match &args.scenario {
        Some(path) => scenario::read(open(path)?),
        None => scenario::read(SCENARIO.as_bytes()),
    }?;
    check(&agencies, &rows)?;
    let folder = args.documents.as_deref().map(documents::Folder::read).transpose()?;
    if let Some(folder) = &folder {
        check_hosted(&agencies, folder.agencies())?;
    }
    let temporary = match &args.data {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(|e| CliError::failed(format!("no temporary folder: {e}")))?),
    };
    let dir = match (&args.data, &temporary) {
        (Some(dir), _) => {
            check_empty(dir)?;
            dir.clone()
        }
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => return Err(CliError::failed("no folder to work in")),
    };
    let first = rows.iter().map(|r| r.issued_on).min().unwrap_or_default();
    let clock = Arc::new(ManualClock::new(morning(first)));
    note(format!("making keys, certificates and the directory of {} agencies …", agencies.len()));
    let unreachable = network::unreachable(&args.unreachable, &agencies)?;
    let (network, listeners) =
        make(&dir, &agencies, &unreachable, &rows, folder.as_ref(), clock.now()).await?;
    // All at once: each asks the others at its start what they hold of its log.
    let mut starting = JoinSet::new();
    for (name, listeners) in listeners {
        let mut config =
            network.nodes.get(&name).cloned().ok_or_else(|| CliError::failed("a node is missing"))?;
        if args.keep {
            config.web = Some(pages::free_port());
            config.targets = pages::TARGETS;
        }
        // A demo is over in seconds: its nodes should have cosigned each other's logs by then.
        config.witness_every = WITNESS_EVERY;
        let (clients, peers) = listeners.addresses().map_err(CliError::failed)?;
        note(format!("node {name}: clients on {clients}, peers on {peers}"));
        let clock: Arc<dyn Clock> = clock.clone();
        starting.spawn(async move { (name, Node::start(config, clock, listeners).await) });
    }
    let mut nodes = BTreeMap::new();
    while let Some(started) = starting.join_next().await {
        let (name, node) = started.map_err(CliError::failed)?;
        nodes.insert(name, node.map_err(CliError::failed)?);
    }
    let result = play(&network, &agencies, rows, folder.as_ref(), &clock).await;
    if let Ok(result) = &result {
        result.print(args.format, args.months, &network, args.keep, args.data.is_some() || args.keep);
        if args.keep {
            pages::print(&network, &nodes, result.by_node(), args.format).await?;
            note("serving on; Ctrl-C ends it");
            let _ = tokio::signal::ctrl_c().await;
        }
    }
    for (_, node) in nodes {
        node.stop("the demo is over").await.map_err(CliError::failed)?;
    }
    let verified = result?.is_verified();
    Ok(if verified { Outcome::Done } else { Outcome::No })
}

fn morning(day: Date) -> Timestamp {
    day.midnight().plus_millis(MORNING_MS)
}

/// A folder that holds something else is not written into.
fn check_empty(dir: &Path) -> Result<(), CliError> {
    match std::fs::read_dir(dir).map(Iterator::count) {
        Err(_) | Ok(0) => Ok(()),
        Ok(_) => Err(CliError::failed(format!(
            "--data {}: the folder is not empty: name a new one",
            dir.display()
        ))),
    }
}

/// Every sender and recipient must be an agency of the list, and every sender of an electronic row needs a node.
fn check(agencies: &[AgencyLine], rows: &[Row]) -> Result<(), CliError> {
    let known: BTreeMap<&str, &AgencyLine> = agencies
        .iter()
        .flat_map(|a| [(a.code.as_str(), a), (a.legacy_code.as_str(), a)])
        .filter(|(code, _)| !code.is_empty())
        .collect();
    for row in rows {
        for (column, code, electronic) in
            [("sender", &row.sender, true), ("recipient", &row.recipient, row.electronic)]
        {
            match known.get(code.as_str()) {
                None if column == "sender" || electronic => {
                    return Err(CliError::failed(format!(
                        "scenario, seq {}: {column} `{code}` is not in the agency list",
                        row.seq
                    )));
                }
                Some(a) if a.node.is_empty() && electronic => {
                    return Err(CliError::failed(format!(
                        "scenario, seq {}: {column} `{code}` has no node in the agency list",
                        row.seq
                    )));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Agencies that send or receive files need a node.
fn check_hosted<'a>(agencies: &[AgencyLine], codes: impl Iterator<Item = &'a str>) -> Result<(), CliError> {
    for code in codes {
        match agencies.iter().find(|a| a.code == code || a.legacy_code == code) {
            None => return Err(CliError::failed(format!("--documents: `{code}` is not in the agency list"))),
            Some(a) if a.node.is_empty() => {
                return Err(CliError::failed(format!(
                    "--documents: `{code}` has no node in the agency list"
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Takes free ports and makes the network around them.
async fn make(
    dir: &Path,
    agencies: &[AgencyLine],
    unreachable: &BTreeSet<NodeName>,
    rows: &[Row],
    folder: Option<&documents::Folder>,
    issued_at: Timestamp,
) -> Result<(Network, BTreeMap<NodeName, Listeners>), CliError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut listeners = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for node in network::nodes_of(agencies)? {
        let bound = Listeners::bind(any, any).await.map_err(CliError::failed)?;
        addresses.insert(node.clone(), bound.addresses().map_err(CliError::failed)?);
        listeners.insert(node, bound);
    }
    let persons: BTreeSet<String> = rows.iter().map(|r| r.sender.clone()).collect();
    let none = ExtraTrust::default();
    let plan = Plan {
        network: NETWORK,
        dir,
        agencies,
        addresses: &addresses,
        unreachable,
        issued_at,
        validity: super::pki::Validity::default(),
        rsa: false,
        write_document_keys: false,
        persons: &persons,
        extra: folder.map_or(&none, |f| &f.trust),
    };
    Ok((network::make(&plan)?, listeners))
}

/// The scenario, then the files; the figures are those of the scenario.
async fn play(
    network: &Network,
    agencies: &[AgencyLine],
    rows: Vec<Row>,
    folder: Option<&documents::Folder>,
    clock: &Arc<ManualClock>,
) -> Result<outcome::Outcome, CliError> {
    let mut systems = Systems::start(network, agencies).await?;
    let last = rows.iter().map(|r| r.issued_on).max().unwrap_or_default();
    replay(&mut systems, rows, clock).await?;
    let ratios = outcome::ratios(network).await?;
    let mut sent = Vec::new();
    if let Some(folder) = folder {
        // Some days after the scenario's last: revocation lists of that time are out by then.
        clock.set(morning(last).plus_millis(DAYS_AFTER * 86_400_000));
        sent = folder.send(&systems, clock.now()).await?;
    }
    outcome::collect(network, ratios, systems.delivery_times(), sent).await
}

/// Replays all rows, day by day.
async fn replay(systems: &mut Systems, rows: Vec<Row>, clock: &Arc<ManualClock>) -> Result<(), CliError> {
    let total = rows.len();
    let mut days: BTreeMap<Date, Vec<Row>> = BTreeMap::new();
    for row in rows {
        days.entry(row.issued_on).or_default().push(row);
    }
    let mut progress = outcome::Progress::new(total);
    for (day, rows) in days {
        clock.set(morning(day));
        let count = rows.len();
        systems.day(rows, clock.now()).await?;
        progress.advance(count, day);
    }
    progress.done();
    Ok(())
}
