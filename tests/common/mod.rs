//! A network of nodes in this process, on loopback, with real keys, real TLS and a clock that is set by hand.
//!
//! ```text
//! H01        province (old code 000.00.00.H01)          node a
//! ├ H01.1    department (old code 000.00.01.H01)        node a
//! │ └ H01.1.5  subunit                                  node a
//! ├ H01.2    department                                 node a
//! ├ H01.9    department                                 no node
//! ├ H01.21   district                                   node a
//! │ ├ H01.21.1  commune                                 node a
//! │ └ H01.21.2  commune, closed since 2016-07-01        node a
//! └ H01.22   district (old code 000.00.22.H01)          node b
//!   ├ H01.22.1  commune                                 node b
//!   └ H01.22.5  subunit                                 node b
//! G01        ministry                                   node c
//! ```
//! Clients of every node: `dms` (all agencies), `admin`, and for one agency ([`ONE`]) `one` (dms), `auditor` and
//! `operator`. Each node runs on a runtime of its own, so that [`TestNet::kill`] ends it between two instructions:
//! nothing is drained, nothing is flushed. Its ports stay reserved while it is down.

#![allow(dead_code, reason = "each test file takes what it needs")]

pub mod check;
pub mod client;
pub mod document;
pub mod log;
pub mod peer;
pub mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lienthong::cli::network::{self, Network, Plan};
use lienthong::cli::pki::{Authority, Validity};
use lienthong::config::{Client, Config, NodeRole, Role};
use lienthong::directory::build::{self, AgencyLine, read_agencies};
use lienthong::directory::content::Content;
use lienthong::domain::NodeName;
use lienthong::ledger::{Clock, ManualClock};
use lienthong::merkle::{Note, NoteSigner};
use lienthong::node::{Listeners, Node, NodeError};
use lienthong::rpc::tls::read_pkcs8;
use lienthong::store::StoreError;
use lienthong::store::disk::{Disk, RealDisk};
use lienthong::time::Timestamp;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// The network's name.
pub const NETWORK: &str = "test";
/// Bytes that a document may have in this network.
pub const MAX_CONTENT: u64 = 4 << 20;
/// The agency of `one`, `auditor` and `operator`, by node.
pub const ONE: [(&str, &str); 3] = [("a", "H01.1"), ("b", "H01.22"), ("c", "G01")];
/// Longest wait for what must happen; reached only when a test fails.
const LIMIT: Duration = Duration::from_secs(60);

const AGENCIES: &str = "code,legacy_code,name,level,parent,node
H01,000.00.00.H01,UBND tỉnh Thử,province,,a
H01.1,000.00.01.H01,Sở Nội vụ,department,H01,a
H01.1.5,,Phòng Hành chính,subunit,H01.1,a
H01.2,,Sở Tài chính,department,H01,a
H01.9,,Sở Ngoại vụ,department,H01,
H01.21,,UBND huyện Đông,district,H01,a
H01.21.1,,UBND xã Một,commune,H01.21,a
H01.21.2,,UBND xã Hai,commune,H01.21,a
H01.22,000.00.22.H01,UBND huyện Tây,district,H01,b
H01.22.1,,UBND xã Ba,commune,H01.22,b
H01.22.5,,Văn phòng,subunit,H01.22,b
G01,,Bộ Thử nghiệm,central,,c
";
/// The agency that is closed.
const CLOSED: (&str, &str) = ("H01.21.2", "2016-07-01");
/// 09:00 on a Monday.
const START: &str = "2016-08-08T09:00:00+07:00";

/// The network. Nothing runs until it is started.
pub struct TestNet {
    dir: tempfile::TempDir,
    pub network: Network,
    pub agencies: Vec<AgencyLine>,
    pub clock: Arc<ManualClock>,
    running: BTreeMap<String, Running>,
    /// Bound, never listening: nobody else is given the ports of a node that is down.
    _ports: Vec<TcpSocket>,
}

