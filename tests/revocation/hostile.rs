//! Distribution points that give what is no use, or worse: nothing of it counts, each is left alone for a while, and the
//! node goes on.

use lienthong::signature::Reason;
use lienthong::time::Timestamp;

use super::common::eventually;
use super::pki::{Authority, Person};
use super::web::{Answer, Web};
use super::{asked, becomes, judge, running};

const UNKNOWN: Option<Reason> = Some(Reason::RevocationUnknown);

#[tokio::test]
async fn what_is_not_the_issuers_current_list_does_not_count_and_is_asked_for_again_later() {
    let mut net = running().await;
    let (authority, foreign) = (Authority::of(&net), Authority::foreign());
    // A host of its own for each, so that none waits for another.
    let bad: Vec<(&str, Answer)> = vec![
        ("/wrong", Answer::Bytes(b"<html>not here</html>".to_vec())),
        ("/foreign", Answer::Bytes(foreign.current(&[]))),
        ("/old", Answer::Bytes(authority.list("2016-07-01", "2016-08-01", &[]))),
        ("/future", Answer::Bytes(authority.list("2016-09-01", "2016-10-01", &[]))),
        (
            "/damaged",
            Answer::Bytes({
                let mut list = authority.current(&[]);
                *list.last_mut().unwrap() ^= 1;
                list
            }),
        ),
        ("/missing", Answer::Raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned())),
        ("/broken", Answer::Raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0".to_owned())),
        ("/large", Answer::Raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n0".to_owned())),
        ("/head", Answer::Raw(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000)))),
        ("/noise", Answer::Raw("\u{0}\u{1}\u{2}\r\n\r\n".repeat(1000))),
        ("/endless", Answer::Endless),
    ];
    let mut all: Vec<(&str, Web, Person)> = Vec::new();
    for (n, (path, answer)) in bad.into_iter().enumerate() {
        let web = Web::serve(&format!("127.0.0.{}", n + 1)).await;
        web.put(path, answer);
        let person = authority.person(&[web.url(path)], &[]);
        all.push((path, web, person));
    }
    for (_, _, person) in &all {
        assert_eq!(judge(&mut net, person).reason, UNKNOWN);
    }
    for (path, web, person) in &all {
        asked(web, path, 1).await;
        assert_eq!(judge(&mut net, person).reason, UNKNOWN, "{path}");
    }

    // A minute later each is asked again, and has mended its ways. One good list serves all.
    let last = authority.list("2016-08-08", "2016-08-16", &[]);
    for (path, web, _) in &all {
        web.put(path, Answer::Bytes(last.clone()));
    }
    net.clock.set(net.now().plus_millis(61_000));
    for (path, web, person) in &all {
        becomes(&mut net, person, None).await;
        // Once more at most; the endless one may still be under way.
        assert!((1..=2).contains(&web.asked(path)), "{path}");
    }
    // Of all that came only this is in force; the old one was, for what it says of its time, until it was replaced.
    let exchange = net.node("a").exchange().clone();
    eventually("the good list alone is in force", || async {
        let crls = exchange.crls();
        (crls.len() == 1 && crls.iter().all(|crl| crl.der() == last)).then_some(())
    })
    .await;
    drop(exchange);
    net.finish().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut net = running().await;
    let authority = Authority::of(&net);
    let (web, other) = (Web::serve("127.0.0.1").await, Web::serve("127.0.0.2").await);
    other.put("/good", Answer::Bytes(authority.current(&[])));
    for (path, status) in [("/301", 301), ("/302", 302), ("/307", 307), ("/308", 308)] {
        let head = format!(
            "HTTP/1.1 {status} Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
            other.url("/good")
        );
        web.put(path, Answer::Raw(head));
    }
    let paths = ["/301", "/302", "/307", "/308"].map(|path| web.url(path));
    let person = authority.person(&paths, &[]);
    assert_eq!(judge(&mut net, &person).reason, UNKNOWN);
    for path in ["/301", "/302", "/307", "/308"] {
        asked(&web, path, 1).await;
    }
    assert_eq!(judge(&mut net, &person).reason, UNKNOWN);
    assert_eq!(other.requests(), 0);
    net.finish().await;
}

#[tokio::test]
async fn an_older_list_does_not_take_the_place_of_the_one_at_hand() {
    let mut net = running().await;
    let authority = Authority::of(&net);
    let web = Web::serve("127.0.0.1").await;
    let person = authority.person(&[web.url("/ca.crl")], &[]);
    web.put("/ca.crl", Answer::Bytes(authority.list("2016-08-08", "2016-08-12", &[&person])));
    judge(&mut net, &person);
    becomes(&mut net, &person, Some(Reason::CertificateRevoked)).await;
    // Who sits between replays one from before the revocation.
    web.put("/ca.crl", Answer::Bytes(authority.list("2016-08-07", "2016-08-14", &[])));
    net.clock.set("2016-08-11T01:00:00Z".parse().unwrap());
    asked(&web, "/ca.crl", 2).await;
    // The second answer has been judged when a third is asked for, a minute after that by the node's clock.
    let mut time: Timestamp = "2016-08-11T01:00:00Z".parse().unwrap();
    eventually("/ca.crl is asked a third time", || {
        time = time.plus_millis(60_000);
        net.clock.set(time);
        let asked = web.asked("/ca.crl") >= 3;
        async move { asked.then_some(()) }
    })
    .await;
    assert_eq!(judge(&mut net, &person).reason, Some(Reason::CertificateRevoked));
    net.finish().await;
}
