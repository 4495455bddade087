//! A node's statement of its figures of a period: cells, and the deliveries from which anyone can count them again.
//!
//! ```text
//! lienthong/figures/1
//! node H09
//! period 2016-08
//! cell deliveries in_province 500 400 …           the counters in order, then how many of them are covered
//! cell documents in_province/up@2016-08 …
//! sent …                                          a delivery that an agency of the node sent (`row`)
//! came …                                          one that an agency of the node was sent
//! end
//! ```
//! UTF-8, fields separated by a tab, each line ends with a line feed; cells in the order of their names, deliveries in
//! that of sender, document, recipient and id. One statement has one text: what is read is written again and compared.
//! Deliveries stand in the period of their day of issue on both sides, so that both sides of each are in the statements
//! of the same period. No text has a subject, a number of a document or a person's name.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::row::{Came, Reader, Sent};
use crate::domain::ids::NodeName;
use crate::domain::limits;
use crate::domain::ratio::{Counters, Month, Period};
use crate::domain::reason::{Reason, Rejection};
use crate::report::query::Basis;

/// First line.
const FORMAT: &str = "lienthong/figures/1";

/// A sum, and how much of it is of senders with a complete paper register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// The sums.
    pub counters: Counters,
    /// Of these, what is covered.
    pub covered: u64,
}

/// Sums by key (`in_province`, `in_province/up@2016-08` …).
pub type ByKey = BTreeMap<String, Total>;

/// The sums of a statement, or of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// On the basis of deliveries.
    pub deliveries: ByKey,
    /// On the basis of documents.
    pub documents: ByKey,
}

impl Totals {
    /// Those of a basis.
    pub fn of(&self, basis: Basis) -> &ByKey {
        match basis {
            Basis::Deliveries => &self.deliveries,
            Basis::Documents => &self.documents,
        }
    }

    /// Counts deliveries that are in the order of a statement: those of one document side by side.
    pub fn count<'a>(sent: impl IntoIterator<Item = &'a Sent>) -> Totals {
        let mut totals = Totals::default();
        let mut document = None;
        let mut parts: BTreeMap<(u16, String), Total> = BTreeMap::new();
        for row in sent {
            let own = (&row.sender, &row.document);
            if document != Some(own) {
                totals.end_document(&mut parts);
                document = Some(own);
            }
            for key in keys(row) {
                let covered = u64::from(row.covered);
                add(totals.deliveries.entry(key.clone()).or_default(), row.counters(), covered);
                add(parts.entry((row.face, key)).or_default(), row.counters(), covered);
            }
        }
        totals.end_document(&mut parts);
        totals
    }

    fn end_document(&mut self, parts: &mut BTreeMap<(u16, String), Total>) {
        for ((_, key), part) in std::mem::take(parts) {
            let covered = u64::from(part.covered > 0);
            add(self.documents.entry(key).or_default(), part.counters.as_document(), covered);
        }
    }
}

fn add(total: &mut Total, counters: Counters, covered: u64) {
    total.counters = total.counters.plus(counters);
    total.covered += covered;
}

/// The keys of a report that a delivery counts in.
fn keys(row: &Sent) -> Vec<String> {
    let month = Month::of(row.day);
    let scope = row.scope.as_str();
    let mut keys = vec![scope.to_owned(), format!("{scope}@{month}")];
    if let Some(direction) = row.direction {
        let direction = direction.as_str();
        keys.extend([format!("{scope}/{direction}"), format!("{scope}/{direction}@{month}")]);
    }
    keys
}

/// A statement. One that was read holds in itself: its cells are those of its deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whose.
    pub node: NodeName,
    /// Of which period.
    pub period: Period,
    /// Deliveries that its agencies sent, in order.
    pub sent: Vec<Sent>,
    /// Those that they were sent, in order.
    pub came: Vec<Came>,
}

impl Statement {
    /// Puts deliveries in order.
    pub fn new(node: NodeName, period: Period, mut sent: Vec<Sent>, mut came: Vec<Came>) -> Statement {
        sent.sort_by(|a, b| a.order().cmp(&b.order()));
        came.sort_by(|a, b| a.order().cmp(&b.order()));
        Statement { node, period, sent, came }
    }

