//! Where spans of deliveries go.

use std::path::{Path, PathBuf};

use super::{ConfigError, raw};

/// Where spans of deliveries go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// A collector that takes OTLP over gRPC: `http://host:port`, or `https://` with [`Traces::ca`].
    pub otlp: String,
    /// The authority (PEM) that the collector's certificate is from.
    pub ca: Option<PathBuf>,
    /// Which share of deliveries, in percent.
    pub percent: u8,
}

/// Checks it.
pub(super) fn traces_of(raw: raw::Traces, base: &Path) -> Result<Option<Traces>, ConfigError> {
    let value = |sub: &str, value: &dyn std::fmt::Display, allowed: &str| ConfigError::Value {
        key: format!("traces.{sub}"),
        value: value.to_string(),
        allowed: allowed.to_owned(),
    };
    let Some(otlp) = raw.otlp else {
        return match (&raw.ca, raw.percent) {
            (None, None) => Ok(None),
            _ => Err(value("otlp", &"", "http://host:port of a collector, where `ca` or `percent` is given")),
        };
    };
    let (host, tls) = match (otlp.strip_prefix("http://"), otlp.strip_prefix("https://")) {
        (Some(host), _) => (host, false),
        (_, Some(host)) => (host, true),
        _ => ("", false),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(value(
            "otlp",
            &otlp,
            "http://host:port or https://host:port of a collector (OTLP over gRPC)",
        ));
    }
    if tls != raw.ca.is_some() {
        let allowed = "the authority (PEM) of the collector's certificate, for https:// and only there";
        return Err(value("ca", &raw.ca.as_deref().unwrap_or(Path::new("")).display(), allowed));
    }
    let percent = raw.percent.unwrap_or(100);
    let Ok(percent @ 0..=100) = u8::try_from(percent) else {
        return Err(value("percent", &percent, "a number from 0 to 100"));
    };
    Ok(Some(Traces { otlp, ca: raw.ca.map(|f| base.join(f)), percent }))
}
