//! Connections: who may make one, garbage on every port, and TLS that is too old.

use std::net::SocketAddr;
use std::sync::Arc;

use lienthong::rpc::client::NodeClient;
use lienthong::rpc::link::connect_tls;
use lienthong::rpc::tls::{client_tls, read_certificates};
use lienthong::wire::pb;
use lienthong::wire::pb::peer_service_client::PeerServiceClient;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;

use super::common::check::refusal;
use super::common::{NETWORK, TestNet, key, name, pem};

/// A client that shows no certificate.
fn anonymous(net: &TestNet) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(&net.path("clients/network-ca.pem")).unwrap() {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// No call is answered over such a connection, on any port: not even a refusal with a reason is given.
async fn is_shut_out(tls: Arc<ClientConfig>, address: SocketAddr, what: &str) {
    // With TLS 1.3 the client has shaken hands before the server has seen its certificate.
    let Ok((channel, _)) = connect_tls(tls, &address.to_string(), "a").await else { return };
    let hello = PeerServiceClient::new(channel.clone()).hello(pb::HelloRequest::default()).await.unwrap_err();
    let code = hello.code();
    assert!(matches!(code, Code::Unknown | Code::Unavailable | Code::Cancelled), "{what}: {hello:?}");
    assert!(hello.details().is_empty(), "{what}: {hello:?}");
}

#[tokio::test]
async fn who_has_no_certificate_of_the_right_authority_is_shut_out_of_every_port() {
    let net = TestNet::running(&["a"]).await;
    let (clients, peers) = (net.config("a").listen_clients, net.config("a").listen_peers);
    let ca = net.path("clients/network-ca.pem");
    let with = |files: &std::path::Path| client_tls(&pem(files), &key(files), &ca).unwrap();
    let (client, node) = (with(&net.client_files("a", "dms")), with(&net.path("b/node")));
    for port in [clients, peers] {
        is_shut_out(anonymous(&net), port, "no certificate").await;
        is_shut_out(with(&net.client_files("a", "foreign")), port, "another authority").await;
    }
    // Neither kind passes for the other.
    is_shut_out(client, peers, "a client at the port for peers").await;
    is_shut_out(node, clients, "a node at the port for clients").await;
    // A certificate that is over.
    let old = net.path("old");
    net.certify_for("network-ca", "lienthong-node://test/b", &[], &old, (2014, 2015));
    is_shut_out(with(&old), peers, "expired").await;
    net.finish().await;
}

#[tokio::test]
async fn a_client_that_is_not_configured_or_is_another_nodes_is_told_so() {
    let net = TestNet::running(&["a", "b"]).await;
    let stranger = net.client("a", "stranger").await;
    let refused =
        refusal(Code::PermissionDenied, "unknown_caller", "", &["no client `stranger`", "administrator"]);
    let doc = net.document("H01.1", &["H01.2"], "1");
    let before = net.traces().await;
    refused.check(&stranger.send(&doc).await.unwrap_err());
    refused.check(&stranger.inbox("H01.1").await.unwrap_err());
    refused.check(&stranger.told(&[], "").await.unwrap_err());
    refused.check(&stranger.track(&vec![1; 32].into()).await.unwrap_err());
    let checkpoint = stranger.node.audit().get_checkpoint(pb::GetCheckpointRequest {}).await;
    refused.check(&checkpoint.unwrap_err());
    let directory = stranger.node.directory().get_agency(pb::GetAgencyRequest { code: "H01".into() }).await;
    refused.check(&directory.unwrap_err());
    // Node b's client of the same name as one of node a's.
    let other = net.try_client("a", &net.client_files("b", "dms")).await.unwrap();
    let refused =
        refusal(Code::PermissionDenied, "unknown_caller", "", &["client of node `b`", "administrator"]);
    refused.check(&other.send(&doc).await.unwrap_err());
    refused.check(&other.inbox("H01.1").await.unwrap_err());
    // The right authority, no name of ours; a name and another network's.
    for uri in ["lienthong-node://test/a", "lienthong-client://other/a/dms", "https://example.org/dms"] {
        let files = net.path("odd");
        net.certify("client-ca", uri, &[], &files);
        let odd = net.try_client("a", &files).await.unwrap();
        let refused = refusal(Code::PermissionDenied, "unknown_caller", "", &["administrator"]);
        refused.check(&odd.send(&doc).await.unwrap_err());
    }
    assert_eq!(net.traces().await, before);
    net.finish().await;
}

#[tokio::test]
async fn garbage_on_every_port_concerns_that_connection_only() {
    let net = TestNet::running(&["a", "b"]).await;
    let ca = net.path("clients/network-ca.pem");
    let tls = |files: &std::path::Path| client_tls(&pem(files), &key(files), &ca).unwrap();
    let noise: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let garbage: [&[u8]; 5] =
        [b"", b"GET / HTTP/1.1\r\n\r\n", &noise, &[0; 4096], b"\x16\x03\x01\xff\xff\x01\x00\x00\x00"];
    let mut idle = Vec::new();
    for (port, files) in [
        (net.config("a").listen_clients, net.client_files("a", "dms")),
        (net.config("a").listen_peers, net.path("b/node")),
    ] {
        for bytes in garbage {
            // Plain bytes, and bytes behind a good handshake; what the other side answers does not matter.
            let mut plain = TcpStream::connect(port).await.unwrap();
            let _ = plain.write_all(bytes).await;
            let socket = TcpStream::connect(port).await.unwrap();
            let server = rustls::pki_types::ServerName::try_from("a").unwrap();
            let mut secure = TlsConnector::from(tls(&files)).connect(server, socket).await.unwrap();
            let _ = secure.write_all(bytes).await;
            let _ = secure.flush().await;
            // Some stay, some go.
            if bytes.len() < 30 {
                idle.push((plain, secure));
            }
        }
    }
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.22"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let b = net.dms("b").await;
    let id = b.deliver(&net.document("H01.22", &["H01.1"], "1")).await.remove(0);
    b.wait_for(&id, pb::DeliveryState::Delivered).await;
    drop(idle);
    net.finish().await;
}

/// A ClientHello of TLS 1.2 (RFC 5246, 7.4.1.2): it names no later version.
fn hello_of_tls_1_2() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    let extensions: [&[u8]; 2] = [
        // supported_groups: P-256; signature_algorithms: ecdsa_secp256r1_sha256.
        &[0, 10, 0, 4, 0, 2, 0, 23],
        &[0, 13, 0, 4, 0, 2, 4, 3],
    ];
    let extensions = extensions.concat();
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut hello = vec![1, 0];
    hello.extend((body.len() as u16).to_be_bytes());
    hello.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend((hello.len() as u16).to_be_bytes());
    record.extend(hello);
    record
}

