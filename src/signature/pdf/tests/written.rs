//! How later revisions are written: what makes a viewer search the file by itself is a change, and what honest writers
//! do is none.

use super::build::*;
use super::making::sign;
use crate::signature::pdf::read;
use crate::signature::pdf::xref::startxref;

/// Another content of the first page, which no section lists.
const EVIL: &str = "4 0 obj\n<</Length 21>>\nstream\n1 0 0 rg 0 0 9 9 re f\nendstream\nendobj\n";

/// The end of a revision. `@P` is the place of the section before, `@X` that of this one, `@O` that of the objects.
const PLAIN: &str = "xref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 61/Root 1 0 R/Info 6 0 R/Prev @P>>\n\
                     startxref\n@X\n%%EOF\n";

/// A revision by hand: the objects, then the section.
fn write(pdf: &[u8], objects: &str, section: &str) -> Vec<u8> {
    let prev = startxref(pdf).unwrap();
    let start = pdf.len() + objects.len();
    let section = section
        .replace("@P", &prev.to_string())
        .replace("@X", &start.to_string())
        .replace("@O", &format!("{:010}", pdf.len()));
    [pdf, objects.as_bytes(), section.as_bytes()].concat()
}

/// Changed, or refused as malformed: in any case not good.
fn is_bad(pdf: &[u8]) -> bool {
    read(pdf).is_err() || modified(pdf).is_some()
}

/// Ways to write a section at which some viewer searches the file, each as a change of the plain one.
const TRIGGERS: [(&str, &str); 29] = [
    ("65535 f \n", "65535 f\n"),
    ("0000000000 65535 f \n", "0 65535 f \n"),
    ("65535 f \n", "65535 n \n"),
    ("65535 f \n", "00000 n \n"),
    ("65535 f \n", "65535 f  "),
    ("xref\n0 1\n0000000000 65535 f \n", "xref\n"),
    ("xref\n0 1\n", "xref %c\n0 1\n"),
    ("xref\n0 1\n", "xref\n%hello\n0 1\n"),
    ("xref\n0 1\n", "xref 0 1\n"),
    ("xref\n0 1\n", "xref\n0  1\n"),
    ("xref\n0 1\n", "xref\n00 1\n"),
    ("xref\n0 1\n", "xref\n60 0\n0 1\n"),
    ("trailer\n", "70 1\n0000000000 65535 f \ntrailer\n"),
    ("trailer\n", "%trailer <</Root 9 0 R>>\ntrailer\n"),
    ("/Size 61", ""),
    ("/Size 61", "/Size 0"),
    ("/Size 61", "/Size 1"),
    ("/Size 61", "/Size -5"),
    ("/Size 61", "/Size/X"),
    ("/Size 61", "/Size 61.0"),
    ("/Size 61", "/Size 99999999"),
    ("/Prev @P", "/Prev @P.0"),
    ("/Prev @P", "/Prev @P/Evil 5 0 R"),
    ("/Prev @P", "/Prev @P/ID 5"),
    (">>\nstartxref", ">>\nJUNK\nstartxref"),
    (">>\nstartxref", ">>\n%%EOF\nstartxref"),
    (">>\nstartxref", ">>\n%<</Root 9 0 R>>\nstartxref"),
    ("startxref\n@X", "startxref @X"),
    ("startxref\n@X", "startxref\n000@X"),
];

