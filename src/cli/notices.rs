//! What a sender says later about a document that it sent: `revoke`, `update`, `take-back`; and how that is shown.
//!
//! A revoke and an update carry the agency's seal over a statement that the node gives. It is made here with the seal's
//! key, or elsewhere: `--print-statement` prints the exact bytes, `--signature` takes what was made of them.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::dms::request_id;
use super::named::Named;
use super::remote::Remote;
use super::send::AboutArgs;
use super::show::time;
use super::sign::signer;
use super::{CliError, Outcome, note, out};
use crate::ledger::{Clock as _, SystemClock};
use crate::merkle::sha256;
use crate::rpc::client::NodeClient;
use crate::wire::{pb, words};

/// What was sent, and who says something about it.
#[derive(Debug, clap::Args)]
struct SentArgs {
    /// Delivery.
    id: Named,
    #[command(flatten)]
    remote: Remote,
    /// Code of the agency that sent it.
    #[arg(long)]
    agency: String,
    /// Idempotency key.
    #[arg(long)]
    request_id: Option<String>,
}

/// The agency's seal over the statement.
#[derive(Debug, clap::Args)]
struct SealArgs {
    /// The seal's certificate (PEM), its chain after it.
    #[arg(long, value_name = "CERT")]
    seal: Option<PathBuf>,
    /// The seal's key (PEM, PKCS#8; default: beside the certificate, as CERT with the ending .key).
    #[arg(long, value_name = "KEY", requires = "seal")]
    seal_key: Option<PathBuf>,
    /// A signature over the statement that was made elsewhere (detached CAdES, DER); may be repeated.
    #[arg(long, value_name = "P7S")]
    signature: Vec<PathBuf>,
    /// Print the statement, the exact bytes that the seal must be over, and send nothing.
    #[arg(long)]
    print_statement: bool,
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lienthong revoke ID --config node/lienthong.toml --agency H09.1 --reason \"Ban hành nhầm\" \\\n    \
    --seal seal.pem --seal-key seal.key\n  \
    lienthong revoke ID --config node/lienthong.toml --agency H09.1 --reason \"Ban hành nhầm\" --print-statement > s.txt\n  \
    lienthong revoke ID --config node/lienthong.toml --agency H09.1 --reason \"Ban hành nhầm\" --signature s.txt.p7s"
)]
pub struct RevokeArgs {
    #[command(flatten)]
    sent: SentArgs,
    /// Why.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    seal: SealArgs,
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lienthong update ID --config node/lienthong.toml --agency H09.1 --issued-on 2016-03-04 \\\n    \
    --subject \"V/v báo cáo quý I\" --seal seal.pem --seal-key seal.key\n  \
    (all metadata are given as they shall be; number, notation and year stay)"
)]
pub struct UpdateArgs {
    #[command(flatten)]
    sent: SentArgs,
    #[command(flatten)]
    about: AboutArgs,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    seal: SealArgs,
}

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lienthong take-back ID --config node/lienthong.toml --agency H09.1 --reason \"Gửi nhầm nơi nhận\"\n  \
    (the recipient answers 15 or 16; a revoke needs no agreement, and the agency's seal)"
)]
pub struct TakeBackArgs {
    #[command(flatten)]
    sent: SentArgs,
    /// Why.
    #[arg(long)]
    reason: String,
}

/// Revokes a document.
pub async fn revoke(args: RevokeArgs) -> Result<Outcome, CliError> {
    let client = args.sent.remote.connect("dms").await?;
    let request = pb::SendNoticeRequest {
        request_id: request_id(args.sent.request_id.as_ref()),
        agency: args.sent.agency,
        kind: pb::Kind::Revoke.into(),
        delivery_id: words::id(&args.sent.id.find(&client).await?),
        reason: args.reason,
        ..pb::SendNoticeRequest::default()
    };
    send(&client, request, &args.seal).await
}

/// Corrects a document's metadata.
pub async fn update(args: UpdateArgs) -> Result<Outcome, CliError> {
    let client = args.sent.remote.connect("dms").await?;
    let delivery_id = words::id(&args.sent.id.find(&client).await?);
    let track = pb::TrackRequest { delivery_id: delivery_id.clone(), document: None };
    let view = client.exchange().track(track).await?.into_inner().deliveries.into_iter().next();
    let view = view.ok_or_else(|| CliError::failed("the node knows no such delivery"))?;
    let issued_on = args.about.issued_on.ok_or_else(|| {
        CliError::failed(
            "--issued-on is needed: an update says all metadata anew, the day of issue with them",
        )
    })?;
    let request = pb::SendNoticeRequest {
        request_id: request_id(args.sent.request_id.as_ref()),
        agency: args.sent.agency,
        kind: pb::Kind::Update.into(),
        delivery_id,
        reason: args.reason,
        metadata: Some(pb::Metadata {
            number: view.number,
            notation: view.notation,
            ..args.about.metadata(issued_on)
        }),
        ..pb::SendNoticeRequest::default()
    };
    send(&client, request, &args.seal).await
}

