//! Accept: the recipient's node checks a message, judges it under its own trust, records it, and answers with its
//! proof.
//!
//! 1. The envelope is read; its sender must be hosted by the node that speaks, its recipient here.
//! 2. The same delivery gets the same answer, from the log.
//! 3. The origin's proof must show this envelope in its sender's log.
//! 4. Content must be what the envelope names, byte for byte.
//! 5. Signatures are judged. Invalid: refused with the reason. Undecided: held.
//! 6. Content, signatures, envelope and proof go to the store, one command to the ledger; the answer is the proof of
//!    its event, and exists only after the commit is durable.
//!
//! What a lost log of this node had received in time comes again with the receipt of then: that is checked with step 3, and
//! the time of then counts, not this one's.
//!
//! What cannot be attributed to a listed agency of the peer (steps 1 and 3) is no event: it is answered with a reason
//! and not recorded, so that a stranger cannot fill the log.

use std::pin::Pin;

use bytes::Bytes;

use super::existence::judged_at;
use super::intake::replaces_own;
use super::judge::{check_files, stored_parts};
use super::pressure::{Pledge, Wants};
use super::traces::{Side, Span};
use super::transfer::{Receiving, is_small, pull_id};
use super::{Exchange, message};
use crate::directory::{Agency, Directory};
use crate::domain::decide::{Arrival, Command, refused_before};
use crate::domain::envelope::{Body, Envelope};
use crate::domain::event::{Actor, EventKind, Item, Judged, RoleVerdicts, Subject};
use crate::domain::fold::records::Incoming;
use crate::domain::fold::{keys, load};
use crate::domain::generation::{FirstReceipt, is_earlier};
use crate::domain::ids::{self, DeliveryId, Digest, NodeName};
use crate::domain::reason::{Reason, Rejection};
use crate::domain::{Kind, limits};
use crate::ledger::{LedgerError, damaged, storage};
use crate::merkle::{Hash, NoteVerifier, UnverifiedCheckpoint, sha256};
use crate::signature::{Digests, digest_needs};
use crate::wire::{self, proof::Proof};

/// A message on its way from one node to another.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The envelope, as its origin encoded it.
    pub envelope: Bytes,
    /// The origin's proof of its Submitted event.
    pub origin: Proof,
    /// Detached signatures, in the envelope's order.
    pub signatures: Vec<Bytes>,
    /// Content of all parts in order; `None`: it must be pulled.
    pub data: Option<Bytes>,
    /// Version of the directory by which it was sent here; 0 where the peer does not say.
    pub directory_version: u64,
    /// The receipt that a lost log of the recipient's node had given for it: it is delivered again.
    pub lost_receipt: Option<Proof>,
}

/// A boxed future.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where large content comes from.
pub trait ContentSource: Send + Sync {
    /// The bytes of one part from an offset on.
    fn open(
        &self,
        delivery: crate::domain::DeliveryId,
        part: u32,
        offset: u64,
    ) -> Boxed<'_, Result<Box<dyn ContentPieces>, Rejection>>;
}

/// Content on its way, piece by piece.
pub trait ContentPieces: Send {
    /// The next piece; none at the end.
    fn next(&mut self) -> Boxed<'_, Result<Option<Bytes>, Rejection>>;
}

/// Keys of a node's logs, by origin: what its proofs are checked with.
pub(super) fn log_key<'a>(
    directory: &'a Directory,
    node: &NodeName,
) -> impl Fn(&UnverifiedCheckpoint) -> Option<NoteVerifier> + use<'a> {
    let node = directory.node(node);
    move |checkpoint| node.and_then(|n| n.key_of(checkpoint).cloned())
}

impl Exchange {
    /// Checks, records and answers one message from a peer. An error is an answer without an event: the origin tries
    /// again later.
    pub async fn accept(
        &self,
        peer: &NodeName,
        offer: Offer,
        source: &dyn ContentSource,
    ) -> Result<Proof, Rejection> {
        let mut span = self.span("accept", Side::Server);
        let answer = self.take_in(peer, offer, source, &mut span).await;
        span.end(answer.as_ref().err());
        answer
    }

