//! An agency's system: a connection with a client's certificate, and the calls that tests make over it.

use std::path::Path;

use bytes::Bytes;
use lienthong::domain::Event;
use lienthong::rpc::client::{ConnectError, NodeClient};
use lienthong::rpc::exchange::collect_fetch;
use lienthong::wire::{leaf, pb};
use tonic::Status;

use super::{TestNet, eventually, key, pem};

/// A connected client.
#[derive(Clone)]
pub struct Client {
    pub node: NodeClient,
}

impl TestNet {
    /// Connects a client to its node.
    pub async fn client(&self, node: &str, client: &str) -> Client {
        self.try_client(node, &self.client_files(node, client)).await.unwrap()
    }

    /// The system of all agencies of a node.
    pub async fn dms(&self, node: &str) -> Client {
        self.client(node, "dms").await
    }

    /// Connects to a node's port for clients with this certificate.
    pub async fn try_client(&self, node: &str, files: &Path) -> Result<Client, ConnectError> {
        let address = self.config(node).listen_clients.to_string();
        let ca = self.path("clients/network-ca.pem");
        let node = NodeClient::connect(&address, node, &pem(files), &key(files), &ca).await?;
        Ok(Client { node })
    }

    /// All events of a kind in a node's log; every kind when it is empty.
    pub async fn events(&self, node: &str, kind: &str) -> Vec<(u64, Event)> {
        let admin = self.client(node, "admin").await;
        let mut audit = admin.node.audit();
        let mut events = Vec::new();
        let mut token = String::new();
        loop {
            let request = pb::ListEventsRequest {
                kind: kind.to_owned(),
                page: Some(pb::Page { size: 1000, token }),
                ..pb::ListEventsRequest::default()
            };
            let page = audit.list_events(request).await.unwrap().into_inner();
            events.extend(page.events.iter().map(|e| (e.index, leaf::decode(&e.leaf).unwrap())));
            token = page.next_token;
            if token.is_empty() {
                return events;
            }
        }
    }

    /// What a node says of itself.
    pub async fn status(&self, node: &str) -> pb::GetStatusResponse {
        let admin = self.client(node, "admin").await;
        admin.node.audit().get_status(pb::GetStatusRequest {}).await.unwrap().into_inner()
    }

    /// How a node's queue to a peer stands.
    pub async fn queue(&self, node: &str, peer: &str) -> pb::QueueStatus {
        let status = self.status(node).await;
        status.queues.into_iter().find(|q| q.peer == peer).unwrap_or_default()
    }
}

impl Client {
    /// Sends a document.
    pub async fn send(&self, doc: &super::document::Doc) -> Result<pb::SendResponse, Status> {
        let answer = self.node.exchange().send(tokio_stream::iter(doc.messages())).await;
        answer.map(tonic::Response::into_inner)
    }

    /// Sends a document to recipients that are all served; returns the delivery ids.
    pub async fn deliver(&self, doc: &super::document::Doc) -> Vec<Bytes> {
        let sent = self.send(doc).await.unwrap();
        sent.results
            .into_iter()
            .map(|r| {
                assert_eq!(r.problem, None, "{}", r.recipient);
                r.delivery_id
            })
            .collect()
    }

    /// Sends documents on one bulk stream; the answers in the order in which they come.
    pub async fn send_many(&self, requests: Vec<pb::SendManyRequest>) -> Vec<pb::SendManyResponse> {
        let mut answers =
            self.node.exchange().send_many(tokio_stream::iter(requests)).await.unwrap().into_inner();
        let mut all = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            all.push(answer);
        }
        all
    }

    /// What waits for an agency.
    pub async fn inbox(&self, agency: &str) -> Result<Vec<pb::InboxItem>, Status> {
        let request = pb::ListInboxRequest { agency: agency.to_owned(), page: None };
        Ok(self.node.exchange().list_inbox(request).await?.into_inner().items)
    }

    /// Opens a delivery.
    pub async fn fetch(&self, agency: &str, id: &Bytes) -> Result<(pb::FetchHeader, Vec<u8>), Status> {
        let request = pb::FetchRequest {
            agency: agency.to_owned(),
            delivery_id: id.clone(),
            ..pb::FetchRequest::default()
        };
        collect_fetch(self.node.exchange().fetch(request).await?.into_inner()).await
    }

    /// Decides about a delivery that is held.
    pub async fn release(&self, agency: &str, id: &Bytes, refuse: bool) -> Result<u64, Status> {
        let request = pb::ReleaseRequest {
            agency: agency.to_owned(),
            delivery_id: id.clone(),
            refuse,
            user: String::new(),
        };
        Ok(self.node.exchange().release(request).await?.into_inner().log_index)
    }

    /// Confirms a delivery.
    pub async fn acknowledge(&self, agency: &str, id: &Bytes) -> Result<u64, Status> {
        let request = pb::AcknowledgeRequest {
            agency: agency.to_owned(),
            delivery_id: id.clone(),
            user: String::new(),
        };
        Ok(self.node.exchange().acknowledge(request).await?.into_inner().log_index)
    }

    /// Reports a status; status 02 needs a reason.
    pub async fn report(
        &self,
        agency: &str,
        id: &Bytes,
        status: pb::Status,
        reason: &str,
    ) -> Result<pb::SendStatusResponse, Status> {
        let request = pb::SendStatusRequest {
            request_id: format!("{:02}-{}", status as i32, &hex::encode(id)[..40]),
            agency: agency.to_owned(),
            delivery_id: id.clone(),
            status: status.into(),
            reason: reason.to_owned(),
            ..pb::SendStatusRequest::default()
        };
        Ok(self.node.exchange().send_status(request).await?.into_inner())
    }

    /// Where a delivery stands.
    pub async fn track(&self, id: &Bytes) -> Result<pb::DeliveryView, Status> {
        let request = pb::TrackRequest { delivery_id: id.clone(), document: None };
        let mut found = self.node.exchange().track(request).await?.into_inner().deliveries;
        assert_eq!(found.len(), 1);
        Ok(found.remove(0))
    }

    /// Waits until a delivery has come to a state.
    pub async fn wait_for(&self, id: &Bytes, state: pb::DeliveryState) -> pb::DeliveryView {
        eventually(&format!("{} is {}", hex::encode(id), state.as_str_name()), || async {
            self.track(id).await.ok().filter(|v| v.state() == state)
        })
        .await
    }

    /// What the agencies of this client are told from a cursor on, as far as it is there.
    pub async fn told(&self, agencies: &[&str], cursor: &str) -> Result<Vec<pb::WatchResponse>, Status> {
        let request = pb::WatchRequest {
            agencies: agencies.iter().map(|a| (*a).to_owned()).collect(),
            cursor: cursor.to_owned(),
            once: true,
        };
        let mut items = self.node.exchange().watch(request).await?.into_inner();
        let mut all = Vec::new();
        while let Some(item) = items.message().await? {
            all.push(item);
        }
        Ok(all)
    }

    /// The numbers of the statuses that arrived about a delivery.
    pub async fn statuses(&self, id: &Bytes) -> Vec<i32> {
        self.track(id).await.unwrap().statuses.iter().map(|s| s.status).collect()
    }
}

