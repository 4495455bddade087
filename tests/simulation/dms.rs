//! The systems of the agencies: they send, again and again until they are answered, and take in what comes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lienthong::domain::fold::records::{FeedKind, IncomingState};
use lienthong::domain::{
    AgencyId, DeliveryId, DocumentKey, Kind, Metadata, Origin, PartRole, Reason, Rejection, RequestId,
    Status, Urgency,
};
use lienthong::exchange::handover::{InboxEntry, Notification};
use lienthong::exchange::intake::{Header, PartHeader, Receipt};
use lienthong::exchange::status::Report;
use lienthong::exchange::{Caller, Exchange};
use lienthong::merkle::{Hash, leaf_hash, sha256};
use lienthong::time::Timestamp;

use crate::dice::Dice;
use crate::fixture::{FIXTURE, agencies, dms, start};
use crate::observer::triple;
use crate::world::World;

/// All systems of a run.
pub struct Systems {
    world: Arc<World>,
    dice: Dice,
    /// Tasks that have something to do yet.
    busy: AtomicUsize,
    over: AtomicBool,
    /// What was told to a node's agencies, in the order in which it came: index, agency, delivery.
    told: Mutex<BTreeMap<usize, Vec<Told>>>,
    /// Up to where each node has told: one asks at a time.
    cursors: Vec<tokio::sync::Mutex<u64>>,
}

type Told = (u64, AgencyId, DeliveryId);

/// A document to send.
#[derive(Clone)]
pub struct Doc {
    pub at: usize,
    pub header: Header,
    pub content: Bytes,
}

/// How often something that cannot succeed is tried: for ever would hang a run that has failed.
const TRIES: u32 = 2_000;

