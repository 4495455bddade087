//! OCSP responders.

use std::sync::Arc;

use lienthong::signature::Reason;

use super::pki::{Authority, by_sha256, no_answer};
use super::web::{Answer, Web};
use super::{asked, becomes, changed, judge, running};

const UNKNOWN: Option<Reason> = Some(Reason::RevocationUnknown);

#[tokio::test]
async fn a_responder_is_asked_about_each_certificate_and_its_answer_is_kept_over_a_restart() {
    let mut net = running().await;
    let authority = Arc::new(Authority::of(&net));
    let web = Web::serve("127.0.0.1").await;
    let (first, second) = (authority.person(&[], &[web.url("/a")]), authority.person(&[], &[web.url("/b")]));
    let (first, second) = (Arc::new(first), Arc::new(second));
    for (path, person) in [("/a", &first), ("/b", &second)] {
        let (authority, person) = (authority.clone(), person.clone());
        web.put(path, Answer::Reply(Box::new(move |request| authority.response(&person, request))));
    }
    let mut changes = net.node("a").exchange().revocation_changed();
    assert_eq!(judge(&mut net, &first).reason, UNKNOWN);
    changed(&mut changes).await;
    assert_eq!(judge(&mut net, &first).reason, None);
    assert_eq!(web.requests(), 1);
    becomes(&mut net, &second, None).await;
    assert_eq!(net.node("a").exchange().responses().len(), 2);

    net.stop("a").await;
    net.start("a").await;
    assert_eq!(judge(&mut net, &first).reason, None);
    assert_eq!(judge(&mut net, &second).reason, None);
    assert_eq!(web.requests(), 2);
    // When its time is over and it is missed again, it is asked for again; the answer is the same old one.
    net.clock.set("2016-08-15T00:00:01Z".parse().unwrap());
    assert_eq!(judge(&mut net, &first).reason, UNKNOWN);
    asked(&web, "/a", 2).await;
    net.finish().await;
}

#[tokio::test]
async fn a_responder_that_knows_certificates_by_sha_256_alone_is_asked_so() {
    let mut net = running().await;
    let authority = Arc::new(Authority::of(&net));
    let web = Web::serve("127.0.0.1").await;
    let paths = ["/unauthorized", "/error"];
    for path in paths {
        let person = Arc::new(authority.person(&[], &[web.url(path)]));
        let (responder, about) = (authority.clone(), person.clone());
        web.put(
            path,
            Answer::Reply(Box::new(move |request| match (by_sha256(request), path) {
                (true, _) => responder.response(&about, request),
                (false, "/error") => b"<html>malformed request</html>".to_vec(),
                (false, _) => no_answer(6),
            })),
        );
        becomes(&mut net, &person, None).await;
        assert_eq!(web.asked(path), 2);
    }
    net.finish().await;
}

#[tokio::test]
async fn an_answer_that_is_not_the_issuers_or_of_another_certificate_does_not_count() {
    let mut net = running().await;
    let (authority, foreign) = (Arc::new(Authority::of(&net)), Authority::foreign());
    let web = Web::serve("127.0.0.1").await;
    let paths = ["/foreign", "/other", "/later", "/large", "/empty"];
    let person = Arc::new(authority.person(&[], &[]));
    let mut all = Vec::new();
    for path in paths {
        all.push(Arc::new(authority.person(&[], &[web.url(path)])));
    }
    let about = all[0].clone();
    web.put("/foreign", Answer::Reply(Box::new(move |request| foreign.response(&about, request))));
    let responder = authority.clone();
    web.put("/other", Answer::Reply(Box::new(move |request| responder.response(&person, request))));
    web.put("/later", Answer::Bytes(no_answer(3)));
    web.put("/large", Answer::Bytes(vec![0x30; 65_537]));
    web.put("/empty", Answer::Bytes(Vec::new()));
    for person in &all {
        assert_eq!(judge(&mut net, person).reason, UNKNOWN);
    }
    for (path, person) in paths.iter().zip(&all) {
        // By both hashes, but for what is too large whatever is asked.
        asked(&web, path, if *path == "/large" { 1 } else { 2 }).await;
        assert_eq!(judge(&mut net, person).reason, UNKNOWN, "{path}");
    }
    assert_eq!(net.node("a").exchange().responses().len(), 0);
    net.finish().await;
}
