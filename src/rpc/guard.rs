//! What every call of a listener passes: it is counted in its caller's share, its messages are counted as they arrive,
//! refusals are counted by reason, and while the node stops nothing new begins. A request that brings nothing for too
//! long is ended, so that its place is free: in the middle of a message always, between messages unless its call is one
//! that may be silent (`SILENT`).
//!
//! The count of arriving bytes follows the frames of gRPC (a flag, four bytes of length, the message): what belongs to
//! messages that are complete is counted until more is asked for, because then the decoder has handed them on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::{Request, Response};
use tokio::sync::watch;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::quota::{Quotas, Taken, What, holder};
use super::tls::Identity;
use crate::domain::reason::{Reason, Rejection};
use crate::wire::failure;

/// Bytes before a message in a gRPC stream.
const PREFIX: usize = 5;
/// Calls that are answered also while the node stops: whether it serves.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Calls that stay open for what is to be said, and may be silent as long as they like between two messages.
const SILENT: [&str; 5] = [
    "/lienthong.v1.ExchangeService/SendMany",
    "/lienthong.v1.PeerService/Deliver",
    "/lienthong.v1.PeerService/Collect",
    "/lienthong.v1.PeerService/ServeContent",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// Puts every call of a server behind the shares of its listener.
#[derive(Clone)]
pub struct GuardLayer {
    quotas: Quotas,
    stop: watch::Receiver<bool>,
}

impl GuardLayer {
    /// With the listener's shares; `stop` says when nothing new may begin.
    pub fn new(quotas: Quotas, stop: watch::Receiver<bool>) -> GuardLayer {
        GuardLayer { quotas, stop }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, layer: self.clone() }
    }
}

/// See [`GuardLayer`].
#[derive(Clone)]
pub struct Guard<S> {
    inner: S,
    layer: GuardLayer,
}

type Pinned<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pinned<Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let GuardLayer { quotas, mut stop } = self.layer.clone();
        let health = request.uri().path().starts_with(HEALTH);
        let identity = request.extensions().get::<Identity>().cloned();
        let who = holder(identity.as_ref());
        let admitted = if *stop.borrow() && !health { Err(stopping()) } else { Ok(()) };
        let admitted = admitted.and_then(|()| quotas.take(&who, What::Calls, 1));
        let call = match admitted {
            Ok(call) => call,
            Err(rejection) => {
                quotas.refused(rejection.reason);
                let response = failure::status(&rejection).into_http();
                return Box::pin(async move { Ok(response) });
            }
        };
        let silent = SILENT.contains(&request.uri().path());
        let request = request.map(|body| Body::new(Arriving::new(body, &quotas, &who, silent)));
        let answering = self.inner.call(request);
        Box::pin(async move {
            let response = answering.await?;
            if let Some(status) = Status::from_header_map(response.headers()) {
                quotas.answered(&status, identity.as_ref());
            }
            // Whoever watches whether the node serves learns that it does not, and is let go.
            let end: Option<Pinned<()>> =
                health.then(|| Box::pin(async move { drop(stop.wait_for(|s| *s).await) }) as Pinned<()>);
            Ok(response.map(|body| Body::new(Answering { body, quotas, identity, _call: call, end })))
        })
    }
}

/// The refusal of what comes while the node stops.
pub(super) fn stopping() -> Rejection {
    Rejection::new(Reason::Stopping, "", "this node is stopping: send the same again when it is back")
}

/// A request's messages, counted.
struct Arriving {
    body: Body,
    /// What is held; `None` when nothing ever came.
    taken: Option<Taken>,
    quotas: Quotas,
    who: Arc<str>,
    frames: Frames,
    /// It may be silent between two messages.
    silent: bool,
    /// While nothing comes: when that has been too long. Time in which nobody asked for more does not count.
    until: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    fn new(body: Body, quotas: &Quotas, who: &Arc<str>, silent: bool) -> Arriving {
        let (quotas, who) = (quotas.clone(), who.clone());
        Arriving { body, taken: None, quotas, who, frames: Frames::default(), silent, until: None }
    }

