//! What a document-management system does, by hand: `inbox`, `ack`, `respond`, `watch`, `paper`; `send`, `fetch`
//! and `track` have files of their own.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::json;

use super::named::Named;
use super::remote::{Person, Remote};
use super::show::{columns, time};
use super::{CliError, Format, Outcome, note, notices, out, register};
use crate::domain::{Status, Urgency};
use crate::ledger::{Clock as _, SystemClock};
use crate::wire::{pb, words};

/// A request id of one's own, when none is given: the time and the process.
pub(super) fn request_id(given: Option<&String>) -> String {
    given.cloned().unwrap_or_else(|| format!("cli-{}-{}", SystemClock.now().millis(), std::process::id()))
}

/// Name of the n-th signature beside a file, from 1 on: FILE.p7s, FILE.2.p7s, …
pub(super) fn signature_name(file: &Path, n: usize) -> PathBuf {
    if n == 1 { file.with_added_extension("p7s") } else { file.with_added_extension(format!("{n}.p7s")) }
}

/// Detached signatures beside a file: FILE.p7s, FILE.2.p7s, …; a number that is missing hides none after it.
pub(super) fn signatures_beside(file: &Path) -> Result<Vec<Vec<u8>>, CliError> {
    use std::io::Read as _;

    use crate::domain::limits::{SIGNATURE_FILE_BYTES, SIGNATURES_PER_PART};
    let mut out = Vec::new();
    for n in 1..=SIGNATURES_PER_PART + 1 {
        let path = signature_name(file, n);
        let opened = match std::fs::File::open(&path) {
            Ok(opened) => opened,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(CliError::file("reading", &path, &e)),
        };
        if n > SIGNATURES_PER_PART {
            return Err(CliError::failed(format!(
                "{}: a file has at most {SIGNATURES_PER_PART} signatures",
                path.display()
            )));
        }
        let mut bytes = Vec::new();
        opened
            .take(SIGNATURE_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| CliError::file("reading", &path, &e))?;
        if bytes.len() as u64 > SIGNATURE_FILE_BYTES {
            return Err(CliError::failed(format!(
                "{}: a signature of more than {SIGNATURE_FILE_BYTES} bytes is not read",
                path.display()
            )));
        }
        out.push(bytes);
    }
    Ok(out)
}

/// The media type of a file by its name.
pub(super) fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()).map(str::to_lowercase).as_deref() {
        Some("pdf") => "application/pdf",
        Some("xml") => "application/xml",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some("txt") => "text/plain",
        _ => "application/octet-stream",
    }
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lienthong inbox --config node/lienthong.toml --agency H09.2")]
pub struct InboxArgs {
    #[command(flatten)]
    remote: Remote,
    /// Code of the agency.
    #[arg(long)]
    agency: String,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Lists what waits for an agency.
pub async fn inbox(args: InboxArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("dms").await?;
    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let request = pb::ListInboxRequest {
            agency: args.agency.clone(),
            page: Some(pb::Page { size: 1000, token: token.clone() }),
        };
        let page = client.exchange().list_inbox(request).await?.into_inner();
        items.extend(page.items);
        token = page.next_token;
        if token.is_empty() {
            break;
        }
    }
    if args.format == Format::Json {
        let list: Vec<_> = items
            .iter()
            .map(|i| {
                json!({"delivery_id": hex::encode(&i.delivery_id), "sender": i.sender, "number": i.number,
                    "notation": i.notation, "issued_on": i.issued_on, "received_at": time(i.received_at),
                    "urgency": i.urgency().as_str_name(), "held": i.held, "leased": i.leased,
                    "kind": words::read_kind(i.kind).map_or("?", |k| k.as_str()),
                    "ended_by": notices::ended_by(i.ended_by()), "about": hex::encode(&i.about)})
            })
            .collect();
        out(serde_json::to_string_pretty(&list).unwrap_or_default());
        return Ok(Outcome::Done);
    }
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|i| {
            let verdicts = words::read_verdicts(i.verdicts.as_ref());
            let effect =
                verdicts.map_or("", |v| if v.both_valid() { "equal to paper" } else { "for information" });
            vec![
                hex::encode(&i.delivery_id),
                i.sender.clone(),
                format!("{}/{}", i.number, i.notation),
                i.issued_on.clone(),
                time(i.received_at),
                effect.to_owned(),
                inbox_flags(i),
            ]
        })
        .collect();
    out(columns(&["delivery", "from", "document", "issued", "received", "effect", ""], &rows));
    Ok(Outcome::Done)
}