#[tokio::test]
async fn tls_1_2_is_refused_on_every_port() {
    let net = TestNet::running(&["a"]).await;
    for port in [net.config("a").listen_clients, net.config("a").listen_peers] {
        let mut socket = TcpStream::connect(port).await.unwrap();
        socket.write_all(&hello_of_tls_1_2()).await.unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        // Alert, fatal, protocol_version (70).
        assert_eq!((answer.first(), answer.get(5..7)), (Some(&21), Some(&[2, 70][..])), "{answer:?}");
    }
    net.finish().await;
}

#[tokio::test]
async fn a_client_does_not_talk_to_a_node_that_is_not_the_one_it_asked_for() {
    let net = TestNet::running(&["a"]).await;
    let files = net.client_files("a", "dms");
    let address = net.config("a").listen_clients.to_string();
    let ca = net.path("clients/network-ca.pem");
    assert!(NodeClient::connect(&address, "b", &pem(&files), &key(&files), &ca).await.is_err());
    // Nor to one of another authority.
    let other = net.path("authority/client-ca.pem");
    assert!(NodeClient::connect(&address, "a", &pem(&files), &key(&files), &other).await.is_err());
    let right = NodeClient::connect(&address, "a", &pem(&files), &key(&files), &ca).await.unwrap();
    assert_eq!(right.node(), Some(name("a").as_str()));
    assert_eq!(net.config("a").network, NETWORK);
    net.finish().await;
}
