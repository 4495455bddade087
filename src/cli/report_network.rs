//! `lienthong report network`: the network's figures, collected by a node that the others allow to.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::report::{ReportFormat, deliver};
use super::{CliError, Outcome, note};
use crate::domain::ratio::Period;
use crate::merkle::sha256;
use crate::report::network::print::{self, List};
use crate::report::network::{NetworkReport, workbook};
use crate::report::{self, Basis};
use crate::rpc::client::NodeClient;
use crate::wire::pb;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit 1: a node has no part in the totals, or two nodes differ.\n\nExamples:\n  \
    lienthong report network --period 2016-08 --config node/lienthong.toml\n  \
    lienthong report network --period 2016-Q3 --format xlsx --output network.xlsx --config node/lienthong.toml\n  \
    lienthong report network --period 2016 --format csv --list differences --config node/lienthong.toml")]
pub(super) struct NetworkArgs {
    /// yyyy, yyyy-Qn or yyyy-mm; also one that is not over.
    #[arg(long, value_name = "PERIOD")]
    period: Period,
    /// Count deliveries (document × recipient) or documents.
    #[arg(long, default_value = "deliveries", value_parser = ["deliveries", "documents"])]
    basis: String,
    /// Show the months, too (table).
    #[arg(long)]
    months: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: ReportFormat,
    /// With csv: which list.
    #[arg(long, default_value = "figures", value_parser = ["figures", "nodes", "pairs", "differences"])]
    list: String,
    /// Write it to this new file instead.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Who asks, for the node's log: opaque, at most 100 characters.
    #[arg(long, value_name = "USER", default_value = "")]
    user: String,
}

/// Collects and prints.
pub(super) async fn run(client: &NodeClient, args: NetworkArgs) -> Result<Outcome, CliError> {
    if args.format == ReportFormat::Xlsx && args.output.is_none() {
        return Err(CliError::failed("a workbook is no text: give --output FILE"));
    }
    let request = pb::ReportNetworkRequest { period: args.period.to_string(), user: args.user.clone() };
    let mut pieces = client.report().report_network(request).await?.into_inner();
    let (mut text, mut index, mut checkpoint) = (Vec::new(), 0, String::new());
    while let Some(piece) = pieces.message().await? {
        if text.is_empty() {
            (index, checkpoint) = (piece.log_index, piece.checkpoint);
        }
        text.extend_from_slice(&piece.data);
    }
    let report: NetworkReport = serde_json::from_slice(&text).map_err(CliError::failed)?;
    let basis = if args.basis == "documents" { Basis::Documents } else { Basis::Deliveries };
    let bytes = match args.format {
        ReportFormat::Table => print::for_person(&report, basis, &checkpoint, args.months).into_bytes(),
        ReportFormat::Csv => match args.list.as_str() {
            "nodes" => print::csv(&report, List::Nodes).into_bytes(),
            "pairs" => print::csv(&report, List::Pairs).into_bytes(),
            "differences" => print::csv(&report, List::Differences).into_bytes(),
            _ => report::csv(&report.report(basis, &checkpoint)).into_bytes(),
        },
        ReportFormat::Json => {
            let json = to_json(&report, basis, &checkpoint).map_err(CliError::failed)?;
            serde_json::to_string_pretty(&json).map_err(CliError::failed)?.into_bytes()
        }
        ReportFormat::Xlsx => workbook(&report, basis, &checkpoint).map_err(CliError::failed)?,
    };
    deliver(&bytes, args.output.as_ref())?;
    note(format!("recorded by event {index}, result {}", sha256(&text)));
    let agrees = report.complete && report.difference_count == 0;
    Ok(if agrees { Outcome::Done } else { Outcome::No })
}

/// The figures as in every report, and beside them what only a network has.
fn to_json(report: &NetworkReport, basis: Basis, checkpoint: &str) -> Result<Value, serde_json::Error> {
    let mut all = report::figures_json(&report.report(basis, checkpoint));
    all["network"] = json!({
        "period": report.period, "collector": report.collector, "collected_at": report.collected_at,
        "directory_version": report.directory_version, "complete": report.complete,
        "recomputed": report.recomputed, "nodes": serde_json::to_value(&report.nodes)?,
        "pairs": serde_json::to_value(&report.pairs)?, "difference_count": report.difference_count,
        "differences": serde_json::to_value(&report.differences)?,
    });
    Ok(all)
}