    async fn take_in(
        &self,
        peer: &NodeName,
        offer: Offer,
        source: &dyn ContentSource,
        span: &mut Span,
    ) -> Result<Proof, Rejection> {
        let directory = self.directory();
        let now = self.ledger().now();
        if let Err(stopped) = self.check_peer(peer) {
            // What it signs is looked at all the same: it may show that it only grew, or prove that it did not.
            if let Ok(origin) = self.inner.proofs.verify(&offer.origin, log_key(&directory, peer)) {
                let _ = self.saw(origin.checkpoint()).await;
            }
            return Err(stopped);
        }
        // 1
        let envelope = wire::envelope::decode(&offer.envelope)?;
        let named = envelope.directory_version.max(offer.directory_version);
        let (sender, recipient) = self.parties_of(&directory, peer, &envelope, named)?;
        let envelope_digest = sha256(&offer.envelope);
        // 2
        let id = envelope.delivery_id;
        let target = if let Body::Notice(notice) = &envelope.body { Some(&notice.target) } else { None };
        span.about(&id, target);
        span.says("peer", peer.as_str());
        span.says("recipient", envelope.recipient_code.as_str());
        span.says("kind", envelope.kind.as_str());
        let known: Option<Incoming> = load(self.ledger(), &keys::incoming(&id)).map_err(|e| damaged(&e))?;
        if let Some(known) = known.filter(|k| k.facts.envelope_digest == envelope_digest) {
            return self.ledger().prove(known.answer, &self.ledger().snapshot());
        }
        if let Body::Notice(notice) = &envelope.body {
            self.check_returned(peer, &notice.target)?;
        }
        // New content only where there is room; what was answered before was answered above.
        let _room = self.room_for(peer, &envelope, &offer)?;
        // 3
        let origin =
            self.inner.proofs.verify(&offer.origin, log_key(&directory, peer)).map_err(|rejection| {
                // A key that is listed since then looks like a wrong one from here.
                if named > directory.version() {
                    behind(named, &directory, "the origin's proof")
                } else {
                    rejection
                }
            })?;
        self.saw(origin.checkpoint()).await?;
        check_origin(origin.event(), &envelope, envelope_digest)?;
        let first = self.first_receipt(&directory, &offer, &id, &envelope_digest)?;
        let in_time = first.as_ref().map_or(now, |first| first.at.min(now));
        let mut arrival = Arrival {
            item: Item {
                delivery_id: id,
                envelope_digest,
                attempt: envelope.attempt,
                parties: directory.parties(
                    &sender,
                    &envelope.sender_code,
                    &recipient,
                    &envelope.recipient_code,
                ),
                subject: subject(&envelope),
            },
            content_digests: Vec::new(),
            verdicts: RoleVerdicts::ABSENT,
            judged: Judged::default(),
            held: false,
            refused: None,
            origin: origin.log_ref(),
            origin_proof: Hash([0; 32]),
            peer: peer.clone(),
            first,
        };
        let today = now.date();
        let checked = envelope
            .check(self.config().max_content_bytes)
            .and_then(|()| check_files(envelope.parts()))
            .and_then(|()| check_replaced(&sender, &envelope));
        // What was revoked before it came is refused before any of its content is taken.
        let before = refused_before(self.ledger(), &arrival.item).map_err(|e| damaged(&e))?;
        arrival.refused = if before.is_some() {
            before
        } else if let Err(rejection) = checked {
            Some(rejection.reason)
        } else if recipient.is_closed(today) {
            Some(Reason::RetiredAgency)
        } else if recipient.node(today) != Some(self.node()) {
            Some(Reason::NotHosted)
        } else if in_time > envelope.not_after {
            Some(Reason::Expired)
        } else {
            None
        };
        let by_directory =
            matches!(arrival.refused, Some(Reason::NotHosted | Reason::RetiredAgency | Reason::WrongParty));
        if by_directory && named > directory.version() {
            return Err(behind(named, &directory, "the recipient"));
        }
        // 4 and 5
        let mut pulled = None;
        if arrival.refused.is_none() {
            let receive = self.receive_content(peer, &envelope, envelope_digest, &offer, source);
            let received = span.step("content", receive).await?;
            arrival.content_digests = envelope.content_digests();
            let registered = directory.registered(&sender).id.clone();
            let at = judged_at(&directory, peer, origin.checkpoint(), in_time);
            let outcome = if envelope.kind.is_document() {
                let parts = stored_parts(&envelope, &received.signatures, &received.digests);
                let judge = self.judge(registered.as_str(), &directory, &parts, at);
                Some(span.step("judge", judge).await?)
            } else if let Some(statement) = envelope.statement() {
                let signatures = received.signatures.concat();
                Some(self.judge_statement(registered.as_str(), &directory, &statement, &signatures, at)?)
            } else {
                None
            };
            if let Some(outcome) = outcome.map(|outcome| outcome.proven(at, now)) {
                let verdicts = outcome.verdicts;
                let policy = self.config().revocation_unknown;
                arrival.verdicts = verdicts;
                arrival.judged = outcome.judged;
                arrival.refused = message::refusal_of(envelope.kind, verdicts, policy);
                if arrival.refused.is_some() && named > directory.version() {
                    // A root or a seal that is listed since then: never a refusal on old knowledge.
                    return Err(behind(named, &directory, "a signature"));
                }
                arrival.held = arrival.refused.is_none() && message::held(verdicts, policy);
            }
            pulled = received.pulled;
        }
        match arrival.refused {
            Some(reason) => span.says("refused", reason.code()),
            None => span.says("state", if arrival.held { "held" } else { "delivered" }),
        }
        // 6
        let store = self.ledger().content();
        store.put(&offer.envelope).map_err(|e| storage(&e))?;
        arrival.origin_proof = store.put(&offer.origin.encode()).map_err(|e| storage(&e))?;
        let actor = Actor { client: peer.to_string(), user: String::new() };
        let command = Command::Accept { actor, arrival: Box::new(arrival) };
        let committed = span.step("commit", self.ledger().commit(command)).await;
        let committed = committed.map_err(LedgerError::into_rejection)?;
        if let Some(mut pulled) = pulled {
            pulled.forget();
        }
        self.ledger().prove(committed.recorded(), &committed.snapshot)
    }

