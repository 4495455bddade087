//! Files that are refused. That each is refused by the name of a limit is what bounds the time: no test looks at a
//! clock.

use std::io::Write as _;

use super::build::*;
use super::corpus::documents;
use super::making::sign;
use crate::signature::pdf::{PdfSignatureKind, read};

#[test]
fn a_byte_range_leaves_out_exactly_the_contents() {
    type Range = dyn Fn(usize, usize, usize) -> String;
    let cases: [(&str, &Range); 13] = [
        ("not four numbers", &|s, e, _| format!("[0 {s} {e}]")),
        ("not four numbers", &|s, e, l| format!("[0 {s} {e} {} 0]", l - e)),
        ("not four numbers", &|s, e, l| format!("[0 {s} {e} {} 9 9]", l - e)),
        ("not four numbers", &|s, e, l| format!("[0 {s} {e} -{}]", l - e)),
        ("not four numbers", &|s, e, _| format!("[0 {s} {e} 0.5]")),
        ("does not start at 0", &|s, e, l| format!("[1 {s} {e} {}]", l - e)),
        ("beyond the file", &|s, e, l| format!("[0 {s} {e} {}]", l - e + 1)),
        ("beyond the file", &|s, e, _| format!("[0 {s} {e} 999999999999]")),
        ("overlaps itself", &|s, _, l| format!("[0 {s} {s} {}]", l - s)),
        ("overlaps itself", &|s, _, l| format!("[0 {s} 5 {}]", l - 5)),
        ("something else than /Contents", &|s, e, l| format!("[0 {} {e} {}]", s - 9, l - e)),
        ("something else than /Contents", &|s, e, l| format!("[0 {s} {} {}]", e + 2, l - e - 2)),
        ("does not end with a revision", &|s, e, l| format!("[0 {s} {e} {}]", l - e - 9)),
    ];
    for (why, range) in cases {
        let detail = refused(&Forgery { range, ..Forgery::default() }.sign(&letter()));
        assert!(detail.contains(why), "{why}: {detail}");
    }
    for (contents, why) in [
        ("(abcdefgh)", "not hexadecimal"),
        ("<30030 20101>", "not hexadecimal"),
        ("<3003020101000>", "not hexadecimal"),
        ("<30030201010001>", "something follows"),
        ("<300302010130>", "something follows"),
    ] {
        let detail = refused(&Forgery { contents, ..Forgery::default() }.sign(&letter()));
        assert!(detail.contains(why), "{contents}: {detail}");
    }
    // The element is taken in indefinite lengths too; what is no element is for the judge.
    for (contents, cms) in [
        ("<308002010100000000>", "30800201010000"),
        ("<00000000>", "00000000"),
        ("<3009020101>", "3009020101"),
        ("<>", ""),
    ] {
        let found = read(&Forgery { contents, ..Forgery::default() }.sign(&letter())).unwrap();
        assert_eq!(hex::encode(&found.signatures[0].cms), cms);
    }
}

#[test]
fn the_sub_filter_is_told() {
    let signed = signed();
    let with = |name: &[u8; 19]| {
        let at = signed.windows(19).position(|w| w == b"ETSI.CAdES.detached").unwrap();
        let mut pdf = signed.clone();
        pdf[at..at + 19].copy_from_slice(name);
        read(&pdf).unwrap().signatures.remove(0).kind
    };
    assert_eq!(with(b"ETSI.CAdES.detached"), PdfSignatureKind::CadesDetached);
    assert_eq!(with(b"adbe.pkcs7.detached"), PdfSignatureKind::Pkcs7Detached);
    assert_eq!(with(b"ETSI.RFC3161       "), PdfSignatureKind::DocTimestamp);
    assert_eq!(with(b"adbe.pkcs7.sha1    "), PdfSignatureKind::Other("adbe.pkcs7.sha1".into()));
}

