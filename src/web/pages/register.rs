//! The parts of the page of the paper register: which agency's, the form, the entries, the declaration.

use maud::{Markup, html};

use super::paper::{Entry, Wanted};
use crate::directory::Agency;
use crate::domain::limits;
use crate::domain::ratio::Month;
use crate::time::Date;
use crate::web::choice::moved;
use crate::web::forms;
use crate::web::frame::grid;
use crate::web::text::Lang;
use crate::web::words;
use crate::wire::pb;

/// An entry of the register as the form has it.
pub(super) fn of(entry: pb::RecordPaperRequest) -> Entry {
    let urgency = entry.urgency();
    Entry {
        request_id: String::new(),
        agency: entry.sender,
        recipient: entry.recipient,
        recipient_name: entry.recipient_name,
        number: entry.number,
        notation: entry.notation,
        issued_on: entry.issued_on,
        type_name: entry.type_name,
        urgency: crate::wire::words::read_urgency(urgency.into()).map_or("", |u| u.as_str()).to_owned(),
        mandatory: if entry.mandatory { "yes".into() } else { String::new() },
        basis: entry.basis,
        dispatched_on: entry.dispatched_on,
        corrects: String::new(),
        withdraw: String::new(),
    }
}

/// Which agency's register, and which number.
pub(super) fn which(lang: Lang, own: &[Agency], wanted: &Wanted) -> Markup {
    let names: Vec<(String, String)> =
        own.iter().map(|a| (a.id.to_string(), format!("{} ({})", a.entry.name, a.id))).collect();
    let names: Vec<(&str, &str)> = names.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    html! {
        form.fields method="get" action="/paper" role="search" {
            (forms::choice(lang.pick("Cơ quan", "Agency"), "agency", &wanted.agency, &names))
            (forms::text(lang.pick("Số văn bản", "Document number"), "number", &wanted.number, limits::NUMBER_CHARS))
            div { button { (lang.pick("Xem sổ", "Show the register")) } }
        }
    }
}

/// The form of an entry.
pub(super) fn form(lang: Lang, entry: &Entry) -> Markup {
    let urgencies = [pb::Urgency::Normal, pb::Urgency::Urgent, pb::Urgency::VeryUrgent, pb::Urgency::Flash]
        .map(|u| {
            let word = crate::wire::words::read_urgency(u.into()).map_or("", |u| u.as_str());
            (word, words::urgency(lang, u))
        });
    html! {
        form.fields method="post" action="/paper" {
            input type="hidden" name="request_id" value=(entry.request_id);
            input type="hidden" name="agency" value=(entry.agency);
            input type="hidden" name="corrects" value=(entry.corrects);
            (forms::text(lang.pick("Số", "Number"), "number", &entry.number, limits::NUMBER_CHARS))
            (forms::text(lang.pick("Ký hiệu", "Notation"), "notation", &entry.notation, limits::NOTATION_CHARS))
            (forms::day(lang.pick("Ngày ban hành", "Issued on"), "issued_on", &entry.issued_on))
            (forms::text(lang.pick("Loại văn bản", "Type"), "type_name", &entry.type_name, limits::TYPE_NAME_CHARS))
            (forms::text(lang.pick("Mã nơi nhận", "Recipient's code"), "recipient", &entry.recipient, limits::AGENCY_CODE_CHARS))
            (forms::text(
                lang.pick("hoặc tên nơi nhận không có mã", "or its name, where it has no code"),
                "recipient_name", &entry.recipient_name, limits::AGENCY_NAME_CHARS,
            ))
            (forms::choice(lang.pick("Độ khẩn", "Urgency"), "urgency", &entry.urgency, &urgencies))
            (forms::day(lang.pick("Ngày gửi", "Dispatched on"), "dispatched_on", &entry.dispatched_on))
            label.line {
                input type="checkbox" name="mandatory" value="yes" checked[!entry.mandatory.is_empty()];
                (lang.pick("Bắt buộc gửi giấy", "Paper is mandatory"))
            }
            (forms::text(lang.pick("Căn cứ", "Its basis"), "basis", &entry.basis, limits::REASON_CHARS))
            div {
                button.main { @if entry.corrects.is_empty() {
                    (lang.pick("Ghi vào sổ", "Enter"))
                } @else {
                    (lang.pick("Ghi mục sửa", "Enter the correction"))
                } }
                @if !entry.corrects.is_empty() {
                    " " button name="withdraw" value="yes" { (lang.pick("Rút khỏi sổ", "Withdraw it")) }
                }
            }
        }
    }
}

