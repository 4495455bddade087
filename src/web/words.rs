//! The words of the exchange in both languages: urgencies, levels, kinds, states, statuses, verdicts, events.

use super::text::Lang;
use crate::domain::document::Urgency;
use crate::domain::{DeliveryState, Kind};
use crate::signature::Verdict;
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

/// The same, as the domain knows it.
pub(super) fn urgency_of(lang: Lang, of: Urgency) -> &'static str {
    urgency(lang, crate::wire::words::urgency(of))
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

/// A kind of message.
pub(super) fn kind(lang: Lang, kind: Kind) -> &'static str {
    match kind {
        Kind::New => lang.pick("văn bản mới", "new document"),
        Kind::Revoke => lang.pick("thu hồi", "revoke"),
        Kind::Update => lang.pick("cập nhật", "update"),
        Kind::Replace => lang.pick("văn bản thay thế", "replacement"),
        Kind::Status => lang.pick("trạng thái xử lý", "status"),
    }
}

/// A business status with its code.
pub(super) fn status(lang: Lang, code: &str) -> String {
    let name = match code {
        "01" => lang.pick("đã đến", "arrived"),
        "02" => lang.pick("từ chối tiếp nhận", "refused"),
        "03" => lang.pick("đã tiếp nhận", "accepted"),
        "04" => lang.pick("phân công xử lý", "assigned"),
        "05" => lang.pick("đang xử lý", "processing"),
        "06" => lang.pick("hoàn thành", "completed"),
        "13" => lang.pick("yêu cầu lấy lại", "take-back requested"),
        "15" => lang.pick("đồng ý cập nhật, lấy lại", "agreed"),
        "16" => lang.pick("từ chối cập nhật, lấy lại", "not agreed"),
        _ => "",
    };
    format!("{code} {name}")
}

/// Where the transport of a delivery stands.
pub(super) fn state(lang: Lang, state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Queued => lang.pick("đang đợi gửi", "queued"),
        DeliveryState::Delivered => lang.pick("đã gửi đến nơi", "delivered"),
        DeliveryState::Held => lang.pick("tạm giữ ở nút nhận", "held at the recipient's node"),
        DeliveryState::Refused => lang.pick("bị từ chối", "refused"),
        DeliveryState::Undelivered => lang.pick("không gửi được", "undelivered"),
        DeliveryState::Withdrawn => lang.pick("thu hồi trước khi đến", "withdrawn before it arrived"),
    }
}

/// A verdict on signatures.
pub(super) fn verdict(lang: Lang, verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => lang.pick("hợp lệ", "valid"),
        Verdict::Invalid => lang.pick("không hợp lệ", "invalid"),
        Verdict::Indeterminate => lang.pick("chưa xác định", "indeterminate"),
        Verdict::Absent => lang.pick("không có", "absent"),
    }
}

/// An event, by the name of its kind.
pub(super) fn event(lang: Lang, name: &str) -> &str {
    let found = EVENTS.iter().find(|(known, ..)| *known == name);
    found.map_or(name, |(_, vi, en)| lang.pick(vi, en))
}

/// Events by the name of their kind: Vietnamese, English.
const EVENTS: [(&str, &str, &str); 26] = [
    ("submitted", "Ghi nhận để gửi", "Recorded for sending"),
    ("received", "Nút nhận ghi nhận", "Recorded at the recipient's node"),
    ("refused", "Nút nhận từ chối", "Refused at the recipient's node"),
    ("settled", "Nút gửi có bằng chứng của nút nhận", "The sender's node holds the recipient node's proof"),
    ("undelivered", "Ngừng gửi", "Given up"),
    ("rerouted", "Chuyển sang nút khác", "Sent to another node"),
    ("fetched", "Hệ thống nơi nhận lấy nội dung", "Fetched by the recipient's system"),
    ("handed_over", "Hệ thống nơi nhận xác nhận đã nhận", "Confirmed by the recipient's system"),
    ("paper_entered", "Vào sổ văn bản giấy", "Entered in the paper register"),
    ("released", "Quyết định về văn bản tạm giữ", "Decided what was held"),
    ("exported", "Kết xuất bằng chứng", "Evidence handed out"),
    ("viewed", "Xem trên trang web", "Looked at on the pages"),
    ("started", "Nút khởi động", "The node started"),
    ("stopped", "Nút dừng", "The node stopped"),
    ("directory_adopted", "Danh bạ mới có hiệu lực", "A directory came into force"),
    ("alarm", "Cảnh báo", "Alarm"),
    ("config_changed", "Đổi cấu hình", "Configuration changed"),
    ("client_changed", "Đổi hệ thống kết nối", "Client changed"),
    ("key_changed", "Đổi khóa", "Key changed"),
    ("connections_refused", "Từ chối kết nối", "Connections turned away"),
    ("purged", "Xóa nội dung hết hạn lưu", "Content purged"),
    ("hold_placed", "Đặt lệnh giữ", "Hold placed"),
    ("hold_lifted", "Bỏ lệnh giữ", "Hold lifted"),
    ("extracted", "Trích xuất nhật ký", "Taken out of the log"),
    ("paper_declared", "Khai sổ giấy", "Paper register declared"),
    ("period_closed", "Chốt kỳ số liệu", "Period closed"),
];