    /// The text.
    pub fn text(&self) -> String {
        self.text_with(&Totals::count(&self.sent))
    }

    fn text_with(&self, totals: &Totals) -> String {
        let mut text = format!("{FORMAT}\nnode\t{}\nperiod\t{}\n", self.node, self.period);
        for basis in [Basis::Deliveries, Basis::Documents] {
            for (key, total) in totals.of(basis) {
                let _ = write!(text, "cell\t{}\t{key}", basis.as_str());
                for n in total.counters.values() {
                    let _ = write!(text, "\t{n}");
                }
                let _ = writeln!(text, "\t{}", total.covered);
            }
        }
        self.sent.iter().for_each(|row| row.write(&mut text));
        self.came.iter().for_each(|row| row.write(&mut text));
        text.push_str("end\n");
        text
    }

    /// Reads a text and counts it again; what does not hold is refused with the line.
    pub fn read(text: &[u8]) -> Result<Statement, Rejection> {
        let at = |line: usize, what: &str| bad(format!("line {line}: {what}"));
        let whole = std::str::from_utf8(text).map_err(|_| bad("it is no UTF-8"))?;
        let mut lines = (1..).zip(whole.split('\n'));
        let mut head = |name: &str| {
            let (number, line) = lines.next().ok_or_else(|| bad("it is cut off"))?;
            let value = if name.is_empty() { Some(line) } else { line.strip_prefix(name) };
            value.ok_or_else(|| at(number, &format!("`{}` is expected", name.trim_end())))
        };
        if head("")? != FORMAT {
            return Err(at(1, &format!("`{FORMAT}` is expected")));
        }
        let node = NodeName::new(head("node\t")?).map_err(|e| at(2, &e.message))?;
        let period = head("period\t")?.parse().map_err(|e| at(3, &format!("{e}")))?;
        let mut cells = Totals::default();
        let (mut sent, mut came) = (Vec::new(), Vec::new());
        let mut reader = Reader::default();
        let mut ended = false;
        for (number, line) in lines {
            match line.split('\t').next() {
                _ if ended && line.is_empty() => {}
                Some("cell") if sent.is_empty() && came.is_empty() => {
                    let (basis, key, total) = read_cell(line).ok_or_else(|| at(number, "it is no cell"))?;
                    let cells =
                        if basis == Basis::Documents { &mut cells.documents } else { &mut cells.deliveries };
                    cells.insert(key, total);
                }
                Some("sent") => {
                    let row =
                        reader.sent(line).ok_or_else(|| at(number, "it is no delivery that was sent"))?;
                    if let Some(what) = row.contradiction() {
                        return Err(at(number, what));
                    }
                    sent.push(row);
                }
                Some("came") => {
                    came.push(reader.came(line).ok_or_else(|| at(number, "it is no delivery that came"))?);
                }
                Some("end") => ended = true,
                _ => return Err(at(number, "it is no line of a statement")),
            }
            if sent.len() + came.len() > limits::STATEMENT_ROWS {
                let most = limits::STATEMENT_ROWS;
                let what = format!("more than {most} deliveries: collect a shorter period");
                return Err(Rejection::new(Reason::TooMany, "statement", what));
            }
        }
        let statement = Statement { node, period, sent, came };
        statement.check(&cells)?;
        // One statement has one text.
        if statement.text_with(&cells).as_bytes() != text {
            return Err(bad("it is not written as a statement is: order or form differ"));
        }
        Ok(statement)
    }

