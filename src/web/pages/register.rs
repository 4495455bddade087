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
use crate::web::said;
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
            (forms::choice(lang.of(said::AGENCY), "agency", &wanted.agency, &names))
            (forms::text(lang.of(said::DOCUMENT_NUMBER), "number", &wanted.number, limits::NUMBER_CHARS))
            div { button { (lang.of(said::SHOW_REGISTER)) } }
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
            (forms::text(lang.of(said::NUMBER), "number", &entry.number, limits::NUMBER_CHARS))
            (forms::text(lang.of(said::NOTATION), "notation", &entry.notation, limits::NOTATION_CHARS))
            (forms::day(lang.of(said::ISSUED_ON), "issued_on", &entry.issued_on))
            (forms::text(lang.of(said::TYPE_2), "type_name", &entry.type_name, limits::TYPE_NAME_CHARS))
            (forms::text(lang.of(said::RECIPIENTS_CODE), "recipient", &entry.recipient, limits::AGENCY_CODE_CHARS))
            (forms::text(
                lang.of(said::OR_ITS_NAME),
                "recipient_name", &entry.recipient_name, limits::AGENCY_NAME_CHARS,
            ))
            (forms::choice(lang.of(said::URGENCY), "urgency", &entry.urgency, &urgencies))
            (forms::day(lang.of(said::DISPATCHED_ON), "dispatched_on", &entry.dispatched_on))
            label.line {
                input type="checkbox" name="mandatory" value="yes" checked[!entry.mandatory.is_empty()];
                (lang.of(said::PAPER_MANDATORY))
            }
            (forms::text(lang.of(said::ITS_BASIS), "basis", &entry.basis, limits::REASON_CHARS))
            div {
                button.main { @if entry.corrects.is_empty() {
                    (lang.of(said::ENTER))
                } @else {
                    (lang.of(said::ENTER_CORRECTION))
                } }
                @if !entry.corrects.is_empty() {
                    " " button name="withdraw" value="yes" { (lang.of(said::WITHDRAW)) }
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
            (true, _) => lang.of(said::STANDS),
            (false, true) => lang.of(said::WITHDRAWAL),
            (false, false) => lang.of(said::CORRECTED_OR_WITHDRAWN),
        };
        vec![
            html! { (entry.number) "/" (entry.notation) },
            html! { (lang.day(&entry.issued_on)) },
            html! { (entry.type_name) },
            html! { (to) },
            html! { (words::urgency(lang, entry.urgency())) },
            html! { @if entry.mandatory { (lang.of(said::MANDATORY)) " " (entry.basis) } @else { "–" } },
            html! { (lang.day(&entry.dispatched_on)) },
            html! { (state) },
            html! { (lang.moment(line.at)) },
            html! { @if line.stands { a href=(format!("/paper?{correct}")) {
                (lang.of(said::CORRECT)) " " (entry.number) "/" (entry.notation)
            } } },
        ]
    };
    let rows: Vec<Vec<Markup>> = listed.lines.iter().map(line).collect();
    let head = [
        lang.of(said::NUMBER_NOTATION),
        lang.of(said::ISSUED_ON),
        lang.of(said::TYPE),
        lang.of(said::TO),
        lang.of(said::URGENCY),
        lang.of(said::PAPER),
        lang.of(said::DISPATCHED_ON),
        lang.of(said::STATE),
        lang.of(said::ENTERED_AT),
        lang.of(said::ACTION),
    ]
    .map(|name| html! { (name) });
    let next = forms::query(&[
        ("agency", &wanted.agency),
        ("number", &wanted.number),
        ("token", &listed.next_token),
    ]);
    html! {
        @if rows.is_empty() {
            p { (lang.of(said::THERE_NO_ENTRIES)) }
        } @else {
            (grid(lang.of(said::NEWEST_FIRST), &head, &[], &rows))
        }
        @if !listed.next_token.is_empty() {
            p { a rel="next" href=(format!("/paper?{next}")) { (lang.of(said::NEXT_PAGE)) " ›" } }
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
                (lang.of(said::MONTH_YEAR_MONTH))
                input name="month" value=(month) maxlength="7" pattern="[0-9]{4}-[0-9]{2}" required;
            }
            div {
                button.main { (lang.of(said::REGISTER_COMPLETE)) }
                " " button name="withdraw" value="yes" { (lang.of(said::TAKE_BACK)) }
            }
        }
    }
}
