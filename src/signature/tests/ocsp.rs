//! OCSP responses: by whom, about whom, at which time, and where they come along.

use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, date_time_ymd};

use super::pki::{Party, Pki, attribute, crl, issue, now, params};
use crate::signature::Reason::{self, *};
use crate::signature::algorithm::{ECDSA_SHA256, SHA1, SHA256};
use crate::signature::asn1::{
    BIT_STRING, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, context, set_of_order, tlv,
};
use crate::signature::certificate::Certificate;
use crate::signature::cms::REVOCATION_VALUES;
use crate::signature::{Judgement, OcspError, Trust};
use crate::time::Timestamp;

const GENERALIZED: u8 = 0x18;
const GOOD: &[u8] = &[0x80, 0];

/// The parts of a response; tests change what they please before [`Forge::basic`].
struct Forge<'a> {
    about: &'a Party,
    issuer: &'a Party,
    responder: &'a Party,
    by_key: bool,
    hash: &'static [u8],
    status: Vec<u8>,
    from: &'a str,
    until: Option<&'a str>,
    certificates: Vec<&'a Party>,
    extensions: Vec<u8>,
}

fn good<'a>(about: &'a Party, issuer: &'a Party) -> Forge<'a> {
    Forge {
        about,
        issuer,
        responder: issuer,
        by_key: false,
        hash: SHA1,
        status: GOOD.to_vec(),
        from: "20260531000000Z",
        until: Some("20260607000000Z"),
        certificates: Vec::new(),
        extensions: Vec::new(),
    }
}

fn digest(hash: &[u8], bytes: &[u8]) -> Vec<u8> {
    let algorithm =
        if hash == SHA1 { &ring::digest::SHA1_FOR_LEGACY_USE_ONLY } else { &ring::digest::SHA256 };
    ring::digest::digest(algorithm, bytes).as_ref().to_vec()
}

impl Forge<'_> {
    fn basic(&self) -> Vec<u8> {
        let issuer = Certificate::read(&self.issuer.der).unwrap();
        let about = Certificate::read(&self.about.der).unwrap();
        let by = Certificate::read(&self.responder.der).unwrap();
        let id = tlv(
            SEQUENCE,
            &[
                &tlv(SEQUENCE, &[&tlv(OID, &[self.hash]), &[NULL, 0]]),
                &tlv(OCTET_STRING, &[&digest(self.hash, issuer.subject)]),
                &tlv(OCTET_STRING, &[&digest(self.hash, issuer.key.bits())]),
                &tlv(INTEGER, &[about.serial]),
            ],
        );
        let time = |text: &str| tlv(GENERALIZED, &[text.as_bytes()]);
        let until = self.until.map(|t| tlv(context(0), &[&time(t)])).unwrap_or_default();
        let extensions = match self.extensions.is_empty() {
            true => Vec::new(),
            false => tlv(context(1), &[&tlv(SEQUENCE, &[&self.extensions])]),
        };
        let answer = tlv(SEQUENCE, &[&id, &self.status, &time(self.from), &until, &extensions]);
        let responder = match self.by_key {
            true => tlv(context(2), &[&tlv(OCTET_STRING, &[&digest(SHA1, by.key.bits())])]),
            false => tlv(context(1), &[by.subject]),
        };
        let data = tlv(SEQUENCE, &[&responder, &time(self.from), &tlv(SEQUENCE, &[&answer])]);
        let algorithm = tlv(SEQUENCE, &[&tlv(OID, &[ECDSA_SHA256])]);
        let signature = tlv(BIT_STRING, &[&[0], &self.responder.sign(&data)]);
        let certificates: Vec<&[u8]> = self.certificates.iter().map(|c| &c.der[..]).collect();
        let certificates = match certificates.is_empty() {
            true => Vec::new(),
            false => tlv(context(0), &[&tlv(SEQUENCE, &certificates)]),
        };
        tlv(SEQUENCE, &[&data, &algorithm, &signature, &certificates])
    }

    fn whole(&self) -> Vec<u8> {
        let kind = tlv(OID, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]]);
        let bytes = tlv(SEQUENCE, &[&kind, &tlv(OCTET_STRING, &[&self.basic()])]);
        tlv(SEQUENCE, &[&[0x0a, 1, 0], &tlv(context(0), &[&bytes])])
    }
}

/// A good response about the person.
pub fn example(pki: &Pki) -> Vec<u8> {
    good(&pki.person, &pki.sub).whole()
}

/// The root's list is at hand, and of the subordinate authority this response.
fn trust(pki: &Pki, response: &Forge<'_>) -> Trust {
    pki.with_crls(&[crl(&pki.root)]).with_responses(vec![response.whole()]).unwrap()
}

