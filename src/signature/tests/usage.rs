//! Paths and the use of certificates.

use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose as Purpose, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use ring::signature as sig;

use super::pki::{
    CONTENT, Party, Pki, SENDER, ca_params, issue, issue_for, message_digest, now, params, rsa_key,
    rsa_pkcs8, self_signed, store_of,
};
use crate::signature::Reason::{self, *};
use crate::signature::asn1::{NULL, OID, SEQUENCE, tlv};
use crate::signature::cms::MESSAGE_DIGEST;
use crate::signature::digest::sha256;
use crate::signature::{DigestNeeds, Digests, Judgement, Verdict, judge_detached};

#[track_caller]
fn judge_signed_by(pki: &Pki, party: &Party, chain: &[&Party]) -> Judgement {
    let mut cms = pki.cms(party);
    cms.certificates = [party].into_iter().chain(chain.iter().copied()).map(|p| p.der.clone()).collect();
    let issuers: Vec<&Party> = chain.iter().copied().chain([&pki.root, &pki.sub]).collect();
    let trust = pki.trust.clone().with_crls(store_of(&issuers));
    let content = Digests::of(DigestNeeds::SHA256, CONTENT);
    judge_detached(&[cms.build()], &content, SENDER, &trust, now()).signatures.remove(0)
}

#[track_caller]
fn refused(judged: Judgement, reason: Reason, words: &str) {
    assert_eq!((judged.verdict, judged.reason), (Verdict::Invalid, Some(reason)), "{}", judged.detail);
    assert!(judged.detail.contains(words), "{}", judged.detail);
}

#[test]
fn a_certificate_is_for_documents_by_its_key_usage() {
    let pki = Pki::new();
    for (usages, good) in [
        (vec![], true),
        (vec![KeyUsagePurpose::DigitalSignature], true),
        (vec![KeyUsagePurpose::ContentCommitment, KeyUsagePurpose::KeyEncipherment], true),
        (vec![KeyUsagePurpose::KeyEncipherment], false),
        (vec![KeyUsagePurpose::KeyAgreement], false),
    ] {
        let mut params = params("Người ký");
        params.key_usages = usages.clone();
        let judged = judge_signed_by(&pki, &issue(params, &pki.sub), &[&pki.sub]);
        match good {
            true => assert_eq!(judged.verdict, Verdict::Valid, "{usages:?}: {}", judged.detail),
            false => refused(judged, WrongKeyUsage, "neither digitalSignature nor nonRepudiation"),
        }
    }
}

#[test]
fn a_certificate_is_for_documents_by_its_purposes() {
    let pki = Pki::new();
    let document = || Purpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 36]);
    let microsoft = || Purpose::Other(vec![1, 3, 6, 1, 4, 1, 311, 10, 3, 12]);
    let adobe = || Purpose::Other(vec![1, 2, 840, 113583, 1, 1, 5]);
    for (purposes, bad) in [
        (vec![Purpose::EmailProtection], None),
        (vec![Purpose::ClientAuth, Purpose::EmailProtection], None),
        (vec![document()], None),
        (vec![microsoft()], None),
        (vec![adobe()], None),
        (vec![Purpose::Any], None),
        (vec![Purpose::ClientAuth], Some("no signing of documents: 1.3.6.1.5.5.7.3.2")),
        (vec![Purpose::CodeSigning], Some("no signing of documents")),
        (vec![Purpose::ServerAuth], Some("serverAuth")),
        (vec![Purpose::EmailProtection, Purpose::ServerAuth], Some("serverAuth")),
        (vec![Purpose::TimeStamping], Some("timeStamping")),
        (vec![Purpose::Any, Purpose::OcspSigning], Some("OCSPSigning")),
    ] {
        let mut params = params("Người ký");
        params.extended_key_usages = purposes.clone();
        let judged = judge_signed_by(&pki, &issue(params, &pki.sub), &[&pki.sub]);
        match bad {
            None => assert_eq!(judged.verdict, Verdict::Valid, "{purposes:?}: {}", judged.detail),
            Some(words) => refused(judged, WrongKeyUsage, words),
        }
    }
}

#[test]
fn an_authority_and_a_listed_service_sign_no_documents() {
    let mut pki = Pki::new();
    refused(judge_signed_by(&pki, &pki.sub, &[]), WrongKeyUsage, "certification authority");
    let node = issue(params("nút"), &pki.sub);
    assert_eq!(judge_signed_by(&pki, &node, &[&pki.sub]).verdict, Verdict::Valid);
    pki.trust = pki.trust.with_refused(&node.der).unwrap();
    refused(judge_signed_by(&pki, &node, &[&pki.sub]), WrongKeyUsage, "another use");
}

#[test]
fn no_path_is_an_untrusted_issuer() {
    let (pki, other) = (Pki::new(), Pki::new());
    refused(judge_signed_by(&pki, &pki.person, &[]), UntrustedIssuer, "no trusted root issued");
    refused(judge_signed_by(&pki, &other.person, &[&other.sub, &other.root]), UntrustedIssuer, "not valid");
    let alone = self_signed(params("tự ký"));
    refused(judge_signed_by(&pki, &alone, &[]), UntrustedIssuer, "no trusted root issued");
    // Issued by a person: no authority.
    let under = issue(params("dưới một người"), &pki.person);
    refused(judge_signed_by(&pki, &under, &[&pki.person, &pki.sub]), UntrustedIssuer, "asicConstraints");
}

