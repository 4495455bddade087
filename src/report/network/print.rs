//! The network's figures for a person, and as csv.

use std::fmt::Write as _;

use super::result::{Difference, NetworkReport, NodePart, Side};
use crate::report::query::Basis;
use crate::report::table;

/// A list of the result that can be printed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Every node, and what came of it.
    Nodes,
    /// Every two agencies.
    Pairs,
    /// Every delivery about which two nodes differ.
    Differences,
}

/// The columns of a list and its lines.
pub(super) fn list(report: &NetworkReport, list: List) -> (Vec<&'static str>, Vec<Vec<String>>) {
    match list {
        List::Nodes => {
            let columns = vec![
                "node",
                "outcome",
                "recomputed",
                "sent",
                "received",
                "statement",
                "log",
                "index",
                "size",
                "message",
            ];
            let line = |n: &NodePart| {
                vec![
                    n.node.clone(),
                    n.outcome.clone(),
                    recomputed(n).to_owned(),
                    n.sent.to_string(),
                    n.received.to_string(),
                    n.statement.clone(),
                    n.log.clone(),
                    n.index.to_string(),
                    n.size.to_string(),
                    if n.message.is_empty() { n.not_recomputed.clone() } else { n.message.clone() },
                ]
            };
            (columns, report.nodes.iter().map(line).collect())
        }
        List::Pairs => {
            let columns = vec!["sender", "recipient", "sent", "received", "differences", "compared"];
            let line = |p: &super::result::Pair| {
                vec![
                    p.sender.clone(),
                    p.recipient.clone(),
                    p.sent.to_string(),
                    p.received.to_string(),
                    p.differences.to_string(),
                    p.compared.to_string(),
                ]
            };
            (columns, report.pairs.iter().map(line).collect())
        }
        List::Differences => {
            let columns = vec![
                "kind",
                "document",
                "sender",
                "recipient",
                "sender_node",
                "sender_state",
                "sender_verdicts",
                "sender_told",
                "sender_arrived",
                "recipient_node",
                "recipient_state",
                "recipient_verdicts",
                "recipient_arrived",
                "day",
                "delivery",
            ];
            (columns, report.differences.iter().map(difference_line).collect())
        }
    }
}

fn difference_line(d: &Difference) -> Vec<String> {
    let none = Side::default();
    let (sender, recipient) =
        (d.at_sender.as_ref().unwrap_or(&none), d.at_recipient.as_ref().unwrap_or(&none));
    let day = if sender.day.is_empty() { &recipient.day } else { &sender.day };
    let fields = [
        &d.kind,
        &d.document,
        &d.sender,
        &d.recipient,
        &sender.node,
        &sender.state,
        &sender.verdicts,
        &sender.told,
        &sender.arrived,
        &recipient.node,
        &recipient.state,
        &recipient.verdicts,
        &recipient.arrived,
        day,
        &d.delivery,
    ];
    fields.into_iter().cloned().collect()
}

fn recomputed(node: &NodePart) -> &'static str {
    match (node.is_stated(), node.recomputed) {
        (false, _) => "",
        (true, true) => "recomputed",
        (true, false) => "not recomputed",
    }
}

/// A list as csv.
pub fn csv(report: &NetworkReport, which: List) -> String {
    let (columns, lines) = list(report, which);
    let mut out = ::csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = out.write_record(columns);
    for line in lines {
        let _ = out.write_record(line.iter().map(|text| table::harmless(text)));
    }
    String::from_utf8(out.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// For a person: the figures, the nodes, and where two nodes differ.
pub fn for_person(report: &NetworkReport, basis: Basis, checkpoint: &str, months: bool) -> String {
    let mut out = format!("The network's figures of {}\n\n", report.period);
    out.push_str(&table::table(&report.report(basis, checkpoint), months));
    out.push('\n');
    for node in &report.nodes {
        let _ = match node.is_stated() {
            true => writeln!(
                out,
                "{}: {} sent, {} received, event {} of {}, {}{}",
                node.node,
                node.sent,
                node.received,
                node.index,
                node.log,
                recomputed(node),
                if node.not_recomputed.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", node.not_recomputed)
                },
            ),
            false => writeln!(out, "{}: NOT IN THE TOTALS: {}: {}", node.node, node.outcome, node.message),
        };
    }
    if !report.complete {
        let absent: Vec<&str> = report.absent().map(|node| node.node.as_str()).collect();
        let _ =
            writeln!(out, "INCOMPLETE: the totals are without what agencies of {} sent.", absent.join(", "));
    }
    if report.complete && !report.recomputed {
        out.push_str(
            "Not every node's figures were recomputed from its log: they are what these nodes state.\n",
        );
    }
    let compared: u64 = report.pairs.iter().filter(|p| p.compared).map(|p| p.sent.max(p.received)).sum();
    let _ = writeln!(out, "Compared: {compared} deliveries; {} differ.", report.difference_count);
    for d in &report.differences {
        let document = if d.document.is_empty() { "unknown document" } else { &d.document };
        let _ = writeln!(out, "  {} → {}: {document}: {}", d.sender, d.recipient, d.kind.replace('_', " "));
        for (at, side) in [("sender", &d.at_sender), ("recipient", &d.at_recipient)] {
            let Some(s) = side else {
                let _ = writeln!(out, "      at its {at}'s node: nothing");
                continue;
            };
            let told = if s.told.is_empty() { String::new() } else { format!(", told {}", s.told) };
            let arrived =
                if s.arrived.is_empty() { String::new() } else { format!(", arrived {}", s.arrived) };
            let _ = writeln!(
                out,
                "      at its {at}'s node {}: {}, {}{told}, issued {}{arrived}",
                s.node, s.state, s.verdicts, s.day
            );
        }
        let _ = writeln!(out, "      delivery {}", d.delivery);
    }
    let listed = report.differences.len() as u64;
    if listed < report.difference_count {
        let _ = writeln!(out, "  and {} more", report.difference_count - listed);
    }
    out
}
