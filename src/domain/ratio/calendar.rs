//! Working days, and until when a document must be sent (Decision 28/2018/QĐ-TTg, art. 6.2).

use serde::{Deserialize, Serialize};

use crate::domain::document::Urgency;
use crate::time::{Date, Timestamp};

/// Milliseconds in which an urgent document must be sent.
const URGENT_MS: i64 = 3_600_000;
/// Others: until 12:00 of the next working day.
const NOON_MS: i64 = 12 * 3_600_000;

/// Days that are not as their weekday: Saturday and Sunday are free, the others are not, but for these. Sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Calendar {
    /// Weekdays that are free.
    pub holidays: Vec<Date>,
    /// Days at weekends that are worked.
    pub workdays: Vec<Date>,
}

impl Calendar {
    /// Whether a day is worked.
    pub fn is_working(&self, day: Date) -> bool {
        if day.is_weekend() {
            self.workdays.binary_search(&day).is_ok()
        } else {
            self.holidays.binary_search(&day).is_err()
        }
    }

    /// Whether what was issued then was sent in time.
    pub fn is_on_time(
        &self,
        issued_on: Date,
        issued_at: Option<Timestamp>,
        urgency: Urgency,
        sent: Timestamp,
    ) -> bool {
        if urgency < Urgency::Normal {
            return match issued_at {
                Some(issued) => sent.since(issued) <= URGENT_MS,
                // Without a time of issue, the day itself is all that can be held against the sender.
                None => sent.date() <= issued_on,
            };
        }
        let mut day = issued_on.plus_days(1);
        // A calendar has an end: after it there are weekends only.
        while !self.is_working(day) {
            day = day.plus_days(1);
        }
        sent <= day.midnight().plus_millis(NOON_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_friday_document_may_be_sent_until_noon_on_monday() {
        let friday = day("2016-03-04");
        let plain = Calendar::default();
        assert!(plain.is_on_time(friday, None, Urgency::Normal, at("2016-03-07T12:00:00+07:00")));
        assert!(!plain.is_on_time(friday, None, Urgency::Normal, at("2016-03-07T12:00:00.001+07:00")));
        // A Saturday that is worked comes first; a free Monday is passed over.
        let worked = Calendar { workdays: vec![day("2016-03-05")], ..Calendar::default() };
        assert!(!worked.is_on_time(friday, None, Urgency::Normal, at("2016-03-05T12:00:00.001+07:00")));
        let free = Calendar { holidays: vec![day("2016-03-07")], ..Calendar::default() };
        assert!(free.is_on_time(friday, None, Urgency::Normal, at("2016-03-08T12:00:00+07:00")));
    }

    #[test]
    fn an_urgent_document_has_one_hour_on_holidays_as_well() {
        let issued = at("2016-03-04T16:30:00+07:00");
        let free = Calendar { holidays: vec![day("2016-03-04")], ..Calendar::default() };
        let on_time =
            |at, ms| free.is_on_time(day("2016-03-04"), at, Urgency::Urgent, issued.plus_millis(ms));
        assert!(on_time(Some(issued), 3_600_000));
        assert!(!on_time(Some(issued), 3_600_001));
        assert!(on_time(None, 7 * 3_600_000));
        assert!(!on_time(None, 8 * 3_600_000));
    }
}
