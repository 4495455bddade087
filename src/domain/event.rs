//! Events: the entries of the log, as the rest of the program reads them. `wire` has their bytes.

use serde::{Deserialize, Serialize};

use super::administration::{ClientChange, ConfigChange, Extracted, KeyChange, RefusedConnections};
use super::document::{Kind, Origin, Urgency};
use super::generation::{FirstReceipt, GenerationOpened, Recovered};
use super::hold::HoldScope;
use super::ids::{AgencyId, DeliveryId, Digest, DocumentKey, NodeName, RequestId};
use super::ratio::{Calendar, NetworkReported, PaperDeclared, PeriodClosed, StatementMade};
use super::reason::Reason;
use super::status::{DeliveryState, Status};
use crate::signature::{Role, Verdict};
use crate::time::{Date, Timestamp};

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When this node wrote it.
    pub at: Timestamp,
    /// Random, so that the leaf's hash tells nothing.
    pub salt: [u8; 16],
    /// Who caused it.
    pub actor: Actor,
    /// Directory version in force at this node.
    pub directory_version: u64,
    /// Whether that directory had expired.
    pub directory_expired: bool,
    /// What happened.
    pub kind: EventKind,
}

/// Who caused an event: the client as configured (or the node itself), and the user as the client names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Actor {
    /// Name of the client, of the peer node, or `node`.
    pub client: String,
    /// Opaque user id, at most 100 characters.
    pub user: String,
}

impl Actor {
    /// The node itself.
    pub fn node() -> Self {
        Actor { client: "node".into(), user: String::new() }
    }
}

/// What happened. Each variant is described in proto/lienthong/v1/event.proto.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are described in event.proto, the format's only home")]
pub enum EventKind {
    /// Recorded for sending.
    Submitted {
        item: Item,
        request_id: RequestId,
        content_digests: Vec<Digest>,
        verdicts: RoleVerdicts,
        judged: Judged,
        not_after: Timestamp,
        peer: NodeName,
        content_size: u64,
    },
    /// Recorded at the recipient's node.
    Received {
        item: Item,
        content_digests: Vec<Digest>,
        verdicts: RoleVerdicts,
        judged: Judged,
        held: bool,
        origin: LogRef,
        origin_proof: Digest,
        peer: NodeName,
    },
    /// Refused at the recipient's node.
    Refused {
        item: Item,
        content_digests: Vec<Digest>,
        verdicts: RoleVerdicts,
        judged: Judged,
        reason: Reason,
        origin: LogRef,
        origin_proof: Digest,
        peer: NodeName,
    },
    /// Answered: the origin holds the recipient node's proof.
    Settled {
        delivery_id: DeliveryId,
        outcome: DeliveryState,
        reason: Option<Reason>,
        receipt: LogRef,
        receipt_proof: Digest,
        verdicts: RoleVerdicts,
        received_at: Timestamp,
    },
    /// Given up, provisionally.
    Undelivered { delivery_id: DeliveryId, reason: Reason },
    /// The recipient moved to another node: the delivery goes there.
    Rerouted { delivery_id: DeliveryId, peer: NodeName },
    /// Content handed out.
    Fetched { delivery_id: DeliveryId },
    /// The recipient's system has it.
    HandedOver { delivery_id: DeliveryId },
    /// A dispatch on paper.
    PaperEntered(PaperEntry),
    /// What was held is decided: let go, or refused. A whole answer to the origin.
    Released {
        delivery_id: DeliveryId,
        envelope_digest: Digest,
        content_digests: Vec<Digest>,
        refused: Option<Reason>,
        verdicts: RoleVerdicts,
        judged: Judged,
        origin: LogRef,
    },
    /// An agency declared its paper register of a month complete, or took that back.
    PaperDeclared(PaperDeclared),
    /// The figures of a period as they were when it was closed.
    PeriodClosed(PeriodClosed),
    /// The node stated its figures of a period.
    StatementMade(StatementMade),
    /// The node collected the network's figures of a period.
    NetworkReported(NetworkReported),
    /// The days that are not as their weekday, from now on.
    CalendarSet(Calendar),
    /// Evidence of the delivery was handed out; on behalf of an agency, or of the node's auditors.
    Exported { delivery_id: DeliveryId, agency: Option<AgencyId> },
    /// A person looked at the delivery on the node's pages; on behalf of an agency, or of the node's auditors.
    Viewed { delivery_id: DeliveryId, agency: Option<AgencyId> },
    /// The node began to run.
    Started { version: String, unwitnessed: bool },
    /// The node stopped.
    Stopped { reason: String },
    /// A directory version came into force here.
    DirectoryAdopted { version: u64, digest: Digest },
    /// An administrator must look.
    Alarm { reason: String, peer: String, detail: String },
    /// Content and envelopes go after this event; messages about the delivery with it.
    Purged { delivery_id: DeliveryId, messages: Vec<DeliveryId>, digests: Vec<Digest>, rule: String },
    /// A legal hold.
    HoldPlaced { scope: HoldScope, reason: String },
    /// It is over.
    HoldLifted { hold: u64, scope: HoldScope, reason: String },
    /// The configuration is another than at the last start.
    ConfigChanged(ConfigChange),
    /// A client was added, removed or changed.
    ClientChanged(ClientChange),
    /// The node uses another key.
    KeyChanged(KeyChange),
    /// Connections were turned away.
    ConnectionsRefused(RefusedConnections),
    /// Something was taken out of the log.
    Extracted(Extracted),
    /// This log goes on where another generation of it was lost.
    GenerationOpened(GenerationOpened),
    /// A message that the lost log had sent, and its answer.
    Recovered(Box<Recovered>),
    /// The recipient's node lost what it had received: it is delivered again.
    SentAgain { delivery_id: DeliveryId, peer: NodeName, lost: LogRef },
    /// What was received is what the lost log of this node had received before.
    Returned { delivery_id: DeliveryId, first: FirstReceipt },
    /// Written by a newer version of this program; it verifies and is not interpreted.
    Unknown,
}

