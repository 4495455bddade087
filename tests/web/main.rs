//! The pages over real HTTPS: who gets in and how, what a page says, what no page does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod browser;
#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;
mod long;
mod shown;
mod way;

use browser::{Answer, Browser};
use common::{NETWORK, TestNet, key, pem};
use lienthong::cli::pki::{Authority, Validity};
use lienthong::config::{Client, NodeRole, Web};
use lienthong::directory::build;
use lienthong::domain::ids::NodeName;
use lienthong::wire::pb;

/// Pages that need somebody who is signed in.
const INSIDE: [&str; 11] = [
    "/",
    "/overview",
    "/agencies",
    "/agencies/H01",
    "/exchange",
    "/documents",
    "/documents/00",
    "/paper",
    "/audit",
    "/audit/0",
    "/node",
];

/// A network whose node a has pages; nothing runs yet.
fn with_pages() -> TestNet {
    let mut net = TestNet::new();
    net.configure("a", |config| {
        config.web = Some(Web { listen: "127.0.0.1:0".parse().unwrap(), url: None, certificate: None });
        config.targets.fully_electronic = Some(90);
        config.targets.dual = Some(10);
    });
    net
}

/// Nodes a and b, a with pages.
async fn pages() -> TestNet {
    let mut net = with_pages();
    for node in ["a", "b"] {
        net.start(node).await;
    }
    net
}

/// A browser without a certificate, or with that of a client of node a.
fn browser(net: &mut TestNet, client: Option<&str>) -> Browser {
    let files = client.map(|client| net.client_files("a", client));
    let files = files.map(|base| (pem(&base), key(&base)));
    let url = net.node("a").web_url().unwrap().to_owned();
    Browser::new(&url, "a", &net.path("clients/network-ca.pem"), files)
}

/// A link for a client, as itself or as another.
async fn link(net: &TestNet, client: &str, whose: &str, user: &str) -> Result<String, tonic::Status> {
    let request = pb::CreateWebLoginRequest { client: whose.to_owned(), user: user.to_owned() };
    let made = net.client("a", client).await.node.audit().create_web_login(request).await?;
    let url = made.into_inner().url;
    Ok(url[url.find("/sign-in/").unwrap()..].to_owned())
}

#[track_caller]
fn says(answer: &Answer, code: u16, text: &str) {
    assert_eq!(answer.code, code, "{}", answer.body);
    assert!(answer.body.contains(text), "{text}: {}", answer.body);
}

#[tokio::test]
async fn nobody_gets_in_without_a_certificate_or_a_session() {
    let mut net = pages().await;
    let mut stranger = browser(&mut net, None);
    for path in INSIDE {
        let answer = stranger.get(path).await.unwrap();
        assert_eq!((answer.code, answer.header("location")), (303, "/sign-in"), "{path}");
        assert!(answer.body.is_empty());
    }
    says(&stranger.get("/sign-in").await.unwrap(), 200, "lienthong web-login");
    says(&stranger.get("/nowhere").await.unwrap(), 404, "Không có trang này.");
    stranger.cookies.push(("__Host-session".into(), "guessed".into()));
    assert_eq!(stranger.get("/node").await.unwrap().code, 303);
    // Certificates of an authority that is not the clients': the network's, and somebody's.
    let node = (net.config("b").certificate.clone(), net.config("b").key.clone());
    let url = net.node("a").web_url().unwrap().to_owned();
    let ca = net.path("clients/network-ca.pem");
    assert!(Browser::new(&url, "a", &ca, Some(node)).get("/node").await.is_err());
    let somebody = Authority::new("somebody", Validity::default()).unwrap();
    let (name, base) = (NodeName::new("a").unwrap(), net.path("somebody"));
    let uri = build::client_identity(NETWORK, &name, "admin");
    somebody.tls(&uri, &[], false).unwrap().write(&pem(&base), &key(&base)).unwrap();
    assert!(Browser::new(&url, "a", &ca, Some((pem(&base), key(&base)))).get("/node").await.is_err());
    // One that is a client's, and is not configured.
    let answer = browser(&mut net, Some("stranger")).get("/node").await.unwrap();
    assert_eq!((answer.code, answer.header("location")), (303, "/sign-in"));
    net.finish().await;
}

