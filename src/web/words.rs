//! The words of the exchange in both languages: urgencies, levels, kinds, states, statuses, verdicts, events.

use super::text::Lang;
use crate::wire::pb;

/// An urgency.
pub(super) fn urgency(lang: Lang, urgency: pb::Urgency) -> &'static str {
    match urgency {
        pb::Urgency::Flash => lang.pick("hỏa tốc", "flash"),
        pb::Urgency::VeryUrgent => lang.pick("thượng khẩn", "very urgent"),
        pb::Urgency::Urgent => lang.pick("khẩn", "urgent"),
        pb::Urgency::Normal | pb::Urgency::Unspecified => lang.pick("thường", "normal"),
    }
}

/// A level of an agency, by its word.
pub(super) fn level(lang: Lang, level: &str) -> &str {
    match level {
        "central" => lang.pick("trung ương", "central"),
        "province" => lang.pick("tỉnh", "province"),
        "department" => lang.pick("sở, ngành", "department"),
        "district" => lang.pick("huyện", "district"),
        "commune" => lang.pick("xã", "commune"),
        "subunit" => lang.pick("đơn vị trực thuộc", "subunit"),
        other => other,
    }
}
