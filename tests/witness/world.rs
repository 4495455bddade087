//! A network that witnesses quickly, and what its nodes know of each other's logs.

use std::time::Duration;

use lienthong::exchange::witness::Standing;
use lienthong::exchange::witness::own::Cosigned;
use lienthong::merkle::Note;
use lienthong::wire::pb;

use super::common::{TestNet, eventually};

/// Nodes that ask each other often; nothing runs yet.
pub fn quick() -> TestNet {
    let mut net = TestNet::new();
    for node in ["a", "b", "c"] {
        net.configure(node, |config| {
            config.witness_every = Duration::from_millis(50);
            config.start_ask = Duration::from_secs(5);
            config.peer_answer = Duration::from_secs(1);
        });
    }
    net
}

/// The same, with these nodes running.
pub async fn running(nodes: &[&str]) -> TestNet {
    let mut net = quick();
    for node in nodes {
        net.start(node).await;
    }
    net
}

/// How a node's log stands at another.
pub fn standing(net: &mut TestNet, at: &str, of: &str) -> Option<Standing> {
    let standings = net.node(at).exchange().witness().standings();
    standings.into_iter().find(|s| s.log == format!("{of}/log/1"))
}

/// Leaves of the newest checkpoint that a node holds of another's log.
pub fn held(net: &mut TestNet, at: &str, of: &str) -> u64 {
    standing(net, at, of).map_or(0, |s| s.held)
}

/// Size of a node's log.
pub fn size(net: &mut TestNet, node: &str) -> u64 {
    net.node(node).exchange().ledger().snapshot().size()
}

/// What others cosigned of a node's log.
pub fn cosigned(net: &mut TestNet, node: &str) -> Vec<Cosigned> {
    net.node(node).exchange().cosigned()
}

/// A document from a to b is delivered.
pub async fn deliver(net: &TestNet, number: &str) {
    deliver_to(net, "H01.22", number).await;
}

/// A document from a.
pub async fn deliver_to(net: &TestNet, recipient: &str, number: &str) {
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &[recipient], number)).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
}

/// Waits until a node holds at least so many leaves of another's log.
pub async fn holds(net: &mut TestNet, at: &str, of: &str, size: u64) {
    let exchange = net.node(at).exchange().clone();
    eventually(&format!("{at} holds {size} events of {of}"), || async {
        let standings = exchange.witness().standings();
        let held = standings.iter().find(|s| s.log == format!("{of}/log/1")).map_or(0, |s| s.held);
        (held >= size).then_some(())
    })
    .await;
}

/// Waits until a node has a cosignature of its log by another in the file of the newest, of at least so many events; which
/// events it covers.
pub async fn newest_covers(net: &mut TestNet, node: &str, by: &str, size: u64) -> u64 {
    let (file, by) = (net.config(node).data.join("witness/own/newest.json"), format!("{by}/witness"));
    eventually("what was cosigned is written", || async {
        let notes: Vec<String> = serde_json::from_str(&std::fs::read_to_string(&file).ok()?).ok()?;
        let notes = notes.iter().map(|note| Note::parse(note, 1 << 16).unwrap());
        let by = notes.filter(|note| note.signatures.iter().any(|line| line.name == by));
        let size_of = |note: Note| note.text.lines().nth(1).unwrap().parse::<u64>().unwrap();
        by.map(size_of).max().filter(|found| *found >= size)
    })
    .await
}

/// A minute after the next full hour.
pub fn next_hour(net: &TestNet) {
    let (hour_ms, now) = (3_600_000, net.now());
    net.clock.set(now.plus_millis(hour_ms - now.millis().rem_euclid(hour_ms) + 60_000));
}

/// This hour, and so many in all: in each a and b exchange and cosign each other's logs. How many events b cosigned of a's
/// in each, at least.
pub async fn hours(net: &mut TestNet, hours: usize) -> Vec<u64> {
    let mut last = Vec::new();
    for hour in 0..hours {
        if hour > 0 {
            next_hour(net);
        }
        for number in 0..2 {
            let before = size(net, "a");
            let minutes = net.now().millis() / 60_000;
            deliver(net, &format!("{minutes}{number}7")).await;
            // Held with the next message at the latest.
            deliver(net, &format!("{minutes}{number}8")).await;
            let covered = newest_covers(net, "a", "b", before + 1).await;
            last.truncate(hour);
            last.push(covered);
        }
    }
    last
}
