//! Deciding: a command is a precondition on the folds and the events that follow from it.
//!
//! The one writer calls [`decide`] with a view that includes the group it is building, so two commands of the same
//! key that arrive at once end in one delivery or in one conflict. Nothing here reads a clock: a command carries what
//! it needs.

mod accept;
mod asks;
mod figures;
mod keep;
mod recover;
mod submit;

use super::administration::Extracted;
use super::document::Kind;
use super::event::{Actor, EventKind, Item, Judged, LogRef, PaperEntry, RoleVerdicts};
use super::fold::records::{
    AttemptRecord, Ended, Incoming, IncomingState, Outgoing, PaperRecord, RequestRecord,
};
use super::fold::{self, Records, ViewError, keys, load};
use super::generation::{FirstReceipt, Recovered};
use super::hold::{self, HoldScope};
use super::ids::{AgencyId, DeliveryId, Digest, NodeName, RequestId};
use super::ratio::{Calendar, PaperDeclared, PeriodClosed};
use super::reason::{Reason, Rejection};
use super::status::{Ask, DeliveryState, EndedBy, Status};
use crate::time::Timestamp;

/// Something that shall happen. Everything in it was checked as far as it can be without the state.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "fields carry the names of the event that follows")]
#[expect(clippy::large_enum_variant, reason = "a command is moved once, into the writer's queue")]
pub enum Command {
    /// Record messages for sending: one document to its recipients, or one notice.
    Submit { actor: Actor, request_id: RequestId, deliveries: Vec<Prepared> },
    /// Record a message from another agency, or refuse it.
    Accept { actor: Actor, arrival: Box<Arrival> },
    /// Close a delivery with the other node's proof.
    Settle {
        delivery_id: DeliveryId,
        outcome: DeliveryState,
        reason: Option<Reason>,
        receipt: LogRef,
        receipt_proof: Digest,
        verdicts: RoleVerdicts,
        received_at: Timestamp,
    },
    /// Give a delivery up.
    GiveUp { delivery_id: DeliveryId, reason: Reason },
    /// The directory moved the recipient of a delivery that waits to another node.
    Reroute { delivery_id: DeliveryId, peer: NodeName },
    /// Content is handed out.
    Fetch { actor: Actor, agency: AgencyId, delivery_id: DeliveryId },
    /// Evidence of a delivery that is known here is handed out.
    Export { actor: Actor, agency: Option<AgencyId>, delivery_id: DeliveryId },
    /// A person looks at a delivery on the node's pages.
    View { actor: Actor, agency: Option<AgencyId>, delivery_id: DeliveryId },
    /// The recipient's system has it; `arrived` is status 01, on its way to the sender, if any node hosts that.
    HandOver { actor: Actor, agency: AgencyId, delivery_id: DeliveryId, arrived: Option<Box<Prepared>> },
    /// A held delivery is let go or refused: by its agency, or by the node that judged it again.
    Release {
        actor: Actor,
        agency: AgencyId,
        delivery_id: DeliveryId,
        refused: Option<Reason>,
        /// As judged again; those of the arrival where nothing was.
        verdicts: Option<(RoleVerdicts, Judged)>,
    },
    /// Paper register.
    Paper { actor: Actor, entry: Box<PaperEntry> },
    /// Close a period; `changes` is how often its months had changed when the figures were read.
    ClosePeriod { actor: Actor, closed: Box<PeriodClosed>, changes: u64 },
    /// Figures were stated, or collected.
    StateFigures { actor: Actor, kind: Box<EventKind> },
    /// An agency declares its paper register complete, or takes that back.
    DeclarePaper { actor: Actor, declared: PaperDeclared },
    /// The working days are these from now on.
    SetCalendar { calendar: Calendar },
    /// The content of a document is kept no longer.
    Purge(Box<Purge>),
    /// A legal hold is placed.
    Hold { actor: Actor, scope: HoldScope, reason: String },
    /// It is lifted; `hold` is its number.
    Lift { actor: Actor, hold: u64, scope: HoldScope, reason: String },
    /// A message that the lost log had sent comes back.
    Recover(Box<Recovered>),
    /// The recipient's node lost a delivery that it had answered by this event: it goes there again.
    SendAgain { delivery_id: DeliveryId, peer: NodeName, lost: LogRef },
    /// Nothing: answered when everything before it is decided and durable.
    Barrier,
    /// The node writes something about itself.
    Note { kind: EventKind },
    /// Something is taken out of the log, by whom the actor says.
    Extract { actor: Actor, extracted: Extracted },
}

