//! Certificates and keys made in code, and a CMS that can be built wrong in every way.

use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rsa::pkcs8::EncodePrivateKey;

use crate::signature::algorithm::{ECDSA_SHA256, SHA256};
use crate::signature::asn1::{
    BIT_STRING, INTEGER, NULL, OCTET_STRING, OID, Reader, SEQUENCE, SET, context, encode_time, tlv,
};
use crate::signature::certificate::Certificate;
use crate::signature::cms::{
    CONTENT_TYPE, ID_DATA, ID_SIGNED_DATA, MESSAGE_DIGEST, SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2,
    SIGNING_TIME,
};
use crate::signature::digest::{DigestNeeds, Digests, sha256};
use crate::signature::{Crl, CrlStore, Judgement, Signer, SigningKey, Trust, Verdicts, judge_detached};
use crate::time::Timestamp;

pub const CONTENT: &[u8] = "Công văn số 1250/UBND-VX\n".as_bytes();
pub const SENDER: &str = "bd";

pub fn now() -> Timestamp {
    "2026-06-01T08:00:00+07:00".parse().unwrap()
}

/// One key pair with its certificate.
pub struct Party {
    pub key: KeyPair,
    pub params: CertificateParams,
    pub der: Vec<u8>,
}

impl Party {
    pub fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signing_key().sign(&ring::rand::SystemRandom::new(), message).unwrap()
    }

    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_pkcs8(&self.key.serialize_der()).unwrap()
    }
}

pub fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "VN");
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2030, 1, 1));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
    params.use_authority_key_identifier_extension = true;
    params
}

pub fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub fn self_signed(params: CertificateParams) -> Party {
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Party { key, params, der }
}

pub fn issue(params: CertificateParams, issuer: &Party) -> Party {
    issue_for(KeyPair::generate().unwrap(), params, issuer)
}

pub fn issue_for(key: KeyPair, params: CertificateParams, issuer: &Party) -> Party {
    let der = params.signed_by(&key, &issuer.issuer()).unwrap().der().to_vec();
    Party { key, params, der }
}

/// An RSA key of 2048 bits, made once.
pub fn rsa_key() -> KeyPair {
    static DER: LazyLock<Vec<u8>> = LazyLock::new(|| rsa_pkcs8(2048));
    KeyPair::from_pkcs8_der_and_sign_algo(&DER.as_slice().into(), &rcgen::PKCS_RSA_SHA256).unwrap()
}

pub fn rsa_pkcs8(bits: usize) -> Vec<u8> {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).unwrap();
    key.to_pkcs8_der().unwrap().as_bytes().to_vec()
}

/// A root, a subordinate authority, a person and the sender's seal.
pub struct Pki {
    pub root: Party,
    pub sub: Party,
    pub person: Party,
    pub seal: Party,
    pub trust: Trust,
}

impl Pki {
    pub fn new() -> Pki {
        let root = self_signed(ca_params("Root thử nghiệm"));
        let sub = issue(ca_params("Sub CA thử nghiệm"), &root);
        let person = issue(params("Nguyễn Văn A"), &sub);
        let seal = issue(params("UBND tỉnh"), &sub);
        let trust = Trust::new([&root.der]).unwrap().with_seal(SENDER, &seal.der).unwrap();
        let trust = trust.with_crls(store(&[crl(&root), crl(&sub)]));
        Pki { root, sub, person, seal, trust }
    }

    pub fn signer(&self, party: &Party) -> Signer {
        Signer::new(party.signing_key(), party.der.clone(), vec![self.sub.der.clone()]).unwrap()
    }

    /// The same trust with these lists in place of those of its authorities.
    pub fn with_crls(&self, crls: &[ForgeCrl<'_>]) -> Trust {
        self.trust.clone().with_crls(store(crls))
    }

    /// Judges a signature by the person over the content, under another trust.
    pub fn judge_under(&self, trust: &Trust, signature: &[u8], at: Timestamp) -> Judgement {
        let content = Digests::of(DigestNeeds::SHA256, CONTENT);
        judge_detached(&[signature], &content, SENDER, trust, at).signatures.remove(0)
    }

    /// A CMS by this party, right in every way yet.
    pub fn cms(&self, party: &Party) -> Forge {
        Forge::new(party, vec![party.der.clone(), self.sub.der.clone()])
    }

    pub fn judge(&self, signature: &[u8]) -> Judgement {
        self.judge_at(signature, now())
    }

    pub fn judge_at(&self, signature: &[u8], at: Timestamp) -> Judgement {
        self.judge_all(&[signature], at).signatures.remove(0)
    }

    pub fn judge_all(&self, signatures: &[&[u8]], at: Timestamp) -> Verdicts {
        let needs = DigestNeeds { sha384: true, sha512: true };
        judge_detached(signatures, &Digests::of(needs, CONTENT), SENDER, &self.trust, at)
    }
}

/// A store of these lists.
pub fn store(crls: &[ForgeCrl<'_>]) -> CrlStore {
    CrlStore::new(crls.iter().map(|crl| Arc::new(Crl::read(&crl.build()).unwrap())))
}

/// A store of an empty list of each authority, valid in all of its time.
pub fn store_of(authorities: &[&Party]) -> CrlStore {
    store(&authorities.iter().map(|a| crl(a)).collect::<Vec<_>>())
}

/// A revocation list, right in every way yet: empty, and valid in all of its issuer's time.
pub fn crl(issuer: &Party) -> ForgeCrl<'_> {
    ForgeCrl {
        issuer,
        name: Certificate::read(&issuer.der).unwrap().subject.to_vec(),
        from: "2025-01-01T00:00:00Z".parse().unwrap(),
        until: Some("2040-01-01T00:00:00Z".parse().unwrap()),
        entries: Vec::new(),
        extensions: Vec::new(),
    }
}

/// The parts of a revocation list; tests change what they please before [`ForgeCrl::build`].
#[derive(Clone)]
pub struct ForgeCrl<'a> {
    pub issuer: &'a Party,
    pub name: Vec<u8>,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    pub entries: Vec<Vec<u8>>,
    pub extensions: Vec<Vec<u8>>,
}

