//! How the command line, the demo and the tests call a node: one connection, one client per service.

use std::path::Path;
use std::sync::Arc;

use tonic::transport::Channel;

use super::link::connect_tls;
use super::tls::{self, Identity};
use crate::domain::limits;
use crate::wire::pb::audit_service_client::AuditServiceClient;
use crate::wire::pb::directory_service_client::DirectoryServiceClient;
use crate::wire::pb::exchange_service_client::ExchangeServiceClient;
use crate::wire::pb::report_service_client::ReportServiceClient;
use crate::wire::pb::retention_service_client::RetentionServiceClient;

/// A connection to a node.
#[derive(Clone)]
pub struct NodeClient {
    channel: Channel,
    node: Option<String>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Certificates or keys.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The network, or the other side.
    #[error("no connection to {address}: {problem}")]
    Connect {
        /// Where to.
        address: String,
        /// What happened.
        problem: String,
    },
}

impl NodeClient {
    /// Connects to `address` with a client's certificate. `name` is what the node's certificate must be valid for: a
    /// host name, or the node's name.
    pub async fn connect(
        address: &str,
        name: &str,
        certificate: &Path,
        key: &Path,
        network_ca: &Path,
    ) -> Result<NodeClient, ConnectError> {
        NodeClient::connect_with(tls::client_tls(certificate, key, network_ca)?, address, name).await
    }

    /// The same with TLS at hand.
    pub async fn connect_with(
        tls: Arc<rustls::ClientConfig>,
        address: &str,
        name: &str,
    ) -> Result<NodeClient, ConnectError> {
        let (channel, identity) = connect_tls(tls, address, name)
            .await
            .map_err(|problem| ConnectError::Connect { address: address.to_owned(), problem })?;
        let node = match identity {
            Identity::Node { node, .. } => Some(node),
            _ => None,
        };
        Ok(NodeClient { channel, node })
    }

    /// The node's name by its certificate.
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// `ExchangeService`.
    pub fn exchange(&self) -> ExchangeServiceClient<Channel> {
        ExchangeServiceClient::new(self.channel.clone())
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES)
    }

    /// `AuditService`.
    pub fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    /// `ReportService`.
    pub fn report(&self) -> ReportServiceClient<Channel> {
        ReportServiceClient::new(self.channel.clone())
    }

    /// `RetentionService`.
    pub fn retention(&self) -> RetentionServiceClient<Channel> {
        RetentionServiceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    /// `DirectoryService`.
    pub fn directory(&self) -> DirectoryServiceClient<Channel> {
        DirectoryServiceClient::new(self.channel.clone())
    }

    /// The connection itself, for other services.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }
}