    /// The receipt that a lost log of this node had given for a message, checked and kept.
    fn first_receipt(
        &self,
        directory: &Directory,
        offer: &Offer,
        id: &DeliveryId,
        envelope_digest: &Digest,
    ) -> Result<Option<FirstReceipt>, Rejection> {
        let Some(proof) = &offer.lost_receipt else { return Ok(None) };
        let bad = |what: String| Rejection::new(Reason::BadProof, "lost_receipt", what);
        let verified = self.inner.proofs.verify(proof, log_key(directory, self.node()))?;
        let receipt = verified.log_ref();
        if !is_earlier(&receipt.log, self.ledger().origin()) {
            return Err(bad(format!("`{}` is no log that this node lost", receipt.log)));
        }
        let (named, digest) = match &verified.event().kind {
            EventKind::Received { item, .. } => (item.delivery_id, item.envelope_digest),
            EventKind::Released { delivery_id, envelope_digest, refused: None, .. } => {
                (*delivery_id, *envelope_digest)
            }
            kind => return Err(bad(format!("it proves a `{}` event", kind.name()))),
        };
        if named != *id || digest != *envelope_digest {
            return Err(bad(format!("it is the receipt of delivery {named}, or of another envelope")));
        }
        let kept = self.ledger().content().put(&proof.encode()).map_err(|e| storage(&e))?;
        Ok(Some(FirstReceipt { receipt, proof: kept, at: verified.event().at }))
    }

    /// Room for a message. What is large and pulled has its room with its transfer, from the first byte to the last;
    /// here it is only refused early.
    fn room_for(
        &self,
        peer: &NodeName,
        envelope: &Envelope,
        offer: &Offer,
    ) -> Result<Option<Pledge>, Rejection> {
        let size = envelope.content_size();
        let is_large = offer.data.is_none() && !is_small(size);
        if is_large && self.is_under_way(&pull_id(peer, &envelope.delivery_id, sha256(&offer.envelope))) {
            return Ok(None);
        }
        let wants = match (envelope.kind.is_document(), is_large) {
            (false, _) => Wants::Entry,
            (true, true) => Wants::Document(0),
            (true, false) => Wants::Document(size),
        };
        self.pressure().admit(wants).map(Some)
    }

