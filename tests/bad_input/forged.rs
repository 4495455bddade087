//! Messages that a played node makes up: envelope, content, signatures, and what its log says of them.

use lienthong::domain::event::{
    DocumentFacts, Item, Level, NoticeFacts, Parties, RoleVerdicts, Scope, Subject,
};
use lienthong::domain::{
    AgencyId, Body, DeliveryId, DocumentKey, Envelope, EventKind, Kind, Metadata, Notice, NoticeDocument,
    Origin, Part, PartRole, RequestId, Status, Urgency,
};
use lienthong::merkle::{Hash, sha256};
use lienthong::wire::{envelope, pb};

use super::common::log::HandLog;
use super::common::{TestNet, name};

/// An agency's permanent id.
pub fn agency(id: &str) -> AgencyId {
    AgencyId::new(id).unwrap()
}

/// A message that c makes up.
#[derive(Clone)]
pub struct Forged {
    pub envelope: Envelope,
    pub data: Vec<u8>,
    pub signatures: Vec<Vec<u8>>,
}

impl Forged {
    /// A good document of the ministry for the department.
    pub fn good(net: &TestNet, number: &str) -> Forged {
        Forged::document(net, number, format!("<document number=\"{number}\"/>").into_bytes())
    }

    fn document(net: &TestNet, number: &str, data: Vec<u8>) -> Forged {
        let signatures = net.signatures("G01", &data);
        let part = Part {
            name: "a.xml".to_owned(),
            media_type: "application/xml".to_owned(),
            size: data.len() as u64,
            sha256: sha256(&data),
            role: PartRole::Main,
            signatures: signatures.iter().map(|s| (sha256(s), s.len() as u32)).collect(),
        };
        let metadata = Metadata {
            key: DocumentKey::new(number, "CV-BTN", 2016).unwrap(),
            place_of_issue: "Thử".to_owned(),
            issued_on: net.now().date(),
            issued_at: None,
            type_code: String::new(),
            type_name: "công văn".to_owned(),
            subject: "Về việc".to_owned(),
            summary: String::new(),
            signer_name: String::new(),
            signer_position: String::new(),
            signer_authority: String::new(),
            urgency: Urgency::Normal,
            due_on: None,
            pages: 1,
            copies: 1,
            places_received: Vec::new(),
            origin: Origin::BornDigital,
            response_for: Vec::new(),
            replaces: None,
        };
        let body = Body::Document { metadata: Box::new(metadata), parts: vec![part] };
        let envelope = Envelope {
            delivery_id: DeliveryId::default(),
            kind: Kind::New,
            sender_code: "G01".to_owned(),
            sender: agency("G01"),
            recipient_code: "H01.1".to_owned(),
            recipient: agency("H01.1"),
            attempt: 1,
            directory_version: 1,
            submitted_at: net.now(),
            not_after: net.now().plus_millis(86_400_000),
            body,
        };
        Forged { envelope, data, signatures }.named()
    }

    /// A status about a delivery.
    pub fn status(net: &TestNet, target: DeliveryId, status: Status) -> Forged {
        let mut forged = Forged::good(net, "1");
        let notice = Notice { status: Some(status), reason: "lý do".to_owned(), ..Notice::about(target, 1) };
        forged.envelope.kind = Kind::Status;
        forged.envelope.body = Body::Notice(notice);
        Forged { data: Vec::new(), signatures: Vec::new(), ..forged }.named()
    }

    /// A revoke of a delivery, sealed by the ministry; `document` is what it says that the delivery brought.
    pub fn revoke(net: &TestNet, target: DeliveryId, document: NoticeDocument) -> Forged {
        let mut forged = Forged::good(net, "1");
        let mut notice =
            Notice { reason: "lý do".to_owned(), document: Some(document), ..Notice::about(target, 1) };
        let statement = notice.statement(Kind::Revoke, &forged.envelope.sender).unwrap();
        let signatures = vec![net.seal("G01", statement.as_bytes())];
        notice.signatures = signatures.iter().map(|s| (sha256(s), s.len() as u32)).collect();
        forged.envelope.kind = Kind::Revoke;
        forged.envelope.body = Body::Notice(notice);
        Forged { data: Vec::new(), signatures, ..forged }.named()
    }

