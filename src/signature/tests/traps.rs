//! What a forger, or a careless signer, can do to a CMS.

use super::pki::{
    CONTENT, Forge, Pki, attribute, content_type, issue, message_digest, now, old_signing_certificate,
    params, relength, signing_certificate,
};
use crate::signature::Reason::{self, *};
use crate::signature::asn1::{
    GENERALIZED_TIME, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, SET, context, definite, tlv,
};
use crate::signature::certificate::Certificate;
use crate::signature::cms::{
    CONTENT_TYPE, ID_DATA, ID_SIGNED_DATA, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2, SIGNING_TIME,
};
use crate::signature::digest::{DigestNeeds, Digests, sha256};
use crate::signature::limits::MAX_DETAIL;
use crate::signature::{Verdict, digest_needs, judge_detached};

#[track_caller]
pub(super) fn refused(pki: &Pki, cms: &Forge, reason: Reason, words: &str) {
    let judged = pki.judge(&cms.build());
    assert_eq!((judged.verdict, judged.reason), (reason.verdict(), Some(reason)), "{}", judged.detail);
    assert!(judged.detail.contains(words), "{}", judged.detail);
}

#[track_caller]
pub(super) fn accepted(pki: &Pki, cms: &[u8]) {
    let judged = pki.judge(cms);
    assert_eq!((judged.verdict, judged.reason), (Verdict::Valid, None), "{}", judged.detail);
}

#[test]
fn the_forge_makes_a_valid_signature_when_nothing_is_changed() {
    let pki = Pki::new();
    let judged = pki.judge(&pki.cms(&pki.person).build());
    assert_eq!((judged.verdict, judged.reason), (Verdict::Valid, None), "{}", judged.detail);
    assert_eq!(judged.signer, "Nguyễn Văn A");
    assert_eq!(judged.algorithm, "ecdsa-p256-sha256");
    assert_eq!(judged.certificate_sha256, Some(sha256(&pki.person.der)));
    assert_eq!(judged.claimed_at, Some(now()));
}

#[test]
fn signed_attributes_are_required() {
    let pki = Pki::new();
    // RFC 5652 §5.4 would have the content itself signed: true, but CAdES forbids it.
    let mut bare = pki.cms(&pki.person);
    bare.attributes = None;
    bare.message = CONTENT.to_vec();
    refused(&pki, &bare, MalformedSignature, "no signed attributes");
}

#[test]
fn attributes_passed_off_as_content_are_refused() {
    // The SET OF attributes that a person signed becomes the "content" of a CMS without signed attributes, whose
    // signature value is the true one.
    let pki = Pki::new();
    let true_one = pki.cms(&pki.person);
    let content = tlv(SET, &[&true_one.attributes.as_ref().unwrap().concat()]);
    let mut forged = pki.cms(&pki.person);
    forged.attributes = None;
    forged.message = content.clone();
    let digests = Digests::of(DigestNeeds::SHA256, &content);
    let verdicts = judge_detached(&[forged.build()], &digests, "bd", &pki.trust, now());
    assert_eq!((verdicts.person, verdicts.reason), (Verdict::Invalid, Some(MalformedSignature)));
}

#[test]
fn signed_attributes_are_in_der_order_and_none_twice() {
    let pki = Pki::new();
    let mut cms = pki.cms(&pki.person);
    cms.attributes.as_mut().unwrap().reverse();
    refused(&pki, &cms, MalformedSignature, "DER order");
    let other = message_digest(&sha256(b"another content"));
    refused(&pki, &pki.cms(&pki.person).with(other), MalformedSignature, "given twice");
    let same = content_type(ID_DATA);
    refused(&pki, &pki.cms(&pki.person).with(same), MalformedSignature, "given twice");
}

#[test]
fn an_attribute_has_one_value() {
    let pki = Pki::new();
    let one = tlv(OCTET_STRING, &[&sha256(CONTENT)]);
    let two = attribute(MESSAGE_DIGEST, &[&one, &one]);
    refused(&pki, &pki.cms(&pki.person).without(MESSAGE_DIGEST).with(two), MalformedSignature, "exactly one");
    let none = attribute(CONTENT_TYPE, &[]);
    refused(&pki, &pki.cms(&pki.person).without(CONTENT_TYPE).with(none), MalformedSignature, "exactly one");
}

