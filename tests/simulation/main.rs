//! Nodes in a simulation.
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

use run::{Plan, run};

#[test]
fn seeds() {
    let first: u64 = std::env::var("SIMULATION_SEED").map_or(0, |s| s.parse().unwrap());
    let count: u64 = std::env::var("SIMULATION_SEEDS").map_or(50, |s| s.parse().unwrap());
    let began = std::time::Instant::now();
    for seed in first..first + count {
        let outcome = run(Plan { is_shown: std::env::var("SIMULATION_SHOW").is_ok(), ..Plan::of(seed) });
        println!("{seed} {outcome:?}");
    }
    println!("{:?}", began.elapsed());
}
