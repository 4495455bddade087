//! Whose signature it is, how several fold into one verdict, and making what openssl also accepts.

use super::openssl::OpenSsl;
use super::pki::{CONTENT, Pki, SENDER, issue_for, now, params, rsa_key};
use crate::signature::digest::sha256;
use crate::signature::{
    DigestNeeds, Digests, Reason, Role, SignError, Signer, SigningKey, Trust, TrustError, Verdict,
    judge_detached,
};

#[test]
fn a_seal_of_the_sender_is_the_agencys_and_all_else_a_persons() {
    let pki = Pki::new();
    let digest = sha256(CONTENT);
    let seal = pki.signer(&pki.seal).sign_detached(&digest, now()).unwrap();
    let person = pki.signer(&pki.person).sign_detached(&digest, now()).unwrap();
    let both = pki.judge_all(&[&seal, &person], now());
    assert_eq!((both.person, both.agency, both.reason), (Verdict::Valid, Verdict::Valid, None));
    assert_eq!([Role::Agency, Role::Person], [both.signatures[0].role, both.signatures[1].role]);
    let one = pki.judge_all(&[&seal], now());
    assert_eq!((one.person, one.agency), (Verdict::Absent, Verdict::Valid));
    let none = pki.judge_all(&[], now());
    assert_eq!((none.person, none.agency, none.reason), (Verdict::Absent, Verdict::Absent, None));
}

#[test]
fn a_seal_of_another_agency_is_wrong() {
    let pki = Pki::new();
    let seal = pki.signer(&pki.seal).sign_detached(&sha256(CONTENT), now()).unwrap();
    let content = Digests::of(DigestNeeds::SHA256, CONTENT);
    let verdicts = judge_detached(&[&seal], &content, "sở-y-tế", &pki.trust, now());
    assert_eq!((verdicts.person, verdicts.agency), (Verdict::Absent, Verdict::Invalid));
    assert_eq!(verdicts.reason, Some(Reason::WrongAgency));
    assert_eq!(verdicts.signatures[0].detail, "sealed by agency bd, sent by sở-y-tế");
}

#[test]
fn one_invalid_signature_spoils_its_role_and_the_first_reason_in_rank_is_given() {
    let pki = Pki::new();
    let good = pki.signer(&pki.person).sign_detached(&sha256(CONTENT), now()).unwrap();
    let other = pki.signer(&pki.person).sign_detached(&sha256(b"other"), now()).unwrap();
    let stranger = pki.signer(&pki.person).sign_detached(&sha256(CONTENT), now()).unwrap();
    let verdicts = pki.judge_all(&[&good, &other, b"junk", &stranger], now());
    assert_eq!(verdicts.person, Verdict::Invalid);
    assert_eq!(verdicts.reason, Some(Reason::MalformedSignature));
    let each: Vec<_> = verdicts.signatures.iter().map(|s| s.reason).collect();
    assert_eq!(each, [None, Some(Reason::DigestMismatch), Some(Reason::MalformedSignature), None]);
}

#[test]
fn a_seal_needs_a_path_and_is_one_agencys() {
    let (pki, other) = (Pki::new(), Pki::new());
    let trust = pki.trust.clone().with_seal(SENDER, &other.seal.der).unwrap();
    let seal = other.signer(&other.seal).sign_detached(&sha256(CONTENT), now()).unwrap();
    let content = Digests::of(DigestNeeds::SHA256, CONTENT);
    let verdicts = judge_detached(&[&seal], &content, SENDER, &trust, now());
    assert_eq!((verdicts.agency, verdicts.reason), (Verdict::Invalid, Some(Reason::UntrustedIssuer)));
    assert!(matches!(trust.with_seal("x", &other.seal.der), Err(TrustError::SealOfTwo { .. })));
    assert!(matches!(Trust::new([&pki.person.der]), Err(TrustError::NotAuthority { .. })));
    assert!(matches!(Trust::new([b"junk"]), Err(TrustError::Malformed(_))));
    let verdicts = judge_detached(&[&seal], &content, SENDER, &Trust::empty(), now());
    assert_eq!((verdicts.person, verdicts.reason), (Verdict::Invalid, Some(Reason::UntrustedIssuer)));
}

#[test]
fn a_key_signs_only_with_its_own_certificate_for_documents_and_never_shows() {
    let pki = Pki::new();
    let key = || pki.person.signing_key();
    assert!(matches!(Signer::new(key(), pki.seal.der.clone(), vec![]), Err(SignError::OtherKey(_))));
    let root = pki.root.signing_key();
    assert!(matches!(
        Signer::new(root, pki.root.der.clone(), vec![]),
        Err(SignError::NotForDocuments { .. })
    ));
    assert!(matches!(Signer::new(key(), vec![1], vec![]), Err(SignError::Certificate(_))));
    assert!(matches!(SigningKey::from_pkcs8(b"junk"), Err(SignError::Key(_))));
    assert_eq!(format!("{:?}", key()), "SigningKey::EcdsaP256(..)");
}

#[test]
fn what_is_made_is_valid_here_and_for_openssl() {
    let pki = Pki::new();
    let rsa = issue_for(rsa_key(), params("Trần Thị B"), &pki.sub);
    for (party, name) in [(&pki.person, "ecdsa-p256-sha256"), (&rsa, "rsa-2048-sha256")] {
        let signature = pki.signer(party).sign_detached(&sha256(CONTENT), now()).unwrap();
        let judged = pki.judge(&signature);
        assert_eq!((judged.verdict, judged.algorithm.as_str()), (Verdict::Valid, name), "{}", judged.detail);
        assert_eq!(judged.claimed_at, Some(now()));
        if let Some(openssl) = OpenSsl::trusting(&pki.root.der) {
            openssl.accepts_signature(&signature, CONTENT);
        }
    }
}
