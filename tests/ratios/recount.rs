//! The figures as one counts them by hand: every event is read, every delivery looked at by itself, nothing is kept.

use std::collections::{BTreeMap, BTreeSet};

use lienthong::domain::event::{Event, EventKind, Item, RoleVerdicts, Subject};
use lienthong::domain::fold::keys;
use lienthong::domain::ids::{AgencyId, DeliveryId, DocumentKey};
use lienthong::domain::ratio::{Calendar, Counters, Dims, Month, Side};
use lienthong::domain::{DeliveryState, Origin, Reason, Status, Urgency};
use lienthong::report::{Basis, Query};
use lienthong::time::{Date, Timestamp};

type Document = (AgencyId, DocumentKey);
type Place = (AgencyId, DocumentKey, [u8; 16]);

/// One delivery as it stands.
struct Delivery {
    document: Document,
    dims: Dims,
    counts: Counters,
}

/// One attempt to deliver a document.
struct Attempt {
    id: DeliveryId,
    item: Item,
    at: Timestamp,
    here: RoleVerdicts,
    calendar: Calendar,
    outcome: Option<DeliveryState>,
    there: Option<RoleVerdicts>,
    arrived: Option<Timestamp>,
}

pub struct Recount {
    outgoing: Vec<Delivery>,
    incoming: Vec<Delivery>,
    declared: BTreeSet<(Month, AgencyId)>,
}

fn n(yes: bool) -> u64 {
    u64::from(yes)
}

fn document(item: &Item) -> Option<(&lienthong::domain::event::DocumentFacts, Place)> {
    let Subject::Document(facts) = &item.subject else { return None };
    let place = keys::recipient(item.parties.recipient.as_ref(), "");
    Some((facts, (item.parties.sender.clone(), facts.key.clone(), place)))
}

fn acknowledges(status: Status) -> bool {
    [1, 2, 3].contains(&status.code())
}

/// Noon of the first working day after, or an hour.
fn in_time(
    issued_on: Date,
    issued_at: Option<Timestamp>,
    urgency: Urgency,
    sent: Timestamp,
    c: &Calendar,
) -> bool {
    if urgency != Urgency::Normal {
        return issued_at.map_or(sent.date() <= issued_on, |at| sent.millis() - at.millis() <= 3_600_000);
    }
    let free = |day: Date| {
        let weekend = day.is_weekend();
        (weekend && !c.workdays.contains(&day)) || (!weekend && c.holidays.contains(&day))
    };
    let next = (1..).map(|days| issued_on.plus_days(days)).find(|day| !free(*day)).unwrap();
    sent.millis() <= next.midnight().millis() + 12 * 3_600_000
}

impl Recount {
    pub fn of(log: &[Event]) -> Recount {
        let mut declared = BTreeSet::new();
        for event in log {
            if let EventKind::PaperDeclared(d) = &event.kind {
                if d.complete {
                    declared.insert((d.month, d.agency.clone()));
                } else {
                    declared.remove(&(d.month, d.agency.clone()));
                }
            }
        }
        Recount { outgoing: outgoing(log), incoming: incoming(log), declared }
    }

