//! The way of a document, one file per step:
//!
//! [`intake`] (a system sends) → [`courier`] (the outbox goes out) → [`accept`] (the other node judges and records)
//! → [`settle`] (the proof comes back) → [`handover`] (the recipient's system fetches and acknowledges) →
//! [`status`] (and reports). [`notice`] is a revoke or an update of what was sent, [`held`] is what waits for a
//! decision, [`paper`] enters what went on paper, [`track`] follows a delivery,
//! [`directory`] keeps the list of agencies,
//! [`viewed`] records who looked at a document on the pages, `judge` judges signatures at either node, `transfer` takes
//! large content in piece by piece, [`mod@retention`] purges
//! what is kept no longer, [`witness`] holds what other logs signed, [`timestamps`] has this log's checkpoints stamped,
//! [`traces`] is the way of a delivery as spans, [`recovery`] gets back what other nodes have of a lost log, [`trust`] has
//! the revocation data in force, and [`revocation`] gets it. No step is skipped for any kind of message, and between
//! two agencies of one node the way is
//! the same without the network.
//!
//! [`Exchange`] is what all steps share. Ports: [`crate::ledger::Clock`] for time, [`courier::PeerLink`] for peers.

pub mod accept;
pub mod checks;
pub mod clocks;
pub mod courier;
pub mod directory;
pub(crate) mod existence;
pub mod find;
pub mod handover;
pub mod held;
pub(crate) mod http;
pub mod intake;
pub(crate) mod judge;
pub(crate) mod message;
pub mod notice;
pub mod paper;
pub mod pressure;
pub mod recovery;
pub mod retention;
pub mod revocation;
pub mod settle;
pub mod status;
mod stored;
pub mod timestamps;
pub mod traces;
pub mod track;
pub(crate) mod transfer;
pub mod trust;
pub mod viewed;
pub mod witness;

use std::sync::Arc;

use crate::config::{Client, Config, NodeRole, Role};
use crate::directory::{Agency, Directory};
use crate::domain::event::Actor;
use crate::domain::ids::{self, AgencyId, NodeName};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::ledger::Ledger;
use crate::time::Date;
use crate::wire::proof::ProofVerifier;
use courier::Queues;
use directory::DirectoryHolder;
use handover::Leases;

/// What all steps share.
#[derive(Clone)]
pub struct Exchange {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: Arc<Config>,
    pub(crate) ledger: Ledger,
    pub(crate) directory: Arc<DirectoryHolder>,
    pub(crate) proofs: ProofVerifier,
    pub(crate) leases: Leases,
    pub(crate) queues: Queues,
    pub(crate) revocation: trust::InForce,
    pub(crate) judging: judge::Judging,
    pub(crate) transfers: transfer::Transfers,
    pub(crate) pressure: pressure::Pressure,
    pub(crate) clocks: clocks::Clocks,
    pub(crate) checks: checks::Checks,
    pub(crate) witness: witness::Witness,
    pub(crate) stamping: timestamps::Stamping,
    pub(crate) views: viewed::Views,
    pub(crate) recovery: recovery::Recovery,
    pub(crate) traces: traces::Traces,
}

impl Exchange {
    /// Puts it together.
    pub fn new(config: Arc<Config>, ledger: Ledger, directory: Arc<DirectoryHolder>) -> Exchange {
        let pressure = pressure::Pressure::new(config.reserve_bytes, config.critical_bytes);
        let transfers = transfer::Transfers::new(ledger.content().take_partials(), &pressure);
        let clocks = clocks::Clocks::new(config.clock_tolerance_ms);
        let stamping = timestamps::Stamping::open(&config, &ledger);
        let recovery = recovery::Recovery::open(&config, &ledger);
        let inner = Inner {
            config,
            ledger,
            directory,
            proofs: ProofVerifier::default(),
            leases: Leases::default(),
            queues: Queues::default(),
            revocation: trust::InForce::default(),
            judging: judge::Judging::default(),
            transfers,
            pressure,
            clocks,
            checks: checks::Checks::default(),
            witness: witness::Witness::default(),
            stamping,
            views: viewed::Views::default(),
            recovery,
            traces: traces::Traces::default(),
        };
        Exchange { inner: Arc::new(inner) }
    }

    /// This node's configuration.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The room on the disk.
    pub fn pressure(&self) -> &pressure::Pressure {
        &self.inner.pressure
    }

    /// How the clocks of other nodes go.
    pub fn clocks(&self) -> &clocks::Clocks {
        &self.inner.clocks
    }

    /// What the node found when it checked itself.
    pub fn checks(&self) -> &checks::Checks {
        &self.inner.checks
    }

