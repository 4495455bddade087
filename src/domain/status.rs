//! Two state machines, kept apart: how far transport is, and how far the recipient's work is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::document::Kind;

/// Transport of one delivery, as its sender's node sees it.
///
/// Queued → Delivered | Held | Refused | Undelivered | Withdrawn; Held → Delivered | Refused | Withdrawn;
/// Undelivered → Delivered | Held | Refused | Withdrawn, when a proof comes late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeliveryState {
    /// Recorded, waiting for the recipient's node.
    Queued,
    /// The recipient's node gave a receipt.
    Delivered,
    /// In the recipient node's custody until it can be judged.
    Held,
    /// The recipient's node refused it.
    Refused,
    /// No answer in time; provisional.
    Undelivered,
    /// Revoked before it was the recipient's.
    Withdrawn,
}

impl DeliveryState {
    /// Whether the attempt still stands: the document is under way or in force.
    pub fn is_live(self) -> bool {
        matches!(self, DeliveryState::Queued | DeliveryState::Delivered | DeliveryState::Held)
    }

    /// Whether `next` may follow.
    pub fn may_become(self, next: DeliveryState) -> bool {
        use DeliveryState::{Delivered, Held, Queued, Refused, Undelivered, Withdrawn};
        matches!(
            (self, next),
            (Queued, Delivered | Held | Refused | Undelivered | Withdrawn)
                | (Held, Delivered | Refused | Withdrawn)
                | (Undelivered, Delivered | Held | Refused | Withdrawn)
        )
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Queued => "queued",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Held => "held",
            DeliveryState::Refused => "refused",
            DeliveryState::Undelivered => "undelivered",
            DeliveryState::Withdrawn => "withdrawn",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Business status of a delivery, with the two-digit codes in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// 01: in the receiving system.
    Arrived,
    /// 02: refused, with a reason.
    Refused,
    /// 03: registered in the incoming book.
    Accepted,
    /// 04: a leader assigned it.
    Assigned,
    /// 05: being worked on.
    Processing,
    /// 06: done.
    Completed,
    /// 13: the sender asks to take it back.
    TakeBackRequested,
    /// 15: the receiver agrees.
    TakeBackAgreed,
    /// 16: the receiver refuses.
    TakeBackRefused,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 9] = [
        Status::Arrived,
        Status::Refused,
        Status::Accepted,
        Status::Assigned,
        Status::Processing,
        Status::Completed,
        Status::TakeBackRequested,
        Status::TakeBackAgreed,
        Status::TakeBackRefused,
    ];

    /// The code in use.
    pub fn code(self) -> u8 {
        match self {
            Status::Arrived => 1,
            Status::Refused => 2,
            Status::Accepted => 3,
            Status::Assigned => 4,
            Status::Processing => 5,
            Status::Completed => 6,
            Status::TakeBackRequested => 13,
            Status::TakeBackAgreed => 15,
            Status::TakeBackRefused => 16,
        }
    }

    /// The status of a code.
    pub fn from_code(code: u8) -> Option<Status> {
        Status::ALL.into_iter().find(|s| s.code() == code)
    }

    /// Whether the delivery's sender gives it; all others are the recipient's.
    pub fn is_senders(self) -> bool {
        self == Status::TakeBackRequested
    }

    /// Whether it acknowledges that the document arrived (Decree 30/2020/NĐ-CP, art. 21).
    pub fn acknowledges(self) -> bool {
        matches!(self, Status::Arrived | Status::Refused | Status::Accepted)
    }

    /// Whether it needs a reason.
    pub fn needs_reason(self) -> bool {
        matches!(self, Status::Refused | Status::TakeBackRequested | Status::TakeBackRefused)
    }

    /// Whether it answers something that the sender asked.
    pub fn is_answer(self) -> bool {
        matches!(self, Status::TakeBackAgreed | Status::TakeBackRefused)
    }

