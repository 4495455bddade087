//! Reaching a node: by its configuration, or by its address and a client's certificate.

use std::path::PathBuf;

use super::CliError;
use crate::config::Config;
use crate::domain::ids::AgencyId;
use crate::report::{Cells, Coverage, Figure, Missing, Query, Report};
use crate::rpc::client::NodeClient;
use crate::wire::figures::read_counts;
use crate::wire::pb;

/// Which node, and as which client.
#[derive(Debug, Clone, clap::Args)]
pub struct Remote {
    /// The node's configuration; the client's certificate is found in its `commands.folder`.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Address of the node's listener for clients, instead of a configuration.
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub node: Option<String>,
    /// Name that the node's certificate must be valid for (default: the host).
    #[arg(long, value_name = "NAME", global = true)]
    pub server_name: Option<String>,
    /// With --config: which client to be.
    #[arg(long, value_name = "NAME", global = true)]
    pub client: Option<String>,
    /// The client's certificate (PEM).
    #[arg(long, value_name = "FILE", global = true)]
    pub cert: Option<PathBuf>,
    /// The client's key (PEM).
    #[arg(long, value_name = "FILE", global = true)]
    pub key: Option<PathBuf>,
    /// Authority of the node's certificate (PEM).
    #[arg(long, value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
}

/// Who acts.
#[derive(Debug, Clone, clap::Args)]
pub struct Person {
    /// The person who does this, as the node's log is to say it: opaque, at most 100 characters.
    #[arg(long, value_name = "USER", default_value = "")]
    pub user: String,
}

impl Remote {
    /// Connects, as `client` unless another is named.
    pub async fn connect(&self, client: &str) -> Result<NodeClient, CliError> {
        let (address, name, cert, key, ca) = self.resolve(client)?;
        NodeClient::connect(&address, &name, &cert, &key, &ca).await.map_err(|e| {
            CliError::failed(format!("{e}; is the node running? `lienthong serve --config FILE` starts it"))
        })
    }

    fn resolve(&self, client: &str) -> Result<(String, String, PathBuf, PathBuf, PathBuf), CliError> {
        if let Some(file) = &self.config {
            let config = Config::read(file).map_err(CliError::failed)?;
            let client = self.client.as_deref().unwrap_or(client);
            let folder = config.commands.clone();
            let named = |given: &Option<PathBuf>, file: String| {
                given.clone().or_else(|| folder.as_ref().map(|f| f.join(file))).ok_or_else(|| {
                    CliError::failed(
                        "the configuration has no `commands.folder`: give --cert, --key and --ca",
                    )
                })
            };
            let base = format!("{}-{client}", config.node);
            return Ok((
                self.node.clone().unwrap_or_else(|| config.listen_clients.to_string()),
                self.server_name.clone().unwrap_or_else(|| config.node.to_string()),
                named(&self.cert, format!("{base}.pem"))?,
                named(&self.key, format!("{base}.key"))?,
                named(&self.ca, "network-ca.pem".into())?,
            ));
        }
        let needed = |name: &str, value: &Option<PathBuf>| {
            value.clone().ok_or_else(|| CliError::failed(format!("--{name} is needed with --node")))
        };
        let address = self.node.clone().ok_or_else(|| {
            CliError::failed(
                "which node? give --config FILE, or --node HOST:PORT with --cert, --key and --ca",
            )
        })?;
        let host = address.rsplit_once(':').map_or(address.as_str(), |(h, _)| h).to_owned();
        Ok((
            address,
            self.server_name.clone().unwrap_or(host),
            needed("cert", &self.cert)?,
            needed("key", &self.key)?,
            needed("ca", &self.ca)?,
        ))
    }
}

/// Sums from a node's answer.
pub fn read_cells(response: &pb::GetRatiosResponse) -> Cells {
    let sums = response.rows.iter().map(|row| (row.key.clone(), read_counts(row.counts.as_ref())));
    sums.collect()
}

/// A report from a node's answer to what was asked.
pub fn read_report(query: Query, response: pb::GetRatiosResponse) -> Report {
    let figure = |row: pb::RatioRow| Figure {
        counters: read_counts(row.counts.as_ref()),
        covered: row.covered,
        values: if row.values.is_empty() { vec![row.key] } else { row.values },
    };
    let missing = |m: pb::MissingDeclaration| {
        let months = m.months.iter().filter_map(|month| month.parse().ok()).collect();
        Some(Missing { agency: AgencyId::new(&m.agency).ok()?, months, deliveries: m.deliveries })
    };
    let coverage = response.coverage.unwrap_or_default();
    Report {
        query,
        figures: response.rows.into_iter().map(figure).collect(),
        coverage: Coverage {
            covered: coverage.covered,
            all: coverage.all,
            complete: coverage.complete,
            missing: coverage.missing.into_iter().filter_map(missing).collect(),
        },
        checkpoint: response.checkpoint,
        exact: response.exact,
        network: String::new(),
        closed: response.closed.into_iter().map(|c| (c.period, c.restatements)).collect(),
    }
}
