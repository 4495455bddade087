//! Fields of forms, and the days that they give.

use maud::{Markup, html};

use crate::domain::reason::{Reason, Rejection};
use crate::time::Date;

/// A field for a text.
pub(super) fn text(label: &str, name: &str, value: &str, most: usize) -> Markup {
    html! { label { (label) input name=(name) value=(value) maxlength=(most); } }
}

/// A field for a day.
pub(super) fn day(label: &str, name: &str, value: &str) -> Markup {
    html! { label { (label) input type="date" name=(name) value=(value); } }
}

/// A choice of words: the value that is sent, and what stands for it.
pub(super) fn choice(label: &str, name: &str, value: &str, words: &[(&str, &str)]) -> Markup {
    html! {
        label {
            (label)
            select name=(name) {
                @for (word, shown) in words { option value=(word) selected[*word == value] { (shown) } }
            }
        }
    }
}

/// The first millisecond of a day and the last; nothing where it is empty.
pub(super) fn day_ms(field: &'static str, text: &str) -> Result<Option<(i64, i64)>, Rejection> {
    if text.is_empty() {
        return Ok(None);
    }
    let day: Date = text.parse().map_err(|_| {
        let shown = crate::domain::ids::shorten(text);
        Rejection::new(Reason::InvalidDate, field, format!("`{shown}` is no day such as 2016-08-08"))
    })?;
    Ok(Some((day.midnight().millis(), day.plus_days(1).midnight().millis() - 1)))
}

/// A part of an address, with what is not allowed there encoded.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// Names and values as the query of an address; empty values are left out.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_in_addresses() {
        assert_eq!(query(&[("a", "QĐ-UBND &"), ("b", ""), ("c", "1")]), "a=Q%C4%90-UBND%20%26&c=1");
    }

    #[test]
    fn a_day_is_from_midnight_to_midnight_in_vietnam() {
        let (first, last) = day_ms("from", "2016-08-08").unwrap().unwrap();
        assert_eq!(last - first, 86_400_000 - 1);
        assert_eq!(crate::time::Timestamp::from_millis(first).to_string(), "2016-08-08T00:00:00.000+07:00");
        assert_eq!(day_ms("from", "").unwrap(), None);
        assert_eq!(day_ms("from", "08/08/2016").unwrap_err().field, "from");
    }
}
