//! The records of the folds: local state, written with postcard, rebuilt from the log whenever their form changes.

use serde::{Deserialize, Serialize};

use crate::domain::document::{Kind, Urgency};
use crate::domain::event::{LogRef, RoleVerdicts};
use crate::domain::ids::{AgencyId, DeliveryId, Digest, DocumentKey, NodeName};
use crate::domain::ratio::{Channel, Counters, Dims};
use crate::domain::reason::Reason;
use crate::domain::status::{Ask, AskState, DeliveryState, EndedBy, Status};
use crate::time::{Date, Timestamp};

/// Form of the records; another number means: rebuild.
pub const VERSION: u32 = 9;

/// What both sides know of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of domain::event::Item")]
pub struct MessageFacts {
    pub kind: Kind,
    pub sender: AgencyId,
    pub sender_code: String,
    pub recipient: AgencyId,
    pub recipient_code: String,
    pub envelope_digest: Digest,
    pub attempt: u32,
    pub key: Option<DocumentKey>,
    pub document_digest: Option<Digest>,
    pub urgency: Urgency,
    pub issued_on: Option<Date>,
    pub target: Option<DeliveryId>,
    pub status: Option<Status>,
    pub replaces: Option<DocumentKey>,
}

/// A status that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEntry {
    /// The status.
    pub status: Status,
    /// When its sender sent it.
    pub at: Timestamp,
    /// No legal successor of the one before.
    pub out_of_order: bool,
    /// The document was no longer in force at its recipient.
    pub after_end: bool,
    /// Log index at this node.
    pub index: u64,
}

/// Something that the sender asked about a document that it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What.
    pub ask: Ask,
    /// The message that asks.
    pub notice: DeliveryId,
    /// Digest of its envelope.
    pub envelope: Digest,
    /// Of an update: digest of its statement.
    pub statement: Option<Digest>,
    /// When it was sent.
    pub at: Timestamp,
    /// Log index at this node.
    pub index: u64,
    /// How far it is.
    pub state: AskState,
    /// The event at this node by which it was answered, or got void.
    pub answer: Option<u64>,
}

/// What took a document out of force at its recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// What kind of message.
    pub by: EndedBy,
    /// The message.
    pub message: DeliveryId,
    /// When this node recorded it.
    pub at: Timestamp,
    /// Log index at this node.
    pub index: u64,
    /// Its event in the log of the recipient's node, which decides what came first: origin line and index.
    pub there: (String, u64),
}

/// A message that an agency of this node sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// What it is.
    pub facts: MessageFacts,
    /// What the receipt must repeat.
    pub content_digests: Vec<Digest>,
    /// The recipient's node: the one that it goes to now.
    pub peer: NodeName,
    /// Where it was recorded.
    pub submitted_index: u64,
    /// Its place in the outbox: the event that put it there.
    pub queued_index: u64,
    /// Bytes of its parts.
    pub content_size: u64,
    /// Every event that changed this record, this one first.
    pub events: Vec<u64>,
    /// When.
    pub submitted_at: Timestamp,
    /// The latest time of arrival.
    pub not_after: Timestamp,
    /// How far it is.
    pub state: DeliveryState,
    /// Why it was refused or given up.
    pub reason: Option<Reason>,
    /// Where the end was recorded.
    pub settled_index: Option<u64>,
    /// When.
    pub settled_at: Option<Timestamp>,
    /// The event at the recipient's node.
    pub receipt: Option<LogRef>,
    /// Digest of the proof as it is kept.
    pub receipt_proof: Option<Digest>,
    /// When the recipient's node had it.
    pub received_at: Option<Timestamp>,
    /// Verdicts here.
    pub verdicts: RoleVerdicts,
    /// Verdicts there.
    pub peer_verdicts: Option<RoleVerdicts>,
    /// What the recipient reported, and what the sender asked.
    pub statuses: Vec<StatusEntry>,
    /// Number of the last notice that the sender sent about it.
    pub notices: u32,
    /// What the sender asked about it.
    pub asked: Vec<Asked>,
    /// What took it out of force, as far as this node knows.
    pub ended: Option<Ended>,
    /// Where it was recorded first, when that log is lost: its place there, and the digest of the proof as it is kept.
    pub lost_origin: Option<(LogRef, Digest)>,
    /// Its recipient's node lost it, and gets it again: the event that says so.
    pub again: Option<u64>,
}

/// What an agency said about a delivery before that was known here again: a lost log's messages come back first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SaidRecord {
    /// Number of the last message.
    pub notices: u32,
    /// The first status that acknowledges the arrival.
    pub acknowledged_at: Option<Timestamp>,
}

impl Outgoing {
    /// Whether it waits in the outbox: for its first answer, for the end of its custody, or because it is delivered again.
    pub fn is_open(&self) -> bool {
        matches!(self.state, DeliveryState::Queued | DeliveryState::Held) || self.again.is_some()
    }

    /// Whether a revoke of it is on its way: until that has arrived, it is not sent itself.
    pub fn waits_for_revoke(&self) -> bool {
        self.asked.iter().any(|a| a.ask == Ask::Revoke && a.state == AskState::Sent)
    }
}

