//! Finding events over the interface and by hand.

use std::process::Command;

use lienthong::domain::Event;
use lienthong::wire::{leaf, pb};
use serde_json::Value;
use tonic::Code;

use super::common::TestNet;
use super::common::check::refusal;

type Request = pb::ListEventsRequest;

#[tokio::test]
async fn an_agencys_auditor_finds_that_agencys_events_with_every_filter_and_no_others() {
    let net = TestNet::running(&["a", "b"]).await;
    let a = net.dms("a").await;
    let mut ids = Vec::new();
    for (sender, recipient, number) in
        [("H01.1", "H01.2", "1"), ("H01.1", "H01.22", "2"), ("H01.2", "H01.1", "1"), ("H01.2", "H01.22", "1")]
    {
        let id = a.deliver(&net.document(sender, &[recipient], number)).await.remove(0);
        a.wait_for(&id, pb::DeliveryState::Delivered).await;
        ids.push(id);
    }
    a.fetch("H01.1", &ids[2]).await.unwrap();
    let (auditor, admin) = (net.client("a", "auditor").await, net.client("a", "admin").await);
    let list = async |client: &super::common::client::Client, request: Request| {
        client.node.audit().list_events(request).await.map(tonic::Response::into_inner)
    };
    let whole = net.events("a", "").await;
    let own: Vec<u64> = list(&admin, Request { agency: "H01.1".into(), ..Request::default() })
        .await
        .unwrap()
        .events
        .iter()
        .map(|e| e.index)
        .collect();
    let base = Request { agency: "H01.1".into(), ..Request::default() };
    let of_others = ids[3].clone();
    let requests = [
        (base.clone(), true),
        (Request { kind: "submitted".into(), ..base.clone() }, true),
        (Request { kind: "key_changed".into(), ..base.clone() }, false),
        (Request { counterpart: "H01.22".into(), ..base.clone() }, true),
        (Request { counterpart: "H01.21".into(), ..base.clone() }, false),
        (Request { delivery_id: ids[0].clone(), ..base.clone() }, true),
        (Request { delivery_id: of_others, ..base.clone() }, false),
        (Request { number: "1".into(), ..base.clone() }, true),
        (Request { number: "99".into(), ..base.clone() }, false),
        (Request { client: "dms".into(), ..base.clone() }, true),
        (Request { user: "somebody".into(), ..base.clone() }, false),
        (Request { verdict: pb::Verdict::Valid.into(), ..base.clone() }, true),
        (Request { reason: "conflict".into(), ..base.clone() }, false),
        (Request { since: 1, until: net.now().millis(), ..base.clone() }, true),
        (Request { backwards: true, ..base.clone() }, true),
    ];
    for (request, some) in requests {
        let mut request = Request { page: Some(pb::Page { size: 2, token: String::new() }), ..request };
        let mut found = 0;
        loop {
            let page = list(&auditor, request.clone()).await.unwrap();
            for entry in &page.events {
                assert!(own.contains(&entry.index), "{} {request:?}", entry.index);
                let (_, event): &(u64, Event) = &whole[entry.index as usize];
                assert_eq!(leaf::decode(&entry.leaf).unwrap(), *event);
            }
            found += page.events.len();
            if page.next_token.is_empty() {
                break;
            }
            let next: u64 = page.next_token[1..].parse().unwrap();
            assert!(own.contains(&next), "{next} {request:?}");
            request.page = Some(pb::Page { size: 2, token: page.next_token });
        }
        assert_eq!(found > 0, some, "{request:?}");
    }
    // A wrong filter is named; it says nothing of what others have.
    let wrong = [
        (
            Request { counterpart: "H77".into(), ..base.clone() },
            Code::NotFound,
            "unknown_agency",
            "counterpart",
        ),
        (Request { kind: "sent".into(), ..base.clone() }, Code::InvalidArgument, "invalid_text", "kind"),
        (Request { since: 2, until: 1, ..base.clone() }, Code::InvalidArgument, "invalid_date", "since"),
        (Request { year: 2016, ..base.clone() }, Code::InvalidArgument, "missing_field", "number"),
        (
            Request { reason: "no such".into(), ..base.clone() },
            Code::InvalidArgument,
            "invalid_text",
            "reason",
        ),
        (Request { agency: "H01.2".into(), ..base.clone() }, Code::PermissionDenied, "not_allowed", "agency"),
        (Request { agency: String::new(), ..base }, Code::PermissionDenied, "not_allowed", "agency"),
    ];
    for (request, code, reason, field) in wrong {
        refusal(code, reason, field, &[]).check(&list(&auditor, request).await.unwrap_err());
    }
    net.finish().await;
}