#[test]
fn each_required_attribute_is_missed() {
    let pki = Pki::new();
    for (kind, words) in [
        (CONTENT_TYPE, "content-type is missing"),
        (MESSAGE_DIGEST, "message-digest is missing"),
        (SIGNING_CERTIFICATE_V2, "signing-certificate-v2 is missing"),
    ] {
        refused(&pki, &pki.cms(&pki.person).without(kind), MalformedSignature, words);
    }
    accepted(&pki, &pki.cms(&pki.person).without(SIGNING_TIME).build());
}

#[test]
fn the_content_type_is_data_in_both_places() {
    let pki = Pki::new();
    let other = content_type(ID_SIGNED_DATA);
    let cms = pki.cms(&pki.person).without(CONTENT_TYPE).with(other.clone());
    refused(&pki, &cms, MalformedSignature, "differs from");
    let mut cms = pki.cms(&pki.person).without(CONTENT_TYPE).with(other);
    cms.content_type = ID_SIGNED_DATA;
    refused(&pki, &cms, MalformedSignature, "where data should be");
}

#[test]
fn the_signing_certificate_attribute_names_the_signers_certificate() {
    let pki = Pki::new();
    let other = signing_certificate(&pki.seal.der);
    let cms = pki.cms(&pki.person).without(SIGNING_CERTIFICATE_V2).with(other);
    refused(&pki, &cms, MalformedSignature, "names another certificate");

    // The hash is right, the serial number beside it is another's.
    let (hash, seal) =
        (tlv(OCTET_STRING, &[&sha256(&pki.person.der)]), Certificate::read(&pki.seal.der).unwrap());
    let names = tlv(SEQUENCE, &[&tlv(context(4), &[seal.issuer])]);
    let both = tlv(SEQUENCE, &[&names, &tlv(INTEGER, &[seal.serial])]);
    let id = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&hash, &both])])]);
    let cms =
        pki.cms(&pki.person).without(SIGNING_CERTIFICATE_V2).with(attribute(SIGNING_CERTIFICATE_V2, &[&id]));
    refused(&pki, &cms, MalformedSignature, "names another certificate");
}

#[test]
fn the_signers_certificate_bound_by_sha1_alone_is_weak() {
    let pki = Pki::new();
    let mine = old_signing_certificate(&[&pki.person.der]);
    let bare = || pki.cms(&pki.person).without(SIGNING_CERTIFICATE_V2);
    // As `openssl cms -cades -md sha1` writes it.
    refused(&pki, &bare().with(mine.clone()), WeakAlgorithm, "by SHA-1");
    accepted(&pki, &pki.cms(&pki.person).with(mine).build());
    // Beside the newer attribute or not, it names no other certificate, and one.
    let other = old_signing_certificate(&[&pki.seal.der]);
    refused(&pki, &bare().with(other.clone()), MalformedSignature, "names another certificate");
    refused(&pki, &pki.cms(&pki.person).with(other), MalformedSignature, "names another certificate");
    let two = old_signing_certificate(&[&pki.person.der, &pki.seal.der]);
    refused(&pki, &pki.cms(&pki.person).with(two), MalformedSignature, "signing-certificate");
}

#[test]
fn a_signature_in_another_form_than_der_says_which() {
    let pki = Pki::new();
    for (bytes, words) in [
        (&b""[..], "is empty"),
        (b"-----BEGIN CMS-----\nMIIB", "in PEM"),
        (b"MIIJmAYJKoZIhvcNAQcCoIIJiTCC", "in base64"),
        (b"MIME-Version: 1.0\n", "in S/MIME"),
    ] {
        let judged = pki.judge(bytes);
        assert_eq!(judged.reason, Some(MalformedSignature));
        assert!(judged.detail.contains(words), "{}", judged.detail);
    }
}

#[test]
fn nothing_follows_the_content_info_and_there_is_one_signer() {
    let pki = Pki::new();
    let mut bytes = pki.cms(&pki.person).build();
    bytes.push(0);
    let judged = pki.judge(&bytes);
    assert_eq!(judged.reason, Some(MalformedSignature));
    assert_eq!(judged.detail, "bad DER: 1 bytes too many after the ContentInfo");
    let mut two = pki.cms(&pki.person);
    two.signers = 2;
    refused(&pki, &two, MalformedSignature, "2 signers");
    two.signers = 0;
    refused(&pki, &two, MalformedSignature, "0 signers");
}

#[test]
fn a_signature_with_its_content_inside_is_not_detached() {
    let pki = Pki::new();
    let mut cms = pki.cms(&pki.person);
    cms.content = Some(CONTENT.to_vec());
    refused(&pki, &cms, MalformedSignature, "must be detached");
}

