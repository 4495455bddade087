//! `lienthong report`: the ratios of a node, closed periods and what changed in them since.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::audit::Stopped;
use super::dms::write_new;
use super::remote::{Remote, read_report};
use super::report_network::{self, NetworkArgs};
use super::show::{columns, counts_json};
use super::{CliError, Outcome, note, out};
use crate::domain::document::Urgency;
use crate::domain::event::{Direction, Level, Scope};
use crate::domain::ids::AgencyId;
use crate::domain::ratio::{Period, Side};
use crate::report::{self, Basis, Dimension, Filter, Query, Report};
use crate::wire::figures::read_counts;
use crate::wire::{pb, words};

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ReportFormat {
    /// For a person.
    Table,
    /// For a program.
    Json,
    /// A line per figure and ratio.
    Csv,
    /// A workbook with figures, definitions and coverage; give --output.
    Xlsx,
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lienthong report --config node/lienthong.toml --from 2016-Q1 --to 2016-Q1\n  \
    lienthong report --config node/lienthong.toml --basis documents --group-by sender,month --format csv\n  \
    lienthong report --data ./demo/binh-duong --format xlsx --output ratios.xlsx\n  \
    lienthong report close 2016-Q1 --config node/lienthong.toml"
)]
pub struct ReportArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Option<PeriodCommand>,
    /// A stopped node's folder, read without changing it; agencies are then named by their permanent ids.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// First period: yyyy, yyyy-Qn, yyyy-mm or yyyy-mm-dd.
    #[arg(long, value_name = "PERIOD")]
    from: Option<Period>,
    /// Last period.
    #[arg(long, value_name = "PERIOD")]
    to: Option<Period>,
    /// Count deliveries (document × recipient) or documents.
    #[arg(long, default_value = "deliveries", value_parser = ["deliveries", "documents"])]
    basis: String,
    /// Figures of what arrived, by day of arrival, instead of what was sent, by day of issue.
    #[arg(long)]
    incoming: bool,
    /// Only this scope: internal, in_province or outside.
    #[arg(long, value_parser = ["internal", "in_province", "outside"])]
    scope: Option<String>,
    /// Only this direction within the province: up, down or horizontal.
    #[arg(long, value_parser = ["up", "down", "horizontal"])]
    direction: Option<String>,
    /// Only what this agency and its subunits sent.
    #[arg(long, value_name = "CODE", default_value = "")]
    sender: String,
    /// Only what this agency and its subunits were sent.
    #[arg(long, value_name = "CODE", default_value = "")]
    recipient: String,
    /// Only senders of this level: central, province, department, district, commune or subunit.
    #[arg(long, value_name = "LEVEL", value_parser = LEVELS)]
    sender_level: Option<String>,
    /// Only recipients of this level.
    #[arg(long, value_name = "LEVEL", value_parser = LEVELS)]
    recipient_level: Option<String>,
    /// Only this document type.
    #[arg(long = "type", value_name = "NAME", default_value = "")]
    type_name: String,
    /// Only this urgency: normal, urgent, very_urgent or flash.
    #[arg(long)]
    urgency: Option<Urgency>,
    /// By what figures stand apart, with commas between: scope, direction, sender, sender_registered, sender_level,
    /// recipient, recipient_registered, recipient_level, type, urgency, day, month, quarter, year.
    #[arg(long, value_name = "DIMENSIONS", value_delimiter = ',')]
    group_by: Vec<Dimension>,
    /// Show the months, too (table).
    #[arg(long)]
    months: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: ReportFormat,
    /// Write them to this new file instead; a running node records that.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// With --output: who takes them, for the node's log.
    #[arg(long, value_name = "USER", requires = "output", default_value = "")]
    user: String,
}

const LEVELS: [&str; 6] = ["central", "province", "department", "district", "commune", "subunit"];