#[tokio::test]
async fn a_stopped_nodes_log_is_searched_by_hand() {
    let mut net = TestNet::running(&["a"]).await;
    let a = net.dms("a").await;
    let id = a.deliver(&net.document("H01.1", &["H01.2"], "7")).await.remove(0);
    a.wait_for(&id, pb::DeliveryState::Delivered).await;
    drop(a);
    net.stop("a").await;
    let data = net.config("a").data.clone();
    let audit = |args: &[&str]| {
        let program = env!("CARGO_BIN_EXE_lienthong");
        let done = Command::new(program).args(["audit", "list", "--data"]).arg(&data).args(args).output();
        let done = done.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    };
    let kinds = |args: &[&str]| -> Vec<String> {
        let (code, out, err) = audit(&[args, &["--format", "json"]].concat());
        assert_eq!(code, Some(0), "{err}");
        let list: Vec<Value> = serde_json::from_str(&out).unwrap();
        list.iter().map(|e| e["event"].as_str().unwrap().to_owned()).collect()
    };
    let of_document = ["submitted", "received", "settled"];
    assert_eq!(kinds(&["--number", "7"]), of_document);
    assert_eq!(kinds(&["--number", "7", "--notation", "CV-VP", "--year", "2016", "--all"]), of_document);
    assert_eq!(kinds(&["--number", "7", "--year", "2015"]), [""; 0]);
    assert_eq!(kinds(&["--agency", "H01.1", "--counterpart", "H01.2", "--limit", "2"]), of_document[..2]);
    assert_eq!(kinds(&["--by-client", "dms"]), ["submitted"]);
    assert_eq!(kinds(&["--verdict", "agency=valid", "--backwards"]), ["settled", "received", "submitted"]);
    // The day is that of Vietnam.
    assert_eq!(kinds(&["--number", "7", "--since", "2016-08-08", "--until", "2016-08-08"]), of_document);
    assert_eq!(kinds(&["--number", "7", "--until", "2016-08-07"]), [""; 0]);
    let (code, out, err) = audit(&["--kind", "submitted"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("index") && out.contains("H01.1 → H01.2"), "{out}");
    let (_, _, err) = audit(&["--limit", "1"]);
    assert!(err.contains("more: --from 1"), "{err}");

    let file = net.path("found.json");
    let to = ["--number", "7", "--format", "json", "--output", file.to_str().unwrap()];
    let (code, out, err) = audit(&to);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    let written: Vec<Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(written.len(), 3);
    let (code, _, err) = audit(&to);
    assert!(code == Some(2) && err.contains("there already"), "{err}");
    for (args, said) in [
        (&["--kind", "sent"][..], "`sent` is no kind of event"),
        (&["--since", "yesterday"], "2016-08-06"),
        (&["--verdict", "boss=valid"], "person or agency"),
        (&["--notation", "CV"], "--number"),
        (&["--since", "2016-08-09", "--until", "2016-08-08"], "nothing can match"),
    ] {
        let (code, _, err) = audit(args);
        assert!(code == Some(2) && err.contains(said), "{args:?}: {err}");
    }
    net.start("a").await;
    net.finish().await;
}
