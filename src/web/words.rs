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

/// What a sender asked about a document that it sent.
pub(super) fn ask(lang: Lang, ask: pb::Ask) -> String {
    match ask {
        pb::Ask::Revoke => kind(lang, Kind::Revoke).to_owned(),
        pb::Ask::Update => kind(lang, Kind::Update).to_owned(),
        pb::Ask::TakeBack => status(lang, "13"),
        pb::Ask::Unspecified => String::new(),
    }
}

/// What became of it.
pub(super) fn ask_state(lang: Lang, state: pb::AskState) -> &'static str {
    match state {
        pb::AskState::Sent => lang.pick("đang gửi", "on its way"),
        pb::AskState::Open => lang.pick("chưa trả lời", "not answered"),
        pb::AskState::Agreed => lang.pick("nơi nhận đồng ý (15)", "the recipient agreed (15)"),
        pb::AskState::Refused => lang.pick("nơi nhận không đồng ý (16)", "the recipient did not agree (16)"),
        pb::AskState::Void => lang.pick("không đến nơi", "it did not get there"),
        pb::AskState::Unspecified => "?",
    }
}

/// What took a document out of force.
pub(super) fn ended_by(lang: Lang, by: pb::EndedBy) -> &'static str {
    match by {
        pb::EndedBy::Revoked => lang.pick("bị thu hồi", "revoked"),
        pb::EndedBy::Replaced => lang.pick("được thay thế", "replaced"),
        pb::EndedBy::TakenBack => lang.pick("được lấy lại", "taken back"),
        pb::EndedBy::Unspecified => lang.pick("hết hiệu lực", "ended"),
    }
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

/// What a reason of refusal means, in Vietnamese: services say it in English. `None` for reasons that no page meets.
pub(super) fn refusal(reason: &str) -> Option<&'static str> {
    REFUSALS.iter().find(|(known, _)| *known == reason).map(|(_, text)| *text)
}

/// Reasons that a page may meet.
const REFUSALS: [(&str, &str); 24] = [
    ("not_allowed", "Quyền của bạn không gồm việc này; quản trị viên của nút có thể cấp."),
    ("unknown_caller", "Nút không biết chứng thư này."),
    ("unknown_delivery", "Không có văn bản này, hoặc bạn không được xem."),
    ("unknown_event", "Không có sự kiện này, hoặc bạn không được xem."),
    ("unknown_agency", "Danh bạ không có cơ quan này."),
    ("unknown_sender", "Danh bạ không có nơi gửi này."),
    ("unknown_recipient", "Danh bạ không có nơi nhận này."),
    ("retired_agency", "Cơ quan này đã ngừng hoạt động."),
    ("not_hosted", "Cơ quan này không thuộc nút này."),
    ("missing_field", "Thiếu một mục bắt buộc."),
    ("too_long", "Một mục dài hơn mức cho phép."),
    ("too_many", "Nhiều hơn mức cho phép."),
    ("invalid_text", "Một mục không đúng dạng."),
    ("invalid_date", "Ngày, tháng hoặc kỳ không đọc được hoặc ngoài khoảng cho phép."),
    ("issued_in_future", "Ngày ban hành ở tương lai."),
    ("no_recipient", "Chưa có nơi nhận."),
    ("conflict", "Số và ký hiệu này đã dùng cho nội dung khác."),
    ("request_id_reused", "Biểu mẫu này đã được dùng cho mục khác: mở lại trang."),
    ("bad_token", "Đường dẫn của trang tiếp không còn dùng được."),
    ("content_too_large", "Nội dung lớn hơn mức mà trang đưa ra được."),
    ("overloaded", "Nút đang bận: thử lại sau."),
    ("storage_full", "Nút hết chỗ lưu."),
    ("stopping", "Nút đang dừng."),
    ("internal", "Nút gặp lỗi: người vận hành cần xem nhật ký hệ thống."),
];

/// An event, by the name of its kind.
pub(super) fn event(lang: Lang, name: &str) -> &str {
    let found = EVENTS.iter().find(|(known, ..)| *known == name);
    found.map_or(name, |(_, vi, en)| lang.pick(vi, en))
}

/// Events by the name of their kind: Vietnamese, English.
const EVENTS: [(&str, &str, &str); 34] = [
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
    ("statement_made", "Lập bản kê số liệu của nút", "The node stated its figures"),
    ("network_reported", "Tổng hợp số liệu toàn mạng", "The network's figures collected"),
    ("calendar_set", "Đặt lịch ngày nghỉ, ngày làm bù", "Calendar of holidays set"),
    ("generation_opened", "Mở nhật ký mới thay nhật ký đã mất", "A log opened in place of one that was lost"),
    ("recovered", "Khôi phục thông điệp của nhật ký đã mất", "A message of the lost log brought back"),
    ("sent_again", "Gửi lại vì nút nhận đã mất nhật ký", "Sent again: the recipient's node lost its log"),
    ("returned", "Nhận lại như nhật ký đã mất từng ghi", "Received again, as the lost log had it"),
    ("unknown", "Sự kiện do phiên bản mới hơn ghi", "Written by a newer version"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventKind;
    use crate::domain::reason::Reason;

    #[test]
    fn every_kind_of_event_has_words_in_both_languages() {
        for name in EventKind::NAMES {
            let [vi, en] = [Lang::Vi, Lang::En].map(|lang| event(lang, name));
            assert!(vi != *name && en != *name && vi != en && !vi.is_empty() && !en.is_empty(), "{name}");
        }
        assert_eq!(EVENTS.len(), EventKind::NAMES.len(), "words for kinds that there are, each once");
    }

    #[test]
    fn words_for_refusals_are_for_reasons_that_there_are() {
        for (code, _) in REFUSALS {
            assert!(Reason::PLAIN.iter().any(|reason| reason.code() == code), "{code}");
        }
    }
}