/// The entries, with what can be done about those that stand.
pub(super) fn lines(lang: Lang, wanted: &Wanted, listed: &pb::ListPaperResponse) -> Markup {
    let line = |line: &pb::PaperLine| {
        let entry = line.entry.clone().unwrap_or_default();
        let to = if entry.recipient.is_empty() { &entry.recipient_name } else { &entry.recipient };
        let correct = forms::query(&[("agency", &wanted.agency), ("corrects", &line.log_index.to_string())]);
        let state = match (line.stands, entry.withdraw) {
            (true, _) => lang.pick("còn hiệu lực", "stands"),
            (false, true) => lang.pick("lượt rút", "withdrawal"),
            (false, false) => lang.pick("đã sửa hoặc rút", "corrected or withdrawn"),
        };
        vec![
            html! { (entry.number) "/" (entry.notation) },
            html! { (lang.day(&entry.issued_on)) },
            html! { (entry.type_name) },
            html! { (to) },
            html! { (words::urgency(lang, entry.urgency())) },
            html! { @if entry.mandatory { (lang.pick("bắt buộc", "mandatory")) " " (entry.basis) } @else { "–" } },
            html! { (lang.day(&entry.dispatched_on)) },
            html! { (state) },
            html! { (lang.moment(line.at)) },
            html! { @if line.stands { a href=(format!("/paper?{correct}")) {
                (lang.pick("Sửa", "Correct")) " " (entry.number) "/" (entry.notation)
            } } },
        ]
    };
    let rows: Vec<Vec<Markup>> = listed.lines.iter().map(line).collect();
    let head = [
        lang.pick("Số, ký hiệu", "Number, notation"),
        lang.pick("Ngày ban hành", "Issued on"),
        lang.pick("Loại", "Type"),
        lang.pick("Nơi nhận", "To"),
        lang.pick("Độ khẩn", "Urgency"),
        lang.pick("Gửi giấy", "Paper"),
        lang.pick("Ngày gửi", "Dispatched on"),
        lang.pick("Tình trạng", "State"),
        lang.pick("Ghi lúc", "Entered at"),
        lang.pick("Thao tác", "Action"),
    ]
    .map(|name| html! { (name) });
    let next = forms::query(&[
        ("agency", &wanted.agency),
        ("number", &wanted.number),
        ("token", &listed.next_token),
    ]);
    html! {
        @if rows.is_empty() {
            p { (lang.pick("Chưa có mục nào.", "There are no entries.")) }
        } @else {
            (grid(lang.pick("Mới nhất trước", "The newest first"), &head, &[], &rows))
        }
        @if !listed.next_token.is_empty() {
            p { a rel="next" href=(format!("/paper?{next}")) { (lang.pick("Trang sau", "Next page")) " ›" } }
        }
    }
}

/// The declaration of a month: the last one that is over, at first.
pub(super) fn declaring(lang: Lang, agency: &str, today: Date) -> Markup {
    let month = moved(crate::domain::ratio::Period::Month(Month::of(today)), -1);
    html! {
        form.fields method="post" action="/paper/complete" {
            input type="hidden" name="agency" value=(agency);
            label {
                (lang.pick("Tháng (năm-tháng)", "Month (year-month)"))
                input name="month" value=(month) maxlength="7" pattern="[0-9]{4}-[0-9]{2}" required;
            }
            div {
                button.main { (lang.pick("Sổ đã ghi đủ", "The register is complete")) }
                " " button name="withdraw" value="yes" { (lang.pick("Rút lời khai", "Take it back")) }
            }
        }
    }
}
