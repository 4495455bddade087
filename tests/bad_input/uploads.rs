//! Streams: a client that goes, messages in no order, bytes that are no message.

use bytes::Bytes;
use lienthong::wire::pb;
use lienthong::wire::pb::exchange_service_client::ExchangeServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status};

use super::common::check::{invalid, refusal};
use super::common::{TestNet, eventually};

#[tokio::test]
async fn a_client_gone_in_mid_upload_leaves_no_trace_in_log_and_inboxes_and_may_send_again() {
    let net = TestNet::running(&["a"]).await;
    let before = net.traces().await;
    let partial = net.config("a").data.join("content/partial");
    let kept = || std::fs::read_dir(&partial).unwrap().count();
    // In memory, and on the disk.
    let sizes = [("1", 300 << 10), ("2", (1 << 20) + (700 << 10))];
    for (number, size) in sizes {
        let doc = net.document_of("H01.1", &["H01.2"], number, vec![b'x'; size]);
        let client = net.dms("a").await;
        let (sender, receiver) = mpsc::channel(1);
        let sending = tokio::spawn({
            let mut exchange = client.node.exchange();
            async move { exchange.send(ReceiverStream::new(receiver)).await.map(|_| ()) }
        });
        let mut messages = doc.messages();
        // All but the last byte.
        let Some(pb::send_request::Part::Data(last)) = messages.pop().unwrap().part else { panic!() };
        for message in messages {
            sender.send(message).await.unwrap();
        }
        let data = pb::send_request::Part::Data(last.slice(..last.len() - 1));
        sender.send(pb::SendRequest { part: Some(data) }).await.unwrap();
        // The process dies: call and connection are gone.
        sending.abort();
        drop((sender, client));
        assert_eq!(net.traces().await, before);
    }
    // Head and one part of the large one.
    eventually("what came of the large one is kept", || async { (kept() == 2).then_some(()) }).await;
    let client = net.dms("a").await;
    let other = net.document_of("H01.1", &["H01.2"], "2", vec![b'y'; 2 << 20]);
    let reused = refusal(Code::AlreadyExists, "request_id_reused", "request_id", &["use another id"]);
    net.refuses(&client, &other, &reused).await;
    for (number, size) in sizes {
        let doc = net.document_of("H01.1", &["H01.2"], number, vec![b'x'; size]);
        let sent = client.send(&doc).await.unwrap().results.remove(0);
        assert!(!sent.already_sent);
        client.wait_for(&sent.delivery_id, pb::DeliveryState::Delivered).await;
        assert_eq!(client.fetch("H01.2", &sent.delivery_id).await.unwrap().1, doc.data);
    }
    eventually("nothing is kept any more", || async { (kept() == 0).then_some(()) }).await;
    net.finish().await;
}

#[tokio::test]
async fn a_client_gone_before_the_answer_finds_the_same_delivery_when_it_sends_again() {
    let net = TestNet::running(&["a"]).await;
    for number in 1..=10 {
        let doc = net.document("H01.1", &["H01.2"], &number.to_string());
        let client = net.dms("a").await;
        let mut exchange = client.node.exchange();
        let messages = tokio_stream::iter(doc.messages());
        // The call is dropped after a while that differs: it was recorded, or it was not.
        tokio::select! {
            biased;
            _ = exchange.send(messages) => {}
            () = async { for _ in 0..number * 3 { tokio::task::yield_now().await } } => {}
        }
        drop((exchange, client));
        let client = net.dms("a").await;
        let id = client.deliver(&doc).await.remove(0);
        client.wait_for(&id, pb::DeliveryState::Delivered).await;
        assert_eq!(client.deliver(&doc).await, [id]);
    }
    assert_eq!(net.events("a", "submitted").await.len(), 10);
    assert_eq!(net.dms("a").await.inbox("H01.2").await.unwrap().len(), 10);
    net.finish().await;
}

