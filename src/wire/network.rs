//! What a node that collects the network's figures asks the others, as it travels among the messages of `Deliver` and
//! `Collect`.

use bytes::Bytes;

use super::figures::read_period;
use super::proof::Proof;
use super::{pb, words};
use crate::domain::document::Kind;
use crate::domain::ids::{AgencyId, DeliveryId, Digest, DocumentKey};
use crate::domain::limits;
use crate::domain::ratio::Period;
use crate::domain::reason::{Reason, Rejection};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A statement of a period: one of the figures as they are, with the first piece of its text.
    State(Period),
    /// The next piece of one that was given.
    Statement {
        /// Of which period.
        period: Period,
        /// SHA-256 of its text.
        statement: Digest,
        /// Where the piece begins.
        offset: u64,
    },
    /// Entries of the log.
    Leaves {
        /// The first.
        from: u64,
        /// The first that is not wanted.
        to: u64,
    },
    /// Which documents these deliveries are of.
    Documents(Vec<DeliveryId>),
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A statement's event, and the first piece of its text.
    Stated(Box<Proof>, Bytes),
    /// A further piece.
    Piece(Bytes),
    /// Entries of the log.
    Leaves(Vec<Bytes>),
    /// Documents, as far as they are known.
    Documents(Vec<NamedDelivery>),
}

/// The document of a delivery. It proves itself: the id is a hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields that the id is made of")]
pub struct NamedDelivery {
    pub delivery: DeliveryId,
    pub kind: Kind,
    pub key: DocumentKey,
    pub attempt: u32,
}

impl NamedDelivery {
    /// Whether the id is that of this document from one agency to another.
    pub fn is_right(&self, sender: &AgencyId, recipient: &AgencyId) -> bool {
        let kind = self.kind.number();
        self.delivery == DeliveryId::of_document(sender, kind, &self.key, recipient, self.attempt)
    }
}

fn bad(field: &str, what: impl Into<String>) -> Rejection {
    Rejection::new(Reason::BadStatement, field, what)
}

fn piece(field: &str, data: Bytes) -> Result<Bytes, Rejection> {
    if data.len() > limits::CHUNK_BYTES {
        let what = format!("a piece of {} bytes is over the limit of {}", data.len(), limits::CHUNK_BYTES);
        return Err(bad(field, what));
    }
    Ok(data)
}

impl Ask {
    /// To the wire.
    pub fn to_wire(&self) -> pb::FiguresAsk {
        use pb::figures_ask::Ask as A;
        let ask = match self {
            Ask::State(period) => {
                A::Statement(pb::StatementAsk { period: period.to_string(), ..Default::default() })
            }
            Ask::Statement { period, statement, offset } => A::Statement(pb::StatementAsk {
                period: period.to_string(),
                offset: *offset,
                statement: words::digest(statement),
            }),
            Ask::Leaves { from, to } => A::Leaves(pb::LeavesAsk { from: *from, to: *to }),
            Ask::Documents(ids) => {
                A::Documents(pb::DocumentsAsk { delivery_ids: ids.iter().map(words::id).collect() })
            }
        };
        pb::FiguresAsk { ask: Some(ask) }
    }

    /// From the wire.
    pub fn from_wire(ask: pb::FiguresAsk) -> Result<Ask, Rejection> {
        use pb::figures_ask::Ask as A;
        match ask.ask {
            Some(A::Statement(s)) => {
                let period = read_period(&s.period)?;
                if matches!(period, Period::Day(_)) {
                    let what = format!("{period} is a day: statements are of months, quarters and years");
                    return Err(Rejection::new(Reason::InvalidDate, "figures.period", what));
                }
                if s.statement.is_empty() {
                    return Ok(Ask::State(period));
                }
                let statement = words::read_digest("figures.statement", &s.statement)?;
                Ok(Ask::Statement { period, statement, offset: s.offset })
            }
            Some(A::Leaves(l)) => {
                if l.from >= l.to {
                    let what = format!("{} is not before {}: ask for one entry or more", l.from, l.to);
                    return Err(Rejection::new(Reason::BadOffset, "figures.from", what));
                }
                Ok(Ask::Leaves { from: l.from, to: l.to })
            }
            Some(A::Documents(d)) => {
                let most = limits::NAMED_AT_ONCE;
                if d.delivery_ids.len() > most {
                    let what = format!("{} are more than the {most} allowed", d.delivery_ids.len());
                    return Err(Rejection::new(Reason::TooMany, "figures.delivery_ids", what));
                }
                let ids = d.delivery_ids.iter().map(|id| DeliveryId::from_slice(id));
                ids.collect::<Result<_, _>>().map(Ask::Documents)
            }
            None => {
                let what = "a newer version of the program may know this question; this one does not";
                Err(Rejection::new(Reason::Unimplemented, "figures", what))
            }
        }
    }
}

