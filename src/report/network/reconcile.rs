//! Adding and comparing statements: each delivery once, on its sender's side; what one agency says it sent against what
//! the other says it was sent.
//!
//! A delivery that never arrived (pending, given up) is no concern of its recipient's node. Of a document whose later
//! attempt is under way, the recipient's node still has the earlier one: that is no difference. Nothing is compared where
//! a node of either side gave no statement.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::result::{Covered, Difference, NotDeclared, Pair, Side};
use super::row::{Came, Sent, pair_word, state_word};
use super::statement::{Statement, Totals};
use crate::directory::Directory;
use crate::domain::ids::{AgencyId, DeliveryId, NodeName};
use crate::domain::limits;
use crate::domain::ratio::{Electronic, Month};

/// A statement that holds.
pub struct Stated {
    /// The node that gave it.
    pub node: NodeName,
    /// What it says.
    pub statement: Statement,
}

/// What the statements of a network come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "as in NetworkReport")]
pub struct Combined {
    pub totals: Totals,
    pub coverage: Covered,
    pub pairs: Vec<Pair>,
    pub difference_count: u64,
    pub differences: Vec<Difference>,
}

/// A delivery with the node that has it.
struct At<'a, T> {
    node: &'a NodeName,
    row: &'a T,
}

type Triple<'a> = (&'a AgencyId, &'a super::row::Half, &'a AgencyId);

/// Adds and compares.
pub fn combine(directory: &Directory, stated: Vec<Stated>) -> Combined {
    let mut combined = Combined::default();
    let answered: BTreeSet<&NodeName> = stated.iter().map(|s| &s.node).collect();
    let compared = |agency: &AgencyId| {
        let hosting = directory.agency(agency).map_or(&[][..], |a| a.entry.hosting.as_slice());
        !hosting.is_empty() && hosting.iter().all(|h| answered.contains(&h.node))
    };
    let mut sent: Vec<At<'_, Sent>> = Vec::new();
    for Stated { node, statement } in &stated {
        sent.extend(statement.sent.iter().map(|row| At { node, row }));
    }
    // An agency that moved may stand in two statements: the node that hosts it on the day comes first.
    let hosted = |at: &At<'_, Sent>| {
        directory.agency(&at.row.sender).and_then(|a| a.node(at.row.day)) == Some(at.node)
    };
    sent.sort_by(|a, b| {
        let place = |at: &At<'_, Sent>| (!hosted(at), at.node.clone());
        let order = |at: &At<'_, Sent>| (at.row.sender.clone(), at.row.document, at.row.to.clone());
        order(a).cmp(&order(b)).then_with(|| place(a).cmp(&place(b)))
    });
    let mut differing = Differing::default();
    sent.dedup_by(|later, first| {
        let same = |a: &Sent, b: &Sent| a.sender == b.sender && a.document == b.document && a.to == b.to;
        // One statement names a delivery once.
        let twice = same(later.row, first.row) && later.node != first.node;
        if twice {
            differing.add("twice", later.row, [Some(at_sender(first)), Some(at_sender(later))]);
        }
        twice
    });
    combined.totals = Totals::count(sent.iter().map(|at| at.row));
    combined.coverage = coverage(&sent);

    let mut came: HashMap<DeliveryId, At<'_, Came>> = HashMap::new();
    let mut by_document: HashMap<Triple<'_>, DeliveryId> = HashMap::new();
    for Stated { node, statement } in &stated {
        for row in &statement.came {
            let triple = (&row.sender, &row.document, &row.recipient);
            if compared(&row.sender) && compared(&row.recipient) {
                by_document.entry(triple).or_insert(row.delivery);
            }
            if let Some(first) = came.get(&row.delivery) {
                let sides = [Some(at_recipient(first)), Some(at_recipient(&At { node, row }))];
                differing.add_came("twice", row, sides);
                continue;
            }
            differing.pair(&row.sender, &row.recipient, compared(&row.sender)).received += 1;
            came.insert(row.delivery, At { node, row });
        }
    }
    let (mut met, mut sent_to): (HashSet<DeliveryId>, HashSet<Triple<'_>>) = Default::default();
    for at in &sent {
        let (row, Some(recipient)) = (at.row, at.row.to.agency()) else { continue };
        let Some(id) = row.delivery else { continue };
        let triple = (&row.sender, &row.document, recipient);
        sent_to.insert(triple);
        let arrived = !matches!(row.state, Electronic::Pending | Electronic::Undelivered);
        let both = compared(recipient);
        differing.pair(&row.sender, recipient, both).sent += u64::from(arrived);
        met.insert(id);
        if !both {
            continue;
        }
        match came.get(&id) {
            Some(there) => {
                if let Some(kind) = difference(row, there.row) {
                    differing.add(kind, row, [Some(at_sender(at)), Some(at_recipient(there))]);
                }
            }
            None if !arrived => {}
            None => match by_document.get(&triple).and_then(|other| came.get(other)) {
                Some(other) => {
                    differing.add("other_delivery", row, [Some(at_sender(at)), Some(at_recipient(other))]);
                }
                None => differing.add("only_at_sender", row, [Some(at_sender(at)), None]),
            },
        }
    }
    let mut rest: Vec<&At<'_, Came>> = came.values().filter(|at| !met.contains(&at.row.delivery)).collect();
    rest.sort_by(|a, b| a.row.order().cmp(&b.row.order()));
    for at in rest {
        let triple = (&at.row.sender, &at.row.document, &at.row.recipient);
        if compared(&at.row.sender) && !sent_to.contains(&triple) {
            differing.add_came("only_at_recipient", at.row, [None, Some(at_recipient(at))]);
        }
    }
    combined.pairs = differing.pairs.into_values().collect();
    combined.difference_count = differing.count;
    combined.differences = differing.listed;
    combined
}

