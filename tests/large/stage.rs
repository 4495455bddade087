//! A network with room for large documents, with a proxy in front of every port, and calls that break.

use std::collections::BTreeMap;

use bytes::Bytes;
use lienthong::wire::pb;
use tonic::{Code, Status};

use super::common::document::Doc;
use super::common::{TestNet, eventually};
use super::proxy::Proxy;

pub const MIB: usize = 1 << 20;
/// What may come twice: what the node had not written yet, and what was on its way.
pub const SLACK: u64 = 3 << 20;

/// Nodes a and b behind proxies.
pub struct Stage {
    pub net: TestNet,
    /// In front of the ports for peers, by node.
    pub peers: BTreeMap<&'static str, Proxy>,
    /// In front of the port for clients of node a.
    pub clients: Proxy,
}

/// Bytes that nothing compresses and no two documents share.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(size + 8);
    while out.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(size);
    out
}

impl Stage {
    /// Made, not running.
    pub fn new() -> Stage {
        let mut net = TestNet::new();
        let mut peers = BTreeMap::new();
        for node in ["a", "b"] {
            net.configure(node, |config| config.max_content_bytes = 256 << 20);
            peers.insert(node, Proxy::start(net.config(node).listen_peers));
        }
        net.change_directory(|content| {
            for (node, proxy) in &peers {
                let listed = content.nodes.iter_mut().find(|n| n.name.as_str() == *node).unwrap();
                listed.endpoints = vec![proxy.address.to_string()];
            }
        });
        let clients = Proxy::start(net.config("a").listen_clients);
        Stage { net, peers, clients }
    }

    /// With both nodes running.
    pub async fn running() -> Stage {
        let mut stage = Stage::new();
        stage.net.start("a").await;
        stage.net.start("b").await;
        stage
    }

    /// A large document from node a to node b.
    pub fn document(&self, number: u32, size: usize) -> Doc {
        self.net.document_of("H01.1", &["H01.22"], &number.to_string(), noise(number.into(), size))
    }

    /// Sends through the proxy, on a connection of its own.
    pub async fn send(&self, doc: &Doc) -> Result<pb::SendResponse, Status> {
        let client = self.client("dms").await;
        let messages = doc.messages_from(doc.header.resume_offset);
        Ok(client.exchange().send(tokio_stream::iter(messages)).await?.into_inner())
    }

    /// A client of node a that goes through the proxy.
    pub async fn client(&self, name: &str) -> lienthong::rpc::client::NodeClient {
        let files = self.net.client_files("a", name);
        let ca = self.net.path("clients/network-ca.pem");
        let (pem, key) = (super::common::pem(&files), super::common::key(&files));
        let address = self.clients.address.to_string();
        lienthong::rpc::client::NodeClient::connect(&address, "a", &pem, &key, &ca).await.unwrap()
    }

    /// Bytes of an upload that node a has.
    pub async fn durable(&self, client: &str, doc: &Doc) -> u64 {
        let client = self.net.client("a", client).await;
        let request = pb::GetUploadRequest {
            sender: doc.header.sender.clone(),
            request_id: doc.header.request_id.clone(),
        };
        client.node.exchange().get_upload(request).await.unwrap().into_inner().durable_offset
    }

    /// Files that a node keeps of transfers.
    pub fn kept(&self, node: &str) -> Vec<String> {
        let dir = self.net.config(node).data.join("content/partial");
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .filter_map(|e| e.ok().map(|e| e.file_name().into_string().unwrap()))
            .collect();
        names.sort();
        names
    }

    /// Waits until a node keeps so many files of transfers: a head, and one for each part.
    pub async fn keeps(&self, node: &str, count: usize) {
        eventually(&format!("node {node} keeps {count} files of transfers"), || async {
            (self.kept(node).len() == count).then_some(())
        })
        .await;
    }

    /// The document arrives whole.
    pub async fn arrives(&self, id: &Bytes, doc: &Doc) {
        self.net.dms("a").await.wait_for(id, pb::DeliveryState::Delivered).await;
        let (_, data) = self.net.dms("b").await.fetch("H01.22", id).await.unwrap();
        assert!(data == doc.data, "what arrived is not what was sent");
        for node in ["a", "b"] {
            self.keeps(node, 0).await;
        }
    }
}

/// A call that lost its connection.
#[track_caller]
pub fn is_broken(status: &Status) {
    assert!(matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{status:?}");
}

/// The one recipient's delivery.
pub fn delivery(sent: pb::SendResponse) -> Bytes {
    let [result] = &sent.results[..] else { panic!("{sent:?}") };
    assert_eq!(result.problem, None);
    result.delivery_id.clone()
}

impl Doc {
    /// The messages of a stream that begins at a byte.
    pub fn messages_from(&self, offset: u64) -> Vec<pb::SendRequest> {
        let header = pb::send_request::Part::Header(self.header.clone());
        let rest = self.data.get(offset as usize..).unwrap_or_default();
        let pieces = rest.chunks(256 << 10).map(|p| pb::send_request::Part::Data(p.to_vec().into()));
        std::iter::once(header).chain(pieces).map(|part| pb::SendRequest { part: Some(part) }).collect()
    }

    /// The same call, to go on at a byte.
    pub fn from(&self, offset: u64) -> Doc {
        self.clone().with_header(|h| h.resume_offset = offset)
    }
}
