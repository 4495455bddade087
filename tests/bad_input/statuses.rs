//! Statuses: out of order, without a reason, not this party's to give; and a lease.

use lienthong::wire::pb;
use tonic::Code;

use super::common::check::{invalid, refusal};
use super::common::client::Client;
use super::common::{TestNet, eventually};

/// A delivery from H01.1 on node a to H01.22 on node b, acknowledged.
async fn delivered(net: &TestNet, a: &Client, b: &Client) -> bytes::Bytes {
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    b.acknowledge("H01.22", &id).await.unwrap();
    id
}

#[tokio::test]
async fn a_status_out_of_order_is_recorded_and_flagged_on_both_sides() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = delivered(&net, &a, &b).await;
    let steps = [
        (pb::Status::Completed, true),
        (pb::Status::Accepted, false),
        (pb::Status::TakeBackAgreed, true),
        (pb::Status::Assigned, false),
    ];
    for (status, out_of_order) in steps {
        let answer = b.report("H01.22", &id, status, "").await.unwrap();
        assert_eq!(answer.out_of_order, out_of_order, "{status:?}");
    }
    let expected: Vec<(i32, bool)> = std::iter::once((pb::Status::Arrived, false))
        .chain(steps)
        .map(|(status, out_of_order)| (status as i32, out_of_order))
        .collect();
    let flags = |view: pb::DeliveryView| -> Vec<(i32, bool)> {
        view.statuses.iter().map(|s| (s.status, s.out_of_order)).collect()
    };
    let seen = eventually("all arrive", || async {
        Some(flags(a.track(&id).await.unwrap())).filter(|s| s.len() >= expected.len())
    })
    .await;
    assert_eq!(seen, expected);
    assert_eq!(flags(b.track(&id).await.unwrap()), expected);
    // Not lost: the sender's system is told of each.
    let told = a.told(&["H01.1"], "").await.unwrap();
    let told: Vec<i32> =
        told.iter().filter(|i| i.kind() == pb::WatchKind::Status).map(|i| i.status).collect();
    assert_eq!(told, expected.iter().map(|s| s.0).collect::<Vec<_>>());
    net.finish().await;
}

#[tokio::test]
async fn a_refusal_without_a_reason_or_with_an_overlong_one_is_refused() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = delivered(&net, &a, &b).await;
    let arrived = pb::Status::Arrived as i32;
    eventually("01 arrives", || async { (a.statuses(&id).await == [arrived]).then_some(()) }).await;
    let before = net.traces().await;
    for (status, reason) in
        [(pb::Status::Refused, ""), (pb::Status::Refused, " \n"), (pb::Status::TakeBackRefused, "")]
    {
        let answer = b.report("H01.22", &id, status, reason).await.unwrap_err();
        invalid("missing_field", "reason", &["must say why"]).check(&answer);
    }
    let answer = b.report("H01.22", &id, pb::Status::Refused, &"x".repeat(501)).await.unwrap_err();
    invalid("too_long", "reason", &["501 characters", "500 allowed"]).check(&answer);
    assert_eq!(net.traces().await, before);
    assert_eq!(b.track(&id).await.unwrap().statuses.len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn a_status_that_does_not_exist_or_is_not_reported_so_is_refused() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = delivered(&net, &a, &b).await;
    let before = net.events("b", "submitted").await.len();
    for number in [0, 7, 99, -1] {
        let request = pb::SendStatusRequest {
            request_id: "r".to_owned(),
            agency: "H01.22".to_owned(),
            delivery_id: id.clone(),
            status: number,
            ..pb::SendStatusRequest::default()
        };
        let answer = b.node.exchange().send_status(request).await.unwrap_err();
        invalid("wrong_status", "status", &[&format!("{number} is no status"), "2 to 6"]).check(&answer);
    }
    let answer = b.report("H01.22", &id, pb::Status::Arrived, "").await.unwrap_err();
    invalid("wrong_status", "status", &["01", "Acknowledge"]).check(&answer);
    assert_eq!(net.events("b", "submitted").await.len(), before);
    net.finish().await;
}

#[tokio::test]
async fn a_status_again_is_the_same_answer_and_its_request_id_serves_nothing_else() {
    let net = TestNet::running(&["a", "b"]).await;
    let (a, b) = (net.dms("a").await, net.dms("b").await);
    let id = delivered(&net, &a, &b).await;
    let first = b.report("H01.22", &id, pb::Status::Accepted, "").await.unwrap();
    let (second, third) = tokio::join!(
        b.report("H01.22", &id, pb::Status::Accepted, ""),
        b.report("H01.22", &id, pb::Status::Accepted, "")
    );
    assert_eq!((second.unwrap(), third.unwrap()), (first.clone(), first));
    let request = pb::SendStatusRequest {
        request_id: format!("03-{}", &hex::encode(&id)[..40]),
        agency: "H01.22".to_owned(),
        delivery_id: id.clone(),
        status: pb::Status::Completed.into(),
        ..pb::SendStatusRequest::default()
    };
    let answer = b.node.exchange().send_status(request).await.unwrap_err();
    refusal(Code::AlreadyExists, "request_id_reused", "request_id", &["`03-"]).check(&answer);
    assert_eq!(b.track(&id).await.unwrap().statuses.len(), 2);
    net.finish().await;
}

#[tokio::test]
async fn what_another_client_of_the_agency_has_fetched_is_leased_until_a_time_that_is_named() {
    let net = TestNet::running(&["a"]).await;
    let (a, one) = (net.dms("a").await, net.client("a", "one").await);
    let id = a.deliver(&net.document("H01.2", &["H01.1"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let (header, _) = one.fetch("H01.1", &id).await.unwrap();
    let refused = a.fetch("H01.1", &id).await.unwrap_err();
    refusal(Code::FailedPrecondition, "leased", "delivery_id", &["until 2016-08-08", "try again then"])
        .check(&refused);
    assert!(a.inbox("H01.1").await.unwrap()[0].leased);
    // Its own lease it renews, and what it does not acknowledge is offered again.
    one.fetch("H01.1", &id).await.unwrap();
    net.clock.set(net.now().plus_millis(header.lease_until - net.now().millis() + 60_000));
    assert_eq!(a.fetch("H01.1", &id).await.unwrap().1, net.document("H01.2", &["H01.1"], "1").data);
    net.finish().await;
}
