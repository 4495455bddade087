//! After a fork: exchange goes on with a new generation of the log, once the directory lists it, and with that one only.

use lienthong::directory::content::LogKey;
use lienthong::node::log_signer;
use lienthong::wire::pb;

use super::common::{TestNet, eventually, name};
use super::liar::{Log, Manner, play};
use super::rewritten::{contact, rewritten, stage};
use super::world::{deliver, held, holds, size, standing};

/// The directory closes a's first log after so many events and lists a second.
fn list_second(net: &mut TestNet, last: u64) {
    let data = net.path("a/data-2");
    net.configure("a", |config| (config.generation, config.data) = (2, data));
    let key = log_signer(net.config("a")).unwrap().verifier().to_string();
    net.change_directory(|content| {
        content.version = 2;
        let node = content.nodes.iter_mut().find(|n| n.name == name("a")).unwrap();
        node.log_keys[0].last = Some(last);
        node.log_keys.push(LogKey { key, first: 0, last: None, withdrawn: None });
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchange_goes_on_with_a_generation_that_the_directory_lists() {
    let mut net = stage().await;
    let proven_before = net.events("b", "received").await.len();
    let mut log = Log::of(&net, "a");
    rewritten(&mut log);
    log.grow(2);
    let signed = held(&mut net, "b", "a");
    let liar = play(&net, "a", log, Manner::Openly).await;
    let (waits, cut) = contact(&mut net).await;
    assert!(cut.proven, "{}", cut.why);
    drop(liar);
    list_second(&mut net, signed);
    net.start("a").await;
    assert_eq!(net.node("a").exchange().ledger().origin(), "a/log/2");
    // b learns of it from a; what waited goes at once.
    net.dms("b").await.wait_for(&waits, pb::DeliveryState::Delivered).await;
    deliver(&net, "501").await;
    let of_a = size(&mut net, "a");
    deliver(&net, "502").await;
    let exchange = net.node("b").exchange().clone();
    eventually("b holds the new log", || async {
        let standings = exchange.witness().standings();
        standings.iter().any(|s| s.log == "a/log/2" && s.held >= of_a && s.cut.is_none()).then_some(())
    })
    .await;
    drop(exchange);
    let of_b = size(&mut net, "b");
    deliver(&net, "503").await;
    holds(&mut net, "a", "b", of_b).await;
    // The first one stays cut off, and what it proved stays proven.
    assert!(standing(&mut net, "b", "a").unwrap().cut.unwrap().proven);
    assert_eq!(net.events("b", "received").await.len(), proven_before + 3);
    net.finish().await;
}