impl Systems {
    /// For a world.
    pub fn new(world: Arc<World>, dice: Dice) -> Arc<Systems> {
        let cursors = world.nodes.iter().map(|_| tokio::sync::Mutex::default()).collect();
        let (busy, over, told) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::default());
        Arc::new(Systems { world, dice, busy, over, told, cursors })
    }

    /// Whether somebody has something to do yet.
    pub fn are_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    /// Nothing more is taken in.
    pub fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        self.busy.fetch_add(1, Ordering::Relaxed);
        let systems = self.clone();
        tokio::spawn(async move {
            task.await;
            systems.busy.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// A document by chance, from an agency of a node.
    pub fn document(&self, number: u64) -> Doc {
        let (dice, nodes) = (&self.dice, self.world.nodes.len() as u64);
        let at = dice.below(nodes) as usize;
        let sender = dice.pick(&agencies(at)).clone();
        let mut recipients: Vec<String> = Vec::new();
        for _ in 0..*dice.pick(&[1, 1, 1, 2, 3]) {
            let to = dice.pick(&agencies(dice.below(nodes) as usize)).clone();
            if to != sender && !recipients.contains(&to) {
                recipients.push(to);
            }
        }
        if recipients.is_empty() {
            recipients.push(agencies((at + 1) % nodes as usize)[0].clone());
        }
        let (content, signatures) = match dice.below(20) {
            0..3 => FIXTURE.signed[&sender].clone(),
            // Too large for a message: it is pulled.
            3 if dice.chance(500) => (vec![number as u8; 300 * 1024].into(), Vec::new()),
            // Too large for a record: a file of its own.
            3 => (vec![number as u8; (1 << 20) + 1].into(), Vec::new()),
            _ => (format!("<document number=\"{number}\"/>").into(), Vec::new()),
        };
        let until = dice.chance(500).then(|| start().plus_millis(dice.between(5_000, 80_000) as i64));
        let header = Header {
            request_id: RequestId::from_client(&format!("request-{number}")).unwrap(),
            sender,
            recipients,
            kind: Kind::New,
            metadata: metadata(&number.to_string(), *dice.pick(&Urgency::ALL)),
            parts: vec![PartHeader {
                name: "a.xml".to_owned(),
                media_type: "application/xml".to_owned(),
                size: content.len() as u64,
                sha256: sha256(&content),
                role: PartRole::Main,
                signatures,
            }],
            validate_only: false,
            user: String::new(),
            not_after: until,
            resume_offset: 0,
        };
        Doc { at, header, content }
    }

    /// Sends a document after a while, until it is answered.
    pub fn send(self: &Arc<Self>, doc: Doc, after: Duration) {
        let systems = self.clone();
        self.spawn(async move {
            tokio::time::sleep(after).await;
            if systems.dice.chance(150) {
                // An impatient one, twice at once.
                let (again, doc) = (systems.clone(), doc.clone());
                systems.spawn(async move { again.sent(&doc).await });
            }
            systems.sent(&doc).await;
        });
    }

    async fn sent(self: &Arc<Self>, doc: &Doc) {
        let rough = || self.world.is_rough.load(Ordering::Relaxed);
        for _ in 0..TRIES {
            let taken = doc.clone();
            let answer = self.world.call(doc.at, move |exchange, _| async move {
                let receipt = take(&exchange, taken).await?;
                let ids = receipt.sent.iter().filter_map(|s| s.outcome.clone().ok());
                ids.map(|(id, index, _)| Ok((id, index, leaf(&exchange, index)?))).collect()
            });
            match answer.await {
                // The answer came and was lost in the system itself: it asks again.
                Some(Ok(_)) if rough() && self.dice.chance(100) => {}
                Some(Ok(sent)) => return self.taken(doc, sent),
                Some(Err(rejection)) if self.is_final(doc.at, &rejection) => return,
                _ => {}
            }
            tokio::time::sleep(self.dice.millis(100, 3_000)).await;
        }
        self.world.violate(format!("{} is never taken", doc.header.request_id));
    }

    /// A system was answered: its document is in the log, to every recipient.
    fn taken(self: &Arc<Self>, doc: &Doc, sent: Vec<(DeliveryId, u64, Hash)>) {
        if sent.len() != doc.header.recipients.len() {
            self.world.violate(format!("{}: {} answers", doc.header.request_id, sent.len()));
        }
        self.world.note(format_args!("{} is taken, {} deliveries", doc.header.request_id, sent.len()));
        for ((id, index, leaf), recipient) in sent.into_iter().zip(&doc.header.recipients) {
            self.world.acknowledged(doc.at, index, leaf);
            let observer = self.world.nodes[doc.at].observer.lock().unwrap();
            let about = observer.outgoing.get(&id).and_then(|o| triple(&o.item));
            drop(observer);
            let right = about.is_some_and(|(sender, key, to)| {
                (sender.as_str(), &key, to.as_str())
                    == (doc.header.sender.as_str(), &doc.header.metadata.key, recipient.as_str())
            });
            if self.dice.chance(150) {
                // The sender thinks better of it.
                let (systems, at, code) = (self.clone(), doc.at, doc.header.sender.clone());
                self.spawn(async move {
                    tokio::time::sleep(systems.dice.millis(0, 30_000)).await;
                    systems.reported(at, &code, id, Status::TakeBackRequested).await;
                });
            }
            if !right {
                self.world
                    .violate(format!("{} is answered with {id} of something else", doc.header.request_id));
            }
        }
    }

    /// Whether asking again changes nothing.
    fn is_final(&self, at: usize, rejection: &Rejection) -> bool {
        self.world.refused(at, rejection);
        !(rejection.reason.is_temporary() || rejection.reason == Reason::StorageFull)
    }

    /// Takes in what comes to the agencies of a node.
    pub fn take_in(self: &Arc<Self>, at: usize) {
        let systems = self.clone();
        tokio::spawn(async move {
            let mut known = BTreeMap::new();
            while !systems.over.load(Ordering::Relaxed) {
                // Less often when nothing goes wrong any more: it may take an hour.
                let most = if systems.world.is_rough.load(Ordering::Relaxed) { 3_000 } else { 20_000 };
                tokio::time::sleep(systems.dice.millis(200, most)).await;
                for code in agencies(at) {
                    systems.inbox(at, &code, &mut known).await;
                }
                systems.watch(at).await;
            }
        });
    }

    async fn inbox(self: &Arc<Self>, at: usize, code: &str, known: &mut BTreeMap<DeliveryId, bool>) {
        let code = code.to_owned();
        let of = code.clone();
        let entries = self.world.call(at, move |exchange, _| async move {
            exchange.inbox(&Caller::new(dms()), &of, 0, 100).map(|(entries, _)| entries)
        });
        let Some(Ok(entries)) = entries.await else { return };
        for InboxEntry { id, record, .. } in entries {
            if known.get(&id) == Some(&true) {
                self.world.violate(format!("{id} was acknowledged and is offered again"));
            }
            if record.state == IncomingState::Held {
                if self.dice.chance(30) {
                    self.release(at, &code, id).await;
                }
                continue;
            }
            if !self.fetched(at, &code, id).await || self.dice.chance(150) {
                // Not acknowledged: it is offered again.
                continue;
            }
            let acknowledge = || {
                let of = code.clone();
                self.world.call(at, move |exchange, _| async move {
                    let index = exchange.acknowledge(&Caller::new(dms()), &of, id, "").await?;
                    Ok((index, leaf(&exchange, index)?))
                })
            };
            let twice = self.dice.chance(100);
            let done = if twice { tokio::join!(acknowledge(), acknowledge()).1 } else { acknowledge().await };
            match done {
                Some(Ok((index, leaf))) => {
                    self.world.acknowledged(at, index, leaf);
                    known.insert(id, true);
                    self.report(at, &code, id);
                }
                Some(Err(rejection)) => {
                    self.is_final(at, &rejection);
                }
                None => {}
            }
        }
    }

    async fn release(&self, at: usize, code: &str, id: DeliveryId) {
        let (code, refuse) = (code.to_owned(), self.dice.chance(300));
        let released = self.world.call(at, move |exchange, _| async move {
            let index = exchange.release(&Caller::new(dms()), &code, id, refuse, "").await?;
            Ok((index, leaf(&exchange, index)?))
        });
        match released.await {
            Some(Ok((index, leaf))) => self.world.acknowledged(at, index, leaf),
            Some(Err(rejection)) => drop(self.is_final(at, &rejection)),
            None => {}
        }
    }

    /// Fetches a document and compares it with its envelope; false when it must be tried again.
    async fn fetched(&self, at: usize, code: &str, id: DeliveryId) -> bool {
        let code = code.to_owned();
        let opened = self.world.call(at, move |exchange, _| async move {
            let opened = exchange.fetch(&Caller::new(dms()), &code, id, "").await?;
            let content = exchange.ledger().content();
            let there =
                opened.content.content_digests().iter().all(|d| matches!(content.get(d), Ok(Some(_))));
            Ok((opened.index, leaf(&exchange, opened.index)?, there))
        });
        match opened.await {
            Some(Ok((index, leaf, there))) => {
                self.world.acknowledged(at, index, leaf);
                if !there {
                    self.world.violate(format!("content of {id} is missing"));
                }
                true
            }
            Some(Err(rejection)) => {
                self.is_final(at, &rejection);
                false
            }
            None => false,
        }
    }

    /// Reports how the work goes on.
    fn report(self: &Arc<Self>, at: usize, code: &str, id: DeliveryId) {
        use Status::{Accepted, Assigned, Completed, Processing, Refused};
        let course: &[Status] = match self.dice.below(6) {
            0 => &[],
            1 => &[Refused],
            2 => &[Accepted, Completed],
            3 => &[Accepted, Assigned, Processing, Completed],
            // Out of order: flagged, and not lost.
            4 => &[Processing, Accepted],
            _ => &[Accepted],
        };
        let (systems, code) = (self.clone(), code.to_owned());
        self.spawn(async move {
            for status in course {
                tokio::time::sleep(systems.dice.millis(0, 4_000)).await;
                systems.reported(at, &code, id, *status).await;
            }
        });
    }

    async fn reported(&self, at: usize, code: &str, id: DeliveryId, status: Status) {
        let request = format!("{status}-{}", &id.to_string()[..32]);
        for _ in 0..TRIES {
            let report = Report {
                request_id: RequestId::from_client(&request).unwrap(),
                agency: code.to_owned(),
                delivery_id: id,
                status,
                answers: None,
                reason: "lý do".to_owned(),
                office: String::new(),
                officer: String::new(),
                user: String::new(),
            };
            let done = self.world.call(at, move |exchange, _| async move {
                let reported = exchange.report_status(&Caller::new(dms()), report).await?;
                Ok((reported.index, leaf(&exchange, reported.index)?))
            });
            match done.await {
                Some(Ok((index, leaf))) => return self.world.acknowledged(at, index, leaf),
                Some(Err(rejection)) if self.is_final(at, &rejection) => return,
                _ => tokio::time::sleep(self.dice.millis(100, 3_000)).await,
            }
        }
        self.world.violate(format!("status {status} of {id} is never taken"));
    }

    /// Follows what a node tells its agencies; whether it told anything.
    async fn watch(self: &Arc<Self>, at: usize) -> bool {
        let mut cursor = self.cursors[at].lock().await;
        let (from, limit) = (*cursor, self.dice.between(1, 6) as usize);
        let Some(Ok(items)) = self.notifications(at, from, limit).await else { return false };
        let any = !items.is_empty();
        let mut all = self.told.lock().unwrap();
        let told = all.entry(at).or_default();
        for Notification { index, agency, delivery_id, kind, .. } in items {
            if index < from {
                self.world.violate(format!("a watch from {from} tells of event {index}"));
            }
            *cursor = index + 1;
            if kind == FeedKind::Status(Status::TakeBackRequested) {
                let agrees = self.dice.chance(600);
                let status = if agrees { Status::TakeBackAgreed } else { Status::TakeBackRefused };
                let (systems, code) = (self.clone(), agency.as_str().to_owned());
                self.spawn(async move { systems.reported(at, &code, delivery_id, status).await });
            }
            told.push((index, agency, delivery_id));
        }
        any
    }

    async fn notifications(
        &self,
        at: usize,
        from: u64,
        limit: usize,
    ) -> Option<Result<Vec<Notification>, Rejection>> {
        let call = move |exchange: Exchange, _| async move {
            exchange.notifications(&agencies(at).map(|code| AgencyId::new(&code).unwrap()), from, limit)
        };
        self.world.call(at, call).await
    }

    /// Follows every node to where it stands.
    pub async fn follow(self: &Arc<Self>) {
        for at in 0..self.world.nodes.len() {
            while self.watch(at).await {}
        }
    }

    /// Whoever followed a node piece by piece knows what one knows who reads all of it now.
    pub async fn followed_all(self: &Arc<Self>) {
        for at in 0..self.world.nodes.len() {
            let Some(Ok(all)) = self.notifications(at, 0, 100_000).await else {
                return self.world.violate("a node does not answer at the end".to_owned());
            };
            let all: Vec<Told> = all.into_iter().map(|n| (n.index, n.agency, n.delivery_id)).collect();
            let told = self.told.lock().unwrap().get(&at).cloned().unwrap_or_default();
            if all != told {
                self.world.violate(format!("a watch of node {at} told {} of {}", told.len(), all.len()));
            }
        }
    }
}

async fn take(exchange: &Exchange, doc: Doc) -> Result<Receipt, Rejection> {
    let mut upload = exchange.begin_send(&Caller::new(dms()), doc.header).await?;
    for piece in doc.content.chunks(200 * 1024) {
        upload.write(Bytes::copy_from_slice(piece)).await?;
        tokio::task::yield_now().await;
    }
    upload.finish().await
}

/// Hash of a leaf that the node speaks of.
fn leaf(exchange: &Exchange, index: u64) -> Result<Hash, Rejection> {
    let leaf = exchange.ledger().leaf(index)?;
    leaf.map(|leaf| leaf_hash(&leaf)).ok_or_else(|| Rejection::new(Reason::Damaged, "", "no such leaf"))
}

fn metadata(number: &str, urgency: Urgency) -> Metadata {
    let issued_on = Timestamp::date(start());
    Metadata {
        key: DocumentKey::new(number, "CV", 2016).unwrap(),
        place_of_issue: String::new(),
        issued_on,
        issued_at: None,
        type_code: String::new(),
        type_name: "công văn".to_owned(),
        subject: "Thử".to_owned(),
        summary: String::new(),
        signer_name: String::new(),
        signer_position: String::new(),
        signer_authority: String::new(),
        urgency,
        due_on: None,
        pages: 1,
        copies: 1,
        places_received: Vec::new(),
        origin: Origin::BornDigital,
        response_for: Vec::new(),
        replaces: None,
    }
}
