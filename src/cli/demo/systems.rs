//! The agencies' document-management systems, played: one client per node, for all agencies of that node.
//!
//! A system sends its agencies' documents and enters their paper; it watches for arrivals, fetches each, checks the
//! content against its digest, acknowledges, and reports 03, sometimes 04 and 05, and 06. The sender's system sees
//! receipts and statuses come back; a delivery is finished when 06 has come.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::cli::CliError;
use crate::cli::network::{Network, Signers};
use crate::cli::scenario::{self, Row};
use crate::directory::build::AgencyLine;
use crate::domain::{Origin, Urgency};
use crate::merkle::sha256;
use crate::rpc::client::NodeClient;
use crate::rpc::exchange::collect_fetch;
use crate::time::Timestamp;
use crate::wire::{envelope, pb, words};

/// Longest wait for a day's deliveries to be finished.
const DAY_LIMIT: Duration = Duration::from_secs(120);

/// All systems.
pub(super) struct Systems {
    clients: BTreeMap<String, NodeClient>,
    node_of: HashMap<String, String>,
    signers: Signers,
    board: Arc<Board>,
}

/// What is under way, and what went wrong.
#[derive(Default)]
struct Board {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// When each open delivery was sent; a delivery ends with status 06.
    open: HashMap<Vec<u8>, Instant>,
    /// Status 06 may be seen before the answer to the send was.
    early: HashMap<Vec<u8>, Early>,
    delivery_ms: Vec<u64>,
    error: Option<String>,
}

#[derive(Default)]
struct Early {
    delivered: Option<Instant>,
    completed: bool,
}

impl Board {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let result = f(&mut self.state.lock().expect("no holder of this lock panics"));
        self.changed.notify_waiters();
        result
    }

    fn sent(&self, id: Vec<u8>, at: Instant) {
        self.with(|s| {
            let early = s.early.remove(&id).unwrap_or_default();
            if let Some(delivered) = early.delivered {
                s.delivery_ms.push(delivered.duration_since(at).as_millis() as u64);
            }
            if !early.completed {
                s.open.insert(id, at);
            }
        });
    }

    fn delivered(&self, id: &[u8]) {
        let now = Instant::now();
        self.with(|s| match s.open.get(id) {
            Some(at) => s.delivery_ms.push(now.duration_since(*at).as_millis() as u64),
            None => s.early.entry(id.to_vec()).or_default().delivered = Some(now),
        });
    }

    fn completed(&self, id: &[u8]) {
        self.with(|s| {
            if s.open.remove(id).is_none() {
                s.early.entry(id.to_vec()).or_default().completed = true;
            }
        });
    }

    fn fail(&self, what: impl std::fmt::Display) {
        self.with(|s| {
            s.error.get_or_insert_with(|| what.to_string());
        });
    }
}

impl Systems {
    /// Connects a system to each node and begins to watch.
    pub(super) async fn start(network: &Network, agencies: &[AgencyLine]) -> Result<Systems, CliError> {
        let board = Arc::new(Board::default());
        let mut clients = BTreeMap::new();
        for name in network.nodes.keys() {
            let client = network.connect(name, "dms").await.map_err(CliError::failed)?;
            tokio::spawn(watch(client.clone(), board.clone()));
            clients.insert(name.to_string(), client);
        }
        let mut node_of = HashMap::new();
        for agency in agencies {
            for code in [&agency.code, &agency.legacy_code] {
                node_of.insert(code.clone(), agency.node.clone());
            }
        }
        Ok(Systems { clients, node_of, signers: network.signers.clone(), board })
    }

    pub(super) fn client(&self, agency: &str) -> Result<&NodeClient, CliError> {
        self.node_of
            .get(agency)
            .and_then(|node| self.clients.get(node))
            .ok_or_else(|| CliError::failed(format!("no node hosts the sender {agency}")))
    }

    /// Plays one day to its end.
    pub(super) async fn day(&mut self, rows: Vec<Row>, now: Timestamp) -> Result<(), CliError> {
        let mut documents: BTreeMap<(String, String, String, i32), Vec<Row>> = BTreeMap::new();
        for row in &rows {
            documents.entry(row.document()).or_default().push(row.clone());
        }
        // Per node one bulk stream, as a system with much to send would.
        let mut bulk: BTreeMap<String, Vec<pb::SendManyRequest>> = BTreeMap::new();
        for recipients in documents.values() {
            let electronic: Vec<&Row> = recipients.iter().filter(|r| r.electronic).collect();
            if let Some(first) = electronic.first() {
                let request = self.request(first, &electronic, now)?;
                let node = self.node_of.get(&first.sender).cloned().unwrap_or_default();
                bulk.entry(node).or_default().push(request);
            }
        }
        for (node, requests) in bulk {
            let client =
                self.clients.get(&node).ok_or_else(|| CliError::failed(format!("no node {node}")))?;
            self.send(client, requests).await?;
        }
        for row in rows.iter().filter(|r| r.paper) {
            self.paper(row).await?;
        }
        self.wait().await
    }

