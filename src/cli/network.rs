//! A whole local network, made in a folder: authorities, one folder per node with keys, certificates, configuration and
//! the signed directory, client certificates, and the keys that sign documents. For `init --network`, the demo, the
//! load and the tests.
//!
//! ```text
//! DIR/authority/       directory.key, directory.vkey, network-ca.pem/.key, client-ca.pem/.key, documents-ca.pem/.key
//! DIR/<node>/          lienthong.toml, node.pem/.key, network-ca.pem, client-ca.pem, log.key, cosign.key,
//!                      directory.note, crls/documents-ca.crl, data/
//! DIR/clients/         <node>-dms.pem/.key, <node>-admin.pem/.key, network-ca.pem
//! DIR/documents/       root-documents.pem, documents-ca.crl, seal-<code>.pem/.key, person-<code>.pem/.key
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CliError;
use super::pki::{self, Authority, Validity};
use crate::config::Config;
use crate::directory::build::{self, AgencyLine, NodeFacts};
use crate::domain::NodeName;
use crate::domain::event::Level;
use crate::merkle::NoteSigner;
use crate::rpc::client::{ConnectError, NodeClient};
use crate::signature::Signer;
use crate::time::Timestamp;

/// What a network is made from.
pub struct Plan<'a> {
    /// Its name.
    pub network: &'a str,
    /// Where it is made.
    pub dir: &'a Path,
    /// Its agencies.
    pub agencies: &'a [AgencyLine],
    /// Addresses of each node: for clients and for peers.
    pub addresses: &'a BTreeMap<NodeName, (SocketAddr, SocketAddr)>,
    /// Nodes that the directory lists without an endpoint: they call the others.
    pub unreachable: &'a BTreeSet<NodeName>,
    /// When the directory is made.
    pub issued_at: Timestamp,
    /// How long certificates are valid.
    pub validity: Validity,
    /// Make RSA keys for documents instead of P-256.
    pub rsa: bool,
    /// Write the document keys to files as well.
    pub write_document_keys: bool,
    /// Codes that get a person's key; empty: every agency.
    pub persons: &'a BTreeSet<String>,
    /// Authorities and seals of others that are trusted as well.
    pub extra: &'a ExtraTrust,
}

/// Authorities of document signatures, their revocation lists, and seals, from elsewhere.
#[derive(Debug, Default)]
pub struct ExtraTrust {
    /// Roots, DER.
    pub roots: Vec<Vec<u8>>,
    /// Revocation lists by file name, DER or PEM.
    pub crls: Vec<(String, Vec<u8>)>,
    /// Seal certificates (DER) by the agency's code.
    pub seals: Vec<(String, Vec<u8>)>,
}

/// A network that was made.
pub struct Network {
    /// Where it is.
    pub dir: PathBuf,
    /// Configuration of each node.
    pub nodes: BTreeMap<NodeName, Config>,
    /// Keys that sign documents.
    pub signers: Signers,
    homes: HashMap<String, String>,
}

impl Network {
    /// Name of the node that hosts an agency; empty where none does.
    pub fn node_of(&self, code: &str) -> &str {
        self.homes.get(code).map_or("", String::as_str)
    }

    /// Connects to a node as one of the clients that were made for it: `dms` or `admin`.
    pub async fn connect(&self, node: &NodeName, client: &str) -> Result<NodeClient, ConnectError> {
        let clients = self.dir.join("clients");
        let address =
            self.nodes.get(node).map_or_else(String::new, |config| config.listen_clients.to_string());
        NodeClient::connect(
            &address,
            node.as_str(),
            &clients.join(format!("{node}-{client}.pem")),
            &clients.join(format!("{node}-{client}.key")),
            &clients.join("network-ca.pem"),
        )
        .await
    }
}

