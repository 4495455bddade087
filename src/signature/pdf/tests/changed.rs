//! What may not be changed after signing, and what may.

use super::build::*;
use super::making::sign;
use crate::signature::pdf::{PdfSignError, read};

/// A stamp that paints a red square.
const STAMP: (u32, &str) =
    (41, "<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Length 0>>\nstream\n1 0 0 rg 0 0 9 9 re f\nendstream");

/// A signature with a stamp on the first page.
fn stamped(signed: &[u8], widget: &str) -> Option<String> {
    let widget = format!("/AP<</N 41 0 R>>{widget}");
    modified(&Seal { widget: &widget, more: &[STAMP], ..Seal::default() }.put(signed))
}

#[test]
fn nothing_that_shows_or_acts_may_change() {
    let signed = signed();
    assert_eq!(modified(&signed), None);
    let catalog = |more: &str| format!("<</Type/Catalog/Pages 2 0 R/AcroForm 8 0 R/Metadata 10 0 R{more}>>");
    let page = |more: &str| LETTER[2].1.replace(">>>>>>", &format!(">>>>{more}>>"));
    let square = "<</Type/Annot/Subtype/Square/Rect[60 700 300 800]/IC[1 1 1]>>";
    let new_page = "<</Type/Page/Parent 2 0 R/Resources<<>>>>";
    let text =
        |text: &str| format!("<</Length 0>>\nstream\nBT /F1 14 Tf 72 760 Td ({text}) Tj ET\nendstream");
    let cases: Vec<(&str, Vec<(u32, String)>)> = vec![
        (
            "(Pages) was changed",
            vec![(2, LETTER[1].1.replace("9 0 R]/Count 2", "9 0 R 40 0 R]/Count 3")), (40, new_page.into())],
        ),
        ("(Pages) was changed", vec![(2, LETTER[1].1.replace(" 9 0 R]/Count 2", "]/Count 1"))]),
        ("(Pages) was changed", vec![(2, LETTER[1].1.replace("3 0 R 9 0 R", "9 0 R 3 0 R"))]),
        ("(Pages) was changed", vec![(2, LETTER[1].1.replace("/MediaBox", "/Rotate 90/MediaBox"))]),
        ("object 4 was changed", vec![(4, text("Pay two million"))]),
        (
            "/Contents of the page",
            vec![(3, LETTER[2].1.replace("4 0 R", "4 0 R 40 0 R")), (40, text("and more"))],
        ),
        ("/MediaBox of the page", vec![(3, page("/MediaBox[0 0 10 10]"))]),
        ("/Resources of the page", vec![(3, LETTER[2].1.replace("/F1", "/F2"))]),
        ("/AA of the page", vec![(3, page("/AA<</O<</S/JavaScript/JS(x)>>>>"))]),
        ("annotation was put", vec![(3, page("/Annots[40 0 R]")), (40, square.into())]),
        ("annotation was put", vec![(3, page(&format!("/Annots[{square}]")))]),
        ("annotations of the page", vec![(9, LETTER[8].1.replace("/Annots[7 0 R]", ""))]),
        ("(Font) was changed", vec![(5, LETTER[4].1.replace("Helvetica", "Symbol"))]),
        (
            "/OCProperties of the catalog",
            vec![
                (1, catalog("/OCProperties<</OCGs[40 0 R]/D<</OFF[40 0 R]>>>>")),
                (40, "<</Type/OCG/Name(a)>>".into()),
            ],
        ),
        ("/OpenAction of the catalog", vec![(1, catalog("/OpenAction<</S/JavaScript/JS(x)>>"))]),
        ("/AA of the catalog", vec![(1, catalog("/AA<<>>"))]),
        ("/Names of the catalog", vec![(1, catalog("/Names<<>>"))]),
        (
            "/Pages of the catalog",
            vec![(1, catalog("").replace("/Pages 2", "/Pages 40")), (40, LETTER[1].1.into())],
        ),
        ("field `Amount` was changed", vec![(7, LETTER[6].1.replace("1000", "9000"))]),
        ("field `Person` was changed", vec![(13, "<</FT/Sig/T(Person)/V 12 0 R>>".into())]),
        ("fields of the form were removed", vec![(8, "<</Fields[13 0 R]/SigFlags 3>>".into())]),
        ("/NeedAppearances of the form", vec![(8, "<</Fields[7 0 R 13 0 R]/NeedAppearances true>>".into())]),
        ("/DR of the form", vec![(8, "<</Fields[7 0 R 13 0 R]/DR<</Font<</F 5 0 R>>>>>>".into())]),
        ("/XFA of the form", vec![(8, "<</Fields[7 0 R 13 0 R]/XFA(x)>>".into())]),
        ("not for a signature", vec![(8, FORM.into()), (40, "<</FT/Tx/T(B)/V(1)>>".into())]),
        ("a second field `Person`", vec![(8, FORM.into()), (40, "<</FT/Sig/T(Person)>>".into())]),
        ("with /A", vec![(8, FORM.into()), (40, "<</FT/Sig/T(B)/A<</S/JavaScript/JS(x)>>>>".into())]),
        ("with /OC", vec![(8, FORM.into()), (40, "<</FT/Sig/T(B)/OC 41 0 R>>".into())]),
        ("object 40 was added", vec![(40, "<</Length 0>>\nstream\n\nendstream".into())]),
        ("metadata were replaced", vec![(10, "<</Type/Font>>".into())]),
        (
            "which was referred to and missing",
            vec![
                (1, catalog("").replace("10 0 R", "30 0 R")),
                (30, format!("<</Type/Metadata{}", &text("and more")[2..])),
            ],
        ),
        ("to the validation data", vec![(1, catalog("/DSS<</JS(x)>>"))]),
        ("not in a stream", vec![(1, catalog("/DSS<</Certs[40 0 R]>>")), (40, "<</Type/Page>>".into())]),
    ];
    for (expected, objects) in cases {
        let objects: Vec<(u32, &str)> =
            objects.iter().map(|(number, body)| (*number, body.as_str())).collect();
        let changed = revise(&signed, &objects);
        let found = modified(&changed);
        assert!(found.as_deref().is_some_and(|found| found.contains(expected)), "{expected}: {found:?}");
        // Taking it back in another revision undoes nothing; nor does a signature that comes later.
        let before = |(number, _): &(u32, &str)| {
            LETTER.iter().find(|(other, _)| other == number && *number != 8).copied()
        };
        let sorry: Vec<(u32, &str)> = objects.iter().filter_map(before).collect();
        assert!(modified(&revise(&changed, &sorry)).is_some(), "{expected}");
    }
    let bad = [(8, FORM), (40, "<</FT/Sig/T(B)/V<</A 1>>>>")];
    assert!(refused(&revise(&signed, &bad)).contains("no ByteRange"));
    // Without the form there are no signatures, and nothing is signed.
    let bare = revise(&signed, &[(1, "<</Type/Catalog/Pages 2 0 R>>")]);
    assert_eq!(read(&bare).unwrap().signatures, []);
    assert!(refused(&revise(&signed, &[(12, "<</Type/Sig>>")])).contains("no ByteRange"));
}

