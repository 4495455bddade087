//! Documents to send: good ones, for a test to spoil.

use lienthong::merkle::sha256;
use lienthong::wire::{pb, words};

use super::TestNet;

/// A call of `Send`: its header and the bytes of its parts.
#[derive(Clone)]
pub struct Doc {
    pub header: pb::SendHeader,
    pub data: Vec<u8>,
}

impl TestNet {
    /// A good document of one part, signed by person and agency. Its number makes its request id.
    pub fn document(&self, sender: &str, recipients: &[&str], number: &str) -> Doc {
        let data = format!("<document sender=\"{sender}\" number=\"{number}\">Kính gửi</document>\n");
        self.document_of(sender, recipients, number, data.into_bytes())
    }

    /// The same with other content.
    pub fn document_of(&self, sender: &str, recipients: &[&str], number: &str, data: Vec<u8>) -> Doc {
        let part = part("công văn.xml", pb::PartRole::Main, &data, self.signatures(sender, &data));
        let metadata = pb::Metadata {
            number: number.to_owned(),
            notation: "CV-VP".to_owned(),
            place_of_issue: "Thử".to_owned(),
            issued_on: self.now().date().to_string(),
            type_name: "công văn".to_owned(),
            subject: format!("Về việc số {number}"),
            pages: 1,
            copies: 1,
            ..pb::Metadata::default()
        };
        let header = pb::SendHeader {
            request_id: format!("{sender}-{number}"),
            sender: sender.to_owned(),
            recipients: recipients.iter().map(|r| (*r).to_owned()).collect(),
            kind: pb::Kind::New.into(),
            metadata: Some(metadata),
            parts: vec![part],
            user: "văn thư".to_owned(),
            ..pb::SendHeader::default()
        };
        Doc { header, data }
    }

    /// A person's signature and the agency's, over `data`.
    pub fn signatures(&self, sender: &str, data: &[u8]) -> Vec<Vec<u8>> {
        self.network.signers.sign(sender, sha256(data).as_bytes(), self.now()).unwrap()
    }

    /// The person's signature alone.
    pub fn person(&self, sender: &str, data: &[u8]) -> Vec<u8> {
        let signer = self.network.signers.person(sender).unwrap();
        signer.sign_detached(sha256(data).as_bytes(), self.now()).unwrap()
    }

    /// The agency's seal alone.
    pub fn seal(&self, sender: &str, data: &[u8]) -> Vec<u8> {
        let signer = self.network.signers.seal(sender).unwrap();
        signer.sign_detached(sha256(data).as_bytes(), self.now()).unwrap()
    }
}

/// A part over these bytes.
pub fn part(name: &str, role: pb::PartRole, data: &[u8], signatures: Vec<Vec<u8>>) -> pb::PartUpload {
    pb::PartUpload {
        name: name.to_owned(),
        media_type: "application/xml".to_owned(),
        size: data.len() as u64,
        sha256: words::digest(&sha256(data)),
        role: role.into(),
        signatures: signatures.into_iter().map(Into::into).collect(),
    }
}

impl Doc {
    /// Its metadata.
    pub fn metadata(&mut self) -> &mut pb::Metadata {
        self.header.metadata.as_mut().unwrap()
    }

    /// Its metadata, changed.
    pub fn with(mut self, change: impl FnOnce(&mut pb::Metadata)) -> Doc {
        change(self.metadata());
        self
    }

    /// Its header, changed.
    pub fn with_header(mut self, change: impl FnOnce(&mut pb::SendHeader)) -> Doc {
        change(&mut self.header);
        self
    }

    /// Other signatures on its first part.
    pub fn signed(mut self, signatures: Vec<Vec<u8>>) -> Doc {
        self.header.parts[0].signatures = signatures.into_iter().map(Into::into).collect();
        self
    }

    /// One part more.
    pub fn attach(mut self, name: &str, data: &[u8], signatures: Vec<Vec<u8>>) -> Doc {
        self.header.parts.push(part(name, pb::PartRole::Attachment, data, signatures));
        self.data.extend_from_slice(data);
        self
    }

    /// Another request id.
    pub fn request(mut self, id: &str) -> Doc {
        self.header.request_id = id.to_owned();
        self
    }

    /// As a message of a bulk stream.
    pub fn bulk(&self) -> pb::SendManyRequest {
        pb::SendManyRequest { header: Some(self.header.clone()), data: self.data.clone().into() }
    }

    /// As the messages of a stream: the header, then the content in pieces.
    pub fn messages(&self) -> Vec<pb::SendRequest> {
        let header = pb::send_request::Part::Header(self.header.clone());
        let pieces = self.data.chunks(256 << 10).map(|p| pb::send_request::Part::Data(p.to_vec().into()));
        std::iter::once(header).chain(pieces).map(|part| pb::SendRequest { part: Some(part) }).collect()
    }
}
