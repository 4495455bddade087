//! An older copy is left.

use lienthong::audit::Offline;
use lienthong::domain::event::EventKind;
use lienthong::node::log_signer;
use lienthong::wire::pb;

use super::common::eventually;
use super::lost::{all_is_back, exchanged};
use super::world::{copy, deliver, figures, inbox, lose, open_next, recovered, running, settled_again};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_generation_goes_on_where_the_copy_ends() {
    let mut net = running().await;
    let of_old = deliver(&net, "a", "H01.1", "H01.22", "90").await;
    let sent_of_old = deliver(&net, "b", "H01.22", "H01.1", "91").await;
    // It is on its way when the copy is made.
    net.stop("a").await;
    let open = net.dms("b").await.deliver(&net.document("H01.22", &["H01.1"], "92")).await.remove(0);
    let b = net.dms("b").await;
    b.acknowledge("H01.22", &of_old).await.unwrap();
    net.stop("b").await;
    copy(&net.config("b").data, &net.path("yesterday"));
    net.start("a").await;
    net.start("b").await;
    net.dms("b").await.wait_for(&open, pb::DeliveryState::Delivered).await;
    let before = exchanged(&net).await;
    let of_b = figures(&net, "b").await;
    let key = log_signer(net.config("b")).unwrap().verifier().clone();
    net.kill("b");
    lose(&net, "b").await;
    let old = net.path("yesterday");
    let opened = open_next(&mut net, "b", Some(&old)).await;
    assert!(opened.kept > 0 && opened.known > opened.kept, "{opened:?}");
    net.start("b").await;
    // What was open in the copy is settled by the answer that the lost log got, and is there once.
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    b.wait_for(&open, pb::DeliveryState::Delivered).await;
    all_is_back(&mut net, &before, &of_b).await;
    assert_eq!(inbox(&a, "H01.1").await.iter().filter(|id| **id == open).count(), 1);
    // What the copy has is not asked for: nothing of it comes twice.
    assert_eq!(b.track(&sent_of_old).await.unwrap().state(), pb::DeliveryState::Delivered);
    assert!(!inbox(&b, "H01.22").await.contains(&of_old));
    let again: Vec<_> =
        net.events("a", "sent_again").await.into_iter().filter_map(|(_, e)| e.kind.delivery_id()).collect();
    assert!(!again.iter().any(|id| id.as_bytes()[..] == of_old[..]), "{again:?}");
    // The same events at the same places: the root at the copy's end is the one that the lost log signed.
    let events = net.events("b", "").await;
    let (at, first) = events.iter().find(|(_, e)| e.kind.name() == "generation_opened").unwrap();
    assert_eq!(*at, opened.kept);
    let EventKind::GenerationOpened(recorded) = &first.kind else { panic!("{first:?}") };
    assert_eq!(*recorded, opened);
    let exchange = net.node("b").exchange().clone();
    let ledger = exchange.ledger();
    assert_eq!(ledger.root_at(opened.kept, &ledger.snapshot()).unwrap(), opened.kept_root);
    drop(exchange);
    // The copy is as it was, and still verifies under the lost log's key.
    let checked = Offline::open(&old).unwrap().verify(&key, |_| {}).unwrap();
    assert!(checked.is_clean() && checked.events == opened.kept, "{checked:?}");
    net.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_is_lost_as_well_goes_on_in_a_third() {
    let mut net = running().await;
    let before = exchanged(&net).await;
    let of_b = figures(&net, "b").await;
    net.stop("b").await;
    copy(&net.config("b").data, &net.path("first"));
    lose(&net, "b").await;
    let first = net.path("first");
    open_next(&mut net, "b", Some(&first)).await;
    net.start("b").await;
    recovered(&mut net, "b", &["a", "c"]).await;
    let more = deliver(&net, "a", "H01.1", "H01.22", "5").await;
    net.kill("b");
    lose(&net, "b").await;
    let opened = open_next(&mut net, "b", None).await;
    assert_eq!((opened.lost.as_str(), opened.kept), ("b/log/2", 0));
    net.start("b").await;
    // Nothing of the first is left now either: all of it comes again.
    all_is_back(&mut net, &before, &of_b).await;
    settled_again(&net, "a").await;
    let b = net.dms("b").await;
    eventually("the newest is there again", || async {
        inbox(&b, "H01.22").await.contains(&more).then_some(())
    })
    .await;
    net.finish().await;
}
