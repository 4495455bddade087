//! Certificates, keys, and who is at the other end.
//!
//! TLS 1.3 only, mutual on every listener for programs; the listener of the pages asks for a certificate. A node's certificate names it as `lienthong-node://<network>/<node>` and by
//! the DNS name `<node>`; a client's names it as `lienthong-client://<network>/<node>/<client>`. The two come from
//! different authorities, so neither can pass for the other.

use std::path::Path;
use std::sync::Arc;

use der::Decode as _;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::config::{Config, Web};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// rustls refuses the material.
    #[error("the certificates and keys do not go together: {0}")]
    Material(String),
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A node of the network.
    Node {
        /// Its network.
        network: String,
        /// Its name.
        node: String,
    },
    /// A client of a node.
    Client {
        /// Its network.
        network: String,
        /// Its node.
        node: String,
        /// Its name.
        name: String,
    },
    /// A certificate of the right authority with no URI that we know.
    Unknown,
}

impl Identity {
    /// From the URI of a certificate.
    pub fn of_certificate(der: &[u8]) -> Identity {
        let uris = || -> Option<Vec<String>> {
            let certificate = x509_cert::Certificate::from_der(der).ok()?;
            let (_, names): (bool, SubjectAltName) =
                certificate.tbs_certificate().get_extension().ok().flatten()?;
            Some(
                names
                    .0
                    .iter()
                    .filter_map(|n| match n {
                        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str().to_owned()),
                        _ => None,
                    })
                    .collect(),
            )
        };
        // More than one URI would leave open which one counts.
        match uris().as_deref() {
            Some([uri]) => Identity::of_uri(uri),
            _ => Identity::Unknown,
        }
    }

    fn of_uri(uri: &str) -> Identity {
        if let Some(rest) = uri.strip_prefix("lienthong-node://")
            && let [network, node] = rest.split('/').collect::<Vec<_>>()[..]
        {
            return Identity::Node { network: network.to_owned(), node: node.to_owned() };
        }
        if let Some(rest) = uri.strip_prefix("lienthong-client://")
            && let [network, node, name] = rest.split('/').collect::<Vec<_>>()[..]
        {
            return Identity::Client {
                network: network.to_owned(),
                node: node.to_owned(),
                name: name.to_owned(),
            };
        }
        Identity::Unknown
    }
}

/// The URI of the certificates that name it.
impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Identity::Node { network, node } => write!(f, "lienthong-node://{network}/{node}"),
            Identity::Client { network, node, name } => {
                write!(f, "lienthong-client://{network}/{node}/{name}")
            }
            Identity::Unknown => f.write_str("a certificate without a URI that is known"),
        }
    }
}

/// A certificate chain and its key.
pub struct Credentials {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Credentials {
    /// From PEM files.
    pub fn read(certificate: &Path, key: &Path) -> Result<Credentials, TlsError> {
        Ok(Credentials { chain: read_certificates(certificate)?, key: read_key(key)? })
    }

    fn copy(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain.clone(), self.key.clone_key())
    }

    /// When the first certificate ends, in milliseconds since 1970.
    pub fn not_after(&self) -> Option<i64> {
        let certificate = x509_cert::Certificate::from_der(self.chain.first()?).ok()?;
        let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
        i64::try_from(end.as_millis()).ok()
    }
}

fn file_error(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> TlsError {
    let path = path.display().to_string();
    move |problem| TlsError::File { path: path.clone(), problem: problem.to_string() }
}

/// Reads every certificate of a PEM file.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = file_error(path);
    let chain = CertificateDer::pem_file_iter(path)
        .map_err(|e| error(&e))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| error(&e))?;
    if chain.is_empty() {
        return Err(error(&"it holds no certificate (BEGIN CERTIFICATE)"));
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| file_error(path)(&e))
}

