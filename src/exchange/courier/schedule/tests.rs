use super::outbox::AHEAD;
use super::*;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::courier::failure::Failure;

/// An outbox in memory, and the schedule that reads it.
struct Stage {
    schedule: Schedule,
    outbox: BTreeMap<(Urgency, u64), Entry>,
    size: u64,
    now: Moment,
}

fn id(n: u64) -> DeliveryId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    DeliveryId::from_slice(&bytes).unwrap()
}

fn sender(name: &str) -> AgencyId {
    AgencyId::new(name).unwrap()
}

fn of_peer() -> Outcome {
    Outcome::Failed(Failure::of_peer(Rejection::new(Reason::PeerUnreachable, "", "down")))
}

fn answer(reason: Reason) -> Outcome {
    Outcome::Failed(Failure::of_answer(Rejection::new(reason, "", "no"), 0))
}

impl Stage {
    fn new() -> Stage {
        Stage { schedule: Schedule::new(1), outbox: BTreeMap::new(), size: 0, now: Moment(1_000) }
    }

    fn add(&mut self, from: &str, urgency: Urgency) -> u64 {
        self.add_with(from, urgency, |_| {})
    }

    fn add_with(&mut self, from: &str, urgency: Urgency, change: impl FnOnce(&mut Entry)) -> u64 {
        let index = self.size;
        let mut entry = Entry {
            id: id(index),
            index,
            urgency,
            sender: sender(from),
            target: None,
            revokes: false,
            large: false,
        };
        change(&mut entry);
        self.outbox.insert((urgency, index), entry);
        self.size += 1;
        index
    }

    fn notice(&mut self, target: u64, revokes: bool) -> u64 {
        self.add_with("S", Urgency::Urgent, |e| {
            e.target = Some(id(target));
            e.revokes = revokes;
        })
    }

    fn read(&mut self) {
        while let Some(want) = self.schedule.wants(self.now, self.size) {
            let range = (want.urgency, want.from)..=(want.urgency, u64::MAX);
            let entries: Vec<_> =
                self.outbox.range(range).take(want.most).map(|((_, i), e)| (*i, Some(e.clone()))).collect();
            let ended = entries.len() < want.most;
            self.schedule.take(&want, Found { entries, ended, size: self.size });
        }
    }

    /// Everything that may go now.
    fn start(&mut self) -> Vec<Start> {
        self.read();
        let mut out = Vec::new();
        while let Some(start) = self.schedule.start(self.now) {
            out.push(start);
            self.read();
        }
        out
    }

    fn end(&mut self, start: Start, outcome: Outcome) {
        if matches!(outcome, Outcome::Over | Outcome::Gone) {
            let index = number(start.id);
            for urgency in Urgency::ALL {
                self.outbox.remove(&(urgency, index));
            }
        }
        self.schedule.ended(start, outcome, self.now);
    }

    /// Time goes on to the next moment at which something is due.
    fn wait(&mut self) {
        self.read();
        let due = self.schedule.next_due().expect("something is due");
        assert!(due > self.now, "{due:?} is not after {:?}", self.now);
        self.now = due;
    }

    /// Sends everything, one at a time, and gives back the order.
    fn drain(&mut self) -> Vec<u64> {
        let mut order = Vec::new();
        loop {
            let started = self.start();
            if started.is_empty() {
                return order;
            }
            for start in started {
                order.push(number(start.id));
                self.end(start, Outcome::Over);
            }
        }
    }
}

fn number(id: DeliveryId) -> u64 {
    u64::from_be_bytes(id.as_bytes()[..8].try_into().unwrap())
}

fn numbers(started: &[Start]) -> Vec<u64> {
    started.iter().map(|s| number(s.id)).collect()
}

#[test]
fn flash_goes_first_also_before_what_is_due_again() {
    let mut stage = Stage::new();
    let old = stage.add("S", Urgency::Normal);
    let started = stage.start();
    stage.end(started[0], answer(Reason::DirectoryBehind));
    let urgent = stage.add("S", Urgency::Urgent);
    stage.wait();
    let flash = stage.add("S", Urgency::Flash);
    assert_eq!(numbers(&stage.start()), [flash, urgent, old]);
}