/// Has the statement sealed and sends the notice, or prints the statement.
async fn send(
    client: &NodeClient,
    mut request: pb::SendNoticeRequest,
    seal: &SealArgs,
) -> Result<Outcome, CliError> {
    for file in &seal.signature {
        request.signatures.push(std::fs::read(file).map_err(|e| CliError::file("reading", file, &e))?.into());
    }
    if seal.print_statement || seal.seal.is_some() {
        let asked = pb::SendNoticeRequest { statement_only: true, ..request.clone() };
        let statement = client.exchange().send_notice(asked).await?.into_inner().statement;
        if seal.print_statement {
            let text = String::from_utf8_lossy(&statement).into_owned();
            // The line feed that ends the statement is the one that `out` adds.
            out(text.strip_suffix('\n').unwrap_or(&text));
            return Ok(Outcome::Done);
        }
        if let Some(certificate) = &seal.seal {
            let key = seal.seal_key.clone().unwrap_or_else(|| certificate.with_extension("key"));
            let signer = signer(&key, certificate, &[])?;
            let made = signer.sign_detached(sha256(&statement).as_bytes(), SystemClock.now());
            request.signatures.push(made.map_err(CliError::failed)?.into());
        }
    }
    let answer = client.exchange().send_notice(request).await?.into_inner();
    let before = if answer.already_sent { " (was sent before)" } else { "" };
    out(format!("message {}, event {}{before}", hex::encode(&answer.delivery_id), answer.log_index));
    note("`lienthong track ID` with this id shows what becomes of it");
    Ok(Outcome::Done)
}

/// Asks to take a document back (13).
pub async fn take_back(args: TakeBackArgs) -> Result<Outcome, CliError> {
    let client = args.sent.remote.connect("dms").await?;
    let request = pb::SendStatusRequest {
        request_id: request_id(args.sent.request_id.as_ref()),
        agency: args.sent.agency,
        delivery_id: words::id(&args.sent.id.find(&client).await?),
        status: pb::Status::TakeBackRequested.into(),
        reason: args.reason,
        ..pb::SendStatusRequest::default()
    };
    let answer = client.exchange().send_status(request).await?.into_inner();
    out(format!("status 13 recorded, event {}; the recipient answers 15 or 16", answer.log_index));
    Ok(Outcome::Done)
}

/// What a sender asked about a delivery and what took it out of force: when, in which event, and a line without the time.
pub(super) fn lines(view: &pb::DeliveryView) -> Vec<(i64, u64, String)> {
    let mut lines = Vec::new();
    for a in &view.asked {
        let answer = if a.answer_index > 0 { format!(", event {}", a.answer_index) } else { String::new() };
        let (ask, state, id) = (ask(a), state(a), hex::encode(&a.delivery_id));
        let line = format!("{ask} asked, event {}: {state}{answer}  {id}", a.log_index);
        lines.push((a.at, a.log_index, line));
    }
    if let Some(end) = &view.ended {
        let (by, id) = (ended_by(end.by()), hex::encode(&end.delivery_id));
        let line = format!("NO LONGER IN FORCE: {by}, event {}, by {id}", end.log_index);
        lines.push((end.at, end.log_index, line));
    }
    lines
}

/// The same for a program: `asked` and `ended`.
pub(super) fn json(view: &pb::DeliveryView) -> (Value, Value) {
    let asked = view.asked.iter().map(|a| {
        json!({"ask": ask(a), "delivery_id": hex::encode(&a.delivery_id), "state": state(a), "at": time(a.at),
            "log_index": a.log_index, "answer_index": a.answer_index})
    });
    let ended = view.ended.as_ref().map(|e| {
        json!({"by": ended_by(e.by()), "delivery_id": hex::encode(&e.delivery_id), "at": time(e.at),
            "log_index": e.log_index})
    });
    (asked.collect(), json!(ended))
}

fn ask(a: &pb::AskView) -> &'static str {
    words::read_ask(a.ask).map_or("?", |ask| ask.as_str())
}

fn state(a: &pb::AskView) -> &'static str {
    words::read_ask_state(a.state).map_or("?", |state| state.as_str())
}

/// The word for what took a document out of force; nothing while it is in force.
pub(super) fn ended_by(by: pb::EndedBy) -> &'static str {
    words::read_ended_by(by.into()).map_or("", |by| by.as_str())
}
