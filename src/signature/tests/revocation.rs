//! Revocation lists: what counts, and at which time.

use rcgen::date_time_ymd;

use super::pki::{CONTENT, ForgeCrl, Party, Pki, ca_params, crl, entry, extension, issue, now, params};
use crate::signature::Reason::{self, *};
use crate::signature::algorithm::VERIFICATIONS;
use crate::signature::asn1::{OID, SEQUENCE, tlv};
use crate::signature::certificate::Certificate;
use crate::signature::digest::sha256;
use crate::signature::{Crl, CrlError, Judgement, Verdict};

const REMOVED: Option<u8> = Some(8);
const HOLD: Option<u8> = Some(6);
const COMPROMISED: Option<u8> = Some(1);

fn judge(pki: &Pki, crls: &[ForgeCrl<'_>]) -> Judgement {
    judge_at(pki, &pki.person, crls, "2026-06-01T00:00:00Z")
}

fn judge_at(pki: &Pki, signer: &Party, crls: &[ForgeCrl<'_>], at: &str) -> Judgement {
    let all: Vec<ForgeCrl<'_>> = [crl(&pki.root)].into_iter().chain(crls.iter().cloned()).collect();
    let signature = pki.signer(signer).sign_detached(&sha256(CONTENT), now()).unwrap();
    pki.judge_under(&pki.with_crls(&all), &signature, at.parse().unwrap())
}

#[track_caller]
fn is(judged: Judgement, reason: Option<Reason>, words: &str) {
    assert_eq!(judged.reason, reason, "{}", judged.detail);
    assert_eq!(judged.verdict, reason.map_or(Verdict::Valid, Reason::verdict));
    assert!(judged.detail.contains(words), "{}", judged.detail);
}

#[test]
fn what_cannot_be_checked_is_indeterminate() {
    let pki = Pki::new();
    is(judge(&pki, &[crl(&pki.sub)]), None, "");
    is(judge(&pki, &[]), Some(RevocationUnknown), "the revocation of `Nguyễn Văn A`");
    let signature = pki.signer(&pki.person).sign_detached(&sha256(CONTENT), now()).unwrap();
    let judged = pki.judge_under(&pki.with_crls(&[crl(&pki.sub)]), &signature, now());
    assert_eq!(judged.verdict, Verdict::Indeterminate);
    is(judged, Some(RevocationUnknown), "the revocation of `Sub CA thử nghiệm`");
}

#[test]
fn the_evidence_is_named_by_its_digests() {
    let pki = Pki::new();
    let judged = judge(&pki, &[crl(&pki.sub).times("2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z")]);
    assert_eq!(judged.evidence.len(), 2);
    let revoked = crl(&pki.sub).revoked(&pki.person, "2026-05-02T00:00:00Z", None);
    let der = revoked.build();
    let trust =
        pki.trust.clone().with_crls(crate::signature::CrlStore::new([Crl::read(&der).unwrap().into()]));
    let signature = pki.signer(&pki.person).sign_detached(&sha256(CONTENT), now()).unwrap();
    assert_eq!(pki.judge_under(&trust, &signature, now()).evidence, [sha256(&der)]);
    assert!(trust.crls().find(&sha256(&der)).is_some());
}

#[test]
fn revoked_is_revoked_from_its_date_on() {
    let pki = Pki::new();
    let list = || [crl(&pki.sub).revoked(&pki.person, "2026-05-02T00:00:00Z", COMPROMISED)];
    is(judge(&pki, &list()), Some(CertificateRevoked), "keyCompromise");
    is(judge_at(&pki, &pki.person, &list(), "2026-05-01T23:59:59Z"), None, "");
    is(judge_at(&pki, &pki.seal, &list(), "2026-06-01T00:00:00Z"), None, "");
    // invalidityDate: from when the key is suspected.
    let mut list = crl(&pki.sub);
    let suspected = tlv(0x18, &[b"20260401000000Z"]);
    list.entries = vec![entry(&pki.person, "2026-05-02T00:00:00Z", &[extension(24, false, &suspected)])];
    let at = "2026-04-15T00:00:00Z";
    is(judge_at(&pki, &pki.person, &[list], at), Some(CertificateRevoked), "2026-04-01T07:00");
}

#[test]
fn an_issuer_is_revoked_as_well() {
    let pki = Pki::new();
    let root = crl(&pki.root).revoked(&pki.sub, "2026-05-02T00:00:00Z", Some(2));
    is(judge(&pki, &[crl(&pki.sub), root]), Some(CertificateRevoked), "`Sub CA thử nghiệm` was revoked");
}

#[test]
fn revoked_outranks_expired_and_expired_outranks_unknown() {
    let pki = Pki::new();
    let mut old = params("Người cũ");
    old.not_after = date_time_ymd(2026, 2, 1);
    let old = issue(old, &pki.sub);
    is(judge_at(&pki, &old, &[], "2026-06-01T00:00:00Z"), Some(CertificateExpired), "");
    let list = crl(&pki.sub).revoked(&old, "2026-01-15T00:00:00Z", None);
    is(judge_at(&pki, &old, &[list], "2026-06-01T00:00:00Z"), Some(CertificateRevoked), "");
}

#[test]
fn a_list_covers_the_time_up_to_its_next_one_and_what_was_before_it() {
    let pki = Pki::new();
    let list = || crl(&pki.sub).times("2026-05-01T00:00:00Z", "2026-05-08T00:00:00Z");
    let at = |time: &str| judge_at(&pki, &pki.person, &[list()], time);
    is(at("2026-04-01T00:00:00Z"), None, "");
    is(at("2026-05-08T00:00:00Z"), None, "");
    is(at("2026-05-08T00:00:01Z"), Some(RevocationUnknown), "does not cover that time");
    let mut open = list();
    open.until = None;
    is(judge_at(&pki, &pki.person, &[open], "2026-05-01T00:00:01Z"), Some(RevocationUnknown), "");
    // An entry stays true however old the list.
    let old = list().revoked(&pki.person, "2026-04-20T00:00:00Z", None);
    is(judge(&pki, &[old, crl(&pki.sub)]), Some(CertificateRevoked), "no reason given");
}

#[test]
fn a_list_issued_after_a_certificate_expired_may_leave_it_out() {
    let pki = Pki::new();
    let mut old = params("Người cũ");
    old.not_after = date_time_ymd(2026, 5, 15);
    let old = issue(old, &pki.sub);
    let at = "2026-05-01T00:00:00Z";
    let late = || crl(&pki.sub).times("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z");
    is(judge_at(&pki, &old, &[late()], at), Some(RevocationUnknown), "");
    let early = crl(&pki.sub).times("2026-05-10T00:00:00Z", "2026-05-20T00:00:00Z");
    is(judge_at(&pki, &old, &[late(), early], at), None, "");
    // expiredCertsOnCRL says that it does not leave it out.
    let kept = late().with(extension(60, false, &tlv(0x18, &[b"20260101000000Z"])));
    is(judge_at(&pki, &old, &[kept], at), None, "");
    let kept = late().with(extension(60, false, &tlv(0x18, &[b"20260520000000Z"])));
    is(judge_at(&pki, &old, &[kept], at), Some(RevocationUnknown), "");
}

#[test]
fn the_freshest_wins() {
    let pki = Pki::new();
    let (may, june) = ("2026-05-01T00:00:00Z", "2026-05-31T00:00:00Z");
    let first = || crl(&pki.sub).times(may, "2026-12-31T00:00:00Z");
    let second = || crl(&pki.sub).times(june, "2026-12-31T00:00:00Z");
    let revoked = second().revoked(&pki.person, "2026-05-20T00:00:00Z", None);
    is(judge(&pki, &[first(), revoked]), Some(CertificateRevoked), "");
    // On hold, and taken back; on hold since.
    let held = first().revoked(&pki.person, "2026-04-20T00:00:00Z", HOLD);
    is(judge(&pki, &[held, second()]), None, "");
    let held = second().revoked(&pki.person, "2026-05-20T00:00:00Z", HOLD);
    is(judge(&pki, &[first(), held]), Some(CertificateRevoked), "certificateHold");
    // Judged before the hold was taken back.
    let held = first().revoked(&pki.person, "2026-04-20T00:00:00Z", HOLD);
    let judged = judge_at(&pki, &pki.person, &[held, second()], "2026-05-15T00:00:00Z");
    is(judged, Some(CertificateRevoked), "certificateHold");
}

#[test]
fn a_delta_changes_a_list_and_alone_shows_nothing() {
    let pki = Pki::new();
    let number = |n: u8| extension(20, false, &[2, 1, n]);
    let base = || crl(&pki.sub).with(number(5));
    let delta = || {
        crl(&pki.sub).times("2026-05-01T00:00:00Z", "2026-12-31T00:00:00Z").with(number(7)).with(extension(
            27,
            true,
            &[2, 1, 5],
        ))
    };
    is(judge(&pki, &[delta()]), Some(RevocationUnknown), "");
    is(judge(&pki, &[base(), delta()]), None, "");
    let revoking = delta().revoked(&pki.person, "2026-05-01T00:00:00Z", COMPROMISED);
    is(judge(&pki, &[base(), revoking]), Some(CertificateRevoked), "");
    let held = || base().revoked(&pki.person, "2026-04-01T00:00:00Z", HOLD);
    let releasing = || delta().revoked(&pki.person, "2026-04-01T00:00:00Z", REMOVED);
    is(judge(&pki, &[held()]), Some(CertificateRevoked), "");
    is(judge(&pki, &[held(), releasing()]), None, "");
    is(judge(&pki, &[releasing()]), Some(RevocationUnknown), "");
}

#[test]
fn a_list_that_cannot_be_relied_on_is_as_if_absent() {
    let pki = Pki::new();
    let other = Pki::new();
    // The right name, another's key.
    let mut forged = crl(&other.sub);
    forged.name = Certificate::read(&pki.sub.der).unwrap().subject.to_vec();
    is(judge(&pki, &[forged]), Some(RevocationUnknown), "");
    // A certificate that may not sign lists.
    let mut no_lists = ca_params("CA không ký danh sách");
    no_lists.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let no_lists = issue(no_lists, &pki.root);
    let person = issue(params("A"), &no_lists);
    let mut cms = pki.cms(&person);
    cms.certificates[1] = no_lists.der.clone();
    let trust = pki.with_crls(&[crl(&pki.root), crl(&no_lists)]);
    is(pki.judge_under(&trust, &cms.build(), now()), Some(RevocationUnknown), "");

    let bad = |list: ForgeCrl<'_>| Crl::read(&list.build()).unwrap_err();
    let unknown = tlv(SEQUENCE, &[&tlv(OID, &[&[0x2b, 6, 1]]), &[1, 1, 0xff], &[4, 2, 5, 0]]);
    assert!(matches!(bad(crl(&pki.sub).with(unknown.clone())), CrlError::Critical(_)));
    let mut odd = crl(&pki.sub);
    odd.entries = vec![entry(&pki.person, "2026-05-01T00:00:00Z", &[unknown])];
    assert!(matches!(bad(odd), CrlError::Critical(_)));
    let indirect = extension(28, true, &tlv(SEQUENCE, &[&[0x84, 1, 0xff]]));
    assert_eq!(bad(crl(&pki.sub).with(indirect)), CrlError::Indirect);
    let twice = crl(&pki.sub).with(extension(20, false, &[2, 1, 1])).with(extension(20, false, &[2, 1, 2]));
    assert!(matches!(bad(twice), CrlError::Malformed(_)));
    assert!(matches!(Crl::read(b"-----BEGIN"), Err(CrlError::Pem(_))));
    let text = Crl::read(b"not a list").unwrap_err().to_string();
    assert!(text.contains("neither DER nor PEM"), "{text}");
    let mut long = crl(&pki.sub).build();
    long.push(0);
    assert!(matches!(Crl::read(&long), Err(CrlError::Malformed(_))));
}

#[test]
fn another_key_of_the_issuer_under_the_same_root_signs_lists() {
    let pki = Pki::new();
    let mut only_lists = params("Sub CA thử nghiệm");
    only_lists.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let lister = issue(only_lists, &pki.root);
    let mut cms = pki.cms(&pki.person);
    cms.certificates.push(lister.der.clone());
    let judge = |lists: &[ForgeCrl<'_>]| pki.judge_under(&pki.with_crls(lists), &cms.build(), now());
    is(judge(&[crl(&pki.root), crl(&lister)]), None, "");
    // Not when its own certificate is revoked, or is another root's.
    let root = crl(&pki.root).revoked(&lister, "2026-01-01T00:00:00Z", None);
    is(judge(&[root, crl(&lister)]), Some(RevocationUnknown), "");
    let other = Pki::new();
    let mut only_lists = params("Sub CA thử nghiệm");
    only_lists.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let stranger = issue(only_lists, &other.root);
    let mut cms = pki.cms(&pki.person);
    cms.certificates.push(stranger.der.clone());
    let trust = crate::signature::Trust::new([&pki.root.der, &other.root.der]).unwrap();
    let lists = [crl(&pki.root), crl(&other.root), crl(&stranger)];
    let trust = trust.with_crls(super::pki::store(&lists));
    is(pki.judge_under(&trust, &cms.build(), now()), Some(RevocationUnknown), "");
}

#[test]
fn a_known_signer_costs_one_verification_until_the_lists_change() {
    let pki = Pki::new();
    let signature = pki.signer(&pki.person).sign_detached(&sha256(CONTENT), now()).unwrap();
    let cost = |trust: &crate::signature::Trust| {
        let before = VERIFICATIONS.get();
        is(pki.judge_under(trust, &signature, now()), None, "");
        VERIFICATIONS.get() - before
    };
    // The signature, two certificates (by us and then by the library), two lists.
    assert_eq!([cost(&pki.trust), cost(&pki.trust), cost(&pki.trust)], [7, 1, 1]);
    let newer = [crl(&pki.root), crl(&pki.sub).times("2026-05-30T00:00:00Z", "2026-12-31T00:00:00Z")];
    let newer = pki.with_crls(&newer);
    assert_ne!(newer.crls().fingerprint(), pki.trust.crls().fingerprint());
    // Both were signed anew.
    assert_eq!([cost(&newer), cost(&newer)], [3, 1]);
    // What is known answers only for its time and its lists.
    let at = |trust: &crate::signature::Trust, at: &str| {
        pki.judge_under(trust, &signature, at.parse().unwrap()).reason
    };
    for _ in 0..2 {
        assert_eq!(at(&newer, "2026-12-31T00:00:00Z"), None);
        assert_eq!(at(&newer, "2026-12-31T00:00:01Z"), Some(RevocationUnknown));
        assert_eq!(at(&newer, "2026-05-01T00:00:00Z"), None);
        let revoked = crl(&pki.sub).revoked(&pki.person, "2026-05-01T00:00:00Z", None);
        let revoked = pki.with_crls(&[crl(&pki.root), revoked]);
        assert_eq!(at(&revoked, "2026-06-01T00:00:00Z"), Some(CertificateRevoked));
    }
}

#[test]
fn a_list_of_100_000_entries_is_read_once_and_asked_fast() {
    let pki = Pki::new();
    let mut list = crl(&pki.sub);
    for n in 0..100_000u32 {
        let serial = tlv(2, &[&[1], &n.to_be_bytes()]);
        list.entries.push(tlv(SEQUENCE, &[&serial, &tlv(0x17, &[b"260101000000Z"])]));
    }
    list.entries.push(entry(&pki.seal, "2026-05-01T00:00:00Z", &[]));
    let read = Crl::read(&list.build()).unwrap();
    assert_eq!(read.len(), 100_001);
    for n in (0..100_000u32).step_by(997) {
        assert!(read.entry(&[[1].as_slice(), &n.to_be_bytes()].concat()).is_some());
    }
    assert!(read.entry(&[1, 0, 1, 0x86, 0xa0]).is_none());
    assert!(read.entry(Certificate::read(&pki.seal.der).unwrap().serial).is_some());
    assert!(read.entry(Certificate::read(&pki.person.der).unwrap().serial).is_none());
}
