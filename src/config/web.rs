//! Where the pages are, and the targets that they show.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{ConfigError, raw};

/// Where the pages are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Their listener.
    pub listen: SocketAddr,
    /// What visitors write before a path; `None`: the listener's address.
    pub url: Option<String>,
    /// Certificate chain and key (PEM) that browsers trust; `None`: those of the node.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// What the three measures are to reach, in whole percent; `None`: there is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Targets {
    /// Fully electronic, between agencies of the province: at least.
    pub fully_electronic: Option<u8>,
    /// Both ways, inside agencies: at most.
    pub dual: Option<u8>,
    /// Any electronic, with agencies outside: at least.
    pub any_electronic: Option<u8>,
}

/// Checks the targets.
pub(super) fn targets_of(
    raw: &raw::Targets,
    between: &dyn Fn(&str, u64, u64, u64) -> Result<u64, ConfigError>,
) -> Result<Targets, ConfigError> {
    let target = |name: &str, percent: Option<u64>| {
        let checked = percent.map(|p| between(&format!("figures.targets.{name}"), p, 0, 100)).transpose()?;
        Ok::<_, ConfigError>(checked.map(|p| p as u8))
    };
    Ok(Targets {
        fully_electronic: target("fully_electronic", raw.fully_electronic)?,
        dual: target("dual", raw.dual)?,
        any_electronic: target("any_electronic", raw.any_electronic)?,
    })
}

/// Checks where the pages are.
pub(super) fn web_of(
    raw: raw::Web,
    base: &Path,
    address: &dyn Fn(&str, &str) -> Result<SocketAddr, ConfigError>,
) -> Result<Web, ConfigError> {
    let value = |sub: &str, value: String, allowed: &str| ConfigError::Value {
        key: format!("web.{sub}"),
        value,
        allowed: allowed.to_owned(),
    };
    if let Some(url) = &raw.url {
        let host = url.strip_prefix("https://").unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(value("url", url.clone(), "https://host[:port], without a path"));
        }
    }
    let certificate = match (raw.certificate, raw.key) {
        (Some(certificate), Some(key)) => Some((base.join(certificate), base.join(key))),
        (None, None) => None,
        (Some(one), None) => {
            return Err(value("certificate", one.display().to_string(), "together with `web.key`"));
        }
        (None, Some(one)) => {
            return Err(value("key", one.display().to_string(), "together with `web.certificate`"));
        }
    };
    Ok(Web { listen: address("web.listen", &raw.listen)?, url: raw.url, certificate })
}
