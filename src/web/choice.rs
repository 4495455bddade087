//! Which figures a page shows: a period and a basis, as they stand in its address.

use maud::{Markup, html};

use super::said;
use super::text::Lang;
use crate::domain::ratio::{Month, Period};
use crate::domain::reason::{Reason, Rejection};
use crate::wire::pb;

/// The word for all periods together.
const ALL: &str = "all";

/// As it stands in the address.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    period: String,
    #[serde(default)]
    basis: String,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// The period; `None`: from the beginning.
    pub period: Option<Period>,
    /// Documents instead of deliveries.
    pub documents: bool,
}

impl Asked {
    /// What is asked for, or where nothing is, `period`.
    pub fn read(&self, period: Option<Period>) -> Result<Choice, Rejection> {
        let period = match self.period.as_str() {
            "" => period,
            ALL => None,
            text => match text.parse() {
                Ok(Period::Day(_)) | Err(_) => {
                    let shown = crate::domain::ids::shorten(text);
                    let what =
                        format!("`{shown}` is no month, quarter or year such as 2016-08, 2016-Q3 or 2016");
                    return Err(Rejection::new(Reason::InvalidDate, "period", what));
                }
                Ok(period) => Some(period),
            },
        };
        Ok(Choice { period, documents: self.basis == "documents" })
    }
}

/// A period some periods later, or before.
pub(super) fn moved(period: Period, by: i32) -> Period {
    match period {
        Period::Day(day) => Period::Day(day.plus_days(by)),
        Period::Month(month) => Period::Month(Month::from_number(month.number() + by)),
        Period::Quarter(..) => Period::quarter_of(Month::from_number(period.months().0.number() + 3 * by)),
        Period::Year(year) => Period::Year(year + by),
    }
}

/// The dimension that has periods of that kind.
pub(super) fn dimension(period: Period) -> &'static str {
    match period {
        Period::Day(_) => "day",
        Period::Month(_) => "month",
        Period::Quarter(..) => "quarter",
        Period::Year(_) => "year",
    }
}

impl Choice {
    /// A request for figures of the period.
    pub fn request(&self, group_by: &[&str]) -> pb::GetRatiosRequest {
        let period = self.period.map_or_else(String::new, |p| p.to_string());
        self.between(&period, &period, group_by)
    }

    /// The same from one period to another.
    pub fn between(&self, from: &str, to: &str, group_by: &[&str]) -> pb::GetRatiosRequest {
        let basis = match self.documents {
            true => pb::FigureBasis::Documents,
            false => pb::FigureBasis::Deliveries,
        };
        pb::GetRatiosRequest {
            from: from.to_owned(),
            to: to.to_owned(),
            basis: basis.into(),
            group_by: group_by.iter().map(|name| (*name).to_owned()).collect(),
            ..pb::GetRatiosRequest::default()
        }
    }

    /// The part of an address that says the same.
    pub fn query(&self) -> String {
        let period = self.period.map_or_else(|| ALL.to_owned(), |p| p.to_string());
        format!("period={period}{}", if self.documents { "&basis=documents" } else { "" })
    }

    /// What is counted, in words.
    pub fn unit(&self, lang: Lang) -> &'static str {
        match self.documents {
            true => lang.of(said::DOCUMENTS_2),
            false => lang.of(said::DELIVERIES_2),
        }
    }

    /// Links to the periods around, to the other kinds of period, and to the other basis.
    pub fn links(&self, lang: Lang, path: &str, today: Month) -> Markup {
        let to = |choice: Choice| format!("{path}?{}", choice.query());
        let with = |period: Option<Period>| Choice { period, ..*self };
        let (first, last) = self.period.map_or((today, today), Period::months);
        // From a longer period to its last month that has begun.
        let month = last.min(today.max(first));
        let (year, _) = month.year_month();
        let kinds = [
            (lang.of(said::MONTH), Some(Period::Month(month))),
            (lang.of(said::QUARTER), Some(Period::quarter_of(month))),
            (lang.of(said::YEAR), Some(Period::Year(year))),
            (lang.of(said::ALL_2), None),
        ];
        let same = |period: Option<Period>| period.map(dimension) == self.period.map(dimension);
        html! {
            nav.choice aria-label=(lang.of(said::PERIOD_BASIS)) {
                @if let Some(period) = self.period {
                    span.group {
                        a href=(to(with(Some(moved(period, -1))))) rel="prev" { "‹ " (lang.period(moved(period, -1))) }
                        strong { (lang.period(period)) }
                        a href=(to(with(Some(moved(period, 1))))) rel="next" { (lang.period(moved(period, 1))) " ›" }
                    }
                } @else {
                    span.group { strong { (lang.of(said::FROM_BEGINNING)) } }
                }
                span.group {
                    @for (name, period) in kinds {
                        a href=(to(with(period))) aria-current=[same(period).then_some("true")] { (name) }
                    }
                }
                span.group {
                    @for documents in [false, true] {
                        @let choice = Choice { documents, ..*self };
                        a href=(to(choice)) aria-current=[(documents == self.documents).then_some("true")] {
                            (lang.of(said::BY_3)) (choice.unit(lang))
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(period: &str) -> Asked {
        Asked { period: period.to_owned(), basis: String::new() }
    }

    #[test]
    fn a_period_is_read_from_the_address_and_written_back() {
        for text in ["2016-08", "2016-Q3", "2016", "all"] {
            let choice = asked(text).read(None).unwrap();
            assert_eq!(choice.query(), format!("period={text}"));
        }
        let march = "2016-03".parse().ok();
        assert_eq!(asked("").read(march).unwrap().period, march);
        let documents = Asked { basis: "documents".into(), ..asked("2016") }.read(None).unwrap();
        assert_eq!(documents.query(), "period=2016&basis=documents");
        for bad in ["2016-08-01", "08/2016", "<b>"] {
            assert_eq!(asked(bad).read(None).unwrap_err().field, "period");
        }
    }

    #[test]
    fn periods_move_by_their_own_length() {
        let moved = |text: &str, by| moved(text.parse().unwrap(), by).to_string();
        assert_eq!(moved("2016-01", -1), "2015-12");
        assert_eq!(moved("2016-Q4", 1), "2017-Q1");
        assert_eq!(moved("2016-Q1", -5), "2014-Q4");
        assert_eq!(moved("2016", -1), "2015");
    }
}