impl Reply {
    /// To the wire.
    pub fn to_wire(self) -> pb::FiguresReply {
        use pb::figures_reply::Reply as R;
        let reply = match self {
            Reply::Stated(proof, data) => {
                R::Statement(pb::StatementReply { data, proof: Some(proof.to_wire()) })
            }
            Reply::Piece(data) => R::Statement(pb::StatementReply { data, proof: None }),
            Reply::Leaves(leaves) => R::Leaves(pb::LeavesReply { leaves }),
            Reply::Documents(documents) => {
                let named = documents.iter().map(|d| pb::NamedDelivery {
                    delivery_id: words::id(&d.delivery),
                    kind: words::kind(d.kind).into(),
                    number: d.key.number().to_owned(),
                    notation: d.key.notation().to_owned(),
                    year: d.key.year(),
                    attempt: d.attempt,
                });
                R::Documents(pb::DocumentsReply { documents: named.collect() })
            }
        };
        pb::FiguresReply { reply: Some(reply) }
    }

    /// From the wire.
    pub fn from_wire(reply: pb::FiguresReply) -> Result<Reply, Rejection> {
        use pb::figures_reply::Reply as R;
        match reply.reply {
            Some(R::Statement(s)) => {
                let data = piece("figures.data", s.data)?;
                Ok(match s.proof {
                    Some(proof) => Reply::Stated(Box::new(Proof::from_wire(proof)?), data),
                    None => Reply::Piece(data),
                })
            }
            Some(R::Leaves(l)) => {
                let all: usize = l.leaves.iter().map(Bytes::len).sum();
                if l.leaves.is_empty() || (l.leaves.len() > 1 && all > limits::CHUNK_BYTES) {
                    let what = format!("{} entries of {all} bytes in one answer", l.leaves.len());
                    return Err(bad("figures.leaves", what));
                }
                Ok(Reply::Leaves(l.leaves))
            }
            Some(R::Documents(d)) => {
                if d.documents.len() > limits::NAMED_AT_ONCE {
                    let what = format!("{} documents in one answer", d.documents.len());
                    return Err(bad("figures.documents", what));
                }
                let named = |d: &pb::NamedDelivery| -> Result<NamedDelivery, Rejection> {
                    let kind = words::read_kind(d.kind).ok_or_else(|| words::unknown("kind", d.kind))?;
                    Ok(NamedDelivery {
                        delivery: DeliveryId::from_slice(&d.delivery_id)?,
                        kind,
                        key: DocumentKey::new(&d.number, &d.notation, d.year)?,
                        attempt: d.attempt,
                    })
                };
                d.documents.iter().map(named).collect::<Result<_, _>>().map(Reply::Documents)
            }
            None => Err(bad("figures", "an empty answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::Hash;

    #[test]
    fn questions_and_answers_read_back() {
        let period: Period = "2016-08".parse().unwrap();
        let id = DeliveryId::from_slice(&[3; 32]).unwrap();
        for ask in [
            Ask::State(period),
            Ask::Statement { period, statement: Hash([1; 32]), offset: 7 },
            Ask::Leaves { from: 0, to: 9 },
            Ask::Documents(vec![id]),
        ] {
            assert_eq!(Ask::from_wire(ask.to_wire()), Ok(ask));
        }
        let proof = Proof {
            leaf: Bytes::from_static(b"leaf"),
            index: 3,
            path: vec![Hash([2; 32])],
            checkpoint: "note".into(),
        };
        let key = DocumentKey::new("12", "CV-VP", 2016).unwrap();
        for reply in [
            Reply::Stated(Box::new(proof), Bytes::from_static(b"text")),
            Reply::Piece(Bytes::from_static(b"more")),
            Reply::Leaves(vec![Bytes::from_static(b"leaf")]),
            Reply::Documents(vec![NamedDelivery { delivery: id, kind: Kind::New, key, attempt: 1 }]),
        ] {
            assert_eq!(Reply::from_wire(reply.clone().to_wire()), Ok(reply));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_and_named() {
        let reason = |ask: Ask| Ask::from_wire(ask.to_wire()).unwrap_err().reason;
        assert_eq!(reason(Ask::State("2016-08-06".parse().unwrap())), Reason::InvalidDate);
        assert_eq!(reason(Ask::Leaves { from: 3, to: 3 }), Reason::BadOffset);
        assert_eq!(reason(Ask::Documents(vec![DeliveryId::default(); 101])), Reason::TooMany);
        let reason = |reply: Reply| Reply::from_wire(reply.to_wire()).unwrap_err().reason;
        assert_eq!(reason(Reply::Piece(vec![0; limits::CHUNK_BYTES + 1].into())), Reason::BadStatement);
        assert_eq!(reason(Reply::Leaves(Vec::new())), Reason::BadStatement);
        let half = Bytes::from(vec![0; limits::CHUNK_BYTES / 2 + 1]);
        assert_eq!(reason(Reply::Leaves(vec![half.clone(), half])), Reason::BadStatement);
    }

    #[test]
    fn a_named_document_proves_itself() {
        let agency = |id: &str| AgencyId::new(id).unwrap();
        let (from, to) = (agency("H01"), agency("H02"));
        let key = DocumentKey::new("12", "CV-VP", 2016).unwrap();
        let delivery = DeliveryId::of_document(&from, Kind::New.number(), &key, &to, 2);
        let named = NamedDelivery { delivery, kind: Kind::New, key, attempt: 2 };
        assert!(named.is_right(&from, &to));
        assert!(!named.is_right(&to, &from));
        let other = DocumentKey::new("13", "CV-VP", 2016).unwrap();
        assert!(!NamedDelivery { key: other, ..named.clone() }.is_right(&from, &to));
        assert!(!NamedDelivery { attempt: 1, ..named }.is_right(&from, &to));
    }
}
