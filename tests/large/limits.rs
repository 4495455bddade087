//! Too much of something is refused by its limit.

use lienthong::wire::pb;

use super::common::TestNet;
use super::common::check::invalid;
use super::common::document::part;

#[tokio::test]
async fn ten_thousand_parts_in_one_message_are_refused_by_limit() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let mut doc = net.document("H01.1", &["H01.2"], "1");
    let more = part("phụ lục.xml", pb::PartRole::Attachment, b"", vec![]);
    doc.header.parts.extend(std::iter::repeat_n(more, 9_999));
    net.refuses(&a, &doc, &invalid("too_many", "parts", &["10000", "100"])).await;
    // Four million empty ones fit the bytes of a message, and would take most of a gigabyte when they are decoded.
    doc.header.parts = vec![pb::PartUpload::default(); 2_000_000];
    let before = net.traces().await;
    let says = ["2000", "fields are more than the 100000"];
    invalid("too_many", "header", &says).check(&a.send(&doc).await.unwrap_err());
    assert_eq!(net.traces().await, before);
    net.finish().await;
}
