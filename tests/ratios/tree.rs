//! The agencies of the histories, and what lies between two of them.

use lienthong::domain::Urgency;
use lienthong::domain::event::{Direction, Level, Parties, Scope};
use lienthong::domain::ids::AgencyId;
use lienthong::domain::ratio::Dims;
use lienthong::time::Date;

use super::dice::Dice;

/// An agency of the tree.
pub struct Agency {
    pub id: &'static str,
    pub codes: &'static [&'static str],
    level: Level,
    parent: Option<&'static str>,
    /// This node hosts it.
    pub here: bool,
}

const fn agency(
    id: &'static str,
    codes: &'static [&'static str],
    level: Level,
    parent: Option<&'static str>,
    here: bool,
) -> Agency {
    Agency { id, codes, level, parent, here }
}

/// A province with a department that has a subunit and an old code, a district with a commune, and one outside.
pub const AGENCIES: [Agency; 8] = [
    agency("p", &["H09"], Level::Province, None, true),
    agency("d1", &["H09.1", "000.00.01.H09"], Level::Department, Some("p"), true),
    agency("d1.s", &["H09.1.7"], Level::Subunit, Some("d1"), true),
    agency("d2", &["H09.2"], Level::Department, Some("p"), true),
    agency("t", &["H09.21"], Level::District, Some("p"), true),
    agency("c", &["H09.21.3"], Level::Commune, Some("t"), false),
    agency("x", &["H29"], Level::Province, None, false),
    agency("x.s", &["H29.4.1"], Level::Subunit, Some("x"), false),
];

pub const TYPES: [&str; 4] = ["công văn", "Công văn", "báo cáo", "tờ trình"];

pub fn id(text: &str) -> AgencyId {
    AgencyId::new(text).unwrap()
}

pub fn of(id: &str) -> &'static Agency {
    AGENCIES.iter().find(|a| a.id == id).unwrap()
}

fn ancestry(agency: &'static Agency) -> Vec<&'static Agency> {
    std::iter::successors(Some(agency), |a| a.parent.map(of)).collect()
}

pub fn parties(from: &'static Agency, to: Option<&'static Agency>, alias: usize) -> Parties {
    let registered = |a| *ancestry(a).iter().find(|a| a.level != Level::Subunit).unwrap();
    let sender = registered(from);
    let (scope, direction) = match to.map(registered) {
        Some(recipient) if recipient.id == sender.id => (Scope::Internal, None),
        Some(recipient) if ancestry(recipient).last().unwrap().id == ancestry(sender).last().unwrap().id => {
            let up = ancestry(sender).iter().any(|a| a.id == recipient.id);
            let down = ancestry(recipient).iter().any(|a| a.id == sender.id);
            let direction = match (up, down) {
                (true, _) => Direction::Up,
                (_, true) => Direction::Down,
                _ => Direction::Horizontal,
            };
            (Scope::InProvince, Some(direction))
        }
        _ => (Scope::Outside, None),
    };
    Parties {
        sender: id(from.id),
        sender_code: from.codes[alias % from.codes.len()].into(),
        recipient: to.map(|to| id(to.id)),
        recipient_code: to.map_or("", |to| to.codes[alias % to.codes.len()]).into(),
        sender_registered: id(sender.id),
        recipient_registered: to.map(|to| id(registered(to).id)),
        sender_level: from.level,
        recipient_level: to.map(|to| to.level),
        scope,
        direction,
    }
}

/// What a delivery may be, for filters.
pub fn some_dims(dice: &mut Dice) -> Dims {
    let (from, to) = (dice.pick(&AGENCIES), dice.pick(&AGENCIES));
    let parties = parties(from, Some(to), 0);
    let day: Date = "2016-01-20".parse().unwrap();
    let day = day.plus_days(dice.below(120) as i32);
    Dims::new(&parties, day, dice.pick::<&str>(&TYPES), *dice.pick(&Urgency::ALL))
}