impl EventKind {
    /// The stable word for the kind.
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::Submitted { .. } => "submitted",
            EventKind::Received { .. } => "received",
            EventKind::Refused { .. } => "refused",
            EventKind::Settled { .. } => "settled",
            EventKind::Undelivered { .. } => "undelivered",
            EventKind::Rerouted { .. } => "rerouted",
            EventKind::Fetched { .. } => "fetched",
            EventKind::HandedOver { .. } => "handed_over",
            EventKind::PaperEntered(_) => "paper_entered",
            EventKind::Released { .. } => "released",
            EventKind::Exported { .. } => "exported",
            EventKind::Viewed { .. } => "viewed",
            EventKind::PaperDeclared(_) => "paper_declared",
            EventKind::PeriodClosed(_) => "period_closed",
            EventKind::StatementMade(_) => "statement_made",
            EventKind::NetworkReported(_) => "network_reported",
            EventKind::CalendarSet(_) => "calendar_set",
            EventKind::Started { .. } => "started",
            EventKind::Stopped { .. } => "stopped",
            EventKind::DirectoryAdopted { .. } => "directory_adopted",
            EventKind::Alarm { .. } => "alarm",
            EventKind::Purged { .. } => "purged",
            EventKind::HoldPlaced { .. } => "hold_placed",
            EventKind::HoldLifted { .. } => "hold_lifted",
            EventKind::ConfigChanged(_) => "config_changed",
            EventKind::ClientChanged(_) => "client_changed",
            EventKind::KeyChanged(_) => "key_changed",
            EventKind::ConnectionsRefused(_) => "connections_refused",
            EventKind::Extracted(_) => "extracted",
            EventKind::GenerationOpened(_) => "generation_opened",
            EventKind::Recovered(_) => "recovered",
            EventKind::SentAgain { .. } => "sent_again",
            EventKind::Returned { .. } => "returned",
            EventKind::Unknown => "unknown",
        }
    }

    /// Every word that [`EventKind::name`] gives.
    pub const NAMES: &'static [&'static str] = &[
        "submitted",
        "received",
        "refused",
        "settled",
        "undelivered",
        "rerouted",
        "fetched",
        "handed_over",
        "paper_entered",
        "released",
        "exported",
        "viewed",
        "started",
        "stopped",
        "directory_adopted",
        "alarm",
        "config_changed",
        "client_changed",
        "key_changed",
        "connections_refused",
        "purged",
        "hold_placed",
        "hold_lifted",
        "extracted",
        "paper_declared",
        "period_closed",
        "statement_made",
        "network_reported",
        "calendar_set",
        "generation_opened",
        "recovered",
        "sent_again",
        "returned",
        "unknown",
    ];

    /// The delivery that it is about.
    pub fn delivery_id(&self) -> Option<DeliveryId> {
        match self {
            EventKind::Submitted { item, .. }
            | EventKind::Received { item, .. }
            | EventKind::Refused { item, .. } => Some(item.delivery_id),
            EventKind::Settled { delivery_id, .. }
            | EventKind::Undelivered { delivery_id, .. }
            | EventKind::Rerouted { delivery_id, .. }
            | EventKind::Fetched { delivery_id }
            | EventKind::HandedOver { delivery_id }
            | EventKind::Exported { delivery_id, .. }
            | EventKind::Viewed { delivery_id, .. }
            | EventKind::Purged { delivery_id, .. }
            | EventKind::SentAgain { delivery_id, .. }
            | EventKind::Returned { delivery_id, .. }
            | EventKind::Released { delivery_id, .. } => Some(*delivery_id),
            EventKind::Recovered(recovered) => recovered.submitted.delivery_id(),
            EventKind::HoldPlaced { scope: HoldScope::Delivery(id), .. }
            | EventKind::HoldLifted { scope: HoldScope::Delivery(id), .. } => Some(*id),
            _ => None,
        }
    }

    /// The message that it records, where it records one.
    pub fn item(&self) -> Option<&Item> {
        match self {
            EventKind::Submitted { item, .. }
            | EventKind::Received { item, .. }
            | EventKind::Refused { item, .. } => Some(item),
            EventKind::Recovered(recovered) => recovered.submitted.item(),
            _ => None,
        }
    }
}

