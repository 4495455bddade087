//! What must hold: after every test, and after every refusal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lienthong::domain::event::EventKind;
use lienthong::domain::{DeliveryId, DeliveryState};
use lienthong::wire::{failure, pb};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::client::Client;
use super::document::Doc;
use super::{TestNet, eventually};

/// Traces that messages leave: events of a log, and inboxes.
#[derive(Debug, PartialEq, Eq)]
pub struct Traces(BTreeMap<String, usize>);

impl TestNet {
    /// Every log verifies, nothing arrived twice, and whatever is settled as delivered was received.
    pub async fn check(&self) {
        // What is settled is read first: more may arrive meanwhile.
        let mut settled: Vec<(String, String, DeliveryId)> = Vec::new();
        for node in self.nodes() {
            let events = self.events(&node, "").await;
            let mut peers = BTreeMap::new();
            for (_, event) in events {
                match event.kind {
                    EventKind::Submitted { item, peer, .. } => {
                        peers.insert(item.delivery_id, peer.to_string());
                    }
                    EventKind::Rerouted { delivery_id, peer } => {
                        peers.insert(delivery_id, peer.to_string());
                    }
                    EventKind::Settled { delivery_id, outcome: DeliveryState::Delivered, .. } => {
                        settled.push((node.clone(), peers[&delivery_id].clone(), delivery_id));
                    }
                    _ => {}
                }
            }
        }
        let mut received: BTreeMap<String, BTreeSet<DeliveryId>> = BTreeMap::new();
        for node in self.nodes() {
            let admin = self.client(&node, "admin").await;
            let checked = eventually("the log is quiet enough to be checked", || async {
                match admin.node.audit().check_log(pb::CheckLogRequest { content: false }).await {
                    Ok(checked) => Some(checked.into_inner()),
                    Err(status) if status.code() == Code::ResourceExhausted => None,
                    Err(status) => panic!("node {node} cannot be checked: {status}"),
                }
            })
            .await;
            assert_eq!(checked.findings, [], "node {node}");
            let ids = received.entry(node.clone()).or_default();
            for (index, event) in self.events(&node, "received").await {
                let id = event.kind.delivery_id().unwrap();
                assert!(ids.insert(id), "node {node}, event {index}: {id} was received twice");
            }
        }
        for (node, peer, id) in settled {
            // A peer that does not run, or is played, cannot be asked.
            let there = received.get(&peer).is_none_or(|ids| ids.contains(&id));
            assert!(there, "node {node} settled {id}, node {peer} has it not");
        }
    }

    /// What messages left behind at the nodes that run.
    pub async fn traces(&self) -> Traces {
        let mut traces = BTreeMap::new();
        for node in self.nodes() {
            for kind in ["submitted", "received", "refused"] {
                traces.insert(format!("{node}: {kind}"), self.events(&node, kind).await.len());
            }
            let dms = self.dms(&node).await;
            for agency in self.hosted(&node) {
                let waiting = dms.inbox(&agency).await.unwrap().len();
                traces.insert(format!("{node}: inbox of {agency}"), waiting);
            }
        }
        Traces(traces)
    }

    /// The document is refused in this way, on a stream of its own and in bulk, and leaves no trace.
    pub async fn refuses(&self, client: &Client, doc: &Doc, refusal: &Refusal) {
        let before = self.traces().await;
        refusal.check(&client.send(doc).await.expect_err(&refusal.reason));
        if doc.data.len() <= lienthong::domain::limits::BULK_BYTES {
            let answers = client.send_many(vec![doc.bulk()]).await;
            let [pb::SendManyResponse { request_id, outcome: Some(outcome) }] = &answers[..] else {
                panic!("one answer was expected: {answers:?}");
            };
            assert_eq!(*request_id, doc.header.request_id);
            match outcome {
                pb::send_many_response::Outcome::Problem(problem) => refusal.check_problem(problem),
                pb::send_many_response::Outcome::Sent(sent) => panic!("it was taken: {sent:?}"),
            }
        }
        assert_eq!(self.traces().await, before, "{}", refusal.reason);
    }

    /// The recipient is refused in this way, in an answer that otherwise succeeded, and leaves no trace.
    pub async fn refuses_recipient(&self, client: &Client, doc: &Doc, at: usize, refusal: &Refusal) {
        let before = self.traces().await;
        let sent = client.send(doc).await.unwrap();
        refusal.check_problem(sent.results[at].problem.as_ref().expect(&refusal.reason));
        assert!(sent.results[at].delivery_id.is_empty());
        assert_eq!(self.traces().await, before, "{}", refusal.reason);
    }
}

/// What a refusal must say.
#[derive(Debug, Clone)]
pub struct Refusal {
    code: Code,
    reason: String,
    /// The field at fault; empty where there is none.
    field: String,
    /// What the message names: the offending value, the limit, what to do.
    says: Vec<String>,
}

/// A refusal of what the client sent.
pub fn invalid(reason: &str, field: &str, says: &[&str]) -> Refusal {
    refusal(Code::InvalidArgument, reason, field, says)
}

/// A refusal with another code.
pub fn refusal(code: Code, reason: &str, field: &str, says: &[&str]) -> Refusal {
    let says = says.iter().map(|s| (*s).to_owned()).collect();
    Refusal { code, reason: reason.to_owned(), field: field.to_owned(), says }
}

impl Refusal {
    /// The same in other words.
    pub fn saying(&self, says: &[&str]) -> Refusal {
        refusal(self.code, &self.reason, &self.field, says)
    }

    /// A failed call says it: code, `ErrorInfo`, `BadRequest` and message agree, and the reason has its page.
    #[track_caller]
    pub fn check(&self, status: &Status) {
        assert_eq!(status.code(), self.code, "{status:?}");
        let details = status.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
        assert_eq!(
            (info.domain.as_str(), info.reason.as_str()),
            (failure::DOMAIN, self.reason.as_str()),
            "{status:?}"
        );
        let fields: Vec<&str> = details
            .bad_request()
            .map(|b| b.field_violations.iter().map(|v| v.field.as_str()).collect())
            .unwrap_or_default();
        let expected: Vec<&str> = Some(self.field.as_str()).into_iter().filter(|f| !f.is_empty()).collect();
        assert_eq!(fields, expected, "{status:?}");
        self.check_message(status.message());
    }

    /// A refusal inside an answer says it.
    #[track_caller]
    pub fn check_problem(&self, problem: &pb::Problem) {
        assert_eq!(
            (problem.reason.as_str(), problem.field.as_str()),
            (self.reason.as_str(), self.field.as_str()),
            "{problem:?}"
        );
        let reason: lienthong::domain::Reason = problem.reason.parse().unwrap();
        assert_eq!(failure::code(reason.class()), self.code, "{problem:?}");
        self.check_message(&problem.message);
    }

    #[track_caller]
    fn check_message(&self, message: &str) {
        for said in &self.says {
            assert!(message.contains(said.as_str()), "`{said}` is not said: {message}");
        }
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/reasons/{}.md", self.reason));
        assert!(page.exists(), "{} has no page in docs/reasons", self.reason);
    }
}
