//! What stands around every page: head, navigation, language, foot; and pages for what went wrong.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::said;
use super::text::Lang;
use super::visitor::Visitor;
use super::words;

/// The pages, in the order of the navigation: path, Vietnamese, English.
const PAGES: [(&str, &str, &str); 7] = [
    ("/overview", "Tổng quan", "Overview"),
    ("/agencies", "Cơ quan", "Agencies"),
    ("/exchange", "Giao nhận", "Exchange"),
    ("/documents", "Văn bản", "Documents"),
    ("/paper", "Sổ giấy", "Paper"),
    ("/audit", "Kiểm tra", "Audit"),
    ("/node", "Nút", "Node"),
];

/// A page of somebody who is signed in.
pub(super) fn page(visitor: &Visitor, path: &str, title: &str, body: &Markup) -> Markup {
    let lang = visitor.lang;
    let who = if visitor.user.is_empty() {
        visitor.caller.name().to_owned()
    } else {
        format!("{} ({})", visitor.user, visitor.caller.name())
    };
    let head = html! {
        nav aria-label=(lang.of(said::PAGES)) {
            @for (to, vi, en) in PAGES.into_iter().filter(|(to, ..)| visitor.may_open(to)) {
                a href=(to) aria-current=[(to == path).then_some("page")] { (lang.pick(vi, en)) }
            }
        }
        div.who {
            span { (who) }
            (switch(lang, &visitor.here))
            @if visitor.by_session {
                form method="post" action="/sign-out" { button { (lang.of(said::SIGN_OUT)) } }
            }
        }
    };
    whole(lang, title, &head, body)
}

/// A page of somebody who is not.
pub(super) fn outside(lang: Lang, path: &str, title: &str, body: &Markup) -> Markup {
    whole(lang, title, &html! { div.who { (switch(lang, path)) } }, body)
}

fn switch(lang: Lang, path: &str) -> Markup {
    let (to, name) = match lang {
        Lang::Vi => (Lang::En, "English"),
        Lang::En => (Lang::Vi, "Tiếng Việt"),
    };
    html! {
        form method="post" action="/language" {
            input type="hidden" name="to" value=(to.code());
            input type="hidden" name="back" value=(path);
            button lang=(to.code()) { (name) }
        }
    }
}

fn whole(lang: Lang, title: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(lang.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · lienthong" }
                link rel="icon" href="/icon.svg";
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#main" { (lang.of(said::SKIP_CONTENT)) }
                header { strong { "lienthong" } (head) }
                main #main {
                    h1 { (title) }
                    (body)
                }
            }
        }
    }
}

/// A table with a caption; cells of a column marked `n` are numbers.
pub(super) fn table(caption: &str, columns: &[(&str, bool)], rows: &[Vec<String>]) -> Markup {
    let cell = |text: &String| html! { (text) };
    let rows: Vec<Vec<Markup>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let head: Vec<Markup> = columns.iter().map(|(name, _)| html! { (name) }).collect();
    let numbers: Vec<bool> = columns.iter().map(|(_, number)| *number).collect();
    grid(caption, &head, &numbers, &rows)
}

/// The same with anything in its cells. The first column names the rows.
pub(super) fn grid(caption: &str, head: &[Markup], numbers: &[bool], rows: &[Vec<Markup>]) -> Markup {
    let number = |i: usize| numbers.get(i).copied().unwrap_or_default();
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for (i, name) in head.iter().enumerate() { th scope="col" .n[number(i)] { (name) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (i, cell) in row.iter().enumerate() {
                                @if i == 0 {
                                    th scope="row" { (cell) }
                                } @else {
                                    td .n[number(i)] { (cell) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A list of names and what they stand for; what is not well is marked, in words too.
pub(super) fn facts(rows: &[(&str, String, Option<&str>)]) -> Markup {
    html! {
        dl {
            @for (name, value, warning) in rows {
                div .warn[warning.is_some()] {
                    dt { (name) }
                    dd { (value) @if let Some(warning) = warning { " " strong { (warning) } } }
                }
            }
        }
    }
}

/// The style, and its media type.
pub(super) const STYLE: &str = include_str!("assets/style.css");

/// The icon: two sheets, one to the other.
pub(super) const ICON: &str = include_str!("assets/icon.svg");

/// Why something was refused: in Vietnamese by its reason, with what the service said beneath, which is English.
pub(super) fn refusal(lang: Lang, reason: &str, message: &str) -> Markup {
    match (lang, words::refusal(reason)) {
        (Lang::Vi, Some(text)) => html! {
            p { (text) }
            details { summary { "Chi tiết (tiếng Anh)" } p lang="en" { (message) } }
        },
        _ => html! { p lang=[(lang == Lang::Vi && !reason.is_empty()).then_some("en")] { (message) } },
    }
}

/// A refusal as a page.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Who is signed in, if anybody is.
    visitor: Option<Visitor>,
    lang: Lang,
    code: StatusCode,
    reason: String,
    message: String,
}

impl Trouble {
    /// As a service said it to somebody.
    pub fn new(visitor: &Visitor, status: &Status) -> Trouble {
        let code = match status.code() {
            Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        let message = status.message().to_owned();
        Trouble { visitor: Some(visitor.clone()), lang: visitor.lang, code, reason, message }
    }

    /// There is no such page.
    pub fn nowhere(lang: Lang) -> Trouble {
        let message = lang.of(said::THERE_NO_SUCH_PAGE).to_owned();
        Trouble { visitor: None, lang, code: StatusCode::NOT_FOUND, reason: String::new(), message }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let lang = self.lang;
        let title = match self.code {
            StatusCode::FORBIDDEN => lang.of(said::NOT_ALLOWED),
            StatusCode::NOT_FOUND => lang.of(said::NOT_FOUND),
            StatusCode::BAD_REQUEST => lang.of(said::NOT_GOOD_REQUEST),
            _ => lang.of(said::COULD_NOT_BE),
        };
        let body = html! {
            (refusal(lang, &self.reason, &self.message))
            @if !self.reason.is_empty() {
                p { (lang.of(said::REASON_2)) ": " code { (self.reason) } }
            }
            @if self.visitor.as_ref().is_none_or(|visitor| visitor.first_page().is_some()) {
                p { a href="/" { (lang.of(said::FIRST_PAGE)) } }
            }
        };
        let page = match &self.visitor {
            Some(visitor) => page(visitor, "", title, &body),
            None => outside(lang, "/", title, &body),
        };
        (self.code, page).into_response()
    }
}
