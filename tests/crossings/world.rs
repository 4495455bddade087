//! Two nodes as their state machines alone: commands are decided and applied on a map in memory, and a test carries
//! messages and proofs between them by hand, in any order.

use std::collections::BTreeMap;

use lienthong::domain::decide::{
    Arrival, Command, Declined, Place, Prepared, answered, decide, next_attempt, notice_state,
};
use lienthong::domain::event::{
    Actor, DocumentFacts, Event, EventKind, Item, Judged, Level, LogRef, NoticeFacts, Parties, RoleVerdicts,
    Scope, Stated, Subject,
};
use lienthong::domain::fold::records::{Asked, Ended, Incoming, Outgoing};
use lienthong::domain::fold::{self, Records, View, ViewError, keys, load};
use lienthong::domain::ids::{AgencyId, DeliveryId, DocumentKey, NodeName, RequestId};
use lienthong::domain::ratio::Counters;
use lienthong::domain::{
    Answer, Ask, AskState, DeliveryState, EndedBy, Kind, Origin, Reason, Rejection, Status, Urgency,
};
use lienthong::merkle::sha256;
use lienthong::report::{Each, Query, ReportError, Source, engine};
use lienthong::signature::Verdict;
use lienthong::time::Timestamp;

/// The sender's agency, at node a, and the recipient's, at node b.
pub const SENDER: &str = "H01.1";
pub const RECIPIENT: &str = "H01.22";
const START: i64 = 1_470_600_000_000;

pub fn agency(id: &str) -> AgencyId {
    AgencyId::new(id).unwrap()
}

fn key(number: &str) -> DocumentKey {
    DocumentKey::new(number, "CV-VP", 2016).unwrap()
}

fn parties(from: &str, to: &str) -> Parties {
    Parties {
        sender: agency(from),
        sender_code: from.into(),
        recipient: Some(agency(to)),
        recipient_code: to.into(),
        sender_registered: agency(from),
        recipient_registered: Some(agency(to)),
        sender_level: Level::Department,
        recipient_level: Some(Level::District),
        scope: Scope::InProvince,
        direction: None,
    }
}

/// What either node says, sender's first.
pub type Both<T> = (Vec<T>, Vec<T>);

/// One node: its log and what it means.
pub struct Side {
    name: &'static str,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    pub log: Vec<Event>,
}

impl Records for Side {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.records.get(key).cloned())
    }
}

impl Source for Side {
    fn scan(&self, prefix: &[u8], from: &[u8], f: &mut Each<'_>) -> Result<(), ReportError> {
        for (key, value) in self.records.range(from.to_vec()..).take_while(|(key, _)| key.starts_with(prefix))
        {
            if !f(key, value)? {
                break;
            }
        }
        Ok(())
    }
}

impl View for Side {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.records.insert(key, value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.records.remove(key);
    }
}

impl Side {
    fn new(name: &'static str) -> Side {
        Side { name, records: BTreeMap::new(), log: Vec::new() }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(START + self.log.len() as i64 * 1_000)
    }

    fn commit(&mut self, command: Command) -> Result<(Answer, u64), Rejection> {
        let most = command.most_events();
        let decision = match decide(command, self) {
            Ok(decision) => decision,
            Err(Declined::Rejected(rejection)) => return Err(rejection),
            Err(other) => panic!("{other}"),
        };
        assert!(decision.events.len() <= most);
        let first = self.log.len() as u64;
        for kind in decision.events {
            let index = self.log.len() as u64;
            let event = Event {
                at: self.now(),
                salt: [0; 16],
                actor: decision.actor.clone(),
                directory_version: 1,
                directory_expired: false,
                kind,
            };
            // What the fold sees is what the log keeps.
            let bytes = lienthong::wire::leaf::encode(&event).unwrap();
            assert_eq!(lienthong::wire::leaf::decode(&bytes).unwrap(), event);
            fold::apply(self, index, &event).unwrap();
            self.log.push(event);
        }
        Ok((decision.answer, first))
    }

    fn recorded(&mut self, command: Command) -> Result<u64, Rejection> {
        let (answer, first) = self.commit(command)?;
        Ok(match answer {
            Answer::Recorded(Place::Existing(index)) => index,
            Answer::Recorded(Place::New(offset)) => first + offset as u64,
            Answer::Sent(_) => panic!("one event was expected"),
        })
    }

    fn place(&self, index: u64) -> LogRef {
        LogRef { log: format!("{}/log/1", self.name), index, leaf_hash: sha256(&index.to_be_bytes()) }
    }

    pub fn outgoing(&self, id: &DeliveryId) -> Outgoing {
        load(self, &keys::outgoing(id)).unwrap().unwrap()
    }

    pub fn incoming(&self, id: &DeliveryId) -> Incoming {
        load(self, &keys::incoming(id)).unwrap().unwrap()
    }