#[test]
fn a_signature_stands_once_and_in_the_revision_that_it_signs() {
    let signed = signed();
    // A second field with the same value.
    let shared = "<</FT/Sig/T(Agency)/V 12 0 R>>";
    let twice = revise(&signed, &[(8, "<</Fields[7 0 R 13 0 R 40 0 R]>>"), (40, shared)]);
    assert!(refused(&twice).contains("another field has the same signature"));
    // A field above two, with the value.
    let above = [
        (8, "<</Fields[7 0 R 40 0 R]>>"),
        (40, "<</FT/Sig/V 12 0 R/Kids[13 0 R 41 0 R]>>"),
        (41, "<</T(A)>>"),
    ];
    assert!(refused(&revise(&signed, &above)).contains("stands in a field above it"));
    // Copied with its dictionary: the ByteRange is about another place.
    let at = signed.windows(8).position(|w| w == b"12 0 obj").unwrap();
    let end = at + signed[at..].windows(6).position(|w| w == b"endobj").unwrap();
    let copy = std::str::from_utf8(&signed[at + 9..end]).unwrap();
    let field = "<</FT/Sig/T(Agency)/V 41 0 R>>";
    let copied = revise(&signed, &[(8, "<</Fields[7 0 R 13 0 R 40 0 R]>>"), (40, field), (41, copy)]);
    assert!(refused(&copied).contains("something else than /Contents"));
    // Put into the form only after the revision that it says it signs.
    let hidden = Forgery::default().sign(&letter_with(&[(8, "<</Fields[7 0 R]>>")]));
    let text =
        String::from_utf8_lossy(&hidden).replace("7 0 R 13 0 R]/SigFlags 3", "7 0 R       ]/SigFlags 3");
    let hidden = text.into_bytes();
    assert_eq!(read(&hidden).unwrap().signatures, []);
    let shown = revise(&hidden, &[(8, "<</Fields[7 0 R 13 0 R]/SigFlags 3>>")]);
    assert!(refused(&shown).contains("not in the form of the revision"));
    // Without a value, and with null, it is no signature.
    for value in ["", "/V null", "/V 50 0 R"] {
        let empty = letter_with(&[(8, "<</Fields[20 0 R]>>"), (20, &format!("<</FT/Sig/T(A){value}>>"))]);
        assert_eq!(read(&empty).unwrap().signatures, []);
    }
    for value in ["/V 5", "/V<<>>", "/V<</ByteRange[0 1 2 3]>>", "/V 4 0 R", "/V[]"] {
        let bad = letter_with(&[(8, "<</Fields[20 0 R]>>"), (20, &format!("<</FT/Sig/T(A){value}>>"))]);
        refused(&bad);
    }
}

#[test]
fn a_value_in_an_object_stream_is_refused() {
    let inner = "12 0 <</Type/Sig/ByteRange[0 1 2 3]/Contents<00>>>";
    let stream = format!("<</Type/ObjStm/N 1/First 5/Length 0>>\nstream\n{inner}\nendstream");
    let mut objects = LETTER.to_vec();
    objects.retain(|(number, _)| *number != 8);
    objects.push((8, "<</Fields[13 0 R]>>"));
    objects.push((13, "<</FT/Sig/T(A)/V 12 0 R>>"));
    objects.push((20, &stream));
    let mut pdf = file(&objects, true);
    // The entry of number 20 is followed by that of the section itself, number 31; it is made to say number 12.
    let index = String::from_utf8_lossy(&pdf).rfind("/Index[1 11 13 1 20 1 31 1 ]").unwrap();
    pdf[index..index + 28].copy_from_slice(b"/Index[1 11 13 1 20 1 12 1 ]");
    let row = pdf.windows(10).rposition(|w| w == b"\nendstream").unwrap() - 7;
    pdf[row..row + 7].copy_from_slice(&[2, 0, 0, 0, 20, 0, 0]);
    assert!(refused(&pdf).contains("does not stand in the file itself"), "{}", refused(&pdf));
}

#[test]
fn forms_are_walked_within_limits() {
    for (objects, why) in [
        (vec![(8, "<</Fields[20 0 R]>>"), (20, "<</T(A)/Kids[20 0 R]>>")], "twice"),
        (
            vec![(8, "<</Fields[20 0 R]>>"), (20, "<</T(A)/Kids[21 0 R]>>"), (21, "<</T(B)/Kids[20 0 R]>>")],
            "twice",
        ),
        (vec![(8, "<</Fields[7 0 R 7 0 R]>>")], "twice"),
        (vec![(8, "<</Fields[50 0 R]>>")], "no form field"),
        (vec![(8, "<</Fields[<<>>]>>")], "something else than references"),
        (vec![(8, "<</Fields 5>>")], "something else than references"),
        (vec![(8, "null"), (1, "<</Type/Catalog/AcroForm 5/Pages 2 0 R>>")], "a form that is none"),
        (vec![(1, "<</Type/Pages>>")], "no catalog"),
    ] {
        let detail = refused(&letter_with(&objects));
        assert!(detail.contains(why), "{why}: {detail}");
    }
    let deep: Vec<(u32, String)> = (50..100).map(|i| (i, format!("<</T(A)/Kids[{} 0 R]>>", i + 1))).collect();
    let mut objects: Vec<(u32, &str)> = deep.iter().map(|(number, body)| (*number, body.as_str())).collect();
    objects.extend([(8, "<</Fields[50 0 R]>>"), (100, "<</T(A)>>")]);
    assert!(refused(&letter_with(&objects)).contains("levels of form fields"));
    let many: Vec<(u32, String)> = (50..100_050).map(|i| (i, format!("<</T({i})>>"))).collect();
    let form = format!("<</Fields[{}]>>", many.iter().map(|(i, _)| format!("{i} 0 R ")).collect::<String>());
    let mut objects: Vec<(u32, &str)> = many.iter().map(|(number, body)| (*number, body.as_str())).collect();
    objects.retain(|(number, _)| LETTER.iter().all(|(other, _)| other != number));
    let mut all = LETTER.to_vec();
    all.retain(|(number, _)| *number != 8);
    all.extend(objects);
    all.push((8, &form));
    assert!(refused(&file(&all, false)).contains("too many form fields"));
}

