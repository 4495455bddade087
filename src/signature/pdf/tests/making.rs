//! What we make, read again; by other tools see the module.

use std::sync::LazyLock;

use super::corpus::documents;
use crate::signature::digest::sha256;
use crate::signature::pdf::{PdfSignError, PdfSignatureDetails, PdfSignatureKind, read, sign_pdf};
use crate::signature::tests::pki;
use crate::signature::{CrlStore, Digests, Reason, Signer, Trust, Verdict, judge_detached, judge_pdf};

/// A signer, the root of its certificate, and the root's revocation list.
pub fn party() -> &'static (Signer, Vec<u8>, CrlStore) {
    static PARTY: LazyLock<(Signer, Vec<u8>, CrlStore)> = LazyLock::new(|| {
        let root = pki::self_signed(pki::ca_params("Root"));
        let person = pki::issue(pki::params("Nguyễn Văn A"), &root);
        let signer = Signer::new(person.signing_key(), person.der.clone(), vec![]).unwrap();
        (signer, root.der.clone(), pki::store_of(&[&root]))
    });
    &PARTY
}

pub fn sign(pdf: &[u8], field: &str) -> Result<Vec<u8>, PdfSignError> {
    let details =
        PdfSignatureDetails {
            field, at: pki::now(), name: Some("Nguyễn Văn A"), reason: Some("Ký số")
        };
    sign_pdf(pdf, &party().0, &details)
}

/// Signs twice, and reads and judges both.
fn twice(pdf: &[u8]) {
    let one = sign(pdf, "Person").unwrap();
    assert_eq!(&one[..pdf.len()], pdf);
    let two = sign(&one, "Agency").unwrap();
    assert_eq!(sign(&two, "Agency"), Err(PdfSignError::FieldExists("Agency".into())));
    let found = read(&two).unwrap();
    let trust = Trust::new([party().1.clone()]).unwrap().with_crls(party().2.clone());
    assert_eq!(found.signatures.len(), 2);
    let whole = judge_pdf(&two, "bd", &trust, pki::now());
    assert_eq!((whole.person, whole.signatures.len()), (Verdict::Valid, 2), "{whole:?}");
    assert_eq!(whole.signatures[0].claimed_at, Some(pki::now()));
    for (signature, field) in found.signatures.iter().zip(["Person", "Agency"]) {
        assert_eq!((&*signature.field, &signature.modified), (field, &None));
        assert_eq!(signature.kind, PdfSignatureKind::CadesDetached);
        assert_eq!(signature.claimed_at, Some(pki::now()));
        let [a, b] = signature.ranges.clone();
        let content = [&two[a], &two[b]].concat();
        let digests = Digests { sha256: sha256(&content), sha384: None, sha512: None };
        let verdict = judge_detached(&[&signature.cms], &digests, "bd", &trust, pki::now());
        assert_eq!(verdict.person, Verdict::Valid, "{verdict:?}");
        assert_eq!(verdict.signatures[0].claimed_at, None);
    }
}

#[test]
fn a_letter_is_signed_by_a_person_and_then_by_the_agency() {
    twice(&std::fs::read(documents().join("06-unsigned.pdf")).unwrap());
}

#[test]
fn a_timestamp_of_nothing_explains_nothing() {
    use super::build::*;

    let trust = Trust::new([party().1.clone()]).unwrap().with_crls(party().2.clone());
    let judge = |pdf: &[u8]| judge_pdf(pdf, "bd", &trust, pki::now()).signatures.remove(0);
    let signed = sign(&letter(), "Person").unwrap();
    assert_eq!(judge(&signed).verdict, Verdict::Valid);
    let field = "<</FT/Sig/T(Stamp)/Type/Annot/Subtype/Widget/F 132/Rect[0 0 0 0]/V 50 0 R>>";
    // The person's field is the second object behind the letter's.
    let form = "<</Fields[7 0 R 33 0 R 40 0 R]/SigFlags 3>>";
    let after = |value: &str| judge(&signed_by(&signed, &[(50, value), (40, field), (8, form)]));
    // Nothing shows, and who signed is not changed by it: but no authority stamped this document.
    let stamped = after(&signature_of(TIMESTAMP, 40));
    assert_eq!((stamped.verdict, stamped.reason), (Verdict::Invalid, Some(Reason::ModifiedAfterSigning)));
    assert!(stamped.detail.contains("`Stamp` was added as a document timestamp"), "{}", stamped.detail);
    // A signature is judged for itself.
    assert_eq!(after(&signature_of(SIGNATURE, 40)).verdict, Verdict::Valid);
}

#[test]
fn size_is_one_more_than_the_highest_object() {
    // 7.5.5; qpdf warns of anything else. The first revision makes a form, the second finds it there.
    use super::super::file::File;
    use super::build::{LETTER, file};
    let letter = std::fs::read(documents().join("06-unsigned.pdf")).unwrap();
    for pdf in [letter, file(&LETTER, false), file(&LETTER, true)] {
        let one = sign(&pdf, "Person").unwrap();
        let two = sign(&one, "Agency").unwrap();
        for made in [&one, &two] {
            let file = File::open(made).unwrap();
            let highest =
                file.sections.iter().flat_map(|section| &section.entries).map(|entry| entry.0).max();
            let size = file.last().trailer().size(b"Size").unwrap();
            assert_eq!(size, highest.unwrap() as usize + 1);
        }
    }
}

#[test]
fn what_is_signed_already_gets_a_further_signature() {
    let signed = std::fs::read(documents().join("01-rsa-person-and-agency.pdf")).unwrap();
    let more = sign(&signed, "Văn thư").unwrap();
    let found = read(&more).unwrap();
    assert_eq!(found.signatures.len(), 3);
    assert!(found.signatures.iter().all(|signature| signature.modified.is_none()));
    assert_eq!(found.signatures[2].field, "Văn thư");
}