/// How a received message stands at its recipient's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncomingState {
    /// The recipient's.
    Received,
    /// In custody.
    Held,
    /// Refused by this node.
    Refused,
}

/// A message for an agency of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// What it is.
    pub facts: MessageFacts,
    /// What this node computed.
    pub content_digests: Vec<Digest>,
    /// The sender's node.
    pub peer: NodeName,
    /// Where it was recorded.
    pub index: u64,
    /// Every event that changed this record, this one first.
    pub events: Vec<u64>,
    /// When.
    pub received_at: Timestamp,
    /// The event that answers its origin: this one, or the release that followed.
    pub answer: u64,
    /// The event at the origin.
    pub origin: LogRef,
    /// Digest of the origin's proof as it is kept.
    pub origin_proof: Digest,
    /// Verdicts here.
    pub verdicts: RoleVerdicts,
    /// How it stands.
    pub state: IncomingState,
    /// Why it was refused.
    pub reason: Option<Reason>,
    /// Index and time of the hand-over.
    pub handed_over: Option<(u64, Timestamp)>,
    /// What the recipient reported, and what the sender asked.
    pub statuses: Vec<StatusEntry>,
    /// Number of the last notice that the recipient sent about it.
    pub notices: u32,
    /// What the sender asked about it.
    pub asked: Vec<Asked>,
    /// What took it out of force.
    pub ended: Option<Ended>,
    /// For a replace message: the delivery that it took out of force.
    pub replaced: Option<DeliveryId>,
    /// For a revoke or update: what it is about.
    pub stated: Option<StatedRecord>,
}

/// What a revoke or update is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedRecord {
    /// Number, notation, year.
    pub key: DocumentKey,
    /// The document.
    pub document_digest: Digest,
    /// Digest of the statement.
    pub statement: Digest,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// A revoke that came before the document that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawnRecord {
    /// The revoke.
    pub notice: DeliveryId,
    /// For whom.
    pub recipient: AgencyId,
    /// The document.
    pub document_digest: Digest,
}

/// Use of a document key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRecord {
    /// Metadata and content under this key.
    pub digest: Digest,
    /// Deliveries under way or in force; other content is a conflict while there are any.
    pub live: u32,
}

/// The newest attempt of a document to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its number.
    pub attempt: u32,
    /// Its id.
    pub delivery_id: DeliveryId,
    /// Under way or in force.
    pub live: bool,
    /// Those before it, in order.
    pub earlier: Vec<DeliveryId>,
}

/// What a request id was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// What was asked.
    pub digest: Digest,
    /// The first event of the answer.
    pub index: u64,
}

/// A closed period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedRecord {
    /// The event.
    pub index: u64,
    /// When.
    pub at: Timestamp,
    /// SHA-256 of its figures as they were.
    pub snapshot: Digest,
}

/// The newest statement of a period's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementRecord {
    /// The event.
    pub index: u64,
    /// SHA-256 of its text.
    pub statement: Digest,
}

/// What an agency declared about its paper register of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredRecord {
    /// The event.
    pub index: u64,
    /// It is complete; false: a declaration taken back.
    pub complete: bool,
}

/// A change of a delivery's figures after its month was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestatedRecord {
    /// The delivery.
    pub dims: Dims,
    /// Its document.
    pub document: DocumentKey,
    /// What it counted in that month.
    pub before: Counters,
    /// Its channel then.
    pub channel_before: Option<Channel>,
    /// What it counts in that month now.
    pub after: Counters,
    /// Its channel now.
    pub channel_after: Option<Channel>,
}

/// What an agency's system is told (`super::told`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedKind {
    /// A document arrived.
    Arrived,
    /// A status arrived.
    Status(Status),
    /// A document is held here.
    Held,
    /// What it sent was delivered.
    Delivered,
    /// What it sent was refused.
    Refused,
    /// What it sent was given up.
    Undelivered,
    /// A revoke or an update arrived.
    Notice(Kind),
}

/// An entry of the paper register that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperRecord {
    /// Its document.
    pub document: DocumentKey,
    /// The hash that names its recipient in the row that it counts in.
    pub to: [u8; super::keys::ROW_HASH],
    /// By what it can be asked for.
    pub dims: Dims,
    /// Whose it is.
    pub sender: AgencyId,
    /// Its recipient, where that has a code.
    pub recipient: Option<AgencyId>,
}

/// The configuration as it was last recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRecord {
    /// Of all settings.
    pub digest: Digest,
    /// Each by name, with the first bytes of the digest of its value.
    pub settings: Vec<(String, [u8; 8])>,
}

/// A client as it was last recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of domain::administration::Rights")]
pub struct ClientRecord {
    pub identity: String,
    pub roles: Vec<String>,
    pub node_roles: Vec<String>,
    pub all_agencies: bool,
    pub agencies: Vec<String>,
    pub agency_count: u32,
    pub agencies_digest: Digest,
}

/// A key as it was last recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// As in `domain::administration::KeyChange`.
    pub key: String,
    /// The event that says so.
    pub index: u64,
}
