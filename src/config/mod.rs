//! Configuration of a node: a TOML file, read raw (unknown keys are refused), then made valid in one place.
//!
//! Every error names the key, the offending value and what is allowed. Paths are relative to the file. Secrets are
//! never in the file, only the paths of their files.

mod calendar;
mod collectors;
mod keep;
mod raw;
mod settings;
mod traces;
mod web;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::ids::NodeName;
use crate::domain::limits;
use crate::domain::ratio::Calendar;
use crate::merkle::NoteVerifier;

pub use collectors::Collectors;
pub use keep::{Keep, Retention, SelfCheck};
pub use raw::Raw;
pub use settings::Named;
pub use traces::Traces;
pub use web::{Targets, Web};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {path} cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is no TOML of the expected form.
    #[error("configuration {path}: {error}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: String,
    },
    /// A value is not allowed.
    #[error("configuration key `{key}`: `{value}` is not allowed: {allowed}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

/// What becomes of a document one of whose signatures is `revocation_unknown`, and none invalid. Its verdicts are
/// recorded in any case, so that one let through is flagged and never counts as legally effective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevocationUnknown {
    /// Kept by the recipient's node, and not handed out until it can be judged.
    #[default]
    Hold,
    /// Refused, by the first node that cannot judge it.
    Refuse,
    /// Handed out, with its verdicts.
    Accept,
}

/// What a client may do for its agencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Send, receive, report statuses, enter paper: an agency's document-management system.
    Dms,
    /// Read the events of its agencies.
    Auditor,
    /// Read ratios and queues of its agencies.
    Operator,
}

/// What a client may do for the whole node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeRole {
    /// Read every event.
    Auditor,
    /// Read ratios, queues and state.
    Operator,
    /// Everything an operator may, and change the node.
    Admin,
}

/// A client of the node: known by the URI in its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name, the last part of the URI.
    pub name: String,
    /// Codes of the agencies that it acts for; `None`: all that this node hosts.
    pub agencies: Option<BTreeSet<String>>,
    /// What it may do for them.
    pub roles: BTreeSet<Role>,
    /// What it may do for the node.
    pub node_roles: BTreeSet<NodeRole>,
}

/// Where timestamps are asked for, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamps {
    /// `http://host[:port]/path` of an authority after RFC 3161. A token is signed, so the way to it need not be secret.
    pub url: String,
    /// How often, if the log grew.
    pub interval: Duration,
}

/// A valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of this node.
    pub node: NodeName,
    /// Name of the network.
    pub network: String,
    /// Generation of the log.
    pub generation: u32,
    /// Where everything that the node writes lives.
    pub data: PathBuf,
    /// Listener for clients.
    pub listen_clients: SocketAddr,
    /// Listener for peers.
    pub listen_peers: SocketAddr,
    /// The node's certificate chain (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM, PKCS#8, P-256).
    pub key: PathBuf,
    /// CA of the nodes' certificates (PEM).
    pub network_ca: PathBuf,
    /// CA of this node's clients (PEM).
    pub client_ca: PathBuf,
    /// Key of the log (PEM, PKCS#8, Ed25519).
    pub log_key: PathBuf,
    /// The key before it, while the log goes over from that one.
    pub previous_log_key: Option<PathBuf>,
    /// Key for cosignatures.
    pub cosign_key: PathBuf,
    /// Key of the directory's authority.
    pub authority: NoteVerifier,
    /// File of the signed directory, adopted at start when it is newer than the stored one.
    pub directory: PathBuf,
    /// Folder of revocation lists for document signatures.
    pub crl_dir: Option<PathBuf>,
    /// How often that folder is looked at.
    pub crl_reload: Duration,
    /// Whether distribution points and OCSP responders are asked for what the folder does not say.
    pub fetch_revocation: bool,
    /// Whether they may have addresses that are not of the public Internet.
    pub allow_private_responders: bool,
    /// What becomes of a document whose signatures cannot be judged.
    pub revocation_unknown: RevocationUnknown,
    /// Folder of the client certificates that commands use: `<node>-<client>.pem` and `.key`, `network-ca.pem`.
    pub commands: Option<PathBuf>,
    /// With what exported evidence is signed: certificate with its chain, and key (PEM).
    pub evidence: Option<(PathBuf, PathBuf)>,
    /// Who timestamps this log's checkpoints; `None`: nobody.
    pub timestamps: Option<Timestamps>,
    /// Clients.
    pub clients: Vec<Client>,
    /// Bytes of all parts of one document.
    pub max_content_bytes: u64,
    /// How long delivery is tried, in milliseconds.
    pub delivery_ms: i64,
    /// How long making a connection to a peer may take, handshake and hello included.
    pub peer_connect: Duration,
    /// How long a peer may take to answer a message, or to take the next piece of large content.
    pub peer_answer: Duration,
    /// How often clocks and versions are compared over a connection that lasts.
    pub peer_compare: Duration,
    /// How long a call that has begun may bring nothing.
    pub idle: Duration,
    /// How often a peer's growing log is asked about.
    pub witness_every: Duration,
    /// How long peers are asked at the start what they hold of this node's log.
    pub start_ask: Duration,
    /// How long a transfer that broke off may be gone on with, in milliseconds.
    pub partial_ms: i64,
    /// Bytes of all such transfers of one client or peer.
    pub partial_bytes: u64,
    /// Cache of sled, in bytes.
    pub cache_bytes: u64,
    /// Bytes of a new journal segment.
    pub journal_segment_bytes: u64,
    /// Free bytes under which no new documents are taken.
    pub reserve_bytes: u64,
    /// Free bytes under which nothing is begun.
    pub critical_bytes: u64,
    /// What one client may have at once.
    pub client_share: Share,
    /// How long calls under way may take to end when the node stops.
    pub drain: Duration,
    /// How far another node's clock may be off before it is told, in milliseconds.
    pub clock_tolerance_ms: i64,
    /// Days that are not as their weekday: what is sent in time is decided by them.
    pub calendar: Calendar,
    /// The nodes that may have this node's figures.
    pub collectors: Collectors,
    /// Where metrics are served over plain HTTP; `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Where spans of deliveries go; `None`: nowhere.
    pub traces: Option<Traces>,
    /// How long content is kept.
    pub retention: Retention,
    /// How the node checks itself.
    pub check: SelfCheck,
    /// The pages; `None`: there are none.
    pub web: Option<Web>,
    /// What the three measures are to reach.
    pub targets: Targets,
}