#[test]
fn path_length_key_usage_and_unknown_critical_extensions_are_enforced() {
    let pki = Pki::new();
    let mut short = ca_params("Sub CA ngắn");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = issue(short, &pki.root);
    let below = issue(ca_params("CA quá sâu"), &short);
    let deep = issue(params("Người ký"), &below);
    refused(judge_signed_by(&pki, &deep, &[&below, &short]), UntrustedIssuer, "pathLenConstraint");
    assert_eq!(judge_signed_by(&pki, &issue(params("A"), &short), &[&short]).verdict, Verdict::Valid);

    let mut no_sign = ca_params("Sub CA không ký");
    no_sign.key_usages = vec![KeyUsagePurpose::CrlSign];
    let no_sign = issue(no_sign, &pki.root);
    let leaf = issue(params("A"), &no_sign);
    refused(judge_signed_by(&pki, &leaf, &[&no_sign]), UntrustedIssuer, "keyUsage");

    let mut odd = params("A");
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(true);
    odd.custom_extensions = vec![extension];
    refused(judge_signed_by(&pki, &issue(odd, &pki.sub), &[&pki.sub]), UntrustedIssuer, "critical extension");
}

#[test]
fn a_path_out_of_its_time_says_which_certificate_and_when() {
    let pki = Pki::new();
    let mut old = params("Người cũ");
    (old.not_before, old.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2026, 1, 1));
    let old = issue(old, &pki.sub);
    refused(
        judge_signed_by(&pki, &old, &[&pki.sub]),
        CertificateExpired,
        "`Người cũ` expired at 2026-01-01T07:00",
    );
    let mut young = params("Người mới");
    (young.not_before, young.not_after) = (date_time_ymd(2027, 1, 1), date_time_ymd(2028, 1, 1));
    let young = issue(young, &pki.sub);
    refused(judge_signed_by(&pki, &young, &[&pki.sub]), CertificateNotYetValid, "only from 2027-01-01");

    let mut sub = ca_params("CA cũ");
    sub.not_after = date_time_ymd(2026, 1, 1);
    let sub = issue(sub, &pki.root);
    refused(judge_signed_by(&pki, &issue(params("A"), &sub), &[&sub]), CertificateExpired, "`CA cũ` expired");
    // Usage outranks time.
    let mut both = params("B");
    both.not_after = date_time_ymd(2026, 1, 1);
    both.extended_key_usages = vec![Purpose::ServerAuth];
    refused(judge_signed_by(&pki, &issue(both, &pki.sub), &[&pki.sub]), WrongKeyUsage, "serverAuth");
}

#[test]
fn a_known_path_answers_only_inside_its_time_and_for_the_same_certificates() {
    let pki = Pki::new();
    let signature = pki.signer(&pki.person).sign_detached(&sha256(CONTENT), now()).unwrap();
    for _ in 0..2 {
        assert_eq!(pki.judge(&signature).verdict, Verdict::Valid);
        for (at, reason) in
            [("2024-12-31T00:00:00Z", CertificateNotYetValid), ("2030-01-01T00:00:01Z", CertificateExpired)]
        {
            assert_eq!(pki.judge_at(&signature, at.parse().unwrap()).reason, Some(reason));
        }
        // The last second is inside.
        assert_eq!(pki.judge_at(&signature, "2030-01-01T00:00:00.999Z".parse().unwrap()).reason, None);
        refused(judge_signed_by(&pki, &pki.person, &[]), UntrustedIssuer, "no trusted root");
    }
}

#[test]
fn a_search_takes_the_path_that_is_in_its_time_among_several() {
    let pki = Pki::new();
    // The subordinate authority renewed: the same name and key, an old certificate and a new one.
    let mut old = ca_params("Sub CA thử nghiệm");
    old.not_after = date_time_ymd(2026, 1, 1);
    let key = || KeyPair::try_from(pki.sub.key.serialize_der()).unwrap();
    let old = issue_for(key(), old, &pki.root);
    assert_eq!(judge_signed_by(&pki, &pki.person, &[&old, &pki.sub]).verdict, Verdict::Valid);
    refused(judge_signed_by(&pki, &pki.person, &[&old]), CertificateExpired, "Sub CA");
}

#[test]
fn authorities_that_issue_each_other_end_the_search() {
    let pki = Pki::new();
    let key = || KeyPair::try_from(pki.sub.key.serialize_der()).unwrap();
    let maze: Vec<Party> = (0..30).map(|_| issue_for(key(), ca_params("Mê cung"), &pki.sub)).collect();
    let looped = Party { key: key(), params: ca_params("Mê cung"), der: maze[0].der.clone() };
    let mut chain: Vec<Party> = (0..30).map(|_| issue_for(key(), ca_params("Mê cung"), &looped)).collect();
    let leaf = issue(params("A"), &looped);
    chain.truncate(30);
    let chain: Vec<&Party> = chain.iter().collect();
    refused(judge_signed_by(&pki, &leaf, &chain), UntrustedIssuer, "no trusted root issued");
}

