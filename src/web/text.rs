//! Words, numbers and dates in Vietnamese and English.

use std::borrow::Cow;

use crate::domain::ratio::Period;
use crate::time::Timestamp;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Lang {
    /// Vietnamese, unless another is asked for.
    #[default]
    Vi,
    /// English.
    En,
}

impl Lang {
    /// From its code.
    pub fn of_code(code: &str) -> Option<Lang> {
        match code {
            "vi" => Some(Lang::Vi),
            "en" => Some(Lang::En),
            _ => None,
        }
    }

    /// Its code (BCP 47).
    pub fn code(self) -> &'static str {
        match self {
            Lang::Vi => "vi",
            Lang::En => "en",
        }
    }

    /// The one of two texts that is in it.
    pub fn pick<'a>(self, vi: &'a str, en: &'a str) -> &'a str {
        match self {
            Lang::Vi => vi,
            Lang::En => en,
        }
    }

    /// The same of a pair.
    pub fn of(self, pair: (&'static str, &'static str)) -> &'static str {
        self.pick(pair.0, pair.1)
    }

    /// A number with its thousands apart: `1.294`, `1,294`.
    pub fn number(self, n: u64) -> String {
        let digits = n.to_string();
        let mut out = String::with_capacity(digits.len() + digits.len() / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                out.push(match self {
                    Lang::Vi => '.',
                    Lang::En => ',',
                });
            }
            out.push(digit);
        }
        out
    }

    /// A day, from its ISO form: `08/08/2016`, `2016-08-08`.
    pub fn day(self, iso: &str) -> Cow<'_, str> {
        match (self, iso.get(..4), iso.get(5..7), iso.get(8..10)) {
            (Lang::Vi, Some(y), Some(m), Some(d)) => Cow::Owned(format!("{d}/{m}/{y}")),
            (Lang::En, ..) => Cow::Owned(iso.get(..10).unwrap_or(iso).to_owned()),
            _ => Cow::Owned(iso.to_owned()),
        }
    }

    /// A percentage as reports print it (`80.00`; empty: there is none): `80,00 %`, `80.00 %`, `n/a`.
    pub fn percent(self, percent: &str) -> String {
        match (percent, self) {
            ("", _) => "n/a".to_owned(),
            (p, Lang::Vi) => format!("{} %", p.replace('.', ",")),
            (p, Lang::En) => format!("{p} %"),
        }
    }

    /// A month, from its ISO form: `08/2016`, `2016-08`.
    pub fn month(self, iso: &str) -> String {
        match (self, iso.split_once('-')) {
            (Lang::Vi, Some((y, m))) => format!("{m}/{y}"),
            _ => iso.to_owned(),
        }
    }

    /// A period: `tháng 08/2016`, `quý 3/2016`, `năm 2016`; `2016-08`, `2016-Q3`, `2016`.
    pub fn period(self, period: Period) -> String {
        match (self, period) {
            (Lang::En, _) => period.to_string(),
            (Lang::Vi, Period::Day(day)) => self.day(&day.to_string()).into_owned(),
            (Lang::Vi, Period::Month(month)) => format!("tháng {}", self.month(&month.to_string())),
            (Lang::Vi, Period::Quarter(year, quarter)) => format!("quý {quarter}/{year}"),
            (Lang::Vi, Period::Year(year)) => format!("năm {year}"),
        }
    }

    /// A difference in hundredths of a percent: `+1,25`, `−0.50`.
    pub fn points(self, hundredths: i64) -> String {
        let sign = match hundredths {
            0 => "±",
            1.. => "+",
            _ => "−",
        };
        let n = hundredths.unsigned_abs();
        format!("{sign}{}{}{:02}", n / 100, self.pick(",", "."), n % 100)
    }

    /// A moment in Vietnam's time: `08/08/2016 09:00:00`, `2016-08-08 09:00:00`; 0: `-`.
    pub fn moment(self, ms: i64) -> String {
        if ms == 0 {
            return "-".to_owned();
        }
        let iso = Timestamp::from_millis(ms).to_string();
        format!("{} {}", self.day(&iso), iso.get(11..19).unwrap_or_default())
    }

    /// A span of time in its two largest units.
    pub fn span(self, ms: i64) -> String {
        let s = ms.max(0) / 1000;
        let (d, h, min, sec) = match self {
            Lang::Vi => ("ngày", "giờ", "phút", "giây"),
            Lang::En => ("d", "h", "min", "s"),
        };
        match s {
            0..60 => format!("{s} {sec}"),
            60..3_600 => format!("{} {min} {} {sec}", s / 60, s % 60),
            3_600..86_400 => format!("{} {h} {} {min}", s / 3_600, s % 3_600 / 60),
            _ => format!("{} {d} {} {h}", s / 86_400, s % 86_400 / 3_600),
        }
    }

    /// A span of time, in milliseconds where it is short.
    pub fn duration(self, ms: i64) -> String {
        if ms < 1_000 { format!("{ms} ms") } else { self.span(ms) }
    }

    /// Bytes in the unit that fits.
    pub fn size(self, bytes: u64) -> String {
        match bytes {
            0..1_024 => format!("{bytes} B"),
            1_024..1_048_576 => format!("{} KiB", bytes >> 10),
            1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
            _ => {
                let point = self.pick(",", ".");
                format!("{}{point}{} GiB", bytes >> 30, ((bytes >> 20) % 1_024) * 10 / 1_024)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_have_the_languages_form() {
        let (vi, en) = (Lang::Vi, Lang::En);
        for (n, v, e) in [(0, "0", "0"), (999, "999", "999"), (1_000, "1.000", "1,000")] {
            assert_eq!((vi.number(n), en.number(n)), (v.to_owned(), e.to_owned()));
        }
        assert_eq!(
            (vi.number(12_345_678), en.number(12_345_678)),
            ("12.345.678".into(), "12,345,678".into())
        );
        let ms = "2016-08-08T09:00:01+07:00".parse::<Timestamp>().unwrap().millis();
        assert_eq!(
            (vi.moment(ms), en.moment(ms)),
            ("08/08/2016 09:00:01".into(), "2016-08-08 09:00:01".into())
        );
        assert_eq!((vi.day("2016-08-08"), en.day("2016-08-08")), ("08/08/2016".into(), "2016-08-08".into()));
        assert_eq!((vi.percent("80.05"), en.percent("80.05")), ("80,05 %".into(), "80.05 %".into()));
        assert_eq!((vi.percent(""), en.percent("")), ("n/a".into(), "n/a".into()));
        assert_eq!(
            (vi.points(-50), en.points(125), vi.points(0)),
            ("−0,50".into(), "+1.25".into(), "±0,00".into())
        );
        let quarter = "2016-Q3".parse().unwrap();
        assert_eq!((vi.period(quarter), en.period(quarter)), ("quý 3/2016".into(), "2016-Q3".into()));
        assert_eq!((vi.month("2016-08"), en.month("2016-08")), ("08/2016".into(), "2016-08".into()));
        assert_eq!((vi.duration(999), vi.duration(2_000)), ("999 ms".into(), "2 giây".into()));
        assert_eq!((vi.span(3_661_000), en.span(3_661_000)), ("1 giờ 1 phút".into(), "1 h 1 min".into()));
        assert_eq!((vi.size(3 << 29), en.size(3 << 29)), ("1,5 GiB".into(), "1.5 GiB".into()));
    }
}
