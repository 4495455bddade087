//! Odd and legal, or nearly: what real signers write.

use super::pki::{
    CONTENT, Forge, Pki, issue_for, message_digest, now, old_signing_certificate, params, relength, rsa_key,
    signing_certificate,
};
use super::traps::{accepted, refused};
use crate::signature::Reason::*;
use crate::signature::asn1::{INTEGER, NULL, OID, SEQUENCE, context, tlv};
use crate::signature::cms::{MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2, SIGNING_TIME};
use crate::signature::digest::{DigestNeeds, Digests, sha256};
use crate::signature::judge::{Beside, Case, Profile};
use crate::signature::revocation::embedded::Embedded;

#[test]
fn an_odd_certificate_or_odd_revocation_data_spoils_nothing() {
    let pki = Pki::new();
    // A certificate whose lengths are BER, whose serial number is negative, or that ends too early.
    let long = [&[SEQUENCE, 0x83, 0, 0, 3][..], &[4, 1, 0]].concat();
    let multi_byte_tag = tlv(SEQUENCE, &[&[0x1f, 0x81, 1, 0]]);
    let mut cms = pki.cms(&pki.person);
    cms.certificates.extend([long.clone(), multi_byte_tag.clone(), tlv(SEQUENCE, &[&[4, 9, 0]])]);
    cms.certificates.rotate_left(2);
    cms.revocation = [long, multi_byte_tag, tlv(context(1), &[&[4, 1, 0]]), vec![5, 0]].concat();
    cms.unsigned = Box::new(|_| vec![tlv(SEQUENCE, &[&[4, 1, 0]]), vec![4, 9]]);
    accepted(&pki, &cms.build());
}

#[test]
fn lengths_in_more_octets_than_needed_are_read_around_what_is_signed() {
    let pki = Pki::new();
    let der = pki.cms(&pki.person).build();
    for levels in 1..=4 {
        accepted(&pki, &long_lengths(&der, levels));
    }
    // The signed attributes themselves are DER.
    let judged = pki.judge(&long_lengths(&der, 9));
    assert_eq!(judged.reason, Some(MalformedSignature), "{}", judged.detail);
}

/// The outer `levels` of constructed elements with lengths of four octets.
fn long_lengths(der: &[u8], levels: usize) -> Vec<u8> {
    relength(der, levels, |tag, inner| {
        [&[tag, 0x84], &(inner.len() as u32).to_be_bytes()[..], inner].concat()
    })
}

#[test]
fn pkcs7_in_pdf_needs_no_signing_certificate_and_all_else() {
    let pki = Pki::new();
    let shared = Embedded::default();
    let content = Digests::of(DigestNeeds::SHA256, CONTENT);
    let judge = |cms: &Forge, beside: &Beside| {
        let case =
            Case { sender: "bd", trust: &pki.trust, at: now(), profile: Profile::Pkcs7, shared: &shared };
        case.judge(&cms.build(), &content, beside)
    };
    let none = Beside::default();
    let bare = || pki.cms(&pki.person).without(SIGNING_CERTIFICATE_V2);
    assert_eq!(judge(&bare(), &none).reason, None);
    // When it is there, it must be true; and signed attributes are required.
    let other = signing_certificate(&pki.seal.der);
    assert_eq!(judge(&bare().with(other), &none).reason, Some(MalformedSignature));
    assert_eq!(judge(&bare().with(old_signing_certificate(&[&pki.person.der])), &none).reason, None);
    let other = old_signing_certificate(&[&pki.seal.der]);
    assert_eq!(judge(&bare().with(other), &none).reason, Some(MalformedSignature));
    let mut naked = pki.cms(&pki.person);
    (naked.attributes, naked.message) = (None, CONTENT.to_vec());
    assert_eq!(judge(&naked, &none).reason, Some(MalformedSignature));
    // What the document says beside it: a change, and a time claimed.
    let beside =
        Beside { modified: Some("a page was added".into()), claimed_at: Some(now()), ..Beside::default() };
    let judged = judge(&bare().without(SIGNING_TIME), &beside);
    assert_eq!((judged.reason, judged.claimed_at), (Some(ModifiedAfterSigning), Some(now())));
    assert_eq!(judged.detail, "a page was added");
    let changed = bare().without(MESSAGE_DIGEST).with(message_digest(&sha256(b"other")));
    assert_eq!(judge(&changed, &beside).reason, Some(DigestMismatch));
}

#[test]
fn pss_is_verified_with_a_salt_of_the_digests_length_and_else_says_what_it_has() {
    let pki = Pki::new();
    let party = issue_for(rsa_key(), params("Người ký PSS"), &pki.sub);
    let oid = |arc: u8| tlv(OID, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, arc]]);
    let sha =
        |arc: u8| tlv(SEQUENCE, &[&tlv(OID, &[&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, arc]]), &[NULL, 0]]);
    let pss = |hash: u8, mask: u8, salt: u8| {
        let mgf = tlv(SEQUENCE, &[&oid(8), &sha(mask)]);
        let fields = [
            tlv(context(0), &[&sha(hash)]),
            tlv(context(1), &[&mgf]),
            tlv(context(2), &[&tlv(INTEGER, &[&[salt]])]),
        ];
        tlv(SEQUENCE, &[&oid(10), &tlv(SEQUENCE, &[&fields.concat()])])
    };
    let signed = |algorithm: Vec<u8>| {
        let mut cms = pki.cms(&party);
        let pkcs8 = party.key.serialize_der();
        cms.sign = Box::new(move |message| {
            let key = ring::rsa::KeyPair::from_pkcs8(&pkcs8).unwrap();
            let mut value = vec![0; key.public().modulus_len()];
            let random = ring::rand::SystemRandom::new();
            key.sign(&ring::signature::RSA_PSS_SHA256, &random, message, &mut value).unwrap();
            value
        });
        cms.algorithm = algorithm;
        cms
    };
    let judged = pki.judge(&signed(pss(1, 1, 32)).build());
    assert_eq!(
        (judged.reason, judged.algorithm.as_str()),
        (None, "rsa-pss-2048-sha256"),
        "{}",
        judged.detail
    );
    refused(&pki, &signed(pss(1, 1, 20)), UnsupportedAlgorithm, "a salt of 20 bytes, not 32");
    refused(&pki, &signed(pss(1, 2, 32)), UnsupportedAlgorithm, "MGF1 over");
    refused(&pki, &signed(pss(2, 2, 48)), MalformedSignature, "over sha384, the digest sha256");
    refused(&pki, &signed(tlv(SEQUENCE, &[&oid(10), &[SEQUENCE, 0]])), WeakAlgorithm, "SHA-1, its default");
    refused(&pki, &signed(tlv(SEQUENCE, &[&oid(10)])), UnsupportedAlgorithm, "without parameters");
    refused(&pki, &signed(tlv(SEQUENCE, &[&oid(10), &[NULL, 0]])), UnsupportedAlgorithm, "bad parameters");
}
