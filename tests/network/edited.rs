//! A node that a test plays states its figures: rightly, edited by hand, and of others.

use std::sync::Arc;

use bytes::Bytes;
use lienthong::domain::event::{EventKind, Scope};
use lienthong::domain::ids::{AgencyId, DeliveryId, DocumentKey};
use lienthong::domain::ratio::{Counters, Electronic, StatementMade};
use lienthong::domain::{Kind, Reason};
use lienthong::merkle::sha256;
use lienthong::report::network::row::{Sent, To, bits};
use lienthong::report::network::statement::Statement;
use lienthong::signature::Verdict;
use lienthong::wire::network::{Ask, NamedDelivery, Reply};
use lienthong::wire::pb;
use lienthong::wire::pb::deliver_response::Outcome;
use tokio::net::TcpListener;

use super::{PERIOD, collect, totals};
use crate::common::client::Client;
use crate::common::log::HandLog;
use crate::common::peer::FakePeer;
use crate::common::{TestNet, name};

const VALID: (Verdict, Verdict) = (Verdict::Valid, Verdict::Valid);

fn agency(id: &str) -> AgencyId {
    AgencyId::new(id).unwrap()
}

fn key() -> DocumentKey {
    DocumentKey::new("5", "QĐ", 2016).unwrap()
}

/// A delivery from an agency to another, in a statement.
fn sent(sender: &str, recipient: &str) -> Sent {
    let counts =
        Counters { deliveries: 1, electronic: 1, effective: 1, signed: 1, sent: 1, ..Counters::default() };
    let (from, to) = (agency(sender), agency(recipient));
    Sent {
        delivery: Some(DeliveryId::of_document(&from, Kind::New.number(), &key(), &to, 1)),
        sender: from,
        document: key().hash().as_bytes()[..16].try_into().unwrap(),
        to: To::Agency(to),
        day: "2016-08-08".parse().unwrap(),
        scope: Scope::Outside,
        direction: None,
        state: Electronic::Delivered,
        here: Some(VALID),
        there: Some(VALID),
        arrived: Some("2016-08-08".parse().unwrap()),
        face: 0,
        covered: false,
        counts: bits(&counts),
    }
}

fn statement(node: &str, sent: Vec<Sent>) -> String {
    Statement::new(name(node), PERIOD.parse().unwrap(), sent, Vec::new()).text()
}

fn refuse(reason: Reason) -> Outcome {
    Outcome::Retry(pb::Retry { reason: reason.code().into(), ..Default::default() })
}

/// What it shows of its log.
enum Leaves {
    Hidden,
    Shown,
    /// Not in their order.
    Others,
}

/// Node c, played.
struct Played {
    peer: FakePeer,
    log: HandLog,
    admin: Client,
}

impl Played {
    /// From now on it states `text`, by an event about `named`, and gives these entries of its log.
    fn will_state(&mut self, net: &TestNet, text: &str, named: &str, leaves: Leaves) {
        let made = StatementMade {
            period: PERIOD.parse().unwrap(),
            statement: sha256(named.as_bytes()),
            statement_size: named.len() as u64,
            size: 0,
            sent: named.matches("\nsent\t").count() as u64,
            received: named.matches("\ncame\t").count() as u64,
        };
        let proof = self.log.prove(net.now(), EventKind::StatementMade(made));
        let text = Bytes::from(text.to_owned());
        let leaves = match leaves {
            Leaves::Hidden => None,
            Leaves::Shown => Some(self.log.written.clone()),
            Leaves::Others => Some(self.log.written.iter().rev().cloned().collect()),
        };
        self.peer.states(Arc::new(move |ask| {
            let reply = match Ask::from_wire(ask).unwrap() {
                Ask::State(_) => Reply::Stated(Box::new(proof.clone()), text.slice(..text.len() / 2)),
                Ask::Statement { offset, .. } => Reply::Piece(text.slice(offset as usize..)),
                Ask::Leaves { from, .. } => match &leaves {
                    Some(leaves) => Reply::Leaves(leaves[from as usize..].to_vec()),
                    None => return refuse(Reason::NotAllowed),
                },
                Ask::Documents(ids) => {
                    // The wrong document of a delivery does not prove itself.
                    let key = DocumentKey::new("6", "QĐ", 2016).unwrap();
                    let named =
                        |delivery| NamedDelivery { delivery, kind: Kind::New, key: key.clone(), attempt: 1 };
                    Reply::Documents(ids.into_iter().map(named).collect())
                }
            };
            Outcome::Figures(reply.to_wire())
        }));
    }

    /// It states so, and a collects: what came of it.
    async fn states(&mut self, net: &TestNet, text: &str, named: &str, leaves: Leaves) -> String {
        self.will_state(net, text, named, leaves);
        let (report, ..) = collect(&self.admin, PERIOD).await.unwrap();
        let part = report.nodes.iter().find(|n| n.node == "c").unwrap();
        let counted = totals(&report, "deliveries").get("outside").map_or(0, |c| c.deliveries);
        assert_eq!(report.complete, part.is_stated());
        // What does not hold is in no total: there is what a sent outside, and what c may have sent.
        assert_eq!(counted, 2 + u64::from(part.is_stated()), "{part:?}");
        format!("{} {}", part.outcome, part.message)
    }
}

