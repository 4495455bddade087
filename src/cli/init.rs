//! `lienthong init`: keys and a configuration for one node, or a whole local test network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::network::{self, Plan};
use super::{CliError, Outcome, note, out, pki};
use crate::directory::build::{self, read_agencies};
use crate::domain::NodeName;
use crate::ledger::{Clock as _, SystemClock};
use crate::merkle::NoteSigner;

/// A small list for first steps.
const SMALL: &str = "code,legacy_code,name,level,parent,node\n\
    H09,000.00.00.H09,UBND tỉnh,province,,tinh\n\
    H09.1,000.00.01.H09,Văn phòng UBND tỉnh,department,H09,tinh\n\
    H09.2,000.00.02.H09,Sở Nội vụ,department,H09,tinh\n\
    H09.21,000.00.21.H09,UBND thị xã,district,H09,huyen\n\
    H09.21.7,000.07.21.H09,UBND phường,commune,H09.21,huyen\n";

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lienthong init ./thuan-an --node thuan-an --network binh-duong\n  \
    lienthong init ./test --local-network --agencies agencies.csv")]
pub struct InitArgs {
    /// A new folder.
    dir: PathBuf,
    /// Make a whole network for tests on this machine: authorities, nodes, directory, client certificates.
    #[arg(long)]
    local_network: bool,
    /// Agency list of the network (csv: code,legacy_code,name,level,parent,node); a small one otherwise.
    #[arg(long, value_name = "FILE", requires = "local_network")]
    agencies: Option<PathBuf>,
    /// First port of the network's nodes: two each.
    #[arg(long, default_value_t = 7400, requires = "local_network")]
    port: u16,
    /// A node of the network that others shall not be able to call: the directory lists no endpoint for it. Repeatable.
    #[arg(long, value_name = "NODE", requires = "local_network")]
    unreachable: Vec<String>,
    /// Name of the node.
    #[arg(long, required_unless_present = "local_network")]
    node: Option<String>,
    /// Name of the network.
    #[arg(long, default_value = "local")]
    network: String,
    /// Host names and addresses that the node is reached by, for its certificate.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Verifier key of the directory's authority, as it publishes it.
    #[arg(long, value_name = "KEY")]
    authority: Option<String>,
}

/// Runs the command.
pub fn run(args: &InitArgs) -> Result<Outcome, CliError> {
    if std::fs::read_dir(&args.dir).is_ok_and(|entries| entries.count() > 0) {
        return Err(CliError::failed(format!(
            "{}: the folder is not empty: name a new one",
            args.dir.display()
        )));
    }
    if args.local_network { local_network(args) } else { one_node(args) }
}

fn local_network(args: &InitArgs) -> Result<Outcome, CliError> {
    let agencies = match &args.agencies {
        Some(path) => {
            read_agencies(std::fs::File::open(path).map_err(|e| CliError::file("opening", path, &e))?)
        }
        None => read_agencies(SMALL.as_bytes()),
    }
    .map_err(CliError::failed)?;
    let mut addresses = BTreeMap::new();
    for (i, node) in network::nodes_of(&agencies)?.into_iter().enumerate() {
        let port = u16::try_from(usize::from(args.port) + 2 * i).ok().filter(|p| *p < u16::MAX).ok_or_else(
            || CliError::failed(format!("--port {}: there are too many nodes for it", args.port)),
        )?;
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        addresses.insert(node, (at(port), at(port + 1)));
    }
    let unreachable = network::unreachable(&args.unreachable, &agencies)?;
    let made = network::make(&Plan {
        network: &args.network,
        dir: &args.dir,
        agencies: &agencies,
        addresses: &addresses,
        unreachable: &unreachable,
        issued_at: SystemClock.now(),
        validity: pki::Validity::default(),
        rsa: false,
        write_document_keys: true,
        persons: &BTreeSet::new(),
        extra: &Default::default(),
    })?;
    let dir = args.dir.display();
    out(format!(
        "network `{}` with {} agencies on {} nodes in {dir}",
        args.network,
        agencies.len(),
        addresses.len()
    ));
    out("start each node in a terminal of its own:");
    for node in made.nodes.keys() {
        out(format!("  lienthong serve --config {dir}/{node}/lienthong.toml"));
    }
    if let [from, to, ..] = &agencies[..] {
        let config = format!("{dir}/{}/lienthong.toml", from.node);
        out("then send a document, as the system of an agency would:");
        out(format!(
            "  lienthong send FILE --config {config} --sender {} --to {} --number 1 --notation CV-TEST \\\n    \
             --subject \"Thử nghiệm\" --sign {dir}/documents/person-{}.pem --sign {dir}/documents/seal-{}.pem",
            from.code, to.code, from.code, from.code
        ));
        out(format!("  lienthong inbox --config {dir}/{}/lienthong.toml --agency {}", to.node, to.code));
    }
    Ok(Outcome::Done)
}

/// Keys, certificate request and configuration of one node; what must be signed elsewhere is said.
fn one_node(args: &InitArgs) -> Result<Outcome, CliError> {
    let node = NodeName::new(args.node.as_deref().unwrap_or_default())?;
    let dir = &args.dir;
    std::fs::create_dir_all(dir).map_err(|e| CliError::file("creating", dir, &e))?;
    let uri = build::node_identity(&args.network, &node);
    let mut hosts = vec![node.to_string()];
    hosts.extend(args.host.iter().cloned());
    let (key, request) = pki::tls_request(&uri, &hosts)?;
    pki::write_secret(&dir.join("node.key"), key.as_bytes())?;
    pki::write_public(&dir.join("node.csr"), request.as_bytes())?;
    let log = key_file(&dir.join("log.key"))?;
    let cosign = key_file(&dir.join("cosign.key"))?;
    let log = NoteSigner::from_pkcs8(&node.log_origin(1), &log).map_err(CliError::failed)?;
    let cosign =
        NoteSigner::cosigner_from_pkcs8(&format!("{node}/witness"), &cosign).map_err(CliError::failed)?;
    // Nobody's key: check-config and serve refuse it until the authority's stands there.
    let authority =
        args.authority.clone().unwrap_or_else(|| "PUT-THE-AUTHORITY'S-VERIFIER-KEY-HERE".to_owned());
    let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
    let text = network::configuration(&node, &args.network, any(7400), any(7401), &authority);
    pki::write_public(&dir.join("lienthong.toml"), text.as_bytes())?;
    let shown = dir.display();
    out(format!("made {shown}/lienthong.toml, node.key, node.csr, log.key, cosign.key"));
    out("give these to the network's authority:");
    out(format!("  {shown}/node.csr            a request for a certificate that names {uri}"));
    out(format!("  log key                 {}", log.verifier()));
    out(format!("  cosigning key           {}", cosign.verifier()));
    out(format!("  endpoint for peers      {}:7401", args.host.first().map_or("HOST", String::as_str)));
    out("                          (none, if others cannot reach it: then it calls them)");
    out("and put what comes back beside the configuration: node.pem, network-ca.pem, directory.note;");
    out("client-ca.pem is yours: the authority of your own systems' certificates.");
    if args.authority.is_none() {
        note("directory.authority in lienthong.toml is still to be filled in");
    }
    out(format!("then: lienthong check-config {shown}/lienthong.toml"));
    Ok(Outcome::Done)
}

fn key_file(path: &Path) -> Result<Vec<u8>, CliError> {
    let (pem, der) = pki::ed25519()?;
    pki::write_secret(path, pem.as_bytes())?;
    Ok(der)
}
