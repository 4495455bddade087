//! A statement is what the reports of its node say, and what its log gives to who recounts it.

use lienthong::domain::NodeName;
use lienthong::domain::ratio::{Month, Period};
use lienthong::report::network::make::make;
use lienthong::report::network::recount::Recount;
use lienthong::report::network::row::Sent;
use lienthong::report::network::statement::{Statement, Totals};
use lienthong::report::{Basis, Query, periods, report};

use super::dice::Dice;
use super::history::{History, Node};
use super::{STEPS, histories};

/// Every month that anything is of, its quarter and its year.
fn all_periods(node: &Node) -> Vec<Period> {
    let mut found = Vec::new();
    for number in 2015 * 12..2017 * 12 {
        let month = Month::from_number(number);
        let (year, _) = month.year_month();
        for period in [Period::Month(month), Period::quarter_of(month), Period::Year(year)] {
            let query = periods::query(period);
            let counts = lienthong::report::engine::changes(node, &query).unwrap() > 0;
            if counts && !found.contains(&period) {
                found.push(period);
            }
        }
    }
    found
}

fn recount(node: &Node, name: &NodeName, period: Period) -> Statement {
    let events = || (0..).zip(&node.log);
    let mut first = Recount::new(period);
    events().for_each(|(index, event)| first.look(index, event));
    let mut again = first.again();
    events().for_each(|(index, event)| again.apply(index, event).unwrap());
    again.statement(name).unwrap()
}

#[test]
fn statements_are_the_nodes_figures_and_those_of_a_recount() {
    let name = NodeName::new("here").unwrap();
    let (mut sent, mut came, mut papers, mut pending) = (0, 0, 0, 0);
    for seed in 2_000_000..2_000_000 + histories() {
        let mut dice = Dice(seed);
        let mut history = History::new();
        for _ in 0..STEPS {
            history.step(&mut dice);
        }
        let node = &history.node;
        for period in all_periods(node) {
            let at = format!("history {seed}, {period}");
            let statement = make(node, &name, period).unwrap();
            let text = statement.text();
            // It holds in itself, and has one text.
            assert_eq!(Statement::read(text.as_bytes()).unwrap_or_else(|e| panic!("{at}: {e}")), statement);
            // Who has the log finds the same, without what is of other periods.
            assert_eq!(recount(node, &name, period).text(), text, "{at}");
            // The node's reports say the same.
            let totals = Totals::count(&statement.sent);
            for basis in [Basis::Deliveries, Basis::Documents] {
                let query = Query { basis, ..periods::query(period) };
                let shown = report(node, &query, String::new).unwrap();
                let shown = shown.figures.iter().filter(|figure| figure.counters.deliveries > 0);
                let mut said = totals.of(basis).iter();
                for figure in shown {
                    let (key, total) = said.next().unwrap_or_else(|| panic!("{at}: {figure:?}"));
                    assert_eq!((key, total.counters), (&figure.values[0], figure.counters), "{at}");
                    assert!(figure.covered.is_none_or(|covered| covered == total.covered), "{at}: {key}");
                }
                assert_eq!(said.next(), None, "{at}");
            }
            let is = |f: fn(&Sent) -> bool| statement.sent.iter().filter(|row| f(row)).count();
            sent += statement.sent.len();
            came += statement.came.len();
            papers += is(|row| row.delivery.is_none());
            pending += is(|row| row.arrived.is_none() && row.delivery.is_some());
        }
    }
    assert!(sent > 500 && came > 100 && papers > 50 && pending > 20, "{sent} {came} {papers} {pending}");
}
