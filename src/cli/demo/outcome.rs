//! What the demo prints: progress, ratios, delivery times, the nodes' checkpoints and whether they verified.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Instant;

use serde_json::{Value, json};

use super::documents::{self, Sent};
use crate::cli::network::Network;
use crate::cli::remote;
use crate::cli::{CliError, Format, note, out};
use crate::merkle::SignedCheckpoint;
use crate::report::{self, Cells, Report};
use crate::rpc::client::NodeClient;
use crate::time::Date;
use crate::wire::pb;

/// How often a log that still grows is asked for again.
const TRIES: u32 = 20;

/// A line that moves on a terminal, a line now and then otherwise.
pub(super) struct Progress {
    total: usize,
    done: usize,
    started: Instant,
    terminal: bool,
    next: usize,
}

impl Progress {
    pub(super) fn new(total: usize) -> Progress {
        Progress {
            total,
            done: 0,
            started: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
            next: 0,
        }
    }

    pub(super) fn advance(&mut self, rows: usize, day: Date) {
        use std::io::Write as _;
        self.done += rows;
        if self.terminal {
            let width = 30 * self.done / self.total.max(1);
            let bar = format!("{}{}", "#".repeat(width), ".".repeat(30 - width));
            let _ = write!(std::io::stderr(), "\r{day} [{bar}] {}/{} deliveries", self.done, self.total);
        } else if self.done >= self.next {
            note(format!("{day}: {}/{} deliveries", self.done, self.total));
            self.next = self.done + self.total / 5;
        }
    }

    pub(super) fn done(&self) {
        if self.terminal {
            note("");
        }
        note(format!("replayed {} deliveries in {:.1} s", self.done, self.started.elapsed().as_secs_f64()));
    }
}

struct NodeOutcome {
    name: String,
    size: u64,
    root: String,
    checkpoint: String,
    findings: Vec<String>,
}

/// The figures of each node's senders, by its name, and all of them added.
pub(super) struct Ratios {
    pub(super) total: Cells,
    pub(super) by_node: BTreeMap<String, Cells>,
}

/// Everything that is printed.
pub(super) struct Outcome {
    ratios: Ratios,
    nodes: Vec<NodeOutcome>,
    p50: u64,
    p99: u64,
    sent: Vec<Sent>,
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(0)
}

/// Asks every node for its ratios, as an operator would.
pub(super) async fn ratios(network: &Network) -> Result<Ratios, CliError> {
    let mut all = Ratios { total: Cells::new(), by_node: BTreeMap::new() };
    for name in network.nodes.keys() {
        let client = network.connect(name, "admin").await.map_err(CliError::failed)?;
        let ratios = client.report().get_ratios(pb::GetRatiosRequest::default()).await?.into_inner();
        let cells = remote::read_cells(&ratios);
        report::add(&mut all.total, &cells);
        all.by_node.insert(name.to_string(), cells);
    }
    Ok(all)
}