#[test]
fn every_byte_behind_a_signed_revision_is_accounted_for() {
    let signed = signed();
    // A revision without any object changes nothing; one with an object that it does not list is none of honest tools.
    assert_eq!(modified(&write(&signed, "", PLAIN)), None);
    assert!(modified(&write(&signed, EVIL, PLAIN)).unwrap().contains("belong to no object"));
    let comment = EVIL.replace('\n', " ");
    for hidden in [&format!("%{comment}\n"), "JUNK\n", "%\n", "null\n"] {
        assert!(
            modified(&write(&signed, hidden, PLAIN)).unwrap().contains("belong to no object"),
            "{hidden}"
        );
    }
    // Inside what is listed: a stream, a string, a comment.
    let listed = PLAIN.replace("trailer", "10 1\n@O 00000 n \ntrailer");
    let stream = |data: &str| {
        format!(
            "10 0 obj\n<</Type/Metadata/Subtype/XML/Length {}>>\nstream\n{data}\nendstream\nendobj\n",
            data.len()
        )
    };
    assert_eq!(modified(&write(&signed, &stream("<x>an obj, a trailer</x>"), &listed)), None);
    for data in [EVIL, "x 4 0\r\nobj", "trailer\n<</Root 9 0 R>>"] {
        let found = modified(&write(&signed, &stream(data), &listed)).unwrap();
        assert!(found.contains("looks like an object"), "{data}: {found}");
    }
    let info = PLAIN.replace("trailer", "6 1\n@O 00000 n \ntrailer");
    let string = |inside: &str| format!("6 0 obj\n<</Title(Letter){inside}>>\nendobj\n");
    assert_eq!(modified(&write(&signed, &string("/A(4 0 R)"), &info)), None);
    assert!(modified(&write(&signed, &string("/A(4 0 obj)"), &info)).unwrap().contains("looks like"));
    assert!(modified(&write(&signed, &string("%x\n"), &info)).unwrap().contains("a comment stands"));
    // Behind the section, or overlapping it.
    let behind = PLAIN.replace("startxref", &format!("{EVIL}startxref"));
    assert!(is_bad(&write(&signed, "", &behind)));
    let (one, two) = (string(""), string("/B(x)"));
    let nested = format!("6 0 obj\n<</Title(Letter)/A({two})>>\nendobj\n");
    let place = signed.len() + nested.find(&two).unwrap();
    let inner = info.replace("@O", &format!("{place:010}"));
    assert!(is_bad(&write(&signed, &nested, &inner)));
    // Listed twice, or where it was before.
    let again = PLAIN.replace("trailer", "6 1\n@O 00000 n \n7 1\n@O 00000 n \ntrailer");
    assert!(is_bad(&write(&signed, &one, &again)));
    let at = signed.windows(8).position(|window| window == b"\n4 0 obj").unwrap() + 1;
    let same = PLAIN.replace("trailer", &format!("4 1\n{at:010} 00000 n \ntrailer"));
    assert_eq!(modified(&write(&signed, "", &same)), None);
}

#[test]
fn what_makes_a_viewer_search_the_file_is_a_change() {
    let signed = signed();
    // A prepared letter: the other content lies unused inside what is signed, and waits to be found.
    let prepared = Forgery::default().sign(&write(&letter(), EVIL, PLAIN));
    let twice = Forgery { name: "Agency", ..Forgery::default() }.sign(&prepared);
    assert_eq!(modified(&twice), None);
    assert_eq!(modified(&write(&twice, "", PLAIN)), None);
    for (from, to) in TRIGGERS {
        assert!(PLAIN.contains(from), "{from}");
        let section = PLAIN.replacen(from, to, 1);
        for (pdf, objects) in [(&signed, EVIL), (&signed, ""), (&twice, "")] {
            assert!(is_bad(&write(pdf, objects, &section)), "{section}");
        }
    }
    // So does a file whose end is out of sight.
    let far = [&signed[..], &[b' '; 2000][..]].concat();
    assert!(modified(&far).unwrap().contains("white space"));
    // What comes after such a revision does not mend it; who signs after it signed it as it is.
    let broken = write(&signed, "", &PLAIN.replace("65535 f \n", "65535 f\n"));
    let more = Forgery { name: "Agency", ..Forgery::default() }.sign(&broken);
    let found = read(&more).unwrap().signatures;
    assert!(found[0].modified.is_some() && found[1].modified.is_none(), "{found:?}");
}

/// The letter with a cross-reference stream, signed; and a revision of it with one.
fn stream(keys: &str, rows: &[[u8; 7]], objects: &str) -> Vec<u8> {
    let signed = sign(&file(&LETTER, true), "Person").unwrap();
    let prev = startxref(&signed).unwrap();
    let start = signed.len() + objects.len();
    let own = |row: &[u8; 7]| {
        if *row == OWN {
            at(start)
        } else if *row == FIRST {
            at(signed.len())
        } else {
            *row
        }
    };
    let data: Vec<u8> = rows.iter().flat_map(own).collect();
    let head = format!(
        "70 0 obj\n<</Type/XRef/Root 1 0 R/Info 6 0 R/W[1 4 2]{}/Length {}>>\nstream\n",
        keys.replace("@P", &prev.to_string()),
        data.len()
    );
    let end = format!("\nendstream\nendobj\nstartxref\n{start}\n%%EOF\n");
    [&signed[..], objects.as_bytes(), head.as_bytes(), &data, end.as_bytes()].concat()
}

fn at(place: usize) -> [u8; 7] {
    let place = (place as u32).to_be_bytes();
    [1, place[0], place[1], place[2], place[3], 0, 0]
}

/// The entry of number 0, that of the stream itself, and that of the first object of the revision.
const ZERO: [u8; 7] = [0, 0, 0, 0, 0, 255, 255];
const OWN: [u8; 7] = [9; 7];
const FIRST: [u8; 7] = [8; 7];