#[test]
fn the_senders_of_one_urgency_take_turns_and_a_flood_starves_nobody() {
    let mut stage = Stage::new();
    let flood: Vec<u64> = (0..5_000).map(|_| stage.add("FLOOD", Urgency::Normal)).collect();
    let others: Vec<u64> = (0..10).map(|_| stage.add("OTHER", Urgency::Normal)).collect();
    stage.schedule.breaker = Breaker::new(1);
    let started = stage.start();
    assert_eq!(started.len(), limits::PEER_IN_FLIGHT);
    let mine = numbers(&started);
    for other in &others {
        assert!(mine[..40].contains(other), "{other} waits behind a flood");
    }
    for start in started {
        stage.end(start, Outcome::Over);
    }
    let rest = stage.drain();
    assert_eq!(mine.len() + rest.len(), flood.len() + others.len(), "each once");
    let sent: Vec<u64> = mine.into_iter().chain(rest).filter(|n| *n < flood.len() as u64).collect();
    assert!(sent.is_sorted(), "a sender's own order");
}

#[test]
fn memory_is_bounded_however_much_waits() {
    let mut stage = Stage::new();
    for n in 0..20_000 {
        stage.add(["A", "B", "C"][n % 3], Urgency::Normal);
    }
    for _ in 0..100 {
        for start in stage.start() {
            stage.end(start, answer(Reason::WrongPeer));
        }
        assert!(stage.schedule.known.len() <= DELAYED + 2 * AHEAD, "{}", stage.schedule.known.len());
        stage.now = stage.now.plus(1_000);
    }
    // What was dropped from memory is read again: in the end everything goes, once.
    let mut sent = Vec::new();
    while !stage.outbox.is_empty() {
        let started = stage.start();
        if started.is_empty() {
            stage.wait();
        }
        for start in started {
            sent.push(number(start.id));
            stage.end(start, Outcome::Over);
        }
    }
    sent.sort_unstable();
    assert_eq!(sent, (0..20_000).collect::<Vec<_>>());
}

#[test]
fn notices_about_one_delivery_go_in_order_and_hold_no_place_in_flight() {
    let mut stage = Stage::new();
    let first: Vec<u64> = (0..5).map(|_| stage.notice(1_000_000, false)).collect();
    let other = stage.notice(2_000_000, false);
    let mut started = stage.start();
    assert_eq!(numbers(&started), [first[0], other]);
    assert_eq!(stage.schedule.in_flight(), 2);
    assert_eq!(stage.schedule.standing(&id(first[3])), Some(&Standing::Behind(id(first[0]))));
    stage.end(started.pop().unwrap(), Outcome::Over);
    // One that fails keeps its place.
    stage.end(started[0], answer(Reason::UnknownRecipient));
    assert_eq!(stage.start(), []);
    stage.wait();
    let mut order = Vec::new();
    while let [start] = stage.start()[..] {
        order.push(number(start.id));
        stage.end(start, Outcome::Over);
    }
    assert_eq!(order, first);
}

#[test]
fn what_is_being_revoked_waits_for_its_revocation() {
    let mut stage = Stage::new();
    let document = stage.add("S", Urgency::Flash);
    let started = stage.start();
    stage.end(started[0], answer(Reason::DirectoryBehind));
    let update = stage.notice(document, false);
    let revoke = stage.notice(document, true);
    stage.wait();
    let started = stage.start();
    assert_eq!(numbers(&started), [update]);
    assert_eq!(stage.schedule.standing(&id(document)), Some(&Standing::Revoked));
    stage.end(started[0], Outcome::Over);
    let started = stage.start();
    assert_eq!(numbers(&started), [revoke]);
    stage.end(started[0], Outcome::Over);
    assert_eq!(numbers(&stage.start()), [document]);
}

#[test]
fn large_content_has_places_of_its_own() {
    let mut stage = Stage::new();
    for _ in 0..20 {
        stage.add_with("S", Urgency::Flash, |e| e.large = true);
    }
    let small: Vec<u64> = (0..20).map(|_| stage.add("S", Urgency::Normal)).collect();
    let started = numbers(&stage.start());
    assert_eq!(started.len(), small.len() + limits::LARGE_IN_FLIGHT);
    assert!(small.iter().all(|n| started.contains(n)));
}

#[test]
fn a_peer_that_is_down_is_probed_with_one_message_and_another_each_time() {
    let mut stage = Stage::new();
    for _ in 0..1_000 {
        stage.add("S", Urgency::Normal);
    }
    for start in stage.start() {
        stage.end(start, of_peer());
    }
    assert!(matches!(stage.schedule.breaker().state(), State::Open { .. }));
    let mut probes = Vec::new();
    for _ in 0..6 {
        stage.wait();
        let started = stage.start();
        assert_eq!(started.len(), 1, "one probe");
        probes.push(number(started[0].id));
        stage.end(started[0], of_peer());
    }
    probes.sort_unstable();
    probes.dedup();
    assert_eq!(probes.len(), 6, "a message that the peer cannot bear must not be every probe");
    // It is back: everything goes soon, though what failed has waits of its own.
    stage.wait();
    let probe = stage.start();
    stage.end(probe[0], Outcome::Over);
    let before = stage.now;
    assert_eq!(stage.drain().len(), 999);
    assert_eq!(stage.now, before);
}