impl Command {
    /// The most events that can follow from it.
    pub fn most_events(&self) -> usize {
        match self {
            Command::Submit { deliveries, .. } => deliveries.len(),
            // The hand-over and the status that it sends; a revoke or replacement and the release of what it ends.
            Command::HandOver { .. } | Command::Release { .. } => 2,
            // And that it came before.
            Command::Accept { .. } => 3,
            Command::Purge(purge) => purge.events(),
            _ => 1,
        }
    }
}

/// A message made ready for one recipient, its envelope already in the store.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The message.
    pub item: Item,
    /// Digests of parts and signatures.
    pub content_digests: Vec<Digest>,
    /// Bytes of parts.
    pub content_size: u64,
    /// Verdicts here.
    pub verdicts: RoleVerdicts,
    /// How they came about.
    pub judged: Judged,
    /// The latest time of arrival.
    pub not_after: Timestamp,
    /// The recipient's node.
    pub peer: NodeName,
}

/// A message that arrived, judged.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The message.
    pub item: Item,
    /// Digests that this node computed.
    pub content_digests: Vec<Digest>,
    /// Verdicts here.
    pub verdicts: RoleVerdicts,
    /// How they came about.
    pub judged: Judged,
    /// Keep it in custody.
    pub held: bool,
    /// Why it is refused, when it is.
    pub refused: Option<Reason>,
    /// The event at the origin.
    pub origin: LogRef,
    /// Digest of the origin's proof.
    pub origin_proof: Digest,
    /// The sender's node.
    pub peer: NodeName,
    /// A lost log of this node had received it before.
    pub first: Option<FirstReceipt>,
}

/// Where in the log something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It was recorded before.
    Existing(u64),
    /// It is the n-th event of this decision.
    New(usize),
}

/// What the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// One entry per delivery, in the order of the command.
    Sent(Vec<(DeliveryId, Place)>),
    /// The event that records it.
    Recorded(Place),
}

/// The events that follow, and the answer.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Who caused them.
    pub actor: Actor,
    /// In order; none when everything was recorded before.
    pub events: Vec<EventKind>,
    /// What the caller is told.
    pub answer: Answer,
}

/// Why nothing follows.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Declined {
    /// A refusal for the caller.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Attempt or message number were taken meanwhile: prepare again.
    #[error("the state moved on while this was prepared")]
    Stale,
    /// The state cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
}

pub use accept::refused_before;
pub use asks::{answered, asked_before, may_ask};
pub use keep::{Purge, unknown_hold};
pub use recover::is_sent_again;
pub use submit::{NoticeState, Side, notice_state, replaceable};

