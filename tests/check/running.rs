//! A running node checks itself: what is wrong is told in status, metrics and an event.

use lienthong::domain::event::EventKind;
use lienthong::domain::fold::keys;
use lienthong::wire::pb;

use crate::common::TestNet;

#[tokio::test]
async fn a_node_that_is_right_says_so_and_one_that_is_not_raises_an_alarm() {
    let mut net = TestNet::new();
    net.configure("a", |config| {
        config.check.content = true;
        config.check.events_per_second = 1_000_000;
    });
    net.start("a").await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.2", &["H01.1"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    assert_eq!(net.status("a").await.self_check, None);
    let last = net.node("a").check_now().await.unwrap();
    assert_eq!((last.findings, last.first), (0, None));
    assert!(last.events > 3 && last.content_bytes > 0);
    let told = net.status("a").await.self_check.unwrap();
    assert_eq!((told.findings, told.events, told.at), (0, last.events, last.at.millis()));
    assert_eq!(net.events("a", "alarm").await.len(), 0);

    // A record of the folds is altered behind the node's back.
    let received = net.events("a", "received").await[0].0;
    let delivery = lienthong::domain::DeliveryId::from_slice(&id).unwrap();
    let index = net.node("a").exchange().ledger().index().clone();
    let key = keys::incoming(&delivery);
    let right = index.get(&key).unwrap().unwrap().to_vec();
    let mut wrong = right.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let head = index.head().unwrap().unwrap();
    index.write([(key.clone(), Some(wrong))], &head).unwrap();
    let last = net.node("a").check_now().await.unwrap();
    assert!(last.findings > 0 && last.first == Some(received), "{last:?}");
    let alarms = net.events("a", "alarm").await;
    let EventKind::Alarm { reason, detail, .. } = &alarms[0].1.kind else { panic!() };
    assert_eq!(reason, "self_check");
    assert!(detail.contains(&format!("fold {received}")), "{detail}");
    let told = net.status("a").await.self_check.unwrap();
    assert!(told.findings > 0 && told.has_first && told.first == received);
    let head = index.head().unwrap().unwrap();
    index.write([(key, Some(right))], &head).unwrap();
    drop(index);
    assert_eq!(net.node("a").check_now().await.unwrap().findings, 0);
    net.finish().await;
}

#[tokio::test]
async fn content_that_is_missing_or_altered_is_named_with_its_delivery_and_event() {
    let mut net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let small = net.document("H01.2", &["H01.1"], "1");
    let large = net.document_of("H01.2", &["H01.1"], "2", vec![3; 2 << 20]);
    for doc in [&small, &large] {
        let id = a.deliver(doc).await.remove(0);
        a.wait_for(&id, pb::DeliveryState::Delivered).await;
    }
    let submitted: Vec<u64> = net.events("a", "submitted").await.iter().map(|(at, _)| *at).collect();
    net.stop("a").await;
    let data = net.config("a").data.clone();
    let digest = |data: &[u8]| lienthong::merkle::sha256(data);
    let check = || {
        let offline = lienthong::audit::Offline::open(&data).unwrap();
        offline.check_content(|_| {}).unwrap()
    };
    let clean = check();
    assert!(clean.findings.is_empty(), "{:?}", clean.findings);
    assert!(clean.read.bytes > 2 << 20);
    // The small one is altered in its segment, the large one is gone.
    let segment = data.join("content/00000001.content");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(small.data.len()).position(|w| w == small.data).unwrap();
    bytes[at + 1] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    std::fs::remove_file(data.join("content/large").join(digest(&large.data).to_string())).unwrap();
    let found = check();
    // Sent and received at this node: two events each.
    assert_eq!(found.findings.len(), 4, "{:#?}", found.findings);
    assert_eq!(found.first, Some(submitted[0]));
    for (doc, at) in [(&small, submitted[0]), (&large, submitted[1])] {
        let name = digest(&doc.data).to_string();
        let finding = found.findings.iter().find(|f| f.index == Some(at)).unwrap();
        assert!(finding.message.contains(&name) && finding.message.contains("of delivery"), "{finding}");
    }
}
