//! A node's state machine alone, living through random days: it sends, is answered, enters paper, closes months.

use std::collections::BTreeMap;

use lienthong::domain::decide::{Arrival, Command, Declined, Prepared, decide, next_attempt, notice_state};
use lienthong::domain::event::{
    Actor, DocumentFacts, Event, EventKind, Item, Judged, LogRef, NoticeFacts, PaperEntry, RoleVerdicts,
    Stated, Subject,
};
use lienthong::domain::fold::records::{Incoming, IncomingState, Outgoing};
use lienthong::domain::fold::{self, Records, View, ViewError, keys, load};
use lienthong::domain::ids::{AgencyId, DeliveryId, DocumentKey, NodeName, RequestId};
use lienthong::domain::ratio::{Calendar, Month, PaperDeclared, Period, PeriodClosed};
use lienthong::domain::{DeliveryState, Kind, Origin, Reason, Status, Urgency};
use lienthong::merkle::sha256;
use lienthong::report::{Each, ReportError, Source, engine, periods};
use lienthong::signature::Verdict;
use lienthong::time::{Date, Timestamp};

use super::dice::Dice;
use super::tree::{AGENCIES, Agency, TYPES, id, of, parties};

const START: &str = "2016-01-25T08:00:00+07:00";
const HOUR: i64 = 3_600_000;

/// A node's log, and what it means.
#[derive(Default)]
pub struct Node {
    pub records: BTreeMap<Vec<u8>, Vec<u8>>,
    pub log: Vec<Event>,
}

impl Records for Node {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.records.get(key).cloned())
    }
}

impl View for Node {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.records.insert(key, value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.records.remove(key);
    }
}

impl Source for Node {
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

pub struct History {
    pub node: Node,
    now: Timestamp,
    /// Numbers used for request ids.
    used: u64,
    sent: Vec<DeliveryId>,
    came: Vec<DeliveryId>,
}

fn verdicts(dice: &mut Dice) -> RoleVerdicts {
    let agency = if dice.one_in(4) { Verdict::Absent } else { Verdict::Valid };
    RoleVerdicts { person: Verdict::Valid, agency, reason: None }
}

impl History {
    pub fn new() -> History {
        let now = START.parse().unwrap();
        History { node: Node::default(), now, used: 0, sent: Vec::new(), came: Vec::new() }
    }

    /// Does something, when it is allowed.
    fn commit(&mut self, command: Command) -> bool {
        let decision = match decide(command, &self.node) {
            Ok(decision) => decision,
            Err(Declined::Rejected(_)) => return false,
            Err(other) => panic!("{other}"),
        };
        for kind in decision.events {
            let event = Event {
                at: self.now,
                salt: [0; 16],
                actor: Actor::node(),
                directory_version: 1,
                directory_expired: false,
                kind,
            };
            // What the fold sees is what the log keeps.
            let bytes = lienthong::wire::leaf::encode(&event).unwrap();
            assert_eq!(lienthong::wire::leaf::decode(&bytes).unwrap(), event);
            let index = self.node.log.len() as u64;
            fold::apply(&mut self.node, index, &event).unwrap();
            self.node.log.push(event);
        }
        true
    }

    fn request(&mut self) -> RequestId {
        self.used += 1;
        RequestId::new(&format!("r{}", self.used)).unwrap()
    }

    fn place(&self) -> LogRef {
        let index = self.node.log.len() as u64;
        LogRef { log: "there/log/1".into(), index, leaf_hash: sha256(&index.to_be_bytes()) }
    }

    pub fn step(&mut self, dice: &mut Dice) {
        self.now = self.now.plus_millis(dice.below(24) as i64 * HOUR + 1);
        match dice.below(32) {
            0..=6 => self.send(dice),
            7..=13 => self.settle(dice),
            14 => self.give_up(dice),
            15..=16 => self.revoke(dice),
            17..=19 => self.status_comes(dice),
            20..=23 => self.paper(dice),
            24..=25 => self.arrive(dice),
            26 => self.release(dice),
            27..=28 => self.status_goes(dice),
            29 => self.declare(dice),
            30 => self.close(dice),
            _ => self.calendar(dice),
        }
    }

    /// A day of issue, a few days ago.
    fn issued(&self, dice: &mut Dice) -> Date {
        let days = if dice.one_in(6) { dice.below(30) } else { dice.below(4) };
        self.now.date().plus_days(-(days as i32))
    }

    fn key(&self, dice: &mut Dice, issued_on: Date) -> DocumentKey {
        DocumentKey::new(&(dice.below(12) + 1).to_string(), "CV", issued_on.year()).unwrap()
    }

