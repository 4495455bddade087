//! What a further signature may show, and what shows without one.

use super::build::*;
use crate::signature::pdf::read;

const RED: &str = "1 0 0 rg -1000 -1000 3000 3000 re f";

/// An appearance with these keys.
fn form(keys: &str, content: &str) -> String {
    format!("<</Type/XObject/Subtype/Form{keys}/Length 0>>\nstream\n{content}\nendstream")
}

/// A field on the first page with an appearance.
fn shown(value: Option<&str>, widget: &str, appearance: &str) -> Option<String> {
    let widget = format!("/AP<</N 41 0 R>>{widget}");
    modified(&Seal { widget: &widget, value, more: &[(41, appearance)], ..Seal::default() }.put(&signed()))
}

const RECT: &str = "/Rect[300 100 400 200]";

#[test]
fn an_appearance_is_bounded_by_a_box_that_every_viewer_takes_for_the_same() {
    for keys in [
        "/BBox[0 0 100 100]",
        "/BBox[100 100 0 0]",
        "/BBox[0 0 9.5 9.5]/FormType 1/Matrix[1 0 0 1 0 0]/Resources<<>>",
        "/BBox[0 0 100 100]/Matrix[0 1 -1 0 100 0]",
    ] {
        assert_eq!(shown(Some(SIGNATURE), RECT, &form(keys, RED)), None, "{keys}");
    }
    for (keys, why) in [
        ("", "no /BBox"),
        ("/BBox[0 0 10]", "no /BBox"),
        ("/BBox[0 0 10 10 10]", "no /BBox"),
        ("/BBox[/a/b/c/d]", "no /BBox"),
        ("/BBox 5 0 R", "no /BBox"),
        ("/BBox[0 0 4294967296 4294967296]", "takes differently"),
        ("/BBox[0 0 200000 200000]", "no /BBox"),
        ("/BBox[0 0 0 0]", "does not fit"),
        ("/BBox[0 0 0 842]", "does not fit"),
        ("/BBox[0 0 0.0000001 0.0000001]", "does not fit"),
        ("/BBox[0 0 9 9]/Matrix[0 0 0 0 0 0]", "does not fit"),
        ("/BBox[0 0 9 9]/Matrix[1 0 0 1 4294967296 0]", "takes differently"),
        ("/BBox[0 0 9 9]/Matrix[1 0 0 1]", "/Matrix that is none"),
        ("/BBox[0 0 9 9]/OC 5 0 R", "has /OC"),
        ("/BBox[0 0 9 9]/Ref<<>>", "has /Ref"),
    ] {
        let found = shown(Some(SIGNATURE), RECT, &form(keys, RED)).unwrap_or_default();
        let why = why.replace("takes differently", "readers take differently");
        assert!(found.contains(&why), "{keys}: {found}");
    }
    // Another object in its place: the page's own contents, or no stream at all.
    for ap in [
        "/AP<</N 4 0 R>>",
        "/AP<</N<</On 4 0 R>>>>",
        "/AP<</N 5 0 R>>",
        "/AP<</N[41 0 R]>>",
        "/AP<</X 4 0 R>>",
    ] {
        let widget = format!("{RECT}{ap}");
        let found = modified(&Seal { widget: &widget, ..Seal::default() }.put(&signed()));
        assert!(found.is_some(), "{ap}");
    }
    // Every state counts.
    let widget = format!("{RECT}/AP<</N<</A 41 0 R/B 42 0 R>>>>");
    let (good, bad) = (form("/BBox[0 0 9 9]", RED), form("", RED));
    let states = Seal { widget: &widget, more: &[(41, &good), (42, &bad)], ..Seal::default() };
    assert!(modified(&states.put(&signed())).unwrap().contains("no /BBox"));
}

#[test]
fn what_is_hidden_or_has_no_area_paints_nothing() {
    for (widget, appearance) in [
        ("/Rect[0 0 0 0]", form("", RED)),
        ("/Rect[0 0 0 0]", form("/BBox[0 0 595 842]", RED)),
        ("/Rect[0 0 0 0]", form("/BBox[0 0 0 0]", "1 g 0 0 595 842 re f")),
        ("/Rect[0 0 0 842]", form("/BBox[0 0 595 842]", RED)),
        ("/F 2/Rect[0 0 595 842]", form("/BBox[0 0 595 842]", RED)),
    ] {
        assert!(shown(Some(SIGNATURE), widget, &appearance).is_some(), "{widget} {appearance}");
    }
    // As tools write them that always make an appearance.
    for (widget, appearance) in [
        ("/Rect[0 0 0 0]", form("/BBox[0 0 0 0]", "% DSBlank")),
        ("/F 132/Rect[0 0 0 0]", form("/BBox[0 0 100 100]", "/Tx BMC\nEMC")),
        ("/F 2/Rect[60 700 300 800]", form("/BBox[0 0 0 0]", "q Q")),
    ] {
        for value in [Some(SIGNATURE), Some(TIMESTAMP), None] {
            assert_eq!(shown(value, widget, &appearance), None, "{widget} {appearance}");
        }
    }
}