#[tokio::test]
async fn a_page_shows_what_the_client_may_see_in_its_language() {
    let mut net = pages().await;
    let dms = net.dms("a").await;
    let id = dms.deliver(&net.document("H01.1", &["H01.22"], "12")).await.remove(0);
    dms.wait_for(&id, pb::DeliveryState::Delivered).await;
    // To a node that does not run.
    dms.deliver(&net.document("H01.1", &["G01"], "13").with(|m| m.urgency = pb::Urgency::Flash.into())).await;

    let mut admin = browser(&mut net, Some("admin"));
    assert_eq!(admin.get("/").await.unwrap().header("location"), "/overview");
    let node = admin.get("/node").await.unwrap();
    says(&node, 200, "<html lang=\"vi\">");
    let status = net.status("a").await;
    says(&node, 200, &format!("<dd>{}</dd>", status.log_size));
    says(&node, 200, status.checkpoint.lines().nth(2).unwrap());
    let exchange = admin.get("/exchange").await.unwrap();
    says(&exchange, 200, "<th scope=\"row\">c</th>");
    says(&exchange, 200, "hỏa tốc");
    // The same in English.
    let to_english = [("to", "en"), ("back", "/exchange")];
    let answer = admin.post("/language", &to_english).await.unwrap();
    assert_eq!((answer.code, answer.header("location")), (303, "/exchange"));
    let exchange = admin.get("/exchange").await.unwrap();
    says(&exchange, 200, "<html lang=\"en\">");
    says(&exchange, 200, "Documents and statuses that wait to be sent");
    assert!(!exchange.body.contains("hỏa tốc"));
    for back in ["//elsewhere/", "https://elsewhere/", "/\\elsewhere", "/a b", "/\r\nX: y", ""] {
        let answer = admin.post("/language", &[("to", "vi"), ("back", back)]).await.unwrap();
        assert_eq!(answer.header("location"), "/", "{back:?}");
    }
    // A client that may not see the node's state is told so, with the reason.
    let answer = browser(&mut net, Some("one")).get("/node").await.unwrap();
    says(&answer, 403, "<code>not_allowed</code>");
    net.finish().await;
}

#[tokio::test]
async fn everybody_begins_with_a_page_that_they_may_see_and_is_led_to_no_other() {
    let mut net = with_pages();
    net.configure("a", |config| {
        let client = |name: &str, node_roles: &[NodeRole]| Client {
            name: name.to_owned(),
            agencies: Some(["H01.1".to_owned()].into()),
            roles: [].into(),
            node_roles: node_roles.iter().copied().collect(),
        };
        // The auditor of the node; and somebody who may do nothing.
        config.clients.retain(|c| c.name != "dms");
        config.clients.extend([client("stranger", &[NodeRole::Auditor]), client("dms", &[])]);
    });
    net.start("a").await;
    let all = ["/overview", "/agencies", "/exchange", "/documents", "/paper", "/audit", "/node"];
    for (client, first, open) in [
        ("admin", "/overview", &all.map(|path| if path == "/paper" { "" } else { path })[..]),
        ("operator", "/overview", &["/overview", "/agencies"]),
        ("stranger", "/documents", &["/exchange", "/documents", "/audit", "/node"]),
        ("auditor", "/documents", &["/documents", "/audit"]),
        ("one", "/paper", &["/paper"]),
    ] {
        let mut browser = browser(&mut net, Some(client));
        assert_eq!(browser.get("/").await.unwrap().header("location"), first, "{client}");
        let page = browser.get(first).await.unwrap();
        assert_eq!(page.code, 200, "{client}: {}", page.body);
        for path in all {
            let code = if open.contains(&path) { 200 } else { 403 };
            assert_eq!(browser.get(path).await.unwrap().code, code, "{client}: {path}");
            let led = page.body.contains(&format!("<a href=\"{path}\""));
            assert_eq!(led, code == 200, "{client} is led to {path}: {}", page.body);
        }
    }
    // Why not, in the language of the page; the way back leads to a page that opens, or there is none.
    let mut auditor = browser(&mut net, Some("auditor"));
    let refused = auditor.get("/overview").await.unwrap();
    says(&refused, 403, "<p>Quyền của bạn không gồm việc này; quản trị viên của nút có thể cấp.</p>");
    says(&refused, 403, "<a href=\"/\">Về trang đầu</a>");
    auditor.post("/language", &[("to", "en"), ("back", "/")]).await.unwrap();
    says(&auditor.get("/overview").await.unwrap(), 403, "has not the node role");
    let mut nobody = browser(&mut net, Some("dms"));
    let refused = nobody.get("/overview").await.unwrap();
    says(&refused, 403, "<code>not_allowed</code>");
    assert!(!refused.body.contains("Về trang đầu"));
    net.finish().await;
}

