//! Timestamps: what proves a time, and what proves nothing. The authority here makes tokens as wrong as wanted.

use rcgen::{CustomExtension, date_time_ymd};

use super::openssl::OpenSsl;
use super::pki::{
    CONTENT, Forge, ForgeCrl, Party, Pki, attribute, crl, issue, message_digest, now, params,
    signing_certificate, store,
};
use crate::signature::Reason::{self, *};
use crate::signature::algorithm::SHA256;
use crate::signature::asn1::{INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, tlv};
use crate::signature::cms::{
    CONTENT_TYPE, ID_TST_INFO, MESSAGE_DIGEST, SIGNATURE_TIMESTAMP, SIGNING_CERTIFICATE,
    SIGNING_CERTIFICATE_V2, SIGNING_TIME,
};
use crate::signature::digest::sha256;
use crate::signature::{AttachError, Judgement, Trust, add_timestamp, timestamp_imprint, timestamp_token};
use crate::time::Timestamp;

const GENERALIZED: u8 = 0x18;
/// 2026-05-02T00:00:00Z.
const MAY: &str = "20260502000000Z";

/// An authority for timestamps under this issuer.
pub fn authority(issuer: &Party) -> Party {
    authority_for(issuer, true, vec![3, 8])
}

fn authority_for(issuer: &Party, critical: bool, purpose: Vec<u64>) -> Party {
    let mut params = params("TSA thử nghiệm");
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let oid: Vec<u8> = [0x2b, 6, 1, 5, 5, 7].into_iter().chain(purpose.iter().map(|&n| n as u8)).collect();
    let value = tlv(SEQUENCE, &[&tlv(OID, &[&oid])]);
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], value);
    extension.set_criticality(critical);
    params.custom_extensions = vec![extension];
    issue(params, issuer)
}

/// A TSTInfo over a message.
fn info(message: &[u8], at: &str, more: &[u8]) -> Vec<u8> {
    let digest = tlv(SEQUENCE, &[&tlv(OID, &[SHA256]), &[NULL, 0]]);
    let imprint = tlv(SEQUENCE, &[&digest, &tlv(OCTET_STRING, &[&sha256(message)])]);
    let policy = tlv(OID, &[&[0x2b, 6, 1, 4, 1]]);
    let at = tlv(GENERALIZED, &[at.as_bytes()]);
    tlv(SEQUENCE, &[&tlv(INTEGER, &[&[1]]), &policy, &imprint, &tlv(INTEGER, &[&[7]]), &at, more])
}

/// A token over a message, right in every way yet.
pub fn token(tsa: &Party, chain: &[&Party], message: &[u8], at: &str) -> Forge {
    token_of(tsa, chain, info(message, at, &[]))
}

fn token_of(tsa: &Party, chain: &[&Party], info: Vec<u8>) -> Forge {
    let certificates = [tsa].iter().chain(chain).map(|p| p.der.clone()).collect();
    let mut forge = Forge::new(tsa, certificates)
        .without(CONTENT_TYPE)
        .without(SIGNING_TIME)
        .without(MESSAGE_DIGEST)
        .with(attribute(CONTENT_TYPE, &[&tlv(OID, &[ID_TST_INFO])]))
        .with(message_digest(&sha256(&info)));
    (forge.content_type, forge.content) = (ID_TST_INFO, Some(info));
    forge
}

