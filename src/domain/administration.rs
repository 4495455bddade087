//! What a node records of itself beside the exchange: its configuration, its clients, its keys, whom it turned away, and
//! what was taken out of its log. event.proto describes the fields.

use std::fmt;
use std::str::FromStr;

use super::ids::{AgencyId, Digest};
use crate::time::Timestamp;

/// Words that stand for the variants of an enumeration, both ways.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident $what:literal { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The stable word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<$name, UnknownWord> {
                let known = Self::ALL.iter().find(|v| v.as_str() == text).copied();
                known.ok_or_else(|| UnknownWord { text: super::ids::shorten(text), what: $what })
            }
        }
    };
}

/// A word that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}")]
pub struct UnknownWord {
    text: String,
    what: &'static str,
}

/// Reason of the alarm that a node's check of its own log found something wrong.
pub const SELF_CHECK: &str = "self_check";

/// The configuration in force is another than at the last start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// Of all settings and their values.
    pub digest: Digest,
    /// The one before; none at the first start.
    pub previous: Option<Digest>,
    /// Names of the settings whose values changed, or that are new or gone; in order.
    pub changed: Vec<String>,
    /// Every setting by name, with the first bytes of the digest of its value: the next start compares with them.
    pub settings: Vec<Setting>,
}

/// A setting, its value as a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Name, as in the configuration file.
    pub name: String,
    /// The first 8 bytes of SHA-256 of the value.
    pub value: [u8; 8],
}

words! {
    /// What became of a client.
    ClientStep "change of a client" {
        /// It may call from now on.
        Added "added",
        /// It may not call any more.
        Removed "removed",
        /// It may do something else.
        Changed "changed",
    }
}

/// A client was added, removed or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientChange {
    /// Its name.
    pub name: String,
    /// URI of its certificates.
    pub identity: String,
    /// What became of it.
    pub step: ClientStep,
    /// What it may do from now on; of a removed one, what it could do.
    pub rights: Rights,
}

/// What a client may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// Roles for its agencies.
    pub roles: Vec<String>,
    /// Roles for the node.
    pub node_roles: Vec<String>,
    /// All agencies that the node hosts.
    pub all_agencies: bool,
    /// Codes of its agencies, the first 500.
    pub agencies: Vec<String>,
    /// How many those are in all.
    pub agency_count: u32,
    /// Of all codes.
    pub agencies_digest: Digest,
}

words! {
    /// What a key is for.
    KeyPurpose "purpose of a key" {
        /// Signs the log.
        Log "log",
        /// Cosigns the logs of others.
        Cosign "cosign",
        /// The node's TLS certificate and key.
        Tls "tls",
        /// Signs exported evidence.
        Evidence "evidence",
    }
}

/// The node uses another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// What for.
    pub purpose: KeyPurpose,
    /// The key before: a C2SP verifier key, or `sha256:` and the digest of a certificate; empty for the first.
    pub old: String,
    /// The key from now on; empty where there is none any more.
    pub new: String,
    /// Of the log's key: the statement that both keys signed (`merkle::KeyChangeStatement`); empty otherwise.
    pub statement: String,
}

words! {
    /// Why a connection or a call was turned away before anything was asked.
    RefusalCause "cause of a refused connection" {
        /// The other end showed no certificate.
        NoCertificate "no_certificate",
        /// Its certificate is not one of the authority that is trusted here, has ended, or is for something else.
        BadCertificate "bad_certificate",
        /// It speaks no TLS 1.3, or nothing that is common to both.
        Protocol "protocol",
        /// The handshake failed otherwise.
        Handshake "handshake",
        /// The handshake took too long.
        Timeout "timeout",
        /// Too many handshakes of one address at once.
        TooManyHandshakes "too_many_handshakes",
        /// Too many connections of one client or peer.
        TooManyConnections "too_many_connections",
        /// The certificate is of no client or node that may call here.
        UnknownCaller "unknown_caller",
    }
}

words! {
    /// Which listener.
    Side "listener" {
        /// That of the clients.
        Clients "clients",
        /// That of the peers.
        Peers "peers",
    }
}

/// Connections and calls that were turned away in some time, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedConnections {
    /// From when; the event's time is the end.
    pub since: Timestamp,
    /// By listener and cause.
    pub refusals: Vec<Refusals>,
}

/// Those of one listener and cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// The listener.
    pub side: Side,
    /// Why.
    pub cause: RefusalCause,
    /// How many.
    pub count: u64,
    /// Addresses, or identities of certificates, with how often each: those that came first.
    pub origins: Vec<(String, u64)>,
}

words! {
    /// What was taken out of the log.
    Extract "extract" {
        /// The log as static files.
        Tiles "tiles",
        /// Events that a filter found.
        Events "events",
        /// Ratios.
        Ratios "ratios",
        /// A copy of the node's data.
        Backup "backup",
    }
}

/// Something was taken out of the log to be kept elsewhere: by whom, the event's client and user say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// What.
    pub extract: Extract,
    /// The agency whose auditor took it; none for one of the node.
    pub agency: Option<AgencyId>,
    /// Events in the log then.
    pub size: u64,
    /// What was asked for, in words; empty for everything.
    pub filter: String,
}
