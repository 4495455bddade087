//! What is held: in this node's custody, because a signature could not be judged when it came.
//!
//! It is decided by its agency ([`Exchange::release`]), or by this node when revocation data came that says more
//! ([`Exchange::judge_held`]). Either is a Released event, whose proof answers the origin when it asks again. Judged again
//! is at the time of the arrival, that this node had the document then being proven by its own log, or at the time before
//! it that a cosignature proves.

use super::accept::log_key;
use super::existence::judged_at;
use super::judge::stored_parts;
use super::stored::Stored;
use super::{Caller, Exchange, message};
use crate::config::{RevocationUnknown, Role};
use crate::domain::decide::Command;
use crate::domain::event::Actor;
use crate::domain::fold::records::{Incoming, IncomingState};
use crate::domain::fold::{self, keys, load};
use crate::domain::ids::DeliveryId;
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{Envelope, limits};
use crate::ledger::{LedgerError, damaged, events_of, storage};
use crate::merkle::Hash;
use crate::signature::{DigestNeeds, Digests, Hasher, digest_needs};
use crate::wire::proof::Proof;

/// Held deliveries looked at in one go.
const PAGE: usize = 256;

impl Exchange {
    /// The agency decides about a delivery that is held: it is its own from now on, or refused.
    pub async fn release(
        &self,
        caller: &Caller,
        agency: &str,
        id: DeliveryId,
        refuse: bool,
        user: &str,
    ) -> Result<u64, Rejection> {
        let directory = self.directory();
        let agency =
            self.own_agency(&directory, caller, Role::Dms, agency, "agency", Reason::UnknownAgency)?;
        let actor = caller.actor(user)?;
        let record = self.own_incoming(&agency.id, &id)?;
        // What could not be judged is the reason, where the agency refuses for want of it.
        let reason = record.verdicts.reason.unwrap_or(crate::signature::Reason::RevocationUnknown);
        let command = Command::Release {
            actor,
            agency: agency.id.clone(),
            delivery_id: id,
            refused: refuse.then_some(Reason::Signature(reason)),
            verdicts: None,
        };
        let committed = self.ledger().commit(command).await.map_err(LedgerError::into_rejection)?;
        Ok(committed.recorded())
    }

    /// Judges everything that is held again; how many were decided. One that cannot be judged stays held.
    pub async fn judge_held(&self) -> Result<usize, Rejection> {
        let size = self.ledger().snapshot().size();
        let (mut from, mut decided) = (0, 0);
        loop {
            let page =
                events_of(self.ledger().index(), keys::held(), from, false, PAGE).map_err(|e| storage(&e))?;
            let Some(last) = page.last() else { return Ok(decided) };
            from = last + 1;
            for index in page.into_iter().filter(|i| *i < size) {
                let Some(id) = fold::arrived(&self.event(index)?) else { continue };
                match self.judge_again(id).await {
                    Ok(done) => decided += usize::from(done),
                    Err(error) => {
                        tracing::warn!(%error, delivery = %id, "a held delivery could not be judged again")
                    }
                }
            }
        }
    }

    async fn judge_again(&self, id: DeliveryId) -> Result<bool, Rejection> {
        let record: Option<Incoming> = load(self.ledger(), &keys::incoming(&id)).map_err(|e| damaged(&e))?;
        let Some(record) = record.filter(|r| r.state == IncomingState::Held) else { return Ok(false) };
        let Stored { envelope, signatures, .. } = self.stored(&record.facts.envelope_digest)?;
        let directory = self.directory();
        let sender = directory.agency(&envelope.sender).ok_or_else(|| {
            Rejection::new(Reason::UnknownSender, "sender", format!("{} is not listed", envelope.sender))
        })?;
        let sender = directory.registered(sender).id.clone();
        let proof = Proof::decode(&self.stored_content(&record.origin_proof)?)?;
        let origin = self.inner.proofs.verify(&proof, log_key(&directory, &record.peer))?;
        let at = judged_at(&directory, &record.peer, origin.checkpoint(), record.received_at);
        let outcome = if let Some(statement) = envelope.statement() {
            self.judge_statement(sender.as_str(), &directory, &statement, &signatures.concat(), at)?
        } else {
            let digests = self.digests_of(&envelope, &signatures).await?;
            let parts = stored_parts(&envelope, &signatures, &digests);
            self.judge(sender.as_str(), &directory, &parts, at).await?
        };
        let outcome = outcome.proven(at, record.received_at);
        if message::held(outcome.verdicts, RevocationUnknown::Hold) {
            return Ok(false);
        }
        let refused = message::refusal_of(envelope.kind, outcome.verdicts, RevocationUnknown::Hold);
        let command = Command::Release {
            actor: Actor::node(),
            agency: record.facts.recipient,
            delivery_id: id,
            refused,
            verdicts: Some((outcome.verdicts, outcome.judged)),
        };
        self.ledger().commit(command).await.map_err(LedgerError::into_rejection)?;
        tracing::info!(delivery = %id, refused = refused.map_or("", |r| r.code()), "a held delivery was judged again");
        Ok(true)
    }

    /// Digests of stored parts: SHA-256 was computed when they came; others are computed from the store.
    async fn digests_of(
        &self,
        envelope: &Envelope,
        signatures: &[Vec<bytes::Bytes>],
    ) -> Result<Vec<Digests>, Rejection> {
        let mut all = Vec::new();
        for (part, signatures) in envelope.parts().iter().zip(signatures) {
            let needs = digest_needs(signatures);
            if needs == DigestNeeds::SHA256 {
                all.push(Digests { sha256: *part.sha256.as_bytes(), sha384: None, sha512: None });
                continue;
            }
            let (exchange, digest, size) = (self.clone(), part.sha256, part.size);
            let hashed = tokio::task::spawn_blocking(move || -> Result<Digests, Rejection> {
                let mut hasher = Hasher::new(needs);
                let mut offset = 0;
                while offset < size {
                    let piece = exchange.content_piece(&digest, size, offset)?;
                    offset += piece.len().clamp(1, limits::CHUNK_BYTES) as u64;
                    hasher.update(&piece);
                }
                Ok(hasher.finish())
            });
            let digests = hashed.await.map_err(|error| {
                tracing::error!(%error, "hashing stored content failed");
                Rejection::new(Reason::Internal, "", "this node's operator must look")
            })??;
            if Hash(digests.sha256) != part.sha256 {
                return Err(Rejection::new(
                    Reason::Damaged,
                    "",
                    format!("content {} is damaged", part.sha256),
                ));
            }
            all.push(digests);
        }
        Ok(all)
    }
}