/// Decides a command on the state so far.
pub fn decide(command: Command, view: &(impl Records + ?Sized)) -> Result<Decision, Declined> {
    match command {
        Command::Submit { actor, request_id, deliveries } => {
            submit::submit(view, actor, request_id, deliveries)
        }
        Command::Accept { actor, arrival } => accept::accept(view, actor, *arrival),
        Command::Settle { delivery_id, outcome, reason, receipt, receipt_proof, verdicts, received_at } => {
            let record = outgoing(view, &delivery_id)?;
            // Only what its sender revoked is withdrawn, whatever the other node says.
            let revoked = record.asked.iter().any(|a| a.ask == Ask::Revoke);
            let withdrawn = (outcome, reason) == (DeliveryState::Refused, Some(Reason::Withdrawn)) && revoked;
            let outcome = if withdrawn { DeliveryState::Withdrawn } else { outcome };
            let answers_again = recover::answers_again(&record, &receipt);
            let stale = record.again.is_some() && !answers_again;
            if stale || !(answers_again || record.state.may_become(outcome)) {
                let index = record.settled_index.unwrap_or(record.submitted_index);
                return Ok(nothing(Actor::node(), index));
            }
            Ok(one(
                Actor::node(),
                EventKind::Settled {
                    delivery_id,
                    outcome,
                    reason,
                    receipt,
                    receipt_proof,
                    verdicts,
                    received_at,
                },
            ))
        }
        Command::GiveUp { delivery_id, reason } => {
            let record = outgoing(view, &delivery_id)?;
            if record.state != DeliveryState::Queued {
                let index = record.settled_index.unwrap_or(record.submitted_index);
                return Ok(nothing(Actor::node(), index));
            }
            Ok(one(Actor::node(), EventKind::Undelivered { delivery_id, reason }))
        }
        Command::Reroute { delivery_id, peer } => {
            let record = outgoing(view, &delivery_id)?;
            if record.state != DeliveryState::Queued || record.peer == peer {
                return Ok(nothing(Actor::node(), record.queued_index));
            }
            Ok(one(Actor::node(), EventKind::Rerouted { delivery_id, peer }))
        }
        Command::Fetch { actor, agency, delivery_id } => {
            let record = opened(view, &agency, &delivery_id)?;
            no_longer(record.ended.as_ref(), &delivery_id)?;
            if let Some(purged) = hold::purged(view, &delivery_id)? {
                return Err(purged.rejection(&delivery_id).into());
            }
            Ok(one(actor, EventKind::Fetched { delivery_id }))
        }
        Command::Export { actor, agency, delivery_id } => {
            Ok(one(actor, EventKind::Exported { delivery_id, agency }))
        }
        Command::View { actor, agency, delivery_id } => {
            Ok(one(actor, EventKind::Viewed { delivery_id, agency }))
        }
        Command::HandOver { actor, agency, delivery_id, arrived } => {
            let record = opened(view, &agency, &delivery_id)?;
            if let Some((index, _)) = record.handed_over {
                return Ok(nothing(actor, index));
            }
            no_longer(record.ended.as_ref(), &delivery_id)?;
            let mut decision = match arrived {
                None => Decision { actor, events: Vec::new(), answer: Answer::Recorded(Place::New(0)) },
                Some(arrived) => {
                    submit::submit(view, actor, RequestId::automatic(&delivery_id), vec![*arrived])?
                }
            };
            decision.events.insert(0, EventKind::HandedOver { delivery_id });
            decision.answer = Answer::Recorded(Place::New(0));
            Ok(decision)
        }
        Command::Release { actor, agency, delivery_id, refused, verdicts } => {
            let record = load::<Incoming>(view, &keys::incoming(&delivery_id))?
                .filter(|r| r.facts.recipient == agency)
                .ok_or_else(|| unknown(&delivery_id))?;
            match (record.state, refused) {
                (IncomingState::Held, refused) => {
                    let refused = match refused {
                        None => accept::late(view, &record)?,
                        refused => refused,
                    };
                    let ends = if refused.is_none() { accept::ends_held(view, &record.facts)? } else { None };
                    let (verdicts, judged) = verdicts.unwrap_or((record.verdicts, Judged::default()));
                    let released = EventKind::Released {
                        delivery_id,
                        envelope_digest: record.facts.envelope_digest,
                        content_digests: record.content_digests,
                        refused,
                        verdicts,
                        judged,
                        origin: record.origin,
                    };
                    let mut decision = one(actor, released);
                    decision.events.extend(ends);
                    Ok(decision)
                }
                (IncomingState::Received, None) | (IncomingState::Refused, Some(_)) => {
                    Ok(nothing(actor, record.answer))
                }
                (state, _) => {
                    let is = if state == IncomingState::Refused { "refused" } else { "the agency's" };
                    let what = format!("delivery {delivery_id} is {is} since event {}", record.answer);
                    Err(Rejection::new(Reason::NotHeld, "delivery_id", what).into())
                }
            }
        }
        Command::Paper { actor, entry } => {
            let request = keys::request(&entry.parties.sender, &entry.request_id);
            if let Some(known) = load::<RequestRecord>(view, &request)? {
                if known.digest != fold::paper_digest(&entry) {
                    return Err(reused(&entry.request_id).into());
                }
                return Ok(nothing(actor, known.index));
            }
            if let Some(index) = entry.corrects {
                let standing = load::<PaperRecord>(view, &keys::paper(index))?;
                if standing.is_none_or(|record| record.sender != entry.parties.sender) {
                    let what = format!(
                        "event {index} is no entry of this agency that stands: correct the entry that took its place"
                    );
                    return Err(Rejection::new(Reason::UnknownEvent, "corrects", what).into());
                }
            }
            Ok(one(actor, EventKind::PaperEntered(*entry)))
        }
        Command::ClosePeriod { actor, closed, changes } => figures::close(view, actor, *closed, changes),
        Command::StateFigures { actor, kind } => Ok(one(actor, *kind)),
        Command::DeclarePaper { actor, declared } => figures::declare(view, actor, declared),
        Command::SetCalendar { calendar } => figures::calendar(view, calendar),
        Command::Purge(purge) => keep::purge(view, *purge),
        Command::Hold { actor, scope, reason } => keep::hold(view, actor, scope, reason),
        Command::Lift { actor, hold, scope, reason } => keep::lift(view, actor, hold, scope, reason),
        Command::Recover(recovered) => recover::recover(view, *recovered),
        Command::SendAgain { delivery_id, peer, lost } => recover::send_again(view, delivery_id, peer, lost),
        Command::Barrier => Ok(nothing(Actor::node(), 0)),
        Command::Note { kind } => Ok(one(Actor::node(), kind)),
        Command::Extract { actor, extracted } => Ok(one(actor, EventKind::Extracted(extracted))),
    }
}

