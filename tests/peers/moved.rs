//! The directory changes while messages wait.

use super::common::{TestNet, eventually, name};
use lienthong::directory::content::Hosting;
use lienthong::wire::pb;

#[tokio::test]
async fn what_waits_for_an_agency_that_moves_goes_to_its_new_node() {
    let mut net = TestNet::running(&["a", "c"]).await;
    let a = net.dms("a").await;
    // Node b is down, and will not come back.
    let mut ids = Vec::new();
    for number in 1..=5 {
        let doc = net.document("H01.1", &["H01.22", "H01.22.1"], &number.to_string());
        ids.push(a.deliver(&doc).await);
    }
    eventually("the failure is seen", || async {
        (!net.queue("a", "b").await.last_error.is_empty()).then_some(())
    })
    .await;
    let today = net.now().date();
    net.change_directory(|content| {
        content.version += 1;
        let agency = content.agencies.iter_mut().find(|a| a.id == "H01.22").unwrap();
        agency.hosting = vec![
            Hosting { node: name("b"), from: None, to: Some(today) },
            Hosting { node: name("c"), from: Some(today), to: None },
        ];
    });
    let note = std::fs::read_to_string(net.path("a/directory.note")).unwrap();
    assert!(net.node("a").exchange().directories().offer(&note).unwrap());
    for of_document in &ids {
        let view = a.wait_for(&of_document[0], pb::DeliveryState::Delivered).await;
        assert_eq!(view.peer, "c");
        let other = a.track(&of_document[1]).await.unwrap();
        assert_eq!((other.state(), other.peer.as_str()), (pb::DeliveryState::Queued, "b"));
    }
    assert_eq!(net.events("a", "rerouted").await.len(), 5);
    assert_eq!(net.events("c", "received").await.len(), 5);
    assert_eq!(net.queue("a", "b").await.waiting, 5);
    // It stands in the log: a restart changes nothing.
    net.stop("a").await;
    net.start("a").await;
    let a = net.dms("a").await;
    assert_eq!(a.track(&ids[0][0]).await.unwrap().peer, "c");
    assert_eq!(net.queue("a", "b").await.waiting, 5);
    net.finish().await;
}
