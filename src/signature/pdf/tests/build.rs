//! Files built by hand: a letter, revisions of it, and signatures that are right in everything but the cryptography,
//! which is not looked at here.

use crate::signature::pdf::file::File;
use crate::signature::pdf::object::{Dict, Object};
use crate::signature::pdf::write::Revision;
use crate::signature::pdf::{Pdf, read};

/// A letter of two pages with a form of one text field and metadata. Object 30 is referred to and not there.
pub const LETTER: [(u32, &str); 11] = [
    (1, "<</Type/Catalog/Pages 2 0 R/AcroForm 8 0 R/Metadata 10 0 R>>"),
    (2, "<</Type/Pages/Kids[3 0 R 9 0 R]/Count 2/MediaBox[0 0 595 842]>>"),
    (3, "<</Type/Page/Parent 2 0 R/Contents[4 0 R 30 0 R]/Resources<</Font<</F1 5 0 R>>>>>>"),
    (4, "<</Length 44>>\nstream\nBT /F1 14 Tf 72 760 Td (Pay one million) Tj ET\nendstream"),
    (5, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"),
    (6, "<</Title(Letter)>>"),
    (7, "<</FT/Tx/T(Amount)/V(1000)/Type/Annot/Subtype/Widget/Rect[72 600 172 620]/P 9 0 R>>"),
    (8, "<</Fields[7 0 R]>>"),
    (9, "<</Type/Page/Parent 2 0 R/Contents 11 0 R/Resources<<>>/Annots[7 0 R]>>"),
    (10, "<</Type/Metadata/Subtype/XML/Length 4>>\nstream\n<x/>\nendstream"),
    (11, "<</Length 4>>\nstream\nq Q \nendstream"),
];

/// A file of these objects, with a table or with a cross-reference stream.
pub fn file(objects: &[(u32, &str)], stream: bool) -> Vec<u8> {
    let mut file = Revision::after(b"%PDF-1.7\n");
    for (number, body) in objects {
        // Lengths are filled in where they are wrong on purpose nowhere.
        file.put(*number, 0, fix_length(body).as_bytes());
    }
    let trailer = Dict::EMPTY.with(b"Root", Object::Reference(1, 0)).with(b"Info", Object::Reference(6, 0));
    file.finish(&trailer, 32, stream.then_some(31));
    file.bytes
}

/// A body with the right /Length of its stream.
pub fn fix_length(body: &str) -> String {
    let Some((dict, rest)) = body.split_once(">>\nstream\n") else { return body.to_owned() };
    let data = rest.strip_suffix("\nendstream").unwrap();
    let start = dict.find("/Length").unwrap();
    let tail = dict[start + 7..].trim_start_matches([' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    format!("{}/Length {}{tail}>>\nstream\n{rest}", &dict[..start], data.len())
}

pub fn letter() -> Vec<u8> {
    file(&LETTER, false)
}

/// The letter with some objects replaced or added.
pub fn letter_with(changes: &[(u32, &str)]) -> Vec<u8> {
    let mut objects = LETTER.to_vec();
    objects.retain(|(number, _)| changes.iter().all(|(other, _)| other != number));
    objects.extend(changes);
    file(&objects, false)
}

/// The field of [`signed_with_a_field_that_waits`], object 15.
pub const WAITING: &str = "<</FT/Sig/T(Agency)/Type/Annot/Subtype/Widget/F 4/P 9 0 R/Rect[300 100 400 200]>>";

/// The letter with two signature fields, the person's signed, the agency's placed on the page and empty.
pub fn signed_with_a_field_that_waits() -> Vec<u8> {
    let page = LETTER[8].1.replace("[7 0 R]", "[7 0 R 13 0 R 15 0 R]");
    let letter = letter_with(&[
        (8, "<</Fields[7 0 R 13 0 R 15 0 R]>>"),
        (9, &page),
        (15, WAITING),
        (13, "<</FT/Sig/T(Person)>>"),
    ]);
    Forgery { waiting: 1, ..Forgery::default() }.sign(&letter)
}

/// The trailer for a further revision.
pub fn trailer(pdf: &[u8]) -> Dict {
    let file = File::open(pdf).unwrap();
    let last = file.last();
    let mut trailer = Dict::EMPTY.with(b"Prev", Object::Integer(file.sections[last.section].offset as i64));
    for key in [&b"Root"[..], b"Info"] {
        if let Some(value) = last.trailer().get(key) {
            trailer = trailer.with(key, value.clone());
        }
    }
    trailer
}

/// The file with one revision more.
pub fn revise(pdf: &[u8], objects: &[(u32, &str)]) -> Vec<u8> {
    let mut out = Revision::after(pdf);
    for (number, body) in objects {
        out.put(*number, 0, fix_length(body).as_bytes());
    }
    let highest = objects.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
    let size = File::open(pdf).unwrap().last().size().max(highest).max(61);
    out.finish(&trailer(pdf), size, None);
    out.bytes
}

/// What a forged signature differs in from a right one.
pub struct Forgery<'a> {
    /// More keys of the signature dictionary, and of the field.
    pub value: &'a str,
    pub field: &'a str,
    pub name: &'a str,
    /// Objects that come with it.
    pub more: &'a [(u32, &'a str)],
    /// How many fields the form has after the first, at least: those that wait for their signature.
    pub waiting: u32,
    /// The token of /Contents.
    pub contents: &'a str,
    /// The ByteRange, from the places of the token and the length of the file.
    pub range: &'a dyn Fn(usize, usize, usize) -> String,
}

