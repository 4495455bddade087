//! Three nodes as processes of their own replay a scenario and are killed (SIGKILL) again and again on the way.
//! Nothing that was acknowledged is lost, nothing is delivered twice, the logs are right, and so are the ratios.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod board;
mod killer;
mod line;
mod logs;
mod play;
mod power;
mod processes;
mod stopper;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use board::Work;
use lienthong::cli::scenario::{self, Row};
use lienthong::cli::{network, remote};
use lienthong::directory::build::read_agencies;
use lienthong::report::{self, Cells};
use lienthong::wire::pb;
use play::Play;
use processes::Processes;
use serde_json::Value;

/// Longest time for the replay.
const REPLAY: Duration = Duration::from_secs(480);
/// Longest time for what is under way when the last delivery is finished.
const QUIET: Duration = Duration::from_secs(60);
/// Every node is killed at least so often.
const KILLS: usize = 4;
/// Deliveries of the scenario, and those whose sender and recipient are on different nodes.
const DELIVERIES: usize = 1_480;
const CROSSING: usize = 826;

fn data(name: &str) -> std::fs::File {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every value of the expected ratios is among the nodes' sums.
fn compare(cells: &Cells) {
    let expected: Value = serde_json::from_reader(data("scenario-fanout.expected.json")).unwrap();
    let found = report::json(cells);
    let mut wrong = Vec::new();
    for (key, values) in expected.as_object().unwrap() {
        for (name, value) in values.as_object().unwrap() {
            if found[key][name] != *value {
                wrong.push(format!("{key}.{name}: {} instead of {value}", found[key][name]));
            }
        }
    }
    assert!(wrong.is_empty(), "the ratios are wrong:\n{}", wrong.join("\n"));
}

/// Waits for the end of the replay, or tells what is missing.
async fn finish(play: &Play, work: &Work, processes: &Processes, disturber: &tokio::task::JoinHandle<()>) {
    let began = Instant::now();
    loop {
        let missing = play.board.missing(work);
        let problem = play.board.error().or_else(|| processes.ended_by_itself());
        if let Some(problem) = problem {
            panic!("{problem}\nmissing: {missing:?}\n{}", processes.tails());
        }
        if missing.is_empty() && disturber.is_finished() {
            return;
        }
        assert!(
            began.elapsed() < REPLAY,
            "not finished within {} s; missing: {missing:?}; last failed calls: {:?}\n{}",
            REPLAY.as_secs(),
            play.last_failures(),
            processes.tails()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Replays the scenario with the nodes' folders below `dir` while `disturb` does its work, and checks all that came of it.
async fn replay<F>(
    dir: &Path,
    made: impl FnOnce(),
    disturb: impl FnOnce(Arc<Play>, Arc<Processes>, usize) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let began = Instant::now();
    let agencies = read_agencies(data("agencies-spread.csv")).unwrap();
    let rows: Vec<Row> = scenario::read(data("scenario-fanout.csv")).unwrap();
    let network = processes::make(dir, &agencies, &rows);
    made();
    let node_of = play::nodes_by_code(&agencies);
    let processes = Arc::new(Processes::start(&network));
    let work = Work::of(&rows);
    assert_eq!(work.deliveries, DELIVERIES);
    assert_eq!(network::nodes_of(&agencies).unwrap().len(), 3);

    let play = Arc::new(Play::new(&network, node_of));
    let playing = play.clone().start(&rows);
    let disturber = tokio::spawn(disturb(play.clone(), processes.clone(), work.answers));
    let replay = Instant::now();
    finish(&play, &work, &processes, &disturber).await;
    disturber.await.unwrap();
    for (node, kills) in processes.kills() {
        eprintln!(
            "node {node}: killed {} times, {} of them as it began; {} of its answers were tried for again",
            kills.under_way + kills.beginning,
            kills.beginning,
            play.line(&node).retries()
        );
    }
    eprintln!("replay: {:.1} s, {} answers", replay.elapsed().as_secs_f64(), play.board.answers());

    let logs = logs::read_when_quiet(&play, QUIET).await;
    logs::check_acknowledged(&logs, &play.board.acknowledged());
    assert_eq!(logs::check_once(&logs, &play, &rows), CROSSING);
    for (node, kills) in processes.kills() {
        let started = logs[&node].iter().filter(|e| e.kind.name() == "started").count();
        assert!(started > kills.under_way, "node {node} has {started} starts in its log");
    }
    for (node, stops) in processes.stops() {
        // The log says of each stop in order that it was one.
        let stopped = logs[&node].iter().filter(|e| e.kind.name() == "stopped").count();
        assert_eq!(stopped, stops, "node {node}");
    }

    let mut cells = Cells::new();
    for line in play.lines() {
        let ratios = line
            .call_as_admin("ratios", |c| async move {
                c.report().get_ratios(pb::GetRatiosRequest::default()).await
            })
            .await
            .unwrap();
        report::add(&mut cells, &remote::read_cells(ratios.get_ref()));
    }
    compare(&cells);

    processes.stop();
    drop(playing);
    let sizes: BTreeMap<&String, usize> = logs.iter().map(|(n, l)| (n, l.len())).collect();
    for (node, size) in &sizes {
        let checked = processes::audit(&dir.join(node));
        assert_eq!(checked["verified"], true, "{node}: {checked:#}");
        // The stop is an event as well.
        assert!(
            checked["events"].as_u64().unwrap() > *size as u64,
            "{node}: {size} events, then {checked:#}"
        );
    }
    eprintln!("in all: {:.1} s, events: {sizes:?}", began.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_stopped_in_order_under_load_lose_nothing_and_deliver_nothing_twice() {
    let temporary = tempfile::tempdir().unwrap();
    replay(
        temporary.path(),
        || {},
        |play, processes, answers| async move {
            stopper::run(play.clone(), processes.clone(), answers).await;
            for (node, stops) in processes.stops() {
                assert_eq!(stops, stopper::ROUNDS, "node {node}");
                eprintln!(
                    "node {node}: stopped {stops} times; {} calls made again",
                    play.line(&node).retries()
                );
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_nodes_lose_nothing_and_deliver_nothing_twice() {
    let temporary = tempfile::tempdir().unwrap();
    replay(
        temporary.path(),
        || {},
        |play, processes, answers| async move {
            killer::run(play, processes.clone(), answers).await;
            for (node, kills) in processes.kills() {
                assert!(kills.under_way >= KILLS, "node {node} was killed {} times only", kills.under_way);
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and loop devices: tests/crash/power-cut.sh"]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let cuts = std::env::var("LIENTHONG_POWER_CUTS").map_or(3, |n| n.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let image = Arc::new(power::Image::mount(temporary.path()));
    let dir = image.dir.clone();
    let made = image.clone();
    replay(
        &dir,
        || made.sync(),
        |play, processes, answers| async move {
            power::run_cuts(play, processes, answers, image, cuts).await;
        },
    )
    .await;
}

/// Each node in turn stands still for a while (SIGSTOP), with its connections open: nothing is answered, nothing fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: tests/crash/stand-still.sh"]
async fn a_node_that_stands_still_loses_nothing() {
    let seconds = std::env::var("LIENTHONG_STILL_SECONDS").map_or(60, |n| n.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    replay(
        temporary.path(),
        || {},
        |play, processes, answers| async move {
            let nodes: Vec<String> = play.lines().map(|l| l.node().to_owned()).collect();
            for (i, node) in nodes.iter().enumerate() {
                play.board.reach((i + 1) * answers / (nodes.len() + 1)).await;
                let before = play.board.answers();
                processes.signal(node, "-STOP");
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                let after = play.board.answers();
                processes.signal(node, "-CONT");
                eprintln!(
                    "node {node} stood still for {seconds} s: {} answers of the others meanwhile",
                    after - before
                );
                assert!(after > before, "the others stood still as well");
            }
        },
    )
    .await;
}
