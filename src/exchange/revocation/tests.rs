//! Certificates and lists for the tests of this room.

use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CustomExtension, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};

use crate::signature::Missed;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Authority { issuer: Issuer::new(params, key), der }
});

/// A certificate that names these distribution points and responders.
pub fn missed(lists: &[&str], responders: &[&str]) -> Missed {
    let mut params = CertificateParams::default();
    let points = lists.iter().map(|url| CrlDistributionPoint { uris: vec![(*url).to_owned()] });
    params.crl_distribution_points = points.collect();
    let tlv = |tag: u8, value: &[u8]| [&[tag, u8::try_from(value.len()).unwrap()], value].concat();
    let access = responders.iter().map(|url| {
        let method = tlv(6, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1]);
        tlv(0x30, &[method, tlv(0x86, url.as_bytes())].concat())
    });
    let access: Vec<u8> = access.collect::<Vec<_>>().concat();
    if !access.is_empty() {
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, tlv(0x30, &access))];
    }
    let der = params.signed_by(&KeyPair::generate().unwrap(), &AUTHORITY.issuer).unwrap().der().to_vec();
    Missed::from_der(&der, &AUTHORITY.der).unwrap()
}

fn list_with(entries: u64, year: i32) -> Vec<u8> {
    let entry = |n: u64| RevokedCertParams {
        serial_number: SerialNumber::from(n + 1),
        revocation_time: date_time_ymd(2015, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(year, 1, 1),
        next_update: date_time_ymd(year + 1, 1, 1),
        crl_number: SerialNumber::from(1u64),
        issuing_distribution_point: None,
        revoked_certs: (0..entries).map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&AUTHORITY.issuer).unwrap().der().to_vec()
}

/// A list with this many entries.
pub fn list(entries: u64) -> Vec<u8> {
    list_with(entries, 2020)
}

/// A list of a year.
pub fn list_from(year: i32) -> Vec<u8> {
    list_with(0, year)
}
