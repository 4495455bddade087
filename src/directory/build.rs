//! Making a directory: from an agency list (csv) and the public facts of nodes and seals, and signing it.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::content::{AgencyEntry, CodeEntry, Content, Hosting, LogKey, NodeEntry};
use super::{DirectoryError, content};
use crate::domain::event::Level;
use crate::domain::ids::NodeName;
use crate::merkle::{NoteSigner, NoteVerifier};
use crate::time::Timestamp;

/// A line of an agency list: `code,legacy_code,name,level,parent,node`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AgencyLine {
    /// Current code; also the permanent id of a newly listed agency.
    pub code: String,
    /// Old code, or empty.
    #[serde(default)]
    pub legacy_code: String,
    /// Name.
    pub name: String,
    /// Level.
    pub level: Level,
    /// Code of the parent, or empty.
    #[serde(default)]
    pub parent: String,
    /// Node that hosts it, or empty.
    #[serde(default)]
    pub node: String,
}

/// Reads an agency list; the error names the line.
pub fn read_agencies(csv: impl Read) -> Result<Vec<AgencyLine>, DirectoryError> {
    let mut lines = Vec::new();
    for (i, line) in csv::Reader::from_reader(csv).deserialize().enumerate() {
        let line: AgencyLine =
            line.map_err(|e| DirectoryError::Format(format!("agency list, line {}: {e}", i + 2)))?;
        if !line.node.is_empty() {
            NodeName::new(&line.node).map_err(|e| DirectoryError::Inconsistent {
                place: format!("agency list, line {}", i + 2),
                problem: e.to_string(),
            })?;
        }
        lines.push(line);
    }
    Ok(lines)
}

/// The public facts of a node.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// Its name.
    pub name: NodeName,
    /// `host:port` for peers.
    pub endpoints: Vec<String>,
    /// Its log's key.
    pub log_key: NoteVerifier,
    /// Its cosigning key.
    pub cosign_key: NoteVerifier,
}

/// URI that names a node in its TLS certificate.
pub fn node_identity(network: &str, node: &NodeName) -> String {
    format!("lienthong-node://{network}/{node}")
}

/// URI that names a client of a node in its TLS certificate.
pub fn client_identity(network: &str, node: &NodeName, client: &str) -> String {
    format!("lienthong-client://{network}/{node}/{client}")
}

/// The first version of a directory. `seal` gives the seal certificates (DER) of a registered agency by code.
pub fn first_version(
    network: &str,
    issued_at: Timestamp,
    valid_until: Timestamp,
    roots: &[Vec<u8>],
    nodes: &[NodeFacts],
    agencies: &[AgencyLine],
    seal: impl Fn(&str) -> Vec<Vec<u8>>,
) -> Result<Content, DirectoryError> {
    let encode = |der: &Vec<u8>| STANDARD.encode(der);
    let mut entries = Vec::with_capacity(agencies.len());
    for line in agencies {
        let mut codes = vec![CodeEntry { code: line.code.clone(), from: None, to: None }];
        if !line.legacy_code.is_empty() && line.legacy_code != line.code {
            codes.push(CodeEntry { code: line.legacy_code.clone(), from: None, to: None });
        }
        let hosting = if line.node.is_empty() {
            Vec::new()
        } else {
            let node = NodeName::new(&line.node).map_err(|e| DirectoryError::Format(e.to_string()))?;
            vec![Hosting { node, from: None, to: None }]
        };
        entries.push(AgencyEntry {
            id: line.code.clone(),
            codes,
            name: line.name.clone(),
            level: line.level,
            parent: (!line.parent.is_empty()).then(|| line.parent.clone()),
            hosting,
            seals: if line.level == Level::Subunit {
                Vec::new()
            } else {
                seal(&line.code).iter().map(encode).collect()
            },
            closed_on: None,
        });
    }
    Ok(Content {
        format: content::FORMAT,
        network: network.to_owned(),
        version: 1,
        previous: None,
        issued_at,
        valid_until,
        roots: roots.iter().map(encode).collect(),
        refused_signers: Vec::new(),
        nodes: nodes
            .iter()
            .map(|n| NodeEntry {
                name: n.name.clone(),
                endpoints: n.endpoints.clone(),
                tls_identity: node_identity(network, &n.name),
                log_keys: vec![LogKey { key: n.log_key.to_string(), first: 0, last: None, withdrawn: None }],
                cosign_keys: vec![n.cosign_key.to_string()],
            })
            .collect(),
        agencies: entries,
    })
}

/// Signs a directory: the text is the content as indented JSON.
pub fn sign(content: &Content, authority: &NoteSigner) -> Result<String, DirectoryError> {
    let mut text =
        serde_json::to_string_pretty(content).map_err(|e| DirectoryError::Format(e.to_string()))?;
    text.push('\n');
    let line = authority.sign(&text);
    Ok(format!("{text}\n{line}"))
}