#[test]
fn numbers_that_viewers_take_differently_place_nothing() {
    let appearance = form("/BBox[0 0 595 842]", RED);
    for (widget, why) in [
        ("/Rect[4294967296 4294967296 595 842]", "readers take differently"),
        ("/Rect[-9999999999 -9999999999 0 0]", "readers take differently"),
        ("/Rect[200000 200000 595 842]", "/Rect that is none"),
        ("/Rect[300 100 400 200 0 0 595 842]", "/Rect that is none"),
        ("/F 4294967298/Rect[300 100 400 200]", "readers take differently"),
        ("/F 65538/Rect[300 100 400 200]", "no set of flags"),
        ("/F 2.0/Rect[0 0 595 842]", "no set of flags"),
        ("/F -2/Rect[300 100 400 200]", "no set of flags"),
        ("/F 6 0 R/Rect[300 100 400 200]", "no set of flags"),
        ("/F 16/Rect[300 100 400 200]", "does not keep its place"),
    ] {
        let found = shown(Some(SIGNATURE), widget, &appearance).unwrap_or_default();
        assert!(found.contains(why), "{widget}: {found}");
    }
    // A name with a zero in it is another one to readers that end it there.
    let ended = shown(Some(SIGNATURE), RECT, &form("/BBox[0 0 9 9]/BBox#00[0 0 595 842]", RED));
    assert!(ended.unwrap().contains("readers take differently"));
    // An integer is not the same as a real, which some viewers do not take for flags.
    let stamp = "<</Type/Annot/Subtype/Stamp/Rect[0 0 595 842]/F 2/AP<</N 21 0 R>>>>";
    let page = LETTER[8].1.replace("[7 0 R]", "[7 0 R 13 0 R]");
    let hidden = letter_with(&[
        (20, stamp),
        (21, &form("/BBox[0 0 595 842]", RED)),
        (3, &LETTER[2].1.replace("/Resources", "/Annots[20 0 R]/Resources")),
    ]);
    let hidden = Forgery::default().sign(&hidden);
    assert!(
        modified(&revise(&hidden, &[(20, &stamp.replace("/F 2", "/F 2.0"))])).unwrap().contains("(Annot)")
    );
    assert_eq!(modified(&revise(&hidden, &[(20, &stamp.replace("/F 2", "/F +02")), (9, &page)])), None);
}

#[test]
fn nothing_shows_that_nobody_signed() {
    let text = form("/BBox[0 0 100 100]", "BT /F1 9 Tf (ADDENDUM) Tj ET");
    assert_eq!(shown(Some(SIGNATURE), RECT, &text), None);
    for value in [None, Some(TIMESTAMP)] {
        let found = shown(value, RECT, &text).unwrap_or_default();
        assert!(found.contains("shows something that nobody signed"), "{found}");
        // What viewers draw by themselves.
        let blank = form("/BBox[0 0 100 100]", "");
        assert_eq!(shown(value, RECT, &blank), None);
        for more in ["/MK<</BG[1 0 0]/CA(HELLO)>>", "/BS<</W 50>>", "/Border[0 0 50]", "/C[1 0 0]"] {
            let found = shown(value, &format!("{RECT}{more}"), &blank).unwrap_or_default();
            assert!(found.contains("border or a background"), "{more}: {found}");
        }
        assert_eq!(shown(value, &format!("{RECT}/MK<<>>/Border[0 0 0]/BS<</W 0>>"), &blank), None);
    }
    // An empty field that waits gets its appearance with its signature, and not before.
    let first = signed_with_a_field_that_waits();
    let filled = WAITING.replace("/F 4", "/AP<</N 41 0 R>>/F 4");
    let found = modified(&revise(&first, &[(15, &filled), (41, &text)])).unwrap();
    assert!(found.contains("changed and not signed"), "{found}");
    // After certifications of every level.
    for level in 1..=3 {
        let value = format!("/Reference[<</TransformMethod/DocMDP/TransformParams<</P {level}/V/1.2>>>>]");
        let certified = Forgery { value: &value, ..Forgery::default() }.sign(&letter_with(&[]));
        for value in [None, Some(TIMESTAMP)] {
            let widget = format!("{RECT}/AP<</N 41 0 R>>");
            let seal = Seal { widget: &widget, value, more: &[(41, &text)], ..Seal::default() };
            assert!(modified(&seal.put(&certified)).is_some(), "{level}");
        }
        let unseen = Seal { widget: "/Rect[0 0 0 0]", value: Some(TIMESTAMP), ..Seal::default() };
        assert_eq!(modified(&unseen.put(&certified)), None, "{level}");
    }
}

