//! The collecting side: every node of the directory is asked for its statement; what it says is checked, recounted from
//! its log where it lets this node read that, added, compared and recorded.
//!
//! A statement has a part in the result only when all of this holds:
//! 1. its event is in the node's log, under a checkpoint signed by a key that the directory lists for the node;
//! 2. its text has the digest and the size that the event says;
//! 3. its cells are what its deliveries count, and every delivery is of an agency that the node hosts or hosted;
//! 4. where the log may be read: it gives exactly this text.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::give::blocking;
use super::reconcile::{Stated, combine};
use super::recount::Recount;
use super::result::{NetworkReport, NodePart};
use super::statement::Statement;
use crate::directory::Directory;
use crate::domain::decide::Command;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::ids::{DeliveryId, Digest, NodeName};
use crate::domain::limits;
use crate::domain::ratio::{NetworkReported, Period, StatedNode, StatementMade};
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::Exchange;
use crate::exchange::accept::Boxed;
use crate::exchange::pressure::Wants;
use crate::ledger::LedgerError;
use crate::merkle::{Checkpoint, Tree, leaf_hash, sha256};
use crate::report::recorded::keep;
use crate::report::unreadable;
use crate::wire::leaf;
use crate::wire::network::{Ask, NamedDelivery, Reply};
use crate::wire::proof::VerifiedProof;

/// The way to a node that states its figures.
pub trait FiguresLink: Send + Sync {
    /// Asks one question.
    fn ask(&self, ask: Ask) -> Boxed<'_, Result<Reply, Rejection>>;
}

/// What was recorded.
#[derive(Debug, Clone)]
pub struct Reported {
    /// The event.
    pub index: u64,
    /// The signed checkpoint that covers it.
    pub checkpoint: String,
    /// The result's text.
    pub text: String,
}

/// What came of a node: its part of the result, the statement that holds and its event.
struct Answered {
    part: NodePart,
    stated: Result<(Statement, VerifiedProof, Digest), Rejection>,
}

/// Collects the statements of a period, and records what they come to.
pub async fn collect(
    exchange: &Exchange,
    link: impl Fn(&NodeName) -> Arc<dyn FiguresLink>,
    period: Period,
    actor: Actor,
) -> Result<Reported, Rejection> {
    let _room = exchange.pressure().admit(Wants::Entry)?;
    let directory = exchange.directory();
    let places = Arc::new(Semaphore::new(limits::COLLECTED_AT_ONCE));
    let mut asking = JoinSet::new();
    for node in directory.nodes() {
        let (exchange, directory, places) = (exchange.clone(), directory.clone(), places.clone());
        let (name, link) = (node.name.clone(), link(&node.name));
        asking.spawn(async move {
            let _place = places.acquire_owned().await;
            one(&exchange, &directory, &*link, &name, period).await
        });
    }
    let mut answered = Vec::new();
    while let Some(one) = asking.join_next().await {
        answered.push(one.map_err(|error| {
            tracing::error!(%error, "collecting a node's figures broke off");
            Rejection::new(Reason::Internal, "", "this node's administrator must look")
        })?);
    }
    answered.sort_by(|a, b| a.part.node.cmp(&b.part.node));
    let nodes = answered.iter().map(stated_node).collect::<Result<Vec<_>, _>>()?;
    let (parts, statements): (Vec<_>, Vec<_>) =
        answered.into_iter().map(|a| (a.part, a.stated.ok().map(|(statement, ..)| statement))).unzip();
    let listed = directory.clone();
    let combined = blocking(move || {
        let stated = statements.into_iter().flatten();
        Ok(combine(&listed, stated.map(|s| Stated { node: s.node.clone(), statement: s }).collect()))
    });
    let mut combined = combined.await?;
    name_documents(&mut combined.differences, &parts, link).await;
    let report = NetworkReport {
        format: super::result::FORMAT.to_owned(),
        period: period.to_string(),
        collector: exchange.node().to_string(),
        collected_at: exchange.ledger().now().to_string(),
        directory_version: directory.version(),
        complete: parts.iter().all(NodePart::is_stated),
        recomputed: parts.iter().all(|part| part.recomputed),
        nodes: parts,
        totals: super::result::kept(&combined.totals),
        coverage: combined.coverage,
        pairs: combined.pairs,
        difference_count: combined.difference_count,
        differences: combined.differences,
    };
    record(exchange, report, period, actor, nodes).await
}

