//! `send`: a document from files, streamed, and gone on with where it broke.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;

use super::dms::{media_type, request_id, signatures_beside};
use super::remote::Remote;
use super::{CliError, Format, Outcome, note, out};
use crate::domain::Urgency;
use crate::domain::limits::CHUNK_BYTES;
use crate::ledger::{Clock as _, SystemClock};
use crate::merkle::Hash;
use crate::rpc::client::NodeClient;
use crate::rpc::tls::{read_certificates, read_pkcs8};
use crate::signature::{DigestNeeds, Hasher, Signer, SigningKey};
use crate::wire::{failure, pb, words};

/// Tries in a row that may bring nothing.
const TRIES: u32 = 6;
/// Wait before the second; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);

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

/// Sends a document. What breaks on the way goes on where the node has it.
pub async fn send(args: SendArgs) -> Result<Outcome, CliError> {
    let signers = args.sign.iter().map(|c| signer(c)).collect::<Result<Vec<_>, _>>()?;
    let now = SystemClock.now();
    let mut parts = Vec::new();
    for (i, file) in args.files.iter().enumerate() {
        let (size, digest) = hash_file(file).map_err(|e| CliError::file("reading", file, &e))?;
        let mut signatures = signatures_beside(file)?;
        for signer in &signers {
            signatures.push(signer.sign_detached(digest.as_bytes(), now).map_err(CliError::failed)?);
        }
        let role = if i == 0 { pb::PartRole::Main } else { pb::PartRole::Attachment };
        parts.push(pb::PartUpload {
            name: file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            media_type: media_type(file).to_owned(),
            size,
            sha256: words::digest(&digest),
            role: role.into(),
            signatures: signatures.into_iter().map(Into::into).collect(),
        });
    }
    let total: u64 = parts.iter().map(|p| p.size).sum();
    let mut header = pb::SendHeader {
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
        ..pb::SendHeader::default()
    };
    let mut client = args.remote.connect("dms").await?;
    if args.request_id.is_some() && !args.validate_only {
        // The same command may have been broken off before.
        header.resume_offset = durable(&client, &header).await?;
        if header.resume_offset > 0 {
            note(format!("an earlier try broke off: going on at byte {} of {total}", header.resume_offset));
        }
    }
    let mut tries = Tries::default();
    loop {
        let (messages, receiver) = tokio::sync::mpsc::channel(2);
        let reading = tokio::task::spawn_blocking({
            let (header, files) = (header.clone(), args.files.clone());
            move || read_messages(header, &files, &messages)
        });
        let sent = client.exchange().send(ReceiverStream::new(receiver)).await;
        // Of a file that cannot be read any more the node knows only that no more came.
        reading.await.map_err(CliError::failed)??;
        let status = match sent {
            Ok(answer) => return Ok(print_sent(&args, &answer.into_inner())),
            Err(status) => status,
        };
        (client, header.resume_offset) = loop {
            tries.wait(&status, header.resume_offset).await?;
            let Ok(client) = args.remote.connect("dms").await else { continue };
            match durable(&client, &header).await {
                Ok(offset) => break (client, offset),
                Err(status) if is_broken(&status) => {}
                Err(status) => return Err(status.into()),
            }
        };
        note(format!("the connection broke: going on at byte {} of {total}", header.resume_offset));
    }
}

/// How many bytes of this upload the node has.
async fn durable(client: &NodeClient, header: &pb::SendHeader) -> Result<u64, tonic::Status> {
    let (sender, request_id) = (header.sender.clone(), header.request_id.clone());
    let request = pb::GetUploadRequest { sender, request_id };
    Ok(client.exchange().get_upload(request).await?.into_inner().durable_offset)
}

/// Size and digest of a file.
pub(super) fn hash_file(path: &Path) -> std::io::Result<(u64, Hash)> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Hasher::new(DigestNeeds::SHA256);
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut size = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok((size, Hash(hasher.finish().sha256)));
        }
        hasher.update(&buffer[..n]);
        size += n as u64;
    }
}

/// Reads the messages of one `Send`, from where the header says, until nobody takes them any more.
fn read_messages(
    header: pb::SendHeader,
    files: &[PathBuf],
    messages: &tokio::sync::mpsc::Sender<pb::SendRequest>,
) -> Result<(), CliError> {
    use pb::send_request::Part;
    let mut offset = header.resume_offset;
    let sizes: Vec<u64> = header.parts.iter().map(|p| p.size).collect();
    let send = |part| messages.blocking_send(pb::SendRequest { part: Some(part) }).is_ok();
    if !send(Part::Header(header)) {
        return Ok(());
    }
    for (path, size) in files.iter().zip(sizes) {
        let failed = |e: std::io::Error| CliError::file("reading", path, &e);
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let skipped = offset.min(size);
        offset -= skipped;
        file.seek(SeekFrom::Start(skipped)).map_err(failed)?;
        let mut left = size - skipped;
        while left > 0 {
            let mut data = vec![0; left.min(CHUNK_BYTES as u64) as usize];
            file.read_exact(&mut data).map_err(failed)?;
            left -= data.len() as u64;
            if !send(Part::Data(data.into())) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Whether a call failed because the way to the node broke, or the node is being started again; or stands where the
/// node does not.
pub(super) fn is_broken(status: &tonic::Status) -> bool {
    use crate::domain::Reason::{BadOffset, Idle, PeerUnreachable, Stopping, StorageFailed};
    let reason = failure::read_status(status).reason;
    matches!(reason, BadOffset | Idle | PeerUnreachable | Stopping | StorageFailed)
}

/// Tries in a row that brought nothing.
#[derive(Default)]
pub(super) struct Tries {
    count: u32,
    offset: u64,
}

impl Tries {
    /// Waits before the next try; gives up when `TRIES` brought nothing, or another would not either.
    pub(super) async fn wait(&mut self, status: &tonic::Status, offset: u64) -> Result<(), CliError> {
        if !is_broken(status) {
            return Err(status.clone().into());
        }
        if offset > self.offset {
            (self.count, self.offset) = (0, offset);
        }
        self.count += 1;
        if self.count > TRIES {
            return Err(CliError::failed(format!(
                "{}; given up after {TRIES} tries: the same command with the same --request-id goes on where this stopped",
                failure::explain(status)
            )));
        }
        tokio::time::sleep(FIRST_WAIT * 2u32.pow(self.count - 1)).await;
        Ok(())
    }
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