    /// What waits in the recipient's inbox.
    pub fn inbox(&self) -> usize {
        let prefix = keys::inbox_of(&agency(RECIPIENT));
        let bitmaps = self.records.iter().filter(|(key, _)| key.starts_with(&prefix));
        bitmaps.map(|(_, value)| fold::read_bitmap(value).unwrap().count_ones() as usize).sum()
    }

    /// What counts.
    pub fn counters(&self) -> Counters {
        let figures = engine::figures(self, &Query::default()).unwrap();
        figures.first().map_or(Counters::default(), |figure| figure.counters)
    }

    fn forget_nothing(&self) {
        // The state is what the log gives, from nothing.
        let mut again = Side::new(self.name);
        for (index, event) in self.log.iter().enumerate() {
            fold::apply(&mut again, index as u64, event).unwrap();
        }
        assert!(again.records == self.records, "node {}: the recount differs", self.name);
    }
}

/// Both nodes.
pub struct World {
    pub a: Side,
    pub b: Side,
    requests: u32,
}

/// How the recipient's node judges an arrival.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    Valid,
    Hold,
    Refuse(Reason),
}

const VALID: RoleVerdicts = RoleVerdicts { person: Verdict::Valid, agency: Verdict::Valid, reason: None };

impl World {
    pub fn new() -> World {
        World { a: Side::new("a"), b: Side::new("b"), requests: 0 }
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId::new(&format!("r{}", self.requests)).unwrap()
    }

    fn submit(&mut self, item: Item, from_a: bool) -> Result<(DeliveryId, bool), Rejection> {
        let request_id = self.request();
        let side = if from_a { &mut self.a } else { &mut self.b };
        let prepared = Prepared {
            item,
            content_digests: vec![],
            content_size: 0,
            verdicts: VALID,
            judged: Judged::default(),
            not_after: Timestamp::from_millis(START + 1_000_000_000),
            peer: NodeName::new(if from_a { "b" } else { "a" }).unwrap(),
        };
        let actor = Actor { client: "dms".into(), user: String::new() };
        let (answer, first) =
            side.commit(Command::Submit { actor, request_id, deliveries: vec![prepared] })?;
        let Answer::Sent(sent) = answer else { panic!("a submission is answered so") };
        let index = match sent[0].1 {
            Place::Existing(index) => index,
            Place::New(offset) => first + offset as u64,
        };
        let id = side.log[index as usize].kind.delivery_id().unwrap();
        Ok((id, matches!(sent[0].1, Place::Existing(_))))
    }

    /// The sender sends a document; `content` makes it another one under the same number.
    pub fn send(
        &mut self,
        number: &str,
        content: &str,
        replaces: Option<&str>,
    ) -> Result<DeliveryId, Rejection> {
        let kind = if replaces.is_some() { Kind::Replace } else { Kind::New };
        let (from, to) = (agency(SENDER), agency(RECIPIENT));
        let attempt = next_attempt(&self.a, &from, &key(number), &to).unwrap();
        let delivery_id = DeliveryId::of_document(&from, kind.number(), &key(number), &to, attempt);
        let item = Item {
            delivery_id,
            envelope_digest: sha256(format!("{number} {content} {attempt}").as_bytes()),
            attempt,
            parties: parties(SENDER, RECIPIENT),
            subject: Subject::Document(DocumentFacts {
                kind,
                key: key(number),
                document_digest: sha256(format!("{number} {content}").as_bytes()),
                type_name: "công văn".into(),
                urgency: Urgency::Normal,
                issued_on: Timestamp::from_millis(START).date(),
                issued_at: None,
                origin: Origin::BornDigital,
                replaces: replaces.map(key),
            }),
        };
        self.submit(item, true).map(|(id, _)| id)
    }

    /// A document that is delivered, receipt and all.
    pub fn delivered(&mut self, number: &str) -> DeliveryId {
        let id = self.send(number, "x", None).unwrap();
        self.carry(&id);
        id
    }

    fn notice(&self, target: &DeliveryId, from_a: bool, status: Option<Status>, kind: Kind) -> NoticeFacts {
        let (side, who) = if from_a { (&self.a, SENDER) } else { (&self.b, RECIPIENT) };
        let state = notice_state(side, &agency(who), target).unwrap();
        NoticeFacts {
            kind,
            target: *target,
            message_number: state.notices + 1,
            status,
            out_of_order: false,
            sent_at: side.now(),
            stated: None,
            answers: None,
            after_end: state.after_end(),
        }
    }

