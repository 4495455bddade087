//! What witnesses ask each other, as it travels among the messages of `Deliver` and `Collect`.

use super::lost::{LostAsk, LostPage};
use super::{pb, words};
use crate::domain::ids::shorten;
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::merkle::{Hash, MAX_CHECKPOINT_BYTES, MAX_PROOF_HASHES};

/// Bytes of a log's origin line.
const LOG_BYTES: usize = 255;

/// What a node asks another, or tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// That its log only grew through these sizes, which ascend.
    Growth {
        /// The newest checkpoint of it that the asking node holds; empty where it holds none.
        held: String,
        /// Origin of the log.
        log: String,
        /// At least two, at most [`limits::WITNESS_SIZES`].
        sizes: Vec<u64>,
    },
    /// A checkpoint of its log, cosigned.
    Cosigned(String),
    /// Which root its log had at an earlier size.
    Prefix {
        /// Origin of the log.
        log: String,
        /// The earlier size, from 1.
        size: u64,
        /// The size of the tree in which it is shown.
        of: u64,
    },
    /// What it has of a log that the asking node lost.
    Lost(LostAsk),
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Paths from each size to the next.
    Growth(Vec<Vec<Hash>>),
    /// Taken.
    Noted,
    /// The earlier tree's last leaf and its path in the later tree.
    Prefix(Hash, Vec<Hash>),
    /// A page of what it has.
    Lost(LostPage),
}

pub(super) fn bad(field: &str, what: impl Into<String>) -> Rejection {
    Rejection::new(Reason::BadProof, field, what)
}

fn note(field: &str, text: String) -> Result<String, Rejection> {
    if text.len() > MAX_CHECKPOINT_BYTES {
        let what =
            format!("a checkpoint of {} bytes is over the limit of {MAX_CHECKPOINT_BYTES}", text.len());
        return Err(Rejection::new(Reason::TooLong, field, what));
    }
    Ok(text)
}

pub(super) fn log(field: &str, text: String) -> Result<String, Rejection> {
    if text.is_empty() || text.len() > LOG_BYTES {
        return Err(bad(field, format!("`{}` is no origin of a log", shorten(&text))));
    }
    Ok(text)
}

fn path(field: &str, hashes: &[bytes::Bytes]) -> Result<Vec<Hash>, Rejection> {
    if hashes.len() > MAX_PROOF_HASHES {
        let what = format!("{} hashes are more than the {MAX_PROOF_HASHES} of any path", hashes.len());
        return Err(bad(field, what));
    }
    words::read_digests(field, hashes)
}

impl Ask {
    /// To the wire.
    pub fn to_wire(&self) -> pb::WitnessAsk {
        use pb::witness_ask::Ask as A;
        let ask = match self {
            Ask::Growth { held, log, sizes } => {
                A::Growth(pb::GrowthAsk { held: held.clone(), log: log.clone(), sizes: sizes.clone() })
            }
            Ask::Cosigned(note) => A::Cosigned(note.clone()),
            Ask::Prefix { log, size, of } => {
                A::Prefix(pb::PrefixAsk { log: log.clone(), size: *size, of: *of })
            }
            Ask::Lost(ask) => A::Lost(ask.to_wire()),
        };
        pb::WitnessAsk { ask: Some(ask) }
    }

    /// From the wire.
    pub fn from_wire(ask: pb::WitnessAsk) -> Result<Ask, Rejection> {
        use pb::witness_ask::Ask as A;
        match ask.ask {
            Some(A::Growth(g)) => {
                let most = limits::WITNESS_SIZES;
                if !(2..=most).contains(&g.sizes.len()) {
                    let what = format!("{} sizes; 2 to {most} can be connected at once", g.sizes.len());
                    return Err(Rejection::new(Reason::TooMany, "ask.growth.sizes", what));
                }
                if !g.sizes.is_sorted() || g.sizes[0] == 0 {
                    return Err(bad("ask.growth.sizes", "they do not ascend from 1"));
                }
                let held = note("ask.growth.held", g.held)?;
                Ok(Ask::Growth { held, log: log("ask.growth.log", g.log)?, sizes: g.sizes })
            }
            Some(A::Cosigned(text)) => Ok(Ask::Cosigned(note("ask.cosigned", text)?)),
            Some(A::Prefix(p)) => {
                if p.size == 0 || p.size > p.of {
                    return Err(bad("ask.prefix.size", format!("{} is not from 1 to {}", p.size, p.of)));
                }
                Ok(Ask::Prefix { log: log("ask.prefix.log", p.log)?, size: p.size, of: p.of })
            }
            Some(A::Lost(lost)) => LostAsk::from_wire(lost).map(Ask::Lost),
            None => {
                let what = "a newer version of the program may know this question; this one does not";
                Err(Rejection::new(Reason::Unimplemented, "ask", what))
            }
        }
    }
}

