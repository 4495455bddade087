//! Certificates of the network's document authority that say where revocation data is to be had, its lists, and the
//! responses of its OCSP responder.

use lienthong::signature::{Signer, SigningKey};
use lienthong::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CustomExtension, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, SigningKey as _, date_time_ymd,
};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use time::OffsetDateTime;
use x509_cert::der::{Decode as _, Encode as _};

use super::common::TestNet;

const OID_SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const OID_SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// An authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: x509_cert::Certificate,
}

/// A person with a certificate.
pub struct Person {
    pub signer: Signer,
    pub der: Vec<u8>,
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = match u16::try_from(value.len()).unwrap().to_be_bytes() {
        [0, short @ 0..=127] => vec![short],
        [0, long] => vec![0x81, long],
        [high, low] => vec![0x82, high, low],
    };
    [&[tag], &length[..], &value].concat()
}

impl Authority {
    /// The network's own, whose certificate is a root.
    pub fn of(net: &TestNet) -> Authority {
        let read =
            |ending| std::fs::read_to_string(net.path(&format!("authority/documents-ca.{ending}"))).unwrap();
        let key = KeyPair::from_pem(&read("key")).unwrap();
        let (_, der) = x509_cert::der::pem::decode_vec(read("pem").as_bytes()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&read("pem"), key).unwrap();
        Authority { issuer, certificate: x509_cert::Certificate::from_der(&der).unwrap() }
    }

    /// Another, which nobody trusts.
    pub fn foreign() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "somebody else");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = x509_cert::Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// A person whose certificate names these distribution points and responders.
    pub fn person(&self, lists: &[String], responders: &[String]) -> Person {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Người ký");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        (params.not_before, params.not_after) = (date_time_ymd(2015, 1, 1), date_time_ymd(2040, 1, 1));
        params.crl_distribution_points =
            lists.iter().map(|url| CrlDistributionPoint { uris: vec![url.clone()] }).collect();
        let access: Vec<u8> = responders
            .iter()
            .flat_map(|url| {
                let method = tlv(6, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, 1]]);
                tlv(0x30, &[&method, &tlv(0x86, &[url.as_bytes()])])
            })
            .collect();
        if !access.is_empty() {
            let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
            params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, tlv(0x30, &[&access]))];
        }
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        let key = SigningKey::from_pkcs8(&key.serialize_der()).unwrap();
        Person { signer: Signer::new(key, der.clone(), Vec::new()).unwrap(), der }
    }

    /// A list that is good from one day to another, in DER.
    pub fn list(&self, from: &str, until: &str, revoked: &[&Person]) -> Vec<u8> {
        let time = |day: &str| {
            let at: Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
            OffsetDateTime::from_unix_timestamp(at.secs()).unwrap()
        };
        let entry = |person: &&Person| {
            let certificate = x509_cert::Certificate::from_der(&person.der).unwrap();
            RevokedCertParams {
                serial_number: SerialNumber::from_slice(
                    certificate.tbs_certificate().serial_number().as_bytes(),
                ),
                revocation_time: time("2016-01-01"),
                reason_code: None,
                invalidity_date: None,
            }
        };
        let list = CertificateRevocationListParams {
            this_update: time(from),
            next_update: time(until),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// The list in force at the tests' time.
    pub fn current(&self, revoked: &[&Person]) -> Vec<u8> {
        self.list("2016-08-08", "2016-08-15", revoked)
    }

    /// A response that a certificate is good, by this authority itself, in the hash that the request asks with.
    pub fn response(&self, person: &Person, request: &[u8]) -> Vec<u8> {
        let with_sha256 = by_sha256(request);
        let (oid, hash) =
            if with_sha256 { (OID_SHA256, &SHA256) } else { (OID_SHA1, &SHA1_FOR_LEGACY_USE_ONLY) };
        let own = self.certificate.tbs_certificate();
        let name = own.subject().to_der().unwrap();
        let key = own.subject_public_key_info().subject_public_key.raw_bytes();
        let about = x509_cert::Certificate::from_der(&person.der).unwrap();
        let id = tlv(
            0x30,
            &[
                &tlv(0x30, &[&tlv(6, &[oid]), &[5, 0]]),
                &tlv(4, &[digest(hash, &name).as_ref()]),
                &tlv(4, &[digest(hash, key).as_ref()]),
                &about.tbs_certificate().serial_number().to_der().unwrap(),
            ],
        );
        let time = |text: &str| tlv(0x18, &[text.as_bytes()]);
        let (from, until) = (time("20160808000000Z"), time("20160815000000Z"));
        let answer = tlv(0x30, &[&id, &[0x80, 0], &from, &tlv(0xa0, &[&until])]);
        let data = tlv(0x30, &[&tlv(0xa1, &[&name]), &from, &tlv(0x30, &[&answer])]);
        let algorithm = tlv(0x30, &[&tlv(6, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]])]);
        let signature = tlv(3, &[&[0], &self.issuer.key().sign(&data).unwrap()]);
        let basic = tlv(0x30, &[&data, &algorithm, &signature]);
        let kind = tlv(6, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]]);
        let wrapped = tlv(0x30, &[&kind, &tlv(4, &[&basic])]);
        tlv(0x30, &[&[0x0a, 1, 0], &tlv(0xa0, &[&wrapped])])
    }
}

/// Whether a request names its certificate by SHA-256.
pub fn by_sha256(request: &[u8]) -> bool {
    request.windows(OID_SHA256.len()).any(|w| w == OID_SHA256)
}

/// A response that says why there is no answer (RFC 6960 §4.2.1).
pub fn no_answer(status: u8) -> Vec<u8> {
    tlv(0x30, &[&[0x0a, 1, status]])
}