async fn record(
    exchange: &Exchange,
    report: NetworkReport,
    period: Period,
    actor: Actor,
    mut nodes: Vec<StatedNode>,
) -> Result<Reported, Rejection> {
    let text = report.text().map_err(|error| {
        tracing::error!(%error, "the network's figures cannot be written");
        Rejection::new(Reason::Internal, "", "this node's administrator must look")
    })?;
    let ledger = exchange.ledger();
    let (kept, own) = (exchange.clone(), text.clone());
    let result = blocking(move || keep(&kept, &own)).await?;
    nodes.truncate(limits::STATED_NODES);
    let kind = EventKind::NetworkReported(NetworkReported {
        period,
        result,
        result_size: text.len() as u64,
        complete: report.complete,
        differences: report.difference_count,
        nodes,
    });
    let committed = ledger.commit(Command::StateFigures { actor, kind: Box::new(kind) }).await;
    let committed = committed.map_err(LedgerError::into_rejection)?;
    let checkpoint = committed.snapshot.checkpoint().map_or_else(String::new, |c| c.note().to_owned());
    Ok(Reported { index: committed.recorded(), checkpoint, text })
}

fn stated_node(answered: &Answered) -> Result<StatedNode, Rejection> {
    Ok(StatedNode {
        node: NodeName::new(&answered.part.node)?,
        stated: match &answered.stated {
            Ok((_, proof, digest)) => Ok((proof.log_ref(), *digest)),
            Err(rejection) => Err(rejection.reason),
        },
        recomputed: answered.part.recomputed,
    })
}

/// Asks one node.
async fn one(
    exchange: &Exchange,
    directory: &Directory,
    link: &dyn FiguresLink,
    node: &NodeName,
    period: Period,
) -> Answered {
    let mut part = NodePart { node: node.to_string(), ..NodePart::default() };
    let mut stated = ask(exchange, directory, link, node, period, &mut part).await;
    for _ in 1..limits::STATEMENT_TRIES {
        // Another collector's question made a newer statement while this one was pulled.
        if !matches!(&stated, Err(rejection) if rejection.reason == Reason::BadToken) {
            break;
        }
        stated = ask(exchange, directory, link, node, period, &mut part).await;
    }
    match &stated {
        Ok(_) => NodePart::STATED.clone_into(&mut part.outcome),
        Err(rejection) => {
            tracing::warn!(peer = %node, reason = %rejection, "a node has no part in the network's figures");
            rejection.reason.code().clone_into(&mut part.outcome);
            part.message.clone_from(&rejection.message);
            part.recomputed = false;
        }
    }
    Answered { part, stated }
}