/// Makes a token over a signature value.
type TokenFn<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// A signature by this party with tokens made from its value.
fn stamped<const N: usize>(pki: &Pki, party: &Party, tokens: [TokenFn<'_>; N]) -> Vec<u8> {
    let mut bytes = pki.signer(party).sign_detached(&sha256(CONTENT), now()).unwrap();
    let value = crate::signature::cms::SignedData::parse(&bytes).unwrap().signer.signature.to_vec();
    for token in tokens {
        bytes = add_timestamp(&bytes, &token(&value)).unwrap();
    }
    bytes
}

#[track_caller]
fn is(judged: &Judgement, reason: Option<Reason>, proven: Option<&str>) {
    assert_eq!(judged.reason, reason, "{}", judged.detail);
    let proven = proven.map(|t| t.parse::<Timestamp>().unwrap());
    assert_eq!(judged.proven_at, proven, "{}", judged.detail);
}

/// Revoked on 15 May, judged on 1 June: what was stamped on 2 May is good.
fn revoked_in_may(pki: &Pki) -> Trust {
    let list = crl(&pki.sub).revoked(&pki.person, "2026-05-15T00:00:00Z", Some(1));
    pki.with_crls(&[crl(&pki.root), list])
}

#[test]
fn a_trusted_timestamp_proves_the_time_that_revocation_and_validity_are_judged_at() {
    let pki = Pki::new();
    let tsa = authority(&pki.sub);
    let trust = revoked_in_may(&pki);
    let bare = stamped(&pki, &pki.person, []);
    is(&pki.judge_under(&trust, &bare, now()), Some(CertificateRevoked), None);
    let good = stamped(&pki, &pki.person, [&|v| token(&tsa, &[&pki.sub], v, MAY).build()]);
    let judged = pki.judge_under(&trust, &good, now());
    is(&judged, None, Some("2026-05-02T00:00:00Z"));
    // The token, and the lists of root and subordinate authority.
    assert_eq!(judged.evidence.len(), 3);
    // After the revocation, it only proves that it was revoked.
    let late = stamped(&pki, &pki.person, [&|v| token(&tsa, &[&pki.sub], v, "20260520000000Z").build()]);
    is(&pki.judge_under(&trust, &late, now()), Some(CertificateRevoked), Some("2026-05-20T00:00:00Z"));

    let mut old = params("Người cũ");
    old.not_after = date_time_ymd(2026, 5, 10);
    let old = issue(old, &pki.sub);
    let good = stamped(&pki, &old, [&|v| token(&tsa, &[&pki.sub], v, MAY).build()]);
    let lists = |list: ForgeCrl<'_>| pki.with_crls(&[crl(&pki.root), list]);
    let may = crl(&pki.sub).times("2026-05-05T00:00:00Z", "2026-05-12T00:00:00Z");
    is(&pki.judge_under(&lists(may), &good, now()), None, Some("2026-05-02T00:00:00Z"));
    let june = crl(&pki.sub).times("2026-05-31T00:00:00Z", "2026-06-12T00:00:00Z");
    is(&pki.judge_under(&lists(june), &good, now()), Some(RevocationUnknown), Some("2026-05-02T00:00:00Z"));
    let bare = stamped(&pki, &old, []);
    is(&pki.judge_under(&pki.trust, &bare, now()), Some(CertificateExpired), None);
}

#[test]
fn the_earliest_of_several_counts_and_bad_ones_spoil_nothing() {
    let pki = Pki::new();
    let tsa = authority(&pki.sub);
    let junk = |_: &[u8]| tlv(SEQUENCE, &[b"junk"]);
    let (first, second) = ("20260503120000.25Z", "20260503120001Z");
    let make = |at: &'static str| move |v: &[u8], t: &Party, s: &Party| token(t, &[s], v, at).build();
    let (a, b) = (make(second), make(first));
    let several = stamped(
        &pki,
        &pki.person,
        [&|v| a(v, &tsa, &pki.sub), &|v| b(v, &tsa, &pki.sub), &|_| token(&tsa, &[], b"other", MAY).build()],
    );
    // Fractions of a second are legal.
    is(&pki.judge_under(&pki.trust, &several, now()), None, Some("2026-05-03T12:00:00.25Z"));
    let mut cms = pki.cms(&pki.person);
    cms.unsigned = Box::new(move |_| vec![attribute(SIGNATURE_TIMESTAMP, &[&junk(b"")]), vec![4, 1, 0]]);
    is(&pki.judge_under(&pki.trust, &cms.build(), now()), None, None);
}

#[test]
fn what_is_no_trusted_timestamp_proves_nothing() {
    let (pki, other) = (Pki::new(), Pki::new());
    let trust = revoked_in_may(&pki);
    let tsa = authority(&pki.sub);
    let ess_of_other = signing_certificate(&pki.seal.der);
    let broken = |mut forge: Forge| {
        forge.signature = |mut s| {
            *s.last_mut().unwrap() ^= 1;
            s
        };
        forge
    };
    type Make<'a> = Box<dyn Fn(&[u8]) -> Forge + 'a>;
    let cases: Vec<(Make<'_>, &str)> = vec![
        (Box::new(|v| token(&authority(&other.sub), &[&other.sub], v, MAY)), "untrusted_issuer"),
        (Box::new(|_| token(&tsa, &[&pki.sub], b"other", MAY)), "of something else"),
        (Box::new(|v| token(&authority_for(&pki.sub, false, vec![3, 8]), &[&pki.sub], v, MAY)), "critical"),
        (
            Box::new(|v| token(&authority_for(&pki.sub, true, vec![3, 4]), &[&pki.sub], v, MAY)),
            "timeStamping",
        ),
        (Box::new(|v| token(&pki.seal, &[&pki.sub], v, MAY)), "timeStamping"),
        (Box::new(|v| token(&tsa, &[&pki.sub], v, "20270502000000Z")), "judged at"),
        (Box::new(|v| token(&tsa, &[&pki.sub], v, "20240502000000Z")), "certificate_not_yet_valid"),
        (Box::new(|v| broken(token(&tsa, &[&pki.sub], v, MAY))), "does not verify"),
        (
            Box::new(|v| token(&tsa, &[&pki.sub], v, MAY).without(SIGNING_CERTIFICATE_V2)),
            "signing-certificate",
        ),
        (
            Box::new(|v| {
                token(&tsa, &[&pki.sub], v, MAY).without(SIGNING_CERTIFICATE_V2).with(ess_of_other.clone())
            }),
            "another certificate",
        ),
        (
            Box::new(|v| {
                token(&tsa, &[&pki.sub], v, MAY).without(MESSAGE_DIGEST).with(message_digest(&[7; 32]))
            }),
            "was changed",
        ),
        (Box::new(|v| Forge { content: None, ..token(&tsa, &[&pki.sub], v, MAY) }), "without its content"),
        (Box::new(|v| token_of(&tsa, &[&pki.sub], info(v, "yesterday", &[]))), "a bad value in a time"),
        (
            Box::new(|v| {
                let critical = tlv(SEQUENCE, &[&tlv(OID, &[&[0x2b, 6]]), &[1, 1, 0xff], &[4, 0]]);
                token_of(&tsa, &[&pki.sub], info(v, MAY, &tlv(0xa1, &[&critical])))
            }),
            "critical extension",
        ),
    ];
    for (make, words) in &cases {
        let judged = pki.judge_under(&trust, &stamped(&pki, &pki.person, [&|v| make(v).build()]), now());
        is(&judged, Some(CertificateRevoked), None);
        assert!(judged.detail.contains("proves nothing"), "{words}: {}", judged.detail);
        assert!(judged.detail.contains(words), "{words}: {}", judged.detail);
    }
}

#[test]
fn accuracy_ordering_nonce_and_name_are_passed_over() {
    let pki = Pki::new();
    let tsa = authority(&pki.sub);
    let more = [
        tlv(SEQUENCE, &[&[2, 1, 1], &[0x80, 1, 5]]),
        vec![1, 1, 0xff],
        vec![2, 2, 0x12, 0x34],
        tlv(0xa0, &[&tlv(0xa4, &[&[SEQUENCE, 0]])]),
        tlv(0xa1, &[&tlv(SEQUENCE, &[&tlv(OID, &[&[0x2b, 6]]), &[4, 0]])]),
    ]
    .concat();
    let good = stamped(&pki, &pki.person, [&|v| token_of(&tsa, &[&pki.sub], info(v, MAY, &more)).build()]);
    is(&pki.judge_under(&pki.trust, &good, now()), None, Some("2026-05-02T00:00:00Z"));
}

#[test]
fn the_old_signing_certificate_names_an_authority_by_sha1() {
    let pki = Pki::new();
    let tsa = authority(&pki.sub);
    let old = |of: &[u8]| {
        let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, of);
        let id = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[hash.as_ref()])]);
        attribute(SIGNING_CERTIFICATE, &[&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&id])])])
    };
    let with = |of: &[u8]| {
        let old = old(of);
        let bytes = stamped(
            &pki,
            &pki.person,
            [&|v| token(&tsa, &[&pki.sub], v, MAY).without(SIGNING_CERTIFICATE_V2).with(old.clone()).build()],
        );
        pki.judge_under(&pki.trust, &bytes, now())
    };
    is(&with(&tsa.der), None, Some("2026-05-02T00:00:00Z"));
    is(&with(&pki.seal.der), None, None);
}

