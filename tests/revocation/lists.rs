//! Distribution points: what is missed is fetched in the background, kept, and renewed.

use std::time::{Duration, Instant};

use lienthong::signature::Reason;
use lienthong::wire::pb;

use super::common::{TestNet, eventually};
use super::pki::Authority;
use super::web::{Answer, Web};
use super::{asked, becomes, changed, judge, running, running_with};

const UNKNOWN: Option<Reason> = Some(Reason::RevocationUnknown);
const REVOKED: Option<Reason> = Some(Reason::CertificateRevoked);

/// Files of fetched data at node a, by their endings.
fn kept(net: &TestNet, ending: &str) -> usize {
    let files = std::fs::read_dir(net.config("a").data.join("revocation")).unwrap();
    files.filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == ending)).count()
}

#[tokio::test]
async fn a_list_that_is_missed_is_fetched_once_kept_over_a_restart_and_renewed() {
    let mut net = running().await;
    let authority = Authority::of(&net);
    let web = Web::serve("127.0.0.1").await;
    let urls = [web.url("/ca.crl")];
    let (good, bad) = (authority.person(&urls, &[]), authority.person(&urls, &[]));
    web.put("/ca.crl", Answer::Bytes(authority.current(&[&bad])));
    let mut changes = net.node("a").exchange().revocation_changed();
    assert_eq!(judge(&mut net, &good).reason, UNKNOWN);
    changed(&mut changes).await;
    // One list is all persons'.
    assert_eq!(judge(&mut net, &good).reason, None);
    assert_eq!(judge(&mut net, &bad).reason, REVOKED);
    asked(&web, "/ca.crl", 1).await;
    assert_eq!((kept(&net, "crl"), kept(&net, "json")), (1, 1));

    // A restart has it, and knows from where.
    net.stop("a").await;
    net.start("a").await;
    assert_eq!(judge(&mut net, &good).reason, None);
    asked(&web, "/ca.crl", 1).await;

    // Five and a quarter of its seven days: three quarters.
    web.put("/ca.crl", Answer::Bytes(authority.list("2016-08-13", "2016-08-20", &[&good])));
    net.clock.set("2016-08-13T06:00:01Z".parse().unwrap());
    becomes(&mut net, &good, REVOKED).await;
    asked(&web, "/ca.crl", 2).await;
    // An entry stays true.
    assert_eq!(judge(&mut net, &bad).reason, None);
    net.finish().await;
}

#[tokio::test]
async fn a_list_of_the_folder_and_a_fetched_one_count_together() {
    let mut net = running().await;
    let authority = Authority::of(&net);
    let web = Web::serve("127.0.0.1").await;
    let (good, bad) = (authority.person(&[web.url("/ca.crl")], &[]), authority.person(&[], &[]));
    web.put("/ca.crl", Answer::Bytes(authority.current(&[])));
    judge(&mut net, &good);
    becomes(&mut net, &bad, None).await;
    std::fs::write(net.path("a/crls/a.crl"), authority.list("2016-08-01", "2016-08-08", &[&bad])).unwrap();
    becomes(&mut net, &bad, REVOKED).await;
    assert_eq!(net.node("a").exchange().crls().len(), 2);
    std::fs::remove_file(net.path("a/crls/a.crl")).unwrap();
    becomes(&mut net, &bad, None).await;
    net.finish().await;
}

#[tokio::test]
async fn who_never_answers_delays_neither_documents_nor_other_lists_nor_the_end() {
    let mut net = running().await;
    let authority = Authority::of(&net);
    let (slow, quick) = (Web::serve("127.0.0.1").await, Web::serve("127.0.0.2").await);
    slow.put("/slow.crl", Answer::Never);
    quick.put("/quick.crl", Answer::Bytes(authority.current(&[])));
    let waits = authority.person(&[slow.url("/slow.crl")], &[slow.url("/slow.crl")]);
    assert_eq!(judge(&mut net, &waits).reason, UNKNOWN);
    asked(&slow, "/slow.crl", 1).await;

    let began = Instant::now();
    let client = net.dms("a").await;
    for number in 1..=20 {
        let sent = client.deliver(&net.document("H01.1", &["H01.2"], &number.to_string())).await;
        client.wait_for(&sent[0], pb::DeliveryState::Held).await;
        assert_eq!(judge(&mut net, &waits).reason, UNKNOWN);
    }
    let served = authority.person(&[quick.url("/quick.crl")], &[]);
    becomes(&mut net, &served, None).await;
    // One request of a host at a time, whatever is waited for.
    asked(&slow, "/slow.crl", 1).await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let began = Instant::now();
    net.finish().await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn nobody_is_asked_where_that_is_switched_off_and_no_private_address_unless_it_is_allowed() {
    let switches: [fn(&mut lienthong::config::Config); 2] =
        [|config| config.fetch_revocation = false, |config| config.allow_private_responders = false];
    for change in switches {
        let mut net = running_with(change).await;
        let authority = Authority::of(&net);
        let web = Web::serve("127.0.0.1").await;
        web.put("/ca.crl", Answer::Bytes(authority.current(&[])));
        let person = authority.person(&[web.url("/ca.crl")], &[web.url("/ca.crl")]);
        assert_eq!(judge(&mut net, &person).reason, UNKNOWN);
        // What the node does next comes after it would have asked.
        std::fs::write(net.path("a/crls/a.crl"), authority.list("2016-07-01", "2016-08-01", &[])).unwrap();
        let exchange = net.node("a").exchange().clone();
        eventually("the folder's list is in force", || async { (exchange.crls().len() == 1).then_some(()) })
            .await;
        drop(exchange);
        assert_eq!(judge(&mut net, &person).reason, UNKNOWN);
        assert_eq!(web.requests(), 0);
        net.finish().await;
    }
}
