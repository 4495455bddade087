//! What the judge misses, and what is asked for it.

use rcgen::{CrlDistributionPoint, CustomExtension, date_time_ymd};

use super::ocsp;
use super::pki::{Party, Pki, crl, issue, now, params};
use crate::signature::Reason::{self, *};
use crate::signature::asn1::{OID, SEQUENCE, tlv};
use crate::signature::certificate::Certificate;
use crate::signature::{AnswerError, CertIdHash, Crl, CrlStore, Judgement, Missed, OcspError, Trust};

fn of(certificate: &Party, issuer: &Party) -> Missed {
    Missed::from_der(&certificate.der, &issuer.der).unwrap()
}

fn judge(pki: &Pki, trust: &Trust, party: &Party) -> Judgement {
    pki.judge_under(trust, &pki.cms(party).build(), now())
}

#[test]
fn what_is_unknown_is_told_with_its_issuer_and_nothing_else_is() {
    let pki = Pki::new();
    let missed = |trust: &Trust| {
        let judged = judge(&pki, trust, &pki.person);
        (judged.reason, judged.missed)
    };
    assert_eq!(missed(&pki.trust), (None, vec![]));
    let (person, sub) = (of(&pki.person, &pki.sub), of(&pki.sub, &pki.root));
    let unknown = Some(RevocationUnknown);
    assert_eq!(missed(&pki.with_crls(&[])), (unknown, vec![person.clone(), sub]));
    assert_eq!(missed(&pki.with_crls(&[crl(&pki.root)])), (unknown, vec![person]));
    // Of what has no path to a root nothing is told: a stranger's URLs are nobody's to ask.
    let strange = Trust::new([&Pki::new().root.der]).unwrap();
    assert_eq!(missed(&strange), (Some(UntrustedIssuer), vec![]));
}

#[test]
fn what_cannot_change_the_verdict_is_not_told() {
    let pki = Pki::new();
    let trust = pki.with_crls(&[]);
    let is = |judged: Judgement, reason: Reason| {
        assert_eq!((judged.reason, judged.missed), (Some(reason), vec![]));
    };
    let mut wrong = pki.cms(&pki.person);
    wrong.signature = |mut s| {
        *s.last_mut().unwrap() ^= 1;
        s
    };
    is(pki.judge_under(&trust, &wrong.build(), now()), DigestMismatch);
    let mut old = params("Hết hạn");
    old.not_after = date_time_ymd(2026, 1, 1);
    is(judge(&pki, &trust, &issue(old, &pki.sub)), CertificateExpired);
    is(judge(&pki, &trust.clone().with_refused(&pki.person.der).unwrap(), &pki.person), WrongKeyUsage);
    let other = issue(params("UBND khác"), &pki.sub);
    is(judge(&pki, &trust.with_seal("other", &other.der).unwrap(), &other), WrongAgency);
}

#[test]
fn urls_of_http_are_taken_from_distribution_points_and_access_descriptions() {
    let pki = Pki::new();
    let mut params = params("Nguyễn Văn B");
    let point = |uris: &[&str]| CrlDistributionPoint { uris: uris.iter().map(|u| (*u).to_owned()).collect() };
    params.crl_distribution_points = vec![
        point(&["ldap://crl.vn/cn=x", "http://crl.vn/a.crl", "HTTP://crl.vn/b.crl"]),
        point(&["https://crl.vn/c.crl", "http://crl.vn/a.crl"]),
        point(&["http://crl.vn/with space", "file:///etc/passwd"]),
    ];
    let access = |method: u8, name: u8, url: &str| {
        tlv(SEQUENCE, &[&tlv(OID, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, method]]), &tlv(name, &[url.as_bytes()])])
    };
    let all = [
        access(2, 0x86, "http://ca.vn/issuer.cer"),
        access(1, 0x86, "http://ocsp.vn"),
        access(1, 0x82, "ocsp.vn"),
        access(1, 0x86, "https://ocsp.vn/"),
        access(1, 0x86, "http://ocsp.vn/2"),
    ]
    .concat();
    let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
    params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, tlv(SEQUENCE, &[&all]))];
    let person = issue(params, &pki.sub);
    let missed = of(&person, &pki.sub);
    assert_eq!(missed.crl_urls(), ["http://crl.vn/a.crl", "HTTP://crl.vn/b.crl"]);
    assert_eq!(missed.ocsp_urls(), ["http://ocsp.vn", "http://ocsp.vn/2"]);
    let none = of(&pki.person, &pki.sub);
    assert!(none.crl_urls().is_empty() && none.ocsp_urls().is_empty());
}

