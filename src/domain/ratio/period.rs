//! Periods of the figures: days, months, quarters and years of Vietnam's calendar (UTC+7).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::Date;

/// A month, as months since the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Month(i32);

/// A text that is no month or period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no {1}")]
pub struct PeriodError(String, &'static str);

impl Month {
    /// The month of a day.
    pub fn of(day: Date) -> Month {
        let (year, month, _) = day.ymd();
        Month(year * 12 + i32::from(month) - 1)
    }

    /// Months since the year 0.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// From months since the year 0.
    pub const fn from_number(number: i32) -> Month {
        Month(number)
    }

    /// Year and month, from 1.
    pub const fn year_month(self) -> (i32, i32) {
        (self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }

    /// Its first day.
    pub fn first_day(self) -> Date {
        format!("{self}-01").parse().unwrap_or_default()
    }

    /// Its last day.
    pub fn last_day(self) -> Date {
        Month(self.0 + 1).first_day().plus_days(-1)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = self.year_month();
        write!(f, "{year:04}-{month:02}")
    }
}

impl FromStr for Month {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Month, PeriodError> {
        let day: Date = format!("{text}-01")
            .parse()
            .map_err(|_| PeriodError(crate::domain::ids::shorten(text), "month such as 2016-08"))?;
        Ok(Month::of(day))
    }
}

/// A period of the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Period {
    /// One day.
    Day(Date),
    /// One month.
    Month(Month),
    /// A quarter, from 1.
    Quarter(i32, u8),
    /// A year.
    Year(i32),
}

impl Period {
    /// Its first and last month.
    pub fn months(self) -> (Month, Month) {
        match self {
            Period::Day(day) => (Month::of(day), Month::of(day)),
            Period::Month(month) => (month, month),
            Period::Quarter(year, quarter) => {
                let first = year * 12 + 3 * (i32::from(quarter) - 1);
                (Month(first), Month(first + 2))
            }
            Period::Year(year) => (Month(year * 12), Month(year * 12 + 11)),
        }
    }

    /// Its first and last day.
    pub fn days(self) -> (Date, Date) {
        match self {
            Period::Day(day) => (day, day),
            _ => (self.months().0.first_day(), self.months().1.last_day()),
        }
    }

    /// The quarter of a month.
    pub fn quarter_of(month: Month) -> Period {
        let (year, month) = month.year_month();
        Period::Quarter(year, ((month - 1) / 3 + 1) as u8)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Period::Day(day) => day.fmt(f),
            Period::Month(month) => month.fmt(f),
            Period::Quarter(year, quarter) => write!(f, "{year:04}-Q{quarter}"),
            Period::Year(year) => write!(f, "{year:04}"),
        }
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Period, PeriodError> {
        let bad = || {
            let what = "period such as 2016, 2016-Q1, 2016-08 or 2016-08-06";
            PeriodError(crate::domain::ids::shorten(text), what)
        };
        let year = |text: &str| {
            let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
            if digits { text.parse::<i32>().map_err(|_| bad()) } else { Err(bad()) }
        };
        match (text.len(), text.split_once("-Q")) {
            (4, _) => year(text).map(Period::Year),
            (_, Some((before, quarter))) => {
                let quarter = ["1", "2", "3", "4"].iter().position(|q| *q == quarter).ok_or_else(bad)?;
                Ok(Period::Quarter(year(before)?, quarter as u8 + 1))
            }
            (7, None) => text.parse().map(Period::Month).map_err(|_| bad()),
            _ => text.parse().map(Period::Day).map_err(|_| bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_reads_back_and_has_its_days() {
        for (text, first, last) in [
            ("2016", "2016-01-01", "2016-12-31"),
            ("2016-Q1", "2016-01-01", "2016-03-31"),
            ("2015-Q4", "2015-10-01", "2015-12-31"),
            ("2016-02", "2016-02-01", "2016-02-29"),
            ("2016-12", "2016-12-01", "2016-12-31"),
            ("2016-02-29", "2016-02-29", "2016-02-29"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.to_string(), text);
            assert_eq!(period.days(), (first.parse().unwrap(), last.parse().unwrap()));
        }
        for bad in ["", "16", "2016-Q5", "2016-Q", "2016-13", "2016-02-30", "+016", "20१6", "x2016-Q1"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
        let month: Month = "2016-03".parse().unwrap();
        assert_eq!(Period::quarter_of(month).to_string(), "2016-Q1");
        assert_eq!(Month::from_number(month.number()), month);
    }
}