/// What there is to know beside the columns.
fn inbox_flags(item: &pb::InboxItem) -> String {
    let kind = match item.kind() {
        pb::Kind::New | pb::Kind::Unspecified => "",
        kind => words::read_kind(kind.into()).map_or("", |k| k.as_str()),
    };
    let flags = [
        kind,
        if item.held { "held" } else { "" },
        notices::ended_by(item.ended_by()),
        if item.leased { "fetched" } else { "" },
    ];
    flags.into_iter().filter(|f| !f.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Writes a file that is not there yet.
pub(super) fn write_new(path: &Path, data: &[u8]) -> Result<(), CliError> {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut f| f.write_all(data)).map_err(|e| CliError::file("writing", path, &e))
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lienthong ack ID --config node/lienthong.toml --agency H09.2")]
pub struct AckArgs {
    /// Delivery.
    id: Named,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    person: Person,
    /// Code of the agency.
    #[arg(long)]
    agency: String,
}

/// Acknowledges a delivery.
pub async fn ack(args: AckArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("dms").await?;
    let delivery_id = words::id(&args.id.find(&client).await?);
    let (agency, user) = (args.agency, args.person.user);
    let request = pb::AcknowledgeRequest { agency, delivery_id, user };
    let answer = client.exchange().acknowledge(request).await?.into_inner();
    out(format!("acknowledged, event {}; status 01 goes to the sender", answer.log_index));
    Ok(Outcome::Done)
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lienthong release ID --config node/lienthong.toml --agency H09.2\n  \
    lienthong release ID --refuse --config node/lienthong.toml --agency H09.2")]
pub struct ReleaseArgs {
    /// Delivery.
    id: Named,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    person: Person,
    /// Code of the agency.
    #[arg(long)]
    agency: String,
    /// Refuse it instead.
    #[arg(long)]
    refuse: bool,
}

/// Decides about a delivery that is held.
pub async fn release(args: ReleaseArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("dms").await?;
    let request = pb::ReleaseRequest {
        agency: args.agency,
        delivery_id: words::id(&args.id.find(&client).await?),
        refuse: args.refuse,
        user: args.person.user,
    };
    let answer = client.exchange().release(request).await?.into_inner();
    let what = if args.refuse { "refused" } else { "released to the agency: fetch and acknowledge it" };
    out(format!("{what}, event {}; the sender's node learns it when it asks again", answer.log_index));
    Ok(Outcome::Done)
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lienthong respond ID 03 --config node/lienthong.toml --agency H09.2\n  \
    lienthong respond ID 02 --reason \"Sai thẩm quyền\" --config node/lienthong.toml --agency H09.2"
)]
pub struct RespondArgs {
    /// Delivery.
    id: Named,
    /// 02 refused, 03 accepted, 04 assigned, 05 processing, 06 completed; 15 agreed or 16 refused, to what the sender asks;
    /// 15 says of a revoked document that it was cancelled.
    status: Status,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    person: Person,
    /// Code of the agency.
    #[arg(long)]
    agency: String,
    /// Why; required for 02 and 16.
    #[arg(long, default_value = "")]
    reason: String,
    /// For 15 and 16: the message that is answered, where more than one is open (`track` and `watch` name it).
    #[arg(long, value_name = "ID")]
    answers: Option<Named>,
    /// Office in charge.
    #[arg(long, default_value = "")]
    office: String,
    /// Idempotency key.
    #[arg(long)]
    request_id: Option<String>,
}

/// Reports a status.
pub async fn respond(args: RespondArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("dms").await?;
    let answers = match &args.answers {
        Some(named) => words::id(&named.find(&client).await?),
        None => Bytes::new(),
    };
    let request = pb::SendStatusRequest {
        request_id: request_id(args.request_id.as_ref()),
        agency: args.agency,
        delivery_id: words::id(&args.id.find(&client).await?),
        status: words::status(args.status).into(),
        reason: args.reason,
        office: args.office,
        answers,
        user: args.person.user,
        ..pb::SendStatusRequest::default()
    };
    let answer = client.exchange().send_status(request).await?.into_inner();
    out(format!("status {} recorded, event {}", args.status, answer.log_index));
    if answer.out_of_order {
        note("it does not follow from the status before, and is flagged as out of order");
    }
    Ok(Outcome::Done)
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lienthong watch --config node/lienthong.toml --once")]
pub struct WatchArgs {
    #[command(flatten)]
    remote: Remote,
    /// Code of an agency; may be repeated; none: all of the client's.
    #[arg(long)]
    agency: Vec<String>,
    /// Where to begin, as an earlier line said.
    #[arg(long, default_value = "")]
    cursor: String,
    /// Print what is there and end.
    #[arg(long)]
    once: bool,
}

/// Follows arrivals, receipts, statuses and failures; one line each.
pub async fn watch(args: WatchArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("dms").await?;
    let request = pb::WatchRequest { agencies: args.agency, cursor: args.cursor, once: args.once };
    let mut items = client.exchange().watch(request).await?.into_inner();
    while let Some(i) = items.message().await? {
        let what = i.kind().as_str_name().trim_start_matches("WATCH_KIND_").to_lowercase();
        let status = if i.status == 0 { String::new() } else { format!(" {:02}", i.status) };
        let reason = if i.reason.is_empty() { String::new() } else { format!(" ({})", i.reason) };
        // A status is told by its number; another message by its kind, and by what answers it.
        let message = match words::read_kind(i.message_kind) {
            Some(kind) if kind != crate::domain::Kind::Status => {
                format!(" {} {}", kind.as_str(), hex::encode(&i.message_id))
            }
            Some(_) if i.status == 13 => format!(" {}", hex::encode(&i.message_id)),
            // What became of a status that the agency sent itself.
            Some(_) if i.status == 0 => format!(" status {}", hex::encode(&i.message_id)),
            _ => String::new(),
        };
        let written = i.written_reason.replace(['\n', '\r', '\t'], " ");
        let written = if written.is_empty() { String::new() } else { format!(" \"{written}\"") };
        out(format!(
            "{}  {}  {what}{status}{reason}{message}{written}  {}  {}  cursor {}",
            time(i.at),
            i.agency,
            i.counterpart,
            hex::encode(&i.delivery_id),
            i.cursor
        ));
    }
    Ok(Outcome::Done)
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_negates_reqs = true,
    after_help = "Example:\n  lienthong paper --config node/lienthong.toml --sender H09.1 --to H09.2 --number 12 \\\n    \
    --notation CV-VP --issued-on 2016-03-04 --mandatory --basis \"Danh mục 2\""
)]
pub struct PaperArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Option<register::PaperCommand>,
    #[command(flatten)]
    entry: Option<EntryArgs>,
}

#[derive(Debug, clap::Args)]
struct EntryArgs {
    #[command(flatten)]
    person: Person,
    /// Code of the sending agency.
    #[arg(long)]
    sender: String,
    /// Code of the recipient.
    #[arg(long, default_value = "")]
    to: String,
    /// Name of the recipient, where it has no code.
    #[arg(long, default_value = "")]
    to_name: String,
    /// Number in the register.
    #[arg(long)]
    number: String,
    /// Notation.
    #[arg(long)]
    notation: String,
    /// Day of issue.
    #[arg(long, value_name = "DAY")]
    issued_on: crate::time::Date,
    /// Day of dispatch (default: the day of issue).
    #[arg(long, value_name = "DAY")]
    dispatched_on: Option<crate::time::Date>,
    /// Name of the document type.
    #[arg(long = "type", default_value = "công văn")]
    type_name: String,
    /// normal, urgent, very_urgent or flash.
    #[arg(long, default_value = "normal")]
    urgency: Urgency,
    /// Paper is mandatory for it.
    #[arg(long)]
    mandatory: bool,
    /// On which basis.
    #[arg(long, default_value = "")]
    basis: String,
    /// Withdraw the entry: the one that --corrects names, or all of this document to this recipient.
    #[arg(long)]
    withdraw: bool,
    /// The entry that this one stands in for, by its event.
    #[arg(long, value_name = "EVENT")]
    corrects: Option<u64>,
    /// Idempotency key.
    #[arg(long)]
    request_id: Option<String>,
}

/// Enters a dispatch on paper.
pub async fn paper(args: PaperArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("dms").await?;
    if let Some(command) = args.command {
        return register::run(&client, command).await;
    }
    let args =
        args.entry.ok_or_else(|| CliError::failed("give --sender, --number, --notation and --issued-on"))?;
    let request = pb::RecordPaperRequest {
        request_id: request_id(args.request_id.as_ref()),
        sender: args.sender,
        recipient: args.to,
        recipient_name: args.to_name,
        number: args.number,
        notation: args.notation,
        issued_on: args.issued_on.to_string(),
        type_name: args.type_name,
        urgency: words::urgency(args.urgency).into(),
        mandatory: args.mandatory,
        basis: args.basis,
        dispatched_on: args.dispatched_on.unwrap_or(args.issued_on).to_string(),
        withdraw: args.withdraw,
        corrects: args.corrects,
        user: args.person.user,
    };
    let answer = client.exchange().record_paper(request).await?.into_inner();
    let before = if answer.already_recorded { " (was entered before)" } else { "" };
    out(format!("entered, event {}{before}", answer.log_index));
    Ok(Outcome::Done)
}
