//! The way to a node that may be gone at any moment: every call is made again after connecting anew, until it is
//! answered.

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lienthong::config::Config;
use lienthong::rpc::client::NodeClient;
use lienthong::rpc::tls;
use lienthong::wire::pb;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

/// Time for one call.
const CALL: Duration = Duration::from_secs(30);
/// Time to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// One node, as its systems and its administrator reach it.
pub struct Line {
    node: String,
    address: String,
    dms: Login,
    admin: Login,
    retries: AtomicUsize,
    last_failure: Mutex<String>,
}

struct Login {
    tls: Arc<rustls::ClientConfig>,
    connection: tokio::sync::Mutex<(u64, Option<NodeClient>)>,
}

impl Line {
    /// To a node of a network that was made.
    pub fn new(dir: &Path, config: &Config) -> Line {
        let clients = dir.join("clients");
        let login = |client: &str| {
            let file = |end: &str| clients.join(format!("{}-{client}.{end}", config.node));
            let tls = tls::client_tls(&file("pem"), &file("key"), &clients.join("network-ca.pem")).unwrap();
            Login { tls, connection: tokio::sync::Mutex::default() }
        };
        Line {
            node: config.node.to_string(),
            address: config.listen_clients.to_string(),
            dms: login("dms"),
            admin: login("admin"),
            retries: AtomicUsize::new(0),
            last_failure: Mutex::default(),
        }
    }

    pub fn node(&self) -> &str {
        &self.node
    }

    /// Calls that were not answered and made again.
    pub fn retries(&self) -> usize {
        self.retries.load(Ordering::Relaxed)
    }

    /// Counts a call that must be made again.
    pub fn missed(&self, what: &str, why: &str) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        *self.last_failure.lock().unwrap() = format!("{}: {what}: {why}", self.node);
    }

    async fn client(&self, login: &Login) -> (u64, NodeClient) {
        loop {
            let mut connection = login.connection.lock().await;
            if let (number, Some(client)) = &*connection {
                return (*number, client.clone());
            }
            let connecting = NodeClient::connect_with(login.tls.clone(), &self.address, &self.node);
            if let Ok(Ok(client)) = tokio::time::timeout(CONNECT, connecting).await {
                connection.0 += 1;
                connection.1 = Some(client.clone());
                return (connection.0, client);
            }
            drop(connection);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn broken(&self, login: &Login, number: u64) {
        let mut connection = login.connection.lock().await;
        if connection.0 == number {
            connection.1 = None;
        }
    }

    /// Calls until there is an answer; an error is a refusal.
    async fn call_with<T, F>(
        &self,
        login: &Login,
        what: &str,
        call: impl Fn(NodeClient) -> F,
    ) -> Result<T, String>
    where
        F: Future<Output = Result<T, Status>>,
    {
        loop {
            let (number, client) = self.client(login).await;
            match tokio::time::timeout(CALL, call(client)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) if is_refusal(&status) => {
                    return Err(format!("{}: {what}: {status:?}", self.node));
                }
                Ok(Err(status)) => self.missed(what, &format!("{status:?}")),
                Err(_) => self.missed(what, "no answer in time"),
            }
            self.broken(login, number).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The same as a document-management system.
    pub async fn call<T, F>(&self, what: &str, call: impl Fn(NodeClient) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, Status>>,
    {
        self.call_with(&self.dms, what, call).await
    }

    /// The same as the node's administrator.
    pub async fn call_as_admin<T, F>(
        &self,
        what: &str,
        call: impl Fn(NodeClient) -> F,
    ) -> Result<Response<T>, String>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.call_with(&self.admin, what, call).await
    }

    /// The call that failed last.
    pub fn last_failure(&self) -> String {
        self.last_failure.lock().unwrap().clone()
    }

    /// Connects the systems anew for the next call.
    pub async fn hang_up(&self, number: u64) {
        self.broken(&self.dms, number).await;
    }

    /// Number of the systems' connection.
    pub async fn number(&self) -> u64 {
        self.client(&self.dms).await.0
    }

    /// Until it answers on a connection of now.
    pub async fn serves(&self) {
        let number = self.admin.connection.lock().await.0;
        self.broken(&self.admin, number).await;
        let head = |c: NodeClient| async move { c.audit().get_checkpoint(pb::GetCheckpointRequest {}).await };
        self.call_as_admin("checkpoint", head).await.unwrap();
    }
}

/// The node said no, and would say so again. Everything else is a node that is gone, or asks to try again.
pub fn is_refusal(status: &Status) -> bool {
    status.get_error_details().error_info().is_some()
        && !matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)
}