#[test]
fn a_list_is_the_issuers_own_or_is_not_kept() {
    let pki = Pki::new();
    let missed = of(&pki.person, &pki.sub);
    let check = |list: Vec<u8>| missed.check_crl(&Crl::read(&list).unwrap());
    let span = check(crl(&pki.sub).times("2026-05-01T00:00:00Z", "2026-06-08T00:00:00Z").build()).unwrap();
    assert_eq!(span.until, "2026-06-08T00:00:00Z".parse().unwrap());
    assert_eq!(check(crl(&pki.root).build()), Err(AnswerError::OtherIssuer));
    let name = Certificate::read(&pki.sub.der).unwrap().subject.to_vec();
    let forged = super::pki::ForgeCrl { name, ..crl(&pki.person) };
    assert_eq!(check(forged.build()), Err(AnswerError::NotSigned));
}

#[test]
fn a_response_is_by_whom_it_must_be_and_about_the_certificate() {
    let pki = Pki::new();
    let missed = of(&pki.person, &pki.sub);
    let span = missed.check_response(&ocsp::example(&pki)).unwrap();
    assert_eq!(span.this_update, "2026-05-31T00:00:00Z".parse().unwrap());
    assert_eq!(of(&pki.seal, &pki.sub).check_response(&ocsp::example(&pki)), Err(AnswerError::NotKnown));
    assert_eq!(missed.check_response(&ocsp::example(&Pki::new())), Err(AnswerError::NotSigned));
    assert!(matches!(missed.check_response(b"<html>"), Err(AnswerError::Ocsp(OcspError::Malformed(_)))));
    // What passes is what the judge takes.
    let trust = pki.with_crls(&[crl(&pki.root)]).with_responses(vec![ocsp::example(&pki)]).unwrap();
    assert_eq!(judge(&pki, &trust, &pki.person).reason, None);
}

#[test]
fn a_request_is_that_of_rfc_6960_for_one_certificate() {
    let pki = Pki::new();
    let missed = of(&pki.person, &pki.sub);
    for (hash, size) in [(CertIdHash::Sha1, 20), (CertIdHash::Sha256, 32)] {
        use der::Decode as _;
        let request = missed.ocsp_request(hash).unwrap();
        // OCSPRequest, TBSRequest, requestList, Request, CertID.
        let mut at = der::asn1::AnyRef::from_der(&request).unwrap();
        for _ in 0..4 {
            at = der::asn1::AnyRef::from_der(at.value()).unwrap();
        }
        let id = at.value();
        assert!(id.windows(2).filter(|w| *w == [4, size]).count() >= 2, "{}", hex::encode(id));
    }
}

#[test]
fn an_answer_about_others_leaves_what_is_known_of_a_path_known() {
    // Judged with lists alone the path is kept, also while there are responses about other certificates.
    let pki = Pki::new();
    let trust = pki.trust.clone().with_responses(vec![ocsp::example(&pki)]).unwrap();
    assert_eq!(judge(&pki, &trust, &pki.seal).reason, None);
    assert_eq!(judge(&pki, &trust, &pki.seal).evidence.len(), 2);
    assert_eq!(judge(&pki, &trust.with_crls(CrlStore::default()), &pki.seal).reason, Some(RevocationUnknown));
}