async fn ask(
    exchange: &Exchange,
    directory: &Directory,
    link: &dyn FiguresLink,
    node: &NodeName,
    period: Period,
    part: &mut NodePart,
) -> Result<(Statement, VerifiedProof, Digest), Rejection> {
    let bad = |what: String| Rejection::new(Reason::BadStatement, "statement", what);
    // 1
    exchange.check_peer(node)?;
    let Reply::Stated(proof, first) = link.ask(Ask::State(period)).await? else {
        return Err(bad("the node answered another question".into()));
    };
    let listed = directory.node(node);
    let key = |checkpoint: &_| listed.and_then(|n| n.key_of(checkpoint).cloned());
    let proof = exchange.inner.proofs.verify(&proof, key)?;
    exchange.saw(proof.checkpoint()).await?;
    let EventKind::StatementMade(made) = proof.event().kind.clone() else {
        let what = format!("it proves a `{}` event, not a statement", proof.event().kind.name());
        return Err(Rejection::new(Reason::BadProof, "proof", what));
    };
    if made.period != period || made.size > proof.index() {
        return Err(bad(format!(
            "event {} states {} from {} events, not {period}",
            proof.index(),
            made.period,
            made.size
        )));
    }
    let head = proof.checkpoint();
    head.checkpoint().origin.clone_into(&mut part.log);
    head.note().clone_into(&mut part.checkpoint);
    (part.index, part.size) = (proof.index(), made.size);
    (part.sent, part.received) = (made.sent, made.received);
    part.statement = made.statement.to_string();
    // 2
    let text = pull(link, period, &made, first.to_vec()).await?;
    // 3
    let (directory, name) = (directory.clone(), node.clone());
    let (sent, received, digest) = (made.sent, made.received, made.statement);
    let statement = blocking(move || {
        let statement = Statement::read(&text)?;
        let counted = (statement.sent.len() as u64, statement.came.len() as u64);
        if (&statement.node, statement.period) != (&name, period) || counted != (sent, received) {
            return Err(bad(format!("it is not the statement of {name} of {period} that its event names")));
        }
        check_hosted(&directory, &statement)?;
        Ok(statement)
    })
    .await?;
    // 4
    match recount(link, node, period, &made, head.checkpoint()).await {
        Ok(found) if found == digest => part.recomputed = true,
        Ok(found) => {
            return Err(bad(format!(
                "the log of {node} gives the statement {found}, and it stated {digest}"
            )));
        }
        Err(rejection) if rejection.reason == Reason::BadStatement => return Err(rejection),
        Err(rejection) if rejection.reason == Reason::NotAllowed => {
            "the log may not be read".clone_into(&mut part.not_recomputed);
        }
        Err(rejection) => part.not_recomputed = rejection.to_string(),
    }
    Ok((statement, proof, digest))
}

/// The text of a statement, as its event says it.
async fn pull(
    link: &dyn FiguresLink,
    period: Period,
    made: &StatementMade,
    mut text: Vec<u8>,
) -> Result<Vec<u8>, Rejection> {
    if made.statement_size > limits::STATEMENT_BYTES {
        let what = format!(
            "a statement of {} bytes is over the limit of {}: collect a shorter period",
            made.statement_size,
            limits::STATEMENT_BYTES
        );
        return Err(Rejection::new(Reason::TooLong, "statement", what));
    }
    while (text.len() as u64) < made.statement_size {
        let offset = text.len() as u64;
        let ask = Ask::Statement { period, statement: made.statement, offset };
        match link.ask(ask).await? {
            Reply::Piece(piece) if !piece.is_empty() => text.extend_from_slice(&piece),
            _ => break,
        }
    }
    let found = sha256(&text);
    if found != made.statement || text.len() as u64 != made.statement_size {
        let what = format!(
            "{} bytes with the digest {found} came, and the event names {} with {}",
            text.len(),
            made.statement_size,
            made.statement
        );
        return Err(Rejection::new(Reason::ContentMismatch, "statement", what));
    }
    Ok(text)
}

/// A node speaks for the agencies that it hosts or hosted, and for no others.
fn check_hosted(directory: &Directory, statement: &Statement) -> Result<(), Rejection> {
    let mut own = BTreeSet::new();
    let senders = statement.sent.iter().map(|row| &row.sender);
    for agency in senders.chain(statement.came.iter().map(|row| &row.recipient)) {
        if own.contains(agency) {
            continue;
        }
        let hosting =
            directory.agency(agency).map(|a| a.entry.hosting.iter().any(|h| h.node == statement.node));
        if hosting != Some(true) {
            let what = format!("node `{}` states figures of {agency}, which it never hosted", statement.node);
            return Err(Rejection::new(Reason::WrongPeer, "statement", what));
        }
        own.insert(agency);
    }
    Ok(())
}