/// Reads a PKCS#8 key (PEM) as DER, for the log's keys.
pub fn read_pkcs8(path: &Path) -> Result<Vec<u8>, TlsError> {
    match read_key(path)? {
        PrivateKeyDer::Pkcs8(key) => Ok(key.secret_pkcs8_der().to_vec()),
        _ => Err(file_error(path)(&"it is no PKCS#8 key (BEGIN PRIVATE KEY)")),
    }
}

fn roots(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        store.add(certificate).map_err(|e| file_error(path)(&e))?;
    }
    Ok(Arc::new(store))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn material(error: impl std::fmt::Display) -> TlsError {
    TlsError::Material(error.to_string())
}

/// Who needs a certificate to connect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Callers {
    /// Everybody: gRPC.
    Certified,
    /// Nobody, but everybody is asked for one: the pages.
    Anybody,
}

fn server(
    credentials: &Credentials,
    clients: Arc<RootCertStore>,
    callers: Callers,
) -> Result<Arc<ServerConfig>, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(clients, provider());
    let (verifier, protocol) = match callers {
        Callers::Certified => (verifier, b"h2".to_vec()),
        Callers::Anybody => (verifier.allow_unauthenticated(), b"http/1.1".to_vec()),
    };
    let verifier = verifier.build().map_err(material)?;
    let (chain, key) = credentials.copy();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(material)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(material)?;
    config.alpn_protocols = vec![protocol];
    Ok(Arc::new(config))
}

fn client(credentials: &Credentials, servers: Arc<RootCertStore>) -> Result<Arc<ClientConfig>, TlsError> {
    let verifier: Arc<dyn ServerCertVerifier> =
        rustls::client::WebPkiServerVerifier::builder_with_provider(servers, provider())
            .build()
            .map_err(material)?;
    let (chain, key) = credentials.copy();
    // The builder calls every verifier of one's own "dangerous"; this is the standard one, made with our provider.
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(material)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .map_err(material)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// TLS of a node: its two listeners and its way to peers.
#[derive(Clone)]
pub struct NodeTls {
    /// For clients.
    pub clients: Arc<ServerConfig>,
    /// For peers.
    pub peers: Arc<ServerConfig>,
    /// For the pages.
    pub web: Option<Arc<ServerConfig>>,
    /// To peers.
    pub dial: Arc<ClientConfig>,
    /// When the node's certificate ends.
    pub not_after: Option<i64>,
}

impl NodeTls {
    /// From the files of a configuration.
    pub fn load(config: &Config) -> Result<NodeTls, TlsError> {
        let credentials = Credentials::read(&config.certificate, &config.key)?;
        let expected = crate::directory::build::node_identity(&config.network, &config.node);
        let found = credentials.chain.first().map(|c| Identity::of_certificate(c));
        let own = Identity::of_uri(&expected);
        if found.as_ref() != Some(&own) {
            return Err(TlsError::File {
                path: config.certificate.display().to_string(),
                problem: format!("it does not name this node: its only URI must be {expected}"),
            });
        }
        let network = roots(&config.network_ca)?;
        let own_clients = roots(&config.client_ca)?;
        let web = match &config.web {
            None => None,
            Some(Web { certificate: None, .. }) => {
                Some(server(&credentials, own_clients.clone(), Callers::Anybody)?)
            }
            Some(Web { certificate: Some((certificate, key)), .. }) => {
                Some(server(&Credentials::read(certificate, key)?, own_clients.clone(), Callers::Anybody)?)
            }
        };
        Ok(NodeTls {
            clients: server(&credentials, own_clients, Callers::Certified)?,
            peers: server(&credentials, network.clone(), Callers::Certified)?,
            web,
            dial: client(&credentials, network)?,
            not_after: credentials.not_after(),
        })
    }
}

/// TLS of a client program.
pub fn client_tls(certificate: &Path, key: &Path, network_ca: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    client(&Credentials::read(certificate, key)?, roots(network_ca)?)
}
