//! The listener of the pages: TLS 1.3 that asks for a client certificate without requiring one, HTTP/1.1, bounds on
//! connections, handshakes, heads and bodies.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::{Site, pages, visitor};
use crate::domain::limits;
use crate::rpc::places;
use crate::rpc::tls::Identity;

/// Connections at once, a quarter of them from one address. A browser has up to six.
const CONNECTIONS: usize = 256;
/// Longest time for the head of a request, and for a connection that says nothing more.
const HEAD: Duration = Duration::from_secs(10);
/// Longest time for a connection.
const CONNECTION: Duration = Duration::from_secs(600);
/// Bytes of a form.
const FORM_BYTES: usize = 64 * 1024;

/// Nothing is loaded from elsewhere, run, framed or sent elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// Serves the pages until `stop`.
pub async fn serve(
    site: Arc<Site>,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    stop: watch::Receiver<bool>,
) {
    let router = router(site);
    let acceptor = TlsAcceptor::from(tls);
    let serve = |socket| connection(socket, acceptor.clone(), router.clone());
    places::serve(listener, CONNECTIONS, CONNECTION, stop, serve).await;
}

async fn connection(socket: TcpStream, acceptor: TlsAcceptor, router: Router) {
    let limit = Duration::from_millis(limits::HANDSHAKE_MS);
    let Ok(Ok(stream)) = tokio::time::timeout(limit, acceptor.accept(socket)).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let identity = certificate.map(|der| Identity::of_certificate(der));
    let service = router.map_request(move |mut request: Request<hyper::body::Incoming>| {
        if let Some(identity) = &identity {
            request.extensions_mut().insert(identity.clone());
        }
        request.map(axum::body::Body::new)
    });
    // How it ends is the visitor's affair.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(32 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
}

fn router(site: Arc<Site>) -> Router {
    pages::routes(site)
        .layer(middleware::from_fn(visitor::own_forms))
        .layer(middleware::from_fn(headers))
        .layer(DefaultBodyLimit::max(FORM_BYTES))
}

/// What every answer says to the browser.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let all = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in all {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // What a page shows is for whoever is signed in.
    let cache = response.headers_mut().entry(header::CACHE_CONTROL);
    cache.or_insert(HeaderValue::from_static("no-store"));
    response
}
