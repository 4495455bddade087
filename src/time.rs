//! Points in time as every layer uses them: a value, never a clock.
//!
//! A [`Timestamp`] is milliseconds since 1970-01-01T00:00:00Z, leap seconds ignored (POSIX time). It prints as
//! RFC 3339 in Vietnam time (UTC+7, Decision 28/2018/QĐ-TTg, art. 14.4) and reads any offset. A [`Date`] is a
//! calendar day in Vietnam time. Where time comes from is not here: see `ledger::Clock`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Month, OffsetDateTime, UtcOffset};

/// Vietnam time is UTC+7 all year.
const OFFSET_HOURS: i8 = 7;
const DAY_MS: i64 = 86_400_000;
const OFFSET_MS: i64 = OFFSET_HOURS as i64 * 3_600_000;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest time that prints: 9999-12-31.
    pub const MAX: Timestamp = Timestamp(253_402_275_599_999);

    /// From milliseconds since the epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Timestamp(ms)
    }

    /// From seconds since the epoch.
    pub const fn from_secs(s: i64) -> Self {
        Timestamp(s.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This time plus `ms` milliseconds, saturating.
    pub const fn plus_millis(self, ms: i64) -> Self {
        Timestamp(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The calendar day in Vietnam time.
    pub const fn date(self) -> Date {
        Date(self.0.saturating_add(OFFSET_MS).div_euclid(DAY_MS) as i32)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .zip(UtcOffset::from_hms(OFFSET_HOURS, 0, 0).ok())
            .and_then(|(t, o)| t.checked_to_offset(o));
        match at {
            Some(t) => {
                let (y, mo, d) = t.to_calendar_date();
                let (h, mi, s, ms) = t.to_hms_milli();
                write!(f, "{y:04}-{:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{ms:03}+07:00", u8::from(mo))
            }
            None => write!(f, "{}ms", self.0),
        }
    }
}

/// A text that is not a time or a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct TimeError {
    text: String,
    expected: &'static str,
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let t = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimeError {
            text: text.chars().take(40).collect(),
            expected: "an RFC 3339 time such as 2016-08-06T09:00:00+07:00",
        })?;
        Ok(Timestamp((t.unix_timestamp_nanos().div_euclid(1_000_000)) as i64))
    }
}

/// A calendar day in Vietnam time, as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Date(i32);

impl Date {
    /// From days since 1970-01-01.
    pub const fn from_days(days: i32) -> Self {
        Date(days)
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// The day `days` later.
    pub const fn plus_days(self, days: i32) -> Self {
        Date(self.0.saturating_add(days))
    }

    /// Midnight of this day in Vietnam time.
    pub const fn midnight(self) -> Timestamp {
        Timestamp(self.0 as i64 * DAY_MS - OFFSET_MS)
    }

    /// Year, month (1 to 12) and day (1 to 31).
    pub fn ymd(self) -> (i32, u8, u8) {
        let day = i64::from(self.0) * 86_400;
        OffsetDateTime::from_unix_timestamp(day).map_or((1970, 1, 1), |t| {
            let (y, m, d) = t.to_calendar_date();
            (y, u8::from(m), d)
        })
    }

    /// The year.
    pub fn year(self) -> i32 {
        self.ymd().0
    }

    /// `yyyy-mm`.
    pub fn month_label(self) -> String {
        let (y, m, _) = self.ymd();
        format!("{y:04}-{m:02}")
    }

    /// Whether this is a Saturday or a Sunday.
    pub const fn is_weekend(self) -> bool {
        // 1970-01-01 was a Thursday: day 2 was a Saturday.
        matches!(self.0.wrapping_add(3).rem_euclid(7), 5 | 6)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = self.ymd();
        write!(f, "{y:04}-{m:02}-{d:02}")
    }
}

impl FromStr for Date {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let err =
            || TimeError { text: text.chars().take(40).collect(), expected: "a date such as 2016-08-06" };
        let b = text.as_bytes();
        if b.len() != 10 || b[4] != b'-' || b[7] != b'-' || !text.is_ascii() {
            return Err(err());
        }
        let num = |s: &str| s.parse::<u16>().map_err(|_| err());
        let (y, m, d) = (num(&text[..4])?, num(&text[5..7])?, num(&text[8..])?);
        let month = Month::try_from(m as u8).map_err(|_| err())?;
        let date = time::Date::from_calendar_date(i32::from(y), month, d as u8).map_err(|_| err())?;
        Ok(Date(date.to_julian_day() - 2_440_588))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_prints_in_vietnam_time_and_reads_back() {
        let t: Timestamp = "2016-08-06T00:00:00Z".parse().unwrap();
        assert_eq!(t.to_string(), "2016-08-06T07:00:00.000+07:00");
        assert_eq!(t.to_string().parse::<Timestamp>().unwrap(), t);
    }

    #[test]
    fn a_day_begins_at_midnight_in_vietnam() {
        let t: Timestamp = "2016-08-05T17:00:00Z".parse().unwrap();
        let d: Date = "2016-08-06".parse().unwrap();
        assert_eq!(t.date(), d);
        assert_eq!(d.midnight(), t);
        assert_eq!(t.plus_millis(-1).date(), d.plus_days(-1));
        assert!(d.is_weekend());
        assert!(!d.plus_days(2).is_weekend());
        assert_eq!(d.to_string(), "2016-08-06");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in ["2016-02-30", "2016-13-01", "16-1-1", "", "2016/01/01", "２016-01-1"] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }
}