    /// The timestamps of this log's checkpoints.
    pub fn stamping(&self) -> &timestamps::Stamping {
        &self.inner.stamping
    }

    /// The log.
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// The courier's queues.
    pub fn queues(&self) -> &Queues {
        &self.inner.queues
    }

    /// The directory in force.
    pub fn directory(&self) -> Directory {
        self.inner.directory.current()
    }

    /// The holder of directory versions.
    pub fn directories(&self) -> &Arc<DirectoryHolder> {
        &self.inner.directory
    }

    /// This node's name.
    pub fn node(&self) -> &NodeName {
        &self.inner.config.node
    }

    /// The agency of a code, when this node hosts it and the caller may act for it.
    pub(crate) fn own_agency(
        &self,
        directory: &Directory,
        caller: &Caller,
        role: Role,
        code: &str,
        field: &'static str,
        unknown: Reason,
    ) -> Result<Agency, Rejection> {
        if code.is_empty() {
            return Err(Rejection::missing(field));
        }
        let today = self.ledger().now().date();
        let shown = ids::shorten(code);
        let agency = directory.by_code(code, today).ok_or_else(|| {
            Rejection::new(
                unknown,
                field,
                format!("no agency `{shown}` in directory version {}", directory.version()),
            )
        })?;
        caller.check(agency, role, field, today)?;
        if agency.is_closed(today) {
            let closed = agency.entry.closed_on.map_or_else(String::new, |d| d.to_string());
            return Err(Rejection::new(
                Reason::RetiredAgency,
                field,
                format!("{} was closed on {closed}: use its successor", agency.id),
            ));
        }
        if agency.node(today) != Some(self.node()) {
            let hosted = agency.node(today).map_or("no node".to_owned(), |n| format!("node `{n}`"));
            return Err(Rejection::new(
                Reason::NotHosted,
                field,
                format!("{} is hosted by {hosted}, this is `{}`: call its own node", agency.id, self.node()),
            ));
        }
        Ok(agency.clone())
    }
}

/// Who calls: a client as configured, by its certificate.
#[derive(Debug, Clone)]
pub struct Caller {
    client: Client,
}

impl Caller {
    /// A client that was authenticated.
    pub fn new(client: Client) -> Caller {
        Caller { client }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.client.name
    }

    /// Whether it may act for the agency in that role, by the codes that are the agency's on that day: one that was given
    /// to another agency since then does not open the first.
    pub fn may(&self, agency: &Agency, role: Role, on: Date) -> bool {
        let listed = match &self.client.agencies {
            None => true,
            Some(codes) => agency.entry.codes.iter().any(|c| c.is_valid(on) && codes.contains(&c.code)),
        };
        listed && self.client.roles.contains(&role)
    }

    /// Refuses unless it may.
    pub fn check(&self, agency: &Agency, role: Role, field: &'static str, on: Date) -> Result<(), Rejection> {
        if self.may(agency, role, on) {
            return Ok(());
        }
        let role = match role {
            Role::Dms => "dms",
            Role::Auditor => "auditor",
            Role::Operator => "operator",
        };
        Err(Rejection::new(
            Reason::NotAllowed,
            field,
            format!(
                "client `{}` has not the role `{role}` for {}: its node's administrator can grant it",
                self.client.name, agency.id
            ),
        ))
    }

    /// Whether it has a role for the whole node; an admin has every one.
    pub fn has(&self, role: NodeRole) -> bool {
        self.client.node_roles.contains(&role) || self.client.node_roles.contains(&NodeRole::Admin)
    }

    /// Refuses unless it has a role for the whole node.
    pub fn check_node(&self, role: NodeRole) -> Result<(), Rejection> {
        if self.has(role) {
            return Ok(());
        }
        let role = match role {
            NodeRole::Auditor => "auditor",
            NodeRole::Operator => "operator",
            NodeRole::Admin => "admin",
        };
        Err(Rejection::new(
            Reason::NotAllowed,
            "",
            format!(
                "client `{}` has not the node role `{role}`: its node's administrator can grant it",
                self.name()
            ),
        ))
    }

    /// The agencies of a directory that it may act for in a role, of those that the node hosts.
    pub fn agencies(&self, exchange: &Exchange, directory: &Directory, role: Role) -> Vec<AgencyId> {
        let today = exchange.ledger().now().date();
        directory
            .agencies()
            .iter()
            .filter(|a| a.node(today) == Some(exchange.node()) && self.may(a, role, today))
            .map(|a| a.id.clone())
            .collect()
    }

    /// As the actor of an event.
    pub fn actor(&self, user: &str) -> Result<Actor, Rejection> {
        ids::optional_text("user", user, limits::USER_CHARS)?;
        Ok(Actor { client: self.client.name.clone(), user: user.to_owned() })
    }
}
