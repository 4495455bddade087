//! Signing in, signing out, and the language.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use maud::html;

use crate::web::Site;
use crate::web::frame::outside;
use crate::web::said;
use crate::web::text::Lang;
use crate::web::visitor::{LANGUAGE, SESSION, cookie, language as language_of};

/// How to sign in.
pub(super) async fn page(headers: HeaderMap) -> Response {
    let lang = language_of(&headers);
    let body = html! {
        p { (lang.of(said::THESE_PAGES_FOR)) }
        ol {
            li { (lang.of(said::CHOOSE_YOUR_CLIENT)) }
            li {
                (lang.of(said::WHERE_CERTIFICATE_RUN))
                " " code { "lienthong web-login --config lienthong.toml" } " "
                (lang.of(said::OPEN_LINK_PRINTS))
            }
        }
    };
    outside(lang, "/sign-in", lang.of(said::SIGN), &body).into_response()
}

/// What following a link would do. Looking at it does not use it up: programs look at links before people do.
pub(super) async fn link(
    State(site): State<Arc<Site>>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Response {
    let lang = language_of(&headers);
    let Some(whose) = site.logins.look(&link, site.exchange.ledger().now()) else { return used_up(lang) };
    let body = html! {
        p { (lang.of(said::SIGN_WITH_WHAT)) " " strong { (whose.client) } }
        @if !whose.user.is_empty() { p { (lang.of(said::USER)) ": " strong { (whose.user) } } }
        form method="post" { button.main { (lang.of(said::SIGN)) } }
    };
    outside(lang, "/sign-in", lang.of(said::SIGN), &body).into_response()
}

/// Follows a link.
pub(super) async fn follow(
    State(site): State<Arc<Site>>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Response {
    let now = site.exchange.ledger().now();
    let begun = site.logins.take(&link, now).and_then(|whose| {
        tracing::info!(client = whose.client, user = whose.user, "somebody signed in to the pages by a link");
        site.sessions.begin(whose, now)
    });
    let Some(session) = begun else { return used_up(language_of(&headers)) };
    let cookie = format!("{SESSION}={session}; Path=/; Secure; HttpOnly; SameSite=Strict");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

fn used_up(lang: Lang) -> Response {
    let body = html! {
        p { (lang.of(said::THIS_LINK_WAS)) " " code { "lienthong web-login" } }
    };
    let page = outside(lang, "/sign-in", lang.of(said::LINK_NO_LONGER), &body);
    (StatusCode::GONE, page).into_response()
}

/// Ends the session.
pub(super) async fn sign_out(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Some(session) = cookie(&headers, SESSION) {
        site.sessions.end(session);
    }
    let gone = format!("{SESSION}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    ([(header::SET_COOKIE, gone)], Redirect::to("/sign-in")).into_response()
}

/// A choice of language.
#[derive(serde::Deserialize)]
pub(super) struct Choice {
    to: String,
    back: String,
}

/// Keeps the language, and goes back to the page.
pub(super) async fn language(Form(choice): Form<Choice>) -> Response {
    let lang = Lang::of_code(&choice.to).unwrap_or_default();
    // Only to a page of this site.
    let path = choice.back.as_str();
    let own = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let cookie = format!("{LANGUAGE}={}; Path=/; Secure; SameSite=Lax; Max-Age=31536000", lang.code());
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(if own { path } else { "/" }))
        .into_response()
}