#[test]
fn metadata_validation_data_and_signatures_may_be_added() {
    let signed = signed();
    let catalog = "<</Type/Catalog/Pages 2 0 R/AcroForm 8 0 R/Metadata 40 0 R/Version/2.0\
                   /Extensions<</ESIC<</BaseVersion/1.7/ExtensionLevel 2>>>>/DSS 41 0 R>>";
    let later = revise(
        &signed,
        &[
            (1, catalog),
            (6, "<</Title(Letter)/ModDate(D:20260601)>>"),
            (40, LETTER[9].1),
            (41, "<</Certs 42 0 R/VRI<</AB<</Cert[43 0 R]/TU(D:20260601)>>>>>>"),
            (42, "[43 0 R]"),
            (43, "<</Length 0>>\nstream\nDER\nendstream"),
        ],
    );
    assert_eq!(modified(&later), None);
    assert_eq!(read(&later).unwrap().validation.certs, [b"DER"]);
    // The store grows; the old one is written anew under its numbers.
    let more = revise(
        &later,
        &[
            (41, "<</Certs 42 0 R/CRLs[44 0 R]>>"),
            (42, "[43 0 R 44 0 R]"),
            (44, "<</Length 0>>\nstream\nCRL\nendstream"),
        ],
    );
    assert_eq!(modified(&more), None);
    let replaced = revise(&later, &[(43, "<</Length 0>>\nstream\nBAD\nendstream")]);
    assert!(modified(&replaced).unwrap().contains("object 43 was changed"));
    let second =
        Forgery { name: "Agency", ..Forgery::default() }.sign(&revise(&signed, &[(6, "<</Title(L)>>")]));
    assert_eq!(modified(&second), None);
    assert_eq!(read(&second).unwrap().signatures.len(), 2);
    // Where the cross-reference is a stream, it refers to the information, too.
    let streamed = sign(&file(&LETTER, true), "Person").unwrap();
    assert_eq!(modified(&revise(&streamed, &[(6, "<</Title(L)>>")])), None);
    // The same objects again, and white space after the end, change nothing.
    assert_eq!(modified(&revise(&signed, &LETTER[1..7])), None);
    assert_eq!(modified(&[&signed[..], b"\r\n \n"].concat()), None);
}

