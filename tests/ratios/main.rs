//! The figures of random histories are those of a plain recount: revocations, refusals, late paper, corrections,
//! restatements, subunits, aliases, closed periods, on both sides and bases, by every dimension.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dice;
mod history;
mod network;
mod recount;
mod tree;

use lienthong::domain::fold;
use lienthong::domain::ratio::{Counters, Month, Period, Side};
use lienthong::report::{Basis, Dimension, Filter, Query, engine, periods};

use dice::Dice;
use history::{History, Node};
use recount::Recount;
use tree::AGENCIES;

/// Histories of each test; `LIENTHONG_HISTORIES` asks for more.
fn histories() -> u64 {
    std::env::var("LIENTHONG_HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(12)
}

const STEPS: usize = 220;
const QUERIES: usize = 60;

/// A query of any kind.
fn query(dice: &mut Dice) -> Query {
    let side = if dice.one_in(4) { Side::Incoming } else { Side::Outgoing };
    let basis = if side == Side::Outgoing && dice.one_in(2) { Basis::Documents } else { Basis::Deliveries };
    let mut group = Vec::new();
    for _ in 0..dice.below(4) {
        let dimension = *dice.pick(&Dimension::ALL);
        if !group.contains(&dimension) {
            group.push(dimension);
        }
    }
    let mut filter = Filter::default();
    let dims = tree::some_dims(dice);
    match dice.below(10) {
        0 => filter.scope = Some(dims.scope),
        1 => filter.direction = dims.direction,
        2 => filter.sender = Some(dims.sender),
        3 => filter.recipient = dims.recipient,
        4 => filter.sender_level = Some(dims.sender_level),
        5 => filter.recipient_level = dims.recipient_level,
        6 => filter.type_name = Some(dims.type_name),
        7 => {
            filter.urgency = Some(dims.urgency);
            filter.scope = Some(dims.scope);
        }
        _ => {}
    }
    let (from, to) = match dice.below(4) {
        0 => (Some(dims.day), Some(dims.day.plus_days(20))),
        1 => {
            let (from, to) = Period::Month(Month::of(dims.day)).days();
            (Some(from), Some(to))
        }
        2 => (None, Some(Period::quarter_of(Month::of(dims.day)).days().1)),
        _ => (None, None),
    };
    let own =
        dice.one_in(5).then(|| (0..2).map(|_| tree::id(AGENCIES[dice.below(AGENCIES.len())].id)).collect());
    Query { side, basis, from, to, filter, own, group }
}

fn shown(figures: &[engine::Figure]) -> Vec<(Vec<String>, Counters)> {
    let mut shown: Vec<_> = figures.iter().map(|f| (f.values.clone(), f.counters)).collect();
    shown.sort_by(|a, b| a.0.cmp(&b.0));
    shown
}

#[test]
fn figures_are_those_of_a_plain_recount() {
    let mut plans = [0; 2];
    for seed in 0..histories() {
        let mut dice = Dice(seed);
        let mut history = History::new();
        for _ in 0..STEPS {
            history.step(&mut dice);
        }
        // The state is what the log gives, from nothing.
        let mut again = Node::default();
        for (index, event) in history.node.log.iter().enumerate() {
            fold::apply(&mut again, index as u64, event).unwrap();
        }
        assert!(again.records == history.node.records, "history {seed}");
        let recount = Recount::of(&history.node.log);
        for _ in 0..QUERIES {
            let query = query(&mut dice);
            let figures = engine::figures(&history.node, &query).unwrap();
            let expected = recount.figures(&query);
            assert_eq!(shown(&figures), expected, "history {seed}, {query:?}, {:?}", engine::plan(&query));
            for figure in figures {
                let covered = recount.covered(&query, &figure.values);
                assert!(figure.covered.is_none_or(|n| n == covered), "history {seed}, {query:?}: {covered}");
            }
            plans[usize::from(engine::plan(&query) == engine::Plan::Rows)] += 1;
        }
    }
    assert!(plans.iter().all(|n| *n > 100), "{plans:?}");
}

#[test]
fn what_changed_after_the_close_is_listed_with_its_event() {
    let (mut closings, mut restated) = (0, 0);
    for seed in 1_000_000..1_000_000 + histories() {
        let mut dice = Dice(seed);
        let mut history = History::new();
        for _ in 0..STEPS {
            history.step(&mut dice);
        }
        let log = &history.node.log;
        let now = Recount::of(log);
        for closed in periods::closed(&history.node).unwrap() {
            closings += 1;
            let then = Recount::of(&log[..closed.record.index as usize]);
            let query = Query { group: vec![Dimension::Month], ..periods::query(closed.period) };
            // The text that was kept is what the log gives up to the closing event.
            let mut old = Node::default();
            for (index, event) in log[..closed.record.index as usize].iter().enumerate() {
                fold::apply(&mut old, index as u64, event).unwrap();
            }
            let text = periods::snapshot(&old, closed.period).unwrap();
            assert_eq!(lienthong::merkle::sha256(text.as_bytes()), closed.record.snapshot, "history {seed}");
            // Then, and what changed since: now.
            let mut sums = then.figures(&query);
            let all =
                periods::restatements(&history.node, &closed, (closed.period.months().0, 0), usize::MAX);
            for restatement in all.unwrap() {
                restated += 1;
                assert!(restatement.index > closed.record.index);
                let month = vec![restatement.month.to_string()];
                let sum = match sums.iter_mut().find(|(values, _)| *values == month) {
                    Some(found) => found,
                    None => {
                        sums.push((month, Counters::default()));
                        sums.last_mut().unwrap()
                    }
                };
                // More first: sums are never below nothing.
                sum.1 = sum.1.plus(restatement.record.after).minus(restatement.record.before);
            }
            sums.retain(|(_, sum)| sum.deliveries > 0);
            sums.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(sums, now.figures(&query), "history {seed}, {}", closed.period);
        }
    }
    assert!(closings > 12 && restated > 30, "{closings} closings, {restated} restatements");
}