/// What one client or peer may have at once, over all its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Connections.
    pub connections: usize,
    /// Calls under way.
    pub streams: usize,
    /// Documents that are being taken.
    pub documents: usize,
    /// Bytes of messages in memory.
    pub bytes: usize,
}

impl Share {
    /// A client's, unless the configuration says otherwise.
    pub const CLIENT: Share = Share {
        connections: limits::CLIENT_CONNECTIONS,
        streams: limits::CLIENT_STREAMS,
        documents: limits::CLIENT_DOCUMENTS,
        bytes: limits::CLIENT_BYTES,
    };
    /// A peer's.
    pub const PEER: Share = Share {
        connections: limits::PEER_CONNECTIONS,
        streams: limits::PEER_STREAMS,
        documents: limits::PEER_IN_FLIGHT,
        bytes: limits::PEER_BYTES,
    };
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        let raw: Raw = toml::from_str(&text)
            .map_err(|e| ConfigError::Format { path: path.to_owned(), error: e.to_string() })?;
        Config::from_raw(raw, path.parent().unwrap_or(Path::new(".")))
    }

    /// Makes a raw configuration valid; relative paths start at `base`.
    pub fn from_raw(raw: Raw, base: &Path) -> Result<Config, ConfigError> {
        let value = |key: &str, value: &dyn std::fmt::Display, allowed: &str| ConfigError::Value {
            key: key.to_owned(),
            value: value.to_string(),
            allowed: allowed.to_owned(),
        };
        let address = |key: &str, text: &str| {
            text.parse::<SocketAddr>()
                .map_err(|_| value(key, &text, "an address and port such as 127.0.0.1:7400 or [::]:7400"))
        };
        let between = |key: &str, v: u64, min: u64, max: u64| {
            if (min..=max).contains(&v) {
                Ok(v)
            } else {
                Err(value(key, &v, &format!("a number from {min} to {max}")))
            }
        };
        let node = NodeName::new(&raw.node)
            .map_err(|_| value("node", &raw.node, "1 to 63 letters, digits, `-` or `.`"))?;
        let network_ok = !raw.network.is_empty()
            && raw.network.len() <= 63
            && raw.network.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if !network_ok {
            return Err(value("network", &raw.network, "1 to 63 letters, digits, `-` or `.`"));
        }
        let authority = raw.directory.authority.parse().map_err(|e| {
            value("directory.authority", &raw.directory.authority, &format!("a C2SP verifier key ({e})"))
        })?;
        let mut clients: Vec<Client> = Vec::new();
        for (i, client) in raw.clients.into_iter().enumerate() {
            let client = client_of(client, &format!("clients[{i}]"))?;
            if clients.iter().any(|c| c.name == client.name) {
                return Err(value(&format!("clients[{i}].name"), &client.name, "each name once"));
            }
            clients.push(client);
        }
        let reserve = raw.storage.reserve_mib.unwrap_or(limits::RESERVE_BYTES >> 20);
        let reserve_mib = between("storage.reserve_mib", reserve, 0, 1 << 30)?;
        let critical = raw.storage.critical_mib.unwrap_or((limits::CRITICAL_BYTES >> 20).min(reserve_mib));
        let critical_mib = between("storage.critical_mib", critical, 0, reserve_mib)?;
        let share = |key: &str, given: Option<u64>, default: usize| {
            between(key, given.unwrap_or(default as u64), 1, 65_536).map(|n| n as usize)
        };
        let (own, default) = (&raw.limits, Share::CLIENT);
        let client_share = Share {
            connections: share("limits.client_connections", own.client_connections, default.connections)?,
            streams: share("limits.client_streams", own.client_streams, default.streams)?,
            documents: share("limits.client_documents", own.client_documents, default.documents)?,
            bytes: share("limits.client_mib", own.client_mib, default.bytes >> 20)? << 20,
        };
        Ok(Config {
            node,
            network: raw.network,
            generation: raw.log.generation,
            data: base.join(raw.data),
            listen_clients: address("listen.clients", &raw.listen.clients)?,
            listen_peers: address("listen.peers", &raw.listen.peers)?,
            certificate: base.join(raw.tls.certificate),
            key: base.join(raw.tls.key),
            network_ca: base.join(raw.tls.network_ca),
            client_ca: base.join(raw.tls.client_ca),
            log_key: base.join(raw.log.key),
            previous_log_key: raw.log.previous_key.map(|f| base.join(f)),
            cosign_key: base.join(raw.log.cosign_key),
            authority,
            directory: base.join(raw.directory.file),
            crl_dir: raw.signatures.crl_dir.map(|f| base.join(f)),
            crl_reload: Duration::from_secs(between(
                "signatures.reload_seconds",
                raw.signatures.reload_seconds.unwrap_or(60),
                1,
                86_400,
            )?),
            fetch_revocation: raw.signatures.fetch.unwrap_or(true),
            allow_private_responders: raw.signatures.allow_private_responders.unwrap_or(false),
            revocation_unknown: match raw.signatures.revocation_unknown.as_deref() {
                None | Some("hold") => RevocationUnknown::Hold,
                Some("refuse") => RevocationUnknown::Refuse,
                Some("accept") => RevocationUnknown::Accept,
                Some(other) => {
                    return Err(value("signatures.revocation_unknown", &other, "hold, refuse or accept"));
                }
            },
            commands: raw.commands.folder.map(|f| base.join(f)),
            evidence: raw.evidence.map(|e| (base.join(e.certificate), base.join(e.key))),
            timestamps: raw.timestamps.map(timestamps_of).transpose()?,
            clients,
            max_content_bytes: between(
                "limits.max_content_bytes",
                raw.limits.max_content_bytes.unwrap_or(limits::CONTENT_BYTES),
                1,
                1 << 44,
            )?,
            delivery_ms: 3_600_000
                * between("limits.delivery_hours", raw.limits.delivery_hours.unwrap_or(120), 1, 720)? as i64,
            peer_connect: Duration::from_secs(between(
                "peers.connect_seconds",
                raw.peers.connect_seconds.unwrap_or(10),
                1,
                600,
            )?),
            witness_every: Duration::from_secs(between(
                "peers.witness_seconds",
                raw.peers.witness_seconds.unwrap_or(limits::WITNESS_EVERY.as_secs()),
                1,
                3_600,
            )?),
            start_ask: Duration::from_secs(between(
                "peers.start_seconds",
                raw.peers.start_seconds.unwrap_or(limits::START_ASK.as_secs()),
                1,
                600,
            )?),
            peer_answer: Duration::from_secs(between(
                "peers.answer_seconds",
                raw.peers.answer_seconds.unwrap_or(120),
                1,
                3_600,
            )?),
            peer_compare: Duration::from_secs(between(
                "peers.compare_seconds",
                raw.peers.compare_seconds.unwrap_or(limits::COMPARE.as_secs()),
                1,
                3_600,
            )?),
            idle: Duration::from_secs(between(
                "limits.idle_seconds",
                raw.limits.idle_seconds.unwrap_or(limits::IDLE.as_secs()),
                1,
                3_600,
            )?),
            partial_ms: 3_600_000
                * between("limits.resume_hours", raw.limits.resume_hours.unwrap_or(24), 1, 720)? as i64,
            partial_bytes: between(
                "limits.resume_bytes",
                raw.limits.resume_bytes.unwrap_or(limits::PARTIAL_BYTES),
                1,
                1 << 50,
            )?,
            cache_bytes: (1 << 20)
                * between("storage.cache_mib", raw.storage.cache_mib.unwrap_or(64), 8, 65_536)?,
            journal_segment_bytes: (1 << 20)
                * between(
                    "storage.journal_segment_mib",
                    raw.storage.journal_segment_mib.unwrap_or(64),
                    1,
                    4_096,
                )?,
            reserve_bytes: reserve_mib << 20,
            critical_bytes: critical_mib << 20,
            client_share,
            drain: Duration::from_secs(between(
                "limits.drain_seconds",
                raw.limits.drain_seconds.unwrap_or(limits::DRAIN_SECONDS),
                1,
                3_600,
            )?),
            clock_tolerance_ms: between(
                "limits.clock_tolerance_ms",
                raw.limits.clock_tolerance_ms.unwrap_or(limits::CLOCK_TOLERANCE_MS as u64),
                1,
                3_600_000,
            )? as i64,
            calendar: calendar::calendar_of(&raw.figures)?,
            targets: web::targets_of(&raw.figures.targets, &between)?,
            collectors: collectors::collectors_of(&raw.figures)?,
            metrics: raw.metrics.listen.as_deref().map(|a| address("metrics.listen", a)).transpose()?,
            traces: traces::traces_of(raw.traces, base)?,
            retention: keep::retention(raw.retention, &between)?,
            check: keep::self_check(&raw.check, &between)?,
            web: raw.web.map(|web| web::web_of(web, base, &address)).transpose()?,
        })
    }

    /// A client by its name.
    pub fn client(&self, name: &str) -> Option<&Client> {
        self.clients.iter().find(|c| c.name == name)
    }
}

