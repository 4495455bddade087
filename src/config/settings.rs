//! The settings in force by name, with their values as text: what a node records of its configuration, and compares at
//! the next start. Keys and certificates are settings by their paths; what is in them is not read here. Clients are not
//! among them: each has an event of its own.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;

use super::{Collectors, Config, Retention, RevocationUnknown, SelfCheck, Share};
use crate::domain::ids::NodeName;
use crate::domain::limits;
use crate::time::Date;

/// A setting and its value.
pub type Named = (&'static str, String);

impl Config {
    /// Every setting, ordered by name. A new setting does not compile until it is named here.
    pub fn settings(&self) -> Vec<Named> {
        let Config {
            node,
            network,
            generation,
            data,
            listen_clients,
            listen_peers,
            certificate,
            key,
            network_ca,
            client_ca,
            log_key,
            previous_log_key,
            cosign_key,
            authority,
            directory,
            crl_dir,
            crl_reload,
            fetch_revocation,
            allow_private_responders,
            revocation_unknown,
            commands,
            evidence,
            timestamps,
            clients: _,
            max_content_bytes,
            delivery_ms,
            peer_connect,
            peer_answer,
            peer_compare,
            idle,
            witness_every,
            start_ask,
            partial_ms,
            partial_bytes,
            cache_bytes,
            journal_segment_bytes,
            reserve_bytes,
            critical_bytes,
            client_share: Share { connections, streams, documents, bytes },
            drain,
            clock_tolerance_ms,
            calendar,
            collectors: Collectors { collectors, auditors },
            metrics,
            traces,
            web,
            targets,
            retention: Retention { hour: retention_hour, default: retention_default, types: retention_types },
            check:
                SelfCheck { every_hours, hour: check_hour, events_per_second, content, megabytes_per_second },
        } = self;
        let types: Vec<String> =
            retention_types.iter().map(|(name, keep)| format!("{name}: {keep}")).collect();
        let (evidence_certificate, evidence_key) = evidence.as_ref().map(|(c, k)| (c, k)).unzip();
        let web_pair = web.as_ref().and_then(|w| w.certificate.as_ref());
        let (web_certificate, web_key) = web_pair.map(|(c, k)| (c, k)).unzip();
        let mut settings = vec![
            ("node", text(node)),
            ("network", text(network)),
            ("log.generation", text(generation)),
            ("data", path(data)),
            ("listen.clients", text(listen_clients)),
            ("listen.peers", text(listen_peers)),
            ("tls.certificate", path(certificate)),
            ("tls.key", path(key)),
            ("tls.network_ca", path(network_ca)),
            ("tls.client_ca", path(client_ca)),
            ("log.key", path(log_key)),
            ("log.previous_key", optional(previous_log_key.as_deref().map(path))),
            ("log.cosign_key", path(cosign_key)),
            ("directory.authority", text(authority)),
            ("directory.file", path(directory)),
            ("signatures.crl_dir", optional(crl_dir.as_deref().map(path))),
            ("signatures.reload_seconds", text(crl_reload.as_secs())),
            ("signatures.fetch", text(fetch_revocation)),
            ("signatures.allow_private_responders", text(allow_private_responders)),
            ("signatures.revocation_unknown", text(unknown(*revocation_unknown))),
            ("commands.folder", optional(commands.as_deref().map(path))),
            ("evidence.certificate", optional(evidence_certificate.map(|p| path(p)))),
            ("evidence.key", optional(evidence_key.map(|p| path(p)))),
            ("timestamps.url", optional(timestamps.as_ref().map(|t| t.url.clone()))),
            (
                "timestamps.interval_minutes",
                optional(timestamps.as_ref().map(|t| text(t.interval.as_secs()))),
            ),
            ("limits.max_content_bytes", text(max_content_bytes)),
            ("limits.delivery_hours", text(delivery_ms)),
            ("peers.connect_seconds", text(peer_connect.as_secs())),
            ("peers.answer_seconds", text(peer_answer.as_secs())),
            ("peers.compare_seconds", text(peer_compare.as_secs())),
            ("peers.witness_seconds", text(witness_every.as_secs())),
            ("peers.start_seconds", text(start_ask.as_secs())),
            ("limits.idle_seconds", text(idle.as_secs())),
            ("limits.resume_hours", text(partial_ms)),
            ("limits.resume_bytes", text(partial_bytes)),
            ("storage.cache_mib", text(cache_bytes)),
            ("storage.journal_segment_mib", text(journal_segment_bytes)),
            ("storage.reserve_mib", text(reserve_bytes)),
            ("storage.critical_mib", text(critical_bytes)),
            ("limits.client_connections", text(connections)),
            ("limits.client_streams", text(streams)),
            ("limits.client_documents", text(documents)),
            ("limits.client_mib", text(bytes)),
            ("limits.drain_seconds", text(drain.as_secs())),
            ("limits.clock_tolerance_ms", text(clock_tolerance_ms)),
            ("figures.holidays", days(&calendar.holidays)),
            ("figures.workdays", days(&calendar.workdays)),
            ("figures.collectors", names(collectors)),
            ("figures.auditors", names(auditors)),
            ("metrics.listen", optional(metrics.as_ref().map(text))),
            ("traces.otlp", optional(traces.as_ref().map(|t| t.otlp.clone()))),
            ("traces.ca", optional(traces.as_ref().and_then(|t| t.ca.as_deref()).map(path))),
            ("traces.percent", optional(traces.as_ref().map(|t| text(t.percent)))),
            ("web.listen", optional(web.as_ref().map(|w| text(w.listen)))),
            ("web.url", optional(web.as_ref().and_then(|w| w.url.clone()))),
            ("web.certificate", optional(web_certificate.map(|p| path(p)))),
            ("web.key", optional(web_key.map(|p| path(p)))),
            ("figures.targets.fully_electronic", optional(targets.fully_electronic.map(text))),
            ("figures.targets.dual", optional(targets.dual.map(text))),
            ("figures.targets.any_electronic", optional(targets.any_electronic.map(text))),
            ("retention.hour", text(retention_hour)),
            ("retention.default", text(retention_default)),
            ("retention.types", types.join("; ")),
            ("check.every_hours", text(every_hours)),
            ("check.hour", text(check_hour)),
            ("check.events_per_second", text(events_per_second)),
            ("check.content", text(content)),
            ("check.megabytes_per_second", text(megabytes_per_second)),
        ];
        settings.sort_unstable();
        debug_assert!(
            settings.len() <= limits::SETTINGS,
            "an event has room for {} settings",
            limits::SETTINGS
        );
        settings
    }
}

fn text(value: impl Display) -> String {
    value.to_string()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn days(days: &[Date]) -> String {
    days.iter().map(text).collect::<Vec<_>>().join(",")
}

fn names(nodes: &BTreeSet<NodeName>) -> String {
    nodes.iter().map(text).collect::<Vec<_>>().join(",")
}

fn optional(value: Option<String>) -> String {
    value.unwrap_or_default()
}

fn unknown(policy: RevocationUnknown) -> &'static str {
    match policy {
        RevocationUnknown::Hold => "hold",
        RevocationUnknown::Refuse => "refuse",
        RevocationUnknown::Accept => "accept",
    }
}
