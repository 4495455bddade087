//! What a node records of itself: its configuration, clients and keys, whom it turned away, what was taken out of its log;
//! and finding events over its interface.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod finding;
mod keys;
mod paper;

use lienthong::config::{Client, NodeRole, Role};
use lienthong::domain::EventKind;
use lienthong::domain::administration::{
    ClientChange, ClientStep, ConfigChange, Extract, Extracted, KeyPurpose, RefusalCause, Refusals, Side,
};
use lienthong::domain::event::Event;
use lienthong::rpc::link::connect_tls;
use lienthong::rpc::tls::client_tls;
use lienthong::wire::pb;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tonic::Code;

use common::check::refusal;
use common::{TestNet, key, pem};

async fn config_changes(net: &TestNet) -> Vec<ConfigChange> {
    let found = net.events("a", "config_changed").await.into_iter();
    found
        .map(|(_, event)| match event.kind {
            EventKind::ConfigChanged(change) => change,
            other => panic!("{other:?}"),
        })
        .collect()
}

async fn client_changes(net: &TestNet) -> Vec<ClientChange> {
    let found = net.events("a", "client_changed").await.into_iter();
    found
        .map(|(_, event)| match event.kind {
            EventKind::ClientChanged(change) => change,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn a_start_records_what_changed_of_configuration_clients_and_keys_and_nothing_else() {
    let mut net = TestNet::running(&["a"]).await;
    let [first] = &config_changes(&net).await[..] else { panic!("one event of the first start") };
    assert_eq!(first.previous, None);
    let names: Vec<&String> = first.settings.iter().map(|s| &s.name).collect();
    assert_eq!(first.changed.iter().collect::<Vec<_>>(), names);
    assert!(names.iter().any(|n| *n == "limits.client_mib") && names.len() > 35, "{names:?}");
    let clients = client_changes(&net).await;
    let mut configured: Vec<&String> = net.config("a").clients.iter().map(|c| &c.name).collect();
    configured.sort();
    let mut added: Vec<&String> = clients.iter().map(|c| &c.name).collect();
    added.sort();
    assert_eq!(added, configured);
    for client in &clients {
        assert_eq!(client.step, ClientStep::Added);
        assert_eq!(client.identity, format!("lienthong-client://test/a/{}", client.name));
    }
    let auditor = clients.iter().find(|c| c.name == "auditor").unwrap();
    assert_eq!(
        (&auditor.rights.roles[..], auditor.rights.all_agencies),
        (&["auditor".to_owned()][..], false)
    );
    assert_eq!((&auditor.rights.agencies[..], auditor.rights.agency_count), (&["H01.1".to_owned()][..], 1));
    let keys = net.events("a", "key_changed").await.len();
    assert_eq!(keys, 3);

    // The same again, in order and after a crash: nothing.
    let before = net.events("a", "").await.len();
    net.stop("a").await;
    net.start("a").await;
    net.kill("a");
    net.start("a").await;
    let said: Vec<String> =
        net.events("a", "").await[before..].iter().map(|(_, e)| e.kind.name().to_owned()).collect();
    assert_eq!(said, ["stopped", "started", "started"]);

    net.stop("a").await;
    net.configure("a", |config| {
        config.max_content_bytes += 1;
        config.clients.retain(|c| c.name != "one");
        let auditor = config.clients.iter_mut().find(|c| c.name == "auditor").unwrap();
        auditor.agencies = Some(["H01.1".to_owned(), "H01.2".to_owned()].into());
        config.clients.push(Client {
            name: "new".into(),
            agencies: None,
            roles: [Role::Dms].into(),
            node_roles: [NodeRole::Operator].into(),
        });
        let one = config.clients.iter_mut().find(|c| c.name == "operator").unwrap();
        // Of thousands of agencies the first are named, and all are told apart.
        one.agencies = Some((0..3_000).map(|n| format!("H01.{n:030}")).collect());
    });
    // Another certificate of the same node.
    let files = net.path("a/node");
    net.certify("network-ca", "lienthong-node://test/a", &["a", "localhost"], &files);
    net.start("a").await;
    let changes = config_changes(&net).await;
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[1].previous, Some(changes[0].digest));
    assert_eq!(changes[1].changed, ["limits.max_content_bytes"]);
    let later: Vec<ClientChange> = client_changes(&net).await.split_off(clients.len());
    let mut steps: Vec<(&str, ClientStep)> = later.iter().map(|c| (c.name.as_str(), c.step)).collect();
    steps.sort_unstable();
    let expected = [
        ("auditor", ClientStep::Changed),
        ("new", ClientStep::Added),
        ("one", ClientStep::Removed),
        ("operator", ClientStep::Changed),
    ];
    assert_eq!(steps, expected);
    let operator = later.iter().find(|c| c.name == "operator").unwrap();
    assert_eq!((operator.rights.agencies.len(), operator.rights.agency_count), (500, 3_000));
    let new = later.iter().find(|c| c.name == "new").unwrap();
    assert_eq!((new.rights.all_agencies, &new.rights.node_roles[..]), (true, &["operator".to_owned()][..]));
    let key = net.events("a", "key_changed").await.split_off(keys);
    let [(_, Event { kind: EventKind::KeyChanged(tls), .. })] = &key[..] else { panic!("{key:?}") };
    assert_eq!(tls.purpose, KeyPurpose::Tls);
    assert!(tls.old.starts_with("sha256:") && tls.new.starts_with("sha256:") && tls.old != tls.new);
    net.finish().await;
}

#[tokio::test]
async fn connections_that_are_turned_away_are_counted_in_one_event() {
    let mut net = TestNet::running(&["a"]).await;
    let (clients, peers) = (net.config("a").listen_clients, net.config("a").listen_peers);
    let ca = net.path("clients/network-ca.pem");
    let foreign = net.client_files("a", "foreign");
    let before = net.events("a", "").await.len();
    for port in [clients, peers] {
        let tls = client_tls(&pem(&foreign), &key(&foreign), &ca).unwrap();
        // With TLS 1.3 the client has shaken hands before the server has seen its certificate.
        if let Ok((channel, _)) = connect_tls(tls, &port.to_string(), "a").await {
            let mut client = pb::peer_service_client::PeerServiceClient::new(channel);
            client.hello(pb::HelloRequest::default()).await.unwrap_err();
        }
    }
    for _ in 0..20 {
        let mut garbage = TcpStream::connect(clients).await.unwrap();
        garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        // The end of it is the answer that it was turned away.
        let mut rest = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut garbage, &mut rest).await;
    }
    for _ in 0..20 {
        // Who only looks whether the port is open.
        drop(TcpStream::connect(clients).await.unwrap());
    }
    let stranger = net.client("a", "stranger").await;
    let refused = refusal(Code::PermissionDenied, "unknown_caller", "", &["stranger"]);
    for _ in 0..3 {
        refused.check(&stranger.inbox("H01.1").await.unwrap_err());
    }
    // While it goes on, the log does not grow by it.
    assert_eq!(net.events("a", "").await.len(), before);
    net.stop("a").await;
    net.start("a").await;
    let events = net.events("a", "connections_refused").await;
    let [(index, Event { kind: EventKind::ConnectionsRefused(counted), .. })] = &events[..] else {
        panic!("{events:?}")
    };
    let of = |side: Side, cause: RefusalCause| -> Option<&Refusals> {
        counted.refusals.iter().find(|r| r.side == side && r.cause == cause)
    };
    assert!(of(Side::Clients, RefusalCause::BadCertificate).unwrap().count >= 1, "{counted:?}");
    assert!(of(Side::Peers, RefusalCause::BadCertificate).unwrap().count >= 1, "{counted:?}");
    let garbage = of(Side::Clients, RefusalCause::Protocol).unwrap();
    assert_eq!((garbage.count, &garbage.origins[..]), (20, &[("127.0.0.1".to_owned(), 20)][..]));
    let stranger = of(Side::Clients, RefusalCause::UnknownCaller).unwrap();
    assert_eq!(stranger.count, 3);
    assert_eq!(stranger.origins, [("lienthong-client://test/a/stranger".to_owned(), 3)]);
    assert_eq!(counted.refusals.len(), 4, "{counted:?}");
    // And it is found by its causes.
    let admin = net.client("a", "admin").await;
    let request =
        pb::ListEventsRequest { reason: "unknown_caller".into(), ..pb::ListEventsRequest::default() };
    let found = admin.node.audit().list_events(request).await.unwrap().into_inner().events;
    assert_eq!(found.iter().map(|e| e.index).collect::<Vec<_>>(), [*index]);
    net.finish().await;
}

#[tokio::test]
async fn what_is_taken_out_of_the_log_is_recorded_with_who_took_it() {
    let net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.2"], "1")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    let (admin, auditor) = (net.client("a", "admin").await, net.client("a", "auditor").await);
    let taken = async || -> Vec<(String, String, Extracted)> {
        let found = net.events("a", "extracted").await.into_iter();
        found
            .map(|(_, event)| match event.kind {
                EventKind::Extracted(extracted) => (event.actor.client, event.actor.user, extracted),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    // Reading a page is no taking away.
    assert_eq!(taken().await, []);
    let events = pb::ListEventsRequest {
        agency: "H01.1".into(),
        kind: "submitted".into(),
        export: true,
        asking_user: "thanh-tra-1".into(),
        page: Some(pb::Page { size: 1, token: String::new() }),
        ..pb::ListEventsRequest::default()
    };
    let page = auditor.node.audit().list_events(events.clone()).await.unwrap().into_inner();
    assert_eq!(page.events.len(), 1);
    // A later page belongs to the same.
    let mut later = events.clone();
    later.page = Some(pb::Page { size: 1, token: "c1".into() });
    auditor.node.audit().list_events(later).await.unwrap();
    let ratios = pb::GetRatiosRequest {
        from_month: "2016-08".into(),
        export: true,
        user: "van-phong".into(),
        ..pb::GetRatiosRequest::default()
    };
    admin.node.report().get_ratios(ratios.clone()).await.unwrap();
    admin.node.report().get_ratios(pb::GetRatiosRequest { export: false, ..ratios }).await.unwrap();
    let mut known = (0, bytes::Bytes::new());
    for _ in 0..2 {
        let request = pb::ExportTilesRequest {
            known_size: known.0,
            known_root: known.1.clone(),
            user: "it".into(),
            cosigned: false,
        };
        let mut pieces = admin.node.audit().export_tiles(request).await.unwrap().into_inner();
        while let Some(piece) = pieces.message().await.unwrap() {
            if piece.path == "checkpoint" {
                let text = String::from_utf8(piece.data.to_vec()).unwrap();
                let head = lienthong::merkle::SignedCheckpoint::parse_unverified(&text).unwrap();
                known = (head.claimed().size, head.claimed().root.as_bytes().to_vec().into());
            }
        }
    }
    let all = taken().await;
    let said: Vec<_> = all
        .iter()
        .map(|(client, user, e)| {
            (
                client.as_str(),
                user.as_str(),
                e.extract,
                e.agency.as_ref().map(|a| a.as_str()),
                e.filter.as_str(),
            )
        })
        .collect();
    let expected = [
        ("auditor", "thanh-tra-1", Extract::Events, Some("H01.1"), "agency=H01.1 kind=submitted"),
        ("admin", "van-phong", Extract::Ratios, None, "from=2016-08"),
        // An export after which nothing happened is not recorded anew.
        ("admin", "it", Extract::Tiles, None, ""),
    ];
    assert_eq!(said, expected);
    // The export of the log has its own event in it.
    assert_eq!(known.0, all[2].2.size + 1);
    // The agency sees what its auditor took.
    let own = pb::ListEventsRequest { kind: "extracted".into(), export: false, ..events };
    let seen = auditor.node.audit().list_events(own).await.unwrap().into_inner().events;
    assert_eq!(seen.len(), 1);
    net.finish().await;
}
