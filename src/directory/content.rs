//! The text of a directory version: JSON, with stable names. Unknown fields are refused, so that nothing that was
//! signed is silently ignored.

use serde::{Deserialize, Serialize};

use crate::domain::event::Level;
use crate::domain::ids::{Digest, NodeName};
use crate::time::{Date, Timestamp};

/// Format of the text.
pub const FORMAT: u32 = 1;

/// A directory version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Format: 1.
    pub format: u32,
    /// Name of the network.
    pub network: String,
    /// Version, counting up from 1.
    pub version: u64,
    /// SHA-256 of the signed version before.
    #[serde(with = "opt_text")]
    pub previous: Option<Digest>,
    /// When it was made.
    #[serde(with = "text")]
    pub issued_at: Timestamp,
    /// Until when the authority vouches for it.
    #[serde(with = "text")]
    pub valid_until: Timestamp,
    /// Roots of document signatures: DER in base64.
    pub roots: Vec<String>,
    /// Certificates that never sign documents, whatever their extensions allow: timestamp and OCSP authorities, TLS,
    /// certification authorities. DER in base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_signers: Vec<String>,
    /// Nodes.
    pub nodes: Vec<NodeEntry>,
    /// Agencies.
    pub agencies: Vec<AgencyEntry>,
}

/// What a directory version says of nodes; the rest of it is read over.
#[derive(Debug, Deserialize)]
pub(super) struct NodesOnly {
    pub format: u32,
    pub network: String,
    pub version: u64,
    #[serde(with = "opt_text")]
    pub previous: Option<Digest>,
    pub nodes: Vec<NodeEntry>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// Its name; also the DNS name of its certificate.
    pub name: NodeName,
    /// `host:port` of its listener for peers; none where it cannot be reached.
    pub endpoints: Vec<String>,
    /// URI of its TLS certificates.
    pub tls_identity: String,
    /// Keys of its logs.
    pub log_keys: Vec<LogKey>,
    /// Keys with which it cosigns others' checkpoints (C2SP verifier keys).
    pub cosign_keys: Vec<String>,
}

/// The key of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogKey {
    /// C2SP verifier key; its name is the log's origin.
    pub key: String,
    /// First and last tree size that it signs: a checkpoint of another size does not count.
    pub first: u64,
    /// Last tree size; none while it is in use.
    pub last: Option<u64>,
    /// Since when the key is no longer trusted. What it signed counts only where somebody else saw it before.
    #[serde(with = "opt_text", default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Timestamp>,
}

/// An agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgencyEntry {
    /// Permanent id.
    pub id: String,
    /// Codes, current and old forms.
    pub codes: Vec<CodeEntry>,
    /// Name.
    pub name: String,
    /// Level.
    pub level: Level,
    /// Permanent id of the parent.
    pub parent: Option<String>,
    /// Which node hosts it when; none: it has no node.
    pub hosting: Vec<Hosting>,
    /// Seal certificates: DER in base64.
    pub seals: Vec<String>,
    /// First day on which it no longer exists.
    #[serde(with = "opt_text", default, skip_serializing_if = "Option::is_none")]
    pub closed_on: Option<Date>,
}

/// A code and when it is valid: from that day on, up to but not on that day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeEntry {
    /// The code.
    pub code: String,
    /// First day.
    #[serde(with = "opt_text", default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// First day on which it is no longer valid.
    #[serde(with = "opt_text", default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}

impl CodeEntry {
    /// Whether it is the agency's code on that day.
    pub fn is_valid(&self, on: Date) -> bool {
        self.from.is_none_or(|from| on >= from) && self.to.is_none_or(|to| on < to)
    }
}

/// A node and when it hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosting {
    /// The node.
    pub node: NodeName,
    /// First day.
    #[serde(with = "opt_text", default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// First day on which it no longer hosts.
    #[serde(with = "opt_text", default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}

/// Values as their text.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        d: D,
    ) -> Result<T, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// Optional values as their text.
mod opt_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &Option<T>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(v) => s.collect_str(v),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<T>, D::Error> {
        Option::<String>::deserialize(d)?.map(|t| t.parse().map_err(de::Error::custom)).transpose()
    }
}
