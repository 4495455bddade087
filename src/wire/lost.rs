//! What a node asks that lost its log, and what the others have of it.

use bytes::Bytes;

use super::pb;
use super::proof::Proof;
use super::witness::{bad, log};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};

/// One page is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostAsk {
    /// Origins of the generations before the one in use, each with the number of its events that are still there; at
    /// most [`limits::LOST_LOGS`].
    pub logs: Vec<(String, u64)>,
    /// Where the page begins: 0, or what the page before said.
    pub from: u64,
    /// What they had received shall be sent again; otherwise what they had sent comes back.
    pub again: bool,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LostPage {
    /// At most [`limits::LOST_DELIVERIES`].
    pub deliveries: Vec<LostDelivery>,
    /// Where the next page begins.
    pub next: u64,
    /// There is none for now.
    pub done: bool,
    /// Deliveries that go to the asking node again.
    pub sent_again: u32,
}

/// A message that the lost log had sent, and its answer. Nothing of it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostDelivery {
    /// As it came; empty where it was purged.
    pub envelope: Bytes,
    /// The lost log's proof that it was submitted.
    pub origin: Proof,
    /// The proof of the answer.
    pub answer: Proof,
}

impl LostAsk {
    /// To the wire.
    pub fn to_wire(&self) -> pb::LostAsk {
        let logs = self.logs.iter().map(|(log, kept)| pb::LostLog { log: log.clone(), kept: *kept });
        pb::LostAsk { logs: logs.collect(), from: self.from, again: self.again }
    }

    /// From the wire.
    pub fn from_wire(ask: pb::LostAsk) -> Result<LostAsk, Rejection> {
        let most = limits::LOST_LOGS;
        if !(1..=most).contains(&ask.logs.len()) {
            let what = format!("{} logs; 1 to {most} can be asked about at once", ask.logs.len());
            return Err(Rejection::new(Reason::TooMany, "ask.lost.logs", what));
        }
        let logs = ask.logs.into_iter().map(|l| Ok((log("ask.lost.logs.log", l.log)?, l.kept)));
        Ok(LostAsk { logs: logs.collect::<Result<_, Rejection>>()?, from: ask.from, again: ask.again })
    }
}

impl LostPage {
    /// To the wire.
    pub fn to_wire(&self) -> pb::LostReply {
        let deliveries = self.deliveries.iter().map(|d| pb::LostDelivery {
            envelope: d.envelope.clone(),
            origin: Some(d.origin.to_wire()),
            answer: Some(d.answer.to_wire()),
        });
        pb::LostReply {
            deliveries: deliveries.collect(),
            next: self.next,
            done: self.done,
            sent_again: self.sent_again,
        }
    }

    /// From the wire.
    pub fn from_wire(page: pb::LostReply) -> Result<LostPage, Rejection> {
        if page.deliveries.len() > limits::LOST_DELIVERIES {
            return Err(bad("reply.lost", format!("{} deliveries", page.deliveries.len())));
        }
        let proof = |field: &str, proof: Option<pb::Proof>| {
            Proof::from_wire(proof.ok_or_else(|| Rejection::missing(field))?)
        };
        let deliveries = page.deliveries.into_iter().map(|d| {
            if d.envelope.len() > limits::ENVELOPE_BYTES {
                let what =
                    format!("an envelope of {} bytes, over {}", d.envelope.len(), limits::ENVELOPE_BYTES);
                return Err(Rejection::new(Reason::TooLong, "reply.lost.envelope", what));
            }
            Ok(LostDelivery {
                envelope: d.envelope,
                origin: proof("reply.lost.origin", d.origin)?,
                answer: proof("reply.lost.answer", d.answer)?,
            })
        });
        Ok(LostPage {
            deliveries: deliveries.collect::<Result<_, Rejection>>()?,
            next: page.next,
            done: page.done,
            sent_again: page.sent_again,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::Hash;

    #[test]
    fn questions_and_pages_read_back_and_what_is_out_of_bounds_is_refused() {
        let ask = LostAsk { logs: vec![("a/log/1".into(), 7)], from: 3, again: true };
        assert_eq!(LostAsk::from_wire(ask.to_wire()), Ok(ask));
        for logs in [0, limits::LOST_LOGS + 1] {
            let logs = vec![("a/log/1".to_owned(), 0); logs];
            let refused = LostAsk::from_wire(LostAsk { logs, from: 0, again: false }.to_wire());
            assert_eq!(refused.unwrap_err().reason, Reason::TooMany);
        }
        let proof = Proof {
            leaf: Bytes::from_static(b"leaf"),
            index: 1,
            path: vec![Hash([2; 32])],
            checkpoint: "note".into(),
        };
        let delivery =
            LostDelivery { envelope: Bytes::from_static(b"e"), origin: proof.clone(), answer: proof };
        let page = LostPage { deliveries: vec![delivery.clone()], next: 9, done: true, sent_again: 2 };
        assert_eq!(LostPage::from_wire(page.to_wire()), Ok(page.clone()));
        let long = LostDelivery { envelope: vec![0; limits::ENVELOPE_BYTES + 1].into(), ..delivery.clone() };
        let refused = LostPage::from_wire(LostPage { deliveries: vec![long], ..page.clone() }.to_wire());
        assert_eq!(refused.unwrap_err().reason, Reason::TooLong);
        let many = LostPage { deliveries: vec![delivery; limits::LOST_DELIVERIES + 1], ..page };
        assert!(LostPage::from_wire(many.to_wire()).is_err());
    }
}
