//! The beginning of an id finds a delivery of the caller's agencies, and tells nothing of others.

use bytes::Bytes;
use lienthong::domain::fold::keys;
use lienthong::domain::ids::DeliveryId;
use lienthong::wire::pb;
use tonic::{Code, Status};

use super::common::TestNet;
use super::common::check::{invalid, refusal};
use super::common::client::Client;

async fn find(client: &Client, begins: &str) -> Result<Bytes, Status> {
    let request = pb::FindDeliveryRequest { begins: begins.to_owned() };
    client.node.exchange().find_delivery(request).await.map(|found| found.into_inner().delivery_id)
}

#[tokio::test]
async fn the_beginning_of_an_id_finds_ones_own_delivery_and_no_other() {
    let mut net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = a.deliver(&net.document("H01.2", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let hex = hex::encode(&id);
    let admin = net.client("a", "admin").await;
    for client in [&a, &b, &admin] {
        for digits in [8, 9, 12, 63, 64] {
            assert_eq!(find(client, &hex[..digits]).await.unwrap(), id, "{digits}");
        }
        assert_eq!(find(client, &hex[..8].to_uppercase()).await.unwrap(), id);
    }
    // Of H01.1, on the same node: as if it were not there.
    let other = if hex.starts_with("00000000") { "11111111" } else { "00000000" };
    for client in ["one", "auditor", "operator"] {
        let of_others = net.client("a", client).await;
        for begins in [&hex[..8], &hex[..40], other] {
            let said = find(&of_others, begins).await.unwrap_err();
            let none = format!("no delivery {begins}… of this client's agencies is known here");
            refusal(Code::NotFound, "unknown_delivery", "begins", &[&none]).check(&said);
        }
    }
    for wrong in ["", &hex[..7], &format!("{hex}0"), "zzzzzzzz", "12345678\u{301}"] {
        invalid("invalid_text", "begins", &["8 to 64 hexadecimal digits"])
            .check(&find(&a, wrong).await.unwrap_err());
    }

    // Another one that begins alike: more digits are needed, and whose it is counts.
    let own = DeliveryId::from_slice(&id).unwrap();
    let mut alike = *own.as_bytes();
    alike[5] ^= 1;
    let alike = DeliveryId::from_slice(&alike).unwrap();
    let index = net.node("a").exchange().ledger().index().clone();
    let record = index.get(&keys::outgoing(&own)).unwrap().unwrap();
    index.put_state(&keys::outgoing(&alike), &record).unwrap();
    let said = find(&a, &hex[..8]).await.unwrap_err();
    refusal(Code::NotFound, "unknown_delivery", "begins", &["several", "give more digits"]).check(&said);
    assert_eq!(find(&a, &hex[..12]).await.unwrap(), id);
    assert_eq!(find(&a, &alike.to_string()[..12]).await.unwrap(), alike.as_bytes().to_vec());
    // That record has no event: the check at the end would name it.
    drop(net);
}
