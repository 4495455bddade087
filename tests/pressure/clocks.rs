//! Clocks that differ are told by node and by how much; a node whose own clock is off is told so.

use std::sync::Arc;

use lienthong::ledger::{Clock, ManualClock};
use lienthong::wire::pb;

use super::common::{TestNet, eventually, name};

/// What a node knows of another's clock.
async fn reading(net: &TestNet, node: &str, peer: &str) -> Option<pb::ClockStatus> {
    net.status(node).await.clocks.into_iter().find(|c| c.peer == peer)
}

#[tokio::test]
async fn a_connection_compares_clocks_and_status_names_whose_is_off_and_by_how_much() {
    let mut net = TestNet::new();
    net.start("a").await;
    net.start("c").await;
    // Node b is a minute ahead.
    let ahead: Arc<dyn Clock> = Arc::new(ManualClock::new(net.now().plus_millis(60_000)));
    net.start_with("b", ahead).await;
    let dms = net.dms("a").await;
    for (to, number) in [("H01.22", "1"), ("G01", "2")] {
        let id = dms.deliver(&net.document("H01.1", &[to], number)).await.remove(0);
        dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    }
    let b = reading(&net, "a", "b").await.unwrap();
    assert!(b.off && (b.offset_ms - 60_000).abs() <= 1_000 + b.uncertain_ms, "{b:?}");
    let c = reading(&net, "a", "c").await.unwrap();
    assert!(!c.off && c.offset_ms.abs() <= 1_000 + c.uncertain_ms, "{c:?}");
    // The node that was called heard it as well: it cannot tell a lag from the way, up to the time of connecting.
    let a = eventually("b has heard a", || reading(&net, "b", "a")).await;
    assert!(a.off && a.offset_ms < -50_000, "{a:?}");
    let own = net.status("a").await;
    assert!(!own.own_clock_off, "one peer that is off is not enough: {own:?}");
    net.finish().await;
}

#[tokio::test]
async fn when_three_peers_agree_the_node_says_that_its_own_clock_is_off() {
    let mut net = TestNet::running(&["a"]).await;
    let now = net.now().millis();
    // Three nodes that call, all two minutes ahead of this one.
    let clocks = net.node("a").exchange().clone();
    for peer in ["b", "c", "d"] {
        assert!(!net.status("a").await.own_clock_off);
        let now = lienthong::time::Timestamp::from_millis(now);
        clocks.clocks().measured(&name(peer), now, now, now.plus_millis(120_000));
    }
    drop(clocks);
    let status = net.status("a").await;
    assert!(status.own_clock_off, "{status:?}");
    assert_eq!(status.own_clock_offset_ms, -120_000);
    net.finish().await;
}

#[tokio::test]
async fn a_clock_that_jumps_while_a_connection_lasts_is_noticed_at_both_ends_and_when_it_is_right_again() {
    let mut net = TestNet::new();
    for node in ["a", "b"] {
        net.configure(node, |config| config.peer_compare = std::time::Duration::from_millis(50));
    }
    net.start("a").await;
    let clock = Arc::new(ManualClock::new(net.now()));
    let there: Arc<dyn Clock> = clock.clone();
    net.start_with("b", there).await;
    let dms = net.dms("a").await;
    let id = dms.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    let first = reading(&net, "a", "b").await.unwrap();
    assert!(!first.off, "{first:?}");
    // Nothing is sent any more, and no connection is made.
    let begun = net.now();
    for (ours, theirs, off) in [(0, 60, true), (60, 60, false), (120, 60, true)] {
        // Minutes since then.
        net.clock.set(begun.plus_millis(ours * 60_000));
        clock.set(begun.plus_millis(theirs * 60_000));
        let jump = (theirs - ours) * 60_000;
        let near = |c: &pb::ClockStatus, jump: i64| (c.offset_ms - jump).abs() < 10_000;
        eventually("a sees that the clock of b jumped", || async {
            reading(&net, "a", "b").await.filter(|c| c.off == off && near(c, jump))
        })
        .await;
        eventually("b sees that they differ", || async {
            reading(&net, "b", "a").await.filter(|c| c.off == off && near(c, -jump))
        })
        .await;
    }
    let connections = net.status("b").await.peer_connections;
    assert_eq!(connections, 1, "the connection is the first");
    net.finish().await;
}