#[tokio::test]
async fn a_statement_that_was_edited_has_no_part_in_the_totals() {
    let mut net = TestNet::new();
    // The log that is played has no history to show.
    for node in ["a", "b"] {
        net.configure(node, |config| config.witness_every = std::time::Duration::from_secs(3_600));
    }
    let admin = {
        net.start_together(&["a", "b"]).await;
        net.client("a", "admin").await
    };
    let dms = net.dms("a").await;
    dms.deliver(&net.document("H01.1", &["G01"], "1")).await;
    dms.deliver(&net.document("H01.2", &["G01"], "2")).await;
    let peer = FakePeer::start(&net, "c", Arc::new(|_| Some(refuse(Reason::Overloaded)))).await;
    let mut c = Played { peer, log: net.hand_log("c"), admin };
    let right = statement("c", vec![sent("G01", "H01.1")]);
    // As it is: it counts, and a, which was sent nothing, differs.
    assert_eq!(c.states(&net, &right, &right, Leaves::Hidden).await, "stated ");
    let (report, ..) = collect(&c.admin, PERIOD).await.unwrap();
    let listed: Vec<_> = report
        .differences
        .iter()
        .map(|d| (d.kind.as_str(), d.sender.as_str(), d.document.as_str()))
        .collect();
    assert_eq!(listed, [("only_at_sender", "G01", "")], "a document that the id does not prove is not named");
    // A row that is edited on the way is not what the event says.
    let row = right.replacen("valid/valid", "valid/absent", 1);
    let answer = c.states(&net, &row, &right, Leaves::Hidden).await;
    assert!(answer.starts_with("content_mismatch") && answer.contains("digest"), "{answer}");
    let answer = c.states(&net, &right[..right.len() - 1], &right, Leaves::Hidden).await;
    assert!(answer.starts_with("content_mismatch"), "{answer}");
    // Written again, with an event of its own: the row contradicts itself, or the cells do not follow.
    let answer = c.states(&net, &row, &row, Leaves::Hidden).await;
    assert!(answer.starts_with("bad_statement") && answer.contains("contradicts its verdicts"), "{answer}");
    let cell = right.replacen("cell\tdeliveries\toutside\t1", "cell\tdeliveries\toutside\t9", 1);
    let answer = c.states(&net, &cell, &cell, Leaves::Hidden).await;
    assert!(answer.starts_with("bad_statement") && answer.contains("it says 9 and they are 1"), "{answer}");
    // What is right in itself and not what the log gives is found by who may read the log.
    let answer = c.states(&net, &right, &right, Leaves::Shown).await;
    assert!(answer.starts_with("bad_statement") && answer.contains("the log of c gives"), "{answer}");
    // Other entries than those that the checkpoint signs.
    let answer = c.states(&net, &right, &right, Leaves::Others).await;
    assert!(answer.starts_with("bad_statement") && answer.contains("its checkpoint signs"), "{answer}");
    // A node speaks for its own agencies, under its own name, and of the period that was asked for.
    let others = statement("c", vec![sent("H01.22", "H01.1")]);
    let answer = c.states(&net, &others, &others, Leaves::Hidden).await;
    assert!(answer.starts_with("wrong_peer") && answer.contains("H01.22, which it never hosted"), "{answer}");
    let other = statement("b", Vec::new());
    let answer = c.states(&net, &other, &other, Leaves::Hidden).await;
    assert!(answer.starts_with("bad_statement") && answer.contains("not the statement of c"), "{answer}");
    // Another's log proves nothing of it.
    c.log = net.hand_log("b");
    let answer = c.states(&net, &right, &right, Leaves::Hidden).await;
    assert!(answer.starts_with("bad_proof"), "{answer}");
    drop(c);
    for node in ["a", "b"] {
        net.stop(node).await;
    }
}

#[tokio::test]
async fn a_node_that_came_up_after_others_called_it_in_vain_states_its_figures() {
    let mut net = TestNet::new();
    net.configure("a", |config| config.witness_every = std::time::Duration::from_secs(3_600));
    net.start_together(&["a", "b"]).await;
    let admin = net.client("a", "admin").await;
    let peer = FakePeer::new(Arc::new(|_| Some(refuse(Reason::Overloaded))));
    let mut c = Played { peer, log: net.hand_log("c"), admin };
    let right = statement("c", vec![sent("G01", "H01.1")]);
    c.will_state(&net, &right, &right, Leaves::Hidden);
    // The courier calls, and is kept waiting; who collects waits for the same call.
    let listener = TcpListener::bind(net.config("c").listen_peers).await.unwrap();
    net.dms("a").await.deliver(&net.document("H01.1", &["G01"], "1")).await;
    let (held, _) = listener.accept().await.unwrap();
    let admin = net.client("a", "admin").await;
    let collecting = tokio::spawn(async move { collect(&admin, PERIOD).await.unwrap().0 });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    // That call fails; the next one finds the node.
    c.peer.listen_on(listener.into_std().unwrap(), net.config("c"));
    drop(held);
    let report = collecting.await.unwrap();
    let part = report.nodes.iter().find(|n| n.node == "c").unwrap();
    assert_eq!((part.outcome.as_str(), part.message.as_str()), ("stated", ""));
    drop(c);
    for node in ["a", "b"] {
        net.stop(node).await;
    }
}
