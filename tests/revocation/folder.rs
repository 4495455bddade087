//! The folder of lists changes while the node runs.

use std::sync::atomic::{AtomicUsize, Ordering};

use lienthong::signature::Reason;
use lienthong::wire::pb;

use super::common::eventually;
use super::pki::Authority;
use super::{becomes, changed, judge, running};

const UNKNOWN: Option<Reason> = Some(Reason::RevocationUnknown);

#[tokio::test]
async fn a_list_that_comes_changes_or_goes_is_in_force_without_a_restart() {
    let mut net = running().await;
    let authority = Authority::of(&net);
    let (good, bad) = (authority.person(&[], &[]), authority.person(&[], &[]));
    let folder = net.path("a/crls");
    let mut changes = net.node("a").exchange().revocation_changed();
    assert!(!changes.has_changed().unwrap());
    assert_eq!(judge(&mut net, &good).reason, UNKNOWN);

    // A file that is no list, and one that is.
    std::fs::write(folder.join("0.crl"), "no list").unwrap();
    std::fs::write(folder.join("a.crl"), authority.current(&[])).unwrap();
    changed(&mut changes).await;
    assert_eq!(net.node("a").exchange().crls().len(), 1);
    assert_eq!(judge(&mut net, &good).reason, None);
    assert_eq!(judge(&mut net, &bad).reason, None);

    std::fs::write(folder.join("a.crl"), authority.current(&[&bad])).unwrap();
    changed(&mut changes).await;
    assert_eq!(judge(&mut net, &good).reason, None);
    assert_eq!(judge(&mut net, &bad).reason, Some(Reason::CertificateRevoked));

    std::fs::remove_file(folder.join("a.crl")).unwrap();
    becomes(&mut net, &bad, UNKNOWN).await;
    // Without the folder what is in force stays; it comes back with other content.
    std::fs::rename(&folder, net.path("a/away")).unwrap();
    std::fs::write(net.path("a/away/b.crl"), authority.current(&[&bad])).unwrap();
    assert_eq!(judge(&mut net, &bad).reason, UNKNOWN);
    std::fs::rename(net.path("a/away"), &folder).unwrap();
    becomes(&mut net, &bad, Some(Reason::CertificateRevoked)).await;
    net.finish().await;
}

#[tokio::test]
async fn what_is_sent_after_a_list_came_is_judged_by_it() {
    let net = running().await;
    let client = net.dms("a").await;
    let held = client.deliver(&net.document("H01.1", &["H01.2"], "1")).await;
    client.wait_for(&held[0], pb::DeliveryState::Held).await;
    let list = Authority::of(&net).current(&[]);
    std::fs::write(net.path("a/crls/a.crl"), list).unwrap();
    let numbers = AtomicUsize::new(2);
    eventually("a document is delivered", || async {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let ids = client.deliver(&net.document("H01.1", &["H01.2"], &number.to_string())).await;
        let view = eventually("it is judged", || async {
            let view = client.track(&ids[0]).await.unwrap();
            (view.state() != pb::DeliveryState::Queued).then_some(view)
        });
        (view.await.state() == pb::DeliveryState::Delivered).then_some(())
    })
    .await;
    net.finish().await;
}