impl Client {
    /// What the seal of a revoke or update must be over.
    pub async fn statement(&self, notice: &pb::SendNoticeRequest) -> Result<Vec<u8>, Status> {
        let request = pb::SendNoticeRequest { statement_only: true, ..notice.clone() };
        Ok(self.node.exchange().send_notice(request).await?.into_inner().statement.to_vec())
    }

    /// Sends a revoke or update with these signatures.
    pub async fn notice(
        &self,
        notice: &pb::SendNoticeRequest,
        signatures: Vec<Vec<u8>>,
    ) -> Result<pb::SendNoticeResponse, Status> {
        let signatures = signatures.into_iter().map(Into::into).collect();
        let request = pb::SendNoticeRequest { signatures, ..notice.clone() };
        Ok(self.node.exchange().send_notice(request).await?.into_inner())
    }

    /// Sends it with the seal of its agency.
    pub async fn sealed(
        &self,
        net: &TestNet,
        notice: &pb::SendNoticeRequest,
    ) -> Result<pb::SendNoticeResponse, Status> {
        let statement = self.statement(notice).await?;
        self.notice(notice, vec![net.seal(&notice.agency, &statement)]).await
    }

    /// Revokes a delivery with the agency's seal.
    pub async fn revoke(&self, net: &TestNet, agency: &str, id: &Bytes) -> pb::SendNoticeResponse {
        self.sealed(net, &revoke(agency, id)).await.unwrap()
    }

    /// 15 or 16 to one message.
    pub async fn answer(
        &self,
        agency: &str,
        id: &Bytes,
        status: pb::Status,
        answers: &Bytes,
    ) -> Result<pb::SendStatusResponse, Status> {
        let request = pb::SendStatusRequest {
            request_id: format!("{:02}-{}", status as i32, &hex::encode(answers)[..40]),
            agency: agency.to_owned(),
            delivery_id: id.clone(),
            status: status.into(),
            reason: "lý do".to_owned(),
            answers: answers.clone(),
            ..pb::SendStatusRequest::default()
        };
        Ok(self.node.exchange().send_status(request).await?.into_inner())
    }

    /// Waits until the sender or recipient sees that a delivery ended.
    pub async fn wait_for_end(&self, id: &Bytes, by: pb::EndedBy) -> pb::DeliveryView {
        eventually(&format!("{} is {}", hex::encode(id), by.as_str_name()), || async {
            let view = self.track(id).await.ok()?;
            view.ended.as_ref().is_some_and(|e| e.by() == by).then_some(view)
        })
        .await
    }

    /// Waits until the newest thing that was asked has come to a state.
    pub async fn wait_for_asked(&self, id: &Bytes, state: pb::AskState) -> pb::DeliveryView {
        eventually(
            &format!("what was asked about {} is {}", hex::encode(id), state.as_str_name()),
            || async {
                let view = self.track(id).await.ok()?;
                view.asked.last().is_some_and(|a| a.state() == state).then_some(view)
            },
        )
        .await
    }
}

/// A revoke without its seal. Its delivery makes its request id.
pub fn revoke(agency: &str, id: &Bytes) -> pb::SendNoticeRequest {
    pb::SendNoticeRequest {
        request_id: format!("revoke-{}", &hex::encode(id)[..40]),
        agency: agency.to_owned(),
        kind: pb::Kind::Revoke.into(),
        delivery_id: id.clone(),
        reason: "Ban hành nhầm".to_owned(),
        ..pb::SendNoticeRequest::default()
    }
}
