//! Three nodes that exchanged, one that loses its data, and what is known of them before and after.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use lienthong::cli::pki;
use lienthong::cli::recover::recover;
use lienthong::directory::content::LogKey;
use lienthong::domain::generation::GenerationOpened;
use lienthong::node::log_signer;
use lienthong::wire::pb;

use super::common::client::Client;
use super::common::{TestNet, eventually, name};

/// The nodes run, and ask each other often.
pub async fn running() -> TestNet {
    let mut net = TestNet::new();
    for node in ["a", "b", "c"] {
        net.configure(node, |config| {
            config.witness_every = Duration::from_millis(50);
            config.start_ask = Duration::from_secs(5);
            config.peer_answer = Duration::from_secs(5);
        });
    }
    for node in ["a", "b", "c"] {
        net.start(node).await;
    }
    net
}

/// A document is delivered.
pub async fn deliver(net: &TestNet, node: &str, from: &str, to: &str, number: &str) -> Bytes {
    let dms = net.dms(node).await;
    let id = dms.deliver(&net.document(from, &[to], number)).await.remove(0);
    dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    id
}

/// The recipient's system confirms it, and its sender learns of it.
pub async fn acknowledge(net: &TestNet, at: &str, agency: &str, id: &Bytes, sender: &str) {
    net.dms(at).await.acknowledge(agency, id).await.unwrap();
    let sender = net.dms(sender).await;
    eventually("status 01 arrives", || async { sender.statuses(id).await.contains(&1).then_some(()) }).await;
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// The disk of a node that does not run is gone.
pub async fn lose(net: &TestNet, node: &str) {
    // One that was killed writes on for a moment.
    let data = &net.config(node).data;
    eventually("the data is gone", || async { std::fs::remove_dir_all(data).ok() }).await;
}

/// The configuration of a node names its next generation, with a key and a folder of its own.
pub fn name_next(net: &mut TestNet, node: &str) {
    let generation = net.config(node).generation + 1;
    let key = net.path(node).join(format!("log-{generation}.key"));
    let (pem, _) = pki::ed25519().unwrap();
    pki::write_secret(&key, pem.as_bytes()).unwrap();
    let data: PathBuf = net.path(node).join(format!("data-{generation}"));
    net.configure(node, |config| {
        (config.generation, config.data, config.log_key) = (generation, data, key);
    });
}

/// The directory lists it.
pub fn list_next(net: &TestNet, node: &str) {
    let key = log_signer(net.config(node)).unwrap().verifier().to_string();
    net.change_directory(|content| {
        content.version += 1;
        let node = content.nodes.iter_mut().find(|n| n.name == name(node)).unwrap();
        node.log_keys.push(LogKey { key, first: 0, last: None, withdrawn: None });
    });
}

/// All of it: named, listed, opened.
pub async fn open_next(net: &mut TestNet, node: &str, from: Option<&Path>) -> GenerationOpened {
    name_next(net, node);
    list_next(net, node);
    recover(net.config(node), from, net.now()).await.unwrap().expect("it was not open before")
}

/// Waits until a node got back what these have.
pub async fn recovered(net: &mut TestNet, node: &str, peers: &[&str]) {
    let exchange = net.node(node).exchange().clone();
    eventually(&format!("{node} has asked {peers:?} everything"), || async {
        let standings = exchange.recovery().standings();
        peers.iter().all(|p| standings.get(&name(p)).is_some_and(|s| s.done)).then_some(())
    })
    .await;
}

/// Waits until everything that a node delivers again has been answered.
pub async fn settled_again(net: &TestNet, node: &str) {
    eventually(&format!("all that {node} delivers again is answered"), || async {
        let again: BTreeSet<_> =
            net.events(node, "sent_again").await.iter().filter_map(|(_, e)| e.kind.delivery_id()).collect();
        let mut waits = again.clone();
        let sent = net.events(node, "sent_again").await;
        for (index, event) in net.events(node, "settled").await {
            let id = event.kind.delivery_id().unwrap();
            if sent.iter().any(|(at, e)| e.kind.delivery_id() == Some(id) && *at < index) {
                waits.remove(&id);
            }
        }
        waits.is_empty().then_some(())
    })
    .await;
}

/// What a node counts: by sender and recipient, in which number, how many electronic.
pub async fn figures(net: &TestNet, node: &str) -> Vec<(String, u64, u64)> {
    let admin = net.client(node, "admin").await;
    let group_by = ["sender", "recipient"].map(str::to_owned).to_vec();
    let request = pb::GetRatiosRequest { group_by, ..pb::GetRatiosRequest::default() };
    let answer = admin.node.report().get_ratios(request).await.unwrap().into_inner();
    let counts = |row: &pb::RatioRow| row.counts.unwrap_or_default().electronic;
    answer.rows.iter().map(|row| (row.key.clone(), row.deliveries, counts(row))).collect()
}

/// The deliveries in an agency's inbox.
pub async fn inbox(client: &Client, agency: &str) -> BTreeSet<Bytes> {
    client.inbox(agency).await.unwrap().into_iter().map(|item| item.delivery_id).collect()
}