/// A check of the whole log, and the checkpoint that signs exactly what was checked: the node says that its log is
/// right, its signature over the same root is verified here. An event that a node wrote in between (a system's
/// acknowledgement comes when it likes) makes both be asked for again.
async fn check_at_one_size(
    client: &NodeClient,
) -> Result<(pb::CheckLogResponse, pb::GetCheckpointResponse, Result<SignedCheckpoint, String>), CliError> {
    let mut tries = 0;
    loop {
        let checked = client.audit().check_log(pb::CheckLogRequest { content: false }).await?.into_inner();
        let head = client.audit().get_checkpoint(pb::GetCheckpointRequest {}).await?.into_inner();
        let signed = head
            .verifier_key
            .parse()
            .map_err(|e| format!("{e}"))
            .and_then(|key| SignedCheckpoint::verify(&head.checkpoint, &key).map_err(|e| e.to_string()));
        tries += 1;
        let grew = signed.as_ref().is_ok_and(|s| s.checkpoint().size > checked.events);
        if !grew || !checked.findings.is_empty() || tries == TRIES {
            return Ok((checked, head, signed));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Asks every node, as an administrator would, for its checkpoint and a check of its whole log.
pub(super) async fn collect(
    network: &Network,
    ratios: Ratios,
    delivery_ms: Vec<u64>,
    sent: Vec<Sent>,
) -> Result<Outcome, CliError> {
    let mut nodes = Vec::new();
    for name in network.nodes.keys() {
        let client = network.connect(name, "admin").await.map_err(CliError::failed)?;
        let (checked, head, signed) = check_at_one_size(&client).await?;
        let mut findings: Vec<String> =
            checked.findings.iter().map(|f| format!("{} {}: {}", f.place, f.index, f.message)).collect();
        match signed.as_ref().map(SignedCheckpoint::checkpoint) {
            Ok(c) if c.size == checked.events && c.root.as_bytes().as_slice() == checked.root.as_ref() => {}
            Ok(c) => findings.push(format!(
                "the checkpoint of {} events does not sign the root that was recomputed for {}",
                c.size, checked.events
            )),
            Err(e) => findings.push(format!("the checkpoint does not verify: {e}")),
        }
        nodes.push(NodeOutcome {
            name: name.to_string(),
            size: checked.events,
            root: hex::encode(&checked.root),
            checkpoint: head.checkpoint,
            findings,
        });
    }
    let (p50, p99) = (percentile(&delivery_ms, 50), percentile(&delivery_ms, 99));
    Ok(Outcome { ratios, nodes, p50, p99, sent })
}

impl Outcome {
    /// Whether every node's log was right.
    pub(super) fn is_verified(&self) -> bool {
        self.nodes.iter().all(|n| n.findings.is_empty())
    }

    fn json(&self, by_node: bool) -> Value {
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .map(|n| {
                let mut node = json!({"name": n.name, "size": n.size, "root": n.root,
                    "verified": n.findings.is_empty(), "findings": n.findings});
                if let Some(cells) = self.ratios.by_node.get(&n.name).filter(|_| by_node) {
                    node["ratios"] = report::json(cells);
                }
                node
            })
            .collect();
        let mut all = json!({
            "ratios": report::json(&self.ratios.total),
            "delivery_ms": {"p50": self.p50, "p99": self.p99},
            "nodes": nodes,
        });
        if !self.sent.is_empty() {
            all["documents"] = documents::to_json(&self.sent);
        }
        all
    }

    /// The figures of each node, as its pages show them.
    pub(super) fn by_node(&self) -> &BTreeMap<String, Cells> {
        &self.ratios.by_node
    }

    /// Prints the result, and where to look further.
    pub(super) fn print(&self, format: Format, months: bool, network: &Network, keep: bool, kept: bool) {
        if format == Format::Json {
            // A person who runs it in a script sees why it failed, whatever becomes of the json.
            for node in &self.nodes {
                for finding in &node.findings {
                    note(format!("{}: NOT VERIFIED: {finding}", node.name));
                }
            }
            return out(serde_json::to_string_pretty(&self.json(keep)).unwrap_or_default());
        }
        out(format!("\n{}", report::table(&Report::of(&self.ratios.total), months)));
        out(format!(
            "Delivery, from sending to the verified receipt: p50 {} ms, p99 {} ms\n",
            self.p50, self.p99
        ));
        for node in &self.nodes {
            let verdict = if node.findings.is_empty() { "verified" } else { "NOT VERIFIED" };
            out(format!("{}: {} events, {verdict}", node.name, node.size));
            for line in node.checkpoint.trim_end().lines().filter(|l| !l.is_empty()) {
                out(format!("    {line}"));
            }
            for finding in &node.findings {
                out(format!("    ! {finding}"));
            }
        }
        if !self.sent.is_empty() {
            documents::print(&self.sent, network, kept);
        }
        let dir = network.dir.display();
        if kept && let Some(name) = network.nodes.keys().next() {
            out(format!(
                "\nLook further (with --keep, or after `lienthong serve --config {dir}/{name}/lienthong.toml`):\n  \
                 lienthong audit list --config {dir}/{name}/lienthong.toml\n  \
                 lienthong report --config {dir}/{name}/lienthong.toml\n  \
                 lienthong audit check --data {dir}/{name}   (the node stopped)"
            ));
        } else {
            out(
                "\nLook further: `lienthong demo --data DIR` keeps the nodes' files, `--keep` keeps them running.",
            );
        }
    }
}
