//! What a document-management system does, by hand: `send`, `inbox`, `fetch`, `ack`, `respond`, `track`, `watch`,
//! `paper`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::json;

use super::remote::Remote;
use super::show::{columns, time};
use super::{CliError, Format, Outcome, note, notices, out};
use crate::domain::limits::CHUNK_BYTES;
use crate::domain::{Body, DeliveryId, Notice, Status, Urgency};
use crate::ledger::{Clock as _, SystemClock};
use crate::merkle::sha256;
use crate::rpc::exchange::collect_fetch;
use crate::rpc::tls::{read_certificates, read_pkcs8};
use crate::signature::{Signer, SigningKey};
use crate::wire::{envelope, pb, words};

fn bytes_of(id: &DeliveryId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

/// A request id of one's own, when none is given: the time and the process.
pub(super) fn request_id(given: Option<&String>) -> String {
    given.cloned().unwrap_or_else(|| format!("cli-{}-{}", SystemClock.now().millis(), std::process::id()))
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lienthong send letter.pdf --config node/lienthong.toml --sender H09.1 --to H09.2 --to H09.3 \\\n    \
    --number 12 --notation CV-VP --subject \"V/v báo cáo\" --sign person.pem --sign seal.pem\n  \
    (the key is looked for beside the certificate, as person.key; FILE.p7s beside a file is a signature made elsewhere)"
)]
pub struct SendArgs {
    /// The document, then its attachments.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    remote: Remote,
    /// Code of the sending agency.
    #[arg(long)]
    sender: String,
    /// Code of a recipient; may be repeated.
    #[arg(long = "to", required = true)]
    recipients: Vec<String>,
    /// Number in the register.
    #[arg(long)]
    number: String,
    /// Notation.
    #[arg(long)]
    notation: String,
    #[command(flatten)]
    about: AboutArgs,
    /// Number, notation and year of a document of the same sender that this one replaces; needs the agency's seal.
    #[arg(long, value_name = "NUMBER/NOTATION/YEAR")]
    replaces: Option<String>,
    /// Certificate (PEM) to sign with; its key is beside it. May be repeated: a person, then the agency's seal.
    #[arg(long, value_name = "CERT")]
    sign: Vec<PathBuf>,
    /// Idempotency key: the same key and document give the same answer.
    #[arg(long)]
    request_id: Option<String>,
    /// Check everything, send nothing.
    #[arg(long)]
    validate_only: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What a document says of itself, beside its number.
#[derive(Debug, clap::Args)]
pub(super) struct AboutArgs {
    /// Subject.
    #[arg(long)]
    subject: String,
    /// Name of the document type.
    #[arg(long = "type", default_value = "công văn")]
    type_name: String,
    /// Day of issue (sending: today, where it is left out).
    #[arg(long, value_name = "DAY")]
    pub(super) issued_on: Option<crate::time::Date>,
    /// normal, urgent, very_urgent or flash.
    #[arg(long, default_value = "normal")]
    urgency: Urgency,
    /// It was scanned from paper.
    #[arg(long)]
    scanned: bool,
}

impl AboutArgs {
    /// As metadata without number and notation.
    pub(super) fn metadata(&self, issued_on: crate::time::Date) -> pb::Metadata {
        pb::Metadata {
            subject: self.subject.clone(),
            type_name: self.type_name.clone(),
            issued_on: issued_on.to_string(),
            urgency: words::urgency(self.urgency).into(),
            origin: if self.scanned { pb::Origin::Scanned } else { pb::Origin::BornDigital }.into(),
            ..pb::Metadata::default()
        }
    }
}

/// A document as it is typed; notations have slashes of their own at times, numbers and years never.
fn read_replaced(text: &str, sender: &str) -> Result<pb::DocumentRef, CliError> {
    let read = || {
        let (number, rest) = text.split_once('/')?;
        let (notation, year) = rest.rsplit_once('/')?;
        Some(pb::DocumentRef {
            agency: sender.to_owned(),
            number: number.to_owned(),
            notation: notation.to_owned(),
            year: year.parse().ok()?,
        })
    };
    read().ok_or_else(|| {
        CliError::failed(format!("--replaces `{text}`: give NUMBER/NOTATION/YEAR, such as 12/CV-VP/2016"))
    })
}

fn signer(certificate: &Path) -> Result<Signer, CliError> {
    let mut chain = read_certificates(certificate).map_err(CliError::failed)?.into_iter().map(|c| c.to_vec());
    let leaf = chain.next().unwrap_or_default();
    let key =
        SigningKey::from_pkcs8(&read_pkcs8(&certificate.with_extension("key")).map_err(CliError::failed)?)
            .map_err(|e| CliError::file("key beside", certificate, &e))?;
    Signer::new(key, leaf, chain.collect()).map_err(|e| CliError::file("certificate", certificate, &e))
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

/// Sends a document.
pub async fn send(args: SendArgs) -> Result<Outcome, CliError> {
    let signers = args.sign.iter().map(|c| signer(c)).collect::<Result<Vec<_>, _>>()?;
    let now = SystemClock.now();
    let mut parts = Vec::new();
    let mut contents = Vec::new();
    for (i, file) in args.files.iter().enumerate() {
        let data = std::fs::read(file).map_err(|e| CliError::file("reading", file, &e))?;
        let digest = sha256(&data);
        let mut signatures = signatures_beside(file)?;
        for signer in &signers {
            signatures.push(signer.sign_detached(digest.as_bytes(), now).map_err(CliError::failed)?);
        }
        let role = if i == 0 { pb::PartRole::Main } else { pb::PartRole::Attachment };
        parts.push(pb::PartUpload {
            name: file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            media_type: media_type(file).to_owned(),
            size: data.len() as u64,
            sha256: words::digest(&digest),
            role: role.into(),
            signatures: signatures.into_iter().map(Into::into).collect(),
        });
        contents.push(Bytes::from(data));
    }
    let header = pb::SendHeader {
        request_id: request_id(args.request_id.as_ref()),
        sender: args.sender.clone(),
        recipients: args.recipients.clone(),
        kind: if args.replaces.is_some() { pb::Kind::Replace } else { pb::Kind::New }.into(),
        metadata: Some(pb::Metadata {
            number: args.number.clone(),
            notation: args.notation.clone(),
            replaces: args.replaces.as_deref().map(|r| read_replaced(r, &args.sender)).transpose()?,
            ..args.about.metadata(args.about.issued_on.unwrap_or_else(|| now.date()))
        }),
        parts,
        validate_only: args.validate_only,
        user: String::new(),
        not_after: 0,
    };
    let client = args.remote.connect("dms").await?;
    let messages = tokio_stream::iter(upload(header, contents));
    let answer = client.exchange().send(messages).await?.into_inner();
    Ok(print_sent(&args, &answer))
}

/// The messages of one `Send`: the header, then the content of all parts in chunks.
pub(super) fn upload(
    header: pb::SendHeader,
    contents: Vec<Bytes>,
) -> impl Iterator<Item = pb::SendRequest> + Send + 'static {
    use pb::send_request::Part;
    let chunks = contents.into_iter().flat_map(|content| {
        let starts = (0..content.len()).step_by(CHUNK_BYTES);
        starts.map(move |start| content.slice(start..content.len().min(start + CHUNK_BYTES)))
    });
    let parts = std::iter::once(Part::Header(header)).chain(chunks.map(Part::Data));
    parts.map(|part| pb::SendRequest { part: Some(part) })
}

fn print_sent(args: &SendArgs, answer: &pb::SendResponse) -> Outcome {
    let verdicts = words::read_verdicts(answer.verdicts.as_ref()).ok();
    let all = answer.results.iter().all(|r| r.problem.is_none());
    if args.format == Format::Json {
        let results: Vec<_> = answer
            .results
            .iter()
            .map(|r| {
                json!({"recipient": r.recipient, "delivery_id": hex::encode(&r.delivery_id), "log_index": r.log_index,
                    "already_sent": r.already_sent,
                    "problem": r.problem.as_ref().map(|p| json!({"reason": p.reason, "message": p.message}))})
            })
            .collect();
        out(json!({"results": results}));
    } else {
        if let Some(v) = verdicts {
            let effect = if v.both_valid() { "equal to paper" } else { "for information" };
            out(format!("signatures: person {}, agency {}: {effect}", v.person.as_str(), v.agency.as_str()));
        }
        for r in &answer.results {
            match &r.problem {
                Some(p) => out(format!("{}: NOT SENT: {}: {}", r.recipient, p.reason, p.message)),
                None if args.validate_only => out(format!("{}: would be sent", r.recipient)),
                None => {
                    let before = if r.already_sent { " (was sent before)" } else { "" };
                    out(format!("{}: delivery {}{before}", r.recipient, hex::encode(&r.delivery_id)));
                }
            }
        }
    }
    if all { Outcome::Done } else { Outcome::No }
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

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lienthong fetch ID --config node/lienthong.toml --agency H09.2 --to ./incoming"
)]
pub struct FetchArgs {
    /// Delivery.
    id: DeliveryId,
    #[command(flatten)]
    remote: Remote,
    /// Code of the agency.
    #[arg(long)]
    agency: String,
    /// Folder for the files and their signatures.
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
}

