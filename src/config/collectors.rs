//! The nodes that may have this node's figures.

use std::collections::BTreeSet;

use super::{ConfigError, raw};
use crate::domain::ids::NodeName;

/// Which nodes may ask for what, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collectors {
    /// Statements of this node's figures: ids of deliveries, agencies, channels and verdicts.
    pub collectors: BTreeSet<NodeName>,
    /// The log itself as well, to recount them: everything that an auditor of the node sees.
    pub auditors: BTreeSet<NodeName>,
}

impl Collectors {
    /// Whether a node may have statements; who may have the log may have them, too.
    pub fn may_collect(&self, node: &NodeName) -> bool {
        self.collectors.contains(node) || self.may_recount(node)
    }

    /// Whether a node may have the log.
    pub fn may_recount(&self, node: &NodeName) -> bool {
        self.auditors.contains(node)
    }
}

pub(super) fn collectors_of(raw: &raw::Figures) -> Result<Collectors, ConfigError> {
    let names = |key: &str, names: &[String]| {
        let name = |name: &String| {
            NodeName::new(name).map_err(|_| ConfigError::Value {
                key: key.to_owned(),
                value: name.clone(),
                allowed: "names of nodes: 1 to 63 letters, digits, `-` or `.`".to_owned(),
            })
        };
        names.iter().map(name).collect::<Result<BTreeSet<_>, _>>()
    };
    Ok(Collectors {
        collectors: names("figures.collectors", &raw.collectors)?,
        auditors: names("figures.auditors", &raw.auditors)?,
    })
}