/// A node and the threads that it runs on.
struct Running {
    node: Option<Node>,
    runtime: Option<Runtime>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.node.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn reserve() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

impl TestNet {
    /// Makes keys, certificates, configurations and the directory.
    pub fn new() -> TestNet {
        let dir = tempfile::tempdir().unwrap();
        let agencies = read_agencies(AGENCIES.as_bytes()).unwrap();
        let mut addresses = BTreeMap::new();
        let mut ports = Vec::new();
        for node in network::nodes_of(&agencies).unwrap() {
            let (clients, peers) = (reserve(), reserve());
            addresses.insert(node, (clients.1, peers.1));
            ports.extend([clients.0, peers.0]);
        }
        let clock = Arc::new(ManualClock::new(START.parse().unwrap()));
        let plan = Plan {
            network: NETWORK,
            dir: dir.path(),
            agencies: &agencies,
            addresses: &addresses,
            unreachable: &BTreeSet::new(),
            issued_at: clock.now(),
            validity: Validity::default(),
            rsa: false,
            write_document_keys: false,
            persons: &BTreeSet::new(),
            extra: &Default::default(),
        };
        let mut network = network::make(&plan).unwrap();
        for (node, agency) in ONE {
            let config = network.nodes.get_mut(&name(node)).unwrap();
            config.max_content_bytes = MAX_CONTENT;
            config.cache_bytes = 8 << 20;
            // Whoever tests what happens without room says so.
            (config.reserve_bytes, config.critical_bytes) = (0, 0);
            for (client, role) in
                [("one", Role::Dms), ("auditor", Role::Auditor), ("operator", Role::Operator)]
            {
                config.clients.push(Client {
                    name: client.to_owned(),
                    agencies: Some([agency.to_owned()].into()),
                    roles: [role].into(),
                    node_roles: BTreeSet::<NodeRole>::new(),
                });
            }
        }
        let net = TestNet { dir, network, agencies, clock, running: BTreeMap::new(), _ports: ports };
        for (node, _) in ONE {
            for client in ["one", "auditor", "operator", "stranger"] {
                let uri = build::client_identity(NETWORK, &name(node), client);
                net.certify("client-ca", &uri, &[], &net.client_files(node, client));
            }
        }
        let foreign = Authority::new("somebody else", Validity::default()).unwrap();
        let uri = build::client_identity(NETWORK, &name("a"), "dms");
        let base = net.client_files("a", "foreign");
        foreign.tls(&uri, &[], false).unwrap().write(&pem(&base), &key(&base)).unwrap();
        net.change_directory(|content| {
            let closed = content.agencies.iter_mut().find(|a| a.id == CLOSED.0).unwrap();
            closed.closed_on = Some(CLOSED.1.parse().unwrap());
        });
        net
    }

    /// Makes it and starts these nodes.
    pub async fn running(nodes: &[&str]) -> TestNet {
        let mut net = TestNet::new();
        for node in nodes {
            net.start(node).await;
        }
        net
    }

    /// Changes the directory of all nodes and signs it again; for a change after the first start, raise its version.
    pub fn change_directory(&self, change: impl FnOnce(&mut Content)) {
        let file = |node: &str| self.path(node).join("directory.note");
        let note = std::fs::read_to_string(file("a")).unwrap();
        let mut content: Content = serde_json::from_str(&Note::parse(&note, 1 << 20).unwrap().text).unwrap();
        change(&mut content);
        let key = read_pkcs8(&self.path("authority").join("directory.key")).unwrap();
        let authority = NoteSigner::from_pkcs8(&format!("{NETWORK}/directory"), &key).unwrap();
        let note = build::sign(&content, &authority).unwrap();
        for (node, _) in ONE {
            std::fs::write(file(node), &note).unwrap();
        }
    }

    /// A path in the network's folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The configuration of a node.
    pub fn config(&self, node: &str) -> &Config {
        &self.network.nodes[&name(node)]
    }

    /// Changes the configuration of a node that does not run.
    pub fn configure(&mut self, node: &str, change: impl FnOnce(&mut Config)) {
        change(self.network.nodes.get_mut(&name(node)).unwrap());
    }

    /// Files of a client's certificate and key, without their endings.
    pub fn client_files(&self, node: &str, client: &str) -> PathBuf {
        self.path("clients").join(format!("{node}-{client}"))
    }

    /// Certificate and key (`base`.pem, `base`.key) of an authority of this network.
    pub fn certify(&self, authority: &str, uri: &str, hosts: &[&str], base: &Path) {
        self.certify_for(authority, uri, hosts, base, (2015, 2040));
    }

