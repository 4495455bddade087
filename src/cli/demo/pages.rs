//! The pages of the demo's nodes, while they serve on.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use crate::cli::network::Network;
use crate::cli::{CliError, Format, note, out};
use crate::config::{Targets, Web};
use crate::domain::NodeName;
use crate::node::Node;
use crate::report::Cells;
use crate::wire::pb;

/// Targets to see how far an agency is from one: the demo's own, nobody set them.
pub(super) const TARGETS: Targets =
    Targets { fully_electronic: Some(90), dual: Some(20), any_electronic: Some(50) };

/// Pages on a free port of this machine.
pub(super) fn free_port() -> Web {
    Web { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), url: None, certificate: None }
}

/// What a line says of a node's three measures: scope, ratio, words.
const MEASURES: [(&str, &str, &str); 3] = [
    ("in_province", "fully_electronic", "in province, fully electronic"),
    ("internal", "dual", "internal, dual"),
    ("outside", "any_electronic", "outside, any electronic"),
];

/// Prints where each node's pages are: a link that signs in once, as the node's administrator, and the figures that they
/// begin with. The table above them adds the nodes up; a node's pages show what its own agencies sent.
pub(super) async fn print(
    network: &Network,
    nodes: &BTreeMap<NodeName, Node>,
    figures: &BTreeMap<String, Cells>,
    format: Format,
) -> Result<(), CliError> {
    // What is read by a program is one piece of JSON.
    let say: fn(String) = if format == Format::Json { |line| note(line) } else { |line| out(line) };
    say(format!(
        "\nPages of each node, with what its own agencies sent. Each link signs in once, as an administrator (the \
         browser does not know the demo's authority, {}):",
        network.dir.join("clients/network-ca.pem").display()
    ));
    for (name, node) in nodes {
        if node.web_url().is_none() {
            continue;
        }
        let client = network.connect(name, "admin").await.map_err(CliError::failed)?;
        let made = client.audit().create_web_login(pb::CreateWebLoginRequest::default()).await?;
        say(format!("  {name}: {}", made.into_inner().url));
        for (scope, ratio, words) in MEASURES {
            let counters = figures.get(name.as_str()).and_then(|cells| cells.get(scope)).copied();
            let ratios = counters.unwrap_or_default().ratios();
            if let Some(r) = ratios.iter().find(|r| r.name == ratio) {
                let percent = r.percent().map_or_else(|| "n/a".to_owned(), |p| format!("{p} %"));
                say(format!("      {words:<32}{percent:>9}   {} / {}", r.n, r.d));
            }
        }
    }
    Ok(())
}
