//! The agencies' systems, played so that they survive their nodes: every call is tried again after connecting anew,
//! with the same request id, until it is answered; a watch goes on from its cursor. What is answered is remembered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use lienthong::cli::network::{Network, Signers};
use lienthong::cli::scenario::{self, Row};
use lienthong::directory::build::AgencyLine;
use lienthong::domain::{DeliveryId, Origin, Urgency};
use lienthong::ledger::{Clock as _, SystemClock};
use lienthong::merkle::sha256;
use lienthong::rpc::client::NodeClient;
use lienthong::rpc::exchange::collect_fetch;
use lienthong::wire::{envelope, pb, words};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::board::{Acknowledged, Board, What};
use super::line::{Line, is_refusal};

/// Documents and paper entries that a system sends at a time; deliveries that it works on at a time.
const SENDING: usize = 4;
const RECEIVING: usize = 12;
/// One in so many calls is made again although it was answered.
const REPEATED: u64 = 8;

/// The node of every code, old codes included.
pub fn nodes_by_code(agencies: &[AgencyLine]) -> HashMap<String, String> {
    let codes = agencies.iter().flat_map(|a| [(&a.code, &a.node), (&a.legacy_code, &a.node)]);
    codes.filter(|(code, _)| !code.is_empty()).map(|(code, node)| (code.clone(), node.clone())).collect()
}

/// Statuses that a recipient gives: a leader assigns what is urgent; the rest is worked on at once.
pub fn way(urgency: Urgency) -> &'static [pb::Status] {
    use pb::Status::{Accepted, Assigned, Completed, Processing};
    if urgency < Urgency::Normal {
        &[Accepted, Assigned, Processing, Completed]
    } else {
        &[Accepted, Completed]
    }
}

fn id_of(bytes: &[u8]) -> Result<DeliveryId, String> {
    DeliveryId::from_slice(bytes).map_err(|e| e.to_string())
}

/// All systems.
pub struct Play {
    pub board: Board,
    lines: BTreeMap<String, Line>,
    node_of: HashMap<String, String>,
    signers: Signers,
}