#[test]
fn a_cross_reference_stream_is_written_to_the_letter() {
    let keys = "/Index[0 1 70 1]/Size 71/Prev @P";
    assert_eq!(modified(&stream(keys, &[ZERO, OWN], "")), None);
    // It need not list itself.
    assert_eq!(modified(&stream("/Index[0 1]/Size 71/Prev @P", &[ZERO], "")), None);
    for (keys, rows, objects) in [
        (keys, &[ZERO, OWN][..], EVIL),
        (keys, &[ZERO, OWN, ZERO][..], ""),
        (keys, &[[3, 0, 0, 0, 0, 0, 0], OWN][..], ""),
        (keys, &[[1, 0, 0, 0, 0, 0, 0], OWN][..], ""),
        ("/Index[0 1 70 1]/Size 0/Prev @P", &[ZERO, OWN][..], ""),
        ("/Index[0 1 70 1]/Size 70/Prev @P", &[ZERO, OWN][..], ""),
        ("/Index[0 1 70 1]/Size 71/Prev @P.0", &[ZERO, OWN][..], ""),
        ("/Index[0 1 70 1]/Size 71/Prev @P/Evil 5 0 R", &[ZERO, OWN][..], ""),
        ("/Index[0 1]/Size 71/Prev @P", &[ZERO][..], EVIL),
        ("/Index[]/Size 71/Prev @P", &[], EVIL),
    ] {
        assert!(is_bad(&stream(keys, rows, objects)), "{keys} {rows:?} {objects}");
    }
    // Under the number of another object it is that object to who searches.
    let mut shadow = stream("/Index[0 1]/Size 71/Prev @P", &[ZERO], "");
    let place = shadow.windows(8).rposition(|window| window == b"70 0 obj").unwrap();
    shadow[place] = b' ';
    shadow[place + 1] = b'4';
    assert!(is_bad(&shadow));
}

#[test]
fn every_member_of_an_object_stream_is_listed() {
    let body = |members: &str, count: usize, first: usize| {
        format!(
            "71 0 obj\n<</Type/ObjStm/N {count}/First {first}/Length {}>>\nstream\n{members}\nendstream\nendobj\n",
            members.len()
        )
    };
    let info = [2, 0, 0, 0, 71, 0, 0];
    let keys = "/Index[0 1 6 1 70 2]/Size 72/Prev @P";
    let one = body("6 0 <</Title(L)>>", 1, 4);
    assert_eq!(modified(&stream(keys, &[ZERO, info, OWN, FIRST], &one)), None);
    // The second is another page content for who takes it from there.
    let two = body("6 0 4 13 <</Title(L)>><<>>", 2, 9);
    let found = modified(&stream(keys, &[ZERO, info, OWN, FIRST], &two)).unwrap();
    assert!(found.contains("has an object that is not listed"), "{found}");
}

#[test]
fn what_honest_writers_write_is_no_change() {
    let signed = signed();
    let info = "6 0 obj\n<</Title(Letter)/ModDate(D:20260601)>>\nendobj\n";
    let plain = PLAIN.replace("trailer", "6 1\n@O 00000 n \ntrailer");
    for (name, section) in [
        ("line feeds", plain.clone()),
        ("carriage returns", plain.replace(" \n", " \r").replace('\n', "\r")),
        ("both", plain.replace(" \n", "\r\n").replace(">>\n", ">>\r\n")),
        ("no entry of number 0", plain.replace("0 1\n0000000000 65535 f \n", "")),
        (
            "a space behind the numbers of a subsection",
            plain.replace("0 1\n", "0 1 \n").replace("6 1\n", "6 1 \n"),
        ),
        ("the writer's name", plain.replace("startxref", "%iText-Core-8.0.1 (AGPL-version)\nstartxref")),
        ("no end of line", plain.trim_end().to_owned()),
        ("two strings", plain.replace("/Prev", "/ID[<00><01>]/Prev")),
        ("a trailer on one line", plain.replace("trailer\n<<", "trailer <<")),
        ("space around", plain.replace(">>\nstartxref", ">>\n\n \nstartxref")),
    ] {
        assert_eq!(modified(&write(&signed, info, &section)), None, "{name}");
        assert_eq!(
            modified(&write(&signed, &format!("\r\n{info}\n\n"), &section.replace("@O", &place(&signed, 2)))),
            None,
            "{name}"
        );
    }
    // The place may be that of the end of line before it.
    let early = plain.replace("@O", &place(&signed, 0));
    assert_eq!(modified(&write(&signed, &format!("\r\n{info}"), &early)), None);
    // A file may end at its %%EOF, and the next revision go on there.
    let bare = signed.trim_ascii_end();
    assert_eq!(bare.len() + 1, signed.len());
    let letter = letter();
    let on = Forgery::default().sign(&write(letter.trim_ascii_end(), info, &plain));
    assert_eq!(modified(&on), None);
}

fn place(pdf: &[u8], behind: usize) -> String {
    format!("{:010}", pdf.len() + behind)
}