/// The digest of the statement that the log itself gives.
async fn recount(
    link: &dyn FiguresLink,
    node: &NodeName,
    period: Period,
    made: &StatementMade,
    head: &Checkpoint,
) -> Result<Digest, Rejection> {
    let mut first = Recount::new(period);
    read(link, head, |index, event| {
        if index < made.size {
            first.look(index, event);
        }
        Ok(())
    })
    .await?;
    let mut again = first.again();
    read(link, head, |index, event| {
        if index >= made.size {
            return Ok(());
        }
        let applied = again.apply(index, event);
        applied.map_err(|e| Rejection::new(Reason::BadStatement, "leaves", format!("event {index}: {e}")))
    })
    .await?;
    let node = node.clone();
    blocking(move || {
        let statement = again.statement(&node).map_err(|e| unreadable(&e))?;
        Ok(sha256(statement.text().as_bytes()))
    })
    .await
}

/// Reads a log that has the root of its checkpoint.
async fn read(
    link: &dyn FiguresLink,
    head: &Checkpoint,
    mut each: impl FnMut(u64, &Event) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    let bad = |what: String| Rejection::new(Reason::BadStatement, "leaves", what);
    let mut tree = Tree::new();
    while tree.size() < head.size {
        let ask = Ask::Leaves { from: tree.size(), to: head.size };
        let Reply::Leaves(leaves) = link.ask(ask).await? else {
            return Err(bad("the node answered another question".into()));
        };
        for bytes in leaves {
            let index = tree.size();
            if index == head.size {
                return Err(bad(format!("more than the {index} events of the checkpoint came")));
            }
            let event = leaf::decode(&bytes).map_err(|e| bad(format!("event {index}: {e}")))?;
            each(index, &event)?;
            tree.push(leaf_hash(&bytes));
        }
        // Only the root is wanted.
        drop(tree.take_full_tiles());
    }
    if tree.root() != head.root {
        let what =
            format!("its events have the root {}, and its checkpoint signs {}", tree.root(), head.root);
        return Err(bad(what));
    }
    Ok(())
}

/// Asks the nodes of the deliveries that differ which documents they are of. What is not told stays empty.
async fn name_documents(
    differences: &mut [super::result::Difference],
    parts: &[NodePart],
    link: impl Fn(&NodeName) -> Arc<dyn FiguresLink>,
) {
    for part in parts.iter().filter(|part| part.is_stated()) {
        let Ok(node) = NodeName::new(&part.node) else { continue };
        let link = link(&node);
        let at = |side: &Option<super::result::Side>| side.as_ref().is_some_and(|s| s.node == part.node);
        let of_node: Vec<usize> = (0..differences.len())
            .filter(|i| differences[*i].document.is_empty())
            .filter(|i| at(&differences[*i].at_sender) || at(&differences[*i].at_recipient))
            .collect();
        for some in of_node.chunks(limits::NAMED_AT_ONCE) {
            let ids = some.iter().filter_map(|i| differences[*i].delivery.parse::<DeliveryId>().ok());
            let Ok(Reply::Documents(named)) = link.ask(Ask::Documents(ids.collect())).await else { break };
            for i in some {
                let difference = &mut differences[*i];
                let own = |d: &&NamedDelivery| d.delivery.to_string() == difference.delivery;
                let Some(found) = named.iter().find(own) else { continue };
                let agency = crate::domain::ids::AgencyId::new;
                let (sender, recipient) = (agency(&difference.sender), agency(&difference.recipient));
                if let (Ok(sender), Ok(recipient)) = (sender, recipient)
                    && found.is_right(&sender, &recipient)
                {
                    difference.document = found.key.to_string();
                }
            }
        }
    }
}