    fn facts(&self, dice: &mut Dice) -> DocumentFacts {
        let issued_on = self.issued(dice);
        let key = self.key(dice, issued_on);
        DocumentFacts {
            kind: Kind::New,
            document_digest: sha256(key.hash().as_bytes()),
            key,
            type_name: (*dice.pick(&TYPES)).into(),
            urgency: if dice.one_in(2) { Urgency::Normal } else { *dice.pick(&Urgency::ALL) },
            issued_on,
            issued_at: dice.one_in(2).then(|| issued_on.midnight().plus_millis(8 * HOUR)),
            origin: if dice.one_in(3) { Origin::Scanned } else { Origin::BornDigital },
            replaces: None,
        }
    }

    fn send(&mut self, dice: &mut Dice) {
        let from = &AGENCIES[dice.below(5)];
        let facts = self.facts(dice);
        let (request_id, alias) = (self.request(), dice.below(2));
        let mut deliveries: Vec<Prepared> = Vec::new();
        for _ in 0..=dice.below(4) {
            let to = dice.pick(&AGENCIES);
            if to.id == from.id || deliveries.iter().any(|d| d.item.parties.recipient == Some(id(to.id))) {
                continue;
            }
            let attempt = next_attempt(&self.node, &id(from.id), &facts.key, &id(to.id)).unwrap();
            let delivery_id = DeliveryId::of_document(&id(from.id), 0, &facts.key, &id(to.id), attempt);
            let item = Item {
                delivery_id,
                envelope_digest: sha256(delivery_id.as_bytes()),
                attempt,
                parties: parties(from, Some(to), alias),
                subject: Subject::Document(facts.clone()),
            };
            deliveries.push(self.prepared(dice, item, to));
        }
        let ids: Vec<DeliveryId> = deliveries.iter().map(|d| d.item.delivery_id).collect();
        if self.commit(Command::Submit { actor: Actor::node(), request_id, deliveries }) {
            for id in ids {
                if !self.sent.contains(&id) {
                    self.sent.push(id);
                }
            }
        }
    }

    fn prepared(&self, dice: &mut Dice, item: Item, to: &Agency) -> Prepared {
        Prepared {
            item,
            content_digests: vec![],
            content_size: 0,
            verdicts: verdicts(dice),
            judged: Judged::default(),
            not_after: self.now.plus_millis(1_000 * HOUR),
            peer: NodeName::new(if to.here { "here" } else { "there" }).unwrap(),
        }
    }

    fn outgoing(&self, dice: &mut Dice) -> Option<(DeliveryId, Outgoing)> {
        let id = *self.sent.get(dice.below(self.sent.len().max(1)))?;
        Some((id, load(&self.node, &keys::outgoing(&id)).unwrap().unwrap()))
    }

    fn answered(&mut self, dice: &mut Dice, id: DeliveryId, outcome: DeliveryState, reason: Option<Reason>) {
        let command = Command::Settle {
            delivery_id: id,
            outcome,
            reason,
            receipt: self.place(),
            receipt_proof: sha256(b"receipt"),
            verdicts: verdicts(dice),
            received_at: self.now.plus_millis(-(dice.below(3) as i64) * HOUR),
        };
        self.commit(command);
    }

    fn settle(&mut self, dice: &mut Dice) {
        let Some((id, record)) = self.outgoing(dice) else { return };
        let newest = next_attempt(
            &self.node,
            &record.facts.sender,
            record.facts.key.as_ref().unwrap(),
            &record.facts.recipient,
        );
        // A proof that overrides a give-up comes before the next attempt here.
        if record.state == DeliveryState::Undelivered && newest.unwrap() > record.facts.attempt + 1 {
            return;
        }
        let (outcome, reason) = match dice.below(8) {
            0 => (DeliveryState::Held, None),
            1 => (DeliveryState::Refused, Some(Reason::SealRequired)),
            _ => (DeliveryState::Delivered, None),
        };
        let refused = record.statuses.iter().any(|s| s.status == Status::Refused);
        if !(outcome == DeliveryState::Held && refused) {
            self.answered(dice, id, outcome, reason);
        }
    }

    fn give_up(&mut self, dice: &mut Dice) {
        let Some((id, _)) = self.outgoing(dice) else { return };
        self.commit(Command::GiveUp { delivery_id: id, reason: Reason::PeerUnreachable });
    }

    /// A notice about a delivery, by one of its parties.
    fn notice(
        &mut self,
        by: &AgencyId,
        target: &DeliveryId,
        kind: Kind,
        status: Option<Status>,
    ) -> Option<NoticeFacts> {
        let state = notice_state(&self.node, by, target).ok()?;
        Some(NoticeFacts {
            kind,
            target: *target,
            message_number: state.notices + 1,
            status,
            out_of_order: false,
            sent_at: self.now,
            stated: None,
            answers: None,
            after_end: state.after_end(),
        })
    }