fn judge(pki: &Pki, response: &Forge<'_>) -> Judgement {
    judge_at(pki, response, now())
}

fn judge_at(pki: &Pki, response: &Forge<'_>, at: Timestamp) -> Judgement {
    pki.judge_under(&trust(pki, response), &pki.cms(&pki.person).build(), at)
}

#[track_caller]
fn is(judged: Judgement, reason: Option<Reason>) {
    assert_eq!(judged.reason, reason, "{}", judged.detail);
}

/// A responder's certificate by this issuer.
fn responder(issuer: &Party, checked: bool, purpose: ExtendedKeyUsagePurpose) -> Party {
    let mut params = params("OCSP thử nghiệm");
    params.extended_key_usages = vec![purpose];
    if !checked {
        let no_check = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![5, 0]);
        params.custom_extensions = vec![no_check];
    }
    issue(params, issuer)
}

#[test]
fn the_issuers_own_answer_counts_by_name_and_by_key_with_each_hash() {
    let pki = Pki::new();
    for hash in [SHA1, SHA256] {
        for by_key in [false, true] {
            is(judge(&pki, &Forge { hash, by_key, ..good(&pki.person, &pki.sub) }), None);
        }
    }
    is(judge(&pki, &good(&pki.seal, &pki.sub)), Some(RevocationUnknown));
    is(judge(&pki, &Forge { responder: &pki.root, ..good(&pki.person, &pki.sub) }), Some(RevocationUnknown));
    is(judge(&pki, &good(&pki.person, &pki.root)), Some(RevocationUnknown));
}

#[test]
fn revoked_and_unknown_are_answers_too() {
    let pki = Pki::new();
    let since = tlv(GENERALIZED, &[b"20260520000000Z"]);
    let revoked = tlv(0xa1, &[&since, &tlv(context(0), &[&[0x0a, 1, 1]])]);
    let judged = judge(&pki, &Forge { status: revoked.clone(), ..good(&pki.person, &pki.sub) });
    assert!(judged.detail.contains("keyCompromise"), "{}", judged.detail);
    is(judged, Some(CertificateRevoked));
    let before = "2026-05-19T00:00:00Z".parse().unwrap();
    is(judge_at(&pki, &Forge { status: revoked, ..good(&pki.person, &pki.sub) }, before), None);
    is(judge(&pki, &Forge { status: vec![0x82, 0], ..good(&pki.person, &pki.sub) }), Some(RevocationUnknown));
}

#[test]
fn an_answer_covers_its_time() {
    let pki = Pki::new();
    let at = |time: &str| time.parse::<Timestamp>().unwrap();
    let response = || good(&pki.person, &pki.sub);
    is(judge_at(&pki, &response(), at("2026-06-07T00:00:00Z")), None);
    is(judge_at(&pki, &response(), at("2026-06-07T00:00:01Z")), Some(RevocationUnknown));
    is(judge_at(&pki, &response(), at("2026-05-01T00:00:00Z")), None);
    // Without nextUpdate for an hour.
    let open = || Forge { until: None, ..response() };
    is(judge_at(&pki, &open(), at("2026-05-31T00:59:59Z")), None);
    is(judge_at(&pki, &open(), at("2026-05-31T01:00:01Z")), Some(RevocationUnknown));
}

#[test]
fn an_answer_after_expiry_counts_only_with_an_archive() {
    let pki = Pki::new();
    let mut old = params("Người cũ");
    old.not_after = date_time_ymd(2026, 5, 15);
    let old = issue(old, &pki.sub);
    let cms = pki.cms(&old).build();
    let at = "2026-05-01T00:00:00Z".parse().unwrap();
    is(pki.judge_under(&trust(&pki, &good(&old, &pki.sub)), &cms, at), Some(RevocationUnknown));
    let since = tlv(GENERALIZED, &[b"20250101000000Z"]);
    let oid = tlv(OID, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 6]]);
    let extensions = tlv(SEQUENCE, &[&oid, &tlv(OCTET_STRING, &[&since])]);
    let response = Forge { extensions, ..good(&old, &pki.sub) };
    is(pki.judge_under(&trust(&pki, &response), &cms, at), None);
}