    /// Its cells are those of its deliveries, each of which it names once and in its period.
    fn check(&self, cells: &Totals) -> Result<(), Rejection> {
        let (first, last) = self.period.days();
        let days = self.sent.iter().map(|row| row.day).chain(self.came.iter().map(|row| row.day));
        if let Some(day) = days.into_iter().find(|day| !(first..=last).contains(day)) {
            return Err(bad(format!("a document of {day} is not one of {}", self.period)));
        }
        let twice = |what: String| bad(format!("it has {what} twice, or not in order"));
        if let Some(pair) = self.sent.windows(2).find(|pair| pair[0].order() >= pair[1].order()) {
            return Err(twice(format!("a delivery of {}", pair[1].sender)));
        }
        if let Some(pair) = self.came.windows(2).find(|pair| pair[0].order() >= pair[1].order()) {
            return Err(twice(format!("delivery {}", pair[1].delivery)));
        }
        let counted = Totals::count(&self.sent);
        for basis in [Basis::Deliveries, Basis::Documents] {
            let (said, right) = (cells.of(basis), counted.of(basis));
            let mut keys = said.keys().chain(right.keys());
            if let Some(key) = keys.find(|key| said.get(*key) != right.get(*key)) {
                let number = |cells: &ByKey| cells.get(key).map_or(0, |total| total.counters.deliveries);
                return Err(bad(format!(
                    "the cell {} {key} is not what its deliveries count: it says {} and they are {}",
                    basis.as_str(),
                    number(said),
                    number(right)
                )));
            }
        }
        Ok(())
    }
}

fn bad(what: impl Into<String>) -> Rejection {
    Rejection::new(Reason::BadStatement, "statement", what)
}

fn read_cell(line: &str) -> Option<(Basis, String, Total)> {
    let mut fields = line.split('\t').skip(1);
    let basis = match fields.next()? {
        "deliveries" => Basis::Deliveries,
        "documents" => Basis::Documents,
        _ => return None,
    };
    let key = fields.next()?.to_owned();
    let mut numbers = fields.map(|n| n.parse::<u64>().ok());
    let mut values = [0; Counters::NAMES.len()];
    for value in &mut values {
        *value = numbers.next()??;
    }
    let covered = numbers.next()??;
    numbers.next().is_none().then_some((basis, key, Total { counters: Counters::of(values), covered }))
}

#[cfg(test)]
mod tests {
    use super::super::row::{To, bits};
    use super::*;
    use crate::domain::event::{Direction, Scope};
    use crate::domain::ids::{AgencyId, DeliveryId};
    use crate::domain::ratio::Electronic;
    use crate::signature::Verdict;

    const VALID: (Verdict, Verdict) = (Verdict::Valid, Verdict::Valid);

    fn agency(id: &str) -> AgencyId {
        AgencyId::new(id).unwrap()
    }

    fn sent(number: u8, recipient: &str) -> Sent {
        let counters = Counters {
            deliveries: 1,
            electronic: 1,
            effective: 1,
            signed: 1,
            sent: 1,
            on_time: 1,
            ..Counters::default()
        };
        Sent {
            sender: agency("H01"),
            document: [number; 16],
            to: To::Agency(agency(recipient)),
            delivery: Some(DeliveryId::from_slice(&[number; 32]).unwrap()),
            day: "2016-08-08".parse().unwrap(),
            scope: Scope::InProvince,
            direction: Some(Direction::Down),
            state: Electronic::Delivered,
            here: Some(VALID),
            there: Some(VALID),
            arrived: Some("2016-08-09".parse().unwrap()),
            face: 0,
            covered: true,
            counts: bits(&counters),
        }
    }

    fn statement() -> Statement {
        let paper = Counters { deliveries: 1, paper: 1, mandatory: 1, ..Counters::default() };
        let paper = Sent {
            to: To::Named([9; 16]),
            delivery: None,
            direction: None,
            scope: Scope::Outside,
            state: Electronic::None,
            here: None,
            there: None,
            arrived: None,
            covered: false,
            counts: bits(&paper),
            ..sent(3, "H02")
        };
        let came = Came {
            sender: agency("H02"),
            document: [7; 16],
            recipient: agency("H01"),
            delivery: DeliveryId::from_slice(&[7; 32]).unwrap(),
            day: "2016-08-31".parse().unwrap(),
            state: Electronic::Held,
            verdicts: (Verdict::Valid, Verdict::Indeterminate),
            arrived: "2016-09-01".parse().unwrap(),
            released: false,
        };
        let node = NodeName::new("a").unwrap();
        let period = "2016-08".parse().unwrap();
        Statement::new(node, period, vec![sent(2, "H02"), paper, sent(1, "H03"), sent(1, "H02")], vec![came])
    }

