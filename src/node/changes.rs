//! What is another than at the last start, as events: the configuration, the clients, the keys. What was last recorded
//! is a fold of the log, so a start after a crash, or with sled made again, compares with the same.
//!
//! The log's own key is the first to be recorded, before anything else of this start: every checkpoint from then on is
//! of the new key. It needs both keys once (`log.previous_key`), because both sign the statement of the change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::NodeError;
use crate::config::{Client, Config, NodeRole, Role};
use crate::directory::build::client_identity;
use crate::domain::administration::{
    ClientChange, ClientStep, ConfigChange, KeyChange, KeyPurpose, Rights, Setting,
};
use crate::domain::decide::Command;
use crate::domain::event::EventKind;
use crate::domain::fold::records::{ClientRecord, ConfigRecord, KeyRecord};
use crate::domain::fold::{ViewError, decode, keys, load};
use crate::domain::ids::framed;
use crate::domain::limits;
use crate::ledger::{Ledger, folds};
use crate::merkle::{Checkpoint, KeyChangeStatement, NoteSigner, SignedCheckpoint, sha256};
use crate::rpc::tls::read_certificates;

/// Records that the log goes over to the signer's key, where its newest checkpoint is of the key before.
pub(super) async fn note_log_key(
    ledger: &Ledger,
    signer: &NoteSigner,
    previous: Option<&NoteSigner>,
) -> Result<(), NodeError> {
    let snapshot = ledger.snapshot();
    let new = signer.verifier();
    let known = load::<KeyRecord>(ledger, &keys::key_in_use(KeyPurpose::Log)).map_err(unreadable)?;
    let (old, statement) = match (snapshot.checkpoint(), previous) {
        (Some(newest), Some(previous))
            if previous.verifier() != new
                && SignedCheckpoint::verify(newest.note(), previous.verifier()).is_ok() =>
        {
            let at = Checkpoint {
                origin: ledger.origin().to_owned(),
                size: snapshot.size(),
                root: snapshot.root(),
            };
            let old = previous.verifier().clone();
            let statement = KeyChangeStatement { at, old: old.clone(), new: new.clone() };
            (old.to_string(), statement.sign(previous, signer))
        }
        _ if known.is_none() => (String::new(), String::new()),
        _ => return Ok(()),
    };
    let change = KeyChange { purpose: KeyPurpose::Log, old, new: new.to_string(), statement };
    if !change.old.is_empty() {
        tracing::info!(old = %change.old, new = %change.new, "the log goes over to another key");
    }
    note(ledger, EventKind::KeyChanged(change)).await
}

/// Records what else is another than at the last start.
pub(super) async fn note_changes(ledger: &Ledger, config: &Config) -> Result<(), NodeError> {
    if let Some(change) = config_change(ledger, config)? {
        tracing::info!(changed = %change.changed.join(", "), "the configuration is another than before");
        note(ledger, EventKind::ConfigChanged(change)).await?;
    }
    for change in client_changes(ledger, config)? {
        tracing::info!(client = %change.name, step = %change.step, "a client is another than before");
        note(ledger, EventKind::ClientChanged(change)).await?;
    }
    for change in key_changes(ledger, config)? {
        tracing::info!(purpose = %change.purpose, new = %change.new, "a key is another than before");
        note(ledger, EventKind::KeyChanged(change)).await?;
    }
    Ok(())
}

async fn note(ledger: &Ledger, kind: EventKind) -> Result<(), NodeError> {
    ledger.commit(Command::Note { kind }).await?;
    Ok(())
}

fn unreadable(error: ViewError) -> NodeError {
    NodeError::Store(folds(error))
}

fn config_change(ledger: &Ledger, config: &Config) -> Result<Option<ConfigChange>, NodeError> {
    let settings: Vec<Setting> = config
        .settings()
        .into_iter()
        .map(|(name, value)| {
            let [a, b, c, d, e, f, g, h, ..] = sha256(value.as_bytes()).0;
            Setting { name: name.to_owned(), value: [a, b, c, d, e, f, g, h] }
        })
        .collect();
    let fields = settings.iter().flat_map(|s| [s.name.as_bytes(), s.value.as_slice()]);
    let digest = framed(&fields.collect::<Vec<_>>());
    let known = load::<ConfigRecord>(ledger, &keys::configuration()).map_err(unreadable)?;
    if known.as_ref().is_some_and(|known| known.digest == digest) {
        return Ok(None);
    }
    let previous = known.as_ref().map(|known| known.digest);
    let before: BTreeSet<(String, [u8; 8])> =
        known.map_or_else(BTreeSet::new, |known| known.settings.into_iter().collect());
    let now: BTreeSet<(String, [u8; 8])> = settings.iter().map(|s| (s.name.clone(), s.value)).collect();
    let changed: BTreeSet<String> = before.symmetric_difference(&now).map(|(name, _)| name.clone()).collect();
    Ok(Some(ConfigChange { digest, previous, changed: changed.into_iter().collect(), settings }))
}

