//! Kinds of files that writers make: hybrid ones, lists that are objects of their own, fields that wait.

use super::build::*;
use super::making::sign;
use crate::signature::pdf::read;
use crate::signature::pdf::xref::startxref;

/// The letter as word processors write it: the information stands in an object stream, which a stream beside an empty
/// table lists.
fn hybrid() -> Vec<u8> {
    let mut pdf = letter_with(&[
        (6, "null"),
        (33, "<</Type/ObjStm/N 1/First 4/Length 0>>\nstream\n6 0 <</Title(L)>>\nendstream"),
    ]);
    let prev = startxref(&pdf).unwrap();
    let stream = pdf.len();
    let row = [2, 0, 0, 0, 33, 0, 0];
    pdf.extend(b"34 0 obj\n<</Type/XRef/Root 1 0 R/Size 35/W[1 4 2]/Index[6 1]/Length 7>>\nstream\n");
    pdf.extend(row);
    pdf.extend(b"\nendstream\nendobj\n");
    let table = pdf.len();
    let end = format!(
        "xref\n0 0\ntrailer\n<</Size 35/Root 1 0 R/Info 6 0 R/Prev {prev}/XRefStm {stream}>>\nstartxref\n{table}\n%%EOF\n"
    );
    pdf.extend(end.bytes());
    pdf
}

#[test]
fn every_kind_of_file_is_signed_twice() {
    let listed = letter_with(&[
        (3, &LETTER[2].1.replace("/Resources", "/Annots 20 0 R/Resources")),
        (8, "<</Fields 21 0 R>>"),
        (20, "[]"),
        (21, "[7 0 R]"),
    ]);
    let direct = letter_with(&[(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[7 0 R]>>>>")]);
    let bare = letter_with(&[(1, "<</Type/Catalog/Pages 2 0 R>>")]);
    for (kind, pdf) in [
        ("table", letter()),
        ("stream", file(&LETTER, true)),
        ("hybrid", hybrid()),
        ("lists apart", listed),
        ("direct form", direct),
        ("no form", bare),
    ] {
        let one = sign(&pdf, "Person").unwrap_or_else(|error| panic!("{kind}: {error}"));
        let two = sign(&one, "Agency").unwrap_or_else(|error| panic!("{kind}: {error}"));
        let found = read(&two).unwrap().signatures;
        assert_eq!(found.len(), 2, "{kind}");
        assert!(found.iter().all(|signature| signature.modified.is_none()), "{kind}: {found:?}");
        // And what is not allowed is seen there, too.
        let changed = revise(&two, &[(4, "<</Length 0>>\nstream\nBT ET\nendstream")]);
        assert!(modified(&changed).is_some(), "{kind}");
    }
}

#[test]
fn a_field_that_waits_may_be_filled_and_not_moved() {
    let first = signed_with_a_field_that_waits();
    let fill = |field: &str| {
        modified(&Forgery { waiting: 1, name: "Agency", field, ..Forgery::default() }.sign(&first))
    };
    assert_eq!(fill("/Rect[300 100 400 200]"), None);
    assert!(fill("/Rect[300 100 400 300]").unwrap().contains("/Rect of the field `Agency`"));
    assert!(fill("/Rect[300 100 400 200]/A<<>>").unwrap().contains("/A of the field `Agency`"));
}