#[derive(Debug, Subcommand)]
enum PeriodCommand {
    /// Closes a period that is over: its figures are kept as they are, what changes later is a restatement.
    Close {
        /// yyyy, yyyy-Qn or yyyy-mm.
        period: Period,
    },
    /// Lists what changed in a closed period since, with the event that caused it.
    Restatements {
        /// The closed period.
        period: Period,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Collects every node's statement of a period, checks, adds and compares them: the network's figures.
    Network(NetworkArgs),
    /// Prints a closed period's figures as they were; their SHA-256 stands in the closing event.
    Snapshot {
        /// The closed period.
        period: Period,
    },
}

/// Prints the ratios, or does something about periods.
pub async fn report(args: ReportArgs) -> Result<Outcome, CliError> {
    if let Some(command) = args.command {
        return period(&args.remote, command).await;
    }
    if args.format == ReportFormat::Xlsx && args.output.is_none() {
        return Err(CliError::failed("a workbook is no text: give --output FILE"));
    }
    let query = query(&args);
    let report = if let Some(dir) = &args.data {
        let stopped = Stopped::open(dir, None)?;
        let index = stopped.offline.index().map_err(CliError::failed)?;
        let head = index.head().map_err(CliError::failed)?;
        let checkpoint = head.map_or_else(String::new, |head| head.checkpoint);
        let query = Query { filter: by_id(query.filter.clone(), &args)?, ..query };
        report::report(index, &query, || checkpoint.clone()).map_err(CliError::failed)?
    } else {
        let client = args.remote.connect("admin").await?;
        let answer = client.report().get_ratios(request(&query, &args)).await?.into_inner();
        // As it was asked, where agencies are shown by what the node was told.
        let filter = by_id(query.filter.clone(), &args).unwrap_or_else(|_| query.filter.clone());
        read_report(Query { filter, ..query }, answer)
    };
    print(&report, &args)?;
    Ok(Outcome::Done)
}

fn query(args: &ReportArgs) -> Query {
    let word = |given: &Option<String>, word: &str| given.as_deref() == Some(word);
    let level = |given: &Option<String>| {
        let all = [
            Level::Central,
            Level::Province,
            Level::Department,
            Level::District,
            Level::Commune,
            Level::Subunit,
        ];
        all.into_iter().find(|l| word(given, l.as_str()))
    };
    let scopes = [Scope::Internal, Scope::InProvince, Scope::Outside];
    let directions = [Direction::Up, Direction::Down, Direction::Horizontal];
    Query {
        side: if args.incoming { Side::Incoming } else { Side::Outgoing },
        basis: if args.basis == "documents" { Basis::Documents } else { Basis::Deliveries },
        from: args.from.map(|p| p.days().0),
        to: args.to.map(|p| p.days().1),
        filter: Filter {
            scope: scopes.into_iter().find(|s| word(&args.scope, s.as_str())),
            direction: directions.into_iter().find(|d| word(&args.direction, d.as_str())),
            sender: None,
            recipient: None,
            sender_level: level(&args.sender_level),
            recipient_level: level(&args.recipient_level),
            type_name: (!args.type_name.is_empty()).then(|| args.type_name.trim().to_lowercase()),
            urgency: args.urgency,
        },
        own: None,
        group: args.group_by.clone(),
    }
}

/// A stopped node has nobody to look codes up.
fn by_id(filter: Filter, args: &ReportArgs) -> Result<Filter, CliError> {
    let id = |text: &str| {
        if text.is_empty() { Ok(None) } else { AgencyId::new(text).map(Some).map_err(CliError::failed) }
    };
    Ok(Filter { sender: id(&args.sender)?, recipient: id(&args.recipient)?, ..filter })
}

fn request(query: &Query, args: &ReportArgs) -> pb::GetRatiosRequest {
    let filter = &query.filter;
    let period = |p: Option<Period>| p.map_or_else(String::new, |p| p.to_string());
    let basis = match query.basis {
        Basis::Deliveries => pb::FigureBasis::Deliveries,
        Basis::Documents => pb::FigureBasis::Documents,
    };
    let side = match query.side {
        Side::Outgoing => pb::FigureSide::Outgoing,
        Side::Incoming => pb::FigureSide::Incoming,
    };
    pb::GetRatiosRequest {
        from_month: String::new(),
        to_month: String::new(),
        from: period(args.from),
        to: period(args.to),
        basis: basis.into(),
        side: side.into(),
        scope: filter.scope.map_or(0, |s| words::scope(s).into()),
        direction: filter.direction.map_or(0, |d| words::direction(d).into()),
        sender: args.sender.clone(),
        recipient: args.recipient.clone(),
        sender_level: filter.sender_level.map_or(0, |l| words::level(l).into()),
        recipient_level: filter.recipient_level.map_or(0, |l| words::level(l).into()),
        type_name: args.type_name.clone(),
        urgency: filter.urgency.map_or(0, |u| words::urgency(u).into()),
        export: args.output.is_some(),
        user: args.user.clone(),
        group_by: query.group.iter().map(|d| d.as_str().to_owned()).collect(),
    }
}

/// Writes a result to a new file, or prints it.
pub(super) fn deliver(bytes: &[u8], output: Option<&PathBuf>) -> Result<(), CliError> {
    match output {
        Some(file) => {
            write_new(file, bytes)?;
            note(format!("written: {}", file.display()));
        }
        None => out(String::from_utf8_lossy(bytes).trim_end()),
    }
    Ok(())
}

fn print(report: &Report, args: &ReportArgs) -> Result<(), CliError> {
    let bytes = match args.format {
        ReportFormat::Table => report::table(report, args.months).into_bytes(),
        ReportFormat::Csv => report::csv(report).into_bytes(),
        ReportFormat::Json => {
            let text =
                serde_json::to_string_pretty(&report::figures_json(report)).map_err(CliError::failed)?;
            text.into_bytes()
        }
        ReportFormat::Xlsx => report::workbook(report).map_err(CliError::failed)?,
    };
    deliver(&bytes, args.output.as_ref())
}

async fn period(remote: &Remote, command: PeriodCommand) -> Result<Outcome, CliError> {
    let client = remote.connect("admin").await?;
    match command {
        PeriodCommand::Network(args) => return report_network::run(&client, args).await,
        PeriodCommand::Close { period } => {
            let request = pb::ClosePeriodRequest { period: period.to_string(), ..Default::default() };
            let answer = client.report().close_period(request).await?.into_inner();
            let before = if answer.already_closed { " (was closed before)" } else { "" };
            let digest = hex::encode(&answer.snapshot);
            out(format!("{period} is closed by event {}{before}, figures {digest}", answer.log_index));
        }
        PeriodCommand::Snapshot { period } => {
            let request = pb::GetSnapshotRequest { period: period.to_string() };
            let mut pieces = client.report().get_snapshot(request).await?.into_inner();
            let mut text = Vec::new();
            while let Some(piece) = pieces.message().await? {
                text.extend_from_slice(&piece.data);
            }
            out(String::from_utf8_lossy(&text).trim_end());
        }
        PeriodCommand::Restatements { period, json } => {
            let mut found = Vec::new();
            let mut page_token = String::new();
            loop {
                let request =
                    pb::ListRestatementsRequest { period: period.to_string(), page_token, page_size: 0 };
                let page = client.report().list_restatements(request).await?.into_inner();
                found.extend(page.restatements);
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            if json {
                let all: Vec<_> = found.iter().map(restatement_json).collect();
                out(serde_json::to_string_pretty(&all).map_err(CliError::failed)?);
            } else {
                let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
                let row = |r: &pb::Restatement| {
                    vec![
                        r.month.clone(),
                        r.log_index.to_string(),
                        r.event_kind.clone(),
                        format!("{} → {}", r.sender, dash(&r.recipient)),
                        format!("{}/{} ({})", r.number, r.notation, r.year),
                        format!("{} → {}", dash(&r.channel_before), dash(&r.channel_after)),
                    ]
                };
                let rows: Vec<_> = found.iter().map(row).collect();
                out(columns(&["month", "event", "kind", "delivery", "document", "channel"], &rows));
            }
        }
    }
    Ok(Outcome::Done)
}

fn restatement_json(r: &pb::Restatement) -> serde_json::Value {
    json!({
        "month": r.month, "log_index": r.log_index, "event": r.event_kind, "sender": r.sender,
        "recipient": r.recipient, "number": r.number, "notation": r.notation, "year": r.year,
        "channel_before": r.channel_before, "channel_after": r.channel_after,
        "before": counts_json(&read_counts(r.before.as_ref())),
        "after": counts_json(&read_counts(r.after.as_ref())),
    })
}
