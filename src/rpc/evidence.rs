//! `ExportEvidence`: the files of a delivery's evidence, one after the other, read and hashed on a thread of their own.
//!
//! 1. Who asks, and for what: a node's auditor has all, an agency's auditor what concerns its agency.
//! 2. The event that says so is durable before the first byte goes out, and is part of the evidence.
//! 3. The files go out as they are read; a client that is slow makes its export slow, and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tonic::Status;

use super::refuse;
use super::tls::{read_certificates, read_pkcs8};
use crate::audit::evidence::{self, Audience, CollectError, EvidenceError, Seal, Source};
use crate::config::{Config, NodeRole, Role};
use crate::domain::decide::Command;
use crate::domain::ids::{AgencyId, DeliveryId};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::{Caller, Exchange};
use crate::ledger::{LedgerError, Snapshot, must_be_checked, storage};
use crate::signature::{Signer, SigningKey};
use crate::wire::{pb, words};

type Piece = Result<pb::ExportEvidenceResponse, Status>;

/// What exports share.
#[derive(Clone)]
pub struct Exports {
    signer: Option<Arc<Signer>>,
    places: Arc<Semaphore>,
}

impl Exports {
    /// With the certificate of a configuration; the error says what is wrong with it.
    pub fn new(config: &Config) -> Result<Exports, String> {
        let places = Arc::new(Semaphore::new(limits::EXPORTS_AT_ONCE));
        Ok(Exports { signer: signer(config)?.map(Arc::new), places })
    }

    /// Records an export and begins it.
    pub async fn begin(
        &self,
        exchange: &Exchange,
        caller: &Caller,
        request: pb::ExportEvidenceRequest,
    ) -> Result<mpsc::Receiver<Piece>, Rejection> {
        // 1
        let actor = caller.actor(&request.user)?;
        let audience = audience(exchange, caller)?;
        let (id, agency) = {
            let (exchange, audience) = (exchange.clone(), audience.clone());
            let found = move || resolve(&exchange, audience, &request);
            tokio::task::spawn_blocking(found).await.map_err(|e| failed(&e))??
        };
        let place = self.places.clone().acquire_owned().await.map_err(|e| failed(&e))?;
        // 2
        let command = Command::Export { actor, agency, delivery_id: id };
        let committed = exchange.ledger().commit(command).await.map_err(LedgerError::into_rejection)?;
        // 3
        let (pieces, receiver) = mpsc::channel(4);
        let (exchange, signer) = (exchange.clone(), self.signer.clone());
        tokio::task::spawn_blocking(move || {
            let _place = place;
            let directory = exchange.directory();
            let trust = exchange.trust(&directory);
            let at = exchange.ledger().now();
            let seal = signer.as_deref().map(|signer| Seal { signer, trust: &trust, at });
            let ended = with_source(&exchange, audience, &committed.snapshot, |source| {
                evidence::export(source, id, seal.as_ref(), |path, size, data| {
                    send(&pieces, path, size, data)
                })
            });
            match ended {
                // Who asked has gone.
                Ok(()) | Err(EvidenceError::Write(_)) => {}
                Err(error) => {
                    let _ = pieces.blocking_send(Err(refuse(rejection(error))));
                }
            }
        });
        Ok(receiver)
    }
}

/// A piece of a file in messages of the size that they may have.
fn send(pieces: &mpsc::Sender<Piece>, path: &str, size: u64, data: &[u8]) -> Result<(), Gone> {
    let message = |data: &[u8]| pb::ExportEvidenceResponse {
        path: path.to_owned(),
        size,
        data: Bytes::copy_from_slice(data),
    };
    if data.is_empty() {
        return pieces.blocking_send(Ok(message(data))).map_err(|_| Gone);
    }
    data.chunks(limits::CHUNK_BYTES)
        .try_for_each(|part| pieces.blocking_send(Ok(message(part))).map_err(|_| Gone))
}

#[derive(Debug, thiserror::Error)]
#[error("who asked has gone")]
struct Gone;

/// The signer of exported evidence, where one is configured.
pub fn signer(config: &Config) -> Result<Option<Signer>, String> {
    let Some((certificate, key)) = &config.evidence else { return Ok(None) };
    let chain = read_certificates(certificate).map_err(|e| e.to_string())?;
    let mut chain = chain.into_iter().map(|der| der.to_vec());
    let own = chain.next().ok_or_else(|| format!("{} has no certificate", certificate.display()))?;
    let key = read_pkcs8(key).map_err(|e| e.to_string())?;
    let key = SigningKey::from_pkcs8(&key).map_err(|e| e.to_string())?;
    Signer::new(key, own, chain.collect()).map(Some).map_err(|e| e.to_string())
}

fn failed(error: &dyn std::fmt::Display) -> Rejection {
    tracing::error!(%error, "an export failed");
    Rejection::new(Reason::Internal, "", "this node's operator must look")
}

fn audience(exchange: &Exchange, caller: &Caller) -> Result<Audience, Rejection> {
    if caller.has(NodeRole::Auditor) {
        return Ok(Audience::Node);
    }
    let agencies: Vec<AgencyId> = caller.agencies(exchange, &exchange.directory(), Role::Auditor);
    if agencies.is_empty() {
        let what = format!(
            "client `{}` is an auditor neither of this node nor of an agency: its node's administrator can grant it",
            caller.name()
        );
        return Err(Rejection::new(Reason::NotAllowed, "", what));
    }
    Ok(Audience::Agencies(agencies))
}

fn resolve(
    exchange: &Exchange,
    audience: Audience,
    request: &pb::ExportEvidenceRequest,
) -> Result<(DeliveryId, Option<AgencyId>), Rejection> {
    let snapshot = exchange.ledger().snapshot();
    with_source(exchange, audience, &snapshot, |source| {
        let id = match &request.document {
            Some(document) if request.delivery_id.is_empty() => {
                let document = words::read_document_ref(document)?;
                let today = exchange.ledger().now().date();
                evidence::find(source, &exchange.directory(), today, &document, &request.recipient)?
            }
            _ => DeliveryId::from_slice(&request.delivery_id)?,
        };
        Ok((id, evidence::on_behalf_of(source, id)?))
    })
    .map_err(|error: CollectError| rejection(error))
}

fn with_source<T>(
    exchange: &Exchange,
    audience: Audience,
    snapshot: &Snapshot,
    read: impl FnOnce(&Source<'_>) -> T,
) -> T {
    let ledger = exchange.ledger();
    let prove = |index, under: Option<(u64, &str)>| match under {
        None => ledger.prove(index, snapshot),
        Some((size, note)) => ledger.prove_under(index, size, note, snapshot),
    };
    read(&Source {
        index: ledger.index(),
        log: ledger.origin(),
        size: snapshot.size(),
        prove: &prove,
        stamps: exchange.stamping().stamps(),
        cosigned: &exchange.cosigned_ever(),
        trust: &exchange.trust(&exchange.directory()),
        content: &**ledger.content(),
        directories: &exchange.config().data.join("directories"),
        authority: &exchange.config().authority,
        audience,
    })
}

fn rejection<E: std::fmt::Display>(error: EvidenceError<E>) -> Rejection {
    match error {
        EvidenceError::Rejected(rejection) => rejection,
        EvidenceError::Store(error) => storage(&error),
        EvidenceError::Sign(error) => failed(&error),
        error => {
            tracing::error!(%error, "evidence cannot be exported");
            must_be_checked()
        }
    }
}