    fn counting<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = &'a Delivery> {
        let all = if query.side == Side::Outgoing { &self.outgoing } else { &self.incoming };
        all.iter().filter(move |delivery| {
            let (d, f) = (&delivery.dims, &query.filter);
            let mut counts = delivery.counts.deliveries == 1;
            counts &= f.scope.is_none() || f.scope == Some(d.scope);
            counts &= f.direction.is_none() || f.direction == d.direction;
            counts &= f.sender.is_none()
                || f.sender.as_ref() == Some(&d.sender)
                || f.sender.as_ref() == Some(&d.sender_registered);
            counts &=
                f.recipient.is_none() || f.recipient == d.recipient || f.recipient == d.recipient_registered;
            counts &= f.sender_level.is_none() || f.sender_level == Some(d.sender_level);
            counts &= f.recipient_level.is_none() || f.recipient_level == d.recipient_level;
            counts &= f.type_name.is_none() || f.type_name.as_ref() == Some(&d.type_name);
            counts &= f.urgency.is_none() || f.urgency == Some(d.urgency);
            counts &= query.from.is_none_or(|from| from <= d.day) && query.to.is_none_or(|to| d.day <= to);
            if let Some(own) = &query.own {
                counts &= match query.side {
                    Side::Outgoing => own.contains(&d.sender),
                    Side::Incoming => d.recipient.as_ref().is_some_and(|r| own.contains(r)),
                };
            }
            counts
        })
    }

    /// By group: of deliveries their sum, of documents each once.
    fn sums(&self, query: &Query, only: impl Fn(&Delivery) -> bool) -> Vec<(Vec<String>, Counters)> {
        type Face = (Document, Date, String, Urgency);
        let mut documents: BTreeMap<(Vec<String>, Option<Face>), Counters> = BTreeMap::new();
        for delivery in self.counting(query).filter(|d| only(d)) {
            let d = &delivery.dims;
            let values = query.group.iter().map(|dimension| dimension.value(d).1).collect();
            let face = (delivery.document.clone(), d.day, d.type_name.clone(), d.urgency);
            let face = (query.basis == Basis::Documents).then_some(face);
            let sum = documents.entry((values, face)).or_default();
            *sum = sum.plus(delivery.counts);
        }
        let mut sums: BTreeMap<Vec<String>, Counters> = BTreeMap::new();
        for ((values, face), sum) in documents {
            let counts = if face.is_some() { as_one(&sum) } else { sum };
            let all = sums.entry(values).or_default();
            *all = all.plus(counts);
        }
        sums.into_iter().collect()
    }

    pub fn figures(&self, query: &Query) -> Vec<(Vec<String>, Counters)> {
        self.sums(query, |_| true)
    }

    /// Of a group, how many are of senders whose register is declared complete.
    pub fn covered(&self, query: &Query, values: &[String]) -> u64 {
        let covered = |d: &Delivery| {
            let month = Month::of(d.dims.day);
            [&d.dims.sender, &d.dims.sender_registered]
                .iter()
                .any(|a| self.declared.contains(&(month, (*a).clone())))
        };
        let sums = self.sums(query, covered);
        sums.iter().find(|(v, _)| v == values).map_or(0, |(_, sum)| sum.deliveries)
    }
}

/// A document, in words: all electronic, all paper, both, one that did not arrive, one that waits.
fn as_one(sum: &Counters) -> Counters {
    let waits = sum.pending > 0;
    let lost = !waits && sum.undelivered > 0;
    let paper = !waits && !lost && sum.paper == sum.deliveries;
    let electronic = !waits && !lost && sum.electronic == sum.deliveries;
    let dual = !(waits || lost || paper || electronic);
    let by_wire = sum.electronic + sum.dual;
    let arrived = electronic || dual;
    Counters {
        deliveries: 1,
        electronic: n(electronic),
        dual: n(dual),
        paper: n(paper),
        undelivered: n(lost),
        pending: n(waits),
        held: n(sum.held > 0),
        effective: n(electronic && sum.effective == sum.electronic),
        signed: n(arrived && sum.signed == by_wire),
        scanned: n(arrived && sum.scanned > 0),
        avoidable: n(dual && sum.mandatory == 0),
        mandatory: n(sum.mandatory > 0),
        sent: n(sum.sent > 0),
        on_time: n(sum.sent > 0 && sum.on_time == sum.sent),
        acknowledged: n(arrived && sum.acknowledged == by_wire),
    }
}

/// Statuses that the recipients reported, by delivery.
fn reported(log: &[Event]) -> Vec<(DeliveryId, AgencyId, Status, Timestamp)> {
    let mut found = Vec::new();
    for event in log {
        if let EventKind::Received { item, .. } = &event.kind
            && let Subject::Notice(notice) = &item.subject
            && let (Some(status), false) = (notice.status, notice.after_end)
        {
            found.push((notice.target, item.parties.sender.clone(), status, notice.sent_at));
        }
    }
    found
}

