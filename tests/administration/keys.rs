//! A log that goes over to another key: stated by both, and read by whoever trusts the newest.

use std::sync::Arc;

use lienthong::audit::{Offline, Place};
use lienthong::cli::pki;
use lienthong::directory::content::LogKey;
use lienthong::domain::EventKind;
use lienthong::domain::administration::KeyPurpose;
use lienthong::merkle::{KeyChangeStatement, NoteSigner, NoteVerifier};
use lienthong::rpc::tls::read_pkcs8;
use lienthong::store::disk::RealDisk;
use lienthong::wire::pb;

use super::common::{TestNet, name};

/// Makes another key for a's log and lists it beside the others; its public half.
async fn next_key(net: &mut TestNet, file: &str) -> NoteVerifier {
    let path = net.path(file);
    let (text, der) = pki::ed25519().unwrap();
    std::fs::write(&path, text).unwrap();
    let new = NoteSigner::from_pkcs8(&name("a").log_origin(1), &der).unwrap().verifier().clone();
    let listed = new.to_string();
    net.change_directory(|content| {
        content.version += 1;
        content.previous = None;
        let node = content.nodes.iter_mut().find(|n| n.name.as_str() == "a").unwrap();
        node.log_keys.push(LogKey { key: listed, first: 0, last: None, withdrawn: None });
    });
    let before = net.config("a").log_key.clone();
    net.configure("a", |config| {
        config.previous_log_key = Some(before);
        config.log_key = path;
    });
    new
}

fn verifier(net: &TestNet) -> NoteVerifier {
    let key = read_pkcs8(&net.config("a").log_key).unwrap();
    NoteSigner::from_pkcs8(&name("a").log_origin(1), &key).unwrap().verifier().clone()
}

#[tokio::test]
async fn a_log_goes_over_to_another_key_by_a_statement_of_both() {
    let mut net = TestNet::running(&["a", "b"]).await;
    let first = verifier(&net);
    let deliver = async |net: &TestNet, number: &str| {
        let a = net.dms("a").await;
        let id = a.deliver(&net.document("H01.1", &["H01.22"], number)).await.remove(0);
        a.wait_for(&id, pb::DeliveryState::Delivered).await;
    };
    deliver(&net, "1").await;
    net.stop("a").await;
    net.stop("b").await;
    let second = next_key(&mut net, "second.key").await;
    // Without the key before, nobody can tell that it is the same log's.
    let before = net.config("a").previous_log_key.clone();
    net.configure("a", |config| config.previous_log_key = None);
    let error = net.try_start("a", Arc::new(RealDisk)).await.unwrap_err().to_string();
    assert!(error.contains("`log.previous_key`"), "{error}");
    net.configure("a", |config| config.previous_log_key = before);
    net.start("b").await;
    net.start("a").await;
    deliver(&net, "2").await;

    let mut changes = net.events("a", "key_changed").await;
    changes.retain(|(_, e)| matches!(&e.kind, EventKind::KeyChanged(k) if k.purpose == KeyPurpose::Log));
    let (index, EventKind::KeyChanged(change)) = (changes[1].0, changes[1].1.kind.clone()) else {
        panic!("{changes:?}")
    };
    assert_eq!(changes.len(), 2);
    assert_eq!((change.old.clone(), change.new.clone()), (first.to_string(), second.to_string()));
    let stated = KeyChangeStatement::verify(&change.statement).unwrap();
    assert_eq!((stated.at.size, &stated.old, &stated.new), (index, &first, &second));

    // A second change; then everything is read anew from the journal, without the keys before.
    net.stop("a").await;
    let third = next_key(&mut net, "third.key").await;
    net.start("a").await;
    net.kill("a");
    net.configure("a", |config| config.previous_log_key = None);
    std::fs::remove_dir_all(net.config("a").data.join("sled")).unwrap();
    net.start("a").await;
    deliver(&net, "3").await;
    net.check().await;
    net.stop("a").await;
    let data = net.config("a").data.clone();
    let offline = Offline::open(&data).unwrap();
    let checked = offline.check(&third, |_| {}).unwrap();
    assert!(checked.is_clean(), "{:#?}", checked.findings);
    // Who trusts only a key that was replaced finds the checkpoints that are not of it.
    let checked = offline.check(&second, |_| {}).unwrap();
    assert!(checked.findings.iter().any(|f| f.place == Place::Checkpoint), "{:#?}", checked.findings);
    drop(offline);
    net.start("a").await;
    net.finish().await;
}
