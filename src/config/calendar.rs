//! Holidays, and weekends that are worked.

use super::{ConfigError, raw};
use crate::domain::limits;
use crate::domain::ratio::Calendar;
use crate::time::Date;

/// Each day once, sorted; a holiday is a weekday and a workday is none, or it is a mistake.
pub(super) fn calendar_of(raw: &raw::Figures) -> Result<Calendar, ConfigError> {
    let days = |name: &str, texts: &[String], at_weekend: bool| {
        let key = format!("figures.{name}");
        let bad = |value: &str, allowed: &str| ConfigError::Value {
            key: key.clone(),
            value: value.to_owned(),
            allowed: allowed.to_owned(),
        };
        if texts.len() > limits::CALENDAR_DAYS {
            let most = format!("at most {} days", limits::CALENDAR_DAYS);
            return Err(bad(&format!("{} days", texts.len()), &most));
        }
        let mut days = Vec::with_capacity(texts.len());
        for text in texts {
            let day: Date = text.parse().map_err(|_| bad(text, "days such as 2016-02-08"))?;
            if day.is_weekend() != at_weekend {
                let allowed = if at_weekend { "Saturdays and Sundays" } else { "Mondays to Fridays" };
                return Err(bad(text, allowed));
            }
            days.push(day);
        }
        days.sort_unstable();
        days.dedup();
        Ok(days)
    };
    Ok(Calendar {
        holidays: days("holidays", &raw.holidays, false)?,
        workdays: days("workdays", &raw.workdays, true)?,
    })
}