impl Reply {
    /// To the wire.
    pub fn to_wire(&self) -> pb::WitnessReply {
        use pb::witness_reply::Reply as R;
        let reply = match self {
            Reply::Growth(paths) => {
                let paths = paths.iter().map(|p| pb::HashPath { hashes: words::digests(p) });
                R::Growth(pb::GrowthReply { paths: paths.collect() })
            }
            Reply::Noted => R::Noted(pb::WitnessNoted {}),
            Reply::Prefix(leaf, path) => {
                R::Prefix(pb::PrefixReply { leaf_hash: words::digest(leaf), path: words::digests(path) })
            }
            Reply::Lost(page) => R::Lost(page.to_wire()),
        };
        pb::WitnessReply { reply: Some(reply) }
    }

    /// From the wire.
    pub fn from_wire(reply: pb::WitnessReply) -> Result<Reply, Rejection> {
        use pb::witness_reply::Reply as R;
        match reply.reply {
            Some(R::Growth(growth)) => {
                if growth.paths.len() >= limits::WITNESS_SIZES {
                    return Err(bad("reply.growth", format!("{} paths", growth.paths.len())));
                }
                let paths = growth.paths.iter().map(|p| path("reply.growth", &p.hashes));
                paths.collect::<Result<_, _>>().map(Reply::Growth)
            }
            Some(R::Noted(_)) => Ok(Reply::Noted),
            Some(R::Prefix(prefix)) => {
                let leaf = words::read_digest("reply.prefix", &prefix.leaf_hash)?;
                Ok(Reply::Prefix(leaf, path("reply.prefix", &prefix.path)?))
            }
            Some(R::Lost(page)) => LostPage::from_wire(page).map(Reply::Lost),
            None => Err(bad("reply", "an empty answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_read_back() {
        let growth = Ask::Growth { held: String::new(), log: "a/log/1".into(), sizes: vec![1, 5, 9] };
        let prefix = Ask::Prefix { log: "a/log/1".into(), size: 3, of: 8 };
        for ask in [growth, prefix, Ask::Cosigned("note".into())] {
            assert_eq!(Ask::from_wire(ask.to_wire()), Ok(ask));
        }
        let paths = Reply::Growth(vec![vec![Hash([1; 32])], Vec::new()]);
        for reply in [paths, Reply::Noted, Reply::Prefix(Hash([2; 32]), vec![Hash([3; 32])])] {
            assert_eq!(Reply::from_wire(reply.to_wire()), Ok(reply));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_and_named() {
        let growth = |sizes: Vec<u64>| {
            let ask = Ask::Growth { held: String::new(), log: "a/log/1".into(), sizes };
            Ask::from_wire(ask.to_wire()).unwrap_err().reason
        };
        assert_eq!(growth(vec![1]), Reason::TooMany);
        assert_eq!(growth((1..=limits::WITNESS_SIZES as u64 + 1).collect()), Reason::TooMany);
        assert_eq!(growth(vec![3, 2]), Reason::BadProof);
        assert_eq!(growth(vec![0, 2]), Reason::BadProof);
        let cosigned = Ask::Cosigned("x".repeat(MAX_CHECKPOINT_BYTES + 1));
        assert_eq!(Ask::from_wire(cosigned.to_wire()).unwrap_err().reason, Reason::TooLong);
        let prefix = Ask::Prefix { log: "a/log/1".into(), size: 9, of: 8 };
        assert_eq!(Ask::from_wire(prefix.to_wire()).unwrap_err().reason, Reason::BadProof);
        let unknown = Ask::from_wire(pb::WitnessAsk { ask: None }).unwrap_err();
        assert_eq!(unknown.reason, Reason::Unimplemented);
        let long = Reply::Growth(vec![vec![Hash([0; 32]); MAX_PROOF_HASHES + 1]]);
        assert!(Reply::from_wire(long.to_wire()).is_err());
    }
}