#[test]
fn keys_and_issuers_signatures_are_strong() {
    let pki = Pki::new();
    // ring, and so rcgen, signs with no RSA key this short: the certificate gets its key by hand.
    let weak = rsa_pkcs8(1024);
    let mut certificate = certificate_with_key(&pki, &weak);
    let mut cms = pki.cms(&pki.person);
    let rsa_sha256 = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 11, 5, 0];
    cms = cms
        .without(crate::signature::cms::SIGNING_CERTIFICATE_V2)
        .with(super::pki::signing_certificate(&certificate));
    cms.algorithm = rsa_sha256.to_vec();
    cms.certificates[0] = std::mem::take(&mut certificate);
    refused(pki.judge(&cms.build()), WeakAlgorithm, "RSA key of 1024 bits");
}

/// The person's certificate with another public key, the issuer's signature no longer its own.
fn certificate_with_key(pki: &Pki, pkcs8: &[u8]) -> Vec<u8> {
    use crate::signature::asn1::{Reader, SEQUENCE, tlv};
    use rsa::pkcs8::{DecodePrivateKey, EncodePublicKey};
    let public =
        rsa::RsaPrivateKey::from_pkcs8_der(pkcs8).unwrap().to_public_key().to_public_key_der().unwrap();
    let mut outer = Reader::new(&pki.person.der).enter(SEQUENCE, "").unwrap();
    let mut tbs = outer.enter(SEQUENCE, "").unwrap();
    let mut fields = Vec::new();
    while !tbs.is_empty() {
        fields.push(tbs.any().unwrap().raw);
    }
    fields[6] = public.as_bytes();
    let (algorithm, signature) = (outer.any().unwrap().raw, outer.any().unwrap().raw);
    tlv(SEQUENCE, &[&tlv(SEQUENCE, &fields), algorithm, signature])
}

#[test]
fn p384_ed25519_and_rsa_over_each_digest_are_valid() {
    let pki = Pki::new();
    let issued = |key: KeyPair| issue_for(key, params("Người ký"), &pki.sub);
    let p384 = issued(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap());
    let ed25519 = issued(KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
    let rsa = issued(rsa_key());
    let rsa_oid = |arc: u8| [0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, arc].to_vec();
    let p384_oid = vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
    for (party, oid, parameters, digest, name) in [
        (&p384, p384_oid, &[][..], &ring::digest::SHA384, "ecdsa-p384-sha384"),
        (&rsa, rsa_oid(12), &[NULL, 0], &ring::digest::SHA384, "rsa-2048-sha384"),
        (&rsa, rsa_oid(13), &[], &ring::digest::SHA512, "rsa-2048-sha512"),
        (&rsa, rsa_oid(1), &[NULL, 0], &ring::digest::SHA512, "rsa-2048-sha512"),
        (&ed25519, vec![0x2b, 0x65, 0x70], &[], &ring::digest::SHA512, "ed25519"),
    ] {
        let arc = if digest.output_len() == 48 { 2 } else { 3 };
        let digest_id = tlv(SEQUENCE, &[&tlv(OID, &[&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, arc]])]);
        let content_digest = ring::digest::digest(digest, CONTENT);
        let mut cms = pki.cms(party).without(MESSAGE_DIGEST).with(message_digest(content_digest.as_ref()));
        (cms.digest, cms.digests) = (digest_id.clone(), digest_id);
        cms.algorithm = tlv(SEQUENCE, &[&tlv(OID, &[&oid]), parameters]);
        let (pkcs8, wide) = (party.key.serialize_der(), arc == 3);
        cms.sign = Box::new(move |message| sign(&pkcs8, wide, message));
        let judged = pki.judge(&cms.build());
        assert_eq!((judged.verdict, judged.algorithm.as_str()), (Verdict::Valid, name), "{}", judged.detail);
        cms.signature = |mut s| {
            s[20] ^= 1;
            s
        };
        refused(pki.judge(&cms.build()), DigestMismatch, "does not verify");
    }
}

/// Signs with whichever key this is; RSA over SHA-512 if `wide`, else over SHA-384.
fn sign(pkcs8: &[u8], wide: bool, message: &[u8]) -> Vec<u8> {
    let random = ring::rand::SystemRandom::new();
    if let Ok(key) = sig::RsaKeyPair::from_pkcs8(pkcs8) {
        let mut value = vec![0; key.public().modulus_len()];
        let padding = if wide { &sig::RSA_PKCS1_SHA512 } else { &sig::RSA_PKCS1_SHA384 };
        key.sign(padding, &random, message, &mut value).unwrap();
        return value;
    }
    if let Ok(key) = sig::EcdsaKeyPair::from_pkcs8(&sig::ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8, &random) {
        return key.sign(&random, message).unwrap().as_ref().to_vec();
    }
    sig::Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).unwrap().sign(message).as_ref().to_vec()
}