    /// The same, valid between the first days of two years.
    pub fn certify_for(&self, authority: &str, uri: &str, hosts: &[&str], base: &Path, years: (i32, i32)) {
        let read = |ending: &str| {
            std::fs::read_to_string(self.path("authority").join(format!("{authority}.{ending}"))).unwrap()
        };
        let issuer =
            Issuer::from_ca_cert_pem(&read("pem"), KeyPair::from_pem(&read("key")).unwrap()).unwrap();
        let subject = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()).unwrap();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&subject, &issuer).unwrap();
        std::fs::write(pem(base), certificate.pem()).unwrap();
        std::fs::write(key(base), subject.serialize_pem()).unwrap();
    }

    /// Starts a node, for the first time or again.
    pub async fn start(&mut self, node: &str) {
        self.start_on(node, Arc::new(RealDisk)).await;
    }

    /// The same on another storage port.
    pub async fn start_on(&mut self, node: &str, disk: Arc<dyn Disk>) {
        self.try_start(node, disk).await.unwrap_or_else(|e| panic!("node {node} does not start: {e}"));
    }

    /// Starts nodes at the same time.
    pub async fn start_together(&mut self, nodes: &[&str]) {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let starting: Vec<_> =
            nodes.iter().map(|node| self.starting(node, Arc::new(RealDisk), clock.clone())).collect();
        for (node, (runtime, started)) in nodes.iter().zip(starting) {
            let mut running = Running { node: None, runtime: Some(runtime) };
            running.node =
                Some(started.await.unwrap().unwrap_or_else(|e| panic!("node {node} does not start: {e}")));
            self.running.insert((*node).to_owned(), running);
        }
    }

    /// The same with a clock of its own.
    pub async fn start_with(&mut self, node: &str, clock: Arc<dyn Clock>) {
        self.try_start_with(node, Arc::new(RealDisk), clock).await.unwrap();
    }

    /// The same; it may fail.
    pub async fn try_start(&mut self, node: &str, disk: Arc<dyn Disk>) -> Result<(), NodeError> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        self.try_start_with(node, disk, clock).await
    }

    async fn try_start_with(
        &mut self,
        node: &str,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<(), NodeError> {
        let (runtime, starting) = self.starting(node, disk, clock);
        let started = starting.await.unwrap();
        let mut running = Running { node: None, runtime: Some(runtime) };
        running.node = Some(started?);
        self.running.insert(node.to_owned(), running);
        Ok(())
    }

    /// A node on its way.
    fn starting(
        &self,
        node: &str,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> (Runtime, JoinHandle<Result<Node, NodeError>>) {
        assert!(!self.running.contains_key(node), "node {node} runs already");
        let config = self.config(node).clone();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let starting = runtime.spawn(async move {
            // A node that was killed lets go of its ports and its files a little later.
            eventually("ports and files are free", || async {
                let listeners = Listeners::bind(config.listen_clients, config.listen_peers).await.ok()?;
                match Node::start_on(config.clone(), clock.clone(), listeners, disk.clone()).await {
                    Err(NodeError::Store(StoreError::InUse { .. })) => None,
                    started => Some(started),
                }
            })
            .await
        });
        (runtime, starting)
    }

    /// Stops a node in order.
    pub async fn stop(&mut self, node: &str) {
        self.begin_stop(node).await.unwrap().unwrap();
    }

    /// Begins to stop a node.
    pub fn begin_stop(&mut self, node: &str) -> JoinHandle<Result<(), NodeError>> {
        let mut running = self.running.remove(node).unwrap();
        let handle = running.node.take().unwrap();
        let runtime = running.runtime.as_ref().unwrap().handle().clone();
        tokio::spawn(async move {
            let stopped = runtime.spawn(async move { handle.stop("test").await }).await.unwrap();
            drop(running);
            stopped
        })
    }

    /// Ends a node where it stands.
    pub fn kill(&mut self, node: &str) {
        drop(self.running.remove(node).unwrap());
    }

    /// The running node.
    pub fn node(&mut self, node: &str) -> &mut Node {
        self.running.get_mut(node).unwrap().node.as_mut().unwrap()
    }

    /// The nodes that run.
    pub fn nodes(&self) -> Vec<String> {
        self.running.keys().cloned().collect()
    }

    /// Codes of the agencies that a node hosts and that are not closed.
    pub fn hosted(&self, node: &str) -> Vec<String> {
        self.agencies
            .iter()
            .filter(|a| a.node == node && a.code != CLOSED.0)
            .map(|a| a.code.clone())
            .collect()
    }

    /// The network's time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Checks every log and stops every node: the end of each test.
    pub async fn finish(mut self) {
        self.check().await;
        for node in self.nodes() {
            self.stop(&node).await;
        }
    }
}

/// A node's name.
pub fn name(node: &str) -> NodeName {
    NodeName::new(node).unwrap()
}

/// The certificate of a pair of files.
pub fn pem(base: &Path) -> PathBuf {
    base.with_added_extension("pem")
}

/// The key of a pair of files.
pub fn key(base: &Path) -> PathBuf {
    base.with_added_extension("key")
}

/// Waits until `probe` has something; there is no other waiting in these tests.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "this did not happen within {} s: {what}", LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
