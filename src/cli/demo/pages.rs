//! The pages of the demo's nodes, while they serve on.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use crate::cli::network::Network;
use crate::cli::{CliError, out};
use crate::config::{Targets, Web};
use crate::domain::NodeName;
use crate::node::Node;
use crate::wire::pb;

/// Targets to see how far an agency is from one: the demo's own, nobody set them.
pub(super) const TARGETS: Targets =
    Targets { fully_electronic: Some(90), dual: Some(20), any_electronic: Some(50) };

/// Pages on a free port of this machine.
pub(super) fn free_port() -> Web {
    Web { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), url: None, certificate: None }
}

/// Prints where each node's pages are: a link that signs in once, as the node's administrator.
pub(super) async fn print(network: &Network, nodes: &BTreeMap<NodeName, Node>) -> Result<(), CliError> {
    out(format!(
        "\nPages, by a link that signs in once (the browser does not know the demo's authority, {}):",
        network.dir.join("clients/network-ca.pem").display()
    ));
    for (name, node) in nodes {
        if node.web_url().is_none() {
            continue;
        }
        let client = network.connect(name, "admin").await.map_err(CliError::failed)?;
        let made = client.audit().create_web_login(pb::CreateWebLoginRequest::default()).await?;
        out(format!("  {name}: {}", made.into_inner().url));
    }
    Ok(())
}
