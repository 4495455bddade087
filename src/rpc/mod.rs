//! gRPC: services, TLS and identity.
//!
//! - [`tls`]: certificates, keys, and who is at the other end.
//! - [`evidence`]: the files of a delivery's evidence, for [`audit`].
//! - [`serve`]: listeners: TLS 1.3, mutual, always.
//! - [`quota`], [`guard`]: what one caller may have at once, and where every call is counted; [`turned_away`]: who did not
//!   get that far.
//! - [`exchange`], [`audit`], [`report`], [`directory`], [`peer`], [`retention`]: one service each: decode, authorise,
//!   call, encode.
//! - [`collect`]: nodes that cannot be reached, from both sides.
//! - `content`: large content between nodes, on connections of its own; `fetch`: to the recipient's system.
//! - [`network`]: the network's figures, collected on demand.
//! - [`link`]: the way to another node; implements [`crate::exchange::courier::PeerLink`].
//! - [`login`]: links that sign a person in to the pages.
//! - [`client`]: how the command line and the tests call a node.

pub mod audit;
pub mod client;
pub mod collect;
mod content;
pub mod directory;
pub mod evidence;
pub mod exchange;
mod fetch;
pub mod guard;
pub mod link;
pub mod login;
pub mod network;
mod notices;
mod paper;
pub mod peer;
pub mod places;
pub mod quota;
pub mod report;
pub mod retention;
pub mod serve;
pub mod status;
pub mod tls;
pub mod turned_away;

use tonic::{Request, Status};

use crate::domain::administration::{Extract, Extracted};
use crate::domain::decide::Command;
use crate::domain::event::Actor;
use crate::domain::ids::AgencyId;
use crate::domain::reason::{Reason, Rejection};
use crate::exchange::{Caller, Exchange};
use crate::ledger::LedgerError;
use crate::wire::failure;
use tls::Identity;

/// A refusal as an answer.
pub(crate) fn refuse(rejection: Rejection) -> Status {
    failure::status(&rejection)
}

/// A message that is over the limit or no message at all; or the other side is gone, and reads no answer. What this
/// node says by itself stays as it is.
fn unreadable(status: Status) -> Status {
    if failure::is_own(&status) {
        return status;
    }
    refuse(Rejection::new(Reason::BadStream, "", format!("the message cannot be read: {}", status.message())))
}

/// Records that something is taken out of the log, and by whom; it is durable when this returns.
pub(crate) async fn record_extract(
    exchange: &Exchange,
    actor: Actor,
    extract: Extract,
    agency: Option<AgencyId>,
    filter: String,
) -> Result<(), Rejection> {
    let size = exchange.ledger().snapshot().size();
    let extracted = Extracted { extract, agency, size, filter };
    let committed = exchange.ledger().commit(Command::Extract { actor, extracted }).await;
    committed.map(drop).map_err(LedgerError::into_rejection)
}

/// Who is at the other end of a call, by the certificate of its connection.
fn identity<T>(request: &Request<T>) -> Result<Identity, Status> {
    request.extensions().get::<Identity>().cloned().ok_or_else(|| {
        refuse(Rejection::new(Reason::UnknownCaller, "", "the connection has no certificate: use mutual TLS"))
    })
}

/// The configured client that calls.
pub(crate) fn caller<T>(exchange: &Exchange, request: &Request<T>) -> Result<Caller, Status> {
    let unknown = |what: String| {
        refuse(Rejection::new(
            Reason::UnknownCaller,
            "",
            format!("{what}: the node's administrator adds clients to its configuration"),
        ))
    };
    match identity(request)? {
        Identity::Client { network, node, name } => {
            let config = exchange.config();
            if network != config.network || node != config.node.as_str() {
                return Err(unknown(format!(
                    "the certificate is for a client of node `{node}` in `{network}`"
                )));
            }
            let client =
                config.client(&name).ok_or_else(|| unknown(format!("no client `{name}` is configured")))?;
            Ok(Caller::new(client.clone()))
        }
        Identity::Node { node, .. } => {
            Err(unknown(format!("the certificate is that of node `{node}`, not of a client")))
        }
        Identity::Unknown => {
            Err(unknown("the certificate names no client (no URI of the expected form)".into()))
        }
    }
}
