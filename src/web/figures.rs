//! Figures as the report service gives them, and how a page shows one: never a percentage without numerator and
//! denominator, `n/a` where there is nothing to divide by, and how much the paper registers cover beside it.

use std::collections::{BTreeMap, HashSet};

use maud::{Markup, html};
use tonic::Status;

use super::Site;
use super::said;
use super::text::Lang;
use super::visitor::Visitor;
use crate::config::Role;
use crate::domain::ids::AgencyId;
use crate::domain::ratio::Ratio;
use crate::domain::reason::{Reason, Rejection};
use crate::rpc::refuse;
use crate::wire::pb;
use crate::wire::pb::report_service_server::ReportService as _;

/// One of the three measures: they are of different exchanges, and never one series.
pub(super) struct Measure {
    /// The scope that it is of.
    pub scope: &'static str,
    /// The ratio.
    pub ratio: &'static str,
    /// Whether more is better; less is otherwise.
    pub more: bool,
    /// Between whom: Vietnamese, English.
    pub between: (&'static str, &'static str),
    /// What is measured: Vietnamese, English.
    pub what: (&'static str, &'static str),
}

/// The three measures.
pub(super) const MEASURES: [Measure; 3] = [
    Measure {
        scope: "in_province",
        ratio: "fully_electronic",
        more: true,
        between: ("Giữa các cơ quan trong tỉnh", "Between agencies of the province"),
        what: ("Hoàn toàn điện tử", "Fully electronic"),
    },
    Measure {
        scope: "internal",
        ratio: "dual",
        more: false,
        between: ("Trong nội bộ cơ quan", "Inside agencies"),
        what: ("Song song điện tử và giấy", "Both electronically and on paper"),
    },
    Measure {
        scope: "outside",
        ratio: "any_electronic",
        more: true,
        between: ("Với cơ quan ngoài tỉnh", "With agencies outside the province"),
        what: ("Có gửi điện tử", "Electronically, on paper as well or not"),
    },
];

/// Every ratio: its name, Vietnamese, English.
pub(super) const RATIOS: [(&str, &str, &str); 12] = [
    ("fully_electronic", "Hoàn toàn điện tử", "Fully electronic"),
    ("legally_effective", "Có giá trị pháp lý như bản giấy", "Legally effective"),
    ("dual", "Song song điện tử và giấy", "Both ways (dual)"),
    ("paper_only", "Chỉ bản giấy", "Paper only"),
    ("any_electronic", "Có gửi điện tử", "Any electronic"),
    ("undelivered", "Không gửi được", "Undelivered"),
    ("pending", "Đang chờ", "Pending"),
    ("signed", "Đủ chữ ký số cá nhân và cơ quan", "Signed by person and agency"),
    ("scanned", "Bản quét từ giấy", "Scanned"),
    ("avoidable_paper", "Bản giấy không bắt buộc", "Avoidable paper"),
    ("on_time", "Gửi đúng hạn", "Sent on time"),
    ("acknowledged_same_day", "Báo đã nhận trong ngày", "Acknowledged the same day"),
];

/// The scopes of a report: their key, Vietnamese, English.
pub(super) const SCOPES: [(&str, &str, &str); 6] = [
    ("in_province", "Trong tỉnh", "In the province"),
    ("in_province/up", "– gửi lên", "– upwards"),
    ("in_province/down", "– gửi xuống", "– downwards"),
    ("in_province/horizontal", "– ngang cấp", "– sideways"),
    ("internal", "Nội bộ", "Internal"),
    ("outside", "Ngoài tỉnh", "Outside"),
];

/// The channels, as bars show them: Vietnamese, English.
pub(super) const CHANNELS: [(&str, &str); 5] = [
    ("điện tử", "electronic"),
    ("song song", "dual"),
    ("giấy", "paper"),
    ("không gửi được", "undelivered"),
    ("đang chờ", "pending"),
];

/// The channels in the page's language.
pub(super) fn channels(lang: Lang) -> [&'static str; 5] {
    CHANNELS.map(|(vi, en)| lang.pick(vi, en))
}

/// How many went by each channel.
pub(super) fn parts(row: &pb::RatioRow) -> [u64; 5] {
    let c = row.counts.unwrap_or_default();
    [c.electronic, c.dual, c.paper, c.undelivered, c.pending]
}

/// Rows by the values of their dimensions.
pub(super) struct Rows {
    rows: BTreeMap<Vec<String>, pb::RatioRow>,
}

impl Rows {
    /// Of an answer.
    pub fn of(rows: Vec<pb::RatioRow>) -> Rows {
        let key = |row: &pb::RatioRow| {
            if row.values.is_empty() { vec![row.key.clone()] } else { row.values.clone() }
        };
        Rows { rows: rows.into_iter().map(|row| (key(&row), row)).collect() }
    }

    /// The row of some values.
    pub fn get(&self, values: &[&str]) -> Option<&pb::RatioRow> {
        let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        self.rows.get(&values)
    }

    /// All of them, in the order of their values.
    pub fn iter(&self) -> impl Iterator<Item = (&Vec<String>, &pb::RatioRow)> {
        self.rows.iter()
    }
}

/// A ratio of a row by its name; one without a denominator where there is no row.
pub(super) fn ratio(row: Option<&pb::RatioRow>, name: &'static str) -> Ratio {
    let found = row.and_then(|row| row.ratios.iter().find(|r| r.name == name));
    found.map_or(Ratio { name, n: 0, d: 0 }, |r| Ratio { name, n: r.n, d: r.d })
}