    /// Sender and recipient of an envelope, when the peer may speak for the sender.
    fn parties_of(
        &self,
        directory: &Directory,
        peer: &NodeName,
        envelope: &Envelope,
        named: u64,
    ) -> Result<(Agency, Agency), Rejection> {
        let unknown = |reason: Reason, field: &str, id: &str| {
            if named > directory.version() {
                behind(named, directory, id)
            } else {
                Rejection::new(
                    reason,
                    field,
                    format!("{id} is not in directory version {}", directory.version()),
                )
            }
        };
        let sender = directory
            .agency(&envelope.sender)
            .ok_or_else(|| unknown(Reason::UnknownSender, "sender", envelope.sender.as_str()))?;
        // A sender may have moved to another node since it sent: its last node may deliver for a while.
        if !sender.was_hosted_lately(peer, self.ledger().now().date()) {
            return Err(Rejection::new(
                Reason::WrongPeer,
                "sender",
                format!("{} is not hosted by node `{peer}`, which sent this", sender.id),
            ));
        }
        let recipient = directory
            .agency(&envelope.recipient)
            .ok_or_else(|| unknown(Reason::UnknownRecipient, "recipient", envelope.recipient.as_str()))?;
        // The codes are what people see: they must be the agencies' own.
        for (field, agency, code) in [
            ("sender_code", sender, &envelope.sender_code),
            ("recipient_code", recipient, &envelope.recipient_code),
        ] {
            if !agency.entry.codes.iter().any(|c| c.code == *code) {
                return Err(unknown(Reason::BadEnvelope, field, &format!("code `{}`", ids::shorten(code))));
            }
        }
        Ok((sender.clone(), recipient.clone()))
    }

    /// Takes the content in: inline or pulled, hashed as it passes, and compared with the envelope.
    async fn receive_content(
        &self,
        peer: &NodeName,
        envelope: &Envelope,
        envelope_digest: Digest,
        offer: &Offer,
        source: &dyn ContentSource,
    ) -> Result<ReceivedContent, Rejection> {
        let mismatch =
            |field: String, message: String| Rejection::new(Reason::ContentMismatch, field, message);
        let store = self.ledger().content();
        let signatures = offered_signatures(envelope, offer)?;
        let inline =
            match &offer.data {
                None => None,
                Some(data) if data.len() as u64 > limits::INLINE_BYTES => {
                    return Err(Rejection::new(
                        Reason::ContentTooLarge,
                        "data",
                        format!(
                            "{} bytes are more than the {} that travel in a message: let them be pulled",
                            data.len(),
                            limits::INLINE_BYTES
                        ),
                    ));
                }
                Some(data) => Some(message::split(envelope.parts(), data).ok_or_else(|| {
                    mismatch("data".into(), format!("{} bytes are not all parts", data.len()))
                })?),
            };
        let (digests, pulled) = match inline {
            None => {
                let (digests, pulled) =
                    self.pull(peer, envelope, envelope_digest, &signatures, source).await?;
                (digests, Some(pulled))
            }
            Some(inline) => {
                let mut digests = Vec::new();
                for (i, part) in envelope.parts().iter().enumerate() {
                    let found = Digests::of(digest_needs(&signatures[i]), &inline[i]);
                    if Hash(found.sha256) != part.sha256 {
                        return Err(mismatch(
                            format!("parts[{i}].sha256"),
                            format!(
                                "{} is not {}, which the envelope names",
                                Hash(found.sha256),
                                part.sha256
                            ),
                        ));
                    }
                    store.put_hashed(part.sha256, kept(&inline[i], offer)).map_err(|e| storage(&e))?;
                    digests.push(found);
                }
                (digests, None)
            }
        };
        for signature in &offer.signatures {
            store.put(signature).map_err(|e| storage(&e))?;
        }
        Ok(ReceivedContent { signatures, digests, pulled })
    }
}