/// In what the two sides of a delivery differ first.
fn difference(sent: &Sent, came: &Came) -> Option<&'static str> {
    let parties = sent.sender == came.sender
        && sent.document == came.document
        && sent.to.agency() == Some(&came.recipient);
    // Of what was held and decided later, the sender knows the day of the decision.
    let arrived = if came.released {
        sent.arrived.is_some_and(|day| day >= came.arrived)
    } else {
        sent.arrived == Some(came.arrived)
    };
    let verdicts = sent.here == Some(came.verdicts) && sent.there == Some(came.verdicts);
    let checks = [
        ("parties", parties),
        ("outcome", sent.state == came.state),
        ("day", sent.day == came.day && arrived),
        ("verdicts", verdicts),
    ];
    checks.into_iter().find(|(_, same)| !same).map(|(kind, _)| kind)
}

fn at_sender(at: &At<'_, Sent>) -> Side {
    Side {
        node: at.node.to_string(),
        state: state_word(at.row.state).to_owned(),
        verdicts: at.row.here.map_or_else(String::new, pair_word),
        told: at.row.there.map_or_else(String::new, pair_word),
        day: at.row.day.to_string(),
        arrived: at.row.arrived.map_or_else(String::new, |day| day.to_string()),
    }
}

fn at_recipient(at: &At<'_, Came>) -> Side {
    Side {
        node: at.node.to_string(),
        state: state_word(at.row.state).to_owned(),
        verdicts: pair_word(at.row.verdicts),
        told: String::new(),
        day: at.row.day.to_string(),
        arrived: at.row.arrived.to_string(),
    }
}

/// What differs, by pair.
#[derive(Default)]
struct Differing {
    pairs: BTreeMap<(AgencyId, AgencyId), Pair>,
    count: u64,
    listed: Vec<Difference>,
}

impl Differing {
    fn pair(&mut self, sender: &AgencyId, recipient: &AgencyId, compared: bool) -> &mut Pair {
        let pair = self.pairs.entry((sender.clone(), recipient.clone())).or_insert_with(|| Pair {
            sender: sender.to_string(),
            recipient: recipient.to_string(),
            sent: 0,
            received: 0,
            differences: 0,
            compared: true,
        });
        pair.compared &= compared;
        pair
    }

    fn add(&mut self, kind: &str, row: &Sent, sides: [Option<Side>; 2]) {
        let nobody = AgencyId::default();
        let recipient = row.to.agency().unwrap_or(&nobody);
        self.list(kind, row.delivery, &row.sender, recipient, sides);
    }

    fn add_came(&mut self, kind: &str, row: &Came, sides: [Option<Side>; 2]) {
        self.list(kind, Some(row.delivery), &row.sender, &row.recipient, sides);
    }

    fn list(
        &mut self,
        kind: &str,
        delivery: Option<DeliveryId>,
        sender: &AgencyId,
        recipient: &AgencyId,
        [at_sender, at_recipient]: [Option<Side>; 2],
    ) {
        self.count += 1;
        self.pair(sender, recipient, true).differences += 1;
        if self.listed.len() < limits::DIFFERENCES_LISTED {
            self.listed.push(Difference {
                kind: kind.to_owned(),
                delivery: delivery.map_or_else(String::new, |id| id.to_string()),
                sender: sender.to_string(),
                recipient: recipient.to_string(),
                document: String::new(),
                at_sender,
                at_recipient,
            });
        }
    }
}

/// Which senders declared their months complete: as their statements say of each delivery.
fn coverage(sent: &[At<'_, Sent>]) -> Covered {
    let mut coverage = Covered::default();
    let mut agencies: BTreeMap<&AgencyId, BTreeMap<Month, u64>> = BTreeMap::new();
    for At { row, .. } in sent {
        coverage.all += 1;
        let months = agencies.entry(&row.sender).or_default();
        if row.covered {
            coverage.covered += 1;
        } else {
            *months.entry(Month::of(row.day)).or_default() += 1;
        }
    }
    for (agency, months) in agencies {
        if months.is_empty() {
            coverage.complete += 1;
        } else if coverage.missing.len() < limits::REPORT_MISSING {
            coverage.missing.push(NotDeclared {
                agency: agency.to_string(),
                deliveries: months.values().sum(),
                months: months.keys().map(ToString::to_string).collect(),
            });
        }
    }
    coverage
}