fn outgoing(log: &[Event]) -> Vec<Delivery> {
    let mut attempts: BTreeMap<Place, Vec<Attempt>> = BTreeMap::new();
    // The entries that stand, each with its index.
    let mut paper: Vec<(usize, Place, Dims, bool)> = Vec::new();
    let mut calendar = Calendar::default();
    for (index, event) in log.iter().enumerate() {
        match &event.kind {
            EventKind::CalendarSet(set) => calendar = set.clone(),
            EventKind::Submitted { item, verdicts, .. } => {
                let Some((_, place)) = document(item) else { continue };
                attempts.entry(place).or_default().push(Attempt {
                    id: item.delivery_id,
                    item: item.clone(),
                    at: event.at,
                    here: *verdicts,
                    calendar: calendar.clone(),
                    outcome: None,
                    there: None,
                    arrived: None,
                });
            }
            EventKind::Settled { delivery_id, outcome, verdicts, received_at, .. } => {
                if let Some(attempt) = attempts.values_mut().flatten().find(|a| a.id == *delivery_id) {
                    attempt.outcome = Some(*outcome);
                    attempt.there = Some(*verdicts);
                    attempt.arrived = Some(*received_at);
                }
            }
            EventKind::Undelivered { delivery_id, .. } => {
                if let Some(attempt) = attempts.values_mut().flatten().find(|a| a.id == *delivery_id) {
                    attempt.outcome = Some(DeliveryState::Undelivered);
                }
            }
            EventKind::PaperEntered(entry) => {
                let recipient = keys::recipient(entry.parties.recipient.as_ref(), &entry.recipient_name);
                let place = (entry.parties.sender.clone(), entry.key.clone(), recipient);
                match entry.corrects {
                    Some(corrected) => paper.retain(|(at, ..)| *at as u64 != corrected),
                    None if entry.withdrawn => paper.retain(|(_, at, ..)| *at != place),
                    None => {}
                }
                if !entry.withdrawn {
                    let dims = Dims::new(&entry.parties, entry.issued_on, &entry.type_name, entry.urgency);
                    paper.push((index, place, dims, entry.mandatory));
                }
            }
            _ => {}
        }
    }
    let statuses = reported(log);
    let places: BTreeSet<&Place> = attempts.keys().chain(paper.iter().map(|(_, place, ..)| place)).collect();
    let mut deliveries = Vec::new();
    for place in places {
        let entry = paper.iter().rfind(|(_, at, ..)| at == place);
        let on_paper = entry.map(|(.., mandatory)| *mandatory);
        let tries = attempts.get(place).map_or(&[][..], |tries| tries);
        let Some(newest) = tries.last() else {
            let Some((_, _, dims, _)) = entry else { continue };
            let counts = Counters {
                deliveries: n(on_paper.is_some()),
                paper: n(on_paper.is_some()),
                mandatory: n(on_paper == Some(true)),
                ..Counters::default()
            };
            deliveries.push(Delivery {
                document: (place.0.clone(), place.1.clone()),
                dims: dims.clone(),
                counts,
            });
            continue;
        };
        let withdrawn = |a: &Attempt| a.outcome == Some(DeliveryState::Withdrawn);
        let counted = if withdrawn(newest) {
            // What was delivered before keeps its place.
            let before = tries.iter().rev().find(|a| a.outcome == Some(DeliveryState::Delivered));
            before.unwrap_or(newest)
        } else {
            newest
        };
        let (facts, _) = document(&counted.item).unwrap();
        let own = || {
            let recipient = counted.item.parties.recipient.as_ref();
            statuses.iter().filter(move |s| s.0 == counted.id && Some(&s.1) == recipient)
        };
        let refused_by_status = own().any(|s| s.2 == Status::Refused);
        let acknowledged = own().filter(|s| acknowledges(s.2)).map(|s| s.3).min();
        let (mut delivered, mut waits, mut held, mut lost, mut gone) = (false, false, false, false, false);
        match counted.outcome {
            _ if refused_by_status && !withdrawn(counted) => lost = true,
            None => waits = true,
            Some(DeliveryState::Held) => (waits, held) = (true, true),
            Some(DeliveryState::Delivered) => delivered = true,
            Some(DeliveryState::Withdrawn) => gone = true,
            Some(_) => lost = true,
        }
        let paper_only = on_paper.is_some() && !delivered && !waits;
        let counts = delivered || waits || lost || paper_only;
        let sent = counts && !gone;
        let first = tries.first().unwrap().at;
        let on_time = in_time(facts.issued_on, facts.issued_at, facts.urgency, first, &counted.calendar);
        let both_here = counted.here.both_valid();
        let both_there = counted.there.is_some_and(RoleVerdicts::both_valid);
        let same_day = acknowledged.is_some_and(|at| Some(at.date()) == counted.arrived.map(Timestamp::date));
        let electronic = delivered && on_paper.is_none();
        let dual = delivered && on_paper.is_some();
        deliveries.push(Delivery {
            document: (place.0.clone(), place.1.clone()),
            dims: Dims::new(&counted.item.parties, facts.issued_on, &facts.type_name, facts.urgency),
            counts: Counters {
                deliveries: n(counts),
                electronic: n(electronic),
                dual: n(dual),
                paper: n(paper_only),
                undelivered: n(lost && !paper_only),
                pending: n(waits),
                held: n(held),
                effective: n(electronic && both_here && both_there),
                signed: n(delivered && both_here),
                scanned: n(delivered && facts.origin == Origin::Scanned),
                avoidable: n(dual && on_paper == Some(false)),
                mandatory: n((dual || paper_only) && on_paper == Some(true)),
                sent: n(sent),
                on_time: n(sent && on_time),
                acknowledged: n(delivered && same_day),
            },
        });
    }
    deliveries
}