#[test]
fn a_flash_message_is_the_next_probe() {
    let mut stage = Stage::new();
    for _ in 0..10 {
        stage.add("S", Urgency::Normal);
    }
    for start in stage.start() {
        stage.end(start, of_peer());
    }
    let flash = stage.add("S", Urgency::Flash);
    stage.wait();
    assert_eq!(numbers(&stage.start()), [flash]);
}

#[test]
fn a_sign_of_life_sends_a_probe_at_once_and_the_one_that_failed_least() {
    let mut stage = Stage::new();
    let bad = stage.add("S", Urgency::Flash);
    for _ in 0..6 {
        let started = stage.start();
        for start in started {
            stage.end(start, of_peer());
        }
        stage.wait();
    }
    let good = stage.add("S", Urgency::Normal);
    let started = stage.start();
    for start in &started {
        stage.end(*start, of_peer());
    }
    assert_eq!(stage.start(), []);
    stage.now = stage.now.plus(2_000);
    stage.schedule.nudge(stage.now);
    let probe = stage.start();
    assert_eq!(probe.len(), 1);
    stage.end(probe[0], Outcome::Over);
    let mut order = numbers(&probe);
    while !stage.outbox.is_empty() {
        for start in stage.start() {
            order.push(number(start.id));
            stage.end(start, Outcome::Over);
        }
        if !stage.outbox.is_empty() {
            stage.wait();
        }
    }
    order.sort_unstable();
    assert_eq!(order, [bad, good]);
}

#[test]
fn what_one_message_meets_does_not_hold_up_the_others() {
    let mut stage = Stage::new();
    for _ in 0..100 {
        stage.add("S", Urgency::Normal);
    }
    for start in stage.start() {
        stage.end(start, answer(Reason::WrongPeer));
    }
    assert_eq!(stage.schedule.breaker().state(), State::Closed);
    let fresh = stage.add("S", Urgency::Normal);
    assert_eq!(numbers(&stage.start()), [fresh]);
    let (failure, tries) = stage.schedule.failure(&id(0)).unwrap();
    assert_eq!((failure.rejection.reason, tries), (Reason::WrongPeer, 1));
}

#[test]
fn nothing_spins_nothing_is_lost_and_nothing_goes_twice_at_once() {
    // A walk through everything that can happen, from many seeds.
    for seed in 0..200_u64 {
        let mut stage = Stage::new();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut under_way: Vec<Start> = Vec::new();
        for step in 0..400 {
            let adding = step < 300;
            match random(10) {
                0..=3 if adding => {
                    let urgency = Urgency::ALL[random(4) as usize];
                    let large = random(5) == 0;
                    let name = ["A", "B", "C"][random(3) as usize];
                    if random(3) == 0 && stage.size > 0 {
                        let target = random(stage.size);
                        stage.notice(target, random(2) == 0);
                    } else {
                        stage.add_with(name, urgency, |e| e.large = large);
                    }
                }
                4..=7 if !under_way.is_empty() => {
                    let start = under_way.swap_remove(random(under_way.len() as u64) as usize);
                    let outcome = match random(6) {
                        0 | 1 => of_peer(),
                        2 => answer(Reason::StorageFull),
                        3 => answer(Reason::WrongPeer),
                        4 => Outcome::Held,
                        _ => Outcome::Over,
                    };
                    stage.end(start, outcome);
                }
                8 => stage.schedule.nudge(stage.now),
                _ => stage.now = stage.now.plus(random(5_000)),
            }
            for start in stage.start() {
                assert!(under_way.iter().all(|s| s.id != start.id), "twice at once");
                under_way.push(start);
            }
            assert_eq!(stage.schedule.in_flight(), under_way.len());
        }
        // Everybody answers: everything comes to its end.
        let mut turns = 0;
        while !stage.outbox.is_empty() {
            turns += 1;
            assert!(turns < 10_000, "seed {seed}: {} messages never go", stage.outbox.len());
            for start in std::mem::take(&mut under_way) {
                stage.end(start, Outcome::Over);
            }
            under_way = stage.start();
            if under_way.is_empty() && !stage.outbox.is_empty() {
                stage.wait();
            }
        }
        for start in under_way {
            stage.end(start, Outcome::Gone);
        }
        assert_eq!((stage.schedule.in_flight(), stage.schedule.known.len()), (0, 0), "seed {seed}");
        assert!(stage.schedule.lines.is_empty() && stage.schedule.shares.is_empty(), "seed {seed}");
    }
}
