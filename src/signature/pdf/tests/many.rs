//! Files of many signatures and revisions, as large as they may be.

use super::build::*;
use crate::signature::limits::{MAX_PDF_REVISIONS, MAX_PDF_SIGNATURES};
use crate::signature::pdf::read;

/// A letter with so many signatures, with so much room for each, and a revision of validation data after each.
fn signed_often(signatures: usize, room: usize, validation: bool) -> Vec<u8> {
    let mut pdf = letter();
    let (mut fields, mut certs) = (String::new(), String::new());
    for number in (0..signatures as u32).map(|n| 100 + 3 * n) {
        fields.push_str(&format!(" {} 0 R", number + 1));
        let value = signature_of(SIGNATURE, room);
        let field = format!(
            "<</FT/Sig/T(S{number})/Type/Annot/Subtype/Widget/F 132/P 9 0 R/V {number} 0 R/Rect[0 0 0 0]>>"
        );
        let page = LETTER[8].1.replace("[7 0 R]", &format!("[7 0 R{fields}]"));
        let form = format!("<</Fields[7 0 R{fields}]/SigFlags 3>>");
        pdf = signed_by(&pdf, &[(number, &*value), (number + 1, &field), (8, &form), (9, &page)]);
        if validation {
            certs.push_str(&format!(" {} 0 R", number + 2));
            let catalog = format!(
                "<</Type/Catalog/Pages 2 0 R/AcroForm 8 0 R/Metadata 10 0 R/DSS<</Certs[{certs}]>>>>"
            );
            let cert = format!("<</Length 0>>\nstream\n{number}\nendstream");
            pdf = revise(&pdf, &[(1, &catalog), (number + 2, &cert)]);
        }
    }
    pdf
}

#[test]
fn as_many_signatures_as_there_may_be_are_read_whatever_room_they_have() {
    // The first section is the letter's own; validation data come after all but the last signature.
    let pairs = (MAX_PDF_REVISIONS - 1) / 2;
    for (signatures, room, validation) in [(MAX_PDF_SIGNATURES, 40_000, false), (pairs, 40_000, true)] {
        let pdf = signed_often(signatures, room, validation);
        let found = read(&pdf).unwrap().signatures;
        assert_eq!(found.len(), signatures);
        assert!(found.iter().all(|signature| signature.modified.is_none()), "{:?}", found[0].modified);
        // And what is not allowed is seen at the end of all that.
        let changed = revise(&pdf, &[(4, "<</Length 0>>\nstream\nBT ET\nendstream")]);
        let found = read(&changed);
        assert!(
            found.is_err() || found.unwrap().signatures.iter().all(|signature| signature.modified.is_some())
        );
    }
    let over = signed_often(MAX_PDF_SIGNATURES + 1, 100, false);
    assert!(refused(&over).contains("too many signatures"));
}

#[test]
fn what_one_revision_adds_the_next_may_drop() {
    let signed = signed();
    let catalog = |more: &str| format!("<</Type/Catalog/Pages 2 0 R/AcroForm 8 0 R/Metadata 10 0 R{more}>>");
    let stored = revise(
        &signed,
        &[(1, &catalog("/DSS<</Certs[40 0 R]>>")), (40, "<</Length 0>>\nstream\nDER\nendstream")],
    );
    assert_eq!(modified(&stored), None);
    let free = |catalog: &str| {
        let revised = revise(&stored, &[(1, catalog)]);
        let text = "xref\n1 1\n";
        let at = revised.windows(text.len()).rposition(|window| window == text.as_bytes()).unwrap();
        [&revised[..at + 5], b"40 1\n0000000000 00001 f \n", &revised[at + 5..]].concat()
    };
    // Nothing refers to it any more; or something does, and misses it.
    assert_eq!(modified(&free(&catalog(""))), None);
    assert!(modified(&free(&catalog("/DSS<</Certs[40 0 R]>>"))).unwrap().contains("object 40 was removed"));
}
