//! What a node records of itself, in a leaf.

use std::str::FromStr;

use bytes::Bytes;

use super::{pb, words};
use crate::domain::administration::{
    ClientChange, ConfigChange, Extracted, KeyChange, Refusals, RefusedConnections, Rights, Setting,
    UnknownWord,
};
use crate::domain::ids::AgencyId;
use crate::domain::reason::{Reason, Rejection};
use crate::time::Timestamp;

fn word<T: FromStr<Err = UnknownWord>>(field: &'static str, text: &str) -> Result<T, Rejection> {
    text.parse().map_err(|e: UnknownWord| Rejection::new(Reason::InvalidText, field, e.to_string()))
}

/// To the wire.
pub(super) fn config_out(change: &ConfigChange) -> pb::ConfigChanged {
    let setting = |s: &Setting| pb::Setting { name: s.name.clone(), value: Bytes::copy_from_slice(&s.value) };
    pb::ConfigChanged {
        digest: words::digest(&change.digest),
        previous: change.previous.as_ref().map_or_else(Bytes::new, words::digest),
        changed: change.changed.clone(),
        settings: change.settings.iter().map(setting).collect(),
    }
}

/// From the wire.
pub(super) fn read_config(c: pb::ConfigChanged) -> Result<ConfigChange, Rejection> {
    let setting = |s: pb::Setting| {
        let value = s.value.as_ref().try_into().map_err(|_| {
            Rejection::new(Reason::InvalidText, "settings.value", "the digest of a value has 8 bytes")
        })?;
        Ok(Setting { name: s.name, value })
    };
    Ok(ConfigChange {
        digest: words::read_digest("digest", &c.digest)?,
        previous: if c.previous.is_empty() {
            None
        } else {
            Some(words::read_digest("previous", &c.previous)?)
        },
        changed: c.changed,
        settings: c.settings.into_iter().map(setting).collect::<Result<_, Rejection>>()?,
    })
}

/// To the wire.
pub(super) fn client_out(change: &ClientChange) -> pb::ClientChanged {
    let ClientChange { name, identity, step, rights } = change.clone();
    pb::ClientChanged {
        name,
        identity,
        step: step.to_string(),
        roles: rights.roles,
        node_roles: rights.node_roles,
        all_agencies: rights.all_agencies,
        agencies: rights.agencies,
        agency_count: rights.agency_count,
        agencies_digest: words::digest(&rights.agencies_digest),
    }
}

/// From the wire.
pub(super) fn read_client(c: pb::ClientChanged) -> Result<ClientChange, Rejection> {
    Ok(ClientChange {
        step: word("step", &c.step)?,
        rights: Rights {
            roles: c.roles,
            node_roles: c.node_roles,
            all_agencies: c.all_agencies,
            agencies: c.agencies,
            agency_count: c.agency_count,
            agencies_digest: words::read_digest("agencies_digest", &c.agencies_digest)?,
        },
        name: c.name,
        identity: c.identity,
    })
}

/// To the wire.
pub(super) fn key_out(change: &KeyChange) -> pb::KeyChanged {
    let KeyChange { purpose, old, new, statement } = change.clone();
    pb::KeyChanged { purpose: purpose.to_string(), old, new, statement }
}

/// From the wire.
pub(super) fn read_key(k: pb::KeyChanged) -> Result<KeyChange, Rejection> {
    Ok(KeyChange { purpose: word("purpose", &k.purpose)?, old: k.old, new: k.new, statement: k.statement })
}

/// To the wire.
pub(super) fn refused_out(refused: &RefusedConnections) -> pb::ConnectionsRefused {
    let origin =
        |(origin, count): &(String, u64)| pb::RefusedOrigin { origin: origin.clone(), count: *count };
    let group = |r: &Refusals| pb::RefusedGroup {
        listener: r.side.to_string(),
        cause: r.cause.to_string(),
        count: r.count,
        origins: r.origins.iter().map(origin).collect(),
    };
    pb::ConnectionsRefused {
        since: refused.since.millis(),
        groups: refused.refusals.iter().map(group).collect(),
    }
}

/// From the wire.
pub(super) fn read_refused(c: pb::ConnectionsRefused) -> Result<RefusedConnections, Rejection> {
    let group = |g: pb::RefusedGroup| {
        Ok(Refusals {
            side: word("listener", &g.listener)?,
            cause: word("cause", &g.cause)?,
            count: g.count,
            origins: g.origins.into_iter().map(|o| (o.origin, o.count)).collect(),
        })
    };
    Ok(RefusedConnections {
        since: Timestamp::from_millis(c.since),
        refusals: c.groups.into_iter().map(group).collect::<Result<_, Rejection>>()?,
    })
}

/// To the wire.
pub(super) fn extracted_out(e: &Extracted) -> pb::Extracted {
    pb::Extracted {
        what: e.extract.to_string(),
        agency: e.agency.as_ref().map_or_else(String::new, AgencyId::to_string),
        size: e.size,
        filter: e.filter.clone(),
    }
}

/// From the wire.
pub(super) fn read_extracted(e: pb::Extracted) -> Result<Extracted, Rejection> {
    Ok(Extracted {
        extract: word("what", &e.what)?,
        agency: if e.agency.is_empty() { None } else { Some(AgencyId::new(&e.agency)?) },
        size: e.size,
        filter: e.filter,
    })
}