/// Fetches a delivery's files.
pub async fn fetch(args: FetchArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("dms").await?;
    let request = pb::FetchRequest {
        agency: args.agency.clone(),
        delivery_id: bytes_of(&args.id),
        user: String::new(),
    };
    let (header, data) = collect_fetch(client.exchange().fetch(request).await?.into_inner()).await?;
    let opened = envelope::decode(&header.envelope)?;
    std::fs::create_dir_all(&args.to).map_err(|e| CliError::file("creating", &args.to, &e))?;
    let mut at = 0usize;
    let mut signatures = header.signatures.iter();
    for part in opened.parts() {
        let end = at + part.size as usize;
        let bytes = data.get(at..end).filter(|b| sha256(b) == part.sha256).ok_or_else(|| {
            CliError::failed(format!(
                "`{}` did not arrive as its sender signed it: fetch it again",
                part.name
            ))
        })?;
        at = end;
        // Checked at both nodes to be no path.
        let path = args.to.join(&part.name);
        write_new(&path, bytes)?;
        out(format!("{} ({} bytes, SHA-256 {})", path.display(), part.size, part.sha256));
        for n in 1..=part.signatures.len() {
            let path = if n == 1 {
                path.with_added_extension("p7s")
            } else {
                path.with_added_extension(format!("{n}.p7s"))
            };
            write_new(&path, signatures.next().map_or(&[], |s| s.as_ref()))?;
            out(format!("  signature {}", path.display()));
        }
    }
    for update in &header.updates {
        if let Body::Notice(Notice { metadata: Some(metadata), .. }) = envelope::decode(update)?.body {
            out(format!("updated: subject \"{}\", issued on {}", metadata.subject, metadata.issued_on));
        }
    }
    out(if header.legally_effective {
        "equal to paper: both signatures are valid"
    } else {
        "for information only"
    });
    note(format!(
        "not yet acknowledged: `lienthong ack {} --agency {} …` before {}",
        args.id,
        args.agency,
        time(header.lease_until)
    ));
    Ok(Outcome::Done)
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
    id: DeliveryId,
    #[command(flatten)]
    remote: Remote,
    /// Code of the agency.
    #[arg(long)]
    agency: String,
}