    /// Whether `next` is a legal successor of what was reported before.
    ///
    /// `asked` is what an answer (15, 16) is to, when that waits for one; for 13 it is a take-back that is open already.
    /// This dialogue runs beside the work: 13 may come at any time, and the work goes on from where it stood.
    pub fn is_legal(history: &[Status], asked: Option<Ask>, next: Status) -> bool {
        use Status::{Accepted, Arrived, Assigned, Completed, Processing, Refused};
        match next {
            Status::TakeBackRequested => asked.is_none(),
            Status::TakeBackAgreed => asked.is_some(),
            // What is revoked is revoked: there is nothing to refuse.
            Status::TakeBackRefused => asked.is_some_and(|ask| ask != Ask::Revoke),
            _ => {
                let work = history.iter().rev().find(|s| s.code() <= 6).copied();
                matches!(
                    (work, next),
                    (None, Arrived)
                        | (Some(Arrived), Refused | Accepted)
                        | (Some(Accepted), Assigned | Processing | Completed)
                        | (Some(Assigned), Processing | Completed)
                        | (Some(Processing), Completed)
                )
            }
        }
    }
}

/// What the sender of a delivered document asks of its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ask {
    /// Cancel it: it is out of force from the arrival on.
    Revoke,
    /// Take other metadata.
    Update,
    /// Give it back (13).
    TakeBack,
}

impl Ask {
    /// What a message asks, if it asks anything.
    pub fn of(kind: Kind, status: Option<Status>) -> Option<Ask> {
        match (kind, status) {
            (Kind::Revoke, _) => Some(Ask::Revoke),
            (Kind::Update, _) => Some(Ask::Update),
            (Kind::Status, Some(Status::TakeBackRequested)) => Some(Ask::TakeBack),
            _ => None,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Ask::Revoke => "revoke",
            Ask::Update => "update",
            Ask::TakeBack => "take_back",
        }
    }
}

/// How far such a request is.
///
/// At the sender's node: Sent → Open → Agreed | Refused; Sent → Void, and back with a late proof. At the recipient's it
/// begins Open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AskState {
    /// On its way.
    Sent,
    /// At the recipient, not answered.
    Open,
    /// Answered with 15.
    Agreed,
    /// Answered with 16.
    Refused,
    /// It did not get there.
    Void,
}

impl AskState {
    /// Whether it may still be answered.
    pub fn is_open(self) -> bool {
        matches!(self, AskState::Sent | AskState::Open)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            AskState::Sent => "sent",
            AskState::Open => "open",
            AskState::Agreed => "agreed",
            AskState::Refused => "refused",
            AskState::Void => "void",
        }
    }
}

/// What took a document out of force at its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EndedBy {
    /// A revoke.
    Revoked,
    /// A replace message.
    Replaced,
    /// The recipient's 15 to a 13.
    TakenBack,
}

impl EndedBy {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            EndedBy::Revoked => "revoked",
            EndedBy::Replaced => "replaced",
            EndedBy::TakenBack => "taken_back",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.code())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .and_then(Status::from_code)
            .ok_or_else(|| format!("`{text}` is no status: use 01 to 06, 13, 15 or 16"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_follows_the_table() {
        use Status::*;
        let legal = [
            (None, vec![Arrived]),
            (Some(Arrived), vec![Refused, Accepted]),
            (Some(Refused), vec![]),
            (Some(Accepted), vec![Assigned, Processing, Completed]),
            (Some(Assigned), vec![Processing, Completed]),
            (Some(Processing), vec![Completed]),
            (Some(Completed), vec![]),
        ];
        for (before, allowed) in legal {
            let history: Vec<Status> = before.into_iter().collect();
            for next in [Arrived, Refused, Accepted, Assigned, Processing, Completed] {
                assert_eq!(
                    Status::is_legal(&history, None, next),
                    allowed.contains(&next),
                    "{before:?} -> {next:?}"
                );
            }
        }
    }

    #[test]
    fn an_answer_needs_something_asked_and_a_revoke_cannot_be_refused() {
        use Status::*;
        assert!(Status::is_legal(&[Arrived], None, TakeBackRequested));
        assert!(!Status::is_legal(&[Arrived], Some(Ask::TakeBack), TakeBackRequested));
        for answer in [TakeBackAgreed, TakeBackRefused] {
            assert!(!Status::is_legal(&[Arrived], None, answer));
            assert!(Status::is_legal(&[Arrived, TakeBackRequested], Some(Ask::TakeBack), answer));
            assert!(Status::is_legal(&[], Some(Ask::Update), answer));
            assert_eq!(Status::is_legal(&[], Some(Ask::Revoke), answer), answer == TakeBackAgreed);
        }
        assert!(Status::is_legal(&[Arrived, TakeBackRequested, TakeBackRefused], None, Accepted));
    }
}