/// What identifies and counts a message; the same at both nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Id of the delivery.
    pub delivery_id: DeliveryId,
    /// Digest of the envelope's bytes.
    pub envelope_digest: Digest,
    /// Attempt, from 1.
    pub attempt: u32,
    /// Sender and recipient, by the directory at the time.
    pub parties: Parties,
    /// Document or notice.
    pub subject: Subject,
}

impl Item {
    /// Business type of the message.
    pub fn kind(&self) -> Kind {
        match &self.subject {
            Subject::Document(d) => d.kind,
            Subject::Notice(n) => n.kind,
        }
    }
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A document.
    Document(DocumentFacts),
    /// A message about a delivery.
    Notice(NoticeFacts),
}

/// Of a document, what identifies it and what the ratios need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFacts {
    /// New or replace.
    pub kind: Kind,
    /// Number, notation, year.
    pub key: DocumentKey,
    /// Metadata and content: what "the same" means.
    pub document_digest: Digest,
    /// Name of the type.
    pub type_name: String,
    /// Urgency.
    pub urgency: Urgency,
    /// Day of issue.
    pub issued_on: Date,
    /// Moment of issue.
    pub issued_at: Option<Timestamp>,
    /// Born digital or scanned.
    pub origin: Origin,
    /// For a replace message: the document that it replaces, its sender's own.
    pub replaces: Option<DocumentKey>,
}

/// Of a notice, what identifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeFacts {
    /// Revoke, update or status.
    pub kind: Kind,
    /// The delivery.
    pub target: DeliveryId,
    /// Its number.
    pub message_number: u32,
    /// The status.
    pub status: Option<Status>,
    /// No legal successor of the status before.
    pub out_of_order: bool,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// For revoke and update: what the seal is over.
    pub stated: Option<Stated>,
    /// For 15 and 16: the message that it answers.
    pub answers: Option<DeliveryId>,
    /// For a status by the recipient: the document was no longer in force when it was given.
    pub after_end: bool,
}

/// Of a revoke or update, what its statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Number, notation, year of the document.
    pub key: DocumentKey,
    /// The document.
    pub document_digest: Digest,
    /// SHA-256 of the statement, with reason and metadata.
    pub statement: Digest,
}