fn client_changes(ledger: &Ledger, config: &Config) -> Result<Vec<ClientChange>, NodeError> {
    let prefix = keys::clients();
    let mut known: BTreeMap<String, ClientRecord> = BTreeMap::new();
    for (key, value) in ledger.index().scan(&prefix, &prefix, usize::MAX)? {
        let name = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
        known.insert(name, decode(&key, &value).map_err(unreadable)?);
    }
    let mut changes = Vec::new();
    for client in &config.clients {
        let identity = client_identity(&config.network, &config.node, &client.name);
        let rights = rights_of(client);
        let step = match known.remove(&client.name) {
            None => ClientStep::Added,
            Some(record) if record == record_of(&identity, &rights) => continue,
            Some(_) => ClientStep::Changed,
        };
        changes.push(ClientChange { name: client.name.clone(), identity, step, rights });
    }
    changes.extend(known.into_iter().map(|(name, record)| {
        let ClientRecord {
            identity,
            roles,
            node_roles,
            all_agencies,
            agencies,
            agency_count,
            agencies_digest,
        } = record;
        let rights = Rights { roles, node_roles, all_agencies, agencies, agency_count, agencies_digest };
        ClientChange { name, identity, step: ClientStep::Removed, rights }
    }));
    Ok(changes)
}

fn record_of(identity: &str, rights: &Rights) -> ClientRecord {
    let Rights { roles, node_roles, all_agencies, agencies, agency_count, agencies_digest } = rights.clone();
    let identity = identity.to_owned();
    ClientRecord { identity, roles, node_roles, all_agencies, agencies, agency_count, agencies_digest }
}

fn rights_of(client: &Client) -> Rights {
    let codes: Vec<&String> = client.agencies.iter().flatten().collect();
    let fields: Vec<&[u8]> = codes.iter().map(|code| code.as_bytes()).collect();
    let role = |role: &Role| match role {
        Role::Dms => "dms".to_owned(),
        Role::Auditor => "auditor".to_owned(),
        Role::Operator => "operator".to_owned(),
    };
    let node_role = |role: &NodeRole| match role {
        NodeRole::Auditor => "auditor".to_owned(),
        NodeRole::Operator => "operator".to_owned(),
        NodeRole::Admin => "admin".to_owned(),
    };
    Rights {
        roles: client.roles.iter().map(role).collect(),
        node_roles: client.node_roles.iter().map(node_role).collect(),
        all_agencies: client.agencies.is_none(),
        agencies: codes.iter().take(limits::LISTED_AGENCIES).map(|code| (*code).clone()).collect(),
        agency_count: u32::try_from(codes.len()).unwrap_or(u32::MAX),
        agencies_digest: framed(&fields),
    }
}

/// The keys that are files of the configuration, the log's own left out.
fn key_changes(ledger: &Ledger, config: &Config) -> Result<Vec<KeyChange>, NodeError> {
    let cosign = super::cosigner(config)?;
    let evidence =
        config.evidence.as_ref().map(|(certificate, _)| certificate_name(certificate)).transpose()?;
    let in_use = [
        (KeyPurpose::Cosign, cosign.verifier().to_string()),
        (KeyPurpose::Tls, certificate_name(&config.certificate)?),
        (KeyPurpose::Evidence, evidence.unwrap_or_default()),
    ];
    let mut changes = Vec::new();
    for (purpose, new) in in_use {
        let known = load::<KeyRecord>(ledger, &keys::key_in_use(purpose)).map_err(unreadable)?;
        let old = known.map_or_else(String::new, |known| known.key);
        if old != new {
            changes.push(KeyChange { purpose, old, new, statement: String::new() });
        }
    }
    Ok(changes)
}

/// A certificate by its digest.
fn certificate_name(file: &Path) -> Result<String, NodeError> {
    let chain = read_certificates(file)?;
    Ok(chain.first().map_or_else(String::new, |der| format!("sha256:{}", sha256(der))))
}