#[tokio::test]
async fn a_link_signs_in_once_as_its_client_and_for_its_person() {
    let mut net = pages().await;
    let path = link(&net, "admin", "", "thu.nguyen").await.unwrap();
    let mut person = browser(&mut net, None);
    // Looked at, twice, and sent by another site: it is not used up.
    for _ in 0..2 {
        says(&person.get(&path).await.unwrap(), 200, "thu.nguyen");
    }
    person.site = "cross-site";
    assert_eq!(person.post(&path, &[]).await.unwrap().code, 403);
    person.site = "same-origin";
    let signed_in = person.post(&path, &[]).await.unwrap();
    assert_eq!((signed_in.code, signed_in.header("location")), (303, "/"));
    let cookie = signed_in.header("set-cookie");
    for attribute in ["__Host-session=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let node = person.get("/node").await.unwrap();
    says(&node, 200, "thu.nguyen (admin)");
    // Once.
    let mut other = browser(&mut net, None);
    says(&other.get(&path).await.unwrap(), 410, "lienthong web-login");
    assert_eq!(other.post(&path, &[]).await.unwrap().code, 410);
    // Until signing out, here and with the cookie that was kept.
    let kept = person.cookies.clone();
    assert_eq!(person.post("/sign-out", &[]).await.unwrap().header("location"), "/sign-in");
    assert_eq!(person.get("/node").await.unwrap().code, 303);
    other.cookies = kept;
    assert_eq!(other.get("/node").await.unwrap().code, 303);

    // For another client only by an admin; for itself by anybody, with its own rights.
    let own = link(&net, "one", "", "").await.unwrap();
    let mut one = browser(&mut net, None);
    one.post(&own, &[]).await.unwrap();
    says(&one.get("/node").await.unwrap(), 403, "not_allowed");
    let refused = link(&net, "one", "admin", "").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    let operator = link(&net, "admin", "one", "").await.unwrap();
    says(&browser(&mut net, None).get(&operator).await.unwrap(), 200, "<strong>one</strong>");
    assert!(link(&net, "admin", "nobody", "").await.is_err());
    assert!(link(&net, "admin", "", &"x".repeat(101)).await.is_err());
    net.finish().await;
}

#[tokio::test]
async fn every_answer_forbids_what_no_page_needs() {
    let mut net = pages().await;
    let mut admin = browser(&mut net, Some("admin"));
    for path in ["/sign-in", "/node", "/nowhere", "/style.css", "/"] {
        let answer = admin.get(path).await.unwrap();
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        let cached = answer.header("cache-control");
        assert_eq!(cached, if path == "/style.css" { "max-age=3600" } else { "no-store" }, "{path}");
        for elsewhere in ["http://", "<script", "style=", "onclick"] {
            assert!(!answer.body.contains(elsewhere), "{path} has {elsewhere}");
        }
    }
    // Rubbish is refused and harms nobody.
    let long = "x".repeat(100_000);
    assert_eq!(admin.post("/language", &[("to", &long), ("back", "/")]).await.unwrap().code, 413);
    assert_eq!(admin.post("/language", &[("nothing", "")]).await.unwrap().code, 422);
    assert_eq!(admin.post("/node", &[]).await.unwrap().code, 405);
    assert!(admin.get(&format!("/{long}")).await.map_or(true, |answer| answer.code >= 400));
    assert_eq!(admin.get("/node").await.unwrap().code, 200);
    net.finish().await;
}