/// The keys that sign documents: a seal per registered agency, a person per sender.
#[derive(Clone)]
pub struct Signers {
    seals: Arc<HashMap<String, Signer>>,
    persons: Arc<HashMap<String, Signer>>,
    registered: Arc<HashMap<String, String>>,
}

impl Signers {
    /// A person's signature, then the agency's, over content with this digest.
    pub fn sign(&self, sender: &str, sha256: &[u8; 32], at: Timestamp) -> Result<Vec<Vec<u8>>, CliError> {
        let registered = self.registered.get(sender).map_or(sender, String::as_str);
        let mut out = Vec::new();
        for signer in [self.persons.get(sender), self.seals.get(registered)].into_iter().flatten() {
            out.push(signer.sign_detached(sha256, at).map_err(CliError::failed)?);
        }
        Ok(out)
    }

    /// The seal alone.
    pub fn seal(&self, sender: &str) -> Option<&Signer> {
        self.seals.get(self.registered.get(sender).map_or(sender, String::as_str))
    }

    /// The person's key alone.
    pub fn person(&self, sender: &str) -> Option<&Signer> {
        self.persons.get(sender)
    }
}

/// The registered agency of every code of a list: the nearest ancestor that is no subunit.
pub fn registered(agencies: &[AgencyLine]) -> HashMap<String, String> {
    let by_code: HashMap<&str, &AgencyLine> = agencies.iter().map(|a| (a.code.as_str(), a)).collect();
    agencies
        .iter()
        .map(|agency| {
            let mut at = agency;
            // Bounded by the list's length: a loop in it is refused when the directory is read.
            for _ in 0..agencies.len() {
                match by_code.get(at.parent.as_str()) {
                    Some(parent) if at.level == Level::Subunit => at = parent,
                    _ => break,
                }
            }
            (agency.code.clone(), at.code.clone())
        })
        .collect()
}