    fn item(from: &AgencyId, to: &AgencyId, notice: NoticeFacts) -> Item {
        let number = notice.message_number;
        let delivery_id = DeliveryId::of_notice(from, notice.kind.number(), &notice.target, number, to);
        Item {
            delivery_id,
            envelope_digest: sha256(delivery_id.as_bytes()),
            attempt: 1,
            parties: parties(of(from.as_str()), Some(of(to.as_str())), 0),
            subject: Subject::Notice(notice),
        }
    }

    /// Revokes: what is on its way is withdrawn, what was delivered frees its number.
    fn revoke(&mut self, dice: &mut Dice) {
        let Some((target, record)) = self.outgoing(dice) else { return };
        let (from, to) = (record.facts.sender.clone(), record.facts.recipient.clone());
        let Some(mut notice) = self.notice(&from, &target, Kind::Revoke, None) else { return };
        notice.stated = Some(Stated {
            key: record.facts.key.clone().unwrap(),
            document_digest: record.facts.document_digest.unwrap(),
            statement: sha256(b"revoke"),
        });
        let item = History::item(&from, &to, notice);
        let revoke = item.delivery_id;
        let (request_id, prepared) = (self.request(), self.prepared(dice, item, of(to.as_str())));
        if !self.commit(Command::Submit { actor: Actor::node(), request_id, deliveries: vec![prepared] }) {
            return;
        }
        self.answered(dice, revoke, DeliveryState::Delivered, None);
        if matches!(record.state, DeliveryState::Queued | DeliveryState::Held) && dice.one_in(2) {
            self.answered(dice, target, DeliveryState::Refused, Some(Reason::Withdrawn));
        }
    }

    /// The recipient of something that was sent reports.
    fn status_comes(&mut self, dice: &mut Dice) {
        let Some((target, record)) = self.outgoing(dice) else { return };
        if record.state == DeliveryState::Held {
            return;
        }
        let status = *dice.pick(&[
            Status::Arrived,
            Status::Arrived,
            Status::Accepted,
            Status::Refused,
            Status::Completed,
        ]);
        let (from, to) = (record.facts.recipient.clone(), record.facts.sender.clone());
        self.used += 1;
        let notice = NoticeFacts {
            kind: Kind::Status,
            target,
            message_number: self.used as u32,
            status: Some(status),
            out_of_order: false,
            sent_at: self.now,
            stated: None,
            answers: None,
            after_end: record.ended.is_some() && dice.one_in(2),
        };
        let item = History::item(&from, &to, notice);
        self.accept(item, false, None, RoleVerdicts::ABSENT);
    }

    fn accept(&mut self, item: Item, held: bool, refused: Option<Reason>, verdicts: RoleVerdicts) {
        let arrival = Arrival {
            first: None,
            item,
            content_digests: vec![],
            verdicts,
            judged: Judged::default(),
            held,
            refused,
            origin: self.place(),
            origin_proof: sha256(b"proof"),
            peer: NodeName::new("there").unwrap(),
        };
        self.commit(Command::Accept { actor: Actor::node(), arrival: Box::new(arrival) });
    }

    fn paper(&mut self, dice: &mut Dice) {
        let from = &AGENCIES[dice.below(5)];
        let to = (!dice.one_in(6)).then(|| dice.pick(&AGENCIES)).filter(|to| to.id != from.id);
        let issued_on = self.issued(dice);
        let mandatory = dice.one_in(3);
        let entry = PaperEntry {
            parties: parties(from, to, dice.below(2)),
            recipient_name: if to.is_none() { "Công ty A".into() } else { String::new() },
            key: self.key(dice, issued_on),
            issued_on,
            type_name: (*dice.pick(&TYPES)).into(),
            urgency: *dice.pick(&Urgency::ALL),
            mandatory,
            basis: String::new(),
            dispatched_on: None,
            withdrawn: dice.one_in(5),
            corrects: self.entry_of(dice, from),
            request_id: self.request(),
        };
        self.commit(Command::Paper { actor: Actor::node(), entry: Box::new(entry) });
    }

    /// An earlier entry of an agency, to correct or withdraw it; whether it still stands, the decision says.
    fn entry_of(&self, dice: &mut Dice, agency: &Agency) -> Option<u64> {
        let entries = self.node.log.iter().enumerate().filter_map(|(index, event)| match &event.kind {
            EventKind::PaperEntered(entry) if entry.parties.sender == id(agency.id) => Some(index as u64),
            _ => None,
        });
        let entries: Vec<u64> = entries.collect();
        (!entries.is_empty() && dice.one_in(3)).then(|| *dice.pick(&entries))
    }