#[test]
fn the_signers_certificate_is_in_the_signature() {
    let pki = Pki::new();
    let mut cms = pki.cms(&pki.person);
    cms.certificates.remove(0);
    refused(&pki, &cms, MalformedSignature, "is not in the signature");
}

#[test]
fn other_certificate_formats_are_passed_over() {
    let pki = Pki::new();
    let mut cms = pki.cms(&pki.person);
    for number in 0..4 {
        cms.certificates.push(tlv(context(number), &[&[0x30, 0]]));
    }
    cms.certificates.push(tlv(SEQUENCE, &[b"not a certificate"]));
    accepted(&pki, &cms.build());
}

#[test]
fn a_signer_is_found_by_its_key_identifier() {
    let pki = Pki::new();
    let mut with_id = params("Có định danh khoá");
    with_id.is_ca = rcgen::IsCa::ExplicitNoCa;
    let party = issue(with_id, &pki.sub);
    let mut cms = pki.cms(&party);
    cms.id = tlv(0x80, &[Certificate::read(&party.der).unwrap().key_id.unwrap()]);
    cms.version = 3;
    accepted(&pki, &cms.build());
    cms.version = 1;
    refused(&pki, &cms, MalformedSignature, "version 01 of a SignerInfo");
    (cms.version, cms.id) = (3, tlv(0x80, &[b"another"]));
    refused(&pki, &cms, MalformedSignature, "is not in the signature");
}

#[test]
fn a_detail_quotes_no_more_than_a_line() {
    let pki = Pki::new();
    let cms = pki.cms(&pki.person).without(MESSAGE_DIGEST).with(message_digest(&[7; 5000]));
    refused(&pki, &cms, DigestMismatch, "0707");
    assert_eq!(pki.judge(&cms.build()).detail.len(), MAX_DETAIL);
}

#[test]
fn changed_content_and_a_changed_signature_are_digest_mismatches() {
    let pki = Pki::new();
    let cms = pki.cms(&pki.person).without(MESSAGE_DIGEST).with(message_digest(&sha256(b"other")));
    refused(&pki, &cms, DigestMismatch, "of the content is");
    let mut cms = pki.cms(&pki.person);
    cms.signature = |mut s| {
        *s.last_mut().unwrap() ^= 1;
        s
    };
    refused(&pki, &cms, DigestMismatch, "does not verify");
}

#[test]
fn both_s_of_an_ecdsa_signature_are_valid() {
    let pki = Pki::new();
    let mut cms = pki.cms(&pki.person);
    accepted(&pki, &cms.build());
    cms.signature = negate_s;
    accepted(&pki, &cms.build());
}

/// (r, s) to (r, n − s) of P-256.
fn negate_s(signature: Vec<u8>) -> Vec<u8> {
    let n = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let r_len = usize::from(signature[3]);
    let (r, s) = (&signature[2..4 + r_len], &signature[6 + r_len..]);
    let mut wide = vec![0; 33 - s.len()];
    wide.extend_from_slice(s);
    let (mut out, mut borrow) = (vec![0; 33], 0);
    for i in (0..32).rev() {
        let d = i32::from(n[i]) - i32::from(wide[i + 1]) - borrow;
        borrow = i32::from(d < 0);
        out[i + 1] = d.rem_euclid(256) as u8;
    }
    let skip = out.windows(2).take_while(|w| w[0] == 0 && w[1] < 0x80).count();
    tlv(SEQUENCE, &[r, &tlv(INTEGER, &[&out[skip..]])])
}

#[test]
fn a_signing_time_is_a_claim_and_never_spoils_a_signature() {
    let pki = Pki::new();
    let time = |text: &[u8]| attribute(SIGNING_TIME, &[&tlv(GENERALIZED_TIME, &[text])]);
    let judged =
        pki.judge(&pki.cms(&pki.person).without(SIGNING_TIME).with(time(b"20260601010000.5Z")).build());
    assert_eq!(judged.verdict, Verdict::Valid, "{}", judged.detail);
    assert_eq!(judged.claimed_at, Some(now().plus_millis(500)));
    let judged = pki.judge(&pki.cms(&pki.person).without(SIGNING_TIME).with(time(b"yesterday")).build());
    assert_eq!((judged.verdict, judged.claimed_at), (Verdict::Valid, None));
}