/// Sender and recipient with their place in the ratios.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// Sender.
    pub sender: AgencyId,
    /// Sender's code as sent.
    pub sender_code: String,
    /// Recipient; `None` where it has no code (paper only).
    pub recipient: Option<AgencyId>,
    /// Recipient's code as sent.
    pub recipient_code: String,
    /// Sender's registered agency.
    pub sender_registered: AgencyId,
    /// Recipient's registered agency.
    pub recipient_registered: Option<AgencyId>,
    /// Sender's level.
    pub sender_level: Level,
    /// Recipient's level.
    pub recipient_level: Option<Level>,
    /// Scope.
    pub scope: Scope,
    /// Direction, within the province.
    pub direction: Option<Direction>,
}

/// Level of an agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Ministries and the like.
    Central,
    /// A province's people's committee.
    Province,
    /// A province's department.
    Department,
    /// A district or town.
    District,
    /// A commune or ward.
    Commune,
    /// An office within another agency.
    Subunit,
}

impl Level {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Central => "central",
            Level::Province => "province",
            Level::Department => "department",
            Level::District => "district",
            Level::Commune => "commune",
            Level::Subunit => "subunit",
        }
    }
}

/// Between whom, by registered agencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Within one registered agency.
    Internal,
    /// Two agencies under the same topmost ancestor.
    InProvince,
    /// Otherwise.
    Outside,
}

impl Scope {
    /// Its key in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Internal => "internal",
            Scope::InProvince => "in_province",
            Scope::Outside => "outside",
        }
    }
}

/// Vertical direction, by ancestry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// To an ancestor.
    Up,
    /// To a descendant.
    Down,
    /// Neither.
    Horizontal,
}

impl Direction {
    /// Its key in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
            Direction::Horizontal => "horizontal",
        }
    }
}

/// The verdict of each role, and the first reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleVerdicts {
    /// The competent person's signature.
    pub person: Verdict,
    /// The agency's seal.
    pub agency: Verdict,
    /// The first reason in rank.
    pub reason: Option<crate::signature::Reason>,
}

impl RoleVerdicts {
    /// Nobody signed, as for a status message.
    pub const ABSENT: RoleVerdicts =
        RoleVerdicts { person: Verdict::Absent, agency: Verdict::Absent, reason: None };

    /// Equal to paper: valid in both roles (Decree 30/2020/NĐ-CP, art. 5).
    pub fn both_valid(self) -> bool {
        self.person == Verdict::Valid && self.agency == Verdict::Valid
    }
}

/// How the verdicts came about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// In the order of parts and signatures.
    pub signatures: Vec<SignatureFacts>,
    /// Digests of the revocation data and timestamps that were used.
    pub evidence: Vec<Digest>,
}

/// What was found of one signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureFacts {
    /// Whose it is.
    pub role: Role,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is not valid.
    pub reason: Option<crate::signature::Reason>,
    /// SHA-256 of the signer's certificate.
    pub certificate: Option<Digest>,
    /// The time that a trusted timestamp proves.
    pub proven_at: Option<Timestamp>,
}

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRef {
    /// Origin line of the log.
    pub log: String,
    /// Index.
    pub index: u64,
    /// Hash of the leaf.
    pub leaf_hash: Digest,
}

/// A dispatch on paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaperEntry {
    /// Parties; the recipient may be none.
    pub parties: Parties,
    /// The recipient's name where it has no code.
    pub recipient_name: String,
    /// Number, notation, year.
    pub key: DocumentKey,
    /// Day of issue.
    pub issued_on: Date,
    /// Name of the type.
    pub type_name: String,
    /// Urgency.
    pub urgency: Urgency,
    /// There is a mandatory basis.
    pub mandatory: bool,
    /// Which.
    pub basis: String,
    /// Day of dispatch.
    pub dispatched_on: Option<Date>,
    /// Takes out of the register: the entry that it corrects, or every one of the same key and recipient.
    pub withdrawn: bool,
    /// The entry that it stands in for, by its index.
    pub corrects: Option<u64>,
    /// The client's idempotency key.
    pub request_id: RequestId,
}