#[test]
fn nothing_is_repaired() {
    let letter = letter();
    let replace = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = letter.windows(from.len()).rposition(|w| w == from.as_bytes()).unwrap();
        let mut pdf = letter.clone();
        pdf[at..at + to.len()].copy_from_slice(to.as_bytes());
        refused(&pdf)
    };
    assert!(read(&letter).is_ok());
    // The end of line before it is no other place.
    let start = crate::signature::pdf::xref::startxref(&letter).unwrap();
    let text = format!("startxref\n{start}");
    let at = letter.windows(text.len()).rposition(|window| window == text.as_bytes()).unwrap();
    let early = [&letter[..at], format!("startxref\n{}\n%%EOF", start - 1).as_bytes()].concat();
    assert!(read(&early).is_ok());
    for (pdf, why) in [
        (letter[..letter.len() - 8].to_vec(), "does not end as a PDF"),
        (letter[..letter.len() / 2].to_vec(), "does not end as a PDF"),
        ([b" ", &letter[..]].concat(), "does not start as a PDF"),
        ([&letter[..], b"more"].concat(), "does not end as a PDF"),
        (b"%PDF-1.7\nstartxref\n0\n%%EOF".to_vec(), "no cross-reference"),
        (b"%PDF-1.7\nstartxref\n999\n%%EOF".to_vec(), "after the end"),
        (b"%PDF-1.7\n%%EOF".to_vec(), "does not end as a PDF"),
        (b"%PDF-x".to_vec(), "version"),
        (Vec::new(), "does not start as a PDF"),
    ] {
        let detail = refused(&pdf);
        assert!(detail.contains(why), "{why}: {detail}");
    }
    for (from, to, why) in [
        ("startxref", "startxxxx", "does not end as a PDF"),
        ("xref\n1 11", "xxxx\n1 11", "no cross-reference section"),
        ("xref\n1 11", "xref\n1 12", "no entry"),
        ("xref\n1 11", "xref\n2 11", "no catalog where"),
        ("5 0 obj", "5 1 obj", "not where the cross-reference says"),
        ("/Helvetica>>\nendobj", "/Helvetica>>\nendo j", "no `endobj`"),
        ("/Length 4>>\nstream\nq", "/Length 2>>\nstream\nq", "another length"),
        ("/Length 4>>\nstream\nq", "/Length 9>>\nstream\nq", "another length"),
        ("(Letter)", "(Letter(", "without an end"),
        ("/Title(Letter)", "/Title(L)/Titl", "no object"),
        ("/Info 6 0 R/Root", "/Inf 6 0 R/Rooot", "without /Root"),
        ("/Type/Font", "/Typ#/Font", "bad # code"),
        ("/Type/Font/Subtype", "/Type/Font 1 2 3 4", "no key"),
    ] {
        let detail = replace(from, to);
        assert!(detail.contains(why), "{from}: {detail}");
    }
    assert!(refused(&letter_with(&[(5, "<</A 1/A 2>>")])).contains("one key twice"));
    let trailer = crate::signature::pdf::object::Dict::EMPTY
        .with(b"Root", crate::signature::pdf::object::Object::Reference(1, 0))
        .with(b"Encrypt", crate::signature::pdf::object::Object::Reference(5, 0));
    let mut out = crate::signature::pdf::write::Revision::after(&letter);
    out.finish(&trailer, 32, Some(31));
    assert!(refused(&out.bytes).contains("encrypted"));
}

