//! `demo --documents DIR`: real signed files through the nodes.
//!
//! ```text
//! DIR/documents/     the files; FILE.p7s, FILE.2.p7s beside one are its detached signatures
//! DIR/trust/         root-*.pem and *.crl, which join the demo's trust; seal-<code>.pem, the seals of agencies
//! DIR/expected.csv   columns `file` and `sender`; without it, every file is sent by the first agency with a seal
//! ```
//! Each file is sent to [`RECIPIENT`] with generated metadata. What is invalid is refused by the sender's node; what is
//! unsigned, or signed in one role, arrives for information; what cannot be judged is held there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

use super::systems::Systems;
use crate::cli::dms::{media_type, signatures_beside};
use crate::cli::network::{ExtraTrust, Network};
use crate::cli::send::upload;
use crate::cli::show::columns;
use crate::cli::verify::read_roots;
use crate::cli::{CliError, note, out};
use crate::merkle::sha256;
use crate::rpc::client::NodeClient;
use crate::rpc::tls::read_certificates;
use crate::time::Timestamp;
use crate::wire::{failure, pb, words};

/// Whom the files are sent to.
const RECIPIENT: &str = "G22";
/// Longest wait for an answer from the recipient's node.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that was read.
pub(super) struct Folder {
    files: Vec<File>,
    /// What joins the demo's trust.
    pub trust: ExtraTrust,
}

struct File {
    name: String,
    data: Bytes,
    signatures: Vec<Vec<u8>>,
    sender: String,
}

/// What became of one file.
pub(super) struct Sent {
    file: String,
    sender: String,
    outcome: &'static str,
    person: String,
    agency: String,
    reason: String,
    detail: String,
    delivery_id: String,
}

impl Folder {
    /// Reads the folder.
    pub(super) fn read(dir: &Path) -> Result<Folder, CliError> {
        let trust = read_trust(&dir.join("trust"))?;
        let senders = read_senders(&dir.join("expected.csv"))?;
        let default = trust.seals.first().map(|(code, _)| code.clone());
        let mut files = Vec::new();
        for path in list(&dir.join("documents"))? {
            let name = file_name(&path);
            if name.starts_with('.') || name.ends_with(".p7s") || !path.is_file() {
                continue;
            }
            let data = std::fs::read(&path).map_err(|e| CliError::file("reading", &path, &e))?;
            let signatures = signatures_beside(&path)?;
            let sender = senders.get(&name).cloned().or_else(|| default.clone()).ok_or_else(|| {
                CliError::failed(format!(
                    "{name}: neither expected.csv nor a seal-<code>.pem says who sends it"
                ))
            })?;
            files.push(File { name, data: data.into(), signatures, sender });
        }
        if files.is_empty() {
            let dir = dir.display();
            return Err(CliError::failed(format!(
                "--documents {dir}: there are no files in {dir}/documents"
            )));
        }
        Ok(Folder { files, trust })
    }

    /// Senders of its files; the recipient must be an agency, too.
    pub(super) fn agencies(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|f| f.sender.as_str()).chain([RECIPIENT])
    }

    /// Sends every file and waits for what becomes of it.
    pub(super) async fn send(&self, systems: &Systems, now: Timestamp) -> Result<Vec<Sent>, CliError> {
        let mut all = Vec::new();
        for (i, file) in self.files.iter().enumerate() {
            all.push(file.send(systems.client(&file.sender)?, i + 1, now).await?);
        }
        note(format!("sent {} documents", all.len()));
        Ok(all)
    }
}

impl File {
    async fn send(&self, client: &NodeClient, number: usize, now: Timestamp) -> Result<Sent, CliError> {
        let mut sent = Sent {
            file: self.name.clone(),
            sender: self.sender.clone(),
            outcome: "refused",
            person: "-".to_owned(),
            agency: "-".to_owned(),
            reason: String::new(),
            detail: String::new(),
            delivery_id: String::new(),
        };
        let messages = upload(self.header(number, now), vec![self.data.clone()]);
        let answer = match client.exchange().send(tokio_stream::iter(messages)).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                let rejection = failure::read_status(&status);
                sent.reason = rejection.reason.code().to_owned();
                sent.detail = rejection.message;
                // The message says what was found for each role, where the file could be read.
                if let Some((person, rest)) =
                    sent.detail.strip_prefix("person: ").and_then(|rest| rest.split_once(", agency: "))
                    && let Some((agency, _)) = rest.split_once(": ")
                {
                    (sent.person, sent.agency) = (person.to_owned(), agency.to_owned());
                }
                return Ok(sent);
            }
        };
        let result = answer.results.into_iter().next().unwrap_or_default();
        if let Some(problem) = result.problem {
            return Err(CliError::failed(format!("{}: {}: {}", self.name, problem.reason, problem.message)));
        }
        sent.delivery_id = hex::encode(&result.delivery_id);
        let view = follow(client, &result.delivery_id).await?;
        let verdicts = words::read_verdicts(view.recipient_verdicts.as_ref())?;
        sent.person = verdicts.person.to_string();
        sent.agency = verdicts.agency.to_string();
        sent.reason = verdicts.reason.map_or_else(|| view.reason.clone(), |r| r.to_string());
        sent.outcome = match view.state() {
            pb::DeliveryState::Delivered if verdicts.both_valid() => "delivered",
            pb::DeliveryState::Delivered => "delivered for information",
            pb::DeliveryState::Held => "held",
            pb::DeliveryState::Refused => "refused by the recipient's node",
            _ => "not delivered",
        };
        Ok(sent)
    }

    fn header(&self, number: usize, now: Timestamp) -> pb::SendHeader {
        pb::SendHeader {
            request_id: format!("documents-{number}"),
            sender: self.sender.clone(),
            recipients: vec![RECIPIENT.to_owned()],
            kind: pb::Kind::New.into(),
            metadata: Some(pb::Metadata {
                number: number.to_string(),
                notation: "TL-DEMO".to_owned(),
                place_of_issue: "Bình Dương".to_owned(),
                issued_on: now.date().to_string(),
                type_name: "công văn".to_owned(),
                subject: format!("Tệp {}", self.name).chars().take(500).collect(),
                signer_position: "Thủ trưởng".to_owned(),
                urgency: pb::Urgency::Normal.into(),
                pages: 1,
                copies: 1,
                origin: pb::Origin::BornDigital.into(),
                ..pb::Metadata::default()
            }),
            parts: vec![pb::PartUpload {
                name: self.name.clone(),
                media_type: media_type(Path::new(&self.name)).to_owned(),
                size: self.data.len() as u64,
                sha256: words::digest(&sha256(&self.data)),
                role: pb::PartRole::Main.into(),
                signatures: self.signatures.iter().map(|s| s.clone().into()).collect(),
            }],
            validate_only: false,
            user: "văn thư".to_owned(),
            not_after: 0,
            resume_offset: 0,
        }
    }
}