    fn send_notice(&mut self, notice: NoticeFacts, from_a: bool) -> Result<(DeliveryId, bool), Rejection> {
        let (from, to) = if from_a { (SENDER, RECIPIENT) } else { (RECIPIENT, SENDER) };
        let id = DeliveryId::of_notice(
            &agency(from),
            notice.kind.number(),
            &notice.target,
            notice.message_number,
            &agency(to),
        );
        let item = Item {
            delivery_id: id,
            envelope_digest: sha256(format!("envelope of {id}").as_bytes()),
            attempt: 1,
            parties: parties(from, to),
            subject: Subject::Notice(notice),
        };
        self.submit(item, from_a)
    }

    fn sealed(
        &mut self,
        target: &DeliveryId,
        kind: Kind,
        says: &str,
    ) -> Result<(DeliveryId, bool), Rejection> {
        let mut notice = self.notice(target, true, None, kind);
        let facts = self.a.outgoing(target).facts;
        notice.stated = Some(Stated {
            key: facts.key.unwrap(),
            document_digest: facts.document_digest.unwrap(),
            statement: sha256(says.as_bytes()),
        });
        self.send_notice(notice, true)
    }

    /// The sender revokes; whether that was recorded before.
    pub fn revoke(&mut self, target: &DeliveryId) -> Result<(DeliveryId, bool), Rejection> {
        self.sealed(target, Kind::Revoke, "revoke")
    }

    /// Another agency, at the recipient's node, revokes what is not its own; it is taken, and means nothing.
    pub fn revoke_by_another(&mut self, target: &DeliveryId) {
        let other = "H01.99";
        let stated = Stated {
            key: key("1"),
            document_digest: self.a.outgoing(target).facts.document_digest.unwrap(),
            statement: sha256(b"revoke"),
        };
        let notice = NoticeFacts {
            kind: Kind::Revoke,
            target: *target,
            message_number: 1,
            status: None,
            out_of_order: false,
            sent_at: self.b.now(),
            stated: Some(stated),
            answers: None,
            after_end: false,
        };
        let id = DeliveryId::of_notice(&agency(other), Kind::Revoke.number(), target, 1, &agency(RECIPIENT));
        let arrival = Arrival {
            first: None,
            item: Item {
                delivery_id: id,
                envelope_digest: sha256(b"another"),
                attempt: 1,
                parties: parties(other, RECIPIENT),
                subject: Subject::Notice(notice),
            },
            content_digests: vec![],
            verdicts: VALID,
            judged: Judged::default(),
            held: false,
            refused: None,
            origin: LogRef { log: "c/log/1".into(), index: 0, leaf_hash: sha256(b"leaf") },
            origin_proof: sha256(b"proof"),
            peer: NodeName::new("c").unwrap(),
        };
        let actor = Actor { client: "c".into(), user: String::new() };
        self.b.recorded(Command::Accept { actor, arrival: Box::new(arrival) }).unwrap();
        assert_eq!(self.b.incoming(&id).reason, None);
    }

    /// The sender updates.
    pub fn update(&mut self, target: &DeliveryId, says: &str) -> Result<(DeliveryId, bool), Rejection> {
        self.sealed(target, Kind::Update, says)
    }

    /// The sender asks to take it back (13).
    pub fn take_back(&mut self, target: &DeliveryId) -> Result<(DeliveryId, bool), Rejection> {
        let notice = self.notice(target, true, Some(Status::TakeBackRequested), Kind::Status);
        self.send_notice(notice, true)
    }

    /// The recipient reports; 15 and 16 answer `answers`, or what is open.
    pub fn report(
        &mut self,
        target: &DeliveryId,
        status: Status,
        answers: Option<DeliveryId>,
    ) -> Result<DeliveryId, Rejection> {
        let mut notice = self.notice(target, false, Some(status), Kind::Status);
        if status.is_answer() {
            notice.answers = answered(&self.b.incoming(target).asked, answers)?;
        }
        self.send_notice(notice, false).map(|(id, _)| id)
    }

    fn sides(&mut self, from_a: bool) -> (&mut Side, &mut Side) {
        if from_a { (&mut self.a, &mut self.b) } else { (&mut self.b, &mut self.a) }
    }

    /// The other node takes a message: what its log says, and where.
    pub fn arrive(&mut self, id: &DeliveryId, judge: Judge) -> Result<u64, Rejection> {
        let from_a = load::<Outgoing>(&self.a, &keys::outgoing(id)).unwrap().is_some();
        let (from, to) = self.sides(from_a);
        let record = from.outgoing(id);
        let EventKind::Submitted { item, .. } = from.log[record.submitted_index as usize].kind.clone() else {
            panic!("a message is submitted");
        };
        let arrival = Arrival {
            first: None,
            item,
            content_digests: vec![],
            verdicts: VALID,
            judged: Judged::default(),
            held: judge == Judge::Hold,
            refused: if let Judge::Refuse(reason) = judge { Some(reason) } else { None },
            origin: from.place(record.submitted_index),
            origin_proof: sha256(b"proof"),
            peer: NodeName::new(from.name).unwrap(),
        };
        let actor = Actor { client: from.name.into(), user: String::new() };
        to.recorded(Command::Accept { actor, arrival: Box::new(arrival) })
    }