/// How much of a row is of agencies with a complete paper register; `None` where that is not told apart.
pub(super) fn covered(row: Option<&pb::RatioRow>) -> Option<Ratio> {
    row.and_then(|row| Some(Ratio { name: "coverage", n: row.covered?, d: row.deliveries }))
}

/// Numerator and denominator: `400/500`.
pub(super) fn part_of(lang: Lang, ratio: &Ratio) -> String {
    format!("{}/{}", lang.number(ratio.n), lang.number(ratio.d))
}

/// A percentage, or `n/a`.
pub(super) fn percent(lang: Lang, ratio: &Ratio) -> String {
    lang.percent(&ratio.percent().unwrap_or_default())
}

/// A ratio in a cell of a table.
pub(super) fn cell(lang: Lang, ratio: &Ratio) -> Markup {
    html! {
        span.percent { (percent(lang, ratio)) }
        " "
        span.part { (part_of(lang, ratio)) }
    }
}

/// Agencies that a heading names.
const NAMED: usize = 5;

/// Whose figures a visitor sees: those of every agency of the node, or of some.
pub(super) struct Whose {
    /// `None`: of every one.
    own: Option<HashSet<AgencyId>>,
    /// The codes of those that it is an operator of.
    codes: String,
    node: String,
}

impl Whose {
    /// Those that the report service gives the visitor.
    pub fn of(site: &Site, visitor: &Visitor) -> Result<Whose, Status> {
        let directory = site.exchange.directory();
        let own = site.reports.own(&visitor.caller, &directory).map_err(refuse)?;
        let today = site.exchange.ledger().now().date();
        let code = |id: &AgencyId| {
            let agency = directory.agency(id);
            let code = agency.and_then(|a| a.entry.codes.iter().find(|c| c.is_valid(today)));
            code.map_or_else(|| id.to_string(), |c| c.code.clone())
        };
        let operated = visitor.caller.agencies(&site.exchange, &directory, Role::Operator);
        let mut codes: Vec<String> = operated.iter().map(code).collect();
        codes.sort_unstable();
        let more = codes.len().saturating_sub(NAMED);
        codes.truncate(NAMED);
        let more = if more > 0 { format!(" (+{more})") } else { String::new() };
        let codes = format!("{}{more}", codes.join(", "));
        Ok(Whose { own, codes, node: site.exchange.node().to_string() })
    }

    /// Whether an agency's figures are among them.
    pub fn has(&self, agency: &AgencyId) -> bool {
        self.own.as_ref().is_none_or(|own| own.contains(agency))
    }

    /// Refuses the figures of an agency that are not.
    pub fn check(&self, visitor: &Visitor, agency: &AgencyId) -> Result<(), Status> {
        if self.has(agency) {
            return Ok(());
        }
        let what = format!(
            "client `{}` is no operator of {agency}: its node's administrator can grant it",
            visitor.caller.name()
        );
        Err(refuse(Rejection::new(Reason::NotAllowed, "id", what)))
    }

    /// Whose they are, above all of them.
    pub fn note(&self, lang: Lang) -> Markup {
        html! {
            p.note {
                (lang.of(said::ONLY_SENT_BY)) " " strong { (self.node) }
                @if self.own.is_some() { ": " strong { (self.codes) } }
                "."
            }
        }
    }

    /// A heading of figures, with whose they are where they are of some agencies only.
    pub fn heading(&self, lang: Lang, text: &str) -> Markup {
        html! {
            h2 {
                (text)
                @if self.own.is_some() { " " span.note { "(" (lang.of(said::ONLY_OF)) ": " (self.codes) ")" } }
            }
        }
    }
}

/// Asks the report service, as the visitor.
pub(super) async fn ask(
    site: &Site,
    visitor: &Visitor,
    request: pb::GetRatiosRequest,
) -> Result<pb::GetRatiosResponse, Status> {
    site.reports.get_ratios(visitor.ask(request)).await.map(tonic::Response::into_inner)
}

/// What figures stand on: the size of the log, whether they are exact, and which closed periods they touch.
pub(super) fn basis(lang: Lang, answer: &pb::GetRatiosResponse) -> Markup {
    let size = answer
        .checkpoint
        .lines()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .map_or_else(|| "0".into(), |n| lang.number(n));
    html! {
        p.basis {
            (lang.of(said::COMPUTED_FROM_LOG)) " " (size) " "
            (lang.of(said::EVENTS_SIGNED_CHECKPOINT))
            @if !answer.exact {
                " " (lang.of(said::THEY_CHANGED_WHILE))
            }
            @for closed in &answer.closed {
                " " (closed_period(lang, closed))
            }
        }
    }
}

fn closed_period(lang: Lang, closed: &pb::ClosedPeriod) -> String {
    let period = closed.period.parse().map_or_else(|_| closed.period.clone(), |p| lang.period(p));
    let changes = lang.number(closed.restatements);
    match lang {
        Lang::Vi => format!("Kỳ {period} đã chốt; có {changes} điều chỉnh sau khi chốt."),
        Lang::En => format!("Period {period} is closed; {changes} restatements since."),
    }
}

/// An agency by its permanent id: its name, or the id where the directory has none.
pub(super) fn agency_name(site: &Site, id: &str) -> String {
    let directory = site.exchange.directory();
    let found = crate::domain::ids::AgencyId::new(id).ok();
    let found = found.and_then(|id| directory.agency(&id).map(|a| a.entry.name.clone()));
    found.unwrap_or_else(|| id.to_owned())
}