/// The signatures of an offer, by part, or those of a notice: exactly those that the envelope names.
fn offered_signatures(envelope: &Envelope, offer: &Offer) -> Result<Vec<Vec<Bytes>>, Rejection> {
    let mismatch = |field: String, message: &str| Rejection::new(Reason::ContentMismatch, field, message);
    let mut rest = offer.signatures.iter();
    let mut signatures = Vec::new();
    for (i, named) in envelope.signatures().into_iter().enumerate() {
        let mut group = Vec::with_capacity(named.len());
        for (digest, size) in named {
            let bytes = rest
                .next()
                .filter(|b| is_signature(b, *size, digest))
                .ok_or_else(|| mismatch(format!("parts[{i}].signatures"), "not those of the envelope"))?;
            group.push(bytes.clone());
        }
        signatures.push(group);
    }
    if rest.next().is_some() {
        return Err(mismatch("signatures".into(), "more came than the envelope names"));
    }
    Ok(signatures)
}

/// A replace message replaces a document of its own sender.
fn check_replaced(sender: &Agency, envelope: &Envelope) -> Result<(), Rejection> {
    match &envelope.body {
        Body::Document { metadata, .. }
            if envelope.kind == Kind::Replace && !replaces_own(sender, metadata) =>
        {
            let what = format!("the document that is replaced is not one of {}", sender.id);
            Err(Rejection::new(Reason::WrongParty, "metadata.replaces.agency", what))
        }
        _ => Ok(()),
    }
}

/// Not now: this node's directory is older than the one that the envelope or its node names.
fn behind(named: u64, directory: &Directory, what: &str) -> Rejection {
    Rejection::new(
        Reason::DirectoryBehind,
        "envelope.directory_version",
        format!(
            "{what} cannot be judged by directory version {}, it was sent by version {named}: try again later",
            directory.version(),
        ),
    )
}

/// A part of a message as it can be kept: a slice, unless that would keep much more than the part.
fn kept(part: &Bytes, offer: &Offer) -> Bytes {
    let others = offer.envelope.len() + offer.signatures.iter().map(Bytes::len).sum::<usize>();
    let message = others + offer.data.as_ref().map_or(0, Bytes::len);
    if part.len() >= message / 2 { part.clone() } else { Bytes::copy_from_slice(part) }
}

/// Whether bytes are the signature that the envelope names, within the limit.
fn is_signature(bytes: &Bytes, size: u32, digest: &Digest) -> bool {
    bytes.len() <= limits::SIGNATURE_BYTES && bytes.len() == size as usize && sha256(bytes) == *digest
}

/// Content whose digests are those of the envelope.
struct ReceivedContent {
    signatures: Vec<Vec<Bytes>>,
    digests: Vec<Digests>,
    /// What was pulled, until its message is recorded.
    pulled: Option<Receiving>,
}

/// The origin's event must be the submission of exactly this envelope.
pub(crate) fn check_origin(
    event: &crate::domain::Event,
    envelope: &Envelope,
    envelope_digest: Digest,
) -> Result<(), Rejection> {
    let bad =
        |what: &str| Rejection::new(Reason::BadProof, "origin", format!("the origin's proof shows {what}"));
    let EventKind::Submitted { item, content_digests, .. } = &event.kind else {
        return Err(bad(&format!("a `{}` event, not a submission", event.kind.name())));
    };
    if item.delivery_id != envelope.delivery_id {
        return Err(bad("another delivery"));
    }
    if item.envelope_digest != envelope_digest {
        return Err(bad("another envelope"));
    }
    if *content_digests != envelope.content_digests() {
        return Err(bad("other content"));
    }
    if item.parties.sender != envelope.sender || item.parties.recipient.as_ref() != Some(&envelope.recipient)
    {
        return Err(bad("other parties"));
    }
    Ok(())
}

/// What an event says of the message in an envelope.
pub(crate) fn subject(envelope: &Envelope) -> Subject {
    match &envelope.body {
        Body::Document { metadata, parts } => {
            let digest = crate::domain::document::document_digest(envelope.kind, metadata, parts);
            Subject::Document(message::document_facts(envelope.kind, metadata, digest))
        }
        Body::Notice(n) => {
            Subject::Notice(message::notice_facts(envelope.kind, &envelope.sender, n, envelope.submitted_at))
        }
    }
}

/// Whether the content of a message travels inside it.
pub fn is_inline(size: u64) -> bool {
    size <= limits::INLINE_BYTES
}