#[test]
fn a_responder_answers_if_the_issuer_certified_it_for_that() {
    let pki = Pki::new();
    let ocsp = || ExtendedKeyUsagePurpose::OcspSigning;
    let by = |responder: &Party| {
        judge(&pki, &Forge { responder, certificates: vec![responder], ..good(&pki.person, &pki.sub) })
    };
    is(by(&responder(&pki.sub, false, ocsp())), None);
    is(by(&responder(&pki.sub, false, ExtendedKeyUsagePurpose::EmailProtection)), Some(RevocationUnknown));
    is(by(&responder(&pki.root, false, ocsp())), Some(RevocationUnknown));
    is(by(&responder(&Pki::new().sub, false, ocsp())), Some(RevocationUnknown));
    // Its own revocation is asked, unless it need not be.
    let asked = responder(&pki.sub, true, ocsp());
    is(by(&asked), Some(RevocationUnknown));
    let response = Forge { responder: &asked, certificates: vec![&asked], ..good(&pki.person, &pki.sub) };
    let lists = [crl(&pki.root), crl(&pki.sub)];
    let trust = pki.with_crls(&lists).with_responses(vec![response.whole()]).unwrap();
    is(pki.judge_under(&trust, &pki.cms(&pki.person).build(), now()), None);
}

#[test]
fn a_revoked_responder_does_not_answer() {
    let pki = Pki::new();
    let asked = responder(&pki.sub, true, ExtendedKeyUsagePurpose::OcspSigning);
    let mut old = params("Người cũ");
    old.not_after = date_time_ymd(2029, 5, 15);
    let person = issue(old, &pki.sub);
    let response = Forge { responder: &asked, certificates: vec![&asked], ..good(&person, &pki.sub) };
    // The list is too old for the person, and has the responder.
    let list = crl(&pki.sub).times("2026-05-01T00:00:00Z", "2026-05-31T12:00:00Z").revoked(
        &asked,
        "2026-04-01T00:00:00Z",
        None,
    );
    let trust = pki.with_crls(&[crl(&pki.root), list]).with_responses(vec![response.whole()]).unwrap();
    is(pki.judge_under(&trust, &pki.cms(&person).build(), now()), Some(RevocationUnknown));
}

#[test]
fn answers_and_lists_come_along_in_four_places() {
    let pki = Pki::new();
    let (response, list) = (good(&pki.person, &pki.sub), crl(&pki.root).build());
    let bare = pki.with_crls(&[]);
    let judge = |cms: Vec<u8>| pki.judge_under(&bare, &cms, now());
    is(judge(pki.cms(&pki.person).build()), Some(RevocationUnknown));

    // RFC 5940: beside the lists of the SignedData, with something odd before them.
    let mut cms = pki.cms(&pki.person);
    let kind = tlv(OID, &[&[0x2b, 6, 1, 5, 5, 7, 0x10, 2]]);
    let odd = tlv(0xa1, &[&tlv(OID, &[&[0x2b, 6, 9]]), &[SEQUENCE, 0]]);
    cms.revocation =
        [odd, vec![SEQUENCE, 1, 0], list.clone(), tlv(0xa1, &[&kind, &response.whole()])].concat();
    let judged = judge(cms.build());
    assert_eq!(judged.evidence.len(), 2);
    is(judged, None);

    // revocation-values: basic responses; Adobe's: whole ones, signed.
    let archive = |response: Vec<u8>| {
        let lists = tlv(context(0), &[&tlv(SEQUENCE, &[&list])]);
        tlv(SEQUENCE, &[&lists, &tlv(context(1), &[&tlv(SEQUENCE, &[&response])])])
    };
    let mut cms = pki.cms(&pki.person);
    let values = attribute(REVOCATION_VALUES, &[&archive(response.basic())]);
    cms.unsigned = Box::new(move |_| vec![values.clone()]);
    is(judge(cms.build()), None);
    let mut cms = pki.cms(&pki.person);
    let adobe = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x2f, 1, 1, 8];
    let all = cms.attributes.as_mut().unwrap();
    all.push(attribute(&adobe, &[&archive(response.whole())]));
    all.sort_by(|a, b| set_of_order(a, b));
    is(judge(cms.build()), None);
}

#[test]
fn what_is_no_answer_is_refused_by_name() {
    let pki = Pki::new();
    let empty = || pki.trust.clone();
    let no_answer = tlv(SEQUENCE, &[&[0x0a, 1, 3]]);
    assert_eq!(empty().with_responses(vec![no_answer]).unwrap_err(), OcspError::NoAnswer(3));
    assert!(matches!(empty().with_responses(vec![vec![1]]), Err(OcspError::Malformed(_))));
    let critical = tlv(SEQUENCE, &[&tlv(OID, &[&[0x2b, 6, 1]]), &[1, 1, 0xff], &[4, 2, 5, 0]]);
    let odd = Forge { extensions: critical, ..good(&pki.person, &pki.sub) };
    assert!(matches!(empty().with_responses(vec![odd.whole()]), Err(OcspError::NotUnderstood(_))));
}