    fn request(
        &self,
        first: &Row,
        recipients: &[&Row],
        now: Timestamp,
    ) -> Result<pb::SendManyRequest, CliError> {
        let (name, media_type, data) = scenario::document(first);
        let digest = sha256(&data);
        let signatures = self.signers.sign(&first.sender, digest.as_bytes(), now)?;
        let header = pb::SendHeader {
            request_id: format!("scenario-{}", first.seq),
            sender: first.sender.clone(),
            recipients: recipients.iter().map(|r| r.recipient.clone()).collect(),
            kind: pb::Kind::New.into(),
            metadata: Some(metadata(first)),
            parts: vec![pb::PartUpload {
                name,
                media_type: media_type.to_owned(),
                size: data.len() as u64,
                sha256: words::digest(&digest),
                role: pb::PartRole::Main.into(),
                signatures: signatures.into_iter().map(Into::into).collect(),
            }],
            validate_only: false,
            user: "văn thư".to_owned(),
            not_after: 0,
            resume_offset: 0,
        };
        Ok(pb::SendManyRequest { header: Some(header), data: data.into() })
    }

    async fn send(&self, client: &NodeClient, requests: Vec<pb::SendManyRequest>) -> Result<(), CliError> {
        use pb::send_many_response::Outcome;
        let expected = requests.len();
        let (sender, receiver) = mpsc::channel(expected.max(1));
        let started = Instant::now();
        for request in requests {
            let _ = sender.send(request).await;
        }
        drop(sender);
        let mut answers = client.exchange().send_many(ReceiverStream::new(receiver)).await?.into_inner();
        let mut seen = 0;
        while let Some(answer) = answers.message().await? {
            seen += 1;
            match answer.outcome {
                Some(Outcome::Sent(sent)) => {
                    for result in sent.results {
                        if let Some(p) = result.problem {
                            let to = result.recipient;
                            return Err(CliError::failed(format!(
                                "{}: {to}: {}: {}",
                                answer.request_id, p.reason, p.message
                            )));
                        }
                        self.board.sent(result.delivery_id.to_vec(), started);
                    }
                }
                Some(Outcome::Problem(p)) => {
                    let id = answer.request_id;
                    return Err(CliError::failed(format!("{id}: {}: {}: {}", p.reason, p.field, p.message)));
                }
                None => return Err(CliError::failed("a node gave an empty answer")),
            }
        }
        if seen == expected {
            return Ok(());
        }
        Err(CliError::failed(format!("{seen} of {expected} documents were answered")))
    }

    async fn paper(&self, row: &Row) -> Result<(), CliError> {
        let known = self.node_of.contains_key(&row.recipient);
        let request = pb::RecordPaperRequest {
            request_id: format!("paper-{}", row.seq),
            sender: row.sender.clone(),
            recipient: if known { row.recipient.clone() } else { String::new() },
            recipient_name: if known { String::new() } else { row.recipient.clone() },
            number: row.number.clone(),
            notation: row.notation.clone(),
            issued_on: row.issued_on.to_string(),
            type_name: row.type_name.clone(),
            urgency: words::urgency(row.urgency).into(),
            mandatory: row.mandatory,
            basis: if row.mandatory {
                "danh mục bắt buộc bản giấy".to_owned()
            } else {
                String::new()
            },
            dispatched_on: row.issued_on.to_string(),
            withdraw: false,
            corrects: None,
            user: "văn thư".to_owned(),
        };
        self.client(&row.sender)?.exchange().record_paper(request).await?;
        Ok(())
    }

    /// Until every delivery sent so far is finished.
    async fn wait(&self) -> Result<(), CliError> {
        let deadline = Instant::now() + DAY_LIMIT;
        loop {
            let changed = self.board.changed.notified();
            let (open, error) = self.board.with_quietly(|s| (s.open.len(), s.error.clone()));
            if let Some(error) = error {
                return Err(CliError::failed(error));
            }
            if open == 0 {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CliError::failed(format!(
                    "{open} deliveries were not finished within {} s",
                    DAY_LIMIT.as_secs()
                )));
            }
            let _ = tokio::time::timeout(left.min(Duration::from_millis(200)), changed).await;
        }
    }

    /// From sending to the receipt, in milliseconds, sorted.
    pub(super) fn delivery_times(&self) -> Vec<u64> {
        let mut times = self.board.with_quietly(|s| s.delivery_ms.clone());
        times.sort_unstable();
        times
    }
}