/// Until the recipient's node has answered.
async fn follow(client: &NodeClient, id: &Bytes) -> Result<pb::DeliveryView, CliError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = pb::TrackRequest { delivery_id: id.clone(), document: None };
        let answer = client.exchange().track(request).await?.into_inner();
        let view = answer.deliveries.into_iter().next().unwrap_or_default();
        if view.state() != pb::DeliveryState::Queued {
            return Ok(view);
        }
        if Instant::now() > deadline {
            return Err(CliError::failed(format!("delivery {} was not answered", hex::encode(id))));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// As a part of the demo's json.
pub(super) fn to_json(all: &[Sent]) -> Value {
    all.iter()
        .map(|s| {
            json!({"file": s.file, "sender": s.sender, "recipient": RECIPIENT, "outcome": s.outcome,
                "person": s.person, "agency": s.agency, "reason": s.reason, "detail": s.detail,
                "legally_effective": s.outcome == "delivered", "delivery_id": s.delivery_id})
        })
        .collect()
}

/// As a table, and what can be done about those that are held.
pub(super) fn print(all: &[Sent], network: &Network, kept: bool) {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|s| {
            let cells = [&s.file, &s.sender, s.outcome, &s.person, &s.agency, &s.reason];
            cells.map(str::to_owned).to_vec()
        })
        .collect();
    out(format!("\nDocuments, sent to {RECIPIENT}:"));
    out(columns(&["file", "sender", "outcome", "person", "agency", "reason"], &rows));
    for s in all.iter().filter(|s| !s.detail.is_empty()) {
        out(format!("{}: {}", s.file, s.detail));
    }
    let held: Vec<&Sent> = all.iter().filter(|s| s.outcome == "held").collect();
    if held.is_empty() {
        return;
    }
    out("\nHeld until the agency decides, or revocation data comes:");
    let home = network.nodes.iter().find(|(name, _)| name.as_str() == network.node_of(RECIPIENT));
    for s in held {
        let config = home.map_or_else(String::new, |(name, _)| {
            format!(" --config {}/{name}/lienthong.toml", network.dir.display())
        });
        let flag = if kept { "" } else { "   (with `--data DIR --keep`)" };
        out(format!("  lienthong release {} --agency {RECIPIENT}{config} [--refuse]{flag}", s.delivery_id));
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = std::fs::read_dir(dir).map_err(|e| CliError::file("reading", dir, &e))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn read_trust(dir: &Path) -> Result<ExtraTrust, CliError> {
    let roots = read_roots(dir)?.iter().map(|root| root.to_vec()).collect();
    let mut trust = ExtraTrust { roots, ..ExtraTrust::default() };
    for path in list(dir)? {
        let name = file_name(&path);
        if name.ends_with(".crl") {
            let bytes = std::fs::read(&path).map_err(|e| CliError::file("reading", &path, &e))?;
            trust.crls.push((name, bytes));
        } else if let Some(code) = name.strip_prefix("seal-").and_then(|n| n.strip_suffix(".pem")) {
            for certificate in read_certificates(&path).map_err(CliError::failed)? {
                trust.seals.push((code.to_owned(), certificate.to_vec()));
            }
        }
    }
    Ok(trust)
}

fn read_senders(path: &Path) -> Result<HashMap<String, String>, CliError> {
    if !path.exists() {
        return Ok(HashMap::new());
    }
    let bad = |e: &dyn std::fmt::Display| CliError::failed(format!("{}: {e}", path.display()));
    let mut reader = csv::Reader::from_path(path).map_err(|e| bad(&e))?;
    let headers = reader.headers().map_err(|e| bad(&e))?.clone();
    let column = |name: &str| headers.iter().position(|h| h == name);
    let (Some(file), Some(sender)) = (column("file"), column("sender")) else {
        return Err(bad(&"it needs the columns `file` and `sender`"));
    };
    let mut senders = HashMap::new();
    for row in reader.records() {
        let row = row.map_err(|e| bad(&e))?;
        if let (Some(file), Some(sender)) = (row.get(file), row.get(sender)) {
            senders.insert(file.to_owned(), sender.to_owned());
        }
    }
    Ok(senders)
}