impl Play {
    pub fn new(network: &Network, node_of: HashMap<String, String>) -> Play {
        let lines = network.nodes.iter().map(|(n, config)| (n.to_string(), Line::new(&network.dir, config)));
        let lines = lines.collect();
        Play { board: Board::default(), lines, node_of, signers: network.signers.clone() }
    }

    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.values()
    }

    pub fn line(&self, node: &str) -> &Line {
        &self.lines[node]
    }

    /// The node that hosts an agency.
    pub fn node_of(&self, code: &str) -> &str {
        &self.node_of[code]
    }

    pub fn last_failures(&self) -> Vec<String> {
        self.lines().map(Line::last_failure).collect()
    }

    /// Begins to send, to watch and to work on what arrives.
    pub fn start(self: Arc<Self>, rows: &[Row]) -> JoinSet<()> {
        let mut documents: HashMap<_, Vec<Row>> = HashMap::new();
        for row in rows.iter().filter(|r| r.electronic) {
            documents.entry(row.document()).or_default().push(row.clone());
        }
        let sending: BTreeMap<String, Arc<Semaphore>> =
            self.lines.keys().map(|n| (n.clone(), Arc::new(Semaphore::new(SENDING)))).collect();
        let mut tasks = JoinSet::new();
        for row in rows {
            // The document goes with its first row.
            let document = if row.electronic { documents.remove(&row.document()) } else { None };
            let (play, row) = (self.clone(), row.clone());
            let places = sending[self.node_of(&row.sender)].clone();
            tasks.spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let done = async {
                    if let Some(rows) = document {
                        play.board.room().await;
                        play.send(&rows).await?;
                    }
                    if row.paper {
                        play.paper(&row).await?;
                    }
                    Ok(())
                };
                if let Err(error) = done.await {
                    play.board.fail(error);
                }
            });
        }
        for node in self.lines.keys() {
            let (play, node) = (self.clone(), node.clone());
            tasks.spawn(async move {
                if let Err(error) = play.clone().watch(&node).await {
                    play.board.fail(error);
                }
            });
        }
        tasks
    }

    fn acknowledged(&self, node: &str, index: u64, what: What) {
        let entry = Acknowledged { node: node.to_owned(), index, what };
        self.board.with(|s| s.acknowledged.push(entry));
    }

    async fn send(&self, rows: &[Row]) -> Result<(), String> {
        let first = &rows[0];
        let line = self.line(self.node_of(&first.sender));
        let (name, media_type, data) = scenario::document(first);
        let digest = sha256(&data);
        let signatures = self
            .signers
            .sign(&first.sender, digest.as_bytes(), SystemClock.now())
            .map_err(|e| e.to_string())?;
        let header = pb::SendHeader {
            request_id: format!("scenario-{}", first.seq),
            sender: first.sender.clone(),
            recipients: rows.iter().map(|r| r.recipient.clone()).collect(),
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
            user: "văn thư".to_owned(),
            ..pb::SendHeader::default()
        };
        let messages = [
            pb::SendRequest { part: Some(pb::send_request::Part::Header(header)) },
            pb::SendRequest { part: Some(pb::send_request::Part::Data(data.into())) },
        ];
        let call = |c: NodeClient| {
            let messages = messages.clone();
            async move { c.exchange().send(tokio_stream::iter(messages)).await }
        };
        let answer = line.call("send", call).await?.into_inner();
        let mut ids = Vec::new();
        for (result, row) in answer.results.iter().zip(rows) {
            if result.problem.is_some() || result.recipient != row.recipient {
                return Err(format!("seq {}: sent with {result:?}", row.seq));
            }
            ids.push((id_of(&result.delivery_id)?, result.log_index));
        }
        if ids.len() != rows.len() {
            return Err(format!(
                "seq {}: {} of {} recipients were answered",
                first.seq,
                ids.len(),
                rows.len()
            ));
        }
        for (id, index) in &ids {
            self.acknowledged(line.node(), *index, What::Submitted(*id));
        }
        self.board.with(|s| {
            s.documents += 1;
            s.sent.extend(ids.iter().map(|(id, _)| *id));
        });
        if first.seq.is_multiple_of(REPEATED) {
            let again = line.call("send again", call).await?.into_inner();
            let same = again.results.iter().map(|r| (r.delivery_id.to_vec(), r.log_index, r.already_sent));
            let wanted = ids.iter().map(|(id, index)| (id.as_bytes().to_vec(), *index, true));
            if !same.eq(wanted) {
                return Err(format!("seq {}: sent again: {again:?} after {answer:?}", first.seq));
            }
        }
        Ok(())
    }

    async fn paper(&self, row: &Row) -> Result<(), String> {
        let known = self.node_of.contains_key(&row.recipient);
        let recipient = || row.recipient.clone();
        let request = pb::RecordPaperRequest {
            request_id: format!("paper-{}", row.seq),
            sender: row.sender.clone(),
            recipient: if known { recipient() } else { String::new() },
            recipient_name: if known { String::new() } else { recipient() },
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
        let line = self.line(self.node_of(&row.sender));
        let call = |c: NodeClient| {
            let request = request.clone();
            async move { c.exchange().record_paper(request).await }
        };
        let answer = line.call("paper", call).await?.into_inner();
        self.acknowledged(line.node(), answer.log_index, What::Paper(request.request_id.clone()));
        self.board.with(|s| s.papers += 1);
        if row.seq.is_multiple_of(REPEATED) {
            let again = line.call("paper again", call).await?.into_inner();
            if !again.already_recorded || again.log_index != answer.log_index {
                return Err(format!("seq {}: paper again: {again:?} after {answer:?}", row.seq));
            }
        }
        Ok(())
    }

    /// Follows what a node tells, from the cursor on when the stream breaks.
    async fn watch(self: Arc<Self>, node: &str) -> Result<(), String> {
        let line = self.line(node);
        let places = Arc::new(Semaphore::new(RECEIVING));
        let mut cursor = String::new();
        loop {
            let request = pb::WatchRequest { cursor: cursor.clone(), ..pb::WatchRequest::default() };
            let number = line.number().await;
            let call = |c: NodeClient| {
                let request = request.clone();
                async move { c.exchange().watch(request).await }
            };
            let mut items = line.call("watch", call).await?.into_inner();
            loop {
                match items.message().await {
                    Ok(Some(item)) => {
                        cursor.clone_from(&item.cursor);
                        self.clone().told(node, item, &places)?;
                    }
                    Err(status) if is_refusal(&status) => return Err(format!("{node}: watch: {status:?}")),
                    Ok(None) | Err(_) => break,
                }
            }
            line.missed("watch", "the stream ended");
            line.hang_up(number).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn told(
        self: Arc<Self>,
        node: &str,
        item: pb::WatchResponse,
        places: &Arc<Semaphore>,
    ) -> Result<(), String> {
        let (id, index) = (id_of(&item.delivery_id)?, item.log_index);
        match item.kind() {
            pb::WatchKind::Arrived => {
                if let Some(before) = self.board.with(|s| s.arrived.insert(id, index)) {
                    return Err(format!("{node}: {id} arrived at {before} and at {index}"));
                }
                self.acknowledged(node, index, What::ToldArrived(id));
                let (node, places) = (node.to_owned(), places.clone());
                tokio::spawn(async move {
                    let _place = places.acquire_owned().await.unwrap();
                    if let Err(error) = self.receive(&node, &item.agency, id).await {
                        self.board.fail(error);
                    }
                });
            }
            pb::WatchKind::Delivered => self.acknowledged(node, index, What::ToldDelivered(id)),
            pb::WatchKind::Status => {
                self.acknowledged(node, index, What::ToldStatus { target: id, status: item.status });
                if item.status() == pb::Status::Completed
                    && let Some(before) = self.board.with(|s| s.completed.insert(id, index))
                {
                    return Err(format!("{node}: {id} was completed at {before} and at {index}"));
                }
            }
            _ => return Err(format!("{node}: {item:?}")),
        }
        Ok(())
    }

    /// What a recipient's system does with an arrival.
    async fn receive(&self, node: &str, agency: &str, id: DeliveryId) -> Result<(), String> {
        let line = self.line(node);
        let delivery_id = bytes::Bytes::copy_from_slice(id.as_bytes());
        let repeated = u64::from(id.as_bytes()[0]).is_multiple_of(REPEATED);
        let user = "văn thư".to_owned();
        let fetch =
            pb::FetchRequest { agency: agency.to_owned(), delivery_id: delivery_id.clone(), user, offset: 0 };
        let call = |c: NodeClient| {
            let fetch = fetch.clone();
            async move { collect_fetch(c.exchange().fetch(fetch).await?.into_inner()).await }
        };
        let mut tries = 0;
        let urgency = loop {
            tries += 1;
            let (header, data) = line.call("fetch", call).await?;
            self.acknowledged(node, header.log_index, What::Fetched(id));
            let opened = envelope::decode(&header.envelope).map_err(|e| e.to_string())?;
            let lienthong::domain::Body::Document { metadata, .. } = &opened.body else {
                return Err(format!("{id} is no document"));
            };
            let part = &opened.parts()[0];
            if data.len() as u64 == part.size && sha256(&data) == part.sha256 {
                break metadata.urgency;
            }
            // A stream that a kill ended may look complete, and is too short.
            if tries == 10 {
                return Err(format!("{id}: {} bytes instead of {} arrived", data.len(), part.size));
            }
        };
        let acknowledge = pb::AcknowledgeRequest {
            agency: agency.to_owned(),
            delivery_id: delivery_id.clone(),
            user: "văn thư".to_owned(),
        };
        let call = |c: NodeClient| {
            let acknowledge = acknowledge.clone();
            async move { c.exchange().acknowledge(acknowledge).await }
        };
        let index = line.call("acknowledge", call).await?.into_inner().log_index;
        self.acknowledged(node, index, What::HandedOver(id));
        self.board.with(|s| s.replies += 1);
        if repeated {
            let again = line.call("acknowledge again", call).await?.into_inner().log_index;
            if again != index {
                return Err(format!("{id}: acknowledged at {index}, then at {again}"));
            }
        }
        for status in way(urgency) {
            let report = pb::SendStatusRequest {
                request_id: format!("{}-{:02}", &hex::encode(&delivery_id)[..48], *status as i32),
                agency: agency.to_owned(),
                delivery_id: delivery_id.clone(),
                status: (*status).into(),
                user: "chuyên viên".to_owned(),
                ..pb::SendStatusRequest::default()
            };
            let call = |c: NodeClient| {
                let report = report.clone();
                async move { c.exchange().send_status(report).await }
            };
            let answer = line.call("status", call).await?.into_inner();
            if answer.out_of_order {
                return Err(format!("{node}: {id}: {status:?} was out of order"));
            }
            let message = id_of(&answer.delivery_id)?;
            let what = What::Status { message, target: id, status: (*status).into() };
            self.acknowledged(node, answer.log_index, what);
            self.board.with(|s| s.replies += 1);
            if repeated {
                let again = line.call("status again", call).await?.into_inner();
                if again != answer {
                    return Err(format!("{id}: {status:?} again: {again:?} after {answer:?}"));
                }
            }
        }
        self.board.with(|s| s.worked_on.insert(id));
        Ok(())
    }
}

fn metadata(row: &Row) -> pb::Metadata {
    let origin = if row.scanned { Origin::Scanned } else { Origin::BornDigital };
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
        origin: words::origin(origin).into(),
        ..pb::Metadata::default()
    }
}
