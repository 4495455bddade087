//! A backup takes everything: it is an event first, and only an administrator may begin one.

use lienthong::config::{Client, NodeRole};
use lienthong::directory::build;
use lienthong::domain::administration::Extract;
use lienthong::domain::event::EventKind;
use lienthong::merkle::SignedCheckpoint;
use lienthong::wire::pb;
use tonic::Code;

use crate::common::{NETWORK, TestNet, name};

#[tokio::test]
async fn a_backup_is_an_event_that_is_in_it_and_only_an_administrator_begins_one() {
    let mut net = TestNet::new();
    let of_node = [("inspector", NodeRole::Auditor), ("watch", NodeRole::Operator)];
    net.configure("a", |config| {
        config.clients.extend(of_node.map(|(client, role)| Client {
            name: client.to_owned(),
            agencies: Some([].into()),
            roles: [].into(),
            node_roles: [role].into(),
        }));
    });
    for (client, _) in of_node {
        let uri = build::client_identity(NETWORK, &name("a"), client);
        net.certify("client-ca", &uri, &[], &net.client_files("a", client));
    }
    net.start("a").await;
    let begin = |user: &str, keys| pb::BeginBackupRequest { user: user.to_owned(), keys };
    for client in ["inspector", "watch", "dms", "auditor", "operator"] {
        let of = net.client("a", client).await;
        let refused = of.node.audit().begin_backup(begin("x", false)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{client}: {refused}");
    }
    assert!(net.events("a", "extracted").await.is_empty());

    let admin = net.client("a", "admin").await;
    for (user, keys) in [("sao-luu", false), ("", true)] {
        let head = admin.node.audit().begin_backup(begin(user, keys)).await.unwrap().into_inner();
        let (index, event) = net.events("a", "extracted").await.pop().unwrap();
        let EventKind::Extracted(extracted) = &event.kind else { panic!("{event:?}") };
        assert_eq!((extracted.extract, extracted.agency.is_none()), (Extract::Backup, true));
        assert_eq!(extracted.filter, if keys { "keys" } else { "" });
        assert_eq!((event.actor.client.as_str(), event.actor.user.as_str()), ("admin", user));
        let head = SignedCheckpoint::parse_unverified(&head.checkpoint).unwrap();
        assert!(head.claimed().size > index, "the copy has its own event");
    }
    let long = admin.node.audit().begin_backup(begin(&"x".repeat(101), false)).await.unwrap_err();
    assert_eq!(long.code(), Code::InvalidArgument, "{long}");
    assert_eq!(net.events("a", "extracted").await.len(), 2);
    net.finish().await;
}