    #[test]
    fn a_text_reads_back_and_counts_deliveries_and_documents() {
        let statement = statement();
        let text = statement.text();
        assert_eq!(Statement::read(text.as_bytes()), Ok(statement.clone()));
        let totals = Totals::count(&statement.sent);
        let number = |basis, key: &str| {
            let total = totals.of(basis)[key];
            (total.counters.deliveries, total.covered)
        };
        assert_eq!(number(Basis::Deliveries, "in_province/down@2016-08"), (3, 3));
        assert_eq!(number(Basis::Documents, "in_province"), (2, 2));
        assert_eq!(number(Basis::Documents, "outside"), (1, 0));
        // Another period's texts are other texts.
        let empty = Statement::new(statement.node, "2016-Q4".parse().unwrap(), Vec::new(), Vec::new());
        assert_eq!(Statement::read(empty.text().as_bytes()), Ok(empty));
    }

    #[test]
    fn whatever_is_edited_is_found() {
        let text = statement().text();
        let edits: &[(&str, &str, &str)] = &[
            ("lienthong/figures/1", "lienthong/figures/2", "line 1"),
            ("\tdelivered\t", "\theld\t", "its channel does not follow from its state"),
            ("valid/valid\tvalid/valid", "valid/absent\tvalid/valid", "signed contradicts its verdicts"),
            ("valid/valid\tvalid/valid", "valid/valid\tvalid/absent", "legally effective contradicts"),
            (
                "cell\tdeliveries\tin_province\t3",
                "cell\tdeliveries\tin_province\t4",
                "it says 4 and they are 3",
            ),
            (
                "cell\tdocuments\tin_province\t2",
                "cell\tdocuments\tin_province\t3",
                "it says 3 and they are 2",
            ),
            ("2016-08-08\tin_province", "2016-09-08\tin_province", "not one of 2016-08"),
            ("\tdown\tdelivered", "\tup\tdelivered", "is not what its deliveries count"),
            ("/indeterminate", "/unknown", "it is no delivery that came"),
            ("\t0\tc\t", "\t00\tc\t", "order or form differ"),
            ("\nend\n", "\nend\n\n", "order or form differ"),
            ("\nend\n", "\n", "line"),
            ("period\t2016-08", "period\t2016-08-08", "not one of 2016-08-08"),
        ];
        for (from, to, expected) in edits {
            let edited = text.replacen(from, to, 1);
            assert_ne!(edited, text, "{from}");
            let error = Statement::read(edited.as_bytes()).unwrap_err();
            assert_eq!(error.reason, Reason::BadStatement, "{from}");
            assert!(error.message.contains(expected), "{from}: {error}");
        }
        // A delivery that is left out, named twice, or at another place.
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.iter().position(|line| line.starts_with("sent")).unwrap();
        let with = |edit: &dyn Fn(&mut Vec<&str>)| {
            let mut lines = lines.clone();
            edit(&mut lines);
            Statement::read((lines.join("\n") + "\n").as_bytes()).unwrap_err()
        };
        assert!(
            with(&|lines| {
                lines.remove(first);
            })
            .message
            .contains("is not what its deliveries count")
        );
        assert!(with(&|lines| lines.insert(first, lines[first])).message.contains("twice"));
        assert!(with(&|lines| lines.swap(first, first + 1)).message.contains("not in order"));
    }

    #[test]
    fn the_seeds_of_the_fuzzer_are_statements() {
        for text in [
            &include_bytes!("../../../fuzz/seeds/statement/empty")[..],
            &include_bytes!("../../../fuzz/seeds/statement/both")[..],
        ] {
            assert_eq!(Statement::read(text).unwrap().text().as_bytes(), text);
        }
    }

    #[test]
    fn no_byte_is_without_meaning() {
        let text = statement().text().into_bytes();
        for at in 0..text.len() {
            for other in [b'0', b'\t', b'\n', b'-', 0xff, text[at].wrapping_add(1), text[at] ^ 0x20] {
                let mut edited = text.clone();
                edited[at] = other;
                // What still holds is another statement, written as it was read.
                if let Ok(read) = Statement::read(&edited) {
                    assert_eq!(read.text().into_bytes(), edited, "byte {at}");
                }
            }
            let error = Statement::read(&text[..at]).unwrap_err();
            assert_eq!(error.reason, Reason::BadStatement, "cut at {at}");
        }
    }
}
