//! What agencies exchange, and what is true of it: pure, no clock, disk, network or async.
//!
//! - [`ids`], [`document`], [`envelope`], [`event`]: the words, each parsed once; [`administration`]: those of what a node
//!   records of itself.
//! - [`generation`]: how a log goes on after another was lost.
//! - [`hold`]: legal holds and what retention purged; [`named`]: the content that an event stands on.
//! - [`limits`]: every limit against abuse, with its reason.
//! - [`reason`]: the stable reason codes of every refusal.
//! - [`status`]: the state machines of transport and of business, and what a sender asks of a recipient.
//! - [`mod@statement`]: what an agency's seal is over when it revokes or updates.
//! - [`fold`]: what the log means: `apply(event)` on a keyed view; inbox, outbox, statuses, ratios.
//! - [`mod@decide`]: a command is a precondition on the folds and the events that follow.
//! - [`ratio`]: what a delivery counts as, and the ratios of a sum of deliveries.
//!
//! Time is an argument everywhere.

pub mod administration;
pub mod decide;
pub mod document;
pub mod envelope;
pub mod event;
pub mod fold;
pub mod generation;
pub mod hold;
pub mod ids;
pub mod limits;
pub mod named;
pub mod ratio;
pub mod reason;
pub mod statement;
pub mod status;

pub use decide::{Answer, Command, Decision, decide};
pub use document::{DocumentRef, Kind, Metadata, Origin, Part, PartRole, Urgency};
pub use envelope::{Body, Envelope, Notice, NoticeDocument};
pub use event::{Event, EventKind};
pub use ids::{AgencyId, DeliveryId, Digest, DocumentKey, NodeName, RequestId};
pub use reason::{Reason, Rejection};
pub use statement::statement;
pub use status::{Ask, AskState, DeliveryState, EndedBy, Status};