#[test]
fn weak_and_unknown_algorithms_are_told_apart() {
    let pki = Pki::new();
    let id = |oid: &[u8]| tlv(SEQUENCE, &[&tlv(OID, &[oid])]);
    let (sha1, sha3): (&[u8], &[u8]) = (&[0x2b, 14, 3, 2, 26], &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 8]);
    for (digest, reason, words) in [(sha1, WeakAlgorithm, "SHA-1"), (sha3, UnsupportedAlgorithm, "3.4.2.8")] {
        let mut cms = pki.cms(&pki.person);
        (cms.digest, cms.digests) = (id(digest), id(digest));
        refused(&pki, &cms, reason, words);
    }
    let mut cms = pki.cms(&pki.person);
    cms.algorithm = id(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]);
    refused(&pki, &cms, WeakAlgorithm, "SHA-1");
    cms.algorithm = id(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]);
    refused(&pki, &cms, MalformedSignature, "over sha384, the digest sha256");
    cms.algorithm = id(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 10]);
    refused(&pki, &cms, UnsupportedAlgorithm, "1.1.10");
    cms.algorithm = tlv(SEQUENCE, &[&tlv(OID, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]), &[NULL, 0]]);
    refused(&pki, &cms, UnsupportedAlgorithm, "4.3.2");
    cms.digests = id(sha1);
    refused(&pki, &cms, MalformedSignature, "not in the list");
}

#[test]
fn the_reason_first_in_rank_is_given_when_several_hold() {
    let pki = Pki::new();
    let id = |oid: &[u8]| tlv(SEQUENCE, &[&tlv(OID, &[oid])]);
    let changed = || pki.cms(&pki.person).without(MESSAGE_DIGEST).with(message_digest(&sha256(b"other")));
    let mut cms = changed();
    cms.algorithm = id(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]);
    refused(&pki, &cms, DigestMismatch, "of the content is");
    cms.algorithm = id(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]);
    refused(&pki, &cms, MalformedSignature, "over sha384");
    // Unknown digest, weak signature algorithm.
    let sha3 = id(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 8]);
    (cms.digest, cms.digests) = (sha3.clone(), sha3);
    cms.algorithm = id(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]);
    refused(&pki, &cms, WeakAlgorithm, "ECDSA with SHA-1");
}

#[test]
fn indefinite_lengths_around_the_signer_are_read() {
    let pki = Pki::new();
    let der = pki.cms(&pki.person).build();
    let ber = indefinite(&der, 3);
    assert_eq!(definite(&ber).unwrap(), der);
    accepted(&pki, &ber);
    let mut more = ber.clone();
    more.push(0);
    assert_eq!(pki.judge(&more).reason, Some(MalformedSignature));
    assert_eq!(pki.judge(&ber[..ber.len() - 1]).reason, Some(MalformedSignature));
}

/// The outer `levels` of constructed elements in indefinite lengths.
fn indefinite(der: &[u8], levels: usize) -> Vec<u8> {
    relength(der, levels, |tag, inner| [&[tag, 0x80], inner, &[0, 0]].concat())
}

#[test]
fn no_changed_bit_passes() {
    let pki = Pki::new();
    let true_one = pki.signer(&pki.person).sign_detached(&sha256(CONTENT), now()).unwrap();
    accepted(&pki, &true_one);
    // The version of the SignedData protects nothing and is the one field that may take other values.
    let version = true_one.windows(5).position(|w| w == [INTEGER, 1, 1, SET, 15]).unwrap() + 2;
    for at in 0..true_one.len() {
        for bit in 0..8 {
            let mut flipped = true_one.clone();
            flipped[at] ^= 1 << bit;
            let judged = pki.judge(&flipped);
            assert!(judged.verdict == Verdict::Invalid || at == version, "byte {at}, bit {bit}");
            assert!(judged.verdict == Verdict::Valid || judged.reason.is_some());
        }
    }
    for cut in 0..true_one.len() {
        assert_eq!(pki.judge(&true_one[..cut]).reason, Some(MalformedSignature), "cut at {cut}");
    }
}

#[test]
fn only_the_digests_that_signatures_use_are_needed() {
    let pki = Pki::new();
    let mut wide = pki.cms(&pki.person);
    let id = tlv(SEQUENCE, &[&tlv(OID, &[&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3]])]);
    (wide.digest, wide.digests) = (id.clone(), id);
    let plain = pki.cms(&pki.person).build();
    assert_eq!(digest_needs(&[&plain[..], b"junk"]), DigestNeeds::SHA256);
    assert_eq!(digest_needs(&[plain, wide.build()]), DigestNeeds { sha384: false, sha512: true });
}
