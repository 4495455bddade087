//! How long content is kept, and how often a node checks itself.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::ConfigError;
use super::raw;
use crate::domain::limits;
use crate::time::Date;

/// How long content is kept, from the day on which this node recorded the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// For ever.
    #[default]
    Forever,
    /// Days.
    Days(u16),
    /// Calendar years.
    Years(u16),
}

impl Keep {
    /// The first day on which content that was recorded on `from` is kept no longer.
    pub fn end(self, from: Date) -> Option<Date> {
        match self {
            Keep::Forever => None,
            Keep::Days(days) => Some(from.plus_days(i32::from(days) + 1)),
            Keep::Years(years) => {
                let (year, month, day) = from.ymd();
                let same_day =
                    |day: u8| format!("{:04}-{month:02}-{day:02}", year + i32::from(years)).parse();
                // The 29th of February ends with the 28th.
                let last: Date = same_day(day).or_else(|_| same_day(day - 1)).ok()?;
                Some(last.plus_days(1))
            }
        }
    }
}

impl FromStr for Keep {
    type Err = ();

    fn from_str(text: &str) -> Result<Keep, ()> {
        if text == "forever" {
            return Ok(Keep::Forever);
        }
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(())?;
        let number = number.parse::<u16>().map_err(|_| ())?;
        match unit {
            "d" if (1..=36_500).contains(&number) => Ok(Keep::Days(number)),
            "y" if (1..=100).contains(&number) => Ok(Keep::Years(number)),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keep::Forever => f.write_str("for ever"),
            Keep::Days(1) => f.write_str("1 day"),
            Keep::Days(n) => write!(f, "{n} days"),
            Keep::Years(1) => f.write_str("1 year"),
            Keep::Years(n) => write!(f, "{n} years"),
        }
    }
}

/// Which content is kept how long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// Hour of the day (Vietnam time) at which content is purged.
    pub hour: u8,
    /// Of types that are not named.
    pub default: Keep,
    /// By the name of the type, as written.
    pub types: BTreeMap<String, Keep>,
}

impl Retention {
    /// The rule for a type, in words, and how long it keeps.
    pub fn rule(&self, type_name: &str) -> (String, Keep) {
        let lower = type_name.to_lowercase();
        match self.types.iter().find(|(name, _)| name.to_lowercase() == lower) {
            Some((name, keep)) => (format!("{name}: {keep}"), *keep),
            None => (format!("default: {}", self.default), self.default),
        }
    }

    /// Whether anything is ever purged.
    pub fn is_on(&self) -> bool {
        self.types.values().chain([&self.default]).any(|keep| *keep != Keep::Forever)
    }

    /// Whether content that was recorded on `from` may be over under some rule.
    pub fn any_over(&self, from: Date, today: Date) -> bool {
        self.types.values().chain([&self.default]).any(|keep| keep.end(from).is_some_and(|end| end <= today))
    }
}

/// How a running node checks itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfCheck {
    /// Hours between two checks; 0: never.
    pub every_hours: u64,
    /// Hour of the day (Vietnam time) of the first; later ones follow by `every_hours`.
    pub hour: u8,
    /// The most events in a second.
    pub events_per_second: u64,
    /// Whether all content is read as well.
    pub content: bool,
    /// The most megabytes (10⁶ bytes) of content in a second.
    pub megabytes_per_second: u64,
}

type Between<'a> = &'a dyn Fn(&str, u64, u64, u64) -> Result<u64, ConfigError>;

/// The section `[retention]`.
pub(super) fn retention(raw: raw::Retention, between: Between<'_>) -> Result<Retention, ConfigError> {
    let allowed = "`forever`, days such as `90d`, or years such as `5y`";
    let keep = |key: String, text: &str| {
        text.parse().map_err(|()| ConfigError::Value {
            key,
            value: text.to_owned(),
            allowed: allowed.to_owned(),
        })
    };
    let default =
        raw.default.as_deref().map_or(Ok(Keep::Forever), |t| keep("retention.default".into(), t))?;
    let mut types = BTreeMap::new();
    for (name, text) in raw.types {
        let key = format!("retention.types.{name}");
        if name.chars().count() > limits::TYPE_NAME_CHARS {
            let allowed = format!("names of at most {} characters", limits::TYPE_NAME_CHARS);
            return Err(ConfigError::Value { key: "retention.types".into(), value: name, allowed });
        }
        types.insert(name, keep(key, &text)?);
    }
    let hour = between("retention.hour", raw.hour.unwrap_or(1), 0, 23)? as u8;
    Ok(Retention { hour, default, types })
}

/// The section `[check]`.
pub(super) fn self_check(raw: &raw::Check, between: Between<'_>) -> Result<SelfCheck, ConfigError> {
    Ok(SelfCheck {
        every_hours: between("check.every_hours", raw.every_hours.unwrap_or(24), 0, 24 * 31)?,
        hour: between("check.hour", raw.hour.unwrap_or(2), 0, 23)? as u8,
        events_per_second: between(
            "check.events_per_second",
            raw.events_per_second.unwrap_or(limits::CHECK_EVENTS),
            10,
            10_000_000,
        )?,
        content: raw.content.unwrap_or(false),
        megabytes_per_second: between(
            "check.megabytes_per_second",
            raw.megabytes_per_second.unwrap_or(limits::CHECK_MEGABYTES),
            1,
            100_000,
        )?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_keeping_ends_on_the_day_after_its_last() {
        for (keep, from, end) in [
            ("1d", "2016-08-06", "2016-08-08"),
            ("90d", "2016-01-01", "2016-04-01"),
            ("1y", "2016-08-06", "2017-08-07"),
            ("1y", "2016-02-29", "2017-03-01"),
            ("4y", "2016-02-29", "2020-03-01"),
        ] {
            let keep: Keep = keep.parse().unwrap();
            assert_eq!(keep.end(from.parse().unwrap()), Some(end.parse().unwrap()), "{keep} {from}");
        }
        assert_eq!(Keep::Forever.end(Date::default()), None);
        for wrong in ["", "5", "0d", "101y", "5 y", "-1d", "năm", "1m"] {
            assert_eq!(wrong.parse::<Keep>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn the_rule_of_a_type_is_found_by_its_name_and_nothing_else_is_purged() {
        let types = [("Giấy mời".to_owned(), Keep::Days(90))].into();
        let retention = Retention { types, ..Retention::default() };
        assert_eq!(retention.rule("GIẤY MỜI"), ("Giấy mời: 90 days".to_owned(), Keep::Days(90)));
        assert_eq!(retention.rule("Công văn").1, Keep::Forever);
        assert!(retention.is_on() && !Retention::default().is_on());
    }
}