impl Default for Forgery<'_> {
    fn default() -> Self {
        Forgery {
            value: "",
            field: "/Rect[0 0 0 0]",
            name: "Person",
            more: &[],
            waiting: 0,
            contents: "<3003020101000000>",
            range: &|start, end, length| format!("[0 {start} {end} {}]", length - end),
        }
    }
}

impl Forgery<'_> {
    /// Signs the letter, or what was made of it by signatures before: as objects 12 and 13, then 14 and 15.
    pub fn sign(&self, pdf: &[u8]) -> Vec<u8> {
        let before = read(pdf).map_or(0, |pdf| pdf.signatures.len()) as u32;
        let (value, field) = (12 + 2 * before, 13 + 2 * before);
        let head = format!("<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached{}", self.value);
        let body = format!("{head}/ByteRange{BLANK}/Contents{}>>", self.contents);
        let form: String = (0..=before.max(self.waiting)).map(|i| format!(" {} 0 R", 13 + 2 * i)).collect();
        let name = self.name;
        let widget = format!(
            "<</FT/Sig/T({name})/Type/Annot/Subtype/Widget/F 4/P 9 0 R/V {value} 0 R{}>>",
            self.field
        );
        let fields = format!("[7 0 R{form}]");
        let form = format!("<</Fields{fields}/SigFlags 3>>");
        let page = LETTER[8].1.replace("[7 0 R]", &fields);
        let own = [(value, &*body), (field, &widget), (8, &form), (9, &page)];
        let objects = [&own[..], self.more].concat();
        with_range(revise(pdf, &objects), self.range)
    }
}

/// What a ByteRange is written into.
const BLANK: &str = "                                                            ";

/// Fills in the last ByteRange of a file, which is the last signature's.
fn with_range(mut pdf: Vec<u8>, range: &dyn Fn(usize, usize, usize) -> String) -> Vec<u8> {
    let key = format!("/ByteRange{BLANK}/Contents");
    let at = pdf.windows(key.len()).rposition(|window| window == key.as_bytes()).unwrap();
    let start = at + key.len();
    let end = start + 1 + pdf[start..].iter().position(|&byte| byte == b'>' || byte == b')').unwrap();
    let range = range(start, end, pdf.len());
    pdf[at + 10..at + 10 + range.len()].copy_from_slice(range.as_bytes());
    pdf
}

/// A signature dictionary of a kind with so many bytes of room for its /Contents.
pub fn signature_of(kind: &str, room: usize) -> String {
    format!("<</Type/Sig{kind}/ByteRange{BLANK}/Contents<3003020101{}>>>", "00".repeat(room - 5))
}

/// A revision with such a dictionary, signed.
pub fn signed_by(pdf: &[u8], objects: &[(u32, &str)]) -> Vec<u8> {
    with_range(revise(pdf, objects), &|start, end, length| format!("[0 {start} {end} {}]", length - end))
}

/// A further signature of the letter, as objects 50 and 40, with its widget on a page; and what else comes with it.
pub struct Seal<'a> {
    /// The keys of its widget.
    pub widget: &'a str,
    /// The keys of the signature dictionary; of an empty field none.
    pub value: Option<&'a str>,
    /// The page with its /Annots.
    pub page: (u32, &'a str),
    pub more: &'a [(u32, &'a str)],
}

pub const SIGNATURE: &str = "/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached";
pub const TIMESTAMP: &str = "/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161";

/// The first page with the widget, which is blank but for its first line.
pub const PAGE: &str =
    "<</Type/Page/Parent 2 0 R/Contents[4 0 R 30 0 R]/Resources<</Font<</F1 5 0 R>>>>/Annots[40 0 R]>>";
pub const FORM: &str = "<</Fields[7 0 R 13 0 R 40 0 R]/SigFlags 3>>";

impl Default for Seal<'_> {
    fn default() -> Self {
        Seal { widget: "/Rect[300 100 400 200]", value: Some(SIGNATURE), page: (3, PAGE), more: &[] }
    }
}

impl Seal<'_> {
    pub fn put(&self, pdf: &[u8]) -> Vec<u8> {
        let given = if self.value.is_some() { "/V 50 0 R" } else { "" };
        let field = format!("<</FT/Sig/T(Seal)/Type/Annot/Subtype/Widget/P 3 0 R{given}{}>>", self.widget);
        let value = self.value.map(|value| {
            format!("<</Type/Sig{value}/ByteRange{BLANK}/Contents<3003020101{}>>>", "0".repeat(6))
        });
        let mut objects = vec![(8, FORM), self.page, (40, &*field)];
        objects.extend(value.as_deref().map(|value| (50, value)));
        objects.extend(self.more);
        let revised = revise(pdf, &objects);
        match value {
            Some(_) => {
                with_range(revised, &|start, end, length| format!("[0 {start} {end} {}]", length - end))
            }
            None => revised,
        }
    }
}

/// The letter, signed by a person.
pub fn signed() -> Vec<u8> {
    Forgery::default().sign(&letter())
}

/// What was changed after the first signature.
pub fn modified(pdf: &[u8]) -> Option<String> {
    let Pdf { signatures, .. } = read(pdf).unwrap_or_else(|fault| panic!("{fault:?}"));
    signatures[0].modified.clone()
}

/// Why a file is not read.
pub fn refused(pdf: &[u8]) -> String {
    match read(pdf) {
        Ok(pdf) => panic!("read: {pdf:?}"),
        Err(fault) => {
            assert_eq!(fault.reason, crate::signature::Reason::MalformedDocument);
            fault.detail
        }
    }
}