#[test]
fn an_object_may_change_only_in_the_one_role_that_it_has() {
    // The page's contents are the metadata, too.
    let content = "<</Type/Metadata/Subtype/XML/Length 0>>\nstream\nBT (a) Tj ET\nendstream";
    let shadow =
        letter_with(&[(4, content), (1, "<</Type/Catalog/Pages 2 0 R/AcroForm 8 0 R/Metadata 4 0 R>>")]);
    let later = revise(&Forgery::default().sign(&shadow), &[(4, &content.replace("(a)", "(b)"))]);
    assert!(modified(&later).unwrap().contains("object 4 (Metadata) was changed"));
    // The document information is the page's resources, too.
    let shadow = letter_with(&[(3, "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources 6 0 R>>")]);
    let later = revise(&Forgery::default().sign(&shadow), &[(6, "<</Font 5 0 R>>")]);
    assert!(modified(&later).unwrap().contains("object 6 was changed"));
}

#[test]
fn a_visible_signature_may_not_cover_what_was_signed() {
    let signed = signed();
    let with = |more: &str| stamped(&signed, more);
    assert_eq!(with("/Rect[300 100 400 200]"), None);
    for (more, why) in [
        ("/Rect[60 700 300 800]", "covers text"),
        ("/Rect[300 800 60 700]", "covers text"),
        ("/Rect[72 771 74 773]", "covers text"),
        ("/F 8/Rect[300 100 400 200]", "does not keep its place"),
        ("/Rect[1 2]", "without a place"),
        ("", "without a place"),
    ] {
        assert!(with(more).is_some_and(|found| found.contains(why)), "{more}: {:?}", with(more));
    }
    // On the other page there is an annotation.
    let page = LETTER[8].1.replace("[7 0 R]", "[7 0 R 13 0 R 40 0 R]");
    let over = Seal { widget: "/Rect[100 610 200 700]", page: (9, &page), ..Seal::default() }.put(&signed);
    assert!(modified(&over).unwrap().contains("covers an annotation"));
    // A scanned page is one image; what is not understood may be anything.
    for (content, why) in [
        ("q 595 0 0 842 0 0 cm /I Do Q", "covers an image"),
        ("0 0 595 842 re f", "covers an area"),
        ("1 g 0 0 595 842 re f 0 g", ""),
        // White is not always the white of the paper.
        ("1 g 0 0 595 842 re f /D gs 1 g 0 0 595 842 re f", "may cover something"),
        ("/O gs 1 g 0 0 595 842 re f", ""),
        ("1 1 1 rg 0 0 595 842 re f", "covers an area"),
        ("1 g 4294967296 0 5 5 re f", "may cover something"),
        ("0 0 5 5 re W n 0 0 595 842 re f", ""),
        ("300 150 m 400 150 l S", "covers a line"),
        ("q 1 0 0 1 300 90 cm /Fm Do Q", "covers an area"),
        ("BI /W 1 ID x EI", "may cover something"),
        ("BT /F9 9 Tf (a) Tj ET", "may cover something"),
        ("wrong", "may cover something"),
    ] {
        let content = format!("<</Length 0>>\nstream\n{content}\nendstream");
        let states = "/ExtGState<</D<</BM/Difference>>/O<</BM/Normal/ca 1/LW 1>>>>";
        let more =
            "/ColorSpace<</DefaultRGB[/Separation/A/DeviceRGB<<>>]>>/XObject<</I 20 0 R/Fm 21 0 R>>/Font";
        let resources = PAGE.replace("/Font", &format!("{states}{more}"));
        let image = "<</Type/XObject/Subtype/Image/Width 1/Height 1/Length 0>>\nstream\n\nendstream";
        let form = "<</Subtype/Form/BBox[0 0 50 50]/Length 0>>\nstream\n9 9 30 30 re f\nendstream";
        let unsigned = resources.replace("/Annots[40 0 R]", "");
        let pdf = letter_with(&[(3, &unsigned), (4, &content), (20, image), (21, form)]);
        let signed = Forgery::default().sign(&pdf);
        let found = modified(&Seal { page: (3, &resources), ..Seal::default() }.put(&signed));
        assert_eq!(found.is_none(), why.is_empty(), "{content}: {found:?}");
        assert!(found.unwrap_or_default().contains(why), "{content}");
    }
}