#[tokio::test]
async fn messages_in_no_order_are_refused() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let before = net.traces().await;
    let doc = net.document("H01.1", &["H01.2"], "1");
    let [header, data] = &doc.messages()[..] else { panic!("two messages") };
    let empty = pb::SendRequest { part: None };
    for (messages, says) in [
        (vec![], "ended before the header"),
        (vec![empty.clone()], "ended before the header"),
        (vec![data.clone(), header.clone()], "before the header"),
        (vec![header.clone(), header.clone(), data.clone()], "only data may follow"),
        (vec![header.clone(), empty, data.clone()], "only data may follow"),
    ] {
        let status = a.node.exchange().send(tokio_stream::iter(messages)).await.unwrap_err();
        invalid("bad_stream", "", &[says]).check(&status);
    }
    let answers = a.send_many(vec![pb::SendManyRequest::default(), doc.bulk()]).await;
    let outcomes: std::collections::BTreeMap<_, _> =
        answers.into_iter().map(|a| (a.request_id, a.outcome.unwrap())).collect();
    let pb::send_many_response::Outcome::Problem(problem) = &outcomes[""] else { panic!("{outcomes:?}") };
    invalid("missing_field", "header", &["required"]).check_problem(problem);
    // The stream goes on with the next.
    assert!(matches!(outcomes["H01.1-1"], pb::send_many_response::Outcome::Sent(_)));
    assert_ne!(net.traces().await, before);
    net.finish().await;
}

/// Calls a method with bytes that are no request of it.
async fn call(client: &lienthong::rpc::client::NodeClient, path: &'static str, bytes: Bytes) -> Status {
    // A message whose only field holds the bytes: for the server a field 1 of another type.
    let codec = tonic_prost::ProstCodec::<pb::GetDirectoryResponse, pb::GetDirectoryResponse>::default();
    let mut grpc = tonic::client::Grpc::new(client.channel());
    grpc.ready().await.unwrap();
    let request = Request::new(pb::GetDirectoryResponse { data: bytes });
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
    let answer: Result<tonic::Response<pb::GetDirectoryResponse>, Status> =
        grpc.unary(request, path, codec).await;
    answer.expect_err("garbage is no request")
}

#[tokio::test]
async fn bytes_that_are_no_message_concern_that_call_only() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let before = net.traces().await;
    for path in [
        "/lienthong.v1.ExchangeService/Send",
        "/lienthong.v1.ExchangeService/SendMany",
        "/lienthong.v1.ExchangeService/Watch",
        "/lienthong.v1.ExchangeService/SendStatus",
        "/lienthong.v1.AuditService/GetEvent",
    ] {
        for garbage in [Bytes::from_static(&[0xff; 40]), Bytes::from_static(b"\x0a\xff\xff\xff\xff\x7f")] {
            let status = call(&a.node, path, garbage).await;
            assert_ne!(status.code(), Code::Ok, "{path}: {status}");
        }
    }
    let status = call(&a.node, "/lienthong.v1.ExchangeService/NoSuchCall", Bytes::new()).await;
    assert_eq!(status.code(), Code::Unimplemented);
    // The service for peers is not served to clients at all.
    let status = call(&a.node, "/lienthong.v1.PeerService/Hello", Bytes::new()).await;
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(net.traces().await, before);
    // The same connection goes on.
    assert_eq!(a.deliver(&net.document("H01.1", &["H01.2"], "2")).await.len(), 1);
    net.finish().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_ends_its_stream_with_a_reason_after_what_came_before_is_answered() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let before = net.traces().await;
    let unreadable = invalid("bad_stream", "", &["message cannot be read", "8388608 bytes"]);
    // Over the limit of a message: refused before it is read.
    let huge = net.document("H01.1", &["H01.2"], "99").with(|m| m.summary = "x".repeat(9 << 20));
    // A client without a limit of its own.
    let mut exchange = ExchangeServiceClient::new(a.node.channel());
    let status = exchange.send(tokio_stream::iter(huge.messages())).await.unwrap_err();
    unreadable.check(&status);
    assert_eq!(net.traces().await, before);
    let mut requests: Vec<_> =
        (1..=20).map(|n| net.document("H01.1", &["H01.2"], &n.to_string()).bulk()).collect();
    requests.push(huge.bulk());
    requests.push(net.document("H01.1", &["H01.2"], "21").bulk());
    let mut answers = exchange.send_many(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let mut answered = 0;
    let status = loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                assert!(matches!(answer.outcome, Some(pb::send_many_response::Outcome::Sent(_))));
                answered += 1;
            }
            Ok(None) => panic!("the stream ended as if all were answered, after {answered} of 22"),
            Err(status) => break status,
        }
    };
    unreadable.check(&status);
    assert_eq!(answered, 20);
    assert_eq!(net.events("a", "submitted").await.len(), 20);
    net.finish().await;
}