/// An extension with its value in DER.
pub fn extension(arc: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    tlv(SEQUENCE, &[&tlv(OID, &[&[0x55, 0x1d, arc]]), critical, &tlv(OCTET_STRING, &[value])])
}

impl ForgeCrl<'_> {
    pub fn times(mut self, from: &str, until: &str) -> Self {
        (self.from, self.until) = (from.parse().unwrap(), Some(until.parse().unwrap()));
        self
    }

    /// Lists a certificate since a day, with a reason code.
    pub fn revoked(mut self, certificate: &Party, since: &str, reason: Option<u8>) -> Self {
        let reason = reason.map(|code| extension(21, false, &[0x0a, 1, code]));
        self.entries.push(entry(certificate, since, &reason.into_iter().collect::<Vec<_>>()));
        self
    }

    pub fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    pub fn build(&self) -> Vec<u8> {
        let algorithm = tlv(SEQUENCE, &[&tlv(OID, &[ECDSA_SHA256])]);
        let until = self.until.map(|at| encode_time(at).unwrap()).unwrap_or_default();
        let mut fields: Vec<Vec<u8>> = vec![
            tlv(INTEGER, &[&[1]]),
            algorithm.clone(),
            self.name.clone(),
            encode_time(self.from).unwrap(),
            until,
        ];
        if !self.entries.is_empty() {
            fields.push(tlv(SEQUENCE, &[&self.entries.concat()]));
        }
        if !self.extensions.is_empty() {
            fields.push(tlv(context(0), &[&tlv(SEQUENCE, &[&self.extensions.concat()])]));
        }
        let tbs = tlv(SEQUENCE, &[&fields.concat()]);
        let signature = self.issuer.sign(&tbs);
        tlv(SEQUENCE, &[&tbs, &algorithm, &tlv(BIT_STRING, &[&[0], &signature])])
    }
}

/// An entry of a revocation list.
pub fn entry(certificate: &Party, since: &str, extensions: &[Vec<u8>]) -> Vec<u8> {
    let serial = Certificate::read(&certificate.der).unwrap().serial.to_vec();
    let extensions = if extensions.is_empty() { Vec::new() } else { tlv(SEQUENCE, &[&extensions.concat()]) };
    let since = encode_time(since.parse().unwrap()).unwrap();
    tlv(SEQUENCE, &[&tlv(INTEGER, &[&serial]), &since, &extensions])
}

/// Makes a signature value over a message.
pub type SignFn = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Makes unsigned attributes from a signature value.
pub type UnsignedFn = Box<dyn Fn(&[u8]) -> Vec<Vec<u8>>>;

/// The parts of a CMS; tests change what they please before [`Forge::build`].
pub struct Forge {
    /// Signs the message.
    pub sign: SignFn,
    pub certificates: Vec<Vec<u8>>,
    pub digests: Vec<u8>,
    pub digest: Vec<u8>,
    pub algorithm: Vec<u8>,
    pub content_type: &'static [u8],
    pub content: Option<Vec<u8>>,
    pub id: Vec<u8>,
    pub version: u8,
    /// As sent, in this order; none: no signed attributes.
    pub attributes: Option<Vec<Vec<u8>>>,
    /// What is signed when there are no signed attributes.
    pub message: Vec<u8>,
    pub signers: usize,
    /// A last change of the signature value.
    pub signature: fn(Vec<u8>) -> Vec<u8>,
    /// The contents of the field `crls`.
    pub revocation: Vec<u8>,
    /// Unsigned attributes, made from the signature value.
    pub unsigned: UnsignedFn,
}

pub fn attribute(kind: &[u8], values: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(OID, &[kind]), &tlv(SET, values)])
}

