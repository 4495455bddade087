//! As much of a browser as the pages need: HTTPS with or without a certificate, cookies, forms.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Code, headers and body.
type Raw = (u16, Vec<(String, String)>, Vec<u8>);

/// What came back.
pub struct Answer {
    pub code: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

/// A browser.
pub struct Browser {
    address: String,
    name: String,
    tls: TlsConnector,
    pub cookies: Vec<(String, String)>,
    /// What it says of the page that a form is on.
    pub site: &'static str,
}

impl Browser {
    pub fn new(url: &str, name: &str, ca: &Path, certificate: Option<(PathBuf, PathBuf)>) -> Browser {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(ca).unwrap() {
            roots.add(root.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let config = match certificate {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
            }
        };
        Browser {
            address: url.strip_prefix("https://").unwrap().to_owned(),
            name: name.to_owned(),
            tls: TlsConnector::from(Arc::new(config)),
            cookies: Vec::new(),
            site: "same-origin",
        }
    }

    pub async fn get(&mut self, path: &str) -> Result<Answer, Failed> {
        self.ask("GET", path, String::new()).await
    }

    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Result<Answer, Failed> {
        let encode = |text: &str| -> String {
            text.bytes()
                .map(
                    |b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") },
                )
                .collect()
        };
        let form: Vec<String> = form.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
        self.ask("POST", path, form.join("&")).await
    }

    /// What a form gives to be kept.
    pub async fn download(&mut self, path: &str) -> Result<Vec<u8>, Failed> {
        let answer = self.exchange("POST", path, String::new()).await?;
        assert_eq!(answer.0, 200, "{}", String::from_utf8_lossy(&answer.2));
        Ok(answer.2)
    }

    async fn ask(&mut self, method: &str, path: &str, body: String) -> Result<Answer, Failed> {
        let (code, headers, body) = self.exchange(method, path, body).await?;
        Ok(Answer { code, headers, body: String::from_utf8(body)? })
    }

    async fn exchange(&mut self, method: &str, path: &str, body: String) -> Result<Raw, Failed> {
        let socket = TcpStream::connect(&self.address).await?;
        let stream = self.tls.connect(ServerName::try_from(self.name.clone())?, socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driven = tokio::spawn(connection);
        let cookies: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let mut request = Request::builder().method(method).uri(path).header("host", &self.address);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if method == "POST" {
            request = request.header("sec-fetch-site", self.site);
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let answer = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
        let code = answer.status().as_u16();
        let headers: Vec<(String, String)> = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = answer.into_body().collect().await?.to_bytes();
        driven.abort();
        for (_, value) in headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, rest) = value.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            let content = rest.split(';').next().unwrap();
            if !content.is_empty() {
                self.cookies.push((name.to_owned(), content.to_owned()));
            }
        }
        Ok((code, headers, body.to_vec()))
    }
}
