//! The way of a document tells what became of it, to everybody who may see it.

use lienthong::wire::pb;

use crate::{browser, pages, says};

/// Where each text begins, in this order.
#[track_caller]
fn in_order(body: &str, texts: &[&str]) {
    let (_, way) = body.split_once("<ol class=\"way\">").unwrap();
    let (way, _) = way.split_once("</ol>").unwrap();
    let places: Vec<usize> =
        texts.iter().map(|text| way.find(text).unwrap_or_else(|| panic!("{text}: {way}"))).collect();
    assert!(places.is_sorted(), "{texts:?} at {places:?}: {way}");
}

#[tokio::test]
async fn a_document_that_its_recipient_refused_or_that_was_revoked_says_so_to_all_who_may_see_it() {
    let mut net = pages().await;
    let (dms, other) = (net.dms("a").await, net.dms("b").await);
    let mut admin = browser(&mut net, Some("admin"));
    says(&admin.get("/exchange").await.unwrap(), 200, "Nút này chưa từ chối thông điệp nào.");
    let mut ids = Vec::new();
    for number in ["5", "6"] {
        let id = dms.deliver(&net.document("H01.1", &["H01.22"], number)).await.remove(0);
        dms.wait_for(&id, pb::DeliveryState::Delivered).await;
        net.clock.set(net.now().plus_millis(1_000));
        other.fetch("H01.22", &id).await.unwrap();
        other.acknowledge("H01.22", &id).await.unwrap();
        ids.push(id);
    }
    // On paper, too: the first of them to the same agency, and to another.
    for recipient in ["H01.22", "H01.21"] {
        let entry = pb::RecordPaperRequest {
            request_id: format!("paper-{recipient}"),
            sender: "H01.1".into(),
            recipient: recipient.into(),
            number: "5".into(),
            notation: "CV-VP".into(),
            issued_on: "2016-08-08".into(),
            type_name: "công văn".into(),
            dispatched_on: "2016-08-08".into(),
            ..pb::RecordPaperRequest::default()
        };
        dms.node.exchange().record_paper(entry).await.unwrap();
    }
    net.clock.set(net.now().plus_millis(1_000));
    other.report("H01.22", &ids[0], pb::Status::Refused, "gửi nhầm").await.unwrap();
    other.report("H01.22", &ids[1], pb::Status::Accepted, "").await.unwrap();
    net.clock.set(net.now().plus_millis(1_000));
    dms.revoke(&net, "H01.1", &ids[1]).await;
    crate::common::eventually("the status came", || async {
        (dms.statuses(&ids[0]).await.len() == 2 && dms.statuses(&ids[1]).await.len() == 2).then_some(())
    })
    .await;
    dms.wait_for_end(&ids[1], pb::EndedBy::Revoked).await;

    let path = |at: usize| format!("/documents/{}", hex::encode(&ids[at]));
    let refused = "NƠI NHẬN TỪ CHỐI (trạng thái 02)";
    let order = ["Ghi nhận để gửi", "01 đã đến", "02 từ chối tiếp nhận"];
    for client in ["admin", "auditor", "dms", "one", "operator"] {
        let page = browser(&mut net, Some(client)).get(&path(0)).await.unwrap();
        says(&page, 200, refused);
        in_order(&page.body, &order);
        // Who sees the register: the entry about this recipient alone.
        let entries = page.body.matches("Vào sổ văn bản giấy").count();
        assert_eq!(entries, usize::from(client != "operator"), "{client}: {}", page.body);
        let page = browser(&mut net, Some(client)).get(&path(1)).await.unwrap();
        assert!(!page.body.contains(refused), "{client}");
        in_order(&page.body, &["Ghi nhận để gửi", "01 đã đến", "03 đã tiếp nhận", "thu hồi"]);
        says(&page, 200, "HẾT HIỆU LỰC");
        assert!(!page.body.contains("Vào sổ văn bản giấy"), "{client}");
    }
    // Counted where refusals are.
    let exchange = admin.get("/exchange").await.unwrap();
    says(&exchange, 200, "nơi nhận từ chối bằng trạng thái 02: 1");
    net.finish().await;
}
