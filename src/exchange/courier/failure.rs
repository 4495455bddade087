//! Why a try did not end its delivery, and whose fault that is. Pure.
//!
//! Only a proof or the time ends a delivery: what a peer says without one is tried again, however final it sounds. Some
//! reasons look as if they will last, though; these are tried slowly, with the reason shown, until `not_after`.

use super::backoff::Backoff;
use crate::domain::reason::{Class, Reason, Rejection};

/// Whose fault it is; decides how soon it is tried again, and whether the breaker counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The peer cannot be reached, does not answer, or answers garbage: the breaker counts it.
    Peer,
    /// The peer has too much to do, no room, or is stopping: fewer messages go at once.
    Busy,
    /// This message, for now.
    Temporary,
    /// This message, and it looks as if that will last: both sides must agree on something first.
    Lasting,
    /// This node could not do its part; the peer was not asked, or its answer could not be kept.
    Here,
}

/// The waits of messages that failed for now.
const SOON: Backoff = Backoff { first: 200, last: 60_000 };
/// The waits of messages that will most likely fail again.
const SLOWLY: Backoff = Backoff { first: 5_000, last: 600_000 };
/// The waits before the other node is asked again what became of something that it holds.
pub(super) const HELD: Backoff = Backoff { first: 1_000, last: 600_000 };
/// The longest that a peer can put a message off: it must not be able to park one until its time is over.
const PUT_OFF: u64 = 60_000;

/// A try that came to no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub rejection: Rejection,
    /// Whose fault.
    pub fault: Fault,
    /// The wait that the peer asked for, in milliseconds; 0 when it asked for none.
    pub retry_after: u64,
}

impl Failure {
    /// The peer itself failed.
    pub fn of_peer(rejection: Rejection) -> Failure {
        Failure { rejection, fault: Fault::Peer, retry_after: 0 }
    }

    /// The peer answered this message, with a reason and no proof.
    pub fn of_answer(rejection: Rejection, retry_after: u64) -> Failure {
        let fault = fault(rejection.reason);
        Failure { rejection, fault, retry_after }
    }

    /// This node could not do its part.
    pub fn of_this_node(rejection: Rejection) -> Failure {
        Failure { rejection, fault: Fault::Here, retry_after: 0 }
    }

    /// How long to wait after so many tries that failed so before, in milliseconds.
    pub fn wait(&self, tries: u32, seed: u64) -> u64 {
        let damaged = self.fault == Fault::Here && self.rejection.reason == Reason::Damaged;
        let backoff = if self.fault == Fault::Lasting || damaged { SLOWLY } else { SOON };
        let asked = if self.fault == Fault::Busy { self.retry_after.min(PUT_OFF) } else { 0 };
        backoff.wait(tries, seed).max(asked)
    }
}

/// What the reason of an answer without proof says.
fn fault(reason: Reason) -> Fault {
    match reason {
        Reason::Overloaded | Reason::StorageFull | Reason::StorageFailed | Reason::Stopping => Fault::Busy,
        Reason::Damaged => Fault::Lasting,
        _ => match reason.class() {
            Class::Unavailable | Class::Exhausted | Class::Internal => Fault::Temporary,
            Class::Invalid
            | Class::Denied
            | Class::NotFound
            | Class::Conflict
            | Class::Precondition
            | Class::Unimplemented => Fault::Lasting,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_final_is_tried_slowly_and_what_passes_soon() {
        let of = |reason| Failure::of_answer(Rejection::new(reason, "", "x"), 0);
        for reason in [Reason::WrongPeer, Reason::BadEnvelope, Reason::NotAllowed, Reason::UnknownRecipient] {
            let failure = of(reason);
            assert_eq!(failure.fault, Fault::Lasting, "{reason}");
            assert!(failure.wait(0, 1) >= SLOWLY.first * 3 / 4 && failure.wait(99, 1) >= SLOWLY.last * 3 / 4);
        }
        for reason in [Reason::DirectoryBehind, Reason::PeerUnreachable, Reason::Internal] {
            let failure = of(reason);
            assert_eq!(failure.fault, Fault::Temporary, "{reason}");
            assert!(failure.wait(0, 1) <= SOON.first && failure.wait(99, 1) <= SOON.last);
        }
    }

    #[test]
    fn a_busy_peer_is_given_the_time_that_it_asks_for_up_to_a_minute() {
        let of = |retry_after| Failure::of_answer(Rejection::new(Reason::StorageFull, "", "x"), retry_after);
        assert_eq!(of(0).fault, Fault::Busy);
        assert_eq!(of(5_000).wait(0, 1), 5_000);
        assert_eq!(of(u64::MAX).wait(0, 1), PUT_OFF);
        let other = Failure::of_answer(Rejection::new(Reason::DirectoryBehind, "", "x"), 5_000);
        assert!(other.wait(0, 1) <= SOON.first, "asked for by habit");
    }
}