#[test]
fn a_seal_may_lie_over_a_part_of_the_persons_signature() {
    let person = Forgery { field: "/Rect[300 100 400 200]", ..Forgery::default() }.sign(&letter());
    let agency = |rect: &str| {
        let forgery = Forgery { field: &format!("/Rect{rect}"), name: "Agency", ..Forgery::default() };
        modified(&forgery.sign(&person))
    };
    assert_eq!(agency("[240 100 333 200]"), None);
    assert!(agency("[240 100 390 200]").unwrap().contains("covers an annotation"));
}

#[test]
fn certifications_and_locks_close_a_document() {
    let sign_after = |value: &str, field: &str, second: &str| {
        let first = Forgery { value, field, ..Forgery::default() }.sign(&letter());
        modified(&Forgery { name: "Agency", value: second, ..Forgery::default() }.sign(&first))
    };
    let mdp =
        |level: u32| format!("/Reference[<</TransformMethod/DocMDP/TransformParams<</P {level}/V/1.2>>>>]");
    let fields = |lock: &str| format!("/Reference[<</TransformMethod/FieldMDP/TransformParams<<{lock}>>>>]");
    let plain = "/Rect[0 0 0 0]";
    let closed =
        |found: Option<String>| found.is_some_and(|found| found.contains("an earlier signature closed"));
    assert!(closed(sign_after(&mdp(1), plain, "")));
    assert_eq!(sign_after(&mdp(2), plain, ""), None);
    assert!(closed(sign_after(&fields("/Action/All"), plain, "")));
    assert!(closed(sign_after(&fields("/Action/Include/Fields[(Agency)]"), plain, "")));
    assert!(closed(sign_after(&fields("/Action/Exclude/Fields[(Amount)]"), plain, "")));
    assert_eq!(sign_after(&fields("/Action/Include/Fields[(Amount)]"), plain, ""), None);
    assert!(closed(sign_after("", "/Rect[0 0 0 0]/Lock<</Action/Include/Fields[]/P 1>>", "")));
    // A document timestamp is allowed after all of them; of two sub-filters there is one.
    let first = Forgery { value: &mdp(1), ..Forgery::default() }.sign(&letter());
    let mut stamped = Forgery { name: "Agency", ..Forgery::default() }.sign(&first);
    let at = stamped.windows(30).rposition(|w| w.starts_with(b"/SubFilter/ETSI.CAdES.detached")).unwrap();
    stamped[at..at + 30].copy_from_slice(b"/SubFilter/ETSI.RFC3161       ");
    assert_eq!(modified(&stamped), None);
    // We make none that is refused.
    assert!(matches!(sign(&first, "Agency"), Err(PdfSignError::Closed { .. })));
}