    /// The node of origin gets the newest proof of what became of it.
    pub fn answer(&mut self, id: &DeliveryId) {
        let from_a = load::<Outgoing>(&self.a, &keys::outgoing(id)).unwrap().is_some();
        let (_, to) = self.sides(from_a);
        let answer = to.incoming(id).answer;
        let event = to.log[answer as usize].clone();
        let (outcome, reason) = match &event.kind {
            EventKind::Received { held: true, .. } => (DeliveryState::Held, None),
            EventKind::Received { .. } | EventKind::Released { refused: None, .. } => {
                (DeliveryState::Delivered, None)
            }
            EventKind::Refused { reason, .. } | EventKind::Released { refused: Some(reason), .. } => {
                (DeliveryState::Refused, Some(*reason))
            }
            other => panic!("{other:?} answers nothing"),
        };
        self.settle(id, outcome, reason, answer);
    }

    /// A proof that says this.
    pub fn settle(&mut self, id: &DeliveryId, outcome: DeliveryState, reason: Option<Reason>, index: u64) {
        let from_a = load::<Outgoing>(&self.a, &keys::outgoing(id)).unwrap().is_some();
        let (from, to) = self.sides(from_a);
        let receipt = to.place(index);
        let received_at = to.now();
        let command = Command::Settle {
            delivery_id: *id,
            outcome,
            reason,
            receipt,
            receipt_proof: sha256(b"receipt"),
            verdicts: VALID,
            received_at,
        };
        from.recorded(command).unwrap();
    }

    /// There and back.
    pub fn carry(&mut self, id: &DeliveryId) {
        self.arrive(id, Judge::Valid).unwrap();
        self.answer(id);
    }

    pub fn give_up(&mut self, id: &DeliveryId) {
        let command = Command::GiveUp { delivery_id: *id, reason: Reason::PeerUnreachable };
        self.a.recorded(command).unwrap();
    }

    pub fn fetch(&mut self, id: &DeliveryId) -> Result<u64, Rejection> {
        let (actor, agency) = (Actor::node(), agency(RECIPIENT));
        self.b.recorded(Command::Fetch { actor, agency, delivery_id: *id })
    }

    /// The recipient's system acknowledges; 01 is left out.
    pub fn acknowledge(&mut self, id: &DeliveryId) -> Result<u64, Rejection> {
        let (actor, agency) = (Actor::node(), agency(RECIPIENT));
        self.b.recorded(Command::HandOver { actor, agency, delivery_id: *id, arrived: None })
    }

    pub fn release(&mut self, id: &DeliveryId, refused: Option<Reason>) -> Result<u64, Rejection> {
        let (actor, agency) = (Actor::node(), agency(RECIPIENT));
        let command = Command::Release { actor, agency, delivery_id: *id, refused, verdicts: None };
        self.b.recorded(command)
    }

    /// What ended it, as both nodes say.
    pub fn ended(&self, id: &DeliveryId) -> (Option<EndedBy>, Option<EndedBy>) {
        let by = |ended: Option<Ended>| ended.map(|e| e.by);
        (by(self.a.outgoing(id).ended), by(self.b.incoming(id).ended))
    }

    /// What was asked, as both nodes say.
    pub fn asked(&self, id: &DeliveryId) -> Both<(Ask, AskState)> {
        let short = |list: Vec<Asked>| list.iter().map(|a| (a.ask, a.state)).collect();
        (short(self.a.outgoing(id).asked), short(self.b.incoming(id).asked))
    }

    /// The statuses with their flags, as both nodes say.
    pub fn statuses(&self, id: &DeliveryId) -> Both<(Status, bool)> {
        let short = |list: Vec<fold::records::StatusEntry>| {
            list.iter().map(|s| (s.status, s.out_of_order)).collect::<Vec<_>>()
        };
        (short(self.a.outgoing(id).statuses), short(self.b.incoming(id).statuses))
    }

    pub fn state(&self, id: &DeliveryId) -> DeliveryState {
        self.a.outgoing(id).state
    }

    /// Other content may be sent under the number.
    pub fn number_is_free(&mut self, number: &str) -> bool {
        match self.send(number, "corrected", None) {
            Ok(_) => true,
            Err(rejection) => {
                assert_eq!(rejection.reason, Reason::Conflict, "{rejection}");
                false
            }
        }
    }

    /// Both states are what their logs give.
    pub fn finish(self) {
        self.a.forget_nothing();
        self.b.forget_nothing();
    }
}