/// Acknowledges a delivery.
pub async fn ack(args: AckArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("dms").await?;
    let request =
        pb::AcknowledgeRequest { agency: args.agency, delivery_id: bytes_of(&args.id), user: String::new() };
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
    id: DeliveryId,
    #[command(flatten)]
    remote: Remote,
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
        delivery_id: bytes_of(&args.id),
        refuse: args.refuse,
        user: String::new(),
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
    id: DeliveryId,
    /// 02 refused, 03 accepted, 04 assigned, 05 processing, 06 completed; 15 agreed or 16 refused, to what the sender asks;
    /// 15 says of a revoked document that it was cancelled.
    status: Status,
    #[command(flatten)]
    remote: Remote,
    /// Code of the agency.
    #[arg(long)]
    agency: String,
    /// Why; required for 02 and 16.
    #[arg(long, default_value = "")]
    reason: String,
    /// For 15 and 16: the message that is answered, where more than one is open (`track` and `watch` name it).
    #[arg(long, value_name = "ID")]
    answers: Option<DeliveryId>,
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
    let request = pb::SendStatusRequest {
        request_id: request_id(args.request_id.as_ref()),
        agency: args.agency,
        delivery_id: bytes_of(&args.id),
        status: words::status(args.status).into(),
        reason: args.reason,
        office: args.office,
        answers: args.answers.as_ref().map_or_else(Bytes::new, bytes_of),
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
#[command(after_help = "Examples:\n  lienthong track --delivery ID --config node/lienthong.toml\n  \
    lienthong track --sender H09.1 --number 12 --notation CV-VP --year 2016 --config node/lienthong.toml")]
pub struct TrackArgs {
    #[command(flatten)]
    remote: Remote,
    /// Delivery.
    #[arg(long, value_name = "ID", required_unless_present = "number")]
    delivery: Option<DeliveryId>,
    /// Code of the document's sender.
    #[arg(long, requires = "number", default_value = "")]
    sender: String,
    /// Its number.
    #[arg(long, requires_all = ["notation", "year", "sender"])]
    number: Option<String>,
    /// Its notation.
    #[arg(long)]
    notation: Option<String>,
    /// Its year.
    #[arg(long)]
    year: Option<i32>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Shows where a delivery, or all deliveries of a document, stand.
pub async fn track(args: TrackArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("dms").await?;
    let document = args.number.as_ref().map(|number| pb::DocumentRef {
        agency: args.sender.clone(),
        number: number.clone(),
        notation: args.notation.clone().unwrap_or_default(),
        year: args.year.unwrap_or_default(),
    });
    let request =
        pb::TrackRequest { delivery_id: args.delivery.as_ref().map_or_else(Bytes::new, bytes_of), document };
    let answer = client.exchange().track(request).await?.into_inner();
    let views = answer.deliveries;
    if args.format == Format::Json {
        let list: Vec<_> = views.iter().map(view_json).collect();
        out(serde_json::to_string_pretty(&list).unwrap_or_default());
        return Ok(Outcome::Done);
    }
    for v in &views {
        let state = state_name(v);
        out(format!(
            "{}  {} → {}  {}/{} ({}), attempt {}",
            hex::encode(&v.delivery_id),
            v.sender,
            v.recipient,
            v.number,
            v.notation,
            v.year,
            v.attempt
        ));
        if v.submitted_at > 0 {
            out(format!("  {}  submitted, event {}", time(v.submitted_at), v.submitted_index));
        }
        if v.settled_at > 0 {
            let reason = if v.reason.is_empty() { String::new() } else { format!(": {}", v.reason) };
            out(format!("  {}  {state}{reason}, event {}", time(v.settled_at), v.settled_index));
        } else {
            out(format!("  {state}: waits: {}; tried until {}", v.waiting_for, time(v.not_after)));
        }
        for s in &v.statuses {
            let flag = if s.out_of_order { " (out of order)" } else { "" };
            out(format!("  {}  status {:02}{flag}, event {}", time(s.at), s.status, s.log_index));
        }
        notices::lines(v).iter().for_each(out);
    }
    Ok(Outcome::Done)
}

fn state_name(v: &pb::DeliveryView) -> &'static str {
    words::read_delivery_state(v.state).map_or("?", |s| s.as_str())
}

fn view_json(v: &pb::DeliveryView) -> serde_json::Value {
    let statuses: Vec<_> = v
        .statuses
        .iter()
        .map(|s| json!({"status": format!("{:02}", s.status), "at": time(s.at), "out_of_order": s.out_of_order}))
        .collect();
    let (asked, ended) = notices::json(v);
    json!({
        "kind": words::read_kind(v.kind).map_or("?", |k| k.as_str()), "asked": asked, "ended": ended,
        "document_digest": hex::encode(&v.document_digest),
        "delivery_id": hex::encode(&v.delivery_id), "sender": v.sender, "recipient": v.recipient,
        "number": v.number, "notation": v.notation, "year": v.year, "attempt": v.attempt, "state": state_name(v),
        "reason": v.reason, "submitted_at": time(v.submitted_at), "settled_at": time(v.settled_at),
        "peer": v.peer, "statuses": statuses, "waiting_for": v.waiting_for,
    })
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
    after_help = "Example:\n  lienthong paper --config node/lienthong.toml --sender H09.1 --to H09.2 --number 12 \\\n    \
    --notation CV-VP --issued-on 2016-03-04 --mandatory --basis \"Danh mục 2\""
)]
pub struct PaperArgs {
    #[command(flatten)]
    remote: Remote,
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
    /// Withdraw the entry.
    #[arg(long)]
    withdraw: bool,
    /// Idempotency key.
    #[arg(long)]
    request_id: Option<String>,
}

/// Enters a dispatch on paper.
pub async fn paper(args: PaperArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("dms").await?;
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
        user: String::new(),
    };
    let answer = client.exchange().record_paper(request).await?.into_inner();
    let before = if answer.already_recorded { " (was entered before)" } else { "" };
    out(format!("entered, event {}{before}", answer.log_index));
    Ok(Outcome::Done)
}