fn timestamps_of(raw: raw::Timestamps) -> Result<Timestamps, ConfigError> {
    let value = |sub: &str, value: String, allowed: &str| ConfigError::Value {
        key: format!("timestamps.{sub}"),
        value,
        allowed: allowed.to_owned(),
    };
    let plain = raw.url.strip_prefix("http://").is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty() && !host.contains('@') && rest.bytes().all(|b| b.is_ascii_graphic())
    });
    if !plain {
        return Err(value(
            "url",
            raw.url,
            "http://host[:port]/path (a timestamp is signed: plain HTTP will do)",
        ));
    }
    let minutes = raw.interval_minutes.unwrap_or(60);
    if !(1..=10_080).contains(&minutes) {
        return Err(value("interval_minutes", minutes.to_string(), "a number from 1 to 10080"));
    }
    Ok(Timestamps { url: raw.url, interval: Duration::from_secs(60 * minutes) })
}

fn client_of(raw: raw::Client, key: &str) -> Result<Client, ConfigError> {
    let value = |sub: &str, value: &str, allowed: &str| ConfigError::Value {
        key: format!("{key}.{sub}"),
        value: value.to_owned(),
        allowed: allowed.to_owned(),
    };
    let name_ok = (1..=63).contains(&raw.name.len())
        && raw.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_');
    if !name_ok {
        return Err(value("name", &raw.name, "1 to 63 letters, digits, `-`, `_` or `.`"));
    }
    let roles = raw
        .roles
        .iter()
        .map(|r| match r.as_str() {
            "dms" => Ok(Role::Dms),
            "auditor" => Ok(Role::Auditor),
            "operator" => Ok(Role::Operator),
            other => Err(value("roles", other, "dms, auditor, operator")),
        })
        .collect::<Result<_, _>>()?;
    let node_roles = raw
        .node_roles
        .iter()
        .map(|r| match r.as_str() {
            "auditor" => Ok(NodeRole::Auditor),
            "operator" => Ok(NodeRole::Operator),
            "admin" => Ok(NodeRole::Admin),
            other => Err(value("node_roles", other, "auditor, operator, admin")),
        })
        .collect::<Result<_, _>>()?;
    let all = raw.agencies.iter().any(|a| a == "*");
    if all && raw.agencies.len() > 1 {
        return Err(value("agencies", &raw.agencies.join(", "), "either \"*\" alone or codes"));
    }
    let agencies = (!all).then(|| raw.agencies.into_iter().collect());
    Ok(Client { name: raw.name, agencies, roles, node_roles })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        node = "thuan-an"
        network = "binh-duong"
        data = "data"
        [listen]
        clients = "127.0.0.1:7400"
        peers = "127.0.0.1:7401"
        [tls]
        certificate = "node.pem"
        key = "node.key"
        network_ca = "network-ca.pem"
        client_ca = "client-ca.pem"
        [log]
        key = "log.key"
        cosign_key = "cosign.key"
        [directory]
        file = "directory.note"
        authority = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        [[clients]]
        name = "dms"
        agencies = ["H09.1"]
        roles = ["dms"]
    "#;

    fn parse(text: &str) -> Result<Config, String> {
        let raw: Raw = toml::from_str(text).map_err(|e| e.to_string())?;
        Config::from_raw(raw, Path::new("/etc/lienthong")).map_err(|e| e.to_string())
    }

    #[test]
    fn a_good_file_is_read_with_safe_defaults() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.data, Path::new("/etc/lienthong/data"));
        assert_eq!(config.max_content_bytes, limits::CONTENT_BYTES);
        assert_eq!(config.delivery_ms, limits::DELIVERY_MS);
        assert_eq!(config.crl_reload, Duration::from_secs(60));
        assert!(config.fetch_revocation && !config.allow_private_responders);
        let thresholds = (config.reserve_bytes, config.critical_bytes);
        assert_eq!(thresholds, (limits::RESERVE_BYTES, limits::CRITICAL_BYTES));
        assert_eq!((config.client_share, config.metrics), (Share::CLIENT, None));
    }

    #[test]
    fn an_error_names_the_key_the_value_and_what_is_allowed() {
        for (from, to, expected) in [
            ("127.0.0.1:7400", "localhost", "`listen.clients`: `localhost`"),
            ("\"dms\"]", "\"boss\"]", "dms, auditor, operator"),
            ("node = \"thuan-an\"", "node = \"-\"", "configuration key `node`: `-`"),
            ("data = \"data\"", "data = \"data\"\ndate = 1", "unknown field `date`"),
            (
                "[directory]",
                "[signatures]\nrevocation_unknown = \"ask\"\n[directory]",
                "hold, refuse or accept",
            ),
            (
                "[directory]",
                "[signatures]\nreload_seconds = 0\n[directory]",
                "`signatures.reload_seconds`: `0` is not allowed: a number from 1 to 86400",
            ),
            (
                "[directory]",
                "[storage]\nreserve_mib = 100\ncritical_mib = 101\n[directory]",
                "`storage.critical_mib`: `101` is not allowed: a number from 0 to 100",
            ),
            (
                "[directory]",
                "[figures]\nholidays = [\"2016-02-06\"]\n[directory]",
                "`figures.holidays`: `2016-02-06` is not allowed: Mondays to Fridays",
            ),
            (
                "[directory]",
                "[figures]\nworkdays = [\"2016-2\"]\n[directory]",
                "`figures.workdays`: `2016-2`",
            ),
            (
                "[directory]",
                "[figures]\ncollectors = [\"-\"]\n[directory]",
                "`figures.collectors`: `-` is not allowed: names of nodes",
            ),
            ("[directory]", "[metrics]\nlisten = \"9090\"\n[directory]", "`metrics.listen`: `9090`"),
            (
                "[directory]",
                "[limits]\nclient_streams = 0\n[directory]",
                "`limits.client_streams`: `0` is not allowed: a number from 1",
            ),
            (
                "[directory]",
                "[timestamps]\nurl = \"https://tsa/\"\n[directory]",
                "`timestamps.url`: `https://tsa/`",
            ),
            (
                "[directory]",
                "[traces]\notlp = \"collector:4317\"\n[directory]",
                "`traces.otlp`: `collector:4317`",
            ),
            (
                "[directory]",
                "[traces]\notlp = \"https://collector:4317\"\n[directory]",
                "`traces.ca`: `` is not allowed: the authority",
            ),
            ("[directory]", "[traces]\npercent = 10\n[directory]", "`traces.otlp`: ``"),
            (
                "[directory]",
                "[traces]\notlp = \"http://[::1]:4317\"\npercent = 101\n[directory]",
                "`traces.percent`: `101`",
            ),
            ("[directory]", "[signatures]\nfetch = \"no\"\n[directory]", "expected a boolean"),
            ("[directory]", "[signatures]\nfetch_crls = true\n[directory]", "unknown field `fetch_crls`"),
            ("+c74f20a3+", "+00000000+", "directory.authority"),
        ] {
            let error = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