#[test]
fn an_authority_revoked_later_loses_its_tokens_unless_its_key_was_its_own() {
    // RFC 3161 §4: unspecified, affiliationChanged, superseded and cessationOfOperation leave old tokens good.
    let pki = Pki::new();
    let tsa = authority(&pki.sub);
    let good = stamped(&pki, &pki.person, [&|v| token(&tsa, &[&pki.sub], v, MAY).build()]);
    for (reason, since, proven) in [
        (Some(4), "2026-05-20T00:00:00Z", true),
        (Some(0), "2026-05-20T00:00:00Z", true),
        (Some(5), "2026-05-01T00:00:00Z", false),
        (Some(1), "2026-05-20T00:00:00Z", false),
        (None, "2026-05-20T00:00:00Z", false),
    ] {
        let list = crl(&pki.sub).revoked(&tsa, since, reason);
        let trust = pki.trust.clone().with_crls(store(&[crl(&pki.root), list]));
        let proven = proven.then_some("2026-05-02T00:00:00Z");
        is(&pki.judge_under(&trust, &good, now()), None, proven);
    }
    // Unknown is not proven.
    is(&pki.judge_under(&pki.with_crls(&[crl(&pki.root)]), &good, now()), Some(RevocationUnknown), None);
}

#[test]
fn a_timestamp_is_added_to_the_signature_as_it_is() {
    let pki = Pki::new();
    let tsa = authority(&pki.sub);
    let bare = pki.signer(&pki.person).sign_detached(&sha256(CONTENT), now()).unwrap();
    let value = crate::signature::cms::SignedData::parse(&bare).unwrap().signer.signature.to_vec();
    assert_eq!(timestamp_imprint(&bare), Ok(sha256(&value)));
    let made = token(&tsa, &[&pki.sub], &value, MAY).build();
    let one = add_timestamp(&bare, &made).unwrap();
    let two = add_timestamp(&one, &made).unwrap();
    for bytes in [&one, &two] {
        is(&pki.judge_under(&pki.trust, bytes, now()), None, Some("2026-05-02T00:00:00Z"));
    }
    assert!(matches!(add_timestamp(&bare, b"junk"), Err(AttachError::Token(_))));
    assert!(matches!(add_timestamp(b"junk", &made), Err(AttachError::Signature(_))));

    // The reply of an authority (RFC 3161 §2.4.2): granted, refused, of something else; and the bare token.
    let reply =
        |status: u8, token: &[u8]| tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(INTEGER, &[&[status]])]), token]);
    assert_eq!(timestamp_token(&reply(0, &made), &bare).as_ref(), Ok(&made));
    assert_eq!(timestamp_token(&made, &bare).as_ref(), Ok(&made));
    let other = token(&tsa, &[&pki.sub], b"other", MAY).build();
    for (reply, words) in [
        (reply(2, &[]), "refused (status 02)"),
        (reply(0, &[]), "too early"),
        (other, "something else"),
        (b"junk".to_vec(), "timestamp reply"),
    ] {
        let error = timestamp_token(&reply, &bare).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    // openssl takes the token, and the signature with it.
    let Some(openssl) = OpenSsl::trusting(&pki.root.der) else { return };
    openssl.accepts_signature(&one, CONTENT);
    openssl.accepts(
        &["ts", "-verify", "-token_in"],
        &[
            ("-in", openssl.file("token", &made)),
            ("-data", openssl.file("value", &value)),
            ("-untrusted", openssl.certificate("sub.pem", &pki.sub.der)),
        ],
    );
}