/// One document that came, at one try.
struct Arrival {
    id: DeliveryId,
    item: Item,
    at: Timestamp,
    held: bool,
    refused: bool,
    withdrawn: bool,
    signed: bool,
    acknowledged: Option<Timestamp>,
}

impl Arrival {
    fn is_delivered(&self) -> bool {
        !(self.held || self.refused || self.withdrawn)
    }
}

fn incoming(log: &[Event]) -> Vec<Delivery> {
    // Those that count, oldest first: the last one does, the others when it is withdrawn.
    let mut came: BTreeMap<Place, Vec<Arrival>> = BTreeMap::new();
    let mut known: BTreeSet<DeliveryId> = BTreeSet::new();
    for event in log {
        let (item, held, refused, verdicts) = match &event.kind {
            EventKind::Received { item, held, verdicts, .. } => (item, *held, None, verdicts),
            EventKind::Refused { item, reason, verdicts, .. } => (item, false, Some(*reason), verdicts),
            EventKind::Released { delivery_id, refused, verdicts, .. } => {
                for tries in came.values_mut() {
                    let Some(last) = tries.last_mut().filter(|a| a.id == *delivery_id) else { continue };
                    last.held = false;
                    last.signed = verdicts.both_valid();
                    last.refused = refused.is_some_and(|r| r != Reason::Withdrawn);
                    last.withdrawn = *refused == Some(Reason::Withdrawn);
                    if last.withdrawn && tries.len() > 1 {
                        tries.pop();
                    }
                }
                continue;
            }
            EventKind::Submitted { item, .. } => {
                if let Subject::Notice(notice) = &item.subject
                    && let (Some(status), false) = (notice.status, notice.after_end)
                {
                    let last = came.values_mut().filter_map(|tries| tries.last_mut());
                    let own = |a: &&mut Arrival| {
                        a.id == notice.target
                            && a.item.parties.recipient.as_ref() == Some(&item.parties.sender)
                    };
                    if let Some(arrival) = last.into_iter().find(own) {
                        if acknowledges(status) {
                            let before = arrival.acknowledged.unwrap_or(notice.sent_at);
                            arrival.acknowledged = Some(before.min(notice.sent_at));
                        }
                        arrival.refused |= status == Status::Refused;
                        arrival.held &= status != Status::Refused;
                    }
                }
                continue;
            }
            _ => continue,
        };
        let Some((_, place)) = document(item) else { continue };
        let first = known.insert(item.delivery_id);
        if !first || matches!(refused, Some(Reason::Withdrawn | Reason::AlreadyDelivered)) {
            continue;
        }
        let tries = came.entry(place).or_default();
        if tries.last().is_some_and(|last| last.item.attempt > item.attempt) {
            continue;
        }
        // Only what was delivered can count again.
        tries.retain(Arrival::is_delivered);
        tries.push(Arrival {
            id: item.delivery_id,
            item: item.clone(),
            at: event.at,
            held,
            refused: refused.is_some(),
            withdrawn: false,
            signed: verdicts.both_valid(),
            acknowledged: None,
        });
    }
    let mut deliveries = Vec::new();
    for (place, tries) in came {
        let Some(last) = tries.last() else { continue };
        let (facts, _) = document(&last.item).unwrap();
        let delivered = last.is_delivered();
        let same_day = last.acknowledged.is_some_and(|at| at.date() == last.at.date());
        deliveries.push(Delivery {
            document: (place.0, place.1),
            dims: Dims::new(&last.item.parties, last.at.date(), &facts.type_name, facts.urgency),
            counts: Counters {
                deliveries: n(!last.withdrawn),
                electronic: n(delivered),
                undelivered: n(last.refused),
                pending: n(last.held),
                held: n(last.held),
                signed: n(delivered && last.signed),
                scanned: n(delivered && facts.origin == Origin::Scanned),
                acknowledged: n(delivered && same_day),
                ..Counters::default()
            },
        });
    }
    deliveries
}
