//! The stable reason codes of every refusal: a code never changes its meaning and has a page in docs/reasons/.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::signature;

/// What kind of failure a reason is: decides the gRPC status and whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request itself is wrong; the same request fails again.
    Invalid,
    /// The caller may not do this.
    Denied,
    /// What is asked for is not there.
    NotFound,
    /// It contradicts what is recorded.
    Conflict,
    /// The state of things does not allow it.
    Precondition,
    /// A limit or quota: later, or less.
    Exhausted,
    /// Not now: the same request may succeed later.
    Unavailable,
    /// Something is broken at this node.
    Internal,
    /// Not built yet.
    Unimplemented,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $code:literal $class:ident,)*) => {
        /// Why something was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
            /// A signature is at fault: its own reason says how.
            Signature(signature::Reason),
        }

        impl Reason {
            /// Every reason that is not a signature's.
            pub const PLAIN: &'static [Reason] = &[$(Reason::$name,)*];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self {
                    $(Reason::$name => $code,)*
                    Reason::Signature(reason) => reason.as_str(),
                }
            }

            /// What kind of failure it is.
            pub fn class(self) -> Class {
                match self {
                    $(Reason::$name => Class::$class,)*
                    Reason::Signature(_) => Class::Precondition,
                }
            }
        }
    };
}

reasons! {
    /// A required field is empty.
    MissingField "missing_field" Invalid,
    /// A text is longer than allowed.
    TooLong "too_long" Invalid,
    /// A text has the wrong form.
    InvalidText "invalid_text" Invalid,
    /// A date or time cannot be read or is out of range.
    InvalidDate "invalid_date" Invalid,
    /// The day of issue lies ahead.
    IssuedInFuture "issued_in_future" Invalid,
    /// A send without a recipient.
    NoRecipient "no_recipient" Invalid,
    /// The same agency twice among the recipients.
    DuplicateRecipient "duplicate_recipient" Invalid,
    /// More entries than allowed.
    TooMany "too_many" Invalid,
    /// A document without a main part.
    NoMainPart "no_main_part" Invalid,
    /// Content over the limit.
    ContentTooLarge "content_too_large" Invalid,
    /// The bytes are not those that the header announced.
    ContentMismatch "content_mismatch" Invalid,
    /// A stream of messages that follows no rule of this API.
    BadStream "bad_stream" Invalid,
    /// A stream of content that begins where it cannot.
    BadOffset "bad_offset" Invalid,
    /// A page token or cursor that this node did not give.
    BadToken "bad_token" Invalid,
    /// The document is a state secret.
    ClassifiedDocument "classified_document" Invalid,
    /// The sender is in no directory version.
    UnknownSender "unknown_sender" NotFound,
    /// The recipient is in no directory version.
    UnknownRecipient "unknown_recipient" NotFound,
    /// The agency is closed.
    RetiredAgency "retired_agency" Precondition,
    /// No node hosts the recipient.
    RecipientWithoutNode "recipient_without_node" Precondition,
    /// This node does not host the agency.
    NotHosted "not_hosted" Precondition,
    /// The same number and notation are in force with other content.
    Conflict "conflict" Conflict,
    /// The request id was used for something else.
    RequestIdReused "request_id_reused" Conflict,
    /// The recipient already has this document under another delivery.
    AlreadyDelivered "already_delivered" Conflict,
    /// The client may not act in this way or for this agency.
    NotAllowed "not_allowed" Denied,
    /// The certificate is of no client or node that this node knows.
    UnknownCaller "unknown_caller" Denied,
    /// The peer does not host the agency that it speaks for.
    WrongPeer "wrong_peer" Denied,
    /// A proof does not hold, or proves something else.
    BadProof "bad_proof" Denied,
    /// A node's statement of its figures does not hold.
    BadStatement "bad_statement" Denied,
    /// The peer's log has two histories: exchange with it is stopped.
    LogForked "log_forked" Precondition,
    /// The peer does not show that its log only grew: exchange with it is stopped.
    LogSuspect "log_suspect" Precondition,
    /// No other node cosigned a checkpoint of this log yet.
    NotCosigned "not_cosigned" Precondition,
    /// The envelope cannot be read or contradicts itself.
    BadEnvelope "bad_envelope" Invalid,
    /// The time of delivery is over.
    Expired "expired" Precondition,
    /// No such delivery, or none that the caller may see.
    UnknownDelivery "unknown_delivery" NotFound,
    /// No such log entry, or none that the caller may see.
    UnknownEvent "unknown_event" NotFound,
    /// No such agency.
    UnknownAgency "unknown_agency" NotFound,
    /// The delivery is held until its signatures can be judged.
    Held "held" Precondition,
    /// The delivery was decided before, otherwise.
    NotHeld "not_held" Precondition,
    /// Another client holds the lease.
    Leased "leased" Precondition,
    /// The agency has no part in this delivery, or not in this way.
    WrongParty "wrong_party" Denied,
    /// The document is not in force any more at its recipient.
    Revoked "revoked" Precondition,
    /// The content was purged when its time of keeping was over.
    Purged "purged" Precondition,
    /// No such legal hold is in force.
    UnknownHold "unknown_hold" NotFound,
    /// The document was revoked before it arrived.
    Withdrawn "withdrawn" Precondition,
    /// The delivery is not with its recipient.
    NotDelivered "not_delivered" Precondition,
    /// A status that this party does not give.
    WrongStatus "wrong_status" Invalid,
    /// The message needs the agency's valid seal.
    SealRequired "seal_required" Precondition,
    /// The recipient's node needs a newer directory, or has one.
    DirectoryBehind "directory_behind" Unavailable,
    /// A node that lost its log is still asking what the others have of it.
    Recovering "recovering" Unavailable,
    /// The peer cannot be reached.
    PeerUnreachable "peer_unreachable" Unavailable,
    /// The disk is full.
    StorageFull "storage_full" Exhausted,
    /// Writing failed; whether it is recorded is unknown: send again.
    StorageFailed "storage_failed" Unavailable,
    /// Too much at once.
    Overloaded "overloaded" Exhausted,
    /// The node is stopping.
    Stopping "stopping" Unavailable,
    /// What was read does not fit the log; the node's administrator must look.
    Damaged "damaged" Internal,
    /// A fault of this node.
    Internal "internal" Internal,
    /// Named in the API, not built yet.
    Unimplemented "unimplemented" Unimplemented,
    /// Nothing more came of a call that had begun.
    Idle "idle" Unavailable,
}

