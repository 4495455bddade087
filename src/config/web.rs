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
    between: &impl Fn(&str, u64, u64, u64) -> Result<u64, ConfigError>,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn web(certificate: Option<&str>, key: Option<&str>, url: Option<&str>) -> Result<Web, String> {
        let raw = raw::Web {
            listen: "127.0.0.1:7443".into(),
            url: url.map(str::to_owned),
            certificate: certificate.map(PathBuf::from),
            key: key.map(PathBuf::from),
        };
        let address = |_: &str, text: &str| Ok(text.parse().unwrap());
        web_of(raw, Path::new("/etc/lienthong"), &address).map_err(|e| e.to_string())
    }

    #[test]
    fn a_certificate_comes_with_its_key_and_an_address_has_no_path() {
        let good = web(Some("web.pem"), Some("web.key"), Some("https://lienthong.example.vn:7443")).unwrap();
        let files = ("/etc/lienthong/web.pem".into(), "/etc/lienthong/web.key".into());
        assert_eq!(good.certificate, Some(files));
        assert_eq!(web(None, None, None).unwrap().url, None);
        assert!(web(Some("web.pem"), None, None).unwrap_err().contains("web.certificate"));
        assert!(web(None, Some("web.key"), None).unwrap_err().contains("web.key"));
        for url in ["http://a", "https://", "https://a/b", "https://a b", "https://a?b", "a"] {
            assert!(web(None, None, Some(url)).unwrap_err().contains("web.url"), "{url}");
        }
    }

    #[test]
    fn a_target_is_a_percentage() {
        let between = |key: &str, v: u64, min: u64, max: u64| {
            let error = ConfigError::Value { key: key.into(), value: v.to_string(), allowed: String::new() };
            if (min..=max).contains(&v) { Ok(v) } else { Err(error) }
        };
        let targets = |dual| {
            targets_of(&raw::Targets { fully_electronic: Some(90), dual, any_electronic: None }, &between)
        };
        let some = Targets { fully_electronic: Some(90), dual: Some(0), any_electronic: None };
        assert_eq!(targets(Some(0)).unwrap(), some);
        assert!(targets(Some(101)).unwrap_err().to_string().contains("figures.targets.dual"));
    }
}