#[test]
fn what_does_not_build_on_the_signed_revision_replaces_it() {
    let signed = signed();
    // Bytes in no revision.
    let last = read(&signed).map(|_| crate::signature::pdf::xref::startxref(&signed).unwrap()).unwrap();
    let junk =
        [&signed[..], format!("4 0 obj\nnull\nendobj\nstartxref\n{last}\n%%EOF\n").as_bytes()].concat();
    assert!(modified(&junk).unwrap().contains("in no revision"));
    // Another catalog.
    let mut out = crate::signature::pdf::write::Revision::after(&signed);
    out.put(40, 0, LETTER[0].1.as_bytes());
    let root = crate::signature::pdf::object::Object::Reference(40, 0);
    out.finish(&trailer(&signed).with(b"Root", root), 60, None);
    assert!(modified(&out.bytes).unwrap().contains("another catalog"));
    // A whole new table that leaves out the way back, and with it the letter's first revision.
    let mut out = signed.clone();
    let place = |number: u32| {
        let head = format!("\n{number} 0 obj");
        signed.windows(head.len()).rposition(|window| window == head.as_bytes()).unwrap() + 1
    };
    let start = out.len();
    out.extend_from_slice(b"xref\n0 14\n0000000000 65535 f \n");
    for number in 1..14 {
        out.extend_from_slice(format!("{:010} 00000 n \n", place(number)).as_bytes());
    }
    let end = format!("trailer\n<</Size 14/Root 1 0 R/Info 6 0 R>>\nstartxref\n{start}\n%%EOF\n");
    out.extend_from_slice(end.as_bytes());
    assert!(modified(&out).unwrap().contains("was not built on the revision"));
    // The same object under another generation is found by nobody who refers to it.
    let mut out = crate::signature::pdf::write::Revision::after(&signed);
    out.put(5, 1, LETTER[4].1.as_bytes());
    out.finish(&trailer(&signed), 60, None);
    assert!(modified(&out.bytes).unwrap().contains("(Font) was put under another generation"));
    // Another page content for readers that take the first of two entries.
    let start = signed.len();
    let place = place(4);
    let content = b"4 0 obj\n<</Length 0>>\nstream\n\nendstream\nendobj\n";
    let section = format!(
        "xref\n4 1\n{start:010} 00000 n \n4 1\n{place:010} 00000 n \ntrailer\n<</Size 14/Root 1 0 R/Info 6 0 R\
         /Prev {last}>>\nstartxref\n{}\n%%EOF\n",
        start + content.len()
    );
    let twice = [&signed[..], content, section.as_bytes()].concat();
    assert!(refused(&twice).contains("one section lists it at two places"));
    // A freed object.
    let start = signed.len();
    let freed = format!(
        "xref\n5 1\n0000000000 00001 f \ntrailer\n<</Size 14/Root 1 0 R/Info 6 0 R/Prev {last}>>\nstartxref\n{start}\n%%EOF\n"
    );
    assert!(modified(&[&signed[..], freed.as_bytes()].concat()).unwrap().contains("(Font) was removed"));
}