impl Reason {
    /// Whether the same request may succeed later, unchanged.
    pub fn is_temporary(self) -> bool {
        matches!(self.class(), Class::Unavailable | Class::Exhausted | Class::Internal)
    }
}

impl Reason {
    /// How long to wait before the same request is tried again, in milliseconds; 0 for what would fail again.
    pub fn retry_after_ms(self) -> u32 {
        match self {
            // Somebody must make room first.
            Reason::StorageFull => 30_000,
            _ if self.is_temporary() => 1_000,
            _ => 0,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Reason {
    type Err = ();

    fn from_str(code: &str) -> Result<Self, ()> {
        if let Some(reason) = Reason::PLAIN.iter().find(|r| r.code() == code) {
            return Ok(*reason);
        }
        code.parse().map(Reason::Signature).map_err(|_| ())
    }
}

/// A refusal: the reason, the field at fault, and a sentence with the offending value and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Rejection {
    /// The stable reason.
    pub reason: Reason,
    /// Path of the field in the request, or empty.
    pub field: String,
    /// For a person.
    pub message: String,
}

impl Rejection {
    /// A refusal of `field`.
    pub fn new(reason: Reason, field: impl Into<String>, message: impl Into<String>) -> Self {
        Rejection { reason, field: field.into(), message: message.into() }
    }

    /// A required field is empty.
    pub fn missing(field: impl Into<String>) -> Self {
        Rejection::new(Reason::MissingField, field, "it is required: fill it in")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_reads_back() {
        let mut seen = std::collections::BTreeSet::new();
        for reason in Reason::PLAIN {
            assert!(seen.insert(reason.code()), "{reason} twice");
            assert_eq!(reason.code().parse::<Reason>(), Ok(*reason));
        }
    }
}