    /// Nothing is there: has that been so for too long?
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if self.silent && self.frames.partial() == 0 {
            return Poll::Pending;
        }
        let limit = self.quotas.quiet();
        let until = self.until.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(until.as_mut().poll(cx));
        let rejection = Rejection::new(
            Reason::Idle,
            "",
            format!(
                "nothing came for {} s: this call is over and its place is free; what is on the disk of a large \
                 upload is kept: ask GetUpload, and go on there",
                limit.as_secs_f32()
            ),
        );
        Poll::Ready(failure::status(&rejection))
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Rejection> {
        match &mut self.taken {
            Some(taken) => taken.set(bytes),
            None if bytes == 0 => Ok(()),
            None => {
                self.taken = Some(self.quotas.take(&self.who, What::Arriving, bytes)?);
                Ok(())
            }
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // Asked for more: what was complete has been handed on.
        let partial = self.frames.partial();
        let _ = self.hold(partial);
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return self.wait(cx).map(|status| Some(Err(status)));
        };
        self.until = None;
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            if let Err(rejection) = self.hold(partial + data.len()) {
                return Poll::Ready(Some(Err(failure::status(&rejection))));
            }
            self.frames.passed(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where a gRPC stream stands within its current message.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of the prefix so far.
    prefix: [u8; PREFIX],
    at: usize,
    /// Bytes of the message that came, and that are to come.
    came: usize,
    left: usize,
}

impl Frames {
    /// Bytes of the message that is not complete.
    fn partial(&self) -> usize {
        self.at + self.came
    }

    fn passed(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.at < PREFIX {
                self.prefix[self.at] = data[0];
                self.at += 1;
                data = &data[1..];
                if self.at == PREFIX {
                    let [_, length @ ..] = self.prefix;
                    self.left = u32::from_be_bytes(length) as usize;
                }
            } else {
                let n = self.left.min(data.len());
                (self.came, self.left) = (self.came + n, self.left - n);
                data = &data[n..];
            }
            if self.at == PREFIX && self.left == 0 {
                (self.at, self.came) = (0, 0);
            }
        }
    }
}

/// An answer under way: its call is counted until it ends.
struct Answering {
    body: Body,
    quotas: Quotas,
    identity: Option<Identity>,
    _call: Taken,
    /// When a stream that never ends by itself shall end.
    end: Option<Pinned<()>>,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                let trailers = frame.as_ref().and_then(|f| f.as_ref().ok()).and_then(Frame::trailers_ref);
                if let Some(status) = trailers.and_then(Status::from_header_map) {
                    self.quotas.answered(&status, self.identity.as_ref());
                }
                Poll::Ready(frame)
            }
            Poll::Pending => {
                let Some(end) = &mut self.end else { return Poll::Pending };
                ready!(end.as_mut().poll(cx));
                self.end = None;
                // From here on there is nothing but this.
                self.body = Body::empty();
                let mut trailers = hyper::HeaderMap::new();
                let _ = failure::status(&stopping()).add_header(&mut trailers);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_an_incomplete_message_are_told_apart_however_they_are_cut() {
        let mut stream = Vec::new();
        let mut ends = vec![0];
        for length in [0u32, 1, 300, 70_000, 4, 0] {
            stream.push(0);
            stream.extend(length.to_be_bytes());
            stream.extend(vec![9; length as usize]);
            ends.push(stream.len());
        }
        for piece in [1, 2, 3, 5, 7, 256, 16_384, stream.len()] {
            let mut frames = Frames::default();
            let mut at = 0;
            for data in stream.chunks(piece) {
                frames.passed(data);
                at += data.len();
                let begun = ends.iter().rev().find(|end| **end <= at).unwrap();
                assert_eq!(frames.partial(), at - begun, "pieces of {piece} at {at}");
            }
            assert_eq!(frames.partial(), 0);
        }
    }
}
