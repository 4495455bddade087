//! A network that witnesses quickly, and what its nodes know of each other's logs.

use std::time::Duration;

use lienthong::exchange::witness::Standing;
use lienthong::exchange::witness::own::Cosigned;
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
