//! The pages, and which path leads to which.

mod agencies;
mod agency;
mod audit;
mod document;
mod documents;
mod exchange;
mod late;
mod node;
mod overview;
mod paper;
mod recent;
mod register;
mod sign_in;
mod way;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};

use super::frame::{ICON, STYLE, Trouble};
use super::visitor::Visitor;
use super::{Site, visitor};

/// Every path of the site.
pub(super) fn routes(site: Arc<Site>) -> Router {
    let inside = Router::new()
        .route("/", get(first))
        .route("/overview", get(overview::page))
        .route("/agencies", get(agencies::page))
        .route("/agencies/{id}", get(agency::page))
        .route("/exchange", get(exchange::page))
        .route("/documents", get(documents::page))
        .route("/documents/{id}", get(document::page))
        .route("/documents/{id}/evidence", post(document::evidence))
        .route("/paper", get(paper::page).post(paper::enter))
        .route("/paper/complete", post(paper::declare))
        .route("/audit", get(audit::page))
        .route("/audit/{index}", get(audit::event))
        .route("/node", get(node::page))
        .route("/sign-out", post(sign_in::sign_out))
        .layer(middleware::from_fn_with_state(site.clone(), visitor::signed_in));
    Router::new()
        .route("/sign-in", get(sign_in::page))
        .route("/sign-in/{link}", get(sign_in::link).post(sign_in::follow))
        .route("/language", post(sign_in::language))
        .route("/style.css", get(|| fixed("text/css; charset=utf-8", STYLE)))
        .route("/icon.svg", get(|| fixed("image/svg+xml", ICON)))
        .merge(inside)
        .fallback(nowhere)
        .with_state(site)
}

/// To the page that the visitor begins with. Who may see none is told so there.
async fn first(Extension(visitor): Extension<Visitor>) -> Redirect {
    Redirect::to(visitor.first_page().unwrap_or("/overview"))
}

/// What is the same for everybody.
async fn fixed(media: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "max-age=3600")], content).into_response()
}

async fn nowhere(request: Request) -> Response {
    Trouble::nowhere(visitor::language(request.headers())).into_response()
}