    /// A document comes from outside, or one of this node's own for another agency here.
    fn arrive(&mut self, dice: &mut Dice) {
        let held = dice.one_in(4);
        let refused = dice.one_in(5).then_some(Reason::SealRequired);
        let local = self.outgoing(dice).filter(|(_, record)| of(record.facts.recipient.as_str()).here);
        let item = match local {
            Some((_, record)) if dice.one_in(2) => {
                let EventKind::Submitted { item, .. } = &self.node.log[record.submitted_index as usize].kind
                else {
                    panic!("a message is submitted");
                };
                item.clone()
            }
            _ => {
                let (from, to) = (of(["x", "x.s", "c"][dice.below(3)]), &AGENCIES[dice.below(5)]);
                let facts = self.facts(dice);
                let attempt = dice.below(3) as u32 + 1;
                let delivery_id = DeliveryId::of_document(&id(from.id), 0, &facts.key, &id(to.id), attempt);
                Item {
                    delivery_id,
                    envelope_digest: sha256(delivery_id.as_bytes()),
                    attempt,
                    parties: parties(from, Some(to), 0),
                    subject: Subject::Document(facts),
                }
            }
        };
        if !self.came.contains(&item.delivery_id) {
            self.came.push(item.delivery_id);
        }
        let verdicts = verdicts(dice);
        self.accept(item, held, refused, verdicts);
    }

    fn incoming(&self, dice: &mut Dice) -> Option<(DeliveryId, Incoming)> {
        let id = *self.came.get(dice.below(self.came.len().max(1)))?;
        Some((id, load(&self.node, &keys::incoming(&id)).unwrap()?))
    }

    fn release(&mut self, dice: &mut Dice) {
        let held = self.came.iter().find_map(|id| {
            let record: Incoming = load(&self.node, &keys::incoming(id)).unwrap()?;
            (record.state == IncomingState::Held).then_some((*id, record.facts.recipient))
        });
        let Some((delivery_id, agency)) = held else { return };
        let refused = match dice.below(4) {
            0 => Some(Reason::SealRequired),
            1 => Some(Reason::Withdrawn),
            _ => None,
        };
        let verdicts = Some((verdicts(dice), Judged::default()));
        self.commit(Command::Release { actor: Actor::node(), agency, delivery_id, refused, verdicts });
    }

    /// An agency here reports about something that came.
    fn status_goes(&mut self, dice: &mut Dice) {
        let Some((target, record)) = self.incoming(dice) else { return };
        let status = *dice.pick(&[Status::Arrived, Status::Accepted, Status::Refused]);
        let (from, to) = (record.facts.recipient.clone(), record.facts.sender.clone());
        let Some(notice) = self.notice(&from, &target, Kind::Status, Some(status)) else { return };
        let item = History::item(&from, &to, notice);
        let (request_id, prepared) = (self.request(), self.prepared(dice, item, of(to.as_str())));
        self.commit(Command::Submit { actor: Actor::node(), request_id, deliveries: vec![prepared] });
    }

    fn month(&self, dice: &mut Dice) -> Month {
        Month::from_number(Month::of(self.now.date()).number() - dice.below(3) as i32)
    }

    fn declare(&mut self, dice: &mut Dice) {
        let agency = &AGENCIES[dice.below(5)];
        let declared = PaperDeclared {
            agency: id(agency.id),
            agency_code: agency.codes[0].into(),
            month: self.month(dice),
            complete: !dice.one_in(5),
        };
        self.commit(Command::DeclarePaper { actor: Actor::node(), declared });
    }

    fn close(&mut self, dice: &mut Dice) {
        let month = self.month(dice);
        let period = if dice.one_in(4) { Period::quarter_of(month) } else { Period::Month(month) };
        if period.days().1 >= self.now.date() {
            return;
        }
        let changes = engine::changes(&self.node, &periods::query(period)).unwrap();
        let text = periods::snapshot(&self.node, period).unwrap();
        let closed = PeriodClosed {
            period,
            snapshot: sha256(text.as_bytes()),
            snapshot_size: text.len() as u64,
            totals: periods::totals(&self.node, period).unwrap(),
        };
        let command = |changes| Command::ClosePeriod {
            actor: Actor::node(),
            closed: Box::new(closed.clone()),
            changes,
        };
        if self.node.get(&keys::closed(period)).unwrap().is_none() {
            // Figures that are not the newest close nothing.
            let old = decide(command(changes + 1), &self.node);
            assert!(matches!(old, Err(Declined::Stale)), "{old:?}");
        }
        assert!(self.commit(command(changes)));
    }

    fn calendar(&mut self, dice: &mut Dice) {
        let some = |dice: &mut Dice, weekend: bool| -> Vec<Date> {
            let mut days: Vec<Date> =
                (0..10).map(|_| self.now.date().plus_days(dice.below(20) as i32)).collect();
            days.retain(|day| day.is_weekend() == weekend);
            days.sort_unstable();
            days.dedup();
            days
        };
        let calendar = Calendar { holidays: some(dice, false), workdays: some(dice, true) };
        self.commit(Command::SetCalendar { calendar });
    }
}
