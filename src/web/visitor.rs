//! Who asks for a page: by the client certificate of the connection, else by the session's cookie; and in which language.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::Markup;
use tonic::Status;

use super::Site;
use super::frame::Trouble;
use super::text::Lang;
use crate::config::{NodeRole, Role};
use crate::exchange::Caller;
use crate::rpc::tls::Identity;

/// The cookie of a session. The prefix has browsers send it over HTTPS to this very host only.
pub(super) const SESSION: &str = "__Host-session";
/// The cookie of the language.
pub(super) const LANGUAGE: &str = "lang";

/// Who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// As the services know it.
    identity: Identity,
    /// What it may do.
    pub caller: Caller,
    /// The person, as the client calls them; may be empty.
    pub user: String,
    /// By a session, which can be ended, and not by a certificate.
    pub by_session: bool,
    /// Their language.
    pub lang: Lang,
    /// Path and query of what they ask for.
    pub here: String,
    /// The pages of the navigation that they may see.
    pages: Vec<&'static str>,
}

/// Pages that a visitor begins with: the first of them that they may see.
const FIRST: [&str; 6] = ["/overview", "/documents", "/audit", "/node", "/exchange", "/paper"];

/// The pages that show something to a caller, as the services behind them decide.
fn open_to(site: &Site, caller: &Caller) -> Vec<&'static str> {
    let directory = site.exchange.directory();
    let any = |role| !caller.agencies(&site.exchange, &directory, role).is_empty();
    let figures = site.reports.own(caller, &directory).is_ok();
    let log = caller.has(NodeRole::Auditor) || any(Role::Auditor);
    let node = caller.has(NodeRole::Auditor) || caller.has(NodeRole::Operator);
    [
        ("/overview", figures),
        ("/agencies", figures),
        ("/exchange", node),
        ("/documents", log),
        ("/paper", any(Role::Dms)),
        ("/audit", log),
        ("/node", node),
    ]
    .into_iter()
    .filter_map(|(path, open)| open.then_some(path))
    .collect()
}

impl Visitor {
    /// A call to one of the services, as this visitor.
    pub fn ask<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.extensions_mut().insert(self.identity.clone());
        request
    }

    /// Whether they may see a page of the navigation.
    pub fn may_open(&self, path: &str) -> bool {
        self.pages.contains(&path)
    }

    /// The page that they begin with; `None` where they may see none.
    pub fn first_page(&self) -> Option<&'static str> {
        FIRST.into_iter().find(|path| self.may_open(path))
    }

    /// A page, or the refusal that came instead.
    pub fn answer(&self, page: Result<Markup, Status>) -> Response {
        match page {
            Ok(page) => page.into_response(),
            Err(status) => self.trouble(&status).into_response(),
        }
    }

    /// An agency's auditor must say which agency's events are wanted: the first of its own, where none is named.
    pub fn name_agency(&self, site: &Site, agency: &mut String) {
        if agency.is_empty() && !self.caller.has(NodeRole::Auditor) {
            let own = self.caller.agencies(&site.exchange, &site.exchange.directory(), Role::Auditor);
            *agency = own.first().map(ToString::to_string).unwrap_or_default();
        }
    }

    /// A refusal of a service as a page.
    pub fn trouble(&self, status: &Status) -> Trouble {
        Trouble::new(self, status)
    }
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The language: as chosen, else Vietnamese.
pub(super) fn language(headers: &HeaderMap) -> Lang {
    cookie(headers, LANGUAGE).and_then(Lang::of_code).unwrap_or_default()
}

fn find(site: &Site, request: &Request) -> Option<Visitor> {
    let lang = language(request.headers());
    // What a form was sent to is no page.
    let shown = request.uri().path_and_query().filter(|_| request.method().is_safe());
    let here = shown.map_or("/", |p| p.as_str()).to_owned();
    let config = site.exchange.config();
    let certificate = request.extensions().get::<Identity>();
    if let Some(identity @ Identity::Client { network, node, name }) = certificate
        && *network == config.network
        && *node == config.node.as_str()
        && let Some(client) = config.client(name)
    {
        let caller = Caller::new(client.clone());
        return Some(Visitor {
            identity: identity.clone(),
            pages: open_to(site, &caller),
            caller,
            user: String::new(),
            by_session: false,
            lang,
            here,
        });
    }
    let token = cookie(request.headers(), SESSION)?;
    let whose = site.sessions.find(token, site.exchange.ledger().now())?;
    let client = config.client(&whose.client)?;
    let (network, node) = (config.network.clone(), config.node.to_string());
    let identity = Identity::Client { network, node, name: whose.client };
    let caller = Caller::new(client.clone());
    let pages = open_to(site, &caller);
    Some(Visitor { identity, caller, user: whose.user, by_session: true, lang, here, pages })
}

/// Lets nobody through who is not signed in.
pub(super) async fn signed_in(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let Some(visitor) = find(&site, &request) else {
        return Redirect::to("/sign-in").into_response();
    };
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// Lets a form through only where a page of this site sent it: a browser adds its certificate or cookie to whatever any
/// page of the world makes it send.
pub(super) async fn own_forms(request: Request, next: Next) -> Response {
    if !request.method().is_safe() && !is_own(request.headers()) {
        return (StatusCode::FORBIDDEN, "this form was sent by another site\n").into_response();
    }
    next.run(request).await
}

fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(origin), Some(host)) => origin.strip_prefix("https://") == Some(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let found = headers(&[("cookie", "xlang=en; lang=en; __Host-session=abc")]);
        assert_eq!((cookie(&found, "lang"), cookie(&found, SESSION)), (Some("en"), Some("abc")));
        assert_eq!(cookie(&found, "session"), None);
        assert_eq!((language(&found), language(&headers(&[("cookie", "lang=fr")]))), (Lang::En, Lang::Vi));
    }

    #[test]
    fn a_form_of_another_site_is_known() {
        for (own, pairs) in [
            (true, &[("sec-fetch-site", "same-origin"), ("origin", "null")][..]),
            (true, &[("origin", "https://node:7443"), ("host", "node:7443")]),
            (false, &[("sec-fetch-site", "cross-site"), ("origin", "https://node"), ("host", "node")]),
            (false, &[("sec-fetch-site", "same-site")]),
            (false, &[("sec-fetch-site", "none")]),
            (false, &[("origin", "https://node.example"), ("host", "node")]),
            (false, &[("origin", "http://node"), ("host", "node")]),
            (false, &[("origin", "null"), ("host", "null")]),
            (false, &[("host", "node")]),
        ] {
            assert_eq!(is_own(&headers(pairs)), own, "{pairs:?}");
        }
    }
}
