//! Nodes in a simulation: the flows of `exchange`, the ledger, the journal and the content store of three to seven
//! nodes, on one thread, with a time that jumps, over disks that forget, fail and fill up, and a network that loses,
//! doubles, delays, overtakes and answers wrongly; nodes end between any two things that anybody could notice, and come
//! back. A number, the seed, decides all of it, so that what went wrong once goes wrong again.
//!
//! What is checked, and when:
//! - as soon as anybody rests on an event (a client was answered, a proof left its node, a node opened its log): it is
//!   durable; the log is the one that it was; nothing came twice, nothing is in force twice; what an origin settled, the
//!   recipient's log says ([`observer`], [`world`]);
//! - when the faults have ceased: everything comes to its end within an hour, watches have told everything in order,
//!   origins and recipients agree, statuses arrived in their order, the folds are those that the log gives ([`run`]);
//! - and after the power was cut everywhere: the logs are the same, and all content that they name is there.
//!
//! What is not in it: gRPC and TLS (`rpc`), sled and its thread, real files, changes of the directory.
//!
//! `tests/simulation/run.sh` runs many seeds; `SIMULATION_SEED=N` shows one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dice;
mod dms;
mod fixture;
#[path = "../harness/mod.rs"]
mod harness;
mod life;
mod net;
mod observer;
mod platter;
mod run;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use run::{Outcome, Plan, run};
use world::Counts;

/// Seeds of an ordinary run of the tests.
const SEEDS: u64 = 1_000;
/// Failures after which no further seed is tried.
const ENOUGH: usize = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// A run; a panic is a violation like any other.
fn outcome(plan: Plan) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| run(plan))).unwrap_or_else(|_| Outcome {
        violation: Some("it panicked".to_owned()),
        digest: 0,
        counts: Counts::default(),
    })
}

/// Runs seeds on all cores; the sums, and what failed, first seed first.
fn run_all(first: u64, count: u64, plan: impl Fn(u64) -> Plan + Sync) -> (Counts, Vec<(u64, String)>) {
    let next = AtomicU64::new(first);
    let found = Mutex::new((Counts::default(), Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || found.lock().unwrap().1.len() >= ENOUGH {
                        return;
                    }
                    let outcome = outcome(plan(seed));
                    let mut found = found.lock().unwrap();
                    found.0 = found.0.plus(outcome.counts);
                    found.1.extend(outcome.violation.map(|what| (seed, what)));
                }
            });
        }
    });
    let (counts, mut failed) = found.into_inner().unwrap();
    failed.sort();
    (counts, failed)
}

#[test]
fn nothing_is_lost_and_nothing_is_doubled_whatever_happens() {
    let one = number("SIMULATION_SEED");
    let first = one.or(number("SIMULATION_FROM")).unwrap_or(0);
    let count = if one.is_some() { 1 } else { number("SIMULATION_SEEDS").unwrap_or(SEEDS) };
    let (counts, failed) = run_all(first, count, |seed| Plan { is_shown: one.is_some(), ..Plan::of(seed) });
    eprintln!("seeds {first} to {}: {counts:?}", first + count - 1);
    let lines: Vec<String> = failed
        .iter()
        .map(|(seed, what)| {
            format!(
                "seed {seed}: {what}\n  again: SIMULATION_SEED={seed} cargo test --locked --test simulation -- \
                 --nocapture whatever_happens"
            )
        })
        .collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
    if count >= SEEDS {
        // A simulation in which nothing happens shows nothing.
        let Counts { kills, cuts, faults, undelivered, late, refused, held, .. } = counts;
        let least = [kills, cuts, faults, 20 * undelivered, 1_000 * late, 20 * refused, 20 * held];
        assert!(least.iter().all(|n| *n >= count), "{counts:?}");
    }
}

#[test]
fn a_seed_does_the_same_again() {
    let both = || run_all_digests(20);
    let (once, again) = (both(), both());
    assert_eq!(once, again);
    assert!(once.windows(2).all(|pair| pair[0] != pair[1]), "seeds differ");
}

fn run_all_digests(seeds: u64) -> Vec<u64> {
    (0..seeds).map(|seed| outcome(Plan::of(seed)).digest).collect()
}

#[test]
fn disks_that_lie_about_their_syncs_are_caught() {
    let (_, failed) = run_all(0, 60, |seed| Plan { lying_disks: true, ..Plan::of(seed) });
    assert!(failed.len() >= ENOUGH, "{failed:?}");
}