impl Board {
    fn with_quietly<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().expect("no holder of this lock panics"))
    }
}

fn metadata(row: &Row) -> pb::Metadata {
    pb::Metadata {
        number: row.number.clone(),
        notation: row.notation.clone(),
        place_of_issue: "Bình Dương".to_owned(),
        issued_on: row.issued_on.to_string(),
        type_name: row.type_name.clone(),
        subject: row.subject.clone(),
        signer_position: "Thủ trưởng".to_owned(),
        urgency: words::urgency(row.urgency).into(),
        pages: 1,
        copies: 1,
        origin: words::origin(if row.scanned { Origin::Scanned } else { Origin::BornDigital }).into(),
        ..pb::Metadata::default()
    }
}

/// Follows what the node tells; every arrival is handled by a task of its own.
async fn watch(client: NodeClient, board: Arc<Board>) {
    let mut items = match client.exchange().watch(pb::WatchRequest::default()).await {
        Ok(items) => items.into_inner(),
        Err(status) => return board.fail(CliError::from(status)),
    };
    loop {
        let item = match items.message().await {
            Ok(Some(item)) => item,
            Ok(None) => return,
            Err(status) => return board.fail(CliError::from(status)),
        };
        match item.kind() {
            pb::WatchKind::Arrived => {
                let (client, board) = (client.clone(), board.clone());
                tokio::spawn(async move {
                    if let Err(error) = receive(&client, &item.agency, item.delivery_id).await {
                        board.fail(error);
                    }
                });
            }
            pb::WatchKind::Delivered => board.delivered(&item.delivery_id),
            pb::WatchKind::Status if item.status() == pb::Status::Completed => {
                board.completed(&item.delivery_id);
            }
            // Held is neither delivered nor over.
            pb::WatchKind::Status | pb::WatchKind::Held => {}
            kind => board.fail(format!(
                "delivery {} ended as {}: {}",
                hex::encode(&item.delivery_id),
                kind.as_str_name(),
                item.reason
            )),
        }
    }
}

/// What a recipient's system does with an arrival.
async fn receive(client: &NodeClient, agency: &str, delivery_id: bytes::Bytes) -> Result<(), CliError> {
    let mut exchange = client.exchange();
    let fetch = pb::FetchRequest {
        agency: agency.to_owned(),
        delivery_id: delivery_id.clone(),
        user: "văn thư".to_owned(),
        offset: 0,
    };
    let (header, data) = collect_fetch(exchange.fetch(fetch).await?.into_inner()).await?;
    let opened = envelope::decode(&header.envelope)?;
    let mut at = 0;
    for part in opened.parts() {
        let end = at + part.size as usize;
        let intact = data.get(at..end).is_some_and(|bytes| sha256(bytes) == part.sha256);
        if !intact {
            return Err(CliError::failed(format!("`{}` did not arrive as it was signed", part.name)));
        }
        at = end;
    }
    let acknowledge = pb::AcknowledgeRequest {
        agency: agency.to_owned(),
        delivery_id: delivery_id.clone(),
        user: "văn thư".to_owned(),
    };
    exchange.acknowledge(acknowledge).await?;
    let urgency = match &opened.body {
        crate::domain::Body::Document { metadata, .. } => metadata.urgency,
        crate::domain::Body::Notice(_) => Urgency::Normal,
    };
    // A leader assigns what is urgent; the rest is worked on at once.
    let way: &[pb::Status] = if urgency < Urgency::Normal {
        &[pb::Status::Accepted, pb::Status::Assigned, pb::Status::Processing, pb::Status::Completed]
    } else {
        &[pb::Status::Accepted, pb::Status::Completed]
    };
    for status in way {
        let report = pb::SendStatusRequest {
            request_id: format!("{}-{:02}", &hex::encode(&delivery_id)[..48], *status as i32),
            agency: agency.to_owned(),
            delivery_id: delivery_id.clone(),
            status: (*status).into(),
            user: "chuyên viên".to_owned(),
            ..pb::SendStatusRequest::default()
        };
        let answer = exchange.send_status(report).await?.into_inner();
        if answer.out_of_order {
            return Err(CliError::failed(format!("status {} was out of order", *status as i32)));
        }
    }
    Ok(())
}