#[test]
fn defaults_of_the_form_change_only_where_no_viewer_draws_by_them() {
    let form = |more: &str| format!("<</Fields[13 0 R]/SigFlags 3{more}>>");
    let amount = LETTER[6].1;
    // The form has a text field; or the page has one that the form does not list.
    let listed = signed();
    let dr = "/DR<</Font<</Helv 40 0 R>>>>/DA(/Helv 0 Tf 0 g)";
    let font = (40, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>");
    let with = |pdf: &[u8], form: &str| modified(&revise(pdf, &[(8, form), font]));
    let all = format!("<</Fields[7 0 R 13 0 R]/SigFlags 3{dr}>>");
    assert!(with(&listed, &all).unwrap().contains("of the form was changed"));
    let unlisted = |annotation: &str| {
        let field = "<</FT/Sig/T(Person)/V 12 0 R/Type/Annot/Subtype/Widget/F 4/P 9 0 R/Rect[0 0 0 0]>>";
        let page = LETTER[8].1.replace("[7 0 R]", "[7 0 R 13 0 R]");
        let value = signature_of(SIGNATURE, 10);
        let letter = letter_with(&[(7, annotation), (8, "<</Fields[]>>")]);
        signed_by(&letter, &[(12, &value), (13, field), (8, &form("")), (9, &page)])
    };
    let found = with(&unlisted(amount), &form(dr)).unwrap();
    assert!(found.contains("of the form was changed"), "{found}");
    let link = "<</Type/Annot/Subtype/Link/Rect[72 600 172 620]>>";
    assert_eq!(with(&unlisted(link), &form(dr)), None);
    // The resources as an object of their own, which leads to others.
    let apart = revise(&unlisted(link), &[(8, &form("/DR 41 0 R")), (41, "<</Font<</Helv 40 0 R>>>>"), font]);
    assert_eq!(modified(&apart), None);
}

#[test]
fn what_a_filled_field_needs_may_be_objects_of_their_own() {
    let first = signed_with_a_field_that_waits();
    // /Prop_Build of the signature, /AP and its fonts, each apart.
    let more = [
        (40, "<</App<</Name/Foxit>>/Filter 42 0 R>>"),
        (42, "<</Name/Adobe.PPKLite>>"),
        (43, "<</N 44 0 R>>"),
        (44, "<</Subtype/Form/BBox[0 0 9 9]/Resources 45 0 R/Length 0>>\nstream\n0 0 9 9 re f\nendstream"),
        (45, "<</Font<</F 46 0 R>>>>"),
        (46, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"),
    ];
    let forgery = Forgery {
        waiting: 1,
        name: "Agency",
        field: "/Rect[300 100 400 200]/AP 43 0 R",
        value: "/Prop_Build 40 0 R",
        more: &more,
        ..Forgery::default()
    };
    let filled = forgery.sign(&first);
    assert_eq!(modified(&filled), None);
    assert_eq!(read(&filled).unwrap().signatures.len(), 2);
    // A default value is what LibreOffice gives a new field beside its value: the same. Another is refused.
    let default = |value: &str| {
        modified(&Seal { widget: &format!("/Rect[0 0 0 0]/DV {value}"), ..Seal::default() }.put(&signed()))
    };
    assert_eq!(default("50 0 R"), None);
    assert!(default("5 0 R").unwrap().contains("with /DV"));
}

#[test]
fn dates_and_private_data_of_tools_may_change() {
    let signed = signed();
    let catalog = |more: &str| format!("<</Type/Catalog/Pages 2 0 R/AcroForm 8 0 R/Metadata 10 0 R{more}>>");
    let with = |more: &str| modified(&revise(&signed, &[(1, &catalog(more))]));
    assert_eq!(with("/LastModified(D:20160806)"), None);
    assert_eq!(
        with("/LastModified(D:20160806)/PieceInfo<</MarkedPDF<</LastModified(D:2016)/Private<</A 1>>>>>>"),
        None
    );
    assert!(with("/LastModified 5 0 R").is_some());
    assert!(with("/PieceInfo<</A<</OpenAction 5 0 R>>>>").is_some());
    assert!(with("/PieceInfo(x)").is_some());
}
