//! Large content between nodes: on a connection of its own, so that no small message waits behind it.
//!
//! The connection is made for the first pull from a peer and closed with the last that uses it. A pull that breaks goes
//! on where it stopped when its message is offered again.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::link::Link;
use super::peer::read_failure;
use super::refuse;
use crate::domain::ids::{DeliveryId, NodeName};
use crate::domain::reason::Rejection;
use crate::exchange::Exchange;
use crate::exchange::accept::{Boxed, ContentPieces, ContentSource};
use crate::wire::pb::peer_service_client::PeerServiceClient;
use crate::wire::{pb, words};

/// How long it may take to begin to answer.
const BEGIN: Duration = Duration::from_secs(60);

/// The connection for content to one peer, while somebody uses it.
#[derive(Default)]
pub(super) struct ContentLane {
    channel: tokio::sync::Mutex<Weak<Channel>>,
}

impl ContentLane {
    async fn channel(&self, link: &Link) -> Result<Arc<Channel>, Rejection> {
        let mut kept = self.channel.lock().await;
        if let Some(channel) = kept.upgrade() {
            return Ok(channel);
        }
        let channel = Arc::new(link.dial_in_time().await?);
        link.compare_on(&channel);
        *kept = Arc::downgrade(&channel);
        Ok(channel)
    }

    /// The connection failed: nobody else shall begin on it.
    async fn forget(&self, channel: &Arc<Channel>) {
        let mut kept = self.channel.lock().await;
        if kept.as_ptr() == Arc::as_ptr(channel) {
            *kept = Weak::new();
        }
    }
}

/// A stream of content with its connection.
struct Pulled {
    pieces: Streaming<pb::ContentResponse>,
    _channel: Arc<Channel>,
}

impl ContentPieces for Pulled {
    fn next(&mut self) -> Boxed<'_, Result<Option<Bytes>, Rejection>> {
        Box::pin(async move {
            let piece = self.pieces.message().await.map_err(|s| read_failure(&s))?;
            Ok(piece.map(|p| p.data))
        })
    }
}

impl ContentSource for Link {
    fn open(
        &self,
        delivery: DeliveryId,
        part: u32,
        offset: u64,
    ) -> Boxed<'_, Result<Box<dyn ContentPieces>, Rejection>> {
        Box::pin(async move {
            let request = pb::ContentRequest { delivery_id: words::id(&delivery), part, offset };
            if self.must_call() {
                return self.open_on_standby(request).await;
            }
            let channel = self.content.channel(self).await?;
            let mut client = PeerServiceClient::new(Channel::clone(&channel));
            let opened = tokio::time::timeout(BEGIN, client.content(request)).await;
            let opened = opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no content came")));
            match opened {
                Ok(pieces) => {
                    Ok(Box::new(Pulled { pieces: pieces.into_inner(), _channel: channel }) as Box<_>)
                }
                Err(status) => {
                    self.content.forget(&channel).await;
                    Err(read_failure(&status))
                }
            }
        })
    }
}

/// Serves a part of a delivery to the peer that it is for.
pub(super) fn serve(
    exchange: &Exchange,
    peer: &NodeName,
    request: &pb::ContentRequest,
) -> Result<ReceiverStream<Result<pb::ContentResponse, Status>>, Rejection> {
    let delivery = DeliveryId::from_slice(&request.delivery_id)?;
    let mut serving = exchange.content_for_peer(peer, delivery, request.part, request.offset)?;
    let (pieces, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let message = match serving.next().await {
                Ok(Some(data)) => Ok(pb::ContentResponse { data }),
                Ok(None) => return,
                Err(rejection) => Err(refuse(rejection)),
            };
            let ended = message.is_err();
            if pieces.send(message).await.is_err() || ended {
                return;
            }
        }
    });
    Ok(ReceiverStream::new(receiver))
}
