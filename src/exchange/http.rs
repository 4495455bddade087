//! One HTTP request: no redirect, no reuse of connections, a bounded answer in a bounded time, and to addresses of the
//! public Internet only.
//!
//! URLs come from certificates, and certificates from strangers' documents. Their authorities are trusted for what they
//! sign, not to make this node call the services of its own network. So a name is resolved here, and the connection goes
//! to the very address that was looked at: a name that resolves to another one the next time gains nothing.

use std::future::{pending, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Time until the head of an answer has come, the name's resolution and the connection included.
const HEAD: Duration = Duration::from_secs(10);

/// Time until all of it has come. A revocation list at its largest takes this long at 4 Mbit/s; who sends slower, or
/// without an end, holds one of a few places, and no document.
const WHOLE: Duration = Duration::from_secs(60);

/// Bytes of the head of an answer.
const HEAD_BYTES: usize = 16 * 1024;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("no URL that is asked: `http://host[:port]/path` without a user")]
    Url,
    #[error("the name cannot be resolved: {0}")]
    Resolve(std::io::Error),
    #[error(
        "the address {0} is not of the public Internet (`signatures.allow_private_responders` allows such)"
    )]
    Private(IpAddr),
    #[error("the name has no address")]
    NoAddress,
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("the answer is {0}, and only 200 is taken")]
    Status(StatusCode),
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    #[error("no answer within {} s", HEAD.as_secs())]
    NoAnswer,
    #[error("the answer did not end within {} s", WHOLE.as_secs())]
    NoEnd,
}

/// A URL that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    url: String,
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    /// Reads a URL; one with a user, another scheme or no host is refused.
    pub fn parse(url: &str) -> Result<Target, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::Url)?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(FetchError::Url);
        };
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(FetchError::Url);
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            None | Some("") => 80,
            Some(port) => port.trim_start_matches(':').parse().map_err(|_| FetchError::Url)?,
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        Ok(Target { url: url.to_owned(), host, port, authority: authority.to_string(), path })
    }

    /// As it was written.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The host, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// Gets what is there, or posts a request of a media type. Takes at most `limit` bytes.
pub(crate) async fn fetch(
    target: &Target,
    post: Option<(&'static str, Vec<u8>)>,
    limit: usize,
    private: bool,
) -> Result<Vec<u8>, FetchError> {
    let began = Instant::now();
    let (head, whole) = (began + HEAD, began + WHOLE);
    let stream = timeout_at(head, connect(target, private)).await.map_err(|_| FetchError::NoAnswer)??;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES);
    let handshake = builder.handshake(TokioIo::new(stream));
    let (mut sender, connection) = timeout_at(head, handshake).await.map_err(|_| FetchError::NoAnswer)??;
    // The connection is driven here, and ends with this future.
    let driven = pin!(async {
        // What ends it also ends the answer, which says why.
        let _ = connection.await;
        pending::<()>().await;
    });
    let asked = async {
        let request = request(target, post);
        let answer = timeout_at(head, sender.send_request(request)).await;
        take(answer.map_err(|_| FetchError::NoAnswer)??, limit, whole).await
    };
    tokio::select! {
        taken = asked => taken,
        () = driven => Err(FetchError::NoAnswer),
    }
}

fn request(target: &Target, post: Option<(&'static str, Vec<u8>)>) -> Request<Full<Bytes>> {
    let (method, kind, body) = match post {
        Some((kind, body)) => (Method::POST, Some(kind), body),
        None => (Method::GET, None, Vec::new()),
    };
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = target.path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    if let Ok(host) = target.authority.parse() {
        headers.insert(header::HOST, host);
    }
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    if let Some(kind) = kind {
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    }
    request
}

async fn take(answer: Response<Incoming>, limit: usize, whole: Instant) -> Result<Vec<u8>, FetchError> {
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status(answer.status()));
    }
    let mut body = answer.into_body();
    if body.size_hint().lower() > limit as u64 {
        return Err(FetchError::TooLarge(limit));
    }
    let mut taken = Vec::new();
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let Some(frame) = timeout_at(whole, frame).await.map_err(|_| FetchError::NoEnd)? else {
            return Ok(taken);
        };
        let Ok(data) = frame?.into_data() else { continue };
        if taken.len() + data.len() > limit {
            return Err(FetchError::TooLarge(limit));
        }
        taken.extend_from_slice(&data);
    }
}

/// Connects to the first address that may be asked and answers.
async fn connect(target: &Target, private: bool) -> Result<TcpStream, FetchError> {
    let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let mut last = FetchError::NoAddress;
    for address in found.map_err(FetchError::Resolve)? {
        if !private && !is_public(address.ip()) {
            last = FetchError::Private(address.ip());
            continue;
        }
        match TcpStream::connect(SocketAddr::new(address.ip(), target.port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = FetchError::Connect(error),
        }
    }
    Err(last)
}

/// Whether an address is one of the public Internet (the special-purpose registries of RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_documentation()
        || a == 0
        // Carriers' own (RFC 6598).
        || (a == 100 && b & 0xc0 == 64)
        // IETF's protocols, and what was 6to4's relay.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        // Benchmarks.
        || (a == 198 && b & 0xfe == 18)
        // Multicast, reserved, broadcast.
        || a >= 224;
    !special
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let parts = v6.segments();
    let last = || {
        let [.., a, b] = parts;
        Ipv4Addr::from(u32::from(a) << 16 | u32::from(b))
    };
    match parts {
        // NAT64 (RFC 6052): of an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => is_public_v4(last()),
        // Protocols, Teredo, benchmarks; documentation; 6to4, which holds an IPv4 address.
        [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, ..] => false,
        // Global unicast; all else is loopback, mapped, local, multicast or of no use yet.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_urls_are_targets() {
        let target = Target::parse("http://CRL.example.vn:8080/a%20b.crl?x=1").unwrap();
        assert_eq!((target.host(), target.port), ("crl.example.vn", 8080));
        assert_eq!((&*target.authority, &*target.path), ("CRL.example.vn:8080", "/a%20b.crl?x=1"));
        let target = Target::parse("HTTP://[2001:db8::1]").unwrap();
        assert_eq!((target.host(), target.port, &*target.path), ("2001:db8::1", 80, "/"));
        for bad in [
            "https://a/",
            "ftp://a/",
            "file:///etc/passwd",
            "/a.crl",
            "a.crl",
            "http://",
            "http:///a",
            "http://user@a/",
            "http://user:word@a/",
            "http://a:99999/",
            "http://a b/",
            "http://a/\r\nHost: b",
            "ldap://a/cn=b",
            "",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn no_private_address_is_connected_to_unless_that_is_allowed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"] {
            let target = Target::parse(&format!("http://{host}:{port}/")).unwrap();
            let error = connect(&target, false).await.unwrap_err();
            assert!(matches!(error, FetchError::Private(_) | FetchError::Resolve(_)), "{host}: {error}");
        }
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
        let target = Target::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        connect(&target, true).await.unwrap();
        assert!(listener.accept().is_ok());
    }

    #[test]
    fn addresses_that_are_not_of_the_public_internet_are_known() {
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "::127.0.0.1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "203.162.0.1",
            "64:ff9b::808:808",
            "2400:cb00::1",
            "2001:4860::8",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
