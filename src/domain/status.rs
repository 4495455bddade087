//! Two state machines, kept apart: how far transport is, and how far the recipient's work is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Transport of one delivery, as its sender's node sees it.
///
/// Queued → Delivered | Held | Refused | Undelivered | Withdrawn; Held → Delivered | Refused;
/// Undelivered → Delivered | Held | Refused, when a proof comes late.
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
    /// Taken back before it arrived.
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
                | (Held, Delivered | Refused)
                | (Undelivered, Delivered | Held | Refused)
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

    /// Whether it needs a reason.
    pub fn needs_reason(self) -> bool {
        matches!(self, Status::Refused | Status::TakeBackRequested | Status::TakeBackRefused)
    }

    /// Whether `next` is a legal successor of `before` (`None`: nothing was reported yet).
    ///
    /// The take-back dialogue runs beside the work: 13 may come at any time, 15 and 16 only after it, and the work
    /// goes on from where it stood.
    pub fn is_legal(history: &[Status], next: Status) -> bool {
        use Status::{Accepted, Arrived, Assigned, Completed, Processing, Refused};
        let take_back = history.iter().rev().find(|s| s.code() > 6).copied();
        match next {
            Status::TakeBackRequested => take_back != Some(Status::TakeBackRequested),
            Status::TakeBackAgreed | Status::TakeBackRefused => take_back == Some(Status::TakeBackRequested),
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
                    Status::is_legal(&history, next),
                    allowed.contains(&next),
                    "{before:?} -> {next:?}"
                );
            }
        }
    }

    #[test]
    fn a_take_back_is_answered_once() {
        use Status::*;
        assert!(Status::is_legal(&[Arrived], TakeBackRequested));
        assert!(!Status::is_legal(&[Arrived], TakeBackAgreed));
        assert!(Status::is_legal(&[Arrived, TakeBackRequested], TakeBackRefused));
        assert!(!Status::is_legal(&[Arrived, TakeBackRequested, TakeBackRefused], TakeBackAgreed));
        assert!(Status::is_legal(&[Arrived, TakeBackRequested, TakeBackRefused], Accepted));
    }
}
