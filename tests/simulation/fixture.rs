//! What all runs have in common: keys from fixed seeds, a directory of seven nodes, and documents that were signed once
//! (`signed.json`), so that a seed does the same in every process.
//!
//! ```text
//! node a   H1, and H1.1 below it
//! …
//! node g   H7, and H7.1 below it
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lienthong::cli::network;
use lienthong::config::{Client, Config, Role};
use lienthong::directory::build;
use lienthong::directory::content::{Content, LogKey};
use lienthong::domain::NodeName;
use lienthong::exchange::directory::DirectoryHolder;
use lienthong::merkle::{NoteSigner, sha256};
use lienthong::signature::{Crl, CrlStore};
use lienthong::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Names of the nodes.
pub const NODES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
/// 09:00 on a Monday.
pub const START: &str = "2016-08-08T09:00:00+07:00";
const NETWORK: &str = "sim";

/// What was made once.
#[derive(Serialize, Deserialize)]
struct Signed {
    directory: Content,
    crl: String,
    documents: Vec<SignedDocument>,
}

#[derive(Serialize, Deserialize)]
struct SignedDocument {
    sender: String,
    text: String,
    signatures: Vec<String>,
}

/// All of it, ready for use.
pub struct Fixture {
    pub configs: Vec<Arc<Config>>,
    pub directory: Arc<DirectoryHolder>,
    pub crls: CrlStore,
    /// Signed content with its signatures, by sender.
    pub signed: BTreeMap<String, (Bytes, Vec<Bytes>)>,
    _dir: tempfile::TempDir,
}

/// The one.
pub static FIXTURE: LazyLock<Fixture> = LazyLock::new(Fixture::make);

fn pkcs8(seed: &[u8]) -> Vec<u8> {
    // RFC 8410: the key is its 32 bytes.
    [hex::decode("302e020100300506032b657004220420").unwrap(), sha256(seed).as_bytes().to_vec()].concat()
}

/// Signs a node's log.
pub fn log_signer(node: &NodeName) -> NoteSigner {
    NoteSigner::from_pkcs8(&node.log_origin(1), &pkcs8(format!("log {node}").as_bytes())).unwrap()
}

/// Codes of the agencies of a node.
pub fn agencies(node: usize) -> [String; 2] {
    [format!("H{}", node + 1), format!("H{}.1", node + 1)]
}

/// The client that acts for all agencies of its node.
pub fn dms() -> Client {
    Client { name: "dms".to_owned(), agencies: None, roles: [Role::Dms].into(), node_roles: [].into() }
}

/// When every run begins.
pub fn start() -> Timestamp {
    START.parse().unwrap()
}

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/signed.json")
}

impl Fixture {
    fn make() -> Fixture {
        let mut made: Signed = serde_json::from_slice(&std::fs::read(file()).unwrap()).unwrap();
        for node in &mut made.directory.nodes {
            let key = log_signer(&node.name).verifier().to_string();
            node.log_keys = vec![LogKey { key, first: 0, last: None, withdrawn: None }];
        }
        let authority =
            NoteSigner::from_pkcs8(&format!("{NETWORK}/directory"), &pkcs8(b"authority")).unwrap();
        let note = build::sign(&made.directory, &authority).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("directory.note");
        std::fs::write(&path, note).unwrap();
        let directory =
            DirectoryHolder::open(dir.path(), &path, NETWORK, authority.verifier().clone()).unwrap();
        let configs = NODES.map(|node| {
            let file = dir.path().join(format!("{node}.toml"));
            let any = ([127, 0, 0, 1], 0).into();
            let node = NodeName::new(node).unwrap();
            let text = network::configuration(&node, NETWORK, any, any, &authority.verifier().to_string());
            std::fs::write(&file, text).unwrap();
            Arc::new(Config::read(&file).unwrap())
        });
        let decode = |text: &String| Bytes::from(STANDARD.decode(text).unwrap());
        let signed = made.documents.iter().map(|d| {
            (d.sender.clone(), (Bytes::from(d.text.clone()), d.signatures.iter().map(decode).collect()))
        });
        Fixture {
            configs: configs.into(),
            directory: Arc::new(directory),
            crls: CrlStore::new([Arc::new(Crl::read(made.crl.as_bytes()).unwrap())]),
            signed: signed.collect(),
            _dir: dir,
        }
    }
}

/// Makes `signed.json` again: `cargo test --locked --test simulation -- --ignored make_signed`. Every run is another one
/// afterwards.
#[test]
#[ignore = "makes the fixture again"]
fn make_signed() {
    let mut list = "code,legacy_code,name,level,parent,node\n".to_owned();
    for (i, node) in NODES.iter().enumerate() {
        let [of, below] = agencies(i);
        list += &format!(
            "{of},,UBND huyện {of},district,,{node}\n{below},,UBND xã {below},commune,{of},{node}\n"
        );
    }
    let agencies = build::read_agencies(list.as_bytes()).unwrap();
    let any = ([127, 0, 0, 1], 1).into();
    let dir = tempfile::tempdir().unwrap();
    let plan = network::Plan {
        network: NETWORK,
        dir: dir.path(),
        agencies: &agencies,
        addresses: &NODES.iter().map(|n| (NodeName::new(n).unwrap(), (any, any))).collect(),
        unreachable: &std::collections::BTreeSet::new(),
        issued_at: start(),
        validity: Default::default(),
        rsa: false,
        write_document_keys: false,
        persons: &Default::default(),
        extra: &Default::default(),
    };
    let network = network::make(&plan).unwrap();
    let note = std::fs::read_to_string(dir.path().join("a/directory.note")).unwrap();
    let note = lienthong::merkle::Note::parse(&note, 1 << 20).unwrap();
    let documents = agencies.iter().map(|agency| {
        let text = format!("<document sender=\"{}\">Kính gửi</document>\n", agency.code);
        let digest = sha256(text.as_bytes());
        let signatures = network.signers.sign(&agency.code, digest.as_bytes(), start()).unwrap();
        let signatures = signatures.iter().map(|s| STANDARD.encode(s)).collect();
        SignedDocument { sender: agency.code.clone(), text, signatures }
    });
    let made = Signed {
        directory: serde_json::from_str(&note.text).unwrap(),
        crl: std::fs::read_to_string(dir.path().join("documents/documents-ca.crl")).unwrap(),
        documents: documents.collect(),
    };
    std::fs::write(file(), serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
}