fn one(actor: Actor, event: EventKind) -> Decision {
    Decision { actor, events: vec![event], answer: Answer::Recorded(Place::New(0)) }
}

fn nothing(actor: Actor, index: u64) -> Decision {
    Decision { actor, events: Vec::new(), answer: Answer::Recorded(Place::Existing(index)) }
}

fn reused(request_id: &RequestId) -> Rejection {
    Rejection::new(
        Reason::RequestIdReused,
        "request_id",
        format!("`{request_id}` was used for something else: give every message an id of its own"),
    )
}

fn outgoing(view: &(impl Records + ?Sized), id: &DeliveryId) -> Result<Outgoing, Declined> {
    load::<Outgoing>(view, &keys::outgoing(id))?.ok_or_else(|| unknown(id).into())
}

fn unknown(id: &DeliveryId) -> Rejection {
    Rejection::new(
        Reason::UnknownDelivery,
        "delivery_id",
        format!("no delivery {id} of this agency is known here"),
    )
}

/// The delivery, when it is this agency's to open.
fn opened(view: &(impl Records + ?Sized), agency: &AgencyId, id: &DeliveryId) -> Result<Incoming, Declined> {
    let record = load::<Incoming>(view, &keys::incoming(id))?.filter(|r| r.facts.recipient == *agency);
    let record = record.filter(|r| r.state != IncomingState::Refused).ok_or_else(|| unknown(id))?;
    if record.state == IncomingState::Held {
        return Err(Rejection::new(
            Reason::Held,
            "delivery_id",
            format!("delivery {id} is held until its signatures can be judged: wait, or release it"),
        )
        .into());
    }
    if !record.facts.kind.is_document() {
        return Err(Rejection::new(
            Reason::WrongParty,
            "delivery_id",
            format!("{id} is a {} message, not a document: read it with Watch", record.facts.kind.as_str()),
        )
        .into());
    }
    Ok(record)
}

/// Refuses what is only possible while a document is in force.
pub fn no_longer(ended: Option<&Ended>, id: &DeliveryId) -> Result<(), Rejection> {
    let Some(ended) = ended else { return Ok(()) };
    let how = match ended.by {
        EndedBy::Revoked => "was revoked",
        EndedBy::Replaced => "was replaced",
        EndedBy::TakenBack => "was taken back",
    };
    Err(Rejection::new(
        Reason::Revoked,
        "delivery_id",
        format!(
            "delivery {id} {how} by message {} (event {}) and is no longer in force: cancel it",
            ended.message, ended.index
        ),
    ))
}

/// The attempt that the next submission of a document to a recipient would be, and the live delivery if there is one.
pub fn next_attempt(
    view: &(impl Records + ?Sized),
    sender: &AgencyId,
    key: &super::ids::DocumentKey,
    recipient: &AgencyId,
) -> Result<u32, ViewError> {
    let attempt: Option<AttemptRecord> = load(view, &keys::attempt(sender, key, recipient))?;
    Ok(attempt.map_or(1, |a| if a.live { a.attempt } else { a.attempt + 1 }))
}

/// Which agency may send which notice about a delivery: revoke, update and 13 are the sender's, all else the
/// recipient's.
pub fn is_senders_notice(kind: Kind, status: Option<Status>) -> bool {
    kind != Kind::Status || status.is_some_and(Status::is_senders)
}