/// The distinct nodes of an agency list, in its order.
pub fn nodes_of(agencies: &[AgencyLine]) -> Result<Vec<NodeName>, CliError> {
    let mut nodes = Vec::new();
    for line in agencies.iter().filter(|a| !a.node.is_empty()) {
        let node = NodeName::new(&line.node).map_err(CliError::failed)?;
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    if nodes.is_empty() {
        return Err(CliError::failed("the agency list names no node: fill in its column `node`"));
    }
    Ok(nodes)
}

/// The nodes of a network that others cannot call, by name; one at least must be left to be called.
pub fn unreachable(names: &[String], agencies: &[AgencyLine]) -> Result<BTreeSet<NodeName>, CliError> {
    let nodes = nodes_of(agencies)?;
    let mut out = BTreeSet::new();
    for name in names {
        let node = NodeName::new(name).map_err(CliError::failed)?;
        if !nodes.contains(&node) {
            let problem = format!("--unreachable {name}: the agency list names no such node");
            return Err(CliError::failed(problem));
        }
        out.insert(node);
    }
    if out.len() == nodes.len() {
        return Err(CliError::failed("--unreachable: one node at least must have an endpoint"));
    }
    Ok(out)
}

fn make_dir(path: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(path).map_err(|e| CliError::file("creating", path, &e))
}

/// Makes it.
pub fn make(plan: &Plan<'_>) -> Result<Network, CliError> {
    let authority_dir = plan.dir.join("authority");
    let clients_dir = plan.dir.join("clients");
    let documents_dir = plan.dir.join("documents");
    for dir in [&authority_dir, &clients_dir, &documents_dir] {
        make_dir(dir)?;
    }
    let network_ca = Authority::new(&format!("{} network", plan.network), plan.validity)?;
    let client_ca = Authority::new(&format!("{} clients", plan.network), plan.validity)?;
    let documents_ca = Authority::new(&format!("{} documents", plan.network), plan.validity)?;
    for (name, ca) in
        [("network-ca", &network_ca), ("client-ca", &client_ca), ("documents-ca", &documents_ca)]
    {
        ca.write(&authority_dir.join(format!("{name}.pem")), &authority_dir.join(format!("{name}.key")))?;
    }
    copy(&authority_dir.join("documents-ca.pem"), &documents_dir.join("root-documents.pem"))?;
    copy(&authority_dir.join("network-ca.pem"), &clients_dir.join("network-ca.pem"))?;
    // Nothing is revoked, and says so: without a list every signature would be `revocation_unknown`.
    let crl = documents_ca.empty_crl()?;
    pki::write_public(&documents_dir.join("documents-ca.crl"), crl.as_bytes())?;
    let (pem, der) = pki::ed25519()?;
    pki::write_secret(&authority_dir.join("directory.key"), pem.as_bytes())?;
    let authority =
        NoteSigner::from_pkcs8(&format!("{}/directory", plan.network), &der).map_err(CliError::failed)?;
    let vkey = authority.verifier().to_string();
    pki::write_public(&authority_dir.join("directory.vkey"), format!("{vkey}\n").as_bytes())?;

    let (signers, seals) = document_keys(plan, &documents_ca, &documents_dir)?;

    let mut facts = Vec::new();
    for (node, (_, peers)) in plan.addresses {
        let dir = plan.dir.join(node.as_str());
        make_dir(&dir)?;
        facts.push(node_files(plan, node, *peers, &dir, &network_ca)?);
        make_dir(&dir.join("crls"))?;
        pki::write_public(&dir.join("crls/documents-ca.crl"), crl.as_bytes())?;
        for (name, list) in &plan.extra.crls {
            pki::write_public(&dir.join("crls").join(name), list)?;
        }
        for file in ["network-ca.pem", "client-ca.pem"] {
            copy(&authority_dir.join(file), &dir.join(file))?;
        }
        for client in ["dms", "admin"] {
            let uri = build::client_identity(plan.network, node, client);
            let base = clients_dir.join(format!("{node}-{client}"));
            client_ca
                .tls(&uri, &[], false)?
                .write(&base.with_added_extension("pem"), &base.with_added_extension("key"))?;
        }
    }
    let valid_until =
        Timestamp::from_secs(rcgen::date_time_ymd(plan.validity.to_year, 1, 1).unix_timestamp());
    let mut roots = vec![documents_ca.der()];
    roots.extend(plan.extra.roots.iter().cloned());
    let content = build::first_version(
        plan.network,
        plan.issued_at,
        valid_until,
        &roots,
        &facts,
        plan.agencies,
        |code| {
            let extra = plan.extra.seals.iter().filter(|(of, _)| of == code).map(|(_, der)| der.clone());
            seals.get(code).cloned().into_iter().chain(extra).collect()
        },
    )
    .map_err(CliError::failed)?;
    let note = build::sign(&content, &authority).map_err(CliError::failed)?;
    // Read back as every node will: what cannot be verified is never handed out.
    crate::directory::Directory::verify(&note, authority.verifier()).map_err(CliError::failed)?;

    let mut nodes = BTreeMap::new();
    for (node, (clients, peers)) in plan.addresses {
        let dir = plan.dir.join(node.as_str());
        pki::write_public(&dir.join("directory.note"), note.as_bytes())?;
        let file = dir.join("lienthong.toml");
        let text = configuration(node, plan.network, *clients, *peers, &vkey);
        let text = with_collector(&text, plan.agencies);
        pki::write_public(&file, text.as_bytes())?;
        nodes.insert(node.clone(), Config::read(&file).map_err(CliError::failed)?);
    }
    let homes = plan.agencies.iter().map(|a| (a.code.clone(), a.node.clone())).collect();
    Ok(Network { dir: plan.dir.to_owned(), nodes, signers, homes })
}

fn copy(from: &Path, to: &Path) -> Result<(), CliError> {
    std::fs::copy(from, to).map(|_| ()).map_err(|e| CliError::file("copying", from, &e))
}

/// Seal certificates (DER) by code.
type Seals = HashMap<String, Vec<u8>>;

/// A seal per registered agency, a person per sender.
fn document_keys(plan: &Plan<'_>, ca: &Authority, dir: &Path) -> Result<(Signers, Seals), CliError> {
    let registered = registered(plan.agencies);
    let mut seals = HashMap::new();
    let mut certificates = HashMap::new();
    let mut persons = HashMap::new();
    for agency in plan.agencies {
        let issue = |common: &str| {
            if plan.rsa { ca.document_rsa(common, &agency.name) } else { ca.document(common, &agency.name) }
        };
        if registered.get(&agency.code) == Some(&agency.code) {
            let seal = issue(&agency.name)?;
            if plan.write_document_keys {
                let base = dir.join(format!("seal-{}", agency.code));
                seal.write(&base.with_added_extension("pem"), &base.with_added_extension("key"))?;
            }
            certificates.insert(agency.code.clone(), seal.der());
            seals.insert(agency.code.clone(), seal.signer()?);
        }
        if plan.persons.is_empty() || plan.persons.contains(&agency.code) {
            let person = issue(&format!("Người ký {}", agency.code))?;
            if plan.write_document_keys {
                let base = dir.join(format!("person-{}", agency.code));
                person.write(&base.with_added_extension("pem"), &base.with_added_extension("key"))?;
            }
            persons.insert(agency.code.clone(), person.signer()?);
        }
    }
    let signers =
        Signers { seals: Arc::new(seals), persons: Arc::new(persons), registered: Arc::new(registered) };
    Ok((signers, certificates))
}

fn node_files(
    plan: &Plan<'_>,
    node: &NodeName,
    peers: SocketAddr,
    dir: &Path,
    network_ca: &Authority,
) -> Result<NodeFacts, CliError> {
    let uri = build::node_identity(plan.network, node);
    let hosts = [node.to_string(), "localhost".to_owned(), "127.0.0.1".to_owned()];
    network_ca.tls(&uri, &hosts, true)?.write(&dir.join("node.pem"), &dir.join("node.key"))?;
    let (log_pem, log_der) = pki::ed25519()?;
    pki::write_secret(&dir.join("log.key"), log_pem.as_bytes())?;
    let (cosign_pem, cosign_der) = pki::ed25519()?;
    pki::write_secret(&dir.join("cosign.key"), cosign_pem.as_bytes())?;
    let log = NoteSigner::from_pkcs8(&node.log_origin(1), &log_der).map_err(CliError::failed)?;
    let cosign =
        NoteSigner::cosigner_from_pkcs8(&format!("{node}/witness"), &cosign_der).map_err(CliError::failed)?;
    Ok(NodeFacts {
        name: node.clone(),
        endpoints: if plan.unreachable.contains(node) { Vec::new() } else { vec![peers.to_string()] },
        log_key: log.verifier().clone(),
        cosign_key: cosign.verifier().clone(),
    })
}

/// In a network that is made at once, the node of the first agency collects the figures of all, and recounts them.
fn with_collector(text: &str, agencies: &[AgencyLine]) -> String {
    let Some(first) = agencies.iter().map(|a| &a.node).find(|node| !node.is_empty()) else {
        return text.to_owned();
    };
    text.replace("# collectors = [\"province\"]", &format!("collectors = [\"{first}\"]"))
        .replace("# auditors = []", &format!("auditors = [\"{first}\"]"))
}

/// The commented configuration of a node.
pub fn configuration(
    node: &NodeName,
    network: &str,
    clients: SocketAddr,
    peers: SocketAddr,
    authority: &str,
) -> String {
    format!(
        r#"# Configuration of a lienthong node. `lienthong check-config FILE` explains every error.
# Paths are relative to this file.

# Name of this node in the directory, and of the network.
node = "{node}"
network = "{network}"

# Everything that the node writes: journal, sled, content, directory versions. Back up journal and content.
data = "data"

[listen]
# For document-management systems, administrators and operators (clients of this node).
clients = "{clients}"
# For other nodes. This is the endpoint that the directory lists. A node that others cannot reach has none there, and
# may listen on 127.0.0.1:0: it calls them instead, and collects what they have for it.
peers = "{peers}"

[tls]
# This node's certificate (P-256), from the network's authority; its only URI is
# lienthong-node://{network}/{node}
certificate = "node.pem"
key = "node.key"
# Authority of the nodes' certificates.
network_ca = "network-ca.pem"
# Authority of this node's clients; not the same as the one above.
client_ca = "client-ca.pem"

[log]
# Ed25519 key that signs the log's checkpoints; the directory lists its public half.
key = "log.key"
# The key before it, for the start at which the log goes over to another: both sign the change. The directory lists the
# new key first.
# previous_key = "log-before.key"
# Ed25519 key that cosigns other nodes' checkpoints.
cosign_key = "cosign.key"
# generation = 1

[directory]
# The signed directory; newer versions come from peers, or from this file at the next start.
file = "directory.note"
# Verifier key of the directory's authority (C2SP signed note).
authority = "{authority}"

[signatures]
# Folder of the revocation lists (*.crl, PEM or DER) of the authorities that issue seals and personal certificates.
# Read at start, and again when a file comes, changes or goes. A signature whose certificates no list covers is
# `revocation_unknown`.
crl_dir = "crls"
# How often the folder is looked at, in seconds (default 60).
# reload_seconds = 60
# Ask the CRL distribution points and OCSP responders that certificates under a trusted root name for what the folder
# does not say: over plain HTTP, in the background, with the answers kept in `data`. false: a node without a way out.
# fetch = true
# Ask them also where their addresses are private, local or otherwise not of the public Internet: for a closed network
# with authorities of its own.
# allow_private_responders = false
# A document with such a signature is kept until it can be judged (hold), refused, or handed out with its verdicts
# (accept).
# revocation_unknown = "hold"

[limits]
# Bytes of all parts of one document (default 10 GiB).
# max_content_bytes = 10737418240
# Hours that delivery is tried before it is reported as undelivered (default 120, at most 720).
# delivery_hours = 120
# Hours that a large upload or transfer which broke off may be gone on with (default 24, at most 720).
# resume_hours = 24
# Bytes that such transfers of one client, or of one other node, may have on this disk (default 100 GiB).
# resume_bytes = 107374182400
# What one client may have at once, over all its connections; over it, it is refused (`overloaded`), others are not:
# connections (default 64), calls under way (512), documents being taken (2048), MiB of messages in memory (64).
# client_connections = 64
# client_streams = 512
# client_documents = 2048
# client_mib = 64
# Seconds that calls under way have to end when the node stops (default 10).
# drain_seconds = 10
# Seconds that a call may bring nothing after it has begun, such as an upload whose system has gone (default 60).
# idle_seconds = 60
# Milliseconds that another node's clock may be off before it is told (default 1000).
# clock_tolerance_ms = 1000

[peers]
# Seconds that making a connection to another node may take (default 10), and that it may take to answer a message
# (default 120). A node for which the directory lists no endpoint cannot be called: it calls the others, and collects
# what they have for it; nothing is configured for that.
# connect_seconds = 10
# answer_seconds = 120
# How often clocks and directory versions are compared over a connection that lasts, in seconds (default 60).
# compare_seconds = 60
# How often a peer's log that grows is asked to show that it only grew, in seconds.
# witness_seconds = 10
# How long peers are asked at the start for the newest checkpoint that they hold of this node's log, in seconds.
# start_seconds = 10

[storage]
# MiB of sled's cache (default 64).
# cache_mib = 64
# MiB of a journal segment (default 64).
# journal_segment_mib = 64
# MiB that must stay free: under `reserve_mib` no new documents are taken (default 1024), under `critical_mib` nothing
# is begun, and only receipts, statuses and hand-over go on (default 256).
# reserve_mib = 1024
# critical_mib = 256

[retention]
# How long content is kept, from the day on which this node recorded the document, by the name of its type: `forever`,
# days such as `90d`, or years such as `5y`. Events and proofs are always kept; `lienthong hold` keeps more (docs/OPERATIONS.md).
# default = "forever"
# Hour (UTC+7) at which content that is over is removed.
# hour = 1
# [retention.types]
# "Giấy mời" = "1y"

[check]
# How often the node checks its whole log by itself, in hours (0: never), the first time at this hour (UTC+7), at most so
# many events in a second; with `content`, all content as well, at most so many megabytes in a second.
# every_hours = 24
# hour = 2
# events_per_second = 5000
# content = false
# megabytes_per_second = 20

[metrics]
# Serve metrics for Prometheus over plain HTTP at http://ADDRESS/metrics (docs/OPERATIONS.md). Off by default.
# listen = "127.0.0.1:9464"

[traces]
# Send what deliveries went through, as spans, to an OpenTelemetry collector (OTLP over gRPC; docs/OPERATIONS.md). With
# https://, `ca` is the authority (PEM) of its certificate. percent is the share of deliveries, the same ones at every
# node. Off by default.
# otlp = "http://127.0.0.1:4317"
# ca = "collector-ca.pem"
# percent = 100

[figures]
# Weekdays that are free and weekends that are worked (yyyy-mm-dd): a document must be sent by noon of the next working
# day. A change holds for what is sent from then on, and is recorded in the log.
# holidays = ["2016-02-08", "2016-02-09"]
# workdays = []
# The nodes that may collect this node's statements for the network's figures (ids of deliveries, agencies, channels and
# verdicts), and those that may read its whole log as well, to recount them. Nobody by default.
# collectors = ["province"]
# auditors = []
# [figures.targets]
# What the pages measure the province by, in whole percent: fully electronic in the province (at least), both ways inside
# agencies (at most), any electronic with agencies outside (at least).
# fully_electronic = 90
# dual = 20
# any_electronic = 50

# [web]
# Pages for operators, auditors and administrators, over HTTPS: sign in with a client's certificate, or with a link from
# `lienthong web-login`. url is what people write (default: the address); certificate and key (PEM) are what their
# browsers trust (default: the node's own, under the network's authority).
# listen = "0.0.0.0:7443"
# url = "https://lienthong.example.gov.vn:7443"
# certificate = "web.pem"
# key = "web.key"

# [evidence]
# Certificate (PEM, with its chain) and key (PEM, PKCS#8) with which exported evidence is signed: one for documents,
# under a root that the courts trust. Without them the manifest of what is exported is not signed.
# certificate = "evidence.pem"
# key = "evidence.key"

# [timestamps]
# An authority (RFC 3161) that timestamps this log's checkpoints: the proof of when an event existed that rests on no
# node's word. Its certificate must be one for timestamps, under a document root of the directory. Asked when the log
# has grown, at most this often; when it does not answer, the node goes on, and `lienthong status` says since when.
# url = "http://tsa.example/"
# interval_minutes = 60

[commands]
# Client certificates that `lienthong … --config` uses: <node>-<client>.pem and .key, network-ca.pem.
folder = "../clients"

# One entry per client program. `name` is the last part of the URI in its certificate:
# lienthong-client://{network}/{node}/<name>
# agencies: codes, or "*" for all that this node hosts. roles, for these agencies: dms, auditor, operator.
# node_roles, for the whole node: auditor, operator, admin.
[[clients]]
name = "dms"
agencies = ["*"]
roles = ["dms"]
node_roles = ["operator"]

[[clients]]
name = "admin"
node_roles = ["admin"]
"#
    )
}
