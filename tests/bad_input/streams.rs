//! Streams that stop, and messages over the limit: what came before is answered, the reason is said, and the place is
//! free.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use lienthong::domain::limits;
use lienthong::wire::pb;
use lienthong::wire::pb::deliver_response::Outcome;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tower::{Service as _, ServiceExt as _};

use super::common::check::{invalid, refusal};
use super::common::{TestNet, eventually};
use super::forged::Forged;

#[tokio::test]
async fn an_offer_over_the_limit_ends_its_stream_with_the_reason_after_what_came_before_is_answered() {
    let net = TestNet::running(&["a"]).await;
    let (mut log, mut calling) = (net.hand_log("c"), net.calling("c", "a").await);
    let (sender, receiver) = mpsc::channel(8);
    for id in 1..=4u64 {
        let mut offer = Forged::good(&net, &id.to_string()).offer(&net, &mut log);
        offer.id = id;
        sender.send(offer).await.unwrap();
    }
    let data = vec![7; limits::MESSAGE_BYTES + 1].into();
    sender.send(pb::DeliverRequest { id: 5, data, ..pb::DeliverRequest::default() }).await.unwrap();
    let mut answers = calling.peer.deliver(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let mut answered = Vec::new();
    let status = loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                assert!(matches!(answer.outcome, Some(Outcome::Receipt(_))), "{answer:?}");
                answered.push(answer.id);
            }
            Ok(None) => panic!("the stream ended without a reason"),
            Err(status) => break status,
        }
    };
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3, 4]);
    invalid("bad_stream", "", &["cannot be read", "8388608"]).check(&status);
    // The next stream works, on the same connection.
    let again = Forged::good(&net, "6").offer(&net, &mut log);
    assert!(matches!(calling.offer(again).await.unwrap(), Outcome::Receipt(_)));
    net.finish().await;
}

/// Node a, whose calls may bring nothing for a moment only, and whose client has one document under way.
async fn impatient() -> TestNet {
    let mut net = TestNet::new();
    net.configure("a", |config| {
        config.idle = Duration::from_millis(700);
        config.client_share.documents = 1;
    });
    net.start("a").await;
    net
}

/// Sends the first messages of a document, and then nothing; the call as it goes on, and what keeps it open.
fn begin(
    client: &super::common::client::Client,
    messages: Vec<pb::SendRequest>,
) -> (tokio::task::JoinHandle<Result<(), Status>>, mpsc::Sender<pb::SendRequest>) {
    let (sender, receiver) = mpsc::channel(64);
    for message in messages {
        sender.try_send(message).unwrap();
    }
    let mut exchange = client.node.exchange();
    let call = tokio::spawn(async move { exchange.send(ReceiverStream::new(receiver)).await.map(|_| ()) });
    (call, sender)
}

#[tokio::test]
async fn an_upload_that_stops_is_ended_with_a_reason_frees_its_place_and_goes_on_later() {
    let net = impatient().await;
    let client = net.dms("a").await;
    let idle = refusal(Code::Unavailable, "idle", "", &["nothing came for 0.7 s", "GetUpload"]);
    let doc = net.document_of("H01.1", &["H01.2"], "1", vec![b'x'; 3 << 20]);
    let messages = doc.messages();
    // Nothing at all, a header alone, and some of the content.
    for count in [0, 1, 2] {
        let (call, open) = begin(&client, messages[..count].to_vec());
        idle.check(&call.await.unwrap().unwrap_err());
        drop(open);
    }
    let request =
        pb::GetUploadRequest { sender: doc.header.sender.clone(), request_id: doc.header.request_id.clone() };
    let durable = client.node.exchange().get_upload(request).await.unwrap().into_inner().durable_offset;
    assert!(durable > 0 && durable < 3 << 20, "{durable}");
    // While one is silent its place is taken; afterwards it is free.
    let silent = net.document_of("H01.1", &["H01.2"], "3", vec![b'y'; 3 << 20]);
    let (call, open) = begin(&client, silent.messages()[..1].to_vec());
    let other = net.document("H01.1", &["H01.2"], "2");
    eventually("its place is taken", || async {
        let answer = client.send_many(vec![other.bulk()]).await.remove(0);
        match answer.outcome {
            Some(pb::send_many_response::Outcome::Problem(p)) => (p.reason == "overloaded").then_some(()),
            _ => None,
        }
    })
    .await;
    idle.check(&call.await.unwrap().unwrap_err());
    drop(open);
    let rest = doc.clone().with_header(|h| h.resume_offset = durable);
    let mut messages = vec![rest.messages().remove(0)];
    for piece in doc.data[durable as usize..].chunks(1 << 20) {
        let part = Some(pb::send_request::Part::Data(Bytes::copy_from_slice(piece)));
        messages.push(pb::SendRequest { part });
    }
    let sent = client.node.exchange().send(tokio_stream::iter(messages)).await.unwrap().into_inner();
    assert_eq!(sent.results[0].problem, None);
    let id = &sent.results[0].delivery_id;
    client.wait_for(id, pb::DeliveryState::Delivered).await;
    assert_eq!(client.fetch("H01.2", id).await.unwrap().1, doc.data);
    net.finish().await;
}

/// A request that brings some bytes and then nothing.
struct Stops(Option<Bytes>);

impl HttpBody for Stops {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.take().map_or(Poll::Pending, |data| Poll::Ready(Some(Ok(Frame::data(data)))))
    }
}

#[tokio::test]
async fn a_stream_may_be_silent_between_two_messages_and_not_within_one() {
    let net = impatient().await;
    let client = net.dms("a").await;
    // A bulk stream that is silent longer than that, and then goes on.
    let (sender, receiver) = mpsc::channel(8);
    let many = client.node.exchange().send_many(ReceiverStream::new(receiver)).await.unwrap();
    let mut answers = many.into_inner();
    for number in ["1", "2"] {
        // In the meantime another call of the kind that may not be silent comes to its end.
        let (call, _open) = begin(&client, Vec::new());
        call.await.unwrap().unwrap_err();
        sender.send(net.document("H01.1", &["H01.2"], number).bulk()).await.unwrap();
        let answer = answers.message().await.unwrap().unwrap();
        assert!(matches!(answer.outcome, Some(pb::send_many_response::Outcome::Sent(_))), "{answer:?}");
    }
    // Half a message.
    let mut channel = client.node.channel();
    let request = hyper::Request::post("http://node/lienthong.v1.ExchangeService/SendMany")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(Stops(Some(Bytes::from_static(&[0, 0, 0, 1, 0, 9, 9])))))
        .unwrap();
    let response = channel.ready().await.unwrap().call(request).await.unwrap();
    let mut body = response.into_body();
    let trailers = loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
        if let Ok(trailers) = frame.into_trailers() {
            break trailers;
        }
    };
    let status = Status::from_header_map(&trailers).unwrap();
    refusal(Code::Unavailable, "idle", "", &["nothing came for 0.7 s"]).check(&status);
    net.finish().await;
}
