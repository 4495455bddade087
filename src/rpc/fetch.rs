//! Content to the recipient's system: the header, then the parts' bytes from where the system wants them.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::refuse;
use crate::domain::Part;
use crate::domain::ids::DeliveryId;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::accept::is_inline;
use crate::exchange::{Caller, Exchange};
use crate::wire::{pb, words};

/// How often the lease of a client that reads is lengthened.
const RENEW: Duration = Duration::from_secs(60);

type Sender = mpsc::Sender<Result<pb::FetchResponse, Status>>;

/// Opens a delivery and streams it.
pub(super) async fn open(
    exchange: &Exchange,
    caller: Caller,
    agency: String,
    delivery: DeliveryId,
    user: &str,
    offset: u64,
) -> Result<ReceiverStream<Result<pb::FetchResponse, Status>>, Rejection> {
    let opened = exchange.fetch(&caller, &agency, delivery, user).await?;
    let size = opened.content.content_size();
    if offset > size {
        return Err(Rejection::new(
            Reason::BadOffset,
            "offset",
            format!("{offset} is behind the {size} bytes of this delivery: begin at 0, or where you stopped"),
        ));
    }
    let place = match is_inline(size) {
        true => None,
        false => Some(exchange.fetch_place(&caller)?),
    };
    let (pieces, receiver) = mpsc::channel(1);
    let exchange = exchange.clone();
    tokio::spawn(async move {
        let header = pb::FetchHeader {
            envelope: opened.envelope,
            verdicts: Some(words::verdicts(opened.verdicts)),
            legally_effective: opened.verdicts.both_valid(),
            signatures: opened.signatures,
            lease_until: opened.lease_until.millis(),
            log_index: opened.index,
            updates: opened.updates,
        };
        let header = pb::FetchResponse { part: Some(pb::fetch_response::Part::Header(header)) };
        if pieces.send(Ok(header)).await.is_ok() {
            let renew = || exchange.renew_lease(&caller, &delivery);
            if let Err(rejection) = parts(&exchange, opened.content.parts(), offset, &pieces, renew).await {
                let _ = pieces.send(Err(refuse(rejection))).await;
            }
        }
        drop(place);
    });
    Ok(ReceiverStream::new(receiver))
}

/// The bytes of all parts from an offset on, until they are all sent or nobody reads any more.
async fn parts(
    exchange: &Exchange,
    parts: &[Part],
    mut offset: u64,
    pieces: &Sender,
    renew: impl Fn(),
) -> Result<(), Rejection> {
    let mut renewed = Instant::now();
    for part in parts {
        if offset >= part.size {
            offset -= part.size;
            continue;
        }
        let mut content = exchange.pieces(&part.sha256, part.size, std::mem::take(&mut offset))?;
        while let Some(data) = content.next().await? {
            let message = pb::FetchResponse { part: Some(pb::fetch_response::Part::Data(data)) };
            if pieces.send(Ok(message)).await.is_err() {
                return Ok(());
            }
            if renewed.elapsed() >= RENEW {
                renew();
                renewed = Instant::now();
            }
        }
    }
    Ok(())
}