    /// With the delivery id that its fields give.
    fn named(mut self) -> Forged {
        let e = &mut self.envelope;
        e.delivery_id = match &e.body {
            Body::Document { metadata, .. } => {
                DeliveryId::of_document(&e.sender, e.kind.number(), &metadata.key, &e.recipient, e.attempt)
            }
            Body::Notice(n) => {
                DeliveryId::of_notice(&e.sender, e.kind.number(), &n.target, n.message_number, &e.recipient)
            }
        };
        self
    }

    /// With another envelope, and the delivery id that it gives.
    pub fn with(mut self, change: impl FnOnce(&mut Envelope)) -> Forged {
        change(&mut self.envelope);
        self.named()
    }

    /// With another message number.
    pub fn numbered(self, number: u32) -> Forged {
        self.with(|e| match &mut e.body {
            Body::Notice(notice) => notice.message_number = number,
            Body::Document { .. } => panic!("a document has no message number"),
        })
    }

    /// With other metadata, and the delivery id that they give.
    pub fn with_metadata(self, change: impl FnOnce(&mut Metadata)) -> Forged {
        self.with(|e| match &mut e.body {
            Body::Document { metadata, .. } => change(metadata),
            Body::Notice(_) => panic!("a notice has no metadata"),
        })
    }

    /// What its origin's log says of it.
    pub fn submitted(&self) -> EventKind {
        let e = &self.envelope;
        let subject = match &e.body {
            Body::Document { metadata: m, .. } => Subject::Document(DocumentFacts {
                kind: e.kind,
                key: m.key.clone(),
                document_digest: Hash([1; 32]),
                type_name: "công văn".to_owned(),
                urgency: m.urgency,
                issued_on: m.issued_on,
                issued_at: m.issued_at,
                origin: m.origin,
                replaces: None,
            }),
            Body::Notice(n) => Subject::Notice(NoticeFacts {
                kind: e.kind,
                target: n.target,
                message_number: n.message_number,
                status: n.status,
                out_of_order: false,
                sent_at: e.submitted_at,
                stated: None,
                answers: n.answers,
                after_end: n.after_end,
            }),
        };
        let parties = Parties {
            sender: e.sender.clone(),
            sender_code: e.sender_code.clone(),
            recipient: Some(e.recipient.clone()),
            recipient_code: e.recipient_code.clone(),
            sender_registered: e.sender.clone(),
            recipient_registered: Some(e.recipient.clone()),
            sender_level: Level::Central,
            recipient_level: Some(Level::Department),
            scope: Scope::Outside,
            direction: None,
        };
        EventKind::Submitted {
            item: Item {
                delivery_id: e.delivery_id,
                envelope_digest: sha256(&envelope::encode(e)),
                attempt: e.attempt,
                parties,
                subject,
            },
            request_id: RequestId::new("r").unwrap(),
            content_digests: e.content_digests(),
            verdicts: RoleVerdicts::ABSENT,
            judged: Default::default(),
            not_after: e.not_after,
            peer: name("a"),
            content_size: e.content_size(),
        }
    }

    /// As it is offered, proven by c's log.
    pub fn offer(&self, net: &TestNet, log: &mut HandLog) -> pb::DeliverRequest {
        pb::DeliverRequest {
            lost_receipt: None,
            id: 1,
            envelope: envelope::encode(&self.envelope),
            origin: Some(log.prove(net.now(), self.submitted()).to_wire()),
            signatures: self.signatures.iter().map(|s| s.clone().into()).collect(),
            data: self.data.clone().into(),
            directory_version: 0,
            ask: None,
            figures: None,
        }
    }
}