fn flate(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A file that is one cross-reference stream with this dictionary and data.
fn stream_file(dict: &str, data: &[u8]) -> Vec<u8> {
    let mut pdf = b"%PDF-1.7\n".to_vec();
    let start = pdf.len();
    pdf.extend(format!("1 0 obj\n<</Type/XRef/Root 1 0 R{dict}/Length {}>>\nstream\n", data.len()).bytes());
    pdf.extend(data);
    pdf.extend(format!("\nendstream\nendobj\nstartxref\n{start}\n%%EOF\n").bytes());
    pdf
}

#[test]
fn cross_references_are_read_within_limits() {
    let bomb = flate(&vec![0; 64 << 20]);
    let zeros = flate(&vec![0; 8 << 20]);
    for (pdf, why) in [
        (stream_file("/W[1 1 1]/Size 9/Filter/FlateDecode", &bomb), "bytes in one stream"),
        (stream_file("/W[1 1 1]/Size 9/Index[2000000 9]/Filter/FlateDecode", &zeros), "object numbers"),
        (
            stream_file("/W[1 1 1]/Index[1 900000 1 900000]/Size 9/Filter/FlateDecode", &zeros),
            "cross-reference entries",
        ),
        (stream_file("/W[1 1 1]/Size 9999999999999", b""), "too short"),
        (stream_file("/W[0 0 0]/Size 9", b""), "bad index"),
        (stream_file("/W[9 9 9]/Size 9", b""), "bad widths"),
        (stream_file("/W[1]/Size 9", b""), "bad widths"),
        (stream_file("/W[1 1 1]", b""), "without a size"),
        (stream_file("/W[1 1 1]/Size 1/Index[0]", b"abc"), "bad index"),
        (stream_file("/W[1 1 1]/Size 1/Filter/LZWDecode", b"abc"), "filter"),
        (stream_file("/W[1 1 1]/Size 1/Filter[/FlateDecode/FlateDecode]", b"abc"), "filter"),
        (stream_file("/W[1 1 1]/Size 1/Filter/FlateDecode", b"abc"), "does not decompress"),
        (stream_file("/W[1 1 1]/Size 1/Prev 9", b"\0\0\0"), "circle"),
        (stream_file("/W[1 1 1]/Size 1/Prev(x)", b"\0\0\0"), "no offset"),
        (
            stream_file("/W[1 1 1]/Size 1/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 0>>", &zeros),
            "filter parameters",
        ),
        (
            stream_file(
                "/W[1 1 1]/Size 1/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 1048576/Colors 1048576>>",
                &zeros,
            ),
            "filter parameters",
        ),
        (stream_file("/W[1 1 1]/Size 1/Filter/FlateDecode/DecodeParms<</Predictor 2>>", &zeros), "predictor"),
    ] {
        let detail = refused(&pdf);
        assert!(detail.contains(why), "{why}: {detail}");
    }
    // Many revisions, each empty.
    let mut pdf = letter();
    for _ in 0..70 {
        pdf = revise_empty(&pdf);
    }
    assert!(refused(&pdf).contains("cross-reference sections"));
}

fn revise_empty(pdf: &[u8]) -> Vec<u8> {
    let prev = crate::signature::pdf::xref::startxref(pdf).unwrap();
    let start = pdf.len();
    let end = format!("xref\n0 0\ntrailer\n<</Root 1 0 R/Prev {prev}/Size 9>>\nstartxref\n{start}\n%%EOF\n");
    [pdf, end.as_bytes()].concat()
}

#[test]
fn objects_are_read_within_limits() {
    let nested = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let dicts = "<</A".repeat(1 << 16);
    let numbers = format!("[{}]", "1 ".repeat(1 << 20));
    let string = format!("({})", "(".repeat(1 << 20));
    let comment = format!("%{}\n1", "x".repeat(1 << 20));
    for (body, why) in [
        (&*nested, "levels of nesting"),
        (&dicts, "levels of nesting"),
        (&numbers, "objects inside one object"),
        (&string, "without an end"),
        (&format!("<</A {}>>", "9".repeat(1 << 20)), "no number"),
    ] {
        let pdf = letter_with(&[(5, body)]);
        let detail = refused(&pdf);
        assert!(detail.contains(why), "{why}: {detail}");
    }
    assert!(read(&letter_with(&[(5, &comment)])).is_ok());
    // Arrays under the limit, and many of them.
    let arrays = format!("[{}]", "1 ".repeat(140_000));
    let many: Vec<(u32, &str)> = (50..120).map(|number| (number, &*arrays)).collect();
    assert!(refused(&letter_with(&many)).contains("units of work"));
}

#[test]
fn object_streams_are_read_within_limits() {
    // One object stream of 8 MiB under many numbers, then many of them.
    let data = format!("50 0 {}", " ".repeat((8 << 20) - 10));
    let packed = flate(data.as_bytes());
    let mut out = crate::signature::pdf::write::Revision::after(b"%PDF-1.7\n");
    for (number, body) in LETTER {
        out.put(number, 0, fix_length(body).as_bytes());
    }
    let mut rows = Vec::new();
    for number in 100..200u32 {
        let dict =
            format!("<</Type/ObjStm/N 1/First 5/Filter/FlateDecode/Length {}>>\nstream\n", packed.len());
        out.put(number, 0, &[dict.as_bytes(), &packed, b"\nendstream"].concat());
        rows.extend([2, 0, 0, 0, number as u8, 0, 0]);
    }
    out.finish(
        &crate::signature::pdf::object::Dict::EMPTY
            .with(b"Root", crate::signature::pdf::object::Object::Reference(1, 0)),
        400,
        None,
    );
    let prev = crate::signature::pdf::xref::startxref(&out.bytes).unwrap();
    let start = out.bytes.len();
    let head = format!(
        "400 0 obj\n<</Type/XRef/Root 1 0 R/Prev {prev}/Size 400/W[1 4 2]/Index[200 100]/Length {}>>\nstream\n",
        rows.len()
    );
    out.bytes.extend(head.bytes());
    out.bytes.extend(&rows);
    out.bytes.extend(format!("\nendstream\nendobj\nstartxref\n{start}\n%%EOF\n").bytes());
    let detail = refused(&out.bytes);
    assert!(detail.contains("not where the cross-reference says"), "{detail}");
}

#[test]
fn a_file_over_the_cap_is_refused_by_name() {
    let mut pdf = letter();
    pdf.resize(33 << 20, b' ');
    assert!(refused(&pdf).contains("too many bytes"));
}

/// Xorshift, with a seed that stays.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}

#[test]
fn no_change_of_bytes_makes_the_reader_panic_or_a_signature_of_nothing() {
    let names = ["01-rsa-person-and-agency.pdf", "02-p256-person-and-agency.pdf", "06-unsigned.pdf"];
    let mut seeds: Vec<Vec<u8>> =
        names.iter().map(|name| std::fs::read(documents().join(name)).unwrap()).collect();
    let streamed = sign(&sign(&file(&LETTER, true), "Person").unwrap(), "Agency").unwrap();
    seeds.push(revise(&streamed, &[(6, "<</Title(x)>>")]));
    seeds.push(
        Forgery { field: "/Rect[300 100 400 200]", name: "Agency", ..Forgery::default() }.sign(&signed()),
    );
    let tokens: [&[u8]; 12] =
        [b"<<", b">>", b"[", b"]", b"(", b" R", b"obj", b"stream", b"/Kids", b"99999", b"-1", b"\0"];
    let (mut state, mut read_whole) = (0x9e37_79b9_7f4a_7c15, 0);
    for round in 0..2500 {
        let seed = &seeds[round % seeds.len()];
        let mut bytes = seed.clone();
        for _ in 0..1 + random(&mut state) % 4 {
            // The frame of a revision is at its end.
            let near = if random(&mut state).is_multiple_of(2) { bytes.len() } else { 2000.min(bytes.len()) };
            let at = bytes.len() - 1 - random(&mut state) % near;
            match random(&mut state) % 6 {
                0 => bytes[at] ^= 1 << (random(&mut state) % 8),
                1 => bytes[at] = b'0' + (random(&mut state) % 10) as u8,
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, random(&mut state) as u8),
                4 => {
                    let token = tokens[random(&mut state) % tokens.len()];
                    let end = (at + token.len()).min(bytes.len());
                    bytes[at..end].copy_from_slice(&token[..end - at]);
                }
                _ => {
                    let from = random(&mut state) % bytes.len();
                    let end = (from + random(&mut state) % 400).min(bytes.len());
                    let part = bytes[from..end].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        if let Ok(found) = read(&bytes) {
            read_whole += 1;
            for signature in found.signatures {
                assert!(signature.ranges[1].end <= bytes.len());
            }
        }
    }
    assert!(read_whole > 100, "{read_whole}");
}
