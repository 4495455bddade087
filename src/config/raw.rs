//! The file as it is written. No check beyond form; see [`super::Config::from_raw`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Raw {
    pub node: String,
    pub network: String,
    pub data: PathBuf,
    pub listen: Listen,
    pub tls: Tls,
    pub log: Log,
    pub directory: DirectoryFile,
    #[serde(default)]
    pub signatures: Signatures,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub peers: Peers,
    #[serde(default)]
    pub storage: Storage,
    #[serde(default)]
    pub metrics: Metrics,
    #[serde(default)]
    pub traces: Traces,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<Web>,
    #[serde(default)]
    pub figures: Figures,
    #[serde(default)]
    pub retention: Retention,
    #[serde(default)]
    pub check: Check,
    #[serde(default)]
    pub commands: Commands,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<Timestamps>,
    #[serde(default)]
    pub clients: Vec<Client>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Commands {
    pub folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Evidence {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Timestamps {
    pub url: String,
    pub interval_minutes: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Web {
    pub listen: String,
    pub url: Option<String>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Listen {
    pub clients: String,
    pub peers: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub network_ca: PathBuf,
    pub client_ca: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Log {
    pub key: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_key: Option<PathBuf>,
    pub cosign_key: PathBuf,
    #[serde(default = "first_generation")]
    pub generation: u32,
}

fn first_generation() -> u32 {
    1
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct DirectoryFile {
    pub file: PathBuf,
    pub authority: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Signatures {
    pub crl_dir: Option<PathBuf>,
    pub reload_seconds: Option<u64>,
    pub fetch: Option<bool>,
    pub allow_private_responders: Option<bool>,
    pub revocation_unknown: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Limits {
    pub max_content_bytes: Option<u64>,
    pub delivery_hours: Option<u64>,
    pub resume_hours: Option<u64>,
    pub resume_bytes: Option<u64>,
    pub client_connections: Option<u64>,
    pub client_streams: Option<u64>,
    pub client_documents: Option<u64>,
    pub client_mib: Option<u64>,
    pub drain_seconds: Option<u64>,
    pub idle_seconds: Option<u64>,
    pub clock_tolerance_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Peers {
    pub connect_seconds: Option<u64>,
    pub answer_seconds: Option<u64>,
    pub compare_seconds: Option<u64>,
    pub witness_seconds: Option<u64>,
    pub start_seconds: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Storage {
    pub cache_mib: Option<u64>,
    pub journal_segment_mib: Option<u64>,
    pub reserve_mib: Option<u64>,
    pub critical_mib: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Metrics {
    pub listen: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Traces {
    pub otlp: Option<String>,
    pub ca: Option<PathBuf>,
    pub percent: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Retention {
    pub hour: Option<u64>,
    pub default: Option<String>,
    #[serde(default)]
    pub types: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Check {
    pub every_hours: Option<u64>,
    pub hour: Option<u64>,
    pub events_per_second: Option<u64>,
    pub content: Option<bool>,
    pub megabytes_per_second: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Client {
    pub name: String,
    #[serde(default)]
    pub agencies: Vec<String>,
    #[serde(default)]
    pub roles: Vec<String>,
    #[serde(default)]
    pub node_roles: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Figures {
    #[serde(default)]
    pub holidays: Vec<String>,
    #[serde(default)]
    pub workdays: Vec<String>,
    #[serde(default)]
    pub targets: Targets,
    #[serde(default)]
    pub collectors: Vec<String>,
    #[serde(default)]
    pub auditors: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the keys are described in the file that `lienthong init` writes")]
pub struct Targets {
    pub fully_electronic: Option<u64>,
    pub dual: Option<u64>,
    pub any_electronic: Option<u64>,
}