/// The attribute of RFC 2634 §5.4, by SHA-1, with a value for each certificate.
pub fn old_signing_certificate(certificates: &[&[u8]]) -> Vec<u8> {
    let value = |certificate: &&[u8]| {
        let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, certificate);
        let id = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[hash.as_ref()])]);
        tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&id])])
    };
    let values: Vec<Vec<u8>> = certificates.iter().map(value).collect();
    attribute(SIGNING_CERTIFICATE, &values.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

pub fn signing_certificate(certificate: &[u8]) -> Vec<u8> {
    let id = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[&sha256(certificate)])]);
    attribute(SIGNING_CERTIFICATE_V2, &[&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&id])])])
}

pub fn content_type(oid: &[u8]) -> Vec<u8> {
    attribute(CONTENT_TYPE, &[&tlv(OID, &[oid])])
}

pub fn message_digest(digest: &[u8]) -> Vec<u8> {
    attribute(MESSAGE_DIGEST, &[&tlv(OCTET_STRING, &[digest])])
}

impl Forge {
    pub fn new(party: &Party, certificates: Vec<Vec<u8>>) -> Forge {
        let read = Certificate::read(&party.der).unwrap();
        let digest = tlv(SEQUENCE, &[&tlv(OID, &[SHA256]), &[NULL, 0]]);
        let mut attributes = vec![
            content_type(ID_DATA),
            attribute(SIGNING_TIME, &[&encode_time(now()).unwrap()]),
            message_digest(&sha256(CONTENT)),
            signing_certificate(&party.der),
        ];
        attributes.sort();
        let key = party.key.algorithm() == &rcgen::PKCS_ECDSA_P256_SHA256;
        let key = key.then(|| party.signing_key());
        Forge {
            sign: Box::new(move |message| {
                let random = ring::rand::SystemRandom::new();
                key.as_ref().unwrap().sign(&random, message).unwrap()
            }),
            certificates,
            digests: digest.clone(),
            digest,
            algorithm: tlv(SEQUENCE, &[&tlv(OID, &[ECDSA_SHA256])]),
            content_type: ID_DATA,
            content: None,
            id: tlv(SEQUENCE, &[read.issuer, &tlv(INTEGER, &[read.serial])]),
            version: 1,
            attributes: Some(attributes),
            message: Vec::new(),
            signers: 1,
            signature: |s| s,
            revocation: Vec::new(),
            unsigned: Box::new(|_| Vec::new()),
        }
    }

    /// Drops the attribute of this type.
    pub fn without(mut self, kind: &[u8]) -> Forge {
        let head = tlv(OID, &[kind]);
        self.attributes.as_mut().unwrap().retain(|a| !a[2..].starts_with(&head));
        self
    }

    /// Adds an attribute in its place.
    pub fn with(mut self, attribute: Vec<u8>) -> Forge {
        let all = self.attributes.as_mut().unwrap();
        all.push(attribute);
        all.sort();
        self
    }

    pub fn build(&self) -> Vec<u8> {
        let pieces = |all: &[Vec<u8>]| all.concat();
        let signed = self.attributes.as_ref().map(|a| tlv(SET, &[&pieces(a)]));
        let value = (self.signature)((self.sign)(signed.as_deref().unwrap_or(&self.message)));
        let unsigned = (self.unsigned)(&value).concat();
        let unsigned = if unsigned.is_empty() { unsigned } else { tlv(context(1), &[&unsigned]) };
        let revocation = match self.revocation.is_empty() {
            true => Vec::new(),
            false => tlv(context(1), &[&self.revocation]),
        };
        let sent = signed.map(|mut s| {
            s[0] = context(0);
            s
        });
        let info = tlv(
            SEQUENCE,
            &[
                &tlv(INTEGER, &[&[self.version]]),
                &self.id,
                &self.digest,
                &sent.unwrap_or_default(),
                &self.algorithm,
                &tlv(OCTET_STRING, &[&value]),
                &unsigned,
            ],
        );
        let content = self.content.as_ref().map(|c| tlv(context(0), &[&tlv(OCTET_STRING, &[c])]));
        let data = tlv(
            SEQUENCE,
            &[
                &tlv(INTEGER, &[&[1]]),
                &tlv(SET, &[&self.digests]),
                &tlv(SEQUENCE, &[&tlv(OID, &[self.content_type]), &content.unwrap_or_default()]),
                &tlv(context(0), &[&pieces(&self.certificates)]),
                &revocation,
                &tlv(SET, &[&info.repeat(self.signers)]),
            ],
        );
        tlv(SEQUENCE, &[&tlv(OID, &[ID_SIGNED_DATA]), &tlv(context(0), &[&data])])
    }
}

/// The outer `levels` of constructed elements written anew, from their tag and contents.
pub fn relength(der: &[u8], levels: usize, write: fn(u8, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let (mut out, mut reader) = (Vec::new(), Reader::new(der));
    while !reader.is_empty() {
        let element = reader.any().unwrap();
        if levels == 0 || element.tag & 0x20 == 0 {
            out.extend_from_slice(element.raw);
        } else {
            out.extend(write(element.tag, &relength(element.value, levels - 1, write)));
        }
    }
    out
}
